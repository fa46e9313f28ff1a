// Package clock makes time an argument.
//
// It owns the interface through which the program reads the time, and a clock
// that tests move by hand. Times are UTC with microsecond precision, which is
// what both databases keep. Start at [Clock].
package clock

import (
	"sync"
	"time"
)

// Clock tells the time.
type Clock interface{ Now() time.Time }

// Real is the system's clock.
type Real struct{}

// Now returns the present time in UTC, cut to microseconds.
func (Real) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Manual is a clock that only tests move. It is safe for concurrent use.
type Manual struct {
	mu sync.Mutex
	t  time.Time
}

// NewManual starts at t.
func NewManual(t time.Time) *Manual {
	return &Manual{t: t.UTC().Truncate(time.Microsecond)}
}

// Now returns the time that the test has set.
func (m *Manual) Now() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.t }

// Advance moves the clock by d.
func (m *Manual) Advance(d time.Duration) { m.mu.Lock(); defer m.mu.Unlock(); m.t = m.t.Add(d) }
