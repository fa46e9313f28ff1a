package store_test

import (
	"sync"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/request"
	"vaultpam/pam/safe"
)

func (w *world) requests() *request.Service {
	return request.New(request.Deps{Store: w.db, Access: w.db.RequestAccess(w.rules.Rules), Scribe: w.scribe, Clock: w.clock, IDs: w.ids})
}

// guarded is a Safe that wants two people, of whom three may be.
func (w *world) guarded() (safe.Safe, []pam.Actor) {
	w.t.Helper()
	s := w.safe(w.admin, "Guarded")
	in := s.Settings
	in.Approval = safe.ApprovalDual
	s = must[safe.Safe](w.t)(w.safes.Update(w.t.Context(), w.admin, s.ID, 0, in))
	w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
	var out []pam.Actor
	for range 3 {
		a := w.person(w.admin.Org, pam.Operator)
		w.member(w.admin, s.ID, a, pam.SafeApprover)
		out = append(out, a)
	}
	return s, out
}

// However many decide at the same moment, two of them make one grant, and the
// others are told that it is over.
func TestApproversAtTheSameMomentMakeOneGrant(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, approvers := w.guarded()
		requests := w.requests()
		for range 5 {
			r := must[request.Request](t)(requests.Create(t.Context(), w.operator, request.Ask{Safe: s.ID, Reason: "disk is full", Duration: time.Hour}))
			var wg sync.WaitGroup
			var mu sync.Mutex
			done := 0
			for _, a := range approvers {
				wg.Go(func() {
					_, err := requests.Decide(t.Context(), a, r.ID, true, 0, "", "")
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						done++
					case !pam.Is(err, pam.Conflict):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			now := must[request.Request](t)(requests.ByID(t.Context(), w.operator, r.ID))
			if done != 2 || now.Status != request.Approved || len(now.Decisions) != 2 {
				t.Errorf("%d have decided, and it is %+v", done, now)
			}
			held := must[[]policy.Grant](t)(w.db.Grants(t.Context(), w.admin.Org, w.operator.User, s.ID, w.clock.Now()))
			if len(held) != 1 || held[0].ID != now.Grant || held[0].Approvers != 2 {
				t.Errorf("the grants are %+v", held)
			}
			if err := requests.Revoke(t.Context(), approvers[0], now.Grant); err != nil {
				t.Error(err)
			}
		}
	})
}

// A time that is over holds before anybody notes it, and is noted once.
func TestTimesOfRequestsAndGrantsAreOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, approvers := w.guarded()
		requests := w.requests()
		ask := request.Ask{Safe: s.ID, Reason: "disk is full", Duration: time.Hour}
		r := must[request.Request](t)(requests.Create(t.Context(), w.operator, ask))
		for _, a := range approvers[:2] {
			r = must[request.Request](t)(requests.Decide(t.Context(), a, r.ID, true, 10*time.Minute, "", ""))
		}
		late := must[request.Request](t)(requests.Create(t.Context(), w.operator, ask))
		w.clock.Advance(10 * time.Minute)
		if held := must[[]policy.Grant](t)(w.db.Grants(t.Context(), w.admin.Org, w.operator.User, s.ID, w.clock.Now())); len(held) != 0 {
			t.Errorf("a grant whose time is over is %+v", held)
		}
		if g := must[request.Grant](t)(requests.Grant(t.Context(), w.operator, r.Grant)); g.Status != request.Ended {
			t.Errorf("%+v", g)
		}
		w.clock.Advance(24 * time.Hour)
		if _, err := requests.Decide(t.Context(), approvers[0], late.ID, true, 0, "", ""); !pam.Is(err, pam.Conflict) {
			t.Errorf("decided too late: %v", err)
		}
		for range 2 {
			if err := requests.EndDue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := must[request.Request](t)(requests.ByID(t.Context(), w.operator, late.ID)); got.Status != request.Expired {
			t.Errorf("%+v", got)
		}
		// Whoever has left the organization gets nothing any more.
		again := must[request.Request](t)(requests.Create(t.Context(), w.operator, ask))
		_ = must[request.Request](t)(requests.Decide(t.Context(), approvers[0], again.ID, true, 0, "", ""))
		w.suspend(w.operator)
		if _, err := requests.Decide(t.Context(), approvers[1], again.ID, true, 0, "", ""); !pam.Is(err, pam.Conflict) {
			t.Errorf("granted to somebody who is suspended: %v", err)
		}
	})
}
