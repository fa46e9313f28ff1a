package script

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/crypto/ssh"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// lives is a real server at which an account's secret lives.
type lives struct {
	name     string
	resource v1.ResourceIn
	username string
	secret   v1.CredentialIn
	settings map[string]any
	helper   v1.AccountIn // may change the account's secret
	// logsIn tries a secret as the server's own client would, and change sets one
	// behind the product's back.
	logsIn func(secret string) bool
	change func(secret string)

	account, safe string
	known         []string // every value that was ever revealed
	tampered      bool     // since the last rotation that is done
}

func addressOf(t testing.TB, address string) (host string, port int) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	must(t, err)
	port, err = strconv.Atoi(text)
	must(t, err)
	return host, port
}

func redisPlace(t testing.TB) *lives {
	r := target.StartRedis(t)
	host, port := addressOf(t, r.Addr)
	first := rand.Text()
	must(t, second(r.Do("ACL", "SETUSER", "app", "on", ">"+first, "~*", "+@all")))
	must(t, second(r.Do("ACL", "SAVE")))
	return &lives{
		name: "redis", resource: v1.ResourceIn{Type: "redis", Host: host, Port: port, TLS: v1.TLS{Mode: "disable"}},
		username: "app", secret: v1.CredentialIn{Kind: "password", Value: first},
		helper: v1.AccountIn{Username: "default", Credential: &v1.CredentialIn{Kind: "password", Value: r.Password}},
		logsIn: func(secret string) bool {
			out, _, _ := run(t, nil, "", "redis-cli", "-h", host, "-p", strconv.Itoa(port), "--no-auth-warning", "--user", "app", "--pass", secret, "PING")
			return strings.TrimSpace(out) == "PONG"
		},
		change: func(secret string) {
			must(t, second(r.Do("ACL", "SETUSER", "app", "resetpass", ">"+secret)))
			must(t, second(r.Do("ACL", "SAVE")))
		},
	}
}

func ldapPlace(t testing.TB) *lives {
	// Everybody may change their own password, and nobody may read one.
	s := target.StartSlapd(t, target.SlapdConfig{Database: "access to attrs=userPassword by self =wx by anonymous auth by * none"})
	host, port := addressOf(t, strings.TrimPrefix(s.PlainURL, "ldap://"))
	first := rand.Text()
	dn := s.Person("app", "app@example.com", first)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.CA))
	return &lives{
		name: "ldap", resource: v1.ResourceIn{Type: "ldap", Host: host, Port: port, TLS: v1.TLS{Mode: "verify", CA: s.CA}},
		username: "app", secret: v1.CredentialIn{Kind: "password", Value: first}, settings: map[string]any{"login": dn},
		helper: v1.AccountIn{Username: s.BindDN, Credential: &v1.CredentialIn{Kind: "password", Value: s.Password}},
		logsIn: func(secret string) bool {
			c, err := ldap.DialURL(s.PlainURL)
			must(t, err)
			defer c.Close()
			must(t, c.StartTLS(&tls.Config{RootCAs: roots, ServerName: host}))
			err = c.Bind(dn, secret)
			if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
				t.Fatal(err)
			}
			return err == nil
		},
		change: func(secret string) { s.Replace(dn, "userPassword", secret) },
	}
}

