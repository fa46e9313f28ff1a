package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
)

const (
	accountColumns = `a.org_id, a.account_id, a.name, a.slug, a.username, COALESCE(a.resource_id, ''), a.version, a.created_by, a.created_at, a.updated_at,
		COALESCE((SELECT r.type FROM resources r WHERE r.org_id = a.org_id AND r.resource_id = a.resource_id), ''),
		v.kind, v.version, v.public_key, v.details, v.not_after, v.created_at, a.ephemeral,
		COALESCE((SELECT r.state FROM rotations r WHERE r.org_id = a.org_id AND r.account_id = a.account_id AND r.state IN ` + openStates + `), 'stable'),
		COALESCE((SELECT MIN(c.confirmation_id) FROM confirmations c WHERE c.org_id = a.org_id AND c.account_id = a.account_id AND ` + holds + `), '')`
	accountTables = `accounts a LEFT JOIN credential_versions v ON v.org_id = a.org_id AND v.account_id = a.account_id AND v.version = a.promoted`
	accountSlugs  = `SELECT COUNT(*) FROM accounts WHERE org_id = ? AND slug = ?`
)

func scanAccount(r row) (account.Account, error) {
	var (
		out       account.Account
		c         account.Credential
		kind, key sql.NullString
		version   sql.NullInt64
		ephemeral string
	)
	err := r.Scan(&out.Org, &out.ID, &out.Name, &out.Slug, &out.Username, &out.ResourceID, &out.Version, &out.CreatedBy, intoTime(&out.CreatedAt), intoTime(&out.UpdatedAt),
		&out.ResourceType, &kind, &version, &key, intoJSON(&c.Public), intoTime(&c.NotAfter), intoTime(&c.RotatedAt), &ephemeral, &c.RotationState, &out.Pending)
	if err == nil && version.Valid {
		c.Kind, c.Version, c.PublicKey = account.Kind(kind.String), version.Int64, key.String
		if c.Kind == account.Made && ephemeral != "" {
			c.Ephemeral = &account.Ephemeral{}
			err = json.Unmarshal([]byte(ephemeral), c.Ephemeral)
		}
		out.Credential = &c
	}
	return out, err
}

// orNull is id, or NULL for an empty one.
func orNull[T ~string](id T) any {
	if id == "" {
		return nil
	}
	return string(id)
}

// CreateAccount stores a, with its first credential if v is not nil, and
// returns it with the slug that it got.
func (db *DB) CreateAccount(ctx context.Context, org pam.OrgID, a account.Account, v *account.SealedVersion, e audit.Entry) (account.Account, error) {
	wanted, promoted := a.Slug, int64(0)
	if v != nil {
		promoted = v.Version.Version
	}
	err := db.write(ctx, "create account", func(ctx context.Context, tx *Tx) error {
		if err := resourceExists(ctx, tx, org, a.ResourceID, "resource_id"); err != nil {
			return err
		}
		slug, err := withSlug(ctx, tx, org, wanted, a.Name, "account", accountSlugs, func(slug string) (int64, error) {
			return tx.exec(ctx, `INSERT INTO accounts (org_id, account_id, name, sort_key, slug, username, resource_id, promoted, working, version, created_by, created_at, updated_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT (org_id, slug) DO NOTHING`,
				org, a.ID, a.Name, naming.Key(a.Name), slug, a.Username, orNull(a.ResourceID), promoted, promoted, a.CreatedBy, micros(a.CreatedAt), micros(a.UpdatedAt))
		})
		if err != nil {
			return err
		}
		a.Slug, a.Version = slug, 1
		tx.changed(org, pam.SubjectAccount, string(a.ID))
		if v == nil {
			return nil
		}
		return insertCredential(ctx, tx, org, a.ID, *v)
	}, e)
	return a, err
}

