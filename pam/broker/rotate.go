package broker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"slices"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/policy"
	"vaultpam/pam/resource"
	"vaultpam/pam/rotation"
)

// The broker is the door of rotations, too: it alone opens secrets and reaches
// targets.

var _ rotation.Door = (*Broker)(nil)

// As is who logs in at a target to change something there.
type As struct {
	Username string
	Login    Login
}

// Exchange is what a target is told of one credential.
type Exchange struct {
	Username  string // whose it is
	Self      bool   // As is Username
	Attribute string // of a directory
	Old, Next Credential
	// The public halves of keys, as OpenSSH lines.
	OldPublic, NextPublic string
}

func (x Exchange) wipe() { x.Old.Wipe(); x.Next.Wipe() }

// Changer is a Target at which credentials can be changed. Errors have the
// kinds that rotation.Door tells of. As's Login is called before anything is
// changed.
type Changer interface {
	// Change makes the target take Next. A password takes the place of Old, a
	// key is put beside it.
	Change(ctx context.Context, conn net.Conn, r resource.Resource, as As, x Exchange) error
	// Retire takes Old away where the target takes both.
	Retire(ctx context.Context, conn net.Conn, r resource.Resource, as As, x Exchange) error
}

// Spreader is a Target with files that may hold copies of a secret.
type Spreader interface {
	Spread(ctx context.Context, conn net.Conn, r resource.Resource, as As, path, key string, value secret.Value) error
}

// Facts implements rotation.Door.
func (b *Broker) Facts(ctx context.Context, org pam.OrgID, id pam.AccountID, s rotation.Settings) (rotation.Facts, error) {
	const op = "look up what is rotated"
	acc, err := b.Store.AccountByID(ctx, org, id)
	if err != nil {
		return rotation.Facts{}, pam.Wrap(op, err)
	}
	out := rotation.Facts{Name: acc.Name}
	versions, err := b.Store.CredentialVersions(ctx, org, id)
	if err != nil {
		return out, pam.Wrap(op, err)
	}
	for _, v := range versions {
		out.Newest = max(out.Newest, v.Version)
		if v.Promoted {
			out.Kind, out.Promoted = string(v.Kind), v.Version
		}
	}
	if out.Kind == "" {
		return out, nil
	}
	if out.Working, err = b.Secrets.WorkingVersion(ctx, org, id); err != nil {
		return out, pam.Wrap(op, err)
	}
	out.Resource, err = b.homeOf(ctx, org, acc, s.Resource)
	return out, pam.Wrap(op, err)
}

// homeOf finds where the credential of an account is changed: at wanted, else
// its own resource, else the only one that it is used at.
func (b *Broker) homeOf(ctx context.Context, org pam.OrgID, acc account.Account, wanted pam.ResourceID) (pam.ResourceID, error) {
	used, err := b.Store.UsedAt(ctx, org, acc.ID)
	if err != nil {
		return "", err
	}
	if acc.ResourceID != "" && !slices.Contains(used, acc.ResourceID) {
		used = append(used, acc.ResourceID)
	}
	at := wanted
	switch {
	case wanted == "" && acc.ResourceID != "":
		at = acc.ResourceID
	case wanted == "" && len(used) == 1:
		at = used[0]
	case wanted == "":
		return "", pam.Errorf(pam.Conflict, "", "It is not clear where the credential is changed: set resource_id in the rotation settings of the account.")
	case !slices.Contains(used, wanted):
		return "", pam.Errorf(pam.Conflict, "", "The account is not used at the resource where its credential is to be changed.")
	}
	r, err := b.Store.ResourceByID(ctx, org, at)
	if err != nil {
		return "", err
	}
	if _, ok := b.Targets[r.Type].(Changer); !ok {
		return "", pam.Errorf(pam.Conflict, "", "Credentials cannot be changed at resources of the type %s.", r.Type)
	}
	return at, nil
}

