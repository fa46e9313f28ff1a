package identity_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
)

func from(addr string) identity.Client { return identity.Client{From: netip.MustParseAddr(addr)} }

// guess fails n times from c.
func (w *world) guess(c identity.Client, email string, n int) {
	w.t.Helper()
	for range n {
		refused(w.t, "guess", w.tryFrom(c, email, "wrong horse battery"), pam.AuthFailed)
	}
}

func TestTenFailuresLockAndEachLaterOneForTwiceAsLong(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.guess(here, "owner@example.com", 9)
		fine(t, w.try("owner@example.com", password)) // the row is broken
		w.guess(here, "owner@example.com", 10)
		lock := time.Second
		for range 14 {
			refused(t, "while locked", w.try("owner@example.com", password), pam.AuthFailed)
			w.clock.Advance(lock - time.Microsecond)
			refused(t, fmt.Sprintf("just before %s are over", lock), w.try("owner@example.com", password), pam.AuthFailed)
			// What is tried while it is locked does not make the lock longer.
			w.guess(here, "owner@example.com", 3)
			w.clock.Advance(time.Microsecond)
			w.guess(here, "owner@example.com", 1)
			lock = min(2*lock, 15*time.Minute)
		}
		if lock != 15*time.Minute {
			t.Errorf("the last lock was for %s", lock)
		}
		w.clock.Advance(15 * time.Minute)
		fine(t, w.try("owner@example.com", password))
		w.guess(here, "owner@example.com", 9)
		fine(t, w.try("owner@example.com", password))
	})
}

func TestNobodyLocksSomebodyElseOut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.member(w.owner, "ada", pam.Operator)
		w.guess(here, "owner@example.com", 40)
		refused(t, "from there", w.try("owner@example.com", password), pam.AuthFailed)
		fine(t, w.tryFrom(there, "owner@example.com", password))
		fine(t, w.try("ada@example.com", password))

		// A customer has 2^64 addresses of IPv6, and one of IPv4 in two forms.
		for i := range 10 {
			w.guess(from(fmt.Sprintf("2001:db8:0:1::%d", i)), "owner@example.com", 1)
		}
		refused(t, "another address of the same /64", w.tryFrom(from("2001:db8:0:1:ffff::1"), "owner@example.com", password), pam.AuthFailed)
		fine(t, w.tryFrom(from("2001:db8:0:2::1"), "owner@example.com", password))
		refused(t, "the same in IPv6", w.tryFrom(from("::ffff:192.0.2.7"), "owner@example.com", password), pam.AuthFailed)
	})
}

// Every way in counts against the same account and source.
func TestLockoutHoldsForEveryWayIn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, right, wrong := t.Context(), secretOf(password), secretOf("wrong horse battery")
		w.member(w.owner, "ada", pam.Operator)
		bearer := w.bearer("ada@example.com")
		a := w.as(bearer)
		for i := range 10 {
			var err error
			switch i % 4 {
			case 0:
				_, err = w.AuthenticatePassword(ctx, "ada@example.com", wrong, here)
			case 1:
				_, err = w.LoginConsole(ctx, "ada@example.com", wrong, here)
			case 2:
				_, err = w.StepUp(ctx, a, wrong, here)
			case 3:
				err = w.ChangePassword(ctx, a, bearer, wrong, secretOf("another password"), here)
			}
			refused(t, "guess", err, pam.AuthFailed)
		}
		refused(t, "login", w.try("ada@example.com", password), pam.AuthFailed)
		_, err := w.AuthenticatePassword(ctx, "ada@example.com", right, here)
		refused(t, "native", err, pam.AuthFailed)
		_, err = w.LoginConsole(ctx, "ada@example.com", right, here)
		refused(t, "console", err, pam.AuthFailed)
		_, err = w.StepUp(ctx, a, right, here)
		refused(t, "step-up", err, pam.AuthFailed)
		refused(t, "change of password", w.ChangePassword(ctx, a, bearer, right, secretOf("another password"), here), pam.AuthFailed)
		if n := w.count(w.home, audit.StepUpFailed); n != 6 {
			t.Errorf("%d failed step-ups on record", n)
		}
		w.clock.Advance(time.Second)
		_, err = w.StepUp(ctx, a, right, here)
		fine(t, err)
	})
}
