package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

func (a *API) vaultStatus() *answer[v1.VaultStatus] {
	s := a.Vault.Status()
	return &answer[v1.VaultStatus]{v1.VaultStatus{Sealed: s.Sealed, Initialized: s.Initialized, SealKind: s.SealKind, Threshold: s.Threshold, Shares: s.Shares, Progress: s.Progress}}
}

func (a *API) getVault(context.Context, pam.Actor, *nothing) (*answer[v1.VaultStatus], error) {
	return a.vaultStatus(), nil
}

func (a *API) sealVault(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.VaultStatus], error) {
	if err := a.Vault.Seal(ctx, actor); err != nil {
		return nil, err
	}
	return a.vaultStatus(), nil
}

func (a *API) unsealVault(ctx context.Context, _ pam.Actor, in *struct{ Raw }) (*answer[v1.VaultStatus], error) {
	var body v1.UnsealIn
	if len(in.RawBody) > 0 {
		var err error
		body, err = decode[v1.UnsealIn](a, nil, in.RawBody)
		clear(in.RawBody) // it holds a secret
		if err != nil {
			return nil, err
		}
	}
	share := secret.FromString(body.Share)
	defer share.Wipe()
	if err := a.Vault.Unseal(ctx, client(ctx), share, body.Reset); err != nil {
		return nil, err
	}
	return a.vaultStatus(), nil
}
