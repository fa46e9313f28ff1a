package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// ByID returns what is known of a recording that the actor may see.
func (s *Service) ByID(ctx context.Context, actor pam.Actor, id pam.RecordingID) (Recording, error) {
	return s.allowed(ctx, "read recording", actor, id, policy.RecordingSee)
}

// List returns the recordings that the actor may see, newest first.
func (s *Service) List(ctx context.Context, actor pam.Actor, f Filter) ([]Recording, error) {
	f.Visible = nil
	if !policy.Allowed(policy.RecordingSee, policy.Of(actor, "")) {
		safes, err := s.access.ManagedSafes(ctx, actor)
		if err != nil {
			return nil, pam.Wrap("list recordings", err)
		}
		f.Visible = &Visible{User: actor.User, Safes: safes}
	}
	rows, err := s.store.ListRecordings(ctx, actor.Org, f)
	return rows, pam.Wrap("list recordings", err)
}

// allowed returns a recording to which the actor may do the action. For whom
// may not even see it, it does not exist; whoever sees and may no more is
// denied.
func (s *Service) allowed(ctx context.Context, op string, actor pam.Actor, id pam.RecordingID, action policy.Action) (Recording, error) {
	r, err := s.store.RecordingByID(ctx, actor.Org, id)
	if err != nil {
		return Recording{}, pam.Wrap(op, err)
	}
	if r.Org != actor.Org {
		return Recording{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	facts := policy.Of(actor, "").Owning(r.UserID == actor.User && actor.User != "")
	if policy.Allowed(action, facts) {
		return r, nil
	}
	manager, err := s.access.Manages(ctx, actor, r.SafeID)
	if err != nil {
		return Recording{}, pam.Wrap(op, err)
	}
	if manager {
		facts.SafeRole = pam.SafeManager
	}
	switch {
	case policy.Allowed(action, facts):
		return r, nil
	case policy.Allowed(policy.RecordingSee, facts):
		return Recording{}, pam.Errorf(pam.Denied, op, "You may see that this recording exists, but not replay it.")
	}
	return Recording{}, &pam.Error{Kind: pam.NotFound, Op: op}
}

// Reader iterates over the frames of a recording. Every frame that comes out
// is verified. It is for one goroutine.
type Reader struct {
	Recording  Recording
	Cols, Rows uint16 // the terminal's initial size

	blob    BlobReader
	sc      *scanner
	partial bool // in progress: the end of what is durable is no error
	rest    []byte
	at      uint64
	end     uint64
}

// Open opens a recording for reading; of one in progress, what is durable so
// far. The event that it was opened is durable on return. The caller closes
// the Reader.
func (s *Service) Open(ctx context.Context, actor pam.Actor, id pam.RecordingID) (*Reader, error) {
	r, err := s.allowed(ctx, "open recording", actor, id, policy.RecordingReplay)
	if err != nil {
		return nil, err
	}
	if err := s.noteOpened(ctx, actor, r); err != nil {
		return nil, pam.Wrap("open recording", err)
	}
	return s.open(ctx, r)
}

// readable is how much of a row's file may be read. While it is in progress,
// that is what its writer knows to be durable; the writer of one that is
// completed may still be there, and its seal lies beyond that.
func (s *Service) readable(r Recording) int64 {
	if w := s.writer(r.ID); w != nil && r.Status == InProgress {
		return w.Durable()
	}
	return math.MaxInt64
}

func (s *Service) open(ctx context.Context, r Recording) (*Reader, error) {
	limit := s.readable(r)
	blob, err := s.blobs.Open(ctx, string(r.ID))
	if err != nil {
		return nil, pam.Wrap("open recording", err)
	}
	sc, err := s.scan(ctx, r, blob, limit)
	if err != nil {
		_ = blob.Close()
		if isDamage(err) {
			return nil, &pam.Error{Kind: pam.Unavailable, Op: "open recording", Public: "The recording is damaged: " + reason(err) + ".", Err: err}
		}
		return nil, pam.Wrap("open recording", err)
	}
	return &Reader{Recording: r, Cols: sc.header.cols, Rows: sc.header.rows, blob: blob, sc: sc, partial: r.Status == InProgress}, nil
}

// Close gives the blob back.
func (r *Reader) Close() error { r.sc.close(); return r.blob.Close() }

// Next returns the next frame; its data is valid until the call after. At the
// end it returns io.EOF; if the content does not verify, an error that says
// since when.
func (r *Reader) Next() (Frame, error) {
	for len(r.rest) == 0 {
		if r.at > r.end {
			return Frame{}, r.damaged(errors.New("frames go beyond their chunk's time"))
		}
		h, frames, err := r.sc.next()
		switch {
		case errors.Is(err, io.EOF), r.partial && isDamage(err):
			return Frame{}, io.EOF
		case isDamage(err):
			return Frame{}, r.damaged(err)
		case err != nil:
			return Frame{}, pam.Wrap("read recording", err)
		}
		r.rest, r.at, r.end = frames, h.from, h.until
	}
	f, at, rest, err := nextFrame(r.rest, r.at)
	if err != nil {
		return Frame{}, r.damaged(err)
	}
	r.at, r.rest = at, rest
	return f, nil
}

func (r *Reader) damaged(err error) error {
	return &pam.Error{Kind: pam.Unavailable, Op: "read recording", Err: err, Public: fmt.Sprintf("The recording is damaged after %s.", micros(r.sc.until))}
}

func micros(us uint64) time.Duration { return time.Duration(us) * time.Microsecond }

// Report is the result of a verification.
type Report struct {
	Verified        bool     // the whole content, its seal and its row agree
	VerifiedUntilMS int64    // the content before this moment is unaltered
	Problems        []string // nil if Verified
}

// Verify checks a recording against its chain, its key, its seal, the
// organization's signing key and its row. Content that was altered is a Report,
// not an error.
func (s *Service) Verify(ctx context.Context, actor pam.Actor, id pam.RecordingID) (Report, error) {
	r, err := s.ByID(ctx, actor, id)
	if err != nil {
		return Report{}, err
	}
	rep, err := s.verify(ctx, r)
	if err != nil {
		return Report{}, pam.Wrap("verify recording", err)
	}
	rep.Verified = len(rep.Problems) == 0
	return rep, nil
}

func (s *Service) verify(ctx context.Context, r Recording) (rep Report, err error) {
	problem := func(format string, args ...any) { rep.Problems = append(rep.Problems, fmt.Sprintf(format, args...)) }
	limit := s.readable(r)
	blob, err := s.blobs.Open(ctx, string(r.ID))
	if pam.Is(err, pam.NotFound) {
		problem("the file does not exist")
		return rep, nil
	}
	if err != nil {
		return rep, err
	}
	defer blob.Close()
	sc, err := s.scan(ctx, r, blob, limit)
	if isDamage(err) {
		problem("header: %s", reason(err))
		return rep, nil
	}
	if err != nil {
		return rep, err
	}
	defer sc.close()
	for err == nil {
		if err = ctx.Err(); err != nil {
			break
		}
		var h chunkHeader
		var frames []byte
		if h, frames, err = sc.next(); err == nil {
			if err = checkFrames(frames, h); err == nil {
				rep.VerifiedUntilMS = int64(h.until / 1000)
			}
		}
	}
	switch {
	case errors.Is(err, io.EOF):
	case !isDamage(err):
		return rep, err
	case r.Status == InProgress && (errors.Is(err, errTruncated) || sc.off == sc.size):
		problem("the recording is in progress and not sealed yet")
		return rep, nil
	default:
		problem("chunk %d, after %s: %v", sc.number, micros(sc.until), err)
		return rep, nil
	}
	if r.Status == InProgress {
		problem("the recording is not sealed yet")
		return rep, nil
	}
	key, err := s.signer.PublicKey(ctx, r.Org)
	if err != nil {
		return rep, err
	}
	sig, err := sc.seal(key)
	if err != nil && !isDamage(err) {
		return rep, err
	}
	if err != nil {
		problem("seal: %v", err)
	}
	st := sc.statement()
	switch {
	case r.Status != Completed:
		problem("the recording has the status %s: %s", r.Status, r.Problem)
	case r.RootHash != fmt.Sprintf("%x", st.root):
		problem("the root hash is not the one that was noted when the recording was sealed")
	case !slices.Equal(r.Signature, sig.Sig) || !slices.Equal(r.PublicKey, sig.PublicKey):
		problem("the signature is not the one that was noted when the recording was sealed")
	}
	return rep, nil
}

// checkFrames says whether a chunk's frames are well-formed and in its time.
func checkFrames(b []byte, h chunkHeader) (err error) {
	at := h.from
	for len(b) > 0 {
		if _, at, b, err = nextFrame(b, at); err != nil {
			return err
		}
	}
	if at > h.until {
		return errors.New("frames go beyond their chunk's time")
	}
	return nil
}
