package script

import (
	"net/http"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
)

// ssoProvider is one that nobody asks anything.
func (w *world) ssoProvider() v1.SSOProviderIn {
	secret := "a-client-secret"
	return v1.SSOProviderIn{Name: w.unique("Provider"), Issuer: "https://idp.table.test", ClientID: "vaultpam", ClientSecret: &secret, Enabled: true}
}

// onProvider acts on a fresh provider of the organization, the only one there.
func onProvider(rest string, body any) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		for _, p := range read[[]v1.SSOProvider](w.founder.call("GET", "/org/sso/providers", nil)) {
			w.founder.call("DELETE", "/org/sso/providers/"+p.ID, nil).want(http.StatusNoContent)
		}
		made := read[v1.SSOProvider](w.founder.call("POST", "/org/sso/providers", w.ssoProvider()))
		return ask{path: "/org/sso/providers/" + made.ID + rest, body: body}
	}
}

func TestProviderIsKeptWithoutItsSecretBeingShown(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	secret := "client-secret-that-nobody-sees"
	in := v1.SSOProviderIn{Name: "Corp", Issuer: "https://idp.corp.test/realm", ClientID: "vaultpam", ClientSecret: &secret, AllowedDomains: []string{"@Corp.Test"}, Enabled: true}
	got := owner.call("POST", "/org/sso/providers", in)
	made := read[v1.SSOProvider](got)
	if !made.HasSecret || strings.Contains(string(got.body), secret) || made.DefaultRole != "operator" || len(made.AllowedDomains) != 1 || made.AllowedDomains[0] != "corp.test" ||
		!strings.HasSuffix(made.CallbackURL, "/login/callback/"+made.ID) || strings.Join(made.Scopes, " ") != "email profile" {
		t.Fatalf("%+v: %s", made, got.body)
	}
	at := "/org/sso/providers/" + made.ID
	owner.call("POST", "/org/sso/providers", in).want(http.StatusConflict) // the name
	// The secret goes to nobody but the issuer that it was made by.
	if a := owner.call("PATCH", at, map[string]any{"issuer": "https://evil.test"}); a.status != http.StatusUnprocessableEntity || !strings.Contains(string(a.body), "client_secret") {
		t.Errorf("the issuer changes, the secret stays: %d %s", a.status, a.body)
	}
	if changed := read[v1.SSOProvider](owner.call("PATCH", at, map[string]any{"name": "Corporate", "trust_mfa": true})); changed.Name != "Corporate" || !changed.HasSecret || !changed.TrustMFA || changed.Issuer != in.Issuer {
		t.Errorf("%+v", changed)
	}
	if changed := read[v1.SSOProvider](owner.call("PATCH", at, map[string]any{"client_secret": ""})); changed.HasSecret {
		t.Error("the secret is still there")
	}
	owner.call("PATCH", at, map[string]any{"name": "Late"}, "If-Match", `"1"`).want(http.StatusPreconditionFailed)
	for field, body := range map[string]map[string]any{
		"issuer":              {"issuer": "http://idp.corp.test"},
		"client_id":           {"client_id": ""},
		"default_role":        {"default_role": "owner"},
		"rules[0].role":       {"group_claim": "groups", "rules": []v1.SSORule{{Value: "boss", Role: "owner"}}},
		"rules[0]":            {"group_claim": "groups", "rules": []v1.SSORule{{Value: "boss"}}},
		"group_claim":         {"rules": []v1.SSORule{{Value: "boss", Role: "admin"}}},
		"rules[0].group_ids":  {"group_claim": "groups", "rules": []v1.SSORule{{Value: "boss", GroupIDs: []string{"x"}}}},
		"allowed_domains[0]":  {"allowed_domains": []string{"not a domain"}},
		"rules":               {"group_claim": "groups", "rules": []v1.SSORule{{Value: "boss", GroupIDs: []string{"grp_01ARZ3NDEKTSV4RRFFQ69G5FAV"}}}},
		"scopes[0]":           {"scopes": []string{"a b"}},
		"rules[0].value":      {"group_claim": "groups", "rules": []v1.SSORule{{Value: "", Role: "admin"}}},
		"is not an HTTPS one": {"issuer": "javascript:alert(1)"},
	} {
		if a := owner.call("PATCH", at, body); a.status != http.StatusUnprocessableEntity || !strings.Contains(field, " ") && !strings.Contains(string(a.body), `"`+field+`"`) {
			t.Errorf("%s: %d %s", field, a.status, a.body)
		}
	}
	if test := read[v1.SSOTest](owner.call("POST", at+"/test", nil)); test.OK || !strings.Contains(test.Problem, "did not answer as it should") {
		t.Errorf("%+v", test)
	}
	// The command line does the same; a secret is read, not taken as an argument.
	env := []string{"XDG_CONFIG_HOME=" + t.TempDir(), "VAULTPAM_TOKEN=" + owner.token, "VAULTPAM_BASE_URL=" + p.base, "VAULTPAM_ORG_ID="}
	for _, c := range []struct {
		in, want string
		argv     []string
	}{
		{"", "Second", []string{"sso", "add", "Second", "--set", "issuer=https://idp.second.test", "--set", "client_id=us"}},
		{"a-secret-by-hand\n", `"has_secret": true`, []string{"sso", "set-secret", "Second", "-o", "json"}},
		{"", "idp.second.test", []string{"sso", "list"}},
		{"", "", []string{"sso", "remove", "Second", "--yes"}},
		{"", "", []string{"sso", "only", "off"}},
	} {
		if out, errs, status := run(t, env, c.in, binary(t), c.argv...); status != 0 || !strings.Contains(out, c.want) || strings.Contains(out, "a-secret-by-hand") {
			t.Errorf("%v: %d %s%s", c.argv, status, out, errs)
		}
	}
	// Who wants single sign-on alone keeps a way in.
	if s := read[v1.SSOSettings](owner.call("PATCH", "/org/sso", v1.SSOSettingsIn{SSOOnly: true})); !s.SSOOnly || !strings.HasSuffix(s.LoginURL, "/login/vaultpam-dev") && !strings.Contains(s.LoginURL, "/login/") {
		t.Errorf("%+v", s)
	}
	owner.call("PATCH", at, map[string]any{"enabled": false}).want(http.StatusConflict)
	owner.call("DELETE", at, nil).want(http.StatusConflict)
	owner.call("PATCH", "/org", map[string]any{"idle_timeout_seconds": 800}).want(http.StatusOK)
	if s := read[v1.SSOSettings](owner.call("GET", "/org/sso", nil)); !s.SSOOnly {
		t.Error("another setting of the organization turned it off")
	}
	owner.call("PATCH", "/org/sso", v1.SSOSettingsIn{}).want(http.StatusOK)
	owner.call("DELETE", at, nil).want(http.StatusNoContent)
	owner.call("PATCH", "/org/sso", v1.SSOSettingsIn{SSOOnly: true}).want(http.StatusConflict)
	if n := len(owner.events("SSO_PROVIDER_CREATED")) + len(owner.events("SSO_PROVIDER_UPDATED")) + len(owner.events("SSO_PROVIDER_DELETED")); n != 7 {
		t.Errorf("%d events", n)
	}
}
