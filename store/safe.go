package store

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/safe"
)

const (
	safeColumns = `s.org_id, s.safe_id, s.name, s.slug, s.visibility, s.settings, s.locked, s.version, s.created_by, s.created_at, s.updated_at`
	safeSlugs   = `SELECT COUNT(*) FROM safes WHERE org_id = ? AND slug = ?`
	// unexpired holds for a member m at a time.
	unexpired = `(m.expires_at = 0 OR m.expires_at > ?)`
)

// scanSafe reads safeColumns and a role.
func scanSafe(r row) (safe.Safe, error) {
	var s safe.Safe
	err := r.Scan(&s.Org, &s.ID, &s.Name, &s.Slug, &s.Visibility, intoJSON(&s.Settings), &s.Locked, &s.Version, &s.CreatedBy,
		intoTime(&s.CreatedAt), intoTime(&s.UpdatedAt), intoRole(&s.Role))
	return s, err
}

// CreateSafe stores s with its first manager and its bindings.
func (db *DB) CreateSafe(ctx context.Context, org pam.OrgID, s safe.Safe, manager safe.Member, facts []safe.AccountFacts, h pam.Hold, e audit.Entry) (safe.Safe, error) {
	wanted := s.Slug
	err := db.write(ctx, "create safe", func(ctx context.Context, tx *Tx) error {
		slug, err := withSlug(ctx, tx, org, wanted, s.Name, "safe", safeSlugs, func(slug string) (int64, error) {
			return tx.exec(ctx, `INSERT INTO safes (org_id, safe_id, name, sort_key, slug, visibility, settings, rotate_days, locked, version, created_by, created_at, updated_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, FALSE, 1, ?, ?, ?) ON CONFLICT (org_id, slug) DO NOTHING`,
				org, s.ID, s.Name, naming.Key(s.Name), slug, s.Visibility, asJSON(s.Settings), s.Rotation.IntervalDays, s.CreatedBy, micros(s.CreatedAt), micros(s.UpdatedAt))
		})
		if err != nil {
			return err
		}
		s.Slug, s.Version = slug, 1
		if err := insertMember(ctx, tx, org, manager, naming.Key(s.Name)); err != nil {
			return err
		}
		tx.changed(org, pam.SubjectSafe, string(s.ID))
		s.Pending, err = rebind(ctx, tx, org, s.ID, nil, s.Bindings, facts, h)
		return err
	}, e)
	return s, err
}

