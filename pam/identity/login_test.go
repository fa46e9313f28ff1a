package identity_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/store"
)

// counted counts what a login reads from the store.
type counted struct {
	*store.DB
	reads int
}

func (c *counted) UserByEmail(ctx context.Context, email string) (identity.User, error) {
	c.reads++
	return c.DB.UserByEmail(ctx, email)
}

func (c *counted) PlacesOf(ctx context.Context, user pam.UserID) ([]identity.Place, error) {
	c.reads++
	return c.DB.PlacesOf(ctx, user)
}

func (c *counted) SSHKeysOf(ctx context.Context, user pam.UserID) ([]identity.SSHKey, error) {
	c.reads++
	return c.DB.SSHKeysOf(ctx, user)
}

// Whoever tries e-mail addresses learns nothing of whose they are: not by the
// answer, not by the work that it takes, which is one hash and one event.
func TestEveryFailedLoginIsTheSameAnswerAfterTheSameWork(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.member(w.owner, "locked", pam.Operator)
		w.member(w.owner, "known", pam.Operator)
		suspended, removed := w.member(w.owner, "suspended", pam.Operator), w.member(w.owner, "removed", pam.Operator)
		if _, err := w.orgs.Suspend(ctx, w.owner, suspended.User); err != nil {
			t.Fatal(err)
		}
		if err := w.orgs.Remove(ctx, w.owner, removed.User); err != nil {
			t.Fatal(err)
		}
		if _, err := w.orgs.Add(ctx, w.owner, "keyless@example.com", pam.Operator, secret.Value{}, true); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			refused(t, "guess", w.try("locked@example.com", "wrong horse battery"), pam.AuthFailed)
		}
		w.clock.Advance(500 * time.Millisecond)
		events := func() int {
			return w.count(w.home, audit.LoginFailed) + w.count(pam.InstanceOrg, audit.LoginFailed)
		}
		var said string
		for _, c := range []struct{ what, email, password string }{
			{"a wrong password", "known@example.com", "wrong horse battery"},
			{"no password", "known@example.com", ""},
			{"a very long password", "known@example.com", strings.Repeat("long", 10_000)},
			{"the right password with a tail", "known@example.com", password + "\x00"},
			{"nobody", "nobody@example.com", password},
			{"no address", "known", password},
			{"a byte that PostgreSQL does not keep", "known@example.com\x00", password},
			{"a byte that is no text", "known\xff@example.com", password},
			{"a very long name", strings.Repeat("a", 1<<20) + "@example.com", password},
			{"the right password of somebody locked", "locked@example.com", password},
			{"the right password of somebody suspended", "suspended@example.com", password},
			{"the right password of somebody removed", "removed@example.com", password},
			{"somebody without a password", "keyless@example.com", ""},
			{"an id", string(suspended.User), password},
		} {
			// Single events are for so many a minute and source.
			w.clock.Advance(time.Minute)
			for range 12 {
				_ = w.try("locked@example.com", "wrong horse battery")
			}
			hashes, written := w.hashes.Load(), events()
			err := w.try(c.email, c.password)
			refused(t, c.what, err, pam.AuthFailed)
			if n := w.hashes.Load() - hashes; n != 1 {
				t.Errorf("%s: %d hashes", c.what, n)
			}
			if n := events() - written; n != 1 {
				t.Errorf("%s: %d events", c.what, n)
			}
			if said == "" {
				said = err.Error()
			}
			if err.Error() != said {
				t.Errorf("%s: %q, others %q", c.what, err, said)
			}
			hashes = w.hashes.Load()
			_, err = w.AuthenticatePassword(ctx, c.email, secret.FromString(c.password), here)
			refused(t, c.what+", natively", err, pam.AuthFailed)
			_, err = w.LoginConsole(ctx, c.email, secret.FromString(c.password), here)
			refused(t, c.what+", in the console", err, pam.AuthFailed)
			if n := w.hashes.Load() - hashes; n != 2 {
				t.Errorf("%s: %d hashes for two logins", c.what, n)
			}
		}
	})
}

// What is typed into the field for the e-mail may be a password.
func TestFailedLoginsOfNobodyKeepNothingThatWasTyped(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		refused(t, "nobody", w.try("hunter2-hunter2", "typed-as-password"), pam.AuthFailed)
		refused(t, "nobody", w.try("mine@example.org", "typed-as-password"), pam.AuthFailed)
		refused(t, "somebody", w.try("owner@example.com", "typed-as-password"), pam.AuthFailed)
		log := w.written(pam.InstanceOrg) + w.written(w.home)
		for _, typed := range []string{"hunter2", "mine@example.org", "typed-as-password"} {
			if strings.Contains(log, typed) {
				t.Errorf("%s is in the audit log", typed)
			}
		}
		if n := w.count(pam.InstanceOrg, audit.LoginFailed); n != 2 {
			t.Errorf("%d failures of nobody", n)
		}
		if e := w.events(w.home, audit.LoginFailed); len(e) != 1 || e[0].Target.ID != string(w.owner.User) || e[0].SourceIP != "192.0.2.7" {
			t.Errorf("%+v", e)
		}
	})
}

