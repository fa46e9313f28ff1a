package audit_test

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// The public implementation of the same tree checks our proofs.
func TestProofsSatisfyThePublicVerifier(t *testing.T) {
	w := newWorld(0)
	type mark struct {
		size int64
		root tlog.Hash
	}
	var marks []mark
	for _, n := range []int{1, 1, 5, 248, 1, 1, 255, 1, 300} {
		w.append(n)
		c, err := w.log.Checkpoint(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		marks = append(marks, mark{c.Size, tlog.Hash(c.Root)})
	}
	for _, m := range marks {
		for _, leaf := range []int64{0, 1, m.size / 2, m.size - 2, m.size - 1, 255, 256} {
			if leaf < 0 || leaf >= m.size {
				continue
			}
			p, err := w.log.InclusionProof(t.Context(), w.reader, false, leaf, m.size)
			if err != nil || p.Size != m.size {
				t.Fatalf("leaf %d of %d: %v", leaf, m.size, err)
			}
			// From the event's bytes alone, as a page does.
			if err := tlog.CheckRecord(toPublic(p.Hashes), m.size, m.root, leaf, tlog.RecordHash(p.Event)); err != nil || p.Leaf != audit.LeafHash(p.Event) {
				t.Errorf("leaf %d of %d: %v", leaf, m.size, err)
			}
		}
		for _, older := range marks {
			if older.size > m.size {
				continue
			}
			proof, _, err := w.log.ConsistencyProof(t.Context(), w.reader, false, older.size, m.size)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckTree(toPublic(proof), m.size, m.root, older.size, older.root); err != nil {
				t.Errorf("%d to %d: %v", older.size, m.size, err)
			}
		}
	}
}

func toPublic(hs []audit.Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(hs))
	for i, h := range hs {
		out[i] = tlog.Hash(h)
	}
	return out
}

func TestCheckpointsAreNotesThatThePublicReaderOpens(t *testing.T) {
	w := newWorld(3)
	c, err := w.log.Checkpoint(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(keyOf(t, w))
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(c.Note), note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if want := "vaultpam/" + string(org) + "\n3\n"; !strings.HasPrefix(n.Text, want) {
		t.Errorf("%q does not begin with %q", n.Text, want)
	}
}

func TestProofsOutsideTheLogAreRefused(t *testing.T) {
	w := newWorld(3)
	for _, c := range []struct{ leaf, size int64 }{{3, 0}, {-1, 0}, {0, 4}, {0, -1}, {2, 2}} {
		if _, err := w.log.InclusionProof(t.Context(), w.reader, false, c.leaf, c.size); !pam.Is(err, pam.Invalid) {
			t.Errorf("leaf %d of %d: %v", c.leaf, c.size, err)
		}
	}
	for _, c := range []struct{ from, size int64 }{{0, 0}, {4, 0}, {3, 2}} {
		if _, _, err := w.log.ConsistencyProof(t.Context(), w.reader, false, c.from, c.size); !pam.Is(err, pam.Invalid) {
			t.Errorf("from %d to %d: %v", c.from, c.size, err)
		}
	}
}
