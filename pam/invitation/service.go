package invitation

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Deps is what a Service works with.
type Deps struct {
	Store     Store
	Links     Links
	Post      Post
	Passwords Passwords
	URL       func() string // under which people reach the console, without a slash at its end
	Scribe    *audit.Scribe
	Clock     clock.Clock
	IDs       *ids.Source
}

// Service is what the edges ask about invitations. It is safe for concurrent
// use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service { return &Service{d} }

// Invite mails a link to each of the addresses. Owners and admins may; nobody
// gives a role above their own, and roles in Safes only a manager of each.
func (s *Service) Invite(ctx context.Context, a pam.Actor, emails []string, in Settings) ([]Invitation, error) {
	const op = "invite"
	if err := s.mayInvite(ctx, op, a, &in); err != nil {
		return nil, err
	}
	addresses, err := addressesOf(op, emails)
	if err != nil {
		return nil, err
	}
	name, err := s.Store.OrgName(ctx, a.Org)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	links := make([]Link, len(addresses))
	entries := make([]audit.Entry, len(addresses))
	out := make([]Invitation, len(addresses))
	for i, email := range addresses {
		links[i].Invitation = Invitation{
			ID: pam.InvitationID(s.IDs.New(pam.PrefixInvitation)), Org: a.Org, Settings: in, Email: email, Status: Pending,
			InvitedBy: a.User, CreatedAt: now, Delivery: pam.Delivery{Status: pam.DeliveryPending},
		}
		if err := s.write(ctx, a, name, &links[i], now); err != nil {
			return nil, pam.Wrap(op, err)
		}
		out[i], entries[i] = links[i].Invitation, s.entry(a, audit.MemberInvited, links[i].Invitation)
	}
	return out, pam.Wrap(op, s.Store.CreateInvitations(ctx, a.Org, links, entries...))
}

