package broker

import (
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
)

// facts is everything that a decision rests on.
type facts struct {
	actor    pam.Actor
	action   policy.Action // SessionLaunch or CredentialReveal
	safe     safe.Safe
	rules    policy.Set        // that are assigned to the Safe
	grants   []policy.Grant    // of the actor for the Safe
	command  string            // the hash of the only command that is to be run
	types    policy.Types      // of what is to be reached or revealed
	resource resource.Resource // of a launch
	protocol pam.Protocol      // that the client speaks; "" any
	sealed   bool
	held     bool // an unconfirmed redirection holds the credential back
	now      time.Time
	// emergency asks for break-glass; declared says that it did so at a launch.
	emergency, declared bool
}

// question is the part of f that memberships, the Safe and policies answer.
func (f facts) question() policy.Question {
	return policy.Question{
		Action: f.action, User: f.actor.User, Groups: f.actor.Groups, Role: f.actor.Role, SafeRole: f.safe.Role, Safe: f.safe.Controls(), Rules: f.rules,
		Grants: f.grants, Command: f.command, Emergency: f.emergency, Declared: f.declared,
		Types: f.types, From: f.actor.From, At: f.now, Fresh: f.actor.Fresh(f.now), Factor: f.actor.SecondFactor,
	}
}

// decide says no, with the first reason in the order of the contract (token,
// organization, membership or grant, lock, policies, approval, step-up, vault,
// connector), or nil; and what decided. It is pure.
func decide(f facts) (policy.Question, policy.Decision, *pam.Error) {
	q := f.question()
	if no := f.entered(); no != nil {
		return q, policy.Decision{Effect: policy.Deny, Step: policy.Membership}, no
	}
	d := policy.Evaluate(&q)
	if no := f.refusal(&q, d); no != nil {
		return q, d, no
	}
	switch {
	case f.sealed:
		return q, d, refuse(pam.Sealed, "Vault is sealed — credential access unavailable")
	case f.held && f.resource.ID != "":
		return q, d, redirected()
	case f.held:
		return q, d, refuse(pam.Conflict, "The account was moved to another resource: a manager of the safe must confirm it first.")
	case f.action == policy.CredentialReveal:
	case f.protocol != "" && f.resource.Type != f.protocol:
		return q, d, refuse(pam.Denied, "%s is a %s resource: it cannot be reached by %s.", f.resource.Name, f.resource.Type, f.protocol)
	case len(f.resource.ConnectorIDs) > 0:
		return q, d, refuse(pam.Unavailable, "No connector of this resource is online.")
	}
	return q, d, nil
}

func refuse(k pam.Kind, format string, args ...any) *pam.Error {
	return pam.Errorf(k, "launch", format, args...)
}

// entered refuses who is not there at all.
func (f facts) entered() *pam.Error {
	scope := "sessions:launch"
	if f.action == policy.CredentialReveal {
		scope = "credentials:checkout"
	}
	switch {
	case !f.actor.HasScope(scope):
		return refuse(pam.ScopeMissing, "The token lacks the scope %s.", scope)
	case !f.actor.Role.Valid():
		return refuse(pam.OrgDenied, "You have no access to this organization.")
	}
	return nil
}

// refused is the kind of each step that stands in the way.
var refused = map[policy.Step]pam.Kind{
	policy.Lock: pam.Locked, policy.ValidHours: pam.PolicyDenied, policy.Expiry: pam.CredentialExpired, policy.Policies: pam.PolicyDenied,
	policy.Approval: pam.ApprovalNeeded, policy.StepUpNow: pam.StepUpNeeded,
}

// refusal words a decision that does not open; nil for one that does.
func (f facts) refusal(q *policy.Question, d policy.Decision) *pam.Error {
	if d.Open() {
		return nil
	}
	if kind, ok := refused[d.Step]; ok {
		text := d.Refusal(q)
		if d.Step == policy.Approval {
			text += " Ask for one in the console, or with: vaultpam request " + f.safe.Slug
		}
		return refuse(kind, "%s", text)
	}
	if f.action == policy.CredentialReveal {
		return refuse(pam.Denied, "You do not have permission to check out this credential")
	}
	return refuse(pam.Denied, "You do not have permission to launch sessions from this safe")
}

// redirected refuses a credential that an unconfirmed redirection of its
// resource holds back.
func redirected() *pam.Error {
	return pam.Errorf(pam.Conflict, "launch", "The address of this resource has changed: a manager of the safe must confirm it first.")
}

// stands says why a live session may not go on, or nil. q is what access to the
// Safe rests on now.
func stands(st Standing, q *policy.Question) *Cut {
	switch {
	case st.KillReason != "":
		return &Cut{Reason: st.KillReason, Sentence: "This session was " + st.KillReason + "."}
	case !st.OrgRole.Valid():
		return &Cut{Reason: "organization membership ended", Sentence: "This session was ended: you are no longer an active member of the organization."}
	}
	c := still(q)
	if !st.Bound && (c == nil || c.step > policy.Lock) {
		return &Cut{Reason: "binding removed", Sentence: "This session was ended: the safe no longer grants this account and resource."}
	}
	return c
}

// still says why access that was given would not be given now, or nil.
func still(q *policy.Question) *Cut {
	d := policy.Evaluate(q)
	if d.Open() {
		return nil
	}
	c := &Cut{step: d.Step}
	switch d.Step {
	case policy.Lock:
		c.Reason, c.Sentence = "safe locked", "This session was ended: the safe was locked."
	case policy.ValidHours:
		c.Reason, c.Sentence = "valid hours over", "This session was ended: the valid hours of the safe are over."
	case policy.Policies:
		c.Reason, c.Sentence = "refused by "+d.Decider(q), "This session was ended. "+d.Refusal(q)
	case policy.Approval:
		c.Reason, c.Sentence = "approval needed", "This session was ended: it needs an approval, and there is none any more."
	default:
		c.Reason, c.Sentence = "access removed", "This session was ended: your access to the safe was removed."
	}
	return c
}

// Cut is why a session was ended by the broker. It is the cause of the end of
// Live.Context.
type Cut struct {
	Reason   string // for the record
	Sentence string // for the user
	Failed   bool   // the session failed, rather than ended

	step policy.Step // of a decision that ended it
}

func (c *Cut) Error() string { return c.Sentence }
