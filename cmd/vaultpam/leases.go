package main

import (
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

// leasesCommand lists users at targets that are to be gone again.
func (a *app) leasesCommand() *cobra.Command {
	var open bool
	cmd := &cobra.Command{
		Use: "leases", Short: "List users at targets that are to be gone again, newest first", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			q := url.Values{}
			if open {
				q.Set("open", "true")
			}
			return list(cmd, a, c, "/leases", q,
				column[v1.Lease]{"ID", func(l v1.Lease) string { return l.ID }},
				column[v1.Lease]{"ACCOUNT", func(l v1.Lease) string { return l.AccountName }},
				column[v1.Lease]{"USERNAME", func(l v1.Lease) string { return l.Username }},
				column[v1.Lease]{"STATE", func(l v1.Lease) string { return l.State }},
				column[v1.Lease]{"EXPIRES", func(l v1.Lease) string { return l.ExpiresAt.Local().Format(time.DateTime) }},
				column[v1.Lease]{"PROBLEM", func(l v1.Lease) string { return l.Problem }},
			)
		}),
	}
	cmd.Flags().BoolVar(&open, "open", false, "only those whose user the target may have")
	cmd.AddCommand(&cobra.Command{
		Use: "revoke ID", Short: "Have the user dropped now", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			l, err := client.Post[v1.Lease](cmd.Context(), c, "/leases/"+url.PathEscape(argv[0])+"/revoke", nil)
			return one(cmd, a, l, err)
		}),
	}, a.forgetCommand(), &cobra.Command{
		Use: "sweep ACCOUNT", Short: "Look for users at the account's targets that no lease knows, and drop what was made here and is over", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			s, err := client.Post[v1.LeaseSweep](cmd.Context(), c, "/accounts/"+url.PathEscape(argv[0])+"/sweep", nil)
			return one(cmd, a, s, err)
		}),
	})
	return cmd
}

func (a *app) forgetCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "forget ID", Short: "Close a lease that is stuck: you have seen that the user or the target is gone", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			l, err := client.Post[v1.Lease](cmd.Context(), c, "/leases/"+url.PathEscape(argv[0])+"/forget", v1.LeaseForgetIn{Reason: reason})
			return one(cmd, a, l, err)
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what you saw; it goes into the audit log")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

// sshCACommand shows what targets have to trust.
func (a *app) sshCACommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ssh-ca", Short: "Print the SSH authorities that targets have to trust, for TrustedUserCAKeys", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			ca, err := client.Get[v1.SSHCA](cmd.Context(), c, "/ssh-ca", nil)
			if err == nil && a.output != "json" {
				_, err = fmt.Fprint(cmd.OutOrStdout(), ca.PublicKeys)
				return err
			}
			return one(cmd, a, ca, err)
		}),
	}
	var after time.Duration
	rotate := &cobra.Command{
		Use: "rotate", Short: "Make another authority; those before stay trusted", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			ca, err := client.Post[v1.SSHCA](cmd.Context(), c, "/ssh-ca/rotate", v1.SSHCARotateIn{ActivateAfterSeconds: int(after.Seconds())})
			return one(cmd, a, ca, err)
		}),
	}
	rotate.Flags().DurationVar(&after, "activate-after", 0, "time for targets to learn of it")
	cmd.AddCommand(rotate, &cobra.Command{
		Use: "remove NUMBER", Short: "Remove an authority that does not sign any more", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			return c.Delete(cmd.Context(), "/ssh-ca/keys/"+url.PathEscape(argv[0]))
		}),
	})
	return cmd
}
