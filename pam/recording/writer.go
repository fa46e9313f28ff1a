package recording

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"vaultpam/pam"
)

const (
	chunkTarget = 256 << 10              // bytes of frames after which a chunk is closed; fits into a core's cache
	maxHeld     = 16                     // buffers that a writer may have waiting: 4 MiB
	flushAfter  = 500 * time.Millisecond // from a byte to the chunk that holds it; with the sync it is durable within 1 s
	retryAfter  = 250 * time.Millisecond // between attempts during a grace
	maxSpool    = 8 << 20                // encoded bytes kept for another attempt during a grace
	maxNote     = 32 << 10               // bytes of a marker's text
	sealWithin  = 15 * time.Second       // for signing and completing the row
)

// ErrClosed is returned for frames that arrive after Close.
var ErrClosed = errors.New("recording: the recording is closed")

// Writer records one session. Its methods may be called from several
// goroutines. They copy and return; only when the bounded queue is full do they
// wait, so that nothing is ever left out. After a failure they return its error
// at once.
type Writer struct {
	s     *Service
	rec   Recording
	input bool
	grace time.Duration
	aead  cipher.AEAD

	wake    chan struct{} // one slot: there is something for the pipeline to look at
	failed  chan struct{} // closed by fail
	done    chan struct{} // closed when the pipeline has ended; seal and sealErr are then set
	durable atomic.Int64  // bytes of the blob that a successful Sync covered

	mu      sync.Mutex // guards what follows
	room    sync.Cond  // signalled when held falls, on failure and on closing
	cur     *buffer    // being filled; nil while idle
	queue   []*buffer  // full ones, oldest first
	held    int        // buffers in cur, queue and in the pipeline's hands
	last    uint64     // µs of the last frame
	dirty   bool       // a frame arrived since the pipeline last took everything
	burst   bool       // a buffer was filled since then
	closing bool
	err     error // why the recording failed

	seal    Seal
	sealErr error
}

// buffer is the clear text of a chunk in the making.
type buffer struct {
	data        []byte
	from, until uint64 // µs
}

// The capacities of buffers: the small one serves a session in which somebody
// types, so that many of those fit into memory; the large one a burst.
const (
	smallBuffer = 16 << 10
	largeBuffer = chunkTarget + 4096

	// slack is left free, so that what a buffer holds fits, encrypted, into
	// another of the same size.
	slack = chunkHeaderSize + tagSize + 32
)

// The pools keep buffers for all writers, so that an idle session holds none.
var (
	smallPool = sync.Pool{New: func() any { return &buffer{data: make([]byte, 0, smallBuffer)} }}
	largePool = sync.Pool{New: func() any { return &buffer{data: make([]byte, 0, largeBuffer)} }}
)

// room is how many bytes of frames fit into b.
func (b *buffer) room() int { return cap(b.data) - slack - len(b.data) }

// newBuffer returns an empty buffer with room for n bytes of frames, at most
// largeBuffer-slack.
func newBuffer(n int) *buffer {
	if n <= smallBuffer-slack {
		return smallPool.Get().(*buffer)
	}
	return largePool.Get().(*buffer)
}

// release wipes what the buffer held, since it may be a password that somebody
// typed, and gives the buffer back.
func (b *buffer) release() {
	clear(b.data)
	b.data = b.data[:0]
	if cap(b.data) < largeBuffer {
		smallPool.Put(b)
	} else {
		largePool.Put(b)
	}
}

// ID is the recording's id.
func (w *Writer) ID() pam.RecordingID { return w.rec.ID }

// Failed is closed when the recording can no longer be written: at once, or
// when the grace has run out. The session must end then.
func (w *Writer) Failed() <-chan struct{} { return w.failed }

// Err says why Failed is closed; nil as long as it is not.
func (w *Writer) Err() error { w.mu.Lock(); defer w.mu.Unlock(); return w.err }

// Durable is how many bytes of the blob would survive a crash now.
func (w *Writer) Durable() int64 { return w.durable.Load() }

// Output records bytes that the user is shown. p may be reused on return.
func (w *Writer) Output(p []byte) error { return w.frames(KindOutput, p) }

// Input records bytes that the user typed, if the session records input.
func (w *Writer) Input(p []byte) error {
	if !w.input {
		return w.Err()
	}
	return w.frames(KindInput, p)
}

// Resize records a new size of the terminal.
func (w *Writer) Resize(cols, rows uint16) error {
	var p [4]byte
	binary.BigEndian.PutUint16(p[:], cols)
	binary.BigEndian.PutUint16(p[2:], rows)
	return w.whole(KindResize, p[:])
}

