// Package sqltemplate fills in the statements that make and drop users.
//
// It owns how a value is quoted for the place where it stands. It must not know
// what the statements do, or run them. Start at [Expand].
package sqltemplate

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vaultpam/internal/secret"
)

// Limits on what is read and written.
const (
	maxTemplate = 16 << 10
	maxValue    = 1 << 10
)

// Values are what placeholders stand for.
type Values struct {
	MySQL     bool         // a bare name is a string there, an identifier in PostgreSQL
	Name      string       // {{name}}
	Password  secret.Value // {{password}}: better a verifier or hash than the password itself
	ExpiresAt time.Time    // {{expires_at}}, in UTC
}

// Expand fills in a template of one statement. Inside quotes of any kind a value
// is written for these quotes, elsewhere with quotes of its own. In comments and
// dollar quotes there are no placeholders. Values with a backslash or
// control characters are refused: what they mean depends on the server's mode.
// The result may hold the password: it is as secret as that is.
func Expand(template string, v Values) (string, error) {
	if len(template) > maxTemplate || !utf8.ValidString(template) || strings.ContainsRune(template, 0) {
		return "", fmt.Errorf("a template is at most %d bytes of text", maxTemplate)
	}
	var out strings.Builder
	var quote byte // the one that is open
	for i := 0; i < len(template); i++ {
		c, rest := template[i], template[i:]
		switch {
		case strings.HasPrefix(rest, "{{"):
			name, _, ok := strings.Cut(rest[2:], "}}")
			if !ok {
				return "", errors.New("a placeholder does not end")
			}
			s, err := v.quoted(strings.TrimSpace(name), quote)
			if err != nil {
				return "", err
			}
			out.WriteString(s)
			i += len(name) + 3
			continue
		case c == '\\':
			return "", errors.New("templates have no backslashes")
		case quote != 0:
			if c == quote { // doubled ones close and open again
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`' && v.MySQL:
			quote = c
		case c == '$' && !v.MySQL, c == '#' && v.MySQL, strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "/*"):
			return "", errors.New("templates have neither comments nor dollar quotes")
		}
		out.WriteByte(c)
	}
	if quote != 0 {
		return "", errors.New("a quote does not end")
	}
	return out.String(), nil
}

func (v Values) quoted(name string, quote byte) (string, error) {
	var value string
	own := byte('\'')
	switch name {
	case "name":
		value = v.Name
		if !v.MySQL {
			own = '"'
		}
	case "password":
		value = string(v.Password.Expose())
	case "expires_at":
		value = v.ExpiresAt.UTC().Format("2006-01-02 15:04:05")
		if !v.MySQL {
			value += "+00"
		}
	default:
		return "", errors.New("unknown placeholder")
	}
	if value == "" || len(value) > maxValue || !utf8.ValidString(value) || strings.ContainsRune(value, '\\') ||
		strings.ContainsFunc(value, unicode.IsControl) {
		return "", fmt.Errorf("the value of %s cannot be quoted", name)
	}
	if quote != 0 {
		q := string(quote)
		return strings.ReplaceAll(value, q, q+q), nil
	}
	q := string(own)
	return q + strings.ReplaceAll(value, q, q+q) + q, nil
}
