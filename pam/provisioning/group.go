package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// What a group of a directory gives is decided where it is given: a manager of
// a Safe who makes it a member has approved whom the directories bring that
// there are by then, once. Whoever makes another token afterwards, such as an
// administrator who wants to be the directory, brings nobody into it until a
// manager of each Safe has confirmed the role. A group made anew, be it of the
// same name, is another one and gives nothing.

// Groups returns a page of the groups that directories fill, in the order of
// their ids; with their members, if those are asked for.
func (s *Service) Groups(ctx context.Context, f Feed, q Query, members bool) ([]Group, error) {
	const op = "list groups"
	if err := f.check(op); err != nil {
		return nil, err
	}
	out, err := s.Store.FedGroups(ctx, f.Actor.Org, q)
	if err != nil || !members || len(out) == 0 {
		return out, pam.Wrap(op, err)
	}
	list := make([]pam.GroupID, len(out))
	for i, g := range out {
		list[i] = g.ID
	}
	in, err := s.Store.FedMemberIDs(ctx, f.Actor.Org, list)
	for i := range out {
		out[i].Members = in[out[i].ID]
	}
	return out, pam.Wrap(op, err)
}

// CountGroups is how many Groups there are on all pages.
func (s *Service) CountGroups(ctx context.Context, f Feed, q Query) (int, error) {
	const op = "count groups"
	if err := f.check(op); err != nil {
		return 0, err
	}
	n, err := s.Store.CountFedGroups(ctx, f.Actor.Org, q)
	return n, pam.Wrap(op, err)
}

