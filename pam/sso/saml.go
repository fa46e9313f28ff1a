package sso

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// SAMLSettings are those of a provider of SAML 2.0.
type SAMLSettings struct {
	MetadataURL      string        `json:"metadata_url,omitempty"` // where it is read again; "": it was brought
	Metadata         string        `json:"metadata"`               // what the provider says of itself, XML
	SubjectAttribute string        `json:"subject_attribute,omitempty"`
	EmailAttribute   string        `json:"email_attribute,omitempty"` // "": those that are common
	NameAttribute    string        `json:"name_attribute,omitempty"`
	MFAContexts      []string      `json:"mfa_contexts"` // that show a second factor; none: those that are common
	SignOnURL        string        `json:"sign_on_url"`  // of the metadata
	Certificates     []Certificate `json:"certificates"` // of the metadata
	Since            time.Time     `json:"since"`        // when somebody last changed by hand who signs
}

// Certificate is one of a provider's, by which it signs.
type Certificate struct {
	SHA256 string    `json:"sha256"` // hex, of the DER
	Until  time.Time `json:"until"`
}

func (a SAMLSettings) differences(b SAMLSettings, note func(field string, differs bool)) {
	note("saml.metadata", a.Metadata != b.Metadata)
	note("saml.metadata_url", a.MetadataURL != b.MetadataURL)
	note("saml.subject_attribute", a.SubjectAttribute != b.SubjectAttribute)
	note("saml.email_attribute", a.EmailAttribute != b.EmailAttribute)
	note("saml.name_attribute", a.NameAttribute != b.NameAttribute)
	note("saml.mfa_contexts", !slices.Equal(a.MFAContexts, b.MFAContexts))
}

// told adds to an event by whose keys people come in from now on.
func (d Details) told(metadata map[string]any) map[string]any {
	if d.SAML == nil {
		return metadata
	}
	prints := make([]string, len(d.SAML.Certificates))
	for i, c := range d.SAML.Certificates {
		prints[i] = fmt.Sprintf("%s until %s", c.SHA256, c.Until.Format(time.DateOnly))
	}
	metadata["certificates"], metadata["metadata_url"], metadata["sign_on_url"] = prints, d.SAML.MetadataURL, d.SAML.SignOnURL
	return metadata
}

// SAMLMetadata is what a provider's metadata says.
type SAMLMetadata struct {
	EntityID     string
	SignOnURL    string
	Certificates []Certificate
}

// SAMLParty is us, as one provider knows us.
type SAMLParty struct{ EntityID, ACS string }

// SAMLAsk is what goes with a person to the provider.
type SAMLAsk struct {
	ID, RelayState    string
	Fresh, Persistent bool
}

// SAMLSaid is what a provider says of somebody, checked but for what it means.
type SAMLSaid struct {
	ID         string // of the assertion
	Until      time.Time
	Name       string
	Persistent bool // the name stays one person's
	At         time.Time
	Contexts   []string
	Attributes map[string][]string
}

// SAML speaks the protocol. Its refusals are as those of OIDC.
type SAML interface {
	URLProblem(address string) string
	// Metadata reads a document that is valid now.
	Metadata(text string) (SAMLMetadata, error)
	Fetch(ctx context.Context, address string) (string, error)
	Request(metadata string, p SAMLParty, a SAMLAsk) (string, error)
	// Read checks a response. stale says that the provider may have another key by
	// now; also with an error, Name may say of whom it is.
	Read(metadata string, p SAMLParty, request, response string) (said SAMLSaid, stale bool, err error)
	Document(p SAMLParty) []byte
}

// How often metadata is read again: by the job, and where a response is signed
// by a key that is not in it.
const (
	metadataEvery = 24 * time.Hour
	metadataAgain = 5 * time.Minute // also after it could not be read
	metadataTurn  = 100             // providers at a time
)

