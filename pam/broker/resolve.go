package broker

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/policy"
	"vaultpam/pam/resource"
	"vaultpam/pam/safe"
)

// listed is how many choices a refusal names.
const listed = 20

// place is what a Want means.
type place struct {
	actor    pam.Actor // in the Safe's organization
	safe     safe.Safe
	resource resource.Resource
	account  account.Account
	version  int64 // of the credential that was looked at; 0: any

	question policy.Question // that was decided
	decision policy.Decision
}

// grant is what the access rests on beside, or instead of, a membership; nil
// without one.
func (p place) grant() *policy.Grant {
	for i, g := range p.question.Grants {
		if p.decision.Grant != "" && g.ID == p.decision.Grant {
			return &p.question.Grants[i]
		}
	}
	return nil
}

// resolve finds the Safe and the binding that want means to actor. It runs
// after authentication only, and knows nothing that actor may not know.
func (b *Broker) resolve(ctx context.Context, actor pam.Actor, want Want, action policy.Action) (place, error) {
	if want.org != "" && want.org != actor.Org {
		// The launch says which organization a native client means.
		in, err := b.Actors.ActorFor(ctx, actor, want.org)
		if err != nil {
			return place{actor: actor}, err
		}
		actor = in
	}
	p, err := b.enter(ctx, actor, want.Safe, action, want.Emergency)
	if err != nil {
		return p, err
	}
	return b.resolveBinding(ctx, p, want)
}

// Find returns the Safe that want means to actor, and the actor in its
// organization, without deciding anything.
func (b *Broker) Find(ctx context.Context, actor pam.Actor, want Want) (pam.Actor, pam.SafeID, error) {
	p, err := b.resolveSafe(ctx, actor, want.Safe, policy.SessionLaunch)
	return p.actor, p.safe.ID, pam.Wrap("find safe", err)
}

func (b *Broker) resolveSafe(ctx context.Context, actor pam.Actor, ref string, action policy.Action) (place, error) {
	now := b.Clock.Now()
	p := place{actor: actor}
	if actor.Org != "" && strings.HasPrefix(ref, pam.PrefixSafe) { // a member who names it takes one look
		s, err := b.Store.SafeByID(ctx, actor.Org, pam.SafeID(ref), actor.User, now)
		if err == nil && s.Role != "" {
			p.safe = s
			return p, nil
		}
		if err != nil && !pam.Is(err, pam.NotFound) {
			return p, err
		}
	}
	refs, err := b.Store.SafesOf(ctx, actor.User, cmp.Or(actor.Org, actor.Only), ref, now, 1000)
	if err != nil {
		return p, err
	}
	if ref == "" {
		refs = slices.DeleteFunc(refs, func(r SafeRef) bool {
			return !policy.Allowed(action, policy.Facts{Role: r.OrgRole, SafeRole: r.Role})
		})
	}
	granted, err := b.Store.GrantedSafes(ctx, actor.User, actor.Org, ref, now, 100)
	if err != nil {
		return p, err
	}
	for _, g := range granted {
		if !slices.ContainsFunc(refs, func(r SafeRef) bool { return r.Safe == g.Safe }) {
			refs = append(refs, g)
		}
	}
	if len(refs) == 0 && policy.Allowed(policy.SafeSee, policy.Of(actor, "")) {
		// Whoever oversees the organization knows of this Safe without being in
		// it: the decision refuses them, not a pretence that it is not there.
		if p.safe, err = b.Store.SafeByID(ctx, actor.Org, pam.SafeID(ref), actor.User, now); err == nil || !pam.Is(err, pam.NotFound) {
			return p, err
		}
	}
	switch {
	case len(refs) == 0 && ref == "":
		return p, pam.Errorf(pam.Denied, "resolve safe", "There is no safe that you can use.")
	case len(refs) == 0:
		return p, pam.Errorf(pam.NotFound, "resolve safe", "There is no safe %q that you can use.", ref)
	case len(refs) > 1 && ref == "":
		return p, pam.Errorf(pam.Invalid, "resolve safe", "Say which safe: %s.", choices(refs, func(r SafeRef) string { return r.Slug }))
	case len(refs) > 1:
		return p, pam.Errorf(pam.Invalid, "resolve safe", "Several organizations have a safe %q: say which one by its id: %s.", ref, choices(refs, func(r SafeRef) string { return string(r.Safe) }))
	}
	if actor.Org != refs[0].Org {
		if p.actor, err = b.Actors.ActorFor(ctx, actor, refs[0].Org); err != nil {
			return p, err
		}
	}
	p.safe, err = b.Store.SafeByID(ctx, refs[0].Org, refs[0].Safe, actor.User, now)
	return p, err
}

func (b *Broker) resolveBinding(ctx context.Context, p place, want Want) (place, error) {
	type found struct {
		r resource.Resource
		a account.Account
	}
	var all, fit []found
	for _, bind := range p.safe.Bindings {
		r, err := b.Store.ResourceByID(ctx, p.actor.Org, bind.ResourceID)
		if err != nil {
			return p, err
		}
		a, err := b.Store.AccountByID(ctx, p.actor.Org, bind.AccountID)
		if err != nil {
			return p, err
		}
		all = append(all, found{r, a})
		if means(want.Resource, string(r.ID), r.Slug) && means(want.Account, string(a.ID), a.Slug) {
			fit = append(fit, found{r, a})
		}
	}
	label := func(f found) string { return f.a.Slug + "@" + f.r.Slug }
	switch {
	case len(all) == 0:
		return p, pam.Errorf(pam.Conflict, "resolve binding", "The safe %s has no account and resource yet.", p.safe.Slug)
	case len(fit) == 0:
		return p, pam.Errorf(pam.NotFound, "resolve binding", "The safe %s has no such account and resource; it has %s.", p.safe.Slug, choices(all, label))
	case len(fit) > 1:
		return p, pam.Errorf(pam.Invalid, "resolve binding", "Say which account and resource of the safe %s: %s.", p.safe.Slug, choices(fit, label))
	}
	p.resource, p.account = fit[0].r, fit[0].a
	return p, nil
}

// means says whether ref names the object, by id or slug; "" names any.
func means(ref, id, slug string) bool { return ref == "" || ref == id || ref == slug }

// choices lists names for a refusal, not too many.
func choices[T any](all []T, name func(T) string) string {
	var out []string
	for _, x := range all {
		if len(out) == listed {
			out = append(out, "and more")
			break
		}
		out = append(out, name(x))
	}
	return strings.Join(out, ", ")
}
