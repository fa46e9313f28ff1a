package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/outbox"
)

var _ outbox.Store = (*DB)(nil)

// send puts messages into the outbox, as part of a change.
func send(ctx context.Context, tx *Tx, messages ...pam.Outgoing) error {
	for _, m := range messages {
		if _, err := tx.exec(ctx, `INSERT INTO outbox (org_id, message_id, channel, kind, object_id, recipient, sealed, status, attempts, problem, created_at, next_at, tried_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', 0, '', ?, ?, 0)`,
			m.Org, m.ID, m.Channel, m.Kind, m.Object, m.To, m.Sealed, micros(m.CreatedAt), micros(m.CreatedAt)); err != nil {
			return err
		}
	}
	return nil
}

// unsend takes back what waits about an object: its link opens nothing more.
func unsend(ctx context.Context, tx *Tx, org pam.OrgID, kind, object string) error {
	_, err := tx.exec(ctx, `DELETE FROM outbox WHERE org_id = ? AND object_id = ? AND kind = ? AND status = 'pending'`, org, object, kind)
	return err
}

// ClaimOutgoing is outbox.Store's. A message that another node claims at the
// same time is left to it.
func (db *DB) ClaimOutgoing(ctx context.Context, now, lease time.Time, limit int) ([]outbox.Due, error) {
	const op = "claim messages"
	type claim struct {
		outbox.Due
		next int64
	}
	found, err := list(ctx, db, func(r row) (c claim, err error) {
		return c, r.Scan(&c.Org, &c.ID, &c.Channel, &c.Kind, &c.Object, &c.To, &c.Sealed, intoTime(&c.CreatedAt), &c.Attempts, &c.next)
	}, `SELECT org_id, message_id, channel, kind, object_id, recipient, sealed, created_at, attempts, next_at FROM outbox
		WHERE status = 'pending' AND next_at <= ? ORDER BY next_at LIMIT ?`, micros(now), limit)
	if err != nil || len(found) == 0 {
		return nil, db.failed(op, err)
	}
	var out []outbox.Due
	err = db.write(ctx, op, func(ctx context.Context, tx *Tx) error {
		out = nil
		for _, c := range found {
			n, err := tx.exec(ctx, `UPDATE outbox SET next_at = ? WHERE org_id = ? AND message_id = ? AND status = 'pending' AND next_at = ?`, micros(lease), c.Org, c.ID, c.next)
			if err != nil {
				return err
			}
			if n > 0 {
				out = append(out, c.Due)
			}
		}
		return nil
	})
	return out, err
}

// SettleOutgoing is outbox.Store's. One that was taken back meanwhile is gone.
func (db *DB) SettleOutgoing(ctx context.Context, m pam.Outgoing, d pam.Delivery, next time.Time, entries ...audit.Entry) error {
	return db.write(ctx, "settle message", func(ctx context.Context, tx *Tx) error {
		text := `UPDATE outbox SET status = ?, attempts = ?, problem = ?, tried_at = ?, next_at = ? WHERE org_id = ? AND message_id = ? AND status = 'pending'`
		if d.Status != pam.DeliveryPending {
			text = `UPDATE outbox SET status = ?, attempts = ?, problem = ?, tried_at = ?, next_at = ?, sealed = NULL WHERE org_id = ? AND message_id = ? AND status = 'pending'`
		}
		_, err := tx.exec(ctx, text, d.Status, d.Attempts, d.Problem, micros(d.At), micros(next), m.Org, m.ID)
		return err
	}, entries...)
}

// PurgeOutgoing is outbox.Store's.
func (db *DB) PurgeOutgoing(ctx context.Context, t time.Time) error {
	return db.write(ctx, "purge messages", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM outbox WHERE status <> 'pending' AND next_at < ?`, micros(t))
		return err
	})
}

// deliveryColumns is how the newest message of one kind about an object, the
// id of a row, went. Its argument-free SQL fits into any list of columns.
func deliveryColumns(org, object, kind string) string {
	newest := ` FROM outbox x WHERE x.org_id = ` + org + ` AND x.object_id = ` + object + ` AND x.kind = '` + kind + `' ORDER BY x.message_id DESC LIMIT 1)`
	return `COALESCE((SELECT x.status` + newest + `, ''), COALESCE((SELECT x.attempts` + newest + `, 0), COALESCE((SELECT x.problem` + newest + `, ''), COALESCE((SELECT x.tried_at` + newest + `, 0)`
}

func deliveryInto(d *pam.Delivery) []any {
	return []any{&d.Status, &d.Attempts, &d.Problem, intoTime(&d.At)}
}

// Preferences is outbox.Store's.
func (db *DB) Preferences(ctx context.Context, org pam.OrgID) (outbox.Preferences, error) {
	p := outbox.DefaultPreferences
	mail, err := list(ctx, db, scalar[bool], `SELECT approver_mail FROM notification_preferences WHERE org_id = ?`, org)
	if len(mail) > 0 {
		p.ApproverMail = mail[0]
	}
	return p, db.failed("read notifications", err)
}

// SetPreferences is outbox.Store's.
func (db *DB) SetPreferences(ctx context.Context, org pam.OrgID, p outbox.Preferences, e audit.Entry) error {
	return db.write(ctx, "change notifications", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO notification_preferences (org_id, approver_mail) VALUES (?, ?) ON CONFLICT (org_id) DO UPDATE SET approver_mail = excluded.approver_mail`, org, p.ApproverMail)
		return err
	}, e)
}

// Messages is outbox.Store's.
func (db *DB) Messages(ctx context.Context, org pam.OrgID, status pam.DeliveryStatus, after pam.OutgoingID, limit int) ([]outbox.Message, error) {
	var w where
	w.and("org_id = ?", org)
	if status != "" {
		w.and("status = ?", status)
	}
	if after != "" {
		w.and("message_id < ?", after)
	}
	out, err := list(ctx, db, func(r row) (m outbox.Message, err error) {
		err = r.Scan(append([]any{&m.Org, &m.ID, &m.Channel, &m.Kind, &m.Object, &m.To, intoTime(&m.CreatedAt)}, deliveryInto(&m.Delivery)...)...)
		return m, err
	}, `SELECT org_id, message_id, channel, kind, object_id, recipient, created_at, status, attempts, problem, tried_at FROM outbox WHERE `+w.String()+` ORDER BY message_id DESC LIMIT ?`,
		append(w.args, limit)...)
	return out, db.failed("list letters", err)
}
