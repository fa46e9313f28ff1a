package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/confirmation"
	"vaultpam/pam/group"
	"vaultpam/pam/policy"
	"vaultpam/pam/rulebook"
)

func (w *world) policy(a pam.Actor, in rulebook.Settings, active bool) rulebook.Policy {
	w.t.Helper()
	if in.Name == "" {
		in.Name = string(in.Action)
	}
	p := must[rulebook.Policy](w.t)(w.policies.Create(w.t.Context(), a, in))
	if active {
		p = must[rulebook.Policy](w.t)(w.policies.Activate(w.t.Context(), a, p.ID, 0))
	}
	return p
}

// asks is what a launch by a comes to now.
func (w *world) asks(a pam.Actor, s pam.SafeID) policy.Effect {
	w.t.Helper()
	return must[rulebook.Answer](w.t)(w.policies.Decide(w.t.Context(), a, rulebook.Hypothesis{Safe: s})).Effect
}

func (w *world) countEvents(t audit.Type) int {
	w.t.Helper()
	return len(must[[]audit.Event](w.t)(w.db.Audit().List(w.t.Context(), w.owner.Org, audit.Filter{Type: t, Limit: 100})))
}

func TestPolicySurvivesTheFormInWhichItIsKept(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, _, _ := w.bound(w.admin, "Web")
		in := rulebook.Settings{
			Name: "Everything", Description: "of it", Action: policy.RequireApproval, JIT: &policy.JIT{Approvers: 2, MaxSeconds: 600, AutoExpire: true}, SafeIDs: []pam.SafeID{s.ID},
			Conditions: policy.Conditions{
				TimeWindow: &policy.Hours{TimeZone: "Europe/Berlin", Windows: []policy.Window{{Days: []string{"mon"}, From: "08:00", To: "18:00"}}},
				SourceIPs:  []string{"10.0.0.0/8"}, MFARequired: true, ResourceTypes: []pam.Protocol{pam.SSH},
				UserIDs: []pam.UserID{w.operator.User}, GroupIDs: []pam.GroupID{w.team("operators").ID}, Roles: []pam.Role{pam.Operator},
			},
		}
		p := w.policy(w.admin, in, false)
		got := must[rulebook.Policy](t)(w.policies.ByID(t.Context(), w.admin, p.ID))
		if diff := cmp.Diff(in, got.Settings); diff != "" {
			t.Fatal(diff)
		}
		if got.Status != rulebook.Draft || got.Version != 1 || got.CreatedBy != w.admin.User {
			t.Errorf("%+v", got)
		}
		plain := w.policy(w.admin, rulebook.Settings{Action: policy.Deny}, false)
		all := must[[]rulebook.Policy](t)(w.policies.List(t.Context(), w.admin, rulebook.Query{Limit: 10}))
		if len(all) != 2 || all[0].ID != plain.ID || all[0].JIT != nil || len(all[1].SafeIDs) != 1 {
			t.Errorf("%+v", all)
		}
		for name, q := range map[string]rulebook.Query{"status": {Status: rulebook.Active}, "safe": {Safe: "saf_x"}, "text": {Text: "nothing such"}, "nul": {Text: "\x00"}, "after": {After: "pol_0"}} {
			q.Limit = 10
			if rows := must[[]rulebook.Policy](t)(w.policies.List(t.Context(), w.admin, q)); len(rows) != 0 {
				t.Errorf("%s: %d rows", name, len(rows))
			}
		}
		if rows := must[[]rulebook.Policy](t)(w.policies.List(t.Context(), w.admin, rulebook.Query{Text: "EVERY", Safe: s.ID, Limit: 10})); len(rows) != 1 {
			t.Errorf("by name and Safe: %d rows", len(rows))
		}
	})
}

func TestPolicyCountsFromItsActivationToItsEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, _, _ := w.bound(w.admin, "Web")
		p := w.policy(w.admin, rulebook.Settings{Action: policy.Deny, SafeIDs: []pam.SafeID{s.ID}}, false)
		if got := w.asks(w.admin, s.ID); got != policy.Allow {
			t.Errorf("a draft refuses: %s", got)
		}
		p = must[rulebook.Policy](t)(w.policies.Activate(ctx, w.admin, p.ID, p.Version))
		if got := w.asks(w.admin, s.ID); got != policy.Deny || p.Status != rulebook.Active || p.Version != 2 {
			t.Errorf("%s under %+v", got, p)
		}
		_, err := w.policies.Activate(ctx, w.admin, p.ID, 0)
		refused(t, err, pam.Conflict)
		_, err = w.policies.Disable(ctx, w.admin, p.ID, 1)
		refused(t, err, pam.Precondition)
		_, err = w.policies.Disable(ctx, w.stale(w.admin), p.ID, 0)
		refused(t, err, pam.StepUpNeeded)
		must[rulebook.Policy](t)(w.policies.Disable(ctx, w.admin, p.ID, 0))
		if got := w.asks(w.admin, s.ID); got != policy.Allow {
			t.Errorf("a disabled policy refuses: %s", got)
		}
		must[rulebook.Policy](t)(w.policies.Activate(ctx, w.stale(w.admin), p.ID, 0))
		if got := w.asks(w.admin, s.ID); got != policy.Deny {
			t.Errorf("active again: %s", got)
		}
		must[rulebook.Policy](t)(w.policies.Delete(ctx, w.admin, p.ID, 0))
		if got := w.asks(w.admin, s.ID); got != policy.Allow {
			t.Errorf("a deleted policy refuses: %s", got)
		}
		_, err = w.policies.ByID(ctx, w.admin, p.ID)
		refused(t, err, pam.NotFound)
		for kind, want := range map[audit.Type]int{
			audit.PolicyCreated: 1, audit.PolicyActivated: 2, audit.PolicyDisabled: 1, audit.PolicyDeleted: 1, audit.PolicyAssignmentChanged: 2, audit.SafeWeakened: 2,
		} {
			if n := w.countEvents(kind); n != want {
				t.Errorf("%d events %s, want %d", n, kind, want)
			}
		}
	})
}

func TestPolicyStaysInItsOrganization(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		mine, _, _ := w.bound(w.admin, "Mine")
		theirs := w.safe(w.stranger, "Theirs")
		p := w.policy(w.admin, rulebook.Settings{Action: policy.Deny, SafeIDs: []pam.SafeID{mine.ID}}, true)
		_, err := w.policies.Create(ctx, w.admin, rulebook.Settings{Name: "x", Action: policy.Deny, SafeIDs: []pam.SafeID{theirs.ID}})
		refused(t, err, pam.Invalid)
		_, err = w.policies.Update(ctx, w.admin, p.ID, 0, rulebook.Settings{Name: "x", Action: policy.Deny, SafeIDs: []pam.SafeID{mine.ID, theirs.ID}})
		refused(t, err, pam.Invalid)
		_, err = w.policies.Create(ctx, w.admin, rulebook.Settings{Name: "x", Action: policy.Allow, Conditions: policy.Conditions{UserIDs: []pam.UserID{w.stranger.User}}})
		refused(t, err, pam.Invalid)
		team := w.team("ours")
		_, err = w.policies.Create(ctx, w.stranger, rulebook.Settings{Name: "x", Action: policy.Allow, Conditions: policy.Conditions{GroupIDs: []pam.GroupID{team.ID}}})
		refused(t, err, pam.Invalid)
		_, err = w.policies.ByID(ctx, w.stranger, p.ID)
		refused(t, err, pam.NotFound)
		_, err = w.policies.Update(ctx, w.stranger, p.ID, 0, rulebook.Settings{Name: "x", Action: policy.Allow})
		refused(t, err, pam.NotFound)
		_, err = w.policies.Delete(ctx, w.stranger, p.ID, 0)
		refused(t, err, pam.NotFound)
		_, err = w.policies.Preview(ctx, w.stranger, p.ID, rulebook.Settings{Name: "x", Action: policy.Deny}, 1)
		refused(t, err, pam.NotFound)
		_, err = w.policies.Decide(ctx, w.stranger, rulebook.Hypothesis{User: w.admin.User, Safe: mine.ID})
		refused(t, err, pam.NotFound)
		_, err = w.policies.Decide(ctx, w.owner, rulebook.Hypothesis{User: w.stranger.User, Safe: mine.ID})
		refused(t, err, pam.Invalid)
		if rows := must[[]rulebook.Policy](t)(w.policies.List(ctx, w.stranger, rulebook.Query{Limit: 10})); len(rows) != 0 {
			t.Errorf("listed elsewhere: %+v", rows)
		}
		book := must[policy.Book](t)(w.rules.Rules(ctx, w.stranger.Org))
		if len(book) != 0 {
			t.Errorf("%+v", book)
		}
	})
}

