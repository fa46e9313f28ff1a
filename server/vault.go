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
	"vaultpam/vault"
	"vaultpam/vault/sealfile"
)

// openVault opens the vault with the key file. Dev mode makes both at the
// first start; otherwise init does.
func (s *Server) openVault(ctx context.Context) error {
	_, err := s.db.Vault().VaultMeta(ctx)
	fresh := pam.Is(err, pam.NotFound)
	if err != nil && !fresh {
		return err
	}
	seal, err := sealfile.Open(s.cfg.KeyFile)
	switch {
	case errors.Is(err, os.ErrNotExist) && fresh && s.cfg.Dev:
		seal, err = sealfile.Create(s.cfg.KeyFile, rand.Reader)
	case errors.Is(err, os.ErrNotExist) && fresh:
		return fmt.Errorf("this installation is empty: run vaultpam init first")
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the key file %s is not there, and without it nothing that is stored can be opened: %w", s.cfg.KeyFile, err)
	}
	if err != nil {
		return err
	}
	s.vault = vault.New(s.db.Vault(), seal, s.clock, rand.Reader)
	if fresh {
		if !s.cfg.Dev {
			return errors.New("this installation is empty: run vaultpam init first")
		}
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

const hostKeyName = "ssh-host-ed25519"

// hostKeys returns the server's SSH host key, made at the first start and kept
// sealed in the database, so that every node shows the same.
func (s *Server) hostKeys(ctx context.Context) ([]ssh.Signer, error) {
	binding := pam.Binding{Org: pam.InstanceOrg, Purpose: "ssh.host-key", Object: hostKeyName, Version: 1}
	sealed, err := s.db.InstanceSecret(ctx, hostKeyName)
	if pam.Is(err, pam.NotFound) {
		if err := s.makeHostKey(ctx, binding); err != nil && !pam.Is(err, pam.Conflict) {
			return nil, err
		}
		sealed, err = s.db.InstanceSecret(ctx, hostKeyName)
	}
	if err != nil {
		return nil, err
	}
	text, err := s.vault.Open(ctx, binding, sealed)
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

func (s *Server) makeHostKey(ctx context.Context, binding pam.Binding) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return err
	}
	text := secret.New(pem.EncodeToMemory(block))
	defer text.Wipe()
	sealed, err := s.vault.Seal(ctx, binding, text.Expose())
	if err != nil {
		return err
	}
	return s.db.AddInstanceSecret(ctx, hostKeyName, sealed, s.clock.Now())
}
