package script

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// ask is a request of one cell. By is who makes it, if not the caller of the
// column: a person whom the request would sign out, for one.
type ask struct {
	path string
	body any
	by   *caller
}

// row is one route with the status that each caller gets, in the order of
// columns.
type row struct {
	route string
	want  string
	ask   func(w *world, c *caller) ask
}

// columns are the callers. Viewer, operator and manager are operators of the
// organization with that role in the Safe; stranger, auditor, admin and owner
// are in no Safe. The tokens are the manager's: one with a scope that nothing
// here needs, one with all; and the admin's, with all. The last administers
// the instance, owns the organization and manages every Safe here.
var columns = []string{"nobody", "outsider", "stranger", "viewer", "operator", "manager", "auditor", "admin", "owner", "pat-", "pat+", "pat.admin", "instance"}

// Whoever adds a route says here who may call it.
func TestScenarioTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	documented := document(t, w.p)
	for _, r := range scenarios {
		method, _, _ := strings.Cut(r.route, " ")
		want := strings.Fields(r.want)
		got := make([]string, len(columns))
		var bodies []string
		for i, name := range columns {
			c := w.who[name]
			q := r.ask(w, c)
			if q.by != nil {
				c = q.by
			}
			a := c.call(method, q.path, q.body)
			got[i] = fmt.Sprint(a.status)
			if i >= len(want) || got[i] != want[i] {
				bodies = append(bodies, name+": "+tail(string(a.body), 300))
			}
			if _, ok := documented[r.route].Responses[got[i]]; !ok {
				t.Errorf("%s answers %d, of which the document does not speak", r.route, a.status)
			}
			if a.status >= 400 && (a.code() == "" || a.header.Get("Content-Type") != "application/json") {
				t.Errorf("%s as %s: %d without an envelope: %s", r.route, name, a.status, a.body)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n     %s\ngot  %s\nwant %s\n%s", r.route, strings.Join(columns, " "), strings.Join(got, " "), r.want, strings.Join(bodies, "\n"))
		}
	}
}

// A route without a row would be one that nobody thought about.
func TestScenarioTableHasEveryRoute(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	served := document(t, p)
	if len(served) < 70 {
		t.Fatalf("the document has %d routes", len(served))
	}
	for _, r := range scenarios {
		if _, ok := served[r.route]; !ok {
			t.Errorf("%s: the row is not of a route, or of one twice", r.route)
		}
		delete(served, r.route)
	}
	for route := range served {
		t.Errorf("%s: there is no row", route)
	}
}

