package httpapi

import (
	"context"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/request"
)

func requestOf(r request.Request) v1.AccessRequest {
	out := v1.AccessRequest{
		ID: string(r.ID), Status: string(r.Status), SafeID: string(r.Safe), SafeName: r.SafeName, UserID: string(r.User), Email: r.Email, Reason: r.Reason, Ticket: r.Ticket,
		DurationSeconds: seconds(r.Duration), Command: r.Command, CommandSHA256: request.CommandHash(r.Command), Approvers: r.Approvers, Decisions: make([]v1.AccessDecided, 0, len(r.Decisions)),
		CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, EndedAt: moment(r.EndedAt), GrantID: string(r.Grant), GrantedSeconds: seconds(r.Granted), CanDecide: r.Mine,
	}
	for _, d := range r.Decisions {
		x := v1.AccessDecided{UserID: string(d.User), Email: d.Email, Decision: "reject", Comment: d.Comment, At: d.At}
		if d.Approve {
			x.Decision, x.DurationSeconds = "approve", seconds(d.Duration)
		}
		out.Decisions = append(out.Decisions, x)
	}
	return out
}

func seconds(d time.Duration) int { return int(d / time.Second) }

func grantOf(g request.Grant) v1.Grant {
	return v1.Grant{
		ID: string(g.ID), RequestID: string(g.Request), UserID: string(g.User), Email: g.Email, SafeID: string(g.Safe), SafeName: g.SafeName, Approvers: g.Approvers,
		StartsAt: g.Starts, EndsAt: g.Ends, CommandSHA256: g.Command, Status: string(g.Status), EndedAt: moment(g.EndedAt), EndedBy: string(g.EndedBy),
	}
}

func (a *API) listRequests(ctx context.Context, actor pam.Actor, in *struct {
	Page
	Status   string `query:"status" enum:"pending,approved,rejected,expired,cancelled"`
	SafeID   string `query:"safe_id" maxLength:"64"`
	UserID   string `query:"user_id" maxLength:"64" doc:"Only what this user asks for"`
	ToDecide bool   `query:"to_decide" doc:"Only those on which the caller may decide"`
},
) (*listOf[v1.AccessRequest], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Requests.List(ctx, actor, request.Query{
		Status: request.Status(in.Status), Safe: pam.SafeID(in.SafeID), User: pam.UserID(in.UserID), After: pam.RequestID(after), Limit: in.limit() + 1,
	}, in.ToDecide)
	if err != nil {
		return nil, err
	}
	query := given("status", in.Status, "safe_id", in.SafeID, "user_id", in.UserID)
	if in.ToDecide {
		query.Set("to_decide", "true")
	}
	return newList("/access-requests", query, in.Page, rows, func(r request.Request) string { return string(r.ID) }, requestOf), nil
}

func (a *API) postRequest(ctx context.Context, actor pam.Actor, in *withBody[v1.AccessRequestIn]) (*answer[v1.AccessRequest], error) {
	b := in.Body
	r, err := a.Requests.Create(ctx, actor, request.Ask{
		Safe: pam.SafeID(b.SafeID), Reason: b.Reason, Ticket: b.Ticket, Duration: time.Duration(b.DurationSeconds) * time.Second, Command: b.Command,
	})
	return reply(requestOf(r), err)
}

func (a *API) getRequest(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.AccessRequest], error) {
	r, err := a.Requests.ByID(ctx, actor, pam.RequestID(in.ID))
	return reply(requestOf(r), err)
}

// decideIn is a decision, whose body may be left out.
type decideIn struct {
	ByID
	Raw
}

func (a *API) decide(ctx context.Context, actor pam.Actor, in *decideIn, approve bool) (*answer[v1.AccessRequest], error) {
	var body v1.AccessDecideIn
	if len(in.RawBody) > 0 {
		var err error
		if body, err = decode[v1.AccessDecideIn](a, nil, in.RawBody); err != nil {
			return nil, err
		}
	}
	r, err := a.Requests.Decide(ctx, actor, pam.RequestID(in.ID), approve, time.Duration(body.DurationSeconds)*time.Second, body.Comment, body.Link)
	return reply(requestOf(r), err)
}

func (a *API) approveRequest(ctx context.Context, actor pam.Actor, in *decideIn) (*answer[v1.AccessRequest], error) {
	return a.decide(ctx, actor, in, true)
}

func (a *API) rejectRequest(ctx context.Context, actor pam.Actor, in *decideIn) (*answer[v1.AccessRequest], error) {
	return a.decide(ctx, actor, in, false)
}

func (a *API) cancelRequest(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.AccessRequest], error) {
	r, err := a.Requests.Cancel(ctx, actor, pam.RequestID(in.ID))
	return reply(requestOf(r), err)
}

func (a *API) listGrants(ctx context.Context, actor pam.Actor, in *struct {
	Page
	Status string `query:"status" enum:"active,used,ended,revoked"`
	SafeID string `query:"safe_id" maxLength:"64"`
	UserID string `query:"user_id" maxLength:"64"`
},
) (*listOf[v1.Grant], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Requests.Grants(ctx, actor, request.GrantQuery{
		Status: request.GrantStatus(in.Status), Safe: pam.SafeID(in.SafeID), User: pam.UserID(in.UserID), After: pam.GrantID(after), Limit: in.limit() + 1,
	})
	if err != nil {
		return nil, err
	}
	return newList("/grants", given("status", in.Status, "safe_id", in.SafeID, "user_id", in.UserID), in.Page, rows, func(g request.Grant) string { return string(g.ID) }, grantOf), nil
}

func (a *API) getGrant(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Grant], error) {
	g, err := a.Requests.Grant(ctx, actor, pam.GrantID(in.ID))
	return reply(grantOf(g), err)
}

func (a *API) deleteGrant(ctx context.Context, actor pam.Actor, in *ByID) (*nothing, error) {
	return nil, a.Requests.Revoke(ctx, actor, pam.GrantID(in.ID))
}
