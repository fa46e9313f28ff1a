package store

import (
	"context"
	"strings"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/webhook"
)

var _ webhook.Store = (*DB)(nil)

const webhookColumns = `w.org_id, w.webhook_id, w.name, w.format, w.url, w.events, w.sealed, w.secret_version, w.status, w.problem, w.position, w.attempts, w.next_at, w.leased_until,
	w.version, w.created_at, w.updated_at`

func scanWebhook(r row) (webhook.Webhook, error) {
	var w webhook.Webhook
	err := r.Scan(&w.Org, &w.ID, &w.Name, &w.Format, &w.URL, intoJSON(&w.Events), &w.Sealed, &w.SecretVersion, &w.Status, &w.Problem, &w.Position, &w.Attempts, intoTime(&w.NextAt),
		intoTime(&w.LeasedUntil), &w.Version, intoTime(&w.CreatedAt), intoTime(&w.UpdatedAt))
	return w, err
}

// CreateWebhook is webhook.Store's.
func (db *DB) CreateWebhook(ctx context.Context, org pam.OrgID, w webhook.Webhook, e audit.Entry) error {
	return db.write(ctx, "create webhook", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, org); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM webhooks WHERE org_id = ?`, org)
		if err != nil {
			return err
		}
		if n >= webhook.MaxWebhooks {
			return pam.Errorf(pam.Conflict, "", "An organization has at most %d webhooks.", webhook.MaxWebhooks)
		}
		_, err = tx.exec(ctx, `INSERT INTO webhooks (org_id, webhook_id, name, sort_key, format, url, events, sealed, secret_version, status, problem, position, attempts, next_at, leased_until,
			version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
			org, w.ID, w.Name, naming.Key(w.Name), w.Format, w.URL, asJSON(w.Events), w.Sealed, w.SecretVersion, w.Status, w.Problem, w.Position, w.Attempts, micros(w.NextAt),
			w.Version, micros(w.CreatedAt), micros(w.UpdatedAt))
		return err
	}, e)
}

// Webhook is webhook.Store's.
func (db *DB) Webhook(ctx context.Context, org pam.OrgID, id pam.WebhookID) (webhook.Webhook, error) {
	w, err := one(ctx, db, scanWebhook, `SELECT `+webhookColumns+` FROM webhooks w WHERE w.org_id = ? AND w.webhook_id = ?`, org, id)
	if err == nil {
		err = db.lastDelivery(ctx, &w)
	}
	return w, db.failed("read webhook", err)
}

// Webhooks is webhook.Store's.
func (db *DB) Webhooks(ctx context.Context, org pam.OrgID) ([]webhook.Webhook, error) {
	const op = "list webhooks"
	out, err := list(ctx, db, scanWebhook, `SELECT `+webhookColumns+` FROM webhooks w WHERE w.org_id = ? ORDER BY w.sort_key, w.webhook_id`, org)
	if err != nil {
		return nil, db.failed(op, err)
	}
	for i := range out {
		if err := db.lastDelivery(ctx, &out[i]); err != nil {
			return nil, db.failed(op, err)
		}
	}
	return out, nil
}

func (db *DB) lastDelivery(ctx context.Context, w *webhook.Webhook) error {
	last, err := db.deliveries(ctx, w.Org, w.ID, where{}, 1)
	if len(last) > 0 {
		w.Last = &last[0]
	}
	return err
}

// UpdateWebhook is webhook.Store's.
func (db *DB) UpdateWebhook(ctx context.Context, org pam.OrgID, w webhook.Webhook, version int64, from *int64, e audit.Entry) error {
	return db.write(ctx, "update webhook", func(ctx context.Context, tx *Tx) error {
		if err := tx.mustTouch(ctx, pam.Precondition, `UPDATE webhooks SET name = ?, sort_key = ?, url = ?, events = ?, sealed = ?, secret_version = ?, version = ?, updated_at = ?
			WHERE org_id = ? AND webhook_id = ? AND version = ?`,
			w.Name, naming.Key(w.Name), w.URL, asJSON(w.Events), w.Sealed, w.SecretVersion, w.Version, micros(w.UpdatedAt), org, w.ID, version); err != nil {
			return err
		}
		var err error
		switch {
		case from != nil:
			_, err = tx.exec(ctx, `UPDATE webhooks SET status = 'active', problem = '', attempts = 0, next_at = ?, leased_until = 0, position = ? WHERE org_id = ? AND webhook_id = ?`,
				micros(w.UpdatedAt), *from, org, w.ID)
		case w.Status == webhook.Disabled:
			_, err = tx.exec(ctx, `UPDATE webhooks SET status = ?, problem = ? WHERE org_id = ? AND webhook_id = ?`, w.Status, w.Problem, org, w.ID)
		}
		return err
	}, e)
}

// DeleteWebhook is webhook.Store's.
func (db *DB) DeleteWebhook(ctx context.Context, org pam.OrgID, id pam.WebhookID, version int64, e audit.Entry) error {
	return db.write(ctx, "delete webhook", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.Precondition, `DELETE FROM webhooks WHERE org_id = ? AND webhook_id = ? AND version = ?`, org, id, version)
	}, e)
}

