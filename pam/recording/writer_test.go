package recording

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEverythingThatHappenedIsReadBackInOrder(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	r.clock.Advance(1500 * time.Microsecond)
	check(t, w.Output([]byte("$ ")))
	r.clock.Advance(time.Second)
	check(t, w.Input([]byte("ls\r")))
	check(t, w.Resize(132, 50))
	r.clock.Advance(-time.Hour) // a clock that is set back
	check(t, w.Marker("warning", "60 seconds left"))
	check(t, w.File(File{Direction: "upload", Path: "/tmp/x", Size: 3, SHA256: "aa"}))
	r.clock.Advance(time.Hour + time.Second)
	seal, err := w.Close(t.Context())
	check(t, err)

	got, err := r.frames(t, r.Service, w.ID())
	check(t, err)
	second := time.Second + 1500*time.Microsecond
	want := []Frame{
		{1500 * time.Microsecond, KindOutput, []byte("$ ")},
		{second, KindInput, []byte("ls\r")},
		{second, KindResize, []byte{0, 132, 0, 50}},
		{second, KindMarker, []byte(`{"kind":"warning","text":"60 seconds left"}`)},
		{second, KindFile, []byte(`{"direction":"upload","path":"/tmp/x","size":3,"sha256":"aa"}`)},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	row := r.store.rows[w.ID()]
	if row.Status != Completed || row.DurationMS != 2001 || row.RootHash != seal.Root || row.SizeBytes != int64(len(r.blobs.get(w.ID()))) {
		t.Errorf("row %+v", row)
	}
	if want := epoch.Add(2*time.Second+1500*time.Microsecond).AddDate(0, 0, 30); !row.ExpiresAt.Equal(want) {
		t.Errorf("expires at %v, want %v", row.ExpiresAt, want)
	}
	rep, err := r.Verify(t.Context(), self, w.ID())
	check(t, err)
	if d := cmp.Diff(Report{Verified: true, VerifiedUntilMS: 2001}, rep); d != "" {
		t.Error(d)
	}
	e := r.store.events[len(r.store.events)-1]
	if e.Type != audit.RecordingSealed || e.Org != testOrg || e.Target.ID != string(w.ID()) || e.Metadata["root_hash"] != seal.Root {
		t.Errorf("event %+v", e)
	}
	if _, err := e.Canonical(); err != nil {
		t.Error(err)
	}
	again, err := w.Close(t.Context())
	if err != nil || again.Root != seal.Root {
		t.Errorf("the second Close returned %v, %v", again, err)
	}
	if err := w.Output([]byte("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("output after Close: %v", err)
	}
}

func TestLargeOutputOfManyKindsSurvivesByteForByte(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	random := make([]byte, 3<<20)
	_, _ = rand.Read(random)
	text := bytes.Repeat([]byte("drwxr-xr-x 2 root root 4096 Nov  1 09:30 etc\r\n"), 50_000)
	var want []byte
	for _, p := range [][]byte{random, text, random[:1], text[:chunkTarget], random[:chunkTarget+1], random[:32<<10]} {
		check(t, w.Output(p))
		want = append(want, p...)
	}
	_, err := w.Close(t.Context())
	check(t, err)
	got, err := r.frames(t, r.Service, w.ID())
	check(t, err)
	if !bytes.Equal(output(got), want) {
		t.Error("the output differs")
	}
	if size := len(r.blobs.get(w.ID())); size > len(want)-len(text)*9/10 {
		t.Errorf("the blob has %d bytes of %d: the text was not compressed", size, len(want))
	}
}

func TestSeveralPumpsMayRecordAtOnce(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	var wg sync.WaitGroup
	const each = 300
	for g := range 4 {
		wg.Go(func() {
			for i := range each {
				if err := w.Output(bytes.Repeat([]byte{byte('a' + g)}, 1+i*17)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_, err := w.Close(t.Context())
	check(t, err)
	got, err := r.frames(t, r.Service, w.ID())
	check(t, err)
	for g := range 4 {
		if n, want := bytes.Count(output(got), []byte{byte('a' + g)}), each+17*each*(each-1)/2; n != want {
			t.Errorf("%d bytes of pump %d, want %d", n, g, want)
		}
	}
}

func TestInputIsLeftOutUnlessTheSafeRecordsIt(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, func(o *StartOptions) { o.Input = false })
	check(t, w.Input([]byte("hunter2")))
	_, err := w.Close(t.Context())
	check(t, err)
	if got, err := r.frames(t, r.Service, w.ID()); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestContentAndKeyAreNotInTheBlobInClear(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	check(t, w.Output([]byte("canary-4711")))
	check(t, w.Input([]byte("canary-4711")))
	_, err := w.Close(t.Context())
	check(t, err)
	if bytes.Contains(r.blobs.get(w.ID()), []byte("canary")) {
		t.Error("the content stands in the blob in clear")
	}
}

func TestEveryByteIsDurableWithinASecond(t *testing.T) {
	r := newRig(t)
	r.flushAfter = flushAfter
	w := r.begin(t, nil)
	for range 2 {
		start := time.Now()
		check(t, w.Output([]byte("x")))
		r.waitDurable(t, w)
		if d := time.Since(start); d > time.Second {
			t.Errorf("durable after %v", d)
		}
	}
	// As it would be found after a crash now.
	r.blobs.put(w.ID(), r.blobs.blobs[string(w.ID())].synced)
	got, err := r.frames(t, r.restart(), w.ID())
	check(t, err)
	if string(output(got)) != "xx" {
		t.Errorf("after a crash %q is left", output(got))
	}
	_, _ = w.Close(t.Context())
}

func TestPumpWaitsWhenTheStoreIsSlowAndNothingIsLost(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	gate := make(chan struct{})
	r.blobs.set(func() { r.blobs.gate = gate })
	piece := make([]byte, 64<<10)
	_, _ = rand.Read(piece)
	const pieces = 2 * maxHeld * chunkTarget / (64 << 10)
	wrote := make(chan int, pieces)
	go func() {
		defer close(wrote)
		for i := range pieces {
			if err := w.Output(piece); err != nil {
				t.Error(err)
				return
			}
			wrote <- i
		}
	}()
	eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.held == maxHeld })
	if n := len(wrote); n >= pieces {
		t.Fatal("the pump did not wait")
	}
	close(gate)
	n := 0
	for range wrote {
		n++
	}
	if n != pieces {
		t.Fatalf("%d of %d pieces", n, pieces)
	}
	_, err := w.Close(t.Context())
	check(t, err)
	got, err := r.frames(t, r.Service, w.ID())
	check(t, err)
	if len(output(got)) != pieces*len(piece) {
		t.Error("bytes are missing")
	}
}

func TestFullDiskFailsTheRecordingAndKeepsWhatWasWritten(t *testing.T) {
	piece := make([]byte, 10_000)
	_, _ = rand.Read(piece)
	for _, room := range []int64{600, 300_000, 1_000_003} {
		r := newRig(t)
		w := r.begin(t, nil)
		r.blobs.set(func() { r.blobs.room = room })
		var err error
		n := 0
		for ; err == nil && n < 1000; n++ {
			err = w.Output(piece)
		}
		<-w.Failed()
		if err = w.Output(piece); !errors.Is(err, syscall.ENOSPC) || !pam.Is(err, pam.Unavailable) {
			t.Errorf("output on a full disk: %v", err)
		}
		if !errors.Is(w.Err(), syscall.ENOSPC) {
			t.Errorf("Err is %v", w.Err())
		}
		if _, err := w.Close(t.Context()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Close returned %v", err)
		}
		if s := r.store.rows[w.ID()].Status; s != InProgress {
			t.Errorf("status %s before recovery", s)
		}
		r.blobs.set(func() { r.blobs.room = -1 })
		if done, err := r.RecoverAll(t.Context()); err != nil || done.Completed != 1 {
			t.Fatalf("recovery: %+v, %v", done, err)
		}
		got, err := r.frames(t, r.Service, w.ID())
		check(t, err)
		if b := output(got); !bytes.HasPrefix(bytes.Repeat(piece, n), b) || int64(len(b)) < room-2*chunkTarget {
			t.Errorf("%d bytes are left with room for %d", len(b), room)
		}
		if rep, err := r.Verify(t.Context(), self, w.ID()); err != nil || !rep.Verified {
			t.Errorf("%+v, %v", rep, err)
		}
	}
}

func TestFailureWakesAWaitingPump(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	gate := make(chan struct{})
	r.blobs.set(func() { r.blobs.gate, r.blobs.room = gate, 0 })
	result := make(chan error, 1)
	go func() {
		for {
			if err := w.Output(make([]byte, 100_000)); err != nil {
				result <- err
				return
			}
		}
	}()
	eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.held == maxHeld })
	close(gate)
	if err := <-result; !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the pump got %v", err)
	}
	_, _ = w.Close(t.Context())
}

func TestGraceBridgesAnOutageWithoutLoss(t *testing.T) {
	for _, outage := range []string{"write", "sync"} {
		t.Run(outage, func(t *testing.T) {
			r := newRig(t)
			w := r.begin(t, func(o *StartOptions) { o.Grace = time.Minute })
			check(t, w.Output([]byte("before ")))
			r.waitDurable(t, w)
			var failures int
			broken := true
			fault := func() error {
				if broken {
					failures++
					return errDiskFull
				}
				return nil
			}
			r.blobs.set(func() {
				if outage == "write" {
					r.blobs.write = func(int64) error { return fault() }
				} else {
					// The system forgets what it could not sync.
					r.blobs.sync = func() error {
						err := fault()
						if b := r.blobs.blobs[string(w.ID())]; err != nil {
							b.data = append(b.data[:0], b.synced...)
						}
						return err
					}
				}
			})
			check(t, w.Output([]byte("during ")))
			eventually(t, func() bool { r.blobs.mu.Lock(); defer r.blobs.mu.Unlock(); return failures > 1 })
			check(t, w.Output([]byte("still ")))
			if w.Err() != nil {
				t.Fatal(w.Err())
			}
			r.blobs.set(func() { broken = false })
			r.waitDurable(t, w)
			check(t, w.Output([]byte("after")))
			_, err := w.Close(t.Context())
			check(t, err)
			got, err := r.frames(t, r.Service, w.ID())
			check(t, err)
			if s := string(output(got)); s != "before during still after" {
				t.Errorf("recorded %q", s)
			}
			if rep, err := r.Verify(t.Context(), self, w.ID()); err != nil || !rep.Verified {
				t.Errorf("%+v, %v", rep, err)
			}
		})
	}
}

func TestGraceEndsAndItsMemoryIsBounded(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, func(o *StartOptions) { o.Grace = 600 * time.Millisecond })
	r.blobs.set(func() { r.blobs.room = 0 })
	piece := make([]byte, 64<<10)
	_, _ = rand.Read(piece)
	total := 0
	var err error
	for err == nil {
		if err = w.Output(piece); err == nil {
			total += len(piece)
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("after the grace: %v", err)
	}
	if limit := maxSpool + (maxHeld+2)*(chunkTarget+4096); total > limit {
		t.Errorf("%d bytes were taken, the limit is %d", total, limit)
	}
	<-w.Failed()
	_, _ = w.Close(t.Context())
}

func TestGraceModeAtFullSpeedLosesNothing(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, func(o *StartOptions) { o.Grace = time.Minute })
	piece := make([]byte, 64<<10)
	_, _ = rand.Read(piece)
	const n = 400 // three spools
	for range n {
		check(t, w.Output(piece))
	}
	_, err := w.Close(t.Context())
	check(t, err)
	got, err := r.frames(t, r.Service, w.ID())
	check(t, err)
	if !bytes.Equal(output(got), bytes.Repeat(piece, n)) {
		t.Error("the output differs")
	}
}

func TestNoRecordingStartsWhenItsKeyOrItsFileCannotBeMade(t *testing.T) {
	for name, fault := range map[string]func(*rig){
		"sealed vault":  func(r *rig) { r.vault.set(true) },
		"full disk":     func(r *rig) { r.blobs.room = 0 },
		"full at once":  func(r *rig) { r.blobs.room = 20 },
		"sync fails":    func(r *rig) { r.blobs.sync = func() error { return syscall.EIO } },
		"no randomness": func(r *rig) { r.rand = strings.NewReader("short") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			fault(r)
			row := r.row()
			if w, err := r.Start(t.Context(), StartOptions{Recording: row}); err == nil || w != nil {
				t.Fatal("it started")
			}
			if got := r.store.rows[row.ID]; got.Status != Errored || got.Problem == "" {
				t.Errorf("status %s, %q", got.Status, got.Problem)
			}
			if len(r.live) != 0 || len(r.blobs.blobs) != 0 {
				t.Error("something stays behind")
			}
		})
	}
}

