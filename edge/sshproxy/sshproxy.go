// Package sshproxy lets people in by SSH and on to SSH targets, with the
// unmodified native client.
//
// It owns the listener, the login of a VaultPAM user by password or key, and
// what of the SSH protocol is let through. It must not decide who may reach
// what, nor see how a secret is kept: it asks the broker. Start at [Server]
// and conn.go.
package sshproxy

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/edge"
	"vaultpam/edge/sshpump"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/identity"
	"vaultpam/wire/proxyproto"
)

// Identity says who somebody is. *identity.Service satisfies it.
type Identity interface {
	// AuthenticatePassword checks a password. Every failure is the same and
	// takes the same time.
	AuthenticatePassword(ctx context.Context, email string, password secret.Value, c identity.Client) (pam.Actor, error)
	// KnowsKey says whether email has registered key. It is asked before the
	// client has proved to hold it, and has no effect.
	KnowsKey(ctx context.Context, email string, key ssh.PublicKey) bool
	// AuthenticateKey says who has signed with key.
	AuthenticateKey(ctx context.Context, email string, key ssh.PublicKey, c identity.Client) (pam.Actor, error)
	// AuthenticateFactor ends the login of somebody of whom one of the others
	// has said that a second factor is missing.
	AuthenticateFactor(ctx context.Context, h identity.Half, code string, c identity.Client) (pam.Actor, error)
	// AskElsewhere and ConfirmedElsewhere let a person confirm their login in
	// the console.
	AskElsewhere(ctx context.Context, h identity.Half, name string, c identity.Client) (identity.Device, error)
	ConfirmedElsewhere(ctx context.Context, h identity.Half, d identity.Device, c identity.Client) (pam.Actor, identity.DeviceStatus, error)
}

// Deps is what a Server works with.
type Deps struct {
	Identity Identity
	Door     sshpump.Door
	// Approvals lets people at a terminal wait for an approval; nil refuses
	// them at once, like programs.
	Approvals Approvals
	HostKeys  func() []ssh.Signer // asked for each connection; there are some whenever Sealed says no
	Sealed    func() bool         // whether the vault is sealed now: then nobody is let in; nil: never
	Proxies   edge.Proxies        // whose PROXY header is believed
	Limiter   *edge.RateLimiter   // passwords count as login attempts; nil limits nothing
	Log       *slog.Logger
	URL       func() string // under which people reach the console, without a slash at its end
	Limits    Limits        // zero fields take the defaults
}

// Limits bound what strangers and users can take.
type Limits struct {
	Connections int           // at a time
	Strangers   int           // of them not logged in yet; more, and the oldest stranger goes
	PerSource   int           // strangers from one address
	Grace       time.Duration // for PROXY header, handshake and login together
	KeepAlive   time.Duration // between questions whether the client is there
}

// DefaultLimits are meant for one server of a large organization.
var DefaultLimits = Limits{Connections: 10_000, Strangers: 200, PerSource: 20, Grace: 30 * time.Second, KeepAlive: 30 * time.Second}

const (
	maxAuthTries = 6
	maxCode      = 64
	maxChannels  = 16 // sessions of one connection
	goodbye      = 3 * time.Second
)

// Server accepts SSH connections.
type Server struct {
	Deps
	gate gate
	wg   sync.WaitGroup // connections
}

// New makes a Server. It does no I/O.
func New(d Deps) *Server {
	l, def := &d.Limits, DefaultLimits
	l.Connections = cmp.Or(l.Connections, def.Connections)
	l.Strangers = cmp.Or(l.Strangers, def.Strangers)
	l.PerSource = cmp.Or(l.PerSource, def.PerSource)
	l.Grace = cmp.Or(l.Grace, def.Grace)
	l.KeepAlive = cmp.Or(l.KeepAlive, def.KeepAlive)
	return &Server{Deps: d, gate: gate{limits: d.Limits, strangers: map[*entry]struct{}{}, sources: map[string]int{}}}
}

// Serve accepts connections until ctx ends, then refuses new ones and returns
// when all are over. Whoever ends ctx drains the broker, which ends the
// sessions; Serve closes what is left after goodbye more.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	// Connections outlive ctx: their sessions are told first.
	conns, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var wait time.Duration
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				break
			}
			// Out of file descriptors, most likely: let some be closed.
			wait = min(wait*2+5*time.Millisecond, time.Second)
			s.Log.Error("accept failed", "error", err, "again_in", wait)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			continue
		}
		wait = 0
		e := s.gate.enter(c)
		if e == nil {
			_ = c.Close()
			continue
		}
		s.wg.Add(1)
		go func() { // ends with the connection
			defer s.wg.Done()
			defer s.gate.leave(e)
			defer c.Close()
			s.serve(conns, c, e)
		}()
	}
	s.gate.dropStrangers()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(goodbye + 10*time.Second):
		cancel() // cuts what did not end by itself
		<-done
	}
	return nil
}

// serve is the life of one connection.
func (s *Server) serve(ctx context.Context, raw net.Conn, e *entry) {
	// One deadline for everything that a stranger can make us wait for.
	_ = raw.SetDeadline(time.Now().Add(s.Limits.Grace))
	client, err := s.clientOf(raw)
	if err != nil {
		s.Log.Debug("connection refused", "peer", raw.RemoteAddr(), "error", err)
		return
	}
	s.gate.from(e, edge.Source(client))
	if s.Sealed != nil && s.Sealed() {
		turnAway(raw)
		return
	}
	login := &login{s: s, ctx: ctx, from: client, extend: func(d time.Duration) { _ = raw.SetDeadline(time.Now().Add(d)) }}
	sc, channels, requests, err := ssh.NewServerConn(raw, login.config())
	if err != nil {
		s.Log.Debug("login failed", "client", client, "error", err)
		return
	}
	if err := raw.SetDeadline(time.Time{}); err != nil || !s.gate.admit(e) {
		_ = sc.Close()
		return
	}
	// The identity is that of the proof that succeeded, which is what the
	// connection's permissions hold; never that of a key that was offered.
	var who pam.Actor
	ok := sc.Permissions != nil
	if ok {
		who, ok = sc.Permissions.ExtraData[actorKey{}].(pam.Actor)
	}
	n, err := parseName(sc.User())
	if !ok || err != nil {
		_ = sc.Close()
		return
	}
	c := newConn(s, sc, who, n)
	c.run(ctx, channels, requests)
}

// clientOf returns the address of the client: the peer's, or what a trusted
// proxy says in its PROXY header.
func (s *Server) clientOf(raw net.Conn) (netip.Addr, error) {
	peer := edge.Peer(raw.RemoteAddr())
	if !s.Proxies.Trusts(peer) {
		return peer, nil
	}
	ap, err := proxyproto.Read(raw)
	if err != nil {
		return netip.Addr{}, err
	}
	if !ap.IsValid() {
		return peer, nil
	}
	return ap.Addr().Unmap(), nil
}
