package broker

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"vaultpam/pam"
)

const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
)

// Dialer opens a connection to a target on behalf of an organization. Errors
// have the kind Unreachable, with a sentence for the user.
type Dialer interface {
	Dial(ctx context.Context, org pam.OrgID, host string, port int) (net.Conn, error)
}

// never are addresses that no target has unless the operator names them:
// they belong to this machine's link or to the cloud that it runs in, where
// instance credentials are handed out to whoever asks.
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), // link-local, with the metadata service 169.254.169.254
	netip.MustParsePrefix("224.0.0.0/3"),    // multicast, reserved, broadcast
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("ff00::/8"),
	netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("fd00:ec2::254/128"),
	netip.MustParsePrefix("100.100.100.200/32"), // another cloud's metadata service
}

// LocalRules say where this server may connect to itself.
type LocalRules struct {
	// Allow are the only networks, if there are any; they may name what is
	// excluded by default. Empty: everything but what is excluded.
	Allow []netip.Prefix
	// Dev allows loopback addresses.
	Dev bool
	// Own are the server's listen addresses: nobody reaches the server
	// through itself. An unspecified address stands for all of the machine's.
	Own []netip.AddrPort
}

// Permits says whether addr may be dialled.
func (r LocalRules) Permits(addr netip.AddrPort) bool {
	a := addr.Addr().Unmap()
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	for _, own := range r.Own {
		if own.Port() == addr.Port() && (own.Addr().Unmap() == a || (own.Addr().IsUnspecified() && isOurs(a))) {
			return false
		}
	}
	if len(r.Allow) > 0 {
		for _, p := range r.Allow {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	for _, p := range never {
		if p.Contains(a) {
			return false
		}
	}
	return r.Dev || (!a.IsLoopback() && !isOurs(a))
}

// isOurs says whether a is one of this machine's addresses. When they cannot
// be listed, only loopback is known to be.
func isOurs(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, x := range addrs {
		if p, err := netip.ParsePrefix(x.String()); err == nil && p.Addr().Unmap() == a {
			return true
		}
	}
	return false
}

// LocalDialer dials from this machine. A name is resolved once and exactly the
// address that was checked is dialled, so that a name server cannot give a
// harmless answer first and another one afterwards.
type LocalDialer struct {
	Rules   LocalRules
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error) // nil: the system's resolver
	// Serves says whether the organization may use this server's own network.
	// nil: every organization.
	Serves func(org pam.OrgID) bool
}

// Dial connects to the first permitted address of host that answers.
func (d LocalDialer) Dial(ctx context.Context, org pam.OrgID, host string, port int) (net.Conn, error) {
	const op = "dial target"
	if d.Serves != nil && !d.Serves(org) {
		return nil, pam.Errorf(pam.Denied, op, "This organization may not use the server's own network: give the resource a connector.")
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, &pam.Error{Kind: pam.Unreachable, Op: op, Public: "Host unreachable: its name cannot be resolved", Err: err}
	}
	dialer := net.Dialer{KeepAlive: keepAlive}
	last := &pam.Error{Kind: pam.Unreachable, Op: op, Public: "Host unreachable: its address is not one that this server may connect to"}
	tried := 0
	for _, a := range addrs {
		ap := netip.AddrPortFrom(a.Unmap(), uint16(port))
		if !d.Rules.Permits(ap) {
			continue
		}
		if tried++; tried > 4 {
			break
		}
		conn, err := dialer.DialContext(ctx, "tcp", ap.String())
		if err == nil {
			return conn, nil
		}
		last = &pam.Error{Kind: pam.Unreachable, Op: op, Public: "Host unreachable", Err: err}
		if errors.Is(err, syscall.ECONNREFUSED) {
			last.Public = "SSH connection refused"
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

func (d LocalDialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	// 127.1, 0x7f000001 and the like are read as addresses by some resolvers.
	if _, err := strconv.ParseUint(host, 0, 64); err == nil {
		return nil, errors.New("a number is not a host name")
	}
	if d.Resolve != nil {
		return d.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
