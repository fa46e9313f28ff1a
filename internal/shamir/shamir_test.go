package shamir

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"testing"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// The field as a book would define it: polynomials, divided by 0x11b.
func slowMul(a, b byte) byte {
	var product uint16
	for i := range 8 {
		if b>>i&1 == 1 {
			product ^= uint16(a) << i
		}
	}
	for i := 15; i >= 8; i-- {
		if product>>i&1 == 1 {
			product ^= 0x11b << (i - 8)
		}
	}
	return byte(product)
}

func TestTheFieldIsThatOfAES(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			if got, want := mul(byte(a), byte(b)), slowMul(byte(a), byte(b)); got != want {
				t.Fatalf("%#x times %#x is %#x, want %#x", a, b, got, want)
			}
		}
		if a > 0 && mul(byte(a), inverse(byte(a))) != 1 {
			t.Errorf("%#x has no inverse", a)
		}
	}
	// FIPS 197, section 4.2.
	if mul(0x57, 0x83) != 0xc1 || mul(0x57, 0x13) != 0xfe {
		t.Error("not the field of FIPS 197")
	}
}

// Every threshold of shares gives the secret, in any order, and one share
// fewer is as likely to come from any other secret.
func TestAnyThresholdOfSharesBringsTheSecretBack(t *testing.T) {
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	for range 300 {
		n := 2 + rng.IntN(12)
		threshold := 2 + rng.IntN(n-1)
		secret := make([]byte, 1+rng.IntN(64))
		_, err := rand.Read(secret)
		check(t, err)
		shares, err := Split(secret, n, threshold, rand.Reader)
		check(t, err)
		rng.Shuffle(n, func(i, j int) { shares[i], shares[j] = shares[j], shares[i] })
		for m := threshold; m <= n; m++ {
			got, err := Combine(shares[:m])
			if err != nil || !bytes.Equal(got, secret) {
				t.Fatalf("%d of %d shares, threshold %d: %v", m, n, threshold, err)
			}
		}
		if threshold > 2 && len(secret) >= 16 {
			if got, err := Combine(shares[:threshold-1]); err != nil || bytes.Equal(got, secret) {
				t.Fatalf("%d shares of threshold %d gave the secret: %v", threshold-1, threshold, err)
			}
		}
	}
}

// With one share missing, each secret is possible: for a secret byte there is
// exactly one polynomial through the known shares.
func TestFewerSharesSayNothing(t *testing.T) {
	const threshold = 3
	shares, err := Split([]byte{0x2a}, 5, threshold, rand.Reader)
	check(t, err)
	possible := map[byte]bool{}
	for y := range 256 {
		got, err := Combine([][]byte{shares[0], shares[1], {9, byte(y)}})
		check(t, err)
		possible[got[0]] = true
	}
	if len(possible) != 256 {
		t.Errorf("two of three shares leave %d secrets possible", len(possible))
	}
}

func TestTheLargestSplitWorks(t *testing.T) {
	secret := []byte("the largest")
	shares, err := Split(secret, MaxShares, MaxShares, rand.Reader)
	check(t, err)
	got, err := Combine(shares)
	if err != nil || !bytes.Equal(got, secret) {
		t.Errorf("combine: %v", err)
	}
}

// By hand: f(x) = 0x2a + 0x05x + 0x07x², at 1, 2 and 3.
func TestAKnownPolynomial(t *testing.T) {
	shares, err := Split([]byte{0x2a}, 3, 3, bytes.NewReader([]byte{0x05, 0x07}))
	check(t, err)
	want := [][]byte{{1, 0x2a ^ 0x05 ^ 0x07}, {2, 0x2a ^ 0x0a ^ 0x1c}, {3, 0x2a ^ 0x0f ^ 0x1b}}
	for i := range want {
		if !bytes.Equal(shares[i], want[i]) {
			t.Errorf("share %d is %x, want %x", i, shares[i], want[i])
		}
	}
}

func TestWhatCannotBeSplitOrCombinedIsRefused(t *testing.T) {
	for _, c := range []struct{ secret, shares, threshold int }{{0, 5, 3}, {1, 5, 1}, {1, 5, 0}, {1, 5, 6}, {1, 256, 2}, {1, 1, 1}, {1, -1, -1}} {
		if _, err := Split(make([]byte, c.secret), c.shares, c.threshold, rand.Reader); !errors.Is(err, ErrParameters) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := Split([]byte{1}, 3, 3, bytes.NewReader([]byte{1})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too little randomness: %v", err)
	}
	for want, shares := range map[error][][]byte{
		ErrTooFew:    {{1, 1}},
		ErrLength:    {{1, 1}, {2, 1, 1}},
		ErrDuplicate: {{1, 1}, {1, 2}},
	} {
		if _, err := Combine(shares); !errors.Is(err, want) {
			t.Errorf("%v: %v", want, err)
		}
	}
	if _, err := Combine([][]byte{{0, 1}, {1, 1}}); !errors.Is(err, ErrLength) {
		t.Errorf("a share at 0 would be the secret itself: %v", err)
	}
	if _, err := Combine([][]byte{{1}, {2}}); !errors.Is(err, ErrLength) {
		t.Errorf("empty shares: %v", err)
	}
}
