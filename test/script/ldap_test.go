package script

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// directs makes the caller's organization believe a directory.
func (c *caller) directs(s *target.Slapd, change func(*v1.SSOProviderIn)) v1.SSOProvider {
	c.t.Helper()
	in := v1.SSOProviderIn{
		Name: "Corporate directory", Type: "ldap", ClientSecret: &s.Password, AllowedDomains: []string{"example.com"}, CreateUsers: true, Enabled: true,
		LDAP: &v1.LDAPIn{URLs: []string{s.URL}, CA: s.CA, BindDN: s.BindDN, BaseDN: "ou=people," + s.BaseDN, GroupBaseDN: "ou=groups," + s.BaseDN},
	}
	if change != nil {
		change(&in)
	}
	return read[v1.SSOProvider](c.call("POST", "/org/sso/providers", in))
}

// types signs in with a user name and a password of a directory.
func (p *proc) types(slug, id, username, password string) answer {
	p.t.Helper()
	a := p.nobody().call("POST", "/auth/sso/start", v1.SSOStartIn{Organization: slug, ProviderID: id})
	to, err := url.Parse(read[v1.SSOStart](a).URL)
	must(p.t, err)
	if to.Query().Get("directory") == "" || !strings.HasSuffix(to.Path, "/login/callback/"+id) {
		p.t.Errorf("it leads to %s", to)
	}
	return p.nobody().call("POST", "/auth/sso/finish", v1.SSOFinishIn{ProviderID: id, State: to.Query().Get("state"), Username: username, Password: password}, "Cookie", "__Host-vaultpam-sso="+ssoCookie(a))
}

// People of a directory sign in with their password there, and are what it says
// of them, also when it says something else while they are away.
func TestPeopleOfADirectory(t *testing.T) {
	t.Parallel()
	s := target.StartSlapd(t)
	p := startServer(t)
	owner := p.owner()
	team := read[v1.Group](owner.call("POST", "/org/groups", v1.NewGroup{GroupIn: v1.GroupIn{Name: "From the directory"}, Source: "claim"}))
	ada, bob := s.Person("ada", "ada@example.com", "open sesame 1"), s.Person("bob", "bob@example.com", "open sesame 2")
	ops := s.Group("groups", "ops", ada, bob)
	made := owner.directs(s, func(in *v1.SSOProviderIn) {
		in.Rules = []v1.SSORule{{Value: "ops", GroupIDs: []string{team.ID}}, {Value: "auditors", Role: "auditor"}}
	})
	if got := read[v1.SSOTest](owner.call("POST", "/org/sso/providers/"+made.ID+"/test", nil)); !got.OK {
		t.Fatalf("%+v", got)
	}
	if made.LDAP.UserFilter == "" || made.LDAP.SubjectAttribute != "entryUUID" || !made.HasSecret || made.LDAP.CA != s.CA {
		t.Errorf("%+v", made)
	}
	slug := owner.slug()
	who := p.entered(p.types(slug, made.ID, "ada", "open sesame 1"))
	if who.email != "ada@example.com" {
		t.Fatalf("it is %s", who.email)
	}
	p.entered(p.types(slug, made.ID, "bob@example.com", "open sesame 2"))
	state := func(email string) (status, role string, in bool) {
		for _, m := range read[[]v1.Member](owner.call("GET", "/org/members", nil)) {
			if m.Email == email {
				return m.Status, m.Role, slices.Contains(read[v1.Group](owner.call("GET", "/org/groups/"+team.ID, nil)).MemberIDs, m.UserID)
			}
		}
		return "", "", false
	}
	if status, role, in := state("ada@example.com"); status != "active" || role != "operator" || !in {
		t.Errorf("%s %s %v", status, role, in)
	}

	// Another group, and bob has left: seen without anybody signing in.
	s.Group("groups", "auditors", ada)
	s.Replace(ops, "member", bob)
	s.Delete(bob)
	sync := func(all bool) v1.SSOProvider {
		return read[v1.SSOProvider](owner.call("POST", "/org/sso/providers/"+made.ID+"/sync", v1.LDAPSyncIn{All: all}))
	}
	if got := sync(false); got.LDAP.Problem != "" || got.LDAP.ReadAt == nil {
		t.Errorf("%+v", got.LDAP)
	}
	if status, role, in := state("ada@example.com"); status != "active" || role != "auditor" || in {
		t.Errorf("ada: %s %s %v", status, role, in)
	}
	if status, _, _ := state("bob@example.com"); status != "suspended" {
		t.Errorf("bob: %s", status)
	}

	// A directory that has suddenly lost nearly everybody has lost its mind.
	for i := range 8 {
		dn := s.Person(fmt.Sprint("p", i), fmt.Sprintf("p%d@example.com", i), "open sesame 3")
		p.entered(p.types(slug, made.ID, fmt.Sprint("p", i), "open sesame 3"))
		s.Delete(dn)
	}
	if got := sync(false); !strings.Contains(got.LDAP.Problem, "nobody was suspended") {
		t.Errorf("%+v", got.LDAP)
	}
	if status, _, _ := state("p0@example.com"); status != "active" {
		t.Errorf("p0: %s", status)
	}
	if got := sync(true); got.LDAP.Problem != "" {
		t.Errorf("%+v", got.LDAP)
	}
	if status, _, _ := state("p0@example.com"); status != "suspended" {
		t.Errorf("p0: %s", status)
	}
	// To authenticate again, the password is typed again.
	p.nowhere(t, "a password", "open sesame 1")
}

