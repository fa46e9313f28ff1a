package script

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	v1 "vaultpam/api/v1"
	"vaultpam/test/provider"
)

// believes makes the caller's organization believe an honest provider.
func (c *caller) believes(idp *provider.Provider, change func(*v1.SSOProviderIn)) v1.SSOProvider {
	c.t.Helper()
	in := v1.SSOProviderIn{Name: "Provider " + idp.URL, Issuer: idp.URL, ClientID: idp.ClientID, ClientSecret: &idp.ClientSecret, Enabled: true}
	if change != nil {
		change(&in)
	}
	return read[v1.SSOProvider](c.call("POST", "/org/sso/providers", in))
}

// slug is that of the caller's organization.
func (c *caller) slug() string { c.t.Helper(); return read[v1.Org](c.call("GET", "/org", nil)).Slug }

// tab is a browser on its way through a sign-in.
type tab struct {
	p        *proc
	idp      *provider.Provider
	provider string
	sso      string // what it keeps
	at       string // where the provider sent it
	query    url.Values
}

// opens begins a sign-in and lets the provider ask the person.
func (p *proc) opens(idp *provider.Provider, slug, id string) *tab {
	p.t.Helper()
	a := p.nobody().call("POST", "/auth/sso/start", v1.SSOStartIn{Organization: slug, ProviderID: id})
	t := &tab{p: p, idp: idp, provider: id, sso: ssoCookie(a)}
	t.at, t.query = idp.SignIn(read[v1.SSOStart](a).URL)
	return t
}

func ssoCookie(a answer) string {
	a.t.Helper()
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "__Host-vaultpam-sso" {
			if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
				a.t.Errorf("the cookie is too open: %s", a.header.Get("Set-Cookie"))
			}
			return c.Value
		}
	}
	a.t.Fatalf("%s: %d sets no cookie: %s", a.what, a.status, a.body)
	return ""
}

// returns brings what the provider said to the server.
func (t *tab) returns() answer {
	t.p.t.Helper()
	return t.p.nobody().call("POST", "/auth/sso/finish", v1.SSOFinishIn{
		ProviderID: t.provider, State: t.query.Get("state"), Code: t.query.Get("code"), Iss: t.query.Get("iss"), Error: t.query.Get("error"),
	}, "Cookie", "__Host-vaultpam-sso="+t.sso)
}

// vouched signs in by a provider.
func (p *proc) vouched(idp *provider.Provider, slug, id string) *caller {
	p.t.Helper()
	return p.entered(p.opens(idp, slug, id).returns())
}

func (p *proc) entered(a answer) *caller {
	p.t.Helper()
	got := read[v1.SSOFinish](a)
	if got.Linked || got.Login == nil {
		p.t.Fatalf("%s", a.body)
	}
	c := &caller{t: p.t, name: "somebody vouched for", base: p.base, cookie: cookieOf(a), csrf: got.Login.CSRFToken}
	me := read[v1.Me](c.call("GET", "/me", nil))
	c.id, c.email = me.ID, me.Email
	c.org = read[v1.Memberships](c.call("GET", "/org/memberships", nil)).ActiveOrgID
	return c
}

// links gives the person an account at the provider, by their own hand.
func (p *proc) links(who *caller, idp *provider.Provider, id, subject string) {
	p.t.Helper()
	browser := p.browser(who.email, ownerPassword)
	a := browser.call("POST", "/me/sso-identities", v1.SSOLinkIn{OrgID: who.org, ProviderID: id})
	idp.Person(subject, who.email, nil)
	_, q := idp.SignIn(read[v1.SSOStart](a).URL)
	browser.call("POST", "/auth/sso/finish", v1.SSOFinishIn{ProviderID: id, State: q.Get("state"), Code: q.Get("code")},
		"Cookie", "__Host-vaultpam="+browser.cookie+"; __Host-vaultpam-sso="+ssoCookie(a)).want(http.StatusOK)
}

