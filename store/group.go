package store

import (
	"context"
	"fmt"
	"slices"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/group"
)

var _ group.Store = (*DB)(nil)

const groupColumns = `g.org_id, g.group_id, g.name, g.source, g.version, g.created_by, g.created_at, g.updated_at,
	(SELECT COUNT(*) FROM group_members x WHERE x.org_id = g.org_id AND x.group_id = g.group_id)`

func scanGroup(r row) (group.Group, error) {
	var g group.Group
	err := r.Scan(&g.Org, &g.ID, &g.Name, &g.Source, &g.Version, &g.CreatedBy, intoTime(&g.CreatedAt), intoTime(&g.UpdatedAt), &g.Count)
	return g, err
}

// groupsOf lists the groups of an organization that a user is in.
func groupsOf(ctx context.Context, q querier, org pam.OrgID, user pam.UserID) ([]pam.GroupID, error) {
	return list(ctx, q, scalar[pam.GroupID], `SELECT g.group_id FROM group_members g WHERE g.user_id = ? AND g.org_id = ? ORDER BY g.group_id`, user, org)
}

// CreateGroup is group.Store's.
func (db *DB) CreateGroup(ctx context.Context, org pam.OrgID, g group.Group, entries ...audit.Entry) error {
	return db.write(ctx, "create group", func(ctx context.Context, tx *Tx) error { return insertGroup(ctx, tx, org, g) }, entries...)
}

func insertGroup(ctx context.Context, tx *Tx, org pam.OrgID, g group.Group) error {
	if err := lockOrg(ctx, tx, org); err != nil {
		return err
	}
	n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM org_groups WHERE org_id = ?`, org)
	if err != nil {
		return err
	}
	if n >= group.MaxGroups {
		return pam.Errorf(pam.Conflict, "", "An organization has at most %d groups.", group.MaxGroups)
	}
	n, err = tx.exec(ctx, `INSERT INTO org_groups (org_id, group_id, name, sort_key, source, version, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)
		ON CONFLICT (org_id, sort_key) DO NOTHING`,
		org, g.ID, g.Name, naming.Key(g.Name), g.Source, g.CreatedBy, micros(g.CreatedAt), micros(g.UpdatedAt))
	if err != nil {
		return err
	}
	if n == 0 {
		return errGroupName()
	}
	tx.changed(org, pam.SubjectGroup, string(g.ID))
	return joinGroup(ctx, tx, org, g.ID, g.Members, micros(g.CreatedAt))
}

func errGroupName() error {
	return &pam.Error{Kind: pam.Conflict, Public: "There is a group of this name already."}
}

func renameGroup(ctx context.Context, tx *Tx, org pam.OrgID, id pam.GroupID, name string) error {
	taken, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM org_groups WHERE org_id = ? AND sort_key = ? AND group_id <> ?`, org, naming.Key(name), id)
	if err != nil {
		return err
	}
	if taken > 0 {
		return errGroupName()
	}
	_, err = tx.exec(ctx, `UPDATE org_groups SET name = ?, sort_key = ? WHERE org_id = ? AND group_id = ?`, name, naming.Key(name), org, id)
	return err
}

