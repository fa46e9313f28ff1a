package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

// lastUse is when something was used last, for a table.
func lastUse(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return when(*t)
}

// accessQuery turns the flags of the list and the export into ids.
func accessQuery(cmd *cobra.Command, c *client.Client, user, safe, resource string) (url.Values, error) {
	q := url.Values{}
	if user == "me" {
		me, err := client.Get[v1.Me](cmd.Context(), c, "/me", nil)
		if err != nil {
			return nil, err
		}
		user = me.ID
	}
	for _, f := range []struct {
		key, ref string
		find     func(*cobra.Command, *client.Client, string) (string, error)
	}{{"user_id", user, memberID}, {"safe_id", safe, safes.find}, {"resource_id", resource, resources.find}} {
		if f.ref == "" {
			continue
		}
		id, err := f.find(cmd, c, f.ref)
		if err != nil {
			return nil, err
		}
		q.Set(f.key, id)
	}
	return q, nil
}

func (a *app) accessCommand() *cobra.Command {
	var user, safe, resource, format string
	cmd := &cobra.Command{
		Use: "access", Short: "List who can reach what, and by which rule", Args: args(cobra.NoArgs),
		Long: "List every person with every Safe in which they have a role: what gives it, what the Safe grants access to, and what a launch would come to now. Everybody may ask about --user me, a manager about their Safe, those who oversee the organization about all.",
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			q, err := accessQuery(cmd, c, user, safe, resource)
			if err != nil {
				return err
			}
			return list(cmd, a, c, "/access", q,
				col("EMAIL", func(x v1.Access) string { return x.Email }), col("SAFE", func(x v1.Access) string { return x.SafeName }), col("ROLE", func(x v1.Access) string { return x.Role }),
				col("BY", func(x v1.Access) string {
					var by []string
					for _, g := range x.Grounds {
						text := g.Rule
						if g.GroupName != "" {
							text += " " + g.GroupName
						}
						by = append(by, text)
					}
					return strings.Join(by, ", ")
				}),
				col("DECISION", func(x v1.Access) string { return x.Decision }), col("LAST USED", func(x v1.Access) string { return lastUse(x.LastUsedAt) }))
		}),
	}
	export := &cobra.Command{
		Use: "export", Short: "Write the list to standard output, whole", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			q, err := accessQuery(cmd, c, user, safe, resource)
			if err != nil {
				return err
			}
			q.Set("format", format)
			return pour(cmd, c, "/access/export", q)
		}),
	}
	cmd.PersistentFlags().StringVar(&user, "user", "", "only what this person reaches: an e-mail address, an id, or me")
	cmd.PersistentFlags().StringVar(&safe, "safe", "", "only this Safe")
	cmd.PersistentFlags().StringVar(&resource, "resource", "", "only Safes that bind this resource")
	export.Flags().StringVar(&format, "format", "csv", "csv or ndjson")
	cmd.AddCommand(export)
	return cmd
}

// pour writes what the server streams to standard output.
func pour(cmd *cobra.Command, c *client.Client, path string, q url.Values) error {
	in, err := c.Stream(cmd.Context(), path, q)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(cmd.OutOrStdout(), in)
	return err
}

var reviews = noun[v1.AccessReview]{
	name: "access review", path: "/access-reviews", prefix: "rvw_",
	id: func(r v1.AccessReview) string { return r.ID }, slug: func(r v1.AccessReview) string { return r.Name },
	columns: []column[v1.AccessReview]{
		{"ID", func(r v1.AccessReview) string { return r.ID }},
		{"NAME", func(r v1.AccessReview) string { return r.Name }},
		{"STATUS", func(r v1.AccessReview) string { return r.Status }},
		{"DUE", func(r v1.AccessReview) string { return when(r.DueAt) }},
		{"DECIDED", func(r v1.AccessReview) string {
			return fmt.Sprintf("%d of %d", r.Counts.Total-r.Counts.Pending, r.Counts.Total)
		}},
		{"REVOKED", func(r v1.AccessReview) string { return fmt.Sprint(r.Counts.Revoke) }},
	},
}