// Attributes as providers name them where nobody says otherwise: Entra ID and
// ADFS; Shibboleth and Keycloak by their object identifiers; Okta and Keycloak.
var (
	emailAttributes = []string{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "urn:oid:0.9.2342.19200300.100.1.3", "email", "mail", "emailAddress"}
	nameAttributes  = []string{"http://schemas.microsoft.com/identity/claims/displayname", "urn:oid:2.16.840.1.113730.3.1.241", "displayName", "name", "urn:oid:2.5.4.3", "cn"}
	groupAttributes = []string{
		"http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", "http://schemas.xmlsoap.org/claims/Group", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
		"urn:oid:1.3.6.1.4.1.5923.1.5.1.1", "groups", "memberOf", "Role",
	}
	// The REFEDS profile and Microsoft's; the attribute is where Entra ID says it.
	mfaContexts  = []string{"https://refeds.org/profile/mfa", "http://schemas.microsoft.com/claims/multipleauthn"}
	mfaAttribute = "http://schemas.microsoft.com/claims/authnmethodsreferences"
)

// saml is SAML 2.0. The provider is whoever has the keys in its metadata.
type saml struct{ *Service }

func (s *Service) samlParty(id pam.ProviderID) SAMLParty {
	return SAMLParty{EntityID: s.EntityID(id), ACS: s.CallbackURL(id)}
}

// EntityID is who we are for a provider of SAML, and where our metadata is: it
// is another one for each, as the address for responses.
func (s *Service) EntityID(id pam.ProviderID) string {
	return s.URL() + "/api/v1/auth/saml/" + string(id) + "/metadata"
}

// SAMLDocument is our metadata for a provider. It says nothing that its id does
// not, so it is the same whether or not there is such a provider.
func (s *Service) SAMLDocument(id pam.ProviderID) ([]byte, error) {
	if !ids.Valid(pam.PrefixProvider, string(id)) {
		return nil, &pam.Error{Kind: pam.NotFound, Op: "read our metadata"}
	}
	return s.SAML.Document(s.samlParty(id)), nil
}

func publicly(err error) string {
	if e, ok := err.(*pam.Error); ok && e.Public != "" {
		return e.Public
	}
	return "cannot be used"
}

func (s saml) check(ctx context.Context, ps *pam.Problems, in *Settings, was Settings) {
	in.ClientID, in.Scopes = "", []string{}
	old := SAMLSettings{}
	if was.SAML != nil {
		old = *was.SAML
	}
	now := SAMLSettings{}
	if in.SAML != nil {
		now = *in.SAML
	}
	in.Details = Details{SAML: &now}
	field := "saml.metadata"
	brought := now.Metadata != ""
	if now.MetadataURL != "" {
		field = "saml.metadata_url"
		if p := s.SAML.URLProblem(now.MetadataURL); p != "" {
			ps.Add(field, p)
			return
		}
		if brought {
			ps.Add("saml.metadata", "is read at its address: give one of them")
			return
		}
		if now.MetadataURL != old.MetadataURL {
			text, err := s.SAML.Fetch(ctx, now.MetadataURL)
			if err != nil {
				ps.Add(field, publicly(err))
				return
			}
			now.Metadata = text
		}
	}
	if now.Metadata == "" {
		now.Metadata = old.Metadata
	}
	if now.Metadata == "" {
		ps.Add(field, "is needed, or the address where it is read")
		return
	}
	in.Issuer, now.SignOnURL, now.Certificates = was.Issuer, old.SignOnURL, old.Certificates
	if now.Metadata != old.Metadata {
		m, err := s.SAML.Metadata(now.Metadata)
		if err != nil {
			ps.Add(field, publicly(err))
			return
		}
		in.Issuer, now.SignOnURL, now.Certificates = m.EntityID, m.SignOnURL, m.Certificates
	}
	for name, text := range map[string]string{"subject": now.SubjectAttribute, "email": now.EmailAttribute, "name": now.NameAttribute} {
		if len(text) > maxValue || naming.TextProblem(text, false) != "" {
			ps.Add("saml."+name+"_attribute", "must be at most 256 characters, on one line")
		}
	}
	now.MFAContexts = cleaned(ps, "saml.mfa_contexts", now.MFAContexts, maxScopes, func(c string) bool { return naming.TextProblem(c, false) != "" })
	now.Since = old.Since
	if in.Issuer != was.Issuer || now.MetadataURL != old.MetadataURL && now.MetadataURL != "" || now.SubjectAttribute != old.SubjectAttribute || !within(now.Certificates, old.Certificates) {
		now.Since = s.Clock.Now()
	}
}

