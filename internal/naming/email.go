package naming

import (
	"regexp"
	"strings"
)

// MaxEmail is the greatest length of an e-mail address, in bytes (RFC 5321
// section 4.5.3.1.3, without the angle brackets).
const MaxEmail = 254

// Email returns the one form in which an e-mail address is kept and looked
// up: without spaces at its ends and in lower case. ok is false for what
// cannot be one. The rules are narrower than RFC 5321: visible ASCII, one @, a
// domain with no empty label. ASCII is asked for before anything is put into
// lower case, because letters of other scripts, such as the Kelvin sign, become
// ASCII by that. A + is allowed, since the SSH login name splits at the first +
// after the @.
func Email(s string) (email string, ok bool) {
	email = strings.Trim(s, " \t\r\n")
	if len(email) > MaxEmail || strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", false
	}
	email = strings.ToLower(email)
	local, domain, found := strings.Cut(email, "@")
	if !found || len(local) > 64 || !localPattern.MatchString(local) || !domainPattern.MatchString(domain) {
		return "", false
	}
	return email, true
}

var (
	// No address begins with a -: a program that is given one as an argument
	// would take it for an option.
	localPattern  = regexp.MustCompile("^[a-z0-9.!#$%&'*+/=?^_`{|}~][a-z0-9.!#$%&'*+/=?^_`{|}~-]*$")
	domainPattern = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
)
