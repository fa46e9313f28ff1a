package proxyproto

import (
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
)

const (
	v2ip4   = "0d0a0d0a000d0a515549540a2111000cc0000201c0000202d9030016"
	v2local = "0d0a0d0a000d0a515549540a20000000"
	v2ip6   = "0d0a0d0a000d0a515549540a2121002420010db800000000000000000000000120010db8000000000000000000000002d9030016"
)

func unhex(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestHeaderGivesTheClientAndLeavesWhatFollows(t *testing.T) {
	for _, c := range []struct{ header, want string }{
		{"PROXY TCP4 192.0.2.1 192.0.2.2 55555 22\r\n", "192.0.2.1:55555"},
		{"PROXY TCP6 2001:db8::1 2001:db8::2 55555 22\r\n", "[2001:db8::1]:55555"},
		{"PROXY UNKNOWN\r\n", ""},
		{"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""},
		{unhex(v2ip4), "192.0.2.1:55555"},
		{unhex(v2ip6), "[2001:db8::1]:55555"},
		{unhex(v2local), ""},
	} {
		r := strings.NewReader(c.header + "SSH-2.0-x\r\n")
		got, err := Read(r)
		if err != nil {
			t.Errorf("%q: %v", c.header, err)
			continue
		}
		var want netip.AddrPort
		if c.want != "" {
			want = netip.MustParseAddrPort(c.want)
		}
		if got != want {
			t.Errorf("%q: %v, want %v", c.header, got, want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "SSH-2.0-x\r\n" {
			t.Errorf("%q: %q was left", c.header, rest)
		}
	}
}

func TestMalformedHeadersAreRefused(t *testing.T) {
	for _, c := range []struct {
		header string
		want   error
	}{
		{"SSH-2.0-OpenSSH_9.9\r\n", ErrNoHeader},
		{"PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n", ErrTooLong},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 55555\r\n", ErrMalformed},
		{"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", ErrMalformed},
		{"PROXY TCP4 192.0.2.1 192.0.2.2 65536 22\r\n", ErrMalformed},
		{"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", ErrMalformed},
		{"PROXY TCP4 192.0.2.1 192.0.2", io.ErrUnexpectedEOF},
		{unhex("0d0a0d0a000d0a515549540a2111ffff"), ErrTooLong},
		{unhex("0d0a0d0a000d0a515549540a21110004c0000201"), ErrMalformed},
		{unhex("0d0a0d0a000d0a515549540a1111000cc0000201c0000202d9030016"), ErrMalformed},
		{unhex("0d0a0d0a000d0a515549540a2111000cc0"), io.ErrUnexpectedEOF},
	} {
		_, err := Read(strings.NewReader(c.header))
		if !errors.Is(err, c.want) && !(c.want == io.ErrUnexpectedEOF && errors.Is(err, io.EOF)) {
			t.Errorf("%q: %v, want %v", c.header, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 55555 22\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\nxx"))
	f.Add([]byte(unhex(v2ip4)))
	f.Add([]byte(unhex(v2ip6)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := strings.NewReader(string(b))
		ap, err := Read(r)
		if err == nil && ap.IsValid() && ap.Addr().Zone() != "" {
			t.Fatal("an address with a zone")
		}
		if read := len(b) - r.Len(); read > 16+maxV2 {
			t.Fatalf("%d bytes read", read)
		}
	})
}
