package vault

import (
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
	headerSize      = 1 + 4
	overhead        = headerSize + wrappedSize + nonceSize + tagSize
	maxPlaintext    = 1 << 20 // what the product seals is far below
)

// Why a sealed value does not open. None of them says anything of the value.
var (
	ErrFormat  = errors.New("vault: the sealed value is of an unknown version")
	ErrLength  = errors.New("vault: the sealed value is cut short or too long")
	ErrNoKey   = errors.New("vault: the organization key that the sealed value names does not exist")
	ErrMoved   = errors.New("vault: the sealed value was moved from where it was sealed, or its head was altered")
	ErrAltered = errors.New("vault: the sealed value was altered or cut short")
)

var errBinding = errors.New("vault: a binding needs a purpose, an object and a version")

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

// sealEnvelope encrypts plaintext under a fresh data key.
func sealEnvelope(orgKey cipher.AEAD, keyVersion uint32, random io.Reader, b pam.Binding, plaintext []byte) ([]byte, error) {
	if b.Purpose == "" || b.Object == "" || b.Version < 1 {
		return nil, errBinding
	}
	if len(plaintext) > maxPlaintext {
		return nil, pam.Errorf(pam.TooLarge, "", "The value is too long to be sealed.")
	}
	fresh := make([]byte, keySize+2*nonceSize)
	defer clear(fresh)
	if _, err := io.ReadFull(random, fresh); err != nil {
		return nil, err
	}
	key, nonces := fresh[:keySize], fresh[keySize:]
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	defer wipe(gcm)
	ad := associated(b, keyVersion)
	out := make([]byte, 0, overhead+len(plaintext))
	out = binary.BigEndian.AppendUint32(append(out, envelopeVersion), keyVersion)
	out = appendSealed(out, orgKey, nonces[:nonceSize], key, ad)
	return appendSealed(out, gcm, nonces[nonceSize:], plaintext, ad), nil
}

// parseEnvelope checks the frame and returns the key version that it names.
func parseEnvelope(sealed []byte) (keyVersion uint32, err error) {
	if len(sealed) > 0 && sealed[0] != envelopeVersion {
		return 0, ErrFormat
	}
	if len(sealed) < overhead || len(sealed) > overhead+maxPlaintext {
		return 0, ErrLength
	}
	if keyVersion = binary.BigEndian.Uint32(sealed[1:headerSize]); keyVersion == 0 {
		return 0, ErrNoKey
	}
	return keyVersion, nil
}

// openEnvelope decrypts what sealEnvelope made for the same binding and
// parseEnvelope has accepted.
func openEnvelope(orgKey cipher.AEAD, keyVersion uint32, b pam.Binding, sealed []byte) ([]byte, error) {
	ad := associated(b, keyVersion)
	head, body := sealed[headerSize:headerSize+wrappedSize], sealed[headerSize+wrappedSize:]
	key, ok := openSealed(orgKey, head, ad)
	if !ok {
		return nil, ErrMoved
	}
	defer clear(key)
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	defer wipe(gcm)
	plaintext, ok := openSealed(gcm, body, ad)
	if !ok {
		return nil, ErrAltered
	}
	return plaintext, nil
}
