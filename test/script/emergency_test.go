package script

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/mailbox"
	"vaultpam/test/target"
)

// forTests are options of ssh that suit a test.
var forTests = []string{"-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"}

// Somebody who is in no Safe, but named for the emergencies of one, opens a
// session at a real server with the system's ssh client: with a reason and
// without an approval. Whoever answers for the Safe hears of it, and the
// password that was used is worth nothing afterwards.
func TestEmergencySessionByTheSystemsClient(t *testing.T) {
	t.Parallel()
	box := mailbox.Start(t, withLogin(mailbox.Options{}))
	p := mailingServer(t, box)
	owner := p.owner()
	l := sshPlace(t, false)
	l.place(owner)
	fire, manager := owner.person(p, "fire@corp.example", "operator"), owner.person(p, "manager@corp.example", "operator")
	owner.joins(l.safe, manager, "manager")
	name := func(users ...string) {
		owner.call("PATCH", "/safes/"+l.safe, map[string]any{"approval": "dual", "break_glass": v1.BreakGlass{UserIDs: users}}).want(http.StatusOK)
	}
	name(fire.id)
	env := []string{"VAULTPAM_BASE_URL=" + p.base, "VAULTPAM_TOKEN=" + fire.token, "SSHPASS=" + ownerPassword, "XDG_CONFIG_HOME=" + t.TempDir()}
	cli := func(args ...string) (string, string, int) {
		return run(t, env, "", target.Need(t, "sshpass"), append([]string{"-e", binary(t), "ssh", l.safe, "--account", l.account}, args...)...)
	}
	if _, errs, status := cli("--emergency"); status == 0 || !strings.Contains(errs, "--reason") {
		t.Errorf("without a reason: %d %s", status, errs)
	}
	if _, errs, status := cli("--reason", "the router is down"); status == 0 || strings.Contains(errs, "Emergency") {
		t.Errorf("without an emergency: %d %s", status, errs)
	}
	if n := len(owner.events("BREAK_GLASS_USED")); n != 0 {
		t.Fatalf("%d emergencies before the first", n)
	}
	out, errs, status := cli(append(append([]string{"--emergency", "--reason", "the router is down", "--"}, forTests...), "id -un")...)
	if status != 0 || strings.TrimSpace(out) != l.username || !strings.Contains(errs, "goes on record") {
		t.Fatalf("%d %s%s", status, out, errs)
	}
	for _, to := range []string{"manager@corp.example", ownerEmail} {
		if m := box.Wait(to, 1); !strings.Contains(m.Subject, "fire@corp.example") || !strings.Contains(m.Text, "the router is down") {
			t.Errorf("%s is told %q: %s", to, m.Subject, m.Text)
		}
	}
	used := owner.events("BREAK_GLASS_USED")
	if len(used) != 1 || used[0].Target.ID != l.safe || used[0].Metadata["reason"] != "the router is down" || used[0].Metadata["account_id"] != l.account {
		t.Fatalf("%+v", used)
	}
	s := read[v1.Session](owner.call("GET", "/sessions/"+used[0].Metadata["session_id"].(string), nil))
	if !s.Emergency || s.UserID != fire.id || s.RecordingID == "" {
		t.Errorf("%+v", s)
	}
	l.over(t, owner, "break_glass")
	if l.logsIn(l.first()) {
		t.Error("the password that was used in an emergency still logs in")
	}

	// A launch is taken over for what it was declared for, and for nothing else.
	ask := v1.SessionIn{SafeID: l.safe, AccountID: l.account, Emergency: true, Reason: "again"}
	launch := read[v1.Launch](fire.call("POST", "/sessions", ask).want(http.StatusCreated))
	helper := ""
	for _, b := range read[v1.Safe](owner.call("GET", "/safes/"+l.safe, nil)).Bindings {
		if b.AccountID != l.account {
			helper = b.AccountID
		}
	}
	if ssh := p.native(t, ownerPassword, fire.email+"+"+l.at(owner, helper), nil, "id -un"); ssh.wait() != 255 || ssh.out.String() != "" {
		t.Errorf("as root: %s%s", ssh.out, ssh.errs)
	}
	if s := read[v1.Session](owner.call("GET", "/sessions/"+launch.ID, nil)); s.Status != "pending" {
		t.Errorf("%+v", s)
	}
	if ssh := p.native(t, ownerPassword, fire.email+"+"+l.at(owner, l.account), nil, "id -un"); ssh.wait() != 0 || strings.TrimSpace(ssh.out.String()) != l.username {
		t.Errorf("%s%s", ssh.out, ssh.errs)
	}

	// Who is not named any more does not take over what they launched.
	read[v1.Launch](fire.call("POST", "/sessions", ask).want(http.StatusCreated))
	name()
	if ssh := p.native(t, ownerPassword, fire.email+"+"+l.at(owner, l.account), nil, "id -un"); ssh.wait() != 255 || ssh.out.String() != "" {
		t.Errorf("not named any more: %s%s", ssh.out, ssh.errs)
	}
	if refused := owner.events("BREAK_GLASS_REFUSED"); len(refused) != 1 || refused[0].Actor.ID != fire.id {
		t.Errorf("%+v", refused)
	}
}

