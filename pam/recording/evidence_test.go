package recording

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/tlog"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// stranger checks and decrypts a recording from what the server hands out,
// without any code that writes one; it returns the frames' bytes.
func stranger(t *testing.T, r *rig, id pam.RecordingID) (clear []byte, problem error) {
	t.Helper()
	e, err := r.Evidence(t.Context(), self, id)
	check(t, err)
	key, err := r.Key(t.Context(), self, id)
	check(t, err)
	aead, err := newAEAD(key.Expose())
	check(t, err)
	unpack, err := zstd.NewReader(nil)
	check(t, err)
	defer unpack.Close()

	root, err := hex.DecodeString(e.Recording.RootHash)
	check(t, err)
	statement := string(e.Statement)
	switch {
	case !bytes.Equal(e.OrgKey, e.Signature.PublicKey) || !ed25519.Verify(e.OrgKey, e.Statement, e.Signature.Sig):
		return nil, errors.New("the signature is wrong")
	case !strings.Contains(statement, "\nroot "+e.Recording.RootHash+"\n") || !strings.Contains(statement, fmt.Sprintf("\nchunks %d\n", len(e.Chunks))) ||
		!strings.Contains(statement, "\nrecording "+string(id)+"\n"):
		return nil, errors.New("the statement is of something else")
	}
	prev := sha256.Sum256(e.Header)
	for n, c := range e.Chunks {
		p, err := r.Chunk(t.Context(), self, id, int64(n))
		check(t, err)
		hash := sha256.Sum256(p.Bytes)
		proof := make([]tlog.Hash, len(p.Path))
		for i := range p.Path {
			proof[i] = p.Path[i]
		}
		if err := tlog.CheckRecord(proof, p.Count, tlog.Hash(root), int64(n), tlog.RecordHash(hash[:])); err != nil {
			return clear, fmt.Errorf("chunk %d: %w", n, err)
		}
		if hash != c.Hash || int64(len(p.Bytes)) != c.Size || !bytes.Equal(p.Bytes[40:72], prev[:]) {
			return clear, fmt.Errorf("chunk %d is not that of the list", n)
		}
		prev = hash
		nonce := append([]byte{p.Bytes[4] >> 2 & 1, 0, 0, 0}, p.Bytes[8:16]...)
		plain, err := aead.Open(nil, nonce, p.Bytes[80:], slices.Concat([]byte("vaultpam recording v1\n"+id+"\n"), p.Bytes[:80]))
		if err != nil {
			return clear, fmt.Errorf("chunk %d: %w", n, err)
		}
		if p.Bytes[4]&2 != 0 {
			if plain, err = unpack.DecodeAll(plain, nil); err != nil {
				return clear, err
			}
		}
		clear = append(clear, plain...)
	}
	return clear, nil
}

func TestAStrangerChecksAndDecryptsARecordingFromItsEvidence(t *testing.T) {
	r := newRig(t)
	for _, chunks := range []int{1, 2, 3, 7, 12} {
		w := r.begin(t, nil)
		for i := range chunks - 1 {
			r.clock.Advance(time.Second)
			check(t, w.Output(fmt.Appendf(nil, "part %d of the session\r\n", i)))
			r.waitDurable(t, w)
		}
		_, err := w.Close(t.Context())
		check(t, err)
		for range 2 { // looked for, and remembered
			clear, err := stranger(t, r, w.ID())
			if err != nil || bytes.Count(clear, []byte("of the session")) != chunks-1 {
				t.Errorf("%d chunks: %v, %q", chunks, err, clear)
			}
		}
		e, err := r.Evidence(t.Context(), self, w.ID())
		check(t, err)
		if len(e.Chunks) != chunks || e.Chunks[0].From != 0 || e.Chunks[chunks-1].Until != uint64(chunks-1)*1e6 {
			t.Errorf("%d chunks: %+v", chunks, e.Chunks)
		}
		for _, n := range []int64{-1, int64(chunks)} {
			if _, err := r.Chunk(t.Context(), self, w.ID(), n); !pam.Is(err, pam.NotFound) {
				t.Errorf("chunk %d of %d: %v", n, chunks, err)
			}
		}
	}
}

