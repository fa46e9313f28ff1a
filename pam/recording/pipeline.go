package recording

import (
	"context"
	"crypto/sha256"
	"time"

	"vaultpam/pam"
)

// pipeline is the half of a Writer that runs on its own goroutine: compress,
// encrypt, chain, append, sync. Only that goroutine touches it.
type pipeline struct {
	w      *Writer
	blob   BlobWriter
	header *fileHeader

	off     int64 // end of what was encoded
	written int64 // end of what was handed to the blob
	number  uint64
	prev    hash
	tree    merkle
	until   uint64 // µs covered by chunks

	nonce [12]byte
	aad   []byte

	// The last sync may be under way on a goroutine of its own, so that a slow
	// disk delays durability but not the pump.
	synced  chan syncResult
	syncing bool

	// With a grace, the encoded bytes after the durable offset, for another
	// attempt: after a failed sync nothing says which of them the disk has.
	spool   []*buffer
	spooled int
}

type syncResult struct {
	off int64
	err error
}

// loop runs until the recording is closed or has failed.
func (p *pipeline) loop() {
	w := p.w
	err := p.pump()
	if p.syncing {
		r := <-p.synced
		p.afterSync(r)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), sealWithin)
		w.seal, w.sealErr = w.s.finish(ctx, w.rec, p.blob, p.statement(flagFinal), p.off)
		cancel()
	} else {
		err = pam.Wrap("write recording", err)
		w.sealErr = err
		w.fail(err)
		w.s.log.Error("recording lost its store", "recording", w.rec.ID, "session", w.rec.SessionID, "error", err)
	}
	for _, b := range p.spool {
		b.release()
	}
	if err := p.blob.Close(); err != nil {
		w.s.log.Warn("recording was not closed cleanly", "recording", w.rec.ID, "error", err)
	}
	w.s.forget(w.rec.ID)
	close(w.done)
}

// pump moves buffers into the blob. It returns nil when the recording was
// closed and everything up to the final chunk is durable.
func (p *pipeline) pump() error {
	w := p.w
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	armed := false
	for {
		w.mu.Lock()
		busy, dirty, closing := len(w.queue) > 0, w.dirty, w.closing
		w.mu.Unlock()
		if closing {
			return p.finish()
		}
		if (dirty || p.off > w.durable.Load()) && !armed && !p.syncing {
			timer.Reset(w.s.flushAfter)
			armed = true
		}
		var wait <-chan struct{} // nil, hence never ready, while there is work
		if !busy {
			wait = w.wake
		}
		var idle chan struct{}
		if busy {
			idle = closedChan
		}
		var err error
		select {
		case <-timer.C:
			armed = false
			w.cut()
			if err = p.drain(); err == nil {
				err = p.startSync()
			}
		case r := <-p.synced:
			err = p.afterSync(r)
		case <-wait:
		case <-idle:
			err = p.one()
		}
		if err != nil {
			return err
		}
	}
}

// closedChan is always ready.
var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// drain writes all full buffers that are there now.
func (p *pipeline) drain() error {
	for range maxHeld {
		if p.w.idle() {
			return nil
		}
		if err := p.one(); err != nil {
			return err
		}
	}
	return nil
}

// one encodes and writes the oldest full buffer, if there is one.
func (p *pipeline) one() error {
	b := p.w.next()
	if b == nil {
		return nil
	}
	out := p.encode(b.data, b.from, b.until, 0)
	p.w.give(b)
	return p.write(out)
}

// finish writes what is left and the final chunk, and syncs.
func (p *pipeline) finish() error {
	p.w.cut()
	for !p.w.idle() {
		if err := p.one(); err != nil {
			return err
		}
	}
	end := max(p.w.elapsed(), p.until)
	if err := p.write(p.encode(nil, p.until, end, flagFinal)); err != nil {
		return err
	}
	for p.w.durable.Load() < p.off {
		if err := p.startSync(); err != nil {
			return err
		}
		if err := p.afterSync(<-p.synced); err != nil {
			return err
		}
	}
	return nil
}

// statement is what the seal will sign if the last chunk has these flags.
func (p *pipeline) statement(flags byte) statement {
	return statement{header: p.header, chunks: int64(p.number), duration: p.until, size: p.off, end: p.prev, root: p.tree.root(), final: flags}
}

