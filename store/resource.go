package store

import (
	"context"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/resource"
)

const (
	resourceColumns = `r.org_id, r.resource_id, r.name, r.slug, r.type, r.host, r.port, r.host_keys, r.host_key_policy, r.learned, r.tls,
		r.version, r.created_by, r.created_at, r.updated_at,
		COALESCE((SELECT MIN(c.confirmation_id) FROM confirmations c WHERE c.org_id = r.org_id AND c.resource_id = r.resource_id AND c.account_id = '' AND ` + holds + `), '')`
	resourceSlugs = `SELECT COUNT(*) FROM resources WHERE org_id = ? AND slug = ?`
	// resourcesOf are the ids of the resources that the Safes of a user bind.
	resourcesOf = `SELECT b.resource_id FROM safe_members m JOIN safe_bindings b ON b.org_id = m.org_id AND b.safe_id = m.safe_id
		WHERE m.org_id = ? AND m.holder_id IN ` + holders + ` AND ` + unexpired
)

func scanResource(r row) (resource.Resource, error) {
	var out resource.Resource
	err := r.Scan(&out.Org, &out.ID, &out.Name, &out.Slug, &out.Type, &out.Host, &out.Port, intoJSON(&out.HostKeys), &out.HostKeyPolicy, &out.Learned,
		intoJSON(&out.TLS), &out.Version, &out.CreatedBy, intoTime(&out.CreatedAt), intoTime(&out.UpdatedAt), &out.Pending)
	return out, err
}

// CreateResource stores r and returns it with the slug that it got.
func (db *DB) CreateResource(ctx context.Context, org pam.OrgID, r resource.Resource, e audit.Entry) (resource.Resource, error) {
	wanted := r.Slug
	err := db.write(ctx, "create resource", func(ctx context.Context, tx *Tx) error {
		slug, err := withSlug(ctx, tx, org, wanted, r.Name, "resource", resourceSlugs, func(slug string) (int64, error) {
			return tx.exec(ctx, `INSERT INTO resources (org_id, resource_id, name, sort_key, slug, type, host, port, host_keys, host_key_policy, learned, tls, version, created_by, created_at, updated_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT (org_id, slug) DO NOTHING`,
				org, r.ID, r.Name, naming.Key(r.Name), slug, r.Type, r.Host, r.Port, asJSON(lines(r.HostKeys)), r.HostKeyPolicy, r.Learned, asJSON(r.TLS),
				r.CreatedBy, micros(r.CreatedAt), micros(r.UpdatedAt))
		})
		r.Slug, r.Version = slug, 1
		tx.changed(org, pam.SubjectResource, string(r.ID))
		return err
	}, e)
	return r, err
}

// lines is keys with an empty list, not null, for none.
func lines(keys []string) []string {
	if keys == nil {
		return []string{}
	}
	return keys
}

// ResourceByID returns a resource of org.
func (db *DB) ResourceByID(ctx context.Context, org pam.OrgID, id pam.ResourceID) (resource.Resource, error) {
	out, err := resourceByID(ctx, db, org, id)
	return out, db.failed("read resource", err)
}

func resourceByID(ctx context.Context, q querier, org pam.OrgID, id pam.ResourceID) (resource.Resource, error) {
	return one(ctx, q, scanResource, `SELECT `+resourceColumns+` FROM resources r WHERE r.org_id = ? AND r.resource_id = ?`, org, id)
}

// ResourceVisible says whether a Safe that user is in binds the resource.
func (db *DB) ResourceVisible(ctx context.Context, org pam.OrgID, id pam.ResourceID, user pam.UserID, now time.Time) (bool, error) {
	n, err := one(ctx, db, scalar[int64], `SELECT COUNT(*) FROM safe_bindings b JOIN safe_members m ON m.org_id = b.org_id AND m.safe_id = b.safe_id
		WHERE b.org_id = ? AND b.resource_id = ? AND m.holder_id IN `+holders+` AND `+unexpired, append([]any{org, id}, roleArgs(org, user, now)...)...)
	return n > 0, db.failed("read resource", err)
}

// ListResources returns a page of resources.
func (db *DB) ListResources(ctx context.Context, org pam.OrgID, q resource.Query) ([]resource.Resource, error) {
	w, by := ordering(q.Order, "r.sort_key", "r.resource_id", q.After)
	if !q.All {
		w.and("r.resource_id IN ("+resourcesOf+")", append([]any{org}, roleArgs(org, q.User, q.Now)...)...)
	}
	if q.Type != "" {
		w.and("r.type = ?", q.Type)
	}
	db.search(&w, q.Text, "r.sort_key", "r.host")
	text, args := pageOf(resourceColumns, "resources r", "r.resource_id", org, w, by, q.Limit)
	out, err := list(ctx, db, scanResource, text, args...)
	return out, db.failed("list resources", err)
}

