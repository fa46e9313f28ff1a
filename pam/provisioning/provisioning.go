// Package provisioning is what a directory may do to an organization that it
// fills: bring people in, rename, suspend and remove them, and say who is in
// the groups that it keeps.
//
// It owns the tokens of directories and the limits of their power: no owner,
// no administrator, nobody else's person, no role and no password. It must not
// know SCIM. Start at [Feed] and [Service].
package provisioning

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Limits.
const (
	MaxTokens    = 20 // of one organization
	MaxTokenDays = 365
	MaxMembers   = 10_000 // of one group
	MaxGroups    = 10_000 // of one organization
	MaxExternal  = 256    // characters of the id that a directory gives to what it keeps
)

// Token is what a directory shows.
type Token struct {
	ID         pam.SCIMTokenID
	Org        pam.OrgID
	Name       string
	Role       pam.Role // of people whom it brings in
	TokenHash  [32]byte
	CreatedBy  pam.UserID
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt time.Time // to the minute
}

func (t Token) party() audit.Party {
	return audit.Party{Type: "scim_token", ID: string(t.ID), Name: t.Name}
}

// Feed is a directory at work. Only [Service.Authenticate] makes one.
type Feed struct {
	Actor pam.Actor
	Role  pam.Role  // of people whom it brings in
	Since time.Time // when its token was made
}

// Profile is what a directory says of a person.
type Profile struct {
	Email      string // by which they sign in
	Name       string // "": made from the parts, else from the address
	GivenName  string
	FamilyName string
	ExternalID string
	Active     bool
}

// User is a member of the organization as a directory sees them.
type User struct {
	ID  pam.UserID
	Org pam.OrgID
	Profile
	HomeOrg       pam.OrgID
	Role          pam.Role
	InstanceAdmin bool
	CreatedAt     time.Time // when they became a member
	UpdatedAt     time.Time // when a directory last changed them; zero for never
}

// Version tells whether a directory would see a difference.
func (u User) Version() string {
	h := sha256.New()
	for _, s := range []string{string(u.ID), u.Email, u.Name, u.GivenName, u.FamilyName, u.ExternalID, strconv.FormatBool(u.Active)} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func (u User) party() audit.Party {
	return audit.Party{Type: "user", ID: string(u.ID), Name: u.Email}
}

// Group is a group that directories fill.
type Group struct {
	ID         pam.GroupID
	Org        pam.OrgID
	Name       string
	ExternalID string
	Count      int
	Members    []pam.UserID // in the order of their ids; only where they were asked for
	Version    int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

func (g Group) party() audit.Party {
	return audit.Party{Type: "group", ID: string(g.ID), Name: g.Name}
}

// Membership is a group that somebody is in.
type Membership struct {
	User  pam.UserID
	Group pam.GroupID
	Name  string
}

// Query narrows a list in the order of ids. Empty fields do not narrow. Skip
// is how many to leave out; After, an id, is the quicker way to the same.
type Query struct {
	ID         string
	Key        string // the address of a user, the name of a group, without regard to case
	ExternalID string
	Member     pam.UserID // of groups: who is in them
	After      string
	Skip       int
	Limit      int
}

// GroupChange is what becomes of a group. Nil means as it was.
type GroupChange struct {
	Name, ExternalID *string
	Add, Remove      []pam.UserID
	// Since is when the directory that adds somebody was let in: every role
	// that the group has in a Safe must have been given or confirmed after
	// that, else it is Denied.
	Since time.Time
	At    time.Time
}

// Store keeps what directories fill. Everything that it changes is durable when
// it returns. Nobody is found who was only invited, or who is a machine.
type Store interface {
	// CreateSCIMToken is a Conflict where there are most already.
	CreateSCIMToken(ctx context.Context, org pam.OrgID, t Token, most int, e audit.Entry) error
	SCIMTokens(ctx context.Context, org pam.OrgID) ([]Token, error)
	DeleteSCIMToken(ctx context.Context, org pam.OrgID, id pam.SCIMTokenID, e audit.Entry) error
	// SCIMTokenByHash is NotFound for an unknown hash.
	SCIMTokenByHash(ctx context.Context, hash [32]byte) (Token, error)
	TouchSCIMToken(ctx context.Context, org pam.OrgID, id pam.SCIMTokenID, at time.Time) error

	FedUsers(ctx context.Context, org pam.OrgID, q Query) ([]User, error)
	CountFedUsers(ctx context.Context, org pam.OrgID, q Query) (int, error)
	// WhoHasAddress returns somebody of any organization: their home, and
	// whether they have a place in this one. NotFound for an unknown address.
	WhoHasAddress(ctx context.Context, org pam.OrgID, email string) (Person, error)
	// AddFedUser makes u a member; the person is made if isNew says so, else
	// they must be at home in org.
	AddFedUser(ctx context.Context, org pam.OrgID, u User, isNew bool, e audit.Entry) error
	// ChangeFedUser makes next of a member who still is old, else it is a
	// Precondition; an address that is taken is a Conflict.
	ChangeFedUser(ctx context.Context, org pam.OrgID, old, next User, entries ...audit.Entry) error
	// RemoveFedUser ends the membership of a member who still is old, with all
	// that rested on it.
	RemoveFedUser(ctx context.Context, org pam.OrgID, old User, e audit.Entry) error

	FedGroups(ctx context.Context, org pam.OrgID, q Query) ([]Group, error)
	CountFedGroups(ctx context.Context, org pam.OrgID, q Query) (int, error)
	FedMemberIDs(ctx context.Context, org pam.OrgID, groups []pam.GroupID) (map[pam.GroupID][]pam.UserID, error)
	// FedMembersAmong returns those of users who are in the group.
	FedMembersAmong(ctx context.Context, org pam.OrgID, id pam.GroupID, users []pam.UserID) ([]pam.UserID, error)
	FedGroupsOf(ctx context.Context, org pam.OrgID, users []pam.UserID) ([]Membership, error)
	CreateFedGroup(ctx context.Context, org pam.OrgID, g Group, entries ...audit.Entry) error
	// ChangeFedGroup changes a group that still has version, else it is a
	// Precondition.
	ChangeFedGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, version int64, c GroupChange, entries ...audit.Entry) error
	DeleteFedGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, version int64, e audit.Entry) error
}

// Person is somebody behind an address.
type Person struct {
	ID            pam.UserID
	Home          pam.OrgID
	InstanceAdmin bool
	Machine       bool
	Here          bool // a member of the organization, or invited to it
}

// nameOf is the name of somebody of whom only the address is known.
func nameOf(email string) string {
	local, _, _ := strings.Cut(email, "@")
	return local
}
