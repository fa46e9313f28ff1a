package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

// victim is a process that writes until it is killed, and says on its standard
// output what the store has acknowledged.
func victim() {
	db, err := store.Open(context.Background(), store.Options{DataDir: os.Getenv("STORE_TEST_DIR"), DatabaseURL: os.Getenv("STORE_TEST_URL")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for w := range 32 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", os.Getenv("STORE_TEST_VICTIM"), w, i)
				e := storetest.Entry(org, audit.SafeCreated)
				if err := db.Write(context.Background(), insert(id), e); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				_, _ = os.Stdout.WriteString(id + " " + string(e.ID) + "\n") // one system call: whole or not at all
			}
		}()
	}
	select {}
}

// killWhileWriting lets a victim get n writes acknowledged, calls meanwhile,
// kills it, and returns what was acknowledged.
func killWhileWriting(t *testing.T, o store.Options, name string, n int, meanwhile func()) (rows []string, events []pam.EventID) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_VICTIM="+name, "STORE_TEST_DIR="+o.DataDir, "STORE_TEST_URL="+o.DatabaseURL)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		row, event, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			continue
		}
		rows, events = append(rows, row), append(events, pam.EventID(event))
		if len(rows) == n {
			meanwhile()
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if len(rows) < n {
		t.Fatalf("the victim ended by itself after %d writes", len(rows))
	}
	return rows, events
}

func TestKilledServerLosesNothingAcknowledged(t *testing.T) {
	check := func(t *testing.T, o store.Options, meanwhile, dead func()) {
		var rows []string
		var events []pam.EventID
		for round := range 3 {
			r, e := killWhileWriting(t, o, fmt.Sprintf("round%d", round), 400+300*round, meanwhile)
			dead()
			rows, events = append(rows, r...), append(events, e...)
			db, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			written := count(t, db, "round%") // what was written may not have been acknowledged
			there := map[pam.EventID]bool{}
			for _, id := range wholeLog(t, db, org, written) {
				there[id] = true
			}
			for i, event := range events {
				if !there[event] || count(t, db, rows[i]) != 1 {
					t.Fatalf("write %d of %d was acknowledged and is lost", i, len(events))
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		o := store.Options{DataDir: t.TempDir()}
		check(t, o, func() {
			if _, err := store.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "in use by another server") {
				t.Errorf("the data directory of a running server was opened: %v", err)
			}
		}, func() {})
	})
	t.Run("postgres", func(t *testing.T) {
		url := storetest.Postgres(t)
		// A commit that the victim sent before it died is carried out by its
		// back end all the same: what is written is known once those are gone.
		check(t, store.Options{DatabaseURL: url}, func() {}, func() { awaitBackends(t, url) })
	})
}

// awaitBackends returns when nobody else is connected to the database at url.
func awaitBackends(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		var others int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&others); err != nil {
			t.Fatal(err)
		}
		if others == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections outlive the process that made them", others)
		}
	}
}

func TestFullDiskRefusesAndLosesNothing(t *testing.T) {
	db := storetest.Open(t, store.Options{DataDir: t.TempDir()})
	limit := func(pages int) {
		if err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	limit(120)
	var mu sync.Mutex
	kept := 0
	refused := 0
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 100 {
				err := db.Write(t.Context(), insert(fmt.Sprintf("w%d-%d", w, i)), storetest.Entry(org, audit.SafeCreated))
				mu.Lock()
				switch {
				case err == nil:
					kept++
				case pam.Is(err, pam.Unavailable):
					refused++
				default:
					t.Errorf("a full disk gives %v", err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if kept == 0 || refused == 0 {
		t.Fatalf("%d kept and %d refused; the test wants both", kept, refused)
	}
	wholeLog(t, db, org, kept)
	limit(1 << 30)
	if err := db.Write(t.Context(), insert("w-after"), storetest.Entry(org, audit.SafeCreated)); err != nil {
		t.Errorf("there is space again: %v", err)
	}
	if n := count(t, db, "w%"); n != kept+1 {
		t.Errorf("%d rows, want %d", n, kept+1)
	}
	wholeLog(t, db, org, kept+1)
}

func TestClosedStoreRefusesToWrite(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		if err := errors.Join(db.Close(), db.Close()); err != nil {
			t.Error(err)
		}
		if err := db.Write(t.Context(), insert("late")); !pam.Is(err, pam.Unavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func migrations(names ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, name := range names {
		files[fmt.Sprintf("%04d_%s.sql", i+1, name)] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE " + name + " (id TEXT NOT NULL);\n")}
	}
	return files
}

func TestNewerSchemaIsRefused(t *testing.T) {
	check := func(t *testing.T, o store.Options) {
		for i := range 2 {
			db, err := store.Open(t.Context(), store.WithMigrations(o, migrations("one", "two", "three")))
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil && i == 0 {
				t.Log(err) // PostgreSQL: there is no log to sequence
			}
		}
		_, err := store.Open(t.Context(), store.WithMigrations(o, migrations("one", "two")))
		if err == nil || !strings.Contains(err.Error(), "schema version 3") || !strings.Contains(err.Error(), "up to 2") {
			t.Errorf("got %v", err)
		}
	}
	t.Run("sqlite", func(t *testing.T) { check(t, store.Options{DataDir: t.TempDir()}) })
	t.Run("postgres", func(t *testing.T) { check(t, store.Options{DatabaseURL: storetest.BarePostgres(t)}) })
}

func TestDatabaseIsCopiedAsideBeforeItIsMigrated(t *testing.T) {
	dir := t.TempDir()
	o := store.Options{DataDir: dir}
	copyOf := func(n int) string { return filepath.Join(dir, fmt.Sprintf("vaultpam.db.before-%04d", n)) }
	db, err := store.Open(t.Context(), store.WithMigrations(o, migrations("one")))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO one (id) VALUES (?)", "before")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if made, _ := filepath.Glob(filepath.Join(dir, "*before*")); len(made) != 0 {
		t.Errorf("a new database was copied aside: %v", made)
	}
	// The second migration succeeds, the third fails: both states can be had back.
	broken := migrations("one", "two")
	broken["0003_three.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE three (id TEXT);\nINSERT INTO nowhere (id) VALUES (1);\n")}
	for range 2 {
		if _, err := store.Open(t.Context(), store.WithMigrations(o, broken)); err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Fatalf("a broken migration gives %v", err)
		}
	}
	for n, two := range map[int]int64{2: 0, 3: 1} {
		restored := t.TempDir()
		data, err := os.ReadFile(copyOf(n))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(restored, "vaultpam.db"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := store.Open(t.Context(), store.WithMigrations(store.Options{DataDir: restored}, migrations([]string{"one", "two"}[:1+two]...)))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.Count(t.Context(), "SELECT COUNT(*) FROM one WHERE id = 'before'")
		if err != nil || rows != 1 {
			t.Errorf("copy %d has %d rows: %v", n, rows, err)
		}
		if tables, err := db.Count(t.Context(), "SELECT COUNT(*) FROM sqlite_master WHERE name IN ('two', 'three')"); err != nil || tables != two {
			t.Errorf("copy %d has %d of the new tables: %v", n, tables, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	db := storetest.Open(t, store.Options{DataDir: dir})
	if err := db.Write(t.Context(), insert("x")); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
}

func TestAddressOfTheDatabaseIsNotRepeated(t *testing.T) {
	for _, address := range []string{"mysql://u:hunter2@h/d", "hunter2", "postgres://u:hunter2@h:port/d", "postgres://u:hunter2@127.0.0.1:1/d"} {
		_, err := store.Open(t.Context(), store.Options{DatabaseURL: address})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
	}
}
