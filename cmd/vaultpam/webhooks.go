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

var webhooks = noun[v1.Webhook]{
	name: "webhook", path: "/webhooks", prefix: "whk_",
	id: func(w v1.Webhook) string { return w.ID }, slug: func(w v1.Webhook) string { return w.Name },
	columns: []column[v1.Webhook]{
		{"ID", func(w v1.Webhook) string { return w.ID }},
		{"NAME", func(w v1.Webhook) string { return w.Name }},
		{"FORMAT", func(w v1.Webhook) string { return w.Format }},
		{"URL", func(w v1.Webhook) string { return w.URL }},
		{"EVENTS", func(w v1.Webhook) string { return strings.Join(w.Events, " ") }},
		{"STATUS", func(w v1.Webhook) string { return w.Status }},
		{"PROBLEM", func(w v1.Webhook) string { return w.Problem }},
	},
}

var deliveryColumns = []column[v1.WebhookDelivery]{
	col("EVENT", func(d v1.WebhookDelivery) string { return d.ID }), col("TYPE", func(d v1.WebhookDelivery) string { return d.EventType }),
	col("STATUS", func(d v1.WebhookDelivery) string { return d.Status }), col("ATTEMPTS", func(d v1.WebhookDelivery) string { return fmt.Sprint(d.Attempts) }),
	col("HTTP", func(d v1.WebhookDelivery) string { return fmt.Sprint(d.HTTPStatus) }), col("WHEN", func(d v1.WebhookDelivery) string { return when(d.AttemptAt) }),
	col("PROBLEM", func(d v1.WebhookDelivery) string { return d.Problem }),
}

func (a *app) webhooksCommand() *cobra.Command {
	cmd := webhooks.command(a,
		webhooks.action(a, "test", "Send a test, and see how that goes"),
		webhooks.action(a, "rotate-secret", "Give it a new key; the old one signs beside it for a day"),
		a.webhookDeliveriesCommand(), a.webhookRedeliverCommand())
	cmd.Short = "List and change who is told what happens (webhooks, Slack, Teams)"
	for _, sub := range cmd.Commands() {
		sub.Use = strings.Replace(sub.Use, "ID|SLUG", "ID|NAME", 1)
		if sub.Name() == "create" {
			sub.Long += "\n\nIt needs url and events: --set url=https://siem.example.com/hook --set 'events=[\"SESSION_*\"]'; format is standard, slack or teams. The address of a chat room is a secret: give it in a document, by --from -."
		}
	}
	return cmd
}

func (a *app) webhookDeliveriesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "deliveries ID|NAME", Short: "List how deliveries went, newest first", Args: args(cobra.ExactArgs(1)),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			id, err := webhooks.find(cmd, c, argv[0])
			if err != nil {
				return err
			}
			return list(cmd, a, c, webhooks.path+"/"+id+"/deliveries", nil, deliveryColumns...)
		}),
	}
}

func (a *app) webhookRedeliverCommand() *cobra.Command {
	return &cobra.Command{
		Use: "redeliver ID|NAME EVENT", Short: "Send an event again", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return webhooks.with(cmd, a, argv[0], func(c *client.Client, id string) error {
				d, err := client.Post[v1.WebhookDelivery](cmd.Context(), c, webhooks.path+"/"+id+"/deliveries/"+url.PathEscape(argv[1])+"/redeliver", nil)
				return one(cmd, a, d, err)
			})
		},
	}
}

func (a *app) notificationsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "notifications", Short: "How people of the organization hear of things", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			v, err := client.Get[v1.Notifications](cmd.Context(), c, "/org/notifications", nil)
			return one(cmd, a, v, err)
		}),
	}
	cmd.AddCommand(&cobra.Command{
		Use: "approver-email on|off", Short: "Whether those who may decide on an access request are written to", Args: args(cobra.ExactArgs(1)), ValidArgs: []string{"on", "off"},
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, argv []string) error {
			if argv[0] != "on" && argv[0] != "off" {
				return usageError{errors.New("it is on or off")}
			}
			v, err := client.Patch[v1.Notifications](cmd.Context(), c, "/org/notifications", v1.NotificationsIn{ApproverEmail: argv[0] == "on"})
			return one(cmd, a, v, err)
		}),
	}, &cobra.Command{
		Use: "messages", Short: "List letters and how their delivery went, newest first", Args: args(cobra.NoArgs),
		RunE: a.signedIn(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			return list(cmd, a, c, "/org/notifications/messages", nil,
				col("ID", func(m v1.Message) string { return m.ID }), col("KIND", func(m v1.Message) string { return m.Kind }), col("TO", func(m v1.Message) string { return m.To }),
				col("STATUS", func(m v1.Message) string { return m.Status }), col("ATTEMPTS", func(m v1.Message) string { return fmt.Sprint(m.Attempts) }),
				col("WRITTEN", func(m v1.Message) string { return when(m.CreatedAt) }), col("PROBLEM", func(m v1.Message) string { return m.Problem }))
		}),
	})
	return cmd
}
