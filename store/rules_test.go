package store_test

import (
	"slices"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/confirmation"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
	"vaultpam/store/storetest"
)

func pair(r resource.Resource, a account.Account) safe.Binding {
	return safe.Binding{ResourceID: r.ID, AccountID: a.ID}
}

// An administrator of the organization who is in no Safe wants a password: by
// binding its account to a Safe of their own.
func TestAdministratorCannotReachASecretThroughASafeOfTheirOwn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		for _, a := range []pam.Actor{w.other, w.owner} {
			_, err := w.safes.Create(t.Context(), a, safe.Settings{Name: "Mine", Bindings: []safe.Binding{pair(r, acc)}})
			refused(t, err, pam.Denied)
			mine := w.safe(a, "Empty")
			in := mine.Settings
			in.Bindings = []safe.Binding{pair(r, acc)}
			_, err = w.safes.Update(t.Context(), a, mine.ID, 0, in)
			refused(t, err, pam.Denied)
			// … by making themselves a member,
			_, err = w.safes.AddMember(t.Context(), a, s.ID, safe.NewMember{User: a.User, Role: pam.SafeManager})
			refused(t, err, pam.Denied)
			// … by taking it out of its Safe first,
			in = s.Settings
			in.Bindings = nil
			_, err = w.safes.Update(t.Context(), a, s.ID, 0, in)
			refused(t, err, pam.Denied)
			refused(t, w.safes.Delete(t.Context(), a, s.ID, 0), pam.Denied)
			// … or by choosing the password.
			_, err = w.accounts.SetCredential(t.Context(), a, acc.ID, account.NewCredential{Kind: account.Password, Value: secret.FromString("mine")})
			refused(t, err, pam.Denied)
		}
		_, err := w.safes.TakeOver(t.Context(), w.owner, s.ID)
		refused(t, err, pam.Conflict)
	})
}

func TestAManagerOfASafeThatHoldsAnAccountMayBindItElsewhere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		w.member(w.admin, s.ID, w.other, pam.SafeManager)
		second := w.safe(w.other, "Second", pair(r, acc))
		if !second.Binds(pair(r, acc)) {
			t.Fatal("not bound")
		}
		// Once it is in a Safe, having made the account is no right any more.
		for _, m := range must[[]safe.Member](t)(w.safes.Members(t.Context(), w.admin, s.ID, "", 10)) {
			if m.User == w.admin.User {
				if err := w.safes.RemoveMember(t.Context(), w.admin, s.ID, m.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err := w.safes.Create(t.Context(), w.admin, safe.Settings{Name: "Third", Bindings: []safe.Binding{pair(r, acc)}})
		refused(t, err, pam.Denied)
	})
}

func TestBindingsStayInsideOneOrganizationAndOneResource(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r, elsewhere := w.resource(w.admin, "web"), w.resource(w.admin, "db")
		acc := w.account(w.admin, "root", r.ID)
		theirs := w.resource(w.stranger, "their host")
		foreign := w.account(w.stranger, "their root", theirs.ID)
		domain := w.account(w.stranger, "their domain", "")
		for name, b := range map[string]safe.Binding{
			"another resource":                  pair(elsewhere, acc),
			"a foreign account":                 pair(r, foreign),
			"a foreign domain account":          pair(r, domain),
			"a foreign resource":                pair(theirs, acc),
			"a resource that does not exist":    {ResourceID: pam.ResourceID(w.ids.New(pam.PrefixResource)), AccountID: acc.ID},
			"an account that does not exist":    {ResourceID: r.ID, AccountID: pam.AccountID(w.ids.New(pam.PrefixAccount))},
			"something that is no id":           {ResourceID: "../r", AccountID: acc.ID},
			"a resource where an account is":    {ResourceID: r.ID, AccountID: pam.AccountID(r.ID)},
			"a domain account, foreign to both": pair(theirs, domain),
		} {
			_, err := w.safes.Create(t.Context(), w.admin, safe.Settings{Name: name, Bindings: []safe.Binding{b}})
			if !pam.Is(err, pam.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := w.safes.Create(t.Context(), w.admin, safe.Settings{Name: "twice", Bindings: []safe.Binding{pair(r, acc), pair(r, acc)}})
		refused(t, err, pam.Invalid)
		_, err = w.accounts.Create(t.Context(), w.admin, account.Settings{Name: "x", Username: "x", ResourceID: theirs.ID}, nil)
		refused(t, err, pam.Invalid)
		if n := len(must[[]safe.Safe](t)(w.safes.List(t.Context(), w.admin, safe.Filter{}, "", 10))); n != 0 {
			t.Fatalf("%d Safes were left behind by refusals", n)
		}
	})
}

