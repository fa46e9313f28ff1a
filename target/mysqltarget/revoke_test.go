package mysqltarget

import (
	"errors"
	"testing"

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
}
