package script

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
	"vaultpam/test/provider"
)

const (
	grantType = "urn:ietf:params:oauth:grant-type:token-exchange"
	repo      = "repo:corp/app:ref:refs/heads/main"
)

// machine makes a service user of the caller's organization.
func (c *caller) machine(email, role string) v1.Member {
	c.t.Helper()
	return read[v1.Member](c.call("POST", "/org/members", v1.MemberIn{Email: email, Role: role, ServiceUser: true}))
}

func workloadRule(idp *provider.Provider, name, user string) v1.WorkloadRuleIn {
	return v1.WorkloadRuleIn{Name: name, Issuer: idp.URL, UserID: user, Scopes: []string{"safes:read", "org:read"}, Conditions: []v1.WorkloadCondition{{Claim: "sub", Value: repo}, {Claim: "environment", Value: "production"}}}
}

// workloadRule is one of the founder's organization.
func (w *world) workloadRule() v1.WorkloadRuleIn {
	bot := w.founder.machine(strings.ReplaceAll(w.unique("bot"), " ", "")+"@table.test", "operator")
	return v1.WorkloadRuleIn{
		Name: w.unique("Rule"), Issuer: "https://ci.table.test", UserID: bot.UserID, Scopes: []string{"safes:read"}, Conditions: []v1.WorkloadCondition{{Claim: "sub", Value: "x"}},
	}
}

func onWorkloadRule(body any) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		return ask{path: "/org/sso/workload-rules/" + read[v1.WorkloadRule](w.founder.call("POST", "/org/sso/workload-rules", w.workloadRule())).ID, body: body}
	}
}

func (p *proc) exchanges(org, token, scope string) answer {
	p.t.Helper()
	return p.nobody().call("POST", "/auth/token-exchange", v1.TokenExchangeIn{GrantType: grantType, SubjectToken: token, Organization: org, Scope: scope})
}

