package sshproxy_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/edge"
	"vaultpam/edge/sshproxy"
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
	"vaultpam/vault"
	"vaultpam/vault/vaulttest"
)

const password = "correct horse battery staple"

// movable is the system's clock, which a test may put forward.
type movable struct{ ahead atomic.Int64 }

func (m *movable) Now() time.Time { return clock.Real{}.Now().Add(time.Duration(m.ahead.Load())) }

// counting counts how often a credential is opened.
type counting struct {
	pam.Sealer
	opened atomic.Int64
}

func (c *counting) Open(ctx context.Context, b pam.Binding, sealed []byte) (secret.Value, error) {
	if b.Purpose == account.Purpose {
		c.opened.Add(1)
	}
	return c.Sealer.Open(ctx, b, sealed)
}

// world is a whole server but for its HTTP side, in front of a real sshd.
type world struct {
	t          *testing.T
	db         *store.DB
	vault      *vault.Vault
	clock      *movable
	sealer     *counting
	broker     *broker.Broker
	recordings *recording.Service
	sessions   *session.Service
	safes      *safe.Service
	resources  *resource.Service
	accounts   *account.Service
	orgs       *org.Service
	ids        *identity.Service
	sshd       *target.SSHD
	owner      pam.Actor
	alice      pam.Actor // operator of the Safe "web"
	safe       safe.Safe
	resource   resource.Resource
	account    account.Account
	member     safe.Member
	addr       string
	hostKey    ssh.PublicKey
	dir        string
	stop       context.CancelFunc
	served     chan error
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func newWorld(t *testing.T, limits ...sshproxy.Limits) *world {
	t.Helper()
	return newWorldBehind(t, nil, limits...)
}

func newWorldBehind(t *testing.T, proxies edge.Proxies, limits ...sshproxy.Limits) *world {
	t.Helper()
	w := &world{t: t, clock: &movable{}, dir: t.TempDir(), sshd: target.StartSSHD(t)}
	ctx := t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	w.db, err = store.Open(ctx, store.Options{DataDir: filepath.Join(w.dir, "db"), Logger: log})
	w.must(err)
	t.Cleanup(func() { _ = w.db.Close() })
	w.vault = vaulttest.New(t)
	w.sealer = &counting{Sealer: w.vault}
	src := ids.NewSource(w.clock, rand.Reader)
	scribe := audit.NewScribe(w.clock, src)
	passwords, err := identity.NewPasswords(identity.HashParams{MemoryKiB: 64, Time: 1, Parallelism: 1}, rand.Reader)
	w.must(err)
	w.ids = identity.New(w.db, w.db.Audit(), passwords, scribe, w.clock, src, rand.Reader, log, identity.Options{})
	w.orgs = org.New(w.db, passwords, scribe, w.clock, src)
	w.safes = safe.New(w.db, scribe, w.clock, src)
	w.resources = resource.New(w.db, scribe, w.clock, src)
	w.accounts = account.New(w.db, w.sealer, scribe, w.clock, src)
	blobs, err := blobfs.Open(filepath.Join(w.dir, "recordings"), 0)
	w.must(err)
	w.recordings = recording.New(recording.Deps{
		Store: w.db, Blobs: blobs, Sealer: w.vault, Signer: w.vault, Events: w.db.Audit(), Scribe: scribe, Access: w.safes, Clock: w.clock, Rand: rand.Reader, Log: log,
	})
	w.sessions = session.New(session.Deps{Store: w.db, Access: w.db, Scribe: scribe, Clock: w.clock, Log: log})
	rules := rulebook.NewBooks(w.db, false, slog.New(slog.DiscardHandler))
	w.db.Subscribe(rules.Changed)
	w.broker = broker.New(broker.Deps{
		Store: w.db, Secrets: w.db, Policies: rules, Actors: w.ids, Sealer: w.sealer, Sealed: func() bool { return w.vault.Status().Sealed }, Recordings: w.recordings,
		Audit: w.db.Audit(), Scribe: scribe, Dialer: broker.LocalDialer{Rules: broker.LocalRules{Dev: true}}, IDs: src, Clock: w.clock, Log: log,
	})
	w.db.Subscribe(w.broker.Changed)
	w.db.Subscribe(w.ids.Changed)

	orgID, owner, err := w.orgs.Bootstrap(ctx, "Acme", "owner@example.com", secret.FromString(password))
	w.must(err)
	w.owner = pam.Actor{User: owner, Email: "owner@example.com", HomeOrg: orgID, Org: orgID, Role: pam.Owner, Token: pam.LoginToken, StepUpAt: w.clock.Now()}
	m, err := w.orgs.Add(ctx, w.owner, "alice@example.com", pam.Operator, secret.FromString(password), false)
	w.must(err)
	w.alice = pam.Actor{User: m.User, Email: m.Email, HomeOrg: orgID, Org: orgID, Role: pam.Operator, Token: pam.LoginToken, StepUpAt: w.clock.Now()}
	w.resource, err = w.resources.Create(ctx, w.owner, resource.Settings{Name: "web-1", Type: pam.SSH, Host: w.sshd.Host, Port: w.sshd.Port, HostKeys: []string{w.sshd.HostKeyLine}})
	w.must(err)
	w.account, err = w.accounts.Create(ctx, w.owner, account.Settings{Name: "deploy", Username: w.sshd.User, ResourceID: w.resource.ID},
		&account.NewCredential{Kind: account.SSHKey, PrivateKey: secret.FromString(w.sshd.PrivateKeyPEM)})
	w.must(err)
	w.safe = w.newSafe("web", w.resource, w.account)
	w.member, err = w.safes.AddMember(ctx, w.owner, w.safe.ID, safe.NewMember{User: w.alice.User, Role: pam.SafeOperator})
	w.must(err)

	_, key, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	signer, err := ssh.NewSignerFromKey(key)
	w.must(err)
	w.hostKey = signer.PublicKey()
	d := sshproxy.Deps{Identity: w.ids, Door: w.broker, HostKeys: func() []ssh.Signer { return []ssh.Signer{signer} }, Proxies: proxies, Log: log}
	if len(limits) > 0 {
		d.Limits = limits[0]
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	w.addr = ln.Addr().String()
	run, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.served = make(chan error, 1)
	broken := make(chan struct{})
	go func() { w.broker.Run(run); close(broken) }()
	go func() { w.served <- sshproxy.New(d).Serve(run, ln) }()
	t.Cleanup(func() {
		stop()
		drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.broker.Drain(drain); err != nil {
			t.Error(err)
		}
		<-w.served
		<-broken
	})
	return w
}

func (w *world) newSafe(name string, r resource.Resource, a account.Account, change ...func(*safe.Settings)) safe.Safe {
	w.t.Helper()
	in := safe.Settings{Name: name, Bindings: []safe.Binding{{ResourceID: r.ID, AccountID: a.ID}}}
	for _, c := range change {
		c(&in)
	}
	s, err := w.safes.Create(w.t.Context(), w.owner, in)
	w.must(err)
	return s
}

// change updates the Safe.
func (w *world) change(f func(*safe.Settings)) {
	w.t.Helper()
	s, err := w.safes.ByID(w.t.Context(), w.owner, w.safe.ID)
	w.must(err)
	f(&s.Settings)
	_, err = w.safes.Update(w.t.Context(), w.owner, s.ID, s.Version, s.Settings)
	w.must(err)
}

// result is what a finished client says.
type result struct {
	out, err string
	code     int
}

// cmd is a native client of alice's, with her password unless opts say more.
func (w *world) cmd(user string, args ...string) *exec.Cmd {
	w.t.Helper()
	host, port, _ := net.SplitHostPort(w.addr)
	known := filepath.Join(w.t.TempDir(), "known_hosts")
	line := "[" + host + "]:" + port + " " + string(ssh.MarshalAuthorizedKey(w.hostKey))
	w.must(os.WriteFile(known, []byte(line), 0o600))
	base := []string{
		"-F", "none", "-p", port, "-l", user, "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes",
		"-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR",
	}
	// The first value of an option counts, so that args go first.
	last := len(args) - 1
	words := append([]string{"-e", target.Need(w.t, "ssh")}, args[:last]...)
	words = append(append(words, base...), host)
	if args[last] != "" {
		words = append(words, args[last])
	}
	c := exec.CommandContext(w.t.Context(), target.Need(w.t, "sshpass"), words...)
	c.Env = append(os.Environ(), "SSHPASS="+password, "LC_TEST=grüße", "SECRET_OF_CLIENT=1")
	return c
}

func (w *world) run(stdin io.Reader, user string, args ...string) result {
	w.t.Helper()
	return wait(w.t, start(w.t, w.cmd(user, args...), stdin))
}

// client is a running native client.
type client struct {
	cmd      *exec.Cmd
	out, err *lines
}

// lines is a buffer that may be read while it is written.
type lines struct{ b chan []byte }

func start(t *testing.T, c *exec.Cmd, stdin io.Reader) *client {
	t.Helper()
	x := &client{cmd: c, out: &lines{}, err: &lines{}}
	x.out.b, x.err.b = make(chan []byte, 1), make(chan []byte, 1)
	x.out.b <- nil
	x.err.b <- nil
	c.Stdin, c.Stdout, c.Stderr = stdin, x.out, x.err
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	return x
}

func (l *lines) Write(p []byte) (int, error) {
	b := <-l.b
	l.b <- append(b, p...)
	return len(p), nil
}

func (l *lines) String() string {
	b := <-l.b
	s := string(b)
	l.b <- b
	return s
}

func wait(t *testing.T, c *client) result {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }()
	select {
	case err := <-done:
		r := result{out: c.out.String(), err: c.err.String()}
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			r.code = e.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		return r
	case <-time.After(60 * time.Second):
		t.Fatalf("the client does not end: %s", c.err)
		return result{}
	}
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

// last returns the newest session.
func (w *world) last() session.Session {
	w.t.Helper()
	all, err := w.db.ListSessions(w.t.Context(), w.owner.Org, session.Filter{Limit: 1})
	w.must(err)
	if len(all) == 0 {
		w.t.Fatal("there is no session")
	}
	return all[0]
}

// over waits for the newest session's end.
func (w *world) over() session.Session {
	w.t.Helper()
	eventually(w.t, 5*time.Second, "the session is over on record", func() bool { return !w.last().Status.Open() })
	return w.last()
}

// events lists the types in the log, newest first.
func (w *world) events() []audit.Type {
	w.t.Helper()
	all, err := w.db.Audit().List(w.t.Context(), w.owner.Org, audit.Filter{Limit: 200})
	w.must(err)
	var out []audit.Type
	for _, e := range all {
		out = append(out, e.Type)
	}
	return out
}

// newKey makes a client key, registers it for a if a is given, and returns its
// file.
func (w *world) newKey(a *pam.Actor) (path string, signer ssh.Signer) {
	w.t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	block, err := ssh.MarshalPrivateKey(key, "")
	w.must(err)
	path = filepath.Join(w.t.TempDir(), "id")
	w.must(os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	line, err := ssh.NewPublicKey(pub)
	w.must(err)
	signer, err = ssh.NewSignerFromKey(key)
	w.must(err)
	if a != nil {
		_, err = w.ids.AddSSHKey(w.t.Context(), *a, "laptop", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))))
		w.must(err)
	}
	return path, signer
}
