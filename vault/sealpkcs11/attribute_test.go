//go:build pkcs11

package sealpkcs11

import "github.com/miekg/pkcs11"

// valueTemplate asks for the key itself.
func (*Seal) valueTemplate() []*pkcs11.Attribute {
	return []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)}
}
