package webterm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/crypto/ssh"

	"vaultpam/edge/sshpump"
	"vaultpam/pam"
	"vaultpam/pam/broker"
)

const (
	maxFrame    = 32 << 10 // bytes of output in one message
	goodbye     = time.Second
	defaultTerm = "xterm-256color"
)

// utf8Input is the encoded terminal modes (RFC 4254 section 8): IUTF8 (RFC
// 8160), since a browser speaks UTF-8 alone, and the end.
const utf8Input = "\x2a\x00\x00\x00\x01\x00"

// utf8Locale says the same to the programs at the target, and nothing of
// languages. A target may refuse it: then its own setting holds.
var utf8Locale = ssh.Marshal(struct{ Name, Value string }{"LC_CTYPE", "C.UTF-8"})

// Why a terminal is over, beside what the broker and the target say.
var (
	errGone = errors.New("webterm: the client has disconnected")
	errOver = errors.New("webterm: the session is over")
)

// terminal is one connection of a browser.
type terminal struct {
	s    *Server
	ws   *websocket.Conn
	ctx  context.Context // ends when nothing is to be sent to the client any more but the end
	gone context.CancelCauseFunc
	wg   sync.WaitGroup // everything that was begun for it

	in    intake
	out   outlet
	heard atomic.Int64 // ns since 1970: when the client last gave a sign of life

	mu    sync.Mutex // guards what follows
	size  sshpump.WindowChange
	pump  *sshpump.Pump // once it runs
	rules broker.Rules
}

func newTerminal(ctx context.Context, s *Server, ws *websocket.Conn) *terminal {
	t := &terminal{s: s, ws: ws}
	t.ctx, t.gone = context.WithCancelCause(ctx)
	t.in = intake{limit: s.Limits.InputWindow, wake: make(chan struct{}, 1)}
	t.out = outlet{limit: s.Limits.Window, wake: make(chan struct{}, 1)}
	t.heard.Store(time.Now().UnixNano())
	return t
}

// run is the life of the terminal.
func (t *terminal) run(actor pam.Actor, id pam.SessionID) {
	hello, err := t.hello()
	if err == nil && hello.Ticket != "" {
		actor, err = t.s.redeem(t.ctx, hello.Ticket, actor, id)
	} else if err == nil && actor.User == "" {
		err = errTicket()
	}
	if pam.Is(err, pam.Internal) && !isFault(err) {
		t.s.Log.Error("ticket could not be checked", "session", id, "error", err)
	}
	t.wg.Add(2)
	go t.read()      // ends with the WebSocket
	go t.keepAlive() // the same
	defer t.wg.Wait()
	if err != nil {
		t.end(t.refusal(err))
		return
	}
	live, target, err := sshpump.Open(t.ctx, t.s.Door, actor, broker.Want{
		Session: id, Protocol: pam.SSH, Cols: uint16(hello.Cols), Rows: uint16(hello.Rows),
	}, t.s.Log)
	if err != nil {
		t.end(t.refusal(err))
		return
	}
	over := t.shell(live, target, hello.Term)
	closed := t.tell(over)
	if err := live.Close(over.reason); err != nil {
		t.s.Log.Error("session was not closed cleanly", "session", live.Session.ID, "error", err)
	}
	closed()
}

// outcome is how it ended: for the record, for the client, and the code to
// close the WebSocket with.
type outcome struct {
	reason string
	say    any // nil: nobody is there to hear it
	code   websocket.StatusCode
}

// tell says the last word and returns what closes the WebSocket. A client that
// does not take the word in time is not waited for.
func (t *terminal) tell(o outcome) (closed func()) {
	t.gone(errOver)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), goodbye)
	defer cancel()
	if o.say == nil || t.write(ctx, o.say) != nil {
		_ = t.ws.CloseNow()
		return func() {}
	}
	return func() { _ = t.ws.Close(o.code, "") } // waits for the client's answer, a few seconds
}

func (t *terminal) end(o outcome) { t.tell(o)() }

// hello reads the first message.
func (t *terminal) hello() (request, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.s.Limits.Hello)
	defer cancel()
	kind, data, err := t.ws.Read(ctx)
	if err != nil {
		return request{}, errGone
	}
	if kind != websocket.MessageText {
		return request{}, violation("The first message must be hello.")
	}
	m, err := parse(data)
	if err == nil && m.Type != "hello" {
		err = violation("The first message must be hello.")
	}
	t.size = sshpump.WindowChange{Columns: uint32(m.Cols), Rows: uint32(m.Rows)}
	return m, err
}

