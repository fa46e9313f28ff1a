package review

import (
	"context"
	"errors"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Status says whether a review still takes decisions.
type Status string

// The states.
const (
	Open   Status = "open"
	Closed Status = "closed"
)

// Verb is what becomes of access: what somebody decided, or what a review does
// with what nobody decided.
type Verb string

// The verbs. Lapsed: the review was closed before anybody decided.
const (
	Pending Verb = "pending"
	Keep    Verb = "keep"
	Revoke  Verb = "revoke"
	Lapsed  Verb = "lapsed"
)

// Outcome is what a decision led to.
type Outcome string

// The outcomes. Gone: it had ended before. LastManager: it stays, because the
// Safe would have no manager left.
const (
	Kept        Outcome = "kept"
	Removed     Outcome = "removed"
	Gone        Outcome = "gone"
	LastManager Outcome = "last_manager"
)

// Kind says what an item of a review is about.
type Kind string

// The kinds: a role in a Safe, of a user or a group; or being in a group that
// has such a role.
const (
	SafeMember  Kind = "safe_member"
	GroupMember Kind = "group_member"
)

// Limits.
const (
	MaxItems     = 20_000 // of one review
	MaxOpen      = 100    // reviews of an organization at a time
	MaxSafes     = 1_000  // that a review names; more: all
	MaxDecisions = 200    // in one call
	MaxComment   = 1_000  // runes
	MaxDuration  = 366 * 24 * time.Hour
)

// Settings is what a review is begun with.
type Settings struct {
	Name     string
	Safes    []pam.SafeID // empty: all
	Groups   bool         // with who is in the groups that have roles
	DueAt    time.Time
	OnExpiry Verb // Keep or Revoke: what becomes of that about which nobody decides
}

// Review asks of each role whether it should stay. What it asks about is fixed
// when it begins.
type Review struct {
	ID  pam.ReviewID
	Org pam.OrgID
	Settings
	Status    Status
	CreatedBy pam.UserID
	CreatedAt time.Time
	ClosedBy  pam.UserID // "": it was over
	ClosedAt  time.Time
	Counts    Counts
}

// Counts is how many items stand where.
type Counts struct{ Total, Pending, Kept, Revoked, Lapsed int }

func (r Review) target() audit.Party {
	return audit.Party{Type: "access_review", ID: string(r.ID), Name: r.Name}
}

// Item is one role, or one person in one group, as it was when the review
// began, and what was decided.
type Item struct {
	ID        pam.ReviewItemID
	Review    pam.ReviewID
	Kind      Kind
	Safe      pam.SafeID // of SafeMember
	SafeName  string
	Member    pam.MemberID
	Group     pam.GroupID // that holds the role, or that the user is in
	GroupName string
	User      pam.UserID // "" where a group holds the role
	Email     string
	Role      pam.SafeRole // when the review began; once decided: when that was
	Now       string       // what is there: the role, "in" for a group, or "" if it has ended
	Since     time.Time
	ExpiresAt time.Time
	LastUsed  time.Time // zero: never; of a user's role in a Safe alone

	Verb      Verb
	Comment   string
	DecidedBy pam.UserID
	Decider   string // their address
	DecidedAt time.Time
	Outcome   Outcome // "" while it is pending

	// Mine says that the actor may decide. Set by Service.
	Mine bool
}

// Query is one page of reviews, newest first.
type Query struct {
	Status Status
	// Managed narrows to those that ask about any of these Safes; nil: all.
	Managed []pam.SafeID
	After   pam.ReviewID
	Limit   int
}

// ItemQuery is one page of a review's items, in the order of their ids.
type ItemQuery struct {
	Verb Verb       // "": any
	Safe pam.SafeID // "": any
	Text string     // in names and addresses, without regard to case
	// Managed narrows to what is about any of these Safes, or about a group
	// that has a role in one; nil: all.
	Managed []pam.SafeID
	After   pam.ReviewItemID
	Limit   int
}

// Ruling is a decision about an item, ready to be kept.
type Ruling struct {
	Item    Item // with what was decided, and what becomes of it
	From    Verb // what was decided before
	Spare   bool // a Safe's last manager is not taken away
	Entries []audit.Entry
}

// ErrOutrun is in a Conflict when something has changed since it was looked at.
var ErrOutrun = errors.New("outrun by another change")

// Store keeps reviews. Everything that it changes is durable when it returns.
type Store interface {
	// Reach returns up to q.Limit rows, and whether more follow. Verdicts are
	// left alone.
	Reach(ctx context.Context, org pam.OrgID, q ReachQuery) (rows []Reach, more bool, err error)

	// BeginReview stores a review with an item for each role that is there
	// now; id makes their ids. None or too many are Invalid.
	BeginReview(ctx context.Context, org pam.OrgID, r Review, id func() pam.ReviewItemID, e audit.Entry) error
	ReviewByID(ctx context.Context, org pam.OrgID, id pam.ReviewID) (Review, error)
	ListReviews(ctx context.Context, org pam.OrgID, q Query) ([]Review, error)
	ReviewItems(ctx context.Context, org pam.OrgID, id pam.ReviewID, q ItemQuery) ([]Item, error)
	// ItemsByID returns items of a review by their ids; NotFound if one is not
	// there.
	ItemsByID(ctx context.Context, org pam.OrgID, id pam.ReviewID, items []pam.ReviewItemID) ([]Item, error)
	// OtherManager says whether a Safe has a manager beside a membership.
	OtherManager(ctx context.Context, org pam.OrgID, id pam.SafeID, member pam.MemberID, now time.Time) (bool, error)
	// Rule keeps decisions together with what they take away. A review that is
	// closed is a Conflict; so is, with ErrOutrun, an item that stands
	// elsewhere by now, or whose role is gone.
	Rule(ctx context.Context, org pam.OrgID, id pam.ReviewID, rulings []Ruling) error
	// CloseReview ends a review; Conflict if something in it is pending.
	CloseReview(ctx context.Context, org pam.OrgID, r Review, e audit.Entry) error
	// DueReviews lists open reviews whose time is over, of all organizations,
	// without counts.
	DueReviews(ctx context.Context, now time.Time, limit int) ([]Review, error)

	RoleOf(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (pam.SafeRole, bool, error)
	ManagedSafes(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time) ([]pam.SafeID, error)
	SafesOfGroup(ctx context.Context, org pam.OrgID, id pam.GroupID) ([]pam.SafeID, error)
}
