package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/group"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
	"vaultpam/pam/sso"
)

const identityColumns = `i.identity_id, i.org_id, i.issuer, i.subject, i.user_id, i.email, i.linked_by, i.created_at, i.last_login_at`

func scanIdentity(r row) (sso.Identity, error) {
	var i sso.Identity
	err := r.Scan(&i.ID, &i.Org, &i.Issuer, &i.Subject, &i.User, &i.Email, &i.LinkedBy, intoTime(&i.CreatedAt), intoTime(&i.LastLoginAt))
	return i, err
}

// Identity is sso.Store's.
func (db *DB) Identity(ctx context.Context, id pam.OrgID, issuer, subject string) (sso.Identity, error) {
	i, err := one(ctx, db, scanIdentity, `SELECT `+identityColumns+` FROM sso_identities i WHERE i.org_id = ? AND i.issuer = ? AND i.subject = ?`, id, issuer, subject)
	return i, db.failed("find linked account", err)
}

// IdentityOf is sso.Store's.
func (db *DB) IdentityOf(ctx context.Context, id pam.OrgID, issuer string, user pam.UserID) (sso.Identity, error) {
	i, err := one(ctx, db, scanIdentity, `SELECT `+identityColumns+` FROM sso_identities i WHERE i.org_id = ? AND i.user_id = ? AND i.issuer = ?`, id, user, issuer)
	return i, db.failed("find linked account", err)
}

// Identities is sso.Store's.
func (db *DB) Identities(ctx context.Context, id pam.OrgID) ([]sso.Identity, error) {
	out, err := list(ctx, db, scanIdentity, `SELECT `+identityColumns+` FROM sso_identities i WHERE i.org_id = ? ORDER BY i.identity_id DESC LIMIT 10000`, id)
	return out, db.failed("list linked accounts", err)
}

// IdentitiesOfUser is sso.Store's.
func (db *DB) IdentitiesOfUser(ctx context.Context, user pam.UserID, only pam.OrgID) ([]sso.Identity, error) {
	out, err := list(ctx, db, scanIdentity, `SELECT `+identityColumns+` FROM sso_identities i WHERE i.user_id = ? AND (i.org_id = ? OR ? = '') ORDER BY i.identity_id DESC`, user, only, only)
	return out, db.failed("list linked accounts", err)
}

// Unlink is sso.Store's.
func (db *DB) Unlink(ctx context.Context, id pam.OrgID, identity pam.IdentityID, user pam.UserID, e audit.Entry) error {
	return db.write(ctx, "unlink account", func(ctx context.Context, tx *Tx) error {
		if err := tx.mustTouch(ctx, pam.NotFound, `DELETE FROM sso_identities WHERE org_id = ? AND identity_id = ? AND user_id = ?`, id, identity, user); err != nil {
			return err
		}
		return endLogins(ctx, tx, id, "sso_identity", string(identity))
	}, e)
}

const personQuery = `SELECT u.id, u.email, u.home_org_id, COALESCE(m.role, ''), COALESCE(m.status, ''), u.machine, u.instance_admin, u.password_hash <> '',
	u.password_hash <> '' OR EXISTS (SELECT 1 FROM sso_identities i WHERE i.org_id = ? AND i.user_id = u.id)
	FROM users u LEFT JOIN memberships m ON m.user_id = u.id AND m.org_id = ? WHERE `

func scanPerson(r row) (sso.Person, error) {
	var p sso.Person
	var status org.Status
	err := r.Scan(&p.User, &p.Email, &p.Home, &p.Role, &status, &p.Machine, &p.InstanceAdmin, &p.Password, &p.SignsIn)
	p.Active = status == org.Active
	return p, err
}

// Person is sso.Store's.
func (db *DB) Person(ctx context.Context, id pam.OrgID, user pam.UserID) (sso.Person, error) {
	p, err := one(ctx, db, scanPerson, personQuery+`u.id = ?`, id, id, user)
	return p, db.failed("read person", err)
}

// PersonByEmail is sso.Store's.
func (db *DB) PersonByEmail(ctx context.Context, id pam.OrgID, email string) (sso.Person, error) {
	p, err := one(ctx, db, scanPerson, personQuery+`u.email = ?`, id, id, email)
	return p, db.failed("find person", err)
}

