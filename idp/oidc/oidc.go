// Package oidc speaks OpenID Connect with a provider that others run: it finds
// its endpoints and keys, sends a person there, and reads what comes back.
//
// It owns the protocol (OpenID Connect Core 1.0, RFC 6749, 7636, 9207) and every
// check of a token. It must not know whom a token is about, nor decide what
// anybody may do. Start at [Client.AuthURL] and [Client.Exchange].
package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"vaultpam/internal/clock"
	"vaultpam/internal/outbound"
	"vaultpam/internal/secret"
)

// Skew is how far a provider's clock may be from ours.
const Skew = 60 * time.Second

const (
	maxToken    = 512 << 10 // bytes of an ID token
	maxSubject  = 255       // OpenID Connect Core section 2
	maxCode     = 4096
	maxIssuers  = 1000
	keepKnown   = time.Hour        // what discovery found
	keysAgain   = 10 * time.Second // between two questions for keys, however many tokens name unknown ones
	keepKeys    = time.Hour
	maxKeys     = 100
	minRSA      = 2048
	maxLifetime = 24 * time.Hour // of a token that is believed
)

// What can go wrong. An Error wraps one of them.
var (
	ErrUnreachable = errors.New("the provider did not answer as it should")
	ErrRefused     = errors.New("the provider did not take the code")
	ErrToken       = errors.New("the token was not accepted")
)

// Error is a refusal. Reason is for people; it holds nothing that the provider
// has sent, so that nobody reads an address inside of the house by it.
type Error struct {
	Kind   error  // ErrUnreachable, ErrRefused or ErrToken
	Reason string // such as "it has expired"
	Err    error  // for the log; may quote the other side
}

