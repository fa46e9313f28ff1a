package broker

import (
	"context"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
	"vaultpam/pam/safe"
)

// Emergency is what an alarm tells of: somebody went in by break-glass.
type Emergency struct {
	Safe   safe.Safe
	Kind   string // "checkout" or "session"
	Object string // its id
	Reason string
}

// enter resolves the Safe. Who is named for its emergencies need not be a
// member of it, and says it by its id then; to everybody else it is not there.
func (b *Broker) enter(ctx context.Context, actor pam.Actor, ref string, action policy.Action, emergency bool) (place, error) {
	p, err := b.resolveSafe(ctx, actor, ref, action)
	if !emergency || !pam.Is(err, pam.NotFound) || actor.Org == "" {
		return p, err
	}
	s, other := b.Store.SafeByID(ctx, actor.Org, pam.SafeID(ref), actor.User, b.Clock.Now())
	if other != nil && !pam.Is(other, pam.NotFound) {
		return p, other
	}
	if other != nil || !s.BreakGlass.Names(actor.User) {
		return p, err
	}
	p.safe = s
	return p, nil
}

// needReason refuses an emergency that says nothing.
func needReason(op string, emergency bool, reason string) error {
	if emergency && reason == "" {
		return &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "reason", Problem: "is needed in an emergency"}}}
	}
	return nil
}

// refusedBy is the event of a refusal: an emergency has one of its own.
func refusedBy(t audit.Type, emergency bool) audit.Type {
	if emergency {
		return audit.BreakGlassRefused
	}
	return t
}

// alarm makes the event of an emergency and the letters about it, for the
// transaction in which it begins: there is no emergency of which nobody is
// told.
func (b *Broker) alarm(ctx context.Context, p place, emergency bool, kind, object, reason string) ([]pam.Outgoing, []audit.Entry, error) {
	if !emergency {
		return nil, nil, nil
	}
	m := map[string]any{
		kind + "_id": object, "reason": reason, "account_id": string(p.account.ID), "account": p.account.Name,
		"skipped_approvals": int64(p.decision.Approvers),
	}
	if p.resource.ID != "" {
		m["resource_id"] = string(p.resource.ID)
	}
	events := []audit.Entry{b.Scribe.Entry(p.actor, audit.BreakGlassUsed, audit.Party{Type: "safe", ID: string(p.safe.ID), Name: p.safe.Name}, m)}
	if b.Alarm == nil {
		return nil, events, nil
	}
	letters, err := b.Alarm(ctx, p.actor, Emergency{Safe: p.safe, Kind: kind, Object: object, Reason: reason})
	return letters, events, err
}
