package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/group"
	"vaultpam/pam/safe"
)

// team makes a group of people, by the admin.
func (w *world) team(name string, people ...pam.Actor) group.Group {
	w.t.Helper()
	var ids []pam.UserID
	for _, p := range people {
		ids = append(ids, p.User)
	}
	return must[group.Group](w.t)(w.groups.Create(w.t.Context(), w.admin, name, ids))
}

// gives lets the Safe's manager give a group a role.
func (w *world) gives(by pam.Actor, s pam.SafeID, g pam.GroupID, role pam.SafeRole) safe.Member {
	w.t.Helper()
	return must[safe.Member](w.t)(w.safes.AddMember(w.t.Context(), by, s, safe.NewMember{Group: g, Role: role}))
}

func (w *world) roleOf(a pam.Actor, s pam.SafeID) pam.SafeRole {
	w.t.Helper()
	role, _, err := w.db.RoleOf(w.t.Context(), a.Org, s, a.User, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return role
}

func TestRightsFromMembershipAndGroupsAreAUnion(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := append([]pam.SafeRole{""}, pam.SafeRoles...)
		for _, own := range all {
			for _, first := range all {
				for _, second := range all {
					s := w.safe(w.admin, fmt.Sprintf("S %q %q %q", own, first, second))
					if own != "" {
						w.member(w.admin, s.ID, w.operator, own)
					}
					for i, role := range []pam.SafeRole{first, second} {
						if role != "" {
							w.gives(w.admin, s.ID, w.team(fmt.Sprintf("%d of %s", i, s.Slug), w.operator).ID, role)
						}
					}
					want := own.With(first).With(second)
					if got := w.roleOf(w.operator, s.ID); got != want {
						t.Errorf("%s: %q, want %q", s.Name, got, want)
					}
					if want == "" {
						continue
					}
					if got := must[safe.Safe](t)(w.safes.ByID(t.Context(), w.operator, s.ID)).Role; got != want {
						t.Errorf("%s: read with %q, want %q", s.Name, got, want)
					}
					refs := must[[]broker.SafeRef](t)(w.db.SafesOf(t.Context(), w.operator.User, "", string(s.ID), w.clock.Now(), 10))
					if len(refs) != 1 || refs[0].Role != want {
						t.Errorf("%s: found as %+v, want the role %q once", s.Name, refs, want)
					}
				}
			}
		}
	})
}

func TestAListOfSafesShowsThoseOfGroupsOnceAndInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, groups := range []int{1, 3, 20} { // 20 are more than get a walk of their own
			who := w.person(w.admin.Org, pam.Operator)
			var teams []group.Group
			for i := range groups {
				teams = append(teams, w.team(fmt.Sprintf("%d of %d", i, groups), who))
			}
			var want []string
			for i := range 17 {
				s := w.safe(w.admin, fmt.Sprintf("g%d safe %02d", groups, (i*5)%17))
				switch i % 4 {
				case 0:
					w.member(w.admin, s.ID, who, pam.SafeViewer)
				case 1: // both
					w.member(w.admin, s.ID, who, pam.SafeApprover)
					w.gives(w.admin, s.ID, teams[i%groups].ID, pam.SafeOperator)
				case 2:
					for _, g := range teams {
						w.gives(w.admin, s.ID, g.ID, pam.SafeOperator)
					}
				case 3:
					continue
				}
				want = append(want, s.Name)
			}
			slices.Sort(want)
			for _, order := range []naming.Order{naming.ByName, naming.ByNameDown} {
				var got []string
				for after := ""; ; {
					page := must[[]safe.Safe](t)(w.safes.List(t.Context(), who, safe.Filter{Order: order}, after, 4))
					for _, s := range page {
						got = append(got, s.Name)
						if s.Role == "" {
							t.Errorf("%s is listed without a role", s.Name)
						}
					}
					if len(page) < 4 {
						break
					}
					after = page[3].Cursor()
				}
				if order == naming.ByNameDown {
					slices.Reverse(got)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%d groups, %q: (-want +got)\n%s", groups, order, d)
				}
			}
			open := false
			if got := must[[]safe.Safe](t)(w.safes.List(t.Context(), who, safe.Filter{Text: "SAFE", Locked: &open}, "", 100)); len(got) != len(want) {
				t.Errorf("%d groups: %d unlocked ones found, want %d", groups, len(got), len(want))
			}
		}
	})
}

