package vault

import "vaultpam/pam"

// What tests of the format look at.
const (
	Overhead     = overhead
	HeaderSize   = headerSize
	WrappedSize  = wrappedSize
	MaxPlaintext = maxPlaintext
)

// Associated is the associated data of an envelope.
var Associated = associated

// WrapNewKey makes the row that a rotation would add.
func (v *Vault) WrapNewKey(org pam.OrgID, version uint32) (OrgKey, error) {
	wrapped, err := v.wrapNewKey(org, version)
	return OrgKey{Org: org, Version: version, Wrapped: wrapped, CreatedAt: v.clock.Now()}, err
}

// ParseRoots says whether list is a list of root keys, and its newest version.
func ParseRoots(list []byte) (newest uint32, err error) {
	r, err := parseRoots(list)
	if err != nil {
		return 0, err
	}
	return r.newest, nil
}