// Somebody who was never here signs in by the organization's provider: they
// become a user at home here, with the role and the groups that their claims
// give, and can do what a member can.
func TestSomebodyNewSignsInByAProvider(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	team := read[v1.Group](owner.call("POST", "/org/groups", v1.NewGroup{GroupIn: v1.GroupIn{Name: "From the directory"}, Source: "claim"}))
	made := owner.believes(idp, func(in *v1.SSOProviderIn) {
		in.CreateUsers, in.AllowedDomains, in.GroupClaim = true, []string{"corp.test"}, "groups"
		in.Rules = []v1.SSORule{{Value: "/ops", GroupIDs: []string{team.ID}}, {Value: "/policy", Role: "policy_manager"}}
	})
	slug := owner.slug()
	if offers := read[v1.SSOOffers](p.nobody().call("GET", "/auth/sso/"+slug, nil)); len(offers.Providers) != 1 || offers.Providers[0].ID != made.ID || offers.Providers[0].Name != made.Name {
		t.Errorf("offers: %+v", offers)
	}
	if offers := read[v1.SSOOffers](p.nobody().call("GET", "/auth/sso/nobody-here", nil)); len(offers.Providers) != 0 {
		t.Errorf("offers of nobody: %+v", offers)
	}
	idp.Person("s-1", "New.Person@Corp.Test", map[string]any{"name": "New Person", "groups": []string{"/ops", "/else", "/policy"}})
	tab := p.opens(idp, slug, made.ID)
	if tab.at != made.CallbackURL {
		t.Errorf("sent back to %s, not to %s", tab.at, made.CallbackURL)
	}
	who := p.entered(tab.returns())
	me := read[v1.Me](who.call("GET", "/me", nil))
	if me.Email != "new.person@corp.test" || me.Name != "New Person" || me.HomeOrgID != owner.org {
		t.Fatalf("%+v", me)
	}
	role := func() string { return read[v1.Member](owner.call("GET", "/org/members/"+who.id, nil)).Role }
	in := func() bool {
		return slices.Contains(read[v1.Group](owner.call("GET", "/org/groups/"+team.ID, nil)).MemberIDs, who.id)
	}
	if role() != "policy_manager" || !in() {
		t.Errorf("role %s, in the group: %v", role(), in())
	}
	who.call("GET", "/policies", nil).want(http.StatusOK)
	token := read[v1.PersonalAccessToken](who.call("POST", "/personal-access-tokens", v1.PersonalAccessTokenIn{Name: "mine", Scopes: []string{"safes:read"}, ExpiresInDays: 1}))
	p.nobody().with(token.Token).call("GET", "/safes", nil).want(http.StatusOK)

	// The next time their claims are others.
	idp.Person("s-1", "renamed@corp.test", map[string]any{"groups": "/else"})
	again := p.vouched(idp, slug, made.ID)
	if again.id != who.id || role() != "operator" || in() {
		t.Errorf("somebody else (%v), role %s, in the group: %v", again.id != who.id, role(), in())
	}
	if rows := read[[]v1.SSOIdentity](owner.call("GET", "/org/sso/identities", nil)); len(rows) != 1 || rows[0].LinkedBy != "created" || rows[0].Subject != "s-1" || rows[0].Email != "renamed@corp.test" {
		t.Errorf("identities: %+v", rows)
	}
	// A hundred thousand groups are as good as one.
	var many []string
	for n := range 20_000 {
		many = append(many, fmt.Sprintf("/g%d", n))
	}
	idp.Person("s-1", "renamed@corp.test", map[string]any{"groups": append(many, "/ops")})
	if p.vouched(idp, slug, made.ID); !in() {
		t.Error("one value among many was overlooked")
	}
	for n := range 80_000 {
		many = append(many, fmt.Sprintf("/h%d", n))
	}
	idp.Person("s-1", "renamed@corp.test", map[string]any{"groups": many})
	if a := p.opens(idp, slug, made.ID).returns(); a.status != http.StatusUnauthorized && a.status != http.StatusServiceUnavailable {
		t.Errorf("a token of a megabyte: %d %s", a.status, a.body)
	}
	// Whoever is not believed any more is out.
	who.call("GET", "/safes", nil).want(http.StatusOK)
	owner.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"enabled": false}).want(http.StatusOK)
	who.call("GET", "/safes", nil).want(http.StatusUnauthorized)
	p.nobody().call("POST", "/auth/sso/start", v1.SSOStartIn{Organization: slug, ProviderID: made.ID}).want(http.StatusNotFound)
	if e := owner.events("LOGIN_SUCCEEDED"); !slices.ContainsFunc(e, func(e v1.AuditEvent) bool {
		return e.Metadata["method"] == "sso" && e.Metadata["provider_id"] == made.ID
	}) {
		t.Error("no event of the sign-in")
	}
}

