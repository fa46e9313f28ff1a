package sso

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// KindLDAP is a directory, such as OpenLDAP or Active Directory. People type
// their password for it into the console.
const KindLDAP Kind = "ldap"

// LDAPSettings are those of a directory.
type LDAPSettings struct {
	URLs             []string  `json:"urls"`              // of servers with the same content, asked in this order
	CA               string    `json:"ca,omitempty"`      // PEM; "": those of the system
	BindDN           string    `json:"bind_dn,omitempty"` // of the account that searches; its password is the provider's secret
	BaseDN           string    `json:"base_dn"`           // where people are
	UserFilter       string    `json:"user_filter"`       // with {username}
	SubjectAttribute string    `json:"subject_attribute"` // that identifies people for good
	EmailAttribute   string    `json:"email_attribute"`
	NameAttribute    string    `json:"name_attribute"`
	GroupBaseDN      string    `json:"group_base_dn,omitempty"` // where groups are searched; "": memberOf says them
	GroupFilter      string    `json:"group_filter,omitempty"`  // with {dn} or {username}
	Since            time.Time `json:"since"`                   // when somebody last changed by hand who says whose a subject is
}

// What is used where an administrator says nothing.
const (
	defaultUserFilter  = "(|(uid={username})(mail={username}))"
	defaultGroupFilter = "(|(member={dn})(uniqueMember={dn}))"
	maxURLs            = 5
	maxCA              = 64 << 10
)

func (a LDAPSettings) differences(b LDAPSettings, note func(field string, differs bool)) {
	note("ldap.urls", !slices.Equal(a.URLs, b.URLs))
	note("ldap.ca", a.CA != b.CA)
	note("ldap.bind_dn", a.BindDN != b.BindDN)
	note("ldap.base_dn", a.BaseDN != b.BaseDN)
	note("ldap.user_filter", a.UserFilter != b.UserFilter)
	note("ldap.subject_attribute", a.SubjectAttribute != b.SubjectAttribute)
	note("ldap.email_attribute", a.EmailAttribute != b.EmailAttribute)
	note("ldap.name_attribute", a.NameAttribute != b.NameAttribute)
	note("ldap.group_base_dn", a.GroupBaseDN != b.GroupBaseDN)
	note("ldap.group_filter", a.GroupFilter != b.GroupFilter)
}

// elsewhere says whether what is sent to the directory would go to another.
func (a LDAPSettings) elsewhere(b LDAPSettings) bool {
	return !slices.Equal(a.URLs, b.URLs) || a.CA != b.CA
}

// Directory is whom to ask.
type Directory struct {
	LDAPSettings
	Password secret.Value // of the account that searches
}

// DirectoryEntry is what a directory says of a person.
type DirectoryEntry struct {
	Subject, Email, Name string
	Groups               []string
	Disabled             bool
}

// LDAP speaks the protocol. Its refusals are as those of OIDC.
type LDAP interface {
	// What is wrong with a part of the settings; "" for nothing.
	URLProblem(url string) string
	CAProblem(pem string) string
	DNProblem(dn string) string
	FilterProblem(filter string, places ...string) string

	Test(ctx context.Context, d Directory) error
	// Authenticate tries the password of the one whom a name stands for. Whoever
	// is not found, disabled, or has another password is refused alike.
	Authenticate(ctx context.Context, d Directory, username string, password secret.Value) (DirectoryEntry, error)
	// Lookup finds people by their subjects; who is missing is not there.
	Lookup(ctx context.Context, d Directory, subjects []string) (map[string]DirectoryEntry, error)
}

// Brake slows down whoever tries passwords. *identity.Service satisfies it.
type Brake interface {
	Locked(account string, from netip.Addr) bool
	Tried(account string, from netip.Addr, right bool)
}

// ldap is a directory. Its provider's issuer is ours to make: a directory has
// no name that could not be given to another.
type ldap struct{ *Service }

func directoryIssuer(id pam.ProviderID) string { return "ldap:" + string(id) }

