package broker_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
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
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
	"vaultpam/pam/policy"
	"vaultpam/pam/recording"
	"vaultpam/pam/resource"
	"vaultpam/pam/rulebook"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
	"vaultpam/store"
	"vaultpam/store/blobfs"
	"vaultpam/store/storetest"
	"vaultpam/vault"
	"vaultpam/vault/vaulttest"
)

// world is a broker over a real store and vault, in front of a listener that
// says nothing.
type world struct {
	*broker.Broker
	t       *testing.T
	db      *faulty
	vault   *vault.Vault
	onOpen  func(pam.Binding) // called before a credential is opened
	damaged bool              // what is stored of credentials
	safes   *safe.Service
	owner   pam.Actor
	guest   pam.Actor // of another organization
	safe    safe.Safe
	account account.Account

	accounts  *account.Service
	resources *resource.Service
	tried     []string // what the target was shown, by Check
}

// Check is a target that believes everything.
func (w *world) Check(ctx context.Context, _ net.Conn, r resource.Resource, username string, login broker.Login) error {
	cred, err := login(ctx)
	if err != nil {
		return err
	}
	defer cred.Wipe()
	w.tried = append(w.tried, r.Name+" "+username+" "+string(cred.Password.Expose()))
	return nil
}

func (w *world) Peek(context.Context, net.Conn, resource.Resource) (string, error) { return "", nil }

// faulty is a store whose sessions and checkouts cannot be ended while broken.
type faulty struct {
	*store.DB
	broken atomic.Bool
}

func (f *faulty) EndSession(ctx context.Context, o pam.OrgID, id pam.SessionID, end session.End, e audit.Entry) error {
	if f.broken.Load() {
		return errors.New("disk on fire")
	}
	return f.DB.EndSession(ctx, o, id, end, e)
}

func (f *faulty) CheckIn(ctx context.Context, o pam.OrgID, id pam.CheckoutID, by pam.UserID, why checkout.Cause, at time.Time, e audit.Entry) error {
	if f.broken.Load() {
		return errors.New("disk on fire")
	}
	return f.DB.CheckIn(ctx, o, id, by, why, at, e)
}

type watched struct {
	pam.Sealer
	w *world
}

