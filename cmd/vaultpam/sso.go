package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

var providers = noun[v1.SSOProvider]{
	name: "provider", path: "/org/sso/providers", prefix: "sso_",
	id: func(p v1.SSOProvider) string { return p.ID }, slug: func(p v1.SSOProvider) string { return p.Name },
	columns: []column[v1.SSOProvider]{
		{"ID", func(p v1.SSOProvider) string { return p.ID }},
		{"NAME", func(p v1.SSOProvider) string { return p.Name }},
		{"TYPE", func(p v1.SSOProvider) string { return p.Type }},
		{"ISSUER", func(p v1.SSOProvider) string { return p.Issuer }},
		{"ENABLED", func(p v1.SSOProvider) string { return fmt.Sprint(p.Enabled) }},
		{"CALLBACK", func(p v1.SSOProvider) string { return p.CallbackURL }},
	},
}

func (a *app) ssoCommand() *cobra.Command {
	cmd := providers.command(a, providers.action(a, "test", "See whether a provider's documents can be read"), a.ssoSecretCommand(), a.ssoSyncCommand(), a.ssoCreateSAMLCommand(), a.ssoMetadataCommand(), a.ssoOnlyCommand(), a.ssoAccountsCommand())
	cmd.Use, cmd.Aliases, cmd.Short = "sso", nil, "List and change who vouches for people (single sign-on)"
	for _, sub := range cmd.Commands() {
		sub.Use = strings.Replace(sub.Use, "ID|SLUG", "ID|NAME", 1)
		switch sub.Name() {
		case "create":
			sub.Aliases = []string{"add"}
			sub.Long += "\n\nThe client's secret does not belong on the command line, where other processes see it: give it in the document, or afterwards by set-secret."
		case "delete":
			sub.Aliases = []string{"remove"}
		}
	}
	return cmd
}

func (a *app) ssoSyncCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "sync ID|NAME", Short: "Read a directory now: groups and roles, and who is gone", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return providers.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Post[v1.SSOProvider](cmd.Context(), c, providers.path+"/"+id+"/sync", v1.LDAPSyncIn{All: all})
				return one(cmd, a, v, err)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "suspend all who are not in it any more, however many")
	return cmd
}

func (a *app) ssoSecretCommand() *cobra.Command {
	return &cobra.Command{
		Use: "set-secret ID|NAME", Short: "Store the client's secret, asked for or read from standard input", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			text, err := askSecret("Client secret: ")
			if err != nil {
				return err
			}
			return providers.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Patch[v1.SSOProvider](cmd.Context(), c, providers.path+"/"+id, map[string]any{"client_secret": text})
				return one(cmd, a, v, err)
			})
		},
	}
}

// metadataOf is what says where a provider's metadata is: an address, or a file
// ("-" is standard input).
func metadataOf(ref string) (*v1.SAMLIn, error) {
	if strings.HasPrefix(ref, "https://") || strings.HasPrefix(ref, "http://") {
		return &v1.SAMLIn{MetadataURL: ref}, nil
	}
	in := os.Stdin
	if ref != "-" {
		var err error
		if in, err = os.Open(ref); err != nil {
			return nil, err
		}
		defer in.Close()
	}
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	document := string(text)
	return &v1.SAMLIn{Metadata: &document}, err
}

func (a *app) ssoCreateSAMLCommand() *cobra.Command {
	in := v1.SSOProviderIn{Type: "saml"}
	var subject string
	var disabled bool
	cmd := &cobra.Command{
		Use: "create-saml NAME FILE|URL", Short: "Believe a provider of SAML 2.0, by its metadata", Args: args(cobra.ExactArgs(2)),
		Long:    "Believe a provider of SAML 2.0, by its metadata: a file, - for standard input, or an address, where it is read again each day. Prints what the provider is to be given: our entity id, at which our metadata is, and the address for responses.",
		Example: "  vaultpam sso create-saml \"Corp\" https://idp.example.com/metadata --domain example.com --create-users",
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			var err error
			if in.SAML, err = metadataOf(argv[1]); err != nil {
				return err
			}
			in.Name, in.Enabled, in.SAML.SubjectAttribute = argv[0], !disabled, subject
			return a.stepUp(cmd, c, func() error {
				v, err := client.Post[v1.SSOProvider](cmd.Context(), c, providers.path, in)
				if err != nil || a.output == "json" || v.SAML == nil {
					return one(cmd, a, v, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s\nEntity ID and metadata: %s\nACS:                    %s\n", v.ID, v.SAML.EntityID, v.CallbackURL)
				return nil
			})
		}),
	}
	f := cmd.Flags()
	f.StringSliceVar(&in.AllowedDomains, "domain", nil, "a domain of the addresses that it may vouch for; without any, none counts")
	f.BoolVar(&in.CreateUsers, "create-users", false, "make users of people who are not here yet")
	f.StringVar(&in.GroupClaim, "group-attribute", "", "the attribute whose values the rules are about; default those that are common")
	f.StringVar(&subject, "subject-attribute", "", "the attribute that says who somebody is; default the persistent NameID")
	f.BoolVar(&disabled, "disabled", false, "let nobody sign in by it yet")
	return cmd
}

