package store

import (
	"context"
	"encoding/json"
	"slices"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/confirmation"
	"vaultpam/pam/safe"
)

// holds is true of a confirmation c that holds credentials back: a redirection
// that no manager has confirmed, of a Safe that has something to lose by it.
const holds = `c.kind = 'redirection' AND c.status IN ('pending', 'rejected') AND EXISTS (
	SELECT 1 FROM safe_bindings b WHERE b.org_id = c.org_id AND b.safe_id = c.safe_id
	AND (b.account_id = c.account_id OR c.account_id = '' AND b.resource_id = c.resource_id))`

// hold makes a redirection wait for a manager of each of the Safes, in place
// of earlier ones of the same target. The word of whoever redirects counts
// where they are a manager, unless the organization wants two, or something is
// held back there already: that they have not confirmed.
func hold(ctx context.Context, tx *Tx, org pam.OrgID, h pam.Hold, resource pam.ResourceID, account pam.AccountID, safes []pam.SafeID) error {
	same := `org_id = ? AND resource_id = ? AND account_id = ? AND kind = 'redirection' AND status IN ('pending', 'rejected')`
	open, err := list(ctx, tx, scalar[pam.SafeID], `SELECT safe_id FROM confirmations WHERE `+same, org, resource, account)
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `UPDATE confirmations SET status = 'superseded', decided_at = ? WHERE `+same, micros(h.At), org, resource, account); err != nil {
		return err
	}
	manages, err := list(ctx, tx, scalar[pam.SafeID], managedSafes, managedArgs(org, h.By, h.At)...)
	if err != nil {
		return err
	}
	for _, id := range safes {
		if !h.Dual && slices.Contains(manages, id) && !slices.Contains(open, id) {
			continue
		}
		c := confirmation.Confirmation{
			ID: h.NewID(), Kind: confirmation.Redirection, Safe: id, Resource: resource, Account: account, Dual: h.Dual,
			Summary: h.Summary, RequestedBy: h.By, CreatedAt: h.At,
		}
		if err := insertConfirmation(ctx, tx, org, c, ""); err != nil {
			return err
		}
	}
	return nil
}

// firstHold returns the first confirmation that the pair waits for, or "".
func firstHold(ctx context.Context, tx *Tx, org pam.OrgID, resource pam.ResourceID, account pam.AccountID) (pam.ConfirmationID, error) {
	return one(ctx, tx, scalar[pam.ConfirmationID], `SELECT COALESCE(MIN(c.confirmation_id), '') FROM confirmations c
		WHERE c.org_id = ? AND c.resource_id = ? AND c.account_id = ? AND `+holds, org, resource, account)
}

func insertConfirmation(ctx context.Context, tx *Tx, org pam.OrgID, c confirmation.Confirmation, proposal string) error {
	_, err := tx.exec(ctx, `INSERT INTO confirmations (org_id, confirmation_id, kind, status, safe_id, resource_id, account_id, dual, summary, proposal, requested_by, created_at, decided_by, decided_at, policy_id)
		VALUES (?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, '', 0, ?)`,
		org, c.ID, c.Kind, c.Safe, c.Resource, c.Account, c.Dual, c.Summary, proposal, c.RequestedBy, micros(c.CreatedAt), c.Policy)
	return err
}

// proposed is a weakening as it is kept until a second manager's word.
type proposed struct {
	Name       string              `json:"name"`
	Slug       string              `json:"slug"`
	Visibility safe.Visibility     `json:"visibility"`
	Settings   safe.Settings       `json:"settings"`
	Version    int64               `json:"version"`
	Facts      []safe.AccountFacts `json:"facts,omitempty"`
}

