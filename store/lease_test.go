package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/lease"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
	"vaultpam/store/storetest"
)

// makes is a Safe of an account of which users are made by another.
func (w *world) makes(a pam.Actor, name string) (safe.Safe, resource.Resource, account.Account) {
	w.t.Helper()
	ctx := w.t.Context()
	r := must[resource.Resource](w.t)(w.resources.Create(ctx, a, resource.Settings{Name: name, Type: pam.PostgreSQL, Host: "192.0.2.7"}))
	by := w.account(a, name+" admin", r.ID)
	in := account.NewCredential{Kind: account.Made, Ephemeral: &account.Ephemeral{AdminAccountID: by.ID}}
	acc := must[account.Account](w.t)(w.accounts.Create(ctx, a, account.Settings{Name: name, Username: "app", ResourceID: r.ID}, &in))
	return w.safe(a, name, pair(r, acc)), r, acc
}

// leases makes a row as the service does, of a user that somebody has out.
func (w *world) leases(a pam.Actor, s safe.Safe, r resource.Resource, acc account.Account, username string, limit int) (lease.Lease, error) {
	w.t.Helper()
	now := w.clock.Now()
	l := lease.Lease{
		ID: pam.LeaseID(w.ids.New(pam.PrefixLease)), Org: a.Org, Account: acc.ID, Name: acc.Name, Resource: r.ID, Place: r.Place(), Admin: acc.Credential.Ephemeral.AdminAccountID, Safe: s.ID, User: a.User,
		Username: username, Spec: *acc.Credential.Ephemeral, State: lease.Creating, CreatedAt: now, ExpiresAt: now.Add(time.Hour), UpdatedAt: now, NextAt: now.Add(time.Minute),
	}
	return l, w.db.CreateLease(w.t.Context(), a.Org, l, limit, storetest.Entry(a.Org, audit.LeaseCreated))
}

func (w *world) advance(l lease.Lease, to lease.State, next time.Time) lease.Lease {
	w.t.Helper()
	from := l.State
	l.State, l.NextAt = to, next
	if err := w.db.AdvanceLease(w.t.Context(), l.Org, l, from); err != nil {
		w.t.Fatalf("%s to %s: %v", from, to, err)
	}
	l.Fence++
	return l
}

func (w *world) dueLeases() (out []pam.LeaseID) {
	w.t.Helper()
	for _, l := range must[[]lease.Lease](w.t)(w.db.DueLeases(w.t.Context(), w.clock.Now(), lease.Fair{All: 100, Org: 100, Resource: 100})) {
		out = append(out, l.ID)
	}
	return out
}

