package sealshamir

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/shamir"
	"vaultpam/vault"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var (
	ad    = []byte("associated")
	value = []byte("a list of root keys")
)

// sealed returns texts of shares, and what they open.
func sealed(tb testing.TB, shares, threshold int) (texts [][]byte, wrapped []byte) {
	tb.Helper()
	s, dealt, err := Deal(shares, threshold, clock.Real{}, rand.Reader)
	check(tb, err)
	for i := range dealt {
		texts = append(texts, dealt[i].Text())
	}
	wrapped, err = s.Wrap(tb.Context(), value, ad)
	check(tb, err)
	return texts, wrapped
}

func waiting(tb testing.TB) (*Seal, *clock.Manual) {
	c := clock.NewManual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	return New(c, rand.Reader), c
}

func offer(t *testing.T, s *Seal, wrapped, text []byte, want int) {
	t.Helper()
	p, err := s.Offer(wrapped, text)
	if err != nil || p.Given != want {
		t.Errorf("offered: %+v, %v, want %d", p, err, want)
	}
}

func TestThresholdSharesOpenTheVaultAndFewerDoNot(t *testing.T) {
	texts, wrapped := sealed(t, 5, 3)
	s, _ := waiting(t)
	if _, err := s.Unwrap(t.Context(), wrapped, ad); !errors.Is(err, vault.ErrNotYet) {
		t.Errorf("without shares: %v", err)
	}
	if _, err := s.Wrap(t.Context(), value, ad); !errors.Is(err, vault.ErrNotYet) {
		t.Errorf("wrapped without shares: %v", err)
	}
	for i, n := range []int{4, 0, 2} {
		offer(t, s, wrapped, texts[n], i+1)
		got, err := s.Unwrap(t.Context(), wrapped, ad)
		if i < 2 && !errors.Is(err, vault.ErrNotYet) || i == 2 && (err != nil || !bytes.Equal(got.Expose(), value)) {
			t.Errorf("with %d shares: %v", i+1, err)
		}
	}
	if p, err := s.Progress(wrapped); err != nil || p != (Progress{3, 5, 0}) {
		t.Errorf("the shares are kept after they did their work: %+v, %v", p, err)
	}
	// Open, it wraps anew for the same shares, as a rotation of root keys does.
	again, err := s.Wrap(t.Context(), []byte("two root keys"), ad)
	check(t, err)
	s.Forget()
	if _, err := s.Unwrap(t.Context(), again, ad); !errors.Is(err, vault.ErrNotYet) {
		t.Errorf("after it forgot: %v", err)
	}
	for i, n := range []int{1, 3, 0} {
		offer(t, s, again, texts[n], i+1)
	}
	if got, err := s.Unwrap(t.Context(), again, ad); err != nil || string(got.Expose()) != "two root keys" {
		t.Errorf("wrapped anew: %v", err)
	}
}

func TestAShareThatIsGivenTwiceCountsOnce(t *testing.T) {
	texts, wrapped := sealed(t, 3, 2)
	s, _ := waiting(t)
	for range 5 {
		offer(t, s, wrapped, texts[1], 1)
		offer(t, s, wrapped, bytes.ToUpper(texts[1]), 1)
	}
	if _, err := s.Unwrap(t.Context(), wrapped, ad); !errors.Is(err, vault.ErrNotYet) {
		t.Errorf("one share opened the vault: %v", err)
	}
}

func TestForeignAndDamagedSharesAreNotTaken(t *testing.T) {
	texts, wrapped := sealed(t, 3, 2)
	others, _ := sealed(t, 3, 2)
	s, _ := waiting(t)
	offer(t, s, wrapped, texts[0], 1)
	for want, text := range map[error][]byte{
		ErrOtherVault: others[1], shamir.ErrTypo: texts[1][:len(texts[1])-1], shamir.ErrPrefix: []byte("vps_token"),
	} {
		if _, err := s.Offer(wrapped, text); !errors.Is(err, want) {
			t.Errorf("%v: %v", want, err)
		}
	}
	offer(t, s, wrapped, texts[2], 2)
	if _, err := s.Unwrap(t.Context(), wrapped, ad); err != nil {
		t.Errorf("refused shares have done harm: %v", err)
	}
}

// liar makes a share with a checksum that fits and a value that does not: of
// another key, put under the set and number of the true one.
func liar(t *testing.T, text []byte) []byte {
	t.Helper()
	s, err := shamir.Parse(text)
	check(t, err)
	dealt, err := shamir.Deal(bytes.Repeat([]byte{9}, 32), 5, s.Threshold, rand.Reader)
	check(t, err)
	lie := dealt[s.Index-1]
	lie.Set = s.Set
	return lie.Text()
}

