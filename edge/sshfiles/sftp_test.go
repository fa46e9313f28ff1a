package sshfiles

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"vaultpam/edge/sshpump"
	"vaultpam/pam/broker"
	"vaultpam/pam/recording"
	"vaultpam/wire/sftp"
)

// script is a client that sends what it was given, and keeps what it gets.
type script struct {
	in  io.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error) { return s.in.Read(p) }
func (s *script) Output() io.Writer          { return &s.out }
func (s *script) Errors() io.Writer          { return io.Discard }

// heard is a recording that keeps its markers.
type heard struct{ text []string }

func (*heard) Output([]byte) error         { return nil }
func (*heard) Input([]byte) error          { return nil }
func (*heard) Resize(uint16, uint16) error { return nil }
func (*heard) File(recording.File) error   { return nil }
func (h *heard) Marker(kind, text string) error {
	h.text = append(h.text, kind+": "+text)
	return nil
}

// bench is a filter with both of its ends in hand.
type bench struct {
	t      testing.TB
	f      *SFTP
	client *script
	rec    *heard
	acts   []string
	refuse error // what the log says
	failed error
}

func newBench(t testing.TB, requests ...[]byte) *bench {
	b := &bench{t: t, client: &script{in: bytes.NewReader(bytes.Join(requests, nil))}, rec: &heard{}}
	b.f = &SFTP{client: b.client, ctx: context.Background(), rec: b.rec, pending: map[uint32]pending{}, files: map[string]*file{}, room: maxWaiting}
	b.f.note = func(_ context.Context, a broker.FileAct) error {
		if b.refuse == nil {
			b.acts = append(b.acts, a.What+" "+a.Path)
		}
		return b.refuse
	}
	b.f.fail = func(err error) { b.failed = err }
	return b
}

// sent is what reaches the server.
func (b *bench) sent() []byte {
	b.t.Helper()
	out, err := io.ReadAll(b.f)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) answers(packets ...[]byte) error {
	_, err := b.f.Output().Write(bytes.Join(packets, nil))
	return err
}

// pack makes a frame of a kind and parts: strings with their length, numbers of
// 32 and 64 bits, and bytes as they are.
func pack(kind sftp.Kind, parts ...any) []byte {
	p := []byte{0, 0, 0, 0, byte(kind)}
	for _, part := range parts {
		switch v := part.(type) {
		case string:
			p = append(binary.BigEndian.AppendUint32(p, uint32(len(v))), v...)
		case int:
			p = binary.BigEndian.AppendUint32(p, uint32(v))
		case uint64:
			p = binary.BigEndian.AppendUint64(p, v)
		case []byte:
			p = append(p, v...)
		}
	}
	binary.BigEndian.PutUint32(p, uint32(len(p)-4))
	return p
}

var (
	hello   = pack(sftp.Init, 3)
	welcome = pack(sftp.Version, 3, "posix-rename@openssh.com", "1", "copy-data", "1")
	fine    = func(id int) []byte { return sftp.StatusFrame(uint32(id), sftp.OK, "") }
)

// begun is a bench after the greetings, with more of the client's packets.
func begun(t testing.TB, requests ...[]byte) *bench {
	t.Helper()
	b := newBench(t, hello)
	b.sent()
	if err := b.answers(welcome); err != nil {
		t.Fatal(err)
	}
	b.client.out.Reset()
	b.f.gone = nil
	b.client.in = bytes.NewReader(bytes.Join(requests, nil))
	return b
}

func TestExtensionsThatAreNotUnderstoodAreNotOffered(t *testing.T) {
	b := newBench(t, hello)
	b.sent()
	if err := b.answers(welcome); err != nil || bytes.Contains(b.client.out.Bytes(), []byte("copy-data")) || !bytes.Contains(b.client.out.Bytes(), []byte("posix-rename")) {
		t.Errorf("%q, %v", b.client.out.Bytes(), err)
	}
}

