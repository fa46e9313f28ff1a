package webterm_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vaultpam/edge/sshpump"
	"vaultpam/edge/webterm"
	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
	"vaultpam/pam/recording"
	"vaultpam/pam/resource"
	"vaultpam/pam/rulebook"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
	"vaultpam/store"
	"vaultpam/store/blobfs"
	"vaultpam/test/target"
	"vaultpam/vault/vaulttest"
)

const origin = "https://pam.example.com"

// movable is the system's clock, which a test may put forward.
type movable struct{ ahead atomic.Int64 }

func (m *movable) Now() time.Time { return clock.Real{}.Now().Add(time.Duration(m.ahead.Load())) }

// world is a broker over a real store and vault in front of a real sshd, and
// the terminals before it.
type world struct {
	t          *testing.T
	db         *store.DB
	clock      *movable
	broker     *broker.Broker
	recordings *recording.Service
	sessions   *session.Service
	safes      *safe.Service
	orgs       *org.Service
	terminals  *webterm.Server
	url        string
	owner      pam.Actor
	alice      pam.Actor // operator of the Safe "web"
	guest      pam.Actor // owner of another organization
	safe       safe.Safe
	member     safe.Member

	mu     sync.Mutex // guards logged
	logged pam.Actor  // who has logged in, for connections to come
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newWorld(t *testing.T, limits ...webterm.Limits) *world {
	t.Helper()
	w := &world{t: t, clock: &movable{}}
	sshd := target.StartSSHD(t)
	ctx, dir := t.Context(), t.TempDir()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.db = must[*store.DB](t)(store.Open(ctx, store.Options{DataDir: filepath.Join(dir, "db"), Logger: log}))
	t.Cleanup(func() { _ = w.db.Close() })
	vault := vaulttest.New(t)
	src := ids.NewSource(w.clock, rand.Reader)
	scribe := audit.NewScribe(w.clock, src)
	passwords := must[*identity.Passwords](t)(identity.NewPasswords(identity.HashParams{MemoryKiB: 64, Time: 1, Parallelism: 1}, rand.Reader))
	people := identity.New(w.db, w.db.Audit(), passwords, scribe, w.clock, src, rand.Reader, log, identity.Options{})
	w.orgs = org.New(w.db, passwords, scribe, w.clock, src)
	w.safes = safe.New(w.db, scribe, w.clock, src)
	resources := resource.New(w.db, scribe, w.clock, src)
	accounts := account.New(w.db, vault, scribe, w.clock, src)
	blobs := must[*blobfs.FS](t)(blobfs.Open(filepath.Join(dir, "recordings"), 0))
	w.recordings = recording.New(recording.Deps{
		Store: w.db, Blobs: blobs, Sealer: vault, Signer: vault, Events: w.db.Audit(), Scribe: scribe, Access: w.safes, Clock: w.clock, Rand: rand.Reader, Log: log,
	})
	w.sessions = session.New(session.Deps{Store: w.db, Access: w.db, Scribe: scribe, Clock: w.clock, Log: log})
	rules := rulebook.NewBooks(w.db, false, slog.New(slog.DiscardHandler))
	w.db.Subscribe(rules.Changed)
	w.broker = broker.New(broker.Deps{
		Store: w.db, Secrets: w.db, Policies: rules, Actors: people, Sealer: vault, Sealed: func() bool { return vault.Status().Sealed }, Recordings: w.recordings,
		Audit: w.db.Audit(), Scribe: scribe, Dialer: broker.LocalDialer{Rules: broker.LocalRules{Dev: true}}, IDs: src, Clock: w.clock, Log: log,
	})
	w.db.Subscribe(w.broker.Changed)
	w.db.Subscribe(people.Changed)

	word := secret.FromString("correct horse battery staple")
	home, first, err := w.orgs.Bootstrap(ctx, "Acme", "owner@example.com", word)
	w.must(err)
	w.owner = w.actor(first, "owner@example.com", home, pam.Owner)
	w.owner.InstanceAdmin = true
	other := must[org.Organization](t)(w.orgs.Create(ctx, w.owner, "Other", "", "guest@example.net", word))
	w.guest = w.actor(must[pam.UserID](t)(w.db.UserIDByEmail(ctx, "guest@example.net")), "guest@example.net", other.ID, pam.Owner)
	m := must[org.Member](t)(w.orgs.Add(ctx, w.owner, "alice@example.com", pam.Operator, word, false))
	w.alice = w.actor(m.User, m.Email, w.owner.Org, pam.Operator)
	r := must[resource.Resource](t)(resources.Create(ctx, w.owner, resource.Settings{Name: "web-1", Type: pam.SSH, Host: sshd.Host, Port: sshd.Port, HostKeys: []string{sshd.HostKeyLine}}))
	a := must[account.Account](t)(accounts.Create(ctx, w.owner, account.Settings{Name: "deploy", Username: sshd.User, ResourceID: r.ID},
		&account.NewCredential{Kind: account.SSHKey, PrivateKey: secret.FromString(sshd.PrivateKeyPEM)}))
	w.safe = must[safe.Safe](t)(w.safes.Create(ctx, w.owner, safe.Settings{Name: "web", Bindings: []safe.Binding{{ResourceID: r.ID, AccountID: a.ID}}}))
	w.member = must[safe.Member](t)(w.safes.AddMember(ctx, w.owner, w.safe.ID, safe.NewMember{User: w.alice.User, Role: pam.SafeOperator}))

	d := webterm.Deps{
		Door: w.broker, Actors: people, Origins: []string{origin}, Key: secret.FromString("a key of tickets"), Clock: w.clock, Log: log,
		Words: func(err error) (string, string) {
			return strings.ToUpper(strings.ReplaceAll(pam.KindOf(err).String(), " ", "_")), sshpump.Sentence(err)
		},
	}
	if len(limits) > 0 {
		d.Limits = limits[0]
	}
	w.terminals = webterm.New(d)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sessions/{id}/terminal", func(rw http.ResponseWriter, r *http.Request) {
		if err := w.terminals.Check(r); err != nil {
			http.Error(rw, err.Error(), map[pam.Kind]int{pam.Denied: 403, pam.BadRequest: 400}[pam.KindOf(err)])
			return
		}
		w.mu.Lock()
		actor := w.logged
		w.mu.Unlock()
		actor.From = netip.MustParseAddr("192.0.2.7")
		w.terminals.Serve(rw, r, actor, pam.SessionID(r.PathValue("id")))
	})
	srv := httptest.NewServer(mux)
	w.url = srv.URL
	run, stop := context.WithCancel(context.Background())
	broken := make(chan struct{})
	go func() { w.broker.Run(run); close(broken) }()
	t.Cleanup(func() {
		drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.broker.Drain(drain); err != nil {
			t.Error(err)
		}
		w.terminals.Wait(drain)
		if drain.Err() != nil {
			t.Error("a terminal does not end")
		}
		stop()
		<-broken
		srv.Close()
	})
	return w
}

