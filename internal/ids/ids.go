// Package ids makes identifiers: a prefix that names the kind and a ULID
// (https://github.com/ulid/spec: 48 bits of milliseconds and 80 random bits,
// in 26 characters of Crockford's base 32), so that ids sort by their time.
// It must not know which kinds exist. Start at [Source.New].
package ids

import (
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"time"

	"vaultpam/internal/clock"
)

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Source makes ids. Within one Source they strictly increase, also inside one
// millisecond. It is safe for concurrent use.
type Source struct {
	clock clock.Clock
	rand  io.Reader

	mu   sync.Mutex // guards last
	last [16]byte
}

// NewSource reads the time from c and randomness from r (crypto/rand.Reader
// outside of tests).
func NewSource(c clock.Clock, r io.Reader) *Source { return &Source{clock: c, rand: r} }

// New returns prefix, for example "saf_", followed by a fresh ULID. It panics
// if the source of randomness fails: going on would repeat ids.
func (s *Source) New(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var u [16]byte
	ms := uint64(s.clock.Now().UnixMilli())
	binary.BigEndian.PutUint64(u[:8], ms<<16)
	if lastMS := binary.BigEndian.Uint64(s.last[:8]) >> 16; ms > lastMS {
		if _, err := io.ReadFull(s.rand, u[6:]); err != nil {
			panic("ids: no randomness: " + err.Error())
		}
	} else {
		// The same millisecond, or a clock that was set back: count on by a
		// random step, so that ids stay ordered and are still not guessable.
		var step [5]byte
		if _, err := io.ReadFull(s.rand, step[:]); err != nil {
			panic("ids: no randomness: " + err.Error())
		}
		u = s.last
		carry := uint16(1)
		for i := 15; i >= 0; i-- {
			add := carry
			if j := i - 11; j >= 0 {
				add += uint16(step[j])
			}
			sum := uint16(u[i]) + add
			u[i], carry = byte(sum), sum>>8
		}
	}
	s.last = u
	return prefix + encode(u)
}

// Lowest returns the smallest id that could have been made at t: a bound for
// searching ids by time.
func Lowest(prefix string, t time.Time) string {
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], uint64(max(0, t.UnixMilli()))<<16)
	return prefix + encode(u)
}

// Valid says whether id is prefix followed by a well-formed ULID.
func Valid(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	if !ok || len(rest) != 26 || rest[0] > '7' {
		return false
	}
	for i := range len(rest) {
		if strings.IndexByte(alphabet, rest[i]) < 0 {
			return false
		}
	}
	return true
}

// encode writes 128 bits as 26 characters of five bits; the first holds three.
func encode(u [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
	var out [26]byte
	for i := 25; i >= 0; i-- {
		out[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}
