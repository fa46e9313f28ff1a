package script

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// over waits until a rotation of the account by this trigger is over.
func (l *lives) over(t testing.TB, owner *caller, trigger string) v1.Rotation {
	t.Helper()
	var out v1.Rotation
	eventually(t, time.Minute, l.name+": a rotation by "+trigger+" is over", func() bool {
		for _, r := range l.rotations(owner, "") {
			if r.Trigger == trigger && (r.EndedAt != nil || r.NeedsSomeone) {
				out = r
				return true
			}
		}
		time.Sleep(50 * time.Millisecond)
		return false
	})
	if out.State != "done" {
		t.Errorf("%s: %s: %s", l.name, out.State, out.Problem)
	}
	return out
}

// A secret that somebody has seen is worth nothing once it is back: by hand, by
// time, and after an emergency whatever the Safe says.
func TestSecretThatWasSeenIsWorthNothingAfterwards(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	l := redisPlace(t)
	l.place(owner)
	owner.call("PATCH", "/safes/"+l.safe, map[string]any{"rotation": map[string]any{"after_check_in": true}}).want(http.StatusOK)
	seen := read[v1.Checkout](owner.call("POST", "/checkouts", v1.CheckoutIn{SafeID: l.safe, AccountID: l.account}))
	if !l.logsIn(seen.Value) {
		t.Fatal("what was revealed does not log in")
	}
	if n := len(l.rotations(owner, "")); n != 0 {
		t.Fatalf("%d rotations while it is out", n)
	}
	owner.call("POST", "/checkouts/"+seen.ID+"/check-in", nil).want(http.StatusOK)
	l.over(t, owner, "after_check_in")
	if l.logsIn(seen.Value) {
		t.Error("the secret that was seen still logs in")
	}

	// By time, too.
	owner.call("PATCH", "/safes/"+l.safe, map[string]any{"checkout": map[string]any{"enabled": true, "ttl_seconds": 1}}).want(http.StatusOK)
	before := len(l.rotations(owner, "&state=done"))
	seen = read[v1.Checkout](owner.call("POST", "/checkouts", v1.CheckoutIn{SafeID: l.safe, AccountID: l.account}))
	eventually(t, time.Minute, "it is rotated after its time", func() bool { return len(l.rotations(owner, "&state=done")) > before })
	if l.logsIn(seen.Value) {
		t.Error("the secret that was seen still logs in after its time")
	}

	// After an emergency without being asked to.
	me := read[v1.Me](owner.call("GET", "/me", nil)).ID
	owner.call("PATCH", "/safes/"+l.safe, map[string]any{
		"rotation": map[string]any{"after_check_in": false}, "checkout": map[string]any{"enabled": true, "ttl_seconds": 600}, "break_glass": map[string]any{"user_ids": []string{me}},
	}).want(http.StatusOK)
	seen = read[v1.Checkout](owner.call("POST", "/checkouts", map[string]any{"safe_id": l.safe, "account_id": l.account, "emergency": true, "reason": "it burns"}))
	owner.call("POST", "/checkouts/"+seen.ID+"/check-in", nil).want(http.StatusOK)
	l.over(t, owner, "break_glass")
	if l.logsIn(seen.Value) {
		t.Error("the secret that was seen in an emergency still logs in")
	}
}

// at names an account of the place's Safe to a native client.
func (l *lives) at(owner *caller, account string) string {
	for _, b := range read[v1.Safe](owner.call("GET", "/safes/"+l.safe, nil)).Bindings {
		if b.AccountID == account {
			return l.safe + "+" + account + "@" + b.ResourceID
		}
	}
	return l.safe
}

// A password or key that a session has used is worth nothing once the session
// is over, where the Safe says so; and the next session has the new one.
func TestSecretThatASessionUsedIsWorthNothingAfterwards(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	for _, key := range []bool{false, true} {
		l := sshPlace(t, key)
		l.place(owner)
		session := func(command string) *sshRun { return p.runSSH(ownerEmail+"+"+l.at(owner, l.account), command) }
		if ssh := session("id -un"); ssh.wait() != 0 || strings.TrimSpace(ssh.out.String()) != l.username {
			t.Fatalf("%s: %s%s", l.name, ssh.out, ssh.errs)
		}
		if n := len(l.rotations(owner, "")); n != 0 {
			t.Fatalf("%s: %d rotations that the Safe does not ask for", l.name, n)
		}
		owner.call("PATCH", "/safes/"+l.safe, map[string]any{"rotation": map[string]any{"after_session": true}}).want(http.StatusOK)
		seen := l.first()
		for range 2 {
			if !l.logsIn(seen) {
				t.Fatalf("%s: what the session is to use does not log in", l.name)
			}
			done := len(l.rotations(owner, "&state=done"))
			ssh := session("echo working; sleep 1; echo done")
			ssh.prints("working")
			if n := len(l.rotations(owner, "")); n != done {
				t.Errorf("%s: rotated while the session runs", l.name)
			}
			if ssh.wait() != 0 || !strings.Contains(ssh.out.String(), "done") {
				t.Fatalf("%s: %s%s", l.name, ssh.out, ssh.errs)
			}
			eventually(t, time.Minute, l.name+": it is rotated after the session", func() bool {
				time.Sleep(50 * time.Millisecond)
				return len(l.rotations(owner, "&state=done")) > done
			})
			l.over(t, owner, "after_session")
			if l.logsIn(seen) {
				t.Errorf("%s: what the session used still logs in", l.name)
			}
			seen = l.reveal(t, owner)
		}
	}
}