func TestAccountBoundMeanwhileIsAConflict(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.resource(w.admin, "web")
		acc := w.account(w.admin, "root", r.ID)
		facts := must[[]safe.AccountFacts](t)(w.db.AccountFacts(t.Context(), w.admin.Org, []pam.AccountID{acc.ID}, w.admin.User, w.clock.Now()))
		first := w.safe(w.admin, "First", pair(r, acc)) // decided on the same facts, and faster
		s := w.safe(w.admin, "Second")
		s.Bindings = []safe.Binding{pair(r, acc)}
		_, err := w.db.UpdateSafe(t.Context(), s.Org, s, 1, facts, pam.Hold{By: w.admin.User, At: w.clock.Now()}, storetest.Entry(s.Org, audit.SafeUpdated))
		refused(t, err, pam.Conflict)
		refused(t, w.accounts.Delete(t.Context(), w.admin, acc.ID, 0), pam.Conflict)
		refused(t, w.resources.Delete(t.Context(), w.admin, r.ID, 0), pam.Conflict)
		if err := w.safes.Delete(t.Context(), w.admin, first.ID, 0); err != nil {
			t.Fatal(err)
		}
		refused(t, w.resources.Delete(t.Context(), w.admin, r.ID, 0), pam.Conflict) // an account belongs to it
		if err := w.accounts.Delete(t.Context(), w.admin, acc.ID, 0); err != nil {
			t.Fatal(err)
		}
		if err := w.resources.Delete(t.Context(), w.admin, r.ID, 0); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSafeRolesAreGivenByManagersToActiveMembersWithinTheirRole(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.admin, "Prod")
		add := func(by pam.Actor, m safe.NewMember) error {
			_, err := w.safes.AddMember(t.Context(), by, s.ID, m)
			return err
		}
		refused(t, add(w.owner, safe.NewMember{User: w.operator.User, Role: pam.SafeViewer}), pam.Denied)
		refused(t, add(w.admin, safe.NewMember{User: w.stranger.User, Role: pam.SafeViewer}), pam.Invalid)
		refused(t, add(w.admin, safe.NewMember{Group: "grp_01J00000000000000000000000", Role: pam.SafeViewer}), pam.Invalid)
		refused(t, add(w.admin, safe.NewMember{User: w.operator.User, Role: "king"}), pam.Invalid)
		refused(t, add(w.admin, safe.NewMember{User: w.operator.User, Role: pam.SafeViewer, ExpiresAt: w.clock.Now()}), pam.Invalid)
		for _, role := range []pam.SafeRole{pam.SafeOperator, pam.SafeManager, pam.SafeApprover} {
			refused(t, add(w.admin, safe.NewMember{User: w.auditor.User, Role: role}), pam.Invalid)
		}
		m := w.member(w.admin, s.ID, w.auditor, pam.SafeViewer)
		_, err := w.safes.UpdateMember(t.Context(), w.admin, s.ID, m.ID, pam.SafeOperator, time.Time{})
		refused(t, err, pam.Invalid)
		w.suspend(w.other)
		refused(t, add(w.admin, safe.NewMember{User: w.other.User, Role: pam.SafeViewer}), pam.Invalid)
		w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		refused(t, add(w.admin, safe.NewMember{User: w.operator.User, Role: pam.SafeManager}), pam.Conflict)
		refused(t, add(w.operator, safe.NewMember{User: w.owner.User, Role: pam.SafeViewer}), pam.Denied)

		elsewhere := w.safe(w.admin, "Other")
		_, err = w.safes.UpdateMember(t.Context(), w.admin, elsewhere.ID, m.ID, pam.SafeViewer, time.Time{})
		refused(t, err, pam.NotFound) // a member of another Safe
		refused(t, w.safes.RemoveMember(t.Context(), w.owner, s.ID, m.ID), pam.Denied)
		if err := w.safes.RemoveMember(t.Context(), w.auditor, s.ID, m.ID); err != nil {
			t.Fatalf("nobody may leave: %v", err)
		}
	})
}

