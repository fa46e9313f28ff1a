// Package request is access that is asked for and that other people decide on:
// requests, and the grants that they become.
//
// It owns who may ask, who may decide and when that is complete, how long a
// request waits and a grant holds. It must not know what a launch is, nor how
// anything is stored: a grant is a fact that pam/policy reads. Start at
// [Request], [Grant] and [Service.Decide].
package request

import (
	"context"
	"errors"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Status says where a request stands.
type Status string

// The states. Only a pending request changes.
const (
	Pending   Status = "pending"
	Approved  Status = "approved"
	Rejected  Status = "rejected"
	Expired   Status = "expired" // nobody decided in time
	Cancelled Status = "cancelled"
)

// GrantStatus says whether a grant still gives access.
type GrantStatus string

// The states. Used: it was bound to a command, which has run.
const (
	Active  GrantStatus = "active"
	Used    GrantStatus = "used"
	Ended   GrantStatus = "ended"
	Revoked GrantStatus = "revoked"
)

// Limits.
const (
	MinDuration = time.Minute
	MaxDuration = 7 * 24 * time.Hour
	MaxText     = 1_000 // runes of a reason or a comment
	MaxTicket   = 64    // runes
	MaxCommand  = 4_096 // bytes
	MaxPending  = 100   // requests of one person at a time
)

// Ask is what somebody asks for.
type Ask struct {
	Safe     pam.SafeID
	Reason   string
	Ticket   string
	Duration time.Duration
	// Command is the only one that the grant is to allow, once; "" for any
	// session.
	Command string
}

// Request is access that somebody asks for.
type Request struct {
	ID  pam.RequestID
	Org pam.OrgID
	Ask
	User      pam.UserID
	Email     string
	SafeName  string
	Status    Status
	Approvers int       // how many different people must agree
	CreatedAt time.Time // and decided at, or over since
	ExpiresAt time.Time // nobody decides on it afterwards
	EndedAt   time.Time
	Decisions []Decision
	Granted   time.Duration // once approved; at most Duration
	Grant     pam.GrantID

	// Mine says that the actor may decide on it now. Set by Service.
	Mine bool
}

// Target is the request in an audit event.
func (r Request) target() audit.Party {
	return audit.Party{Type: "access_request", ID: string(r.ID), Name: r.SafeName}
}

// Decision is what one person said.
type Decision struct {
	User    pam.UserID
	Email   string
	Approve bool
	Comment string
	// Duration is the longest that they agree to.
	Duration time.Duration
	At       time.Time
}

// Grant is access for a time, on the word of others.
type Grant struct {
	ID        pam.GrantID
	Org       pam.OrgID
	Request   pam.RequestID
	User      pam.UserID
	Email     string
	Safe      pam.SafeID
	SafeName  string
	Approvers int // how many have agreed
	Starts    time.Time
	Ends      time.Time
	Command   string // the hash of the only command; "" for any session
	Status    GrantStatus
	EndedAt   time.Time
	EndedBy   pam.UserID // who revoked it
}

// At is the grant as it stands at a time: one whose time is over has ended,
// whether or not that is on record yet.
func (g Grant) At(now time.Time) Grant {
	if g.Status == Active && !now.Before(g.Ends) {
		g.Status, g.EndedAt = Ended, g.Ends
	}
	return g
}

// Query is one page of requests, newest first.
type Query struct {
	Status Status
	Safe   pam.SafeID
	User   pam.UserID
	// Visible narrows to those of a user and of Safes; nil: all.
	Visible *Visible
	After   pam.RequestID
	Limit   int
}

// GrantQuery is one page of grants, newest first.
type GrantQuery struct {
	Status  GrantStatus
	Safe    pam.SafeID
	User    pam.UserID
	Visible *Visible
	After   pam.GrantID
	Limit   int
	Now     time.Time
}

// Visible is what somebody sees who does not oversee everything.
type Visible struct {
	User  pam.UserID
	Safes []pam.SafeID
}

// Facts is what is known of a person and a Safe.
type Facts struct {
	SafeName string
	Timeout  time.Duration // of requests in the organization
	// Question is asked with an action of its own; what is to be shown at the
	// door does not matter.
	Question policy.Question
}

// Access reads what a request rests on. NotFound: there is no such Safe.
type Access interface {
	Facts(ctx context.Context, org pam.OrgID, user pam.UserID, safe pam.SafeID, now time.Time) (Facts, error)
}

// ErrOutrun is in a Conflict when somebody else decided meanwhile.
var ErrOutrun = errors.New("outrun by another decision")

// Store keeps requests and grants. Everything that it changes is durable when
// it returns.
type Store interface {
	// CreateRequest stores a request. One that the same person has pending for
	// the same Safe and command is a Conflict.
	CreateRequest(ctx context.Context, org pam.OrgID, r Request, letters []pam.Outgoing, e audit.Entry) error
	// RequestByID returns a request with its decisions.
	RequestByID(ctx context.Context, org pam.OrgID, id pam.RequestID) (Request, error)
	// ListRequests returns requests with their decisions.
	ListRequests(ctx context.Context, org pam.OrgID, q Query) ([]Request, error)
	// DecideRequest keeps a decision about a pending request that has as many
	// as r had without it; else it is a Conflict with ErrOutrun. r is the
	// request as it then stands, with the grant if there is one now.
	DecideRequest(ctx context.Context, org pam.OrgID, r Request, d Decision, g *Grant, letters []pam.Outgoing, entries ...audit.Entry) error
	// EndRequest ends a pending request without a decision; else it is a
	// Conflict.
	EndRequest(ctx context.Context, org pam.OrgID, r Request, e audit.Entry) error
	// DueRequests lists pending requests of all organizations whose time is
	// over.
	DueRequests(ctx context.Context, now time.Time, limit int) ([]Request, error)

	GrantByID(ctx context.Context, org pam.OrgID, id pam.GrantID) (Grant, error)
	ListGrants(ctx context.Context, org pam.OrgID, q GrantQuery) ([]Grant, error)
	// EndGrant ends an active grant; else it is a Conflict.
	EndGrant(ctx context.Context, org pam.OrgID, g Grant, e audit.Entry) error
	DueGrants(ctx context.Context, now time.Time, limit int) ([]Grant, error)

	// Approvers lists who may decide on requests for the Safe now, at most
	// limit.
	Approvers(ctx context.Context, org pam.OrgID, id pam.SafeID, now time.Time, limit int) ([]Person, error)
	// SafesAs lists the Safes in which user has a role that includes one of
	// these.
	SafesAs(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time, roles ...pam.SafeRole) ([]pam.SafeID, error)
	RoleOf(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (pam.SafeRole, bool, error)
	ActiveRole(ctx context.Context, org pam.OrgID, user pam.UserID) (pam.Role, bool, error)
}

// Person is somebody to write to.
type Person struct {
	User     pam.UserID
	Email    string
	Language string
}
