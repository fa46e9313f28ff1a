package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/safe"
)

// A role in a Safe is held by a user or by a group that the user is in; what
// they come to together is a union.
const (
	// holders are the ids under which a user has roles. Its arguments are
	// holderArgs.
	holders = `(SELECT CAST(? AS TEXT) UNION ALL SELECT g.group_id FROM group_members g WHERE g.user_id = ? AND g.org_id = ?)`
	// right is the role of a row m as intoRole reads it: a power of two.
	right = `CASE m.role WHEN 'viewer' THEN 1 WHEN 'operator' THEN 2 WHEN 'manager' THEN 4 WHEN 'approver' THEN 8 ELSE 0 END`
	// rights is the union of the roles of rows m. Unlike a sum of what is
	// distinct, it needs no table on the side.
	rights = `COALESCE(MAX(CASE m.role WHEN 'viewer' THEN 1 ELSE 0 END) + MAX(CASE m.role WHEN 'operator' THEN 2 ELSE 0 END)
		+ MAX(CASE m.role WHEN 'manager' THEN 4 ELSE 0 END) + MAX(CASE m.role WHEN 'approver' THEN 8 ELSE 0 END), 0)`
	// activeUser holds if a user is an active member of the organization of m.
	activeUser = `EXISTS (SELECT 1 FROM memberships o WHERE o.org_id = m.org_id AND o.user_id = ? AND o.status = 'active')`
)

func holderArgs(org pam.OrgID, user pam.UserID) []any { return []any{user, user, org} }

// roleIn is a column: the role of a user in the Safe of the row of a table. Its
// arguments are roleInArgs. The user's own role and those of their groups are
// looked up apart, since most people are in no group that matters.
func roleIn(table string) string {
	of := `m.org_id = ` + table + `.org_id AND m.safe_id = ` + table + `.safe_id AND ` + unexpired
	return `(COALESCE((SELECT ` + right + ` FROM safe_members m WHERE ` + of + ` AND m.holder_id = ?), 0)
		| (SELECT ` + rights + ` FROM group_members g JOIN safe_members m ON m.org_id = g.org_id AND m.holder_id = g.group_id WHERE ` + of + ` AND g.user_id = ? AND g.org_id = ?))`
}

func roleInArgs(org pam.OrgID, user pam.UserID, now time.Time) []any {
	return []any{micros(now), user, micros(now), user, org}
}

// roleArgs are the arguments of holders and unexpired.
func roleArgs(org pam.OrgID, user pam.UserID, now time.Time) []any {
	return append(holderArgs(org, user), micros(now))
}

// roleColumn scans what rights says.
type roleColumn struct{ role *pam.SafeRole }

func (c roleColumn) Scan(src any) error {
	set, ok := src.(int64)
	if !ok {
		return fmt.Errorf("role column holds %T", src)
	}
	*c.role = ""
	for i, role := range [...]pam.SafeRole{pam.SafeViewer, pam.SafeOperator, pam.SafeManager, pam.SafeApprover} {
		if set>>i&1 != 0 {
			*c.role = c.role.With(role)
		}
	}
	return nil
}

// intoRole is the destination of a scan of a column of rights.
func intoRole(role *pam.SafeRole) roleColumn { return roleColumn{role} }

