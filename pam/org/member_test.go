package org_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
	"vaultpam/store/storetest"
)

// height is the order of roles in which nobody reaches above themselves.
var height = map[pam.Role]int{pam.Owner: 4, pam.Admin: 3, pam.PolicyManager: 2, pam.Operator: 1, pam.Auditor: 1}

// managers are those who manage members at all.
var managers = []pam.Role{pam.Owner, pam.Admin}

// Every cell of who may give which role to whom, and take it.
func TestRolesAreGivenAndTakenByWhoStandsHighEnough(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, role := range pam.Roles {
			a := w.signIn(w.new(w.owner, role).Email, "")
			manages := slices.Contains(managers, role)
			want := func(what string, err error, allowed bool) {
				t.Helper()
				if allowed && err != nil {
					t.Errorf("%s: %s is refused: %v", role, what, err)
				}
				if !allowed {
					refused(t, fmt.Sprintf("%s: %s", role, what), err, pam.Denied)
				}
			}
			for i, to := range pam.Roles {
				m, err := w.Add(ctx, a, fmt.Sprintf("by-%s-%d@example.com", role, i), to, secret.Value{}, true)
				allowed := manages && height[to] <= height[role]
				want("adding an "+string(to), err, allowed)
				if allowed && (w.role(a.Org, m.User) != to || m.HomeOrg != a.Org || m.Status != org.Active) {
					t.Errorf("%+v", m)
				}
				for _, from := range pam.Roles {
					m := w.new(w.owner, from)
					_, err := w.SetRole(ctx, a, m.User, to)
					allowed := manages && height[from] <= height[role] && height[to] <= height[role]
					want(fmt.Sprintf("making an %s an %s", from, to), err, allowed)
					if got := w.role(a.Org, m.User); allowed && got != to || !allowed && got != from {
						t.Errorf("%s: an %s that was to be an %s is an %s", role, from, to, got)
					}
				}
			}
			for _, from := range pam.Roles {
				allowed := manages && height[from] <= height[role]
				m := w.new(w.owner, from)
				_, err := w.Suspend(ctx, a, m.User)
				want("suspending an "+string(from), err, allowed)
				if !allowed {
					must[org.Member](t)(w.Suspend(ctx, w.owner, m.User))
				}
				_, err = w.Resume(ctx, a, m.User)
				want("resuming an "+string(from), err, allowed)
				want("removing an "+string(from), w.Remove(ctx, a, m.User), allowed)
			}
			for _, to := range pam.Roles {
				if height[to] > height[role] {
					_, err := w.SetRole(ctx, a, a.User, to)
					want("raising oneself to "+string(to), err, false)
				}
			}
			if _, err := w.SetRole(ctx, a, a.User, "root"); !manages && pam.Is(err, pam.Denied) {
				continue
			} else if !slices.Equal(fields(err), []string{"role"}) {
				t.Errorf("%s: a role that is none: %v", role, err)
			}
		}
	})
}

func TestLastOwnerCannotGo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		// Owners who are not there do not count: one suspended, one invited.
		suspended := w.new(w.owner, pam.Owner)
		must[org.Member](t)(w.Suspend(ctx, w.owner, suspended.User))
		boss := w.elsewhere()
		must[org.Member](t)(w.Add(ctx, w.owner, boss.Email, pam.Owner, secret.Value{}, true))
		before := w.size(w.owner.Org)
		_, err := w.SetRole(ctx, w.owner, w.owner.User, pam.Admin)
		refused(t, "demoted", err, pam.Conflict)
		_, err = w.Suspend(ctx, w.owner, w.owner.User)
		refused(t, "suspended", err, pam.Conflict)
		refused(t, "removed", w.Remove(ctx, w.owner, w.owner.User), pam.Conflict)
		if w.size(w.owner.Org) != before {
			t.Error("what did not happen is on record")
		}
		if m := must[org.Member](t)(w.Member(ctx, w.owner, w.owner.User)); m.Role != pam.Owner || m.Status != org.Active {
			t.Errorf("%+v", m)
		}
		must[org.Member](t)(w.Resume(ctx, w.owner, suspended.User))
		must[org.Member](t)(w.SetRole(ctx, w.owner, w.owner.User, pam.Operator))
	})
}

