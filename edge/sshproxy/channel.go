package sshproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/edge/sshfiles"
	"vaultpam/edge/sshpump"
	"vaultpam/pam"
	"vaultpam/pam/broker"
)

// Limits on what is asked of a channel before it starts.
const (
	maxEnv       = 64
	maxEnvSize   = 4 << 10
	maxCommand   = 128 << 10
	maxTerm      = 128
	blockedInput = 64 << 10 // bytes that go in without a terminal when files are blocked
	exitRefused  = 255
)

// environment names what of the client's environment reaches the target. LC_*
// is allowed as a whole.
var environment = map[string]bool{"LANG": true, "TERM": true, "COLORTERM": true}

// channel is one session channel of a client (RFC 4254 section 6).
type channel struct {
	c    *conn
	ssh  ssh.Channel
	out  *lockedWriter
	err  *lockedWriter
	ctx  context.Context
	gone context.CancelCauseFunc
	exit string // how it ended; "" when the client left

	env  [][]byte // payloads of env requests
	keys *keys    // what was read before the session began; nil where nothing was

	mu   sync.Mutex // guards what follows
	pty  []byte     // payload of pty-req; nil without
	size sshpump.WindowChange
	pump *sshpump.Pump // once it runs
}

func newChannel(c *conn, ch ssh.Channel) *channel {
	x := &channel{c: c, ssh: ch}
	x.out, x.err = &lockedWriter{w: ch}, &lockedWriter{w: ch.Stderr()}
	x.ctx, x.gone = context.WithCancelCause(c.ctx)
	return x
}

// lockedWriter is a stream that the pump and a message may write to.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// Read, Output and Errors make the channel a sshpump.Client.
func (x *channel) Read(p []byte) (int, error) {
	if x.keys != nil {
		return x.keys.Read(p)
	}
	return x.ssh.Read(p)
}
func (x *channel) Output() io.Writer { return x.out }
func (x *channel) Errors() io.Writer { return x.err }

// serve answers the channel's requests until it is closed.
func (x *channel) serve(requests <-chan *ssh.Request) {
	defer x.gone(errGone)
	done := make(chan struct{}) // closed when what was started is over
	started := false
	for r := range requests {
		switch handle, known := channelRequests[r.Type]; {
		case known:
			_ = r.Reply(handle(x, r.Payload, started), nil)
		case starters[r.Type] && !started:
			started = true
			go func() { // ends when the program at the target does, or the client leaves
				defer close(done)
				x.start(r)
			}()
		default:
			_ = r.Reply(false, nil)
		}
	}
	// The client has closed the channel, or we have and it has confirmed.
	x.gone(errGone)
	if started {
		<-done
	}
	_ = x.ssh.Close()
}

// starters begin a program. The first one counts.
var starters = map[string]bool{"shell": true, "exec": true, "subsystem": true}

// channelRequests are the other requests that are answered. Whatever is not
// here is refused: above all auth-agent-req@openssh.com and x11-req.
var channelRequests = map[string]func(x *channel, payload []byte, started bool) bool{
	"env":           (*channel).setEnv,
	"pty-req":       (*channel).setPTY,
	"window-change": (*channel).resize,
	"signal":        (*channel).signal,
	"break":         func(x *channel, p []byte, _ bool) bool { return x.forward("break", p) },
	"eow@openssh.com": func(*channel, []byte, bool) bool { // the client reads no further; its close follows
		return true
	},
}

func (x *channel) setEnv(payload []byte, started bool) bool {
	var m struct{ Name, Value string }
	if started || ssh.Unmarshal(payload, &m) != nil || len(payload) > maxEnvSize || len(x.env) >= maxEnv {
		return false
	}
	if !environment[m.Name] && !strings.HasPrefix(m.Name, "LC_") {
		return false
	}
	x.env = append(x.env, payload)
	return true
}

