package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vaultpam/internal/clock"
	"vaultpam/pam"
)

// Log reads and proves the logs. It is safe for concurrent use.
type Log struct {
	store  Store
	signer pam.Signer
	scribe *Scribe
	clock  clock.Clock

	mu sync.Mutex // one checkpoint at a time, so that each extends the last
}

// NewLog makes a Log over s whose checkpoints are signed by signer.
func NewLog(s Store, signer pam.Signer, scribe *Scribe, c clock.Clock) *Log {
	return &Log{store: s, signer: signer, scribe: scribe, clock: c}
}

// Origin is the first line of the checkpoints of an organization's log, and
// the name of its verifier key.
func Origin(org pam.OrgID) string {
	if org == pam.InstanceOrg {
		return "vaultpam/instance"
	}
	return "vaultpam/" + string(org)
}

// PublicKey returns the 32 bytes of the ed25519 key in VerifierKey, to whoever
// may read the log.
func (l *Log) PublicKey(ctx context.Context, a pam.Actor, instance bool) ([]byte, error) {
	org, err := scope(a, instance)
	if err != nil {
		return nil, err
	}
	return l.signer.PublicKey(ctx, org)
}

// VerifierKey returns the key that checks org's checkpoints, as
// golang.org/x/mod/sumdb/note reads it.
func (l *Log) VerifierKey(ctx context.Context, org pam.OrgID) (string, error) {
	pub, err := l.signer.PublicKey(ctx, org)
	if err != nil {
		return "", err
	}
	return note.NewEd25519VerifierKey(Origin(org), ed25519.PublicKey(pub))
}

// mayRead says whether a may read the log of its organization, or with
// instance the instance's own.
func mayRead(a pam.Actor, instance bool) error {
	ok := a.Role == pam.Owner || a.Role == pam.Admin || a.Role == pam.Auditor
	if instance {
		ok = a.InstanceAdmin && a.Token != pam.PersonalToken
	}
	if !ok {
		return &pam.Error{Kind: pam.Denied, Op: "read audit log"}
	}
	return nil
}

// scope returns the log that a asks for, if a may read it.
func scope(a pam.Actor, instance bool) (pam.OrgID, error) {
	if err := mayRead(a, instance); err != nil {
		return "", err
	}
	if instance {
		return pam.InstanceOrg, nil
	}
	return a.Org, nil
}

// List returns events of a's organization, or of the instance, newest first;
// with more, a search has to go on from there.
func (l *Log) List(ctx context.Context, a pam.Actor, instance bool, f Filter) (events []Event, more pam.EventID, err error) {
	org, err := scope(a, instance)
	if err != nil {
		return nil, "", err
	}
	if events, err = l.store.List(ctx, org, f); err == nil && f.Text != "" && len(events) < f.Limit {
		more, err = l.store.SearchEnd(ctx, org, f)
	}
	return events, more, err
}

// Event returns one event of the log that a asks for, or NotFound.
func (l *Log) Event(ctx context.Context, a pam.Actor, instance bool, id pam.EventID) (Event, error) {
	org, err := scope(a, instance)
	if err != nil {
		return Event{}, err
	}
	return l.store.Event(ctx, org, id)
}

// Checkpoint returns a checkpoint of org's log as it stands. It refuses with
// an Internal error, and signs nothing, when the log does not extend the last
// checkpoint: then somebody has changed what was written.
func (l *Log) Checkpoint(ctx context.Context, org pam.OrgID) (Checkpoint, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.store.Sync(ctx, org); err != nil {
		return Checkpoint{}, err
	}
	size, err := l.store.Size(ctx, org)
	if err != nil {
		return Checkpoint{}, err
	}
	reader := readerOf(ctx, l.store, org)
	last, found, err := l.store.LastCheckpoint(ctx, org)
	if err != nil {
		return Checkpoint{}, err
	}
	if found {
		if err := l.extends(ctx, org, last, size, reader); err != nil {
			return Checkpoint{}, pam.Wrap("make checkpoint", fmt.Errorf("log of %s: %w", Origin(org), err))
		}
		if last.Size == size {
			return last, nil
		}
	}
	root, err := rootOf(size, reader)
	if err != nil {
		return Checkpoint{}, pam.Wrap("make checkpoint", err)
	}
	c := Checkpoint{Size: size, Root: root, Time: l.clock.Now()}
	if c.Note, err = l.sign(ctx, org, size, root); err != nil {
		return Checkpoint{}, err
	}
	return c, l.store.AddCheckpoint(ctx, org, c)
}

// SignedCheckpoint is Checkpoint for an actor who may read the log, with the
// key that checks it.
func (l *Log) SignedCheckpoint(ctx context.Context, a pam.Actor, instance bool) (Checkpoint, string, error) {
	org, err := scope(a, instance)
	if err != nil {
		return Checkpoint{}, "", err
	}
	c, err := l.Checkpoint(ctx, org)
	if err != nil {
		return Checkpoint{}, "", err
	}
	key, err := l.VerifierKey(ctx, org)
	return c, key, err
}

