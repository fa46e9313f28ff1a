package store_test

import (
	"fmt"
	"slices"
	"testing"

	"vaultpam/pam"
	"vaultpam/pam/rotation"
)

// Few of many credentials have a flag: every page but the last is full of them
// all the same, and none is missed or told of twice.
func TestPageOfFlaggedCredentialsIsFull(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		service := newSimulated(w, 1).process(w, 1)
		var want []pam.AccountID
		for i := range 40 {
			acc := w.account(w.admin, fmt.Sprintf("svc-%02d", i), "")
			if i == 3 || i == 17 || i >= 36 {
				w.sql(`UPDATE credential_versions SET weak = 'short' WHERE account_id = ?`, string(acc.ID))
				want = append(want, acc.ID)
			}
		}
		var got []pam.AccountID
		q := rotation.HealthQuery{Flag: rotation.FlagWeak, Limit: 2}
		for {
			rows := must[[]rotation.Health](t)(service.Health(t.Context(), w.admin, q))
			for _, h := range rows {
				if !slices.Contains(h.Flags, rotation.FlagWeak) {
					t.Fatalf("%+v is not weak", h)
				}
				got = append(got, h.Account)
			}
			if len(rows) < q.Limit {
				break
			}
			q.After = rows[len(rows)-1].Account
		}
		if !slices.Equal(got, want) {
			t.Errorf("flagged: %v, want %v", got, want)
		}
		if rows := must[[]rotation.Health](t)(service.Health(t.Context(), w.admin, rotation.HealthQuery{Flag: rotation.FlagStuck, Limit: 2})); len(rows) != 0 {
			t.Errorf("stuck: %+v", rows)
		}
		if rows := must[[]rotation.Health](t)(service.Health(t.Context(), w.stranger, rotation.HealthQuery{Flag: rotation.FlagWeak, Limit: 2})); len(rows) != 0 {
			t.Errorf("somebody of another organization sees %+v", rows)
		}
	})
}
