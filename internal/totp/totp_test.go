package totp

import (
	"testing"
	"time"
)

// The vectors of RFC 6238 appendix B for SHA-1, cut to six digits.
func TestCodesAreThoseOfTheRFC(t *testing.T) {
	secret := []byte("12345678901234567890")
	for unix, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := Code(secret, Step(time.Unix(unix, 0))); got != want {
			t.Errorf("at %d: %s, want %s", unix, got, want)
		}
	}
}

func TestCodeServesOnceAndForAMinuteEitherWay(t *testing.T) {
	secret := []byte("12345678901234567890")
	now := time.Unix(1_700_000_010, 0)
	for off := -4; off <= 4; off++ {
		step, ok := Verify(secret, Code(secret, Step(now)+int64(off)), now, 0)
		if want := off >= -2 && off <= 2; ok != want || ok && step != Step(now)+int64(off) {
			t.Errorf("%d periods off: %v", off, ok)
		}
	}
	code := Code(secret, Step(now))
	step, _ := Verify(secret, code, now, 0)
	if _, again := Verify(secret, code, now, step); again {
		t.Error("a code serves twice")
	}
	for _, wrong := range []string{"", "12345", "1234567", "abcdef", "      "} {
		if _, ok := Verify(secret, wrong, now, 0); ok {
			t.Errorf("%q is right", wrong)
		}
	}
}

func TestSecretIsAsAppsReadIt(t *testing.T) {
	secret := []byte("12345678901234567890")
	if Text(secret) != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" {
		t.Error(Text(secret))
	}
	const want = "otpauth://totp/VaultPAM:a+b@example.com?algorithm=SHA1&digits=6&issuer=VaultPAM&period=30&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	if got := URL("VaultPAM", "a+b@example.com", secret); got != want {
		t.Error(got)
	}
}
