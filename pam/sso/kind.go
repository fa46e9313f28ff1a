package sso

import (
	"context"
	"strings"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
)

// Kind is by what protocol a provider vouches for people.
type Kind string

// The kinds of providers.
const (
	KindOIDC Kind = "oidc" // OpenID Connect; the issuer is an address
	KindSAML Kind = "saml" // SAML 2.0; the issuer is an entity id
)

// Details are the settings that one kind alone has, as the store keeps them;
// those of other kinds are nil.
type Details struct {
	SAML *SAMLSettings `json:"saml,omitempty"`
	LDAP *LDAPSettings `json:"ldap,omitempty"`
}

// since is from when on an identity counts by itself: from the last time that
// somebody changed by hand who can say whose it is. Where the issuer is an
// address, only the one at that address ever can, and the time is zero.
func (d Details) since() time.Time {
	if d.SAML != nil {
		return d.SAML.Since
	}
	if d.LDAP != nil {
		return d.LDAP.Since
	}
	return time.Time{}
}

// kind is what differs from one kind of provider to the next. Whatever follows
// from the Claims of somebody is the same for all.
type kind interface {
	// check says what is not acceptable of in, and makes it what is kept. What is
	// not given stays as it was.
	check(ctx context.Context, ps *pam.Problems, in *Settings, was Settings)
	// test says whether the provider can be used now; the error says what is wrong.
	test(ctx context.Context, p Provider) error
	// begin is where a person's browser goes to sign in.
	begin(ctx context.Context, p Provider, w way, b Begin) (string, error)
	// finish is what the provider says of the person who comes back. Also with an
	// error, the Subject says of whom, where that is known.
	finish(ctx context.Context, p Provider, w way, in Finish) (Claims, error)
}

func (s *Service) kind(op string, k Kind) (kind, error) {
	switch k {
	case KindOIDC:
		return oidc{s}, nil
	case KindSAML:
		return saml{s}, nil
	case KindLDAP:
		return ldap{s}, nil
	}
	var ps pam.Problems
	ps.Add("type", "is not a type of provider")
	return nil, ps.Err(op)
}

// oidc is OpenID Connect. The provider knows us as its client.
type oidc struct{ *Service }

func (s oidc) trust(p Provider) Trust {
	return Trust{Issuer: p.Issuer, ClientID: p.ClientID, Scopes: p.Scopes, RedirectURL: s.CallbackURL(p.ID)}
}

func (s oidc) check(_ context.Context, ps *pam.Problems, in *Settings, _ Settings) {
	if p := s.OIDC.URLProblem(in.Issuer); p != "" {
		ps.Add("issuer", p)
	}
	if in.ClientID == "" || len(in.ClientID) > maxValue || naming.TextProblem(in.ClientID, false) != "" {
		ps.Add("client_id", "must be 1 to 256 characters, on one line")
	}
	in.Scopes = cleaned(ps, "scopes", in.Scopes, maxScopes, func(scope string) bool {
		return strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) // RFC 6749 section 3.3
	})
	in.Details = Details{}
}

func (s oidc) test(ctx context.Context, p Provider) error { return s.OIDC.Check(ctx, p.Issuer) }

func (s oidc) begin(ctx context.Context, p Provider, w way, b Begin) (string, error) {
	return s.OIDC.AuthURL(ctx, s.trust(p), Ask{State: w.state, Nonce: w.derived("nonce"), Verifier: w.derived("verifier"), Fresh: b.Fresh, Hint: b.Hint})
}

func (s oidc) finish(ctx context.Context, p Provider, w way, in Finish) (Claims, error) {
	trust := s.trust(p)
	if p.Sealed != nil {
		var err error
		if trust.Secret, err = s.Sealer.Open(ctx, p.binding(), p.Sealed); err != nil {
			return Claims{}, err
		}
		defer trust.Secret.Wipe()
	}
	return s.OIDC.Exchange(ctx, trust, Answer{Code: in.Code, Issuer: in.Issuer, Error: in.Error, Nonce: w.derived("nonce"), Verifier: w.derived("verifier")})
}
