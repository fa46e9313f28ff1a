package recording

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

var epoch = time.Date(2026, 11, 1, 9, 30, 0, 0, time.UTC)

// fakeVault seals with one AES key and signs with one ed25519 key.
type fakeVault struct {
	mu     sync.Mutex
	sealed bool
	aead   cipher.AEAD
	key    ed25519.PrivateKey
}

func newFakeVault() *fakeVault {
	block, _ := aes.NewCipher(make([]byte, 32))
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	return &fakeVault{aead: aead, key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
}

func (v *fakeVault) set(sealed bool) { v.mu.Lock(); defer v.mu.Unlock(); v.sealed = sealed }

func (v *fakeVault) open() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sealed {
		return pam.Errorf(pam.Sealed, "", "the vault is sealed")
	}
	return nil
}

func aad(b pam.Binding) []byte { j, _ := json.Marshal(b); return j }

func (v *fakeVault) Seal(_ context.Context, b pam.Binding, p []byte) ([]byte, error) {
	return v.aead.Seal(nil, nil, p, aad(b)), v.open()
}

func (v *fakeVault) Open(_ context.Context, b pam.Binding, p []byte) (secret.Value, error) {
	if err := v.open(); err != nil {
		return secret.Value{}, err
	}
	out, err := v.aead.Open(nil, nil, p, aad(b))
	if err != nil {
		return secret.Value{}, pam.Errorf(pam.Invalid, "", "the value does not open")
	}
	return secret.New(out), nil
}

func (v *fakeVault) Sign(_ context.Context, _ pam.OrgID, m []byte) (pam.Signature, error) {
	return pam.Signature{PublicKey: v.key.Public().(ed25519.PublicKey), Sig: ed25519.Sign(v.key, m)}, v.open()
}

func (v *fakeVault) PublicKey(context.Context, pam.OrgID) ([]byte, error) {
	return v.key.Public().(ed25519.PublicKey), v.open()
}

// fakeStore keeps rows and events in memory.
type fakeStore struct {
	mu      sync.Mutex
	rows    map[pam.RecordingID]Recording
	events  []audit.Entry
	broken  error  // returned by everything that writes
	rekeyed []byte // of every recording
	during  func() // called before and after a row is completed, unless it is nil
}

func (s *fakeStore) RecordingByID(_ context.Context, org pam.OrgID, id pam.RecordingID) (Recording, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[id]
	if !ok || r.Org != org {
		return r, pam.Errorf(pam.NotFound, "", "no such recording")
	}
	return r, nil
}

func (s *fakeStore) ListRecordings(_ context.Context, org pam.OrgID, f Filter) (out []Recording, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.Org == org && (f.Visible == nil || r.UserID == f.Visible.User || slices.Contains(f.Visible.Safes, r.SafeID)) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (s *fakeStore) RecordingKey(context.Context, pam.OrgID, pam.RecordingID) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rekeyed == nil {
		return nil, pam.Errorf(pam.NotFound, "", "not sealed anew")
	}
	return s.rekeyed, nil
}

func (s *fakeStore) UnsealedRecordings(context.Context) (out []Recording, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.Status == InProgress {
			out = append(out, r)
		}
	}
	return out, nil
}

func (s *fakeStore) change(org pam.OrgID, id pam.RecordingID, e audit.Entry, fn func(*Recording)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[id]
	switch {
	case s.broken != nil:
		return s.broken
	case !ok || r.Org != org:
		return pam.Errorf(pam.NotFound, "", "no such recording")
	case r.Status != InProgress:
		return pam.Errorf(pam.Conflict, "", "not in progress")
	}
	fn(&r)
	s.rows[id] = r
	s.events = append(s.events, e)
	return nil
}

func (s *fakeStore) CompleteRecording(_ context.Context, org pam.OrgID, id pam.RecordingID, seal Seal, e audit.Entry) error {
	if s.during != nil {
		s.during()
		defer s.during()
	}
	return s.change(org, id, e, func(r *Recording) {
		r.Status, r.RootHash, r.DurationMS, r.SizeBytes, r.Recovered = Completed, seal.Root, seal.DurationMS, seal.SizeBytes, seal.Recovered
		r.Signature, r.PublicKey, r.EndedAt, r.ExpiresAt = seal.Signature.Sig, seal.Signature.PublicKey, seal.EndedAt, seal.ExpiresAt
	})
}

