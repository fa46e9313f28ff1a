package ldaptarget

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vaultpam/internal/secret"
	"vaultpam/target/peer"
	"vaultpam/test/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// odd holds every printable character, and some that are not ASCII.
const odd = " !\"#$%&'()*+,-./0123456789:;<=>?@AZ[\\]^_`az{|}~ żółć 密碼 🔑 "

// slapd starts one whose people change their own passwords, and which locks
// them out after three wrong ones.
func slapd(t *testing.T) *target.Slapd {
	t.Helper()
	s := target.StartSlapd(t, target.SlapdConfig{
		Global: `moduleload ppolicy
attributetype ( 1.2.840.113556.1.4.90 NAME 'unicodePwd' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.11.1 NAME 'adLike' SUP top AUXILIARY MAY unicodePwd )`,
		Database: `overlay ppolicy
ppolicy_default "cn=default,dc=example,dc=com"
ppolicy_use_lockout
access to attrs=userPassword by dn.exact="uid=rotator,ou=people,dc=example,dc=com" =wx by self =wx by anonymous auth by * none
access to attrs=unicodePwd by dn.exact="uid=rotator,ou=people,dc=example,dc=com" =wx by self =wx by * none`,
	})
	s.Add("cn=default,"+s.BaseDN, map[string][]string{
		"objectClass": {"device", "pwdPolicy"}, "cn": {"default"}, "pwdAttribute": {"userPassword"},
		"pwdLockout": {"TRUE"}, "pwdMaxFailure": {"3"}, "pwdMinLength": {"8"}, "pwdCheckQuality": {"2"}, "pwdInHistory": {"3"}, "pwdMaxAge": {"31536000"},
	})
	return s
}

func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	_, addr, _ := strings.Cut(url, "://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func as(s *target.Slapd, dn, password string) (o Options, asked *int) {
	asked = new(int)
	return Options{TLS: peer.TLS{CA: s.CA}, Host: "127.0.0.1", Username: dn, Timeout: 10 * time.Second, Login: func(context.Context) (Credential, error) {
		*asked++
		return Credential{Password: secret.FromString(password)}, nil
	}}, asked
}

func checks(t *testing.T, s *target.Slapd, dn, password string, want error) {
	t.Helper()
	o, _ := as(s, dn, password)
	if err := Check(t.Context(), dial(t, s.URL), o); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", dn, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryLetsIn(t *testing.T) {
	s := slapd(t)
	ada := s.Person("ada", "ada@example.com", "open sesame")
	checks(t, s, ada, "open sesame", nil)
	checks(t, s, ada, "wrong sesame", ErrAuth)
	checks(t, s, ada, "", ErrAuth) // a bind as nobody
	checks(t, s, "", "open sesame", ErrAuth)
	checks(t, s, "uid=nobody,ou=people,"+s.BaseDN, "open sesame", ErrAuth)
	checks(t, s, "not a name", "open sesame", ErrBroken)
}

func TestLockedAccountsAreNotToldFromTheirPasswords(t *testing.T) {
	s := slapd(t)
	ada := s.Person("ada", "ada@example.com", "open sesame")
	for range 3 {
		checks(t, s, ada, "wrong sesame", ErrAuth)
	}
	checks(t, s, ada, "open sesame", ErrLocked)
	checks(t, s, ada, "wrong sesame", ErrLocked)
	eve := s.Person("eve", "eve@example.com", "open sesame")
	s.Replace("cn=default,"+s.BaseDN, "pwdMaxAge", "1")
	var err error
	for deadline := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(deadline); {
		o, _ := as(s, eve, "open sesame")
		err = Check(t.Context(), dial(t, s.URL), o)
	}
	if !errors.Is(err, ErrLocked) || errors.Is(err, ErrAuth) {
		t.Errorf("expired: %v", err)
	}
}

