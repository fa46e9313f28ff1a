package script

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	v1 "vaultpam/api/v1"
)

// Somebody has copied tokens from a terminal, and uses them after what they
// rested on has ended: at once, and again after the server has started anew.
func TestAttackTokensUsedAfterTheirEnd(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	type thing struct {
		what string
		c    *caller
		code string // of the refusal
	}
	var dead []thing
	gone := func(what, code string, callers ...*caller) {
		t.Helper()
		for _, c := range callers {
			c.call("GET", "/safes", nil).want(http.StatusOK)
			dead = append(dead, thing{what, c, code})
		}
	}
	refused := func() {
		t.Helper()
		for _, d := range dead {
			for _, org := range []string{"", owner.org} {
				c := d.c.with(d.c.token)
				c.org = org
				a := c.call("GET", "/safes", nil)
				if a.status/100 != 4 || a.code() != d.code {
					t.Errorf("%s, organization %q: %d %s", d.what, org, a.status, a.body)
				}
				if b := c.call("POST", "/checkouts", v1.CheckoutIn{SafeID: owner.safe("Demo").ID}); b.status != a.status || b.code() != d.code {
					t.Errorf("%s, organization %q: %d %s", d.what, org, b.status, b.body)
				}
			}
		}
	}

	ann := owner.person(p, "ann@token.test", "operator")
	gone("after logout", "TOKEN_INVALID", ann)
	ann.call("POST", "/auth/logout", nil).want(http.StatusNoContent)
	refused()

	ann, lost := p.login("ann@token.test", ownerPassword), p.login("ann@token.test", ownerPassword)
	gone("after a change of password", "TOKEN_INVALID", lost)
	ann.call("PUT", "/me/password", v1.PasswordIn{CurrentPassword: ownerPassword, NewPassword: "another-horse-battery"}).want(http.StatusNoContent)
	ann.call("GET", "/safes", nil).want(http.StatusOK) // whoever changed it stays
	refused()

	lost = p.login("ann@token.test", "another-horse-battery")
	gone("after it was revoked from elsewhere", "TOKEN_INVALID", lost)
	for _, l := range read[[]v1.Login](lost.call("GET", "/me/logins", nil)) {
		if l.Current {
			ann.call("DELETE", "/me/logins/"+l.ID, nil).want(http.StatusNoContent)
		}
	}
	refused()

	made := read[v1.PersonalAccessToken](ann.call("POST", "/personal-access-tokens", v1.PersonalAccessTokenIn{Name: "x", Scopes: []string{"safes:read", "credentials:checkout"}, ExpiresInDays: 1}))
	gone("a personal token after its revocation", "TOKEN_INVALID", ann.with(made.Token))
	ann.call("DELETE", "/personal-access-tokens/"+made.ID, nil).want(http.StatusNoContent)
	refused()

	bob := owner.person(p, "bob@token.test", "operator")
	gone("after suspension", "ORG_ACCESS_DENIED", bob, bob.pat("safes:read", "credentials:checkout"))
	owner.call("POST", "/org/members/"+bob.id+"/suspend", nil).want(http.StatusOK)
	refused()
	if a := p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: bob.email, Password: ownerPassword}); a.status != http.StatusUnauthorized || a.code() != "AUTH_FAILED" {
		t.Errorf("a suspended person signs in: %d %s", a.status, a.body)
	}

	eve := owner.person(p, "eve@token.test", "operator")
	key := eve.pat("safes:read", "credentials:checkout")
	gone("after removal", "ORG_ACCESS_DENIED", eve)
	gone("a personal token after removal", "TOKEN_INVALID", key)
	owner.call("DELETE", "/org/members/"+eve.id, nil).want(http.StatusNoContent)
	refused()

	p.restart()
	owner = p.owner()
	refused()
	p.kill()
	p.start()
	owner = p.owner()
	refused()

	// Coming back gives the person a place again, and no old token.
	owner.call("POST", "/org/members", v1.MemberIn{Email: eve.email, Role: "operator"}).want(http.StatusCreated)
	eve.call("POST", "/me/memberships/"+owner.org+"/accept", nil)
	key.call("GET", "/safes", nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
}

