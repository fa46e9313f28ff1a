package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// What turns keys: each step leaves everything readable, and may be taken
// again after it was cut short. Rotator says in which order.

// KeyChanges is what a KeyStore does for a rotation.
type KeyChanges interface {
	// ReplaceRoot puts next in the place of the wrapped root keys; a Conflict
	// where they are not old any more.
	ReplaceRoot(ctx context.Context, old, next []byte) error
	// ReplaceOrgKey puts next in the place of the wrapped key; a Conflict where
	// it is not as k has it any more.
	ReplaceOrgKey(ctx context.Context, k OrgKey, next []byte) error
	// UseOrgKey counts n uses of a key, durably, and returns all so far.
	// NotFound where there is no such key.
	UseOrgKey(ctx context.Context, org pam.OrgID, version uint32, n int64) (int64, error)
}

const (
	// fresh is for how long a node seals with a key before it looks whether
	// there is a newer one, in case nobody told it.
	fresh = time.Minute
	// useBlock is how many uses are reserved at once: a process that dies
	// costs at most as many.
	useBlock = 1 << 12
	// MaxUses is how many values a key seals at most: beyond, chance nonces
	// might meet (NIST SP 800-38D section 8.3).
	MaxUses = 1 << 32
	// DueUses is when a key should be rotated.
	DueUses = MaxUses / 2
)

// maySeal says whether the newest key may seal once more, and counts it.
func (r *ring) maySeal(now time.Time) bool {
	if r == nil {
		return false
	}
	age := now.Sub(r.checked) // below zero: the clock was set back
	return age >= 0 && age < fresh && r.left.Add(-1) >= 0
}

// dropBut takes the keys away that rows lack, up to the newest of rows.
func (r *ring) dropBut(rows []OrgKey) {
	var newest uint32
	kept := make(map[uint32]bool, len(rows))
	for _, row := range rows {
		newest, kept[row.Version] = max(newest, row.Version), true
	}
	for n, key := range r.keys {
		if n < newest && !kept[n] {
			wipe(key)
			delete(r.keys, n)
		}
	}
}

// reserve counts uses of org's newest key before they happen.
func (v *Vault) reserve(ctx context.Context, org pam.OrgID) error {
	v.reserving.Lock()
	defer v.reserving.Unlock()
	v.mu.RLock()
	r := v.rings[org]
	var version uint32
	if r != nil && r.left.Load() <= 0 {
		version = r.newest
	}
	v.mu.RUnlock()
	if version == 0 {
		return nil
	}
	used, err := v.store.UseOrgKey(ctx, org, version, useBlock)
	if err != nil {
		return err
	}
	if used > MaxUses {
		return pam.Errorf(pam.Unavailable, "", "The organization's key has sealed as much as it may: rotate the keys.")
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.rings[org] == r && r.newest == version {
		r.left.Store(useBlock)
	}
	return nil
}

// Heard makes the vault look for newer keys of org before it seals again. It
// asks nobody and is quick.
func (v *Vault) Heard(org pam.OrgID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.rings[org]; r != nil {
		r.checked = time.Time{}
	}
}

// unwrapRoots opens the list as it is kept now. The caller wipes it.
func (v *Vault) unwrapRoots(ctx context.Context) (meta Meta, list secret.Value, err error) {
	if meta, err = v.store.VaultMeta(ctx); err != nil {
		return meta, list, err
	}
	if meta.SealKind == v.seal.Kind() {
		list, err = v.seal.Unwrap(ctx, meta.Root, rootAD)
	} else {
		err = errors.New("it is sealed by " + meta.SealKind)
	}
	if err != nil {
		err = &pam.Error{Kind: pam.Unavailable, Public: "The root key was changed, and this server cannot open the new one: unseal it again.", Err: err}
	}
	return meta, list, err
}

// reloadRoots reads the root keys again where they are not those that are
// open. A running vault never goes back to a list that ends earlier.
func (v *Vault) reloadRoots(ctx context.Context) error {
	meta, err := v.store.VaultMeta(ctx)
	if err != nil {
		return err
	}
	v.mu.RLock()
	sealed, same := v.roots == nil, bytes.Equal(meta.Root, v.wrapped)
	v.mu.RUnlock()
	if sealed {
		return errSealed
	}
	if same {
		return nil
	}
	meta, list, err := v.unwrapRoots(ctx)
	if err != nil {
		return err
	}
	defer list.Wipe()
	return v.keepRoots(list.Expose(), meta.Root)
}

func (v *Vault) keepRoots(list, wrapped []byte) error {
	roots, err := parseRoots(list)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.roots == nil:
		roots.wipe()
		return errSealed // since the list was read
	case roots.newest < v.roots.newest:
		roots.wipe()
		return errRoot
	}
	v.roots.wipe()
	v.roots, v.wrapped = roots, wrapped
	return nil
}

