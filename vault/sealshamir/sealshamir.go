// Package sealshamir seals the root key with a key that people hold in shares,
// so that nobody alone opens the vault.
//
// It owns the collection of shares and what Wrap returns
// (docs/formats/envelope.md). It must not know who gives a share, nor store
// one. Start at [Seal.Offer].
package sealshamir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/secret"
	"vaultpam/internal/shamir"
	"vaultpam/vault"
)

// Kind names this seal.
const Kind = "shamir"

// Patience is how long a share is kept for the others to come.
const Patience = 15 * time.Minute

// What Wrap returns: version, set, threshold, number of shares, then nonce,
// ciphertext and tag.
const (
	wrapVersion = 1
	setSize     = len(shamir.Set{})
	headSize    = 1 + setSize + 2
)

// Why a share is not taken, or those that were taken do not open the vault. A
// text that is no share is one of the errors of shamir.Parse.
var (
	ErrOtherVault = errors.New("this share is of another set than that of this vault")
	ErrContradict = errors.New("another share of this number was given before: drop what was given, and begin again")
	ErrDamaged    = errors.New("shamir: the wrapped root key is cut short or of an unknown version")
	ErrAltered    = errors.New("shamir: the wrapped root key was altered or cut short")
)

// Progress says how far a collection is.
type Progress struct{ Threshold, Shares, Given int }

// Seal wraps with a key that was split. It has the key from when enough shares
// were given until Forget: the keys of an open vault are in memory anyway. It
// is safe for concurrent use.
type Seal struct {
	clock clock.Clock
	rand  io.Reader

	mu    sync.Mutex // guards all below
	of    head
	key   []byte // nil while the vault is sealed
	given []given
}

type given struct {
	share shamir.Share
	until time.Time
}

// head says which shares open the rest.
type head struct {
	set               shamir.Set
	threshold, shares int
}

var (
	_ vault.RootSeal  = (*Seal)(nil)
	_ vault.Forgetful = (*Seal)(nil)
)

// New makes a seal that waits for shares.
func New(c clock.Clock, random io.Reader) *Seal { return &Seal{clock: c, rand: random} }

// Deal makes a seal with a new key, and the shares of it, which are nowhere
// else. The caller hands them out and wipes them.
func Deal(shares, threshold int, c clock.Clock, random io.Reader) (*Seal, []shamir.Share, error) {
	key := make([]byte, shamir.KeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, nil, err
	}
	dealt, err := shamir.Deal(key, shares, threshold, random)
	if err != nil {
		clear(key)
		return nil, nil, err
	}
	return &Seal{clock: c, rand: random, key: key, of: head{dealt[0].Set, threshold, shares}}, dealt, nil
}

// Kind names this seal.
func (*Seal) Kind() string { return Kind }

// Wrap encrypts plaintext with AES-256-GCM, binding ad and which shares open
// it. It needs the key: of a new seal, or of one that was opened.
func (s *Seal) Wrap(_ context.Context, plaintext, ad []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		return nil, vault.ErrNotYet
	}
	out := append([]byte{wrapVersion}, s.of.set[:]...)
	out = append(out, byte(s.of.threshold), byte(s.of.shares))
	sealed, err := vault.WrapWith(s.key, s.rand, plaintext, bound(out, ad))
	if err != nil {
		return nil, err
	}
	return append(out, sealed...), nil
}

// bound puts the head into the associated data.
func bound(head, ad []byte) []byte { return append(bytes.Clone(head), ad...) }

// Unwrap decrypts what Wrap returned for the same ad, with the shares that
// were given. It wraps vault.ErrNotYet while they are too few. If they are
// enough and do not open it, all of them are dropped: one of them is wrong,
// and nothing says which.
func (s *Seal) Unwrap(_ context.Context, wrapped, ad []byte) (secret.Value, error) {
	of, err := parse(wrapped)
	if err != nil {
		return secret.Value{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil && s.of == of {
		plaintext, ok := vault.UnwrapWith(s.key, wrapped[headSize:], bound(wrapped[:headSize], ad))
		if !ok {
			return secret.Value{}, ErrAltered
		}
		return secret.New(plaintext), nil
	}
	key, err := s.gather(of)
	if err != nil {
		return secret.Value{}, err
	}
	plaintext, ok := vault.UnwrapWith(key, wrapped[headSize:], bound(wrapped[:headSize], ad))
	if !ok {
		clear(key)
		return secret.Value{}, fmt.Errorf("shamir: the shares do not open the root key: %w", vault.ErrWrongKey)
	}
	s.forget()
	s.key, s.of = key, of
	return secret.New(plaintext), nil
}

// gather puts the shares together and drops them. Called with mu held.
func (s *Seal) gather(of head) ([]byte, error) {
	s.expire(of)
	if len(s.given) < of.threshold {
		return nil, fmt.Errorf("%d of %d shares: %w", len(s.given), of.threshold, vault.ErrNotYet)
	}
	shares := make([]shamir.Share, len(s.given))
	for i := range shares {
		shares[i] = s.given[i].share
	}
	defer clear(shares)
	s.drop()
	return shamir.Gather(shares)
}

func parse(wrapped []byte) (head, error) {
	if len(wrapped) < headSize || wrapped[0] != wrapVersion {
		return head{}, ErrDamaged
	}
	of := head{shamir.Set(wrapped[1 : 1+setSize]), int(wrapped[1+setSize]), int(wrapped[2+setSize])}
	if of.threshold < 2 || of.threshold > of.shares {
		return head{}, ErrDamaged
	}
	return of, nil
}

// Offer adds a share, as a person has typed it, to what is collected to open
// wrapped. One that was given already changes nothing. What it returns says
// how many there are.
func (s *Seal) Offer(wrapped, text []byte) (Progress, error) {
	of, err := parse(wrapped)
	if err != nil {
		return Progress{}, err
	}
	share, err := shamir.Parse(text)
	if err != nil {
		return Progress{}, err
	}
	defer share.Wipe()
	if share.Set != of.set || share.Threshold != of.threshold || share.Index > of.shares {
		return Progress{}, ErrOtherVault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(of)
	for i := range s.given {
		if s.given[i].share == share {
			return s.progress(of), nil
		}
		if s.given[i].share.Index == share.Index {
			return Progress{}, ErrContradict
		}
	}
	if s.given == nil { // never grown: that would leave shares behind
		s.given = make([]given, 0, of.shares)
	}
	s.given = append(s.given, given{share, s.clock.Now().Add(Patience)})
	return s.progress(of), nil
}

// Progress says how far the collection is that is to open wrapped.
func (s *Seal) Progress(wrapped []byte) (Progress, error) {
	of, err := parse(wrapped)
	if err != nil {
		return Progress{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(of)
	return s.progress(of), nil
}

func (s *Seal) progress(of head) Progress { return Progress{of.threshold, of.shares, len(s.given)} }

// expire wipes the shares whose time is over, and those of another set.
// Called with mu held.
func (s *Seal) expire(of head) {
	now, kept := s.clock.Now(), s.given[:0]
	for _, g := range s.given {
		if now.Before(g.until) && g.share.Set == of.set {
			kept = append(kept, g)
		}
	}
	clear(s.given[len(kept):])
	s.given = kept
}

// Drop wipes the shares that were given.
func (s *Seal) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}

// drop is called with mu held.
func (s *Seal) drop() {
	clear(s.given[:cap(s.given)])
	s.given = nil
}

// Forget wipes the key and the shares.
func (s *Seal) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	s.forget()
}

// forget is called with mu held.
func (s *Seal) forget() {
	clear(s.key)
	s.key = nil
}
