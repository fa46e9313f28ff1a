package webterm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Each side may send so many bytes of data more than the other has
// acknowledged, and no more. So the reader never has to wait for anybody:
// acknowledgements are always heard, however much input the target has not
// taken yet.

// outlet counts what goes to the client.
type outlet struct {
	limit int64
	wake  chan struct{} // one slot: there was an acknowledgement

	writing sync.Mutex // held for the whole of a Write

	mu          sync.Mutex // guards what follows
	sent, acked int64
}

// take waits until up to n bytes may be sent, counts them as sent, and returns
// how many.
func (o *outlet) take(ctx context.Context, n int) (int, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		o.mu.Lock()
		n := int(min(int64(n), o.limit-(o.sent-o.acked)))
		o.sent += int64(n)
		o.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
		}
	}
}

// ack notes that the client has shown total bytes since the beginning.
func (o *outlet) ack(total int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if total > o.sent || total < o.acked {
		return violation("An acknowledgement is of bytes that were not sent, or less than the one before.")
	}
	o.acked = total
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

// intake keeps what came from the client until the target takes it.
type intake struct {
	limit int64
	wake  chan struct{} // one slot: something came, or the end

	mu           sync.Mutex // guards what follows
	pending      []byte
	came         int64 // bytes since the beginning
	taken, acked int64
	over         bool
}

// put keeps a copy of data and wipes it: it may be a password.
func (i *intake) put(data []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.came += int64(len(data)); i.came-i.acked > i.limit {
		return violation("More input was sent than the window allows.")
	}
	if !i.over {
		i.pending = append(i.pending, data...)
	}
	clear(data)
	i.poke()
	return nil
}

// skip counts input that was refused as taken.
func (i *intake) skip(n int) (ack int64, due bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.came += int64(n)
	return i.count(n)
}

// read fills p with what there is, and waits until there is something. ack is
// what to acknowledge, if it is due.
func (i *intake) read(p []byte) (n int, ack int64, due bool, err error) {
	for {
		i.mu.Lock()
		n = copy(p, i.pending)
		rest := copy(i.pending, i.pending[n:])
		clear(i.pending[rest:])
		if i.pending = i.pending[:rest]; rest == 0 {
			i.pending = nil
		}
		over := i.over
		if n > 0 {
			ack, due = i.count(n)
		}
		i.mu.Unlock()
		switch {
		case n > 0:
			return n, ack, due, nil
		case over:
			return 0, 0, false, io.EOF
		}
		<-i.wake
	}
}

// count notes that n bytes were taken. Called with mu held.
func (i *intake) count(n int) (ack int64, due bool) {
	i.taken += int64(n)
	if i.taken-i.acked < i.limit/4 {
		return 0, false
	}
	i.acked = i.taken
	return i.acked, true
}

// close ends reading once what is pending was read.
func (i *intake) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
	i.poke()
}

func (i *intake) poke() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// Read, Output and Errors make the terminal a sshpump.Client.
func (t *terminal) Read(p []byte) (int, error) {
	n, ack, due, err := t.in.read(p)
	if due {
		_ = t.say(ackMessage{"ack", ack}) // a client that does not take it is gone
	}
	return n, err
}

// Output and Errors are one: a terminal has one screen.
func (t *terminal) Output() io.Writer { return screen{t} }

// Errors is Output.
func (t *terminal) Errors() io.Writer { return screen{t} }

type screen struct{ t *terminal }

// Write sends p in messages, as fast as the client acknowledges.
func (s screen) Write(p []byte) (int, error) {
	t := s.t
	t.out.writing.Lock()
	defer t.out.writing.Unlock()
	for done := 0; done < len(p); {
		n, err := t.out.take(t.ctx, min(len(p)-done, maxFrame))
		if err != nil {
			return done, err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), t.s.Limits.Write)
		err = t.ws.Write(ctx, websocket.MessageBinary, p[done:done+n])
		cancel()
		if err != nil {
			return done, err
		}
		done += n
	}
	return len(p), nil
}

// read takes what the client sends, until it leaves or breaks the rules.
func (t *terminal) read() {
	defer t.wg.Done()
	defer t.in.close()
	for {
		kind, data, err := t.ws.Read(context.WithoutCancel(t.ctx))
		t.heard.Store(time.Now().UnixNano())
		switch {
		case errors.Is(err, websocket.ErrMessageTooBig):
			t.gone(violation("A message is longer than 65536 bytes."))
			return
		case err != nil:
			t.gone(errGone)
			return
		case kind == websocket.MessageBinary:
			err = t.typed(data)
		default:
			err = t.control(data)
		}
		if err != nil {
			t.gone(err)
			return
		}
	}
}

// typed takes input, unless it is a paste and pasting is blocked.
func (t *terminal) typed(data []byte) error {
	t.mu.Lock()
	rules, p := t.rules, t.pump
	t.mu.Unlock()
	if p == nil {
		return violation("Input was sent before ready.")
	}
	if (rules.NoClipboard || rules.NoteClipboard) && pasted(data) {
		if rules.NoClipboard {
			_ = p.Rec.Marker("paste refused", fmt.Sprintf("%d bytes", len(data)))
			if ack, due := t.in.skip(len(data)); due {
				_ = t.say(ackMessage{"ack", ack})
			}
			return t.say(wordMessage{"refused", "This safe does not allow pasting."})
		}
		_ = p.Rec.Marker("paste", fmt.Sprintf("%d bytes", len(data)))
	}
	return t.in.put(data)
}

// control acts on a text message.
func (t *terminal) control(data []byte) error {
	m, err := parse(data)
	if err != nil {
		return err
	}
	t.mu.Lock()
	p, rules := t.pump, t.rules
	t.mu.Unlock()
	switch m.Type {
	case "ack":
		return t.out.ack(m.Bytes)
	case "resize":
		t.resize(uint32(m.Cols), uint32(m.Rows))
	case "copied":
		if p != nil && rules.NoteClipboard {
			_ = p.Rec.Marker("copy", fmt.Sprintf("%d bytes", m.Bytes))
		}
	default:
		return violation("hello comes once, and first.")
	}
	return nil
}

func (t *terminal) resize(cols, rows uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.size.Columns == cols && t.size.Rows == rows {
		return
	}
	t.size.Columns, t.size.Rows = cols, rows
	if t.pump != nil {
		_ = t.pump.Resize(t.size) // what fails ends the pump
	}
}