func TestAuditorWithAManagersRoleFromBeforeManagesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.other, "Prod")
		w.sql(`UPDATE memberships SET role = 'auditor' WHERE org_id = ? AND user_id = ?`, s.Org, w.other.User)
		now := w.other
		now.Role = pam.Auditor
		if got := must[safe.Safe](t)(w.safes.ByID(t.Context(), now, s.ID)); got.Role != pam.SafeViewer {
			t.Fatalf("role %q", got.Role)
		}
		if must[bool](t)(w.safes.Manages(t.Context(), now, s.ID)) || len(must[[]pam.SafeID](t)(w.safes.ManagedSafes(t.Context(), now))) != 0 {
			t.Fatal("an auditor manages a Safe")
		}
		_, err := w.safes.AddMember(t.Context(), now, s.ID, safe.NewMember{User: w.operator.User, Role: pam.SafeViewer})
		refused(t, err, pam.Denied)
		got := must[safe.Safe](t)(w.safes.TakeOver(t.Context(), w.owner, s.ID))
		if got.Role != pam.SafeManager {
			t.Fatalf("role %q after the take-over", got.Role)
		}
	})
}

func TestOwnerTakesOverOnlyASafeThatLostItsManagers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.other, "Orphan")
		w.member(w.other, s.ID, w.owner, pam.SafeViewer)
		_, err := w.safes.TakeOver(t.Context(), w.owner, s.ID)
		refused(t, err, pam.Conflict)
		w.suspend(w.other)
		_, err = w.safes.TakeOver(t.Context(), w.admin, s.ID)
		refused(t, err, pam.Denied)
		_, err = w.safes.TakeOver(t.Context(), w.stale(w.owner), s.ID)
		refused(t, err, pam.StepUpNeeded)
		if got := must[safe.Safe](t)(w.safes.TakeOver(t.Context(), w.owner, s.ID)); got.Role != pam.SafeManager {
			t.Fatalf("role %q", got.Role)
		}
		if types := eventTypes(t, w.db, s.Org); types[len(types)-1] != audit.SafeTakenOver {
			t.Fatalf("the last event is %s", types[len(types)-1])
		}
	})
}

func TestWeakeningNeedsAFreshLoginAndWithDualControlASecondManager(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := must[safe.Safe](t)(w.safes.Create(t.Context(), w.admin, safe.Settings{Name: "Prod", Approval: safe.ApprovalDual}))
		in := s.Settings
		in.Approval, in.Description = safe.ApprovalSingle, "weaker"
		_, err := w.safes.Update(t.Context(), w.stale(w.admin), s.ID, 0, in)
		refused(t, err, pam.StepUpNeeded)
		pat := w.admin
		pat.Token = pam.PersonalToken
		_, err = w.safes.Update(t.Context(), pat, s.ID, 0, in)
		refused(t, err, pam.StepUpNeeded)
		harmless := s.Settings
		harmless.Approval, harmless.Description = safe.ApprovalDual, "as before"
		s = must[safe.Safe](t)(w.safes.Update(t.Context(), w.stale(w.admin), s.ID, 0, harmless))

		held := must[safe.Safe](t)(w.safes.Update(t.Context(), dual(w.admin), s.ID, 0, in))
		if held.Pending == "" || held.Approval != safe.ApprovalDual || held.Version != s.Version {
			t.Fatalf("pending %q, approval %q", held.Pending, held.Approval)
		}
		_, err = w.changes.Confirm(t.Context(), w.admin, held.Pending)
		refused(t, err, pam.Denied) // the requester, whatever the setting is now
		_, err = w.changes.Confirm(t.Context(), w.owner, held.Pending)
		refused(t, err, pam.Denied) // no manager
		_, err = w.changes.Confirm(t.Context(), w.operator, held.Pending)
		refused(t, err, pam.NotFound)
		_, err = w.changes.Confirm(t.Context(), w.stranger, held.Pending)
		refused(t, err, pam.NotFound)
		w.member(w.admin, s.ID, w.other, pam.SafeManager)
		_, err = w.changes.Confirm(t.Context(), w.stale(w.other), held.Pending)
		refused(t, err, pam.StepUpNeeded)
		c := must[confirmation.Confirmation](t)(w.changes.Confirm(t.Context(), w.other, held.Pending))
		if c.Status != confirmation.Confirmed || c.DecidedBy != w.other.User {
			t.Fatalf("%+v", c)
		}
		got := must[safe.Safe](t)(w.safes.ByID(t.Context(), w.admin, s.ID))
		if got.Approval != safe.ApprovalSingle || got.Description != "weaker" || got.Version != s.Version+1 {
			t.Fatalf("approval %q, version %d after the word of a second manager", got.Approval, got.Version)
		}
		_, err = w.changes.Confirm(t.Context(), w.other, held.Pending)
		refused(t, err, pam.Conflict)
		types := eventTypes(t, w.db, s.Org)
		for _, want := range []audit.Type{audit.ConfirmationRequested, audit.ConfirmationConfirmed, audit.SafeWeakened} {
			if !slices.Contains(types, want) {
				t.Errorf("no event %s", want)
			}
		}
	})
}

