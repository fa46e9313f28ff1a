package ldap_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"vaultpam/idp/ldap"
	"vaultpam/internal/outbound"
	"vaultpam/internal/secret"
	"vaultpam/test/target"
)

func local() *ldap.Client {
	return ldap.New(outbound.Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
}

func directory(s *target.Slapd) ldap.Directory {
	return ldap.Directory{
		URLs: []string{s.URL}, CA: s.CA, BindDN: s.BindDN, Password: secret.FromString(s.Password), BaseDN: "ou=people," + s.BaseDN,
		UserFilter: "(|(uid={username})(mail={username}))", SubjectAttribute: "entryUUID", EmailAttribute: "mail", NameAttribute: "displayName",
	}
}

func kindOf(err error) error {
	for _, k := range []error{ldap.ErrRefused, ldap.ErrUnreachable} {
		if errors.Is(err, k) {
			return k
		}
	}
	return err
}

func TestPersonIsWhoTheDirectorySays(t *testing.T) {
	t.Parallel()
	s := target.StartSlapd(t)
	ada := s.Person("ada", "ada@example.com", "open sesame 1")
	ops := s.Group("groups", "ops", ada)
	s.Group("elsewhere", "admins", ada)
	c, d := local(), directory(s)
	for _, name := range []string{"ada", "ada@example.com"} {
		e, err := c.Authenticate(t.Context(), d, name, secret.FromString("open sesame 1"))
		if err != nil || e.Email != "ada@example.com" || e.Name != "Person ada" || len(e.Subject) != 36 || e.Disabled {
			t.Fatalf("%s: %+v %v", name, e, err)
		}
		if slices.Sort(e.Groups); !slices.Contains(e.Groups, ops) || slices.Contains(e.Groups, "admins") || slices.Contains(e.Groups, "ops") {
			t.Errorf("groups %q", e.Groups)
		}
	}
	// Groups below a base, by their short names as well, and no others.
	d.GroupBaseDN, d.GroupFilter = "ou=groups,"+s.BaseDN, "(member={dn})"
	e, err := c.Authenticate(t.Context(), d, "ada", secret.FromString("open sesame 1"))
	if err != nil || !slices.Equal(e.Groups, []string{ops, "ops"}) {
		t.Errorf("%q %v", e.Groups, err)
	}
	// By STARTTLS it is the same.
	d.URLs = []string{s.PlainURL}
	if again, err := c.Authenticate(t.Context(), d, "ada", secret.FromString("open sesame 1")); err != nil || again.Subject != e.Subject {
		t.Errorf("%+v %v", again, err)
	}
	// A server that is away is not the end.
	d.URLs = []string{"ldaps://127.0.0.1:1", s.URL}
	if _, err := c.Authenticate(t.Context(), d, "ada", secret.FromString("open sesame 1")); err != nil {
		t.Error(err)
	}

	bob := s.Person("bob", "bob@example.com", "x")
	b, err := c.Authenticate(t.Context(), d, "bob", secret.FromString("x"))
	if err != nil {
		t.Fatal(err)
	}
	s.Delete(bob)
	found, err := c.Lookup(t.Context(), d, []string{e.Subject, b.Subject, "*", "no such"})
	if err != nil || len(found) != 1 || found[e.Subject].Email != "ada@example.com" {
		t.Errorf("%+v %v", found, err)
	}
}

func TestAttackNamesAndPasswordsThatAreMore(t *testing.T) {
	t.Parallel()
	s := target.StartSlapd(t)
	s.Person("ada", "shared@example.com", "open sesame 1")
	s.Person("eve", "shared@example.com", "eve's own")
	c, d := local(), directory(s)
	for name, p := range map[string][2]string{
		"a wrong password":             {"ada", "open sesame 2"},
		"no password":                  {"ada", ""},
		"a password that ends early":   {"ada", "open sesame 1\x00"},
		"nobody":                       {"zoe", "open sesame 1"},
		"a wildcard":                   {"ad*", "open sesame 1"},
		"everybody":                    {"*", "open sesame 1"},
		"a filter":                     {"zoe)(|(uid=ada)", "open sesame 1"},
		"a filter that ends another":   {"ada))(|(uid=*", "open sesame 1"},
		"a name that ends early":       {"ada\x00", "open sesame 1"},
		"no name":                      {"", "open sesame 1"},
		"a name of two":                {"shared@example.com", "open sesame 1"},
		"the account's own name":       {s.BindDN, s.Password},
		"a name without end":           {strings.Repeat("a", 100_000), "open sesame 1"},
		"a password without end":       {"ada", strings.Repeat("a", 100_000)},
		"somebody else's password":     {"ada", "eve's own"},
		"a distinguished name":         {"uid=ada,ou=people,dc=example,dc=com", "open sesame 1"},
		"an escape that is not hidden": {`\61da`, "open sesame 1"},
	} {
		e, err := c.Authenticate(t.Context(), d, p[0], secret.FromString(p[1]))
		if !errors.Is(err, ldap.ErrRefused) || e.Subject != "" {
			t.Errorf("%s: %+v %v", name, e, err)
		} else if want := "the user name or the password is wrong"; !strings.Contains(err.Error(), want) {
			t.Errorf("%s is told apart: %v", name, err)
		}
	}
}

func TestDirectoryMustBeTheRightOne(t *testing.T) {
	t.Parallel()
	s, other := target.StartSlapd(t), target.StartSlapd(t)
	s.Person("ada", "ada@example.com", "open sesame 1")
	for name, change := range map[string]func(*ldap.Directory){
		"its certificate is another's": func(d *ldap.Directory) { d.CA = other.CA },
		"nobody vouches for it":        func(d *ldap.Directory) { d.CA = "" },
		"its name is another":          func(d *ldap.Directory) { d.URLs[0] = strings.Replace(d.URLs[0], "127.0.0.1", "127.0.0.2", 1) },
		"the account is not let in":    func(d *ldap.Directory) { d.Password = secret.FromString("wrong") },
		"the account has no password":  func(d *ldap.Directory) { d.Password = secret.Value{} },
		"the base is not there":        func(d *ldap.Directory) { d.BaseDN = "ou=nowhere,dc=example,dc=com" },
		"nothing identifies people":    func(d *ldap.Directory) { d.SubjectAttribute = "employeeNumber" },
		"it is inside of the house":    func(d *ldap.Directory) { d.URLs[0] = "ldaps://10.0.0.1" },
		"no server is named":           func(d *ldap.Directory) { d.URLs = nil },
		"groups are where nothing is": func(d *ldap.Directory) {
			d.GroupBaseDN, d.GroupFilter = "ou=nowhere,dc=example,dc=com", "(member={dn})"
		},
		"plain text at the secure port": func(d *ldap.Directory) { d.URLs[0] = strings.Replace(d.URLs[0], "ldaps", "ldap", 1) },
	} {
		d := directory(s)
		change(&d)
		if _, err := local().Authenticate(t.Context(), d, "ada", secret.FromString("open sesame 1")); kindOf(err) != ldap.ErrUnreachable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := local().Test(t.Context(), directory(s)); err != nil {
		t.Error(err)
	}
}

// server answers connections with what f does.
func server(t *testing.T, f func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return "ldap://" + l.Addr().String()
}

func TestAttackDirectoryThatMisbehaves(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(net.Conn){
		"says that it has no encryption": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 512))
			// An extended response to message 1: unwilling (53).
			_, _ = c.Write([]byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, 0x35, 0x04, 0x00, 0x04, 0x00})
			// Whatever else the client says would be in the clear.
			if n, _ := io.Copy(io.Discard, c); n > 64 {
				t.Error("it goes on without encryption")
			}
		},
		"claims a message of two gigabytes": func(c net.Conn) {
			_, _ = c.Write([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xf0})
			_, _ = io.Copy(io.Discard, c)
		},
		"sends without end": func(c net.Conn) {
			for {
				if _, err := c.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		},
		"hangs up": func(net.Conn) {},
	} {
		d := ldap.Directory{
			URLs: []string{server(t, f)}, BindDN: "cn=admin", Password: secret.FromString("s3cret"), BaseDN: "dc=example", UserFilter: "(uid={username})", SubjectAttribute: "entryUUID",
		}
		began := time.Now()
		if _, err := local().Authenticate(t.Context(), d, "ada", secret.FromString("x")); kindOf(err) != ldap.ErrUnreachable {
			t.Errorf("one that %s: %v", name, err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("one that %s takes %s", name, took)
		}
	}
}

func TestDirectoryThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	url := server(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d := ldap.Directory{URLs: []string{url}, BaseDN: "dc=example", UserFilter: "(uid={username})", SubjectAttribute: "entryUUID"}
	began := time.Now()
	if _, err := local().Authenticate(ctx, d, "ada", secret.FromString("x")); kindOf(err) != ldap.ErrUnreachable || time.Since(began) > 40*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func TestWhatIsNoDirectoryIsSaid(t *testing.T) {
	c := local()
	for _, bad := range []string{"", "http://x", "ldapi:///", "ldap://", "ldap://user:pass@x", "ldap://x/dc=example", "ldap://x?y"} {
		if c.URLProblem(bad) == "" {
			t.Errorf("%q is taken", bad)
		}
	}
	if p := c.URLProblem("ldaps://dc1.example.com:3269"); p != "" {
		t.Error(p)
	}
	if ldap.FilterProblem("(uid={username})", "{username}") != "" || ldap.FilterProblem("(uid=ada)", "{username}") == "" || ldap.FilterProblem("(uid={username}", "{username}") == "" {
		t.Error("a filter is taken for what it is not")
	}
	if ldap.DNProblem("dc=example,dc=com") != "" || ldap.DNProblem("example") == "" || ldap.CAProblem("nothing") == "" || ldap.CAProblem("") != "" {
		t.Error("a name or certificate is taken for what it is not")
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("(uid={username})", "ada")
	f.Add("(|(uid={username})(mail={username}))", "*)(uid=*")
	f.Fuzz(func(t *testing.T, filter, _ string) {
		if ldap.FilterProblem(filter, "{username}") == "" && !strings.Contains(filter, "{username}") {
			t.Error("a filter without a place for the name is taken")
		}
	})
}
