package httpapi

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"vaultpam/pam"
)

func TestOnlyUnambiguousJSONIsRead(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: true, `[]`: true, `"x"`: true, `1`: true, `null`: true, ` {"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]} `: true,
		`{"a":"a","b":"a"}`: true, `{"a":"\ud83d\ude00"}`: true, "{\"a\":\"\ufffd\"}": true, `{"":0}`: true, `{"a":[],"b":{},"c":[[],{}]}`: true,
		``: false, ` `: false, `{`: false, `{}{}`: false, `{}]`: false, `{} x`: false, `{"a":1,}`: false, `{"a"}`: false, `[1 2]`: false,
		`{"a":1,"a":1}`: false, `{"a":1,"\u0061":1}`: false, `{"x":{"a":1,"a":2}}`: false, `[{"a":1,"a":2}]`: false, `{"a":[1],"b":2,"a":3}`: false, `{"a":{"b":1},"a":{}}`: false,
		`{"":0,"":1}`: false, "{\"a\":\"\xff\"}": false, "{\"\xff\":1}": false, `{"a":"\ud800"}`: false, `{"a":"\uDC00x"}`: false, `{"\ud800":1}`: false,
		strings.Repeat("[", 18) + strings.Repeat("]", 18): true, strings.Repeat("[", 19) + strings.Repeat("]", 19): false,
	} {
		if got := unambiguous([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What is let through is what encoding/json reads, and reads back as itself.
func FuzzUnambiguous(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":null}],"c":"d"}`, `{"a":1,"a":2}`, `[[]]`, `"\ud800"`, `{}]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var v, again any
		if !unambiguous(text) {
			return
		}
		if err := json.Unmarshal(text, &v); err != nil {
			if !strings.Contains(err.Error(), "number") { // 1e999 is JSON
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		once, err := json.Marshal(v)
		if err != nil || !unambiguous(once) || json.Unmarshal(once, &again) != nil {
			t.Fatalf("%q became %q: %v", text, once, err)
		}
	})
}

func TestAQueryHasOneMeaning(t *testing.T) {
	for _, query := range []string{"", "limit=1", "limit=1&cursor=2", "q=", "q=a%26q%3db", "Limit=1&limit=1"} {
		if err := checkQuery(query); err != nil {
			t.Errorf("%q: %v", query, err)
		}
	}
	for query, field := range map[string]string{
		"limit=1&limit=2": "limit", "limit=1&cursor=x&limit=1": "limit", "q&q": "q", "q=&%71=x": "q",
		"limit=1;limit=2": "query", "limit=%zz": "query", "%": "query",
	} {
		e, ok := errors.AsType[*pam.Error](checkQuery(query))
		if !ok || e.Kind != pam.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%q: %v", query, e)
		}
	}
}

// Reading a query twice, in the way of those who take the first and of those
// who take the last, gives the same.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"limit=1", "limit=1&limit=2", "a=1;b=2", "%61=1&a=2", "&&=&=", "+=1&%20=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if checkQuery(raw) != nil {
			return
		}
		last := map[string]string{}
		for part := range strings.SplitSeq(raw, "&") {
			name, value, _ := strings.Cut(part, "=")
			if part == "" {
				continue
			}
			name, err1 := url.QueryUnescape(name)
			value, err2 := url.QueryUnescape(value)
			if err1 != nil || err2 != nil {
				t.Fatalf("%q is taken", raw)
			}
			last[name] = value
		}
		for name, values := range (&url.URL{RawQuery: raw}).Query() {
			if len(values) != 1 || values[0] != last[name] {
				t.Fatalf("%q: %q is %q and %q", raw, name, values, last[name])
			}
		}
	})
}
