package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"vaultpam/internal/clock"
)

// Options say where the store is.
type Options struct {
	// DataDir holds vaultpam.db unless DatabaseURL is given. It is made when it
	// is absent, and belongs to one process at a time.
	DataDir string
	// DatabaseURL is postgres://… for PostgreSQL, or empty for SQLite.
	DatabaseURL string
	Clock       clock.Clock  // nil is the system's
	Logger      *slog.Logger // nil discards

	migrations fs.FS // nil is what the program ships; tests take others
}

// Open opens the store and brings its schema up to date. It refuses a schema
// that is newer than the program, and a data directory that another process
// has open. The caller closes the DB.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.migrations == nil {
		o.migrations = shipped()
	}
	db := &DB{clock: o.Clock, log: o.Logger, node: rand.Text()}
	var err error
	switch {
	case o.DatabaseURL != "":
		err = db.openPostgres(ctx, o.DatabaseURL, o.migrations)
	case o.DataDir != "":
		err = db.openSQLite(ctx, o.DataDir, o.migrations)
	default:
		err = errors.New("neither a data directory nor a database is named")
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return db, nil
}

// databaseFile is the file in the data directory that SQLite uses.
const databaseFile = "vaultpam.db"

func (db *DB) openSQLite(ctx context.Context, dir string, migrations fs.FS) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, "vaultpam.lock"))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	path, err := filepath.Abs(filepath.Join(dir, databaseFile))
	if err != nil {
		return err
	}
	// SQLite would make the file readable for everybody; its companions take
	// over the mode of the file.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	db.dialect = sqliteDialect
	w, err := newSQLiteWriter(ctx, db, path, lock, migrations)
	if err != nil {
		return err
	}
	db.commit = w
	db.reads, err = openSQLitePool(path, min(max(4, 2*runtime.NumCPU()), 16), "query_only(1)", "mmap_size(1073741824)")
	if err != nil {
		return errors.Join(err, w.close())
	}
	return nil
}

func (db *DB) openPostgres(ctx context.Context, address string, migrations fs.FS) error {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		// The address may hold a password, which must not reach the log.
		return fmt.Errorf("the database address does not begin with postgres:// (it begins with %q)", scheme(address))
	}
	db.dialect = postgresDialect
	return newPostgres(ctx, db, address, migrations)
}

func scheme(address string) string {
	s, _, ok := strings.Cut(address, "://")
	if !ok || len(s) > 16 {
		return "?"
	}
	return s + "://"
}