func insertCredential(ctx context.Context, tx *Tx, org pam.OrgID, id pam.AccountID, v account.SealedVersion) error {
	_, err := tx.exec(ctx, `INSERT INTO credential_versions (org_id, account_id, version, kind, sealed, public_key, details, not_after, state, weak, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		org, id, v.Version.Version, v.Kind, v.Sealed, v.PublicKey, asJSON(v.Public), micros(v.NotAfter), v.State, v.Weak, v.CreatedBy, micros(v.CreatedAt))
	if err == nil && v.Ephemeral != nil {
		_, err = tx.exec(ctx, `UPDATE accounts SET ephemeral = ? WHERE org_id = ? AND account_id = ?`, asJSON(v.Ephemeral), org, id)
	}
	return err
}

// resourceExists refuses a field that names no resource of org. It locks the
// row, so that neither a redirection nor a removal passes unseen.
func resourceExists(ctx context.Context, tx *Tx, org pam.OrgID, id pam.ResourceID, field string) error {
	if id == "" {
		return nil
	}
	n, err := tx.exec(ctx, `UPDATE resources SET version = version WHERE org_id = ? AND resource_id = ?`, org, id)
	if err == nil && n == 0 {
		err = invalid(field, "names no resource of this organization")
	}
	return err
}

// AccountByID returns an account of org.
func (db *DB) AccountByID(ctx context.Context, org pam.OrgID, id pam.AccountID) (account.Account, error) {
	out, err := accountByID(ctx, db, org, id)
	return out, db.failed("read account", err)
}

func accountByID(ctx context.Context, q querier, org pam.OrgID, id pam.AccountID) (account.Account, error) {
	return one(ctx, q, scanAccount, `SELECT `+accountColumns+` FROM `+accountTables+` WHERE a.org_id = ? AND a.account_id = ?`, org, id)
}

// ListAccounts returns a page of accounts.
func (db *DB) ListAccounts(ctx context.Context, org pam.OrgID, q account.Query) ([]account.Account, error) {
	w, by := ordering(q.Order, "a.sort_key", "a.account_id", q.After)
	if !q.All {
		w.and(`a.account_id IN (SELECT b.account_id FROM safe_members m JOIN safe_bindings b ON b.org_id = m.org_id AND b.safe_id = m.safe_id
			WHERE m.org_id = ? AND m.holder_id IN `+holders+` AND `+unexpired+` UNION SELECT account_id FROM accounts WHERE org_id = ? AND created_by = ?)`,
			slices.Concat([]any{org}, roleArgs(org, q.User, q.Now), []any{org, q.User})...)
	}
	if q.Resource != "" {
		w.and("a.resource_id = ?", q.Resource)
	}
	db.search(&w, q.Text, "a.sort_key", "a.username")
	text, args := pageOf(accountColumns, accountTables, "a.account_id", org, w, by, q.Limit)
	out, err := list(ctx, db, scanAccount, text, args...)
	return out, db.failed("list accounts", err)
}

// Holders lists the Safes that bind the account, with the roles of user.
func (db *DB) Holders(ctx context.Context, org pam.OrgID, id pam.AccountID, user pam.UserID, now time.Time) ([]account.Holder, error) {
	out, err := list(ctx, db, func(r row) (account.Holder, error) {
		var h account.Holder
		return h, r.Scan(&h.Safe, intoRole(&h.Role))
	}, `SELECT b.safe_id, `+roleIn("b")+` FROM (SELECT DISTINCT org_id, safe_id FROM safe_bindings WHERE org_id = ? AND account_id = ?) AS b ORDER BY b.safe_id`,
		append(roleInArgs(org, user, now), org, id)...)
	return out, db.failed("list holders", err)
}

// UpdateAccount replaces the settings of the account that still has version.
func (db *DB) UpdateAccount(ctx context.Context, org pam.OrgID, a account.Account, version int64, h *pam.Hold, e audit.Entry) (account.Account, error) {
	var out account.Account
	err := db.write(ctx, "update account", func(ctx context.Context, tx *Tx) error {
		old, err := accountByID(ctx, tx, org, a.ID)
		if err != nil {
			return err
		}
		if err := slugChange(ctx, tx, org, old.Slug, a.Slug, accountSlugs); err != nil {
			return err
		}
		if err := resourceExists(ctx, tx, org, a.ResourceID, "resource_id"); err != nil {
			return err
		}
		err = tx.mustTouch(ctx, pam.Precondition, `UPDATE accounts SET name = ?, sort_key = ?, slug = ?, username = ?, resource_id = ?, version = version + 1, updated_at = ?
			WHERE org_id = ? AND account_id = ? AND version = ?`,
			a.Name, naming.Key(a.Name), a.Slug, a.Username, orNull(a.ResourceID), micros(a.UpdatedAt), org, a.ID, version)
		if err != nil {
			return err
		}
		// Whoever binds the account waits for the row that was just written.
		if a.ResourceID != "" {
			elsewhere, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM safe_bindings WHERE org_id = ? AND account_id = ? AND resource_id <> ?`, org, a.ID, a.ResourceID)
			if err != nil {
				return err
			}
			if elsewhere > 0 {
				return invalid("resource_id", "is not the resource to which a Safe binds the account")
			}
		}
		if h != nil {
			safes, err := list(ctx, tx, scalar[pam.SafeID], `SELECT DISTINCT safe_id FROM safe_bindings WHERE org_id = ? AND account_id = ? ORDER BY safe_id`, org, a.ID)
			if err != nil {
				return err
			}
			if err := hold(ctx, tx, org, *h, "", a.ID, safes); err != nil {
				return err
			}
		}
		tx.changed(org, pam.SubjectAccount, string(a.ID))
		out, err = accountByID(ctx, tx, org, a.ID)
		return err
	}, e)
	return out, err
}