// SafeByID returns a Safe and the role of user in it.
func (db *DB) SafeByID(ctx context.Context, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (safe.Safe, error) {
	out, err := safeByID(ctx, db, org, id, user, now)
	return out, db.failed("read safe", err)
}

func safeByID(ctx context.Context, q querier, org pam.OrgID, id pam.SafeID, user pam.UserID, now time.Time) (safe.Safe, error) {
	return one(ctx, q, scanSafe, `SELECT `+safeColumns+`, `+roleIn("s")+` FROM safes s WHERE s.org_id = ? AND s.safe_id = ?`,
		append(roleInArgs(org, user, now), org, id)...)
}

// ListSafes returns a page of Safes. Each way to see a Safe is a walk along an
// index that is in the order of the list and ends with the page.
func (db *DB) ListSafes(ctx context.Context, org pam.OrgID, q safe.Query) ([]safe.Safe, error) {
	w, by := ordering(q.Order, "s.sort_key", "s.safe_id", q.After)
	db.search(&w, q.Text, "s.sort_key")
	if q.Emergency {
		// An id in quotes is nowhere else in the settings: those in a text are
		// escaped. Few look, and when it burns.
		w.and(`s.settings LIKE ?`, `%"`+string(q.User)+`"%`)
	}
	if q.All || q.Emergency {
		w.add(lockedIs(q.Locked))
		text, args := pageOf(safeColumns+`, `+roleIn("s"), `safes s`, "s.safe_id", org, w, by, q.Limit)
		out, err := list(ctx, db, scanSafe, text, append(roleInArgs(org, q.User, q.Now), args...)...)
		return out, db.failed("list safes", err)
	}
	mine, of, err := db.safesHeld(ctx, org, q)
	if err != nil {
		return nil, db.failed("list safes", err)
	}
	if q.Locked != nil && *q.Locked {
		w.and("FALSE") // whoever may only request a Safe is not told of its lock
	}
	_, byBoth := ordering(q.Order, "13", "2", naming.Cursor{})
	ordered := func(r row) (safe.Safe, error) {
		var s safe.Safe
		var sortKey []byte
		err := r.Scan(&s.Org, &s.ID, &s.Name, &s.Slug, &s.Visibility, intoJSON(&s.Settings), &s.Locked, &s.Version, &s.CreatedBy,
			intoTime(&s.CreatedAt), intoTime(&s.UpdatedAt), intoRole(&s.Role), &sortKey)
		return s, err
	}
	out, err := list(ctx, db, ordered, `SELECT `+safeColumns+`, `+roleIn("s")+`, mine.sort_key FROM (`+mine+`) AS mine
			CROSS JOIN safes s WHERE s.org_id = ? AND s.safe_id = mine.safe_id
		UNION ALL SELECT * FROM (
			SELECT `+safeColumns+`, CAST(0 AS BIGINT), s.sort_key FROM safes s
			WHERE s.org_id = ? AND s.visibility = 'requestable'`+w.also()+` AND NOT EXISTS (
				SELECT 1 FROM safe_members m WHERE m.org_id = s.org_id AND m.safe_id = s.safe_id AND m.holder_id IN `+holders+` AND `+unexpired+`)
			ORDER BY `+by+` LIMIT ?) AS others
		ORDER BY `+byBoth+` LIMIT ?`,
		slices.Concat(roleInArgs(org, q.User, q.Now), of, []any{org, org}, w.args, roleArgs(org, q.User, q.Now), []any{q.Limit, q.Limit})...)
	return out, db.failed("list safes", err)
}

// manyGroups is up to how many groups of a user get a walk along the index of
// their own; more are looked up together.
const manyGroups = 16

// safesHeld is the query for the ids of a page of the Safes in which a user
// has a role, and what they are sorted by: for each holder a walk along the
// index that ends with the page.
func (db *DB) safesHeld(ctx context.Context, org pam.OrgID, q safe.Query) (string, []any, error) {
	who := []string{string(q.User)}
	groups, err := groupsOf(ctx, db, org, q.User)
	if err != nil {
		return "", nil, err
	}
	for _, g := range groups {
		who = append(who, string(g))
	}
	w, by := ordering(q.Order, "m.sort_key", "m.safe_id", q.After)
	db.search(&w, q.Text, "m.sort_key")
	from := `safe_members m`
	if q.Locked != nil {
		from += ` JOIN safes s ON s.org_id = m.org_id AND s.safe_id = m.safe_id`
		w.add(lockedIs(q.Locked))
	}
	rest := ` AND ` + unexpired + w.also() + ` ORDER BY ` + by + ` LIMIT ?`
	restArgs := slices.Concat([]any{micros(q.Now)}, w.args, []any{q.Limit})
	if len(groups) > manyGroups {
		return `SELECT DISTINCT m.safe_id, m.sort_key FROM ` + from + ` WHERE m.org_id = ? AND m.holder_id IN ` + holders + rest,
			slices.Concat([]any{org}, holderArgs(org, q.User), restArgs), nil
	}
	var arms []string
	var args []any
	for _, id := range who {
		arms = append(arms, `SELECT * FROM (SELECT m.safe_id, m.sort_key FROM `+from+` WHERE m.org_id = ? AND m.holder_id = ?`+rest+`) AS arm`)
		args = append(append(args, org, id), restArgs...)
	}
	_, byPage := ordering(q.Order, "2", "1", naming.Cursor{})
	return strings.Join(arms, ` UNION `) + ` ORDER BY ` + byPage + ` LIMIT ?`, append(args, q.Limit), nil
}

func lockedIs(want *bool) (w where) {
	switch {
	case want == nil:
	case *want:
		w.and("s.locked") // as the index has it
	default:
		w.and("NOT s.locked")
	}
	return w
}

// UpdateSafe replaces the settings of the Safe that still has version.
func (db *DB) UpdateSafe(ctx context.Context, org pam.OrgID, s safe.Safe, version int64, facts []safe.AccountFacts, h pam.Hold, e audit.Entry) (safe.Safe, error) {
	var out safe.Safe
	err := db.write(ctx, "update safe", func(ctx context.Context, tx *Tx) error {
		var err error
		out, err = updateSafe(ctx, tx, org, s, version, facts, h)
		return err
	}, e)
	return out, err
}

func updateSafe(ctx context.Context, tx *Tx, org pam.OrgID, s safe.Safe, version int64, facts []safe.AccountFacts, h pam.Hold) (safe.Safe, error) {
	old, err := safeByID(ctx, tx, org, s.ID, h.By, h.At)
	if err != nil {
		return safe.Safe{}, err
	}
	if err := slugChange(ctx, tx, org, old.Slug, s.Slug, safeSlugs); err != nil {
		return safe.Safe{}, err
	}
	key := naming.Key(s.Name)
	err = tx.mustTouch(ctx, pam.Precondition, `UPDATE safes SET name = ?, sort_key = ?, slug = ?, visibility = ?, settings = ?, rotate_days = ?, version = version + 1, updated_at = ?
		WHERE org_id = ? AND safe_id = ? AND version = ?`,
		s.Name, key, s.Slug, s.Visibility, asJSON(s.Settings), s.Rotation.IntervalDays, micros(s.UpdatedAt), org, s.ID, version)
	if err != nil {
		return safe.Safe{}, err
	}
	if s.Name != old.Name {
		if _, err := tx.exec(ctx, `UPDATE safe_members SET sort_key = ? WHERE org_id = ? AND safe_id = ?`, key, org, s.ID); err != nil {
			return safe.Safe{}, err
		}
	}
	tx.changed(org, pam.SubjectSafe, string(s.ID))
	pending, err := rebind(ctx, tx, org, s.ID, old.Bindings, s.Bindings, facts, h)
	if err != nil {
		return safe.Safe{}, err
	}
	out, err := safeByID(ctx, tx, org, s.ID, h.By, h.At)
	out.Pending = pending
	return out, err
}

// rebind makes the rows of safe_bindings those of a Safe's new bindings, and
// holds back the credentials that a new one redirects. It returns the first
// confirmation that is waited for. facts must still be true.
func rebind(ctx context.Context, tx *Tx, org pam.OrgID, id pam.SafeID, old, next []safe.Binding, facts []safe.AccountFacts, h pam.Hold) (pam.ConfirmationID, error) {
	for _, b := range old {
		if slices.Contains(next, b) {
			continue
		}
		if _, err := tx.exec(ctx, `DELETE FROM safe_bindings WHERE org_id = ? AND safe_id = ? AND resource_id = ? AND account_id = ?`, org, id, b.ResourceID, b.AccountID); err != nil {
			return "", err
		}
	}
	added := slices.DeleteFunc(slices.Clone(next), func(b safe.Binding) bool { return slices.Contains(old, b) })
	if len(added) == 0 {
		return "", nil
	}
	// In one order for all, so that two who bind the same do not block each
	// other for good.
	slices.SortFunc(added, func(a, b safe.Binding) int {
		return cmp.Or(cmp.Compare(a.AccountID, b.AccountID), cmp.Compare(a.ResourceID, b.ResourceID))
	})
	for _, b := range added {
		if err := resourceExists(ctx, tx, org, b.ResourceID, "bindings.resource_id"); err != nil {
			return "", err
		}
		n, err := tx.exec(ctx, `UPDATE accounts SET version = version WHERE org_id = ? AND account_id = ? AND (resource_id IS NULL OR resource_id = ?)`, org, b.AccountID, b.ResourceID)
		if err != nil {
			return "", err
		}
		if n == 0 {
			return "", invalid("bindings.resource_id", "is not the resource that the account belongs to")
		}
	}
	var first pam.ConfirmationID
	for _, f := range facts {
		now, err := accountFacts(ctx, tx, org, f.Account, h.By, h.At)
		if err != nil {
			return "", err
		}
		// What this change itself removed has gone from the rows.
		before := slices.DeleteFunc(slices.Clone(f.Holders), func(x safe.Holder) bool {
			return x.Safe == id && !slices.Contains(next, safe.Binding{ResourceID: x.Resource, AccountID: f.Account})
		})
		if now.Resource != f.Resource || now.CreatedBy != f.CreatedBy || !sameHolders(now.Holders, before) {
			return "", &pam.Error{Kind: pam.Conflict, Public: "The account was bound or changed by somebody else meanwhile."}
		}
	}
	for _, b := range added {
		i := slices.IndexFunc(facts, func(f safe.AccountFacts) bool { return f.Account == b.AccountID })
		if i < 0 {
			return "", &pam.Error{Kind: pam.Conflict, Public: "The bindings were changed by somebody else meanwhile."}
		}
		if _, err := tx.exec(ctx, `INSERT INTO safe_bindings (org_id, safe_id, resource_id, account_id) VALUES (?, ?, ?, ?)`, org, id, b.ResourceID, b.AccountID); err != nil {
			return "", err
		}
		if !facts[i].Redirects(b.ResourceID) {
			continue
		}
		safes := []pam.SafeID{id}
		for _, x := range facts[i].Holders {
			if !slices.Contains(safes, x.Safe) {
				safes = append(safes, x.Safe)
			}
		}
		if err := hold(ctx, tx, org, h, b.ResourceID, b.AccountID, safes); err != nil {
			return "", err
		}
		if first == "" {
			var err error
			if first, err = firstHold(ctx, tx, org, b.ResourceID, b.AccountID); err != nil {
				return "", err
			}
		}
	}
	return first, nil
}

func sameHolders(a, b []safe.Holder) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

// AccountFacts returns what is known of those of the accounts that exist.
func (db *DB) AccountFacts(ctx context.Context, org pam.OrgID, accounts []pam.AccountID, user pam.UserID, now time.Time) ([]safe.AccountFacts, error) {
	var out []safe.AccountFacts
	for _, id := range accounts {
		f, err := accountFacts(ctx, db, org, id, user, now)
		if err != nil {
			return nil, db.failed("read account", err)
		}
		if f.Account != "" {
			out = append(out, f)
		}
	}
	return out, nil
}

// accountFacts reads one account with its holders; zero facts if there is
// none.
func accountFacts(ctx context.Context, q querier, org pam.OrgID, id pam.AccountID, user pam.UserID, now time.Time) (safe.AccountFacts, error) {
	var out safe.AccountFacts
	_, err := list(ctx, q, func(r row) (struct{}, error) {
		var h safe.Holder
		err := r.Scan(&out.Account, &out.Resource, &out.CreatedBy, &h.Safe, &h.Resource, intoRole(&h.Role))
		if h.Safe != "" {
			out.Holders = append(out.Holders, h)
		}
		return struct{}{}, err
	}, `SELECT a.account_id, COALESCE(a.resource_id, ''), a.created_by, COALESCE(b.safe_id, ''), COALESCE(b.resource_id, ''), `+roleIn("b")+`
		FROM accounts a LEFT JOIN safe_bindings b ON b.org_id = a.org_id AND b.account_id = a.account_id
		WHERE a.org_id = ? AND a.account_id = ? ORDER BY b.safe_id, b.resource_id`, append(roleInArgs(org, user, now), org, id)...)
	return out, err
}

// LockSafe sets or clears the lock.
func (db *DB) LockSafe(ctx context.Context, org pam.OrgID, id pam.SafeID, locked bool, at time.Time, e audit.Entry) error {
	return db.write(ctx, "lock safe", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectSafe, string(id))
		return tx.mustTouch(ctx, pam.NotFound, `UPDATE safes SET locked = ?, version = version + 1, updated_at = ? WHERE org_id = ? AND safe_id = ?`,
			locked, micros(at), org, id)
	}, e)
}

// DeleteSafe removes the Safe, its members and bindings.
func (db *DB) DeleteSafe(ctx context.Context, org pam.OrgID, id pam.SafeID, version int64, e audit.Entry) error {
	return db.write(ctx, "delete safe", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectSafe, string(id))
		return tx.compareAndSet(ctx, pam.Precondition, `DELETE FROM safes WHERE org_id = ? AND safe_id = ? AND version = ?`,
			[]any{org, id, version}, `SELECT 1 FROM safes WHERE org_id = ? AND safe_id = ?`, org, id)
	}, e)
}
