package store

import (
	"context"

	"vaultpam/pam"
	"vaultpam/vault"
)

// vaultKeys implements [vault.KeyStore].
type vaultKeys struct{ db *DB }

var _ vault.KeyStore = vaultKeys{}

// Vault returns the view on the vault's wrapped keys.
func (db *DB) Vault() vaultKeys { return vaultKeys{db} }

// VaultMeta returns the wrapped root key; NotFound before InitVault.
func (s vaultKeys) VaultMeta(ctx context.Context) (vault.Meta, error) {
	m, err := one(ctx, s.db, func(r row) (m vault.Meta, err error) {
		err = r.Scan(&m.SealKind, &m.Root, intoTime(&m.CreatedAt))
		return m, err
	}, `SELECT seal_kind, root, created_at FROM vault_meta WHERE id = 1`)
	return m, s.db.failed("read root key", err)
}

// InitVault keeps the wrapped root key; Conflict if there is one.
func (s vaultKeys) InitVault(ctx context.Context, m vault.Meta) error {
	return s.add(ctx, "keep root key", `INSERT INTO vault_meta (id, seal_kind, root, created_at) VALUES (1, ?, ?, ?)`,
		m.SealKind, m.Root, micros(m.CreatedAt))
}

// OrgKeys returns all keys of org, oldest first.
func (s vaultKeys) OrgKeys(ctx context.Context, org pam.OrgID) ([]vault.OrgKey, error) {
	keys, err := list(ctx, s.db, func(r row) (vault.OrgKey, error) {
		k := vault.OrgKey{Org: org}
		err := r.Scan(&k.Version, &k.Wrapped, intoTime(&k.CreatedAt), &k.Uses, intoTime(&k.IdleSince))
		return k, err
	}, `SELECT version, wrapped, created_at, uses, idle_since FROM vault_org_keys WHERE org_id = ? ORDER BY version`, string(org))
	return keys, s.db.failed("read organization keys", err)
}

// AddOrgKey keeps a key; Conflict if there is one of this version.
func (s vaultKeys) AddOrgKey(ctx context.Context, k vault.OrgKey) error {
	return s.db.write(ctx, "keep organization key", func(ctx context.Context, tx *Tx) error {
		tx.changed(k.Org, pam.SubjectKeys, "")
		_, err := tx.exec(ctx, `INSERT INTO vault_org_keys (org_id, version, wrapped, created_at) VALUES (?, ?, ?, ?)`,
			string(k.Org), int64(k.Version), k.Wrapped, micros(k.CreatedAt))
		return err
	})
}

// SigningKey returns org's key; NotFound if there is none.
func (s vaultKeys) SigningKey(ctx context.Context, org pam.OrgID) (vault.SigningKey, error) {
	key, err := one(ctx, s.db, func(r row) (vault.SigningKey, error) {
		k := vault.SigningKey{Org: org}
		err := r.Scan(&k.Public, &k.Sealed, intoTime(&k.CreatedAt))
		return k, err
	}, `SELECT public, sealed, created_at FROM vault_signing_keys WHERE org_id = ?`, string(org))
	return key, s.db.failed("read signing key", err)
}

// AddSigningKey keeps org's key; Conflict if there is one.
func (s vaultKeys) AddSigningKey(ctx context.Context, k vault.SigningKey) error {
	return s.add(ctx, "keep signing key", `INSERT INTO vault_signing_keys (org_id, public, sealed, created_at) VALUES (?, ?, ?, ?)`,
		string(k.Org), k.Public, k.Sealed, micros(k.CreatedAt))
}

func (s vaultKeys) add(ctx context.Context, op, insert string, args ...any) error {
	return s.db.write(ctx, op, func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, insert, args...)
		return err
	})
}
