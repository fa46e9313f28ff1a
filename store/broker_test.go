package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
	"vaultpam/store/storetest"
)

func TestSafesOfASuspendedMemberOrAnotherOrganizationAreNotFound(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.owner, "Web")
		foreign := w.safe(w.stranger, "Web")
		find := func(a pam.Actor, org pam.OrgID, ref string) (out []pam.SafeID) {
			t.Helper()
			for _, r := range must[[]broker.SafeRef](t)(w.db.SafesOf(t.Context(), a.User, org, ref, w.clock.Now(), 10)) {
				out = append(out, r.Safe)
			}
			return out
		}
		for name, c := range map[string]struct {
			got, want []pam.SafeID
		}{
			"all":               {find(w.owner, "", ""), []pam.SafeID{s.ID}},
			"by slug":           {find(w.owner, "", "web"), []pam.SafeID{s.ID}},
			"by id":             {find(w.owner, "", string(s.ID)), []pam.SafeID{s.ID}},
			"unknown":           {find(w.owner, "", "db"), nil},
			"no role":           {find(w.operator, "", "web"), nil},
			"foreign id":        {find(w.owner, "", string(foreign.ID)), nil},
			"foreign org":       {find(w.owner, w.stranger.Org, "web"), nil},
			"stranger by slug":  {find(w.stranger, "", "web"), []pam.SafeID{foreign.ID}},
			"quoted injection":  {find(w.owner, "", "' OR '1'='1"), nil},
			"wildcards of LIKE": {find(w.owner, "", "%"), nil},
		} {
			if d := cmp.Diff(c.want, c.got); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		w.suspend(w.owner)
		if got := find(w.owner, "", "web"); got != nil {
			t.Errorf("suspended: %v", got)
		}
	})
}

func TestStandingsTellWhatEachSessionRestsOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		r := must[resource.Resource](t)(w.resources.Create(ctx, w.owner, resource.Settings{Name: "web", Type: pam.SSH, Host: "192.0.2.1"}))
		a := must[account.Account](t)(w.accounts.Create(ctx, w.owner, account.Settings{Name: "root", Username: "root", ResourceID: r.ID}, nil))
		s := w.safe(w.owner, "Web", safe.Binding{ResourceID: r.ID, AccountID: a.ID})
		must[safe.Member](t)(w.safes.AddMember(ctx, w.owner, s.ID, safe.NewMember{User: w.operator.User, Role: pam.SafeOperator, ExpiresAt: w.clock.Now().Add(time.Hour)}))
		x := newSession(w.owner.Org, "node_1")
		x.UserID, x.SafeID, x.ResourceID, x.AccountID = w.operator.User, s.ID, r.ID, a.ID
		if err := w.db.BeginSession(ctx, x.Org, x, false, nil, storetest.Entry(x.Org, audit.SessionStarted)); err != nil {
			t.Fatal(err)
		}
		check := func(name string, want broker.Standing) {
			t.Helper()
			want.Session = x.ID
			got := must[[]broker.Standing](t)(w.db.Standings(ctx, "node_1", w.clock.Now()))
			if d := cmp.Diff([]broker.Standing{want}, got); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		good := broker.Standing{OrgRole: pam.Operator, SafeRole: pam.SafeOperator, Bound: true, Version: 1}
		check("at first", good)
		must[safe.Safe](t)(w.safes.Lock(ctx, w.owner, s.ID))
		locked := good
		locked.Locked, locked.Version = true, 2
		check("locked", locked)
		must[safe.Safe](t)(w.safes.Unlock(ctx, w.owner, s.ID))
		w.clock.Advance(2 * time.Hour)
		check("membership over", broker.Standing{OrgRole: pam.Operator, Bound: true, Version: 3})
		w.suspend(w.operator)
		check("suspended", broker.Standing{Bound: true, Version: 3})
		if err := w.db.KillSession(ctx, x.Org, x.ID, "terminated", storetest.Entry(x.Org, audit.SessionTerminated)); err != nil {
			t.Fatal(err)
		}
		check("killed", broker.Standing{KillReason: "terminated", Bound: true, Version: 3})
		if got := must[[]broker.Standing](t)(w.db.Standings(ctx, "node_2", w.clock.Now())); len(got) != 0 {
			t.Errorf("of another node: %v", got)
		}
	})
}