func (s *fakeStore) FailRecording(_ context.Context, org pam.OrgID, id pam.RecordingID, reason string, at time.Time, e audit.Entry) error {
	return s.change(org, id, e, func(r *Recording) { r.Status, r.Problem, r.EndedAt = Errored, reason, at })
}

// fakeAccess knows one manager.
type fakeAccess struct {
	manager pam.UserID
	safe    pam.SafeID
}

func (a fakeAccess) Manages(_ context.Context, actor pam.Actor, safe pam.SafeID) (bool, error) {
	return actor.User == a.manager && safe == a.safe, nil
}

func (a fakeAccess) ManagedSafes(_ context.Context, actor pam.Actor) ([]pam.SafeID, error) {
	if actor.User == a.manager {
		return []pam.SafeID{a.safe}, nil
	}
	return nil, nil
}

// memBlobs keeps blobs in memory and fails on demand.
type memBlobs struct {
	mu     sync.Mutex
	blobs  map[string]*memBlob
	locked map[string]bool
	room   int64                 // bytes until ENOSPC; below zero: unlimited
	gate   chan struct{}         // writes wait for it, if it is set
	sync   func() error          // result of Sync, if it is set
	write  func(off int64) error // error of WriteAt, if it is set
}

type memBlob struct {
	data   []byte
	synced []byte // what a crash leaves at least
}

func newMemBlobs() *memBlobs {
	return &memBlobs{blobs: map[string]*memBlob{}, locked: map[string]bool{}, room: -1}
}

var errDiskFull = &pam.Error{Kind: pam.Unavailable, Public: "The disk is full.", Err: syscall.ENOSPC}

func (m *memBlobs) Check(context.Context) error { return nil }

func (m *memBlobs) Create(_ context.Context, name string) (BlobWriter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blobs[name] != nil {
		return nil, pam.Errorf(pam.Conflict, "", "exists")
	}
	if m.room == 0 {
		return nil, errDiskFull
	}
	m.blobs[name], m.locked[name] = &memBlob{}, true
	return &memWriter{m, name}, nil
}

func (m *memBlobs) Resume(_ context.Context, name string, size int64) (BlobWriter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.blobs[name]
	if b == nil {
		return nil, pam.Errorf(pam.NotFound, "", "no such blob")
	}
	if m.locked[name] {
		return nil, pam.Errorf(pam.Conflict, "", "locked")
	}
	m.locked[name] = true
	b.data = b.data[:size]
	return &memWriter{m, name}, nil
}

func (m *memBlobs) Open(_ context.Context, name string) (BlobReader, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blobs[name] == nil {
		return nil, pam.Errorf(pam.NotFound, "", "no such blob")
	}
	return memReader{bytes.NewReader(slices.Clone(m.blobs[name].data))}, nil
}

func (m *memBlobs) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, name)
	return nil
}

func (m *memBlobs) get(name pam.RecordingID) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.blobs[string(name)].data)
}

func (m *memBlobs) put(name pam.RecordingID, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs[string(name)] = &memBlob{data: b}
}

// set changes the faults.
func (m *memBlobs) set(fn func()) { m.mu.Lock(); defer m.mu.Unlock(); fn() }

type memWriter struct {
	m    *memBlobs
	name string
}

func (w *memWriter) WriteAt(p []byte, off int64) (int, error) {
	w.m.mu.Lock()
	gate := w.m.gate
	w.m.mu.Unlock()
	if gate != nil {
		<-gate
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.m.write != nil {
		if err := w.m.write(off); err != nil {
			return 0, err
		}
	}
	b := w.m.blobs[w.name]
	if off > int64(len(b.data)) {
		return 0, errors.New("a hole in the blob")
	}
	n, full := len(p), error(nil)
	if w.m.room >= 0 && off+int64(n) > w.m.room {
		n, full = int(max(0, w.m.room-off)), errDiskFull
	}
	b.data = append(b.data[:off], p[:n]...)
	return n, full
}

func (w *memWriter) Sync() error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.m.sync != nil {
		if err := w.m.sync(); err != nil {
			return err
		}
	}
	b := w.m.blobs[w.name]
	b.synced = append(b.synced[:0], b.data...)
	return nil
}

func (w *memWriter) Close() error {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	w.m.locked[w.name] = false
	return nil
}

type memReader struct{ *bytes.Reader }

func (r memReader) Size() (int64, error) { return r.Reader.Size(), nil }
func (memReader) Close() error           { return nil }

