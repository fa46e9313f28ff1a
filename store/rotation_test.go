package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/rotation"
	"vaultpam/pam/safe"
	"vaultpam/store"
)

// errDead is what a process that was killed meets: nothing it does has an
// effect any more.
var errDead = errors.New("killed")

// simulated is a target in memory, as the Door of rotations, that loses
// connections and answers by chance, and a process that dies at one of its
// steps.
type simulated struct {
	rotation.Store
	clock *clock.Manual
	db    *store.DB
	keys  bool // old and new log in side by side until the old one is taken away

	mu       sync.Mutex
	rnd      *rand.Rand
	valid    map[pam.AccountID]map[int64]bool // versions that log in
	faults   float64
	down     bool
	refuses  bool // takes no new password
	dieIn    int  // steps; below 0: never
	dead     bool
	kind     string
	tries    int
	parallel int
	most     int
	pause    time.Duration
}

// step counts towards the end of the process. Before and after what has an
// effect it may die.
func (s *simulated) step() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dieIn == 0 {
		s.dead = true
	}
	s.dieIn--
	if s.dead {
		return errDead
	}
	return nil
}

func (s *simulated) around(do func() error) error {
	if err := s.step(); err != nil {
		return err
	}
	err := do()
	if dead := s.step(); dead != nil {
		return dead // it happened, and nobody heard
	}
	return err
}

func (s *simulated) chance() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down || s.rnd.Float64() < s.faults
}

func lostConnection() error { return pam.Errorf(pam.Unreachable, "", "Host unreachable") }

func (s *simulated) logsIn(id pam.AccountID, version int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.valid[id][version]
}

func (s *simulated) Facts(ctx context.Context, org pam.OrgID, id pam.AccountID, _ rotation.Settings) (rotation.Facts, error) {
	acc, err := s.db.AccountByID(ctx, org, id)
	if err != nil {
		return rotation.Facts{}, err
	}
	working, err := s.db.WorkingVersion(ctx, org, id)
	if err != nil {
		return rotation.Facts{}, err
	}
	versions, err := s.db.CredentialVersions(ctx, org, id)
	if err != nil {
		return rotation.Facts{}, err
	}
	return rotation.Facts{Name: acc.Name, Resource: "res_x", Kind: s.kind, Promoted: acc.Credential.Version, Working: working, Newest: versions[0].Version}, nil
}

func (s *simulated) Manages(context.Context, pam.Actor, pam.AccountID) error { return nil }
func (s *simulated) Admits(context.Context, pam.Actor, pam.AccountID, rotation.Settings) error {
	return nil
}

func (s *simulated) Generate(_ context.Context, _ rotation.Subject, kind string, n int64) (rotation.Candidate, error) {
	return rotation.Candidate{Version: n, Kind: kind, Sealed: fmt.Appendf(nil, "sealed %d", n)}, s.step()
}

func (s *simulated) Try(_ context.Context, sub rotation.Subject, version int64) error {
	return s.around(func() error {
		s.mu.Lock()
		s.tries++
		s.parallel++
		s.most = max(s.most, s.parallel)
		s.mu.Unlock()
		defer func() { s.mu.Lock(); s.parallel--; s.mu.Unlock() }()
		time.Sleep(s.pause)
		if s.chance() {
			return lostConnection()
		}
		if !s.logsIn(sub.Account, version) {
			return pam.Errorf(pam.TargetAuthFailed, "", "Authentication failed")
		}
		return nil
	})
}

func (s *simulated) Apply(_ context.Context, sub rotation.Subject, c rotation.Change) (touched bool, err error) {
	err = s.around(func() error {
		if s.chance() {
			return lostConnection()
		}
		if c.By == "" && !s.logsIn(sub.Account, c.Old) {
			return pam.Errorf(pam.TargetAuthFailed, "", "Authentication failed")
		}
		touched = true
		if s.refuses {
			return pam.Errorf(pam.TargetRefused, "", "The target refused the new password.")
		}
		if s.chance() {
			return lostConnection() // before it was done
		}
		s.mu.Lock()
		if !s.keys {
			clear(s.valid[sub.Account])
		}
		s.valid[sub.Account][c.Next] = true
		s.mu.Unlock()
		if s.chance() {
			return lostConnection() // after it was done
		}
		return nil
	})
	return touched || errors.Is(err, errDead), err
}

func (s *simulated) Retire(_ context.Context, sub rotation.Subject, c rotation.Change) error {
	return s.around(func() error {
		if s.chance() {
			return lostConnection()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.valid[sub.Account], c.Old)
		return nil
	})
}

func (s *simulated) Spread(context.Context, rotation.Subject, rotation.Dependent, int64) error {
	return s.around(func() error {
		if s.chance() {
			return lostConnection()
		}
		return nil
	})
}

