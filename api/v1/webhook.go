package v1

import "time"

// WebhookIn is the body of POST /webhooks.
type WebhookIn struct {
	Name   string   `json:"name,omitempty" maxLength:"64" doc:"Default: the host of the address"`
	URL    string   `json:"url" maxLength:"2048" doc:"https; where the events are posted to"`
	Format string   `json:"format,omitempty" enum:"standard,slack,teams" default:"standard" doc:"standard: the event as JSON, signed as Standard Webhooks says; slack, teams: a message to a chat room"`
	Events []string `json:"events" minItems:"1" maxItems:"100" doc:"Types of audit events, beginnings of such as SESSION_*, or *"`
}

// WebhookPatch is the body of PATCH /webhooks/{id}.
type WebhookPatch struct {
	Name   string   `json:"name,omitempty" maxLength:"64"`
	URL    string   `json:"url,omitempty" maxLength:"2048"`
	Events []string `json:"events,omitempty" maxItems:"100"`
	Status string   `json:"status,omitempty" enum:"active,failing,disabled" doc:"active or disabled. One that was disabled because it failed goes on where it stopped; one that somebody had disabled is told what happens from then on"`
}

// Webhook is somebody who is told what happens.
type Webhook struct {
	ID           string           `json:"id"`
	Name         string           `json:"name"`
	URL          string           `json:"url" doc:"Of a chat room's, which is a secret, the host alone"`
	Format       string           `json:"format" enum:"standard,slack,teams"`
	Events       []string         `json:"events"`
	Status       string           `json:"status" enum:"active,failing,disabled"`
	Problem      string           `json:"problem,omitempty" doc:"Of the last attempt"`
	NextAttempt  *time.Time       `json:"next_attempt_at,omitempty" doc:"While it fails"`
	Secret       string           `json:"secret,omitempty" doc:"The key of the signatures, this once"`
	LastDelivery *WebhookDelivery `json:"last_delivery"`
	CreatedAt    time.Time        `json:"created_at"`
	UpdatedAt    time.Time        `json:"updated_at"`
}

// WebhookDelivery is how it went with one event, the last time.
type WebhookDelivery struct {
	ID         string    `json:"id" doc:"The event's, and what the receiver knows it by"`
	EventType  string    `json:"event_type"`
	Status     string    `json:"status" enum:"pending,sent,failed" doc:"pending: it is tried again"`
	Attempts   int       `json:"attempts"`
	HTTPStatus int       `json:"http_status,omitempty" doc:"Of the answer, if there was one"`
	Problem    string    `json:"problem,omitempty"`
	DurationMS int64     `json:"duration_ms"`
	AttemptAt  time.Time `json:"attempt_at"`
}

// NotificationsIn is the body of PATCH /org/notifications.
type NotificationsIn struct {
	ApproverEmail bool `json:"approver_email" doc:"Whether those who may decide on an access request are written to"`
}

// Notifications is how the organization's people hear of things.
type Notifications struct {
	NotificationsIn
	EmailAvailable bool `json:"email_available" doc:"Whether letters leave this server at all"`
}

// Message is a letter on its way, or on record for thirty days after.
type Message struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind" doc:"What it says, such as invitation or access_requested"`
	About     string     `json:"about" doc:"The id of what it is about"`
	To        string     `json:"to"`
	Status    string     `json:"status" enum:"pending,sent,failed"`
	Attempts  int        `json:"attempts"`
	Problem   string     `json:"problem,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	TriedAt   *time.Time `json:"tried_at,omitempty"`
}
