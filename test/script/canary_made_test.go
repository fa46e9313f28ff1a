package script

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/sshca"
	"vaultpam/store"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
)

// Secrets that nobody chose are found again as well: those of users that are
// made, of rotations that came to something or to nothing, of SSH authorities, of
// kits. What is known only to the vault is opened at the end, as whoever has the
// key file can, and looked for in all that was seen before.
func TestCanariesOfWhatIsMadeTurnUpNowhere(t *testing.T) {
	t.Parallel()
	m := &marks{t: t, keep: true}
	metrics := m.plant("token of the metrics")
	p := newServer(t, "--local-allow", "127.0.0.0/8,::1/128")
	file := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(file, []byte(metrics.value), 0o600))
	p.env = append(p.env, "VAULTPAM_METRICS_TOKEN_FILE="+file, "GOTRACEBACK=crash")
	startDumpable(p)
	boss := p.owner()
	keys := m.add("private key in a file of OpenSSH", "", []byte("openssh-key-v1"), []byte("OPENSSH PRIVATE KEY"))
	m.add("verifier of PostgreSQL", "", []byte("SCRAM-SHA-256$4096:"))

	m.leased(boss)
	m.rotated(boss)
	m.imported(boss)
	m.sealedInKits(boss)
	sshd := startCertified(t, "ops")
	sshd.trust(t, p, boss)
	safe, certified := sshd.safe(boss, "certified", v1.Ephemeral{Principals: []string{"ops"}, TTLSeconds: 60})
	m.call(boss, nil, "POST", "/accounts/"+certified+"/check", nil).want(http.StatusOK)
	m.call(boss, nil, "POST", "/ssh-ca/rotate", nil).want(http.StatusOK)
	if s := p.runSSH(ownerEmail+"+"+safe, "whoami"); s.wait() == 0 {
		t.Error("the target trusts an authority of which it was not told")
	}

	typed := m.plant("line typed into a session")
	live := p.native(t, ownerPassword, ownerEmail+"+demo", []string{"-tt"})
	_, err := fmt.Fprintf(live.in, "echo in''side; IFS= read -r line; echo he''ard\n")
	must(t, err)
	live.prints("inside")
	_, err = fmt.Fprintln(live.in, typed.value)
	must(t, err)
	live.prints("heard")
	m.processes(p)
	m.evidence(p, boss, metrics, typed)
	for _, path := range []string{"/leases", "/rotations", "/credential-health", "/ssh-ca", "/ssh-ca/" + boss.org + "/krl", "/webhooks", "/accounts/" + certified + "/versions"} {
		m.call(boss, nil, "GET", path, nil).want(http.StatusOK)
	}
	m.files(p, keys)
	m.crash(p)
	m.look("the log", []byte(p.stderr.String()+p.stdout.String()))

	known := len(m.all)
	m.opened(p)
	if n := len(m.all) - known; n < 10 {
		t.Errorf("%d secrets were in the vault", n)
	}
	for _, s := range m.seen {
		for _, f := range m.found(s.text, s.allowed...) {
			t.Errorf("%s holds %s", s.where, f)
		}
	}
	m.keep = false
	m.files(p, keys)
}

