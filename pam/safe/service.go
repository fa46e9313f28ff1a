package safe

import (
	"context"
	"strings"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Service is what the edges ask about Safes. It is safe for concurrent use.
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

func (s *Service) entry(a pam.Actor, t audit.Type, target Safe, metadata map[string]any) audit.Entry {
	return s.scribe.Entry(a, t, audit.Party{Type: "safe", ID: string(target.ID), Name: target.Name}, metadata)
}

// Create makes a Safe whose manager is the actor. Owners and admins may. An
// empty slug is made from the name.
func (s *Service) Create(ctx context.Context, a pam.Actor, in Settings) (Safe, error) {
	const op = "create safe"
	if !policy.Allowed(policy.SafeCreate, policy.Of(a, "")) {
		return Safe{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	in = in.normal()
	if err := in.check(op); err != nil {
		return Safe{}, err
	}
	facts, redirects, err := s.decideBindings(ctx, op, a, in.Bindings)
	if err != nil {
		return Safe{}, pam.Wrap(op, err)
	}
	now := s.clock.Now()
	if redirects && !a.Fresh(now) {
		return Safe{}, stepUp(op)
	}
	out := Safe{
		ID: pam.SafeID(s.ids.New(pam.PrefixSafe)), Org: a.Org, Settings: in, Version: 1,
		CreatedBy: a.User, CreatedAt: now, UpdatedAt: now, Role: pam.SafeManager,
	}
	manager := Member{
		ID: pam.MemberID(s.ids.New(pam.PrefixMember)), Org: a.Org, Safe: out.ID, User: a.User,
		Role: pam.SafeManager, CreatedAt: now,
	}
	out, err = s.store.CreateSafe(ctx, a.Org, out, manager, facts, pam.NewHold(a, now, s.ids, bindingSummary(in.Name)), s.entry(a, audit.SafeCreated, out, nil))
	return out, pam.Wrap(op, err)
}

// ByID returns a Safe that the actor may see, with the actor's role in it.
// Whoever may only request it gets its name and description, whoever is named
// for its emergencies what they have to know then; for everybody else it is
// NotFound.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.SafeID) (Safe, error) {
	const op = "read safe"
	out, err := s.store.SafeByID(ctx, a.Org, id, a.User, s.clock.Now())
	if err != nil {
		return Safe{}, pam.Wrap(op, err)
	}
	out, ok := shown(out, a)
	if !ok {
		return Safe{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return out, nil
}

// shown returns what the actor may know of a Safe; false for nothing.
func shown(out Safe, a pam.Actor) (Safe, bool) {
	out.Role = policy.Effective(a.Role, out.Role)
	if policy.Allowed(policy.SafeSee, policy.Of(a, out.Role)) {
		return out, true
	}
	named := out.BreakGlass.Names(a.User)
	if !named && out.Visibility != Requestable || !a.Role.Valid() {
		return Safe{}, false
	}
	brief := Safe{
		ID: out.ID, Org: out.Org, Version: out.Version, OnlyNamed: true,
		Settings: Settings{Name: out.Name, Slug: out.Slug, Description: out.Description, Visibility: out.Visibility},
	}
	if named {
		brief.Locked, brief.Checkout, brief.BreakGlass.UserIDs = out.Locked, out.Checkout, []pam.UserID{a.User}
	}
	return brief, true
}

// List returns up to limit of the Safes that the actor may see and f chooses,
// after the cursor of an earlier one, if any.
func (s *Service) List(ctx context.Context, a pam.Actor, f Filter, after string, limit int) ([]Safe, error) {
	const op = "list safes"
	cursor, err := pam.ReadCursor(op, after)
	if err != nil {
		return nil, err
	}
	all := policy.Allowed(policy.SafeSee, policy.Of(a, ""))
	rows, err := s.store.ListSafes(ctx, a.Org, Query{Filter: f, User: a.User, All: all, After: cursor, Limit: pam.PageSize(limit), Now: s.clock.Now()})
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	out := rows[:0]
	for _, row := range rows {
		if row, ok := shown(row, a); ok {
			out = append(out, row)
		}
	}
	return out, nil
}

// Update replaces the settings of a Safe that still has version; 0 takes the
// present one. in is the full state that is wanted.
//
// A weakening needs a fresh authentication. With dual_control it waits for a
// second manager: then the Safe is returned as it stands, with Pending set.
func (s *Service) Update(ctx context.Context, a pam.Actor, id pam.SafeID, version int64, in Settings) (Safe, error) {
	const op = "update safe"
	cur, err := s.full(ctx, op, a, id, policy.SafeUpdate)
	if err != nil {
		return Safe{}, err
	}
	if version == 0 {
		version = cur.Version
	}
	if version != cur.Version {
		return Safe{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	if in = in.normal(); in.Slug == "" {
		in.Slug = cur.Slug
	}
	if err := in.check(op); err != nil {
		return Safe{}, err
	}
	// Who could take a binding away could make an account one that is in no
	// Safe, and bind it, as its creator, to one of their own.
	if len(missing(cur.Bindings, in.Bindings)) > 0 && !policy.Allowed(policy.SafeUnbind, policy.Of(a, cur.Role)) {
		return Safe{}, pam.Errorf(pam.Denied, op, "Only a manager of the Safe may remove a binding.")
	}
	// Naming somebody for emergencies is giving them a way in.
	if in.BreakGlass.adds(cur.BreakGlass) && !policy.Allowed(policy.SafeMemberGive, policy.Of(a, cur.Role)) {
		return Safe{}, pam.Errorf(pam.Denied, op, "Only a manager of the Safe may name people for emergencies.")
	}
	facts, redirects, err := s.decideBindings(ctx, op, a, missing(in.Bindings, cur.Bindings))
	if err != nil {
		return Safe{}, pam.Wrap(op, err)
	}
	now := s.clock.Now()
	weakened := in.Weakens(cur.Settings)
	if (len(weakened) > 0 || redirects) && !a.Fresh(now) {
		return Safe{}, stepUp(op)
	}
	next := cur
	next.Settings, next.UpdatedAt = in, now
	if len(weakened) > 0 && a.DualControl {
		p := Proposal{
			ID: pam.ConfirmationID(s.ids.New(pam.PrefixConfirmation)), Safe: next, Version: version, Facts: facts, By: a.User, At: now,
			Summary: "Weaken Safe " + quote(cur.Name) + ": " + strings.Join(weakened, ", "),
		}
		e := s.entry(a, audit.ConfirmationRequested, cur, map[string]any{"kind": "weakening", "fields": weakened, "confirmation_id": string(p.ID)})
		if err := s.store.ProposeSafe(ctx, a.Org, p, e); err != nil {
			return Safe{}, pam.Wrap(op, err)
		}
		cur.Pending = p.ID
		return cur, nil
	}
	e := s.entry(a, audit.SafeUpdated, next, nil)
	if len(weakened) > 0 {
		e = s.entry(a, audit.SafeWeakened, next, map[string]any{"fields": weakened})
	}
	out, err := s.store.UpdateSafe(ctx, a.Org, next, version, facts, pam.NewHold(a, now, s.ids, bindingSummary(in.Name)), e)
	out.Role = cur.Role
	return out, pam.Wrap(op, err)
}

// Delete removes a Safe that still has version; 0 takes the present one. One
// that binds accounts is removed by a manager of it alone.
func (s *Service) Delete(ctx context.Context, a pam.Actor, id pam.SafeID, version int64) error {
	const op = "delete safe"
	cur, err := s.full(ctx, op, a, id, policy.SafeDelete)
	if err != nil {
		return err
	}
	if len(cur.Bindings) > 0 && !policy.Allowed(policy.SafeUnbind, policy.Of(a, cur.Role)) {
		return pam.Errorf(pam.Denied, op, "Only a manager of the Safe may delete it while it has bindings.")
	}
	// Without a wish of the client the version that was looked at holds: a
	// binding added meanwhile would not have been.
	if version == 0 {
		version = cur.Version
	}
	return pam.Wrap(op, s.store.DeleteSafe(ctx, a.Org, id, version, s.entry(a, audit.SafeDeleted, cur, nil)))
}

// Lock stops all use of the Safe and cuts its live sessions.
func (s *Service) Lock(ctx context.Context, a pam.Actor, id pam.SafeID) (Safe, error) {
	return s.lock(ctx, a, id, true, "lock safe", audit.SafeLocked)
}

// Unlock ends a lock.
func (s *Service) Unlock(ctx context.Context, a pam.Actor, id pam.SafeID) (Safe, error) {
	return s.lock(ctx, a, id, false, "unlock safe", audit.SafeUnlocked)
}

func (s *Service) lock(ctx context.Context, a pam.Actor, id pam.SafeID, locked bool, op string, t audit.Type) (Safe, error) {
	cur, err := s.full(ctx, op, a, id, policy.SafeLock)
	if err != nil {
		return Safe{}, err
	}
	if err := s.store.LockSafe(ctx, a.Org, id, locked, s.clock.Now(), s.entry(a, t, cur, nil)); err != nil {
		return Safe{}, pam.Wrap(op, err)
	}
	return s.ByID(ctx, a, id)
}

// full returns a Safe on which the actor may do the action: NotFound for one
// that they may not know of, Denied for one that they may only see.
func (s *Service) full(ctx context.Context, op string, a pam.Actor, id pam.SafeID, action policy.Action) (Safe, error) {
	cur, err := s.ByID(ctx, a, id)
	if err != nil {
		return Safe{}, pam.Wrap(op, err)
	}
	if cur.OnlyNamed || !policy.Allowed(action, policy.Of(a, cur.Role)) {
		return Safe{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	return cur, nil
}

func stepUp(op string) error { return &pam.Error{Kind: pam.StepUpNeeded, Op: op} }

func bindingSummary(safe string) string {
	return "Bind the account to another resource in Safe " + quote(safe)
}

// quote sets a name off in a sentence.
func quote(name string) string { return "“" + name + "”" }
