package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

var writers = []int{1, 16, 64}

// BenchmarkFsync is the reference: 500 bytes appended for each of a group of
// writers, and one fsync for the group.
func BenchmarkFsync(b *testing.B) {
	for _, n := range writers {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			record := make([]byte, 500)
			for done := 0; done < b.N; done += n {
				for range n {
					if _, err := f.Write(record); err != nil {
						b.Fatal(err)
					}
				}
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWrite is a row and its audit event, durable, by as many writers.
func BenchmarkWrite(b *testing.B) {
	databases := map[string]func(b *testing.B) store.Options{
		"sqlite":   func(b *testing.B) store.Options { return store.Options{DataDir: b.TempDir()} },
		"postgres": func(b *testing.B) store.Options { return store.Options{DatabaseURL: storetest.NewServer(b).Address()} },
	}
	for _, name := range []string{"sqlite", "postgres"} {
		for _, n := range writers {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				db := storetest.Open(b, databases[name](b))
				var next atomic.Int64
				b.ResetTimer()
				parallel(b, n, func() {
					id := fmt.Sprint("row ", next.Add(1))
					if err := db.Write(context.Background(), func(ctx context.Context, tx *store.Tx) error {
						tx.Changed(org, pam.SubjectSafe, id)
						return insert(id)(ctx, tx)
					}, storetest.Entry(org, audit.SafeCreated)); err != nil {
						b.Error(err)
					}
				})
				s := db.Stats()
				b.ReportMetric(float64(s.Writes)/float64(s.Commits), "writes/commit")
			})
		}
	}
}

// parallel runs b.N calls of fn by n goroutines.
func parallel(b *testing.B, n int, fn func()) {
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	for range n {
		go func() {
			defer func() { done <- struct{}{} }()
			for left.Add(-1) >= 0 {
				fn()
			}
		}()
	}
	for range n {
		<-done
	}
}