// A login by the word of one organization is worth nothing in another, and
// makes nothing that is.
func TestLoginByAProviderIsValidInItsOrganizationAlone(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	made := owner.believes(idp, nil)
	person := owner.person(p, "worker@corp.test", "operator")
	elsewhere := owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	elsewhere.call("POST", "/org/members", v1.MemberIn{Email: "worker@corp.test", Role: "admin"}).want(http.StatusCreated)
	p.links(person, idp, made.ID, "w")
	who := p.vouched(idp, owner.slug(), made.ID)
	if who.id != person.id {
		t.Fatalf("signed in as %s, not %s", who.email, person.email)
	}
	who.call("POST", "/me/memberships/"+elsewhere.org+"/accept", nil).want(http.StatusForbidden)
	person.call("POST", "/me/memberships/"+elsewhere.org+"/accept", nil).want(http.StatusOK)
	who.call("GET", "/safes", nil).want(http.StatusOK)
	who.call("GET", "/safes", nil, "X-Active-Org-Id", elsewhere.org).want(http.StatusForbidden, "ORG_ACCESS_DENIED")
	if ms := read[v1.Memberships](who.call("GET", "/org/memberships", nil)).Memberships; len(ms) != 1 || ms[0].OrgID != owner.org {
		t.Errorf("memberships: %+v", ms)
	}
	if ms := read[v1.Memberships](person.call("GET", "/org/memberships", nil)).Memberships; len(ms) != 2 {
		t.Errorf("the person's own login: %+v", ms)
	}
	who.call("PUT", "/me/password", v1.PasswordIn{CurrentPassword: ownerPassword, NewPassword: "another-password-9"}).want(http.StatusForbidden)
	who.call("POST", "/me/sso-identities", v1.SSOLinkIn{OrgID: owner.org, ProviderID: made.ID}).want(http.StatusForbidden)
	for _, l := range read[[]v1.Login](who.call("GET", "/me/logins", nil)) {
		if !l.Current {
			t.Errorf("sees the person's other login %s", l.ID)
		}
	}
	own := read[[]v1.Login](person.call("GET", "/me/logins", nil))
	if len(own) < 2 {
		t.Fatalf("the person sees %d logins", len(own))
	}
	for _, l := range own {
		if l.Current {
			who.call("DELETE", "/me/logins/"+l.ID, nil).want(http.StatusNotFound)
		}
	}
	// A program's login that it approves.
	codes := read[v1.DeviceCodes](p.nobody().call("POST", "/auth/device", v1.DeviceIn{ClientName: "cli"}))
	who.call("POST", "/auth/device/"+codes.UserCode+"/approve", nil).want(http.StatusOK)
	program := p.nobody().with(read[v1.DeviceToken](p.nobody().call("POST", "/auth/device/token", v1.DeviceTokenIn{DeviceCode: codes.DeviceCode})).AccessToken)
	program.call("GET", "/safes", nil).want(http.StatusOK)
	program.call("GET", "/safes", nil, "X-Active-Org-Id", elsewhere.org).want(http.StatusForbidden, "ORG_ACCESS_DENIED")
	// A key that it registers opens Safes here, and none there.
	signer, _ := who.registers()
	dialled := func(safe string) error {
		client, err := p.dial(who.email+"+"+safe, "", ssh.PublicKeys(signer))
		if err != nil {
			return err
		}
		defer client.Close()
		session, err := client.NewSession()
		if err != nil {
			return err
		}
		defer session.Close()
		return session.Run("true")
	}
	here := owner.safe("Demo").ID
	owner.joins(here, who, "operator")
	if err := dialled(here); err != nil {
		t.Errorf("here: %v", err)
	}
	there := read[v1.Safe](elsewhere.call("POST", "/safes", v1.SafeIn{Name: "There"})).ID
	elsewhere.joins(there, who, "operator")
	if err := dialled(there); err == nil {
		t.Error("a key made on the word of one organization opened a Safe of another")
	}
	if keys := read[[]v1.SSHKey](person.call("GET", "/me/ssh-keys", nil)); len(keys) != 1 {
		t.Errorf("the person sees %d keys", len(keys))
	}
	// Unlinking ends what rests on it.
	identities := read[[]v1.SSOIdentity](person.call("GET", "/me/sso-identities", nil))
	if len(identities) != 1 || identities[0].LinkedBy != "self" {
		t.Fatalf("%+v", identities)
	}
	person.call("DELETE", "/me/sso-identities/"+identities[0].ID, nil).want(http.StatusNoContent)
	who.call("GET", "/me", nil).want(http.StatusUnauthorized)
	program.call("GET", "/me", nil).want(http.StatusUnauthorized)
	person.call("GET", "/me", nil).want(http.StatusOK)
}

