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
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// RootSeal protects the root key while the vault is sealed. It should not keep
// in memory what undoes the wrapping, so that a sealed vault stays shut to
// whoever reads the process.
type RootSeal interface {
	Kind() string // "keyfile", …
	// Wrap encrypts plaintext and binds ad to it. It keeps neither.
	Wrap(ctx context.Context, plaintext, ad []byte) ([]byte, error)
	// Unwrap decrypts what Wrap returned for the same ad. The error wraps
	// ErrWrongKey where this seal is intact, but not the one that wrapped.
	Unwrap(ctx context.Context, wrapped, ad []byte) (secret.Value, error)
}

// ErrWrongKey is wrapped by what RootSeal.Unwrap returns for another key's work.
var ErrWrongKey = errors.New("this is not the key that the vault was sealed with")

// Meta is the root key as it is kept.
type Meta struct {
	SealKind  string
	Root      []byte // the list of root keys, wrapped by the RootSeal
	CreatedAt time.Time
}

// OrgKey is an organization's key, wrapped with the root key.
type OrgKey struct {
	Org       pam.OrgID
	Version   uint32 // from 1; the highest one seals
	Wrapped   []byte // names the root key that wraps it
	CreatedAt time.Time
	Uses      int64     // how often it has sealed, at most; the store counts
	IdleSince time.Time // since when nothing names it; zero while something may
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
	KeyChanges // rotate.go
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

	// mu guards all below. Whoever uses a key holds it for reading until the
	// key is no longer in use, and nobody holds it while waiting for the
	// store: so Lock may clear the keys, and never waits long.
	mu          sync.RWMutex
	roots       *ring  // nil while sealed
	wrapped     []byte // what roots was unwrapped from
	rings       map[pam.OrgID]*ring
	signing     map[pam.OrgID]ed25519.PrivateKey
	public      map[pam.OrgID]ed25519.PublicKey // proved by their private halves
	initialized bool

	reserving sync.Mutex // one reservation of uses at a time; rotate.go
}

// New makes a sealed vault. random must be safe for concurrent use; it is
// crypto/rand.Reader outside of tests.
func New(store KeyStore, seal RootSeal, c clock.Clock, random io.Reader) *Vault {
	return &Vault{
		store: store, seal: seal, clock: c, rand: random,
		rings: map[pam.OrgID]*ring{}, signing: map[pam.OrgID]ed25519.PrivateKey{}, public: map[pam.OrgID]ed25519.PublicKey{},
	}
}

// Init makes the root key; the vault stays as sealed as it was. It returns an
// Error of kind Conflict, and changes nothing, when there is one already.
func (v *Vault) Init(ctx context.Context) error {
	const op = "init vault"
	root := make([]byte, keySize)
	defer clear(root)
	if _, err := io.ReadFull(v.rand, root); err != nil {
		return pam.Wrap(op, err)
	}
	list := appendRoot(make([]byte, 0, 1+rootSize), 1, root)
	defer clear(list)
	wrapped, err := v.seal.Wrap(ctx, list, rootAD)
	if err != nil {
		return pam.Wrap(op, err)
	}
	err = v.store.InitVault(ctx, Meta{SealKind: v.seal.Kind(), Root: wrapped, CreatedAt: v.clock.Now()})
	if err == nil || pam.Is(err, pam.Conflict) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.initialized = true
	}
	return pam.Wrap(op, err)
}

