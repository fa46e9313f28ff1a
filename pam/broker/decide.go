package broker

import (
	"fmt"
	"strings"
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
	resource resource.Resource // of a launch
	protocol pam.Protocol      // that the client speaks; "" any
	sealed   bool
	held     bool // an unconfirmed redirection holds the credential back
	now      time.Time
}

// decide says no, with the first reason in the order of the contract (token,
// organization, membership, lock, policies, approval, step-up, vault,
// connector), or nil. It is pure.
func decide(f facts) *pam.Error {
	refuse := func(k pam.Kind, format string, args ...any) *pam.Error {
		return pam.Errorf(k, "launch", format, args...)
	}
	reveal := f.action == policy.CredentialReveal
	scope, denied := "sessions:launch", "You do not have permission to launch sessions from this safe"
	if reveal {
		scope, denied = "credentials:checkout", "You do not have permission to check out this credential"
	}
	switch {
	case !f.actor.HasScope(scope):
		return refuse(pam.ScopeMissing, "The token lacks the scope %s.", scope)
	case !f.actor.Role.Valid():
		return refuse(pam.OrgDenied, "You have no access to this organization.")
	case !policy.Allowed(f.action, policy.Of(f.actor, f.safe.Role)):
		return refuse(pam.Denied, "%s", denied)
	case reveal && !f.safe.Checkout.Enabled:
		return refuse(pam.Denied, "%s", denied)
	case f.safe.Locked:
		return refuse(pam.Locked, "This safe is locked")
	case !f.safe.ValidHours.Contains(f.now):
		return refuse(pam.PolicyDenied, "This safe cannot be used at this hour: its valid hours are %s.", describe(f.safe.ValidHours))
	case f.safe.CredentialExpiresAt != nil && !f.now.Before(*f.safe.CredentialExpiresAt):
		return refuse(pam.CredentialExpired, "Credential policy expired")
	case f.safe.Approval != safe.ApprovalNone:
		return refuse(pam.ApprovalNeeded, "This safe needs an approval, and you have no grant.")
	case f.safe.MFAStepUp && !f.actor.Fresh(f.now):
		return refuse(pam.StepUpNeeded, "This safe asks you to authenticate again first.")
	case f.sealed:
		return refuse(pam.Sealed, "Vault is sealed — credential access unavailable")
	case f.held && f.resource.ID != "":
		return redirected()
	case f.held:
		return refuse(pam.Conflict, "The account was moved to another resource: a manager of the safe must confirm it first.")
	case reveal:
		return nil
	case f.protocol != "" && f.resource.Type != f.protocol:
		return refuse(pam.Denied, "%s is a %s resource: it cannot be reached by %s.", f.resource.Name, f.resource.Type, f.protocol)
	case len(f.resource.ConnectorIDs) > 0:
		return refuse(pam.Unavailable, "No connector of this resource is online.")
	}
	return nil
}

// redirected refuses a credential that an unconfirmed redirection of its
// resource holds back.
func redirected() *pam.Error {
	return pam.Errorf(pam.Conflict, "launch", "The address of this resource has changed: a manager of the safe must confirm it first.")
}

// stands says why a live session may not go on, or nil.
func stands(st Standing, role func(policy.Action, policy.Facts) bool) *Cut {
	switch {
	case st.KillReason != "":
		return &Cut{Reason: st.KillReason, Sentence: "This session was " + st.KillReason + "."}
	case !st.OrgRole.Valid():
		return &Cut{Reason: "organization membership ended", Sentence: "This session was ended: you are no longer an active member of the organization."}
	case !role(policy.SessionLaunch, policy.Facts{Role: st.OrgRole, SafeRole: st.SafeRole}):
		return &Cut{Reason: "access removed", Sentence: "This session was ended: your access to the safe was removed."}
	case st.Locked:
		return &Cut{Reason: "safe locked", Sentence: "This session was ended: the safe was locked."}
	case !st.Bound:
		return &Cut{Reason: "binding removed", Sentence: "This session was ended: the safe no longer grants this account and resource."}
	}
	return nil
}

// Cut is why a session was ended by the broker. It is the cause of the end of
// Live.Context.
type Cut struct {
	Reason   string // for the record
	Sentence string // for the user
	Failed   bool   // the session failed, rather than ended
}

func (c *Cut) Error() string { return c.Sentence }

// describe words valid hours for a refusal.
func describe(h *safe.ValidHours) string {
	var parts []string
	for _, w := range h.Windows {
		parts = append(parts, fmt.Sprintf("%s %s-%s", strings.Join(w.Days, " "), w.From, w.To))
	}
	return strings.Join(parts, ", ") + " (" + h.TimeZone + ")"
}
