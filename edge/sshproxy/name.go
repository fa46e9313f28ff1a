package sshproxy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Limits of a login name.
const (
	maxName  = 512
	maxEmail = 254 // RFC 5321 section 4.5.3.1.3, without the angle brackets
	maxSlug  = 64
)

// errName says that a login name cannot be read. Before authentication it is
// answered like every other failure.
var errName = errors.New("sshproxy: malformed login name")

// name is the SSH login name: EMAIL[+SAFE[+ACCOUNT@RESOURCE]]. What follows
// the e-mail is resolved only after authentication.
type name struct {
	email, safe, account, resource string
}

// parseName splits a login name. The separator is the first + after the first
// @, so that alice+work@example.com is one e-mail address.
func parseName(s string) (name, error) {
	if len(s) > maxName || !utf8.ValidString(s) {
		return name{}, errName
	}
	at := strings.IndexByte(s, '@')
	if at <= 0 {
		return name{}, errName
	}
	n := name{email: s}
	rest, more := "", false
	if plus := strings.IndexByte(s[at:], '+'); plus >= 0 {
		n.email, rest, more = s[:at+plus], s[at+plus+1:], true
	}
	if len(n.email) > maxEmail || len(n.email) == at+1 || strings.ContainsFunc(n.email, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return name{}, errName
	}
	if !more {
		return n, nil
	}
	safe, binding, bound := strings.Cut(rest, "+")
	if n.safe = safe; !slug(safe) {
		return name{}, errName
	}
	if bound {
		var ok bool
		if n.account, n.resource, ok = strings.Cut(binding, "@"); !ok || !slug(n.account) || !slug(n.resource) {
			return name{}, errName
		}
	}
	return n, nil
}

// slug says whether s is a slug or an id: [A-Za-z0-9._-]+. Ids have upper-case
// letters and an underscore.
func slug(s string) bool {
	if s == "" || len(s) > maxSlug {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
