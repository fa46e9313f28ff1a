package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// Init prepares an installation: its seal, the root key, the first organization
// and its owner, who administers the instance. It changes nothing where there
// is an organization already, not even where its key file is missing.
func Init(ctx context.Context, cfg Config, organization, email, password string, out io.Writer) error {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0" // init serves nothing
	}
	if err := errors.Join(cfg.complete(), noDumps()); err != nil {
		return err
	}
	s := &Server{cfg: cfg, out: out, clock: clock.Real{}, log: slog.New(slog.DiscardHandler)}
	s.ids = ids.NewSource(s.clock, rand.Reader)
	_, err := os.Stat(cfg.KeyFile)
	made := cfg.Seal == keyFile && errors.Is(err, os.ErrNotExist)
	if err := s.open(ctx, true); err != nil {
		return err
	}
	defer s.db.Close()
	defer s.vault.Lock()
	if err := s.assemble(); err != nil {
		return err
	}
	id, _, err := s.orgs.Bootstrap(ctx, organization, email, secret.FromString(password))
	if pam.Is(err, pam.Conflict) {
		return errors.New("this installation has an organization already; nothing was changed")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Made organization %s (%s) with owner %s.\n", organization, id, email)
	if made {
		fmt.Fprintf(out, "The key file is %s. Keep a copy elsewhere: without it nothing that is stored can be opened.\n", cfg.KeyFile)
	}
	fmt.Fprintln(out, "Start with: vaultpam server --tls-cert … --tls-key …")
	return nil
}