// A value that was changed elsewhere is taken over once it was seen to log in,
// and one that does not changes nothing.
func TestValueThatWasChangedElsewhereIsVerified(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	l := postgresPlace(t)
	l.place(owner)
	upload := func(value string) v1.Rotation {
		r := read[v1.Rotation](owner.call("POST", "/accounts/"+l.account+"/rotate", v1.RotateIn{Credential: &v1.CredentialIn{Kind: "password", Value: value}}))
		eventually(t, time.Minute, "the upload is over", func() bool {
			r = read[v1.Rotation](owner.call("GET", "/rotations/"+r.ID, nil))
			return r.EndedAt != nil
		})
		return r
	}
	if r := upload("not-the-right-one"); r.State != "failed" || r.Problem == "" {
		t.Errorf("a wrong value: %s: %s", r.State, r.Problem)
	}
	if got := l.reveal(t, owner); got != l.first() {
		t.Error("a wrong value was promoted")
	}
	l.change("changed-elsewhere-by-hand")
	if r := upload("changed-elsewhere-by-hand"); r.State != "done" {
		t.Errorf("the right value: %s: %s", r.State, r.Problem)
	}
	l.exactlyOne(t, owner)
}

// The schedule rotates what is older than its Safes allow; copies follow, and a
// credential that the target refuses is found.
func TestCopiesFollowAndDriftIsFound(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	l := sshPlace(t, false)
	l.place(owner)
	settings := read[v1.RotationSettings](owner.call("GET", "/accounts/"+l.account+"/rotation", nil))
	// Root writes only where nobody else may change what leads there.
	dir, err := os.MkdirTemp("/usr/local", "vptest")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := dir + "/app.env"
	must(t, os.WriteFile(file, []byte("# kept\nUSER=app\nPASSWORD=old\n"), 0o600))
	resource := *read[v1.Account](owner.call("GET", "/accounts/"+l.account, nil)).ResourceID
	settings.Dependents = []v1.RotationDependent{{ResourceID: resource, AccountID: settings.ReconcileAccountID, Path: file, Key: "PASSWORD"}}
	settings.CheckHours = 1
	owner.call("PUT", "/accounts/"+l.account+"/rotation", settings).want(http.StatusOK)
	health := func() v1.CredentialHealth {
		return read[[]v1.CredentialHealth](owner.call("GET", "/credential-health?account_id="+l.account, nil))[0]
	}
	eventually(t, time.Minute, "the first check is made", func() bool { time.Sleep(20 * time.Millisecond); return health().Check == "ok" })
	if h := health(); !strings.Contains(strings.Join(h.Flags, " "), "never_rotated") {
		t.Errorf("flags %v", h.Flags)
	}

	owner.call("POST", "/accounts/"+l.account+"/rotate", nil).want(http.StatusAccepted)
	l.over(t, owner, "manual")
	text, err := os.ReadFile(file)
	must(t, err)
	if value := l.reveal(t, owner); !strings.Contains(string(text), value) || !strings.HasPrefix(string(text), "# kept\nUSER=app\nPASSWORD=") {
		t.Error("the copy was not brought up to date, or more than that")
	}
	if h := health(); strings.Contains(strings.Join(h.Flags, " "), "never_rotated") {
		t.Errorf("flags %v", h.Flags)
	}

	l.change("somebody-else-was-here")
	owner.call("PUT", "/accounts/"+l.account+"/rotation", settings).want(http.StatusOK) // the next check is due at once
	eventually(t, time.Minute, "the drift is found", func() bool { time.Sleep(20 * time.Millisecond); return health().Check == "refused" })
	events := read[[]v1.AuditEvent](owner.call("GET", "/audit-events?type=CREDENTIAL_DRIFTED", nil))
	if len(events) != 1 {
		t.Errorf("%d events", len(events))
	}
}
