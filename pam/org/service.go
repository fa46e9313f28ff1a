package org

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Passwords checks and hashes the first password of a new person.
type Passwords interface {
	// Hash is an Error of kind Invalid, naming field, for a password that is
	// not acceptable.
	Hash(ctx context.Context, op, field string, password secret.Value) (string, error)
}

// Service is what may be done with organizations and members. It is safe for
// concurrent use.
type Service struct {
	store     Store
	passwords Passwords
	scribe    *audit.Scribe
	clock     clock.Clock
	ids       *ids.Source
	mailing   Mailing
}

// New makes a Service.
func New(s Store, p Passwords, scribe *audit.Scribe, c clock.Clock, src *ids.Source) *Service {
	return &Service{store: s, passwords: p, scribe: scribe, clock: c, ids: src}
}

func denied(op string) error { return &pam.Error{Kind: pam.Denied, Op: op} }

func may(a pam.Actor, action policy.Action, op string) error {
	if !policy.Allowed(action, policy.Of(a, "")) {
		return denied(op)
	}
	return nil
}

// Bootstrap makes the first organization with its owner, who administers the
// instance. It is a Conflict when there is an organization.
func (s *Service) Bootstrap(ctx context.Context, name, email string, password secret.Value) (pam.OrgID, pam.UserID, error) {
	const op = "bootstrap"
	system := pam.Actor{Token: pam.SystemToken}
	o, u, m, err := s.assemble(ctx, op, name, "", email, password, true)
	if err != nil {
		return "", "", err
	}
	events := []audit.Entry{
		s.scribe.Entry(system, audit.OrganizationCreated, orgParty(o), map[string]any{"owner": u.Email}),
		audit.ForOrg(s.scribe.Entry(system, audit.MemberAdded, memberParty(m), map[string]any{"role": string(pam.Owner), "instance_admin": true}), o.ID),
	}
	return o.ID, u.ID, s.store.CreateOrganization(ctx, o, u, m, true, events...)
}

func (s *Service) assemble(ctx context.Context, op, name, slug, email string, password secret.Value, admin bool) (Organization, *NewUser, Member, error) {
	now := s.clock.Now()
	o := Organization{ID: pam.OrgID(s.ids.New(pam.PrefixOrg)), Name: name, Slug: slug, Settings: DefaultSettings(), Version: 1, CreatedAt: now, UpdatedAt: now}
	if o.Slug == "" {
		o.Slug = slugOf(name)
	}
	if err := o.validate(op); err != nil {
		return o, nil, Member{}, err
	}
	if email == "" {
		return o, nil, Member{Role: pam.Owner, Status: Active, JoinedAt: now}, nil
	}
	normal, ok := naming.Email(email)
	if !ok {
		return o, nil, Member{}, badField(op, "email", "is not an e-mail address")
	}
	hash, err := s.passwords.Hash(ctx, op, "password", password)
	if err != nil {
		return o, nil, Member{}, err
	}
	u := &NewUser{ID: pam.UserID(s.ids.New(pam.PrefixUser)), Email: normal, Name: nameOf(normal), HomeOrg: o.ID, InstanceAdmin: admin, PasswordHash: hash, MustChange: !admin, CreatedAt: now}
	return o, u, Member{User: u.ID, Email: normal, HomeOrg: o.ID, Role: pam.Owner, Status: Active, JoinedAt: now}, nil
}

// Create makes an organization, for an instance administrator. Its owner is
// the caller, or the person with ownerEmail: a new one with that password, or
// an existing user, who is invited.
func (s *Service) Create(ctx context.Context, a pam.Actor, name, slug, ownerEmail string, ownerPassword secret.Value) (Organization, error) {
	const op = "create organization"
	if !a.InstanceAdmin || a.Token == pam.PersonalToken {
		return Organization{}, denied(op)
	}
	existing, err := s.existing(ctx, ownerEmail)
	if err != nil {
		return Organization{}, err
	}
	email := ownerEmail
	if existing != "" {
		email = ""
	}
	o, u, m, err := s.assemble(ctx, op, name, slug, email, ownerPassword, false)
	if err != nil {
		return Organization{}, err
	}
	typ := audit.MemberAdded
	switch {
	case existing != "" && existing != a.User:
		m.User, m.Status, typ = existing, Invited, audit.MemberInvited
		m.Email, _ = naming.Email(ownerEmail)
	case u == nil:
		m.User, m.Email = a.User, a.Email
	}
	events := []audit.Entry{
		audit.ForOrg(s.scribe.Entry(a, audit.OrganizationCreated, orgParty(o), nil), pam.InstanceOrg),
		audit.ForOrg(s.scribe.Entry(a, typ, memberParty(m), map[string]any{"role": string(pam.Owner)}), o.ID),
	}
	return o, s.store.CreateOrganization(ctx, o, u, m, false, events...)
}