// What a group may see, its members see: resources and accounts, too.
func TestAGroupSeesWhatItsSafesBind(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		if _, err := w.resources.ByID(t.Context(), w.operator, r.ID); !pam.Is(err, pam.NotFound) {
			t.Fatalf("a stranger to the Safe: %v", err)
		}
		g := w.team("Ops", w.operator)
		m := w.gives(w.admin, s.ID, g.ID, pam.SafeManager)
		if m.Group != g.ID || m.GroupName != "Ops" || m.User != "" {
			t.Errorf("the member is %+v", m)
		}
		if _, err := w.resources.ByID(t.Context(), w.operator, r.ID); err != nil {
			t.Error(err)
		}
		if _, err := w.accounts.ByID(t.Context(), w.operator, acc.ID); err != nil {
			t.Error(err)
		}
		if got := must[[]pam.SafeID](t)(w.db.ManagedSafes(t.Context(), w.operator.Org, w.operator.User, w.clock.Now())); !slices.Equal(got, []pam.SafeID{s.ID}) {
			t.Errorf("manages %v", got)
		}
		// The word of who is a manager through a group is a manager's.
		if _, err := w.safes.AddMember(t.Context(), w.operator, s.ID, safe.NewMember{User: w.other.User, Role: pam.SafeViewer}); err != nil {
			t.Error(err)
		}
		must[group.Group](t)(w.groups.RemoveMember(t.Context(), w.admin, g.ID, w.operator.User))
		if _, err := w.resources.ByID(t.Context(), w.operator, r.ID); !pam.Is(err, pam.NotFound) {
			t.Errorf("after leaving the group: %v", err)
		}
		if got := w.roleOf(w.operator, s.ID); got != "" {
			t.Errorf("after leaving the group: %q", got)
		}
	})
}

// An administrator who is in no Safe wants into one: by a group.
func TestAdministratorCannotEnterASafeThroughAGroup(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.owner, "Prod")
		g := must[group.Group](t)(w.groups.Create(t.Context(), w.other, "Ops", nil))
		// … by giving the group a role,
		_, err := w.safes.AddMember(t.Context(), w.other, s.ID, safe.NewMember{Group: g.ID, Role: pam.SafeManager})
		refused(t, err, pam.Denied)
		w.gives(w.owner, s.ID, g.ID, pam.SafeOperator)
		// … by going into one that has one,
		_, err = w.groups.AddMember(t.Context(), w.other, g.ID, w.other.User)
		refused(t, err, pam.Denied)
		_, err = w.groups.Update(t.Context(), w.other, g.ID, 0, "Ops", []pam.UserID{w.other.User})
		refused(t, err, pam.Denied)
		// … by letting another group pass for it,
		_, err = w.groups.Update(t.Context(), w.other, g.ID, 0, "Old", nil)
		refused(t, err, pam.Denied)
		// … or by what somebody decided before the group had the role.
		stale := must[group.Group](t)(w.groups.ByID(t.Context(), w.other, g.ID))
		refused(t, w.db.ChangeGroup(t.Context(), w.other.Org, g.ID, stale.Version, group.Change{Add: []pam.UserID{w.other.User}}), pam.Conflict)
		if got := w.roleOf(w.other, s.ID); got != "" {
			t.Fatalf("the administrator has the role %q", got)
		}
		// A manager of the Safe brings people in; the administrator takes them out.
		must[group.Group](t)(w.groups.AddMember(t.Context(), w.owner, g.ID, w.operator.User))
		if got := w.roleOf(w.operator, s.ID); got != pam.SafeOperator {
			t.Errorf("role %q", got)
		}
		must[group.Group](t)(w.groups.RemoveMember(t.Context(), w.other, g.ID, w.operator.User))
		if got := w.roleOf(w.operator, s.ID); got != "" {
			t.Errorf("role %q after being taken out", got)
		}
	})
}

func TestAManagerWhoIsNoAdministratorFillsTheGroupsOfTheirSafesAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, second := w.safe(w.admin, "Prod"), w.safe(w.admin, "Other")
		g := w.team("Ops")
		_, err := w.groups.AddMember(t.Context(), w.operator, g.ID, w.operator.User)
		refused(t, err, pam.Denied)
		w.gives(w.admin, s.ID, g.ID, pam.SafeViewer)
		w.member(w.admin, s.ID, w.operator, pam.SafeManager)
		must[group.Group](t)(w.groups.AddMember(t.Context(), w.operator, g.ID, w.other.User))
		w.sql(`INSERT INTO policies (org_id, policy_id, name, description, status, action, conditions, jit, version, created_by, created_at, updated_at)
			VALUES (?, 'pol_x', 'x', '', 'active', 'deny', ?, '', 1, ?, 1, 1)`, w.admin.Org, fmt.Sprintf(`{"group_ids":["%s"]}`, g.ID), w.admin.User)
		_, err = w.groups.RemoveMember(t.Context(), w.operator, g.ID, w.other.User)
		refused(t, err, pam.Denied)
		w.sql(`DELETE FROM policies WHERE org_id = ?`, w.admin.Org)
		w.gives(w.admin, second.ID, g.ID, pam.SafeViewer)
		_, err = w.groups.AddMember(t.Context(), w.operator, g.ID, w.operator.User)
		refused(t, err, pam.Denied)
		refused(t, w.groups.Delete(t.Context(), w.operator, g.ID, 0), pam.Denied)
	})
}

