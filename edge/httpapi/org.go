package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/org"
)

func (a *API) getMemberships(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.Memberships], error) {
	active, err := a.Identity.ActiveOrg(ctx, actor)
	if err != nil {
		return nil, err
	}
	rows, err := a.Orgs.Memberships(ctx, actor.User)
	if err != nil {
		return nil, err
	}
	out := v1.Memberships{ActiveOrgID: string(active), Memberships: []v1.Membership{}}
	for _, m := range rows {
		// A token is good in its own organization only, and names no other; so
		// does a login by the word of one.
		if actor.Token == pam.PersonalToken && m.Org != actor.Org || actor.Only != "" && m.Org != actor.Only {
			continue
		}
		out.Memberships = append(out.Memberships, v1.Membership{OrgID: string(m.Org), Role: string(m.Role), Name: m.Name, Slug: m.Slug, Status: string(m.Status)})
	}
	if actor.Token == pam.PersonalToken {
		out.ActiveOrgID = string(actor.Org)
	}
	return &answer[v1.Memberships]{out}, nil
}

func (a *API) acceptMembership(ctx context.Context, actor pam.Actor, in *struct {
	OrgID string `path:"org_id" maxLength:"64"`
},
) (*answer[v1.Member], error) {
	m, err := a.Orgs.Accept(ctx, actor, pam.OrgID(in.OrgID))
	return reply(memberOf(m), err)
}

func (a *API) getOrg(ctx context.Context, actor pam.Actor, _ *nothing) (*versioned[v1.Org], error) {
	o, err := a.Orgs.Get(ctx, actor)
	return orgReply(o, err)
}

func orgReply(o org.Organization, err error) (*versioned[v1.Org], error) {
	if err != nil {
		return nil, err
	}
	return &versioned[v1.Org]{etag(o.Version), orgOf(o)}, nil
}

func orgOf(o org.Organization) v1.Org {
	s := o.Settings
	return v1.Org{ID: string(o.ID), CreatedAt: o.CreatedAt, OrgIn: v1.OrgIn{
		Name: o.Name, Slug: o.Slug, IdleTimeoutSeconds: s.IdleTimeoutSeconds, RecordingRetentionDays: s.RecordingRetentionDays,
		MFARequired: s.MFARequired, AdminsSeeAll: s.AdminsSeeAll, DualControl: s.DualControl, AnonymousShares: s.AnonymousShares,
		RequestTimeoutSeconds: s.RequestTimeoutSeconds, ApprovalCooldownSeconds: s.ApprovalCooldownSeconds,
	}}
}

func (a *API) patchOrg(ctx context.Context, actor pam.Actor, in *struct {
	Raw
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The ETag that was read"`
},
) (*versioned[v1.Org], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.Orgs.Get(ctx, actor)
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.OrgIn](a, orgOf(old).OrgIn, in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	o, err := a.Orgs.Update(ctx, actor, body.Name, body.Slug, org.Settings{
		IdleTimeoutSeconds: body.IdleTimeoutSeconds, RecordingRetentionDays: body.RecordingRetentionDays, MFARequired: body.MFARequired,
		AdminsSeeAll: body.AdminsSeeAll, DualControl: body.DualControl, AnonymousShares: body.AnonymousShares,
		RequestTimeoutSeconds: body.RequestTimeoutSeconds, ApprovalCooldownSeconds: body.ApprovalCooldownSeconds,
	}, version)
	return orgReply(o, err)
}

func (a *API) listOrganizations(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.Org], error) {
	before, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Orgs.ListAll(ctx, actor, pam.OrgID(before), in.limit()+1)
	if err != nil {
		return nil, err
	}
	return newList("/organizations", nil, *in, rows, func(o org.Organization) string { return string(o.ID) }, orgOf), nil
}

