package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/recording"
	"vaultpam/pam/rotation"
	"vaultpam/pam/session"
)

const sessionColumns = `org_id, session_id, status, protocol, user_id, safe_id, resource_id, account_id, recording_id, node, reason, client_ip,
	bytes_in, bytes_out, started_at, expires_at, ended_at, end_reason, kill_reason, auth_id, emergency`

func scanSession(r row) (session.Session, error) {
	var s session.Session
	err := r.Scan(&s.Org, &s.ID, &s.Status, &s.Protocol, &s.UserID, &s.SafeID, &s.ResourceID, &s.AccountID, &s.RecordingID, &s.Node, &s.Reason, &s.ClientIP,
		&s.BytesIn, &s.BytesOut, intoTime(&s.StartedAt), intoTime(&s.ExpiresAt), intoTime(&s.EndedAt), &s.EndReason, &s.KillReason, &s.AuthID, &s.Emergency)
	return s, err
}

// SessionByID is session.Store's.
func (db *DB) SessionByID(ctx context.Context, org pam.OrgID, id pam.SessionID) (session.Session, error) {
	s, err := one(ctx, db, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE org_id = ? AND session_id = ?`, string(org), string(id))
	return s, db.failed("read session", err)
}

// ListSessions is session.Store's.
func (db *DB) ListSessions(ctx context.Context, org pam.OrgID, f session.Filter) ([]session.Session, error) {
	q := page{
		table: "sessions", columns: sessionColumns, id: "session_id", prefix: pam.PrefixSession, org: org,
		before: string(f.Before), limit: f.Limit, from: f.From, until: f.Until,
	}
	q.equal("user_id", string(f.UserID))
	q.equal("resource_id", string(f.ResourceID))
	q.equal("safe_id", string(f.SafeID))
	q.equal("status", string(f.Status))
	// One that is not over has lasted until now.
	lasted, now := "CASE WHEN ended_at = 0 THEN ? ELSE ended_at END - started_at", micros(db.clock.Now())
	if f.MinMS > 0 {
		q.where.and(lasted+" >= ?", now, f.MinMS*1000)
	}
	if f.MaxMS > 0 {
		q.where.and(lasted+" <= ?", now, f.MaxMS*1000)
	}
	if f.Visible != nil {
		q.visibleTo(f.Visible.User, f.Visible.Safes)
	}
	text, args := q.sql()
	out, err := list(ctx, db, scanSession, text, args...)
	return out, db.failed("list sessions", err)
}

// insertSession stores s with the given status.
func insertSession(ctx context.Context, tx *Tx, org pam.OrgID, s session.Session) error {
	_, err := tx.exec(ctx, `INSERT INTO sessions (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, 0, '', '', ?, ?)`,
		string(org), string(s.ID), string(session.Pending), string(s.Protocol), string(s.UserID), string(s.SafeID), string(s.ResourceID), string(s.AccountID),
		string(s.RecordingID), s.Node, s.Reason, s.ClientIP, micros(s.StartedAt), micros(s.ExpiresAt), s.AuthID, s.Emergency)
	if err == nil {
		tx.changed(org, pam.SubjectSession, string(s.ID))
	}
	return err
}

// LaunchSession is broker.Store's.
func (db *DB) LaunchSession(ctx context.Context, org pam.OrgID, s session.Session, letters []pam.Outgoing, events ...audit.Entry) error {
	s.Node, s.RecordingID = "", ""
	return db.write(ctx, "launch session", func(ctx context.Context, tx *Tx) error {
		if err := insertSession(ctx, tx, org, s); err != nil {
			return err
		}
		return send(ctx, tx, letters...)
	}, events...)
}

// EmergencyLaunch is broker.Store's.
func (db *DB) EmergencyLaunch(ctx context.Context, user pam.UserID, org pam.OrgID, want broker.Want, now time.Time) (pam.OrgID, pam.SessionID, error) {
	type found struct {
		org pam.OrgID
		id  pam.SessionID
	}
	out, err := one(ctx, db, func(r row) (f found, err error) { return f, r.Scan(&f.org, &f.id) }, `SELECT x.org_id, x.session_id FROM sessions x
		JOIN safes s ON s.org_id = x.org_id AND s.safe_id = x.safe_id
		JOIN accounts a ON a.org_id = x.org_id AND a.account_id = x.account_id
		JOIN resources r ON r.org_id = x.org_id AND r.resource_id = x.resource_id
		WHERE x.node = '' AND x.status IN ('pending', 'active') AND x.user_id = ? AND x.emergency AND x.expires_at > ? AND x.kill_reason = ''
			AND (? = '' OR x.org_id = ?) AND (? = '' OR x.protocol = ?) AND (? = '' OR s.safe_id = ? OR s.slug = ?)
			AND (? = '' OR a.account_id = ? OR a.slug = ?) AND (? = '' OR r.resource_id = ? OR r.slug = ?) ORDER BY x.session_id LIMIT 1`,
		user, micros(now), org, org, want.Protocol, want.Protocol, want.Safe, want.Safe, want.Safe, want.Account, want.Account, want.Account, want.Resource, want.Resource, want.Resource)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", nil
	}
	return out.org, out.id, db.failed("find emergency launch", err)
}

// LaunchedSession is broker.Store's.
func (db *DB) LaunchedSession(ctx context.Context, org pam.OrgID, s session.Session, now time.Time) (pam.SessionID, error) {
	id, err := one(ctx, db, scalar[pam.SessionID], `SELECT session_id FROM sessions WHERE node = '' AND status IN ('pending', 'active')
		AND org_id = ? AND user_id = ? AND safe_id = ? AND resource_id = ? AND account_id = ? AND expires_at > ? AND kill_reason = '' ORDER BY session_id LIMIT 1`,
		string(org), string(s.UserID), string(s.SafeID), string(s.ResourceID), string(s.AccountID), micros(now))
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, db.failed("find launched session", err)
}

// BeginSession is broker.Store's.
func (db *DB) BeginSession(ctx context.Context, org pam.OrgID, s session.Session, adopt bool, r *recording.Recording, events ...audit.Entry) error {
	return db.write(ctx, "begin session", func(ctx context.Context, tx *Tx) error {
		if adopt {
			err := tx.mustTouch(ctx, pam.Conflict, `UPDATE sessions SET node = ?, recording_id = ?, client_ip = ?, started_at = ?, expires_at = ?, auth_id = ?
				WHERE org_id = ? AND session_id = ? AND status = 'pending' AND node = '' AND kill_reason = '' AND expires_at > ?`,
				s.Node, string(s.RecordingID), s.ClientIP, micros(s.StartedAt), micros(s.ExpiresAt), s.AuthID, string(org), string(s.ID), micros(s.StartedAt))
			if err != nil {
				return err
			}
			tx.changed(org, pam.SubjectSession, string(s.ID))
		} else if err := insertSession(ctx, tx, org, s); err != nil {
			return err
		}
		if s.Grant != "" {
			if err := useGrant(ctx, tx, org, s); err != nil {
				return err
			}
		}
		if r == nil {
			return nil
		}
		return insertRecording(ctx, tx, org, *r)
	}, events...)
}

// cutSessions asks for the end of what the user has opened, or only launched,
// with a login, token or key that is being revoked.
func cutSessions(ctx context.Context, tx *Tx, user pam.UserID, auth, kind string) error {
	tx.changed(pam.InstanceOrg, pam.SubjectUser, string(user))
	_, err := tx.exec(ctx, `UPDATE sessions SET kill_reason = ? WHERE user_id = ? AND auth_id = ? AND status IN ('pending', 'active') AND kill_reason = ''`,
		"ended: its "+kind+" was revoked", string(user), auth)
	return err
}

// cutPasswordSessions asks for the end of what the user's password has opened
// when it is replaced: natively, or by a login other than kept.
func cutPasswordSessions(ctx context.Context, tx *Tx, user pam.UserID, kept pam.LoginID) error {
	_, err := tx.exec(ctx, `UPDATE sessions SET kill_reason = 'ended: the password was changed' WHERE user_id = ? AND (auth_id = '' OR auth_id LIKE ? AND auth_id <> ?)
		AND status IN ('pending', 'active') AND kill_reason = ''`, string(user), pam.PrefixLogin+"%", string(kept))
	return err
}

const sessionExists = `SELECT 1 FROM sessions WHERE org_id = ? AND session_id = ?`

// ActivateSession is session.Store's.
func (db *DB) ActivateSession(ctx context.Context, org pam.OrgID, id pam.SessionID) error {
	return db.write(ctx, "activate session", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectSession, string(id))
		return tx.compareAndSet(ctx, pam.Conflict, `UPDATE sessions SET status = 'active' WHERE org_id = ? AND session_id = ? AND status = 'pending'`,
			[]any{string(org), string(id)}, sessionExists, string(org), string(id))
	})
}

// EndSession is session.Store's.
func (db *DB) EndSession(ctx context.Context, org pam.OrgID, id pam.SessionID, end session.End, e audit.Entry) error {
	return db.write(ctx, "end session", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectSession, string(id))
		was, err := one(ctx, tx, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE org_id = ? AND session_id = ?`, string(org), string(id))
		if err != nil {
			return err
		}
		err = tx.compareAndSet(ctx, pam.Conflict, `UPDATE sessions SET status = ?, end_reason = ?, bytes_in = ?, bytes_out = ?, ended_at = ?
			WHERE org_id = ? AND session_id = ? AND status IN ('pending', 'active')`,
			[]any{string(end.Status), end.Reason, end.BytesIn, end.BytesOut, micros(end.At), string(org), string(id)}, sessionExists, string(org), string(id))
		if err != nil {
			return err
		}
		// What logged in was used; an emergency counts from its connection on.
		switch {
		case was.Emergency && was.Node != "":
			return queueRotation(ctx, tx, org, was.AccountID, string(rotation.BreakGlass), end.At)
		case was.Status == session.Active:
			return queueRotation(ctx, tx, org, was.AccountID, string(rotation.AfterSession), end.At)
		}
		return nil
	}, e)
}

