package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"vaultpam/edge"
	"vaultpam/idp/oidc"
	"vaultpam/internal/outbound"
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
