package audit

import (
	"context"
	"errors"
	"time"

	"vaultpam/pam"
)

// errAltered says that what is kept is not what was written.
var errAltered = errors.New("the log was altered")

// Store keeps the logs. Events get into it with the change that they report,
// in the same transaction; Append is for those that report no change.
type Store interface {
	Append(ctx context.Context, org pam.OrgID, entries ...Entry) error
	// Sync waits until everything committed before the call has its place.
	Sync(ctx context.Context, org pam.OrgID) error
	// Size is the number of events that have their place.
	Size(ctx context.Context, org pam.OrgID) (int64, error)
	// Hashes reads the kept hashes [from, to) of a level, as HashReader does.
	Hashes(ctx context.Context, org pam.OrgID, level int, from, to int64) ([]Hash, error)
	// List returns events, newest first. A search for a text looks at
	// [MaxSearched] events and no more.
	List(ctx context.Context, org pam.OrgID, f Filter) ([]Event, error)
	// Event returns one event, or NotFound.
	Event(ctx context.Context, org pam.OrgID, id pam.EventID) (Event, error)
	// SearchEnd returns the last event that a search looks at, when there may be
	// more: the cursor with which it goes on; else "".
	SearchEnd(ctx context.Context, org pam.OrgID, f Filter) (pam.EventID, error)
	// Range calls fn for the events [from, to) in the order of the log, with
	// the bytes that were hashed.
	Range(ctx context.Context, org pam.OrgID, from, to int64, fn func(leaf int64, canonical []byte, hash Hash) error) error
	// Bounds returns the leaves [from, to) of the events in a span of time;
	// a zero time is open.
	Bounds(ctx context.Context, org pam.OrgID, from, to time.Time) (first, end int64, err error)
	AddCheckpoint(ctx context.Context, org pam.OrgID, c Checkpoint) error
	// Checkpoints returns all checkpoints that were added, oldest first.
	Checkpoints(ctx context.Context, org pam.OrgID) ([]Checkpoint, error)
	// LastCheckpoint returns the newest one; ok is false when there is none.
	LastCheckpoint(ctx context.Context, org pam.OrgID) (c Checkpoint, ok bool, err error)
}

// Filter chooses events. Empty fields choose all.
type Filter struct {
	Type     Type
	Category string
	ActorID  string
	TargetID string
	SourceIP string
	Text     string      // anywhere in the event's JSON, without regard to case
	From, To time.Time   // [From, To)
	Before   pam.EventID // only events older than this one: the cursor
	Limit    int
}

// MaxSearched is how many events one page of a search for a text looks at.
const MaxSearched = 10_000

// Checkpoint is a signed statement of a log's size and root.
type Checkpoint struct {
	Size int64
	Root Hash
	Note string // as golang.org/x/mod/sumdb/note reads it
	Time time.Time
}
