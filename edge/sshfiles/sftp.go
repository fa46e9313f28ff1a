// Package sshfiles reads what is done to files over SSH while it passes: SFTP,
// packet by packet, in both directions.
//
// It owns what of it may go on, what is told of it, and the sums of the files.
// It must not know what a Safe allows, nor how the bytes come. Start at [SFTP].
package sshfiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"vaultpam/edge/sshpump"
	"vaultpam/pam/broker"
	"vaultpam/wire/sftp"
)

// Limits on what is under way on one SFTP channel. OpenSSH's client asks for at
// most 64 parts at once, its server opens at most 100 files.
const (
	maxPending = 4096
	maxFiles   = 512
	keepWithin = 20 * time.Second // in which an act has to be on record
)

// writing are the flags by which an open may change the file, or make it: a
// server does so for the last three even where it is opened to be read.
const writing = sftp.FlagWrite | sftp.FlagAppend | sftp.FlagCreate | sftp.FlagTrunc

// errSFTP ends a channel on which nobody can say any more what is done.
var errSFTP = sshpump.Refusal("This is no SFTP that VaultPAM can read, and nothing goes unrecorded.")

// SFTP stands between a client and an SFTP server: it reads every packet
// in both directions before it goes on, refuses what it does not understand,
// and has what is done to files on record before the client hears of it. It is
// an sshpump.Client; Read is called by one goroutine, Output written by
// another.
type SFTP struct {
	client sshpump.Client
	ctx    context.Context
	rec    broker.Recorder
	note   func(context.Context, broker.FileAct) error
	fail   func(error) // ends the channel; may be called more than once

	in    []byte // what was read and is not a whole packet yet
	spare []byte // what ready is a part of
	ready []byte // whole packets that may go on
	gone  error  // what the client's Read ended with
	out   []byte // the same as in, for the other direction

	mu      sync.Mutex // guards what follows
	begun   bool       // Init was sent
	agreed  bool       // Version has come
	pending map[uint32]pending
	files   map[string]*file
	room    int
	opening int // of pending: opens
}

// pending is a request that was not answered yet.
type pending struct {
	sftp.Request
	file *file // that Handle means, when it was asked
}

// file is what is open at the server.
type file struct {
	path       string
	flags      uint32
	read, sent digest
	cut        uint64 // the size that was set last
	resized    bool
	refused    bool // the server did not take a part
	lost       bool // some of what was sent was cut off again
	closing    bool // a close was asked for
}

// New makes a filter between a client and the server at a live session's target.
// fail ends the channel; it may be called more than once. End must be called
// when the channel is over.
func New(ctx context.Context, c sshpump.Client, live *broker.Live, fail func(error)) *SFTP {
	return &SFTP{
		client: c, ctx: ctx, rec: live.Rec, note: live.NoteFile, fail: fail,
		pending: map[uint32]pending{}, files: map[string]*file{}, room: maxWaiting,
	}
}

// Silent is a recording of what the filter tells: the packets themselves are
// not shown.
type Silent struct{ broker.Recorder }

// Output shows nothing.
func (Silent) Output([]byte) error { return nil }

// Input shows nothing.
func (Silent) Input([]byte) error { return nil }

// Errors keeps the server's second stream as it is, in the recording too.
func (f *SFTP) Errors() io.Writer { return recorded{f.client.Errors(), f.rec} }

// recorded writes to the recording first.
type recorded struct {
	io.Writer
	rec broker.Recorder
}

func (r recorded) Write(p []byte) (int, error) {
	if err := r.rec.Output(p); err != nil {
		return 0, err
	}
	return r.Writer.Write(p)
}

// Output takes what the server sends.
func (f *SFTP) Output() io.Writer { return answers{f} }

// Read returns what of the client's packets may go on to the server.
func (f *SFTP) Read(p []byte) (int, error) {
	for len(f.ready) == 0 {
		if f.gone != nil {
			return 0, f.gone
		}
		n, err := f.client.Read(p)
		f.gone = err
		if f.in = append(f.in, p[:n]...); n > 0 {
			if err := f.requests(); err != nil {
				f.gone = io.EOF
				f.fail(err)
			}
		}
	}
	n := copy(p, f.ready)
	f.ready = f.ready[n:]
	return n, nil
}