// Between the seal in the file and the end of its writer, nobody is told that
// something is missing or of a root that is not on record.
func TestARecordingThatIsJustBeingCompletedHolds(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	check(t, w.Output([]byte("of the session\r\n")))
	elsewhere := *r
	elsewhere.Service = r.restart() // knows no writer
	moments := 0
	r.store.during = func() {
		for _, r := range []*rig{r, &elsewhere} {
			e, err := r.Evidence(t.Context(), self, w.ID())
			check(t, err)
			report, err := r.Verify(t.Context(), self, w.ID())
			check(t, err)
			switch {
			case moments == 0:
				if e.Recording.Status != InProgress || e.Statement != nil || e.Signature.Sig != nil || report.Verified {
					t.Errorf("before: %+v %+v", e, report)
				}
			case !report.Verified:
				t.Errorf("after: %+v", report)
			default:
				if clear, err := stranger(t, r, w.ID()); err != nil || !bytes.Contains(clear, []byte("of the session")) {
					t.Errorf("after: %v, %q", err, clear)
				}
			}
		}
		moments++
	}
	_, err := w.Close(t.Context())
	check(t, err)
	if moments != 2 {
		t.Errorf("looked at %d moments", moments)
	}
}

// Whoever holds the disk changes the file; the page finds it.
func TestAStrangerFindsWhatWasAltered(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	whole := bytes.Clone(r.blobs.get(id))
	e, err := r.Evidence(t.Context(), self, id)
	check(t, err)
	for name, spot := range map[string]int64{
		"ciphertext":       e.Chunks[1].offset + chunkHeaderSize + 3,
		"a chunk's header": e.Chunks[2].offset + 30,
		"the last chunk":   e.Chunks[4].offset + 85,
		"the statement":    int64(len(whole)) - 3,
		"the signature":    int64(len(whole)-len(e.Statement)) - 10,
		"the sealed key":   int64(len(e.Header)) - 1,
	} {
		b := bytes.Clone(whole)
		b[spot] ^= 1
		r.blobs.put(id, b)
		r.Service = r.restart() // remembers nothing
		func() {
			if _, err := r.Key(t.Context(), self, id); err != nil {
				if name != "the sealed key" {
					t.Errorf("%s: %v", name, err)
				}
				return
			}
			if _, err := stranger(t, r, id); err == nil {
				t.Errorf("%s: nothing is found", name)
			}
		}()
	}
	r.blobs.put(id, whole)
	if _, err := stranger(t, r, id); err != nil {
		t.Error(err)
	}
}

func TestEvidenceOfARecordingInProgressIsWhatIsDurable(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	e, err := r.Evidence(t.Context(), self, w.ID())
	check(t, err)
	if len(e.Chunks) != 0 || e.Statement != nil || len(e.Header) == 0 {
		t.Errorf("%+v", e)
	}
	check(t, w.Output([]byte("shown")))
	r.waitDurable(t, w)
	e, err = r.Evidence(t.Context(), self, w.ID())
	check(t, err)
	p, err := r.Chunk(t.Context(), self, w.ID(), 0)
	check(t, err)
	if len(e.Chunks) != 1 || p.Path != nil || p.Count != 0 || sha256.Sum256(p.Bytes) != e.Chunks[0].Hash {
		t.Errorf("%+v, %+v", e.Chunks, p)
	}
	_, err = w.Close(t.Context())
	check(t, err)
	if _, err := stranger(t, r, w.ID()); err != nil {
		t.Errorf("once it is over: %v", err)
	}
}

func TestEvidenceIsForThoseWhoMayReplay(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	for _, c := range []struct {
		actor pam.Actor
		kind  pam.Kind
	}{
		{pam.Actor{User: "usr_other", Org: testOrg, Role: pam.Owner}, pam.Denied},
		{pam.Actor{User: "usr_other", Org: testOrg, Role: pam.Operator}, pam.NotFound},
		{pam.Actor{User: testUser, Org: "org_other", Role: pam.Owner, AdminsSeeAll: true}, pam.NotFound},
	} {
		_, err1 := r.Evidence(t.Context(), c.actor, id)
		_, err2 := r.Chunk(t.Context(), c.actor, id, 0)
		_, err3 := r.Key(t.Context(), c.actor, id)
		for _, err := range []error{err1, err2, err3} {
			if !pam.Is(err, c.kind) {
				t.Errorf("%+v: %v", c.actor, err)
			}
		}
	}
	if len(r.events.list) != 0 {
		t.Errorf("refusals made events: %v", r.events.list)
	}
}

func TestNoKeyIsGivenOutWithoutItsEvent(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	if _, err := r.Key(t.Context(), self, id); err != nil || len(r.events.list) != 1 || r.events.list[0].Type != audit.RecordingOpened {
		t.Errorf("%v, %v", err, r.events.list)
	}
	r.events.broken = errors.New("the log is away")
	if key, err := r.Key(t.Context(), self, id); !errors.Is(err, r.events.broken) || !key.Empty() {
		t.Error(err)
	}
	r.events.broken = nil
	r.vault.set(true)
	if key, err := r.Key(t.Context(), self, id); !pam.Is(err, pam.Sealed) || !key.Empty() {
		t.Error(err)
	}
}
