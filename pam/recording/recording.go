// Package recording owns the body of a session: what was shown and typed,
// written as it happens, compressed, encrypted with a key of its own, chained,
// signed at the end, and read back with proof that it was not altered. The
// format is docs/formats/recording.md.
//
// It must not know who may launch a session, how a protocol moves its bytes,
// nor where blobs and rows are kept. Start at [Service.Start] and [Writer] for
// writing, [Service.WriteAsciicast] and [Service.Verify] for reading, and
// format.go for the bytes.
package recording

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Status is where a recording is in its life.
type Status string

// The statuses. A recording in progress whose writer died is completed by
// [Service.RecoverAll]; an error is final and nothing of it is deleted.
const (
	InProgress Status = "in_progress"
	Completed  Status = "completed"
	Errored    Status = "error"
)

// FormatAsciicast is the export format of terminal sessions.
const FormatAsciicast = "asciicast"

// Recording is the row: what is known of a recording without opening it.
type Recording struct {
	ID            pam.RecordingID
	Org           pam.OrgID
	SessionID     pam.SessionID
	SafeID        pam.SafeID
	UserID        pam.UserID
	ResourceID    pam.ResourceID
	AccountID     pam.AccountID
	Protocol      pam.Protocol
	Status        Status
	Format        string // FormatAsciicast
	RetentionDays int    // the organization's setting when the session began
	DurationMS    int64
	SizeBytes     int64  // of the stored blob
	RootHash      string // lower-case hex; "" until sealed
	Signature     []byte // ed25519, 64 bytes; nil until sealed
	PublicKey     []byte // 32 bytes; nil until sealed
	Recovered     bool   // sealed after its writer had died
	Problem       string // why the status is error
	StartedAt     time.Time
	EndedAt       time.Time // zero while in progress
	ExpiresAt     time.Time // zero while in progress
}

// Seal is how a recording ended: what [Store.Complete] writes into the row.
type Seal struct {
	Root       string // Merkle root over the chunk hashes, lower-case hex
	End        string // hash of the last chunk, lower-case hex
	Chunks     int64
	DurationMS int64
	SizeBytes  int64 // of the blob, the seal included
	Signature  pam.Signature
	Recovered  bool
	EndedAt    time.Time
	ExpiresAt  time.Time
}

// Filter narrows a list. Zero fields do not narrow.
type Filter struct {
	UserID      pam.UserID
	ResourceID  pam.ResourceID
	SafeID      pam.SafeID
	SessionID   pam.SessionID
	Status      Status
	From, Until time.Time // StartedAt in [From, Until)
	MinMS       int64     // DurationMS at least
	MaxMS       int64     // DurationMS at most
	Visible     *Visible  // what the actor may see; nil: all of the organization
	Before      pam.RecordingID
	Limit       int // 0: 50
}

// Visible limits a list to recordings of the user or of any of the Safes.
type Visible struct {
	User  pam.UserID
	Safes []pam.SafeID
}

// Store keeps the rows. The row itself is created by the broker, in the
// transaction that begins the session.
type Store interface {
	// RecordingByID returns an Error of kind NotFound if org has no such row.
	RecordingByID(ctx context.Context, org pam.OrgID, id pam.RecordingID) (Recording, error)
	// ListRecordings returns rows newest first, by descending id, those with an
	// id below f.Before if that is set.
	ListRecordings(ctx context.Context, org pam.OrgID, f Filter) ([]Recording, error)
	// UnsealedRecordings returns every row in progress, of all organizations,
	// oldest first. It exists for recovery alone.
	UnsealedRecordings(ctx context.Context) ([]Recording, error)
	// RecordingKey returns the recording's key as a rotation of keys has sealed
	// it anew; NotFound where the one in the file is still the one that counts.
	RecordingKey(ctx context.Context, org pam.OrgID, id pam.RecordingID) ([]byte, error)
	// CompleteRecording moves the row from in_progress to completed with s, and
	// writes e, in one transaction. A row in another status is a Conflict.
	CompleteRecording(ctx context.Context, org pam.OrgID, id pam.RecordingID, s Seal, e audit.Entry) error
	// FailRecording moves the row from in_progress to error with the reason
	// and endedAt, and writes e, in one transaction. A row in another status
	// is a Conflict.
	FailRecording(ctx context.Context, org pam.OrgID, id pam.RecordingID, reason string, endedAt time.Time, e audit.Entry) error
}

// Access answers what this package cannot know: which Safes an actor manages.
type Access interface {
	// Manages says whether the actor is a manager of the Safe.
	Manages(ctx context.Context, actor pam.Actor, safe pam.SafeID) (bool, error)
	// ManagedSafes lists the Safes of which the actor is a manager.
	ManagedSafes(ctx context.Context, actor pam.Actor) ([]pam.SafeID, error)
}
