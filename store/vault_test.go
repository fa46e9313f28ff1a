package store_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/store"
	"vaultpam/store/storetest"
	"vaultpam/vault"
)

func TestVaultKeysAreKeptAndNeverReplaced(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		keys, ctx := open().Vault(), t.Context()
		at := time.Date(2026, 5, 6, 7, 8, 9, 123456000, time.UTC)

		if _, err := keys.VaultMeta(ctx); !pam.Is(err, pam.NotFound) {
			t.Errorf("before the first: %v", err)
		}
		meta := vault.Meta{SealKind: "keyfile", Root: []byte{0, 1, 255}, CreatedAt: at}
		if err := keys.InitVault(ctx, meta); err != nil {
			t.Fatal(err)
		}
		if err := keys.InitVault(ctx, vault.Meta{SealKind: "other", Root: []byte{9}, CreatedAt: at}); !pam.Is(err, pam.Conflict) {
			t.Errorf("a second root key: %v", err)
		}
		got, err := keys.VaultMeta(ctx)
		if diff := cmp.Diff(meta, got); diff != "" || err != nil {
			t.Error(err, diff)
		}

		want := []vault.OrgKey{{Org: org, Version: 1, Wrapped: []byte{1}, CreatedAt: at}, {Org: org, Version: 2, Wrapped: []byte{2}, CreatedAt: at}}
		for _, k := range []vault.OrgKey{want[1], want[0], {Org: "org_b", Version: 1, Wrapped: []byte{3}, CreatedAt: at}} {
			if err := keys.AddOrgKey(ctx, k); err != nil {
				t.Fatal(err)
			}
		}
		if err := keys.AddOrgKey(ctx, vault.OrgKey{Org: org, Version: 2, Wrapped: []byte{9}, CreatedAt: at}); !pam.Is(err, pam.Conflict) {
			t.Errorf("a second key of one version: %v", err)
		}
		all, err := keys.OrgKeys(ctx, org)
		if diff := cmp.Diff(want, all); diff != "" || err != nil {
			t.Error(err, diff)
		}
		if none, err := keys.OrgKeys(ctx, "org_c"); err != nil || len(none) != 0 {
			t.Error(none, err)
		}

		signing := vault.SigningKey{Org: org, Public: []byte{4}, Sealed: []byte{5}, CreatedAt: at}
		if err := keys.AddSigningKey(ctx, signing); err != nil {
			t.Fatal(err)
		}
		if err := keys.AddSigningKey(ctx, vault.SigningKey{Org: org, Public: []byte{9}, Sealed: []byte{9}, CreatedAt: at}); !pam.Is(err, pam.Conflict) {
			t.Errorf("a second signing key: %v", err)
		}
		key, err := keys.SigningKey(ctx, org)
		if diff := cmp.Diff(signing, key); diff != "" || err != nil {
			t.Error(err, diff)
		}
		if _, err := keys.SigningKey(ctx, "org_b"); !pam.Is(err, pam.NotFound) {
			t.Errorf("another organization's signing key: %v", err)
		}
	})
}

// A root key is replaced once, by whoever has read the present one, and never
// without its event.
func TestTheRootKeyIsReplacedByWhoeverHasReadItLast(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db, ctx := open(), t.Context()
		keys := db.Vault()
		at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
		old := vault.Meta{SealKind: "keyfile", Root: []byte{1}, CreatedAt: at}
		next := vault.Meta{SealKind: "shamir", Root: []byte{2}, CreatedAt: at}
		if err := keys.InitVault(ctx, old); err != nil {
			t.Fatal(err)
		}
		scribe := audit.NewScribe(clock.Real{}, ids.NewSource(clock.Real{}, rand.Reader))
		entry := func() audit.Entry {
			return scribe.Entry(pam.Actor{Token: pam.SystemToken}, audit.VaultSealChanged, audit.Party{Type: "vault"}, nil)
		}
		if err := keys.ChangeSeal(ctx, old, next, entry()); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range []vault.Meta{old, {SealKind: "shamir", Root: []byte{1}}, {SealKind: "keyfile", Root: []byte{2}}} {
			if err := keys.ChangeSeal(ctx, wrong, old, entry()); !pam.Is(err, pam.Conflict) {
				t.Errorf("replaced what is not there: %v", err)
			}
		}
		got, err := keys.VaultMeta(ctx)
		if diff := cmp.Diff(next, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
	})
}