func (s *simulated) Advance(ctx context.Context, org pam.OrgID, step rotation.Step, events ...audit.Entry) error {
	return s.around(func() error { return s.Store.Advance(ctx, org, step, events...) })
}

func (s *simulated) ClaimRotations(ctx context.Context, node string, now, silent, lease time.Time, limit int) ([]rotation.Rotation, error) {
	if err := s.step(); err != nil {
		return nil, err
	}
	return s.Store.ClaimRotations(ctx, node, now, silent, lease, limit)
}

// process is a new process over the same store and target.
func (s *simulated) process(w *world, atOnce int) *rotation.Service {
	s.dead = false
	return rotation.New(rotation.Deps{
		Store: s, Door: s, Sealed: func() bool { return false }, Scribe: w.scribe, Clock: s.clock, IDs: w.ids, Log: slog.New(slog.DiscardHandler), Node: w.ids.New("node_"), AtOnce: atOnce,
	})
}

func newSimulated(w *world, seed uint64) *simulated {
	return &simulated{
		Store: w.db, db: w.db, clock: clock.NewManual(w.clock.Now()), rnd: rand.New(rand.NewPCG(seed, 1)), valid: map[pam.AccountID]map[int64]bool{}, dieIn: -1, kind: string(account.Password),
	}
}

// holds checks, at any moment, that what is given out logs in, and that
// something is given out or a rotation says why not.
func (s *simulated) holds(t *testing.T, w *world, acc account.Account) {
	t.Helper()
	got, err := w.db.SealedCredential(t.Context(), acc.Org, acc.ID)
	switch {
	case err == nil && !s.logsIn(acc.ID, got.Version):
		t.Fatalf("version %d is given out and does not log in; those that do: %v", got.Version, s.valid[acc.ID])
	case err != nil && !pam.Is(err, pam.Unavailable):
		t.Fatal(err)
	}
}

// Whatever is lost and whenever the process dies: what is given out logs in,
// and in the end exactly one version does, which is the promoted one.
func TestOneKnownVersionLogsInHoweverRotationsAreInterrupted(t *testing.T) {
	rounds := 24
	if testing.Short() {
		rounds = 10
	}
	inWorld(t, func(t *testing.T, w *world) {
		for seed := range uint64(rounds) {
			s := newSimulated(w, seed)
			s.keys, s.faults = seed%3 == 0, 0.25
			acc := w.account(w.admin, fmt.Sprintf("svc-%d", seed), "")
			s.valid[acc.ID] = map[int64]bool{1: true}
			rotations := 0
			for range 3 {
				s.dieIn = s.rnd.IntN(20)
				p := s.process(w, 4)
				if _, err := p.Start(t.Context(), w.admin, acc.ID); err == nil {
					rotations++
				} else if !pam.Is(err, pam.Conflict) && !errors.Is(err, errDead) {
					t.Fatal(err)
				}
				for range 6 {
					_ = p.RunOnce(t.Context()) // it may have been killed
					s.holds(t, w, acc)
					s.clock.Advance(20 * time.Second)
					if s.dead {
						s.dieIn = s.rnd.IntN(30)
						p = s.process(w, 4)
						s.clock.Advance(10 * time.Minute) // past the lease
					}
				}
			}
			s.settle(t, w, acc)
		}
	})
}

// settle ends all faults, lets the machine come to its end, and checks that one
// version logs in, and that it is the known one.
func (s *simulated) settle(t *testing.T, w *world, acc account.Account) {
	t.Helper()
	s.faults, s.dieIn, s.refuses, s.down = 0, -1, false, false
	p := s.process(w, 4)
	for i := range 100 {
		s.clock.Advance(11 * time.Minute)
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.holds(t, w, acc)
		open := must[[]rotation.Rotation](t)(p.List(t.Context(), w.admin, rotation.Query{Account: acc.ID, Open: true}))
		if len(open) == 0 {
			break
		}
		if open[0].State == rotation.Stuck {
			must[rotation.Rotation](t)(p.Retry(t.Context(), w.admin, open[0].ID))
		}
		if i == 99 {
			t.Fatalf("never over: %+v", open)
		}
	}
	got := must[account.Account](t)(w.db.AccountByID(t.Context(), acc.Org, acc.ID))
	if n := got.Credential.Version; len(s.valid[acc.ID]) != 1 || !s.valid[acc.ID][n] || got.Credential.RotationState != account.Stable {
		t.Fatalf("promoted is %d (%s); those that log in: %v", n, got.Credential.RotationState, s.valid[acc.ID])
	}
	for _, v := range must[[]account.Version](t)(w.db.CredentialVersions(t.Context(), acc.Org, acc.ID)) {
		if v.State == account.Candidate {
			t.Fatalf("version %d was left a candidate", v.Version)
		}
	}
}

