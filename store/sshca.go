package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/sshca"
)

var _ sshca.Store = (*DB)(nil)

// SSHAuthorities is sshca.Store's.
func (db *DB) SSHAuthorities(ctx context.Context, org pam.OrgID) ([]sshca.SealedAuthority, error) {
	out, err := list(ctx, db, func(r row) (a sshca.SealedAuthority, err error) {
		return a, r.Scan(&a.Number, &a.PublicKey, &a.Sealed, intoTime(&a.ActiveFrom), intoTime(&a.CreatedAt))
	}, `SELECT number, public_key, sealed, active_from, created_at FROM ssh_cas WHERE org_id = ? ORDER BY number`, org)
	return out, db.failed("list SSH authorities", err)
}

// AddSSHAuthority is sshca.Store's.
func (db *DB) AddSSHAuthority(ctx context.Context, org pam.OrgID, a sshca.SealedAuthority, e audit.Entry) error {
	return db.write(ctx, "add SSH authority", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.Conflict, `INSERT INTO ssh_cas (org_id, number, public_key, sealed, active_from, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, number) DO NOTHING`,
			org, a.Number, a.PublicKey, a.Sealed, micros(a.ActiveFrom), micros(a.CreatedAt))
	}, e)
}

// RemoveSSHAuthority is sshca.Store's.
func (db *DB) RemoveSSHAuthority(ctx context.Context, org pam.OrgID, number int64, e audit.Entry) error {
	return db.write(ctx, "remove SSH authority", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.NotFound, `DELETE FROM ssh_cas WHERE org_id = ? AND number = ?`, org, number)
	}, e)
}

// AddSSHCertificate is sshca.Store's.
func (db *DB) AddSSHCertificate(ctx context.Context, org pam.OrgID, c sshca.Certificate, now time.Time, e audit.Entry) error {
	return db.write(ctx, "add SSH certificate", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM ssh_certificates WHERE org_id = ? AND expires_at <= ?`, org, micros(now)); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO ssh_certificates (org_id, serial, ca_number, session_id, account_id, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
			org, c.Serial, c.Authority, c.Session, c.Account, micros(c.ExpiresAt))
		return err
	}, e)
}

// EndedSSHCertificates is sshca.Store's.
func (db *DB) EndedSSHCertificates(ctx context.Context, org pam.OrgID, now time.Time, limit int) ([]sshca.Certificate, error) {
	out, err := list(ctx, db, func(r row) (c sshca.Certificate, err error) {
		return c, r.Scan(&c.Serial, &c.Authority, &c.Session, &c.Account, intoTime(&c.ExpiresAt))
	}, `SELECT c.serial, c.ca_number, c.session_id, c.account_id, c.expires_at FROM ssh_certificates c LEFT JOIN sessions s ON s.org_id = c.org_id AND s.session_id = c.session_id
		WHERE c.org_id = ? AND c.expires_at > ? AND c.session_id <> '' AND (s.status IS NULL OR s.status NOT IN ('pending', 'active') OR s.kill_reason <> '') ORDER BY c.serial LIMIT ?`, org, micros(now), limit)
	return out, db.failed("list ended SSH certificates", err)
}

// HasOrganization is sshca.Store's.
func (db *DB) HasOrganization(ctx context.Context, id pam.OrgID) (bool, error) {
	n, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM organizations WHERE id = ?`, id)
	return n > 0, db.failed("find organization", err)
}
