package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/sso"
)

// browserCookie carries what a browser keeps of a sign-in by a provider, until
// it comes back. Only our own pages ask for either end, so it is as strict as
// the login's.
const browserCookie = "__Host-vaultpam-sso"

// Kept is what the browser has kept.
type Kept struct {
	Browser string `cookie:"__Host-vaultpam-sso" maxLength:"128" doc:"What the browser keeps of a sign-in under way"`
}

func (a *API) getOffers(ctx context.Context, _ pam.Actor, in *struct {
	Organization string `path:"organization" maxLength:"64" doc:"Its slug; one that there is not offers nothing"`
},
) (*answer[v1.SSOOffers], error) {
	rows, err := a.SSO.Offered(ctx, in.Organization)
	out := v1.SSOOffers{Providers: make([]v1.SSOOffer, 0, len(rows))}
	for _, p := range rows {
		out.Providers = append(out.Providers, v1.SSOOffer{ID: string(p.ID), Type: string(p.Kind), Name: p.Name})
	}
	return reply(out, err)
}

func started(s sso.Started, err error) (*cookied[v1.SSOStart], error) {
	if err != nil {
		return nil, err
	}
	defer s.Browser.Wipe()
	return &cookied[v1.SSOStart]{browserCookie + "=" + string(s.Browser.Expose()) + cookieAttributes + "; Max-Age=600", v1.SSOStart{URL: s.URL}}, nil
}

func (a *API) startSSO(ctx context.Context, _ pam.Actor, in *struct {
	Kept
	Body v1.SSOStartIn
},
) (*cookied[v1.SSOStart], error) {
	return started(a.SSO.Start(ctx, in.Body.Organization, pam.ProviderID(in.Body.ProviderID), sso.Begin{Fresh: in.Body.Fresh, Hint: in.Body.Email, Browser: in.Browser}))
}

func (a *API) finishSSO(ctx context.Context, _ pam.Actor, in *struct {
	Kept
	Body v1.SSOFinishIn
},
) (*cookied[v1.SSOFinish], error) {
	before := callOf(ctx).token
	var actor pam.Actor
	if before != "" {
		var err error
		from := client(ctx)
		from.Personal = true // a link is the person's, wherever they may act
		if actor, err = a.Identity.AuthenticateConsole(ctx, before, "", from); err != nil {
			actor = pam.Actor{} // it has ended
		}
	}
	b := in.Body
	password := secret.FromString(b.Password)
	defer password.Wipe()
	who, err := a.SSO.Finish(ctx, sso.Finish{
		Provider: pam.ProviderID(b.ProviderID), State: b.State, Code: b.Code, Issuer: b.Iss, Error: b.Error, SAMLResponse: b.SAMLResponse, Username: b.Username, Password: password, Browser: in.Browser, Actor: actor,
	}, sso.Client{From: callOf(ctx).from, RequestID: callOf(ctx).id})
	if err != nil {
		return nil, err
	}
	if who.User == "" {
		return &cookied[v1.SSOFinish]{browserCookie + "=" + cookieAttributes + "; Max-Age=0", v1.SSOFinish{Linked: true}}, nil
	}
	r, err := a.Identity.LoginVouched(ctx, who, client(ctx))
	if err != nil {
		return nil, err
	}
	defer r.Token.Wipe()
	a.endReplaced(ctx, before)
	token := string(r.Token.Expose())
	_, idle, err := a.Identity.ConsoleLogin(ctx, token)
	if err != nil {
		return nil, err
	}
	login := consoleOf(token, r.Login, idle)
	return &cookied[v1.SSOFinish]{cookieName + "=" + token + cookieAttributes, v1.SSOFinish{Login: &login}}, nil
}

func identityOf(i sso.Identity) v1.SSOIdentity {
	return v1.SSOIdentity{
		ID: string(i.ID), OrgID: string(i.Org), UserID: string(i.User), Issuer: i.Issuer, Subject: i.Subject, Email: i.Email, LinkedBy: i.LinkedBy, CreatedAt: i.CreatedAt, LastLoginAt: moment(i.LastLoginAt),
	}
}

func (a *API) listOwnIdentities(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.SSOIdentity], error) {
	rows, err := a.SSO.Own(ctx, actor)
	if err != nil {
		return nil, err
	}
	return newList("/me/sso-identities", nil, *in, rows[:min(len(rows), in.limit())], nil, identityOf), nil
}

func (a *API) linkIdentity(ctx context.Context, actor pam.Actor, in *struct {
	Kept
	Body v1.SSOLinkIn
},
) (*cookied[v1.SSOStart], error) {
	if !callOf(ctx).console {
		return nil, pam.Errorf(pam.Denied, "link sign-in", "Link accounts from the console.")
	}
	return started(a.SSO.StartLink(ctx, actor, pam.OrgID(in.Body.OrgID), pam.ProviderID(in.Body.ProviderID), sso.Begin{Browser: in.Browser}))
}

func (a *API) unlinkOwnIdentity(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.SSO.UnlinkOwn(ctx, actor, pam.IdentityID(in.ID))
}

func (a *API) listIdentities(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.SSOIdentity], error) {
	rows, err := a.SSO.Identities(ctx, actor)
	if err != nil {
		return nil, err
	}
	return newList("/org/sso/identities", nil, *in, rows[:min(len(rows), in.limit())], nil, identityOf), nil
}

func (a *API) unlinkIdentity(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.SSO.Unlink(ctx, actor, pam.IdentityID(in.ID))
}

// metadataAnswer is our metadata, in XML.
type metadataAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (a *API) getSAMLMetadata(_ context.Context, _ pam.Actor, in *ByID) (*metadataAnswer, error) {
	text, err := a.SSO.SAMLDocument(pam.ProviderID(in.ID))
	if err != nil {
		return nil, err
	}
	return &metadataAnswer{ContentType: "application/samlmetadata+xml", Body: text}, nil
}
