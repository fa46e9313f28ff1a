package edge

import (
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"time"

	"vaultpam/internal/clock"
)

func TestForwardedAddressIsBelievedFromTrustedProxiesOnly(t *testing.T) {
	trusted, err := ParseProxies("10.0.0.0/8, 2001:db8::1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9"},
		{"a client that forges the header", "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"one proxy", "10.1.1.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a client behind a proxy that forges the left end", "10.1.1.1:1", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"forged as a header of its own", "10.1.1.1:1", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.1.1.1:1", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		{"rubbish ends the walk", "10.1.1.1:1", []string{"198.51.100.1, rubbish"}, "10.1.1.1"},
		{"IPv4 in IPv6", "[::ffff:10.1.1.1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		if got := trusted.ClientAddr(r).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestIPv6IsCountedPerSlash64(t *testing.T) {
	if a, b := Source(netip.MustParseAddr("2001:db8::1")), Source(netip.MustParseAddr("2001:db8::ffff")); a != b {
		t.Errorf("%s and %s differ", a, b)
	}
	if a, b := Source(netip.MustParseAddr("2001:db8::1")), Source(netip.MustParseAddr("2001:db8:0:1::1")); a == b {
		t.Errorf("another /64 is the same source %s", a)
	}
}

func TestWindowsStartOnTheWholeMinute(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 11, 1, 12, 0, 58, 0, time.UTC))
	l := NewRateLimiter(Limits{LimitIP: 2}, c)
	for i := range 2 {
		r, ok := l.Take(LimitIP, "a")
		if !ok || r.Remaining != 1-i || !r.Reset.Equal(time.Date(2026, 11, 1, 12, 1, 0, 0, time.UTC)) {
			t.Fatalf("request %d: %+v %v", i, r, ok)
		}
	}
	if _, ok := l.Take(LimitIP, "a"); ok {
		t.Error("the third request of the minute was let through")
	}
	if _, ok := l.Take(LimitIP, "b"); !ok {
		t.Error("another key was refused")
	}
	c.Advance(2 * time.Second)
	if _, ok := l.Take(LimitIP, "a"); !ok {
		t.Error("the next minute was refused")
	}
}

func TestAFloodOfKeysIsBoundedAndLimited(t *testing.T) {
	l := NewRateLimiter(Limits{LimitIP: 3}, clock.NewManual(time.Unix(0, 0)))
	for i := range maxKeys {
		l.Take(LimitIP, fmt.Sprint(i))
	}
	var let int
	for i := range 100 {
		if _, ok := l.Take(LimitIP, fmt.Sprint("late ", i)); ok {
			let++
		}
	}
	if len(l.counts) > maxKeys+1 || let != 3 {
		t.Errorf("%d keys kept, %d late ones let through", len(l.counts), let)
	}
}

func TestLimitsAreRead(t *testing.T) {
	if l, err := ParseLimits("off"); l != nil || err != nil {
		t.Errorf("off: %v %v", l, err)
	}
	l, err := ParseLimits("login=5,sensitive=1")
	if err != nil || l[LimitLogin] != 5 || l[LimitSensitive] != 1 || l[LimitIP] != 300 {
		t.Errorf("%v %v", l, err)
	}
	for _, bad := range []string{"on", "login", "login=0", "login=x", "other=1", "login=-1"} {
		if _, err := ParseLimits(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestListenerClosesWhatIsBeyondItsLimits(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := LimitListener(inner, 10, 2, nil)
	defer ln.Close()
	accepted := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first := <-accepted
	dial()
	<-accepted
	third := dial()
	_ = third.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the third connection of one source was not closed: %v", err)
	}
	_ = first.Close()
	_ = first.Close() // closing twice gives one place back, not two
	dial()
	<-accepted
}
