package script

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// rule makes a policy and lets it count.
func (c *caller) rule(in v1.PolicyIn) v1.Policy {
	c.t.Helper()
	if in.Name == "" {
		in.Name = in.Action
	}
	p := read[v1.Policy](c.call("POST", "/policies", in))
	return read[v1.Policy](c.call("POST", "/policies/"+p.ID+"/activate", nil))
}

// reveals says what a checkout of the Safe's secret answers.
func (c *caller) reveals(safe string, headers ...string) answer {
	c.t.Helper()
	return c.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe}, headers...)
}

// Somebody wants in from where the policy does not let them, and says that they
// are somewhere else. Nobody is believed but a proxy that the server was told
// of, and of what that one says, only what it wrote itself.
func TestAttackSayingToBeElsewhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, trusted string
		forwarded     string
		want          int
	}{
		{"no proxy is trusted", "", "10.1.2.3", http.StatusForbidden},
		{"another proxy is trusted", "192.0.2.1", "10.1.2.3", http.StatusForbidden},
		{"by a trusted proxy", "127.0.0.1", "10.1.2.3", http.StatusCreated},
		{"what a client put in front", "127.0.0.1", "10.1.2.3, 203.0.113.9", http.StatusForbidden},
		{"no address", "127.0.0.1", "10.1.2.3.4, inside", http.StatusForbidden},
		{"nothing", "127.0.0.1", "", http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := startServer(t, "--trusted-proxies", c.trusted)
			owner := p.owner()
			operator := owner.person(p, "operator@table.test", "operator")
			resource := read[v1.Resource](owner.call("POST", "/resources", v1.ResourceIn{Name: "r", Type: "ssh", Host: "host.test", Port: 22})).ID
			account := read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{
				Name: "a", Username: "root", ResourceID: &resource, Credential: &v1.CredentialIn{Kind: "password", Value: "a-password-of-a-target"},
			})).ID
			safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{
				Name: "s", Bindings: []v1.Binding{{ResourceID: resource, AccountID: account}}, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 600},
			})).ID
			owner.joins(safe, operator, "operator")
			owner.rule(v1.PolicyIn{Action: "allow", SafeIDs: []string{safe}, Conditions: v1.PolicyConditions{SourceIPs: []string{"10.0.0.0/8"}}})
			a := operator.reveals(safe, "X-Forwarded-For", c.forwarded, "X-Real-IP", "10.1.2.3", "Forwarded", "for=10.1.2.3")
			if a.status != c.want || a.status == http.StatusForbidden && a.code() != "POLICY_DENIED" {
				t.Errorf("%d %s", a.status, a.body)
			}
			if c.trusted == "127.0.0.1" {
				return // over SSH such a proxy says who comes, or nobody gets in
			}
			ssh := p.native(t, ownerPassword, operator.email+"+"+safe, nil, "true")
			if ssh.wait() != 255 || !strings.Contains(ssh.errs.String(), "address") {
				t.Errorf("over SSH: %s", ssh.errs)
			}
		})
	}
}