// sshPlace is a Linux account; root helps, by a key. With a key, the account's
// own secret is one, too.
func sshPlace(t testing.TB, key bool) *lives {
	s := target.StartSSHD(t, "AllowUsers root", "PermitRootLogin yes")
	l := &lives{
		name: "ssh", resource: v1.ResourceIn{Type: "ssh", Host: s.Host, Port: s.Port, HostKeys: []string{s.HostKeyLine}},
		username: s.User, secret: v1.CredentialIn{Kind: "password", Value: s.Password},
		helper: v1.AccountIn{Username: "root", Credential: &v1.CredentialIn{Kind: "ssh_key", PrivateKey: s.PrivateKeyPEM}},
		change: func(secret string) {
			if _, errs, status := run(t, nil, s.User+":"+secret+"\n", "chpasswd"); status != 0 {
				t.Fatalf("chpasswd: %s", errs)
			}
		},
	}
	auth := func(secret string) ssh.AuthMethod { return ssh.Password(secret) }
	if key {
		private, line := newSSHKey(t)
		keys := s.Home + "/.ssh"
		must(t, os.MkdirAll(keys, 0o700))
		must(t, os.WriteFile(keys+"/authorized_keys", []byte("# kept\n"+line+"\n"), 0o600))
		for _, path := range []string{keys, keys + "/authorized_keys"} {
			info, err := os.Stat(s.Home)
			must(t, err)
			owner := info.Sys().(*syscall.Stat_t)
			must(t, os.Chown(path, int(owner.Uid), int(owner.Gid)))
		}
		l.name, l.secret = "ssh key", v1.CredentialIn{Kind: "ssh_key", PrivateKey: private}
		l.change = nil
		auth = func(secret string) ssh.AuthMethod {
			signer, err := ssh.ParsePrivateKey([]byte(secret))
			must(t, err)
			return ssh.PublicKeys(signer)
		}
	}
	l.logsIn = func(secret string) bool {
		c, err := ssh.Dial("tcp", s.Addr, &ssh.ClientConfig{User: s.User, Auth: []ssh.AuthMethod{auth(secret)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
		if err == nil {
			_ = c.Close()
		} else if !strings.Contains(err.Error(), "unable to authenticate") {
			t.Fatal(err)
		}
		return err == nil
	}
	return l
}

// sqlPlace is a database: app is a user that admin has made.
func sqlPlace(t testing.TB, kind string, d *target.Database, driver func(user, password, statement string) error) *lives {
	host, port := addressOf(t, d.Address)
	first := rand.Text()
	const admin = "admin's"
	set := func(statement, password string) { must(t, driver("admin", admin, statement+" '"+password+"'")) }
	l := &lives{
		name: kind, resource: v1.ResourceIn{Type: kind, Host: host, Port: port, TLS: v1.TLS{Mode: "verify", CA: d.CA, ServerName: "localhost"}},
		username: "app", secret: v1.CredentialIn{Kind: "password", Value: first},
		helper: v1.AccountIn{Username: "admin", Credential: &v1.CredentialIn{Kind: "password", Value: admin}},
	}
	create, alter := "CREATE ROLE app LOGIN PASSWORD", "ALTER ROLE app PASSWORD"
	if kind == "mysql" {
		create, alter = "CREATE USER app@'%' IDENTIFIED BY", "ALTER USER app@'%' IDENTIFIED BY"
	}
	set(create, first)
	l.change = func(secret string) { set(alter, secret) }
	l.logsIn = func(secret string) bool {
		err := driver("app", secret, "SELECT 1")
		if err != nil && !errors.Is(err, errWrongPassword) {
			t.Fatal(err)
		}
		return err == nil
	}
	return l
}

var errWrongPassword = errors.New("wrong password")

func postgresPlace(t testing.TB) *lives {
	d := target.StartPostgres(t)
	return sqlPlace(t, "postgresql", d, func(user, password, statement string) error {
		c, err := pgx.Connect(t.Context(), "postgres://"+url.UserPassword(user, password).String()+"@"+d.Address+"/postgres?sslmode=require")
		if err != nil {
			if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "28P01" {
				return errWrongPassword
			}
			return err
		}
		defer c.Close(t.Context())
		_, err = c.Exec(t.Context(), statement)
		return err
	})
}

func mariaPlace(t testing.TB) *lives {
	d := target.StartMariaDB(t)
	host, port := addressOf(t, d.Address)
	return sqlPlace(t, "mysql", d, func(user, password, statement string) error {
		_, errs, status := run(t, []string{"MYSQL_PWD=" + password}, "", "mariadb", "--no-defaults", "--protocol=tcp", "-h", host, "-P", strconv.Itoa(port), "-u", user, "-e", statement)
		switch {
		case status == 0:
			return nil
		case strings.Contains(errs, "ERROR 1045"):
			return errWrongPassword
		}
		return errors.New(errs)
	})
}

// newSSHKey makes a key in OpenSSH's format, and its line.
func newSSHKey(t testing.TB) (private, line string) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	must(t, err)
	p, err := ssh.NewPublicKey(public)
	must(t, err)
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p)))
}

func second[T any](_ T, err error) error { return err }

// place tells the server of it: a resource, the account, one that helps, and a
// Safe that binds both.
func (l *lives) place(owner *caller) {
	l.resource.Name = l.name
	resource := read[v1.Resource](owner.call("POST", "/resources", l.resource)).ID
	make := func(in v1.AccountIn) string {
		in.ResourceID = &resource
		return read[v1.Account](owner.call("POST", "/accounts", in)).ID
	}
	l.account = make(v1.AccountIn{Name: l.name + " app", Username: l.username, Credential: &l.secret})
	l.helper.Name = l.name + " helper"
	helper := make(l.helper)
	l.safe = read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{
		Name: l.name, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 3600},
		Bindings: []v1.Binding{{ResourceID: resource, AccountID: l.account}, {ResourceID: resource, AccountID: helper}},
	})).ID
	settings := map[string]any{"reconcile_account_id": helper}
	for k, v := range l.settings {
		settings[k] = v
	}
	owner.call("PUT", "/accounts/"+l.account+"/rotation", settings).want(http.StatusOK)
	l.known = append(l.known, l.first())
}

// first is the secret at the beginning.
func (l *lives) first() string { return l.secret.Value + l.secret.PrivateKey }

