package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

func (a *app) safeMembersCommand() *cobra.Command {
	var role, user, remove string
	cmd := &cobra.Command{
		Use: "members SAFE", Short: "List a Safe's members, or --add USER_ID|GROUP_ID, or --remove MEMBER_ID", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if user != "" && remove != "" {
				return usageError{errors.New("--add and --remove are two commands")}
			}
			return safes.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				if user != "" {
					in := v1.SafeMemberIn{UserID: user, Role: role}
					if strings.HasPrefix(user, groups.prefix) {
						in.UserID, in.GroupID = "", user
					}
					m, err := client.Post[v1.SafeMember](cmd.Context(), c, "/safes/"+id+"/members", in)
					return one(cmd, a, m, err)
				}
				if remove != "" {
					return c.Delete(cmd.Context(), "/safes/"+id+"/members/"+url.PathEscape(remove))
				}
				return list(cmd, a, c, "/safes/"+id+"/members", nil,
					col("ID", func(m v1.SafeMember) string { return m.ID }), col("HOLDER", func(m v1.SafeMember) string { return m.UserID + m.GroupID }),
					col("NAME", func(m v1.SafeMember) string { return m.Email + m.GroupName }), col("ROLE", func(m v1.SafeMember) string { return m.Role }))
			})
		},
	}
	cmd.Flags().StringVar(&user, "add", "", "user or group to add, by id")
	cmd.Flags().StringVar(&remove, "remove", "", "membership to remove, by the id in the list")
	cmd.Flags().StringVar(&role, "role", "operator", "viewer, operator, manager or approver")
	return cmd
}

func (a *app) membersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "members", Short: "List the organization's members", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/org/members", nil,
				col("USER", func(m v1.Member) string { return m.UserID }), col("EMAIL", func(m v1.Member) string { return m.Email }),
				col("ROLE", func(m v1.Member) string { return m.Role }), col("STATUS", func(m v1.Member) string { return m.Status }))
		}),
	}
	var role string
	var machine bool
	add := &cobra.Command{
		Use: "add EMAIL", Short: "Add a member; the first password is asked for", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			in := v1.MemberIn{Email: argv[0], Role: role, ServiceUser: machine}
			if !machine {
				var err error
				if in.Password, err = askSecret("First password (to be changed at the first login): "); err != nil {
					return err
				}
			}
			return a.stepUp(cmd, c, func() error {
				m, err := client.Post[v1.Member](cmd.Context(), c, "/org/members", in)
				return one(cmd, a, m, err)
			})
		}),
	}
	add.Flags().BoolVar(&machine, "service-user", false, "a machine, which has tokens alone; the address is its name")
	add.Flags().StringVar(&role, "role", "operator", "owner, admin, policy_manager, operator or auditor")
	cmd.AddCommand(add)
	cmd.AddCommand(a.deleteByID("remove USER_ID", "Remove a member", "/org/members/"))
	cmd.AddCommand(a.memberCommands()...)
	for verb, short := range map[string]string{"suspend": "Suspend a member", "resume": "Resume a member", "reset-mfa": "Take away the second factors of a member who has lost theirs"} {
		cmd.AddCommand(&cobra.Command{
			Use: verb + " USER_ID", Short: short, Args: args(cobra.ExactArgs(1)),
			RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
				return a.stepUp(cmd, c, func() error {
					m, err := client.Post[v1.Member](cmd.Context(), c, "/org/members/"+url.PathEscape(argv[0])+"/"+verb, nil)
					return one(cmd, a, m, err)
				})
			}),
		})
	}
	return cmd
}

func (a *app) organizationsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "organizations", Short: "List all organizations, for an administrator of the instance", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/organizations", nil,
				col("ID", func(o v1.Org) string { return o.ID }), col("NAME", func(o v1.Org) string { return o.Name }),
				col("SLUG", func(o v1.Org) string { return o.Slug }), col("CREATED", func(o v1.Org) string { return when(o.CreatedAt) }))
		}),
	}
	var owner string
	create := &cobra.Command{
		Use: "create NAME", Short: "Make an organization; you own it unless --owner names somebody", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			in := v1.OrganizationIn{Name: argv[0], OwnerEmail: owner}
			if owner != "" {
				var err error
				if in.OwnerPassword, err = askSecret("First password of " + owner + " (to be changed at the first login): "); err != nil {
					return err
				}
			}
			o, err := client.Post[v1.Org](cmd.Context(), c, "/organizations", in)
			return one(cmd, a, o, err)
		}),
	}
	create.Flags().StringVar(&owner, "owner", "", "e-mail of the owner")
	cmd.AddCommand(create)
	return cmd
}