// Policies that would open more than they seem to: of another organization, a
// draft in front of a refusal, names of time zones that are paths, lists without
// end, fields that are not the client's to write.
func TestAttackThroughPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, operator := w.founder, w.who["operator"]
	f := w.fresh()

	deny := owner.rule(v1.PolicyIn{Action: "deny", SafeIDs: []string{f.safe}, Conditions: v1.PolicyConditions{UserIDs: []string{operator.id}}})
	read[v1.Policy](owner.call("POST", "/policies", v1.PolicyIn{Name: "opens all", Action: "allow", SafeIDs: []string{f.safe}}))
	operator.reveals(f.safe).want(http.StatusForbidden, "POLICY_DENIED")
	operator.call("POST", "/sessions", v1.SessionIn{SafeID: f.safe}).want(http.StatusForbidden, "POLICY_DENIED")
	w.who["manager"].reveals(f.safe).want(http.StatusCreated)

	// Of another organization nothing is assigned, named, read or changed.
	boss := w.foreign
	boss.call("POST", "/policies", v1.PolicyIn{Name: "x", Action: "allow", SafeIDs: []string{f.safe}}).want(http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	boss.call("POST", "/policies", v1.PolicyIn{Name: "x", Action: "deny", Conditions: v1.PolicyConditions{UserIDs: []string{operator.id}}}).want(http.StatusUnprocessableEntity)
	theirs := read[v1.Policy](boss.call("POST", "/policies", v1.PolicyIn{Name: "theirs", Action: "allow"}))
	boss.call("PATCH", "/policies/"+theirs.ID, map[string]any{"safe_ids": []string{f.safe}}).want(http.StatusUnprocessableEntity)
	for _, path := range []string{"", "/activate", "/disable", "/preview"} {
		method := "POST"
		if path == "" {
			method = "DELETE"
		}
		boss.call(method, "/policies/"+deny.ID+path, nil).want(http.StatusNotFound)
	}
	boss.call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: f.safe}).want(http.StatusNotFound)
	boss.call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: f.safe, UserID: operator.id}).want(http.StatusNotFound)

	// What is no rule is refused by its field, and never repeated.
	window := func(zone, from, to string, days ...string) v1.PolicyConditions {
		return v1.PolicyConditions{TimeWindow: &v1.ValidHours{TimeZone: zone, Windows: []v1.HourWindow{{Days: days, From: from, To: to}}}}
	}
	many := make([]string, 300)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.%d.0/24", i%256)
	}
	manySafes := make([]string, 1001)
	for i := range manySafes {
		manySafes[i] = f.safe
	}
	for what, c := range map[string]v1.PolicyConditions{
		"a path":                 window("../../../etc/passwd", "00:00", "24:00", "mon"),
		"an absolute path":       window("/etc/localtime", "00:00", "24:00", "mon"),
		"a path behind a name":   window("Europe/../../etc/passwd", "00:00", "24:00", "mon"),
		"the server's own zone":  window("Local", "00:00", "24:00", "mon"),
		"a zone with leaps":      window("right/UTC", "00:00", "24:00", "mon"),
		"no time":                window("UTC", "8", "9", "mon"),
		"an empty window":        window("UTC", "08:00", "08:00", "mon"),
		"no day":                 window("UTC", "08:00", "09:00"),
		"bits beyond the length": {SourceIPs: []string{"10.0.0.1/8"}},
		"a zone of an address":   {SourceIPs: []string{"fe80::1%eth0"}},
		"a name for an address":  {SourceIPs: []string{"localhost"}},
		"a long list":            {SourceIPs: many},
		"an unknown role":        {Roles: []string{"root"}},
		"an unknown type":        {ResourceTypes: []string{"telnet"}},
		"no user's id":           {UserIDs: []string{"%"}},
		"no group's id":          {GroupIDs: []string{operator.id}},
	} {
		a := owner.call("POST", "/policies", v1.PolicyIn{Name: "x", Action: "deny", Conditions: c})
		if a.status != http.StatusUnprocessableEntity || strings.Contains(string(a.body), "passwd") || strings.Contains(string(a.body), "localtime") {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	owner.call("POST", "/policies", v1.PolicyIn{Name: "x", Action: "deny", SafeIDs: manySafes}).want(http.StatusUnprocessableEntity)
	for _, body := range []string{
		`{"name":"x","action":"allow","status":"active"}`, `{"name":"x","action":"allow","id":"pol_1"}`, `{"name":"x","action":"permit"}`, `{"name":"x"}`,
		`{"name":"x","action":"deny","conditions":{"mfa_required":true}}`, `{"name":"x","action":"allow","jit":{"approvers":1}}`,
		`{"name":"x","action":"require_approval","jit":{"approvers":0}}`, `{"name":"x","action":"require_approval","jit":{"approvers":3}}`,
		`{"name":"x","action":"allow","conditions":{"source_ip":["10.0.0.0/8"]}}`,
	} {
		owner.call("POST", "/policies", body).want(http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}

	// A token cannot weaken, and of two who change the same the second is told.
	w.who["pat.admin"].call("POST", "/policies/"+deny.ID+"/disable", nil).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	etag := owner.call("GET", "/policies/"+deny.ID, nil).header.Get("ETag")
	owner.call("PATCH", "/policies/"+deny.ID, map[string]any{"description": "first"}, "If-Match", etag).want(http.StatusOK)
	owner.call("PATCH", "/policies/"+deny.ID, map[string]any{"description": "second"}, "If-Match", etag).want(http.StatusPreconditionFailed)
	owner.call("POST", "/policies/"+deny.ID+"/disable", nil, "If-Match", etag).want(http.StatusPreconditionFailed)
	operator.reveals(f.safe).want(http.StatusForbidden, "POLICY_DENIED")

	// The same request twice is one policy.
	first := owner.call("POST", "/policies", v1.PolicyIn{Name: "once", Action: "deny"}, "Idempotency-Key", "k1").want(http.StatusCreated)
	again := owner.call("POST", "/policies", v1.PolicyIn{Name: "once", Action: "deny"}, "Idempotency-Key", "k1").want(http.StatusCreated)
	if string(first.body) != string(again.body) {
		t.Errorf("%s and %s", first.body, again.body)
	}
	for _, typ := range []string{"POLICY_CREATED", "POLICY_ACTIVATED", "POLICY_ASSIGNMENT_CHANGED", "POLICY_EVALUATED"} {
		if len(owner.events(typ)) == 0 {
			t.Errorf("no %s on record", typ)
		}
	}
}

// Who asks what would happen is told what does.
func TestTriedDecisionIsTheRealOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, operator := w.founder, w.who["operator"]
	safe := w.fresh().safe
	yesterday := strings.ToLower(time.Now().UTC().AddDate(0, 0, -1).Weekday().String()[:3])
	closed := owner.rule(v1.PolicyIn{Name: "Yesterday", Action: "allow", SafeIDs: []string{safe}, Conditions: v1.PolicyConditions{
		TimeWindow: &v1.ValidHours{TimeZone: "UTC", Windows: []v1.HourWindow{{Days: []string{yesterday}, From: "00:00", To: "24:00"}}},
	}})
	refused := operator.call("POST", "/sessions", v1.SessionIn{SafeID: safe}).want(http.StatusForbidden, "POLICY_DENIED")
	tried := read[v1.AccessDecision](operator.call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: safe}))
	if tried.Decision != "deny" || tried.Message == "" || !strings.Contains(string(refused.body), tried.Message) || len(tried.Reasons) < 2 {
		t.Errorf("%+v, but really %s", tried, refused.body)
	}
	at := time.Now().AddDate(0, 0, -1)
	if d := read[v1.AccessDecision](owner.call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: safe, UserID: operator.id, At: &at})); d.Decision != "allow" || d.Rule != "policy "+closed.ID {
		t.Errorf("%+v", d)
	}
	four := owner.rule(v1.PolicyIn{Name: "Four eyes", Action: "require_approval", JIT: &v1.JIT{Approvers: 2, MaxSeconds: 600}, SafeIDs: []string{safe}})
	owner.call("POST", "/policies/"+closed.ID+"/disable", nil).want(http.StatusOK)
	operator.call("POST", "/sessions", v1.SessionIn{SafeID: safe}).want(http.StatusForbidden, "APPROVAL_REQUIRED")
	d := read[v1.AccessDecision](operator.call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: safe, Action: "check_out"}))
	if d.Decision != "require_approval" || len(d.Obligations) != 1 || d.Obligations[0].Kind != "approval" || d.Obligations[0].Approvers != 2 || d.Obligations[0].MaxSeconds != 600 {
		t.Errorf("%+v", d)
	}
	owner.call("DELETE", "/policies/"+four.ID, nil).want(http.StatusNoContent)
	factor := owner.rule(v1.PolicyIn{Name: "Factor", Action: "allow", Conditions: v1.PolicyConditions{MFARequired: true}, SafeIDs: []string{safe}})
	operator.call("POST", "/sessions", v1.SessionIn{SafeID: safe}).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	if d := read[v1.AccessDecision](operator.call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: safe})); d.Decision != "allow" || len(d.Obligations) != 1 || d.Obligations[0].Kind != "mfa" {
		t.Errorf("%+v", d)
	}
	for what, in := range map[string]v1.AccessDecisionIn{
		"no address": {SafeID: safe, SourceIP: "here"}, "nobody": {SafeID: safe, UserID: "usr_00000000000000000000000000"}, "no resource of it": {SafeID: safe, ResourceID: "res_x"},
	} {
		if a := owner.call("POST", "/access-decisions", in); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	p := read[v1.PolicyPreview](owner.call("POST", "/policies/"+factor.ID+"/preview", map[string]any{"days": 1, "change": map[string]any{"action": "deny", "conditions": nil}}))
	if p.Attempts == 0 || len(p.Changes) != 1 || p.Changes[0].UserEmail != operator.email || p.Changes[0].After != "deny" {
		t.Errorf("%+v", p)
	}
	// Who it weakens is to be seen before, and by those who could do it alone.
	if p := read[v1.PolicyPreview](owner.call("POST", "/policies/"+factor.ID+"/preview", map[string]any{"change": map[string]any{"conditions": nil}})); len(p.WeakenedSafeIDs) != 1 {
		t.Errorf("%+v", p)
	}
}