// extends checks that the log of the given size still holds what last signed.
func (l *Log) extends(ctx context.Context, org pam.OrgID, last Checkpoint, size int64, r treeReader) error {
	key, err := l.VerifierKey(ctx, org)
	if err != nil {
		return err
	}
	signed, err := openNote(last.Note, key)
	if err != nil {
		return fmt.Errorf("last checkpoint: %w: %w", err, errAltered)
	}
	if signed.Size > size {
		return fmt.Errorf("%d events are left of %d: %w", size, signed.Size, errAltered)
	}
	root, err := rootOf(signed.Size, r)
	if err != nil {
		return err
	}
	if root != signed.Root {
		return fmt.Errorf("the first %d events are not those that were signed: %w", signed.Size, errAltered)
	}
	return nil
}

func (l *Log) sign(ctx context.Context, org pam.OrgID, size int64, root Hash) (string, error) {
	key, err := l.VerifierKey(ctx, org)
	if err != nil {
		return "", err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return "", pam.Wrap("sign checkpoint", err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", Origin(org), size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, noteSigner{ctx, verifier, l.signer, org})
	return string(signed), pam.Wrap("sign checkpoint", err)
}

// noteSigner lets note.Sign use a key that does not leave the vault.
type noteSigner struct {
	ctx context.Context
	note.Verifier
	signer pam.Signer
	org    pam.OrgID
}

func (s noteSigner) Sign(msg []byte) ([]byte, error) {
	sig, err := s.signer.Sign(s.ctx, s.org, msg)
	return sig.Sig, err
}

// openNote checks the signature of a checkpoint and reads it.
func openNote(text, key string) (Checkpoint, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verifier key: %w", err)
	}
	n, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("signature: %w", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return Checkpoint{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, ok := decodeHash(lines[2])
	if err != nil || size < 0 || !ok {
		return Checkpoint{}, fmt.Errorf("not a checkpoint")
	}
	return Checkpoint{Size: size, Root: root, Note: text}, nil
}

// Inclusion is a proof that an event is in a log.
type Inclusion struct {
	Event  []byte // the bytes that were hashed
	Leaf   Hash
	Size   int64  // of the tree
	Hashes []Hash // RFC 6962 section 2.1.1, lowest first
}

// InclusionProof proves to whoever holds a checkpoint of treeSize that event
// leafIndex is in it. treeSize 0 means the log as it stands.
func (l *Log) InclusionProof(ctx context.Context, a pam.Actor, instance bool, leafIndex, treeSize int64) (Inclusion, error) {
	const op = "prove inclusion"
	org, size, err := l.proofScope(ctx, a, instance, treeSize)
	if err != nil {
		return Inclusion{}, err
	}
	if leafIndex < 0 || leafIndex >= size {
		return Inclusion{}, badProof("leaf_index", "is not in a tree of that size")
	}
	p, err := tlog.ProveRecord(size, leafIndex, readerOf(ctx, l.store, org))
	if err != nil {
		return Inclusion{}, pam.Wrap(op, err)
	}
	out := Inclusion{Size: size, Hashes: hashesOf(p)}
	err = l.store.Range(ctx, org, leafIndex, leafIndex+1, func(_ int64, canonical []byte, hash Hash) error {
		out.Event, out.Leaf = bytes.Clone(canonical), hash
		return nil
	})
	if err == nil && out.Event == nil {
		err = fmt.Errorf("leaf %d: %w", leafIndex, errAltered)
	}
	return out, pam.Wrap(op, err)
}

// ConsistencyProof proves to whoever holds checkpoints of both sizes that the
// second extends the first (RFC 6962 section 2.1.2).
func (l *Log) ConsistencyProof(ctx context.Context, a pam.Actor, instance bool, from, treeSize int64) (proof []Hash, size int64, err error) {
	org, size, err := l.proofScope(ctx, a, instance, treeSize)
	if err != nil {
		return nil, 0, err
	}
	if from < 1 || from > size {
		return nil, 0, badProof("from_size", "is not between 1 and the size of the tree")
	}
	p, err := tlog.ProveTree(size, from, readerOf(ctx, l.store, org))
	return hashesOf(p), size, pam.Wrap("prove consistency", err)
}

func (l *Log) proofScope(ctx context.Context, a pam.Actor, instance bool, treeSize int64) (pam.OrgID, int64, error) {
	org, err := scope(a, instance)
	if err != nil {
		return "", 0, err
	}
	if err := l.store.Sync(ctx, org); err != nil {
		return "", 0, err
	}
	size, err := l.store.Size(ctx, org)
	if err != nil {
		return "", 0, err
	}
	if treeSize == 0 {
		return org, size, nil
	}
	if treeSize < 0 || treeSize > size {
		return "", 0, badProof("tree_size", "is beyond the size of the log")
	}
	return org, treeSize, nil
}

func badProof(field, problem string) error {
	var ps pam.Problems
	ps.Add(field, problem)
	return ps.Err("prove")
}

func hashesOf[T ~[]tlog.Hash](p T) []Hash {
	out := make([]Hash, len(p))
	for i := range p {
		out[i] = Hash(p[i])
	}
	return out
}
