package httpapi

import (
	"context"
	"slices"

	v1 "vaultpam/api/v1"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/outbox"
	"vaultpam/pam/webhook"
)

func webhookOf(w webhook.Webhook) v1.Webhook {
	out := v1.Webhook{
		ID: string(w.ID), Name: w.Name, URL: w.URL, Format: string(w.Format), Events: w.Events, Status: string(w.Status), Problem: w.Problem, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
	if w.Status == webhook.Failing {
		out.NextAttempt = moment(w.NextAt)
	}
	if w.Last != nil {
		d := deliveryOf(*w.Last)
		out.LastDelivery = &d
	}
	return out
}

func deliveryOf(d webhook.Delivery) v1.WebhookDelivery {
	return v1.WebhookDelivery{
		ID: string(d.Event), EventType: string(d.Type), Status: string(d.Status), Attempts: d.Attempts, HTTPStatus: d.HTTP, Problem: d.Problem,
		DurationMS: d.Took.Milliseconds(), AttemptAt: d.At,
	}
}

// webhookReply shows a webhook, and its key if it is a new one.
func webhookReply(w webhook.Webhook, key secret.Value, err error) (*versioned[v1.Webhook], error) {
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	out := webhookOf(w)
	out.Secret = string(key.Expose())
	return &versioned[v1.Webhook]{etag(w.Version), out}, nil
}

func (a *API) listWebhooks(ctx context.Context, actor pam.Actor, in *Page) (*listOf[v1.Webhook], error) {
	rows, err := a.Webhooks.List(ctx, actor)
	if err != nil {
		return nil, err
	}
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(rows, func(w webhook.Webhook) bool { return w.Cursor() == after }); i >= 0 {
		rows = rows[i+1:]
	}
	return newList("/webhooks", nil, *in, rows, webhook.Webhook.Cursor, webhookOf), nil
}

func (a *API) postWebhook(ctx context.Context, actor pam.Actor, in *withBody[v1.WebhookIn]) (*versioned[v1.Webhook], error) {
	b := in.Body
	return webhookReply(a.Webhooks.Create(ctx, actor, webhook.Settings{Name: b.Name, Format: webhook.Format(b.Format), URL: b.URL, Events: b.Events}))
}

func (a *API) getWebhook(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Webhook], error) {
	w, err := a.Webhooks.ByID(ctx, actor, pam.WebhookID(in.ID))
	return webhookReply(w, secret.Value{}, err)
}

func (a *API) patchWebhook(ctx context.Context, actor pam.Actor, in *change) (*versioned[v1.Webhook], error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	old, err := a.Webhooks.ByID(ctx, actor, pam.WebhookID(in.ID))
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.WebhookPatch](a, v1.WebhookPatch{Name: old.Name, URL: old.URL, Events: old.Events, Status: string(old.Status)}, in.RawBody)
	if err != nil {
		return nil, err
	}
	if version == 0 {
		version = old.Version // what the patch was applied to
	}
	status := webhook.Status(body.Status)
	c := webhook.Change{Name: &body.Name, URL: &body.URL, Events: body.Events}
	if status != old.Status {
		c.Status = &status
	}
	w, err := a.Webhooks.Update(ctx, actor, old.ID, version, c)
	return webhookReply(w, secret.Value{}, err)
}

func (a *API) deleteWebhook(ctx context.Context, actor pam.Actor, in *removal) (*nothing, error) {
	version, err := ifMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.Webhooks.Delete(ctx, actor, pam.WebhookID(in.ID), version)
}

func (a *API) rotateWebhook(ctx context.Context, actor pam.Actor, in *ByID) (*versioned[v1.Webhook], error) {
	return webhookReply(a.Webhooks.RotateSecret(ctx, actor, pam.WebhookID(in.ID)))
}

func (a *API) testWebhook(ctx context.Context, actor pam.Actor, in *ByID) (*answer[v1.WebhookDelivery], error) {
	d, err := a.Webhooks.Test(ctx, actor, pam.WebhookID(in.ID))
	return reply(deliveryOf(d), err)
}

func (a *API) listDeliveries(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	Page
},
) (*listOf[v1.WebhookDelivery], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Webhooks.History(ctx, actor, pam.WebhookID(in.ID), after, in.limit()+1)
	if err != nil {
		return nil, err
	}
	return newList("/webhooks/"+in.ID+"/deliveries", nil, in.Page, rows, webhook.Delivery.Cursor, deliveryOf), nil
}

func (a *API) redeliver(ctx context.Context, actor pam.Actor, in *struct {
	ByID
	EventID string `path:"event_id" maxLength:"64"`
},
) (*answer[v1.WebhookDelivery], error) {
	d, err := a.Webhooks.Redeliver(ctx, actor, pam.WebhookID(in.ID), pam.EventID(in.EventID))
	return reply(deliveryOf(d), err)
}

func (a *API) notifications(p outbox.Preferences, err error) (*answer[v1.Notifications], error) {
	return reply(v1.Notifications{NotificationsIn: v1.NotificationsIn{ApproverEmail: p.ApproverMail}, EmailAvailable: a.Outbox.CanMail()}, err)
}

func (a *API) getNotifications(ctx context.Context, actor pam.Actor, _ *nothing) (*answer[v1.Notifications], error) {
	return a.notifications(a.Outbox.Preferences(ctx, actor))
}

func (a *API) patchNotifications(ctx context.Context, actor pam.Actor, in *Raw) (*answer[v1.Notifications], error) {
	p, err := a.Outbox.Preferences(ctx, actor)
	if err != nil {
		return nil, err
	}
	body, err := decode[v1.NotificationsIn](a, v1.NotificationsIn{ApproverEmail: p.ApproverMail}, in.RawBody)
	if err != nil {
		return nil, err
	}
	return a.notifications(a.Outbox.SetPreferences(ctx, actor, outbox.Preferences{ApproverMail: body.ApproverEmail}))
}

func (a *API) listMessages(ctx context.Context, actor pam.Actor, in *struct {
	Page
	Status string `query:"status" enum:"pending,sent,failed" doc:"Only those that stand so"`
},
) (*listOf[v1.Message], error) {
	after, err := in.cursor()
	if err != nil {
		return nil, err
	}
	rows, err := a.Outbox.Messages(ctx, actor, pam.DeliveryStatus(in.Status), pam.OutgoingID(after), in.limit()+1)
	if err != nil {
		return nil, err
	}
	return newList("/org/notifications/messages", given("status", in.Status), in.Page, rows, func(m outbox.Message) string { return string(m.ID) }, func(m outbox.Message) v1.Message {
		return v1.Message{
			ID: string(m.ID), Kind: m.Kind, About: m.Object, To: m.To, Status: string(m.Delivery.Status), Attempts: m.Delivery.Attempts, Problem: m.Delivery.Problem,
			CreatedAt: m.CreatedAt, TriedAt: moment(m.Delivery.At),
		}
	}), nil
}
