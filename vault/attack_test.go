package vault_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"sync"
	"testing"

	"vaultpam/pam"
	"vaultpam/vault"
	"vaultpam/vault/vaulttest"
)

// The attacker in this file writes to the database but has no key.

func verify(public, message, sig []byte) bool { return ed25519.Verify(public, message, sig) }

// rotate does what a rotation of the organization key will do.
func rotate(tb testing.TB, v *vault.Vault, keys *vaulttest.Keys, org pam.OrgID, version uint32) {
	tb.Helper()
	row, err := v.WrapNewKey(org, version)
	check(tb, err)
	check(tb, keys.AddOrgKey(tb.Context(), row))
}

func TestOrganizationKeysSwappedBetweenOrganizationsDoNotOpen(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	a, b := seal(t, v, bindA, mark), seal(t, v, bindB, mark)
	keys.Orgs[orgA], keys.Orgs[orgB] = keys.Orgs[orgB], keys.Orgs[orgA]
	v = unsealed(t, keys, path)
	mustRefuse(t, v, bindA, a, vault.ErrKeyMoved)
	mustRefuse(t, v, bindB, b, vault.ErrKeyMoved)
	if _, err := v.Seal(t.Context(), bindA, nil); !errors.Is(err, vault.ErrKeyMoved) {
		t.Errorf("sealed with another organization's key: %v", err)
	}
}

func TestADamagedOrganizationKeyIsNamed(t *testing.T) {
	keys, path := initialized(t)
	sealed := seal(t, unsealed(t, keys, path), bindA, mark)
	row := keys.Orgs[orgA][1]
	for i := range row.Wrapped {
		for _, bad := range [][]byte{row.Wrapped[:i], append(append(bytes.Clone(row.Wrapped[:i]), row.Wrapped[i]^1), row.Wrapped[i+1:]...)} {
			keys.Orgs[orgA][1] = vault.OrgKey{Org: orgA, Version: 1, Wrapped: bad}
			want := vault.ErrKeyMoved
			switch {
			case len(bad) < len(row.Wrapped) || i == 0:
				want = vault.ErrKeyFormat
			case i < 5:
				want = vault.ErrKeyRoot
			}
			mustRefuse(t, unsealed(t, keys, path), bindA, sealed, want)
		}
	}
}

func TestAllVersionsOfAnOrganizationKeyOpenAndTheNewestSeals(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	old := seal(t, v, bindA, "old")
	rotate(t, v, keys, orgA, 2)
	rotate(t, v, keys, orgA, 3)

	other := unsealed(t, keys, path)
	fresh := seal(t, other, bindA, "new")
	if fresh[4] != 3 {
		t.Errorf("sealed with key %d", fresh[4])
	}
	mustOpen(t, other, bindA, old, "old")
	// The node that has not heard of the new key finds it by the value.
	mustOpen(t, v, bindA, fresh, "new")
	if again := seal(t, v, bindA, "again"); again[4] != 3 {
		t.Errorf("having seen key 3, sealed with key %d", again[4])
	}
}

func TestOrganizationKeysAreNotRolledBack(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	old := seal(t, v, bindA, "old")
	rotate(t, v, keys, orgA, 2)
	running := unsealed(t, keys, path)
	fresh := seal(t, running, bindA, mark)
	good := keys.Orgs[orgA][2]

	t.Run("an old key under the new number", func(t *testing.T) {
		forged := keys.Orgs[orgA][1]
		forged.Version = 2
		keys.Orgs[orgA][2] = forged
		v := unsealed(t, keys, path)
		mustRefuse(t, v, bindA, fresh, vault.ErrKeyMoved)
		if _, err := v.Seal(t.Context(), bindA, nil); !errors.Is(err, vault.ErrKeyMoved) {
			t.Errorf("sealed: %v", err)
		}
	})
	t.Run("the new key removed", func(t *testing.T) {
		delete(keys.Orgs[orgA], 2)
		mustRefuse(t, unsealed(t, keys, path), bindA, fresh, vault.ErrNoKey)
		mustRefuse(t, running, bindA, append([]byte{1, 0, 0, 0, 9}, fresh[5:]...), vault.ErrNoKey) // reads the rows anew
		if again := seal(t, running, bindA, "x"); again[4] != 2 {
			t.Errorf("a running server went back to key %d", again[4])
		}
		mustOpen(t, running, bindA, fresh, mark)
	})
	t.Run("the number in the value set back", func(t *testing.T) {
		keys.Orgs[orgA][2] = good
		mustRefuse(t, unsealed(t, keys, path), bindA, append([]byte{1, 0, 0, 0, 1}, fresh[5:]...), vault.ErrMoved)
		mustRefuse(t, unsealed(t, keys, path), bindA, append([]byte{1, 0, 0, 0, 0}, fresh[5:]...), vault.ErrNoKey)
		mustOpen(t, unsealed(t, keys, path), bindA, old, "old")
	})
}

func TestOpeningNeverMakesAKey(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	sealed := seal(t, v, bindA, mark)
	mustRefuse(t, v, bindB, sealed, vault.ErrNoKey)
	if len(keys.Orgs[orgB]) != 0 {
		t.Error("a key was made for an organization that sealed nothing")
	}
}

