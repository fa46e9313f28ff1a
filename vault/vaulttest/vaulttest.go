// Package vaulttest gives tests of other packages an open vault and a store
// of keys in memory. It must not be imported outside of tests.
package vaulttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
)

// New returns an unsealed vault of its own.
func New(t testing.TB) *vault.Vault {
	t.Helper()
	return Open(t, &Keys{})
}

// Open returns an unsealed vault whose keys are kept in store, which has none
// yet.
func Open(t testing.TB, store vault.KeyStore) *vault.Vault {
	t.Helper()
	seal, err := sealfile.Create(filepath.Join(t.TempDir(), "root.key"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(store, seal, clock.Real{}, rand.Reader)
	if err := v.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v
}

// Keys is a vault.KeyStore in memory. Its fields are for tests that play the
// attacker who writes to the database.
type Keys struct {
	mu      sync.Mutex // guards all below against the methods
	Meta    *vault.Meta
	Orgs    map[pam.OrgID]map[uint32]vault.OrgKey
	Signing map[pam.OrgID]vault.SigningKey
	Uses    map[pam.OrgID]map[uint32]int64
}

var _ vault.KeyStore = (*Keys)(nil)

// VaultMeta implements vault.KeyStore.
func (k *Keys) VaultMeta(context.Context) (vault.Meta, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Meta == nil {
		return vault.Meta{}, &pam.Error{Kind: pam.NotFound}
	}
	return *k.Meta, nil
}

// InitVault implements vault.KeyStore.
func (k *Keys) InitVault(_ context.Context, m vault.Meta) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Meta != nil {
		return &pam.Error{Kind: pam.Conflict}
	}
	k.Meta = &m
	return nil
}

// OrgKeys implements vault.KeyStore.
func (k *Keys) OrgKeys(_ context.Context, org pam.OrgID) ([]vault.OrgKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Values(k.Orgs[org])), nil
}

// AddOrgKey implements vault.KeyStore.
func (k *Keys) AddOrgKey(_ context.Context, key vault.OrgKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Orgs == nil {
		k.Orgs = map[pam.OrgID]map[uint32]vault.OrgKey{}
	}
	if k.Orgs[key.Org] == nil {
		k.Orgs[key.Org] = map[uint32]vault.OrgKey{}
	}
	if _, ok := k.Orgs[key.Org][key.Version]; ok {
		return &pam.Error{Kind: pam.Conflict}
	}
	k.Orgs[key.Org][key.Version] = key
	return nil
}

// ReplaceRoot implements vault.KeyStore.
func (k *Keys) ReplaceRoot(_ context.Context, old, next []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Meta == nil || !bytes.Equal(k.Meta.Root, old) {
		return &pam.Error{Kind: pam.Conflict}
	}
	k.Meta.Root = next
	return nil
}

// ReplaceOrgKey implements vault.KeyStore.
func (k *Keys) ReplaceOrgKey(_ context.Context, key vault.OrgKey, next []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old, ok := k.Orgs[key.Org][key.Version]
	if !ok || !bytes.Equal(old.Wrapped, key.Wrapped) {
		return &pam.Error{Kind: pam.Conflict}
	}
	old.Wrapped = next
	k.Orgs[key.Org][key.Version] = old
	return nil
}

// UseOrgKey implements vault.KeyStore.
func (k *Keys) UseOrgKey(_ context.Context, org pam.OrgID, version uint32, n int64) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.Orgs[org][version]; !ok {
		return 0, &pam.Error{Kind: pam.NotFound}
	}
	if k.Uses == nil {
		k.Uses = map[pam.OrgID]map[uint32]int64{}
	}
	if k.Uses[org] == nil {
		k.Uses[org] = map[uint32]int64{}
	}
	k.Uses[org][version] += n
	return k.Uses[org][version], nil
}

// SigningKey implements vault.KeyStore.
func (k *Keys) SigningKey(_ context.Context, org pam.OrgID) (vault.SigningKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.Signing[org]
	if !ok {
		return vault.SigningKey{}, &pam.Error{Kind: pam.NotFound}
	}
	return key, nil
}

// AddSigningKey implements vault.KeyStore.
func (k *Keys) AddSigningKey(_ context.Context, key vault.SigningKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Signing == nil {
		k.Signing = map[pam.OrgID]vault.SigningKey{}
	}
	if _, ok := k.Signing[key.Org]; ok {
		return &pam.Error{Kind: pam.Conflict}
	}
	k.Signing[key.Org] = key
	return nil
}

// Seal returns a seal that Process opens several vaults with.
func Seal(t testing.TB) vault.RootSeal {
	t.Helper()
	seal, err := sealfile.Create(filepath.Join(t.TempDir(), "root.key"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

// Process returns an unsealed vault over keys that other vaults may use too, as
// another process, or the same one after a restart, would open it.
func Process(t testing.TB, store vault.KeyStore, seal vault.RootSeal, c clock.Clock) *vault.Vault {
	t.Helper()
	v := vault.New(store, seal, c, rand.Reader)
	if err := v.Init(t.Context()); err != nil && !pam.Is(err, pam.Conflict) {
		t.Fatal(err)
	}
	if err := v.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return v
}
