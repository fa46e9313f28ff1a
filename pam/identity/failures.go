package identity

import (
	"net/netip"
	"sync"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Failed logins are events of their own up to a number per source and minute;
// the rest is counted and becomes one event.
const (
	singleFailures = 20
	maxSources     = 10_000
)

type failureLog struct {
	mu     sync.Mutex // guards all below
	minute int64
	counts map[string]int64 // in this minute, by source
	excess map[string]int64 // not yet written, by source
}

func newFailureLog() *failureLog {
	return &failureLog{counts: map[string]int64{}, excess: map[string]int64{}}
}

// take counts a failure and says whether it gets an event of its own.
func (f *failureLog) take(source string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := now.Unix() / 60; m != f.minute {
		f.minute = m
		clear(f.counts)
	}
	if _, seen := f.counts[source]; !seen && len(f.counts) >= maxSources {
		source = "others"
	}
	if f.counts[source]++; f.counts[source] <= singleFailures {
		return true
	}
	f.excess[source]++
	return false
}

// drain returns one event per source whose failures were only counted.
func (f *failureLog) drain(scribe *audit.Scribe) []audit.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []audit.Entry
	for source, n := range f.excess {
		out = append(out, scribe.Entry(pam.Actor{Token: pam.SystemToken}, audit.LoginFailuresAggregated, audit.Party{}, map[string]any{"source": source, "count": n}))
	}
	clear(f.excess)
	return out
}

// Counted counts a failure of another way to sign in, and says whether it is to
// be written by itself: beyond a number, failures of one source are written
// together.
func (s *Service) Counted(from netip.Addr) bool { return s.failures.take(source(from), s.clock.Now()) }