func insertMember(ctx context.Context, tx *Tx, org pam.OrgID, m safe.Member, key []byte) error {
	_, err := tx.exec(ctx, `INSERT INTO safe_members (org_id, safe_id, member_id, holder_id, user_id, group_id, role, expires_at, created_at, approved_at, sort_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		org, m.Safe, m.ID, m.Holder(), orNull(m.User), orNull(m.Group), m.Role, micros(m.ExpiresAt), micros(m.CreatedAt), micros(m.CreatedAt), key)
	return err
}

// RoleOf returns the role that user has in the Safe at the time now.
func (db *DB) RoleOf(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (pam.SafeRole, bool, error) {
	role, err := one(ctx, db, func(r row) (role pam.SafeRole, err error) { return role, r.Scan(intoRole(&role)) }, `SELECT `+rights+` FROM safe_members m
		WHERE m.org_id = ? AND m.safe_id = ? AND m.holder_id IN `+holders+` AND `+unexpired+` AND `+activeUser,
		slices.Concat([]any{org, id}, roleArgs(org, user, now), []any{user})...)
	return role, err == nil && role != "", db.failed("read role in safe", err)
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
	out, err := list(ctx, db, scalar[pam.SafeID], managedSafes+` ORDER BY m.safe_id`, managedArgs(org, user, now)...)
	return out, db.failed("list managed safes", err)
}

// managedSafes are the ids of the Safes that a user manages. Its arguments are
// managedArgs.
const managedSafes = `SELECT DISTINCT m.safe_id FROM safe_members m WHERE m.org_id = ? AND m.holder_id IN ` + holders + ` AND m.role = 'manager' AND ` + unexpired + ` AND ` + activeUser

func managedArgs(org pam.OrgID, user pam.UserID, now time.Time) []any {
	return slices.Concat([]any{org}, roleArgs(org, user, now), []any{user})
}

const (
	memberColumns = `m.member_id, m.org_id, m.safe_id, COALESCE(m.user_id, ''), COALESCE(u.email, ''), COALESCE(m.group_id, ''), COALESCE(g.name, ''), m.role, m.expires_at, m.created_at,
		COALESCE(g.source = 'scim' AND EXISTS (SELECT 1 FROM scim_tokens t WHERE t.org_id = m.org_id AND t.created_at > m.approved_at), FALSE)`
	memberTables = `safe_members m LEFT JOIN users u ON u.id = m.user_id LEFT JOIN org_groups g ON g.org_id = m.org_id AND g.group_id = m.group_id`
)

func scanMember(r row) (safe.Member, error) {
	var m safe.Member
	err := r.Scan(&m.ID, &m.Org, &m.Safe, &m.User, &m.Email, &m.Group, &m.GroupName, &m.Role, intoTime(&m.ExpiresAt), intoTime(&m.CreatedAt), &m.AwaitsApproval)
	return m, err
}

// SafeMembers lists the members of a Safe, newest first.
func (db *DB) SafeMembers(ctx context.Context, org pam.OrgID, id pam.SafeID, after pam.MemberID, limit int) ([]safe.Member, error) {
	var w where
	w.and("m.org_id = ? AND m.safe_id = ?", org, id)
	if after != "" {
		w.and("m.member_id < ?", after)
	}
	out, err := list(ctx, db, scanMember, `SELECT `+memberColumns+` FROM `+memberTables+` WHERE `+w.String()+
		` ORDER BY m.member_id DESC LIMIT ?`, append(w.args, limit)...)
	return out, db.failed("list safe members", err)
}

// SafeMemberByID returns one member of a Safe.
func (db *DB) SafeMemberByID(ctx context.Context, org pam.OrgID, id pam.SafeID, member pam.MemberID) (safe.Member, error) {
	out, err := one(ctx, db, scanMember, `SELECT `+memberColumns+` FROM `+memberTables+`
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
		if m.Group != "" {
			// The row is locked, so that nobody comes into the group meanwhile
			// on the word of whoever may only change one that gives nothing.
			n, err := tx.exec(ctx, `UPDATE org_groups SET version = version WHERE org_id = ? AND group_id = ?`, org, m.Group)
			if err != nil {
				return err
			}
			if n == 0 {
				return invalid("group_id", "names no group of this organization")
			}
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM safe_members WHERE org_id = ? AND safe_id = ? AND holder_id = ?`, org, m.Safe, m.Holder())
		if err != nil {
			return err
		}
		if n > 0 {
			return &pam.Error{Kind: pam.Conflict, Public: "This user or group is a member of the Safe already."}
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
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE safe_members SET role = ?, expires_at = ?, approved_at = ? WHERE org_id = ? AND safe_id = ? AND member_id = ?`,
			m.Role, micros(m.ExpiresAt), micros(m.ApprovedAt), org, m.Safe, m.ID)
	}, e)
}

// RemoveSafeMember ends a membership.
func (db *DB) RemoveSafeMember(ctx context.Context, org pam.OrgID, id pam.SafeID, member pam.MemberID, e audit.Entry) error {
	return db.write(ctx, "remove safe member", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectSafe, string(id))
		return tx.mustTouch(ctx, pam.NotFound, `DELETE FROM safe_members WHERE org_id = ? AND safe_id = ? AND member_id = ?`, org, id, member)
	}, e)
}

// managersOf counts the memberships by which active people manage a Safe. Its
// arguments are managersArgs. An auditor's role of before does not count.
const managersOf = `SELECT COUNT(*) FROM safe_members m WHERE m.org_id = ? AND m.safe_id = ? AND m.role = 'manager' AND ` + unexpired + `
	AND (EXISTS (SELECT 1 FROM memberships o WHERE o.org_id = m.org_id AND o.user_id = m.user_id AND o.status = 'active' AND o.role <> 'auditor')
		OR EXISTS (SELECT 1 FROM group_members g JOIN memberships o ON o.org_id = g.org_id AND o.user_id = g.user_id
			WHERE g.org_id = m.org_id AND g.group_id = m.group_id AND o.status = 'active' AND o.role <> 'auditor'))`

func managersArgs(org pam.OrgID, id pam.SafeID, now time.Time) []any {
	return []any{org, id, micros(now)}
}

// TakeOverSafe makes m the manager of a Safe that has none.
func (db *DB) TakeOverSafe(ctx context.Context, org pam.OrgID, m safe.Member, e audit.Entry) error {
	return db.write(ctx, "take over safe", func(ctx context.Context, tx *Tx) error {
		key, err := safeKey(ctx, tx, org, m.Safe)
		if err != nil {
			return err
		}
		left, err := one(ctx, tx, scalar[int64], managersOf, managersArgs(org, m.Safe, m.CreatedAt)...)
		if err != nil {
			return err
		}
		if left > 0 {
			return &pam.Error{Kind: pam.Conflict, Public: "The Safe has a manager."}
		}
		if _, err := tx.exec(ctx, `DELETE FROM safe_members WHERE org_id = ? AND safe_id = ? AND holder_id = ?`, org, m.Safe, m.User); err != nil {
			return err
		}
		tx.changed(org, pam.SubjectSafe, string(m.Safe))
		return insertMember(ctx, tx, org, m, key)
	}, e)
}
