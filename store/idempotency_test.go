package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

func TestEqualRequestsRunOnce(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		keys, ctx := open().Idempotency(), t.Context()
		expires := time.Now().Add(time.Hour)
		var ran atomic.Int64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				switch answer, err := keys.Reserve(ctx, "key", "body", expires); {
				case err == nil && answer == nil:
					ran.Add(1)
				case !pam.Is(err, pam.Conflict):
					t.Errorf("got %v, %v", answer, err)
				}
			})
		}
		wg.Wait()
		if ran.Load() != 1 {
			t.Fatalf("%d requests ran", ran.Load())
		}
		if _, err := keys.Reserve(ctx, "key", "another body", expires); !pam.Is(err, pam.Invalid) {
			t.Errorf("another body: %v", err)
		}
		want := pam.IdempotentAnswer{Status: 201, ContentType: "application/json", Body: []byte(`{"id":"saf_1"}`), ObjectID: "saf_1"}
		if err := keys.Complete(ctx, "key", want); err != nil {
			t.Fatal(err)
		}
		if err := keys.Release(ctx, "key"); err != nil {
			t.Fatal(err)
		}
		got, err := keys.Reserve(ctx, "key", "body", expires)
		if diff := cmp.Diff(&want, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
		if _, err := keys.Reserve(ctx, "key", "another body", expires); !pam.Is(err, pam.Invalid) {
			t.Errorf("another body after the answer: %v", err)
		}
		if err := keys.Complete(ctx, "unknown", want); !pam.Is(err, pam.NotFound) {
			t.Errorf("an answer that nobody asked for: %v", err)
		}
	})
}

func TestKeysAreFreeAfterReleaseExpiryAndDeath(t *testing.T) {
	run := func(t *testing.T, o store.Options) {
		now := clock.NewManual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		o.Clock = now
		keys, ctx := storetest.Open(t, o).Idempotency(), t.Context()
		reserve := func(key string, want bool) {
			t.Helper()
			answer, err := keys.Reserve(ctx, key, "body", now.Now().Add(time.Hour))
			if got := answer == nil && err == nil; got != want {
				t.Errorf("%s: %v, %v", key, answer, err)
			}
		}
		reserve("released", true)
		if err := keys.Release(ctx, "released"); err != nil {
			t.Fatal(err)
		}
		reserve("released", true)
		reserve("answered", true)
		if err := keys.Complete(ctx, "answered", pam.IdempotentAnswer{Status: 201}); err != nil {
			t.Fatal(err)
		}
		reserve("dead", true)
		now.Advance(time.Minute)
		reserve("dead", false)
		now.Advance(2 * time.Minute) // whoever reserved it was killed
		reserve("dead", true)
		reserve("dead", false)
		reserve("answered", false)
		now.Advance(time.Hour)
		reserve("answered", true)
		if n, err := keys.Purge(ctx, now.Now()); err != nil || n != 2 {
			t.Errorf("purged %d, want released and dead: %v", n, err)
		}
		reserve("answered", false)
	}
	t.Run("sqlite", func(t *testing.T) { run(t, store.Options{DataDir: storetest.DataDir(t)}) })
	t.Run("postgres", func(t *testing.T) { run(t, store.Options{DatabaseURL: storetest.Postgres(t)}) })
}
