package policy

import (
	"fmt"
	"strings"
	"time"

	"vaultpam/pam"
)

// Reason is what one rule says to a question.
type Reason struct {
	Rule   string       // a constant, or the id of a policy
	Policy pam.PolicyID // of a policy
	Name   string       // of a policy
	Effect string       // of the rule here: an Effect, "step_up", or "none" where it does not apply
	Why    string
}

// The rules that are no policies.
const (
	ruleMembership = "membership"
	ruleGrant      = "grant"
	ruleRequest    = "requestable"
	ruleCheckout   = "checkout"
	ruleLock       = "lock"
	ruleHours      = "valid_hours"
	ruleExpiry     = "credential_expires_at"
	rulePolicies   = "policies"
	ruleApproval   = "approval"
	ruleStepUp     = "step_up"
	ruleBreakGlass = "break_glass"
)

// Effects of a rule beside those of policies.
const (
	effectNone   = "none"
	effectStepUp = "step_up"
)

// trace collects reasons. A nil trace collects none, and costs nothing.
type trace struct{ reasons []Reason }

func (t *trace) say(rule string, e Effect, why string) {
	if t != nil {
		t.reasons = append(t.reasons, Reason{Rule: rule, Effect: string(e), Why: why})
	}
}

func (t *trace) member(q *Question) {
	if t != nil {
		t.say(ruleMembership, Allow, "Role in the safe: "+string(Effective(q.Role, q.SafeRole))+".")
	}
}

func (t *trace) noMember(q *Question) {
	switch {
	case t == nil:
	case !q.Role.Valid():
		t.say(ruleMembership, Deny, "No active member of the organization.")
	case q.SafeRole == "":
		t.say(ruleMembership, Deny, "No member of the safe, and no grant for it.")
	case q.Role == pam.Auditor:
		t.say(ruleMembership, Deny, "An auditor only sees, whatever their role in the safe.")
	default:
		t.say(ruleMembership, Deny, "The role in the safe is "+string(q.SafeRole)+", which is not enough.")
	}
}

func (t *trace) granted(g *Grant) {
	if t != nil {
		t.say(ruleGrant, Allow, "The grant "+string(g.ID)+" holds until "+g.Ends.UTC().Format(time.RFC3339)+".")
	}
}

func (t *trace) requestable() {
	t.say(ruleRequest, Allow, "Whoever is in the organization may request this safe.")
}

func (t *trace) hours(w *Week, in bool, at time.Time) {
	switch {
	case t == nil || w == nil:
	case in:
		t.say(ruleHours, Allow, "Within the valid hours of the safe: "+w.text+".")
	default:
		t.say(ruleHours, Deny, "Outside of the valid hours of the safe: "+w.text+"; there it is "+w.local(at)+".")
	}
}

// local is the time on the wall where the hours count.
func (w *Week) local(at time.Time) string {
	if w.zone == nil {
		return "an unknown time"
	}
	return strings.ToLower(at.In(w.zone).Format("Mon 15:04"))
}

func (t *trace) rule(r *Rule, f failure) {
	if t == nil {
		return
	}
	x := Reason{Rule: string(r.ID), Policy: r.ID, Name: r.Name, Effect: string(r.Effect), Why: r.why(f)}
	if f != holds {
		x.Effect = effectNone
	}
	t.reasons = append(t.reasons, x)
}

// why words what became of a rule. It names no people and no addresses: whoever
// asks about themselves does not learn of others.
func (r *Rule) why(f failure) string {
	switch f {
	case notInTime:
		return "It is outside of its hours: " + r.week.text + "."
	case notFromThere:
		return "The client's address is in none of its ranges."
	case notThatType:
		return "It is about other types of resources."
	case notAboutThem:
		return "It is about other users, groups or roles."
	}
	what := "All its conditions hold"
	if r.week == nil && len(r.nets) == 0 && r.types == 0 && !r.about {
		what = "It has no conditions"
	}
	switch {
	case r.Effect == RequireApproval:
		what += fmt.Sprintf("; it wants the approval of %s", people(r.JIT.Approvers))
	case r.Effect == Deny:
		what += "; what denies wins"
	}
	if r.Factor && r.Effect != Deny {
		what += "; it demands a second factor"
	}
	return what + "."
}

func people(n int) string {
	if n == 1 {
		return "one person"
	}
	return fmt.Sprintf("%d different people", n)
}