// encode makes the next chunk of frames and moves the chain on.
func (p *pipeline) encode(frames []byte, from, until uint64, flags byte) *buffer {
	out := newBuffer(len(frames))
	h := chunkHeader{flags: flags, number: p.number, clear: uint32(len(frames)), from: from, until: until, prev: p.prev}
	body, plain := out.data[:chunkHeaderSize], frames
	if worthCompressing(frames) {
		body = p.w.s.zstd.EncodeAll(frames, body)
		if packed := body[chunkHeaderSize:]; len(packed) < len(frames) {
			plain = packed
			h.flags |= flagZstd
		}
	}
	body = body[:chunkHeaderSize]
	h.cipher = uint32(len(plain) + tagSize)
	h.put(body)
	p.aad = appendAAD(p.aad[:0], p.w.rec.ID, body)
	// The plaintext is either elsewhere or exactly where the ciphertext goes,
	// both of which AEAD.Seal allows.
	out.data = p.w.aead.Seal(body, h.nonce(&p.nonce), plain, p.aad)
	p.prev = sha256.Sum256(out.data)
	p.tree.add(p.prev)
	p.number++
	p.until = until
	p.off += int64(len(out.data))
	return out
}

// worthCompressing guesses from a sample of the bytes whether compression would
// gain anything: encrypted or compressed data has an almost even histogram.
func worthCompressing(b []byte) bool {
	const sample = 4096
	if len(b) < 2*sample {
		return len(b) >= 32
	}
	// The sum of squares of a histogram of n even bytes is about n + n²/256;
	// text exceeds that many times over.
	var count [256]uint32
	step := len(b) / sample
	for i := 0; i < sample; i++ {
		count[b[i*step]]++
	}
	sum := uint32(0)
	for _, c := range count {
		sum += c * c
	}
	return sum > sample+sample*sample/256*5/4
}

// write appends an encoded chunk and takes it over.
func (p *pipeline) write(out *buffer) error {
	if p.w.grace == 0 {
		_, err := p.blob.WriteAt(out.data, p.written)
		p.written += int64(len(out.data))
		out.release()
		return err
	}
	p.spool = append(p.spool, out)
	p.spooled += len(out.data)
	if _, err := p.blob.WriteAt(out.data, p.written); err != nil {
		return p.retry(err)
	}
	p.written += int64(len(out.data))
	for p.spooled > maxSpool { // memory is bounded: wait for the disk
		if err := p.startSync(); err != nil {
			return err
		}
		if err := p.afterSync(<-p.synced); err != nil {
			return err
		}
	}
	return nil
}

// startSync syncs in the background, unless a sync is under way.
func (p *pipeline) startSync() error {
	if p.syncing || p.off == p.w.durable.Load() {
		return nil
	}
	p.syncing = true
	off := p.written
	go func() { p.synced <- syncResult{off, p.blob.Sync()} }() // loop waits for it
	return nil
}

// afterSync takes the result of startSync.
func (p *pipeline) afterSync(r syncResult) error {
	p.syncing = false
	if r.err != nil {
		if p.w.grace == 0 {
			return r.err
		}
		return p.retry(r.err)
	}
	p.settle(r.off)
	return nil
}

// settle notes that everything before off is durable.
func (p *pipeline) settle(off int64) {
	at := p.w.durable.Load()
	for len(p.spool) > 0 && at+int64(len(p.spool[0].data)) <= off {
		n := len(p.spool[0].data)
		at += int64(n)
		p.spooled -= n
		p.spool[0].release()
		p.spool = p.spool[1:]
	}
	p.w.durable.Store(off)
}

// retry keeps the recording alive through the grace: it writes everything after
// the durable offset again until that works or the grace has run out.
// Meanwhile the session goes on as long as the spool and the queue have room.
func (p *pipeline) retry(cause error) error {
	w := p.w
	if p.syncing { // its result says nothing any more; it must not run into ours
		<-p.synced
		p.syncing = false
	}
	w.s.log.Warn("recording cannot be written, trying again", "recording", w.rec.ID, "session", w.rec.SessionID, "grace", w.grace, "error", cause)
	grace, next := time.NewTimer(w.grace), time.NewTicker(retryAfter)
	defer grace.Stop()
	defer next.Stop()
	for {
		select {
		case <-grace.C:
			return cause
		case <-w.wake:
		case <-next.C:
			w.cut()
			if cause = p.rewrite(); cause == nil {
				w.s.log.Info("recording is written again, nothing was lost", "recording", w.rec.ID, "session", w.rec.SessionID)
				return nil
			}
		}
		for p.spooled < maxSpool {
			b := w.next()
			if b == nil {
				break
			}
			out := p.encode(b.data, b.from, b.until, 0)
			w.give(b)
			p.spool = append(p.spool, out)
			p.spooled += len(out.data)
		}
	}
}

// rewrite makes one attempt at all that is not durable.
func (p *pipeline) rewrite() error {
	at := p.w.durable.Load()
	for _, b := range p.spool {
		if _, err := p.blob.WriteAt(b.data, at); err != nil {
			return err
		}
		at += int64(len(b.data))
	}
	if err := p.blob.Sync(); err != nil {
		return err
	}
	p.written = at
	p.settle(at)
	return nil
}
