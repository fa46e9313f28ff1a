package script

import (
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// leased is a real server at which users are made for a checkout.
type leased struct {
	name     string
	resource v1.ResourceIn
	admin    v1.AccountIn
	spec     v1.Ephemeral
	logsIn   func(user, password string) bool
	names    func() []string // of users there that are named like ours
	stop     func()
	again    func() // after stop; nil: it cannot
	safe     string
	id       string
}

var named = regexp.MustCompile(`\bvp_[0-9a-z]+`)

func redisLeased(t testing.TB) *leased {
	r := target.StartRedis(t)
	host, port := addressOf(t, r.Addr)
	return &leased{
		name: "redis", resource: v1.ResourceIn{Type: "redis", Host: host, Port: port, TLS: v1.TLS{Mode: "disable"}},
		admin: v1.AccountIn{Username: "default", Credential: &v1.CredentialIn{Kind: "password", Value: r.Password}},
		spec:  v1.Ephemeral{Rules: []string{"~app:*", "+@read", "+ping"}},
		logsIn: func(user, password string) bool {
			out, _, _ := run(t, nil, "", "redis-cli", "-h", host, "-p", strconv.Itoa(port), "--no-auth-warning", "--user", user, "--pass", password, "PING")
			return strings.TrimSpace(out) == "PONG"
		},
		names: func() []string {
			out, err := r.Do("ACL", "USERS")
			must(t, err)
			return named.FindAllString(out, -1)
		},
		stop: r.Kill, again: r.Start,
	}
}

func postgresLeased(t testing.TB) *leased {
	d := target.StartPostgres(t)
	_, port := addressOf(t, d.Address)
	return &leased{
		name: "postgres", resource: v1.ResourceIn{Type: "postgresql", Host: "localhost", Port: port, TLS: v1.TLS{Mode: "verify", CA: d.CA}},
		admin: v1.AccountIn{Username: d.Admin, Credential: &v1.CredentialIn{Kind: "password", Value: "admin's"}},
		logsIn: func(user, password string) bool {
			out, _, _ := run(t, []string{"PGPASSWORD=" + password, "PATH=/usr/bin:/bin"}, "", target.Need(t, "psql"), "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", user, "-d", "postgres", "-Atc", "SELECT 7")
			return strings.TrimSpace(out) == "7"
		},
		names: func() []string {
			out, errs, status := run(t, []string{"PGPASSWORD=admin's"}, "", target.Need(t, "psql"), "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", d.Admin, "-d", "postgres", "-Atc", "SELECT rolname FROM pg_roles")
			if status != 0 {
				t.Fatal(errs)
			}
			return named.FindAllString(out, -1)
		},
	}
}

func mariaLeased(t testing.TB) *leased {
	d := target.StartMariaDB(t)
	_, port := addressOf(t, d.Address)
	return &leased{
		name: "mariadb", resource: v1.ResourceIn{Type: "mysql", Host: "localhost", Port: port, TLS: v1.TLS{Mode: "verify", CA: d.CA}},
		admin: v1.AccountIn{Username: d.Admin, Credential: &v1.CredentialIn{Kind: "password", Value: "admin's"}},
		spec:  v1.Ephemeral{CreateStatements: []string{"CREATE USER {{name}}@'%' IDENTIFIED VIA mysql_native_password USING {{password}}"}},
		logsIn: func(user, password string) bool {
			c := exec.Command(target.Need(t, "mariadb"), "--no-defaults", "-h", "127.0.0.1", "-P", strconv.Itoa(port), "-u", user, "-N", "-e", "SELECT 7")
			c.Env = []string{"MYSQL_PWD=" + password, "PATH=/usr/bin:/bin"}
			out, _ := c.Output()
			return strings.TrimSpace(string(out)) == "7"
		},
		names: func() []string {
			out, errs, status := run(t, []string{"MYSQL_PWD=admin's"}, "", target.Need(t, "mariadb"), "--no-defaults", "-h", "127.0.0.1", "-P", strconv.Itoa(port), "-u", d.Admin, "-N", "-e", "SELECT User FROM mysql.user")
			if status != 0 {
				t.Fatal(errs)
			}
			return named.FindAllString(out, -1)
		},
	}
}

// place tells the server of it.
func (l *leased) place(owner *caller) {
	l.resource.Name = l.name
	resource := read[v1.Resource](owner.call("POST", "/resources", l.resource)).ID
	l.admin.Name, l.admin.ResourceID = l.name+" admin", &resource
	l.spec.AdminAccountID = read[v1.Account](owner.call("POST", "/accounts", l.admin)).ID
	l.id = read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{Name: l.name, Username: "app", ResourceID: &resource, Credential: &v1.CredentialIn{Kind: "ephemeral", Ephemeral: &l.spec}})).ID
	l.safe = read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{
		Name: l.name, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 3600}, Bindings: []v1.Binding{{ResourceID: resource, AccountID: l.id}},
	})).ID
}

