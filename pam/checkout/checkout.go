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
	// Every is no state: in a Query it asks for both.
	Every Status = "all"
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
	CheckedInBy pam.UserID // "" : not yet, or by nobody
	Cause       Cause      // of the check-in; "" : not yet

	Exclusive  bool          // nobody else may have the account's secret meanwhile
	Emergency  bool          // by break-glass
	Extensions int           // how often its time was extended
	Session    pam.SessionID // with whose end it ends; "" none
	Grant      pam.GrantID   // with whose end it ends; "" none
	ClientIP   string        // that it was asked for from; "" not known
	// As the store joined them, "" for what is gone: for lists.
	SafeName, AccountName, UserName string
}

// MaxExtensions is how often the time of one checkout is extended.
const MaxExtensions = 3

// Cause is what ended a checkout.
type Cause string

// The causes.
const (
	ByHolder        Cause = "by_holder"
	Forced          Cause = "forced" // by a manager or an administrator
	TimeOver        Cause = "timeout"
	SessionEnded    Cause = "session_ended"
	GrantEnded      Cause = "grant_ended"
	MembershipEnded Cause = "membership_ended" // of the organization
	AccessRemoved   Cause = "access_removed"   // to the Safe
	BindingRemoved  Cause = "binding_removed"  // or the Safe itself
	SafeLocked      Cause = "safe_locked"
	NotOpened       Cause = "not_opened" // nothing was revealed

	SwitchedOff       Cause = "checkout_off"       // the Safe's checkouts
	HoursOver         Cause = "hours_over"         // the Safe's valid hours
	CredentialExpired Cause = "credential_expired" // the time for which the Safe's credentials may be used
	PolicyDenied      Cause = "policy_denied"
	ApprovalNeeded    Cause = "approval_needed"    // and there is none
	Unconfirmed       Cause = "access_unconfirmed" // nobody could tell any more whether it may go on
)

// Due is a checkout that is to end, and why.
type Due struct {
	Checkout
	Why Cause
}

// At returns c as it stands at now: a checkout whose time is over is back.
func (c Checkout) At(now time.Time) Checkout {
	if c.Status == CheckedOut && !now.Before(c.ExpiresAt) {
		c.Status, c.CheckedInAt, c.Cause = Available, c.ExpiresAt, TimeOver
	}
	return c
}

// Cursor is the checkout's place in a list, newest first.
func (c Checkout) Cursor() string { return string(c.ID) }

// Query is one page of checkouts, newest first.
type Query struct {
	Status  Status     // "" and CheckedOut: those that are out at Now; Available: the others; Every
	Of      pam.UserID // "" any
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
	// CreateCheckout stores c and its event; the secret is opened after. It is a
	// Conflict if the secret is out and one of the two is exclusive.
	CreateCheckout(ctx context.Context, org pam.OrgID, c Checkout, letters []pam.Outgoing, events ...audit.Entry) error
	CheckoutByID(ctx context.Context, org pam.OrgID, id pam.CheckoutID) (Checkout, error)
	ListCheckouts(ctx context.Context, org pam.OrgID, q Query) ([]Checkout, error)
	// CheckIn ends a checkout that is out; else it is a Conflict. What is to
	// follow for the credential is asked for in the same transaction.
	CheckIn(ctx context.Context, org pam.OrgID, id pam.CheckoutID, by pam.UserID, why Cause, at time.Time, e audit.Entry) error
	// ExtendCheckout sets the end of a checkout that is out and was extended so
	// often as c says; else it is a Conflict.
	ExtendCheckout(ctx context.Context, org pam.OrgID, c Checkout, until time.Time, e audit.Entry) error
	// DueCheckouts lists checkouts of all organizations whose time is over, or
	// whose session.
	DueCheckouts(ctx context.Context, now time.Time, limit int) ([]Due, error)
}
