package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

// checkoutsCommand lists who has which secret; it is there under two names.
func (a *app) checkoutsCommand(name string) *cobra.Command {
	var mine bool
	var status string
	cmd := &cobra.Command{
		Use: name, Short: "List who has which credential, or had", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			q := url.Values{}
			if mine {
				q.Set("user_id", "me")
			}
			if status != "" {
				q.Set("status", status)
			}
			return list(cmd, a, c, "/checkouts", q,
				col("ID", func(o v1.Checkout) string { return o.ID }), col("SAFE", func(o v1.Checkout) string { return o.SafeName }),
				col("ACCOUNT", func(o v1.Checkout) string { return o.AccountName }), col("USER", func(o v1.Checkout) string { return o.UserName }),
				col("STATUS", func(o v1.Checkout) string { return o.Status }), col("UNTIL", func(o v1.Checkout) string { return o.ExpiresAt.Format(time.RFC3339) }),
				col("CAUSE", func(o v1.Checkout) string { return o.Cause }))
		}),
	}
	cmd.Flags().BoolVar(&mine, "mine", false, "only your own")
	cmd.Flags().StringVar(&status, "status", "", "checked_out (default), available or all")
	return cmd
}

func (a *app) extendCommand() *cobra.Command {
	var after time.Duration
	cmd := &cobra.Command{
		Use: "extend ID", Short: "Keep a credential for longer", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			out, err := client.Post[v1.Checkout](cmd.Context(), c, "/checkouts/"+url.PathEscape(argv[0])+"/extend", v1.ExtendIn{DurationSeconds: int(after.Seconds())})
			return one(cmd, a, out, err)
		}),
	}
	cmd.Flags().DurationVar(&after, "for", 0, "from now, such as 30m; without it, what the Safe gives")
	return cmd
}
