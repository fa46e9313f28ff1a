package store

import (
	"context"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/org"
	"vaultpam/pam/policy"
	"vaultpam/pam/request"
	"vaultpam/pam/session"
)

var (
	_ request.Store  = (*DB)(nil)
	_ request.Access = requestAccess{}
)

const requestColumns = `org_id, request_id, user_id, email, safe_id, safe_name, reason, ticket, seconds, command, status, approvers, granted, grant_id, created_at, expires_at, ended_at`

// seconds scans a column of whole seconds.
type secondsColumn struct{ d *time.Duration }

func (c secondsColumn) Scan(src any) error {
	n, _ := src.(int64)
	*c.d = time.Duration(n) * time.Second
	return nil
}

func wholeSeconds(d time.Duration) int64 { return int64(d / time.Second) }

func scanRequest(r row) (v request.Request, err error) {
	return v, r.Scan(&v.Org, &v.ID, &v.User, &v.Email, &v.Safe, &v.SafeName, &v.Reason, &v.Ticket, secondsColumn{&v.Duration}, &v.Command, &v.Status, &v.Approvers,
		secondsColumn{&v.Granted}, &v.Grant, intoTime(&v.CreatedAt), intoTime(&v.ExpiresAt), intoTime(&v.EndedAt))
}

// decisionsOf fills in what was said about requests.
func decisionsOf(ctx context.Context, q querier, org pam.OrgID, all []request.Request) error {
	for part := range slices.Chunk(all, 256) {
		ids := make([]pam.RequestID, len(part))
		for i := range part {
			ids[i] = part[i].ID
		}
		in, args := inList(ids)
		_, err := list(ctx, q, func(r row) (struct{}, error) {
			var id pam.RequestID
			var d request.Decision
			err := r.Scan(&id, &d.User, &d.Email, &d.Approve, &d.Comment, secondsColumn{&d.Duration}, intoTime(&d.At))
			if i := slices.Index(ids, id); i >= 0 {
				part[i].Decisions = append(part[i].Decisions, d)
			}
			return struct{}{}, err
		}, `SELECT request_id, user_id, email, approve, comment, seconds, decided_at FROM access_request_decisions WHERE org_id = ? AND request_id IN `+in+` ORDER BY request_id, decided_at`,
			append([]any{org}, args...)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// CreateRequest is request.Store's.
func (db *DB) CreateRequest(ctx context.Context, org pam.OrgID, r request.Request, letters []pam.Outgoing, e audit.Entry) error {
	return db.write(ctx, "create access request", func(ctx context.Context, tx *Tx) error {
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM access_requests WHERE org_id = ? AND user_id = ? AND status = 'pending'`, org, r.User)
		if err != nil {
			return err
		}
		if n >= request.MaxPending {
			return pam.Errorf(pam.Conflict, "", "You have %d requests that nobody has decided on yet, which is the most.", request.MaxPending)
		}
		n, err = tx.exec(ctx, `INSERT INTO access_requests (`+requestColumns+`, command_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?, 0, ?)
			ON CONFLICT (org_id, user_id, safe_id, command_hash) WHERE status = 'pending' DO NOTHING`,
			org, r.ID, r.User, r.Email, r.Safe, r.SafeName, r.Reason, r.Ticket, wholeSeconds(r.Duration), r.Command, r.Status, r.Approvers, micros(r.CreatedAt), micros(r.ExpiresAt), request.CommandHash(r.Command))
		if err != nil {
			return err
		}
		if n == 0 {
			return pam.Errorf(pam.Conflict, "", "You have asked for this already, and nobody has decided yet.")
		}
		tx.changed(org, pam.SubjectRequest, string(r.ID))
		return send(ctx, tx, letters...)
	}, e)
}

// RequestByID is request.Store's.
func (db *DB) RequestByID(ctx context.Context, org pam.OrgID, id pam.RequestID) (request.Request, error) {
	r, err := one(ctx, db, scanRequest, `SELECT `+requestColumns+` FROM access_requests WHERE org_id = ? AND request_id = ?`, org, id)
	all := []request.Request{r}
	if err == nil {
		err = decisionsOf(ctx, db, org, all)
	}
	return all[0], db.failed("read access request", err)
}

// seen narrows rows to those of a user or of Safes.
func seen(w *where, v *request.Visible) {
	if v == nil {
		return
	}
	var either where
	if v.User != "" {
		either.and("user_id = ?", v.User)
	}
	for part := range slices.Chunk(v.Safes, 256) {
		in, args := inList(part)
		either.and("safe_id IN "+in, args...)
	}
	if len(either.conditions) == 0 {
		w.and("FALSE")
		return
	}
	w.and(either.any(), either.args...)
}

// ListRequests is request.Store's.
func (db *DB) ListRequests(ctx context.Context, org pam.OrgID, q request.Query) ([]request.Request, error) {
	var w where
	w.and("org_id = ?", org)
	equal(&w, "status", q.Status)
	equal(&w, "safe_id", q.Safe)
	equal(&w, "user_id", q.User)
	seen(&w, q.Visible)
	if q.After != "" {
		w.and("request_id < ?", q.After)
	}
	out, err := list(ctx, db, scanRequest, `SELECT `+requestColumns+` FROM access_requests WHERE `+w.String()+` ORDER BY request_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	if err == nil {
		err = decisionsOf(ctx, db, org, out)
	}
	return out, db.failed("list access requests", err)
}

// equal narrows to rows that have a value in a column, unless it is empty.
func equal[T ~string](w *where, column string, value T) {
	if value != "" {
		w.and(column+" = ?", string(value))
	}
}

// DueRequests is request.Store's.
func (db *DB) DueRequests(ctx context.Context, now time.Time, limit int) ([]request.Request, error) {
	out, err := list(ctx, db, scanRequest, `SELECT `+requestColumns+` FROM access_requests WHERE status = 'pending' AND expires_at <= ? ORDER BY expires_at LIMIT ?`, micros(now), limit)
	return out, db.failed("list access requests that are due", err)
}

// setRequest moves a pending request on. Whoever decides locks it by this.
func setRequest(ctx context.Context, tx *Tx, org pam.OrgID, r request.Request) error {
	tx.changed(org, pam.SubjectRequest, string(r.ID))
	return tx.compareAndSet(ctx, pam.Conflict, `UPDATE access_requests SET status = ?, approvers = ?, granted = ?, grant_id = ?, ended_at = ? WHERE org_id = ? AND request_id = ? AND status = 'pending'`,
		[]any{r.Status, r.Approvers, wholeSeconds(r.Granted), r.Grant, micros(r.EndedAt), org, r.ID}, `SELECT 1 FROM access_requests WHERE org_id = ? AND request_id = ?`, org, r.ID)
}

// DecideRequest is request.Store's.
func (db *DB) DecideRequest(ctx context.Context, org pam.OrgID, r request.Request, d request.Decision, g *request.Grant, letters []pam.Outgoing, entries ...audit.Entry) error {
	return db.write(ctx, "decide on access request", func(ctx context.Context, tx *Tx) error {
		if err := setRequest(ctx, tx, org, r); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM access_request_decisions WHERE org_id = ? AND request_id = ?`, org, r.ID)
		if err != nil {
			return err
		}
		if n != int64(len(r.Decisions)-1) {
			return &pam.Error{Kind: pam.Conflict, Public: "Somebody else has just decided; look again.", Err: request.ErrOutrun}
		}
		if _, err := tx.exec(ctx, `INSERT INTO access_request_decisions (org_id, request_id, user_id, email, approve, comment, seconds, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			org, r.ID, d.User, d.Email, d.Approve, d.Comment, wholeSeconds(d.Duration), micros(d.At)); err != nil {
			return err
		}
		if g != nil {
			if _, err := tx.exec(ctx, `INSERT INTO grants (`+grantColumns+`, session_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', '')`,
				org, g.ID, g.Request, g.User, g.Email, g.Safe, g.SafeName, g.Approvers, micros(g.Starts), micros(g.Ends), g.Command, g.Status); err != nil {
				return err
			}
			tx.changed(org, pam.SubjectGrant, string(g.User))
		}
		return send(ctx, tx, letters...)
	}, entries...)
}

// EndRequest is request.Store's.
func (db *DB) EndRequest(ctx context.Context, org pam.OrgID, r request.Request, e audit.Entry) error {
	return db.write(ctx, "end access request", func(ctx context.Context, tx *Tx) error { return setRequest(ctx, tx, org, r) }, e)
}

const grantColumns = `org_id, grant_id, request_id, user_id, email, safe_id, safe_name, approvers, starts_at, ends_at, command_hash, status, ended_at, ended_by`

func scanGrant(r row) (g request.Grant, err error) {
	return g, r.Scan(&g.Org, &g.ID, &g.Request, &g.User, &g.Email, &g.Safe, &g.SafeName, &g.Approvers, intoTime(&g.Starts), intoTime(&g.Ends), &g.Command, &g.Status, intoTime(&g.EndedAt), &g.EndedBy)
}

// GrantByID is request.Store's.
func (db *DB) GrantByID(ctx context.Context, org pam.OrgID, id pam.GrantID) (request.Grant, error) {
	g, err := one(ctx, db, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE org_id = ? AND grant_id = ?`, org, id)
	return g, db.failed("read grant", err)
}

// ListGrants is request.Store's.
func (db *DB) ListGrants(ctx context.Context, org pam.OrgID, q request.GrantQuery) ([]request.Grant, error) {
	var w where
	w.and("org_id = ?", org)
	switch q.Status { // one whose time is over has ended, whether or not that is on record yet
	case request.Active:
		w.and("status = 'active' AND ends_at > ?", micros(q.Now))
	case request.Ended:
		w.and("(status = 'ended' OR status = 'active' AND ends_at <= ?)", micros(q.Now))
	default:
		equal(&w, "status", q.Status)
	}
	equal(&w, "safe_id", q.Safe)
	equal(&w, "user_id", q.User)
	seen(&w, q.Visible)
	if q.After != "" {
		w.and("grant_id < ?", q.After)
	}
	out, err := list(ctx, db, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE `+w.String()+` ORDER BY grant_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list grants", err)
}

// EndGrant is request.Store's.
func (db *DB) EndGrant(ctx context.Context, org pam.OrgID, g request.Grant, e audit.Entry) error {
	return db.write(ctx, "end grant", func(ctx context.Context, tx *Tx) error {
		tx.changed(org, pam.SubjectGrant, string(g.User))
		return tx.compareAndSet(ctx, pam.Conflict, `UPDATE grants SET status = ?, ended_at = ?, ended_by = ? WHERE org_id = ? AND grant_id = ? AND status IN ('active', 'used')`,
			[]any{g.Status, micros(g.EndedAt), g.EndedBy, org, g.ID}, `SELECT 1 FROM grants WHERE org_id = ? AND grant_id = ?`, org, g.ID)
	}, e)
}

// DueGrants is request.Store's.
func (db *DB) DueGrants(ctx context.Context, now time.Time, limit int) ([]request.Grant, error) {
	out, err := list(ctx, db, scanGrant, `SELECT `+grantColumns+` FROM grants WHERE status IN ('active', 'used') AND ends_at <= ? ORDER BY ends_at LIMIT ?`, micros(now), limit)
	return out, db.failed("list grants that are due", err)
}

// Approvers is request.Store's.
func (db *DB) Approvers(ctx context.Context, org pam.OrgID, id pam.SafeID, now time.Time, limit int) ([]request.Person, error) {
	out, err := list(ctx, db, func(r row) (p request.Person, err error) { return p, r.Scan(&p.User, &p.Email, &p.Language) },
		`SELECT DISTINCT o.user_id, o.email, u.language FROM safe_members m LEFT JOIN group_members x ON x.org_id = m.org_id AND x.group_id = m.group_id
			JOIN memberships o ON o.org_id = m.org_id AND o.user_id = COALESCE(m.user_id, x.user_id) JOIN users u ON u.id = o.user_id
			WHERE m.org_id = ? AND m.safe_id = ? AND m.role = 'approver' AND o.status = 'active' AND o.role <> 'auditor' AND `+unexpired+` ORDER BY o.user_id LIMIT ?`, org, id, micros(now), limit)
	return out, db.failed("list approvers", err)
}

// Answerable lists who is to hear of an emergency in a Safe: its managers and
// approvers, and the owners of the organization.
func (db *DB) Answerable(ctx context.Context, org pam.OrgID, id pam.SafeID, now time.Time, limit int) ([]request.Person, error) {
	out, err := list(ctx, db, func(r row) (p request.Person, err error) { return p, r.Scan(&p.User, &p.Email, &p.Language) },
		`SELECT o.user_id, o.email, u.language FROM memberships o JOIN users u ON u.id = o.user_id
			WHERE o.org_id = ? AND o.status = 'active' AND (o.role = 'owner' OR o.user_id IN (
				SELECT COALESCE(m.user_id, x.user_id) FROM safe_members m LEFT JOIN group_members x ON x.org_id = m.org_id AND x.group_id = m.group_id
				WHERE m.org_id = ? AND m.safe_id = ? AND m.role IN ('manager', 'approver') AND `+unexpired+`)) ORDER BY o.user_id LIMIT ?`, org, org, id, micros(now), limit)
	return out, db.failed("list who answers for a safe", err)
}

// Managers lists who is to hear that the credential of an account is in
// trouble: the managers of the Safes that bind it, or without any the owners
// and administrators of the organization.
func (db *DB) Managers(ctx context.Context, org pam.OrgID, id pam.AccountID, now time.Time, limit int) ([]request.Person, error) {
	const people = `SELECT o.user_id, o.email, u.language FROM memberships o JOIN users u ON u.id = o.user_id WHERE o.org_id = ? AND o.status = 'active' AND `
	scan := func(r row) (p request.Person, err error) { return p, r.Scan(&p.User, &p.Email, &p.Language) }
	out, err := list(ctx, db, scan, people+`o.user_id IN (
		SELECT COALESCE(m.user_id, x.user_id) FROM safe_bindings b JOIN safe_members m ON m.org_id = b.org_id AND m.safe_id = b.safe_id
			LEFT JOIN group_members x ON x.org_id = m.org_id AND x.group_id = m.group_id
			WHERE b.org_id = ? AND b.account_id = ? AND m.role = 'manager' AND `+unexpired+`) ORDER BY o.user_id LIMIT ?`, org, org, id, micros(now), limit)
	if err == nil && len(out) == 0 {
		out, err = list(ctx, db, scan, people+`o.role IN ('owner', 'admin') ORDER BY o.user_id LIMIT ?`, org, limit)
	}
	return out, db.failed("list who manages an account", err)
}

// SafesAs is request.Store's.
func (db *DB) SafesAs(ctx context.Context, org pam.OrgID, user pam.UserID, now time.Time, roles ...pam.SafeRole) ([]pam.SafeID, error) {
	in, args := inList(roles)
	out, err := list(ctx, db, scalar[pam.SafeID], `SELECT DISTINCT m.safe_id FROM safe_members m WHERE m.org_id = ? AND m.holder_id IN `+holders+` AND `+unexpired+` AND m.role IN `+in+` AND `+activeUser+` ORDER BY m.safe_id`,
		slices.Concat([]any{org}, roleArgs(org, user, now), args, []any{user})...)
	return out, db.failed("list safes by role", err)
}

// lost is how a session of one command ended, if its connection was lost and it
// has not been begun anew.
const lost = `l.org_id = g.org_id AND l.session_id = g.session_id AND l.status = 'ended' AND l.end_reason = '` + broker.ClientGone + `' AND g.status = 'used' AND NOT g.relaunched`

// grantsOf are the grants that a user holds for a Safe, as facts. One that was
// used holds for the session that used it alone; and once more, for as long as
// that would have had, while the organization's cool-down lasts after its
// connection was lost.
func grantsOf(ctx context.Context, q querier, org pam.OrgID, user pam.UserID, id pam.SafeID, now time.Time) ([]policy.Grant, error) {
	type held struct {
		policy.Grant
		lostAt, until time.Time
	}
	rows, err := list(ctx, q, func(r row) (g held, err error) {
		return g, r.Scan(&g.ID, &g.Approvers, intoTime(&g.Starts), intoTime(&g.Ends), &g.Command, intoTime(&g.lostAt), intoTime(&g.until))
	}, `SELECT g.grant_id, g.approvers, g.starts_at, g.ends_at, g.command_hash, COALESCE(l.ended_at, 0), COALESCE(l.expires_at, 0) FROM grants g LEFT JOIN sessions l ON `+lost+`
		WHERE g.user_id = ? AND g.org_id = ? AND g.safe_id = ? AND g.ends_at > ? AND (g.status = 'active' OR g.status = 'used' AND l.session_id IS NOT NULL) ORDER BY g.grant_id`,
		user, org, id, micros(now))
	if err != nil {
		return nil, err
	}
	var out []policy.Grant
	for _, g := range rows {
		if !g.lostAt.IsZero() {
			cool, err := coolDown(ctx, q, org)
			if err != nil {
				return nil, err
			}
			if now.Sub(g.lostAt) > cool {
				continue
			}
			if g.until.Before(g.Ends) {
				g.Ends = g.until
			}
		}
		out = append(out, g.Grant)
	}
	return out, nil
}

func coolDown(ctx context.Context, q querier, id pam.OrgID) (time.Duration, error) {
	settings, err := one(ctx, q, func(r row) (s org.Settings, err error) { return s, r.Scan(intoJSON(&s)) }, `SELECT settings FROM organizations WHERE id = ?`, id)
	return time.Duration(settings.ApprovalCooldownSeconds) * time.Second, err
}

// useGrant uses up a grant of one command for a session: the first, or the one
// that begins anew what was lost, with the same account.
func useGrant(ctx context.Context, tx *Tx, id pam.OrgID, s session.Session) error {
	n, err := tx.exec(ctx, `UPDATE grants SET status = 'used', session_id = ? WHERE org_id = ? AND grant_id = ? AND status = 'active' AND command_hash <> ''`, s.ID, id, s.Grant)
	if err != nil || n > 0 {
		return err
	}
	cool, err := coolDown(ctx, tx, id)
	if err != nil {
		return err
	}
	n, err = tx.exec(ctx, `UPDATE grants SET relaunched = TRUE, session_id = ? WHERE org_id = ? AND grant_id = ? AND EXISTS (
		SELECT 1 FROM grants g JOIN sessions l ON `+lost+` WHERE g.org_id = grants.org_id AND g.grant_id = grants.grant_id AND l.resource_id = ? AND l.account_id = ? AND l.ended_at >= ?)`,
		s.ID, id, s.Grant, s.ResourceID, s.AccountID, micros(s.StartedAt.Add(-cool)))
	if err == nil && n == 0 {
		err = pam.Errorf(pam.Conflict, "", "The approval of this command was for one run, which has been.")
	}
	return err
}

// Grants is broker.Store's.
func (db *DB) Grants(ctx context.Context, org pam.OrgID, user pam.UserID, id pam.SafeID, now time.Time) ([]policy.Grant, error) {
	out, err := grantsOf(ctx, db, org, user, id, now)
	return out, db.failed("read grants", err)
}

// requestAccess reads what requests rest on, with the policies of books.
type requestAccess struct {
	db    *DB
	rules func(ctx context.Context, org pam.OrgID) (policy.Book, error)
}

// RequestAccess makes what requests rest on; rules knows the policies of
// organizations as they are now.
func (db *DB) RequestAccess(rules func(ctx context.Context, org pam.OrgID) (policy.Book, error)) request.Access {
	return requestAccess{db, rules}
}

// Facts is request.Access's.
func (x requestAccess) Facts(ctx context.Context, org pam.OrgID, user pam.UserID, id pam.SafeID, now time.Time) (request.Facts, error) {
	sub, err := x.db.Subject(ctx, org, id, user, now)
	if err != nil {
		return request.Facts{}, err
	}
	o, err := x.db.OrganizationByID(ctx, org)
	if err != nil {
		return request.Facts{}, err
	}
	book, err := x.rules(ctx, org)
	if err != nil {
		return request.Facts{}, err
	}
	types := make([]pam.Protocol, len(sub.Targets))
	for i, t := range sub.Targets {
		types[i] = t.Type
	}
	return request.Facts{
		SafeName: sub.SafeName, Timeout: time.Duration(o.Settings.RequestTimeoutSeconds) * time.Second,
		Question: policy.Question{
			User: user, Groups: sub.Groups, Role: sub.Role, SafeRole: sub.SafeRole, Safe: sub.Safe, Rules: book[id], Types: policy.TypesOf(types...), At: now, Fresh: true, Factor: true,
		},
	}, nil
}
