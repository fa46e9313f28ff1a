package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/sso"
)

// StaleProviders is sso.Store's.
func (db *DB) StaleProviders(ctx context.Context, k sso.Kind, before, failed time.Time, limit int) ([]sso.Provider, error) {
	out, err := list(ctx, db, scanProvider, `SELECT `+providerColumns+` FROM sso_providers p WHERE p.kind = ? AND p.enabled
		AND (p.synced_at <= ? OR p.sync_problem <> '' AND p.synced_at <= ?) ORDER BY p.synced_at, p.provider_id LIMIT ?`, k, micros(before), micros(failed), limit)
	return out, db.failed("list stale providers", err)
}

// ClaimSync is sso.Store's.
func (db *DB) ClaimSync(ctx context.Context, id pam.OrgID, provider pam.ProviderID, before, now time.Time) (mine bool, err error) {
	err = db.write(ctx, "claim provider", func(ctx context.Context, tx *Tx) error {
		n, err := tx.exec(ctx, `UPDATE sso_providers SET synced_at = ? WHERE org_id = ? AND provider_id = ? AND synced_at <= ?`, micros(now), id, provider, micros(before))
		mine = n > 0
		return err
	})
	return mine, err
}

// NoteSync is sso.Store's.
func (db *DB) NoteSync(ctx context.Context, id pam.OrgID, provider pam.ProviderID, problem string) error {
	return db.write(ctx, "note state of provider", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE sso_providers SET sync_problem = ? WHERE org_id = ? AND provider_id = ?`, problem, id, provider)
		return err
	})
}

// TakeDetails is sso.Store's.
func (db *DB) TakeDetails(ctx context.Context, id pam.OrgID, p sso.Provider, e audit.Entry) error {
	return db.write(ctx, "change provider", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.Precondition, `UPDATE sso_providers SET details = ? WHERE org_id = ? AND provider_id = ? AND version = ?`, asJSON(p.Details), id, p.ID, p.Version)
	}, e)
}

// TakeAssertion is sso.Store's.
func (db *DB) TakeAssertion(ctx context.Context, id pam.OrgID, provider pam.ProviderID, assertion [32]byte, until, now time.Time) error {
	return db.write(ctx, "take assertion", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM sso_assertions WHERE expires_at <= ?`, micros(now)); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `INSERT INTO sso_assertions (org_id, provider_id, assertion_hash, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT (org_id, provider_id, assertion_hash) DO NOTHING`,
			id, provider, assertion[:], micros(until))
		if err == nil && n == 0 {
			err = &pam.Error{Kind: pam.Conflict, Public: "This assertion has been used before."}
		}
		return err
	})
}

// SuspendGone implements sso.Store.
func (db *DB) SuspendGone(ctx context.Context, id pam.OrgID, user pam.UserID, e audit.Entry) error {
	return db.write(ctx, "suspend member", func(ctx context.Context, tx *Tx) error {
		tx.changed(id, pam.SubjectMember, string(user))
		return tx.mustTouch(ctx, pam.Conflict, `UPDATE memberships SET status = 'suspended' WHERE org_id = ? AND user_id = ? AND status = 'active' AND role <> 'owner'`, id, user)
	}, e)
}
