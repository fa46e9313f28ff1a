package identity_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// world is an identity service over a real store, with an organization, its
// owner, and whoever else is brought in.
type world struct {
	*identity.Service
	t         *testing.T
	db        *store.DB
	clock     *clock.Manual
	orgs      *org.Service
	passwords *identity.Passwords
	hashes    atomic.Int64 // computed so far
	owner     pam.Actor
	home      pam.OrgID
}

const password = "correct horse battery"

var (
	cheap = identity.HashParams{MemoryKiB: 8, Time: 1, Parallelism: 1}
	here  = identity.Client{From: netip.MustParseAddr("192.0.2.7"), RequestID: "rid_test", UserAgent: "test"}
	there = identity.Client{From: netip.MustParseAddr("198.51.100.9")}
)

// inWorld runs test in a world of its own on each database.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, open func() *store.DB) { test(t, newWorld(t, open())) })
}

func newWorld(t *testing.T, db *store.DB) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: clock.NewManual(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}
	w.use(cheap)
	var owner pam.UserID
	var err error
	w.home, owner, err = w.orgs.Bootstrap(t.Context(), "Works", "owner@example.com", secret.FromString(password))
	if err != nil {
		t.Fatal(err)
	}
	w.owner = w.signIn("owner@example.com")
	if w.owner.User != owner || w.owner.Role != pam.Owner {
		t.Fatalf("%+v", w.owner)
	}
	return w
}

// use starts the services anew, as a restart with other costs of hashing does.
func (w *world) use(p identity.HashParams) {
	w.t.Helper()
	src := ids.NewSource(w.clock, rand.Reader)
	scribe := audit.NewScribe(w.clock, src)
	w.passwords = must[*identity.Passwords](w.t)(identity.NewPasswords(p, rand.Reader))
	w.passwords.Watch(func(identity.HashParams) func() { w.hashes.Add(1); return func() {} })
	w.useStore(w.db)
	w.orgs = org.New(w.db, w.passwords, scribe, w.clock, src)
}

// useStore puts the service over s.
func (w *world) useStore(s identity.Store) {
	w.t.Helper()
	src := ids.NewSource(w.clock, rand.Reader)
	w.Service = identity.New(s, w.db.Audit(), w.passwords, audit.NewScribe(w.clock, src), w.clock, src, rand.Reader, slog.New(slog.NewTextHandler(w.t.Output(), nil)), identity.Options{})
	w.db.Subscribe(w.Changed)
}

// bearer signs in and returns the login's token.
func (w *world) bearer(email string) string {
	w.t.Helper()
	r := must[identity.LoginResult](w.t)(w.Login(w.t.Context(), email, secret.FromString(password), here))
	return string(r.Token.Expose())
}

// as is who a token stands for, in the organization that it serves without
// asking for one.
func (w *world) as(token string) pam.Actor {
	w.t.Helper()
	return must[pam.Actor](w.t)(w.Authenticate(w.t.Context(), token, "", here))
}

func (w *world) signIn(email string) pam.Actor {
	w.t.Helper()
	return w.as(w.bearer(email))
}

// person brings somebody new into the organization of by, and signs them in.
func (w *world) person(by pam.Actor, name string, role pam.Role) pam.Actor {
	w.t.Helper()
	w.member(by, name, role)
	return w.signIn(name + "@example.com")
}

func (w *world) member(by pam.Actor, name string, role pam.Role) org.Member {
	w.t.Helper()
	return must[org.Member](w.t)(w.orgs.Add(w.t.Context(), by, name+"@example.com", role, secret.FromString(password), false))
}

// elsewhere makes a second organization with an owner of its own.
func (w *world) elsewhere() pam.Actor {
	w.t.Helper()
	o := must[org.Organization](w.t)(w.orgs.Create(w.t.Context(), w.owner, "Elsewhere", "", "boss@example.com", secret.FromString(password)))
	boss := must[pam.UserID](w.t)(w.db.UserIDByEmail(w.t.Context(), "boss@example.com"))
	return pam.Actor{User: boss, Email: "boss@example.com", HomeOrg: o.ID, Org: o.ID, Role: pam.Owner, Token: pam.LoginToken, StepUpAt: w.clock.Now()}
}

// pat makes a personal access token of a.
func (w *world) pat(a pam.Actor, scopes ...string) (identity.AccessToken, string) {
	w.t.Helper()
	t, v, err := w.CreateAccessToken(w.t.Context(), a, "robot", scopes, 30)
	if err != nil {
		w.t.Fatal(err)
	}
	return t, string(v.Expose())
}

// try signs in with a password, from here.
func (w *world) try(email, password string) error { return w.tryFrom(here, email, password) }

func (w *world) tryFrom(c identity.Client, email, password string) error {
	_, err := w.Login(w.t.Context(), email, secret.FromString(password), c)
	return err
}

// flush has what is written once a minute written now.
func (w *world) flush() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	if err := w.Run(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// count returns how many events of a type are in a log.
func (w *world) count(log pam.OrgID, t audit.Type) int { w.t.Helper(); return len(w.events(log, t)) }

func (w *world) events(log pam.OrgID, t audit.Type) []audit.Event {
	w.t.Helper()
	return must[[]audit.Event](w.t)(w.db.Audit().List(w.t.Context(), log, audit.Filter{Type: t, Limit: 1000}))
}

// written is every event of a log, as one text.
func (w *world) written(log pam.OrgID) string {
	w.t.Helper()
	var b strings.Builder
	fine(w.t, w.db.Audit().Sync(w.t.Context(), log))
	n := must[int64](w.t)(w.db.Audit().Size(w.t.Context(), log))
	err := w.db.Audit().Range(w.t.Context(), log, 0, n, func(_ int64, canonical []byte, _ audit.Hash) error {
		b.Write(canonical)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// newKey returns a key pair, its line for a list of keys, and its name there.
func newKey(t testing.TB) (ssh.PublicKey, string) {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(ssh.MarshalAuthorizedKey(key))
}

// must[T](t) fails the test when it is given an error, else returns the value.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refused checks the kind of an error.
func refused(t testing.TB, what string, err error, want pam.Kind) {
	t.Helper()
	if err == nil || pam.KindOf(err) != want {
		t.Errorf("%s: got %v, want an error of kind %q", what, err, want)
	}
}

// fields names what an Invalid error complains of.
func fields(err error) []string {
	e, _ := errors.AsType[*pam.Error](err)
	if !pam.Is(err, pam.Invalid) {
		return nil
	}
	var out []string
	for _, f := range e.Fields {
		out = append(out, f.Field)
	}
	slices.Sort(out)
	return out
}

func secretOf(s string) secret.Value { return secret.FromString(s) }

// fine fails the test when it is given an error.
func fine(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
