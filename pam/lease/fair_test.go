package lease

import (
	"context"
	"slices"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// hanging is a door at which one organization's targets answer nothing.
type hanging struct {
	*world
	org     pam.OrgID
	entered chan pam.LeaseID
	release chan struct{}
}

func (h *hanging) DropUser(ctx context.Context, l Lease) error {
	if l.Org != h.org {
		return h.world.DropUser(ctx, l)
	}
	h.entered <- l.ID
	<-h.release
	return &pam.Error{Kind: pam.Unreachable}
}

func TestTargetsThatHangHoldUpNobodyElse(t *testing.T) {
	w, s := start()
	h := &hanging{world: w, org: "org_bad", entered: make(chan pam.LeaseID, 100), release: make(chan struct{})}
	s.Door = h
	now := w.clock.Now()
	add := func(org pam.OrgID, at pam.ResourceID, n int) {
		for range n {
			l := Lease{ID: pam.LeaseID(s.IDs.New(pam.PrefixLease)), Org: org, Resource: at, State: Revoking, NextAt: now}
			l.Username = string(l.ID)
			w.rows[l.ID], w.users[l.Username] = l, true
		}
	}
	add("org_bad", "res_1", 10)
	add("org_bad", "res_2", 10)
	first := make(chan error, 1)
	go func() { first <- s.RevokeDue(t.Context()) }()
	for range fair.Org {
		<-h.entered
	}
	// Another organization's lease comes while these hang, and so does its turn.
	w.mu.Lock()
	add("org_good", "res_3", 1)
	w.mu.Unlock()
	w.turn(t, s)
	w.mu.Lock()
	left := 0
	for _, l := range w.rows {
		if l.Org == "org_good" && l.State != Revoked {
			left++
		}
	}
	w.mu.Unlock()
	if left != 0 {
		t.Error("a lease waits for another organization's targets")
	}
	if n := len(h.entered); n != 0 {
		t.Errorf("%d more attempts at targets that hang", n)
	}
	select {
	case err := <-first:
		t.Errorf("the first turn is over already: %v", err)
	default:
	}
	close(h.release)
	if err := <-first; err != nil || len(s.busy) != 0 {
		t.Errorf("%v; under way afterwards: %v", err, s.busy)
	}
}

func TestWhatCannotBeSeenIsClosedByAPersonAlone(t *testing.T) {
	w, s := start()
	s.Access = manages{}
	l, err := w.begin(t, s)
	if err != nil {
		t.Fatal(err)
	}
	w.down = pam.Wrap("drop user at target", ErrMoved)
	fresh := admin("org_1")
	fresh.StepUpAt, fresh.Token = w.clock.Now(), pam.LoginToken
	forget := func(a pam.Actor, want pam.Kind) {
		t.Helper()
		if !a.StepUpAt.IsZero() {
			a.StepUpAt = w.clock.Now()
		}
		if _, err := s.Forget(t.Context(), a, l.ID, "seen at the console"); !pam.Is(err, want) {
			t.Errorf("%+v: %v, want %s", a, err, want)
		}
	}
	forget(fresh, pam.Conflict) // it is in use
	w.clock.Advance(time.Hour)
	for range stuckAfter {
		w.turn(t, s)
		w.clock.Advance(longest)
	}
	if got := w.rows[l.ID]; got.State != Stuck || got.Problem != "moved" || !w.users[l.Username] {
		t.Fatalf("a user whose resource leads elsewhere: %+v", got)
	}
	stale, viewer, holder := admin("org_1"), fresh, fresh
	viewer.Role, viewer.User = pam.Auditor, "usr_2"
	holder.Role = pam.Operator
	w.mu.Lock()
	row := w.rows[l.ID]
	row.User = holder.User
	w.rows[l.ID] = row
	w.mu.Unlock()
	forget(stale, pam.StepUpNeeded)
	forget(viewer, pam.Denied)
	forget(holder, pam.Denied) // who has the user might like to keep it
	fresh.StepUpAt = w.clock.Now()
	got, err := s.Forget(t.Context(), fresh, l.ID, "seen at the console")
	if err != nil || got.State != Revoked || got.Problem != "forgotten" || w.events[len(w.events)-1] != audit.LeaseForgotten {
		t.Errorf("%+v, %v, %v", got, err, w.events)
	}
	forget(fresh, pam.Conflict)
}

type manages struct{}

func (manages) Manages(context.Context, pam.Actor, pam.SafeID) (bool, error) { return false, nil }

// broken is a store in which the places of one account cannot be read.
type broken struct{ *world }

func (b broken) MakingAccounts(context.Context, pam.AccountID, int) ([]Making, error) {
	return []Making{{"org_1", "acc_broken"}, {"org_1", "acc_1"}}, nil
}

func (b broken) LeasePlaces(ctx context.Context, org pam.OrgID, id pam.AccountID) ([]Lease, error) {
	if id == "acc_broken" {
		return nil, &pam.Error{Kind: pam.Internal}
	}
	return b.world.LeasePlaces(ctx, org, id)
}

func TestSweepGoesOnAfterAnAccountThatCannotBeRead(t *testing.T) {
	w, s := start()
	s.Store = broken{w}
	over := nameOf("org_1", "lea_00000000000000000000000001", w.clock.Now().Add(-time.Second))
	w.users[over] = true
	if err := s.SweepAll(t.Context()); err != nil || len(w.rows) != 1 {
		t.Errorf("%v; found: %v", err, w.rows)
	}
}

func TestNameOfLettersThatNoIDHasIsNotOurs(t *testing.T) {
	name := nameOf("org_1", "lea_01ARZ3NDEKTSV4RRFFQ69G5FAV", time.Unix(1_800_000_000, 0))
	body := []byte(name[:nameLen-markLen])
	for _, c := range []byte("ilou'\"A-") {
		odd := slices.Clone(body)
		odd[len(UserPrefix)+dueLen] = c
		if _, ours := readName("org_1", string(odd)+mark("org_1", string(odd))); ours {
			t.Errorf("a name with %q in it is taken for ours", c)
		}
	}
}
