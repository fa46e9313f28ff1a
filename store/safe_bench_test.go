package store_test

import (
	"context"
	"fmt"
	"testing"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/safe"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

// manySafes stores n Safes of which manager manages all.
func (w *world) manySafes(n int, manager pam.Actor) []pam.SafeID {
	w.t.Helper()
	model := w.safe(manager, "model")
	out := []pam.SafeID{model.ID}
	err := w.db.Write(w.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		out = out[:1]
		for i := 1; i < n; i++ {
			id, name := w.ids.New(pam.PrefixSafe), fmt.Sprintf("safe %06d", i)
			_, err := tx.Exec(ctx, `INSERT INTO safes (org_id, safe_id, name, sort_key, slug, visibility, settings, locked, version, created_by, created_at, updated_at)
				SELECT org_id, ?, ?, ?, ?, visibility, settings, locked, version, created_by, created_at, updated_at FROM safes WHERE org_id = ? AND safe_id = ?`,
				id, name, naming.Key(name), name, manager.Org, model.ID)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO safe_members (org_id, safe_id, member_id, holder_id, role, expires_at, created_at, sort_key) VALUES (?, ?, ?, ?, 'manager', 0, 1, ?)`,
				manager.Org, id, w.ids.New(pam.PrefixMember), manager.User, naming.Key(name))
			if err != nil {
				return err
			}
			out = append(out, pam.SafeID(id))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// BenchmarkSafes reads one Safe and pages of a hundred, as an owner, as a
// member of all and as a member of none, while the organization grows.
func BenchmarkSafes(b *testing.B) {
	for _, n := range []int{1, 100, 100_000} {
		if testing.Short() && n > 100 {
			continue
		}
		options := store.Options{DataDir: b.TempDir()}
		first, err := store.Open(b.Context(), options)
		if err != nil {
			b.Fatal(err)
		}
		w := newWorld(b, first)
		all := w.manySafes(n, w.admin)
		if err := first.Close(); err != nil { // so that the rows leave the write-ahead log
			b.Fatal(err)
		}
		w.use(storetest.Open(b, options))
		middle := naming.Cursor{}
		if n > 200 {
			middle = naming.Cursor{Key: naming.Key(fmt.Sprintf("safe %06d", n/2)), ID: "saf_"}
		}
		ctx, now := b.Context(), w.clock.Now()
		b.Run(fmt.Sprintf("one/%d", n), func(b *testing.B) {
			for i := range b.N {
				if _, err := w.safes.ByID(ctx, w.admin, all[i*7919%len(all)]); err != nil {
					b.Fatal(err)
				}
			}
		})
		for name, q := range map[string]safe.Query{
			"owner":  {User: w.owner.User, All: true},
			"member": {User: w.admin.User},
			"nobody": {User: w.operator.User},
		} {
			q.After, q.Limit, q.Now = middle, 100, now
			b.Run(fmt.Sprintf("page/%s/%d", name, n), func(b *testing.B) {
				for range b.N {
					if _, err := w.db.ListSafes(ctx, w.admin.Org, q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
