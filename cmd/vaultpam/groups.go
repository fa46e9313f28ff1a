package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

var groups = noun[v1.Group]{
	name: "group", path: "/org/groups", prefix: "grp_",
	id: func(g v1.Group) string { return g.ID }, slug: func(g v1.Group) string { return g.Name },
	columns: []column[v1.Group]{
		{"ID", func(g v1.Group) string { return g.ID }},
		{"NAME", func(g v1.Group) string { return g.Name }},
		{"MEMBERS", func(g v1.Group) string { return fmt.Sprint(g.MemberCount) }},
		{"FILLED BY", func(g v1.Group) string { return g.Source }},
	},
}

func (a *app) groupsCommand() *cobra.Command {
	cmd := groups.command(a, a.groupMembersCommand())
	for _, sub := range cmd.Commands() {
		sub.Use = strings.Replace(sub.Use, "ID|SLUG", "ID|NAME", 1)
	}
	return cmd
}

// memberID turns an e-mail address into the id of a member.
func memberID(cmd *cobra.Command, c *client.Client, ref string) (string, error) {
	if !strings.Contains(ref, "@") {
		return url.PathEscape(ref), nil
	}
	rows, err := client.All[v1.Member](cmd.Context(), c, "/org/members", url.Values{"q": {ref}})
	if err != nil {
		return "", err
	}
	for _, m := range rows {
		if strings.EqualFold(m.Email, ref) {
			return m.UserID, nil
		}
	}
	return "", &client.Error{Status: 404, Envelope: v1.Error{Error: "NOT_FOUND", Message: fmt.Sprintf("There is no member %q.", ref)}}
}

func (a *app) groupMembersCommand() *cobra.Command {
	var add, remove []string
	cmd := &cobra.Command{
		Use: "members ID|NAME", Short: "List a group's members, or --add and --remove people by id or e-mail address", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return groups.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				path := "/org/groups/" + id + "/members"
				for _, who := range add {
					user, err := memberID(cmd, c, who)
					if err != nil {
						return err
					}
					if _, err := client.Put[v1.Group](cmd.Context(), c, path+"/"+user, nil); err != nil {
						return err
					}
				}
				for _, who := range remove {
					user, err := memberID(cmd, c, who)
					if err != nil {
						return err
					}
					if err := c.Delete(cmd.Context(), path+"/"+user); err != nil {
						return err
					}
				}
				return list(cmd, a, c, path, nil,
					col("USER", func(m v1.GroupMember) string { return m.UserID }), col("EMAIL", func(m v1.GroupMember) string { return m.Email }),
					col("ROLE", func(m v1.GroupMember) string { return m.Role }), col("STATUS", func(m v1.GroupMember) string { return m.Status }))
			})
		},
	}
	cmd.Flags().StringSliceVar(&add, "add", nil, "people to bring in")
	cmd.Flags().StringSliceVar(&remove, "remove", nil, "people to take out")
	return cmd
}

var invitationColumns = []column[v1.Invitation]{
	{"ID", func(i v1.Invitation) string { return i.ID }},
	{"EMAIL", func(i v1.Invitation) string { return i.Email }},
	{"ROLE", func(i v1.Invitation) string { return i.Role }},
	{"STATUS", func(i v1.Invitation) string { return i.Status }},
	{"LETTER", func(i v1.Invitation) string {
		if i.Delivery == nil {
			return "-"
		}
		return strings.TrimSpace(i.Delivery.Status + " " + i.Delivery.Problem)
	}},
	{"EXPIRES", func(i v1.Invitation) string { return when(i.ExpiresAt) }},
}

func (a *app) invitationsCommand() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "invitations", Aliases: []string{"invitation"}, Short: "List invitations to the organization", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			q := url.Values{}
			if status != "" {
				q.Set("status", status)
			}
			return list(cmd, a, c, "/org/invitations", q, invitationColumns...)
		}),
	}
	cmd.Flags().StringVar(&status, "status", "", "pending, accepted, revoked or expired")
	var in v1.InvitationsIn
	send := &cobra.Command{
		Use: "send EMAIL...", Short: "Invite people by e-mail", Args: args(cobra.RangeArgs(1, 50)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			in.Emails = argv
			for i, ref := range in.SafeIDs {
				id, err := safes.find(cmd, c, ref)
				if err != nil {
					return err
				}
				in.SafeIDs[i] = id
			}
			made, err := client.Post[[]v1.Invitation](cmd.Context(), c, "/org/invitations", in)
			return one(cmd, a, made, err)
		}),
	}
	send.Flags().StringVar(&in.Role, "role", "operator", "owner, admin, policy_manager, operator or auditor")
	send.Flags().StringSliceVar(&in.SafeIDs, "safe", nil, "Safes in which they get a role")
	send.Flags().StringVar(&in.SafeRole, "safe-role", "", "viewer, operator, manager or approver (default operator, for an auditor viewer)")
	send.Flags().StringVar(&in.Language, "language", "", "of the letter: en, de, fr or pl")
	cmd.AddCommand(send, a.deleteByID("revoke INVITATION_ID", "Revoke an invitation", "/org/invitations/"))
	cmd.AddCommand(&cobra.Command{
		Use: "resend INVITATION_ID", Short: "Mail a new link; the one before opens nothing more", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			i, err := client.Post[v1.Invitation](cmd.Context(), c, "/org/invitations/"+url.PathEscape(argv[0])+"/resend", nil)
			return one(cmd, a, i, err)
		}),
	})
	return cmd
}

// memberCommands are what is done to one member, by id or e-mail address.
func (a *app) memberCommands() []*cobra.Command {
	var language, role string
	of := func(use, short string, act func(*cobra.Command, *client.Client, string) error) *cobra.Command {
		return &cobra.Command{
			Use: use + " USER_ID|EMAIL", Short: short, Args: args(cobra.ExactArgs(1)),
			RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
				id, err := memberID(cmd, c, argv[0])
				if err != nil {
					return err
				}
				return a.stepUp(cmd, c, func() error { return act(cmd, c, id) })
			}),
		}
	}
	reset := of("reset-password", "Have a link to a new password mailed to a member", func(cmd *cobra.Command, c *client.Client, id string) error {
		v, err := client.Post[v1.PasswordReset](cmd.Context(), c, "/org/members/"+id+"/reset-password", v1.PasswordResetIn{Language: language})
		return one(cmd, a, v, err)
	})
	reset.Flags().StringVar(&language, "language", "", "of the letter, where the person's is not known: en, de, fr or pl")
	change := of("role", "Give a member another role", func(cmd *cobra.Command, c *client.Client, id string) error {
		if role == "" {
			return usageError{errors.New("--role is needed")}
		}
		v, err := client.Patch[v1.Member](cmd.Context(), c, "/org/members/"+id, v1.MemberPatch{Role: role})
		return one(cmd, a, v, err)
	})
	change.Flags().StringVar(&role, "role", "", "owner, admin, policy_manager, operator or auditor")
	var yes bool
	transfer := of("transfer-ownership", "Make a member an owner in your place", func(cmd *cobra.Command, c *client.Client, id string) error {
		if err := confirm(cmd, yes, "Make "+id+" an owner, and yourself an admin?"); err != nil {
			return err
		}
		yes = true // also when it is asked for a second time, after a step-up
		v, err := client.Post[v1.Member](cmd.Context(), c, "/org/transfer-ownership", v1.OwnershipIn{UserID: id})
		return one(cmd, a, v, err)
	})
	transfer.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return []*cobra.Command{change, reset, transfer}
}
