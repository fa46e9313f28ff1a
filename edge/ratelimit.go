package edge

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"vaultpam/internal/clock"
)

// Category is one of the documented rate limits.
type Category string

// The categories, each counted per minute.
const (
	LimitLogin     Category = "login"     // per source address
	LimitIP        Category = "ip"        // per source address
	LimitUser      Category = "user"      // per user
	LimitSensitive Category = "sensitive" // per user
	LimitSCIM      Category = "scim"      // per token of a directory
)

// Limits are the highest counts per minute. A nil map means no limits.
type Limits map[Category]int

// DefaultLimits are those of the contract.
func DefaultLimits() Limits {
	return Limits{LimitLogin: 60, LimitIP: 300, LimitUser: 120, LimitSensitive: 30, LimitSCIM: 1800}
}

// ParseLimits reads "off" or a list such as "login=60,ip=300"; what is not
// named keeps its default.
func ParseLimits(s string) (Limits, error) {
	if s == "off" {
		return nil, nil
	}
	limits := DefaultLimits()
	if s == "" {
		return limits, nil
	}
	for _, item := range strings.Split(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(item), "=")
		n, err := strconv.Atoi(value)
		if _, known := limits[Category(name)]; !ok || !known || err != nil || n < 1 {
			return nil, fmt.Errorf("rate limits: %q is not one of login=N, ip=N, user=N, sensitive=N, scim=N", item)
		}
		limits[Category(name)] = n
	}
	return limits, nil
}

// Rate is the state of one limit after a request.
type Rate struct {
	Limit     int
	Remaining int
	Reset     time.Time
}

// Tighter says whether r has the smaller remaining fraction.
func (r Rate) Tighter(s Rate) bool {
	return s.Limit == 0 || r.Remaining*s.Limit < s.Remaining*r.Limit
}

// maxKeys bounds the memory of one window. Beyond it, new keys share one
// count, so that a flood of addresses costs no memory and is itself limited.
const maxKeys = 200_000

// RateLimiter counts in fixed windows that start on the whole minute. It is
// safe for concurrent use. A nil *RateLimiter limits nothing.
type RateLimiter struct {
	limits Limits
	clock  clock.Clock

	mu     sync.Mutex // guards the window
	minute int64
	counts map[rateKey]int
}

type rateKey struct {
	category Category
	key      string
}

// NewRateLimiter returns nil when limits is nil.
func NewRateLimiter(limits Limits, c clock.Clock) *RateLimiter {
	if limits == nil {
		return nil
	}
	return &RateLimiter{limits: limits, clock: c}
}

// Take counts one request of key in category c and says whether it is within
// the limit.
func (l *RateLimiter) Take(c Category, key string) (Rate, bool) {
	if l == nil {
		return Rate{}, true
	}
	minute := l.clock.Now().Unix() / 60
	limit := l.limits[c]
	l.mu.Lock()
	defer l.mu.Unlock()
	if minute != l.minute || l.counts == nil {
		l.minute, l.counts = minute, make(map[rateKey]int)
	}
	k := rateKey{c, key}
	n, seen := l.counts[k]
	if !seen && len(l.counts) >= maxKeys {
		k = rateKey{c, "(others)"}
		n = l.counts[k]
	}
	reset := time.Unix((minute+1)*60, 0).UTC()
	if n >= limit {
		return Rate{Limit: limit, Reset: reset}, false
	}
	l.counts[k] = n + 1
	return Rate{Limit: limit, Remaining: limit - n - 1, Reset: reset}, true
}