// Manages implements rotation.Door.
func (b *Broker) Manages(ctx context.Context, a pam.Actor, id pam.AccountID) error {
	const op = "rotate credential"
	acc, holders, err := b.held(ctx, a, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if rightOver(a, acc, holders, policy.CredentialRotate, slices.ContainsFunc[[]account.Holder]) {
		return nil
	}
	return b.noRight(op, a, acc, holders)
}

func (b *Broker) held(ctx context.Context, a pam.Actor, id pam.AccountID) (account.Account, []account.Holder, error) {
	acc, err := b.Store.AccountByID(ctx, a.Org, id)
	if err != nil {
		return acc, nil, err
	}
	holders, err := b.Store.Holders(ctx, a.Org, id, a.User, b.Clock.Now())
	return acc, holders, err
}

// rightOver says whether the actor may do the action by their role in the Safes
// that hold the account (enough says whether any of them will do, or each has
// to), or as its creator while none does.
func rightOver(a pam.Actor, acc account.Account, holders []account.Holder, action policy.Action, enough func([]account.Holder, func(account.Holder) bool) bool) bool {
	if len(holders) == 0 {
		return policy.Allowed(action, policy.Of(a, "").Owning(acc.CreatedBy == a.User))
	}
	return enough(holders, func(h account.Holder) bool { return policy.Allowed(action, policy.Of(a, h.Role)) })
}

// each is slices.ContainsFunc for all.
func each(holders []account.Holder, f func(account.Holder) bool) bool {
	return !slices.ContainsFunc(holders, func(h account.Holder) bool { return !f(h) })
}

// noRight is Denied to who may see the account, else there is none.
func (b *Broker) noRight(op string, a pam.Actor, acc account.Account, holders []account.Holder) error {
	seen := policy.Allowed(policy.AccountSee, policy.Of(a, "").Owning(acc.CreatedBy == a.User)) ||
		slices.ContainsFunc(holders, func(h account.Holder) bool { return policy.Allowed(policy.AccountSee, policy.Of(a, h.Role)) })
	if seen {
		return pam.Errorf(pam.Denied, op, "Only a manager of the Safes that hold the account may do this, or who made it while it is in none.")
	}
	return &pam.Error{Kind: pam.NotFound, Op: op}
}

// Admits implements rotation.Door.
func (b *Broker) Admits(ctx context.Context, a pam.Actor, id pam.AccountID, s rotation.Settings) error {
	const op = "set rotation settings"
	acc, holders, err := b.held(ctx, a, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if !rightOver(a, acc, holders, policy.RotationSet, each) {
		return b.noRight(op, a, acc, holders)
	}
	var ps pam.Problems
	at := s.Resource
	if s.Resource != "" || s.Reconcile != "" {
		if at, err = b.homeOf(ctx, a.Org, acc, s.Resource); err != nil {
			if pam.KindOf(err) == pam.Internal || pam.Is(err, pam.Unavailable) {
				return pam.Wrap(op, err)
			}
			ps.Add("resource_id", "is not one at which the account is used and its credential can be changed")
			return ps.Err(op)
		}
	}
	if s.Reconcile == id {
		ps.Add("reconcile_account_id", "is the account itself")
		return ps.Err(op)
	}
	if s.Reconcile != "" {
		if err := b.lends(ctx, a, s.Reconcile, at, "reconcile_account_id", &ps); err != nil {
			return pam.Wrap(op, err)
		}
	}
	for _, d := range s.Dependents {
		if err := b.lends(ctx, a, d.Account, d.Resource, "dependents.account_id", &ps); err != nil {
			return pam.Wrap(op, err)
		}
	}
	if len(s.Generation) > 0 && acc.Credential != nil {
		if _, err := generation(s.Generation, acc.Credential.Kind); err != nil {
			return pam.Wrap(op, err)
		}
	}
	return ps.Err(op)
}

// generation reads the policy of new values of a kind.
func generation(raw json.RawMessage, kind account.Kind) (account.GenerationPolicy, error) {
	const op = "read policy of new secrets"
	p := account.GenerationPolicy{}
	if len(raw) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return p, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "generation", Problem: "is not a policy of new secrets"}}, Err: err}
		}
	}
	if p.Kind == "" {
		p.Kind = kind
	}
	if p.Kind != kind {
		return p, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "generation.kind", Problem: "must be the kind of the account's credential"}}}
	}
	return p, p.Check(op)
}

