package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
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
