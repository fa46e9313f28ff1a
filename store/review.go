package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/review"
)

var _ review.Store = (*DB)(nil)

// lastUsed is when a user began their last session in a Safe, 0 for never.
func lastUsed(org, user, safe string) string {
	return `COALESCE((SELECT l.started_at FROM sessions l WHERE l.org_id = ` + org + ` AND l.user_id = ` + user + ` AND l.safe_id = ` + safe + ` ORDER BY l.session_id DESC LIMIT 1), 0)`
}

// way is one row of who can reach what.
type way struct {
	review.Reach
	one review.Way
}

// A way by a role in a Safe, one's own or a group's, and one by a grant: the
// same columns of both.
const (
	roleWays = `SELECT o.user_id, o.email, o.name, o.role AS org_role, o.status, m.safe_id, s.name AS safe_name, m.sort_key, m.member_id AS ground_id, '' AS grant_id,
		COALESCE(m.group_id, '') AS group_id, COALESCE(g.name, '') AS group_name, m.role, m.expires_at
		FROM safe_members m JOIN safes s ON s.org_id = m.org_id AND s.safe_id = m.safe_id
		LEFT JOIN org_groups g ON g.org_id = m.org_id AND g.group_id = m.group_id
		LEFT JOIN group_members x ON x.org_id = m.org_id AND x.group_id = m.group_id
		JOIN memberships o ON o.org_id = m.org_id AND o.user_id = COALESCE(m.user_id, x.user_id)`
	grantWays = `SELECT o.user_id, o.email, o.name, o.role AS org_role, o.status, m.safe_id, s.name AS safe_name, s.sort_key, m.grant_id AS ground_id, m.grant_id,
		'' AS group_id, '' AS group_name, 'operator' AS role, m.ends_at AS expires_at
		FROM grants m JOIN safes s ON s.org_id = m.org_id AND s.safe_id = m.safe_id
		JOIN memberships o ON o.org_id = m.org_id AND o.user_id = m.user_id`
	// maxWays is how many ways one person has into one Safe at most that are
	// listed.
	maxWays = 1000
)

func scanWay(r row) (w way, err error) {
	err = r.Scan(&w.User, &w.Email, &w.Name, &w.OrgRole, &w.Status, &w.Safe, &w.SafeName, &w.SafeKey, &w.one.Member, &w.one.Grant, &w.one.Group, &w.one.GroupName, &w.one.Role, intoTime(&w.one.ExpiresAt), intoTime(&w.LastUsed))
	switch {
	case w.one.Grant != "":
		w.one.Ground, w.one.Member = review.ByGrant, ""
	case w.one.Group != "":
		w.one.Ground = review.ByGroup
	default:
		w.one.Ground = review.ByMembership
	}
	return w, err
}

// Reach is review.Store's. Who is no active member reaches nothing.
func (db *DB) Reach(ctx context.Context, org pam.OrgID, q review.ReachQuery) ([]review.Reach, bool, error) {
	now := micros(q.Now)
	var roles, grants where
	roles.and("m.org_id = ? AND o.status = 'active' AND "+unexpired, org, now)
	grants.and("m.org_id = ? AND o.status = 'active' AND m.status = 'active' AND m.starts_at <= ? AND m.ends_at > ?", org, now, now)
	if q.User != "" {
		roles.and("m.holder_id IN "+holders+" AND o.user_id = ?", append(holderArgs(org, q.User), q.User)...)
		grants.and("m.user_id = ?", q.User)
	}
	if q.Group != "" {
		roles.and("m.holder_id = ?", q.Group)
		grants.and("1 = 0")
	}
	for _, part := range []struct {
		w    *where
		name string
	}{{&roles, "m.sort_key"}, {&grants, "s.sort_key"}} {
		if q.Safe != "" {
			part.w.and("m.safe_id = ?", q.Safe)
		}
		if q.Resource != "" {
			part.w.and("m.safe_id IN (SELECT b.safe_id FROM safe_bindings b WHERE b.org_id = ? AND b.resource_id = ?)", org, q.Resource)
		}
		if q.Account != "" {
			part.w.and("m.safe_id IN (SELECT b.safe_id FROM safe_bindings b WHERE b.org_id = ? AND b.account_id = ?)", org, q.Account)
		}
		if q.AfterSafe != "" {
			part.w.and("("+part.name+", m.safe_id) >= (?, ?)", q.AfterKey, q.AfterSafe)
			part.w.and("("+part.name+", m.safe_id, o.email, o.user_id) > (?, ?, ?, ?)", q.AfterKey, q.AfterSafe, q.AfterEmail, q.AfterUser)
		}
	}
	var out []review.Reach
	// A person may have several ways into a Safe, so one row more than is
	// asked for may still be the last person's.
	limit := q.Limit + maxWays
	const order = ` ORDER BY sort_key, safe_id, email, user_id, ground_id LIMIT ?`
	part := func(ways string, w where) string {
		return `SELECT * FROM (SELECT * FROM (` + ways + ` WHERE ` + w.String() + `) AS a` + order + `) AS b`
	}
	args := append(slices.Concat([]any{org}, roles.args, []any{limit}, grants.args, []any{limit}), limit)
	ways, err := list(ctx, db, scanWay, `SELECT m.*, `+lastUsed("?", "m.user_id", "m.safe_id")+` FROM (`+part(roleWays, roles)+` UNION ALL `+part(grantWays, grants)+`) AS m`+order, args...)
	if err != nil {
		return nil, false, db.failed("list who can reach what", err)
	}
	for _, w := range ways {
		if n := len(out); n == 0 || out[n-1].Safe != w.Safe || out[n-1].User != w.User {
			if n == q.Limit {
				return out, true, nil
			}
			out = append(out, w.Reach)
		}
		last := &out[len(out)-1]
		last.Ways = append(last.Ways, w.one)
	}
	return out, len(ways) == limit, nil
}

