package rotation

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Deps is what a Service works with.
type Deps struct {
	Store  Store
	Door   Door
	Sealed func() bool
	Scribe *audit.Scribe
	Clock  clock.Clock
	IDs    *ids.Source
	Log    *slog.Logger
	// Node is this process, as it says that it lives: broker.Node. Another one
	// is dead after Silent without a word.
	Node   string
	Silent time.Duration
	// AtOnce is how many rotations and checks this node works on at a time.
	AtOnce int
	// Observe counts what rotations and checks came to; nil counts nothing.
	Observe func(what, outcome string)
	// Write writes to those who manage the account; nil writes to nobody. No
	// rotation waits for it.
	Write func(ctx context.Context, r Rotation) []pam.Outgoing
}

// Service rotates credentials. It is safe for concurrent use.
type Service struct {
	Deps
	wake chan struct{} // one slot: there is something to do now

	mu   sync.Mutex // guards busy
	busy int        // rotations and checks under way
}

// New makes a Service. It does no I/O; Run must be running for anything to
// happen.
func New(d Deps) *Service {
	if d.Observe == nil {
		d.Observe = func(string, string) {}
	}
	return &Service{Deps: d, wake: make(chan struct{}, 1)}
}

func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// about is what the events of a rotation say of it.
func (r Rotation) about() map[string]any {
	m := map[string]any{"rotation_id": string(r.ID), "trigger": string(r.Trigger), "state": string(r.State)}
	if r.Old != 0 {
		m["old_version"] = r.Old
	}
	if r.Next != 0 {
		m["version"] = r.Next
	}
	if r.Resource != "" {
		m["resource_id"] = string(r.Resource)
	}
	if r.Problem != "" {
		m["problem"] = r.Problem
	}
	if r.Repaired {
		m["repaired"] = true
	}
	if r.By != "" {
		m["requested_by"] = string(r.By)
	}
	return m
}

func (r Rotation) target() audit.Party {
	return audit.Party{Type: "account", ID: string(r.Account), Name: r.Name}
}

func system(org pam.OrgID) pam.Actor { return pam.Actor{Org: org, Token: pam.SystemToken} }

// events are those of entering r.State.
func (s *Service) events(r Rotation) []audit.Entry {
	t := audit.CredentialRotationAdvanced
	switch r.State {
	case Done:
		t = audit.CredentialRotated
	case Failed, Stuck:
		t = audit.CredentialRotationFailed
	}
	if r.State == Done || r.State == Failed || r.State == Stuck {
		s.Observe("rotation", string(r.State))
	}
	out := []audit.Entry{s.Scribe.Entry(system(r.Org), t, r.target(), r.about())}
	if r.State == Done && r.Problem != "" { // a copy was not brought up to date
		out = append(out, s.Scribe.Entry(system(r.Org), audit.CredentialRotationFailed, r.target(), r.about()))
	}
	return out
}

// Start rotates the credential of an account: a manager of a Safe that binds
// it, or who made it while none does, may. It returns before the target has
// heard of anything.
func (s *Service) Start(ctx context.Context, a pam.Actor, id pam.AccountID) (Rotation, error) {
	const op = "rotate credential"
	r, err := s.prepared(ctx, op, a, id, Manual)
	if err != nil {
		return Rotation{}, err
	}
	return s.create(ctx, op, a, r, nil)
}