// requests moves whole packets from in to ready, but for those that are
// answered here.
func (f *SFTP) requests() error {
	f.ready = nil
	rest, taken := f.in, 0 // taken: bytes at the front of in that go on
	for {
		packet, after, err := sftp.Next(rest)
		if err != nil {
			return errSFTP
		}
		if packet == nil {
			break
		}
		refusal, err := f.request(packet)
		if err != nil {
			return err
		}
		if refusal == nil {
			if whole := rest[:4+len(packet)]; taken+len(rest) < len(f.in) { // something before was refused
				copy(f.in[taken:], whole)
			}
			taken += 4 + len(packet)
		} else if _, err := f.client.Output().Write(refusal); err != nil {
			return errors.Join(sshpump.ErrClientGone, err)
		}
		rest = after
	}
	// The next packet is put together in the other buffer, while this one is
	// read.
	f.ready = f.in[:taken]
	f.in, f.spare = append(f.spare[:0], rest...), f.in
	return nil
}

// request looks at one packet of the client. It returns what to answer in the
// server's place, nil where the packet goes on.
func (f *SFTP) request(packet []byte) (refusal []byte, err error) {
	q, err := sftp.ParseRequest(packet)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case errors.Is(err, sftp.ErrUnknown) && q.Kind == sftp.Extended && f.agreed:
		return sftp.StatusFrame(q.ID, sftp.Unsupported, "VaultPAM does not know this extension"), f.rec.Marker("sftp", "refused: "+q.Extension)
	case err != nil, (q.Kind == sftp.Init) == f.begun: // Init first, and once
		return nil, errSFTP
	case q.Kind == sftp.Init:
		f.begun = true
		return nil, nil
	case len(f.pending) >= maxPending:
		return nil, errSFTP
	}
	if _, twice := f.pending[q.ID]; twice {
		return nil, errSFTP
	}
	p := pending{Request: q}
	if byHandle(q) {
		// A server gives the handle of what is being closed to the next file at
		// once: what is asked of it from now on could mean either.
		if p.file = f.files[q.Handle]; p.file == nil || p.file.closing {
			return sftp.StatusFrame(q.ID, sftp.Failure, "There is no such handle"), nil
		}
		p.Path = p.file.path
	}
	if q.Kind == sftp.Open || q.Kind == sftp.Opendir {
		if len(f.files)+f.opening >= maxFiles {
			return sftp.StatusFrame(q.ID, sftp.Failure, "Too many files are open"), nil
		}
		f.opening++
	}
	if q.Kind == sftp.Write {
		if q.Offset > math.MaxInt64-uint64(len(q.Data)) {
			return sftp.StatusFrame(q.ID, sftp.Failure, "There is no such place in a file"), nil
		}
		p.file.sent.add(q.Offset, q.Data)
	}
	if q.Kind == sftp.Close {
		p.file.closing = true
	}
	if text := told(p.Request); text != "" {
		if err := f.rec.Marker("sftp", text); err != nil {
			return nil, err
		}
	}
	p.Data = nil // the packet's
	f.pending[q.ID] = p
	return nil, nil
}

// byHandle says whether a request is about what its handle means.
func byHandle(q sftp.Request) bool {
	switch q.Kind {
	case sftp.Close, sftp.Read, sftp.Write, sftp.Fstat, sftp.Fsetstat, sftp.Readdir:
		return true
	}
	return q.Extension == sftp.FstatVFS || q.Extension == sftp.Fsync
}

// answers is the direction from the server to the client.
type answers struct{ f *SFTP }

