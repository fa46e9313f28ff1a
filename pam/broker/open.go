package broker

import (
	"cmp"
	"context"
	"errors"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
	"vaultpam/pam/recording"
	"vaultpam/pam/request"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
)

// Open is the only way to a target. It resolves want for the actor, who is
// authenticated but, for a native client, not yet in an organization;
// decides; begins the session on record; opens the recording; and connects.
// The caller verifies the target, logs in with Live.Login, calls
// Live.Activate, and must call Live.Close in the end.
//
// A refusal is an Error with a sentence for the user, and is audited.
func (b *Broker) Open(ctx context.Context, actor pam.Actor, want Want) (*Live, error) {
	const op = "open session"
	want, err := b.launched(ctx, actor, want)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	p, err := b.admit(ctx, actor, want)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	l, err := b.begin(ctx, p, want)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if err := b.connect(ctx, l, p, want); err != nil {
		return nil, pam.Wrap(op, errors.Join(err, l.Fail(err)))
	}
	return l, nil
}

// Launch decides like Open and stores a session that waits for its user to
// connect with a native client; that connection's Open takes it over.
func (b *Broker) Launch(ctx context.Context, actor pam.Actor, want Want) (session.Session, error) {
	const op = "launch session"
	p, err := b.admit(ctx, actor, want)
	if err != nil {
		return session.Session{}, pam.Wrap(op, err)
	}
	s := b.session(p, want)
	s.ExpiresAt = s.StartedAt.Add(session.LaunchPending)
	letters, alarm, err := b.alarm(ctx, p, want.Emergency, "session", string(s.ID), s.Reason)
	if err != nil {
		return session.Session{}, pam.Wrap(op, err)
	}
	e := b.Scribe.Entry(p.actor, audit.PolicyEvaluated, session.Target(s), started(s, p))
	return s, pam.Wrap(op, b.Store.LaunchSession(ctx, s.Org, s, letters, append(alarm, e)...))
}

// launched fills in what the launched session that want names is for. To
// anybody but its user there is no such launch.
func (b *Broker) launched(ctx context.Context, actor pam.Actor, want Want) (Want, error) {
	const op = "find launched session"
	org := actor.Org
	if want.Session == "" {
		// An emergency is declared at the launch, where a reason is asked for; a
		// native client only takes it over.
		of, id, err := b.Store.EmergencyLaunch(ctx, actor.User, cmp.Or(actor.Org, actor.Only), want, b.Clock.Now())
		if err != nil || id == "" {
			return want, pam.Wrap(op, err)
		}
		org, want.Session = of, id
	}
	s, err := b.Store.SessionByID(ctx, org, want.Session)
	switch {
	case err != nil:
		return want, pam.Wrap(op, err)
	case s.UserID != actor.User:
		return want, &pam.Error{Kind: pam.NotFound, Op: op}
	case s.Node != "" && s.Status.Open():
		return want, taken()
	case !s.Status.Open() || s.KillReason != "" || !b.Clock.Now().Before(s.ExpiresAt):
		return want, pam.Errorf(pam.Conflict, op, "This session is over: launch a new one.")
	}
	want.Safe, want.Resource, want.Account, want.Reason = string(s.SafeID), string(s.ResourceID), string(s.AccountID), s.Reason
	want.Emergency, want.org = s.Emergency, org
	return want, nil
}

// taken says that a launch has its connection.
func taken() error {
	return pam.Errorf(pam.Conflict, "take over launched session", "This session has a connection already: launch a new one.")
}

// admit resolves and decides; a refusal is audited.
func (b *Broker) admit(ctx context.Context, actor pam.Actor, want Want) (place, error) {
	reason, err := session.CleanReason(want.Reason)
	if err != nil {
		return place{}, err
	}
	want.Reason = reason
	if err := needReason("launch session", want.Emergency, reason); err != nil {
		return place{}, err
	}
	p, err := b.resolve(ctx, actor, want, policy.SessionLaunch)
	if err == nil {
		f := facts{
			actor: p.actor, action: policy.SessionLaunch, safe: p.safe, resource: p.resource, types: policy.TypesOf(p.resource.Type),
			protocol: want.Protocol, command: request.CommandHash(want.Command), sealed: b.Sealed(), now: b.Clock.Now(), emergency: want.Emergency, declared: want.Session != "",
		}
		if f.held, err = b.Store.Blocked(ctx, p.actor.Org, p.resource.ID, p.account.ID, p.safe.ID); err == nil {
			err = b.rulesOf(ctx, p, &f)
		}
		if err == nil {
			err = b.conclude(&p, f)
		}
	}
	if err != nil {
		b.refused(ctx, refusedBy(audit.SessionRefused, want.Emergency), p, want, err)
	}
	return p, err
}

