package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

var requestColumns = []column[v1.AccessRequest]{
	{"ID", func(r v1.AccessRequest) string { return r.ID }},
	{"WHO", func(r v1.AccessRequest) string { return r.Email }},
	{"SAFE", func(r v1.AccessRequest) string { return r.SafeName }},
	{"FOR", func(r v1.AccessRequest) string { return lasting(r.DurationSeconds) }},
	{"STATUS", func(r v1.AccessRequest) string { return r.Status }},
	{"AGREED", func(r v1.AccessRequest) string {
		n := 0
		for _, d := range r.Decisions {
			if d.Decision == "approve" {
				n++
			}
		}
		return fmt.Sprintf("%d of %d", n, r.Approvers)
	}},
	{"REASON", func(r v1.AccessRequest) string { return r.Reason }},
}

// lasting is a number of seconds for people.
func lasting(seconds int) string { return (time.Duration(seconds) * time.Second).String() }

func (a *app) requestCommand() *cobra.Command {
	var in v1.AccessRequestIn
	var duration time.Duration
	var wait bool
	cmd := &cobra.Command{
		Use: "request SAFE", Short: "Ask for access to a Safe", Args: args(cobra.ExactArgs(1)),
		Long: "Ask for access to a Safe. Its approvers decide, and may give less time than you ask for. With --command the access is for that command alone, once. --wait returns when it is decided: with 0 for a grant, with 4 otherwise.",
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			if in.Reason == "" {
				return usageError{errors.New("say why you need it: --reason")}
			}
			id, err := safes.find(cmd, c, argv[0])
			if err != nil {
				return err
			}
			in.SafeID, in.DurationSeconds = id, int(duration/time.Second)
			r, err := client.Post[v1.AccessRequest](cmd.Context(), c, "/access-requests", in)
			for err == nil && wait && r.Status == "pending" {
				select {
				case <-cmd.Context().Done():
					return cmd.Context().Err()
				case <-time.After(time.Second):
				}
				r, err = client.Get[v1.AccessRequest](cmd.Context(), c, "/access-requests/"+r.ID, nil)
			}
			if err = one(cmd, a, r, err); err == nil && wait && r.Status != "approved" {
				err = &client.Error{Status: 403, Envelope: v1.Error{Error: "APPROVAL_REQUIRED", Message: "The request is " + r.Status + "."}}
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why you need it")
	cmd.Flags().DurationVar(&duration, "duration", time.Hour, "for how long")
	cmd.Flags().StringVar(&in.Ticket, "ticket", "", "the ticket that it is about")
	cmd.Flags().StringVar(&in.Command, "command", "", "the only command that is to be run")
	cmd.Flags().BoolVar(&wait, "wait", false, "until it is decided")
	return cmd
}

func (a *app) requestsCommand() *cobra.Command {
	var status string
	var todo bool
	cmd := &cobra.Command{
		Use: "requests", Short: "List access requests", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			q := query("status", status)
			if todo {
				q.Set("to_decide", "true")
			}
			return list(cmd, a, c, "/access-requests", q, requestColumns...)
		}),
	}
	cmd.Flags().StringVar(&status, "status", "", "pending, approved, rejected, expired or cancelled")
	cmd.Flags().BoolVar(&todo, "to-decide", false, "only those on which you may decide")
	cmd.AddCommand(&cobra.Command{
		Use: "show ID", Short: "Show one access request", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			r, err := client.Get[v1.AccessRequest](cmd.Context(), c, "/access-requests/"+url.PathEscape(argv[0]), nil)
			return one(cmd, a, r, err)
		}),
	}, &cobra.Command{
		Use: "cancel ID", Short: "Take your own request back", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			r, err := client.Post[v1.AccessRequest](cmd.Context(), c, "/access-requests/"+url.PathEscape(argv[0])+"/cancel", nil)
			return one(cmd, a, r, err)
		}),
	})
	return cmd
}

func (a *app) decisionCommand(verb, short string) *cobra.Command {
	var in v1.AccessDecideIn
	var duration time.Duration
	cmd := &cobra.Command{
		Use: verb + " REQUEST", Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			in.DurationSeconds = int(duration / time.Second)
			r, err := client.Post[v1.AccessRequest](cmd.Context(), c, "/access-requests/"+url.PathEscape(argv[0])+"/"+verb, in)
			return one(cmd, a, r, err)
		}),
	}
	cmd.Flags().StringVar(&in.Comment, "comment", "", "for whoever asked, and for the record")
	if verb == "approve" {
		cmd.Flags().DurationVar(&duration, "duration", 0, "less time than was asked for")
	}
	return cmd
}

func (a *app) grantsCommand() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "grants", Short: "List grants", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/grants", query("status", status),
				col("ID", func(g v1.Grant) string { return g.ID }), col("WHO", func(g v1.Grant) string { return g.Email }), col("SAFE", func(g v1.Grant) string { return g.SafeName }),
				col("STATUS", func(g v1.Grant) string { return g.Status }), col("ENDS", func(g v1.Grant) string { return when(g.EndsAt) }))
		}),
	}
	cmd.Flags().StringVar(&status, "status", "", "active, used, ended or revoked")
	cmd.AddCommand(&cobra.Command{
		Use: "revoke ID", Short: "Revoke a grant; the sessions that rest on it end", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			return c.Delete(cmd.Context(), "/grants/"+url.PathEscape(argv[0]))
		}),
	})
	return cmd
}