// Verify takes a value that was changed elsewhere: it is promoted once it was
// seen to log in, and the one before was seen not to. seal makes it version n.
func (s *Service) Verify(ctx context.Context, a pam.Actor, id pam.AccountID, seal func(ctx context.Context, n int64) (Candidate, error)) (Rotation, error) {
	const op = "verify uploaded credential"
	r, err := s.prepared(ctx, op, a, id, Upload)
	if err != nil {
		return Rotation{}, err
	}
	if !a.Fresh(s.Clock.Now()) {
		return Rotation{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	c, err := seal(ctx, r.Next)
	if err != nil {
		return Rotation{}, pam.Wrap(op, err)
	}
	r.State = Kept
	return s.create(ctx, op, a, r, &c)
}

// prepared is a rotation that could be begun.
func (s *Service) prepared(ctx context.Context, op string, a pam.Actor, id pam.AccountID, t Trigger) (Rotation, error) {
	if err := s.Door.Manages(ctx, a, id); err != nil {
		return Rotation{}, pam.Wrap(op, err)
	}
	if s.Sealed() {
		return Rotation{}, &pam.Error{Kind: pam.Sealed, Op: op}
	}
	settings, err := s.Store.RotationSettings(ctx, a.Org, id)
	if err != nil {
		return Rotation{}, pam.Wrap(op, err)
	}
	f, err := s.Door.Facts(ctx, a.Org, id, settings)
	if err == nil {
		err = f.rotatable()
	}
	if err != nil {
		return Rotation{}, pam.Wrap(op, err)
	}
	r := s.begun(a.Org, id, t)
	r.Name, r.Resource, r.By = f.Name, f.Resource, a.User
	if t == Upload {
		r.Old, r.Next = f.Working, f.Newest+1
	}
	return r, nil
}

func (s *Service) begun(org pam.OrgID, id pam.AccountID, t Trigger) Rotation {
	now := s.Clock.Now()
	return Rotation{
		ID: pam.RotationID(s.IDs.New(pam.PrefixRotation)), Org: org, Account: id, Trigger: t, State: Queued,
		CreatedAt: now, UpdatedAt: now, NextAt: now,
	}
}

func (s *Service) create(ctx context.Context, op string, a pam.Actor, r Rotation, c *Candidate) (Rotation, error) {
	e := s.Scribe.Entry(a, audit.CredentialRotationStarted, r.target(), r.about())
	if err := s.Store.CreateRotation(ctx, r.Org, r, c, false, nil, e); err != nil {
		return Rotation{}, pam.Wrap(op, err)
	}
	s.poke()
	return r, nil
}

// ByID returns a rotation of an account that the actor may rotate, or of any
// for those who see the metadata of all.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.RotationID) (Rotation, error) {
	const op = "read rotation"
	r, err := s.Store.RotationByID(ctx, a.Org, id)
	if err != nil {
		return Rotation{}, pam.Wrap(op, err)
	}
	if policy.Allowed(policy.RotationSee, policy.Of(a, "")) {
		return r, nil
	}
	if err := s.Door.Manages(ctx, a, r.Account); err != nil {
		return Rotation{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return r, nil
}

// List returns up to q.Limit of the rotations that the actor may see, newest
// first. The actor's own facts replace User, All and Now.
func (s *Service) List(ctx context.Context, a pam.Actor, q Query) ([]Rotation, error) {
	q.User, q.Now, q.Limit = a.User, s.Clock.Now(), pam.PageSize(q.Limit)
	q.All = policy.Allowed(policy.RotationSee, policy.Of(a, ""))
	out, err := s.Store.ListRotations(ctx, a.Org, q)
	return out, pam.Wrap("list rotations", err)
}

// Retry takes up a rotation that waits: a stuck one asks the target again
// which version logs in, and goes on from there.
func (s *Service) Retry(ctx context.Context, a pam.Actor, id pam.RotationID) (Rotation, error) {
	const op = "retry rotation"
	r, err := s.manageable(ctx, op, a, id)
	if err != nil {
		return Rotation{}, err
	}
	now, next := s.Clock.Now(), r
	next.NextAt, next.UpdatedAt, next.Attempts = now, now, 0
	step := Step{From: r.State, Lease: now}
	switch {
	case r.State == Stuck:
		unknown := Unknown
		next.State, next.Problem, step.Working = Applying, "", &unknown
	case !r.State.Open():
		return Rotation{}, pam.Errorf(pam.Conflict, op, "This rotation is over.")
	}
	step.Next = next
	e := s.Scribe.Entry(a, audit.CredentialRotationAdvanced, next.target(), next.about())
	if err := s.Store.Advance(ctx, a.Org, step, e); err != nil {
		return Rotation{}, pam.Wrap(op, err)
	}
	s.poke()
	return next, nil
}

// Cancel ends a rotation of which the target has not heard.
func (s *Service) Cancel(ctx context.Context, a pam.Actor, id pam.RotationID) (Rotation, error) {
	const op = "cancel rotation"
	r, err := s.manageable(ctx, op, a, id)
	if err != nil {
		return Rotation{}, err
	}
	if r.State == Stuck || !r.State.May(Cancelled) {
		return Rotation{}, pam.Errorf(pam.Conflict, op, "The target may have heard of the new secret: retry, or store the secret that is right.")
	}
	now, next := s.Clock.Now(), r
	next.State, next.UpdatedAt, next.EndedAt = Cancelled, now, now
	e := s.Scribe.Entry(a, audit.CredentialRotationAdvanced, next.target(), next.about())
	if err := s.Store.Advance(ctx, a.Org, Step{From: r.State, Next: next, Reject: r.Next != 0, Lease: now}, e); err != nil {
		return Rotation{}, pam.Wrap(op, err)
	}
	return next, nil
}

func (s *Service) manageable(ctx context.Context, op string, a pam.Actor, id pam.RotationID) (Rotation, error) {
	r, err := s.ByID(ctx, a, id)
	if err == nil {
		err = s.Door.Manages(ctx, a, r.Account)
	}
	return r, pam.Wrap(op, err)
}

// Settings returns how an account's credential is rotated.
func (s *Service) Settings(ctx context.Context, a pam.Actor, id pam.AccountID) (Settings, error) {
	const op = "read rotation settings"
	err := s.Door.Manages(ctx, a, id)
	if pam.Is(err, pam.Denied) && policy.Allowed(policy.RotationSee, policy.Of(a, "")) {
		err = nil
	}
	if err != nil {
		return Settings{}, pam.Wrap(op, err)
	}
	out, err := s.Store.RotationSettings(ctx, a.Org, id)
	return out, pam.Wrap(op, err)
}

// Set replaces the settings. It takes a manager of each Safe that binds the
// account, who authenticated just now; the accounts that it names must be used
// where it sends them, and be theirs as well.
func (s *Service) Set(ctx context.Context, a pam.Actor, id pam.AccountID, in Settings) (Settings, error) {
	const op = "set rotation settings"
	if err := in.check(op); err != nil {
		return Settings{}, err
	}
	if err := s.Door.Admits(ctx, a, id, in); err != nil {
		return Settings{}, pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	if !a.Fresh(now) {
		return Settings{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	m := map[string]any{"check_hours": int64(in.CheckHours), "dependents": int64(len(in.Dependents))}
	for k, v := range map[string]string{"resource_id": string(in.Resource), "reconcile_account_id": string(in.Reconcile)} {
		if v != "" {
			m[k] = v
		}
	}
	e := s.Scribe.Entry(a, audit.RotationSettingsChanged, audit.Party{Type: "account", ID: string(id)}, m)
	return in, pam.Wrap(op, s.Store.SetRotationSettings(ctx, a.Org, id, in, now, e))
}
