package sqltemplate

import (
	"strings"
	"testing"
	"time"

	"vaultpam/internal/secret"
)

func values(name, password string, mysql bool) Values {
	return Values{MySQL: mysql, Name: name, Password: secret.FromString(password), ExpiresAt: time.Unix(0, 0)}
}

func TestValuesAreQuotedForWhereTheyStand(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"CREATE ROLE {{name}} PASSWORD {{password}}", `CREATE ROLE "a""b'c" PASSWORD 'p''w"'`},
		{"SELECT '{{name}}'", `SELECT 'a"b''c'`},
		{`DROP ROLE "x{{ name }}"`, `DROP ROLE "xa""b'c"`},
		{"VALID UNTIL {{expires_at}}", "VALID UNTIL '1970-01-01 00:00:00+00'"},
		{"SELECT 'it''s {{name}}'", `SELECT 'it''s a"b''c'`},
	} {
		got, err := Expand(c.template, values(`a"b'c`, `p'w"`, false))
		if err != nil || got != c.want {
			t.Errorf("%s: %s, %v", c.template, got, err)
		}
	}
	got, err := Expand("DROP USER {{name}}@'%'", values("a'b", "x", true))
	if want := "DROP USER 'a''b'@'%'"; err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestWhatCannotBeQuotedSafelyIsRefused(t *testing.T) {
	for _, template := range []string{
		"{{unknown}}", "{{name", "'{{name}}", "-- {{name}}", "/* {{name}} */", "$$ {{name}} $$", `E'\' {{name}}`,
		strings.Repeat("x", maxTemplate+1), "\x00", "\xff",
	} {
		if got, err := Expand(template, values("n", "p", false)); err == nil {
			t.Errorf("%q became %q", template, got)
		}
	}
	if got, err := Expand("# {{name}}", values("n", "p", true)); err == nil {
		t.Errorf("a comment of MySQL became %q", got)
	}
	for _, value := range []string{"", `\`, `\'`, "a\nb", "a\x00", "\xff", strings.Repeat("x", maxValue+1)} {
		for _, template := range []string{"{{name}}", "'{{password}}'"} {
			_, err := Expand(template, values(value, value, false))
			if err == nil {
				t.Errorf("%q was taken for %s", value, template)
			} else if len(value) > 4 && strings.Contains(err.Error(), value) {
				t.Error("the error holds the value")
			}
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("CREATE ROLE {{name}} PASSWORD '{{password}}'", `x" '`, true)
	f.Fuzz(func(t *testing.T, template, value string, mysql bool) {
		got, err := Expand(template, values(value, "p", mysql))
		if err != nil {
			return
		}
		// Whatever the value, the statement outside quotes is the same.
		plain, err := Expand(template, values("v", "p", mysql))
		if err != nil || outside(got, mysql) != outside(plain, mysql) {
			t.Fatalf("%q with %q is %q", template, value, got)
		}
	})
}

// outside returns what stands outside quotes, where a doubled quote is a character.
func outside(s string, mysql bool) string {
	var out strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == 0 && (c == '\'' || c == '"' || c == '`' && mysql):
			quote = c
		case quote != 0 && c == quote && i+1 < len(s) && s[i+1] == c:
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0:
			out.WriteByte(c)
		}
	}
	return out.String()
}
