package script

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/store/storetest"
)

// rotated waits for the rotation of keys to be done.
func (c *caller) rotated() (r v1.KeyRotation) {
	c.t.Helper()
	eventually(c.t, 2*time.Minute, "the keys are rotated", func() bool {
		r = read[v1.KeyRotation](c.call("GET", "/vault/rotate-keys", nil))
		return r.State == "finished"
	})
	return r
}

// Somebody kills the server again and again while it rotates all keys: it goes
// on by itself, every secret is what it was, evidence holds, and the log has
// one start and one end.
func TestARotationOfKeysThatIsKilledGoesOn(t *testing.T) {
	t.Parallel()
	killedRotation(t, newServer(t), rounds(t, 5))
}

func TestARotationOfKeysThatIsKilledGoesOnOnPostgreSQL(t *testing.T) {
	t.Parallel()
	p := newServer(t)
	p.env = append(p.env, "DATABASE_URL="+storetest.Postgres(t))
	killedRotation(t, p, 1) // a silent node's work is taken over after half a minute
}

func killedRotation(t *testing.T, p *proc, kills int) {
	defer p.stop()
	p.start()
	owner := p.owner()
	demo := owner.safe("Demo").Bindings[0]
	secrets := map[string]string{} // Safe to password
	for i := range 5 {
		password := fmt.Sprintf("kept-%d-%d", i, rand.Uint64())
		acc := read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{
			Name: fmt.Sprintf("Kept %d", i), Username: "kept", ResourceID: &demo.ResourceID, Credential: &v1.CredentialIn{Kind: "password", Value: "first"},
		}))
		for range 60 {
			owner.call("PUT", "/accounts/"+acc.ID+"/credential", v1.CredentialIn{Kind: "password", Value: "old"}).want(http.StatusOK)
		}
		owner.call("PUT", "/accounts/"+acc.ID+"/credential", v1.CredentialIn{Kind: "password", Value: password}).want(http.StatusOK)
		s := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{
			Name: fmt.Sprintf("Kept %d", i), Bindings: []v1.Binding{{ResourceID: demo.ResourceID, AccountID: acc.ID}}, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 600},
		}))
		secrets[s.ID] = password
	}
	ssh := p.runSSH(ownerEmail+"+demo", "echo evidence of then")
	if status := ssh.wait(); status != 0 {
		t.Fatalf("ssh: %d %s", status, ssh.errs)
	}
	var recording string
	eventually(t, 30*time.Second, "the recording is completed", func() bool {
		for _, r := range read[[]v1.Recording](owner.call("GET", "/recordings?status=completed", nil)) {
			recording = r.ID
		}
		return recording != ""
	})

	begun := read[v1.KeyRotation](owner.call("POST", "/vault/rotate-keys", nil).want(http.StatusAccepted))
	if begun.State != "running" || begun.Scope != "all" || len(begun.Steps) != 3 {
		t.Errorf("begun: %+v", begun)
	}
	if a := owner.call("POST", "/vault/rotate-keys", v1.KeyRotationIn{Scope: "root"}); a.status != http.StatusConflict {
		t.Errorf("a second one: %d %s", a.status, a.body)
	}
	for range kills {
		time.Sleep(time.Duration(900+rand.IntN(300)) * time.Millisecond) // a node looks for work once a second
		p.kill()
		p.start()
	}
	owner = p.owner()
	r := owner.rotated()
	for _, s := range r.Steps {
		if s.Failed != 0 || s.Done != s.Total || s.Total == 0 {
			t.Errorf("%+v", s)
		}
	}
	if len(r.Problems) != 0 || r.Keys.RootVersion != 2 || r.Keys.OldRootKeys != 1 || r.Keys.OldOrganizationKeys != r.Keys.OrganizationKeys {
		t.Errorf("%+v", r)
	}
	told := map[string]int{}
	for _, e := range read[[]v1.AuditEvent](owner.call("GET", "/audit-events?instance=true&limit=100", nil)) {
		told[e.Type]++
	}
	if told["VAULT_KEY_ROTATION_STARTED"] != 1 || told["VAULT_KEY_ROTATION_FINISHED"] != 1 {
		t.Errorf("the instance's log: %v", told)
	}
	check := func() {
		t.Helper()
		for id, want := range secrets {
			if got := read[v1.Checkout](owner.call("POST", "/checkouts", v1.CheckoutIn{SafeID: id})); got.Value != want {
				t.Errorf("the secret of %s is another", id)
			}
		}
		if v := read[v1.RecordingVerification](owner.call("GET", "/recordings/"+recording+"/verify", nil)); !v.Verified {
			t.Errorf("the recording: %v", v.Problems)
		}
		if cast := string(owner.call("GET", "/recordings/"+recording+"/content", nil).want(http.StatusOK).body); !strings.Contains(cast, "evidence of then") {
			t.Error("the recording lacks what was shown")
		}
		if ssh := p.runSSH(ownerEmail+"+demo", "true"); ssh.wait() != 0 {
			t.Errorf("ssh: %s", ssh.errs)
		}
	}
	check()
	p.restart()
	owner = p.owner()
	check()
	// Once more, without a kill, over what the first has left.
	owner.call("POST", "/vault/rotate-keys", v1.KeyRotationIn{Scope: "organization"}).want(http.StatusAccepted)
	if r := owner.rotated(); len(r.Problems) != 0 || r.Keys.RootVersion != 2 {
		t.Errorf("%+v", r)
	}
	check()
}
