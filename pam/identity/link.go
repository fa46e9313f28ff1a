package identity

import (
	"context"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Links in letters carry a token after the #, which no browser sends to a
// server by itself. Each opens one thing, once.

const linkPrefix = "vpl_"

// NewLink makes the token of a link and the hash under which it is kept.
func (s *Service) NewLink() (secret.Value, [32]byte, error) { return newToken(linkPrefix, s.rand) }

// LinkHash is the hash of a link's token; false for what is none.
func (s *Service) LinkHash(token string) ([32]byte, bool) { return parseToken(token, linkPrefix) }

// PasswordLink lets a person choose a new password.
type PasswordLink struct {
	User      User
	Org       pam.OrgID // that had it mailed
	ExpiresAt time.Time
}

// ResetPassword replaces the password of whoever got the link by mail. All
// their logins end, and what the old password has opened. The link counts as
// long as the organization that had it mailed is the person's home and they
// are active there.
func (s *Service) ResetPassword(ctx context.Context, token string, next secret.Value, c Client) error {
	const op = "reset password"
	gone := pam.Errorf(pam.NotFound, op, "This link is not valid, or not any more. Ask for a new one.")
	hash, ok := parseToken(token, linkPrefix)
	if !ok {
		return gone
	}
	l, err := s.store.PasswordLinkByToken(ctx, hash)
	if pam.Is(err, pam.NotFound) {
		return gone
	}
	if err != nil {
		return pam.Wrap(op, err)
	}
	now := s.clock.Now()
	if !now.Before(l.ExpiresAt) || l.User.HomeOrg != l.Org {
		return gone
	}
	if same, _, err := s.passwords.Verify(ctx, l.User.PasswordHash, next); err != nil {
		return err
	} else if same {
		return badField(op, "new_password", "is the one in use")
	}
	phc, err := s.passwords.Hash(ctx, op, "new_password", next)
	if err != nil {
		return err
	}
	err = s.store.ResetPassword(ctx, hash, l.User.ID, phc, now, s.entryOf(l.User, c, audit.PasswordReset, nil))
	if pam.Is(err, pam.NotFound) {
		return gone
	}
	return pam.Wrap(op, err)
}