// Somebody who has no token tries everything that a careless server takes for
// one.
func TestAttackTokensInOtherForms(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	good := owner.token
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Bearer null", "bearer " + good[:len(good)-1], "Bearer " + changed(good, 5), "Bearer " + changed(good, len(good)-1), "Bearer vpt_" + good[4:], "Bearer " + strings.ToUpper(good),
		"Bearer " + good + "\t" + good, "Bearer " + good + ",", "Bearer  " + good, "Basic " + base64.StdEncoding.EncodeToString([]byte(ownerEmail+":"+ownerPassword)), "Token " + good, good,
		"Bearer " + good + "' OR '1'='1", "Bearer %", "Bearer " + strings.Repeat("A", 20_000),
	} {
		a := p.nobody().call("GET", "/safes", nil, "Authorization", header)
		if a.status != http.StatusUnauthorized || a.code() != "TOKEN_INVALID" {
			t.Errorf("%.40q: %d %s", header, a.status, a.body)
		}
	}
	for _, query := range []string{"?access_token=" + good, "?token=" + good} {
		p.nobody().call("GET", "/safes"+query, nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
	}
	for _, header := range []string{"Cookie", "X-Auth-Token", "X-Api-Key", "Proxy-Authorization"} {
		p.nobody().call("GET", "/safes", nil, header, "Bearer "+good).want(http.StatusUnauthorized, "TOKEN_INVALID")
	}
	if s := p.native(t, good, ownerEmail+"+demo", nil, "true"); s.wait() == 0 {
		t.Error("a token opens a session as a password")
	}
}

// A script's token is stolen from a build machine. The thief tries to get
// more out of it than was put in.
func TestAttackPersonalTokensBeyondTheirScopes(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	foreign := owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	worker := owner.person(p, "worker@pat.test", "operator")
	// The worker is at home in both, and the token in one.
	foreign.call("POST", "/org/members", v1.MemberIn{Email: worker.email, Role: "admin"}).want(http.StatusCreated)
	worker.call("POST", "/me/memberships/"+foreign.org+"/accept", nil).want(http.StatusOK)

	for _, in := range []v1.PersonalAccessTokenIn{
		{Scopes: nil, ExpiresInDays: 1},
		{Scopes: []string{"*"}, ExpiresInDays: 1},
		{Scopes: []string{"safes:*"}, ExpiresInDays: 1},
		{Scopes: []string{"safes:read safes:write"}, ExpiresInDays: 1},
		{Scopes: []string{"SAFES:READ"}, ExpiresInDays: 1},
		{Scopes: []string{"vault:write"}, ExpiresInDays: 1},
		{Scopes: []string{"safes:read", "admin"}, ExpiresInDays: 1},
		{Scopes: []string{""}, ExpiresInDays: 1},
		{Scopes: []string{"safes:read"}, ExpiresInDays: 0},
		{Scopes: []string{"safes:read"}, ExpiresInDays: -1},
		{Scopes: []string{"safes:read"}, ExpiresInDays: 181},
		{Scopes: []string{"safes:read"}, ExpiresInDays: 1 << 40},
	} {
		in.Name = "more"
		if a := worker.call("POST", "/personal-access-tokens", in); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%+v: %d %s", in, a.status, a.body)
		}
	}

	little, all := worker.pat("safes:read"), worker.pat(allScopes...)
	for _, route := range []string{"GET /resources", "GET /accounts", "GET /sessions", "GET /recordings", "GET /org", "GET /org/members", "GET /audit-events", "GET /checkouts"} {
		method, path, _ := strings.Cut(route, " ")
		if route != "GET /checkouts" {
			little.call(method, path, nil).want(http.StatusForbidden, "INSUFFICIENT_SCOPE")
		}
		c := little.with(little.token)
		c.org = foreign.org
		c.call(method, path, nil).want(http.StatusForbidden, "ORG_ACCESS_DENIED")
	}
	// All scopes are not more than what the person may.
	for route, body := range map[string]any{
		"GET /audit-events":   nil,
		"POST /safes":         v1.SafeIn{Name: "Mine"},
		"PATCH /org":          map[string]any{"name": "Mine"},
		"POST /org/members":   v1.MemberIn{Email: "x@pat.test", Role: "owner"},
		"POST /organizations": v1.OrganizationIn{Name: "Mine"},
		"POST /vault/seal":    nil,
		"POST /auth/step-up":  v1.StepUpIn{Password: ownerPassword},
		"POST /auth/logout":   nil,
		"PUT /me/password":    v1.PasswordIn{CurrentPassword: ownerPassword, NewPassword: "another-horse-battery"},
		"POST /me/ssh-keys":   v1.SSHKeyIn{Name: "x", PublicKey: newPublicKey()},
		"POST /personal-access-tokens": v1.PersonalAccessTokenIn{
			Name: "x", Scopes: []string{"safes:read"}, ExpiresInDays: 1,
		},
	} {
		method, path, _ := strings.Cut(route, " ")
		if a := all.call(method, path, body); a.status != http.StatusForbidden || a.code() != "FORBIDDEN" {
			t.Errorf("%s: %d %s", route, a.status, a.body)
		}
	}

	// Nor does the token of somebody who may weaken or redirect.
	boss := owner.pat(allScopes...)
	safe := owner.safe("Demo")
	for _, patch := range []map[string]any{{"recording": "off"}, {"checkout": map[string]any{"enabled": true}}, {"agent_forwarding": true}, {"clipboard": "allowed"}, {"session_ttl_seconds": 86400}} {
		boss.call("PATCH", "/safes/"+safe.ID, patch).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	}
	boss.call("PATCH", "/resources/"+safe.Bindings[0].ResourceID, map[string]any{"host": "192.0.2.1"}).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	for _, setting := range []string{"admins_see_all", "mfa_required", "dual_control", "anonymous_shares"} {
		if a := boss.call("PATCH", "/org", map[string]any{setting: true}); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", setting, a.status, a.body)
		}
	}
	if after := owner.safe("Demo"); after.Recording != "on" || after.Checkout.Enabled || after.AgentForwarding {
		t.Errorf("the Safe was weakened: %+v", after)
	}
}

