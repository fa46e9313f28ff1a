package broker

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
)

// until is when access that begins or goes on at now is over, at the latest:
// after for, or with the grant that it rests on.
func (p place) until(now time.Time, after time.Duration) time.Time {
	t := now.Add(after)
	if g := p.grant(); g != nil && g.Ends.Before(t) {
		t = g.Ends
	}
	return t
}

// mine refuses a session that a checkout cannot end with: any but an open one
// of the actor's own in the same Safe.
func (b *Broker) mine(ctx context.Context, p place, id pam.SessionID) error {
	if id == "" {
		return nil
	}
	s, err := b.Store.SessionByID(ctx, p.actor.Org, id)
	switch {
	case pam.Is(err, pam.NotFound) || err == nil && (s.UserID != p.actor.User || s.SafeID != p.safe.ID):
		return &pam.Error{Kind: pam.Invalid, Op: "link checkout", Fields: []pam.Problem{{Field: "session_id", Problem: "is no session of yours in this safe"}}}
	case err == nil && !s.Status.Open():
		return pam.Errorf(pam.Conflict, "link checkout", "This session is over.")
	}
	return err
}

// Extend gives the actor more time with a secret that they have: after from now
// (0: what the Safe gives), never more than the Safe gives. Everything is
// decided as for a new checkout.
func (b *Broker) Extend(ctx context.Context, actor pam.Actor, id pam.CheckoutID, after time.Duration) (checkout.Checkout, error) {
	const op = "extend checkout"
	c, err := b.Store.CheckoutByID(ctx, actor.Org, id)
	if err != nil {
		return checkout.Checkout{}, pam.Wrap(op, err)
	}
	if c.User != actor.User {
		return checkout.Checkout{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	now := b.Clock.Now()
	switch c = c.At(now); {
	case c.Status != checkout.CheckedOut:
		return checkout.Checkout{}, pam.Errorf(pam.Conflict, op, "This secret is checked in already.")
	case c.Extensions >= checkout.MaxExtensions:
		return checkout.Checkout{}, pam.Errorf(pam.Conflict, op, "This checkout was extended %d times, which is the most: check the secret out anew.", checkout.MaxExtensions)
	}
	p, err := b.admitReveal(ctx, actor, CheckOutWant{Safe: string(c.Safe), Account: string(c.Account), Emergency: c.Emergency})
	if err != nil {
		b.refused(ctx, refusedBy(audit.PolicyEvaluated, c.Emergency), p, Want{Safe: string(c.Safe), Account: string(c.Account)}, err)
		return checkout.Checkout{}, pam.Wrap(op, err)
	}
	held, err := b.Secrets.SealedCredential(ctx, p.actor.Org, p.account.ID)
	if err != nil {
		return checkout.Checkout{}, pam.Wrap(op, err)
	}
	if held.Kind == account.Made {
		// The target itself was told when the user ends.
		return checkout.Checkout{}, pam.Errorf(pam.Conflict, op, "The user at the target was made for the time of this checkout: check out anew.")
	}
	most := time.Duration(p.safe.Checkout.TTLSeconds) * time.Second
	if after == 0 {
		after = most
	}
	if after < 0 || after > most {
		return checkout.Checkout{}, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "duration_seconds", Problem: "is longer than the safe gives"}}}
	}
	until := p.until(now, after)
	if !until.After(c.ExpiresAt) {
		return checkout.Checkout{}, pam.Errorf(pam.Conflict, op, "It would not be longer: the checkout ends later already, or an approval ends.")
	}
	e := b.Scribe.Entry(p.actor, audit.CredentialCheckoutExtended, audit.Party{Type: "account", ID: string(c.Account), Name: p.account.Name}, map[string]any{
		"checkout_id": string(c.ID), "safe_id": string(c.Safe), "safe": p.safe.Name, "until": until.UTC().Format(time.RFC3339),
		"extensions": int64(c.Extensions + 1), "decision": "allow", "rule": p.decision.Decider(&p.question),
	})
	if err := b.Store.ExtendCheckout(ctx, c.Org, c, until, e); err != nil {
		return checkout.Checkout{}, pam.Wrap(op, err)
	}
	c.ExpiresAt, c.Extensions = until, c.Extensions+1
	return c, nil
}
