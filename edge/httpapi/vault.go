package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
)

func (a *API) vaultStatus() *answer[v1.VaultStatus] {
	s := a.Vault.Status()
	return &answer[v1.VaultStatus]{v1.VaultStatus{Sealed: s.Sealed, Initialized: s.Initialized, SealKind: s.SealKind}}
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

func (a *API) unsealVault(ctx context.Context, _ pam.Actor, _ *nothing) (*answer[v1.VaultStatus], error) {
	if err := a.Vault.Unseal(ctx, client(ctx)); err != nil {
		return nil, err
	}
	return a.vaultStatus(), nil
}
