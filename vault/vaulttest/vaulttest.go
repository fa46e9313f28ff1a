// Package vaulttest gives tests of other packages an open vault and a store
// of keys in memory. It must not be imported outside of tests.
package vaulttest

import (
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
