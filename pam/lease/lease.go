// Package lease is users at targets that are made for one checkout and are to be
// gone afterwards, whatever happens meanwhile.
//
// It owns the states of a lease, when a user is dropped, how often that is
// tried, and which users that nobody remembers are ours. It must not know a database or open a secret: that is its [Door], which
// the broker satisfies. Start at [Lease]; [Service.RevokeDue] does the work,
// [Service.SweepAll] finds what is left over.
package lease

import (
	"context"
	"slices"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
)

// Limits.
const (
	maxOpen     = 1000             // of an organization
	creatingFor = 90 * time.Second // after which whoever makes the user is dead
	workFor     = 60 * time.Second // on one revocation; then another may take it
	stuckAfter  = 8                // attempts
	longest     = time.Hour        // between attempts
	atOnce      = 32               // leases that are worked on in one turn
)

// State is how far a lease is.
type State string

// The states. While creating, the target may have the user or not.
const (
	Creating State = "creating"
	Active   State = "active"
	Revoking State = "revoking"
	Stuck    State = "stuck" // it is still tried, and somebody should look
	Revoked  State = "revoked"
)

var transitions = map[State][]State{
	Creating: {Active, Revoking},
	Active:   {Revoking},
	Revoking: {Revoking, Stuck, Revoked},
	Stuck:    {Stuck, Revoking, Revoked},
	Revoked:  {},
}

// May says whether to may follow s.
func (s State) May(to State) bool { return slices.Contains(transitions[s], to) }

// Open says whether the target may have the user.
func (s State) Open() bool { return len(transitions[s]) > 0 }

// Lease is one user at a target.
type Lease struct {
	ID        pam.LeaseID
	Org       pam.OrgID
	Account   pam.AccountID
	Name      string // of the account
	Resource  pam.ResourceID
	Admin     pam.AccountID // makes and drops the user
	Safe      pam.SafeID
	User      pam.UserID // who has it
	Checkout  pam.CheckoutID
	Username  string // at the target
	Spec      account.Ephemeral
	State     State
	Attempts  int
	Problem   string // of the last attempt
	CreatedAt time.Time
	ExpiresAt time.Time
	UpdatedAt time.Time
	NextAt    time.Time // when it is looked at again
	Fence     int64     // counts who worked on it
}

// Cursor is the lease's place in a list.
func (l Lease) Cursor() string { return string(l.ID) }

// Query is a page of leases, newest first.
type Query struct {
	User  pam.UserID // with All false: their own, and those of Safes that they manage
	All   bool
	State State // "": any
	Open  bool
	After pam.LeaseID
	Limit int
	Now   time.Time
}

// Store keeps leases. *store.DB satisfies it.
type Store interface {
	// CreateLease is TooMany when the organization has limit open ones, and a
	// Conflict when one of them is of that user.
	CreateLease(ctx context.Context, org pam.OrgID, l Lease, limit int, e audit.Entry) error
	LeaseByID(ctx context.Context, org pam.OrgID, id pam.LeaseID) (Lease, error)
	ListLeases(ctx context.Context, org pam.OrgID, q Query) ([]Lease, error)
	// AdvanceLease writes what changes of l, one fence further; a Conflict if
	// it is not in from, or somebody else has worked on it.
	AdvanceLease(ctx context.Context, org pam.OrgID, l Lease, from State, events ...audit.Entry) error
	// DueLeases lists, of all organizations, those to be revoked: whose time is
	// over, whose checkout is over or whose account is gone, and those that are
	// to be tried again.
	DueLeases(ctx context.Context, now time.Time, limit int) ([]Lease, error)
	// MakingAccounts lists, of all organizations, accounts of which users may be
	// made, by id.
	MakingAccounts(ctx context.Context, after pam.AccountID, limit int) ([]Making, error)
	// LeasePlaces lists where users of the account are made: what a lease has of
	// its place. NotFound if there is no such account.
	LeasePlaces(ctx context.Context, org pam.OrgID, id pam.AccountID) ([]Lease, error)
	// LeasedNames lists the names of users of open leases.
	LeasedNames(ctx context.Context, org pam.OrgID) ([]string, error)
}

// Door reaches targets. *broker.Broker satisfies it.
type Door interface {
	// CreateUser makes the user. After an error it may be there or not.
	CreateUser(ctx context.Context, l Lease, password secret.Value) error
	// DropUser returns nil once the target was seen to have no such user.
	DropUser(ctx context.Context, l Lease) error
	// Users lists those at the lease's resource whose names begin with
	// UserPrefix, whoever made them.
	Users(ctx context.Context, a pam.Actor, l Lease) ([]string, error)
}

// Access answers which Safes an actor manages.
type Access interface {
	Manages(ctx context.Context, actor pam.Actor, safe pam.SafeID) (bool, error)
}
