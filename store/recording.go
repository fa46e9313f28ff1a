package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/recording"
	"vaultpam/pam/session"
)

const recordingColumns = `org_id, recording_id, session_id, safe_id, user_id, resource_id, account_id, protocol, status, format, retention_days,
	duration_ms, size_bytes, root_hash, signature, public_key, recovered, problem, started_at, ended_at, expires_at`

func scanRecording(r row) (recording.Recording, error) {
	var o recording.Recording
	err := r.Scan(&o.Org, &o.ID, &o.SessionID, &o.SafeID, &o.UserID, &o.ResourceID, &o.AccountID, &o.Protocol, &o.Status, &o.Format, &o.RetentionDays,
		&o.DurationMS, &o.SizeBytes, &o.RootHash, &o.Signature, &o.PublicKey, &o.Recovered, &o.Problem,
		intoTime(&o.StartedAt), intoTime(&o.EndedAt), intoTime(&o.ExpiresAt))
	return o, err
}

func insertRecording(ctx context.Context, tx *Tx, org pam.OrgID, r recording.Recording) error {
	_, err := tx.exec(ctx, `INSERT INTO recordings (`+recordingColumns+`, end_hash, chunks)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', NULL, NULL, FALSE, '', ?, 0, 0, '', 0)`,
		string(org), string(r.ID), string(r.SessionID), string(r.SafeID), string(r.UserID), string(r.ResourceID), string(r.AccountID), string(r.Protocol),
		string(recording.InProgress), r.Format, r.RetentionDays, micros(r.StartedAt))
	return err
}

// RecordingByID is recording.Store's.
func (db *DB) RecordingByID(ctx context.Context, org pam.OrgID, id pam.RecordingID) (recording.Recording, error) {
	r, err := one(ctx, db, scanRecording, `SELECT `+recordingColumns+` FROM recordings WHERE org_id = ? AND recording_id = ?`, string(org), string(id))
	return r, db.failed("read recording", err)
}

// ListRecordings is recording.Store's.
func (db *DB) ListRecordings(ctx context.Context, org pam.OrgID, f recording.Filter) ([]recording.Recording, error) {
	q := page{
		table: "recordings", columns: recordingColumns, id: "recording_id", prefix: pam.PrefixRecording, org: org,
		before: string(f.Before), limit: f.Limit, from: f.From, until: f.Until,
	}
	q.equal("user_id", string(f.UserID))
	q.equal("resource_id", string(f.ResourceID))
	q.equal("safe_id", string(f.SafeID))
	q.equal("session_id", string(f.SessionID))
	q.equal("status", string(f.Status))
	if f.MinMS > 0 {
		q.where.and("duration_ms >= ?", f.MinMS)
	}
	if f.MaxMS > 0 {
		q.where.and("duration_ms <= ?", f.MaxMS)
	}
	if f.Visible != nil {
		q.visibleTo(f.Visible.User, f.Visible.Safes)
	}
	text, args := q.sql()
	out, err := list(ctx, db, scanRecording, text, args...)
	return out, db.failed("list recordings", err)
}

// UnsealedRecordings is recording.Store's. Where other nodes may share the
// database, recordings that one of them is writing are left out: it was heard
// of lately.
func (db *DB) UnsealedRecordings(ctx context.Context) ([]recording.Recording, error) {
	since := db.clock.Now().Add(-session.NodeSilent)
	if !db.dialect.shared {
		since = db.clock.Now().Add(24 * time.Hour) // nobody else can be alive
	}
	out, err := list(ctx, db, scanRecording, `SELECT `+recordingColumns+` FROM recordings r WHERE status = 'in_progress' AND NOT EXISTS (
		SELECT 1 FROM sessions s JOIN session_nodes n ON n.node = s.node
		WHERE s.org_id = r.org_id AND s.session_id = r.session_id AND s.status IN ('pending', 'active') AND n.alive_at > ?) ORDER BY recording_id`, micros(since))
	return out, db.failed("find unsealed recordings", err)
}

const recordingExists = `SELECT 1 FROM recordings WHERE org_id = ? AND recording_id = ?`

// CompleteRecording is recording.Store's.
func (db *DB) CompleteRecording(ctx context.Context, org pam.OrgID, id pam.RecordingID, s recording.Seal, e audit.Entry) error {
	return db.write(ctx, "complete recording", func(ctx context.Context, tx *Tx) error {
		return tx.compareAndSet(ctx, pam.Conflict, `UPDATE recordings SET status = 'completed', root_hash = ?, end_hash = ?, chunks = ?, duration_ms = ?, size_bytes = ?,
			signature = ?, public_key = ?, recovered = ?, ended_at = ?, expires_at = ? WHERE org_id = ? AND recording_id = ? AND status = 'in_progress'`,
			[]any{
				s.Root, s.End, s.Chunks, s.DurationMS, s.SizeBytes, s.Signature.Sig, s.Signature.PublicKey, s.Recovered, micros(s.EndedAt), micros(s.ExpiresAt),
				string(org), string(id),
			}, recordingExists, string(org), string(id))
	}, e)
}

// FailRecording is recording.Store's. What failed expires like the rest.
func (db *DB) FailRecording(ctx context.Context, org pam.OrgID, id pam.RecordingID, reason string, endedAt time.Time, e audit.Entry) error {
	const day = int64(24 * time.Hour / time.Microsecond)
	return db.write(ctx, "fail recording", func(ctx context.Context, tx *Tx) error {
		return tx.compareAndSet(ctx, pam.Conflict, `UPDATE recordings SET status = 'error', problem = ?, ended_at = ?, expires_at = ? + retention_days * ?
			WHERE org_id = ? AND recording_id = ? AND status = 'in_progress'`,
			[]any{reason, micros(endedAt), micros(endedAt), day, string(org), string(id)}, recordingExists, string(org), string(id))
	}, e)
}

// RecordingKey is recording.Store's.
func (db *DB) RecordingKey(ctx context.Context, org pam.OrgID, id pam.RecordingID) ([]byte, error) {
	b, err := one(ctx, db, scalar[[]byte], `SELECT sealed FROM recording_keys WHERE org_id = ? AND recording_id = ?`, string(org), string(id))
	return b, db.failed("read the key of a recording", err)
}
