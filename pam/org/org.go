// Package org is organizations and who belongs to them.
//
// It owns an organization's settings, memberships with their roles, and the
// rules on who may change whom. It must not know passwords, tokens or Safes.
// Start at [Service].
package org

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Organization is a tenant.
type Organization struct {
	ID        pam.OrgID
	Name      string
	Slug      string
	Settings  Settings
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Settings of an organization. Durations are in seconds, as on the wire.
type Settings struct {
	IdleTimeoutSeconds      int  `json:"idle_timeout_seconds"`
	RecordingRetentionDays  int  `json:"recording_retention_days"`
	MFARequired             bool `json:"mfa_required"`
	AdminsSeeAll            bool `json:"admins_see_all"`
	DualControl             bool `json:"dual_control"`
	AnonymousShares         bool `json:"anonymous_shares"`
	RequestTimeoutSeconds   int  `json:"request_timeout_seconds"`
	ApprovalCooldownSeconds int  `json:"approval_cooldown_seconds"`
	SSOOnly                 bool `json:"sso_only,omitempty"` // changed by pam/sso alone
}

// DefaultSettings are those of a new organization.
func DefaultSettings() Settings {
	return Settings{IdleTimeoutSeconds: 900, RecordingRetentionDays: 30, RequestTimeoutSeconds: 86400, ApprovalCooldownSeconds: 300}
}

// Status is the state of a membership.
type Status string

// The states of a membership.
const (
	Active    Status = "active"
	Invited   Status = "invited" // until the user accepts
	Suspended Status = "suspended"
)

// transitions are the changes of a membership's state that there are.
var transitions = map[Status][]Status{
	Invited:   {Active},
	Active:    {Suspended},
	Suspended: {Active},
}

// Membership is a user's place in one organization, seen from the user.
type Membership struct {
	Org      pam.OrgID
	Name     string
	Slug     string
	Settings Settings
	Role     pam.Role
	Status   Status
	JoinedAt time.Time
}

// Member is a user of an organization, seen from the organization.
type Member struct {
	User     pam.UserID
	Email    string
	Name     string
	HomeOrg  pam.OrgID
	Role     pam.Role
	Status   Status
	JoinedAt time.Time
	Machine  bool   // a service user: it has tokens alone
	Language string // in which they are written to; "": not known
}

// Cursor is the member's place in a list.
func (m Member) Cursor() string {
	return naming.Cursor{Key: []byte(m.Email), ID: string(m.User)}.String()
}

// Query is one page of members. Empty fields do not narrow.
type Query struct {
	Text   string // in the e-mail address or the name, without regard to case
	Role   pam.Role
	Status Status
	Order  naming.Order // by name is by e-mail address
	After  naming.Cursor
	Limit  int
}

// NewUser is a person who is made together with a membership.
type NewUser struct {
	ID            pam.UserID
	Email         string
	Name          string
	HomeOrg       pam.OrgID
	InstanceAdmin bool
	PasswordHash  string // "": cannot sign in with a password
	MustChange    bool
	Machine       bool
	CreatedAt     time.Time
}

// Store is what organizations need to have kept. *store.DB satisfies it.
type Store interface {
	// CreateOrganization stores o with its first member, who is made when u is
	// not nil. With first it is a Conflict if there is any organization.
	CreateOrganization(ctx context.Context, o Organization, u *NewUser, m Member, first bool, events ...audit.Entry) error
	OrganizationByID(ctx context.Context, org pam.OrgID) (Organization, error)
	// ListOrganizations returns a page, newest first, older than before.
	ListOrganizations(ctx context.Context, before pam.OrgID, limit int) ([]Organization, error)
	// UpdateOrganization replaces o if it still has version, else it is a
	// Precondition.
	UpdateOrganization(ctx context.Context, o Organization, version int64, e audit.Entry) error

	OrgMember(ctx context.Context, org pam.OrgID, user pam.UserID) (Member, error)
	ListOrgMembers(ctx context.Context, org pam.OrgID, q Query) ([]Member, error)
	// UserIDByEmail is NotFound for an unknown e-mail.
	UserIDByEmail(ctx context.Context, email string) (pam.UserID, error)
	// AddOrgMember stores a membership; the user is made when u is not nil.
	AddOrgMember(ctx context.Context, org pam.OrgID, m Member, u *NewUser, e audit.Entry) error
	// SetOrgMember changes role and state of a member who still has those of
	// old, else it is a Conflict; so it is when no active owner would be left.
	SetOrgMember(ctx context.Context, org pam.OrgID, old, m Member, e audit.Entry) error
	// RemoveOrgMember ends the membership of a member who still has the role
	// and state of old, with all that rested on it: roles in Safes and tokens.
	// Else it is a Conflict; so it is when no active owner would be left.
	RemoveOrgMember(ctx context.Context, org pam.OrgID, old Member, e audit.Entry) error
	// TransferOwnership makes from, who still is an active owner, an admin, and
	// to, who still has their role and is active, an owner; else it is a
	// Conflict.
	TransferOwnership(ctx context.Context, org pam.OrgID, from, to Member, entries ...audit.Entry) error
	// SetPasswordLink stores a link, in place of an earlier one of the same
	// user, with the letter that carries it.
	// ResetFactors takes a user's second factors away, with all that was opened
	// with them. NotFound: the organization is not their home.
	ResetFactors(ctx context.Context, org pam.OrgID, user pam.UserID, entries ...audit.Entry) error
	SetPasswordLink(ctx context.Context, org pam.OrgID, l PasswordLink, letter pam.Outgoing, e audit.Entry) error
	// MembershipsOf lists a user's memberships, the first joined first.
	MembershipsOf(ctx context.Context, user pam.UserID) ([]Membership, error)
}

var slugPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$`)

// slugOf makes a slug of a name; "" when nothing of it can be used.
func slugOf(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			r = '-'
		}
		if r != '-' || (b.Len() > 0 && !strings.HasSuffix(b.String(), "-")) {
			b.WriteRune(r)
		}
	}
	s := strings.Trim(b.String(), "-")
	return strings.TrimRight(s[:min(len(s), 60)], "-")
}

// validate checks what a client may set.
func (o Organization) validate(op string) error {
	var ps pam.Problems
	if problem := nameProblem(o.Name); problem != "" {
		ps.Add("name", problem)
	}
	if !slugPattern.MatchString(o.Slug) {
		ps.Add("slug", "must be 1 to 64 of a-z 0-9 . _ - and begin and end with a letter or digit")
	}
	between := func(field string, v, low, high int) {
		if v < low || v > high {
			ps.Add(field, fmt.Sprintf("must be between %d and %d", low, high))
		}
	}
	between("idle_timeout_seconds", o.Settings.IdleTimeoutSeconds, 10, 86400)
	between("recording_retention_days", o.Settings.RecordingRetentionDays, 7, 365)
	between("request_timeout_seconds", o.Settings.RequestTimeoutSeconds, 60, 30*86400)
	between("approval_cooldown_seconds", o.Settings.ApprovalCooldownSeconds, 0, 3600)
	return ps.Err(op)
}

func nameProblem(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name):
		return "must be UTF-8"
	case n < 1 || n > 64 || strings.TrimSpace(name) != name:
		return "must be 1 to 64 characters without spaces at the ends"
	}
	return naming.TextProblem(name, false)
}
