package script

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

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
