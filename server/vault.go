package server

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"

	"vaultpam/edge/httpapi"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
	"vaultpam/store"
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
)

// openVault opens the vault with the key file. With create it makes what an
// empty installation lacks of the two; it never makes a key file for a vault
// that is there, which that would not open.
func (s *Server) openVault(ctx context.Context, create bool) error {
	_, err := s.db.Vault().VaultMeta(ctx)
	fresh := pam.Is(err, pam.NotFound)
	if err != nil && !fresh {
		return err
	}
	if fresh && !create {
		return errors.New("this installation is empty: run vaultpam init first")
	}
	seal, err := sealfile.Open(s.cfg.KeyFile)
	switch {
	case errors.Is(err, os.ErrNotExist) && fresh:
		seal, err = sealfile.Create(s.cfg.KeyFile, rand.Reader)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the key file %s is not there, and without it nothing that is stored can be opened: %w", s.cfg.KeyFile, err)
	}
	if err != nil {
		return err
	}
	s.vault = vault.New(s.db.Vault(), seal, s.clock, rand.Reader)
	if fresh {
		if err := s.vault.Init(ctx); err != nil && !pam.Is(err, pam.Conflict) {
			return err
		}
	}
	return s.vault.Unseal(ctx)
}

// vaultAdmin seals and unseals for the API.
type vaultAdmin struct{ s *Server }

func (v vaultAdmin) Status() httpapi.VaultStatus { return httpapi.VaultStatus(v.s.vault.Status()) }

// Seal is for an administrator of the instance, after a step-up.
func (v vaultAdmin) Seal(ctx context.Context, a pam.Actor) error {
	const op = "seal vault"
	if !a.InstanceAdmin || a.Token != pam.LoginToken {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	if !a.Fresh(v.s.clock.Now()) {
		return &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	e := audit.ForOrg(v.s.scribe.Entry(a, audit.VaultSealed, audit.Party{Type: "vault"}, nil), pam.InstanceOrg)
	if err := v.s.db.Audit().Append(ctx, pam.InstanceOrg, e); err != nil {
		return err
	}
	v.s.vault.Lock()
	return nil
}

// Unseal opens the vault with the key file that the server was started with.
func (v vaultAdmin) Unseal(ctx context.Context, c identity.Client) error {
	if err := v.s.vault.Unseal(ctx); err != nil {
		return err
	}
	actor := pam.Actor{Token: pam.SystemToken, From: c.From, RequestID: c.RequestID}
	e := v.s.scribe.Entry(actor, audit.VaultUnsealed, audit.Party{Type: "vault"}, nil)
	if err := v.s.db.Audit().Append(ctx, pam.InstanceOrg, e); err != nil {
		v.s.vault.Lock() // no act without its event
		return err
	}
	return nil
}

// Names and purposes of what the server keeps secret for itself.
const (
	hostKeyName      = "ssh-host-ed25519"
	hostKeyPurpose   = "ssh.host-key"
	digestKeyName    = "request-digest"
	digestKeyPurpose = "api.request-digest"
	ticketKeyName    = "terminal-ticket"
	ticketKeyPurpose = "api.terminal-ticket"
)

// hostKeys returns the server's SSH host key, so that every node shows the
// same.
func (s *Server) hostKeys(ctx context.Context) ([]ssh.Signer, error) {
	text, err := s.instanceSecret(ctx, hostKeyName, hostKeyPurpose, func() ([]byte, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(block), nil
	})
	if err != nil {
		return nil, fmt.Errorf("SSH host key: %w", err)
	}
	defer text.Wipe()
	signer, err := ssh.ParsePrivateKey(text.Expose())
	if err != nil {
		return nil, fmt.Errorf("SSH host key: %w", err)
	}
	return []ssh.Signer{signer}, nil
}

// randomKey returns a key of the server itself, the same on every node.
func (s *Server) randomKey(ctx context.Context, name, purpose string) (secret.Value, error) {
	return s.instanceSecret(ctx, name, purpose, func() ([]byte, error) {
		key := make([]byte, 32)
		_, err := rand.Read(key)
		return key, err
	})
}

// instanceSecret returns a secret of the server itself, which is made at the
// first start and kept sealed in the database. Of two nodes that make it at
// once, one wins, and both read that one back.
func (s *Server) instanceSecret(ctx context.Context, name, purpose string, generate func() ([]byte, error)) (secret.Value, error) {
	if store.SecretPurpose(name) != purpose {
		return secret.Value{}, errors.New("a rotation of keys would not know it: " + name)
	}
	binding := pam.Binding{Org: pam.InstanceOrg, Purpose: purpose, Object: name, Version: 1}
	sealed, err := s.db.InstanceSecret(ctx, name)
	if pam.Is(err, pam.NotFound) {
		var plaintext []byte
		if plaintext, err = generate(); err != nil {
			return secret.Value{}, err
		}
		defer clear(plaintext)
		if sealed, err = s.vault.Seal(ctx, binding, plaintext); err != nil {
			return secret.Value{}, err
		}
		if err := s.db.AddInstanceSecret(ctx, name, sealed, s.clock.Now()); err != nil && !pam.Is(err, pam.Conflict) {
			return secret.Value{}, err
		}
		sealed, err = s.db.InstanceSecret(ctx, name)
	}
	if err != nil {
		return secret.Value{}, err
	}
	return s.vault.Open(ctx, binding, sealed)
}
