package store_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/store"
	"vaultpam/store/storetest"
	"vaultpam/vault"
	"vaultpam/vault/vaulttest"
)

// notSealed are the columns of bytes that hold no sealed value, and what they
// hold.
var notSealed = map[string]string{
	"vault_meta.root": "wrapped by the seal", "vault_org_keys.wrapped": "wrapped by the root key", "vault_signing_keys.public": "public",
	"audit_events.leaf_hash": "a hash", "audit_tiles.hash": "a hash", "audit_checkpoints.root": "a hash",
	"logins.token_hash": "a hash", "access_tokens.token_hash": "a hash", "device_logins.code_hash": "a hash", "invitations.token_hash": "a hash", "password_links.token_hash": "a hash",
	"scim_tokens.token_hash": "a hash", "sso_attempts.state_hash": "a hash", "sso_attempts.browser_hash": "a hash", "sso_assertions.assertion_hash": "a hash",
	"recovery_codes.code_hash": "a hash", "mfa_challenges.token_hash": "a hash", "passkey_challenges.token_hash": "a hash",
	"passkeys.credential_id": "public", "passkeys.public_key": "public", "recordings.signature": "public", "recordings.public_key": "public",
	"idempotency.body":   "an answer without secrets",
	"resources.sort_key": "a name", "accounts.sort_key": "a name", "safes.sort_key": "a name", "safe_members.sort_key": "a name", "safe_holders.sort_key": "a name", "org_groups.sort_key": "a name",
	"sso_providers.sort_key": "a name", "workload_rules.sort_key": "a name", "webhooks.sort_key": "a name", "access_review_items.search": "names",
}

// A column of sealed values that a rotation does not know would be lost with
// the key that it names.
func TestEverySealedColumnIsKnownToTheRotation(t *testing.T) {
	db := storetest.Open(t, store.Options{DataDir: t.TempDir()})
	columns := must[[]string](t)(db.ByteColumns(t.Context()))
	if len(columns) < 20 {
		t.Fatalf("only %d columns of bytes were found", len(columns))
	}
	known := store.SealedTables()
	for _, c := range columns {
		table, name, _ := strings.Cut(c, ".")
		switch {
		case name == "sealed" && !slices.Contains(known, table):
			t.Errorf("%s: a rotation of keys would lose it: it needs its line in sealedPlaces", c)
		case name != "sealed" && notSealed[c] == "":
			t.Errorf("%s: if it is sealed, call it sealed and give it its line in sealedPlaces; else say what it is in notSealed", c)
		}
	}
	for _, table := range known {
		if !slices.Contains(columns, table+".sealed") {
			t.Errorf("%s has no sealed column", table)
		}
	}
}

func TestARotationSealsOneOfEverythingAnewAndTheOldKeysGo(t *testing.T) {
	inSealedWorld(t, func(t *testing.T, w *sealedWorld) {
		w.mustHave("away 1/1, home 1/1, instance 1/1; root 1 of 1")
		r := w.rotate(vault.ScopeAll)
		// Two organizations have a signing key each beside what is listed.
		if s := r.Step(vault.StepValues); s.Total != int64(len(w.want))+2 || s.Done != s.Total || s.Failed != 0 {
			t.Errorf("%d values: %+v", len(w.want)+2, s)
		}
		if s := r.Step(vault.StepKeys); s.Done != 3 || s.Total != 3 {
			t.Errorf("%+v", s)
		}
		w.allOpen(2)
		w.mustHave("away 1/2, away 2/2, home 1/2, home 2/2, instance 1/2, instance 2/2; root 2 of 2")

		if left := w.retire(); left != 4 {
			t.Errorf("%d old keys are left at once", left)
		}
		w.clock.Advance(vault.Grace - time.Second)
		if left := w.retire(); left != 4 {
			t.Errorf("%d old keys are left within the time of grace", left)
		}
		w.clock.Advance(2 * time.Second)
		if left := w.retire(); left != 0 {
			t.Errorf("%d old keys are left", left)
		}
		w.mustHave("away 2/2, home 2/2, instance 2/2; root 2 of 1")
		w.allOpen(2)

		// Once more, with what the first has left behind.
		r = w.rotate(vault.ScopeAll)
		if s := r.Step(vault.StepValues); s.Total != int64(len(w.want))+2 || s.Done != s.Total || s.Failed != 0 {
			t.Errorf("the second time: %+v", s)
		}
		w.allOpen(3)
	})
}

