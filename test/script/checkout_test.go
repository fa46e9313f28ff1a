package script

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	v1 "vaultpam/api/v1"
)

// alone is a Safe whose secret one person has at a time.
func (w *world) alone(more func(*v1.SafeIn)) string {
	w.t.Helper()
	in := v1.SafeIn{
		Name: w.unique("Alone"), Bindings: w.founder.safe("Demo").Bindings[:1],
		Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 600, Exclusive: true},
	}
	if more != nil {
		more(&in)
	}
	return read[v1.Safe](w.founder.call("POST", "/safes", in)).ID
}

// Two people ask for the same secret in the same moment, many times over, to
// have it both.
func TestAttackDoubleCheckout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	safe, operator := w.alone(nil), w.who["operator"]
	w.founder.joins(safe, operator, "operator")
	for range 5 {
		var wg sync.WaitGroup
		answers := make([]answer, 6)
		for i := range answers {
			wg.Go(func() {
				answers[i] = []*caller{w.founder, operator}[i%2].call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe})
			})
		}
		wg.Wait()
		var got []v1.Checkout
		for _, a := range answers {
			if a.status == http.StatusCreated {
				got = append(got, read[v1.Checkout](a))
			} else {
				a.want(http.StatusConflict, "CONFLICT")
			}
		}
		if len(got) != 1 {
			t.Fatalf("%d have the secret", len(got))
		}
		back := read[v1.Checkout](w.founder.call("POST", "/checkouts/"+got[0].ID+"/check-in", nil))
		if back.Status != "available" || !slices.Contains([]string{"forced", "by_holder"}, back.Cause) {
			t.Errorf("%+v", back)
		}
	}
}

func TestCheckoutIsExtendedByItsHolderWhileTheyMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	safe, operator := w.alone(nil), w.who["operator"]
	w.founder.joins(safe, operator, "operator")
	out := read[v1.Checkout](operator.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe, Reason: "to mend it"}))
	extend := "/checkouts/" + out.ID + "/extend"
	w.founder.call("POST", extend, nil).want(http.StatusNotFound)
	operator.call("POST", extend, v1.ExtendIn{DurationSeconds: 601}).want(http.StatusUnprocessableEntity)
	operator.call("POST", extend, v1.ExtendIn{DurationSeconds: 1}).want(http.StatusConflict)
	for i := range 3 {
		if c := read[v1.Checkout](operator.call("POST", extend, nil)); c.Extensions != i+1 || !c.ExpiresAt.After(out.ExpiresAt) || c.Value != "" {
			t.Errorf("%+v", c)
		}
	}
	operator.call("POST", extend, nil).want(http.StatusConflict)
	mine := read[[]v1.Checkout](operator.call("GET", "/checkouts?user_id=me&safe_id="+safe, nil))
	if len(mine) != 1 || mine[0].SafeName == "" || mine[0].AccountName == "" || !mine[0].Exclusive {
		t.Errorf("%+v", mine)
	}
	w.founder.call("POST", "/safes/"+safe+"/lock", nil).want(http.StatusOK)
	operator.call("POST", extend, nil).want(http.StatusConflict)
	w.founder.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe}).want(http.StatusLocked, "SAFE_LOCKED")
}

// Break-glass opens for those who are named, and for nobody else; past the
// approval, and past nothing else.
func TestAttackBreakGlass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named, other := w.who["operator"], w.who["stranger"]
	safe := w.alone(func(in *v1.SafeIn) {
		in.Approval = "dual"
		in.BreakGlass.UserIDs = []string{named.id}
	})
	ask := v1.CheckoutIn{SafeID: safe, Emergency: true, Reason: "the site is down"}
	named.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe, Emergency: true}).want(http.StatusUnprocessableEntity)
	named.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe}).want(http.StatusNotFound)
	other.call("POST", "/checkouts", ask).want(http.StatusNotFound)
	w.founder.call("POST", "/checkouts", ask).want(http.StatusForbidden, "FORBIDDEN")
	w.who["admin"].call("POST", "/checkouts", ask).want(http.StatusForbidden, "FORBIDDEN")
	w.who["admin"].call("PATCH", "/safes/"+safe, map[string]any{"break_glass": v1.BreakGlass{UserIDs: []string{named.id, w.who["admin"].id}}}).want(http.StatusForbidden)
	out := read[v1.Checkout](named.call("POST", "/checkouts", ask).want(http.StatusCreated))
	if !out.Emergency || out.Value == "" {
		t.Errorf("%+v", out)
	}
	events := read[[]v1.AuditEvent](w.founder.call("GET", "/audit-events?type=BREAK_GLASS_USED", nil))
	if i := slices.IndexFunc(events, func(e v1.AuditEvent) bool { return e.Target.ID == safe }); i < 0 || events[i].Category != "emergency" || events[i].Metadata["reason"] != ask.Reason {
		t.Errorf("%+v", events)
	}
	named.call("POST", "/checkouts/"+out.ID+"/check-in", nil).want(http.StatusOK)
	read[v1.Launch](named.call("POST", "/sessions", v1.SessionIn{SafeID: safe, Emergency: true, Reason: "the site is down"}).want(http.StatusCreated))
	w.founder.call("POST", "/safes/"+safe+"/lock", nil).want(http.StatusOK)
	named.call("POST", "/checkouts", ask).want(http.StatusLocked, "SAFE_LOCKED")
	named.call("POST", "/sessions", v1.SessionIn{SafeID: safe, Emergency: true, Reason: "the site is down"}).want(http.StatusLocked, "SAFE_LOCKED")
}