func TestAnAuditorNeverGetsAboveViewerThroughAGroup(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.admin, "Prod")
		w.gives(w.admin, s.ID, w.team("Everybody", w.auditor).ID, pam.SafeManager)
		if got := must[safe.Safe](t)(w.safes.ByID(t.Context(), w.auditor, s.ID)).Role; got != pam.SafeViewer {
			t.Errorf("the auditor has the role %q", got)
		}
		if ok := must[bool](t)(w.safes.Manages(t.Context(), w.auditor, s.ID)); ok {
			t.Error("the auditor manages the Safe")
		}
		_, err := w.safes.AddMember(t.Context(), w.auditor, s.ID, safe.NewMember{User: w.auditor.User, Role: pam.SafeViewer})
		refused(t, err, pam.Denied)
		_, err = w.groups.AddMember(t.Context(), w.auditor, w.team("Empty").ID, w.auditor.User)
		refused(t, err, pam.Denied)
	})
}

func TestARoleOfAGroupEndsWithItsTimeItsRemovalAndTheGroup(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for name, end := range map[string]func(s safe.Safe, g group.Group, m safe.Member) error{
			"its time": func(_ safe.Safe, _ group.Group, _ safe.Member) error { w.clock.Advance(2 * time.Hour); return nil },
			"its removal": func(s safe.Safe, _ group.Group, m safe.Member) error {
				return w.safes.RemoveMember(t.Context(), w.admin, s.ID, m.ID)
			},
			"the group": func(_ safe.Safe, g group.Group, _ safe.Member) error {
				return w.groups.Delete(t.Context(), w.admin, g.ID, 0)
			},
		} {
			s, g := w.safe(w.admin, "until "+name), w.team("until "+name, w.operator)
			m := must[safe.Member](t)(w.safes.AddMember(t.Context(), w.admin, s.ID, safe.NewMember{Group: g.ID, Role: pam.SafeOperator, ExpiresAt: w.clock.Now().Add(time.Hour)}))
			if got := w.roleOf(w.operator, s.ID); got != pam.SafeOperator {
				t.Fatalf("%s: role %q", name, got)
			}
			// Nobody in a group takes its role away on their own.
			if err := w.safes.RemoveMember(t.Context(), w.operator, s.ID, m.ID); !pam.Is(err, pam.Denied) {
				t.Errorf("%s: leaving by taking the group out: %v", name, err)
			}
			if err := end(s, g, m); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := w.roleOf(w.operator, s.ID); got != "" {
				t.Errorf("after %s: role %q", name, got)
			}
			if rows := must[[]safe.Safe](t)(w.safes.List(t.Context(), w.operator, safe.Filter{}, "", 100)); len(rows) != 0 {
				t.Errorf("after %s: %d Safes are listed", name, len(rows))
			}
		}
	})
}

func TestGroupsOfAnotherOrganizationDoNotExist(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		g := w.team("Ops", w.operator)
		theirs := must[group.Group](t)(w.groups.Create(t.Context(), w.stranger, "Ops", []pam.UserID{w.stranger.User}))
		if _, err := w.groups.Create(t.Context(), w.stranger, "Mixed", []pam.UserID{w.operator.User}); !pam.Is(err, pam.Invalid) {
			t.Errorf("a group of a foreign user: %v", err)
		}
		_, err := w.groups.ByID(t.Context(), w.stranger, g.ID)
		refused(t, err, pam.NotFound)
		_, err = w.groups.AddMember(t.Context(), w.stranger, g.ID, w.stranger.User)
		refused(t, err, pam.NotFound)
		_, err = w.groups.RemoveMember(t.Context(), w.stranger, g.ID, w.operator.User)
		refused(t, err, pam.NotFound)
		_, err = w.groups.AddMember(t.Context(), w.stranger, theirs.ID, w.operator.User)
		refused(t, err, pam.Invalid)
		refused(t, w.groups.Delete(t.Context(), w.stranger, g.ID, 0), pam.NotFound)
		s := w.safe(w.admin, "Prod")
		_, err = w.safes.AddMember(t.Context(), w.admin, s.ID, safe.NewMember{Group: theirs.ID, Role: pam.SafeViewer})
		refused(t, err, pam.Invalid)
		if got, _, err := w.groups.List(t.Context(), w.stranger, group.Filter{}, "", 10); err != nil || len(got) != 1 || got[0].ID != theirs.ID {
			t.Errorf("listed %v, %v", got, err)
		}
		if got := must[map[pam.GroupID][]pam.UserID](t)(w.db.MemberIDs(t.Context(), w.stranger.Org, []pam.GroupID{g.ID})); len(got) != 0 {
			t.Errorf("members %v", got)
		}
	})
}

