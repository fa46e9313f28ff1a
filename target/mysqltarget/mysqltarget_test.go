package mysqltarget

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/target/sqltemplate"
	"vaultpam/test/target"
)

func as(d *target.Database, user, password string) Options {
	return Options{
		TLS: TLS{Mode: "verify-full", CA: d.CA}, Host: "localhost", Username: user, Timeout: 10 * time.Second,
		Login: func(context.Context) (Credential, error) {
			return Credential{Password: secret.FromString(password)}, nil
		},
	}
}

func admin(t *testing.T, d *target.Database, statements ...string) {
	t.Helper()
	if err := Run(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), statements); err != nil {
		t.Fatalf("%q: %v\n%s", statements, err, d.Log(t))
	}
}

func check(t *testing.T, d *target.Database, o Options, want error) {
	t.Helper()
	if err := Check(t.Context(), d.Dial(t), o); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", o.Username, err, want)
	}
}

const printable = ` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`abcdefghijklmnopqrstuvwxyz{|}~ canary"

func TestMariaDB(t *testing.T) {
	for name, mode := range map[string]string{"default mode": "", "ANSI": "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"} {
		t.Run(name, func(t *testing.T) { testMariaDB(t, target.StartMariaDB(t, "--sql-mode="+mode, "--max-connections=10")) })
	}
}

func testMariaDB(t *testing.T, d *target.Database) {
	admin(t, d, "CREATE USER anna@'%' IDENTIFIED BY 'one'", "CREATE USER anna@'10.0.0.1' IDENTIFIED BY 'one'",
		"CREATE USER locked@'%' IDENTIFIED BY 'one' ACCOUNT LOCK", "CREATE USER late@'%' IDENTIFIED BY 'one' PASSWORD EXPIRE")

	t.Run("logins", func(t *testing.T) {
		check(t, d, as(d, "anna", "one"), nil)
		check(t, d, as(d, "anna", "two"), ErrAuth)
		check(t, d, as(d, "nobody", "one"), ErrAuth)
		check(t, d, as(d, "locked", "one"), ErrLocked)
		check(t, d, as(d, "late", "one"), ErrAuth)
		plain := as(d, "anna", "one")
		plain.TLS.Mode = "disable"
		check(t, d, plain, nil)
	})

	t.Run("a wrong server sees no credential", func(t *testing.T) {
		o := as(d, "anna", "one")
		o.Host = "elsewhere"
		o.Login = func(context.Context) (Credential, error) {
			t.Error("it was given the credential")
			return Credential{}, nil
		}
		check(t, d, o, ErrTLS)
		o.Host, o.TLS.CA = "localhost", ""
		check(t, d, o, ErrTLS)
	})

	t.Run("passwords", func(t *testing.T) {
		if err := SetPassword(t.Context(), d.Dial(t), as(d, "anna", "one"), "anna", secret.FromString(printable)); err != nil {
			t.Fatal(err)
		}
		check(t, d, as(d, "anna", printable), nil)
		check(t, d, as(d, "anna", "one"), ErrAuth)
		if err := SetPassword(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), "anna", secret.FromString("canary both")); err != nil {
			t.Fatal(err)
		}
		check(t, d, as(d, "anna", "canary both"), nil)
		for _, name := range []string{"x'; DROP USER anna; #", "a\\", "ü\n\"b`"} {
			quoted, err := quote(name)
			if err != nil {
				t.Fatal(err)
			}
			admin(t, d, "CREATE USER "+quoted+"@'%' IDENTIFIED BY 'one'")
			if err := SetPassword(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), name, secret.FromString(printable)); err != nil {
				t.Errorf("%q: %v", name, err)
			}
			check(t, d, as(d, name, printable), nil)
		}
		check(t, d, as(d, "anna", "canary both"), nil)
		for _, user := range []string{"locked", "nobody"} {
			err := SetPassword(t.Context(), d.Dial(t), as(d, "anna", "canary both"), user, secret.FromString("canary"))
			if !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "canary") {
				t.Error(err)
			}
		}
		if bytes.Contains(d.Log(t), []byte("canary")) {
			t.Error("the log holds the password")
		}
	})

	t.Run("statements", func(t *testing.T) {
		o := as(d, d.Admin, "admin's")
		for _, s := range []string{"SELECT 'canary2' FROM nowhere.at_all", "SELECT 1; DROP USER anna", "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE mysql.user"} {
			if err := Run(t.Context(), d.Dial(t), o, []string{s}); !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "canary2") {
				t.Errorf("%s: %v", s, err)
			}
		}
	})

	t.Run("ephemeral user", func(t *testing.T) {
		v := sqltemplate.Values{MySQL: true, Name: "vp_a'b", Password: secret.FromString(Hash(secret.FromString("ephemeral"))), ExpiresAt: time.Now()}
		run := func(template string) {
			t.Helper()
			s, err := sqltemplate.Expand(template, v)
			if err != nil {
				t.Fatal(err)
			}
			admin(t, d, s)
		}
		run("CREATE USER {{name}}@'%' IDENTIFIED VIA mysql_native_password USING {{password}}")
		o := as(d, v.Name, "ephemeral")
		check(t, d, o, nil)
		admin(t, d, "CREATE USER VP_other@'%'", "CREATE USER vpx@'%'")
		if users, err := List(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), "vp_"); err != nil || !slices.Equal(users, []string{v.Name}) {
			t.Error(users, err)
		}
		done := hold(t, d, o, "SELECT SLEEP(8)")
		run("ALTER USER {{name}}@'%' ACCOUNT LOCK")
		run("KILL USER {{name}}")
		run("DROP USER {{name}}@'%'")
		if err := <-done; !errors.Is(err, ErrBroken) {
			t.Error("its session:", err)
		}
		check(t, d, o, ErrAuth)
		if bytes.Contains(d.Log(t), []byte("ephemeral")) {
			t.Error("the log holds the password")
		}
	})

	t.Run("no connections left", func(t *testing.T) {
		var held sync.WaitGroup
		for range 10 {
			held.Go(func() { // again while those before are still leaving
				for range 100 {
					if Run(t.Context(), d.Dial(t), as(d, "anna", "canary both"), []string{"DO SLEEP(4)"}) == nil {
						return
					}
				}
			})
		}
		for end := time.Now().Add(3 * time.Second); bytes.Count(d.Log(t), []byte("DO SLEEP(4)")) < 10 && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
		full := false
		for end := time.Now().Add(2 * time.Second); !full && time.Now().Before(end); {
			err := Check(t.Context(), d.Dial(t), as(d, "anna", "canary both"))
			full = errors.Is(err, ErrBroken) && strings.Contains(err.Error(), "1040")
		}
		if !full {
			t.Error("never full")
		}
		held.Wait()
	})

	t.Run("killed in the midst", func(t *testing.T) {
		held := hold(t, d, as(d, d.Admin, "admin's"), "FLUSH TABLES WITH READ LOCK", "SELECT SLEEP(7)")
		next := secret.FromString("next")
		done := make(chan error, 1)
		go func() {
			done <- SetPassword(t.Context(), d.Dial(t), as(d, "anna", "canary both"), "anna", next)
		}()
		await(t, d, "SET PASSWORD = '"+Hash(next)+"'")
		d.Kill()
		if err := <-done; !errors.Is(err, ErrBroken) {
			t.Error(err)
		}
		<-held
	})
}

