package script

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// certified is a real sshd that trusts an organization's authority and lets
// nobody in by another key. Only certificates of one principal are for its user.
type certified struct {
	*target.SSHD
	ca, krl string // files
}

func startCertified(t testing.TB, principal string) certified {
	t.Helper()
	dir, err := os.MkdirTemp("", "vptest-ca")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755)) // principals are read as the user
	c := certified{ca: filepath.Join(dir, "ca.pub"), krl: filepath.Join(dir, "krl")}
	names := filepath.Join(dir, "principals")
	must(t, os.WriteFile(names, []byte(principal+"\n"), 0o644))
	must(t, os.WriteFile(c.ca, nil, 0o644))
	must(t, os.WriteFile(c.krl, nil, 0o644))
	c.SSHD = target.StartSSHD(t, "TrustedUserCAKeys "+c.ca, "RevokedKeys "+c.krl, "AuthorizedPrincipalsFile "+names, "AuthorizedKeysFile none", "PasswordAuthentication no")
	return c
}

// trust does what docs/ephemeral.md tells operators of targets to do.
func (c certified) trust(t testing.TB, p *proc, by *caller) v1.SSHCA {
	t.Helper()
	ca := read[v1.SSHCA](by.call("GET", "/ssh-ca", nil))
	must(t, os.WriteFile(c.ca, []byte(ca.PublicKeys), 0o644))
	c.fetch(t, p, ca)
	return ca
}

func (c certified) fetch(t testing.TB, p *proc, ca v1.SSHCA) []byte {
	t.Helper()
	r, err := http.Get(p.base + ca.KRLPath)
	must(t, err)
	defer r.Body.Close()
	list, err := io.ReadAll(r.Body)
	must(t, err)
	if r.StatusCode != http.StatusOK || !strings.HasPrefix(string(list), "SSHKRL\n\x00") {
		t.Fatalf("GET %s: %d %q", ca.KRLPath, r.StatusCode, list)
	}
	must(t, os.WriteFile(c.krl, list, 0o644))
	return list
}

// safe makes a Safe with an account of which no secret is kept.
func (c certified) safe(by *caller, name string, e v1.Ephemeral) (safe, account string) {
	resource := read[v1.Resource](by.call("POST", "/resources", v1.ResourceIn{Name: name, Type: "ssh", Host: c.Host, Port: c.Port, HostKeys: []string{c.HostKeyLine}})).ID
	account = read[v1.Account](by.call("POST", "/accounts", v1.AccountIn{
		Name: name, Username: c.User, ResourceID: &resource, Credential: &v1.CredentialIn{Kind: "ephemeral", Ephemeral: &e},
	})).ID
	return read[v1.Safe](by.call("POST", "/safes", v1.SafeIn{Name: name, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 3600}, Bindings: []v1.Binding{{ResourceID: resource, AccountID: account}}})).Slug, account
}

func TestSessionWithoutAStoredSecret(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	sshd := startCertified(t, "ops")
	ca := sshd.trust(t, p, owner)
	safe, account := sshd.safe(owner, "certified", v1.Ephemeral{Principals: []string{"ops"}, TTLSeconds: 60})

	s := p.runSSH(ownerEmail+"+"+safe, "whoami; sleep 60")
	s.prints(sshd.User)
	issued := read[[]v1.AuditEvent](owner.call("GET", "/audit-events?type=CREDENTIAL_ISSUED", nil))
	if len(issued) != 1 || issued[0].Metadata["serial"] == "" || !strings.Contains(sshd.Log(), "ID ses_") || !strings.Contains(sshd.Log(), "serial "+issued[0].Metadata["serial"].(string)) {
		t.Errorf("events: %v\nsshd: %s", issued, sshd.Log())
	}
	owner.call("POST", "/accounts/"+account+"/check", nil).want(http.StatusOK)
	// There is nothing to reveal.
	if a := owner.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe}); a.status < 400 || a.status >= 500 {
		t.Errorf("checkout: %d %s", a.status, a.body)
	}

	// While the session lives its certificate is not revoked; when it is over, it
	// is, though it has not expired.
	serial, _ := strconv.ParseUint(issued[0].Metadata["serial"].(string), 10, 64)
	number := string([]byte{byte(serial >> 56), byte(serial >> 48), byte(serial >> 40), byte(serial >> 32), byte(serial >> 24), byte(serial >> 16), byte(serial >> 8), byte(serial)})
	if strings.Contains(string(sshd.fetch(t, p, ca)), number) {
		t.Error("the certificate of a live session is revoked")
	}
	live := read[[]v1.Session](owner.call("GET", "/sessions?status=active", nil))
	if len(live) != 1 {
		t.Fatalf("live sessions: %+v", live)
	}
	owner.call("POST", "/sessions/"+live[0].ID+"/terminate", nil).want(http.StatusOK)
	s.wait()
	if !strings.Contains(string(sshd.fetch(t, p, ca)), number) {
		t.Error("the certificate of a session that was terminated is not revoked")
	}

	// Another authority signs once its time has come; the target learns of it.
	next := read[v1.SSHCA](owner.call("POST", "/ssh-ca/rotate", v1.SSHCARotateIn{ActivateAfterSeconds: 3600}))
	if len(next.Keys) != 2 || !next.Keys[0].Active || next.Keys[1].Active {
		t.Errorf("after a rotation that waits: %+v", next.Keys)
	}
	owner.call("DELETE", "/ssh-ca/keys/1", nil).want(http.StatusConflict)
	owner.call("DELETE", "/ssh-ca/keys/2", nil).want(http.StatusNoContent)
	owner.call("POST", "/ssh-ca/rotate", nil).want(http.StatusOK)
	if s := p.runSSH(ownerEmail+"+"+safe, "whoami"); s.wait() == 0 {
		t.Error("a target lets in by an authority that it does not trust")
	}
	sshd.trust(t, p, owner)
	if s := p.runSSH(ownerEmail+"+"+safe, "whoami"); s.wait() != 0 {
		t.Errorf("after the target has learned of the authority: %s", s.errs.String())
	}
	owner.call("DELETE", "/ssh-ca/keys/1", nil).want(http.StatusNoContent)
}

// Mallory is admin of another organization. There she makes an account for the
// same target, and one for a principal that is not hers to use.
func TestAttackCertificateOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	sshd := startCertified(t, "ops")
	sshd.trust(t, p, owner)
	other := *owner
	other.org = read[v1.Org](owner.call("POST", "/organizations", v1.OrganizationIn{Name: "Other", Slug: "other"})).ID
	safe, _ := sshd.safe(&other, "theirs", v1.Ephemeral{Principals: []string{"ops"}})
	if s := p.runSSH(ownerEmail+"+"+safe, "whoami"); s.wait() == 0 {
		t.Error("the authority of another organization lets in")
	}
	// The right authority, but another principal.
	safe, _ = sshd.safe(owner, "mine", v1.Ephemeral{Principals: []string{"root"}})
	if s := p.runSSH(ownerEmail+"+"+safe, "whoami"); s.wait() == 0 {
		t.Error("a certificate for another principal lets in")
	}
	if r, err := http.Get(p.base + "/api/v1/ssh-ca/org_01ARZ3NDEKTSV4RRFFQ69G5FAV/krl"); err != nil || r.StatusCode != http.StatusNotFound {
		t.Errorf("revoked keys of no organization: %v %v", r, err)
	}
}