// lends notes a problem unless the actor may let another account of theirs act
// at a resource: it must be used there already, or its secret would be sent to
// where nobody has confirmed that it may go.
func (b *Broker) lends(ctx context.Context, a pam.Actor, id pam.AccountID, at pam.ResourceID, field string, ps *pam.Problems) error {
	acc, holders, err := b.held(ctx, a, id)
	if pam.Is(err, pam.NotFound) {
		ps.Add(field, "names no account that you may use for this")
		return nil
	}
	if err != nil {
		return err
	}
	if !rightOver(a, acc, holders, policy.RotationSet, slices.ContainsFunc[[]account.Holder]) {
		ps.Add(field, "names no account that you may use for this")
		return nil
	}
	ok, err := b.uses(ctx, a.Org, acc, at)
	if err == nil && !ok {
		ps.Add(field, "is not used at that resource")
	}
	return err
}

func (b *Broker) uses(ctx context.Context, org pam.OrgID, acc account.Account, at pam.ResourceID) (bool, error) {
	if acc.ResourceID == at {
		return at != "", nil
	}
	used, err := b.Store.UsedAt(ctx, org, acc.ID)
	return slices.Contains(used, at), err
}

// Generate implements rotation.Door.
func (b *Broker) Generate(ctx context.Context, s rotation.Subject, kind string, n int64) (rotation.Candidate, error) {
	const op = "generate credential"
	p, err := generation(s.Settings.Generation, account.Kind(kind))
	if err != nil {
		return rotation.Candidate{}, pam.Wrap(op, err)
	}
	c, err := account.Generate(p, rand.Reader)
	if err != nil {
		return rotation.Candidate{}, pam.Wrap(op, err)
	}
	defer c.Wipe()
	return b.SealVersion(ctx, s.Org, s.Account, n, c)
}

// SealVersion makes version n of an account's credential out of c, which is
// checked and wiped.
func (b *Broker) SealVersion(ctx context.Context, org pam.OrgID, id pam.AccountID, n int64, c account.NewCredential) (rotation.Candidate, error) {
	const op = "seal credential"
	defer c.Wipe()
	acc, err := b.Store.AccountByID(ctx, org, id)
	if err != nil {
		return rotation.Candidate{}, pam.Wrap(op, err)
	}
	plain, public, err := c.Read(op, b.Clock.Now())
	if err != nil {
		return rotation.Candidate{}, err
	}
	defer plain.Wipe()
	if c.Kind == account.Made || !account.Fits(c.Kind, acc.ResourceType) {
		return rotation.Candidate{}, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "credential.kind", Problem: "cannot take the place of the credential that is there"}}}
	}
	more, err := json.Marshal(public)
	if err != nil {
		return rotation.Candidate{}, pam.Wrap(op, err)
	}
	sealed, err := b.Sealer.Seal(ctx, pam.Binding{Org: org, Purpose: account.Purpose, Object: string(id), Version: n}, plain.Expose())
	return rotation.Candidate{
		Version: n, Kind: string(c.Kind), Sealed: sealed, PublicKey: public.PublicKey, Public: string(more), NotAfter: public.NotAfter, Weak: c.Weakness(acc.Username),
	}, pam.Wrap(op, err)
}

// Try implements rotation.Door.
func (b *Broker) Try(ctx context.Context, s rotation.Subject, version int64) error {
	const op = "try credential"
	acc, r, err := b.place(ctx, s.Org, s.Account, s.Resource)
	if err != nil {
		return pam.Wrap(op, err)
	}
	target, conn, err := b.reach(ctx, system(s.Org), r)
	if err != nil {
		return pam.Wrap(op, err)
	}
	defer conn.Close()
	username, login := loginName(acc, s.Settings), b.opens(s, acc, r, version, "try")
	return pam.Wrap(op, target.Check(ctx, conn, r, username, login.Login))
}

// Apply implements rotation.Door.
func (b *Broker) Apply(ctx context.Context, s rotation.Subject, c rotation.Change) (touched bool, err error) {
	return b.change(ctx, s, c, "change", c.Old, Changer.Change)
}

// Retire implements rotation.Door.
func (b *Broker) Retire(ctx context.Context, s rotation.Subject, c rotation.Change) error {
	_, err := b.change(ctx, s, c, "retire", c.Next, Changer.Retire)
	return err
}

