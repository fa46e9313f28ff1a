package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

var policies = noun[v1.Policy]{
	name: "policy", path: "/policies", prefix: "pol_",
	id: func(p v1.Policy) string { return p.ID }, slug: func(p v1.Policy) string { return p.Name },
	columns: []column[v1.Policy]{
		{"ID", func(p v1.Policy) string { return p.ID }},
		{"NAME", func(p v1.Policy) string { return p.Name }},
		{"STATUS", func(p v1.Policy) string { return p.Status }},
		{"ACTION", func(p v1.Policy) string { return p.Action }},
		{"CONDITIONS", func(p v1.Policy) string { return conditionsOf(p.Conditions) }},
		{"SAFES", func(p v1.Policy) string { return fmt.Sprint(len(p.SafeIDs)) }},
	},
}

// conditionsOf names the conditions that a policy has.
func conditionsOf(c v1.PolicyConditions) string {
	var out []string
	for _, c := range []struct {
		name string
		has  bool
	}{
		{"time", c.TimeWindow != nil},
		{"address", len(c.SourceIPs) > 0},
		{"mfa", c.MFARequired},
		{"type", len(c.ResourceTypes) > 0},
		{"users", len(c.UserIDs) > 0},
		{"groups", len(c.GroupIDs) > 0},
		{"roles", len(c.Roles) > 0},
	} {
		if c.has {
			out = append(out, c.name)
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ",")
}

func (a *app) policiesCommand() *cobra.Command {
	cmd := policies.command(a,
		policies.action(a, "activate", "Let a policy count"), policies.action(a, "disable", "Let a policy count no more"),
		a.policyPreviewCommand(), a.policyTemplatesCommand())
	cmd.Use, cmd.Aliases, cmd.Short = "policies", []string{"policy"}, "List and change policies"
	for _, sub := range cmd.Commands() {
		if sub.Name() == "list" {
			sub.Short = "List policies"
		}
		if sub.Name() == "create" {
			a.fromTemplate(sub)
		}
	}
	return cmd
}

// fromTemplate lets create begin with a template of the server's.
func (a *app) fromTemplate(create *cobra.Command) {
	var template string
	create.Flags().StringVar(&template, "template", "", "begin with one of: vaultpam policies templates")
	plain := create.RunE
	create.RunE = func(cmd *cobra.Command, argv []string) error {
		if template == "" {
			return plain(cmd, argv)
		}
		fields, err := cmd.Flags().GetStringArray("set")
		if err != nil {
			return err
		}
		changes, err := document("", fields)
		if err != nil {
			return usageError{err}
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		all, err := client.Get[[]v1.PolicyTemplate](cmd.Context(), c, "/policies/templates", nil)
		if err != nil {
			return err
		}
		for _, t := range all {
			if t.ID != template {
				continue
			}
			t.Policy.Name = argv[0]
			return a.stepUp(cmd, c, func() error {
				p, err := client.Post[v1.Policy](cmd.Context(), c, "/policies", t.Policy)
				if err == nil && len(changes) > 0 { // it is a draft: nothing rests on it yet
					p, err = client.Patch[v1.Policy](cmd.Context(), c, "/policies/"+url.PathEscape(p.ID), changes)
				}
				return one(cmd, a, p, err)
			})
		}
		return usageError{fmt.Errorf("--template %s: there is no such template; see vaultpam policies templates", template)}
	}
}

func (a *app) policyTemplatesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "templates", Short: "List policies to begin with", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			all, err := client.Get[[]v1.PolicyTemplate](cmd.Context(), c, "/policies/templates", nil)
			if err != nil {
				return err
			}
			return show(cmd, a, all, col("ID", func(t v1.PolicyTemplate) string { return t.ID }), col("ACTION", func(t v1.PolicyTemplate) string { return t.Policy.Action }),
				col("WHAT IT DOES", func(t v1.PolicyTemplate) string { return t.Policy.Description }))
		}),
	}
}