func (a *API) postOrganization(ctx context.Context, actor pam.Actor, in *withBody[v1.OrganizationIn]) (*answer[v1.Org], error) {
	password := secret.FromString(in.Body.OwnerPassword)
	defer password.Wipe()
	o, err := a.Orgs.Create(ctx, actor, in.Body.Name, in.Body.Slug, in.Body.OwnerEmail, password)
	return reply(orgOf(o), err)
}

func memberOf(m org.Member) v1.Member {
	return v1.Member{UserID: string(m.User), Email: m.Email, Name: m.Name, Role: string(m.Role), Status: string(m.Status), ServiceUser: m.Machine, JoinedAt: m.JoinedAt}
}

func (a *API) listMembers(ctx context.Context, actor pam.Actor, in *struct {
	Page
	Q      string `query:"q" maxLength:"256" doc:"Only those in whose e-mail address or name this is, in upper or lower case"`
	Sort   string `query:"sort" enum:"name,-name,created_at,-created_at" doc:"Default -created_at; name is by e-mail address"`
	Role   string `query:"role" enum:"owner,admin,policy_manager,operator,auditor"`
	Status string `query:"status" enum:"active,invited,suspended"`
},
) (*listOf[v1.Member], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Orgs.Members(ctx, actor, org.Query{
		Text: in.Q, Role: pam.Role(in.Role), Status: org.Status(in.Status), Order: naming.Order(in.Sort), Limit: in.limit() + 1,
	}, after)
	if err != nil {
		return nil, err
	}
	return newList("/org/members", given("q", in.Q, "sort", in.Sort, "role", in.Role, "status", in.Status), in.Page, rows, org.Member.Cursor, memberOf), nil
}

func (a *API) postMember(ctx context.Context, actor pam.Actor, in *withBody[v1.MemberIn]) (*answer[v1.Member], error) {
	password := secret.FromString(in.Body.Password)
	defer password.Wipe()
	if in.Body.ServiceUser {
		m, err := a.Orgs.AddMachine(ctx, actor, in.Body.Email, pam.Role(in.Body.Role))
		return reply(memberOf(m), err)
	}
	mustChange := in.Body.MustChangePassword == nil || *in.Body.MustChangePassword
	m, err := a.Orgs.Add(ctx, actor, in.Body.Email, pam.Role(in.Body.Role), password, mustChange)
	return reply(memberOf(m), err)
}

type ByUser struct {
	UserID string `path:"user_id" maxLength:"64"`
}

func (a *API) getMember(ctx context.Context, actor pam.Actor, in *ByUser) (*answer[v1.Member], error) {
	m, err := a.Orgs.Member(ctx, actor, pam.UserID(in.UserID))
	return reply(memberOf(m), err)
}

func (a *API) patchMember(ctx context.Context, actor pam.Actor, in *struct {
	ByUser
	Raw
},
) (*answer[v1.Member], error) {
	old, err := a.Orgs.Member(ctx, actor, pam.UserID(in.UserID))
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.MemberPatch](a, v1.MemberPatch{Role: string(old.Role)}, in.RawBody)
	if err != nil {
		return nil, err
	}
	m, err := a.Orgs.SetRole(ctx, actor, pam.UserID(in.UserID), pam.Role(body.Role))
	return reply(memberOf(m), err)
}

func (a *API) deleteMember(ctx context.Context, actor pam.Actor, in *ByUser) (*nothing, error) {
	return nil, a.Orgs.Remove(ctx, actor, pam.UserID(in.UserID))
}

func (a *API) suspendMember(ctx context.Context, actor pam.Actor, in *ByUser) (*answer[v1.Member], error) {
	m, err := a.Orgs.Suspend(ctx, actor, pam.UserID(in.UserID))
	return reply(memberOf(m), err)
}

func (a *API) resumeMember(ctx context.Context, actor pam.Actor, in *ByUser) (*answer[v1.Member], error) {
	m, err := a.Orgs.Resume(ctx, actor, pam.UserID(in.UserID))
	return reply(memberOf(m), err)
}
