package group

import (
	"context"
	"fmt"
	"slices"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Service is what the edges ask about groups. It is safe for concurrent use.
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

func (s *Service) entry(a pam.Actor, t audit.Type, g Group, metadata map[string]any) audit.Entry {
	return s.scribe.Entry(a, t, audit.Party{Type: "group", ID: string(g.ID), Name: g.Name}, metadata)
}

// moved is the events of people who came or went: few at a time, so that no
// event is large.
func (s *Service) moved(a pam.Actor, t audit.Type, g Group, users []pam.UserID) []audit.Entry {
	var out []audit.Entry
	for part := range slices.Chunk(users, 50) {
		names := make([]string, len(part))
		for i, u := range part {
			names[i] = string(u)
		}
		out = append(out, s.entry(a, t, g, map[string]any{"user_ids": names}))
	}
	return out
}

func may(op string, a pam.Actor, action policy.Action) error {
	if !policy.Allowed(action, policy.Of(a, "")) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return nil
}

// maxShown is how many members the groups of one page have together, unless
// the first alone has more.
const maxShown = MaxMembers

// List returns up to limit groups with their members, after the cursor of an
// earlier one, if any. A page ends early where its groups are large: more says
// whether others follow.
func (s *Service) List(ctx context.Context, a pam.Actor, f Filter, after string, limit int) (groups []Group, more bool, err error) {
	const op = "list groups"
	if err := may(op, a, policy.GroupRead); err != nil {
		return nil, false, err
	}
	q := Query{Filter: f}
	if q.After, err = pam.ReadCursor(op, after); err != nil {
		return nil, false, err
	}
	q.Limit = pam.PageSize(limit + 1)
	if groups, err = s.store.ListGroups(ctx, a.Org, q); err != nil {
		return nil, false, pam.Wrap(op, err)
	}
	shown, total := 0, 0
	for shown < len(groups) && shown < limit && (shown == 0 || total+groups[shown].Count <= maxShown) {
		total += groups[shown].Count
		shown++
	}
	more, groups = shown < len(groups), groups[:shown]
	return groups, more, pam.Wrap(op, s.fill(ctx, a.Org, groups))
}

// fill sets Members.
func (s *Service) fill(ctx context.Context, org pam.OrgID, groups []Group) error {
	if len(groups) == 0 {
		return nil
	}
	list := make([]pam.GroupID, len(groups))
	for i, g := range groups {
		list[i] = g.ID
	}
	members, err := s.store.MemberIDs(ctx, org, list)
	for i := range groups {
		groups[i].Members = members[groups[i].ID]
		groups[i].Count = len(groups[i].Members)
	}
	return err
}

// ByID returns a group with its members.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.GroupID) (Group, error) {
	const op = "read group"
	if err := may(op, a, policy.GroupRead); err != nil {
		return Group{}, err
	}
	return s.read(ctx, op, a.Org, id)
}

func (s *Service) read(ctx context.Context, op string, org pam.OrgID, id pam.GroupID) (Group, error) {
	g, err := s.store.GroupByID(ctx, org, id)
	if err != nil {
		return Group{}, pam.Wrap(op, err)
	}
	one := []Group{g}
	err = s.fill(ctx, org, one)
	return one[0], pam.Wrap(op, err)
}

// Members returns a page of a group's members, in the order of their ids,
// after the one given, if any.
func (s *Service) Members(ctx context.Context, a pam.Actor, id pam.GroupID, after pam.UserID, limit int) ([]Member, error) {
	const op = "list group members"
	if err := may(op, a, policy.GroupRead); err != nil {
		return nil, err
	}
	if _, err := s.store.GroupByID(ctx, a.Org, id); err != nil {
		return nil, pam.Wrap(op, err)
	}
	out, err := s.store.GroupMembers(ctx, a.Org, id, after, pam.PageSize(limit))
	return out, pam.Wrap(op, err)
}

// Create makes a group that is filled by hand. It gives nobody anything yet.
func (s *Service) Create(ctx context.Context, a pam.Actor, name string, members []pam.UserID) (Group, error) {
	return s.create(ctx, a, name, Manual, members)
}

// CreateFed makes a group that is filled by the claims of sign-in providers.
func (s *Service) CreateFed(ctx context.Context, a pam.Actor, name string) (Group, error) {
	return s.create(ctx, a, name, Claim, nil)
}

