// Package shamir splits a secret so that some of its shares bring it back, and
// fewer say nothing of it.
//
// It owns the arithmetic and the text that a share is written in
// (docs/formats/share.md). It must not know what the secret opens, and keeps
// none. Start at [Deal] for shares that people hold, at [Split] for the bytes.
package shamir

import (
	"errors"
	"io"
)

// MaxShares is how many shares a secret can have: each has a point of its own
// in a field of 256 elements, and the secret is at 0.
const MaxShares = 255

// Errors of Split and Combine.
var (
	ErrParameters = errors.New("shamir: the threshold is at least 2 and at most the number of shares, which is at most 255; the secret is not empty")
	ErrLength     = errors.New("shamir: the shares are of different lengths, or too short")
	ErrDuplicate  = errors.New("shamir: a share is there twice")
	ErrTooFew     = errors.New("shamir: there are fewer shares than needed")
)

// Split returns shares, of which any threshold bring the secret back by
// Combine. A share is its point, a byte from 1, and one byte for each of the
// secret: the value at that point of a random polynomial of degree threshold-1
// that has the secret's byte at 0. The caller clears secret and shares.
func Split(secret []byte, shares, threshold int, random io.Reader) ([][]byte, error) {
	if threshold < 2 || threshold > shares || shares > MaxShares || len(secret) == 0 {
		return nil, ErrParameters
	}
	coefficients := make([]byte, len(secret)*(threshold-1)) // of x, x², …, for each byte of the secret
	defer clear(coefficients)
	if _, err := io.ReadFull(random, coefficients); err != nil {
		return nil, err
	}
	out := make([][]byte, shares)
	for i := range out {
		x := byte(i + 1)
		out[i] = make([]byte, 1+len(secret))
		out[i][0] = x
		for j, s := range secret {
			poly := coefficients[j*(threshold-1) : (j+1)*(threshold-1)]
			var y byte
			for k := len(poly) - 1; k >= 0; k-- {
				y = mul(y^poly[k], x)
			}
			out[i][1+j] = y ^ s
		}
	}
	return out, nil
}

// Combine brings a secret back. It cannot know how many shares are needed:
// with fewer, or with a wrong one, the result is another secret. Whoever needs
// to know protects the secret with an authenticated cipher.
func Combine(shares [][]byte) ([]byte, error) {
	if len(shares) < 2 {
		return nil, ErrTooFew
	}
	if len(shares) > MaxShares {
		return nil, ErrParameters
	}
	var seen [256]bool
	for _, s := range shares {
		if len(s) < 2 || len(s) != len(shares[0]) || s[0] == 0 {
			return nil, ErrLength
		}
		if seen[s[0]] {
			return nil, ErrDuplicate
		}
		seen[s[0]] = true
	}
	out := make([]byte, len(shares[0])-1)
	for i, s := range shares {
		// The Lagrange coefficient of this point at 0; minus is plus here.
		weight := byte(1)
		for j, other := range shares {
			if i != j {
				weight = mul(weight, mul(other[0], inverse(other[0]^s[0])))
			}
		}
		for j := range out {
			out[j] ^= mul(weight, s[1+j])
		}
	}
	return out, nil
}

// mul multiplies in GF(2⁸) modulo x⁸+x⁴+x³+x+1, the field of AES. It looks up
// no table and branches on no bit, so that its time says nothing of a secret.
func mul(a, b byte) byte {
	var product byte
	for range 8 {
		product ^= a & -(b & 1)
		a = a<<1 ^ 0x1b&-(a>>7)
		b >>= 1
	}
	return product
}

// inverse is a²⁵⁴, which is 1/a, and 0 for 0.
func inverse(a byte) byte {
	out := byte(1)
	for range 7 { // 254 = 2+4+8+16+32+64+128
		a = mul(a, a)
		out = mul(out, a)
	}
	return out
}
