package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
	"vaultpam/pam/rulebook"
)

var _ rulebook.Store = (*DB)(nil)

const policyColumns = `p.org_id, p.policy_id, p.name, p.description, p.status, p.action, p.conditions, p.jit, p.version, p.created_by, p.created_at, p.updated_at`

func scanPolicy(r row) (rulebook.Policy, error) {
	var p rulebook.Policy
	var jit policyJIT
	err := r.Scan(&p.Org, &p.ID, &p.Name, &p.Description, &p.Status, &p.Action, intoJSON(&p.Conditions), &jit, &p.Version, &p.CreatedBy, intoTime(&p.CreatedAt), intoTime(&p.UpdatedAt))
	p.JIT = jit.JIT
	return p, err
}

// policyJIT is the column that is empty for a policy without.
type policyJIT struct{ *policy.JIT }

func (j *policyJIT) Scan(src any) error {
	if src == "" {
		return nil
	}
	j.JIT = &policy.JIT{}
	return intoJSON(j.JIT).Scan(src)
}

func jitText(j *policy.JIT) string {
	if j == nil {
		return ""
	}
	return asJSON(j)
}

// PolicyByID is rulebook.Store's.
func (db *DB) PolicyByID(ctx context.Context, org pam.OrgID, id pam.PolicyID) (rulebook.Policy, error) {
	out, err := one(ctx, db, scanPolicy, `SELECT `+policyColumns+` FROM policies p WHERE p.org_id = ? AND p.policy_id = ?`, org, id)
	if err == nil {
		err = safesOf(ctx, db, org, []*rulebook.Policy{&out})
	}
	return out, db.failed("read policy", err)
}

// ListPolicies is rulebook.Store's.
func (db *DB) ListPolicies(ctx context.Context, org pam.OrgID, q rulebook.Query) ([]rulebook.Policy, error) {
	var w where
	w.and("p.org_id = ?", org)
	if q.Status != "" {
		w.and("p.status = ?", q.Status)
	}
	if q.Safe != "" {
		w.and("p.policy_id IN (SELECT policy_id FROM policy_safes WHERE org_id = ? AND safe_id = ?)", org, q.Safe)
	}
	if q.Text != "" {
		if !searchable(q.Text) {
			return []rulebook.Policy{}, nil
		}
		has := db.has("p.name", q.Text)
		w.and(has.any(), has.args...)
	}
	if q.After != "" {
		w.and("p.policy_id < ?", q.After)
	}
	out, err := db.policies(ctx, org, w.String()+` ORDER BY p.policy_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list policies", err)
}

// policies reads policies with their Safes, in two queries however many.
func (db *DB) policies(ctx context.Context, org pam.OrgID, where string, args ...any) ([]rulebook.Policy, error) {
	out, err := list(ctx, db, scanPolicy, `SELECT `+policyColumns+` FROM policies p WHERE `+where, args...)
	if err != nil || len(out) == 0 {
		return out, err
	}
	all := make([]*rulebook.Policy, len(out))
	for i := range out {
		all[i] = &out[i]
	}
	return out, safesOf(ctx, db, org, all)
}

// safesOf fills in the Safes of policies.
func safesOf(ctx context.Context, q querier, org pam.OrgID, policies []*rulebook.Policy) error {
	for part := range slices.Chunk(policies, 256) {
		byID := make(map[pam.PolicyID]*rulebook.Policy, len(part))
		ids := make([]pam.PolicyID, len(part))
		for i, p := range part {
			byID[p.ID], ids[i] = p, p.ID
		}
		in, args := inList(ids)
		_, err := list(ctx, q, func(r row) (struct{}, error) {
			var id pam.PolicyID
			var safe pam.SafeID
			err := r.Scan(&id, &safe)
			if p := byID[id]; p != nil {
				p.SafeIDs = append(p.SafeIDs, safe)
			}
			return struct{}{}, err
		}, `SELECT policy_id, safe_id FROM policy_safes WHERE org_id = ? AND policy_id IN `+in+` ORDER BY policy_id, safe_id`, append([]any{org}, args...)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// PolicyBookVersion is rulebook.Store's.
func (db *DB) PolicyBookVersion(ctx context.Context, org pam.OrgID) (int64, error) {
	n, err := one(ctx, db, scalar[int64], `SELECT policies_version FROM organizations WHERE id = ?`, org)
	return n, db.failed("read version of policies", err)
}

// PolicyBook is rulebook.Store's. What is read in several queries is of one
// moment when nothing has changed from before the first to after the last.
func (db *DB) PolicyBook(ctx context.Context, org pam.OrgID) (rulebook.Book, error) {
	for range 10 {
		before, err := db.PolicyBookVersion(ctx, org)
		if err != nil {
			return rulebook.Book{}, err
		}
		out, err := db.policies(ctx, org, `p.org_id = ? AND p.status = 'active' ORDER BY p.policy_id`, org)
		if err != nil {
			return rulebook.Book{}, db.failed("read policies", err)
		}
		after, err := db.PolicyBookVersion(ctx, org)
		if err != nil || after == before {
			return rulebook.Book{Version: before, Policies: out}, err
		}
	}
	return rulebook.Book{}, pam.Errorf(pam.Unavailable, "read policies", "The policies are being changed right now.")
}

// turnBook counts a change of policies. Those of one organization happen one
// after the other from here on. book is the version that the change was judged
// by; -1 for one that opens nothing whatever there is beside it.
func turnBook(ctx context.Context, tx *Tx, org pam.OrgID, id pam.PolicyID, book int64) error {
	tx.changed(org, pam.SubjectPolicy, string(id))
	if book < 0 {
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE organizations SET policies_version = policies_version + 1 WHERE id = ?`, org)
	}
	n, err := tx.exec(ctx, `UPDATE organizations SET policies_version = policies_version + 1 WHERE id = ? AND policies_version = ?`, org, book)
	if err == nil && n == 0 {
		err = &pam.Error{Kind: pam.Conflict, Public: "The policies of the organization have changed meanwhile.", Err: rulebook.ErrOutrun}
	}
	return err
}

