package lease

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Deps is what a Service works with.
type Deps struct {
	Store  Store
	Door   Door
	Access Access
	Sealed func() bool
	Scribe *audit.Scribe
	Clock  clock.Clock
	IDs    *ids.Source
	Log    *slog.Logger
}

// Service makes and revokes leases. It is safe for concurrent use.
type Service struct {
	Deps
	looking sync.Mutex // held while it is asked which leases are due

	mu   sync.Mutex
	busy map[door]int // guarded by mu: revocations under way
}

// door is a resource; without it, all of an organization; without both, all.
type door struct {
	org pam.OrgID
	at  pam.ResourceID
}

// New makes a Service.
func New(d Deps) *Service { return &Service{Deps: d, busy: map[door]int{}} }

func party(l Lease) audit.Party {
	return audit.Party{Type: "account", ID: string(l.Account), Name: l.Name}
}

func about(l Lease, more map[string]any) map[string]any {
	m := map[string]any{
		"lease_id": string(l.ID), "username": l.Username, "resource_id": string(l.Resource), "place": l.Place, "admin_account_id": string(l.Admin),
		"safe_id": string(l.Safe), "checkout_id": string(l.Checkout), "expires_at": l.ExpiresAt.Format(time.RFC3339),
	}
	for k, v := range more {
		m[k] = v
	}
	return m
}

func system(org pam.OrgID) pam.Actor { return pam.Actor{Org: org, Token: pam.SystemToken} }

// Begin makes a user of the password. The lease is durable before the target
// hears of it. After an error the user is dropped, should it be there.
func (s *Service) Begin(ctx context.Context, a pam.Actor, l Lease, password secret.Value) (Lease, error) {
	const op = "make user"
	now := s.Clock.Now()
	l.ID = pam.LeaseID(s.IDs.New(pam.PrefixLease))
	l.Username = nameOf(l.Org, l.ID, l.ExpiresAt)
	l.State, l.CreatedAt, l.UpdatedAt, l.NextAt = Creating, now, now, now.Add(creatingFor)
	if err := s.Store.CreateLease(ctx, l.Org, l, maxOpen, s.Scribe.Entry(a, audit.LeaseCreated, party(l), about(l, nil))); err != nil {
		return l, pam.Wrap(op, err)
	}
	making, cancel := context.WithTimeout(ctx, creatingFor/3)
	defer cancel()
	sent, err := s.Door.CreateUser(making, l, password)
	next := l
	next.State, next.UpdatedAt, next.NextAt = Active, s.Clock.Now(), l.ExpiresAt
	var events []audit.Entry
	switch {
	case err != nil && !sent:
		next.State, next.Problem = Revoked, problem(err)
		events = append(events, s.Scribe.Entry(system(l.Org), audit.LeaseRevoked, party(l), about(l, map[string]any{"attempts": int64(0), "outcome": "the target did not hear of the user"})))
	case err != nil:
		next.State, next.NextAt, next.Problem = Revoking, s.Clock.Now(), problem(err)
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), workFor/3)
	defer stop()
	if stored := s.Store.AdvanceLease(ctx, l.Org, next, Creating, events...); stored != nil && err == nil {
		err = stored // the row says creating, so the user is dropped in time
	}
	return next, pam.Wrap(op, err)
}

// RevokeDue drops the users that are to be gone, and returns when it has tried.
// It may be called again before: what is under way is not taken twice.
func (s *Service) RevokeDue(ctx context.Context) error {
	if s.Sealed() {
		return nil // nobody can log in to drop them
	}
	var all sync.WaitGroup
	defer all.Wait()
	// Who finds the last turn still looking leaves it to that: where the database
	// is slow, turns must not pile up.
	if !s.looking.TryLock() {
		return nil
	}
	defer s.looking.Unlock()
	looking, cancel := context.WithTimeout(ctx, workFor)
	defer cancel()
	due, err := s.Store.DueLeases(looking, s.Clock.Now(), fair)
	if err != nil {
		return pam.Wrap("find leases to revoke", err)
	}
	for _, l := range due {
		if !s.enter(l) {
			continue
		}
		all.Go(func() {
			defer s.leave(l)
			s.revoke(ctx, l)
		})
	}
	return nil
}

func (s *Service) enter(l Lease) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[door{}] >= fair.All || s.busy[door{org: l.Org}] >= fair.Org || s.busy[door{l.Org, l.Resource}] >= fair.Resource {
		return false
	}
	s.count(l, 1)
	return true
}

func (s *Service) leave(l Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(l, -1)
}

func (s *Service) count(l Lease, by int) {
	for _, d := range []door{{}, {org: l.Org}, {l.Org, l.Resource}} {
		if s.busy[d] += by; s.busy[d] == 0 {
			delete(s.busy, d)
		}
	}
}

