package pgtarget

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
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
		TLS: TLS{Mode: "verify-full", CA: d.CA}, Host: "localhost", Username: user, Database: "postgres", Timeout: 10 * time.Second,
		Login: func(context.Context) (Credential, error) {
			return Credential{Password: secret.FromString(password)}, nil
		},
	}
}

func admin(t *testing.T, d *target.Database, statements ...string) {
	t.Helper()
	if err := Run(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), statements); err != nil {
		t.Fatal(statements, err)
	}
}

func check(t *testing.T, d *target.Database, o Options, want error) {
	t.Helper()
	err := Check(t.Context(), d.Dial(t), o)
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", o.Username, err, want)
	}
}

const printable = ` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_` + "`abcdefghijklmnopqrstuvwxyz{|}~ canary"

func TestPostgreSQL(t *testing.T) {
	d := target.StartPostgres(t)
	admin(t, d, "CREATE ROLE anna LOGIN PASSWORD 'one'", "CREATE ROLE late LOGIN PASSWORD 'one' VALID UNTIL '2001-01-01'",
		"CREATE ROLE off NOLOGIN PASSWORD 'one'", "CREATE ROLE clear LOGIN PASSWORD 'one'", "CREATE ROLE open LOGIN",
		"SET password_encryption='md5'", "CREATE ROLE old LOGIN PASSWORD 'one'")

	t.Run("logins", func(t *testing.T) {
		check(t, d, as(d, "anna", "one"), nil)
		check(t, d, as(d, "old", "one"), nil)
		check(t, d, as(d, "clear", "one"), nil)
		for _, user := range []string{"anna", "old", "nobody", "late", "off"} {
			password := "one"
			if user == "anna" || user == "old" {
				password = "two"
			}
			check(t, d, as(d, user, password), ErrAuth)
		}
		check(t, d, as(d, "open", "any"), ErrBroken) // it would find every password right
		unknown := as(d, "clear", "one")
		unknown.TLS.Mode = "require"
		check(t, d, unknown, ErrBroken)
		plain := as(d, "anna", "one")
		plain.TLS.Mode = "disable"
		check(t, d, plain, nil)
	})

	t.Run("client certificates", func(t *testing.T) {
		admin(t, d, "CREATE ROLE carl LOGIN")
		for name, want := range map[string]error{"carl": nil, "anna": ErrAuth} {
			o := as(d, "carl", "")
			o.Login = func(context.Context) (Credential, error) { return certificate(t, d, name), nil }
			check(t, d, o, want)
		}
		check(t, d, as(d, "carl", "one"), ErrAuth) // without one
	})

	t.Run("a wrong server sees no credential", func(t *testing.T) {
		other := target.StartPostgres(t)
		for name, change := range map[string]func(*Options){
			"another CA":   func(o *Options) { o.TLS.CA = other.CA },
			"another name": func(o *Options) { o.Host = "elsewhere" },
			"ca alone":     func(o *Options) { o.TLS = TLS{Mode: "verify-ca", CA: other.CA} },
		} {
			o := as(d, "anna", "one")
			change(&o)
			o.Login = func(context.Context) (Credential, error) {
				t.Error(name, "was given the credential")
				return Credential{}, nil
			}
			check(t, d, o, ErrTLS)
		}
	})

	t.Run("passwords", func(t *testing.T) {
		check(t, d, as(d, "anna", "one"), nil)
		if err := SetPassword(t.Context(), d.Dial(t), as(d, "anna", "one"), "anna", secret.FromString(printable)); err != nil {
			t.Fatal(err)
		}
		check(t, d, as(d, "anna", printable), nil)
		check(t, d, as(d, "anna", "one"), ErrAuth)
		name := "x\"; DROP ROLE anna; --'\\\nü"
		admin(t, d, `CREATE ROLE "x""; DROP ROLE anna; --'\`+"\nü\" LOGIN")
		if err := SetPassword(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), name, secret.FromString(printable)); err != nil {
			t.Fatal(err)
		}
		check(t, d, as(d, name, printable), nil)
		check(t, d, as(d, "anna", printable), nil)
		if err := SetPassword(t.Context(), d.Dial(t), as(d, "anna", printable), "late", secret.FromString("canary")); !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "canary") {
			t.Error(err)
		}
		if log := d.Log(t); bytes.Contains(log, []byte("canary")) || !bytes.Contains(log, []byte("SCRAM-SHA-256$")) {
			t.Error("the log holds the password, or not the statement")
		}
	})

	t.Run("statements", func(t *testing.T) {
		o := as(d, d.Admin, "admin's")
		err := Run(t.Context(), d.Dial(t), o, []string{"CREATE ROLE half", "SELECT 'canary2' FROM nowhere"})
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "42P01") || strings.Contains(err.Error(), "canary2") {
			t.Error(err)
		}
		if err := Run(t.Context(), d.Dial(t), o, []string{"CREATE ROLE half; CREATE ROLE two"}); !errors.Is(err, ErrRefused) {
			t.Error("two statements in one:", err)
		}
		if users, err := List(t.Context(), d.Dial(t), o, "half"); err != nil || len(users) != 0 {
			t.Error("half a transaction stayed:", users, err)
		}
	})

	t.Run("ephemeral user", func(t *testing.T) {
		password := secret.FromString("ephemeral'canary")
		verifier, err := Verifier(password)
		if err != nil {
			t.Fatal(err)
		}
		v := sqltemplate.Values{Name: "vp_a'b\"c", Password: verifier, ExpiresAt: time.Now().Add(time.Hour)}
		run := func(templates ...string) {
			t.Helper()
			var statements []string
			for _, text := range templates {
				s, err := sqltemplate.Expand(text, v)
				if err != nil {
					t.Fatal(err)
				}
				statements = append(statements, s)
			}
			admin(t, d, statements...)
		}
		run("CREATE ROLE {{name}} LOGIN PASSWORD {{password}} VALID UNTIL {{expires_at}}", "GRANT CREATE, USAGE ON SCHEMA public TO {{name}}")
		o := as(d, v.Name, "ephemeral'canary")
		if err := Run(t.Context(), d.Dial(t), o, []string{"CREATE TABLE kept (a int)"}); err != nil {
			t.Fatal(err)
		}
		held := make(chan error, 1)
		go func() { held <- Run(t.Context(), d.Dial(t), o, []string{"SELECT pg_sleep(8)"}) }()
		for !bytes.Contains(d.Log(t), []byte("pg_sleep(8)")) {
			time.Sleep(20 * time.Millisecond)
		}
		if users, err := List(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), "vp_"); err != nil || !slices.Equal(users, []string{v.Name}) {
			t.Error(users, err)
		}
		run("ALTER ROLE {{name}} NOLOGIN", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'",
			"REASSIGN OWNED BY {{name}} TO anna", "DROP OWNED BY {{name}}", "DROP ROLE {{name}}")
		if err := <-held; !errors.Is(err, ErrBroken) {
			t.Error("its session:", err)
		}
		check(t, d, o, ErrAuth)
		admin(t, d, "SELECT * FROM kept")
		if bytes.Contains(d.Log(t), []byte("ephemeral")) {
			t.Error("the log holds the password")
		}
	})

	t.Run("no connections left", func(t *testing.T) {
		var held sync.WaitGroup
		for range 9 {
			held.Go(func() { // again while those before are still leaving
				for range 100 {
					if Run(t.Context(), d.Dial(t), as(d, "anna", printable), []string{"SELECT pg_sleep(4)"}) == nil {
						return
					}
				}
			})
		}
		for end := time.Now().Add(3 * time.Second); bytes.Count(d.Log(t), []byte("LOG:  execute <unnamed>: SELECT pg_sleep(4)")) < 9 && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
		full := false
		for end := time.Now().Add(2 * time.Second); !full && time.Now().Before(end); {
			err := Check(t.Context(), d.Dial(t), as(d, "anna", printable))
			full = errors.Is(err, ErrBroken) && strings.Contains(err.Error(), "53300")
		}
		if !full {
			t.Error("never full")
		}
		held.Wait()
	})

	t.Run("killed in the midst", func(t *testing.T) {
		locked := make(chan error, 1)
		go func() {
			locked <- Run(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), []string{"LOCK TABLE pg_authid IN SHARE MODE", "SELECT pg_sleep(9)"})
		}()
		for !bytes.Contains(d.Log(t), []byte("pg_sleep(9)")) {
			time.Sleep(20 * time.Millisecond)
		}
		statement := []byte(`ALTER ROLE "anna" PASSWORD`)
		before := bytes.Count(d.Log(t), statement)
		done := make(chan error, 1)
		go func() {
			done <- SetPassword(t.Context(), d.Dial(t), as(d, "anna", printable), "anna", secret.FromString("next"))
		}()
		for bytes.Count(d.Log(t), statement) == before {
			time.Sleep(20 * time.Millisecond)
		}
		d.Kill()
		if err := <-done; !errors.Is(err, ErrBroken) {
			t.Error(err)
		}
		<-locked
	})
}

// certificate makes one for a name, signed by what the server believes.
func certificate(t *testing.T, d *target.Database, name string) Credential {
	t.Helper()
	ca, err := tls.X509KeyPair([]byte(d.CA), []byte(d.CAKey))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Credential{
		Certificate: secret.New(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		PrivateKey:  secret.New(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

func TestHostileServersLearnNothingAndEnd(t *testing.T) {
	for name, speak := range map[string]func(net.Conn){
		"clear text": func(c net.Conn) { _, _ = c.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3}) },
		"garbage":    func(c net.Conn) { _, _ = c.Write(bytes.Repeat([]byte{0xff}, 4096)) },
		"silence":    func(net.Conn) {},
		"endless": func(c net.Conn) {
			for {
				if _, err := c.Write([]byte("N\x00\x00\x00\x08C0\x00\x00")); err != nil {
					return
				}
			}
		},
	} {
		ours, theirs := net.Pipe()
		heard := make(chan []byte, 1)
		go func() { b, _ := io.ReadAll(theirs); heard <- b }()
		go speak(theirs)
		o := Options{TLS: TLS{Mode: "disable"}, Username: "anna", Timeout: time.Second, Login: func(context.Context) (Credential, error) {
			return Credential{Password: secret.FromString("canary")}, nil
		}}
		err := Check(t.Context(), ours, o)
		if !errors.Is(err, ErrBroken) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
		if b := <-heard; bytes.Contains(b, []byte("canary")) {
			t.Errorf("%s: the server was told %q", name, b)
		}
		_ = theirs.Close()
	}
}