func (s watched) Open(ctx context.Context, b pam.Binding, sealed []byte) (secret.Value, error) {
	if s.w.onOpen != nil {
		s.w.onOpen(b)
	}
	if s.w.damaged {
		sealed = append(slices.Clone(sealed[:len(sealed)-1]), sealed[len(sealed)-1]^1)
	}
	return s.Sealer.Open(ctx, b, sealed)
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

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, c, log := t.Context(), clock.Real{}, slog.New(slog.DiscardHandler)
	w := &world{t: t, vault: vaulttest.New(t)}
	w.db = &faulty{DB: must[*store.DB](t)(store.Open(ctx, store.Options{DataDir: storetest.DataDir(t)}))}
	t.Cleanup(func() { _ = w.db.Close() })
	src := ids.NewSource(c, rand.Reader)
	scribe := audit.NewScribe(c, src)
	passwords := must[*identity.Passwords](t)(identity.NewPasswords(identity.HashParams{MemoryKiB: 64, Time: 1, Parallelism: 1}, rand.Reader))
	people := identity.New(w.db, w.db.Audit(), passwords, scribe, c, src, rand.Reader, log, identity.Options{})
	orgs := org.New(w.db, passwords, scribe, c, src)
	w.safes = safe.New(w.db, scribe, c, src)
	sealer := watched{w.vault, w}
	recordings := recording.New(recording.Deps{
		Store: w.db, Blobs: must[*blobfs.FS](t)(blobfs.Open(filepath.Join(t.TempDir(), "r"), 0)), Sealer: w.vault, Signer: w.vault, Events: w.db.Audit(),
		Scribe: scribe, Access: w.safes, Clock: c, Rand: rand.Reader, Log: log,
	})
	rules := rulebook.NewBooks(w.db, false, slog.New(slog.DiscardHandler))
	w.db.Subscribe(rules.Changed)
	w.Broker = broker.New(broker.Deps{
		Store: w.db, Secrets: w.db, Policies: rules, Actors: people, Sealer: sealer, Sealed: func() bool { return w.vault.Status().Sealed }, Recordings: recordings,
		Audit: w.db.Audit(), Scribe: scribe, Dialer: broker.LocalDialer{Rules: broker.LocalRules{Dev: true}}, Targets: map[pam.Protocol]broker.Target{pam.SSH: w}, IDs: src, Clock: c, Log: log,
	})
	ln := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { _ = ln.Close() })
	home, user, err := orgs.Bootstrap(ctx, "Acme", "owner@example.com", secret.FromString("correct horse battery staple"))
	if err != nil {
		t.Fatal(err)
	}
	w.owner = pam.Actor{User: user, Email: "owner@example.com", HomeOrg: home, Org: home, Role: pam.Owner, Token: pam.LoginToken, StepUpAt: c.Now(), InstanceAdmin: true}
	other := must[org.Organization](t)(orgs.Create(ctx, w.owner, "Other", "", "guest@example.com", secret.FromString("correct horse battery staple")))
	w.guest = pam.Actor{User: must[pam.UserID](t)(w.db.UserIDByEmail(ctx, "guest@example.com")), HomeOrg: other.ID, Org: other.ID, Role: pam.Owner, Token: pam.LoginToken, StepUpAt: c.Now()}
	w.resources = resource.New(w.db, scribe, c, src)
	r := must[resource.Resource](t)(w.resources.Create(ctx, w.owner, resource.Settings{
		Name: "web", Type: pam.SSH, Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port,
	}))
	w.accounts = account.New(w.db, sealer, scribe, c, src)
	w.account = must[account.Account](t)(w.accounts.Create(ctx, w.owner, account.Settings{Name: "root", Username: "root"}, &account.NewCredential{Kind: account.Password, Value: secret.FromString("s3cret-canary")}))
	second := must[account.Account](t)(w.accounts.Create(ctx, w.owner, account.Settings{Name: "backup", Username: "backup"}, &account.NewCredential{Kind: account.Password, Value: secret.FromString("other-canary")}))
	w.safe = must[safe.Safe](t)(w.safes.Create(ctx, w.owner, safe.Settings{Name: "web", Bindings: []safe.Binding{{ResourceID: r.ID, AccountID: w.account.ID}}, Checkout: safe.Checkout{Enabled: true}}))
	must[safe.Safe](t)(w.safes.Create(ctx, w.owner, safe.Settings{
		Name: "two", Bindings: []safe.Binding{{ResourceID: r.ID, AccountID: w.account.ID}, {ResourceID: r.ID, AccountID: second.ID}}, Checkout: safe.Checkout{Enabled: true},
	}))
	return w
}

// count returns how many events of a type are in the log.
func (w *world) count(t audit.Type) int {
	w.t.Helper()
	return len(must[[]audit.Event](w.t)(w.db.Audit().List(w.t.Context(), w.owner.Org, audit.Filter{Type: t, Limit: 100})))
}

func TestRevealIsOnRecordBeforeTheSecretIsOpened(t *testing.T) {
	w := newWorld(t)
	seen := -1
	w.onOpen = func(b pam.Binding) { seen = w.count(audit.CredentialCheckedOut) }
	out := must[broker.Revealed](t)(w.CheckOut(t.Context(), w.owner, broker.CheckOutWant{Safe: string(w.safe.ID), Reason: "restore"}))
	if seen != 1 {
		t.Errorf("%d events when the secret was opened", seen)
	}
	if string(out.Value.Expose()) != "s3cret-canary" || out.Checkout.Username != "root" || out.Kind != account.Password || out.Checkout.ExpiresAt.Sub(out.Checkout.CreatedAt) != time.Hour {
		t.Errorf("%+v", out.Checkout)
	}
}

