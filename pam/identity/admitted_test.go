package identity_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
	"vaultpam/store/storetest"
)

// Suspension and removal close every door at once, also those behind which no
// organization is entered: a login that is left over must not plant a key.
func TestWhoeverHasNoPlaceLeftIsShutOut(t *testing.T) {
	for what, end := range map[string]func(w *world, ada pam.Actor) error{
		"suspended": func(w *world, ada pam.Actor) error {
			_, err := w.orgs.Suspend(w.t.Context(), w.owner, ada.User)
			return err
		},
		"removed": func(w *world, ada pam.Actor) error { return w.orgs.Remove(w.t.Context(), w.owner, ada.User) },
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				ctx := t.Context()
				ada := w.person(w.owner, "ada", pam.Operator)
				bearer := w.bearer("ada@example.com")
				_, robot := w.pat(ada, "safes:read")
				console := must[identity.LoginResult](t)(w.LoginConsole(ctx, "ada@example.com", secretOf(password), here))
				cookie := string(console.Token.Expose())
				w.as(bearer)
				w.as(robot)
				must[pam.Actor](t)(w.AuthenticateConsole(ctx, cookie, "", here))
				fine(t, end(w, ada))

				_, err := w.Authenticate(ctx, bearer, "", here)
				refused(t, "a login, of no organization", err, pam.OrgDenied)
				_, err = w.Authenticate(ctx, bearer, w.home, here)
				refused(t, "a login", err, pam.OrgDenied)
				_, err = w.AuthenticateRestricted(ctx, bearer, identity.PasswordChange, here)
				refused(t, "a login, for a new password", err, pam.OrgDenied)
				_, err = w.AuthenticateConsole(ctx, cookie, "", here)
				refused(t, "a cookie", err, pam.Unauthenticated)
				if _, err = w.Authenticate(ctx, robot, "", here); !pam.Is(err, pam.OrgDenied) && !pam.Is(err, pam.Unauthenticated) {
					t.Errorf("a personal access token: %v", err)
				}
				_, err = w.ActorFor(ctx, ada, w.home)
				refused(t, "natively", err, pam.OrgDenied)
				refused(t, "a new login", w.try("ada@example.com", password), pam.AuthFailed)
			})
		})
	}
}

// A place elsewhere stays what it was.
func TestSuspensionIsOfOneOrganization(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		boss := w.elsewhere()
		ada := w.person(w.owner, "ada", pam.Admin)
		bearer := w.bearer("ada@example.com")
		w.member(boss, "ada", pam.Operator)
		_, err := w.Authenticate(ctx, bearer, boss.Org, here)
		refused(t, "before the invitation is accepted", err, pam.OrgDenied)
		must[any](t)(w.orgs.Accept(ctx, ada, boss.Org))
		must[any](t)(w.orgs.Suspend(ctx, w.owner, ada.User))
		if a := w.as(bearer); a.Org != boss.Org || a.Role != pam.Operator {
			t.Errorf("%s as %s serves", a.Org, a.Role)
		}
		_, err = w.Authenticate(ctx, bearer, w.home, here)
		refused(t, "where it was suspended", err, pam.OrgDenied)
		fine(t, w.try("ada@example.com", password))
	})
}

// Whoever was removed and is asked back must be able to come: to sign in, see
// the invitation and accept it, and nothing else.
func TestInvitedPersonMaySignInToAccept(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada := w.person(w.owner, "ada", pam.Operator)
		fine(t, w.orgs.Remove(ctx, w.owner, ada.User))
		refused(t, "removed", w.try("ada@example.com", password), pam.AuthFailed)
		if m := w.member(w.owner, "ada", pam.Auditor); m.Status != org.Invited {
			t.Fatalf("%+v", m)
		}
		bearer := w.bearer("ada@example.com")
		a := w.as(bearer)
		if a.Org != "" || a.Role != "" {
			t.Errorf("%+v", a)
		}
		_, err := w.Authenticate(ctx, bearer, w.home, here)
		refused(t, "before", err, pam.OrgDenied)
		if ms := must[[]org.Membership](t)(w.orgs.Memberships(ctx, ada.User)); len(ms) != 1 || ms[0].Status != org.Invited {
			t.Errorf("%+v", ms)
		}
		must[any](t)(w.orgs.Accept(ctx, a, w.home))
		if a := w.as(bearer); a.Org != w.home || a.Role != pam.Auditor {
			t.Errorf("%+v", a)
		}
	})
}

