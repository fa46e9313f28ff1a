// Package sealpkcs11 seals the root key with a key in a hardware security
// module, which never leaves it.
//
// It owns the calls of PKCS#11. It must not know what it wraps, and keeps none
// of it. The module is a C library, so that only a build with cgo and the tag
// pkcs11 has it (make build-hsm); the other says so. Start at [New].
package sealpkcs11

import (
	"errors"

	"vaultpam/internal/secret"
)

// Kind names this seal.
const Kind = "pkcs11"

// What Wrap returns: version, length and label of the key, nonce, ciphertext
// and tag.
const (
	wrapVersion = 1
	nonceSize   = 12
	tagSize     = 16
)

// Config says which key of which token.
type Config struct {
	Module string // path of the library
	Token  string // label
	Key    string // label
	PIN    secret.Value
}

// Why it does not work.
var (
	ErrBuild   = errors.New("pkcs11: this build has no PKCS#11: use the one that make build-hsm makes, which needs cgo")
	ErrConfig  = errors.New("pkcs11: the module, the label of its token, the PIN and the label of a key are needed")
	ErrModule  = errors.New("pkcs11: the module cannot be loaded")
	ErrToken   = errors.New("pkcs11: there is no token of this label, or more than one")
	ErrKey     = errors.New("pkcs11: there is no AES key of this label on the token, or more than one")
	ErrDamaged = errors.New("pkcs11: the wrapped root key is cut short or of an unknown version")
	ErrAltered = errors.New("pkcs11: the wrapped root key was altered, or the token's key is another one")
)

// Kind names this seal.
func (*Seal) Kind() string { return Kind }

// split takes apart what Wrap returned.
func split(wrapped []byte) (label, nonce, sealed []byte, err error) {
	if len(wrapped) < 2 || wrapped[0] != wrapVersion {
		return nil, nil, nil, ErrDamaged
	}
	n := 2 + int(wrapped[1])
	if len(wrapped) <= n+nonceSize+tagSize {
		return nil, nil, nil, ErrDamaged
	}
	return wrapped[2:n], wrapped[n : n+nonceSize], wrapped[n+nonceSize:], nil
}
