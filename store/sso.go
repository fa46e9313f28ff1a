package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/group"
	"vaultpam/pam/org"
	"vaultpam/pam/sso"
)

var _ sso.Store = (*DB)(nil)

const providerColumns = `p.org_id, p.provider_id, p.name, p.kind, p.issuer, p.client_id, p.sealed, p.secret_version, p.scopes, p.domains, p.group_claim, p.rules, p.creates,
	p.default_role, p.trusts_mfa, p.enabled, p.trusted_at, p.details, p.synced_at, p.sync_problem, p.version, p.created_at, p.updated_at`

func scanProvider(r row) (sso.Provider, error) {
	var p sso.Provider
	err := r.Scan(&p.Org, &p.ID, &p.Name, &p.Kind, &p.Issuer, &p.ClientID, &p.Sealed, &p.SecretVersion, intoJSON(&p.Scopes), intoJSON(&p.Domains), &p.GroupClaim, intoJSON(&p.Rules), &p.Creates,
		&p.DefaultRole, &p.TrustsMFA, &p.Enabled, intoTime(&p.TrustedAt), intoJSON(&p.Details), intoTime(&p.SyncedAt), &p.SyncProblem, &p.Version, intoTime(&p.CreatedAt), intoTime(&p.UpdatedAt))
	return p, err
}

// given checks in the transaction what a change gives roles by: that the groups
// are filled by claims, and that nothing has a role in a Safe that was not
// decided on. From here on nobody gives the groups a role: that locks the row,
// too.
func given(ctx context.Context, tx *Tx, id pam.OrgID, g sso.Gives) error {
	safes := []pam.SafeID{}
	for _, gid := range g.Groups {
		n, err := tx.exec(ctx, `UPDATE org_groups SET version = version WHERE org_id = ? AND group_id = ? AND source = 'claim'`, id, gid)
		if err != nil {
			return err
		}
		if n == 0 {
			return invalid("rules", "name a group that is not there, or not filled by a claim")
		}
		found, err := list(ctx, tx, scalar[pam.SafeID], safesOfGroup, id, gid)
		if err != nil {
			return err
		}
		safes = append(safes, found...)
	}
	if g.User != "" {
		found, err := list(ctx, tx, scalar[pam.SafeID], safesOfUser, id, g.User, id, g.User)
		if err != nil {
			return err
		}
		safes = append(safes, found...)
	}
	if slices.ContainsFunc(safes, func(s pam.SafeID) bool { return !slices.Contains(g.Safes, s) }) {
		return &pam.Error{Kind: pam.Conflict, Public: "What this gives has changed meanwhile. Try again."}
	}
	return nil
}

const safesOfUser = `SELECT DISTINCT m.safe_id FROM safe_members m WHERE m.org_id = ? AND (m.holder_id = ?
	OR m.holder_id IN (SELECT g.group_id FROM group_members g WHERE g.org_id = ? AND g.user_id = ?)) ORDER BY m.safe_id`

// SafesOfUser is sso.Store's. A role that has ended counts, as for groups.
func (db *DB) SafesOfUser(ctx context.Context, id pam.OrgID, user pam.UserID) ([]pam.SafeID, error) {
	out, err := list(ctx, db, scalar[pam.SafeID], safesOfUser, id, user, id, user)
	return out, db.failed("list safes of a user", err)
}

func errProviderName() error {
	return &pam.Error{Kind: pam.Conflict, Public: "There is a provider of this name already."}
}

