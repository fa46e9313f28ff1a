package shamir

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// sequence is randomness that anybody can make again: 0, 1, 2, …
type sequence byte

func (s *sequence) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(*s)
		*s++
	}
	return len(p), nil
}

// The vectors of docs/formats/share.md: the key 0x80…0x9f, randomness 0, 1, 2….
var vectors = []string{
	"vpshare1-000g40r4-0m1g30c0-ge18b147-gt4rh2wa-hp68z3mh-j29s55cm-jyb9k64v-kaess7wy-ekqgs6wh",
	"vpshare1-000g40r4-0m1g545n-qaqt9rfe-zfwdvmp7-sh4mcmt0-cnn7yx1h-7rnjg382-2we0438r-4yh46k4h",
	"vpshare1-000g40r4-0m1g74dm-qeqabr7f-zbwxsmy6-sn44emj1-chnqwx9g-7wn2j303-2reg630s-mw8wfk6p",
	"vpshare1-000g40r4-0m1g9t1h-39hmskq5-kjxp4j9g-3wng0yae-jyycbtk8-8cx1vh7f-jtwznmd8-1fxd2229",
	"vpshare1-000g40r4-0m1gbt9g-3dh4vkz4-kpx66j1h-3rn02y2f-jtyw9tv9-88xhshfe-jywfqm59-05tkfajb",
}

func dealt(tb testing.TB) ([]byte, []Share) {
	tb.Helper()
	key := make([]byte, KeySize)
	for i := range key {
		key[i] = byte(0x80 + i)
	}
	shares, err := Deal(key, 5, 3, new(sequence))
	check(tb, err)
	return key, shares
}

func TestVectors(t *testing.T) {
	key, shares := dealt(t)
	var parsed []Share
	for i := range shares {
		if i >= len(vectors) || string(shares[i].Text()) != vectors[i] {
			t.Errorf("share %d is %s", i+1, shares[i].Text())
			continue
		}
		s, err := Parse([]byte(vectors[i]))
		check(t, err)
		parsed = append(parsed, s)
	}
	if t.Failed() {
		return
	}
	got, err := Gather(parsed[1:4])
	if err != nil || !bytes.Equal(got, key) {
		t.Errorf("gather: %v", err)
	}
}

func TestWhatWasWrittenIsReadAsPeopleTypeIt(t *testing.T) {
	_, shares := dealt(t)
	for i := range shares {
		text := string(shares[i].Text())
		bare := strings.ReplaceAll(text[len(prefix):], "-", "")
		for _, typed := range []string{
			text, "  " + text + "\n", strings.ToUpper(text), prefix + bare, prefix + strings.ReplaceAll(text[len(prefix):], "-", " \t"),
			prefix + strings.NewReplacer("0", "O", "1", "l").Replace(bare), prefix + strings.NewReplacer("0", "o", "1", "I").Replace(bare),
		} {
			s, err := Parse([]byte(typed))
			if err != nil || s != shares[i] {
				t.Errorf("%s: %v", typed, err)
			}
		}
	}
}

func TestATypoIsToldApart(t *testing.T) {
	_, shares := dealt(t)
	text := shares[0].Text()
	for i := range text {
		if text[i] == '-' {
			continue
		}
		for _, c := range []byte("0123456789abcdefghjkmnpqrstvwxyz!\x10\xff") {
			bad := bytes.Clone(text)
			bad[i] = c
			if c == text[i] || value2(c) == value2(text[i]) && i >= len(prefix) {
				continue
			}
			s, err := Parse(bad)
			if i >= len(prefix) && !errors.Is(err, ErrTypo) || err == nil || s != (Share{}) {
				t.Errorf("character %d as %q: %v", i, c, err)
			}
		}
	}
	for n := range len(text) {
		if _, err := Parse(text[:n]); err == nil {
			t.Errorf("cut to %d characters", n)
		}
	}
	swapped := bytes.Clone(text)
	swapped[20], swapped[21] = swapped[21], swapped[20]
	for what, c := range map[string]struct {
		text string
		want error
	}{
		"swapped": {string(swapped), ErrTypo}, "longer": {string(text) + "0", ErrTypo}, "huge": {string(text) + strings.Repeat("-", MaxText), ErrTypo},
		"a newer version": {"vpshare2-" + string(text[len(prefix):]), ErrVersion}, "a login token": {"vps_0000000000000000", ErrPrefix}, "nothing": {"", ErrPrefix}, "the prefix": {prefix, ErrTypo},
	} {
		if _, err := Parse([]byte(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

func value2(c byte) byte {
	v, ok := value(c)
	if !ok {
		return 0xff
	}
	return v
}

func TestSharesOfAnotherSetAndDuplicatesAreToldApart(t *testing.T) {
	key, shares := dealt(t)
	others, err := Deal(key, 5, 3, rand.Reader)
	check(t, err)
	for want, some := range map[error][]Share{
		ErrTooFew: shares[:2], ErrOtherSet: {shares[0], shares[1], others[2]}, ErrDuplicate: {shares[0], shares[1], shares[0]},
	} {
		if _, err := Gather(some); !errors.Is(err, want) {
			t.Errorf("%v: %v", want, err)
		}
	}
	if _, err := Gather(nil); !errors.Is(err, ErrTooFew) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := Deal(key[:31], 5, 3, rand.Reader); !errors.Is(err, ErrParameters) {
		t.Errorf("a short key: %v", err)
	}
	lie := shares[0]
	lie.value[7] ^= 1
	got, err := Gather([]Share{lie, shares[1], shares[2]})
	if err != nil || bytes.Equal(got, key) {
		t.Errorf("a lie is not seen here, but gives no key: %v", err)
	}
	if !shares[1].Equal(&shares[1]) || shares[1].Equal(&shares[2]) || shares[1].Equal(&others[1]) {
		t.Error("shares are confused")
	}
}

func TestAShareRefusesToBePrinted(t *testing.T) {
	s := Share{Set: Set{1}, Threshold: 2, Index: 1}
	copy(s.value[:], "canary-canary-canary-canary-0123")
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%X"} {
		fmt.Fprintf(&out, verb, s)
		fmt.Fprintf(&out, verb, &s)
		fmt.Fprintf(&out, verb, []Share{s})
		fmt.Fprintf(&out, verb, struct{ S Share }{s})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "share", s, "pointer", &s)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "share", s, "all", []Share{s})
	if text := out.String(); strings.Contains(text, "canary") || strings.Contains(text, "63616e617279") || strings.Contains(text, "99 97 110") {
		t.Error(text)
	}
	if data, err := json.Marshal(s); err == nil {
		t.Errorf("marshalled as %s", data)
	}
	s.Wipe()
	if s != (Share{}) {
		t.Error("not wiped")
	}
}

func FuzzParse(f *testing.F) {
	_, shares := dealt(f)
	for i := range shares {
		f.Add(shares[i].Text())
	}
	f.Add([]byte("vpshare1-"))
	f.Add([]byte("vpshare9-0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			if s != (Share{}) {
				t.Error("an error with a share")
			}
			return
		}
		again, err := Parse(s.Text())
		if err != nil || again != s {
			t.Errorf("not the same again: %v", err)
		}
	})
}
