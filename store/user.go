package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/org"
)

const userColumns = `u.id, u.email, u.name, u.home_org_id, u.active_org_id, u.instance_admin, u.password_hash, u.must_change, u.created_at`

func userInto(u *identity.User) []any {
	return []any{&u.ID, &u.Email, &u.Name, &u.HomeOrg, &u.ActiveOrg, &u.InstanceAdmin, &u.PasswordHash, &u.MustChange, intoTime(&u.CreatedAt)}
}

func scanUser(r row) (identity.User, error) {
	var u identity.User
	err := r.Scan(userInto(&u)...)
	return u, err
}

// UserByEmail implements identity.Store.
func (db *DB) UserByEmail(ctx context.Context, email string) (identity.User, error) {
	u, err := one(ctx, db, scanUser, `SELECT `+userColumns+` FROM users u WHERE u.email = ?`, email)
	return u, db.failed("find user", err)
}

// UserByID implements identity.Store.
func (db *DB) UserByID(ctx context.Context, id pam.UserID) (identity.User, error) {
	u, err := one(ctx, db, scanUser, `SELECT `+userColumns+` FROM users u WHERE u.id = ?`, id)
	return u, db.failed("read user", err)
}

// PlacesOf implements identity.Store.
func (db *DB) PlacesOf(ctx context.Context, user pam.UserID) ([]identity.Place, error) {
	ps, err := list(ctx, db, func(r row) (identity.Place, error) {
		var p identity.Place
		var status org.Status
		var settings org.Settings
		var required bool
		err := r.Scan(&p.Org, &p.Role, &status, intoTime(&p.JoinedAt), intoJSON(&settings), &required)
		p.MFARequired = required || settings.MFARequired
		p.Active, p.Invited = status == org.Active, status == org.Invited
		p.AdminsSeeAll, p.DualControl, p.SSOOnly = settings.AdminsSeeAll, settings.DualControl, settings.SSOOnly
		return p, err
	}, `SELECT m.org_id, m.role, m.status, m.joined_at, o.settings, m.require_mfa FROM memberships m JOIN organizations o ON o.id = m.org_id WHERE m.user_id = ? ORDER BY m.joined_at, m.org_id`, user)
	if err != nil || len(ps) == 0 {
		return ps, db.failed("list places", err)
	}
	_, err = list(ctx, db, func(r row) (struct{}, error) {
		var org pam.OrgID
		var group pam.GroupID
		err := r.Scan(&org, &group)
		for i := range ps {
			if ps[i].Org == org {
				ps[i].Groups = append(ps[i].Groups, group)
			}
		}
		return struct{}{}, err
	}, `SELECT g.org_id, g.group_id FROM group_members g WHERE g.user_id = ? ORDER BY g.org_id, g.group_id`, user)
	return ps, db.failed("list groups of a user", err)
}

const loginColumns = `l.id, l.user_id, l.token_hash, l.purpose, l.created_at, l.expires_at, l.step_up_at, l.used_at, l.client_ip, l.user_agent, l.only_org, l.sso_provider, l.sso_identity, l.sso_mfa`

func loginInto(l *identity.Login) []any {
	return []any{&l.ID, &l.User, intoHash(&l.TokenHash), &l.Purpose, intoTime(&l.CreatedAt), intoTime(&l.ExpiresAt), intoTime(&l.StepUpAt), intoTime(&l.UsedAt), &l.ClientIP, &l.UserAgent, &l.Only, &l.Provider, &l.Identity, &l.SecondFactor}
}

const tokenColumns = `t.id, t.org_id, t.user_id, t.name, t.scopes, t.token_hash, t.created_at, t.expires_at, t.last_used_at, t.workload_rule`

func tokenInto(t *identity.AccessToken) []any {
	return []any{&t.ID, &t.Org, &t.User, &t.Name, intoJSON(&t.Scopes), intoHash(&t.TokenHash), intoTime(&t.CreatedAt), intoTime(&t.ExpiresAt), intoTime(&t.LastUsedAt), &t.Workload}
}

