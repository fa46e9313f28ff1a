// Package sshpump is what the edges that lead to SSH targets share: from the
// broker's door to a program at the target, and the bytes of one session
// channel between it and a client, through the recording, in both directions.
//
// It owns half-closes, back-pressure, the order of output and exit status, and
// what users are told. It must not know how the client came, nor what a Safe
// allows. Start at [Open], [Program.Start] and [Pump.Run].
package sshpump

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"vaultpam/pam/broker"
)

// Client is the nearer end: an SSH session channel or a browser's terminal.
// Output, Errors and the methods of Pump may be used from several goroutines.
type Client interface {
	// Read reads what the client sends, until io.EOF.
	io.Reader
	// Output writes what the target shows; Errors its second stream. A Refusal
	// of theirs ends the session, with its words.
	Output() io.Writer
	Errors() io.Writer
}

// ErrInputLimit says that the client sent more than the rules allow.
var ErrInputLimit = errors.New("sshpump: more input than allowed")

// Exit is how the program at the target ended (RFC 4254 section 6.10).
type Exit struct {
	Known   bool // the target said so, in one of the two ways
	Status  uint32
	Signal  string // without SIG; "" when the program returned a status
	Core    bool
	Message string
}

// Pump joins one client to one channel of a target. All fields are set before
// Run and not changed afterwards.
type Pump struct {
	Client   Client
	Target   ssh.Channel
	Requests <-chan *ssh.Request // from the target
	Rec      broker.Recorder
	In, Out  *atomic.Int64 // bytes that have passed
	Touch    func()        // called whenever a byte came from the client
	MaxInput int64         // bytes that the client may send; 0: any number

	wg   sync.WaitGroup
	made sync.Once
	stop chan struct{} // made by stopped
	once sync.Once
	err  error // why it was stopped; set before stop is closed
}

// stopped is closed by halt.
func (p *Pump) stopped() chan struct{} {
	p.made.Do(func() { p.stop = make(chan struct{}) })
	return p.stop
}

// Run moves bytes until the target has ended its channel and everything that
// it sent was handed to the client, or until ctx ends, the recording is lost,
// or a rule is broken; then it returns why. The target's channel is closed on
// return. The client's end stays open, so that the caller can tell it the
// outcome; once that is closed, Wait returns.
func (p *Pump) Run(ctx context.Context) (Exit, error) {
	var exit Exit
	outputs := make(chan struct{})
	p.wg.Add(4)
	var streams sync.WaitGroup
	streams.Add(2)
	go func() { // ends with the target's output, or when the client's end closes
		defer p.wg.Done()
		defer streams.Done()
		p.halt(p.output(p.Client.Output(), p.Target))
	}()
	go func() { // the same for the second stream
		defer p.wg.Done()
		defer streams.Done()
		p.halt(p.output(p.Client.Errors(), p.Target.Stderr()))
	}()
	go func() { // ends with the client's input, or when either end closes
		defer p.wg.Done()
		p.halt(p.input())
	}()
	go func() { // ends when the target closes its channel
		defer p.wg.Done()
		exit = requests(p.Requests)
		streams.Wait()
		close(outputs)
	}()

	select {
	case <-outputs:
		_ = p.Target.Close()
		select {
		case <-p.stopped(): // the streams ended because something failed
			return exit, p.err
		default:
			return exit, nil
		}
	case <-p.stopped():
		_ = p.Target.Close()
		return Exit{}, p.err
	case <-ctx.Done():
		p.halt(context.Cause(ctx))
		_ = p.Target.Close()
		return Exit{}, context.Cause(ctx)
	}
}

// Wait returns when nothing of Run goes on any more. The client's end must
// have been closed.
func (p *Pump) Wait() { p.wg.Wait() }

// halt stops the pump for a reason; nil stops nothing.
func (p *Pump) halt(err error) {
	if err == nil {
		return
	}
	p.once.Do(func() {
		p.err = err
		close(p.stopped())
	})
}

