package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
	"vaultpam/vault/vaulttest"
)

const (
	orgA pam.OrgID = "org_01ARZ3NDEKTSV4RRFFQ69G5FAA"
	orgB pam.OrgID = "org_01ARZ3NDEKTSV4RRFFQ69G5FAB"
	mark           = "hunter2-canary"
)

var (
	bindA = pam.Binding{Org: orgA, Purpose: "account.credential", Object: "acc_1", Version: 1}
	bindB = pam.Binding{Org: orgB, Purpose: "account.credential", Object: "acc_1", Version: 1}
)

// node is one server on a store that others may share.
func node(tb testing.TB, keys vault.KeyStore, keyFile string) *vault.Vault {
	tb.Helper()
	seal, err := sealfile.Open(keyFile)
	check(tb, err)
	return vault.New(keys, seal, clock.Real{}, rand.Reader)
}

// initialized returns a store with a root key, and the key file.
func initialized(tb testing.TB) (*vaulttest.Keys, string) {
	tb.Helper()
	keys, path := &vaulttest.Keys{}, filepath.Join(tb.TempDir(), "root.key")
	_, err := sealfile.Create(path, rand.Reader)
	check(tb, err)
	check(tb, node(tb, keys, path).Init(tb.Context()))
	return keys, path
}

func unsealed(tb testing.TB, keys vault.KeyStore, keyFile string) *vault.Vault {
	tb.Helper()
	v := node(tb, keys, keyFile)
	check(tb, v.Unseal(tb.Context()))
	return v
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func seal(tb testing.TB, v *vault.Vault, b pam.Binding, plaintext string) []byte {
	tb.Helper()
	sealed, err := v.Seal(tb.Context(), b, []byte(plaintext))
	check(tb, err)
	return sealed
}

func mustOpen(tb testing.TB, v *vault.Vault, b pam.Binding, sealed []byte, want string) {
	tb.Helper()
	got, err := v.Open(tb.Context(), b, sealed)
	check(tb, err)
	if string(got.Expose()) != want {
		tb.Fatalf("opened %d bytes, which are not what was sealed", len(got.Expose()))
	}
}

// mustRefuse also checks that the refusal says nothing of the value.
func mustRefuse(tb testing.TB, v *vault.Vault, b pam.Binding, sealed []byte, want error) {
	tb.Helper()
	got, err := v.Open(tb.Context(), b, sealed)
	if !got.Empty() || err == nil {
		tb.Fatalf("opened: %v", err)
	}
	if want != nil && !errors.Is(err, want) {
		tb.Fatalf("refused with %q, want %q", err, want)
	}
	if pam.KindOf(err) != pam.Internal || strings.Contains(err.Error(), mark) {
		tb.Fatalf("refused with %q", err)
	}
}

func TestValuesOpenAsTheyWereSealed(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	for _, value := range []string{"", "x", mark, strings.Repeat("long ", 10_000), strings.Repeat("m", vault.MaxPlaintext)} {
		for _, b := range []pam.Binding{bindA, bindB, {Org: pam.InstanceOrg, Purpose: "server.host-key", Object: "key_1", Version: 3}} {
			one, two := seal(t, v, b, value), seal(t, v, b, value)
			if bytes.Equal(one, two) {
				t.Error("the same value was sealed twice to the same bytes")
			}
			if len(value) > 3 && bytes.Contains(one, []byte(value)) {
				t.Error("the value stands in the envelope")
			}
			if len(one) != vault.Overhead+len(value) {
				t.Errorf("%d bytes became %d", len(value), len(one))
			}
			mustOpen(t, v, b, one, value)
			mustOpen(t, unsealed(t, keys, path), b, two, value)
		}
	}
}

func TestAMovedValueDoesNotOpen(t *testing.T) {
	v := vaulttest.New(t)
	sealed := seal(t, v, bindA, mark)
	seal(t, v, bindB, "so that the other organization has a key")
	for name, b := range map[string]pam.Binding{
		"organization":       {Org: orgB, Purpose: bindA.Purpose, Object: bindA.Object, Version: 1},
		"purpose":            {Org: orgA, Purpose: "recording.key", Object: bindA.Object, Version: 1},
		"object":             {Org: orgA, Purpose: bindA.Purpose, Object: "acc_2", Version: 1},
		"version":            {Org: orgA, Purpose: bindA.Purpose, Object: bindA.Object, Version: 2},
		"shifted boundary":   {Org: orgA, Purpose: bindA.Purpose + "a", Object: "cc_1", Version: 1},
		"nothing but nought": {Org: orgA},
	} {
		t.Run(name, func(t *testing.T) { mustRefuse(t, v, b, sealed, vault.ErrMoved) })
	}
	t.Run("halves of two values", func(t *testing.T) {
		other := seal(t, v, bindA, "another value of the same object")
		head := vault.HeaderSize + vault.WrappedSize
		mustRefuse(t, v, bindA, append(bytes.Clone(sealed[:head]), other[head:]...), vault.ErrAltered)
	})
}

func TestATruncatedValueDoesNotOpen(t *testing.T) {
	v := vaulttest.New(t)
	sealed := seal(t, v, bindA, mark)
	for n := range len(sealed) {
		want := vault.ErrLength
		if n >= vault.Overhead {
			want = vault.ErrAltered
		}
		mustRefuse(t, v, bindA, sealed[:n], want)
	}
	mustRefuse(t, v, bindA, append(bytes.Clone(sealed), 0), vault.ErrAltered)
	mustRefuse(t, v, bindA, append(bytes.Clone(sealed), make([]byte, vault.MaxPlaintext)...), vault.ErrLength)
	mustRefuse(t, v, bindA, nil, vault.ErrLength)
}

func TestAFlippedBitIsFoundAndItsPlaceNamed(t *testing.T) {
	v := vaulttest.New(t)
	sealed := seal(t, v, bindA, mark)
	for i := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		var want error
		switch at := i / 8; {
		case at == 0:
			want = vault.ErrFormat
		case at < vault.HeaderSize:
			want = vault.ErrNoKey
		case at < vault.HeaderSize+vault.WrappedSize:
			want = vault.ErrMoved
		default:
			want = vault.ErrAltered
		}
		mustRefuse(t, v, bindA, bad, want)
	}
	mustOpen(t, v, bindA, sealed, mark)
}

