package httpapi

import (
	"context"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/checkout"
)

func checkoutOf(c checkout.Checkout) v1.Checkout {
	return v1.Checkout{
		ID: string(c.ID), Status: string(c.Status), SafeID: string(c.Safe), AccountID: string(c.Account), UserID: string(c.User), Username: c.Username, ExpiresAt: c.ExpiresAt, CreatedAt: c.CreatedAt,
		SafeName: c.SafeName, AccountName: c.AccountName, UserName: c.UserName, Reason: c.Reason, Version: c.Version, Exclusive: c.Exclusive, Emergency: c.Emergency,
		Extensions: c.Extensions, SessionID: string(c.Session), CheckedInAt: moment(c.CheckedInAt), CheckedInBy: string(c.CheckedInBy), Cause: string(c.Cause),
	}
}

func (a *API) listCheckouts(ctx context.Context, actor pam.Actor, in *struct {
	Page
	SafeID    string `query:"safe_id" maxLength:"64"`
	AccountID string `query:"account_id" maxLength:"64"`
	UserID    string `query:"user_id" maxLength:"64" doc:"me, or the id of a user"`
	Status    string `query:"status" enum:"checked_out,available,all" doc:"checked_out when absent"`
},
) (*listOf[v1.Checkout], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	of := pam.UserID(in.UserID)
	if of == "me" {
		of = actor.User
	}
	rows, err := a.Checkouts.List(ctx, actor, checkout.Query{Status: checkout.Status(in.Status), Of: of, Safe: pam.SafeID(in.SafeID), Account: pam.AccountID(in.AccountID), After: pam.CheckoutID(after), Limit: in.limit() + 1})
	if err != nil {
		return nil, err
	}
	return newList("/checkouts", given("safe_id", in.SafeID, "account_id", in.AccountID, "user_id", in.UserID, "status", in.Status), in.Page, rows, checkout.Checkout.Cursor, checkoutOf), nil
}

func (a *API) getCheckout(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Checkout], error) {
	c, err := a.Checkouts.ByID(ctx, actor, pam.CheckoutID(in.ID))
	return reply(checkoutOf(c), err)
}

func (a *API) postCheckout(ctx context.Context, actor pam.Actor, in *withBody[v1.CheckoutIn]) (*answer[v1.Checkout], error) {
	r, err := a.Broker.CheckOut(ctx, actor, broker.CheckOutWant{Safe: in.Body.SafeID, Account: in.Body.AccountID, Reason: in.Body.Reason, Session: pam.SessionID(in.Body.SessionID), Emergency: in.Body.Emergency})
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

func (a *API) extendCheckout(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Body *v1.ExtendIn
},
) (*answer[v1.Checkout], error) {
	var after time.Duration
	if in.Body != nil {
		after = time.Duration(in.Body.DurationSeconds) * time.Second
	}
	c, err := a.Broker.Extend(ctx, actor, pam.CheckoutID(in.ID), after)
	return reply(checkoutOf(c), err)
}
