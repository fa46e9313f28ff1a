package script

import (
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	v1 "vaultpam/api/v1"
	"vaultpam/test/samlprovider"
)

// trusts makes the caller's organization believe an honest provider of SAML.
func (c *caller) trusts(idp *samlprovider.Provider, change func(*v1.SSOProviderIn)) v1.SSOProvider {
	c.t.Helper()
	text := string(idp.Metadata())
	in := v1.SSOProviderIn{Name: "SAML " + idp.URL, Type: "saml", Enabled: true, SAML: &v1.SAMLIn{Metadata: &text}}
	if change != nil {
		change(&in)
	}
	return read[v1.SSOProvider](c.call("POST", "/org/sso/providers", in))
}

// knows makes the provider read our metadata where our entity id says, on the
// address where the server listens.
func knows(p *proc, idp *samlprovider.Provider) {
	idp.Set(func(s *samlprovider.Provider) {
		s.SP = func(id string) ([]byte, error) {
			_, path, _ := strings.Cut(id, "/api/v1")
			resp, err := http.Get(p.base + "/api/v1" + path)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			return io.ReadAll(resp.Body)
		}
	})
}

// post is a browser that comes back from a provider of SAML.
type post struct {
	p                        *proc
	provider, sso            string
	where, response, relayed string
	cookies                  []string
}

// visits begins a sign-in and lets the provider ask the person.
func (p *proc) visits(idp *samlprovider.Provider, slug, id string, fresh bool) *post {
	p.t.Helper()
	a := p.nobody().call("POST", "/auth/sso/start", v1.SSOStartIn{Organization: slug, ProviderID: id, Fresh: fresh})
	b := &post{p: p, provider: id, sso: ssoCookie(a)}
	b.where, b.response, b.relayed = idp.Answer(read[v1.SSOStart](a).URL)
	return b
}

// returns brings what the provider said to the server.
func (b *post) returns() answer {
	b.p.t.Helper()
	return b.p.nobody().call("POST", "/auth/sso/finish", v1.SSOFinishIn{ProviderID: b.provider, State: b.relayed, SAMLResponse: b.response},
		"Cookie", strings.Join(append(b.cookies, "__Host-vaultpam-sso="+b.sso), "; "))
}

