package audit

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"
)

// updating reads the flag -update, which verify_test.go defines.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

func sample() Entry {
	return Entry{
		ID: "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV", Time: time.Date(2026, 11, 1, 8, 0, 0, 120_000, time.UTC), Type: SessionStarted, Org: "org_1",
		Actor: Party{"user", "usr_1", "alice@example.com"}, Target: Party{"safe", "saf_1", "Prod \"DB\" \u2028 é 😀 \x00\x1f\x7f"},
		SourceIP: "10.0.0.1", RequestID: "rid_1",
		Metadata: map[string]any{"b": int64(-5), "a": "x\ty", "z": true, "é": []string{"1", "\\"}, "😀": "surrogate", "\uffff": "above"},
	}
}

// An implementation of RFC 8785 that is not ours agrees with every byte.
func TestTheHashedFormIsRFC8785(t *testing.T) {
	texts := []string{"", "plain", "\"\\/\b\f\n\r\t", "\x00\x01\x1f\x7f", "é😀\u2028\u2029", "<>&'", strings.Repeat("é", 600)}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func() string { return texts[r.IntN(len(texts))] }
	for range 500 {
		e := sample()
		e.Actor.Name, e.Target.Name, e.RequestID = pick(), pick(), pick()
		e.Metadata = map[string]any{pick(): pick(), "n": r.Int64N(1<<54) - 1<<53, "b": r.IntN(2) == 0, "l": []string{pick(), pick()}, "😀" + pick(): "x", "\uff00" + pick(): "y"}
		for k := range e.Metadata {
			if len(k) > maxText {
				delete(e.Metadata, k)
			}
		}
		got, err := e.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		want, err := jcs.Transform(got)
		if err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("ours  %s\ntheirs %s", got, want)
		}
	}
}

func TestAnEventIsReadBackAsItWasWritten(t *testing.T) {
	e := sample()
	c, err := e.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseEntry(c)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, back); d != "" {
		t.Error(d)
	}
}

func TestWhatCannotBeWrittenExactlyIsRefused(t *testing.T) {
	for name, m := range map[string]map[string]any{
		"a float": {"x": 1.5}, "a struct": {"x": struct{}{}}, "a number beyond 2^53": {"x": int64(1)<<53 + 1}, "a long list": {"x": make([]string, maxList+1)},
	} {
		e := sample()
		e.Metadata = m
		if _, err := e.Canonical(); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	e := sample()
	e.Type = "MADE_UP"
	if _, err := e.Canonical(); err == nil {
		t.Error("a type outside of the catalogue was written")
	}
	e = sample()
	e.Actor.Name = "bad \xff utf8"
	c, err := e.Canonical()
	if err != nil || !json.Valid(c) || !bytes.Contains(c, []byte("bad \ufffd utf8")) {
		t.Errorf("%s %v", c, err)
	}
}

func TestTheCatalogueIsDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Audit events\n\nGenerated from `pam/audit/catalogue.go`; `go test ./pam/audit -update` writes it anew.\n\n| type | title | category |\n|---|---|---|\n")
	var rows []string
	seen := map[Type]bool{}
	for _, s := range Catalogue {
		if seen[s.Type] {
			t.Errorf("%s stands twice", s.Type)
		}
		seen[s.Type] = true
		b.WriteString("| `" + string(s.Type) + "` | " + s.Title + " | " + s.Category + " |\n")
		rows = append(rows, fmt.Sprintf("  [%q, %q, %q]", s.Type, s.Title, s.Category))
	}
	for path, want := range map[string]string{
		"../../docs/audit-events.md": b.String(),
		// What the console proposes when somebody looks for events.
		"../../web/src/pages/audit/catalogue.json": "[\n" + strings.Join(rows, ",\n") + "\n]\n",
	} {
		if updating() {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not what the catalogue says (%v): run go test ./pam/audit -update", path, err)
		}
	}
}

// TestTheReleasedVectorStillHolds fails when the form that is hashed changes:
// that would make every log that was ever written fail to verify.
func TestTheReleasedVectorStillHolds(t *testing.T) {
	c, err := sample().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/event-v1.json"
	if updating() {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, c, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(c, want) {
		t.Errorf("%s\n%s (%v)", c, want, err)
	}
}

func FuzzParseEntry(f *testing.F) {
	c, err := sample().Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c)
	f.Add([]byte(`{"time":"2026-11-01T08:00:00.000000Z","metadata":{"x":[1,null],"y":1e400}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEntry(b)
		if err != nil {
			return
		}
		if again, err := e.Canonical(); err == nil && !json.Valid(again) {
			t.Errorf("%q gives %q", b, again)
		}
	})
}
