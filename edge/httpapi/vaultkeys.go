package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
)

// KeyRotations is what the API asks about the keys of the vault.
type KeyRotations interface {
	// RotateKeys begins a rotation; a Conflict while one runs.
	RotateKeys(ctx context.Context, a pam.Actor, in v1.KeyRotationIn) (v1.KeyRotation, error)
	KeyRotation(ctx context.Context, a pam.Actor) (v1.KeyRotation, error)
}

func (a *API) rotateKeys(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.KeyRotation], error) {
	if len(in.RawBody) == 0 {
		in.RawBody = []byte("{}")
	}
	body, err := decode[v1.KeyRotationIn](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	r, err := a.Vault.RotateKeys(ctx, actor, body)
	return reply(r, err)
}

func (a *API) getKeyRotation(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.KeyRotation], error) {
	r, err := a.Vault.KeyRotation(ctx, actor)
	return reply(r, err)
}
