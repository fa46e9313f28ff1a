// Package totp is one-time codes by time (RFC 6238): six digits, new every 30
// seconds, by HMAC-SHA-1, which is what authenticator apps know.
//
// It owns the arithmetic. It keeps nothing: whoever accepts a code remembers
// its step, so that it serves once.
package totp

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 section 1.2; HMAC does not need collision resistance
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"
)

const (
	// SecretSize is how long a secret is, in bytes (RFC 4226 section 4, R6).
	SecretSize = 20
	// Digits is how long a code is.
	Digits = 6
	// Period is how long a code is the present one.
	Period = 30 * time.Second
	// Skew is how many periods a clock may be wrong, either way: 60 seconds.
	Skew = 2
)

// Step is the number of the period that a time falls into.
func Step(t time.Time) int64 { return t.Unix() / int64(Period/time.Second) }

// Code is the code of a secret for a step.
func Code(secret []byte, step int64) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(step))
	m := hmac.New(sha1.New, secret)
	m.Write(counter[:])
	sum := m.Sum(nil)
	at := sum[len(sum)-1] & 0xf // RFC 4226 section 5.3
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", Digits, n%1_000_000)
}

// Verify finds the step for which a code is right, around the time now and
// after the step last, which has served. It takes as long for a wrong code as
// for a right one.
func Verify(secret []byte, code string, now time.Time, last int64) (step int64, ok bool) {
	for s := Step(now) - Skew; s <= Step(now)+Skew; s++ {
		if subtle.ConstantTimeCompare([]byte(Code(secret, s)), []byte(code)) == 1 && s > last && !ok {
			step, ok = s, true
		}
	}
	return step, ok
}

// Text is a secret as people type it: base32, upper case, without padding
// (RFC 4648 section 6).
func Text(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// URL is what an authenticator app reads from a QR code (the otpauth scheme of
// Google Authenticator's key URI format).
func URL(issuer, account string, secret []byte) string {
	q := url.Values{"secret": {Text(secret)}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {fmt.Sprint(Digits)}, "period": {fmt.Sprint(int(Period / time.Second))}}
	return (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account, RawQuery: q.Encode()}).String()
}
