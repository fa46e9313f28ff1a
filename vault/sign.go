package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io"

	"vaultpam/pam"
)

// signingBinding binds the seed to its public half, so that neither can be
// swapped.
func signingBinding(org pam.OrgID, public []byte) pam.Binding {
	return pam.Binding{Org: org, Purpose: "vault.signing-key", Object: hex.EncodeToString(public), Version: 1}
}

// Sign signs message with the organization's ed25519 key (RFC 8032), which is
// made at the first use.
func (v *Vault) Sign(ctx context.Context, org pam.OrgID, message []byte) (pam.Signature, error) {
	key, err := v.signingKey(ctx, org)
	if err != nil {
		return pam.Signature{}, pam.Wrap("sign", err)
	}
	public, _ := key.Public().(ed25519.PublicKey)
	return pam.Signature{PublicKey: public, Sig: ed25519.Sign(key, message)}, nil
}

// PublicKey returns the key that checks the organization's signatures. It
// answers while the vault is sealed, once a key was made.
func (v *Vault) PublicKey(ctx context.Context, org pam.OrgID) ([]byte, error) {
	v.mu.RLock()
	public := v.public[org]
	v.mu.RUnlock()
	if public != nil {
		return bytes.Clone(public), nil
	}
	row, err := v.store.SigningKey(ctx, org)
	if pam.Is(err, pam.NotFound) {
		var key ed25519.PrivateKey
		if key, err = v.signingKey(ctx, org); err == nil {
			row.Public, _ = key.Public().(ed25519.PublicKey)
		}
	}
	if err != nil {
		return nil, pam.Wrap("read public key", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.public[org] = bytes.Clone(row.Public)
	return bytes.Clone(row.Public), nil
}

// signingKey returns a copy that sealing the vault does not clear under the
// caller's hands.
func (v *Vault) signingKey(ctx context.Context, org pam.OrgID) (ed25519.PrivateKey, error) {
	v.mu.RLock()
	sealed, key := v.root == nil, bytes.Clone(v.signing[org])
	v.mu.RUnlock()
	if sealed {
		return nil, errSealed
	}
	if key != nil {
		return key, nil
	}
	row, err := v.store.SigningKey(ctx, org)
	if pam.Is(err, pam.NotFound) {
		if err = v.makeSigningKey(ctx, org); err != nil {
			return nil, err
		}
		row, err = v.store.SigningKey(ctx, org)
	}
	if err != nil {
		return nil, err
	}
	seed, err := v.Open(ctx, signingBinding(org, row.Public), row.Sealed)
	if err != nil {
		return nil, err
	}
	defer seed.Wipe()
	if len(seed.Expose()) != ed25519.SeedSize {
		return nil, errFormat
	}
	made := ed25519.NewKeyFromSeed(seed.Expose())
	if public, _ := made.Public().(ed25519.PublicKey); !bytes.Equal(public, row.Public) {
		return nil, errors.New("vault: a signing key does not fit its public half")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.root == nil {
		return nil, errSealed
	}
	v.signing[org] = made
	return bytes.Clone(made), nil
}

func (v *Vault) makeSigningKey(ctx context.Context, org pam.OrgID) error {
	var seed [ed25519.SeedSize]byte
	defer clear(seed[:])
	if _, err := io.ReadFull(v.rand, seed[:]); err != nil {
		return err
	}
	public, _ := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	sealed, err := v.Seal(ctx, signingBinding(org, public), seed[:])
	if err != nil {
		return err
	}
	err = v.store.AddSigningKey(ctx, SigningKey{Org: org, Public: public, Sealed: sealed, CreatedAt: v.clock.Now()})
	if pam.Is(err, pam.Conflict) {
		return nil // another node was first; its key is read back
	}
	return err
}
