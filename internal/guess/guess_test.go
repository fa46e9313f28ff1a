package guess

import "testing"

func TestWeakPasswordsAreToldByTheFirstReason(t *testing.T) {
	for password, want := range map[string]string{
		"hunter2": IsShort, "": IsShort,
		"postgres-2026-db": IsUsername, "PostGres-2026-db": IsUsername,
		"aaaaaaaaaaaaaaaaaaaa": IsSimple, "abcdefghijklmnopqrst": IsSimple, "12345678901234567890": IsSimple,
		"bitel-rapov-kusim-walet": "", "x7#Qm2$vLp9!": "", "größer-als-gedacht": "",
	} {
		if got := Weakness(password, "postgres"); got != want {
			t.Errorf("%q is %q, want %q", password, got, want)
		}
	}
	// A name of one or two letters is in everything.
	if got := Weakness("bitel-rapov-kusim", "a"); got != "" {
		t.Error(got)
	}
}

func TestEveryLineOfTheListIsCommonInAnyCase(t *testing.T) {
	if len(common) < 80 {
		t.Fatalf("%d lines", len(common))
	}
	for p := range common {
		if !Common(p) || Weakness(p, "") != IsCommon {
			t.Errorf("%q is not common", p)
		}
	}
}