const reviewColumns = `r.review_id, r.org_id, r.name, r.safes, r.with_groups, r.due_at, r.on_expiry, r.status, r.created_by, r.created_at, r.closed_by, r.closed_at`

func scanReview(r row) (v review.Review, err error) {
	return v, r.Scan(&v.ID, &v.Org, &v.Name, intoJSON(&v.Safes), &v.Groups, intoTime(&v.DueAt), &v.OnExpiry, &v.Status, &v.CreatedBy, intoTime(&v.CreatedAt), &v.ClosedBy, intoTime(&v.ClosedAt))
}

// counted fills in how many items of reviews stand where.
func counted(ctx context.Context, q querier, org pam.OrgID, reviews []review.Review) error {
	for part := range slices.Chunk(reviews, 256) {
		ids := make([]pam.ReviewID, len(part))
		for i := range part {
			ids[i] = part[i].ID
		}
		in, args := inList(ids)
		_, err := list(ctx, q, func(r row) (struct{}, error) {
			var id pam.ReviewID
			var verb review.Verb
			var n int
			if err := r.Scan(&id, &verb, &n); err != nil {
				return struct{}{}, err
			}
			for i := range part {
				if c := &part[i].Counts; part[i].ID == id {
					c.Total += n
					switch verb {
					case review.Pending:
						c.Pending = n
					case review.Keep:
						c.Kept = n
					case review.Revoke:
						c.Revoked = n
					case review.Lapsed:
						c.Lapsed = n
					}
				}
			}
			return struct{}{}, nil
		}, `SELECT review_id, decision, COUNT(*) FROM access_review_items WHERE org_id = ? AND review_id IN `+in+` GROUP BY review_id, decision`, append([]any{org}, args...)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// BeginReview is review.Store's.
func (db *DB) BeginReview(ctx context.Context, org pam.OrgID, r review.Review, id func() pam.ReviewItemID, e audit.Entry) error {
	return db.write(ctx, "begin access review", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, org); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM access_reviews WHERE org_id = ? AND status = 'open'`, org)
		if err != nil {
			return err
		}
		if n >= review.MaxOpen {
			return pam.Errorf(pam.Conflict, "", "At most %d reviews are open at a time.", review.MaxOpen)
		}
		if err := present(ctx, tx, org, r.Safes, `SELECT COUNT(*) FROM safes WHERE org_id = ? AND safe_id IN `, "safe_ids", "names no safe of this organization"); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO access_reviews (org_id, review_id, name, safes, with_groups, on_expiry, status, due_at, created_by, created_at, closed_by, closed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0)`,
			org, r.ID, r.Name, asJSON(r.Safes), r.Groups, r.OnExpiry, r.Status, micros(r.DueAt), r.CreatedBy, micros(r.CreatedAt)); err != nil {
			return err
		}
		items, err := rolesNow(ctx, tx, org, r)
		if err != nil {
			return err
		}
		switch {
		case len(items) == 0:
			return invalid("safe_ids", "leave nothing to decide about")
		case len(items) > review.MaxItems:
			return invalid("safe_ids", fmt.Sprintf("come to more than %d roles: review some Safes at a time", review.MaxItems))
		}
		for part := range slices.Chunk(items, 32) {
			const values = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', '', '', '', 0, '')`
			var text bytes.Buffer
			var args []any
			for n, i := range part {
				if n > 0 {
					text.WriteString(", ")
				}
				text.WriteString(values)
				args = append(args, org, r.ID, id(), i.Kind, i.Safe, i.SafeName, i.Member, i.Group, i.GroupName, i.User, i.Email, i.Role, micros(i.Since), micros(i.ExpiresAt), micros(i.LastUsed),
					naming.Key(i.SafeName+" "+i.GroupName+" "+i.Email))
			}
			if _, err := tx.exec(ctx, `INSERT INTO access_review_items (org_id, review_id, item_id, kind, safe_id, safe_name, member_id, group_id, group_name, user_id, email, role, since, expires_at, last_used, search,
				decision, comment, decided_by, decider, decided_at, outcome) VALUES `+text.String(), args...); err != nil {
				return err
			}
		}
		return nil
	}, e)
}

