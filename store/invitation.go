package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/invitation"
	"vaultpam/pam/org"
	"vaultpam/pam/safe"
)

var _ invitation.Store = (*DB)(nil)

var invitationColumns = `i.org_id, i.invitation_id, i.email, i.role, i.safes, i.safe_role, i.require_mfa, i.language, i.status, i.invited_by, i.created_at, i.sent_at, i.expires_at,
	i.accepted_by, i.ended_at, ` + deliveryColumns("i.org_id", "i.invitation_id", pam.LetterInvitation)

func invitationInto(i *invitation.Invitation) []any {
	return append([]any{
		&i.Org, &i.ID, &i.Email, &i.Role, intoJSON(&i.Safes), &i.SafeRole, &i.RequireMFA, &i.Language, &i.Status, &i.InvitedBy, intoTime(&i.CreatedAt), intoTime(&i.SentAt),
		intoTime(&i.ExpiresAt), &i.AcceptedBy, intoTime(&i.EndedAt),
	}, deliveryInto(&i.Delivery)...)
}

func scanInvitation(r row) (invitation.Invitation, error) {
	var i invitation.Invitation
	return i, r.Scan(invitationInto(&i)...)
}

// CreateInvitations is invitation.Store's.
func (db *DB) CreateInvitations(ctx context.Context, id pam.OrgID, links []invitation.Link, entries ...audit.Entry) error {
	return db.write(ctx, "invite", func(ctx context.Context, tx *Tx) error {
		if err := lockOrg(ctx, tx, id); err != nil {
			return err
		}
		open, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM invitations WHERE org_id = ? AND status = 'pending'`, id)
		if err != nil {
			return err
		}
		if open+int64(len(links)) > invitation.MaxPending {
			return pam.Errorf(pam.Conflict, "", "An organization has at most %d open invitations.", invitation.MaxPending)
		}
		var ps pam.Problems
		for n, l := range links {
			field := fmt.Sprintf("emails[%d]", n)
			// One whose time is over makes way.
			if _, err := tx.exec(ctx, `UPDATE invitations SET status = 'revoked', ended_at = ? WHERE org_id = ? AND email = ? AND status = 'pending' AND expires_at <= ?`,
				micros(l.CreatedAt), id, l.Email, micros(l.CreatedAt)); err != nil {
				return err
			}
			found, err := one(ctx, tx, func(r row) (f [2]int64, err error) { return f, r.Scan(&f[0], &f[1]) }, `SELECT
				(SELECT COUNT(*) FROM memberships WHERE org_id = ? AND email = ?), (SELECT COUNT(*) FROM invitations WHERE org_id = ? AND email = ? AND status = 'pending')`,
				id, l.Email, id, l.Email)
			if err != nil {
				return err
			}
			switch {
			case found[0] > 0:
				ps.Add(field, "is a member's already")
			case found[1] > 0:
				ps.Add(field, "is invited already")
			}
			if len(ps) > 0 {
				continue
			}
			if _, err := tx.exec(ctx, `INSERT INTO invitations (org_id, invitation_id, email, role, safes, safe_role, require_mfa, language, status, token_hash, invited_by, created_at, sent_at, expires_at, accepted_by, ended_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, '', 0)`,
				id, l.ID, l.Email, l.Role, asJSON(safeList(l.Safes)), l.SafeRole, l.RequireMFA, l.Language, l.TokenHash[:], l.InvitedBy, micros(l.CreatedAt), micros(l.SentAt), micros(l.ExpiresAt)); err != nil {
				return err
			}
			if err := send(ctx, tx, l.Letter); err != nil {
				return err
			}
		}
		return ps.Err("")
	}, entries...)
}

// safeList is ids with an empty list, not null, for none.
func safeList(ids []pam.SafeID) []pam.SafeID {
	if ids == nil {
		return []pam.SafeID{}
	}
	return ids
}

// InvitationByID is invitation.Store's.
func (db *DB) InvitationByID(ctx context.Context, org pam.OrgID, id pam.InvitationID) (invitation.Invitation, error) {
	i, err := one(ctx, db, scanInvitation, `SELECT `+invitationColumns+` FROM invitations i WHERE i.org_id = ? AND i.invitation_id = ?`, org, id)
	return i, db.failed("read invitation", err)
}

// ListInvitations is invitation.Store's.
func (db *DB) ListInvitations(ctx context.Context, org pam.OrgID, q invitation.Query) ([]invitation.Invitation, error) {
	var w where
	w.and("i.org_id = ?", org)
	switch q.Status {
	case "":
	case invitation.Pending:
		w.and("i.status = 'pending' AND i.expires_at > ?", micros(q.Now))
	case invitation.Expired:
		w.and("i.status = 'pending' AND i.expires_at <= ?", micros(q.Now))
	default:
		w.and("i.status = ?", q.Status)
	}
	if q.Text != "" {
		if !searchable(q.Text) {
			return []invitation.Invitation{}, nil
		}
		has := db.has("i.email", q.Text)
		w.and(has.any(), has.args...)
	}
	if q.After != "" {
		w.and("i.invitation_id < ?", q.After)
	}
	out, err := list(ctx, db, scanInvitation, `SELECT `+invitationColumns+` FROM invitations i WHERE `+w.String()+` ORDER BY i.invitation_id DESC LIMIT ?`, append(w.args, q.Limit)...)
	return out, db.failed("list invitations", err)
}

const invitationExists = `SELECT 1 FROM invitations WHERE org_id = ? AND invitation_id = ?`

// RenewInvitation is invitation.Store's.
func (db *DB) RenewInvitation(ctx context.Context, org pam.OrgID, l invitation.Link, e audit.Entry) error {
	return db.write(ctx, "send invitation anew", func(ctx context.Context, tx *Tx) error {
		if err := tx.compareAndSet(ctx, pam.Conflict, `UPDATE invitations SET token_hash = ?, invited_by = ?, sent_at = ?, expires_at = ? WHERE org_id = ? AND invitation_id = ? AND status = 'pending'`,
			[]any{l.TokenHash[:], l.InvitedBy, micros(l.SentAt), micros(l.ExpiresAt), org, l.ID}, invitationExists, org, l.ID); err != nil {
			return err
		}
		if err := unsend(ctx, tx, org, pam.LetterInvitation, string(l.ID)); err != nil {
			return err
		}
		return send(ctx, tx, l.Letter)
	}, e)
}

// RevokeInvitation is invitation.Store's.
func (db *DB) RevokeInvitation(ctx context.Context, org pam.OrgID, id pam.InvitationID, at time.Time, e audit.Entry) error {
	return db.write(ctx, "revoke invitation", func(ctx context.Context, tx *Tx) error {
		if err := tx.compareAndSet(ctx, pam.Conflict, `UPDATE invitations SET status = 'revoked', ended_at = ? WHERE org_id = ? AND invitation_id = ? AND status = 'pending'`,
			[]any{micros(at), org, id}, invitationExists, org, id); err != nil {
			return err
		}
		return unsend(ctx, tx, org, pam.LetterInvitation, string(id))
	}, e)
}

// InvitationByToken is invitation.Store's.
func (db *DB) InvitationByToken(ctx context.Context, hash [32]byte) (invitation.Shown, error) {
	s, err := one(ctx, db, func(r row) (s invitation.Shown, err error) {
		return s, r.Scan(append(invitationInto(&s.Invitation), &s.OrgName, &s.Known)...)
	}, `SELECT `+invitationColumns+`, o.name, EXISTS (SELECT 1 FROM users u WHERE u.email = i.email) FROM invitations i JOIN organizations o ON o.id = i.org_id WHERE i.token_hash = ?`, hash[:])
	return s, db.failed("read invitation", err)
}

// OrgName is invitation.Store's.
func (db *DB) OrgName(ctx context.Context, id pam.OrgID) (string, error) {
	name, err := one(ctx, db, scalar[string], `SELECT name FROM organizations WHERE id = ?`, id)
	return name, db.failed("read organization", err)
}

// AcceptInvitation is invitation.Store's.
func (db *DB) AcceptInvitation(ctx context.Context, i invitation.Invitation, hash [32]byte, a invitation.Acceptance, entries ...audit.Entry) error {
	at := micros(a.At)
	return db.write(ctx, "accept invitation", func(ctx context.Context, tx *Tx) error {
		// From here on nobody's membership changes.
		if err := lockOrg(ctx, tx, i.Org); err != nil {
			return err
		}
		if err := tx.mustTouch(ctx, pam.NotFound, `UPDATE invitations SET status = 'accepted', accepted_by = ?, ended_at = ?
			WHERE org_id = ? AND invitation_id = ? AND status = 'pending' AND token_hash = ? AND expires_at > ?`, a.User, at, i.Org, i.ID, hash[:], at); err != nil {
			return err
		}
		n, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM memberships WHERE org_id = ? AND user_id = ? AND status = 'active' AND role = ?`, i.Org, i.InvitedBy, a.InviterRole)
		if err != nil {
			return err
		}
		managed, err := list(ctx, tx, scalar[pam.SafeID], managedSafes, managedArgs(i.Org, i.InvitedBy, a.At)...)
		if err != nil {
			return err
		}
		if n == 0 || slices.ContainsFunc(a.Members, func(m invitation.Member) bool { return !slices.Contains(managed, m.Safe) }) {
			return &pam.Error{Kind: pam.Conflict, Public: "What the invitation rests on has changed right now. Try again."}
		}
		if err := join(ctx, tx, i, a); err != nil {
			return err
		}
		for _, m := range a.Members {
			key, err := safeKey(ctx, tx, i.Org, m.Safe)
			if err != nil {
				return err
			}
			if err := insertMember(ctx, tx, i.Org, safe.Member{ID: m.ID, Safe: m.Safe, User: a.User, Role: i.SafeRole, CreatedAt: a.At}, key); err != nil {
				return err
			}
			tx.changed(i.Org, pam.SubjectSafe, string(m.Safe))
		}
		return unsend(ctx, tx, i.Org, pam.LetterInvitation, string(i.ID))
	}, entries...)
}

