package redistarget

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
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
const odd = " !\"#$%&'()*+,-./0123456789:;<=>?@AZ[\\]^_`az{|}~ \r\n\x00 żółć 密碼 "

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// as logs in over an unencrypted connection; asked counts how often the
// credential was opened.
func as(user, password string) (o Options, asked *int) {
	asked = new(int)
	return Options{TLS: peer.TLS{Mode: peer.Disable}, Username: user, Timeout: 10 * time.Second, Login: func(context.Context) (Credential, error) {
		*asked++
		return Credential{Password: secret.FromString(password)}, nil
	}}, asked
}

func checks(t *testing.T, r *target.Redis, user, password string, want error) {
	t.Helper()
	o, _ := as(user, password)
	if err := Check(t.Context(), dial(t, r.Addr), o); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", user, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRedisLetsIn(t *testing.T) {
	r := target.StartRedis(t)
	_, err := r.Do("ACL", "SETUSER", "app", "on", ">right", "+ping")
	must(t, err)
	_, err = r.Do("ACL", "SETUSER", "off", "off", ">right")
	must(t, err)
	checks(t, r, "", r.Password, nil)
	checks(t, r, "default", r.Password, nil)
	checks(t, r, "app", "right", nil)
	checks(t, r, "app", "wrong", ErrAuth)
	checks(t, r, "app", "", ErrAuth)
	checks(t, r, "off", "right", ErrAuth)
	checks(t, r, "nobody", "right", ErrAuth)
	checks(t, r, "default", "wrong", ErrAuth)
	checks(t, r, "two words", "right", ErrAuth)
}

func TestRedisThatHasNoRoomHasNotRefusedTheCredential(t *testing.T) {
	r := target.StartRedis(t, "maxclients 1")
	held := dial(t, r.Addr) // takes the only place
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		o, _ := as("", r.Password)
		if err = Check(t.Context(), dial(t, r.Addr), o); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrBroken) || errors.Is(err, ErrAuth) {
		t.Errorf("%v, want %v", err, ErrBroken)
	}
	_ = held.Close()
}