func (s *Service) create(ctx context.Context, a pam.Actor, name string, source Source, members []pam.UserID) (Group, error) {
	const op = "create group"
	if err := may(op, a, policy.GroupWrite); err != nil {
		return Group{}, err
	}
	members = single(members)
	if err := check(op, name, members); err != nil {
		return Group{}, err
	}
	now := s.clock.Now()
	g := Group{
		ID: pam.GroupID(s.ids.New(pam.PrefixGroup)), Org: a.Org, Name: name, Source: source, Count: len(members), Members: members, Version: 1,
		CreatedBy: a.User, CreatedAt: now, UpdatedAt: now,
	}
	entries := append([]audit.Entry{s.entry(a, audit.GroupCreated, g, nil)}, s.moved(a, audit.GroupMemberAdded, g, members)...)
	return g, pam.Wrap(op, s.store.CreateGroup(ctx, a.Org, g, entries...))
}

func single(users []pam.UserID) []pam.UserID {
	return slices.Compact(slices.Sorted(slices.Values(users)))
}

func check(op, name string, members []pam.UserID) error {
	var ps pam.Problems
	if p := naming.Problem(name); p != "" {
		ps.Add("name", p)
	}
	if len(members) > MaxMembers {
		ps.Add("member_ids", fmt.Sprintf("names more than %d", MaxMembers))
	}
	for _, u := range members {
		if !ids.Valid(pam.PrefixUser, string(u)) {
			ps.Add("member_ids", "names what is not the id of a user")
			break
		}
	}
	return ps.Err(op)
}

// decide says whether the actor may change g, and returns the Safes in which it
// has a role.
//
// Coming into a group gives what it has: so who brings somebody in manages each
// of its Safes, and an administrator who does not may only take people out.
// A manager who is no administrator has a say where nothing but their Safes
// rests on the group: not where a policy names it.
func (s *Service) decide(ctx context.Context, op string, a pam.Actor, g Group, gives bool) ([]pam.SafeID, error) {
	safes, err := s.store.SafesOfGroup(ctx, a.Org, g.ID)
	if err != nil {
		return nil, err
	}
	admin := policy.Allowed(policy.GroupWrite, policy.Of(a, ""))
	if len(safes) == 0 || admin && !gives {
		if !admin {
			return nil, &pam.Error{Kind: pam.Denied, Op: op}
		}
		return safes, nil
	}
	if !policy.Allowed(policy.GroupWrite, policy.Of(a, pam.SafeManager)) { // an auditor is nobody's manager
		return nil, &pam.Error{Kind: pam.Denied, Op: op}
	}
	managed, err := s.store.ManagedSafes(ctx, a.Org, a.User, s.clock.Now())
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(safes, func(id pam.SafeID) bool { return !slices.Contains(managed, id) }) {
		return nil, pam.Errorf(pam.Denied, op, "The group has roles in safes: only a manager of each of these may do this.")
	}
	if !admin && !policy.Allowed(policy.PolicyWrite, policy.Of(a, "")) {
		named, err := s.store.PolicyNames(ctx, a.Org, g.ID)
		if err != nil {
			return nil, err
		}
		if named {
			return nil, pam.Errorf(pam.Denied, op, "A policy names the group: only an administrator who manages its safes may do this.")
		}
	}
	return safes, nil
}

// filled refuses to change by hand who is in a group that somebody else fills.
func (g Group) filled(op string) error {
	if g.Source != Manual {
		return pam.Errorf(pam.Conflict, op, "This group is filled by %s; change it there.", map[Source]string{SCIM: "SCIM", Claim: "single sign-on"}[g.Source])
	}
	return nil
}

