package recording

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"vaultpam/pam"
)

// crash leaves a recording as a killed process would: n bytes of the blob, no
// writer, no lock.
func (r *rig) crash(id pam.RecordingID, b []byte) *Service {
	row := r.store.rows[id]
	row.Status, row.RootHash, row.Signature, row.PublicKey = InProgress, "", nil, nil
	r.store.rows[id] = row
	r.blobs.set(func() {
		r.blobs.blobs = map[string]*memBlob{string(id): {data: slices.Clone(b)}}
		r.blobs.locked = map[string]bool{}
	})
	return r.restart()
}

func TestKilledAtAnyByteTheRecordingIsSealedAndReadable(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	good := r.blobs.get(id)
	p := parts(t, good)
	whole, err := r.frames(t, r.Service, id)
	check(t, err)
	for n := range len(good) + 1 {
		s := r.crash(id, good[:n])
		done, err := s.RecoverAll(t.Context())
		check(t, err)
		row := r.store.rows[id]
		if n < len(p[0]) { // not even the header
			if done.Failed != 1 || row.Status != Errored || row.Problem == "" || len(r.blobs.get(id)) != n {
				t.Fatalf("%d bytes: %+v, row %+v", n, done, row)
			}
			continue
		}
		if done.Completed != 1 || row.Status != Completed {
			t.Fatalf("%d bytes: %+v, row %+v", n, done, row)
		}
		rep, err := s.Verify(t.Context(), self, id)
		if err != nil || !rep.Verified {
			t.Fatalf("%d bytes: %+v, %v", n, rep, err)
		}
		// Every chunk that was complete is there.
		complete, at := 0, len(p[0])
		for _, c := range p[1 : len(p)-1] {
			if at += len(c); at <= n {
				complete++
			}
		}
		got, err := r.frames(t, s, id)
		check(t, err)
		if !bytes.Equal(output(got), output(whole[:min(complete, len(whole))])) {
			t.Fatalf("%d bytes: %q is left of %d chunks", n, output(got), complete)
		}
		if row.Recovered != (complete < len(p)-2) {
			t.Fatalf("%d bytes: recovered is %v", n, row.Recovered)
		}
	}
	if !bytes.Equal(r.blobs.get(id), good) {
		t.Error("a recording that was whole was changed")
	}
}

func TestRecoveryNeverReusesANonceAndRepeatsItselfExactly(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	p := parts(t, r.blobs.get(id))
	cut := len(p[0]) + len(p[1]) + len(p[2]) + 30
	var first []byte
	for range 2 {
		s := r.crash(id, r.blobs.get(id)[:min(cut, len(r.blobs.get(id)))])
		if _, err := s.RecoverAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		b := r.blobs.get(id)
		if first != nil && !bytes.Equal(first, b) {
			t.Error("a second recovery wrote other bytes")
		}
		first = b
		// Crashed again in the middle of what recovery wrote.
		r.blobs.put(id, b[:len(p[0])+len(p[1])+len(p[2])+60])
	}
	h, err := parseChunkHeader(parts(t, first)[3])
	check(t, err)
	var a, b [12]byte
	lost := chunkHeader{number: h.number}
	if h.number != 2 || bytes.Equal(h.nonce(&a), lost.nonce(&b)) {
		t.Error("the chunk that recovery wrote shares its nonce with one that was lost")
	}
}

func TestWhatIsCutAndIsMoreThanATornChunkIsSetAside(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	good := r.blobs.get(id)
	p := parts(t, good)
	b := slices.Clone(good)
	b[len(p[0])+len(p[1])+chunkHeaderSize] ^= 1 // the second of several chunks
	s := r.crash(id, b)
	if done, err := s.RecoverAll(t.Context()); err != nil || done.Completed != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := r.blobs.get(id + ".cut"); !bytes.Equal(got, b[len(p[0])+len(p[1]):]) {
		t.Errorf("%d bytes were set aside", len(got))
	}
}

