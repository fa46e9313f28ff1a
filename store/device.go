package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
)

const deviceColumns = `id, code_hash, user_code, name, client_ip, user_agent, status, user_id, approved_by, step_up_at, created_at, expires_at, only_org, sso_provider, sso_identity, sso_mfa, wants_user`

func scanDevice(r row) (identity.Device, error) {
	var d identity.Device
	var hash []byte
	err := r.Scan(&d.ID, &hash, &d.UserCode, &d.Name, &d.ClientIP, &d.UserAgent, &d.Status, &d.User, &d.ApprovedBy, intoTime(&d.StepUpAt), intoTime(&d.CreatedAt), intoTime(&d.ExpiresAt), &d.Only, &d.Provider, &d.Identity, &d.SecondFactor, &d.Wants)
	copy(d.CodeHash[:], hash)
	return d, err
}

// CreateDevice implements identity.Store.
func (db *DB) CreateDevice(ctx context.Context, d identity.Device, most int) error {
	return db.write(ctx, "create device login", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM device_logins WHERE expires_at <= ?`, micros(d.CreatedAt)); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int], `SELECT COUNT(*) FROM device_logins`)
		if err != nil {
			return err
		}
		if n >= most {
			return &pam.Error{Kind: pam.Unavailable, Public: "Too many logins wait for somebody to approve them. Try again later."}
		}
		_, err = tx.exec(ctx, `INSERT INTO device_logins (`+deviceColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, '', '', 0, ?, ?, '', '', '', FALSE, ?)`,
			d.ID, d.CodeHash[:], d.UserCode, d.Name, d.ClientIP, d.UserAgent, d.Status, micros(d.CreatedAt), micros(d.ExpiresAt), d.Wants)
		return err
	})
}

// DeviceByUserCode implements identity.Store.
func (db *DB) DeviceByUserCode(ctx context.Context, code string, now time.Time) (identity.Device, error) {
	d, err := one(ctx, db, scanDevice, `SELECT `+deviceColumns+` FROM device_logins WHERE user_code = ? AND status = ? AND expires_at > ?`, code, identity.DevicePending, micros(now))
	return d, db.failed("read device login", err)
}

// DeviceByCode implements identity.Store.
func (db *DB) DeviceByCode(ctx context.Context, hash [32]byte, now time.Time) (identity.Device, error) {
	d, err := one(ctx, db, scanDevice, `SELECT `+deviceColumns+` FROM device_logins WHERE code_hash = ? AND expires_at > ?`, hash[:], micros(now))
	return d, db.failed("read device login", err)
}

// DecideDevice implements identity.Store.
func (db *DB) DecideDevice(ctx context.Context, d identity.Device, now time.Time, e audit.Entry) error {
	return db.write(ctx, "decide on device login", func(ctx context.Context, tx *Tx) error {
		if d.ApprovedBy != "" {
			if err := tx.mustTouch(ctx, pam.Unauthenticated, `UPDATE logins SET user_agent = user_agent WHERE id = ? AND user_id = ?`, d.ApprovedBy, d.User); err != nil {
				return err
			}
		}
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE device_logins SET status = ?, user_id = ?, approved_by = ?, step_up_at = ? WHERE id = ? AND status = ? AND expires_at > ?`,
			d.Status, d.User, d.ApprovedBy, micros(d.StepUpAt), d.ID, identity.DevicePending, micros(now)); err != nil {
			return err
		}
		// It counts where the login counts with which it was approved.
		_, err := tx.exec(ctx, `UPDATE device_logins SET only_org = l.only_org, sso_provider = l.sso_provider, sso_identity = l.sso_identity, sso_mfa = l.sso_mfa
			FROM logins l WHERE device_logins.id = ? AND l.id = device_logins.approved_by`, d.ID)
		return err
	}, e)
}

// RedeemDevice implements identity.Store.
func (db *DB) RedeemDevice(ctx context.Context, d identity.Device, l identity.Login, now time.Time, e audit.Entry) error {
	return db.write(ctx, "redeem device login", func(ctx context.Context, tx *Tx) error {
		if err := tx.mustTouch(ctx, pam.Conflict, `DELETE FROM device_logins WHERE id = ? AND status = ? AND user_id = ? AND expires_at > ?`,
			d.ID, identity.DeviceApproved, l.User, micros(now)); err != nil {
			return err
		}
		return insertLogin(ctx, tx, l)
	}, e)
}

// EndDevice implements identity.Store.
func (db *DB) EndDevice(ctx context.Context, d identity.Device, now time.Time, e audit.Entry) error {
	return db.write(ctx, "end device login", func(ctx context.Context, tx *Tx) error {
		return tx.mustTouch(ctx, pam.Conflict, `DELETE FROM device_logins WHERE id = ? AND status = ? AND user_id = ? AND expires_at > ?`, d.ID, identity.DeviceApproved, d.User, micros(now))
	}, e)
}

// takeBackDevices ends the approvals of a user that have not been fetched: all,
// or those given with one login.
func takeBackDevices(ctx context.Context, tx *Tx, user pam.UserID, login pam.LoginID) error {
	_, err := tx.exec(ctx, `DELETE FROM device_logins WHERE user_id = ? AND (approved_by = ? OR ? = '')`, user, login, login)
	return err
}
