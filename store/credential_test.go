package store_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/resource"
	"vaultpam/store"
)

// states lists the versions of an account from the first, as "state", with a *
// at the promoted one and a ! at one that cannot be opened.
func (w *world) states(acc account.Account) []string {
	w.t.Helper()
	var out []string
	for _, v := range must[[]account.Version](w.t)(w.db.CredentialVersions(w.t.Context(), acc.Org, acc.ID)) {
		s := string(v.State)
		if v.Promoted {
			s += "*"
		}
		if v.PurgedAt.IsZero() != (v.PurgedBy == "") || (v.State == account.Purged) != (v.PurgedBy != "") {
			w.t.Fatalf("version %+v", v)
		}
		out = append([]string{s}, out...)
	}
	return out
}

func (w *world) set(acc account.Account, text string) {
	w.t.Helper()
	must[account.Account](w.t)(w.accounts.SetCredential(w.t.Context(), w.admin, acc.ID, password(text)))
}

func TestPurgeTakesOldVersionsAndNeverWhatIsInUse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		acc, ctx := w.account(w.admin, "root", ""), t.Context()
		for _, text := range []string{"second", "third", "fourth"} {
			w.set(acc, text)
		}
		refused(t, w.accounts.Purge(ctx, w.admin, acc.ID, 4), pam.Conflict)
		refused(t, w.accounts.Purge(ctx, w.admin, acc.ID, 5), pam.NotFound)
		refused(t, w.accounts.Purge(ctx, w.other, acc.ID, 1), pam.Denied)
		refused(t, w.accounts.Purge(ctx, w.stale(w.admin), acc.ID, 1), pam.StepUpNeeded)
		refused(t, w.accounts.Purge(ctx, w.stranger, acc.ID, 1), pam.NotFound)
		if err := w.accounts.Purge(ctx, w.admin, acc.ID, 2); err != nil {
			t.Fatal(err)
		}
		refused(t, w.accounts.Purge(ctx, w.admin, acc.ID, 2), pam.Conflict)
		if got := w.states(acc); !slices.Equal(got, []string{"stored", "purged", "stored", "stored*"}) {
			t.Fatal(got)
		}
		// The promoted version counts as kept, wherever it stands.
		must[account.Account](t)(w.accounts.Promote(ctx, w.admin, acc.ID, 1))
		for _, keep := range []int{0, -1, 10_001} {
			_, err := w.accounts.PurgeOld(ctx, w.admin, acc.ID, keep)
			refused(t, err, pam.Invalid)
		}
		must[[]account.Version](t)(w.accounts.PurgeOld(ctx, w.admin, acc.ID, 1))
		if got := w.states(acc); !slices.Equal(got, []string{"stored*", "purged", "purged", "stored"}) {
			t.Fatal(got)
		}
		must[[]account.Version](t)(w.accounts.PurgeOld(ctx, w.admin, acc.ID, 1)) // nothing to do is no error
		sealed := must[account.SealedCredential](t)(w.db.SealedCredential(ctx, acc.Org, acc.ID))
		if sealed.Version != 1 || !bytes.HasSuffix(sealed.Sealed, []byte("first of root")) {
			t.Fatalf("%d: %q", sealed.Version, sealed.Sealed)
		}
	})
}

func TestOldVersionIsPromotedByWhoeverMayChooseTheSecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, _, acc := w.bound(w.admin, "Bound")
		ctx := t.Context()
		w.set(acc, "second")
		w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		promote := func(a pam.Actor, n int64) error {
			_, err := w.accounts.Promote(ctx, a, acc.ID, n)
			return err
		}
		refused(t, promote(w.operator, 1), pam.Denied)
		refused(t, promote(w.other, 1), pam.Denied)
		refused(t, promote(w.stranger, 1), pam.NotFound)
		refused(t, promote(w.stale(w.admin), 1), pam.StepUpNeeded)
		refused(t, promote(w.admin, 3), pam.NotFound)
		if err := promote(w.admin, 1); err != nil {
			t.Fatal(err)
		}
		got := must[account.Account](t)(w.accounts.ByID(ctx, w.admin, acc.ID))
		if got.Credential.Version != 1 || got.Version == acc.Version {
			t.Fatalf("%+v", got.Credential)
		}
		if err := w.accounts.Purge(ctx, w.admin, acc.ID, 2); err != nil {
			t.Fatal(err)
		}
		refused(t, promote(w.admin, 2), pam.Conflict)
		// The next new version counts on from the newest, not from the promoted.
		w.set(acc, "third")
		if got := w.states(acc); !slices.Equal(got, []string{"stored", "purged", "stored*"}) {
			t.Fatal(got)
		}
	})
}

