//go:build !pkcs11

package sealpkcs11

import (
	"context"

	"vaultpam/internal/secret"
	"vaultpam/vault"
)

// Seal is of the other build.
type Seal struct{ Config }

// New says which build has this seal.
func New(Config) (*Seal, error) { return nil, ErrBuild }

// MakeKey is of the other build.
func MakeKey(vault.RootSeal) error { return ErrBuild }

// Wrap is of the other build.
func (*Seal) Wrap(context.Context, []byte, []byte) ([]byte, error) { return nil, ErrBuild }

// Unwrap is of the other build.
func (*Seal) Unwrap(context.Context, []byte, []byte) (secret.Value, error) {
	return secret.Value{}, ErrBuild
}
