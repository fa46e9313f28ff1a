package identity

import (
	"net/netip"
	"sync"
	"time"

	"vaultpam/internal/clock"
)

// Lockout: ten failures in a row of one account from one source lock the
// account for that source, one second at first and twice as long each time
// after that. Nobody can lock somebody else out.
const (
	freeFailures = 10
	firstLock    = time.Second
	longestLock  = 15 * time.Minute
	maxRecords   = 50_000 // of failures; the oldest are forgotten beyond that
)

type failureKey struct{ email, source string }

type failureRecord struct {
	count int
	until time.Time // locked
	last  time.Time
}

// lockout counts failures. It is safe for concurrent use.
type lockout struct {
	clock clock.Clock

	mu      sync.Mutex // guards records
	records map[failureKey]*failureRecord
}

func newLockout(c clock.Clock) *lockout {
	return &lockout{clock: c, records: map[failureKey]*failureRecord{}}
}

// source is an IPv4 address or the /64 of an IPv6 one.
func source(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// locked says whether the account is locked for the source now.
func (l *lockout) locked(email string, from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.records[failureKey{email, source(from)}]
	return r != nil && l.clock.Now().Before(r.until)
}

// failed counts a failure.
func (l *lockout) failed(email string, from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	k := failureKey{email, source(from)}
	r := l.records[k]
	if r == nil {
		if len(l.records) >= maxRecords {
			l.forget(now)
		}
		r = &failureRecord{}
		l.records[k] = r
	}
	r.last = now
	if r.count++; r.count >= freeFailures {
		r.until = now.Add(min(firstLock<<min(r.count-freeFailures, 20), longestLock))
	}
}

// succeeded forgets the failures of an account from a source.
func (l *lockout) succeeded(email string, from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.records, failureKey{email, source(from)})
}

// forget drops what is over, and if that is not enough, the records without a
// lock: a flood of names must not end the locks that it is under.
func (l *lockout) forget(now time.Time) {
	for k, r := range l.records {
		if now.Sub(r.last) > longestLock {
			delete(l.records, k)
		}
	}
	for k, r := range l.records {
		if len(l.records) < maxRecords*3/4 {
			return
		}
		if !now.Before(r.until) {
			delete(l.records, k)
		}
	}
	for k := range l.records {
		if len(l.records) < maxRecords {
			return
		}
		delete(l.records, k)
	}
}
