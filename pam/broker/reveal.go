package broker

import (
	"context"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/policy"
	"vaultpam/pam/session"
)

// CheckOutWant asks for a secret. Account "" means the only one of the Safe.
type CheckOutWant struct {
	Safe, Account string // ids or slugs
	Reason        string
	Session       pam.SessionID // with whose end the checkout ends; "" none
	Emergency     bool          // by break-glass
}

// Revealed is a secret on its way out. Whoever takes it wipes Value.
type Revealed struct {
	Checkout checkout.Checkout
	Kind     account.Kind
	Value    secret.Value
}

// CheckOut reveals the promoted credential of an account to a member of a Safe
// that allows it. The checkout and its event are durable before the secret is
// opened; when it does not open, that is on record as well, and nothing is out.
func (b *Broker) CheckOut(ctx context.Context, actor pam.Actor, want CheckOutWant) (Revealed, error) {
	const op = "check out"
	reason, err := session.CleanReason(want.Reason)
	if err != nil {
		return Revealed{}, err
	}
	if err := needReason(op, want.Emergency, reason); err != nil {
		return Revealed{}, err
	}
	p, err := b.admitReveal(ctx, actor, want)
	if err == nil {
		err = b.mine(ctx, p, want.Session)
	}
	if err != nil {
		b.refused(ctx, refusedBy(audit.PolicyEvaluated, want.Emergency), p, Want{Safe: want.Safe, Account: want.Account, Reason: reason}, err)
		return Revealed{}, pam.Wrap(op, err)
	}
	sealed, err := b.Secrets.SealedCredential(ctx, p.actor.Org, p.account.ID)
	if err != nil {
		if pam.Is(err, pam.NotFound) {
			err = pam.Errorf(pam.Conflict, op, "The account has no credential yet.")
		}
		return Revealed{}, pam.Wrap(op, err)
	}
	if sealed.Kind == account.Made {
		if err := b.leasable(ctx, p); err != nil {
			return Revealed{}, pam.Wrap(op, err)
		}
	}
	now := b.Clock.Now()
	out := checkout.Checkout{
		ID: pam.CheckoutID(b.IDs.New(pam.PrefixCheckout)), Org: p.actor.Org, Safe: p.safe.ID, Account: p.account.ID, User: p.actor.User,
		Username: sealed.Username, Status: checkout.CheckedOut, Version: sealed.Version, Reason: reason, CreatedAt: now,
		ExpiresAt: p.until(now, time.Duration(p.safe.Checkout.TTLSeconds)*time.Second),
		Exclusive: p.safe.Checkout.Exclusive, Emergency: want.Emergency, Session: want.Session, Grant: p.decision.Grant,
		SafeName: p.safe.Name, AccountName: p.account.Name, UserName: p.actor.Name,
	}
	if p.actor.From.IsValid() {
		out.ClientIP = p.actor.From.String()
	}
	m := map[string]any{
		"safe_id": string(p.safe.ID), "safe": p.safe.Name, "checkout_id": string(out.ID), "version": sealed.Version, "kind": string(sealed.Kind),
		"decision": "allow", "rule": p.decision.Decider(&p.question),
	}
	if reason != "" {
		m["reason"] = reason
	}
	target := audit.Party{Type: "account", ID: string(p.account.ID), Name: p.account.Name}
	events := []audit.Entry{b.Scribe.Entry(p.actor, audit.CredentialCheckedOut, target, m)}
	if len(p.question.Rules) > 0 {
		events = append(events, b.Scribe.Entry(p.actor, audit.PolicyEvaluated, target, m))
	}
	letters, alarm, err := b.alarm(ctx, p, want.Emergency, "checkout", string(out.ID), reason)
	if err != nil {
		return Revealed{}, pam.Wrap(op, err)
	}
	if err := b.Store.CreateCheckout(ctx, out.Org, out, letters, append(events, alarm...)...); err != nil {
		return Revealed{}, pam.Wrap(op, err)
	}
	if sealed.Kind == account.Made {
		l, v, err := b.checkOutMade(ctx, p, out)
		if err != nil {
			b.takeBack(ctx, out, b.Scribe.Entry(p.actor, audit.CredentialCheckedIn, target, map[string]any{"checkout_id": string(out.ID), "outcome": pam.KindOf(err).String()}))
			return Revealed{}, pam.Wrap(op, err)
		}
		out.Username, out.ExpiresAt = l.Username, l.ExpiresAt
		return Revealed{Checkout: out, Kind: sealed.Kind, Value: v}, nil
	}
	v, err := b.Sealer.Open(ctx, pam.Binding{Org: out.Org, Purpose: account.Purpose, Object: string(out.Account), Version: sealed.Version}, sealed.Sealed)
	if err != nil {
		b.takeBack(ctx, out, b.Scribe.Entry(p.actor, audit.CredentialOpenFailed, target, notOpened(err, "checkout_id", string(out.ID), sealed.Version)))
		return Revealed{}, pam.Wrap(op, err)
	}
	return Revealed{Checkout: out, Kind: sealed.Kind, Value: v}, nil
}