// UpdateResource replaces the settings of the resource that still has version.
func (db *DB) UpdateResource(ctx context.Context, org pam.OrgID, r resource.Resource, version int64, h *pam.Hold, e audit.Entry) (resource.Resource, error) {
	var out resource.Resource
	err := db.write(ctx, "update resource", func(ctx context.Context, tx *Tx) error {
		old, err := resourceByID(ctx, tx, org, r.ID)
		if err != nil {
			return err
		}
		if err := slugChange(ctx, tx, org, old.Slug, r.Slug, resourceSlugs); err != nil {
			return err
		}
		err = tx.mustTouch(ctx, pam.Precondition, `UPDATE resources SET name = ?, sort_key = ?, slug = ?, type = ?, host = ?, port = ?, host_keys = ?, host_key_policy = ?,
			learned = ?, tls = ?, version = version + 1, updated_at = ? WHERE org_id = ? AND resource_id = ? AND version = ?`,
			r.Name, naming.Key(r.Name), r.Slug, r.Type, r.Host, r.Port, asJSON(lines(r.HostKeys)), r.HostKeyPolicy, r.Learned, asJSON(r.TLS),
			micros(r.UpdatedAt), org, r.ID, version)
		if err != nil {
			return err
		}
		if h != nil {
			// Whoever binds the resource waits for the row that was just
			// written, so that no Safe is missed.
			safes, err := list(ctx, tx, scalar[pam.SafeID], `SELECT DISTINCT safe_id FROM safe_bindings WHERE org_id = ? AND resource_id = ? ORDER BY safe_id`, org, r.ID)
			if err != nil {
				return err
			}
			if err := hold(ctx, tx, org, *h, r.ID, "", safes); err != nil {
				return err
			}
		}
		tx.changed(org, pam.SubjectResource, string(r.ID))
		out, err = resourceByID(ctx, tx, org, r.ID)
		return err
	}, e)
	return out, err
}

// PinHostKey pins line if the resource accepts its first and has none.
func (db *DB) PinHostKey(ctx context.Context, org pam.OrgID, id pam.ResourceID, line string, e audit.Entry) error {
	return db.write(ctx, "pin host key", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectResource, string(id))
		return tx.compareAndSet(ctx, pam.Conflict,
			`UPDATE resources SET host_keys = ?, learned = TRUE, version = version + 1, updated_at = ?
				WHERE org_id = ? AND resource_id = ? AND host_keys = '[]' AND host_key_policy = 'accept_first'`,
			[]any{asJSON([]string{line}), micros(e.Time), org, id},
			`SELECT 1 FROM resources WHERE org_id = ? AND resource_id = ?`, org, id)
	}, e)
}

// DeleteResource removes a resource that nothing refers to; a version of 0 is
// any.
func (db *DB) DeleteResource(ctx context.Context, org pam.OrgID, id pam.ResourceID, version int64, e audit.Entry) error {
	return db.write(ctx, "delete resource", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectResource, string(id))
		used, err := one(ctx, tx, scalar[int64], `SELECT (SELECT COUNT(*) FROM safe_bindings WHERE org_id = ? AND resource_id = ?) + (SELECT COUNT(*) FROM accounts WHERE org_id = ? AND resource_id = ?)`, org, id, org, id)
		if err != nil {
			return err
		}
		if used > 0 {
			return &pam.Error{Kind: pam.Conflict, Public: "A Safe or an account still refers to this resource."}
		}
		return tx.compareAndSet(ctx, pam.Precondition, `DELETE FROM resources WHERE org_id = ? AND resource_id = ? AND (version = ? OR ? = 0)`,
			[]any{org, id, version, version}, `SELECT 1 FROM resources WHERE org_id = ? AND resource_id = ?`, org, id)
	}, e)
}

// MatchResources lists up to two resources that ref (an id or a slug) names, or
// without one that are at the type, host and port.
func (db *DB) MatchResources(ctx context.Context, org pam.OrgID, ref string, t pam.Protocol, host string, port int) ([]resource.Resource, error) {
	const text = `SELECT ` + resourceColumns + ` FROM resources r WHERE r.org_id = ? AND `
	var out []resource.Resource
	var err error
	if ref != "" {
		out, err = list(ctx, db, scanResource, text+`(r.resource_id = ? OR r.slug = ?) ORDER BY r.resource_id LIMIT 2`, org, ref, ref)
	} else {
		out, err = list(ctx, db, scanResource, text+`r.type = ? AND r.host = ? AND r.port = ? ORDER BY r.resource_id LIMIT 2`, org, t, host, port)
	}
	return out, db.failed("match resources", err)
}
