package account

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// What is done to the versions of a credential.

// maxRaces is how often a credential is tried to be stored again when another
// one was at the same time.
const maxRaces = 5

// chosen returns an account of which the actor may do the action to the
// credential, and who authenticated just now: whoever chooses the secret has
// it, and whoever purges one takes it from all.
func (s *Service) chosen(ctx context.Context, op string, a pam.Actor, id pam.AccountID, action policy.Action) (Account, error) {
	cur, err := s.ByID(ctx, a, id)
	if err != nil {
		return Account{}, pam.Wrap(op, err)
	}
	if err := s.mayChoose(ctx, op, a, cur, action); err != nil {
		return Account{}, err
	}
	if !a.Fresh(s.clock.Now()) {
		return Account{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	return cur, nil
}

// mayChoose lets a manager of each Safe that binds the account, or its creator
// while none does.
func (s *Service) mayChoose(ctx context.Context, op string, a pam.Actor, cur Account, action policy.Action) error {
	holders, err := s.store.Holders(ctx, a.Org, cur.ID, a.User, s.clock.Now())
	if err != nil {
		return pam.Wrap(op, err)
	}
	if len(holders) == 0 {
		if !policy.Allowed(action, policy.Of(a, "").Owning(cur.CreatedBy == a.User)) {
			return pam.Errorf(pam.Denied, op, "Only the account's creator may do this to its credential while it is in no Safe.")
		}
	} else if slices.ContainsFunc(holders, func(h Holder) bool { return !policy.Allowed(action, policy.Of(a, h.Role)) }) {
		return pam.Errorf(pam.Denied, op, "Only a manager of each Safe that holds the account may do this to its credential.")
	}
	return nil
}

// SetCredential stores a new version, promotes it and wipes c.
func (s *Service) SetCredential(ctx context.Context, a pam.Actor, id pam.AccountID, c NewCredential) (Account, error) {
	const op = "set credential"
	defer c.Wipe()
	cur, err := s.chosen(ctx, op, a, id, policy.CredentialSet)
	if err != nil {
		return Account{}, err
	}
	return s.set(ctx, op, a, cur, c, audit.CredentialSet, nil)
}

// Generate makes a secret by the policy, stores and promotes it. Nobody gets
// to see it by this; the target has to be told by other means.
func (s *Service) Generate(ctx context.Context, a pam.Actor, id pam.AccountID, p GenerationPolicy) (Account, error) {
	const op = "generate credential"
	cur, err := s.chosen(ctx, op, a, id, policy.CredentialSet)
	if err != nil {
		return Account{}, err
	}
	c, err := Generate(p, rand.Reader)
	if err != nil {
		return Account{}, pam.Wrap(op, err)
	}
	defer c.Wipe()
	return s.set(ctx, op, a, cur, c, audit.CredentialGenerated, p.described())
}

// described is what the audit log says of a policy.
func (p GenerationPolicy) described() map[string]any {
	switch {
	case p.Kind == SSHKey:
		return map[string]any{"algorithm": p.algorithm()}
	case p.Passphrase != nil:
		return map[string]any{"words": int64(p.Passphrase.words()), "bits": int64(p.Bits())}
	}
	return map[string]any{"length": int64(p.length()), "bits": int64(p.Bits())}
}

// set stores a version of the credential of cur and promotes it.
func (s *Service) set(ctx context.Context, op string, a pam.Actor, cur Account, c NewCredential, t audit.Type, more map[string]any) (Account, error) {
	for race := 1; ; race++ {
		versions, err := s.store.CredentialVersions(ctx, a.Org, cur.ID)
		if err != nil {
			return Account{}, pam.Wrap(op, err)
		}
		n := int64(1)
		if len(versions) > 0 {
			n = versions[0].Version + 1
		}
		v, err := s.seal(ctx, op, a, cur, cur.ResourceType, n, c)
		if err != nil {
			return Account{}, err
		}
		m := map[string]any{"version": n, "credential_kind": string(v.Kind)}
		for name, value := range more {
			m[name] = value
		}
		if err = s.store.AddCredential(ctx, a.Org, cur.ID, v, s.entry(a, t, cur, m)); err == nil {
			return s.ByID(ctx, a, cur.ID)
		}
		if !pam.Is(err, pam.Conflict) || race == maxRaces {
			return Account{}, pam.Wrap(op, err)
		}
	}
}

// Versions lists the history of the credential of an account that the actor
// may see, newest first.
func (s *Service) Versions(ctx context.Context, a pam.Actor, id pam.AccountID) ([]Version, error) {
	const op = "list credential versions"
	if _, err := s.ByID(ctx, a, id); err != nil {
		return nil, pam.Wrap(op, err)
	}
	out, err := s.store.CredentialVersions(ctx, a.Org, id)
	return out, pam.Wrap(op, err)
}

// Purge overwrites the secret of one old version. What is in use stays, and so
// does what a rotation is about to find out about.
func (s *Service) Purge(ctx context.Context, a pam.Actor, id pam.AccountID, n int64) error {
	const op = "purge version"
	cur, err := s.chosen(ctx, op, a, id, policy.CredentialPurge)
	if err != nil {
		return err
	}
	versions, err := s.store.CredentialVersions(ctx, a.Org, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if !slices.ContainsFunc(versions, func(v Version) bool { return v.Version == n }) {
		return &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return s.purge(ctx, op, a, cur, []int64{n})
}

// maxKeep is the most versions that one may ask to keep.
const maxKeep = 10_000

// PurgeOld overwrites the secrets of all versions but the newest that can be
// opened, as many as keep says. It returns the history as it is then.
func (s *Service) PurgeOld(ctx context.Context, a pam.Actor, id pam.AccountID, keep int) ([]Version, error) {
	const op = "purge versions"
	if keep < 1 || keep > maxKeep {
		return nil, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "keep", Problem: "must be from 1 to 10000"}}}
	}
	cur, err := s.chosen(ctx, op, a, id, policy.CredentialPurge)
	if err != nil {
		return nil, err
	}
	versions, err := s.store.CredentialVersions(ctx, a.Org, id)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	var old []int64
	kept := 0
	for _, v := range versions {
		switch {
		case v.State == Purged:
		case kept < keep:
			kept++
		case !v.Promoted && !v.Working && v.State != Candidate:
			old = append(old, v.Version)
		}
	}
	if len(old) > 0 {
		if err := s.purge(ctx, op, a, cur, old); err != nil {
			return nil, err
		}
	}
	out, err := s.store.CredentialVersions(ctx, a.Org, id)
	return out, pam.Wrap(op, err)
}

func (s *Service) purge(ctx context.Context, op string, a pam.Actor, cur Account, versions []int64) error {
	e := s.entry(a, audit.CredentialPurged, cur, map[string]any{"versions": ranges(versions), "count": int64(len(versions))})
	return pam.Wrap(op, s.store.PurgeCredentials(ctx, a.Org, cur.ID, versions, a.User, s.clock.Now(), e))
}

// maxRanges bounds what an event says; how many there are, it says anyway.
const maxRanges = 50

// ranges writes numbers that descend, as "7-9" and "5".
func ranges(numbers []int64) []string {
	var out []string
	for i := 0; i < len(numbers) && len(out) < maxRanges; i++ {
		last := numbers[i]
		for i+1 < len(numbers) && numbers[i+1] == numbers[i]-1 {
			i++
		}
		if text := strconv.FormatInt(last, 10); numbers[i] != last {
			out = append(out, strconv.FormatInt(numbers[i], 10)+"-"+text)
		} else {
			out = append(out, text)
		}
	}
	return out
}

// Promote makes an old version the one that logs in: it says that the target
// has that one.
func (s *Service) Promote(ctx context.Context, a pam.Actor, id pam.AccountID, n int64) (Account, error) {
	const op = "promote version"
	cur, err := s.chosen(ctx, op, a, id, policy.CredentialPromote)
	if err != nil {
		return Account{}, err
	}
	versions, err := s.store.CredentialVersions(ctx, a.Org, id)
	if err != nil {
		return Account{}, pam.Wrap(op, err)
	}
	at := slices.IndexFunc(versions, func(v Version) bool { return v.Version == n })
	if at < 0 {
		return Account{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	v := versions[at]
	if err := fit(op, "version", v.Kind, cur.ResourceType); err != nil {
		return Account{}, err
	}
	m := map[string]any{"version": n, "credential_kind": string(v.Kind)}
	if cur.Credential != nil {
		m["instead_of"] = cur.Credential.Version
	}
	if err := s.store.PromoteCredential(ctx, a.Org, id, n, s.clock.Now(), s.entry(a, audit.CredentialPromoted, cur, m)); err != nil {
		return Account{}, pam.Wrap(op, err)
	}
	return s.ByID(ctx, a, id)
}
