package store

import (
	"context"
	"strings"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/broker"
)

var _ broker.Store = (*DB)(nil)

// SafesOf is broker.Store's.
func (db *DB) SafesOf(ctx context.Context, user pam.UserID, org pam.OrgID, ref string, now time.Time, limit int) ([]broker.SafeRef, error) {
	var w where
	w.and("m.user_id = ? AND m.status = 'active'", string(user))
	if org != "" {
		w.and("m.org_id = ?", string(org))
	}
	w.and("(sm.expires_at = 0 OR sm.expires_at > ?)", micros(now))
	switch {
	case strings.HasPrefix(ref, pam.PrefixSafe): // a slug has no upper-case letters and an id is one
		w.and("s.safe_id = ?", ref)
	case ref != "":
		w.and("s.slug = ?", ref)
	}
	out, err := list(ctx, db, func(r row) (broker.SafeRef, error) {
		var f broker.SafeRef
		return f, r.Scan(&f.Org, &f.Safe, &f.Slug, &f.Role, &f.OrgRole)
	}, `SELECT s.org_id, s.safe_id, s.slug, sm.role, m.role FROM memberships m
		JOIN safe_members sm ON sm.org_id = m.org_id AND sm.user_id = m.user_id
		JOIN safes s ON s.org_id = sm.org_id AND s.safe_id = sm.safe_id
		WHERE `+w.String()+` ORDER BY s.org_id, s.slug LIMIT ?`, append(w.args, limit)...)
	return out, db.failed("find safes", err)
}

// Standings is broker.Store's.
func (db *DB) Standings(ctx context.Context, node string, now time.Time) ([]broker.Standing, error) {
	out, err := list(ctx, db, func(r row) (broker.Standing, error) {
		var s broker.Standing
		return s, r.Scan(&s.Session, &s.KillReason, &s.OrgRole, &s.SafeRole, &s.Locked, &s.Bound, &s.Version)
	}, `SELECT x.session_id, x.kill_reason, COALESCE(m.role, ''), COALESCE(sm.role, ''), COALESCE(s.locked, TRUE), b.safe_id IS NOT NULL, COALESCE(s.version, 0)
		FROM sessions x
		LEFT JOIN memberships m ON m.org_id = x.org_id AND m.user_id = x.user_id AND m.status = 'active'
		LEFT JOIN safes s ON s.org_id = x.org_id AND s.safe_id = x.safe_id
		LEFT JOIN safe_members sm ON sm.org_id = x.org_id AND sm.safe_id = x.safe_id AND sm.user_id = x.user_id AND (sm.expires_at = 0 OR sm.expires_at > ?)
		LEFT JOIN safe_bindings b ON b.org_id = x.org_id AND b.safe_id = x.safe_id AND b.resource_id = x.resource_id AND b.account_id = x.account_id
		WHERE x.node = ? AND x.status IN ('pending', 'active')`, micros(now), node)
	return out, db.failed("read what sessions rest on", err)
}
