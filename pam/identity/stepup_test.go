package identity_test

import (
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
)

// bold is every act that asks for a fresh authentication, with whether it was
// refused for the lack of one.
func (w *world) bold(a pam.Actor) map[string]bool {
	w.t.Helper()
	_, line := newKey(w.t)
	_, _, token := w.CreateAccessToken(w.t.Context(), a, "robot", []string{"safes:read"}, 1)
	_, add := w.AddSSHKey(w.t.Context(), a, "laptop", line)
	out := map[string]bool{}
	for what, err := range map[string]error{"a token": token, "a key": add, "no key": w.RemoveSSHKey(w.t.Context(), a, "key_none")} {
		out[what] = pam.Is(err, pam.StepUpNeeded)
		if err != nil && !out[what] && !pam.Is(err, pam.NotFound) {
			w.t.Errorf("%s: %v", what, err)
		}
	}
	return out
}

func TestStepUpLastsForAQuarterOfAnHourAndForOneLogin(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		bearer, other := w.bearer("owner@example.com"), w.bearer("owner@example.com")
		asks := func(when, token string, want bool) {
			t.Helper()
			for what, asked := range w.bold(w.as(token)) {
				if asked != want {
					t.Errorf("%s, %s: a step-up is asked for: %v", when, what, asked)
				}
			}
		}
		asks("after the login", bearer, false)
		w.clock.Advance(15*time.Minute - time.Microsecond)
		asks("just before it is over", bearer, false)
		w.clock.Advance(time.Microsecond)
		asks("a quarter of an hour later", bearer, true)

		refusedStep := func(password string) error {
			_, err := w.StepUp(t.Context(), w.as(bearer), secret.FromString(password), here)
			return err
		}
		refused(t, "a wrong password", refusedStep("wrong horse battery"), pam.AuthFailed)
		refused(t, "no password", refusedStep(""), pam.AuthFailed)
		asks("after failures", bearer, true)

		until := must[time.Time](t)(w.StepUp(t.Context(), w.as(bearer), secret.FromString(password), here))
		if !until.Equal(w.clock.Now().Add(15 * time.Minute)) {
			t.Errorf("it counts until %s, now is %s", until, w.clock.Now())
		}
		asks("after the step-up", bearer, false)
		asks("in another login", other, true)
		w.use(cheap)
		asks("after a restart", bearer, false)
		w.clock.Advance(until.Sub(w.clock.Now()))
		asks("when it is over", bearer, true)
		if ok, failed := w.count(w.home, audit.StepUpSucceeded), w.count(w.home, audit.StepUpFailed); ok != 1 || failed != 2 {
			t.Errorf("%d step-ups and %d failures on record", ok, failed)
		}
	})
}

// It makes the login fresh, not longer.
func TestStepUpDoesNotProlongTheLogin(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		bearer := w.bearer("owner@example.com")
		for range 3 {
			w.clock.Advance(20*time.Minute - time.Microsecond)
			must[time.Time](t)(w.StepUp(t.Context(), w.as(bearer), secret.FromString(password), here))
		}
		w.clock.Advance(3 * time.Microsecond)
		_, err := w.Authenticate(t.Context(), bearer, "", here)
		refused(t, "after an hour", err, pam.Unauthenticated)
	})
}

func TestStepUpOfALoginThatHasEndedBringsNothingBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		bearer := w.bearer("owner@example.com")
		a := w.as(bearer)
		fine(t, w.RevokeLogin(t.Context(), w.owner, pam.LoginID(a.TokenID)))
		if _, err := w.StepUp(t.Context(), a, secret.FromString(password), here); err == nil {
			t.Error("a login that was revoked has stepped up")
		}
		_, err := w.Authenticate(t.Context(), bearer, "", here)
		refused(t, "after it was revoked", err, pam.Unauthenticated)

		// Nor can a step-up be made for the login of somebody else.
		ada := w.person(w.owner, "ada", pam.Operator)
		ada.TokenID = w.owner.TokenID
		if _, err := w.StepUp(t.Context(), ada, secret.FromString(password), here); !pam.Is(err, pam.NotFound) {
			t.Errorf("the login of somebody else: %v", err)
		}
		for _, l := range must[[]identity.Login](t)(w.Logins(t.Context(), w.owner)) {
			if !l.StepUpAt.Equal(l.CreatedAt) {
				t.Errorf("%+v", l)
			}
		}
	})
}
