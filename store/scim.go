package store

import (
	"context"
	"fmt"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/org"
	"vaultpam/pam/provisioning"
)

var _ provisioning.Store = (*DB)(nil)

const scimTokenColumns = `id, org_id, name, role, token_hash, created_by, created_at, expires_at, last_used_at`

func scanSCIMToken(r row) (t provisioning.Token, err error) {
	return t, r.Scan(&t.ID, &t.Org, &t.Name, &t.Role, intoHash(&t.TokenHash), &t.CreatedBy, intoTime(&t.CreatedAt), intoTime(&t.ExpiresAt), intoTime(&t.LastUsedAt))
}

// CreateSCIMToken is provisioning.Store's.
func (db *DB) CreateSCIMToken(ctx context.Context, id pam.OrgID, t provisioning.Token, most int, e audit.Entry) error {
	return db.write(ctx, "create SCIM token", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int], `SELECT COUNT(*) FROM scim_tokens WHERE org_id = ?`, id)
		if err != nil {
			return err
		}
		if n >= most {
			return &pam.Error{Kind: pam.Conflict, Public: fmt.Sprintf("There are %d tokens already; delete one first.", most)}
		}
		_, err = tx.exec(ctx, `INSERT INTO scim_tokens (`+scimTokenColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.ID, id, t.Name, t.Role, t.TokenHash[:], t.CreatedBy, micros(t.CreatedAt), micros(t.ExpiresAt), 0)
		return err
	}, e)
}

// SCIMTokens is provisioning.Store's.
func (db *DB) SCIMTokens(ctx context.Context, id pam.OrgID) ([]provisioning.Token, error) {
	out, err := list(ctx, db, scanSCIMToken, `SELECT `+scimTokenColumns+` FROM scim_tokens WHERE org_id = ? ORDER BY id DESC`, id)
	return out, db.failed("list SCIM tokens", err)
}

// DeleteSCIMToken is provisioning.Store's.
func (db *DB) DeleteSCIMToken(ctx context.Context, id pam.OrgID, token pam.SCIMTokenID, e audit.Entry) error {
	return db.write(ctx, "delete SCIM token", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.NotFound, `DELETE FROM scim_tokens WHERE org_id = ? AND id = ?`, id, token)
	}, e)
}

// SCIMTokenByHash is provisioning.Store's.
func (db *DB) SCIMTokenByHash(ctx context.Context, hash [32]byte) (provisioning.Token, error) {
	t, err := one(ctx, db, scanSCIMToken, `SELECT `+scimTokenColumns+` FROM scim_tokens WHERE token_hash = ?`, hash[:])
	return t, db.failed("find SCIM token", err)
}