func TestLeaseIsKeptAsItWasMadeAndSeenByThoseItConcerns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, r, acc := w.makes(w.admin, "app")
		w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		mine, err := w.leases(w.operator, s, r, acc, "vp_1", 10)
		if err != nil {
			t.Fatal(err)
		}
		got := must[lease.Lease](t)(w.db.LeaseByID(ctx, mine.Org, mine.ID))
		if got.Username != "vp_1" || got.Admin == "" || got.Spec.AdminAccountID != got.Admin || got.User != w.operator.User || !got.ExpiresAt.Equal(mine.ExpiresAt.UTC().Truncate(time.Microsecond)) {
			t.Errorf("%+v\nwant %+v", got, mine)
		}
		_, err = w.db.LeaseByID(ctx, w.stranger.Org, mine.ID)
		refused(t, err, pam.NotFound)
		list := func(a pam.Actor, q lease.Query) []lease.Lease {
			q.User, q.Now = a.User, w.clock.Now()
			if q.Limit == 0 {
				q.Limit = 10
			}
			return must[[]lease.Lease](t)(w.db.ListLeases(ctx, a.Org, q))
		}
		second, err := w.leases(w.admin, s, r, acc, "vp_2", 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			who  string
			a    pam.Actor
			q    lease.Query
			want int
		}{
			{"who has one", w.operator, lease.Query{}, 1},
			{"the manager", w.admin, lease.Query{}, 2},
			{"an admin who is in no Safe", w.other, lease.Query{}, 0},
			{"who sees all", w.auditor, lease.Query{All: true}, 2},
			{"another organization", w.stranger, lease.Query{All: true}, 0},
			{"by state", w.admin, lease.Query{State: lease.Active}, 0},
			{"open ones", w.admin, lease.Query{Open: true}, 2},
			{"the page after the newest", w.admin, lease.Query{After: second.ID}, 1},
			{"a page of one", w.admin, lease.Query{Limit: 1}, 1},
		} {
			if got := list(c.a, c.q); len(got) != c.want || len(got) > 1 && got[0].ID != second.ID {
				t.Errorf("%s: %+v, want %d", c.who, got, c.want)
			}
		}
		w.advance(w.advance(second, lease.Revoking, w.clock.Now()), lease.Revoked, w.clock.Now())
		if got := list(w.admin, lease.Query{Open: true}); len(got) != 1 || got[0].ID != mine.ID {
			t.Errorf("open: %+v", got)
		}
		open, stuck, err := w.db.CountLeases(ctx)
		if err != nil || open != 1 || stuck != 0 {
			t.Errorf("%d open, %d stuck, %v", open, stuck, err)
		}
	})
}

func TestLeaseIsRefusedWholeAndWithoutAnEvent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.makes(w.admin, "app")
		if _, err := w.leases(w.admin, s, r, acc, "vp_1", 2); err != nil {
			t.Fatal(err)
		}
		_, err := w.leases(w.admin, s, r, acc, "vp_1", 2)
		refused(t, err, pam.Conflict) // the same user twice
		if _, err := w.leases(w.admin, s, r, acc, "vp_2", 2); err != nil {
			t.Fatal(err)
		}
		_, err = w.leases(w.admin, s, r, acc, "vp_3", 2)
		refused(t, err, pam.TooMany)
		gone := acc
		gone.ID = pam.AccountID(w.ids.New(pam.PrefixAccount))
		_, err = w.leases(w.admin, s, r, gone, "vp_4", 9)
		refused(t, err, pam.NotFound)
		_, err = w.leases(w.stranger, s, r, acc, "vp_5", 9) // an account of another organization
		refused(t, err, pam.NotFound)
		if n := w.countEvents(audit.LeaseCreated); n != 2 {
			t.Errorf("%d events of 2 leases", n)
		}
	})
}

func TestOfThoseWhoWorkOnALeaseOneIsFirst(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		s, r, acc := w.makes(w.admin, "app")
		l, err := w.leases(w.admin, s, r, acc, "vp_1", 9)
		if err != nil {
			t.Fatal(err)
		}
		l = w.advance(l, lease.Active, l.ExpiresAt)
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 8 {
			wg.Go(func() {
				next := l
				next.State = lease.Revoking
				err := w.db.AdvanceLease(ctx, l.Org, next, lease.Active, storetest.Entry(l.Org, audit.LeaseRevocationStarted))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !pam.Is(err, pam.Conflict) {
					t.Errorf("a loser is told: %v", err)
				}
			})
		}
		wg.Wait()
		if n := w.countEvents(audit.LeaseRevocationStarted); won != 1 || n != 1 {
			t.Errorf("%d took it, with %d events", won, n)
		}
		for name, c := range map[string]struct {
			org      pam.OrgID
			from, to lease.State
			fence    int64
			want     pam.Kind
		}{
			"an old fence":             {l.Org, lease.Revoking, lease.Revoked, l.Fence, pam.Conflict},
			"another state":            {l.Org, lease.Active, lease.Revoking, l.Fence + 1, pam.Conflict},
			"a step that is none":      {l.Org, lease.Revoking, lease.Active, l.Fence + 1, pam.Conflict},
			"of another organization":  {w.stranger.Org, lease.Revoking, lease.Revoked, l.Fence + 1, pam.NotFound},
			"back from where it ended": {l.Org, lease.Revoked, lease.Revoking, l.Fence + 1, pam.Conflict},
		} {
			next := l
			next.State, next.Fence = c.to, c.fence
			err := w.db.AdvanceLease(ctx, c.org, next, c.from, storetest.Entry(c.org, audit.LeaseRevoked))
			if !pam.Is(err, c.want) {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
		if n := w.countEvents(audit.LeaseRevoked); n != 0 {
			t.Errorf("what was refused left %d events", n)
		}
	})
}

