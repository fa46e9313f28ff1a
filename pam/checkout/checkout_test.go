package checkout

import (
	"testing"
	"time"
)

func TestASecretThatIsBackDoesNotGoOutAgain(t *testing.T) {
	all := []Status{CheckedOut, Available, "lost"}
	for _, from := range all {
		for _, to := range all {
			if got, want := from.May(to), from == CheckedOut && to == Available; got != want {
				t.Errorf("%s to %s: %v", from, to, got)
			}
		}
	}
}

func TestCheckoutIsBackTheMomentItsTimeIsOver(t *testing.T) {
	end := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := Checkout{Status: CheckedOut, ExpiresAt: end}
	if c.At(end.Add(-1)).Status != CheckedOut {
		t.Error("it is back too early")
	}
	if got := c.At(end); got.Status != Available || !got.CheckedInAt.Equal(end) {
		t.Errorf("%+v", got)
	}
	early := end.Add(-time.Hour)
	back := Checkout{Status: Available, ExpiresAt: end, CheckedInAt: early}
	if got := back.At(end.Add(time.Hour)); !got.CheckedInAt.Equal(early) {
		t.Error("a check-in by hand lost its time")
	}
}