// A storm of failures is counted beyond the first of a minute and source, and
// the count is written: nothing is lost, and nobody fills the log.
func TestStormOfFailuresBecomesAFewEvents(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for range 50 {
			refused(t, "guess", w.try("owner@example.com", "wrong horse battery"), pam.AuthFailed)
		}
		refused(t, "from elsewhere", w.tryFrom(there, "owner@example.com", "wrong horse battery"), pam.AuthFailed)
		if n := w.count(w.home, audit.LoginFailed); n != 21 {
			t.Errorf("%d events", n)
		}
		w.flush()
		e := w.events(pam.InstanceOrg, audit.LoginFailuresAggregated)
		if len(e) != 1 || e[0].Metadata["source"] != "192.0.2.7" || toInt(e[0].Metadata["count"]) != 30 {
			t.Errorf("%+v", e)
		}
		w.flush()
		if n := w.count(pam.InstanceOrg, audit.LoginFailuresAggregated); n != 1 {
			t.Errorf("it was written %d times", n)
		}
	})
}

func TestEverySpellingOfAnAddressIsOneAccount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		spellings := []string{"owner@example.com", "OWNER@example.com", " owner@Example.com\n", "Owner@EXAMPLE.com"}
		for _, s := range spellings {
			if err := w.try(s, password); err != nil {
				t.Errorf("%q: %v", s, err)
			}
		}
		for i := range 10 {
			refused(t, "guess", w.try(spellings[i%len(spellings)], "wrong horse battery"), pam.AuthFailed)
		}
		for _, s := range spellings {
			refused(t, s, w.try(s, password), pam.AuthFailed)
		}
		// Letters that only become ASCII in lower case are other letters.
		w.member(w.owner, "kim", pam.Operator)
		refused(t, "the Kelvin sign", w.try("\u212aim@example.com", password), pam.AuthFailed)
		if _, err := w.orgs.Add(t.Context(), w.owner, "l\u0130z@example.com", pam.Operator, secret.Value{}, true); !slices.Equal(fields(err), []string{"email"}) {
			t.Errorf("%v", err)
		}
	})
}

func TestKeysOfNobodyAreLookedForAsThoseOfSomebody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		mine, line := newKey(t)
		if _, err := w.AddSSHKey(ctx, w.owner, "laptop", line); err != nil {
			t.Fatal(err)
		}
		other, _ := newKey(t)
		kept := &counted{DB: w.db}
		w.useStore(kept)
		reads := func(email string) int {
			kept.reads = 0
			if w.KnowsKey(ctx, email, other) {
				t.Errorf("%q: a key of nobody is known", email)
			}
			return kept.reads
		}
		want := reads("owner@example.com")
		for _, email := range []string{"nobody@example.com", "", "no address", "owner@example.com\x00", strings.Repeat("a", 10_000)} {
			if got := reads(email); got != want {
				t.Errorf("%.20q: %d reads, %d of somebody's", email, got, want)
			}
		}
		if !w.KnowsKey(ctx, "OWNER@example.com", mine) {
			t.Error("the key of the owner is not known")
		}
	})
}

// A password that somebody else has chosen opens nothing but its change.
func TestPasswordThatMustBeChangedOpensNothingElse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, err := w.orgs.Add(ctx, w.owner, "new@example.com", pam.Operator, secret.FromString(password), true)
		fine(t, err)
		_, err = w.Login(ctx, "new@example.com", secret.FromString(password), here)
		change, ok := errors.AsType[*identity.PasswordChangeError](err)
		if !ok || !pam.Is(err, pam.PasswordChangeNeeded) || change.Result.ExpiresIn > 10*time.Minute {
			t.Fatalf("%v", err)
		}
		token := string(change.Result.Token.Expose())
		_, err = w.Authenticate(ctx, token, "", here)
		refused(t, "as bearer", err, pam.Unauthenticated)
		_, err = w.AuthenticateConsole(ctx, token, "", here)
		refused(t, "as cookie", err, pam.Unauthenticated)
		_, err = w.AuthenticatePassword(ctx, "new@example.com", secret.FromString(password), here)
		refused(t, "natively", err, pam.PasswordChangeNeeded)
		if e := w.events(w.home, audit.LoginFailed); len(e) != 1 || e[0].Metadata["password_must_change"] != true || e[0].Target.Name != "new@example.com" {
			t.Errorf("a right password leaves no trace: %+v", e)
		}
		a, err := w.AuthenticateRestricted(ctx, token, identity.PasswordChange, here)
		fine(t, err)

		for what, next := range map[string]string{"the same": password, "short": "elevenchars", "a common one": "123456789012", "long": strings.Repeat("x", 257), "not text": password + "\xff"} {
			if err := w.ChangePassword(ctx, a, token, secret.Value{}, secret.FromString(next), here); !slices.Equal(fields(err), []string{"new_password"}) {
				t.Errorf("%s: %v", what, err)
			}
		}
		fine(t, w.ChangePassword(ctx, a, token, secret.Value{}, secret.FromString("a password of one's own"), here))
		_, err = w.AuthenticateRestricted(ctx, token, identity.PasswordChange, here)
		refused(t, "the token after it has done its work", err, pam.Unauthenticated)
		refused(t, "the old password", w.try("new@example.com", password), pam.AuthFailed)
		fine(t, w.try("new@example.com", "a password of one's own"))
	})
}

func toInt(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	case interface{ Int64() (int64, error) }:
		i, _ := n.Int64()
		return i
	}
	return -1
}
