package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"

	"vaultpam/pam"
)

// The envelope, version 1 (docs/formats/envelope.md):
//
//	byte     version, 1
//	uint32   version of the organization key, big endian
//	60 bytes the data key, wrapped with the organization key: nonce, key, tag
//	...      the value, encrypted with the data key: nonce, ciphertext, tag
//
// Both are AES-256-GCM with the same associated data, so that neither half
// can be moved to another value.
const (
	envelopeVersion = 1
	keySize         = 32
	nonceSize       = 12
	tagSize         = 16
	wrappedSize     = nonceSize + keySize + tagSize
	headerSize      = 1 + 4
	overhead        = headerSize + wrappedSize + nonceSize + tagSize
	maxPlaintext    = 1 << 20 // what the product seals is far below
)

var (
	errFormat  = errors.New("vault: not a sealed value of a known version")
	errOpen    = errors.New("vault: the value does not open: it was altered, or moved from where it was sealed")
	errTooLong = errors.New("vault: the value is too long to be sealed")
)

// associated is the associated data of both halves: every part with its
// length, so that no two bindings give the same bytes.
func associated(b pam.Binding, keyVersion uint32) []byte {
	out := make([]byte, 0, 64+len(b.Org)+len(b.Purpose)+len(b.Object))
	out = append(out, "vaultpam envelope"...)
	out = append(out, envelopeVersion)
	out = binary.BigEndian.AppendUint32(out, keyVersion)
	for _, part := range []string{string(b.Org), b.Purpose, b.Object} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return binary.BigEndian.AppendUint64(out, uint64(b.Version))
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// encrypt appends nonce, ciphertext and tag to dst.
func encrypt(dst []byte, gcm cipher.AEAD, random io.Reader, plaintext, ad []byte) ([]byte, error) {
	start := len(dst)
	dst = append(dst, make([]byte, nonceSize)...)
	nonce := dst[start : start+nonceSize]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, err
	}
	return gcm.Seal(dst, nonce, plaintext, ad), nil
}

func decrypt(gcm cipher.AEAD, sealed, ad []byte) ([]byte, error) {
	if len(sealed) < nonceSize+tagSize {
		return nil, errFormat
	}
	out, err := gcm.Open(nil, sealed[:nonceSize], sealed[nonceSize:], ad)
	if err != nil {
		return nil, errOpen
	}
	return out, nil
}

// sealEnvelope encrypts plaintext under a fresh data key.
func sealEnvelope(orgKey cipher.AEAD, keyVersion uint32, random io.Reader, b pam.Binding, plaintext []byte) ([]byte, error) {
	if len(plaintext) > maxPlaintext {
		return nil, errTooLong
	}
	ad := associated(b, keyVersion)
	var dataKey [keySize]byte
	defer clear(dataKey[:])
	if _, err := io.ReadFull(random, dataKey[:]); err != nil {
		return nil, err
	}
	out := make([]byte, 0, overhead+len(plaintext))
	out = binary.BigEndian.AppendUint32(append(out, envelopeVersion), keyVersion)
	out, err := encrypt(out, orgKey, random, dataKey[:], ad)
	if err != nil {
		return nil, err
	}
	gcm, err := newGCM(dataKey[:])
	if err != nil {
		return nil, err
	}
	return encrypt(out, gcm, random, plaintext, ad)
}

// parseEnvelope checks the frame and returns the key version it names.
func parseEnvelope(sealed []byte) (keyVersion uint32, err error) {
	if len(sealed) < overhead || len(sealed) > overhead+maxPlaintext || sealed[0] != envelopeVersion {
		return 0, errFormat
	}
	return binary.BigEndian.Uint32(sealed[1:headerSize]), nil
}

// openEnvelope decrypts what sealEnvelope made for the same binding.
func openEnvelope(orgKey cipher.AEAD, keyVersion uint32, b pam.Binding, sealed []byte) ([]byte, error) {
	ad := associated(b, keyVersion)
	dataKey, err := decrypt(orgKey, sealed[headerSize:headerSize+wrappedSize], ad)
	if err != nil {
		return nil, err
	}
	defer clear(dataKey)
	gcm, err := newGCM(dataKey)
	if err != nil {
		return nil, err
	}
	return decrypt(gcm, sealed[headerSize+wrappedSize:], ad)
}
