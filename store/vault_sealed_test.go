package store_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/outbox"
	"vaultpam/pam/recording"
	"vaultpam/pam/sshca"
	"vaultpam/pam/sso"
	"vaultpam/pam/webhook"
	"vaultpam/store"
	"vaultpam/store/storetest"
	"vaultpam/vault"
	"vaultpam/vault/vaulttest"
)

// sealedWorld has one sealed value of everything, in two organizations.
type sealedWorld struct {
	*world
	keys  vault.KeyStore
	turns vault.RotationStore
	seal  vault.RootSeal
	vault *vault.Vault
	files map[pam.RecordingID][]byte
	want  []sealedValue
}

type sealedValue struct {
	place string
	query string // of the sealed column
	args  []any
	bind  pam.Binding
	text  string
}

// SealedKey is vault.RecordingKeys's.
func (w *sealedWorld) SealedKey(_ context.Context, _ pam.OrgID, id pam.RecordingID) ([]byte, error) {
	if b, ok := w.files[id]; ok {
		return b, nil
	}
	return nil, &pam.Error{Kind: pam.NotFound}
}

// sealers makes one row for each place. Whoever adds a place adds its line.
var sealers = map[string]func(w *sealedWorld, a pam.Actor) sealedValue{
	"credential_versions": func(w *sealedWorld, a pam.Actor) sealedValue {
		acc := w.account(a, w.ids.New("n"), "")
		return sealedValue{"", "SELECT sealed FROM credential_versions WHERE account_id = ?", []any{string(acc.ID)}, pam.Binding{Org: a.Org, Purpose: account.Purpose, Object: string(acc.ID), Version: 1}, ""}
	},
	"vault_signing_keys": nil, // the vault's own
	"instance_secrets": func(w *sealedWorld, _ pam.Actor) sealedValue {
		const name = "request-digest"
		_ = w.db.AddInstanceSecret(w.t.Context(), name, []byte{0}, w.clock.Now())
		return sealedValue{"", "SELECT sealed FROM instance_secrets WHERE name = ?", []any{name}, pam.Binding{Purpose: "api.request-digest", Object: name, Version: 1}, ""}
	},
	"factors": func(w *sealedWorld, a pam.Actor) sealedValue {
		id := w.ids.New(pam.PrefixFactor)
		w.sql(`INSERT INTO factors (user_id, factor_id, kind, label, sealed, last_step, created_at, confirmed_at, last_used_at) VALUES (?, ?, 'totp', '', ?, 0, 1, 1, 0)`, a.User, id, []byte{0})
		return sealedValue{"", "SELECT sealed FROM factors WHERE factor_id = ?", []any{id}, pam.Binding{Org: a.HomeOrg, Purpose: identity.TOTPPurpose, Object: id, Version: 1}, ""}
	},
	"sso_providers": func(w *sealedWorld, a pam.Actor) sealedValue {
		id := w.ids.New(pam.PrefixProvider)
		w.sql(`INSERT INTO sso_providers (org_id, provider_id, name, sort_key, issuer, client_id, sealed, secret_version, scopes, domains, group_claim, rules, creates, default_role, trusts_mfa, enabled, trusted_at, version, created_at, updated_at)
			VALUES (?, ?, 'p', ?, '', '', ?, 3, '[]', '[]', '', '[]', FALSE, '', FALSE, TRUE, 1, 1, 1, 1)`, a.Org, id, []byte(id), []byte{0})
		return sealedValue{"", "SELECT sealed FROM sso_providers WHERE provider_id = ?", []any{id}, pam.Binding{Org: a.Org, Purpose: sso.Purpose, Object: id, Version: 3}, ""}
	},
	"webhooks": func(w *sealedWorld, a pam.Actor) sealedValue {
		id := w.ids.New(pam.PrefixWebhook)
		w.sql(`INSERT INTO webhooks (org_id, webhook_id, name, sort_key, format, url, events, sealed, secret_version, status, problem, position, attempts, next_at, leased_until, version, created_at, updated_at)
			VALUES (?, ?, 'w', ?, 'standard', '', '[]', ?, 2, 'active', '', 0, 0, 0, 0, 1, 1, 1)`, a.Org, id, []byte(id), []byte{0})
		return sealedValue{"", "SELECT sealed FROM webhooks WHERE webhook_id = ?", []any{id}, pam.Binding{Org: a.Org, Purpose: webhook.Purpose, Object: id, Version: 2}, ""}
	},
	"outbox": func(w *sealedWorld, a pam.Actor) sealedValue {
		id := w.ids.New(pam.PrefixOutgoing)
		w.sql(`INSERT INTO outbox (org_id, message_id, channel, kind, object_id, recipient, sealed, status, attempts, problem, created_at, next_at, tried_at) VALUES (?, ?, 'mail', '', '', '', ?, 'pending', 0, '', 1, 1, 0)`, a.Org, id, []byte{0})
		w.sql(`INSERT INTO outbox (org_id, message_id, channel, kind, object_id, recipient, sealed, status, attempts, problem, created_at, next_at, tried_at) VALUES (?, ?, 'mail', '', '', '', NULL, 'sent', 0, '', 1, 1, 0)`, a.Org, id+"x")
		return sealedValue{"", "SELECT sealed FROM outbox WHERE message_id = ?", []any{id}, pam.Binding{Org: a.Org, Purpose: outbox.Purpose, Object: id, Version: 1}, ""}
	},
	"ssh_cas": func(w *sealedWorld, a pam.Actor) sealedValue {
		w.sql(`INSERT INTO ssh_cas (org_id, number, public_key, sealed, active_from, created_at) VALUES (?, 4, '', ?, 1, 1)`, a.Org, []byte{0})
		return sealedValue{"", "SELECT sealed FROM ssh_cas WHERE org_id = ?", []any{a.Org}, pam.Binding{Org: a.Org, Purpose: sshca.Purpose, Object: string(a.Org), Version: 4}, ""}
	},
	"recording_keys": func(w *sealedWorld, a pam.Actor) sealedValue {
		id := w.recording(a.Org)
		w.sql(`INSERT INTO recording_keys (org_id, recording_id, sealed) VALUES (?, ?, ?)`, a.Org, id, []byte{0})
		return sealedValue{"", "SELECT sealed FROM recording_keys WHERE recording_id = ?", []any{id}, pam.Binding{Org: a.Org, Purpose: recording.KeyPurpose, Object: id, Version: 1}, ""}
	},
}

