package naming

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEmailHasOneForm(t *testing.T) {
	for given, want := range map[string]string{
		"ada@example.com":                         "ada@example.com",
		" ADA@Example.COM\n":                      "ada@example.com",
		"ada+work@example.com":                    "ada+work@example.com",
		"o'hara@example.com":                      "o'hara@example.com",
		"root@localhost":                          "root@localhost",
		"a@xn--bcher-kva.example":                 "a@xn--bcher-kva.example",
		strings.Repeat("a", 64):                   "",
		"":                                        "",
		"@example.com":                            "",
		"ada@":                                    "",
		"ada@@example.com":                        "",
		"ada@example..com":                        "",
		"ada@.example.com":                        "",
		"ada@example.com.":                        "",
		"ada@-example.com":                        "",
		"ada@exam ple.com":                        "",
		"ada@example.com\x00":                     "",
		"ada@example.com\nbcc:x@y":                "",
		"ada@e\u212aample.com":                    "", // the Kelvin sign, whose lower case is k
		"al\u0130ce@example.com":                  "", // the dotted capital I, whose lower case is i
		"\u00a0ada@example.com":                   "", // a space, but none of ours
		"ada@ex\xffample.com":                     "",
		`"ada b"@example.com`:                     "",
		"ada<script>@example.com":                 "",
		"-oproxycommand=x@example.com":            "",
		"a-b@example.com":                         "a-b@example.com",
		strings.Repeat("a", 65) + "@example.com":  "",
		strings.Repeat("a", 64) + "@example.com":  strings.Repeat("a", 64) + "@example.com",
		"ada@" + strings.Repeat("a", 64) + ".com": "",
		"ada@" + strings.Repeat(strings.Repeat("a", 60)+".", 4) + "com": "ada@" + strings.Repeat(strings.Repeat("a", 60)+".", 4) + "com",
		"ada@" + strings.Repeat(strings.Repeat("a", 60)+".", 5) + "com": "",
	} {
		if got, ok := Email(given); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", given, got, ok)
		}
	}
}

// Whatever is taken has one spelling, which is taken for itself, and nothing
// but its case and the spaces around it were changed.
func FuzzEmail(f *testing.F) {
	for _, s := range []string{"ada@example.com", " A.B+c@EXAMPLE.com ", "a@b", "\u212a@x.y", "a@b@c", "a\x00@b", "a@b\xff", "\u0085a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		email, ok := Email(s)
		if !ok {
			if email != "" {
				t.Fatalf("%q is refused and gives %q", s, email)
			}
			return
		}
		if again, ok := Email(email); !ok || again != email {
			t.Fatalf("%q becomes %q, and that %q", s, email, again)
		}
		if !utf8.ValidString(email) || len(email) > MaxEmail || strings.Count(email, "@") != 1 || strings.ContainsAny(email, " \x00\r\n\"<>,;\\") {
			t.Fatalf("%q is taken as %q", s, email)
		}
		same := strings.Trim(s, " \t\r\n")
		if len(same) != len(email) {
			t.Fatalf("%q becomes %q", s, email)
		}
		for i := range len(same) {
			c := same[i]
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			if c != email[i] {
				t.Fatalf("%q becomes %q", s, email)
			}
		}
	})
}