func leaveGroup(ctx context.Context, tx *Tx, org pam.OrgID, id pam.GroupID, users []pam.UserID) error {
	for part := range slices.Chunk(users, 256) {
		in, args := inList(part)
		if _, err := tx.exec(ctx, `DELETE FROM group_members WHERE org_id = ? AND group_id = ? AND user_id IN `+in, append([]any{org, id}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// fillGroup is joinGroup for a group that may have members already.
func fillGroup(ctx context.Context, tx *Tx, org pam.OrgID, id pam.GroupID, users []pam.UserID, at int64) error {
	if err := joinGroup(ctx, tx, org, id, users, at); err != nil {
		return err
	}
	n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM group_members WHERE org_id = ? AND group_id = ?`, org, id)
	if err == nil && n > group.MaxMembers {
		err = invalid("member_ids", fmt.Sprintf("are more than %d", group.MaxMembers))
	}
	return err
}

// joinGroup brings users into a group. Only members of the organization can
// be, and one who has been invited only once they have accepted.
func joinGroup(ctx context.Context, tx *Tx, org pam.OrgID, id pam.GroupID, users []pam.UserID, at int64) error {
	for part := range slices.Chunk(users, 256) {
		in, args := inList(part)
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM memberships WHERE org_id = ? AND status <> 'invited' AND user_id IN `+in, append([]any{org}, args...)...)
		if err != nil {
			return err
		}
		if n != int64(len(part)) {
			return invalid("member_ids", "names somebody who is no member of this organization")
		}
		if _, err := tx.exec(ctx, `INSERT INTO group_members (org_id, group_id, user_id, created_at)
			SELECT m.org_id, ?, m.user_id, ? FROM memberships m WHERE m.org_id = ? AND m.user_id IN `+in+` ON CONFLICT (org_id, group_id, user_id) DO NOTHING`,
			append([]any{id, at, org}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// GroupByID is group.Store's.
func (db *DB) GroupByID(ctx context.Context, org pam.OrgID, id pam.GroupID) (group.Group, error) {
	g, err := one(ctx, db, scanGroup, `SELECT `+groupColumns+` FROM org_groups g WHERE g.org_id = ? AND g.group_id = ?`, org, id)
	return g, db.failed("read group", err)
}

// ListGroups is group.Store's.
func (db *DB) ListGroups(ctx context.Context, org pam.OrgID, q group.Query) ([]group.Group, error) {
	w, by := ordering(q.Order, "g.sort_key", "g.group_id", q.After)
	db.search(&w, q.Text, "g.sort_key")
	if q.User != "" {
		w.and("g.group_id IN (SELECT x.group_id FROM group_members x WHERE x.user_id = ? AND x.org_id = ?)", q.User, org)
	}
	text, args := pageOf(groupColumns, "org_groups g", "g.group_id", org, w, by, q.Limit)
	out, err := list(ctx, db, scanGroup, text, args...)
	return out, db.failed("list groups", err)
}

// MemberIDs is group.Store's.
func (db *DB) MemberIDs(ctx context.Context, org pam.OrgID, groups []pam.GroupID) (map[pam.GroupID][]pam.UserID, error) {
	out := make(map[pam.GroupID][]pam.UserID, len(groups))
	for part := range slices.Chunk(groups, 256) {
		in, args := inList(part)
		_, err := list(ctx, db, func(r row) (struct{}, error) {
			var id pam.GroupID
			var user pam.UserID
			err := r.Scan(&id, &user)
			out[id] = append(out[id], user)
			return struct{}{}, err
		}, `SELECT group_id, user_id FROM group_members WHERE org_id = ? AND group_id IN `+in+` ORDER BY group_id, user_id`, append([]any{org}, args...)...)
		if err != nil {
			return nil, db.failed("read members of groups", err)
		}
	}
	return out, nil
}

// GroupMembers is group.Store's.
func (db *DB) GroupMembers(ctx context.Context, org pam.OrgID, id pam.GroupID, after pam.UserID, limit int) ([]group.Member, error) {
	out, err := list(ctx, db, func(r row) (m group.Member, err error) {
		return m, r.Scan(&m.User, &m.Email, &m.Name, &m.Role, &m.Status)
	}, `SELECT g.user_id, m.email, m.name, m.role, m.status FROM group_members g JOIN memberships m ON m.org_id = g.org_id AND m.user_id = g.user_id
		WHERE g.org_id = ? AND g.group_id = ? AND g.user_id > ? ORDER BY g.user_id LIMIT ?`, org, id, after, limit)
	return out, db.failed("list members of group", err)
}

// InGroup is group.Store's.
func (db *DB) InGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, user pam.UserID) (bool, error) {
	n, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM group_members WHERE org_id = ? AND group_id = ? AND user_id = ?`, org, id, user)
	return n > 0, db.failed("read member of group", err)
}

// ChangeGroup is group.Store's.
func (db *DB) ChangeGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, version int64, c group.Change, entries ...audit.Entry) error {
	return db.write(ctx, "change group", func(ctx context.Context, tx *Tx) error {
		// From here on nobody gives the group a role: that locks the row, too.
		if err := tx.compareAndSet(ctx, pam.Precondition, `UPDATE org_groups SET version = version + 1, updated_at = ? WHERE org_id = ? AND group_id = ? AND version = ?`,
			[]any{micros(c.At), org, id, version}, `SELECT 1 FROM org_groups WHERE org_id = ? AND group_id = ?`, org, id); err != nil {
			return err
		}
		tx.changed(org, pam.SubjectGroup, string(id))
		if c.Name != "" {
			if err := renameGroup(ctx, tx, org, id, c.Name); err != nil {
				return err
			}
		}
		if err := leaveGroup(ctx, tx, org, id, c.Remove); err != nil {
			return err
		}
		if len(c.Add) == 0 {
			return nil
		}
		safes, err := list(ctx, tx, scalar[pam.SafeID], safesOfGroup, org, id)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(safes, func(s pam.SafeID) bool { return !slices.Contains(c.Safes, s) }) {
			return &pam.Error{Kind: pam.Conflict, Public: "The group got a role in a safe meanwhile."}
		}
		return fillGroup(ctx, tx, org, id, c.Add, micros(c.At))
	}, entries...)
}

// DeleteGroup is group.Store's. The roles of the group go with it.
func (db *DB) DeleteGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, version int64, e audit.Entry) error {
	return db.write(ctx, "delete group", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectGroup, string(id))
		return tx.compareAndSet(ctx, pam.Precondition, `DELETE FROM org_groups WHERE org_id = ? AND group_id = ? AND version = ?`,
			[]any{org, id, version}, `SELECT 1 FROM org_groups WHERE org_id = ? AND group_id = ?`, org, id)
	}, e)
}

const safesOfGroup = `SELECT m.safe_id FROM safe_members m WHERE m.org_id = ? AND m.holder_id = ? ORDER BY m.safe_id`

// SafesOfGroup is group.Store's. A role that has ended counts: somebody may
// prolong it.
func (db *DB) SafesOfGroup(ctx context.Context, org pam.OrgID, id pam.GroupID) ([]pam.SafeID, error) {
	out, err := list(ctx, db, scalar[pam.SafeID], safesOfGroup, org, id)
	return out, db.failed("list safes of group", err)
}

// PolicyNames is group.Store's.
func (db *DB) PolicyNames(ctx context.Context, org pam.OrgID, id pam.GroupID) (bool, error) {
	n, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM policies WHERE org_id = ? AND `+fmt.Sprintf(db.dialect.contains, "conditions"), org, `"`+string(id)+`"`)
	return n > 0, db.failed("read policies", err)
}