// CreatePolicy is rulebook.Store's.
func (db *DB) CreatePolicy(ctx context.Context, org pam.OrgID, p rulebook.Policy, entries ...audit.Entry) error {
	return db.write(ctx, "create policy", func(ctx context.Context, tx *Tx) error {
		if err := turnBook(ctx, tx, org, p.ID, -1); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM policies WHERE org_id = ?`, org)
		if err != nil {
			return err
		}
		if n >= rulebook.MaxPolicies {
			return pam.Errorf(pam.Conflict, "", "An organization has at most %d policies.", rulebook.MaxPolicies)
		}
		_, err = tx.exec(ctx, `INSERT INTO policies (org_id, policy_id, name, description, status, action, conditions, jit, version, created_by, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)`,
			org, p.ID, p.Name, p.Description, p.Status, p.Action, asJSON(p.Conditions), jitText(p.JIT), p.CreatedBy, micros(p.CreatedAt), micros(p.UpdatedAt))
		if err != nil {
			return err
		}
		if err := known(ctx, tx, org, policy.Conditions{}, p.Conditions); err != nil {
			return err
		}
		return assign(ctx, tx, org, p.ID, nil, p.SafeIDs)
	}, entries...)
}

// UpdatePolicy is rulebook.Store's.
func (db *DB) UpdatePolicy(ctx context.Context, org pam.OrgID, p rulebook.Policy, version, book int64, entries ...audit.Entry) error {
	return db.write(ctx, "update policy", func(ctx context.Context, tx *Tx) error {
		return updatePolicy(ctx, tx, org, p, version, book)
	}, entries...)
}

func updatePolicy(ctx context.Context, tx *Tx, org pam.OrgID, p rulebook.Policy, version, book int64) error {
	old, err := one(ctx, tx, scanPolicy, `SELECT `+policyColumns+` FROM policies p WHERE p.org_id = ? AND p.policy_id = ?`, org, p.ID)
	if err != nil {
		return err
	}
	if old.Version != version {
		return &pam.Error{Kind: pam.Precondition}
	}
	if err := turnBook(ctx, tx, org, p.ID, book); err != nil {
		return err
	}
	if err := safesOf(ctx, tx, org, []*rulebook.Policy{&old}); err != nil {
		return err
	}
	if err := known(ctx, tx, org, old.Conditions, p.Conditions); err != nil {
		return err
	}
	err = tx.mustTouch(ctx, pam.Precondition, `UPDATE policies SET name = ?, description = ?, status = ?, action = ?, conditions = ?, jit = ?, version = version + 1, updated_at = ?
		WHERE org_id = ? AND policy_id = ? AND version = ?`,
		p.Name, p.Description, p.Status, p.Action, asJSON(p.Conditions), jitText(p.JIT), micros(p.UpdatedAt), org, p.ID, version)
	if err != nil {
		return err
	}
	return assign(ctx, tx, org, p.ID, old.SafeIDs, p.SafeIDs)
}

// DeletePolicy is rulebook.Store's.
func (db *DB) DeletePolicy(ctx context.Context, org pam.OrgID, id pam.PolicyID, version, book int64, entries ...audit.Entry) error {
	return db.write(ctx, "delete policy", func(ctx context.Context, tx *Tx) error { return deletePolicy(ctx, tx, org, id, version, book) }, entries...)
}

func deletePolicy(ctx context.Context, tx *Tx, org pam.OrgID, id pam.PolicyID, version, book int64) error {
	if err := turnBook(ctx, tx, org, id, book); err != nil {
		return err
	}
	return tx.compareAndSet(ctx, pam.Precondition, `DELETE FROM policies WHERE org_id = ? AND policy_id = ? AND version = ?`,
		[]any{org, id, version}, `SELECT 1 FROM policies WHERE org_id = ? AND policy_id = ?`, org, id)
}

// assign makes the Safes of a policy those of next.
func assign(ctx context.Context, tx *Tx, org pam.OrgID, id pam.PolicyID, old, next []pam.SafeID) error {
	for _, s := range old {
		if slices.Contains(next, s) {
			continue
		}
		if _, err := tx.exec(ctx, `DELETE FROM policy_safes WHERE org_id = ? AND policy_id = ? AND safe_id = ?`, org, id, s); err != nil {
			return err
		}
	}
	for _, s := range next {
		if slices.Contains(old, s) {
			continue
		}
		// The row of the Safe is locked, so that it does not go meanwhile.
		n, err := tx.exec(ctx, `UPDATE safes SET version = version WHERE org_id = ? AND safe_id = ?`, org, s)
		if err != nil {
			return err
		}
		if n == 0 {
			return invalid("safe_ids", "names no safe of this organization")
		}
		if n, err = one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM policy_safes WHERE org_id = ? AND safe_id = ?`, org, s); err != nil {
			return err
		}
		if n >= rulebook.MaxPerSafe {
			return invalid("safe_ids", fmt.Sprintf("names a safe that has %d policies, which is the most", rulebook.MaxPerSafe))
		}
		if _, err := tx.exec(ctx, `INSERT INTO policy_safes (org_id, policy_id, safe_id) VALUES (?, ?, ?)`, org, id, s); err != nil {
			return err
		}
	}
	return nil
}

