package bench

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"vaultpam/internal/naming"
)

// seeded is a data directory that a server in dev mode has made, made once;
// each caller gets a copy.
var seeded struct {
	once sync.Once
	dir  string
}

func newData(t testing.TB) string {
	t.Helper()
	seeded.once.Do(func() {
		binary(t) // it makes built.dir
		seeded.dir = filepath.Join(built.dir, "data")
		startServer(t, seeded.dir).stop()
	})
	dir := filepath.Join(t.TempDir(), "data")
	must(t, exec.Command("cp", "-a", seeded.dir, dir).Run()) // with its modes: the key file is its owner's
	return dir
}

// openDatabase opens the SQLite file of a server that has stopped. Rows of a
// size that the API would take minutes to make are copied in it.
func openDatabase(t testing.TB, data string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: filepath.Join(data, "vaultpam.db"), RawQuery: "_pragma=foreign_keys(1)&_pragma=journal_mode(WAL)"}).String())
	must(t, err)
	return db
}

// haveSafes makes an organization have exactly n Safes, all of them copies of
// the example with the owner as their manager, and returns their ids.
func haveSafes(t testing.TB, data string, n int) []string {
	t.Helper()
	db := openDatabase(t, data)
	defer db.Close()
	tx, err := db.BeginTx(context.Background(), nil)
	must(t, err)
	defer tx.Rollback()
	exec := func(text string, args ...any) {
		t.Helper()
		_, err := tx.Exec(text, args...)
		must(t, err)
	}
	var org, model string
	must(t, tx.QueryRow(`SELECT org_id, safe_id FROM safes WHERE name = 'Demo'`).Scan(&org, &model))
	exec(`DELETE FROM safes WHERE safe_id <> ?`, model)
	ids := []string{model}
	// The ids are in no order of the names.
	safe, err := tx.Prepare(`INSERT INTO safes (org_id, safe_id, name, sort_key, slug, visibility, settings, locked, version, created_by, created_at, updated_at)
		SELECT org_id, ?, ?, ?, ?, visibility, settings, locked, version, created_by, created_at, updated_at FROM safes WHERE org_id = ? AND safe_id = ?`)
	must(t, err)
	member, err := tx.Prepare(`INSERT INTO safe_members (org_id, safe_id, member_id, holder_id, user_id, role, expires_at, created_at, sort_key)
		SELECT org_id, ?, ?, holder_id, user_id, role, expires_at, created_at, ? FROM safe_members WHERE org_id = ? AND safe_id = ?`)
	must(t, err)
	for i := 1; i < n; i++ {
		id, name := fmt.Sprintf("%s%06d", model[:len(model)-6], (i*7919)%1_000_000), fmt.Sprintf("safe-%06d", i)
		_, err := safe.Exec(id, name, naming.Key(name), name, org, model)
		must(t, err)
		_, err = member.Exec(id, "mem"+id[3:], naming.Key(name), org, model)
		must(t, err)
		ids = append(ids, id)
	}
	must(t, tx.Commit())
	_, err = db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	must(t, err)
	return ids
}