// speaksAlone refuses a provider that could speak of the identities of another.
func speaksAlone(ctx context.Context, tx *Tx, id pam.OrgID, p sso.Provider) error {
	n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM sso_providers WHERE org_id = ? AND issuer = ? AND provider_id <> ? AND (kind <> ? OR ? <> ?)`,
		id, p.Issuer, p.ID, sso.KindOIDC, p.Kind, sso.KindOIDC)
	if err == nil && n > 0 {
		err = &pam.Error{Kind: pam.Conflict, Public: "There is another provider of this issuer: it would speak of the same people."}
	}
	return err
}

// CreateSSOProvider is sso.Store's.
func (db *DB) CreateSSOProvider(ctx context.Context, id pam.OrgID, p sso.Provider, g sso.Gives, e audit.Entry) error {
	return db.write(ctx, "create sign-in provider", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM sso_providers WHERE org_id = ?`, id)
		if err != nil {
			return err
		}
		if n >= sso.MaxProviders {
			return pam.Errorf(pam.Conflict, "", "An organization has at most %d providers.", sso.MaxProviders)
		}
		if err := speaksAlone(ctx, tx, id, p); err != nil {
			return err
		}
		// All the groups of the rules, whether or not they give anything yet.
		if err := given(ctx, tx, id, sso.Gives{Groups: p.Feeds(), Safes: g.Safes}); err != nil {
			return err
		}
		n, err = tx.exec(ctx, `INSERT INTO sso_providers (org_id, provider_id, name, sort_key, kind, issuer, client_id, sealed, secret_version, scopes, domains, group_claim, rules, creates,
			default_role, trusts_mfa, enabled, trusted_at, details, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, sort_key) DO NOTHING`,
			id, p.ID, p.Name, naming.Key(p.Name), p.Kind, p.Issuer, p.ClientID, p.Sealed, p.SecretVersion, asJSON(listed(p.Scopes)), asJSON(listed(p.Domains)), p.GroupClaim, asJSON(listed(p.Rules)), p.Creates,
			p.DefaultRole, p.TrustsMFA, p.Enabled, micros(p.TrustedAt), asJSON(p.Details), p.Version, micros(p.CreatedAt), micros(p.UpdatedAt))
		if err == nil && n == 0 {
			err = errProviderName()
		}
		return err
	}, e)
}

// listed is values with an empty list, not null, for none.
func listed[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}

// SSOProvider is sso.Store's.
func (db *DB) SSOProvider(ctx context.Context, id pam.OrgID, provider pam.ProviderID) (sso.Provider, error) {
	p, err := one(ctx, db, scanProvider, `SELECT `+providerColumns+` FROM sso_providers p WHERE p.org_id = ? AND p.provider_id = ?`, id, provider)
	return p, db.failed("read sign-in provider", err)
}

// SSOProviders is sso.Store's.
func (db *DB) SSOProviders(ctx context.Context, id pam.OrgID) ([]sso.Provider, error) {
	out, err := list(ctx, db, scanProvider, `SELECT `+providerColumns+` FROM sso_providers p WHERE p.org_id = ? ORDER BY p.sort_key`, id)
	return out, db.failed("list sign-in providers", err)
}

// EnabledProviders is sso.Store's.
func (db *DB) EnabledProviders(ctx context.Context, slug string) ([]sso.Provider, error) {
	out, err := list(ctx, db, scanProvider, `SELECT `+providerColumns+` FROM organizations o JOIN sso_providers p ON p.org_id = o.id WHERE o.slug = ? AND p.enabled ORDER BY p.sort_key`, slug)
	return out, db.failed("list sign-in providers", err)
}

