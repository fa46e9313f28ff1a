package script

import (
	"net/http"
	"strings"

	v1 "vaultpam/api/v1"
)

// scenarios is the table. 401: who are you? 403: you may not. 404: you may not
// even know. 409 and 422 come after all of these: the caller would have been
// allowed to. docs/permissions.md says why.
var scenarios = []row{
	// nobody, outsider, stranger, viewer, operator, manager, auditor, admin, owner, pat-, pat+, pat.admin, instance
	{"POST /auth/login", "401 200 200 200 200 200 200 200 200 200 200 200 200", func(_ *world, c *caller) ask {
		return ask{path: "/auth/login", body: v1.LoginIn{Email: c.email, Password: ownerPassword}}
	}},
	{"POST /auth/cookie", "401 200 200 200 200 200 200 200 200 200 200 200 200", func(_ *world, c *caller) ask {
		return ask{path: "/auth/cookie", body: v1.LoginIn{Email: c.email, Password: ownerPassword}}
	}},
	{"GET /auth/cookie", "401 200 200 200 200 200 200 200 200 401 401 401 200", inBrowser("/auth/cookie")},
	{"DELETE /auth/cookie", "401 204 204 204 204 204 204 204 204 401 401 401 204", inBrowser("/auth/cookie")},
	{"POST /auth/logout", "401 204 204 204 204 204 204 204 204 403 403 403 204", func(w *world, c *caller) ask { return ask{path: "/auth/logout", by: again(w, c)} }},
	{"POST /auth/step-up", "401 200 200 200 200 200 200 200 200 403 403 403 200", func(*world, *caller) ask {
		return ask{path: "/auth/step-up", body: v1.StepUpIn{Password: ownerPassword}}
	}},
	{"POST /auth/device", "200 200 200 200 200 200 200 200 200 200 200 200 200", func(*world, *caller) ask {
		return ask{path: "/auth/device", body: v1.DeviceIn{ClientName: "robot"}}
	}},
	{"POST /auth/device/token", "200 200 200 200 200 200 200 200 200 200 200 200 200", func(w *world, _ *caller) ask {
		return ask{path: "/auth/device/token", body: v1.DeviceTokenIn{DeviceCode: w.device().DeviceCode}}
	}},
	{"GET /auth/device/{user_code}", "401 200 200 200 200 200 200 200 200 403 403 403 200", func(w *world, _ *caller) ask {
		return ask{path: "/auth/device/" + w.device().UserCode}
	}},
	{"POST /auth/device/{user_code}/approve", "401 200 200 200 200 200 200 200 200 403 403 403 200", func(w *world, _ *caller) ask {
		return ask{path: "/auth/device/" + w.device().UserCode + "/approve"}
	}},
	{"POST /auth/device/{user_code}/deny", "401 200 200 200 200 200 200 200 200 403 403 403 200", func(w *world, _ *caller) ask {
		return ask{path: "/auth/device/" + w.device().UserCode + "/deny"}
	}},

	{"POST /auth/new-password", "404 404 404 404 404 404 404 404 404 404 404 404 404", func(*world, *caller) ask {
		return ask{path: "/auth/new-password", body: v1.NewPasswordIn{Token: "vpl_guessed", NewPassword: ownerPassword}}
	}},
	{"POST /invitations/look-up", "404 404 404 404 404 404 404 404 404 404 404 404 404", func(*world, *caller) ask {
		return ask{path: "/invitations/look-up", body: v1.LinkIn{Token: "vpl_guessed"}}
	}},
	{"POST /invitations/accept", "404 404 404 404 404 404 404 404 404 404 404 404 404", func(*world, *caller) ask {
		return ask{path: "/invitations/accept", body: v1.InvitationAcceptIn{Token: "vpl_guessed", Password: ownerPassword}}
	}},
	{"POST /me/invitations/accept", "401 404 404 404 404 404 404 404 404 403 403 403 404", func(*world, *caller) ask {
		return ask{path: "/me/invitations/accept", body: v1.LinkIn{Token: "vpl_guessed"}}
	}},

	{"GET /me", "401 200 200 200 200 200 200 200 200 200 200 200 200", path("/me")},
	{"PATCH /me", "401 200 200 200 200 200 200 200 200 403 403 403 200", func(_ *world, c *caller) ask {
		return ask{path: "/me", body: v1.MeIn{Name: "I am " + c.name}}
	}},
	{"PUT /me/password", "401 422 422 422 422 422 422 422 422 403 403 403 422", func(*world, *caller) ask {
		return ask{path: "/me/password", body: v1.PasswordIn{CurrentPassword: ownerPassword, NewPassword: "short"}}
	}},
	{"GET /me/logins", "401 200 200 200 200 200 200 200 200 403 403 403 200", path("/me/logins")},
	{"DELETE /me/logins/{id}", "401 204 204 204 204 204 204 204 204 403 403 403 204", func(w *world, c *caller) ask {
		id := "lgn_00000000000000000000000000"
		if other := again(w, c); other != c {
			for _, l := range read[[]v1.Login](other.call("GET", "/me/logins", nil)) {
				if l.Current {
					id = l.ID
				}
			}
		}
		return ask{path: "/me/logins/" + id}
	}},
	{"POST /auth/mfa", "401 401 401 401 401 401 401 401 401 401 401 401 401", func(*world, *caller) ask {
		return ask{path: "/auth/mfa", body: v1.MFAIn{MFAToken: "vpm_guessed", Factor: "totp", Code: "000000"}}
	}},
	{"POST /auth/cookie/mfa", "401 401 401 401 401 401 401 401 401 401 401 401 401", func(*world, *caller) ask {
		return ask{path: "/auth/cookie/mfa", body: v1.MFAIn{MFAToken: "vpm_guessed", Factor: "totp", Code: "000000"}}
	}},
	{"POST /auth/cookie/passkey", "200 200 200 200 200 200 200 200 200 200 200 200 200", path("/auth/cookie/passkey")},
	{"POST /auth/cookie/passkey/finish", "401 401 401 401 401 401 401 401 401 401 401 401 401", func(*world, *caller) ask {
		return ask{path: "/auth/cookie/passkey/finish", body: v1.PasskeyIn{MFAToken: "vpm_guessed", Code: "{}"}}
	}},
	{"POST /auth/step-up/webauthn", "401 409 409 409 409 409 409 409 409 403 403 403 409", path("/auth/step-up/webauthn")},
	{"POST /me/mfa/webauthn", "401 201 201 201 201 201 201 201 201 403 403 403 201", path("/me/mfa/webauthn")},
	{"POST /me/mfa/webauthn/finish", "401 422 422 422 422 422 422 422 422 403 403 403 422", func(*world, *caller) ask {
		return ask{path: "/me/mfa/webauthn/finish", body: map[string]any{}}
	}},
	{"PATCH /me/mfa/{id}", "401 404 404 404 404 404 404 404 404 403 403 403 404", func(*world, *caller) ask {
		return ask{path: "/me/mfa/mfa_x", body: v1.FactorIn{Label: "Mine"}}
	}},
	{"GET /me/mfa", "401 200 200 200 200 200 200 200 200 403 403 403 200", path("/me/mfa")},
	{"POST /me/mfa/totp", "401 201 201 201 201 201 201 201 201 403 403 403 201", path("/me/mfa/totp")},
	{"POST /me/mfa/totp/confirm", "401 422 422 422 422 422 422 422 422 403 403 403 422", func(_ *world, c *caller) ask {
		if c.token != "" {
			c.call("POST", "/me/mfa/totp", nil)
		}
		return ask{path: "/me/mfa/totp/confirm", body: v1.TOTPConfirmIn{Code: "wrong"}}
	}},
	{"POST /me/mfa/recovery-codes", "401 409 409 409 409 409 409 409 409 403 403 403 409", path("/me/mfa/recovery-codes")},
	{"DELETE /me/mfa/{id}", "401 404 404 404 404 404 404 404 404 403 403 403 404", path("/me/mfa/mfa_00000000000000000000000000")},
	{"GET /me/ssh-keys", "401 200 200 200 200 200 200 200 200 403 403 403 200", path("/me/ssh-keys")},
	{"POST /me/ssh-keys", "401 201 201 201 201 201 201 201 201 403 403 403 201", func(*world, *caller) ask {
		return ask{path: "/me/ssh-keys", body: v1.SSHKeyIn{Name: "laptop", PublicKey: newPublicKey()}}
	}},
	{"DELETE /me/ssh-keys/{id}", "401 204 204 204 204 204 204 204 204 403 403 403 204", func(w *world, c *caller) ask {
		id := "key_00000000000000000000000000"
		if other := again(w, c); other != c {
			id = read[v1.SSHKey](other.call("POST", "/me/ssh-keys", v1.SSHKeyIn{Name: "to go", PublicKey: newPublicKey()})).ID
		}
		return ask{path: "/me/ssh-keys/" + id}
	}},
	{"POST /me/memberships/{org_id}/accept", "401 409 200 200 200 200 200 200 200 403 403 403 200", func(w *world, c *caller) ask {
		if c.email != "" && c != w.foreign {
			w.foreign.call("POST", "/org/members", v1.MemberIn{Email: c.email, Role: "operator"})
		}
		return ask{path: "/me/memberships/" + w.foreign.org + "/accept"}
	}},
	{"GET /personal-access-tokens", "401 200 200 200 200 200 200 200 200 403 403 403 200", path("/personal-access-tokens")},
	{"POST /personal-access-tokens", "401 201 201 201 201 201 201 201 201 403 403 403 201", func(*world, *caller) ask {
		return ask{path: "/personal-access-tokens", body: v1.PersonalAccessTokenIn{Name: "more", Scopes: []string{"safes:read"}, ExpiresInDays: 1}}
	}},
	{"DELETE /personal-access-tokens/{id}", "401 204 204 204 204 204 204 204 204 403 403 403 204", func(w *world, c *caller) ask {
		id := "pat_00000000000000000000000000"
		if other := again(w, c); other != c {
			id = read[v1.PersonalAccessToken](other.call("POST", "/personal-access-tokens", v1.PersonalAccessTokenIn{Name: "to go", Scopes: []string{"safes:read"}, ExpiresInDays: 1})).ID
		}
		return ask{path: "/personal-access-tokens/" + id}
	}},

	{"GET /org/memberships", "401 200 200 200 200 200 200 200 200 200 200 200 200", path("/org/memberships")},
	{"GET /org", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/org")},
	{"PATCH /org", "401 200 403 403 403 403 403 200 200 403 403 200 200", func(*world, *caller) ask { return ask{path: "/org", body: map[string]any{"idle_timeout_seconds": 600}} }},
	{"GET /org/members", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/org/members")},
	{"POST /org/members", "401 201 403 403 403 403 403 201 201 403 403 201 201", func(w *world, _ *caller) ask {
		return ask{path: "/org/members", body: v1.MemberIn{Email: strings.ReplaceAll(w.unique("new"), " ", "") + "@table.test", Role: "operator", Password: ownerPassword}}
	}},
	{"GET /org/members/{user_id}", "401 404 200 200 200 200 200 200 200 403 200 200 200", onPerson("", nil)},
	{"PATCH /org/members/{user_id}", "401 404 403 403 403 403 403 200 200 403 403 200 200", onPerson("", map[string]any{"role": "auditor"})},
	{"DELETE /org/members/{user_id}", "401 404 403 403 403 403 403 204 204 403 403 204 204", onPerson("", nil)},
	{"POST /org/members/{user_id}/suspend", "401 404 403 403 403 403 403 200 200 403 403 200 200", onPerson("/suspend", nil)},
	{"POST /org/members/{user_id}/resume", "401 404 403 403 403 403 403 200 200 403 403 200 200", onPerson("/resume", nil)},
	{"POST /org/members/{user_id}/reset-password", "401 404 403 403 403 403 403 200 200 403 403 403 200", onPerson("/reset-password", nil)},
	{"POST /org/members/{user_id}/reset-mfa", "401 404 403 403 403 403 403 200 200 403 403 403 200", onPerson("/reset-mfa", nil)},
	{"POST /org/transfer-ownership", "401 404 403 403 403 403 403 403 404 403 403 403 404", func(*world, *caller) ask {
		return ask{path: "/org/transfer-ownership", body: v1.OwnershipIn{UserID: "usr_00000000000000000000000000"}}
	}},
	{"GET /org/invitations", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/org/invitations")},
	{"POST /org/invitations", "401 201 403 403 403 403 403 201 201 403 403 201 201", func(w *world, _ *caller) ask {
		return ask{path: "/org/invitations", body: w.invitation()}
	}},
	{"GET /org/invitations/{id}", "401 404 403 403 403 403 403 200 200 403 403 200 200", onInvitation("")},
	{"DELETE /org/invitations/{id}", "401 404 403 403 403 403 403 204 204 403 403 204 204", onInvitation("")},
	{"POST /org/invitations/{id}/resend", "401 404 403 403 403 403 403 200 200 403 403 200 200", onInvitation("/resend")},
	{"GET /org/groups", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/org/groups")},
	{"POST /org/groups", "401 201 403 403 403 403 403 201 201 403 403 201 201", func(w *world, _ *caller) ask {
		return ask{path: "/org/groups", body: v1.GroupIn{Name: w.unique("Group")}}
	}},
	{"GET /org/groups/{id}", "401 404 200 200 200 200 200 200 200 403 200 200 200", onGroup("", nil)},
	{"PATCH /org/groups/{id}", "401 404 403 403 403 200 403 403 403 403 200 403 200", onGroup("", map[string]any{"name": "Another name"})},
	{"DELETE /org/groups/{id}", "401 404 403 403 403 204 403 204 204 403 204 204 204", onGroup("", nil)},
	{"GET /org/groups/{id}/members", "401 404 200 200 200 200 200 200 200 403 200 200 200", onGroup("/members", nil)},
	{"PUT /org/groups/{id}/members/{user_id}", "401 404 403 403 403 200 403 403 403 403 200 403 200", func(w *world, c *caller) ask {
		return onGroup("/members/"+w.who["admin"].id, nil)(w, c)
	}},
	{"DELETE /org/groups/{id}/members/{user_id}", "401 404 403 403 403 204 403 204 204 403 204 204 204", func(w *world, c *caller) ask {
		return onGroup("/members/"+w.who["stranger"].id, nil)(w, c)
	}},
	{"GET /org/sso", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/org/sso")},
	{"PATCH /org/sso", "401 200 403 403 403 403 403 200 200 403 403 403 200", func(*world, *caller) ask {
		return ask{path: "/org/sso", body: v1.SSOSettingsIn{}}
	}},
	{"GET /org/sso/providers", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/org/sso/providers")},
	{"POST /org/sso/providers", "401 201 403 403 403 403 403 201 201 403 403 403 201", func(w *world, _ *caller) ask {
		return ask{path: "/org/sso/providers", body: w.ssoProvider()}
	}},
	{"GET /org/sso/providers/{id}", "401 404 403 403 403 403 403 200 200 403 403 200 200", onProvider("", nil)},
	{"PATCH /org/sso/providers/{id}", "401 404 403 403 403 403 403 200 200 403 403 403 200", onProvider("", map[string]any{"enabled": false})},
	{"DELETE /org/sso/providers/{id}", "401 404 403 403 403 403 403 204 204 403 403 403 204", onProvider("", nil)},
	{"POST /org/sso/providers/{id}/test", "401 404 403 403 403 403 403 200 200 403 403 200 200", onProvider("/test", nil)},
	{"GET /org/sso/scim-tokens", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/org/sso/scim-tokens")},
	{"POST /org/sso/scim-tokens", "401 201 403 403 403 403 403 201 201 403 403 403 201", func(w *world, _ *caller) ask {
		return ask{path: "/org/sso/scim-tokens", body: v1.SCIMTokenIn{Name: w.unique("Directory")}}
	}},
	{"DELETE /org/sso/scim-tokens/{id}", "401 404 403 403 403 403 403 204 204 403 403 403 204", func(w *world, _ *caller) ask {
		t := read[v1.SCIMToken](w.founder.call("POST", "/org/sso/scim-tokens", v1.SCIMTokenIn{Name: w.unique("Directory")}))
		return ask{path: "/org/sso/scim-tokens/" + t.ID}
	}},
	{"POST /org/sso/providers/{id}/sync", "401 404 403 403 403 403 403 409 409 403 403 403 409", onProvider("/sync", nil)},
	{"GET /org/sso/identities", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/org/sso/identities")},
	{"DELETE /org/sso/identities/{id}", "401 404 403 403 403 403 403 404 404 403 403 403 404", path("/org/sso/identities/idn_x")},
	{"GET /auth/sso/{organization}", "200 200 200 200 200 200 200 200 200 200 200 200 200", path("/auth/sso/nobody-here")},
	{"GET /auth/saml/{id}/metadata", "404 404 404 404 404 404 404 404 404 404 404 404 404", path("/auth/saml/sso_x/metadata")},
	{"POST /auth/sso/start", "404 404 404 404 404 404 404 404 404 404 404 404 404", func(*world, *caller) ask {
		return ask{path: "/auth/sso/start", body: v1.SSOStartIn{Organization: "nobody-here", ProviderID: "sso_x"}}
	}},
	{"POST /auth/sso/finish", "401 401 401 401 401 401 401 401 401 401 401 401 401", func(*world, *caller) ask {
		return ask{path: "/auth/sso/finish", body: v1.SSOFinishIn{ProviderID: "sso_x", State: "x"}}
	}},
	{"GET /me/sso-identities", "401 200 200 200 200 200 200 200 200 403 403 403 200", path("/me/sso-identities")},
	{"POST /me/sso-identities", "401 403 403 403 403 403 403 403 403 403 403 403 403", func(w *world, _ *caller) ask { // from the console alone
		return ask{path: "/me/sso-identities", body: v1.SSOLinkIn{OrgID: w.founder.org, ProviderID: "sso_x"}}
	}},
	{"DELETE /me/sso-identities/{id}", "401 404 404 404 404 404 404 404 404 403 403 403 404", path("/me/sso-identities/idn_x")},
	{"POST /auth/token-exchange", "401 401 401 401 401 401 401 401 401 401 401 401 401", func(w *world, _ *caller) ask {
		return ask{path: "/auth/token-exchange", body: v1.TokenExchangeIn{GrantType: grantType, SubjectToken: "x", Organization: w.founder.org}}
	}},
	{"GET /org/sso/workload-rules", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/org/sso/workload-rules")},
	{"POST /org/sso/workload-rules", "401 422 403 403 403 403 403 201 201 403 403 403 201", func(w *world, _ *caller) ask {
		return ask{path: "/org/sso/workload-rules", body: w.workloadRule()}
	}},
	{"GET /org/sso/workload-rules/{id}", "401 404 403 403 403 403 403 200 200 403 403 200 200", onWorkloadRule(nil)},
	{"PATCH /org/sso/workload-rules/{id}", "401 404 403 403 403 403 403 200 200 403 403 403 200", onWorkloadRule(map[string]any{"enabled": false})},
	{"DELETE /org/sso/workload-rules/{id}", "401 404 403 403 403 403 403 204 204 403 403 403 204", onWorkloadRule(nil)},
	{"GET /organizations", "401 403 403 403 403 403 403 403 403 403 403 403 200", path("/organizations")},
	{"POST /organizations", "401 403 403 403 403 403 403 403 403 403 403 403 201", func(w *world, _ *caller) ask {
		return ask{path: "/organizations", body: v1.OrganizationIn{Name: w.unique("Organization")}}
	}},

	{"GET /safes", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/safes")},
	{"POST /safes", "401 201 403 403 403 403 403 201 201 403 403 201 201", func(w *world, _ *caller) ask { return ask{path: "/safes", body: v1.SafeIn{Name: w.unique("Made")}} }},
	{"GET /safes/{id}", "401 404 404 200 200 200 200 200 200 403 200 200 200", shared("/safes/%s", theSafe)},
	{"PATCH /safes/{id}", "401 404 404 403 403 200 403 200 200 403 200 200 200", fresh("/safes/%s", theSafe, map[string]any{"description": "changed"})},
	{"DELETE /safes/{id}", "401 404 404 403 403 204 403 403 403 403 204 403 204", fresh("/safes/%s", theSafe, nil)},
	{"POST /safes/{id}/lock", "401 404 404 403 403 200 403 200 200 403 200 200 200", fresh("/safes/%s/lock", theSafe, nil)},
	{"POST /safes/{id}/unlock", "401 404 404 403 403 200 403 200 200 403 200 200 200", fresh("/safes/%s/unlock", theSafe, nil)},
	{"POST /safes/{id}/take-over", "401 404 404 403 403 404 403 403 200 403 403 403 200", func(w *world, _ *caller) ask {
		safe := w.safe()
		w.founder.joins(safe, w.who["viewer"], "viewer")
		w.founder.joins(safe, w.who["operator"], "operator")
		for _, m := range read[[]v1.SafeMember](w.founder.call("GET", "/safes/"+safe+"/members", nil)) {
			if m.UserID == w.founder.id {
				w.founder.call("DELETE", "/safes/"+safe+"/members/"+m.ID, nil).want(204)
			}
		}
		return ask{path: "/safes/" + safe + "/take-over"}
	}},
	{"GET /safes/{id}/members", "401 404 404 200 200 200 200 200 200 403 200 200 200", shared("/safes/%s/members", theSafe)},
	{"POST /safes/{id}/members", "401 404 404 403 403 201 403 403 403 403 201 403 201", func(w *world, _ *caller) ask {
		return ask{path: "/safes/" + w.fresh().safe + "/members", body: v1.SafeMemberIn{UserID: w.who["stranger"].id, Role: "viewer"}}
	}},
	{"GET /safes/{id}/members/{member_id}", "401 404 404 200 200 200 200 200 200 403 200 200 200", shared("/safes/%s", theMember)},
	{"PATCH /safes/{id}/members/{member_id}", "401 404 404 403 403 200 403 403 403 403 200 403 200", fresh("/safes/%s", theMember, map[string]any{"role": "operator"})},
	{"DELETE /safes/{id}/members/{member_id}", "401 404 404 204 403 204 403 403 403 403 204 403 204", fresh("/safes/%s", theMember, nil)},
	{"POST /safes/{id}/break-glass-kit", "401 404 404 403 403 201 403 403 403 403 403 403 201", fresh("/safes/%s/break-glass-kit", theSafe, kitIn)},

	{"GET /resources", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/resources")},
	{"POST /resources", "401 201 403 403 403 403 403 201 201 403 403 201 201", func(w *world, _ *caller) ask {
		return ask{path: "/resources", body: v1.ResourceIn{Name: w.unique("Made"), Type: "ssh", Host: "127.0.0.1", HostKeyPolicy: "accept_first"}}
	}},
	{"GET /resources/{id}", "401 404 404 200 200 200 200 200 200 403 200 200 200", shared("/resources/%s", theResource)},
	{"PATCH /resources/{id}", "401 404 404 403 403 403 403 200 200 403 403 200 200", func(w *world, _ *caller) ask {
		return ask{path: "/resources/" + w.fresh().resource, body: map[string]any{"name": w.unique("Renamed")}}
	}},
	{"DELETE /resources/{id}", "401 404 404 403 403 403 403 409 409 403 403 409 409", fresh("/resources/%s", theResource, nil)},
	{"POST /resources/{id}/probe", "401 404 404 403 403 200 403 200 200 403 200 200 200", shared("/resources/%s/probe", theResource)},

	{"GET /accounts", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/accounts")},
	{"POST /accounts", "401 201 403 403 403 403 403 201 201 403 403 201 201", func(w *world, _ *caller) ask {
		return ask{path: "/accounts", body: v1.AccountIn{Name: w.unique("Made"), Username: "root"}}
	}},
	{"GET /accounts/{id}", "401 404 404 200 200 200 200 200 200 403 200 200 200", shared("/accounts/%s", theAccount)},
	{"PATCH /accounts/{id}", "401 404 404 403 403 403 403 200 200 403 403 200 200", fresh("/accounts/%s", theAccount, map[string]any{"username": "admin"})},
	{"DELETE /accounts/{id}", "401 404 404 403 403 403 403 409 409 403 403 409 409", fresh("/accounts/%s", theAccount, nil)},
	{"PUT /accounts/{id}/credential", "401 404 404 403 403 200 403 403 403 403 403 403 200", fresh("/accounts/%s/credential", theAccount, v1.CredentialIn{Kind: "password", Value: "another-one"})},
	{"POST /accounts/{id}/check", "401 404 404 403 403 200 403 403 403 403 200 403 200", shared("/accounts/%s/check", theAccount)},
	{"GET /accounts/{id}/versions", "401 404 404 200 200 200 200 200 200 403 200 200 200", shared("/accounts/%s/versions", theAccount)},
	{"POST /accounts/{id}/credential/generate", "401 404 404 403 403 200 403 403 403 403 403 403 200", fresh("/accounts/%s/credential/generate", theAccount, v1.GenerateIn{Kind: "password"})},
	{"POST /accounts/{id}/versions/purge", "401 404 404 403 403 200 403 403 403 403 403 403 200", fresh("/accounts/%s/versions/purge", theAccount, v1.PurgeIn{Keep: 1})},
	{"DELETE /accounts/{id}/versions/{n}", "401 404 404 403 403 204 403 403 403 403 403 403 204", onOldVersion("")},
	{"POST /accounts/{id}/versions/{n}/promote", "401 404 404 403 403 200 403 403 403 403 403 403 200", onOldVersion("/promote")},
	{"POST /accounts/import", "401 200 403 403 403 403 403 200 200 403 403 403 200", func(w *world, _ *caller) ask {
		return ask{path: "/accounts/import", body: v1.AccountImportIn{CSV: "name,username,value\n" + w.unique("Imported") + ",root,a-secret-of-many\n"}}
	}},

	{"GET /ssh-ca", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/ssh-ca")},
	{"POST /ssh-ca/rotate", "401 200 403 403 403 403 403 200 200 403 403 403 200", path("/ssh-ca/rotate")},
	{"DELETE /ssh-ca/keys/{number}", "401 404 403 403 403 403 403 404 404 403 403 403 404", path("/ssh-ca/keys/99")},
	{"GET /ssh-ca/{org_id}/krl", "404 404 404 404 404 404 404 404 404 404 404 404 404", path("/ssh-ca/org_01ARZ3NDEKTSV4RRFFQ69G5FAV/krl")},
	{"GET /leases", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/leases")},
	{"POST /leases/{id}/revoke", "401 404 404 404 404 404 404 404 404 403 404 404 404", path("/leases/lea_01ARZ3NDEKTSV4RRFFQ69G5FAV/revoke")},
	{"POST /leases/{id}/forget", "401 404 404 404 404 404 404 404 404 403 403 403 404", func(*world, *caller) ask {
		return ask{path: "/leases/lea_01ARZ3NDEKTSV4RRFFQ69G5FAV/forget", body: v1.LeaseForgetIn{Reason: "seen"}}
	}},
	{"POST /accounts/{id}/sweep", "401 404 403 403 403 403 403 409 409 403 403 409 409", shared("/accounts/%s/sweep", theAccount)},

	{"POST /accounts/{id}/rotate", "401 404 404 403 403 202 403 403 403 403 202 403 202", fresh("/accounts/%s/rotate", theAccount, nil)},
	{"GET /accounts/{id}/rotation", "401 404 404 403 403 200 200 200 200 403 200 200 200", shared("/accounts/%s/rotation", theAccount)},
	{"PUT /accounts/{id}/rotation", "401 404 404 403 403 200 403 403 403 403 403 403 200", fresh("/accounts/%s/rotation", theAccount, v1.RotationSettings{CheckHours: 2000})},
	{"GET /rotations", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/rotations")},
	{"GET /rotations/{id}", "401 404 404 404 404 200 200 200 200 403 200 200 200", onRotation("")},
	{"POST /rotations/{id}/retry", "401 404 404 404 404 200 403 403 403 403 200 403 200", onRotation("/retry")},
	{"POST /rotations/{id}/cancel", "401 404 404 404 404 409 403 403 403 403 409 403 409", onRotation("/cancel")},
	{"GET /credential-health", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/credential-health")},

	{"GET /checkouts", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/checkouts")},
	{"POST /checkouts", "401 404 404 403 201 201 403 403 403 403 201 403 201", func(w *world, _ *caller) ask {
		return ask{path: "/checkouts", body: v1.CheckoutIn{SafeID: w.fresh().safe}}
	}},
	{"GET /checkouts/{id}", "401 404 404 404 200 200 200 200 200 403 200 200 200", shared("/checkouts/%s", theCheckout)},
	{"POST /checkouts/{id}/extend", "401 404 404 404 200 404 404 404 404 403 404 404 404", func(w *world, _ *caller) ask {
		f := w.fresh()
		id := read[v1.Checkout](w.who["operator"].call("POST", "/checkouts", v1.CheckoutIn{SafeID: f.safe})).ID
		return ask{path: "/checkouts/" + id + "/extend"}
	}},
	{"POST /checkouts/{id}/check-in", "401 404 404 404 200 200 403 200 200 403 200 200 200", func(w *world, _ *caller) ask {
		f := w.fresh()
		id := read[v1.Checkout](w.who["operator"].call("POST", "/checkouts", v1.CheckoutIn{SafeID: f.safe})).ID
		return ask{path: "/checkouts/" + id + "/check-in"}
	}},

	{"GET /confirmations", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/confirmations")},
	{"GET /confirmations/{id}", "401 404 404 404 404 200 200 200 200 403 200 200 200", func(w *world, _ *caller) ask { return ask{path: "/confirmations/" + w.pending()} }},
	{"POST /confirmations/{id}/confirm", "401 404 404 404 404 200 403 403 403 403 403 403 200", func(w *world, _ *caller) ask {
		return ask{path: "/confirmations/" + w.pending() + "/confirm"}
	}},
	{"POST /confirmations/{id}/reject", "401 404 404 404 404 200 403 403 403 403 403 403 200", func(w *world, _ *caller) ask {
		return ask{path: "/confirmations/" + w.pending() + "/reject"}
	}},

	{"GET /sessions", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/sessions")},
	{"POST /sessions", "401 404 404 403 201 201 403 403 403 403 201 403 201", func(w *world, _ *caller) ask {
		return ask{path: "/sessions", body: v1.SessionIn{SafeID: w.fresh().safe}}
	}},
	{"GET /sessions/{id}", "401 404 404 404 200 200 200 200 200 403 200 200 200", shared("/sessions/%s", theSession)},
	{"GET /sessions/{id}/terminal", "401 404 404 404 409 403 403 403 403 403 403 403 403", shared("/sessions/%s/terminal", theSession)},
	{"GET /policies", "401 200 403 403 403 403 200 200 200 403 403 200 200", path("/policies")},
	{"POST /policies", "401 201 403 403 403 403 403 201 201 403 403 201 201", func(w *world, _ *caller) ask {
		return ask{path: "/policies", body: v1.PolicyIn{Name: w.unique("Policy"), Action: "deny"}}
	}},
	{"GET /policies/templates", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/policies/templates")},
	{"GET /policies/{id}", "401 404 403 403 403 403 200 200 200 403 403 200 200", onPolicy("", false, nil)},
	{"PATCH /policies/{id}", "401 404 403 403 403 403 403 200 200 403 403 200 200", onPolicy("", false, map[string]any{"description": "changed"})},
	{"DELETE /policies/{id}", "401 404 403 403 403 403 403 204 204 403 403 204 204", onPolicy("", false, nil)},
	{"POST /policies/{id}/activate", "401 404 403 403 403 403 403 200 200 403 403 200 200", onPolicy("/activate", false, nil)},
	{"POST /policies/{id}/disable", "401 404 403 403 403 403 403 200 200 403 403 200 200", onPolicy("/disable", true, nil)},
	{"POST /policies/{id}/preview", "401 404 403 403 403 403 403 200 200 403 403 200 200", onPolicy("/preview", false, map[string]any{"days": 1})},
	{"POST /access-decisions", "401 404 404 200 200 200 200 200 200 403 200 200 200", func(w *world, _ *caller) ask {
		return ask{path: "/access-decisions", body: v1.AccessDecisionIn{SafeID: w.shared.safe}}
	}},
	{"GET /access-requests", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/access-requests")},
	{"POST /access-requests", "401 404 404 403 201 201 403 403 403 403 201 403 201", func(w *world, _ *caller) ask {
		return ask{path: "/access-requests", body: v1.AccessRequestIn{SafeID: w.fresh().safe, Reason: "to try", DurationSeconds: 60}}
	}},
	{"GET /access-requests/{id}", "401 404 200 404 200 200 200 200 200 403 200 200 200", onRequest("")},
	{"POST /access-requests/{id}/approve", "401 404 200 404 403 403 403 403 403 403 403 403 403", onRequest("/approve")},
	{"POST /access-requests/{id}/reject", "401 404 200 404 403 403 403 403 403 403 403 403 403", onRequest("/reject")},
	{"POST /access-requests/{id}/cancel", "401 404 403 404 200 403 403 403 403 403 403 403 403", onRequest("/cancel")},
	{"GET /grants", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/grants")},
	{"GET /grants/{id}", "401 404 200 404 200 200 200 200 200 403 200 200 200", onGrant},
	{"DELETE /grants/{id}", "401 404 204 404 204 204 403 204 204 403 204 204 204", onGrant},
	{"GET /access", "401 200 403 403 403 403 200 200 200 403 403 200 200", path("/access")},
	{"GET /access/export", "401 200 403 403 403 403 200 200 200 403 403 200 200", path("/access/export?format=csv")},
	{"GET /access-reviews", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/access-reviews")},
	{"POST /access-reviews", "401 422 403 403 403 403 403 201 201 403 403 201 201", func(w *world, _ *caller) ask {
		return ask{path: "/access-reviews", body: reviewIn(w.shared.safe)}
	}},
	{"GET /access-reviews/{id}", "401 404 404 404 404 200 200 200 200 403 200 200 200", onReview("")},
	{"POST /access-reviews/{id}/close", "401 404 403 403 403 403 403 200 200 403 403 200 200", onReview("/close")},
	{"GET /access-reviews/{id}/items", "401 404 404 404 404 200 200 200 200 403 200 200 200", onReview("/items")},
	{"POST /access-reviews/{id}/decisions", "401 404 404 404 404 200 403 403 403 403 200 403 200", func(w *world, _ *caller) ask {
		f := w.fresh()
		r := w.founder.reviews(f.safe)
		return ask{path: "/access-reviews/" + r.ID + "/decisions", body: v1.AccessReviewDecisionsIn{ItemIDs: []string{w.founder.itemOf(r.ID, f.viewer).ID}, Decision: "revoke"}}
	}},
	{"GET /access-reviews/{id}/export", "401 404 404 404 404 200 200 200 200 403 200 200 200", onReview("/export")},

	{"POST /sessions/{id}/terminate", "401 404 404 404 200 200 403 200 200 403 200 200 200", func(w *world, _ *caller) ask {
		id := read[v1.Launch](w.who["operator"].call("POST", "/sessions", v1.SessionIn{SafeID: w.fresh().safe})).ID
		return ask{path: "/sessions/" + id + "/terminate"}
	}},

	{"GET /recordings", "401 200 200 200 200 200 200 200 200 403 200 200 200", path("/recordings")},
	{"GET /recordings/{id}", "401 404 404 404 200 200 200 200 200 403 200 200 200", shared("/recordings/%s", theRecording)},
	{"GET /recordings/{id}/content", "401 404 404 404 200 200 200 403 403 403 200 403 200", shared("/recordings/%s/content", theRecording)},
	{"GET /recordings/{id}/verify", "401 404 404 404 200 200 200 200 200 403 200 200 200", shared("/recordings/%s/verify", theRecording)},
	{"GET /recordings/{id}/chunks", "401 404 404 404 200 200 200 403 403 403 200 403 200", shared("/recordings/%s/chunks", theRecording)},
	{"GET /recordings/{id}/chunks/{n}", "401 404 404 404 200 200 200 403 403 403 200 403 200", shared("/recordings/%s/chunks/0", theRecording)},
	{"POST /recordings/{id}/key", "401 404 404 404 200 200 200 403 403 403 200 403 200", shared("/recordings/%s/key", theRecording)},

	{"GET /webhooks", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/webhooks")},
	{"POST /webhooks", "401 201 403 403 403 403 403 201 201 403 403 201 201", func(*world, *caller) ask {
		return ask{path: "/webhooks", body: v1.WebhookIn{URL: "https://siem.example/hook", Events: []string{"SAFE_*"}}}
	}},
	{"GET /webhooks/{id}", "401 404 403 403 403 403 403 200 200 403 403 200 200", onWebhook("", nil)},
	{"PATCH /webhooks/{id}", "401 404 403 403 403 403 403 200 200 403 403 200 200", onWebhook("", map[string]any{"status": "disabled"})},
	{"DELETE /webhooks/{id}", "401 404 403 403 403 403 403 204 204 403 403 204 204", onWebhook("", nil)},
	{"POST /webhooks/{id}/rotate-secret", "401 404 403 403 403 403 403 200 200 403 403 200 200", onWebhook("/rotate-secret", nil)},
	{"POST /webhooks/{id}/test", "401 404 403 403 403 403 403 200 200 403 403 200 200", onWebhook("/test", nil)},
	{"GET /webhooks/{id}/deliveries", "401 404 403 403 403 403 403 200 200 403 403 200 200", onWebhook("/deliveries", nil)},
	{"POST /webhooks/{id}/deliveries/{event_id}/redeliver", "401 404 403 403 403 403 403 404 404 403 403 404 404", onWebhook("/deliveries/evt_x/redeliver", nil)},
	{"GET /org/notifications", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/org/notifications")},
	{"PATCH /org/notifications", "401 200 403 403 403 403 403 200 200 403 403 200 200", func(*world, *caller) ask {
		return ask{path: "/org/notifications", body: v1.NotificationsIn{ApproverEmail: true}}
	}},
	{"GET /org/notifications/messages", "401 200 403 403 403 403 403 200 200 403 403 200 200", path("/org/notifications/messages")},

	{"GET /stats", "401 200 403 403 403 403 200 200 200 403 403 200 200", path("/stats")},

	{"GET /audit-events", "401 200 403 403 403 403 200 200 200 403 403 200 200", path("/audit-events")},
	{"GET /audit-events/{id}", "401 404 403 403 403 403 200 200 200 403 403 200 200", func(w *world, _ *caller) ask {
		return ask{path: "/audit-events/" + read[[]v1.AuditEvent](w.founder.call("GET", "/audit-events?limit=1&target_id="+w.shared.safe, nil))[0].ID}
	}},
	{"GET /audit-events/export", "401 200 403 403 403 403 200 200 200 403 403 200 200", path("/audit-events/export")},
	{"GET /audit-log/checkpoint", "401 200 403 403 403 403 200 200 200 403 403 200 200", path("/audit-log/checkpoint")},
	{"GET /audit-log/proof", "401 200 403 403 403 403 200 200 200 403 403 200 200", path("/audit-log/proof?leaf_index=0")},

	{"GET /vault/status", "200 200 200 200 200 200 200 200 200 200 200 200 200", path("/vault/status")},
	{"GET /vault/rotate-keys", "401 403 403 403 403 403 403 403 403 403 403 403 200", path("/vault/rotate-keys")},
	{"POST /vault/rotate-keys", "401 403 403 403 403 403 403 403 403 403 403 403 202", path("/vault/rotate-keys")},
	{"POST /vault/seal", "401 403 403 403 403 403 403 403 403 403 403 403 200", path("/vault/seal")},
	{"POST /vault/unseal", "200 200 200 200 200 200 200 200 200 200 200 200 200", path("/vault/unseal")},
}

// onGroup asks about a group with the stranger in it that is an operator of the
// Safe.
func onGroup(rest string, body any) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		g := read[v1.Group](w.founder.call("POST", "/org/groups", v1.GroupIn{Name: w.unique("Team"), MemberIDs: []string{w.who["stranger"].id}}))
		safe := w.fresh().safe
		w.founder.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{GroupID: g.ID, Role: "operator"}).want(http.StatusCreated)
		if m, ok := body.(map[string]any); ok && m["name"] != nil {
			body = map[string]any{"name": w.unique("Another")}
		}
		return ask{path: "/org/groups/" + g.ID + rest, body: body}
	}
}

// invitation is one of somebody new to nothing but the organization.
func (w *world) invitation() v1.InvitationsIn {
	return v1.InvitationsIn{Emails: []string{strings.ReplaceAll(w.unique("invited"), " ", "") + "@table.test"}, Role: "operator"}
}

func onInvitation(rest string) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		i := read[[]v1.Invitation](w.founder.call("POST", "/org/invitations", w.invitation()))[0]
		return ask{path: "/org/invitations/" + i.ID + rest}
	}
}
