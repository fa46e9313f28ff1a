package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
	"vaultpam/vault/vaulttest"
)

// process opens keys as a process with its own clock would.
func process(t *testing.T, keys vault.KeyStore, path string, c clock.Clock) *vault.Vault {
	t.Helper()
	seal, err := sealfile.Open(path)
	check(t, err)
	return vaulttest.Process(t, keys, seal, c)
}

func TestANodeSealsWithANewKeyWithinAMinuteOrAsSoonAsItHears(t *testing.T) {
	keys, path := initialized(t)
	c := clock.NewManual(time.Now())
	one, two := process(t, keys, path, c), process(t, keys, path, c)
	seal(t, two, bindA, mark)
	c.Advance(time.Second)
	version, err := one.RenewOrgKey(t.Context(), orgA, c.Now())
	check(t, err)
	if version != 2 {
		t.Fatalf("version %d", version)
	}
	again, err := one.RenewOrgKey(t.Context(), orgA, c.Now())
	if err != nil || again != 2 {
		t.Errorf("asked twice, it made key %d: %v", again, err)
	}
	if n := vault.SealedBy(seal(t, one, bindA, mark)); n != 2 {
		t.Errorf("who made it sealed with key %d", n)
	}
	c.Advance(58 * time.Second)
	if n := vault.SealedBy(seal(t, two, bindA, mark)); n != 1 {
		t.Errorf("who has not heard sealed with key %d", n)
	}
	c.Advance(2 * time.Second)
	if n := vault.SealedBy(seal(t, two, bindA, mark)); n != 2 {
		t.Errorf("a minute later it sealed with key %d", n)
	}
	_, err = one.RenewOrgKey(t.Context(), orgA, c.Now())
	check(t, err)
	two.Heard(orgA)
	if n := vault.SealedBy(seal(t, two, bindA, mark)); n != 3 {
		t.Errorf("who has heard sealed with key %d", n)
	}
	c.Advance(-time.Hour) // a clock that is set back makes nothing fresh
	_, err = one.RenewOrgKey(t.Context(), orgA, c.Now().Add(24*time.Hour))
	check(t, err)
	if n := vault.SealedBy(seal(t, two, bindA, mark)); n != 4 {
		t.Errorf("with its clock set back it sealed with key %d", n)
	}
}

func TestUsesAreCountedBeforeTheyHappenAndEnd(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	for range 3 {
		seal(t, v, bindA, mark)
	}
	first := keys.Uses[orgA][1]
	if first < 3 {
		t.Fatalf("%d uses are counted", first)
	}
	old := seal(t, unsealed(t, keys, path), bindA, mark) // the process died, and what it had reserved is spent
	if n := keys.Uses[orgA][1]; n != 2*first {
		t.Errorf("%d uses after a restart, want %d", n, 2*first)
	}
	keys.Uses[orgA][1] = vault.MaxUses - first
	last := unsealed(t, keys, path)
	seal(t, last, bindA, mark)
	worn := unsealed(t, keys, path)
	if _, err := worn.Seal(t.Context(), bindA, []byte(mark)); !pam.Is(err, pam.Unavailable) {
		t.Errorf("a key that is used up sealed: %v", err)
	}
	mustOpen(t, worn, bindA, old, mark)
	_, err := worn.RenewOrgKey(t.Context(), orgA, time.Now().Add(time.Hour))
	check(t, err)
	if n := vault.SealedBy(seal(t, worn, bindA, mark)); n != 2 {
		t.Errorf("sealed with key %d", n)
	}
}

func TestANodeThatHasNotHeardOfANewRootKeyOpensWhatItWraps(t *testing.T) {
	keys, path := initialized(t)
	one, two := unsealed(t, keys, path), unsealed(t, keys, path)
	old := seal(t, one, bindA, mark)
	check(t, one.AddRoot(t.Context(), 2))
	check(t, one.AddRoot(t.Context(), 2)) // twice is as good as once
	for _, k := range keys.Orgs[orgA] {
		if changed, err := one.RewrapOrgKey(t.Context(), k); !changed || err != nil {
			t.Fatalf("%v %v", changed, err)
		}
		if changed, err := one.RewrapOrgKey(t.Context(), keys.Orgs[orgA][1]); changed || err != nil {
			t.Errorf("wrapped twice: %v %v", changed, err)
		}
		if changed, err := one.RewrapOrgKey(t.Context(), k); changed {
			t.Errorf("a row that has changed was replaced: %v", err)
		}
	}
	mustOpen(t, two, bindA, old, mark)
	mustOpen(t, two, bindB, seal(t, one, bindB, mark), mark)
	check(t, one.KeepNewestRoot(t.Context()))
	if newest, n, err := two.RootVersions(t.Context()); newest != 2 || n != 1 || err != nil {
		t.Errorf("root %d of %d: %v", newest, n, err)
	}
	mustOpen(t, unsealed(t, keys, path), bindA, old, mark)
}