// UpdateSSOProvider is sso.Store's.
func (db *DB) UpdateSSOProvider(ctx context.Context, id pam.OrgID, p sso.Provider, version int64, g sso.Gives, ends bool, e audit.Entry) error {
	return db.write(ctx, "update sign-in provider", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		old, err := one(ctx, tx, scanProvider, `SELECT `+providerColumns+` FROM sso_providers p WHERE p.org_id = ? AND p.provider_id = ?`, id, p.ID)
		if err != nil {
			return err
		}
		taken, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM sso_providers WHERE org_id = ? AND sort_key = ? AND provider_id <> ?`, id, naming.Key(p.Name), p.ID)
		if err != nil {
			return err
		}
		if taken > 0 {
			return errProviderName()
		}
		if err := speaksAlone(ctx, tx, id, p); err != nil {
			return err
		}
		if err := given(ctx, tx, id, g); err != nil {
			return err
		}
		// A group that it names for the first time must be one that a claim fills,
		// also while the provider is not enabled.
		for _, gid := range p.Feeds() {
			if !slices.Contains(old.Feeds(), gid) && !slices.Contains(g.Groups, gid) {
				if err := tx.mustTouch(ctx, pam.Conflict, `UPDATE org_groups SET version = version WHERE org_id = ? AND group_id = ? AND source = 'claim'`, id, gid); err != nil {
					return invalid("rules", "name a group that is not there, or not filled by a claim")
				}
			}
		}
		if err := tx.mustTouch(ctx, pam.Precondition, `UPDATE sso_providers SET name = ?, sort_key = ?, issuer = ?, client_id = ?, sealed = ?, secret_version = ?, scopes = ?, domains = ?,
			group_claim = ?, rules = ?, creates = ?, default_role = ?, trusts_mfa = ?, enabled = ?, trusted_at = ?, details = ?, version = ?, updated_at = ? WHERE org_id = ? AND provider_id = ? AND version = ?`,
			p.Name, naming.Key(p.Name), p.Issuer, p.ClientID, p.Sealed, p.SecretVersion, asJSON(listed(p.Scopes)), asJSON(listed(p.Domains)), p.GroupClaim, asJSON(listed(p.Rules)), p.Creates,
			p.DefaultRole, p.TrustsMFA, p.Enabled, micros(p.TrustedAt), asJSON(p.Details), p.Version, micros(p.UpdatedAt), id, p.ID, version); err != nil {
			return err
		}
		if err := db.emptyUnfed(ctx, tx, id, old.Feeds()); err != nil {
			return err
		}
		if !ends {
			return nil
		}
		if err := endLogins(ctx, tx, id, "sso_provider", string(p.ID)); err != nil {
			return err
		}
		return keepsDoor(ctx, tx, id)
	}, e)
}

// DeleteSSOProvider is sso.Store's.
func (db *DB) DeleteSSOProvider(ctx context.Context, id pam.OrgID, provider pam.ProviderID, version int64, e audit.Entry) error {
	return db.write(ctx, "delete sign-in provider", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		old, err := one(ctx, tx, scanProvider, `SELECT `+providerColumns+` FROM sso_providers p WHERE p.org_id = ? AND p.provider_id = ?`, id, provider)
		if err != nil {
			return err
		}
		if err := tx.mustTouch(ctx, pam.Precondition, `DELETE FROM sso_providers WHERE org_id = ? AND provider_id = ? AND version = ?`, id, provider, version); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `DELETE FROM sso_attempts WHERE org_id = ? AND provider_id = ?`, id, provider); err != nil {
			return err
		}
		if err := db.emptyUnfed(ctx, tx, id, old.Feeds()); err != nil {
			return err
		}
		if err := endLogins(ctx, tx, id, "sso_provider", string(provider)); err != nil {
			return err
		}
		return keepsDoor(ctx, tx, id)
	}, e)
}

// emptyUnfed takes everybody out of those of the groups that no provider fills
// any more: nobody could take them out otherwise.
func (db *DB) emptyUnfed(ctx context.Context, tx *Tx, id pam.OrgID, groups []pam.GroupID) error {
	for _, g := range groups {
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM sso_providers WHERE org_id = ? AND `+fmt.Sprintf(db.dialect.contains, "rules"), id, `"`+string(g)+`"`)
		if err != nil || n > 0 {
			if err != nil {
				return err
			}
			continue
		}
		gone, err := tx.exec(ctx, `DELETE FROM group_members WHERE org_id = ? AND group_id IN (SELECT g.group_id FROM org_groups g WHERE g.org_id = ? AND g.group_id = ? AND g.source = ?)`, id, id, g, group.Claim)
		if err != nil {
			return err
		}
		if gone > 0 {
			tx.changed(id, pam.SubjectGroup, string(g))
		}
	}
	return nil
}

// endLogins ends the logins of an organization that rest on a provider or an
// identity, what was opened with them, and those that programs have not
// fetched yet.
func endLogins(ctx context.Context, tx *Tx, id pam.OrgID, column, value string) error {
	type login struct {
		id   pam.LoginID
		user pam.UserID
	}
	found, err := list(ctx, tx, func(r row) (l login, err error) { return l, r.Scan(&l.id, &l.user) },
		`SELECT id, user_id FROM logins WHERE only_org = ? AND `+column+` = ?`, id, value)
	if err != nil {
		return err
	}
	for _, l := range found {
		tx.changed(pam.InstanceOrg, pam.SubjectLogin, string(l.id))
		if err := cutSessions(ctx, tx, l.user, string(l.id), "login"); err != nil {
			return err
		}
	}
	for _, table := range []string{"logins", "device_logins"} {
		if _, err := tx.exec(ctx, `DELETE FROM `+table+` WHERE only_org = ? AND `+column+` = ?`, id, value); err != nil {
			return err
		}
	}
	return nil
}