// HolderByToken implements identity.Store.
func (db *DB) HolderByToken(ctx context.Context, hash [32]byte) (identity.Holder, error) {
	h, err := one(ctx, db, func(r row) (identity.Holder, error) {
		h := identity.Holder{Login: &identity.Login{}}
		err := r.Scan(append(userInto(&h.User), loginInto(h.Login)...)...)
		return h, err
	}, `SELECT `+userColumns+`, `+loginColumns+` FROM logins l JOIN users u ON u.id = l.user_id WHERE l.token_hash = ?`, hash[:])
	if errors.Is(err, sql.ErrNoRows) {
		h, err = one(ctx, db, func(r row) (identity.Holder, error) {
			h := identity.Holder{Token: &identity.AccessToken{}}
			err := r.Scan(append(userInto(&h.User), tokenInto(h.Token)...)...)
			return h, err
		}, `SELECT `+userColumns+`, `+tokenColumns+` FROM access_tokens t JOIN users u ON u.id = t.user_id WHERE t.token_hash = ?`, hash[:])
	}
	if err != nil {
		return identity.Holder{}, db.failed("find token", err)
	}
	h.Places, err = db.PlacesOf(ctx, h.User.ID)
	return h, err
}

// CreateLogin implements identity.Store.
func (db *DB) CreateLogin(ctx context.Context, l identity.Login, e audit.Entry) error {
	return db.write(ctx, "create login", func(ctx context.Context, tx *Tx) error { return insertLogin(ctx, tx, l) }, e)
}

func insertLogin(ctx context.Context, tx *Tx, l identity.Login) error {
	if l.Only != "" {
		if err := stillVouched(ctx, tx, l); err != nil {
			return err
		}
	}
	_, err := tx.exec(ctx, `INSERT INTO logins (id, user_id, token_hash, purpose, created_at, expires_at, step_up_at, used_at, client_ip, user_agent, only_org, sso_provider, sso_identity, sso_mfa)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.ID, l.User, l.TokenHash[:], l.Purpose, micros(l.CreatedAt), micros(l.ExpiresAt), micros(l.StepUpAt), micros(l.UsedAt), l.ClientIP, l.UserAgent, l.Only, l.Provider, l.Identity, l.SecondFactor)
	return err
}

// LoginsOf implements identity.Store.
func (db *DB) LoginsOf(ctx context.Context, user pam.UserID, now time.Time) ([]identity.Login, error) {
	ls, err := list(ctx, db, func(r row) (identity.Login, error) {
		var l identity.Login
		err := r.Scan(loginInto(&l)...)
		return l, err
	}, `SELECT `+loginColumns+` FROM logins l WHERE l.user_id = ? AND l.expires_at > ? ORDER BY l.id DESC LIMIT 1000`, user, micros(now))
	return ls, db.failed("list logins", err)
}

// StepUpLogin implements identity.Store.
func (db *DB) StepUpLogin(ctx context.Context, user pam.UserID, id pam.LoginID, at time.Time, e audit.Entry) error {
	return db.write(ctx, "step up", func(ctx context.Context, tx *Tx) error {
		tx.changed(pam.InstanceOrg, pam.SubjectLogin, string(id))
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE logins SET step_up_at = ? WHERE id = ? AND user_id = ?`, micros(at), id, user)
	}, e)
}

// EndLogin implements identity.Store.
func (db *DB) EndLogin(ctx context.Context, user pam.UserID, id pam.LoginID, e audit.Entry) error {
	return db.write(ctx, "end login", func(ctx context.Context, tx *Tx) error {
		tx.changed(pam.InstanceOrg, pam.SubjectLogin, string(id))
		return tx.mustTouch(ctx, pam.NotFound, `DELETE FROM logins WHERE id = ? AND user_id = ?`, id, user)
	}, e)
}

// RevokeLogin implements identity.Store.
func (db *DB) RevokeLogin(ctx context.Context, user pam.UserID, id pam.LoginID, e audit.Entry) error {
	return db.write(ctx, "revoke login", func(ctx context.Context, tx *Tx) error {
		tx.changed(pam.InstanceOrg, pam.SubjectLogin, string(id))
		if err := tx.mustTouch(ctx, pam.NotFound, `DELETE FROM logins WHERE id = ? AND user_id = ?`, id, user); err != nil {
			return err
		}
		if err := takeBackDevices(ctx, tx, user, id); err != nil {
			return err
		}
		return cutSessions(ctx, tx, user, string(id), "login")
	}, e)
}

