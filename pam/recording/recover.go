package recording

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"vaultpam/pam"
)

// startWindow is how long a row may be without a blob because its session is
// just being started.
const startWindow = time.Minute

// Recovery is what RecoverAll did.
type Recovery struct {
	Completed int // sealed now
	Failed    int // unreadable: status error, nothing deleted
	Waiting   int // could not be dealt with yet; the next call tries again
}

// RecoverAll deals with every recording in progress whose writer is dead: what
// verifies is kept, a final chunk and the seal are added, flagged as recovered;
// what cannot be read gets the status error. It is called at start, when the
// vault opens, and every few seconds; it never touches a recording that is
// being written, by this process or (as far as the blob store can tell) by
// another. The error is the first reason for which something waits.
func (s *Service) RecoverAll(ctx context.Context) (Recovery, error) {
	var done Recovery
	rows, err := s.store.UnsealedRecordings(ctx)
	if err != nil {
		return done, pam.Wrap("recover recordings", err)
	}
	var first error
	for _, r := range rows {
		if s.writer(r.ID) != nil {
			continue
		}
		status, err := s.recover(ctx, r)
		switch {
		case err != nil:
			done.Waiting++
			s.log.Warn("recording waits for recovery", "recording", r.ID, "error", err)
			if first == nil {
				first = pam.Wrap("recover recordings", err)
			}
			if pam.Is(err, pam.Sealed) || ctx.Err() != nil {
				return done, first
			}
		case status == Completed:
			done.Completed++
			s.log.Info("recording recovered", "recording", r.ID, "session", r.SessionID)
		case status == Errored:
			done.Failed++
		}
	}
	return done, first
}

// recover returns the row's new status, InProgress if it was left alone.
func (s *Service) recover(ctx context.Context, r Recording) (Status, error) {
	blob, err := s.blobs.Open(ctx, string(r.ID))
	if pam.Is(err, pam.NotFound) {
		if s.clock.Now().Sub(r.StartedAt) < startWindow {
			return InProgress, nil
		}
		return s.giveUp(ctx, r, "nothing was recorded: the file does not exist")
	}
	if err != nil {
		return InProgress, err
	}
	defer blob.Close()
	// After the blob is there, a session that is just being started has its
	// claim already, so this cannot get in its way.
	if !s.claim(r.ID) {
		return InProgress, nil
	}
	defer s.forget(r.ID)

	sc, err := s.scan(ctx, r, blob, math.MaxInt64)
	if isDamage(err) {
		return s.giveUp(ctx, r, "the file cannot be read: "+reason(err))
	}
	if err != nil {
		return InProgress, err
	}
	defer sc.close()
	for err == nil {
		if err = ctx.Err(); err == nil {
			_, _, err = sc.next()
		}
	}
	if !errors.Is(err, io.EOF) && !isDamage(err) {
		return InProgress, err
	}
	if err := s.sealAgain(ctx, r, blob, sc, errors.Is(err, errTruncated)); err != nil {
		if pam.Is(err, pam.Conflict) { // another process writes it or was faster
			return InProgress, nil
		}
		return InProgress, err
	}
	return Completed, nil
}

// sealAgain ends a recording of which sc has read all that verifies.
func (s *Service) sealAgain(ctx context.Context, r Recording, blob BlobReader, sc *scanner, torn bool) error {
	if sc.final() {
		key, err := s.signer.PublicKey(ctx, r.Org)
		if err != nil {
			return err
		}
		if sig, err := sc.seal(key); err == nil { // only the row was missing
			_, err = s.complete(ctx, r, sc.statement(), sig, sc.size)
			return err
		}
	} else if sc.size > sc.off && !torn {
		if err := s.keepTail(ctx, r, blob, sc); err != nil {
			return err
		}
	}
	w, err := s.blobs.Resume(ctx, string(r.ID), sc.off)
	if err != nil {
		return err
	}
	defer w.Close()
	if !sc.final() {
		b := sc.recoveredChunk()
		if _, err := w.WriteAt(b, sc.off); err != nil {
			return err
		}
		sc.prev = sum(b)
		sc.tree.add(sc.prev)
		sc.number++
		sc.off += int64(len(b))
		sc.flags = flagFinal | flagRecovered
		if err := w.Sync(); err != nil {
			return err
		}
	}
	_, err = s.finish(ctx, r, w, sc.statement(), sc.off)
	return err
}

// recoveredChunk is an empty final chunk. It follows from the chunks before it
// alone: a recovery that is repeated writes the same bytes under its nonce.
func (s *scanner) recoveredChunk() []byte {
	b := make([]byte, chunkHeaderSize, chunkHeaderSize+tagSize)
	h := chunkHeader{flags: flagFinal | flagRecovered, number: s.number, cipher: tagSize, from: s.until, until: s.until, prev: s.prev}
	h.put(b)
	return s.aead.Seal(b, h.nonce(&s.nonce), nil, appendAAD(nil, s.header.id, b))
}

// keepTail saves bytes that do not verify, and are more than one chunk that was
// torn by the crash, before they are cut off: they may be evidence of what
// happened to the file.
func (s *Service) keepTail(ctx context.Context, r Recording, blob BlobReader, sc *scanner) error {
	name := string(r.ID) + ".cut"
	w, err := s.blobs.Create(ctx, name)
	if pam.Is(err, pam.Conflict) { // left by a recovery that did not get to the cut
		w, err = s.blobs.Resume(ctx, name, 0)
	}
	if err != nil {
		return err
	}
	defer w.Close()
	buf := make([]byte, 64<<10)
	for off := sc.off; off < sc.size; {
		n, err := blob.ReadAt(buf[:min(int64(len(buf)), sc.size-off)], off)
		if n == 0 {
			return &readError{err}
		}
		if _, err := w.WriteAt(buf[:n], off-sc.off); err != nil {
			return err
		}
		off += int64(n)
	}
	s.log.Warn("bytes that do not verify were set aside", "recording", r.ID, "blob", name, "bytes", sc.size-sc.off)
	return w.Sync()
}

func (s *Service) giveUp(ctx context.Context, r Recording, why string) (Status, error) {
	s.log.Error("recording is unreadable", "recording", r.ID, "session", r.SessionID, "reason", why)
	if err := s.markFailed(ctx, r, why); err != nil {
		return InProgress, err
	}
	return Errored, nil
}

// reason words damage for the row, without the internals of other rooms.
func reason(err error) string {
	if e, ok := errors.AsType[*pam.Error](err); ok {
		if e.Public != "" {
			return e.Public
		}
		return "its key does not open"
	}
	return err.Error()
}