func TestRejectedOrOutdatedWeakeningDoesNotHappen(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.admin, "Prod")
		w.member(w.admin, s.ID, w.other, pam.SafeManager)
		in := s.Settings
		in.Recording = safe.RecordingOff
		first := must[safe.Safe](t)(w.safes.Update(t.Context(), dual(w.admin), s.ID, 0, in)).Pending
		second := must[safe.Safe](t)(w.safes.Update(t.Context(), dual(w.admin), s.ID, 0, in)).Pending
		_, err := w.changes.Confirm(t.Context(), w.other, first)
		refused(t, err, pam.Conflict) // another took its place
		must[confirmation.Confirmation](t)(w.changes.Reject(t.Context(), w.admin, second))
		_, err = w.changes.Confirm(t.Context(), w.other, second)
		refused(t, err, pam.Conflict)
		third := must[safe.Safe](t)(w.safes.Update(t.Context(), dual(w.admin), s.ID, 0, in)).Pending
		stricter := s.Settings
		stricter.Approval = safe.ApprovalDual
		must[safe.Safe](t)(w.safes.Update(t.Context(), w.other, s.ID, 0, stricter))
		_, err = w.changes.Confirm(t.Context(), w.other, third)
		refused(t, err, pam.Conflict) // it would undo what came after
		got := must[safe.Safe](t)(w.safes.ByID(t.Context(), w.admin, s.ID))
		if got.Recording != safe.RecordingOn || got.Approval != safe.ApprovalDual {
			t.Fatalf("recording %q, approval %q", got.Recording, got.Approval)
		}
	})
}

// An administrator points a resource at a machine of their own, to be handed
// its passwords.
func TestRedirectedResourceGetsNoCredentialUntilAManagerOfEachSafeConfirms(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		second := w.safe(w.admin, "Second", pair(r, acc))
		unrelated, r2, acc2 := w.bound(w.admin, "Unrelated")
		in := r.Settings
		in.Host = "evil.example.com"
		_, err := w.resources.Update(t.Context(), w.stale(w.other), r.ID, 0, in)
		refused(t, err, pam.StepUpNeeded)
		got := must[resource.Resource](t)(w.resources.Update(t.Context(), w.other, r.ID, 0, in))
		if got.Pending == "" || !w.blocked(r.ID, acc.ID, s.ID) || !w.blocked(r.ID, acc.ID, second.ID) {
			t.Fatal("the credential would be sent to where nobody has agreed")
		}
		if w.blocked(r2.ID, acc2.ID, unrelated.ID) {
			t.Fatal("another resource is blocked too")
		}
		// Renaming it does not help, nor does putting another redirection on top.
		in.Name = "harmless"
		must[resource.Resource](t)(w.resources.Update(t.Context(), w.other, r.ID, 0, in))
		in.Port = 2222
		must[resource.Resource](t)(w.resources.Update(t.Context(), w.other, r.ID, 0, in))
		pending := must[[]confirmation.Confirmation](t)(w.changes.List(t.Context(), w.admin, confirmation.Query{Status: confirmation.Pending}))
		if len(pending) != 2 {
			t.Fatalf("%d pending, want one per Safe", len(pending))
		}
		_, err = w.changes.Confirm(t.Context(), w.other, pending[0].ID)
		refused(t, err, pam.Denied)
		must[confirmation.Confirmation](t)(w.changes.Confirm(t.Context(), w.admin, pending[0].ID))
		if !w.blocked(r.ID, acc.ID, s.ID) || !w.blocked(r.ID, acc.ID, second.ID) {
			t.Fatal("one Safe's word counted for the other's")
		}
		must[confirmation.Confirmation](t)(w.changes.Reject(t.Context(), w.admin, pending[1].ID))
		if !w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("a rejection let the credential go")
		}
		must[confirmation.Confirmation](t)(w.changes.Confirm(t.Context(), w.admin, pending[1].ID))
		if w.blocked(r.ID, acc.ID, s.ID) || w.blocked(r.ID, acc.ID, second.ID) {
			t.Fatal("still blocked after every word")
		}
		if got := must[resource.Resource](t)(w.resources.ByID(t.Context(), w.admin, r.ID)); got.Pending != "" {
			t.Fatalf("pending %q", got.Pending)
		}
	})
}

