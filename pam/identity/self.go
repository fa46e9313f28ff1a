package identity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// selfOnly refuses what a personal access token may never do: change anything
// of its owner.
func selfOnly(a pam.Actor, op string) error {
	if a.Token != pam.LoginToken {
		return pam.Errorf(pam.Denied, op, "A personal access token cannot do this.")
	}
	return nil
}

// risky is selfOnly for acts that ask for a fresh authentication. What counts
// in all organizations asks [everywhere] as well.
func (s *Service) risky(a pam.Actor, op string) error {
	if err := selfOnly(a, op); err != nil {
		return err
	}
	if !a.Fresh(s.clock.Now()) {
		return &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	return nil
}

// event is about the actor, in the log of their home organization.
func (s *Service) event(a pam.Actor, t audit.Type, target audit.Party, metadata map[string]any) audit.Entry {
	return audit.ForOrg(s.scribe.Entry(a, t, target, metadata), cmp.Or(a.Only, a.HomeOrg))
}

func selfParty(a pam.Actor) audit.Party {
	return audit.Party{Type: "user", ID: string(a.User), Name: a.Email}
}

// Me returns the actor as a user.
func (s *Service) Me(ctx context.Context, a pam.Actor) (User, error) {
	return s.store.UserByID(ctx, a.User)
}

// SetName changes the name that others see.
func (s *Service) SetName(ctx context.Context, a pam.Actor, name string) (User, error) {
	const op = "change name"
	if err := selfOnly(a, op); err != nil {
		return User{}, err
	}
	if err := everywhere(a, op); err != nil && a.Only != a.HomeOrg {
		return User{}, err
	}
	if problem := nameProblem(name); problem != "" {
		return User{}, badField(op, "name", problem)
	}
	if err := s.store.SetUserName(ctx, a.User, name, s.event(a, audit.ProfileUpdated, selfParty(a), nil)); err != nil {
		return User{}, err
	}
	return s.store.UserByID(ctx, a.User)
}

// nameProblem says what is wrong with the name of a person, a token or a key:
// others read it, in lists and in the log.
func nameProblem(name string) string {
	if n := utf8.RuneCountInString(name); n < 1 || n > 64 {
		return "must be 1 to 64 characters"
	}
	return naming.TextProblem(name, false)
}

func badField(op, field, problem string) error {
	var ps pam.Problems
	ps.Add(field, problem)
	return ps.Err(op)
}

// Logout ends the actor's login, or revokes the token that is used.
func (s *Service) Logout(ctx context.Context, a pam.Actor) error {
	if err := selfOnly(a, "log out"); err != nil {
		return err
	}
	return s.store.EndLogin(ctx, a.User, pam.LoginID(a.TokenID), s.event(a, audit.Logout, selfParty(a), nil))
}

// Logins lists the actor's logins that have not ended.
func (s *Service) Logins(ctx context.Context, a pam.Actor) ([]Login, error) {
	now := s.clock.Now()
	all, err := s.store.LoginsOf(ctx, a.User, now)
	return slices.DeleteFunc(all, func(l Login) bool { return s.idle(l, now) || !reaches(a, l.Only) }), err
}

// RevokeLogin ends one of the actor's logins, and what was opened with it: who
// signs out is done with the login, who revokes one does not trust it.
func (s *Service) RevokeLogin(ctx context.Context, a pam.Actor, id pam.LoginID) error {
	if err := selfOnly(a, "revoke login"); err != nil {
		return err
	}
	if a.Only != "" {
		all, err := s.Logins(ctx, a)
		if err != nil || !slices.ContainsFunc(all, func(l Login) bool { return l.ID == id }) {
			return cmp.Or(err, error(&pam.Error{Kind: pam.NotFound, Op: "revoke login"}))
		}
	}
	return s.store.RevokeLogin(ctx, a.User, id, s.event(a, audit.LoginRevoked, selfParty(a), map[string]any{"login_id": string(id)}))
}

// StepUp authenticates the actor anew with their password, if they have no
// second factor, and returns until when that counts. Failures count like those of logins.
func (s *Service) StepUp(ctx context.Context, a pam.Actor, password secret.Value, c Client) (time.Time, error) {
	if err := selfOnly(a, "step up"); err != nil {
		return time.Time{}, err
	}
	factors, recovery, err := s.store.FactorsOf(ctx, a.User)
	if err != nil {
		return time.Time{}, err
	}
	if len(kinds(factors, recovery)) > 0 {
		return time.Time{}, badField("step up", "factor", "is needed: a second factor is enrolled")
	}
	if err := s.ownPassword(ctx, a, password, c); err != nil {
		return time.Time{}, err
	}
	now := s.clock.Now()
	if err := s.store.StepUpLogin(ctx, a.User, pam.LoginID(a.TokenID), now, s.event(a, audit.StepUpSucceeded, selfParty(a), map[string]any{"factor": "password"})); err != nil {
		return time.Time{}, err
	}
	return now.Add(pam.StepUpLifetime), nil
}

// ownPassword checks the actor's password.
func (s *Service) ownPassword(ctx context.Context, a pam.Actor, password secret.Value, c Client) error {
	u, err := s.store.UserByID(ctx, a.User)
	if err != nil {
		return err
	}
	right, _, err := s.passwords.Verify(ctx, u.PasswordHash, password)
	if err != nil {
		return err
	}
	if locked := s.lockout.locked(u.Email, c.From); !right || locked {
		if !locked {
			s.lockout.failed(u.Email, c.From)
		}
		if err := s.events.Append(ctx, a.HomeOrg, s.event(a, audit.StepUpFailed, selfParty(a), nil)); err != nil {
			return err
		}
		return &pam.Error{Kind: pam.AuthFailed, Op: "check own password"}
	}
	s.lockout.succeeded(u.Email, c.From)
	return nil
}

// ChangePassword replaces the actor's password. It ends all their other
// logins, and the sessions that these or the old password have opened: whoever
// knew it is out. bearer is the token that the actor came with, by whatever
// way. current is not asked of a login that was made just for this.
func (s *Service) ChangePassword(ctx context.Context, a pam.Actor, bearer string, current, next secret.Value, c Client) error {
	const op = "change password"
	if err := cmp.Or(selfOnly(a, op), everywhere(a, op)); err != nil {
		return err
	}
	h, err := s.holder(ctx, bearer)
	if err != nil {
		return err
	}
	restricted := h.Login != nil && h.Login.Purpose == PasswordChange
	if !restricted {
		factors, recovery, err := s.store.FactorsOf(ctx, a.User)
		if err != nil {
			return err
		}
		if len(kinds(factors, recovery)) > 0 && !a.Fresh(s.clock.Now()) {
			return &pam.Error{Kind: pam.StepUpNeeded, Op: op} // the old password alone shows too little
		}
		if err := s.ownPassword(ctx, a, current, c); err != nil {
			return err
		}
	}
	if same, _, err := s.passwords.Verify(ctx, h.User.PasswordHash, next); err != nil {
		return err
	} else if same {
		return badField(op, "new_password", "is the one in use")
	}
	hash, err := s.passwords.Hash(ctx, op, "new_password", next)
	if err != nil {
		return err
	}
	// A login that was made just for this has done what it was for.
	return s.store.SetPassword(ctx, a.User, hash, pam.LoginID(a.TokenID), !restricted, s.event(a, audit.PasswordChanged, selfParty(a), nil))
}

// maxTokens bounds how many one person may have in one organization.
const maxTokens = 100

// CreateAccessToken makes a personal access token for the actor's present
// organization. Its value is returned this once.
func (s *Service) CreateAccessToken(ctx context.Context, a pam.Actor, name string, scopes []string, days int) (AccessToken, secret.Value, error) {
	const op = "create personal access token"
	if err := s.risky(a, op); err != nil {
		return AccessToken{}, secret.Value{}, err
	}
	var ps pam.Problems
	if problem := nameProblem(name); problem != "" {
		ps.Add("name", problem)
	}
	if len(scopes) == 0 {
		ps.Add("scopes", "must name at least one scope")
	}
	for i, scope := range scopes {
		if !ValidScope(scope) {
			ps.Add(fmt.Sprintf("scopes[%d]", i), "is not a scope")
		}
	}
	if days < 1 || days > MaxTokenDays {
		ps.Add("expires_in_days", fmt.Sprintf("must be between 1 and %d", MaxTokenDays))
	}
	if err := ps.Err(op); err != nil {
		return AccessToken{}, secret.Value{}, err
	}
	have, err := s.store.AccessTokensOf(ctx, a.Org, a.User)
	if err != nil {
		return AccessToken{}, secret.Value{}, err
	}
	if len(have) >= maxTokens {
		return AccessToken{}, secret.Value{}, pam.Errorf(pam.Conflict, op, "There are %d tokens already; revoke one first.", maxTokens)
	}
	token, hash, err := newToken(accessPrefix, s.rand)
	if err != nil {
		return AccessToken{}, secret.Value{}, pam.Wrap(op, err)
	}
	now := s.clock.Now()
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	t := AccessToken{ID: pam.TokenID(s.ids.New(pam.PrefixToken)), Org: a.Org, User: a.User, Name: name, Scopes: scopes, TokenHash: hash, CreatedAt: now, ExpiresAt: now.AddDate(0, 0, days)}
	e := s.scribe.Entry(a, audit.PersonalAccessTokenCreated, audit.Party{Type: "personal_access_token", ID: string(t.ID), Name: name}, map[string]any{"scopes": scopes, "expires_at": t.ExpiresAt.Format(time.RFC3339)})
	return t, token, s.store.CreateAccessToken(ctx, t, e)
}

// AccessTokens lists the actor's tokens for their present organization.
func (s *Service) AccessTokens(ctx context.Context, a pam.Actor) ([]AccessToken, error) {
	return s.store.AccessTokensOf(ctx, a.Org, a.User)
}

// RevokeAccessToken ends a token of the actor.
func (s *Service) RevokeAccessToken(ctx context.Context, a pam.Actor, id pam.TokenID) error {
	const op = "revoke personal access token"
	if err := selfOnly(a, op); err != nil {
		return err
	}
	e := s.scribe.Entry(a, audit.PersonalAccessTokenRevoked, audit.Party{Type: "personal_access_token", ID: string(id)}, nil)
	return s.store.RevokeAccessToken(ctx, a.Org, a.User, id, e)
}
