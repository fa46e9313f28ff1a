// Package vault protects secrets at rest: root key, organization keys, and a
// data key for each value.
//
// It owns the envelope, the ring of keys and the state of being sealed. It
// knows no noun of the product and never keeps a value. Start at [Vault];
// the format is in docs/formats/envelope.md.
package vault

import (
	"context"
	"crypto/cipher"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// RootSeal protects the root key while the server is down.
type RootSeal interface {
	Kind() string // "keyfile", …
	Wrap(ctx context.Context, plaintext, ad []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped, ad []byte) (secret.Value, error)
}

// Meta is the root key as it is kept.
type Meta struct {
	SealKind  string
	Root      []byte // wrapped by the RootSeal
	CreatedAt time.Time
}

// OrgKey is an organization's key, wrapped with the root key.
type OrgKey struct {
	Org       pam.OrgID
	Version   uint32 // from 1; the highest one seals
	Wrapped   []byte
	CreatedAt time.Time
}

// SigningKey is an organization's ed25519 key; its seed is sealed like any
// value of the organization.
type SigningKey struct {
	Org       pam.OrgID
	Public    []byte
	Sealed    []byte
	CreatedAt time.Time
}

// KeyStore keeps keys, all of them wrapped. The Add and Init methods return an
// Error of kind Conflict, and change nothing, when there is such a row.
type KeyStore interface {
	VaultMeta(ctx context.Context) (Meta, error) // NotFound before Init
	InitVault(ctx context.Context, m Meta) error
	OrgKeys(ctx context.Context, org pam.OrgID) ([]OrgKey, error)
	AddOrgKey(ctx context.Context, k OrgKey) error
	SigningKey(ctx context.Context, org pam.OrgID) (SigningKey, error) // NotFound
	AddSigningKey(ctx context.Context, k SigningKey) error
}

// Status says whether secrets can be reached.
type Status struct {
	Sealed      bool
	Initialized bool
	SealKind    string
}

// Vault seals and opens values. It is safe for concurrent use and begins
// sealed.
type Vault struct {
	store KeyStore
	seal  RootSeal
	clock clock.Clock
	rand  io.Reader

	mu          sync.RWMutex // guards all below
	root        cipher.AEAD  // nil while sealed
	initialized bool
	rings       map[pam.OrgID]*ring
	signing     map[pam.OrgID]ed25519.PrivateKey
	public      map[pam.OrgID][]byte
}

// ring is the keys of one organization.
type ring struct {
	keys   map[uint32]cipher.AEAD
	newest uint32
}

// New makes a sealed vault. random is crypto/rand.Reader outside of tests.
func New(store KeyStore, seal RootSeal, c clock.Clock, random io.Reader) *Vault {
	v := &Vault{store: store, seal: seal, clock: c, rand: random, public: map[pam.OrgID][]byte{}}
	v.Lock()
	return v
}

const rootPurpose = "vaultpam root key"

// Init makes the root key. It returns an Error of kind Conflict when there is
// one already.
func (v *Vault) Init(ctx context.Context) error {
	var root [keySize]byte
	defer clear(root[:])
	if _, err := io.ReadFull(v.rand, root[:]); err != nil {
		return pam.Wrap("init vault", err)
	}
	wrapped, err := v.seal.Wrap(ctx, root[:], []byte(rootPurpose))
	if err != nil {
		return pam.Wrap("init vault", err)
	}
	return pam.Wrap("init vault", v.store.InitVault(ctx, Meta{SealKind: v.seal.Kind(), Root: wrapped, CreatedAt: v.clock.Now()}))
}

// Unseal opens the root key with the RootSeal.
func (v *Vault) Unseal(ctx context.Context) error {
	meta, err := v.store.VaultMeta(ctx)
	if err != nil {
		return pam.Wrap("unseal vault", err)
	}
	if meta.SealKind != v.seal.Kind() {
		return pam.Errorf(pam.Unavailable, "unseal vault", "The vault is sealed by %s, but %s was configured.", meta.SealKind, v.seal.Kind())
	}
	root, err := v.seal.Unwrap(ctx, meta.Root, []byte(rootPurpose))
	if err != nil {
		return &pam.Error{Kind: pam.Unavailable, Op: "unseal vault", Public: "This key does not open the vault.", Err: err}
	}
	defer root.Wipe()
	gcm, err := newGCM(root.Expose())
	if err != nil {
		return pam.Wrap("unseal vault", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.root, v.initialized = gcm, true
	return nil
}

// Lock seals the vault: all keys are dropped. What is under way with a key
// that it already holds ends by itself.
func (v *Vault) Lock() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.root = nil
	v.rings = map[pam.OrgID]*ring{}
	for _, k := range v.signing {
		clear(k)
	}
	v.signing = map[pam.OrgID]ed25519.PrivateKey{}
}

// Status says whether the vault is sealed.
func (v *Vault) Status() Status {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return Status{Sealed: v.root == nil, Initialized: v.initialized, SealKind: v.seal.Kind()}
}

var errSealed = &pam.Error{Kind: pam.Sealed, Op: "use vault", Public: "Vault is sealed — credential access unavailable"}

// Seal encrypts plaintext so that only Open with an equal Binding decrypts it.
func (v *Vault) Seal(ctx context.Context, b pam.Binding, plaintext []byte) ([]byte, error) {
	r, err := v.ring(ctx, b.Org)
	if err != nil {
		return nil, pam.Wrap("seal value", err)
	}
	sealed, err := sealEnvelope(r.keys[r.newest], r.newest, v.rand, b, plaintext)
	return sealed, pam.Wrap("seal value", err)
}

// Open decrypts what Seal returned for b.
func (v *Vault) Open(ctx context.Context, b pam.Binding, sealed []byte) (secret.Value, error) {
	version, err := parseEnvelope(sealed)
	if err != nil {
		return secret.Value{}, pam.Wrap("open value", err)
	}
	r, err := v.ring(ctx, b.Org)
	if err != nil {
		return secret.Value{}, pam.Wrap("open value", err)
	}
	key, ok := r.keys[version]
	if !ok {
		// Another node may have made a newer key since this ring was read.
		if r, err = v.readRing(ctx, b.Org); err != nil {
			return secret.Value{}, pam.Wrap("open value", err)
		}
		if key, ok = r.keys[version]; !ok {
			return secret.Value{}, pam.Wrap("open value", fmt.Errorf("vault: there is no organization key %d", version))
		}
	}
	plaintext, err := openEnvelope(key, version, b, sealed)
	if err != nil {
		return secret.Value{}, pam.Wrap("open value", err)
	}
	return secret.New(plaintext), nil
}

// ring returns the keys of an organization, makes the first one if there is
// none, and keeps them until the vault is sealed.
func (v *Vault) ring(ctx context.Context, org pam.OrgID) (*ring, error) {
	v.mu.RLock()
	sealed, r := v.root == nil, v.rings[org]
	v.mu.RUnlock()
	if sealed {
		return nil, errSealed
	}
	if r != nil {
		return r, nil
	}
	return v.readRing(ctx, org)
}

func (v *Vault) readRing(ctx context.Context, org pam.OrgID) (*ring, error) {
	v.mu.RLock()
	root := v.root
	v.mu.RUnlock()
	if root == nil {
		return nil, errSealed
	}
	rows, err := v.store.OrgKeys(ctx, org)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		if err := v.makeKey(ctx, root, org); err != nil {
			return nil, err
		}
		// Read it back: of two nodes that make a first key, one has won.
		if rows, err = v.store.OrgKeys(ctx, org); err != nil {
			return nil, err
		}
	}
	r := &ring{keys: make(map[uint32]cipher.AEAD, len(rows))}
	for _, row := range rows {
		key, err := decrypt(root, row.Wrapped, keyAD(org, row.Version))
		if err != nil {
			return nil, fmt.Errorf("organization key %d: %w", row.Version, err)
		}
		gcm, err := newGCM(key)
		clear(key)
		if err != nil {
			return nil, err
		}
		r.keys[row.Version] = gcm
		r.newest = max(r.newest, row.Version)
	}
	if r.newest == 0 {
		return nil, errors.New("vault: an organization key was not kept")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.root == nil {
		return nil, errSealed // sealed meanwhile: nothing may be kept
	}
	v.rings[org] = r
	return r, nil
}

func (v *Vault) makeKey(ctx context.Context, root cipher.AEAD, org pam.OrgID) error {
	var key [keySize]byte
	defer clear(key[:])
	if _, err := io.ReadFull(v.rand, key[:]); err != nil {
		return err
	}
	wrapped, err := encrypt(nil, root, v.rand, key[:], keyAD(org, 1))
	if err != nil {
		return err
	}
	err = v.store.AddOrgKey(ctx, OrgKey{Org: org, Version: 1, Wrapped: wrapped, CreatedAt: v.clock.Now()})
	if pam.Is(err, pam.Conflict) {
		return nil
	}
	return err
}

// keyAD binds a wrapped key to its organization and version: a row copied to
// another organization, or an old one under a new number, does not open.
func keyAD(org pam.OrgID, version uint32) []byte {
	return append(binary.BigEndian.AppendUint32([]byte("vaultpam organization key"), version), org...)
}
