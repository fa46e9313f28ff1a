package safe

import (
	"context"
	"slices"

	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// Bound says whether a Safe binds the account to the resource.
func (f AccountFacts) Bound(r pam.ResourceID) bool {
	return slices.ContainsFunc(f.Holders, func(h Holder) bool { return h.Resource == r })
}

// Redirects says whether binding the account to r would send its credential
// to where none of its Safes sends it yet. An account in no Safe rests on
// nobody's word but its creator's.
func (f AccountFacts) Redirects(r pam.ResourceID) bool {
	return f.Resource == "" && len(f.Holders) > 0 && !f.Bound(r)
}

// mayBind says whether the actor may bind the account: as a manager of a Safe
// that holds it, or as its creator while it is in none. A right over all
// accounts of the organization is not enough, else an administrator could
// reach every secret by a Safe of their own.
func (f AccountFacts) mayBind(a pam.Actor) bool {
	if len(f.Holders) == 0 {
		return policy.Allowed(policy.AccountBind, policy.Of(a, "").Owning(f.CreatedBy == a.User))
	}
	return slices.ContainsFunc(f.Holders, func(h Holder) bool {
		return policy.Allowed(policy.AccountBind, policy.Of(a, h.Role))
	})
}

// knows says whether the actor may know that the account exists.
func (f AccountFacts) knows(a pam.Actor) bool {
	role := pam.SafeRole("")
	for _, h := range f.Holders {
		if h.Role != "" {
			role = h.Role
		}
	}
	return policy.Allowed(policy.AccountSee, policy.Of(a, role).Owning(f.CreatedBy == a.User))
}

// missing returns the bindings of a that b does not have.
func missing(a, b []Binding) []Binding {
	var out []Binding
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// decideBindings applies the rules on binding to what the actor adds. It
// returns the facts that the decision rests on, and whether it is a
// redirection.
func (s *Service) decideBindings(ctx context.Context, op string, a pam.Actor, added []Binding) (facts []AccountFacts, redirects bool, err error) {
	if len(added) == 0 {
		return nil, false, nil
	}
	var accounts []pam.AccountID
	for _, b := range added {
		if !slices.Contains(accounts, b.AccountID) {
			accounts = append(accounts, b.AccountID)
		}
	}
	slices.Sort(accounts)
	facts, err = s.store.AccountFacts(ctx, a.Org, accounts, a.User, s.clock.Now())
	if err != nil {
		return nil, false, err
	}
	var ps pam.Problems
	for _, b := range added {
		i := slices.IndexFunc(facts, func(f AccountFacts) bool { return f.Account == b.AccountID })
		switch {
		case i < 0 || !facts[i].knows(a):
			ps.Add("bindings.account_id", "names no account of this organization")
		case !facts[i].mayBind(a):
			return nil, false, pam.Errorf(pam.Denied, op, "Only a manager of a Safe that holds the account may bind it, or its creator while it is in none.")
		case facts[i].Resource != "" && facts[i].Resource != b.ResourceID:
			ps.Add("bindings.resource_id", "is not the resource that the account belongs to")
		default:
			redirects = redirects || facts[i].Redirects(b.ResourceID)
		}
	}
	return facts, redirects, ps.Err(op)
}
