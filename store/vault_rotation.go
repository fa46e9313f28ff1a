package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/vault"
)

var _ vault.RotationStore = vaultKeys{}

// rotationLease is for how long a rotation belongs to the node that last kept
// how far it is.
const rotationLease = 30 * time.Second

// ReplaceRoot puts next in the place of the wrapped root keys.
func (s vaultKeys) ReplaceRoot(ctx context.Context, old, next []byte) error {
	return s.db.write(ctx, "replace root keys", func(ctx context.Context, tx *Tx) error {
		tx.changed(pam.InstanceOrg, pam.SubjectKeys, "")
		return tx.mustTouch(ctx, pam.Conflict, `UPDATE vault_meta SET root = ?, old_roots_idle_since = 0 WHERE id = 1 AND root = ?`, next, old)
	})
}

// ReplaceOrgKey puts next in the place of the wrapped key.
func (s vaultKeys) ReplaceOrgKey(ctx context.Context, k vault.OrgKey, next []byte) error {
	return s.db.write(ctx, "replace organization key", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.Conflict, `UPDATE vault_org_keys SET wrapped = ? WHERE org_id = ? AND version = ? AND wrapped = ?`,
			next, string(k.Org), int64(k.Version), k.Wrapped)
	})
}

// UseOrgKey counts uses of a key.
func (s vaultKeys) UseOrgKey(ctx context.Context, org pam.OrgID, version uint32, n int64) (int64, error) {
	const op = "count uses of an organization key"
	var uses int64
	err := s.db.write(ctx, op, func(ctx context.Context, tx *Tx) (err error) {
		uses, err = one(ctx, tx, scalar[int64], `UPDATE vault_org_keys SET uses = uses + ? WHERE org_id = ? AND version = ? RETURNING uses`, n, string(org), int64(version))
		return err
	})
	return uses, err
}

// AllOrgKeys is vault.RotationStore's.
func (s vaultKeys) AllOrgKeys(ctx context.Context) ([]vault.OrgKey, error) {
	keys, err := list(ctx, s.db, func(r row) (k vault.OrgKey, err error) {
		err = r.Scan(&k.Org, &k.Version, &k.Wrapped, intoTime(&k.CreatedAt), &k.Uses, intoTime(&k.IdleSince))
		return k, err
	}, `SELECT org_id, version, wrapped, created_at, uses, idle_since FROM vault_org_keys ORDER BY org_id, version`)
	return keys, s.db.failed("read organization keys", err)
}

// SetIdle is vault.RotationStore's.
func (s vaultKeys) SetIdle(ctx context.Context, org pam.OrgID, version uint32, since time.Time) error {
	return s.db.write(ctx, "note an idle organization key", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE vault_org_keys SET idle_since = ? WHERE org_id = ? AND version = ?`, micros(since), string(org), int64(version))
		return err
	})
}

// RootIdle is vault.RotationStore's.
func (s vaultKeys) RootIdle(ctx context.Context) (t time.Time, err error) {
	t, err = one(ctx, s.db, func(r row) (t time.Time, err error) { return t, r.Scan(intoTime(&t)) }, `SELECT old_roots_idle_since FROM vault_meta WHERE id = 1`)
	return t, s.db.failed("read root key", err)
}

// SetRootIdle is vault.RotationStore's.
func (s vaultKeys) SetRootIdle(ctx context.Context, since time.Time) error {
	return s.db.write(ctx, "note idle root keys", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE vault_meta SET old_roots_idle_since = ? WHERE id = 1`, micros(since))
		return err
	})
}

// RemoveOrgKey removes a key of which there is a newer one, and which has been
// idle since before idle; else it is a Conflict.
func (s vaultKeys) RemoveOrgKey(ctx context.Context, org pam.OrgID, version uint32, idle time.Time, e audit.Entry) error {
	return s.db.write(ctx, "remove organization key", func(ctx context.Context, tx *Tx) error {
		if err := mustBeUnnamed(ctx, tx, org, version); err != nil {
			return err
		}
		tx.changed(org, pam.SubjectKeys, "")
		return tx.mustTouch(ctx, pam.Conflict, `DELETE FROM vault_org_keys WHERE org_id = ? AND version = ? AND idle_since > 0 AND idle_since <= ?
			AND EXISTS (SELECT 1 FROM vault_org_keys n WHERE n.org_id = ? AND n.version > ?)`, string(org), int64(version), micros(idle), string(org), int64(version))
	}, e)
}

