package store_test

import (
	"sync"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/resource"
	"vaultpam/pam/rotation"
	"vaultpam/pam/safe"
	"vaultpam/store/storetest"
)

// shown is a Safe that reveals an account, and takes it back with rotation.
func (w *world) shown(rules safe.Rotation) (safe.Safe, account.Account) {
	w.t.Helper()
	ctx := w.t.Context()
	r := must[resource.Resource](w.t)(w.resources.Create(ctx, w.owner, resource.Settings{Name: "web", Type: pam.SSH, Host: "192.0.2.1"}))
	a := must[account.Account](w.t)(w.accounts.Create(ctx, w.owner, account.Settings{Name: "root", Username: "root", ResourceID: r.ID}, nil))
	s := must[safe.Safe](w.t)(w.safes.Create(ctx, w.owner, safe.Settings{
		Name: "Web", Bindings: []safe.Binding{{ResourceID: r.ID, AccountID: a.ID}}, Checkout: safe.Checkout{Enabled: true}, Rotation: rules,
	}))
	return s, a
}

func (w *world) takes(a pam.Actor, s safe.Safe, acc account.Account, alone bool) (checkout.Checkout, error) {
	now := w.clock.Now()
	c := checkout.Checkout{
		ID: pam.CheckoutID(w.ids.New(pam.PrefixCheckout)), Org: a.Org, Safe: s.ID, Account: acc.ID, User: a.User, Username: acc.Username, Status: checkout.CheckedOut,
		Version: 1, CreatedAt: now, ExpiresAt: now.Add(time.Hour), Exclusive: alone,
	}
	return c, w.db.CreateCheckout(w.t.Context(), a.Org, c, nil, storetest.Entry(a.Org, audit.CredentialCheckedOut))
}

func TestOfCheckoutsAtTheSameTimeOneWinsWhereOneIsExclusive(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, acc := w.shown(safe.Rotation{})
		for round := range 5 {
			var wg sync.WaitGroup
			var mu sync.Mutex
			var won []pam.CheckoutID
			for range 8 {
				wg.Go(func() {
					c, err := w.takes(w.owner, s, acc, true)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won = append(won, c.ID)
					} else if !pam.Is(err, pam.Conflict) {
						t.Errorf("a loser is told: %v", err)
					}
				})
			}
			wg.Wait()
			if len(won) != 1 {
				t.Fatalf("round %d: %d have it", round, len(won))
			}
			if _, err := w.takes(w.owner, s, acc, false); !pam.Is(err, pam.Conflict) {
				t.Errorf("shared beside exclusive: %v", err)
			}
			must[checkout.Checkout](t)(w.checkouts.CheckIn(t.Context(), w.owner, won[0]))
		}
		if _, err := w.takes(w.owner, s, acc, false); err != nil {
			t.Fatal(err)
		}
		if _, err := w.takes(w.owner, s, acc, false); err != nil {
			t.Errorf("shared beside shared: %v", err)
		}
		if _, err := w.takes(w.owner, s, acc, true); !pam.Is(err, pam.Conflict) {
			t.Errorf("exclusive beside shared: %v", err)
		}
	})
}

// due lists the rotations that are asked for.
func (w *world) due() []rotation.Due {
	w.t.Helper()
	return must[[]rotation.Due](w.t)(w.db.DueRotations(w.t.Context(), w.clock.Now(), 10))
}

func TestCheckoutEndsWithWhatItRestsOn(t *testing.T) {
	for name, c := range map[string]struct {
		end func(t *testing.T, w *world, s safe.Safe, m safe.Member)
		why checkout.Cause
	}{
		"nothing":    {func(*testing.T, *world, safe.Safe, safe.Member) {}, ""},
		"time":       {func(_ *testing.T, w *world, _ safe.Safe, _ safe.Member) { w.clock.Advance(time.Hour) }, checkout.TimeOver},
		"suspension": {func(_ *testing.T, w *world, _ safe.Safe, _ safe.Member) { w.suspend(w.operator) }, checkout.MembershipEnded},
		"lock": {func(t *testing.T, w *world, s safe.Safe, _ safe.Member) {
			must[safe.Safe](t)(w.safes.Lock(t.Context(), w.owner, s.ID))
		}, checkout.SafeLocked},
		"removal": {func(t *testing.T, w *world, s safe.Safe, m safe.Member) {
			if err := w.safes.RemoveMember(t.Context(), w.owner, s.ID, m.ID); err != nil {
				t.Fatal(err)
			}
		}, checkout.AccessRemoved},
		"only viewer": {func(t *testing.T, w *world, s safe.Safe, m safe.Member) {
			must[safe.Member](t)(w.safes.UpdateMember(t.Context(), w.owner, s.ID, m.ID, pam.SafeViewer, time.Time{}))
		}, checkout.AccessRemoved},
		"unbinding": {func(t *testing.T, w *world, s safe.Safe, _ safe.Member) {
			in := s.Settings
			in.Bindings = nil
			must[safe.Safe](t)(w.safes.Update(t.Context(), w.owner, s.ID, 0, in))
		}, checkout.BindingRemoved},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				s, acc := w.shown(safe.Rotation{AfterCheckIn: true})
				m := must[safe.Member](t)(w.safes.AddMember(t.Context(), w.owner, s.ID, safe.NewMember{User: w.operator.User, Role: pam.SafeOperator}))
				out, err := w.takes(w.operator, s, acc, true)
				if err != nil {
					t.Fatal(err)
				}
				c.end(t, w, s, m)
				if err := w.checkouts.EndDue(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := must[checkout.Checkout](t)(w.db.CheckoutByID(t.Context(), w.owner.Org, out.ID))
				if got.Cause != c.why || (got.Status == checkout.Available) != (c.why != "") {
					t.Errorf("%s, because of %q", got.Status, got.Cause)
				}
				// Who unbound the account took its Safe's rule away as well.
				want := c.why != "" && c.why != checkout.BindingRemoved
				if due := w.due(); (len(due) == 1 && due[0].Trigger == rotation.AfterCheckIn) != want {
					t.Errorf("rotations asked for: %+v", due)
				}
			})
		})
	}
}

func TestExtensionsOfOneReadingCountOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, acc := w.shown(safe.Rotation{})
		c, err := w.takes(w.owner, s, acc, false)
		if err != nil {
			t.Fatal(err)
		}
		extend := func() error {
			return w.db.ExtendCheckout(t.Context(), w.owner.Org, c, c.ExpiresAt.Add(time.Minute), storetest.Entry(w.owner.Org, audit.CredentialCheckoutExtended))
		}
		if err := extend(); err != nil {
			t.Fatal(err)
		}
		if err := extend(); !pam.Is(err, pam.Conflict) {
			t.Errorf("a second one of the same reading: %v", err)
		}
	})
}