// KillSession is session.Store's.
func (db *DB) KillSession(ctx context.Context, org pam.OrgID, id pam.SessionID, reason string, e audit.Entry) error {
	return db.write(ctx, "kill session", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectSession, string(id))
		return tx.compareAndSet(ctx, pam.Conflict, `UPDATE sessions SET kill_reason = CASE WHEN kill_reason = '' THEN ? ELSE kill_reason END
			WHERE org_id = ? AND session_id = ? AND status IN ('pending', 'active')`,
			[]any{reason, string(org), string(id)}, sessionExists, string(org), string(id))
	}, e)
}

// OrphanedSessions is session.Store's.
func (db *DB) OrphanedSessions(ctx context.Context, self string, silentSince, now time.Time) ([]session.Session, error) {
	out, err := list(ctx, db, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE status IN ('pending', 'active') AND
		((node = '' AND (expires_at <= ? OR kill_reason <> '')) OR (node <> '' AND node <> ? AND node NOT IN (SELECT node FROM session_nodes WHERE alive_at > ?)))
		ORDER BY session_id`, micros(now), self, micros(silentSince))
	return out, db.failed("find orphaned sessions", err)
}

// NodeAlive is session.Store's.
func (db *DB) NodeAlive(ctx context.Context, node string, at time.Time) error {
	return db.write(ctx, "note that a node lives", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM session_nodes WHERE alive_at < ?`, micros(at.Add(-24*time.Hour))); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO session_nodes (node, alive_at) VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET alive_at = excluded.alive_at`, node, micros(at))
		return err
	})
}