func TestRotationUnderWayIsNotDisturbed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		acc, ctx := w.account(w.admin, "root", ""), t.Context()
		w.set(acc, "second")
		w.set(acc, "third")
		w.sql(`UPDATE credential_versions SET state = 'candidate' WHERE version = 3 AND account_id = ?`, string(acc.ID))
		w.sql(`UPDATE accounts SET promoted = 2, working = 2 WHERE account_id = ?`, string(acc.ID))
		w.sql(`INSERT INTO rotations (org_id, rotation_id, account_id, account_name, resource_id, trigger, state, old_version, next_version, attempts, problem, repaired, pending, requested_by,
			created_at, updated_at, ended_at, next_at, node, lease_until, fence) VALUES (?, 'rot_1', ?, '', '', 'manual', 'applying', 2, 3, 0, '', FALSE, 'null', '', 1, 1, 0, 1, '', 0, 0)`, string(acc.Org), string(acc.ID))
		for _, n := range []int64{1, 2, 3} {
			refused(t, w.accounts.Purge(ctx, w.admin, acc.ID, n), pam.Conflict)
			_, err := w.accounts.Promote(ctx, w.admin, acc.ID, n)
			refused(t, err, pam.Conflict)
		}
		// It waits for a person, and which version works is not known: all may be
		// needed.
		w.sql(`UPDATE rotations SET state = 'stuck' WHERE account_id = ?`, string(acc.ID))
		w.sql(`UPDATE credential_versions SET state = 'rejected' WHERE version = 3 AND account_id = ?`, string(acc.ID))
		w.sql(`UPDATE accounts SET working = 0 WHERE account_id = ?`, string(acc.ID))
		refused(t, w.accounts.Purge(ctx, w.admin, acc.ID, 1), pam.Conflict)
		must[account.Account](t)(w.accounts.Promote(ctx, w.admin, acc.ID, 3)) // a person has looked
		if got := w.states(acc); !slices.Equal(got, []string{"stored", "stored", "stored*"}) {
			t.Fatal(got)
		}
		if err := w.accounts.Purge(ctx, w.admin, acc.ID, 1); err != nil {
			t.Fatal(err)
		}
	})
}

// Whoever purges and whoever promotes the same version at once: one of them
// is told no, and what is promoted can be opened.
func TestPromotionAndPurgeAtOnceLeaveAVersionThatOpens(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for range 10 {
			acc := w.account(w.admin, "root", "")
			w.set(acc, "second")
			var group sync.WaitGroup
			var promoted, purged error
			group.Go(func() { _, promoted = w.accounts.Promote(t.Context(), w.admin, acc.ID, 1) })
			group.Go(func() { purged = w.accounts.Purge(t.Context(), w.admin, acc.ID, 1) })
			group.Wait()
			if (promoted == nil) == (purged == nil) {
				t.Fatalf("promoted: %v, purged: %v", promoted, purged)
			}
			if sealed := must[account.SealedCredential](t)(w.db.SealedCredential(t.Context(), acc.Org, acc.ID)); len(sealed.Sealed) == 0 {
				t.Fatal("the promoted version was purged")
			}
		}
	})
}

// A page of the database keeps what was overwritten, unless it is told not to.
func TestPurgedSecretIsNotLeftInTheDatabaseFile(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, db)
	acc := w.account(w.admin, "root", "")
	w.set(acc, "SECOND-"+string(bytes.Repeat([]byte("x"), 3000)))
	w.set(acc, "third")
	must[[]account.Version](t)(w.accounts.PurgeOld(t.Context(), w.admin, acc.ID, 1))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	third := false
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a directory
		}
		for _, left := range []string{"|1|first of root", "|2|SECOND-"} {
			if bytes.Contains(text, []byte(left)) {
				t.Errorf("%s still holds %q", filepath.Base(name), left)
			}
		}
		third = third || bytes.Contains(text, []byte("|3|third"))
	}
	if !third {
		t.Error("the search finds nothing at all")
	}
}

func TestKindHasToFitTheResourceFromWhicheverSide(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		pg := must[resource.Resource](t)(w.resources.Create(ctx, w.admin, resource.Settings{Name: "db", Type: pam.PostgreSQL, Host: "db.example.com", HostKeyPolicy: resource.Pinned}))
		key := func() *account.NewCredential {
			c := must[account.NewCredential](t)(account.Generate(account.GenerationPolicy{Kind: account.SSHKey}, rand.Reader))
			return &c
		}
		_, err := w.accounts.Create(ctx, w.admin, account.Settings{Name: "a", Username: "a", ResourceID: pg.ID}, key())
		refused(t, err, pam.Invalid)
		acc := must[account.Account](t)(w.accounts.Create(ctx, w.admin, account.Settings{Name: "a", Username: "a", ResourceID: pg.ID}, nil))
		_, err = w.accounts.SetCredential(ctx, w.admin, acc.ID, *key())
		refused(t, err, pam.Invalid)
		_, err = w.accounts.Generate(ctx, w.admin, acc.ID, account.GenerationPolicy{Kind: account.SSHKey})
		refused(t, err, pam.Invalid)
		domain := must[account.Account](t)(w.accounts.Create(ctx, w.admin, account.Settings{Name: "d", Username: "d"}, key()))
		_, err = w.accounts.Update(ctx, w.admin, domain.ID, 0, account.Settings{Name: "d", Username: "d", ResourceID: pg.ID})
		refused(t, err, pam.Invalid)
		got := must[account.Account](t)(w.accounts.Generate(ctx, w.admin, acc.ID, account.GenerationPolicy{Kind: account.Database}))
		if got.Credential.Kind != account.Database || got.Credential.Version != 1 || got.ResourceType != pam.PostgreSQL {
			t.Fatalf("%+v", got.Credential)
		}
	})
}

