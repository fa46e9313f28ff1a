package identity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
	"vaultpam/pam/policy"
)

func TestPersonalAccessTokenIsBornNarrowAndMortal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for what, c := range map[string]struct {
			name   string
			scopes []string
			days   int
			wrong  []string
		}{
			"no name":              {"", []string{"safes:read"}, 1, []string{"name"}},
			"a long name":          {strings.Repeat("é", 65), []string{"safes:read"}, 1, []string{"name"}},
			"a name of two lines":  {"a\nb", []string{"safes:read"}, 1, []string{"name"}},
			"a name that is bytes": {"\xff", []string{"safes:read"}, 1, []string{"name"}},
			"no scope":             {"robot", nil, 1, []string{"scopes"}},
			"everything":           {"robot", []string{"*"}, 1, []string{"scopes[0]"}},
			"a scope in capitals":  {"robot", []string{"safes:read", "SAFES:READ"}, 1, []string{"scopes[1]"}},
			"a scope and more":     {"robot", []string{"safes:read safes:write"}, 1, []string{"scopes[0]"}},
			"no days":              {"robot", []string{"safes:read"}, 0, []string{"expires_in_days"}},
			"yesterday":            {"robot", []string{"safes:read"}, -1, []string{"expires_in_days"}},
			"a day too long":       {"robot", []string{"safes:read"}, 181, []string{"expires_in_days"}},
			"all of it":            {"", []string{"me:write"}, 1 << 40, []string{"expires_in_days", "name", "scopes[0]"}},
		} {
			_, v, err := w.CreateAccessToken(t.Context(), w.owner, c.name, c.scopes, c.days)
			if diff := cmp.Diff(c.wrong, fields(err)); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
			if !v.Empty() {
				t.Errorf("%s: there is a token all the same", what)
			}
		}
		made, value, err := w.CreateAccessToken(t.Context(), w.owner, strings.Repeat("é", 64), append(identity.Scopes, identity.Scopes...), identity.MaxTokenDays)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(value.Expose()), "vpt_") || made.ExpiresAt != w.clock.Now().Add(180*24*time.Hour) || len(made.Scopes) != len(identity.Scopes) {
			t.Errorf("%+v", made)
		}
		kept := must[[]identity.AccessToken](t)(w.AccessTokens(t.Context(), w.owner))
		if diff := cmp.Diff([]identity.AccessToken{made}, kept, cmp.Transformer("instant", func(t time.Time) int64 { return max(t.UnixMicro(), 0) })); diff != "" {
			t.Error(diff)
		}
		if log := w.written(w.home); strings.Contains(log, string(value.Expose())) || w.count(w.home, audit.PersonalAccessTokenCreated) != 1 {
			t.Error("the log shows the token, or not that there is one")
		}
	})
}

func TestPersonalAccessTokenServesUntilTheMomentItExpires(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		made, token := w.pat(w.owner, "safes:read")
		w.clock.Advance(made.ExpiresAt.Sub(w.clock.Now()) - time.Microsecond)
		a := w.as(token)
		if a.Token != pam.PersonalToken || a.TokenID != string(made.ID) || !a.StepUpAt.IsZero() || a.Fresh(w.clock.Now()) {
			t.Errorf("%+v", a)
		}
		w.flush()
		if ts := must[[]identity.AccessToken](t)(w.AccessTokens(t.Context(), w.owner)); !ts[0].LastUsedAt.Equal(w.clock.Now()) {
			t.Errorf("last used at %v, not now", ts[0].LastUsedAt)
		}
		w.clock.Advance(time.Microsecond)
		for range 2 {
			_, err := w.Authenticate(t.Context(), token, "", here)
			refused(t, "at its end", err, pam.Unauthenticated)
			w.flush()
			w.use(cheap) // nor does what it stands for come back
		}
	})
}

func TestRevokedPersonalAccessTokenEndsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		made, token := w.pat(w.owner, "safes:read")
		other, otherToken := w.pat(w.owner, "safes:read")
		w.as(token) // it is remembered
		ada := w.person(w.owner, "ada", pam.Admin)
		boss := w.elsewhere()
		abroad := w.owner
		abroad.Org = boss.Org
		for what, a := range map[string]pam.Actor{"an admin": ada, "a stranger": boss, "the owner elsewhere": abroad} {
			refused(t, what, w.RevokeAccessToken(ctx, a, made.ID), pam.NotFound)
		}
		for _, id := range []pam.TokenID{"", "pat_none", "pat\x00", "\xff"} {
			// PostgreSQL tells bytes that are no text from an id of nobody's.
			if err := w.RevokeAccessToken(ctx, w.owner, id); !pam.Is(err, pam.NotFound) && !pam.Is(err, pam.Invalid) {
				t.Errorf("%q: %v", id, err)
			}
		}
		refused(t, "itself", w.RevokeAccessToken(ctx, w.as(token), made.ID), pam.Denied)
		w.as(token)
		fine(t, w.RevokeAccessToken(ctx, w.owner, made.ID))
		_, err := w.Authenticate(ctx, token, "", here)
		refused(t, "after it was revoked", err, pam.Unauthenticated)
		refused(t, "again", w.RevokeAccessToken(ctx, w.owner, made.ID), pam.NotFound)
		if a := w.as(otherToken); a.TokenID != string(other.ID) {
			t.Errorf("another one: %+v", a)
		}
		if n := w.count(w.home, audit.PersonalAccessTokenRevoked); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}

// What it may do shrinks with what its owner may do, at once, and it never
// leaves the organization that it was made for.
func TestPersonalAccessTokenIsNeverWiderThanItsOwner(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		boss := w.elsewhere()
		ada := w.person(w.owner, "ada", pam.Admin)
		w.member(boss, "ada", pam.Owner)
		must[org.Member](t)(w.orgs.Accept(ctx, ada, boss.Org))
		_, token := w.pat(ada, "members:write")

		a := w.as(token)
		if a.Org != w.home || a.Role != pam.Admin || !a.HasScope("members:write") || a.HasScope("members:read") || a.HasScope("") {
			t.Errorf("%+v", a)
		}
		_, err := w.Authenticate(ctx, token, boss.Org, here)
		refused(t, "where its owner is owner", err, pam.OrgDenied)
		w.as(token)

		for _, role := range []pam.Role{pam.PolicyManager, pam.Operator, pam.Auditor, pam.Owner} {
			must[org.Member](t)(w.orgs.SetRole(ctx, w.owner, ada.User, role))
			if a := w.as(token); a.Role != role || policy.Allowed(policy.MemberAdd, policy.Of(a, "")) != (role == pam.Owner) {
				t.Errorf("%s: the token is %s", role, a.Role)
			}
		}
		must[org.Member](t)(w.orgs.Suspend(ctx, w.owner, ada.User))
		_, err = w.Authenticate(ctx, token, "", here)
		refused(t, "suspended", err, pam.OrgDenied)
		must[org.Member](t)(w.orgs.Resume(ctx, w.owner, ada.User))
		w.as(token)
		fine(t, w.orgs.Remove(ctx, w.owner, ada.User))
		_, err = w.Authenticate(ctx, token, "", here)
		refused(t, "removed", err, pam.Unauthenticated)
		// Who comes back has to make new ones.
		w.member(w.owner, "ada", pam.Admin)
		must[org.Member](t)(w.orgs.Accept(ctx, ada, w.home))
		_, err = w.Authenticate(ctx, token, "", here)
		refused(t, "back again", err, pam.Unauthenticated)
	})
}

// Whoever finds one can do nothing that outlives it.
func TestPersonalAccessTokenChangesNothingOfItsOwner(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		login := w.owner
		_, line := newKey(t)
		key := must[identity.SSHKey](t)(w.AddSSHKey(ctx, login, "laptop", line))
		made, token := w.pat(login, identity.Scopes...)
		a := w.as(token)
		if !a.StepUpAt.IsZero() {
			t.Error("it begins with a step-up")
		}
		a.StepUpAt = w.clock.Now() // nor would it help
		_, other := newKey(t)
		_, name := w.SetName(ctx, a, "Mallory")
		_, _, create := w.CreateAccessToken(ctx, a, "another", []string{"safes:read"}, 1)
		_, add := w.AddSSHKey(ctx, a, "another", other)
		_, step := w.StepUp(ctx, a, secret.FromString(password), here)
		for what, err := range map[string]error{
			"its name": name, "another token": create, "a key": add, "a step-up": step,
			"its token":    w.RevokeAccessToken(ctx, a, made.ID),
			"its key":      w.RemoveSSHKey(ctx, a, key.ID),
			"its login":    w.RevokeLogin(ctx, a, pam.LoginID(login.TokenID)),
			"a logout":     w.Logout(ctx, a),
			"its password": w.ChangePassword(ctx, a, token, secret.FromString(password), secret.FromString("another password"), here),
		} {
			refused(t, what, err, pam.Denied)
		}
		if err := w.try("owner@example.com", password); err != nil {
			t.Error(err)
		}
	})
}