// fakeEvents keeps the events that came on their own.
type fakeEvents struct {
	mu     sync.Mutex
	list   []audit.Entry
	broken error
}

func (f *fakeEvents) Append(_ context.Context, _ pam.OrgID, e ...audit.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.list = append(f.list, e...)
	}
	return f.broken
}

// rig is a service on fakes.
type rig struct {
	*Service
	vault  *fakeVault
	store  *fakeStore
	blobs  *memBlobs
	clock  *clock.Manual
	events *fakeEvents
	ids    *ids.Source
}

const (
	testOrg  = pam.OrgID("org_01ARZ3NDEKTSV4RRFFQ69G5FAV")
	testUser = pam.UserID("usr_01ARZ3NDEKTSV4RRFFQ69G5FAV")
	testSafe = pam.SafeID("saf_01ARZ3NDEKTSV4RRFFQ69G5FAV")
)

var self = pam.Actor{User: testUser, Org: testOrg, Role: pam.Operator}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{vault: newFakeVault(), store: &fakeStore{rows: map[pam.RecordingID]Recording{}}, blobs: newMemBlobs(), clock: clock.NewManual(epoch), events: &fakeEvents{}}
	r.ids = ids.NewSource(r.clock, rand.Reader)
	r.Service = r.restart()
	r.flushAfter = time.Millisecond
	return r
}

// restart returns a service with the same stores that knows no living writer.
func (r *rig) restart() *Service {
	return New(Deps{
		Store: r.store, Blobs: r.blobs, Sealer: r.vault, Signer: r.vault, Events: r.events, Scribe: audit.NewScribe(r.clock, r.ids), Access: fakeAccess{"usr_manager", testSafe},
		Clock: r.clock, Rand: rand.Reader, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

func (r *rig) row() Recording {
	row := Recording{
		ID: pam.RecordingID(r.ids.New(pam.PrefixRecording)), Org: testOrg, SessionID: pam.SessionID(r.ids.New(pam.PrefixSession)),
		SafeID: testSafe, UserID: testUser, Protocol: pam.SSH, Status: InProgress, Format: FormatAsciicast, RetentionDays: 30, StartedAt: r.clock.Now(),
	}
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.rows[row.ID] = row
	return row
}

func (r *rig) begin(tb testing.TB, fn func(*StartOptions)) *Writer {
	tb.Helper()
	o := StartOptions{Recording: r.row(), Cols: 120, Rows: 40, Input: true}
	if fn != nil {
		fn(&o)
	}
	w, err := r.Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// sample records a small session and closes it.
func (r *rig) sample(tb testing.TB) pam.RecordingID {
	tb.Helper()
	w := r.begin(tb, nil)
	for i := range 4 {
		r.clock.Advance(time.Second)
		check(tb, w.Output(fmt.Appendf(nil, "line %d of a session\r\n", i)))
		r.waitDurable(tb, w)
	}
	if _, err := w.Close(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return w.ID()
}

// waitDurable waits until what was recorded is in the blob and synced.
func (r *rig) waitDurable(tb testing.TB, w *Writer) {
	tb.Helper()
	eventually(tb, func() bool {
		w.mu.Lock()
		quiet := !w.dirty && w.held == 0
		w.mu.Unlock()
		r.blobs.mu.Lock()
		defer r.blobs.mu.Unlock()
		return quiet && w.Durable() == int64(len(r.blobs.blobs[string(w.ID())].data))
	})
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func eventually(tb testing.TB, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			tb.Fatal("the condition did not come about")
		}
		time.Sleep(time.Millisecond)
	}
}

// frames reads all frames of a recording, as copies.
func (r *rig) frames(tb testing.TB, s *Service, id pam.RecordingID) ([]Frame, error) {
	tb.Helper()
	rd, err := s.Open(tb.Context(), self, id)
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	var out []Frame
	for {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		f.Data = slices.Clone(f.Data)
		out = append(out, f)
	}
}

// output joins the output frames.
func output(frames []Frame) []byte {
	var b []byte
	for _, f := range frames {
		if f.Kind == KindOutput {
			b = append(b, f.Data...)
		}
	}
	return b
}

// goneBlobs is a directory that is not mounted.
type goneBlobs struct{ Blobs }

func (goneBlobs) Open(context.Context, string) (BlobReader, error) {
	return nil, pam.Errorf(pam.Unavailable, "", "The recordings directory is gone.")
}