// SetPassword implements identity.Store. The update of the user comes first:
// it makes changes of one password follow each other, so that the second finds
// its login ended.
func (db *DB) SetPassword(ctx context.Context, user pam.UserID, hash string, by pam.LoginID, keep bool, e audit.Entry) error {
	const op = "set password"
	return db.write(ctx, op, func(ctx context.Context, tx *Tx) error {
		tx.changed(pam.InstanceOrg, pam.SubjectUser, string(user))
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE users SET password_hash = ?, must_change = ? WHERE id = ?`, hash, false, user); err != nil {
			return err
		}
		if err := tx.mustTouch(ctx, pam.Unauthenticated, `UPDATE logins SET user_agent = user_agent WHERE id = ? AND user_id = ?`, by, user); err != nil {
			return err
		}
		// A letter that is still on its way opens nothing any more.
		if _, err := tx.exec(ctx, `DELETE FROM password_links WHERE user_id = ?`, user); err != nil {
			return err
		}
		kept := by
		if !keep {
			kept = ""
		}
		if _, err := tx.exec(ctx, `DELETE FROM logins WHERE user_id = ? AND id <> ?`, user, kept); err != nil {
			return err
		}
		if err := takeBackDevices(ctx, tx, user, ""); err != nil {
			return err
		}
		return cutPasswordSessions(ctx, tx, user, kept)
	}, e)
}

// PasswordLinkByToken implements identity.Store.
func (db *DB) PasswordLinkByToken(ctx context.Context, hash [32]byte) (identity.PasswordLink, error) {
	l, err := one(ctx, db, func(r row) (l identity.PasswordLink, err error) {
		return l, r.Scan(append(userInto(&l.User), &l.Org, intoTime(&l.ExpiresAt))...)
	}, `SELECT `+userColumns+`, l.org_id, l.expires_at FROM password_links l JOIN users u ON u.id = l.user_id WHERE l.token_hash = ?`, hash[:])
	return l, db.failed("find link", err)
}

// ResetPassword implements identity.Store. The update of the user comes first,
// as in SetPassword.
func (db *DB) ResetPassword(ctx context.Context, link [32]byte, user pam.UserID, hash string, now time.Time, e audit.Entry) error {
	return db.write(ctx, "reset password", func(ctx context.Context, tx *Tx) error {
		tx.changed(pam.InstanceOrg, pam.SubjectUser, string(user))
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE users SET password_hash = ?, must_change = ? WHERE id = ? AND EXISTS (
			SELECT 1 FROM password_links l JOIN memberships m ON m.org_id = l.org_id AND m.user_id = l.user_id AND m.status = 'active'
			WHERE l.user_id = users.id AND l.org_id = users.home_org_id AND l.token_hash = ? AND l.expires_at > ?)`, hash, false, user, link[:], micros(now)); err != nil {
			return err
		}
		for _, text := range []string{`DELETE FROM password_links WHERE user_id = ?`, `DELETE FROM logins WHERE user_id = ?`} {
			if _, err := tx.exec(ctx, text, user); err != nil {
				return err
			}
		}
		return cutPasswordSessions(ctx, tx, user, "")
	}, e)
}

// Rehash implements identity.Store.
func (db *DB) Rehash(ctx context.Context, user pam.UserID, old, hash string) error {
	return db.write(ctx, "rehash password", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?`, hash, user, old)
		return err
	})
}

// SetUserName implements identity.Store.
func (db *DB) SetUserName(ctx context.Context, user pam.UserID, name string, e audit.Entry) error {
	return db.write(ctx, "set name", func(ctx context.Context, tx *Tx) error {
		tx.changed(pam.InstanceOrg, pam.SubjectUser, string(user))
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE users SET name = ? WHERE id = ?`, name, user); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `UPDATE memberships SET name = ? WHERE user_id = ? AND status <> 'invited'`, name, user)
		return err
	}, e)
}

// CreateAccessToken implements identity.Store.
func (db *DB) CreateAccessToken(ctx context.Context, t identity.AccessToken, e audit.Entry) error {
	return db.write(ctx, "create personal access token", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO access_tokens (id, org_id, user_id, name, scopes, token_hash, created_at, expires_at, last_used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.ID, t.Org, t.User, t.Name, asJSON(t.Scopes), t.TokenHash[:], micros(t.CreatedAt), micros(t.ExpiresAt), 0)
		return err
	}, e)
}

// AccessTokensOf implements identity.Store.
func (db *DB) AccessTokensOf(ctx context.Context, id pam.OrgID, user pam.UserID) ([]identity.AccessToken, error) {
	ts, err := list(ctx, db, func(r row) (identity.AccessToken, error) {
		var t identity.AccessToken
		err := r.Scan(tokenInto(&t)...)
		return t, err
	}, `SELECT `+tokenColumns+` FROM access_tokens t WHERE t.org_id = ? AND t.user_id = ? ORDER BY t.id DESC LIMIT 1000`, id, user)
	return ts, db.failed("list personal access tokens", err)
}

