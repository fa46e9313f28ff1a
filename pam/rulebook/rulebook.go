// Package rulebook is the policies of organizations: conditions and an action,
// kept under a name and assigned to Safes.
//
// It owns their life from draft to disabled, what of a change weakens a Safe,
// and the compiled rules that decisions ask; and it answers what a decision
// would be, and what it would have been. It must not know how a decision is
// made, which is pam/policy, nor how anything is stored. Start at [Policy] and
// [Service]; the broker asks [Books].
package rulebook

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Status is where a policy stands. Only an active one counts.
type Status string

// The states.
const (
	Draft    Status = "draft"
	Active   Status = "active"
	Disabled Status = "disabled"
)

// transitions lists the states that may follow each.
var transitions = map[Status][]Status{Draft: {Active}, Active: {Disabled}, Disabled: {Active}}

// May says whether to may follow s.
func (s Status) May(to Status) bool { return slices.Contains(transitions[s], to) }

// Settings is what a client writes of a policy.
type Settings struct {
	Name        string
	Description string
	Conditions  policy.Conditions
	Action      policy.Effect
	JIT         *policy.JIT // with require_approval alone; nil: one approver
	SafeIDs     []pam.SafeID
}

// Policy is a policy as it stands.
type Policy struct {
	ID  pam.PolicyID
	Org pam.OrgID
	Settings
	Status    Status
	Version   int64 // counts changes, from 1; the object's ETag
	CreatedBy pam.UserID
	CreatedAt time.Time
	UpdatedAt time.Time

	// Pending is set when the change waits for a manager of each Safe that it
	// weakens: the first confirmation that it waits for.
	Pending pam.ConfirmationID
}

// Target is the policy in an audit event.
func (p Policy) Target() audit.Party {
	return audit.Party{Type: "policy", ID: string(p.ID), Name: p.Name}
}

// spec is the policy as far as decisions are concerned.
func (p Policy) spec() policy.Spec {
	s := policy.Spec{ID: p.ID, Name: p.Name, Action: p.Action, Conditions: p.Conditions}
	if p.JIT != nil {
		s.JIT = *p.JIT
	}
	return s
}

// Query is one page, newest first.
type Query struct {
	Status Status     // "": any
	Safe   pam.SafeID // that it is assigned to; "": any
	Text   string     // in the name, without regard to case
	After  pam.PolicyID
	Limit  int
}

// Book is all active policies of an organization, as they were together.
type Book struct {
	Version  int64 // of the organization's policies
	Policies []Policy
}

// Proposal is a change that weakens Safes and waits for their managers.
type Proposal struct {
	Policy  Policy // the state that is proposed
	Delete  bool   // it is to go instead
	Version int64  // of the policy that it was made from
	Book    int64  // the version of the organization's policies that it was judged by
	By      pam.UserID
	At      time.Time
	Wait    []Wait
}

// Wait is one Safe whose manager is to confirm.
type Wait struct {
	ID      pam.ConfirmationID
	Safe    pam.SafeID
	Summary string
}

// Subject is what is known of a user and a Safe, for a question.
type Subject struct {
	Role     pam.Role     // in the organization; "": no active member
	SafeRole pam.SafeRole // in the Safe; "" without one
	Safe     policy.Controls
	SafeName string
	Targets  []Target
	Groups   []pam.GroupID
	Grants   []policy.Grant
}

// Target is what a Safe grants access to.
type Target struct {
	Resource pam.ResourceID
	Account  pam.AccountID
	Type     pam.Protocol
}

// Attempt is a session, a checkout or a refusal of the past.
type Attempt struct {
	Action policy.Action
	User   pam.UserID
	Safe   pam.SafeID
	Type   pam.Protocol // of a session; "" where it is not on record
	From   netip.Addr
	At     time.Time
}

// Store keeps policies. Everything that it changes is durable when it returns.
// A change names the version of the organization's policies that it was judged
// by; if another one came in between, it is a Conflict that wraps [ErrOutrun].
type Store interface {
	PolicyByID(ctx context.Context, org pam.OrgID, id pam.PolicyID) (Policy, error)
	ListPolicies(ctx context.Context, org pam.OrgID, q Query) ([]Policy, error)
	// PolicyBook reads the active policies, and PolicyBookVersion how often any
	// policy has changed.
	PolicyBook(ctx context.Context, org pam.OrgID) (Book, error)
	PolicyBookVersion(ctx context.Context, org pam.OrgID) (int64, error)
	CreatePolicy(ctx context.Context, org pam.OrgID, p Policy, entries ...audit.Entry) error
	// UpdatePolicy replaces what the policy is, its status and its Safes, if it
	// still has version; else it is a Precondition.
	UpdatePolicy(ctx context.Context, org pam.OrgID, p Policy, version, book int64, entries ...audit.Entry) error
	DeletePolicy(ctx context.Context, org pam.OrgID, id pam.PolicyID, version, book int64, entries ...audit.Entry) error
	// ProposePolicy keeps a weakening until all its confirmations are there, in
	// place of an earlier one of the same policy.
	ProposePolicy(ctx context.Context, org pam.OrgID, p Proposal, e audit.Entry) error
	// Subject reads what is known of the user and the Safe. NotFound: there is
	// no such Safe.
	Subject(ctx context.Context, org pam.OrgID, safe pam.SafeID, user pam.UserID, now time.Time) (Subject, error)
	// Attempts lists what was tried at the Safes since then, newest first.
	Attempts(ctx context.Context, org pam.OrgID, safes []pam.SafeID, since time.Time, limit int) ([]Attempt, error)
	// Labels names objects, for people.
	Labels(ctx context.Context, org pam.OrgID, ids []string) (map[string]string, error)
}
