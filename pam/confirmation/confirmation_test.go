package confirmation

import "testing"

func TestOnlyWhatWaitsIsDecided(t *testing.T) {
	type step struct {
		kind     Kind
		from, to Status
	}
	allowed := map[step]bool{
		{Redirection, Pending, Confirmed}: true, {Redirection, Pending, Rejected}: true, {Redirection, Pending, Superseded}: true,
		{Redirection, Rejected, Confirmed}: true, {Redirection, Rejected, Superseded}: true,
		{Weakening, Pending, Confirmed}: true, {Weakening, Pending, Rejected}: true, {Weakening, Pending, Superseded}: true,
	}
	all := []Status{Pending, Confirmed, Rejected, Superseded, "lost"}
	for _, kind := range []Kind{Redirection, Weakening, "other"} {
		for _, from := range all {
			for _, to := range all {
				if got, want := kind.May(from, to), allowed[step{kind, from, to}]; got != want {
					t.Errorf("%s from %s to %s: %v", kind, from, to, got)
				}
			}
		}
	}
}
