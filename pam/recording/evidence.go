package recording

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// What a reader needs to check and decrypt a recording by themselves: the
// parts of the file as they lie there, and the key. The server vouches for
// nothing of it.

// Evidence is a recording's parts but for the chunks' content. It says what
// the file says; whether that is true, its reader finds out.
type Evidence struct {
	Recording Recording
	Header    []byte // of the file
	Chunks    []Chunk
	Statement []byte        // of the seal; nil without one
	Signature pam.Signature // of Statement, with the public key that stands in the file
	OrgKey    []byte        // the organization's public key, as the vault has it
}

// Chunk is the place of a chunk in its recording.
type Chunk struct {
	Size  int64  // bytes of its header and ciphertext
	From  uint64 // µs since the start
	Until uint64
	Hash  [32]byte

	offset int64
}

// chunkIndex is where the parts of a file lie.
type chunkIndex struct {
	header    []byte
	chunks    []Chunk
	statement []byte
	signature pam.Signature
}

// Evidence returns the parts of a recording that the actor may replay; of one
// in progress, what is durable.
func (s *Service) Evidence(ctx context.Context, actor pam.Actor, id pam.RecordingID) (Evidence, error) {
	const op = "read evidence"
	r, err := s.allowed(ctx, op, actor, id, policy.RecordingReplay)
	if err != nil {
		return Evidence{}, err
	}
	blob, err := s.blobs.Open(ctx, string(r.ID))
	if err != nil {
		return Evidence{}, pam.Wrap(op, err)
	}
	defer blob.Close()
	x, err := s.index(ctx, r, blob)
	if err != nil {
		return Evidence{}, unreadable(op, err)
	}
	key, err := s.signer.PublicKey(ctx, r.Org)
	if err != nil {
		return Evidence{}, pam.Wrap(op, err)
	}
	return Evidence{Recording: r, Header: x.header, Chunks: x.chunks, Statement: x.statement, Signature: x.signature, OrgKey: key}, nil
}

func unreadable(op string, err error) error {
	if isDamage(err) {
		return &pam.Error{Kind: pam.Unavailable, Op: op, Public: "The recording is damaged: " + reason(err) + ".", Err: err}
	}
	return pam.Wrap(op, err)
}

// Proven is a chunk as it lies in the file. Of a sealed recording, Path proves
// it against the root of a tree of Count chunks (RFC 6962 section 2.1.1): the
// hashes beside the way to the root, lowest first. Count is 0 without a seal.
type Proven struct {
	Bytes []byte
	Path  [][32]byte
	Count int64
}

// Chunk returns the n-th chunk of a recording that the actor may replay. It is
// ciphertext: whoever has it has seen nothing yet.
func (s *Service) Chunk(ctx context.Context, actor pam.Actor, id pam.RecordingID, n int64) (Proven, error) {
	const op = "read chunk"
	r, err := s.allowed(ctx, op, actor, id, policy.RecordingReplay)
	if err != nil {
		return Proven{}, err
	}
	blob, err := s.blobs.Open(ctx, string(r.ID))
	if err != nil {
		return Proven{}, pam.Wrap(op, err)
	}
	defer blob.Close()
	x := s.indexes.get(r.ID)
	if x == nil {
		if x, err = s.index(ctx, r, blob); err != nil {
			return Proven{}, unreadable(op, err)
		}
	}
	if n < 0 || n >= int64(len(x.chunks)) {
		return Proven{}, pam.Errorf(pam.NotFound, op, "The recording has no such chunk.")
	}
	c := x.chunks[n]
	out := Proven{Bytes: make([]byte, c.Size)}
	if got, err := blob.ReadAt(out.Bytes, c.offset); got < len(out.Bytes) {
		return Proven{}, unreadable(op, err)
	}
	if x.statement != nil {
		leaves := make([]tlog.Hash, len(x.chunks))
		for i := range x.chunks {
			leaves[i] = tlog.RecordHash(x.chunks[i].Hash[:])
		}
		out.Path, out.Count = path(leaves, int(n)), int64(len(leaves))
	}
	return out, nil
}

// path is the inclusion proof of leaf n (RFC 6962 section 2.1.1).
func path(leaves []tlog.Hash, n int) [][32]byte {
	if len(leaves) == 1 {
		return nil
	}
	half := 1
	for half*2 < len(leaves) {
		half *= 2
	}
	if n < half {
		return append(path(leaves[:half], n), treeHash(leaves[half:]))
	}
	return append(path(leaves[half:], n-half), treeHash(leaves[:half]))
}

func treeHash(leaves []tlog.Hash) [32]byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	half := 1
	for half*2 < len(leaves) {
		half *= 2
	}
	return tlog.NodeHash(treeHash(leaves[:half]), treeHash(leaves[half:]))
}