// Who writes to the database puts the list of root keys of before a rotation
// back: a server that runs would make another key of the same number.
func TestRootKeysAreNotRolledBack(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	before := keys.Meta.Root
	check(t, v.AddRoot(t.Context(), 2))
	sealed := seal(t, v, bindA, mark)
	after := keys.Meta.Root
	keys.Meta.Root = before
	if _, _, err := v.RootVersions(t.Context()); err == nil {
		t.Error("an old list was taken")
	}
	if err := v.AddRoot(t.Context(), 3); err == nil || !bytes.Equal(keys.Meta.Root, before) {
		t.Errorf("an old list was continued: %v", err)
	}
	if err := v.KeepNewestRoot(t.Context()); err == nil {
		t.Error("an old list was cut")
	}
	if _, err := v.Seal(t.Context(), bindB, nil); err == nil {
		t.Error("a first key was made under an old list")
	}
	mustOpen(t, v, bindA, sealed, mark)
	keys.Meta.Root = after
	mustOpen(t, unsealed(t, keys, path), bindA, sealed, mark)
}

// deaf is a seal that cannot open what it wraps.
type deaf struct{ vault.RootSeal }

func (d deaf) Wrap(ctx context.Context, plaintext, ad []byte) ([]byte, error) {
	return d.RootSeal.Wrap(ctx, plaintext[:len(plaintext)-1], ad)
}

var errNoShares = errors.New("it takes shares")

type shareless struct{ vault.RootSeal }

func (shareless) Wrap(context.Context, []byte, []byte) ([]byte, error) { return nil, errNoShares }

func TestARootKeyThatDoesNotOpenTakesNoPlace(t *testing.T) {
	keys, path := initialized(t)
	check(t, unsealed(t, keys, path).ProbeSeal(t.Context()))
	before := keys.Meta.Root
	file, err := sealfile.Open(path)
	check(t, err)
	for _, seal := range []vault.RootSeal{deaf{file}, shareless{file}} {
		v := vault.New(keys, seal, clock.Real{}, rand.Reader)
		check(t, v.Unseal(t.Context()))
		if err := v.ProbeSeal(t.Context()); !pam.Is(err, pam.Unavailable) {
			t.Errorf("%T before the rotation: %v", seal, err)
		}
		if err := v.AddRoot(t.Context(), 2); err == nil || !bytes.Equal(keys.Meta.Root, before) {
			t.Errorf("%T: %v", seal, err)
		}
	}
}

func TestAMovedOrganizationKeyIsNotWrappedAnew(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	seal(t, v, bindA, mark)
	seal(t, v, bindB, mark)
	check(t, v.AddRoot(t.Context(), 2))
	moved := keys.Orgs[orgA][1]
	moved.Org = orgB
	keys.Orgs[orgB][1] = moved
	if changed, err := v.RewrapOrgKey(t.Context(), moved); changed || !errors.Is(err, vault.ErrKeyMoved) {
		t.Errorf("%v %v", changed, err)
	}
	// Nor does it get a successor, behind which the damage would be forgotten.
	if _, err := unsealed(t, keys, path).RenewOrgKey(t.Context(), orgB, time.Now().Add(time.Hour)); !errors.Is(err, vault.ErrKeyMoved) {
		t.Errorf("a damaged key was renewed: %v", err)
	}
}

func TestASealedVaultRotatesNothing(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	sealed := seal(t, v, bindA, mark)
	v.Lock()
	_, reseal := v.Reseal(t.Context(), bindA, sealed)
	_, renew := v.RenewOrgKey(t.Context(), orgA, time.Now().Add(time.Hour))
	_, rewrap := v.RewrapOrgKey(t.Context(), keys.Orgs[orgA][1])
	_, _, roots := v.RootVersions(t.Context())
	for what, err := range map[string]error{"reseal": reseal, "renew": renew, "rewrap": rewrap, "roots": roots, "probe": v.ProbeSeal(t.Context()), "add": v.AddRoot(t.Context(), 2), "keep": v.KeepNewestRoot(t.Context())} {
		if !pam.Is(err, pam.Sealed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(keys.Orgs[orgA]) != 1 {
		t.Error("a key was made")
	}
}
