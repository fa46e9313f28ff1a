// Package client is the Go client of the REST API. It is the only package of
// this module that other programs may import besides api/v1.
//
// It owns how a request is made and how a refusal is told apart. It must not
// know how the server works. Start at [New] and [Client.Login].
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	v1 "vaultpam/api/v1"
)

// maxAnswer bounds an answer that is decoded in memory.
const maxAnswer = 64 << 20

// Client speaks to one server as one caller. It is safe for concurrent use
// once it is set up.
type Client struct {
	base  *url.URL
	token string
	org   string
	http  *http.Client
}

// Error is a refusal by the server.
type Error struct {
	Status     int
	RetryAfter string // seconds, with RATE_LIMITED
	Envelope   v1.Error
}

// Code is the constant that says what went wrong, such as NOT_FOUND.
func (e *Error) Code() string { return e.Envelope.Error }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Envelope.Message)
	for _, d := range e.Envelope.Details {
		fmt.Fprintf(&b, "\n  %s: %s", d.Field, d.Problem)
	}
	fmt.Fprintf(&b, " (%s", e.Code())
	if e.Envelope.RequestID != "" {
		fmt.Fprintf(&b, ", request %s", e.Envelope.RequestID)
	}
	b.WriteString(")")
	return b.String()
}

// New makes a client of the server at base, for example
// "https://pam.example.com". token may be empty until Login. org may be empty:
// then the token's active organization serves.
func New(base, token, org string) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("%q is not the address of a server: it begins with https:// or http://", base)
	}
	return &Client{base: u, token: token, org: org, http: &http.Client{
		// A redirect would carry the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Token returns the token that the client uses.
func (c *Client) Token() string { return c.token }

// LoginByToken signs a program in with a token of its own, which a rule of the
// organization (an id or a slug) takes, and keeps what it gets for it.
func (c *Client) LoginByToken(ctx context.Context, org, token string) (v1.Token, error) {
	t, err := do[v1.TokenExchange](ctx, c, http.MethodPost, "/auth/token-exchange", nil, v1.TokenExchangeIn{
		GrantType: "urn:ietf:params:oauth:grant-type:token-exchange", SubjectToken: token, SubjectTokenType: "urn:ietf:params:oauth:token-type:jwt", Organization: org,
	})
	if err != nil {
		return v1.Token{}, err
	}
	c.token, c.org = t.AccessToken, t.OrgID
	return v1.Token{AccessToken: t.AccessToken, ExpiresIn: t.ExpiresIn}, nil
}

// Login signs in and keeps the token.
func (c *Client) Login(ctx context.Context, email, password string) (v1.Token, error) {
	t, err := do[v1.Token](ctx, c, http.MethodPost, "/auth/login", nil, v1.LoginIn{Email: email, Password: password})
	if err == nil {
		c.token = t.AccessToken
	}
	return t, err
}

// LoginByFactor ends a sign-in that was refused with MFA_REQUIRED, and keeps the
// token.
func (c *Client) LoginByFactor(ctx context.Context, in v1.MFAIn) (v1.Token, error) {
	t, err := do[v1.Token](ctx, c, http.MethodPost, "/auth/mfa", nil, in)
	if err == nil {
		c.token = t.AccessToken
	}
	return t, err
}

// With returns a client of the same server with another token.
func (c *Client) With(token string) *Client {
	d := *c
	d.token = token
	return &d
}

// LoginByDevice asks for a login that a person approves in a browser (RFC
// 8628), and keeps its token. name is how the program calls itself; show tells
// the person where to go. It waits until they have decided, the request is
// over, or ctx ends.
func (c *Client) LoginByDevice(ctx context.Context, name string, show func(v1.DeviceCodes)) (v1.Token, error) {
	codes, err := do[v1.DeviceCodes](ctx, c, http.MethodPost, "/auth/device", nil, v1.DeviceIn{ClientName: name})
	if err != nil {
		return v1.Token{}, err
	}
	// A person opens and reads these, so they are an address and letters,
	// whatever the server says.
	for _, uri := range []*string{&codes.VerificationURI, &codes.VerificationURIComplete} {
		u, err := c.base.Parse(*uri)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" {
			return v1.Token{}, fmt.Errorf("%s sends people to %q, which is no page", c.base.Host, *uri)
		}
		*uri = u.String()
	}
	if strings.Trim(codes.UserCode, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return v1.Token{}, fmt.Errorf("%s gives %q as a code, which nobody can type", c.base.Host, codes.UserCode)
	}
	show(codes)
	tick := time.NewTicker(time.Duration(max(1, codes.Interval)) * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return v1.Token{}, ctx.Err()
		case <-tick.C:
		}
		d, err := do[v1.DeviceToken](ctx, c, http.MethodPost, "/auth/device/token", nil, v1.DeviceTokenIn{DeviceCode: codes.DeviceCode})
		switch {
		case err != nil:
			return v1.Token{}, err
		case d.Status == "approved":
			c.token = d.AccessToken
			return v1.Token{AccessToken: d.AccessToken, ExpiresIn: d.ExpiresIn}, nil
		case d.Status == "denied":
			return v1.Token{}, errors.New("the login was denied")
		case d.Status != "pending":
			return v1.Token{}, errors.New("nobody approved the login in time")
		}
	}
}

