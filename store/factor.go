package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"vaultpam/internal/passkey"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
)

// FactorsOf implements identity.Store.
func (db *DB) FactorsOf(ctx context.Context, user pam.UserID) ([]identity.Factor, int, error) {
	fs, err := list(ctx, db, func(r row) (f identity.Factor, err error) {
		var id, public []byte
		var count sql.NullInt64
		var syncable sql.NullBool
		var transports sql.NullString
		if err := r.Scan(&f.ID, &f.User, &f.Kind, &f.Label, &f.Sealed, &f.LastStep, intoTime(&f.CreatedAt), intoTime(&f.ConfirmedAt), intoTime(&f.LastUsedAt), &id, &public, &count, &syncable, &transports); err != nil {
			return f, err
		}
		if len(id) > 0 {
			f.Key = &passkey.Key{ID: id, PublicKey: public, Count: uint32(count.Int64), Syncable: syncable.Bool}
			err = json.Unmarshal([]byte(transports.String), &f.Key.Transports)
		}
		return f, err
	}, `SELECT f.factor_id, f.user_id, f.kind, f.label, f.sealed, f.last_step, f.created_at, f.confirmed_at, f.last_used_at, k.credential_id, k.public_key, k.sign_count, k.syncable, k.transports
		FROM factors f LEFT JOIN passkeys k ON k.user_id = f.user_id AND k.factor_id = f.factor_id WHERE f.user_id = ? ORDER BY f.factor_id`, user)
	if err != nil || len(fs) == 0 {
		return fs, 0, db.failed("list second factors", err)
	}
	left, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM recovery_codes WHERE user_id = ? AND used_at = 0`, user)
	return fs, int(left), db.failed("count recovery codes", err)
}

// HasRecoveryCode implements identity.Store.
func (db *DB) HasRecoveryCode(ctx context.Context, user pam.UserID, hash [32]byte) (bool, error) {
	n, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM recovery_codes WHERE user_id = ? AND code_hash = ? AND used_at = 0`, user, hash[:])
	return n > 0, db.failed("find recovery code", err)
}

// AddFactor implements identity.Store.
func (db *DB) AddFactor(ctx context.Context, f identity.Factor, most int) error {
	return db.write(ctx, "add second factor", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM factors WHERE user_id = ? AND confirmed_at = 0`, f.User); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM factors WHERE user_id = ?`, f.User)
		if err != nil {
			return err
		}
		if n >= int64(most) {
			return pam.Errorf(pam.Conflict, "", "There are %d second factors already; remove one first.", most)
		}
		_, err = tx.exec(ctx, `INSERT INTO factors (user_id, factor_id, kind, label, sealed, last_step, created_at, confirmed_at, last_used_at) VALUES (?, ?, ?, ?, ?, 0, ?, 0, 0)`,
			f.User, f.ID, f.Kind, f.Label, f.Sealed, micros(f.CreatedAt))
		return err
	})
}

// ConfirmFactor implements identity.Store.
func (db *DB) ConfirmFactor(ctx context.Context, u identity.FactorUse, by pam.LoginID, keep bool, recovery [][32]byte, entries ...audit.Entry) error {
	return db.write(ctx, "confirm second factor", func(ctx context.Context, tx *Tx) error {
		if err := tx.mustTouch(ctx, pam.Conflict, `UPDATE factors SET confirmed_at = ?, last_used_at = ?, last_step = ? WHERE user_id = ? AND factor_id = ? AND confirmed_at = 0`,
			micros(u.At), micros(u.At), u.Step, u.User, u.Factor); err != nil {
			return err
		}
		if u.Key != nil {
			if err := keepPasskey(ctx, tx, u); err != nil {
				return err
			}
		}
		if len(recovery) > 0 {
			if err := setRecovery(ctx, tx, u.User, recovery); err != nil {
				return err
			}
		}
		if !keep {
			by = ""
		}
		if err := endOtherLogins(ctx, tx, u.User, by); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `UPDATE logins SET sso_mfa = TRUE, step_up_at = ? WHERE id = ? AND user_id = ? AND only_org = ''`, micros(u.At), by, u.User)
		return err
	}, entries...)
}

