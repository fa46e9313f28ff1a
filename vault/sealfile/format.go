package sealfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

const (
	name    = "vaultpam-key-1"
	comment = "# This key opens the vault of VaultPAM. Keep a copy elsewhere, as safe as this one: without it nothing opens.\n"

	keySize      = 32
	checksumSize = 8
	maxText      = 4096

	// What Wrap returns: version, key id, nonce, ciphertext, tag.
	wrapVersion = 1
	idSize      = 8
	headSize    = 1 + idSize
)

// format writes a comment and one line: the format's name, the key in base64,
// and a checksum of both. The caller clears it.
func format(key []byte) []byte {
	text := make([]byte, 0, maxText)
	text = append(append(append(text, comment...), name...), ' ')
	text = append(base64.StdEncoding.AppendEncode(text, key), ' ')
	line := text[len(comment) : len(text)-1]
	return append(hex.AppendEncode(text, checksum(line)), '\n')
}

// parse returns the key, which the caller clears. White space and comments do
// not matter; anything else must be as format wrote it.
func parse(text []byte) ([]byte, error) {
	if len(text) > maxText {
		return nil, ErrDamaged
	}
	var line []byte
	for l := range bytes.Lines(text) {
		l = bytes.TrimSpace(l)
		if len(l) == 0 || l[0] == '#' {
			continue
		}
		if line != nil {
			return nil, ErrDamaged
		}
		line = l
	}
	words := bytes.Fields(line)
	if len(words) != 3 || string(words[0]) != name {
		return nil, ErrDamaged
	}
	signed := bytes.Join(words[:2], []byte{' '})
	defer clear(signed)
	if hex.EncodeToString(checksum(signed)) != string(words[2]) {
		return nil, ErrDamaged
	}
	key := make([]byte, base64.StdEncoding.DecodedLen(len(words[1])))
	n, err := base64.StdEncoding.Strict().Decode(key, words[1])
	if err != nil || n != keySize {
		clear(key)
		return nil, ErrDamaged
	}
	return key[:n], nil
}

// checksum tells a damaged file from a wrong one; it is not a protection.
func checksum(line []byte) []byte {
	sum := sha256.Sum256(line)
	return sum[:checksumSize]
}

// keyID names a key without giving it away: the key has 256 random bits.
func keyID(key []byte) []byte {
	h := sha256.New()
	h.Write([]byte("vaultpam key file id\n"))
	h.Write(key)
	return h.Sum(nil)[:idSize]
}
