package recording

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Deps is what a Service works with.
type Deps struct {
	Store  Store
	Blobs  Blobs
	Sealer pam.Sealer
	Signer pam.Signer
	Events Events
	Scribe *audit.Scribe
	Access Access
	Clock  clock.Clock
	Rand   io.Reader // crypto/rand.Reader outside of tests
	Log    *slog.Logger
}

// Service writes, seals, recovers and reads recordings.
type Service struct {
	store  Store
	blobs  Blobs
	sealer pam.Sealer
	signer pam.Signer
	events Events
	scribe *audit.Scribe
	access Access
	clock  clock.Clock
	rand   io.Reader
	log    *slog.Logger
	zstd   *zstd.Encoder // shared: its EncodeAll may be called concurrently

	indexes    indexCache
	flushAfter time.Duration // from a byte to the chunk that holds it; a field so that tests need not wait

	mu   sync.Mutex                  // guards live
	live map[pam.RecordingID]*Writer // nil value: being started or recovered
}

// New makes a Service. It does no I/O.
func New(d Deps) *Service {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithWindowSize(chunkTarget), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic("recording: options of zstd: " + err.Error())
	}
	return &Service{
		store: d.Store, blobs: d.Blobs, sealer: d.Sealer, signer: d.Signer, events: d.Events, scribe: d.Scribe, access: d.Access,
		clock: d.Clock, rand: d.Rand, log: d.Log, zstd: enc, flushAfter: flushAfter, live: map[pam.RecordingID]*Writer{},
	}
}

// StartOptions says what to record.
type StartOptions struct {
	Recording  Recording // the row, as the broker created it: status in_progress
	Cols, Rows uint16    // the terminal's initial size; 0 takes 80 and 24
	Input      bool      // the Safe says that input is recorded
	// Grace is recording_failure: 0 ends the recording with the first error
	// (mode "closed"); else the writer tries again for so long (mode "grace").
	Grace time.Duration
}

// Start begins a recording. On return its header and its encrypted key are
// durable; with an error there is no recording, the row has the status error,
// and the session must not start.
func (s *Service) Start(ctx context.Context, o StartOptions) (*Writer, error) {
	w, err := s.start(ctx, o)
	if err != nil {
		r := o.Recording
		s.log.Error("recording could not be started", "recording", r.ID, "session", r.SessionID, "error", err)
		if !pam.Is(err, pam.Conflict) { // what is there already is somebody else's to judge
			if err := s.markFailed(context.WithoutCancel(ctx), r, "the recording could not be started"); err != nil {
				s.log.Warn("the failure could not be noted", "recording", r.ID, "error", err)
			}
		}
		return nil, pam.Wrap("start recording", err)
	}
	return w, nil
}

func (s *Service) start(ctx context.Context, o StartOptions) (_ *Writer, err error) {
	r := o.Recording
	if !ids.Valid(pam.PrefixRecording, string(r.ID)) || r.StartedAt.IsZero() || o.Grace < 0 {
		return nil, pam.Errorf(pam.Invalid, "", "a recording needs an id and a start")
	}
	r.StartedAt = r.StartedAt.UTC().Truncate(time.Microsecond)
	if o.Cols == 0 || o.Rows == 0 {
		o.Cols, o.Rows = 80, 24
	}
	if !s.claim(r.ID) {
		return nil, pam.Errorf(pam.Conflict, "", "the recording is being written already")
	}
	defer func() {
		if err != nil {
			s.forget(r.ID)
		}
	}()

	key := make([]byte, keySize)
	defer clear(key)
	if _, err := io.ReadFull(s.rand, key); err != nil {
		return nil, err
	}
	sealed, err := s.sealer.Seal(ctx, keyBinding(r.Org, r.ID), key)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	h := &fileHeader{id: r.ID, session: r.SessionID, org: r.Org, protocol: r.Protocol, started: r.StartedAt, cols: o.Cols, rows: o.Rows, sealedKey: sealed}
	b, err := h.encode()
	if err != nil {
		return nil, err
	}

	blob, err := s.blobs.Create(ctx, string(r.ID))
	if err != nil {
		return nil, err
	}
	if _, err = blob.WriteAt(b, 0); err == nil {
		err = blob.Sync()
	}
	if err != nil {
		_ = blob.Close()
		if err := s.blobs.Delete(context.WithoutCancel(ctx), string(r.ID)); err != nil {
			s.log.Warn("an empty recording stays behind", "recording", r.ID, "error", err)
		}
		return nil, err
	}

	w := &Writer{s: s, rec: r, input: o.Input, grace: o.Grace, aead: aead, wake: make(chan struct{}, 1), failed: make(chan struct{}), done: make(chan struct{})}
	w.room.L = &w.mu
	w.durable.Store(int64(len(b)))
	p := &pipeline{w: w, blob: blob, header: h, off: int64(len(b)), written: int64(len(b)), prev: sum(b), synced: make(chan syncResult, 1)}
	s.mu.Lock()
	s.live[r.ID] = w
	s.mu.Unlock()
	go p.loop() // ends with Close or with a failure
	return w, nil
}

