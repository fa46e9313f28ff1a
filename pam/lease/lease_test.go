package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// world is a store and a target, and can lose either.
type world struct {
	mu     sync.Mutex
	rows   map[pam.LeaseID]Lease
	events []audit.Type
	users  map[string]bool
	down   error // the target's answer
	cut    bool  // the target does it, and nobody hears of that
	unsent bool  // the target does not hear of it
	clock  *clock.Manual
}

func (w *world) CreateLease(_ context.Context, _ pam.OrgID, l Lease, limit int, e audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	open := 0
	for _, other := range w.rows {
		if other.State.Open() {
			open++
		}
		if other.State.Open() && other.Username == l.Username {
			return &pam.Error{Kind: pam.Conflict}
		}
	}
	if open >= limit {
		return &pam.Error{Kind: pam.TooMany}
	}
	w.rows[l.ID] = l
	w.events = append(w.events, e.Type)
	return nil
}

func (w *world) LeaseByID(_ context.Context, _ pam.OrgID, id pam.LeaseID) (Lease, error) {
	return w.rows[id], nil
}
func (w *world) ListLeases(context.Context, pam.OrgID, Query) ([]Lease, error) { return nil, nil }

func (w *world) AdvanceLease(_ context.Context, _ pam.OrgID, l Lease, from State, events ...audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if old := w.rows[l.ID]; old.State != from || old.Fence != l.Fence || !from.May(l.State) {
		return &pam.Error{Kind: pam.Conflict}
	}
	l.Fence++
	w.rows[l.ID] = l
	for _, e := range events {
		w.events = append(w.events, e.Type)
	}
	return nil
}

func (w *world) DueLeases(_ context.Context, now time.Time, _ Fair) ([]Lease, error) {
	var out []Lease
	for _, l := range w.rows {
		if l.State.Open() && !l.NextAt.After(now) {
			out = append(out, l)
		}
	}
	return out, nil
}

func (w *world) CreateUser(_ context.Context, l Lease, _ secret.Value) (bool, error) {
	if w.rows[l.ID].State != Creating {
		panic("the target hears of a user before the lease is durable")
	}
	if w.unsent {
		return false, &pam.Error{Kind: pam.Unreachable}
	}
	w.users[l.Username] = true
	if w.cut {
		return true, errors.New("connection lost")
	}
	return true, w.down
}

func (w *world) DropUser(_ context.Context, l Lease) error {
	if w.down == nil {
		delete(w.users, l.Username)
	}
	return w.down
}

func (w *world) Users(context.Context, pam.Actor, Lease) (names []string, place string, err error) {
	for name := range w.users {
		names = append(names, name)
	}
	return names, "redis://192.0.2.1:6379", w.down
}

func (w *world) LeasedNames(context.Context, pam.OrgID) (names []string, err error) {
	for _, l := range w.rows {
		if l.State.Open() {
			names = append(names, l.Username)
		}
	}
	return names, nil
}

func (w *world) MakingAccounts(context.Context, pam.AccountID, int) ([]Making, error) {
	return []Making{{"org_1", "acc_1"}, {"org_1", "acc_2"}, {"org_1", "acc_none"}}, nil
}

func (w *world) LeasePlaces(_ context.Context, org pam.OrgID, id pam.AccountID) ([]Lease, error) {
	if org != "org_1" {
		return nil, &pam.Error{Kind: pam.NotFound}
	}
	l := Lease{Org: org, Account: id, Resource: "res_1", Admin: "acc_admin", Safe: "saf_1"}
	if id == "acc_none" {
		l.Admin = ""
	}
	return []Lease{l}, nil
}

func start() (*world, *Service) {
	c := clock.NewManual(time.Unix(1_700_000_000, 0).UTC())
	w := &world{rows: map[pam.LeaseID]Lease{}, users: map[string]bool{}, clock: c}
	source := ids.NewSource(c, rand.Reader)
	return w, New(Deps{Store: w, Door: w, Sealed: func() bool { return false }, Scribe: audit.NewScribe(c, source), Clock: c, IDs: source, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

func (w *world) begin(t *testing.T, s *Service) (Lease, error) {
	t.Helper()
	return s.Begin(t.Context(), pam.Actor{Org: "org_1"}, Lease{Org: "org_1", Account: "acc_1", ExpiresAt: w.clock.Now().Add(time.Hour)}, secret.FromString("x"))
}

func (w *world) turn(t *testing.T, s *Service) {
	t.Helper()
	if err := s.RevokeDue(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestUserOfWhomNobodyHeardIsDropped(t *testing.T) {
	w, s := start()
	w.cut = true
	if _, err := w.begin(t, s); err == nil || len(w.users) != 1 {
		t.Fatal(err)
	}
	w.turn(t, s)
	if len(w.users) != 0 {
		t.Error("the user of a connection that was lost is still there")
	}
	// The process dies between the two: the row says creating.
	l := Lease{ID: "lea_2", Org: "org_1", Username: "vp_2", State: Creating, NextAt: w.clock.Now().Add(creatingFor)}
	w.rows[l.ID], w.users[l.Username] = l, true
	w.turn(t, s)
	if len(w.users) != 1 {
		t.Error("a user is dropped while it is being made")
	}
	w.clock.Advance(creatingFor)
	w.turn(t, s)
	if len(w.users) != 0 || w.rows[l.ID].State != Revoked {
		t.Errorf("a dead process leaves a user behind: %+v", w.rows[l.ID])
	}
}

// A target that could not be reached has no user, and nobody has to look for it.
func TestUserOfWhomTheTargetDidNotHearIsNotLookedFor(t *testing.T) {
	w, s := start()
	w.unsent = true
	l, err := w.begin(t, s)
	if !pam.Is(err, pam.Unreachable) {
		t.Fatal(err)
	}
	if got := w.rows[l.ID]; got.State != Revoked || w.events[len(w.events)-1] != audit.LeaseRevoked {
		t.Errorf("%+v, %v", got, w.events)
	}
}

func TestTargetThatIsDownIsTriedUntilItIsBack(t *testing.T) {
	w, s := start()
	l, err := w.begin(t, s)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(59 * time.Minute)
	w.turn(t, s)
	if !w.users[l.Username] {
		t.Fatal("a user is dropped before its time")
	}
	w.down = &pam.Error{Kind: pam.Unreachable}
	for range stuckAfter + 3 {
		w.clock.Advance(longest + time.Minute)
		w.turn(t, s)
	}
	if got := w.rows[l.ID]; got.State != Stuck || got.Attempts != stuckAfter+3 || got.NextAt.Sub(w.clock.Now()) > longest {
		t.Errorf("after many attempts: %+v", got)
	}
	w.down = nil
	w.clock.Advance(longest)
	w.turn(t, s)
	if w.rows[l.ID].State != Revoked || len(w.users) != 0 {
		t.Errorf("after the target is back: %+v", w.rows[l.ID])
	}
	want := []audit.Type{audit.LeaseCreated, audit.LeaseRevocationFailed, audit.LeaseRevocationFailed, audit.LeaseRevoked}
	for i, e := range want {
		if len(w.events) != len(want) || w.events[i] != e {
			t.Fatalf("events: %v, want %v", w.events, want)
		}
	}
}