// within says whether every certificate of a is one of b.
func within(a, b []Certificate) bool {
	return !slices.ContainsFunc(a, func(c Certificate) bool {
		return !slices.ContainsFunc(b, func(o Certificate) bool { return o.SHA256 == c.SHA256 })
	})
}

// test reads metadata at its address, and else looks at what was brought.
func (s saml) test(ctx context.Context, p Provider) error {
	text := p.SAML.Metadata
	if p.SAML.MetadataURL != "" {
		var err error
		if text, err = s.SAML.Fetch(ctx, p.SAML.MetadataURL); err != nil {
			return err
		}
	}
	m, err := s.SAML.Metadata(text)
	if err == nil && m.EntityID != p.Issuer {
		err = s.another()
	}
	return err
}

func (s *Service) another() error {
	return pam.Errorf(pam.Unreachable, "read metadata", "The provider's metadata cannot be used: it is that of another provider.")
}

func requestID(w way) string { return "_" + w.derived("saml request") }

func (s saml) begin(_ context.Context, p Provider, w way, b Begin) (string, error) {
	return s.SAML.Request(p.SAML.Metadata, s.samlParty(p.ID), SAMLAsk{ID: requestID(w), RelayState: w.state, Fresh: b.Fresh, Persistent: p.SAML.SubjectAttribute == ""})
}

func (s saml) finish(ctx context.Context, p Provider, w way, in Finish) (Claims, error) {
	read := func() (SAMLSaid, bool, error) {
		return s.SAML.Read(p.SAML.Metadata, s.samlParty(p.ID), requestID(w), in.SAMLResponse)
	}
	said, stale, err := read()
	if stale && p.SAML.MetadataURL != "" {
		fresh, again := s.refresh(ctx, p, metadataAgain)
		if again == nil && fresh.SAML.Metadata != p.SAML.Metadata {
			p = fresh
			said, _, err = read()
		}
	}
	if err != nil {
		return Claims{Subject: said.Name}, err
	}
	c, err := p.SAML.claims(said, p.Settings)
	if err != nil {
		return c, err
	}
	err = s.Store.TakeAssertion(ctx, p.Org, p.ID, hash(said.ID), said.Until, s.Clock.Now())
	if pam.Is(err, pam.Conflict) {
		err = refusal("The provider's answer was not accepted: it has been used before.")
	}
	return c, err
}

func refusal(text string) error {
	return &pam.Error{Kind: pam.AuthFailed, Op: "read response", Public: text}
}

// first is the first value of the attribute, or of those that are common.
func (a SAMLSaid) first(name string, common []string) string {
	if name != "" {
		common = []string{name}
	}
	for _, n := range common {
		if v := a.Attributes[n]; len(v) > 0 && v[0] != "" {
			return v[0]
		}
	}
	return ""
}

// claims is what a provider of SAML says in the words of OpenID Connect.
//
// SAML has no word for a verified address: providers send whatever stands in
// the directory, where people may write what they like. So an address counts
// where an administrator has named its domain as one that the provider speaks
// for, and nowhere else.
func (a SAMLSettings) claims(said SAMLSaid, p Settings) (Claims, error) {
	c := Claims{Subject: said.Name, All: map[string]any{}}
	switch {
	case a.SubjectAttribute != "":
		v := said.Attributes[a.SubjectAttribute]
		if len(v) != 1 || v[0] == "" || len(v[0]) > maxValue {
			return c, refusal("The provider does not say who you are: the attribute that identifies people must have one value.")
		}
		c.Subject = v[0]
	case said.Name == "" || !said.Persistent:
		return c, refusal("The provider gives you no persistent name. Have it send one, or choose an attribute that identifies people.")
	}
	if naming.TextProblem(c.Subject, false) != "" {
		return Claims{}, refusal("The provider does not say who you are: your name there cannot be used.")
	}
	groups := said.Attributes[p.GroupClaim]
	if p.GroupClaim == "" {
		for _, n := range groupAttributes {
			groups = append(groups, said.Attributes[n]...)
		}
	}
	c.All[p.GroupClaim] = groups
	c.All["email"] = said.first(a.EmailAttribute, emailAttributes)
	c.All["email_verified"] = len(p.Domains) > 0
	c.All["name"] = said.first(a.NameAttribute, nameAttributes)
	c.All["auth_time"] = float64(said.At.Unix())
	strong := a.MFAContexts
	if len(strong) == 0 {
		strong = mfaContexts
	}
	if slices.ContainsFunc(slices.Concat(said.Contexts, said.Attributes[mfaAttribute]), func(x string) bool { return slices.Contains(strong, x) }) {
		c.All["amr"] = "mfa"
	}
	return c, nil
}

