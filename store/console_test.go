package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	orgs "vaultpam/pam/org"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

// touches counts what is written about uses.
type touches struct {
	*store.DB
	n int
}

func (t *touches) Touch(ctx context.Context, u identity.Used) error {
	t.n++
	return t.DB.Touch(ctx, u)
}

// door is an identity service with one person.
type door struct {
	*identity.Service
	t     *testing.T
	clock *clock.Manual
	kept  *touches
	user  pam.UserID
	org   pam.OrgID
}

const (
	doorEmail    = "ada@example.com"
	doorPassword = "a long enough password"
)

var doorClient = identity.Client{From: netip.MustParseAddr("192.0.2.7"), UserAgent: "browser"}

func newDoor(t *testing.T, db *store.DB, shared bool) *door {
	t.Helper()
	c := clock.NewManual(time.Now())
	src := ids.NewSource(c, rand.Reader)
	scribe := audit.NewScribe(c, src)
	passwords, err := identity.NewPasswords(identity.HashParams{MemoryKiB: 8, Time: 1, Parallelism: 1}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, clock: c, kept: &touches{DB: db}}
	d.Service = identity.New(d.kept, db.Audit(), passwords, scribe, c, src, rand.Reader, slog.New(slog.DiscardHandler), identity.Options{Shared: shared})
	db.Subscribe(d.Changed)
	d.org, d.user, err = orgs.New(db, passwords, scribe, c, src).Bootstrap(t.Context(), "Works", doorEmail, secret.FromString(doorPassword))
	if err != nil && !pam.Is(err, pam.Conflict) { // another node made them
		t.Fatal(err)
	}
	return d
}

// signIn returns the token of a new login of the console.
func (d *door) signIn() string {
	d.t.Helper()
	r, err := d.LoginConsole(d.t.Context(), doorEmail, secret.FromString(doorPassword), doorClient)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(r.Token.Expose())
}

func (d *door) in(token string) error {
	_, err := d.AuthenticateConsole(d.t.Context(), token, "", doorClient)
	return err
}

// flush has what was used written, as once a minute and at the end.
func (d *door) flush() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(d.t.Context())
	cancel()
	if err := d.Run(ctx); err != nil {
		d.t.Fatal(err)
	}
}

func TestConsoleLoginEndsWhenItIsNotUsed(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		d := newDoor(t, open(), false)
		token := d.signIn()
		for range 8 { // two hours and more, never half an hour without a use
			d.clock.Advance(29 * time.Minute)
			d.flush() // forgets what has no bearing any more
			if err := d.in(token); err != nil {
				t.Fatal(err)
			}
		}
		d.clock.Advance(30 * time.Minute)
		if err := d.in(token); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("after half an hour: %v", err)
		}
		if rows, err := d.Logins(t.Context(), pam.Actor{User: d.user}); err != nil || len(rows) != 0 {
			t.Errorf("the logins list still has it: %v, %v", rows, err)
		}
	})
}

func TestConsoleLoginEndsAfterTwelveHoursOfUse(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		d := newDoor(t, open(), false)
		token := d.signIn()
		for range 12*60/20 - 1 {
			d.clock.Advance(20 * time.Minute)
			if err := d.in(token); err != nil {
				t.Fatal(err)
			}
		}
		d.clock.Advance(20 * time.Minute)
		if err := d.in(token); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("after twelve hours: %v", err)
		}
	})
}

func TestAPageThatAsksByItselfDoesNotKeepTheLoginAlive(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		d := newDoor(t, open(), false)
		token := d.signIn()
		alone := doorClient
		alone.Background = true
		d.clock.Advance(29 * time.Minute)
		if _, err := d.AuthenticateConsole(t.Context(), token, "", alone); err != nil {
			t.Fatal(err)
		}
		d.clock.Advance(time.Minute)
		if err := d.in(token); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("half an hour after the person left: %v", err)
		}
	})
}

// A use is known to the other nodes, and to this one after a restart, without
// a write for each request.
func TestUsesOfTheConsoleAreWrittenOnceAMinute(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		d := newDoor(t, db, false)
		token := d.signIn()
		d.clock.Advance(25 * time.Minute)
		for range 100 {
			if err := d.in(token); err != nil {
				t.Fatal(err)
			}
		}
		if d.kept.n != 0 {
			t.Errorf("%d writes for 100 requests", d.kept.n)
		}
		d.flush()
		if d.kept.n != 1 {
			t.Errorf("%d writes once they were due", d.kept.n)
		}
		other := newDoor(t, db, true)
		other.clock.Advance(d.clock.Now().Sub(other.clock.Now()) + 29*time.Minute)
		if err := other.in(token); err != nil {
			t.Errorf("another node does not know of the use: %v", err)
		}
	})
}

// Each kind of token opens its own door only.
func TestTokensServeByTheirOwnWayAlone(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		d, ctx := newDoor(t, open(), false), t.Context()
		cookie := d.signIn()
		if _, err := d.Authenticate(ctx, cookie, "", doorClient); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("the cookie's token as bearer: %v", err)
		}
		if _, err := d.AuthenticateRestricted(ctx, cookie, identity.PasswordChange, doorClient); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("the cookie's token as bearer, for a new password: %v", err)
		}
		r, err := d.Login(ctx, doorEmail, secret.FromString(doorPassword), doorClient)
		if err != nil {
			t.Fatal(err)
		}
		bearer := string(r.Token.Expose())
		if err := d.in(bearer); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("a bearer token in a cookie: %v", err)
		}
		a, err := d.Authenticate(ctx, bearer, "", doorClient)
		if err != nil {
			t.Fatal(err)
		}
		_, pat, err := d.CreateAccessToken(ctx, a, "robot", []string{"safes:read"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.in(string(pat.Expose())); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("a personal access token in a cookie: %v", err)
		}
	})
}

func TestConsoleLoginEndsWithWhatItRestsOn(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		d, ctx := newDoor(t, db, false), t.Context()
		first, second := d.signIn(), d.signIn()
		a, err := d.AuthenticateConsole(ctx, second, "", doorClient)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.ChangePassword(ctx, a, second, secret.FromString(doorPassword), secret.FromString("another password"), doorClient); err != nil {
			t.Fatal(err)
		}
		if err := d.in(first); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("after a change of the password elsewhere: %v", err)
		}
		if err := d.in(second); err != nil {
			t.Errorf("the login that changed it: %v", err)
		}
		if err := db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			tx.Changed(d.org, pam.SubjectMember, string(d.user))
			_, err := tx.Exec(ctx, `UPDATE memberships SET status = 'suspended'`)
			_, err2 := tx.Exec(ctx, `UPDATE users SET instance_admin = FALSE`) // who has another place
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
		if err := d.in(second); !pam.Is(err, pam.Unauthenticated) {
			t.Errorf("after suspension: %v", err)
		}
	})
}

func TestCSRFTokenBelongsToOneLoginAndHidesIt(t *testing.T) {
	const one, two = "vps_one", "vps_two"
	csrf := identity.CSRFToken(one)
	if !identity.ValidCSRF(one, csrf) || identity.CSRFToken(one) != csrf {
		t.Error("a login does not take its own token")
	}
	for _, wrong := range []string{"", one, identity.CSRFToken(two), csrf[1:], csrf + "x", strings.ToUpper(csrf)} {
		if identity.ValidCSRF(one, wrong) {
			t.Errorf("%q is taken", wrong)
		}
	}
	if bytes.Contains([]byte(csrf), []byte("one")) {
		t.Error("it shows the login's token")
	}
}
