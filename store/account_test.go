package store_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/confirmation"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
	"vaultpam/store/storetest"
)

func password(text string) account.NewCredential {
	return account.NewCredential{Kind: account.Password, Value: secret.FromString(text)}
}

func TestCredentialIsKeptSealedAndBoundToItsAccountAndVersion(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		acc := w.account(w.admin, "root", "")
		if acc.Credential == nil || acc.Credential.Version != 1 || acc.Credential.Kind != account.Password {
			t.Fatalf("credential %+v", acc.Credential)
		}
		c := password("second")
		got := must[account.Account](t)(w.accounts.SetCredential(t.Context(), w.admin, acc.ID, c))
		if got.Credential.Version != 2 || got.Version != acc.Version+1 || got.Credential.RotationState != account.Stable {
			t.Fatalf("credential %+v, version %d", got.Credential, got.Version)
		}
		if strings.Trim(string(c.Value.Expose()), "\x00") != "" {
			t.Fatal("the plaintext was not wiped")
		}
		sealed := must[account.SealedCredential](t)(w.db.SealedCredential(t.Context(), acc.Org, acc.ID))
		want := string(acc.Org) + "|account.credential|" + string(acc.ID) + "|2|second"
		if string(sealed.Sealed) != want || sealed.Version != 2 || sealed.Username != "root" {
			t.Fatalf("sealed %q, version %d", sealed.Sealed, sealed.Version)
		}
		history := must[[]account.Version](t)(w.accounts.Versions(t.Context(), w.auditor, acc.ID))
		if len(history) != 2 || !history[0].Promoted || history[1].Promoted || history[1].Version != 1 || history[0].CreatedBy != w.admin.User {
			t.Fatalf("history %+v", history)
		}
		_, err := w.db.SealedCredential(t.Context(), w.stranger.Org, acc.ID)
		refused(t, err, pam.NotFound)
		bare := must[account.Account](t)(w.accounts.Create(t.Context(), w.admin, account.Settings{Name: "bare", Username: "bare"}, nil))
		if bare.Credential != nil {
			t.Fatal("a credential from nowhere")
		}
		_, err = w.db.SealedCredential(t.Context(), bare.Org, bare.ID)
		refused(t, err, pam.NotFound)
	})
}

func TestCredentialIsSetByItsCreatorInNoSafeOrByAManagerOfEach(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		acc := w.account(w.admin, "root", "")
		set := func(a pam.Actor) error {
			_, err := w.accounts.SetCredential(t.Context(), a, acc.ID, password("x"))
			return err
		}
		refused(t, set(w.other), pam.Denied)
		refused(t, set(w.operator), pam.NotFound)
		refused(t, set(w.stranger), pam.NotFound)
		refused(t, set(w.stale(w.admin)), pam.StepUpNeeded)
		r := w.resource(w.admin, "web")
		first := w.safe(w.admin, "First", pair(r, acc))
		second := w.safe(w.admin, "Second", pair(r, acc))
		w.member(w.admin, first.ID, w.other, pam.SafeManager)
		refused(t, set(w.other), pam.Denied) // manages one of two
		w.member(w.admin, second.ID, w.other, pam.SafeManager)
		if err := set(w.other); err != nil {
			t.Fatal(err)
		}
		w.member(w.admin, first.ID, w.operator, pam.SafeOperator)
		refused(t, set(w.operator), pam.Denied)
	})
}

func TestCredentialsStoredAtOnceGetDifferentVersions(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		acc := w.account(w.admin, "root", "")
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				_, err := w.accounts.SetCredential(t.Context(), w.admin, acc.ID, password("x"))
				if err != nil && !pam.Is(err, pam.Conflict) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		history := must[[]account.Version](t)(w.accounts.Versions(t.Context(), w.admin, acc.ID))
		for i, v := range history {
			if v.Version != int64(len(history)-i) || v.Promoted != (i == 0) {
				t.Fatalf("history %+v", history)
			}
		}
	})
}

