package vault

import (
	"context"
	"time"

	"vaultpam/pam"
)

// Removal is a key that goes.
type Removal struct {
	Org     pam.OrgID
	Version uint32 // 0: the old root keys
}

// Retire looks after keys that are not the newest of theirs any more: it seals
// anew what still names one, since a node or a request may have been late, and
// removes those that nothing has named for Grace. It returns how many are left.
// remove takes an organization key away, unless a value names it.
func (o *Rotator) Retire(ctx context.Context, remove func(ctx context.Context, r Removal) error) (left int, err error) {
	keys, err := o.Store.AllOrgKeys(ctx)
	if err != nil {
		return 0, err
	}
	for len(keys) > 0 {
		n := 1
		for n < len(keys) && keys[n].Org == keys[0].Org {
			n++
		}
		if n > 1 {
			some, err := o.retireOrg(ctx, keys[:n-1], keys[n-1], remove)
			left += some
			if err != nil {
				return left, err
			}
		}
		keys = keys[n:]
	}
	some, err := o.retireRoots(ctx, remove)
	return left + some, err
}

func (o *Rotator) retireOrg(ctx context.Context, old []OrgKey, newest OrgKey, remove func(ctx context.Context, r Removal) error) (left int, err error) {
	o.Vault.Heard(newest.Org)
	met, err := o.sweep(ctx, newest, func(ctx context.Context, changed []Value, _ int, _ []ValueProblem) error {
		_, err := o.Store.Reseal(ctx, nil, changed)
		return err
	})
	if err != nil {
		return len(old), err
	}
	// A letter's link may have been sealed by a node that had not heard yet.
	letters, err := o.Store.LettersOut(ctx, newest.Org, newest.CreatedAt.Add(2*fresh))
	if err != nil {
		return len(old), err
	}
	now := o.Clock.Now()
	delete(met, newest.Version)
	if o.Kept != nil && (letters || len(met) > 0) {
		o.Kept(newest.Org, why(letters, met))
	}
	for _, k := range old {
		switch used := letters || met[k.Version] || met[anyVersion]; {
		case used && !k.IdleSince.IsZero():
			err = o.Store.SetIdle(ctx, k.Org, k.Version, time.Time{})
			left++
		case used:
			left++
		case k.IdleSince.IsZero():
			err = o.Store.SetIdle(ctx, k.Org, k.Version, now)
			left++
		case now.Sub(k.IdleSince) < Grace:
			left++
		default:
			err = remove(ctx, Removal{Org: k.Org, Version: k.Version})
		}
		if err != nil {
			return left, err
		}
	}
	return left, nil
}

func why(letters bool, met map[uint32]bool) string {
	switch {
	case letters:
		return "links in letters may name it"
	case met[anyVersion]:
		return "the file of a recording may name it, and is not here"
	}
	return "a value names it: if it is the same the next time, it does not open"
}

func (o *Rotator) retireRoots(ctx context.Context, remove func(ctx context.Context, r Removal) error) (left int, err error) {
	newest, n, err := o.Vault.RootVersions(ctx)
	if err != nil || n < 2 {
		return 0, err
	}
	keys, err := o.Store.AllOrgKeys(ctx)
	if err != nil {
		return n - 1, err
	}
	used := false
	for _, k := range keys {
		if SealedBy(k.Wrapped) == newest {
			continue
		}
		used = true
		if _, err := o.Vault.RewrapOrgKey(ctx, k); later(err) {
			return n - 1, err
		}
	}
	since, err := o.Store.RootIdle(ctx)
	if err != nil {
		return n - 1, err
	}
	now := o.Clock.Now()
	switch {
	case used:
		return n - 1, o.Store.SetRootIdle(ctx, time.Time{})
	case since.IsZero():
		return n - 1, o.Store.SetRootIdle(ctx, now)
	case now.Sub(since) < Grace:
		return n - 1, nil
	}
	return 0, remove(ctx, Removal{})
}
