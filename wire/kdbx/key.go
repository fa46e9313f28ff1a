package kdbx

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20"
	//lint:ignore SA1019 the stream goes on in the midst of a block, which salsa20 itself cannot do
	"golang.org/x/crypto/salsa20/salsa"

	"vaultpam/internal/secret"
)

// What making the key may cost, whatever the file asks for.
const (
	maxRounds      = 200_000_000 // AES-KDF: some seconds
	maxMemory      = 1 << 30     // Argon2, in bytes
	maxPasses      = 1 << 34     // Argon2: memory times iterations, in bytes
	maxIterations  = 10_000
	maxParallelism = 64
	maxKeyFile     = 1 << 20
)

// compositeKey joins the password and the key file.
func compositeKey(password secret.Value, keyFile []byte) (secret.Value, error) {
	var parts []byte
	defer func() { clear(parts) }()
	if !password.Empty() || keyFile == nil {
		sum := sha256.Sum256(password.Expose())
		parts = append(parts, sum[:]...)
	}
	if keyFile != nil {
		key, err := readKeyFile(keyFile)
		if err != nil {
			return secret.Value{}, err
		}
		parts = append(parts, key...)
	}
	sum := sha256.Sum256(parts)
	return secret.New(sum[:]), nil
}

// readKeyFile takes the forms that KeePass does: XML of two versions, 32 bytes,
// 64 hexadecimal digits, or anything.
func readKeyFile(text []byte) ([]byte, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("%w: the key file is larger than 1 MiB", ErrLimit)
	}
	var file struct {
		Version string `xml:"Meta>Version"`
		Data    string `xml:"Key>Data"`
	}
	if bytes.Contains(text, []byte("<KeyFile")) && xml.Unmarshal(text, &file) == nil && file.Data != "" {
		data := strings.Join(strings.Fields(file.Data), "")
		var key []byte
		var err error
		if strings.HasPrefix(file.Version, "2.") {
			key, err = hex.DecodeString(data)
		} else {
			key, err = base64.StdEncoding.DecodeString(data)
		}
		if err == nil && len(key) == 32 {
			return key, nil
		}
		return nil, ErrKey
	}
	if len(text) == 32 {
		return text, nil
	}
	if key, err := hex.DecodeString(string(text)); err == nil && len(key) == 32 {
		return key, nil
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// transform makes the key slow to guess, as the file says.
func (h header) transform(composite []byte) ([]byte, error) {
	if h.major == 3 {
		return aesKDF(composite, h.fields[transformSeed], binary.LittleEndian.Uint64(h.fields[transformRounds]))
	}
	p, err := readDictionary(h.fields[kdfParameters])
	if err != nil {
		return nil, err
	}
	switch string(p["$UUID"]) {
	case "\xC9\xD9\xF3\x9A\x62\x8A\x44\x60\xBF\x74\x0D\x08\xC1\x8A\x4F\xEA", "\x7C\x02\xBB\x82\x79\xA7\x4A\xC0\x92\x7D\x11\x4A\x00\x64\x82\x38": // AES
		return aesKDF(composite, p["S"], p.number("R"))
	case "\xEF\x63\x6D\xDF\x8C\x29\x44\x4B\x91\xF7\xA9\xA4\x03\xE3\x0A\x0C": // Argon2d
		return p.argon2(func(salt []byte, t, m uint32, lanes uint8) []byte {
			return argon2d(composite, salt, nil, nil, t, m, uint32(lanes), 32)
		})
	case "\x9E\x29\x8B\x19\x56\xDB\x47\x73\xB2\x3D\xFC\x3E\xC6\xF0\xA1\xE6": // Argon2id
		return p.argon2(func(salt []byte, t, m uint32, lanes uint8) []byte {
			return argon2.IDKey(composite, salt, t, m, lanes, 32)
		})
	}
	return nil, fmt.Errorf("%w: the key derivation (AES-KDF, Argon2d and Argon2id are)", ErrUnsupported)
}

func aesKDF(composite, seed []byte, rounds uint64) ([]byte, error) {
	if len(seed) != 32 {
		return nil, ErrFormat
	}
	if rounds > maxRounds {
		return nil, fmt.Errorf("%w: the key would take %d rounds", ErrLimit, rounds)
	}
	block, err := aes.NewCipher(seed)
	if err != nil {
		return nil, err
	}
	key := bytes.Clone(composite)
	defer clear(key)
	for range rounds {
		block.Encrypt(key[:16], key[:16])
		block.Encrypt(key[16:], key[16:])
	}
	sum := sha256.Sum256(key)
	return sum[:], nil
}

// argon2 calls make with what the file says, if that is within the limits.
func (p dictionary) argon2(make func(salt []byte, t, memoryKiB uint32, lanes uint8) []byte) ([]byte, error) {
	t, memory, lanes := p.number("I"), p.number("M"), p.number("P")
	switch {
	case p.number("V") != 0x13 || len(p["K"]) > 0 || len(p["A"]) > 0:
		return nil, fmt.Errorf("%w: this form of Argon2", ErrUnsupported)
	case len(p["S"]) < 8 || len(p["S"]) > 1024 || t < 1 || lanes < 1 || memory < 8*lanes*1024:
		return nil, ErrFormat
	case t > maxIterations || lanes > maxParallelism || memory > maxMemory || t*memory > maxPasses:
		return nil, fmt.Errorf("%w: the key would take %d MiB, %d times", ErrLimit, memory>>20, t)
	}
	return make(p["S"], uint32(t), uint32(memory/1024), uint8(lanes)), nil
}

// dictionary is KDBX's VariantDictionary, the values as they stand.
type dictionary map[string][]byte

// number is an integer, 0 where there is none.
func (d dictionary) number(name string) uint64 {
	switch v := d[name]; len(v) {
	case 4:
		return uint64(binary.LittleEndian.Uint32(v))
	case 8:
		return binary.LittleEndian.Uint64(v)
	}
	return 0
}

func readDictionary(text []byte) (dictionary, error) {
	if len(text) < 2 || text[1] != 1 { // the major version
		return nil, ErrFormat
	}
	d := dictionary{}
	take := func(n uint64) ([]byte, bool) {
		if n > uint64(len(text)) {
			return nil, false
		}
		out := text[:n]
		text = text[n:]
		return out, true
	}
	sized := func() ([]byte, bool) {
		n, ok := take(4)
		if !ok {
			return nil, false
		}
		return take(uint64(binary.LittleEndian.Uint32(n)))
	}
	text = text[2:]
	for {
		kind, ok := take(1)
		if !ok {
			return nil, ErrFormat
		}
		if kind[0] == 0 {
			return d, nil
		}
		name, ok := sized()
		if !ok {
			return nil, ErrFormat
		}
		value, ok := sized()
		if !ok {
			return nil, ErrFormat
		}
		d[string(name)] = value
	}
}

// protected is the stream that hides values within the XML. They are read in
// the order in which they stand there, each going on where the last one ended.
type protected interface{ XORKeyStream(dst, src []byte) }

func newProtected(id uint32, key []byte) (protected, error) {
	switch id {
	case 2:
		return &salsaStream{key: sha256.Sum256(key)}, nil
	case 3:
		sum := sha512.Sum512(key)
		return chacha20.NewUnauthenticatedCipher(sum[:32], sum[32:32+chacha20.NonceSize])
	}
	return nil, fmt.Errorf("%w: the inner cipher (Salsa20 and ChaCha20 are)", ErrUnsupported)
}

// salsaStream is Salsa20 with KeePass's fixed nonce, block by block.
type salsaStream struct {
	key   [32]byte
	next  uint64
	block [64]byte
	left  int // bytes of block that are not used yet
}

func (s *salsaStream) XORKeyStream(dst, src []byte) {
	for i := range src {
		if s.left == 0 {
			counter := [16]byte{0xE8, 0x30, 0x09, 0x4B, 0x97, 0x20, 0x5D, 0x2A}
			binary.LittleEndian.PutUint64(counter[8:], s.next)
			clear(s.block[:])
			salsa.XORKeyStream(s.block[:], s.block[:], &counter, &s.key)
			s.next, s.left = s.next+1, len(s.block)
		}
		dst[i] = src[i] ^ s.block[len(s.block)-s.left]
		s.left--
	}
}

var _ cipher.Stream = (*salsaStream)(nil)