func (s *Service) entry(a pam.Actor, t audit.Type, i Invitation) audit.Entry {
	m := map[string]any{"role": string(i.Role)}
	if len(i.Safes) > 0 {
		m["safe_ids"], m["safe_role"] = texts(i.Safes), string(i.SafeRole)
	}
	return s.Scribe.Entry(a, t, i.target(), m)
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// mayInvite checks what is to be given, and fills in its defaults.
func (s *Service) mayInvite(ctx context.Context, op string, a pam.Actor, in *Settings) error {
	if !policy.Allowed(policy.MemberAdd, policy.Of(a, "")) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	var ps pam.Problems
	if !in.Role.Valid() {
		ps.Add("role", "is not a role")
	}
	in.Safes = slices.Compact(slices.Sorted(slices.Values(in.Safes)))
	if in.SafeRole == "" {
		in.SafeRole = pam.SafeOperator
		if in.Role == pam.Auditor {
			in.SafeRole = pam.SafeViewer
		}
	}
	switch {
	case !in.SafeRole.Valid():
		ps.Add("safe_role", "is not a role in a safe")
	case len(in.Safes) > 0 && in.Role.Valid() && !policy.MayHold(in.Role, in.SafeRole):
		ps.Add("safe_role", "is above viewer, which is the most that an auditor may hold")
	}
	if len(in.Safes) > MaxSafes {
		ps.Add("safe_ids", fmt.Sprintf("names more than %d", MaxSafes))
	}
	if err := ps.Err(op); err != nil {
		return err
	}
	if !mayGive(a.Role, in.Role) {
		return pam.Errorf(pam.Denied, op, "Nobody gives a role above their own.")
	}
	if len(in.Safes) == 0 {
		return nil
	}
	if !a.HasScope("safes:write") {
		return pam.Errorf(pam.ScopeMissing, op, "The token lacks the scope safes:write.")
	}
	safes, err := s.given(ctx, a.Org, a.User, a.Role, in.Safes)
	if err == nil && len(safes) != len(in.Safes) {
		err = pam.Errorf(pam.Denied, op, "Only a manager of each safe gives roles in it.")
	}
	return err
}

// mayGive says whether somebody with a role hands out another: an owner any,
// others at most their own.
func mayGive(role, given pam.Role) bool {
	f := policy.Facts{Role: role}
	if given == pam.Owner {
		return policy.Allowed(policy.OwnerName, f)
	}
	return policy.Allowed(policy.MemberAdd, f) && !given.Above(role)
}

// given are those of the Safes in which the user may give roles now.
func (s *Service) given(ctx context.Context, org pam.OrgID, user pam.UserID, role pam.Role, safes []pam.SafeID) ([]pam.SafeID, error) {
	if len(safes) == 0 || !policy.Allowed(policy.SafeMemberGive, policy.Facts{Role: role, SafeRole: pam.SafeManager}) {
		return nil, nil
	}
	managed, err := s.Store.ManagedSafes(ctx, org, user, s.Clock.Now())
	return slices.DeleteFunc(slices.Clone(safes), func(id pam.SafeID) bool { return !slices.Contains(managed, id) }), err
}

func addressesOf(op string, emails []string) ([]string, error) {
	var ps pam.Problems
	if len(emails) < 1 || len(emails) > MaxEmails {
		ps.Add("emails", fmt.Sprintf("must be 1 to %d", MaxEmails))
		return nil, ps.Err(op)
	}
	out := make([]string, len(emails))
	for i, e := range emails {
		normal, ok := naming.Email(e)
		switch {
		case !ok:
			ps.Add(fmt.Sprintf("emails[%d]", i), "is not an e-mail address")
		case slices.Contains(out[:i], normal):
			ps.Add(fmt.Sprintf("emails[%d]", i), "is there twice")
		}
		out[i] = normal
	}
	return out, ps.Err(op)
}

// write gives an invitation a new link and the letter with it.
func (s *Service) write(ctx context.Context, a pam.Actor, orgName string, l *Link, now time.Time) error {
	token, hash, err := s.Links.NewLink()
	if err != nil {
		return err
	}
	defer token.Wipe()
	l.TokenHash, l.SentAt, l.ExpiresAt = hash, now, now.Add(TTL)
	by := a.Name
	if by == "" || strings.Contains(a.Email, by+"@") {
		by = a.Email
	} else {
		by += " (" + a.Email + ")"
	}
	link := secret.FromString(s.URL() + "/invitation#" + string(token.Expose()))
	defer link.Wipe()
	l.Letter, err = s.Post.Letter(ctx, pam.Letter{
		Org: a.Org, Kind: pam.LetterInvitation, Object: string(l.ID), To: l.Email, Language: l.Language, OrgName: orgName, By: by, Role: l.Role, Link: link, Until: l.ExpiresAt,
	})
	return err
}

// List returns up to q.Limit invitations, newest first.
func (s *Service) List(ctx context.Context, a pam.Actor, q Query) ([]Invitation, error) {
	const op = "list invitations"
	if !policy.Allowed(policy.MemberAdd, policy.Of(a, "")) {
		return nil, &pam.Error{Kind: pam.Denied, Op: op}
	}
	q.Limit, q.Now = pam.PageSize(q.Limit), s.Clock.Now()
	out, err := s.Store.ListInvitations(ctx, a.Org, q)
	for i := range out {
		out[i] = out[i].At(q.Now)
	}
	return out, pam.Wrap(op, err)
}

// ByID returns one invitation.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.InvitationID) (Invitation, error) {
	const op = "read invitation"
	if !policy.Allowed(policy.MemberAdd, policy.Of(a, "")) {
		return Invitation{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	i, err := s.Store.InvitationByID(ctx, a.Org, id)
	return i.At(s.Clock.Now()), pam.Wrap(op, err)
}

// Resend mails a new link; the one before opens nothing more. From now on the
// invitation rests on the actor's word, who has to be able to give all of it.
func (s *Service) Resend(ctx context.Context, a pam.Actor, id pam.InvitationID) (Invitation, error) {
	const op = "send invitation anew"
	i, err := s.ByID(ctx, a, id)
	if err != nil {
		return Invitation{}, pam.Wrap(op, err)
	}
	if i.Status != Pending && i.Status != Expired {
		return Invitation{}, pam.Errorf(pam.Conflict, op, "This invitation is %s.", i.Status)
	}
	if err := s.mayInvite(ctx, op, a, &i.Settings); err != nil {
		return Invitation{}, err
	}
	name, err := s.Store.OrgName(ctx, a.Org)
	if err != nil {
		return Invitation{}, pam.Wrap(op, err)
	}
	l := Link{Invitation: i}
	l.Status, l.InvitedBy, l.Delivery = Pending, a.User, pam.Delivery{Status: pam.DeliveryPending}
	if err := s.write(ctx, a, name, &l, s.Clock.Now()); err != nil {
		return Invitation{}, pam.Wrap(op, err)
	}
	return l.Invitation, pam.Wrap(op, s.Store.RenewInvitation(ctx, a.Org, l, s.entry(a, audit.InvitationResent, l.Invitation)))
}

// Revoke ends an invitation. Nobody revokes one to a role above their own.
func (s *Service) Revoke(ctx context.Context, a pam.Actor, id pam.InvitationID) error {
	const op = "revoke invitation"
	i, err := s.ByID(ctx, a, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if i.Role.Above(a.Role) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return pam.Wrap(op, s.Store.RevokeInvitation(ctx, a.Org, id, s.Clock.Now(), s.entry(a, audit.InvitationRevoked, i)))
}

// Client is where a request comes from.
type Client struct {
	From      netip.Addr
	RequestID string
}

func gone(op string) error {
	return pam.Errorf(pam.NotFound, op, "This invitation is not valid, or not any more. Ask for a new one.")
}

// Look shows an invitation to whoever has its link.
func (s *Service) Look(ctx context.Context, token string) (Shown, error) {
	shown, _, err := s.look(ctx, "look at invitation", token)
	return shown, err
}

func (s *Service) look(ctx context.Context, op, token string) (Shown, [32]byte, error) {
	hash, ok := s.Links.LinkHash(token)
	if !ok {
		return Shown{}, hash, gone(op)
	}
	shown, err := s.Store.InvitationByToken(ctx, hash)
	if pam.Is(err, pam.NotFound) {
		return Shown{}, hash, gone(op)
	}
	if err == nil && shown.At(s.Clock.Now()).Status != Pending {
		err = gone(op)
	}
	return shown, hash, err
}

// AcceptAsNew makes a person whose home is the organization, with the address
// that the link was mailed to and a password of their own choice.
func (s *Service) AcceptAsNew(ctx context.Context, token, name, language string, password secret.Value, c Client) (Invitation, error) {
	const op = "accept invitation"
	shown, hash, err := s.look(ctx, op, token)
	if err != nil {
		return Invitation{}, err
	}
	if shown.Known {
		return Invitation{}, pam.Errorf(pam.Conflict, op, "There is an account with this address: sign in to accept.")
	}
	if name == "" {
		name, _, _ = strings.Cut(shown.Email, "@")
	}
	if problem := naming.Problem(name); problem != "" {
		var ps pam.Problems
		ps.Add("name", problem)
		return Invitation{}, ps.Err(op)
	}
	h, err := s.Passwords.Hash(ctx, op, "password", password)
	if err != nil {
		return Invitation{}, err
	}
	u := &NewUser{ID: pam.UserID(s.IDs.New(pam.PrefixUser)), Name: name, PasswordHash: h, Language: language}
	a := pam.Actor{User: u.ID, Email: shown.Email, Org: shown.Org, From: c.From, RequestID: c.RequestID}
	return s.accept(ctx, op, a, shown.Invitation, hash, u)
}

// Accept takes an invitation up as the actor, whose address it was mailed to.
func (s *Service) Accept(ctx context.Context, a pam.Actor, token string) (Invitation, error) {
	const op = "accept invitation"
	if a.Token != pam.LoginToken || a.Only != "" {
		return Invitation{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	shown, hash, err := s.look(ctx, op, token)
	if err != nil {
		return Invitation{}, err
	}
	if shown.Email != a.Email {
		return Invitation{}, pam.Errorf(pam.Denied, op, "This invitation was sent to another address than yours: sign in with that one.")
	}
	a.Org = shown.Org
	return s.accept(ctx, op, a, shown.Invitation, hash, nil)
}

// accept rests on the word of whoever invited: if they could not give the role
// any more, nobody gets it; roles in Safes are given as far as they still can.
func (s *Service) accept(ctx context.Context, op string, a pam.Actor, i Invitation, hash [32]byte, u *NewUser) (Invitation, error) {
	role, active, err := s.Store.ActiveRole(ctx, i.Org, i.InvitedBy)
	if err != nil {
		return Invitation{}, pam.Wrap(op, err)
	}
	if !active || !mayGive(role, i.Role) {
		return Invitation{}, pam.Errorf(pam.Conflict, op, "Whoever has invited you may not do so any more. Ask for a new invitation.")
	}
	safes, err := s.given(ctx, i.Org, i.InvitedBy, role, i.Safes)
	if err != nil {
		return Invitation{}, pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	with := Acceptance{User: a.User, New: u, InviterRole: role, At: now}
	entries := []audit.Entry{s.Scribe.Entry(a, audit.MemberJoined, audit.Party{Type: "user", ID: string(a.User), Name: a.Email},
		map[string]any{"role": string(i.Role), "invitation_id": string(i.ID), "invited_by": string(i.InvitedBy)})}
	for _, id := range safes {
		with.Members = append(with.Members, Member{ID: pam.MemberID(s.IDs.New(pam.PrefixMember)), Safe: id})
		entries = append(entries, s.Scribe.Entry(a, audit.SafeMemberAdded, audit.Party{Type: "safe", ID: string(id)},
			map[string]any{"user_id": string(a.User), "role": string(i.SafeRole), "invitation_id": string(i.ID), "invited_by": string(i.InvitedBy)}))
	}
	if err := s.Store.AcceptInvitation(ctx, i, hash, with, entries...); err != nil {
		if pam.Is(err, pam.NotFound) {
			return Invitation{}, gone(op)
		}
		return Invitation{}, pam.Wrap(op, err)
	}
	i.Status, i.AcceptedBy, i.EndedAt, i.Safes = Accepted, a.User, now, safes
	return i, nil
}
