// Package rotation changes the credentials of accounts where they live, and
// knows at every moment which version logs in.
//
// It owns the states of a rotation, what brings one about, when it is tried
// again and when a person is asked, and the health of credentials. It must not
// open a secret or speak to a target: that is its [Door], which the broker
// satisfies. Start at [Rotation]; [Service.Run] does the work, advance.go has
// the steps.
package rotation

import (
	"context"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Trigger is what brought a rotation about.
type Trigger string

// The triggers. An upload is a value that was changed elsewhere: it is only
// verified.
const (
	Manual       Trigger = "manual"
	Upload       Trigger = "upload"
	Scheduled    Trigger = "schedule"
	AfterSession Trigger = "after_session"
	AfterCheckIn Trigger = "after_check_in"
	BreakGlass   Trigger = "break_glass"
)

// State is how far a rotation is.
type State string

// The states. From applying to applied nobody knows which version logs in, and
// nobody gets either. Of stuck a person has to take care.
const (
	Queued    State = "queued"    // nothing has happened yet
	Kept      State = "stored"    // the new value is in the vault, the target has not heard of it
	Applying  State = "applying"  // the target may have taken it, or not
	Applied   State = "applied"   // the target said that it took it
	Verified  State = "verified"  // it was seen to log in
	Spreading State = "spreading" // the earlier one was seen not to, the new one is promoted; copies are brought up to date
	Done      State = "done"
	Failed    State = "failed" // the earlier version is the one that logs in
	Stuck     State = "stuck"
	Cancelled State = "cancelled" // somebody has stored or promoted a version by hand
)

// transitions lists the states that may follow each. To itself a state
// returns when it is tried again later.
var transitions = map[State][]State{
	Queued:    {Kept, Failed, Cancelled},
	Kept:      {Applying, Verified, Failed, Cancelled},
	Applying:  {Kept, Applied, Verified, Failed, Stuck},
	Applied:   {Verified, Failed, Stuck},
	Verified:  {Spreading, Done, Stuck},
	Spreading: {Done},
	Stuck:     {Applying, Verified, Cancelled},
	Done:      {}, Failed: {}, Cancelled: {},
}

// May says whether to may follow s.
func (s State) May(to State) bool { return slices.Contains(transitions[s], to) }

// Open says whether the rotation is not over.
func (s State) Open() bool { return len(transitions[s]) > 0 }

// Rotation is one change of one account's credential.
type Rotation struct {
	ID       pam.RotationID
	Org      pam.OrgID
	Account  pam.AccountID
	Name     string         // of the account, as the store joined it
	Resource pam.ResourceID // where it is changed; "" before that was looked up
	Trigger  Trigger
	State    State
	Old      int64 // the version that was known to log in; 0: none
	Next     int64 // the version that is to take its place; 0 before there is one
	Attempts int   // in this state, so far
	Problem  string
	Repaired bool        // the reconcile account had to help
	Pending  []Dependent // copies that are still to be brought up to date
	By       pam.UserID  // "": the server itself

	CreatedAt time.Time
	UpdatedAt time.Time
	EndedAt   time.Time // zero: not over
	NextAt    time.Time // when it goes on

	// Fence counts who took this rotation on: whoever lost it to another node
	// cannot write any more.
	Fence int64
}

// Push says whether the target is told, not only asked.
func (r Rotation) Push() bool { return r.Trigger != Upload }

// Cursor is the rotation's place in a list, newest first.
func (r Rotation) Cursor() string { return string(r.ID) }

// Working says what becomes of the version that is known to log in.
type Working int64

// Unknown is that no version is known to; any other number is the version.
const Unknown Working = 0

// Candidate is a sealed value on its way into the vault.
type Candidate struct {
	Version   int64
	Kind      string
	Sealed    []byte
	PublicKey string
	Public    string    // the rest of its public half, as the account keeps it
	NotAfter  time.Time // zero: it does not expire
	Weak      string    // why it is weak
}

// Query is one page of rotations, newest first.
type Query struct {
	Account pam.AccountID // "" any
	State   State         // "" any
	Open    bool          // those that are not over
	User    pam.UserID    // with All false: those of accounts in Safes that User manages
	All     bool
	After   pam.RotationID
	Limit   int
	Now     time.Time
}

// Due asks for a rotation.
type Due struct {
	Org     pam.OrgID
	Account pam.AccountID
	Trigger Trigger
	At      time.Time
}

// Step is what is written of a rotation. Everything is written if the rotation
// is in state From and Fence is its own, else nothing is and it is a Conflict.
type Step struct {
	From      State
	Next      Rotation
	Working   *Working   // nil: as it was
	Candidate *Candidate // a new version
	Promote   bool       // Next.Next becomes the promoted version
	Reject    bool       // Next.Next turned out not to be the one
	Lease     time.Time  // until when the node works on
	// NotBefore is when the schedule may want the account again; zero: as ever.
	NotBefore time.Time
	// Again is when what brought this rotation about asks once more; zero: not.
	Again time.Time
	// Letters leave with the step.
	Letters []pam.Outgoing
}

// Store keeps rotations. Everything that it changes is durable when it
// returns.
type Store interface {
	// CreateRotation stores r. It is a Conflict while another one of the
	// account is open. With c it begins with a version in the vault. With due
	// it takes the place of what was due for the account.
	CreateRotation(ctx context.Context, org pam.OrgID, r Rotation, c *Candidate, due bool, letters []pam.Outgoing, e audit.Entry) error
	RotationByID(ctx context.Context, org pam.OrgID, id pam.RotationID) (Rotation, error)
	ListRotations(ctx context.Context, org pam.OrgID, q Query) ([]Rotation, error)
	// ClaimRotations gives up to limit rotations, whose turn it is at now and
	// that nobody works on, to node until lease. Nobody works on what another
	// node has claimed that did not say since silent that it lives.
	ClaimRotations(ctx context.Context, node string, now, silent, lease time.Time, limit int) ([]Rotation, error)
	// Advance writes a step.
	Advance(ctx context.Context, org pam.OrgID, s Step, events ...audit.Entry) error
	// DueRotations lists what is due at now: what events asked for, then
	// accounts whose credential is older than the shortest interval of the
	// Safes that bind them. Accounts with an open rotation are left out.
	DueRotations(ctx context.Context, now time.Time, limit int) ([]Due, error)
	// PutOff notes that nothing comes of what is due for the account before at.
	PutOff(ctx context.Context, org pam.OrgID, id pam.AccountID, at time.Time) error
	// DropDue forgets what events asked for the account.
	DropDue(ctx context.Context, org pam.OrgID, id pam.AccountID) error

	RotationSettings(ctx context.Context, org pam.OrgID, id pam.AccountID) (Settings, error)
	SetRotationSettings(ctx context.Context, org pam.OrgID, id pam.AccountID, s Settings, at time.Time, e audit.Entry) error
	HealthStore
}

// Facts is what a rotation needs to know of its account.
type Facts struct {
	Name     string
	Resource pam.ResourceID // where the credential is changed
	Kind     string         // of the promoted version
	Promoted int64          // 0: there is none
	Working  int64
	Newest   int64 // the highest version that there is
}

// rotatable says why there is nothing to be rotated, nil if there is.
func (f Facts) rotatable() error {
	switch f.Kind {
	case "":
		return pam.Errorf(pam.Conflict, "", "The account has no credential yet.")
	case "ephemeral":
		return pam.Errorf(pam.Conflict, "", "The account has no stored secret: a new one is made at each launch.")
	}
	return nil
}

// Subject is what is rotated, for the Door.
type Subject struct {
	Rotation pam.RotationID
	Org      pam.OrgID
	Account  pam.AccountID
	Resource pam.ResourceID
	Settings Settings
}

// Change is what a target is told: that version Next takes the place of Old.
type Change struct {
	Old, Next int64
	// By is the reconcile account, which acts for the account; "": the account
	// itself does, with Old.
	By pam.AccountID
}

// Door is how targets are reached. *broker.Broker satisfies it. Each method
// that opens a secret has its event durable first. Of errors, the kind
// TargetAuthFailed says that the target refused the login: that and nothing
// else means that a version does not log in. TargetRefused says that it let
// in, but did not take the change. Anything else leaves it open.
type Door interface {
	// Facts finds the account and where its credential is changed. It is
	// Invalid or a Conflict, with a sentence, where there is no such place, and
	// NotFound without the account.
	Facts(ctx context.Context, org pam.OrgID, id pam.AccountID, s Settings) (Facts, error)
	// Manages says whether the actor may do the action to the account's
	// credential: NotFound or Denied.
	Manages(ctx context.Context, a pam.Actor, id pam.AccountID) error
	// Admits says whether the actor may have the account rotated as s says,
	// with the accounts and resources that it names.
	Admits(ctx context.Context, a pam.Actor, id pam.AccountID, s Settings) error
	// Generate makes version n, of the kind that the account's credential has.
	Generate(ctx context.Context, s Subject, kind string, n int64) (Candidate, error)
	// Try logs in with a version by a new connection, and out again.
	Try(ctx context.Context, s Subject, version int64) error
	// Apply tells the target. touched says whether it may have heard.
	Apply(ctx context.Context, s Subject, c Change) (touched bool, err error)
	// Retire takes away what still lets the old version in beside the new one,
	// logged in with the new one.
	Retire(ctx context.Context, s Subject, c Change) error
	// Spread brings one copy up to date.
	Spread(ctx context.Context, s Subject, d Dependent, version int64) error
}