func (w *sealedWorld) recording(org pam.OrgID) string {
	id := w.ids.New(pam.PrefixRecording)
	w.sql(`INSERT INTO recordings (org_id, recording_id, session_id, safe_id, user_id, resource_id, account_id, protocol, status, format, retention_days, duration_ms, size_bytes, root_hash, end_hash, chunks, recovered, problem, started_at, ended_at, expires_at)
		VALUES (?, ?, '', '', '', '', '', 'ssh', 'completed', '', 1, 0, 0, '', '', 0, FALSE, '', ?, 0, 0)`, org, id, w.clock.Now().UnixMicro())
	return id
}

// keep seals a text for a row that was made, and puts it there.
func (w *sealedWorld) keep(place string, v sealedValue) {
	w.t.Helper()
	v.place, v.text = place, "secret of "+v.bind.Object
	sealed := must[[]byte](w.t)(w.vault.Seal(w.t.Context(), v.bind, []byte(v.text)))
	update := strings.Replace(v.query, "SELECT sealed FROM "+place, "UPDATE "+place+" SET sealed = ?", 1)
	w.sql(update, append([]any{sealed}, v.args...)...)
	w.want = append(w.want, v)
}

func newSealedWorld(t testing.TB, db *store.DB) *sealedWorld {
	t.Helper()
	w := &sealedWorld{world: newWorld(t, db), keys: db.Vault(), turns: db.Vault(), seal: vaulttest.Seal(t), files: map[pam.RecordingID][]byte{}}
	w.restart()
	for _, place := range store.SealedTables() {
		if sealers[place] == nil && place != "vault_signing_keys" {
			t.Fatalf("no test makes a value in %s: give it a line in sealers", place)
		}
	}
	for _, a := range []pam.Actor{w.owner, w.stranger} {
		for _, place := range slices.Sorted(maps.Keys(sealers)) {
			if make := sealers[place]; make != nil && (place != "instance_secrets" || a.Org == w.owner.Org) {
				w.keep(place, make(w, a))
			}
		}
		must[[]byte](t)(w.vault.PublicKey(t.Context(), a.Org))
		// One whose key stands in its file alone.
		id := w.recording(a.Org)
		v := sealedValue{"recordings", "SELECT sealed FROM recording_keys WHERE recording_id = ?", []any{id}, pam.Binding{Org: a.Org, Purpose: recording.KeyPurpose, Object: id, Version: 1}, "secret of " + id}
		w.files[pam.RecordingID(id)] = must[[]byte](t)(w.vault.Seal(t.Context(), v.bind, []byte(v.text)))
		w.want = append(w.want, v)
	}
	return w
}

// restart opens the vault as a new process would.
func (w *sealedWorld) restart() { w.vault = vaulttest.Process(w.t, w.keys, w.seal, w.clock) }

