package store

import (
	"context"
	"time"
)

// InstanceSecret returns a sealed secret of the server itself; NotFound where
// there is none of that name.
func (db *DB) InstanceSecret(ctx context.Context, name string) ([]byte, error) {
	b, err := one(ctx, db, scalar[[]byte], `SELECT sealed FROM instance_secrets WHERE name = ?`, name)
	return b, db.failed("read instance secret", err)
}

// AddInstanceSecret stores one; a Conflict where there is one of that name.
func (db *DB) AddInstanceSecret(ctx context.Context, name string, sealed []byte, at time.Time) error {
	return db.write(ctx, "add instance secret", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO instance_secrets (name, sealed, created_at) VALUES (?, ?, ?)`, name, sealed, micros(at))
		return err
	})
}

// Ping asks the database whether it answers.
func (db *DB) Ping(ctx context.Context) error {
	_, err := one(ctx, db, scalar[int64], `SELECT 1`)
	return db.failed("ping database", err)
}