// notOpened is what the event of a credential that did not open says: it was
// damaged, or put there by somebody who can write the database, or the vault
// was sealed just now. Under name stands what it was to be opened for.
func notOpened(err error, name, id string, version int64) map[string]any {
	return map[string]any{"outcome": pam.KindOf(err).String(), name: id, "version": version}
}

// takeBack ends a checkout of which nothing was revealed, whether or not
// anybody still waits for it. What cannot be stored now is tried again.
func (b *Broker) takeBack(ctx context.Context, c checkout.Checkout, e audit.Entry) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	store := func(ctx context.Context) error {
		err := b.Store.CheckIn(ctx, c.Org, c.ID, "", checkout.NotOpened, b.Clock.Now(), e)
		if pam.Is(err, pam.Conflict) {
			err = b.Audit.Append(ctx, c.Org, e) // somebody was quicker to end it
		}
		return err
	}
	if err := store(ctx); err != nil {
		b.Log.Error("a checkout of which nothing was revealed could not be ended, trying again", "checkout", c.ID, "error", err)
		b.mu.Lock()
		b.undone = append(b.undone, store)
		b.mu.Unlock()
	}
}

// admitReveal resolves the Safe and the account and decides.
func (b *Broker) admitReveal(ctx context.Context, actor pam.Actor, want CheckOutWant) (place, error) {
	p, err := b.enter(ctx, actor, want.Safe, policy.CredentialReveal, want.Emergency)
	if err != nil {
		return p, err
	}
	f := facts{actor: p.actor, action: policy.CredentialReveal, safe: p.safe, sealed: b.Sealed(), now: b.Clock.Now(), emergency: want.Emergency}
	if err := b.rulesOf(ctx, p, &f); err != nil {
		return p, err
	}
	// Who is turned away at the Safe does not learn what is in it. Rules about
	// types of resources have to know what is asked for.
	door := f
	if f.rules.AskForTypes() {
		door.rules = nil
	}
	if _, d, _ := decide(door); d.Effect == policy.Deny {
		return p, b.conclude(&p, door)
	}
	seen := map[pam.AccountID]bool{}
	var all, fit []account.Account
	for _, bind := range p.safe.Bindings {
		if seen[bind.AccountID] {
			continue
		}
		seen[bind.AccountID] = true
		a, err := b.Store.AccountByID(ctx, p.actor.Org, bind.AccountID)
		if err != nil {
			return p, err
		}
		all = append(all, a)
		if means(want.Account, string(a.ID), a.Slug) {
			fit = append(fit, a)
		}
	}
	name := func(a account.Account) string { return a.Slug }
	switch {
	case len(fit) == 0:
		return p, pam.Errorf(pam.NotFound, "resolve account", "The safe has no such account.")
	case len(fit) > 1:
		return p, &pam.Error{Kind: pam.Invalid, Op: "resolve account", Fields: []pam.Problem{{Field: "account_id", Problem: "the safe has several: " + choices(all, name)}}}
	}
	p.account = fit[0]
	if f.rules.AskForTypes() {
		if f.types, err = b.typesOf(ctx, &p); err != nil {
			return p, err
		}
	}
	if err := b.conclude(&p, f); err != nil {
		return p, err
	}
	// A redirection of one of the account's resources sends the credential
	// elsewhere; showing it to a member does not. Moving the account does not
	// either: the secret that is shown stays the same.
	return p, nil
}

// typesOf returns the types of the resources at which the Safe binds the
// account.
func (b *Broker) typesOf(ctx context.Context, p *place) (types policy.Types, err error) {
	for _, bind := range p.safe.Bindings {
		if bind.AccountID != p.account.ID {
			continue
		}
		r, err := b.Store.ResourceByID(ctx, p.actor.Org, bind.ResourceID)
		if err != nil {
			return 0, err
		}
		types |= policy.TypesOf(r.Type)
	}
	return types, nil
}
