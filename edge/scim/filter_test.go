package scim

import (
	"errors"
	"strings"
	"testing"
)

// bjensen is the user of RFC 7643 section 8.2, as far as we keep one.
func bjensen() resource {
	return resource{
		"schemas": []any{schemaUser}, "id": "usr_1", "externalId": "701984", "userName": "bjensen@example.com", "displayName": "Babs Jensen", "active": true,
		"name":   resource{"formatted": "Babs Jensen", "givenName": "Barbara", "familyName": "O'Malley"},
		"emails": []any{resource{"value": "bjensen@example.com", "type": "work", "primary": true}},
		"groups": []any{resource{"value": "grp_1", "display": "Tour Guides"}, resource{"value": "grp_2", "display": "Employees"}},
		"meta":   resource{"resourceType": "User", "created": "2010-01-23T04:56:22Z", "lastModified": "2011-05-13T04:42:34Z", "version": `W/"1"`},
	}
}

// RFC 7644 section 3.4.2.2, operator by operator, and what directories send.
func TestFiltersOfSection3422(t *testing.T) {
	for filter, want := range map[string]bool{
		// Table 3: comparisons.
		`userName eq "bjensen@example.com"`:                true,
		`userName Eq "BJENSEN@example.com"`:                true, // userName is not caseExact
		`USERNAME eq "bjensen@example.com"`:                true, // section 3.4.2.2: names in any case
		`externalId eq "701984"`:                           true,
		`displayName ne "babs jensen"`:                     false,
		`name.familyName co "O'Malley"`:                    true,
		`userName sw "bj"`:                                 true,
		`userName ew "example.com"`:                        true,
		`userName ew "bj"`:                                 false,
		`externalId pr`:                                    true,
		`title pr`:                                         false,
		`meta.lastModified gt "2011-05-13T04:42:33Z"`:      true,
		`meta.lastModified ge "2011-05-13T04:42:34Z"`:      true,
		`meta.lastModified lt "2011-05-13T04:42:34Z"`:      false,
		`meta.lastModified le "2011-05-13T06:42:34+02:00"`: true,
		`userName gt "a"`:                                  true,
		`active eq true`:                                   true,
		`active eq "True"`:                                 true, // as Entra ID writes it
		`active eq false`:                                  false,
		`active ne false`:                                  true,
		`id eq "USR_1"`:                                    false, // caseExact
		// Attributes of a schema, by its URI.
		`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "BJ"`: true,
		// Nothing is compared with what is unassigned.
		`title eq "x"`:       false,
		`title ne "x"`:       true,
		`nickName eq null`:   true,
		`externalId eq null`: false,
		`externalId ne null`: true,
		`not (title pr)`:     true,
		`name eq null`:       false,
		`unknown.sub eq "x"`: false,
		// Table 4: logic, and what binds first.
		`title pr and userName pr`:                                     false,
		`title pr or userName pr`:                                      true,
		`userName pr or title pr and title pr`:                         true,
		`(userName pr or title pr) and title pr`:                       false,
		`not (userName eq "x") AND active EQ True`:                     true,
		`schemas eq "urn:ietf:params:scim:schemas:core:2.0:User"`:      true,
		`userName eq "x" or (active eq true and (externalId sw "70"))`: true,
		// Values of many, and value paths.
		`emails co "example.com"`:                                     true,
		`emails.type eq "work"`:                                       true,
		`emails[type eq "work" and value co "@example.com"]`:          true,
		`emails[type eq "home"]`:                                      false,
		`emails[type eq "work"] and groups[display eq "Tour guides"]`: true,
		`groups[display eq "Tour guides" and value eq "grp_2"]`:       false, // of one and the same value
		`groups.value eq "grp_2"`:                                     true,
		`groups eq "grp_2"`:                                           true,
		`emails pr`:                                                   true,
		`not emails pr`:                                               false, // an attribute called not: see below
		`displayName eq "a\"b"`:                                       false,
		`displayName eq "Babs\u0020Jensen"`:                           true,
		`meta.resourceType eq "User"`:                                 true,
		`userName eq 7`:                                               false,
	} {
		e, err := parseFilter(filter)
		if filter == `not emails pr` {
			if err == nil {
				t.Error("not without parentheses is taken")
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := e.match(bjensen()); got != want {
			t.Errorf("%s: %v", filter, got)
		}
	}
}

func kindOf(err error) string {
	p, ok := errors.AsType[*problemError](err)
	if !ok {
		return ""
	}
	return p.kind
}

func TestWhatIsNoFilterIsRefused(t *testing.T) {
	for _, filter := range []string{
		`userName`, `userName eq`, `userName eq bjensen`, `userName == "x"`, `userName eq "x`, `userName eq "x" and`, `and`, `(userName pr`, `userName pr)`,
		`emails[type eq "work"`, `emails[]`, `emails[a[b pr]]`, `not`, `not userName pr`, `"x" eq userName`, `user name eq "x"`, `userName eq "x" "y"`,
		`userName eq {"a":1}`, `userName eq [1]`, `active gt true`, `x eq null null`, `userName pr pr`, `.x eq "y"`, `x. eq "y"`, `a.b.c eq "y"`, `1a eq "y"`, `userName eq "\x"`,
		`userName eq "x"; DROP TABLE users`, `userName eq 'x'`, `userName eq "x" -- `, `userName in ("x")`, "userName eq \"\xff\"", `x eq 1e999`, `urn: eq "x"`,
		strings.Repeat("(", 17) + "a pr" + strings.Repeat(")", 17),
		strings.Repeat("not (", 17) + "a pr" + strings.Repeat(")", 17),
		strings.Repeat("(", 100_000), strings.Repeat("a pr or ", 64) + "a pr", strings.Repeat("a", 5000) + " pr", "userName eq \"" + strings.Repeat("x", 5000) + "\"",
	} {
		if _, err := parseFilter(filter); kindOf(err) != "invalidFilter" {
			t.Errorf("%.60s: %v", filter, err)
		}
	}
	if _, err := parseFilter(strings.Repeat("(", 16) + "a pr" + strings.Repeat(")", 16)); err != nil {
		t.Error(err)
	}
}

// RFC 7644 section 3.5.2, figure 7.
func TestPathsOfSection352(t *testing.T) {
	for path, want := range map[string]string{
		`members`: "members", `name.familyName`: "name.familyname", `addresses[type eq "work"]`: "addresses[]", `members[value eq "2819c223"].displayName`: "members[].displayname",
		`emails[type eq "work"].value`: "emails[].value", `ACTIVE`: "active", `urn:ietf:params:scim:schemas:core:2.0:User:name.familyName`: "urn:ietf:params:scim:schemas:core:2.0:user|name.familyname",
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user|department",
		`members[value eq "a" or value eq "b"]`:                                 "members[]", `members[$ref co "x"]`: "members[]",
	} {
		p, err := parsePath(path)
		got := p.name
		if p.schema != "" {
			got = p.schema + "|" + got
		}
		if p.filter != nil {
			got += "[]"
		}
		if p.sub != "" {
			got += "." + p.sub
		}
		if err != nil || got != want {
			t.Errorf("%s: %s %v", path, got, err)
		}
	}
	for path, kind := range map[string]string{
		"": "invalidPath", "a b": "invalidPath", "a.b.c": "invalidPath", "a[b pr].c.d": "invalidPath", "a.b[c pr].d": "invalidPath", "a[b pr]c": "invalidPath", "a[b pr]]": "invalidPath", "[a pr]": "invalidPath",
		"a[b]": "invalidFilter", "a[b pr": "invalidFilter", "a[b[c pr]]": "invalidFilter", "../../x": "invalidPath", "a[" + strings.Repeat("(", 1000): "invalidFilter", strings.Repeat("a", 9000): "invalidPath", "\xff": "invalidPath",
	} {
		if _, err := parsePath(path); kindOf(err) != kind {
			t.Errorf("%.40q: %v, want %s", path, err, kind)
		}
	}
}

// The few resources that the database finds by an index are all that can fit.
func TestFiltersAreNarrowedWithoutLosingAnything(t *testing.T) {
	for filter, want := range map[string]string{
		`userName eq "a"`: "a", `active eq true and userName eq "a"`: "a", `(externalId pr and (userName eq "a"))`: "a",
		`userName eq "a" or active eq true`: "", `not (userName eq "a")`: "", `userName ne "a"`: "", `userName co "a"`: "", `userName eq "a" or userName eq "b"`: "", `externalId eq "a"`: "",
	} {
		e, err := parseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.equal("username", ""); got != want {
			t.Errorf("%s: %q", filter, got)
		}
	}
	for _, filter := range []string{`members eq "u"`, `members.value eq "u"`, `members[value eq "u"]`, `displayName pr and members[value eq "u" and type eq "User"]`} {
		e, err := parseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.equal("members", "value"); got != "u" {
			t.Errorf("%s: %q", filter, got)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		`userName eq "bjensen"`, `title pr and (userType eq "Employee" or not (active eq true))`, `emails[type eq "work" and value co "@example.com"].value pr`,
		`a.b ge "2011-05-13T04:42:34Z"`, `x eq null`, `((((`, `a[b[c`, `urn:a:b:c.d sw "\u00e9"`, `a eq 1.5e3`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseFilter(text)
		if err != nil {
			if kindOf(err) != "invalidFilter" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		// What is read can be tried on anything.
		is, not := e.match(bjensen()), (&expr{op: opNot, sub: []*expr{e}}).match(bjensen())
		if is == not {
			t.Fatalf("%q is %v, and its opposite too", text, is)
		}
		_ = e.match(resource{})
		if name := e.equal("username", ""); name != "" && is && !strings.EqualFold(name, "bjensen@example.com") {
			t.Fatalf("%q is narrowed to %q, which is not whom it fits", text, name)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{`members[value eq "2819c223"].display`, `name.familyName`, `urn:ietf:params:scim:schemas:core:2.0:User:active`, `a[b`, `a.b.c`, `.`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePath(text)
		if err != nil {
			if k := kindOf(err); k != "invalidPath" && k != "invalidFilter" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !attributeName(p.name) || p.sub != "" && !attributeName(p.sub) {
			t.Fatalf("%q becomes %+v", text, p)
		}
		if p.filter != nil {
			_ = p.filter.match(bjensen())
		}
	})
}
