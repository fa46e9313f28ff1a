package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/rotation"
	"vaultpam/pam/safe"
)

var _ rotation.Store = (*DB)(nil)

const (
	rotationColumns = `r.org_id, r.rotation_id, r.account_id, r.account_name, r.resource_id, r.trigger, r.state, r.old_version, r.next_version, r.attempts, r.problem,
		r.repaired, r.pending, r.requested_by, r.created_at, r.updated_at, r.ended_at, r.next_at, r.fence`
	rotationExists = `SELECT 1 FROM rotations WHERE org_id = ? AND rotation_id = ?`
	// openStates are those of the partial indexes, word for word.
	openStates    = `('queued', 'stored', 'applying', 'applied', 'verified', 'spreading', 'stuck')`
	workingStates = `('queued', 'stored', 'applying', 'applied', 'verified', 'spreading')`
)

func scanRotation(r row) (v rotation.Rotation, err error) {
	return v, r.Scan(&v.Org, &v.ID, &v.Account, &v.Name, &v.Resource, &v.Trigger, &v.State, &v.Old, &v.Next, &v.Attempts, &v.Problem,
		&v.Repaired, intoJSON(&v.Pending), &v.By, intoTime(&v.CreatedAt), intoTime(&v.UpdatedAt), intoTime(&v.EndedAt), intoTime(&v.NextAt), &v.Fence)
}

