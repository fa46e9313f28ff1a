package broker

import (
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC) // a Monday

// allowed are facts that nothing speaks against.
func allowed() facts {
	s := safe.Safe{ID: "saf_1", Settings: safe.Settings{}.WithDefaults(), Role: pam.SafeOperator}
	s.Checkout.Enabled = true
	return facts{
		actor: pam.Actor{User: "usr_1", Org: "org_1", Role: pam.Operator, Token: pam.LoginToken}, action: policy.SessionLaunch, safe: s,
		resource: resource.Resource{ID: "res_1", Settings: resource.Settings{Name: "web", Type: pam.SSH}}, protocol: pam.SSH, now: noon,
	}
}

// obstacles are in the order of the contract; each is refused with its kind.
var obstacles = []struct {
	name string
	put  func(*facts)
	want pam.Kind
}{
	{"token without scope", func(f *facts) { f.actor.Token = pam.PersonalToken }, pam.ScopeMissing},
	{"not in the organization", func(f *facts) { f.actor.Role = "" }, pam.OrgDenied},
	{"no launching role", func(f *facts) { f.safe.Role = pam.SafeViewer }, pam.Denied},
	{"locked", func(f *facts) { f.safe.Locked = true }, pam.Locked},
	{"another hour", func(f *facts) {
		f.safe.ValidHours = &safe.ValidHours{TimeZone: "Europe/Berlin", Windows: []safe.Window{{Days: []string{"sun"}, From: "00:00", To: "24:00"}}}
	}, pam.PolicyDenied},
	{"credential expired", func(f *facts) { f.safe.CredentialExpiresAt = &noon }, pam.CredentialExpired},
	{"policy that denies", func(f *facts) { f.rules = policy.NewSet(append(f.rules, ruled(policy.Deny))...) }, pam.PolicyDenied},
	{"policy of another place", func(f *facts) { f.rules = policy.NewSet(append(f.rules, ruled(policy.Allow, "203.0.113.0/24"))...) }, pam.PolicyDenied},
	{"policy of approval", func(f *facts) { f.rules = policy.NewSet(append(f.rules, ruled(policy.RequireApproval))...) }, pam.ApprovalNeeded},
	{"approval", func(f *facts) { f.safe.Approval = safe.ApprovalDual }, pam.ApprovalNeeded},
	{"step-up", func(f *facts) { f.safe.MFAStepUp = true }, pam.StepUpNeeded},
	{"sealed", func(f *facts) { f.sealed = true }, pam.Sealed},
	{"held", func(f *facts) { f.held = true }, pam.Conflict},
	{"another protocol", func(f *facts) { f.protocol = pam.PostgreSQL }, pam.Denied},
	{"connector", func(f *facts) { f.resource.ConnectorIDs = []pam.ConnectorID{"con_1"} }, pam.Unavailable},
}

func TestFirstObstacleInTheOrderOfTheContractRefuses(t *testing.T) {
	if _, _, no := decide(allowed()); no != nil {
		t.Fatalf("refused without an obstacle: %v", no)
	}
	for i, first := range obstacles {
		f := allowed()
		first.put(&f)
		if _, _, no := decide(f); no == nil || no.Kind != first.want || no.Public == "" {
			t.Errorf("%s: %v, want %v with a sentence", first.name, no, first.want)
		}
		for _, later := range obstacles[i+1:] {
			g := f
			later.put(&g)
			if _, _, no := decide(g); no == nil || no.Kind != first.want {
				t.Errorf("%s before %s: %v", first.name, later.name, no)
			}
		}
	}
}

func TestRevealIsRefusedInTheWordsOfTheContract(t *testing.T) {
	for name, c := range map[string]struct {
		put  func(*facts)
		want string
	}{
		"sealed":  {func(f *facts) { f.sealed = true }, "Vault is sealed — credential access unavailable"},
		"expired": {func(f *facts) { f.safe.CredentialExpiresAt = &noon }, "Credential policy expired"},
		"off":     {func(f *facts) { f.safe.Checkout.Enabled = false }, "You do not have permission to check out this credential"},
		"viewer":  {func(f *facts) { f.safe.Role = pam.SafeViewer }, "You do not have permission to check out this credential"},
		"locked":  {func(f *facts) { f.safe.Locked = true }, "This safe is locked"},
	} {
		f := allowed()
		f.action = policy.CredentialReveal
		if _, _, no := decide(f); no != nil {
			t.Fatal(no)
		}
		c.put(&f)
		if _, _, no := decide(f); no == nil || no.Public != c.want {
			t.Errorf("%s: %v", name, no)
		}
	}
}

func TestAuditorAndApproverLaunchNothing(t *testing.T) {
	for _, role := range pam.Roles {
		for _, in := range pam.SafeRoles {
			f := allowed()
			f.actor.Role, f.safe.Role = role, in
			want := role != pam.Auditor && (in == pam.SafeOperator || in == pam.SafeManager)
			if _, _, no := decide(f); (no == nil) != want {
				t.Errorf("%s with the role %s: %v, want to launch: %v", role, in, no, want)
			}
		}
	}
}

func TestSessionStandsOnlyOnWholeGround(t *testing.T) {
	good := Standing{OrgRole: pam.Operator, SafeRole: pam.SafeOperator, Bound: true}
	ask := func(s Standing, rules ...*policy.Rule) *policy.Question {
		return &policy.Question{Action: policy.SessionLaunch, Role: s.OrgRole, SafeRole: s.SafeRole, Safe: policy.Controls{Locked: s.Locked}, At: noon, Live: true, Rules: policy.NewSet(rules...)}
	}
	if c := stands(good, ask(good)); c != nil {
		t.Fatal(c)
	}
	for name, harm := range map[string]func(*Standing){
		"killed":   func(s *Standing) { s.KillReason = "terminated by x" },
		"org":      func(s *Standing) { s.OrgRole = "" },
		"auditor":  func(s *Standing) { s.OrgRole = pam.Auditor },
		"safe":     func(s *Standing) { s.SafeRole = "" },
		"viewer":   func(s *Standing) { s.SafeRole = pam.SafeViewer },
		"locked":   func(s *Standing) { s.Locked = true },
		"unbound":  func(s *Standing) { s.Bound = false },
		"all zero": func(s *Standing) { *s = Standing{} },
	} {
		s := good
		harm(&s)
		if c := stands(s, ask(s)); c == nil || c.Sentence == "" || c.Reason == "" {
			t.Errorf("%s: %v", name, c)
		}
	}
	for name, rule := range map[string]*policy.Rule{"denied": ruled(policy.Deny), "not allowed": ruled(policy.Allow, "203.0.113.0/24"), "approval": ruled(policy.RequireApproval)} {
		if c := stands(good, ask(good, rule)); c == nil || c.Sentence == "" || c.Reason == "" {
			t.Errorf("%s: %v", name, c)
		}
	}
}

// ruled is a policy about clients from the ranges, or from anywhere.
func ruled(e policy.Effect, from ...string) *policy.Rule {
	r, err := policy.Compile(policy.Spec{ID: pam.PolicyID("pol_" + string(e)), Name: string(e), Action: e, Conditions: policy.Conditions{SourceIPs: from}, JIT: policy.JIT{Approvers: 1}})
	if err != nil {
		panic(err)
	}
	return r
}
