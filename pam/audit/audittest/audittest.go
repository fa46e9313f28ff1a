// Package audittest keeps logs in memory, for tests. It must not be imported
// outside of tests. Start at [Store].
package audittest

import (
	"context"
	"crypto/ed25519"
	"slices"
	"sync"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Store is an audit.Store in memory. Its fields may be changed by a test that
// plays somebody with access to the database.
type Store struct {
	mu          sync.Mutex // guards all below
	Leaves      map[pam.OrgID][]Leaf
	TileRows    map[pam.OrgID]map[int]map[int64]audit.Hash
	Signed      map[pam.OrgID][]audit.Checkpoint
	AppendError error
}

// Leaf is one row.
type Leaf struct {
	Entry     audit.Entry
	Canonical []byte
	Hash      audit.Hash
}

// New makes an empty store.
func New() *Store {
	return &Store{Leaves: map[pam.OrgID][]Leaf{}, TileRows: map[pam.OrgID]map[int]map[int64]audit.Hash{}, Signed: map[pam.OrgID][]audit.Checkpoint{}}
}

// Append implements audit.Store.
func (s *Store) Append(ctx context.Context, org pam.OrgID, entries ...audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.AppendError != nil {
		return s.AppendError
	}
	before := int64(len(s.Leaves[org]))
	for _, e := range entries {
		c, err := e.Canonical()
		if err != nil {
			return err
		}
		s.Leaves[org] = append(s.Leaves[org], Leaf{e, c, audit.LeafHash(c)})
	}
	tiles, err := audit.FullTiles(ctx, before, int64(len(s.Leaves[org])), func(_ context.Context, level int, from, to int64) ([]audit.Hash, error) {
		return s.hashes(org, level, from, to), nil
	})
	if err != nil {
		return err
	}
	for _, t := range tiles {
		if s.TileRows[org] == nil {
			s.TileRows[org] = map[int]map[int64]audit.Hash{}
		}
		if s.TileRows[org][t.Level] == nil {
			s.TileRows[org][t.Level] = map[int64]audit.Hash{}
		}
		s.TileRows[org][t.Level][t.Index] = t.Hash
	}
	return nil
}

func (s *Store) hashes(org pam.OrgID, level int, from, to int64) []audit.Hash {
	var out []audit.Hash
	for i := from; i < to; i++ {
		if level == 0 {
			if i >= int64(len(s.Leaves[org])) {
				break
			}
			out = append(out, s.Leaves[org][i].Hash)
			continue
		}
		h, ok := s.TileRows[org][level][i]
		if !ok {
			break
		}
		out = append(out, h)
	}
	return out
}

// Sync implements audit.Store.
func (s *Store) Sync(context.Context, pam.OrgID) error { return nil }

// Size implements audit.Store.
func (s *Store) Size(_ context.Context, org pam.OrgID) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.Leaves[org])), nil
}

// Hashes implements audit.Store.
func (s *Store) Hashes(_ context.Context, org pam.OrgID, level int, from, to int64) ([]audit.Hash, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hashes(org, level, from, to), nil
}

// List implements audit.Store for filters by type.
func (s *Store) List(_ context.Context, org pam.OrgID, f audit.Filter) ([]audit.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []audit.Event
	for i, l := range slices.Backward(s.Leaves[org]) {
		if f.Type == "" || l.Entry.Type == f.Type {
			out = append(out, audit.Event{Entry: l.Entry, LeafIndex: int64(i), LeafHash: l.Hash})
		}
	}
	return out, nil
}

// Event implements audit.Store.
func (s *Store) Event(_ context.Context, org pam.OrgID, id pam.EventID) (audit.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.Leaves[org] {
		if l.Entry.ID == id {
			return audit.Event{Entry: l.Entry, LeafIndex: int64(i), LeafHash: l.Hash}, nil
		}
	}
	return audit.Event{}, &pam.Error{Kind: pam.NotFound, Op: "read audit event"}
}

// SearchEnd implements audit.Store: nothing is searched here.
func (s *Store) SearchEnd(context.Context, pam.OrgID, audit.Filter) (pam.EventID, error) {
	return "", nil
}

// Range implements audit.Store.
func (s *Store) Range(_ context.Context, org pam.OrgID, from, to int64, fn func(int64, []byte, audit.Hash) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := from; i < to; i++ {
		l := s.Leaves[org][i]
		if err := fn(i, l.Canonical, l.Hash); err != nil {
			return err
		}
	}
	return nil
}

// Bounds implements audit.Store.
func (s *Store) Bounds(_ context.Context, org pam.OrgID, from, to time.Time) (first, end int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end = int64(len(s.Leaves[org]))
	for i, l := range s.Leaves[org] {
		if l.Entry.Time.Before(from) {
			first = int64(i) + 1
		}
		if !to.IsZero() && !l.Entry.Time.Before(to) {
			return first, int64(i), nil
		}
	}
	return first, end, nil
}

// AddCheckpoint implements audit.Store.
func (s *Store) AddCheckpoint(_ context.Context, org pam.OrgID, c audit.Checkpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Signed[org] = append(s.Signed[org], c)
	return nil
}

// Checkpoints implements audit.Store.
func (s *Store) Checkpoints(_ context.Context, org pam.OrgID) ([]audit.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.Signed[org]), nil
}

// LastCheckpoint implements audit.Store.
func (s *Store) LastCheckpoint(_ context.Context, org pam.OrgID) (audit.Checkpoint, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.Signed[org]); n > 0 {
		return s.Signed[org][n-1], true, nil
	}
	return audit.Checkpoint{}, false, nil
}

// Signer signs with a key made of a seed, the same for every organization.
type Signer struct{ Key ed25519.PrivateKey }

// NewSigner makes a signer; equal seeds give equal keys.
func NewSigner(seed byte) Signer {
	return Signer{ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, ed25519.SeedSize))}
}

// Sign implements pam.Signer.
func (s Signer) Sign(_ context.Context, _ pam.OrgID, message []byte) (pam.Signature, error) {
	public, _ := s.Key.Public().(ed25519.PublicKey)
	return pam.Signature{PublicKey: public, Sig: ed25519.Sign(s.Key, message)}, nil
}

// PublicKey implements pam.Signer.
func (s Signer) PublicKey(context.Context, pam.OrgID) ([]byte, error) {
	public, _ := s.Key.Public().(ed25519.PublicKey)
	return public, nil
}
