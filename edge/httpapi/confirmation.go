package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/confirmation"
)

func confirmationOf(c confirmation.Confirmation) v1.Confirmation {
	kind, id := c.Target()
	return v1.Confirmation{
		ID: string(c.ID), Kind: string(c.Kind), Status: string(c.Status), SafeID: string(c.Safe), TargetType: kind, TargetID: id, Summary: c.Summary,
		RequestedBy: string(c.RequestedBy), DecidedBy: string(c.DecidedBy), CreatedAt: c.CreatedAt, DecidedAt: moment(c.DecidedAt),
	}
}

func (a *API) listConfirmations(ctx context.Context, actor pam.Actor, in *struct {
	Page
	Status string `query:"status" enum:"pending,confirmed,rejected,superseded"`
	SafeID string `query:"safe_id" maxLength:"64"`
},
) (*listOf[v1.Confirmation], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Confirmations.List(ctx, actor, confirmation.Query{Status: confirmation.Status(in.Status), Safe: pam.SafeID(in.SafeID), After: pam.ConfirmationID(after), Limit: in.limit() + 1})
	if err != nil {
		return nil, err
	}
	return newList("/confirmations", given("status", in.Status, "safe_id", in.SafeID), in.Page, rows, confirmation.Confirmation.Cursor, confirmationOf), nil
}

func (a *API) getConfirmation(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Confirmation], error) {
	c, err := a.Confirmations.ByID(ctx, actor, pam.ConfirmationID(in.ID))
	return reply(confirmationOf(c), err)
}

func (a *API) confirm(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Confirmation], error) {
	c, err := a.Confirmations.Confirm(ctx, actor, pam.ConfirmationID(in.ID))
	return reply(confirmationOf(c), err)
}

func (a *API) reject(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Confirmation], error) {
	c, err := a.Confirmations.Reject(ctx, actor, pam.ConfirmationID(in.ID))
	return reply(confirmationOf(c), err)
}