func TestLeaseIsDueWhenAnyOfWhatItRestsOnIsOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.makes(w.admin, "app")
		active := func(username string) lease.Lease {
			l, err := w.leases(w.admin, s, r, acc, username, 99)
			if err != nil {
				t.Fatal(err)
			}
			c := w.checkOut(w.admin, s, acc)
			w.sql(`UPDATE leases SET checkout_id = ? WHERE lease_id = ?`, string(c.ID), string(l.ID))
			l.Checkout = c.ID
			return w.advance(l, lease.Active, l.ExpiresAt)
		}
		rests, ended, lost := active("vp_rests"), active("vp_ended"), active("vp_lost")
		making, err := w.leases(w.admin, s, r, acc, "vp_making", 99)
		if err != nil {
			t.Fatal(err)
		}
		if due := w.dueLeases(); len(due) != 0 {
			t.Fatalf("due from the beginning: %v", due)
		}
		must[checkout.Checkout](t)(w.checkouts.CheckIn(t.Context(), w.admin, ended.Checkout))
		w.sql(`UPDATE leases SET checkout_id = 'chk_of_no_row' WHERE lease_id = ?`, string(lost.ID))
		due := w.dueLeases()
		slices.Sort(due)
		if want := []pam.LeaseID{ended.ID, lost.ID}; !slices.Equal(due, want) {
			t.Errorf("due after a check-in and a loss: %v, want %v", due, want)
		}
		// Whoever works on one has it alone until its time to be looked at again.
		taken := w.advance(ended, lease.Revoking, w.clock.Now().Add(time.Minute))
		if slices.Contains(w.dueLeases(), taken.ID) {
			t.Error("a lease that somebody works on is due")
		}
		w.clock.Advance(time.Minute)
		for _, id := range []pam.LeaseID{taken.ID, making.ID} {
			if !slices.Contains(w.dueLeases(), id) {
				t.Errorf("%s is not due a minute later", id)
			}
		}
		if slices.Contains(w.dueLeases(), rests.ID) {
			t.Error("a lease is due while all that it rests on holds")
		}
		w.advance(taken, lease.Revoked, w.clock.Now())
		w.clock.Advance(time.Hour)
		if due = w.dueLeases(); !slices.Contains(due, rests.ID) || slices.Contains(due, taken.ID) {
			t.Errorf("due when an hour is over: %v", due)
		}
		// The account is deleted under it.
		late := active("vp_late")
		w.sql(`UPDATE leases SET account_id = 'acc_of_no_row' WHERE lease_id = ?`, string(late.ID))
		if !slices.Contains(w.dueLeases(), late.ID) {
			t.Error("the lease of an account that is gone is not due")
		}
	})
}