// A client takes an extension all the same, by which a server copies files of
// which nobody sees a byte.
func TestAttackAnExtensionThatNobodyRead(t *testing.T) {
	stat := pack(sftp.Stat, 2, "/x")
	b := begun(t, pack(sftp.Extended, 1, "copy-data", "handle"), stat)
	if got := b.sent(); !bytes.Equal(got, stat) {
		t.Errorf("on goes %q", got)
	}
	packet, _, err := sftp.Next(b.client.out.Bytes())
	if a, err2 := sftp.ParseAnswer(packet); err != nil || err2 != nil || a.ID != 1 || a.Code != sftp.Unsupported {
		t.Errorf("the client hears %+v, %v, %v", a, err, err2)
	}
	if text := strings.Join(b.rec.text, "\n"); !strings.Contains(text, "refused: copy-data") {
		t.Errorf("the recording says %s", text)
	}
}

// Packets that a server might read otherwise than we do end the session before
// the server sees them.
func TestAttackPacketsWithTwoMeanings(t *testing.T) {
	for name, packets := range map[string][][]byte{
		"no greeting":          {pack(sftp.Stat, 1, "/x")},
		"two greetings":        {hello, hello},
		"bytes behind the end": {hello, pack(sftp.Remove, 1, "/tmp/a", "/etc/b")},
		"a path with an end":   {hello, pack(sftp.Remove, 1, "/etc/passwd\x00.bak")},
		"one number twice":     {hello, pack(sftp.Stat, 1, "/x"), pack(sftp.Remove, 1, "/y")},
		"an answer":            {hello, fine(1)},
		"an endless packet":    {hello, {0xff, 0xff, 0xff, 0xff, 3}},
		"an empty packet":      {hello, {0, 0, 0, 0}},
	} {
		b := newBench(t, packets...)
		got := b.sent()
		if no, ok := errors.AsType[sshpump.Refusal](b.failed); !ok || no != errSFTP {
			t.Errorf("%s: %v", name, b.failed)
		}
		if bytes.Contains(got, []byte("/etc")) || bytes.Contains(got, []byte("/y")) || bytes.Count(got, hello) > 1 {
			t.Errorf("%s: on goes %q", name, got)
		}
	}
}

