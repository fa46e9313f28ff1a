package sshproxy

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/edge/sshpump"
	"vaultpam/pam"
	"vaultpam/pam/broker"
)

// conn is one connection of a user who has logged in. All its channels share
// one brokered session, which is opened with the first of them.
type conn struct {
	s     *Server
	ssh   *ssh.ServerConn
	actor pam.Actor
	name  name
	ctx   context.Context
	gone  context.CancelCauseFunc

	wg sync.WaitGroup // channels

	opening sync.Mutex // held while the session is opened; guards opened, and with mu the three below
	opened  bool
	mu      sync.Mutex
	live    *broker.Live
	target  *ssh.Client
	refused error

	ptys map[*channel]struct{} // guarded by mu: those that a warning goes to
	open int                   // guarded by mu: channels
	last string                // guarded by mu: how the last channel ended
}

func newConn(s *Server, sc *ssh.ServerConn, actor pam.Actor, n name) *conn {
	return &conn{s: s, ssh: sc, actor: actor, name: n, ptys: map[*channel]struct{}{}}
}

// errGone is why everything of a connection ends when the client is gone.
var errGone = errors.New("sshproxy: the client has disconnected")

// globalRequests are the connection's requests that are answered with yes.
// Whatever is not here is refused: above all tcpip-forward (RFC 4254 section
// 7.1).
var globalRequests = map[string]bool{"keepalive@openssh.com": true}

// channelTypes are the channels that are accepted. Whatever is not here is
// refused: direct-tcpip, forwarded-tcpip, direct-streamlocal@openssh.com,
// auth-agent@openssh.com, x11, tun@openssh.com.
var channelTypes = map[string]bool{"session": true}

// run serves the connection until it is over.
func (c *conn) run(parent context.Context, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	c.ctx, c.gone = context.WithCancelCause(parent)
	defer context.AfterFunc(parent, func() { _ = c.ssh.Close() })()
	go func() { // ends with the connection
		for r := range requests {
			_ = r.Reply(globalRequests[r.Type], nil)
		}
	}()
	c.wg.Add(1)
	go c.keepAlive() // ends with c.ctx
	// Whoever logs in and asks for nothing does not stay.
	unused := time.AfterFunc(c.s.Limits.Grace, func() {
		if c.opening.TryLock() {
			opened := c.opened
			c.opening.Unlock()
			if !opened {
				_ = c.ssh.Close()
			}
		}
	})
	defer unused.Stop()

	for nc := range channels {
		c.accept(nc)
	}
	c.gone(errGone)
	_ = c.ssh.Close()
	c.opening.Lock() // an opening under way ends with ctx
	if !c.opened {
		c.opened, c.refused = true, errGone
	}
	if c.target != nil {
		_ = c.target.Close() // it confirms no close of a channel while its program runs
	}
	c.opening.Unlock()
	c.wg.Wait()
	if c.live == nil {
		return
	}
	reason := broker.ClientGone
	if c.open == 0 && c.last != "" {
		reason = c.last
	}
	if err := c.live.Close(reason); err != nil {
		c.s.Log.Error("session was not closed cleanly", "session", c.live.Session.ID, "error", err)
	}
}

// keepAlive asks the client whether it is there.
func (c *conn) keepAlive() {
	defer c.wg.Done()
	tick := time.NewTicker(c.s.Limits.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		late := time.AfterFunc(3*c.s.Limits.KeepAlive, func() { _ = c.ssh.Close() })
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		late.Stop()
		if err != nil {
			return
		}
	}
}

func (c *conn) accept(nc ssh.NewChannel) {
	if !channelTypes[nc.ChannelType()] {
		_ = nc.Reject(ssh.Prohibited, "VaultPAM does not forward this: it could not be recorded")
		return
	}
	c.mu.Lock()
	full := c.open >= maxChannels
	if !full {
		c.open++
	}
	c.mu.Unlock()
	if full {
		_ = nc.Reject(ssh.ResourceShortage, "too many sessions on one connection")
		return
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		c.mu.Lock()
		c.open--
		c.mu.Unlock()
		return
	}
	c.wg.Add(1)
	go func() { // ends when either side closes the channel
		defer c.wg.Done()
		x := newChannel(c, ch)
		x.serve(requests)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ctx.Err() == nil || x.exit != "" {
			c.open--
			c.last = x.exit
		}
	}()
}

// want is what the client's name asks for.
func (c *conn) want(command string, cols, rows uint16) broker.Want {
	return broker.Want{
		Safe: c.name.safe, Account: c.name.account, Resource: c.name.resource, Protocol: pam.SSH, Command: command, Cols: cols, Rows: rows,
	}
}

// errSpent refuses whatever comes after the only run that was approved.
var errSpent = sshpump.Refusal("What was approved is one run of one command: this connection has had it.")

// session returns the connection's brokered session and the target, opening
// both for the first channel that needs them. command is what an exec runs, ""
// for a shell.
func (c *conn) session(command string, cols, rows uint16) (*broker.Live, *ssh.Client, error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.opened && c.live != nil && c.live.Rules.Once {
		return nil, nil, errSpent
	}
	if !c.opened {
		c.opened = true
		live, target, err := sshpump.Open(c.ctx, c.s.Door, c.actor, c.want(command, cols, rows), c.s.Log)
		c.mu.Lock()
		c.live, c.target, c.refused = live, target, err
		c.mu.Unlock()
		if err == nil {
			c.wg.Add(1)
			go c.watch(live) // ends with the session or the connection
		}
	}
	return c.live, c.target, c.refused
}

// reopen forgets a refusal, so that the door is asked again.
func (c *conn) reopen() {
	c.opening.Lock()
	defer c.opening.Unlock()
	if c.ctx.Err() == nil && c.live == nil {
		c.opened, c.refused = false, nil
	}
}

// watch passes warnings on, and closes the connection once a session that was
// cut has said goodbye on its channels.
func (c *conn) watch(live *broker.Live) {
	defer c.wg.Done()
	for {
		select {
		case w := <-live.Warnings():
			_ = live.Rec.Marker("warning", w)
			c.mu.Lock()
			for x := range c.ptys {
				go x.say(x.out, w) // ends when it is written or the channel closes
			}
			c.mu.Unlock()
		case <-c.ctx.Done():
			return
		case <-live.Context().Done():
			// The client closes when its last channel is closed; if it does
			// not, it is done for it.
			deadline := time.NewTimer(goodbye)
			defer deadline.Stop()
			select {
			case <-c.ctx.Done():
			case <-deadline.C:
				_ = c.ssh.Close()
			}
			return
		}
	}
}
