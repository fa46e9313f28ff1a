package org_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

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

// world is the services over a real store, with an organization and its owner,
// who administers the instance.
type world struct {
	*org.Service
	t      *testing.T
	db     *store.DB
	clock  *clock.Manual
	people *identity.Service
	owner  pam.Actor
	n      int
}

const password = "correct horse battery"

var here = identity.Client{From: netip.MustParseAddr("192.0.2.7")}

func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		w := &world{t: t, db: open(), clock: clock.NewManual(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}
		src := ids.NewSource(w.clock, rand.Reader)
		scribe := audit.NewScribe(w.clock, src)
		ps := must[*identity.Passwords](t)(identity.NewPasswords(identity.HashParams{MemoryKiB: 8, Time: 1, Parallelism: 1}, rand.Reader))
		w.Service = org.New(w.db, ps, scribe, w.clock, src)
		w.people = identity.New(w.db, w.db.Audit(), ps, scribe, w.clock, src, rand.Reader, slog.New(slog.DiscardHandler), identity.Options{})
		w.db.Subscribe(w.people.Changed)
		if _, _, err := w.Bootstrap(t.Context(), "Works", "owner@example.com", secret.FromString(password)); err != nil {
			t.Fatal(err)
		}
		w.owner = w.signIn("owner@example.com", "")
		test(t, w)
	})
}

// signIn is who signs in with the password of everybody, in an organization.
func (w *world) signIn(email string, in pam.OrgID) pam.Actor {
	w.t.Helper()
	r := must[identity.LoginResult](w.t)(w.people.Login(w.t.Context(), email, secret.FromString(password), here))
	return must[pam.Actor](w.t)(w.people.Authenticate(w.t.Context(), string(r.Token.Expose()), in, here))
}

// new makes somebody new with a role in the organization of by.
func (w *world) new(by pam.Actor, role pam.Role) org.Member {
	w.t.Helper()
	w.n++
	return must[org.Member](w.t)(w.Add(w.t.Context(), by, fmt.Sprintf("%s%d@example.com", role, w.n), role, secret.FromString(password), false))
}

// elsewhere is the owner of another organization.
func (w *world) elsewhere() pam.Actor {
	w.t.Helper()
	w.n++
	boss := w.new(w.owner, pam.Operator)
	o := must[org.Organization](w.t)(w.Create(w.t.Context(), w.owner, fmt.Sprintf("Elsewhere %d", w.n), "", boss.Email, secret.Value{}))
	a := w.signIn(boss.Email, "")
	must[org.Member](w.t)(w.Accept(w.t.Context(), a, o.ID))
	if err := w.Remove(w.t.Context(), w.owner, boss.User); err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(boss.Email, o.ID)
}

func (w *world) role(in pam.OrgID, user pam.UserID) pam.Role {
	w.t.Helper()
	return must[org.Member](w.t)(w.db.OrgMember(w.t.Context(), in, user)).Role
}

func (w *world) events(log pam.OrgID, t audit.Type) []audit.Event {
	w.t.Helper()
	return must[[]audit.Event](w.t)(w.db.Audit().List(w.t.Context(), log, audit.Filter{Type: t, Limit: 1000}))
}

func (w *world) size(log pam.OrgID) int64 {
	w.t.Helper()
	if err := w.db.Audit().Sync(w.t.Context(), log); err != nil {
		w.t.Fatal(err)
	}
	return must[int64](w.t)(w.db.Audit().Size(w.t.Context(), log))
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
	e, ok := errors.AsType[*pam.Error](err)
	if !ok || e.Kind != pam.Invalid {
		return nil
	}
	var out []string
	for _, f := range e.Fields {
		out = append(out, f.Field)
	}
	return out
}
