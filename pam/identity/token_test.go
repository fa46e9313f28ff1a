package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestTokensAreLongAndNeverTheSame(t *testing.T) {
	seen := map[string]bool{}
	for _, prefix := range []string{loginPrefix, accessPrefix} {
		for range 1000 {
			v, hash, err := newToken(prefix, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			token := string(v.Expose())
			if len(token) != tokenLength || !strings.HasPrefix(token, prefix) || strings.Trim(token[4:], base62) != "" {
				t.Fatalf("%q", token)
			}
			if seen[token] {
				t.Fatalf("%q twice", token)
			}
			seen[token] = true
			if got, ok := parseToken(token, loginPrefix, accessPrefix); !ok || got != hash || hash != sha256.Sum256([]byte(token)) {
				t.Fatalf("%q is not taken for what it is", token)
			}
		}
	}
	// Every bit of the randomness is in it.
	zero, _, _ := newToken(loginPrefix, bytes.NewReader(make([]byte, 32)))
	for bit := range 256 {
		raw := make([]byte, 32)
		raw[bit/8] = 1 << (bit % 8)
		if v, _, err := newToken(loginPrefix, bytes.NewReader(raw)); err != nil || v.Equal(zero) {
			t.Errorf("bit %d makes no difference", bit)
		}
	}
}

func TestNoTokenIsMadeOfTooLittleRandomness(t *testing.T) {
	broken := errors.New("broken")
	for what, random := range map[string]io.Reader{"none": bytes.NewReader(nil), "a byte too few": bytes.NewReader(make([]byte, 31)), "a broken source": iotest.ErrReader(broken)} {
		if v, hash, err := newToken(loginPrefix, random); err == nil || !v.Empty() || hash != [32]byte{} {
			t.Errorf("%s: there is a token", what)
		}
	}
}

// A slip of the pen is told from a token without a look-up.
func TestTokenWithAnyOtherCharacterIsNone(t *testing.T) {
	v, _, err := newToken(loginPrefix, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token := string(v.Expose())
	for i := range token {
		for c := range 256 {
			if byte(c) == token[i] {
				continue
			}
			if other := token[:i] + string([]byte{byte(c)}) + token[i+1:]; wellFormed(other) {
				t.Errorf("%q for %q", other, token)
			}
		}
		if i > 0 && token[i] != token[i-1] {
			if other := token[:i-1] + string([]byte{token[i], token[i-1]}) + token[i+1:]; wellFormed(other) {
				t.Errorf("%q for %q", other, token)
			}
		}
		if wellFormed(token[:i]) || wellFormed(token[i+1:]) {
			t.Errorf("a part of %q", token)
		}
	}
	for _, other := range []string{token + "0", token + "\n", " " + token, token + token, "Bearer " + token, strings.ToLower(token), strings.ToUpper(token)} {
		if wellFormed(other) {
			t.Errorf("%q for %q", other, token)
		}
	}
}

func wellFormed(token string) bool { _, ok := parseToken(token, loginPrefix, accessPrefix); return ok }

// What is looked up is the hash of exactly what was sent, and only if it has
// the form of what we make.
func FuzzToken(f *testing.F) {
	for _, prefix := range []string{loginPrefix, accessPrefix} {
		v, _, err := newToken(prefix, bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
		if err != nil {
			f.Fatal(err)
		}
		good := string(v.Expose())
		for _, s := range []string{good, good[4:], good[:len(good)-1], good + "x", "vpx_" + good[4:], strings.Repeat("\xff", tokenLength), prefix + strings.Repeat("0", tokenLength-4)} {
			f.Add(s)
		}
		body := prefix + strings.Repeat("-", randomDigits)
		f.Add(body + checksum(body))
		body = prefix + strings.Repeat("z", randomDigits) // more than 256 bits
		f.Add(body + checksum(body))
	}
	f.Fuzz(func(t *testing.T, s string) {
		hash, ok := parseToken(s, loginPrefix, accessPrefix)
		if !ok {
			if hash != [32]byte{} {
				t.Fatalf("%q is refused and has a hash", s)
			}
			return
		}
		if hash != sha256.Sum256([]byte(s)) || len(s) != tokenLength || s[:4] != loginPrefix && s[:4] != accessPrefix || strings.Trim(s[4:], base62) != "" {
			t.Fatalf("%q is taken", s)
		}
	})
}
