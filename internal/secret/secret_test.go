package secret

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNoVerbAndNoEncoderShowsTheContent(t *testing.T) {
	const mark = "hunter2-canary"
	v := FromString(mark)
	type wrapper struct{ V Value }
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&out, verb, v)
		fmt.Fprintf(&out, verb, &v)
		fmt.Fprintf(&out, verb, wrapper{v})
		fmt.Fprintf(&out, verb, []Value{v})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v, "w", wrapper{v})
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v, "w", wrapper{v})
	if _, err := json.Marshal(wrapper{v}); !errors.Is(err, ErrMarshal) {
		t.Errorf("JSON encoding: %v", err)
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err == nil {
		t.Error("gob encoding worked")
	}
	hex := fmt.Sprintf("%x", mark)
	for _, leak := range []string{mark, hex, fmt.Sprint([]byte(mark))} {
		if strings.Contains(out.String()+b.String(), leak) {
			t.Errorf("the content appears as %q", leak)
		}
	}
}

func TestWipeClearsTheBytesAndLeavesClones(t *testing.T) {
	b := []byte("abc")
	v := New(b)
	c := v.Clone()
	v.Wipe()
	if !bytes.Equal(b, []byte{0, 0, 0}) {
		t.Error("not wiped")
	}
	if !c.Equal(FromString("abc")) {
		t.Error("the clone was wiped too")
	}
}