func keyBinding(org pam.OrgID, id pam.RecordingID) pam.Binding {
	return pam.Binding{Org: org, Purpose: KeyPurpose, Object: string(id), Version: 1}
}

// claim reserves a recording for one writer or one recovery in this process.
func (s *Service) claim(id pam.RecordingID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.live[id]; taken {
		return false
	}
	s.live[id] = nil
	return true
}

// forget gives a claim up.
func (s *Service) forget(id pam.RecordingID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, id)
}

// writer returns the living writer of a recording, or nil.
func (s *Service) writer(id pam.RecordingID) *Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[id]
}

// finish signs a recording whose chunks are all durable, appends the seal at
// offset off and completes the row.
func (s *Service) finish(ctx context.Context, r Recording, blob BlobWriter, st statement, off int64) (Seal, error) {
	text := st.encode()
	sig, err := s.signer.Sign(ctx, r.Org, text)
	if err != nil {
		return Seal{}, pam.Wrap("sign recording", err)
	}
	b, err := encodeSeal(text, sig)
	if err != nil {
		return Seal{}, pam.Wrap("sign recording", err)
	}
	if _, err := blob.WriteAt(b, off); err != nil {
		return Seal{}, pam.Wrap("write the recording's seal", err)
	}
	if err := blob.Sync(); err != nil {
		return Seal{}, pam.Wrap("write the recording's seal", err)
	}
	return s.complete(ctx, r, st, sig, off+int64(len(b)))
}

// complete writes the seal into the row, with its event.
func (s *Service) complete(ctx context.Context, r Recording, st statement, sig pam.Signature, size int64) (Seal, error) {
	end := r.StartedAt.Add(time.Duration(st.duration) * time.Microsecond)
	seal := Seal{
		Root: hex.EncodeToString(st.root[:]), End: hex.EncodeToString(st.end[:]), Chunks: st.chunks,
		DurationMS: int64(st.duration / 1000), SizeBytes: size, Signature: sig, Recovered: st.final&flagRecovered != 0,
		EndedAt: end, ExpiresAt: end.AddDate(0, 0, r.RetentionDays),
	}
	err := s.store.CompleteRecording(ctx, r.Org, r.ID, seal, s.sealedEvent(r, seal))
	return seal, pam.Wrap("complete recording", err)
}

// markFailed gives the row the status error. Nothing is deleted.
func (s *Service) markFailed(ctx context.Context, r Recording, reason string) error {
	return s.store.FailRecording(ctx, r.Org, r.ID, reason, s.clock.Now(), s.failedEvent(r, reason))
}

// Check says whether a recording could be started now.
func (s *Service) Check(ctx context.Context) error {
	return pam.Wrap("check the recordings store", s.blobs.Check(ctx))
}
