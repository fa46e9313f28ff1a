package store

import (
	"context"
	"time"

	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/stats"
)

// Each figure is counted in an index; none reads the rows.

// Totals is stats.Store's.
func (db *DB) Totals(ctx context.Context, org pam.OrgID) (stats.Totals, error) {
	out, err := one(ctx, db, func(r row) (t stats.Totals, err error) {
		return t, r.Scan(&t.Active, &t.Pending, &t.Safes, &t.Resources, &t.Accounts, &t.Members, &t.Recordings, &t.RecordingsBytes)
	}, `SELECT (SELECT COUNT(*) FROM sessions WHERE org_id = ? AND status = 'active'), (SELECT COUNT(*) FROM sessions WHERE org_id = ? AND status = 'pending'),
		(SELECT COUNT(*) FROM safes WHERE org_id = ?), (SELECT COUNT(*) FROM resources WHERE org_id = ?), (SELECT COUNT(*) FROM accounts WHERE org_id = ?),
		(SELECT COUNT(*) FROM memberships WHERE org_id = ?), r.n, r.size
		FROM (SELECT COUNT(*) AS n, CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS size FROM recordings WHERE org_id = ?) AS r`, org, org, org, org, org, org, org)
	return out, db.failed("count", err)
}

// SessionsSince is stats.Store's.
func (db *DB) SessionsSince(ctx context.Context, org pam.OrgID, since time.Time, width time.Duration) (map[int64]int64, error) {
	return db.steps(ctx, `SELECT (started_at - ?) / ? AS step, COUNT(*) FROM sessions WHERE org_id = ? AND session_id >= ? AND started_at >= ? GROUP BY 1`,
		micros(since), width.Microseconds(), org, ids.Lowest(pam.PrefixSession, since.Add(-skew)), micros(since))
}

// EventsSince is stats.Store's.
func (db *DB) EventsSince(ctx context.Context, org pam.OrgID, t audit.Type, since time.Time, width time.Duration) (map[int64]int64, error) {
	return db.steps(ctx, `SELECT (time - ?) / ? AS step, COUNT(*) FROM audit_events WHERE org_id = ? AND type = ? AND time >= ? GROUP BY 1`,
		micros(since), width.Microseconds(), string(org), string(t), micros(since))
}

func (db *DB) steps(ctx context.Context, text string, args ...any) (map[int64]int64, error) {
	type step struct{ i, n int64 }
	rows, err := list(ctx, db, func(r row) (s step, err error) { return s, r.Scan(&s.i, &s.n) }, text, args...)
	out := make(map[int64]int64, len(rows))
	for _, s := range rows {
		out[s.i] = s.n
	}
	return out, db.failed("count", err)
}
