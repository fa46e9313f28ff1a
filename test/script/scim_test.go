package script

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// directory is what speaks SCIM to a server.
type directory struct {
	*caller
	id string // of its token
}

// directory makes a token for a directory.
func (c *caller) directory(name string) *directory {
	c.t.Helper()
	made := read[v1.SCIMToken](c.call("POST", "/org/sso/scim-tokens", v1.SCIMTokenIn{Name: name}))
	d := c.with(made.Token)
	d.name, d.org = name, ""
	return &directory{d, made.ID}
}

// scim sends one request below /scim/v2. body is nil, a string that is sent as
// it is, or what is sent as JSON.
func (d *directory) scim(method, path string, body any, headers ...string) answer {
	d.t.Helper()
	var r io.Reader
	if text, ok := body.(string); ok {
		r = strings.NewReader(text)
	} else if body != nil {
		text, err := json.Marshal(body)
		must(d.t, err)
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.base+"/scim/v2"+path, r)
	must(d.t, err)
	if r != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := web.Do(req)
	must(d.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(d.t, err)
	return answer{t: d.t, what: d.name + ": " + method + " " + path, status: resp.StatusCode, header: resp.Header, body: text}
}

// scimUser is a user as a directory reads it.
type scimUser struct {
	Schemas     []string
	ID          string
	ExternalID  string
	UserName    string
	DisplayName string
	Active      bool
	Name        struct{ Formatted, GivenName, FamilyName string }
	Emails      []struct {
		Value   string
		Primary bool
	}
	Groups []struct{ Value, Display string }
	Roles  any
	Meta   struct{ ResourceType, Location, Version, Created, LastModified string }
}

type scimGroup struct {
	Schemas     []string
	ID          string
	ExternalID  string
	DisplayName string
	Members     []struct{ Value, Type string }
	Meta        struct{ ResourceType, Location, Version string }
}

type scimList[T any] struct {
	Schemas                                []string
	TotalResults, StartIndex, ItemsPerPage int
	Resources                              []T
}

// refused is a refusal as section 3.12 of RFC 7644 wants it.
func (a answer) refused(status int, kind string) answer {
	a.t.Helper()
	var e struct {
		Schemas          []string
		Status, ScimType string
		Detail           string
	}
	if err := json.Unmarshal(a.body, &e); err != nil || a.status != status || e.Status != fmt.Sprint(status) || e.ScimType != kind || e.Detail == "" ||
		!slices.Equal(e.Schemas, []string{"urn:ietf:params:scim:api:messages:2.0:Error"}) || a.header.Get("Content-Type") != "application/scim+json" {
		a.t.Errorf("%s: %d %s, want %d %s", a.what, a.status, tail(string(a.body), 400), status, kind)
	}
	return a
}

func newUser(name string) map[string]any {
	return map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name + "@dir.test", "externalId": "ext-" + name, "displayName": "The " + name,
		"name": map[string]any{"givenName": "Given", "familyName": name}, "active": true,
	}
}

func (d *directory) user(name string) scimUser {
	d.t.Helper()
	return read[scimUser](d.scim("POST", "/Users", newUser(name)))
}

func (d *directory) group(name string, members ...string) scimGroup {
	d.t.Helper()
	return read[scimGroup](d.scim("POST", "/Groups", map[string]any{"displayName": name, "externalId": "ext-" + name, "members": valuesOf(members...)}))
}

func valuesOf(ids ...string) []map[string]any {
	out := []map[string]any{}
	for _, id := range ids {
		out = append(out, map[string]any{"value": id})
	}
	return out
}

func op(op, path string, value any) map[string]any {
	m := map[string]any{"op": op}
	if path != "" {
		m["path"] = path
	}
	if value != nil {
		m["value"] = value
	}
	return m
}

func patchOf(ops ...map[string]any) map[string]any {
	return map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops}
}

func (d *directory) find(kind, filter string) answer {
	d.t.Helper()
	return d.scim("GET", "/"+kind+"?filter="+url.QueryEscape(filter), nil)
}

