package script

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
)

// A directory is taken over, or its token is stolen. It may hire and fire; it
// may not rule.
func TestAttackDirectoryThatReachesForMore(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	d := owner.directory("Taken over")
	admin := owner.person(p, "admin@dir.test", "admin")
	colleague := owner.person(p, "colleague@dir.test", "operator")

	// Mass assignment: rights, ids, homes and passwords are left out.
	in := newUser("climber")
	for k, v := range map[string]any{
		"id": owner.id, "role": "owner", "roles": []any{map[string]any{"value": "owner"}}, "entitlements": []any{map[string]any{"value": "owner"}}, "password": "chosen by the directory", "home_org_id": "org_x", "homeOrg": "org_x",
		"instance_admin": true, "instanceAdmin": true, "status": "active", "meta": map[string]any{"created": "1970-01-01T00:00:00Z", "resourceType": "Owner"}, "groups": []any{map[string]any{"value": "grp_x"}}, "must_change": false,
		"urn:ietf:params:scim:schemas:extension:vaultpam:2.0:User": map[string]any{"role": "owner"},
	} {
		in[k] = v
	}
	made := read[scimUser](d.scim("POST", "/Users", in))
	m := read[v1.Member](owner.call("GET", "/org/members/"+made.ID, nil))
	if made.ID == owner.id || m.Role != "operator" || made.Meta.ResourceType != "User" || strings.HasPrefix(made.Meta.Created, "1970") || made.Roles != nil || len(made.Groups) != 0 {
		t.Errorf("%+v %+v", made, m)
	}
	p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: made.UserName, Password: "chosen by the directory"}).want(http.StatusUnauthorized, "AUTH_FAILED")
	d.scim("PATCH", "/Users/"+made.ID, patchOf(op("add", "roles", []any{map[string]any{"value": "owner"}}), op("replace", "password", "chosen by the directory"), op("replace", "", map[string]any{"role": "owner", "home_org_id": "x"}))).want(200)
	d.scim("PUT", "/Users/"+made.ID, in).want(200)
	p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: made.UserName, Password: "chosen by the directory"}).want(http.StatusUnauthorized, "AUTH_FAILED")
	d.scim("PATCH", "/Users/"+colleague.id, patchOf(op("replace", "password", "chosen by the directory"))).want(200)
	p.login(colleague.email, ownerPassword)
	if m := read[v1.Member](owner.call("GET", "/org/members/"+made.ID, nil)); m.Role != "operator" {
		t.Errorf("%+v", m)
	}

	// Owners and administrators are out of reach; reading them is not, and an
	// id of the directory's own is its own affair.
	for _, above := range []*caller{owner, admin} {
		path := "/Users/" + above.id
		was := read[scimUser](d.scim("GET", path, nil))
		d.scim("PATCH", path, patchOf(op("replace", "active", false))).refused(403, "")
		d.scim("PATCH", path, patchOf(op("replace", "userName", "mine@dir.test"))).refused(403, "")
		d.scim("PATCH", path, patchOf(op("replace", "displayName", "Mallory"))).refused(403, "")
		d.scim("PUT", path, map[string]any{"userName": "mine@dir.test", "active": false}).refused(403, "")
		d.scim("DELETE", path, nil).refused(403, "")
		d.scim("PATCH", path, patchOf(op("add", "externalId", "known"))).want(200)
		now := read[scimUser](d.scim("GET", path, nil))
		if now.UserName != was.UserName || !now.Active || now.DisplayName != was.DisplayName || now.ExternalID != "known" {
			t.Errorf("%+v", now)
		}
		above.call("GET", "/org", nil).want(http.StatusOK)
	}
	if n := len(owner.events("SCIM_REFUSED")); n != 10 {
		t.Errorf("%d refusals on record", n)
	}

	// The token is for /scim/v2, and people's tokens are not.
	for _, path := range []string{"/me", "/org", "/safes", "/org/sso/scim-tokens", "/org/memberships"} {
		d.call("GET", path, nil).want(http.StatusUnauthorized, "TOKEN_INVALID")
		d.call("GET", path, nil, "X-Active-Org-Id", owner.org).want(http.StatusUnauthorized, "TOKEN_INVALID")
	}
	pat := owner.pat(allScopes...)
	for name, token := range map[string]string{
		"nobody's": "", "a login's": owner.token, "a personal one": pat.token, "a guess": changed(d.token, len(d.token)-1), "a prefix": d.token[:20], "two": d.token + " " + d.token,
	} {
		other := &directory{caller: d.with(token)}
		if a := other.scim("GET", "/Users", nil).refused(401, ""); !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: %v", name, a.header)
		}
	}
	(&directory{caller: d.with("")}).scim("GET", "/Users", nil, "Cookie", "__Host-vaultpam="+p.browser(owner.email, ownerPassword).cookie).refused(401, "")

	// A person's token cannot make such tokens, and an administrator's may not
	// name owners with them.
	pat.call("POST", "/org/sso/scim-tokens", v1.SCIMTokenIn{Name: "x"}).want(http.StatusForbidden)
	for _, role := range []string{"owner", "admin"} {
		owner.call("POST", "/org/sso/scim-tokens", v1.SCIMTokenIn{Name: "x", Role: role}).want(http.StatusUnprocessableEntity)
	}
	// Deleted, it opens nothing any more.
	owner.call("DELETE", "/org/sso/scim-tokens/"+d.id, nil).want(http.StatusNoContent)
	d.scim("GET", "/Users", nil).refused(401, "")
	owner.call("DELETE", "/org/sso/scim-tokens/"+d.id, nil).want(http.StatusNotFound)
}

