package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/rotation"
)

const (
	checkoutColumns = `c.org_id, c.checkout_id, c.safe_id, c.account_id, c.user_id, c.username, c.status, c.version, c.reason, c.created_at, c.expires_at, c.checked_in_at, c.checked_in_by,
		c.exclusive, c.emergency, c.extensions, c.session_id, c.grant_id, c.cause, c.client_ip`
	checkoutRows = `SELECT ` + checkoutColumns + `, COALESCE(s.name, ''), COALESCE(a.name, ''), COALESCE(u.name, '') FROM checkouts c
		LEFT JOIN safes s ON s.org_id = c.org_id AND s.safe_id = c.safe_id
		LEFT JOIN accounts a ON a.org_id = c.org_id AND a.account_id = c.account_id
		LEFT JOIN users u ON u.id = c.user_id`
)

// checkoutFields are the destinations of checkoutColumns.
func checkoutFields(c *checkout.Checkout) []any {
	return []any{
		&c.Org, &c.ID, &c.Safe, &c.Account, &c.User, &c.Username, &c.Status, &c.Version, &c.Reason,
		intoTime(&c.CreatedAt), intoTime(&c.ExpiresAt), intoTime(&c.CheckedInAt), &c.CheckedInBy,
		&c.Exclusive, &c.Emergency, &c.Extensions, &c.Session, &c.Grant, &c.Cause, &c.ClientIP,
	}
}

func scanCheckout(r row) (c checkout.Checkout, err error) {
	return c, r.Scan(append(checkoutFields(&c), &c.SafeName, &c.AccountName, &c.UserName)...)
}

