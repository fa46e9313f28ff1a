package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vaultpam/pam"
)

var monday = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func rule(t testing.TB, s Spec) *Rule {
	t.Helper()
	if s.ID == "" {
		s.ID = pam.PolicyID("pol_" + string(s.Action))
	}
	if s.Name == "" {
		s.Name = string(s.Action)
	}
	r, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// elsewhere is a condition that nobody here meets.
var elsewhere = Conditions{SourceIPs: []string{"203.0.113.0/24"}}

// TestEveryCombinationOfPoliciesApprovalsAndFactors prints what each of them
// comes to, for somebody who is a member and whom nothing else stops.
func TestEveryCombinationOfPoliciesApprovalsAndFactors(t *testing.T) {
	type choice struct {
		name  string
		specs []Spec
	}
	denies := []choice{{"-", nil}, {"no match", []Spec{{Action: Deny, Conditions: elsewhere}}}, {"match", []Spec{{Action: Deny}}}}
	asks := []choice{
		{"-", nil},
		{"no match", []Spec{{Action: RequireApproval, Conditions: elsewhere, JIT: JIT{Approvers: 2}}}},
		{"one", []Spec{{Action: RequireApproval, JIT: JIT{Approvers: 1}}}},
		{"two", []Spec{{Action: RequireApproval, JIT: JIT{Approvers: 2}}}},
		{"one, factor", []Spec{{Action: RequireApproval, JIT: JIT{Approvers: 1}, Conditions: Conditions{MFARequired: true}}}},
	}
	opens := []choice{
		{"-", nil},
		{"no match", []Spec{{Action: Allow, Conditions: elsewhere}}},
		{"match", []Spec{{Action: Allow}}},
		{"factor", []Spec{{Action: Allow, Conditions: Conditions{MFARequired: true}}}},
		{"both", []Spec{{ID: "pol_1", Action: Allow, Conditions: Conditions{MFARequired: true}}, {ID: "pol_2", Action: Allow}}},
	}
	grants := map[string][]Grant{
		"-": nil, "g1": {{ID: "gnt_1", Approvers: 1, Ends: monday.Add(time.Hour)}}, "g2": {{ID: "gnt_2", Approvers: 2, Ends: monday.Add(time.Hour)}},
	}
	var b strings.Builder
	b.WriteString("# a: allow; d: deny; 1, 2: so many must approve; m: a second factor; s: authenticate again; b: both of these.\n")
	b.WriteString("# Columns: the Safe's approval (0, 1, 2), grants (-, of one, of two), the Safe's step-up (. or S), what was shown (. nothing, f a factor, r just now, F both).\n")
	fmt.Fprintf(&b, "%-9s %-12s %-9s", "deny", "approval", "allow")
	type column struct {
		approvers     int
		grant         string
		stepUp        bool
		fresh, factor bool
	}
	var columns []column
	for approvers := range 3 {
		for _, g := range []string{"-", "g1", "g2"} {
			for _, up := range []bool{false, true} {
				var shown []string
				for i, s := range []string{".", "f", "r", "F"} {
					columns = append(columns, column{approvers, g, up, i >= 2, i%2 == 1})
					shown = append(shown, s)
				}
				fmt.Fprintf(&b, " %d%s%s%s", approvers, strings.TrimPrefix(g, "g"), map[bool]string{true: "S", false: "."}[up], strings.Join(shown, ""))
			}
		}
	}
	b.WriteString("\n")
	for _, deny := range denies {
		for _, ask := range asks {
			for _, open := range opens {
				var rules []*Rule
				for _, c := range []choice{open, ask, deny} {
					for _, s := range c.specs {
						rules = append(rules, rule(t, s))
					}
				}
				fmt.Fprintf(&b, "%-9s %-12s %-9s", deny.name, ask.name, open.name)
				for i, c := range columns {
					d := Evaluate(&Question{
						Action: SessionLaunch, User: "usr_1", Role: pam.Operator, SafeRole: pam.SafeOperator, Rules: NewSet(rules...), Types: TypesOf(pam.SSH), Grants: grants[c.grant],
						Safe: Controls{Approvers: c.approvers, StepUp: c.stepUp}, From: netip.MustParseAddr("10.0.0.1"), At: monday, Fresh: c.fresh, Factor: c.factor,
					})
					cell := map[Effect]string{Allow: "a", Deny: "d", RequireApproval: fmt.Sprint(d.Approvers)}[d.Effect]
					switch {
					case d.Effect != Allow:
					case d.Again && d.Factor:
						cell = "b"
					case d.Again:
						cell = "s"
					case d.Factor:
						cell = "m"
					}
					if i%4 == 0 {
						b.WriteString("    ")
					}
					b.WriteString(cell)
				}
				b.WriteString("\n")
			}
		}
	}
	golden(t, "testdata/evaluate.txt", b.String())
}

// TestEveryDoorBeforeThePolicies prints who gets as far as the policies: by the
// role in the organization, the role in the Safe, with a grant or without, and
// what the Safe itself says.
func TestEveryDoorBeforeThePolicies(t *testing.T) {
	var b strings.Builder
	b.WriteString("# The step that refuses: m membership, c checkout, l lock, h valid hours, x expiry; y: none. Columns: what the Safe says, each with the next.\n")
	states := []struct {
		name string
		c    Controls
	}{
		{"open", Controls{Checkout: true}},
		{"expired", Controls{Checkout: true, Expires: monday}},
		{"hours", Controls{Checkout: true, Expires: monday, Hours: &Week{}}},
		{"locked", Controls{Checkout: true, Expires: monday, Hours: &Week{}, Locked: true}},
		{"no checkout", Controls{Expires: monday, Hours: &Week{}, Locked: true}},
	}
	fmt.Fprintf(&b, "%-21s %-15s %-9s %-6s", "action", "organization", "safe", "grant")
	for _, s := range states {
		b.WriteString(" " + s.name)
	}
	b.WriteString("\n")
	for _, action := range []Action{SessionLaunch, CredentialReveal, RequestCreate} {
		for _, role := range append([]pam.Role{""}, pam.Roles...) {
			for _, in := range append([]pam.SafeRole{""}, pam.SafeRoles...) {
				for _, granted := range []bool{false, true} {
					fmt.Fprintf(&b, "%-21s %-15s %-9s %-6s", action, or(string(role), "outsider"), or(string(in), "none"), map[bool]string{true: "yes", false: "no"}[granted])
					for _, s := range states {
						q := Question{Action: action, User: "usr_1", Role: role, SafeRole: in, Safe: s.c, At: monday}
						if granted {
							q.Grants = []Grant{{ID: "gnt_1", Starts: monday, Ends: monday.Add(time.Second)}}
						}
						cell := map[Step]string{Passed: "y", Membership: "m", CheckoutOff: "c", Lock: "l", ValidHours: "h", Expiry: "x"}[Evaluate(&q).Step]
						fmt.Fprintf(&b, " %-*s", len(s.name), or(cell, "?"))
					}
					b.WriteString("\n")
				}
			}
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	golden(t, "testdata/doors.txt", strings.Join(lines, "\n"))
}

// TestEmergencySkipsTheApprovalAndNothingElse prints what an emergency comes to
// for those who are named and those who are not.
func TestEmergencySkipsTheApprovalAndNothingElse(t *testing.T) {
	two := JIT{Approvers: 2}
	doors := []struct {
		name  string
		c     Controls
		specs []Spec
	}{
		{"open", Controls{}, nil},
		{"step-up", Controls{StepUp: true}, nil},
		{"approval", Controls{Approvers: 2}, nil},
		{"asked", Controls{}, []Spec{{Action: RequireApproval, JIT: two}}},
		{"factor", Controls{}, []Spec{{Action: RequireApproval, JIT: two, Conditions: Conditions{MFARequired: true}}}},
		{"denied", Controls{}, []Spec{{Action: Deny}}},
		{"elsewhere", Controls{}, []Spec{{Action: Allow, Conditions: elsewhere}}},
		{"hours", Controls{Hours: &Week{}}, nil},
		{"expired", Controls{Expires: monday}, nil},
		{"locked", Controls{Locked: true}, nil},
		{"no checkout", Controls{}, nil},
	}
	var b strings.Builder
	b.WriteString("# a: allow; s: authenticate again; f: a second factor; b: both of these; 2: so many must approve. Refused by: m membership, c checkout, l lock, h valid hours, x expiry, p policies.\n")
	b.WriteString("# Columns: what is in the way. In each: authenticated long ago, just now, and long ago for a launch that was declared before.\n")
	fmt.Fprintf(&b, "%-21s %-15s %-9s %-5s", "action", "organization", "safe", "named")
	for _, d := range doors {
		b.WriteString(" " + d.name)
	}
	b.WriteString("\n")
	for _, action := range []Action{SessionLaunch, CredentialReveal, RequestCreate} {
		for _, role := range append([]pam.Role{""}, pam.Roles...) {
			for _, in := range []pam.SafeRole{"", pam.SafeOperator} {
				for _, named := range []bool{false, true} {
					fmt.Fprintf(&b, "%-21s %-15s %-9s %-5s", action, or(string(role), "outsider"), or(string(in), "none"), map[bool]string{true: "yes", false: "no"}[named])
					for _, door := range doors {
						q := Question{Action: action, User: "usr_1", Role: role, SafeRole: in, Safe: door.c, At: monday, From: netip.MustParseAddr("10.0.0.1"), Emergency: true}
						q.Safe.Checkout = door.name != "no checkout"
						if named {
							q.Safe.BreakGlass = []pam.UserID{"usr_0", "usr_1"}
						}
						for _, s := range door.specs {
							q.Rules = append(q.Rules, rule(t, s))
						}
						var cell string
						for _, shown := range []struct{ fresh, declared bool }{{}, {fresh: true}, {declared: true}} {
							q.Fresh, q.Declared = shown.fresh, shown.declared
							d := Evaluate(&q)
							cell += map[Step]string{
								Membership: "m", CheckoutOff: "c", Lock: "l", ValidHours: "h", Expiry: "x", Policies: "p", Approval: fmt.Sprint(d.Approvers), Passed: "a",
								StepUpNow: map[bool]string{true: "b", false: map[bool]string{true: "s", false: "f"}[d.Again]}[d.Again && d.Factor],
							}[d.Step]
						}
						fmt.Fprintf(&b, " %-*s", len(door.name), cell)
					}
					b.WriteString("\n")
				}
			}
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	golden(t, "testdata/emergency.txt", strings.Join(lines, "\n"))
}

func TestGrantCountsInItsTimeAlone(t *testing.T) {
	g := Grant{ID: "gnt_1", Approvers: 1, Starts: monday, Ends: monday.Add(time.Hour)}
	for offset, want := range map[time.Duration]Effect{-time.Microsecond: Deny, 0: Allow, time.Hour - time.Microsecond: Allow, time.Hour: Deny} {
		q := Question{Action: SessionLaunch, Role: pam.Operator, Grants: []Grant{g}, At: monday.Add(offset), Safe: Controls{Approvers: 1}}
		if d := Evaluate(&q); d.Effect != want {
			t.Errorf("%s after it starts: %+v", offset, d)
		}
	}
}

func TestSessionThatLivesIsNotAskedForItsFactorAgain(t *testing.T) {
	q := Question{
		Action: SessionLaunch, Role: pam.Operator, SafeRole: pam.SafeOperator, At: monday, Safe: Controls{StepUp: true},
		Rules: NewSet(rule(t, Spec{Action: Allow, Conditions: Conditions{MFARequired: true}})),
	}
	if d := Evaluate(&q); d.Open() || !d.Factor || !d.Again {
		t.Errorf("at the door: %+v", d)
	}
	q.Live = true
	if d := Evaluate(&q); !d.Open() {
		t.Errorf("while it lives: %+v", d)
	}
}

func TestWhatIsNotKnownCountsAgainstWhoeverAsks(t *testing.T) {
	from := Conditions{SourceIPs: []string{"10.0.0.0/8"}}
	types := Conditions{ResourceTypes: []pam.Protocol{pam.SSH}}
	for name, c := range map[string]struct {
		spec Spec
		want Effect
	}{
		"address, to open":   {Spec{Action: Allow, Conditions: from}, Deny},
		"address, to refuse": {Spec{Action: Deny, Conditions: from}, Deny},
		"address, to ask":    {Spec{Action: RequireApproval, JIT: JIT{Approvers: 1}, Conditions: from}, RequireApproval},
		"type, to open":      {Spec{Action: Allow, Conditions: types}, Deny},
		"type, to refuse":    {Spec{Action: Deny, Conditions: types}, Deny},
	} {
		q := Question{Action: SessionLaunch, Role: pam.Operator, SafeRole: pam.SafeOperator, At: monday, Rules: NewSet(rule(t, c.spec))}
		if d := Evaluate(&q); d.Effect != c.want {
			t.Errorf("%s: %+v", name, d)
		}
	}
	// A Safe with an SSH and a database target: an allowance for SSH is not one
	// for all of it, a refusal of SSH is one of a part of it.
	q := Question{Action: CredentialReveal, Role: pam.Operator, SafeRole: pam.SafeOperator, At: monday, Types: TypesOf(pam.SSH, pam.MySQL), Safe: Controls{Checkout: true}}
	for _, e := range []Effect{Allow, Deny} {
		q.Rules = NewSet(rule(t, Spec{Action: e, Conditions: types}))
		if d := Evaluate(&q); d.Effect != Deny {
			t.Errorf("%s of one type of two: %+v", e, d)
		}
	}
}

func TestNothingThatCannotBeReadIsARule(t *testing.T) {
	for name, s := range map[string]Spec{
		"range":     {Action: Allow, Conditions: Conditions{SourceIPs: []string{"10.0.0.0/33"}}},
		"zone":      {Action: Deny, Conditions: Conditions{TimeWindow: &Hours{TimeZone: "Mars/Olympus"}}},
		"day":       {Action: Deny, Conditions: Conditions{TimeWindow: &Hours{TimeZone: "UTC", Windows: []Window{{Days: []string{"someday"}, From: "00:00", To: "24:00"}}}}},
		"time":      {Action: Deny, Conditions: Conditions{TimeWindow: &Hours{TimeZone: "UTC", Windows: []Window{{Days: []string{"mon"}, From: "noon", To: "24:00"}}}}},
		"action":    {Action: "maybe"},
		"approvers": {Action: RequireApproval},
	} {
		if r, err := Compile(s); err == nil {
			t.Errorf("%s: compiled to %+v", name, r)
		}
	}
}

func TestOrderOfPoliciesDoesNotMatter(t *testing.T) {
	all := []*Rule{rule(t, Spec{Action: Allow}), rule(t, Spec{Action: RequireApproval, JIT: JIT{Approvers: 2}}), rule(t, Spec{Action: Deny})}
	q := Question{Action: SessionLaunch, Role: pam.Operator, SafeRole: pam.SafeOperator, At: monday}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		q.Rules = NewSet(all[order[0]], all[order[1]], all[order[2]])
		if d := Evaluate(&q); d.Effect != Deny || d.Rule.Effect != Deny {
			t.Errorf("%v: %+v", order, d)
		}
	}
}

func TestWeakerSaysWhat(t *testing.T) {
	office := &Hours{TimeZone: "UTC", Windows: []Window{{Days: []string{"mon"}, From: "08:00", To: "18:00"}}}
	longer := &Hours{TimeZone: "UTC", Windows: []Window{{Days: []string{"mon"}, From: "08:00", To: "18:01"}}}
	allow := func(c Conditions) *Rule { return rule(t, Spec{Action: Allow, Conditions: c}) }
	deny := func(c Conditions) *Rule { return rule(t, Spec{Action: Deny, Conditions: c}) }
	ask := func(j JIT) *Rule { return rule(t, Spec{Action: RequireApproval, JIT: j}) }
	people := func(u ...pam.UserID) Conditions { return Conditions{UserIDs: u} }
	for name, c := range map[string]struct {
		before, after []*Rule
		weaker        bool
	}{
		"nothing":                       {nil, nil, false},
		"a first allowance narrows":     {nil, []*Rule{allow(people("usr_1"))}, false},
		"a second one opens":            {[]*Rule{allow(people("usr_1"))}, []*Rule{allow(people("usr_1")), rule(t, Spec{ID: "pol_2", Action: Allow, Conditions: people("usr_2")})}, true},
		"the only one goes":             {[]*Rule{allow(people("usr_1"))}, nil, true},
		"one person fewer":              {[]*Rule{allow(people("usr_1", "usr_2"))}, []*Rule{allow(people("usr_1"))}, false},
		"one person more":               {[]*Rule{allow(people("usr_1"))}, []*Rule{allow(people("usr_1", "usr_2"))}, true},
		"one minute more":               {[]*Rule{allow(Conditions{TimeWindow: office})}, []*Rule{allow(Conditions{TimeWindow: longer})}, true},
		"one minute fewer":              {[]*Rule{allow(Conditions{TimeWindow: longer})}, []*Rule{allow(Conditions{TimeWindow: office})}, false},
		"no factor any more":            {[]*Rule{allow(Conditions{MFARequired: true})}, []*Rule{allow(Conditions{})}, true},
		"a refusal less":                {[]*Rule{deny(Conditions{})}, nil, true},
		"a refusal more":                {nil, []*Rule{deny(Conditions{})}, false},
		"a refusal of fewer addresses":  {[]*Rule{deny(Conditions{SourceIPs: []string{"10.0.0.0/8"}})}, []*Rule{deny(Conditions{SourceIPs: []string{"10.0.0.0/9"}})}, true},
		"the same addresses in halves":  {[]*Rule{deny(Conditions{SourceIPs: []string{"10.0.0.0/8"}})}, []*Rule{deny(Conditions{SourceIPs: []string{"10.128.0.0/9", "10.0.0.0/9"}})}, false},
		"one approver fewer":            {[]*Rule{ask(JIT{Approvers: 2})}, []*Rule{ask(JIT{Approvers: 1})}, true},
		"one approver more":             {[]*Rule{ask(JIT{Approvers: 1})}, []*Rule{ask(JIT{Approvers: 2})}, false},
		"refused, not approved":         {[]*Rule{ask(JIT{Approvers: 2})}, []*Rule{deny(Conditions{})}, false},
		"longer grants":                 {[]*Rule{ask(JIT{Approvers: 1, MaxSeconds: 60})}, []*Rule{ask(JIT{Approvers: 1})}, true},
		"a new name":                    {[]*Rule{deny(Conditions{})}, []*Rule{rule(t, Spec{Action: Deny, Name: "other"})}, false},
		"allow becomes deny":            {[]*Rule{allow(Conditions{})}, []*Rule{deny(Conditions{})}, true},
		"deny becomes allow":            {[]*Rule{deny(Conditions{})}, []*Rule{allow(Conditions{})}, true},
		"more types":                    {[]*Rule{allow(Conditions{ResourceTypes: []pam.Protocol{pam.SSH}})}, []*Rule{allow(Conditions{ResourceTypes: []pam.Protocol{pam.SSH, pam.RDP}})}, true},
		"more groups, in a refusal too": {[]*Rule{deny(Conditions{GroupIDs: []pam.GroupID{"grp_1"}})}, []*Rule{deny(Conditions{GroupIDs: []pam.GroupID{"grp_1", "grp_2"}})}, false},
	} {
		if got := Weaker(NewSet(c.before...), NewSet(c.after...)); (got != "") != c.weaker {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestDecisionAllocatesNothing(t *testing.T) {
	q := busyQuestion(t)
	if n := testing.AllocsPerRun(100, func() { Evaluate(q) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// busyQuestion has every kind of condition, and none decides before the last.
func busyQuestion(t testing.TB) *Question {
	office := &Hours{TimeZone: "Europe/Berlin", Windows: []Window{{Days: []string{"mon", "tue", "wed", "thu", "fri"}, From: "06:00", To: "22:00"}}}
	w, err := office.Compile()
	if err != nil {
		t.Fatal(err)
	}
	q := &Question{
		Action: SessionLaunch, User: "usr_1", Role: pam.Operator, SafeRole: pam.SafeOperator, Types: TypesOf(pam.SSH), From: netip.MustParseAddr("10.1.2.3"), At: monday,
		Safe: Controls{Hours: w, StepUp: true}, Fresh: true, Factor: true,
	}
	for i := range 20 {
		q.Groups = append(q.Groups, pam.GroupID(fmt.Sprint("grp_", i)))
	}
	var rules []*Rule
	for i := range 9 {
		s := Spec{ID: pam.PolicyID(fmt.Sprint("pol_", i)), Name: "p", Action: Effects[i%3], JIT: JIT{Approvers: 1}}
		s.Conditions = Conditions{
			TimeWindow: office, SourceIPs: []string{"10.0.0.0/8", "192.168.0.0/16"}, ResourceTypes: []pam.Protocol{pam.SSH}, GroupIDs: []pam.GroupID{"grp_x", "grp_y"}, UserIDs: []pam.UserID{"usr_2"},
		}
		if i == 6 {
			s.Conditions.GroupIDs = append(s.Conditions.GroupIDs, "grp_19")
		}
		rules = append(rules, rule(t, s))
	}
	q.Rules = NewSet(rules...)
	if d := Evaluate(q); !d.Open() || d.Rule == nil || d.Rule.ID != "pol_6" {
		t.Fatalf("%+v", d)
	}
	return q
}

func BenchmarkEvaluate(b *testing.B) {
	q := busyQuestion(b)
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(q)
	}
}
