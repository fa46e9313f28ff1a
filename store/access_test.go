package store_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/checkout"
	"vaultpam/pam/confirmation"
	"vaultpam/pam/group"
	"vaultpam/pam/resource"
	"vaultpam/pam/rulebook"
	"vaultpam/pam/safe"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

// world is a store with the services over it, two organizations and people in
// them, for the promises about Safes, resources and accounts.
type world struct {
	t         testing.TB
	db        *store.DB
	clock     *clock.Manual
	ids       *ids.Source
	safes     *safe.Service
	resources *resource.Service
	accounts  *account.Service
	groups    *group.Service
	changes   *confirmation.Service
	checkouts *checkout.Service
	rules     *rulebook.Books
	broker    *broker.Broker
	policies  *rulebook.Service
	scribe    *audit.Scribe

	owner, admin, other, operator, auditor, stranger pam.Actor // stranger is the owner of the other organization
}

// plainSealer keeps what it seals readable but says what it is bound to.
type plainSealer struct{}

func (plainSealer) Seal(_ context.Context, b pam.Binding, plain []byte) ([]byte, error) {
	return append([]byte(string(b.Org)+"|"+b.Purpose+"|"+b.Object+"|"+string(rune('0'+b.Version))+"|"), plain...), nil
}

func (plainSealer) Open(_ context.Context, b pam.Binding, sealed []byte) (secret.Value, error) {
	return secret.New(sealed), nil
}

// inWorld runs test in a world of its own on each database.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, open func() *store.DB) { test(t, newWorld(t, open())) })
}

func newWorld(t testing.TB, db *store.DB) *world {
	t.Helper()
	c := clock.NewManual(time.Now())
	src := ids.NewSource(c, rand.Reader)
	scribe := audit.NewScribe(c, src)
	w := &world{t: t, clock: c, ids: src, scribe: scribe}
	w.use(db)
	home, away := w.org(), w.org()
	w.owner, w.admin, w.other = w.person(home, pam.Owner), w.person(home, pam.Admin), w.person(home, pam.Admin)
	w.operator, w.auditor = w.person(home, pam.Operator), w.person(home, pam.Auditor)
	w.stranger = w.person(away, pam.Owner)
	return w
}

// use puts the services over db.
func (w *world) use(db *store.DB) {
	w.db = db
	w.safes = safe.New(db, w.scribe, w.clock, w.ids)
	w.resources = resource.New(db, w.scribe, w.clock, w.ids)
	w.accounts = account.New(db, plainSealer{}, w.scribe, w.clock, w.ids)
	w.groups = group.New(db, w.scribe, w.clock, w.ids)
	w.changes = confirmation.New(db, w.scribe, w.clock, w.ids)
	w.checkouts = checkout.New(db, w.safes, w.scribe, w.clock)
	w.rules = rulebook.NewBooks(db, false, slog.New(slog.DiscardHandler))
	db.Subscribe(w.rules.Changed)
	w.broker = broker.New(broker.Deps{Store: db, Policies: w.rules, Scribe: w.scribe, IDs: w.ids, Clock: w.clock, Log: slog.New(slog.DiscardHandler)})
	db.Subscribe(w.broker.Changed)
	w.policies = rulebook.New(db, w.rules, w.scribe, w.clock, w.ids)
}

// sql runs a statement for a fixture.
func (w *world) sql(text string, args ...any) {
	w.t.Helper()
	err := w.db.Write(w.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, text, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) org() pam.OrgID {
	id := w.ids.New(pam.PrefixOrg)
	w.sql(`INSERT INTO organizations (id, name, slug, settings, version, created_at, updated_at) VALUES (?, ?, ?, '{"request_timeout_seconds":86400}', 1, 1, 1)`, id, id, id)
	return pam.OrgID(id)
}

// person returns an active member of org, who has just logged in.
func (w *world) person(org pam.OrgID, role pam.Role) pam.Actor {
	id := w.ids.New(pam.PrefixUser)
	w.sql(`INSERT INTO users (id, email, name, home_org_id, active_org_id, instance_admin, password_hash, must_change, created_at) VALUES (?, ?, '', ?, '', FALSE, '', FALSE, 1)`,
		id, id+"@example.com", org)
	w.sql(`INSERT INTO memberships (org_id, user_id, role, status, joined_at) VALUES (?, ?, ?, 'active', 1)`, org, id, role)
	return pam.Actor{
		User: pam.UserID(id), Email: id + "@example.com", HomeOrg: org, Org: org, Role: role, Token: pam.LoginToken,
		StepUpAt: w.clock.Now(), From: netip.MustParseAddr("192.0.2.1"), RequestID: "rid_test",
	}
}

func (w *world) suspend(a pam.Actor) {
	w.sql(`UPDATE memberships SET status = 'suspended' WHERE org_id = ? AND user_id = ?`, a.Org, a.User)
}

// stale is a, logged in too long ago for a risky act.
func (w *world) stale(a pam.Actor) pam.Actor { a.StepUpAt = w.clock.Now().Add(-time.Hour); return a }

// dual is a in an organization that wants two for a risky act.
func dual(a pam.Actor) pam.Actor { a.DualControl = true; return a }

func (w *world) safe(a pam.Actor, name string, bind ...safe.Binding) safe.Safe {
	w.t.Helper()
	return must[safe.Safe](w.t)(w.safes.Create(w.t.Context(), a, safe.Settings{Name: name, Bindings: bind}))
}

func (w *world) resource(a pam.Actor, name string) resource.Resource {
	w.t.Helper()
	return must[resource.Resource](w.t)(w.resources.Create(w.t.Context(), a, resource.Settings{Name: name, Type: pam.SSH, Host: "host.example.com", HostKeyPolicy: resource.AcceptFirst}))
}

// account returns an account of the resource, or a domain account for "".
func (w *world) account(a pam.Actor, name string, r pam.ResourceID) account.Account {
	w.t.Helper()
	return must[account.Account](w.t)(w.accounts.Create(w.t.Context(), a, account.Settings{Name: name, Username: "root", ResourceID: r},
		&account.NewCredential{Kind: account.Password, Value: secret.FromString("first of " + name)}))
}

// bound returns a Safe of a with a resource and an account of a's in it.
func (w *world) bound(a pam.Actor, name string) (safe.Safe, resource.Resource, account.Account) {
	w.t.Helper()
	r := w.resource(a, name+" host")
	acc := w.account(a, name+" root", r.ID)
	return w.safe(a, name, safe.Binding{ResourceID: r.ID, AccountID: acc.ID}), r, acc
}

func (w *world) member(by pam.Actor, s pam.SafeID, who pam.Actor, role pam.SafeRole) safe.Member {
	w.t.Helper()
	return must[safe.Member](w.t)(w.safes.AddMember(w.t.Context(), by, s, safe.NewMember{User: who.User, Role: role}))
}

func (w *world) blocked(r pam.ResourceID, a pam.AccountID, s pam.SafeID) bool {
	w.t.Helper()
	return must[bool](w.t)(w.db.Blocked(w.t.Context(), w.owner.Org, r, a, s))
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
func refused(t *testing.T, err error, want pam.Kind) {
	t.Helper()
	if err == nil || pam.KindOf(err) != want {
		t.Fatalf("got %v, want an error of kind %q", err, want)
	}
}