// operation is what the OpenAPI document says of a route.
type operation struct {
	Responses map[string]struct {
		Content map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			} `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

// document reads the OpenAPI document: each route, such as "GET /safes".
func document(t testing.TB, p *proc) map[string]operation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	must(t, json.Unmarshal(p.nobody().call("GET", "/openapi.json", nil).want(http.StatusOK).body, &doc))
	out := map[string]operation{}
	for path, item := range doc.Paths {
		for method, op := range item {
			out[strings.ToUpper(method)+" "+strings.TrimPrefix(path, "/api/v1")] = op
		}
	}
	return out
}

func TestDocumentShowsErrorsAsTheyAre(t *testing.T) {
	t.Parallel()
	for route, op := range document(t, startServer(t)) {
		for status, response := range op.Responses {
			if status >= "4" && (len(response.Content) != 1 || response.Content["application/json"].Schema.Ref != "#/components/schemas/Error") {
				t.Errorf("%s, %s: %+v", route, status, response.Content)
			}
		}
	}
}

// A list shows its caller what they may see, and nothing that they may not.
func TestListsShowWhatTheirCallerMaySee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	change := w.pendingFor(w.shared)
	for _, list := range []struct{ path, id, who string }{
		{"/safes", w.shared.safe, "viewer operator manager auditor admin owner pat+ pat.admin instance"},
		{"/resources", w.shared.resource, "viewer operator manager auditor admin owner pat+ pat.admin instance"},
		{"/accounts", w.shared.account, "viewer operator manager auditor admin owner pat+ pat.admin instance"},
		{"/checkouts", w.shared.checkout, "operator manager auditor admin owner pat+ pat.admin instance"},
		{"/sessions", w.shared.session, "operator manager auditor admin owner pat+ pat.admin instance"},
		{"/recordings", w.shared.recording, "operator manager auditor admin owner pat+ pat.admin instance"},
		{"/confirmations", change, "manager auditor admin owner pat+ pat.admin instance"},
		{"/org/members", w.who["viewer"].id, "stranger viewer operator manager auditor admin owner pat+ pat.admin instance"},
		{"/audit-events?target_id=" + w.shared.safe, w.shared.safe, "auditor admin owner pat.admin instance"},
	} {
		var got []string
		for _, name := range columns {
			if strings.Contains(string(w.who[name].call("GET", list.path, nil).body), list.id) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != list.who {
			t.Errorf("%s shows %s\nto   %s\nwant %s", list.path, list.id, strings.Join(got, " "), list.who)
		}
	}
}

// path asks for one path, the same for everybody.
func path(p string) func(*world, *caller) ask {
	return func(*world, *caller) ask { return ask{path: p} }
}

// shared asks for a path with the ids of the fixture that all share.
func shared(format string, id func(*fixture) string) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask { return ask{path: fmt.Sprintf(format, id(w.shared))} }
}

// fresh asks for a path with an id of a fixture of its own.
func fresh(format string, id func(*fixture) string, body any) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask { return ask{path: fmt.Sprintf(format, id(w.fresh())), body: body} }
}

func theSafe(f *fixture) string      { return f.safe }
func theResource(f *fixture) string  { return f.resource }
func theAccount(f *fixture) string   { return f.account }
func theCheckout(f *fixture) string  { return f.checkout }
func theSession(f *fixture) string   { return f.session }
func theRecording(f *fixture) string { return f.recording }
func theMember(f *fixture) string    { return f.safe + "/members/" + f.viewer }

// onRotation asks for a path with the id of a rotation that waits for a person:
// the target has another password.
func onRotation(suffix string) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		f := w.fresh()
		r := read[v1.Rotation](w.founder.call("POST", "/accounts/"+f.account+"/rotate", nil))
		eventually(w.t, 30*time.Second, "the rotation waits for a person", func() bool {
			r = read[v1.Rotation](w.founder.call("GET", "/rotations/"+r.ID, nil))
			return r.NeedsSomeone
		})
		return ask{path: "/rotations/" + r.ID + suffix}
	}
}

// onPerson asks for a path with the id of a member made for it.
func onPerson(suffix string, body any) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		no := false
		m := read[v1.Member](w.founder.call("POST", "/org/members", v1.MemberIn{
			Email: strings.ReplaceAll(w.unique("person"), " ", "") + "@table.test", Role: "operator", Password: ownerPassword, MustChangePassword: &no,
		}))
		return ask{path: "/org/members/" + m.UserID + suffix, body: body}
	}
}

// onPolicy asks for a path with the id of a policy made for it.
func onPolicy(suffix string, active bool, body any) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		id := read[v1.Policy](w.founder.call("POST", "/policies", v1.PolicyIn{Name: w.unique("Policy"), Action: "deny"})).ID
		if active {
			w.founder.call("POST", "/policies/"+id+"/activate", nil).want(http.StatusOK)
		}
		return ask{path: "/policies/" + id + suffix, body: body}
	}
}

// onOldVersion asks for a path with the first of two versions of a credential.
func onOldVersion(suffix string) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		id := w.fresh().account
		w.founder.call("PUT", "/accounts/"+id+"/credential", v1.CredentialIn{Kind: "password", Value: "another-one"}).want(http.StatusOK)
		return ask{path: "/accounts/" + id + "/versions/1" + suffix}
	}
}

// inBrowser asks with a login of the console; a token has none.
func inBrowser(path string) func(*world, *caller) ask {
	return func(w *world, c *caller) ask {
		if c.email == "" || strings.HasPrefix(c.name, "pat") {
			return ask{path: path}
		}
		b := w.p.browser(c.email, ownerPassword)
		b.name = c.name
		return ask{path: path, by: b}
	}
}

// again is the caller with a login of its own; without one, and with a token,
// it is the caller.
func again(w *world, c *caller) *caller {
	if c.email == "" || strings.HasPrefix(c.name, "pat") {
		return c
	}
	d := w.p.login(c.email, ownerPassword)
	d.name = c.name
	return d
}
