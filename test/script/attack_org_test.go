package script

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
	"vaultpam/test/provider"
)

// absent is an id of the same kind as id that nothing has.
func absent(id string) string { return id[:4] + "00000000000000000000000000" }

// The owner of another organization has learned every id of this one, from an
// old ticket perhaps, and tries them wherever an id can stand: in paths, in
// bodies, in filters, in the header and in SSH names. Each is answered as if
// there were no such object, word for word, and nothing comes of it.
func TestAttackIdsOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	thief := w.foreign
	change := w.pendingFor(w.shared)
	f := w.shared
	victim := w.who["operator"]
	token := read[v1.PersonalAccessToken](victim.call("POST", "/personal-access-tokens", v1.PersonalAccessTokenIn{Name: "x", Scopes: []string{"safes:read"}, ExpiresInDays: 1})).ID
	key := read[v1.SSHKey](victim.call("POST", "/me/ssh-keys", v1.SSHKeyIn{Name: "x", PublicKey: newPublicKey()})).ID
	login := read[[]v1.Login](victim.call("GET", "/me/logins", nil))[0].ID

	// What the thief has at home, to be joined with what is not theirs.
	resource := read[v1.Resource](thief.call("POST", "/resources", v1.ResourceIn{Name: "Mine", Type: "ssh", Host: "127.0.0.1", HostKeyPolicy: "accept_first"})).ID
	account := w.account(thief, resource, "their own password").ID
	safe := read[v1.Safe](thief.call("POST", "/safes", v1.SafeIn{
		Name: "Mine", Bindings: []v1.Binding{{ResourceID: resource, AccountID: account}}, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 60},
	})).ID
	domain := read[v1.Account](thief.call("POST", "/accounts", v1.AccountIn{Name: "Domain", Username: "root", Credential: &v1.CredentialIn{Kind: "password", Value: "their own too"}})).ID

	event := read[[]v1.AuditEvent](w.founder.call("GET", "/audit-events?limit=1", nil))[0].ID
	rule := w.founder.rule(v1.PolicyIn{Action: "deny", Conditions: v1.PolicyConditions{SourceIPs: []string{"203.0.113.1"}}, SafeIDs: []string{f.safe}}).ID
	team := read[v1.Group](w.founder.call("POST", "/org/groups", v1.GroupIn{Name: "Theirs", MemberIDs: []string{victim.id}})).ID
	invited := read[[]v1.Invitation](w.founder.call("POST", "/org/invitations", v1.InvitationsIn{Emails: []string{"friend@table.test"}, Role: "operator"}))[0].ID
	idp := provider.Start(t)
	vouching := w.founder.believes(idp, nil).ID
	w.p.links(victim, idp, vouching, "victim")
	linked := read[[]v1.SSOIdentity](w.founder.call("GET", "/org/sso/identities", nil))[0].ID
	lent := read[v1.WorkloadRule](w.founder.call("POST", "/org/sso/workload-rules", w.workloadRule())).ID
	named := func(of func(*world, *caller) ask) string {
		at := of(w, w.founder).path
		return at[strings.LastIndexByte(at, '/')+1:]
	}
	directory := read[v1.SCIMToken](w.founder.call("POST", "/org/sso/scim-tokens", v1.SCIMTokenIn{Name: "Theirs"})).ID
	viewer := w.p.login(w.who["viewer"].email, ownerPassword) // enrolling ends the other logins
	viewer.enrols()
	factor := read[v1.Factors](viewer.call("GET", "/me/mfa", nil)).Factors[0].ID
	request, grant, review, told := named(onRequest("")), named(onGrant), named(onReview("")), named(onWebhook("", nil))
	rotation := named(onRotation(""))
	leased := redisLeased(t)
	leased.place(w.founder)
	leased.out(w.founder)
	lease := read[[]v1.Lease](w.founder.call("GET", "/leases", nil))[0].ID
	before := w.everything()
	ids := map[string]string{
		"/safes": f.safe, "/resources": f.resource, "/accounts": f.account, "/checkouts": f.checkout, "/confirmations": change, "/sessions": f.session,
		"/recordings": f.recording, "/org/members": victim.id, "/me/logins": login, "/me/ssh-keys": key, "/personal-access-tokens": token, "/me/memberships": w.founder.org,
		"/audit-events": event, "/policies": rule, "/org/groups": team, "/org/invitations": invited,
		"/org/sso/providers": vouching, "/org/sso/identities": linked, "/me/sso-identities": linked, "/org/sso/workload-rules": lent, "/org/sso/scim-tokens": directory,
		"/me/mfa": factor, "/access-requests": request, "/grants": grant, "/access-reviews": review, "/webhooks": told,
		"/rotations": rotation, "/leases": lease,
	}
	bodies := map[string]any{
		"POST /safes/{id}/members":                v1.SafeMemberIn{UserID: thief.id, Role: "manager"},
		"PATCH /safes/{id}/members/{member_id}":   map[string]any{"role": "viewer"},
		"PATCH /org/members/{user_id}":            map[string]any{"role": "auditor"},
		"POST /access-reviews/{id}/decisions":     v1.AccessReviewDecisionsIn{ItemIDs: []string{f.viewer}, Decision: "revoke"},
		"PATCH /org/sso/workload-rules/{id}":      map[string]any{"enabled": false},
		"PATCH /org/sso/providers/{id}":           map[string]any{"enabled": false},
		"PATCH /webhooks/{id}":                    map[string]any{"status": "disabled"},
		"PATCH /me/mfa/{id}":                      v1.FactorIn{Label: "Stolen"},
		"PATCH /org/groups/{id}":                  map[string]any{"member_ids": []string{thief.id}},
		"PATCH /safes/{id}":                       map[string]any{"name": "Stolen"},
		"PATCH /resources/{id}":                   map[string]any{"host": "192.0.2.1"},
		"PATCH /policies/{id}":                    map[string]any{"action": "allow"},
		"POST /policies/{id}/preview":             map[string]any{"days": 1},
		"PATCH /accounts/{id}":                    map[string]any{"username": "stolen"},
		"PUT /accounts/{id}/credential":           v1.CredentialIn{Kind: "password", Value: "chosen by the thief"},
		"POST /accounts/{id}/check":               map[string]any{},
		"PUT /accounts/{id}/rotation":             v1.RotationSettings{CheckHours: 1},
		"POST /safes/{id}/break-glass-kit":        map[string]any{"shares": 3, "threshold": 2, "reason": "to steal"},
		"POST /accounts/{id}/versions/purge":      v1.PurgeIn{Keep: 1},
		"POST /accounts/{id}/credential/generate": v1.GenerateIn{Kind: "password"},
		"POST /sessions/{id}/terminate":           map[string]any{},
		"POST /leases/{id}/forget":                v1.LeaseForgetIn{Reason: "to keep the user"},
	}
	tried := 0
	for route := range document(t, w.p) {
		method, template, _ := strings.Cut(route, " ")
		noun, rest, found := strings.Cut(template, "/{")
		if !found {
			continue
		}
		switch noun {
		case "/auth/device", "/auth/sso", "/auth/saml":
			continue // of no organization: whoever is told the code may answer it, the ways to sign in are there for all, and our metadata is about us
		case "/ssh-ca", "/ssh-ca/keys":
			continue // what is revoked is for everybody to read, and the numbers of authorities are each organization's own
		}
		theirs := ids[noun]
		if theirs == "" {
			t.Errorf("%s: no id of %s is tried", route, noun)
			continue
		}
		_, rest, _ = strings.Cut(rest, "}")
		rest = strings.ReplaceAll(strings.ReplaceAll(rest, "{n}", "0"), "{user_id}", thief.id)
		rest = strings.ReplaceAll(rest, "{event_id}", event)
		paths := [][2]string{{noun + "/" + theirs + rest, noun + "/" + absent(theirs) + rest}}
		if head, member := "/members/", "{member_id}"; strings.Contains(rest, member) {
			with := func(s, m string) string { return noun + "/" + s + head + m }
			paths = [][2]string{{with(f.safe, f.viewer), with(absent(f.safe), absent(f.viewer))}, {with(safe, f.viewer), with(safe, absent(f.viewer))}}
		}
		for _, path := range paths {
			got, none := thief.call(method, path[0], bodies[route]), thief.call(method, path[1], bodies[route])
			same(t, route, got, none)
			if want := http.StatusNotFound; got.status != want && noun != "/me/memberships" {
				t.Errorf("%s: %d %s", route, got.status, got.body)
			}
			tried++
		}
	}
	if tried < 40 {
		t.Errorf("only %d routes were tried", tried)
	}

	mine := v1.Binding{ResourceID: resource, AccountID: account}
	for what, ask := range map[string]func(id func(string) string) answer{
		"a Safe of what is theirs": func(id func(string) string) answer {
			return thief.call("POST", "/safes", v1.SafeIn{Name: "Stolen", Bindings: []v1.Binding{{ResourceID: id(f.resource), AccountID: id(f.account)}}})
		},
		"their account at my resource": func(id func(string) string) answer {
			return thief.call("PATCH", "/safes/"+safe, map[string]any{"bindings": []v1.Binding{mine, {ResourceID: resource, AccountID: id(f.account)}}})
		},
		"my account at their resource": func(id func(string) string) answer {
			return thief.call("PATCH", "/safes/"+safe, map[string]any{"bindings": []v1.Binding{{ResourceID: id(f.resource), AccountID: domain}}})
		},
		"their person in my Safe": func(id func(string) string) answer {
			return thief.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{UserID: id(victim.id), Role: "viewer"})
		},
		"a group of theirs in my Safe": func(id func(string) string) answer {
			return thief.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{GroupID: id(team), Role: "viewer"})
		},
		"their person in my group": func(id func(string) string) answer {
			return thief.call("POST", "/org/groups", v1.GroupIn{Name: "Stolen", MemberIDs: []string{id(victim.id)}})
		},
		"an account for their resource": func(id func(string) string) answer {
			at := id(f.resource)
			return thief.call("POST", "/accounts", v1.AccountIn{Name: "Stolen", Username: "root", ResourceID: &at})
		},
		"my account moved to their resource": func(id func(string) string) answer {
			return thief.call("PATCH", "/accounts/"+account, map[string]any{"resource_id": id(f.resource)})
		},
		"their account as my administrator": func(id func(string) string) answer {
			return thief.call("PUT", "/accounts/"+domain+"/credential", v1.CredentialIn{Kind: "ephemeral", Ephemeral: &v1.Ephemeral{AdminAccountID: id(f.account)}})
		},
		"my credential tried at their resource": func(id func(string) string) answer {
			return thief.call("POST", "/accounts/"+account+"/check", v1.CredentialCheckIn{ResourceID: id(f.resource)})
		},
		"a checkout from their Safe": func(id func(string) string) answer {
			return thief.call("POST", "/checkouts", v1.CheckoutIn{SafeID: id(f.safe)})
		},
		"a checkout of their account from my Safe": func(id func(string) string) answer {
			return thief.call("POST", "/checkouts", v1.CheckoutIn{SafeID: safe, AccountID: id(f.account)})
		},
		"a session of their Safe": func(id func(string) string) answer {
			return thief.call("POST", "/sessions", v1.SessionIn{SafeID: id(f.safe)})
		},
		"a session of their account": func(id func(string) string) answer {
			return thief.call("POST", "/sessions", v1.SessionIn{SafeID: safe, AccountID: id(f.account), ResourceID: id(f.resource)})
		},
	} {
		got, none := ask(func(id string) string { return id }), ask(absent)
		same(t, what, got, none, f.safe, f.account, f.resource)
		if got.status < 400 {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}

	for _, query := range []struct{ path, id string }{
		{"/recordings?safe_id=", f.safe},
		{"/recordings?resource_id=", f.resource},
		{"/recordings?user_id=", victim.id},
		{"/sessions?safe_id=", f.safe},
		{"/sessions?user_id=", victim.id},
		{"/audit-events?target_id=", f.safe},
		{"/audit-events?actor_id=", victim.id},
		{"/audit-events?cursor=", event},
		{"/sessions?cursor=", f.session},
		{"/recordings?cursor=", f.recording},
	} {
		same(t, query.path, thief.call("GET", query.path+query.id, nil), thief.call("GET", query.path+absent(query.id), nil))
	}
	// A place in a list by name: behind a key.
	place := func(id string) string {
		return "/safes?cursor=" + base64.RawURLEncoding.EncodeToString([]byte("a\x00"+id))
	}
	same(t, "/safes?cursor=", thief.call("GET", place(f.safe), nil), thief.call("GET", place(absent(f.safe)), nil))
	for _, path := range []string{"/safes", "/org", "/org/members", "/audit-events", "/audit-events/export", "/audit-log/checkpoint", "/personal-access-tokens"} {
		got := thief.call("GET", path, nil, "X-Active-Org-Id", w.founder.org).want(http.StatusForbidden, "ORG_ACCESS_DENIED")
		same(t, "X-Active-Org-Id", got, thief.call("GET", path, nil, "X-Active-Org-Id", absent(w.founder.org)))
	}

	slug := read[v1.Safe](w.founder.call("GET", "/safes/"+f.safe, nil)).Slug
	var said []string
	for _, target := range []string{f.safe, slug, absent(f.safe), "nosuch", f.safe + "+" + f.account + "@" + f.resource, absent(f.safe) + "+" + absent(f.account) + "@" + absent(f.resource)} {
		s := w.p.native(t, ownerPassword, thief.email+"+"+target, nil, "true")
		if s.wait() != 255 || s.out.String() != "" {
			t.Errorf("ssh to %s: %s", target, s.out)
		}
		text := s.errs.String()
		for _, word := range []string{f.safe, slug, absent(f.safe), "nosuch"} {
			text = strings.ReplaceAll(text, word, "SAFE")
		}
		said = append(said, text[strings.LastIndex(strings.TrimSpace(text), "\n")+1:])
	}
	if len(slices.Compact(slices.Clone(said))) != 1 {
		t.Errorf("ssh tells what there is: %q", said)
	}

	if after := w.everything(); !slices.Equal(before, after) {
		t.Errorf("the attack left traces:\n%q\n%q", before, after)
	}
	if e := read[[]v1.AuditEvent](w.founder.call("GET", "/audit-events?actor_id="+thief.id, nil)); len(e) > 0 {
		t.Errorf("the log of the other organization has %d events of the thief, such as %+v", len(e), e[0])
	}
}

// same fails the test unless the answer about an object of somebody else and
// the one about no object differ in nothing but the id that was asked for.
func same(t testing.TB, what string, theirs, none answer, ids ...string) {
	t.Helper()
	text := none.plain()
	for _, id := range ids {
		text = strings.ReplaceAll(text, absent(id), id)
	}
	if theirs.status != none.status || theirs.plain() != text {
		t.Errorf("%s: tells what there is:\n%d %s%d %s", what, theirs.status, theirs.body, none.status, none.body)
	}
}

// everything is the state of the founder's organization.
func (w *world) everything() []string {
	w.t.Helper()
	var out []string
	for _, path := range []string{
		"/org", "/org/members", "/safes", "/resources", "/accounts", "/policies", "/checkouts", "/confirmations", "/sessions", "/recordings",
		"/safes/" + w.shared.safe + "/members", "/accounts/" + w.shared.account + "/versions",
	} {
		out = append(out, string(w.founder.call("GET", path, nil).want(http.StatusOK).body))
	}
	for _, path := range []string{"/me/ssh-keys", "/personal-access-tokens"} {
		out = append(out, string(w.who["operator"].call("GET", path, nil).want(http.StatusOK).body))
	}
	return out
}
