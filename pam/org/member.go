package org

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"unicode/utf8"

	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Memberships lists the organizations of a user, the first joined first.
func (s *Service) Memberships(ctx context.Context, user pam.UserID) ([]Membership, error) {
	return s.store.MembershipsOf(ctx, user)
}

// Members lists the actor's organization, newest first unless q orders
// otherwise, after the cursor of an earlier page, if any.
func (s *Service) Members(ctx context.Context, a pam.Actor, q Query, after string) ([]Member, error) {
	const op = "list members"
	if err := may(a, policy.MemberList, op); err != nil {
		return nil, err
	}
	var ok bool
	if q.After, ok = naming.ParseCursor(after); !ok || !utf8.Valid(q.After.Key) || bytes.IndexByte(q.After.Key, 0) >= 0 {
		return nil, badField(op, "cursor", "is not one that this list gave out")
	}
	q.Order = cmp.Or(q.Order, naming.ByCreatedDown)
	return s.store.ListOrgMembers(ctx, a.Org, q)
}

// Member returns one member.
func (s *Service) Member(ctx context.Context, a pam.Actor, user pam.UserID) (Member, error) {
	if err := may(a, policy.MemberList, "read member"); err != nil {
		return Member{}, err
	}
	return s.store.OrgMember(ctx, a.Org, user)
}

// Add makes somebody a member. A new e-mail makes a person whose home is this
// organization, with that password; an existing user keeps theirs and is
// invited. Nobody hands out a role above their own.
func (s *Service) Add(ctx context.Context, a pam.Actor, email string, role pam.Role, password secret.Value, mustChange bool) (Member, error) {
	const op = "add member"
	if err := may(a, policy.MemberAdd, op); err != nil {
		return Member{}, err
	}
	normal, ok := naming.Email(email)
	if !ok {
		return Member{}, badField(op, "email", "is not an e-mail address")
	}
	if !role.Valid() {
		return Member{}, badField(op, "role", "is not a role")
	}
	if err := mayGive(a, role, op); err != nil {
		return Member{}, err
	}
	now := s.clock.Now()
	m := Member{Email: normal, Name: nameOf(normal), HomeOrg: a.Org, Role: role, Status: Active, JoinedAt: now}
	var u *NewUser
	id, err := s.store.UserIDByEmail(ctx, normal)
	switch {
	case err == nil:
		if _, err := s.store.OrgMember(ctx, a.Org, id); err == nil {
			return Member{}, pam.Errorf(pam.Conflict, op, "This person is a member already.")
		}
		m.User, m.Status, m.Name, m.HomeOrg = id, Invited, "", ""
	case pam.Is(err, pam.NotFound):
		u = &NewUser{ID: pam.UserID(s.ids.New(pam.PrefixUser)), Email: normal, Name: m.Name, HomeOrg: a.Org, MustChange: mustChange, CreatedAt: now}
		if !password.Empty() {
			if u.PasswordHash, err = s.passwords.Hash(ctx, op, "password", password); err != nil {
				return Member{}, err
			}
		}
		m.User = u.ID
	default:
		return Member{}, err
	}
	typ := audit.MemberAdded
	if m.Status == Invited {
		typ = audit.MemberInvited
	}
	e := s.scribe.Entry(a, typ, memberParty(m), map[string]any{"role": string(role)})
	return m, s.store.AddOrgMember(ctx, a.Org, m, u, e)
}

// AddMachine makes a service user whose home is the organization. The address
// is its name: nobody signs in by it, and no letter is sent to it.
func (s *Service) AddMachine(ctx context.Context, a pam.Actor, email string, role pam.Role) (Member, error) {
	const op = "add service user"
	if err := may(a, policy.MemberAdd, op); err != nil {
		return Member{}, err
	}
	normal, ok := naming.Email(email)
	if !ok {
		return Member{}, badField(op, "email", "is not an e-mail address")
	}
	if !role.Valid() || role == pam.Owner {
		return Member{}, badField(op, "role", "is not a role of a service user")
	}
	if err := mayGive(a, role, op); err != nil {
		return Member{}, err
	}
	if _, err := s.store.UserIDByEmail(ctx, normal); !pam.Is(err, pam.NotFound) {
		if err == nil {
			err = pam.Errorf(pam.Conflict, op, "There is a user with this address already.")
		}
		return Member{}, err
	}
	now := s.clock.Now()
	u := &NewUser{ID: pam.UserID(s.ids.New(pam.PrefixUser)), Email: normal, Name: nameOf(normal), HomeOrg: a.Org, Machine: true, CreatedAt: now}
	m := Member{User: u.ID, Email: normal, Name: u.Name, HomeOrg: a.Org, Role: role, Status: Active, Machine: true, JoinedAt: now}
	e := s.scribe.Entry(a, audit.MemberAdded, memberParty(m), map[string]any{"role": string(role), "service_user": true})
	return m, s.store.AddOrgMember(ctx, a.Org, m, u, e)
}

