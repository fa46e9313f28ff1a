package pgtarget

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"vaultpam/test/target"
)

// session logs in and stays.
func session(t *testing.T, d *target.Database, o Options) *pgconn.PgConn {
	t.Helper()
	c, err := login(t.Context(), d.Dial(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// ends waits until the server has ended the session.
func ends(t *testing.T, c *pgconn.PgConn) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := exec(t.Context(), c, "SELECT 1"); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the session of a user who was shut out goes on")
		}
	}
}

// A user leaves something behind that keeps its role from being dropped: it is
// shut out all the same, and dropped when that is gone.
func TestWhoCannotBeDroppedIsShutOut(t *testing.T) {
	d := target.StartPostgres(t)
	root := as(d, d.Admin, "admin's")
	drop := []string{"DROP OWNED BY eve", "DROP ROLE eve"}
	admin(t, d, "CREATE ROLE eve LOGIN PASSWORD 'one'")
	for _, s := range []string{"CREATE DATABASE elsewhere", "GRANT ALL ON DATABASE elsewhere TO eve"} {
		if err := with(t.Context(), d.Dial(t), root, func(ctx context.Context, c *pgconn.PgConn) error { return exec(ctx, c, s) }); err != nil {
			t.Fatal(err)
		}
	}
	there := as(d, "eve", "one")
	there.Database = "elsewhere"
	left := session(t, d, there)
	if err := exec(t.Context(), left, "SELECT lo_create(4711)"); err != nil {
		t.Fatal(err)
	}
	here := session(t, d, as(d, "eve", "one"))

	if err := Revoke(t.Context(), d.Dial(t), root, "eve", drop); !errors.Is(err, ErrRefused) {
		t.Errorf("the drop of a role that owns something: %v", err)
	}
	ends(t, here)
	ends(t, left)
	check(t, d, as(d, "eve", "one"), ErrAuth)

	elsewhere := root
	elsewhere.Database = "elsewhere"
	if err := Run(t.Context(), d.Dial(t), elsewhere, []string{"SELECT lo_unlink(4711)"}); err != nil {
		t.Fatal(err)
	}
	if err := Revoke(t.Context(), d.Dial(t), root, "eve", drop); err != nil {
		t.Error(err)
	}
	if names, err := List(t.Context(), d.Dial(t), root, "eve"); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
	// Statements that end sessions only, and an administrator who may not do
	// all of it: what was refused is told, what was not is done.
	admin(t, d, "CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'one'", "CREATE ROLE eve LOGIN SUPERUSER PASSWORD 'one'")
	if err := Revoke(t.Context(), d.Dial(t), as(d, "maker", "one"), "eve", []string{"DROP ROLE eve"}); !errors.Is(err, ErrRefused) {
		t.Errorf("a maker shuts a superuser out: %v", err)
	}
	check(t, d, as(d, "eve", "one"), nil)
	for _, bad := range []string{"", "a\x00b"} {
		if err := Revoke(t.Context(), d.Dial(t), root, bad, drop); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Any role may change its own password, and so hold its own row, or change it
// again and again under the hands of whoever locks it out.
func TestAttackUserThatHoldsItsOwnRow(t *testing.T) {
	d := target.StartPostgres(t)
	root := as(d, d.Admin, "admin's")
	for name, again := range map[string]bool{"once": false, "again and again": true} {
		admin(t, d, "CREATE ROLE eve LOGIN PASSWORD 'one'")
		c := session(t, d, as(d, "eve", "one"))
		begin := func() error {
			return errors.Join(exec(t.Context(), c, "BEGIN"), exec(t.Context(), c, "ALTER ROLE eve PASSWORD 'one'"))
		}
		if err := begin(); err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		go func() { // ends with the session
			defer close(over)
			for again && !c.IsClosed() {
				if exec(t.Context(), c, "SELECT pg_sleep(0.3)") != nil || exec(t.Context(), c, "COMMIT") != nil || begin() != nil {
					return
				}
			}
		}()
		// What drops it is refused, so that the lock alone counts.
		if err := Revoke(t.Context(), d.Dial(t), root, "eve", []string{"DROP ROLE nobody"}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		<-over
		ends(t, c)
		check(t, d, as(d, "eve", "one"), ErrAuth)
		admin(t, d, "DROP ROLE eve")
	}
}