func TestGroupsAreReadAsWrittenPagedAndGuardedByTheirVersion(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		g := w.team("Dätabase Ops", w.operator, w.auditor, w.operator)
		got := must[group.Group](t)(w.groups.ByID(t.Context(), w.operator, g.ID))
		if d := cmp.Diff(g, got); d != "" {
			t.Errorf("(-created +read)\n%s", d)
		}
		_, err := w.groups.Create(t.Context(), w.admin, "dätabase ops", nil)
		refused(t, err, pam.Conflict)
		next := must[group.Group](t)(w.groups.Update(t.Context(), w.admin, g.ID, got.Version, "DBA", []pam.UserID{w.other.User}))
		if next.Name != "DBA" || !slices.Equal(next.Members, []pam.UserID{w.other.User}) || next.Version != got.Version+1 {
			t.Errorf("%+v", next)
		}
		_, err = w.groups.Update(t.Context(), w.admin, g.ID, got.Version, "Late", nil)
		refused(t, err, pam.Precondition)
		again := must[group.Group](t)(w.groups.AddMember(t.Context(), w.admin, g.ID, w.other.User))
		if again.Version != next.Version {
			t.Error("bringing in who is in it is a change")
		}
		_, err = w.groups.RemoveMember(t.Context(), w.admin, g.ID, w.operator.User)
		refused(t, err, pam.NotFound)
		for i := range 9 {
			w.team(fmt.Sprintf("t%d", i), w.operator)
		}
		var names []string
		for after := ""; ; {
			page, more, err := w.groups.List(t.Context(), w.admin, group.Filter{User: w.operator.User}, after, 4)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range page {
				names = append(names, g.Name)
				if len(g.Members) != 1 || g.Count != 1 {
					t.Errorf("%s is listed with %v", g.Name, g.Members)
				}
			}
			if !more {
				break
			}
			after = page[len(page)-1].Cursor()
		}
		if len(names) != 9 || !slices.IsSorted(names) {
			t.Errorf("listed %v", names)
		}
		members := must[[]group.Member](t)(w.groups.Members(t.Context(), w.admin, g.ID, "", 10))
		if len(members) != 1 || members[0].User != w.other.User || members[0].Email == "" && members[0].Role != pam.Admin {
			t.Errorf("members %+v", members)
		}
	})
}

// Whoever leaves the organization leaves its groups, and does not find their
// way back into a Safe by joining again.
func TestWhoLeavesTheOrganizationLeavesItsGroups(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, g := w.safe(w.admin, "Prod"), w.team("Ops", w.operator)
		w.gives(w.admin, s.ID, g.ID, pam.SafeOperator)
		w.suspend(w.operator)
		if got := w.roleOf(w.operator, s.ID); got != "" {
			t.Errorf("suspended, and has the role %q", got)
		}
		w.sql(`DELETE FROM memberships WHERE org_id = ? AND user_id = ?`, w.operator.Org, w.operator.User)
		w.sql(`INSERT INTO memberships (org_id, user_id, role, status, joined_at) VALUES (?, ?, 'operator', 'active', 1)`, w.operator.Org, w.operator.User)
		if got := w.roleOf(w.operator, s.ID); got != "" {
			t.Errorf("joined again, and has the role %q", got)
		}
	})
}

func TestASafeWithAManagerInAGroupIsNotTakenOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.admin, "Prod")
		g := w.team("Ops", w.operator)
		w.gives(w.admin, s.ID, g.ID, pam.SafeManager)
		w.suspend(w.admin)
		_, err := w.safes.TakeOver(t.Context(), w.owner, s.ID)
		refused(t, err, pam.Conflict)
		w.suspend(w.operator)
		if got := must[safe.Safe](t)(w.safes.TakeOver(t.Context(), w.owner, s.ID)).Role; got != pam.SafeManager {
			t.Errorf("taken over as %q", got)
		}
	})
}

// An event holds few people, a group many.
func TestHundredsComeIntoAGroupAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		people := make([]pam.UserID, 130)
		for i := range people {
			people[i] = w.person(w.owner.Org, pam.Operator).User
		}
		g := must[group.Group](t)(w.groups.Create(t.Context(), w.admin, "Many", people))
		g = must[group.Group](t)(w.groups.Update(t.Context(), w.admin, g.ID, 0, "Many", nil))
		if g.Count != 0 {
			t.Errorf("%d are left", g.Count)
		}
	})
}
