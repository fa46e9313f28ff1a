package broker

import (
	"context"
	"net"
	"slices"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
	"vaultpam/pam/resource"
)

// What is asked of a target outside of a session.

// CheckCredential logs in with the promoted credential of an account at a
// resource and out again. Managers of a Safe that binds the two may; while no
// Safe binds the account, whoever made it may try the credential that they
// stored themselves.
func (b *Broker) CheckCredential(ctx context.Context, actor pam.Actor, id pam.AccountID, at pam.ResourceID) error {
	const op = "check credential"
	p, err := b.checkable(ctx, actor, id, at)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if b.Sealed() {
		return &pam.Error{Kind: pam.Sealed, Op: op}
	}
	if err := b.released(ctx, actor.Org, p.resource.ID, id, p.safe.ID); err != nil {
		return pam.Wrap(op, err)
	}
	target, conn, err := b.reach(ctx, actor, p.resource)
	if err != nil {
		return pam.Wrap(op, err)
	}
	defer conn.Close()
	party := audit.Party{Type: "account", ID: string(id), Name: p.account.Name}
	m := map[string]any{"resource_id": string(p.resource.ID), "safe_id": string(p.safe.ID)}
	used := false
	err = target.Check(ctx, conn, p.resource, p.account.Username, func(ctx context.Context) (Credential, error) {
		if used {
			return Credential{}, pam.Errorf(pam.Denied, op, "The credential was used already.")
		}
		used = true
		cred, err := b.inject(ctx, actor, actor.Org, id, p.resource.Type, issueFor{}, party, m)
		if err == nil && p.version != 0 && m["version"] != p.version {
			cred.Wipe()
			return Credential{}, pam.Errorf(pam.Conflict, op, "Another credential was stored just now.")
		}
		return cred, err
	})
	outcome := "ok"
	if err != nil {
		outcome = pam.KindOf(err).String()
	}
	e := b.Scribe.Entry(actor, audit.CredentialChecked, party, map[string]any{"resource_id": string(p.resource.ID), "outcome": outcome})
	if aerr := b.Audit.Append(ctx, actor.Org, e); aerr != nil && err == nil {
		err = aerr
	}
	return pam.Wrap(op, err)
}

// checkable finds where the actor may try the account's credential: at the
// resource ("": the only one).
func (b *Broker) checkable(ctx context.Context, actor pam.Actor, id pam.AccountID, at pam.ResourceID) (place, error) {
	acc, err := b.Store.AccountByID(ctx, actor.Org, id)
	if err != nil {
		return place{}, err
	}
	holders, err := b.Store.Holders(ctx, actor.Org, id, actor.User, b.Clock.Now())
	if err != nil {
		return place{}, err
	}
	p := place{actor: actor, account: acc}
	if len(holders) == 0 {
		return b.own(ctx, p, at)
	}
	return b.managed(ctx, p, holders, at)
}

// managed finds a Safe that the actor manages and that binds the account of p
// at the resource.
func (b *Broker) managed(ctx context.Context, p place, holders []account.Holder, at pam.ResourceID) (place, error) {
	actor, now, seen := p.actor, b.Clock.Now(), policy.Allowed(policy.AccountSee, policy.Of(p.actor, ""))
	for _, h := range holders {
		seen = seen || h.Role != ""
		if !policy.Allowed(policy.CredentialRotate, policy.Of(actor, h.Role)) {
			continue
		}
		s, err := b.Store.SafeByID(ctx, actor.Org, h.Safe, actor.User, now)
		if err != nil {
			return p, err
		}
		for _, bind := range s.Bindings {
			if bind.AccountID != p.account.ID || (at != "" && bind.ResourceID != at) {
				continue
			}
			if p.resource.ID != "" && p.resource.ID != bind.ResourceID {
				return p, &pam.Error{Kind: pam.Invalid, Fields: []pam.Problem{{Field: "resource_id", Problem: "the account is used at several resources"}}}
			}
			if p.resource, err = b.Store.ResourceByID(ctx, actor.Org, bind.ResourceID); err != nil {
				return p, err
			}
			p.safe = s
		}
	}
	switch {
	case p.resource.ID != "":
		return p, nil
	case seen:
		return p, pam.Errorf(pam.Denied, "", "Only a manager of a safe that binds the account there may check its credential.")
	}
	return p, &pam.Error{Kind: pam.NotFound}
}

