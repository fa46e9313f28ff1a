// Package storetest runs a test on every database that the store supports: on
// SQLite in a directory of its own and on a database of its own in a real
// PostgreSQL server that the test binary starts.
//
// It owns that server, and one migrated database of each kind, which tests get
// copies of: migrations take seconds. It must not know any noun. Start at
// [Run]; the test binary's TestMain calls [Main].
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/store"
)

// Main runs the tests of a binary and stops the PostgreSQL server if one of
// them needed it. TestMain ends with os.Exit(storetest.Main(m)).
func Main(m *testing.M) int {
	inMain.Store(true)
	defer stopServer()
	return m.Run()
}

var inMain atomic.Bool

// Run runs test as a subtest on each database. open opens the store of that
// subtest, which has no row at first; it may be closed and opened again, and on
// PostgreSQL opened several times at once, as several nodes do. What is still
// open at the end is closed.
//
// The test becomes parallel: half of its time it waits for a disk or for
// PostgreSQL. What measures time opens a store of its own and stays alone.
func Run(t *testing.T, test func(t *testing.T, open func() *store.DB)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		dir := DataDir(t)
		test(t, opener(t, store.Options{DataDir: dir}))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, opener(t, store.Options{DatabaseURL: Postgres(t)}))
	})
}

func opener(t testing.TB, o store.Options) func() *store.DB {
	return func() *store.DB {
		t.Helper()
		return Open(t, o)
	}
}

// Open opens a store, logs of which go to the test, and closes it at its end.
func Open(t testing.TB, o store.Options) *store.DB {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	db, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return db
}

var (
	idSource = ids.NewSource(clock.Real{}, rand.Reader)
	scribe   = audit.NewScribe(clock.Real{}, idSource)
)

// ID returns a fresh id.
func ID[T ~string](prefix string) T { return T(idSource.New(prefix)) }

// Entry returns an audit entry in org's log, by the system.
func Entry(org pam.OrgID, kind audit.Type) audit.Entry {
	return scribe.Entry(pam.Actor{Org: org, Token: pam.SystemToken}, kind, audit.Party{Type: "test", ID: "test", Name: "test"}, nil)
}

// Postgres returns the address of a new database, with the schema and without
// a row, on the test binary's PostgreSQL server, which it starts when it must.
// That server does not wait for disks: what is about disks or about time takes
// [NewServer].
func Postgres(t testing.TB) string {
	t.Helper()
	s := sharedServer(t)
	template, err := migratedPostgres(s)
	if err != nil {
		t.Fatalf("make a migrated database: %v", err)
	}
	return s.new(t, " TEMPLATE "+template)
}

// BarePostgres is Postgres without the schema.
func BarePostgres(t testing.TB) string {
	t.Helper()
	return sharedServer(t).new(t, "")
}

func sharedServer(t testing.TB) *server {
	t.Helper()
	if !inMain.Load() {
		t.Fatal("TestMain does not call storetest.Main")
	}
	s, err := startServer()
	if err != nil {
		t.Fatalf("no PostgreSQL server (on Debian: apt-get install postgresql): %v", err)
	}
	return s
}

func (s *server) new(t testing.TB, how string) string {
	t.Helper()
	name := databaseName()
	if err := s.create(context.Background(), name+how); err != nil {
		t.Fatal(err)
	}
	return s.address(name)
}

func databaseName() string { return fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1)) }

var databases atomic.Int64

// Server is a PostgreSQL server of one test's own, which the test may kill.
type Server struct {
	t testing.TB
	s *server
}

// NewServer starts a server, which ends with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s, err := newServer()
	if err != nil {
		t.Fatalf("no PostgreSQL server (on Debian: apt-get install postgresql): %v", err)
	}
	t.Cleanup(s.stop)
	return &Server{t, s}
}

// Address is the address of its database, which is empty at first.
func (s *Server) Address() string { return s.s.address("postgres") }

// Kill ends it as a crash does, and returns when it is gone.
func (s *Server) Kill() { s.s.kill() }

// Start starts it again after Kill.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.s.start(); err != nil {
		s.t.Fatalf("start PostgreSQL again: %v", err)
	}
}