var reviewItemColumns = []column[v1.AccessReviewItem]{
	{"ID", func(i v1.AccessReviewItem) string { return i.ID }},
	{"WHO", func(i v1.AccessReviewItem) string {
		if i.Email == "" {
			return "group " + i.GroupName
		}
		return i.Email
	}},
	{"WHAT", func(i v1.AccessReviewItem) string {
		if i.Kind == "group_member" {
			return "in the group " + i.GroupName
		}
		return i.Role + " of " + i.SafeName
	}},
	{"LAST USED", func(i v1.AccessReviewItem) string { return lastUse(i.LastUsedAt) }},
	{"DECISION", func(i v1.AccessReviewItem) string { return i.Decision }},
	{"OUTCOME", func(i v1.AccessReviewItem) string { return i.Outcome }},
	{"YOURS", func(i v1.AccessReviewItem) string { return fmt.Sprint(i.CanDecide) }},
}

func (a *app) reviewsCommand() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "reviews", Aliases: []string{"review"}, Short: "List access reviews, and decide in them", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/access-reviews", query("status", status), reviews.columns...)
		}),
	}
	cmd.Flags().StringVar(&status, "status", "", "open or closed")

	var named []string
	var days int
	var in v1.AccessReviewIn
	begin := &cobra.Command{
		Use: "begin NAME", Short: "Ask of each role that there is whether it should stay", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			in.Name, in.DueAt = argv[0], time.Now().Add(time.Duration(days)*24*time.Hour)
			for _, ref := range named {
				id, err := safes.find(cmd, c, ref)
				if err != nil {
					return err
				}
				in.SafeIDs = append(in.SafeIDs, id)
			}
			r, err := client.Post[v1.AccessReview](cmd.Context(), c, "/access-reviews", in)
			return one(cmd, a, r, err)
		}),
	}
	begin.Flags().StringSliceVar(&named, "safe", nil, "only these Safes")
	begin.Flags().BoolVar(&in.IncludeGroups, "groups", false, "ask about who is in the groups that have roles, too")
	begin.Flags().IntVar(&days, "days", 14, "until it is over")
	begin.Flags().StringVar(&in.OnExpiry, "on-expiry", "keep", "what becomes of that about which nobody decides: keep or revoke")

	var decision, search string
	items := &cobra.Command{
		Use: "items ID|NAME", Short: "List what a review asks about", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return reviews.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				return list(cmd, a, c, "/access-reviews/"+id+"/items", query("decision", decision, "q", search), reviewItemColumns...)
			})
		},
	}
	items.Flags().StringVar(&search, "search", "", "only those in whose names this is")
	items.Flags().StringVar(&decision, "decision", "", "pending, keep, revoke or lapsed")

	var format string
	export := &cobra.Command{
		Use: "export ID|NAME", Short: "Write a review with its decisions to standard output", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return reviews.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				return pour(cmd, c, "/access-reviews/"+id+"/export", query("format", format))
			})
		},
	}
	export.Flags().StringVar(&format, "format", "csv", "csv or ndjson")
	cmd.AddCommand(begin, items, export, reviews.action(a, "close", "End a review before its time"),
		a.decideCommand("keep", "Say of items of a review that they stay"), a.decideCommand("revoke", "Take away what items of a review are about, at once"))
	for _, sub := range cmd.Commands() {
		sub.Use = strings.Replace(sub.Use, "ID|SLUG", "ID|NAME", 1)
	}
	return cmd
}

func (a *app) decideCommand(verb, short string) *cobra.Command {
	var comment string
	cmd := &cobra.Command{
		Use: verb + " ID|NAME ITEM...", Short: short, Args: args(cobra.RangeArgs(2, 201)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return reviews.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				rows, err := client.Post[[]v1.AccessReviewItem](cmd.Context(), c, "/access-reviews/"+id+"/decisions", v1.AccessReviewDecisionsIn{ItemIDs: argv[1:], Decision: verb, Comment: comment})
				if err != nil {
					return err
				}
				return show(cmd, a, rows, reviewItemColumns...)
			})
		},
	}
	cmd.Flags().StringVar(&comment, "comment", "", "why, for the record")
	return cmd
}
