package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"vaultpam/internal/kit"
	"vaultpam/internal/shamir"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
	"vaultpam/pam/session"
)

// KitWant asks for the sealed offline kit of a Safe.
type KitWant struct {
	Safe              string // an id or a slug
	Reason            string
	Shares, Threshold int
}

// Kit is a kit on its way out. Nothing of it is kept. Whoever takes it wipes
// Shares.
type Kit struct {
	ID      string
	File    []byte
	Shares  []shamir.Share
	Entries int
	LeftOut []account.Account // that have no stored secret
}

// perEvent is how many accounts one event of a kit names; a list of the audit
// log is longer only a little.
const perEvent = 60

// sealedEntry is a secret that is to come into a kit.
type sealedEntry struct {
	kit.Entry
	name   string
	sealed []byte
}

// MakeKit seals every stored secret of a Safe in a kit for the day on which
// there is no server. It reveals all of them to whoever gets the shares: what
// refuses a checkout refuses it, and more does. What it is to hold is on record
// before anything is opened.
func (b *Broker) MakeKit(ctx context.Context, actor pam.Actor, want KitWant) (Kit, error) {
	const op = "make kit"
	reason, err := session.CleanReason(want.Reason)
	if err == nil {
		err = needReason(op, true, reason)
	}
	if err == nil && (want.Threshold < 2 || want.Threshold > want.Shares || want.Shares > shamir.MaxShares) {
		err = &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "threshold", Problem: "is at least 2, and at most the number of shares"}}}
	}
	if err != nil {
		return Kit{}, err
	}
	p, held, out, err := b.admitKit(ctx, actor, want)
	if pam.Is(err, pam.NotFound) {
		err = &pam.Error{Kind: pam.NotFound, Op: "make kit", Err: err} // the same words for what is not theirs and what is not there
	}
	if err != nil {
		b.refused(ctx, audit.BreakGlassRefused, p, Want{Safe: want.Safe, Reason: reason}, err)
		return Kit{}, pam.Wrap(op, err)
	}
	o, err := b.Store.OrganizationByID(ctx, p.actor.Org)
	if err != nil {
		return Kit{}, pam.Wrap(op, err)
	}
	out.ID = b.IDs.New(pam.PrefixKit)
	accounts := make([]pam.AccountID, len(held))
	for i, e := range held {
		accounts[i] = pam.AccountID(e.Account)
	}
	if err := b.Store.RecordKit(ctx, p.actor.Org, accounts, b.kitEvents(p, out, held, want, reason)...); err != nil {
		b.refused(ctx, audit.BreakGlassRefused, p, Want{Safe: want.Safe, Reason: reason}, err)
		return Kit{}, pam.Wrap(op, err)
	}
	h := kit.Header{
		ID: out.ID, Org: string(o.ID), OrgName: o.Name, Safe: string(p.safe.ID), SafeName: p.safe.Name,
		CreatedAt: b.Clock.Now().UTC(), Shares: want.Shares, Threshold: want.Threshold,
	}
	if out.File, out.Shares, err = b.sealKit(ctx, p, h, held); err != nil {
		// The log says that there is a kit: it has to say that there is none.
		e := b.Scribe.Entry(p.actor, audit.BreakGlassRefused, safeParty(p), map[string]any{"kit_id": out.ID, "kind": pam.KindOf(err).String(), "outcome": "no kit was made"})
		return Kit{}, pam.Wrap(op, errors.Join(err, b.Audit.Append(context.WithoutCancel(ctx), p.actor.Org, e)))
	}
	return out, nil
}

func safeParty(p place) audit.Party {
	return audit.Party{Type: "safe", ID: string(p.safe.ID), Name: p.safe.Name}
}

