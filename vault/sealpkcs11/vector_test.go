//go:build pkcs11

package sealpkcs11

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/miekg/pkcs11"
)

// The vector of docs/formats/envelope.md: the list of the tests under the key
// 0x80…0x9f, which is put into the module, with the nonce 0…11. What this
// version wraps, every later one opens.
const vector = "01087661756c7470616d000102030405060708090a0b9260134066525ac4a0542b034722ddca91fed58b5b46bf1057b050f4b370d47f7bb4b8"

func TestVector(t *testing.T) {
	s, err := New(token(t))
	ok(t, err)
	key := make([]byte, 32)
	for i := range key {
		key[i] = 0x80 + byte(i)
	}
	ok(t, s.with(func(u session) error {
		_, err := u.CreateObject(u.handle, append(s.template(),
			pkcs11.NewAttribute(pkcs11.CKA_VALUE, key), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
			pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true)))
		return err
	}))
	old, err := hex.DecodeString(vector)
	ok(t, err)
	if got, err := s.Unwrap(t.Context(), old, ad); err != nil || !bytes.Equal(got.Expose(), value) {
		t.Errorf("unwrap: %v", err)
	}
}
