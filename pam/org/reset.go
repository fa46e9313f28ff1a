package org

import (
	"context"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Mailing is what it takes to mail somebody a link.
type Mailing struct {
	Links interface {
		NewLink() (token secret.Value, hash [32]byte, err error)
	}
	Post interface {
		// Letter is Unavailable where none leaves this server.
		Letter(ctx context.Context, l pam.Letter) (pam.Outgoing, error)
	}
	URL func() string // under which people reach the console, without a slash at its end
}

// Mail lets s mail links.
func (s *Service) Mail(m Mailing) { s.mailing = m }

// ResetTTL is how long the link to a new password works.
const ResetTTL = 4 * time.Hour

// PasswordLink is a link to a new password, as it is kept.
type PasswordLink struct {
	User      pam.UserID
	TokenHash [32]byte
	CreatedAt time.Time
	ExpiresAt time.Time
}

// ResetPassword has a link mailed to a member whose home is the organization,
// with which they choose a new password. Nobody else learns the link, and
// until it is used nothing changes.
func (s *Service) ResetPassword(ctx context.Context, a pam.Actor, user pam.UserID, language string) (Member, time.Time, error) {
	const op = "reset password of member"
	m, err := s.changeable(ctx, a, user, policy.MemberUpdate, op)
	if err != nil {
		return Member{}, time.Time{}, err
	}
	switch now := s.clock.Now(); {
	case m.HomeOrg != a.Org:
		return Member{}, time.Time{}, pam.Errorf(pam.Denied, op, "Only the person's home organization may do this.")
	case m.Machine:
		return Member{}, time.Time{}, pam.Errorf(pam.Conflict, op, "A service user has no password.")
	case m.Status != Active:
		return Member{}, time.Time{}, pam.Errorf(pam.Conflict, op, "This member is %s.", m.Status)
	case !a.Fresh(now):
		return Member{}, time.Time{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	o, err := s.store.OrganizationByID(ctx, a.Org)
	if err != nil {
		return Member{}, time.Time{}, err
	}
	if m.Language != "" {
		language = m.Language
	}
	token, hash, err := s.mailing.Links.NewLink()
	if err != nil {
		return Member{}, time.Time{}, pam.Wrap(op, err)
	}
	defer token.Wipe()
	now := s.clock.Now()
	l := PasswordLink{User: user, TokenHash: hash, CreatedAt: now, ExpiresAt: now.Add(ResetTTL)}
	link := secret.FromString(s.mailing.URL() + "/new-password#" + string(token.Expose()))
	defer link.Wipe()
	letter, err := s.mailing.Post.Letter(ctx, pam.Letter{
		Org: a.Org, Kind: pam.LetterPasswordReset, Object: string(user), To: m.Email, Language: language, OrgName: o.Name, By: a.Email, Link: link, Until: l.ExpiresAt,
	})
	if err != nil {
		return Member{}, time.Time{}, pam.Wrap(op, err)
	}
	e := s.scribe.Entry(a, audit.PasswordResetRequested, memberParty(m), nil)
	return m, l.ExpiresAt, s.store.SetPasswordLink(ctx, a.Org, l, letter, e)
}

// ResetFactors takes the second factors of a member whose home is the
// organization away, and all that was opened with them: for somebody who has
// lost theirs. They enrol anew where that is asked for.
func (s *Service) ResetFactors(ctx context.Context, a pam.Actor, user pam.UserID) (Member, error) {
	const op = "reset second factors of member"
	m, err := s.changeable(ctx, a, user, policy.MemberUpdate, op)
	switch {
	case err != nil:
		return Member{}, err
	case m.HomeOrg != a.Org:
		return Member{}, pam.Errorf(pam.Denied, op, "Only the person's home organization may do this.")
	case !a.Fresh(s.clock.Now()):
		return Member{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	return m, s.store.ResetFactors(ctx, a.Org, user,
		s.scribe.Entry(a, audit.MFAReset, memberParty(m), nil),
		s.scribe.Entry(a, audit.MFASessionsInvalidated, memberParty(m), map[string]any{"reason": "the second factors were reset"}))
}

// TransferOwnership makes another active member an owner in the place of the
// actor, who becomes an admin.
func (s *Service) TransferOwnership(ctx context.Context, a pam.Actor, user pam.UserID) (Member, error) {
	const op = "transfer ownership"
	if err := may(a, policy.OrgTransfer, op); err != nil {
		return Member{}, err
	}
	to, err := s.store.OrgMember(ctx, a.Org, user)
	if err != nil {
		return Member{}, err
	}
	switch {
	case user == a.User:
		return Member{}, badField(op, "user_id", "is you")
	case to.Machine:
		return Member{}, badField(op, "user_id", "is a service user")
	case to.Status != Active:
		return Member{}, pam.Errorf(pam.Conflict, op, "This member is %s.", to.Status)
	case to.Role == pam.Owner:
		return Member{}, pam.Errorf(pam.Conflict, op, "This member is an owner already.")
	case !a.Fresh(s.clock.Now()):
		return Member{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	from, err := s.store.OrgMember(ctx, a.Org, a.User)
	if err != nil {
		return Member{}, err
	}
	entries := []audit.Entry{
		s.scribe.Entry(a, audit.OwnershipTransferred, memberParty(to), map[string]any{"from": string(a.User), "to": string(user)}),
		s.scribe.Entry(a, audit.RoleAssignmentChanged, memberParty(to), map[string]any{"from": string(to.Role), "to": string(pam.Owner)}),
		s.scribe.Entry(a, audit.RoleAssignmentChanged, memberParty(from), map[string]any{"from": string(pam.Owner), "to": string(pam.Admin)}),
	}
	if err := s.store.TransferOwnership(ctx, a.Org, from, to, entries...); err != nil {
		return Member{}, err
	}
	to.Role = pam.Owner
	return to, nil
}