func TestAfterAWrongCombinationAllIsDropped(t *testing.T) {
	texts, wrapped := sealed(t, 3, 2)
	s, _ := waiting(t)
	offer(t, s, wrapped, texts[0], 1)
	offer(t, s, wrapped, liar(t, texts[1]), 2)
	if _, err := s.Offer(wrapped, texts[1]); !errors.Is(err, ErrContradict) {
		t.Errorf("two shares of one number: %v", err)
	}
	if _, err := s.Unwrap(t.Context(), wrapped, ad); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("a lie: %v", err)
	}
	if _, err := s.Unwrap(t.Context(), wrapped, ad); !errors.Is(err, vault.ErrNotYet) {
		t.Errorf("the lie was kept: %v", err)
	}
	offer(t, s, wrapped, texts[0], 1)
	offer(t, s, wrapped, texts[1], 2)
	if _, err := s.Unwrap(t.Context(), wrapped, ad); err != nil {
		t.Errorf("the truth, after a lie: %v", err)
	}
}

func TestSharesAreForgottenAfterAQuarterOfAnHour(t *testing.T) {
	texts, wrapped := sealed(t, 3, 2)
	s, c := waiting(t)
	offer(t, s, wrapped, texts[0], 1)
	kept := s.given[:1]
	c.Advance(Patience - time.Second)
	offer(t, s, wrapped, texts[0], 1) // does not begin anew
	c.Advance(time.Second)
	if p, err := s.Progress(wrapped); err != nil || p.Given != 0 {
		t.Errorf("after a quarter of an hour: %+v, %v", p, err)
	}
	if kept[0] != (given{}) {
		t.Error("it was not wiped")
	}
	offer(t, s, wrapped, texts[1], 1)
	s.Drop()
	offer(t, s, wrapped, texts[2], 1)
}

func TestAnAlteredRowIsFoundOut(t *testing.T) {
	texts, wrapped := sealed(t, 3, 2)
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 0x80
		for _, b := range [][]byte{bad, wrapped[:i]} {
			s, _ := waiting(t)
			for _, text := range texts[:2] {
				_, _ = s.Offer(b, text)
			}
			if got, err := s.Unwrap(t.Context(), b, ad); err == nil || !got.Empty() {
				t.Errorf("altered or cut at byte %d: unwrapped", i)
			}
		}
	}
	s, _ := waiting(t)
	offer(t, s, wrapped, texts[0], 1)
	offer(t, s, wrapped, texts[1], 2)
	_, err := s.Unwrap(t.Context(), wrapped, ad)
	check(t, err)
	bad := bytes.Clone(wrapped)
	bad[len(bad)-1] ^= 1
	if _, err := s.Unwrap(t.Context(), bad, ad); !errors.Is(err, ErrAltered) {
		t.Errorf("altered while it is open: %v", err)
	}
	if _, err := s.Unwrap(t.Context(), wrapped, []byte("something else")); err == nil {
		t.Error("unwrapped for another purpose")
	}
	if _, err := s.Unwrap(t.Context(), wrapped, ad); err != nil {
		t.Errorf("the true one, after that: %v", err)
	}
}

func FuzzUnwrap(f *testing.F) {
	_, wrapped := sealed(f, 3, 2)
	f.Add(wrapped)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		s, _ := waiting(t)
		if got, err := s.Unwrap(t.Context(), wrapped, ad); err == nil || !got.Empty() {
			t.Error("opened without shares")
		}
		_, _ = s.Offer(wrapped, []byte("vpshare1-"))
	})
}

// counter is randomness that anybody can make again: 0, 1, 2, …
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(*c)
		*c++
	}
	return len(p), nil
}

// The vector of docs/formats/envelope.md: key, set, coefficients and nonce from
// one sequence of bytes. What this version wraps, every later one opens.
func TestVector(t *testing.T) {
	s, shares, err := Deal(3, 2, clock.Real{}, new(counter))
	check(t, err)
	wrapped, err := s.Wrap(t.Context(), value, ad)
	check(t, err)
	if got := hex.EncodeToString(wrapped); got != vector {
		t.Errorf("wrapped as %s", got)
	}
	again, _ := waiting(t)
	old, err := hex.DecodeString(vector)
	check(t, err)
	offer(t, again, old, shares[2].Text(), 1)
	offer(t, again, old, shares[0].Text(), 2)
	if got, err := again.Unwrap(t.Context(), old, ad); err != nil || !bytes.Equal(got.Expose(), value) {
		t.Errorf("unwrap: %v", err)
	}
}

const vector = "012021222324250203464748494a4b4c4d4e4f5051aada76063e0b814fa3eceff8add47187d1be74728d3c6def51a6a4e400333c3dfbc3e7"