// mayGive says whether a may hand out role: an owner any, others at most
// their own.
func mayGive(a pam.Actor, role pam.Role, op string) error {
	if role == pam.Owner {
		return may(a, policy.OwnerName, op)
	}
	if role.Above(a.Role) {
		return denied(op)
	}
	return nil
}

// changeable returns the member if a may change them: nobody touches a member
// of a higher role.
func (s *Service) changeable(ctx context.Context, a pam.Actor, user pam.UserID, action policy.Action, op string) (Member, error) {
	if err := may(a, action, op); err != nil {
		return Member{}, err
	}
	m, err := s.store.OrgMember(ctx, a.Org, user)
	if err != nil {
		return Member{}, err
	}
	if m.Role.Above(a.Role) {
		return Member{}, denied(op)
	}
	return m, nil
}

// SetRole gives a member another role.
func (s *Service) SetRole(ctx context.Context, a pam.Actor, user pam.UserID, role pam.Role) (Member, error) {
	const op = "change role"
	if !role.Valid() {
		return Member{}, badField(op, "role", "is not a role")
	}
	old, err := s.changeable(ctx, a, user, policy.MemberUpdate, op)
	if err != nil {
		return Member{}, err
	}
	if err := mayGive(a, role, op); err != nil {
		return Member{}, err
	}
	if old.Role == role {
		return old, nil
	}
	if old.Machine && role == pam.Owner {
		return Member{}, badField(op, "role", "is not a role of a service user")
	}
	m := old
	m.Role = role
	e := s.scribe.Entry(a, audit.RoleAssignmentChanged, memberParty(m), map[string]any{"from": string(old.Role), "to": string(role)})
	return m, lastOwner(s.store.SetOrgMember(ctx, a.Org, old, m, e))
}

// Suspend takes all access away, and keeps the record.
func (s *Service) Suspend(ctx context.Context, a pam.Actor, user pam.UserID) (Member, error) {
	return s.setStatus(ctx, a, user, Suspended, audit.MemberSuspended)
}

// Resume ends a suspension.
func (s *Service) Resume(ctx context.Context, a pam.Actor, user pam.UserID) (Member, error) {
	return s.setStatus(ctx, a, user, Active, audit.MemberResumed)
}

func (s *Service) setStatus(ctx context.Context, a pam.Actor, user pam.UserID, to Status, typ audit.Type) (Member, error) {
	const op = "change member"
	old, err := s.changeable(ctx, a, user, policy.MemberUpdate, op)
	if err != nil {
		return Member{}, err
	}
	if old.Status == to {
		return old, nil
	}
	// An invitation is accepted by the invited alone.
	if old.Status == Invited || !slices.Contains(transitions[old.Status], to) {
		return Member{}, pam.Errorf(pam.Conflict, op, "This member is %s.", old.Status)
	}
	m := old
	m.Status = to
	return m, lastOwner(s.store.SetOrgMember(ctx, a.Org, old, m, s.scribe.Entry(a, typ, memberParty(m), nil)))
}

// Remove ends a membership with all that rested on it.
func (s *Service) Remove(ctx context.Context, a pam.Actor, user pam.UserID) error {
	m, err := s.changeable(ctx, a, user, policy.MemberRemove, "remove member")
	if err != nil {
		return err
	}
	return lastOwner(s.store.RemoveOrgMember(ctx, a.Org, m, s.scribe.Entry(a, audit.MemberRemoved, memberParty(m), map[string]any{"role": string(m.Role)})))
}

// Accept takes up an invitation to org.
func (s *Service) Accept(ctx context.Context, a pam.Actor, org pam.OrgID) (Member, error) {
	const op = "accept invitation"
	if a.Token != pam.LoginToken || a.Only != "" {
		return Member{}, denied(op)
	}
	old, err := s.store.OrgMember(ctx, org, a.User)
	if err != nil {
		return Member{}, err
	}
	if old.Status != Invited {
		return Member{}, pam.Errorf(pam.Conflict, op, "There is no invitation to accept.")
	}
	m := old
	m.Status, m.JoinedAt = Active, s.clock.Now()
	e := audit.ForOrg(s.scribe.Entry(a, audit.MemberJoined, memberParty(m), map[string]any{"role": string(m.Role)}), org)
	return m, s.store.SetOrgMember(ctx, org, old, m, e)
}
