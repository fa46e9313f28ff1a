package provisioning

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Tokens makes and reads the tokens of directories. *identity.Service
// satisfies it.
type Tokens interface {
	NewDirectoryToken() (token secret.Value, hash [32]byte, err error)
	DirectoryTokenHash(token string) (hash [32]byte, ok bool)
}

// Deps is what a Service works with.
type Deps struct {
	Store  Store
	Tokens Tokens
	Events interface {
		Append(ctx context.Context, org pam.OrgID, entries ...audit.Entry) error
	}
	Scribe *audit.Scribe
	Clock  clock.Clock
	IDs    *ids.Source
}

// Service is what directories, and those who let them in, ask. It is safe for
// concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service { return &Service{d} }

// Roles are those that people can come with. A directory makes nobody an owner
// or an administrator.
var Roles = []pam.Role{pam.PolicyManager, pam.Operator, pam.Auditor}

// CreateToken lets a directory fill the actor's organization. The token's value
// is returned this once. role is that of people whom it brings in.
func (s *Service) CreateToken(ctx context.Context, a pam.Actor, name string, role pam.Role, days int) (Token, secret.Value, error) {
	const op = "create SCIM token"
	if err := s.mayWrite(op, a); err != nil {
		return Token{}, secret.Value{}, err
	}
	var ps pam.Problems
	if n := utf8.RuneCountInString(name); n < 1 || n > 64 {
		ps.Add("name", "must be 1 to 64 characters")
	} else if p := naming.Problem(name); p != "" {
		ps.Add("name", p)
	}
	if !slices.Contains(Roles, role) {
		ps.Add("role", "must be operator, auditor or policy_manager")
	}
	if days < 1 || days > MaxTokenDays {
		ps.Add("expires_in_days", fmt.Sprintf("must be between 1 and %d", MaxTokenDays))
	}
	if err := ps.Err(op); err != nil {
		return Token{}, secret.Value{}, err
	}
	value, hash, err := s.Tokens.NewDirectoryToken()
	if err != nil {
		return Token{}, secret.Value{}, pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	t := Token{
		ID: pam.SCIMTokenID(s.IDs.New(pam.PrefixSCIMToken)), Org: a.Org, Name: name, Role: role, TokenHash: hash,
		CreatedBy: a.User, CreatedAt: now, ExpiresAt: now.AddDate(0, 0, days),
	}
	e := s.Scribe.Entry(a, audit.SCIMTokenCreated, t.party(), map[string]any{"role": string(role), "expires_at": t.ExpiresAt.Format(time.RFC3339)})
	if err := s.Store.CreateSCIMToken(ctx, a.Org, t, MaxTokens, e); err != nil {
		value.Wipe()
		return Token{}, secret.Value{}, pam.Wrap(op, err)
	}
	return t, value, nil
}

// AllTokens lists the tokens of the actor's organization, newest first, also those
// that have expired.
func (s *Service) AllTokens(ctx context.Context, a pam.Actor) ([]Token, error) {
	const op = "list SCIM tokens"
	if !policy.Allowed(policy.SSORead, policy.Of(a, "")) {
		return nil, &pam.Error{Kind: pam.Denied, Op: op}
	}
	out, err := s.Store.SCIMTokens(ctx, a.Org)
	return out, pam.Wrap(op, err)
}

// DeleteToken shuts a directory out at once. What it brought stays.
func (s *Service) DeleteToken(ctx context.Context, a pam.Actor, id pam.SCIMTokenID) error {
	const op = "delete SCIM token"
	if err := s.mayWrite(op, a); err != nil {
		return err
	}
	all, err := s.Store.SCIMTokens(ctx, a.Org)
	if err != nil {
		return pam.Wrap(op, err)
	}
	i := slices.IndexFunc(all, func(t Token) bool { return t.ID == id })
	if i < 0 {
		return &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return pam.Wrap(op, s.Store.DeleteSCIMToken(ctx, a.Org, id, s.Scribe.Entry(a, audit.SCIMTokenDeleted, all[i].party(), nil)))
}

func (s *Service) mayWrite(op string, a pam.Actor) error {
	if !policy.Allowed(policy.SSOWrite, policy.Of(a, "")) || a.Token != pam.LoginToken {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	if !a.Fresh(s.Clock.Now()) {
		return &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	return nil
}

// Authenticate turns a directory's token into a Feed of the one organization
// that it was made for. It is Unauthenticated for what is no token, or not any
// more.
func (s *Service) Authenticate(ctx context.Context, bearer string, from netip.Addr, requestID string) (Feed, error) {
	const op = "authenticate directory"
	hash, ok := s.Tokens.DirectoryTokenHash(bearer)
	if !ok {
		return Feed{}, &pam.Error{Kind: pam.Unauthenticated, Op: op}
	}
	t, err := s.Store.SCIMTokenByHash(ctx, hash)
	if pam.Is(err, pam.NotFound) {
		return Feed{}, &pam.Error{Kind: pam.Unauthenticated, Op: op}
	}
	if err != nil {
		return Feed{}, pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	if !now.Before(t.ExpiresAt) {
		return Feed{}, &pam.Error{Kind: pam.Unauthenticated, Op: op}
	}
	if now.Sub(t.LastUsedAt) >= time.Minute {
		if err := s.Store.TouchSCIMToken(ctx, t.Org, t.ID, now.Truncate(time.Minute)); err != nil {
			return Feed{}, pam.Wrap(op, err)
		}
	}
	return Feed{
		Actor: pam.Actor{Org: t.Org, Name: t.Name, Token: pam.DirectoryToken, TokenID: string(t.ID), From: from, RequestID: requestID},
		Role:  t.Role,
		Since: t.CreatedAt,
	}, nil
}

// check refuses whoever is no directory.
func (f Feed) check(op string) error {
	if f.Actor.Token != pam.DirectoryToken || f.Actor.Org == "" || f.Actor.TokenID == "" {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return nil
}

// refused is err, with an event where a directory reached for what it may not
// have.
func (s *Service) refused(ctx context.Context, f Feed, target audit.Party, err error) error {
	if !pam.Is(err, pam.Denied) {
		return err
	}
	if failed := s.Events.Append(ctx, f.Actor.Org, s.Scribe.Entry(f.Actor, audit.SCIMRefused, target, nil)); failed != nil {
		return failed
	}
	return err
}
