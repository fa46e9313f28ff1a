package store_test

import (
	"sync"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/policy"
	"vaultpam/pam/request"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
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

// A command that was approved once runs once more after its connection was
// lost: with the same account, within the cool-down, no longer than before.
func TestLostCommandIsBegunAnewOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, org := t.Context(), w.admin.Org
		s, approvers := w.guarded()
		requests := w.requests()
		approved := func() pam.GrantID {
			r := must[request.Request](t)(requests.Create(ctx, w.operator, request.Ask{Safe: s.ID, Reason: "disk is full", Duration: time.Hour, Command: "df"}))
			for _, a := range approvers[:2] {
				r = must[request.Request](t)(requests.Decide(ctx, a, r.ID, true, 0, "", ""))
			}
			return r.Grant
		}
		begins := func(g pam.GrantID, account pam.AccountID) (session.Session, error) {
			x := newSession(org, "node_1")
			x.UserID, x.SafeID, x.AccountID, x.Grant, x.StartedAt, x.ExpiresAt = w.operator.User, s.ID, account, g, w.clock.Now(), w.clock.Now().Add(20*time.Minute)
			return x, w.db.BeginSession(ctx, org, x, false, nil, w.event(audit.SessionStarted, org))
		}
		ends := func(x session.Session, reason string) {
			t.Helper()
			if err := w.db.EndSession(ctx, org, x.ID, session.End{Status: session.Ended, Reason: reason, At: w.clock.Now()}, w.event(audit.SessionEnded, org)); err != nil {
				t.Fatal(err)
			}
		}
		held := func() []policy.Grant {
			t.Helper()
			return must[[]policy.Grant](t)(w.db.Grants(ctx, org, w.operator.User, s.ID, w.clock.Now()))
		}
		begun := func(g pam.GrantID) session.Session {
			t.Helper()
			x, err := begins(g, "acc_a")
			if err != nil {
				t.Fatal(err)
			}
			return x
		}

		g := approved()
		first := begun(g)
		if len(held()) != 0 {
			t.Error("it holds while it runs")
		}
		w.clock.Advance(time.Minute)
		ends(first, broker.ClientGone)
		if got := held(); len(got) != 1 || !got[0].Ends.Equal(first.ExpiresAt) {
			t.Errorf("lost: %+v, want it to end at %s", got, first.ExpiresAt)
		}
		if _, err := begins(g, "acc_b"); !pam.Is(err, pam.Conflict) {
			t.Errorf("with another account: %v", err)
		}
		second := begun(g)
		ends(second, broker.ClientGone)
		if _, err := begins(g, "acc_a"); !pam.Is(err, pam.Conflict) || len(held()) != 0 {
			t.Errorf("a third time: %v, %+v", err, held())
		}

		left := approved()
		ends(begun(left), "exit status 0")
		if _, err := begins(left, "acc_a"); !pam.Is(err, pam.Conflict) || len(held()) != 0 {
			t.Errorf("after an exit: %v", err)
		}

		late := approved()
		ends(begun(late), broker.ClientGone)
		w.clock.Advance(5*time.Minute + time.Second)
		if _, err := begins(late, "acc_a"); !pam.Is(err, pam.Conflict) || len(held()) != 0 {
			t.Errorf("after the cool-down: %v", err)
		}
	})
}