// DueWebhooks is webhook.Store's.
func (db *DB) DueWebhooks(ctx context.Context, now time.Time, limit int) ([]webhook.Webhook, error) {
	out, err := list(ctx, db, scanWebhook, `SELECT `+webhookColumns+` FROM webhooks w WHERE w.status <> 'disabled' AND w.next_at <= ? AND w.leased_until <= ?
		AND EXISTS (SELECT 1 FROM audit_events e WHERE e.org_id = w.org_id AND e.leaf_index >= w.position) ORDER BY w.next_at LIMIT ?`, micros(now), micros(now), limit)
	return out, db.failed("find due webhooks", err)
}

// ClaimWebhooks is webhook.Store's.
func (db *DB) ClaimWebhooks(ctx context.Context, due []webhook.Webhook, lease time.Time) ([]webhook.Webhook, error) {
	var out []webhook.Webhook
	err := db.write(ctx, "claim webhooks", func(ctx context.Context, tx *Tx) error {
		out = nil
		for _, w := range due {
			n, err := tx.exec(ctx, `UPDATE webhooks SET leased_until = ? WHERE org_id = ? AND webhook_id = ? AND leased_until = ? AND position = ? AND status <> 'disabled'`,
				micros(lease), w.Org, w.ID, micros(w.LeasedUntil), w.Position)
			if err != nil {
				return err
			}
			if n > 0 {
				w.LeasedUntil = lease
				out = append(out, w)
			}
		}
		return nil
	})
	return out, err
}

// NoteProgress is webhook.Store's.
func (db *DB) NoteProgress(ctx context.Context, p webhook.Progress, entries ...audit.Entry) error {
	return db.write(ctx, "note deliveries", func(ctx context.Context, tx *Tx) error {
		w := p.Webhook
		if err := tx.mustTouch(ctx, pam.Conflict, `UPDATE webhooks SET position = ?, attempts = ?, next_at = ?, leased_until = 0,
			problem = CASE WHEN status = 'disabled' THEN problem ELSE ? END, status = CASE WHEN status = 'disabled' THEN status ELSE ? END
			WHERE org_id = ? AND webhook_id = ? AND leased_until = ?`,
			w.Position, w.Attempts, micros(w.NextAt), w.Problem, string(w.Status), w.Org, w.ID, micros(w.LeasedUntil)); err != nil {
			return err
		}
		for _, d := range p.Deliveries {
			if err := noteDelivery(ctx, tx, w.Org, w.ID, d); err != nil {
				return err
			}
		}
		return nil
	}, entries...)
}

// NoteDelivery is webhook.Store's.
func (db *DB) NoteDelivery(ctx context.Context, org pam.OrgID, id pam.WebhookID, d webhook.Delivery) error {
	return db.write(ctx, "note delivery", func(ctx context.Context, tx *Tx) error {
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE webhooks SET version = version WHERE org_id = ? AND webhook_id = ?`, org, id); err != nil {
			return err
		}
		return noteDelivery(ctx, tx, org, id, d)
	})
}

func noteDelivery(ctx context.Context, tx *Tx, org pam.OrgID, id pam.WebhookID, d webhook.Delivery) error {
	_, err := tx.exec(ctx, `INSERT INTO webhook_deliveries (org_id, webhook_id, event_id, event_type, status, attempts, http_status, problem, duration_us, tried_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, webhook_id, event_id) DO UPDATE SET status = excluded.status, attempts = excluded.attempts,
		http_status = excluded.http_status, problem = excluded.problem, duration_us = excluded.duration_us, tried_at = excluded.tried_at`,
		org, id, d.Event, d.Type, d.Status, d.Attempts, d.HTTP, d.Problem, d.Took.Microseconds(), micros(d.At))
	return err
}

// Deliveries is webhook.Store's.
func (db *DB) Deliveries(ctx context.Context, org pam.OrgID, id pam.WebhookID, after string, limit int) ([]webhook.Delivery, error) {
	var w where
	if after != "" {
		text, event, _ := strings.Cut(after, " ")
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, db.failed("list deliveries", invalid("cursor", "is not one of this list"))
		}
		w.and("(d.tried_at < ? OR d.tried_at = ? AND d.event_id < ?)", micros(at), micros(at), event)
	}
	out, err := db.deliveries(ctx, org, id, w, limit)
	return out, db.failed("list deliveries", err)
}

func (db *DB) deliveries(ctx context.Context, org pam.OrgID, id pam.WebhookID, w where, limit int) ([]webhook.Delivery, error) {
	args := append([]any{org, id}, w.args...)
	return list(ctx, db, func(r row) (webhook.Delivery, error) {
		var d webhook.Delivery
		var took int64
		err := r.Scan(&d.Event, &d.Type, &d.Status, &d.Attempts, &d.HTTP, &d.Problem, &took, intoTime(&d.At))
		d.Took = time.Duration(took) * time.Microsecond
		return d, err
	}, `SELECT d.event_id, d.event_type, d.status, d.attempts, d.http_status, d.problem, d.duration_us, d.tried_at FROM webhook_deliveries d
		WHERE d.org_id = ? AND d.webhook_id = ?`+w.also()+` ORDER BY d.tried_at DESC, d.event_id DESC LIMIT ?`, append(args, limit)...)
}

// PurgeDeliveries is webhook.Store's.
func (db *DB) PurgeDeliveries(ctx context.Context, before time.Time) error {
	return db.write(ctx, "purge deliveries", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM webhook_deliveries WHERE tried_at < ?`, micros(before))
		return err
	})
}