func TestTheServerIsVerifiedBeforeTheCredentialIsOpened(t *testing.T) {
	r := target.StartRedis(t)
	other := target.StartRedis(t)
	for name, c := range map[string]struct {
		tls  peer.TLS
		addr string
		want error
	}{
		"right":                 {peer.TLS{Mode: peer.Verify, CA: r.CA}, r.TLSAddr, nil},
		"by default":            {peer.TLS{CA: r.CA}, r.TLSAddr, nil},
		"its name is another":   {peer.TLS{CA: r.CA, ServerName: "db.example.com"}, r.TLSAddr, ErrTLS},
		"of another CA":         {peer.TLS{CA: other.CA}, r.TLSAddr, ErrTLS},
		"of no CA that we know": {peer.TLS{}, r.TLSAddr, ErrTLS},
		"speaks no TLS":         {peer.TLS{CA: r.CA}, r.Addr, nil}, // below
		"require, without a CA": {peer.TLS{Mode: peer.Require}, r.TLSAddr, nil},
		"require, with its CA":  {peer.TLS{Mode: peer.Require, CA: r.CA, ServerName: "db.example.com"}, r.TLSAddr, nil},
		"require, with another": {peer.TLS{Mode: peer.Require, CA: other.CA}, r.TLSAddr, ErrTLS},
		"a mode of tomorrow":    {peer.TLS{Mode: "quantum"}, r.TLSAddr, ErrTLS},
	} {
		o, asked := as("", r.Password)
		o.TLS, o.Host = c.tls, "127.0.0.1"
		if c.addr == r.Addr {
			o.Timeout = time.Second
		}
		err := Check(t.Context(), dial(t, c.addr), o)
		if c.addr == r.Addr {
			// It hangs up, or answers what is no TLS.
			if !errors.Is(err, ErrTLS) && !errors.Is(err, ErrBroken) {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if want := map[bool]int{true: 1}[err == nil]; *asked != want {
			t.Errorf("%s: the credential was opened %d times", name, *asked)
		}
	}
}

func TestPasswordChangesSurviveAKilledServer(t *testing.T) {
	for _, kept := range []string{"", "requirepass"} {
		r := target.StartRedis(t, slices.DeleteFunc([]string{kept}, func(l string) bool { return l == "" })...)
		_, err := r.Do("ACL", "SETUSER", "app", "on", ">one", ">two", "+ping")
		must(t, err)
		admin, _ := as("", r.Password)
		// Of two passwords one is changed, and the other stays.
		must(t, SetPassword(t.Context(), dial(t, r.Addr), admin, "app", secret.FromString(odd), secret.FromString("one")))
		checks(t, r, "app", odd, nil)
		checks(t, r, "app", "two", nil)
		checks(t, r, "app", "one", ErrAuth)
		// Without an old one, the next is the only one.
		must(t, SetPassword(t.Context(), dial(t, r.Addr), admin, "app", secret.FromString("three"), secret.Value{}))
		checks(t, r, "app", "two", ErrAuth)
		// The default user changes their own.
		before := r.Password
		must(t, SetPassword(t.Context(), dial(t, r.Addr), admin, "", secret.FromString("next of default"), secret.FromString(before)))
		r.Password = "next of default"
		checks(t, r, "", before, ErrAuth)
		r.Kill()
		r.Start()
		checks(t, r, "", "next of default", nil)
		checks(t, r, "", before, ErrAuth)
		checks(t, r, "app", "three", nil)
		checks(t, r, "app", odd, ErrAuth)
	}
}

func TestChangeThatWouldNotSurviveIsTakenBack(t *testing.T) {
	r := target.StartRedis(t, "nofile")
	_, err := r.Do("ACL", "SETUSER", "app", "on", ">one", ">two", "+ping")
	must(t, err)
	_, err = r.Do("ACL", "SETUSER", "open", "on", "nopass", "+ping")
	must(t, err)
	for _, user := range []string{"app", "open"} {
		admin, _ := as("", r.Password)
		if err := SetPassword(t.Context(), dial(t, r.Addr), admin, user, secret.FromString("next"), secret.Value{}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want %v", user, err, ErrRefused)
		}
	}
	checks(t, r, "app", "one", nil)
	checks(t, r, "app", "two", nil)
	checks(t, r, "app", "next", ErrAuth)
	checks(t, r, "open", "whatever", nil)

	// A file that cannot be written.
	r = target.StartRedis(t)
	_, err = r.Do("ACL", "SETUSER", "app", "on", ">one", "+ping")
	must(t, err)
	must(t, os.Remove(filepath.Join(r.Dir, "users.acl")))
	must(t, os.MkdirAll(filepath.Join(r.Dir, "users.acl", "full"), 0o700))
	admin, _ := as("", r.Password)
	if err := SetPassword(t.Context(), dial(t, r.Addr), admin, "app", secret.FromString("next"), secret.Value{}); !errors.Is(err, ErrRefused) {
		t.Errorf("%v, want %v", err, ErrRefused)
	}
	checks(t, r, "app", "one", nil)
	checks(t, r, "app", "next", ErrAuth)
}

func TestPasswordOfSomebodyElseOrNobodyIsNotChanged(t *testing.T) {
	r := target.StartRedis(t)
	_, err := r.Do("ACL", "SETUSER", "app", "on", ">one", "+ping")
	must(t, err)
	next := secret.FromString("next")
	admin, _ := as("", r.Password)
	app, _ := as("app", "one")
	for name, err := range map[string]error{
		"nobody":           SetPassword(t.Context(), dial(t, r.Addr), admin, "nobody", next, secret.Value{}),
		"another old one":  SetPassword(t.Context(), dial(t, r.Addr), admin, "app", next, secret.FromString("zero")),
		"not permitted":    SetPassword(t.Context(), dial(t, r.Addr), app, "default", next, secret.Value{}),
		"an empty one":     SetPassword(t.Context(), dial(t, r.Addr), admin, "app", secret.Value{}, secret.Value{}),
		"no name":          SetPassword(t.Context(), dial(t, r.Addr), admin, "a b", next, secret.Value{}),
		"too long":         SetPassword(t.Context(), dial(t, r.Addr), admin, "app", secret.New(make([]byte, maxPassword+1)), secret.Value{}),
		"default, dropped": DropUser(t.Context(), dial(t, r.Addr), admin, "default"),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want %v", name, err, ErrRefused)
		}
	}
	checks(t, r, "app", "one", nil)
	checks(t, r, "app", "next", ErrAuth)
	if users, err := r.Do("ACL", "USERS"); err != nil || strings.Contains(users, "nobody") {
		t.Errorf("%q %v", users, err)
	}
}

func TestEphemeralUsersComeAndGo(t *testing.T) {
	r := target.StartRedis(t)
	admin, _ := as("", r.Password)
	rules := []string{"~orders:*", "%R~stock:*", "&news", "+@read", "-keys", "+config|get"}
	must(t, CreateUser(t.Context(), dial(t, r.Addr), admin, "vp-1", rules, secret.FromString(odd)))
	must(t, CreateUser(t.Context(), dial(t, r.Addr), admin, "vp-2", nil, secret.FromString("x")))
	checks(t, r, "vp-1", odd, nil)
	checks(t, r, "vp-1", "x", ErrAuth)
	if got, err := r.Do("ACL", "GETUSER", "vp-1"); err != nil || !strings.Contains(got, "~orders:* %R~stock:*") || !strings.Contains(got, "+@read") {
		t.Errorf("%q %v", got, err)
	}
	if err := CreateUser(t.Context(), dial(t, r.Addr), admin, "vp-1", rules, secret.FromString("mine")); !errors.Is(err, ErrRefused) {
		t.Errorf("a user was taken over: %v", err)
	}
	for _, rules := range [][]string{{">mine"}, {"nopass"}, {"#" + strings.Repeat("0", 64)}, {"off"}, {"reset"}, {"(~* +@all)"}, {"~a +@all"}, {""}, {"+get\r\n"}, slices.Repeat([]string{"+get"}, maxRules+1)} {
		if err := CreateUser(t.Context(), dial(t, r.Addr), admin, "vp-3", rules, secret.FromString("x")); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", rules, err)
		}
	}
	got, err := List(t.Context(), dial(t, r.Addr), admin, "vp-")
	if slices.Sort(got); err != nil || !slices.Equal(got, []string{"vp-1", "vp-2"}) {
		t.Errorf("%q %v", got, err)
	}

	// Whoever is connected goes with the user; and somebody had them written.
	held := dial(t, r.Addr)
	_, _ = held.Write([]byte("AUTH vp-2 x\r\n"))
	buf := make([]byte, 64)
	if n, _ := held.Read(buf); string(buf[:n]) != "+OK\r\n" {
		t.Fatalf("%q", buf[:n])
	}
	_, err = r.Do("ACL", "SAVE")
	must(t, err)
	for range 2 { // the second time there is nobody any more
		must(t, DropUser(t.Context(), dial(t, r.Addr), admin, "vp-2"))
	}
	_ = held.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := held.Read(buf); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still there: %q %v", buf[:n], err)
	}
	r.Kill()
	r.Start()
	checks(t, r, "vp-2", "x", ErrAuth)

	r = target.StartRedis(t, "nofile")
	admin, _ = as("", r.Password)
	must(t, CreateUser(t.Context(), dial(t, r.Addr), admin, "vp-1", rules, secret.FromString("x")))
	must(t, DropUser(t.Context(), dial(t, r.Addr), admin, "vp-1"))
	checks(t, r, "vp-1", "x", ErrAuth)
}