// A new password puts out whoever knew the old one: other logins, and what
// these or the password itself have opened.
func TestNewPasswordEndsWhatTheOldOneOpened(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada := w.person(w.owner, "ada", pam.Operator)
		mine, other := w.bearer("ada@example.com"), w.bearer("ada@example.com")
		console := must[identity.LoginResult](t)(w.LoginConsole(ctx, "ada@example.com", secretOf(password), here))
		_, robot := w.pat(ada, "safes:read")
		a := w.as(mine)
		for what, c := range map[string]struct{ current, next string }{
			"a wrong password": {"wrong horse battery", "another password"}, "none": {"", "another password"},
		} {
			refused(t, what, w.ChangePassword(ctx, a, mine, secretOf(c.current), secretOf(c.next), here), pam.AuthFailed)
		}
		w.as(other)
		fine(t, w.ChangePassword(ctx, a, mine, secretOf(password), secretOf("another password"), here))
		w.as(mine)
		w.as(robot)
		_, err := w.Authenticate(ctx, other, "", here)
		refused(t, "another login", err, pam.Unauthenticated)
		_, err = w.AuthenticateConsole(ctx, string(console.Token.Expose()), "", here)
		refused(t, "a cookie", err, pam.Unauthenticated)
		refused(t, "the old password", w.try("ada@example.com", password), pam.AuthFailed)
		if n := w.count(w.home, audit.PasswordChanged); n != 1 {
			t.Errorf("%d events", n)
		}
		if log := w.written(w.home); strings.Contains(log, "another password") {
			t.Error("the log shows the password")
		}
	})
}

// Somebody who knows the first password and asks at the same moment for
// another must not have the last word.
func TestPasswordIsNotChangedByALoginThatHasEnded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada := w.person(w.owner, "ada", pam.Operator)
		mine, other := w.as(w.bearer("ada@example.com")), w.as(w.bearer("ada@example.com"))
		e := func() audit.Entry { return storetest.Entry(w.home, audit.PasswordChanged) }
		fine(t, w.db.SetPassword(ctx, ada.User, "mine", pam.LoginID(mine.TokenID), true, e()))
		refused(t, "of the other", w.db.SetPassword(ctx, ada.User, "theirs", pam.LoginID(other.TokenID), true, e()), pam.Unauthenticated)
		refused(t, "of somebody else", w.db.SetPassword(ctx, ada.User, "theirs", pam.LoginID(w.owner.TokenID), true, e()), pam.Unauthenticated)
		if u := must[identity.User](t)(w.db.UserByID(ctx, ada.User)); u.PasswordHash != "mine" {
			t.Errorf("it is %s", u.PasswordHash)
		}
		fine(t, w.db.SetPassword(ctx, ada.User, "last", pam.LoginID(mine.TokenID), false, e()))
		refused(t, "of a login that has served its purpose", w.db.SetPassword(ctx, ada.User, "again", pam.LoginID(mine.TokenID), true, e()), pam.Unauthenticated)
		if n := w.count(w.home, audit.PasswordChanged); n != 2 {
			t.Errorf("%d events", n)
		}
	})
}

func TestOfPasswordsChosenAtTheSameMomentOneHolds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.member(w.owner, "ada", pam.Operator)
		const n = 6
		var tokens [n]string
		var errs [n]error
		var actors [n]pam.Actor
		for i := range n {
			tokens[i] = w.bearer("ada@example.com")
			actors[i] = w.as(tokens[i])
		}
		next := func(i int) string { return fmt.Sprintf("the password of %d", i) }
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				errs[i] = w.ChangePassword(ctx, actors[i], tokens[i], secretOf(password), secretOf(next(i)), here)
			})
		}
		wg.Wait()
		changed := 0
		for i, err := range errs {
			_, still := w.Authenticate(ctx, tokens[i], "", here)
			w.clock.Advance(time.Hour / n / 2) // whoever lost has failed no more often than a guesser
			right := w.try("ada@example.com", next(i))
			if (err == nil) != (still == nil) || (err == nil) != (right == nil) {
				t.Errorf("%d: %v; its login: %v; its password: %v", i, err, still, right)
			}
			if err == nil {
				changed++
			} else if !pam.Is(err, pam.Unauthenticated) && !pam.Is(err, pam.AuthFailed) {
				t.Errorf("%d: %v", i, err)
			}
		}
		if changed != 1 {
			t.Errorf("%d changes", changed)
		}
	})
}

func TestTokensAreBoundedAndGoAfterTheirEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		boss := w.elsewhere()
		for range 100 {
			w.pat(w.owner, "safes:read")
		}
		_, _, err := w.CreateAccessToken(ctx, w.owner, "one more", []string{"safes:read"}, 1)
		refused(t, "the 101st", err, pam.Conflict)
		w.pat(boss, "safes:read")
		w.flush()
		if ts := must[[]identity.AccessToken](t)(w.AccessTokens(ctx, w.owner)); len(ts) != 100 {
			t.Errorf("%d tokens", len(ts))
		}
		w.clock.Advance(30*24*time.Hour + 23*time.Hour)
		w.flush() // a day in which their owner can see that they have ended
		if ts := must[[]identity.AccessToken](t)(w.AccessTokens(ctx, w.owner)); len(ts) != 100 {
			t.Errorf("%d tokens just after their end", len(ts))
		}
		w.clock.Advance(2 * time.Hour)
		w.flush()
		if ts := must[[]identity.AccessToken](t)(w.AccessTokens(ctx, w.owner)); len(ts) != 0 {
			t.Errorf("%d tokens a day after their end", len(ts))
		}
	})
}