// Key returns the key of a recording that the actor may replay. The event that
// it was opened is durable on return. The caller wipes the key.
func (s *Service) Key(ctx context.Context, actor pam.Actor, id pam.RecordingID) (secret.Value, error) {
	const op = "give out the recording's key"
	r, err := s.allowed(ctx, op, actor, id, policy.RecordingReplay)
	if err != nil {
		return secret.Value{}, err
	}
	if err := s.noteOpened(ctx, actor, r); err != nil {
		return secret.Value{}, pam.Wrap(op, err)
	}
	blob, err := s.blobs.Open(ctx, string(r.ID))
	if err != nil {
		return secret.Value{}, pam.Wrap(op, err)
	}
	defer blob.Close()
	sc, err := s.headed(r, blob)
	if err != nil {
		return secret.Value{}, unreadable(op, err)
	}
	key, err := s.openKey(ctx, r, sc.header)
	return key, unreadable(op, err)
}

// headed reads the header of a row's blob, which must be that row's.
func (s *Service) headed(r Recording, blob BlobReader) (*scanner, error) {
	size, err := blob.Size()
	if err != nil {
		return nil, &readError{err}
	}
	sc, err := newScanner(blob, min(size, s.readable(r)))
	if err != nil {
		return nil, err
	}
	return sc, sc.belongs(r)
}

// index finds the parts of a file. Of a sealed recording it remembers them.
func (s *Service) index(ctx context.Context, r Recording, blob BlobReader) (*chunkIndex, error) {
	sc, err := s.headed(r, blob)
	if err != nil {
		return nil, err
	}
	x := &chunkIndex{}
	b, err := sc.read(0, int(sc.off))
	if err != nil {
		return nil, err
	}
	x.header = append(x.header, b...)
	if err := sc.chunksInto(ctx, x); err != nil {
		return nil, err
	}
	switch {
	case r.Status == InProgress: // a seal came after the row was read, which has no root to check it by
		x.statement, x.signature = nil, pam.Signature{}
	case r.Status == Completed && x.statement != nil:
		s.indexes.put(r.ID, x)
	}
	return x, nil
}

// chunksInto walks along the chunks' headers, up to the first that does not
// continue the file. A hash is read from the header of the chunk after; that
// of the last is computed.
func (s *scanner) chunksInto(ctx context.Context, x *chunkIndex) error {
	off, final := s.off, false
	for !final {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := s.read(off, chunkHeaderSize)
		if err != nil && !isDamage(err) {
			return err
		}
		var h chunkHeader
		if err == nil {
			h, err = parseChunkHeader(b)
		}
		size := int64(chunkHeaderSize) + int64(h.cipher)
		if err != nil || h.number != uint64(len(x.chunks)) || off+size > s.size {
			break
		}
		if n := len(x.chunks); n > 0 {
			x.chunks[n-1].Hash = h.prev
		}
		x.chunks = append(x.chunks, Chunk{Size: size, From: h.from, Until: h.until, offset: off})
		off, final = off+size, h.flags&flagFinal != 0
	}
	if n := len(x.chunks); n > 0 {
		last := &x.chunks[n-1]
		b, err := s.read(last.offset, int(last.Size))
		if err != nil {
			return err
		}
		last.Hash = sum(b)
	}
	if rest := s.size - off; final && rest > 0 && rest <= sealHeaderSize+maxSealBody {
		b, err := s.read(off, int(rest))
		if err != nil {
			return err
		}
		if text, sig, err := parseSeal(b); err == nil {
			x.statement, x.signature = text, sig
		}
	}
	return nil
}

// belongs says whether the file is that of a row.
func (s *scanner) belongs(r Recording) error {
	if h := s.header; h.id != r.ID || h.org != r.Org || h.session != r.SessionID {
		return fmt.Errorf("the file holds another recording, %.40q", h.id)
	}
	return nil
}

// maxIndexed is how many chunks are remembered, of all recordings: some 60
// bytes each.
const maxIndexed = 200_000

// indexCache remembers where the chunks of sealed recordings lie, so that a
// player that reads one after the other does not have them looked for each
// time. [Service.Evidence], with which every player begins, looks anew: a file
// may have been mended.
type indexCache struct {
	mu      sync.Mutex // guards all below
	chunks  int
	entries map[pam.RecordingID]*chunkIndex
}

func (c *indexCache) get(id pam.RecordingID) *chunkIndex {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[id]
}

func (c *indexCache) put(id pam.RecordingID, x *chunkIndex) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || c.chunks+len(x.chunks) > maxIndexed {
		c.entries, c.chunks = map[pam.RecordingID]*chunkIndex{}, 0
	}
	if old := c.entries[id]; old != nil {
		c.chunks -= len(old.chunks)
	}
	c.entries[id] = x
	c.chunks += len(x.chunks)
}
