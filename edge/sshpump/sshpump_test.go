package sshpump

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"vaultpam/pam/recording"
)

// fakeTarget is a channel whose program prints what it is told to and keeps
// what it is sent. It ends when closed.
type fakeTarget struct {
	io.Reader // what the program prints
	io.WriteCloser
	stderr   io.Reader
	requests chan *ssh.Request
	once     sync.Once
	eof      atomic.Bool
}

func (f *fakeTarget) Close() error {
	f.once.Do(func() {
		close(f.requests)
		_ = f.Reader.(io.Closer).Close()
	})
	return nil
}

func (f *fakeTarget) CloseWrite() error                              { f.eof.Store(true); return nil }
func (f *fakeTarget) SendRequest(string, bool, []byte) (bool, error) { return true, nil }
func (f *fakeTarget) Stderr() io.ReadWriter {
	return struct {
		io.Reader
		io.Writer
	}{f.stderr, io.Discard}
}

type fakeClient struct {
	io.Reader
	out, err io.Writer
}

func (f fakeClient) Output() io.Writer { return f.out }
func (f fakeClient) Errors() io.Writer { return f.err }

// recorder fails after a number of bytes, and keeps what it took.
type recorder struct {
	mu    sync.Mutex
	took  bytes.Buffer
	limit int
}

var errLost = errors.New("recording lost")

func (r *recorder) Output(p []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.took.Len()+len(p) > r.limit {
		return errLost
	}
	r.took.Write(p)
	return nil
}
func (r *recorder) Input([]byte) error          { return nil }
func (r *recorder) Resize(uint16, uint16) error { return nil }
func (r *recorder) Marker(string, string) error { return nil }
func (r *recorder) File(recording.File) error   { return nil }

type discardCloser struct{ io.Writer }

func (discardCloser) Close() error { return nil }

func newPump(printed io.ReadCloser, typed io.Reader, shown io.Writer, limit int) (*Pump, *fakeTarget, *recorder) {
	t := &fakeTarget{Reader: printed, WriteCloser: discardCloser{io.Discard}, stderr: strings.NewReader(""), requests: make(chan *ssh.Request)}
	r := &recorder{limit: limit}
	return &Pump{
		Client: fakeClient{typed, shown, io.Discard}, Target: t, Requests: t.requests, Rec: r,
		In: &atomic.Int64{}, Out: &atomic.Int64{}, Touch: func() {},
	}, t, r
}

func TestNothingIsShownThatWasNotRecorded(t *testing.T) {
	var shown bytes.Buffer
	printed := strings.Repeat("0123456789", 100_000)
	p, _, r := newPump(io.NopCloser(strings.NewReader(printed)), strings.NewReader(""), &shown, 300_000)
	_, err := p.Run(t.Context())
	p.Wait()
	if !errors.Is(err, errLost) {
		t.Fatalf("the lost recording did not stop the session: %v", err)
	}
	if shown.String() != r.took.String() || shown.Len() > 300_000 {
		t.Errorf("%d bytes were shown, %d recorded", shown.Len(), r.took.Len())
	}
}

func TestEndOfInputIsPassedOnAndOutputGoesOn(t *testing.T) {
	printed, program := io.Pipe()
	var shown bytes.Buffer
	p, target, _ := newPump(printed, strings.NewReader("typed"), &shown, 1<<20)
	go func() {
		for !target.eof.Load() { // the program reads to the end first
			_, _ = program.Write([]byte("."))
		}
		_, _ = program.Write([]byte("last words"))
		_ = program.Close()
		target.once.Do(func() { close(target.requests) })
	}()
	exit, err := p.Run(t.Context())
	p.Wait()
	if err != nil || exit.Known || !strings.HasSuffix(shown.String(), "last words") || p.In.Load() != 5 || p.Out.Load() != int64(shown.Len()) {
		t.Errorf("%+v %v, %d in, %d out, %.20q", exit, err, p.In.Load(), p.Out.Load(), shown.String())
	}
}

func TestCutAndInputBeyondTheRuleStopThePump(t *testing.T) {
	silent, _ := io.Pipe()
	ctx, cut := context.WithCancelCause(t.Context())
	why := errors.New("terminated")
	p, _, _ := newPump(silent, strings.NewReader(""), io.Discard, 1<<20)
	cut(why)
	if _, err := p.Run(ctx); !errors.Is(err, why) {
		t.Errorf("cut: %v", err)
	}
	p.Wait()
	silent, _ = io.Pipe()
	p, _, _ = newPump(silent, strings.NewReader(strings.Repeat("x", 100_000)), io.Discard, 1<<20)
	p.MaxInput = 64 << 10
	if _, err := p.Run(t.Context()); !errors.Is(err, ErrInputLimit) {
		t.Errorf("input: %v", err)
	}
	p.Wait()
}