// Whoever asks what an emergency would come to is told what it does come to:
// by everybody, at every door.
func TestTriedEmergencyIsTheRealOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := map[string]*caller{}
	for _, name := range []string{"operator", "viewer", "manager", "stranger", "auditor", "admin", "owner"} {
		people[name] = w.who[name]
	}
	unnamed := w.founder.person(w.p, "unnamed@table.test", "operator")
	people["unnamed"], people["unnamed stranger"], people["founder"] = unnamed, w.founder.person(w.p, "nobody@table.test", "operator"), w.founder
	people["token"] = w.who["operator"].pat(allScopes...)
	var named []string
	for name, c := range people {
		if !strings.HasPrefix(name, "unnamed") && name != "founder" && name != "token" {
			named = append(named, c.id)
		}
	}
	yesterday := []v1.HourWindow{{Days: []string{strings.ToLower(time.Now().UTC().AddDate(0, 0, -1).Weekday().String()[:3])}, From: "00:00", To: "12:00"}}
	past := time.Now().Add(-time.Hour)
	for state, door := range map[string]struct {
		change map[string]any
		rule   *v1.PolicyIn
		lock   bool
	}{
		"open":        {},
		"approval":    {change: map[string]any{"approval": "dual"}},
		"step-up":     {change: map[string]any{"mfa_step_up": true}},
		"hours":       {change: map[string]any{"valid_hours": v1.ValidHours{TimeZone: "UTC", Windows: yesterday}}},
		"expired":     {change: map[string]any{"credential_expires_at": past}},
		"no checkout": {change: map[string]any{"checkout": map[string]any{"enabled": false}}},
		"locked":      {lock: true},
		"asked":       {rule: &v1.PolicyIn{Action: "require_approval", JIT: &v1.JIT{Approvers: 2}}},
		"denied":      {rule: &v1.PolicyIn{Action: "deny"}},
		"elsewhere":   {rule: &v1.PolicyIn{Action: "allow", Conditions: v1.PolicyConditions{SourceIPs: []string{"203.0.113.0/24"}}}},
		"factor":      {rule: &v1.PolicyIn{Action: "allow", Conditions: v1.PolicyConditions{MFARequired: true}}},
	} {
		f := w.fresh()
		w.founder.joins(f.safe, unnamed, "operator")
		change := map[string]any{"break_glass": v1.BreakGlass{UserIDs: named}}
		for k, v := range door.change {
			change[k] = v
		}
		w.founder.call("PATCH", "/safes/"+f.safe, change).want(http.StatusOK)
		if door.rule != nil {
			door.rule.SafeIDs = []string{f.safe}
			w.founder.rule(*door.rule)
		}
		if door.lock {
			w.founder.call("POST", "/safes/"+f.safe+"/lock", nil).want(http.StatusOK)
		}
		for name, c := range people {
			for _, action := range []string{"launch", "check_out"} {
				what := state + ", " + name + ", " + action
				tried := c.call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: f.safe, Action: action, Emergency: true})
				var really answer
				if action == "launch" {
					really = c.call("POST", "/sessions", v1.SessionIn{SafeID: f.safe, Emergency: true, Reason: "the site is down"})
				} else {
					really = c.call("POST", "/checkouts", v1.CheckoutIn{SafeID: f.safe, Emergency: true, Reason: "the site is down"})
				}
				if got, want := foretold(tried), came(really); got != want {
					t.Errorf("%s: told %q, but really %q: %s %s", what, got, want, tried.body, really.body)
				}
				if name != "token" && (state == "open" || state == "approval") && slices.Contains([]string{"operator", "viewer", "manager", "stranger", "admin", "owner"}, name) != (really.status == http.StatusCreated) {
					t.Errorf("%s: %d %s", what, really.status, really.body)
				}
			}
		}
	}
	// What was never asked for is no emergency, and an administrator asks for others.
	f := w.fresh()
	w.founder.call("PATCH", "/safes/"+f.safe, map[string]any{"approval": "dual", "break_glass": v1.BreakGlass{UserIDs: named}}).want(http.StatusOK)
	if d := read[v1.AccessDecision](w.who["operator"].call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: f.safe})); d.Decision != "require_approval" {
		t.Errorf("%+v", d)
	}
	w.who["stranger"].call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: f.safe}).want(http.StatusNotFound)
	w.who["stranger"].call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: f.safe, UserID: w.who["operator"].id, Emergency: true}).want(http.StatusForbidden)
	d := read[v1.AccessDecision](w.who["admin"].call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: f.safe, UserID: w.who["stranger"].id, Action: "check_out", Emergency: true}))
	var kinds []string
	for _, o := range d.Obligations {
		kinds = append(kinds, o.Kind)
	}
	if d.Decision != "allow" || d.Rule != "step_up" || !slices.Equal(kinds, []string{"reason", "step_up"}) {
		t.Errorf("%+v", d)
	}
}

// foretold puts a dry run into the words of came.
func foretold(a answer) string {
	if a.status != http.StatusOK {
		return a.code()
	}
	d := read[v1.AccessDecision](a)
	switch {
	case d.Decision == "allow" && slices.ContainsFunc(d.Obligations, func(o v1.Obligation) bool { return o.Kind == "step_up" || o.Kind == "mfa" }):
		return "STEP_UP_REQUIRED"
	case d.Decision == "allow":
		return "in"
	case d.Decision == "require_approval":
		return "APPROVAL_REQUIRED"
	case d.Rule == "membership" || d.Rule == "checkout":
		return "FORBIDDEN"
	case d.Rule == "lock":
		return "SAFE_LOCKED"
	case d.Rule == "credential_expires_at":
		return "CREDENTIAL_POLICY_EXPIRED"
	}
	return "POLICY_DENIED"
}

// came is what an attempt came to.
func came(a answer) string {
	if a.status == http.StatusCreated {
		return "in"
	}
	return a.code()
}
