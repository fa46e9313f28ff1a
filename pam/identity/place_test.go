package identity_test

import (
	"strings"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
)

// twoPlaces returns the token of somebody who belongs to two organizations,
// and these, the first joined first.
func (w *world) twoPlaces() (token string, first, second pam.OrgID) {
	w.t.Helper()
	boss := w.elsewhere()
	a := w.person(w.owner, "both", pam.Operator)
	w.member(boss, "both", pam.Auditor)
	w.clock.Advance(time.Second)
	must[org.Member](w.t)(w.orgs.Accept(w.t.Context(), a, boss.Org))
	return w.bearer("both@example.com"), w.home, boss.Org
}

// goTo asks for an organization by name.
func (w *world) goTo(token string, o pam.OrgID) error {
	_, err := w.Authenticate(w.t.Context(), token, o, here)
	return err
}

func TestLastUsedOrganizationServesUntilAnotherIsAskedFor(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token, first, second := w.twoPlaces()
		serves := func(when string, want pam.OrgID, role pam.Role) {
			t.Helper()
			a := w.as(token)
			if a.Org != want || a.Role != role {
				t.Errorf("%s: %s as %s serves, not %s as %s", when, a.Org, a.Role, want, role)
			}
			if got := must[pam.OrgID](t)(w.ActiveOrg(t.Context(), a)); got != want {
				t.Errorf("%s: %s is said to be active, not %s", when, got, want)
			}
		}
		serves("before any was used", first, pam.Operator)
		for _, written := range []bool{false, true} {
			for range 2 { // there and back, and again: no answer rests on what was true before
				fine(t, w.goTo(token, second))
				if written {
					w.flush()
				}
				serves("after the second was used", second, pam.Auditor)
				fine(t, w.goTo(token, first))
				if written {
					w.flush()
				}
				serves("after the first was used", first, pam.Operator)
			}
		}
		fine(t, w.goTo(token, second))
		w.flush()
		w.use(cheap)
		serves("after a restart", second, pam.Auditor)
	})
}

// What somebody merely asks for is not where they were.
func TestRefusedOrganizationIsNotTheLastUsed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		token, _, second := w.twoPlaces()
		third := must[org.Organization](t)(w.orgs.Create(t.Context(), w.owner, "Third", "", "third@example.com", secret.FromString(password)))
		fine(t, w.goTo(token, second))
		other := w.person(w.owner, "other", pam.Operator)
		_, robot := w.pat(other, "safes:read")
		for what, o := range map[string]pam.OrgID{
			"none that exists": "org_none", "that of others": third.ID,
			"bytes that are no text": "\xff\xfe", "a byte that PostgreSQL does not keep": "org\x00", "very long": pam.OrgID(strings.Repeat("o", 1<<20)),
		} {
			refused(t, what, w.goTo(token, o), pam.OrgDenied)
			refused(t, what+", by a robot", w.goTo(robot, o), pam.OrgDenied)
			if a := w.as(token); a.Org != second {
				t.Errorf("%s: %s serves after it was refused", what, a.Org)
			}
			// And nobody's uses are lost through it.
			w.clock.Advance(time.Second)
			w.as(robot)
			w.flush()
			if ts := must[[]identity.AccessToken](t)(w.AccessTokens(t.Context(), other)); len(ts) != 1 || !ts[0].LastUsedAt.Equal(w.clock.Now()) {
				t.Errorf("%s: the use of a token was not written: %v", what, ts)
			}
		}
	})
}