func TestEphemeralCredentialIsKeptWithoutASecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		acc := w.account(w.admin, "root", w.resource(w.admin, "web").ID)
		made := account.NewCredential{Kind: account.Made, Ephemeral: &account.Ephemeral{Principals: []string{"root"}, TTLSeconds: 300}}
		got := must[account.Account](t)(w.accounts.SetCredential(ctx, w.admin, acc.ID, made))
		if got.Credential.Kind != account.Made || got.Credential.Ephemeral == nil || got.Credential.Ephemeral.TTLSeconds != 300 || got.Credential.Version != 2 {
			t.Fatalf("%+v", got.Credential)
		}
		if sealed := must[account.SealedCredential](t)(w.db.SealedCredential(ctx, acc.Org, acc.ID)); len(sealed.Sealed) != 0 || sealed.Kind != account.Made {
			t.Fatalf("%+v", sealed)
		}
		w.set(acc, "again")
		if got := must[account.Account](t)(w.accounts.ByID(ctx, w.admin, acc.ID)); got.Credential.Ephemeral != nil {
			t.Fatal("settings of what is not promoted are shown as if they held")
		}
		if got := must[account.Account](t)(w.accounts.Promote(ctx, w.admin, acc.ID, 2)); got.Credential.Ephemeral == nil {
			t.Fatal("the settings are lost")
		}
		bare := account.NewCredential{Kind: account.Made}
		if got := must[account.Account](t)(w.accounts.Create(ctx, w.admin, account.Settings{Name: "e", Username: "e"}, &bare)); got.Credential.Ephemeral == nil {
			t.Fatal("without settings it is not seen to be ephemeral")
		}
	})
}

// Whoever may not use an administrator's account does not get to by naming it
// in the settings of their own.
func TestEphemeralNamesNoAdministratorThatTheActorMayNotUse(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		mine := w.account(w.other, "mine", "")
		_, _, foreign := w.bound(w.admin, "Admins")
		elsewhere := w.account(w.stranger, "elsewhere", "")
		own := w.account(w.other, "own", "")
		for _, id := range []pam.AccountID{foreign.ID, elsewhere.ID, mine.ID, "acc_00000000000000000000000000"} {
			_, err := w.accounts.SetCredential(ctx, w.other, mine.ID, account.NewCredential{Kind: account.Made, Ephemeral: &account.Ephemeral{AdminAccountID: id}})
			refused(t, err, pam.Invalid)
		}
		must[account.Account](t)(w.accounts.SetCredential(ctx, w.other, mine.ID, account.NewCredential{Kind: account.Made, Ephemeral: &account.Ephemeral{AdminAccountID: own.ID}}))
	})
}

func TestPublicHalfIsKeptAndListed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		acc := w.account(w.admin, "root", "")
		got := must[account.Account](t)(w.accounts.Generate(ctx, w.admin, acc.ID, account.GenerationPolicy{Kind: account.SSHKey}))
		exp := account.NewCredential{Kind: account.KubernetesToken, Value: secret.FromString("e30.eyJpc3MiOiJtZSIsImV4cCI6NDEwMjQ0NDgwMH0.")}
		late := must[account.Account](t)(w.accounts.SetCredential(ctx, w.admin, acc.ID, exp))
		if late.Credential.NotAfter.Unix() != 4102444800 || late.Credential.Issuer != "me" {
			t.Fatalf("%+v", late.Credential)
		}
		history := must[[]account.Version](t)(w.accounts.Versions(ctx, w.admin, acc.ID))
		if history[1].Fingerprint == "" || history[1].Fingerprint != got.Credential.Fingerprint || history[1].PublicKey != got.Credential.PublicKey ||
			!history[0].NotAfter.Equal(late.Credential.NotAfter) || !history[0].Working || history[1].Working {
			t.Fatalf("%+v", history)
		}
		if n := w.countEvents(audit.CredentialGenerated); n != 1 {
			t.Fatalf("%d events", n)
		}
	})
}
