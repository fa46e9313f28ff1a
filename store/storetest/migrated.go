package storetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"vaultpam/store"
)

// migrated are the databases that copies are made of.
var migrated struct {
	mu       sync.Mutex // guards the others
	file     []byte     // SQLite's
	postgres string     // the name of PostgreSQL's, which goes with its server
}

// DataDir returns a directory of the test's own, in which there is an SQLite
// database with the schema and without a row.
func DataDir(t testing.TB) string {
	t.Helper()
	file, err := migratedFile()
	if err != nil {
		t.Fatalf("make a migrated database: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "vaultpam.db"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func migratedFile() ([]byte, error) {
	migrated.mu.Lock()
	defer migrated.mu.Unlock()
	if migrated.file != nil {
		return migrated.file, nil
	}
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := migrate(store.Options{DataDir: dir}); err != nil {
		return nil, err
	}
	migrated.file, err = os.ReadFile(filepath.Join(dir, "vaultpam.db"))
	return migrated.file, err
}

func migratedPostgres(s *server) (string, error) {
	migrated.mu.Lock()
	defer migrated.mu.Unlock()
	if migrated.postgres != "" {
		return migrated.postgres, nil
	}
	name := databaseName()
	if err := s.create(context.Background(), name); err != nil {
		return "", err
	}
	if err := migrate(store.Options{DatabaseURL: s.address(name)}); err != nil {
		return "", err
	}
	migrated.postgres = name
	return name, nil
}

// migrate opens a store and closes it, which leaves all of it in one file: the
// last to close takes in SQLite's log.
func migrate(o store.Options) error {
	db, err := store.Open(context.Background(), o)
	if err != nil {
		return err
	}
	return db.Close()
}
