package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"vaultpam/server"
)

func serverCommand() *cobra.Command {
	var cfg server.Config
	cmd := &cobra.Command{
		Use: "server", Short: "Run the server", Args: args(cobra.NoArgs),
		Long: "Run the server. Each flag is also a variable, VAULTPAM_ and its name in capitals with _ for -, and a key of the YAML file given by --config; a flag wins over a variable, a variable over the file.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := server.Load(cmd.Flags(), os.LookupEnv); err != nil {
				return usageError{err}
			}
			return server.Run(cmd.Context(), cfg, version, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cfg.AddFlags(cmd.Flags())
	return cmd
}

func initCommand() *cobra.Command {
	var cfg server.Config
	var organization, email string
	cmd := &cobra.Command{
		Use: "init", Short: "Make the vault with its seal, the first organization and its owner", Args: args(cobra.NoArgs),
		Long: "Make the vault with its seal (a key file, unless --seal says otherwise; with shamir the shares are printed this once), the first organization and its owner, who also administers the instance. The owner's password is asked for, or taken from VAULTPAM_PASSWORD. Takes the settings of the server as well; run it once, before the first start.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := server.Load(cmd.Flags(), os.LookupEnv); err != nil {
				return usageError{err}
			}
			if organization == "" || email == "" {
				return usageError{errors.New("--organization and --email are needed")}
			}
			password := env("VAULTPAM_PASSWORD", "")
			if password == "" {
				var err error
				if password, err = askSecret(fmt.Sprintf("Password of %s: ", email)); err != nil {
					return err
				}
			}
			return server.Init(cmd.Context(), cfg, organization, email, password, cmd.OutOrStdout())
		},
	}
	cfg.AddFlags(cmd.Flags())
	cfg.Deal.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&organization, "organization", "", "name of the first organization")
	cmd.Flags().StringVar(&email, "email", "", "e-mail of its owner")
	return cmd
}

// openapiCommand prints the API's document, from which the console's client
// is generated. It is of use to whoever generates their own.
func openapiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document of the API", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := server.Document(version)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", doc)
			return err
		},
	}
}