// change logs in at the account's target, by itself with the version self or by
// the reconcile account, and does there what do says.
func (b *Broker) change(ctx context.Context, s rotation.Subject, c rotation.Change, what string, self int64,
	do func(Changer, context.Context, net.Conn, resource.Resource, As, Exchange) error,
) (touched bool, err error) {
	const op = "change credential"
	acc, r, err := b.place(ctx, s.Org, s.Account, s.Resource)
	if err != nil {
		return false, pam.Wrap(op, err)
	}
	if err := b.released(ctx, s.Org, r.ID, acc.ID, ""); err != nil {
		return false, pam.Wrap(op, err)
	}
	x := Exchange{Username: loginName(acc, s.Settings), Self: c.By == "", Attribute: s.Settings.Attribute}
	defer func() { x.wipe() }()
	// What is told comes out of the vault only for a target that has just proved
	// who it is; the connection over which it is told asks for that proof again.
	if err := b.proves(ctx, s.Org, r, x.Username); err != nil {
		return false, pam.Wrap(op, err)
	}
	var by *opening
	if x.Self {
		by = b.opens(s, acc, r, self, what)
	} else {
		helper, err := b.helper(ctx, s.Org, c.By, r)
		if err != nil {
			return false, pam.Wrap(op, err)
		}
		by = b.opens(s, helper, r, 0, what)
	}
	if c.Old != 0 {
		if x.Old, x.OldPublic, err = b.version(ctx, s, acc, c.Old, what); err != nil {
			return false, pam.Wrap(op, err)
		}
	}
	if x.Next, x.NextPublic, err = b.version(ctx, s, acc, c.Next, what); err != nil {
		return false, pam.Wrap(op, err)
	}
	target, conn, err := b.reach(ctx, system(s.Org), r)
	if err != nil {
		return false, pam.Wrap(op, err)
	}
	defer conn.Close()
	changer, ok := target.(Changer)
	if !ok {
		return false, pam.Errorf(pam.Conflict, op, "Credentials cannot be changed at resources of the type %s.", r.Type)
	}
	as := As{Username: by.username, Login: by.Login}
	if x.Self {
		as.Username = x.Username
	}
	err = do(changer, ctx, conn, r, as, x)
	return by.given && !pam.Is(err, pam.TargetAuthFailed), pam.Wrap(op, err)
}

// proves has the target prove who it is, as it does before any login, and
// leaves without one.
func (b *Broker) proves(ctx context.Context, org pam.OrgID, r resource.Resource, username string) error {
	target, conn, err := b.reach(ctx, system(org), r)
	if err != nil {
		return err
	}
	defer conn.Close()
	proved := false
	err = target.Check(ctx, conn, r, username, func(context.Context) (Credential, error) {
		proved = true
		return Credential{}, pam.Errorf(pam.Unavailable, "prove target", "The target has proved who it is.")
	})
	if proved {
		return nil
	}
	if err == nil { // it asked for nothing: whoever it is, it checks no credential
		err = pam.Errorf(pam.Unavailable, "prove target", "The target lets everybody in.")
	}
	return err
}

// Spread implements rotation.Door.
func (b *Broker) Spread(ctx context.Context, s rotation.Subject, d rotation.Dependent, version int64) error {
	const op = "bring a copy up to date"
	acc, err := b.Store.AccountByID(ctx, s.Org, s.Account)
	if err != nil {
		return pam.Wrap(op, err)
	}
	r, err := b.Store.ResourceByID(ctx, s.Org, d.Resource)
	if err != nil {
		return pam.Wrap(op, err)
	}
	helper, err := b.helper(ctx, s.Org, d.Account, r)
	if err != nil {
		return pam.Wrap(op, err)
	}
	target, conn, err := b.reach(ctx, system(s.Org), r)
	if err != nil {
		return pam.Wrap(op, err)
	}
	defer conn.Close()
	spreader, ok := target.(Spreader)
	if !ok {
		return pam.Errorf(pam.Conflict, op, "Resources of the type %s hold no copies.", r.Type)
	}
	if err := b.proves(ctx, s.Org, r, helper.Username); err != nil {
		return pam.Wrap(op, err)
	}
	c, _, err := b.version(ctx, s, acc, version, "copy")
	if err != nil {
		return pam.Wrap(op, err)
	}
	defer c.Wipe()
	value := c.Password
	if value.Empty() {
		value = c.PrivateKey
	}
	by := b.opens(s, helper, r, 0, "copy")
	return pam.Wrap(op, spreader.Spread(ctx, conn, r, As{Username: by.username, Login: by.Login}, d.Path, d.Key, value))
}
