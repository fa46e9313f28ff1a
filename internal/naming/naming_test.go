package naming

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSlugIsWhatPeopleExpect(t *testing.T) {
	for name, want := range map[string]string{
		"Demo": "demo", "Prod DB (EU)": "prod-db-eu", "  a  b ": "a-b", "Ünïcode": "n-code", "web.prod_1": "web.prod_1", "日本": "safe", "": "safe",
		"-rf /": "rf", "../../etc": "etc", "--option": "option", "a--b": "a-b", strings.Repeat("x", 100): strings.Repeat("x", 64),
		strings.Repeat("x", 63) + " y": strings.Repeat("x", 63),
	} {
		if got := Slug(name, "safe"); got != want {
			t.Errorf("Slug(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestEverySlugAndEveryNumberOfItCanBeTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name, n := rapid.String().Draw(t, "name"), rapid.IntRange(1, 1<<40).Draw(t, "n")
		slug := Slug(name, "safe")
		if p := SlugProblem(slug); p != "" {
			t.Fatalf("%q: %s", slug, p)
		}
		numbered := Numbered(slug, n)
		if p := SlugProblem(numbered); p != "" {
			t.Fatalf("%q: %s", numbered, p)
		}
		if Slug(slug, "safe") != slug {
			t.Fatalf("the slug of the slug %q is %q", slug, Slug(slug, "safe"))
		}
		if n > 1 && numbered == Numbered(slug, n-1) {
			t.Fatalf("numbers %d and %d give the same slug", n, n-1)
		}
	})
}

func TestCursorComesBackAsItWent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Cursor{Key: Key(rapid.StringN(1, MaxName, -1).Draw(t, "name")), ID: rapid.StringMatching(`saf_[0-9A-Z]{26}`).Draw(t, "id")}
		got, ok := ParseCursor(c.String())
		if !ok || !bytes.Equal(got.Key, c.Key) || got.ID != c.ID {
			t.Fatalf("%q became %q", c, got)
		}
	})
	if c, ok := ParseCursor(""); !ok || c.String() != "" {
		t.Error("no cursor is the beginning")
	}
	for _, s := range []string{"x", "x\x00", strings.Repeat("x", 10_000) + "\x00y", "a\x00\xff"} {
		if _, ok := ParseCursor(s); ok {
			t.Errorf("%.20q is taken for a cursor", s)
		}
	}
}

func TestNamesHoldNothingThatLiesOnATerminal(t *testing.T) {
	for _, name := range []string{"", " ", " a", "a ", "a\x1b[31m", "a\nb", "a\x00", "a\u202eb", "\xff", strings.Repeat("ä", 257)} {
		if Problem(name) == "" {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range []string{"a", "Prod DB (EU)", "日本 データ", strings.Repeat("ä", 256)} {
		if p := Problem(name); p != "" {
			t.Errorf("%q: %s", name, p)
		}
	}
	if TextProblem("two\nlines", true) != "" || TextProblem("two\nlines", false) == "" {
		t.Error("line breaks are for descriptions alone")
	}
}

func FuzzSlug(f *testing.F) {
	for _, s := range []string{"Demo", "../x", "\xff\xfe", "İ", "a b", strings.Repeat("-", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		slug := Slug(name, "safe")
		if p := SlugProblem(slug); p != "" || !utf8.ValidString(slug) {
			t.Fatalf("%q from %q: %s", slug, name, p)
		}
		if SlugProblem(name) == "" && strings.ContainsAny(name, "/\\ \x00+@") {
			t.Fatalf("%q is accepted as a slug", name)
		}
	})
}