func (a *app) ssoMetadataCommand() *cobra.Command {
	return &cobra.Command{
		Use: "set-metadata ID|NAME FILE|URL", Short: "Replace the metadata of a provider of SAML 2.0", Args: args(cobra.ExactArgs(2)),
		Long: "Replace the metadata of a provider of SAML 2.0 by a file, - for standard input, or an address. With keys that it did not have, people with a password link their account again, and managers of Safes confirm the others.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			in, err := metadataOf(argv[1])
			if err != nil {
				return err
			}
			change := map[string]any{"metadata_url": in.MetadataURL}
			if in.Metadata != nil {
				change["metadata"] = *in.Metadata
			}
			return providers.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Patch[v1.SSOProvider](cmd.Context(), c, providers.path+"/"+id, map[string]any{"saml": change})
				return one(cmd, a, v, err)
			})
		},
	}
}

func (a *app) ssoOnlyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "only on|off", Short: "Whether people at home in the organization must sign in by a provider", Args: args(cobra.ExactArgs(1)), ValidArgs: []string{"on", "off"},
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			if argv[0] != "on" && argv[0] != "off" {
				return usageError{errors.New("it is on or off")}
			}
			return a.stepUp(cmd, c, func() error {
				v, err := client.Patch[v1.SSOSettings](cmd.Context(), c, "/org/sso", v1.SSOSettingsIn{SSOOnly: argv[0] == "on"})
				return one(cmd, a, v, err)
			})
		}),
	}
}

func (a *app) ssoAccountsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "accounts", Short: "List whom the accounts at providers are here", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/org/sso/identities", nil,
				col("ID", func(i v1.SSOIdentity) string { return i.ID }), col("USER", func(i v1.SSOIdentity) string { return i.UserID }), col("EMAIL", func(i v1.SSOIdentity) string { return i.Email }),
				col("ISSUER", func(i v1.SSOIdentity) string { return i.Issuer }), col("SUBJECT", func(i v1.SSOIdentity) string { return i.Subject }), col("LINKED BY", func(i v1.SSOIdentity) string { return i.LinkedBy }))
		}),
	}
	cmd.AddCommand(a.deleteByID("unlink ID", "Unlink an account; logins by it end", "/org/sso/identities/"))
	return cmd
}

var workloadRules = noun[v1.WorkloadRule]{
	name: "workload-rule", path: "/org/sso/workload-rules", prefix: "wlr_",
	id: func(r v1.WorkloadRule) string { return r.ID }, slug: func(r v1.WorkloadRule) string { return r.Name },
	columns: []column[v1.WorkloadRule]{
		{"ID", func(r v1.WorkloadRule) string { return r.ID }},
		{"NAME", func(r v1.WorkloadRule) string { return r.Name }},
		{"ISSUER", func(r v1.WorkloadRule) string { return r.Issuer }},
		{"USER", func(r v1.WorkloadRule) string { return r.UserID }},
		{"CONDITIONS", func(r v1.WorkloadRule) string {
			var out []string
			for _, c := range r.Conditions {
				out = append(out, c.Claim+"="+c.Value)
			}
			return strings.Join(out, " ")
		}},
	},
}

func (a *app) workloadRulesCommand() *cobra.Command {
	cmd := workloadRules.command(a)
	cmd.Short = "List and change which programs get a token for one of their own"
	for _, sub := range cmd.Commands() {
		sub.Use = strings.Replace(sub.Use, "ID|SLUG", "ID|NAME", 1)
	}
	return cmd
}

// byToken signs a program in with a token that its platform has given it.
func byToken(file, org string) func(*cobra.Command, *client.Client) (v1.Token, error) {
	return func(cmd *cobra.Command, c *client.Client) (v1.Token, error) {
		if org == "" {
			return v1.Token{}, usageError{errors.New("--oidc-token-file needs --org, or VAULTPAM_ORG_ID")}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return v1.Token{}, err
		}
		return c.LoginByToken(cmd.Context(), org, strings.TrimSpace(string(text)))
	}
}
