package mysqltarget

import (
	"errors"
	"os"
	"testing"
	"time"

	"vaultpam/test/target"
)

// A session outlives its user, unless it is ended; and a user whose drop fails
// is shut out all the same.
func TestSessionsOfWhoIsRevokedEnd(t *testing.T) {
	d := target.StartMariaDB(t)
	root := as(d, d.Admin, "admin's")
	for _, drop := range [][]string{{"DROP USER eve@'%'"}, {"DROP USER nobody@'%'"}} {
		admin(t, d, "CREATE USER eve@'%' IDENTIFIED BY 'one'", "CREATE USER evelyn@'%' IDENTIFIED BY 'one'")
		err := with(t.Context(), d.Dial(t), as(d, "evelyn", "one"), func(other *client) error {
			return with(t.Context(), d.Dial(t), as(d, "eve", "one"), func(c *client) error {
				if _, err := c.query("SELECT 1"); err != nil {
					return err
				}
				if err := Revoke(t.Context(), d.Dial(t), root, "eve", drop); (err != nil) != (drop[0] == "DROP USER nobody@'%'") || err != nil && !errors.Is(err, ErrRefused) {
					t.Errorf("%s: %v", drop, err)
				}
				if _, err := c.query("SELECT 1"); err == nil {
					t.Errorf("%s: the session goes on", drop)
				}
				_, err := other.query("SELECT 1")
				return err
			})
		})
		if err != nil {
			t.Errorf("%s: a session of somebody else: %v", drop, err)
		}
		if err := Check(t.Context(), d.Dial(t), as(d, "eve", "one")); !errors.Is(err, ErrAuth) && !errors.Is(err, ErrLocked) {
			t.Errorf("%s: %v", drop, err)
		}
		admin(t, d, "DROP USER IF EXISTS eve@'%', evelyn@'%'")
	}
	if err := Revoke(t.Context(), d.Dial(t), root, "", nil); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}

	// Who cannot see the sessions drops nobody, and locks every host's.
	admin(t, d, "CREATE USER maker@'%' IDENTIFIED BY 'one'", "GRANT CREATE USER ON *.* TO maker@'%'", "GRANT SELECT ON mysql.user TO maker@'%'",
		"CREATE USER eve@'127.%' IDENTIFIED BY 'one'", "CREATE USER eve@'localhost' IDENTIFIED BY 'one'")
	if err := Revoke(t.Context(), d.Dial(t), as(d, "maker", "one"), "eve", []string{"DROP USER eve@'127.%', eve@'localhost'"}); !errors.Is(err, ErrRefused) {
		t.Errorf("a maker without PROCESS: %v", err)
	}
	if users, err := List(t.Context(), d.Dial(t), root, "eve"); err != nil || len(users) != 1 {
		t.Errorf("%v, %v", users, err)
	}
	check(t, d, as(d, "eve", "one"), ErrLocked)
}

// The server looks a user up when it hears the name, and has none for the
// session until the password is right: whoever lets it wait is not forgotten.
func TestAttackLoginThatWaitsUntilTheUserIsGone(t *testing.T) {
	d := target.StartMariaDB(t)
	admin(t, d, "CREATE USER eve@'%' IDENTIFIED BY 'one'")
	waits := d.Dial(t)
	defer waits.Close()
	if _, err := waits.Read(make([]byte, 1<<10)); err != nil { // the greeting
		t.Fatal(err)
	}
	if err := Revoke(t.Context(), d.Dial(t), as(d, d.Admin, "admin's"), "eve", []string{"DROP USER eve@'%'"}); err != nil {
		t.Error(err)
	}
	_ = waits.SetReadDeadline(time.Now().Add(5 * time.Second)) // the server itself would wait for ten
	for {
		if _, err := waits.Read(make([]byte, 1<<10)); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a login under way outlives the user")
			}
			return
		}
	}
}
