package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
)

// keepPasskey keeps the key of a factor that is being confirmed, in place of
// its challenge.
func keepPasskey(ctx context.Context, tx *Tx, u identity.FactorUse) error {
	n, err := tx.exec(ctx, `INSERT INTO passkeys (credential_id, user_id, factor_id, public_key, sign_count, syncable, transports) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (credential_id) DO NOTHING`,
		u.Key.ID, u.User, u.Factor, u.Key.PublicKey, int64(u.Key.Count), u.Key.Syncable, asJSON(listed(u.Key.Transports)))
	if err != nil {
		return err
	}
	if n == 0 {
		return pam.Errorf(pam.Conflict, "", "This passkey is registered already.")
	}
	_, err = tx.exec(ctx, `UPDATE factors SET sealed = ? WHERE user_id = ? AND factor_id = ?`, []byte{}, u.User, u.Factor)
	return err
}

// usePasskey makes an answer good for nothing more: its ceremony ends, and its
// count has to go on. Keys that count nothing stay at 0.
func usePasskey(ctx context.Context, tx *Tx, u identity.FactorUse) error {
	if u.Ceremony != nil {
		if err := tx.mustTouch(ctx, pam.Conflict, `DELETE FROM passkey_challenges WHERE token_hash = ?`, u.Ceremony[:]); err != nil {
			return err
		}
	}
	goesOn, args := "sign_count < ?", []any{int64(u.Key.Count), u.User, u.Factor, u.Key.ID, int64(u.Key.Count)}
	if u.Key.Count == 0 {
		goesOn, args = "sign_count = 0", args[:4]
	}
	if err := tx.mustTouch(ctx, pam.Conflict, `UPDATE passkeys SET sign_count = ? WHERE user_id = ? AND factor_id = ? AND credential_id = ? AND `+goesOn, args...); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `UPDATE factors SET last_used_at = ? WHERE user_id = ? AND factor_id = ?`, micros(u.At), u.User, u.Factor)
	return err
}

// RenameFactor implements identity.Store.
func (db *DB) RenameFactor(ctx context.Context, user pam.UserID, id pam.FactorID, label string, e audit.Entry) error {
	return db.write(ctx, "rename second factor", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE factors SET label = ? WHERE user_id = ? AND factor_id = ?`, label, user, id)
	}, e)
}

// UserByPasskey implements identity.Store.
func (db *DB) UserByPasskey(ctx context.Context, credential []byte) (identity.User, error) {
	id, err := one(ctx, db, scalar[pam.UserID], `SELECT user_id FROM passkeys WHERE credential_id = ?`, credential)
	if err != nil {
		return identity.User{}, db.failed("find passkey", err)
	}
	return db.UserByID(ctx, id)
}

// CreatePasskeyChallenge implements identity.Store.
func (db *DB) CreatePasskeyChallenge(ctx context.Context, c identity.PasskeyChallenge, most int) error {
	return db.write(ctx, "ask for passkey", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM passkey_challenges WHERE expires_at <= ?`, micros(c.CreatedAt)); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int], `SELECT COUNT(*) FROM passkey_challenges`)
		if err != nil {
			return err
		}
		if n >= most {
			return &pam.Error{Kind: pam.Unavailable, Public: "Too many people sign in by passkey right now. Try again later."}
		}
		_, err = tx.exec(ctx, `INSERT INTO passkey_challenges (token_hash, user_id, login_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
			c.TokenHash[:], c.User, c.Login, micros(c.CreatedAt), micros(c.ExpiresAt))
		return err
	})
}

// PasskeyChallengeByToken implements identity.Store.
func (db *DB) PasskeyChallengeByToken(ctx context.Context, hash [32]byte, now time.Time) (identity.PasskeyChallenge, error) {
	c, err := one(ctx, db, func(r row) (c identity.PasskeyChallenge, err error) {
		return c, r.Scan(intoHash(&c.TokenHash), &c.User, &c.Login, intoTime(&c.CreatedAt), intoTime(&c.ExpiresAt))
	}, `SELECT token_hash, user_id, login_id, created_at, expires_at FROM passkey_challenges WHERE token_hash = ? AND expires_at > ?`, hash[:], micros(now))
	return c, db.failed("find passkey sign-in", err)
}