func (w *world) actor(user pam.UserID, email string, o pam.OrgID, role pam.Role) pam.Actor {
	return pam.Actor{User: user, Email: email, HomeOrg: o, Org: o, Role: role, Token: pam.LoginToken, StepUpAt: w.clock.Now()}
}

// login makes later connections come with a login.
func (w *world) login(a pam.Actor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logged = a
}

func (w *world) launch(a pam.Actor) pam.SessionID {
	w.t.Helper()
	return must[session.Session](w.t)(w.broker.Launch(w.t.Context(), a, broker.Want{Safe: string(w.safe.ID)})).ID
}

func (w *world) ticket(a pam.Actor, id pam.SessionID) string {
	w.t.Helper()
	return must[string](w.t)(w.terminals.Ticket(a, id))
}

func (w *world) change(f func(*safe.Settings)) {
	w.t.Helper()
	s := must[safe.Safe](w.t)(w.safes.ByID(w.t.Context(), w.owner, w.safe.ID))
	f(&s.Settings)
	_, err := w.safes.Update(w.t.Context(), w.owner, s.ID, s.Version, s.Settings)
	w.must(err)
}

func (w *world) onRecord(id pam.SessionID) session.Session {
	w.t.Helper()
	return must[session.Session](w.t)(w.db.SessionByID(w.t.Context(), w.owner.Org, id))
}

// over waits for a session's end on record.
func (w *world) over(id pam.SessionID) session.Session {
	w.t.Helper()
	eventually(w.t, 10*time.Second, "the session is over on record", func() bool { return !w.onRecord(id).Status.Open() })
	return w.onRecord(id)
}