func (e *Error) Error() string {
	s := e.Kind.Error() + ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

func refuse(kind error, reason string, err error) error { return &Error{kind, reason, err} }

// Trust is what makes us a client of a provider.
type Trust struct {
	Issuer      string
	ClientID    string
	Secret      secret.Value // empty: a client without one (RFC 6749 section 2.1)
	Scopes      []string     // beside openid
	RedirectURL string
}

// Ask is what goes with a person to the provider.
type Ask struct {
	State, Nonce, Verifier string
	Fresh                  bool   // the person is to authenticate anew
	Hint                   string // an e-mail address that they may have
}

// Answer is what they came back with.
type Answer struct {
	Code   string
	Issuer string // of the iss parameter (RFC 9207); "" without it
	Nonce, Verifier,
	Error string
}

// Claims is what a provider says of somebody, checked.
type Claims struct {
	Issuer, Subject string
	All             map[string]any // as JSON decodes them
}

// Client is safe for concurrent use.
type Client struct {
	http  *http.Client
	rules outbound.Rules
	clock clock.Clock
	known cache
}

// New makes a Client that goes where the rules permit.
func New(rules outbound.Rules, c clock.Clock) *Client {
	return &Client{http: outbound.New(rules), rules: rules, clock: c, known: cache{entries: map[string]*slot{}}}
}

// Check reports whether the issuer's discovery document and keys can be read
// now, whatever is remembered of them.
func (c *Client) Check(ctx context.Context, issuer string) error {
	p, err := c.discover(ctx, issuer)
	if err == nil {
		_, err = c.keys(ctx, p.KeysURL)
	}
	return err
}

// AuthURL is where a person is sent (code flow with PKCE S256).
func (c *Client) AuthURL(ctx context.Context, t Trust, a Ask) (string, error) {
	p, err := c.provider(ctx, t.Issuer)
	if err != nil {
		return "", err
	}
	if p.AuthURL == "" {
		return "", refuse(ErrUnreachable, "its discovery document names no authorization endpoint", nil)
	}
	options := []oauth2.AuthCodeOption{gooidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if a.Fresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	if a.Hint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", a.Hint))
	}
	return c.oauth(p, t).AuthCodeURL(a.State, options...), nil
}

func (c *Client) oauth(p *party, t Trust) *oauth2.Config {
	style := oauth2.AuthStyleInHeader
	methods := p.AuthMethods
	if t.Secret.Empty() || (len(methods) > 0 && !slices.Contains(methods, "client_secret_basic")) {
		style = oauth2.AuthStyleInParams
	}
	scopes := []string{gooidc.ScopeOpenID}
	for _, s := range t.Scopes {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return &oauth2.Config{
		ClientID: t.ClientID, ClientSecret: string(t.Secret.Expose()), RedirectURL: t.RedirectURL, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: p.AuthURL, TokenURL: p.TokenURL, AuthStyle: style},
	}
}

// Exchange turns an authorization code into what the provider says of the
// person. The answer must have come by Trust's own redirect address: the caller
// has seen to that.
func (c *Client) Exchange(ctx context.Context, t Trust, a Answer) (Claims, error) {
	p, err := c.provider(ctx, t.Issuer)
	if err != nil {
		return Claims{}, err
	}
	// An answer that another provider gave must not reach this one (RFC 9207
	// section 2.4).
	if a.Issuer != "" && a.Issuer != t.Issuer || a.Issuer == "" && p.SaysIssuer {
		return Claims{}, refuse(ErrToken, "the answer is another provider's", nil)
	}
	if a.Error != "" {
		return Claims{}, refuse(ErrRefused, "it says that the sign-in was not finished", nil)
	}
	if a.Code == "" || len(a.Code) > maxCode {
		return Claims{}, refuse(ErrRefused, "there is no code", nil)
	}
	if p.TokenURL == "" {
		return Claims{}, refuse(ErrUnreachable, "its discovery document names no token endpoint", nil)
	}
	got, err := c.oauth(p, t).Exchange(context.WithValue(ctx, oauth2.HTTPClient, c.http), a.Code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		if _, answered := errors.AsType[*oauth2.RetrieveError](err); answered {
			return Claims{}, refuse(ErrRefused, "its token endpoint refuses the code or the client", err)
		}
		return Claims{}, unreachable("its token endpoint", err)
	}
	raw, _ := got.Extra("id_token").(string)
	if raw == "" {
		return Claims{}, refuse(ErrToken, "there is no ID token", nil)
	}
	claims, err := c.verify(ctx, p, t.Issuer, t.ClientID, raw)
	if err != nil {
		return Claims{}, err
	}
	azp, named := claims.All["azp"]
	if aud, _ := claims.All["aud"].([]any); named && azp != t.ClientID || !named && len(aud) > 1 {
		return Claims{}, refuse(ErrToken, "it was made for another client", nil)
	}
	nonce, _ := claims.All["nonce"].(string)
	if a.Nonce == "" || subtle.ConstantTimeCompare([]byte(nonce), []byte(a.Nonce)) != 1 {
		return Claims{}, refuse(ErrToken, "it is not for this sign-in", nil)
	}
	return claims, nil
}

// Verify checks a token that somebody shows who says that the issuer gave it
// to them for nobody but audience.
func (c *Client) Verify(ctx context.Context, issuer, audience, token string) (Claims, error) {
	p, err := c.provider(ctx, issuer)
	if err != nil {
		return Claims{}, err
	}
	claims, err := c.verify(ctx, p, issuer, audience, token)
	if err != nil {
		return Claims{}, err
	}
	// Whoever else it is for could show it, too.
	if !only(claims.All["aud"], audience) {
		return Claims{}, refuse(ErrToken, "it is for others as well", nil)
	}
	return claims, nil
}

func only(aud any, want string) bool {
	if list, ok := aud.([]any); ok && len(list) == 1 {
		aud = list[0]
	}
	return aud == want
}

// verify checks signature, issuer, audience and times.
func (c *Client) verify(ctx context.Context, p *party, issuer, audience, raw string) (Claims, error) {
	if len(raw) > maxToken {
		return Claims{}, refuse(ErrToken, "it is too large", nil)
	}
	keys := &keySet{c: c, p: p}
	v := gooidc.NewVerifier(issuer, keys, &gooidc.Config{ClientID: audience, SupportedSigningAlgs: p.algorithms(), SkipExpiryCheck: true})
	token, err := v.Verify(ctx, raw)
	if err != nil {
		if keys.refusal != nil {
			return Claims{}, keys.refusal
		}
		return Claims{}, refuse(ErrToken, "its signature, issuer or audience is not the right one", err)
	}
	out := Claims{Issuer: issuer, Subject: token.Subject}
	if err := token.Claims(&out.All); err != nil {
		return Claims{}, refuse(ErrToken, "it cannot be read", err)
	}
	now := c.clock.Now()
	expires, there := seconds(out.All["exp"])
	issued, said := seconds(out.All["iat"])
	begins, begun := seconds(out.All["nbf"])
	switch {
	case !there || !said:
		err = refuse(ErrToken, "it does not say when it was made or ends", nil)
	case !now.Before(expires.Add(Skew)):
		err = refuse(ErrToken, "it has expired", nil)
	case issued.After(now.Add(Skew)) || (begun && begins.After(now.Add(Skew))):
		err = refuse(ErrToken, "it is not valid yet: the clocks differ", nil)
	case issued.Before(now.Add(-maxLifetime - Skew)):
		err = refuse(ErrToken, "it is too old", nil)
	case out.Subject == "" || len(out.Subject) > maxSubject || strings.ContainsFunc(out.Subject, unicode.IsControl):
		err = refuse(ErrToken, "it does not say whom it is about", nil)
	}
	return out, err
}

// seconds reads a NumericDate (RFC 7519 section 2).
func seconds(v any) (time.Time, bool) {
	n, ok := v.(float64)
	if !ok || n < 0 || n > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(n), 0), true
}
