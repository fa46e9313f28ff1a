package server

import (
	"context"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/resource"
)

// importPlaces finds and makes the resources of accounts that are imported.
type importPlaces struct{ resources *resource.Service }

func (p importPlaces) settings(at account.Place) resource.Settings {
	name := at.Host
	if at.Type != pam.SSH {
		name += " " + string(at.Type)
	}
	return resource.Settings{Name: name, Type: at.Type, Host: at.Host, Port: at.Port}
}

func (p importPlaces) Match(ctx context.Context, a pam.Actor, at account.Place) (account.Found, error) {
	r, err := p.resources.Match(ctx, a, at.Ref, p.settings(at))
	switch {
	case err == nil:
		return account.Found{ID: r.ID, Type: r.Type, Key: string(r.ID)}, nil
	case !pam.Is(err, pam.NotFound):
		return account.Found{}, err
	case at.Ref != "":
		return account.Found{Key: "ref " + at.Ref}, nil
	}
	key, err := p.settings(at).Address()
	return account.Found{Type: at.Type, Key: key}, err
}

func (p importPlaces) Create(ctx context.Context, a pam.Actor, at account.Place) (account.Found, error) {
	r, err := p.resources.Create(ctx, a, p.settings(at))
	return account.Found{ID: r.ID, Type: r.Type, Key: string(r.ID)}, err
}
