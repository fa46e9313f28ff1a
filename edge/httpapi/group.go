package httpapi

import (
	"context"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/group"
)

func groupOf(g group.Group) v1.Group {
	out := v1.Group{
		ID: string(g.ID), Name: g.Name, MemberIDs: make([]string, 0, len(g.Members)), MemberCount: g.Count, Source: string(g.Source),
		CreatedAt: g.CreatedAt, UpdatedAt: g.UpdatedAt,
	}
	for _, u := range g.Members {
		out.MemberIDs = append(out.MemberIDs, string(u))
	}
	return out
}

func groupReply(g group.Group, err error) (*versioned[v1.Group], error) {
	if err != nil {
		return nil, err
	}
	return &versioned[v1.Group]{etag(g.Version), groupOf(g)}, nil
}

func usersOf(ids []string) []pam.UserID {
	out := make([]pam.UserID, len(ids))
	for i, id := range ids {
		out[i] = pam.UserID(id)
	}
	return out
}

func (a *API) listGroups(ctx context.Context, actor pam.Actor, in *struct {
	Sorted
	UserID string `query:"user_id" maxLength:"64" doc:"Only those that this user is in"`
},
) (*listOf[v1.Group], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, more, err := a.Groups.List(ctx, actor, group.Filter{Text: in.Q, User: pam.UserID(in.UserID), Order: naming.Order(in.Sort)}, after, in.limit())
	if err != nil {
		return nil, err
	}
	out := newList("/org/groups", nil, in.Page, rows, group.Group.Cursor, groupOf)
	if more {
		out.Link = link("/org/groups", in.query("user_id", in.UserID), in.limit(), rows[len(rows)-1].Cursor())
	}
	return out, nil
}

func (a *API) postGroup(ctx context.Context, actor pam.Actor, in *Raw) (*versioned[v1.Group], error) {
	body, err := decode[v1.NewGroup](a, nil, in.RawBody)
	if err != nil {
		return nil, err
	}
	if group.Source(body.Source) == group.Claim {
		if len(body.MemberIDs) > 0 {
			var ps pam.Problems
			ps.Add("member_ids", "must be left out: single sign-on fills this group")
			return nil, ps.Err("create group")
		}
		return groupReply(a.Groups.CreateFed(ctx, actor, body.Name))
	}
	return groupReply(a.Groups.Create(ctx, actor, body.Name, usersOf(body.MemberIDs)))
}

func (a *API) getGroup(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Group], error) {
	return groupReply(a.Groups.ByID(ctx, actor, pam.GroupID(in.ID)))
}

func (a *API) patchGroup(ctx context.Context, actor pam.Actor, in *change) (*versioned[v1.Group], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.Groups.ByID(ctx, actor, pam.GroupID(in.ID))
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.GroupIn](a, v1.GroupIn{Name: old.Name, MemberIDs: groupOf(old).MemberIDs}, in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	return groupReply(a.Groups.Update(ctx, actor, old.ID, version, body.Name, usersOf(body.MemberIDs)))
}

func (a *API) deleteGroup(ctx context.Context, actor pam.Actor, in *removal) (*nothing, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.Groups.Delete(ctx, actor, pam.GroupID(in.ID), version)
}

func (a *API) listGroupMembers(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Page
},
) (*listOf[v1.GroupMember], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Groups.Members(ctx, actor, pam.GroupID(in.ID), pam.UserID(after), in.limit()+1)
	if err != nil {
		return nil, err
	}
	return newList("/org/groups/"+in.ID+"/members", nil, in.Page, rows, func(m group.Member) string { return string(m.User) }, func(m group.Member) v1.GroupMember {
		return v1.GroupMember{UserID: string(m.User), Email: m.Email, Name: m.Name, Role: string(m.Role), Status: m.Status}
	}), nil
}

type groupMember struct {
	ByID
	UserID string `path:"user_id" maxLength:"64"`
}

func (a *API) putGroupMember(ctx context.Context, actor pam.Actor, in *groupMember) (*versioned[v1.Group], error) {
	return groupReply(a.Groups.AddMember(ctx, actor, pam.GroupID(in.ID), pam.UserID(in.UserID)))
}

func (a *API) deleteGroupMember(ctx context.Context, actor pam.Actor, in *groupMember) (*nothing, error) {
	_, err := a.Groups.RemoveMember(ctx, actor, pam.GroupID(in.ID), pam.UserID(in.UserID))
	return nil, err
}