// leased makes users for checkouts, with statements that work and with some that
// the database refuses with the verifier in its message.
func (m *marks) leased(boss *caller) {
	for _, l := range []*leased{redisLeased(m.t), postgresLeased(m.t), mariaLeased(m.t)} {
		good := l.spec
		if l.name == "postgres" {
			l.spec.CreateStatements = []string{"CREATE ROLE {{name}} LOGIN PASSWORD {{password}} IN ROLE nobody_of_that_name"}
		}
		l.place(boss)
		in := v1.CheckoutIn{SafeID: l.safe, AccountID: l.id}
		if l.name == "postgres" {
			if a := m.call(boss, nil, "POST", "/checkouts", in); a.status < 400 {
				m.t.Errorf("a role was made that cannot be: %d", a.status)
			}
			eventually(m.t, time.Minute, "the checkout that came to nothing is over", func() bool {
				return len(read[[]v1.Lease](m.call(boss, nil, "GET", "/leases?open=true", nil))) == 1 // redis's
			})
			good.AdminAccountID = l.spec.AdminAccountID
			m.call(boss, nil, "PUT", "/accounts/"+l.id+"/credential", v1.CredentialIn{Kind: "ephemeral", Ephemeral: &good}).want(http.StatusOK)
		}
		key := []string{"Idempotency-Key", "lease of " + l.name}
		c := read[v1.Checkout](boss.call("POST", "/checkouts", in, key...))
		m.add("password of a user made at "+l.name, c.Value, []byte(c.Value))
		if !l.logsIn(c.Username, c.Value) {
			m.t.Errorf("%s: what is looked for does not log in", l.name)
		}
		m.call(boss, nil, "POST", "/checkouts", in, key...).want(http.StatusConflict)
		m.call(boss, nil, "GET", "/checkouts/"+c.ID, nil).want(http.StatusOK)
		m.call(boss, nil, "POST", "/accounts/"+l.id+"/sweep", nil).want(http.StatusOK)
		if l.name == "mariadb" {
			continue // is out while the server crashes
		}
		m.call(boss, nil, "POST", "/checkouts/"+c.ID+"/check-in", nil).want(http.StatusOK)
		eventually(m.t, time.Minute, l.name+": the user is dropped", func() bool { return !l.logsIn(c.Username, c.Value) })
	}
}

// rotated uploads values that log in and that do not, and some that are no
// values, and rotates.
func (m *marks) rotated(boss *caller) {
	l := redisPlace(m.t)
	l.place(boss)
	rotate := func(in any) string {
		m.t.Helper()
		r := read[v1.Rotation](m.call(boss, nil, "POST", "/accounts/"+l.account+"/rotate", in))
		eventually(m.t, time.Minute, "the rotation is over", func() bool {
			r = read[v1.Rotation](m.call(boss, nil, "GET", "/rotations/"+r.ID, nil))
			return r.EndedAt != nil
		})
		return r.State
	}
	upload := func(c *canary) string {
		return rotate(v1.RotateIn{Credential: &v1.CredentialIn{Kind: "password", Value: c.value}})
	}
	wrong, right, lost := m.plant("uploaded value that does not log in"), m.plant("uploaded value"), m.plant("upload in a wrong place")
	if state := upload(wrong); state != "failed" {
		m.t.Errorf("a wrong value: %s", state)
	}
	l.change(right.value)
	if state := upload(right); state != "done" {
		m.t.Errorf("the right value: %s", state)
	}
	text, err := json.Marshal(lost.value)
	must(m.t, err)
	for _, body := range []string{`{"credential":$}`, `{"credential":{"kind":$,"value":$}}`, `{"credential":{"kind":"ssh_key","private_key":$,"passphrase":$}}`, `{"value":$}`, `{"credential":{"kind":"password","value":[$]}}`} {
		m.call(boss, nil, "POST", "/accounts/"+l.account+"/rotate", strings.ReplaceAll(body, "$", string(text)))
	}
	if state := rotate(nil); state != "done" {
		m.t.Errorf("a rotation: %s", state)
	}
	value := read[v1.Checkout](boss.call("POST", "/checkouts", v1.CheckoutIn{SafeID: l.safe, AccountID: l.account})).Value
	if !l.logsIn(value) {
		m.t.Error("what was rotated does not log in")
	}
	m.add("value of a rotation", value, []byte(value))
}