func (t *trace) approved(g *Grant, need int) {
	if t != nil {
		t.say(ruleApproval, Allow, fmt.Sprintf("The approval of %s is there: the grant %s.", people(need), g.ID))
	}
}

func (t *trace) unapproved(f found) {
	switch {
	case t == nil:
	case f.by != nil:
		t.say(ruleApproval, RequireApproval, "The policy “"+f.by.Name+"” wants the approval of "+people(f.need)+", and there is no grant.")
	default:
		t.say(ruleApproval, RequireApproval, "The safe wants the approval of "+people(f.need)+", and there is no grant.")
	}
}

func (t *trace) stepUp(q *Question, factor *Rule) {
	if t == nil {
		return
	}
	if q.Safe.StepUp {
		r := Reason{Rule: ruleStepUp, Effect: effectStepUp, Why: "The safe asks to authenticate again."}
		if q.Fresh {
			r.Effect, r.Why = string(Allow), "The safe asks to authenticate again, which was done just now."
		}
		t.reasons = append(t.reasons, r)
	}
	if q.Emergency && !q.Declared {
		r := Reason{Rule: ruleBreakGlass, Effect: effectStepUp, Why: "An emergency asks to authenticate again."}
		if q.Fresh {
			r.Effect, r.Why = string(Allow), "An emergency asks to authenticate again, which was done just now."
		}
		t.reasons = append(t.reasons, r)
	}
	if factor != nil {
		r := Reason{Rule: string(factor.ID), Policy: factor.ID, Name: factor.Name, Effect: effectStepUp, Why: "It demands a second factor."}
		if q.Factor {
			r.Effect, r.Why = string(Allow), "It demands a second factor, which was shown."
		}
		t.reasons = append(t.reasons, r)
	}
}

// Decider names what decided, for the record.
func (d Decision) Decider(q *Question) string {
	switch {
	case d.Rule != nil:
		return "policy " + string(d.Rule.ID)
	case d.Step == Membership:
		return ruleMembership
	case d.Step == CheckoutOff:
		return ruleCheckout
	case d.Step == Lock:
		return ruleLock
	case d.Step == ValidHours:
		return ruleHours
	case d.Step == Expiry:
		return ruleExpiry
	case d.Step == Policies:
		return rulePolicies
	case d.Step == Approval:
		return ruleApproval
	case d.Step == StepUpNow:
		return ruleStepUp
	case q.Emergency:
		return ruleBreakGlass
	case d.Grant != "":
		return "grant " + string(d.Grant)
	}
	return "safe membership as " + string(Effective(q.Role, q.SafeRole))
}

// Refusal words what stands in the way, for whoever asked; "" where nothing
// does.
func (d Decision) Refusal(q *Question) string {
	switch d.Step {
	case ValidHours:
		if q.Safe.Hours.zone == nil {
			return "This safe cannot be used at this hour."
		}
		return "This safe cannot be used at this hour: its valid hours are " + q.Safe.Hours.text + "."
	case Lock:
		return "This safe is locked"
	case Expiry:
		return "Credential policy expired"
	case Policies:
		if d.Rule != nil {
			return "The policy “" + d.Rule.Name + "” refuses this."
		}
		return "No policy of this safe allows this" + onlyWhy(q) + "."
	case Approval:
		if d.Rule != nil {
			return "The policy “" + d.Rule.Name + "” asks for the approval of " + people(d.Approvers) + ", and you have no grant."
		}
		return "This safe needs an approval, and you have no grant."
	case StepUpNow:
		if d.Rule != nil {
			return "The policy “" + d.Rule.Name + "” asks for a second factor: authenticate again with one."
		}
		if q.Emergency {
			return "An emergency asks you to authenticate again first."
		}
		return "This safe asks you to authenticate again first."
	}
	return ""
}

// onlyWhy says why the only policy that allows does not apply; "" where there
// are several.
func onlyWhy(q *Question) string {
	var only *Rule
	for _, r := range q.Rules {
		if r.Effect == Allow {
			if only != nil {
				return ""
			}
			only = r
		}
	}
	if only == nil {
		return ""
	}
	why := strings.TrimSuffix(only.why(only.applies(q, q.From.Unmap().WithZone(""))), ".")
	return ": of “" + only.Name + "”: " + strings.ToLower(why[:1]) + why[1:]
}