// shell runs a shell at the target until it ends, the session is cut or the
// client leaves. The target's connection is closed on return.
func (t *terminal) shell(live *broker.Live, target *ssh.Client, term string) outcome {
	defer target.Close()
	if term == "" {
		term = defaultTerm
	}
	t.mu.Lock()
	size := t.size
	t.mu.Unlock()
	ch, requests, err := sshpump.Program{
		Env:  [][]byte{utf8Locale},
		PTY:  ssh.Marshal(sshpump.Terminal{Term: term, Columns: size.Columns, Rows: size.Rows, Modes: utf8Input}),
		Kind: "shell",
	}.Start(target)
	if err != nil {
		return t.outcome(live, sshpump.Exit{}, err)
	}
	p := &sshpump.Pump{Client: t, Target: ch, Requests: requests, Rec: live.Rec, In: &live.In, Out: &live.Out, Touch: live.Touch}
	t.mu.Lock()
	t.pump, t.rules = p, live.Rules
	resized := t.size != size
	size = t.size
	t.mu.Unlock()
	err = live.Rec.Marker("shell", "")
	if err == nil && resized {
		err = p.Resize(size)
	}
	if err == nil {
		err = t.say(t.ready(live))
	}
	if err != nil {
		_ = ch.Close()
		return t.outcome(live, sshpump.Exit{}, err)
	}
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	defer context.AfterFunc(live.Context(), func() { cancel(live.Err()) })()
	t.wg.Add(2)
	go t.warn(ctx, live) // ends with ctx
	exit, err := p.Run(ctx)
	go func() { // ends soon: the target is closed, and so is the client's end
		defer t.wg.Done()
		p.Wait()
	}()
	// From here on no output follows: the exit is the last word.
	t.gone(errOver)
	t.in.close()
	if err == nil && !exit.Known {
		err = sshpump.ErrTargetLost
	}
	if err == nil {
		_ = live.Rec.Marker("exit", fmt.Sprint(exit.Status, exit.Signal))
	}
	return t.outcome(live, exit, err)
}

// fault is what the client did that ended it all, if it did, else err.
func (t *terminal) fault(err error) error {
	if cause := context.Cause(t.ctx); isFault(cause) {
		return cause
	}
	return err
}

// isFault says whether err is of the client's making.
func isFault(err error) bool {
	_, bad := errors.AsType[violation](err)
	return bad || errors.Is(err, errGone)
}

// outcome words how the shell ended.
func (t *terminal) outcome(live *broker.Live, exit sshpump.Exit, err error) outcome {
	if err == nil {
		say := exitMessage{Type: "exit", Reason: "exit", Signal: exit.Signal, Message: sshpump.Clean(exit.Message)}
		if exit.Signal == "" {
			say.Status = &exit.Status
		}
		return outcome{"exit", say, websocket.StatusNormalClosure}
	}
	if cut := live.Err(); cut != nil {
		err = cut
	} else {
		err = t.fault(err)
	}
	_, bad := errors.AsType[violation](err)
	switch {
	case bad:
		return t.refusal(err)
	case errors.Is(err, errGone), errors.Is(err, sshpump.ErrClientGone):
		return outcome{reason: broker.ClientGone}
	}
	reason := "refused"
	if cut, ok := errors.AsType[*broker.Cut](err); ok {
		reason = cut.Reason
	} else if errors.Is(err, sshpump.ErrTargetLost) {
		reason = "target disconnected"
	}
	return outcome{reason, exitMessage{Type: "exit", Reason: reason, Message: sshpump.Sentence(err)}, websocket.StatusNormalClosure}
}

// refusal words why there is no session, or not any more, because of what the
// client did.
func (t *terminal) refusal(err error) outcome {
	err = t.fault(err)
	if errors.Is(err, errGone) {
		return outcome{}
	}
	o := outcome{reason: "client broke the protocol", code: websocket.StatusPolicyViolation}
	if bad, ok := errors.AsType[violation](err); ok {
		o.code = websocket.StatusProtocolError
		err = pam.Errorf(pam.BadRequest, "read message", "%s", string(bad))
	} else if cut, ok := errors.AsType[*broker.Cut](err); ok {
		o.say = exitMessage{Type: "exit", Reason: cut.Reason, Message: sshpump.Sentence(cut)}
		return o
	}
	m := errorMessage{Type: "error"}
	m.Code, m.Message = t.s.Words(err)
	o.say = m
	return o
}

// ready is the message that the shell runs.
func (t *terminal) ready(live *broker.Live) readyMessage {
	clipboard := "allowed"
	switch {
	case live.Rules.NoClipboard:
		clipboard = "blocked"
	case live.Rules.NoteClipboard:
		clipboard = "audited"
	}
	return readyMessage{
		Type: "ready", SessionID: string(live.Session.ID), Now: t.s.Clock.Now(), ExpiresAt: live.Session.ExpiresAt, IdleSeconds: int(live.Idle() / time.Second),
		RecordingID: string(live.Session.RecordingID), Clipboard: clipboard, Window: t.out.limit, InputWindow: t.in.limit,
	}
}

// warn passes warnings on.
func (t *terminal) warn(ctx context.Context, live *broker.Live) {
	defer t.wg.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-live.Warnings():
			_ = live.Rec.Marker("warning", w)
			_ = t.say(wordMessage{"warning", w})
		}
	}
}

// keepAlive asks the client whether it is there, and drops it once it has
// given no sign of life for three times as long. A slow line is not a dead one:
// the question may wait behind output.
func (t *terminal) keepAlive() {
	defer t.wg.Done()
	every := t.s.Limits.KeepAlive
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), every)
		if t.ws.Ping(ctx) == nil {
			t.heard.Store(time.Now().UnixNano())
		}
		cancel()
		if time.Since(time.Unix(0, t.heard.Load())) >= 3*every && t.ctx.Err() == nil {
			_ = t.ws.CloseNow()
			return
		}
	}
}

// say sends a text message, while there is something to be said.
func (t *terminal) say(m any) error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), t.s.Limits.Write)
	defer cancel()
	return t.write(ctx, m)
}

func (t *terminal) write(ctx context.Context, m any) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return t.ws.Write(ctx, websocket.MessageText, data)
}