// known refuses users and groups, beside those that were named before, that
// are not of the organization. Who has left may stay named; nobody new may be
// of elsewhere.
func known(ctx context.Context, tx *Tx, org pam.OrgID, before, after policy.Conditions) error {
	if err := present(ctx, tx, org, without(after.UserIDs, before.UserIDs), `SELECT COUNT(*) FROM memberships WHERE org_id = ? AND user_id IN `,
		"conditions.user_ids", "names somebody who is no member of this organization"); err != nil {
		return err
	}
	return present(ctx, tx, org, without(after.GroupIDs, before.GroupIDs), `SELECT COUNT(*) FROM org_groups WHERE org_id = ? AND group_id IN `,
		"conditions.group_ids", "names no group of this organization")
}

func present[T ~string](ctx context.Context, tx *Tx, org pam.OrgID, ids []T, query, field, problem string) error {
	for part := range slices.Chunk(ids, 256) {
		in, args := inList(part)
		n, err := one(ctx, tx, scalar[int64], query+in, append([]any{org}, args...)...)
		if err != nil {
			return err
		}
		if n != int64(len(part)) {
			return invalid(field, problem)
		}
	}
	return nil
}

// without is a without what is in b.
func without[T comparable](a, b []T) []T {
	return slices.DeleteFunc(slices.Clone(a), func(v T) bool { return slices.Contains(b, v) })
}

