package rulebook

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// Hypothesis asks what would happen.
type Hypothesis struct {
	User      pam.UserID // "": the actor
	Safe      pam.SafeID
	Action    policy.Action  // "": SessionLaunch
	Resource  pam.ResourceID // "": all that the Safe binds
	At        time.Time      // zero: now
	From      netip.Addr     // not valid: the actor's own address, where they ask about themselves
	Emergency bool           // by break-glass
}

// Answer is a decision and what every rule says to it.
type Answer struct {
	policy.Decision
	Question policy.Question
	Reasons  []policy.Reason
	Targets  []Target // of the Safe
}

// Decide answers a hypothesis by the function that decides on real attempts.
// Everybody may ask about themselves and the Safes that they may see; about
// others, those who may try decisions.
func (s *Service) Decide(ctx context.Context, a pam.Actor, h Hypothesis) (Answer, error) {
	const op = "try access decision"
	if h.User == "" {
		h.User = a.User
	}
	own := h.User == a.User
	if !policy.Allowed(policy.PolicyTry, policy.Of(a, "").Owning(own)) {
		return Answer{}, pam.Errorf(pam.Denied, op, "You may ask about yourself alone.")
	}
	now := s.clock.Now()
	if h.At.IsZero() {
		h.At = now
	}
	if h.Action == "" {
		h.Action = policy.SessionLaunch
	}
	if !h.From.IsValid() && own {
		h.From = a.From
	}
	sub, err := s.store.Subject(ctx, a.Org, h.Safe, h.User, h.At)
	if err != nil {
		return Answer{}, pam.Wrap(op, err)
	}
	if !policy.Allowed(policy.PolicyTry, policy.Of(a, "")) && !sub.visible(a, h.Emergency) {
		return Answer{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	if !own && sub.Role == "" {
		return Answer{}, unknownUser(op)
	}
	if own {
		sub.Groups = a.Groups
	}
	q, err := s.question(ctx, op, a.Org, sub, h)
	if err != nil {
		return Answer{}, err
	}
	if own && h.At.Equal(now) {
		q.Fresh, q.Factor = a.Fresh(now), a.SecondFactor
	}
	return explain(q, sub), nil
}

// visible says whether the actor, who is the subject, knows that there is such
// a Safe. As at the door, whoever is named for its emergencies does in one.
func (sub Subject) visible(a pam.Actor, emergency bool) bool {
	return policy.Allowed(policy.SafeSee, policy.Of(a, sub.SafeRole)) || sub.Safe.Requestable || len(sub.Grants) > 0 ||
		emergency && slices.Contains(sub.Safe.BreakGlass, a.User)
}

// Verdict says what a launch by a user would come to at a time, from an address
// that is not known and with everything shown that may be asked for at the
// door. It is for callers who have made sure that whoever asks may know.
func (s *Service) Verdict(ctx context.Context, org pam.OrgID, user pam.UserID, safe pam.SafeID, at time.Time) (Answer, error) {
	const op = "say what an attempt would come to"
	sub, err := s.store.Subject(ctx, org, safe, user, at)
	if err != nil {
		return Answer{}, pam.Wrap(op, err)
	}
	q, err := s.question(ctx, op, org, sub, Hypothesis{User: user, Safe: safe, Action: policy.SessionLaunch, At: at})
	return explain(q, sub), err
}

func (s *Service) question(ctx context.Context, op string, org pam.OrgID, sub Subject, h Hypothesis) (policy.Question, error) {
	rules, err := s.books.Rules(ctx, org)
	if err != nil {
		return policy.Question{}, pam.Wrap(op, err)
	}
	return sub.question(op, h, rules[h.Safe])
}

func explain(q policy.Question, sub Subject) Answer {
	out := Answer{Question: q, Targets: sub.Targets}
	out.Decision, out.Reasons = policy.Explain(&q)
	return out
}

func unknownUser(op string) error {
	var ps pam.Problems
	ps.Add("user_id", "is no active member of this organization")
	return ps.Err(op)
}

// question makes a question of what is known.
func (sub Subject) question(op string, h Hypothesis, rules policy.Set) (policy.Question, error) {
	var types []pam.Protocol
	known := h.Resource == ""
	for _, t := range sub.Targets {
		if h.Resource == "" || h.Resource == t.Resource {
			known = true
			types = append(types, t.Type)
		}
	}
	if !known {
		var ps pam.Problems
		ps.Add("resource_id", "is not bound to this safe")
		return policy.Question{}, ps.Err(op)
	}
	return policy.Question{
		Action: h.Action, User: h.User, Groups: slices.Clone(sub.Groups), Role: sub.Role, SafeRole: sub.SafeRole, Grants: sub.Grants, Safe: sub.Safe,
		Rules: rules, Types: policy.TypesOf(types...), From: h.From, At: h.At, Emergency: h.Emergency,
	}, nil
}
