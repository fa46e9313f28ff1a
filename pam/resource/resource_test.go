package resource

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"vaultpam/pam"
)

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

func TestHostsAreNamesOrAddressesInOneForm(t *testing.T) {
	for in, want := range map[string]string{
		"db.example.com": "db.example.com", "DB.Example.COM": "db.example.com", "localhost": "localhost", "my_host": "my_host", "192.0.2.1": "192.0.2.1",
		"2001:db8::1": "2001:db8::1", "2001:DB8:0::1": "2001:db8::1", "::ffff:192.0.2.1": "192.0.2.1", "xn--bcher-kva.example": "xn--bcher-kva.example", "1host": "1host", "3f2a9c1b": "3f2a9c1b", "web.2a": "web.2a",
	} {
		if got, p := Host(in); got != want || p != "" {
			t.Errorf("Host(%q) = %q, %q; want %q", in, got, p, want)
		}
	}
	for _, in := range []string{
		"", " ", "http://x", "ssh://x", "x/y", "x:22", "[::1]", "a b", "a\nb", "a\x00", "-x", "x-", "a..b", ".a", "a.", "user@host", "host%00", "fe80::1%eth0",
		"127.1", "a.1", "a.0x", "0x7f000001", "2130706433", "0177.0.0.1", "256.1.1.1", "bücher.example", strings.Repeat("a", 64), strings.Repeat("a.", 130) + "com", "$(x)", "x;y", "*",
	} {
		if got, p := Host(in); p == "" {
			t.Errorf("Host(%q) is taken as %q", in, got)
		}
	}
}

func TestHostKeysAreOpenSSHLinesWithoutOptions(t *testing.T) {
	for _, in := range []string{key, key + " comment here", "  " + key + "\n"} {
		if got, p := HostKey(in); got != key || p != "" {
			t.Errorf("HostKey(%q) = %q, %q", in, got, p)
		}
	}
	for _, in := range []string{"", "x", "ssh-ed25519", "ssh-ed25519 AAAA", "host " + key, `command="x" ` + key, key + "\n" + key, "@cert-authority * " + key, strings.Repeat("x", 20_000)} {
		if got, p := HostKey(in); p == "" {
			t.Errorf("HostKey(%.40q) is taken as %q", in, got)
		}
	}
}

func TestSettingsThatCannotBeAreRefusedByField(t *testing.T) {
	good := Settings{Name: "web", Type: pam.SSH, Host: "h"}
	for field, change := range map[string]func(*Settings){
		"name":            func(s *Settings) { s.Name = "" },
		"slug":            func(s *Settings) { s.Slug = "A" },
		"type":            func(s *Settings) { s.Type, s.Port = "telnet", 23 },
		"host":            func(s *Settings) { s.Host = "http://x" },
		"port":            func(s *Settings) { s.Port = 65536 },
		"connector_ids":   func(s *Settings) { s.ConnectorIDs = []pam.ConnectorID{"con_x"} },
		"host_keys":       func(s *Settings) { s.HostKeys = []string{"x"} },
		"host_key_policy": func(s *Settings) { s.HostKeyPolicy = "any" },
		"tls.mode":        func(s *Settings) { s.TLS.Mode = "maybe" },
		"tls.ca":          func(s *Settings) { s.TLS.CA = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" },
		"tls.server_name": func(s *Settings) { s.TLS.ServerName = "a b" },
	} {
		s := good
		change(&s)
		_, err := s.check("create resource")
		e, ok := err.(*pam.Error)
		if !ok || e.Kind != pam.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, p := range pam.Protocols {
		s := good
		s.Type = p
		if got, err := s.check("create resource"); err != nil || got.Port == 0 || got.HostKeyPolicy != Pinned {
			t.Errorf("%s: port %d, %v", p, got.Port, err)
		}
	}
}

func TestEveryFieldThatSendsCredentialsElsewhereIsARedirection(t *testing.T) {
	old := Settings{Name: "web", Slug: "web", Type: pam.SSH, Host: "h", Port: 22, HostKeys: []string{key}, HostKeyPolicy: Pinned}
	for field, change := range map[string]func(*Settings){
		"host":            func(s *Settings) { s.Host = "x" },
		"port":            func(s *Settings) { s.Port = 23 },
		"type":            func(s *Settings) { s.Type = pam.Redis },
		"tls":             func(s *Settings) { s.TLS.Mode = "disable" },
		"host_keys":       func(s *Settings) { s.HostKeys = nil },
		"host_key_policy": func(s *Settings) { s.HostKeyPolicy = AcceptFirst },
		"connector_ids":   func(s *Settings) { s.ConnectorIDs = []pam.ConnectorID{"con_x"} },
	} {
		s := old
		change(&s)
		if got := s.Redirects(old); !slices.Equal(got, []string{field}) {
			t.Errorf("%s: %v", field, got)
		}
	}
	renamed := old
	renamed.Name, renamed.Slug = "other", "other"
	if got := renamed.Redirects(old); len(got) != 0 {
		t.Errorf("a new name redirects %v", got)
	}
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"a.b", "::1", "127.1", "a.1", "a.0x", "0x7f", "a:1", "http://a", "\x00", "fe80::1%x", "1.2.3.4.5", strings.Repeat("a.", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		host, problem := Host(in)
		if problem != "" {
			return
		}
		if again, p := Host(host); again != host || p != "" {
			t.Fatalf("%q becomes %q, which becomes %q (%s)", in, host, again, p)
		}
		if len(host) > maxHost || strings.ContainsAny(host, "/ \t\r\n\x00@%[]\\\"'`$;&|<>") {
			t.Fatalf("%q is accepted", host)
		}
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
			t.Fatalf("%q has a port", host)
		}
	})
}

func FuzzHostKey(f *testing.F) {
	for _, s := range []string{key, key + " c", "ssh-rsa AAAA", "command=\"x\" " + key, "# x\n" + key} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		line, problem := HostKey(in)
		if problem != "" {
			return
		}
		if again, p := HostKey(line); again != line || p != "" || strings.ContainsAny(line, "\r\n") {
			t.Fatalf("%q becomes %q, which becomes %q (%s)", in, line, again, p)
		}
	})
}