// A tenant fills its organization with other tenants' people.
func TestAttackDirectoryOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	boss := owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	mine, theirs := owner.directory("Mine"), boss.directory("Theirs")
	victim := mine.user("victim")
	group := mine.group("Team", victim.ID)

	// Nobody of another organization is seen or changed, by whatever id.
	for _, path := range []string{"/Users/" + victim.ID, "/Groups/" + group.ID} {
		theirs.scim("GET", path, nil).refused(404, "")
		theirs.scim("DELETE", path, nil).refused(404, "")
		theirs.scim("PATCH", path, patchOf(op("replace", "displayName", "x"))).refused(404, "")
		theirs.scim("PUT", path, map[string]any{"userName": "x@y.test", "displayName": "x"}).refused(404, "")
	}
	for _, filter := range []string{`id eq "` + victim.ID + `"`, `userName eq "victim@dir.test"`, `externalId eq "ext-victim"`, `userName eq "x" or userName pr and userName sw "victim"`, `userName eq "victim@dir.test' OR '1'='1"`, `userName eq "%"`} {
		if l := read[scimList[scimUser]](theirs.find("Users", filter)); l.TotalResults != 0 {
			t.Errorf("%s: %+v", filter, l)
		}
	}
	theirs.scim("POST", "/Groups", map[string]any{"displayName": "x", "members": valuesOf(victim.ID)}).refused(400, "invalidValue")
	own := theirs.group("Own")
	theirs.scim("PATCH", "/Groups/"+own.ID, patchOf(op("add", "members", valuesOf(victim.ID)))).refused(400, "invalidValue")
	// The header of the API moves nothing here.
	theirs.scim("GET", "/Users/"+victim.ID, nil, "X-Active-Org-Id", owner.org).refused(404, "")

	// A person is not taken over by their address, neither by a POST nor by a
	// rename; and an address of theirs opens nothing.
	theirs.scim("POST", "/Users", map[string]any{"userName": "victim@dir.test", "displayName": "Mine now", "active": true}).refused(409, "uniqueness")
	theirs.scim("POST", "/Users", map[string]any{"userName": owner.email}).refused(409, "uniqueness")
	puppet := theirs.user("puppet")
	theirs.scim("PATCH", "/Users/"+puppet.ID, patchOf(op("replace", "userName", "victim@dir.test"))).refused(409, "uniqueness")

	// A guest who has accepted is a member: who may be suspended here, and
	// nothing more.
	guest := owner.person(p, "guest@dir.test", "operator")
	boss.call("POST", "/org/members", v1.MemberIn{Email: guest.email, Role: "operator"}).want(http.StatusCreated)
	theirs.scim("GET", "/Users/"+guest.id, nil).refused(404, "") // invited only
	theirs.scim("POST", "/Users", map[string]any{"userName": guest.email}).refused(409, "uniqueness")
	guest.call("POST", "/me/memberships/"+boss.org+"/accept", nil).want(http.StatusOK)
	was := read[scimUser](theirs.scim("GET", "/Users/"+guest.id, nil))
	theirs.scim("PATCH", "/Users/"+guest.id, patchOf(op("replace", "userName", "stolen@elsewhere.test"))).refused(403, "")
	theirs.scim("PATCH", "/Users/"+guest.id, patchOf(op("replace", "displayName", "Stolen"))).refused(403, "")
	theirs.scim("PATCH", "/Users/"+guest.id, patchOf(op("replace", "active", false))).want(200)
	there := guest.as(t)
	there.org = boss.org
	there.call("GET", "/safes", nil).want(http.StatusForbidden, "ORG_ACCESS_DENIED")
	guest.call("GET", "/safes", nil).want(http.StatusOK) // at home nothing has changed
	if u := read[v1.Me](guest.call("GET", "/me", nil)); u.Email != guest.email || u.Name != was.DisplayName {
		t.Errorf("%+v", u)
	}
	theirs.scim("DELETE", "/Users/"+guest.id, nil).want(204)
	guest.call("GET", "/safes", nil).want(http.StatusOK)
	if l := read[scimList[scimUser]](theirs.scim("GET", "/Users", nil)); l.TotalResults != 2 { // the boss and the puppet
		t.Errorf("%+v", l)
	}
}

