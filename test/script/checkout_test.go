package script

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// What stands in the way of a checkout is said in the words of the contract, in
// an emergency too.
func TestCheckoutSaysWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	operator, viewer := w.who["operator"], w.who["viewer"]
	for _, emergency := range []bool{false, true} {
		safe := w.alone(func(in *v1.SafeIn) {
			in.Checkout.Exclusive = false
			in.BreakGlass.UserIDs = []string{operator.id}
		})
		w.founder.joins(safe, operator, "operator")
		w.founder.joins(safe, viewer, "viewer")
		says := func(who *caller, status int, code, message string) {
			t.Helper()
			a := who.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe, Emergency: emergency, Reason: "the site is down"})
			got := read[map[string]string](answer{t: t, status: http.StatusOK, body: a.body})
			delete(got, "request_id")
			if a.status != status || !maps.Equal(got, map[string]string{"error": code, "message": message}) {
				t.Errorf("emergency %v: %d %s", emergency, a.status, a.body)
			}
		}
		operator.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe, Emergency: emergency, Reason: "the site is down"}).want(http.StatusCreated)
		says(viewer, http.StatusForbidden, "FORBIDDEN", "You do not have permission to check out this credential")
		w.founder.call("PATCH", "/safes/"+safe, map[string]any{"credential_expires_at": time.Now().Add(-time.Second)}).want(http.StatusOK)
		says(operator, http.StatusForbidden, "CREDENTIAL_POLICY_EXPIRED", "Credential policy expired")
		w.founder.call("POST", "/safes/"+safe+"/lock", nil).want(http.StatusOK)
		says(operator, http.StatusLocked, "SAFE_LOCKED", "This safe is locked")
		if !emergency {
			continue
		}
		w.founder.call("POST", "/vault/seal", nil).want(http.StatusOK)
		for _, emergency = range []bool{false, true} {
			says(operator, http.StatusServiceUnavailable, "VAULT_SEALED", "Vault is sealed — credential access unavailable")
		}
	}
}

// Somebody has a secret when a policy comes to speak against it, or the Safe
// reveals none any more: it is taken back, and on record is what did it.
func TestPolicyTakesBackTheSecretsThatItRefuses(t *testing.T) {
	t.Parallel()
	p := startServer(t, "--metrics-token", "0123456789abcdef-of-metrics")
	owner := p.owner()
	operator := owner.person(p, "operator@back.test", "operator")
	demo := owner.safe("Demo").Bindings[:1]
	yesterday := []v1.HourWindow{{Days: []string{strings.ToLower(time.Now().UTC().AddDate(0, 0, -1).Weekday().String()[:3])}, From: "00:00", To: "12:00"}}
	for _, c := range []struct {
		what, cause string
		end         func(safe string) (rule string)
	}{
		{"a refusal", "policy_denied", func(safe string) string {
			return "policy " + owner.rule(v1.PolicyIn{Action: "deny", SafeIDs: []string{safe}}).ID
		}},
		{"other addresses", "policy_denied", func(safe string) string {
			owner.rule(v1.PolicyIn{Action: "allow", SafeIDs: []string{safe}, Conditions: v1.PolicyConditions{SourceIPs: []string{"127.0.0.1"}}})
			owner.rule(v1.PolicyIn{Name: "deny it here", Action: "deny", SafeIDs: []string{safe}, Conditions: v1.PolicyConditions{SourceIPs: []string{"127.0.0.0/8"}}})
			return ""
		}},
		{"hours", "hours_over", func(safe string) string {
			owner.call("PATCH", "/safes/"+safe, map[string]any{"valid_hours": v1.ValidHours{TimeZone: "UTC", Windows: yesterday}}).want(http.StatusOK)
			return "valid_hours"
		}},
		{"no checkouts", "checkout_off", func(safe string) string {
			owner.call("PATCH", "/safes/"+safe, map[string]any{"checkout": map[string]any{"enabled": false}}).want(http.StatusOK)
			return "checkout"
		}},
		{"an approval", "approval_needed", func(safe string) string {
			owner.call("PATCH", "/safes/"+safe, map[string]any{"approval": "single"}).want(http.StatusOK)
			return "approval"
		}},
	} {
		safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{Name: c.what, Bindings: demo, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 600}})).ID
		owner.joins(safe, operator, "operator")
		out := read[v1.Checkout](operator.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe}).want(http.StatusCreated))
		rule := c.end(safe)
		eventually(t, 15*time.Second, c.what+": it is taken back", func() bool {
			time.Sleep(20 * time.Millisecond)
			return read[v1.Checkout](operator.call("GET", "/checkouts/"+out.ID, nil)).Status == "available"
		})
		if got := read[v1.Checkout](operator.call("GET", "/checkouts/"+out.ID, nil)); got.Cause != c.cause || got.CheckedInBy != "" {
			t.Errorf("%s: %+v", c.what, got)
		}
		i := slices.IndexFunc(owner.events("CREDENTIAL_CHECKED_IN"), func(e v1.AuditEvent) bool {
			got, _ := e.Metadata["rule"].(string)
			return e.Metadata["checkout_id"] == out.ID && e.Metadata["cause"] == c.cause && (got == rule || rule == "" && strings.HasPrefix(got, "policy pol_"))
		})
		if i < 0 {
			t.Errorf("%s: nothing on record says so: %+v", c.what, owner.events("CREDENTIAL_CHECKED_IN"))
		}
	}
	req, err := http.NewRequest("GET", p.base+"/metrics", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer 0123456789abcdef-of-metrics")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	for _, line := range []string{`vaultpam_checkout_ended_total{cause="policy_denied"} 2`, `vaultpam_checkout_ended_total{cause="checkout_off"} 1`, "vaultpam_checkout_active 0", `vaultpam_emergency_total{what="session"} 0`} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("the metrics do not say %s", line)
		}
	}
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