// CreateCheckout stores a checkout that is out.
func (db *DB) CreateCheckout(ctx context.Context, org pam.OrgID, c checkout.Checkout, letters []pam.Outgoing, events ...audit.Entry) error {
	return db.write(ctx, "create checkout", func(ctx context.Context, tx *Tx) error {
		// Shared ones overlap, and whoever wants the row alone may wait for as long
		// as they come: it is refused without, where it can be.
		if c.Exclusive {
			if err := tx.free(ctx, org, c.Account, true); err != nil {
				return err
			}
		}
		if err := tx.lockAccount(ctx, org, c.Account, c.Exclusive); err != nil {
			return err
		}
		if err := tx.free(ctx, org, c.Account, c.Exclusive); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO checkouts (org_id, checkout_id, safe_id, account_id, user_id, username, status, version, reason, created_at, expires_at, checked_in_at, checked_in_by,
				exclusive, emergency, extensions, session_id, grant_id, cause, client_ip)
			VALUES (?, ?, ?, ?, ?, ?, 'checked_out', ?, ?, ?, ?, 0, '', ?, ?, 0, ?, ?, '', ?)`,
			org, c.ID, c.Safe, c.Account, c.User, c.Username, c.Version, c.Reason, micros(c.CreatedAt), micros(c.ExpiresAt), c.Exclusive, c.Emergency, c.Session, c.Grant, c.ClientIP); err != nil {
			return err
		}
		return send(ctx, tx, letters...)
	}, events...)
}

// free is a Conflict if what is out keeps the account's secret from being
// checked out.
func (tx *Tx) free(ctx context.Context, org pam.OrgID, id pam.AccountID, exclusive bool) error {
	out, err := list(ctx, tx, scalar[pam.CheckoutID], inTheWay(exclusive), org, id)
	if err == nil && len(out) > 0 {
		err = pam.Errorf(pam.Conflict, "", "This credential is checked out already, and only one person may have it at a time.")
	}
	return err
}

// lockAccount keeps an account from being deleted until the end of the
// transaction. Of two that lock it at the same time one sees the other, if
// either wants it alone. One that shares it holds up no rotation: PostgreSQL
// lets those who share a row pass whoever waits to change it, so that under
// many reveals a rotation would wait until it fails.
func (tx *Tx) lockAccount(ctx context.Context, org pam.OrgID, id pam.AccountID, alone bool) error {
	how := tx.dialect.shareRow
	if alone {
		how = tx.dialect.aloneRow
	}
	_, err := one(ctx, tx, scalar[int64], `SELECT 1 FROM accounts WHERE org_id = ? AND account_id = ?`+how, org, id)
	return err
}

// RecordKit stores the events of an offline kit of these accounts. It is a
// Conflict if somebody has one of them exclusively.
func (db *DB) RecordKit(ctx context.Context, org pam.OrgID, accounts []pam.AccountID, events ...audit.Entry) error {
	return db.write(ctx, "record kit", func(ctx context.Context, tx *Tx) error {
		var taken []string
		for _, id := range slices.Sorted(slices.Values(accounts)) { // in one order, so that two kits never wait for one another
			if err := tx.lockAccount(ctx, org, id, false); err != nil {
				return err
			}
			out, err := list(ctx, tx, scalar[pam.CheckoutID], inTheWay(false), org, id)
			if err != nil {
				return err
			}
			if len(out) > 0 {
				taken = append(taken, string(id))
			}
		}
		if len(taken) > 0 {
			more := ""
			if len(taken) > 5 {
				taken, more = taken[:5], " and others"
			}
			return pam.Errorf(pam.Conflict, "", "Somebody has a secret of this safe exclusively, and a kit would give it to another: make the kit when it is back (%s%s).", strings.Join(taken, ", "), more)
		}
		return nil
	}, events...)
}

// inTheWay finds what keeps an account's secret from being checked out. Each of
// the two has an index of its own: with ten thousand out, none of them
// exclusive, there is nothing to be read.
func inTheWay(exclusive bool) string {
	text := `SELECT checkout_id FROM checkouts WHERE org_id = ? AND account_id = ? AND status = 'checked_out'`
	if !exclusive {
		text += ` AND exclusive`
	}
	return text + ` LIMIT 1`
}

// CheckoutByID returns a checkout of org.
func (db *DB) CheckoutByID(ctx context.Context, org pam.OrgID, id pam.CheckoutID) (checkout.Checkout, error) {
	out, err := one(ctx, db, scanCheckout, checkoutRows+` WHERE c.org_id = ? AND c.checkout_id = ?`, org, id)
	return out, db.failed("read checkout", err)
}

// ListCheckouts returns a page, newest first.
func (db *DB) ListCheckouts(ctx context.Context, org pam.OrgID, q checkout.Query) ([]checkout.Checkout, error) {
	var w where
	w.and("c.org_id = ?", org)
	switch q.Status {
	case checkout.Every:
	case checkout.Available:
		w.and("(c.status = 'available' OR c.expires_at <= ?)", micros(q.Now))
	default:
		w.and("c.status = 'checked_out' AND c.expires_at > ?", micros(q.Now))
	}
	if !q.All {
		w.and("(c.user_id = ? OR c.safe_id IN ("+managedSafes+"))", append([]any{q.User}, managedArgs(org, q.User, q.Now)...)...)
	}
	if q.Of != "" {
		w.and("c.user_id = ?", q.Of)
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
	out, err := list(ctx, db, scanCheckout, checkoutRows+` WHERE `+w.String()+` ORDER BY c.checkout_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list checkouts", err)
}

// CheckIn ends a checkout that is out.
func (db *DB) CheckIn(ctx context.Context, org pam.OrgID, id pam.CheckoutID, by pam.UserID, why checkout.Cause, at time.Time, e audit.Entry) error {
	return db.write(ctx, "check in", func(ctx context.Context, tx *Tx) error {
		err := tx.compareAndSet(ctx, pam.Conflict,
			`UPDATE checkouts SET status = 'available', checked_in_at = ?, checked_in_by = ?, cause = ? WHERE org_id = ? AND checkout_id = ? AND status = 'checked_out'`,
			[]any{micros(at), by, why, org, id}, `SELECT 1 FROM checkouts WHERE org_id = ? AND checkout_id = ?`, org, id)
		if err != nil || why == checkout.NotOpened {
			return err
		}
		c, err := one(ctx, tx, scanCheckout, checkoutRows+` WHERE c.org_id = ? AND c.checkout_id = ?`, org, id)
		if err != nil {
			return err
		}
		trigger := rotation.AfterCheckIn
		if c.Emergency {
			trigger = rotation.BreakGlass
		}
		return queueRotation(ctx, tx, org, c.Account, string(trigger), at)
	}, e)
}

// ExtendCheckout is checkout.Store's.
func (db *DB) ExtendCheckout(ctx context.Context, org pam.OrgID, c checkout.Checkout, until time.Time, e audit.Entry) error {
	return db.write(ctx, "extend checkout", func(ctx context.Context, tx *Tx) error {
		return tx.compareAndSet(ctx, pam.Conflict,
			`UPDATE checkouts SET expires_at = ?, extensions = extensions + 1 WHERE org_id = ? AND checkout_id = ? AND status = 'checked_out' AND extensions = ? AND expires_at = ?`,
			[]any{micros(until), org, c.ID, c.Extensions, micros(c.ExpiresAt)}, `SELECT 1 FROM checkouts WHERE org_id = ? AND checkout_id = ?`, org, c.ID)
	}, e)
}

// DueCheckouts is checkout.Store's.
func (db *DB) DueCheckouts(ctx context.Context, now time.Time, limit int) ([]checkout.Due, error) {
	out, err := list(ctx, db, func(r row) (d checkout.Due, err error) {
		return d, r.Scan(append(checkoutFields(&d.Checkout), &d.Why)...)
	},
		`SELECT `+checkoutColumns+`, 'timeout' FROM checkouts c WHERE c.status = 'checked_out' AND c.expires_at <= ?
		UNION ALL SELECT `+checkoutColumns+`, 'session_ended' FROM checkouts c WHERE c.status = 'checked_out' AND c.session_id <> '' AND c.expires_at > ?
			AND NOT EXISTS (SELECT 1 FROM sessions x WHERE x.org_id = c.org_id AND x.session_id = c.session_id AND x.status IN ('pending', 'active'))
		LIMIT ?`, micros(now), micros(now), limit)
	return out, db.failed("find checkouts that are to end", err)
}

// CountCheckouts counts those that are out, and of these the emergencies, for
// metrics.
func (db *DB) CountCheckouts(ctx context.Context, now time.Time) (all, emergencies int64, err error) {
	type counts struct{ all, emergencies int64 }
	out, err := one(ctx, db, func(r row) (c counts, err error) { return c, r.Scan(&c.all, &c.emergencies) },
		`SELECT COUNT(*), COALESCE(SUM(CASE WHEN emergency THEN 1 ELSE 0 END), 0) FROM checkouts WHERE status = 'checked_out' AND expires_at > ?`, micros(now))
	return out.all, out.emergencies, db.failed("count checkouts", err)
}