// Owners who put each other out at the same moment leave one of them.
func TestOwnersWhoPutEachOtherOutLeaveOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owners := []pam.Actor{w.owner}
		for range 5 {
			owners = append(owners, w.signIn(w.new(w.owner, pam.Owner).Email, ""))
		}
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i, a := range owners {
			for j, b := range owners {
				if i == j {
					continue
				}
				wg.Go(func() {
					<-start
					switch (i + j) % 3 {
					case 0:
						_, _ = w.SetRole(t.Context(), a, b.User, pam.Operator)
					case 1:
						_, _ = w.Suspend(t.Context(), a, b.User)
					case 2:
						_ = w.Remove(t.Context(), a, b.User)
					}
				})
			}
		}
		close(start)
		wg.Wait()
		left := must[[]org.Member](t)(w.db.ListOrgMembers(t.Context(), w.owner.Org, org.Query{Role: pam.Owner, Status: org.Active, Limit: 10, Order: "name"}))
		if len(left) != 1 {
			t.Errorf("%d owners are left", len(left))
		}
	})
}

// What a manager decided about an operator does not hit the owner whom the
// operator has become meanwhile.
func TestMemberWhoHasChangedMeanwhileIsLeftAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		m := w.new(w.owner, pam.Operator)
		must[org.Member](t)(w.SetRole(ctx, w.owner, m.User, pam.Owner))
		e := storetest.Entry(w.owner.Org, audit.MemberRemoved)
		refused(t, "removed", w.db.RemoveOrgMember(ctx, w.owner.Org, m, e), pam.Conflict)
		changed := m
		changed.Role = pam.Auditor
		refused(t, "demoted", w.db.SetOrgMember(ctx, w.owner.Org, m, changed, e), pam.Conflict)
		if w.role(w.owner.Org, m.User) != pam.Owner {
			t.Error("it was done all the same")
		}
		m.User = "usr_none"
		refused(t, "nobody", w.db.RemoveOrgMember(ctx, w.owner.Org, m, e), pam.NotFound)
	})
}

// Only the home of somebody chooses a password for them, and only while they
// are new: anybody else invites, and waits.
func TestExistingPersonIsInvitedAndKeepsTheirPassword(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		boss := w.elsewhere()
		ada := w.new(w.owner, pam.Operator)
		a := w.signIn(ada.Email, "")
		must[identity.User](t)(w.people.SetName(ctx, a, "Ada Lovelace"))
		m := must[org.Member](t)(w.Add(ctx, boss, " "+ada.Email+" ", pam.Admin, secret.FromString("chosen by the boss"), true))
		if m.Status != org.Invited || m.User != ada.User || m.Name != "" || m.HomeOrg != "" {
			t.Errorf("%+v", m)
		}
		// Nothing is known of them until they come.
		for _, m := range must[[]org.Member](t)(w.Members(ctx, boss, org.Query{Text: ada.Email, Limit: 10}, "")) {
			if m.Name != "" || m.HomeOrg != "" {
				t.Errorf("%+v", m)
			}
		}
		if found := must[[]org.Member](t)(w.Members(ctx, boss, org.Query{Text: "Lovelace", Limit: 10}, "")); len(found) != 0 {
			t.Errorf("found by name: %+v", found)
		}
		_, err := w.people.Login(ctx, ada.Email, secret.FromString("chosen by the boss"), here)
		refused(t, "with the boss's password", err, pam.AuthFailed)
		_, err = w.people.ActorFor(ctx, a, boss.Org)
		refused(t, "before it is accepted", err, pam.OrgDenied)
		for what, err := range map[string]error{
			"accepted by the boss": second(w.Accept(ctx, boss, boss.Org)), "resumed": second(w.Resume(ctx, boss, ada.User)), "suspended": second(w.Suspend(ctx, boss, ada.User)),
			"added again": second(w.Add(ctx, boss, ada.Email, pam.Operator, secret.Value{}, true)),
		} {
			refused(t, what, err, pam.Conflict)
		}
		robot := a
		robot.Token = pam.PersonalToken
		refused(t, "by a robot", second(w.Accept(ctx, robot, boss.Org)), pam.Denied)
		robot.Token = pam.NativeLogin
		refused(t, "by a key", second(w.Accept(ctx, robot, boss.Org)), pam.Denied)
		got := must[org.Member](t)(w.Accept(ctx, a, boss.Org))
		if got.Status != org.Active || got.Role != pam.Admin {
			t.Errorf("%+v", got)
		}
		refused(t, "accepted twice", second(w.Accept(ctx, a, boss.Org)), pam.Conflict)
		if in := must[pam.Actor](t)(w.people.ActorFor(ctx, a, boss.Org)); in.Role != pam.Admin || in.HomeOrg != w.owner.Org {
			t.Errorf("%+v", in)
		}
		if invited, joined := w.events(boss.Org, audit.MemberInvited), w.events(boss.Org, audit.MemberJoined); len(invited) != 2 || len(joined) != 2 || joined[0].Actor.ID != string(ada.User) {
			t.Errorf("%d invited, %d joined: %+v", len(invited), len(joined), joined)
		}
		// An invitation that was taken back is none.
		w.n++
		bob := w.new(w.owner, pam.Operator)
		b := w.signIn(bob.Email, "")
		must[org.Member](t)(w.Add(ctx, boss, bob.Email, pam.Operator, secret.Value{}, true))
		if err := w.Remove(ctx, boss, bob.User); err != nil {
			t.Fatal(err)
		}
		refused(t, "after it was taken back", second(w.Accept(ctx, b, boss.Org)), pam.NotFound)
	})
}

