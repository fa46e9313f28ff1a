// Package checkout is a secret revealed to one person for a time.
//
// It owns the states of a checkout and who may end one. It must not open a
// credential: that is the broker's, which stores a Checkout before it reveals
// anything. Start at [Checkout] and [Service].
package checkout

import (
	"context"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Status is where a checkout stands.
type Status string

// The states.
const (
	CheckedOut Status = "checked_out"
	Available  Status = "available"
)

// transitions lists the states that may follow each. A secret that is back
// does not go out again: that is another checkout.
var transitions = map[Status][]Status{
	CheckedOut: {Available},
	Available:  {},
}

// May says whether to may follow s.
func (s Status) May(to Status) bool { return slices.Contains(transitions[s], to) }

// Checkout is one reveal.
type Checkout struct {
	ID          pam.CheckoutID
	Org         pam.OrgID
	Safe        pam.SafeID
	Account     pam.AccountID
	User        pam.UserID
	Username    string // of the account, at the time
	Status      Status
	Version     int64 // of the credential that was revealed
	Reason      string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	CheckedInAt time.Time  // zero: not yet
	CheckedInBy pam.UserID // "" : not yet, or by time
}

// At returns c as it stands at now: a checkout whose time is over is back.
func (c Checkout) At(now time.Time) Checkout {
	if c.Status == CheckedOut && !now.Before(c.ExpiresAt) {
		c.Status, c.CheckedInAt = Available, c.ExpiresAt
	}
	return c
}

// Cursor is the checkout's place in a list, newest first.
func (c Checkout) Cursor() string { return string(c.ID) }

// Query is one page of the checkouts that are out at Now, newest first.
type Query struct {
	User    pam.UserID // with All false: those of User and those of the Safes that User manages
	All     bool
	Safe    pam.SafeID    // "" any
	Account pam.AccountID // "" any
	After   pam.CheckoutID
	Limit   int
	Now     time.Time
}

// Store keeps checkouts. Everything that it changes is durable when it
// returns.
type Store interface {
	// CreateCheckout stores c and its event; the secret is opened after.
	CreateCheckout(ctx context.Context, org pam.OrgID, c Checkout, events ...audit.Entry) error
	CheckoutByID(ctx context.Context, org pam.OrgID, id pam.CheckoutID) (Checkout, error)
	ListCheckouts(ctx context.Context, org pam.OrgID, q Query) ([]Checkout, error)
	// CheckIn ends a checkout that is out; else it is a Conflict.
	CheckIn(ctx context.Context, org pam.OrgID, id pam.CheckoutID, by pam.UserID, at time.Time, e audit.Entry) error
}
