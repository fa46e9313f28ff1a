package store

import (
	"context"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/rotation"
	"vaultpam/pam/safe"
)

// queueRotation asks, as part of the change that is the cause, that the
// credential of an account be changed from at on; what is asked for earlier
// stays. After a check-in or a session it does so if a Safe that binds the
// account says so, after an emergency always.
func queueRotation(ctx context.Context, tx *Tx, org pam.OrgID, id pam.AccountID, trigger string, at time.Time) error {
	if trigger != string(rotation.BreakGlass) {
		all, err := list(ctx, tx, func(r row) (s safe.Settings, err error) { return s, r.Scan(intoJSON(&s)) },
			`SELECT s.settings FROM safes s WHERE s.org_id = ? AND s.safe_id IN (SELECT b.safe_id FROM safe_bindings b WHERE b.org_id = ? AND b.account_id = ?)`, org, org, id)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(s safe.Settings) bool {
			return trigger == string(rotation.AfterCheckIn) && s.Rotation.AfterCheckIn || trigger == string(rotation.AfterSession) && s.Rotation.AfterSession
		}) {
			return nil
		}
	}
	// An account that is gone has nothing to change.
	_, err := tx.exec(ctx, `INSERT INTO rotation_due (org_id, account_id, trigger, due_at) SELECT org_id, account_id, ?, ? FROM accounts WHERE org_id = ? AND account_id = ?
		ON CONFLICT (org_id, account_id) DO UPDATE SET trigger = CASE WHEN excluded.due_at < rotation_due.due_at THEN excluded.trigger ELSE rotation_due.trigger END,
			due_at = CASE WHEN excluded.due_at < rotation_due.due_at THEN excluded.due_at ELSE rotation_due.due_at END`, trigger, micros(at), org, id)
	return err
}
