package sso

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Purpose binds the secrets of clients.
const Purpose = "sso.client_secret"

func (p Provider) binding() pam.Binding {
	return pam.Binding{Org: p.Org, Purpose: Purpose, Object: string(p.ID), Version: p.SecretVersion}
}

// CallbackURL is where a provider sends people back to. It is another one for
// each provider: so no provider's answer is ever taken for another's, whatever
// they say of themselves (RFC 9700 section 4.4.2.2).
func (s *Service) CallbackURL(id pam.ProviderID) string {
	return s.URL() + "/login/callback/" + string(id)
}

func (s *Service) may(op string, a pam.Actor, action policy.Action) error {
	if !policy.Allowed(action, policy.Of(a, "")) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	if action == policy.SSOWrite && !a.Fresh(s.Clock.Now()) {
		return &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	return nil
}

// List returns the organization's providers by name.
func (s *Service) List(ctx context.Context, a pam.Actor) ([]Provider, error) {
	const op = "list sign-in providers"
	if err := s.may(op, a, policy.SSORead); err != nil {
		return nil, err
	}
	out, err := s.Store.SSOProviders(ctx, a.Org)
	return out, pam.Wrap(op, err)
}

// ByID returns one provider.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.ProviderID) (Provider, error) {
	const op = "read sign-in provider"
	if err := s.may(op, a, policy.SSORead); err != nil {
		return Provider{}, err
	}
	out, err := s.Store.SSOProvider(ctx, a.Org, id)
	return out, pam.Wrap(op, err)
}

// Create makes a provider. clientSecret may be empty; it is not wiped.
func (s *Service) Create(ctx context.Context, a pam.Actor, in Settings, clientSecret secret.Value) (Provider, error) {
	const op = "create sign-in provider"
	if err := s.may(op, a, policy.SSOWrite); err != nil {
		return Provider{}, err
	}
	if in.Kind == "" {
		in.Kind = KindOIDC
	}
	in, err := s.check(ctx, op, a, in, Settings{})
	if err != nil {
		return Provider{}, err
	}
	now := s.Clock.Now()
	p := Provider{ID: pam.ProviderID(s.IDs.New(pam.PrefixProvider)), Org: a.Org, Settings: in, TrustedAt: now, Version: 1, CreatedAt: now, UpdatedAt: now}
	if p.Kind == KindLDAP {
		p.Issuer = directoryIssuer(p.ID)
	}
	if p, err = s.seal(ctx, p, clientSecret); err != nil {
		return Provider{}, pam.Wrap(op, err)
	}
	gives, err := s.gives(ctx, op, a, in.Feeds(), "")
	if err != nil {
		return Provider{}, err
	}
	e := s.Scribe.Entry(a, audit.SSOProviderCreated, p.party(), p.told(map[string]any{"kind": string(p.Kind), "issuer": p.Issuer, "client_id": p.ClientID, "enabled": p.Enabled}))
	return p, pam.Wrap(op, s.Store.CreateSSOProvider(ctx, a.Org, p, gives, e))
}

func (s *Service) seal(ctx context.Context, p Provider, clientSecret secret.Value) (Provider, error) {
	p.SecretVersion++
	p.Sealed = nil
	if clientSecret.Empty() {
		return p, nil
	}
	var err error
	p.Sealed, err = s.Sealer.Seal(ctx, p.binding(), clientSecret.Expose())
	return p, err
}