// conclude decides on f, and notes in p what was decided.
func (b *Broker) conclude(p *place, f facts) error {
	q, d, no := decide(f)
	p.question, p.decision = q, d
	if b.Decided != nil {
		b.Decided(f.action, d)
	}
	if no != nil {
		return no
	}
	return nil
}

// rulesOf notes the policies of the Safe, and the grants for it, in f.
func (b *Broker) rulesOf(ctx context.Context, p place, f *facts) error {
	book, err := b.Policies.Rules(ctx, p.actor.Org)
	f.rules = book[p.safe.ID]
	if err == nil {
		f.grants, err = b.Store.Grants(ctx, p.actor.Org, p.actor.User, p.safe.ID, f.now)
	}
	return err
}

// refused writes a refusal into the log of the organization that it concerns:
// the Safe's, else the user's own.
func (b *Broker) refused(ctx context.Context, t audit.Type, p place, want Want, why error) {
	if p.actor.Org == "" {
		p.actor.Org = p.actor.HomeOrg
	}
	m := map[string]any{"kind": pam.KindOf(why).String(), "asked_safe": want.Safe, "decision": "deny"}
	if e, ok := errors.AsType[*pam.Error](why); ok && e.Public != "" {
		m["why"] = e.Public
	}
	if p.decision.Step != policy.Passed {
		m["rule"] = p.decision.Decider(&p.question)
	}
	target := audit.Party{Type: "safe", ID: string(p.safe.ID), Name: p.safe.Name}
	for k, v := range map[string]string{"resource_id": string(p.resource.ID), "account_id": string(p.account.ID), "reason": want.Reason} {
		if v != "" {
			m[k] = v
		}
	}
	// The refusal stands whether or not it can be written.
	if err := b.Audit.Append(ctx, p.actor.Org, b.Scribe.Entry(p.actor, t, target, m)); err != nil {
		b.Log.Error("a refusal could not be audited", "error", err, "user", p.actor.User)
	}
}

// session is the row of a session that begins now.
func (b *Broker) session(p place, want Want) session.Session {
	s := session.Session{
		ID: pam.SessionID(b.IDs.New(pam.PrefixSession)), Org: p.actor.Org, Status: session.Pending, Protocol: p.resource.Type,
		UserID: p.actor.User, SafeID: p.safe.ID, ResourceID: p.resource.ID, AccountID: p.account.ID, Reason: want.Reason,
		AuthID: p.actor.TokenID, StartedAt: b.Clock.Now(), Emergency: want.Emergency,
	}
	if p.actor.From.IsValid() {
		s.ClientIP = p.actor.From.String()
	}
	return s
}

// started is what the events of a beginning session say.
func started(s session.Session, p place) map[string]any {
	m := map[string]any{
		"protocol": string(s.Protocol), "safe_id": string(s.SafeID), "resource_id": string(s.ResourceID), "account_id": string(s.AccountID),
		"safe": p.safe.Name, "resource": p.resource.Name, "account": p.account.Username, "decision": "allow", "rule": p.decision.Decider(&p.question),
	}
	if s.Emergency {
		m["emergency"] = true
	}
	if s.Reason != "" {
		m["reason"] = s.Reason
	}
	if p.decision.Grant != "" {
		m["grant_id"] = string(p.decision.Grant)
	}
	return m
}

