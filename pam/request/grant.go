package request

import (
	"context"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

func (g Grant) target() audit.Party {
	return audit.Party{Type: "grant", ID: string(g.ID), Name: g.SafeName}
}

// about is what the events of a grant say.
func (g Grant) about() map[string]any {
	m := map[string]any{
		"safe_id": string(g.Safe), "safe": g.SafeName, "user_id": string(g.User), "request_id": string(g.Request), "ends_at": g.Ends.UTC().Format(time.RFC3339),
	}
	if g.Command != "" {
		m["command_sha256"] = g.Command
	}
	return m
}

// Grants returns up to q.Limit grants that the actor may see, newest first.
func (s *Service) Grants(ctx context.Context, a pam.Actor, q GrantQuery) ([]Grant, error) {
	const op = "list grants"
	var err error
	if q.Visible, err = s.visible(ctx, a); err != nil {
		return nil, pam.Wrap(op, err)
	}
	q.Limit, q.Now = pam.PageSize(q.Limit), s.Clock.Now()
	out, err := s.Store.ListGrants(ctx, a.Org, q)
	for i := range out {
		out[i] = out[i].At(q.Now)
	}
	return out, pam.Wrap(op, err)
}

// Grant returns a grant that the actor may see.
func (s *Service) Grant(ctx context.Context, a pam.Actor, id pam.GrantID) (Grant, error) {
	g, _, err := s.grant(ctx, "read grant", a, id)
	return g, err
}

func (s *Service) grant(ctx context.Context, op string, a pam.Actor, id pam.GrantID) (Grant, pam.SafeRole, error) {
	g, err := s.Store.GrantByID(ctx, a.Org, id)
	if err != nil {
		return Grant{}, "", pam.Wrap(op, err)
	}
	role, err := s.role(ctx, a, g.Safe)
	if err != nil {
		return Grant{}, "", pam.Wrap(op, err)
	}
	if !policy.Allowed(policy.RequestSee, policy.Of(a, role).Owning(g.User == a.User)) {
		return Grant{}, "", &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return g.At(s.Clock.Now()), role, nil
}

// Revoke ends a grant, and the live sessions that rest on it.
func (s *Service) Revoke(ctx context.Context, a pam.Actor, id pam.GrantID) error {
	const op = "revoke grant"
	g, role, err := s.grant(ctx, op, a, id)
	if err != nil {
		return err
	}
	if !policy.Allowed(policy.GrantRevoke, policy.Of(a, role).Owning(g.User == a.User)) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	if g.Status != Active && g.Status != Used {
		return pam.Errorf(pam.Conflict, op, "This grant is %s.", g.Status)
	}
	g.Status, g.EndedAt, g.EndedBy = Revoked, s.Clock.Now(), a.User
	return pam.Wrap(op, s.Store.EndGrant(ctx, a.Org, g, s.Scribe.Entry(a, audit.AccessDelegationRevoked, g.target(), g.about())))
}

// EndDue notes that the time of requests and grants is over. That it is holds
// without this.
func (s *Service) EndDue(ctx context.Context) error {
	now := s.Clock.Now()
	system := func(org pam.OrgID) pam.Actor { return pam.Actor{Org: org, Token: pam.SystemToken} }
	requests, err := s.Store.DueRequests(ctx, now, 100)
	if err != nil {
		return err
	}
	for _, r := range requests {
		r.Status, r.EndedAt = Expired, now
		if err := s.Store.EndRequest(ctx, r.Org, r, s.Scribe.Entry(system(r.Org), audit.AccessRequestExpired, r.target(), r.about())); err != nil && !pam.Is(err, pam.Conflict) {
			return err
		}
	}
	grants, err := s.Store.DueGrants(ctx, now, 100)
	if err != nil {
		return err
	}
	for _, g := range grants {
		g.Status, g.EndedAt = Ended, g.Ends
		if err := s.Store.EndGrant(ctx, g.Org, g, s.Scribe.Entry(system(g.Org), audit.AccessDelegationEnded, g.target(), g.about())); err != nil && !pam.Is(err, pam.Conflict) {
			return err
		}
	}
	return nil
}
