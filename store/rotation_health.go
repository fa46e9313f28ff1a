package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/rotation"
)

// ClaimChecks is rotation.HealthStore's.
func (db *DB) ClaimChecks(ctx context.Context, now, again time.Time, limit int) ([]rotation.Check, error) {
	type due struct {
		rotation.Check
		next int64
	}
	ready, err := list(ctx, db, func(r row) (d due, err error) { return d, r.Scan(&d.Org, &d.Account, &d.Was, &d.Hours, &d.next) },
		`SELECT c.org_id, c.account_id, c.outcome, c.check_hours, c.next_check_at FROM credential_care c
			JOIN accounts a ON a.org_id = c.org_id AND a.account_id = c.account_id
			JOIN credential_versions v ON v.org_id = a.org_id AND v.account_id = a.account_id AND v.version = a.promoted
			WHERE c.check_hours > 0 AND c.next_check_at <= ? AND v.kind <> 'ephemeral' ORDER BY c.next_check_at LIMIT ?`, micros(now), limit)
	if err != nil || len(ready) == 0 {
		return nil, db.failed("find checks", err)
	}
	var out []rotation.Check
	err = db.write(ctx, "claim checks", func(ctx context.Context, tx *Tx) error {
		out = nil // this may run more than once
		for _, d := range ready {
			n, err := tx.exec(ctx, `UPDATE credential_care SET next_check_at = ? WHERE org_id = ? AND account_id = ? AND next_check_at = ?`, micros(again), d.Org, d.Account, d.next)
			if err != nil {
				return err
			}
			if n == 1 {
				out = append(out, d.Check)
			}
		}
		return nil
	})
	return out, err
}

// NoteCheck is rotation.HealthStore's.
func (db *DB) NoteCheck(ctx context.Context, org pam.OrgID, id pam.AccountID, o rotation.Outcome, problem string, at, next time.Time, events ...audit.Entry) error {
	return db.write(ctx, "note a check", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE credential_care SET changed_at = CASE WHEN outcome = ? THEN changed_at ELSE ? END, outcome = ?, problem = ?, checked_at = ?,
			next_check_at = CASE WHEN check_hours > 0 THEN ? ELSE 0 END WHERE org_id = ? AND account_id = ?`, o, micros(at), o, problem, micros(at), micros(next), org, id)
		return err
	}, events...)
}

// CredentialHealth is rotation.HealthStore's.
func (db *DB) CredentialHealth(ctx context.Context, org pam.OrgID, q rotation.HealthQuery) ([]rotation.Health, error) {
	var w where
	w.and("a.org_id = ? AND v.kind <> 'ephemeral'", org)
	if q.Account != "" {
		w.and("a.account_id = ?", q.Account)
	}
	if !q.All {
		managedAccounts(&w, "a.account_id", org, q.User, q.Now)
	}
	if q.After != "" {
		w.and("a.account_id > ?", q.After)
	}
	since := micros(q.Since)
	out, err := list(ctx, db, func(r row) (h rotation.Health, err error) {
		return h, r.Scan(&h.Org, &h.Account, &h.Name, &h.Username, &h.Resource, &h.Kind, &h.Version, intoTime(&h.SetAt), &h.Weak, &h.Outcome, &h.Problem, intoTime(&h.CheckedAt), intoTime(&h.ChangedAt),
			&h.Rotated, &h.Rotation, &h.Safes, &h.Interval, intoTime(&h.UsedAt), &h.Users)
	}, `SELECT a.org_id, a.account_id, a.name, a.username, COALESCE(a.resource_id, ''), v.kind, v.version, v.created_at, v.weak,
			COALESCE(c.outcome, ''), COALESCE(c.problem, ''), COALESCE(c.checked_at, 0), COALESCE(c.changed_at, 0),
			EXISTS (SELECT 1 FROM rotations r WHERE r.org_id = a.org_id AND r.account_id = a.account_id AND r.next_version = a.promoted AND r.state IN ('done', 'spreading')),
			COALESCE((SELECT r.state FROM rotations r WHERE r.org_id = a.org_id AND r.account_id = a.account_id AND r.state IN `+openStates+`), ''),
			(SELECT COUNT(DISTINCT b.safe_id) FROM safe_bindings b WHERE b.org_id = a.org_id AND b.account_id = a.account_id),
			COALESCE((SELECT MIN(s.rotate_days) FROM safe_bindings b JOIN safes s ON s.org_id = b.org_id AND s.safe_id = b.safe_id
				WHERE b.org_id = a.org_id AND b.account_id = a.account_id AND s.rotate_days > 0), 0),
			(SELECT COALESCE(MAX(u.at), 0) FROM (SELECT MAX(x.started_at) AS at FROM sessions x WHERE x.org_id = a.org_id AND x.account_id = a.account_id
				UNION ALL SELECT MAX(k.created_at) FROM checkouts k WHERE k.org_id = a.org_id AND k.account_id = a.account_id) AS u),
			(SELECT COUNT(*) FROM (SELECT x.user_id FROM sessions x WHERE x.org_id = a.org_id AND x.account_id = a.account_id AND x.started_at > ?
				UNION SELECT k.user_id FROM checkouts k WHERE k.org_id = a.org_id AND k.account_id = a.account_id AND k.created_at > ?) AS p)
		FROM accounts a JOIN credential_versions v ON v.org_id = a.org_id AND v.account_id = a.account_id AND v.version = a.promoted
		LEFT JOIN credential_care c ON c.org_id = a.org_id AND c.account_id = a.account_id
		WHERE `+w.String()+` ORDER BY a.account_id LIMIT ?`, append(append([]any{since, since}, w.args...), q.Limit)...)
	return out, db.failed("report on credentials", err)
}

// CredentialCounts is how many credentials of all organizations want a look.
type CredentialCounts struct {
	Rotating, Stuck, Refused int64
	Oldest                   time.Time // when the oldest that is in use was stored; zero: there is none
}

// CountCredentials counts them, for metrics.
func (db *DB) CountCredentials(ctx context.Context) (CredentialCounts, error) {
	out, err := one(ctx, db, func(r row) (c CredentialCounts, err error) {
		return c, r.Scan(&c.Rotating, &c.Stuck, &c.Refused, intoTime(&c.Oldest))
	}, `SELECT (SELECT COUNT(*) FROM rotations WHERE state IN `+workingStates+`), (SELECT COUNT(*) FROM rotations WHERE state = 'stuck'),
		(SELECT COUNT(*) FROM credential_care WHERE outcome = 'refused'),
		(SELECT COALESCE(MIN(v.created_at), 0) FROM accounts a JOIN credential_versions v ON v.org_id = a.org_id AND v.account_id = a.account_id AND v.version = a.promoted WHERE v.kind <> 'ephemeral')`)
	return out, db.failed("count credentials", err)
}