// Unseal opens the root key with the RootSeal. It returns an Error of kind
// NotFound before Init, and of kind Unavailable when the seal does not open
// the root key; that one wraps ErrWrongKey when it is the wrong seal. Unsealing
// an open vault is no error.
func (v *Vault) Unseal(ctx context.Context) error {
	const op = "unseal vault"
	meta, err := v.store.VaultMeta(ctx)
	if err != nil {
		return pam.Wrap(op, err)
	}
	v.mu.Lock()
	v.initialized = true
	v.mu.Unlock()
	if meta.SealKind != v.seal.Kind() {
		return pam.Errorf(pam.Unavailable, op, "The vault is sealed by %s, but %s was configured.", meta.SealKind, v.seal.Kind())
	}
	list, err := v.seal.Unwrap(ctx, meta.Root, rootAD)
	if errors.Is(err, ErrWrongKey) {
		return &pam.Error{Kind: pam.Unavailable, Op: op, Public: "This is not the key that the vault was sealed with.", Err: err}
	}
	if err != nil {
		return &pam.Error{Kind: pam.Unavailable, Op: op, Public: "The root key of the vault cannot be opened.", Err: err}
	}
	defer list.Wipe()
	roots, err := parseRoots(list.Expose())
	if err != nil {
		return pam.Wrap(op, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.roots.wipe()
	v.roots, v.wrapped = roots, meta.Root
	return nil
}

// Lock seals the vault. It waits for those who use a key at this moment, then
// overwrites all keys; whoever comes later gets an Error of kind Sealed.
// Values that were opened before belong to their holders. What crypto/ed25519
// caches of a signing key is out of reach and goes with the garbage collector.
func (v *Vault) Lock() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.roots.wipe()
	v.roots = nil
	for _, r := range v.rings {
		r.wipe()
	}
	clear(v.rings)
	for _, key := range v.signing {
		clear(key)
	}
	clear(v.signing)
}

// Status says whether the vault is sealed. Initialized is known from the
// first Init or Unseal on.
func (v *Vault) Status() Status {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return Status{Sealed: v.roots == nil, Initialized: v.initialized, SealKind: v.seal.Kind()}
}

var errSealed = &pam.Error{Kind: pam.Sealed, Op: "use vault", Public: "Vault is sealed — credential access unavailable"}

// Seal encrypts plaintext so that only Open with an equal Binding decrypts it.
// plaintext is at most 1 MiB, else the Error is of kind TooLarge.
func (v *Vault) Seal(ctx context.Context, b pam.Binding, plaintext []byte) (sealed []byte, err error) {
	err = v.use(ctx, b.Org, 0, func(version uint32, key cipher.AEAD) error {
		sealed, err = sealEnvelope(key, version, v.rand, b, plaintext)
		return err
	})
	return sealed, pam.Wrap("seal value", err)
}

// Open decrypts what Seal returned for b. Why it does not is one of ErrFormat,
// ErrLength, ErrNoKey, ErrMoved and ErrAltered.
func (v *Vault) Open(ctx context.Context, b pam.Binding, sealed []byte) (secret.Value, error) {
	const op = "open value"
	version, err := parseEnvelope(sealed)
	if err != nil {
		if v.Status().Sealed { // a sealed vault answers all alike
			err = errSealed
		}
		return secret.Value{}, pam.Wrap(op, err)
	}
	var plaintext []byte
	err = v.use(ctx, b.Org, version, func(version uint32, key cipher.AEAD) (err error) {
		plaintext, err = openEnvelope(key, version, b, sealed)
		return err
	})
	if err != nil {
		return secret.Value{}, pam.Wrap(op, err)
	}
	return secret.New(plaintext), nil
}

// use calls f with a version of org's key, the newest one for 0, which stays
// valid until f returns.
func (v *Vault) use(ctx context.Context, org pam.OrgID, version uint32, f func(uint32, cipher.AEAD) error) error {
	for {
		if found, err := v.useLoaded(org, version, f); found || err != nil {
			return err
		}
		if err := v.load(ctx, org, version); err != nil {
			return err
		}
	}
}

func (v *Vault) useLoaded(org pam.OrgID, version uint32, f func(uint32, cipher.AEAD) error) (found bool, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.roots == nil {
		return false, errSealed
	}
	if version == 0 && !v.rings[org].maySeal(v.clock.Now()) {
		return false, nil
	}
	version, key := v.rings[org].get(version)
	if key == nil {
		return false, nil
	}
	return true, f(version, key)
}

// load reads org's keys, and makes the first one if any will do and there is
// none. It returns ErrNoKey when version is not among them.
func (v *Vault) load(ctx context.Context, org pam.OrgID, version uint32) error {
	began := v.clock.Now()
	rows, err := v.store.OrgKeys(ctx, org)
	if err != nil {
		return err
	}
	if len(rows) == 0 && version == 0 {
		if err := v.addFirstKey(ctx, org); err != nil {
			return err
		}
		// Read back what is durable: of two nodes that make a first key, one
		// has won.
		if rows, err = v.store.OrgKeys(ctx, org); err != nil {
			return err
		}
	}
	err = v.keep(org, rows, version, began)
	if errors.Is(err, ErrKeyRoot) { // another node has added a root key
		if err = v.reloadRoots(ctx); err == nil {
			err = v.keep(org, rows, version, began)
		}
	}
	if err != nil || version != 0 {
		return err
	}
	return v.reserve(ctx, org)
}

func (v *Vault) addFirstKey(ctx context.Context, org pam.OrgID) error {
	// A root key that this node has not heard of may be about to go.
	if err := v.reloadRoots(ctx); err != nil {
		return err
	}
	wrapped, err := v.wrapNewKey(org, 1)
	if err != nil {
		return err
	}
	err = v.store.AddOrgKey(ctx, OrgKey{Org: org, Version: 1, Wrapped: wrapped, CreatedAt: v.clock.Now()})
	if pam.Is(err, pam.Conflict) {
		return nil
	}
	return err
}

func (v *Vault) wrapNewKey(org pam.OrgID, version uint32) ([]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.roots == nil {
		return nil, errSealed
	}
	return newOrgKey(v.roots, v.rand, org, version)
}

// keep opens the rows and adds them to org's ring. What is in the ring stays,
// so that a row that vanishes or changes while the vault is open cannot turn
// it back to an older key; but an older one that a newer row has outlived was
// taken away by a rotation. One bad row spoils the rest: without it an older
// key might seal. The rows were read after began.
func (v *Vault) keep(org pam.OrgID, rows []OrgKey, version uint32, began time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.roots == nil {
		return errSealed // since the rows were read
	}
	old, fresh := v.rings[org], &ring{}
	for _, row := range rows {
		if _, known := old.get(row.Version); known != nil && row.Version != 0 {
			continue
		}
		key, err := openOrgKey(v.roots, org, row.Version, row.Wrapped)
		if err != nil {
			fresh.wipe()
			return fmt.Errorf("organization key %d: %w", row.Version, err)
		}
		fresh.add(row.Version, key)
	}
	if old == nil {
		old = &ring{}
		v.rings[org] = old
	}
	for n, key := range fresh.keys {
		old.add(n, key)
	}
	old.dropBut(rows)
	old.checked = began
	if _, key := old.get(version); key == nil {
		return ErrNoKey
	}
	return nil
}