// A policy about a group is about whoever is in it at the time. One that is
// gone stays named, and is about nobody.
func TestPolicyIsAboutWhoeverIsInItsGroups(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, _, _ := w.bound(w.admin, "Web")
		w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		team := w.team("shut out")
		p := w.policy(w.admin, rulebook.Settings{Action: policy.Deny, SafeIDs: []pam.SafeID{s.ID}, Conditions: policy.Conditions{GroupIDs: []pam.GroupID{team.ID}}}, true)
		asks := func() policy.Effect {
			t.Helper()
			return must[rulebook.Answer](t)(w.policies.Decide(ctx, w.owner, rulebook.Hypothesis{User: w.operator.User, Safe: s.ID})).Effect
		}
		if got := asks(); got != policy.Allow {
			t.Errorf("not in the group: %s", got)
		}
		team = must[group.Group](t)(w.groups.Update(ctx, w.admin, team.ID, 0, team.Name, []pam.UserID{w.operator.User}))
		if got := asks(); got != policy.Deny {
			t.Errorf("in the group: %s", got)
		}
		if err := w.groups.Delete(ctx, w.admin, team.ID, 0); err != nil {
			t.Fatal(err)
		}
		if got := asks(); got != policy.Allow {
			t.Errorf("the group is gone: %s", got)
		}
		in := p.Settings
		in.Description = "of a group that is gone"
		must[rulebook.Policy](t)(w.policies.Update(ctx, w.admin, p.ID, 0, in))
	})
}

func TestWhoMayKeepPolicies(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, _, _ := w.bound(w.admin, "Web")
		keeper := w.person(w.admin.Org, pam.PolicyManager)
		p := w.policy(keeper, rulebook.Settings{Action: policy.Deny, SafeIDs: []pam.SafeID{s.ID}}, true)
		for _, a := range []pam.Actor{w.operator, w.auditor} {
			_, err := w.policies.Create(ctx, a, rulebook.Settings{Name: "x", Action: policy.Deny})
			refused(t, err, pam.Denied)
			_, err = w.policies.Disable(ctx, a, p.ID, 0)
			refused(t, err, pam.Denied)
			_, err = w.policies.Preview(ctx, a, p.ID, p.Settings, 1)
			refused(t, err, pam.Denied)
		}
		_, err := w.policies.ByID(ctx, w.operator, p.ID)
		refused(t, err, pam.Denied)
		must[rulebook.Policy](t)(w.policies.ByID(ctx, w.auditor, p.ID))
		// About oneself anybody may ask, at Safes that they may know of.
		_, err = w.policies.Decide(ctx, w.operator, rulebook.Hypothesis{Safe: s.ID})
		refused(t, err, pam.NotFound)
		_, err = w.policies.Decide(ctx, w.operator, rulebook.Hypothesis{User: w.admin.User, Safe: s.ID})
		refused(t, err, pam.Denied)
		w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		if got := w.asks(w.operator, s.ID); got != policy.Deny {
			t.Error(got)
		}
		for _, a := range []pam.Actor{w.auditor, keeper, w.owner} {
			must[rulebook.Answer](t)(w.policies.Decide(ctx, a, rulebook.Hypothesis{User: w.operator.User, Safe: s.ID}))
		}
	})
}