// Subject is rulebook.Store's.
func (db *DB) Subject(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (rulebook.Subject, error) {
	var out rulebook.Subject
	s, err := db.SafeByID(ctx, org, id, user, now)
	if err != nil {
		return out, err
	}
	out.SafeRole, out.SafeName, out.Safe = s.Role, s.Name, s.Controls()
	if out.Groups, err = groupsOf(ctx, db, org, user); err != nil {
		return out, db.failed("read groups", err)
	}
	if out.Role, _, err = db.ActiveRole(ctx, org, user); err != nil {
		return out, err
	}
	if out.Grants, err = grantsOf(ctx, db, org, user, id, now); err != nil {
		return out, db.failed("read grants", err)
	}
	out.Targets, err = list(ctx, db, func(r row) (rulebook.Target, error) {
		var t rulebook.Target
		return t, r.Scan(&t.Resource, &t.Account, &t.Type)
	}, `SELECT b.resource_id, b.account_id, r.type FROM safe_bindings b JOIN resources r ON r.org_id = b.org_id AND r.resource_id = b.resource_id
		WHERE b.org_id = ? AND b.safe_id = ? ORDER BY b.resource_id, b.account_id`, org, id)
	return out, db.failed("read bindings", err)
}

// Attempts is rulebook.Store's: sessions, checkouts and refusals.
func (db *DB) Attempts(ctx context.Context, org pam.OrgID, safes []pam.SafeID, since time.Time, limit int) ([]rulebook.Attempt, error) {
	// An id says when it was made, so that an index leads to what is recent.
	var out []rulebook.Attempt
	session, checkout := ids.Lowest(pam.PrefixSession, since.Add(-skew)), ids.Lowest(pam.PrefixCheckout, since.Add(-skew))
	for part := range slices.Chunk(safes, 256) {
		in, args := inList(part)
		for _, source := range []struct{ action, after, query string }{
			{string(policy.SessionLaunch), session, `SELECT user_id, safe_id, protocol, client_ip, started_at FROM sessions WHERE org_id = ? AND session_id >= ? AND started_at >= ? AND safe_id IN ` + in + ` ORDER BY started_at DESC LIMIT ?`},
			{string(policy.CredentialReveal), checkout, `SELECT user_id, safe_id, '', client_ip, created_at FROM checkouts WHERE org_id = ? AND checkout_id >= ? AND created_at >= ? AND safe_id IN ` + in + ` ORDER BY created_at DESC LIMIT ?`},
			{string(policy.SessionLaunch), "", `SELECT actor_id, target_id, '', source_ip, time FROM audit_events WHERE org_id = ? AND event_id >= ? AND type = 'SESSION_REFUSED' AND time >= ? AND target_id IN ` + in + ` ORDER BY time DESC LIMIT ?`},
		} {
			some, err := list(ctx, db, func(r row) (rulebook.Attempt, error) {
				a := rulebook.Attempt{Action: policy.Action(source.action)}
				var from string
				err := r.Scan(&a.User, &a.Safe, &a.Type, &from, intoTime(&a.At))
				a.From = addrOf(from)
				return a, err
			}, source.query, append(append([]any{org, source.after, micros(since)}, args...), limit)...)
			if err != nil {
				return nil, db.failed("read attempts", err)
			}
			out = append(out, some...)
		}
	}
	slices.SortStableFunc(out, func(a, b rulebook.Attempt) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return strings.Compare(string(a.User), string(b.User))
	})
	return out[:min(len(out), limit)], nil
}
