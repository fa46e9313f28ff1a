package sshtarget

import (
	"errors"
	"strings"
	"testing"

	"vaultpam/internal/secret"
)

func TestPromptsAreUnderstood(t *testing.T) {
	for text, want := range map[string]question{
		"Changing password for ada.\r\nCurrent password: ": current,
		"(current) UNIX password: ":                        current,
		"Old Password:":                                    current,
		"Password: ":                                       current,
		"Enter login(LDAP) password: ":                     current,
		"New password: ":                                   fresh,
		"Enter new UNIX password: ":                        fresh,
		"BAD PASSWORD: too short\r\nNew password: ":        fresh,
		"Retype new password: ":                            again,
		"Re-enter new Password:":                           again,
		"Retype New Password:":                             again,
		"Confirm new password? ":                           again,
		"Verification code: ":                              unknown,
		"Your dog's name? ":                                unknown,
		"passwd: password updated successfully\r\n":        none,
		"New password: \r\n":                               none,
		"New pass":                                         none,
		"":                                                 none,
	} {
		if got := asked(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// Each question is answered once and in order; a target that asks otherwise
// learns no more than what it has.
func TestOnlyThePromptsOfPasswdAreAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		hears []string
		gives []string
		want  error
	}{
		"as it should be":            {[]string{"Current password: ", "\r\nNew password: ", "\r\nRetype new password: ", "\r\nupdated\r\n"}, []string{"old", "next", "next"}, nil},
		"in pieces":                  {[]string{"Curr", "ent password", ": ", "New password: ", "Retype new", " password: "}, []string{"old", "next", "next"}, nil},
		"without the old one":        {[]string{"New password: ", "Retype new password: "}, []string{"next", "next"}, nil},
		"the old one twice":          {[]string{"Current password: ", "Current password: "}, []string{"old"}, ErrRefused},
		"a code":                     {[]string{"Current password: ", "Verification code: "}, []string{"old"}, ErrRefused},
		"a code first":               {[]string{"Code: "}, nil, ErrRefused},
		"again before new":           {[]string{"Current password: ", "Retype new password: "}, []string{"old"}, ErrRefused},
		"the old one after the new":  {[]string{"New password: ", "Current password: "}, []string{"next"}, ErrRefused},
		"not good enough":            {[]string{"New password: ", "Retype new password: ", "BAD PASSWORD: too weak\r\nNew password: "}, []string{"next", "next"}, ErrRefused},
		"by a second module, maybe":  {[]string{"New password: ", "Retype new password: ", "New LDAP password: "}, []string{"next", "next"}, ErrBroken},
		"the old one, by the second": {[]string{"New password: ", "Retype new password: ", "Current LDAP password: "}, []string{"next", "next"}, ErrBroken},
		"talks without end":          {[]string{strings.Repeat("x", maxOutput+1)}, nil, ErrBroken},
	} {
		talk := &talk{old: secret.FromString("old"), next: secret.FromString("next")}
		var gives []string
		var err error
		for _, text := range c.hears {
			var answer []byte
			if answer, err = talk.hear([]byte(text)); err != nil {
				break
			}
			if answer != nil {
				gives = append(gives, string(answer))
			}
		}
		if !errors.Is(err, c.want) || strings.Join(gives, " ") != strings.Join(c.gives, " ") {
			t.Errorf("%s: gave %q, %v; want %q, %v", name, gives, err, c.gives, c.want)
		}
	}
}

func FuzzTalk(f *testing.F) {
	f.Add("Current password: ", "New password: ", "Retype new password: ", "passwd: password unchanged\r\n")
	f.Add("New password: ", "Retype new password: ", "BAD PASSWORD: x\r\nNew password: ", "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		talk := &talk{old: secret.FromString("old"), next: secret.FromString("canary-next")}
		given := map[string]int{}
		for _, text := range []string{a, b, c, d} {
			answer, err := talk.hear([]byte(text))
			if err != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrBroken) {
				t.Fatal(err)
			}
			if err != nil {
				break
			}
			if answer != nil {
				given[string(answer)]++
			}
		}
		if given["old"] > 1 || given["canary-next"] > 2 {
			t.Fatalf("given too often: %v", given)
		}
	})
}

func FuzzQuotings(f *testing.F) {
	for _, seed := range []string{"plain", "two words", "it's", "a\"b", "$x", "a\nb", odd} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		styles := quotings([]byte(text))
		if styles == "-" {
			return
		}
		if strings.ContainsAny(text, "\x00\r\n") || strings.Contains(styles, "u") && strings.ContainsAny(text, " \"'$`\\#") ||
			strings.Contains(styles, "s") && strings.Contains(text, "'") || strings.Contains(styles, "d") && strings.ContainsAny(text, "\"$`\\") {
			t.Fatalf("%q may stand as %s", text, styles)
		}
	})
}
