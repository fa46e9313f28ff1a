package identity

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/big"
	"slices"
	"strings"

	"vaultpam/internal/secret"
)

// Prefixes of tokens, for people and secret scanners.
const (
	loginPrefix  = "vps_"
	accessPrefix = "vpt_"
	devicePrefix = "vpd_" // of what a program fetches its login with
	// challengePrefix is that of a sign-in which waits for a second factor.
	challengePrefix = "vpm_"
)

const (
	base62       = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomDigits = 43 // 256 bits
	sumDigits    = 6  // 32 bits
	tokenLength  = 4 + randomDigits + sumDigits
)

// newToken makes an opaque token: prefix, 256 random bits and a CRC-32 of
// both, in base 62. The checksum protects nothing; it lets a scanner, and us,
// tell a token from a string that looks like one without a look-up.
func newToken(prefix string, random io.Reader) (secret.Value, [32]byte, error) {
	var raw [32]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return secret.Value{}, [32]byte{}, err
	}
	defer clear(raw[:])
	body := prefix + digits(raw[:], randomDigits)
	token := body + checksum(body)
	return secret.FromString(token), sha256.Sum256([]byte(token)), nil
}

// parseToken returns the hash under which a well-formed token with one of the
// prefixes is kept.
func parseToken(token string, prefixes ...string) (hash [32]byte, ok bool) {
	if len(token) != tokenLength || !slices.Contains(prefixes, token[:len(loginPrefix)]) {
		return hash, false
	}
	if strings.Trim(token[len(loginPrefix):], base62) != "" {
		return hash, false
	}
	body := token[:tokenLength-sumDigits]
	if checksum(body) != token[tokenLength-sumDigits:] {
		return hash, false
	}
	return sha256.Sum256([]byte(token)), true
}

func checksum(body string) string {
	return digits(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))), sumDigits)
}

func digits(b []byte, width int) string {
	n, base, digit := new(big.Int).SetBytes(b), big.NewInt(int64(len(base62))), new(big.Int)
	out := make([]byte, width)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}
