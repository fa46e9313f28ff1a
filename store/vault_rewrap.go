package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/identity"
	"vaultpam/pam/outbox"
	"vaultpam/pam/recording"
	"vaultpam/pam/sshca"
	"vaultpam/pam/sso"
	"vaultpam/pam/webhook"
	"vaultpam/vault"
)

// sealedPlace is a table that keeps sealed values in its column "sealed", and
// the binding of each row, in SQL over the table as t. An object of bytes is
// bound in hexadecimal.
type sealedPlace struct {
	table   string
	key     string // the primary key's columns
	org     string
	purpose string // a constant; "" : by the object, from secretPurposes
	object  string
	version string
	join    string
}

// sealedPlaces is every place that keeps a sealed value: what is not in it, a
// rotation of keys would leave behind and lose. Tests hold it against the
// schema, and against who seals.
var sealedPlaces = []sealedPlace{
	{"vault_signing_keys", "org_id", "t.org_id", "vault.signing-key", "t.public", "1", ""},
	{"instance_secrets", "name", "''", "", "t.name", "1", ""},
	{"credential_versions", "org_id, account_id, version", "t.org_id", account.Purpose, "t.account_id", "t.version", ""},
	{"factors", "user_id, factor_id", "u.home_org_id", identity.TOTPPurpose, "t.factor_id", "1", "JOIN users u ON u.id = t.user_id"},
	{"sso_providers", "org_id, provider_id", "t.org_id", sso.Purpose, "t.provider_id", "t.secret_version", ""},
	{"webhooks", "org_id, webhook_id", "t.org_id", webhook.Purpose, "t.webhook_id", "t.secret_version", ""},
	{"outbox", "org_id, message_id", "t.org_id", outbox.Purpose, "t.message_id", "1", ""},
	{"ssh_cas", "org_id, number", "t.org_id", sshca.Purpose, "t.org_id", "t.number", ""},
	{"recording_keys", "org_id, recording_id", "t.org_id", recording.KeyPurpose, "t.recording_id", "1", ""},
}

// secretPurposes binds the server's own secrets, by their names.
var secretPurposes = map[string]string{
	"ssh-host-ed25519": "ssh.host-key",
	"request-digest":   "api.request-digest",
	"terminal-ticket":  "api.terminal-ticket",
}

// SecretPurpose is what a secret of the server itself is bound to.
func SecretPurpose(name string) string { return secretPurposes[name] }

// recordingFiles comes after the tables: the recordings whose key stands in
// their files alone.
var recordingFiles = len(sealedPlaces)

// recordingMargin is how long after a new key a recording may still have begun
// with the old one.
const recordingMargin = time.Hour

func (p sealedPlace) columns() []string { return strings.Split(p.key, ", ") }

// from is the part of a query that finds values of org that do not begin with
// head.
func (p sealedPlace) from() string {
	return fmt.Sprintf(` FROM %s t %s WHERE %s = ? AND t.sealed IS NOT NULL AND length(t.sealed) > 0 AND substr(t.sealed, 1, %d) <> ?`, p.table, p.join, p.org, vault.HeadSize)
}

const filesFrom = ` FROM recordings t WHERE t.org_id = ? AND t.started_at < ? AND NOT EXISTS
	(SELECT 1 FROM recording_keys k WHERE k.org_id = t.org_id AND k.recording_id = t.recording_id)`

// CountSealed is vault.RotationStore's.
func (s vaultKeys) CountSealed(ctx context.Context, k vault.OrgKey) (int64, error) {
	const op = "count sealed values"
	var total int64
	for _, p := range sealedPlaces {
		if !p.may(k.Org) {
			continue
		}
		n, err := one(ctx, s.db, scalar[int64], `SELECT COUNT(*)`+p.from(), string(k.Org), vault.Head(k.Version))
		if err != nil {
			return 0, s.db.failed(op, fmt.Errorf("%s: %w", p.table, err))
		}
		total += n
	}
	n, err := one(ctx, s.db, scalar[int64], `SELECT COUNT(*)`+filesFrom, string(k.Org), micros(k.CreatedAt.Add(recordingMargin)))
	return total + n, s.db.failed(op, err)
}

// may says whether the place can hold a value of org.
func (p sealedPlace) may(org pam.OrgID) bool { return p.org != "''" || org == pam.InstanceOrg }

// ListSealed is vault.RotationStore's.
func (s vaultKeys) ListSealed(ctx context.Context, k vault.OrgKey, at *vault.SweepCursor, limit int) ([]vault.Value, error) {
	const op = "list sealed values"
	for ; at.Place <= recordingFiles; at.Place, at.After = at.Place+1, nil {
		var out []vault.Value
		var err error
		switch {
		case at.Place == recordingFiles:
			out, err = s.listFiles(ctx, k, at.After, limit)
		case sealedPlaces[at.Place].may(k.Org):
			out, err = s.listPlace(ctx, sealedPlaces[at.Place], k, at.After, limit)
		}
		if err != nil {
			return nil, s.db.failed(op, err)
		}
		if len(out) > 0 {
			at.After = out[len(out)-1].Key
			return out, nil
		}
	}
	return nil, nil
}