// ReadMetadata reads again what providers say of themselves at an address, each
// once a day, whichever node does it.
func (s *Service) ReadMetadata(ctx context.Context) error {
	const op = "read providers' metadata"
	now := s.Clock.Now()
	due, err := s.Store.StaleProviders(ctx, KindSAML, now.Add(-metadataEvery), now.Add(-metadataAgain), metadataTurn)
	if err != nil {
		return pam.Wrap(op, err)
	}
	var failed []error
	for _, p := range due {
		within := metadataEvery
		if p.SyncProblem != "" {
			within = metadataAgain
		}
		// What is wrong is kept with the provider, for its administrators; and
		// whoever has changed it meanwhile has brought its metadata.
		if _, err := s.refresh(ctx, p, within); err != nil && pam.KindOf(err) != pam.Unreachable && pam.KindOf(err) != pam.Precondition {
			failed = append(failed, pam.Wrap(op, err))
		}
	}
	return errors.Join(failed...)
}

// refresh is a provider with its metadata read again, unless somebody has done
// so within the last time: then it is as they have left it. Other keys at the
// address are taken over: it is what the administrator believes.
func (s *Service) refresh(ctx context.Context, p Provider, within time.Duration) (Provider, error) {
	const op = "read metadata"
	now := s.Clock.Now()
	mine, err := s.Store.ClaimSync(ctx, p.Org, p.ID, now.Add(-within), now)
	if err != nil {
		return p, pam.Wrap(op, err)
	}
	if !mine || p.SAML.MetadataURL == "" {
		fresh, err := s.Store.SSOProvider(ctx, p.Org, p.ID)
		return fresh, pam.Wrap(op, err)
	}
	text, err := s.SAML.Fetch(ctx, p.SAML.MetadataURL)
	var m SAMLMetadata
	if err == nil {
		m, err = s.SAML.Metadata(text)
	}
	if err == nil && m.EntityID != p.Issuer {
		err = s.another()
	}
	problem := ""
	if err != nil {
		if pam.KindOf(err) != pam.Unreachable {
			return p, pam.Wrap(op, err)
		}
		problem = publicly(err)
	}
	if noted := s.Store.NoteSync(ctx, p.Org, p.ID, problem); noted != nil || err != nil {
		if noted != nil {
			err = noted
		}
		return p, pam.Wrap(op, err)
	}
	// Most metadata changes each time, in what is of no interest to us.
	if p.SAML.SignOnURL == m.SignOnURL && slices.Equal(p.SAML.Certificates, m.Certificates) {
		return p, nil
	}
	settings := *p.SAML
	settings.Metadata, settings.SignOnURL, settings.Certificates = text, m.SignOnURL, m.Certificates
	fresh := p
	fresh.SAML = &settings
	e := s.Scribe.Entry(pam.Actor{Token: pam.SystemToken, Org: p.Org}, audit.SSOProviderUpdated, p.party(),
		fresh.told(map[string]any{"changed": []string{"saml.certificates"}, "issuer": p.Issuer}))
	if err := s.Store.TakeDetails(ctx, p.Org, fresh, e); err != nil {
		return p, pam.Wrap(op, err)
	}
	return fresh, nil
}
