package broker

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"vaultpam/pam"
)

func TestLocalRulesKeepTheServerOffItselfAndItsCloud(t *testing.T) {
	own := []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:2222"), netip.MustParseAddrPort("10.0.0.5:443")}
	for _, c := range []struct {
		addr             string
		dev, prod, named bool // named: with --local-allow 169.254.0.0/16,127.0.0.0/8,10.0.0.0/8
	}{
		{"192.0.2.1:22", true, true, false},
		{"10.1.2.3:22", true, true, true},
		{"[2001:db8::1]:22", true, true, false},
		{"127.0.0.1:22", true, false, true},
		{"127.0.0.1:2222", false, false, false},
		{"[::1]:22", true, false, false},
		{"[::ffff:127.0.0.1]:22", true, false, true},
		{"10.0.0.5:443", false, false, false},
		{"169.254.169.254:80", false, false, true},
		{"[::ffff:169.254.169.254]:80", false, false, true},
		{"[fd00:ec2::254]:80", false, false, false},
		{"[fe80::1]:22", false, false, false},
		{"[fe80::1%lo]:22", false, false, false},
		{"0.0.0.0:22", false, false, false},
		{"[::]:22", false, false, false},
		{"224.0.0.1:22", false, false, false},
		{"255.255.255.255:22", false, false, false},
	} {
		a := netip.MustParseAddrPort(c.addr)
		allow := []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
		for name, got := range map[string][2]bool{
			"dev":   {LocalRules{Dev: true, Own: own}.Permits(a), c.dev},
			"prod":  {LocalRules{Own: own}.Permits(a), c.prod},
			"named": {LocalRules{Own: own, Allow: allow}.Permits(a), c.named},
		} {
			if got[0] != got[1] {
				t.Errorf("%s %s: %v, want %v", c.addr, name, got[0], got[1])
			}
		}
	}
}

// A name server that the attacker owns answers with a harmless address first
// and with one of ours the second time. Only one answer is asked for, and
// exactly what was checked is dialled.
func TestNameIsResolvedOnceAndOnlyPermittedAddressesAreDialled(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	asked := 0
	resolve := func(context.Context, string) ([]netip.Addr, error) {
		asked++
		return []netip.Addr{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("127.0.0.1")}, nil
	}
	c, err := LocalDialer{Rules: LocalRules{Dev: true}, Resolve: resolve}.Dial(t.Context(), "org_1", "rebind.example", port)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.RemoteAddr().String(); got != ln.Addr().String() || asked != 1 {
		t.Errorf("dialled %s after %d questions", got, asked)
	}
	_ = c.Close()
	if _, err := (LocalDialer{Resolve: resolve}).Dial(t.Context(), "org_1", "rebind.example", port); !pam.Is(err, pam.Unreachable) {
		t.Errorf("loopback in production: %v", err)
	}
	for _, host := range []string{"2130706433", "0x7f000001", "0177"} {
		if _, err := (LocalDialer{Resolve: resolve, Rules: LocalRules{Dev: true}}).Dial(t.Context(), "org_1", host, port); !pam.Is(err, pam.Unreachable) {
			t.Errorf("%s was dialled: %v", host, err)
		}
	}
	if _, err := (LocalDialer{Serves: func(pam.OrgID) bool { return false }}).Dial(t.Context(), "org_1", "192.0.2.1", port); !pam.Is(err, pam.Denied) {
		t.Errorf("an organization that may not: %v", err)
	}
}
