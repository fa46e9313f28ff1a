package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/review"
)

// nobodyAsks stands in for the policies, which do not matter here.
type nobodyAsks struct{}

func (nobodyAsks) Verdict(context.Context, pam.OrgID, pam.UserID, pam.SafeID, time.Time) (review.Verdict, error) {
	return review.Verdict{}, nil
}

func (w *world) reviews() *review.Service {
	return review.New(review.Deps{Store: w.db, Decider: nobodyAsks{}, Scribe: w.scribe, Clock: w.clock, IDs: w.ids})
}

// However the pages are cut, each person is listed once for each Safe, with all
// ways there and none that has ended.
func TestWhoReachesWhatIsListedOnceWithAllWays(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.reviews()
		want := map[string]int{}
		for n := range 5 {
			safe := w.safe(w.admin, fmt.Sprintf("Safe %d", 9-n))
			want[safe.Name+" "+string(w.admin.User)] = 1
			for range 3 {
				who := w.person(w.admin.Org, pam.Operator)
				w.member(w.admin, safe.ID, who, pam.SafeViewer)
				w.gives(w.admin, safe.ID, w.team(fmt.Sprintf("%s %s", safe.Name, who.User), who).ID, pam.SafeOperator)
				want[safe.Name+" "+string(who.User)] = 2
			}
		}
		for _, size := range []int{1, 2, 7, 100} {
			got := map[string]int{}
			last := ""
			for after := ""; ; {
				rows, more, err := s.Reachable(t.Context(), w.admin, review.ReachFilter{}, after, size)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					key := r.SafeName + " " + string(r.User)
					if _, twice := got[key]; twice {
						t.Errorf("pages of %d: %s is there twice", size, key)
					}
					if got[key] = len(r.Ways); r.SafeName < last {
						t.Errorf("pages of %d: %s comes after %s", size, r.SafeName, last)
					}
					last = r.SafeName
				}
				if !more {
					break
				}
				after = rows[len(rows)-1].Cursor()
			}
			for key, ways := range want {
				if got[key] != ways {
					t.Errorf("pages of %d: %s has %d ways, want %d", size, key, got[key], ways)
				}
			}
		}
	})
}

// Two people decide about the same role at the same time: one of them does.
func TestADecisionOfAReviewIsMadeOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.reviews()
		safe := w.safe(w.admin, "Shared")
		other := w.person(w.admin.Org, pam.Operator)
		w.member(w.admin, safe.ID, other, pam.SafeManager)
		w.member(w.admin, safe.ID, w.operator, pam.SafeOperator)
		r := must[review.Review](t)(s.Begin(t.Context(), w.admin, review.Settings{Name: "R", Safes: []pam.SafeID{safe.ID}, DueAt: w.clock.Now().Add(time.Hour), OnExpiry: review.Keep}))
		if r.Counts.Total != 3 || r.Counts.Pending != 3 {
			t.Fatalf("%+v", r.Counts)
		}
		var item pam.ReviewItemID
		for _, i := range must[[]review.Item](t)(s.Items(t.Context(), w.admin, r.ID, review.ItemQuery{})) {
			if i.User == w.operator.User {
				item = i.ID
			}
		}
		errs := make(chan error, 2)
		for _, who := range []pam.Actor{w.admin, other} {
			go func() {
				_, err := s.Decide(t.Context(), who, r.ID, []pam.ReviewItemID{item}, review.Revoke, "")
				errs <- err
			}()
		}
		done := 0
		for range 2 {
			switch err := <-errs; {
			case err == nil:
				done++
			case !pam.Is(err, pam.Conflict):
				t.Error(err)
			}
		}
		if done != 1 {
			t.Errorf("%d of two decided", done)
		}
		if role := w.roleOf(w.operator, safe.ID); role != "" {
			t.Errorf("the role is still %q", role)
		}
		// What had ended before is only noted.
		for _, m := range must[[]review.Item](t)(s.Items(t.Context(), w.admin, r.ID, review.ItemQuery{Verb: review.Pending})) {
			if m.User == other.User {
				if err := w.safes.RemoveMember(t.Context(), w.admin, safe.ID, m.Member); err != nil {
					t.Fatal(err)
				}
				out := must[[]review.Item](t)(s.Decide(t.Context(), w.admin, r.ID, []pam.ReviewItemID{m.ID}, review.Revoke, ""))
				if out[0].Outcome != review.Gone {
					t.Errorf("%+v", out[0])
				}
			}
		}
		w.clock.Advance(2 * time.Hour)
		if err := s.CloseDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := must[review.Review](t)(s.ByID(t.Context(), w.admin, r.ID)); got.Status != review.Closed || got.Counts.Lapsed != 1 || got.ClosedBy != "" {
			t.Errorf("%+v", got)
		}
	})
}