func TestNothingIsStoredWhileTheVaultIsSealed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sealed := account.New(w.db, sealedVault{}, w.scribe, w.clock, w.ids)
		c := password("x")
		_, err := sealed.Create(t.Context(), w.admin, account.Settings{Name: "a", Username: "a"}, &c)
		refused(t, err, pam.Sealed)
		if n := len(must[[]account.Account](t)(w.accounts.List(t.Context(), w.admin, account.Filter{}, "", 10))); n != 0 {
			t.Fatal("an account without its credential was left behind")
		}
	})
}

type sealedVault struct{ pam.Sealer }

func (sealedVault) Seal(context.Context, pam.Binding, []byte) ([]byte, error) {
	return nil, &pam.Error{Kind: pam.Sealed}
}

func TestMembersSeeTheResourcesAndAccountsOfTheirSafesAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Mine")
		_, r2, acc2 := w.bound(w.admin, "Other")
		m := w.member(w.admin, s.ID, w.operator, pam.SafeViewer)
		if got := must[[]resource.Resource](t)(w.resources.List(t.Context(), w.operator, resource.Filter{}, "", 10)); len(got) != 1 || got[0].ID != r.ID {
			t.Fatalf("resources %v", got)
		}
		if got := must[[]account.Account](t)(w.accounts.List(t.Context(), w.operator, account.Filter{}, "", 10)); len(got) != 1 || got[0].ID != acc.ID {
			t.Fatalf("accounts %v", got)
		}
		must[resource.Resource](t)(w.resources.ByID(t.Context(), w.operator, r.ID))
		must[account.Account](t)(w.accounts.ByID(t.Context(), w.operator, acc.ID))
		_, err := w.resources.ByID(t.Context(), w.operator, r2.ID)
		refused(t, err, pam.NotFound)
		_, err = w.accounts.ByID(t.Context(), w.operator, acc2.ID)
		refused(t, err, pam.NotFound)
		_, err = w.resources.Update(t.Context(), w.operator, r.ID, 0, r.Settings)
		refused(t, err, pam.Denied)
		_, err = w.accounts.Update(t.Context(), w.operator, acc.ID, 0, acc.Settings)
		refused(t, err, pam.Denied)
		refused(t, w.accounts.Delete(t.Context(), w.auditor, acc2.ID, 0), pam.Denied)
		must[safe.Member](t)(w.safes.UpdateMember(t.Context(), w.admin, s.ID, m.ID, pam.SafeViewer, w.clock.Now().Add(time.Minute)))
		w.clock.Advance(time.Minute)
		_, err = w.accounts.ByID(t.Context(), w.operator, acc.ID)
		refused(t, err, pam.NotFound)
		if got := must[[]resource.Resource](t)(w.resources.List(t.Context(), w.auditor, resource.Filter{}, "", 1)); len(got) != 1 || got[0].Name != "Mine host" {
			t.Fatalf("the first page %v", got)
		} else if next := must[[]resource.Resource](t)(w.resources.List(t.Context(), w.auditor, resource.Filter{}, got[0].Cursor(), 1)); next[0].ID != r2.ID {
			t.Fatalf("the second page %v", next)
		}
	})
}

