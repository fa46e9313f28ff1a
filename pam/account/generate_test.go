package account

import (
	"crypto/rand"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func generated(t *testing.T, p GenerationPolicy) string {
	t.Helper()
	c, err := Generate(p, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(c.Value.Expose())
}

func TestGeneratedPasswordSatisfiesItsPolicy(t *testing.T) {
	none := ""
	for _, p := range []GenerationPolicy{
		{Kind: Password},
		{Kind: Database, Length: 8},
		{Kind: Token, Length: 128},
		{Kind: Password, Length: 20, Classes: map[string]int{"lower": 0, "digit": 18}},
		{Kind: Password, Length: 16, Classes: map[string]int{"upper": 4, "lower": 4, "digit": 4, "symbol": 4}, Symbols: `!"#$%&`, Exclude: &none},
		{Kind: Password, Length: 40, Classes: map[string]int{"digit": 0}},
	} {
		for range 200 {
			v := generated(t, p)
			if len(v) != p.length() {
				t.Fatalf("%+v made %d characters", p, len(v))
			}
			want := p.Classes
			if len(want) == 0 {
				want = map[string]int{"lower": 1, "upper": 1, "digit": 1, "symbol": 1}
			}
			got := map[string]int{}
			for _, r := range v {
				switch {
				case r >= 'a' && r <= 'z':
					got["lower"]++
				case r >= 'A' && r <= 'Z':
					got["upper"]++
				case r >= '0' && r <= '9':
					got["digit"]++
				case symbol(r):
					got["symbol"]++
				}
			}
			for name, n := range got {
				if _, used := want[name]; !used || n < want[name] {
					t.Fatalf("%+v made %q", p, v)
				}
			}
			for name, least := range want {
				if got[name] < least {
					t.Fatalf("%+v made %q", p, v)
				}
			}
			if p.Exclude == nil && strings.ContainsAny(v, ambiguous) {
				t.Fatalf("%q has a character that people take for another", v)
			}
			if p.Symbols == "" && strings.ContainsAny(v, " !\"#$%&'()*+-/;<=>?@[\\]^`{|}~") {
				t.Fatalf("%q has a character that means something to a shell", v)
			}
		}
	}
}

// What was counted is what an enumeration finds, for sets small enough.
func TestWaysAreCountedRight(t *testing.T) {
	c := counts{length: 5, classes: []class{{"ab", 1}, {"XYZ", 0}, {"1", 2}}}
	c.tally()
	var n int64
	for i := range 6 * 6 * 6 * 6 * 6 {
		var got [3]int
		for range 5 {
			got[[]int{0, 0, 1, 1, 1, 2}[i%6]]++
			i /= 6
		}
		if got[0] >= 1 && got[2] >= 2 {
			n++
		}
	}
	if c.ways[0][5].Cmp(big.NewInt(n)) != 0 {
		t.Fatalf("counted %v ways, there are %d", c.ways[0][5], n)
	}
	if got := c.bits(); math.Abs(got-math.Log2(float64(n))) > 1e-9 {
		t.Fatalf("%v bits", got)
	}
}

// Every secret of a small policy comes as often as every other. The bound is
// what chance exceeds less than once in ten million runs.
func TestEverySecretOfAPolicyIsAsLikely(t *testing.T) {
	c := counts{length: 4, classes: []class{{"ab", 1}, {"XYZ", 0}, {"1", 1}}}
	c.tally()
	cells := int(c.ways[0][4].Int64())
	const each = 200
	seen := map[string]int{}
	for range cells * each {
		v, err := c.choose(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(v.Expose())]++
	}
	if len(seen) != cells {
		t.Fatalf("%d of %d came up", len(seen), cells)
	}
	chi := 0.0
	for _, n := range seen {
		chi += float64((n-each)*(n-each)) / each
	}
	if df := float64(cells - 1); (chi-df)/math.Sqrt(2*df) > 6 {
		t.Fatalf("chi-square %.1f over %d secrets", chi, cells)
	}
}

func TestPassphraseIsWordsThatCanBeSaid(t *testing.T) {
	p := GenerationPolicy{Kind: Password, Passphrase: &PassphrasePolicy{Words: 5}}
	if p.Bits() != 80 {
		t.Fatalf("%v bits", p.Bits())
	}
	seen := map[string]bool{}
	for range 2000 {
		words := strings.Split(generated(t, p), "-")
		if len(words) != 5 {
			t.Fatal(words)
		}
		for _, w := range words {
			if len(w) != 5 || strings.Trim(w[0:1]+w[2:3]+w[4:5], consonants) != "" || strings.Trim(w[1:2]+w[3:4], vowels) != "" {
				t.Fatal(w)
			}
			seen[w] = true
		}
	}
	if len(seen) < 9000 { // of 10,000 draws from 65,536 about 9,270 differ
		t.Fatalf("only %d words in 10,000", len(seen))
	}
	if len(distinct(consonants, "")) != 16 || len(distinct(vowels, "")) != 4 {
		t.Fatal("a word is 16 bits only if each letter stands once")
	}
}

func TestGeneratedKeyIsOneThatCanBeStored(t *testing.T) {
	for name, want := range map[string]string{
		"": "ssh-ed25519", "ed25519": "ssh-ed25519", "ecdsa-p256": "ecdsa-sha2-nistp256", "ecdsa-p384": "ecdsa-sha2-nistp384",
		"ecdsa-p521": "ecdsa-sha2-nistp521", "rsa-3072": "ssh-rsa",
	} {
		c, err := Generate(GenerationPolicy{Kind: SSHKey, Algorithm: name}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ssh.ParsePrivateKey(c.PrivateKey.Expose())
		if err != nil || k.PublicKey().Type() != want {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestPolicyThatMakesWeakSecretsIsRefused(t *testing.T) {
	long, tab := strings.Repeat("x", 300), "\t"
	letters := "abcdefghijklmnopqrstuvwxyz"
	for field, p := range map[string]GenerationPolicy{
		"kind":                 {Kind: "tls_client"},
		"length":               {Kind: Password, Length: 7},
		"length ":              {Kind: Password, Length: 129},
		"length  ":             {Kind: Password, Length: 12, Classes: map[string]int{"digit": 0}},
		"length   ":            {Kind: Password, Length: -1},
		"classes":              {Kind: Password, Length: 8, Classes: map[string]int{"digit": 5, "lower": 5}},
		"classes ":             {Kind: Password, Classes: map[string]int{"emoji": 1}},
		"classes.digit":        {Kind: Password, Classes: map[string]int{"digit": -1}},
		"classes.digit ":       {Kind: Password, Classes: map[string]int{"digit": math.MaxInt}},
		"symbols":              {Kind: Password, Symbols: "a"},
		"symbols ":             {Kind: Password, Symbols: "\n"},
		"symbols  ":            {Kind: Password, Symbols: "é"},
		"exclude":              {Kind: Password, Exclude: &long},
		"exclude ":             {Kind: Password, Exclude: &letters},
		"algorithm":            {Kind: SSHKey, Algorithm: "rsa-2048"},
		"algorithm ":           {Kind: SSHKey, Length: 32},
		"algorithm  ":          {Kind: Password, Algorithm: "ed25519"},
		"passphrase":           {Kind: Password, Length: 32, Passphrase: &PassphrasePolicy{}},
		"passphrase.words":     {Kind: Password, Passphrase: &PassphrasePolicy{Words: 3}},
		"passphrase.words ":    {Kind: Password, Passphrase: &PassphrasePolicy{Words: 33}},
		"passphrase.separator": {Kind: Password, Passphrase: &PassphrasePolicy{Separator: &tab}},
	} {
		t.Run(fmt.Sprintf("%q", field), func(t *testing.T) {
			_, err := Generate(p, rand.Reader)
			invalid(t, err, strings.TrimSpace(field))
		})
	}
}

// A source of chance that fails gives no secret at all, least of all one of zeros.
func TestNoSecretWithoutChance(t *testing.T) {
	for _, p := range []GenerationPolicy{{Kind: Password}, {Kind: Password, Passphrase: &PassphrasePolicy{}}} {
		c, err := Generate(p, strings.NewReader("abc"))
		if err == nil || !c.Value.Empty() {
			t.Fatalf("made a secret out of three bytes: %v", err)
		}
	}
}
