package outbound

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestOnlyPublicAddressesAreAskedUnlessTheOperatorSaysSo(t *testing.T) {
	none := Rules{}
	house := Rules{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for text, want := range map[string][2]bool{
		"93.184.216.34": {true, true}, "2606:4700::1111": {true, true},
		"10.1.2.3": {false, true}, "::ffff:10.1.2.3": {false, true}, "10.2.0.1": {false, false},
		"127.0.0.1": {}, "::1": {}, "::ffff:127.0.0.1": {}, "169.254.169.254": {}, "fd00:ec2::254": {}, "100.100.100.200": {}, "0.0.0.0": {},
		"192.168.1.1": {}, "172.31.0.1": {}, "224.0.0.1": {}, "255.255.255.255": {}, "fe80::1": {}, "64:ff9b::7f00:1": {}, "2002:7f00:1::": {}, "::127.0.0.1": {},
	} {
		a := netip.MustParseAddr(text)
		if got := [2]bool{none.Permits(a), house.Permits(a)}; got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if none.Permits(netip.Addr{}) || none.Permits(netip.MustParseAddr("fe80::1%eth0")) {
		t.Error("an address without meaning is permitted")
	}
}

func TestWhatIsNoPlainSecureAddressIsNotAsked(t *testing.T) {
	loopback := Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, text := range []string{"http://idp.example", "ftp://idp.example", "javascript:alert(1)", "file:///etc/passwd", "//idp.example", "", "https://", "https://user:pw@idp.example", "https://idp.example/#x", "http://127.0.0.1.example"} {
		if loopback.CheckURL(text) == "" {
			t.Errorf("%q is let through", text)
		}
	}
	if p := loopback.CheckURL("http://127.0.0.1:9000/x"); p != "" {
		t.Errorf("loopback, which is allowed: %s", p)
	}
	if (Rules{}).CheckURL("http://127.0.0.1:9000/x") == "" || (Rules{}).CheckURL("https://idp.example/realm") != "" {
		t.Error("without anything allowed, https alone is")
	}
}

// Attack: an address that is harmless to look at leads to the machine itself:
// by its name, by a redirect, by a second answer of the name server.
func TestAttackRequestsThatLeadInside(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }))
	defer inside.Close()
	to := func(host string) string { return strings.Replace(inside.URL, "127.0.0.1", host, 1) }
	answers := map[string]string{"evil.example": "127.0.0.1", "mapped.example": "::ffff:127.0.0.1"}
	rules := Rules{Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr(answers[host])}, nil
	}}
	for host := range answers {
		resp, err := New(rules).Get(strings.Replace(to(host), "http:", "https:", 1))
		if err == nil {
			_ = resp.Body.Close()
		}
		if !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"2130706433", "127.1", "0x7f.1", "017700000001"} {
		if _, err := rules.resolve(t.Context(), host); err == nil {
			t.Errorf("%s is looked up", host)
		}
	}

	loopback := Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, elsewhere := range []string{"http://169.254.169.254/latest/meta-data", "https://10.0.0.1/", "ftp://127.0.0.1/", to("localhost.evil.example")} {
		leads := httptest.NewServer(http.RedirectHandler(elsewhere, http.StatusFound))
		if _, err := New(loopback).Get(leads.URL); !errors.Is(err, ErrAddress) {
			t.Errorf("redirect to %s: %v", elsewhere, err)
		}
		leads.Close()
	}
}

func TestRedirectsAndAnswersAreBounded(t *testing.T) {
	var hops, posts int
	mux := http.NewServeMux()
	mux.HandleFunc("/again", func(w http.ResponseWriter, r *http.Request) {
		hops++
		if r.Method == http.MethodPost {
			posts++
		}
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 2000)) })
	mux.HandleFunc("/fits", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1000)) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := New(Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, MaxBody: 1000})
	if _, err := c.Get(srv.URL + "/again"); !errors.Is(err, ErrRedirect) || hops != maxRedirects+1 {
		t.Errorf("%d hops, %v", hops, err)
	}
	// What a POST carries is meant for one reader.
	if _, err := c.PostForm(srv.URL+"/again", url.Values{"secret": {"x"}}); !errors.Is(err, ErrRedirect) || posts != 1 {
		t.Errorf("%d posts, %v", posts, err)
	}
	for path, want := range map[string]error{"/large": ErrTooLarge, "/fits": nil} {
		resp, err := c.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if !errors.Is(err, want) || (want == nil && len(body) != 1000) {
			t.Errorf("%s: %d bytes, %v", path, len(body), err)
		}
	}
}
