package account

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"io"
	"iter"
	"math"
	"math/big"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// GenerationPolicy says what a new secret looks like. It holds no secret, and
// is kept as JSON. The zero value of a field is its default.
type GenerationPolicy struct {
	Kind Kind `json:"kind"` // password, database, token or ssh_key
	// Length is that of the secret in characters; 0: 32.
	Length int `json:"length,omitempty"`
	// Classes holds the fewest characters of each class (lower, upper, digit,
	// symbol); a class that is not in it is not used. Empty: one of each.
	Classes map[string]int `json:"classes,omitempty"`
	// Symbols are the characters of the class symbol; "": those that mean
	// nothing to a shell, a URL, a CSV file or a connection string.
	Symbols string `json:"symbols,omitempty"`
	// Exclude are characters that are never used; nil: those that people take
	// for one another.
	Exclude *string `json:"exclude,omitempty"`
	// Passphrase makes words instead of characters, if it is not nil.
	Passphrase *PassphrasePolicy `json:"passphrase,omitempty"`
	// Algorithm is that of an ssh_key; "": ed25519.
	Algorithm string `json:"algorithm,omitempty"`
}

// PassphrasePolicy says what a passphrase looks like.
type PassphrasePolicy struct {
	Words     int     `json:"words,omitempty"`     // 0: 6
	Separator *string `json:"separator,omitempty"` // nil: "-"
}

const (
	defaultLength  = 32
	minLength      = 8
	maxLength      = 128
	defaultWords   = 6
	minWords       = 4
	maxWords       = 32
	defaultSymbols = ".,:_"
	ambiguous      = "0O1lI"
	// minBits refuses a policy whose secrets somebody could count through. It
	// leaves room for targets that take eight characters and no more.
	minBits = 40
)

// A word is consonant, vowel, consonant, vowel, consonant: 65,536 of them, 16
// bits each, and every one can be said. They come from a rule, so there is no
// list that might miss one or hold one twice.
const (
	consonants = "bdfghjklmnprstvz"
	vowels     = "aiou"
	bitsOfWord = 16
)

// classNames is the order in which classes are counted.
var classNames = []string{"lower", "upper", "digit", "symbol"}

var algorithms = map[string]func(io.Reader) (crypto.PrivateKey, error){
	"ed25519": func(r io.Reader) (crypto.PrivateKey, error) {
		_, k, err := ed25519.GenerateKey(r)
		return k, err
	},
	"ecdsa-p256": func(r io.Reader) (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), r) },
	"ecdsa-p384": func(r io.Reader) (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P384(), r) },
	"ecdsa-p521": func(r io.Reader) (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P521(), r) },
	"rsa-3072":   func(r io.Reader) (crypto.PrivateKey, error) { return rsa.GenerateKey(r, 3072) },
	"rsa-4096":   func(r io.Reader) (crypto.PrivateKey, error) { return rsa.GenerateKey(r, 4096) },
}

// Generate makes a secret by the policy. Every secret that the policy allows
// is as likely as any other. Whoever takes it wipes it.
func Generate(p GenerationPolicy, random io.Reader) (NewCredential, error) {
	const op = "generate credential"
	if err := p.Check(op); err != nil {
		return NewCredential{}, err
	}
	made := NewCredential{Kind: p.Kind}
	var err error
	switch {
	case p.Kind == SSHKey:
		made.PrivateKey, err = p.key(random)
	case p.Passphrase != nil:
		made.Value, err = p.Passphrase.phrase(random)
	default:
		made.Value, err = newCounts(p).choose(random)
	}
	if err != nil {
		made.Wipe()
		return NewCredential{}, pam.Wrap(op, err)
	}
	return made, nil
}

// Bits is the entropy of a secret by a policy that Check accepts; 0 for a key,
// whose strength is its algorithm's.
func (p GenerationPolicy) Bits() float64 {
	switch {
	case p.Kind == SSHKey:
		return 0
	case p.Passphrase != nil:
		return float64(bitsOfWord * p.Passphrase.words())
	}
	return newCounts(p).bits()
}