// A token is slowed down by itself, a guess by its address.
func TestAttackDirectoryThatIsTooQuick(t *testing.T) {
	t.Parallel()
	p := startServer(t, "--rate-limits", "login=1000,user=1000,sensitive=1000,ip=20,scim=5")
	owner := p.owner()
	d, other := owner.directory("Quick"), owner.directory("Slow")
	limited := func(what string, tries int, ask func() answer) {
		t.Helper()
		for range tries {
			if a := ask(); a.status == http.StatusTooManyRequests {
				if a.refused(429, ""); a.header.Get("Retry-After") == "" || a.header.Get("X-Ratelimit-Remaining") != "0" {
					t.Errorf("%s: %v", what, a.header)
				}
				return
			}
		}
		t.Errorf("%s is not slowed down", what)
	}
	limited("a token", 12, func() answer { return d.scim("GET", "/Users", nil) }) // a minute may end between
	other.scim("GET", "/Users", nil).want(http.StatusOK)
	guess := &directory{caller: d.with("vpc_guess")}
	limited("a guess", 50, func() answer { return guess.scim("GET", "/Users", nil) })
	other.scim("GET", "/Users", nil).want(http.StatusOK)
}

// What a directory sends is bounded, whatever it is.
func TestAttackDirectoryThatFloods(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	d := p.owner().directory("Flood")
	one := d.user("one")
	deep := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for _, filter := range []string{deep("(", "a pr", ")", 1000), deep("not (", "a pr", ")", 500), strings.Repeat("a pr or ", 400) + "a pr", deep("a[", "b pr", "]", 50), `userName eq "` + strings.Repeat("x", 4000) + `" and`} {
		d.find("Users", filter).refused(400, "invalidFilter")
		d.scim("POST", "/Users/.search", map[string]any{"filter": filter}).refused(400, "invalidFilter")
		d.scim("PATCH", "/Groups/grp_x", patchOf(op("remove", "members["+filter+"]", nil)))
	}
	d.scim("POST", "/Users", deep(`{"name":`, "1", "}", 10_000)).refused(400, "invalidSyntax")
	d.scim("POST", "/Users", `{"userName":"`+strings.Repeat("x", 5<<20)+`"}`).refused(413, "")
	d.scim("POST", "/Users", `{"userName":"`+strings.Repeat("x", 1<<20)+`@dir.test"}`).refused(400, "invalidValue")
	d.scim("PATCH", "/Users/"+one.ID, patchOf(op("replace", "displayName", strings.Repeat("x", 65)))).refused(400, "invalidValue")
	d.scim("PATCH", "/Users/"+one.ID, patchOf(op("replace", "displayName", "a\u202eb"))).refused(400, "invalidValue")
	d.scim("PATCH", "/Users/"+one.ID, patchOf(op("replace", "externalId", "a\x00b"))).refused(400, "invalidValue")
	d.scim("GET", "/Users?attributes="+strings.Repeat("a,", 200), nil).refused(400, "invalidValue")
	d.scim("GET", "/Users?filter=%zz", nil).refused(400, "invalidSyntax")
	var many []map[string]any
	for i := range 10_001 {
		many = append(many, map[string]any{"value": fmt.Sprintf("usr_%026d", i)})
	}
	d.scim("POST", "/Groups", map[string]any{"displayName": "Too many", "members": many}).refused(400, "invalidValue")
	d.scim("GET", "/Users?filter="+url.QueryEscape("userName sw \"\x00\""), nil).refused(400, "invalidFilter")
}