func TestWeakeningByAPolicyWaitsForAManagerOfEachSafe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, _, _ := w.bound(w.admin, "A")
		b, _, _ := w.bound(w.other, "B")
		c, _, _ := w.bound(w.owner, "C")
		p := w.policy(w.admin, rulebook.Settings{Action: policy.Deny, SafeIDs: []pam.SafeID{a.ID, b.ID}}, true)
		w.policy(w.admin, rulebook.Settings{Name: "of C", Action: policy.Deny, SafeIDs: []pam.SafeID{c.ID}}, true)

		// Another confirmation of the same Safe is another matter.
		by := dual(w.admin)
		waits := must[rulebook.Policy](t)(w.policies.Disable(ctx, by, p.ID, 0))
		if waits.Pending == "" || waits.Status != rulebook.Active || w.asks(w.admin, a.ID) != policy.Deny {
			t.Fatalf("%+v", waits)
		}
		open := func() []confirmation.Confirmation {
			t.Helper()
			return must[[]confirmation.Confirmation](t)(w.changes.List(ctx, w.owner, confirmation.Query{Status: confirmation.Pending, Limit: 10}))
		}
		parts := open()
		if len(parts) != 2 {
			t.Fatalf("%d confirmations", len(parts))
		}
		of := func(s pam.SafeID) pam.ConfirmationID {
			i := slices.IndexFunc(parts, func(x confirmation.Confirmation) bool { return x.Safe == s })
			return parts[i].ID
		}
		if kind, id := parts[0].Target(); kind != "policy" || id != string(p.ID) {
			t.Errorf("%s %s", kind, id)
		}
		_, err := w.changes.Confirm(ctx, by, of(a.ID))
		refused(t, err, pam.Denied) // their own
		_, err = w.changes.Confirm(ctx, dual(w.other), of(a.ID))
		refused(t, err, pam.Denied) // no manager of A
		w.member(w.admin, a.ID, w.other, pam.SafeManager)
		must[confirmation.Confirmation](t)(w.changes.Confirm(ctx, dual(w.other), of(b.ID)))
		if got := w.asks(w.other, b.ID); got != policy.Deny {
			t.Errorf("after one of two: %s", got)
		}
		if n := w.countEvents(audit.SafeWeakened); n != 0 {
			t.Errorf("%d Safes are said to be weakened", n)
		}
		must[confirmation.Confirmation](t)(w.changes.Confirm(ctx, dual(w.other), of(a.ID)))
		if x, y := w.asks(w.admin, a.ID), w.asks(w.other, b.ID); x != policy.Allow || y != policy.Allow {
			t.Errorf("after both: %s, %s", x, y)
		}
		if n := w.countEvents(audit.SafeWeakened); n != 2 {
			t.Errorf("%d Safes are said to be weakened", n)
		}

		// Of a rejection nothing is left, also not at the other Safe.
		must[rulebook.Policy](t)(w.policies.Activate(ctx, by, p.ID, 0))
		must[rulebook.Policy](t)(w.policies.Delete(ctx, by, p.ID, 0))
		parts = open()
		must[confirmation.Confirmation](t)(w.changes.Reject(ctx, w.other, of(b.ID)))
		if left := open(); len(left) != 0 {
			t.Errorf("%+v", left)
		}
		// A deletion that is confirmed happens.
		must[rulebook.Policy](t)(w.policies.Delete(ctx, by, p.ID, 0))
		parts = open()
		must[confirmation.Confirmation](t)(w.changes.Confirm(ctx, w.other, of(b.ID)))
		must[confirmation.Confirmation](t)(w.changes.Confirm(ctx, w.other, of(a.ID)))
		_, err = w.policies.ByID(ctx, w.admin, p.ID)
		refused(t, err, pam.NotFound)
	})
}