// Somebody is at work when a policy comes to speak against it: one is
// activated, assigned, changed, or its hours end. They are put out within a
// second, told why, and it is on record.
func TestPolicyEndsTheSessionsThatItRefuses(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	sshd := target.StartSSHD(t)
	credential := v1.CredentialIn{Kind: "ssh_key", PrivateKey: sshd.PrivateKeyPEM}
	day := func(t time.Time) string { return strings.ToLower(t.Weekday().String()[:3]) }
	anyTime := []v1.HourWindow{{Days: []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, From: "00:00", To: "24:00"}}
	for what, end := range map[string]func(safe string, who *caller, before v1.Policy) string{
		"a refusal activated": func(safe string, _ *caller, _ v1.Policy) string {
			return owner.rule(v1.PolicyIn{Action: "deny", SafeIDs: []string{safe}}).ID
		},
		"a refusal assigned": func(safe string, who *caller, _ v1.Policy) string {
			d := owner.rule(v1.PolicyIn{Action: "deny", Conditions: v1.PolicyConditions{UserIDs: []string{who.id}}})
			owner.call("PATCH", "/policies/"+d.ID, map[string]any{"safe_ids": []string{safe}}).want(http.StatusOK)
			return d.ID
		},
		"an approval asked for": func(safe string, _ *caller, _ v1.Policy) string {
			owner.rule(v1.PolicyIn{Action: "require_approval", SafeIDs: []string{safe}})
			return "approval"
		},
		"other addresses": func(_ string, _ *caller, before v1.Policy) string {
			owner.call("PATCH", "/policies/"+before.ID, map[string]any{"conditions": map[string]any{"source_ips": []string{"203.0.113.0/24"}}}).want(http.StatusOK)
			return "polic"
		},
		"other hours": func(_ string, _ *caller, before v1.Policy) string {
			yesterday := []v1.HourWindow{{Days: []string{day(time.Now().UTC().AddDate(0, 0, -1))}, From: "00:00", To: "12:00"}}
			owner.call("PATCH", "/policies/"+before.ID, map[string]any{"conditions": map[string]any{"time_window": v1.ValidHours{TimeZone: "UTC", Windows: yesterday}}}).want(http.StatusOK)
			return "polic"
		},
		"other hours of the Safe": func(safe string, _ *caller, _ v1.Policy) string {
			yesterday := []v1.HourWindow{{Days: []string{day(time.Now().UTC().AddDate(0, 0, -1))}, From: "00:00", To: "12:00"}}
			owner.call("PATCH", "/safes/"+safe, map[string]any{"valid_hours": v1.ValidHours{TimeZone: "UTC", Windows: yesterday}}).want(http.StatusOK)
			return "valid hours"
		},
	} {
		name := strings.ReplaceAll(strings.ToLower(what), " ", "-")
		safe, _ := owner.real(sshd, "Safe "+name, credential)
		who := owner.person(p, name+"@cut.test", "operator")
		owner.joins(safe.ID, who, "operator")
		before := owner.rule(v1.PolicyIn{Action: "allow", SafeIDs: []string{safe.ID}, Conditions: v1.PolicyConditions{
			SourceIPs: []string{"127.0.0.1", "::1"}, TimeWindow: &v1.ValidHours{TimeZone: "Europe/Berlin", Windows: anyTime},
		}})
		ssh := p.native(t, ownerPassword, who.email+"+"+safe.ID, nil, "echo ready; while :; do echo tick; sleep 0.05; done")
		ssh.prints("ready")
		reason := end(safe.ID, who, before)
		began := time.Now()
		status := ssh.wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: put out after %s", what, took)
		}
		if status != 255 || !strings.Contains(ssh.errs.String(), "vaultpam: This session was ended") {
			t.Errorf("%s: exit status %d: %s", what, status, ssh.errs)
		}
		if again := p.native(t, ownerPassword, who.email+"+"+safe.ID, nil, "echo again"); again.wait() != 255 || again.out.String() != "" {
			t.Errorf("%s: came in again: %s", what, again.out)
		}
		eventually(t, 5*time.Second, what+": the end is on record", func() bool {
			for _, s := range read[[]v1.Session](owner.call("GET", "/sessions?safe_id="+safe.ID, nil)) {
				if s.Status == "ended" && strings.Contains(s.EndReason, reason) {
					return true
				}
			}
			return false
		})
	}
}

// A right that is given or taken counts for the next request, with policies
// that ask for it or without.
func TestMembershipCountsForTheNextRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := w.who["stranger"]
	safe := w.fresh().safe
	w.founder.rule(v1.PolicyIn{Action: "allow", SafeIDs: []string{safe}, Conditions: v1.PolicyConditions{Roles: []string{"operator"}}})
	for range 20 {
		stranger.reveals(safe).want(http.StatusNotFound)
		member := w.founder.joins(safe, stranger, "operator")
		stranger.reveals(safe).want(http.StatusCreated)
		w.founder.call("PATCH", "/org/members/"+stranger.id, map[string]any{"role": "policy_manager"}).want(http.StatusOK)
		stranger.reveals(safe).want(http.StatusForbidden, "POLICY_DENIED")
		w.founder.call("PATCH", "/org/members/"+stranger.id, map[string]any{"role": "operator"}).want(http.StatusOK)
		stranger.reveals(safe).want(http.StatusCreated)
		w.founder.call("DELETE", "/safes/"+safe+"/members/"+member, nil).want(http.StatusNoContent)
	}
}