// Group returns one group, with its members if those are asked for. A group
// that is filled otherwise is none.
func (s *Service) Group(ctx context.Context, f Feed, id pam.GroupID, members bool) (Group, error) {
	const op = "read group"
	found, err := s.Groups(ctx, f, Query{ID: string(id), Limit: 1}, members)
	if err != nil {
		return Group{}, pam.Wrap(op, err)
	}
	if len(found) == 0 || id == "" {
		return Group{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return found[0], nil
}

// AddGroup makes a group. It gives nobody anything yet.
func (s *Service) AddGroup(ctx context.Context, f Feed, name, externalID string, members []pam.UserID) (Group, error) {
	const op = "add group"
	if err := f.check(op); err != nil {
		return Group{}, err
	}
	members, err := single(op, members)
	if err != nil {
		return Group{}, err
	}
	if err := checkGroup(op, name, externalID, len(members)); err != nil {
		return Group{}, err
	}
	now := s.Clock.Now()
	g := Group{
		ID: pam.GroupID(s.IDs.New(pam.PrefixGroup)), Org: f.Actor.Org, Name: name, ExternalID: externalID,
		Count: len(members), Members: members, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	entries := append([]audit.Entry{s.Scribe.Entry(f.Actor, audit.GroupCreated, g.party(), map[string]any{"source": "scim"})}, s.moved(f, audit.GroupMemberAdded, g, members)...)
	return g, named(op, s.Store.CreateFedGroup(ctx, f.Actor.Org, g, entries...))
}

// moved is the events of people who came or went: few at a time, so that no
// event is large.
func (s *Service) moved(f Feed, t audit.Type, g Group, users []pam.UserID) []audit.Entry {
	var out []audit.Entry
	for part := range slices.Chunk(users, 50) {
		names := make([]string, len(part))
		for i, u := range part {
			names[i] = string(u)
		}
		out = append(out, s.Scribe.Entry(f.Actor, t, g.party(), map[string]any{"user_ids": names}))
	}
	return out
}

func checkGroup(op, name, externalID string, members int) error {
	var ps pam.Problems
	if p := naming.Problem(name); p != "" {
		ps.Add("displayName", p)
	}
	if utf8.RuneCountInString(externalID) > MaxExternal {
		ps.Add("externalId", "is too long")
	} else if p := naming.TextProblem(externalID, false); p != "" {
		ps.Add("externalId", p)
	}
	if members > MaxMembers {
		ps.Add("members", fmt.Sprintf("are more than %d", MaxMembers))
	}
	return ps.Err(op)
}

// GroupEdit is what a directory wants of a group.
type GroupEdit struct {
	Name, ExternalID *string // nil: as it is
	All              bool    // Add is all who are to be in it
	Add, Remove      []pam.UserID
}

// ChangeGroup makes of a group what edit says of it as it is. members says
// whether edit has to know who is in it. version is that of the group that was
// read; 0 takes it as it is.
func (s *Service) ChangeGroup(ctx context.Context, f Feed, id pam.GroupID, version int64, members bool, edit func(Group) (GroupEdit, error)) error {
	const op = "change group"
	if err := f.check(op); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := s.changeGroup(ctx, op, f, id, version, members, edit)
		if !pam.Is(err, pam.Precondition) || version != 0 || try == maxTries {
			return err
		}
	}
}

func (s *Service) changeGroup(ctx context.Context, op string, f Feed, id pam.GroupID, version int64, members bool, edit func(Group) (GroupEdit, error)) error {
	g, err := s.Group(ctx, f, id, members)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if version != 0 && version != g.Version {
		return &pam.Error{Kind: pam.Precondition, Op: op}
	}
	in, err := edit(g)
	if err != nil {
		return err
	}
	c, err := s.difference(ctx, op, f, g, in)
	if err != nil {
		return pam.Wrap(op, err)
	}
	next := g
	if c.Name != nil {
		next.Name = *c.Name
	}
	if c.ExternalID != nil {
		next.ExternalID = *c.ExternalID
	}
	if err := checkGroup(op, next.Name, next.ExternalID, g.Count+len(c.Add)-len(c.Remove)); err != nil {
		return err
	}
	var entries []audit.Entry
	if next.Name != g.Name || next.ExternalID != g.ExternalID {
		entries = append(entries, s.Scribe.Entry(f.Actor, audit.GroupUpdated, next.party(), map[string]any{"from": g.Name}))
	}
	entries = append(entries, s.moved(f, audit.GroupMemberAdded, next, c.Add)...)
	entries = append(entries, s.moved(f, audit.GroupMemberRemoved, next, c.Remove)...)
	if len(entries) == 0 {
		return nil
	}
	return s.refused(ctx, f, g.party(), named(op, s.Store.ChangeFedGroup(ctx, f.Actor.Org, g.ID, g.Version, c, entries...)))
}

// named says which field is taken: of groups only names are.
func named(op string, err error) error {
	if e, ok := errors.AsType[*pam.Error](err); ok && e.Kind == pam.Conflict {
		return taken(op, "displayName", e.Public)
	}
	return pam.Wrap(op, err)
}

// difference is what of an edit is none yet.
func (s *Service) difference(ctx context.Context, op string, f Feed, g Group, in GroupEdit) (GroupChange, error) {
	c := GroupChange{Name: in.Name, ExternalID: in.ExternalID, Since: f.Since, At: s.Clock.Now()}
	add, err := single(op, in.Add)
	if err != nil {
		return c, err
	}
	remove := slices.DeleteFunc(slices.Clone(in.Remove), func(u pam.UserID) bool { return !ids.Valid(pam.PrefixUser, string(u)) })
	if in.All {
		now, err := s.Store.FedMemberIDs(ctx, f.Actor.Org, []pam.GroupID{g.ID})
		if err != nil {
			return c, err
		}
		c.Add, c.Remove = without(add, now[g.ID]), without(now[g.ID], add)
		return c, nil
	}
	if len(add)+len(remove) == 0 {
		return c, nil
	}
	present, err := s.Store.FedMembersAmong(ctx, f.Actor.Org, g.ID, slices.Concat(add, remove))
	if err != nil {
		return c, err
	}
	slices.Sort(remove)
	c.Add = without(add, present)
	c.Remove = slices.DeleteFunc(slices.Compact(remove), func(u pam.UserID) bool {
		_, is := slices.BinarySearch(present, u)
		return !is
	})
	return c, nil
}

// without is a without those in b; both are in order.
func without(a, b []pam.UserID) []pam.UserID {
	return slices.DeleteFunc(slices.Clone(a), func(u pam.UserID) bool {
		_, in := slices.BinarySearch(b, u)
		return in
	})
}

// RemoveGroup deletes a group. What rested on it ends. version is as for
// ChangeGroup.
func (s *Service) RemoveGroup(ctx context.Context, f Feed, id pam.GroupID, version int64) error {
	const op = "remove group"
	for try := 1; ; try++ {
		g, err := s.Group(ctx, f, id, false)
		if err != nil {
			return pam.Wrap(op, err)
		}
		if version != 0 && version != g.Version {
			return &pam.Error{Kind: pam.Precondition, Op: op}
		}
		err = s.Store.DeleteFedGroup(ctx, f.Actor.Org, id, g.Version, s.Scribe.Entry(f.Actor, audit.GroupDeleted, g.party(), map[string]any{"members": int64(g.Count)}))
		if !pam.Is(err, pam.Precondition) || version != 0 || try == maxTries {
			return pam.Wrap(op, err)
		}
	}
}
