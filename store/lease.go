package store

import (
	"context"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/lease"
)

var _ lease.Store = (*DB)(nil)

const (
	leaseColumns = `l.org_id, l.lease_id, l.account_id, l.account_name, l.resource_id, l.place, l.admin_account_id, l.safe_id, l.user_id, l.checkout_id, l.username, l.spec, l.state, l.attempts, l.problem,
		l.created_at, l.expires_at, l.updated_at, l.next_at, l.fence`
	// openLeases are those of the partial index, word for word.
	openLeases = `('creating', 'active', 'revoking', 'stuck')`
)

func scanLease(r row) (l lease.Lease, err error) {
	return l, r.Scan(&l.Org, &l.ID, &l.Account, &l.Name, &l.Resource, &l.Place, &l.Admin, &l.Safe, &l.User, &l.Checkout, &l.Username, intoJSON(&l.Spec), &l.State, &l.Attempts, &l.Problem,
		intoTime(&l.CreatedAt), intoTime(&l.ExpiresAt), intoTime(&l.UpdatedAt), intoTime(&l.NextAt), &l.Fence)
}

// CreateLease is lease.Store's.
func (db *DB) CreateLease(ctx context.Context, org pam.OrgID, l lease.Lease, limit int, e audit.Entry) error {
	return db.write(ctx, "create lease", func(ctx context.Context, tx *Tx) error {
		// The account's row is locked: who deletes it waits, or it is gone.
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE accounts SET version = version WHERE org_id = ? AND account_id = ?`, org, l.Account); err != nil {
			return err
		}
		var n, same int64
		if _, err := one(ctx, tx, func(r row) (struct{}, error) { return struct{}{}, r.Scan(&n, &same) },
			`SELECT COUNT(*), COALESCE(SUM(CASE WHEN username = ? THEN 1 ELSE 0 END), 0) FROM leases WHERE org_id = ? AND state IN `+openLeases, l.Username, org); err != nil {
			return err
		}
		switch {
		case same > 0:
			return &pam.Error{Kind: pam.Conflict}
		case n >= int64(limit):
			return pam.Errorf(pam.TooMany, "", "The organization has %d users at targets already.", n)
		}
		_, err := tx.exec(ctx, `INSERT INTO leases (org_id, lease_id, account_id, account_name, resource_id, place, admin_account_id, safe_id, user_id, checkout_id, username, spec, state, attempts, problem,
				created_at, expires_at, updated_at, next_at, fence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?, ?, ?, 0)`,
			org, l.ID, l.Account, l.Name, l.Resource, l.Place, l.Admin, l.Safe, l.User, l.Checkout, l.Username, asJSON(l.Spec), l.State,
			micros(l.CreatedAt), micros(l.ExpiresAt), micros(l.UpdatedAt), micros(l.NextAt))
		return err
	}, e)
}

// LeaseByID is lease.Store's.
func (db *DB) LeaseByID(ctx context.Context, org pam.OrgID, id pam.LeaseID) (lease.Lease, error) {
	out, err := one(ctx, db, scanLease, `SELECT `+leaseColumns+` FROM leases l WHERE l.org_id = ? AND l.lease_id = ?`, org, id)
	return out, db.failed("read lease", err)
}

// ListLeases is lease.Store's.
func (db *DB) ListLeases(ctx context.Context, org pam.OrgID, q lease.Query) ([]lease.Lease, error) {
	var w where
	w.and("l.org_id = ?", org)
	if !q.All {
		w.and("(l.user_id = ? OR l.safe_id IN ("+managedSafes+"))", slices.Concat([]any{q.User}, managedArgs(org, q.User, q.Now))...)
	}
	if q.State != "" {
		w.and("l.state = ?", q.State)
	}
	if q.Open {
		w.and("l.state IN " + openLeases)
	}
	if q.After != "" {
		w.and("l.lease_id < ?", q.After)
	}
	out, err := list(ctx, db, scanLease, `SELECT `+leaseColumns+` FROM leases l WHERE `+w.String()+` ORDER BY l.lease_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list leases", err)
}

// AdvanceLease is lease.Store's.
func (db *DB) AdvanceLease(ctx context.Context, org pam.OrgID, l lease.Lease, from lease.State, events ...audit.Entry) error {
	if !from.May(l.State) {
		return &pam.Error{Kind: pam.Conflict, Op: "advance lease"}
	}
	return db.write(ctx, "advance lease", func(ctx context.Context, tx *Tx) error {
		return tx.compareAndSet(ctx, pam.Conflict, `UPDATE leases SET state = ?, attempts = ?, problem = ?, updated_at = ?, next_at = ?, fence = fence + 1
			WHERE org_id = ? AND lease_id = ? AND state = ? AND fence = ?`,
			[]any{l.State, l.Attempts, l.Problem, micros(l.UpdatedAt), micros(l.NextAt), org, l.ID, from, l.Fence},
			`SELECT 1 FROM leases WHERE org_id = ? AND lease_id = ?`, org, l.ID)
	}, events...)
}

// DueLeases is lease.Store's. What was never tried comes before what failed.
func (db *DB) DueLeases(ctx context.Context, now time.Time, f lease.Fair) ([]lease.Lease, error) {
	out, err := list(ctx, db, scanLease, `SELECT `+leaseColumns+` FROM (
			SELECT d.*, ROW_NUMBER() OVER (PARTITION BY d.org_id ORDER BY d.nth, d.attempts > 0, d.next_at) AS turn FROM (
				SELECT o.*, ROW_NUMBER() OVER (PARTITION BY o.org_id, o.resource_id ORDER BY o.attempts > 0, o.next_at) AS nth FROM leases o
				LEFT JOIN checkouts c ON c.org_id = o.org_id AND c.checkout_id = o.checkout_id
				LEFT JOIN accounts a ON a.org_id = o.org_id AND a.account_id = o.account_id
				WHERE o.state IN `+openLeases+` AND (o.next_at <= ? OR o.state = 'active' AND (c.status IS NULL OR c.status <> 'checked_out' OR a.account_id IS NULL))) d
			WHERE d.nth <= ?) l
		WHERE l.turn <= ? ORDER BY l.turn, l.attempts > 0, l.next_at LIMIT ?`, micros(now), f.Resource, f.Org, f.All)
	return out, db.failed("find leases", err)
}

// CountLeases says how many users targets may have, and of how many somebody has
// to take care.
func (db *DB) CountLeases(ctx context.Context) (open, stuck int64, err error) {
	open, err = one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM leases WHERE state IN `+openLeases)
	if err == nil {
		stuck, err = one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM leases WHERE state = 'stuck'`)
	}
	return open, stuck, db.failed("count leases", err)
}
