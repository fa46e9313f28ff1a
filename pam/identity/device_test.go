package identity_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
)

// asked is a program's request for a login, from there.
func (w *world) asked() (d identity.Device, code string) {
	w.t.Helper()
	d, value, err := w.StartDevice(w.t.Context(), "vaultpam on build-1", there)
	if err != nil {
		w.t.Fatal(err)
	}
	return d, string(value.Expose())
}

// fetch asks how far a request has come, and returns the token of its login.
func (w *world) fetch(code string) (identity.DeviceStatus, string) {
	w.t.Helper()
	status, r, err := w.FetchDevice(w.t.Context(), code, there)
	if err != nil {
		w.t.Fatal(err)
	}
	return status, string(r.Token.Expose())
}

func (w *world) decides(a pam.Actor, code string, approve bool) error {
	_, err := w.DecideDevice(w.t.Context(), a, code, approve)
	return err
}

func TestProgramGetsTheLoginThatItsPersonApproved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d, code := w.asked()
		if status, token := w.fetch(code); status != identity.DevicePending || token != "" {
			t.Fatalf("before anybody decided: %s, %q", status, token)
		}
		seen, err := w.Device(t.Context(), w.owner, " "+d.ShownCode()+" ")
		if err != nil || seen.Name != "vaultpam on build-1" || seen.ClientIP != "198.51.100.9" || !seen.ExpiresAt.Equal(d.ExpiresAt) {
			t.Fatalf("what the person sees: %+v, %v", seen, err)
		}
		if err := w.decides(w.owner, d.UserCode, true); err != nil {
			t.Fatal(err)
		}
		status, token := w.fetch(code)
		if a := w.as(token); status != identity.DeviceApproved || a.User != w.owner.User || a.TokenID != string(d.ID) || !a.StepUpAt.Equal(w.owner.StepUpAt) {
			t.Fatalf("%s: %+v", status, a)
		}
		if status, token := w.fetch(code); status != identity.DeviceExpired || token != "" {
			t.Errorf("a second time: %s", status)
		}
		if n := w.count(w.home, audit.DeviceLoginApproved); n != 1 {
			t.Errorf("%d approvals on record", n)
		}
		if e := w.events(w.home, audit.LoginSucceeded)[0]; e.Metadata["method"] != "device" || e.SourceIP != "198.51.100.9" {
			t.Errorf("the login on record: %+v", e)
		}
	})
}

func TestProgramThatIsDeniedGetsNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d, code := w.asked()
		if err := w.decides(w.owner, d.UserCode, false); err != nil {
			t.Fatal(err)
		}
		if status, token := w.fetch(code); status != identity.DeviceDenied || token != "" {
			t.Errorf("%s, %q", status, token)
		}
		refused(t, "to approve what was denied", w.decides(w.owner, d.UserCode, true), pam.NotFound)
		if n := w.count(w.home, audit.DeviceLoginDenied); n != 1 {
			t.Errorf("%d refusals on record", n)
		}
	})
}

// A login is handed out, so whoever found an open browser must not do it.
func TestApprovingALoginAsksForAFreshAuthentication(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		bearer := w.bearer("owner@example.com")
		w.clock.Advance(16 * time.Minute)
		d, code := w.asked()
		refused(t, "after a quarter of an hour", w.decides(w.as(bearer), d.UserCode, true), pam.StepUpNeeded)
		_, pat := w.pat(w.signIn("owner@example.com"), "safes:read")
		refused(t, "by a personal token", w.decides(w.as(pat), d.UserCode, true), pam.Denied)
		_, err := w.Device(t.Context(), w.as(pat), d.UserCode)
		refused(t, "seen by a personal token", err, pam.Denied)
		if status, _ := w.fetch(code); status != identity.DevicePending {
			t.Error(status)
		}
	})
}

// The login that is made lives on after the one with which it was approved;
// but it is as fresh as that, so that a chain of them never stays fresh.
func TestLoginOfAProgramIsAsFreshAsItsApproval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		bearer := w.bearer("owner@example.com")
		w.clock.Advance(14 * time.Minute)
		d, code := w.asked()
		if err := w.decides(w.as(bearer), d.UserCode, true); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(2 * time.Minute)
		_, token := w.fetch(code)
		if a := w.as(token); a.Fresh(w.clock.Now()) {
			t.Errorf("fresh since %s", a.StepUpAt)
		}
	})
}

