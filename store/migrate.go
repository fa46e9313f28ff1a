package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"
)

// One folder serves both databases: a migration is written in the SQL that
// they share.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// shipped are the migrations that the program knows.
func shipped() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the name above is right
	}
	return files
}

// migrate brings the schema up to date. before is called with the number of
// the first migration that will run, if there is any and the database is not
// new.
func migrate(ctx context.Context, pool *sql.DB, d dialect, files fs.FS, before func(first int64) error) error {
	p, err := goose.NewProvider(d.migrations, pool, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > target {
		return fmt.Errorf("the database has schema version %d and this program knows versions up to %d: it was used by a newer release; run that one, or restore a backup", current, target)
	}
	if current == target {
		return nil
	}
	if current > 0 {
		if err := before(current + 1); err != nil {
			return err
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate from schema version %d to %d: %w", current, target, err)
	}
	return nil
}

// copyAside writes a consistent copy of the SQLite database at path to
// path.before-000N, durable before it returns. A copy of an earlier attempt at
// the same migration is replaced.
func copyAside(ctx context.Context, pool *sql.DB, path string, first int64) error {
	to := fmt.Sprintf("%s.before-%04d", path, first)
	part := to + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("copy database aside: %w", err)
	}
	defer f.Close()
	defer os.Remove(part)
	if _, err := pool.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return fmt.Errorf("copy database aside: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("copy database aside: %w", err)
	}
	if err := os.Rename(part, to); err != nil {
		return fmt.Errorf("copy database aside: %w", err)
	}
	return nil
}
