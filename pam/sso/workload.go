package sso

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Condition is a claim with the one value that it must have.
type Condition struct {
	Claim string `json:"claim"`
	Value string `json:"value"`
}

// WorkloadSettings are what an administrator says of a rule.
type WorkloadSettings struct {
	Name       string
	Issuer     string
	Conditions []Condition
	User       pam.UserID // a service user, as which the program acts
	Scopes     []string
	TTL        time.Duration
	Enabled    bool
}

// WorkloadRule says which programs get a token.
type WorkloadRule struct {
	ID  pam.WorkloadRuleID
	Org pam.OrgID
	WorkloadSettings
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

func (r WorkloadRule) party() audit.Party {
	return audit.Party{Type: "workload_rule", ID: string(r.ID), Name: r.Name}
}

// Cursor is the rule's place in a list.
func (r WorkloadRule) Cursor() string {
	return naming.Cursor{Key: naming.Key(r.Name), ID: string(r.ID)}.String()
}

// Audience is whom a program's token must be for, and nobody else.
func (s *Service) Audience() string { return s.URL() }

const (
	maxConditions = 20
	maxProgram    = 16 << 10 // bytes of a program's token
)

// common are the claims that say nothing of which program it is.
var common = []string{"iss", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "azp"}

// Workloads lists the organization's rules by name.
func (s *Service) Workloads(ctx context.Context, a pam.Actor) ([]WorkloadRule, error) {
	const op = "list workload rules"
	if err := s.may(op, a, policy.SSORead); err != nil {
		return nil, err
	}
	out, err := s.Store.WorkloadRules(ctx, a.Org)
	return out, pam.Wrap(op, err)
}

// Workload returns one rule.
func (s *Service) Workload(ctx context.Context, a pam.Actor, id pam.WorkloadRuleID) (WorkloadRule, error) {
	const op = "read workload rule"
	if err := s.may(op, a, policy.SSORead); err != nil {
		return WorkloadRule{}, err
	}
	out, err := s.Store.WorkloadRule(ctx, a.Org, id)
	return out, pam.Wrap(op, err)
}

// CreateWorkload makes a rule. It lets a program act as a service user, so it
// takes a manager of each Safe in which that has a role.
func (s *Service) CreateWorkload(ctx context.Context, a pam.Actor, in WorkloadSettings) (WorkloadRule, error) {
	const op = "create workload rule"
	in, gives, err := s.workload(ctx, op, a, in)
	if err != nil {
		return WorkloadRule{}, err
	}
	now := s.Clock.Now()
	r := WorkloadRule{ID: pam.WorkloadRuleID(s.IDs.New(pam.PrefixWorkloadRule)), Org: a.Org, WorkloadSettings: in, Version: 1, CreatedAt: now, UpdatedAt: now}
	return r, pam.Wrap(op, s.Store.CreateWorkloadRule(ctx, a.Org, r, gives, s.workloadEntry(a, audit.WorkloadRuleCreated, r)))
}

// UpdateWorkload replaces a rule that still has version; 0 takes the present
// one. Tokens that it has given end.
func (s *Service) UpdateWorkload(ctx context.Context, a pam.Actor, id pam.WorkloadRuleID, version int64, in WorkloadSettings) (WorkloadRule, error) {
	const op = "update workload rule"
	in, gives, err := s.workload(ctx, op, a, in)
	if err != nil {
		return WorkloadRule{}, err
	}
	r, err := s.Store.WorkloadRule(ctx, a.Org, id)
	if err != nil {
		return WorkloadRule{}, pam.Wrap(op, err)
	}
	if version != 0 && version != r.Version {
		return WorkloadRule{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	old := r.Version
	r.WorkloadSettings, r.Version, r.UpdatedAt = in, old+1, s.Clock.Now()
	return r, pam.Wrap(op, s.Store.UpdateWorkloadRule(ctx, a.Org, r, old, gives, s.workloadEntry(a, audit.WorkloadRuleUpdated, r)))
}

// DeleteWorkload removes a rule that still has version; 0 takes the present
// one. Tokens that it has given end.
func (s *Service) DeleteWorkload(ctx context.Context, a pam.Actor, id pam.WorkloadRuleID, version int64) error {
	const op = "delete workload rule"
	if err := s.may(op, a, policy.SSOWrite); err != nil {
		return err
	}
	r, err := s.Store.WorkloadRule(ctx, a.Org, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if version == 0 {
		version = r.Version
	}
	return pam.Wrap(op, s.Store.DeleteWorkloadRule(ctx, a.Org, id, version, s.workloadEntry(a, audit.WorkloadRuleDeleted, r)))
}

func (s *Service) workloadEntry(a pam.Actor, t audit.Type, r WorkloadRule) audit.Entry {
	conditions := make([]string, len(r.Conditions))
	for i, c := range r.Conditions {
		conditions[i] = c.Claim + "=" + c.Value
	}
	return s.Scribe.Entry(a, t, r.party(), map[string]any{
		"issuer": r.Issuer, "conditions": conditions, "user_id": string(r.User), "scopes": r.Scopes, "ttl_seconds": int64(r.TTL / time.Second), "enabled": r.Enabled,
	})
}

// workload checks a rule and who makes it.
func (s *Service) workload(ctx context.Context, op string, a pam.Actor, in WorkloadSettings) (WorkloadSettings, Gives, error) {
	if err := s.may(op, a, policy.SSOWrite); err != nil {
		return in, Gives{}, err
	}
	var ps pam.Problems
	if p := naming.Problem(in.Name); p != "" {
		ps.Add("name", p)
	}
	if p := s.OIDC.URLProblem(in.Issuer); p != "" {
		ps.Add("issuer", p)
	}
	if len(in.Conditions) == 0 {
		ps.Add("conditions", "must name at least one: without, whatever the issuer signs would be let in")
	}
	if len(in.Conditions) > maxConditions {
		ps.Add("conditions", fmt.Sprintf("are more than %d", maxConditions))
		return in, Gives{}, ps.Err(op)
	}
	for i, c := range in.Conditions {
		field := fmt.Sprintf("conditions[%d]", i)
		switch {
		case c.Claim == "" || len(c.Claim) > maxValue || naming.TextProblem(c.Claim, false) != "":
			ps.Add(field+".claim", "must be 1 to 256 characters, on one line")
		case slices.Contains(common, c.Claim):
			ps.Add(field+".claim", "does not say which program it is")
		case slices.ContainsFunc(in.Conditions[:i], func(o Condition) bool { return o.Claim == c.Claim }):
			ps.Add(field+".claim", "is there twice")
		}
		if c.Value == "" || len(c.Value) > 1024 || naming.TextProblem(c.Value, false) != "" {
			ps.Add(field+".value", "must be 1 to 1024 characters, on one line")
		}
	}
	if !ids.Valid(pam.PrefixUser, string(in.User)) {
		ps.Add("user_id", "is not the id of a user")
	}
	if len(in.Scopes) == 0 {
		ps.Add("scopes", "must name at least one scope")
	}
	for i, scope := range in.Scopes {
		if !s.ValidScope(scope) {
			ps.Add(fmt.Sprintf("scopes[%d]", i), "is not a scope")
		}
	}
	in.Scopes = single(in.Scopes)
	if in.TTL == 0 {
		in.TTL = 15 * time.Minute
	}
	if in.TTL < time.Minute || in.TTL > MaxTTL {
		ps.Add("ttl_seconds", "must be between 60 and 3600")
	}
	if err := ps.Err(op); err != nil {
		return in, Gives{}, err
	}
	person, err := s.Store.Person(ctx, a.Org, in.User)
	if err != nil && !pam.Is(err, pam.NotFound) {
		return in, Gives{}, pam.Wrap(op, err)
	}
	if err != nil || !person.Machine || person.Role == "" {
		ps.Add("user_id", "is not a service user of this organization")
		return in, Gives{}, ps.Err(op)
	}
	if person.Role.Above(a.Role) {
		return in, Gives{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	gives, err := s.gives(ctx, op, a, nil, in.User)
	return in, gives, err
}

// Exchange is what a program shows (RFC 8693).
type Exchange struct {
	Org    string // id or slug
	Token  string
	Scopes []string // fewer than the rule gives; none: all of them
}

// Match says what a program may have. Every refusal is the same, whether there
// is such an organization, such a rule, or neither.
func (s *Service) Match(ctx context.Context, in Exchange, c Client) (out pam.Workload, err error) {
	const op = "exchange token"
	defer func() { s.Observe("workload", err) }()
	refusal := &pam.Error{Kind: pam.AuthFailed, Op: op}
	issuer, ok := issuerOf(in.Token)
	if !ok {
		return pam.Workload{}, refusal
	}
	// What the token says of its issuer decides only which rules are looked
	// at: nobody is asked whom an administrator has not named.
	org, rules, err := s.Store.RulesOfIssuer(ctx, in.Org, issuer)
	if err != nil {
		return pam.Workload{}, pam.Wrap(op, err)
	}
	if len(rules) == 0 {
		return pam.Workload{}, refusal
	}
	claims, err := s.OIDC.Verify(ctx, issuer, s.Audience(), in.Token)
	if err != nil {
		return pam.Workload{}, s.unmatched(ctx, op, org, issuer, "", c, err)
	}
	for _, r := range rules {
		if !r.meets(claims) {
			continue
		}
		scopes := r.Scopes
		if len(in.Scopes) > 0 {
			scopes = single(in.Scopes)
			if slices.ContainsFunc(scopes, func(x string) bool { return !slices.Contains(r.Scopes, x) }) {
				return pam.Workload{}, pam.Errorf(pam.ScopeMissing, op, "The rule does not give all of these scopes.")
			}
		}
		return pam.Workload{Org: org, User: r.User, Rule: r.ID, Name: r.Name, Version: r.Version, Subject: claims.Subject, Scopes: scopes, TTL: r.TTL}, nil
	}
	return pam.Workload{}, s.unmatched(ctx, op, org, issuer, claims.Subject, c, pam.Errorf(pam.AuthFailed, op, "no rule matches"))
}

func (r WorkloadRule) meets(c Claims) bool {
	for _, want := range r.Conditions {
		v, ok := c.All[want.Claim]
		if b, is := v.(bool); is {
			v = fmt.Sprint(b)
		}
		if !ok || v != any(want.Value) {
			return false
		}
	}
	return len(r.Conditions) > 0
}

// unmatched writes the reason down for the organization, which the program
// does not get to know.
func (s *Service) unmatched(ctx context.Context, op string, org pam.OrgID, issuer, subject string, c Client, err error) error {
	kind := pam.KindOf(err)
	if kind != pam.AuthFailed && kind != pam.Unreachable {
		return pam.Wrap(op, err)
	}
	if s.Counted(c.From) {
		reason := ""
		if e, ok := pam.Wrap(op, err).(*pam.Error); ok {
			reason = e.Public
		}
		e := s.Scribe.Entry(pam.Actor{Token: pam.SystemToken, Org: org, From: c.From, RequestID: c.RequestID}, audit.WorkloadTokenRefused, audit.Party{},
			map[string]any{"issuer": issuer, "subject": subject, "reason": reason})
		if err := s.Events.Append(ctx, org, e); err != nil {
			return pam.Wrap(op, err)
		}
	}
	return &pam.Error{Kind: pam.AuthFailed, Op: op, Err: err}
}

// issuerOf is what a token says of its issuer, before anything is checked.
func issuerOf(token string) (string, bool) {
	if len(token) > maxProgram {
		return "", false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	err = json.Unmarshal(payload, &claims)
	return claims.Issuer, err == nil && claims.Issuer != ""
}