// Resize tells the target, after the recording, that the terminal has another
// size (RFC 4254 section 6.7).
func (p *Pump) Resize(m WindowChange) error {
	if err := p.Rec.Resize(clamp(m.Columns), clamp(m.Rows)); err != nil {
		p.halt(err)
		return err
	}
	_, err := p.Target.SendRequest("window-change", false, ssh.Marshal(m))
	return err
}

// WindowChange is the payload of the request of that name.
type WindowChange struct{ Columns, Rows, Width, Height uint32 }

func clamp(n uint32) uint16 { return uint16(min(n, 0xffff)) }

const (
	small = 4 << 10   // what a quiet session holds per stream
	large = 512 << 10 // what a busy one borrows
)

var pool = sync.Pool{New: func() any { b := make([]byte, large); return &b }}

// buffer is small until a read has filled it, so that idle sessions cost
// little and bulk transfers move in few calls.
type buffer struct {
	small []byte
	big   *[]byte
}

func (b *buffer) bytes() []byte {
	if b.big != nil {
		return *b.big
	}
	if b.small == nil {
		b.small = make([]byte, small)
	}
	return b.small
}

// adapt takes the outcome of a read into account.
func (b *buffer) adapt(n int) {
	switch {
	case b.big == nil && n == small:
		b.big = pool.Get().(*[]byte)
	case b.big != nil && n < small:
		b.release()
	}
}

func (b *buffer) release() {
	if b.big != nil {
		pool.Put(b.big)
		b.big = nil
	}
}

// output moves one stream of the target to the client. What is shown was
// handed to the recording before.
func (p *Pump) output(dst io.Writer, src io.Reader) error {
	var b buffer
	defer b.release()
	for {
		n, err := src.Read(b.bytes())
		if n > 0 {
			data := b.bytes()[:n]
			if err := p.Rec.Output(data); err != nil {
				return err
			}
			if _, err := dst.Write(data); err != nil {
				if _, refused := errors.AsType[Refusal](err); refused {
					return err
				}
				return errors.Join(ErrClientGone, err)
			}
			p.Out.Add(int64(n))
			b.adapt(n)
		}
		if err != nil {
			return nil // the target's end of stream, in whatever way
		}
	}
}

// ErrClientGone says that the client does not take output any more.
var ErrClientGone = errors.New("sshpump: the client has closed")

// input moves what the client sends to the target, then passes on its end of
// file; the target may go on sending.
func (p *Pump) input() error {
	var b buffer
	defer b.release()
	var sum int64
	for {
		n, err := p.Client.Read(b.bytes())
		if n > 0 {
			data := b.bytes()[:n]
			p.In.Add(int64(n))
			p.Touch()
			if sum += int64(n); p.MaxInput > 0 && sum > p.MaxInput {
				return ErrInputLimit
			}
			if err := p.Rec.Input(data); err != nil {
				return err
			}
			if _, err := p.Target.Write(data); err != nil {
				// The program has closed its input; what it still says is
				// the other direction's matter. Keep reading, so that the
				// client is not stopped by a window that fills.
				_, _ = io.Copy(io.Discard, p.Client)
				return nil
			}
			b.adapt(n)
		}
		if err != nil {
			_ = p.Target.CloseWrite()
			return nil
		}
	}
}

// requests reads the target's requests until it closes the channel.
func requests(in <-chan *ssh.Request) (exit Exit) {
	for r := range in {
		switch r.Type {
		case "exit-status":
			var m struct{ Status uint32 }
			if ssh.Unmarshal(r.Payload, &m) == nil {
				exit = Exit{Known: true, Status: m.Status}
			}
		case "exit-signal":
			var m struct {
				Signal  string
				Core    bool
				Message string
				Lang    string
			}
			if ssh.Unmarshal(r.Payload, &m) == nil {
				exit = Exit{Known: true, Signal: m.Signal, Core: m.Core, Message: m.Message}
			}
		}
		_ = r.Reply(false, nil)
	}
	return exit
}
