package store

import (
	"context"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/pam/sso"
)

const workloadColumns = `w.org_id, w.rule_id, w.name, w.issuer, w.conditions, w.user_id, w.scopes, w.ttl_seconds, w.enabled, w.version, w.created_at, w.updated_at`

func scanWorkload(r row) (sso.WorkloadRule, error) {
	var w sso.WorkloadRule
	var seconds int64
	err := r.Scan(&w.Org, &w.ID, &w.Name, &w.Issuer, intoJSON(&w.Conditions), &w.User, intoJSON(&w.Scopes), &seconds, &w.Enabled, &w.Version, intoTime(&w.CreatedAt), intoTime(&w.UpdatedAt))
	w.TTL = time.Duration(seconds) * time.Second
	return w, err
}

func errWorkloadName() error {
	return &pam.Error{Kind: pam.Conflict, Public: "There is a rule of this name already."}
}

// lends checks that the user is a service user of the organization, and what
// acting as it gives.
func lends(ctx context.Context, tx *Tx, org pam.OrgID, g sso.Gives) error {
	n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = ? AND m.user_id = ? AND u.machine AND u.home_org_id = m.org_id AND m.status <> 'invited'`, org, g.User)
	if err != nil {
		return err
	}
	if n == 0 {
		return invalid("user_id", "is not a service user of this organization")
	}
	return given(ctx, tx, org, g)
}

// CreateWorkloadRule is sso.Store's.
func (db *DB) CreateWorkloadRule(ctx context.Context, org pam.OrgID, r sso.WorkloadRule, g sso.Gives, e audit.Entry) error {
	return db.write(ctx, "create workload rule", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, org); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM workload_rules WHERE org_id = ?`, org)
		if err != nil {
			return err
		}
		if n >= sso.MaxWorkloads {
			return pam.Errorf(pam.Conflict, "", "An organization has at most %d rules.", sso.MaxWorkloads)
		}
		if err := lends(ctx, tx, org, g); err != nil {
			return err
		}
		n, err = tx.exec(ctx, `INSERT INTO workload_rules (org_id, rule_id, name, sort_key, issuer, conditions, user_id, scopes, ttl_seconds, enabled, version, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, sort_key) DO NOTHING`,
			org, r.ID, r.Name, naming.Key(r.Name), r.Issuer, asJSON(r.Conditions), r.User, asJSON(r.Scopes), int64(r.TTL/time.Second), r.Enabled, r.Version, micros(r.CreatedAt), micros(r.UpdatedAt))
		if err == nil && n == 0 {
			err = errWorkloadName()
		}
		return err
	}, e)
}

// WorkloadRule is sso.Store's.
func (db *DB) WorkloadRule(ctx context.Context, org pam.OrgID, id pam.WorkloadRuleID) (sso.WorkloadRule, error) {
	r, err := one(ctx, db, scanWorkload, `SELECT `+workloadColumns+` FROM workload_rules w WHERE w.org_id = ? AND w.rule_id = ?`, org, id)
	return r, db.failed("read workload rule", err)
}

// WorkloadRules is sso.Store's.
func (db *DB) WorkloadRules(ctx context.Context, org pam.OrgID) ([]sso.WorkloadRule, error) {
	out, err := list(ctx, db, scanWorkload, `SELECT `+workloadColumns+` FROM workload_rules w WHERE w.org_id = ? ORDER BY w.sort_key`, org)
	return out, db.failed("list workload rules", err)
}

// RulesOfIssuer is sso.Store's.
func (db *DB) RulesOfIssuer(ctx context.Context, org, issuer string) (pam.OrgID, []sso.WorkloadRule, error) {
	out, err := list(ctx, db, scanWorkload, `SELECT `+workloadColumns+` FROM organizations o JOIN workload_rules w ON w.org_id = o.id WHERE (o.id = ? OR o.slug = ?) AND w.issuer = ? AND w.enabled ORDER BY w.org_id, w.sort_key`,
		org, org, issuer)
	if err != nil || len(out) == 0 {
		return "", nil, db.failed("find workload rules", err)
	}
	return out[0].Org, out, nil
}

