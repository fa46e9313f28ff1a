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
	"vaultpam/vault/sealshamir"
)

// openVault opens the vault with the seal that is configured. With create it
// makes the vault of an empty installation, and what its seal needs; it never
// makes a key file for a vault that is there, which that would not open. A
// seal that waits for people, or does not answer, leaves the vault sealed; one
// that can never open it is an error.
func (s *Server) openVault(ctx context.Context, create bool) error {
	meta, err := s.db.Vault().VaultMeta(ctx)
	fresh := pam.Is(err, pam.NotFound)
	if err != nil && !fresh {
		return err
	}
	if fresh && !create {
		return errors.New("this installation is empty: run vaultpam init first")
	}
	if !fresh && meta.SealKind != s.cfg.Seal {
		return fmt.Errorf("this vault is sealed by %s, but --seal says %s: say the former, or move it by vaultpam vault migrate", meta.SealKind, s.cfg.Seal)
	}
	seal, err := s.rootSeal(s.cfg.Seal)
	switch {
	case fresh && (err == nil || errors.Is(err, os.ErrNotExist)):
		seal, err = s.newSeal(s.cfg.Seal, s.cfg.KeyFile)
	case s.cfg.Seal == keyFile && errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the key file %s is not there, and without it nothing that is stored can be opened: %w", s.cfg.KeyFile, err)
	}
	if err != nil {
		return err
	}
	s.gate.seal, s.gate.opened = seal, make(chan struct{}, 1)
	s.gate.shares, _ = seal.(*sealshamir.Seal)
	s.vault = vault.New(s.db.Vault(), seal, s.clock, rand.Reader)
	if fresh {
		if err := s.vault.Init(ctx); err != nil && !pam.Is(err, pam.Conflict) {
			return err
		}
	} else if s.gate.shares != nil {
		s.gate.root.Store(&meta.Root)
	}
	err = s.vault.Unseal(ctx)
	if err != nil && s.cfg.Seal != keyFile && pam.Is(err, pam.Unavailable) && !errors.Is(err, vault.ErrWrongKey) {
		s.log.Warn("the vault is sealed", "seal", seal.Kind(), "error", err)
		return nil
	}
	return err
}

// vaultAdmin seals and unseals for the API.
type vaultAdmin struct{ s *Server }

func (v vaultAdmin) Status() httpapi.VaultStatus {
	state := v.s.vault.Status()
	out := httpapi.VaultStatus{Sealed: v.s.sealed(), Initialized: state.Initialized, SealKind: state.SealKind}
	if v.s.gate.shares != nil {
		p := v.s.progress()
		out.Threshold, out.Shares, out.Progress = p.Threshold, p.Shares, p.Given
	}
	return out
}

// Seal is for an administrator of the instance, after a step-up. What is
// sealed by hand opens by hand.
func (v vaultAdmin) Seal(ctx context.Context, a pam.Actor) error {
	const op = "seal vault"
	if !a.InstanceAdmin || a.Token != pam.LoginToken {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	if !a.Fresh(v.s.clock.Now()) {
		return &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	v.s.gate.mu.Lock()
	defer v.s.gate.mu.Unlock()
	if err := v.s.noteVault(ctx, a, audit.VaultSealed, nil); err != nil {
		return err
	}
	v.s.gate.byHand.Store(true)
	v.s.vault.Lock()
	return nil
}

// Unseal adds a share where people open the vault, and tries the seal again
// where a key or a service does.
func (v vaultAdmin) Unseal(ctx context.Context, c identity.Client, share secret.Value, reset bool) error {
	by := pam.Actor{Token: pam.SystemToken, From: c.From, RequestID: c.RequestID}
	if v.s.gate.shares != nil {
		return v.s.offer(ctx, by, share, reset)
	}
	if !share.Empty() || reset {
		return pam.Problems{{Field: "share", Problem: "this vault is not opened by shares"}}.Err("unseal vault")
	}
	return v.s.unseal(ctx, by)
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