// begin puts the session on record and registers it, so that it can be cut
// from here on.
func (b *Broker) begin(ctx context.Context, p place, want Want) (*Live, error) {
	home, err := b.Store.OrganizationByID(ctx, p.actor.Org)
	if err != nil {
		return nil, err
	}
	s := b.session(p, want)
	s.Node, s.ExpiresAt = b.node, s.StartedAt.Add(time.Duration(p.safe.SessionTTLSeconds)*time.Second)
	if g := p.grant(); g != nil {
		if g.Ends.Before(s.ExpiresAt) {
			s.ExpiresAt = g.Ends
		}
		if g.Command != "" {
			s.Grant = g.ID
		}
	}
	var rec *recording.Recording
	if p.safe.Recording != safe.RecordingOff {
		s.RecordingID = pam.RecordingID(b.IDs.New(pam.PrefixRecording))
	}
	adopted := want.Session
	if adopted == "" {
		if adopted, err = b.Store.LaunchedSession(ctx, s.Org, s, s.StartedAt); err != nil {
			return nil, err
		}
	}
	for _, adopt := range []pam.SessionID{adopted, ""} {
		if adopt != "" {
			s.ID = adopt
		} else if s.ID == adopted {
			s.ID = pam.SessionID(b.IDs.New(pam.PrefixSession))
		}
		events := []audit.Entry{b.Scribe.Entry(p.actor, audit.SessionStarted, session.Target(s), started(s, p))}
		if len(p.question.Rules) > 0 {
			events = append(events, b.Scribe.Entry(p.actor, audit.PolicyEvaluated, session.Target(s), started(s, p)))
		}
		if s.RecordingID != "" {
			rec = &recording.Recording{
				ID: s.RecordingID, Org: s.Org, SessionID: s.ID, SafeID: s.SafeID, UserID: s.UserID, ResourceID: s.ResourceID, AccountID: s.AccountID,
				Protocol: s.Protocol, Status: recording.InProgress, Format: recording.FormatAsciicast, RetentionDays: home.Settings.RecordingRetentionDays, StartedAt: s.StartedAt,
			}
		} else {
			events = append(events, b.Scribe.Entry(p.actor, audit.RecordingDisabledForSession, session.Target(s), map[string]any{"safe_id": string(s.SafeID)}))
		}
		err = b.Store.BeginSession(ctx, s.Org, s, adopt != "", rec, events...)
		if err == nil || adopt == "" || !pam.Is(err, pam.Conflict) {
			break
		}
		// Somebody else took the launch: begin anew, unless it was that one.
		if want.Session != "" {
			err = taken()
			break
		}
	}
	if err != nil {
		return nil, err
	}
	l := b.newLive(s, p, time.Duration(home.Settings.IdleTimeoutSeconds)*time.Second)
	b.mu.Lock()
	draining := b.draining
	if !draining {
		b.live[s.ID] = l
	}
	b.mu.Unlock()
	l.record = rec
	if draining {
		err := pam.Errorf(pam.Unavailable, "begin session", "The server is shutting down.")
		return nil, errors.Join(err, l.Fail(err))
	}
	b.poke() // what changed between the decision and the registration is seen at once
	b.Log.Info("session started", "session", s.ID, "user", s.UserID, "safe", s.SafeID, "resource", s.ResourceID, "protocol", s.Protocol)
	return l, nil
}

// connect opens the recording and dials. Without a recording there is no
// connection.
func (b *Broker) connect(ctx context.Context, l *Live, p place, want Want) error {
	if l.record != nil {
		o := recording.StartOptions{Recording: *l.record, Cols: want.Cols, Rows: want.Rows}
		if f := p.safe.RecordingFailure; f.Mode == safe.FailGrace {
			o.Grace = time.Duration(f.GraceSeconds) * time.Second
		}
		w, err := b.Recordings.Start(ctx, o)
		if err != nil {
			if pam.Is(err, pam.Sealed) {
				return err
			}
			return &pam.Error{Kind: pam.Unavailable, Op: "start recording", Public: "The session cannot be recorded, so it does not start.", Err: err}
		}
		l.Rec = kept{l, w}
		l.writer.Store(w)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })()
	conn, err := b.Dialer.Dial(ctx, l.Session.Org, p.resource.Host, p.resource.Port)
	if err != nil {
		if cut := l.Err(); cut != nil {
			return &pam.Error{Kind: pam.Unavailable, Op: "dial target", Public: cut.Error(), Err: err}
		}
		return err
	}
	l.Target = conn
	return nil
}