// rolesNow is what a review asks about: at most one more than it may hold.
func rolesNow(ctx context.Context, tx *Tx, org pam.OrgID, r review.Review) ([]review.Item, error) {
	scan := func(r row) (i review.Item, err error) {
		return i, r.Scan(&i.Kind, &i.Safe, &i.SafeName, &i.Member, &i.Group, &i.GroupName, &i.User, &i.Email, &i.Role, intoTime(&i.Since), intoTime(&i.ExpiresAt), intoTime(&i.LastUsed))
	}
	now := micros(r.CreatedAt)
	var out []review.Item
	safes := [][]pam.SafeID{nil} // all
	if len(r.Safes) > 0 {
		safes = slices.Collect(slices.Chunk(r.Safes, 256))
	}
	for _, part := range safes {
		var w where
		w.and("m.org_id = ? AND "+unexpired, org, now)
		if len(part) > 0 {
			in, args := inList(part)
			w.and("m.safe_id IN "+in, args...)
		}
		some, err := list(ctx, tx, scan, `SELECT 'safe_member', m.safe_id, s.name, m.member_id, COALESCE(m.group_id, ''), COALESCE(g.name, ''), COALESCE(m.user_id, ''), COALESCE(o.email, ''), m.role, m.created_at, m.expires_at, `+lastUsed("m.org_id", "m.user_id", "m.safe_id")+`
			FROM safe_members m JOIN safes s ON s.org_id = m.org_id AND s.safe_id = m.safe_id LEFT JOIN org_groups g ON g.org_id = m.org_id AND g.group_id = m.group_id
			LEFT JOIN memberships o ON o.org_id = m.org_id AND o.user_id = m.user_id
			WHERE `+w.String()+` ORDER BY m.sort_key, m.safe_id, m.member_id LIMIT ?`, append(w.args, review.MaxItems+1)...)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	if !r.Groups {
		return out, nil
	}
	var groups []pam.GroupID
	for _, i := range out {
		if i.Group != "" {
			groups = append(groups, i.Group)
		}
	}
	slices.Sort(groups)
	for part := range slices.Chunk(slices.Compact(groups), 256) {
		in, args := inList(part)
		some, err := list(ctx, tx, scan, `SELECT 'group_member', '', '', '', g.group_id, g.name, m.user_id, o.email, '', m.created_at, 0, 0
			FROM group_members m JOIN org_groups g ON g.org_id = m.org_id AND g.group_id = m.group_id JOIN memberships o ON o.org_id = m.org_id AND o.user_id = m.user_id
			WHERE m.org_id = ? AND g.source = 'manual' AND m.group_id IN `+in+` ORDER BY g.sort_key, o.email LIMIT ?`, append(append([]any{org}, args...), review.MaxItems+1)...)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// ReviewByID is review.Store's.
func (db *DB) ReviewByID(ctx context.Context, org pam.OrgID, id pam.ReviewID) (review.Review, error) {
	r, err := one(ctx, db, scanReview, `SELECT `+reviewColumns+` FROM access_reviews r WHERE r.org_id = ? AND r.review_id = ?`, org, id)
	one := []review.Review{r}
	if err == nil {
		err = counted(ctx, db, org, one)
	}
	return one[0], db.failed("read access review", err)
}

// about narrows items to what is about any of the Safes, or about a group that
// has a role in one.
func about(w *where, org pam.OrgID, safes []pam.SafeID) {
	var either where
	for part := range slices.Chunk(safes, 256) {
		in, args := inList(part)
		either.and("i.safe_id IN "+in, args...)
		either.and("i.kind = 'group_member' AND i.group_id IN (SELECT m.group_id FROM safe_members m WHERE m.org_id = ? AND m.safe_id IN "+in+")", append([]any{org}, args...)...)
	}
	w.and(either.any(), either.args...)
}

// ListReviews is review.Store's.
func (db *DB) ListReviews(ctx context.Context, org pam.OrgID, q review.Query) ([]review.Review, error) {
	var w where
	w.and("r.org_id = ?", org)
	if q.Status != "" {
		w.and("r.status = ?", q.Status)
	}
	if q.After != "" {
		w.and("r.review_id < ?", q.After)
	}
	if q.Managed != nil {
		var in where
		in.and("i.org_id = r.org_id AND i.review_id = r.review_id")
		about(&in, org, q.Managed)
		w.and("EXISTS (SELECT 1 FROM access_review_items i WHERE "+in.String()+")", in.args...)
	}
	out, err := list(ctx, db, scanReview, `SELECT `+reviewColumns+` FROM access_reviews r WHERE `+w.String()+` ORDER BY r.review_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	if err == nil {
		err = counted(ctx, db, org, out)
	}
	return out, db.failed("list access reviews", err)
}

// DueReviews is review.Store's.
func (db *DB) DueReviews(ctx context.Context, now time.Time, limit int) ([]review.Review, error) {
	out, err := list(ctx, db, scanReview, `SELECT `+reviewColumns+` FROM access_reviews r WHERE r.status = 'open' AND r.due_at <= ? ORDER BY r.due_at LIMIT ?`, micros(now), limit)
	return out, db.failed("list access reviews that are due", err)
}

// itemColumns ends with the role that is there now: "" where it has ended, for
// being in a group any word.
const itemColumns = `i.item_id, i.review_id, i.kind, i.safe_id, i.safe_name, i.member_id, i.group_id, i.group_name, i.user_id, i.email, i.role, i.since, i.expires_at, i.last_used,
	i.decision, i.comment, i.decided_by, i.decider, i.decided_at, i.outcome,
	COALESCE(CASE i.kind WHEN 'safe_member' THEN (SELECT c.role FROM safe_members c WHERE c.org_id = i.org_id AND c.safe_id = i.safe_id AND c.member_id = i.member_id)
		ELSE (SELECT 'in' FROM group_members c WHERE c.org_id = i.org_id AND c.group_id = i.group_id AND c.user_id = i.user_id) END, '')`

func scanItem(r row) (i review.Item, err error) {
	return i, r.Scan(&i.ID, &i.Review, &i.Kind, &i.Safe, &i.SafeName, &i.Member, &i.Group, &i.GroupName, &i.User, &i.Email, &i.Role, intoTime(&i.Since), intoTime(&i.ExpiresAt), intoTime(&i.LastUsed),
		&i.Verb, &i.Comment, &i.DecidedBy, &i.Decider, intoTime(&i.DecidedAt), &i.Outcome, &i.Now)
}

// ReviewItems is review.Store's.
func (db *DB) ReviewItems(ctx context.Context, org pam.OrgID, id pam.ReviewID, q review.ItemQuery) ([]review.Item, error) {
	var w where
	w.and("i.org_id = ? AND i.review_id = ?", org, id)
	if q.Verb != "" {
		w.and("i.decision = ?", q.Verb)
	}
	if q.Safe != "" {
		w.and("i.safe_id = ?", q.Safe)
	}
	if q.Managed != nil {
		about(&w, org, q.Managed)
	}
	db.search(&w, q.Text, "i.search")
	if q.After != "" {
		w.and("i.item_id > ?", q.After)
	}
	out, err := list(ctx, db, scanItem, `SELECT `+itemColumns+` FROM access_review_items i WHERE `+w.String()+` ORDER BY i.item_id LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list items of access review", err)
}

// ItemsByID is review.Store's.
func (db *DB) ItemsByID(ctx context.Context, org pam.OrgID, id pam.ReviewID, items []pam.ReviewItemID) ([]review.Item, error) {
	in, args := inList(items)
	out, err := list(ctx, db, scanItem, `SELECT `+itemColumns+` FROM access_review_items i WHERE i.org_id = ? AND i.review_id = ? AND i.item_id IN `+in+` ORDER BY i.item_id`, append([]any{org, id}, args...)...)
	if err == nil && len(out) != len(items) {
		err = &pam.Error{Kind: pam.NotFound}
	}
	return out, db.failed("read items of access review", err)
}

// OtherManager is review.Store's.
func (db *DB) OtherManager(ctx context.Context, org pam.OrgID, id pam.SafeID, member pam.MemberID, now time.Time) (bool, error) {
	return otherManager(ctx, db, org, id, member, now)
}

func otherManager(ctx context.Context, q querier, org pam.OrgID, id pam.SafeID, member pam.MemberID, now time.Time) (bool, error) {
	n, err := one(ctx, q, scalar[int64], managersOf+` AND m.member_id <> ?`, append(managersArgs(org, id, now), member)...)
	return n > 0, err
}

// Rule is review.Store's.
func (db *DB) Rule(ctx context.Context, org pam.OrgID, id pam.ReviewID, rulings []review.Ruling) error {
	var entries []audit.Entry
	for _, r := range rulings {
		entries = append(entries, r.Entries...)
	}
	outrun := func() error {
		return &pam.Error{Kind: pam.Conflict, Public: "What this is about has changed meanwhile; try again.", Err: review.ErrOutrun}
	}
	return db.write(ctx, "decide in access review", func(ctx context.Context, tx *Tx) error {
		// The row is locked, so that the review is not closed meanwhile.
		if err := tx.compareAndSet(ctx, pam.Conflict, `UPDATE access_reviews SET status = status WHERE org_id = ? AND review_id = ? AND status = 'open'`, []any{org, id},
			`SELECT 1 FROM access_reviews WHERE org_id = ? AND review_id = ?`, org, id); err != nil {
			return err
		}
		for _, r := range rulings {
			i := r.Item
			n, err := tx.exec(ctx, `UPDATE access_review_items SET role = ?, decision = ?, comment = ?, decided_by = ?, decider = ?, decided_at = ?, outcome = ? WHERE org_id = ? AND review_id = ? AND item_id = ? AND decision = ?`,
				i.Role, i.Verb, i.Comment, i.DecidedBy, i.Decider, micros(i.DecidedAt), i.Outcome, org, id, i.ID, r.From)
			if err == nil && n == 0 {
				err = outrun()
			}
			if err == nil && i.Outcome == review.Removed {
				var done bool
				if done, err = takeAway(ctx, tx, org, r); err == nil && !done {
					err = outrun()
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, entries...)
}

// takeAway ends what an item is about, and says whether it was there.
func takeAway(ctx context.Context, tx *Tx, org pam.OrgID, r review.Ruling) (bool, error) {
	i := r.Item
	if i.Kind == review.GroupMember {
		tx.changed(org, pam.SubjectGroup, string(i.Group))
		if _, err := tx.exec(ctx, `UPDATE org_groups SET version = version + 1, updated_at = ? WHERE org_id = ? AND group_id = ?`, micros(i.DecidedAt), org, i.Group); err != nil {
			return false, err
		}
		n, err := tx.exec(ctx, `DELETE FROM group_members WHERE org_id = ? AND group_id = ? AND user_id = ?`, org, i.Group, i.User)
		return n > 0, err
	}
	tx.changed(org, pam.SubjectSafe, string(i.Safe))
	if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE safes SET version = version WHERE org_id = ? AND safe_id = ?`, org, i.Safe); err != nil {
		return false, err
	}
	if r.Spare {
		if left, err := otherManager(ctx, tx, org, i.Safe, i.Member, i.DecidedAt); err != nil || !left {
			return false, err
		}
	}
	n, err := tx.exec(ctx, `DELETE FROM safe_members WHERE org_id = ? AND safe_id = ? AND member_id = ?`, org, i.Safe, i.Member)
	return n > 0, err
}

// CloseReview is review.Store's.
func (db *DB) CloseReview(ctx context.Context, org pam.OrgID, r review.Review, e audit.Entry) error {
	return db.write(ctx, "close access review", func(ctx context.Context, tx *Tx) error {
		return tx.compareAndSet(ctx, pam.Conflict, `UPDATE access_reviews SET status = ?, closed_by = ?, closed_at = ? WHERE org_id = ? AND review_id = ? AND status = 'open'
			AND NOT EXISTS (SELECT 1 FROM access_review_items i WHERE i.org_id = access_reviews.org_id AND i.review_id = access_reviews.review_id AND i.decision = 'pending')`,
			[]any{r.Status, r.ClosedBy, micros(r.ClosedAt), org, r.ID}, `SELECT 1 FROM access_reviews WHERE org_id = ? AND review_id = ?`, org, r.ID)
	}, e)
}