func TestAttackDirectory(t *testing.T) {
	t.Parallel()
	s, evil := target.StartSlapd(t), target.StartSlapd(t)
	p := startServer(t)
	owner := p.owner()
	admin := owner.person(p, "admin@example.com", "admin")
	s.Person("ada", "ada@example.com", "open sesame 1")
	s.Person("boss", owner.email, "open sesame 2")
	made := owner.directs(s, nil)
	slug := owner.slug()
	ada := p.entered(p.types(slug, made.ID, "ada", "open sesame 1"))

	// Wrong, injected, empty: the same words; and after ten the account is locked there.
	for _, c := range [][2]string{{"ada", ""}, {"ad*", "open sesame 1"}, {"x)(|(uid=ada)", "open sesame 1"}, {"nobody", "open sesame 1"}, {"ada", "wrong"}} {
		p.types(slug, made.ID, c[0], c[1]).want(http.StatusUnauthorized, "AUTH_FAILED")
	}
	for range 10 {
		p.types(slug, made.ID, "ada", "wrong").want(http.StatusUnauthorized, "AUTH_FAILED")
	}
	p.types(slug, made.ID, "ADA", "open sesame 1").want(http.StatusUnauthorized, "AUTH_FAILED")

	// The owner's address in the directory makes nobody the owner.
	p.types(slug, made.ID, "boss", "open sesame 2").want(http.StatusUnauthorized, "AUTH_FAILED")

	// Pointing it to a directory of one's own: not with the password for this one,
	// and whoever was linked is nobody's there.
	evil.Person("ada", "ada@example.com", "my own")
	admin.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"ldap": map[string]any{"urls": []string{evil.URL}, "ca": evil.CA}}).want(http.StatusUnprocessableEntity)
	second := admin.directs(evil, func(in *v1.SSOProviderIn) { in.Name = "Another" })
	p.types(slug, second.ID, "ada", "my own").want(http.StatusUnauthorized, "AUTH_FAILED")
	read[v1.SSOProvider](admin.call("PATCH", "/org/sso/providers/"+made.ID, map[string]any{"client_secret": evil.Password, "ldap": map[string]any{"urls": []string{evil.URL}, "ca": evil.CA}}))
	p.types(slug, made.ID, "ada", "my own").want(http.StatusUnauthorized, "AUTH_FAILED")
	ada.call("GET", "/me", nil).want(http.StatusUnauthorized) // what rested on it has ended

	// Nothing without encryption, and nothing that is no directory.
	for _, in := range []v1.LDAPIn{{URLs: []string{"http://x"}, BaseDN: "dc=x"}, {BaseDN: "dc=x"}, {URLs: []string{"ldaps://x"}}, {URLs: []string{"ldaps://x"}, BaseDN: "dc=x", UserFilter: "(uid=ada)"}} {
		owner.call("POST", "/org/sso/providers", v1.SSOProviderIn{Name: "Bad", Type: "ldap", LDAP: &in}).want(http.StatusUnprocessableEntity)
	}
}