// Check says what is not acceptable in p.
func (p GenerationPolicy) Check(op string) error {
	var ps pam.Problems
	if p.Kind == SSHKey {
		if _, ok := algorithms[p.algorithm()]; !ok {
			ps.Add("algorithm", "must be ed25519, ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-3072 or rsa-4096")
		}
		if p.Passphrase != nil || p.Length != 0 || len(p.Classes) > 0 || p.Symbols != "" || p.Exclude != nil {
			ps.Add("algorithm", "is all that an ssh_key takes")
		}
		return ps.Err(op)
	}
	if p.Kind != Password && p.Kind != Database && p.Kind != Token {
		ps.Add("kind", "must be password, database, token or ssh_key")
	}
	if p.Algorithm != "" {
		ps.Add("algorithm", "belongs to an ssh_key")
	}
	if p.Passphrase != nil {
		if p.Length != 0 || len(p.Classes) > 0 || p.Symbols != "" || p.Exclude != nil {
			ps.Add("passphrase", "takes neither length nor characters")
		}
		p.Passphrase.check(&ps)
		return ps.Err(op)
	}
	p.checkCharacters(&ps)
	return ps.Err(op)
}

func (p GenerationPolicy) checkCharacters(ps *pam.Problems) {
	before := len(*ps)
	if n := p.length(); n < minLength || n > maxLength {
		ps.Add("length", fmt.Sprintf("must be from %d to %d", minLength, maxLength))
	}
	least := 0
	for name, n := range p.Classes {
		switch {
		case !slices.Contains(classNames, name):
			ps.Add("classes", "are lower, upper, digit and symbol")
		case n < 0 || n > maxLength:
			ps.Add("classes."+name, "must be from 0 to the length")
		default:
			least += n
		}
	}
	if len(p.Classes) > 0 && least > p.length() {
		ps.Add("classes", "ask for more characters than the length")
	}
	if len(p.Symbols) > 64 || strings.ContainsFunc(p.Symbols, func(r rune) bool { return !symbol(r) }) {
		ps.Add("symbols", "must be up to 64 visible characters of ASCII that are neither letters nor digits")
	}
	if p.Exclude != nil && len(*p.Exclude) > 256 {
		ps.Add("exclude", "is longer than 256 bytes")
	}
	if len(*ps) > before {
		return
	}
	c := newCounts(p)
	for _, part := range c.classes {
		if part.least > 0 && part.letters == "" {
			ps.Add("exclude", "leaves no character of a class that is asked for")
			return
		}
	}
	if c.bits() < minBits {
		ps.Add("length", fmt.Sprintf("gives fewer than %d bits with these characters", minBits))
	}
}

func symbol(r rune) bool {
	alnum := r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
	return r > ' ' && r < 0x7f && !alnum
}

func (p GenerationPolicy) length() int {
	if p.Length == 0 {
		return defaultLength
	}
	return p.Length
}

func (p GenerationPolicy) algorithm() string {
	if p.Algorithm == "" {
		return "ed25519"
	}
	return p.Algorithm
}

func (p GenerationPolicy) key(random io.Reader) (secret.Value, error) {
	k, err := algorithms[p.algorithm()](random)
	if err != nil {
		return secret.Value{}, err
	}
	block, err := ssh.MarshalPrivateKey(k, "")
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(block.Bytes)
	return secret.New(pem.EncodeToMemory(block)), nil
}

func (p PassphrasePolicy) words() int {
	if p.Words == 0 {
		return defaultWords
	}
	return p.Words
}

func (p PassphrasePolicy) separator() string {
	if p.Separator == nil {
		return "-"
	}
	return *p.Separator
}

func (p PassphrasePolicy) check(ps *pam.Problems) {
	if n := p.words(); n < minWords || n > maxWords {
		ps.Add("passphrase.words", fmt.Sprintf("must be from %d to %d", minWords, maxWords))
	}
	if s := p.separator(); len(s) > 1 || strings.ContainsFunc(s, func(r rune) bool { return r != ' ' && !symbol(r) && (r < '0' || r > '9') }) {
		ps.Add("passphrase.separator", "must be empty, or one space, digit or symbol of ASCII")
	}
}

func (p PassphrasePolicy) phrase(random io.Reader) (secret.Value, error) {
	out := make([]byte, 0, p.words()*(len("babab")+1))
	var dice [2]byte
	for i := range p.words() {
		if _, err := io.ReadFull(random, dice[:]); err != nil {
			clear(out)
			return secret.Value{}, err
		}
		if i > 0 {
			out = append(out, p.separator()...)
		}
		n := int(dice[0])<<8 | int(dice[1])
		out = append(out, consonants[n>>12], vowels[n>>10&3], consonants[n>>6&15], vowels[n>>4&3], consonants[n&15])
	}
	clear(dice[:])
	return secret.New(out), nil
}

