// Package webterm is the terminal of a browser: a WebSocket that takes a
// launched session over and is, from the broker on, the same as a native SSH
// client.
//
// It owns the protocol of docs/formats/terminal.md: who may connect, the
// messages, and that neither side sends faster than the other takes. It must
// not decide who may reach what, nor see how a secret is kept: it asks the
// broker. Start at [Server.Serve] and terminal.go.
package webterm

import (
	"cmp"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"vaultpam/edge"
	"vaultpam/edge/sshpump"
	"vaultpam/internal/clock"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// Subprotocol is what a client must ask for.
const Subprotocol = "vaultpam.v1"

// Actors makes the Actor for a user in one of their organizations.
// *identity.Service satisfies it.
type Actors interface {
	ActorFor(ctx context.Context, like pam.Actor, org pam.OrgID) (pam.Actor, error)
}

// Deps is what a Server works with.
type Deps struct {
	Door    sshpump.Door
	Actors  Actors
	Origins []string     // of the pages that may connect, such as https://pam.example.com
	Key     secret.Value // signs tickets, the same on every node
	// Words are the API's constant and sentence for an error.
	Words  func(error) (code, message string)
	Clock  clock.Clock
	Log    *slog.Logger
	Limits Limits // zero fields take the defaults
}

// Limits bound what a client can take.
type Limits struct {
	Hello       time.Duration // until the first message
	Write       time.Duration // for one message to be taken
	KeepAlive   time.Duration // between questions whether the client is there
	Window      int64         // bytes of output that the client has not acknowledged
	InputWindow int64         // bytes of input that the target has not taken
}

// DefaultLimits let 10 MB/s pass over a line of 50 ms, and hold little.
var DefaultLimits = Limits{Hello: 10 * time.Second, Write: 15 * time.Second, KeepAlive: 20 * time.Second, Window: 512 << 10, InputWindow: 256 << 10}

// Server serves terminals. It is safe for concurrent use.
type Server struct {
	Deps
	used usedTickets
	wg   sync.WaitGroup // terminals
}

// New makes a Server. It does no I/O.
func New(d Deps) *Server {
	l, def := &d.Limits, DefaultLimits
	l.Hello = cmp.Or(l.Hello, def.Hello)
	l.Write = cmp.Or(l.Write, def.Write)
	l.KeepAlive = cmp.Or(l.KeepAlive, def.KeepAlive)
	l.Window = cmp.Or(l.Window, def.Window)
	l.InputWindow = cmp.Or(l.InputWindow, def.InputWindow)
	return &Server{Deps: d}
}

// Check says whether r is a handshake that Serve can take up: a WebSocket of
// our subprotocol (RFC 6455 section 4.2.1), asked for by a page of ours. The
// check of the Origin is the boundary against pages of others, whose requests
// carry the login's cookie all the same (RFC 6455 section 10.2).
func (s *Server) Check(r *http.Request) error {
	const op = "check handshake"
	if !edge.IsWebSocket(r) {
		return pam.Errorf(pam.BadRequest, op, "Connect with a WebSocket of the subprotocol %s.", Subprotocol)
	}
	if origins := r.Header.Values("Origin"); len(origins) != 1 || !slices.Contains(s.Origins, strings.ToLower(origins[0])) {
		return pam.Errorf(pam.Denied, op, "A page of this origin may not connect: only those of the server's public URL may.")
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	if err != nil || len(key) != 16 || len(r.Header.Values("Sec-WebSocket-Key")) != 1 || r.Header.Get("Sec-WebSocket-Version") != "13" || r.ProtoMajor != 1 {
		return pam.Errorf(pam.BadRequest, op, "The WebSocket handshake cannot be read.")
	}
	if !edge.HasToken(r.Header, "Sec-WebSocket-Protocol", Subprotocol) {
		return pam.Errorf(pam.BadRequest, op, "Ask for the subprotocol %s.", Subprotocol)
	}
	return nil
}

// Serve is the life of one terminal: r passed Check. actor is who has logged
// in; without a User the client must show a ticket, and From and RequestID
// count all the same. It returns when the session is over on record.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, actor pam.Actor, id pam.SessionID) {
	s.wg.Add(1)
	defer s.wg.Done()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{Subprotocol},
		InsecureSkipVerify: true, // Check has looked at the Origin, more strictly
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		s.Log.Debug("terminal refused", "from", actor.From, "error", err)
		return
	}
	ws.SetReadLimit(maxMessage)
	t := newTerminal(context.WithoutCancel(r.Context()), s, ws)
	t.run(actor, id)
}

// Wait returns when no terminal is open any more, or ctx ends. Whoever calls
// it has drained the broker, which ends the sessions.
func (s *Server) Wait(ctx context.Context) {
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
