package outbox

import (
	"regexp"
	"slices"
	"testing"

	"vaultpam/pam"
)

// A letter that one language lacks would be empty, and a placeholder that it
// lacks would be a fact that its reader does not get.
func TestEveryLetterSaysTheSameInEveryLanguage(t *testing.T) {
	placeholder := regexp.MustCompile(`\{[a-z]*\}`)
	facts := func(w words) []string {
		text := w.Subject + w.Action
		for _, p := range slices.Concat(w.Paragraphs, w.After) {
			text += p
		}
		out := placeholder.FindAllString(text, -1)
		slices.Sort(out)
		return slices.Compact(out)
	}
	for _, kind := range []string{
		pam.LetterInvitation, pam.LetterPasswordReset, pam.LetterAccessRequested, pam.LetterAccessApproved, pam.LetterAccessRejected, pam.LetterBreakGlass,
		pam.LetterRotationFailed, pam.LetterRotationStuck, pam.LetterRotationCopies,
	} {
		first := facts(dictionaries[Languages[0]].Letters[kind])
		for _, l := range Languages {
			w := dictionaries[l].Letters[kind]
			if w.Subject == "" || w.Action == "" || len(w.Paragraphs) < 2 {
				t.Errorf("%s in %s lacks words", kind, l)
			}
			if got := facts(w); !slices.Equal(got, first) {
				t.Errorf("%s in %s speaks of %v, in %s of %v", kind, l, got, Languages[0], first)
			}
		}
	}
	for _, l := range Languages {
		if n := len(dictionaries[l].Letters); n != 9 {
			t.Errorf("%d letters in %s: each belongs into the list above", n, l)
		}
	}
}
