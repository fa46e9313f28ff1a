package resource

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Service is what the edges ask about resources. It is safe for concurrent
// use.
type Service struct {
	store  Store
	scribe *audit.Scribe
	clock  clock.Clock
	ids    *ids.Source
}

// New makes a Service.
func New(store Store, scribe *audit.Scribe, c clock.Clock, src *ids.Source) *Service {
	return &Service{store: store, scribe: scribe, clock: c, ids: src}
}

func (s *Service) entry(a pam.Actor, t audit.Type, r Resource, metadata map[string]any) audit.Entry {
	return s.scribe.Entry(a, t, audit.Party{Type: "resource", ID: string(r.ID), Name: r.Name}, metadata)
}

// Create registers a resource. Owners and admins may. An empty slug is made
// from the name, a port of 0 is the protocol's own.
func (s *Service) Create(ctx context.Context, a pam.Actor, in Settings) (Resource, error) {
	const op = "create resource"
	if !policy.Allowed(policy.ResourceCreate, policy.Of(a, "")) {
		return Resource{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	in, err := in.check(op)
	if err != nil {
		return Resource{}, err
	}
	now := s.clock.Now()
	out := Resource{
		ID: pam.ResourceID(s.ids.New(pam.PrefixResource)), Org: a.Org, Settings: in, Version: 1,
		CreatedBy: a.User, CreatedAt: now, UpdatedAt: now,
	}
	out, err = s.store.CreateResource(ctx, a.Org, out, s.entry(a, audit.ResourceCreated, out, map[string]any{"address": address(in)}))
	return out, pam.Wrap(op, err)
}

// ByID returns a resource that the actor may see: one that a Safe of theirs
// binds, or any for those who see the metadata of all.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.ResourceID) (Resource, error) {
	const op = "read resource"
	out, err := s.store.ResourceByID(ctx, a.Org, id)
	if err != nil {
		return Resource{}, pam.Wrap(op, err)
	}
	if policy.Allowed(policy.ResourceSee, policy.Of(a, "")) {
		return out, nil
	}
	bound, err := s.store.ResourceVisible(ctx, a.Org, id, a.User, s.clock.Now())
	if err != nil {
		return Resource{}, pam.Wrap(op, err)
	}
	if !bound || !policy.Allowed(policy.ResourceSee, policy.Of(a, pam.SafeViewer)) {
		return Resource{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return out, nil
}

// List returns up to limit of the resources that the actor may see and f
// chooses, after the cursor of an earlier one, if any.
func (s *Service) List(ctx context.Context, a pam.Actor, f Filter, after string, limit int) ([]Resource, error) {
	const op = "list resources"
	cursor, err := pam.ReadCursor(op, after)
	if err != nil {
		return nil, err
	}
	all := policy.Allowed(policy.ResourceSee, policy.Of(a, ""))
	out, err := s.store.ListResources(ctx, a.Org, Query{Filter: f, User: a.User, All: all, After: cursor, Limit: pam.PageSize(limit), Now: s.clock.Now()})
	return out, pam.Wrap(op, err)
}

// Update replaces the settings of a resource that still has version; 0 takes
// the present one. in is the full state that is wanted.
//
// A change of where credentials go is a redirection: it needs a fresh
// authentication, forgets a host key that was learned at a first contact, and
// holds the credentials back until a manager of each Safe that binds the
// resource has confirmed; then Pending is set.
func (s *Service) Update(ctx context.Context, a pam.Actor, id pam.ResourceID, version int64, in Settings) (Resource, error) {
	const op = "update resource"
	cur, err := s.ByID(ctx, a, id)
	if err != nil {
		return Resource{}, pam.Wrap(op, err)
	}
	if !policy.Allowed(policy.ResourceUpdate, policy.Of(a, "")) {
		return Resource{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	if version == 0 {
		version = cur.Version
	}
	if version != cur.Version {
		return Resource{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	if in.Slug == "" {
		in.Slug = cur.Slug
	}
	if in, err = in.check(op); err != nil {
		return Resource{}, err
	}
	now := s.clock.Now()
	next := cur
	next.Settings, next.UpdatedAt = in, now
	redirected := in.Redirects(cur.Settings)
	if len(redirected) == 0 {
		out, err := s.store.UpdateResource(ctx, a.Org, next, version, nil, s.entry(a, audit.ResourceUpdated, next, nil))
		return out, pam.Wrap(op, err)
	}
	if !a.Fresh(now) {
		return Resource{}, &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	if slices.Equal(in.HostKeys, cur.HostKeys) {
		if cur.Learned {
			next.HostKeys, next.Learned = nil, false
		}
	} else {
		next.Learned = false
	}
	h := pam.NewHold(a, now, s.ids, fmt.Sprintf("Redirect resource “%s” to %s (%s)", next.Name, address(in), strings.Join(redirected, ", ")))
	e := s.entry(a, audit.ResourceRedirected, next, map[string]any{"fields": redirected, "from": address(cur.Settings), "to": address(in)})
	out, err := s.store.UpdateResource(ctx, a.Org, next, version, &h, e)
	return out, pam.Wrap(op, err)
}

// Redirects lists the fields in which s sends credentials elsewhere than old,
// or believes somebody else.
func (s Settings) Redirects(old Settings) []string {
	var out []string
	note := func(changed bool, field string) {
		if changed {
			out = append(out, field)
		}
	}
	note(s.Host != old.Host, "host")
	note(s.Port != old.Port, "port")
	note(s.Type != old.Type, "type")
	note(s.TLS != old.TLS, "tls")
	note(!slices.Equal(s.HostKeys, old.HostKeys), "host_keys")
	note(s.HostKeyPolicy != old.HostKeyPolicy, "host_key_policy")
	note(!slices.Equal(s.ConnectorIDs, old.ConnectorIDs), "connector_ids")
	return out
}

// Delete removes a resource that still has version (0: any) and that no Safe
// or account refers to.
func (s *Service) Delete(ctx context.Context, a pam.Actor, id pam.ResourceID, version int64) error {
	const op = "delete resource"
	cur, err := s.ByID(ctx, a, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if !policy.Allowed(policy.ResourceDelete, policy.Of(a, "")) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return pam.Wrap(op, s.store.DeleteResource(ctx, a.Org, id, version, s.entry(a, audit.ResourceDeleted, cur, nil)))
}

// Place is where the resource leads, for people and for comparing.
func (r Resource) Place() string {
	at := address(r.Settings)
	if r.TLS.ServerName != "" {
		at += " as " + r.TLS.ServerName
	}
	for _, id := range slices.Sorted(slices.Values(r.ConnectorIDs)) {
		at += " via " + string(id)
	}
	return at
}

// address is where a resource is, for people and the audit log.
func address(s Settings) string {
	return string(s.Type) + "://" + net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
}
