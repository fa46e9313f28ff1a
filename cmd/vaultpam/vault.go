package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
	"vaultpam/server"
)

func (a *app) vaultCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "vault", Short: "See, seal and unseal the vault, and change what seals it"}
	cmd.AddCommand(&cobra.Command{
		Use: "status", Short: "Say whether the vault is sealed", Args: args(cobra.NoArgs),
		Long: "Say whether the vault is sealed, and how many shares were given. It needs no login.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.stranger()
			if err != nil {
				return err
			}
			s, err := client.Get[v1.VaultStatus](cmd.Context(), c, "/vault/status", nil)
			return one(cmd, a, s, err)
		},
	}, &cobra.Command{
		Use: "seal", Short: "Seal the vault: nothing but its status is answered", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return a.stepUp(cmd, c, func() error {
				s, err := client.Post[v1.VaultStatus](cmd.Context(), c, "/vault/seal", nil)
				return one(cmd, a, s, err)
			})
		}),
	}, a.unsealCommand(), migrateCommand(), vaultKeysCommand(a))
	return cmd
}

// stranger is a client for what needs no login, since logins need the vault.
func (a *app) stranger() (*client.Client, error) {
	l, err := readLogin()
	if err != nil {
		return nil, err
	}
	base := env("VAULTPAM_BASE_URL", l.BaseURL)
	if base == "" {
		return nil, errors.New("no server is known: set VAULTPAM_BASE_URL")
	}
	return client.New(base, "", "")
}

func (a *app) unsealCommand() *cobra.Command {
	var reset bool
	cmd := &cobra.Command{
		Use: "unseal", Short: "Open the vault: give a share, or have its seal tried again", Args: args(cobra.NoArgs),
		Long: "Where shares open the vault, give one: it is asked for on the terminal, or read as a line of standard input, and never taken from the command line, where other processes see it. Where a key file or a service opens it, have that tried again. It needs no login.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.stranger()
			if err != nil {
				return err
			}
			s, err := client.Get[v1.VaultStatus](cmd.Context(), c, "/vault/status", nil)
			if err != nil {
				return err
			}
			in := v1.UnsealIn{Reset: reset}
			if s.Sealed && s.Threshold > 0 && !reset {
				if in.Share, err = askSecret("Share: "); err != nil {
					return err
				}
				if in.Share = strings.TrimSpace(in.Share); in.Share == "" {
					return errors.New("no share was given")
				}
			}
			s, err = client.Post[v1.VaultStatus](cmd.Context(), c, "/vault/unseal", in)
			return one(cmd, a, s, err)
		},
	}
	cmd.Flags().BoolVar(&reset, "reset", false, "drop the shares that were given, and begin again")
	return cmd
}

// migrateCommand works on the database itself, while no server does.
func migrateCommand() *cobra.Command {
	var cfg server.Config
	var to, file string
	cmd := &cobra.Command{
		Use: "migrate --to SEAL", Short: "Change what seals the vault", Args: args(cobra.NoArgs),
		Long: "Change what seals the vault, while the server is stopped: from what --seal says to what --to says, whose settings are given as well. From shares to shares makes new ones, and the old ones open nothing any more. Shares of the present seal are asked for, or read as lines of standard input. Whatever happens on the way, one of the two opens the vault: the new one is tried before it takes the place of the old one. Afterwards start the server with the new --seal.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := server.Load(cmd.Flags(), os.LookupEnv); err != nil {
				return usageError{err}
			}
			if to == "" {
				return usageError{errors.New("--to is needed: what is to seal the vault")}
			}
			return server.Migrate(cmd.Context(), cfg, to, file, func() (string, error) { return askSecret("Share of the present seal: ") }, cmd.OutOrStdout())
		},
	}
	cfg.AddFlags(cmd.Flags())
	cfg.Deal.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&to, "to", "", "what is to seal the vault: keyfile, shamir, transit, awskms or pkcs11")
	cmd.Flags().StringVar(&file, "to-key-file", "", "with --to keyfile: the new key file, made if it is not there (default: --key-file)")
	return cmd
}
