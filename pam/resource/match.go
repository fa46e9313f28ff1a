package resource

import (
	"context"
	"fmt"

	"vaultpam/pam"
	"vaultpam/pam/policy"
)

// Match finds the resource that ref (an id or a slug) names, or without one
// that is at the type, host and port of at. It is NotFound when there is none
// that the actor may see, and Invalid when at names no place.
func (s *Service) Match(ctx context.Context, a pam.Actor, ref string, at Settings) (Resource, error) {
	const op = "match resource"
	if ref == "" {
		var err error
		if at, err = at.check(op); err != nil {
			return Resource{}, err
		}
	}
	found, err := s.store.MatchResources(ctx, a.Org, ref, at.Type, at.Host, at.Port)
	switch {
	case err != nil:
		return Resource{}, pam.Wrap(op, err)
	case len(found) == 0:
		return Resource{}, &pam.Error{Kind: pam.NotFound, Op: op}
	case len(found) > 1:
		return Resource{}, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "host", Problem: "is that of several resources: name the one that is meant"}}}
	case policy.Allowed(policy.ResourceSee, policy.Of(a, "")):
		return found[0], nil
	}
	return s.ByID(ctx, a, found[0].ID)
}

// Address is where a resource would be, in the form in which it is kept.
func (s Settings) Address() (string, error) {
	s, err := s.check("read address")
	return fmt.Sprintf("%s %s", s.Type, address(s)), err
}