func TestASealedVaultRefusesEverything(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	sealed := seal(t, v, bindA, mark)
	before, err := v.Open(t.Context(), bindA, sealed)
	check(t, err)
	v.Lock()
	if !v.Status().Sealed {
		t.Error("the status does not say sealed")
	}
	fresh := node(t, keys, path)
	for name, f := range map[string]func(v *vault.Vault) error{
		"seal":       func(v *vault.Vault) error { _, err := v.Seal(t.Context(), bindA, []byte(mark)); return err },
		"open":       func(v *vault.Vault) error { _, err := v.Open(t.Context(), bindA, sealed); return err },
		"open junk":  func(v *vault.Vault) error { _, err := v.Open(t.Context(), bindA, []byte("junk")); return err },
		"sign":       func(v *vault.Vault) error { _, err := v.Sign(t.Context(), orgA, nil); return err },
		"public key": func(v *vault.Vault) error { _, err := v.PublicKey(t.Context(), orgA); return err },
	} {
		for _, v := range []*vault.Vault{v, fresh} {
			refusal, ok := errors.AsType[*pam.Error](f(v))
			if !ok || refusal.Kind != pam.Sealed || refusal.Public != "Vault is sealed — credential access unavailable" {
				t.Errorf("%s: %v", name, refusal)
			}
		}
	}
	if string(before.Expose()) != mark {
		t.Error("sealing the vault cleared a value that somebody holds")
	}
	check(t, v.Unseal(t.Context()))
	check(t, v.Unseal(t.Context())) // twice is as good as once
	mustOpen(t, v, bindA, sealed, mark)
}