// hold runs statements of which the last takes long, and returns when that one
// is being run.
func hold(t *testing.T, d *target.Database, o Options, statements ...string) chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), d.Dial(t), o, statements) }()
	await(t, d, statements[len(statements)-1])
	return done
}

// await returns when the server runs a statement.
func await(t *testing.T, d *target.Database, statement string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		seen := false
		err := with(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), func(c *client) error {
			rows, err := c.query("SELECT INFO FROM information_schema.PROCESSLIST")
			seen = slices.Contains(rows, statement)
			return err
		})
		if seen {
			return
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("%s is not being run: %v", statement, err)
		}
	}
}

// hello is the greeting of a MySQL 8 without TLS.
func hello() []byte {
	b := append([]byte{10}, "8.0.0\x00\x01\x00\x00\x0012345678\x00"...)
	b = append(b, 0, 0x82, 45, 2, 0, 0x08, 0, 21) // protocol 4.1, secure, plugins
	b = append(b, make([]byte, 10)...)
	return append(b, "123456789012\x00caching_sha2_password\x00"...)
}

func packet(seq byte, b []byte) []byte {
	return append([]byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16), seq}, b...)
}

func TestHostileServersLearnNothingAndEnd(t *testing.T) {
	for name, c := range map[string]struct {
		answers [][]byte
		want    error
	}{
		"asks for clear text":     {[][]byte{packet(0, hello()), packet(2, []byte("\xfemysql_clear_password\x00"))}, ErrBroken},
		"wants the password":      {[][]byte{packet(0, hello()), packet(2, []byte{1, 4})}, ErrTLS},
		"the old way":             {[][]byte{packet(0, hello()), packet(2, []byte{0xfe})}, ErrBroken},
		"asks for a file":         {[][]byte{packet(0, hello()), packet(2, []byte{0}), packet(1, []byte("\xfb/etc/passwd"))}, ErrBroken},
		"garbage":                 {[][]byte{bytes.Repeat([]byte{0xff}, 4096)}, ErrBroken},
		"silence":                 {nil, ErrBroken},
		"repeats it in its error": {[][]byte{packet(0, hello()), packet(2, []byte("\xff\x15\x04#28000canary"))}, ErrAuth},
		"endless columns":         {append([][]byte{packet(0, hello()), packet(2, []byte{0})}, packet(1, []byte{0xfa}), bytes.Repeat([]byte{1, 0, 0, 2, 0}, 1<<20)), ErrBroken},
	} {
		ours, theirs := net.Pipe()
		heard := make(chan []byte, 1)
		go func() { b, _ := io.ReadAll(theirs); heard <- b }()
		go func() {
			for _, a := range c.answers {
				_, _ = theirs.Write(a)
			}
		}()
		o := Options{TLS: TLS{Mode: "disable"}, Username: "anna", Timeout: time.Second, Login: func(context.Context) (Credential, error) {
			return Credential{Password: secret.FromString("canary")}, nil
		}}
		err := Check(t.Context(), ours, o)
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if b := <-heard; bytes.Contains(b, []byte("canary")) {
			t.Errorf("%s: the server was told %q", name, b)
		}
		_ = theirs.Close()
	}
}

func FuzzParseGreeting(f *testing.F) {
	f.Add(hello())
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := parseGreeting(b)
		if err == nil && len(g.nonce) != 20 {
			t.Fatal("a nonce of another length")
		}
		_, _ = firstColumn(b)
		_ = refusal(b, ErrRefused)
	})
}
