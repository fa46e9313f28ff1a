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
)

// Fair is how many leases are worked on at the same time, so that targets that
// hang hold up their own organization at most, and one of them not all of it.
type Fair struct{ All, Org, Resource int }

var fair = Fair{All: 128, Org: 8, Resource: 4}

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
	Creating: {Active, Revoking, Revoked},
	Active:   {Revoking},
	Revoking: {Revoking, Stuck, Revoked},
	Stuck:    {Stuck, Revoking, Revoked},
	Revoked:  {},
}

// May says whether to may follow s.
func (s State) May(to State) bool { return slices.Contains(transitions[s], to) }

// Open says whether the target may have the user.
func (s State) Open() bool { return len(transitions[s]) > 0 }

// ErrMoved is why a user was not dropped whose resource leads elsewhere now.
var ErrMoved = pam.Errorf(pam.Conflict, "drop user at target", "The resource leads elsewhere since the user was made, and there is no such user there. Drop it where it was made, or point the resource back.")

// What is said of a lease beside the kinds of errors.
const (
	moved     = "moved"
	forgotten = "forgotten" // a person said that the user is gone; we have not seen it
)

// Lease is one user at a target.
type Lease struct {
	ID        pam.LeaseID
	Org       pam.OrgID
	Account   pam.AccountID
	Name      string // of the account
	Resource  pam.ResourceID
	Place     string        // where the resource was when the user was made; "": not known
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
	// to be tried again; no more than f of each, and the first of each
	// organization before the second of any.
	DueLeases(ctx context.Context, now time.Time, f Fair) ([]Lease, error)
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
	// CreateUser makes the user. After an error it may be there or not, unless
	// sent is false: then the target did not hear of it.
	CreateUser(ctx context.Context, l Lease, password secret.Value) (sent bool, err error)
	// DropUser returns nil once the target was seen to have no such user, and
	// ErrMoved when it is another one.
	DropUser(ctx context.Context, l Lease) error
	// Users lists those at the lease's resource whose names begin with
	// UserPrefix, whoever made them, and where that is.
	Users(ctx context.Context, a pam.Actor, l Lease) (names []string, place string, err error)
}

// Access answers which Safes an actor manages.
type Access interface {
	Manages(ctx context.Context, actor pam.Actor, safe pam.SafeID) (bool, error)
}
