package rulebook

import (
	"cmp"
	"context"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// Limits of a preview.
const (
	DefaultPreviewDays = 30
	maxPreviewDays     = 365
	maxAttempts        = 10_000
	maxChanges         = 500
)

// Outcome is what an attempt comes to.
type Outcome string

// The outcomes, from the most closed to the most open.
const (
	Denied        Outcome = "deny"
	NeedsApproval Outcome = "require_approval"
	NeedsFactor   Outcome = "step_up"
	Allowed       Outcome = "allow"
)

// outcomes lists them.
var outcomes = []Outcome{Denied, NeedsApproval, NeedsFactor, Allowed}

// Preview is what a policy would have changed.
type Preview struct {
	Since     time.Time
	Attempts  int  // that were looked at
	Skipped   int  // by people or in Safes that are gone
	Truncated bool // there were more attempts, or more changes, than fit
	Changes   []Change
	Weakened  []pam.SafeID // Safes that it would weaken
}

// Change is what would have been different for one person at one Safe.
type Change struct {
	User          pam.UserID
	UserName      string
	Safe          pam.SafeID
	SafeName      string
	Before, After Outcome
	Attempts      int
	LastAt        time.Time
	Why           string
}

// Preview evaluates a policy, with the settings in, against what was tried in
// the last days at the Safes that it is or would be assigned to: as if it were
// active, beside the other active ones, for people in their present roles.
// That somebody had an approval or a second factor is not on record: without
// the policy and with it, none is supposed.
func (s *Service) Preview(ctx context.Context, a pam.Actor, id pam.PolicyID, in Settings, days int) (Preview, error) {
	const op = "preview policy"
	if err := may(op, a, policy.PolicyWrite); err != nil {
		return Preview{}, err
	}
	if days == 0 {
		days = DefaultPreviewDays
	}
	if days < 1 || days > maxPreviewDays {
		var ps pam.Problems
		ps.Add("days", "must be 1 to 365")
		return Preview{}, ps.Err(op)
	}
	in = in.normal()
	if err := in.check(op); err != nil {
		return Preview{}, err
	}
	cur, err := s.store.PolicyByID(ctx, a.Org, id)
	if err != nil {
		return Preview{}, pam.Wrap(op, err)
	}
	next := cur
	next.Settings, next.Status = in, Active
	book, err := s.store.PolicyBook(ctx, a.Org)
	if err != nil {
		return Preview{}, pam.Wrap(op, err)
	}
	p := preview{service: s, actor: a, subjects: map[[2]string]*Subject{}, groups: map[group]*Change{}}
	if p.before, err = compile(book); err != nil {
		return Preview{}, pam.Wrap(op, err)
	}
	book.Policies = append(slices.DeleteFunc(slices.Clone(book.Policies), func(x Policy) bool { return x.ID == id }), next)
	if p.after, err = compile(book); err != nil {
		return Preview{}, pam.Wrap(op, err)
	}
	safes := single(slices.Concat(cur.SafeIDs, next.SafeIDs))
	for _, id := range safes {
		if policy.Weaker(p.before.safes[id], p.after.safes[id]) != "" {
			p.out.Weakened = append(p.out.Weakened, id)
		}
	}
	p.now = s.clock.Now()
	p.out.Since = p.now.AddDate(0, 0, -days)
	attempts, err := s.store.Attempts(ctx, a.Org, safes, p.out.Since, maxAttempts+1)
	if err != nil {
		return Preview{}, pam.Wrap(op, err)
	}
	if len(attempts) > maxAttempts {
		attempts, p.out.Truncated = attempts[:maxAttempts], true
	}
	for _, t := range attempts {
		if err := p.add(ctx, t); err != nil {
			return Preview{}, pam.Wrap(op, err)
		}
	}
	return p.out, pam.Wrap(op, p.finish(ctx))
}

// preview is one under way.
type preview struct {
	service       *Service
	actor         pam.Actor
	now           time.Time
	before, after *compiled
	subjects      map[[2]string]*Subject // by user and Safe; nil: gone
	groups        map[group]*Change
	out           Preview
}

// group is what the attempts that make one Change have in common.
type group struct {
	user          pam.UserID
	safe          pam.SafeID
	before, after Outcome
}

func (p *preview) add(ctx context.Context, t Attempt) error {
	sub, err := p.subject(ctx, t)
	if err != nil {
		return err
	}
	if sub == nil {
		p.out.Skipped++
		return nil
	}
	p.out.Attempts++
	types := policy.TypesOf(t.Type)
	if t.Type == "" {
		types = 0
		for _, target := range sub.Targets {
			types |= policy.TypesOf(target.Type)
		}
	}
	q := policy.Question{
		Action: t.Action, User: t.User, Groups: sub.Groups, Role: sub.Role, SafeRole: sub.SafeRole, Safe: sub.Safe, Types: types, From: t.From, At: t.At,
		Fresh: true, Rules: p.before.safes[t.Safe],
	}
	// What the Safe's own controls are today says nothing about then.
	q.Safe.Locked, q.Safe.Expires, q.Safe.Hours, q.Safe.Checkout = false, time.Time{}, nil, true
	before := policy.Evaluate(&q)
	q.Rules = p.after.safes[t.Safe]
	after := policy.Evaluate(&q)
	g := group{t.User, t.Safe, outcome(before), outcome(after)}
	if g.before == g.after && before.Approvers == after.Approvers {
		return nil
	}
	c := p.groups[g]
	if c == nil {
		c = &Change{User: t.User, Safe: t.Safe, SafeName: sub.SafeName, Before: g.before, After: g.after, Why: because(before, after, &q)}
		p.groups[g] = c
	}
	c.Attempts++
	if t.At.After(c.LastAt) {
		c.LastAt = t.At
	}
	return nil
}

// because words what makes the difference.
func because(before, after policy.Decision, q *policy.Question) string {
	if why := after.Refusal(q); why != "" {
		return why
	}
	if after.Rule != nil {
		return "The policy “" + after.Rule.Name + "” allows this."
	}
	if before.Rule != nil {
		return "The policy “" + before.Rule.Name + "” no longer stands in the way."
	}
	return "No policy stands in the way any more."
}

func outcome(d policy.Decision) Outcome {
	switch {
	case d.Effect == policy.Deny:
		return Denied
	case d.Effect == policy.RequireApproval:
		return NeedsApproval
	case !d.Open():
		return NeedsFactor
	}
	return Allowed
}

func (p *preview) subject(ctx context.Context, t Attempt) (*Subject, error) {
	key := [2]string{string(t.User), string(t.Safe)}
	if sub, ok := p.subjects[key]; ok {
		return sub, nil
	}
	sub, err := p.service.store.Subject(ctx, p.actor.Org, t.Safe, t.User, p.now)
	if err != nil && !pam.Is(err, pam.NotFound) {
		return nil, err
	}
	var out *Subject
	if err == nil && sub.Role != "" && sub.SafeRole != "" {
		out = &sub
	}
	p.subjects[key] = out
	return out, nil
}

// finish brings the changes into order, what is lost first, and names people.
func (p *preview) finish(ctx context.Context) error {
	ids := make([]string, 0, len(p.groups))
	for _, c := range p.groups {
		p.out.Changes = append(p.out.Changes, *c)
		ids = append(ids, string(c.User))
	}
	names, err := p.service.store.Labels(ctx, p.actor.Org, ids)
	if err != nil {
		return err
	}
	for i := range p.out.Changes {
		p.out.Changes[i].UserName = names[string(p.out.Changes[i].User)]
	}
	slices.SortFunc(p.out.Changes, func(a, b Change) int {
		return cmp.Or(a.opens()-b.opens(), cmp.Compare(a.UserName, b.UserName), cmp.Compare(a.User, b.User), cmp.Compare(a.Safe, b.Safe), cmp.Compare(a.After, b.After))
	})
	if len(p.out.Changes) > maxChanges {
		p.out.Changes, p.out.Truncated = p.out.Changes[:maxChanges], true
	}
	return nil
}

// opens is negative for what is lost.
func (c Change) opens() int {
	return cmp.Compare(slices.Index(outcomes, c.After), slices.Index(outcomes, c.Before))
}
