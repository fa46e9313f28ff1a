package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/checkout"
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
