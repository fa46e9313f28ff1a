package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/store"
	"vaultpam/vault"
	"vaultpam/vault/sealshamir"
)

// Migrate moves the root keys to another seal. What it needs of the new one is
// made first, then that one proves that it opens what it has wrapped, and at
// the end one row is replaced by another, with its event: killed anywhere, the
// vault opens with the old seal or with the new one. ask returns a share of
// the present seal.
func Migrate(ctx context.Context, cfg Config, to, newFile string, ask func() (string, error), out io.Writer) error {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0" // it serves nothing
	}
	if err := errors.Join(cfg.complete(), noDumps()); err != nil {
		return err
	}
	if newFile == "" {
		newFile = cfg.KeyFile
	}
	s := &Server{cfg: cfg, out: out, clock: clock.Real{}, log: slog.New(slog.DiscardHandler)}
	s.ids = ids.NewSource(s.clock, rand.Reader)
	s.scribe = audit.NewScribe(s.clock, s.ids)
	if err := s.movable(to, newFile); err != nil {
		return err
	}
	options := store.Options{DataDir: cfg.DataDir, DatabaseURL: cfg.DatabaseURL, Clock: s.clock, Logger: s.log}
	if cfg.DatabaseURL != "" {
		options.DataDir = ""
	}
	var err error
	if s.db, err = store.Open(ctx, options); err != nil {
		return err
	}
	return errors.Join(s.move(ctx, to, newFile, ask), s.db.Close())
}

// movable refuses a move that would end where it began.
func (s *Server) movable(to, newFile string) error {
	if to != s.cfg.Seal || to == sealshamir.Kind {
		return nil
	}
	if to != keyFile {
		return fmt.Errorf("from %s to %s: rotate the key there, which needs no move; or move to a key file and from there", to, to)
	}
	old, err := filepath.Abs(s.cfg.KeyFile)
	if err != nil {
		return err
	}
	if file, err := filepath.Abs(newFile); err != nil || file == old {
		return errors.Join(err, errors.New("name another key file by --to-key-file"))
	}
	return nil
}

func (s *Server) move(ctx context.Context, to, newFile string, ask func() (string, error)) error {
	meta, err := s.db.Vault().VaultMeta(ctx)
	if pam.Is(err, pam.NotFound) {
		return errors.New("this installation is empty: run vaultpam init first")
	}
	if err != nil {
		return err
	}
	if meta.SealKind != s.cfg.Seal {
		return fmt.Errorf("this vault is sealed by %s, but --seal says %s", meta.SealKind, s.cfg.Seal)
	}
	from, err := s.rootSeal(s.cfg.Seal)
	if err != nil {
		return err
	}
	if shares, ok := from.(*sealshamir.Seal); ok {
		defer shares.Forget()
		if err := collect(shares, meta.Root, ask); err != nil {
			return err
		}
	}
	// Whether the old seal opens is known before anything is made for the new.
	if err := vault.Opens(ctx, meta, from); err != nil {
		return err
	}
	next, err := s.newSeal(to, newFile)
	if err != nil {
		return err
	}
	if f, ok := next.(vault.Forgetful); ok {
		defer f.Forget()
	}
	moved, err := vault.Rewrap(ctx, meta, from, next)
	if err != nil {
		return err
	}
	m := map[string]any{"from": meta.SealKind, "to": moved.SealKind}
	if to == sealshamir.Kind {
		m["shares"], m["threshold"] = int64(s.cfg.Deal.Shares), int64(s.cfg.Deal.Threshold)
	}
	e := s.scribe.Entry(pam.Actor{Token: pam.SystemToken}, audit.VaultSealChanged, audit.Party{Type: "vault", Name: moved.SealKind}, m)
	if err := s.db.Vault().ChangeSeal(ctx, meta, moved, e); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "The vault is sealed by %s now, which was tried, and by %s no more. Start the server with --seal %s.\n", moved.SealKind, meta.SealKind, moved.SealKind)
	if to == keyFile {
		fmt.Fprintf(s.out, "The key file is %s. Keep a copy elsewhere: without it nothing that is stored can be opened.\n", newFile)
	}
	return nil
}

// collect asks for shares until there are enough.
func collect(seal *sealshamir.Seal, root []byte, ask func() (string, error)) error {
	for {
		p, err := seal.Progress(root)
		if err != nil || p.Given == p.Threshold {
			return err
		}
		share, err := ask()
		if err != nil {
			return fmt.Errorf("%d of %d shares were given: %w", p.Given, p.Threshold, err)
		}
		if _, err := seal.Offer(root, []byte(share)); err != nil {
			return err
		}
	}
}
