package rulebook

import (
	"context"
	"errors"
	"slices"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// ErrOutrun says that another change of policies came in between.
var ErrOutrun = errors.New("the organization's policies have changed meanwhile")

// Service is what the edges ask about policies. It is safe for concurrent use.
type Service struct {
	store  Store
	books  *Books
	scribe *audit.Scribe
	clock  clock.Clock
	ids    *ids.Source
}

// New makes a Service.
func New(store Store, books *Books, scribe *audit.Scribe, c clock.Clock, src *ids.Source) *Service {
	return &Service{store: store, books: books, scribe: scribe, clock: c, ids: src}
}

// may refuses whoever the table does not allow the action.
func may(op string, a pam.Actor, action policy.Action) error {
	if !policy.Allowed(action, policy.Of(a, "")) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return nil
}

// ByID returns a policy, to those who may read policies.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.PolicyID) (Policy, error) {
	const op = "read policy"
	if err := may(op, a, policy.PolicyRead); err != nil {
		return Policy{}, err
	}
	p, err := s.store.PolicyByID(ctx, a.Org, id)
	return p, pam.Wrap(op, err)
}

// List returns up to q.Limit policies, newest first.
func (s *Service) List(ctx context.Context, a pam.Actor, q Query) ([]Policy, error) {
	const op = "list policies"
	if err := may(op, a, policy.PolicyRead); err != nil {
		return nil, err
	}
	q.Limit = pam.PageSize(q.Limit)
	out, err := s.store.ListPolicies(ctx, a.Org, q)
	return out, pam.Wrap(op, err)
}

// Create makes a policy, as a draft: it counts once it is activated.
func (s *Service) Create(ctx context.Context, a pam.Actor, in Settings) (Policy, error) {
	const op = "create policy"
	if err := may(op, a, policy.PolicyWrite); err != nil {
		return Policy{}, err
	}
	in = in.normal()
	if err := in.check(op); err != nil {
		return Policy{}, err
	}
	now := s.clock.Now()
	p := Policy{
		ID: pam.PolicyID(s.ids.New(pam.PrefixPolicy)), Org: a.Org, Settings: in, Status: Draft, Version: 1,
		CreatedBy: a.User, CreatedAt: now, UpdatedAt: now,
	}
	entries := []audit.Entry{s.scribe.Entry(a, audit.PolicyCreated, p.Target(), map[string]any{"action": string(p.Action)})}
	entries = append(entries, s.assigned(a, Policy{}, p)...)
	return p, pam.Wrap(op, s.store.CreatePolicy(ctx, a.Org, p, entries...))
}

// assigned is the event of Safes that a policy came to or went from, if any
// did.
func (s *Service) assigned(a pam.Actor, before, after Policy) []audit.Entry {
	added, removed := without(after.SafeIDs, before.SafeIDs), without(before.SafeIDs, after.SafeIDs)
	if len(added)+len(removed) == 0 {
		return nil
	}
	m := map[string]any{}
	if len(added) > 0 {
		m["added_safe_ids"] = added
	}
	if len(removed) > 0 {
		m["removed_safe_ids"] = removed
	}
	target := after.Target()
	if after.ID == "" {
		target = before.Target()
	}
	return []audit.Entry{s.scribe.Entry(a, audit.PolicyAssignmentChanged, target, m)}
}

// without is a without what is in b, as text.
func without(a, b []pam.SafeID) []string {
	in := make(map[pam.SafeID]bool, len(b))
	for _, id := range b {
		in[id] = true
	}
	var out []string
	for _, id := range a {
		if !in[id] {
			out = append(out, string(id))
		}
	}
	return out
}

// Update replaces the settings of a policy that still has version; 0 takes the
// present one. Of an active policy it takes effect at once.
//
// A change that weakens a Safe needs a fresh authentication. With dual_control
// it waits for a manager of each such Safe: then the policy is returned as it
// stands, with Pending set.
func (s *Service) Update(ctx context.Context, a pam.Actor, id pam.PolicyID, version int64, in Settings) (Policy, error) {
	const op = "update policy"
	if err := may(op, a, policy.PolicyWrite); err != nil {
		return Policy{}, err
	}
	in = in.normal()
	if err := in.check(op); err != nil {
		return Policy{}, err
	}
	return s.change(ctx, op, a, id, version, audit.PolicyUpdated, func(p *Policy) error { p.Settings = in; return nil })
}

// Activate makes a policy count, from the next decision on.
func (s *Service) Activate(ctx context.Context, a pam.Actor, id pam.PolicyID, version int64) (Policy, error) {
	return s.turn(ctx, "activate policy", a, id, version, Active, audit.PolicyActivated)
}

// Disable makes a policy count no more.
func (s *Service) Disable(ctx context.Context, a pam.Actor, id pam.PolicyID, version int64) (Policy, error) {
	return s.turn(ctx, "disable policy", a, id, version, Disabled, audit.PolicyDisabled)
}

func (s *Service) turn(ctx context.Context, op string, a pam.Actor, id pam.PolicyID, version int64, to Status, t audit.Type) (Policy, error) {
	if err := may(op, a, policy.PolicyWrite); err != nil {
		return Policy{}, err
	}
	return s.change(ctx, op, a, id, version, t, func(p *Policy) error {
		if !p.Status.May(to) {
			return pam.Errorf(pam.Conflict, op, "The policy is %s: it cannot become %s.", p.Status, to)
		}
		p.Status = to
		return nil
	})
}

