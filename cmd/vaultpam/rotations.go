package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

var rotationColumns = []column[v1.Rotation]{
	{"ID", func(r v1.Rotation) string { return r.ID }},
	{"ACCOUNT", func(r v1.Rotation) string { return r.AccountName }},
	{"TRIGGER", func(r v1.Rotation) string { return r.Trigger }},
	{"STATE", func(r v1.Rotation) string { return r.State }},
	{"VERSION", func(r v1.Rotation) string {
		if r.Version == 0 {
			return "-"
		}
		return fmt.Sprintf("%d → %d", r.OldVersion, r.Version)
	}},
	{"SINCE", func(r v1.Rotation) string { return r.UpdatedAt.Local().Format(time.DateTime) }},
	{"PROBLEM", func(r v1.Rotation) string { return r.Problem }},
}

func (a *app) rotationsCommand() *cobra.Command {
	var open bool
	var state string
	cmd := &cobra.Command{
		Use: "rotations", Short: "List rotations of credentials, newest first", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			q := url.Values{}
			if open {
				q.Set("open", "true")
			}
			if state != "" {
				q.Set("state", state)
			}
			return list(cmd, a, c, "/rotations", q, rotationColumns...)
		}),
	}
	cmd.Flags().BoolVar(&open, "open", false, "only those that are not over")
	cmd.Flags().StringVar(&state, "state", "", "only those in this state, such as stuck")
	act := func(use, short, action string) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: args(cobra.ExactArgs(1)), RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			r, err := client.Post[v1.Rotation](cmd.Context(), c, "/rotations/"+url.PathEscape(argv[0])+action, nil)
			return one(cmd, a, r, err)
		})}
	}
	cmd.AddCommand(
		&cobra.Command{Use: "show ID", Short: "Show one rotation", Args: args(cobra.ExactArgs(1)), RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			r, err := client.Get[v1.Rotation](cmd.Context(), c, "/rotations/"+url.PathEscape(argv[0]), nil)
			return one(cmd, a, r, err)
		})},
		act("retry ID", "Ask the target again which secret logs in, and go on", "/retry"),
		act("cancel ID", "End a rotation of which the target has not heard", "/cancel"),
	)
	return cmd
}

// rotateCommand rotates one account's credential.
func (a *app) rotateCommand() *cobra.Command {
	var upload, wait bool
	var keyFile string
	cmd := &cobra.Command{
		Use: "rotate ID|SLUG", Short: "Have the target take a new secret", Args: args(cobra.ExactArgs(1)),
		Long: "Have the target take a new secret that nobody sees: it is stored, applied, verified by a login, and promoted once the earlier one was seen not to log in any more. With --upload, or --private-key, the secret was changed elsewhere: it is only verified and promoted. --wait returns when it is over: with 0 if it is done.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			var in v1.RotateIn
			if upload || keyFile != "" {
				secret, err := newCredential("", keyFile, "", "", false)
				if err != nil {
					return err
				}
				in.Credential = &secret
			}
			return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				r, err := client.Post[v1.Rotation](cmd.Context(), c, "/accounts/"+id+"/rotate", in)
				for err == nil && wait && r.EndedAt == nil && !r.NeedsSomeone {
					select {
					case <-cmd.Context().Done():
						return cmd.Context().Err()
					case <-time.After(500 * time.Millisecond):
					}
					r, err = client.Get[v1.Rotation](cmd.Context(), c, "/rotations/"+r.ID, nil)
				}
				if err = one(cmd, a, r, err); err == nil && wait && r.State != "done" {
					err = &client.Error{Status: 409, Envelope: v1.Error{Error: "CONFLICT", Message: "The rotation is " + r.State + ": " + r.Problem}}
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&upload, "upload", false, "verify a password that was changed elsewhere")
	cmd.Flags().StringVar(&keyFile, "private-key", "", "verify the key in this file, which was put in place elsewhere")
	cmd.Flags().BoolVar(&wait, "wait", false, "until it is over")
	return cmd
}

// rotationCommand shows and sets how one account's credential is rotated.
func (a *app) rotationCommand() *cobra.Command {
	var fields []string
	var from string
	show := &cobra.Command{
		Use: "rotation ID|SLUG", Short: "Show how an account's credential is rotated and checked", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				s, err := client.Get[v1.RotationSettings](cmd.Context(), c, "/accounts/"+id+"/rotation", nil)
				return one(cmd, a, s, err)
			})
		},
	}
	set := &cobra.Command{
		Use: "set ID|SLUG", Short: "Say how it is rotated and checked; what is not said is the default", Args: args(cobra.ExactArgs(1)),
		Long: "Say how an account's credential is rotated and checked. --set takes the fields of the API by name: --set check_hours=24 --set reconcile_account_id=acc_… --set 'generation={\"length\":32}'. --from reads a JSON document; - is standard input.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			body, err := document(from, fields)
			if err != nil {
				return usageError{err}
			}
			return accounts.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				s, err := client.Put[v1.RotationSettings](cmd.Context(), c, "/accounts/"+id+"/rotation", body)
				return one(cmd, a, s, err)
			})
		},
	}
	set.Flags().StringArrayVar(&fields, "set", nil, "FIELD=VALUE, may be repeated")
	set.Flags().StringVar(&from, "from", "", "JSON file with the fields")
	show.AddCommand(set)
	return show
}

func (a *app) credentialHealthCommand() *cobra.Command {
	var flag string
	cmd := &cobra.Command{
		Use: "credential-health", Short: "Which credentials want a look: old, unused, shared, weak, never rotated, refused, stuck", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			q := url.Values{}
			if flag != "" {
				q.Set("flag", flag)
			}
			return list(cmd, a, c, "/credential-health", q,
				column[v1.CredentialHealth]{"ACCOUNT", func(h v1.CredentialHealth) string { return h.AccountName }},
				column[v1.CredentialHealth]{"KIND", func(h v1.CredentialHealth) string { return fmt.Sprintf("%s v%d", h.Kind, h.Version) }},
				column[v1.CredentialHealth]{"AGE", func(h v1.CredentialHealth) string { return fmt.Sprintf("%d d", h.AgeDays) }},
				column[v1.CredentialHealth]{"ROTATION", func(h v1.CredentialHealth) string { return h.RotationState }},
				column[v1.CredentialHealth]{"CHECK", func(h v1.CredentialHealth) string { return h.Check }},
				column[v1.CredentialHealth]{"FLAGS", func(h v1.CredentialHealth) string { return strings.Join(h.Flags, " ") }},
			)
		}),
	}
	cmd.Flags().StringVar(&flag, "flag", "", "only those that have it")
	return cmd
}