// Somebody at home elsewhere, and an owner, link their account themselves.
func TestPeopleLinkTheirAccountWhileSignedIn(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	made := owner.believes(idp, nil)
	browser := p.browser(ownerEmail, ownerPassword)
	link := func(c *caller, subject string) answer {
		a := c.call("POST", "/me/sso-identities", v1.SSOLinkIn{OrgID: owner.org, ProviderID: made.ID})
		idp.Person(subject, ownerEmail, map[string]any{"email_verified": false})
		_, q := idp.SignIn(read[v1.SSOStart](a).URL)
		return c.call("POST", "/auth/sso/finish", v1.SSOFinishIn{ProviderID: made.ID, State: q.Get("state"), Code: q.Get("code")},
			"Cookie", "__Host-vaultpam="+c.cookie+"; __Host-vaultpam-sso="+ssoCookie(a))
	}
	idp.Person("o", ownerEmail, nil)
	if a := p.opens(idp, owner.slug(), made.ID).returns(); a.status != http.StatusUnauthorized {
		t.Errorf("an owner's address alone signed an owner in: %d %s", a.status, a.body)
	}
	if got := read[v1.SSOFinish](link(browser, "o")); !got.Linked || got.Login != nil {
		t.Errorf("%+v", got)
	}
	idp.Person("o", "whatever@else.test", map[string]any{"email_verified": false})
	who := p.vouched(idp, owner.slug(), made.ID)
	if who.id != browser.id {
		t.Error("signed in as somebody else")
	}
	// Not as the administrator of the instance, who they are by their password.
	who.call("GET", "/organizations", nil).want(http.StatusForbidden)
	link(browser, "o").want(http.StatusOK)        // again
	link(browser, "o2").want(http.StatusConflict) // a second one
	other := owner.person(p, "second@corp.test", "operator")
	link(p.browser(other.email, ownerPassword), "o").want(http.StatusConflict) // somebody else's
	// A link that was begun by one ends with the same.
	a := browser.call("POST", "/me/sso-identities", v1.SSOLinkIn{OrgID: owner.org, ProviderID: made.ID})
	idp.Person("evil", "evil@else.test", nil)
	_, q := idp.SignIn(read[v1.SSOStart](a).URL)
	victim := p.browser(other.email, ownerPassword)
	victim.call("POST", "/auth/sso/finish", v1.SSOFinishIn{ProviderID: made.ID, State: q.Get("state"), Code: q.Get("code")},
		"Cookie", "__Host-vaultpam="+victim.cookie+"; __Host-vaultpam-sso="+ssoCookie(a)).want(http.StatusUnauthorized)
	owner.call("POST", "/me/sso-identities", v1.SSOLinkIn{OrgID: owner.org, ProviderID: made.ID}).want(http.StatusForbidden) // no browser
}

