package store

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/policy"
)

// CheckoutStandings is broker.Store's.
func (db *DB) CheckoutStandings(ctx context.Context, org pam.OrgID, id pam.CheckoutID, now time.Time, limit int) ([]broker.CheckoutStanding, error) {
	const op = "read what checkouts rest on"
	out, err := list(ctx, db, func(r row) (s broker.CheckoutStanding, err error) {
		var groups pam.SafeRole
		err = r.Scan(append(checkoutFields(&s.Checkout), &s.OrgRole, &s.SafeRole, intoRole(&groups), &s.Version)...)
		s.SafeRole = s.SafeRole.With(groups)
		return s, err
	}, `SELECT `+checkoutColumns+`, COALESCE(o.role, ''), COALESCE(sm.role, ''), (SELECT `+rights+` FROM group_members g
			JOIN safe_members m ON m.org_id = g.org_id AND m.safe_id = c.safe_id AND m.holder_id = g.group_id
			WHERE g.org_id = c.org_id AND g.user_id = c.user_id AND `+unexpired+`), COALESCE(s.version, 0)
		FROM checkouts c
		LEFT JOIN memberships o ON o.org_id = c.org_id AND o.user_id = c.user_id AND o.status = 'active'
		LEFT JOIN safes s ON s.org_id = c.org_id AND s.safe_id = c.safe_id
		LEFT JOIN safe_members sm ON sm.org_id = c.org_id AND sm.safe_id = c.safe_id AND sm.holder_id = c.user_id AND (sm.expires_at = 0 OR sm.expires_at > ?)
		WHERE c.status = 'checked_out' AND (c.org_id, c.checkout_id) > (?, ?) ORDER BY c.org_id, c.checkout_id LIMIT ?`, micros(now), micros(now), org, id, limit)
	if err != nil || len(out) == 0 {
		return nil, db.failed(op, err)
	}
	at := make(map[pam.CheckoutID]*broker.CheckoutStanding, len(out))
	for i := range out {
		at[out[i].ID] = &out[i]
	}
	last := out[len(out)-1]
	// Each begins with the checkouts of the page, of which there are few: SQLite
	// keeps the order of a CROSS JOIN.
	const page = ` AND c.status = 'checked_out' AND (c.org_id, c.checkout_id) > (?, ?) AND (c.org_id, c.checkout_id) <= (?, ?)`
	args := []any{org, id, last.Org, last.ID}

	type one struct {
		checkout pam.CheckoutID
		group    pam.GroupID
		protocol pam.Protocol
		grant    policy.Grant
	}
	bound, err := list(ctx, db, func(r row) (x one, err error) { return x, r.Scan(&x.checkout, &x.protocol) }, `SELECT c.checkout_id, r.type FROM checkouts c
		CROSS JOIN safe_bindings b CROSS JOIN resources r
		WHERE b.org_id = c.org_id AND b.safe_id = c.safe_id AND b.account_id = c.account_id AND r.org_id = b.org_id AND r.resource_id = b.resource_id`+page, args...)
	if err != nil {
		return nil, db.failed(op, err)
	}
	groups, err := list(ctx, db, func(r row) (x one, err error) { return x, r.Scan(&x.checkout, &x.group) }, `SELECT c.checkout_id, g.group_id FROM checkouts c
		CROSS JOIN group_members g WHERE g.org_id = c.org_id AND g.user_id = c.user_id`+page, args...)
	if err != nil {
		return nil, db.failed(op, err)
	}
	// A grant for one command gives no secret.
	grants, err := list(ctx, db, func(r row) (x one, err error) {
		return x, r.Scan(&x.checkout, &x.grant.ID, &x.grant.Approvers, intoTime(&x.grant.Starts), intoTime(&x.grant.Ends))
	}, `SELECT c.checkout_id, g.grant_id, g.approvers, g.starts_at, g.ends_at FROM checkouts c
		CROSS JOIN grants g WHERE g.org_id = c.org_id AND g.user_id = c.user_id AND g.safe_id = c.safe_id AND g.status IN ('active', 'used') AND g.command_hash = ''`+page, args...)
	if err != nil {
		return nil, db.failed(op, err)
	}
	for _, x := range bound {
		if s := at[x.checkout]; s != nil {
			s.Types |= policy.TypesOf(x.protocol)
		}
	}
	for _, x := range groups {
		if s := at[x.checkout]; s != nil {
			s.Groups = append(s.Groups, x.group)
		}
	}
	for _, x := range grants {
		if s := at[x.checkout]; s != nil {
			s.Grants = append(s.Grants, x.grant)
		}
	}
	return out, nil
}
