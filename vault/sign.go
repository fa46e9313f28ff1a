package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// ErrSigningKey says that an organization's signing key was tampered with.
var ErrSigningKey = errors.New("vault: the signing key does not fit its public half")

// signingBinding binds the seed to its public half, so that neither can be
// swapped.
func signingBinding(org pam.OrgID, public []byte) pam.Binding {
	return pam.Binding{Org: org, Purpose: "vault.signing-key", Object: hex.EncodeToString(public), Version: 1}
}

// Sign signs message with the organization's ed25519 key (RFC 8032), which is
// made at the first use and durable before it signs.
func (v *Vault) Sign(ctx context.Context, org pam.OrgID, message []byte) (pam.Signature, error) {
	for {
		sig, err := v.signLoaded(org, message)
		if err == nil && sig.Sig == nil {
			if err = v.loadSigningKey(ctx, org); err == nil {
				continue
			}
		}
		return sig, pam.Wrap("sign", err)
	}
}

// signLoaded returns no signature and no error when the key is not loaded.
func (v *Vault) signLoaded(org pam.OrgID, message []byte) (pam.Signature, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.roots == nil {
		return pam.Signature{}, errSealed
	}
	key := v.signing[org]
	if key == nil {
		return pam.Signature{}, nil
	}
	return pam.Signature{PublicKey: bytes.Clone(v.public[org]), Sig: ed25519.Sign(key, message)}, nil
}

// PublicKey returns the key that checks the organization's signatures, and
// makes one if there is none. An open vault has proved it against its private
// half. A sealed one that never did so answers with what the store holds, and
// with an Error of kind Sealed where there is nothing.
func (v *Vault) PublicKey(ctx context.Context, org pam.OrgID) ([]byte, error) {
	const op = "read public key"
	v.mu.RLock()
	sealed, public := v.roots == nil, v.public[org]
	v.mu.RUnlock()
	if public != nil {
		return bytes.Clone(public), nil
	}
	if sealed {
		row, err := v.store.SigningKey(ctx, org)
		if pam.Is(err, pam.NotFound) {
			err = errSealed
		}
		if err == nil && len(row.Public) != ed25519.PublicKeySize {
			err = ErrSigningKey
		}
		if err != nil {
			return nil, pam.Wrap(op, err)
		}
		return row.Public, nil
	}
	if err := v.loadSigningKey(ctx, org); err != nil {
		return nil, pam.Wrap(op, err)
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	return bytes.Clone(v.public[org]), nil
}

func (v *Vault) loadSigningKey(ctx context.Context, org pam.OrgID) error {
	row, err := v.store.SigningKey(ctx, org)
	if pam.Is(err, pam.NotFound) {
		if err = v.addSigningKey(ctx, org); err != nil {
			return err
		}
		// Read back what is durable: another node may have been first.
		row, err = v.store.SigningKey(ctx, org)
	}
	if err != nil {
		return err
	}
	seed, err := v.Open(ctx, signingBinding(org, row.Public), row.Sealed)
	if errors.Is(err, ErrMoved) {
		return errors.Join(ErrSigningKey, err)
	}
	if err != nil {
		return err
	}
	defer seed.Wipe()
	return v.keepSigningKey(org, seed, row.Public)
}

func (v *Vault) keepSigningKey(org pam.OrgID, seed secret.Value, public []byte) error {
	if len(seed.Expose()) != ed25519.SeedSize {
		return ErrSigningKey
	}
	key := ed25519.NewKeyFromSeed(seed.Expose())
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case !bytes.Equal(key[ed25519.SeedSize:], public):
		clear(key)
		return ErrSigningKey
	case v.roots == nil:
		clear(key)
		return errSealed // since the seed was opened
	case v.public[org] != nil && !bytes.Equal(v.public[org], public):
		// The row was replaced by another whole one while this node runs:
		// no honest node does that.
		clear(key)
		return ErrSigningKey
	case v.signing[org] != nil:
		clear(key)
		return nil
	}
	v.signing[org], v.public[org] = key, bytes.Clone(public)
	return nil
}

func (v *Vault) addSigningKey(ctx context.Context, org pam.OrgID) error {
	seed := make([]byte, ed25519.SeedSize)
	defer clear(seed)
	if _, err := io.ReadFull(v.rand, seed); err != nil {
		return err
	}
	key := ed25519.NewKeyFromSeed(seed)
	defer clear(key)
	public := bytes.Clone(key[ed25519.SeedSize:])
	sealed, err := v.Seal(ctx, signingBinding(org, public), seed)
	if err != nil {
		return err
	}
	err = v.store.AddSigningKey(ctx, SigningKey{Org: org, Public: public, Sealed: sealed, CreatedAt: v.clock.Now()})
	if pam.Is(err, pam.Conflict) {
		return nil
	}
	return err
}
