package identity

import (
	"context"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// A login by somebody's word is worth as much as that word: it is valid in the
// organization that believes it, and so is all that is made with it, an SSH key
// or the login of a program. It changes nothing that counts elsewhere.

// narrow keeps an actor to where the word counts.
func (v Vouched) narrow(a pam.Actor) pam.Actor {
	a.SecondFactor = v.SecondFactor
	if v.Only != "" {
		a.Only, a.InstanceAdmin = v.Only, false
	}
	return a
}

// everywhere refuses what counts in all organizations to an actor whose login
// does not.
func everywhere(a pam.Actor, op string) error {
	if a.Only != "" {
		return pam.Errorf(pam.Denied, op, "Sign in with your password to do this.")
	}
	return nil
}

// reaches says whether the actor may know of a login or key that is valid in
// only, or everywhere.
func reaches(a pam.Actor, only pam.OrgID) bool { return a.Only == "" || a.Only == only }

// vouched refuses a person at home in an organization that wants single
// sign-on, if they came by another way. Owners keep their password, for the day
// on which no provider answers. What a token or a key may do was decided when
// it was made.
func vouched(a pam.Actor, p Place) error {
	byHand := a.Token == pam.LoginToken || (a.Token == pam.NativeLogin && a.TokenID == "")
	if !p.SSOOnly || !byHand || a.Only != "" || a.HomeOrg != p.Org || p.Role == pam.Owner {
		return nil
	}
	return pam.Errorf(pam.StepUpNeeded, "enter organization", "This organization wants single sign-on: sign in by its provider.")
}

// LoginVouched signs a person in to the console on somebody's word. How they
// have shown who they are is the provider's business: no password and no factor
// of ours is asked for, and none that must be changed is in the way.
func (s *Service) LoginVouched(ctx context.Context, v pam.Assertion, c Client) (LoginResult, error) {
	const op = "sign in by a provider"
	user, err := s.store.UserByID(ctx, v.User)
	if err != nil {
		return LoginResult{}, pam.Wrap(op, err)
	}
	places, err := s.store.PlacesOf(ctx, v.User)
	if err != nil {
		return LoginResult{}, pam.Wrap(op, err)
	}
	like := pam.Actor{User: user.ID, Email: user.Email, Token: pam.LoginToken, HomeOrg: user.HomeOrg, Only: v.Org, SecondFactor: v.SecondFactor}
	if _, err := enter(like, places, v.Org); err != nil {
		return LoginResult{}, pam.Wrap(op, err)
	}
	token, hash, err := newToken(loginPrefix, s.rand)
	if err != nil {
		return LoginResult{}, pam.Wrap(op, err)
	}
	now := s.clock.Now()
	l := Login{
		ID: pam.LoginID(s.ids.New(pam.PrefixLogin)), User: user.ID, TokenHash: hash, Purpose: Console, CreatedAt: now, ExpiresAt: now.Add(s.console.ttl), StepUpAt: v.At, UsedAt: now,
		ClientIP: addrText(c), UserAgent: cut(c.UserAgent, 256), Vouched: Vouched{Only: v.Org, Provider: v.Provider, Identity: v.Identity, SecondFactor: v.SecondFactor},
	}
	e := audit.ForOrg(s.entryOf(user, c, audit.LoginSucceeded, map[string]any{
		"method": "sso", "login_id": string(l.ID), "provider_id": string(v.Provider), "identity_id": string(v.Identity), "second_factor": v.SecondFactor,
	}), v.Org)
	if err := s.store.CreateLogin(ctx, l, e); err != nil {
		return LoginResult{}, pam.Wrap(op, err)
	}
	return LoginResult{Token: token, ExpiresIn: s.console.ttl, Login: l}, nil
}

// maxWorkloadTokens bounds those of one rule that are valid at a time.
const maxWorkloadTokens = 1000

// TokenForWorkload makes the token of a program that has shown what a rule
// asks. It is like a personal access token of the service user, for minutes.
func (s *Service) TokenForWorkload(ctx context.Context, w pam.Workload, c Client) (secret.Value, time.Duration, error) {
	const op = "give token to workload"
	user, err := s.store.UserByID(ctx, w.User)
	if err != nil {
		return secret.Value{}, 0, pam.Wrap(op, err)
	}
	token, hash, err := newToken(accessPrefix, s.rand)
	if err != nil {
		return secret.Value{}, 0, pam.Wrap(op, err)
	}
	now := s.clock.Now()
	t := AccessToken{
		ID: pam.TokenID(s.ids.New(pam.PrefixToken)), Org: w.Org, User: w.User, Name: w.Name, Scopes: w.Scopes, TokenHash: hash, CreatedAt: now, ExpiresAt: now.Add(w.TTL), Workload: w.Rule,
	}
	e := audit.ForOrg(s.entryOf(user, c, audit.WorkloadTokenIssued, map[string]any{
		"rule_id": string(w.Rule), "subject": w.Subject, "token_id": string(t.ID), "scopes": w.Scopes, "expires_at": t.ExpiresAt.Format(time.RFC3339),
	}), w.Org)
	if err := s.store.CreateWorkloadToken(ctx, t, w.Version, maxWorkloadTokens, e); err != nil {
		return secret.Value{}, 0, pam.Wrap(op, err)
	}
	return token, w.TTL, nil
}
