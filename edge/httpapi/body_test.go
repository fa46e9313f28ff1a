package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/go-cmp/cmp"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
)

// schemas is enough of an API to decode bodies.
func schemas() *API {
	huma.ValidateStrictCasing = true // as New does
	cfg := huma.Config{OpenAPI: &huma.OpenAPI{Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)}}}
	return &API{huma: humago.New(http.NewServeMux(), cfg)}
}

func TestAMergePatchDoesWhatTheRFCSays(t *testing.T) {
	// The examples of RFC 7396 appendix A whose patch is an object.
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		var target, want any
		patch, err := parseObject([]byte(c.patch))
		if err != nil || json.Unmarshal([]byte(c.target), &target) != nil || json.Unmarshal([]byte(c.want), &want) != nil {
			t.Fatal(c, err)
		}
		got, ok := mergePatch(target, patch, 0)
		if d := cmp.Diff(want, any(got)); !ok || d != "" {
			t.Errorf("%s + %s: %s", c.target, c.patch, d)
		}
	}
}

func TestABodyIsReadStrictly(t *testing.T) {
	a := schemas()
	for name, c := range map[string]struct{ body, want string }{
		"nothing":             {``, "BAD_REQUEST"},
		"not JSON":            {`{`, "BAD_REQUEST"},
		"two values":          {`{} {}`, "BAD_REQUEST"},
		"an array":            {`[]`, "BAD_REQUEST"},
		"a missing name":      {`{}`, "name: is required"},
		"an unknown field":    {`{"name":"x","id":"saf_1"}`, "id: unexpected property"},
		"another case":        {`{"Name":"x"}`, "Name: unexpected property"},
		"a wrong type":        {`{"name":1}`, "name: expected string"},
		"a wrong word":        {`{"name":"x","approval":"triple"}`, "approval: expected value to be one of"},
		"an unknown inner":    {`{"name":"x","checkout":{"enabled":true,"secret":1}}`, "checkout.secret: unexpected property"},
		"nested too deeply":   {`{"name":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40) + `}`, "BAD_REQUEST"},
		"a too long a list":   {`{"name":"x","bindings":[` + strings.TrimSuffix(strings.Repeat(`{"resource_id":"a","account_id":"b"},`, 65), ",") + `]}`, "bindings"},
		"a time that is none": {`{"name":"x","credential_expires_at":"tomorrow"}`, "credential_expires_at"},
	} {
		_, err := decode[v1.SafeIn](a, nil, []byte(c.body))
		if err == nil {
			t.Errorf("%s was read", name)
			continue
		}
		e := fromError(err)
		text := e.code
		for _, d := range e.details {
			text += " " + d.Field + ": " + d.Problem
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s: %q, want %q", name, text, c.want)
		}
	}
	in, err := decode[v1.SafeIn](a, nil, []byte(`{"name":"x","valid_hours":null,"credential_expires_at":null}`))
	if err != nil || in.Name != "x" || in.ValidHours != nil {
		t.Errorf("nulls of a new object: %+v %v", in, err)
	}
}

func TestAPatchChangesWhatItNamesAlone(t *testing.T) {
	a := schemas()
	base := v1.SafeIn{Name: "x", Description: "d", SessionTTLSeconds: 60, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 5}, ValidHours: &v1.ValidHours{TimeZone: "UTC"}}
	got, err := decode[v1.SafeIn](a, base, []byte(`{"description":"e","checkout":{"ttl_seconds":6},"valid_hours":null}`))
	if err != nil {
		t.Fatal(err)
	}
	want := base
	want.Description, want.Checkout.TTLSeconds, want.ValidHours = "e", 6, nil
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNoRefusalRepeatsTheValue(t *testing.T) {
	a := schemas()
	const mark = "s3cret-canary"
	for _, body := range []string{`{"kind":"` + mark + `"}`, `{"kind":"password","value":{"a":"` + mark + `"}}`, `{"kind":"password","value":"` + mark + `",}`, `"` + mark + `"`, `{"kind":"password","value":"` + strings.Repeat(mark, 6000) + `"}`} {
		_, err := decode[v1.CredentialIn](a, nil, []byte(body))
		if err == nil {
			t.Errorf("%.40s was read", body)
			continue
		}
		text, merr := json.Marshal(fromError(err))
		if merr != nil || strings.Contains(string(text), mark) {
			t.Errorf("%s %v", text, merr)
		}
	}
}

func TestEveryKindHasItsWording(t *testing.T) {
	for k := pam.Internal; !strings.HasPrefix(k.String(), "kind "); k++ {
		w, ok := wording[k]
		if !ok || w.status < 400 || w.code == "" || w.message == "" {
			t.Errorf("%s: %+v", k, w)
		}
	}
}

func TestInternalsNeverLeave(t *testing.T) {
	for _, err := range []error{
		errors.New("open /var/lib/vaultpam: permission denied"),
		&pam.Error{Kind: pam.Internal, Public: "not for the public", Err: errors.New("dsn=postgres://user:pw@host")},
		pam.Wrap("op", errors.New("stack")),
		&pam.Error{Kind: pam.Denied, Err: errors.New("row 17 of table x")},
	} {
		text, merr := json.Marshal(fromError(err))
		if merr != nil {
			t.Fatal(merr)
		}
		for _, leak := range []string{"vaultpam", "public\"", "postgres", "stack", "row 17"} {
			if strings.Contains(string(text), leak) {
				t.Errorf("%v leaves as %s", err, text)
			}
		}
	}
}

func TestIfMatchIsReadExactly(t *testing.T) {
	for header, want := range map[string]int64{"": 0, "*": 0, `"v3"`: 3, `W/"v3"`: 3} {
		if got, err := ifMatch(header); err != nil || got != want {
			t.Errorf("%s: %d %v", header, got, err)
		}
	}
	for _, header := range []string{"v3", `"3"`, `"v0"`, `"v-1"`, `"v3", "v4"`, `"vx"`, `"`} {
		if _, err := ifMatch(header); !pam.Is(err, pam.Precondition) {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestTheLastPageHasNoLink(t *testing.T) {
	shape := func(s string) string { return s }
	out := newList("/x", nil, Page{Limit: 2}, []string{"a", "b"}, shape, shape)
	if out.Link != "" || len(out.Body) != 2 {
		t.Errorf("%+v", out)
	}
	out = newList("/x", given("status", "a&b"), Page{Limit: 2}, []string{"a", "b", "c"}, shape, shape)
	if want := `</api/v1/x?cursor=Yg&limit=2&status=a%26b>; rel="next"`; out.Link != want || len(out.Body) != 2 {
		t.Errorf("%+v, want %s", out, want)
	}
	if _, err := (Page{Cursor: "=="}).cursor(); !pam.Is(err, pam.Invalid) {
		t.Error(err)
	}
	if got := newList("/x", nil, Page{}, nil, shape, shape); got.Body == nil {
		t.Error("an empty list is not a JSON array")
	}
}

func FuzzDecode(f *testing.F) {
	a := schemas()
	f.Add([]byte(`{"name":"x","bindings":[{"resource_id":"r","account_id":"a"}],"valid_hours":{"time_zone":"UTC","windows":[{"days":["mon"],"from":"08:00","to":"18:00"}]}}`))
	f.Add([]byte(`{"name":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := decode[v1.SafeIn](a, v1.SafeIn{Name: "x"}, body)
		if err == nil && len(in.Bindings) > 64 {
			t.Errorf("%d bindings", len(in.Bindings))
		}
	})
}
