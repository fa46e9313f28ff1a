package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/internal/passkey"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
)

func TestPasskeyIsOnesOwnAndItsCountGoesOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		note := func() audit.Entry { return w.event(audit.MFAFactorAdded, w.owner.Org) }
		add := func(user pam.UserID, id pam.FactorID) error {
			if err := w.db.AddFactor(ctx, identity.Factor{ID: id, User: user, Kind: identity.WebAuthn, Label: "Key", Sealed: []byte("challenge"), CreatedAt: w.clock.Now()}, 10); err != nil {
				t.Fatal(err)
			}
			key := &passkey.Key{ID: []byte{1, 2, 3}, PublicKey: []byte{4}, Count: 5, Syncable: true, Transports: []string{"usb"}}
			return w.db.ConfirmFactor(ctx, identity.FactorUse{User: user, Factor: id, Key: key, At: w.clock.Now()}, "", true, nil, note())
		}
		if err := add(w.owner.User, "mfa_1"); err != nil {
			t.Fatal(err)
		}
		if err := add(w.admin.User, "mfa_2"); !pam.Is(err, pam.Conflict) {
			t.Errorf("the same key for a second person: %v", err)
		}
		all, _, err := w.db.FactorsOf(ctx, w.owner.User)
		if err != nil || len(all) != 1 || len(all[0].Sealed) != 0 {
			t.Fatalf("%+v %v", all, err)
		}
		if diff := cmp.Diff(&passkey.Key{ID: []byte{1, 2, 3}, PublicKey: []byte{4}, Count: 5, Syncable: true, Transports: []string{"usb"}}, all[0].Key); diff != "" {
			t.Error(diff)
		}
		if u := must[identity.User](t)(w.db.UserByPasskey(ctx, []byte{1, 2, 3})); u.ID != w.owner.User {
			t.Errorf("it is %s's", u.ID)
		}

		use := func(count uint32, ceremony *[32]byte) error {
			k := &passkey.Key{ID: []byte{1, 2, 3}, Count: count}
			return w.db.UseFactor(ctx, identity.FactorUse{User: w.owner.User, Factor: "mfa_1", Key: k, Ceremony: ceremony, At: w.clock.Now()}, note())
		}
		for _, step := range []struct {
			count uint32
			want  bool
		}{{6, true}, {6, false}, {5, false}, {0, false}, {4_000_000_000, true}} {
			if err := use(step.count, nil); (err == nil) != step.want || err != nil && !pam.Is(err, pam.Conflict) {
				t.Errorf("count %d: %v", step.count, err)
			}
		}
		c := identity.PasskeyChallenge{TokenHash: [32]byte{9}, User: w.owner.User, CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(time.Minute)}
		if err := w.db.CreatePasskeyChallenge(ctx, c, 1); err != nil {
			t.Fatal(err)
		}
		if err := w.db.CreatePasskeyChallenge(ctx, identity.PasskeyChallenge{TokenHash: [32]byte{8}, CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now()}, 1); !pam.Is(err, pam.Unavailable) {
			t.Errorf("one too many: %v", err)
		}
		if err := use(4_000_000_001, &c.TokenHash); err != nil {
			t.Error(err)
		}
		if err := use(4_000_000_002, &c.TokenHash); !pam.Is(err, pam.Conflict) {
			t.Errorf("an answer serves twice: %v", err)
		}
		if _, err := w.db.PasskeyChallengeByToken(ctx, c.TokenHash, w.clock.Now()); !pam.Is(err, pam.NotFound) {
			t.Errorf("what was asked is still there: %v", err)
		}
		if err := w.db.RemoveFactor(ctx, w.owner.User, "mfa_1", "", note()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.UserByPasskey(ctx, []byte{1, 2, 3}); !pam.Is(err, pam.NotFound) {
			t.Errorf("a removed key is somebody's: %v", err)
		}
		if err := add(w.admin.User, "mfa_3"); err != nil {
			t.Errorf("somebody else gets the key: %v", err)
		}
	})
}