// counts knows how many secrets there are by a policy. ways[i][n] is the
// number of ways to fill n places with the classes from i on, such that each
// has its fewest; places are counted, not only what fills them.
type counts struct {
	length  int
	classes []class
	ways    [][]*big.Int
}

type class struct {
	letters string
	least   int
}

func newCounts(p GenerationPolicy) counts {
	c := counts{length: p.length()}
	letters := map[string]string{"lower": "abcdefghijklmnopqrstuvwxyz", "upper": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "digit": "0123456789", "symbol": defaultSymbols}
	if p.Symbols != "" {
		letters["symbol"] = p.Symbols
	}
	not := ambiguous
	if p.Exclude != nil {
		not = *p.Exclude
	}
	for _, name := range classNames {
		least, used := p.Classes[name]
		if len(p.Classes) == 0 {
			least, used = 1, true
		}
		if used {
			c.classes = append(c.classes, class{distinct(letters[name], not), least})
		}
	}
	c.tally()
	return c
}

func (c *counts) tally() {
	c.ways = make([][]*big.Int, len(c.classes)+1)
	for i := len(c.classes); i >= 0; i-- {
		c.ways[i] = make([]*big.Int, c.length+1)
		for n := range c.ways[i] {
			if i > 0 || n == c.length { // the first class finds all places free
				c.ways[i][n] = c.count(i, n)
			}
		}
	}
}

// distinct is letters without those in not, each once: a letter that stands
// twice would be chosen twice as often.
func distinct(letters, not string) string {
	var out strings.Builder
	for i, r := range letters {
		if !strings.ContainsRune(not, r) && !strings.ContainsRune(letters[:i], r) {
			out.WriteRune(r)
		}
	}
	return out.String()
}

func (c counts) count(i, n int) *big.Int {
	sum := new(big.Int)
	if i == len(c.classes) {
		if n == 0 {
			sum.SetInt64(1)
		}
		return sum
	}
	for _, ways := range c.split(i, n) {
		sum.Add(sum, ways)
	}
	return sum
}

// split goes through how many of n places class i may get, with the number of
// those ways that give it so many.
func (c counts) split(i, n int) iter.Seq2[int, *big.Int] {
	return func(yield func(int, *big.Int) bool) {
		part, ways := c.classes[i], new(big.Int)
		letters := big.NewInt(int64(len(part.letters)))
		places, filled := big.NewInt(1), big.NewInt(1) // n over k; letters to the power of k
		for k := 0; k <= n; k++ {
			ways.Mul(ways.Mul(places, filled), c.ways[i+1][n-k])
			if k >= part.least && !yield(k, ways) {
				return
			}
			places.Div(places.Mul(places, big.NewInt(int64(n-k))), big.NewInt(int64(k+1)))
			filled.Mul(filled, letters)
		}
	}
}

func (c counts) bits() float64 {
	all := c.ways[0][c.length]
	if all.Sign() == 0 {
		return 0
	}
	mantissa := new(big.Float)
	exp := new(big.Float).SetInt(all).MantExp(mantissa)
	m, _ := mantissa.Float64()
	return float64(exp) + math.Log2(m)
}

// choose draws one of all ways: how many places each class gets first, by how
// many ways there are with that, then their letters, then their order.
func (c counts) choose(random io.Reader) (secret.Value, error) {
	out := make([]byte, 0, c.length)
	done, err := c.fill(out, random)
	if err != nil {
		clear(out[:cap(out)])
		return secret.Value{}, err
	}
	return secret.New(done), nil
}

func (c counts) fill(out []byte, random io.Reader) ([]byte, error) {
	for i, part := range c.classes {
		n := c.length - len(out)
		at, err := rand.Int(random, c.ways[i][n])
		if err != nil {
			return nil, err
		}
		share := 0
		for k, ways := range c.split(i, n) {
			if at.Cmp(ways) < 0 {
				share = k
				break
			}
			at.Sub(at, ways)
		}
		for range share {
			letter, err := below(random, len(part.letters))
			if err != nil {
				return nil, err
			}
			out = append(out, part.letters[letter])
		}
	}
	for i := len(out) - 1; i > 0; i-- {
		j, err := below(random, i+1)
		if err != nil {
			return nil, err
		}
		out[i], out[j] = out[j], out[i]
	}
	return out, nil
}

// below draws a number from 0 to n-1, each as likely as the others.
func below(random io.Reader, n int) (int, error) {
	v, err := rand.Int(random, big.NewInt(int64(n)))
	if err != nil {
		return 0, err
	}
	return int(v.Int64()), nil
}
