package store

import (
	"context"
	"slices"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/group"
	"vaultpam/pam/provisioning"
)

const (
	fedGroupColumns = `g.group_id, g.org_id, g.name, COALESCE(s.external_id, ''), g.version, g.created_at, g.updated_at,
		(SELECT COUNT(*) FROM group_members x WHERE x.org_id = g.org_id AND x.group_id = g.group_id)`
	fedGroupTables = ` FROM org_groups g LEFT JOIN scim_groups s ON s.org_id = g.org_id AND s.group_id = g.group_id`
	fedGroup       = `g.org_id = ? AND g.source = 'scim'`
)

func scanFedGroup(r row) (g provisioning.Group, err error) {
	return g, r.Scan(&g.ID, &g.Org, &g.Name, &g.ExternalID, &g.Version, intoTime(&g.CreatedAt), intoTime(&g.UpdatedAt), &g.Count)
}

func whichGroups(org pam.OrgID, q provisioning.Query) where {
	var w where
	w.and(fedGroup, org)
	w.ifSet("g.group_id = ?", q.ID)
	if q.ExternalID != "" { // found by its index first
		w.and("g.group_id IN (SELECT x.group_id FROM scim_groups x WHERE x.org_id = ? AND x.external_id = ?)", org, q.ExternalID)
	}
	w.ifSet("g.group_id > ?", q.After)
	if q.Key != "" {
		w.and("g.sort_key = ?", naming.Key(q.Key))
	}
	if q.Member != "" {
		w.and("g.group_id IN (SELECT x.group_id FROM group_members x WHERE x.user_id = ? AND x.org_id = ?)", q.Member, org)
	}
	return w
}

// FedGroups is provisioning.Store's.
func (db *DB) FedGroups(ctx context.Context, org pam.OrgID, q provisioning.Query) ([]provisioning.Group, error) {
	w := whichGroups(org, q)
	out, err := list(ctx, db, scanFedGroup, `SELECT `+fedGroupColumns+fedGroupTables+` WHERE `+w.String()+` ORDER BY g.group_id LIMIT ? OFFSET ?`, append(w.args, q.Limit, q.Skip)...)
	return out, db.failed("list groups", err)
}

// CountFedGroups is provisioning.Store's.
func (db *DB) CountFedGroups(ctx context.Context, org pam.OrgID, q provisioning.Query) (int, error) {
	w := whichGroups(org, q)
	n, err := one(ctx, db, scalar[int], `SELECT COUNT(*)`+fedGroupTables+` WHERE `+w.String(), w.args...)
	return n, db.failed("count groups", err)
}

// FedMemberIDs is provisioning.Store's.
func (db *DB) FedMemberIDs(ctx context.Context, org pam.OrgID, groups []pam.GroupID) (map[pam.GroupID][]pam.UserID, error) {
	return db.MemberIDs(ctx, org, groups)
}