func (s *Service) existing(ctx context.Context, email string) (pam.UserID, error) {
	normal, ok := naming.Email(email)
	if !ok {
		return "", nil
	}
	id, err := s.store.UserIDByEmail(ctx, normal)
	if pam.Is(err, pam.NotFound) {
		return "", nil
	}
	return id, err
}

// ListAll lists the instance's organizations, for an instance administrator.
func (s *Service) ListAll(ctx context.Context, a pam.Actor, before pam.OrgID, limit int) ([]Organization, error) {
	if !a.InstanceAdmin || a.Token == pam.PersonalToken {
		return nil, denied("list organizations")
	}
	return s.store.ListOrganizations(ctx, before, limit)
}

// Get returns the actor's organization.
func (s *Service) Get(ctx context.Context, a pam.Actor) (Organization, error) {
	if err := may(a, policy.OrgRead, "read organization"); err != nil {
		return Organization{}, err
	}
	return s.store.OrganizationByID(ctx, a.Org)
}

// Update replaces name, slug and settings, if the organization still has
// version (0: any). Settings that decide on everybody's security are the
// owner's alone, after a step-up.
func (s *Service) Update(ctx context.Context, a pam.Actor, name, slug string, settings Settings, version int64) (Organization, error) {
	const op = "update organization"
	if err := may(a, policy.OrgUpdate, op); err != nil {
		return Organization{}, err
	}
	old, err := s.store.OrganizationByID(ctx, a.Org)
	if err != nil {
		return Organization{}, err
	}
	if version != 0 && version != old.Version {
		return Organization{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	o := old
	o.Name, o.Slug, o.Settings, o.Version, o.UpdatedAt = name, slug, settings, old.Version+1, s.clock.Now()
	o.Settings.SSOOnly = old.Settings.SSOOnly
	if err := o.validate(op); err != nil {
		return Organization{}, err
	}
	changed := changes(old, o)
	if slices.ContainsFunc(changed, func(f string) bool { return slices.Contains(securitySettings, f) }) {
		if err := may(a, policy.OrgSecurity, op); err != nil {
			return Organization{}, err
		}
		if !a.Fresh(s.clock.Now()) {
			return Organization{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
		}
	}
	if len(changed) == 0 {
		return old, nil
	}
	e := s.scribe.Entry(a, audit.OrganizationUpdated, orgParty(o), map[string]any{"changed": changed})
	return o, s.store.UpdateOrganization(ctx, o, old.Version, e)
}

var securitySettings = []string{"admins_see_all", "dual_control", "mfa_required", "anonymous_shares"}

func changes(old, o Organization) []string {
	var out []string
	note := func(field string, differs bool) {
		if differs {
			out = append(out, field)
		}
	}
	a, b := old.Settings, o.Settings
	note("name", old.Name != o.Name)
	note("slug", old.Slug != o.Slug)
	note("idle_timeout_seconds", a.IdleTimeoutSeconds != b.IdleTimeoutSeconds)
	note("recording_retention_days", a.RecordingRetentionDays != b.RecordingRetentionDays)
	note("mfa_required", a.MFARequired != b.MFARequired)
	note("admins_see_all", a.AdminsSeeAll != b.AdminsSeeAll)
	note("dual_control", a.DualControl != b.DualControl)
	note("anonymous_shares", a.AnonymousShares != b.AnonymousShares)
	note("request_timeout_seconds", a.RequestTimeoutSeconds != b.RequestTimeoutSeconds)
	note("approval_cooldown_seconds", a.ApprovalCooldownSeconds != b.ApprovalCooldownSeconds)
	return out
}

func orgParty(o Organization) audit.Party {
	return audit.Party{Type: "organization", ID: string(o.ID), Name: o.Name}
}

func badField(op, field, problem string) error {
	var ps pam.Problems
	ps.Add(field, problem)
	return ps.Err(op)
}

// nameOf is the name of a person until they choose one.
func nameOf(email string) string {
	local, _, _ := strings.Cut(email, "@")
	return local
}

func memberParty(m Member) audit.Party {
	return audit.Party{Type: "user", ID: string(m.User), Name: m.Email}
}

// lastOwner says what the store's Conflict means where an owner goes.
func lastOwner(err error) error {
	if pam.Is(err, pam.Conflict) {
		return &pam.Error{Kind: pam.Conflict, Op: "change member", Public: "The organization's last owner cannot go, or the member has changed meanwhile.", Err: fmt.Errorf("%w", err)}
	}
	return err
}