// endOtherLogins ends what was made without the factors that there are now.
func endOtherLogins(ctx context.Context, tx *Tx, user pam.UserID, but pam.LoginID) error {
	tx.changed(pam.InstanceOrg, pam.SubjectUser, string(user))
	if _, err := tx.exec(ctx, `DELETE FROM logins WHERE user_id = ? AND id <> ? AND only_org = ''`, user, but); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM mfa_challenges WHERE user_id = ?`, user); err != nil {
		return err
	}
	return takeBackDevices(ctx, tx, user, "")
}

func setRecovery(ctx context.Context, tx *Tx, user pam.UserID, hashes [][32]byte) error {
	if _, err := tx.exec(ctx, `DELETE FROM recovery_codes WHERE user_id = ?`, user); err != nil {
		return err
	}
	for _, h := range hashes {
		if _, err := tx.exec(ctx, `INSERT INTO recovery_codes (user_id, code_hash, used_at) VALUES (?, ?, 0)`, user, h[:]); err != nil {
			return err
		}
	}
	return nil
}

// SetRecoveryCodes implements identity.Store.
func (db *DB) SetRecoveryCodes(ctx context.Context, user pam.UserID, hashes [][32]byte, e audit.Entry) error {
	return db.write(ctx, "set recovery codes", func(ctx context.Context, tx *Tx) error { return setRecovery(ctx, tx, user, hashes) }, e)
}

// RemoveFactor implements identity.Store.
func (db *DB) RemoveFactor(ctx context.Context, user pam.UserID, id pam.FactorID, by pam.LoginID, entries ...audit.Entry) error {
	return db.write(ctx, "remove second factor", func(ctx context.Context, tx *Tx) error {
		if err := tx.mustTouch(ctx, pam.NotFound, `DELETE FROM factors WHERE user_id = ? AND factor_id = ?`, user, id); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM recovery_codes WHERE user_id = ? AND NOT EXISTS (SELECT 1 FROM factors f WHERE f.user_id = recovery_codes.user_id AND f.confirmed_at <> 0)`, user); err != nil {
			return err
		}
		return endOtherLogins(ctx, tx, user, by)
	}, entries...)
}

// ResetFactors implements org.Store: everything by which somebody shows a
// second factor goes, and all that was opened with it.
func (db *DB) ResetFactors(ctx context.Context, org pam.OrgID, user pam.UserID, entries ...audit.Entry) error {
	return db.write(ctx, "reset second factors", func(ctx context.Context, tx *Tx) error {
		// The row is locked, so that nobody adds one meanwhile.
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE users SET name = name WHERE id = ? AND home_org_id = ?`, user, org); err != nil {
			return err
		}
		for _, text := range []string{`DELETE FROM factors WHERE user_id = ?`, `DELETE FROM recovery_codes WHERE user_id = ?`} {
			if _, err := tx.exec(ctx, text, user); err != nil {
				return err
			}
		}
		if _, err := tx.exec(ctx, `UPDATE sessions SET kill_reason = 'ended: the second factors were reset' WHERE user_id = ? AND status IN ('pending', 'active') AND kill_reason = ''`, user); err != nil {
			return err
		}
		return endOtherLogins(ctx, tx, user, "")
	}, entries...)
}

// useUp makes a proof good for nothing more.
func useUp(ctx context.Context, tx *Tx, u identity.FactorUse) error {
	if u.Factor == "" {
		return tx.mustTouch(ctx, pam.Conflict, `UPDATE recovery_codes SET used_at = ? WHERE user_id = ? AND code_hash = ? AND used_at = 0`, micros(u.At), u.User, u.Recovery[:])
	}
	if u.Key != nil {
		return usePasskey(ctx, tx, u)
	}
	return tx.mustTouch(ctx, pam.Conflict, `UPDATE factors SET last_step = ?, last_used_at = ? WHERE user_id = ? AND factor_id = ? AND confirmed_at <> 0 AND last_step < ?`,
		u.Step, micros(u.At), u.User, u.Factor, u.Step)
}

// UseFactor implements identity.Store.
func (db *DB) UseFactor(ctx context.Context, u identity.FactorUse, e audit.Entry) error {
	return db.write(ctx, "use second factor", func(ctx context.Context, tx *Tx) error { return useUp(ctx, tx, u) }, e)
}

// StepUpByFactor implements identity.Store.
func (db *DB) StepUpByFactor(ctx context.Context, u identity.FactorUse, id pam.LoginID, e audit.Entry) error {
	return db.write(ctx, "step up", func(ctx context.Context, tx *Tx) error {
		if err := useUp(ctx, tx, u); err != nil {
			return err
		}
		tx.changed(pam.InstanceOrg, pam.SubjectLogin, string(id))
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE logins SET step_up_at = ?, sso_mfa = TRUE WHERE id = ? AND user_id = ?`, micros(u.At), id, u.User)
	}, e)
}

