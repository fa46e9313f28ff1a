package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vaultpam/pam"
)

// idempotency keeps answers to requests that carried an Idempotency-Key. The
// key is a hash over organization, user, token, route and key, so that rows of
// one caller cannot be met by another.
type idempotency struct{ db *DB }

// Idempotency returns the view on the kept answers.
func (db *DB) Idempotency() idempotency { return idempotency{db} }

// abandonedAfter is how long a reservation without an answer holds: whoever
// made it was killed.
const abandonedAfter = 2 * time.Minute

// Reserve takes key for a request with bodyHash, until expires. It returns nil
// if the caller is to run the request and then Complete or Release it, else
// the answer of the first. Errors: Invalid if the first had another body,
// Conflict while the first is still running.
func (s idempotency) Reserve(ctx context.Context, key, bodyHash string, expires time.Time) (*pam.IdempotentAnswer, error) {
	const op = "reserve idempotency key"
	type kept struct {
		body               string
		complete           bool
		created, expiresAt time.Time
		answer             pam.IdempotentAnswer
	}
	var found *pam.IdempotentAnswer
	err := s.db.write(ctx, op, func(ctx context.Context, tx *Tx) error {
		found = nil
		now := s.db.clock.Now()
		n, err := tx.exec(ctx, `INSERT INTO idempotency (scope_hash, body_hash, complete, status, content_type, body, object_id, created_at, expires_at)
			VALUES (?, ?, FALSE, 0, '', NULL, '', ?, ?) ON CONFLICT (scope_hash) DO NOTHING`, key, bodyHash, micros(now), micros(expires))
		if err != nil || n == 1 {
			return err
		}
		old, err := one(ctx, tx, func(r row) (kept, error) {
			var o kept
			return o, r.Scan(&o.body, &o.complete, &o.answer.Status, &o.answer.ContentType, &o.answer.Body, &o.answer.ObjectID, intoTime(&o.created), intoTime(&o.expiresAt))
		}, `SELECT body_hash, complete, status, content_type, body, object_id, created_at, expires_at FROM idempotency WHERE scope_hash = ?`, key)
		switch {
		case errors.Is(err, sql.ErrNoRows): // released in this instant
			return errInProgress()
		case err != nil:
			return err
		case !old.expiresAt.After(now), !old.complete && !old.created.Add(abandonedAfter).After(now):
			// Two who find the same dead row: only the first still sees its time.
			return tx.mustTouch(ctx, pam.Conflict, `UPDATE idempotency SET body_hash = ?, complete = FALSE, status = 0, content_type = '', body = NULL, object_id = '', created_at = ?, expires_at = ?
				WHERE scope_hash = ? AND created_at = ? AND expires_at = ?`, bodyHash, micros(now), micros(expires), key, micros(old.created), micros(old.expiresAt))
		case old.body != bodyHash:
			ps := pam.Problems{}
			ps.Add("Idempotency-Key", "was used for a request with another body")
			return ps.Err("")
		case !old.complete:
			return errInProgress()
		}
		found = &old.answer
		return nil
	})
	return found, err
}

func errInProgress() error {
	return &pam.Error{Kind: pam.Conflict, Public: "The first request with this Idempotency-Key is still running."}
}

// Complete keeps the answer of a reserved request. NotFound if it is not
// reserved.
func (s idempotency) Complete(ctx context.Context, key string, a pam.IdempotentAnswer) error {
	return s.db.write(ctx, "keep answer", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE idempotency SET complete = TRUE, status = ?, content_type = ?, body = ?, object_id = ?
			WHERE scope_hash = ? AND complete = FALSE`, a.Status, a.ContentType, a.Body, a.ObjectID, key)
	})
}

// Release gives a reserved key up, so that the request may be tried again. An
// answer that was kept stays.
func (s idempotency) Release(ctx context.Context, key string) error {
	return s.db.write(ctx, "release idempotency key", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `DELETE FROM idempotency WHERE scope_hash = ? AND complete = FALSE`, key)
		return err
	})
}

// Purge deletes what had expired at now and returns how much that was.
func (s idempotency) Purge(ctx context.Context, now time.Time) (int64, error) {
	var n int64
	err := s.db.write(ctx, "purge idempotency keys", func(ctx context.Context, tx *Tx) (err error) {
		n, err = tx.exec(ctx, `DELETE FROM idempotency WHERE expires_at <= ?`, micros(now))
		return err
	})
	return n, err
}