// Whoever may look over the server's shoulder learns no password.
func TestAttackPasswordsInWhatTheServerShows(t *testing.T) {
	const canary, wrong = "canary-7f1b-next", "canary-7f1b-wrong"
	r := target.StartRedis(t)
	_, err := r.Do("ACL", "SETUSER", "app", "on", ">one", "+ping")
	must(t, err)
	seen := r.Monitor()
	admin, _ := as("", r.Password)
	must(t, SetPassword(t.Context(), dial(t, r.Addr), admin, "app", secret.FromString(canary), secret.FromString("one")))
	must(t, CreateUser(t.Context(), dial(t, r.Addr), admin, "vp-1", []string{"+get"}, secret.FromString(canary)))
	checks(t, r, "app", canary, nil)
	checks(t, r, "app", wrong, ErrAuth)
	app, _ := as("app", canary)
	err = SetPassword(t.Context(), dial(t, r.Addr), app, "app", secret.FromString(canary+"2"), secret.Value{})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("%v", err)
	}
	shown := []string{err.Error(), r.Log()}
	for _, command := range [][]string{{"SLOWLOG", "GET", "100"}, {"ACL", "LOG"}, {"ACL", "LIST"}, {"CLIENT", "LIST"}, {"INFO", "everything"}} {
		out, err := r.Do(command...)
		must(t, err)
		shown = append(shown, out)
	}
	monitored := seen()
	if !strings.Contains(monitored, "AUTH") {
		t.Errorf("the monitor saw nothing: %q", monitored)
	}
	acl, err := os.ReadFile(filepath.Join(r.Dir, "users.acl"))
	must(t, err)
	for i, text := range append(shown, monitored, string(acl)) {
		if strings.Contains(text, "canary-7f1b") {
			t.Errorf("%d: the password is in %q", i, text)
		}
	}
}

func TestServerKilledInTheMidstLeavesTheChangeOpen(t *testing.T) {
	r := target.StartRedis(t)
	_, err := r.Do("ACL", "SETUSER", "app", "on", ">one", "+ping")
	must(t, err)
	admin, _ := as("", r.Password)
	admin.Timeout = 500 * time.Millisecond
	conn := dial(t, r.Addr)
	// It takes the command and never answers.
	_, err = r.Do("CLIENT", "PAUSE", "60000", "ALL")
	must(t, err)
	if err := SetPassword(t.Context(), conn, admin, "app", secret.FromString("next"), secret.FromString("one")); !errors.Is(err, ErrBroken) || errors.Is(err, ErrRefused) {
		t.Errorf("%v, want %v", err, ErrBroken)
	}
	r.Kill()
	r.Start()
	o, _ := as("", r.Password)
	must(t, Check(t.Context(), dial(t, r.Addr), o))
}
