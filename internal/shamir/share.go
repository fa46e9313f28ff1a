package shamir

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// The text of a share, version 1 (docs/formats/share.md): a prefix that no
// token of the product begins with, and in Crockford's base 32, in nine groups
// of eight,
//
//	 6 bytes  id of the set, the same in all shares of one secret
//	 1 byte   threshold
//	 1 byte   index of this share, from 1
//	32 bytes  the share of a key
//	 5 bytes  checksum: the first of SHA-256 over the prefix and all above
const (
	prefix = "vpshare1-"

	KeySize      = 32 // of the secrets that are dealt
	setSize      = 6
	checksumSize = 5
	bodySize     = setSize + 2 + KeySize + checksumSize
	digits       = bodySize * 8 / 5
	groupSize    = 8

	// MaxText is the longest text that Parse reads.
	MaxText = 256
)

// Why a text is no share, or some shares bring no secret back. None of them
// says anything of what the share holds.
var (
	ErrPrefix   = errors.New("this is not a share: it does not begin with " + prefix)
	ErrVersion  = errors.New("this share is of a newer version than this program knows")
	ErrTypo     = errors.New("this share is mistyped or cut short: its checksum does not fit")
	ErrOtherSet = errors.New("the shares are of different sets")
)

// Set names the shares that belong together.
type Set [setSize]byte

// Share is one part of a dealt key. It is secret, and refuses to be printed
// other than by Text.
type Share struct {
	Set       Set
	Threshold int
	Index     int
	value     [KeySize]byte
}

const printed = "[share]"

func (Share) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(printed)) }
func (Share) LogValue() slog.Value         { return slog.StringValue(printed) }
func (Share) MarshalText() ([]byte, error) { return nil, errors.New("a share is not marshalled") }

// Wipe overwrites the share.
func (s *Share) Wipe() { *s = Share{} }

// Equal says whether both are the same share of the same set.
func (s *Share) Equal(other *Share) bool { return s.Set == other.Set && s.Index == other.Index }

// Deal splits a key of 32 bytes into a new set of shares. The caller wipes
// them.
func Deal(key []byte, shares, threshold int, random io.Reader) ([]Share, error) {
	if len(key) != KeySize {
		return nil, ErrParameters
	}
	var set Set
	if _, err := io.ReadFull(random, set[:]); err != nil {
		return nil, err
	}
	raw, err := Split(key, shares, threshold, random)
	if err != nil {
		return nil, err
	}
	out := make([]Share, len(raw))
	for i, r := range raw {
		out[i] = Share{Set: set, Threshold: threshold, Index: int(r[0])}
		copy(out[i].value[:], r[1:])
		clear(r)
	}
	return out, nil
}

// Gather brings a dealt key back from threshold shares of one set; more do no
// harm. The caller clears it. A share whose holder has lied gives another key.
func Gather(shares []Share) ([]byte, error) {
	if len(shares) == 0 || len(shares) < shares[0].Threshold {
		return nil, ErrTooFew
	}
	raw := make([][]byte, len(shares))
	defer func() {
		for _, r := range raw {
			clear(r)
		}
	}()
	for i := range shares {
		s := &shares[i]
		if s.Set != shares[0].Set || s.Threshold != shares[0].Threshold {
			return nil, ErrOtherSet
		}
		raw[i] = append([]byte{byte(s.Index)}, s.value[:]...)
	}
	return Combine(raw)
}

// Text writes the share for people to keep. The caller clears it.
func (s *Share) Text() []byte {
	body := make([]byte, 0, bodySize)
	defer func() { clear(body[:bodySize]) }()
	body = append(body, s.Set[:]...)
	body = append(body, byte(s.Threshold), byte(s.Index))
	body = append(body, s.value[:]...)
	body = append(body, checksum(body)...)
	out := make([]byte, 0, len(prefix)+digits+digits/groupSize)
	out = append(out, prefix...)
	var buffer, bits uint
	for _, b := range body {
		buffer, bits = buffer<<8|uint(b), bits+8
		for bits >= 5 {
			bits -= 5
			if n := len(out) - len(prefix); n%(groupSize+1) == groupSize {
				out = append(out, '-')
			}
			out = append(out, digit(byte(buffer>>bits)&31))
		}
	}
	return out
}

// Parse reads what Text wrote, as people type it: in any case, with white
// space and hyphens where they like, with O for 0 and I or L for 1. It does
// not keep text.
func Parse(text []byte) (Share, error) {
	text = bytes.TrimSpace(text)
	if len(text) > MaxText {
		return Share{}, ErrTypo
	}
	if len(text) < len(prefix) || !strings.EqualFold(string(text[:len(prefix)]), prefix) {
		if len(text) > len(prefix) && strings.EqualFold(string(text[:len(prefix)-2]), prefix[:len(prefix)-2]) && text[len(prefix)-2] > '1' && text[len(prefix)-2] <= '9' {
			return Share{}, ErrVersion
		}
		return Share{}, ErrPrefix
	}
	body := make([]byte, 0, bodySize)
	defer func() { clear(body[:cap(body)]) }()
	var buffer, bits uint
	for _, c := range text[len(prefix):] {
		if c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			continue
		}
		v, ok := value(c)
		if !ok || len(body) == bodySize {
			return Share{}, ErrTypo
		}
		buffer, bits = buffer<<5|uint(v), bits+5
		if bits >= 8 {
			bits -= 8
			body = append(body, byte(buffer>>bits))
		}
	}
	if len(body) != bodySize || bits != 0 || !bytes.Equal(checksum(body[:bodySize-checksumSize]), body[bodySize-checksumSize:]) {
		return Share{}, ErrTypo
	}
	s := Share{Set: Set(body[:setSize]), Threshold: int(body[setSize]), Index: int(body[setSize+1])}
	copy(s.value[:], body[setSize+2:])
	if s.Threshold < 2 || s.Index < 1 {
		s.Wipe()
		return Share{}, ErrTypo
	}
	return s, nil
}

// checksum tells a mistyped share from a wrong one; it is not a protection.
func checksum(body []byte) []byte {
	h := sha256.New()
	h.Write([]byte(prefix))
	h.Write(body)
	return h.Sum(nil)[:checksumSize]
}

// digit writes five bits in Crockford's base 32, in lower case, without a
// table that a secret would index.
func digit(v byte) byte {
	d := '0' + v
	for _, gap := range []struct{ from, add byte }{{10, 'a' - '0' - 10}, {18, 1}, {20, 1}, {22, 1}, {27, 1}} { // no i, l, o, u
		d += gap.add & -(1 - (v-gap.from)>>7)
	}
	return d
}

// value is the inverse of digit. It looks at what a person typed: its time
// depends on characters, not on where they are.
func value(c byte) (byte, bool) {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	switch {
	case c == 'o':
		return 0, true
	case c == 'i' || c == 'l':
		return 1, true
	}
	for v := range byte(32) {
		if digit(v) == c {
			return v, true
		}
	}
	return 0, false
}
