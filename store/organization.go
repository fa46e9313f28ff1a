package store

import (
	"context"
	"database/sql"
	"errors"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/org"
)

const orgColumns = `id, name, slug, settings, version, created_at, updated_at`

func scanOrg(r row) (org.Organization, error) {
	var o org.Organization
	err := r.Scan(&o.ID, &o.Name, &o.Slug, intoJSON(&o.Settings), &o.Version, intoTime(&o.CreatedAt), intoTime(&o.UpdatedAt))
	return o, err
}

// CreateOrganization implements org.Store.
func (db *DB) CreateOrganization(ctx context.Context, o org.Organization, u *org.NewUser, m org.Member, first bool, events ...audit.Entry) error {
	return db.write(ctx, "create organization", func(ctx context.Context, tx *Tx) error {
		if first {
			n, err := one(ctx, tx, scalar[int64], `SELECT count(*) FROM organizations`)
			if err != nil {
				return err
			}
			if n > 0 {
				return pam.Errorf(pam.Conflict, "create organization", "There is an organization already.")
			}
		}
		if _, err := tx.exec(ctx, `INSERT INTO organizations (`+orgColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			o.ID, o.Name, o.Slug, asJSON(o.Settings), o.Version, micros(o.CreatedAt), micros(o.UpdatedAt)); err != nil {
			return err
		}
		if u != nil {
			if err := insertUser(ctx, tx, *u); err != nil {
				return err
			}
		}
		return insertMembership(ctx, tx, o.ID, m)
	}, events...)
}

