package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/sso"
)

func (a *API) providerOf(p sso.Provider) v1.SSOProvider {
	out := v1.SSOProvider{
		ID: string(p.ID), Type: string(p.Kind), Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, HasSecret: p.Sealed != nil, Scopes: p.Scopes, AllowedDomains: p.Domains, GroupClaim: p.GroupClaim,
		CreateUsers: p.Creates, DefaultRole: string(p.DefaultRole), TrustMFA: p.TrustsMFA, Enabled: p.Enabled, CallbackURL: a.SSO.CallbackURL(p.ID), CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		Rules: make([]v1.SSORule, len(p.Rules)),
	}
	for i, r := range p.Rules {
		out.Rules[i] = v1.SSORule{Value: r.Value, Role: string(r.Role), GroupIDs: make([]string, len(r.Groups))}
		for j, g := range r.Groups {
			out.Rules[i].GroupIDs[j] = string(g)
		}
	}
	if p.SAML != nil {
		out.SAML = &v1.SAML{
			EntityID: a.SSO.EntityID(p.ID), MetadataURL: p.SAML.MetadataURL, SubjectAttribute: p.SAML.SubjectAttribute, EmailAttribute: p.SAML.EmailAttribute, NameAttribute: p.SAML.NameAttribute,
			MFAContexts: p.SAML.MFAContexts, Certificates: make([]v1.SAMLCertificate, len(p.SAML.Certificates)),
		}
		for i, c := range p.SAML.Certificates {
			out.SAML.Certificates[i] = v1.SAMLCertificate{SHA256: c.SHA256, NotAfter: c.Until}
		}
		if p.SAML.MetadataURL != "" {
			out.SAML.ReadAt, out.SAML.Problem = moment(p.SyncedAt), p.SyncProblem
		}
	}
	if x := p.LDAP; x != nil {
		out.LDAP = &v1.LDAP{LDAPIn: v1.LDAPIn{
			URLs: x.URLs, CA: x.CA, BindDN: x.BindDN, BaseDN: x.BaseDN, UserFilter: x.UserFilter, SubjectAttribute: x.SubjectAttribute, EmailAttribute: x.EmailAttribute,
			NameAttribute: x.NameAttribute, GroupBaseDN: x.GroupBaseDN, GroupFilter: x.GroupFilter,
		}, ReadAt: moment(p.SyncedAt), Problem: p.SyncProblem}
	}
	return out
}

func (a *API) providerReply(p sso.Provider, err error) (*versioned[v1.SSOProvider], error) {
	if err != nil {
		return nil, err
	}
	return &versioned[v1.SSOProvider]{etag(p.Version), a.providerOf(p)}, nil
}

func providerSettings(in v1.SSOProviderIn) sso.Settings {
	out := sso.Settings{
		Name: in.Name, Kind: sso.Kind(in.Type), Issuer: in.Issuer, ClientID: in.ClientID, Scopes: in.Scopes, Domains: in.AllowedDomains, GroupClaim: in.GroupClaim,
		Creates: in.CreateUsers, DefaultRole: pam.Role(in.DefaultRole), TrustsMFA: in.TrustMFA, Enabled: in.Enabled,
	}
	if in.SAML != nil {
		out.SAML = &sso.SAMLSettings{
			MetadataURL: in.SAML.MetadataURL, SubjectAttribute: in.SAML.SubjectAttribute, EmailAttribute: in.SAML.EmailAttribute, NameAttribute: in.SAML.NameAttribute, MFAContexts: in.SAML.MFAContexts,
		}
		if in.SAML.Metadata != nil {
			out.SAML.Metadata = *in.SAML.Metadata
		}
	}
	if x := in.LDAP; x != nil {
		out.LDAP = &sso.LDAPSettings{
			URLs: x.URLs, CA: x.CA, BindDN: x.BindDN, BaseDN: x.BaseDN, UserFilter: x.UserFilter, SubjectAttribute: x.SubjectAttribute, EmailAttribute: x.EmailAttribute,
			NameAttribute: x.NameAttribute, GroupBaseDN: x.GroupBaseDN, GroupFilter: x.GroupFilter,
		}
	}
	for _, r := range in.Rules {
		rule := sso.Rule{Value: r.Value, Role: pam.Role(r.Role)}
		for _, g := range r.GroupIDs {
			rule.Groups = append(rule.Groups, pam.GroupID(g))
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

func (a *API) ssoSettings(ctx context.Context, actor pam.Actor, only bool) (*answer[v1.SSOSettings], error) {
	o, err := a.Orgs.Get(ctx, actor)
	return reply(v1.SSOSettings{SSOOnly: only, LoginURL: a.publicURL() + "/login/" + o.Slug, WorkloadAudience: a.SSO.Audience()}, err)
}

func (a *API) publicURL() string { return a.SSO.URL() }

func (a *API) getSSO(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.SSOSettings], error) {
	only, err := a.SSO.Only(ctx, actor)
	if err != nil {
		return nil, err
	}
	return a.ssoSettings(ctx, actor, only)
}

func (a *API) patchSSO(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.SSOSettings], error) {
	only, err := a.SSO.Only(ctx, actor)
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.SSOSettingsIn](a, v1.SSOSettingsIn{SSOOnly: only}, in.RawBody)
	if err != nil {
		return nil, err
	}
	if err := a.SSO.SetOnly(ctx, actor, body.SSOOnly); err != nil {
		return nil, err
	}
	return a.ssoSettings(ctx, actor, body.SSOOnly)
}