func (s ldap) check(_ context.Context, ps *pam.Problems, in *Settings, was Settings) {
	in.ClientID, in.Scopes, in.Issuer = "", nil, was.Issuer
	old, now := LDAPSettings{}, LDAPSettings{}
	if was.LDAP != nil {
		old = *was.LDAP
	}
	if in.LDAP != nil {
		now = *in.LDAP
	}
	in.Details = Details{LDAP: &now}
	if len(now.URLs) == 0 || len(now.URLs) > maxURLs {
		ps.Add("ldap.urls", fmt.Sprintf("must be 1 to %d addresses", maxURLs))
	}
	for i, u := range now.URLs {
		if p := s.LDAP.URLProblem(u); p != "" {
			ps.Add(fmt.Sprintf("ldap.urls[%d]", i), p)
		}
	}
	if len(now.CA) > maxCA {
		ps.Add("ldap.ca", "is too long")
	} else if p := s.LDAP.CAProblem(now.CA); p != "" {
		ps.Add("ldap.ca", p)
	}
	for _, d := range []struct {
		field, dn string
		needed    bool
	}{{"bind_dn", now.BindDN, false}, {"base_dn", now.BaseDN, true}, {"group_base_dn", now.GroupBaseDN, false}} {
		if d.dn == "" && !d.needed {
			continue
		}
		if p := s.LDAP.DNProblem(d.dn); p != "" || d.dn == "" {
			ps.Add("ldap."+d.field, "is not a distinguished name")
		}
	}
	for _, a := range []struct {
		text    *string
		common  string
		problem string
	}{
		{&now.SubjectAttribute, "entryUUID", "subject_attribute"}, {&now.EmailAttribute, "mail", "email_attribute"}, {&now.NameAttribute, "displayName", "name_attribute"},
	} {
		if *a.text == "" {
			*a.text = a.common
		}
		if len(*a.text) > 64 || strings.ContainsFunc(*a.text, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
		}) {
			ps.Add("ldap."+a.problem, "is not the name of an attribute")
		}
	}
	if now.UserFilter == "" {
		now.UserFilter = defaultUserFilter
	}
	if p := s.LDAP.FilterProblem(now.UserFilter, "{username}"); p != "" {
		ps.Add("ldap.user_filter", p)
	}
	if now.GroupBaseDN == "" {
		now.GroupFilter = ""
	} else {
		if now.GroupFilter == "" {
			now.GroupFilter = defaultGroupFilter
		}
		if p := s.LDAP.FilterProblem(now.GroupFilter, "{dn}", "{username}"); p != "" {
			ps.Add("ldap.group_filter", p)
		}
	}
	if in.GroupClaim == "" {
		in.GroupClaim = "groups"
	}
	now.Since = old.Since
	if was.LDAP == nil || now.elsewhere(old) || now.SubjectAttribute != old.SubjectAttribute {
		now.Since = s.Clock.Now()
	}
}

func (s *Service) directory(ctx context.Context, p Provider) (Directory, error) {
	d := Directory{LDAPSettings: *p.LDAP}
	if p.Sealed == nil {
		return d, nil
	}
	var err error
	d.Password, err = s.Sealer.Open(ctx, p.binding(), p.Sealed)
	return d, err
}

func (s ldap) test(ctx context.Context, p Provider) error {
	d, err := s.directory(ctx, p)
	if err != nil {
		return err
	}
	defer d.Password.Wipe()
	return s.LDAP.Test(ctx, d)
}

// begin leads to a page of ours, where the person types their password.
func (s ldap) begin(_ context.Context, p Provider, w way, _ Begin) (string, error) {
	return s.CallbackURL(p.ID) + "?directory=1&state=" + w.state, nil
}

func (s ldap) finish(ctx context.Context, p Provider, _ way, in Finish) (Claims, error) {
	account := directoryIssuer(p.ID) + " " + strings.ToLower(in.Username)
	wrong := &pam.Error{Kind: pam.AuthFailed, Op: "ask directory"}
	if s.Brake.Locked(account, in.From) {
		return Claims{}, wrong
	}
	d, err := s.directory(ctx, p)
	if err != nil {
		return Claims{}, err
	}
	defer d.Password.Wipe()
	e, err := s.LDAP.Authenticate(ctx, d, in.Username, in.Password)
	if pam.Is(err, pam.AuthFailed) {
		s.Brake.Tried(account, in.From, false)
		return Claims{}, wrong
	}
	if err != nil {
		return Claims{}, err
	}
	s.Brake.Tried(account, in.From, true)
	c := p.LDAP.claims(e, p.Settings)
	c.All["auth_time"] = float64(s.Clock.Now().Unix())
	return c, nil
}

// claims is what a directory says in the words of OpenID Connect. An address
// in it counts where an administrator has named its domain, as for SAML: in
// many directories people write their own.
func (a LDAPSettings) claims(e DirectoryEntry, p Settings) Claims {
	return Claims{Subject: e.Subject, All: map[string]any{
		"email": e.Email, "email_verified": len(p.Domains) > 0, "name": e.Name, p.GroupClaim: e.Groups, "amr": []string{"pwd"},
	}}
}

// How often directories are read, and how many by one job at a time.
const (
	directoryEvery = 15 * time.Minute
	directoryTurn  = 20
	// Nobody is suspended where more than these would be at once, and more than
	// that part of all: then it is the directory, or its settings, that is wrong.
	manyGone     = 5
	manyGonePart = 5 // one in
)

// SyncDirectories reads each directory every now and then, whichever node does
// it.
func (s *Service) SyncDirectories(ctx context.Context) error {
	const op = "read directories"
	now := s.Clock.Now()
	due, err := s.Store.StaleProviders(ctx, KindLDAP, now.Add(-directoryEvery), now.Add(-directoryEvery), directoryTurn)
	if err != nil {
		return pam.Wrap(op, err)
	}
	for _, p := range due {
		mine, err := s.Store.ClaimSync(ctx, p.Org, p.ID, now.Add(-directoryEvery), now)
		if err != nil {
			return pam.Wrap(op, err)
		}
		if !mine {
			continue
		}
		if err := s.sync(ctx, p, Client{}, false); err != nil && pam.KindOf(err) != pam.Unreachable && pam.KindOf(err) != pam.Conflict {
			return pam.Wrap(op, err)
		}
	}
	return nil
}

