package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

const org = pam.OrgID("org_01J00000000000000000000000")

// insert is a change that adds the row id. The kept answers serve as the table
// because they refer to nothing else.
func insert(id string) func(context.Context, *store.Tx) error {
	return func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO idempotency (scope_hash, body_hash, complete, status, content_type, object_id, created_at, expires_at)
			VALUES (?, '', TRUE, 200, '', '', 1, 1)`, id)
		return err
	}
}

func count(t *testing.T, db *store.DB, like string) int {
	t.Helper()
	n, err := db.Count(t.Context(), `SELECT COUNT(*) FROM idempotency WHERE scope_hash LIKE ?`, like)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// wholeLog checks that the log has exactly want events in places 0, 1, 2, …,
// that their hashes are those of their bytes, and that the kept tiles are those
// of a tree over them.
func wholeLog(t *testing.T, db *store.DB, org pam.OrgID, want int) (ids []pam.EventID) {
	t.Helper()
	ctx, log := t.Context(), db.Audit()
	if err := log.Sync(ctx, org); err != nil {
		t.Fatal(err)
	}
	size, err := log.Size(ctx, org)
	if err != nil || size != int64(want) {
		t.Fatalf("the log has %d events (%v), want %d", size, err, want)
	}
	var leaves []audit.Hash
	err = log.Range(ctx, org, 0, size, func(place int64, canonical []byte, hash audit.Hash) error {
		if place != int64(len(leaves)) {
			return fmt.Errorf("place %d follows %d", place, len(leaves)-1)
		}
		if hash != audit.LeafHash(canonical) {
			return fmt.Errorf("leaf %d has another hash", place)
		}
		e, err := audit.ParseEntry(canonical)
		leaves, ids = append(leaves, hash), append(ids, e.ID)
		return err
	})
	if err != nil || len(leaves) != want {
		t.Fatalf("read %d of %d events: %v", len(leaves), want, err)
	}
	tiles, err := audit.FullTiles(ctx, 0, size, func(_ context.Context, level int, from, to int64) ([]audit.Hash, error) {
		if level > 0 {
			return nil, nil
		}
		return slices.Clone(leaves[from:to]), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tile := range tiles {
		kept, err := log.Hashes(ctx, org, tile.Level, tile.Index, tile.Index+1)
		if err != nil || len(kept) != 1 || kept[0] != tile.Hash {
			t.Fatalf("tile %d of level %d is not the root of its children: %v", tile.Index, tile.Level, err)
		}
	}
	return ids
}

func TestWaitingWritersShareCommits(t *testing.T) {
	db := storetest.Open(t, store.Options{DataDir: t.TempDir()})
	before := db.Stats()
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := range 20 {
				if err := db.Write(t.Context(), insert(fmt.Sprintf("w%d-%d", w, i)), storetest.Entry(org, audit.SafeCreated)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	after := db.Stats()
	writes, commits := after.Writes-before.Writes, after.Commits-before.Commits
	if writes != 64*20 || commits*8 > writes {
		t.Errorf("%d writes took %d commits", writes, commits)
	}
	if n := count(t, db, "w%"); n != 64*20 {
		t.Errorf("%d rows", n)
	}
	wholeLog(t, db, org, 64*20)
}

func TestFailingWriterHarmsNobodyElse(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		if err := db.Write(t.Context(), insert("taken")); err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		var wg sync.WaitGroup
		for w := range 48 {
			wg.Go(func() {
				for i := range 10 {
					id := fmt.Sprintf("%%%d-%d", w, i)
					var err error
					entry := storetest.Entry(org, audit.SafeCreated)
					switch w % 4 {
					case 0: // fails after it has written
						err = db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
							return errors.Join(insert("bad"+id)(ctx, tx), refused)
						}, entry)
						if !errors.Is(err, refused) {
							t.Errorf("got %v", err)
						}
					case 1: // violates a constraint, and goes on as if nothing were
						err = db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
							_ = insert("bad"+id)(ctx, tx)
							_ = insert("taken")(ctx, tx)
							_ = insert("bad again"+id)(ctx, tx)
							return nil
						}, entry)
						if !pam.Is(err, pam.Conflict) {
							t.Errorf("got %v", err)
						}
					case 2: // panics
						err = db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
							_ = insert("bad"+id)(ctx, tx)
							panic("a mistake")
						}, entry)
						if !pam.Is(err, pam.Internal) {
							t.Errorf("got %v", err)
						}
					default:
						if err = db.Write(t.Context(), insert("good"+id), entry); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		if good, bad := count(t, db, "good%"), count(t, db, "bad%"); good != 120 || bad != 0 {
			t.Errorf("%d good and %d bad rows, want 120 and 0", good, bad)
		}
		wholeLog(t, db, org, 120)
	})
}

func TestAuditEntryThatCannotBeWrittenUndoesTheChange(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		entry := storetest.Entry(org, audit.SafeCreated)
		if err := db.Write(t.Context(), insert("first"), entry); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), insert("second"), entry); !pam.Is(err, pam.Conflict) {
			t.Errorf("the same event was written twice: %v", err)
		}
		entry.Type = "NOT_IN_THE_CATALOGUE"
		if err := db.Write(t.Context(), insert("third"), entry); err == nil {
			t.Error("an unknown event was written")
		}
		if n := count(t, db, "%"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
		wholeLog(t, db, org, 1)
	})
}

func TestCancelledBeforeItBeginsIsSkipped(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.Write(ctx, insert("never")); !pam.Is(err, pam.Unavailable) {
			t.Errorf("got %v", err)
		}
		if n := count(t, db, "%"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestCancelledWhileItRunsIsKeptWhole(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Write(ctx, func(inner context.Context, tx *store.Tx) error {
			cancel()
			// Even the wrong context must not interrupt the transaction.
			return errors.Join(insert("one")(ctx, tx), insert("two")(inner, tx))
		}, storetest.Entry(org, audit.SafeCreated))
		if err != nil {
			t.Error(err)
		}
		if n := count(t, db, "%"); n != 2 {
			t.Errorf("%d rows", n)
		}
		wholeLog(t, db, org, 1)
	})
}

func TestLeavesAreContiguousUnderConcurrency(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		orgs := []pam.OrgID{org, "org_b", pam.InstanceOrg}
		var wg sync.WaitGroup
		for w := range 24 {
			wg.Go(func() {
				for range 15 {
					// Three events in two logs with one change.
					a, b := orgs[w%3], orgs[(w+1)%3]
					if err := db.Write(t.Context(), func(context.Context, *store.Tx) error { return nil },
						storetest.Entry(a, audit.SafeCreated), storetest.Entry(b, audit.SafeUpdated), storetest.Entry(a, audit.SafeDeleted)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for _, org := range orgs {
			wholeLog(t, db, org, 24*15)
		}
	})
}

func TestNodesShareOneSequence(t *testing.T) {
	address := storetest.BarePostgres(t)
	nodes := make([]*store.DB, 3)
	var wg sync.WaitGroup
	for i := range nodes { // at once, so that they also meet in the migration
		wg.Go(func() { nodes[i] = storetest.Open(t, store.Options{DatabaseURL: address}) })
	}
	wg.Wait()
	for w := range 12 {
		wg.Go(func() {
			for i := range 30 {
				if err := nodes[w%3].Audit().Append(t.Context(), org, storetest.Entry(org, audit.SafeCreated)); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					if err := nodes[(w+1)%3].Audit().Sync(t.Context(), org); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	wholeLog(t, nodes[2], org, 12*30)
}

func TestDeadlockIsTriedAgain(t *testing.T) {
	db := storetest.Open(t, store.Options{DatabaseURL: storetest.Postgres(t)})
	for _, id := range []string{"a", "b"} {
		if err := db.Write(t.Context(), insert(id)); err != nil {
			t.Fatal(err)
		}
	}
	var both sync.WaitGroup
	both.Add(2)
	var attempts atomic.Int64
	lock := func(first, second string) error {
		met := false
		return db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			attempts.Add(1)
			const touch = `UPDATE idempotency SET status = status + 1 WHERE scope_hash = ?`
			if _, err := tx.Exec(ctx, touch, first); err != nil {
				return err
			}
			if !met { // each holds its first row before either wants its second
				met = true
				both.Done()
				both.Wait()
			}
			_, err := tx.Exec(ctx, touch, second)
			return err
		})
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := lock("a", "b"); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := lock("b", "a"); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if n, _ := db.Count(t.Context(), `SELECT SUM(status)::bigint FROM idempotency`); n != 404 || attempts.Load() < 3 {
		t.Errorf("sum %d after %d attempts, want 404 after 3 or more", n, attempts.Load())
	}
}

func TestChangesAreAnnouncedOnceOnEveryNode(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		heard := make(chan pam.Change, 2000)
		db.Subscribe(func(c pam.Change) { heard <- c })
		failed := db.Write(t.Context(), func(_ context.Context, tx *store.Tx) error {
			tx.Changed(org, pam.SubjectSafe, "saf_undone")
			return errors.New("undone")
		})
		if failed == nil || len(heard) != 0 {
			t.Errorf("a change that did not commit was announced")
		}
		change := func(n int) {
			if err := db.Write(t.Context(), func(_ context.Context, tx *store.Tx) error {
				for i := range n {
					tx.Changed(org, pam.SubjectSafe, fmt.Sprintf("saf_%026d", i))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		change(3)
		if len(heard) != 3 {
			t.Errorf("heard %d changes before the write returned, want 3", len(heard))
		}
		if t.Name() != "TestChangesAreAnnouncedOnceOnEveryNode/postgres" {
			return
		}
		other := open()
		there := make(chan pam.Change, 2000)
		other.Subscribe(func(c pam.Change) { there <- c })
		change(500) // more than one notice holds
		for i := range 500 {
			select {
			case c := <-there:
				if c.Org != org || c.Subject != pam.SubjectSafe || c.ID != fmt.Sprintf("saf_%026d", i) {
					t.Fatalf("heard %+v as number %d", c, i)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("the other node heard %d of 500 changes", i)
			}
		}
		// What the other node does comes back after all of our own would have.
		if err := other.Write(t.Context(), func(_ context.Context, tx *store.Tx) error {
			tx.Changed(org, pam.SubjectSafe, "last")
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			if c := <-heard; c.ID == "last" {
				if i != 503 {
					t.Errorf("this node heard %d of its own changes, want 503", i)
				}
				return
			}
		}
	})
}