// TouchSCIMToken is provisioning.Store's.
func (db *DB) TouchSCIMToken(ctx context.Context, id pam.OrgID, token pam.SCIMTokenID, at time.Time) error {
	return db.write(ctx, "note use of SCIM token", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE scim_tokens SET last_used_at = ? WHERE org_id = ? AND id = ?`, micros(at), id, token)
		return err
	})
}

const (
	fedUserColumns = `m.user_id, m.org_id, u.email, u.name, u.home_org_id, u.instance_admin, m.role, m.status, m.joined_at,
		COALESCE(s.external_id, ''), COALESCE(s.given_name, ''), COALESCE(s.family_name, ''), COALESCE(s.updated_at, 0)`
	fedUserTables = ` FROM memberships m JOIN users u ON u.id = m.user_id LEFT JOIN scim_users s ON s.org_id = m.org_id AND s.user_id = m.user_id`
	// Whom an organization has only invited it knows nothing of, and machines
	// are in no directory.
	fedUser = `m.org_id = ? AND m.status <> 'invited' AND u.machine = FALSE`
)

func scanFedUser(r row) (provisioning.User, error) {
	var u provisioning.User
	var status org.Status
	err := r.Scan(&u.ID, &u.Org, &u.Email, &u.Name, &u.HomeOrg, &u.InstanceAdmin, &u.Role, &status, intoTime(&u.CreatedAt),
		&u.ExternalID, &u.GivenName, &u.FamilyName, intoTime(&u.UpdatedAt))
	u.Active = status == org.Active
	return u, err
}

func whichUsers(id pam.OrgID, q provisioning.Query) where {
	var w where
	w.and(fedUser, id)
	w.ifSet("m.user_id = ?", q.ID)
	w.ifSet("u.email = ?", q.Key)
	if q.ExternalID != "" { // found by its index first
		w.and("m.user_id IN (SELECT x.user_id FROM scim_users x WHERE x.org_id = ? AND x.external_id = ?)", id, q.ExternalID)
	}
	w.ifSet("m.user_id > ?", q.After)
	return w
}

// ifSet adds a condition with a value, unless that is empty.
func (w *where) ifSet(condition, value string) {
	if value != "" {
		w.and(condition, value)
	}
}

// FedUsers is provisioning.Store's.
func (db *DB) FedUsers(ctx context.Context, id pam.OrgID, q provisioning.Query) ([]provisioning.User, error) {
	w := whichUsers(id, q)
	out, err := list(ctx, db, scanFedUser, `SELECT `+fedUserColumns+fedUserTables+` WHERE `+w.String()+` ORDER BY m.user_id LIMIT ? OFFSET ?`, append(w.args, q.Limit, q.Skip)...)
	return out, db.failed("list users", err)
}

// CountFedUsers is provisioning.Store's.
func (db *DB) CountFedUsers(ctx context.Context, id pam.OrgID, q provisioning.Query) (int, error) {
	w := whichUsers(id, q)
	n, err := one(ctx, db, scalar[int], `SELECT COUNT(*)`+fedUserTables+` WHERE `+w.String(), w.args...)
	return n, db.failed("count users", err)
}

// WhoHasAddress is provisioning.Store's.
func (db *DB) WhoHasAddress(ctx context.Context, id pam.OrgID, email string) (provisioning.Person, error) {
	p, err := one(ctx, db, func(r row) (p provisioning.Person, err error) {
		return p, r.Scan(&p.ID, &p.Home, &p.InstanceAdmin, &p.Machine, &p.Here)
	}, `SELECT u.id, u.home_org_id, u.instance_admin, u.machine, EXISTS (SELECT 1 FROM memberships m WHERE m.org_id = ? AND m.user_id = u.id) FROM users u WHERE u.email = ?`, id, email)
	return p, db.failed("find person", err)
}

func statusOf(u provisioning.User) org.Status {
	if u.Active {
		return org.Active
	}
	return org.Suspended
}

// AddFedUser is provisioning.Store's.
func (db *DB) AddFedUser(ctx context.Context, id pam.OrgID, u provisioning.User, isNew bool, e audit.Entry) error {
	return db.write(ctx, "add user", func(ctx context.Context, tx *Tx) error {
		if isNew {
			if err := insertUser(ctx, tx, org.NewUser{ID: u.ID, Email: u.Email, Name: u.Name, HomeOrg: id, CreatedAt: u.CreatedAt}); err != nil {
				return err
			}
		} else {
			if err := nameFedUser(ctx, tx, id, u); err != nil {
				return err
			}
		}
		if err := insertMembership(ctx, tx, id, org.Member{User: u.ID, Role: u.Role, Status: statusOf(u), JoinedAt: u.CreatedAt}); err != nil {
			return err
		}
		return describeFedUser(ctx, tx, id, u)
	}, e)
}

// nameFedUser changes what everybody sees of a person. Only their home may,
// whatever was decided before.
func nameFedUser(ctx context.Context, tx *Tx, id pam.OrgID, u provisioning.User) error {
	if err := tx.mustTouch(ctx, pam.Precondition, `UPDATE users SET email = ?, name = ? WHERE id = ? AND home_org_id = ? AND instance_admin = ?`, u.Email, u.Name, u.ID, id, false); err != nil {
		return err
	}
	tx.changed(pam.InstanceOrg, pam.SubjectUser, string(u.ID))
	_, err := tx.exec(ctx, `UPDATE memberships SET email = ?, name = CASE WHEN status = 'invited' THEN name ELSE ? END WHERE user_id = ?`, u.Email, u.Name, u.ID)
	return err
}

func describeFedUser(ctx context.Context, tx *Tx, id pam.OrgID, u provisioning.User) error {
	_, err := tx.exec(ctx, `INSERT INTO scim_users (org_id, user_id, external_id, given_name, family_name, updated_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (org_id, user_id) DO UPDATE SET external_id = excluded.external_id, given_name = excluded.given_name, family_name = excluded.family_name, updated_at = excluded.updated_at`,
		id, u.ID, u.ExternalID, u.GivenName, u.FamilyName, micros(u.UpdatedAt))
	return err
}

// stillFedUser refuses if a member is not what was decided on any more.
func stillFedUser(ctx context.Context, tx *Tx, id pam.OrgID, old provisioning.User) error {
	if err := lockOrg(ctx, tx, id); err != nil {
		return err
	}
	now, err := one(ctx, tx, scanFedUser, `SELECT `+fedUserColumns+fedUserTables+` WHERE `+fedUser+` AND m.user_id = ?`, id, old.ID)
	if err == nil && now != old {
		err = &pam.Error{Kind: pam.Precondition}
	}
	return err
}

// ChangeFedUser is provisioning.Store's.
func (db *DB) ChangeFedUser(ctx context.Context, id pam.OrgID, old, next provisioning.User, entries ...audit.Entry) error {
	return db.write(ctx, "change user", func(ctx context.Context, tx *Tx) error {
		if err := stillFedUser(ctx, tx, id, old); err != nil {
			return err
		}
		if next.Email != old.Email || next.Name != old.Name {
			if err := nameFedUser(ctx, tx, id, next); err != nil {
				return err
			}
		}
		if next.Email != old.Email {
			// A link that went to the address of before opens nothing any more.
			if _, err := tx.exec(ctx, `DELETE FROM password_links WHERE user_id = ?`, next.ID); err != nil {
				return err
			}
		}
		if next.Active != old.Active {
			if err := tx.mustTouch(ctx, pam.Precondition, `UPDATE memberships SET status = ? WHERE org_id = ? AND user_id = ? AND status = ?`, statusOf(next), id, next.ID, statusOf(old)); err != nil {
				return err
			}
			tx.changed(id, pam.SubjectMember, string(next.ID))
			if err := ownerLeft(ctx, tx, id); err != nil {
				return err
			}
		}
		return describeFedUser(ctx, tx, id, next)
	}, entries...)
}

// RemoveFedUser is provisioning.Store's.
func (db *DB) RemoveFedUser(ctx context.Context, id pam.OrgID, old provisioning.User, e audit.Entry) error {
	return db.write(ctx, "remove user", func(ctx context.Context, tx *Tx) error {
		if err := stillFedUser(ctx, tx, id, old); err != nil {
			return err
		}
		if err := tx.mustTouch(ctx, pam.Precondition, `DELETE FROM memberships WHERE org_id = ? AND user_id = ?`, id, old.ID); err != nil {
			return err
		}
		if err := endMembership(ctx, tx, id, old.ID); err != nil {
			return err
		}
		return ownerLeft(ctx, tx, id)
	}, e)
}