// reveal checks the secret out; "" while nobody knows which one logs in.
func (l *lives) reveal(t testing.TB, owner *caller) string {
	t.Helper()
	a := owner.call("POST", "/checkouts", v1.CheckoutIn{SafeID: l.safe, AccountID: l.account})
	if a.status == http.StatusServiceUnavailable {
		return ""
	}
	value := read[v1.Checkout](a).Value
	if !slices.Contains(l.known, value) {
		l.known = append(l.known, value)
	}
	return value
}

// check: what is given out logs in, unless a rotation has come between.
func (l *lives) check(t testing.TB, owner *caller) {
	t.Helper()
	if l.tampered {
		return
	}
	before := l.reveal(t, owner)
	if before == "" || l.logsIn(before) {
		return
	}
	if after := l.reveal(t, owner); after == before && !l.logsIn(after) {
		t.Errorf("%s: what is given out does not log in", l.name)
	}
}

func (l *lives) rotations(owner *caller, query string) []v1.Rotation {
	return read[[]v1.Rotation](owner.call("GET", "/rotations?account_id="+l.account+query, nil))
}

// settle waits until no rotation is open any more; what waits for a person is
// tried again, by which the reconcile account gets to help.
func (l *lives) settle(t testing.TB, owner *caller) {
	t.Helper()
	var open []v1.Rotation
	defer func() {
		for _, r := range open {
			t.Logf("%s: %s, tried %d times: %s", l.name, r.State, r.Attempts, r.Problem)
		}
	}()
	eventually(t, 2*time.Minute, l.name+": no rotation is open", func() bool {
		open = l.rotations(owner, "&open=true")
		for _, r := range open {
			if r.NeedsSomeone {
				owner.call("POST", "/rotations/"+r.ID+"/retry", nil)
			}
		}
		time.Sleep(50 * time.Millisecond)
		return len(open) == 0
	})
}

// exactlyOne checks that of all secrets that were ever known one logs in, and
// that it is the one that is given out.
func (l *lives) exactlyOne(t testing.TB, owner *caller) {
	t.Helper()
	now := l.reveal(t, owner)
	for _, value := range l.known {
		if got := l.logsIn(value); got != (value == now) {
			t.Errorf("%s: of %d secrets, one that is given out: %v logs in: %v", l.name, len(l.known), value == now, got)
		}
	}
}

// Real servers, random sequences: rotate, kill the server, look at the secret,
// change it behind the server's back. In the end exactly one known version logs
// in, and at every moment in between what is given out does.
func TestExactlyOneKnownSecretLogsInWhateverHappens(t *testing.T) {
	t.Parallel()
	p := startServer(t, "--rotation-concurrency", "4")
	owner := p.owner()
	places := []*lives{redisPlace(t), ldapPlace(t), sshPlace(t, false), sshPlace(t, true), postgresPlace(t), mariaPlace(t)}
	for _, l := range places {
		l.place(owner)
		if !l.logsIn(l.first()) {
			t.Fatalf("%s: the first secret does not log in", l.name)
		}
	}
	seed := mathrand.Uint64()
	t.Logf("seed %d", seed)
	rnd := mathrand.New(mathrand.NewPCG(seed, 1))
	done := 0
	for range rounds(t, 6) {
		for _, l := range places {
			switch l.check(t, owner); rnd.IntN(4) {
			case 0:
				if a := owner.call("POST", "/accounts/"+l.account+"/rotate", nil); a.status != http.StatusAccepted && a.status != http.StatusConflict {
					t.Fatalf("%s: rotate: %d %s", l.name, a.status, a.body)
				}
				if l.change != nil && rnd.IntN(5) == 0 { // somebody else is at it, too
					l.change("behind-our-back-" + rand.Text())
					l.tampered = true
				}
			default:
				owner.call("POST", "/accounts/"+l.account+"/rotate", nil)
			}
		}
		time.Sleep(time.Duration(rnd.IntN(80)) * time.Millisecond)
		if rnd.IntN(2) == 0 {
			p.kill()
			p.start()
			owner = p.owner()
		}
		for _, l := range places {
			l.check(t, owner)
			if rnd.IntN(3) == 0 {
				l.settle(t, owner)
				done += l.mend(t, owner)
			}
		}
	}
	for _, l := range places {
		l.settle(t, owner)
		done += l.mend(t, owner)
		l.exactlyOne(t, owner)
	}
	if done == 0 {
		t.Error("nothing was rotated")
	}
}

// mend rotates once more, by which a secret that was changed elsewhere is
// found and repaired, and returns how many rotations of the account are done.
func (l *lives) mend(t testing.TB, owner *caller) int {
	t.Helper()
	if l.tampered {
		owner.call("POST", "/accounts/"+l.account+"/rotate", nil).want(http.StatusAccepted)
		l.settle(t, owner)
		l.tampered = false
	}
	last := l.rotations(owner, "")[0]
	if last.State != "done" {
		t.Fatalf("%s: the last rotation is %s: %s", l.name, last.State, last.Problem)
	}
	l.exactlyOne(t, owner)
	return len(l.rotations(owner, "&state=done"))
}
