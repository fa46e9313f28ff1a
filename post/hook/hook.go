// Package hook posts a body to an address that somebody has named.
//
// It owns what is said of how that went: never the address, which may be a
// secret, nor what the other side wrote. It must not know what is posted.
// Start at [Client].
package hook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vaultpam/internal/outbound"
)

// maxAnswer is how much of an answer is read, so that its connection can be
// used again. Nobody looks at it.
const maxAnswer = 64 << 10

// Problem is what went wrong: a sentence for people.
type Problem string

func (p Problem) Error() string { return string(p) }

// Client posts. It is safe for concurrent use.
type Client struct {
	rules outbound.Rules
	http  *http.Client
}

// New makes a client that asks what the rules permit.
func New(r outbound.Rules) *Client {
	r.MaxBody = maxAnswer
	return &Client{r, outbound.New(r)}
}

// URLProblem says what is wrong with an address; "" for nothing that can be
// seen before it is asked.
func (c *Client) URLProblem(address string) string { return c.rules.CheckURL(address) }

// Post posts body once, and follows nothing. It returns the status of the
// answer, and how long the other side asks to be left alone (RFC 9110 section
// 10.2.3); or a [Problem].
func (c *Client) Post(ctx context.Context, address string, header http.Header, body []byte) (status int, wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, 0, Problem("The address cannot be asked.")
	}
	r.Header = header.Clone()
	r.Header.Set("User-Agent", "VaultPAM")
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, 0, problem(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, retryAfter(resp.Header), nil
}

func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	return 0
}

// problem is what went wrong, without the address and what it stands for.
func problem(err error) Problem {
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return "There was no answer in time."
		}
		err = e.Err
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "The name of the server is not known."
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if _, ok := errors.AsType[x509.HostnameError](e); ok {
			return "The server's certificate is for another name."
		}
		return "The server's certificate is not one that we trust."
	}
	switch {
	case errors.Is(err, outbound.ErrAddress):
		return "The address is not one that this server may ask."
	case errors.Is(err, outbound.ErrRedirect):
		return "The server sends us elsewhere: name the address that it sends to."
	case errors.Is(err, outbound.ErrTooLarge):
		return "The answer is too large."
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return "The server cannot be reached."
	}
	return "The connection broke before there was an answer."
}
