package sso

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

func TestAttributesHaveTheNamesThatProvidersUse(t *testing.T) {
	for provider, a := range map[string]map[string][]string{
		"Entra ID": {
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": {"alice@corp.test"},
			"http://schemas.microsoft.com/identity/claims/displayname":           {"Alice"},
			"http://schemas.microsoft.com/ws/2008/06/identity/claims/groups":     {"ops"},
		},
		"ADFS":       {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": {"alice@corp.test"}, "name": {"Alice"}, "http://schemas.xmlsoap.org/claims/Group": {"ops"}},
		"Okta":       {"email": {"alice@corp.test"}, "displayName": {"Alice"}, "groups": {"ops"}},
		"Keycloak":   {"urn:oid:0.9.2342.19200300.100.1.3": {"alice@corp.test"}, "name": {"Alice"}, "Role": {"ops"}},
		"Shibboleth": {"urn:oid:0.9.2342.19200300.100.1.3": {"alice@corp.test"}, "urn:oid:2.16.840.1.113730.3.1.241": {"Alice"}, "urn:oid:1.3.6.1.4.1.5923.1.5.1.1": {"ops"}},
	} {
		p := Settings{Domains: []string{"corp.test"}}
		c, err := SAMLSettings{}.claims(SAMLSaid{Name: "p-1", Persistent: true, Attributes: a}, p)
		if err != nil {
			t.Fatal(err)
		}
		email, ok := c.email(p.Domains)
		if !ok || email != "alice@corp.test" || c.name(email) != "Alice" || !slices.Contains(texts(c.All[p.GroupClaim]), "ops") {
			t.Errorf("%s: %v", provider, c.All)
		}
	}
	a := map[string][]string{"email": {"common@corp.test"}, "own-mail": {"own@corp.test"}, "own-groups": {"dev"}, "groups": {"ops"}}
	p := Settings{Domains: []string{"corp.test"}, GroupClaim: "own-groups"}
	c, err := SAMLSettings{EmailAttribute: "own-mail"}.claims(SAMLSaid{Name: "p-1", Persistent: true, Attributes: a}, p)
	if email, ok := c.email(p.Domains); err != nil || !ok || email != "own@corp.test" || !slices.Equal(texts(c.All["own-groups"]), []string{"dev"}) {
		t.Errorf("by names of their own: %v, %v", c.All, err)
	}
}

func TestAddressOfSAMLCountsInNamedDomainsAlone(t *testing.T) {
	said := SAMLSaid{Name: "p-1", Persistent: true, Attributes: map[string][]string{"email": {"boss@corp.test"}, "email_verified": {"true"}, "xms_edov": {"1"}}}
	for domains, want := range map[string]bool{"": false, "corp.test": true, "else.test": false, "rp.test": false} {
		p := Settings{GroupClaim: "email_verified"}
		if domains != "" {
			p.Domains = []string{domains}
		}
		c, err := SAMLSettings{}.claims(said, p)
		if _, ok := c.email(p.Domains); err != nil || ok != want {
			t.Errorf("%q: %v, %v", domains, ok, err)
		}
	}
}

func TestContextsThatShowASecondFactor(t *testing.T) {
	for _, c := range []struct {
		own       []string
		context   string
		attribute string
		want      bool
	}{
		{nil, "https://refeds.org/profile/mfa", "", true},
		{nil, "http://schemas.microsoft.com/claims/multipleauthn", "", true},
		{nil, "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "http://schemas.microsoft.com/claims/multipleauthn", true},
		{nil, "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "", false},
		{[]string{"urn:own"}, "https://refeds.org/profile/mfa", "", false},
		{[]string{"urn:own"}, "urn:own", "", true},
	} {
		said := SAMLSaid{Name: "p-1", Persistent: true, Contexts: []string{c.context}, Attributes: map[string][]string{"amr": {"mfa"}, mfaAttribute: {c.attribute}}}
		got, err := SAMLSettings{MFAContexts: c.own}.claims(said, Settings{})
		if err != nil || got.secondFactor() != c.want {
			t.Errorf("%+v: %v, %v", c, got.secondFactor(), err)
		}
	}
}

// books is a store with one provider, and a provider that says what it is told to.
type books struct {
	Store
	SAML
	p       Provider
	says    SAMLMetadata
	fails   error
	fetched int
	events  []audit.Entry
}

func (b *books) StaleProviders(_ context.Context, _ Kind, before, failed time.Time, _ int) ([]Provider, error) {
	if !b.p.SyncedAt.After(before) || b.p.SyncProblem != "" && !b.p.SyncedAt.After(failed) {
		return []Provider{b.p}, nil
	}
	return nil, nil
}

func (b *books) ClaimSync(_ context.Context, _ pam.OrgID, _ pam.ProviderID, before, now time.Time) (bool, error) {
	if b.p.SyncedAt.After(before) {
		return false, nil
	}
	b.p.SyncedAt = now
	return true, nil
}

func (b *books) NoteSync(_ context.Context, _ pam.OrgID, _ pam.ProviderID, problem string) error {
	b.p.SyncProblem = problem
	return nil
}

func (b *books) TakeDetails(_ context.Context, _ pam.OrgID, p Provider, e audit.Entry) error {
	b.p.Details, b.events = p.Details, append(b.events, e)
	return nil
}

func (b *books) Fetch(context.Context, string) (string, error) { b.fetched++; return "<x/>", b.fails }
func (b *books) Metadata(string) (SAMLMetadata, error)         { return b.says, nil }

func TestMetadataIsReadOnceADay(t *testing.T) {
	ctx, c := t.Context(), clock.NewManual(time.Now())
	one, other := Certificate{SHA256: "01", Until: c.Now()}, Certificate{SHA256: "02", Until: c.Now()}
	b := &books{says: SAMLMetadata{EntityID: "urn:idp", SignOnURL: "https://idp.test/sso", Certificates: []Certificate{one}}}
	b.p = Provider{ID: "sso_1", Org: "org_1", Settings: Settings{Kind: KindSAML, Issuer: "urn:idp", Details: Details{SAML: &SAMLSettings{
		MetadataURL: "https://idp.test", Metadata: "<old/>", SignOnURL: "https://idp.test/sso", Certificates: []Certificate{one}, Since: c.Now().Add(-time.Hour),
	}}}}
	source := ids.NewSource(c, rand.Reader)
	s := New(Deps{Store: b, SAML: b, Scribe: audit.NewScribe(c, source), Clock: c, IDs: source})
	read := func(after time.Duration) int {
		t.Helper()
		c.Advance(after)
		before := b.fetched
		if err := s.ReadMetadata(ctx); err != nil {
			t.Fatal(err)
		}
		return b.fetched - before
	}
	if read(0) != 1 || read(23*time.Hour) != 0 || read(time.Hour) != 1 || len(b.events) != 0 || b.p.SAML.Metadata != "<old/>" {
		t.Errorf("read %d times, %d events, %s", b.fetched, len(b.events), b.p.SAML.Metadata)
	}
	since := b.p.SAML.Since
	b.says.Certificates = []Certificate{other}
	if read(24*time.Hour) != 1 || len(b.events) != 1 || b.events[0].Type != audit.SSOProviderUpdated || b.p.SAML.Certificates[0] != other || !b.p.SAML.Since.Equal(since) {
		t.Errorf("other keys: %+v, %+v", b.p.SAML, b.events)
	}
	b.says = SAMLMetadata{EntityID: "urn:evil", Certificates: []Certificate{one}}
	if read(24*time.Hour) != 1 || len(b.events) != 1 || b.p.SAML.Certificates[0] != other || !strings.Contains(b.p.SyncProblem, "another provider") {
		t.Errorf("metadata of another: %+v, %s", b.p.SAML, b.p.SyncProblem)
	}
	b.fails = &pam.Error{Kind: pam.Unreachable, Public: "nobody answers"}
	if read(4*time.Minute) != 0 || read(time.Minute) != 1 || b.p.SyncProblem != "nobody answers" {
		t.Errorf("after something was wrong: %s", b.p.SyncProblem)
	}
	b.fails, b.says = nil, SAMLMetadata{EntityID: "urn:idp", SignOnURL: "https://idp.test/sso", Certificates: []Certificate{other}}
	if read(5*time.Minute) != 1 || b.p.SyncProblem != "" || len(b.events) != 1 {
		t.Errorf("%s, %d events", b.p.SyncProblem, len(b.events))
	}
	b.fails = errors.New("a fault of ours")
	c.Advance(24 * time.Hour)
	if err := s.ReadMetadata(ctx); err == nil {
		t.Error("a fault of ours is nobody's business")
	}
}