// Delete removes a policy that still has version; 0 takes the present one. It
// returns the policy with Pending set where that waits, else a policy without
// an id.
func (s *Service) Delete(ctx context.Context, a pam.Actor, id pam.PolicyID, version int64) (Policy, error) {
	const op = "delete policy"
	if err := may(op, a, policy.PolicyWrite); err != nil {
		return Policy{}, err
	}
	return s.change(ctx, op, a, id, version, audit.PolicyDeleted, nil)
}

// tries is how often a change is judged anew when another outran it.
const tries = 5

// change applies edit to a policy, or deletes it where edit is nil. What it
// weakens is judged by all active policies together; if any of them changes
// meanwhile, it is judged again.
func (s *Service) change(ctx context.Context, op string, a pam.Actor, id pam.PolicyID, version int64, t audit.Type, edit func(*Policy) error) (Policy, error) {
	for n := 1; ; n++ {
		out, err := s.changeOnce(ctx, op, a, id, version, t, edit)
		if err == nil || n == tries || !errors.Is(err, ErrOutrun) {
			return out, pam.Wrap(op, err)
		}
	}
}

func (s *Service) changeOnce(ctx context.Context, op string, a pam.Actor, id pam.PolicyID, version int64, t audit.Type, edit func(*Policy) error) (Policy, error) {
	book, err := s.store.PolicyBook(ctx, a.Org)
	if err != nil {
		return Policy{}, err
	}
	cur, err := s.store.PolicyByID(ctx, a.Org, id)
	if err != nil {
		return Policy{}, err
	}
	if version != 0 && version != cur.Version {
		return Policy{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	next, now := cur, s.clock.Now()
	if edit != nil {
		if err := edit(&next); err != nil {
			return Policy{}, err
		}
		next.UpdatedAt = now
	} else {
		next = Policy{ID: cur.ID, Org: cur.Org}
	}
	weakened, err := weakenings(book, cur, next)
	if err != nil {
		return Policy{}, err
	}
	if len(weakened) > 0 {
		if !a.Fresh(now) {
			return Policy{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
		}
		if a.DualControl {
			return s.propose(ctx, op, a, cur, next, edit == nil, book.Version, weakened, now)
		}
	}
	entries := s.entries(a, t, cur, next, weakened)
	if edit == nil {
		return Policy{}, s.store.DeletePolicy(ctx, a.Org, cur.ID, cur.Version, book.Version, entries...)
	}
	if err := s.store.UpdatePolicy(ctx, a.Org, next, cur.Version, book.Version, entries...); err != nil {
		return Policy{}, err
	}
	next.Version = cur.Version + 1
	return next, nil
}

func (s *Service) entries(a pam.Actor, t audit.Type, cur, next Policy, weakened []weakening) []audit.Entry {
	target := cur.Target()
	if next.Name != "" {
		target = next.Target()
	}
	entries := []audit.Entry{s.scribe.Entry(a, t, target, nil)}
	if t == audit.PolicyUpdated || t == audit.PolicyDeleted {
		entries = append(entries, s.assigned(a, cur, next)...)
	}
	for _, w := range weakened {
		entries = append(entries, s.scribe.Entry(a, audit.SafeWeakened, audit.Party{Type: "safe", ID: string(w.safe)},
			map[string]any{"policy_id": string(cur.ID), "why": w.why}))
	}
	return entries
}

// maxWaits bounds how many Safes' managers one change can wait for.
const maxWaits = 100

// propose keeps a weakening until a manager of each Safe has confirmed.
func (s *Service) propose(ctx context.Context, op string, a pam.Actor, cur, next Policy, remove bool, book int64, weakened []weakening, now time.Time) (Policy, error) {
	if len(weakened) > maxWaits {
		return Policy{}, pam.Errorf(pam.Conflict, op, "This weakens %d safes, whose managers all have to confirm; change at most %d at once.", len(weakened), maxWaits)
	}
	p := Proposal{Policy: next, Delete: remove, Version: cur.Version, Book: book, By: a.User, At: now}
	var safes []string
	for _, w := range weakened {
		p.Wait = append(p.Wait, Wait{
			ID: pam.ConfirmationID(s.ids.New(pam.PrefixConfirmation)), Safe: w.safe, Summary: "Change of the policy “" + cur.Name + "”: " + w.why,
		})
		safes = append(safes, string(w.safe))
	}
	e := s.scribe.Entry(a, audit.ConfirmationRequested, cur.Target(), map[string]any{"kind": "weakening", "safe_ids": safes, "confirmation_id": string(p.Wait[0].ID)})
	if err := s.store.ProposePolicy(ctx, a.Org, p, e); err != nil {
		return Policy{}, err
	}
	cur.Pending = p.Wait[0].ID
	return cur, nil
}

// weakening is a Safe that a change makes weaker, and how.
type weakening struct {
	safe pam.SafeID
	why  string
}

// weakenings compares the rules of each Safe that the policy is or was
// assigned to, before and after.
func weakenings(book Book, cur, next Policy) ([]weakening, error) {
	before, err := compile(book)
	if err != nil {
		return nil, err
	}
	var rule *policy.Rule
	if next.Status == Active {
		if rule, err = policy.Compile(next.spec()); err != nil {
			return nil, &pam.Error{Kind: pam.Internal, Op: "compile policy", Err: err}
		}
	}
	var out []weakening
	for _, id := range single(slices.Concat(cur.SafeIDs, next.SafeIDs)) {
		old := before.safes[id]
		after := slices.DeleteFunc(slices.Clone(old), func(r *policy.Rule) bool { return r.ID == cur.ID })
		if rule != nil && slices.Contains(next.SafeIDs, id) {
			after = append(after, rule)
		}
		if why := policy.Weaker(old, policy.NewSet(after...)); why != "" {
			out = append(out, weakening{id, why})
		}
	}
	return out, nil
}
