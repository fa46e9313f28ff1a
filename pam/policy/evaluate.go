package policy

import (
	"net/netip"
	"slices"
	"time"

	"vaultpam/pam"
)

// Question is everything that a decision on access rests on.
type Question struct {
	Action Action // SessionLaunch, CredentialReveal or RequestCreate
	User   pam.UserID
	Groups []pam.GroupID
	Role   pam.Role // in the organization

	SafeRole pam.SafeRole // as a member, or through a group; "" without one
	Grants   []Grant      // of the user for this Safe
	Command  string       // SHA-256, in hex, of the only command that is to be run; "" otherwise
	Safe     Controls
	Rules    Set // the active policies that are assigned to the Safe
	// Emergency asks for break-glass: whoever is named for it in the Safe gets
	// in without a role in it and without an approval, and past nothing else.
	Emergency bool
	Declared  bool // the emergency was at a launch, which is taken over now

	Types Types      // of the resources in question; 0: not known
	From  netip.Addr // of the client; the zero Addr: not known
	At    time.Time

	Fresh  bool // authenticated just now
	Factor bool // has shown a second factor
	// Live says that access was given and is looked at again: what has to be
	// shown at the door is not asked for a second time.
	Live bool
}

// Controls is what a Safe itself says.
type Controls struct {
	Locked      bool
	Hours       *Week
	Expires     time.Time // of its credentials; zero: never
	Approvers   int       // 0, 1 or 2
	StepUp      bool
	Checkout    bool // secrets may be revealed
	Requestable bool
	BreakGlass  []pam.UserID // who is named for emergencies
}

// Grant is access that somebody approved, for a time.
type Grant struct {
	ID           pam.GrantID
	Approvers    int // how many people have agreed
	Starts, Ends time.Time
	Command      string // the SHA-256, in hex, of the only command that it allows; "" for any session
}

func (g *Grant) holds(q *Question) bool {
	return !q.At.Before(g.Starts) && q.At.Before(g.Ends) && (g.Command == "" || g.Command == q.Command)
}

// better says whether g is to be taken rather than another: one in which more
// people agree, else one that is not used up.
func (g *Grant) better(other *Grant) bool {
	return other == nil || g.Approvers > other.Approvers || g.Approvers == other.Approvers && g.Command == "" && other.Command != ""
}

// Step is a place in the order of a decision.
type Step uint8

// The steps, in the order of the contract. Passed: nothing refuses.
const (
	Passed Step = iota
	Membership
	CheckoutOff
	Lock
	ValidHours
	Expiry
	Policies
	Approval
	StepUpNow
)

// Decision is the answer to a Question.
type Decision struct {
	Effect Effect
	Step   Step  // that refused, or wants something; Passed if none does
	Rule   *Rule // the policy that decided; nil where none did
	// Grant is what the access rests on beside, or instead of, a membership.
	Grant pam.GrantID

	Approvers  int  // how many must agree, or have agreed
	MaxSeconds int  // the longest grant that the policies want; 0: no limit of theirs
	AutoExpire bool // sessions end with the grant
	// What is still to be shown before the door opens, where Effect is Allow.
	Again  bool // authenticate again
	Factor bool // show a second factor
}

// Open says whether nothing is left to be asked for.
func (d Decision) Open() bool { return d.Effect == Allow && !d.Again && !d.Factor }

// Evaluate decides. It allocates nothing.
func Evaluate(q *Question) Decision {
	v := verdict{}
	v.walk(q)
	return v.Decision
}

// Explain decides as Evaluate does, and says of every rule what it comes to,
// also of those behind the one that decided.
func Explain(q *Question) (Decision, []Reason) {
	v := verdict{trace: &trace{}}
	v.walk(q)
	return v.Decision, v.trace.reasons
}

// verdict is a decision under way. Without a trace the first refusal ends it.
type verdict struct {
	Decision
	trace *trace
}

// settle keeps the first thing that speaks against access, and says whether
// there is nothing more to look at.
func (v *verdict) settle(e Effect, s Step, r *Rule) bool {
	if v.Step == Passed {
		v.Effect, v.Step, v.Rule = e, s, r
	}
	return v.trace == nil
}

func (v *verdict) walk(q *Question) {
	grant := v.member(q)
	if v.Step != Passed && v.trace == nil || v.safe(q) {
		return
	}
	found, done := v.policies(q)
	if done {
		return
	}
	if q.Action != RequestCreate {
		v.approval(q, grant, found)
		v.stepUp(q, found)
	}
	if v.Step == Passed {
		v.Effect, v.Rule = Allow, found.allows
	}
}

