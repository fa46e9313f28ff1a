package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/policy"
)

var _ broker.Store = (*DB)(nil)

// SafesOf is broker.Store's.
func (db *DB) SafesOf(ctx context.Context, user pam.UserID, org pam.OrgID, ref string, now time.Time, limit int) ([]broker.SafeRef, error) {
	var w where
	if org != "" {
		w.and("m.org_id = ?", string(org))
	}
	w.and(unexpired, micros(now))
	switch {
	case strings.HasPrefix(ref, pam.PrefixSafe): // a slug has no upper-case letters and an id is one
		w.and("s.safe_id = ?", ref)
	case ref != "":
		w.and("s.slug = ?", ref)
	}
	out, err := list(ctx, db, func(r row) (broker.SafeRef, error) {
		var f broker.SafeRef
		return f, r.Scan(&f.Org, &f.Safe, &f.Slug, intoRole(&f.Role), &f.OrgRole)
	}, `SELECT s.org_id, s.safe_id, s.slug, `+rights+`, h.role FROM (
			SELECT o.org_id, o.user_id AS holder_id, o.role FROM memberships o WHERE o.user_id = ? AND o.status = 'active'
			UNION ALL SELECT g.org_id, g.group_id, o.role FROM group_members g JOIN memberships o ON o.org_id = g.org_id AND o.user_id = g.user_id
				WHERE g.user_id = ? AND o.status = 'active') AS h
		JOIN safe_members m ON m.org_id = h.org_id AND m.holder_id = h.holder_id
		JOIN safes s ON s.org_id = m.org_id AND s.safe_id = m.safe_id
		WHERE `+w.String()+` GROUP BY s.org_id, s.safe_id, s.slug, h.role ORDER BY s.org_id, s.slug LIMIT ?`,
		slices.Concat([]any{user, user}, w.args, []any{limit})...)
	return out, db.failed("find safes", err)
}

// GrantedSafes is broker.Store's.
func (db *DB) GrantedSafes(ctx context.Context, user pam.UserID, org pam.OrgID, ref string, now time.Time, limit int) ([]broker.SafeRef, error) {
	var w where
	w.and("g.user_id = ? AND g.status IN ('active', 'used') AND g.starts_at <= ? AND g.ends_at > ?", user, micros(now), micros(now))
	if org != "" {
		w.and("g.org_id = ?", org)
	}
	switch {
	case strings.HasPrefix(ref, pam.PrefixSafe):
		w.and("s.safe_id = ?", ref)
	case ref != "":
		w.and("s.slug = ?", ref)
	}
	out, err := list(ctx, db, func(r row) (f broker.SafeRef, err error) { return f, r.Scan(&f.Org, &f.Safe, &f.Slug, &f.OrgRole) },
		`SELECT DISTINCT s.org_id, s.safe_id, s.slug, o.role FROM grants g JOIN memberships o ON o.org_id = g.org_id AND o.user_id = g.user_id AND o.status = 'active'
			JOIN safes s ON s.org_id = g.org_id AND s.safe_id = g.safe_id WHERE `+w.String()+` ORDER BY s.org_id, s.slug LIMIT ?`, append(w.args, limit)...)
	return out, db.failed("find safes by grants", err)
}

// Standings is broker.Store's.
func (db *DB) Standings(ctx context.Context, node string, now time.Time) ([]broker.Standing, error) {
	out, err := list(ctx, db, func(r row) (broker.Standing, error) {
		var s broker.Standing
		var groups pam.SafeRole
		err := r.Scan(&s.Session, &s.KillReason, &s.OrgRole, &s.SafeRole, intoRole(&groups), &s.Locked, &s.Bound, &s.Version)
		s.SafeRole = s.SafeRole.With(groups)
		return s, err
	}, `SELECT x.session_id, x.kill_reason, COALESCE(o.role, ''), COALESCE(sm.role, ''), (SELECT `+rights+` FROM group_members g
			JOIN safe_members m ON m.org_id = g.org_id AND m.safe_id = x.safe_id AND m.holder_id = g.group_id
			WHERE g.org_id = x.org_id AND g.user_id = x.user_id AND `+unexpired+`), COALESCE(s.locked, TRUE), b.safe_id IS NOT NULL, COALESCE(s.version, 0)
		FROM sessions x
		LEFT JOIN memberships o ON o.org_id = x.org_id AND o.user_id = x.user_id AND o.status = 'active'
		LEFT JOIN safes s ON s.org_id = x.org_id AND s.safe_id = x.safe_id
		LEFT JOIN safe_members sm ON sm.org_id = x.org_id AND sm.safe_id = x.safe_id AND sm.holder_id = x.user_id AND (sm.expires_at = 0 OR sm.expires_at > ?)
		LEFT JOIN safe_bindings b ON b.org_id = x.org_id AND b.safe_id = x.safe_id AND b.resource_id = x.resource_id AND b.account_id = x.account_id
		WHERE x.node = ? AND x.status IN ('pending', 'active')`, micros(now), micros(now), node)
	if err != nil {
		return nil, db.failed("read what sessions rest on", err)
	}
	groups, err := list(ctx, db, func(r row) (g standingGroup, err error) { return g, r.Scan(&g.session, &g.group) }, `SELECT x.session_id, g.group_id
		FROM sessions x JOIN group_members g ON g.org_id = x.org_id AND g.user_id = x.user_id
		WHERE x.node = ? AND x.status IN ('pending', 'active') ORDER BY x.session_id, g.group_id`, node)
	if err != nil {
		return nil, db.failed("read what sessions rest on", err)
	}
	given, err := list(ctx, db, func(r row) (g standingGrant, err error) {
		return g, r.Scan(&g.session, &g.grant.ID, &g.grant.Approvers, intoTime(&g.grant.Starts), intoTime(&g.grant.Ends), &g.grant.Command)
	}, `SELECT x.session_id, g.grant_id, g.approvers, g.starts_at, g.ends_at, g.command_hash
		FROM sessions x JOIN grants g ON g.org_id = x.org_id AND g.user_id = x.user_id AND g.safe_id = x.safe_id
		WHERE x.node = ? AND x.status IN ('pending', 'active') AND g.status IN ('active', 'used') AND (g.command_hash = '' OR g.session_id = x.session_id)`, node)
	if err != nil {
		return nil, db.failed("read what sessions rest on", err)
	}
	held := make(map[pam.SessionID][]policy.Grant)
	for _, g := range given {
		held[g.session] = append(held[g.session], g.grant)
	}
	of := make(map[pam.SessionID][]pam.GroupID)
	for _, g := range groups {
		of[g.session] = append(of[g.session], g.group)
	}
	for i := range out {
		out[i].Groups, out[i].Grants = of[out[i].Session], held[out[i].Session]
	}
	return out, nil
}

// standingGrant is one grant of whom a session is.
type standingGrant struct {
	session pam.SessionID
	grant   policy.Grant
}

// standingGroup is one group of whom a session is.
type standingGroup struct {
	session pam.SessionID
	group   pam.GroupID
}
