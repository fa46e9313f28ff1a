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

func (tx *Tx) ShareAccount(ctx context.Context, org pam.OrgID, id pam.AccountID) error {
	return tx.lockAccount(ctx, org, id, false)
}

func (tx *Tx) Changed(org pam.OrgID, s pam.Subject, id string) { tx.changed(org, s, id) }

func (db *DB) Count(ctx context.Context, text string, args ...any) (int64, error) {
	return one(ctx, db, scalar[int64], text, args...)
}

func WithMigrations(o Options, files fs.FS) Options { o.migrations = files; return o }

// SealedTables are the places that a rotation of keys knows.
func SealedTables() (out []string) {
	for _, p := range sealedPlaces {
		out = append(out, p.table)
	}
	return out
}

func (db *DB) Bytes(ctx context.Context, text string, args ...any) ([]byte, error) {
	return one(ctx, db, scalar[[]byte], text, args...)
}

// ByteColumns lists table.column of every column of bytes, of SQLite.
func (db *DB) ByteColumns(ctx context.Context) ([]string, error) {
	return list(ctx, db, scalar[string], `SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.type = 'BYTEA' ORDER BY 1`)
}
