package httpapi

import (
	"context"
	"errors"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/identity"
)

// client is where the request under way comes from.
func client(ctx context.Context) identity.Client {
	return clientOf(callOf(ctx))
}

func (a *API) postLogin(ctx context.Context, _ pam.Actor, in *withBody[v1.LoginIn]) (*answer[v1.Token], error) {
	password := secret.FromString(in.Body.Password)
	defer password.Wipe()
	r, err := a.Identity.Login(ctx, in.Body.Email, password, client(ctx))
	if err != nil {
		return nil, loginRefusal(err)
	}
	return &answer[v1.Token]{v1.Token{AccessToken: string(r.Token.Expose()), ExpiresIn: int(r.ExpiresIn / time.Second)}}, nil
}

// loginRefusal adds to a refusal of a sign-in that is not over the token with
// which it goes on.
func loginRefusal(err error) error {
	e := fromError(err)
	if change, ok := errors.AsType[*identity.PasswordChangeError](err); ok {
		e.extra.AccessToken, e.extra.ExpiresIn = string(change.Result.Token.Expose()), seconds(change.Result.ExpiresIn)
		return e
	}
	if enrol, ok := errors.AsType[*identity.EnrolmentError](err); ok {
		e.extra.AccessToken, e.extra.ExpiresIn = string(enrol.Result.Token.Expose()), seconds(enrol.Result.ExpiresIn)
		return e
	}
	if more, ok := errors.AsType[*identity.MFARequiredError](err); ok {
		e.extra.MFAToken, e.extra.ExpiresIn, e.extra.Factors = string(more.Token.Expose()), seconds(more.ExpiresIn), retype[string](more.Factors)
		if more.Passkey != nil {
			e.extra.WebAuthn = &v1.PublicKey{PublicKey: more.Passkey}
		}
		return e
	}
	return err
}

func (a *API) postLogout(ctx context.Context, actor pam.Actor, _ *nothing) (*nothing, error) {
	return nil, a.Identity.Logout(ctx, actor)
}

func (a *API) postStepUp(ctx context.Context, actor pam.Actor, in *withBody[v1.StepUpIn]) (*answer[v1.StepUp], error) {
	if in.Body.Factor != "" {
		until, err := a.Identity.StepUpByFactor(ctx, actor, identity.FactorKind(in.Body.Factor), in.Body.Code, in.Body.MFAToken, client(ctx))
		return reply(v1.StepUp{FreshUntil: until}, err)
	}
	password := secret.FromString(in.Body.Password)
	defer password.Wipe()
	until, err := a.Identity.StepUp(ctx, actor, password, client(ctx))
	return reply(v1.StepUp{FreshUntil: until}, err)
}

func (a *API) getMe(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.Me], error) {
	u, err := a.Identity.Me(ctx, actor)
	return reply(meOf(u), err)
}

func (a *API) patchMe(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.Me], error) {
	body, err := decode[v1.MeIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	u, err := a.Identity.SetName(ctx, actor, body.Name)
	return reply(meOf(u), err)
}

func meOf(u identity.User) v1.Me {
	return v1.Me{ID: string(u.ID), Email: u.Email, Name: u.Name, HomeOrgID: string(u.HomeOrg), InstanceAdmin: u.InstanceAdmin, MustChangePassword: u.MustChange, CreatedAt: u.CreatedAt}
}

func (a *API) putPassword(ctx context.Context, actor pam.Actor, in *withBody[v1.PasswordIn]) (*nothing, error) {
	current, next := secret.FromString(in.Body.CurrentPassword), secret.FromString(in.Body.NewPassword)
	defer current.Wipe()
	defer next.Wipe()
	return nil, a.Identity.ChangePassword(ctx, actor, callOf(ctx).token, current, next, client(ctx))
}

func (a *API) listLogins(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.Login], error) {
	rows, err := a.Identity.Logins(ctx, actor)
	if err != nil {
		return nil, err
	}
	return newList("/me/logins", nil, *in, rows[:min(len(rows), in.limit())], nil, func(l identity.Login) v1.Login {
		return v1.Login{ID: string(l.ID), CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, ClientIP: l.ClientIP, UserAgent: l.UserAgent, Current: string(l.ID) == actor.TokenID}
	}), nil
}

func (a *API) deleteLogin(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.Identity.RevokeLogin(ctx, actor, pam.LoginID(in.ID))
}

func (a *API) listSSHKeys(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.SSHKey], error) {
	rows, err := a.Identity.SSHKeys(ctx, actor)
	if err != nil {
		return nil, err
	}
	return newList("/me/ssh-keys", nil, *in, rows[:min(len(rows), in.limit())], nil, sshKeyOf), nil
}

func sshKeyOf(k identity.SSHKey) v1.SSHKey {
	return v1.SSHKey{ID: string(k.ID), Name: k.Name, PublicKey: k.PublicKey, Fingerprint: k.Fingerprint, CreatedAt: k.CreatedAt, LastUsedAt: moment(k.LastUsedAt)}
}

func (a *API) postSSHKey(ctx context.Context, actor pam.Actor, in *withBody[v1.SSHKeyIn]) (*answer[v1.SSHKey], error) {
	k, err := a.Identity.AddSSHKey(ctx, actor, in.Body.Name, in.Body.PublicKey)
	return reply(sshKeyOf(k), err)
}

func (a *API) deleteSSHKey(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.Identity.RemoveSSHKey(ctx, actor, pam.KeyID(in.ID))
}

func (a *API) listTokens(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.PersonalAccessToken], error) {
	rows, err := a.Identity.AccessTokens(ctx, actor)
	if err != nil {
		return nil, err
	}
	return newList("/personal-access-tokens", nil, *in, rows[:min(len(rows), in.limit())], nil, tokenOf), nil
}

func tokenOf(t identity.AccessToken) v1.PersonalAccessToken {
	return v1.PersonalAccessToken{ID: string(t.ID), Name: t.Name, Scopes: t.Scopes, ExpiresAt: t.ExpiresAt, CreatedAt: t.CreatedAt, LastUsedAt: moment(t.LastUsedAt)}
}

func (a *API) postToken(ctx context.Context, actor pam.Actor, in *withBody[v1.PersonalAccessTokenIn]) (*answer[v1.PersonalAccessToken], error) {
	t, value, err := a.Identity.CreateAccessToken(ctx, actor, in.Body.Name, in.Body.Scopes, in.Body.ExpiresInDays)
	if err != nil {
		return nil, err
	}
	out := tokenOf(t)
	out.Token = string(value.Expose())
	return &answer[v1.PersonalAccessToken]{out}, nil
}

func (a *API) deleteToken(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.Identity.RevokeAccessToken(ctx, actor, pam.TokenID(in.ID))
}
