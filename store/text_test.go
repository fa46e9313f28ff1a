package store_test

import (
	"testing"

	"vaultpam/pam"
)

// PostgreSQL refuses a text with bytes that it does not keep, and SQLite does
// not. That is never a fault of ours, and harms nobody whose writes go along.
func TestTextThatCannotBeKeptIsARefusal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, text := range []string{"\x00", "usr_\x00", "\xff", "\xed\xa0\x80"} {
			if _, err := w.db.UserByEmail(t.Context(), text); !pam.Is(err, pam.NotFound) && !pam.Is(err, pam.Invalid) {
				t.Errorf("reading %q: %v", text, err)
			}
			neighbour := make(chan error, 1)
			go func() { neighbour <- w.db.Rehash(t.Context(), w.admin.User, "", "") }()
			if err := w.db.Rehash(t.Context(), w.owner.User, "", text); err != nil && !pam.Is(err, pam.Invalid) {
				t.Errorf("writing %q: %v", text, err)
			}
			if err := <-neighbour; err != nil {
				t.Errorf("writing beside %q: %v", text, err)
			}
		}
	})
}
