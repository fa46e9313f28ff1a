package store

import (
	"context"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
)

// AddCredential stores the version after the newest and promotes it.
func (db *DB) AddCredential(ctx context.Context, org pam.OrgID, id pam.AccountID, v account.SealedVersion, e audit.Entry) error {
	return db.write(ctx, "add credential", func(ctx context.Context, tx *Tx) error {
		n := v.Version.Version
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE accounts SET promoted = ?, working = ?, version = version + 1, updated_at = ? WHERE org_id = ? AND account_id = ?`,
			n, n, micros(v.CreatedAt), org, id); err != nil {
			return err
		}
		if err := settleRotation(ctx, tx, org, id, v.CreatedAt); err != nil {
			return err
		}
		newest, err := one(ctx, tx, scalar[int64], `SELECT COALESCE(MAX(version), 0) FROM credential_versions WHERE org_id = ? AND account_id = ?`, org, id)
		if err != nil {
			return err
		}
		if n != newest+1 {
			return &pam.Error{Kind: pam.Conflict, Public: "Another credential was stored at the same time."}
		}
		tx.changed(org, pam.SubjectAccount, string(id))
		return insertCredential(ctx, tx, org, id, v)
	}, e)
}

// CredentialVersions lists the history of an account's credential.
func (db *DB) CredentialVersions(ctx context.Context, org pam.OrgID, id pam.AccountID) ([]account.Version, error) {
	out, err := list(ctx, db, func(r row) (account.Version, error) {
		var v account.Version
		return v, r.Scan(&v.Version, &v.Kind, &v.PublicKey, intoJSON(&v.Public), intoTime(&v.NotAfter), &v.CreatedBy, intoTime(&v.CreatedAt), &v.Promoted, &v.Working, &v.State, intoTime(&v.PurgedAt), &v.PurgedBy)
	}, `SELECT v.version, v.kind, v.public_key, v.details, v.not_after, v.created_by, v.created_at, v.version = a.promoted, v.version = a.working, v.state, v.purged_at, v.purged_by
		FROM credential_versions v JOIN accounts a ON a.org_id = v.org_id AND a.account_id = v.account_id
		WHERE v.org_id = ? AND v.account_id = ? ORDER BY v.version DESC`, org, id)
	return out, db.failed("list credential versions", err)
}

// errRotating refuses what would come in the way of a rotation.
func errRotating() error {
	return &pam.Error{Kind: pam.Conflict, Public: "The credential is being rotated. Try again when that is over."}
}

// settled refuses while a rotation of the account's credential is under way.
// It touches the row, so that none begins until the change is over.
func settled(ctx context.Context, tx *Tx, org pam.OrgID, id pam.AccountID, at time.Time) error {
	if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE accounts SET version = version + 1, updated_at = ? WHERE org_id = ? AND account_id = ?`, micros(at), org, id); err != nil {
		return err
	}
	n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM credential_versions WHERE org_id = ? AND account_id = ? AND state = ?`, org, id, account.Candidate)
	if err == nil && n > 0 {
		err = errRotating()
	}
	return err
}

// PurgeCredentials overwrites the secrets of versions that are not in use.
func (db *DB) PurgeCredentials(ctx context.Context, org pam.OrgID, id pam.AccountID, versions []int64, by pam.UserID, at time.Time, e audit.Entry) error {
	return db.write(ctx, "purge credentials", func(ctx context.Context, tx *Tx) error {
		if err := settled(ctx, tx, org, id, at); err != nil {
			return err
		}
		for _, n := range versions {
			touched, err := tx.exec(ctx, `UPDATE credential_versions SET sealed = ?, state = ?, purged_at = ?, purged_by = ? WHERE org_id = ? AND account_id = ? AND version = ? AND state IN (?, ?)
				AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.org_id = credential_versions.org_id AND a.account_id = credential_versions.account_id
					AND (a.promoted = credential_versions.version OR a.working = credential_versions.version OR a.working = 0))`,
				[]byte{}, account.Purged, micros(at), by, org, id, n, account.Stored, account.Rejected)
			if err != nil {
				return err
			}
			if touched == 0 {
				return &pam.Error{Kind: pam.Conflict, Public: "The version is in use, or was purged before."}
			}
		}
		tx.changed(org, pam.SubjectAccount, string(id))
		return nil
	}, e)
}

// PromoteCredential makes an old version the one that logs in.
func (db *DB) PromoteCredential(ctx context.Context, org pam.OrgID, id pam.AccountID, version int64, at time.Time, e audit.Entry) error {
	return db.write(ctx, "promote credential", func(ctx context.Context, tx *Tx) error {
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE accounts SET version = version + 1, updated_at = ? WHERE org_id = ? AND account_id = ?`, micros(at), org, id); err != nil {
			return err
		}
		if err := settleRotation(ctx, tx, org, id, at); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `UPDATE credential_versions SET state = ? WHERE org_id = ? AND account_id = ? AND version = ? AND state IN (?, ?)`,
			account.Stored, org, id, version, account.Stored, account.Rejected)
		if err != nil {
			return err
		}
		if n == 0 {
			return &pam.Error{Kind: pam.Conflict, Public: "The version was purged: there is nothing left of it to promote."}
		}
		tx.changed(org, pam.SubjectAccount, string(id))
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE accounts SET promoted = ?, working = ? WHERE org_id = ? AND account_id = ?`, version, version, org, id)
	}, e)
}

// ResourceType is that of a resource, "" if there is none.
func (db *DB) ResourceType(ctx context.Context, org pam.OrgID, id pam.ResourceID) (pam.Protocol, error) {
	if id == "" {
		return "", nil
	}
	out, err := one(ctx, db, scalar[pam.Protocol], `SELECT COALESCE(MIN(type), '') FROM resources WHERE org_id = ? AND resource_id = ?`, org, id)
	return out, db.failed("read type of resource", err)
}

// AccountNamed finds the account of that name at a resource; of several, the
// oldest.
func (db *DB) AccountNamed(ctx context.Context, org pam.OrgID, name string, at pam.ResourceID) (account.Account, error) {
	out, err := one(ctx, db, scanAccount, `SELECT `+accountColumns+` FROM `+accountTables+` WHERE a.org_id = ? AND a.sort_key = ? AND a.name = ? AND COALESCE(a.resource_id, '') = ?
		ORDER BY a.account_id LIMIT 1`, org, naming.Key(name), name, string(at))
	return out, db.failed("read account", err)
}