// A server that answers what was not asked, or otherwise than it was asked, is
// not believed.
func TestAttackAnswersToNoQuestion(t *testing.T) {
	open := pack(sftp.Open, 1, "/x", sftp.FlagRead, 0)
	for name, answers := range map[string][][]byte{
		"an answer to nothing":  {fine(9)},
		"a handle for a look":   {pack(sftp.Handle, 2, "h")},
		"a handle of no length": {pack(sftp.Handle, 1, "")},
		"a file opened without": {fine(1)},
		"data for an open":      {pack(sftp.Data, 1, "x")},
		"another greeting":      {welcome},
		"a request":             {open},
	} {
		b := begun(t, open, pack(sftp.Stat, 2, "/y"))
		b.sent()
		if err := b.answers(answers...); !errors.Is(err, errSFTP) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// While the log cannot be written, nobody hears that a file was changed.
func TestNothingIsAnsweredBeforeItIsOnRecord(t *testing.T) {
	b := begun(t, pack(sftp.Remove, 1, "/x"))
	b.sent()
	b.refuse = errors.New("the disk is full")
	if err := b.answers(fine(1)); !errors.Is(err, b.refuse) || b.client.out.Len() > 0 {
		t.Errorf("%v; the client hears %q", err, b.client.out.Bytes())
	}
	b = begun(t, pack(sftp.Remove, 1, "/x"), pack(sftp.Mkdir, 2, "/y", 0))
	b.sent()
	b.f.End() // the connection is lost
	if len(b.acts) != 2 || !strings.Contains(strings.Join(b.acts, "\n"), "remove, without an answer /x") {
		t.Errorf("on record: %q", b.acts)
	}
}

// A handle of no length, of nothing, or of what is being closed means no file:
// the server might give it to the next one.
func TestAttackHandlesThatMeanAnotherFile(t *testing.T) {
	read := pack(sftp.Open, 1, "/tmp/a", sftp.FlagRead, 0)
	for name, more := range map[string][][]byte{
		"empty, to write":  {pack(sftp.Write, 2, "", uint64(0), "x")},
		"empty, to close":  {pack(sftp.Close, 2, "")},
		"unknown, to list": {pack(sftp.Readdir, 2, "?")},
		"closing, to read": {pack(sftp.Close, 9, "h"), pack(sftp.Read, 2, "h", uint64(0), 10)},
	} {
		b := begun(t, read)
		b.sent()
		if err := b.answers(pack(sftp.Handle, 1, "h")); err != nil {
			t.Fatal(err)
		}
		b.client.out.Reset()
		b.f.gone, b.client.in = nil, bytes.NewReader(bytes.Join(more, nil))
		got := b.sent()
		if want := bytes.Join(more[:len(more)-1], nil); !bytes.Equal(got, want) {
			t.Errorf("%s: on goes %q", name, got)
		}
		if packet, _, err := sftp.Next(b.client.out.Bytes()); err != nil || packet == nil || packet[0] != byte(sftp.Status) {
			t.Errorf("%s: the client hears %q", name, b.client.out.Bytes())
		}
	}
}

// Attributes by handle, and files that are emptied by opening them to read.
func TestAttackChangesByAnotherName(t *testing.T) {
	b := begun(t, pack(sftp.Open, 1, "/x", sftp.FlagRead|sftp.FlagTrunc, 0))
	b.sent()
	if err := b.answers(pack(sftp.Handle, 1, "h")); err != nil {
		t.Fatal(err)
	}
	b.f.gone, b.client.in = nil, bytes.NewReader(append(pack(sftp.Fsetstat, 2, "h", 4, 0o4755), pack(sftp.Close, 3, "h")...))
	b.sent()
	if err := b.answers(fine(2), fine(3)); err != nil || strings.Join(b.acts, ", ") != "set attributes /x, upload /x" {
		t.Errorf("on record: %q, %v", b.acts, err)
	}
}

// However the bytes come, the packets are the same.
func TestPacketsInPieces(t *testing.T) {
	write := pack(sftp.Write, 3, "h", uint64(0), "0123456789")
	packets := bytes.Join([][]byte{pack(sftp.Open, 1, "/x", sftp.FlagWrite|sftp.FlagTrunc, 0)}, nil)
	for n := 1; n < 40; n++ {
		b := begun(t, packets)
		if got := b.sent(); !bytes.Equal(got, packets) {
			t.Fatalf("%d: %q", n, got)
		}
		reply := pack(sftp.Handle, 1, "h")
		for part := range chunks(reply, n) {
			if _, err := b.f.Output().Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(b.client.out.Bytes(), reply) {
			t.Fatalf("%d: %q", n, b.client.out.Bytes())
		}
		more := append(bytes.Clone(write), pack(sftp.Close, 4, "h")...)
		b.f.gone, b.client.in = nil, &slow{more, n}
		if got := b.sent(); !bytes.Equal(got, more) {
			t.Fatalf("%d: %q", n, got)
		}
		if err := b.answers(fine(3), fine(4)); err != nil || len(b.acts) != 1 || b.acts[0] != "upload /x" {
			t.Fatalf("%d: %q, %v", n, b.acts, err)
		}
	}
}

// slow gives n bytes at a time.
type slow struct {
	p []byte
	n int
}

func (s *slow) Read(p []byte) (int, error) {
	if len(s.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.p[:min(s.n, len(s.p))])
	s.p = s.p[n:]
	return n, nil
}

func chunks(p []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			k := min(n, len(p))
			if !yield(p[:k]) {
				return
			}
			p = p[k:]
		}
	}
}

func FuzzSFTP(f *testing.F) {
	f.Add(bytes.Join([][]byte{hello, pack(sftp.Open, 1, "/x", sftp.FlagRead, 0), pack(sftp.Read, 2, "h", uint64(0), 10)}, nil), bytes.Join([][]byte{welcome, pack(sftp.Handle, 1, "h"), pack(sftp.Data, 2, "abc")}, nil))
	f.Fuzz(func(t *testing.T, requests, answers []byte) {
		b := newBench(t, requests)
		sent := b.sent()
		for rest := sent; len(rest) > 0; {
			packet, after, err := sftp.Next(rest)
			if err != nil || packet == nil {
				t.Fatalf("what goes on is no packet: %q", rest)
			}
			if _, err := sftp.ParseRequest(packet); err != nil {
				t.Fatalf("on goes %q: %v", packet, err)
			}
			rest = after
		}
		_ = b.answers(answers)
		b.f.End()
		if b.f.room != maxWaiting && len(b.f.files) == 0 && len(b.f.pending) == 0 {
			t.Error("bytes are kept of files that are closed")
		}
	})
}