// member asks for the role in the Safe, or for a grant instead of one. It
// returns the grant in which most people agree.
func (v *verdict) member(q *Question) *Grant {
	var best *Grant
	for i := range q.Grants {
		if g := &q.Grants[i]; g.holds(q) && g.better(best) {
			best = g
		}
	}
	f := Facts{Role: q.Role, SafeRole: q.SafeRole}
	switch {
	case q.Emergency && q.named():
		v.trace.say(ruleBreakGlass, Allow, "Named for emergencies of this safe.")
	case q.Emergency:
		v.settle(Deny, Membership, nil)
		v.trace.say(ruleBreakGlass, Deny, "Not named for emergencies of this safe.")
	case Allowed(q.Action, f):
		v.trace.member(q)
	case best != nil && Allowed(q.Action, Facts{Role: q.Role, SafeRole: pam.SafeOperator}):
		v.Grant = best.ID
		v.trace.granted(best)
	case q.Action == RequestCreate && q.Safe.Requestable && q.Role.Valid() && q.Role != pam.Auditor:
		v.trace.requestable()
	default:
		v.settle(Deny, Membership, nil)
		v.trace.noMember(q)
	}
	return best
}

// named says whether the user may go in by break-glass. An auditor only reads,
// whoever names them.
func (q *Question) named() bool {
	return (q.Action == SessionLaunch || q.Action == CredentialReveal) && q.Role.Valid() && q.Role != pam.Auditor && q.User != "" &&
		slices.Contains(q.Safe.BreakGlass, q.User)
}

// safe asks what the Safe itself says against it.
func (v *verdict) safe(q *Question) (done bool) {
	c := &q.Safe
	if q.Action == CredentialReveal && !c.Checkout {
		v.trace.say(ruleCheckout, Deny, "Secrets of this safe are not checked out.")
		if v.settle(Deny, CheckoutOff, nil) {
			return true
		}
	}
	if c.Locked {
		v.trace.say(ruleLock, Deny, "The safe is locked.")
		if v.settle(Deny, Lock, nil) {
			return true
		}
	}
	in := c.Hours.Contains(q.At)
	v.trace.hours(c.Hours, in, q.At)
	if !in && v.settle(Deny, ValidHours, nil) {
		return true
	}
	if !c.Expires.IsZero() && !q.At.Before(c.Expires) {
		v.trace.say(ruleExpiry, Deny, "The time for which the safe's credentials may be used is over.")
		if v.settle(Deny, Expiry, nil) {
			return true
		}
	}
	return false
}

// found is what the policies that apply come to.
type found struct {
	need   int   // how many people must agree
	by     *Rule // the policy that wants so many; nil: the Safe itself, or nobody
	factor *Rule // a policy of approval that demands a second factor
	allows *Rule
}

// policies asks the rules.
func (v *verdict) policies(q *Question) (f found, done bool) {
	f.need = q.Safe.Approvers
	from, guarded := q.From.Unmap().WithZone(""), false
	for _, r := range q.Rules {
		fails := r.applies(q, from)
		v.trace.rule(r, fails)
		guarded = guarded || r.Effect == Allow
		if fails != holds {
			continue
		}
		switch r.Effect {
		case Deny:
			if v.settle(Deny, Policies, r) {
				return f, true
			}
		case RequireApproval:
			v.limit(r.JIT)
			if r.JIT.Approvers > f.need {
				f.need, f.by = r.JIT.Approvers, r
			}
			if r.Factor && f.factor == nil {
				f.factor = r
			}
		case Allow:
			// One that demands nothing more is enough.
			if f.allows == nil || f.allows.Factor && !r.Factor {
				f.allows = r
			}
		}
	}
	if guarded && f.allows == nil {
		v.trace.say(rulePolicies, Deny, "Policies that allow are assigned to the safe, and none of them applies.")
		if v.settle(Deny, Policies, nil) {
			return f, true
		}
	}
	return f, false
}

// limit keeps the stricter of what policies say of a grant.
func (v *verdict) limit(j JIT) {
	if j.MaxSeconds > 0 && (v.MaxSeconds == 0 || j.MaxSeconds < v.MaxSeconds) {
		v.MaxSeconds = j.MaxSeconds
	}
	v.AutoExpire = v.AutoExpire || j.AutoExpire
}

// approval asks whether enough people have agreed.
func (v *verdict) approval(q *Question, grant *Grant, f found) {
	v.Approvers = f.need
	switch {
	case f.need == 0:
	case q.Emergency:
		v.trace.say(ruleBreakGlass, Allow, "In an emergency nobody has to agree first.")
	case grant != nil && grant.Approvers >= f.need:
		v.Grant = grant.ID
		v.trace.approved(grant, f.need)
	default:
		v.trace.unapproved(f)
		v.settle(RequireApproval, Approval, f.by)
	}
}

// stepUp notes what is to be shown at the door.
func (v *verdict) stepUp(q *Question, f found) {
	if q.Live {
		return
	}
	if f.allows != nil && f.allows.Factor {
		f.factor = f.allows
	}
	v.trace.stepUp(q, f.factor)
	v.Again, v.Factor = (q.Safe.StepUp || q.Emergency && !q.Declared) && !q.Fresh, f.factor != nil && !q.Factor
	if v.Step == Passed && (v.Again || v.Factor) {
		v.Effect, v.Step = Allow, StepUpNow
		if v.Factor {
			v.Rule = f.factor
		}
	}
}