// Everything that is read or changed with the other organization is not there.
func TestNothingIsReadOrChangedFromAnotherOrganization(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		m := w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		in := r.Settings
		in.Port = 2222
		cnf := must[resource.Resource](t)(w.resources.Update(t.Context(), w.other, r.ID, 0, in)).Pending
		chk := w.checkOut(w.operator, s, acc)
		ctx, org, now := t.Context(), w.stranger.Org, w.clock.Now()
		e := func() audit.Entry { return storetest.Entry(org, audit.SafeUpdated) }
		h := pam.Hold{By: w.stranger.User, At: now, NewID: func() pam.ConfirmationID { return "cnf_x" }}
		err := func(_ any, err error) error { return err }
		for name, got := range map[string]error{
			"safe":              err(w.db.SafeByID(ctx, org, s.ID, w.admin.User, now)),
			"update safe":       err(w.db.UpdateSafe(ctx, org, s, s.Version, nil, h, e())),
			"propose":           w.db.ProposeSafe(ctx, org, safe.Proposal{ID: "cnf_y", Safe: s, Version: s.Version, At: now}, e()),
			"lock":              w.db.LockSafe(ctx, org, s.ID, true, now, e()),
			"delete safe":       w.db.DeleteSafe(ctx, org, s.ID, s.Version, e()),
			"member":            err(w.db.SafeMemberByID(ctx, org, s.ID, m.ID)),
			"add member":        w.db.AddSafeMember(ctx, org, safe.Member{ID: "mem_x", Safe: s.ID, User: w.stranger.User, Role: pam.SafeManager}, e()),
			"update member":     w.db.UpdateSafeMember(ctx, org, m, e()),
			"remove member":     w.db.RemoveSafeMember(ctx, org, s.ID, m.ID, e()),
			"take over":         w.db.TakeOverSafe(ctx, org, safe.Member{ID: "mem_x", Safe: s.ID, User: w.stranger.User, Role: pam.SafeManager, CreatedAt: now}, e()),
			"resource":          err(w.db.ResourceByID(ctx, org, r.ID)),
			"update resource":   err(w.db.UpdateResource(ctx, org, r, r.Version, &h, e())),
			"delete resource":   w.db.DeleteResource(ctx, org, r.ID, 0, e()),
			"account":           err(w.db.AccountByID(ctx, org, acc.ID)),
			"update account":    err(w.db.UpdateAccount(ctx, org, acc, acc.Version, &h, e())),
			"delete account":    w.db.DeleteAccount(ctx, org, acc.ID, 0, e()),
			"add credential":    w.db.AddCredential(ctx, org, acc.ID, account.SealedVersion{Version: account.Version{Version: 2}, Sealed: []byte{1}}, e()),
			"purge credential":  w.db.PurgeCredentials(ctx, org, acc.ID, []int64{1}, w.stranger.User, now, e()),
			"promote":           w.db.PromoteCredential(ctx, org, acc.ID, 1, now, e()),
			"account by name":   err(w.db.AccountNamed(ctx, org, acc.Name, acc.ResourceID)),
			"sealed credential": err(w.db.SealedCredential(ctx, org, acc.ID)),
			"confirmation":      err(w.db.ConfirmationByID(ctx, org, cnf)),
			"decide":            w.db.DecideConfirmation(ctx, org, confirmation.Confirmation{ID: cnf, Status: confirmation.Pending}, confirmation.Decision{To: confirmation.Confirmed}, e()),
			"checkout":          err(w.db.CheckoutByID(ctx, org, chk.ID)),
			"check in":          w.db.CheckIn(ctx, org, chk.ID, w.stranger.User, checkout.Forced, now, e()),
		} {
			if !pam.Is(got, pam.NotFound) {
				t.Errorf("%s: %v", name, got)
			}
		}
		for name, n := range map[string]int{
			"safes":         len(must[[]safe.Safe](t)(w.db.ListSafes(ctx, org, safe.Query{User: w.admin.User, All: true, Limit: 10, Now: now}))),
			"own safes":     len(must[[]safe.Safe](t)(w.db.ListSafes(ctx, org, safe.Query{User: w.admin.User, Limit: 10, Now: now}))),
			"managed":       len(must[[]pam.SafeID](t)(w.db.ManagedSafes(ctx, org, w.admin.User, now))),
			"members":       len(must[[]safe.Member](t)(w.db.SafeMembers(ctx, org, s.ID, "", 10))),
			"resources":     len(must[[]resource.Resource](t)(w.db.ListResources(ctx, org, resource.Query{User: w.admin.User, All: true, Limit: 10}))),
			"own resources": len(must[[]resource.Resource](t)(w.db.ListResources(ctx, org, resource.Query{User: w.admin.User, Limit: 10}))),
			"accounts":      len(must[[]account.Account](t)(w.db.ListAccounts(ctx, org, account.Query{User: w.admin.User, All: true, Limit: 10}))),
			"own accounts":  len(must[[]account.Account](t)(w.db.ListAccounts(ctx, org, account.Query{User: w.admin.User, Limit: 10}))),
			"versions":      len(must[[]account.Version](t)(w.db.CredentialVersions(ctx, org, acc.ID))),
			"holders":       len(must[[]account.Holder](t)(w.db.Holders(ctx, org, acc.ID, w.admin.User, now))),
			"facts":         len(must[[]safe.AccountFacts](t)(w.db.AccountFacts(ctx, org, []pam.AccountID{acc.ID}, w.admin.User, now))),
			"confirmations": len(must[[]confirmation.Confirmation](t)(w.db.ListConfirmations(ctx, org, confirmation.Query{All: true, Limit: 10}))),
			"checkouts":     len(must[[]checkout.Checkout](t)(w.db.ListCheckouts(ctx, org, checkout.Query{All: true, Limit: 10, Now: now}))),
		} {
			if n != 0 {
				t.Errorf("%s: %d rows of another organization", name, n)
			}
		}
		if role, ok, err := w.db.RoleOf(ctx, org, s.ID, w.admin.User, now); ok || err != nil {
			t.Errorf("role %q, %v", role, err)
		}
		if seen := must[bool](t)(w.db.ResourceVisible(ctx, org, r.ID, w.admin.User, now)); seen {
			t.Error("a resource is visible")
		}
		if types := eventTypes(t, w.db, org); len(types) != 0 {
			t.Errorf("refused changes left the events %v", types)
		}
	})
}