// The record says that somebody has the secret as soon as they may have it. If
// it does not open, it says that nobody has.
func TestSecretThatDoesNotOpenIsNotOut(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	out := func() []checkout.Checkout {
		t.Helper()
		return must[[]checkout.Checkout](t)(w.db.ListCheckouts(ctx, w.owner.Org, checkout.Query{All: true, Limit: 10, Now: time.Now()}))
	}
	w.damaged = true
	_, err := w.CheckOut(ctx, w.owner, broker.CheckOutWant{Safe: "web"})
	if err == nil || pam.KindOf(err) != pam.Internal {
		t.Fatalf("%v", err)
	}
	if c := out(); len(c) != 0 {
		t.Errorf("out: %+v", c)
	}
	failed := must[[]audit.Event](t)(w.db.Audit().List(ctx, w.owner.Org, audit.Filter{Type: audit.CredentialOpenFailed, Limit: 10}))
	if w.count(audit.CredentialCheckedOut) != 1 || len(failed) != 1 || failed[0].Target.ID != string(w.account.ID) || failed[0].Actor.ID != string(w.owner.User) {
		t.Fatalf("%+v", failed)
	}
	id, _ := failed[0].Metadata["checkout_id"].(string)
	if c := must[checkout.Checkout](t)(w.db.CheckoutByID(ctx, w.owner.Org, pam.CheckoutID(id))); c.Status != checkout.Available || c.CheckedInBy != "" {
		t.Errorf("%+v", c)
	}

	// Also when whoever asked has gone, and when that cannot be stored at once.
	gone, leave := context.WithCancel(ctx)
	w.onOpen = func(pam.Binding) { leave() }
	w.db.broken.Store(true)
	if _, err := w.CheckOut(gone, w.owner, broker.CheckOutWant{Safe: "web"}); err == nil {
		t.Error("revealed to somebody who has gone")
	}
	if c := out(); len(c) != 1 {
		t.Errorf("out while it cannot be stored: %+v", c)
	}
	w.db.broken.Store(false)
	if err := w.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if c := out(); len(c) != 0 || w.count(audit.CredentialOpenFailed) != 2 {
		t.Errorf("still out: %+v", c)
	}
}

func TestCredentialThatDoesNotOpenIsNotSaidToBeUsed(t *testing.T) {
	w := newWorld(t)
	l := must[*broker.Live](t)(w.Open(t.Context(), w.owner, broker.Want{Safe: "web", Protocol: pam.SSH}))
	w.damaged = true
	if _, err := l.Login(t.Context()); err == nil {
		t.Error("it opened")
	}
	if w.count(audit.CredentialInjected) != 1 || w.count(audit.CredentialOpenFailed) != 1 {
		t.Errorf("%d and %d events", w.count(audit.CredentialInjected), w.count(audit.CredentialOpenFailed))
	}
	if err := l.Close("exit"); err != nil {
		t.Fatal(err)
	}
}

