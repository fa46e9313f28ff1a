package policy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vaultpam/pam"
)

// asked is a question whose policies and hours are still as they were written.
type asked struct {
	Question
	Policies []Spec
	Hours    *Hours
	TypeList []pam.Protocol
}

// compiled is the question as Evaluate takes it.
func (a asked) compiled(t fataler) *Question {
	t.Helper()
	q := a.Question
	var rules []*Rule
	for _, s := range a.Policies {
		r, err := Compile(s)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		rules = append(rules, r)
	}
	q.Rules, q.Types = NewSet(rules...), TypesOf(a.TypeList...)
	w, err := a.Hours.Compile()
	if err != nil {
		t.Fatalf("%+v: %v", a.Hours, err)
	}
	q.Safe.Hours = w
	return &q
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// slowly decides as the contract is written, one sentence after the other,
// from what people wrote. It shares nothing with Evaluate but the table of
// roles.
func slowly(a asked) string {
	// Rights from membership, groups and grants are a union.
	agreed, granted := 0, false
	for _, g := range a.Grants {
		forIt := g.Command == "" || g.Command == a.Command // what is approved may be one command
		if forIt && a.At.Before(g.Ends) && !g.Starts.After(a.At) {
			granted = true
			agreed = max(agreed, g.Approvers)
		}
	}
	mayAsRole := Allowed(a.Action, Facts{Role: a.Role, SafeRole: a.SafeRole})
	mayAsGranted := granted && a.Role != pam.Auditor && slices.Contains(pam.Roles, a.Role)
	may := mayAsRole || mayAsGranted
	if a.Emergency {
		// In an emergency, those whom a manager has named, and nobody else.
		may = slices.Contains(a.Safe.BreakGlass, a.User) && slices.Contains(pam.Roles, a.Role) && a.Role != pam.Auditor
	}
	if !may {
		return "deny: membership"
	}
	if a.Action == CredentialReveal && !a.Safe.Checkout {
		return "deny: checkout"
	}
	if a.Safe.Locked {
		return "deny: lock"
	}
	if a.Hours != nil && !slowlyIn(*a.Hours, a.At) {
		return "deny: valid hours"
	}
	if !a.Safe.Expires.IsZero() && !a.Safe.Expires.After(a.At) {
		return "deny: expiry"
	}
	// Deny wins.
	for _, p := range a.Policies {
		if p.Action == Deny && slowlyApplies(a, p) {
			return "deny: policies"
		}
	}
	// If any allow-policy is assigned, one must match, else deny.
	allowPolicies, matching, matchingWithoutFactor := 0, 0, 0
	for _, p := range a.Policies {
		if p.Action != Allow {
			continue
		}
		allowPolicies++
		if slowlyApplies(a, p) {
			matching++
			if !p.Conditions.MFARequired {
				matchingWithoutFactor++
			}
		}
	}
	if allowPolicies > 0 && matching == 0 {
		return "deny: policies"
	}
	// The stricter of the Safe's approval and the policies' holds.
	need, factor := a.Safe.Approvers, matching > 0 && matchingWithoutFactor == 0
	for _, p := range a.Policies {
		if p.Action == RequireApproval && slowlyApplies(a, p) {
			need = max(need, p.JIT.Approvers)
			factor = factor || p.Conditions.MFARequired
		}
	}
	if need > agreed && !a.Emergency { // which skips the approval, and nothing else
		return fmt.Sprintf("require_approval: %d", need)
	}
	again := a.Safe.StepUp || a.Emergency && !a.Declared // whoever declared it has shown it then
	if !a.Live && (factor && !a.Factor || again && !a.Fresh) {
		return "step up"
	}
	return "allow"
}

func slowlyApplies(a asked, p Spec) bool {
	c := p.Conditions
	if c.TimeWindow != nil && !slowlyIn(*c.TimeWindow, a.At) {
		return false
	}
	if len(c.SourceIPs) > 0 {
		if !a.From.IsValid() {
			if p.Action == Allow {
				return false
			}
		} else if !slowlyFrom(c.SourceIPs, a.From) {
			return false
		}
	}
	if len(c.ResourceTypes) > 0 {
		some, all := false, len(a.TypeList) > 0
		for _, t := range a.TypeList {
			in := slices.Contains(c.ResourceTypes, t)
			some, all = some || in, all && in
		}
		if p.Action == Allow && !all || p.Action != Allow && !some && len(a.TypeList) > 0 {
			return false
		}
	}
	if len(c.UserIDs)+len(c.GroupIDs)+len(c.Roles) == 0 {
		return true
	}
	if slices.Contains(c.UserIDs, a.User) || slices.Contains(c.Roles, a.Role) {
		return true
	}
	for _, g := range a.Groups {
		if slices.Contains(c.GroupIDs, g) {
			return true
		}
	}
	return false
}

func slowlyFrom(ranges []string, from netip.Addr) bool {
	ip := net.ParseIP(from.Unmap().WithZone("").String())
	for _, r := range ranges {
		if !strings.Contains(r, "/") {
			if ip.Equal(net.ParseIP(r)) {
				return true
			}
			continue
		}
		_, network, err := net.ParseCIDR(r)
		// net thinks of 10.0.0.0 as of ::ffff:10.0.0.0.
		if err == nil && (ip.To4() != nil) == (network.IP.To4() != nil) && network.Contains(ip) {
			return true
		}
	}
	return false
}

// slowlyIn reads the clock on the wall, in text.
func slowlyIn(h Hours, at time.Time) bool {
	zone, err := time.LoadLocation(h.TimeZone)
	if err != nil {
		return false
	}
	local := at.In(zone)
	clock := local.Format("15:04")
	today := strings.ToLower(local.Format("Mon"))
	y, m, d := local.Date()
	yesterday := strings.ToLower(time.Date(y, m, d-1, 12, 0, 0, 0, time.UTC).Format("Mon"))
	for _, w := range h.Windows {
		for _, day := range w.Days {
			overnight := w.To <= w.From
			switch {
			case !overnight && day == today && w.From <= clock && clock < w.To:
				return true
			case overnight && day == today && w.From <= clock:
				return true
			case overnight && day == yesterday && clock < w.To:
				return true
			}
		}
	}
	return false
}

// told puts a decision into the words of slowly.
func told(d Decision) string {
	switch d.Step {
	case Membership:
		return "deny: membership"
	case CheckoutOff:
		return "deny: checkout"
	case Lock:
		return "deny: lock"
	case ValidHours:
		return "deny: valid hours"
	case Expiry:
		return "deny: expiry"
	case Policies:
		return "deny: policies"
	case Approval:
		return fmt.Sprintf("require_approval: %d", d.Approvers)
	case StepUpNow:
		return "step up"
	}
	return string(d.Effect)
}

var (
	someZones = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Chatham", "Africa/Casablanca"}
	someDays  = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	someUsers = []pam.UserID{"usr_a", "usr_b", "usr_c"}
	someTeams = []pam.GroupID{"grp_a", "grp_b", "grp_c", "grp_d"}
	someNets  = []string{"10.0.0.0/8", "10.1.2.3", "192.168.1.0/24", "192.168.2.0/23", "0.0.0.0/0", "::/0", "2001:db8::/32", "::ffff:10.0.0.0/104", "10.128.0.0/9", "11.0.0.0/8"}
	someAddrs = []netip.Addr{
		{},
		netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("::ffff:10.1.2.3"), netip.MustParseAddr("192.168.3.255"), netip.MustParseAddr("192.168.1.7"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("172.16.0.1"), netip.MustParseAddr("11.255.255.255"),
	}
	someTypes = []pam.Protocol{pam.SSH, pam.PostgreSQL, pam.RDP}
)

func someHours() *rapid.Generator[*Hours] {
	return rapid.Custom(func(t *rapid.T) *Hours {
		if rapid.IntRange(0, 2).Draw(t, "any time") > 0 {
			return nil
		}
		h := &Hours{TimeZone: rapid.SampledFrom(someZones).Draw(t, "zone")}
		for range rapid.IntRange(1, 3).Draw(t, "windows") {
			from, to := rapid.IntRange(0, minutesPerDay-1).Draw(t, "from"), rapid.IntRange(0, minutesPerDay).Draw(t, "to")
			if from == to {
				to = (to + 1) % minutesPerDay
			}
			h.Windows = append(h.Windows, Window{
				Days: rapid.SliceOfNDistinct(rapid.SampledFrom(someDays), 1, 7, rapid.ID).Draw(t, "days"),
				From: fmt.Sprintf("%02d:%02d", from/60, from%60), To: fmt.Sprintf("%02d:%02d", to/60, to%60),
			})
		}
		return h
	})
}

func some[T comparable](t *rapid.T, label string, all []T) []T {
	if rapid.IntRange(0, 2).Draw(t, label+" at all") > 0 {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID).Draw(t, label)
}

var somePolicy = rapid.Custom(func(t *rapid.T) Spec {
	s := Spec{
		ID: pam.PolicyID(fmt.Sprintf("pol_%04d", rapid.IntRange(0, 9999).Draw(t, "id"))), Name: "p", Action: rapid.SampledFrom(Effects).Draw(t, "action"),
		Conditions: Conditions{
			TimeWindow: someHours().Draw(t, "window"), SourceIPs: some(t, "nets", someNets), ResourceTypes: some(t, "types", someTypes),
			UserIDs: some(t, "users", someUsers), GroupIDs: some(t, "groups", someTeams), Roles: some(t, "roles", pam.Roles),
			MFARequired: rapid.Bool().Draw(t, "factor"),
		},
	}
	if s.Action == RequireApproval {
		s.JIT = JIT{Approvers: rapid.IntRange(1, 2).Draw(t, "approvers"), MaxSeconds: rapid.SampledFrom([]int{0, 60, 3600}).Draw(t, "max"), AutoExpire: rapid.Bool().Draw(t, "expire")}
	}
	return s
})

// times cluster around where clocks are set.
var someTime = rapid.Custom(func(t *rapid.T) time.Time {
	around := rapid.SampledFrom([]string{"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-11-01T06:00:00Z", "2026-03-08T07:00:00Z", "2026-04-04T15:00:00Z", "2026-11-23T12:00:00Z", "1969-12-31T23:00:00Z"}).Draw(t, "around")
	at, err := time.Parse(time.RFC3339, around)
	if err != nil {
		t.Fatal(err)
	}
	return at.Add(time.Duration(rapid.Int64Range(-4*24*3600, 4*24*3600).Draw(t, "seconds")) * time.Second)
})

var someCommands = []string{"", "", "5e88", "9f86"}

var someQuestion = rapid.Custom(func(t *rapid.T) asked {
	a := asked{Hours: someHours().Draw(t, "valid hours"), Policies: rapid.SliceOfN(somePolicy, 0, 6).Draw(t, "policies"), TypeList: some(t, "types", append(someTypes, "telnet"))}
	a.Question = Question{
		Action: rapid.SampledFrom([]Action{SessionLaunch, CredentialReveal}).Draw(t, "action"),
		User:   rapid.SampledFrom(someUsers).Draw(t, "user"), Groups: some(t, "groups", someTeams),
		Role:     rapid.SampledFrom(append([]pam.Role{""}, pam.Roles...)).Draw(t, "role"),
		SafeRole: rapid.SampledFrom([]pam.SafeRole{"", pam.SafeViewer, pam.SafeOperator, pam.SafeManager, pam.SafeOperator, pam.SafeApprover}).Draw(t, "role in the safe"),
		From:     rapid.SampledFrom(someAddrs).Draw(t, "from"), At: someTime.Draw(t, "at"),
		Command: rapid.SampledFrom(someCommands).Draw(t, "command"),
		Fresh:   rapid.Bool().Draw(t, "fresh"), Factor: rapid.Bool().Draw(t, "factor"), Live: rapid.IntRange(0, 4).Draw(t, "live") == 0,
		Safe: Controls{
			Locked: rapid.IntRange(0, 9).Draw(t, "locked") == 0, Approvers: rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "approvers"), StepUp: rapid.Bool().Draw(t, "step-up"),
			Checkout: rapid.IntRange(0, 3).Draw(t, "checkout") > 0,
		},
	}
	if a.Emergency = rapid.IntRange(0, 3).Draw(t, "emergency") == 0; a.Emergency {
		a.Declared = rapid.Bool().Draw(t, "declared")
	}
	a.Safe.BreakGlass = some(t, "named", someUsers)
	if rapid.IntRange(0, 5).Draw(t, "expires") == 0 {
		a.Safe.Expires = someTime.Draw(t, "expiry")
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "grants") {
		a.Grants = append(a.Grants, Grant{
			ID: pam.GrantID(fmt.Sprint("gnt_", i)), Approvers: rapid.IntRange(0, 2).Draw(t, "agreed"),
			Starts: a.At.Add(time.Duration(rapid.IntRange(-2, 1).Draw(t, "starts")) * time.Hour), Ends: a.At.Add(time.Duration(rapid.IntRange(-1, 2).Draw(t, "ends")) * time.Hour),
			Command: rapid.SampledFrom(someCommands).Draw(t, "approved command"),
		})
	}
	return a
})

// Whatever memberships, groups, policies, grants and times there are, the fast
// evaluator and the obvious one agree; and an explanation is of the same
// decision.
func TestEvaluatorAgreesWithTheObviousOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someQuestion.Draw(t, "question")
		q := a.compiled(t)
		d := Evaluate(q)
		if got, want := told(d), slowly(a); got != want {
			t.Fatalf("decided %q, want %q", got, want)
		}
		explained, reasons := Explain(q)
		if explained.Step != d.Step || explained.Effect != d.Effect || explained.Rule != d.Rule || explained.Approvers != d.Approvers && d.Effect != Deny {
			t.Fatalf("explained %+v, decided %+v", explained, d)
		}
		if len(reasons) == 0 {
			t.Fatal("no reason is given")
		}
		for _, r := range reasons {
			if r.Rule == "" || r.Effect == "" || !strings.HasSuffix(r.Why, ".") {
				t.Fatalf("%+v explains nothing", r)
			}
		}
		if (d.Refusal(q) == "") != (d.Step == Passed || d.Step == Membership || d.Step == CheckoutOff) || d.Decider(q) == "" {
			t.Fatalf("%+v has the words %q and %q", d, d.Refusal(q), d.Decider(q))
		}
	})
}