// ProposeSafe stores a weakening for a second manager.
func (db *DB) ProposeSafe(ctx context.Context, org pam.OrgID, p safe.Proposal, e audit.Entry) error {
	s := p.Safe
	text := asJSON(proposed{Name: s.Name, Slug: s.Slug, Visibility: s.Visibility, Settings: s.Settings, Version: p.Version, Facts: p.Facts})
	return db.write(ctx, "propose weakening", func(ctx context.Context, tx *Tx) error {
		// The row is locked, so that the version is the one that is proposed for.
		if err := tx.compareAndSet(ctx, pam.Precondition, `UPDATE safes SET version = version WHERE org_id = ? AND safe_id = ? AND version = ?`,
			[]any{org, s.ID, p.Version}, `SELECT 1 FROM safes WHERE org_id = ? AND safe_id = ?`, org, s.ID); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE confirmations SET status = 'superseded', decided_at = ? WHERE org_id = ? AND safe_id = ? AND kind = 'weakening' AND policy_id = '' AND status = 'pending'`,
			micros(p.At), org, s.ID); err != nil {
			return err
		}
		return insertConfirmation(ctx, tx, org, confirmation.Confirmation{
			ID: p.ID, Kind: confirmation.Weakening, Safe: s.ID, Dual: true, Summary: p.Summary, RequestedBy: p.By, CreatedAt: p.At,
		}, text)
	}, e)
}

const confirmationColumns = `c.org_id, c.confirmation_id, c.kind, c.status, c.safe_id, c.resource_id, c.account_id, c.dual, c.summary, c.requested_by, c.created_at, c.decided_by, c.decided_at, c.policy_id`

func scanConfirmation(r row) (confirmation.Confirmation, error) {
	var c confirmation.Confirmation
	err := r.Scan(&c.Org, &c.ID, &c.Kind, &c.Status, &c.Safe, &c.Resource, &c.Account, &c.Dual, &c.Summary, &c.RequestedBy, intoTime(&c.CreatedAt), &c.DecidedBy, intoTime(&c.DecidedAt), &c.Policy)
	return c, err
}

// ConfirmationByID returns a confirmation of org.
func (db *DB) ConfirmationByID(ctx context.Context, org pam.OrgID, id pam.ConfirmationID) (confirmation.Confirmation, error) {
	out, err := one(ctx, db, scanConfirmation, `SELECT `+confirmationColumns+` FROM confirmations c WHERE c.org_id = ? AND c.confirmation_id = ?`, org, id)
	return out, db.failed("read confirmation", err)
}

// Redirected says whether the user had a part in what c waits for: whoever
// changes a target that is held back already takes the place of those who
// changed it before, and confirms their changes with their own.
func (db *DB) Redirected(ctx context.Context, c confirmation.Confirmation, user pam.UserID) (bool, error) {
	const same = `org_id = ? AND safe_id = ? AND resource_id = ? AND account_id = ? AND kind = 'redirection'`
	of := []any{c.Org, c.Safe, c.Resource, c.Account}
	n, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM confirmations WHERE `+same+` AND requested_by = ? AND confirmation_id <= ?
		AND confirmation_id > (SELECT COALESCE(MAX(confirmation_id), '') FROM confirmations WHERE `+same+` AND status = 'confirmed')`,
		slices.Concat(of, []any{user, c.ID}, of)...)
	return n > 0, db.failed("read confirmations", err)
}

// ListConfirmations returns a page, newest first.
func (db *DB) ListConfirmations(ctx context.Context, org pam.OrgID, q confirmation.Query) ([]confirmation.Confirmation, error) {
	var w where
	w.and("c.org_id = ?", org)
	if !q.All {
		w.and("(c.requested_by = ? OR c.safe_id IN ("+managedSafes+"))", append([]any{q.User}, managedArgs(org, q.User, q.Now)...)...)
	}
	if q.Status != "" {
		w.and("c.status = ?", q.Status)
	}
	if q.Safe != "" {
		w.and("c.safe_id = ?", q.Safe)
	}
	if q.After != "" {
		w.and("c.confirmation_id < ?", q.After)
	}
	out, err := list(ctx, db, scanConfirmation, `SELECT `+confirmationColumns+` FROM confirmations c WHERE `+w.String()+` ORDER BY c.confirmation_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list confirmations", err)
}

// DecideConfirmation writes a manager's word and applies a weakening that is
// confirmed.
func (db *DB) DecideConfirmation(ctx context.Context, org pam.OrgID, c confirmation.Confirmation, d confirmation.Decision, entries ...audit.Entry) error {
	return db.write(ctx, "decide confirmation", func(ctx context.Context, tx *Tx) error {
		err := tx.compareAndSet(ctx, pam.Conflict, `UPDATE confirmations SET status = ?, decided_by = ?, decided_at = ? WHERE org_id = ? AND confirmation_id = ? AND status = ?`,
			[]any{d.To, d.By, micros(d.At), org, c.ID, c.Status}, `SELECT 1 FROM confirmations WHERE org_id = ? AND confirmation_id = ?`, org, c.ID)
		if err != nil {
			return err
		}
		tx.changed(org, pam.SubjectSafe, string(c.Safe))
		if c.Policy != "" {
			return decidePart(ctx, tx, org, c, d)
		}
		if c.Kind != confirmation.Weakening || d.To != confirmation.Confirmed {
			return nil
		}
		text, err := one(ctx, tx, scalar[string], `SELECT proposal FROM confirmations WHERE org_id = ? AND confirmation_id = ?`, org, c.ID)
		if err != nil {
			return err
		}
		var p proposed
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return err
		}
		s := safe.Safe{ID: c.Safe, Org: org, Settings: p.Settings, UpdatedAt: d.At}
		s.Name, s.Slug, s.Visibility = p.Name, p.Slug, p.Visibility
		h := pam.Hold{By: c.RequestedBy, At: d.At, Dual: true, Summary: c.Summary, NewID: d.NewID}
		_, err = updateSafe(ctx, tx, org, s, p.Version, p.Facts, h)
		if pam.Is(err, pam.Precondition) {
			return &pam.Error{Kind: pam.Conflict, Public: "The Safe has changed since this was requested; request it again."}
		}
		return err
	}, entries...)
}

// Blocked says whether the account's credential is held back at the resource.
// Each Safe that holds the account has a say, because it is the same secret
// whichever of them it is used through.
func (db *DB) Blocked(ctx context.Context, org pam.OrgID, resource pam.ResourceID, account pam.AccountID, id pam.SafeID) (bool, error) {
	n, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM confirmations c WHERE c.org_id = ? AND `+holds+`
		AND (c.account_id = ? AND c.resource_id IN ('', ?)
			OR c.account_id = '' AND c.resource_id = ? AND (c.safe_id = ? OR EXISTS (
				SELECT 1 FROM safe_bindings x WHERE x.org_id = c.org_id AND x.safe_id = c.safe_id AND x.account_id = ?)))`,
		org, account, resource, resource, id, account)
	return n > 0, db.failed("read confirmations", err)
}