// UpdateWorkloadRule is sso.Store's.
func (db *DB) UpdateWorkloadRule(ctx context.Context, org pam.OrgID, r sso.WorkloadRule, version int64, g sso.Gives, e audit.Entry) error {
	return db.write(ctx, "update workload rule", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, org); err != nil {
			return err
		}
		taken, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM workload_rules WHERE org_id = ? AND sort_key = ? AND rule_id <> ?`, org, naming.Key(r.Name), r.ID)
		if err != nil {
			return err
		}
		if taken > 0 {
			return errWorkloadName()
		}
		if err := lends(ctx, tx, org, g); err != nil {
			return err
		}
		if err := tx.compareAndSet(ctx, pam.Precondition, `UPDATE workload_rules SET name = ?, sort_key = ?, issuer = ?, conditions = ?, user_id = ?, scopes = ?, ttl_seconds = ?, enabled = ?, version = ?, updated_at = ?
			WHERE org_id = ? AND rule_id = ? AND version = ?`,
			[]any{r.Name, naming.Key(r.Name), r.Issuer, asJSON(r.Conditions), r.User, asJSON(r.Scopes), int64(r.TTL / time.Second), r.Enabled, r.Version, micros(r.UpdatedAt), org, r.ID, version},
			`SELECT 1 FROM workload_rules WHERE org_id = ? AND rule_id = ?`, org, r.ID); err != nil {
			return err
		}
		return endWorkload(ctx, tx, org, r.ID)
	}, e)
}

// DeleteWorkloadRule is sso.Store's.
func (db *DB) DeleteWorkloadRule(ctx context.Context, org pam.OrgID, id pam.WorkloadRuleID, version int64, e audit.Entry) error {
	return db.write(ctx, "delete workload rule", func(ctx context.Context, tx *Tx) error {
		if err := tx.compareAndSet(ctx, pam.Precondition, `DELETE FROM workload_rules WHERE org_id = ? AND rule_id = ? AND version = ?`,
			[]any{org, id, version}, `SELECT 1 FROM workload_rules WHERE org_id = ? AND rule_id = ?`, org, id); err != nil {
			return err
		}
		return endWorkload(ctx, tx, org, id)
	}, e)
}

// endWorkload ends the tokens that a rule has given, and what was opened with
// them.
func endWorkload(ctx context.Context, tx *Tx, org pam.OrgID, id pam.WorkloadRuleID) error {
	type token struct {
		id   pam.TokenID
		user pam.UserID
	}
	found, err := list(ctx, tx, func(r row) (t token, err error) { return t, r.Scan(&t.id, &t.user) },
		`SELECT id, user_id FROM access_tokens WHERE org_id = ? AND workload_rule = ?`, org, id)
	if err != nil {
		return err
	}
	for _, t := range found {
		tx.changed(org, pam.SubjectLogin, string(t.id))
		if err := cutSessions(ctx, tx, t.user, string(t.id), "token"); err != nil {
			return err
		}
	}
	_, err = tx.exec(ctx, `DELETE FROM access_tokens WHERE org_id = ? AND workload_rule = ?`, org, id)
	return err
}

// CreateWorkloadToken implements identity.Store.
func (db *DB) CreateWorkloadToken(ctx context.Context, t identity.AccessToken, version int64, most int, e audit.Entry) error {
	return db.write(ctx, "give token to workload", func(ctx context.Context, tx *Tx) error {
		n, err := one(ctx, tx, scalar[int], `SELECT COUNT(*) FROM access_tokens WHERE org_id = ? AND workload_rule = ? AND expires_at > ?`, t.Org, t.Workload, micros(t.CreatedAt))
		if err != nil {
			return err
		}
		if n >= most {
			return &pam.Error{Kind: pam.TooMany, Public: "Too many tokens of this rule are valid. Try again later."}
		}
		// The row of the rule is locked: whoever changes it ends this token, too.
		if err := tx.mustTouch(ctx, pam.AuthFailed, `UPDATE workload_rules SET version = version WHERE org_id = ? AND rule_id = ? AND version = ? AND enabled AND EXISTS (
			SELECT 1 FROM memberships m WHERE m.org_id = workload_rules.org_id AND m.user_id = workload_rules.user_id AND m.status = 'active')`, t.Org, t.Workload, version); err != nil {
			return err
		}
		_, err = tx.exec(ctx, `INSERT INTO access_tokens (id, org_id, user_id, name, scopes, token_hash, created_at, expires_at, last_used_at, workload_rule) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.ID, t.Org, t.User, t.Name, asJSON(t.Scopes), t.TokenHash[:], micros(t.CreatedAt), micros(t.ExpiresAt), 0, t.Workload)
		return err
	}, e)
}