// eventually waits for a condition.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// message is any text message of the server.
type message struct {
	Type, Code, Message, Signal, Reason, Clipboard string
	SessionID                                      string    `json:"session_id"`
	RecordingID                                    string    `json:"recording_id"`
	IdleSeconds                                    int       `json:"idle_seconds"`
	ExpiresAt                                      time.Time `json:"expires_at"`
	Window                                         int64
	InputWindow                                    int64 `json:"input_window"`
	Bytes                                          int64
	Status                                         *uint32
}

// page is a browser's page with a terminal.
type page struct {
	t    *testing.T
	ws   *websocket.Conn
	done chan struct{} // closed when the WebSocket is

	mu       sync.Mutex // guards what follows
	silent   bool       // acknowledges nothing
	out      []byte
	messages []message
	closed   error
}

func (w *world) dial(id pam.SessionID, header http.Header) (*websocket.Conn, *http.Response, error) {
	if header == nil {
		header = http.Header{"Origin": {origin}}
	}
	return websocket.Dial(w.t.Context(), w.url+"/sessions/"+string(id)+"/terminal", &websocket.DialOptions{HTTPHeader: header, Subprotocols: []string{webterm.Subprotocol}})
}

// connect opens a page and says hello, if that is not nil.
func (w *world) connect(id pam.SessionID, hello any) *page {
	w.t.Helper()
	ws, _, err := w.dial(id, nil)
	w.must(err)
	ws.SetReadLimit(1 << 20)
	p := &page{t: w.t, ws: ws, done: make(chan struct{})}
	w.t.Cleanup(func() { _ = ws.CloseNow(); <-p.done })
	go p.read()
	if hello != nil {
		p.say(hello)
	}
	return p
}

// open launches a session as a and shows its terminal, ready.
func (w *world) open(a pam.Actor) (*page, message) {
	w.t.Helper()
	id := w.launch(a)
	p := w.connect(id, map[string]any{"type": "hello", "ticket": w.ticket(a, id), "cols": 80, "rows": 24})
	return p, p.wait("ready")
}

func (p *page) read() {
	defer close(p.done)
	for {
		kind, data, err := p.ws.Read(context.Background())
		p.mu.Lock()
		if err != nil {
			p.closed = err
			p.mu.Unlock()
			return
		}
		var ack int64
		if kind == websocket.MessageBinary {
			if p.out = append(p.out, data...); !p.silent {
				ack = int64(len(p.out))
			}
		} else {
			var m message
			if err := json.Unmarshal(data, &m); err != nil {
				p.t.Errorf("%s: %v", data, err)
			}
			p.messages = append(p.messages, m)
		}
		p.mu.Unlock()
		if ack > 0 {
			p.say(map[string]any{"type": "ack", "bytes": ack})
		}
	}
}

func (p *page) say(m any) {
	data, err := json.Marshal(m)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = p.ws.Write(context.Background(), websocket.MessageText, data)
}

func (p *page) typeIn(s string) {
	_ = p.ws.Write(context.Background(), websocket.MessageBinary, []byte(s))
}

func (p *page) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.out)
}

func (p *page) find(kind string) (message, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.messages {
		if m.Type == kind {
			return m, true
		}
	}
	return message{}, false
}

// wait waits for a message of a type.
func (p *page) wait(kind string) message {
	p.t.Helper()
	var m message
	deadline := time.Now().Add(20 * time.Second)
	for {
		var ok bool
		if m, ok = p.find(kind); ok {
			return m
		}
		select {
		case <-p.done:
			if m, ok = p.find(kind); ok {
				return m
			}
			p.t.Fatalf("closed (%v) without %s: %+v %.300q", p.closed, kind, p.messages, p.text())
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no %s: %+v %.300q", kind, p.messages, p.text())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// shows waits for text on the screen.
func (p *page) shows(text string) {
	p.t.Helper()
	eventually(p.t, 20*time.Second, "the screen shows "+text, func() bool { return strings.Contains(p.text(), text) })
}

// code waits for the WebSocket's end and returns its code.
func (p *page) code() websocket.StatusCode {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.t.Fatal("the WebSocket stays open")
	}
	if errors.Is(p.closed, context.Canceled) {
		p.t.Fatal(p.closed)
	}
	return websocket.CloseStatus(p.closed)
}