func TestASealedVaultDoesNotStopARecordingAndItsSealFollows(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	check(t, w.Output([]byte("one ")))
	r.vault.set(true)
	check(t, w.Output([]byte("two")))
	if _, err := w.Close(t.Context()); !pam.Is(err, pam.Sealed) {
		t.Fatalf("Close returned %v", err)
	}
	if s := r.store.rows[w.ID()].Status; s != InProgress {
		t.Fatalf("status %s", s)
	}
	if done, err := r.RecoverAll(t.Context()); !pam.Is(err, pam.Sealed) || done.Waiting != 1 || done.Failed != 0 {
		t.Fatalf("while sealed: %+v, %v", done, err)
	}
	r.vault.set(false)
	if done, err := r.RecoverAll(t.Context()); err != nil || done.Completed != 1 {
		t.Fatalf("after opening: %+v, %v", done, err)
	}
	if row := r.store.rows[w.ID()]; row.Status != Completed || row.Recovered {
		t.Errorf("row %+v", row)
	}
	got, err := r.frames(t, r.Service, w.ID())
	if err != nil || string(output(got)) != "one two" {
		t.Errorf("%q, %v", output(got), err)
	}
}

func TestARowThatCouldNotBeCompletedIsCompletedLater(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	check(t, w.Output([]byte("x")))
	r.store.broken = errors.New("the database is away")
	if _, err := w.Close(t.Context()); !errors.Is(err, r.store.broken) {
		t.Fatalf("Close returned %v", err)
	}
	before := r.blobs.get(w.ID())
	r.store.broken = nil
	if done, err := r.RecoverAll(t.Context()); err != nil || done.Completed != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if !bytes.Equal(before, r.blobs.get(w.ID())) || r.store.rows[w.ID()].Recovered {
		t.Error("the blob was sealed twice")
	}
}

func TestRecoveryLeavesLivingAndStartingRecordingsAlone(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	starting := r.row()
	for _, s := range []*Service{r.Service, r.restart()} { // this process, and another on the same directory
		if done, err := s.RecoverAll(t.Context()); err != nil || done != (Recovery{}) {
			t.Errorf("%+v, %v", done, err)
		}
	}
	check(t, w.Output([]byte("still here")))
	_, err := w.Close(t.Context())
	check(t, err)
	r.clock.Advance(2 * startWindow)
	if done, err := r.RecoverAll(t.Context()); err != nil || done.Failed != 1 || r.store.rows[starting.ID].Status != Errored {
		t.Errorf("a recording that never came: %+v, %v", done, err)
	}
}

func TestWhatCannotBeReadNowIsNotGivenUp(t *testing.T) {
	r := newRig(t)
	id := r.sample(t)
	s := r.crash(id, r.blobs.get(id))
	s.blobs = goneBlobs{r.blobs}
	if done, err := s.RecoverAll(t.Context()); !pam.Is(err, pam.Unavailable) || done.Waiting != 1 || r.store.rows[id].Status != InProgress {
		t.Errorf("%+v, %v, status %s", done, err, r.store.rows[id].Status)
	}
}

// A failed recording in a large session: what is durable plays at once.
func TestARecordingInProgressPlaysWhatIsDurable(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	check(t, w.Output([]byte("shown")))
	r.waitDurable(t, w)
	gate := make(chan struct{})
	r.blobs.set(func() { r.blobs.gate = gate })
	big := make([]byte, 2*chunkTarget)
	_, _ = rand.Read(big)
	check(t, w.Output(big))
	got, err := r.frames(t, r.Service, w.ID())
	if err != nil || string(output(got)) != "shown" {
		t.Errorf("%d bytes, %v", len(output(got)), err)
	}
	rep, err := r.Verify(t.Context(), self, w.ID())
	if err != nil || rep.Verified || len(rep.Problems) != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
	close(gate)
	_, err = w.Close(t.Context())
	check(t, err)
	if d := time.Duration(r.store.rows[w.ID()].DurationMS); d != 0 {
		t.Errorf("duration %v", d)
	}
}
