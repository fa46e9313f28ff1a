// Package invitation is how people come into an organization: by a link that
// is mailed to them, as somebody new or as who they are elsewhere.
//
// It owns invitations, what they give and when they still hold. It must not
// know how a letter travels, nor how anybody signs in. Start at [Invitation]
// and [Service].
package invitation

import (
	"context"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Status is where an invitation stands.
type Status string

// The states. An invitation whose time is over is kept as pending: it can be
// sent anew.
const (
	Pending  Status = "pending"
	Accepted Status = "accepted"
	Revoked  Status = "revoked"
	Expired  Status = "expired"
)

// Limits.
const (
	TTL        = 7 * 24 * time.Hour
	MaxEmails  = 50 // of one request
	MaxSafes   = 50 // of one invitation
	MaxPending = 10_000
)

// Settings is what an invitation gives.
type Settings struct {
	Role       pam.Role
	Safes      []pam.SafeID
	SafeRole   pam.SafeRole // in each of the Safes
	RequireMFA bool
	Language   string // of the letter
}

// Invitation is one person invited to an organization.
type Invitation struct {
	ID  pam.InvitationID
	Org pam.OrgID
	Settings
	Email      string
	Status     Status
	InvitedBy  pam.UserID // on whose word it rests
	CreatedAt  time.Time
	SentAt     time.Time // the last time
	ExpiresAt  time.Time
	AcceptedBy pam.UserID
	EndedAt    time.Time // accepted or revoked
	Delivery   pam.Delivery
}

// At is the invitation as it stands at a time.
func (i Invitation) At(now time.Time) Invitation {
	if i.Status == Pending && !now.Before(i.ExpiresAt) {
		i.Status = Expired
	}
	return i
}

// Target is the invitation in an audit event.
func (i Invitation) target() audit.Party {
	return audit.Party{Type: "invitation", ID: string(i.ID), Name: i.Email}
}

// Link is an invitation with the one token that accepts it, to be kept as a
// hash, and the letter that carries it.
type Link struct {
	Invitation
	TokenHash [32]byte
	Letter    pam.Outgoing
}

// Shown is what whoever has the link may know.
type Shown struct {
	Invitation
	OrgName string
	Known   bool // there is a user with this address: they sign in to accept
}

// NewUser is a person who comes to be by accepting.
type NewUser struct {
	ID           pam.UserID
	Name         string
	PasswordHash string
	Language     string
}

// Acceptance is what becomes of an accepted invitation.
type Acceptance struct {
	User        pam.UserID
	New         *NewUser // nil: User is there already
	InviterRole pam.Role // that the decision rested on
	Members     []Member
	At          time.Time
}

// Member is a role in a Safe.
type Member struct {
	ID   pam.MemberID
	Safe pam.SafeID
}

// Query is one page, newest first.
type Query struct {
	Status Status // "": any
	Text   string // in the e-mail address
	After  pam.InvitationID
	Limit  int
	Now    time.Time
}

// Store keeps invitations. Everything that it changes is durable when it
// returns.
type Store interface {
	// CreateInvitations stores them with their letters. An address that is a
	// member's, or of an invitation that is open, is Invalid by its place.
	CreateInvitations(ctx context.Context, org pam.OrgID, links []Link, entries ...audit.Entry) error
	InvitationByID(ctx context.Context, org pam.OrgID, id pam.InvitationID) (Invitation, error)
	ListInvitations(ctx context.Context, org pam.OrgID, q Query) ([]Invitation, error)
	// RenewInvitation replaces the link of one that is pending; the one of
	// before opens nothing more.
	RenewInvitation(ctx context.Context, org pam.OrgID, l Link, e audit.Entry) error
	// RevokeInvitation ends one that is pending, else it is a Conflict.
	RevokeInvitation(ctx context.Context, org pam.OrgID, id pam.InvitationID, at time.Time, e audit.Entry) error
	// InvitationByToken is NotFound for an unknown hash.
	InvitationByToken(ctx context.Context, hash [32]byte) (Shown, error)
	// AcceptInvitation makes the membership and the roles in Safes, if the link
	// is still the one of an open invitation, else it is NotFound; and if the
	// inviter still has the role and manages the Safes, else it is a Conflict.
	AcceptInvitation(ctx context.Context, i Invitation, hash [32]byte, a Acceptance, entries ...audit.Entry) error
	ActiveRole(ctx context.Context, org pam.OrgID, user pam.UserID) (pam.Role, bool, error)
	ManagedSafes(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time) ([]pam.SafeID, error)
	OrgName(ctx context.Context, org pam.OrgID) (string, error)
}

// Links makes and reads the tokens of links.
type Links interface {
	NewLink() (token secret.Value, hash [32]byte, err error)
	// LinkHash is false for what is no token of a link.
	LinkHash(token string) (hash [32]byte, ok bool)
}

// Post writes letters.
type Post interface {
	// Letter is Unavailable where none leaves this server.
	Letter(ctx context.Context, l pam.Letter) (pam.Outgoing, error)
}

// Passwords checks and hashes the password of a new person.
type Passwords interface {
	Hash(ctx context.Context, op, field string, password secret.Value) (string, error)
}
