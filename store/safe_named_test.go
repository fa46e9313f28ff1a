package store_test

import (
	"slices"
	"testing"

	"vaultpam/pam"
	"vaultpam/pam/safe"
)

// Whoever is named for the emergencies of a Safe finds it, and sees what they
// have to know then; nobody else does, and the rest of it stays shut.
func TestWhoIsNamedForEmergenciesFindsTheSafe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		hers := w.safe(w.admin, "Core")
		other := w.safe(w.admin, "Another")
		in := hers.Settings
		in.Description = `mentions "` + string(w.auditor.User) + `"` // which names nobody
		in.BreakGlass.UserIDs = []pam.UserID{w.owner.User, w.operator.User}
		must[safe.Safe](t)(w.safes.Update(t.Context(), w.admin, hers.ID, 0, in))
		find := func(a pam.Actor) []string {
			var names []string
			for _, s := range must[[]safe.Safe](t)(w.safes.List(t.Context(), a, safe.Filter{Emergency: true}, "", 10)) {
				names = append(names, s.Name)
			}
			return names
		}
		for _, a := range []pam.Actor{w.owner, w.operator, w.auditor, w.admin, w.stranger} {
			var want []string
			if a.User == w.owner.User || a.User == w.operator.User {
				want = []string{"Core"}
			}
			if got := find(a); !slices.Equal(got, want) {
				t.Errorf("a %s finds %q, want %q", a.Role, got, want)
			}
		}
		got := must[safe.Safe](t)(w.safes.ByID(t.Context(), w.operator, hers.ID))
		if !got.OnlyNamed || got.SessionTTLSeconds != 0 || got.Recording != "" || len(got.BreakGlass.UserIDs) != 1 || !got.BreakGlass.Names(w.operator.User) || got.Checkout.TTLSeconds == 0 {
			t.Errorf("%+v", got)
		}
		if got := must[[]safe.Safe](t)(w.safes.List(t.Context(), w.operator, safe.Filter{}, "", 10)); len(got) != 0 {
			t.Errorf("the list of their own Safes has %d", len(got))
		}
		for _, id := range []pam.SafeID{hers.ID, other.ID} {
			_, err := w.safes.Update(t.Context(), w.operator, id, 0, in)
			refused(t, err, map[pam.SafeID]pam.Kind{hers.ID: pam.Denied, other.ID: pam.NotFound}[id])
			_, err = w.safes.Members(t.Context(), w.operator, id, "", 10)
			refused(t, err, map[pam.SafeID]pam.Kind{hers.ID: pam.Denied, other.ID: pam.NotFound}[id])
		}
		if _, err := w.safes.ByID(t.Context(), w.stranger, hers.ID); !pam.Is(err, pam.NotFound) {
			t.Errorf("another organization: %v", err)
		}
		in.BreakGlass.UserIDs = nil
		must[safe.Safe](t)(w.safes.Update(t.Context(), w.admin, hers.ID, 0, in))
		if _, err := w.safes.ByID(t.Context(), w.operator, hers.ID); !pam.Is(err, pam.NotFound) || find(w.operator) != nil {
			t.Errorf("who is not named any more still finds it: %v", err)
		}
	})
}
