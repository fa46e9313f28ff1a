package script

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// An administrator who is in no Safe wants in by the back door of an import:
// choose the secret of an account that others hold, have it made anew, bring an
// old version back, or take one away. And the owner of another organization
// wants to know what is where.
func TestAttackThroughImportAndHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f, admin, thief := w.fresh(), w.who["admin"], w.foreign
	held := read[v1.Account](w.founder.call("GET", "/accounts/"+f.account, nil))
	where := read[v1.Resource](w.founder.call("GET", "/resources/"+f.resource, nil))
	w.founder.call("PUT", "/accounts/"+f.account+"/credential", v1.CredentialIn{Kind: "password", Value: "the-second"}).want(http.StatusOK)

	row := v1.AccountImportRow{Name: held.Name, Username: "root", Resource: where.Slug, Credential: &v1.CredentialIn{Kind: "password", Value: "CANARY-chosen"}}
	for _, update := range []bool{false, true} {
		for _, dry := range []bool{true, false} {
			done := read[v1.AccountImport](admin.call("POST", "/accounts/import", v1.AccountImportIn{Rows: []v1.AccountImportRow{row}, Update: update, DryRun: dry}))
			if want := map[bool]string{false: "skip", true: "error"}[update]; len(done.Rows) != 1 || done.Rows[0].Action != want {
				t.Errorf("update %v, dry run %v: %+v", update, dry, done.Rows)
			}
		}
	}
	for _, path := range []string{"/versions/1/promote", "/credential/generate", "/versions/purge"} {
		body := map[string]any{"/credential/generate": v1.GenerateIn{Kind: "password"}, "/versions/purge": v1.PurgeIn{Keep: 1}}[path]
		admin.call("POST", "/accounts/"+f.account+path, body).want(http.StatusForbidden, "FORBIDDEN")
	}
	if got := read[v1.Account](w.founder.call("GET", "/accounts/"+f.account, nil)).Credential; got.Version != 2 {
		t.Errorf("credential %+v", got)
	}

	// In another organization nothing is found by id, slug or address.
	for what, at := range map[string]v1.AccountImportRow{
		"by id": {Resource: f.resource}, "by slug": {Resource: where.Slug}, "by address": {Type: where.Type, Host: where.Host, Port: where.Port},
		"by id of nothing": {Resource: absent(f.resource)},
	} {
		at.Name, at.Username = held.Name, "root"
		done := read[v1.AccountImport](thief.call("POST", "/accounts/import", v1.AccountImportIn{Rows: []v1.AccountImportRow{at}}))
		if len(done.Rows) != 1 || done.Rows[0].Action != "error" || done.Rows[0].ResourceID != "" || done.Rows[0].AccountID != "" {
			t.Errorf("%s: %+v", what, done.Rows)
		}
	}
}

// Somebody brings in files that hold secrets where none belong: in the first
// line, in the kind, in the host, in a URL. What was refused says where, and
// neither answer, log nor audit event says what.
func TestAttackSecretsInTheWrongColumn(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	m := &marks{t: t}
	secret := m.plant("secret in the wrong column").value
	cell := `"` + strings.ReplaceAll(secret, `"`, `""`) + `"`
	for _, in := range []v1.AccountImportIn{
		{CSV: cell + ",root\nx,y\n"},
		{CSV: "username,value\nroot," + cell + ",more\n"},
		{CSV: "username,kind\nroot," + cell + "\n"},
		{CSV: "username,value\nroot,\"" + secret + "\n"},
		{CSV: "username,type,host\nroot," + cell + ",h\n"},
		{CSV: "username,type,host,port\nroot,ssh,h," + cell + "\n"},
		{CSV: "username,resource\nroot," + cell + "\n"},
		{CSV: "username,url\nroot,\"ssh://root:" + strings.ReplaceAll(secret, `"`, `""`) + "@h:x\"\n"},
		{CSV: "username,private_key\nroot," + cell + "\n"},
		{CSV: "username,kind,private_key,certificate\nroot,tls_client," + cell + "," + cell + "\n"},
		{CSV: "username,value\nroot," + cell + "\nroot," + cell + "\n"},
		{Rows: []v1.AccountImportRow{{Username: secret + "\n", Host: secret, Type: secret, Credential: &v1.CredentialIn{Kind: "password", Value: secret}}}},
		{Rows: []v1.AccountImportRow{{Username: "root", URL: secret, Credential: &v1.CredentialIn{Kind: secret, Value: secret}}}},
		{Rows: []v1.AccountImportRow{{Username: "root", Credential: &v1.CredentialIn{Kind: "token", Value: secret, PrivateKey: secret, Certificate: secret, Passphrase: secret}}}},
	} {
		for _, in.DryRun = range []bool{true, false} {
			a := owner.call("POST", "/accounts/import", in)
			if a.status != http.StatusOK && a.status != http.StatusUnprocessableEntity {
				t.Errorf("%d %s", a.status, a.body)
			}
			m.look("the answer", a.body)
		}
	}
	m.look("the audit log", owner.call("GET", "/audit-events?limit=1000", nil).body)
	p.stop()
	m.look("the server's log", []byte(p.stderr.String()))
	m.look("standard output", []byte(p.stdout.String()))
	files, err := filepath.Glob(filepath.Join(p.data, "*"))
	must(t, err)
	for _, name := range files {
		if text, err := os.ReadFile(name); err == nil {
			m.look(filepath.Base(name), text)
		}
	}
}

