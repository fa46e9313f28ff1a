package broker

import (
	"context"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/resource"
)

// EmergencyTarget is an account and where it logs in.
type EmergencyTarget struct {
	Resource resource.Resource
	Account  account.Account
}

// EmergencyTargets lists where a Safe leads, for somebody whom its emergencies
// name: they have to choose, and need not be in the Safe, by which they would
// see it. To everybody else it leads nowhere.
func (b *Broker) EmergencyTargets(ctx context.Context, actor pam.Actor, id pam.SafeID) ([]EmergencyTarget, error) {
	const op = "list emergency targets"
	s, err := b.Store.SafeByID(ctx, actor.Org, id, actor.User, b.Clock.Now())
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if !s.BreakGlass.Names(actor.User) {
		return nil, nil
	}
	var out []EmergencyTarget
	for _, bind := range s.Bindings {
		r, err := b.Store.ResourceByID(ctx, actor.Org, bind.ResourceID)
		if err != nil {
			return nil, pam.Wrap(op, err)
		}
		a, err := b.Store.AccountByID(ctx, actor.Org, bind.AccountID)
		if err != nil {
			return nil, pam.Wrap(op, err)
		}
		out = append(out, EmergencyTarget{r, a})
	}
	return out, nil
}