// A job of a CI system shows the token that its platform gave it, and gets one
// for minutes, with the scopes of the rule, as a service user.
func TestProgramGetsATokenForItsOwn(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	env := func(token string) []string {
		return []string{"XDG_CONFIG_HOME=" + t.TempDir(), "VAULTPAM_TOKEN=" + token, "VAULTPAM_BASE_URL=" + p.base, "VAULTPAM_ORG_ID="}
	}
	if out, errs, status := run(t, env(owner.token), "", binary(t), "members", "add", "deploy@ci.corp.test", "--service-user"); status != 0 {
		t.Fatalf("members add: %d %s%s", status, out, errs)
	}
	bot := read[[]v1.Member](owner.call("GET", "/org/members?q=deploy", nil))[0]
	if !bot.ServiceUser || bot.Status != "active" {
		t.Fatalf("%+v", bot)
	}
	rule := read[v1.WorkloadRule](owner.call("POST", "/org/sso/workload-rules", workloadRule(idp, "Deploy", bot.UserID)))
	if rule.TTLSeconds != 900 || !*rule.Enabled || !strings.HasPrefix(rule.Audience, "http://localhost:") {
		t.Fatalf("%+v", rule)
	}
	claims := map[string]any{"sub": repo, "environment": "production", "repository": "corp/app"}
	token := idp.Token(rule.Audience, claims)
	got := read[v1.TokenExchange](p.exchanges(owner.slug(), token, ""))
	if got.ExpiresIn != 900 || got.TokenType != "Bearer" || got.OrgID != owner.org || got.Scope != "org:read safes:read" {
		t.Errorf("%+v", got)
	}
	robot := p.nobody().with(got.AccessToken)
	robot.call("GET", "/safes", nil).want(http.StatusOK)
	robot.call("GET", "/sessions", nil).want(http.StatusForbidden, "INSUFFICIENT_SCOPE")
	robot.call("POST", "/personal-access-tokens", v1.PersonalAccessTokenIn{Name: "more", Scopes: []string{"safes:read"}, ExpiresInDays: 9}).want(http.StatusForbidden)
	if me := read[v1.Me](robot.call("GET", "/me", nil)); me.ID != bot.UserID {
		t.Errorf("acts as %+v", me)
	}
	if narrow := read[v1.TokenExchange](p.exchanges(owner.org, token, "org:read")); narrow.Scope != "org:read" {
		t.Errorf("%+v", narrow)
	}
	p.exchanges(owner.org, token, "org:read org:write").want(http.StatusForbidden, "INSUFFICIENT_SCOPE")

	// The command line does the same.
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	must(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	robots := []string{"XDG_CONFIG_HOME=" + dir, "VAULTPAM_TOKEN=", "VAULTPAM_BASE_URL=", "VAULTPAM_ORG_ID="}
	if out, errs, status := run(t, robots, "", binary(t), "login", p.base, "--oidc-token-file", file, "--org", owner.slug()); status != 0 || !strings.Contains(errs, "Signed in as deploy@ci.corp.test") {
		t.Errorf("login: %d %s%s", status, out, errs)
	}
	if out, errs, status := run(t, robots, "", binary(t), "safes"); status != 0 {
		t.Errorf("safes: %d %s%s", status, out, errs)
	}
	for _, argv := range [][]string{{"workload-rules"}, {"workload-rules", "show", "Deploy"}, {"sso"}, {"sso", "accounts"}} {
		if out, errs, status := run(t, env(owner.token), "", binary(t), argv...); status != 0 || argv[0] == "workload-rules" && !strings.Contains(out, rule.ID) {
			t.Errorf("%v: %d %s%s", argv, status, out, errs)
		}
	}
	// A rule that changes takes back what it gave.
	owner.call("PATCH", "/org/sso/workload-rules/"+rule.ID, map[string]any{"ttl_seconds": 60}).want(http.StatusOK)
	robot.call("GET", "/safes", nil).want(http.StatusUnauthorized)
	again := p.nobody().with(read[v1.TokenExchange](p.exchanges(owner.org, token, "")).AccessToken)
	owner.call("POST", "/org/members/"+bot.UserID+"/suspend", nil).want(http.StatusOK)
	again.call("GET", "/safes", nil).want(http.StatusForbidden)
	p.exchanges(owner.org, token, "").want(http.StatusUnauthorized)
	owner.call("POST", "/org/members/"+bot.UserID+"/resume", nil).want(http.StatusOK)
	again.call("GET", "/safes", nil).want(http.StatusOK)
	owner.call("DELETE", "/org/sso/workload-rules/"+rule.ID, nil).want(http.StatusNoContent)
	again.call("GET", "/safes", nil).want(http.StatusUnauthorized)
	if n := len(owner.events("WORKLOAD_TOKEN_ISSUED")); n != 4 {
		t.Errorf("%d events", n)
	}
}

// Attack: a program that is another one, of another issuer, for another
// audience, or in another organization.
func TestAttackProgramsThatNoRuleMeans(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp, evil := p.owner(), provider.Start(t), provider.Start(t)
	bot := owner.machine("deploy@ci.corp.test", "operator")
	rule := read[v1.WorkloadRule](owner.call("POST", "/org/sso/workload-rules", workloadRule(idp, "Deploy", bot.UserID)))
	elsewhere := owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	honest := func() map[string]any { return map[string]any{"sub": repo, "environment": "production"} }
	with := func(name string, v any) map[string]any { c := honest(); c[name] = v; return c }
	nobody := p.exchanges("nobody-here", idp.Token(rule.Audience, honest()), "").want(http.StatusUnauthorized, "AUTH_FAILED")
	for what, token := range map[string]string{
		"another subject":            idp.Token(rule.Audience, with("sub", repo+"x")),
		"a subject in another case":  idp.Token(rule.Audience, with("sub", strings.ToUpper(repo))),
		"a list of subjects":         idp.Token(rule.Audience, with("environment", []string{"production", "test"})),
		"a claim that is missing":    idp.Token(rule.Audience, with("environment", nil)),
		"another environment":        idp.Token(rule.Audience, with("environment", "test")),
		"another audience":           idp.Token("https://other.example", honest()),
		"several audiences":          idp.Token(rule.Audience, with("aud", []string{rule.Audience, "https://other.example"})),
		"another issuer":             evil.Token(rule.Audience, honest()),
		"another issuer's signature": evil.Token(rule.Audience, with("iss", idp.URL)),
		"expired":                    idp.Token(rule.Audience, with("exp", 1_000_000_000)),
		"unsigned":                   provider.Unsigned(with("iss", idp.URL)),
		"no token":                   "x.y.z",
		"nothing":                    "",
	} {
		if a := p.exchanges(owner.org, token, ""); a.status != http.StatusUnauthorized || a.plain() != nobody.plain() {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if evil.Fetched != 0 {
		t.Error("an issuer that nobody named was asked")
	}
	p.exchanges(elsewhere.org, idp.Token(rule.Audience, honest()), "").want(http.StatusUnauthorized)
	got := p.nobody().with(read[v1.TokenExchange](p.exchanges(owner.org, idp.Token(rule.Audience, honest()), "")).AccessToken)
	got.call("GET", "/safes", nil, "X-Active-Org-Id", elsewhere.org).want(http.StatusForbidden, "ORG_ACCESS_DENIED")
	if len(owner.events("WORKLOAD_TOKEN_REFUSED")) < 8 {
		t.Errorf("%d events", len(owner.events("WORKLOAD_TOKEN_REFUSED")))
	}
}

// Attack: an administrator lends themselves a service user that may do what
// they may not, or a person.
func TestAttackAdministratorLendsTheRightsOfOthers(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	admin := owner.person(p, "admin@corp.test", "admin")
	bot := admin.machine("deploy@ci.corp.test", "operator")
	at := "/org/sso/workload-rules"
	for what, change := range map[string]func(*v1.WorkloadRuleIn){
		"a person":                 func(r *v1.WorkloadRuleIn) { r.UserID = owner.id },
		"themselves":               func(r *v1.WorkloadRuleIn) { r.UserID = admin.id },
		"no condition":             func(r *v1.WorkloadRuleIn) { r.Conditions = []v1.WorkloadCondition{} },
		"a condition that is none": func(r *v1.WorkloadRuleIn) { r.Conditions = []v1.WorkloadCondition{{Claim: "aud", Value: "x"}} },
		"an empty condition":       func(r *v1.WorkloadRuleIn) { r.Conditions[0].Value = "" },
		"no scope":                 func(r *v1.WorkloadRuleIn) { r.Scopes = []string{} },
		"a scope that is none":     func(r *v1.WorkloadRuleIn) { r.Scopes = []string{"vault:write"} },
		"two hours":                func(r *v1.WorkloadRuleIn) { r.TTLSeconds = 7200 },
		"no https":                 func(r *v1.WorkloadRuleIn) { r.Issuer = "http://idp.corp.test" },
	} {
		in := workloadRule(idp, what, bot.UserID)
		change(&in)
		if a := admin.call("POST", at, in); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	rule := read[v1.WorkloadRule](admin.call("POST", at, workloadRule(idp, "Deploy", bot.UserID)))
	safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{Name: "Crown jewels"})).ID
	// The manager gives the service user, as the rule lends it, a role.
	owner.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{UserID: bot.UserID, Role: "operator"}).want(http.StatusCreated)
	admin.call("PATCH", at+"/"+rule.ID, map[string]any{"conditions": []v1.WorkloadCondition{{Claim: "sub", Value: "mine"}}}).want(http.StatusForbidden)
	admin.call("POST", at, workloadRule(idp, "Second", bot.UserID)).want(http.StatusForbidden)
	owner.call("PATCH", at+"/"+rule.ID, map[string]any{"name": "Deployment"}).want(http.StatusOK)
	// A service user is nobody who signs in.
	admin.call("POST", "/org/members/"+bot.UserID+"/reset-password", nil).want(http.StatusConflict)
	owner.call("PATCH", "/org/members/"+bot.UserID, v1.MemberPatch{Role: "owner"}).want(http.StatusUnprocessableEntity)
	owner.call("POST", "/org/transfer-ownership", v1.OwnershipIn{UserID: bot.UserID}).want(http.StatusUnprocessableEntity)
	admin.call("POST", "/org/members", v1.MemberIn{Email: owner.email, Role: "operator", ServiceUser: true}).want(http.StatusConflict)
	admin.call("POST", "/org/members", v1.MemberIn{Email: "root@ci.corp.test", Role: "owner", ServiceUser: true}).want(http.StatusUnprocessableEntity)
	p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: bot.Email, Password: ""}).want(http.StatusUnauthorized)
	made := owner.believes(idp, func(in *v1.SSOProviderIn) { in.CreateUsers = true })
	idp.Person("bot", bot.Email, nil)
	if a := p.opens(idp, owner.slug(), made.ID).returns(); a.status != http.StatusUnauthorized {
		t.Errorf("somebody signed in as a service user: %d %s", a.status, a.body)
	}
}
