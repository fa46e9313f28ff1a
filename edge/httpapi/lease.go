package httpapi

import (
	"context"
	"strconv"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/lease"
)

func leaseOf(l lease.Lease) v1.Lease {
	return v1.Lease{
		ID: string(l.ID), AccountID: string(l.Account), AccountName: l.Name, ResourceID: string(l.Resource), Place: l.Place, SafeID: string(l.Safe), UserID: string(l.User), CheckoutID: string(l.Checkout),
		Username: l.Username, State: string(l.State), Attempts: l.Attempts, Problem: l.Problem, CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, UpdatedAt: l.UpdatedAt,
	}
}

func (a *API) listLeases(ctx context.Context, actor pam.Actor, in *struct {
	Page
	State string `query:"state" enum:"creating,active,revoking,stuck,revoked"`
	Open  bool   `query:"open" doc:"Only those whose user the target may have"`
},
) (*listOf[v1.Lease], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Leases.List(ctx, actor, lease.Query{State: lease.State(in.State), Open: in.Open, After: pam.LeaseID(after), Limit: in.limit() + 1})
	if err != nil {
		return nil, err
	}
	open := ""
	if in.Open {
		open = strconv.FormatBool(true)
	}
	return newList("/leases", given("state", in.State, "open", open), in.Page, rows, lease.Lease.Cursor, leaseOf), nil
}

func (a *API) revokeLease(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Lease], error) {
	l, err := a.Leases.Revoke(ctx, actor, pam.LeaseID(in.ID))
	return reply(leaseOf(l), err)
}

func (a *API) forgetLease(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Body v1.LeaseForgetIn
},
) (*answer[v1.Lease], error) {
	l, err := a.Leases.Forget(ctx, actor, pam.LeaseID(in.ID), in.Body.Reason)
	return reply(leaseOf(l), err)
}

func (a *API) sweepLeases(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.LeaseSweep], error) {
	s, err := a.Leases.Sweep(ctx, actor, pam.AccountID(in.ID))
	return reply(v1.LeaseSweep{Found: append([]v1.Lease{}, each(s.Found, leaseOf)...), Waiting: append([]string{}, s.Waiting...), Foreign: append([]string{}, s.Foreign...)}, err)
}