// To a manager of another organization nobody here exists.
func TestMembersOfAnotherOrganizationAreOutOfReach(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		boss := w.elsewhere()
		ada := w.new(w.owner, pam.Operator)
		before := w.size(w.owner.Org)
		for _, user := range []pam.UserID{ada.User, w.owner.User, "usr_none", ""} {
			for what, err := range map[string]error{
				"read": second(w.Member(ctx, boss, user)), "role": second(w.SetRole(ctx, boss, user, pam.Auditor)), "suspend": second(w.Suspend(ctx, boss, user)),
				"resume": second(w.Resume(ctx, boss, user)), "remove": w.Remove(ctx, boss, user),
			} {
				refused(t, what, err, pam.NotFound)
			}
		}
		if ms := must[[]org.Member](t)(w.Members(ctx, boss, org.Query{Limit: 100}, "")); len(ms) != 1 || ms[0].User != boss.User {
			t.Errorf("%+v", ms)
		}
		if after := w.size(w.owner.Org); after != before {
			t.Errorf("%d events of a stranger", after-before)
		}
		if m := must[org.Member](t)(w.Member(ctx, w.owner, ada.User)); m.Role != pam.Operator || m.Status != org.Active {
			t.Errorf("%+v", m)
		}
	})
}

func TestRemovedMemberTakesNothingAlong(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada := w.new(w.owner, pam.Admin)
		a := w.signIn(ada.Email, "")
		_, token, err := w.people.CreateAccessToken(ctx, a, "robot", []string{"safes:read"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		robot := string(token.Expose())
		must[pam.Actor](t)(w.people.Authenticate(ctx, robot, "", here))
		if err := w.Remove(ctx, w.owner, ada.User); err != nil {
			t.Fatal(err)
		}
		refused(t, "again", w.Remove(ctx, w.owner, ada.User), pam.NotFound)
		refused(t, "read", second(w.Member(ctx, w.owner, ada.User)), pam.NotFound)
		must[org.Member](t)(w.Add(ctx, w.owner, ada.Email, pam.Operator, secret.Value{}, true))
		back := w.signIn(ada.Email, "")
		must[org.Member](t)(w.Accept(ctx, back, w.owner.Org))
		if in := w.signIn(ada.Email, ""); in.Role != pam.Operator {
			t.Errorf("%+v", in)
		}
		_, err = w.people.Authenticate(ctx, robot, "", here)
		refused(t, "a token from before", err, pam.Unauthenticated)
		removed := w.events(w.owner.Org, audit.MemberRemoved)
		if len(removed) != 1 || removed[0].Target.ID != string(ada.User) || removed[0].Metadata["role"] != "admin" {
			t.Errorf("%+v", removed)
		}
	})
}

// second is the error of a call that returns two values.
func second[T any](_ T, err error) error { return err }