func TestARecordingHasOneWriter(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	if _, err := r.Start(t.Context(), StartOptions{Recording: r.store.rows[w.ID()]}); !pam.Is(err, pam.Conflict) {
		t.Errorf("a second writer: %v", err)
	}
	if s := r.store.rows[w.ID()].Status; s != InProgress {
		t.Errorf("the second attempt left status %s", s)
	}
	_, err := w.Close(t.Context())
	check(t, err)
}

func TestCloseStopsWaitingWithItsContextAndStillFinishes(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	gate := make(chan struct{})
	r.blobs.set(func() { r.blobs.gate = gate })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(gate)
	if _, err := w.Close(t.Context()); err != nil || r.store.rows[w.ID()].Status != Completed {
		t.Errorf("%v, status %s", err, r.store.rows[w.ID()].Status)
	}
}

func TestOutputAllocatesNothing(t *testing.T) {
	r := newRig(t)
	w := r.begin(t, nil)
	p := []byte("x")
	check(t, w.Output(p))
	if n := testing.AllocsPerRun(1000, func() { _ = w.Output(p) }); n > 0 {
		t.Errorf("%v allocations for each Output", n)
	}
	_, _ = w.Close(t.Context())
}

func TestMerkleRootIsThatOfRFC6962(t *testing.T) {
	for n := range 40 {
		var m merkle
		var leaves []hash
		for i := range n {
			h := sum(fmt.Append(nil, i))
			m.add(h)
			leaves = append(leaves, h)
		}
		if m.root() != slowRoot(leaves) {
			t.Fatalf("the root of %d leaves differs", n)
		}
	}
}

// slowRoot follows the words of RFC 6962 section 2.1.
func slowRoot(leaves []hash) hash {
	switch len(leaves) {
	case 0:
		return sum(nil)
	case 1:
		return sum(append([]byte{0}, leaves[0][:]...))
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	l, r := slowRoot(leaves[:k]), slowRoot(leaves[k:])
	return sum(append(append([]byte{1}, l[:]...), r[:]...))
}
