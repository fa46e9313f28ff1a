package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/broker"
	"vaultpam/pam/checkout"
	"vaultpam/pam/policy"
	"vaultpam/pam/safe"
	"vaultpam/store"
)

// manyCheckouts puts n checkouts of the actor's on record, of one account in
// each of the Safes in turn.
func (w *world) manyCheckouts(n int, a pam.Actor, acc account.Account, safes ...pam.SafeID) {
	w.t.Helper()
	now := w.clock.Now()
	err := w.db.Write(w.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			if _, err := tx.Exec(ctx, `INSERT INTO checkouts (org_id, checkout_id, safe_id, account_id, user_id, username, status, version, reason, created_at, expires_at, checked_in_at, checked_in_by, client_ip)
				VALUES (?, ?, ?, ?, ?, '', 'checked_out', 1, '', ?, ?, 0, '', ?)`,
				a.Org, w.ids.New(pam.PrefixCheckout), safes[i%len(safes)], acc.ID, a.User, now.UnixMicro(), now.Add(time.Hour).UnixMicro(), a.From.String()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// ended counts the checkouts of an organization by what ended them, "" for those
// that are out.
func (w *world) ended(org pam.OrgID) map[checkout.Cause]int {
	w.t.Helper()
	causes := map[checkout.Cause]int{}
	q := checkout.Query{Status: checkout.Every, All: true, Limit: 10_000, Now: w.clock.Now()}
	for _, c := range must[[]checkout.Checkout](w.t)(w.db.ListCheckouts(w.t.Context(), org, q)) {
		causes[c.Cause]++
	}
	return causes
}

// What ends in one Safe or organization ends all of it there, however many are
// out, and nothing elsewhere.
func TestRecallLooksAtEveryCheckout(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, acc := w.shown(safe.Rotation{})
		kept, _ := w.shown(safe.Rotation{})
		w.sql(`INSERT INTO safe_bindings (org_id, safe_id, resource_id, account_id) VALUES (?, ?, ?, ?)`, w.owner.Org, kept.ID, s.Bindings[0].ResourceID, acc.ID)
		w.manyCheckouts(1201, w.owner, acc, s.ID, kept.ID)
		w.recalls()
		if got := w.ended(w.owner.Org); got[""] != 1201 {
			t.Fatalf("%v", got)
		}
		must[safe.Safe](t)(w.safes.Lock(t.Context(), w.owner, s.ID))
		w.recalls()
		if got := w.ended(w.owner.Org); got[""] != 600 || got[checkout.SafeLocked] != 601 {
			t.Errorf("%v", got)
		}
		if all, emergencies, err := w.db.CountCheckouts(t.Context(), w.clock.Now()); all != 600 || emergencies != 0 || err != nil {
			t.Errorf("%d, %d, %v", all, emergencies, err)
		}
	})
}

// unread are policies that cannot be read while err is set.
type unread struct {
	broker.Policies
	err error
}

func (u *unread) Rules(ctx context.Context, org pam.OrgID) (policy.Book, error) {
	if u.err != nil {
		return nil, u.err
	}
	return u.Policies.Rules(ctx, org)
}

// While nobody can tell what the policies say, what the Safe itself refuses
// ends at once, and everything else after a minute.
func TestCheckoutOfWhichNobodyCanTellEndsAfterAMinute(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		u := &unread{Policies: w.rules}
		w.broker = broker.New(broker.Deps{Store: w.db, Policies: u, Scribe: w.scribe, IDs: w.ids, Clock: w.clock, Log: slog.New(slog.DiscardHandler)})
		s, acc := w.shown(safe.Rotation{})
		other, lost := w.shown(safe.Rotation{})
		w.manyCheckouts(2, w.owner, acc, s.ID)
		w.manyCheckouts(1, w.owner, lost, other.ID)
		want := func(when string, c map[checkout.Cause]int) {
			t.Helper()
			if got := w.ended(w.owner.Org); fmt.Sprint(got) != fmt.Sprint(c) {
				t.Errorf("%s: %v, not %v", when, got, c)
			}
		}
		look := func() {
			t.Helper()
			if _, err := w.broker.Recall(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		u.err = errors.New("a policy that nobody understands")
		look()
		must[safe.Safe](t)(w.safes.Lock(t.Context(), w.owner, other.ID))
		w.clock.Advance(59 * time.Second)
		look()
		want("before a minute is over", map[checkout.Cause]int{"": 2, checkout.SafeLocked: 1})
		u.err = nil
		w.clock.Advance(2 * time.Second)
		look()
		u.err = errors.New("again")
		look()
		w.clock.Advance(59 * time.Second)
		look()
		want("before another is over", map[checkout.Cause]int{"": 2, checkout.SafeLocked: 1})
		w.clock.Advance(time.Second)
		look()
		want("after a minute", map[checkout.Cause]int{checkout.Unconfirmed: 2, checkout.SafeLocked: 1})
	})
}

// BenchmarkRecall looks at 10,000 checkouts that are out in 1,000 Safes with
// five policies each: the first time, and when no Safe has changed since.
func BenchmarkRecall(b *testing.B) {
	for _, size := range []struct{ checkouts, safes int }{{100, 10}, {10_000, 1_000}} {
		w := newWorld(b, must[*store.DB](b)(store.Open(b.Context(), store.Options{DataDir: b.TempDir()})))
		b.Cleanup(func() { _ = w.db.Close() })
		w.admin.StepUpAt = w.clock.Now()
		r := w.resource(w.admin, "web")
		acc := w.account(w.admin, "root", r.ID)
		safes := w.manySafes(size.safes, w.admin)
		w.sql(`INSERT INTO safe_bindings (org_id, safe_id, resource_id, account_id) SELECT org_id, safe_id, ?, ? FROM safes WHERE org_id = ?`, r.ID, acc.ID, w.admin.Org)
		w.sql(`UPDATE safes SET settings = REPLACE(settings, '"checkout":{"enabled":false', '"checkout":{"enabled":true') WHERE org_id = ?`, w.admin.Org)
		w.manyPolicies(max(5, size.safes/20), safes, []pam.UserID{w.other.User}, []pam.GroupID{"grp_nobody"})
		w.sql(`UPDATE policies SET status = 'disabled' WHERE action = 'require_approval'`)
		w.manyCheckouts(size.checkouts, w.admin, acc, safes...)
		for _, known := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d-checkouts-%d-safes-known-%v", size.checkouts, size.safes, known), func(b *testing.B) {
				for b.Loop() {
					if !known {
						b.StopTimer()
						w.broker = broker.New(broker.Deps{Store: w.db, Policies: w.rules, Scribe: w.scribe, IDs: w.ids, Clock: w.clock, Log: slog.New(slog.DiscardHandler)})
						b.StartTimer()
					}
					if _, err := w.broker.Recall(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				if all, _, err := w.db.CountCheckouts(b.Context(), w.clock.Now()); int(all) != size.checkouts || err != nil {
					b.Fatalf("%d are out, %v", all, err)
				}
			})
		}
	}
}