// DeleteAccount removes an account that no Safe binds; a version of 0 is any.
func (db *DB) DeleteAccount(ctx context.Context, org pam.OrgID, id pam.AccountID, version int64, e audit.Entry) error {
	return db.write(ctx, "delete account", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectAccount, string(id))
		used, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM safe_bindings WHERE org_id = ? AND account_id = ?`, org, id)
		if err != nil {
			return err
		}
		if used > 0 {
			return &pam.Error{Kind: pam.Conflict, Public: "A Safe still binds this account."}
		}
		if err := settleRotation(ctx, tx, org, id, e.Time); err != nil {
			return err
		}
		return tx.compareAndSet(ctx, pam.Precondition, `DELETE FROM accounts WHERE org_id = ? AND account_id = ? AND (version = ? OR ? = 0)`,
			[]any{org, id, version, version}, `SELECT 1 FROM accounts WHERE org_id = ? AND account_id = ?`, org, id)
	}, e)
}

// SealedCredential returns the version that is known to log in, as it is kept.
// It is for the broker alone.
func (db *DB) SealedCredential(ctx context.Context, org pam.OrgID, id pam.AccountID) (account.SealedCredential, error) {
	var working int64
	out, err := one(ctx, db, func(r row) (account.SealedCredential, error) {
		c := account.SealedCredential{Account: id}
		return c, r.Scan(&working, &c.Username, &c.Kind, &c.Version, &c.PublicKey, &c.Sealed)
	}, `SELECT a.working, a.username, v.kind, v.version, v.public_key, v.sealed
		FROM accounts a JOIN credential_versions v ON v.org_id = a.org_id AND v.account_id = a.account_id
			AND v.version = CASE WHEN a.working = 0 THEN a.promoted ELSE a.working END
		WHERE a.org_id = ? AND a.account_id = ?`, org, id)
	if err == nil && working == 0 {
		out, err = account.SealedCredential{}, pam.Errorf(pam.Unavailable, "read credential", "The credential is being rotated. Try again in a moment.")
	}
	return out, db.failed("read credential", err)
}

// SealedVersion is account.Secret's.
func (db *DB) SealedVersion(ctx context.Context, org pam.OrgID, id pam.AccountID, version int64) (account.SealedCredential, error) {
	out, err := one(ctx, db, func(r row) (account.SealedCredential, error) {
		c := account.SealedCredential{Account: id}
		return c, r.Scan(&c.Username, &c.Kind, &c.Version, &c.PublicKey, &c.Sealed)
	}, `SELECT a.username, v.kind, v.version, v.public_key, v.sealed FROM accounts a
		JOIN credential_versions v ON v.org_id = a.org_id AND v.account_id = a.account_id
		WHERE a.org_id = ? AND a.account_id = ? AND v.version = ? AND v.state <> 'purged'`, org, id, version)
	return out, db.failed("read credential", err)
}

// WorkingVersion is account.Secret's.
func (db *DB) WorkingVersion(ctx context.Context, org pam.OrgID, id pam.AccountID) (int64, error) {
	out, err := one(ctx, db, scalar[int64], `SELECT working FROM accounts WHERE org_id = ? AND account_id = ?`, org, id)
	return out, db.failed("read credential", err)
}

// UsedAt is broker.Store's.
func (db *DB) UsedAt(ctx context.Context, org pam.OrgID, id pam.AccountID) ([]pam.ResourceID, error) {
	out, err := list(ctx, db, scalar[pam.ResourceID], `SELECT DISTINCT resource_id FROM safe_bindings WHERE org_id = ? AND account_id = ? ORDER BY resource_id`, org, id)
	return out, db.failed("read bindings", err)
}