func (x *channel) setPTY(payload []byte, started bool) bool {
	var m sshpump.Terminal
	if started || ssh.Unmarshal(payload, &m) != nil || len(m.Term) > maxTerm || len(m.Modes) > maxEnvSize {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pty, x.size = payload, sshpump.WindowChange{Columns: m.Columns, Rows: m.Rows, Width: m.Width, Height: m.Height}
	return true
}

func (x *channel) resize(payload []byte, _ bool) bool {
	var m sshpump.WindowChange
	if ssh.Unmarshal(payload, &m) != nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.pty == nil {
		return false
	}
	x.size = m
	return x.pump == nil || x.pump.Resize(m) == nil
}

// signals are those of RFC 4254 section 6.10.
var signals = map[string]bool{
	"ABRT": true, "ALRM": true, "FPE": true, "HUP": true, "ILL": true, "INT": true, "KILL": true,
	"PIPE": true, "QUIT": true, "SEGV": true, "TERM": true, "USR1": true, "USR2": true,
}

func (x *channel) signal(payload []byte, _ bool) bool {
	var m struct{ Signal string }
	return ssh.Unmarshal(payload, &m) == nil && signals[m.Signal] && x.forward("signal", payload)
}

// forward passes a request on to the target, if there is one yet.
func (x *channel) forward(kind string, payload []byte) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.pump == nil {
		return false
	}
	_, err := x.pump.Target.SendRequest(kind, false, payload)
	return err == nil
}

// start runs what the client asked for, from the broker's door to the exit
// status. A refusal is a sentence on stderr and the status 255.
func (x *channel) start(r *ssh.Request) {
	command, err := commandOf(r)
	if err != nil {
		_ = r.Reply(false, nil)
		_ = x.ssh.Close()
		return
	}
	x.mu.Lock()
	size, terminal := x.size, x.pty != nil
	x.mu.Unlock()
	run := ""
	if r.Type == "exec" {
		run = command
	}
	cols, rows := uint16(min(size.Columns, 0xffff)), uint16(min(size.Rows, 0xffff))
	live, target, err := x.c.session(run, cols, rows)
	answered := false
	if terminal && x.c.s.Approvals != nil && pam.Is(err, pam.ApprovalNeeded) {
		_ = r.Reply(true, nil)
		answered = true
		x.keys = newKeys(x.ssh)
		defer x.keys.drain(&x.c.wg)
		if err = x.await(x.c.want(run, cols, rows)); err == nil {
			x.c.reopen()
			live, target, err = x.c.session(run, cols, rows)
		}
	}
	var tch ssh.Channel
	var treqs <-chan *ssh.Request
	if err == nil {
		if err = allowed(live.Rules, r.Type, command); err == nil {
			x.mu.Lock()
			p := sshpump.Program{Env: x.env, PTY: x.pty, Kind: r.Type, Payload: r.Payload}
			x.mu.Unlock()
			tch, treqs, err = p.Start(target)
		}
	}
	// The request counts as granted even when it is refused: a client shows
	// stderr only of a program that it believes to have started.
	if !answered {
		_ = r.Reply(true, nil)
	}
	if err != nil {
		x.end(err)
		return
	}
	// The command line goes into the recording and nowhere else.
	if err := live.Rec.Marker(r.Type, command); err != nil {
		_ = tch.Close()
		x.end(err)
		return
	}
	ctx, cancel := context.WithCancelCause(x.ctx)
	defer cancel(nil)
	defer context.AfterFunc(live.Context(), func() { cancel(live.Err()) })()
	p := &sshpump.Pump{Client: x, Target: tch, Requests: treqs, Rec: live.Rec, In: &live.In, Out: &live.Out, Touch: live.Touch}
	if r.Type == "subsystem" { // allowed knows no other than sftp
		f := sshfiles.New(ctx, x, live, cancel)
		p.Client, p.Rec = f, sshfiles.Silent{Recorder: live.Rec}
		defer f.End()
	}
	if live.Rules.NoFiles && !terminal {
		p.MaxInput = blockedInput
	}
	x.mu.Lock()
	x.pump = p
	resized := terminal && x.size != size
	size = x.size
	x.mu.Unlock()
	if resized {
		_ = p.Resize(size)
	}
	if terminal {
		x.c.mu.Lock()
		x.c.ptys[x] = struct{}{}
		x.c.mu.Unlock()
		defer func() {
			x.c.mu.Lock()
			delete(x.c.ptys, x)
			x.c.mu.Unlock()
		}()
	}
	exit, err := p.Run(ctx)
	if err == nil && exit.Known {
		_ = live.Rec.Marker("exit", fmt.Sprint(exit.Status, exit.Signal))
		x.finish(exit)
	} else {
		if err == nil {
			err = sshpump.ErrTargetLost
		}
		x.end(err)
	}
	_ = x.ssh.Close()
	x.c.wg.Add(1)
	go func() { // ends when the client confirms the close or disconnects
		defer x.c.wg.Done()
		p.Wait()
	}()
}