func TestConfirmedChangeThatOthersHaveOutrunDoesNotHappen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, _, _ := w.bound(w.admin, "Web")
		w.member(w.admin, s.ID, w.other, pam.SafeManager)
		p := w.policy(w.admin, rulebook.Settings{Action: policy.Deny, SafeIDs: []pam.SafeID{s.ID}}, true)
		waits := must[rulebook.Policy](t)(w.policies.Disable(ctx, dual(w.admin), p.ID, 0))
		w.policy(w.admin, rulebook.Settings{Name: "another", Action: policy.Deny}, false)
		_, err := w.changes.Confirm(ctx, dual(w.other), waits.Pending)
		refused(t, err, pam.Conflict)
		if got := w.asks(w.admin, s.ID); got != policy.Deny {
			t.Errorf("it happened: %s", got)
		}
	})
}

// Two changes of which neither weakens by itself, but both do: the one that is
// second is judged again.
func TestTwoHarmlessChangesTogetherAreJudgedTogether(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, _, _ := w.bound(w.admin, "Web")
		var all []rulebook.Policy
		for i := range 2 {
			all = append(all, w.policy(w.admin, rulebook.Settings{Name: fmt.Sprint("allow ", i), Action: policy.Allow, SafeIDs: []pam.SafeID{s.ID}}, true))
		}
		var group sync.WaitGroup
		errs := make([]error, 2)
		for i, p := range all {
			group.Go(func() { _, errs[i] = w.policies.Disable(t.Context(), w.stale(w.admin), p.ID, 0) })
		}
		group.Wait()
		slices.SortFunc(errs, func(a, b error) int {
			if a == nil {
				return -1
			}
			return 1
		})
		if errs[0] != nil || !pam.Is(errs[1], pam.StepUpNeeded) {
			t.Errorf("%v", errs)
		}
	})
}

func TestPoliciesHaveAnEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.admin, "Full")
		w.policy(w.admin, rulebook.Settings{Name: "model", Action: policy.Deny}, false)
		// The fixture writes rows, as many as there may be.
		for i := range rulebook.MaxPerSafe {
			id := w.ids.New(pam.PrefixPolicy)
			w.sql(`INSERT INTO policies (org_id, policy_id, name, description, status, action, conditions, jit, version, created_by, created_at, updated_at)
				VALUES (?, ?, ?, '', 'active', 'deny', '{"source_ips":["203.0.113.1"]}', '', 1, '', 1, 1)`, w.admin.Org, id, fmt.Sprint(i))
			w.sql(`INSERT INTO policy_safes (org_id, policy_id, safe_id) VALUES (?, ?, ?)`, w.admin.Org, id, s.ID)
		}
		_, err := w.policies.Create(t.Context(), w.admin, rulebook.Settings{Name: "one more", Action: policy.Deny, SafeIDs: []pam.SafeID{s.ID}})
		refused(t, err, pam.Invalid)
		// With that many, an answer is still right.
		if got := w.asks(w.admin, s.ID); got != policy.Allow {
			t.Error(got)
		}
		many := make([]string, 257)
		for i := range many {
			many[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()
		}
		safes, users := make([]pam.SafeID, 1001), make([]pam.UserID, 1001)
		for i := range safes {
			safes[i], users[i] = pam.SafeID(w.ids.New(pam.PrefixSafe)), pam.UserID(w.ids.New(pam.PrefixUser))
		}
		for name, in := range map[string]rulebook.Settings{
			"ranges": {Conditions: policy.Conditions{SourceIPs: many}}, "safes": {SafeIDs: safes}, "users": {Conditions: policy.Conditions{UserIDs: users}},
			"range": {Conditions: policy.Conditions{SourceIPs: []string{"10.0.0.1/8"}}}, "zone": {Conditions: policy.Conditions{TimeWindow: &policy.Hours{TimeZone: "../etc/passwd"}}},
			"group": {Conditions: policy.Conditions{GroupIDs: []pam.GroupID{"grp_"}}}, "role": {Conditions: policy.Conditions{Roles: []pam.Role{"root"}}},
			"type": {Conditions: policy.Conditions{ResourceTypes: []pam.Protocol{"telnet"}}}, "mfa": {Conditions: policy.Conditions{MFARequired: true}}, "jit": {JIT: &policy.JIT{Approvers: 1}},
		} {
			in.Name, in.Action = name, policy.Deny
			_, err := w.policies.Create(t.Context(), w.admin, in)
			if !pam.Is(err, pam.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestEveryTemplateIsAPolicy(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		seen := map[string]bool{}
		for _, tpl := range rulebook.Templates() {
			if seen[tpl.ID] || tpl.Description == "" {
				t.Errorf("%s: twice, or without words", tpl.ID)
			}
			seen[tpl.ID] = true
			w.policy(w.admin, tpl.Settings, true)
		}
	})
}

// A node that hears of no change still decides by the policies as they are.
func TestPolicyOfAnotherNodeCountsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		deaf := rulebook.NewBooks(w.db, true, nil)
		s, _, _ := w.bound(w.admin, "Web")
		rules := func() int { t.Helper(); return len(must[policy.Book](t)(deaf.Rules(ctx, w.admin.Org))[s.ID]) }
		if n := rules(); n != 0 {
			t.Fatal(n)
		}
		p := w.policy(w.admin, rulebook.Settings{Action: policy.Deny, SafeIDs: []pam.SafeID{s.ID}}, true)
		if n := rules(); n != 1 {
			t.Errorf("%d rules after it was activated elsewhere", n)
		}
		must[rulebook.Policy](t)(w.policies.Disable(ctx, w.admin, p.ID, 0))
		if n := rules(); n != 0 {
			t.Errorf("%d rules after it was disabled elsewhere", n)
		}
	})
}

// A policy that this program cannot read is of another one, or somebody wrote
// into the database. Nobody gets through on half of the rules.
func TestPolicyThatCannotBeReadRefusesEverybody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, _, _ := w.bound(w.admin, "Web")
		p := w.policy(w.admin, rulebook.Settings{Action: policy.Allow, SafeIDs: []pam.SafeID{s.ID}}, true)
		w.sql(`UPDATE policies SET conditions = '{"source_ips":["all of them"]}' WHERE policy_id = ?`, p.ID)
		w.rules.Changed(pam.Change{Org: w.admin.Org, Subject: pam.SubjectPolicy, ID: string(p.ID)})
		if _, err := w.rules.Rules(t.Context(), w.admin.Org); err == nil {
			t.Error("there are rules")
		}
		if _, err := w.policies.Decide(t.Context(), w.admin, rulebook.Hypothesis{Safe: s.ID}); err == nil {
			t.Error("there is a decision")
		}
	})
}

