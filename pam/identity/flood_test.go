package identity

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"vaultpam/internal/clock"
)

// A flood of names takes a bounded memory, and does not end the locks that it
// is under.
func TestFloodOfNamesIsForgottenBeforeALock(t *testing.T) {
	c := clock.NewManual(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	l := newLockout(c)
	from := netip.MustParseAddr("192.0.2.7")
	for range freeFailures + 12 { // locked for more than an hour's flood would need
		l.failed("ada@example.com", from)
	}
	for i := range 3 * maxRecords {
		l.failed(fmt.Sprintf("%d@example.com", i), from)
		if len(l.records) > maxRecords {
			t.Fatalf("%d records", len(l.records))
		}
	}
	if !l.locked("ada@example.com", from) {
		t.Error("the flood has ended the lock")
	}
	// Even a flood of locks has a bound.
	for i := range maxRecords + 10 {
		for range freeFailures {
			l.failed(fmt.Sprintf("locked %d@example.com", i), from)
		}
	}
	if len(l.records) > maxRecords {
		t.Errorf("%d records", len(l.records))
	}
	c.Advance(2 * longestLock)
	for i := range maxRecords {
		l.failed(fmt.Sprintf("later %d@example.com", i), from)
	}
	if len(l.records) > maxRecords {
		t.Errorf("%d records", len(l.records))
	}
}

func TestFailuresOfAnyNumberOfSourcesAreCountedInBoundedMemory(t *testing.T) {
	f, now := newFailureLog(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var single, all int64
	for i := range maxSources + 5_000 {
		for range singleFailures + 1 {
			all++
			if f.take(fmt.Sprint(i), now) {
				single++
			}
		}
	}
	if len(f.counts) > maxSources+1 || len(f.excess) > maxSources+1 {
		t.Errorf("%d sources, %d with more than is written singly", len(f.counts), len(f.excess))
	}
	var rest int64
	for _, n := range f.excess {
		rest += n
	}
	if single+rest != all {
		t.Errorf("%d and %d are not the %d failures", single, rest, all)
	}
	if f.take("0", now); f.excess["0"] != 2 {
		t.Errorf("%d in the same minute", f.excess["0"])
	}
	if !f.take("0", now.Add(time.Minute)) {
		t.Error("a new minute begins with what is left of the last")
	}
}
