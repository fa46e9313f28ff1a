package ids

import (
	"crypto/rand"
	"testing"
	"time"

	"vaultpam/internal/clock"
)

func TestIDsIncreaseWithinAMillisecondAndWhenTheClockGoesBack(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	s := NewSource(c, rand.Reader)
	last := s.New("saf_")
	for i := range 10_000 {
		if i == 5_000 {
			c.Advance(-time.Hour)
		}
		id := s.New("saf_")
		if id <= last {
			t.Fatalf("id %s is not above %s", id, last)
		}
		if !Valid("saf_", id) {
			t.Fatalf("id %s is not valid", id)
		}
		last = id
	}
}

func TestEncodeMatchesTheSpecificationsExample(t *testing.T) {
	// 2016-07-30T23:54:10.259Z is 01ARZ3NDEK in the ULID specification.
	c := clock.NewManual(time.UnixMilli(1469922850259))
	if got := NewSource(c, rand.Reader).New("x_")[2:12]; got != "01ARZ3NDEK" {
		t.Fatalf("time part %s, want 01ARZ3NDEK", got)
	}
}

func TestValidRefusesOtherKindsAndForeignCharacters(t *testing.T) {
	for _, id := range []string{"", "saf_", "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV", "saf_01ARZ3NDEKTSV4RRFFQ69G5FAU", "saf_81ARZ3NDEKTSV4RRFFQ69G5FAV", "saf_../../../../etc/passwd00000"} {
		if Valid("saf_", id) {
			t.Errorf("%q accepted", id)
		}
	}
	if !Valid("saf_", "saf_01ARZ3NDEKTSV4RRFFQ69G5FAV") {
		t.Error("a good id refused")
	}
}