// How open each outcome is.
func openness(d Decision) int {
	switch {
	case d.Effect == Deny:
		return 0
	case d.Effect == RequireApproval:
		return 10 - d.Approvers
	case d.Factor:
		return 20
	case !d.Open():
		return 21
	}
	return 30
}

// A change that is said to weaken nothing opens nothing: not to anybody, at
// any time, from anywhere.
func TestWhatIsNotSaidToWeakenOpensNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := someQuestion.Draw(t, "question")
		before := a.compiled(t)
		b := a
		b.Policies = slices.Clone(a.Policies)
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0:
			b.Policies = append(b.Policies, somePolicy.Draw(t, "added"))
		case 1:
			if len(b.Policies) > 0 {
				b.Policies = slices.Delete(b.Policies, 0, 1)
			}
		default:
			if len(b.Policies) > 0 {
				changed := somePolicy.Draw(t, "changed")
				if rapid.Bool().Draw(t, "only a little") {
					little := b.Policies[0]
					switch rapid.IntRange(0, 4).Draw(t, "what") {
					case 0:
						little.Conditions.TimeWindow = changed.Conditions.TimeWindow
					case 1:
						little.Conditions.SourceIPs = changed.Conditions.SourceIPs
					case 2:
						little.Conditions.UserIDs, little.Conditions.Roles = changed.Conditions.UserIDs, changed.Conditions.Roles
					case 3:
						little.Conditions.MFARequired = !little.Conditions.MFARequired
					case 4:
						little.Conditions.ResourceTypes = changed.Conditions.ResourceTypes
					}
					changed = little
				}
				b.Policies[0] = changed
			}
		}
		after := b.compiled(t)
		if Weaker(before.Rules, after.Rules) != "" {
			return
		}
		if x, y := Evaluate(before), Evaluate(after); openness(y) > openness(x) {
			t.Fatalf("said to weaken nothing, but opened %q to %q", told(x), told(y))
		}
	})
}