func TestRevealIsRefusedToWhoeverMayNot(t *testing.T) {
	w := newWorld(t)
	w.onOpen = func(pam.Binding) { t.Error("the secret was opened") }
	ctx := t.Context()
	for name, c := range map[string]struct {
		a    pam.Actor
		want broker.CheckOutWant
		kind pam.Kind
	}{
		"another organization": {w.guest, broker.CheckOutWant{Safe: string(w.safe.ID)}, pam.NotFound},
		"unknown account":      {w.owner, broker.CheckOutWant{Safe: "web", Account: "admin"}, pam.NotFound},
		"several accounts":     {w.owner, broker.CheckOutWant{Safe: "two"}, pam.Invalid},
		"control characters":   {w.owner, broker.CheckOutWant{Safe: "web", Reason: "\x1b[2J"}, pam.Invalid},
	} {
		if _, err := w.CheckOut(ctx, c.a, c.want); !pam.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	must[safe.Safe](t)(w.safes.Lock(ctx, w.owner, w.safe.ID))
	if _, err := w.CheckOut(ctx, w.owner, broker.CheckOutWant{Safe: "web"}); !pam.Is(err, pam.Locked) {
		t.Errorf("locked: %v", err)
	}
	must[safe.Safe](t)(w.safes.Unlock(ctx, w.owner, w.safe.ID))
	w.vault.Lock()
	if _, err := w.CheckOut(ctx, w.owner, broker.CheckOutWant{Safe: "web"}); !pam.Is(err, pam.Sealed) {
		t.Errorf("sealed: %v", err)
	}
	if n := w.count(audit.PolicyEvaluated); n < 3 {
		t.Errorf("%d refusals on record", n)
	}
}

func TestCredentialOpensOnceAfterItsEvent(t *testing.T) {
	w := newWorld(t)
	l := must[*broker.Live](t)(w.Open(t.Context(), w.owner, broker.Want{Safe: "web", Protocol: pam.SSH}))
	seen := -1
	w.onOpen = func(pam.Binding) { seen = w.count(audit.CredentialInjected) }
	c := must[broker.Credential](t)(l.Login(t.Context()))
	if seen != 1 || string(c.Password.Expose()) != "s3cret-canary" {
		t.Errorf("%d events before it was opened", seen)
	}
	if _, err := l.Login(t.Context()); !pam.Is(err, pam.Denied) {
		t.Errorf("opened twice: %v", err)
	}
	if err := l.Close("exit"); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(c.Password.Expose(), func(b byte) bool { return b != 0 }) {
		t.Error("the credential was not wiped")
	}
}

func TestCredentialIsCheckedByItsMakerOrAManager(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	admin := w.owner
	admin.User = "usr_another"
	check := func(a pam.Actor, id pam.AccountID, at pam.ResourceID, want pam.Kind) {
		t.Helper()
		if err := w.CheckCredential(ctx, a, id, at); pam.KindOf(err) != want && (want != 0 || err != nil) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	r := must[[]resource.Resource](t)(w.resources.List(ctx, w.owner, resource.Filter{}, "", 10))[0]
	mine := must[account.Account](t)(w.accounts.Create(ctx, w.owner, account.Settings{Name: "mine", Username: "me", ResourceID: r.ID}, &account.NewCredential{Kind: account.Password, Value: secret.FromString("mine-canary")}))
	check(w.owner, mine.ID, "", 0)
	check(w.owner, mine.ID, "res_another", pam.Invalid)
	check(admin, mine.ID, "", pam.Denied)
	check(w.guest, mine.ID, "", pam.NotFound)
	check(w.guest, w.account.ID, "", pam.NotFound)
	check(w.owner, w.account.ID, "", 0)
	check(admin, w.account.ID, "", pam.Denied)
	if want := []string{"web me mine-canary", "web root s3cret-canary"}; !slices.Equal(w.tried, want) {
		t.Errorf("the target saw %q, want %q", w.tried, want)
	}

	// Somebody else's secret is not sent to an address of the maker's choice,
	// not even once the account is in no Safe any more.
	foreign := must[account.Account](t)(w.accounts.Create(ctx, w.owner, account.Settings{Name: "left", Username: "left", ResourceID: r.ID}, nil))
	left := must[safe.Safe](t)(w.safes.Create(ctx, w.owner, safe.Settings{Name: "left", Bindings: []safe.Binding{{ResourceID: r.ID, AccountID: foreign.ID}}}))
	v := account.SealedVersion{Version: account.Version{Version: 1, Kind: account.Password, CreatedBy: admin.User, CreatedAt: clock.Real{}.Now(), Promoted: true}, Sealed: []byte("x")}
	if err := w.db.AddCredential(ctx, w.owner.Org, foreign.ID, v, audit.NewScribe(clock.Real{}, ids.NewSource(clock.Real{}, rand.Reader)).Entry(w.owner, audit.CredentialSet, audit.Party{}, nil)); err != nil {
		t.Fatal(err)
	}
	in := left.Settings
	in.Bindings = nil
	must[safe.Safe](t)(w.safes.Update(ctx, w.owner, left.ID, 0, in))
	check(w.owner, foreign.ID, "", pam.Denied)
	if len(w.tried) != 2 {
		t.Errorf("the target saw %q", w.tried)
	}
}

func TestLaunchIsTakenOverByTheNextConnection(t *testing.T) {
	w := newWorld(t)
	s := must[session.Session](t)(w.Launch(t.Context(), w.owner, broker.Want{Safe: "web"}))
	native := w.owner
	native.Token, native.Org, native.Role = pam.NativeLogin, "", ""
	l := must[*broker.Live](t)(w.Open(t.Context(), native, broker.Want{Safe: "web", Protocol: pam.SSH}))
	if l.Session.ID != s.ID {
		t.Errorf("the connection is %s, the launch was %s", l.Session.ID, s.ID)
	}
	second := must[*broker.Live](t)(w.Open(t.Context(), native, broker.Want{Safe: "web", Protocol: pam.SSH}))
	if second.Session.ID == s.ID {
		t.Error("taken over twice")
	}
	if err := errors.Join(l.Close("exit"), second.Close("exit"), l.Close("again")); err != nil {
		t.Fatal(err)
	}
	if n := w.count(audit.SessionEnded); n != 2 {
		t.Errorf("%d ends of two sessions", n)
	}
}

func TestNamedLaunchIsTakenOverOnceAndByItsUserAlone(t *testing.T) {
	w := newWorld(t)
	first := must[session.Session](t)(w.Launch(t.Context(), w.owner, broker.Want{Safe: "web", Reason: "look"}))
	second := must[session.Session](t)(w.Launch(t.Context(), w.owner, broker.Want{Safe: "web"}))
	if _, err := w.Open(t.Context(), w.guest, broker.Want{Session: second.ID}); !pam.Is(err, pam.NotFound) {
		t.Errorf("another organization: %v", err)
	}
	colleague := w.owner
	colleague.User = w.guest.User
	if _, err := w.Open(t.Context(), colleague, broker.Want{Session: second.ID}); !pam.Is(err, pam.NotFound) {
		t.Errorf("somebody else of the organization: %v", err)
	}
	l := must[*broker.Live](t)(w.Open(t.Context(), w.owner, broker.Want{Session: second.ID}))
	if l.Session.ID != second.ID || l.Session.SafeID != second.SafeID {
		t.Errorf("taken over: %+v", l.Session)
	}
	if _, err := w.Open(t.Context(), w.owner, broker.Want{Session: second.ID}); !pam.Is(err, pam.Conflict) {
		t.Errorf("twice: %v", err)
	}
	if err := l.Close("exit"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open(t.Context(), w.owner, broker.Want{Session: second.ID}); !pam.Is(err, pam.Conflict) {
		t.Errorf("after its end: %v", err)
	}
	s := must[session.Session](t)(w.db.SessionByID(t.Context(), w.owner.Org, first.ID))
	if s.Status != session.Pending || s.Node != "" {
		t.Errorf("the other launch does not wait any more: %+v", s)
	}
}

func TestEndThatCannotBeStoredIsStoredLater(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	l := must[*broker.Live](t)(w.Open(t.Context(), w.owner, broker.Want{Safe: "web"}))
	w.db.broken.Store(true)
	if err := l.Close("exit"); err == nil {
		t.Fatal("the end was not stored, and nobody said so")
	}
	w.db.broken.Store(false)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s := must[session.Session](t)(w.db.SessionByID(t.Context(), w.owner.Org, l.Session.ID))
		if s.Status == session.Ended && s.EndReason == "exit" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %s", s.Status)
		}
	}
}

func TestDrainingBrokerOpensNothing(t *testing.T) {
	w := newWorld(t)
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Open(t.Context(), w.owner, broker.Want{Safe: "web"}); !pam.Is(err, pam.Unavailable) {
		t.Errorf("%v", err)
	}
	if n := len(w.Live()); n != 0 {
		t.Errorf("%d live sessions", n)
	}
}

// A policy is asked about the account and resource that are wanted, at the
// door; and what decided is on record.
func TestPolicyIsAskedAboutWhatIsWanted(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), clock.Real{}
	src := ids.NewSource(c, rand.Reader)
	policies := rulebook.New(w.db, rulebook.NewBooks(w.db, false, slog.New(slog.DiscardHandler)), audit.NewScribe(c, src), c, src)
	rule := func(in rulebook.Settings) rulebook.Policy {
		t.Helper()
		in.Name, in.SafeIDs = string(in.Action), []pam.SafeID{w.safe.ID}
		p := must[rulebook.Policy](t)(policies.Create(ctx, w.owner, in))
		return must[rulebook.Policy](t)(policies.Activate(ctx, w.owner, p.ID, 0))
	}
	launch := func() error {
		l, err := w.Open(ctx, w.owner, broker.Want{Safe: "web"})
		if err == nil {
			err = l.Close("exit")
		}
		return err
	}
	reveal := func() error { _, err := w.CheckOut(ctx, w.owner, broker.CheckOutWant{Safe: "web"}); return err }
	both := func(want pam.Kind) {
		t.Helper()
		for what, err := range map[string]error{"launch": launch(), "reveal": reveal()} {
			if (err == nil) != (want == pam.Internal) || err != nil && !pam.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
	}
	rule(rulebook.Settings{Action: policy.Allow, Conditions: policy.Conditions{ResourceTypes: []pam.Protocol{pam.SSH}}})
	before := w.count(audit.PolicyEvaluated)
	both(pam.Internal) // no error
	if n := w.count(audit.PolicyEvaluated) - before; n != 2 {
		t.Errorf("%d evaluations on record", n)
	}
	if _, err := w.CheckOut(ctx, w.owner, broker.CheckOutWant{Safe: "web", Account: "none"}); !pam.Is(err, pam.NotFound) {
		t.Errorf("no such account: %v", err)
	}
	databases := rule(rulebook.Settings{Action: policy.Deny, Conditions: policy.Conditions{ResourceTypes: []pam.Protocol{pam.PostgreSQL}}})
	both(pam.Internal)
	ask := rule(rulebook.Settings{Action: policy.RequireApproval})
	both(pam.ApprovalNeeded)
	must[rulebook.Policy](t)(policies.Disable(ctx, w.owner, ask.ID, 0))
	in := databases.Settings
	in.Conditions.ResourceTypes = []pam.Protocol{pam.SSH}
	must[rulebook.Policy](t)(policies.Update(ctx, w.owner, databases.ID, 0, in))
	both(pam.PolicyDenied)
	last := must[[]audit.Event](t)(w.db.Audit().List(ctx, w.owner.Org, audit.Filter{Type: audit.SessionRefused, Limit: 1}))
	if len(last) != 1 || last[0].Metadata["rule"] != "policy "+string(databases.ID) {
		t.Errorf("%+v", last)
	}
}

// Where the policies cannot be read nobody gets in, and whoever is in is not
// put out at once.
func TestNobodyGetsInWhilePoliciesCannotBeRead(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	l := must[*broker.Live](t)(w.Open(ctx, w.owner, broker.Want{Safe: "web"}))
	w.Policies = unreadable{}
	if _, err := w.Open(ctx, w.owner, broker.Want{Safe: "web"}); err == nil {
		t.Error("a session was opened")
	}
	if _, err := w.CheckOut(ctx, w.owner, broker.CheckOutWant{Safe: "web"}); err == nil {
		t.Error("a secret was revealed")
	}
	if l.Err() != nil {
		t.Errorf("%v", l.Err())
	}
	if err := l.Close("exit"); err != nil {
		t.Fatal(err)
	}
}

type unreadable struct{}

func (unreadable) Rules(context.Context, pam.OrgID) (policy.Book, error) {
	return nil, errors.New("disk on fire")
}
