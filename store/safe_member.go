package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/safe"
)

// activeMember is the join of a member m of a Safe with a membership of the
// organization that counts.
const activeMember = ` JOIN memberships o ON o.org_id = m.org_id AND o.user_id = m.user_id AND o.status = 'active' `

func insertMember(ctx context.Context, tx *Tx, org pam.OrgID, m safe.Member, key []byte) error {
	_, err := tx.exec(ctx, `INSERT INTO safe_members (org_id, safe_id, member_id, user_id, role, expires_at, created_at, sort_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		org, m.Safe, m.ID, m.User, m.Role, micros(m.ExpiresAt), micros(m.CreatedAt), key)
	return err
}

// RoleOf returns the role that user has in the Safe at the time now.
func (db *DB) RoleOf(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (pam.SafeRole, bool, error) {
	role, err := one(ctx, db, scalar[pam.SafeRole], `SELECT m.role FROM safe_members m`+activeMember+`
		WHERE m.org_id = ? AND m.safe_id = ? AND m.user_id = ? AND `+unexpired, org, id, user, micros(now))
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return role, err == nil, db.failed("read role in safe", err)
}

// ActiveRole returns the role of an active member of the organization.
func (db *DB) ActiveRole(ctx context.Context, org pam.OrgID, user pam.UserID) (pam.Role, bool, error) {
	role, err := one(ctx, db, scalar[pam.Role], `SELECT role FROM memberships WHERE org_id = ? AND user_id = ? AND status = 'active'`, org, user)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return role, err == nil, db.failed("read role", err)
}

// ManagedSafes lists the Safes that user manages at the time now.
func (db *DB) ManagedSafes(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time) ([]pam.SafeID, error) {
	out, err := list(ctx, db, scalar[pam.SafeID], managedSafes+` ORDER BY m.safe_id`, org, user, micros(now))
	return out, db.failed("list managed safes", err)
}

// managedSafes are the ids of the Safes that a user manages.
const managedSafes = `SELECT m.safe_id FROM safe_members m` + activeMember + ` WHERE m.org_id = ? AND m.user_id = ? AND m.role = 'manager' AND ` + unexpired

const memberColumns = `m.member_id, m.org_id, m.safe_id, m.user_id, u.email, m.role, m.expires_at, m.created_at`

func scanMember(r row) (safe.Member, error) {
	var m safe.Member
	err := r.Scan(&m.ID, &m.Org, &m.Safe, &m.User, &m.Email, &m.Role, intoTime(&m.ExpiresAt), intoTime(&m.CreatedAt))
	return m, err
}

// SafeMembers lists the members of a Safe, newest first.
func (db *DB) SafeMembers(ctx context.Context, org pam.OrgID, id pam.SafeID, after pam.MemberID, limit int) ([]safe.Member, error) {
	var w where
	w.and("m.org_id = ? AND m.safe_id = ?", org, id)
	if after != "" {
		w.and("m.member_id < ?", after)
	}
	out, err := list(ctx, db, scanMember, `SELECT `+memberColumns+` FROM safe_members m JOIN users u ON u.id = m.user_id WHERE `+w.String()+
		` ORDER BY m.member_id DESC LIMIT ?`, append(w.args, limit)...)
	return out, db.failed("list safe members", err)
}

// SafeMemberByID returns one member of a Safe.
func (db *DB) SafeMemberByID(ctx context.Context, org pam.OrgID, id pam.SafeID, member pam.MemberID) (safe.Member, error) {
	out, err := one(ctx, db, scanMember, `SELECT `+memberColumns+` FROM safe_members m JOIN users u ON u.id = m.user_id
		WHERE m.org_id = ? AND m.safe_id = ? AND m.member_id = ?`, org, id, member)
	return out, db.failed("read safe member", err)
}

// AddSafeMember stores a membership.
func (db *DB) AddSafeMember(ctx context.Context, org pam.OrgID, m safe.Member, e audit.Entry) error {
	return db.write(ctx, "add safe member", func(ctx context.Context, tx *Tx) error {
		key, err := safeKey(ctx, tx, org, m.Safe)
		if err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM safe_members WHERE org_id = ? AND safe_id = ? AND user_id = ?`, org, m.Safe, m.User)
		if err != nil {
			return err
		}
		if n > 0 {
			return &pam.Error{Kind: pam.Conflict, Public: "This user is a member of the Safe already."}
		}
		tx.changed(org, pam.SubjectSafe, string(m.Safe))
		return insertMember(ctx, tx, org, m, key)
	}, e)
}

// safeKey returns what a Safe is sorted by, and locks its row, so that the
// Safe is not renamed meanwhile.
func safeKey(ctx context.Context, tx *Tx, org pam.OrgID, id pam.SafeID) ([]byte, error) {
	if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE safes SET version = version WHERE org_id = ? AND safe_id = ?`, org, id); err != nil {
		return nil, err
	}
	return one(ctx, tx, scalar[[]byte], `SELECT sort_key FROM safes WHERE org_id = ? AND safe_id = ?`, org, id)
}

// UpdateSafeMember replaces a member's role and its end.
func (db *DB) UpdateSafeMember(ctx context.Context, org pam.OrgID, m safe.Member, e audit.Entry) error {
	return db.write(ctx, "update safe member", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectSafe, string(m.Safe))
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE safe_members SET role = ?, expires_at = ? WHERE org_id = ? AND safe_id = ? AND member_id = ?`,
			m.Role, micros(m.ExpiresAt), org, m.Safe, m.ID)
	}, e)
}

// RemoveSafeMember ends a membership.
func (db *DB) RemoveSafeMember(ctx context.Context, org pam.OrgID, id pam.SafeID, member pam.MemberID, e audit.Entry) error {
	return db.write(ctx, "remove safe member", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectSafe, string(id))
		return tx.mustTouch(ctx, pam.NotFound, `DELETE FROM safe_members WHERE org_id = ? AND safe_id = ? AND member_id = ?`, org, id, member)
	}, e)
}

// TakeOverSafe makes m the manager of a Safe that has none. An auditor's role
// of before does not count as one.
func (db *DB) TakeOverSafe(ctx context.Context, org pam.OrgID, m safe.Member, e audit.Entry) error {
	return db.write(ctx, "take over safe", func(ctx context.Context, tx *Tx) error {
		key, err := safeKey(ctx, tx, org, m.Safe)
		if err != nil {
			return err
		}
		left, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM safe_members m`+activeMember+`
			WHERE m.org_id = ? AND m.safe_id = ? AND m.role = 'manager' AND o.role <> 'auditor' AND `+unexpired, org, m.Safe, micros(m.CreatedAt))
		if err != nil {
			return err
		}
		if left > 0 {
			return &pam.Error{Kind: pam.Conflict, Public: "The Safe has a manager."}
		}
		if _, err := tx.exec(ctx, `DELETE FROM safe_members WHERE org_id = ? AND safe_id = ? AND user_id = ?`, org, m.Safe, m.User); err != nil {
			return err
		}
		tx.changed(org, pam.SubjectSafe, string(m.Safe))
		return insertMember(ctx, tx, org, m, key)
	}, e)
}