// join makes the membership, and the person where they are new. Who was
// invited without a mail before comes in by this invitation.
func join(ctx context.Context, tx *Tx, i invitation.Invitation, a invitation.Acceptance) error {
	if u := a.New; u != nil {
		taken, err := one(ctx, tx, scalar[int64], `SELECT COUNT(*) FROM users WHERE email = ?`, i.Email)
		if err != nil {
			return err
		}
		if taken > 0 {
			return &pam.Error{Kind: pam.Conflict, Public: "There is an account with this address: sign in to accept."}
		}
		if err := insertUser(ctx, tx, org.NewUser{ID: u.ID, Email: i.Email, Name: u.Name, HomeOrg: i.Org, PasswordHash: u.PasswordHash, CreatedAt: a.At}); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE users SET language = ? WHERE id = ?`, u.Language, u.ID); err != nil {
			return err
		}
	}
	status, err := one(ctx, tx, scalar[org.Status], `SELECT status FROM memberships WHERE org_id = ? AND user_id = ?`, i.Org, a.User)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		err = insertMembership(ctx, tx, i.Org, org.Member{User: a.User, Role: i.Role, Status: org.Active, JoinedAt: a.At})
	case err != nil:
		return err
	case status != org.Invited:
		return &pam.Error{Kind: pam.Conflict, Public: "You are a member of the organization already."}
	default:
		tx.changed(i.Org, pam.SubjectMember, string(a.User))
		_, err = tx.exec(ctx, `UPDATE memberships SET role = ?, status = 'active', joined_at = ?, name = (SELECT u.name FROM users u WHERE u.id = memberships.user_id) WHERE org_id = ? AND user_id = ?`,
			i.Role, micros(a.At), i.Org, a.User)
	}
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE memberships SET require_mfa = ? WHERE org_id = ? AND user_id = ?`, i.RequireMFA, i.Org, a.User)
	return err
}
