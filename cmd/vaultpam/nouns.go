package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	v1 "vaultpam/api/v1"
	"vaultpam/client"
)

// noun is a kind of object with list, show, create, update and delete.
type noun[T any] struct {
	name, path, prefix string // "safe", "/safes", "saf_"
	id                 func(T) string
	slug               func(T) string
	columns            []column[T]
}

var safes = noun[v1.Safe]{
	name: "safe", path: "/safes", prefix: "saf_",
	id: func(s v1.Safe) string { return s.ID }, slug: func(s v1.Safe) string { return s.Slug },
	columns: []column[v1.Safe]{
		{"ID", func(s v1.Safe) string { return s.ID }},
		{"NAME", func(s v1.Safe) string { return s.Name }},
		{"SLUG", func(s v1.Safe) string { return s.Slug }},
		{"ROLE", func(s v1.Safe) string { return s.Role }},
		{"BINDINGS", func(s v1.Safe) string { return fmt.Sprint(len(s.Bindings)) }},
		{"LOCKED", func(s v1.Safe) string { return fmt.Sprint(s.Locked) }},
	},
}

var resources = noun[v1.Resource]{
	name: "resource", path: "/resources", prefix: "res_",
	id: func(r v1.Resource) string { return r.ID }, slug: func(r v1.Resource) string { return r.Slug },
	columns: []column[v1.Resource]{
		{"ID", func(r v1.Resource) string { return r.ID }},
		{"NAME", func(r v1.Resource) string { return r.Name }},
		{"TYPE", func(r v1.Resource) string { return r.Type }},
		{"ADDRESS", func(r v1.Resource) string { return fmt.Sprintf("%s:%d", r.Host, r.Port) }},
		{"PINNED KEYS", func(r v1.Resource) string { return fmt.Sprint(len(r.HostKeys)) }},
	},
}

var accounts = noun[v1.Account]{
	name: "account", path: "/accounts", prefix: "acc_",
	id: func(a v1.Account) string { return a.ID }, slug: func(a v1.Account) string { return a.Slug },
	columns: []column[v1.Account]{
		{"ID", func(a v1.Account) string { return a.ID }},
		{"NAME", func(a v1.Account) string { return a.Name }},
		{"USERNAME", func(a v1.Account) string { return a.Username }},
		{"RESOURCE", func(a v1.Account) string { return deref(a.ResourceID) }},
		{"CREDENTIAL", func(a v1.Account) string {
			if a.Credential == nil {
				return "-"
			}
			return fmt.Sprintf("%s v%d", a.Credential.Kind, a.Credential.Version)
		}},
	},
}

func deref(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// find turns an id or a slug into an id.
func (n noun[T]) find(cmd *cobra.Command, c *client.Client, ref string) (string, error) {
	if strings.HasPrefix(ref, n.prefix) {
		return url.PathEscape(ref), nil
	}
	rows, err := client.All[T](cmd.Context(), c, n.path, nil)
	if err != nil {
		return "", err
	}
	for _, row := range rows {
		if n.slug(row) == ref {
			return n.id(row), nil
		}
	}
	return "", &client.Error{Status: 404, Envelope: v1.Error{Error: "NOT_FOUND", Message: fmt.Sprintf("There is no %s %q that you can see.", n.name, ref)}}
}

// command makes the noun's subcommands; bare, it lists.
func (n noun[T]) command(a *app, more ...*cobra.Command) *cobra.Command {
	list := a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
		return list(cmd, a, c, n.path, nil, n.columns...)
	})
	cmd := &cobra.Command{Use: n.name + "s", Aliases: []string{n.name}, Short: "List and change " + n.name + "s", Args: args(cobra.NoArgs), RunE: list}
	cmd.AddCommand(&cobra.Command{Use: "list", Short: "List the " + n.name + "s that you may see", Args: args(cobra.NoArgs), RunE: list})
	cmd.AddCommand(&cobra.Command{
		Use: "show ID|SLUG", Short: "Show one " + n.name, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return n.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Get[T](cmd.Context(), c, n.path+"/"+id, nil)
				return one(cmd, a, v, err)
			})
		},
	})
	cmd.AddCommand(n.writeCommand(a, "create NAME", "Create a "+n.name, cobra.ExactArgs(1)), n.writeCommand(a, "update ID|SLUG", "Change a "+n.name, cobra.ExactArgs(1)), n.deleteCommand(a))
	cmd.AddCommand(more...)
	return cmd
}

func (n noun[T]) with(cmd *cobra.Command, a *app, ref string, act func(*client.Client, string) error) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	id, err := n.find(cmd, c, ref)
	if err != nil {
		return err
	}
	return a.stepUp(cmd, c, func() error { return act(c, id) })
}

// writeCommand is create and update: fields by --set, a document by --from.
func (n noun[T]) writeCommand(a *app, use, short string, check cobra.PositionalArgs) *cobra.Command {
	var fields []string
	var from string
	create := strings.HasPrefix(use, "create")
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args(check),
		Long: short + ". --set takes the fields of the API by name: --set host=db1 --set port=22 --set 'bindings=[{\"resource_id\":\"…\",\"account_id\":\"…\"}]'. --from reads a JSON document; - is standard input.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			body, err := document(from, fields)
			if err != nil {
				return usageError{err}
			}
			if create {
				c, err := a.client()
				if err != nil {
					return err
				}
				body["name"] = argv[0]
				return a.stepUp(cmd, c, func() error {
					v, err := client.Post[T](cmd.Context(), c, n.path, body)
					return one(cmd, a, v, err)
				})
			}
			return n.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Patch[T](cmd.Context(), c, n.path+"/"+id, body)
				return one(cmd, a, v, err)
			})
		},
	}
	cmd.Flags().StringArrayVar(&fields, "set", nil, "FIELD=VALUE, may be repeated")
	cmd.Flags().StringVar(&from, "from", "", "JSON file with the fields")
	return cmd
}

func (n noun[T]) deleteCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete ID|SLUG", Short: "Delete a " + n.name, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if err := confirm(cmd, yes, "Delete "+n.name+" "+argv[0]+"?"); err != nil {
				return err
			}
			return n.with(cmd, a, argv[0], func(c *client.Client, id string) error { return c.Delete(cmd.Context(), n.path+"/"+id) })
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// action is a subcommand that posts to one object.
func (n noun[T]) action(a *app, name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name + " ID|SLUG", Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return n.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				v, err := client.Post[json.RawMessage](cmd.Context(), c, n.path+"/"+id+"/"+name, nil)
				return one(cmd, a, v, err)
			})
		},
	}
}

// document reads fields from a file and from FIELD=VALUE pairs. A value that
// is JSON is taken as such, anything else as a string.
func document(from string, fields []string) (map[string]any, error) {
	out := map[string]any{}
	if from != "" {
		var text []byte
		var err error
		if from == "-" {
			text, err = io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
		} else {
			text, err = os.ReadFile(from)
		}
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &out); err != nil {
			return nil, fmt.Errorf("%s is not a JSON object: %w", from, err)
		}
	}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %s: it takes FIELD=VALUE", f)
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		out[name] = v
	}
	return out, nil
}

func (a *app) safesCommand() *cobra.Command {
	return safes.command(a, safes.action(a, "lock", "Lock a Safe; its live sessions end"), safes.action(a, "unlock", "Unlock a Safe"), a.safeMembersCommand())
}

func (a *app) resourcesCommand() *cobra.Command {
	return resources.command(a, resources.action(a, "probe", "See whether a resource answers, and its host key"))
}
