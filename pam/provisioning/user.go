package provisioning

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// maxTries is how often a change is made anew that another one came before.
const maxTries = 8

// Users returns a page of the members of the organization, in the order of
// their ids.
func (s *Service) Users(ctx context.Context, f Feed, q Query) ([]User, error) {
	const op = "list users"
	if err := f.check(op); err != nil {
		return nil, err
	}
	out, err := s.Store.FedUsers(ctx, f.Actor.Org, q)
	return out, pam.Wrap(op, err)
}

// CountUsers is how many Users there are on all pages.
func (s *Service) CountUsers(ctx context.Context, f Feed, q Query) (int, error) {
	const op = "count users"
	if err := f.check(op); err != nil {
		return 0, err
	}
	n, err := s.Store.CountFedUsers(ctx, f.Actor.Org, q)
	return n, pam.Wrap(op, err)
}

// User returns one member.
func (s *Service) User(ctx context.Context, f Feed, id pam.UserID) (User, error) {
	const op = "read user"
	if err := f.check(op); err != nil {
		return User{}, err
	}
	return s.user(ctx, op, f, id)
}

func (s *Service) user(ctx context.Context, op string, f Feed, id pam.UserID) (User, error) {
	found, err := s.Store.FedUsers(ctx, f.Actor.Org, Query{ID: string(id), Limit: 1})
	if err != nil {
		return User{}, pam.Wrap(op, err)
	}
	if len(found) == 0 || id == "" {
		return User{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	return found[0], nil
}

// GroupsOf lists the groups of directories that users are in.
func (s *Service) GroupsOf(ctx context.Context, f Feed, users []pam.UserID) ([]Membership, error) {
	const op = "list groups of users"
	if err := f.check(op); err != nil || len(users) == 0 {
		return nil, err
	}
	out, err := s.Store.FedGroupsOf(ctx, f.Actor.Org, users)
	return out, pam.Wrap(op, err)
}

// AddUser brings somebody in. Whoever is new has this organization as their
// home and no password; whoever left comes back. A person of another
// organization is nobody whom a directory may speak for: that is a Conflict.
func (s *Service) AddUser(ctx context.Context, f Feed, p Profile) (User, error) {
	const op = "add user"
	if err := f.check(op); err != nil {
		return User{}, err
	}
	if err := p.complete(op, ""); err != nil {
		return User{}, err
	}
	now := s.Clock.Now()
	u := User{ID: pam.UserID(s.IDs.New(pam.PrefixUser)), Org: f.Actor.Org, Profile: p, HomeOrg: f.Actor.Org, Role: f.Role, CreatedAt: now, UpdatedAt: now}
	who, err := s.Store.WhoHasAddress(ctx, f.Actor.Org, p.Email)
	isNew := pam.Is(err, pam.NotFound)
	switch {
	case isNew:
	case err != nil:
		return User{}, pam.Wrap(op, err)
	case who.Here || who.Home != f.Actor.Org || who.InstanceAdmin || who.Machine:
		return User{}, taken(op, "userName", "There is somebody with this address already. Who is at home in another organization has to be invited.")
	default:
		u.ID = who.ID
	}
	metadata := map[string]any{"role": string(u.Role), "active": u.Active}
	err = s.Store.AddFedUser(ctx, f.Actor.Org, u, isNew, s.Scribe.Entry(f.Actor, audit.MemberAdded, u.party(), metadata))
	if pam.Is(err, pam.Conflict) {
		err = taken(op, "userName", "There is somebody with this address already.")
	}
	return u, pam.Wrap(op, err)
}

// taken refuses a value that somebody else has.
func taken(op, field, public string) error {
	return &pam.Error{Kind: pam.Conflict, Op: op, Public: public, Fields: []pam.Problem{{Field: field, Problem: "is taken"}}}
}

// ChangeUser makes of a member what edit says. version is that of the user who
// was read; "" takes them as they are.
func (s *Service) ChangeUser(ctx context.Context, f Feed, id pam.UserID, version string, edit func(User) (Profile, error)) (User, error) {
	const op = "change user"
	if err := f.check(op); err != nil {
		return User{}, err
	}
	for try := 1; ; try++ {
		u, err := s.changeUser(ctx, op, f, id, version, edit)
		if !pam.Is(err, pam.Precondition) || version != "" || try == maxTries {
			return u, err
		}
	}
}

func (s *Service) changeUser(ctx context.Context, op string, f Feed, id pam.UserID, version string, edit func(User) (Profile, error)) (User, error) {
	old, err := s.user(ctx, op, f, id)
	if err != nil {
		return User{}, err
	}
	if version != "" && version != old.Version() {
		return User{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	next := old
	if next.Profile, err = edit(old); err != nil {
		return User{}, err
	}
	if err := next.complete(op, old.Name); err != nil {
		return User{}, err
	}
	if next == old {
		return old, nil
	}
	if err := s.refused(ctx, f, old.party(), old.within(op, next)); err != nil {
		return User{}, err
	}
	next.UpdatedAt = s.Clock.Now()
	err = s.Store.ChangeFedUser(ctx, f.Actor.Org, old, next, s.changes(f, old, next)...)
	if pam.Is(err, pam.Conflict) {
		err = taken(op, "userName", "There is somebody with this address already.")
	}
	return next, pam.Wrap(op, err)
}

// within says whether a directory has the power to make next of old: it leaves
// owners, administrators, and the names of other organizations' people alone.
func (u User) within(op string, next User) error {
	named := u.Email != next.Email || u.Name != next.Name
	switch {
	case (named || u.Active != next.Active) && u.protected():
		return pam.Errorf(pam.Denied, op, "Owners and administrators are changed by people, not by a directory.")
	case named && u.HomeOrg != u.Org:
		return pam.Errorf(pam.Denied, op, "Only the person's home organization changes their address or name.")
	}
	return nil
}

func (u User) protected() bool {
	return u.Role == pam.Owner || u.Role == pam.Admin || u.InstanceAdmin
}

// changes are the events of a change.
func (s *Service) changes(f Feed, old, next User) []audit.Entry {
	var out []audit.Entry
	var fields []string
	for _, c := range []struct {
		name     string
		was, now string
	}{{"email", old.Email, next.Email}, {"name", old.Name, next.Name}, {"given_name", old.GivenName, next.GivenName}, {"family_name", old.FamilyName, next.FamilyName}, {"external_id", old.ExternalID, next.ExternalID}} {
		if c.was != c.now {
			fields = append(fields, c.name)
		}
	}
	if len(fields) > 0 {
		metadata := map[string]any{"fields": fields}
		if old.Email != next.Email {
			metadata["from"] = old.Email
		}
		out = append(out, s.Scribe.Entry(f.Actor, audit.MemberUpdated, next.party(), metadata))
	}
	switch {
	case old.Active && !next.Active:
		out = append(out, s.Scribe.Entry(f.Actor, audit.MemberSuspended, next.party(), nil))
	case !old.Active && next.Active:
		out = append(out, s.Scribe.Entry(f.Actor, audit.MemberResumed, next.party(), nil))
	}
	return out
}

// RemoveUser ends a membership with all that rested on it. The person stays on
// record. version is as for ChangeUser.
func (s *Service) RemoveUser(ctx context.Context, f Feed, id pam.UserID, version string) error {
	const op = "remove user"
	if err := f.check(op); err != nil {
		return err
	}
	for try := 1; ; try++ {
		old, err := s.user(ctx, op, f, id)
		if err != nil {
			return err
		}
		if version != "" && version != old.Version() {
			return &pam.Error{Kind: pam.Precondition, Op: op}
		}
		if old.protected() {
			return s.refused(ctx, f, old.party(), pam.Errorf(pam.Denied, op, "Owners and administrators are removed by people, not by a directory."))
		}
		err = s.Store.RemoveFedUser(ctx, f.Actor.Org, old, s.Scribe.Entry(f.Actor, audit.MemberRemoved, old.party(), map[string]any{"role": string(old.Role)}))
		if !pam.Is(err, pam.Precondition) || try == maxTries {
			return pam.Wrap(op, err)
		}
	}
}

// complete checks a profile, and brings it into the form in which it is kept.
// before is the name until now, if there is one.
func (p *Profile) complete(op, before string) error {
	var ps pam.Problems
	email, ok := naming.Email(p.Email)
	if !ok {
		ps.Add("userName", "is not an e-mail address")
	}
	p.Email = email
	if p.Name == "" {
		p.Name = strings.TrimSpace(p.GivenName + " " + p.FamilyName)
	}
	if p.Name == "" {
		p.Name = before
	}
	if p.Name == "" {
		p.Name = nameOf(email)
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{{"displayName", p.Name, 64}, {"name.givenName", p.GivenName, 64}, {"name.familyName", p.FamilyName, 64}, {"externalId", p.ExternalID, MaxExternal}} {
		if utf8.RuneCountInString(f.value) > f.most {
			ps.Add(f.name, "is too long")
		} else if problem := naming.TextProblem(f.value, false); problem != "" {
			ps.Add(f.name, problem)
		}
	}
	return ps.Err(op)
}

// single is users, each once, in order. It is Invalid where one is no user's id.
func single(op string, users []pam.UserID) ([]pam.UserID, error) {
	for _, u := range users {
		if !ids.Valid(pam.PrefixUser, string(u)) {
			return nil, &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "members", Problem: "names what is no user of this organization"}}}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(users))), nil
}
