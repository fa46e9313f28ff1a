package store

import (
	"context"
	"encoding/json"
	"net/netip"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/confirmation"
	"vaultpam/pam/rulebook"
)

// addrOf reads an address that was kept; what is none is not known.
func addrOf(text string) netip.Addr {
	a, _ := netip.ParseAddr(text)
	return a
}

// proposedPolicy is a change of a policy as it is kept until the managers of
// the Safes that it weakens have confirmed.
type proposedPolicy struct {
	Settings rulebook.Settings `json:"settings"`
	Status   rulebook.Status   `json:"status"`
	Delete   bool              `json:"delete,omitempty"`
	Version  int64             `json:"version"`
	Book     int64             `json:"book"`
}

// ProposePolicy is rulebook.Store's.
func (db *DB) ProposePolicy(ctx context.Context, org pam.OrgID, p rulebook.Proposal, e audit.Entry) error {
	text := asJSON(proposedPolicy{Settings: p.Policy.Settings, Status: p.Policy.Status, Delete: p.Delete, Version: p.Version, Book: p.Book})
	return db.write(ctx, "propose change of policy", func(ctx context.Context, tx *Tx) error {
		// The row is locked, so that the version is the one that is proposed for.
		if err := tx.compareAndSet(ctx, pam.Precondition, `UPDATE policies SET version = version WHERE org_id = ? AND policy_id = ? AND version = ?`,
			[]any{org, p.Policy.ID, p.Version}, `SELECT 1 FROM policies WHERE org_id = ? AND policy_id = ?`, org, p.Policy.ID); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE confirmations SET status = 'superseded', decided_at = ? WHERE org_id = ? AND policy_id = ? AND status = 'pending'`,
			micros(p.At), org, p.Policy.ID); err != nil {
			return err
		}
		for _, w := range p.Wait {
			if err := insertConfirmation(ctx, tx, org, confirmation.Confirmation{
				ID: w.ID, Kind: confirmation.Weakening, Safe: w.Safe, Policy: p.Policy.ID, Dual: true, Summary: w.Summary, RequestedBy: p.By, CreatedAt: p.At,
			}, text); err != nil {
				return err
			}
			tx.changed(org, pam.SubjectSafe, string(w.Safe))
		}
		return nil
	}, e)
}

// sameChange are the confirmations that one change of a policy waits for: a
// later one takes the place of those before it.
const sameChange = `org_id = ? AND policy_id = ? AND created_at = ? AND requested_by = ?`

// Parts is confirmation.Store's.
func (db *DB) Parts(ctx context.Context, c confirmation.Confirmation) ([]confirmation.Part, error) {
	out, err := list(ctx, db, func(r row) (confirmation.Part, error) {
		var p confirmation.Part
		return p, r.Scan(&p.ID, &p.Safe, &p.Status)
	}, `SELECT confirmation_id, safe_id, status FROM confirmations WHERE `+sameChange+` ORDER BY confirmation_id`, c.Org, c.Policy, micros(c.CreatedAt), c.RequestedBy)
	return out, db.failed("read confirmations", err)
}

// decidePart goes on where one part of a change of a policy was decided. The
// change happens with the last of them.
func decidePart(ctx context.Context, tx *Tx, org pam.OrgID, c confirmation.Confirmation, d confirmation.Decision) error {
	same := []any{org, c.Policy, micros(c.CreatedAt), c.RequestedBy}
	// One after the other: two who decide the last two parts see each other.
	if _, err := tx.exec(ctx, `UPDATE policies SET version = version WHERE org_id = ? AND policy_id = ?`, org, c.Policy); err != nil {
		return err
	}
	if d.To == confirmation.Rejected {
		_, err := tx.exec(ctx, `UPDATE confirmations SET status = 'superseded', decided_at = ? WHERE `+sameChange+` AND status = 'pending'`, append([]any{micros(d.At)}, same...)...)
		return err
	}
	left, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM confirmations WHERE `+sameChange+` AND status = 'pending'`, same...)
	if err != nil {
		return err
	}
	if d.Last != (left == 0) {
		return &pam.Error{Kind: pam.Conflict, Public: "Somebody else has decided just now; try again."}
	}
	if left > 0 {
		return nil
	}
	text, err := one(ctx, tx, scalar[string], `SELECT proposal FROM confirmations WHERE org_id = ? AND confirmation_id = ?`, org, c.ID)
	if err != nil {
		return err
	}
	var p proposedPolicy
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	if p.Delete {
		err = deletePolicy(ctx, tx, org, c.Policy, p.Version, p.Book)
	} else {
		next := rulebook.Policy{ID: c.Policy, Org: org, Settings: p.Settings, Status: p.Status, UpdatedAt: d.At}
		err = updatePolicy(ctx, tx, org, next, p.Version, p.Book)
	}
	if pam.Is(err, pam.Precondition) || pam.Is(err, pam.Conflict) || pam.Is(err, pam.NotFound) {
		return &pam.Error{Kind: pam.Conflict, Public: "The policies have changed since this was requested; request it again.", Err: err}
	}
	return err
}