func (l *leased) out(owner *caller) v1.Checkout {
	return read[v1.Checkout](owner.call("POST", "/checkouts", v1.CheckoutIn{SafeID: l.safe, AccountID: l.id}))
}

// gone waits until no lease is open any more.
func (l *leased) gone(t testing.TB, owner *caller, c v1.Checkout) {
	t.Helper()
	eventually(t, 90*time.Second, l.name+": the lease is revoked", func() bool {
		return len(read[[]v1.Lease](owner.call("GET", "/leases?open=true", nil))) == 0
	})
	if l.logsIn(c.Username, c.Value) {
		t.Errorf("%s: the user of a revoked lease logs in", l.name)
	}
}

func TestUsersOfACheckoutComeAndGo(t *testing.T) {
	t.Parallel()
	for _, start := range []func(testing.TB) *leased{redisLeased, postgresLeased, mariaLeased} {
		l := start(t)
		t.Run(l.name, func(t *testing.T) {
			p := startServer(t, "--local-allow", "127.0.0.0/8,::1/128")
			owner := p.owner()
			l.place(owner)
			c := l.out(owner)
			if !strings.HasPrefix(c.Username, "vp_") || !l.logsIn(c.Username, c.Value) {
				t.Fatalf("the user %q does not log in", c.Username)
			}
			owner.call("POST", "/checkouts/"+c.ID+"/extend", nil).want(http.StatusConflict) // the target was told when it ends
			owner.call("POST", "/checkouts/"+c.ID+"/check-in", nil).want(http.StatusOK)
			l.gone(t, owner, c)

			// A lease that is revoked, of a checkout that is still out.
			c = l.out(owner)
			open := read[[]v1.Lease](owner.call("GET", "/leases?open=true", nil))
			if len(open) != 1 || open[0].State != "active" || open[0].Username != c.Username {
				t.Fatalf("open leases: %+v", open)
			}
			owner.call("POST", "/leases/"+open[0].ID+"/revoke", nil).want(http.StatusAccepted)
			l.gone(t, owner, c)
			owner.call("POST", "/leases/"+open[0].ID+"/revoke", nil).want(http.StatusConflict)

			// The server is killed while a user is out, and checked in by nobody: the
			// lease is there afterwards.
			c = l.out(owner)
			p.kill()
			p.start()
			owner = p.owner()
			open = read[[]v1.Lease](owner.call("GET", "/leases?open=true", nil))
			if len(open) != 1 || !l.logsIn(c.Username, c.Value) {
				t.Errorf("after a kill: %+v", open)
			}
			if l.again != nil { // the target is down when it should drop the user
				l.stop()
				owner.call("POST", "/checkouts/"+c.ID+"/check-in", nil).want(http.StatusOK)
				eventually(t, 30*time.Second, "an attempt fails", func() bool {
					return read[[]v1.Lease](owner.call("GET", "/leases", nil))[0].Attempts > 0
				})
				l.again()
			} else {
				owner.call("POST", "/checkouts/"+c.ID+"/check-in", nil).want(http.StatusOK)
			}
			l.gone(t, owner, c)
			for _, typ := range []string{"LEASE_CREATED", "LEASE_REVOKED"} {
				if n := len(read[[]v1.AuditEvent](owner.call("GET", "/audit-events?type="+typ, nil))); n != 3 {
					t.Errorf("%d events %s", n, typ)
				}
			}
			if strings.Contains(p.stderr.String(), c.Value) {
				t.Error("the one-time password is in the log")
			}
		})
	}
}