// admitKit decides, and reads what a kit of the Safe holds, still sealed.
func (b *Broker) admitKit(ctx context.Context, actor pam.Actor, want KitWant) (place, []sealedEntry, Kit, error) {
	const op = "make kit"
	p, err := b.enter(ctx, actor, want.Safe, policy.CredentialReveal, false)
	if err != nil {
		return p, nil, Kit{}, err
	}
	now := b.Clock.Now()
	switch {
	case p.actor.Token == pam.PersonalToken:
		return p, nil, Kit{}, pam.Errorf(pam.ScopeMissing, op, "No token makes a kit: a person does, who has signed in.")
	case !policy.Allowed(policy.BreakGlassKit, policy.Of(p.actor, p.safe.Role)):
		return p, nil, Kit{}, pam.Errorf(pam.Denied, op, "A manager of the safe alone makes a kit of it.")
	case !p.actor.Fresh(now):
		return p, nil, Kit{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	case p.actor.DualControl:
		return p, nil, Kit{}, pam.Errorf(pam.Conflict, op, "The organization has dual control: nobody takes every secret of a safe alone, so no kit is made.")
	}
	f := facts{actor: p.actor, action: policy.CredentialReveal, safe: p.safe, sealed: b.Sealed(), now: now}
	if err := b.rulesOf(ctx, p, &f); err != nil {
		return p, nil, Kit{}, err
	}
	held, out, types, err := b.bound(ctx, p)
	if err != nil {
		return p, nil, Kit{}, err
	}
	f.types = types
	if err := b.conclude(&p, f); err != nil {
		return p, nil, Kit{}, err
	}
	switch {
	case len(held) == 0:
		return p, nil, Kit{}, pam.Errorf(pam.Conflict, op, "The safe holds no stored secret.")
	case len(held) > kit.MaxEntries:
		return p, nil, Kit{}, pam.Errorf(pam.Conflict, op, "A kit holds at most %d secrets.", kit.MaxEntries)
	}
	return p, held, out, nil
}

// bound reads what the Safe binds: the credentials that are known to log in,
// with where they do, and the accounts that have none.
func (b *Broker) bound(ctx context.Context, p place) (held []sealedEntry, out Kit, types policy.Types, err error) {
	at := map[pam.AccountID]int{} // in held; -1: left out
	for _, bind := range p.safe.Bindings {
		r, err := b.Store.ResourceByID(ctx, p.actor.Org, bind.ResourceID)
		if err != nil {
			return nil, out, 0, err
		}
		types |= policy.TypesOf(r.Type)
		i, seen := at[bind.AccountID]
		if !seen {
			a, err := b.Store.AccountByID(ctx, p.actor.Org, bind.AccountID)
			if err != nil {
				return nil, out, 0, err
			}
			sealed, err := b.Secrets.SealedCredential(ctx, p.actor.Org, a.ID)
			switch {
			case pam.Is(err, pam.NotFound) || err == nil && sealed.Kind == account.Made:
				i, out.LeftOut = -1, append(out.LeftOut, a)
			case err != nil:
				return nil, out, 0, err
			default:
				i = len(held)
				held = append(held, sealedEntry{name: a.Name, sealed: sealed.Sealed, Entry: kit.Entry{
					Account: string(a.ID), Name: a.Name, Username: sealed.Username, Kind: string(sealed.Kind), Version: sealed.Version,
				}})
			}
			at[a.ID] = i
		}
		if i >= 0 {
			held[i].Resources = append(held[i].Resources, kit.Resource{Name: r.Name, Type: string(r.Type), Host: r.Host, Port: r.Port})
		}
	}
	out.Entries = len(held)
	return held, out, types, nil
}

// kitEvents says who has made a kit of what: one event, or several where one
// cannot name all accounts.
func (b *Broker) kitEvents(p place, out Kit, held []sealedEntry, want KitWant, reason string) []audit.Entry {
	var events []audit.Entry
	for from := 0; from < len(held); from += perEvent {
		part := held[from:min(from+perEvent, len(held))]
		ids, versions := make([]string, len(part)), make([]string, len(part))
		for i, e := range part {
			ids[i], versions[i] = e.Account, fmt.Sprintf("%s@%d", e.Account, e.Version)
		}
		events = append(events, b.Scribe.Entry(p.actor, audit.BreakGlassKitCreated, safeParty(p), map[string]any{
			"kit_id": out.ID, "account_ids": ids, "versions": versions, "accounts": int64(len(held)), "part": int64(1 + from/perEvent),
			"shares": int64(want.Shares), "threshold": int64(want.Threshold), "reason": reason, "decision": "allow", "rule": p.decision.Decider(&p.question),
		}))
	}
	return events
}

// sealKit opens what a kit is to hold, and seals it anew.
func (b *Broker) sealKit(ctx context.Context, p place, h kit.Header, held []sealedEntry) ([]byte, []shamir.Share, error) {
	entries := make([]kit.Entry, 0, len(held))
	defer func() {
		for _, e := range entries {
			e.Value.Wipe()
		}
	}()
	for _, e := range held {
		v, err := b.Sealer.Open(ctx, pam.Binding{Org: p.actor.Org, Purpose: account.Purpose, Object: e.Account, Version: e.Version}, e.sealed)
		if err != nil {
			event := b.Scribe.Entry(p.actor, audit.CredentialOpenFailed, audit.Party{Type: "account", ID: e.Account, Name: e.name}, notOpened(err, "kit_id", h.ID, e.Version))
			return nil, nil, errors.Join(err, b.Audit.Append(context.WithoutCancel(ctx), p.actor.Org, event))
		}
		e.Value = v
		entries = append(entries, e.Entry)
	}
	file, shares, err := kit.Seal(h, entries, rand.Reader)
	if errors.Is(err, kit.ErrTooLarge) {
		err = pam.Errorf(pam.Conflict, "seal kit", "The secrets of this safe are too large for one kit.")
	}
	return file, shares, err
}
