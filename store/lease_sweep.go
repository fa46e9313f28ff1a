package store

import (
	"context"

	"vaultpam/pam"
	"vaultpam/pam/lease"
)

// made joins an account with the credential that it shows, where that is
// one of which no secret is kept.
const made = `accounts a JOIN credential_versions v ON v.org_id = a.org_id AND v.account_id = a.account_id AND v.version = a.promoted AND v.kind = 'ephemeral'`

// MakingAccounts is lease.Store's.
func (db *DB) MakingAccounts(ctx context.Context, after pam.AccountID, limit int) ([]lease.Making, error) {
	out, err := list(ctx, db, func(r row) (m lease.Making, err error) { return m, r.Scan(&m.Org, &m.Account) },
		`SELECT a.org_id, a.account_id FROM `+made+` WHERE a.ephemeral <> '' AND a.account_id > ? ORDER BY a.account_id LIMIT ?`, after, limit)
	return out, db.failed("find accounts that make users", err)
}

// LeasePlaces is lease.Store's. Where several Safes bind the account at one
// resource, the first of them answers for it.
func (db *DB) LeasePlaces(ctx context.Context, org pam.OrgID, id pam.AccountID) ([]lease.Lease, error) {
	const op = "find places of an account"
	if _, err := one(ctx, db, scalar[int64], `SELECT 1 FROM accounts WHERE org_id = ? AND account_id = ?`, org, id); err != nil {
		return nil, db.failed(op, err)
	}
	out, err := list(ctx, db, func(r row) (l lease.Lease, err error) {
		err = r.Scan(&l.Org, &l.Account, &l.Name, intoJSON(&l.Spec), &l.Resource, &l.Safe)
		l.Admin = l.Spec.AdminAccountID
		return l, err
	}, `SELECT a.org_id, a.account_id, a.name, a.ephemeral, b.resource_id, MIN(b.safe_id) FROM `+made+`
		JOIN safe_bindings b ON b.org_id = a.org_id AND b.account_id = a.account_id
		WHERE a.org_id = ? AND a.account_id = ? AND a.ephemeral <> ''
		GROUP BY a.org_id, a.account_id, a.name, a.ephemeral, b.resource_id ORDER BY b.resource_id`, org, id)
	return out, db.failed(op, err)
}

// LeasedNames is lease.Store's.
func (db *DB) LeasedNames(ctx context.Context, org pam.OrgID) ([]string, error) {
	out, err := list(ctx, db, scalar[string], `SELECT username FROM leases WHERE org_id = ? AND state IN `+openLeases, org)
	return out, db.failed("list names of users", err)
}
