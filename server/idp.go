package server

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"vaultpam/edge"
	"vaultpam/idp/ldap"
	"vaultpam/idp/oidc"
	"vaultpam/idp/saml"
	"vaultpam/internal/outbound"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/sso"
)

// outbound are the rules on requests to addresses that people have named.
func (c *Config) outbound() (outbound.Rules, error) {
	allow, err := edge.ParseProxies(strings.Join(c.OutboundAllow, ","))
	if err != nil {
		return outbound.Rules{}, fmt.Errorf("--outbound-allow: %w", err)
	}
	if c.Dev && len(allow) == 0 {
		allow = edge.Proxies{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	return outbound.Rules{Allow: allow}, nil
}

// providers gives what single sign-on asks of OpenID Connect.
type providers struct {
	rules  outbound.Rules
	client *oidc.Client
}

func trustOf(t sso.Trust) oidc.Trust {
	return oidc.Trust{Issuer: t.Issuer, ClientID: t.ClientID, Secret: t.Secret, Scopes: t.Scopes, RedirectURL: t.RedirectURL}
}

// URLProblem implements sso.OIDC.
func (p providers) URLProblem(issuer string) string { return p.rules.CheckURL(issuer) }

// Check implements sso.OIDC.
func (p providers) Check(ctx context.Context, issuer string) error {
	return providerError(p.client.Check(ctx, issuer))
}

// AuthURL implements sso.OIDC.
func (p providers) AuthURL(ctx context.Context, t sso.Trust, a sso.Ask) (string, error) {
	to, err := p.client.AuthURL(ctx, trustOf(t), oidc.Ask{State: a.State, Nonce: a.Nonce, Verifier: a.Verifier, Fresh: a.Fresh, Hint: a.Hint})
	return to, providerError(err)
}

// Exchange implements sso.OIDC.
func (p providers) Exchange(ctx context.Context, t sso.Trust, a sso.Answer) (sso.Claims, error) {
	c, err := p.client.Exchange(ctx, trustOf(t), oidc.Answer{Code: a.Code, Issuer: a.Issuer, Error: a.Error, Nonce: a.Nonce, Verifier: a.Verifier})
	return sso.Claims{Subject: c.Subject, All: c.All}, providerError(err)
}

// Verify implements sso.OIDC.
func (p providers) Verify(ctx context.Context, issuer, audience, token string) (sso.Claims, error) {
	c, err := p.client.Verify(ctx, issuer, audience, token)
	return sso.Claims{Subject: c.Subject, All: c.All}, providerError(err)
}

// providerError gives errors of a provider their kind and their words.
func providerError(err error) error {
	const op = "ask sign-in provider"
	e, ok := errors.AsType[*oidc.Error](err)
	if !ok {
		return pam.Wrap(op, err)
	}
	kind, words := pam.AuthFailed, "The provider's answer was not accepted: "
	switch {
	case errors.Is(e.Kind, oidc.ErrUnreachable):
		kind, words = pam.Unreachable, "The provider did not answer as it should: "
	case errors.Is(e.Kind, oidc.ErrRefused):
		words = "The provider did not let you in: "
	}
	return &pam.Error{Kind: kind, Op: op, Public: words + e.Reason + ".", Err: err}
}

// samlProviders gives what single sign-on asks of SAML.
type samlProviders struct {
	rules  outbound.Rules
	client *saml.Client
}

func certificates(all []*x509.Certificate) []sso.Certificate {
	out := make([]sso.Certificate, len(all))
	for i, c := range all {
		sum := sha256.Sum256(c.Raw)
		out[i] = sso.Certificate{SHA256: hex.EncodeToString(sum[:]), Until: c.NotAfter.UTC()}
	}
	return out
}

// URLProblem implements sso.SAML.
func (p samlProviders) URLProblem(address string) string { return p.rules.CheckURL(address) }

// Metadata implements sso.SAML.
func (p samlProviders) Metadata(text string) (sso.SAMLMetadata, error) {
	m, err := p.client.Metadata([]byte(text))
	return sso.SAMLMetadata{EntityID: m.EntityID, SignOnURL: m.SignOnURL, Certificates: certificates(m.Certificates)}, samlError(err)
}

// Fetch implements sso.SAML.
func (p samlProviders) Fetch(ctx context.Context, address string) (string, error) {
	text, err := p.client.Fetch(ctx, address)
	return string(text), samlError(err)
}

// Request implements sso.SAML.
func (p samlProviders) Request(metadata string, us sso.SAMLParty, a sso.SAMLAsk) (string, error) {
	m, err := p.client.Kept([]byte(metadata))
	if err != nil {
		return "", samlError(err)
	}
	to, err := p.client.Request(m, saml.Party(us), saml.Ask(a))
	return to, samlError(err)
}

// Read implements sso.SAML.
func (p samlProviders) Read(metadata string, us sso.SAMLParty, request, response string) (sso.SAMLSaid, bool, error) {
	m, err := p.client.Kept([]byte(metadata))
	if err != nil {
		return sso.SAMLSaid{}, true, samlError(err)
	}
	said, err := p.client.Read(m, saml.Party(us), request, response)
	return sso.SAMLSaid{
		ID: said.ID, Until: said.Until, Name: said.Name, Persistent: said.Format == saml.Persistent, At: said.At, Contexts: said.Contexts, Attributes: said.Attributes,
	}, errors.Is(err, saml.ErrSignature), samlError(err)
}

// Document implements sso.SAML.
func (p samlProviders) Document(us sso.SAMLParty) []byte { return saml.Party(us).Document() }

func samlError(err error) error {
	const op = "ask sign-in provider"
	e, ok := errors.AsType[*saml.Error](err)
	if !ok {
		return pam.Wrap(op, err)
	}
	kind, words := pam.AuthFailed, "The provider's answer was not accepted: "
	switch {
	case errors.Is(e.Kind, saml.ErrMetadata):
		kind, words = pam.Unreachable, "The provider's metadata cannot be used: "
	case errors.Is(e.Kind, saml.ErrRefused):
		words = "The provider did not let you in: "
	}
	return &pam.Error{Kind: kind, Op: op, Public: words + e.Reason + ".", Err: err}
}

// readProvidersEvery is how often somebody looks which of them are due.
const readProvidersEvery = time.Minute

// readProviders reads again what providers say of themselves. It is no job
// among the others: one that does not answer must not hold them up.
func (s *Server) readProviders(ctx context.Context) error {
	tick := time.NewTicker(readProvidersEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s.sealed() {
			continue
		}
		s.try(ctx, "read providers' metadata", s.sso.ReadMetadata)
		s.try(ctx, "read directories", s.sso.SyncDirectories)
	}
}

// directories gives single sign-on the directories of LDAP.
type directories struct{ client *ldap.Client }

// URLProblem implements sso.LDAP.
func (d directories) URLProblem(url string) string { return d.client.URLProblem(url) }

// CAProblem implements sso.LDAP.
func (directories) CAProblem(pem string) string { return ldap.CAProblem(pem) }

// DNProblem implements sso.LDAP.
func (directories) DNProblem(dn string) string { return ldap.DNProblem(dn) }

// FilterProblem implements sso.LDAP.
func (directories) FilterProblem(filter string, places ...string) string {
	return ldap.FilterProblem(filter, places...)
}

func directoryOf(d sso.Directory) ldap.Directory {
	return ldap.Directory{
		URLs: d.URLs, CA: d.CA, BindDN: d.BindDN, Password: d.Password, BaseDN: d.BaseDN, UserFilter: d.UserFilter, SubjectAttribute: d.SubjectAttribute,
		EmailAttribute: d.EmailAttribute, NameAttribute: d.NameAttribute, GroupBaseDN: d.GroupBaseDN, GroupFilter: d.GroupFilter,
	}
}

// Test implements sso.LDAP.
func (d directories) Test(ctx context.Context, at sso.Directory) error {
	return directoryError(d.client.Test(ctx, directoryOf(at)))
}

// Authenticate implements sso.LDAP.
func (d directories) Authenticate(ctx context.Context, at sso.Directory, username string, password secret.Value) (sso.DirectoryEntry, error) {
	e, err := d.client.Authenticate(ctx, directoryOf(at), username, password)
	return sso.DirectoryEntry(e), directoryError(err)
}

// Lookup implements sso.LDAP.
func (d directories) Lookup(ctx context.Context, at sso.Directory, subjects []string) (map[string]sso.DirectoryEntry, error) {
	found, err := d.client.Lookup(ctx, directoryOf(at), subjects)
	out := make(map[string]sso.DirectoryEntry, len(found))
	for subject, e := range found {
		out[subject] = sso.DirectoryEntry(e)
	}
	return out, directoryError(err)
}

// directoryError gives errors of a directory their kind and their words.
func directoryError(err error) error {
	const op = "ask directory"
	e, ok := errors.AsType[*ldap.Error](err)
	switch {
	case !ok:
		return pam.Wrap(op, err)
	case errors.Is(e.Kind, ldap.ErrRefused):
		return &pam.Error{Kind: pam.AuthFailed, Op: op, Err: err}
	}
	return &pam.Error{Kind: pam.Unreachable, Op: op, Public: "The directory did not answer as it should: " + e.Reason + ".", Err: err}
}
