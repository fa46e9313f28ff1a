package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
)

const checkoutColumns = `c.org_id, c.checkout_id, c.safe_id, c.account_id, c.user_id, c.username, c.status, c.version, c.reason, c.created_at, c.expires_at, c.checked_in_at, c.checked_in_by`

func scanCheckout(r row) (checkout.Checkout, error) {
	var c checkout.Checkout
	err := r.Scan(&c.Org, &c.ID, &c.Safe, &c.Account, &c.User, &c.Username, &c.Status, &c.Version, &c.Reason,
		intoTime(&c.CreatedAt), intoTime(&c.ExpiresAt), intoTime(&c.CheckedInAt), &c.CheckedInBy)
	return c, err
}

// CreateCheckout stores a checkout that is out.
func (db *DB) CreateCheckout(ctx context.Context, org pam.OrgID, c checkout.Checkout, events ...audit.Entry) error {
	return db.write(ctx, "create checkout", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO checkouts (org_id, checkout_id, safe_id, account_id, user_id, username, status, version, reason, created_at, expires_at, checked_in_at, checked_in_by)
			VALUES (?, ?, ?, ?, ?, ?, 'checked_out', ?, ?, ?, ?, 0, '')`,
			org, c.ID, c.Safe, c.Account, c.User, c.Username, c.Version, c.Reason, micros(c.CreatedAt), micros(c.ExpiresAt))
		return err
	}, events...)
}

// CheckoutByID returns a checkout of org.
func (db *DB) CheckoutByID(ctx context.Context, org pam.OrgID, id pam.CheckoutID) (checkout.Checkout, error) {
	out, err := one(ctx, db, scanCheckout, `SELECT `+checkoutColumns+` FROM checkouts c WHERE c.org_id = ? AND c.checkout_id = ?`, org, id)
	return out, db.failed("read checkout", err)
}

// ListCheckouts returns a page of those that are out, newest first.
func (db *DB) ListCheckouts(ctx context.Context, org pam.OrgID, q checkout.Query) ([]checkout.Checkout, error) {
	var w where
	w.and("c.org_id = ? AND c.status = 'checked_out' AND c.expires_at > ?", org, micros(q.Now))
	if !q.All {
		w.and("(c.user_id = ? OR c.safe_id IN ("+managedSafes+"))", append([]any{q.User}, managedArgs(org, q.User, q.Now)...)...)
	}
	if q.Safe != "" {
		w.and("c.safe_id = ?", q.Safe)
	}
	if q.Account != "" {
		w.and("c.account_id = ?", q.Account)
	}
	if q.After != "" {
		w.and("c.checkout_id < ?", q.After)
	}
	out, err := list(ctx, db, scanCheckout, `SELECT `+checkoutColumns+` FROM checkouts c WHERE `+w.String()+` ORDER BY c.checkout_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list checkouts", err)
}

// CheckIn ends a checkout that is out.
func (db *DB) CheckIn(ctx context.Context, org pam.OrgID, id pam.CheckoutID, by pam.UserID, at time.Time, e audit.Entry) error {
	return db.write(ctx, "check in", func(ctx context.Context, tx *Tx) error {
		return tx.compareAndSet(ctx, pam.Conflict,
			`UPDATE checkouts SET status = 'available', checked_in_at = ?, checked_in_by = ? WHERE org_id = ? AND checkout_id = ? AND status = 'checked_out'`,
			[]any{micros(at), by, org, id}, `SELECT 1 FROM checkouts WHERE org_id = ? AND checkout_id = ?`, org, id)
	}, e)
}
