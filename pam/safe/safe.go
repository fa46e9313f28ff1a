// Package safe is the object that grants access: who may use which account on
// which resource, and under what controls.
//
// It owns the Safe, its members and the rules on binding and weakening. It
// must not know how a Safe is stored or how a session is opened. Start at
// [Safe] and [Service].
package safe

import (
	"context"
	"slices"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Approval says how many people must agree to a launch.
type Approval string

// The kinds of approval.
const (
	ApprovalNone   Approval = "none"
	ApprovalSingle Approval = "single"
	ApprovalDual   Approval = "dual"
)

// Recording says whether sessions are recorded.
type Recording string

// Recording is on unless somebody turned it off.
const (
	RecordingOn  Recording = "on"
	RecordingOff Recording = "off"
)

// FailureMode says what happens to a session whose recording cannot be
// written.
type FailureMode string

// The failure modes: end at once, or after a time of grace.
const (
	FailClosed FailureMode = "closed"
	FailGrace  FailureMode = "grace"
)

// RecordingFailure is a failure mode and its time of grace.
type RecordingFailure struct {
	Mode         FailureMode `json:"mode"`
	GraceSeconds int         `json:"grace_seconds,omitempty"`
}

// Channel says how a channel beside the terminal is treated.
type Channel string

// The treatments, from the strictest to the loosest.
const (
	Blocked Channel = "blocked"
	Audited Channel = "audited"
	Allowed Channel = "allowed"
)

// Visibility says who learns that the Safe exists.
type Visibility string

// A requestable Safe shows its name and description to the organization.
const (
	MembersOnly Visibility = "members"
	Requestable Visibility = "requestable"
)

// Window is a span of the day on some days of the week.
type Window = policy.Window

// ValidHours are the hours in which sessions may run, in an IANA time zone.
type ValidHours = policy.Hours

// Checkout says whether and for how long a secret may be revealed.
type Checkout struct {
	Enabled    bool `json:"enabled"`
	TTLSeconds int  `json:"ttl_seconds"`
	Exclusive  bool `json:"exclusive"`
}

// Rotation says when the credentials of the Safe's accounts rotate.
type Rotation struct {
	IntervalDays int  `json:"interval_days"`
	AfterSession bool `json:"after_session"`
	AfterCheckIn bool `json:"after_check_in"`
}

// BreakGlass says who may go in without an approval in an emergency: nobody,
// unless a manager named them. It names people and no groups, since whoever
// fills a group would name people by it.
type BreakGlass struct {
	UserIDs []pam.UserID `json:"user_ids,omitempty"`
}

// Names says whether user is named.
func (b BreakGlass) Names(user pam.UserID) bool { return slices.Contains(b.UserIDs, user) }

// adds says whether somebody is named in b who was not in old.
func (b BreakGlass) adds(old BreakGlass) bool {
	return slices.ContainsFunc(b.UserIDs, func(u pam.UserID) bool { return !old.Names(u) })
}

// Binding joins a resource and the account that is used there.
type Binding struct {
	ResourceID pam.ResourceID `json:"resource_id"`
	AccountID  pam.AccountID  `json:"account_id"`
}

// Settings is everything that a client writes of a Safe. The tags are the
// form in which the store keeps it.
type Settings struct {
	Name                string           `json:"-"`
	Slug                string           `json:"-"` // "" at creation: from the name
	Description         string           `json:"description,omitempty"`
	Bindings            []Binding        `json:"bindings,omitempty"`
	Approval            Approval         `json:"approval"`
	Recording           Recording        `json:"recording"`
	RecordingFailure    RecordingFailure `json:"recording_failure"`
	Clipboard           Channel          `json:"clipboard"`
	FileTransfer        Channel          `json:"file_transfer"`
	PortForwarding      bool             `json:"port_forwarding,omitempty"`
	AgentForwarding     bool             `json:"agent_forwarding,omitempty"`
	MFAStepUp           bool             `json:"mfa_step_up,omitempty"`
	SessionTTLSeconds   int              `json:"session_ttl_seconds"`
	ValidHours          *ValidHours      `json:"valid_hours,omitempty"`
	Checkout            Checkout         `json:"checkout"`
	Visibility          Visibility       `json:"-"`
	Rotation            Rotation         `json:"rotation"`
	CredentialExpiresAt *time.Time       `json:"credential_expires_at,omitempty"`
	BreakGlass          BreakGlass       `json:"break_glass,omitzero"`
}

// Defaults of a Safe's controls, in seconds.
const (
	DefaultSessionTTL  = 4 * 60 * 60
	DefaultCheckoutTTL = 60 * 60
)

// WithDefaults returns s with every control that is empty set to its default.
func (s Settings) WithDefaults() Settings {
	fill(&s.Approval, ApprovalNone)
	fill(&s.Recording, RecordingOn)
	fill(&s.RecordingFailure.Mode, FailClosed)
	fill(&s.Clipboard, Audited)
	fill(&s.FileTransfer, Audited)
	fill(&s.SessionTTLSeconds, DefaultSessionTTL)
	fill(&s.Checkout.TTLSeconds, DefaultCheckoutTTL)
	fill(&s.Visibility, MembersOnly)
	return s
}

func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Safe is a Safe as it stands.
type Safe struct {
	ID  pam.SafeID
	Org pam.OrgID
	Settings
	Locked    bool
	Version   int64 // counts changes, from 1; the object's ETag
	CreatedBy pam.UserID
	CreatedAt time.Time
	UpdatedAt time.Time

	// Role is that of whoever read the Safe, "" without one.
	Role pam.SafeRole
	// OnlyNamed says that the reader may know the Safe's id, name, slug and
	// description alone, because it is requestable; and its lock and checkout
	// rules, if they are named for its emergencies. The rest is empty.
	OnlyNamed bool
	// Pending is set by Update when the change, or a binding in it, waits for
	// a manager: the first confirmation that it waits for.
	Pending pam.ConfirmationID
}

// Cursor is the Safe's place in a list.
func (s Safe) Cursor() string {
	return naming.Cursor{Key: naming.Key(s.Name), ID: string(s.ID)}.String()
}

// Controls is what the Safe says to a decision on access. Hours that cannot be
// read contain nothing.
func (s Safe) Controls() policy.Controls {
	c := policy.Controls{
		Locked: s.Locked, StepUp: s.MFAStepUp, Checkout: s.Checkout.Enabled, Requestable: s.Visibility == Requestable,
		Approvers: slices.Index(approvals, s.Approval), BreakGlass: s.BreakGlass.UserIDs,
	}
	var err error
	if c.Hours, err = s.ValidHours.Compile(); err != nil {
		c.Hours = &policy.Week{}
	}
	if s.CredentialExpiresAt != nil {
		c.Expires = *s.CredentialExpiresAt
	}
	if c.Approvers < 0 {
		c.Approvers = len(approvals) // nobody knows what was meant: no number of people is enough
	}
	return c
}

// Binds says whether the Safe has this binding.
func (s Safe) Binds(b Binding) bool { return slices.Contains(s.Bindings, b) }

// Member is a role that a user or a group has in a Safe: one of User and Group
// is set.
type Member struct {
	ID        pam.MemberID
	Org       pam.OrgID
	Safe      pam.SafeID
	User      pam.UserID
	Email     string // as the store joined it
	Group     pam.GroupID
	GroupName string // as the store joined it
	Role      pam.SafeRole
	ExpiresAt time.Time // zero: never
	CreatedAt time.Time

	ApprovedAt time.Time // set by an update: when a manager gave or confirmed the role
	// AwaitsApproval says that a directory fills the group of which no manager
	// of the Safe knew: it brings nobody in before one confirms the role.
	AwaitsApproval bool
}

// Holder is the id of the user or group that has the role.
func (m Member) Holder() string { return string(m.User) + string(m.Group) }

// Holder is a Safe that binds an account, and the asker's role in it.
type Holder struct {
	Safe     pam.SafeID     `json:"s"`
	Resource pam.ResourceID `json:"r"`
	Role     pam.SafeRole   `json:"o,omitempty"`
}

// AccountFacts is what the rules on binding need to know of an account.
type AccountFacts struct {
	Account   pam.AccountID  `json:"a"`
	Resource  pam.ResourceID `json:"r,omitempty"` // "": a domain account
	CreatedBy pam.UserID     `json:"c"`
	Holders   []Holder       `json:"h,omitempty"` // in the order of their ids
}

// Filter narrows a list of Safes, and orders it. The zero value does neither.
type Filter struct {
	Text   string // in the name, without regard to case
	Locked *bool  // nil: either
	// Emergency chooses those that name the reader for emergencies, also where
	// they have no role.
	Emergency bool
	Order     naming.Order
}

// Query is one page of Safes in the order of the filter.
type Query struct {
	Filter
	User  pam.UserID // whose roles are reported
	All   bool       // every Safe; else those of User and the requestable ones
	After naming.Cursor
	Limit int
	Now   time.Time // memberships that ended before do not count
}

// Proposal is a weakening that waits for a second manager.
type Proposal struct {
	ID      pam.ConfirmationID
	Safe    Safe           // the state that is proposed
	Version int64          // that it was made from
	Facts   []AccountFacts // that its bindings were decided on
	By      pam.UserID
	At      time.Time
	Summary string
}

// Store keeps Safes. Everything that it changes is durable when it returns.
type Store interface {
	// CreateSafe stores s with its first manager and returns it with the slug
	// that it got. facts are what the binding was decided on: if they have
	// changed, it is a Conflict. A binding that is a redirection is held.
	CreateSafe(ctx context.Context, org pam.OrgID, s Safe, manager Member, facts []AccountFacts, h pam.Hold, e audit.Entry) (Safe, error)
	// SafeByID returns the Safe and the role of user in it, in one query.
	SafeByID(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (Safe, error)
	// ListSafes returns a page; a Safe that the user knows only because it is
	// requestable has no Role.
	ListSafes(ctx context.Context, org pam.OrgID, q Query) ([]Safe, error)
	// UpdateSafe replaces the settings if the Safe still has version, else it
	// is a Precondition.
	UpdateSafe(ctx context.Context, org pam.OrgID, s Safe, version int64, facts []AccountFacts, h pam.Hold, e audit.Entry) (Safe, error)
	// ProposeSafe stores a weakening for a second manager, in place of an
	// earlier one of the same Safe.
	ProposeSafe(ctx context.Context, org pam.OrgID, p Proposal, e audit.Entry) error
	// LockSafe sets or clears the lock.
	LockSafe(ctx context.Context, org pam.OrgID, id pam.SafeID, locked bool, at time.Time, e audit.Entry) error
	// DeleteSafe removes the Safe if it still has version.
	DeleteSafe(ctx context.Context, org pam.OrgID, id pam.SafeID, version int64, e audit.Entry) error
	// AccountFacts returns what is known of those of the accounts that exist.
	AccountFacts(ctx context.Context, org pam.OrgID, accounts []pam.AccountID, user pam.UserID, now time.Time) ([]AccountFacts, error)
	MemberStore
}

// MemberStore keeps the members of Safes.
type MemberStore interface {
	// RoleOf returns the role that user has in the Safe at the time now, by
	// themself and through groups; false without one.
	RoleOf(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (pam.SafeRole, bool, error)
	// ManagedSafes lists the Safes that user manages at the time now.
	ManagedSafes(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time) ([]pam.SafeID, error)
	// SafeMembers lists the members, newest first, after the one with the id
	// after, if any.
	SafeMembers(ctx context.Context, org pam.OrgID, id pam.SafeID, after pam.MemberID, limit int) ([]Member, error)
	SafeMemberByID(ctx context.Context, org pam.OrgID, id pam.SafeID, member pam.MemberID) (Member, error)
	// AddSafeMember stores a membership; a second one of the same user or group
	// is a Conflict, a group that is not there Invalid.
	AddSafeMember(ctx context.Context, org pam.OrgID, m Member, e audit.Entry) error
	UpdateSafeMember(ctx context.Context, org pam.OrgID, m Member, e audit.Entry) error
	RemoveSafeMember(ctx context.Context, org pam.OrgID, id pam.SafeID, member pam.MemberID, e audit.Entry) error
	// ActiveRole returns the role of an active member of the organization; false
	// for anybody else.
	ActiveRole(ctx context.Context, org pam.OrgID, user pam.UserID) (pam.Role, bool, error)
	// TakeOverSafe makes m the manager if the Safe has no manager who is an active
	// member of the organization, else it is a Conflict. A role that the user
	// has already is replaced.
	TakeOverSafe(ctx context.Context, org pam.OrgID, m Member, e audit.Entry) error
}