func (w *sealedWorld) rotator() *vault.Rotator {
	return &vault.Rotator{Vault: w.vault, Store: w.turns, Recordings: w, Clock: w.clock}
}

func (w *sealedWorld) entry() audit.Entry {
	return audit.ForOrg(storetest.Entry(w.owner.Org, audit.VaultKeyRotationStarted), pam.InstanceOrg)
}

// begin keeps a rotation and claims it.
func (w *sealedWorld) begin(scope string, org pam.OrgID) vault.Rotation {
	w.t.Helper()
	r := vault.NewRotation(w.ids.New("kro_"), scope, org, w.clock.Now())
	if err := w.db.Vault().StartRotation(w.t.Context(), r, w.entry()); err != nil {
		w.t.Fatal(err)
	}
	return must[vault.Rotation](w.t)(w.db.Vault().ClaimRotation(w.t.Context()))
}

func (w *sealedWorld) finish(r vault.Rotation) {
	w.t.Helper()
	r.FinishedAt = w.clock.Now()
	if err := w.db.Vault().FinishRotation(w.t.Context(), r, w.entry()); err != nil {
		w.t.Fatal(err)
	}
}

// rotate runs a rotation from its beginning to its end.
func (w *sealedWorld) rotate(scope string) vault.Rotation {
	w.t.Helper()
	r := w.begin(scope, "")
	if err := w.rotator().Run(w.t.Context(), &r); err != nil {
		w.t.Fatal(err)
	}
	w.finish(r)
	return r
}

func (w *sealedWorld) remove(ctx context.Context, r vault.Removal) error {
	if r.Version == 0 {
		return w.vault.KeepNewestRoot(ctx)
	}
	return w.db.Vault().RemoveOrgKey(ctx, r.Org, r.Version, w.clock.Now().Add(-vault.Grace), w.entry())
}

func (w *sealedWorld) retire() int {
	w.t.Helper()
	return must[int](w.t)(w.rotator().Retire(w.t.Context(), w.remove))
}

func (w *sealedWorld) sealed(v sealedValue) []byte {
	w.t.Helper()
	b, err := w.db.Bytes(w.t.Context(), v.query, v.args...)
	if err != nil && v.place == "recordings" {
		return w.files[pam.RecordingID(v.bind.Object)]
	}
	return must[[]byte](w.t)(b, err)
}

// allOpen opens everything with a vault that knows the database alone, and
// checks which version of the key each names; 0 for any.
func (w *sealedWorld) allOpen(version uint32) {
	w.t.Helper()
	fresh := vaulttest.Process(w.t, w.db.Vault(), w.seal, w.clock)
	for _, v := range w.want {
		sealed := w.sealed(v)
		got, err := fresh.Open(w.t.Context(), v.bind, sealed)
		if err != nil || string(got.Expose()) != v.text {
			w.t.Errorf("%s %s does not open: %v", v.place, v.bind.Object, err)
		}
		if n := vault.SealedBy(sealed); version != 0 && n != version {
			w.t.Errorf("%s %s names key %d", v.place, v.bind.Object, n)
		}
	}
	for _, org := range []pam.OrgID{w.owner.Org, w.stranger.Org} {
		if _, err := fresh.Sign(w.t.Context(), org, []byte("x")); err != nil {
			w.t.Errorf("signing: %v", err)
		}
	}
}

// versions says which keys each organization has, and how many root keys.
func (w *sealedWorld) versions() string {
	w.t.Helper()
	keys := must[[]vault.OrgKey](w.t)(w.db.Vault().AllOrgKeys(w.t.Context()))
	names := map[pam.OrgID]string{pam.InstanceOrg: "instance", w.owner.Org: "home", w.stranger.Org: "away"}
	var out []string
	for _, k := range keys {
		out = append(out, fmt.Sprintf("%s %d/%d", names[k.Org], k.Version, vault.SealedBy(k.Wrapped)))
	}
	slices.Sort(out)
	newest, n, err := vaulttest.Process(w.t, w.db.Vault(), w.seal, w.clock).RootVersions(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("%s; root %d of %d", strings.Join(out, ", "), newest, n)
}

func (w *sealedWorld) mustHave(want string) {
	w.t.Helper()
	if got := w.versions(); got != want {
		w.t.Errorf("keys: %s\nwant: %s", got, want)
	}
}

func inSealedWorld(t *testing.T, test func(t *testing.T, w *sealedWorld)) {
	t.Helper()
	storetest.Run(t, func(t *testing.T, open func() *store.DB) { test(t, newSealedWorld(t, open())) })
}
