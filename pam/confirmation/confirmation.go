// Package confirmation is a change that waits for a manager's word: a
// redirection, which holds credentials back until then, or a weakening, which
// does not happen until then.
//
// It owns the states and who may decide. It must not know what the change is:
// the store applies it. Start at [Confirmation] and [Service].
package confirmation

import (
	"context"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Kind is what waits.
type Kind string

// The kinds.
const (
	Redirection Kind = "redirection"
	Weakening   Kind = "weakening"
)

// Status is where a confirmation stands.
type Status string

// The states. Superseded means that a later change took its place.
const (
	Pending    Status = "pending"
	Confirmed  Status = "confirmed"
	Rejected   Status = "rejected"
	Superseded Status = "superseded"
)

// transitions lists the states that may follow each. A redirection that was
// rejected goes on holding credentials back; a manager may still change their
// mind. A weakening that was rejected is gone.
var transitions = map[Kind]map[Status][]Status{
	Redirection: {Pending: {Confirmed, Rejected, Superseded}, Rejected: {Confirmed, Superseded}, Confirmed: {}, Superseded: {}},
	Weakening:   {Pending: {Confirmed, Rejected, Superseded}, Rejected: {}, Confirmed: {}, Superseded: {}},
}

// May says whether to may follow s for a confirmation of kind k.
func (k Kind) May(s, to Status) bool { return slices.Contains(transitions[k][s], to) }

// Confirmation is one change that waits for a manager of one Safe.
type Confirmation struct {
	ID          pam.ConfirmationID
	Org         pam.OrgID
	Kind        Kind
	Status      Status
	Safe        pam.SafeID
	Resource    pam.ResourceID // redirection: where credentials would go; "" anywhere
	Account     pam.AccountID  // redirection: whose credential; "" every one of the Safe
	Policy      pam.PolicyID   // weakening: the policy that is to change, instead of the Safe itself
	Dual        bool           // the requester's own word does not count
	Summary     string
	RequestedBy pam.UserID
	CreatedAt   time.Time
	DecidedBy   pam.UserID
	DecidedAt   time.Time // zero: not yet
}

// Target names what the change is about: its type and id.
func (c Confirmation) Target() (kind, id string) {
	switch {
	case c.Policy != "":
		return "policy", string(c.Policy)
	case c.Kind == Weakening:
		return "safe", string(c.Safe)
	case c.Account != "":
		return "account", string(c.Account)
	}
	return "resource", string(c.Resource)
}

// Cursor is the confirmation's place in a list, newest first.
func (c Confirmation) Cursor() string { return string(c.ID) }

// Query is one page, newest first.
type Query struct {
	User   pam.UserID // with All false: those that User requested and those of the Safes that User manages
	All    bool
	Status Status     // "" any
	Safe   pam.SafeID // "" any
	After  pam.ConfirmationID
	Limit  int
	Now    time.Time
}

// Decision is a manager's word.
type Decision struct {
	To Status
	By pam.UserID
	At time.Time
	// NewID names what a confirmed weakening makes wait in its turn: it may
	// bind an account to another resource.
	NewID func() pam.ConfirmationID
	// Last says that nobody else is waited for: the change of a policy happens
	// once a manager of each Safe that it weakens has confirmed.
	Last bool
}

// Part is one Safe that the change of a policy weakens.
type Part struct {
	ID     pam.ConfirmationID
	Safe   pam.SafeID
	Status Status
}

// Store keeps confirmations. Everything that it changes is durable when it
// returns.
type Store interface {
	ConfirmationByID(ctx context.Context, org pam.OrgID, id pam.ConfirmationID) (Confirmation, error)
	ListConfirmations(ctx context.Context, org pam.OrgID, q Query) ([]Confirmation, error)
	// DecideConfirmation moves c from the status that it was read with to the
	// status d.To, and applies a weakening that is confirmed. It is a Conflict
	// if the confirmation, or what it would change, has changed meanwhile, and
	// if d.Last is wrong. A rejection of one part of a change rejects them all.
	DecideConfirmation(ctx context.Context, org pam.OrgID, c Confirmation, d Decision, entries ...audit.Entry) error
	// Parts lists the confirmations that the change of c's policy waits for, c
	// included.
	Parts(ctx context.Context, c Confirmation) ([]Part, error)
	// Redirected says whether the user asked for c, or for a redirection that c
	// took the place of and that nobody has confirmed.
	Redirected(ctx context.Context, c Confirmation, user pam.UserID) (bool, error)
	// RoleOf is that of the Safes.
	RoleOf(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (pam.SafeRole, bool, error)
	// Blocked says whether the credential of the account is held back at the
	// resource, when it is used through the Safe.
	Blocked(ctx context.Context, org pam.OrgID, resource pam.ResourceID, account pam.AccountID, safe pam.SafeID) (bool, error)
}
