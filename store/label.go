package store

import (
	"context"
	"strings"

	"vaultpam/pam"
)

// labels says where the name of each kind of object stands.
var labels = []struct{ prefix, query string }{
	// People belong to no one organization; the ids come from rows that do.
	{pam.PrefixUser, `SELECT id, email FROM users WHERE ? <> '' AND id IN `},
	{pam.PrefixGroup, `SELECT group_id, name FROM org_groups WHERE org_id = ? AND group_id IN `},
	{pam.PrefixSafe, `SELECT safe_id, name FROM safes WHERE org_id = ? AND safe_id IN `},
	{pam.PrefixResource, `SELECT resource_id, name FROM resources WHERE org_id = ? AND resource_id IN `},
	{pam.PrefixAccount, `SELECT account_id, name FROM accounts WHERE org_id = ? AND account_id IN `},
}

// Labels returns the names by which people know objects of org: a person's
// e-mail, the name of anything else. What is gone has none.
func (db *DB) Labels(ctx context.Context, org pam.OrgID, ids []string) (map[string]string, error) {
	out := map[string]string{}
	for _, l := range labels {
		var some []string
		seen := map[string]bool{}
		for _, id := range ids {
			if strings.HasPrefix(id, l.prefix) && !seen[id] {
				seen[id] = true
				some = append(some, id)
			}
		}
		if len(some) == 0 {
			continue
		}
		in, args := inList(some)
		pairs, err := list(ctx, db, func(r row) (p [2]string, err error) { return p, r.Scan(&p[0], &p[1]) }, l.query+in, append([]any{string(org)}, args...)...)
		if err != nil {
			return nil, db.failed("read names", err)
		}
		for _, p := range pairs {
			out[p[0]] = p[1]
		}
	}
	return out, nil
}