// What cannot log in by SSH is not sent there to find out, and what nobody
// keeps cannot be revealed. A certificate of a CA that the target believes can
// log in.
func TestEveryKindIsInjectedOrRefusedInWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, caKey, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	ca, err := ssh.NewSignerFromKey(caKey)
	must(t, err)
	authority := filepath.Join(dir, "ca.pub")
	must(t, os.WriteFile(authority, ssh.MarshalAuthorizedKey(ca.PublicKey()), 0o644))
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	s := target.StartSSHD(t, "TrustedUserCAKeys "+authority)
	p := startServer(t, "--local-allow", "127.0.0.0/8")
	owner := p.owner()

	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	must(t, err)
	text := string(pem.EncodeToMemory(block))
	public, err := ssh.NewPublicKey(key.Public())
	must(t, err)
	certificate := func(principal string) string {
		c := &ssh.Certificate{
			Key: public, CertType: ssh.UserCert, KeyId: "test", ValidPrincipals: []string{principal}, ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
			Permissions: ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
		}
		must(t, c.SignCert(rand.Reader, ca))
		return string(ssh.MarshalAuthorizedKey(c))
	}
	safe, account := owner.real(s, "By certificate", v1.CredentialIn{Kind: "ssh_certificate", PrivateKey: text, Certificate: certificate(s.User)})
	run := func() *sshRun {
		r := p.native(t, ownerPassword, ownerEmail+"+"+safe.ID, nil, "echo", "logged in")
		r.wait()
		return r
	}
	if r := run(); !strings.Contains(r.out.String(), "logged in") {
		t.Fatalf("a certificate does not log in: %s %s", r.errs, s.Log())
	}
	revealed := read[v1.Checkout](owner.reveals(safe.ID).want(http.StatusCreated))
	if revealed.Kind != "ssh_certificate" || !strings.Contains(revealed.Value, "PRIVATE KEY-----") || !strings.Contains(revealed.Value, "ssh-ed25519-cert-v01@openssh.com ") {
		t.Errorf("revealed %q", revealed.Value)
	}
	owner.call("PUT", "/accounts/"+account+"/credential", v1.CredentialIn{Kind: "ssh_certificate", PrivateKey: text, Certificate: certificate("somebody-else")}).want(http.StatusOK)
	if r := run(); strings.Contains(r.out.String(), "logged in") {
		t.Error("a certificate of somebody else logs in")
	}

	// A domain account may have any kind; at SSH not all are of use.
	domain := read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{
		Name: "Domain", Username: s.User, Credential: &v1.CredentialIn{Kind: "token", Value: "a-token-that-stays-at-home"},
	})).ID
	owner.call("PATCH", "/safes/"+safe.ID, map[string]any{"bindings": []v1.Binding{{ResourceID: safe.Bindings[0].ResourceID, AccountID: domain}}}).want(http.StatusOK)
	before := len(owner.events("CREDENTIAL_INJECTED"))
	if r := run(); !strings.Contains(r.errs.String(), "token, which cannot log in by ssh") {
		t.Errorf("a token at SSH: %s", r.errs)
	}
	owner.call("PUT", "/accounts/"+domain+"/credential", v1.CredentialIn{Kind: "ephemeral"}).want(http.StatusOK)
	owner.reveals(safe.ID).want(http.StatusConflict)
	if n := len(owner.events("CREDENTIAL_INJECTED")); n != before {
		t.Errorf("%d credentials were opened to find out", n-before)
	}
}
