package scim

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
	"vaultpam/pam/provisioning"
)

func ops(t *testing.T, text string) ([]operation, error) {
	t.Helper()
	body, err := decode([]byte(text))
	if err != nil {
		return nil, err
	}
	return parsePatch(body)
}

func patched(text string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + text + `]}`
}

// Section by section of RFC 7644, and as Entra ID and Okta document their
// requests.
func TestPatchOfUsers(t *testing.T) {
	ada := provisioning.Profile{Email: "ada@example.com", Name: "Ada", GivenName: "Ada", FamilyName: "Byron", ExternalID: "e1", Active: true}
	with := func(change func(*provisioning.Profile)) provisioning.Profile { p := ada; change(&p); return p }
	for what, c := range map[string]struct {
		ops  string
		want provisioning.Profile
		kind string // of a refusal
	}{
		"3.5.2.1 add with a path":                   {`{"op":"add","path":"displayName","value":"Ada L."}`, with(func(p *provisioning.Profile) { p.Name = "Ada L." }), ""},
		"3.5.2.1 add without a path":                {`{"op":"add","value":{"displayName":"Ada L.","name":{"familyName":"Lovelace"}}}`, with(func(p *provisioning.Profile) { p.Name, p.FamilyName = "Ada L.", "Lovelace" }), ""},
		"3.5.2.2 remove":                            {`{"op":"remove","path":"externalId"}`, with(func(p *provisioning.Profile) { p.ExternalID = "" }), ""},
		"3.5.2.2 remove a part":                     {`{"op":"remove","path":"name.familyName"}`, with(func(p *provisioning.Profile) { p.FamilyName = "" }), ""},
		"3.5.2.2 remove without a path":             {`{"op":"remove","value":"x"}`, ada, "noTarget"},
		"3.5.2.2 remove what is required":           {`{"op":"remove","path":"userName"}`, ada, "invalidValue"},
		"3.5.2.3 replace":                           {`{"op":"replace","path":"active","value":false}`, with(func(p *provisioning.Profile) { p.Active = false }), ""},
		"3.5.2.3 replace parts, others stay":        {`{"op":"replace","path":"name","value":{"givenName":"Augusta"}}`, with(func(p *provisioning.Profile) { p.GivenName = "Augusta" }), ""},
		"3.5.2 several, in order":                   {`{"op":"replace","path":"displayName","value":"A"},{"op":"replace","path":"displayName","value":"B"}`, with(func(p *provisioning.Profile) { p.Name = "B" }), ""},
		"3.5.2 what the server sets":                {`{"op":"replace","path":"id","value":"usr_x"}`, ada, "mutability"},
		"3.5.2 meta":                                {`{"op":"replace","path":"meta.created","value":"x"}`, ada, "mutability"},
		"3.5.2 groups":                              {`{"op":"add","path":"groups","value":[{"value":"grp_1"}]}`, ada, "mutability"},
		"3.5.2 an attribute that there is not":      {`{"op":"add","path":"shoeSize","value":"44"}`, ada, "invalidPath"},
		"3.5.2 an operation that there is not":      {`{"op":"move","path":"active","value":true}`, ada, "invalidSyntax"},
		"3.5.2 a value of another type":             {`{"op":"replace","path":"displayName","value":7}`, ada, "invalidValue"},
		"3.5.2 active neither true nor false":       {`{"op":"replace","path":"active","value":"maybe"}`, ada, "invalidValue"},
		"active taken away lets nobody in":          {`{"op":"remove","path":"active"}`, ada, "invalidValue"},
		"3.10 attributes by their schema":           {`{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:displayName","value":"A"}`, with(func(p *provisioning.Profile) { p.Name = "A" }), ""},
		"names and operations in any case":          {`{"OP":"Replace","PATH":"DisplayName","VALUE":"A"}`, with(func(p *provisioning.Profile) { p.Name = "A" }), ""},
		"Entra: Replace, and a boolean as a string": {`{"op":"Replace","path":"active","value":"False"}`, with(func(p *provisioning.Profile) { p.Active = false }), ""},
		"Entra: a path into emails":                 {`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"x@y.test"}`, ada, ""},
		"Entra: names with dots, without a path":    {`{"op":"Add","value":{"name.givenName":"G","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"D"}}`, with(func(p *provisioning.Profile) { p.GivenName = "G" }), ""},
		"Entra: an extension as an object":          {`{"op":"Add","value":{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D"},"active":true}}`, ada, ""},
		"Entra: manager of the extension":           {`{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"usr_1"}`, ada, ""},
		"Okta: deactivate without a path":           {`{"op":"replace","value":{"active":false}}`, with(func(p *provisioning.Profile) { p.Active = false }), ""},
		"Okta: a password is left out":              {`{"op":"replace","value":{"password":"correct-horse-1"}}`, ada, ""},
		"roles are left out":                        {`{"op":"add","path":"roles","value":[{"value":"owner"}]},{"op":"add","path":"roles[primary eq true].value","value":"owner"}`, ada, ""},
		"a filter that is none":                     {`{"op":"replace","path":"emails[type","value":"x"}`, ada, "invalidFilter"},
		"no operations":                             {``, ada, "invalidSyntax"},
		"an operation that is none":                 {`7`, ada, "invalidSyntax"},
		"a path that is none":                       {`{"op":"add","path":7,"value":1}`, ada, "invalidPath"},
		"add without path or object":                {`{"op":"add","value":"x"}`, ada, "invalidValue"},
	} {
		p := ada
		list, err := ops(t, patched(c.ops))
		if err == nil {
			err = patchUser(&p, list)
		}
		if kindOf(err) != c.kind {
			t.Errorf("%s: %v, want %q", what, err, c.kind)
		} else if diff := cmp.Diff(c.want, p); err == nil && diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	if _, err := ops(t, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"Operations":[{"op":"add","value":{}}]}`); err == nil {
		t.Error("a PATCH that says it is a user is taken")
	}
	if _, err := ops(t, patched(strings.TrimSuffix(strings.Repeat(`{"op":"remove","path":"title"},`, 1001), ","))); err == nil {
		t.Error("1,001 operations are taken")
	}
}

func TestPatchOfGroups(t *testing.T) {
	h := New(Deps{URL: func() string { return "https://pam.test" }})
	all := func(in ...pam.UserID) []pam.UserID { return in }
	for what, c := range map[string]struct {
		ops  string
		want provisioning.GroupEdit
		kind string
	}{
		"3.5.2.1 add members":                {`{"op":"add","path":"members","value":[{"display":"B","$ref":"../Users/b","value":"b"},{"value":"d"}]}`, provisioning.GroupEdit{Add: all("b", "d")}, ""},
		"3.5.2.2 remove one by a filter":     {`{"op":"remove","path":"members[value eq \"a\"]"}`, provisioning.GroupEdit{Remove: all("a")}, ""},
		"3.5.2.2 remove some by a filter":    {`{"op":"remove","path":"members[value eq \"a\" or value eq \"b\"]"}`, provisioning.GroupEdit{Remove: all("a", "b")}, ""},
		"3.5.2.2 remove all":                 {`{"op":"remove","path":"members"}`, provisioning.GroupEdit{All: true}, ""},
		"3.5.2.2 remove by another filter":   {`{"op":"remove","path":"members[$ref ew \"/b\" or type eq \"Group\"]"}`, provisioning.GroupEdit{Remove: all("b")}, ""},
		"3.5.2.3 replace all":                {`{"op":"replace","path":"members","value":[{"value":"d"}]}`, provisioning.GroupEdit{All: true, Add: all("d")}, ""},
		"3.5.2.1 remove, then add":           {`{"op":"remove","path":"members[value eq \"a\"]"},{"op":"add","path":"members","value":[{"value":"d"}]}`, provisioning.GroupEdit{Add: all("d"), Remove: all("a")}, ""},
		"the last operation counts":          {`{"op":"add","path":"members","value":[{"value":"d"}]},{"op":"remove","path":"members[value eq \"d\"]"}`, provisioning.GroupEdit{Remove: all("d")}, ""},
		"add, then remove by another filter": {`{"op":"replace","path":"members","value":[{"value":"d"},{"value":"e"}]},{"op":"remove","path":"members[$ref ew \"/e\"]"}`, provisioning.GroupEdit{All: true, Add: all("d")}, ""},
		"Entra: Remove with values":          {`{"op":"Remove","path":"members","value":[{"value":"a"}]}`, provisioning.GroupEdit{Remove: all("a")}, ""},
		"Entra: Add one, and rename":         {`{"op":"Add","path":"members","value":{"value":"d"}},{"op":"Replace","path":"displayName","value":"New"}`, provisioning.GroupEdit{Name: text("New"), Add: all("d")}, ""},
		"Okta: rename without a path":        {`{"op":"replace","value":{"id":"grp_1","displayName":"New"}}`, provisioning.GroupEdit{Name: text("New")}, ""},
		"externalId":                         {`{"op":"replace","path":"externalId","value":"x"}`, provisioning.GroupEdit{ExternalID: text("x")}, ""},
		"externalId taken away":              {`{"op":"remove","path":"externalId"}`, provisioning.GroupEdit{ExternalID: text("")}, ""},
		"a name that is required":            {`{"op":"remove","path":"displayName"}`, provisioning.GroupEdit{}, "invalidValue"},
		"a group in a group":                 {`{"op":"add","path":"members","value":[{"value":"grp_2","type":"Group"}]}`, provisioning.GroupEdit{}, "invalidValue"},
		"a member without a value":           {`{"op":"add","path":"members","value":[{"display":"x"}]}`, provisioning.GroupEdit{}, "invalidValue"},
		"what a member is":                   {`{"op":"replace","path":"members[value eq \"a\"].display","value":"x"}`, provisioning.GroupEdit{}, "mutability"},
		"the id":                             {`{"op":"replace","path":"id","value":"x"}`, provisioning.GroupEdit{}, "mutability"},
	} {
		list, err := ops(t, patched(c.ops))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		p := groupPatch{ops: list, handler: h}
		now := provisioning.Group{}
		if p.needsMembers() {
			now.Members = all("a", "b", "c")
		}
		got, err := p.edit(now)
		slices.Sort(got.Add)
		slices.Sort(got.Remove)
		if kindOf(err) != c.kind {
			t.Errorf("%s: %v, want %q", what, err, c.kind)
		} else if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

func text(s string) *string { return &s }

func TestBodiesThatReadersTakeDifferentlyAreRefused(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `7`, `{`, `{"a":1}{"b":2}`, `{"active":true,"Active":false}`, `{"userName":"a","userName":"b"}`, "{\"a\":\"\xff\"}", `{"name":{"givenName":"a","GIVENNAME":"b"}}`,
		strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), strings.Repeat("[", 100_000),
	} {
		if _, err := decode([]byte(body)); err == nil {
			t.Errorf("%.60q is taken", body)
		}
	}
}

// RFC 7644 section 3.9: what is returned, and what always is.
func TestProjection(t *testing.T) {
	for _, c := range []struct{ only, without, want string }{
		{"", "", "active displayName emails externalId groups id meta name schemas userName"},
		{"userName", "", "id schemas userName"},
		{"USERNAME,name.givenName", "", "id name schemas userName"},
		{"urn:ietf:params:scim:schemas:core:2.0:User:userName", "", "id schemas userName"},
		{"", "groups,emails,id", "active displayName externalId id meta name schemas userName"},
		{"members", "", "id schemas"},
	} {
		p, err := parseProjection(strings.Split(c.only, ","), strings.Split(c.without, ","))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name := range p.apply(bjensen()) {
			names = append(names, name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("attributes=%s excludedAttributes=%s: %s", c.only, c.without, got)
		}
	}
	p, err := parseProjection([]string{"name.givenName"}, []string{"emails.type"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(resource{"givenName": "Barbara"}, p.apply(bjensen())["name"]); diff != "" {
		t.Error(diff)
	}
	if _, err := parseProjection([]string{"a b"}, nil); err == nil {
		t.Error("what is no attribute is taken")
	}
}