func (a answers) Write(p []byte) (int, error) {
	f := a.f
	f.out = append(f.out, p...)
	rest, from := f.out, 0 // from: up to where it was handed on
	forward := func(until int) error {
		if until == from {
			return nil
		}
		_, err := f.client.Output().Write(f.out[from:until])
		from = until
		return err
	}
	for {
		packet, after, err := sftp.Next(rest)
		if err != nil {
			return 0, errSFTP
		}
		if packet == nil {
			break
		}
		at := len(f.out) - len(rest)
		other, acts, err := f.answer(packet)
		if err != nil {
			return 0, err
		}
		if len(acts) > 0 || other != nil {
			// What is known already is not kept waiting for the log.
			if err := forward(at); err != nil {
				return 0, err
			}
		}
		var lost []error
		for _, act := range acts {
			lost = append(lost, f.keep(act))
		}
		if err := errors.Join(lost...); err != nil {
			return 0, err
		}
		if other != nil {
			if _, err := f.client.Output().Write(other); err != nil {
				return 0, err
			}
			from = at + 4 + len(packet)
		}
		rest = after
	}
	if err := forward(len(f.out) - len(rest)); err != nil {
		return 0, err
	}
	f.out = append(f.out[:0], rest...)
	return len(p), nil
}

// answer looks at one packet of the server. other, if any, goes on in its
// place; the acts have to be on record before it does.
func (f *SFTP) answer(packet []byte) (other []byte, acts []broker.FileAct, err error) {
	a, err := sftp.ParseAnswer(packet)
	if err != nil {
		return nil, nil, errSFTP
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.Kind == sftp.Version {
		if !f.begun || f.agreed || a.ID != sftp.Protocol {
			return nil, nil, errSFTP
		}
		f.agreed = true
		return sftp.VersionFrame(a, sftp.Understood), nil, nil
	}
	q, asked := f.pending[a.ID]
	if !asked || !f.agreed {
		return nil, nil, errSFTP
	}
	delete(f.pending, a.ID)
	if q.Kind == sftp.Open || q.Kind == sftp.Opendir {
		f.opening--
	}
	switch {
	case a.Kind == sftp.Handle:
		return nil, nil, f.opened(q, a.Handle)
	case a.Kind == sftp.Data && q.Kind == sftp.Read:
		if len(a.Data) > math.MaxInt32 || q.Offset > math.MaxInt64-uint64(len(a.Data)) {
			return nil, nil, errSFTP
		}
		q.file.read.add(q.Offset, a.Data)
		return nil, nil, nil
	case a.Kind == sftp.Data, a.Kind == sftp.Status && a.Code == sftp.OK && (q.Kind == sftp.Open || q.Kind == sftp.Opendir || q.Kind == sftp.Read):
		return nil, nil, errSFTP // not what answers this
	case a.Kind == sftp.Status && a.Code == sftp.EOF && q.Kind == sftp.Read:
		if q.Length > 0 {
			q.file.read.eof(q.Offset)
		}
		return nil, nil, nil
	case a.Kind == sftp.Status && a.Code != sftp.OK && told(q.Request) != "":
		return nil, nil, f.rec.Marker("sftp", fmt.Sprintf("the target refuses with code %d: %s", a.Code, told(q.Request)))
	case a.Kind == sftp.Status:
		return nil, f.done(q, a.Code), nil
	}
	return nil, nil, nil
}

// opened keeps a handle. Called with mu held.
func (f *SFTP) opened(q pending, handle string) error {
	if q.Kind != sftp.Open && q.Kind != sftp.Opendir || handle == "" || f.files[handle] != nil {
		return errSFTP
	}
	x := &file{path: q.Path, flags: q.Flags}
	x.read.room, x.sent.room = &f.room, &f.room
	x.sent.arrives = q.Flags&sftp.FlagAppend != 0
	f.files[handle] = x
	return nil
}

// done is what a request that was granted, or a close of any kind, has done.
// Called with mu held.
func (f *SFTP) done(q pending, code uint32) (acts []broker.FileAct) {
	switch {
	case q.Kind == sftp.Close:
		delete(f.files, q.Handle)
		return q.file.acts()
	case code != sftp.OK:
		if q.Kind == sftp.Write {
			q.file.refused = true
		}
		return nil
	case q.Kind == sftp.Fsetstat && q.Resizes:
		q.file.cut, q.file.resized = q.Size, true
		q.file.lost = q.file.lost || q.Size < q.file.sent.at
	}
	if what := changes(q.Request); what != "" {
		return []broker.FileAct{{What: what, Path: q.Path, To: q.To}}
	}
	return nil
}

// acts is what has passed through a file that is closed.
func (x *file) acts() (out []broker.FileAct) {
	up := x.flags&writing != 0 && (x.sent.bytes > 0 || x.flags&(sftp.FlagTrunc|sftp.FlagCreate) != 0)
	if up {
		d := &x.sent
		whole := !x.refused && !x.lost && (x.flags&sftp.FlagTrunc != 0 || !d.arrives) && d.from == 0 && d.hex() != "" && (x.flags&sftp.FlagTrunc != 0 && !x.resized || x.resized && x.cut == d.at)
		out = append(out, broker.FileAct{What: broker.Upload, Path: x.path, Bytes: int64(d.bytes), From: int64(d.from), SHA256: d.hex(), Complete: whole})
	}
	if d := &x.read; d.bytes > 0 || d.ended {
		whole := d.from == 0 && d.hex() != "" && d.ended && d.end == d.at
		out = append(out, broker.FileAct{What: broker.Download, Path: x.path, Bytes: int64(d.bytes), From: int64(d.from), SHA256: d.hex(), Complete: whole})
	}
	x.sent.drop()
	x.read.drop()
	return out
}

// keep has an act on record. It was done: that the client has left meanwhile
// does not matter.
func (f *SFTP) keep(act broker.FileAct) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.ctx), keepWithin)
	defer cancel()
	return f.note(ctx, act)
}