// Where an organization wants single sign-on, the passwords of those who are
// at home there open nothing in it, but for an owner's.
func TestOrganizationThatWantsSingleSignOnAlone(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	made := owner.believes(idp, nil)
	person := owner.person(p, "worker@corp.test", "admin")
	guest := owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	owner.call("POST", "/org/members", v1.MemberIn{Email: guest.email, Role: "operator"}).want(http.StatusCreated)
	guest.call("POST", "/me/memberships/"+owner.org+"/accept", nil).want(http.StatusOK)
	token := person.pat("safes:read")
	owner.joins(owner.safe("Demo").ID, person, "operator")
	owner.call("PATCH", "/org/sso", v1.SSOSettingsIn{SSOOnly: true}).want(http.StatusOK)
	person.call("GET", "/safes", nil).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	p.login(person.email, ownerPassword).call("GET", "/org", nil, "X-Active-Org-Id", owner.org).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	person.call("GET", "/me", nil).want(http.StatusOK)
	if client, err := p.dial(person.email+"+"+owner.safe("Demo").ID, ownerPassword); err == nil {
		session, err := client.NewSession()
		if err == nil {
			err = session.Run("true")
		}
		if err == nil {
			t.Error("a password opened a Safe by SSH")
		}
		_ = client.Close()
	}
	token.call("GET", "/safes", nil).want(http.StatusOK)
	guest.call("GET", "/safes", nil, "X-Active-Org-Id", owner.org).want(http.StatusOK)
	owner.call("GET", "/safes", nil).want(http.StatusOK)
	p.links(person, idp, made.ID, "w") // also now
	p.vouched(idp, owner.slug(), made.ID).call("GET", "/safes", nil).want(http.StatusOK)
}