// own lets whoever made the account of p, which is in no Safe, try it at its
// resource. Only with a credential that they stored: what somebody else left
// there is not sent to an address that the actor may choose.
func (b *Broker) own(ctx context.Context, p place, at pam.ResourceID) (place, error) {
	mine := p.account.CreatedBy == p.actor.User
	if !mine && !policy.Allowed(policy.AccountSee, policy.Of(p.actor, "")) {
		return p, &pam.Error{Kind: pam.NotFound}
	}
	versions, err := b.Store.CredentialVersions(ctx, p.actor.Org, p.account.ID)
	if err != nil {
		return p, err
	}
	promoted := slices.IndexFunc(versions, func(v account.Version) bool { return v.Promoted })
	if promoted >= 0 {
		mine = mine && versions[promoted].CreatedBy == p.actor.User
		p.version = versions[promoted].Version
	}
	if !policy.Allowed(policy.CredentialSet, policy.Of(p.actor, "").Owning(mine)) {
		return p, pam.Errorf(pam.Denied, "", "While an account is in no safe, only who made it may check a credential, and only one of their own.")
	}
	if p.account.ResourceID == "" || at != "" && at != p.account.ResourceID {
		return p, &pam.Error{Kind: pam.Invalid, Fields: []pam.Problem{{Field: "resource_id", Problem: "must be the account's own while it is in no safe"}}}
	}
	p.resource, err = b.Store.ResourceByID(ctx, p.actor.Org, p.account.ResourceID)
	return p, err
}

// Probed is what a target said of itself.
type Probed struct {
	Reachable bool
	HostKey   string // OpenSSH line; "" where the protocol has none
	Pinned    bool   // it is one that the resource pins
	Problem   string // why it is not reachable, for people
}

// Probe connects to a resource and reads its host key, without logging in.
// Admins and managers of a Safe that binds it may.
func (b *Broker) Probe(ctx context.Context, actor pam.Actor, id pam.ResourceID) (Probed, error) {
	const op = "probe resource"
	r, err := b.Store.ResourceByID(ctx, actor.Org, id)
	if err != nil {
		return Probed{}, pam.Wrap(op, err)
	}
	if err := b.mayProbe(ctx, actor, id); err != nil {
		return Probed{}, pam.Wrap(op, err)
	}
	var out Probed
	target, conn, err := b.reach(ctx, actor, r)
	if err == nil {
		defer conn.Close()
		out.HostKey, err = target.Peek(ctx, conn, r)
	}
	if out.Reachable = err == nil; err != nil {
		if pam.KindOf(err) == pam.Internal {
			return Probed{}, pam.Wrap(op, err)
		}
		out.Problem = sentence(err)
	}
	for _, k := range r.HostKeys {
		out.Pinned = out.Pinned || k == out.HostKey
	}
	e := b.Scribe.Entry(actor, audit.ResourceProbed, audit.Party{Type: "resource", ID: string(id), Name: r.Name}, map[string]any{"reachable": out.Reachable})
	if err := b.Audit.Append(ctx, actor.Org, e); err != nil {
		return Probed{}, pam.Wrap(op, err)
	}
	return out, nil
}

func (b *Broker) mayProbe(ctx context.Context, actor pam.Actor, id pam.ResourceID) error {
	if policy.Allowed(policy.ResourceProbe, policy.Of(actor, "")) {
		return nil
	}
	now := b.Clock.Now()
	refs, err := b.Store.SafesOf(ctx, actor.User, actor.Org, "", now, 1000)
	if err != nil {
		return err
	}
	no := pam.NotFound
	if policy.Allowed(policy.ResourceSee, policy.Of(actor, "")) {
		no = pam.Denied
	}
	for _, ref := range refs {
		s, err := b.Store.SafeByID(ctx, actor.Org, ref.Safe, actor.User, now)
		if err != nil {
			return err
		}
		for _, bind := range s.Bindings {
			if bind.ResourceID != id {
				continue
			}
			if policy.Allowed(policy.ResourceProbe, policy.Of(actor, ref.Role)) {
				return nil
			}
			no = pam.Denied
		}
	}
	return &pam.Error{Kind: no}
}

// reach connects to a resource outside of a session.
func (b *Broker) reach(ctx context.Context, actor pam.Actor, r resource.Resource) (Target, net.Conn, error) {
	target, ok := b.Targets[r.Type]
	if !ok {
		return nil, nil, pam.Errorf(pam.Unavailable, "reach target", "Resources of the type %s cannot be reached yet.", r.Type)
	}
	if len(r.ConnectorIDs) > 0 {
		return nil, nil, pam.Errorf(pam.Unavailable, "reach target", "No connector of this resource is online.")
	}
	conn, err := b.Dialer.Dial(ctx, actor.Org, r.Host, r.Port)
	return target, conn, err
}