func TestTheDirectoryIsVerifiedBeforeTheCredentialIsOpened(t *testing.T) {
	s, other := target.StartSlapd(t), target.StartSlapd(t)
	for name, c := range map[string]struct {
		url   string
		start bool
		tls   peer.TLS
		want  error
	}{
		"ldaps":                 {s.URL, false, peer.TLS{CA: s.CA}, nil},
		"StartTLS":              {s.PlainURL, true, peer.TLS{CA: s.CA}, nil},
		"ldaps of another":      {s.URL, false, peer.TLS{CA: other.CA}, ErrTLS},
		"StartTLS of another":   {s.PlainURL, true, peer.TLS{CA: other.CA}, ErrTLS},
		"ldaps for another":     {s.URL, false, peer.TLS{CA: s.CA, ServerName: "dc.example.com"}, ErrTLS},
		"StartTLS for another":  {s.PlainURL, true, peer.TLS{CA: s.CA, ServerName: "dc.example.com"}, ErrTLS},
		"no TLS where wanted":   {s.PlainURL, false, peer.TLS{Mode: peer.Disable}, ErrBroken},
		"an unknown mode":       {s.PlainURL, true, peer.TLS{Mode: "sometimes"}, ErrTLS},
		"a CA that is no CA":    {s.PlainURL, true, peer.TLS{CA: "x"}, ErrTLS},
		"any, as was asked for": {s.PlainURL, true, peer.TLS{Mode: peer.Require}, nil},
	} {
		o, asked := as(s, s.BindDN, s.Password)
		o.TLS, o.StartTLS = c.tls, c.start
		if err := Check(t.Context(), dial(t, c.url), o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if opened := *asked > 0; opened == (c.want == ErrTLS) {
			t.Errorf("%s: the credential was opened %d times", name, *asked)
		}
	}
}

func TestPasswordIsChangedByItsOwnerAndByAnAdministrator(t *testing.T) {
	s := slapd(t)
	ada := s.Person("ada", "ada@example.com", "open sesame")
	rotator := s.Person("rotator", "rotator@example.com", "turn and turn")
	own, _ := as(s, ada, "open sesame")
	must(t, SetPassword(t.Context(), dial(t, s.URL), own, ada, secret.FromString(odd), secret.FromString("open sesame")))
	checks(t, s, ada, odd, nil)
	checks(t, s, ada, "open sesame", ErrAuth)
	admin, _ := as(s, rotator, "turn and turn")
	must(t, SetPassword(t.Context(), dial(t, s.URL), admin, ada, secret.FromString("by the rotator"), secret.Value{}))
	checks(t, s, ada, "by the rotator", nil)
	checks(t, s, ada, odd, ErrAuth)
	// "" is who logs in.
	must(t, SetPassword(t.Context(), dial(t, s.URL), admin, "", secret.FromString("turned for good"), secret.FromString("turn and turn")))
	checks(t, s, rotator, "turned for good", nil)
	checks(t, s, rotator, "turn and turn", ErrAuth)
}

func TestRefusedChangesLeaveThePassword(t *testing.T) {
	s := slapd(t)
	ada := s.Person("ada", "ada@example.com", "open sesame")
	bob := s.Person("bob", "bob@example.com", "open barley")
	own, _ := as(s, ada, "open sesame")
	set := func(user, next, old string) error {
		return SetPassword(t.Context(), dial(t, s.URL), own, user, secret.FromString(next), secret.FromString(old))
	}
	must(t, set(ada, "a newer sesame", "open sesame"))
	own, _ = as(s, ada, "a newer sesame")
	for name, err := range map[string]error{
		"too short":       set(ada, "short", "a newer sesame"),
		"used before":     set(ada, "open sesame", "a newer sesame"),
		"another old one": set(ada, "long enough", "not mine at all"),
		"somebody else's": set(bob, "long enough", ""),
		"nobody's":        set("uid=nobody,ou=people,"+s.BaseDN, "long enough", ""),
		"an empty one":    set(ada, "", "a newer sesame"),
		"with a NUL":      set(ada, "long\x00enough", "a newer sesame"),
		"no text":         set(ada, "long\xffenough", "a newer sesame"),
		"endless":         set(ada, strings.Repeat("x", maxPassword+1), "a newer sesame"),
		"not a name":      set("ada", "long enough", "a newer sesame"),
		"by which attribute": func() error {
			o := own
			o.Attribute = "cn"
			return SetPassword(t.Context(), dial(t, s.URL), o, ada, secret.FromString("long enough"), secret.Value{})
		}(),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want %v", name, err, ErrRefused)
		}
	}
	checks(t, s, ada, "a newer sesame", nil)
	checks(t, s, bob, "open barley", nil)
}