func TestTargetThatTakesNoNewPasswordLeavesTheOldOneAndSaysWhy(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := newSimulated(w, 1)
		s.refuses = true
		acc := w.account(w.admin, "svc", "")
		s.valid[acc.ID] = map[int64]bool{1: true}
		p := s.process(w, 4)
		r := must[rotation.Rotation](t)(p.Start(t.Context(), w.admin, acc.ID))
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		r = must[rotation.Rotation](t)(p.ByID(t.Context(), w.admin, r.ID))
		if r.State != rotation.Failed || r.Problem != "The target refused the new password." {
			t.Fatalf("%s: %s", r.State, r.Problem)
		}
		s.holds(t, w, acc)
		if v := must[account.SealedCredential](t)(w.db.SealedCredential(t.Context(), acc.Org, acc.ID)); v.Version != 1 {
			t.Fatalf("version %d is given out", v.Version)
		}
	})
}

func TestUnreachableTargetEndsInAStateThatAPersonCanActOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := newSimulated(w, 1)
		s.down = true
		acc := w.account(w.admin, "svc", "")
		s.valid[acc.ID] = map[int64]bool{1: true}
		p := s.process(w, 4)
		r := must[rotation.Rotation](t)(p.Start(t.Context(), w.admin, acc.ID))
		for range 20 {
			if err := p.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.holds(t, w, acc)
			s.clock.Advance(11 * time.Minute)
		}
		r = must[rotation.Rotation](t)(p.ByID(t.Context(), w.admin, r.ID))
		if r.State != rotation.Failed || r.Problem != "Host unreachable" {
			t.Fatalf("%s: %s", r.State, r.Problem)
		}
		s.settle(t, w, acc)
	})
}

// The target was changed behind our back: neither version logs in.
func TestLostAccountWaitsForAPersonOrTheReconcileAccount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := newSimulated(w, 1)
		acc := w.account(w.admin, "svc", "")
		s.valid[acc.ID] = map[int64]bool{}
		p := s.process(w, 4)
		r := must[rotation.Rotation](t)(p.Start(t.Context(), w.admin, acc.ID))
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r = must[rotation.Rotation](t)(p.ByID(t.Context(), w.admin, r.ID)); r.State != rotation.Stuck {
			t.Fatalf("%s: %s", r.State, r.Problem)
		}
		_, err := w.db.SealedCredential(t.Context(), acc.Org, acc.ID)
		refused(t, err, pam.Unavailable)
		helper := w.account(w.admin, "root", "")
		must[rotation.Settings](t)(p.Set(t.Context(), w.admin, acc.ID, rotation.Settings{Reconcile: helper.ID}))
		must[rotation.Rotation](t)(p.Retry(t.Context(), w.admin, r.ID))
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r = must[rotation.Rotation](t)(p.ByID(t.Context(), w.admin, r.ID)); r.State != rotation.Done || !r.Repaired {
			t.Fatalf("%s: %s", r.State, r.Problem)
		}
		s.holds(t, w, acc)
	})
}

// Storing the right secret by hand ends a rotation that waits for somebody, and
// is refused while the target may be hearing of another one.
func TestSecretStoredByHandEndsOnlyARotationThatWaits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := newSimulated(w, 1)
		acc := w.account(w.admin, "svc", "")
		s.valid[acc.ID] = map[int64]bool{1: true}
		p := s.process(w, 4)
		r := must[rotation.Rotation](t)(p.Start(t.Context(), w.admin, acc.ID))
		_, err := p.Start(t.Context(), w.admin, acc.ID)
		refused(t, err, pam.Conflict)
		s.dieIn = 9 // in the midst
		_ = p.RunOnce(t.Context())
		r = must[rotation.Rotation](t)(w.db.RotationByID(t.Context(), acc.Org, r.ID))
		if r.State != rotation.Applying && r.State != rotation.Applied {
			t.Fatalf("died in %s: the test wants it while the target may be hearing", r.State)
		}
		_, err = w.accounts.SetCredential(t.Context(), w.admin, acc.ID, password("by hand"))
		refused(t, err, pam.Conflict)
		refused(t, w.accounts.Delete(t.Context(), w.admin, acc.ID, 0), pam.Conflict)

		s.dieIn, s.valid[acc.ID] = -1, map[int64]bool{}
		p = s.process(w, 4)
		s.clock.Advance(10 * time.Minute)
		if err := p.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r = must[rotation.Rotation](t)(w.db.RotationByID(t.Context(), acc.Org, r.ID)); r.State != rotation.Stuck {
			t.Fatal(r.State)
		}
		got := must[account.Account](t)(w.accounts.SetCredential(t.Context(), w.admin, acc.ID, password("by hand")))
		s.valid[acc.ID] = map[int64]bool{got.Credential.Version: true}
		s.holds(t, w, acc)
		if r = must[rotation.Rotation](t)(w.db.RotationByID(t.Context(), acc.Org, r.ID)); r.State != rotation.Cancelled {
			t.Fatal(r.State)
		}
	})
}