func (a *API) listProviders(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.SSOProvider], error) {
	rows, err := a.SSO.List(ctx, actor)
	if err != nil {
		return nil, err
	}
	return newList("/org/sso/providers", nil, *in, rows[:min(len(rows), in.limit())], sso.Provider.Cursor, a.providerOf), nil
}

func (a *API) postProvider(ctx context.Context, actor pam.Actor, in *Raw) (*versioned[v1.SSOProvider], error) {
	body, err := decode[v1.SSOProviderIn](a, v1.SSOProviderIn{Scopes: []string{"profile", "email"}}, in.RawBody)
	if err != nil {
		return nil, err
	}
	var clientSecret secret.Value
	if body.ClientSecret != nil {
		clientSecret = secret.FromString(*body.ClientSecret)
		defer clientSecret.Wipe()
	}
	return a.providerReply(a.SSO.Create(ctx, actor, providerSettings(body), clientSecret))
}

func (a *API) getProvider(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.SSOProvider], error) {
	return a.providerReply(a.SSO.ByID(ctx, actor, pam.ProviderID(in.ID)))
}

func (a *API) patchProvider(ctx context.Context, actor pam.Actor, in *change) (*versioned[v1.SSOProvider], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.SSO.ByID(ctx, actor, pam.ProviderID(in.ID))
	if err != nil {
		return nil, err
	}
	was := a.providerOf(old)
	base := v1.SSOProviderIn{
		Name: was.Name, Type: was.Type, Issuer: was.Issuer, ClientID: was.ClientID, Scopes: was.Scopes, AllowedDomains: was.AllowedDomains, GroupClaim: was.GroupClaim, Rules: was.Rules,
		CreateUsers: was.CreateUsers, DefaultRole: was.DefaultRole, TrustMFA: was.TrustMFA, Enabled: was.Enabled,
	}
	if x := was.SAML; x != nil {
		base.SAML = &v1.SAMLIn{MetadataURL: x.MetadataURL, SubjectAttribute: x.SubjectAttribute, EmailAttribute: x.EmailAttribute, NameAttribute: x.NameAttribute, MFAContexts: x.MFAContexts}
	}
	if x := was.LDAP; x != nil {
		base.LDAP = &x.LDAPIn
	}
	body, err := decode[v1.SSOProviderIn](a, base, in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	var clientSecret *secret.Value
	if body.ClientSecret != nil {
		v := secret.FromString(*body.ClientSecret)
		defer v.Wipe()
		clientSecret = &v
	}
	return a.providerReply(a.SSO.Update(ctx, actor, old.ID, version, providerSettings(body), clientSecret))
}

func (a *API) deleteProvider(ctx context.Context, actor pam.Actor, in *removal) (*nothing, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.SSO.Delete(ctx, actor, pam.ProviderID(in.ID), version)
}

func (a *API) syncProvider(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*versioned[v1.SSOProvider], error) {
	var body v1.LDAPSyncIn
	if len(in.RawBody) > 0 {
		var err error
		if body, err = decode[v1.LDAPSyncIn](a, nil, in.RawBody); err != nil {
			return nil, err
		}
	}
	return a.providerReply(a.SSO.Sync(ctx, actor, pam.ProviderID(in.ID), body.All))
}

func (a *API) testProvider(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.SSOTest], error) {
	err := a.SSO.Test(ctx, actor, pam.ProviderID(in.ID))
	if pam.Is(err, pam.Unreachable) {
		return &answer[v1.SSOTest]{v1.SSOTest{Problem: fromError(err).message}}, nil
	}
	return reply(v1.SSOTest{OK: true}, err)
}