func TestSealingAndUnsealingUnderLoadNeverGivesAWrongAnswer(t *testing.T) {
	keys, path := initialized(t)
	v := unsealed(t, keys, path)
	public, err := v.PublicKey(t.Context(), orgA)
	check(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	worked := make(chan struct{}, 1)
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				b := pam.Binding{Org: []pam.OrgID{orgA, orgB}[n%2], Purpose: "p", Object: fmt.Sprint(i), Version: int64(n + 1)}
				sealed, err := v.Seal(ctx, b, []byte(mark))
				if err == nil {
					got, openErr := v.Open(ctx, b, sealed)
					if err = openErr; err == nil && string(got.Expose()) != mark {
						t.Error("opened something else")
					}
				}
				if err == nil {
					sig, signErr := v.Sign(ctx, orgA, sealed)
					if err = signErr; err == nil && !verify(public, sealed, sig.Sig) {
						t.Error("a signature does not check")
					}
				}
				if err != nil && !pam.Is(err, pam.Sealed) {
					t.Error(err)
				}
				if err == nil {
					select {
					case worked <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	for range 100 {
		<-worked
		v.Lock()
		check(t, v.Unseal(t.Context()))
	}
	stop()
	wg.Wait()
}

func TestTheRootKeyIsMadeOnce(t *testing.T) {
	keys, path := initialized(t)
	v := node(t, keys, path)
	if s := v.Status(); s != (vault.Status{Sealed: true, SealKind: "keyfile"}) {
		t.Errorf("%+v", s)
	}
	root := bytes.Clone(keys.Meta.Root)
	if err := v.Init(t.Context()); !pam.Is(err, pam.Conflict) {
		t.Errorf("a second root key: %v", err)
	}
	if !bytes.Equal(root, keys.Meta.Root) {
		t.Error("the root key changed")
	}
	if s := v.Status(); s != (vault.Status{Sealed: true, Initialized: true, SealKind: "keyfile"}) {
		t.Errorf("%+v", s)
	}
	if err := node(t, &vaulttest.Keys{}, path).Unseal(t.Context()); !pam.Is(err, pam.NotFound) {
		t.Errorf("unsealing before init: %v", err)
	}
}

func TestUnsealingWithTheWrongKeySaysSo(t *testing.T) {
	keys, path := initialized(t)
	other := filepath.Join(t.TempDir(), "other.key")
	_, err := sealfile.Create(other, rand.Reader)
	check(t, err)
	v := node(t, keys, other)
	err = v.Unseal(t.Context())
	if !pam.Is(err, pam.Unavailable) || !errors.Is(err, vault.ErrWrongKey) || !strings.Contains(err.Error(), "This is not the key that the vault was sealed with.") {
		t.Error(err)
	}
	if !v.Status().Sealed {
		t.Error("unsealed all the same")
	}

	damaged := *keys.Meta
	for i := range damaged.Root {
		keys.Meta.Root = bytes.Clone(damaged.Root)
		keys.Meta.Root[i] ^= 1
		if err := node(t, keys, path).Unseal(t.Context()); !pam.Is(err, pam.Unavailable) {
			t.Errorf("root key damaged at byte %d: %v", i, err)
		}
		keys.Meta.Root = damaged.Root[:i]
		if err := node(t, keys, path).Unseal(t.Context()); !pam.Is(err, pam.Unavailable) {
			t.Errorf("root key cut to %d bytes: %v", i, err)
		}
	}
	keys.Meta.Root, keys.Meta.SealKind = damaged.Root, "shamir"
	if err := node(t, keys, path).Unseal(t.Context()); !pam.Is(err, pam.Unavailable) || !strings.Contains(err.Error(), "shamir") {
		t.Errorf("another kind of seal: %v", err)
	}
}

func TestWhatCannotBeSealedIsRefused(t *testing.T) {
	v := vaulttest.New(t)
	for _, b := range []pam.Binding{{}, {Org: orgA, Object: "o", Version: 1}, {Org: orgA, Purpose: "p", Version: 1}, {Org: orgA, Purpose: "p", Object: "o"}} {
		if _, err := v.Seal(t.Context(), b, []byte(mark)); err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("%+v: %v", b, err)
		}
	}
	if _, err := v.Seal(t.Context(), bindA, make([]byte, vault.MaxPlaintext+1)); !pam.Is(err, pam.TooLarge) {
		t.Error(err)
	}
}

func TestWithoutRandomnessNothingIsSealed(t *testing.T) {
	keys, path := initialized(t)
	file, err := sealfile.Open(path)
	check(t, err)
	v := vault.New(keys, file, clock.Real{}, io.LimitReader(rand.Reader, 44+20)) // an organization key, and too little for a value
	check(t, v.Unseal(t.Context()))
	if _, err := v.Seal(t.Context(), bindA, []byte(mark)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestALongListOfRootKeysIsReadInOrder(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	entry := func(version byte) []byte { return append([]byte{0, 0, 0, version}, key...) }
	good := append(append([]byte{1}, entry(1)...), entry(4)...)
	if newest, err := vault.ParseRoots(good); err != nil || newest != 4 {
		t.Errorf("newest %d: %v", newest, err)
	}
	for name, bad := range map[string][]byte{
		"empty": {}, "no key": {1}, "version 2": append([]byte{2}, entry(1)...), "key 0": append([]byte{1}, entry(0)...),
		"twice": append(append([]byte{1}, entry(1)...), entry(1)...), "cut": good[:len(good)-1],
	} {
		if _, err := vault.ParseRoots(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