// ProbeSeal says whether the seal opens and wraps root keys now. A seal that
// takes people to wrap refuses here, before a rotation has begun.
func (v *Vault) ProbeSeal(ctx context.Context) error {
	const op = "probe seal"
	if v.Status().Sealed {
		return pam.Wrap(op, errSealed)
	}
	_, list, err := v.unwrapRoots(ctx)
	list.Wipe()
	if err != nil {
		return pam.Wrap(op, err)
	}
	probe := []byte("vaultpam probe\x01") // never rootAD
	wrapped, err := v.seal.Wrap(ctx, probe, probe)
	if err == nil {
		var again secret.Value
		if again, err = v.seal.Unwrap(ctx, wrapped, probe); err == nil && !bytes.Equal(again.Expose(), probe) {
			err = errRoot
		}
	}
	if _, worded := errors.AsType[*pam.Error](err); err != nil && !worded {
		err = &pam.Error{Kind: pam.Unavailable, Public: "The seal cannot wrap a new root key now. The keys of organizations can be rotated all the same.", Err: err}
	}
	return pam.Wrap(op, err)
}

// RootVersions returns the newest root key's version, and how many there are.
func (v *Vault) RootVersions(ctx context.Context) (newest uint32, n int, err error) {
	if err := v.reloadRoots(ctx); err != nil {
		return 0, 0, pam.Wrap("read root keys", err)
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.roots == nil {
		return 0, 0, errSealed
	}
	return v.roots.newest, len(v.roots.keys), nil
}

// AddRoot puts a new root key at the end of the list, unless version is there.
func (v *Vault) AddRoot(ctx context.Context, version uint32) error {
	return pam.Wrap("add root key", v.changeRoots(ctx, func(list []byte, newest uint32) ([]byte, error) {
		if newest >= version {
			return nil, nil
		}
		root := make([]byte, keySize)
		defer clear(root)
		if _, err := io.ReadFull(v.rand, root); err != nil {
			return nil, err
		}
		// A slice of its own: append might leave a copy behind.
		next := append(make([]byte, 0, len(list)+rootSize), list...)
		return appendRoot(next, newest+1, root), nil
	}))
}

// KeepNewestRoot takes all root keys off the list but the newest one. No
// organization key may name them any more, nor be about to.
func (v *Vault) KeepNewestRoot(ctx context.Context) error {
	return pam.Wrap("remove root key", v.changeRoots(ctx, func(list []byte, _ uint32) ([]byte, error) {
		if len(list) == 1+rootSize {
			return nil, nil
		}
		return append(append(make([]byte, 0, 1+rootSize), list[0]), list[len(list)-rootSize:]...), nil
	}))
}

// changeRoots replaces the list by what change makes of it, unless that is
// nil. What is to be kept must open before it takes the place of what does.
func (v *Vault) changeRoots(ctx context.Context, change func(list []byte, newest uint32) ([]byte, error)) error {
	if v.Status().Sealed {
		return errSealed
	}
	meta, list, err := v.unwrapRoots(ctx)
	if err != nil {
		return err
	}
	defer list.Wipe()
	roots, err := parseRoots(list.Expose())
	if err != nil {
		return err
	}
	newest := roots.newest
	roots.wipe()
	v.mu.RLock()
	back := v.roots != nil && newest < v.roots.newest
	v.mu.RUnlock()
	if back { // somebody has put an old list back: a key of this number is in use
		return errRoot
	}
	next, err := change(list.Expose(), newest)
	defer clear(next)
	if err != nil || next == nil {
		return err
	}
	wrapped, err := v.seal.Wrap(ctx, next, rootAD)
	if err != nil {
		return err
	}
	again, err := v.seal.Unwrap(ctx, wrapped, rootAD)
	defer again.Wipe()
	if err != nil {
		return err
	}
	if !bytes.Equal(again.Expose(), next) {
		return errRoot
	}
	if err := v.store.ReplaceRoot(ctx, meta.Root, wrapped); err != nil {
		return err
	}
	return v.keepRoots(next, wrapped)
}

// RewrapOrgKey wraps a key with the newest root key, and says whether it had
// to. A key that changed meanwhile is left alone.
func (v *Vault) RewrapOrgKey(ctx context.Context, k OrgKey) (bool, error) {
	const op = "wrap organization key"
	next, err := v.rewrapped(k)
	if err != nil || next == nil {
		return false, pam.Wrap(op, err)
	}
	err = v.store.ReplaceOrgKey(ctx, k, next)
	if pam.Is(err, pam.Conflict) {
		return false, nil
	}
	return err == nil, pam.Wrap(op, err)
}

func (v *Vault) rewrapped(k OrgKey) ([]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.roots == nil {
		return nil, errSealed
	}
	key, err := unwrapOrgKey(v.roots, k.Org, k.Version, k.Wrapped)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if binary.BigEndian.Uint32(k.Wrapped[1:]) == v.roots.newest {
		return nil, nil
	}
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(v.rand, nonce); err != nil {
		return nil, err
	}
	return wrapOrgKey(v.roots, k.Org, k.Version, key, nonce), nil
}

// RenewOrgKey adds the next version of org's key, unless one was made at or
// after since. It returns the version that seals.
func (v *Vault) RenewOrgKey(ctx context.Context, org pam.OrgID, since time.Time) (uint32, error) {
	const op = "add organization key"
	if err := v.reloadRoots(ctx); err != nil {
		return 0, pam.Wrap(op, err)
	}
	rows, err := v.store.OrgKeys(ctx, org)
	if err != nil {
		return 0, pam.Wrap(op, err)
	}
	var last OrgKey
	for _, k := range rows {
		if k.Version > last.Version {
			last = k
		}
	}
	switch {
	case last.Version == 0:
		return 0, pam.Errorf(pam.NotFound, op, "The organization has no key.")
	case !last.CreatedAt.Before(since):
		return last.Version, nil
	case last.Version == math.MaxUint32:
		return 0, pam.Wrap(op, errors.New("the numbers are used up"))
	}
	// The present ones must open before another takes over: a key that is
	// damaged is found now, and not when the new one has sealed.
	if err := v.load(ctx, org, last.Version); err != nil {
		return 0, pam.Wrap(op, err)
	}
	next := OrgKey{Org: org, Version: last.Version + 1, CreatedAt: v.clock.Now()}
	if next.CreatedAt.Before(since) { // made by the node whose clock is ahead
		next.CreatedAt = since
	}
	if next.Wrapped, err = v.wrapNewKey(org, next.Version); err != nil {
		return 0, pam.Wrap(op, err)
	}
	err = v.store.AddOrgKey(ctx, next)
	if err != nil && !pam.Is(err, pam.Conflict) { // another node was first
		return 0, pam.Wrap(op, err)
	}
	v.Heard(org)
	return next.Version, nil
}

// Reseal opens a value with its binding and seals it anew, data key and all:
// the associated data of both halves name the organization key, so there is
// nothing to be kept of the old envelope. A value that was moved does not
// open, and so is never given the seal of the place that it was moved to.
func (v *Vault) Reseal(ctx context.Context, b pam.Binding, sealed []byte) ([]byte, error) {
	plain, err := v.Open(ctx, b, sealed)
	if err != nil {
		return nil, err
	}
	defer plain.Wipe()
	return v.Seal(ctx, b, plain.Expose())
}

// Head is how every value begins that was sealed by a version of its
// organization's key, and every organization key that a version of the root
// key wraps.
func Head(version uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{envelopeVersion}, version)
}

// HeadSize is the length of a Head.
const HeadSize = headerSize

// SealedBy is the version that a value, or a wrapped key, names; 0 for what
// names none.
func SealedBy(sealed []byte) uint32 {
	if len(sealed) < headerSize || sealed[0] != envelopeVersion {
		return 0
	}
	return binary.BigEndian.Uint32(sealed[1:])
}
