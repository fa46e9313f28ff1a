package session

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Deps is what a Service works with.
type Deps struct {
	Store  Store
	Access Access
	Scribe *audit.Scribe
	Clock  clock.Clock
	Log    *slog.Logger
}

// Service reads sessions and asks for their end.
type Service struct {
	store  Store
	access Access
	scribe *audit.Scribe
	clock  clock.Clock
	log    *slog.Logger
}

// New makes a Service.
func New(d Deps) *Service {
	return &Service{store: d.Store, access: d.Access, scribe: d.Scribe, clock: d.Clock, log: d.Log}
}

// may says whether the actor may do what to session cur.
func (s *Service) may(ctx context.Context, what policy.Action, actor pam.Actor, cur Session) (bool, error) {
	facts := policy.Of(actor, "").Owning(cur.UserID == actor.User)
	if policy.Allowed(what, facts) {
		return true, nil
	}
	role, _, err := s.access.RoleOf(ctx, actor.Org, cur.SafeID, actor.User, s.clock.Now())
	facts.SafeRole = role
	return err == nil && policy.Allowed(what, facts), err
}

// ByID returns a session that the actor may know of: their own, one of a Safe
// that they manage, or any for an owner, admin or auditor. Others are NotFound.
func (s *Service) ByID(ctx context.Context, actor pam.Actor, id pam.SessionID) (Session, error) {
	const op = "read session"
	out, err := s.store.SessionByID(ctx, actor.Org, id)
	if err != nil {
		return Session{}, pam.Wrap(op, err)
	}
	may, err := s.may(ctx, policy.SessionSee, actor, out)
	if err != nil {
		return Session{}, pam.Wrap(op, err)
	}
	if !may {
		return Session{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return out, nil
}

// List returns the sessions that the actor may know of, newest first.
func (s *Service) List(ctx context.Context, actor pam.Actor, f Filter) ([]Session, error) {
	const op = "list sessions"
	f.Visible = nil
	if !policy.Allowed(policy.SessionSee, policy.Of(actor, "")) {
		safes, err := s.access.ManagedSafes(ctx, actor.Org, actor.User, s.clock.Now())
		if err != nil {
			return nil, pam.Wrap(op, err)
		}
		f.Visible = &Visible{User: actor.User, Safes: safes}
	}
	out, err := s.store.ListSessions(ctx, actor.Org, f)
	return out, pam.Wrap(op, err)
}

// Terminate asks for the end of a session, wherever it is served, and returns
// once that wish and its event are durable; the connection is cut within a
// second. Owners, admins, managers of the Safe and the user themself may.
func (s *Service) Terminate(ctx context.Context, actor pam.Actor, id pam.SessionID, reason string) (Session, error) {
	const op = "terminate session"
	reason, err := CleanReason(reason)
	if err != nil {
		return Session{}, err
	}
	cur, err := s.ByID(ctx, actor, id)
	if err != nil {
		return Session{}, pam.Wrap(op, err)
	}
	may, err := s.may(ctx, policy.SessionTerminate, actor, cur)
	if err != nil {
		return Session{}, pam.Wrap(op, err)
	}
	if !may {
		return Session{}, pam.Errorf(pam.Denied, op, "You may see this session, but not end it.")
	}
	if !cur.Status.Open() {
		return Session{}, pam.Errorf(pam.Conflict, op, "This session is over.")
	}
	kill := "terminated by " + actor.Email
	if cur.UserID == actor.User {
		kill = "terminated by its user"
	}
	if reason != "" {
		kill += ": " + reason
	}
	e := s.scribe.Entry(actor, audit.SessionTerminated, Target(cur), map[string]any{"reason": reason, "safe_id": string(cur.SafeID), "user_id": string(cur.UserID)})
	if err := s.store.KillSession(ctx, actor.Org, id, kill, e); err != nil {
		return Session{}, pam.Wrap(op, err)
	}
	out, err := s.store.SessionByID(ctx, actor.Org, id)
	return out, pam.Wrap(op, err)
}

// Target names a session in an audit event.
func Target(s Session) audit.Party { return audit.Party{Type: "session", ID: string(s.ID)} }

// EndedEvent is the event of a session's end. safe is the name of its Safe, ""
// where that is not known any more; root is the recording's root hash, ""
// without one. It is the session's user who acts, from where they
// were.
func EndedEvent(scribe *audit.Scribe, actor pam.Actor, s Session, safe string, end End, root string) audit.Entry {
	m := map[string]any{
		"status": string(end.Status), "reason": end.Reason, "bytes_in": end.BytesIn, "bytes_out": end.BytesOut,
		"safe_id": string(s.SafeID), "resource_id": string(s.ResourceID), "account_id": string(s.AccountID),
		"duration_ms": end.At.Sub(s.StartedAt).Milliseconds(),
	}
	if safe != "" {
		m["safe"] = safe
	}
	if s.RecordingID != "" {
		m["recording_id"] = string(s.RecordingID)
	}
	if root != "" {
		m["recording_root"] = root
	}
	return scribe.Entry(actor, audit.SessionEnded, Target(s), m)
}

// CleanReason checks a reason that a person wrote. It will be printed on
// terminals, so it holds no control characters.
func CleanReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	var p pam.Problems
	switch {
	case !utf8.ValidString(reason):
		p.Add("reason", "is not UTF-8")
	case utf8.RuneCountInString(reason) > maxReason:
		p.Add("reason", "is longer than 256 characters")
	case strings.ContainsFunc(reason, unicode.IsControl):
		p.Add("reason", "contains control characters")
	}
	return reason, p.Err("check reason")
}

// RecoverAll ends the sessions that a dead process has left open, and launches
// that nobody connected to. self is the node that asks: its sessions are
// alive. silent is how long another node must not have been heard of
// ([NodeSilent]); zero when no other can be alive.
func (s *Service) RecoverAll(ctx context.Context, self string, silent time.Duration) (ended int, err error) {
	now := s.clock.Now()
	open, err := s.store.OrphanedSessions(ctx, self, now.Add(-silent), now)
	if err != nil {
		return 0, pam.Wrap("recover sessions", err)
	}
	var errs []error
	for _, o := range open {
		end := End{Status: Failed, Reason: "server restarted", BytesIn: o.BytesIn, BytesOut: o.BytesOut, At: now}
		if o.Node == "" {
			end.Reason = "nobody connected"
		}
		system := pam.Actor{Org: o.Org, Token: pam.SystemToken}
		err := s.store.EndSession(ctx, o.Org, o.ID, end, EndedEvent(s.scribe, system, o, "", end, ""))
		switch {
		case err == nil:
			ended++
			s.log.Info("session of a dead process ended", "session", o.ID, "node", o.Node)
		case !pam.Is(err, pam.Conflict): // somebody else was first
			errs = append(errs, err)
		}
	}
	return ended, errors.Join(errs...)
}
