package confirmation

import (
	"context"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Service is what the edges ask about confirmations. It is safe for
// concurrent use.
type Service struct {
	store  Store
	scribe *audit.Scribe
	clock  clock.Clock
	ids    *ids.Source
}

// New makes a Service.
func New(store Store, scribe *audit.Scribe, c clock.Clock, src *ids.Source) *Service {
	return &Service{store: store, scribe: scribe, clock: c, ids: src}
}

// ByID returns a confirmation that the actor may see: a manager of its Safe,
// whoever requested it, and those who see the metadata of all Safes.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.ConfirmationID) (Confirmation, error) {
	c, _, err := s.read(ctx, "read confirmation", a, id)
	return c, err
}

func (s *Service) read(ctx context.Context, op string, a pam.Actor, id pam.ConfirmationID) (Confirmation, pam.SafeRole, error) {
	c, err := s.store.ConfirmationByID(ctx, a.Org, id)
	if err != nil {
		return Confirmation{}, "", pam.Wrap(op, err)
	}
	role, _, err := s.store.RoleOf(ctx, a.Org, c.Safe, a.User, s.clock.Now())
	if err != nil {
		return Confirmation{}, "", pam.Wrap(op, err)
	}
	if !policy.Allowed(policy.ChangeSee, policy.Of(a, role).Owning(c.RequestedBy == a.User)) {
		return Confirmation{}, "", &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return c, role, nil
}

// List returns up to q.Limit of the confirmations that the actor may see,
// newest first. The actor's own facts replace User, All and Now.
func (s *Service) List(ctx context.Context, a pam.Actor, q Query) ([]Confirmation, error) {
	q.User, q.Now = a.User, s.clock.Now()
	q.All = policy.Allowed(policy.ChangeSee, policy.Of(a, ""))
	q.Limit = pam.PageSize(q.Limit)
	out, err := s.store.ListConfirmations(ctx, a.Org, q)
	return out, pam.Wrap("list confirmations", err)
}

// Confirm gives a manager's word: a weakening happens, a redirection no longer
// holds credentials back for this Safe.
func (s *Service) Confirm(ctx context.Context, a pam.Actor, id pam.ConfirmationID) (Confirmation, error) {
	return s.decide(ctx, "confirm change", a, id, Confirmed, audit.ConfirmationConfirmed)
}

// Reject refuses it: a weakening does not happen, a redirection goes on
// holding credentials back until somebody changes the target again.
func (s *Service) Reject(ctx context.Context, a pam.Actor, id pam.ConfirmationID) (Confirmation, error) {
	return s.decide(ctx, "reject change", a, id, Rejected, audit.ConfirmationRejected)
}

func (s *Service) decide(ctx context.Context, op string, a pam.Actor, id pam.ConfirmationID, to Status, t audit.Type) (Confirmation, error) {
	c, role, err := s.read(ctx, op, a, id)
	if err != nil {
		return Confirmation{}, err
	}
	if !policy.Allowed(policy.ChangeConfirm, policy.Of(a, role)) {
		return Confirmation{}, pam.Errorf(pam.Denied, op, "Only a manager of the Safe may decide this.")
	}
	// The setting may have been turned on after the request; both count.
	if to == Confirmed && (c.Dual || a.DualControl) {
		own := c.RequestedBy == a.User
		if !own && c.Kind == Redirection {
			if own, err = s.store.Redirected(ctx, c, a.User); err != nil {
				return Confirmation{}, pam.Wrap(op, err)
			}
		}
		if own {
			return Confirmation{}, pam.Errorf(pam.Denied, op, "Another manager must confirm what you requested.")
		}
	}
	now := s.clock.Now()
	if to == Confirmed && !a.Fresh(now) {
		return Confirmation{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	if !c.Kind.May(c.Status, to) {
		return Confirmation{}, pam.Errorf(pam.Conflict, op, "This change is not waiting for a decision.")
	}
	kind, target := c.Target()
	metadata := map[string]any{"kind": string(c.Kind), "safe_id": string(c.Safe), "target_type": kind, "target_id": target, "requested_by": string(c.RequestedBy)}
	entries := []audit.Entry{s.scribe.Entry(a, t, audit.Party{Type: "confirmation", ID: string(c.ID), Name: c.Summary}, metadata)}
	d := Decision{To: to, By: a.User, At: now, Last: true, NewID: func() pam.ConfirmationID {
		return pam.ConfirmationID(s.ids.New(pam.PrefixConfirmation))
	}}
	weakened := []pam.SafeID{c.Safe}
	if c.Policy != "" {
		if weakened, d.Last, err = s.parts(ctx, c); err != nil {
			return Confirmation{}, pam.Wrap(op, err)
		}
	}
	if c.Kind == Weakening && to == Confirmed && d.Last {
		because := map[string]any{"confirmation_id": string(c.ID), "requested_by": string(c.RequestedBy)}
		if c.Policy != "" {
			because["policy_id"] = string(c.Policy)
			entries = append(entries, s.scribe.Entry(a, audit.PolicyUpdated, audit.Party{Type: kind, ID: target}, because))
		}
		for _, id := range weakened {
			entries = append(entries, s.scribe.Entry(a, audit.SafeWeakened, audit.Party{Type: "safe", ID: string(id)}, because))
		}
	}
	if err := s.store.DecideConfirmation(ctx, a.Org, c, d, entries...); err != nil {
		return Confirmation{}, pam.Wrap(op, err)
	}
	c.Status, c.DecidedBy, c.DecidedAt = to, a.User, now
	return c, nil
}

// parts lists the Safes that the change of c's policy weakens, and says whether
// c is the last that it waits for.
func (s *Service) parts(ctx context.Context, c Confirmation) (safes []pam.SafeID, last bool, err error) {
	all, err := s.store.Parts(ctx, c)
	last = true
	for _, p := range all {
		if p.Status == Superseded {
			continue
		}
		safes = append(safes, p.Safe)
		last = last && (p.ID == c.ID || p.Status != Pending)
	}
	return safes, last, err
}