func TestScopesRotateWhatTheySay(t *testing.T) {
	inSealedWorld(t, func(t *testing.T, w *sealedWorld) {
		w.rotate(vault.ScopeRoot)
		w.mustHave("away 1/2, home 1/2, instance 1/2; root 2 of 2")
		r := w.begin(vault.ScopeOrganization, w.stranger.Org)
		if err := w.rotator().Run(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
		w.finish(r)
		w.mustHave("away 1/2, away 2/2, home 1/2, instance 1/2; root 2 of 2")
		for _, v := range w.want {
			if n, away := vault.SealedBy(w.sealed(v)), v.bind.Org == w.stranger.Org; away != (n == 2) {
				t.Errorf("%s of %q names key %d", v.place, v.bind.Org, n)
			}
		}
		w.allOpen(0)
	})
}

func TestOneRotationAtATime(t *testing.T) {
	inSealedWorld(t, func(t *testing.T, w *sealedWorld) {
		r := w.begin(vault.ScopeAll, "")
		again := vault.NewRotation("kro_2", vault.ScopeRoot, "", w.clock.Now())
		refused(t, w.db.Vault().StartRotation(t.Context(), again, w.entry()), pam.Conflict)
		before := must[int64](t)(w.db.Count(t.Context(), "SELECT COUNT(*) FROM audit_events WHERE org_id = ''"))
		refused(t, w.db.Vault().StartRotation(t.Context(), again, w.entry()), pam.Conflict)
		if after := must[int64](t)(w.db.Count(t.Context(), "SELECT COUNT(*) FROM audit_events WHERE org_id = ''")); after != before {
			t.Error("a refused start left an event")
		}
		w.finish(r)
		if err := w.db.Vault().StartRotation(t.Context(), again, w.entry()); err != nil {
			t.Error(err)
		}
	})
}

// A value that somebody who writes to the database has moved does not get the
// seal of its new place, nor one that is damaged another; they are named, keep
// their key, and stop nothing.
func TestAMovedOrDamagedValueIsReportedAndNotLaundered(t *testing.T) {
	inSealedWorld(t, func(t *testing.T, w *sealedWorld) {
		var ours, theirs sealedValue
		for _, v := range w.want {
			if v.place == "credential_versions" && v.bind.Org == w.owner.Org {
				ours = v
			}
			if v.place == "credential_versions" && v.bind.Org == w.stranger.Org {
				theirs = v
			}
		}
		second := sealers["credential_versions"](w, w.owner)
		w.keep("credential_versions", second)
		second = w.want[len(w.want)-1]
		w.want = slices.DeleteFunc(w.want, func(v sealedValue) bool {
			return v.bind == ours.bind || v.bind == theirs.bind || v.bind == second.bind
		})
		put := func(v sealedValue, b []byte) {
			w.sql(`UPDATE credential_versions SET sealed = ? WHERE account_id = ?`, append([]any{b}, v.args...)...)
		}
		mine := w.sealed(ours)
		damaged := bytes.Clone(w.sealed(second))
		damaged[len(damaged)-1] ^= 1
		put(theirs, mine)    // another organization's secret
		put(second, damaged) // of an account of the same
		foreign := w.sealed(sealedValue{query: "SELECT sealed FROM factors WHERE user_id = ?", args: []any{string(w.owner.User)}})
		put(ours, foreign) // another purpose

		r := w.rotate(vault.ScopeAll)
		if s := r.Step(vault.StepValues); s.Failed != 3 || s.Done+s.Failed != s.Total || len(r.Problems) != 3 {
			t.Errorf("%+v, %d problems", s, len(r.Problems))
		}
		for _, p := range r.Problems {
			if p.Place != "credential_versions" || !strings.HasPrefix(p.Object, pam.PrefixAccount) || p.Reason == "" {
				t.Errorf("%+v", p)
			}
		}
		for v, want := range map[*sealedValue][]byte{&ours: foreign, &theirs: mine, &second: damaged} {
			if !bytes.Equal(w.sealed(*v), want) {
				t.Error("what does not open was changed")
			}
		}
		w.allOpen(2)
		w.retire()
		w.clock.Advance(2 * vault.Grace)
		w.retire()
		// The keys that they name are still there, and no other.
		w.mustHave("away 1/2, away 2/2, home 1/2, home 2/2, instance 2/2; root 2 of 1")
		// Put right, they open, and the keys go.
		put(ours, mine)
		w.want = append(w.want, ours)
		put(second, must[[]byte](t)(w.vault.Seal(t.Context(), second.bind, []byte(second.text))))
		put(theirs, must[[]byte](t)(w.vault.Seal(t.Context(), theirs.bind, []byte(theirs.text))))
		w.want = append(w.want, second, theirs)
		w.retire()
		w.retire()
		w.clock.Advance(2 * vault.Grace)
		w.retire()
		w.mustHave("away 2/2, home 2/2, instance 2/2; root 2 of 1")
		w.allOpen(2)
	})
}

// during calls before, once, between the reading of a batch and its writing.
type during struct {
	vault.RotationStore
	before func(values []vault.Value)
}

func (d *during) Reseal(ctx context.Context, r *vault.Rotation, values []vault.Value) (int, error) {
	if f := d.before; f != nil && len(values) > 0 {
		d.before = nil
		f(values)
	}
	return d.RotationStore.Reseal(ctx, r, values)
}

func TestWhoChangesAValueDuringARotationWins(t *testing.T) {
	inSealedWorld(t, func(t *testing.T, w *sealedWorld) {
		// Another process, which has not heard of the new keys.
		other := vaulttest.Process(t, w.db.Vault(), w.seal, w.clock)
		for _, v := range w.want {
			must[[]byte](t)(other.Seal(t.Context(), v.bind, []byte("x")))
		}
		changed := map[pam.Binding]bool{}
		w.turns = &during{w.turns, func(values []vault.Value) {
			for i := range w.want {
				v := &w.want[i]
				if v.place == "recordings" {
					continue // what is in a file does not change
				}
				v.text = "changed meanwhile: " + v.bind.Object
				sealed := must[[]byte](t)(other.Seal(t.Context(), v.bind, []byte(v.text)))
				w.sql(strings.Replace(v.query, "SELECT sealed FROM "+v.place, "UPDATE "+v.place+" SET sealed = ?", 1), append([]any{sealed}, v.args...)...)
				changed[v.bind] = true
			}
		}}
		w.rotate(vault.ScopeAll)
		if len(changed) < 10 {
			t.Fatalf("%d values were changed", len(changed))
		}
		w.allOpen(0)
		// What came in late is sealed anew before any key goes.
		w.retire()
		w.allOpen(2)
		w.clock.Advance(2 * vault.Grace)
		if left := w.retire(); left == 0 {
			t.Error("a key went at the first look after it was named")
		}
		w.clock.Advance(2 * vault.Grace)
		if left := w.retire(); left != 0 {
			t.Errorf("%d old keys are left", left)
		}
		w.allOpen(2)
	})
}

// A request that has read a value before it was sealed anew writes it back
// late: the key that it names is kept.
func TestAKeyIsNotRemovedWhileAValueNamesIt(t *testing.T) {
	inSealedWorld(t, func(t *testing.T, w *sealedWorld) {
		v := w.want[slices.IndexFunc(w.want, func(v sealedValue) bool { return v.place == "webhooks" && v.bind.Org == w.owner.Org })]
		old := w.sealed(v)
		w.rotate(vault.ScopeOrganization)
		w.retire()
		w.clock.Advance(2 * vault.Grace)
		// Between the last look and the removal.
		late := func(ctx context.Context, r vault.Removal) error {
			if r.Org == w.owner.Org {
				w.sql(`UPDATE webhooks SET sealed = ? WHERE webhook_id = ?`, append([]any{old}, v.args...)...)
			}
			return w.remove(ctx, r)
		}
		_, err := w.rotator().Retire(t.Context(), late)
		refused(t, err, pam.Conflict)
		w.allOpen(0)
		w.retire()
		w.allOpen(2)
		// Nor is one that is not idle, or is the newest.
		for _, n := range []uint32{1, 2} {
			refused(t, w.db.Vault().RemoveOrgKey(t.Context(), w.owner.Org, n, w.clock.Now().Add(-vault.Grace), w.entry()), pam.Conflict)
		}
	})
}

// The link in a letter is sealed, and nobody can seal the letter anew.
func TestAKeyStaysWhileALetterMayNameIt(t *testing.T) {
	inSealedWorld(t, func(t *testing.T, w *sealedWorld) {
		w.sql(`INSERT INTO access_requests (org_id, request_id, user_id, email, safe_id, safe_name, reason, ticket, seconds, command, command_hash, status, approvers, granted, grant_id, created_at, expires_at, ended_at)
			VALUES (?, 'req_1', ?, '', '', '', '', '', 1, '', '', 'pending', 1, 0, '', ?, 0, 0)`, w.owner.Org, w.owner.User, w.clock.Now().UnixMicro())
		w.rotate(vault.ScopeOrganization)
		w.retire()
		w.clock.Advance(2 * vault.Grace)
		w.retire()
		w.mustHave("away 2/1, home 1/1, home 2/1, instance 2/1; root 1 of 1")
		w.sql(`UPDATE access_requests SET status = 'approved'`)
		w.retire()
		w.clock.Advance(2 * vault.Grace)
		w.retire()
		w.mustHave("away 2/1, home 2/1, instance 2/1; root 1 of 1")
	})
}

// bound are the files that say what a value is sealed as, and where it is kept.
var bound = map[string]string{
	"pam/account/service.go":    "credential_versions",
	"pam/broker/kit.go":         "credential_versions",
	"pam/broker/live.go":        "credential_versions",
	"pam/broker/reveal.go":      "credential_versions",
	"pam/broker/rotate.go":      "credential_versions",
	"pam/broker/rotate_open.go": "credential_versions",
	"pam/identity/factor.go":    "factors",
	"pam/outbox/outbox.go":      "outbox",
	"pam/recording/service.go":  "recording_keys, and the files of recordings",
	"pam/request/link.go":       "letters that have left: LettersOut keeps their keys",
	"pam/sshca/service.go":      "ssh_cas",
	"pam/sso/provider.go":       "sso_providers",
	"pam/webhook/webhook.go":    "webhooks",
	"server/vault.go":           "instance_secrets",
}

var seals = regexp.MustCompile(`(?m)^[^/]*pam\.Binding\{`)

// A sealed value may be kept elsewhere than in a column of bytes: whoever seals
// says where.
func TestWhoeverSealsSaysWhereItIsKept(t *testing.T) {
	seen := map[string]bool{}
	for _, room := range []string{"pam", "server", "edge", "post", "idp", "target"} {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			name := strings.TrimPrefix(filepath.ToSlash(path), "../")
			if seals.Match(text) {
				seen[name] = true
				if bound[name] == "" {
					t.Errorf("%s seals something: give where it is kept a line in sealedPlaces, and the file one in bound", name)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range bound {
		if !seen[name] {
			t.Errorf("%s seals nothing any more", name)
		}
	}
}
