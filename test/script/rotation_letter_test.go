package script

import (
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/mailbox"
)

// Whoever manages an account hears by mail that its rotation failed, once and
// not at every try after it, and that one waits for them; nobody else does, and
// no letter holds a secret.
func TestManagersAreWrittenToWhenARotationIsInTrouble(t *testing.T) {
	t.Parallel()
	box := mailbox.Start(t, withLogin(mailbox.Options{}))
	p := mailingServer(t, box)
	owner := p.owner()
	admin, manager, viewer := owner.person(p, "admin@letters.test", "admin"), owner.person(p, "manager@letters.test", "operator"), owner.person(p, "viewer@letters.test", "operator")
	owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	l := redisPlace(t)
	l.place(owner)
	owner.joins(l.safe, manager, "manager")
	owner.joins(l.safe, viewer, "viewer")
	account := read[v1.Account](owner.call("GET", "/accounts/"+l.account, nil))

	over := func(account string, in any) v1.Rotation {
		t.Helper()
		r := read[v1.Rotation](owner.call("POST", "/accounts/"+account+"/rotate", in))
		eventually(t, time.Minute, "the rotation is over or waits for somebody", func() bool {
			r = read[v1.Rotation](owner.call("GET", "/rotations/"+r.ID, nil))
			return r.EndedAt != nil || r.NeedsSomeone
		})
		return r
	}
	wrong := v1.RotateIn{Credential: &v1.CredentialIn{Kind: "password", Value: "CANARY-not-the-right-one"}}
	failed := over(l.account, wrong)
	if failed.State != "failed" || failed.Problem == "" {
		t.Fatalf("%s: %s", failed.State, failed.Problem)
	}
	m := box.Wait("manager@letters.test", 1)
	if want := "The credential of " + account.Name + " was not rotated"; m.Subject != want {
		t.Errorf("the subject is %q, want %q", m.Subject, want)
	}
	for _, want := range []string{failed.Problem, p.base[strings.LastIndex(p.base, ":"):] + "/accounts/" + l.account} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("%q is not in %s", want, m.Text)
		}
	}
	box.Wait(ownerEmail, 1) // who made the Safe manages it

	// The same again is no news; that nobody knows which secret works is.
	if again := over(l.account, wrong); again.State != "failed" {
		t.Fatalf("%s: %s", again.State, again.Problem)
	}
	owner.call("PUT", "/accounts/"+l.account+"/rotation", map[string]any{}).want(http.StatusOK) // nobody helps
	l.change("CANARY-changed-behind-its-back")
	stuck := over(l.account, nil)
	if stuck.State != "stuck" {
		t.Fatalf("%s: %s", stuck.State, stuck.Problem)
	}
	if m := box.Wait("manager@letters.test", 2); !strings.Contains(m.Subject, "needs you") || !strings.Contains(m.Text, stuck.Problem) {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}

	// An account that no Safe binds has no managers: those of the organization
	// are written to.
	loose := read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{
		Name: "loose", Username: "app", ResourceID: account.ResourceID, Credential: &v1.CredentialIn{Kind: "password", Value: "CANARY-of-nobody"},
	}))
	if r := over(loose.ID, wrong); r.State != "failed" {
		t.Fatalf("%s: %s", r.State, r.Problem)
	}
	box.Wait("admin@letters.test", 1)
	box.Wait(ownerEmail, 3)

	count := map[string]int{}
	for _, m := range box.Messages() {
		count[m.To]++
		for _, secret := range []string{"CANARY", l.first()} {
			if strings.Contains(m.Subject+m.Text+m.HTML, secret) {
				t.Errorf("a letter to %s holds a secret: %s", m.To, m.Text)
			}
		}
	}
	for to, want := range map[string]int{"manager@letters.test": 2, ownerEmail: 3, admin.name: 1, viewer.name: 0, "boss@elsewhere.test": 0} {
		if count[to] != want {
			t.Errorf("%d letters to %s, want %d", count[to], to, want)
		}
	}
	kinds := map[string]int{}
	for _, m := range read[[]v1.Message](owner.call("GET", "/org/notifications/messages", nil)) {
		kinds[m.Kind]++
	}
	if kinds["rotation_failed"] != 4 || kinds["rotation_stuck"] != 2 {
		t.Errorf("the messages on record are %v", kinds)
	}
}