func TestEditorWhoManagesTheSafeConfirmsByEditing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		in := r.Settings
		in.Port = 2222
		got := must[resource.Resource](t)(w.resources.Update(t.Context(), w.admin, r.ID, 0, in))
		if got.Pending != "" || w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("a manager's own edit waits for themself")
		}
		in.Port = 2223
		must[resource.Resource](t)(w.resources.Update(t.Context(), dual(w.admin), r.ID, 0, in))
		if !w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("dual_control let one person redirect")
		}
		// Without the setting, an edit of something else is no word on what
		// waits already.
		in.Port = 2224
		got = must[resource.Resource](t)(w.resources.Update(t.Context(), w.admin, r.ID, 0, in))
		if got.Pending == "" || !w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("a pending redirection was confirmed unseen")
		}
	})
}

// A manager redirects, somebody else changes a trifle on top, and the manager
// confirms the two in the other's name.
func TestWhoeverRedirectedDoesNotConfirmItInAnothersName(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		third := w.person(w.admin.Org, pam.Operator)
		w.member(w.admin, s.ID, third, pam.SafeManager)
		in := r.Settings
		in.Host = "evil.example.com"
		must[resource.Resource](t)(w.resources.Update(t.Context(), dual(w.admin), r.ID, 0, in))
		in.Port = 2222
		id := must[resource.Resource](t)(w.resources.Update(t.Context(), dual(w.other), r.ID, 0, in)).Pending
		_, err := w.changes.Confirm(t.Context(), dual(w.admin), id)
		refused(t, err, pam.Denied)
		if !w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("one person redirected alone")
		}
		must[confirmation.Confirmation](t)(w.changes.Confirm(t.Context(), dual(third), id))

		// What was confirmed once is not counted again.
		in.Port = 2223
		id = must[resource.Resource](t)(w.resources.Update(t.Context(), dual(w.other), r.ID, 0, in)).Pending
		must[confirmation.Confirmation](t)(w.changes.Confirm(t.Context(), dual(w.admin), id))
		if w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("still blocked")
		}
	})
}

func TestRedirectionForgetsALearnedHostKeyAndKeepsANewOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
		const other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7jKD6qJrTGVVpZ1bp6gZ9oGYPbGIB1lXdUcWQ3yC1L"
		r := w.resource(w.admin, "web")
		e := storetest.Entry(r.Org, audit.ResourceHostKeyPinned)
		if err := w.db.PinHostKey(t.Context(), r.Org, r.ID, key, e); err != nil {
			t.Fatal(err)
		}
		refused(t, w.db.PinHostKey(t.Context(), r.Org, r.ID, other, storetest.Entry(r.Org, audit.ResourceHostKeyPinned)), pam.Conflict)
		refused(t, w.db.PinHostKey(t.Context(), w.stranger.Org, r.ID, other, storetest.Entry(r.Org, audit.ResourceHostKeyPinned)), pam.NotFound)
		r = must[resource.Resource](t)(w.resources.ByID(t.Context(), w.admin, r.ID))
		if !r.Learned || !slices.Equal(r.HostKeys, []string{key}) {
			t.Fatalf("learned %v, keys %v", r.Learned, r.HostKeys)
		}
		in := r.Settings
		in.Host = "elsewhere.example.com"
		moved := must[resource.Resource](t)(w.resources.Update(t.Context(), w.admin, r.ID, 0, in))
		if len(moved.HostKeys) != 0 || moved.Learned {
			t.Fatalf("the old host's key %v stayed pinned", moved.HostKeys)
		}
		in.Host, in.HostKeys = "third.example.com", []string{other + " a comment"}
		moved = must[resource.Resource](t)(w.resources.Update(t.Context(), w.admin, r.ID, 0, in))
		if !slices.Equal(moved.HostKeys, []string{other}) || moved.Learned {
			t.Fatalf("keys %v", moved.HostKeys)
		}
		in = moved.Settings
		in.Host = "fourth.example.com"
		moved = must[resource.Resource](t)(w.resources.Update(t.Context(), w.admin, r.ID, 0, in))
		if !slices.Equal(moved.HostKeys, []string{other}) {
			t.Fatal("a key that somebody wrote was forgotten")
		}
		in.HostKeyPolicy, in.HostKeys = resource.Pinned, nil
		must[resource.Resource](t)(w.resources.Update(t.Context(), w.admin, r.ID, 0, in))
		refused(t, w.db.PinHostKey(t.Context(), r.Org, r.ID, key, storetest.Entry(r.Org, audit.ResourceHostKeyPinned)), pam.Conflict)
	})
}

