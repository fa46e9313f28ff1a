package identity_test

import (
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
)

// deafNode is another node over the same store, to which no news of changes
// get through.
func (w *world) deafNode(o identity.Options) *identity.Service {
	w.t.Helper()
	src := ids.NewSource(w.clock, rand.Reader)
	return identity.New(w.db, w.db.Audit(), w.passwords, audit.NewScribe(w.clock, src), w.clock, src, rand.Reader, slog.New(slog.NewTextHandler(w.t.Output(), nil)), o)
}

func TestNodeThatHearsNothingBelievesWhatItRemembersForASecondAtMost(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada := w.person(w.owner, "ada", pam.Admin)
		bearer := w.bearer("ada@example.com")
		id := pam.LoginID(w.as(bearer).TokenID)
		made, robot := w.pat(ada, "safes:read")
		node := w.deafNode(identity.Options{Shared: true})
		on := func(token string) (pam.Actor, error) { return node.Authenticate(ctx, token, "", here) }
		for _, token := range []string{bearer, robot} {
			if a := must[pam.Actor](t)(on(token)); a.Role != pam.Admin {
				t.Errorf("%+v", a)
			}
		}
		must[org.Member](t)(w.orgs.SetRole(ctx, w.owner, ada.User, pam.Auditor))
		w.clock.Advance(time.Second)
		for _, token := range []string{bearer, robot} {
			if a := must[pam.Actor](t)(on(token)); a.Role != pam.Auditor {
				t.Errorf("a second after the role was changed: %+v", a)
			}
		}
		fine(t, w.RevokeLogin(ctx, ada, id))
		fine(t, w.RevokeAccessToken(ctx, ada, made.ID))
		w.clock.Advance(time.Second)
		for _, token := range []string{bearer, robot} {
			_, err := on(token)
			refused(t, "a second after it was revoked", err, pam.Unauthenticated)
		}
	})
}

func TestLifetimesOfLoginsAreTheOperators(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		node := w.deafNode(identity.Options{LoginTTL: 5 * time.Minute, ConsoleTTL: time.Hour, ConsoleIdle: 2 * time.Minute})
		r := must[identity.LoginResult](t)(node.Login(ctx, "owner@example.com", secretOf(password), here))
		c := must[identity.LoginResult](t)(node.LoginConsole(ctx, "owner@example.com", secretOf(password), here))
		if r.ExpiresIn != 5*time.Minute || c.ExpiresIn != time.Hour {
			t.Errorf("%s and %s", r.ExpiresIn, c.ExpiresIn)
		}
		_, idle, err := node.ConsoleLogin(ctx, string(c.Token.Expose()))
		fine(t, err)
		if idle != 2*time.Minute {
			t.Errorf("it may go unused for %s", idle)
		}
		w.clock.Advance(2 * time.Minute)
		_, err = node.AuthenticateConsole(ctx, string(c.Token.Expose()), "", here)
		refused(t, "a cookie that was not used", err, pam.Unauthenticated)
		must[pam.Actor](t)(node.Authenticate(ctx, string(r.Token.Expose()), "", here))
		w.clock.Advance(3 * time.Minute)
		_, err = node.Authenticate(ctx, string(r.Token.Expose()), "", here)
		refused(t, "at its end", err, pam.Unauthenticated)
	})
}