func insertUser(ctx context.Context, tx *Tx, u org.NewUser) error {
	_, err := tx.exec(ctx, `INSERT INTO users (id, email, name, home_org_id, active_org_id, instance_admin, password_hash, must_change, machine, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		u.ID, u.Email, u.Name, u.HomeOrg, "", u.InstanceAdmin, u.PasswordHash, u.MustChange, u.Machine, micros(u.CreatedAt))
	return err
}

func insertMembership(ctx context.Context, tx *Tx, id pam.OrgID, m org.Member) error {
	tx.changed(id, pam.SubjectMember, string(m.User))
	return tx.mustTouch(ctx, pam.NotFound, `INSERT INTO memberships (org_id, user_id, role, status, joined_at, email, name)
		SELECT ?, u.id, ?, ?, ?, u.email, CASE WHEN ? THEN '' ELSE u.name END FROM users u WHERE u.id = ?`,
		id, m.Role, m.Status, micros(m.JoinedAt), m.Status == org.Invited, m.User)
}

// OrganizationByID implements org.Store.
func (db *DB) OrganizationByID(ctx context.Context, id pam.OrgID) (org.Organization, error) {
	o, err := one(ctx, db, scanOrg, `SELECT `+orgColumns+` FROM organizations WHERE id = ?`, id)
	return o, db.failed("read organization", err)
}

// ListOrganizations implements org.Store.
func (db *DB) ListOrganizations(ctx context.Context, before pam.OrgID, limit int) ([]org.Organization, error) {
	os, err := list(ctx, db, scanOrg, `SELECT `+orgColumns+` FROM organizations WHERE (id < ? OR ? = '') ORDER BY id DESC LIMIT ?`, before, before, limit)
	return os, db.failed("list organizations", err)
}

// UpdateOrganization implements org.Store.
func (db *DB) UpdateOrganization(ctx context.Context, o org.Organization, version int64, e audit.Entry) error {
	return db.write(ctx, "update organization", func(ctx context.Context, tx *Tx) error {
		tx.changed(o.ID, pam.SubjectOrg, string(o.ID))
		return tx.compareAndSet(ctx, pam.Precondition,
			`UPDATE organizations SET name = ?, slug = ?, settings = ?, version = ?, updated_at = ? WHERE id = ? AND version = ?`,
			[]any{o.Name, o.Slug, asJSON(o.Settings), o.Version, micros(o.UpdatedAt), o.ID, version},
			`SELECT 1 FROM organizations WHERE id = ?`, o.ID)
	}, e)
}

const (
	orgMemberColumns = `m.user_id, u.email, u.name, u.home_org_id, m.role, m.status, m.joined_at, u.language, u.machine`
	orgMemberQuery   = `SELECT ` + orgMemberColumns + ` FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = ?`
)

// scanOrgMember leaves out what the organization may not know of somebody whom
// it has only invited.
func scanOrgMember(r row) (org.Member, error) {
	var m org.Member
	err := r.Scan(&m.User, &m.Email, &m.Name, &m.HomeOrg, &m.Role, &m.Status, intoTime(&m.JoinedAt), &m.Language, &m.Machine)
	if m.Status == org.Invited {
		m.Name, m.HomeOrg, m.Language = "", "", ""
	}
	return m, err
}

// OrgMember implements org.Store.
func (db *DB) OrgMember(ctx context.Context, id pam.OrgID, user pam.UserID) (org.Member, error) {
	m, err := one(ctx, db, scanOrgMember, orgMemberQuery+` AND m.user_id = ?`, id, user)
	return m, db.failed("read member", err)
}

// ListOrgMembers implements org.Store.
func (db *DB) ListOrgMembers(ctx context.Context, id pam.OrgID, q org.Query) ([]org.Member, error) {
	// By name is by e-mail address, which nobody has twice.
	w, by := orderingBy(q.Order, "m.email", "m.user_id", string(q.After.Key), q.After.ID)
	if q.Role != "" {
		w.and("m.role = ?", q.Role)
	}
	if q.Status != "" {
		w.and("m.status = ?", q.Status)
	}
	switch {
	case q.Text == "":
	case !searchable(q.Text):
		w.and("FALSE")
	default:
		either := db.has("m.email || ' ' || m.name", q.Text)
		w.and(either.any(), either.args...)
	}
	text, args := pageOf(orgMemberColumns, `memberships m LEFT JOIN users u ON u.id = m.user_id`, "m.user_id", id, w, by, q.Limit)
	ms, err := list(ctx, db, scanOrgMember, text, args...)
	return ms, db.failed("list members", err)
}

// UserIDByEmail implements org.Store.
func (db *DB) UserIDByEmail(ctx context.Context, email string) (pam.UserID, error) {
	id, err := one(ctx, db, scalar[pam.UserID], `SELECT id FROM users WHERE email = ?`, email)
	return id, db.failed("find user", err)
}

// AddOrgMember implements org.Store.
func (db *DB) AddOrgMember(ctx context.Context, id pam.OrgID, m org.Member, u *org.NewUser, e audit.Entry) error {
	return db.write(ctx, "add member", func(ctx context.Context, tx *Tx) error {
		if u != nil {
			if err := insertUser(ctx, tx, *u); err != nil {
				return err
			}
		}
		return insertMembership(ctx, tx, id, m)
	}, e)
}

// SetOrgMember implements org.Store.
func (db *DB) SetOrgMember(ctx context.Context, id pam.OrgID, old, m org.Member, e audit.Entry) error {
	return db.write(ctx, "change member", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		if err := tx.compareAndSet(ctx, pam.Conflict,
			`UPDATE memberships SET role = ?, status = ?, joined_at = ?, name = (SELECT u.name FROM users u WHERE u.id = memberships.user_id) WHERE org_id = ? AND user_id = ? AND role = ? AND status = ?`,
			[]any{m.Role, m.Status, micros(m.JoinedAt), id, m.User, old.Role, old.Status},
			`SELECT 1 FROM memberships WHERE org_id = ? AND user_id = ?`, id, m.User); err != nil {
			return err
		}
		tx.changed(id, pam.SubjectMember, string(m.User))
		return ownerLeft(ctx, tx, id)
	}, e)
}

// RemoveOrgMember implements org.Store.
func (db *DB) RemoveOrgMember(ctx context.Context, id pam.OrgID, old org.Member, e audit.Entry) error {
	return db.write(ctx, "remove member", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		if err := tx.compareAndSet(ctx, pam.Conflict,
			`DELETE FROM memberships WHERE org_id = ? AND user_id = ? AND role = ? AND status = ?`, []any{id, old.User, old.Role, old.Status},
			`SELECT 1 FROM memberships WHERE org_id = ? AND user_id = ?`, id, old.User); err != nil {
			return err
		}
		if err := endMembership(ctx, tx, id, old.User); err != nil {
			return err
		}
		return ownerLeft(ctx, tx, id)
	}, e)
}

// endMembership ends what rested on a membership that is over.
func endMembership(ctx context.Context, tx *Tx, id pam.OrgID, user pam.UserID) error {
	for _, text := range []string{
		`DELETE FROM safe_members WHERE org_id = ? AND holder_id = ?`,
		`DELETE FROM group_members WHERE org_id = ? AND user_id = ?`,
		`DELETE FROM access_tokens WHERE org_id = ? AND user_id = ?`,
	} {
		if _, err := tx.exec(ctx, text, id, user); err != nil {
			return err
		}
	}
	tx.changed(id, pam.SubjectMember, string(user))
	return nil
}

// TransferOwnership implements org.Store.
func (db *DB) TransferOwnership(ctx context.Context, id pam.OrgID, from, to org.Member, entries ...audit.Entry) error {
	return db.write(ctx, "transfer ownership", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		for _, c := range []struct {
			user     pam.UserID
			was, now pam.Role
		}{{from.User, pam.Owner, pam.Admin}, {to.User, to.Role, pam.Owner}} {
			if err := tx.mustTouch(ctx, pam.Conflict, `UPDATE memberships SET role = ? WHERE org_id = ? AND user_id = ? AND role = ? AND status = 'active'`, c.now, id, c.user, c.was); err != nil {
				return err
			}
			tx.changed(id, pam.SubjectMember, string(c.user))
		}
		return nil
	}, entries...)
}

// SetPasswordLink implements org.Store.
func (db *DB) SetPasswordLink(ctx context.Context, id pam.OrgID, l org.PasswordLink, letter pam.Outgoing, e audit.Entry) error {
	return db.write(ctx, "store link to a new password", func(ctx context.Context, tx *Tx) error {
		// Only of the person's home organization, whatever was decided before.
		if err := tx.mustTouch(ctx, pam.NotFound, `INSERT INTO password_links (user_id, org_id, token_hash, created_at, expires_at)
			SELECT u.id, ?, ?, ?, ? FROM users u WHERE u.id = ? AND u.home_org_id = ?
			ON CONFLICT (user_id) DO UPDATE SET org_id = excluded.org_id, token_hash = excluded.token_hash, created_at = excluded.created_at, expires_at = excluded.expires_at`,
			id, l.TokenHash[:], micros(l.CreatedAt), micros(l.ExpiresAt), l.User, id); err != nil {
			return err
		}
		if err := unsend(ctx, tx, id, pam.LetterPasswordReset, string(l.User)); err != nil {
			return err
		}
		return send(ctx, tx, letter)
	}, e)
}

// lockOrg makes changes of one organization's members follow each other, so
// that two owners who demote each other do not both see an owner left. An
// update that changes nothing locks the row on PostgreSQL; SQLite has one
// writer anyway.
func lockOrg(ctx context.Context, tx *Tx, id pam.OrgID) error {
	return tx.mustTouch(ctx, pam.NotFound, `UPDATE organizations SET version = version WHERE id = ?`, id)
}

func ownerLeft(ctx context.Context, tx *Tx, id pam.OrgID) error {
	_, err := one(ctx, tx, scalar[int64], `SELECT 1 FROM memberships WHERE org_id = ? AND role = ? AND status = ? LIMIT 1`, id, pam.Owner, org.Active)
	if errors.Is(err, sql.ErrNoRows) {
		return &pam.Error{Kind: pam.Conflict, Op: "keep an owner"}
	}
	return err
}

// MembershipsOf implements org.Store.
func (db *DB) MembershipsOf(ctx context.Context, user pam.UserID) ([]org.Membership, error) {
	ms, err := list(ctx, db, func(r row) (org.Membership, error) {
		var m org.Membership
		err := r.Scan(&m.Org, &m.Name, &m.Slug, intoJSON(&m.Settings), &m.Role, &m.Status, intoTime(&m.JoinedAt))
		return m, err
	}, `SELECT o.id, o.name, o.slug, o.settings, m.role, m.status, m.joined_at FROM memberships m JOIN organizations o ON o.id = m.org_id WHERE m.user_id = ? ORDER BY m.joined_at, o.id`, user)
	return ms, db.failed("list memberships", err)
}

// FirstOrganization returns the oldest organization of the instance.
func (db *DB) FirstOrganization(ctx context.Context) (pam.OrgID, error) {
	id, err := one(ctx, db, scalar[pam.OrgID], `SELECT id FROM organizations ORDER BY created_at, id LIMIT 1`)
	return id, db.failed("find first organization", err)
}

// FirstOwnerEmail returns the e-mail of the oldest active owner of the oldest
// organization.
func (db *DB) FirstOwnerEmail(ctx context.Context) (string, error) {
	email, err := one(ctx, db, scalar[string], `SELECT u.email FROM organizations o JOIN memberships m ON m.org_id = o.id JOIN users u ON u.id = m.user_id
		WHERE m.role = ? AND m.status = ? ORDER BY o.created_at, o.id, m.joined_at LIMIT 1`, pam.Owner, org.Active)
	return email, db.failed("find first owner", err)
}