// An administrator lets the organization believe a provider of SAML, gives it
// our metadata, and somebody who was never here signs in.
func TestSomebodyNewSignsInBySAML(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), samlprovider.Start(t)
	knows(p, idp)
	team := read[v1.Group](owner.call("POST", "/org/groups", v1.NewGroup{GroupIn: v1.GroupIn{Name: "From the directory"}, Source: "claim"}))
	made := owner.trusts(idp, func(in *v1.SSOProviderIn) {
		in.CreateUsers, in.AllowedDomains, in.GroupClaim = true, []string{"corp.test"}, samlprovider.GroupAttribute
		in.Rules = []v1.SSORule{{Value: "ops", GroupIDs: []string{team.ID}}, {Value: "policy", Role: "policy_manager"}}
	})
	if made.Type != "saml" || made.Issuer != idp.URL || made.SAML == nil || len(made.SAML.Certificates) != 1 || !strings.HasSuffix(made.CallbackURL, "/login/callback/"+made.ID) {
		t.Fatalf("%+v", made)
	}
	if made.Scopes == nil || made.SAML.MFAContexts == nil {
		t.Errorf("null where a list should be: %+v", made)
	}
	_, at, _ := strings.Cut(made.SAML.EntityID, "/api/v1")
	a := p.nobody().call("GET", at, nil).want(http.StatusOK)
	var ours saml.EntityDescriptor
	if err := xml.Unmarshal(a.body, &ours); err != nil || ours.EntityID != made.SAML.EntityID || ours.SPSSODescriptors[0].AssertionConsumerServices[0].Location != made.CallbackURL {
		t.Errorf("our metadata: %v\n%s", err, a.body)
	}
	slug := owner.slug()
	if offers := read[v1.SSOOffers](p.nobody().call("GET", "/auth/sso/"+slug, nil)); len(offers.Providers) != 1 || offers.Providers[0].Type != "saml" {
		t.Errorf("offers: %+v", offers)
	}
	owner.call("POST", "/org/sso/providers/"+made.ID+"/test", nil).want(http.StatusOK)
	idp.Person("p-1", "New.Person@Corp.Test", "ops", "policy")
	b := p.visits(idp, slug, made.ID, false)
	if b.where != made.CallbackURL {
		t.Errorf("sent back to %s", b.where)
	}
	who := p.entered(b.returns())
	if me := read[v1.Me](who.call("GET", "/me", nil)); me.Email != "new.person@corp.test" || me.HomeOrgID != owner.org {
		t.Fatalf("%+v", me)
	}
	role := func() string { return read[v1.Member](owner.call("GET", "/org/members/"+who.id, nil)).Role }
	in := func() bool {
		return slices.Contains(read[v1.Group](owner.call("GET", "/org/groups/"+team.ID, nil)).MemberIDs, who.id)
	}
	if role() != "policy_manager" || !in() {
		t.Errorf("role %s, in the group: %v", role(), in())
	}
	idp.Person("p-1", "renamed@corp.test", "else")
	if again := p.entered(p.visits(idp, slug, made.ID, false).returns()); again.id != who.id || role() != "operator" || in() {
		t.Errorf("somebody else (%v), role %s, in the group: %v", again.id != who.id, role(), in())
	}
	// Asked anew, the provider says when; without, it was an hour ago.
	fresh := p.entered(p.visits(idp, slug, made.ID, true).returns())
	if got := read[v1.Me](fresh.call("GET", "/me", nil)); got.ID != who.id {
		t.Errorf("%+v", got)
	}
	if rows := read[[]v1.SSOIdentity](owner.call("GET", "/org/sso/identities", nil)); len(rows) != 1 || rows[0].Subject != "p-1" || rows[0].Issuer != idp.URL {
		t.Errorf("identities: %+v", rows)
	}
	// An address of a domain that nobody has named is nobody's.
	idp.Person("p-2", "somebody@else.test")
	p.visits(idp, slug, made.ID, false).returns().want(http.StatusUnauthorized)
	owner.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"allowed_domains": []string{}}).want(http.StatusOK)
	idp.Person("p-3", "another@corp.test")
	p.visits(idp, slug, made.ID, false).returns().want(http.StatusUnauthorized)
	// Whoever is not believed any more is out.
	owner.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"enabled": false}).want(http.StatusOK)
	who.call("GET", "/me", nil).want(http.StatusUnauthorized)
}