// Marker records a note. A text beyond 32 KiB is cut.
func (w *Writer) Marker(kind, text string) error {
	return w.object(KindMarker, Marker{Kind: kind, Text: text[:min(len(text), maxNote)]})
}

// File records a file transfer. A path or error beyond 32 KiB is cut.
func (w *Writer) File(f File) error {
	f.Path, f.Error = f.Path[:min(len(f.Path), maxNote)], f.Error[:min(len(f.Error), maxNote)]
	return w.object(KindFile, f)
}

func (w *Writer) object(k Kind, v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return pam.Wrap("record a note", err)
	}
	if len(p) > chunkTarget { // only the escapes of control characters grow that much
		return pam.Errorf(pam.Invalid, "record a note", "the note is too long")
	}
	return w.whole(k, p)
}

// elapsed is the time since the start in microseconds.
func (w *Writer) elapsed() uint64 {
	return uint64(max(0, w.s.clock.Now().Sub(w.rec.StartedAt)/time.Microsecond))
}

// frames records p, in several frames if it does not fit into one.
func (w *Writer) frames(k Kind, p []byte) error {
	if len(p) == 0 {
		return w.Err()
	}
	at := w.elapsed()
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(p) > 0 {
		// Less room than this is not worth a frame of its own.
		if err := w.reserve(frameOverhead + min(len(p), 4096)); err != nil {
			return err
		}
		n := min(len(p), w.cur.room()-frameOverhead)
		w.put(k, at, p[:n])
		p = p[n:]
	}
	return nil
}

// whole records p as one frame. It must be at most chunkTarget long.
func (w *Writer) whole(k Kind, p []byte) error {
	at := w.elapsed()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reserve(frameOverhead + len(p)); err != nil {
		return err
	}
	w.put(k, at, p)
	return nil
}

// put appends a frame to the present buffer. Called with mu held and room
// reserved. Time never runs backwards in a recording, whatever the clock does.
func (w *Writer) put(k Kind, at uint64, p []byte) {
	at = max(at, w.last)
	w.cur.data = putFrame(w.cur.data, k, at-w.last, p)
	w.last, w.cur.until = at, at
	if !w.dirty {
		w.dirty = true
		w.poke()
	}
}

// reserve waits until the present buffer has room for n bytes. Called with mu
// held.
func (w *Writer) reserve(n int) error {
	for {
		switch {
		case w.err != nil:
			return w.err
		case w.closing:
			return ErrClosed
		case w.cur != nil && w.cur.room() >= n:
			return nil
		case w.cur != nil:
			w.queue = append(w.queue, w.cur)
			w.cur, w.burst = nil, true
			w.poke()
		case w.held < maxHeld:
			size := n
			if w.burst {
				size = largeBuffer - slack
			}
			w.cur = newBuffer(size)
			w.cur.from, w.cur.until = w.last, w.last
			w.held++
		default:
			w.room.Wait()
		}
	}
}

// poke tells the pipeline that there is something to look at.
func (w *Writer) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// next takes the oldest full buffer, or nil.
func (w *Writer) next() *buffer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return nil
	}
	b := w.queue[0]
	copy(w.queue, w.queue[1:]) // at most maxHeld pointers; keeps the slice's memory
	w.queue = w.queue[:len(w.queue)-1]
	return b
}

// idle says whether no full buffer waits.
func (w *Writer) idle() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.queue) == 0 }

// cut moves the present buffer, however little is in it, to the queue.
func (w *Writer) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cur != nil {
		w.queue = append(w.queue, w.cur)
		w.cur = nil
	}
	w.dirty, w.burst = false, false
}

// give returns a buffer that is encoded.
func (w *Writer) give(b *buffer) {
	b.release()
	w.mu.Lock()
	w.held--
	w.mu.Unlock()
	w.room.Broadcast()
}

// fail ends the recording with err. Called by the pipeline alone.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	w.err = err
	for _, b := range w.queue {
		b.release()
	}
	if w.cur != nil {
		w.cur.release()
	}
	w.cur, w.queue = nil, nil
	w.mu.Unlock()
	w.room.Broadcast()
	close(w.failed)
}

// Close ends the recording: what was recorded is made durable, the last chunk
// is marked as such, the seal signed and the row completed. It is idempotent,
// and does not stop when ctx ends; it only no longer waits. An Error of kind
// Sealed means that all content is durable and the signature follows by
// [Service.RecoverAll] once the vault is open.
func (w *Writer) Close(ctx context.Context) (Seal, error) {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.room.Broadcast()
	w.poke()
	select {
	case <-w.done:
		return w.seal, w.sealErr
	case <-ctx.Done():
		return Seal{}, pam.Wrap("close recording", ctx.Err())
	}
}