// Sync reads a directory now. all says that everybody who is gone is to be
// suspended, however many they are.
func (s *Service) Sync(ctx context.Context, a pam.Actor, id pam.ProviderID, all bool) (Provider, error) {
	const op = "read directory"
	if err := s.may(op, a, policy.SSOWrite); err != nil {
		return Provider{}, err
	}
	p, err := s.Store.SSOProvider(ctx, a.Org, id)
	if err != nil {
		return Provider{}, pam.Wrap(op, err)
	}
	if p.Kind != KindLDAP || !p.Enabled {
		return Provider{}, pam.Errorf(pam.Conflict, op, "Only a directory that is enabled can be read.")
	}
	if _, err := s.Store.ClaimSync(ctx, p.Org, p.ID, s.Clock.Now(), s.Clock.Now()); err != nil {
		return Provider{}, pam.Wrap(op, err)
	}
	// What is wrong is the answer, as it is for the job.
	if err := s.sync(ctx, p, Client{From: a.From, RequestID: a.RequestID}, all); err != nil && pam.KindOf(err) != pam.Unreachable && pam.KindOf(err) != pam.Conflict {
		return Provider{}, pam.Wrap(op, err)
	}
	p, err = s.Store.SSOProvider(ctx, a.Org, id)
	return p, pam.Wrap(op, err)
}

// sync makes of everybody whom a directory has vouched for what it says of them
// now: groups and role by the rules, as at a sign-in. Who is not in it any more,
// or disabled there, is suspended.
func (s *Service) sync(ctx context.Context, p Provider, c Client, all bool) error {
	err := s.syncPeople(ctx, p, c, all)
	problem := ""
	if err != nil {
		if k := pam.KindOf(err); k != pam.Unreachable && k != pam.Conflict {
			return err
		}
		problem = publicly(err)
	}
	if noted := s.Store.NoteSync(ctx, p.Org, p.ID, problem); noted != nil {
		return noted
	}
	return err
}

func (s *Service) syncPeople(ctx context.Context, p Provider, c Client, all bool) error {
	const op = "read directory"
	everybody, err := s.Store.Identities(ctx, p.Org)
	if err != nil {
		return err
	}
	// Those of before somebody changed who says whose they are wait for a sign-in.
	mine := slices.DeleteFunc(everybody, func(i Identity) bool { return i.Issuer != p.Issuer || i.CreatedAt.Before(p.since()) })
	if len(mine) == 0 {
		return nil
	}
	d, err := s.directory(ctx, p)
	if err != nil {
		return err
	}
	defer d.Password.Wipe()
	subjects := make([]string, len(mine))
	for i, m := range mine {
		subjects[i] = m.Subject
	}
	found, err := s.LDAP.Lookup(ctx, d, subjects)
	if err != nil {
		return err
	}
	var gone []Identity
	for _, i := range mine {
		e, there := found[i.Subject]
		if !there || e.Disabled {
			gone = append(gone, i)
			continue
		}
		person, err := s.Store.Person(ctx, p.Org, i.User)
		if err != nil {
			return err
		}
		if !person.Active {
			continue
		}
		w := newcomer{p: p, claims: p.LDAP.claims(e, p.Settings), person: person, now: i.LastLoginAt, c: c, arrival: Arrival{Provider: p.ID, Version: p.Version}}
		w.arrival.Identity = i
		if err := s.apply(ctx, &w); err != nil {
			return err
		}
		if w.arrival.Role == "" && len(w.arrival.Join)+len(w.arrival.Leave) == 0 {
			continue
		}
		if err := s.Store.Arrive(ctx, p.Org, w.arrival, w.entries(s)...); err != nil && !pam.Is(err, pam.Conflict) {
			return err
		}
	}
	return s.suspendGone(ctx, op, p, gone, len(mine), all)
}

// suspendGone suspends who is at home here and stands not above those who
// manage members.
func (s *Service) suspendGone(ctx context.Context, op string, p Provider, gone []Identity, of int, all bool) error {
	var out []Person
	for _, i := range gone {
		person, err := s.Store.Person(ctx, p.Org, i.User)
		if err != nil {
			return err
		}
		if person.Active && person.Home == p.Org && person.Role != pam.Owner && !person.Machine && !person.InstanceAdmin {
			out = append(out, person)
		}
	}
	if len(out) > manyGone && len(out)*manyGonePart > of && !all {
		return pam.Errorf(pam.Conflict, op, "%d of %d people are not in the directory any more. That may be a mistake: nobody was suspended. Look, and then sync with all.", len(out), of)
	}
	for _, person := range out {
		e := s.Scribe.Entry(pam.Actor{Token: pam.SystemToken, Org: p.Org}, audit.MemberSuspended, audit.Party{Type: "user", ID: string(person.User), Name: person.Email},
			map[string]any{"provider_id": string(p.ID), "reason": "not in the directory any more, or disabled there"})
		if err := s.Store.SuspendGone(ctx, p.Org, person.User, e); err != nil && !pam.Is(err, pam.Conflict) {
			return err
		}
	}
	return nil
}
