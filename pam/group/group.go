// Package group is the users of an organization under one name: a group holds
// roles in Safes and is named by policies like a person.
//
// It owns groups and who may change them. It must not know what a group is
// used for beyond which Safes it has a role in. Start at [Group] and [Service].
package group

import (
	"context"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Source says who fills a group.
type Source string

// The sources. A group keeps the one that it was made with.
const (
	Manual Source = "manual"
	SCIM   Source = "scim"
	Claim  Source = "claim"
)

// Limits.
const (
	MaxMembers = 10_000 // of one group
	MaxGroups  = 10_000 // of one organization
)

// Group is users under one name.
type Group struct {
	ID        pam.GroupID
	Org       pam.OrgID
	Name      string
	Source    Source
	Count     int          // of its members
	Members   []pam.UserID // in the order of their ids; set by Service alone
	Version   int64        // counts changes, from 1; the object's ETag
	CreatedBy pam.UserID
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Cursor is the group's place in a list.
func (g Group) Cursor() string {
	return naming.Cursor{Key: naming.Key(g.Name), ID: string(g.ID)}.String()
}

// Member is somebody in a group.
type Member struct {
	User   pam.UserID
	Email  string
	Name   string
	Role   pam.Role // in the organization
	Status string   // of the membership of the organization
}

// Filter narrows a list of groups, and orders it.
type Filter struct {
	Text  string     // in the name, without regard to case
	User  pam.UserID // who is in them; "": any
	Order naming.Order
}

// Query is one page in the order of the filter.
type Query struct {
	Filter
	After naming.Cursor
	Limit int
}

// Change is what becomes of a group.
type Change struct {
	Name        string // "": as it was
	Add, Remove []pam.UserID
	// Safes are those in which the group had a role when it was decided that
	// somebody may come in. If it has one in another by now, it is a Conflict.
	// Of no matter where nobody comes in.
	Safes []pam.SafeID
	At    time.Time
}

// Store keeps groups. Everything that it changes is durable when it returns.
type Store interface {
	// CreateGroup stores g with its members. A name that is taken is a
	// Conflict; who is no member of the organization is Invalid.
	CreateGroup(ctx context.Context, org pam.OrgID, g Group, entries ...audit.Entry) error
	GroupByID(ctx context.Context, org pam.OrgID, id pam.GroupID) (Group, error)
	ListGroups(ctx context.Context, org pam.OrgID, q Query) ([]Group, error)
	// MemberIDs returns the members of groups.
	MemberIDs(ctx context.Context, org pam.OrgID, groups []pam.GroupID) (map[pam.GroupID][]pam.UserID, error)
	// GroupMembers returns a page of a group's members, in the order of their
	// ids.
	GroupMembers(ctx context.Context, org pam.OrgID, id pam.GroupID, after pam.UserID, limit int) ([]Member, error)
	InGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, user pam.UserID) (bool, error)
	// ChangeGroup changes the group that still has version, else it is a
	// Precondition.
	ChangeGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, version int64, c Change, entries ...audit.Entry) error
	DeleteGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, version int64, e audit.Entry) error
	// SafesOfGroup lists the Safes in which the group has a role.
	SafesOfGroup(ctx context.Context, org pam.OrgID, id pam.GroupID) ([]pam.SafeID, error)
	// PolicyNames says whether a policy of the organization names the group.
	PolicyNames(ctx context.Context, org pam.OrgID, id pam.GroupID) (bool, error)
	ManagedSafes(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time) ([]pam.SafeID, error)
}