// CreateRotation is rotation.Store's.
func (db *DB) CreateRotation(ctx context.Context, org pam.OrgID, r rotation.Rotation, c *rotation.Candidate, due bool, letters []pam.Outgoing, e audit.Entry) error {
	return db.write(ctx, "create rotation", func(ctx context.Context, tx *Tx) error {
		// The row is locked, so that no version is stored at the same time.
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE accounts SET version = version WHERE org_id = ? AND account_id = ?`, org, r.Account); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `INSERT INTO rotations (org_id, rotation_id, account_id, account_name, resource_id, trigger, state, old_version, next_version, attempts, problem, repaired, pending, requested_by,
				created_at, updated_at, ended_at, next_at, node, lease_until, fence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, FALSE, ?, ?, ?, ?, ?, ?, '', 0, 0)
			ON CONFLICT (org_id, account_id) WHERE state IN `+openStates+` DO NOTHING`,
			org, r.ID, r.Account, r.Name, r.Resource, r.Trigger, r.State, r.Old, r.Next, r.Problem, asJSON(r.Pending), r.By,
			micros(r.CreatedAt), micros(r.UpdatedAt), micros(r.EndedAt), micros(r.NextAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return pam.Errorf(pam.Conflict, "", "A rotation of this credential is under way already.")
		}
		tx.changed(org, pam.SubjectAccount, string(r.Account))
		if due {
			if _, err := tx.exec(ctx, `DELETE FROM rotation_due WHERE org_id = ? AND account_id = ?`, org, r.Account); err != nil {
				return err
			}
		}
		if err := send(ctx, tx, letters...); err != nil {
			return err
		}
		return addCandidate(ctx, tx, org, r, c)
	}, e)
}

// addCandidate stores a version that is not known to work.
func addCandidate(ctx context.Context, tx *Tx, org pam.OrgID, r rotation.Rotation, c *rotation.Candidate) error {
	if c == nil {
		return nil
	}
	newest, err := one(ctx, tx, scalar[int64], `SELECT COALESCE(MAX(version), 0) FROM credential_versions WHERE org_id = ? AND account_id = ?`, org, r.Account)
	if err != nil {
		return err
	}
	if c.Version != newest+1 || r.Next != c.Version {
		return pam.Errorf(pam.Conflict, "", "Another credential was stored at the same time.")
	}
	v := account.SealedVersion{
		Version: account.Version{Version: c.Version, Kind: account.Kind(c.Kind), State: account.Candidate, Weak: c.Weak, CreatedBy: r.By, CreatedAt: r.UpdatedAt},
		Sealed:  c.Sealed,
	}
	if c.Public != "" {
		if err := json.Unmarshal([]byte(c.Public), &v.Public); err != nil {
			return err
		}
	}
	v.PublicKey, v.NotAfter = c.PublicKey, c.NotAfter
	return insertCredential(ctx, tx, org, r.Account, v)
}

// RotationByID is rotation.Store's.
func (db *DB) RotationByID(ctx context.Context, org pam.OrgID, id pam.RotationID) (rotation.Rotation, error) {
	out, err := one(ctx, db, scanRotation, `SELECT `+rotationColumns+` FROM rotations r WHERE r.org_id = ? AND r.rotation_id = ?`, org, id)
	return out, db.failed("read rotation", err)
}

// managedAccounts narrows w to accounts in Safes that user manages, and those
// that they made.
func managedAccounts(w *where, column string, org pam.OrgID, user pam.UserID, now time.Time) {
	w.and(column+` IN (SELECT b.account_id FROM safe_bindings b WHERE b.org_id = ? AND b.safe_id IN (`+managedSafes+`)
		UNION SELECT account_id FROM accounts WHERE org_id = ? AND created_by = ?)`,
		slices.Concat([]any{org}, managedArgs(org, user, now), []any{org, user})...)
}

// ListRotations is rotation.Store's.
func (db *DB) ListRotations(ctx context.Context, org pam.OrgID, q rotation.Query) ([]rotation.Rotation, error) {
	var w where
	w.and("r.org_id = ?", org)
	if q.Account != "" {
		w.and("r.account_id = ?", q.Account)
	}
	if q.State != "" {
		w.and("r.state = ?", q.State)
	}
	if q.Open {
		w.and("r.state IN " + openStates)
	}
	if !q.All {
		managedAccounts(&w, "r.account_id", org, q.User, q.Now)
	}
	if q.After != "" {
		w.and("r.rotation_id < ?", q.After)
	}
	out, err := list(ctx, db, scanRotation, `SELECT `+rotationColumns+` FROM rotations r WHERE `+w.String()+` ORDER BY r.rotation_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list rotations", err)
}

// ClaimRotations is rotation.Store's.
func (db *DB) ClaimRotations(ctx context.Context, node string, now, silent, lease time.Time, limit int) ([]rotation.Rotation, error) {
	ready, err := list(ctx, db, scanRotation, `SELECT `+rotationColumns+` FROM rotations r
		WHERE r.state IN `+workingStates+` AND r.next_at <= ? AND (r.lease_until <= ? OR r.node <> ? AND r.node NOT IN (SELECT node FROM session_nodes WHERE alive_at > ?))
		ORDER BY r.next_at LIMIT ?`, micros(now), micros(now), node, micros(silent), limit)
	if err != nil || len(ready) == 0 {
		return nil, db.failed("find rotations", err)
	}
	var out []rotation.Rotation
	err = db.write(ctx, "claim rotations", func(ctx context.Context, tx *Tx) error {
		out = nil // this may run more than once
		for _, r := range ready {
			n, err := tx.exec(ctx, `UPDATE rotations SET node = ?, lease_until = ?, fence = fence + 1 WHERE org_id = ? AND rotation_id = ? AND fence = ? AND state = ?`,
				node, micros(lease), r.Org, r.ID, r.Fence, r.State)
			if err != nil {
				return err
			}
			if n == 1 {
				r.Fence++
				out = append(out, r)
			}
		}
		return nil
	})
	return out, err
}

// Advance is rotation.Store's.
func (db *DB) Advance(ctx context.Context, org pam.OrgID, s rotation.Step, events ...audit.Entry) error {
	r := s.Next
	return db.write(ctx, "advance rotation", func(ctx context.Context, tx *Tx) error {
		if err := tx.compareAndSet(ctx, pam.Conflict, `UPDATE rotations SET resource_id = ?, state = ?, old_version = ?, next_version = ?, attempts = ?, problem = ?, repaired = ?, pending = ?,
				updated_at = ?, ended_at = ?, next_at = ?, lease_until = ? WHERE org_id = ? AND rotation_id = ? AND state = ? AND fence = ?`,
			[]any{
				r.Resource, r.State, r.Old, r.Next, r.Attempts, r.Problem, r.Repaired, asJSON(r.Pending),
				micros(r.UpdatedAt), micros(r.EndedAt), micros(r.NextAt), micros(s.Lease), org, r.ID, s.From, r.Fence,
			}, rotationExists, org, r.ID); err != nil {
			return err
		}
		if err := addCandidate(ctx, tx, org, r, s.Candidate); err != nil {
			return err
		}
		if s.From != r.State || s.Working != nil {
			tx.changed(org, pam.SubjectAccount, string(r.Account))
		}
		if err := send(ctx, tx, s.Letters...); err != nil {
			return err
		}
		return workingIs(ctx, tx, org, s)
	}, events...)
}

// workingIs writes what a step says of the account and its versions.
func workingIs(ctx context.Context, tx *Tx, org pam.OrgID, s rotation.Step) error {
	r := s.Next
	if s.Working != nil {
		if _, err := tx.exec(ctx, `UPDATE accounts SET working = ? WHERE org_id = ? AND account_id = ?`, int64(*s.Working), org, r.Account); err != nil {
			return err
		}
	}
	state := account.State("")
	switch {
	case s.Promote:
		state = account.Stored
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE accounts SET promoted = ?, working = ?, version = version + 1, updated_at = ? WHERE org_id = ? AND account_id = ?`,
			r.Next, r.Next, micros(r.UpdatedAt), org, r.Account); err != nil {
			return err
		}
	case s.Reject:
		state = account.Rejected
	}
	if state != "" {
		if _, err := tx.exec(ctx, `UPDATE credential_versions SET state = ? WHERE org_id = ? AND account_id = ? AND version = ? AND state = 'candidate'`, state, org, r.Account, r.Next); err != nil {
			return err
		}
	}
	if !s.NotBefore.IsZero() {
		if err := putOff(ctx, tx, org, r.Account, s.NotBefore); err != nil {
			return err
		}
	}
	if s.Again.IsZero() {
		return nil
	}
	_, err := tx.exec(ctx, `INSERT INTO rotation_due (org_id, account_id, trigger, due_at) VALUES (?, ?, ?, ?) ON CONFLICT (org_id, account_id) DO NOTHING`, org, r.Account, r.Trigger, micros(s.Again))
	return err
}

// settleRotation ends a rotation of which the target has not heard, or that
// waits for a person, because somebody says which version is right. While the
// target may be hearing of it, it is a Conflict.
func settleRotation(ctx context.Context, tx *Tx, org pam.OrgID, id pam.AccountID, at time.Time) error {
	if _, err := tx.exec(ctx, `UPDATE credential_versions SET state = 'rejected' WHERE org_id = ? AND account_id = ? AND state = 'candidate'
		AND EXISTS (SELECT 1 FROM rotations r WHERE r.org_id = ? AND r.account_id = ? AND r.state IN ('queued', 'stored', 'stuck'))`, org, id, org, id); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `UPDATE rotations SET state = 'cancelled', updated_at = ?, ended_at = ? WHERE org_id = ? AND account_id = ? AND state IN ('queued', 'stored', 'stuck')`,
		micros(at), micros(at), org, id); err != nil {
		return err
	}
	n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM rotations WHERE org_id = ? AND account_id = ? AND state IN `+openStates, org, id)
	if err == nil && n > 0 {
		err = pam.Errorf(pam.Conflict, "", "A rotation of this credential is under way: try again when it is over.")
	}
	return err
}

// unreadIntervals is how many Safes fillIntervals takes at once.
const unreadIntervals = 500

// fillIntervals reads the interval of Safes that were written before there was
// a column for it.
func (db *DB) fillIntervals(ctx context.Context) error {
	type unread struct {
		org      pam.OrgID
		id       pam.SafeID
		settings safe.Settings
	}
	for {
		all, err := list(ctx, db, func(r row) (u unread, err error) { return u, r.Scan(&u.org, &u.id, intoJSON(&u.settings)) },
			`SELECT org_id, safe_id, settings FROM safes WHERE rotate_days = -1 LIMIT ?`, unreadIntervals)
		if err != nil || len(all) == 0 {
			return err
		}
		err = db.write(ctx, "read intervals", func(ctx context.Context, tx *Tx) error {
			for _, u := range all {
				if _, err := tx.exec(ctx, `UPDATE safes SET rotate_days = ? WHERE org_id = ? AND safe_id = ? AND rotate_days = -1`, u.settings.Rotation.IntervalDays, u.org, u.id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// day is how long a day of an interval is, as it is kept.
const day = int64(24 * time.Hour / time.Microsecond)

// DueRotations is rotation.Store's.
func (db *DB) DueRotations(ctx context.Context, now time.Time, limit int) ([]rotation.Due, error) {
	const op = "find what is to be rotated"
	if err := db.fillIntervals(ctx); err != nil {
		return nil, db.failed(op, err)
	}
	scan := func(r row) (d rotation.Due, err error) {
		return d, r.Scan(&d.Org, &d.Account, &d.Trigger, intoTime(&d.At))
	}
	out, err := list(ctx, db, scan, `SELECT d.org_id, d.account_id, d.trigger, d.due_at FROM rotation_due d
		WHERE d.due_at <= ? AND NOT EXISTS (SELECT 1 FROM rotations r WHERE r.org_id = d.org_id AND r.account_id = d.account_id AND r.state IN `+openStates+`)
		ORDER BY d.due_at LIMIT ?`, micros(now), limit)
	if err != nil || len(out) == limit {
		return out, db.failed(op, err)
	}
	more, err := list(ctx, db, scan, `SELECT b.org_id, b.account_id, 'schedule', MIN(v.created_at + s.rotate_days * ?) FROM safes s
		JOIN safe_bindings b ON b.org_id = s.org_id AND b.safe_id = s.safe_id
		JOIN accounts a ON a.org_id = b.org_id AND a.account_id = b.account_id
		JOIN credential_versions v ON v.org_id = a.org_id AND v.account_id = a.account_id AND v.version = a.promoted
		LEFT JOIN credential_care c ON c.org_id = a.org_id AND c.account_id = a.account_id
		WHERE s.rotate_days > 0 AND v.kind <> 'ephemeral' AND v.created_at + s.rotate_days * ? <= ? AND COALESCE(c.not_before, 0) <= ?
			AND NOT EXISTS (SELECT 1 FROM rotation_due d WHERE d.org_id = b.org_id AND d.account_id = b.account_id)
			AND NOT EXISTS (SELECT 1 FROM rotations r WHERE r.org_id = b.org_id AND r.account_id = b.account_id AND r.state IN `+openStates+`)
		GROUP BY b.org_id, b.account_id LIMIT ?`, day, day, micros(now), micros(now), limit-len(out))
	return append(out, more...), db.failed(op, err)
}

// putOff notes when the schedule may want the account again.
func putOff(ctx context.Context, tx *Tx, org pam.OrgID, id pam.AccountID, at time.Time) error {
	n, err := tx.exec(ctx, `UPDATE credential_care SET not_before = ? WHERE org_id = ? AND account_id = ?`, micros(at), org, id)
	if err != nil || n > 0 {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO credential_care (org_id, account_id, settings, updated_at, not_before, check_hours, next_check_at, outcome, problem, checked_at, changed_at)
		SELECT org_id, account_id, '{}', 0, ?, 0, 0, '', '', 0, 0 FROM accounts WHERE org_id = ? AND account_id = ?
		ON CONFLICT (org_id, account_id) DO UPDATE SET not_before = excluded.not_before`, micros(at), org, id)
	return err
}

// PutOff is rotation.Store's.
func (db *DB) PutOff(ctx context.Context, org pam.OrgID, id pam.AccountID, at time.Time) error {
	return db.write(ctx, "put a rotation off", func(ctx context.Context, tx *Tx) error { return putOff(ctx, tx, org, id, at) })
}

// DropDue is rotation.Store's.
func (db *DB) DropDue(ctx context.Context, org pam.OrgID, id pam.AccountID) error {
	return db.write(ctx, "drop what is due", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM rotation_due WHERE org_id = ? AND account_id = ?`, org, id)
		return err
	})
}

// RotationSettings is rotation.Store's.
func (db *DB) RotationSettings(ctx context.Context, org pam.OrgID, id pam.AccountID) (rotation.Settings, error) {
	out, err := list(ctx, db, func(r row) (s rotation.Settings, err error) { return s, r.Scan(intoJSON(&s)) },
		`SELECT settings FROM credential_care WHERE org_id = ? AND account_id = ?`, org, id)
	if err != nil || len(out) == 0 {
		return rotation.Settings{}, db.failed("read rotation settings", err)
	}
	return out[0], nil
}

// SetRotationSettings is rotation.Store's.
func (db *DB) SetRotationSettings(ctx context.Context, org pam.OrgID, id pam.AccountID, s rotation.Settings, at time.Time, e audit.Entry) error {
	return db.write(ctx, "set rotation settings", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectAccount, string(id))
		next := int64(0)
		if s.CheckHours > 0 {
			next = micros(at)
		}
		return tx.mustTouch(ctx, pam.NotFound, `INSERT INTO credential_care (org_id, account_id, settings, updated_at, not_before, check_hours, next_check_at, outcome, problem, checked_at, changed_at)
			SELECT org_id, account_id, ?, ?, 0, ?, ?, '', '', 0, 0 FROM accounts WHERE org_id = ? AND account_id = ?
			ON CONFLICT (org_id, account_id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at, not_before = 0, check_hours = excluded.check_hours, next_check_at = excluded.next_check_at`,
			asJSON(s), micros(at), s.CheckHours, next, org, id)
	}, e)
}