// The life of a person in a directory, section by section of RFC 7644, and in
// the order in which Entra ID and Okta go.
func TestSCIMUsers(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	d := owner.directory("Entra")

	// Section 3.4.2: nothing is found, and that is no error.
	if l := read[scimList[scimUser]](d.find("Users", `userName eq "ada@dir.test"`).want(200)); l.TotalResults != 0 || l.Resources == nil || len(l.Resources) != 0 || l.Schemas[0] != "urn:ietf:params:scim:api:messages:2.0:ListResponse" {
		t.Errorf("%+v", l)
	}
	// Section 3.3: made, with a place, a version and all attributes.
	made := d.scim("POST", "/Users", newUser("ada")).want(http.StatusCreated)
	ada := read[scimUser](made)
	if made.header.Get("Location") != ada.Meta.Location || !strings.HasSuffix(ada.Meta.Location, "/scim/v2/Users/"+ada.ID) || made.header.Get("ETag") != ada.Meta.Version || !strings.HasPrefix(ada.Meta.Version, `W/"`) ||
		made.header.Get("Content-Type") != "application/scim+json" {
		t.Errorf("%v %+v", made.header, ada.Meta)
	}
	if ada.UserName != "ada@dir.test" || ada.ExternalID != "ext-ada" || ada.DisplayName != "The ada" || ada.Name.GivenName != "Given" || ada.Name.FamilyName != "ada" || !ada.Active || len(ada.Emails) != 1 || ada.Emails[0].Value != "ada@dir.test" || ada.Meta.ResourceType != "User" {
		t.Errorf("%+v", ada)
	}
	m := read[v1.Member](owner.call("GET", "/org/members/"+ada.ID, nil))
	if m.Role != "operator" || m.Status != "active" {
		t.Errorf("%+v", m)
	}
	// Section 3.3: twice is a Conflict, in whatever case.
	d.scim("POST", "/Users", newUser("ADA")).refused(409, "uniqueness")
	d.scim("POST", "/Users", map[string]any{"displayName": "x"}).refused(400, "invalidValue")
	d.scim("POST", "/Users", map[string]any{"userName": "no address"}).refused(400, "invalidValue")
	d.scim("POST", "/Users", `{"userName":"a@dir.test","USERNAME":"b@dir.test"}`).refused(400, "invalidSyntax")
	d.scim("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"userName":"a@dir.test"}`).refused(400, "invalidValue")

	// Section 3.4.1: read; what is not there is 404.
	if got := read[scimUser](d.scim("GET", "/Users/"+ada.ID, nil)); got.Meta.Version != ada.Meta.Version {
		t.Errorf("%+v", got)
	}
	d.scim("GET", "/Users/usr_00000000000000000000000000", nil).refused(404, "")
	d.scim("GET", "/Users/"+strings.Repeat("x", 500), nil).refused(404, "")
	// Section 3.14: versions.
	d.scim("GET", "/Users/"+ada.ID, nil, "If-None-Match", ada.Meta.Version).want(http.StatusNotModified)
	d.scim("PATCH", "/Users/"+ada.ID, patchOf(op("replace", "displayName", "x")), "If-Match", `W/"old"`).refused(412, "")
	d.scim("DELETE", "/Users/"+ada.ID, nil, "If-Match", `W/"old"`).refused(412, "")

	// Section 3.4.2.2: by what Entra and Okta look people up.
	for filter, want := range map[string]int{
		`userName eq "ADA@dir.test"`: 1, `externalId eq "ext-ada"`: 1, `externalId eq "EXT-ADA"`: 0, `id eq "` + ada.ID + `"`: 1, `userName sw "ada" and active eq true`: 1,
		`emails[type eq "work" and value eq "ada@dir.test"]`: 1, `name.familyName eq "ADA"`: 1, `active eq False and userName eq "ada@dir.test"`: 0, `meta.resourceType eq "Group"`: 0, `password pr`: 0,
		`not (userName eq "ada@dir.test") and externalId eq "ext-ada"`: 0,
	} {
		if l := read[scimList[scimUser]](d.find("Users", filter)); l.TotalResults != want || len(l.Resources) != want {
			t.Errorf("%s: %d", filter, l.TotalResults)
		}
	}
	d.find("Users", `userName eq`).refused(400, "invalidFilter")

	// Section 3.5.2: several operations at once, in Entra's spelling.
	before := read[scimUser](d.scim("GET", "/Users/"+ada.ID, nil))
	after := read[scimUser](d.scim("PATCH", "/Users/"+ada.ID, patchOf(op("Replace", "displayName", "Ada L."), op("Add", "name.familyName", "Lovelace"), op("Replace", `emails[type eq "work"].value`, "other@dir.test"), op("Replace", "userName", "Ada.L@dir.test")), "If-Match", before.Meta.Version).want(200))
	if after.DisplayName != "Ada L." || after.Name.FamilyName != "Lovelace" || after.UserName != "ada.l@dir.test" || after.Meta.Version == before.Meta.Version {
		t.Errorf("%+v", after)
	}
	// All of it or nothing.
	d.scim("PATCH", "/Users/"+ada.ID, patchOf(op("replace", "displayName", "Half"), op("replace", "id", "usr_x"))).refused(400, "mutability")
	if got := read[scimUser](d.scim("GET", "/Users/"+ada.ID, nil)); got.DisplayName != "Ada L." {
		t.Errorf("half of a PATCH was done: %+v", got)
	}
	// The address of somebody else is taken.
	grace := d.user("grace")
	d.scim("PATCH", "/Users/"+ada.ID, patchOf(op("replace", "userName", "grace@dir.test"))).refused(409, "uniqueness")
	d.scim("PATCH", "/Users/"+ada.ID, patchOf(op("replace", "userName", owner.email))).refused(409, "uniqueness")

	// active: false suspends, in both spellings, and true lets back in.
	for _, off := range []any{false, "False"} {
		if got := read[scimUser](d.scim("PATCH", "/Users/"+grace.ID, patchOf(op("Replace", "active", off)))); got.Active {
			t.Error("still active")
		}
		if m := read[v1.Member](owner.call("GET", "/org/members/"+grace.ID, nil)); m.Status != "suspended" {
			t.Errorf("%+v", m)
		}
		d.scim("PATCH", "/Users/"+grace.ID, patchOf(op("Replace", "", map[string]any{"active": true}))).want(200)
	}
	// Section 3.5.1: replaced; who is suspended stays so if nothing is said.
	d.scim("PATCH", "/Users/"+grace.ID, patchOf(op("replace", "active", false))).want(200)
	put := read[scimUser](d.scim("PUT", "/Users/"+grace.ID, map[string]any{"id": "usr_other", "userName": "grace@dir.test", "displayName": "Grace"}))
	if put.ID != grace.ID || put.Active || put.ExternalID != "" || put.Name.GivenName != "" || put.DisplayName != "Grace" {
		t.Errorf("%+v", put)
	}
	d.scim("PUT", "/Users/"+grace.ID, map[string]any{"displayName": "Grace"}).refused(400, "invalidValue")

	// Section 3.6: removed; once. The record stays, and they can come back.
	d.scim("DELETE", "/Users/"+grace.ID, nil).want(http.StatusNoContent)
	d.scim("DELETE", "/Users/"+grace.ID, nil).refused(404, "")
	d.scim("GET", "/Users/"+grace.ID, nil).refused(404, "")
	owner.call("GET", "/org/members/"+grace.ID, nil).want(http.StatusNotFound)
	if again := d.user("grace"); again.ID != grace.ID || again.DisplayName != "The grace" || !again.Active {
		t.Errorf("%+v", again)
	}

	// Every act is on record, with the directory as its actor.
	for typ, want := range map[string]int{"MEMBER_ADDED": 3, "MEMBER_SUSPENDED": 3, "MEMBER_RESUMED": 2, "MEMBER_REMOVED": 1} {
		n := 0
		for _, e := range owner.events(typ) {
			if e.Actor.Type == "scim_token" {
				if n++; e.Actor.ID != d.id || e.Actor.Name != "Entra" || e.SourceIP == "" || e.RequestID == "" {
					t.Errorf("%+v", e)
				}
			}
		}
		if n != want {
			t.Errorf("%s: %d times, want %d", typ, n, want)
		}
	}
	if used := read[[]v1.SCIMToken](owner.call("GET", "/org/sso/scim-tokens", nil)); used[0].LastUsedAt == nil || used[0].Token != "" {
		t.Errorf("%+v", used[0])
	}
}

// Section 3.4.2.4: pages, and what is out of range. Section 3.4.3: .search.
func TestSCIMPagesAndSearches(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	d := p.owner().directory("Okta")
	for i := range 7 {
		d.user(fmt.Sprintf("user%d", i))
	}
	all := read[scimList[scimUser]](d.scim("GET", "/Users", nil))
	if all.TotalResults != 8 || len(all.Resources) != 8 || all.StartIndex != 1 { // with the owner
		t.Fatalf("%+v", all)
	}
	var seen []string
	for start := 1; start <= 8; start += 3 {
		page := read[scimList[scimUser]](d.scim("GET", fmt.Sprintf("/Users?startIndex=%d&count=3", start), nil))
		if page.TotalResults != 8 || page.StartIndex != start || page.ItemsPerPage != len(page.Resources) || page.ItemsPerPage > 3 {
			t.Errorf("%+v", page)
		}
		for _, u := range page.Resources {
			seen = append(seen, u.ID)
		}
	}
	for i, u := range all.Resources {
		if seen[i] != u.ID {
			t.Error("pages do not come to the whole")
		}
	}
	for query, want := range map[string][2]int{ // total and shown
		"count=0": {8, 0}, "count=-5": {8, 0}, "startIndex=0&count=2": {8, 2}, "startIndex=-3": {8, 8}, "startIndex=100": {8, 0}, "count=99999": {8, 8},
		"filter=" + url.QueryEscape(`userName sw "user"`) + "&startIndex=6&count=5": {7, 2}, "filter=" + url.QueryEscape(`userName sw "user"`) + "&count=0": {7, 0},
		"sortBy=userName&sortOrder=descending": {8, 8},
	} {
		if l := read[scimList[scimUser]](d.scim("GET", "/Users?"+query, nil)); l.TotalResults != want[0] || len(l.Resources) != want[1] || l.ItemsPerPage != want[1] {
			t.Errorf("%s: %d of %d", query, len(l.Resources), l.TotalResults)
		}
	}
	d.scim("GET", "/Users?count=x", nil).refused(400, "invalidValue")
	d.scim("GET", "/Users?count=1&count=2", nil).refused(400, "invalidValue")
	// Section 3.9.
	one := d.scim("GET", "/Users?count=1&attributes=userName,name.givenName", nil).want(200)
	if text := string(one.body); strings.Contains(text, "displayName") || strings.Contains(text, "formatted") || !strings.Contains(text, `"id"`) || !strings.Contains(text, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`) {
		t.Error(text)
	}
	d.group("Team", all.Resources[1].ID)
	in := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:SearchRequest"}, "filter": `displayName sw "t"`, "startIndex": 1, "count": 10, "attributes": []string{"displayName"}}
	if l := read[scimList[scimUser]](d.scim("POST", "/Users/.search", in)); l.TotalResults != 7 || l.Resources[0].UserName != "" {
		t.Errorf("%+v", l)
	}
	if l := read[scimList[scimGroup]](d.scim("POST", "/Groups/.search", in)); l.TotalResults != 1 || l.Resources[0].DisplayName != "Team" {
		t.Errorf("%+v", l)
	}
	if l := read[scimList[scimGroup]](d.scim("POST", "/.search", in)); l.TotalResults != 8 || len(l.Resources) != 8 {
		t.Errorf("%+v", l)
	}
	in["startIndex"], in["count"] = 8, 5
	if l := read[scimList[scimGroup]](d.scim("POST", "/.search", in)); l.TotalResults != 8 || len(l.Resources) != 1 || l.Resources[0].DisplayName != "Team" {
		t.Errorf("%+v", l)
	}
	d.scim("POST", "/.search", `{"filter":7}`).refused(400, "invalidValue")

	// Section 4, and what is announced as unsupported.
	for path, want := range map[string]string{
		"/ServiceProviderConfig": `"bulk":{"maxOperations":0,"maxPayloadSize":0,"supported":false}`, "/ResourceTypes": `"endpoint":"/Groups"`, "/ResourceTypes/User": `"schema":"urn:ietf:params:scim:schemas:core:2.0:User"`,
		"/Schemas": `"totalResults":2`, "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User": `"name":"userName"`,
	} {
		if a := d.scim("GET", path, nil).want(200); !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	d.scim("GET", "/Schemas?filter="+url.QueryEscape(`id eq "x"`), nil).refused(403, "")
	d.scim("GET", "/Schemas/x", nil).refused(404, "")
	d.scim("POST", "/Bulk", `{}`).refused(501, "")
	d.scim("GET", "/Me", nil).refused(501, "")
	if a := d.scim("DELETE", "/Users", nil).refused(405, ""); a.header.Get("Allow") != "GET, HEAD, POST" {
		t.Error(a.header.Get("Allow"))
	}
	d.scim("GET", "/Nothing", nil).refused(404, "")
	d.scim("POST", "/Users", "userName=x", "Content-Type", "application/x-www-form-urlencoded").refused(415, "")
	d.scim("POST", "/Users", newUser("json"), "Content-Type", "application/json; charset=utf-8").want(201)
}

// Groups, and what they give: nothing until a manager of the Safe says so, and
// from then on to whomever the directory brings.
func TestSCIMGroups(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	d := owner.directory("Entra")
	ada, grace, linus := d.user("ada"), d.user("grace"), d.user("linus")

	q := "/Groups?excludedAttributes=members&filter=" + url.QueryEscape(`displayName eq "admins"`)
	if l := read[scimList[scimGroup]](d.scim("GET", q, nil)); l.TotalResults != 0 {
		t.Errorf("%+v", l)
	}
	made := d.scim("POST", "/Groups", map[string]any{"displayName": "Admins", "externalId": "g1", "members": valuesOf(ada.ID)}).want(201)
	g := read[scimGroup](made)
	if len(g.Members) != 1 || g.Members[0].Value != ada.ID || g.Members[0].Type != "User" || g.ExternalID != "g1" || made.header.Get("ETag") != g.Meta.Version || made.header.Get("Location") != g.Meta.Location {
		t.Errorf("%+v", g)
	}
	d.scim("POST", "/Groups", map[string]any{"displayName": "ADMINS"}).refused(409, "uniqueness")
	d.scim("POST", "/Groups", map[string]any{"members": valuesOf(ada.ID)}).refused(400, "invalidValue")
	d.scim("POST", "/Groups", map[string]any{"displayName": "x", "members": valuesOf("usr_00000000000000000000000000")}).refused(400, "invalidValue")
	if l := read[scimList[scimGroup]](d.scim("GET", q, nil)); l.TotalResults != 1 || l.Resources[0].Members != nil {
		t.Errorf("%+v", l)
	}
	if listed := read[v1.Group](owner.call("GET", "/org/groups/"+g.ID, nil)); listed.Source != "scim" || listed.MemberCount != 1 {
		t.Errorf("%+v", listed)
	}
	path := "/Groups/" + g.ID
	has := func(want ...string) {
		t.Helper()
		var got []string
		for _, m := range read[scimGroup](d.scim("GET", path, nil)).Members {
			got = append(got, m.Value)
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("in the group: %v, want %v", got, want)
		}
	}
	patch := func(ops ...map[string]any) { t.Helper(); d.scim("PATCH", path, patchOf(ops...)).want(204) }
	patch(op("Add", "members", valuesOf(grace.ID, linus.ID)))
	has(ada.ID, grace.ID, linus.ID)
	patch(op("Add", "members", valuesOf(grace.ID))) // once more is no change
	patch(op("Remove", "members", valuesOf(grace.ID)))
	has(ada.ID, linus.ID)
	patch(op("remove", `members[value eq "`+linus.ID+`"]`, nil), op("add", "members", valuesOf(grace.ID)))
	has(ada.ID, grace.ID)
	patch(op("remove", "members", nil))
	has()
	patch(op("replace", "members", valuesOf(linus.ID)), op("replace", "displayName", "Root"), op("replace", "externalId", "g2"))
	has(linus.ID)
	if got := read[scimGroup](d.scim("PATCH", path+"?attributes=displayName", patchOf(op("replace", "", map[string]any{"id": g.ID, "displayName": "Admins"}))).want(200)); got.DisplayName != "Admins" || got.Members != nil {
		t.Errorf("%+v", got)
	}
	d.scim("PATCH", path, patchOf(op("add", "members", valuesOf("usr_00000000000000000000000000")))).refused(400, "invalidValue")
	d.scim("PATCH", path, patchOf(op("add", "members", []map[string]any{{"value": g.ID, "type": "Group"}}))).refused(400, "invalidValue")
	d.scim("PATCH", path, patchOf(op("add", "members", valuesOf(ada.ID))), "If-Match", g.Meta.Version).refused(412, "")
	for filter, want := range map[string]int{
		`externalId eq "g2"`: 1, `members eq "` + linus.ID + `"`: 1, `members[value eq "` + linus.ID + `"]`: 1, `members.value eq "` + ada.ID + `"`: 0, `members pr`: 1, `not (members pr)`: 0,
		`displayName sw "adm" and members[value eq "` + linus.ID + `" and type eq "User"]`: 1, `members[value eq "` + linus.ID + `" and type eq "Group"]`: 0,
	} {
		if l := read[scimList[scimGroup]](d.find("Groups", filter)); l.TotalResults != want {
			t.Errorf("%s: %d", filter, l.TotalResults)
		}
	}
	if u := read[scimUser](d.scim("GET", "/Users/"+linus.ID, nil)); len(u.Groups) != 1 || u.Groups[0].Value != g.ID || u.Groups[0].Display != "Admins" {
		t.Errorf("%+v", u)
	}
	if l := read[scimList[scimUser]](d.find("Users", `groups eq "`+g.ID+`"`)); l.TotalResults != 1 {
		t.Errorf("%+v", l)
	}
	put := read[scimGroup](d.scim("PUT", path, map[string]any{"displayName": "Admins", "members": valuesOf(ada.ID, grace.ID)}))
	if len(put.Members) != 2 || put.ExternalID != "" {
		t.Errorf("%+v", put)
	}

	// Not by hand, and nothing that is filled by hand is seen.
	owner.call("PUT", "/org/groups/"+g.ID+"/members/"+linus.ID, nil).want(http.StatusConflict)
	owner.call("PATCH", "/org/groups/"+g.ID, map[string]any{"name": "Renamed by hand"}).want(http.StatusConflict)
	byHand := read[v1.Group](owner.call("POST", "/org/groups", v1.GroupIn{Name: "By hand"}))
	d.scim("GET", "/Groups/"+byHand.ID, nil).refused(404, "")
	d.scim("PATCH", "/Groups/"+byHand.ID, patchOf(op("add", "members", valuesOf(ada.ID)))).refused(404, "")
	d.scim("DELETE", "/Groups/"+byHand.ID, nil).refused(404, "")
	d.scim("POST", "/Groups", map[string]any{"displayName": "By hand"}).refused(409, "uniqueness")

	// The group gives what a manager of the Safe gave it, and to whom it comes.
	admin := owner.person(p, "admin@dir.test", "admin")
	safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{Name: "Fed"})).ID
	admin.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{GroupID: g.ID, Role: "operator"}).want(http.StatusForbidden)
	owner.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{GroupID: g.ID, Role: "operator"}).want(http.StatusCreated)
	member := owner.person(p, "member@dir.test", "operator")
	member.call("GET", "/safes/"+safe, nil).want(http.StatusNotFound)
	patch(op("add", "members", valuesOf(member.id)))
	member.call("GET", "/safes/"+safe, nil).want(http.StatusOK)
	patch(op("remove", "members", valuesOf(member.id)))
	member.call("GET", "/safes/"+safe, nil).want(http.StatusNotFound)
	patch(op("add", "members", valuesOf(member.id)))
	// Another directory is another's word: it may take people out, and brings
	// them in once a manager of the Safe has confirmed the role. An administrator
	// who makes a token does not enter the Safe by it.
	later := admin.directory("Later")
	members := read[[]v1.SafeMember](owner.call("GET", "/safes/"+safe+"/members", nil))
	if !members[0].AwaitsApproval || members[1].AwaitsApproval {
		t.Errorf("%+v", members)
	}
	later.scim("PATCH", path, patchOf(op("add", "members", valuesOf(admin.id)))).refused(403, "")
	later.scim("PUT", path, map[string]any{"displayName": "Admins", "members": valuesOf(admin.id)}).refused(403, "")
	later.scim("PATCH", path, patchOf(op("remove", "members", valuesOf(member.id)))).want(204)
	patch(op("add", "members", valuesOf(member.id))) // the first goes on
	admin.call("PATCH", "/safes/"+safe+"/members/"+members[0].ID, v1.SafeMemberPatch{Role: "operator"}).want(http.StatusForbidden)
	if now := read[v1.SafeMember](owner.call("PATCH", "/safes/"+safe+"/members/"+members[0].ID, v1.SafeMemberPatch{Role: "operator"})); now.AwaitsApproval {
		t.Errorf("%+v", now)
	}
	later.scim("PATCH", path, patchOf(op("add", "members", valuesOf(linus.ID)))).want(204)
	// Deleted and made anew it is another group: it gives nothing.
	d.scim("DELETE", path, nil).want(204)
	d.scim("DELETE", path, nil).refused(404, "")
	d.group("Admins", member.id)
	member.call("GET", "/safes/"+safe, nil).want(http.StatusNotFound)
}

// Somebody who leaves the company is out of what they have open, within a
// second.
func TestSCIMCutsLiveSessions(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	d := owner.directory("Entra")
	for _, by := range []string{"active", "group", "delete"} {
		who := owner.person(p, by+"@dir.test", "operator")
		g := d.group("Team "+by, who.id)
		safe := owner.safe("Demo")
		owner.call("POST", "/safes/"+safe.ID+"/members", v1.SafeMemberIn{GroupID: g.ID, Role: "operator"}).want(http.StatusCreated)
		ssh := p.runSSH(who.email+"+demo", "echo ready; sleep 60")
		eventually(t, 15*time.Second, "the session is open", func() bool { return strings.Contains(ssh.out.String(), "ready") })
		start := time.Now()
		switch by {
		case "active":
			d.scim("PATCH", "/Users/"+who.id, patchOf(op("Replace", "active", "False"))).want(200)
			who.call("GET", "/safes", nil).want(http.StatusForbidden)
		case "group":
			d.scim("PATCH", "/Groups/"+g.ID, patchOf(op("remove", `members[value eq "`+who.id+`"]`, nil))).want(204)
		case "delete":
			d.scim("DELETE", "/Users/"+who.id, nil).want(204)
		}
		ssh.wait()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: cut after %v", by, took)
		}
	}
}