func (a *app) policyPreviewCommand() *cobra.Command {
	var days int
	var fields []string
	var from string
	cmd := &cobra.Command{
		Use: "preview ID|NAME", Short: "Say what a policy would have changed in the last days", Args: args(cobra.ExactArgs(1)),
		Long: "Evaluate a policy, as if it were active, against the sessions, checkouts and refusals of the last days. --set and --from suppose a change of it, and change nothing.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			in := v1.PolicyPreviewIn{Days: days}
			if len(fields) > 0 || from != "" {
				var err error
				if in.Change, err = document(from, fields); err != nil {
					return usageError{err}
				}
			}
			return policies.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				p, err := client.Post[v1.PolicyPreview](cmd.Context(), c, "/policies/"+id+"/preview", in)
				if err != nil {
					return err
				}
				if a.output == "json" {
					return printJSON(cmd.OutOrStdout(), p)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d attempts since %s, %d skipped\n", p.Attempts, when(p.Since), p.Skipped)
				if n := len(p.WeakenedSafeIDs); n > 0 {
					fmt.Fprintf(cmd.OutOrStdout(), "It would weaken %d safes: %s\n", n, strings.Join(p.WeakenedSafeIDs, " "))
				}
				if p.Truncated {
					fmt.Fprintln(cmd.OutOrStdout(), "There was more than fits; this is the latest.")
				}
				if len(p.Changes) == 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "Nobody would have noticed.")
					return nil
				}
				return show(cmd, a, p.Changes,
					col("USER", func(c v1.PolicyChange) string { return or(c.UserEmail, c.UserID) }), col("SAFE", func(c v1.PolicyChange) string { return c.SafeName }),
					col("BEFORE", func(c v1.PolicyChange) string { return c.Before }), col("AFTER", func(c v1.PolicyChange) string { return c.After }),
					col("TIMES", func(c v1.PolicyChange) string { return fmt.Sprint(c.Attempts) }), col("LAST", func(c v1.PolicyChange) string { return when(c.LastAt) }),
					col("WHY", func(c v1.PolicyChange) string { return c.Why }))
			})
		},
	}
	cmd.Flags().IntVar(&days, "days", 30, "how far to look back, at most 365")
	cmd.Flags().StringArrayVar(&fields, "set", nil, "FIELD=VALUE to suppose, may be repeated")
	cmd.Flags().StringVar(&from, "from", "", "JSON file with fields to suppose")
	return cmd
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// canCommand asks for a decision. A refusal is an answer, and exits 4.
func (a *app) canCommand() *cobra.Command {
	var in v1.AccessDecisionIn
	var at, resource string
	cmd := &cobra.Command{
		Use: "can SAFE", Aliases: []string{"access-decisions"}, Short: "Try an access decision, and learn why", Args: args(cobra.ExactArgs(1)),
		Long: "Say whether somebody would get through a Safe's door, and why, rule by rule: by the function that decides on real attempts. Without --user it is about you. It exits 0 for an allowance and 4 for anything else.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			if at != "" {
				t, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return usageError{errors.New("--at takes a time such as 2026-11-28T03:00:00+01:00")}
				}
				in.At = &t
			}
			return safes.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				in.SafeID = id
				if resource != "" {
					var err error
					if in.ResourceID, err = resources.find(cmd, c, resource); err != nil {
						return err
					}
				}
				d, err := client.Post[v1.AccessDecision](cmd.Context(), c, "/access-decisions", in)
				if err != nil {
					return err
				}
				if a.output == "json" {
					if err := printJSON(cmd.OutOrStdout(), d); err != nil {
						return err
					}
				} else {
					fmt.Fprintf(cmd.OutOrStdout(), "%s, by %s%s\n", d.Decision, printable(d.Rule), printable(tellObligations(d)))
					if err := show(cmd, a, d.Reasons, col("RULE", func(r v1.RuleReason) string { return or(r.Name, r.Rule) }),
						col("EFFECT", func(r v1.RuleReason) string { return r.Effect }), col("WHY", func(r v1.RuleReason) string { return r.Why })); err != nil {
						return err
					}
				}
				if d.Decision != "allow" {
					return exitCode(exitDenied)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&in.UserID, "user", "", "user id; default: yourself")
	cmd.Flags().StringVar(&at, "at", "", "a time, RFC 3339; default: now")
	cmd.Flags().StringVar(&in.SourceIP, "from", "", "the client's address")
	cmd.Flags().StringVar(&in.Action, "action", "launch", "launch or check_out")
	cmd.Flags().StringVar(&resource, "resource", "", "id or slug; default: all of the Safe's")
	cmd.Flags().BoolVar(&in.Emergency, "emergency", false, "by break-glass")
	return cmd
}

func tellObligations(d v1.AccessDecision) string {
	var out string
	for _, o := range d.Obligations {
		switch o.Kind {
		case "approval":
			out += fmt.Sprintf(", with the approval of %d", o.Approvers)
		case "step_up":
			out += ", after authenticating again"
		case "mfa":
			out += ", with a second factor"
		case "reason":
			out += ", with a reason"
		}
	}
	return out
}
