package httpapi

import (
	"context"
	"net/url"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/checkout"
	"vaultpam/pam/confirmation"
)

func checkoutOf(c checkout.Checkout) v1.Checkout {
	return v1.Checkout{ID: string(c.ID), Status: string(c.Status), SafeID: string(c.Safe), AccountID: string(c.Account), UserID: string(c.User), Username: c.Username, ExpiresAt: c.ExpiresAt, CreatedAt: c.CreatedAt}
}

func (a *API) listCheckouts(ctx context.Context, actor pam.Actor, in *struct {
	Page
	SafeID    string `query:"safe_id" maxLength:"64"`
	AccountID string `query:"account_id" maxLength:"64"`
},
) (*listOf[v1.Checkout], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Checkouts.List(ctx, actor, checkout.Query{Safe: pam.SafeID(in.SafeID), Account: pam.AccountID(in.AccountID), After: pam.CheckoutID(after), Limit: in.limit() + 1})
	if err != nil {
		return nil, err
	}
	return newList("/checkouts", given("safe_id", in.SafeID, "account_id", in.AccountID), in.Page, rows, checkout.Checkout.Cursor, checkoutOf), nil
}

// given keeps the filters that were asked for, for the link to the next page.
func given(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func (a *API) getCheckout(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Checkout], error) {
	c, err := a.Checkouts.ByID(ctx, actor, pam.CheckoutID(in.ID))
	return reply(checkoutOf(c), err)
}

func (a *API) postCheckout(ctx context.Context, actor pam.Actor, in *withBody[v1.CheckoutIn]) (*answer[v1.Checkout], error) {
	r, err := a.Broker.CheckOut(ctx, actor, broker.CheckOutWant{Safe: in.Body.SafeID, Account: in.Body.AccountID, Reason: in.Body.Reason})
	if err != nil {
		return nil, err
	}
	defer r.Value.Wipe()
	out := checkoutOf(r.Checkout)
	out.Kind, out.Value = string(r.Kind), string(r.Value.Expose())
	return &answer[v1.Checkout]{out}, nil
}

func (a *API) checkIn(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Checkout], error) {
	c, err := a.Checkouts.CheckIn(ctx, actor, pam.CheckoutID(in.ID))
	return reply(checkoutOf(c), err)
}

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