// keepsDoor refuses what would leave an organization that wants single sign-on
// without any.
func keepsDoor(ctx context.Context, tx *Tx, id pam.OrgID) error {
	settings, err := orgSettings(ctx, tx, id)
	if err != nil || !settings.SSOOnly {
		return err
	}
	n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM sso_providers WHERE org_id = ? AND enabled`, id)
	if err == nil && n == 0 {
		err = &pam.Error{Kind: pam.Conflict, Public: "Nobody could sign in any more: enable another provider, or let people sign in with a password first."}
	}
	return err
}

func orgSettings(ctx context.Context, q querier, id pam.OrgID) (org.Settings, error) {
	return one(ctx, q, func(r row) (s org.Settings, err error) { return s, r.Scan(intoJSON(&s)) }, `SELECT settings FROM organizations WHERE id = ?`, id)
}

// SSOOnly is sso.Store's.
func (db *DB) SSOOnly(ctx context.Context, id pam.OrgID) (bool, error) {
	s, err := orgSettings(ctx, db, id)
	return s.SSOOnly, db.failed("read sign-in settings", err)
}

// SetSSOOnly is sso.Store's.
func (db *DB) SetSSOOnly(ctx context.Context, id pam.OrgID, only bool, e audit.Entry) error {
	return db.write(ctx, "change sign-in settings", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		settings, err := orgSettings(ctx, tx, id)
		if err != nil {
			return err
		}
		settings.SSOOnly = only
		tx.changed(id, pam.SubjectOrg, string(id))
		if _, err := tx.exec(ctx, `UPDATE organizations SET settings = ?, version = version + 1 WHERE id = ?`, asJSON(settings), id); err != nil {
			return err
		}
		return keepsDoor(ctx, tx, id)
	}, e)
}

// CreateAttempt is sso.Store's.
func (db *DB) CreateAttempt(ctx context.Context, a sso.Attempt, most int) error {
	return db.write(ctx, "start sign-in", func(ctx context.Context, tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM sso_attempts WHERE expires_at <= ?`, micros(a.CreatedAt)); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int], `SELECT COUNT(*) FROM sso_attempts`)
		if err != nil {
			return err
		}
		if n >= most {
			return &pam.Error{Kind: pam.Unavailable, Public: "Too many people are signing in. Try again later."}
		}
		_, err = tx.exec(ctx, `INSERT INTO sso_attempts (state_hash, browser_hash, org_id, provider_id, user_id, fresh, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			a.State[:], a.Browser[:], a.Org, a.Provider, a.Link, a.Fresh, micros(a.CreatedAt), micros(a.ExpiresAt))
		return err
	})
}

// TakeAttempt is sso.Store's.
func (db *DB) TakeAttempt(ctx context.Context, state, browser [32]byte, p pam.ProviderID, now time.Time) (out sso.Attempt, err error) {
	err = db.write(ctx, "finish sign-in", func(ctx context.Context, tx *Tx) error {
		const its = ` FROM sso_attempts WHERE state_hash = ? AND browser_hash = ? AND provider_id = ? AND expires_at > ?`
		args := []any{state[:], browser[:], p, micros(now)}
		var err error
		if out, err = one(ctx, tx, func(r row) (a sso.Attempt, err error) {
			return a, r.Scan(&a.Org, &a.Provider, &a.Link, &a.Fresh, intoTime(&a.CreatedAt), intoTime(&a.ExpiresAt))
		}, `SELECT org_id, provider_id, user_id, fresh, created_at, expires_at`+its, args...); err != nil {
			return err
		}
		return tx.mustTouch(ctx, pam.NotFound, `DELETE`+its, args...)
	})
	return out, err
}