// checkOut stores a checkout as the broker does before it reveals anything.
func (w *world) checkOut(a pam.Actor, s safe.Safe, acc account.Account) checkout.Checkout {
	w.t.Helper()
	now := w.clock.Now()
	c := checkout.Checkout{
		ID: pam.CheckoutID(w.ids.New(pam.PrefixCheckout)), Org: a.Org, Safe: s.ID, Account: acc.ID, User: a.User, Username: acc.Username,
		Status: checkout.CheckedOut, Version: 1, Reason: "a look", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if err := w.db.CreateCheckout(w.t.Context(), a.Org, c, nil, storetest.Entry(a.Org, audit.CredentialCheckedOut)); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestCheckoutIsSeenAndEndedByThoseItConcerns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, _, acc := w.bound(w.other, "Prod")
		colleague := w.person(s.Org, pam.Operator)
		w.member(w.other, s.ID, w.operator, pam.SafeOperator)
		w.member(w.other, s.ID, colleague, pam.SafeOperator)
		c := w.checkOut(w.operator, s, acc)
		for _, a := range []pam.Actor{w.operator, w.other, w.owner, w.auditor} {
			if got := must[checkout.Checkout](t)(w.checkouts.ByID(t.Context(), a, c.ID)); got.ID != c.ID || got.User != c.User || got.Status != checkout.CheckedOut || got.SafeName == "" || got.AccountName == "" {
				t.Fatalf("%s sees %+v, want %+v", a.Role, got, c)
			}
			if got := must[[]checkout.Checkout](t)(w.checkouts.List(t.Context(), a, checkout.Query{})); len(got) != 1 {
				t.Fatalf("%s lists %d", a.Role, len(got))
			}
		}
		for _, a := range []pam.Actor{colleague, w.stranger} {
			_, err := w.checkouts.CheckIn(t.Context(), a, c.ID)
			refused(t, err, pam.NotFound)
			if got := must[[]checkout.Checkout](t)(w.checkouts.List(t.Context(), a, checkout.Query{})); len(got) != 0 {
				t.Fatalf("%s lists %d", a.Role, len(got))
			}
		}
		_, err := w.checkouts.CheckIn(t.Context(), w.auditor, c.ID)
		refused(t, err, pam.Denied)
		if got := must[checkout.Checkout](t)(w.checkouts.CheckIn(t.Context(), w.admin, c.ID)); got.Status != checkout.Available || got.CheckedInBy != w.admin.User {
			t.Fatalf("%+v", got)
		}
		_, err = w.checkouts.CheckIn(t.Context(), w.operator, c.ID)
		refused(t, err, pam.Conflict)
		late := w.checkOut(w.operator, s, acc)
		w.clock.Advance(time.Hour)
		if got := must[checkout.Checkout](t)(w.checkouts.ByID(t.Context(), w.operator, late.ID)); got.Status != checkout.Available {
			t.Fatal("a checkout outlived its time")
		}
		if got := must[[]checkout.Checkout](t)(w.checkouts.List(t.Context(), w.operator, checkout.Query{})); len(got) != 0 {
			t.Fatal("it is listed as out")
		}
	})
}