// Who lost a rotation to another node writes nothing any more.
func TestNodeThatWasTakenForDeadCannotWrite(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := newSimulated(w, 1)
		acc := w.account(w.admin, "svc", "")
		s.valid[acc.ID] = map[int64]bool{1: true}
		must[rotation.Rotation](t)(s.process(w, 1).Start(t.Context(), w.admin, acc.ID))
		now := s.clock.Now()
		if err := w.db.NodeAlive(t.Context(), "a", now); err != nil {
			t.Fatal(err)
		}
		claim := func(node string, at time.Time) []rotation.Rotation {
			return must[[]rotation.Rotation](t)(w.db.ClaimRotations(t.Context(), node, at, at.Add(-40*time.Second), at.Add(5*time.Minute), 5))
		}
		first := claim("a", now)
		if len(first) != 1 {
			t.Fatal(len(first))
		}
		if len(claim("b", now.Add(30*time.Second))) != 0 || len(claim("a", now.Add(30*time.Second))) != 0 {
			t.Fatal("claimed twice")
		}
		if len(claim("b", now.Add(41*time.Second))) != 1 {
			t.Fatal("not taken over from a dead node")
		}
		r := first[0]
		r.State = rotation.Failed
		refused(t, w.db.Advance(t.Context(), acc.Org, rotation.Step{From: rotation.Queued, Next: r}), pam.Conflict)
	})
}

// However many are due in the same minute: each is rotated once, at most so
// many at a time, and none is missed. VAULTPAM_ROTATIONS says how many.
func TestAccountsDueAtOnceAreAllRotatedOnceAndSoManyAtATime(t *testing.T) {
	many, atOnce := 200, 16
	if text := os.Getenv("VAULTPAM_ROTATIONS"); text != "" {
		many = must[int](t)(strconv.Atoi(text))
	}
	inWorld(t, func(t *testing.T, w *world) {
		s := newSimulated(w, 1)
		s.pause = time.Millisecond
		r := w.resource(w.admin, "hosts")
		const fit = 50 // bindings of a Safe
		var group errgroup.Group
		group.SetLimit(8)
		var mu sync.Mutex
		for first := 0; first < many; first += fit {
			group.Go(func() error {
				var pairs []safe.Binding
				for i := first; i < min(first+fit, many); i++ {
					acc := w.account(w.admin, fmt.Sprintf("svc-%d", i), "")
					mu.Lock()
					s.valid[acc.ID] = map[int64]bool{1: true}
					mu.Unlock()
					pairs = append(pairs, pair(r, acc))
				}
				_, err := w.safes.Create(t.Context(), w.admin, safe.Settings{Name: fmt.Sprintf("Safe %d", first), Bindings: pairs, Rotation: safe.Rotation{IntervalDays: 1}})
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(25 * time.Hour)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		over := make(chan error, 1)
		began := time.Now()
		go func() { over <- s.process(w, atOnce).Run(ctx) }()
		done := func() int {
			return int(must[int64](t)(w.db.Count(t.Context(), `SELECT COUNT(*) FROM rotations WHERE state = 'done'`)))
		}
		for done() < many {
			if time.Since(began) > 10*time.Minute {
				t.Fatalf("%d of %d", done(), many)
			}
			time.Sleep(100 * time.Millisecond)
			s.clock.Advance(200 * time.Millisecond)
		}
		took := time.Since(began)
		stop()
		if err := <-over; err != nil {
			t.Fatal(err)
		}
		if n := must[int64](t)(w.db.Count(t.Context(), `SELECT COUNT(*) FROM rotations`)); int(n) != many {
			t.Errorf("%d rotations of %d accounts", n, many)
		}
		if n := must[int64](t)(w.db.Count(t.Context(), `SELECT COUNT(*) FROM accounts WHERE promoted <> 2 OR working <> 2`)); n != 0 {
			t.Errorf("%d accounts were missed", n)
		}
		if s.most > atOnce {
			t.Errorf("%d at a time, %d are allowed", s.most, atOnce)
		}
		t.Logf("%d accounts in %s: %.0f per second, at most %d at a time", many, took.Round(time.Millisecond), float64(many)/took.Seconds(), s.most)
	})
}