func TestPreviewSaysWhoWouldHaveNoticed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, r, acc := w.bound(w.admin, "Web")
		w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		session := func(a pam.Actor, from string, at time.Time) {
			w.sql(`INSERT INTO sessions (org_id, session_id, status, protocol, user_id, safe_id, resource_id, account_id, recording_id, node, reason, client_ip, bytes_in, bytes_out,
				started_at, expires_at, ended_at, end_reason, kill_reason, auth_id) VALUES (?, ?, 'ended', 'ssh', ?, ?, ?, ?, '', '', '', ?, 0, 0, ?, 0, 1, '', '', '')`,
				a.Org, w.ids.New(pam.PrefixSession), a.User, s.ID, r.ID, acc.ID, from, at.UnixMicro())
		}
		now := w.clock.Now()
		for day := range 3 {
			session(w.operator, "192.0.2.7", now.AddDate(0, 0, -1-day))
		}
		session(w.operator, "10.1.2.3", now.AddDate(0, 0, -1))
		session(w.admin, "10.1.2.3", now.AddDate(0, 0, -1))
		session(w.auditor, "10.1.2.3", now.AddDate(0, 0, -1)) // in no Safe
		session(w.operator, "192.0.2.7", now.AddDate(0, 0, -31))

		p := w.policy(w.admin, rulebook.Settings{Name: "Inside", Action: policy.Allow, SafeIDs: []pam.SafeID{s.ID}, Conditions: policy.Conditions{SourceIPs: []string{"10.0.0.0/8"}}}, false)
		got := must[rulebook.Preview](t)(w.policies.Preview(ctx, w.admin, p.ID, p.Settings, 0))
		if got.Attempts != 5 || got.Skipped != 1 || got.Truncated || len(got.Weakened) != 0 || len(got.Changes) != 1 {
			t.Fatalf("%+v", got)
		}
		if c := got.Changes[0]; c.User != w.operator.User || c.Before != rulebook.Allowed || c.After != rulebook.Denied || c.Attempts != 3 || c.UserName == "" || c.SafeName != "Web" || c.Why == "" {
			t.Errorf("%+v", c)
		}
		// Nothing happened but a look.
		if x := must[rulebook.Policy](t)(w.policies.ByID(ctx, w.admin, p.ID)); x.Status != rulebook.Draft || w.asks(w.operator, s.ID) != policy.Allow {
			t.Errorf("%+v", x)
		}
		must[rulebook.Policy](t)(w.policies.Activate(ctx, w.admin, p.ID, 0))
		wide := p.Settings
		wide.Conditions.SourceIPs = []string{"0.0.0.0/0"}
		got = must[rulebook.Preview](t)(w.policies.Preview(ctx, w.admin, p.ID, wide, 0))
		if len(got.Changes) != 1 || got.Changes[0].Before != rulebook.Denied || got.Changes[0].After != rulebook.Allowed || len(got.Weakened) != 1 {
			t.Errorf("%+v", got)
		}
		four := p.Settings
		four.Action, four.Conditions = policy.RequireApproval, policy.Conditions{}
		got = must[rulebook.Preview](t)(w.policies.Preview(ctx, w.admin, p.ID, four, 90))
		if got.Attempts != 6 || len(got.Changes) != 3 {
			t.Errorf("%+v", got)
		}
		_, err := w.policies.Preview(ctx, w.admin, p.ID, p.Settings, 1000)
		refused(t, err, pam.Invalid)
	})
}

// What was read before a change is not kept after it.
func TestBooksForgetWhatAChangeOvertook(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, _, _ := w.bound(w.admin, "Web")
		slow := &slowBooks{BookStore: w.db}
		books := rulebook.NewBooks(slow, false, nil)
		w.db.Subscribe(books.Changed)
		slow.after = func() {
			slow.after = nil
			w.policy(w.admin, rulebook.Settings{Action: policy.Deny, SafeIDs: []pam.SafeID{s.ID}}, true)
		}
		must[policy.Book](t)(books.Rules(t.Context(), w.admin.Org))
		if n := len(must[policy.Book](t)(books.Rules(t.Context(), w.admin.Org))[s.ID]); n != 1 {
			t.Errorf("%d rules", n)
		}
		slow.err = errors.New("disk on fire")
		books.Changed(pam.Change{Org: w.admin.Org, Subject: pam.SubjectPolicy})
		if _, err := books.Rules(t.Context(), w.admin.Org); err == nil {
			t.Error("decided by nothing")
		}
	})
}

type slowBooks struct {
	rulebook.BookStore
	after func() // between a reading and its answer
	err   error
}

func (s *slowBooks) PolicyBook(ctx context.Context, org pam.OrgID) (rulebook.Book, error) {
	b, err := s.BookStore.PolicyBook(ctx, org)
	if s.after != nil {
		s.after()
	}
	if s.err != nil {
		err = s.err
	}
	return b, err
}
