// Package keyservice asks a service that keeps keys over HTTPS.
//
// It owns the connection: whom it trusts, how long it waits, how much it
// reads. It must not know what is asked. Start at [New].
package keyservice

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	timeout = 10 * time.Second // of a question and its answer
	maxBody = 64 << 10         // a wrapped list of root keys is far smaller
)

// Errors of Service.
var (
	ErrAddress  = errors.New("the address of the key service has to be https:// and a host; http:// is for this machine alone")
	ErrTooLarge = errors.New("the answer of the key service is too large")
	ErrRedirect = errors.New("the key service sends elsewhere, where the credentials will not go")
	ErrCA       = errors.New("the file holds no certificate (PEM)")
)

// Service is one server that keeps keys. It is safe for concurrent use.
type Service struct {
	base   string
	client *http.Client
}

// New makes a Service at address. caFile holds the certificates that its own
// is checked by, instead of the system's; "" for those.
func New(address, caFile string) (*Service, error) {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, ErrAddress
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %w", caFile, ErrCA)
		}
	}
	return &Service{base: u.String(), client: &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
			DialContext: (&net.Dialer{Timeout: timeout}).DialContext, TLSHandshakeTimeout: timeout,
			// Asked at a start and once in a while: no connection is kept.
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxBody,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return ErrRedirect },
	}}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Ask sends body by POST to path, which begins with a slash, and returns what
// comes back. change, if it is given, is called before sending.
func (s *Service) Ask(ctx context.Context, path string, body []byte, change func(*http.Request) error) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if change != nil {
		if err := change(r); err != nil {
			return 0, nil, err
		}
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && len(answer) > maxBody {
		err = ErrTooLarge
	}
	if err != nil {
		clear(answer)
		return 0, nil, err
	}
	return resp.StatusCode, answer, nil
}