func TestDomainAccountIsHeldBackAtANewResourceAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r1, r2 := w.resource(w.admin, "one"), w.resource(w.admin, "two")
		acc := w.account(w.admin, "domain admin", "")
		s := w.safe(w.stale(w.admin), "Prod", pair(r1, acc)) // in no Safe yet: nobody else rests on it
		if s.Pending != "" || w.blocked(r1.ID, acc.ID, s.ID) {
			t.Fatal("the first binding waits")
		}
		w.member(w.admin, s.ID, w.other, pam.SafeManager)
		add := safe.Settings{Name: "Second", Bindings: []safe.Binding{pair(r2, acc)}}
		_, err := w.safes.Create(t.Context(), w.stale(w.other), add)
		refused(t, err, pam.StepUpNeeded)
		second := must[safe.Safe](t)(w.safes.Create(t.Context(), dual(w.other), add))
		if second.Pending == "" || !w.blocked(r2.ID, acc.ID, second.ID) || w.blocked(r1.ID, acc.ID, s.ID) {
			t.Fatal("a domain account goes to a new resource without a word, or is lost at the old one")
		}
		pending := must[[]confirmation.Confirmation](t)(w.changes.List(t.Context(), w.owner, confirmation.Query{Status: confirmation.Pending}))
		if len(pending) != 2 {
			t.Fatalf("%d pending, want one for each Safe that holds the account", len(pending))
		}
		w.member(w.other, second.ID, w.admin, pam.SafeManager)
		for _, c := range pending {
			_, err := w.changes.Confirm(t.Context(), w.other, c.ID)
			refused(t, err, pam.Denied)
			must[confirmation.Confirmation](t)(w.changes.Confirm(t.Context(), w.admin, c.ID))
		}
		if w.blocked(r2.ID, acc.ID, second.ID) {
			t.Fatal("still blocked")
		}
		third := w.safe(w.admin, "Third", pair(r2, acc))
		if third.Pending != "" {
			t.Fatal("it has been bound there before")
		}
	})
}

func TestMovingAnAccountIsARedirection(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		elsewhere := w.resource(w.admin, "elsewhere")
		in := acc.Settings
		in.ResourceID = elsewhere.ID
		_, err := w.accounts.Update(t.Context(), w.admin, acc.ID, 0, in)
		refused(t, err, pam.Invalid) // a Safe binds it to the other
		in.ResourceID = ""
		_, err = w.accounts.Update(t.Context(), w.stale(w.other), acc.ID, 0, in)
		refused(t, err, pam.StepUpNeeded)
		moved := must[account.Account](t)(w.accounts.Update(t.Context(), w.other, acc.ID, 0, in))
		if moved.Pending == "" || !w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("an account was moved without a manager's word")
		}
		must[confirmation.Confirmation](t)(w.changes.Confirm(t.Context(), w.admin, moved.Pending))
		if w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("still blocked")
		}
	})
}

func TestBindingAgainDoesNotGetRoundAPendingRedirection(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		in := r.Settings
		in.Host = "elsewhere.example.com"
		must[resource.Resource](t)(w.resources.Update(t.Context(), dual(w.admin), r.ID, 0, in))
		set := s.Settings
		set.Bindings = nil
		must[safe.Safe](t)(w.safes.Update(t.Context(), w.admin, s.ID, 0, set))
		set.Bindings = s.Bindings
		must[safe.Safe](t)(w.safes.Update(t.Context(), w.admin, s.ID, 0, set))
		if !w.blocked(r.ID, acc.ID, s.ID) {
			t.Fatal("taking the binding out and in again confirmed the redirection")
		}
	})
}