// Attack: whoever configures or controls a provider signs in as somebody whom
// it has no business with.
func TestAttackProviderVouchesForOthersPeople(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	victim := owner.person(p, "victim@corp.test", "operator")
	boss := owner.organization(p, "Evil", "boss@evil.test")
	made := boss.believes(idp, func(in *v1.SSOProviderIn) { in.CreateUsers = true })
	slug := boss.slug()
	refused := func(what, id, slug string) {
		t.Helper()
		if a := p.opens(idp, slug, id).returns(); a.status != http.StatusUnauthorized || a.code() != "AUTH_FAILED" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	idp.Person("v", victim.email, nil)
	refused("the user of another organization", made.ID, slug)
	boss.call("POST", "/org/members", v1.MemberIn{Email: victim.email, Role: "operator"}).want(http.StatusCreated)
	refused("an invited one", made.ID, slug)
	victim.call("POST", "/me/memberships/"+boss.org+"/accept", nil).want(http.StatusOK)
	refused("a guest, by their address", made.ID, slug)
	idp.Person("o", boss.email, nil)
	refused("the owner", made.ID, slug)
	p.nobody().call("POST", "/auth/sso/start", v1.SSOStartIn{Organization: owner.slug(), ProviderID: made.ID}).want(http.StatusNotFound)
	boss.call("GET", "/org/sso/providers/"+made.ID, nil, "X-Active-Org-Id", owner.org).want(http.StatusForbidden)

	// At home: whoever has a way to sign in links their account themselves.
	ours := owner.believes(idp, func(in *v1.SSOProviderIn) { in.CreateUsers, in.AllowedDomains = true, []string{"corp.test"} })
	slug = owner.slug()
	idp.Person("v", victim.email, nil)
	refused("somebody with a password", ours.ID, slug)
	// Whoever has none is found by an address that is verified, in a domain that
	// was named, once.
	added := read[v1.Member](owner.call("POST", "/org/members", v1.MemberIn{Email: "added@corp.test", Role: "operator"}))
	victim = &caller{t: t, email: added.Email, id: added.UserID}
	for what, more := range map[string]map[string]any{
		"an address that is not verified":     {"email_verified": false},
		"an address of which nothing is said": {"email_verified": nil},
		"a word that is no yes":               {"email_verified": "maybe"},
		"an address of another domain":        {"email": "victim@evil.test"},
		"no address":                          {"email": nil},
		"two addresses":                       {"email": []string{victim.email}},
	} {
		idp.Person("v", victim.email, more)
		refused(what, ours.ID, slug)
	}
	idp.Person("v", victim.email, nil)
	if who := p.vouched(idp, slug, ours.ID); who.id != victim.id {
		t.Error("somebody else")
	}
	idp.Person("v2", victim.email, nil)
	refused("the same address with another subject", ours.ID, slug)
	second := provider.Start(t)
	theirs := owner.believes(second, nil)
	second.Person("v", victim.email, nil)
	if a := p.opens(second, slug, theirs.ID).returns(); a.status != http.StatusUnauthorized {
		t.Errorf("another provider with the same address: %d %s", a.status, a.body)
	}
	// Whoever was put out stays out.
	owner.call("POST", "/org/members/"+victim.id+"/suspend", nil).want(http.StatusOK)
	idp.Person("v", victim.email, nil)
	refused("somebody suspended", ours.ID, slug)
	owner.call("DELETE", "/org/members/"+victim.id, nil).want(http.StatusNoContent)
	refused("somebody removed", ours.ID, slug)
	if len(owner.events("SSO_LOGIN_REFUSED")) < 8 || len(boss.events("SSO_LOGIN_REFUSED")) < 4 {
		t.Errorf("%d and %d events", len(owner.events("SSO_LOGIN_REFUSED")), len(boss.events("SSO_LOGIN_REFUSED")))
	}
}

// Attack: an administrator, who is in no Safe, adds a provider of their own and
// has it vouch for somebody who is in one.
func TestAttackAdministratorVouchesForWhoIsInASafe(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	admin := owner.person(p, "admin@corp.test", "admin")
	manager := owner.person(p, "manager@corp.test", "operator")
	safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{Name: "Crown jewels"})).ID
	owner.joins(safe, manager, "manager")
	// Somebody whom a directory, or an administrator, has added without a password.
	fresh := read[v1.Member](owner.call("POST", "/org/members", v1.MemberIn{Email: "fresh@corp.test", Role: "operator"}))
	given := read[v1.SafeMember](owner.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{UserID: fresh.UserID, Role: "operator"}))
	made := admin.believes(idp, nil)
	slug := owner.slug()
	for _, email := range []string{manager.email, fresh.Email, owner.email} {
		idp.Person("evil", email, nil)
		if a := p.opens(idp, slug, made.ID).returns(); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", email, a.status, a.body)
		}
	}
	// The manager's word for the role is for the providers that there are by then.
	owner.call("PATCH", "/safes/"+safe+"/members/"+given.ID, map[string]any{"role": "operator"}).want(http.StatusOK)
	admin.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"allowed_domains": []string{"corp.test"}}).want(http.StatusOK)
	idp.Person("fresh", fresh.Email, nil)
	if a := p.opens(idp, slug, made.ID).returns(); a.status != http.StatusUnauthorized || !strings.Contains(string(a.body), "confirm") {
		t.Errorf("a provider that has changed since: %d %s", a.status, a.body)
	}
	owner.call("PATCH", "/safes/"+safe+"/members/"+given.ID, map[string]any{"role": "operator"}).want(http.StatusOK)
	p.vouched(idp, slug, made.ID).call("GET", "/safes/"+safe, nil).want(http.StatusOK)
}

