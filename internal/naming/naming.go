// Package naming makes and checks the names that people give to things, the
// slugs by which they type them, and the cursors of lists that are sorted by
// name.
//
// It must not know what is named. Start at [Slug].
package naming

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName and MaxSlug are the greatest lengths, in runes and bytes.
const (
	MaxName = 256
	MaxSlug = 64
)

// Slug derives a slug from a name: lower case, and a single "-" for every run
// of anything but a-z, 0-9, dot and underscore, none of them at the ends. It
// returns fallback when nothing is left.
func Slug(name, fallback string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(name) {
		if b.Len() >= MaxSlug {
			break
		}
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', (r == '.' || r == '_') && b.Len() > 0:
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		default:
			gap = true
		}
	}
	s := b.String()
	if len(s) > MaxSlug {
		s = s[:MaxSlug]
	}
	if s = strings.TrimRight(s, "-._"); s == "" {
		return fallback
	}
	return s
}

// Numbered returns the n-th slug of a base: the base itself for 1, then
// base-2, base-3, … cut so that it stays within MaxSlug.
func Numbered(base string, n int) string {
	if n <= 1 {
		return base
	}
	tail := "-" + strconv.Itoa(n)
	if len(base)+len(tail) > MaxSlug {
		base = base[:MaxSlug-len(tail)]
	}
	return base + tail
}

// SlugProblem says what is wrong with a slug that somebody typed, or "". A
// slug begins with a letter or digit, so that no command takes it for an
// option or a path.
func SlugProblem(slug string) string {
	switch {
	case slug == "":
		return "is empty"
	case len(slug) > MaxSlug:
		return "is longer than 64 characters"
	case slug[0] == '-' || slug[0] == '.' || slug[0] == '_':
		return "must begin with a letter or digit"
	}
	for _, r := range slug {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-') {
			return "may hold a-z, 0-9, dot, underscore and hyphen only"
		}
	}
	return ""
}

// Problem says what is wrong with a name, or "". Names end up on terminals, so
// they hold no control characters and nothing that reorders text.
func Problem(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case strings.TrimSpace(name) == "":
		return "is required"
	case name != strings.TrimSpace(name):
		return "begins or ends with a space"
	case utf8.RuneCountInString(name) > MaxName:
		return "is longer than 256 characters"
	}
	return TextProblem(name, false)
}

// TextProblem says what is wrong with a text for people, or "". Line breaks
// and tabs are for those that may have several lines.
func TextProblem(text string, lines bool) string {
	if !utf8.ValidString(text) {
		return "is not UTF-8"
	}
	for _, r := range text {
		switch {
		case lines && (r == '\n' || r == '\t' || r == '\r'):
		case unicode.IsControl(r):
			return "contains control characters"
		case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
			return "contains characters that reorder text"
		}
	}
	return ""
}

// Key is what names are sorted by: without regard to case, byte by byte, the
// same in every database.
func Key(name string) []byte { return []byte(strings.ToLower(name)) }

// Cell keeps a spreadsheet from running a text as a formula: one that could be
// taken for it gets a quote in front, also where it had one before.
func Cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r'", rune(s[0])) {
		return "'" + s
	}
	return s
}

// Cursor is a place in a list sorted by name: after the object with this name
// and id. The zero value is the beginning.
type Cursor struct {
	Key []byte
	ID  string
}

// String is the form in which a client carries a cursor. It is opaque.
func (c Cursor) String() string {
	if c.ID == "" {
		return ""
	}
	return string(c.Key) + "\x00" + c.ID
}

// ParseCursor reads what String wrote; false for anything else.
func ParseCursor(s string) (Cursor, bool) {
	if s == "" {
		return Cursor{}, true
	}
	i := strings.LastIndexByte(s, 0)
	if i < 0 || i == len(s)-1 || len(s) > 8*MaxName || !utf8.ValidString(s[i+1:]) {
		return Cursor{}, false
	}
	return Cursor{Key: []byte(s[:i]), ID: s[i+1:]}, true
}
