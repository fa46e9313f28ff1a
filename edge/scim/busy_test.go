package scim

import (
	"net/http/httptest"
	"testing"

	"vaultpam/pam"
)

func TestDirectoriesOfOneOrganizationHoldNobodyElseUp(t *testing.T) {
	h := New(Deps{})
	var leaves []func()
	for range maxBusy {
		leave, err := h.begin(httptest.NewRecorder(), "org_a")
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	w := httptest.NewRecorder()
	if _, err := h.begin(w, "org_a"); !pam.Is(err, pam.TooMany) || w.Header().Get("Retry-After") == "" {
		t.Errorf("one too many: %v", err)
	}
	other, err := h.begin(httptest.NewRecorder(), "org_b")
	if err != nil {
		t.Errorf("another organization: %v", err)
	}
	other()
	for _, leave := range leaves {
		leave()
	}
	if len(h.busy) != 0 {
		t.Errorf("%v are counted after they have ended", h.busy)
	}
}