// End notes what was under way when the channel ended.
func (f *SFTP) End() {
	f.mu.Lock()
	var acts []broker.FileAct
	for handle, x := range f.files {
		for _, act := range x.acts() {
			act.Complete = false // nobody closed it
			acts = append(acts, act)
		}
		delete(f.files, handle)
	}
	// What was asked and not answered may have been done.
	for id, q := range f.pending {
		what := changes(q.Request)
		if q.Kind == sftp.Open && q.Flags&writing != 0 {
			what = "open to write"
		}
		if what != "" {
			acts = append(acts, broker.FileAct{What: what + ", without an answer", Path: q.Path, To: q.To})
		}
		delete(f.pending, id)
	}
	f.mu.Unlock()
	for _, act := range acts {
		if err := f.keep(act); err != nil {
			f.fail(err)
		}
	}
}

// changes names what a request does to what is there; "" for what only looks.
func changes(q sftp.Request) string {
	switch q.Kind {
	case sftp.Remove:
		return "remove"
	case sftp.Mkdir:
		return "make directory"
	case sftp.Rmdir:
		return "remove directory"
	case sftp.Rename:
		return "rename"
	case sftp.Symlink:
		return "link" // the path is where it leads: OpenSSH has the two the other way round than the draft
	case sftp.Setstat, sftp.Fsetstat:
		if q.Resizes {
			return "resize"
		}
		return "set attributes"
	}
	switch q.Extension {
	case sftp.PosixRename:
		return "rename"
	case sftp.Hardlink:
		return "hard link"
	case sftp.Lsetstat:
		return "set attributes"
	}
	return ""
}

// told is what the recording says of a request before it goes on; "" for what
// is told when it is over, or says nothing of its own.
func told(q sftp.Request) string {
	switch what := changes(q); {
	case what != "" && q.To != "":
		return fmt.Sprintf("%s %q to %q", what, q.Path, q.To)
	case what != "":
		return fmt.Sprintf("%s %q", what, q.Path)
	}
	switch q.Kind {
	case sftp.Open:
		how := "read"
		if q.Flags&writing != 0 {
			how = "write"
		}
		return fmt.Sprintf("open to %s %q", how, q.Path)
	case sftp.Opendir:
		return fmt.Sprintf("list %q", q.Path)
	case sftp.Lstat, sftp.Stat, sftp.Realpath, sftp.Readlink:
		return fmt.Sprintf("look at %q", q.Path)
	}
	return ""
}