// revoke makes one attempt. It takes the lease first, so that no other node
// works on it at the same time.
func (s *Service) revoke(ctx context.Context, l Lease) {
	from, now := l.State, s.Clock.Now()
	if l.State != Stuck {
		l.State = Revoking
	}
	l.UpdatedAt, l.NextAt = now, now.Add(workFor)
	if err := s.Store.AdvanceLease(ctx, l.Org, l, from); err != nil {
		if !pam.Is(err, pam.Conflict) {
			s.Log.Error("lease was not taken", "lease", l.ID, "error", err)
		}
		return
	}
	l.Fence++
	dropping, cancel := context.WithTimeout(ctx, workFor/2)
	err := s.Door.DropUser(dropping, l)
	cancel()
	from, now = l.State, s.Clock.Now()
	l.Attempts++
	l.UpdatedAt = now
	var events []audit.Entry
	if err == nil {
		l.State, l.Problem, l.NextAt = Revoked, "", now
		events = append(events, s.Scribe.Entry(system(l.Org), audit.LeaseRevoked, party(l), about(l, map[string]any{"attempts": int64(l.Attempts)})))
	} else {
		l.Problem, l.NextAt = problem(err), now.Add(patience(l.Attempts))
		stuck := l.Attempts >= stuckAfter && l.State != Stuck
		if stuck {
			l.State = Stuck
		}
		if l.Attempts == 1 || stuck {
			events = append(events, s.Scribe.Entry(system(l.Org), audit.LeaseRevocationFailed, party(l), about(l, map[string]any{"attempts": int64(l.Attempts), "outcome": l.Problem, "stuck": stuck})))
		}
		s.Log.Warn("user of a lease was not dropped, trying again", "lease", l.ID, "attempts", l.Attempts, "error", err)
	}
	// What cannot be stored is found again when workFor is over.
	storing, cancel := context.WithTimeout(context.WithoutCancel(ctx), workFor/3)
	defer cancel()
	if err := s.Store.AdvanceLease(storing, l.Org, l, from, events...); err != nil {
		s.Log.Error("outcome of a revocation was not stored", "lease", l.ID, "error", err)
	}
}

// patience is how long is waited after n attempts.
func patience(n int) time.Duration {
	return min(time.Second<<min(n, 20), longest)
}

// problem is what people are told of an error.
func problem(err error) string {
	if errors.Is(err, ErrMoved) {
		return moved
	}
	return pam.KindOf(err).String()
}

// List returns up to q.Limit of the leases that the actor may see, newest first.
func (s *Service) List(ctx context.Context, a pam.Actor, q Query) ([]Lease, error) {
	q.User, q.Now, q.Limit = a.User, s.Clock.Now(), pam.PageSize(q.Limit)
	q.All = policy.Allowed(policy.LeaseSee, policy.Of(a, ""))
	out, err := s.Store.ListLeases(ctx, a.Org, q)
	return out, pam.Wrap("list leases", err)
}

// Revoke has the user dropped at the next turn, which is within seconds.
func (s *Service) Revoke(ctx context.Context, a pam.Actor, id pam.LeaseID) (Lease, error) {
	const op = "revoke lease"
	l, err := s.mayDo(ctx, op, a, policy.LeaseRevoke, id)
	switch {
	case err != nil:
		return Lease{}, err
	case l.State == Creating:
		return Lease{}, pam.Errorf(pam.Conflict, op, "The user is being made. Try again in a moment.")
	case !l.State.May(Revoking):
		return Lease{}, pam.Errorf(pam.Conflict, op, "This lease is revoked already.")
	}
	from, now := l.State, s.Clock.Now()
	l.State, l.UpdatedAt, l.NextAt = Revoking, now, now
	return s.advance(ctx, op, l, from, s.Scribe.Entry(a, audit.LeaseRevocationStarted, party(l), about(l, nil)))
}

// Forget closes a lease that is stuck, on the word of a person who has seen that
// the target or the user is gone.
func (s *Service) Forget(ctx context.Context, a pam.Actor, id pam.LeaseID, reason string) (Lease, error) {
	const op = "forget lease"
	l, err := s.mayDo(ctx, op, a, policy.LeaseForget, id)
	switch {
	case err != nil:
		return Lease{}, err
	case !a.Fresh(s.Clock.Now()):
		return Lease{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	case l.User == a.User && a.DualControl:
		return Lease{}, pam.Errorf(pam.Denied, op, "The organization has dual control: somebody else says that a user of yours is gone.")
	case l.State != Stuck:
		return Lease{}, pam.Errorf(pam.Conflict, op, "Only a lease that is stuck can be forgotten: it is still tried to drop the user.")
	}
	why := l.Problem
	l.State, l.Problem, l.UpdatedAt = Revoked, forgotten, s.Clock.Now()
	return s.advance(ctx, op, l, Stuck, s.Scribe.Entry(a, audit.LeaseForgotten, party(l), about(l, map[string]any{"reason": reason, "outcome": why, "own": l.User == a.User, "attempts": int64(l.Attempts)})))
}

// mayDo reads a lease with which the actor may do that.
func (s *Service) mayDo(ctx context.Context, op string, a pam.Actor, act policy.Action, id pam.LeaseID) (Lease, error) {
	l, err := s.Store.LeaseByID(ctx, a.Org, id)
	if err != nil {
		return Lease{}, pam.Wrap(op, err)
	}
	manages, err := s.Access.Manages(ctx, a, l.Safe)
	if err != nil {
		return Lease{}, pam.Wrap(op, err)
	}
	var role pam.SafeRole
	if manages {
		role = pam.SafeManager
	}
	facts := policy.Of(a, role).Owning(l.User == a.User)
	switch {
	case !policy.Allowed(policy.LeaseSee, facts):
		return Lease{}, &pam.Error{Kind: pam.NotFound, Op: op}
	case !policy.Allowed(act, facts):
		return Lease{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	return l, nil
}

func (s *Service) advance(ctx context.Context, op string, l Lease, from State, e audit.Entry) (Lease, error) {
	if err := s.Store.AdvanceLease(ctx, l.Org, l, from, e); err != nil {
		return Lease{}, pam.Wrap(op, err)
	}
	l.Fence++
	return l, nil
}
