// Package outbound is HTTP to addresses that others have named: an identity
// provider, a webhook.
//
// It owns where such a request may go, and how large an answer and how long a
// wait may be. It must not know what is asked. Start at [New].
package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Rules say where requests may go.
type Rules struct {
	// Allow are networks beside the public addresses: those of one's own house.
	// Without encryption only loopback addresses in them are asked.
	Allow []netip.Prefix
	// MaxBody is how many bytes of an answer are read; 0 is 1 MiB. More is
	// ErrTooLarge.
	MaxBody int64
	// Timeout is for a request with its redirects and its answer; 0 is 10 s.
	Timeout time.Duration
	// Resolve looks a name up; nil is the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// What a request may fail with, beside the network's own errors.
var (
	ErrAddress  = errors.New("the address is not one that this server may ask")
	ErrTooLarge = errors.New("the answer is too large")
	ErrRedirect = errors.New("the answer leads elsewhere")
)

const (
	maxRedirects = 3
	maxHeader    = 64 << 10
	maxTried     = 4 // addresses of one name
)

// special are the networks that are nobody's public address (the registries of
// RFC 6890), by which a server would reach itself, its neighbours or the cloud
// that it runs in.
var special = func() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24",
		"192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
		"::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}()

// Permits says whether an address may be asked.
func (r Rules) Permits(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	return r.allowed(a) || !within(special, a)
}

func (r Rules) allowed(a netip.Addr) bool { return within(r.Allow, a) }

func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// CheckURL says what is wrong with an address before anybody asks it; "" for
// nothing that can be seen. It must be https, or http where a loopback address
// is allowed, and must not carry a login.
func (r Rules) CheckURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || len(text) > 2048:
		return "is not an address"
	case u.User != nil:
		return "must not carry a login"
	case u.Fragment != "":
		return "must not have a fragment"
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && r.plain(u.Hostname()):
		return ""
	}
	return "must begin with https://"
}

// plain says whether a host may be asked without encryption: this machine
// alone, and only where that is allowed at all.
func (r Rules) plain(host string) bool {
	if host == "localhost" {
		return r.allowed(netip.MustParseAddr("127.0.0.1"))
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() && r.allowed(a)
}

// New makes a client that asks nothing but what the rules permit. It keeps
// connections, but no cookies, and uses no proxy: a proxy would look names up
// where nobody checks them. A redirect is followed where it cannot carry
// anything away: of GET and HEAD.
func New(r Rules) *http.Client {
	if r.MaxBody == 0 {
		r.MaxBody = 1 << 20
	}
	if r.Timeout == 0 {
		r.Timeout = 10 * time.Second
	}
	t := &http.Transport{
		DialContext: r.Dial, TLSHandshakeTimeout: r.Timeout, ResponseHeaderTimeout: r.Timeout, MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns: 16, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true,
	}
	return &http.Client{
		Transport: guard{r, t}, Timeout: r.Timeout,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects || (via[0].Method != http.MethodGet && via[0].Method != http.MethodHead) {
				return ErrRedirect
			}
			return nil
		},
	}
}

// guard checks each address, those of redirects too, and bounds each answer.
type guard struct {
	rules Rules
	next  http.RoundTripper
}

// RoundTrip is http.RoundTripper's.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if problem := g.rules.CheckURL(r.URL.String()); problem != "" {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("%w: it %s", ErrAddress, problem)
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &bounded{ReadCloser: resp.Body, left: g.rules.MaxBody}
	return resp, nil
}

// bounded fails where an answer goes on beyond its limit, so that nobody takes
// a part for the whole.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	p = p[:min(int64(len(p)), b.left+1)]
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// Dial connects to the first permitted address of a name: exactly the one that
// was checked, so that a name server cannot give another one afterwards.
func (r Rules) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := r.resolve(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("the name cannot be resolved: %w", err)
	}
	err = ErrAddress
	tried := 0
	for _, a := range addrs {
		if !r.Permits(a) {
			continue
		}
		if tried++; tried > maxTried {
			break
		}
		conn, problem := (&net.Dialer{Timeout: r.Timeout}).DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
		if problem == nil {
			return conn, nil
		}
		err = problem
	}
	return nil, err
}

func (r Rules) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	// 127.1, 0x7f000001 and the like are read as addresses by some resolvers.
	if _, err := strconv.ParseUint(strings.ReplaceAll(host, ".", ""), 0, 64); err == nil {
		return nil, errors.New("a number is not a host name")
	}
	if r.Resolve != nil {
		return r.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
