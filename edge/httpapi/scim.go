package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/provisioning"
)

func scimTokenOf(t provisioning.Token) v1.SCIMToken {
	return v1.SCIMToken{
		ID: string(t.ID), Name: t.Name, Role: string(t.Role), CreatedBy: string(t.CreatedBy),
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, LastUsedAt: moment(t.LastUsedAt),
	}
}

func (a *API) listSCIMTokens(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.SCIMToken], error) {
	rows, err := a.Provisioning.AllTokens(ctx, actor)
	if err != nil {
		return nil, err
	}
	return newList("/org/sso/scim-tokens", nil, *in, rows[:min(len(rows), in.limit())], nil, scimTokenOf), nil
}

func (a *API) postSCIMToken(ctx context.Context, actor pam.Actor, in *withBody[v1.SCIMTokenIn]) (*answer[v1.SCIMToken], error) {
	t, value, err := a.Provisioning.CreateToken(ctx, actor, in.Body.Name, pam.Role(in.Body.Role), in.Body.ExpiresInDays)
	if err != nil {
		return nil, err
	}
	defer value.Wipe()
	out := scimTokenOf(t)
	out.Token = string(value.Expose())
	return &answer[v1.SCIMToken]{out}, nil
}

func (a *API) deleteSCIMToken(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.Provisioning.DeleteToken(ctx, actor, pam.SCIMTokenID(in.ID))
}