// Attack: a sign-in that was begun in one browser ends in another, ends twice,
// or with the answer of another provider.
func TestAttackAnswersForOtherBrowsers(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp, evil := p.owner(), provider.Start(t), provider.Start(t)
	made := owner.believes(idp, func(in *v1.SSOProviderIn) { in.CreateUsers = true })
	other := owner.believes(evil, func(in *v1.SSOProviderIn) { in.CreateUsers = true })
	slug := owner.slug()
	idp.Person("a", "attacker@corp.test", nil)
	refused := func(what string, a answer) {
		t.Helper()
		if a.status != http.StatusUnauthorized || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	attacker, victim := p.opens(idp, slug, made.ID), p.opens(idp, slug, made.ID)
	planted := *attacker
	planted.sso = victim.sso
	refused("the attacker's answer in the victim's browser", planted.returns())
	planted.sso = ""
	refused("in a browser that has begun nothing", planted.returns())
	mixed := *victim
	mixed.query = url.Values{"state": victim.query["state"], "code": p.opens(idp, slug, made.ID).query["code"]}
	refused("the attacker's code with the victim's state", mixed.returns())
	refused("after that, the victim's own", victim.returns())
	who := p.entered(attacker.returns())
	refused("a second time", attacker.returns())
	foreign := p.opens(idp, slug, made.ID)
	foreign.provider = other.ID
	refused("an answer by another provider's redirect address", foreign.returns())
	if evil.Asked != 0 {
		t.Error("a code of one provider was sent to another")
	}
	foreign.provider, foreign.query = made.ID, url.Values{"state": foreign.query["state"], "code": foreign.query["code"], "iss": {evil.URL}}
	refused("an answer that names another issuer", foreign.returns())
	denied := p.opens(idp, slug, made.ID)
	denied.query = url.Values{"state": denied.query["state"], "error": {"access_denied"}}
	refused("an answer that is a refusal", denied.returns())
	for _, q := range []url.Values{{}, {"state": {"x"}}, {"state": {strings.Repeat("A", 43)}, "code": {"x"}}} {
		junk := *attacker
		junk.query = q
		refused("junk", junk.returns())
	}
	// Another site's page can neither begin nor end a sign-in.
	p.nobody().call("POST", "/auth/sso/start", v1.SSOStartIn{Organization: slug, ProviderID: made.ID}, "Origin", "https://evil.example").want(http.StatusForbidden)
	p.nobody().call("POST", "/auth/sso/finish", v1.SSOFinishIn{ProviderID: made.ID}, "Sec-Fetch-Site", "cross-site").want(http.StatusForbidden)
	// The token of the cookie is no bearer token.
	p.nobody().with(who.cookie).call("GET", "/me", nil).want(http.StatusUnauthorized)
}

// Attack: an administrator who is in no Safe feeds a group that is, or leads a
// provider's people into it.
func TestAttackAdministratorFeedsAGroupThatOpensASafe(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	admin := owner.person(p, "admin@corp.test", "admin")
	team := read[v1.Group](admin.call("POST", "/org/groups", v1.NewGroup{GroupIn: v1.GroupIn{Name: "Directory"}, Source: "claim"}))
	manual := read[v1.Group](admin.call("POST", "/org/groups", v1.NewGroup{GroupIn: v1.GroupIn{Name: "By hand"}}))
	admin.call("PUT", "/org/groups/"+team.ID+"/members/"+admin.id, nil).want(http.StatusConflict)
	admin.call("POST", "/org/groups", v1.NewGroup{GroupIn: v1.GroupIn{Name: "Both", MemberIDs: []string{admin.id}}, Source: "claim"}).want(http.StatusUnprocessableEntity)
	rules := []v1.SSORule{{Value: "ops", GroupIDs: []string{team.ID}}}
	with := func(in *v1.SSOProviderIn) { in.CreateUsers, in.GroupClaim, in.Rules = true, "groups", rules }
	made := admin.believes(idp, with)
	admin.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"rules": []v1.SSORule{{Value: "ops", GroupIDs: []string{manual.ID}}}}).want(http.StatusUnprocessableEntity)
	safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{Name: "Crown jewels"})).ID
	// The manager approves the group as it is fed now.
	owner.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{GroupID: team.ID, Role: "operator"}).want(http.StatusCreated)
	for what, change := range map[string]map[string]any{
		"another value":  {"rules": []v1.SSORule{{Value: "mine", GroupIDs: []string{team.ID}}}},
		"another claim":  {"group_claim": "favourite_colours"},
		"another issuer": {"issuer": "https://evil.test", "client_secret": "x"},
		"another client": {"client_id": "evil"},
		"more domains":   {"allowed_domains": []string{"evil.test"}},
	} {
		if a := admin.call("PATCH", "/org/sso/providers/"+made.ID, change); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	second := v1.SSOProviderIn{Name: "Second", Issuer: "https://evil.test", ClientID: "x", GroupClaim: "groups", Rules: rules, Enabled: true}
	admin.call("POST", "/org/sso/providers", second).want(http.StatusForbidden)
	admin.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"name": "Renamed"}).want(http.StatusOK)
	owner.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"group_claim": "roles"}).want(http.StatusOK)
	// Who is fed is in the Safe; once nobody feeds the group, nobody is in it.
	idp.Person("x", "x@corp.test", map[string]any{"roles": []string{"ops"}})
	who := p.vouched(idp, owner.slug(), made.ID)
	who.call("GET", "/safes/"+safe, nil).want(http.StatusOK)
	admin.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"rules": []v1.SSORule{}}).want(http.StatusOK)
	who.call("GET", "/safes/"+safe, nil).want(http.StatusNotFound)
	// Nobody gives a role above their own, nor owner at all.
	manager := owner.person(p, "pm@corp.test", "policy_manager")
	manager.call("POST", "/org/sso/providers", second).want(http.StatusForbidden)
}