// RevokeAccessToken implements identity.Store.
func (db *DB) RevokeAccessToken(ctx context.Context, id pam.OrgID, user pam.UserID, token pam.TokenID, e audit.Entry) error {
	return db.write(ctx, "revoke personal access token", func(ctx context.Context, tx *Tx) error {
		tx.changed(id, pam.SubjectLogin, string(token))
		if err := tx.mustTouch(ctx, pam.NotFound, `DELETE FROM access_tokens WHERE org_id = ? AND user_id = ? AND id = ?`, id, user, token); err != nil {
			return err
		}
		return cutSessions(ctx, tx, user, string(token), "token")
	}, e)
}

// AddSSHKey implements identity.Store.
func (db *DB) AddSSHKey(ctx context.Context, k identity.SSHKey, e audit.Entry) error {
	return db.write(ctx, "add SSH key", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO ssh_keys (id, user_id, name, public_key, fingerprint, only_org, created_at, last_used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			k.ID, k.User, k.Name, k.PublicKey, k.Fingerprint, k.Only, micros(k.CreatedAt), 0)
		return err
	}, e)
}

// SSHKeysOf implements identity.Store.
func (db *DB) SSHKeysOf(ctx context.Context, user pam.UserID) ([]identity.SSHKey, error) {
	ks, err := list(ctx, db, func(r row) (identity.SSHKey, error) {
		var k identity.SSHKey
		err := r.Scan(&k.ID, &k.User, &k.Name, &k.PublicKey, &k.Fingerprint, &k.Only, intoTime(&k.CreatedAt), intoTime(&k.LastUsedAt))
		return k, err
	}, `SELECT id, user_id, name, public_key, fingerprint, only_org, created_at, last_used_at FROM ssh_keys WHERE user_id = ? ORDER BY id DESC`, user)
	return ks, db.failed("list SSH keys", err)
}

// RemoveSSHKey implements identity.Store.
func (db *DB) RemoveSSHKey(ctx context.Context, user pam.UserID, id pam.KeyID, e audit.Entry) error {
	return db.write(ctx, "remove SSH key", func(ctx context.Context, tx *Tx) error {
		tx.changed(pam.InstanceOrg, pam.SubjectUser, string(user))
		if err := tx.mustTouch(ctx, pam.NotFound, `DELETE FROM ssh_keys WHERE user_id = ? AND id = ?`, user, id); err != nil {
			return err
		}
		return cutSessions(ctx, tx, user, string(id), "key")
	}, e)
}

// Touch implements identity.Store. It announces nothing: nobody rests on when
// a token was used.
func (db *DB) Touch(ctx context.Context, used identity.Used) error {
	return db.write(ctx, "note last use", func(ctx context.Context, tx *Tx) error {
		for user, id := range used.Orgs {
			if _, err := tx.exec(ctx, `UPDATE users SET active_org_id = ? WHERE id = ?`, id, user); err != nil {
				return err
			}
		}
		for id, at := range used.Logins {
			if _, err := tx.exec(ctx, `UPDATE logins SET used_at = ? WHERE id = ? AND used_at < ?`, micros(at), id, micros(at)); err != nil {
				return err
			}
		}
		for id, at := range used.Tokens {
			if _, err := tx.exec(ctx, `UPDATE access_tokens SET last_used_at = ? WHERE id = ?`, micros(at), id); err != nil {
				return err
			}
		}
		for id, at := range used.Keys {
			if _, err := tx.exec(ctx, `UPDATE ssh_keys SET last_used_at = ? WHERE id = ?`, micros(at), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteExpired implements identity.Store.
func (db *DB) DeleteExpired(ctx context.Context, t time.Time) error {
	return db.write(ctx, "delete expired logins and tokens", func(ctx context.Context, tx *Tx) error {
		for _, text := range []string{`DELETE FROM password_links WHERE expires_at < ?`, `DELETE FROM logins WHERE expires_at < ?`, `DELETE FROM access_tokens WHERE expires_at < ?`} {
			if _, err := tx.exec(ctx, text, micros(t)); err != nil {
				return err
			}
		}
		return nil
	})
}
