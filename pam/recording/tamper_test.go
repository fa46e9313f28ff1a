package recording

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vaultpam/pam"
)

// parts cuts a recording into header, chunks and seal.
func parts(tb testing.TB, b []byte) [][]byte {
	tb.Helper()
	n, err := headerLen(b)
	check(tb, err)
	out := [][]byte{b[:n:n]}
	for b = b[n:]; len(b) > 0 && string(b[:4]) == chunkMagic; {
		h, err := parseChunkHeader(b)
		check(tb, err)
		n := chunkHeaderSize + int(h.cipher)
		out, b = append(out, b[:n:n]), b[n:]
	}
	return append(out, b)
}

func (r *rig) verdict(tb testing.TB, id pam.RecordingID, b []byte) Report {
	tb.Helper()
	r.blobs.put(id, b)
	rep, err := r.Verify(tb.Context(), self, id)
	check(tb, err)
	return rep
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	good := r.blobs.get(id)
	if rep := r.verdict(t, id, good); !rep.Verified {
		t.Fatal(rep)
	}
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 1 << (i % 8)
		rep := r.verdict(t, id, b)
		if rep.Verified || len(rep.Problems) == 0 {
			t.Fatalf("byte %d of %d was changed and the recording verifies", i, len(good))
		}
	}
}

func TestEveryTruncationIsFoundAndTheRestStaysReadable(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	good := r.blobs.get(id)
	whole, err := r.frames(t, r.Service, id)
	check(t, err)
	p := parts(t, good)
	sealAt := len(good) - len(p[len(p)-1])
	for n := range good {
		rep := r.verdict(t, id, good[:n])
		if rep.Verified {
			t.Fatalf("%d of %d bytes verify", n, len(good))
		}
		got, err := r.frames(t, r.Service, id)
		if (err == nil) != (n >= sealAt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if len(got) > len(whole) || !bytes.HasPrefix(output(whole), output(got)) {
			t.Fatalf("%d bytes give other content", n)
		}
	}
	if rep := r.verdict(t, id, append(slices.Clone(good), 0)); rep.Verified {
		t.Error("a byte after the seal is not found")
	}
}

func TestDroppedReorderedAndRepeatedChunksAreFound(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	good := parts(t, r.blobs.get(id))
	chunks := len(good) - 2
	if chunks < 4 {
		t.Fatalf("the sample has %d chunks only", chunks)
	}
	try := func(what string, p [][]byte) {
		t.Helper()
		if rep := r.verdict(t, id, slices.Concat(p...)); rep.Verified {
			t.Errorf("%s: not found", what)
		}
	}
	for i := 1; i <= chunks; i++ {
		try(fmt.Sprintf("chunk %d dropped", i), slices.Delete(slices.Clone(good), i, i+1))
		try(fmt.Sprintf("chunk %d repeated", i), slices.Insert(slices.Clone(good), i, good[i]))
		for j := i + 1; j <= chunks; j++ {
			p := slices.Clone(good)
			p[i], p[j] = p[j], p[i]
			try(fmt.Sprintf("chunks %d and %d exchanged", i, j), p)
		}
	}
}

func TestVerificationSaysUntilWhen(t *testing.T) {
	r := newRig(t)
	id := r.sample(t) // a line each second
	p := parts(t, r.blobs.get(id))
	p[3] = slices.Clone(p[3]) // the third chunk
	p[3][chunkHeaderSize] ^= 1
	rep := r.verdict(t, id, slices.Concat(p...))
	if rep.VerifiedUntilMS != 2000 || rep.Verified || !strings.HasPrefix(rep.Problems[0], "chunk 2, after 2s: ") {
		t.Errorf("%+v", rep)
	}
	got, err := r.frames(t, r.Service, id)
	if !pam.Is(err, pam.Unavailable) || string(output(got)) != "line 0 of a session\r\nline 1 of a session\r\n" {
		t.Errorf("%q, %v", output(got), err)
	}
}

// Somebody with the key of the recording, but not that of the organization,
// writes other content and a seal of their own.
func TestARecordingThatWasWrittenAnewDoesNotVerify(t *testing.T) {
	r, forger := newRig(t), newRig(t)
	id := r.sample(t)
	row := r.store.rows[id]
	forger.vault.key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	fake := row
	fake.Status = InProgress
	forger.store.rows[id] = fake
	w, err := forger.Start(t.Context(), StartOptions{Recording: fake})
	check(t, err)
	check(t, w.Output([]byte("nothing happened here")))
	_, err = w.Close(t.Context())
	check(t, err)
	rep := r.verdict(t, id, forger.blobs.get(id))
	if rep.Verified || len(rep.Problems) < 2 {
		t.Errorf("%+v", rep)
	}

	// Even signed with the organization's key, it is not what the row says.
	forger.vault.key = r.vault.key
	forger.store.rows[id] = fake
	check(t, forger.blobs.Delete(t.Context(), string(id)))
	w, err = forger.Start(t.Context(), StartOptions{Recording: fake})
	check(t, err)
	_, err = w.Close(t.Context())
	check(t, err)
	if rep = r.verdict(t, id, forger.blobs.get(id)); rep.Verified || !strings.Contains(rep.Problems[0], "root hash") {
		t.Errorf("%+v", rep)
	}
}

func TestARecordingInAnothersPlaceDoesNotOpen(t *testing.T) {
	r := newRig(t)
	a, b := r.sample(t), r.sample(t)
	blobA, blobB := r.blobs.get(a), r.blobs.get(b)
	if rep := r.verdict(t, a, blobB); rep.Verified || !strings.Contains(rep.Problems[0], "another recording") {
		t.Errorf("moved: %+v", rep)
	}
	if _, err := r.frames(t, r.Service, a); !pam.Is(err, pam.Unavailable) {
		t.Errorf("moved: %v", err)
	}
	// The key of B in the header of A.
	ha, err := parseHeader(parts(t, blobA)[0])
	check(t, err)
	hb, err := parseHeader(parts(t, blobB)[0])
	check(t, err)
	ha.sealedKey = hb.sealedKey
	head, err := ha.encode()
	check(t, err)
	if rep := r.verdict(t, a, slices.Concat(append([][]byte{head}, parts(t, blobA)[1:]...)...)); rep.Verified {
		t.Error("another recording's key is accepted")
	}
	// The chunks of B under the header of A.
	if rep := r.verdict(t, a, slices.Concat(append([][]byte{parts(t, blobA)[0]}, parts(t, blobB)[1:]...)...)); rep.Verified || rep.VerifiedUntilMS != 0 {
		t.Errorf("another recording's chunks: %+v", rep)
	}
	// The seal of B after A.
	pa, pb := parts(t, blobA), parts(t, blobB)
	pa[len(pa)-1] = pb[len(pb)-1]
	if rep := r.verdict(t, a, slices.Concat(pa...)); rep.Verified {
		t.Error("another recording's seal is accepted")
	}
}

func TestAMissingFileIsAProblemAndNotAnError(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	check(t, r.blobs.Delete(t.Context(), string(id)))
	rep, err := r.Verify(t.Context(), self, id)
	if err != nil || rep.Verified || len(rep.Problems) != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}