// Each of these reaches the server with a sign-in under way in the browser that
// began it; idp/saml tries what a response can be in all its shapes.
func TestAttackHostileResponsesOfSAML(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp, other := p.owner(), samlprovider.Start(t), samlprovider.Start(t)
	knows(p, idp)
	knows(p, other)
	domains := func(in *v1.SSOProviderIn) { in.CreateUsers, in.AllowedDomains = true, []string{"corp.test"} }
	made, second := owner.trusts(idp, domains), owner.trusts(other, domains)
	slug := owner.slug()
	idp.Person("p-1", "alice@corp.test")
	other.Person("p-1", "mallory@corp.test")
	alice := p.entered(p.visits(idp, slug, made.ID, false).returns())
	key, cert := samlprovider.Key(t)
	for _, attack := range []struct {
		what, reason string
		before       func(*saml.Assertion)
		after        func(*etree.Element)
		change       func(b *post)
	}{
		{"no signature at all", "not signed", nil, func(r *etree.Element) {
			samlprovider.Unsigned(r)
			samlprovider.Unsigned(samlprovider.Assertion(r))
		}, nil},
		{"the signed assertion inside of a forged one", "more than one assertion", nil, func(r *etree.Element) {
			samlprovider.Unsigned(r)
			honest := samlprovider.Assertion(r)
			forged := honest.Copy()
			samlprovider.Unsigned(forged)
			forged.CreateAttr("ID", "_forged")
			r.RemoveChild(honest)
			forged.CreateElement("saml:Advice").AddChild(honest)
			r.AddChild(forged)
		}, nil},
		{"a comment in the name", "comment", nil, nil, func(b *post) {
			b.response = samlprovider.Rewrite(t, b.response, func(s string) string { return strings.ReplaceAll(s, ">p-1<", ">p-<!-- -->1<") })
		}},
		{"another name", "not the provider's", nil, nil, func(b *post) {
			b.response = samlprovider.Rewrite(t, b.response, func(s string) string { return strings.ReplaceAll(s, ">p-1<", ">p-9<") })
		}},
		{"for another audience", "for somebody else", func(a *saml.Assertion) { a.Conditions.AudienceRestrictions[0].Audience.Value = second.SAML.EntityID }, nil, nil},
		{"for another recipient", "another address", func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.Recipient = second.CallbackURL
		}, nil, nil},
		{"to another request", "another request", func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = "_another"
		}, nil, nil},
		{"to no request", "another request, or none", nil, nil, func(b *post) {
			b.response = samlprovider.Rewrite(t, b.response, func(s string) string { return strings.ReplaceAll(s, "InResponseTo=", "Was=") })
		}},
		{"to another address", "another address", nil, nil, func(b *post) {
			b.response = samlprovider.Rewrite(t, b.response, func(s string) string { return strings.Replace(s, `Destination="`, `Destination="https://else.test`, 1) })
		}},
		{"too old", "expired", func(a *saml.Assertion) { a.Conditions.NotOnOrAfter = time.Now().Add(-2 * time.Minute) }, nil, nil},
		{"too young", "not valid yet", func(a *saml.Assertion) { a.Conditions.NotBefore = time.Now().Add(2 * time.Minute) }, nil, nil},
		{"a document type", "document type", nil, nil, func(b *post) {
			b.response = samlprovider.Rewrite(t, b.response, func(s string) string { return `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + s })
		}},
		{"encrypted", "encrypted", nil, func(r *etree.Element) { samlprovider.Assertion(r).Tag = "EncryptedAssertion" }, nil},
		{"a name that is nobody's for long", "persistent name", func(a *saml.Assertion) {
			a.Subject.NameID.Format = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
		}, nil, nil},
		{"an address as the name", "persistent name", func(a *saml.Assertion) {
			a.Subject.NameID.Format = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
		}, nil, nil},
		{"a response of the other provider", "another request", nil, nil, func(b *post) { b.response = p.visits(other, slug, second.ID, false).response }},
		{"too large", "too large", nil, nil, func(b *post) { b.response = strings.Repeat("QUJD", 99_000) }},
	} {
		idp.Set(func(s *samlprovider.Provider) { s.Before, s.After = attack.before, attack.after })
		b := p.visits(idp, slug, made.ID, false)
		if attack.change != nil {
			attack.change(b)
		}
		b.returns().want(http.StatusUnauthorized, "AUTH_FAILED")
		e := owner.events("SSO_LOGIN_REFUSED")
		if len(e) == 0 || !strings.Contains(e[0].Metadata["reason"].(string), attack.reason) {
			t.Errorf("%s: %+v", attack.what, e[0].Metadata)
		}
	}
	idp.Set(func(s *samlprovider.Provider) { s.Before, s.After = nil, nil })
	for _, sign := range []func(){
		func() { idp.Signs(nil, nil, dsig.RSASHA1SignatureMethod) },
		func() { idp.Signs(key, cert, dsig.RSASHA256SignatureMethod) },
	} {
		sign()
		p.visits(idp, slug, made.ID, false).returns().want(http.StatusUnauthorized, "AUTH_FAILED")
	}
	// Whoever is signed in already is none the worse.
	alice.call("GET", "/me", nil).want(http.StatusOK)
}

// A response counts once, in the browser that asked for it.
func TestAttackResponseOfSAMLShownAgain(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), samlprovider.Start(t)
	knows(p, idp)
	made := owner.trusts(idp, func(in *v1.SSOProviderIn) { in.CreateUsers, in.AllowedDomains = true, []string{"corp.test"} })
	slug := owner.slug()
	idp.Person("p-1", "alice@corp.test")
	b := p.visits(idp, slug, made.ID, false)
	b.returns().want(http.StatusOK)
	b.returns().want(http.StatusUnauthorized)
	// In another browser, with a sign-in of its own under way.
	stolen := p.visits(idp, slug, made.ID, false)
	mallory := p.visits(idp, slug, made.ID, false)
	mallory.response = stolen.response
	mallory.returns().want(http.StatusUnauthorized)
	// Mallory's response in Alice's browser would sign Alice in as Mallory.
	alice, evil := p.visits(idp, slug, made.ID, false), p.visits(idp, slug, made.ID, false)
	evil.sso = alice.sso
	evil.returns().want(http.StatusUnauthorized)
	// The same assertion, in another answer.
	var id string
	idp.Set(func(s *samlprovider.Provider) {
		s.Before = func(a *saml.Assertion) {
			if id == "" {
				id = a.ID
			}
			a.ID = id
		}
	})
	p.visits(idp, slug, made.ID, false).returns().want(http.StatusOK)
	p.visits(idp, slug, made.ID, false).returns().want(http.StatusUnauthorized)
	if e := owner.events("SSO_LOGIN_REFUSED"); len(e) == 0 || !strings.Contains(e[0].Metadata["reason"].(string), "used before") {
		t.Errorf("%+v", e)
	}
}

// An entity id is a name that anybody can give to keys of their own: an
// administrator does not become anybody by naming other keys.
func TestAttackAdministratorNamesKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), samlprovider.Start(t)
	knows(p, idp)
	made := owner.trusts(idp, func(in *v1.SSOProviderIn) { in.CreateUsers, in.AllowedDomains = true, []string{"corp.test"} })
	slug := owner.slug()
	idp.Person("p-1", "alice@corp.test")
	alice := p.entered(p.visits(idp, slug, made.ID, false).returns())
	demo := owner.safe("Demo").ID
	given := owner.joins(demo, alice, "operator")
	person := owner.person(p, "worker@corp.test", "operator")
	browser := p.browser(person.email, ownerPassword)
	link := func() answer {
		a := browser.call("POST", "/me/sso-identities", v1.SSOLinkIn{OrgID: owner.org, ProviderID: made.ID})
		idp.Person("p-2", "worker@corp.test")
		_, response, relayed := idp.Answer(read[v1.SSOStart](a).URL)
		return (&post{p: p, provider: made.ID, sso: ssoCookie(a), response: response, relayed: relayed, cookies: []string{"__Host-vaultpam=" + browser.cookie}}).returns()
	}
	link().want(http.StatusOK)
	enters := func(subject, email string, id string) answer {
		idp.Person(subject, email)
		return p.visits(idp, slug, id, false).returns()
	}
	enters("p-1", "alice@corp.test", made.ID).want(http.StatusOK)
	enters("p-2", "worker@corp.test", made.ID).want(http.StatusOK)

	admin := owner.person(p, "admin@corp.test", "admin")
	key, cert := samlprovider.Key(t)
	idp.Signs(key, cert, "")
	text := string(idp.Metadata())
	admin.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"saml": map[string]any{"metadata": text}}).want(http.StatusOK)
	enters("p-1", "alice@corp.test", made.ID).want(http.StatusUnauthorized)  // has a role in a Safe from before
	enters("p-2", "worker@corp.test", made.ID).want(http.StatusUnauthorized) // has a password
	// A second one of that name would speak of everybody who links from now on.
	mine := v1.SSOProviderIn{Name: "Mine", Type: "saml", Enabled: true, SAML: &v1.SAMLIn{Metadata: &text}}
	admin.call("POST", "/org/sso/providers", mine).want(http.StatusConflict)
	// One instead of it speaks of nobody who was linked before.
	admin.call("DELETE", "/org/sso/providers/"+made.ID, nil).want(http.StatusNoContent)
	made = read[v1.SSOProvider](admin.call("POST", "/org/sso/providers", mine))
	enters("p-1", "alice@corp.test", made.ID).want(http.StatusUnauthorized)
	enters("p-2", "worker@corp.test", made.ID).want(http.StatusUnauthorized)

	// Where the keys are honest, people go on: by themselves, or by the word of a
	// manager of each Safe.
	link().want(http.StatusOK)
	enters("p-2", "worker@corp.test", made.ID).want(http.StatusOK)
	owner.call("PATCH", "/safes/"+demo+"/members/"+given, map[string]any{"role": "operator"}).want(http.StatusOK)
	enters("p-1", "alice@corp.test", made.ID).want(http.StatusOK)
	// What says nothing of who signs asks nothing of anybody.
	admin.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"name": "Renamed", "saml": map[string]any{"name_attribute": "cn"}}).want(http.StatusOK)
	enters("p-2", "worker@corp.test", made.ID).want(http.StatusOK)
}

// Other keys at the address that an administrator has named are taken over,
// and written down; those of somebody else are not.
func TestMetadataAtAnAddressIsReadAgain(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), samlprovider.Start(t)
	knows(p, idp)
	made := owner.trusts(idp, func(in *v1.SSOProviderIn) {
		in.CreateUsers, in.AllowedDomains, in.SAML = true, []string{"corp.test"}, &v1.SAMLIn{MetadataURL: idp.URL}
	})
	slug := owner.slug()
	idp.Person("p-1", "alice@corp.test")
	alice := p.entered(p.visits(idp, slug, made.ID, false).returns())
	owner.joins(owner.safe("Demo").ID, alice, "operator")
	key, cert := samlprovider.Key(t)
	idp.Signs(key, cert, "")
	p.visits(idp, slug, made.ID, false).returns().want(http.StatusOK)
	got := read[v1.SSOProvider](owner.call("GET", "/org/sso/providers/"+made.ID, nil))
	if got.SAML.Certificates[0].SHA256 == made.SAML.Certificates[0].SHA256 || got.SAML.ReadAt == nil || got.SAML.Problem != "" {
		t.Errorf("%+v", got.SAML)
	}
	if e := owner.events("SSO_PROVIDER_UPDATED"); len(e) != 1 || !strings.Contains(e[0].Metadata["certificates"].([]any)[0].(string), got.SAML.Certificates[0].SHA256) {
		t.Errorf("%+v", e)
	}
	// Not for every response that somebody makes up.
	var fetched int
	idp.Set(func(s *samlprovider.Provider) { fetched = s.Fetched })
	evil, forged := samlprovider.Key(t)
	idp.Signs(evil, forged, "")
	p.visits(idp, slug, made.ID, false).returns().want(http.StatusUnauthorized)
	p.visits(idp, slug, made.ID, false).returns().want(http.StatusUnauthorized)
	idp.Set(func(s *samlprovider.Provider) {
		if s.Fetched != fetched {
			t.Errorf("asked %d times more", s.Fetched-fetched)
		}
	})
	for what, change := range map[string]map[string]any{
		"no metadata":      {"type": "saml", "saml": map[string]any{}},
		"another type":     {"type": "oidc"},
		"not XML":          {"saml": map[string]any{"metadata_url": "", "metadata": "<"}},
		"both":             {"saml": map[string]any{"metadata": "<x/>"}},
		"a wrong address":  {"saml": map[string]any{"metadata_url": "http://idp.corp.test"}},
		"no address":       {"saml": map[string]any{"metadata_url": p.base + "/nothing"}},
		"long attribute":   {"saml": map[string]any{"email_attribute": "a\nb"}},
		"inside the house": {"saml": map[string]any{"metadata_url": "https://169.254.169.254/latest"}},
	} {
		at, method := "/org/sso/providers/"+made.ID, "PATCH"
		if what == "no metadata" {
			at, method = "/org/sso/providers", "POST"
			change["name"] = "Without"
		}
		if a := owner.call(method, at, change); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
}

// How a person has shown who they are, and when, is what the provider says.
func TestWordOfSAMLOnFactorsAndTimes(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), samlprovider.Start(t)
	knows(p, idp)
	made := owner.trusts(idp, func(in *v1.SSOProviderIn) { in.CreateUsers, in.AllowedDomains = true, []string{"corp.test"} })
	slug := owner.slug()
	idp.Person("x", "x@corp.test")
	enters := func(fresh bool) *caller { return p.entered(p.visits(idp, slug, made.ID, fresh).returns()) }
	who := enters(false)
	demo := owner.safe("Demo").ID
	owner.joins(demo, who, "operator")
	owner.rule(v1.PolicyIn{Action: "allow", Conditions: v1.PolicyConditions{MFARequired: true}, SafeIDs: []string{demo}})
	launch := func(c *caller) answer { return c.call("POST", "/sessions", v1.SessionIn{SafeID: demo}) }
	context := func(class string) {
		idp.Set(func(s *samlprovider.Provider) { s.Contexts = []string{class} })
	}
	context("https://refeds.org/profile/mfa")
	launch(enters(false)).want(http.StatusForbidden) // its word is not believed yet
	owner.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"trust_mfa": true}).want(http.StatusOK)
	launch(enters(false)).want(http.StatusCreated)
	context("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport")
	launch(enters(false)).want(http.StatusForbidden)
	owner.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"saml": map[string]any{"mfa_contexts": []string{"https://corp.test/strong"}}}).want(http.StatusOK)
	context("https://refeds.org/profile/mfa")
	launch(enters(false)).want(http.StatusForbidden)
	context("https://corp.test/strong")
	launch(enters(false)).want(http.StatusCreated)

	key := func(c *caller) answer {
		return c.call("POST", "/me/ssh-keys", v1.SSHKeyIn{Name: "x", PublicKey: newPublicKey()})
	}
	key(enters(false)).want(http.StatusForbidden, "STEP_UP_REQUIRED") // it asked an hour ago
	key(enters(true)).want(http.StatusCreated)
	idp.Set(func(s *samlprovider.Provider) {
		s.Before = func(a *saml.Assertion) { a.AuthnStatements[0].AuthnInstant = time.Now().Add(-time.Hour) }
	})
	if a := p.visits(idp, slug, made.ID, true).returns(); a.status != http.StatusUnauthorized || !strings.Contains(string(a.body), "asked you again") {
		t.Errorf("a provider that did not ask: %d %s", a.status, a.body)
	}
}

// People are known by an attribute where the provider has no lasting names.
func TestPeopleAreKnownByAnAttribute(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner, idp := p.owner(), samlprovider.Start(t)
	knows(p, idp)
	made := owner.trusts(idp, func(in *v1.SSOProviderIn) {
		in.CreateUsers, in.AllowedDomains, in.SAML.SubjectAttribute = true, []string{"corp.test"}, "urn:oasis:names:tc:SAML:attribute:subject-id"
	})
	slug := owner.slug()
	somebody := func(id ...string) {
		idp.Set(func(s *samlprovider.Provider) {
			s.Session = saml.Session{NameID: "for-a-day", NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient", UserEmail: "x@corp.test"}
			s.Before = func(a *saml.Assertion) {
				at := saml.Attribute{Name: "urn:oasis:names:tc:SAML:attribute:subject-id"}
				for _, v := range id {
					at.Values = append(at.Values, saml.AttributeValue{Type: "xs:string", Value: v})
				}
				a.AttributeStatements[0].Attributes = append(a.AttributeStatements[0].Attributes, at)
			}
		})
	}
	for _, none := range [][]string{nil, {""}, {"a", "b"}, {strings.Repeat("x", 257)}, {"a\u202eb"}} {
		somebody(none...)
		p.visits(idp, slug, made.ID, false).returns().want(http.StatusUnauthorized)
	}
	somebody("x-1")
	who := p.entered(p.visits(idp, slug, made.ID, false).returns())
	if again := p.entered(p.visits(idp, slug, made.ID, false).returns()); again.id != who.id {
		t.Error("somebody else")
	}
	// The command line makes one, and gives it other metadata.
	second := samlprovider.Start(t)
	env := []string{"XDG_CONFIG_HOME=" + t.TempDir(), "VAULTPAM_TOKEN=" + owner.token, "VAULTPAM_BASE_URL=" + p.base, "VAULTPAM_ORG_ID="}
	for _, c := range []struct {
		in, want string
		argv     []string
	}{
		{"", "/metadata", []string{"sso", "create-saml", "Second", second.URL, "--domain", "corp.test", "--disabled"}},
		{string(second.Metadata()), `"metadata_url": ""`, []string{"sso", "set-metadata", "Second", "-", "-o", "json"}},
		{"", "saml", []string{"sso", "list"}},
		{"", "", []string{"sso", "remove", "Second", "--yes"}},
	} {
		if out, errs, status := run(t, env, c.in, binary(t), c.argv...); status != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%v: %d %s%s", c.argv, status, out, errs)
		}
	}
}