// CreateLoginByFactor implements identity.Store.
func (db *DB) CreateLoginByFactor(ctx context.Context, l identity.Login, u identity.FactorUse, challenge *[32]byte, entries ...audit.Entry) error {
	return db.write(ctx, "create login", func(ctx context.Context, tx *Tx) error {
		if challenge != nil {
			if err := tx.mustTouch(ctx, pam.Conflict, `DELETE FROM mfa_challenges WHERE token_hash = ? AND user_id = ?`, challenge[:], u.User); err != nil {
				return err
			}
		}
		if err := useUp(ctx, tx, u); err != nil {
			return err
		}
		return insertLogin(ctx, tx, l)
	}, entries...)
}

// CreateChallenge implements identity.Store.
func (db *DB) CreateChallenge(ctx context.Context, c identity.Challenge, most int, e audit.Entry) error {
	return db.write(ctx, "ask for second factor", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM mfa_challenges WHERE expires_at <= ?`, micros(c.CreatedAt)); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM mfa_challenges WHERE user_id = ? AND token_hash NOT IN (SELECT x.token_hash FROM mfa_challenges x WHERE x.user_id = ? ORDER BY x.created_at DESC LIMIT ?)`,
			c.User, c.User, most-1); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO mfa_challenges (token_hash, user_id, purpose, method, wrong, created_at, expires_at) VALUES (?, ?, ?, ?, 0, ?, ?)`,
			c.TokenHash[:], c.User, c.Purpose, c.Method, micros(c.CreatedAt), micros(c.ExpiresAt))
		return err
	}, e)
}

// ChallengeByToken implements identity.Store.
func (db *DB) ChallengeByToken(ctx context.Context, hash [32]byte, now time.Time) (identity.Challenge, error) {
	c, err := one(ctx, db, func(r row) (c identity.Challenge, err error) {
		return c, r.Scan(intoHash(&c.TokenHash), &c.User, &c.Purpose, &c.Method, intoTime(&c.CreatedAt), intoTime(&c.ExpiresAt))
	}, `SELECT token_hash, user_id, purpose, method, created_at, expires_at FROM mfa_challenges WHERE token_hash = ? AND expires_at > ?`, hash[:], micros(now))
	return c, db.failed("find sign-in", err)
}

// FailChallenge implements identity.Store.
func (db *DB) FailChallenge(ctx context.Context, hash [32]byte, most int) error {
	return db.write(ctx, "count wrong code", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `UPDATE mfa_challenges SET wrong = wrong + 1 WHERE token_hash = ?`, hash[:]); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `DELETE FROM mfa_challenges WHERE token_hash = ? AND wrong >= ?`, hash[:], most)
		return err
	})
}
