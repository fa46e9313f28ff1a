package account

import (
	"context"
	"fmt"
	"unicode/utf8"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Service is what the edges ask about accounts. It is safe for concurrent use.
type Service struct {
	store  Store
	sealer pam.Sealer
	scribe *audit.Scribe
	clock  clock.Clock
	ids    *ids.Source
}

// New makes a Service.
func New(store Store, sealer pam.Sealer, scribe *audit.Scribe, c clock.Clock, src *ids.Source) *Service {
	return &Service{store: store, sealer: sealer, scribe: scribe, clock: c, ids: src}
}

const maxUsername = 256

func (s *Service) entry(a pam.Actor, t audit.Type, acc Account, metadata map[string]any) audit.Entry {
	return s.scribe.Entry(a, t, audit.Party{Type: "account", ID: string(acc.ID), Name: acc.Name}, metadata)
}

// check says what is not acceptable in s.
func (s Settings) check(op string) error {
	var ps pam.Problems
	if p := naming.Problem(s.Name); p != "" {
		ps.Add("name", p)
	}
	if s.Slug != "" {
		if p := naming.SlugProblem(s.Slug); p != "" {
			ps.Add("slug", p)
		}
	}
	switch {
	case s.Username == "":
		ps.Add("username", "is required")
	case utf8.RuneCountInString(s.Username) > maxUsername:
		ps.Add("username", "is longer than 256 characters")
	default:
		if p := naming.TextProblem(s.Username, false); p != "" {
			ps.Add("username", p)
		}
	}
	if s.ResourceID != "" && !ids.Valid(pam.PrefixResource, string(s.ResourceID)) {
		ps.Add("resource_id", "is not the id of a resource")
	}
	return ps.Err(op)
}

// Create makes an account, with its first credential if c is not nil, and
// wipes c. Owners and admins may. An empty slug is made from the name.
func (s *Service) Create(ctx context.Context, a pam.Actor, in Settings, c *NewCredential) (Account, error) {
	if c != nil {
		defer c.Wipe()
	}
	return s.create(ctx, "create account", a, in, c, map[string]any{"username": in.Username})
}

// create is Create with what the event says.
func (s *Service) create(ctx context.Context, op string, a pam.Actor, in Settings, c *NewCredential, metadata map[string]any) (Account, error) {
	if !policy.Allowed(policy.AccountCreate, policy.Of(a, "")) {
		return Account{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	if err := in.check(op); err != nil {
		return Account{}, err
	}
	now := s.clock.Now()
	out := Account{
		ID: pam.AccountID(s.ids.New(pam.PrefixAccount)), Org: a.Org, Settings: in, Version: 1,
		CreatedBy: a.User, CreatedAt: now, UpdatedAt: now,
	}
	var first *SealedVersion
	if c != nil {
		at, err := s.store.ResourceType(ctx, a.Org, in.ResourceID)
		if err != nil {
			return Account{}, pam.Wrap(op, err)
		}
		v, err := s.seal(ctx, op, a, out, at, 1, *c)
		if err != nil {
			return Account{}, err
		}
		first, metadata["credential_kind"] = &v, string(v.Kind)
		out.Credential = v.credential()
	}
	out, err := s.store.CreateAccount(ctx, a.Org, out, first, s.entry(a, audit.AccountCreated, out, metadata))
	return out, pam.Wrap(op, err)
}

// seal makes version n of the credential of an account at resources of a type.
func (s *Service) seal(ctx context.Context, op string, a pam.Actor, acc Account, at pam.Protocol, n int64, c NewCredential) (SealedVersion, error) {
	id := acc.ID
	now := s.clock.Now()
	plain, public, err := c.Read(op, now)
	if err != nil {
		return SealedVersion{}, err
	}
	defer plain.Wipe()
	if err := fit(op, "credential.kind", c.Kind, at); err != nil {
		return SealedVersion{}, err
	}
	if err := c.Ephemeral.fit(op, at); err != nil {
		return SealedVersion{}, err
	}
	out := SealedVersion{
		Version: Version{Version: n, Kind: c.Kind, Public: public, CreatedBy: a.User, CreatedAt: now, Promoted: true, State: Stored, Weak: c.Weakness(acc.Username)},
		Sealed:  []byte{},
	}
	if c.Kind == Made {
		if out.Ephemeral = c.Ephemeral; out.Ephemeral == nil {
			out.Ephemeral = &Ephemeral{}
		}
		return out, s.mayUse(ctx, op, a, id, *out.Ephemeral)
	}
	out.Sealed, err = s.sealer.Seal(ctx, pam.Binding{Org: a.Org, Purpose: Purpose, Object: string(id), Version: n}, plain.Expose())
	return out, pam.Wrap(op, err)
}

// mayUse refuses an administrator's account that the actor could not put into
// a Safe of their own: what is made at a launch is made with its rights.
func (s *Service) mayUse(ctx context.Context, op string, a pam.Actor, id pam.AccountID, e Ephemeral) error {
	if e.AdminAccountID == "" {
		return nil
	}
	var ps pam.Problems
	admin, err := s.ByID(ctx, a, e.AdminAccountID)
	switch {
	case pam.Is(err, pam.NotFound) || e.AdminAccountID == id:
		ps.Add("credential.ephemeral.admin_account_id", "names no other account that you may see")
		return ps.Err(op)
	case err != nil:
		return pam.Wrap(op, err)
	}
	holders, err := s.store.Holders(ctx, a.Org, admin.ID, a.User, s.clock.Now())
	if err != nil {
		return pam.Wrap(op, err)
	}
	may := len(holders) == 0 && policy.Allowed(policy.AccountBind, policy.Of(a, "").Owning(admin.CreatedBy == a.User))
	for _, h := range holders {
		may = may || policy.Allowed(policy.AccountBind, policy.Of(a, h.Role))
	}
	if !may {
		ps.Add("credential.ephemeral.admin_account_id", "must be in a Safe that you manage, or your own and in none")
	}
	return ps.Err(op)
}

func (v SealedVersion) credential() *Credential {
	return &Credential{Kind: v.Kind, Version: v.Version.Version, Public: v.Public, RotatedAt: v.CreatedAt, RotationState: Stable, Ephemeral: v.Ephemeral}
}

// ByID returns an account that the actor may see: one that a Safe of theirs
// binds, their own, or any for those who see the metadata of all.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.AccountID) (Account, error) {
	const op = "read account"
	out, err := s.store.AccountByID(ctx, a.Org, id)
	if err != nil {
		return Account{}, pam.Wrap(op, err)
	}
	facts := policy.Of(a, "").Owning(out.CreatedBy == a.User)
	if policy.Allowed(policy.AccountSee, facts) {
		return out, nil
	}
	holders, err := s.store.Holders(ctx, a.Org, id, a.User, s.clock.Now())
	if err != nil {
		return Account{}, pam.Wrap(op, err)
	}
	for _, h := range holders {
		if facts.SafeRole = h.Role; policy.Allowed(policy.AccountSee, facts) {
			return out, nil
		}
	}
	return Account{}, &pam.Error{Kind: pam.NotFound, Op: op}
}

// List returns up to limit of the accounts that the actor may see, by name,
// after the cursor of an earlier one, if any.
func (s *Service) List(ctx context.Context, a pam.Actor, f Filter, after string, limit int) ([]Account, error) {
	const op = "list accounts"
	cursor, err := pam.ReadCursor(op, after)
	if err != nil {
		return nil, err
	}
	all := policy.Allowed(policy.AccountSee, policy.Of(a, ""))
	out, err := s.store.ListAccounts(ctx, a.Org, Query{Filter: f, User: a.User, All: all, After: cursor, Limit: pam.PageSize(limit), Now: s.clock.Now()})
	return out, pam.Wrap(op, err)
}

// Update replaces the settings of an account that still has version; 0 takes
// the present one. in is the full state that is wanted.
//
// Another resource is a redirection: it needs a fresh authentication, and the
// credential is held back until a manager of each Safe that binds the account
// has confirmed; then Pending is set.
func (s *Service) Update(ctx context.Context, a pam.Actor, id pam.AccountID, version int64, in Settings) (Account, error) {
	const op = "update account"
	cur, err := s.allowed(ctx, op, a, id, policy.AccountUpdate)
	if err != nil {
		return Account{}, err
	}
	if version == 0 {
		version = cur.Version
	}
	if version != cur.Version {
		return Account{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	if in.Slug == "" {
		in.Slug = cur.Slug
	}
	if err := in.check(op); err != nil {
		return Account{}, err
	}
	now := s.clock.Now()
	next := cur
	next.Settings, next.UpdatedAt = in, now
	if in.ResourceID == cur.ResourceID {
		out, err := s.store.UpdateAccount(ctx, a.Org, next, version, nil, s.entry(a, audit.AccountUpdated, next, map[string]any{"username": in.Username}))
		return out, pam.Wrap(op, err)
	}
	if !a.Fresh(now) {
		return Account{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	if err := s.keepsFit(ctx, op, a, cur, in.ResourceID); err != nil {
		return Account{}, err
	}
	where := "no resource of its own"
	if in.ResourceID != "" {
		where = string(in.ResourceID)
	}
	h := pam.NewHold(a, now, s.ids, fmt.Sprintf("Move account “%s” to %s", next.Name, where))
	e := s.entry(a, audit.AccountRedirected, next, map[string]any{"from": string(cur.ResourceID), "to": string(in.ResourceID)})
	out, err := s.store.UpdateAccount(ctx, a.Org, next, version, &h, e)
	return out, pam.Wrap(op, err)
}

// keepsFit refuses to move an account to where its credential cannot log in.
func (s *Service) keepsFit(ctx context.Context, op string, a pam.Actor, cur Account, to pam.ResourceID) error {
	if cur.Credential == nil {
		return nil
	}
	at, err := s.store.ResourceType(ctx, a.Org, to)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if err := fit(op, "resource_id", cur.Credential.Kind, at); err != nil {
		return err
	}
	return cur.Credential.Ephemeral.fit(op, at)
}

// Delete removes an account that still has version (0: any), with every
// version of its credential. No Safe may bind it.
func (s *Service) Delete(ctx context.Context, a pam.Actor, id pam.AccountID, version int64) error {
	const op = "delete account"
	cur, err := s.allowed(ctx, op, a, id, policy.AccountDelete)
	if err != nil {
		return err
	}
	return pam.Wrap(op, s.store.DeleteAccount(ctx, a.Org, id, version, s.entry(a, audit.AccountDeleted, cur, nil)))
}

// allowed returns an account on which the actor may do the action.
func (s *Service) allowed(ctx context.Context, op string, a pam.Actor, id pam.AccountID, action policy.Action) (Account, error) {
	cur, err := s.ByID(ctx, a, id)
	if err != nil {
		return Account{}, pam.Wrap(op, err)
	}
	if !policy.Allowed(action, policy.Of(a, "")) {
		return Account{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	return cur, nil
}
