package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/invitation"
)

func invitationOf(i invitation.Invitation) v1.Invitation {
	out := v1.Invitation{
		ID: string(i.ID), Email: i.Email, Role: string(i.Role), SafeIDs: make([]string, 0, len(i.Safes)), RequireMFA: i.RequireMFA, Status: string(i.Status),
		InvitedBy: string(i.InvitedBy), CreatedAt: i.CreatedAt, SentAt: i.SentAt, ExpiresAt: i.ExpiresAt, EndedAt: moment(i.EndedAt), AcceptedBy: string(i.AcceptedBy),
	}
	for _, s := range i.Safes {
		out.SafeIDs = append(out.SafeIDs, string(s))
	}
	if len(i.Safes) > 0 {
		out.SafeRole = string(i.SafeRole)
	}
	if d := i.Delivery; d.Status != "" {
		out.Delivery = &v1.Delivery{Status: string(d.Status), Attempts: d.Attempts, Problem: d.Problem, At: moment(d.At)}
	}
	return out
}

func (a *API) postInvitations(ctx context.Context, actor pam.Actor, in *withBody[v1.InvitationsIn]) (*answer[[]v1.Invitation], error) {
	b := in.Body
	s := invitation.Settings{Role: pam.Role(b.Role), SafeRole: pam.SafeRole(b.SafeRole), RequireMFA: b.RequireMFA, Language: b.Language}
	for _, id := range b.SafeIDs {
		s.Safes = append(s.Safes, pam.SafeID(id))
	}
	rows, err := a.Invitations.Invite(ctx, actor, b.Emails, s)
	if err != nil {
		return nil, err
	}
	out := make([]v1.Invitation, len(rows))
	for i, row := range rows {
		out[i] = invitationOf(row)
	}
	return &answer[[]v1.Invitation]{out}, nil
}

func (a *API) listInvitations(ctx context.Context, actor pam.Actor, in *struct {
	Page
	Q      string `query:"q" maxLength:"256" doc:"Only those in whose e-mail address this is"`
	Status string `query:"status" enum:"pending,accepted,revoked,expired"`
},
) (*listOf[v1.Invitation], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Invitations.List(ctx, actor, invitation.Query{Status: invitation.Status(in.Status), Text: in.Q, After: pam.InvitationID(after), Limit: in.limit() + 1})
	if err != nil {
		return nil, err
	}
	return newList("/org/invitations", given("q", in.Q, "status", in.Status), in.Page, rows, func(i invitation.Invitation) string { return string(i.ID) }, invitationOf), nil
}

func (a *API) getInvitation(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Invitation], error) {
	i, err := a.Invitations.ByID(ctx, actor, pam.InvitationID(in.ID))
	return reply(invitationOf(i), err)
}

func (a *API) resendInvitation(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Invitation], error) {
	i, err := a.Invitations.Resend(ctx, actor, pam.InvitationID(in.ID))
	return reply(invitationOf(i), err)
}

func (a *API) deleteInvitation(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.Invitations.Revoke(ctx, actor, pam.InvitationID(in.ID))
}

func (a *API) lookAtInvitation(ctx context.Context, _ pam.Actor, in *withBody[v1.LinkIn]) (*answer[v1.InvitationShown], error) {
	s, err := a.Invitations.Look(ctx, in.Body.Token)
	return reply(v1.InvitationShown{OrgName: s.OrgName, Email: s.Email, Role: string(s.Role), Known: s.Known, ExpiresAt: s.ExpiresAt}, err)
}

func accepted(i invitation.Invitation, err error) (*answer[v1.InvitationAccepted], error) {
	return reply(v1.InvitationAccepted{OrgID: string(i.Org), UserID: string(i.AcceptedBy), Email: i.Email, Role: string(i.Role)}, err)
}

func (a *API) acceptInvitationAsNew(ctx context.Context, _ pam.Actor, in *withBody[v1.InvitationAcceptIn]) (*answer[v1.InvitationAccepted], error) {
	password := secret.FromString(in.Body.Password)
	defer password.Wipe()
	c := callOf(ctx)
	return accepted(a.Invitations.AcceptAsNew(ctx, in.Body.Token, in.Body.Name, in.Body.Language, password, invitation.Client{From: c.from, RequestID: c.id}))
}

func (a *API) acceptInvitation(ctx context.Context, actor pam.Actor, in *withBody[v1.LinkIn]) (*answer[v1.InvitationAccepted], error) {
	return accepted(a.Invitations.Accept(ctx, actor, in.Body.Token))
}

func (a *API) resetMemberPassword(ctx context.Context, actor pam.Actor, in *struct {
	ByUser
	Raw
},
) (*answer[v1.PasswordReset], error) {
	var body v1.PasswordResetIn
	if len(in.RawBody) > 0 {
		var err error
		if body, err = decode[v1.PasswordResetIn](a, nil, in.RawBody); err != nil {
			return nil, err
		}
	}
	m, until, err := a.Orgs.ResetPassword(ctx, actor, pam.UserID(in.UserID), body.Language)
	return reply(v1.PasswordReset{UserID: string(m.User), Email: m.Email, ExpiresAt: until}, err)
}

func (a *API) postNewPassword(ctx context.Context, _ pam.Actor, in *withBody[v1.NewPasswordIn]) (*nothing, error) {
	password := secret.FromString(in.Body.NewPassword)
	defer password.Wipe()
	return nil, a.Identity.ResetPassword(ctx, in.Body.Token, password, clientOf(callOf(ctx)))
}

func (a *API) transferOwnership(ctx context.Context, actor pam.Actor, in *withBody[v1.OwnershipIn]) (*answer[v1.Member], error) {
	m, err := a.Orgs.TransferOwnership(ctx, actor, pam.UserID(in.Body.UserID))
	return reply(memberOf(m), err)
}
