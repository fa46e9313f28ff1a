package script

import (
	"net/http"
	"slices"
	"testing"

	v1 "vaultpam/api/v1"
)

// In an emergency nobody looks for ids: whoever is named finds the Safe and
// where it leads, before anything is asked for. Who is not, does not.
func TestWhoIsNamedFindsWhereTheSafeLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named, other := w.who["stranger"], w.who["operator"]
	id := w.alone(func(in *v1.SafeIn) {
		in.Approval = "dual"
		in.BreakGlass.UserIDs = []string{named.id, w.founder.id}
	})
	found := read[[]v1.Safe](named.call("GET", "/safes?emergency=true", nil))
	if len(found) != 1 || found[0].ID != id || found[0].Role != "" || len(found[0].Bindings) != 0 {
		t.Errorf("%+v", found)
	}
	if mine := read[[]v1.Safe](other.call("GET", "/safes?emergency=true", nil)); len(mine) != 0 {
		t.Errorf("who is not named finds %+v", mine)
	}
	other.call("GET", "/safes/"+id, nil).want(http.StatusNotFound)
	w.foreign.call("GET", "/safes/"+id, nil).want(http.StatusNotFound)

	got := read[v1.Safe](named.call("GET", "/safes/"+id, nil))
	if len(got.EmergencyTargets) != 1 || !slices.Equal(got.BreakGlass.UserIDs, []string{named.id}) || got.Approval != "" || !got.Checkout.Enabled {
		t.Fatalf("%+v", got)
	}
	target := got.EmergencyTargets[0]
	if target.AccountName == "" || target.Username == "" || target.ResourceName == "" {
		t.Errorf("%+v", target)
	}
	if s := read[v1.Safe](w.founder.call("GET", "/safes/"+id, nil)); len(s.EmergencyTargets) != 0 || len(s.Bindings) != 1 {
		t.Errorf("a manager, who sees the bindings: %+v", s)
	}
	for _, path := range []string{"/members", ""} { // it is no way further in
		method := map[string]string{"": "PATCH", "/members": "GET"}[path]
		if a := named.call(method, "/safes/"+id+path, map[string]any{"description": "mine"}); a.status != http.StatusForbidden && a.status != http.StatusNotFound {
			t.Errorf("%s %s: %d", method, path, a.status)
		}
	}
	named.call("GET", "/accounts/"+target.AccountID, nil).want(http.StatusNotFound)
	read[v1.Checkout](named.call("POST", "/checkouts", v1.CheckoutIn{SafeID: id, AccountID: target.AccountID, Emergency: true, Reason: "the site is down"}).want(http.StatusCreated))
	w.founder.call("PATCH", "/safes/"+id, map[string]any{"break_glass": v1.BreakGlass{UserIDs: []string{}}}).want(http.StatusOK)
	named.call("GET", "/safes/"+id, nil).want(http.StatusNotFound)
}
