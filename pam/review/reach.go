// Package review is who can reach what, by which rule, and the reviews in which
// those who answer for it say whether that should stay.
//
// It owns the list of everybody's ways into Safes, the life of a review and
// what its decisions take away. It must not know how a decision about an
// attempt is made, which is pam/policy, nor how anything is stored. Start at
// [Reach] and [Review].
package review

import (
	"context"
	"strings"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// Ground says what a way into a Safe rests on.
type Ground string

// The grounds.
const (
	ByMembership Ground = "member"
	ByGroup      Ground = "group"
	ByGrant      Ground = "grant"
)

// Way is one ground on which somebody gets into a Safe.
type Way struct {
	Ground    Ground
	Member    pam.MemberID // of a membership, also a group's
	Group     pam.GroupID
	GroupName string
	Grant     pam.GrantID
	Role      pam.SafeRole // that it gives
	ExpiresAt time.Time    // zero: never
}

// Reach is one person and one Safe that they have a role in, with all grounds
// of it.
type Reach struct {
	User    pam.UserID
	Email   string
	Name    string
	OrgRole pam.Role
	Status  string // of the membership of the organization

	Safe     pam.SafeID
	SafeName string
	SafeKey  []byte // what Safes are sorted by
	Ways     []Way
	LastUsed time.Time // start of the last session or time of the last reveal; zero: never

	Verdict // on a launch now, from an address that is not known
}

// Role is what the ways come to together.
func (r Reach) Role() pam.SafeRole {
	var role pam.SafeRole
	for _, w := range r.Ways {
		role = role.With(w.Role)
	}
	return policy.Effective(r.OrgRole, role)
}

// Cursor is the place in a list.
func (r Reach) Cursor() string {
	return naming.Cursor{Key: r.SafeKey, ID: string(r.Safe) + " " + string(r.User) + " " + r.Email}.String()
}

// Verdict is what an attempt would come to.
type Verdict struct {
	Effect  policy.Effect
	Rule    string // what decided
	Message string // what stands in the way, if anything does
	Reasons []policy.Reason
	Targets []Target
}

// Target is what a Safe grants access to.
type Target struct {
	Resource pam.ResourceID
	Account  pam.AccountID
}

// Decider answers what a launch by a user would come to. It asks nobody
// whether the one who asks may know.
type Decider interface {
	Verdict(ctx context.Context, org pam.OrgID, user pam.UserID, safe pam.SafeID, at time.Time) (Verdict, error)
}

// ReachFilter narrows the list of who can reach what.
type ReachFilter struct {
	User     pam.UserID
	Group    pam.GroupID // by way of which
	Safe     pam.SafeID
	Resource pam.ResourceID // that the Safe binds
	Account  pam.AccountID
}

// ReachQuery is a page, in the order of the Safes' names and in each of the
// people's addresses.
type ReachQuery struct {
	ReachFilter
	AfterKey   []byte
	AfterSafe  pam.SafeID
	AfterUser  pam.UserID
	AfterEmail string
	Limit      int
	Now        time.Time
}

// Reachable returns up to limit rows of who can reach what, after the cursor
// of an earlier one, if any, and whether more follow. Everybody may ask about
// themselves, a Safe's manager about the Safe, and those who oversee the
// organization about all.
func (s *Service) Reachable(ctx context.Context, a pam.Actor, f ReachFilter, after string, limit int) (rows []Reach, more bool, err error) {
	const op = "list who can reach what"
	var role pam.SafeRole
	if f.Safe != "" {
		if role, _, err = s.Store.RoleOf(ctx, a.Org, f.Safe, a.User, s.Clock.Now()); err != nil {
			return nil, false, pam.Wrap(op, err)
		}
	}
	if !policy.Allowed(policy.AccessSee, policy.Of(a, role).Owning(f.User == a.User)) {
		return nil, false, pam.Errorf(pam.Denied, op, "You may ask about yourself, with user_id, or about a safe that you manage, with safe_id.")
	}
	q := ReachQuery{ReachFilter: f, Limit: pam.PageSize(limit), Now: s.Clock.Now()}
	at, err := pam.ReadCursor(op, after)
	if err != nil {
		return nil, false, err
	}
	if at.ID != "" {
		id, rest, _ := strings.Cut(at.ID, " ")
		user, email, ok := strings.Cut(rest, " ")
		if !ok {
			return nil, false, pam.BadCursor(op)
		}
		q.AfterKey, q.AfterSafe, q.AfterUser, q.AfterEmail = at.Key, pam.SafeID(id), pam.UserID(user), email
	}
	if rows, more, err = s.Store.Reach(ctx, a.Org, q); err != nil {
		return nil, false, pam.Wrap(op, err)
	}
	for i := range rows {
		r := &rows[i]
		if r.Verdict, err = s.Decider.Verdict(ctx, a.Org, r.User, r.Safe, q.Now); err != nil {
			return nil, false, pam.Wrap(op, err)
		}
	}
	return rows, more, nil
}