// commandOf reads the command line of an exec request or the name of a
// subsystem.
func commandOf(r *ssh.Request) (string, error) {
	if r.Type == "shell" {
		return "", nil
	}
	var m struct{ Value string }
	if err := ssh.Unmarshal(r.Payload, &m); err != nil {
		return "", err
	}
	if len(m.Value) > maxCommand {
		return "", errors.New("sshproxy: the command is too long")
	}
	return m.Value, nil
}

// transfers are the commands that clients run at the other end to move files.
var transfers = map[string]bool{
	"scp": true, "rsync": true, "sftp-server": true, "git-upload-pack": true, "git-receive-pack": true, "git-upload-archive": true, "rz": true, "sz": true,
}

// allowed applies the Safe's rules to what is to be started.
func allowed(rules broker.Rules, kind, command string) error {
	word, _, _ := strings.Cut(strings.TrimSpace(command), " ")
	switch {
	case rules.NoFiles && (kind == "subsystem" && command == "sftp" || kind == "exec" && transfers[path.Base(word)]):
		return sshpump.Refusal("This safe does not allow file transfer.")
	case kind == "subsystem" && command != "sftp":
		return sshpump.Refusal("This subsystem is refused: VaultPAM cannot record it.")
	case kind == "exec" && path.Base(word) == "sftp-server":
		return sshpump.Refusal("SFTP is read and recorded as the subsystem sftp, and not as a command.")
	}
	return nil
}

// finish hands the program's exit on (RFC 4254 section 6.10).
func (x *channel) finish(e sshpump.Exit) {
	_ = x.ssh.CloseWrite()
	x.exit = "exit"
	if e.Signal != "" {
		m := struct {
			Signal  string
			Core    bool
			Message string
			Lang    string
		}{e.Signal, e.Core, sshpump.Clean(e.Message), ""}
		_, _ = x.ssh.SendRequest("exit-signal", false, ssh.Marshal(m))
		return
	}
	_, _ = x.ssh.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{e.Status}))
}

// end tells the client why the channel is over, with the status 255.
func (x *channel) end(err error) {
	if errors.Is(err, errGone) || errors.Is(err, sshpump.ErrClientGone) {
		_ = x.ssh.Close()
		return
	}
	text := sshpump.Sentence(err)
	x.exit = "refused"
	if errors.Is(err, sshpump.ErrTargetLost) {
		x.exit = "target disconnected"
	}
	said := make(chan struct{})
	go func() { // a client that does not read is not waited for; it ends with the connection
		defer close(said)
		x.say(x.err, text)
		_ = x.ssh.CloseWrite()
		_, _ = x.ssh.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{exitRefused}))
	}()
	select {
	case <-said:
	case <-time.After(goodbye / 2):
	}
	_ = x.ssh.Close()
}

// say writes a line of ours to the user.
func (x *channel) say(w io.Writer, text string) {
	x.mu.Lock()
	terminal := x.pty != nil
	x.mu.Unlock()
	if terminal {
		_, _ = fmt.Fprintf(w, "\r\nvaultpam: %s\r\n", text)
		return
	}
	_, _ = fmt.Fprintf(w, "vaultpam: %s\n", text)
}
