package checkout

import (
	"context"
	"errors"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Access answers what this package cannot know: which Safes an actor manages.
type Access interface {
	// Manages says whether the actor is a manager of the Safe.
	Manages(ctx context.Context, actor pam.Actor, safe pam.SafeID) (bool, error)
}

// Service is what the edges ask about checkouts, but for the reveal itself.
// It is safe for concurrent use.
type Service struct {
	store  Store
	access Access
	scribe *audit.Scribe
	clock  clock.Clock
}

// New makes a Service.
func New(store Store, access Access, scribe *audit.Scribe, c clock.Clock) *Service {
	return &Service{store: store, access: access, scribe: scribe, clock: c}
}

// ByID returns a checkout that the actor may see: their own, one of a Safe
// that they manage, or any for those who see the metadata of all Safes.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.CheckoutID) (Checkout, error) {
	c, _, err := s.read(ctx, "read checkout", a, id)
	return c, err
}

func (s *Service) read(ctx context.Context, op string, a pam.Actor, id pam.CheckoutID) (Checkout, policy.Facts, error) {
	c, err := s.store.CheckoutByID(ctx, a.Org, id)
	if err != nil {
		return Checkout{}, policy.Facts{}, pam.Wrap(op, err)
	}
	manages, err := s.access.Manages(ctx, a, c.Safe)
	if err != nil {
		return Checkout{}, policy.Facts{}, pam.Wrap(op, err)
	}
	var role pam.SafeRole
	if manages {
		role = pam.SafeManager
	}
	facts := policy.Of(a, role).Owning(c.User == a.User)
	if !policy.Allowed(policy.CheckoutSee, facts) {
		return Checkout{}, policy.Facts{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return c.At(s.clock.Now()), facts, nil
}

// List returns up to q.Limit of the checkouts that the actor may see, newest first. The actor's own facts replace User, All and Now.
func (s *Service) List(ctx context.Context, a pam.Actor, q Query) ([]Checkout, error) {
	q.User, q.Now = a.User, s.clock.Now()
	q.All = policy.Allowed(policy.CheckoutSee, policy.Of(a, ""))
	q.Limit = pam.PageSize(q.Limit)
	out, err := s.store.ListCheckouts(ctx, a.Org, q)
	return out, pam.Wrap("list checkouts", err)
}

// CheckIn ends a checkout: whoever has it, a manager of the Safe, or by force
// an owner or admin.
func (s *Service) CheckIn(ctx context.Context, a pam.Actor, id pam.CheckoutID) (Checkout, error) {
	const op = "check in"
	c, facts, err := s.read(ctx, op, a, id)
	if err != nil {
		return Checkout{}, err
	}
	if !policy.Allowed(policy.CheckoutEnd, facts) {
		return Checkout{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	if !c.Status.May(Available) {
		return Checkout{}, pam.Errorf(pam.Conflict, op, "This secret is checked in already.")
	}
	now, why := s.clock.Now(), ByHolder
	if c.User != a.User {
		why = Forced
	}
	if err := s.store.CheckIn(ctx, a.Org, id, a.User, why, now, CheckedIn(s.scribe, a, c, why, "")); err != nil {
		return Checkout{}, pam.Wrap(op, err)
	}
	c.Status, c.CheckedInAt, c.CheckedInBy, c.Cause = Available, now, a.User, why
	return c, nil
}

// CheckedIn is the event of a check-in. rule is what decided on it, "" if
// nothing did.
func CheckedIn(s *audit.Scribe, a pam.Actor, c Checkout, why Cause, rule string) audit.Entry {
	m := map[string]any{"checkout_id": string(c.ID), "safe_id": string(c.Safe), "user_id": string(c.User), "forced": why == Forced, "cause": string(why)}
	if c.Emergency {
		m["emergency"] = true
	}
	if rule != "" {
		m["rule"] = rule
	}
	return s.Entry(a, audit.CredentialCheckedIn, audit.Party{Type: "account", ID: string(c.Account), Name: c.Username}, m)
}

// dueAtOnce bounds one turn of EndDue.
const dueAtOnce = 100

// EndDue checks in what is to end by itself: whose time is over, or whose
// session. One that cannot be ended does not keep the others. What has lost
// its ground is the broker's, which asks for a decision.
func (s *Service) EndDue(ctx context.Context) error {
	now := s.clock.Now()
	due, err := s.store.DueCheckouts(ctx, now, dueAtOnce)
	errs := []error{err}
	for _, d := range due {
		err := s.store.CheckIn(ctx, d.Org, d.ID, "", d.Why, now, CheckedIn(s.scribe, pam.Actor{Org: d.Org, Token: pam.SystemToken}, d.Checkout, d.Why, ""))
		if !pam.Is(err, pam.Conflict) { // somebody was quicker
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return pam.Wrap("end checkouts", err)
	}
	return nil
}
