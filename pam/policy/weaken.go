package policy

import "slices"

// Weaker says, in words, how the rules of a Safe protect less after a change
// than before it; "" where they do not. It errs on the side of saying so.
func Weaker(before, after Set) string {
	// Before, no policy had to allow.
	opened := !slices.ContainsFunc(before, (*Rule).allows)
	if !opened && !slices.ContainsFunc(after, (*Rule).allows) {
		return "no policy has to allow any more"
	}
	for _, r := range before {
		if slices.Contains(after, r) {
			continue
		}
		switch r.Effect {
		case Deny:
			if !slices.ContainsFunc(after, func(n *Rule) bool { return n.Effect == Deny && n.covers(r) }) {
				return "“" + r.Name + "” denies less"
			}
		case RequireApproval:
			if !slices.ContainsFunc(after, func(n *Rule) bool { return n.holdsBack(r) && n.covers(r) }) {
				return "“" + r.Name + "” asks for less approval"
			}
		}
	}
	for _, n := range after {
		if opened || n.Effect != Allow || slices.Contains(before, n) {
			continue
		}
		if !slices.ContainsFunc(before, func(r *Rule) bool { return r.Effect == Allow && r.covers(n) && (n.Factor || !r.Factor) }) {
			return "“" + n.Name + "” allows more"
		}
	}
	return ""
}

func (r *Rule) allows() bool { return r.Effect == Allow }

// holdsBack says whether r asks for at least what an approval rule old does.
func (r *Rule) holdsBack(old *Rule) bool {
	if r.Effect == Deny {
		return true
	}
	return r.Effect == RequireApproval && r.JIT.Approvers >= old.JIT.Approvers && (r.Factor || !old.Factor) &&
		(r.JIT.AutoExpire || !old.JIT.AutoExpire) && (old.JIT.MaxSeconds == 0 || r.JIT.MaxSeconds > 0 && r.JIT.MaxSeconds <= old.JIT.MaxSeconds)
}

// covers says whether r applies wherever o does.
func (r *Rule) covers(o *Rule) bool {
	return r.week.covers(o.week) && r.coversNets(o) && (r.types == 0 || o.types != 0 && o.types&^r.types == 0) && r.coversPeople(o)
}

func (r *Rule) coversNets(o *Rule) bool {
	if len(r.nets) == 0 {
		return true
	}
	return len(o.nets) > 0 && !slices.ContainsFunc(o.nets, func(s span) bool { return !contains(r.nets, s) })
}

// contains says whether one of the spans holds all of s; they are joined where
// they touch.
func contains(spans []span, s span) bool {
	return slices.ContainsFunc(spans, func(x span) bool { return within([]span{x}, s.from) && within([]span{x}, s.to) })
}

func (r *Rule) coversPeople(o *Rule) bool {
	if !r.about {
		return true
	}
	if !o.about || o.roles&^r.roles != 0 {
		return false
	}
	for u := range o.users {
		if _, ok := r.users[u]; !ok {
			return false
		}
	}
	for g := range o.groups {
		if _, ok := r.groups[g]; !ok {
			return false
		}
	}
	return true
}