// FedMembersAmong is provisioning.Store's.
func (db *DB) FedMembersAmong(ctx context.Context, org pam.OrgID, id pam.GroupID, users []pam.UserID) ([]pam.UserID, error) {
	var out []pam.UserID
	for part := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(users))), 256) {
		in, args := inList(part)
		found, err := list(ctx, db, scalar[pam.UserID], `SELECT user_id FROM group_members WHERE org_id = ? AND group_id = ? AND user_id IN `+in+` ORDER BY user_id`, append([]any{org, id}, args...)...)
		if err != nil {
			return nil, db.failed("read members of group", err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// FedGroupsOf is provisioning.Store's.
func (db *DB) FedGroupsOf(ctx context.Context, org pam.OrgID, users []pam.UserID) ([]provisioning.Membership, error) {
	var out []provisioning.Membership
	for part := range slices.Chunk(users, 256) {
		in, args := inList(part)
		found, err := list(ctx, db, func(r row) (m provisioning.Membership, err error) {
			return m, r.Scan(&m.User, &m.Group, &m.Name)
		}, `SELECT x.user_id, g.group_id, g.name FROM group_members x JOIN org_groups g ON g.org_id = x.org_id AND g.group_id = x.group_id
			WHERE x.org_id = ? AND g.source = 'scim' AND x.user_id IN `+in+` ORDER BY x.user_id, g.group_id`, append([]any{org}, args...)...)
		if err != nil {
			return nil, db.failed("list groups of users", err)
		}
		out = append(out, found...)
	}
	return out, nil
}

// CreateFedGroup is provisioning.Store's.
func (db *DB) CreateFedGroup(ctx context.Context, org pam.OrgID, g provisioning.Group, entries ...audit.Entry) error {
	return db.write(ctx, "create group", func(ctx context.Context, tx *Tx) error {
		if err := insertGroup(ctx, tx, org, group.Group{ID: g.ID, Name: g.Name, Source: group.SCIM, Members: g.Members, CreatedAt: g.CreatedAt, UpdatedAt: g.UpdatedAt}); err != nil {
			return err
		}
		if err := onlyPeople(ctx, tx, g.Members); err != nil {
			return err
		}
		return describeFedGroup(ctx, tx, org, g.ID, g.ExternalID)
	}, entries...)
}

// onlyPeople refuses machines: a directory does not know of them.
func onlyPeople(ctx context.Context, tx *Tx, users []pam.UserID) error {
	for part := range slices.Chunk(users, 256) {
		in, args := inList(part)
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM users WHERE machine = TRUE AND id IN `+in, args...)
		if err != nil {
			return err
		}
		if n > 0 {
			return invalid("members", "names what is no user of this organization")
		}
	}
	return nil
}

func describeFedGroup(ctx context.Context, tx *Tx, org pam.OrgID, id pam.GroupID, externalID string) error {
	_, err := tx.exec(ctx, `INSERT INTO scim_groups (org_id, group_id, external_id) VALUES (?, ?, ?) ON CONFLICT (org_id, group_id) DO UPDATE SET external_id = excluded.external_id`, org, id, externalID)
	return err
}

// ChangeFedGroup is provisioning.Store's.
func (db *DB) ChangeFedGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, version int64, c provisioning.GroupChange, entries ...audit.Entry) error {
	return db.write(ctx, "change group", func(ctx context.Context, tx *Tx) error {
		if err := tx.compareAndSet(ctx, pam.Precondition, `UPDATE org_groups SET version = version + 1, updated_at = ? WHERE org_id = ? AND group_id = ? AND version = ? AND source = 'scim'`,
			[]any{micros(c.At), org, id, version}, `SELECT 1 FROM org_groups WHERE org_id = ? AND group_id = ?`, org, id); err != nil {
			return err
		}
		tx.changed(org, pam.SubjectGroup, string(id))
		if c.Name != nil {
			if err := renameGroup(ctx, tx, org, id, *c.Name); err != nil {
				return err
			}
		}
		if c.ExternalID != nil {
			if err := describeFedGroup(ctx, tx, org, id, *c.ExternalID); err != nil {
				return err
			}
		}
		if err := leaveGroup(ctx, tx, org, id, c.Remove); err != nil {
			return err
		}
		if err := onlyPeople(ctx, tx, c.Add); err != nil {
			return err
		}
		if err := approvedFeed(ctx, tx, org, id, c); err != nil {
			return err
		}
		return fillGroup(ctx, tx, org, id, c.Add, micros(c.At))
	}, entries...)
}

// approvedFeed refuses people for a group with a role that no manager has given
// or confirmed since the directory came. The group's row is locked by now, as it
// is by whoever gives it a role.
func approvedFeed(ctx context.Context, tx *Tx, org pam.OrgID, id pam.GroupID, c provisioning.GroupChange) error {
	if len(c.Add) == 0 {
		return nil
	}
	n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM safe_members WHERE org_id = ? AND holder_id = ? AND approved_at < ?`, org, id, micros(c.Since))
	if err == nil && n > 0 {
		err = &pam.Error{Kind: pam.Denied, Public: "The group has roles in safes from before this token: a manager of each has to confirm them first."}
	}
	return err
}

// DeleteFedGroup is provisioning.Store's.
func (db *DB) DeleteFedGroup(ctx context.Context, org pam.OrgID, id pam.GroupID, version int64, e audit.Entry) error {
	return db.DeleteGroup(ctx, org, id, version, e)
}