// Update replaces a provider's settings, if it still has version (0: any). A
// nil secret stays as it was.
func (s *Service) Update(ctx context.Context, a pam.Actor, id pam.ProviderID, version int64, in Settings, clientSecret *secret.Value) (Provider, error) {
	const op = "update sign-in provider"
	if err := s.may(op, a, policy.SSOWrite); err != nil {
		return Provider{}, err
	}
	old, err := s.Store.SSOProvider(ctx, a.Org, id)
	if err != nil {
		return Provider{}, pam.Wrap(op, err)
	}
	if version != 0 && version != old.Version {
		return Provider{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	if in.Kind == "" {
		in.Kind = old.Kind
	}
	if in.Kind != old.Kind {
		var ps pam.Problems
		ps.Add("type", "stays as it was made")
		return Provider{}, ps.Err(op)
	}
	if in, err = s.check(ctx, op, a, in, old.Settings); err != nil {
		return Provider{}, err
	}
	// The secret is for the one that it was made by, and is sent to nobody else.
	moved := in.Issuer != old.Issuer || old.LDAP != nil && in.LDAP.elsewhere(*old.LDAP)
	if moved && old.Sealed != nil && clientSecret == nil {
		var ps pam.Problems
		ps.Add("client_secret", "is needed where the issuer or its servers change")
		return Provider{}, ps.Err(op)
	}
	p := old
	p.Settings, p.Version, p.UpdatedAt = in, old.Version+1, s.Clock.Now()
	changed := differences(old.Settings, in)
	if clientSecret != nil {
		if p, err = s.seal(ctx, p, *clientSecret); err != nil {
			return Provider{}, pam.Wrap(op, err)
		}
		changed = append(changed, "client_secret")
	}
	if len(changed) == 0 {
		return old, nil
	}
	if slices.ContainsFunc(changed, func(f string) bool { return slices.Contains(trusting, f) }) {
		p.TrustedAt = p.UpdatedAt
	}
	// Whoever changes what brings people into a group gives them its roles.
	var fed []pam.GroupID
	if slices.ContainsFunc(changed, func(f string) bool { return slices.Contains(bringing, f) }) && in.Enabled {
		fed = in.Feeds()
	}
	gives, err := s.gives(ctx, op, a, fed, "")
	if err != nil {
		return Provider{}, err
	}
	ends := old.Enabled && (!in.Enabled || moved)
	e := s.Scribe.Entry(a, audit.SSOProviderUpdated, p.party(), p.told(map[string]any{"changed": changed, "issuer": p.Issuer, "no_longer_fed": noted(old.Feeds(), in.Feeds())}))
	if err := s.Store.UpdateSSOProvider(ctx, a.Org, p, old.Version, gives, ends, e); err != nil {
		return Provider{}, pam.Wrap(op, err)
	}
	return p, nil
}

// Delete removes a provider that still has version; 0 takes the present one.
// Logins that rest on it end. Identities stay: whoever makes a provider of the
// same issuer finds them again.
func (s *Service) Delete(ctx context.Context, a pam.Actor, id pam.ProviderID, version int64) error {
	const op = "delete sign-in provider"
	if err := s.may(op, a, policy.SSOWrite); err != nil {
		return err
	}
	p, err := s.Store.SSOProvider(ctx, a.Org, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if version == 0 {
		version = p.Version
	}
	e := s.Scribe.Entry(a, audit.SSOProviderDeleted, p.party(), map[string]any{"issuer": p.Issuer, "no_longer_fed": noted(p.Feeds(), nil)})
	return pam.Wrap(op, s.Store.DeleteSSOProvider(ctx, a.Org, id, version, e))
}

// noted are the groups of was that are not in now, as an event can hold them.
func noted(was, now []pam.GroupID) []string {
	out := []string{}
	for _, g := range was {
		if !slices.Contains(now, g) && len(out) < 64 {
			out = append(out, string(g))
		}
	}
	return out
}

// Test says whether the provider's documents can be read now; the error says
// what is wrong.
func (s *Service) Test(ctx context.Context, a pam.Actor, id pam.ProviderID) error {
	const op = "test sign-in provider"
	if err := s.may(op, a, policy.SSORead); err != nil {
		return err
	}
	p, err := s.Store.SSOProvider(ctx, a.Org, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	k, err := s.kind(op, p.Kind)
	if err != nil {
		return err
	}
	return pam.Wrap(op, k.test(ctx, p))
}

// Only says whether people who are at home in the organization must sign in by
// one of its providers.
func (s *Service) Only(ctx context.Context, a pam.Actor) (bool, error) {
	const op = "read sign-in settings"
	if err := s.may(op, a, policy.SSORead); err != nil {
		return false, err
	}
	only, err := s.Store.SSOOnly(ctx, a.Org)
	return only, pam.Wrap(op, err)
}

// SetOnly changes that. Owners can always sign in with their password.
func (s *Service) SetOnly(ctx context.Context, a pam.Actor, only bool) error {
	const op = "change sign-in settings"
	if err := s.may(op, a, policy.SSOWrite); err != nil {
		return err
	}
	e := s.Scribe.Entry(a, audit.SSOSettingsUpdated, audit.Party{Type: "organization", ID: string(a.Org)}, map[string]any{"sso_only": only})
	return pam.Wrap(op, s.Store.SetSSOOnly(ctx, a.Org, only, e))
}

// gives says whether the actor may give what groups or a service user have: in
// each Safe concerned, that takes one of its managers.
func (s *Service) gives(ctx context.Context, op string, a pam.Actor, groups []pam.GroupID, user pam.UserID) (Gives, error) {
	g := Gives{Groups: groups, User: user}
	for _, id := range groups {
		safes, err := s.Store.SafesOfGroup(ctx, a.Org, id)
		if err != nil {
			return g, pam.Wrap(op, err)
		}
		g.Safes = append(g.Safes, safes...)
	}
	if user != "" {
		safes, err := s.Store.SafesOfUser(ctx, a.Org, user)
		if err != nil {
			return g, pam.Wrap(op, err)
		}
		g.Safes = append(g.Safes, safes...)
	}
	if len(g.Safes) == 0 {
		return g, nil
	}
	managed, err := s.Store.ManagedSafes(ctx, a.Org, a.User, s.Clock.Now())
	if err != nil {
		return g, pam.Wrap(op, err)
	}
	if !policy.Allowed(policy.SafeMemberGive, policy.Of(a, pam.SafeManager)) || slices.ContainsFunc(g.Safes, func(id pam.SafeID) bool { return !slices.Contains(managed, id) }) {
		return g, pam.Errorf(pam.Denied, op, "This gives roles in safes: only a manager of each of these may do it.")
	}
	return g, nil
}

// bringing are the settings that decide who comes into a group.
var bringing = []string{"issuer", "client_id", "client_secret", "allowed_domains", "group_claim", "rules", "create_users", "enabled", "saml.metadata", "saml.metadata_url", "saml.subject_attribute", "saml.email_attribute", "ldap.urls", "ldap.ca", "ldap.bind_dn", "ldap.base_dn", "ldap.user_filter", "ldap.subject_attribute", "ldap.email_attribute", "ldap.group_base_dn", "ldap.group_filter"}

// trusting are those that decide who vouches, and for whom.
var trusting = []string{"issuer", "client_id", "allowed_domains", "enabled", "saml.metadata", "saml.metadata_url", "saml.subject_attribute", "saml.email_attribute", "ldap.urls", "ldap.ca", "ldap.base_dn", "ldap.user_filter", "ldap.subject_attribute", "ldap.email_attribute"}

func differences(a, b Settings) []string {
	var out []string
	note := func(field string, differs bool) {
		if differs {
			out = append(out, field)
		}
	}
	note("name", a.Name != b.Name)
	note("issuer", a.Issuer != b.Issuer)
	note("client_id", a.ClientID != b.ClientID)
	note("scopes", !slices.Equal(a.Scopes, b.Scopes))
	note("allowed_domains", !slices.Equal(a.Domains, b.Domains))
	note("group_claim", a.GroupClaim != b.GroupClaim)
	note("rules", !slices.EqualFunc(a.Rules, b.Rules, func(x, y Rule) bool {
		return x.Value == y.Value && x.Role == y.Role && slices.Equal(x.Groups, y.Groups)
	}))
	note("create_users", a.Creates != b.Creates)
	note("default_role", a.DefaultRole != b.DefaultRole)
	note("trust_mfa", a.TrustsMFA != b.TrustsMFA)
	note("enabled", a.Enabled != b.Enabled)
	if a.LDAP != nil && b.LDAP != nil {
		a.LDAP.differences(*b.LDAP, note)
	}
	if a.SAML != nil && b.SAML != nil {
		a.SAML.differences(*b.SAML, note)
	}
	return out
}

// check says what is not acceptable, and returns in as it is kept.
func (s *Service) check(ctx context.Context, op string, a pam.Actor, in, was Settings) (Settings, error) {
	var ps pam.Problems
	if p := naming.Problem(in.Name); p != "" {
		ps.Add("name", p)
	}
	k, err := s.kind(op, in.Kind)
	if err != nil {
		return in, err
	}
	k.check(ctx, &ps, &in, was)
	for i, d := range in.Domains {
		in.Domains[i] = strings.ToLower(strings.TrimPrefix(d, "@"))
	}
	in.Domains = cleaned(&ps, "allowed_domains", in.Domains, maxDomains, func(d string) bool {
		_, ok := naming.Email("x@" + d)
		return !ok
	})
	if len(in.GroupClaim) > maxValue || naming.TextProblem(in.GroupClaim, false) != "" {
		ps.Add("group_claim", "must be at most 256 characters, on one line")
	}
	if in.DefaultRole == "" {
		in.DefaultRole = pam.Operator
	}
	role(&ps, "default_role", in.DefaultRole)
	if len(in.Rules) > MaxRules {
		ps.Add("rules", fmt.Sprintf("are more than %d", MaxRules))
		return in, ps.Err(op)
	}
	if len(in.Rules) > 0 && in.GroupClaim == "" && in.Kind == KindOIDC { // others have names that are common
		ps.Add("group_claim", "is needed for rules")
	}
	highest := in.DefaultRole
	for i, r := range in.Rules {
		field := fmt.Sprintf("rules[%d]", i)
		if r.Value == "" || len(r.Value) > maxValue || naming.TextProblem(r.Value, false) != "" {
			ps.Add(field+".value", "must be 1 to 256 characters, on one line")
		}
		if r.Role != "" {
			role(&ps, field+".role", r.Role)
			if r.Role.Above(highest) {
				highest = r.Role
			}
		}
		if len(r.Groups) > maxGroups || slices.ContainsFunc(r.Groups, func(g pam.GroupID) bool { return !ids.Valid(pam.PrefixGroup, string(g)) }) {
			ps.Add(field+".group_ids", "must be at most 20 ids of groups")
		}
		in.Rules[i].Groups = single(r.Groups)
		if r.Role == "" && len(r.Groups) == 0 {
			ps.Add(field, "gives nothing")
		}
	}
	if err := ps.Err(op); err != nil {
		return in, err
	}
	if highest.Above(a.Role) {
		return in, pam.Errorf(pam.Denied, op, "Nobody gives a role above their own.")
	}
	return in, nil
}

func role(ps *pam.Problems, field string, r pam.Role) {
	if !r.Valid() {
		ps.Add(field, "is not a role")
	} else if r == pam.Owner {
		ps.Add(field, "cannot be owner: an owner is named by an owner")
	}
}

// cleaned is texts, each once, in order.
func cleaned(ps *pam.Problems, field string, texts []string, most int, bad func(string) bool) []string {
	if len(texts) > most {
		ps.Add(field, fmt.Sprintf("are more than %d", most))
		return texts
	}
	for i, t := range texts {
		if t == "" || len(t) > maxValue || bad(t) {
			ps.Add(fmt.Sprintf("%s[%d]", field, i), "is not acceptable")
		}
	}
	return single(texts)
}

// single is each of the values once, in order; a list, also of none.
func single[T ~string](values []T) []T {
	return slices.Compact(append([]T{}, slices.Sorted(slices.Values(values))...))
}