// ChangePassword replaces the caller's password. restricted is the token of
// PASSWORD_CHANGE_REQUIRED, or empty to use the client's own.
func (c *Client) ChangePassword(ctx context.Context, restricted, current, next string) error {
	d := *c
	if restricted != "" {
		d.token = restricted
	}
	return d.none(ctx, http.MethodPut, "/me/password", v1.PasswordIn{CurrentPassword: current, NewPassword: next})
}

// Get reads one object or list into a T.
func Get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return do[T](ctx, c, http.MethodGet, path, query, nil)
}

// Post sends in and reads the answer into a T.
func Post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return do[T](ctx, c, http.MethodPost, path, nil, in)
}

// Put replaces what is at path.
func Put[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return do[T](ctx, c, http.MethodPut, path, nil, in)
}

// Patch applies a JSON merge patch.
func Patch[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return do[T](ctx, c, http.MethodPatch, path, nil, in)
}

// Delete removes what is at path.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.none(ctx, http.MethodDelete, path, nil)
}

// All reads every page of a list.
func All[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	var out []T
	next := c.url(path, query)
	for next != "" {
		resp, err := c.send(ctx, http.MethodGet, next, nil)
		if err != nil {
			return nil, err
		}
		rows, err := decode[[]T](resp)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
		next = c.next(resp.Header.Get("Link"))
	}
	return out, nil
}

// next reads the address of the next page: a path of this very server.
func (c *Client) next(link string) string {
	path, rest, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !ok || !strings.Contains(rest, `rel="next"`) || !strings.HasPrefix(path, "/api/v1/") {
		return ""
	}
	return c.base.String() + path
}

// Stream opens an answer that is not read into memory: a recording or an
// export. The caller closes it.
func (c *Client) Stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodGet, c.url(path, query), nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (c *Client) none(ctx context.Context, method, path string, in any) error {
	resp, err := c.send(ctx, method, c.url(path, nil), in)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func do[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (T, error) {
	resp, err := c.send(ctx, method, c.url(path, query), in)
	if err != nil {
		var zero T
		return zero, err
	}
	return decode[T](resp)
}

func decode[T any](resp *http.Response) (T, error) {
	var out T
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return out, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return out, fmt.Errorf("read the server's answer: %w", err)
	}
	return out, nil
}

func (c *Client) url(path string, query url.Values) string {
	u := c.base.String() + "/api/v1" + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	return u
}

// send makes a request. A POST carries an Idempotency-Key and is sent once
// more when the connection broke before an answer came: the server does not
// run it twice.
func (c *Client) send(ctx context.Context, method, address string, in any) (*http.Response, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	var key string
	if method == http.MethodPost && c.token != "" {
		var raw [16]byte
		if _, err := rand.Read(raw[:]); err != nil {
			return nil, err
		}
		key = hex.EncodeToString(raw[:])
	}
	var resp *http.Response
	var err error
	for attempt := range 2 {
		if resp, err = c.once(ctx, method, address, body, key); err == nil {
			break
		}
		if attempt == 1 || ctx.Err() != nil || (method != http.MethodGet && key == "") {
			return nil, explain(c.base, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	refusal := &Error{Status: resp.StatusCode, RetryAfter: resp.Header.Get("Retry-After")}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(text, &refusal.Envelope) != nil || refusal.Envelope.Error == "" {
		return nil, fmt.Errorf("%s answered %s, which is not an answer of VaultPAM", c.base.Host, resp.Status)
	}
	return nil, refusal
}

func (c *Client) once(ctx context.Context, method, address string, body []byte, key string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.org != "" {
		req.Header.Set("X-Active-Org-Id", c.org)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	return c.http.Do(req)
}

// Unreachable says that no answer came from the server.
type Unreachable struct {
	Base string // the server's address
	Err  error
}

func (e *Unreachable) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.Base, e.Err) }
func (e *Unreachable) Unwrap() error { return e.Err }

// explain says in the user's words why no answer came.
func explain(base *url.URL, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &Unreachable{Base: base.String(), Err: err}
}