func (s vaultKeys) listPlace(ctx context.Context, p sealedPlace, k vault.OrgKey, after []any, limit int) ([]vault.Value, error) {
	columns := p.columns()
	key := "t." + strings.Join(columns, ", t.")
	text, args := `SELECT `+key+`, `+p.object+`, `+p.version+`, t.sealed`+p.from(), []any{string(k.Org), vault.Head(k.Version)}
	// The organization is the same in all rows: the walk is along the rest, so
	// that it begins where it ended and not at the first row again.
	order := columns
	if columns[0] == "org_id" && len(columns) > 1 {
		order = columns[1:]
	}
	walk := "t." + strings.Join(order, ", t.")
	if after != nil {
		text += ` AND (` + walk + `) > (?` + strings.Repeat(", ?", len(order)-1) + `)`
		args = append(args, after[len(columns)-len(order):]...)
	}
	return list(ctx, s.db, func(r row) (vault.Value, error) {
		v := vault.Value{Place: p.table, Key: make([]any, len(columns)), Binding: pam.Binding{Org: k.Org, Purpose: p.purpose}}
		var object any
		dest := make([]any, 0, len(columns)+3)
		for i := range v.Key {
			dest = append(dest, &v.Key[i])
		}
		if err := r.Scan(append(dest, &object, &v.Binding.Version, &v.Sealed)...); err != nil {
			return v, err
		}
		switch o := object.(type) {
		case string:
			v.Binding.Object = o
		case []byte:
			v.Binding.Object = hex.EncodeToString(o)
		}
		if p.purpose == "" {
			v.Binding.Purpose = SecretPurpose(v.Binding.Object)
		}
		return v, nil
	}, text+` ORDER BY `+walk+` LIMIT ?`, append(args, limit)...)
}

func (s vaultKeys) listFiles(ctx context.Context, k vault.OrgKey, after []any, limit int) ([]vault.Value, error) {
	text, args := `SELECT t.recording_id, t.status`+filesFrom, []any{string(k.Org), micros(k.CreatedAt.Add(recordingMargin))}
	if after != nil {
		text += ` AND t.recording_id > ?`
		args = append(args, after...)
	}
	return list(ctx, s.db, func(r row) (vault.Value, error) {
		var id, status string
		err := r.Scan(&id, &status)
		return vault.Value{
			Place: "recordings", Key: []any{id}, Absent: s.db.dialect.shared || status == string(recording.InProgress),
			Binding: pam.Binding{Org: k.Org, Purpose: recording.KeyPurpose, Object: id, Version: 1},
		}, err
	}, text+` ORDER BY t.recording_id LIMIT ?`, append(args, limit)...)
}

// Reseal is vault.RotationStore's.
func (s vaultKeys) Reseal(ctx context.Context, r *vault.Rotation, values []vault.Value) (int, error) {
	if r == nil && len(values) == 0 {
		return 0, nil
	}
	var total int
	err := s.db.write(ctx, "seal values anew", func(ctx context.Context, tx *Tx) error {
		total = 0
		for _, v := range values {
			n, err := replaceSealed(ctx, tx, v)
			if err != nil {
				return err
			}
			total += int(n)
		}
		if r == nil {
			return nil
		}
		return s.keep(ctx, tx, *r)
	})
	return total, err
}

// replaceSealed touches nothing where the value is not what was read any more:
// who changed it meanwhile wins.
func replaceSealed(ctx context.Context, tx *Tx, v vault.Value) (int64, error) {
	if v.Place == "recordings" {
		// Only where the file's key is of the recording: the row is its own.
		return tx.exec(ctx, `INSERT INTO recording_keys (org_id, recording_id, sealed) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			string(v.Binding.Org), v.Binding.Object, v.Next)
	}
	i := slices.IndexFunc(sealedPlaces, func(p sealedPlace) bool { return p.table == v.Place })
	if i < 0 {
		return 0, fmt.Errorf("no place of sealed values: %s", v.Place)
	}
	p := sealedPlaces[i]
	text := `UPDATE ` + p.table + ` SET sealed = ? WHERE ` + strings.Join(p.columns(), " = ? AND ") + ` = ? AND sealed = ?`
	return tx.exec(ctx, text, append(append([]any{v.Next}, v.Key...), v.Sealed)...)
}

// mustBeUnnamed is a Conflict while a value of org names a key, as part of the
// change that removes it. What was rotated says so before; this is the last
// line, behind which values would be lost.
func mustBeUnnamed(ctx context.Context, tx *Tx, org pam.OrgID, version uint32) error {
	for _, p := range sealedPlaces {
		if !p.may(org) {
			continue
		}
		n, err := one(ctx, tx, scalar[int64], fmt.Sprintf(`SELECT COUNT(*) FROM %s t %s WHERE %s = ? AND substr(t.sealed, 1, %d) = ?`, p.table, p.join, p.org, vault.HeadSize),
			string(org), vault.Head(version))
		if err != nil {
			return err
		}
		if n > 0 {
			return pam.Errorf(pam.Conflict, "", "%d values in %s name the key.", n, p.table)
		}
	}
	return nil
}

// LettersOut is vault.RotationStore's.
func (s vaultKeys) LettersOut(ctx context.Context, org pam.OrgID, t time.Time) (bool, error) {
	n, err := one(ctx, s.db, scalar[int64], `SELECT COUNT(*) FROM access_requests WHERE org_id = ? AND status = 'pending' AND created_at < ?`, string(org), micros(t))
	return n > 0, s.db.failed("look for letters", err)
}