// StartRotation keeps a rotation that is to be run; a Conflict while one runs.
func (s vaultKeys) StartRotation(ctx context.Context, r vault.Rotation, e audit.Entry) error {
	return s.db.write(ctx, "start key rotation", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO vault_rotations (rotation_id, scope, org_id, state, progress, started_by, node, leased_until, started_at, finished_at)
			VALUES (?, ?, ?, ?, ?, ?, '', 0, ?, 0)`, r.ID, r.Scope, string(r.Org), r.State, asJSON(r), r.StartedBy, micros(r.StartedAt))
		return err
	}, e)
}

const keyRotationColumns = `rotation_id, scope, org_id, state, progress, started_by, started_at, finished_at`

func scanKeyRotation(r row) (o vault.Rotation, err error) {
	err = r.Scan(&o.ID, &o.Scope, &o.Org, &o.State, intoJSON(&o), &o.StartedBy, intoTime(&o.StartedAt), intoTime(&o.FinishedAt))
	return o, err
}

// LatestRotation returns the one that runs, or ran last; NotFound.
func (s vaultKeys) LatestRotation(ctx context.Context) (vault.Rotation, error) {
	r, err := one(ctx, s.db, scanKeyRotation, `SELECT `+keyRotationColumns+` FROM vault_rotations ORDER BY started_at DESC, rotation_id DESC LIMIT 1`)
	return r, s.db.failed("read key rotation", err)
}

// ClaimRotation gives the rotation that runs to this node; NotFound where there
// is none, or another node has it.
func (s vaultKeys) ClaimRotation(ctx context.Context) (out vault.Rotation, err error) {
	const op = "claim key rotation"
	mine := ` WHERE state = 'running' AND (node = ? OR leased_until < ?)`
	now := s.db.clock.Now()
	lapsed := now
	if !s.db.dialect.shared { // whoever had it is dead
		lapsed = now.Add(2 * rotationLease)
	}
	args := []any{s.db.node, micros(lapsed)}
	if _, err := one(ctx, s.db, scalar[string], `SELECT rotation_id FROM vault_rotations`+mine, args...); err != nil {
		return out, s.db.failed(op, err)
	}
	err = s.db.write(ctx, op, func(ctx context.Context, tx *Tx) (err error) {
		out, err = one(ctx, tx, scanKeyRotation, `UPDATE vault_rotations SET node = ?, leased_until = ?`+mine+` RETURNING `+keyRotationColumns,
			append([]any{s.db.node, micros(now.Add(rotationLease))}, args...)...)
		return err
	})
	return out, err
}

// SaveRotation is vault.RotationStore's.
func (s vaultKeys) SaveRotation(ctx context.Context, r vault.Rotation) error {
	return s.db.write(ctx, "keep key rotation", func(ctx context.Context, tx *Tx) error { return s.keep(ctx, tx, r) })
}

// keep notes how far a rotation is, and renews the lease.
func (s vaultKeys) keep(ctx context.Context, tx *Tx, r vault.Rotation) error {
	return tx.mustTouch(ctx, pam.Conflict, `UPDATE vault_rotations SET progress = ?, leased_until = ? WHERE rotation_id = ? AND node = ? AND state = 'running'`,
		asJSON(r), micros(s.db.clock.Now().Add(rotationLease)), r.ID, s.db.node)
}

// FinishRotation ends a rotation of this node.
func (s vaultKeys) FinishRotation(ctx context.Context, r vault.Rotation, e audit.Entry) error {
	return s.db.write(ctx, "finish key rotation", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.Conflict, `UPDATE vault_rotations SET state = 'finished', progress = ?, finished_at = ? WHERE rotation_id = ? AND node = ? AND state = 'running'`,
			asJSON(r), micros(r.FinishedAt), r.ID, s.db.node)
	}, e)
}