func TestRequestForALoginIsOverAfterTenMinutes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d, code := w.asked()
		approved, fetched := w.asked()
		if err := w.decides(w.owner, approved.UserCode, true); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(identity.DeviceTTL - time.Microsecond)
		if status, _ := w.fetch(code); status != identity.DevicePending {
			t.Errorf("just before: %s", status)
		}
		w.clock.Advance(time.Microsecond)
		refused(t, "to approve it", w.decides(w.signIn("owner@example.com"), d.UserCode, true), pam.NotFound)
		for what, code := range map[string]string{"pending": code, "approved": fetched, "unknown": code[:len(code)-1] + "0", "of another kind": w.bearer("owner@example.com"), "none": ""} {
			if status, token := w.fetch(code); status != identity.DeviceExpired || token != "" {
				t.Errorf("%s: %s", what, status)
			}
		}
	})
}

// Whoever is put out must not come back by an approval that still lies there.
func TestApprovalEndsWithTheTrustInWhoeverGaveIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			name, what string
			end        func(by pam.Actor, bearer string) error
		}{
			{"anna", "a new password", func(by pam.Actor, bearer string) error {
				return w.ChangePassword(t.Context(), by, bearer, secret.FromString(password), secret.FromString("another "+password), here)
			}},
			{"bert", "a revoked login", func(by pam.Actor, _ string) error {
				return w.RevokeLogin(t.Context(), by, pam.LoginID(by.TokenID))
			}},
			{"carol", "a suspension", func(by pam.Actor, _ string) error {
				_, err := w.orgs.Suspend(t.Context(), w.owner, by.User)
				return err
			}},
		} {
			bearer := w.bearer(w.person(w.owner, c.name, pam.Operator).Email)
			by := w.as(bearer)
			d, code := w.asked()
			late, _ := w.asked()
			if err := w.decides(by, d.UserCode, true); err != nil {
				t.Fatal(err)
			}
			if err := c.end(by, bearer); err != nil {
				t.Fatal(c.what, err)
			}
			if status, token := w.fetch(code); token != "" || status == identity.DeviceApproved {
				t.Errorf("after %s: %s", c.what, status)
			}
			// Whoever had come through the door just before that end.
			if err := w.decides(by, late.UserCode, true); c.what == "a revoked login" && !pam.Is(err, pam.Unauthenticated) {
				t.Errorf("approved after %s: %v", c.what, err)
			}
		}
	})
}

func TestOneOfManyFetchesGetsTheLogin(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		d, code := w.asked()
		if err := w.decides(w.owner, d.UserCode, true); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var got atomic.Int64
		for range 8 {
			all.Go(func() {
				status, r, err := w.FetchDevice(t.Context(), code, there)
				if err != nil {
					t.Error(err)
				} else if status == identity.DeviceApproved && len(r.Token.Expose()) > 0 {
					got.Add(1)
				}
			})
		}
		all.Wait()
		if got.Load() != 1 {
			t.Errorf("%d logins", got.Load())
		}
	})
}

func TestRequestsForLoginsAreBounded(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		full := identity.Device{CodeHash: [32]byte{1}, UserCode: "BCDFGHJK", ID: "lgn_1", CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(identity.DeviceTTL)}
		if err := w.db.CreateDevice(t.Context(), full, 1); err != nil {
			t.Fatal(err)
		}
		next := full
		next.CodeHash, next.UserCode, next.ID = [32]byte{2}, "LMNPQRST", "lgn_2"
		refused(t, "one more than there may be", w.db.CreateDevice(t.Context(), next, 1), pam.Unavailable)
		next.CreatedAt = full.ExpiresAt
		if err := w.db.CreateDevice(t.Context(), next, 1); err != nil {
			t.Errorf("once the first is over: %v", err)
		}
	})
}

func TestNameOfAProgramIsOneShortLine(t *testing.T) {
	inSQLite(t, func(t *testing.T, w *world) {
		for _, name := range []string{"two\nlines", "\x00", "\x1b[2J", string(make([]rune, 65)), "a\u202eb"} {
			_, _, err := w.StartDevice(t.Context(), name, here)
			refused(t, name, err, pam.Invalid)
		}
	})
}

func FuzzUserCode(f *testing.F) {
	for _, s := range []string{"BCDF-GHJK", "bcdf ghjk", "", "BCDFGHJ", "AEIOU-AEI", "ÄBCDFGHJK", "--------"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := identity.UserCode(typed)
		if again, still := identity.UserCode(code); ok && (!still || again != code || len(code) != 8) {
			t.Errorf("%q: %q, %q", typed, code, again)
		}
	})
}