func TestUnicodePwdIsWrittenAsActiveDirectoryTakesIt(t *testing.T) {
	s := slapd(t)
	ada := s.Person("ada", "ada@example.com", "open sesame")
	rotator := s.Person("rotator", "rotator@example.com", "turn and turn")
	s.Replace(ada, "objectClass", "inetOrgPerson", "adLike")
	kept := func(want string) {
		t.Helper()
		if got := s.Read(ada, "unicodePwd"); len(got) != 1 || got[0] != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	admin, _ := as(s, rotator, "turn and turn")
	admin.Attribute = UnicodePwd
	must(t, SetPassword(t.Context(), dial(t, s.URL), admin, ada, secret.FromString("new"), secret.Value{}))
	kept("\"\x00n\x00e\x00w\x00\"\x00")
	own, _ := as(s, ada, "open sesame")
	own.Attribute = UnicodePwd
	must(t, SetPassword(t.Context(), dial(t, s.URL), own, "", secret.FromString("é\"🔑"), secret.FromString("new")))
	kept("\"\x00\xe9\x00\"\x00\x3d\xd8\x11\xdd\"\x00")
	// The old one is proved, and without it one is no administrator.
	if err := SetPassword(t.Context(), dial(t, s.URL), own, "", secret.FromString("third"), secret.FromString("new")); !errors.Is(err, ErrRefused) {
		t.Errorf("%v, want %v", err, ErrRefused)
	}
	plain := admin
	plain.TLS.Mode = peer.Disable
	if err := SetPassword(t.Context(), dial(t, s.PlainURL), plain, ada, secret.FromString("third"), secret.Value{}); !errors.Is(err, ErrRefused) {
		t.Errorf("without TLS: %v, want %v", err, ErrRefused)
	}
	kept("\"\x00\xe9\x00\"\x00\x3d\xd8\x11\xdd\"\x00")
}

func TestAttackPasswordsInWhatTheDirectoryShows(t *testing.T) {
	const canary = "canary-93e0"
	s := slapd(t)
	ada := s.Person("ada", "ada@example.com", canary+"-old")
	own, _ := as(s, ada, canary+"-old")
	must(t, SetPassword(t.Context(), dial(t, s.URL), own, ada, secret.FromString(canary+"-next"), secret.FromString(canary+"-old")))
	own, _ = as(s, ada, canary+"-next")
	err := SetPassword(t.Context(), dial(t, s.URL), own, ada, secret.FromString(canary), secret.FromString(canary+"-wrong"))
	if !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), canary) {
		t.Errorf("%v", err)
	}
	if log := s.Log(); !strings.Contains(log, "BIND dn=") || strings.Contains(log, canary) {
		t.Errorf("the log: %s", log)
	}
}

func TestDirectoryThatIsGoneHasSaidNothing(t *testing.T) {
	s := slapd(t)
	ada := s.Person("ada", "ada@example.com", "open sesame")
	own, _ := as(s, ada, "")
	own.Login = func(context.Context) (Credential, error) {
		s.Kill() // after it was verified
		return Credential{Password: secret.FromString("open sesame")}, nil
	}
	if err := SetPassword(t.Context(), dial(t, s.URL), own, ada, secret.FromString("next sesame"), secret.Value{}); !errors.Is(err, ErrBroken) || errors.Is(err, ErrAuth) {
		t.Errorf("%v, want %v", err, ErrBroken)
	}
}
