package main

import (
	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

func (a *app) scimCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "scim", Short: "Let directories fill the organization by SCIM"}
	tokens := &cobra.Command{Use: "tokens", Short: "The tokens that directories show"}
	var role string
	var days int
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a token; it is shown this once", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			return a.stepUp(cmd, c, func() error {
				t, err := client.Post[v1.SCIMToken](cmd.Context(), c, "/org/sso/scim-tokens", v1.SCIMTokenIn{Name: argv[0], Role: role, ExpiresInDays: days})
				return one(cmd, a, t, err)
			})
		}),
	}
	create.Flags().StringVar(&role, "role", "operator", "of people whom the directory brings in: operator, auditor or policy_manager")
	create.Flags().IntVar(&days, "days", 365, "lifetime, at most 365")
	tokens.AddCommand(&cobra.Command{
		Use: "list", Short: "List the tokens", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/org/sso/scim-tokens", nil,
				col("ID", func(t v1.SCIMToken) string { return t.ID }), col("NAME", func(t v1.SCIMToken) string { return t.Name }),
				col("ROLE", func(t v1.SCIMToken) string { return t.Role }), col("EXPIRES", func(t v1.SCIMToken) string { return when(t.ExpiresAt) }),
				col("LAST USED", func(t v1.SCIMToken) string {
					if t.LastUsedAt == nil {
						return "never"
					}
					return when(*t.LastUsedAt)
				}))
		}),
	}, create, a.deleteByID("delete ID", "Shut a directory out; what it brought stays", "/org/sso/scim-tokens/"))
	cmd.AddCommand(tokens)
	return cmd
}
