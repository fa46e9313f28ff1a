package store

import (
	"context"
	"io/fs"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// What the tests of the machinery need to see.

func (db *DB) Write(ctx context.Context, fn func(context.Context, *Tx) error, entries ...audit.Entry) error {
	return db.write(ctx, "test", fn, entries...)
}

func (tx *Tx) Exec(ctx context.Context, text string, args ...any) (int64, error) {
	return tx.exec(ctx, text, args...)
}

func (tx *Tx) Changed(org pam.OrgID, s pam.Subject, id string) { tx.changed(org, s, id) }

func (db *DB) Count(ctx context.Context, text string, args ...any) (int64, error) {
	return one(ctx, db, scalar[int64], text, args...)
}

func WithMigrations(o Options, files fs.FS) Options { o.migrations = files; return o }