func TestKeysOfAnotherVaultDoNotOpen(t *testing.T) {
	keys, path := initialized(t)
	sealed := seal(t, unsealed(t, keys, path), bindA, mark)
	foreign, foreignPath := initialized(t)
	seal(t, unsealed(t, foreign, foreignPath), bindA, mark)
	keys.Orgs = foreign.Orgs
	mustRefuse(t, unsealed(t, keys, path), bindA, sealed, vault.ErrKeyMoved)
}

func TestNodesThatMakeTheFirstKeyAtOnceAgree(t *testing.T) {
	keys, path := initialized(t)
	const n = 8
	var wg sync.WaitGroup
	var sealed [n][]byte
	var public [n][]byte
	nodes := make([]*vault.Vault, n)
	for i := range n {
		nodes[i] = unsealed(t, keys, path)
	}
	for i, v := range nodes {
		wg.Go(func() {
			var err error
			if sealed[i], err = v.Seal(t.Context(), bindA, []byte(mark)); err != nil {
				t.Error(err)
			}
			if public[i], err = v.PublicKey(t.Context(), orgA); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range n {
		mustOpen(t, nodes[(i+1)%n], bindA, sealed[i], mark)
		if !bytes.Equal(public[i], public[0]) {
			t.Error("two nodes sign with different keys")
		}
	}
}

// failing refuses to keep keys, as on a full disk.
type failing struct{ *vaulttest.Keys }

var errFull = errors.New("no space left on device")

func (failing) AddOrgKey(context.Context, vault.OrgKey) error         { return errFull }
func (failing) AddSigningKey(context.Context, vault.SigningKey) error { return errFull }

func TestNoKeyIsUsedBeforeItIsKept(t *testing.T) {
	keys, path := initialized(t)
	full := unsealed(t, failing{keys}, path)
	if _, err := full.Seal(t.Context(), bindA, []byte(mark)); !errors.Is(err, errFull) {
		t.Errorf("sealed with a key that is lost: %v", err)
	}
	seal(t, unsealed(t, keys, path), bindA, mark)
	if _, err := full.Sign(t.Context(), orgA, nil); !errors.Is(err, errFull) {
		t.Errorf("signed with a key that is lost: %v", err)
	}
}

func TestSignaturesCheckAlsoAfterARestartAndWhileSealed(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	sig, err := v.Sign(t.Context(), orgA, []byte("message"))
	check(t, err)
	if !verify(sig.PublicKey, []byte("message"), sig.Sig) {
		t.Error("the signature does not check")
	}
	again, err := unsealed(t, keys, path).Sign(t.Context(), orgA, []byte("message"))
	check(t, err)
	if !bytes.Equal(again.PublicKey, sig.PublicKey) || !bytes.Equal(again.Sig, sig.Sig) {
		t.Error("another key after the restart")
	}
	other, err := v.PublicKey(t.Context(), orgB)
	check(t, err)
	if bytes.Equal(other, sig.PublicKey) {
		t.Error("two organizations share a key")
	}
	v.Lock()
	for _, v := range []*vault.Vault{v, node(t, keys, path)} {
		public, err := v.PublicKey(t.Context(), orgA)
		if err != nil || !bytes.Equal(public, sig.PublicKey) {
			t.Errorf("while sealed: %v", err)
		}
	}
}

func TestASwappedSigningKeyIsFoundOut(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	_, err := v.PublicKey(t.Context(), orgA)
	check(t, err)
	_, err = v.PublicKey(t.Context(), orgB)
	check(t, err)
	a, b := keys.Signing[orgA], keys.Signing[orgB]
	mine, _, err := ed25519.GenerateKey(nil)
	check(t, err)
	for name, row := range map[string]vault.SigningKey{
		"the attacker's public half":       {Org: orgA, Public: mine, Sealed: a.Sealed},
		"another organization's public":    {Org: orgA, Public: b.Public, Sealed: a.Sealed},
		"another organization's seed":      {Org: orgA, Public: a.Public, Sealed: b.Sealed},
		"another organization's whole row": {Org: orgA, Public: b.Public, Sealed: b.Sealed},
		"no public half":                   {Org: orgA, Sealed: a.Sealed},
	} {
		keys.Signing[orgA] = row
		v := unsealed(t, keys, path)
		if _, err := v.Sign(t.Context(), orgA, nil); !errors.Is(err, vault.ErrSigningKey) {
			t.Errorf("%s: signed: %v", name, err)
		}
		if _, err := v.PublicKey(t.Context(), orgA); !errors.Is(err, vault.ErrSigningKey) {
			t.Errorf("%s: public key: %v", name, err)
		}
	}
	keys.Signing[orgA] = a
	_, err = unsealed(t, keys, path).Sign(t.Context(), orgA, nil)
	check(t, err)

	// A row that is whole, but new: the running server knows the former key.
	delete(keys.Signing, orgA)
	_, err = unsealed(t, keys, path).PublicKey(t.Context(), orgA)
	check(t, err)
	v.Lock()
	check(t, v.Unseal(t.Context()))
	if _, err := v.Sign(t.Context(), orgA, nil); !errors.Is(err, vault.ErrSigningKey) {
		t.Errorf("signed with a replaced key: %v", err)
	}
}
