// Package session owns the noun Session: one brokered connection, from the
// moment it was allowed until its end is on record.
//
// It must not know how a target is reached, what a protocol's bytes mean, nor
// who may launch; the broker decides that. Start at [Session] and [Service].
package session

import (
	"context"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Status is where a session is in its life.
type Status string

// The statuses. A session is pending from its launch until the target has
// accepted the credential.
const (
	Pending Status = "pending"
	Active  Status = "active"
	Ended   Status = "ended"
	Failed  Status = "failed"
)

// transitions says which status may follow which. Ended and failed are final.
var transitions = map[Status][]Status{
	Pending: {Active, Ended, Failed},
	Active:  {Ended, Failed},
	Ended:   nil,
	Failed:  nil,
}

// CanBecome says whether a session in status s may move to next.
func (s Status) CanBecome(next Status) bool {
	return slices.Contains(transitions[s], next)
}

// Open says whether the session is not over.
func (s Status) Open() bool { return len(transitions[s]) > 0 }

// Limits that hold whatever a Safe says.
const (
	DefaultIdle   = 15 * time.Minute // the organization's idle timeout, if it sets none
	WarnBefore    = time.Minute      // a cut for time is announced so long before
	LaunchPending = 10 * time.Minute // a launch that nobody connects to ends after this
	NodeSilent    = 40 * time.Second // a node that was not heard of for so long is dead
	maxReason     = 256              // runes of a reason
)

// Session is one brokered connection.
type Session struct {
	ID          pam.SessionID
	Org         pam.OrgID
	Status      Status
	Protocol    pam.Protocol
	UserID      pam.UserID
	SafeID      pam.SafeID
	ResourceID  pam.ResourceID
	AccountID   pam.AccountID
	RecordingID pam.RecordingID // "" when the Safe does not record
	Node        string          // the process that serves it; "" while launched and not yet connected
	Reason      string          // what the user gave as the reason for it
	ClientIP    string
	Emergency   bool   // by break-glass
	AuthID      string // the login, token or key that it was opened with; "" for a password
	// Grant is one for a single command, which the session uses up as it
	// begins; it is not kept with the session.
	Grant      pam.GrantID
	BytesIn    int64 // from the client to the target
	BytesOut   int64 // from the target to the client
	StartedAt  time.Time
	ExpiresAt  time.Time
	EndedAt    time.Time // zero while open
	EndReason  string
	KillReason string // somebody asked for its end, with this reason; "" otherwise
}

// End is how a session was over.
type End struct {
	Status   Status // Ended or Failed
	Reason   string
	BytesIn  int64
	BytesOut int64
	At       time.Time
}

// Filter narrows a list. Zero fields do not narrow.
type Filter struct {
	UserID      pam.UserID
	ResourceID  pam.ResourceID
	SafeID      pam.SafeID
	Status      Status
	From, Until time.Time     // StartedAt in [From, Until)
	MinMS       int64         // lasted at least
	MaxMS       int64         // lasted at most
	Visible     *Visible      // what the actor may see; nil: all of the organization
	Before      pam.SessionID // the cursor: the last id of the page before
	Limit       int           // 0: 50
}

// Visible limits a list to sessions of the user or of any of the Safes.
type Visible struct {
	User  pam.UserID
	Safes []pam.SafeID
}

// Store keeps sessions. Their row is created by the broker's store, together
// with the recording's.
type Store interface {
	// SessionByID returns an Error of kind NotFound if org has no such session.
	SessionByID(ctx context.Context, org pam.OrgID, id pam.SessionID) (Session, error)
	// ListSessions returns sessions newest first, by descending id.
	ListSessions(ctx context.Context, org pam.OrgID, f Filter) ([]Session, error)
	// ActivateSession moves a session from pending to active. One in another
	// status is a Conflict.
	ActivateSession(ctx context.Context, org pam.OrgID, id pam.SessionID) error
	// EndSession moves an open session to end.Status and writes e, in one
	// transaction. A session that is over is a Conflict.
	EndSession(ctx context.Context, org pam.OrgID, id pam.SessionID, end End, e audit.Entry) error
	// KillSession notes on an open session that it is to end, writes e, and
	// announces it to every node. A session that is over is a Conflict; the
	// first reason stays.
	KillSession(ctx context.Context, org pam.OrgID, id pam.SessionID, reason string, e audit.Entry) error
	// OrphanedSessions returns the open sessions of all organizations whose
	// node is not self and has not been heard of since the given time, and
	// launches that nobody connected to in time. It exists for recovery alone.
	OrphanedSessions(ctx context.Context, self string, silentSince, now time.Time) ([]Session, error)
	// NodeAlive notes that the node lives.
	NodeAlive(ctx context.Context, node string, at time.Time) error
}

// Access answers what this package cannot know: roles in Safes. The store
// satisfies it.
type Access interface {
	// RoleOf returns the role that user has in the Safe at the time now; false
	// without one.
	RoleOf(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (pam.SafeRole, bool, error)
	// ManagedSafes lists the Safes that user manages at the time now.
	ManagedSafes(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time) ([]pam.SafeID, error)
}
