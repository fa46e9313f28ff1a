package blobfs_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/recording"
	"vaultpam/store/blobfs"
)

// openVault seals nothing: these tests are about files.
type openVault struct{}

var signing = ed25519.NewKeyFromSeed(make([]byte, 32))

func (openVault) Seal(_ context.Context, _ pam.Binding, p []byte) ([]byte, error) {
	return bytes.Clone(p), nil
}

func (openVault) Open(_ context.Context, _ pam.Binding, p []byte) (secret.Value, error) {
	return secret.New(bytes.Clone(p)), nil
}

func (openVault) Sign(_ context.Context, _ pam.OrgID, m []byte) (pam.Signature, error) {
	return pam.Signature{PublicKey: signing.Public().(ed25519.PublicKey), Sig: ed25519.Sign(signing, m)}, nil
}

func (openVault) PublicKey(context.Context, pam.OrgID) ([]byte, error) {
	return signing.Public().(ed25519.PublicKey), nil
}

// oneRow is a store with a single recording.
type oneRow struct {
	mu  sync.Mutex
	row recording.Recording
}

func (s *oneRow) get() recording.Recording { s.mu.Lock(); defer s.mu.Unlock(); return s.row }

func (s *oneRow) RecordingByID(context.Context, pam.OrgID, pam.RecordingID) (recording.Recording, error) {
	return s.get(), nil
}

func (s *oneRow) ListRecordings(context.Context, pam.OrgID, recording.Filter) ([]recording.Recording, error) {
	return []recording.Recording{s.get()}, nil
}

func (s *oneRow) RecordingKey(context.Context, pam.OrgID, pam.RecordingID) ([]byte, error) {
	return nil, &pam.Error{Kind: pam.NotFound}
}

func (s *oneRow) UnsealedRecordings(context.Context) ([]recording.Recording, error) {
	if r := s.get(); r.Status == recording.InProgress {
		return []recording.Recording{r}, nil
	}
	return nil, nil
}

func (s *oneRow) CompleteRecording(_ context.Context, _ pam.OrgID, _ pam.RecordingID, seal recording.Seal, _ audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row.Status, s.row.RootHash, s.row.Signature, s.row.PublicKey = recording.Completed, seal.Root, seal.Signature.Sig, seal.Signature.PublicKey
	s.row.Recovered = seal.Recovered
	return nil
}

func (s *oneRow) FailRecording(_ context.Context, _ pam.OrgID, _ pam.RecordingID, reason string, _ time.Time, _ audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.row.Status, s.row.Problem = recording.Errored, reason
	return nil
}

func (s *oneRow) Append(context.Context, pam.OrgID, ...audit.Entry) error { return nil }

var (
	started = time.Now().UTC().Truncate(time.Microsecond)
	actor   = pam.Actor{User: "usr_1", Org: "org_1", Role: pam.Auditor}
)

func newService(tb testing.TB, dir string) (*recording.Service, *oneRow) {
	tb.Helper()
	f, err := blobfs.Open(dir, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	st := &oneRow{row: recording.Recording{
		ID: "rec_01ARZ3NDEKTSV4RRFFQ69G5FAV", Org: actor.Org, UserID: actor.User, SessionID: "ses_1",
		Status: recording.InProgress, StartedAt: started, Protocol: pam.SSH,
	}}
	return recording.New(recording.Deps{
		Store: st, Blobs: f, Sealer: openVault{}, Signer: openVault{}, Events: st, Clock: clock.Real{}, Rand: rand.Reader,
		Scribe: audit.NewScribe(clock.Real{}, ids.NewSource(clock.Real{}, rand.Reader)),
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	}), st
}

func begin(tb testing.TB, s *recording.Service, st *oneRow) *recording.Writer {
	tb.Helper()
	w, err := s.Start(tb.Context(), recording.StartOptions{Recording: st.get()})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func TestASessionEndsWhenTheRecordingsDirectoryIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	s, st := newService(t, dir)
	w := begin(t, s, st)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := w.Output([]byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.Failed():
	case <-time.After(5 * time.Second):
		t.Fatal("nobody noticed")
	}
	if err := w.Output([]byte("x")); !pam.Is(err, pam.Unavailable) || !strings.Contains(err.Error(), "gone") {
		t.Errorf("output: %v", err)
	}
	_, _ = w.Close(t.Context())
	// Nothing is given up while the directory is away.
	if done, err := s.RecoverAll(t.Context()); !pam.Is(err, pam.Unavailable) || done.Waiting != 1 || st.get().Status != recording.InProgress {
		t.Errorf("recovery: %+v, %v", done, err)
	}
}

// The child writes until it is killed, and says what was durable before it
// was: a line for each number that a second has passed over.
func TestAKilledProcessLosesAtMostASecond(t *testing.T) {
	if dir := os.Getenv("BLOBFS_TEST_VICTIM"); dir != "" {
		s, st := newService(t, dir)
		w := begin(t, s, st)
		for i := 0; ; i++ {
			if err := w.Output([]byte{'a' + byte(i%26)}); err != nil {
				t.Fatal(err)
			}
			_, _ = os.Stdout.WriteString(".")
			time.Sleep(5 * time.Millisecond) // a typist; the parent kills this process
		}
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "BLOBFS_TEST_VICTIM="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	// 400 characters take two seconds or more; what was typed in the last of
	// them may be missing.
	if _, err := io.ReadFull(out, make([]byte, 400)); err != nil {
		t.Fatal(err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()

	s, st := newService(t, dir)
	if done, err := s.RecoverAll(t.Context()); err != nil || done.Completed != 1 || !st.get().Recovered {
		t.Fatalf("recovery: %+v, %v", done, err)
	}
	if rep, err := s.Verify(t.Context(), actor, st.row.ID); err != nil || !rep.Verified {
		t.Errorf("%+v, %v", rep, err)
	}
	r, err := s.Open(t.Context(), actor, st.row.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for ; ; n++ {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || string(f.Data) != string(rune('a'+n%26)) {
			t.Fatalf("frame %d: %q, %v", n, f.Data, err)
		}
	}
	if n < 400-200 {
		t.Errorf("%d of 400 characters are left", n)
	}
}

func BenchmarkRecordToDisk(b *testing.B) {
	s, st := newService(b, b.TempDir())
	w := begin(b, s, st)
	data := make([]byte, 32<<10)
	_, _ = rand.Read(data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Output(data); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if _, err := w.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}