// imported brings accounts in from tables, good ones and broken ones.
func (m *marks) imported(boss *caller) {
	csv := func(c *canary) string { return `"` + strings.ReplaceAll(c.value, `"`, `""`) + `"` }
	kept, lost := m.plant("imported value"), m.plant("value in a table that is broken")
	good := "name,username,value\nImported,root," + csv(kept) + "\n"
	m.call(boss, nil, "POST", "/accounts/import", v1.AccountImportIn{DryRun: true, CSV: good}).want(http.StatusOK)
	m.call(boss, nil, "POST", "/accounts/import", v1.AccountImportIn{CSV: good}, "Idempotency-Key", "table").want(http.StatusOK)
	for _, table := range []string{
		"name,username,value\n" + strings.Repeat("x", 300) + ",root," + csv(lost) + "\n", "name,username,value\nA,root,\"" + lost.value, "name,username,kind,value\nB,root,ssh_key," + csv(lost) + "\n",
		csv(lost) + ",username\nC,root\n", "name,username,kind,value\nD,root," + csv(lost) + ",x\n", "name,username,resource,value\nE,root," + csv(lost) + ",x\n",
	} {
		m.call(boss, nil, "POST", "/accounts/import", v1.AccountImportIn{CSV: table})
	}
}

// sealedInKits makes a kit. Its shares are given out this once.
func (m *marks) sealedInKits(boss *caller) {
	secret := m.plant("secret in a kit")
	id := read[v1.Account](m.call(boss, nil, "POST", "/accounts", v1.AccountIn{Name: "Kept in a kit", Username: "root", Credential: &v1.CredentialIn{Kind: "password", Value: secret.value}})).ID
	safe := read[v1.Safe](m.call(boss, nil, "POST", "/safes", v1.SafeIn{
		Name: "Kits", Bindings: []v1.Binding{{ResourceID: boss.safe("Demo").Bindings[0].ResourceID, AccountID: id}}, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 600},
	})).ID
	path, key := "/safes/"+safe+"/break-glass-kit", []string{"Idempotency-Key", "kit"}
	kit := read[v1.Kit](boss.call("POST", path, kitIn, key...))
	for _, share := range kit.Shares {
		m.add("share of a kit", share, []byte(share[30:]))
	}
	m.look("a kit", []byte(kit.Kit))
	m.call(boss, nil, "POST", path, kitIn, key...).want(http.StatusConflict)
	m.call(boss, nil, "POST", path, `{"shares":"`+kit.Shares[0]+`"}`)
	m.call(boss, nil, "POST", path, `{"shares":3,"threshold":2,"reason":"x","share":"`+kit.Shares[1]+`"}`)
}

// opened makes canaries of all that the vault of a dead server holds for
// accounts and SSH authorities.
func (m *marks) opened(p *proc) {
	m.t.Helper()
	ctx := m.t.Context()
	type row struct {
		b      pam.Binding
		sealed []byte
	}
	var rows []row
	raw := p.database(m.t)
	for purpose, query := range map[string]string{
		account.Purpose: `SELECT org_id, account_id, version, sealed FROM credential_versions WHERE length(sealed) > 0`,
		sshca.Purpose:   `SELECT org_id, org_id, number, sealed FROM ssh_cas`,
	} {
		found, err := raw.QueryContext(ctx, query)
		must(m.t, err)
		for found.Next() {
			r := row{b: pam.Binding{Purpose: purpose}}
			must(m.t, found.Scan(&r.b.Org, &r.b.Object, &r.b.Version, &r.sealed))
			rows = append(rows, r)
		}
		must(m.t, found.Err())
		must(m.t, found.Close())
	}
	must(m.t, raw.Close())
	db, err := store.Open(ctx, store.Options{DataDir: p.data})
	must(m.t, err)
	seal, err := sealfile.Open(filepath.Join(p.data, "root.key"))
	must(m.t, err)
	v := vault.New(db.Vault(), seal, clock.Real{}, rand.Reader)
	must(m.t, v.Unseal(ctx))
	for _, r := range rows {
		value, err := v.Open(ctx, r.b, r.sealed)
		must(m.t, err)
		// A part of it is looked for: the rest may be written in other ways.
		part := value.Expose()
		if start := strings.IndexByte(string(part), '<'); start >= 0 && len(part) > start+40 {
			part = part[start+1 : start+40]
		}
		if len(part) >= 12 { // "admin's", the databases', is in tests everywhere
			m.add(fmt.Sprintf("%s of %s, version %d", r.b.Purpose, r.b.Object, r.b.Version), "", append([]byte{}, part...))
		}
	}
	v.Lock()
	must(m.t, db.Close())
}