// How a person has shown who they are, and when, is what the provider says, as
// far as it is believed.
func TestWordOfAProviderOnFactorsAndTimes(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), provider.Start(t)
	made := owner.believes(idp, func(in *v1.SSOProviderIn) { in.CreateUsers = true })
	slug := owner.slug()
	idp.Person("x", "x@corp.test", map[string]any{"amr": []string{"pwd", "mfa"}})
	who := p.vouched(idp, slug, made.ID)
	demo := owner.safe("Demo").ID
	owner.joins(demo, who, "operator")
	owner.rule(v1.PolicyIn{Action: "allow", Conditions: v1.PolicyConditions{MFARequired: true}, SafeIDs: []string{demo}})
	launch := func(c *caller) answer { return c.call("POST", "/sessions", v1.SessionIn{SafeID: demo}) }
	if a := launch(who); a.status != http.StatusForbidden {
		t.Errorf("a provider that is not believed: %d %s", a.status, a.body)
	}
	owner.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"trust_mfa": true}).want(http.StatusOK)
	launch(who).want(http.StatusForbidden) // this login was made before
	launch(p.vouched(idp, slug, made.ID)).want(http.StatusCreated)
	idp.Person("x", "x@corp.test", map[string]any{"amr": []string{"pwd"}})
	launch(p.vouched(idp, slug, made.ID)).want(http.StatusForbidden)

	// A login is as fresh as the provider says that it asked.
	key := func(c *caller) answer {
		return c.call("POST", "/me/ssh-keys", v1.SSHKeyIn{Name: "x", PublicKey: newPublicKey()})
	}
	idp.Person("x", "x@corp.test", map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()})
	key(p.vouched(idp, slug, made.ID)).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	again := func() answer {
		a := p.nobody().call("POST", "/auth/sso/start", v1.SSOStartIn{Organization: slug, ProviderID: made.ID, Fresh: true, Email: "x@corp.test"})
		t := &tab{p: p, idp: idp, provider: made.ID, sso: ssoCookie(a)}
		t.at, t.query = idp.SignIn(read[v1.SSOStart](a).URL)
		return t.returns()
	}
	if a := again(); a.status != http.StatusUnauthorized || !strings.Contains(string(a.body), "asked you again") {
		t.Errorf("a provider that did not ask: %d %s", a.status, a.body)
	}
	if q := idp.LastAsk; q.Get("prompt") != "login" || q.Get("max_age") != "0" || q.Get("login_hint") != "x@corp.test" {
		t.Errorf("asked with %v", q)
	}
	idp.Person("x", "x@corp.test", nil) // nor does it say
	again().want(http.StatusUnauthorized)
	idp.Person("x", "x@corp.test", map[string]any{"auth_time": time.Now().Add(time.Hour).Unix()}) // a time to come is now
	key(p.entered(again())).want(http.StatusCreated)

	// So it is where the organization wants a second factor of everybody.
	owner.call("PATCH", "/org", map[string]any{"mfa_required": true}).want(http.StatusOK)
	if a := p.opens(idp, slug, made.ID).returns(); a.status != http.StatusForbidden || a.header.Get("Set-Cookie") != "" {
		t.Errorf("without a second factor: %d %s", a.status, a.body)
	}
	idp.Person("x", "x@corp.test", map[string]any{"amr": []string{"otp"}})
	p.vouched(idp, slug, made.ID).call("GET", "/safes", nil).want(http.StatusOK)
}