// Update replaces the name and the members of a group that still has version;
// 0 takes the present one.
func (s *Service) Update(ctx context.Context, a pam.Actor, id pam.GroupID, version int64, name string, members []pam.UserID) (Group, error) {
	const op = "update group"
	g, err := s.ByID(ctx, a, id)
	if err != nil {
		return Group{}, pam.Wrap(op, err)
	}
	if version != 0 && version != g.Version {
		return Group{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	members = single(members)
	if err := check(op, name, members); err != nil {
		return Group{}, err
	}
	c := Change{Name: name, At: s.clock.Now(), Add: without(members, g.Members), Remove: without(g.Members, members)}
	return s.change(ctx, op, a, g, c)
}

// without is a without those in b; both are in order.
func without(a, b []pam.UserID) []pam.UserID {
	return slices.DeleteFunc(slices.Clone(a), func(u pam.UserID) bool {
		_, in := slices.BinarySearch(b, u)
		return in
	})
}

// AddMember brings one user into a group. It is no change where they are in it.
func (s *Service) AddMember(ctx context.Context, a pam.Actor, id pam.GroupID, user pam.UserID) (Group, error) {
	return s.one(ctx, "add group member", a, id, user, true)
}

// RemoveMember takes one user out of a group.
func (s *Service) RemoveMember(ctx context.Context, a pam.Actor, id pam.GroupID, user pam.UserID) (Group, error) {
	return s.one(ctx, "remove group member", a, id, user, false)
}

// one moves a single user. What others changed meanwhile does not matter to
// it.
func (s *Service) one(ctx context.Context, op string, a pam.Actor, id pam.GroupID, user pam.UserID, add bool) (Group, error) {
	for try := 1; ; try++ {
		g, err := s.move(ctx, op, a, id, user, add)
		if !pam.Is(err, pam.Precondition) || try == 8 {
			return g, err
		}
	}
}

func (s *Service) move(ctx context.Context, op string, a pam.Actor, id pam.GroupID, user pam.UserID, add bool) (Group, error) {
	if err := may(op, a, policy.GroupRead); err != nil {
		return Group{}, err
	}
	g, err := s.store.GroupByID(ctx, a.Org, id)
	if err != nil {
		return Group{}, pam.Wrap(op, err)
	}
	in, err := s.store.InGroup(ctx, a.Org, id, user)
	if err != nil {
		return Group{}, pam.Wrap(op, err)
	}
	if in == add {
		if _, err := s.decide(ctx, op, a, g, add); err != nil {
			return Group{}, pam.Wrap(op, err)
		}
		if !add {
			return Group{}, &pam.Error{Kind: pam.NotFound, Op: op}
		}
		return s.read(ctx, op, a.Org, id)
	}
	c := Change{At: s.clock.Now()}
	if add {
		if g.Count >= MaxMembers {
			return Group{}, pam.Errorf(pam.Conflict, op, "A group has at most %d members.", MaxMembers)
		}
		c.Add = []pam.UserID{user}
	} else {
		c.Remove = []pam.UserID{user}
	}
	return s.change(ctx, op, a, g, c)
}

func (s *Service) change(ctx context.Context, op string, a pam.Actor, g Group, c Change) (Group, error) {
	renamed := c.Name != "" && c.Name != g.Name
	// A directory finds its groups by their names, too.
	if len(c.Add)+len(c.Remove) > 0 || renamed && g.Source == SCIM {
		if err := g.filled(op); err != nil {
			return Group{}, err
		}
	}
	var err error
	// Another name for a group may make others mean this one, so it is like
	// bringing somebody in.
	if c.Safes, err = s.decide(ctx, op, a, g, renamed || len(c.Add) > 0); err != nil {
		return Group{}, pam.Wrap(op, err)
	}
	if !renamed && len(c.Add)+len(c.Remove) == 0 {
		return g, nil
	}
	next := g
	var entries []audit.Entry
	if renamed {
		next.Name = c.Name
		entries = append(entries, s.entry(a, audit.GroupUpdated, next, map[string]any{"from": g.Name}))
	}
	entries = append(entries, s.moved(a, audit.GroupMemberAdded, next, c.Add)...)
	entries = append(entries, s.moved(a, audit.GroupMemberRemoved, next, c.Remove)...)
	if err := s.store.ChangeGroup(ctx, a.Org, g.ID, g.Version, c, entries...); err != nil {
		return Group{}, pam.Wrap(op, err)
	}
	return s.read(ctx, op, a.Org, g.ID)
}

// Delete removes a group that still has version; 0 takes the present one. What
// rested on it ends.
func (s *Service) Delete(ctx context.Context, a pam.Actor, id pam.GroupID, version int64) error {
	const op = "delete group"
	if err := may(op, a, policy.GroupRead); err != nil {
		return err
	}
	g, err := s.store.GroupByID(ctx, a.Org, id)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if _, err := s.decide(ctx, op, a, g, false); err != nil {
		return pam.Wrap(op, err)
	}
	if version == 0 {
		version = g.Version
	}
	return pam.Wrap(op, s.store.DeleteGroup(ctx, a.Org, id, version, s.entry(a, audit.GroupDeleted, g, map[string]any{"members": int64(g.Count)})))
}