// HeldBefore is sso.Store's. A role that has ended counts: somebody may prolong
// it.
func (db *DB) HeldBefore(ctx context.Context, id pam.OrgID, user pam.UserID, t time.Time) (bool, error) {
	n, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM safe_members m WHERE m.org_id = ? AND m.approved_at < ? AND (m.holder_id = ?
		OR m.holder_id IN (SELECT g.group_id FROM group_members g WHERE g.org_id = ? AND g.user_id = ?))`, id, micros(t), user, id, user)
	return n > 0, db.failed("read roles of a person", err)
}

// GroupsAmong is sso.Store's.
func (db *DB) GroupsAmong(ctx context.Context, id pam.OrgID, user pam.UserID, groups []pam.GroupID) ([]pam.GroupID, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	in, args := inList(groups)
	out, err := list(ctx, db, scalar[pam.GroupID], `SELECT g.group_id FROM group_members g WHERE g.user_id = ? AND g.org_id = ? AND g.group_id IN `+in+` ORDER BY g.group_id`, append([]any{user, id}, args...)...)
	return out, db.failed("list groups of a person", err)
}

// Arrive is sso.Store's. A group that is full, or is filled by somebody else
// by now, takes nobody in.
func (db *DB) Arrive(ctx context.Context, id pam.OrgID, a sso.Arrival, entries ...audit.Entry) error {
	at, user := micros(a.At), a.Identity.User
	again := &pam.Error{Kind: pam.Conflict, Public: "Something has changed meanwhile. Sign in again."}
	return db.write(ctx, "sign in by a provider", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		// Who vouches may have become somebody else since they were asked.
		if err := tx.mustTouch(ctx, pam.Conflict, `UPDATE sso_providers SET version = version WHERE org_id = ? AND provider_id = ? AND version = ? AND enabled`, id, a.Provider, a.Version); err != nil {
			return again
		}
		if p := a.Person; p != nil {
			taken, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM users WHERE email = ?`, p.Email)
			if err != nil {
				return err
			}
			if taken > 0 {
				return again
			}
			if err := insertUser(ctx, tx, org.NewUser{ID: user, Email: p.Email, Name: p.Name, HomeOrg: id, CreatedAt: a.At}); err != nil {
				return err
			}
			if err := insertMembership(ctx, tx, id, org.Member{User: user, Role: a.Role, Status: org.Active, JoinedAt: a.At}); err != nil {
				return err
			}
		} else if a.Role != "" {
			if err := tx.mustTouch(ctx, pam.Conflict, `UPDATE memberships SET role = ? WHERE org_id = ? AND user_id = ? AND role = ? AND role <> 'owner' AND status = 'active'`,
				a.Role, id, user, a.RoleWas); err != nil {
				return again
			}
			tx.changed(id, pam.SubjectMember, string(user))
		}
		if a.New {
			n, err := tx.exec(ctx, `INSERT INTO sso_identities (org_id, issuer, subject, identity_id, user_id, email, linked_by, created_at, last_login_at)
				SELECT ?, ?, ?, ?, m.user_id, ?, ?, ?, ? FROM memberships m WHERE m.org_id = ? AND m.user_id = ? AND m.status = 'active' ON CONFLICT DO NOTHING`,
				id, a.Identity.Issuer, a.Identity.Subject, a.Identity.ID, a.Identity.Email, a.Identity.LinkedBy, at, at, id, user)
			if err != nil {
				return err
			}
			if n == 0 {
				return again
			}
		} else if err := tx.mustTouch(ctx, pam.Conflict, `UPDATE sso_identities SET email = ?, last_login_at = ?, created_at = ? WHERE org_id = ? AND identity_id = ? AND user_id = ?`,
			a.Identity.Email, at, micros(a.Identity.CreatedAt), id, a.Identity.ID, user); err != nil {
			return again
		}
		for _, g := range a.Join {
			if _, err := tx.exec(ctx, `INSERT INTO group_members (org_id, group_id, user_id, created_at) SELECT g.org_id, g.group_id, ?, ? FROM org_groups g
				WHERE g.org_id = ? AND g.group_id = ? AND g.source = 'claim' AND (SELECT COUNT(*) FROM group_members x WHERE x.org_id = g.org_id AND x.group_id = g.group_id) < ?
				ON CONFLICT (org_id, group_id, user_id) DO NOTHING`, user, at, id, g, group.MaxMembers); err != nil {
				return err
			}
			tx.changed(id, pam.SubjectGroup, string(g))
		}
		for _, g := range a.Leave {
			if _, err := tx.exec(ctx, `DELETE FROM group_members WHERE org_id = ? AND group_id = ? AND user_id = ?`, id, g, user); err != nil {
				return err
			}
			tx.changed(id, pam.SubjectGroup, string(g))
		}
		return nil
	}, entries...)
}

// stillVouched refuses a login where what it rests on has gone.
func stillVouched(ctx context.Context, tx *Tx, l identity.Login) error {
	return tx.mustTouch(ctx, pam.Unauthenticated, `UPDATE sso_identities SET last_login_at = ? WHERE org_id = ? AND identity_id = ? AND user_id = ? AND EXISTS (
		SELECT 1 FROM sso_providers p WHERE p.org_id = sso_identities.org_id AND p.provider_id = ? AND p.issuer = sso_identities.issuer AND p.enabled)`,
		micros(l.CreatedAt), l.Only, l.Identity, l.User, l.Provider)
}