func (a *app) tokensCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tokens", Short: "List your personal access tokens", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/personal-access-tokens", nil,
				col("ID", func(t v1.PersonalAccessToken) string { return t.ID }), col("NAME", func(t v1.PersonalAccessToken) string { return t.Name }),
				col("SCOPES", func(t v1.PersonalAccessToken) string { return strings.Join(t.Scopes, " ") }),
				col("EXPIRES", func(t v1.PersonalAccessToken) string { return when(t.ExpiresAt) }))
		}),
	}
	var scopes []string
	var days int
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a token; it is shown this once", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			return a.stepUp(cmd, c, func() error {
				t, err := client.Post[v1.PersonalAccessToken](cmd.Context(), c, "/personal-access-tokens", v1.PersonalAccessTokenIn{Name: argv[0], Scopes: scopes, ExpiresInDays: days})
				return one(cmd, a, t, err)
			})
		}),
	}
	create.Flags().StringSliceVar(&scopes, "scope", []string{"safes:read"}, "scopes, such as safes:read,sessions:launch")
	create.Flags().IntVar(&days, "days", 30, "lifetime, at most 180")
	cmd.AddCommand(create, a.deleteByID("revoke ID", "Revoke a token", "/personal-access-tokens/"))
	return cmd
}

func (a *app) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ssh-keys", Short: "List your SSH public keys", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/me/ssh-keys", nil,
				col("ID", func(k v1.SSHKey) string { return k.ID }), col("NAME", func(k v1.SSHKey) string { return k.Name }),
				col("FINGERPRINT", func(k v1.SSHKey) string { return k.Fingerprint }), col("ADDED", func(k v1.SSHKey) string { return when(k.CreatedAt) }))
		}),
	}
	cmd.AddCommand(&cobra.Command{
		Use: "add NAME FILE.pub", Short: "Register a public key", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			text, err := os.ReadFile(argv[1])
			if err != nil {
				return err
			}
			if strings.Contains(string(text), "PRIVATE KEY") {
				return fmt.Errorf("%s is a private key, which never leaves your machine; name the .pub file", argv[1])
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.stepUp(cmd, c, func() error {
				k, err := client.Post[v1.SSHKey](cmd.Context(), c, "/me/ssh-keys", v1.SSHKeyIn{Name: argv[0], PublicKey: strings.TrimSpace(string(text))})
				return one(cmd, a, k, err)
			})
		},
	}, a.deleteByID("remove ID", "Remove a public key", "/me/ssh-keys/"))
	return cmd
}

func (a *app) deleteByID(use, short, path string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			return a.stepUp(cmd, c, func() error { return c.Delete(cmd.Context(), path+url.PathEscape(argv[0])) })
		}),
	}
}

func (a *app) checkoutCommand() *cobra.Command {
	var account, reason, session string
	var emergency bool
	cmd := &cobra.Command{
		Use: "checkout SAFE", Short: "Reveal a credential", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if err := warnOfEmergency(cmd, emergency, reason); err != nil {
				return err
			}
			return a.within(cmd, place{argv[0], account, ""}, emergency, func(c *client.Client, at place) error {
				out, err := client.Post[v1.Checkout](cmd.Context(), c, "/checkouts", v1.CheckoutIn{SafeID: at.safe, AccountID: at.account, Reason: reason, SessionID: session, Emergency: emergency})
				if err != nil {
					return err
				}
				if a.output == "json" {
					return printJSON(cmd.OutOrStdout(), out)
				}
				cmd.PrintErrf("%s, checked out until %s; give it back with: vaultpam checkout return %s\n", out.Username, when(out.ExpiresAt), out.ID)
				fmt.Fprintln(cmd.OutOrStdout(), out.Value)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "id or slug, where the Safe has several")
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().StringVar(&session, "session", "", "id of an open session of yours: the checkout ends with it")
	cmd.Flags().BoolVar(&emergency, "emergency", false, emergencyUsage)
	cmd.AddCommand(a.extendCommand(), &cobra.Command{
		Use: "return ID", Short: "Give a credential back", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			out, err := client.Post[v1.Checkout](cmd.Context(), c, "/checkouts/"+url.PathEscape(argv[0])+"/check-in", nil)
			return one(cmd, a, out, err)
		}),
	}, a.checkoutsCommand("list"))
	return cmd
}
