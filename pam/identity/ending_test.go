package identity_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

// inSQLite runs test in a world on SQLite alone, for promises that no SQL has
// a part in.
func inSQLite(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	test(t, newWorld(t, storetest.Open(t, store.Options{DataDir: storetest.DataDir(t)})))
}

// ended checks that a login's token serves nowhere.
func (w *world) ended(when, token string) {
	w.t.Helper()
	_, err := w.Authenticate(w.t.Context(), token, "", here)
	refused(w.t, when, err, pam.Unauthenticated)
	_, err = w.Authenticate(w.t.Context(), token, w.home, here)
	refused(w.t, when+", by name", err, pam.Unauthenticated)
	_, err = w.AuthenticateRestricted(w.t.Context(), token, identity.PasswordChange, here)
	refused(w.t, when+", for a new password", err, pam.Unauthenticated)
	_, err = w.AuthenticateConsole(w.t.Context(), token, "", here)
	refused(w.t, when+", as cookie", err, pam.Unauthenticated)
}

func TestLoginServesForOneHourAndNoUseProlongsIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := must[identity.LoginResult](t)(w.Login(t.Context(), "owner@example.com", secretOf(password), here))
		token := string(r.Token.Expose())
		if !strings.HasPrefix(token, "vps_") || r.ExpiresIn != time.Hour || !r.Login.ExpiresAt.Equal(w.clock.Now().Add(time.Hour)) {
			t.Errorf("%s, %s, until %s", token[:4], r.ExpiresIn, r.Login.ExpiresAt)
		}
		for range 5 {
			w.clock.Advance(10 * time.Minute)
			w.as(token)
			w.flush()
		}
		w.clock.Advance(10*time.Minute - time.Microsecond)
		w.as(token)
		w.clock.Advance(time.Microsecond)
		w.ended("at its end", token)
		if ls := must[[]identity.Login](t)(w.Logins(t.Context(), w.owner)); len(ls) != 0 {
			t.Errorf("%+v", ls)
		}
		w.flush()
		w.use(cheap)
		w.ended("after a restart", token)
		w.clock.Advance(25 * time.Hour)
		w.flush() // a day later it is deleted
		w.ended("after it was deleted", token)
	})
}

func TestLogoutEndsTheLoginThatAskedAndNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		mine, other := w.bearer("owner@example.com"), w.bearer("owner@example.com")
		a := w.as(mine)
		fine(t, w.Logout(ctx, a))
		w.ended("after the logout", mine)
		w.as(other)
		refused(t, "again", w.Logout(ctx, a), pam.NotFound)
		if e := w.events(w.home, audit.Logout); len(e) != 1 || e[0].Actor.ID != string(a.User) {
			t.Errorf("%+v", e)
		}
		log := w.written(w.home) + w.written(pam.InstanceOrg)
		if strings.Contains(log, mine[4:]) || strings.Contains(log, other[4:]) || strings.Contains(log, password) {
			t.Error("the log shows what signs in")
		}
	})
}

func TestLoginIsRevokedAtOnceByItsOwnerAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lost, mine := w.bearer("owner@example.com"), w.bearer("owner@example.com")
		id := pam.LoginID(w.as(lost).TokenID)
		ada := w.person(w.owner, "ada", pam.Owner)
		refused(t, "another owner", w.RevokeLogin(ctx, ada, id), pam.NotFound)
		if err := w.RevokeLogin(ctx, ada, "\x00"); !pam.Is(err, pam.NotFound) && !pam.Is(err, pam.Invalid) {
			t.Errorf("an id that is none: %v", err)
		}
		w.as(lost)
		if ls := must[[]identity.Login](t)(w.Logins(ctx, w.owner)); len(ls) != 3 || ls[1].ID != id || ls[1].ClientIP != "192.0.2.7" || ls[1].UserAgent != "test" {
			t.Errorf("%+v", ls)
		}
		fine(t, w.RevokeLogin(ctx, w.as(mine), id))
		w.ended("after it was revoked", lost)
		refused(t, "again", w.RevokeLogin(ctx, w.as(mine), id), pam.NotFound)
		if n := w.count(w.home, audit.LoginRevoked); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

// slow lets a test stand between the reading of a token and its use.
type slow struct {
	*store.DB
	read, on chan struct{} // nil: does not wait
}

func (s *slow) HolderByToken(ctx context.Context, hash [32]byte) (identity.Holder, error) {
	h, err := s.DB.HolderByToken(ctx, hash)
	if s.read != nil {
		s.read <- struct{}{}
		<-s.on
	}
	return h, err
}

// Whoever reads a token while it is revoked must not keep it alive: what was
// read before the revocation is not remembered after it.
func TestTokenThatIsReadWhileItIsRevokedIsNotRemembered(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		token := w.bearer("owner@example.com")
		id := pam.LoginID(w.as(token).TokenID)
		kept := &slow{DB: w.db}
		w.useStore(kept)
		kept.read, kept.on = make(chan struct{}), make(chan struct{})
		done := make(chan struct{})
		go func() { // its answer may be either
			defer close(done)
			_, _ = w.Authenticate(ctx, token, "", here)
		}()
		<-kept.read
		fine(t, w.RevokeLogin(ctx, w.owner, id))
		close(kept.on)
		<-done
		kept.read = nil
		w.ended("after it was revoked", token)
	})
}

func TestRevocationHoldsUnderConcurrentUse(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for range 5 {
			token := w.bearer("owner@example.com")
			id := pam.LoginID(w.as(token).TokenID)
			var users sync.WaitGroup
			stop := make(chan struct{})
			for range 4 {
				users.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							_, _ = w.Authenticate(ctx, token, "", here)
						}
					}
				})
			}
			err := w.RevokeLogin(ctx, w.owner, id)
			for range 50 {
				if _, err := w.Authenticate(ctx, token, "", here); !pam.Is(err, pam.Unauthenticated) {
					t.Errorf("after it was revoked: %v", err)
				}
			}
			close(stop)
			users.Wait()
			fine(t, err)
		}
	})
}

// Nothing that a peer may send as a token is a fault of ours, or looked up
// unless it has a token's form.
func TestWhatIsNoTokenIsNotLookedUp(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		token := w.bearer("owner@example.com")
		w.useStore(nil) // a look-up would panic
		for _, s := range []string{"", "vps_", token[4:], token[:len(token)-1], token + " ", "Bearer " + token, strings.ToLower(token), "vpt_" + token[4:], "\x00", strings.Repeat("v", 1<<20)} {
			w.ended("what is no token", s)
		}
	})
}

func TestNameIsChangedByItsOwnerWithinLimits(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		for _, name := range []string{"", strings.Repeat("é", 65), "a\x00b", "a\nb", "\xff", "\x1b[2J"} {
			if _, err := w.SetName(t.Context(), w.owner, name); !pam.Is(err, pam.Invalid) {
				t.Errorf("%q: %v", name, err)
			}
		}
		name := strings.Repeat("é", 64)
		if u := must[identity.User](t)(w.SetName(t.Context(), w.owner, name)); u.Name != name {
			t.Errorf("%q", u.Name)
		}
		if a := w.as(w.bearer("owner@example.com")); a.Name != name {
			t.Errorf("%q", a.Name)
		}
	})
}