// Leases are handed out in turns, so that one organization's thousands, or one
// resource's, do not keep the others' waiting.
func TestDueLeasesAreHandedOutInTurns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		due := func(a pam.Actor, name string, n int) (out []pam.LeaseID) {
			s, r, acc := w.makes(a, name)
			for i := range n {
				l, err := w.leases(a, s, r, acc, fmt.Sprintf("vp_%s_%d", name, i), 99)
				if err != nil {
					t.Fatal(err)
				}
				w.clock.Advance(time.Millisecond)
				out = append(out, w.advance(l, lease.Revoking, w.clock.Now()).ID)
			}
			return out
		}
		many, some := due(w.admin, "many", 9), due(w.admin, "some", 3)
		theirs := due(w.stranger, "theirs", 5)
		list := func(f lease.Fair) (out []pam.LeaseID) {
			for _, l := range must[[]lease.Lease](t)(w.db.DueLeases(t.Context(), w.clock.Now(), f)) {
				out = append(out, l.ID)
			}
			return out
		}
		got := list(lease.Fair{All: 100, Org: 4, Resource: 3})
		if len(got) != 7 {
			t.Fatalf("%d leases", len(got))
		}
		for _, want := range [][]pam.LeaseID{many[:2], some[:2], theirs[:3]} {
			for _, id := range want {
				if !slices.Contains(got, id) {
					t.Errorf("%s is not among %v", id, got)
				}
			}
		}
		if first := list(lease.Fair{All: 2, Org: 4, Resource: 3}); !slices.Contains(first, theirs[0]) || !slices.Contains(first, many[0]) {
			t.Errorf("the first two: %v", first)
		}
		// What failed stands behind what was never tried.
		w.sql(`UPDATE leases SET attempts = 1 WHERE lease_id = ?`, string(many[0]))
		if got := list(lease.Fair{All: 1, Org: 1, Resource: 1}); len(got) != 1 || got[0] == many[0] {
			t.Errorf("first: %v", got)
		}
	})
}

func TestSweepAsksWhereUsersAreMade(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, _, plain := w.bound(w.admin, "plain")
		s, r, acc := w.makes(w.admin, "app")
		w.safe(w.admin, "another of the same", pair(r, acc))
		_, _, theirs := w.makes(w.stranger, "theirs")

		var got []lease.Making
		for after := pam.AccountID(""); ; {
			page := must[[]lease.Making](t)(w.db.MakingAccounts(ctx, after, 1))
			if len(page) == 0 {
				break
			}
			got, after = append(got, page...), page[0].Account
		}
		if want := []lease.Making{{Org: acc.Org, Account: acc.ID}, {Org: theirs.Org, Account: theirs.ID}}; !slices.Equal(got, want) {
			t.Errorf("users are made of %v, want %v", got, want)
		}
		places := must[[]lease.Lease](t)(w.db.LeasePlaces(ctx, acc.Org, acc.ID))
		if len(places) != 1 || places[0].Resource != r.ID || places[0].Safe != s.ID || places[0].Admin != acc.Credential.Ephemeral.AdminAccountID || places[0].Name != "app" {
			t.Errorf("made at %+v", places)
		}
		if places := must[[]lease.Lease](t)(w.db.LeasePlaces(ctx, plain.Org, plain.ID)); len(places) != 0 {
			t.Errorf("an account with a password makes users at %+v", places)
		}
		_, err := w.db.LeasePlaces(ctx, w.stranger.Org, acc.ID)
		refused(t, err, pam.NotFound)

		l, err := w.leases(w.admin, s, r, acc, "vp_1", 9)
		if err != nil {
			t.Fatal(err)
		}
		if names := must[[]string](t)(w.db.LeasedNames(ctx, acc.Org)); !slices.Equal(names, []string{"vp_1"}) {
			t.Errorf("known: %v", names)
		}
		if names := must[[]string](t)(w.db.LeasedNames(ctx, w.stranger.Org)); len(names) != 0 {
			t.Errorf("known to another organization: %v", names)
		}
		w.advance(w.advance(l, lease.Revoking, w.clock.Now()), lease.Revoked, w.clock.Now())
		if names := must[[]string](t)(w.db.LeasedNames(ctx, acc.Org)); len(names) != 0 {
			t.Errorf("known when it is over: %v", names)
		}
		// Whoever the target has then was brought back by a backup of the target's.
		if _, err := w.leases(w.admin, s, r, acc, "vp_1", 9); err != nil {
			t.Errorf("a name that came back: %v", err)
		}
	})
}
