package safe

import (
	"context"
	"time"

	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// NewMember gives a user a role in a Safe. Exactly one of User and Group is
// set.
type NewMember struct {
	User      pam.UserID
	Group     pam.GroupID
	Role      pam.SafeRole
	ExpiresAt time.Time // zero: never
}

// Members lists up to limit members of a Safe that the actor may see, newest
// first, after the one with the id after, if any.
func (s *Service) Members(ctx context.Context, a pam.Actor, id pam.SafeID, after pam.MemberID, limit int) ([]Member, error) {
	const op = "list safe members"
	if _, err := s.full(ctx, op, a, id, policy.SafeMemberList); err != nil {
		return nil, err
	}
	out, err := s.store.SafeMembers(ctx, a.Org, id, after, pam.PageSize(limit))
	return out, pam.Wrap(op, err)
}

// AddMember gives a role in the Safe to an active member of the organization,
// or to a group: to whoever is in it. That is also the word of the Safe's
// manager for a group that a directory fills. A manager of the Safe may; an
// organization's admin who is none may not.
func (s *Service) AddMember(ctx context.Context, a pam.Actor, id pam.SafeID, in NewMember) (Member, error) {
	const op = "add safe member"
	cur, err := s.full(ctx, op, a, id, policy.SafeMemberGive)
	if err != nil {
		return Member{}, err
	}
	var ps pam.Problems
	switch {
	case in.Group != "" && in.User != "":
		ps.Add("group_id", "cannot be given together with user_id")
	case in.Group != "" && !ids.Valid(pam.PrefixGroup, string(in.Group)):
		ps.Add("group_id", "is not the id of a group")
	case in.Group != "":
	case !ids.Valid(pam.PrefixUser, string(in.User)):
		ps.Add("user_id", "is not the id of a user")
	}
	s.checkRole(&ps, in.Role, in.ExpiresAt)
	if err := ps.Err(op); err != nil {
		return Member{}, err
	}
	if in.Group == "" {
		if err := s.checkHolder(ctx, op, a.Org, in.User, in.Role); err != nil {
			return Member{}, err
		}
	}
	m := Member{
		ID: pam.MemberID(s.ids.New(pam.PrefixMember)), Org: a.Org, Safe: id, User: in.User, Group: in.Group,
		Role: in.Role, ExpiresAt: in.ExpiresAt.UTC().Truncate(time.Microsecond), CreatedAt: s.clock.Now(),
	}
	if err := s.store.AddSafeMember(ctx, a.Org, m, s.memberEntry(a, audit.SafeMemberAdded, cur, m)); err != nil {
		return Member{}, pam.Wrap(op, err)
	}
	out, err := s.store.SafeMemberByID(ctx, a.Org, id, m.ID)
	return out, pam.Wrap(op, err)
}

// UpdateMember replaces a member's role and its end. Of a group that a
// directory fills it is the word of the Safe's manager for the directories that
// there are by now, also where nothing else changes.
func (s *Service) UpdateMember(ctx context.Context, a pam.Actor, id pam.SafeID, member pam.MemberID, role pam.SafeRole, expiresAt time.Time) (Member, error) {
	const op = "update safe member"
	cur, err := s.full(ctx, op, a, id, policy.SafeMemberGive)
	if err != nil {
		return Member{}, err
	}
	m, err := s.store.SafeMemberByID(ctx, a.Org, id, member)
	if err != nil {
		return Member{}, pam.Wrap(op, err)
	}
	var ps pam.Problems
	s.checkRole(&ps, role, expiresAt)
	if err := ps.Err(op); err != nil {
		return Member{}, err
	}
	if m.Group == "" {
		if err := s.checkHolder(ctx, op, a.Org, m.User, role); err != nil {
			return Member{}, err
		}
	}
	m.Role, m.ExpiresAt = role, expiresAt.UTC().Truncate(time.Microsecond)
	m.ApprovedAt, m.AwaitsApproval = s.clock.Now(), false
	if err := s.store.UpdateSafeMember(ctx, a.Org, m, s.memberEntry(a, audit.SafeMemberUpdated, cur, m)); err != nil {
		return Member{}, pam.Wrap(op, err)
	}
	return m, nil
}

// Member returns one member of a Safe that the actor may see.
func (s *Service) Member(ctx context.Context, a pam.Actor, id pam.SafeID, member pam.MemberID) (Member, error) {
	const op = "read safe member"
	if _, err := s.full(ctx, op, a, id, policy.SafeMemberList); err != nil {
		return Member{}, err
	}
	m, err := s.store.SafeMemberByID(ctx, a.Org, id, member)
	return m, pam.Wrap(op, err)
}

// RemoveMember takes a role in the Safe away; it cuts the sessions that rested
// on it. A manager may, and everybody may leave.
func (s *Service) RemoveMember(ctx context.Context, a pam.Actor, id pam.SafeID, member pam.MemberID) error {
	const op = "remove safe member"
	cur, err := s.ByID(ctx, a, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if cur.OnlyNamed {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	m, err := s.store.SafeMemberByID(ctx, a.Org, id, member)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if !policy.Allowed(policy.SafeMemberTake, policy.Of(a, cur.Role).Owning(m.Group == "" && m.User == a.User)) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return pam.Wrap(op, s.store.RemoveSafeMember(ctx, a.Org, id, member, s.memberEntry(a, audit.SafeMemberRemoved, cur, m)))
}

// TakeOver makes an owner the manager of a Safe in which no manager is left.
func (s *Service) TakeOver(ctx context.Context, a pam.Actor, id pam.SafeID) (Safe, error) {
	const op = "take over safe"
	cur, err := s.full(ctx, op, a, id, policy.SafeTakeOver)
	if err != nil {
		return Safe{}, err
	}
	now := s.clock.Now()
	if !a.Fresh(now) {
		return Safe{}, stepUp(op)
	}
	m := Member{
		ID: pam.MemberID(s.ids.New(pam.PrefixMember)), Org: a.Org, Safe: id, User: a.User,
		Role: pam.SafeManager, CreatedAt: now,
	}
	if err := s.store.TakeOverSafe(ctx, a.Org, m, s.memberEntry(a, audit.SafeTakenOver, cur, m)); err != nil {
		return Safe{}, pam.Wrap(op, err)
	}
	return s.ByID(ctx, a, id)
}

// Manages says whether the actor is a manager of the Safe.
func (s *Service) Manages(ctx context.Context, a pam.Actor, id pam.SafeID) (bool, error) {
	role, _, err := s.store.RoleOf(ctx, a.Org, id, a.User, s.clock.Now())
	return policy.Effective(a.Role, role).Includes(pam.SafeManager), err
}

// ManagedSafes lists the Safes of which the actor is a manager.
func (s *Service) ManagedSafes(ctx context.Context, a pam.Actor) ([]pam.SafeID, error) {
	if policy.Effective(a.Role, pam.SafeManager) != pam.SafeManager {
		return nil, nil
	}
	return s.store.ManagedSafes(ctx, a.Org, a.User, s.clock.Now())
}

func (s *Service) checkRole(ps *pam.Problems, role pam.SafeRole, expiresAt time.Time) {
	oneOf(ps, "role", role, pam.SafeRoles...)
	if !expiresAt.IsZero() && (!expiresAt.After(s.clock.Now()) || expiresAt.Year() > 9999) {
		ps.Add("expires_at", "is not in the future")
	}
}

// checkHolder refuses a role to who may not hold it.
func (s *Service) checkHolder(ctx context.Context, op string, org pam.OrgID, user pam.UserID, role pam.SafeRole) error {
	theirs, active, err := s.store.ActiveRole(ctx, org, user)
	if err != nil {
		return pam.Wrap(op, err)
	}
	var ps pam.Problems
	switch {
	case !active:
		ps.Add("user_id", "is not an active member of this organization")
	case !policy.MayHold(theirs, role):
		ps.Add("role", "is above viewer, which is the most that an auditor may hold")
	}
	return ps.Err(op)
}

func (s *Service) memberEntry(a pam.Actor, t audit.Type, target Safe, m Member) audit.Entry {
	metadata := map[string]any{"role": string(m.Role)}
	if m.Group != "" {
		metadata["group_id"] = string(m.Group)
	} else {
		metadata["user_id"] = string(m.User)
	}
	if !m.ExpiresAt.IsZero() {
		metadata["expires_at"] = m.ExpiresAt.Format(time.RFC3339)
	}
	return s.entry(a, t, target, metadata)
}
