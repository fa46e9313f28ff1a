package httpapi

import (
	"context"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/session"
)

func sessionOf(s session.Session) v1.Session {
	return v1.Session{
		ID: string(s.ID), Status: string(s.Status), Protocol: string(s.Protocol), UserID: string(s.UserID), SafeID: string(s.SafeID),
		ResourceID: string(s.ResourceID), AccountID: string(s.AccountID), StartedAt: s.StartedAt, EndedAt: moment(s.EndedAt), EndReason: s.EndReason,
		RecordingID: string(s.RecordingID), BytesIn: s.BytesIn, BytesOut: s.BytesOut, ClientIP: s.ClientIP, Emergency: s.Emergency,
	}
}

// Span is the filters that sessions and recordings share.
type Span struct {
	Page
	UserID     string    `query:"user_id" maxLength:"64"`
	ResourceID string    `query:"resource_id" maxLength:"64"`
	SafeID     string    `query:"safe_id" maxLength:"64"`
	MinMS      int64     `query:"min_duration_ms" minimum:"0" maximum:"4503599627370496"`
	MaxMS      int64     `query:"max_duration_ms" minimum:"0" maximum:"4503599627370496" doc:"0: any"`
	From       time.Time `query:"from" doc:"Started at or after, RFC 3339"`
	To         time.Time `query:"to" doc:"Started before, RFC 3339"`
}

func (s Span) query(more ...string) []string {
	return append([]string{"user_id", s.UserID, "resource_id", s.ResourceID, "safe_id", s.SafeID, "from", stamp(s.From), "to", stamp(s.To), "min_duration_ms", number(s.MinMS), "max_duration_ms", number(s.MaxMS)}, more...)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (a *API) listSessions(ctx context.Context, actor pam.Actor, in *struct {
	Span
	Status string `query:"status" enum:"pending,active,ended,failed"`
},
) (*listOf[v1.Session], error) {
	before, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Sessions.List(ctx, actor, session.Filter{
		UserID: pam.UserID(in.UserID), ResourceID: pam.ResourceID(in.ResourceID), SafeID: pam.SafeID(in.SafeID), Status: session.Status(in.Status),
		From: in.From, Until: in.To, MinMS: in.MinMS, MaxMS: in.MaxMS, Before: pam.SessionID(before), Limit: in.limit() + 1,
	})
	if err != nil {
		return nil, err
	}
	out := newList("/sessions", given(in.query("status", in.Status)...), in.Page, rows, func(s session.Session) string { return string(s.ID) }, sessionOf)
	return out, a.nameSessions(ctx, actor.Org, out.Body)
}

// nameSessions fills in who and what the ids are, for people.
func (a *API) nameSessions(ctx context.Context, org pam.OrgID, rows []v1.Session) error {
	return nameRows(ctx, a.Labels, org, rows, func(s *v1.Session) []label {
		return []label{{s.UserID, &s.UserEmail}, {s.SafeID, &s.SafeName}, {s.ResourceID, &s.ResourceName}, {s.AccountID, &s.AccountName}}
	})
}

// oneSession is the answer about a single session.
func (a *API) oneSession(ctx context.Context, org pam.OrgID, s session.Session, err error) (*answer[v1.Session], error) {
	if err != nil {
		return nil, err
	}
	rows := []v1.Session{sessionOf(s)}
	err = a.nameSessions(ctx, org, rows)
	return reply(rows[0], err)
}

func (a *API) postSession(ctx context.Context, actor pam.Actor, in *withBody[v1.SessionIn]) (*answer[v1.Launch], error) {
	s, err := a.Broker.Launch(ctx, actor, broker.Want{Safe: in.Body.SafeID, Resource: in.Body.ResourceID, Account: in.Body.AccountID, Reason: in.Body.Reason, Emergency: in.Body.Emergency})
	if err != nil {
		return nil, err
	}
	out := v1.Launch{ID: string(s.ID), Protocol: string(s.Protocol), ExpiresAt: s.ExpiresAt}
	if s.Protocol == pam.SSH {
		out.Command = a.SSHCommand(actor.Email, string(s.SafeID)+"+"+string(s.AccountID)+"@"+string(s.ResourceID))
		out.TerminalURL = "/api/v1/sessions/" + string(s.ID) + "/terminal"
		if out.TerminalTicket, err = a.Terminal.Ticket(actor, s.ID); err != nil {
			return nil, err
		}
	}
	return &answer[v1.Launch]{out}, nil
}

func (a *API) getSession(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.Session], error) {
	s, err := a.Sessions.ByID(ctx, actor, pam.SessionID(in.ID))
	return a.oneSession(ctx, actor.Org, s, err)
}

func (a *API) terminateSession(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Raw
},
) (*answer[v1.Session], error) {
	var body v1.TerminateIn
	if len(in.RawBody) > 0 {
		var err error
		if body, err = decode[v1.TerminateIn](a, nil, in.RawBody); err != nil {
			return nil, err
		}
	}
	s, err := a.Sessions.Terminate(ctx, actor, pam.SessionID(in.ID), body.Reason)
	return a.oneSession(ctx, actor.Org, s, err)
}