// Mallory knows, or guesses, the Idempotency-Keys of others, and uses them to
// read the answers that those got; or repeats her own with something else.
func TestAttackIdempotencyKeysOfOthers(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	foreign := owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	mallory := owner.person(p, "mallory@key.test", "admin")
	in := v1.AccountIn{Name: "Shared name", Username: "root", Credential: &v1.CredentialIn{Kind: "password", Value: "the owner's secret"}}
	const key = "2026-11-23-nightly"
	first := read[v1.Account](owner.call("POST", "/accounts", in, "Idempotency-Key", key))
	if again := owner.call("POST", "/accounts", in, "Idempotency-Key", key).want(http.StatusCreated); read[v1.Account](again).ID != first.ID || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the repeat was %s", again.body)
	}
	for name, c := range map[string]*caller{"another user": mallory, "another organization": foreign, "another token": owner.pat(allScopes...), "another login": p.owner()} {
		a := c.call("POST", "/accounts", in, "Idempotency-Key", key).want(http.StatusCreated)
		if read[v1.Account](a).ID == first.ID || a.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s got the answer of somebody else: %s", name, a.body)
		}
	}
	other := in
	other.Credential = &v1.CredentialIn{Kind: "password", Value: "another secret"}
	a := owner.call("POST", "/accounts", other, "Idempotency-Key", key).want(http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	if strings.Contains(string(a.body), first.ID) {
		t.Errorf("told about the first: %s", a.body)
	}
	owner.call("POST", "/safes", v1.SafeIn{Name: "Another route"}, "Idempotency-Key", key).want(http.StatusCreated)
	owner.call("POST", "/safes", v1.SafeIn{Name: "Long"}, "Idempotency-Key", strings.Repeat("k", 256)).want(http.StatusUnprocessableEntity)

	// Whoever may no longer come in gets no old answers either.
	read[v1.Account](mallory.call("POST", "/accounts", in, "Idempotency-Key", "hers"))
	owner.call("DELETE", "/org/members/"+mallory.id, nil).want(http.StatusNoContent)
	mallory.call("POST", "/accounts", in, "Idempotency-Key", "hers").want(http.StatusForbidden, "ORG_ACCESS_DENIED")

	// A storm of repeats makes one object.
	var wg sync.WaitGroup
	made := make([]string, 16)
	for i := range made {
		wg.Go(func() {
			a := owner.call("POST", "/safes", v1.SafeIn{Name: "Once"}, "Idempotency-Key", "storm")
			switch {
			case a.status == http.StatusCreated:
				var s v1.Safe
				if json.Unmarshal(a.body, &s) == nil {
					made[i] = s.ID
				}
			case a.status != http.StatusConflict:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	count := 0
	for _, s := range read[[]v1.Safe](owner.call("GET", "/safes", nil)) {
		if s.Name == "Once" {
			count++
		}
		for _, id := range made {
			if s.Name != "Once" && id == s.ID {
				t.Errorf("answered with %s", s.Name)
			}
		}
	}
	if count != 1 {
		t.Errorf("made %d times", count)
	}
}

// changed returns a token with another character in place i.
func changed(token string, i int) string {
	b := []byte(token)
	if b[i]++; b[i] > 'z' || b[i] == ':' || b[i] == '[' {
		b[i] = 'a'
	}
	return string(b)
}
