package store_test

import (
	"maps"
	"testing"

	"vaultpam/pam"
)

func TestLabelsAreOfTheirOrganizationAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, r, acc := w.bound(w.admin, "Prod")
		ids := []string{string(s.ID), string(s.ID), string(r.ID), string(acc.ID), string(w.admin.User), "saf_gone", "unknown", ""}
		got := must[map[string]string](t)(w.db.Labels(t.Context(), w.admin.Org, ids))
		want := map[string]string{string(s.ID): s.Name, string(r.ID): r.Name, string(acc.ID): acc.Name, string(w.admin.User): w.admin.Email}
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		got = must[map[string]string](t)(w.db.Labels(t.Context(), pam.OrgID(w.org()), ids[:4]))
		if len(got) != 0 {
			t.Errorf("another organization is told %v", got)
		}
	})
}
