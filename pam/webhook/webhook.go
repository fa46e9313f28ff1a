// Package webhook tells other systems, and chat rooms, what happens in an
// organization.
//
// It owns whom to tell what, in which form, when to try again and when to stop,
// and how it went. What is told is the organization's audit log, read from the
// place where the last delivery ended: so nothing that was written is missed,
// and no act waits for somebody else's server. It must not know how a request
// leaves the house. Start at [Webhook] and [Service.Deliver].
package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Limits.
const (
	MaxWebhooks = 20 // of one organization
	MaxEvents   = 100

	// Overlap is how long deliveries carry the signature of the old key beside
	// that of the new one.
	Overlap = 24 * time.Hour
	// Keep is how long it is known how a delivery went.
	Keep = 30 * 24 * time.Hour
)

// Format is the form in which a webhook is told.
type Format string

// The formats.
const (
	Standard Format = "standard" // the event as JSON, signed
	Slack    Format = "slack"    // a message, as Slack, Mattermost and others take it
	Teams    Format = "teams"    // an adaptive card, as a workflow of Microsoft Teams takes it
)

// Status is where a webhook stands.
type Status string

// The states.
const (
	Active   Status = "active"
	Failing  Status = "failing"  // the last attempt failed; the next one is due
	Disabled Status = "disabled" // by somebody, or because it failed for too long
)

// Settings are what people say of a webhook.
type Settings struct {
	Name   string
	Format Format
	URL    string   // as it is shown: of a chat room's, which is a secret, the host
	Events []string // types, beginnings of types such as SESSION_*, or *
}

// Webhook is somebody who is told.
type Webhook struct {
	ID  pam.WebhookID
	Org pam.OrgID
	Settings
	Sealed        []byte // the JSON of target
	SecretVersion int64
	Status        Status
	Problem       string // of the last attempt, for people; "" without one
	Position      int64  // the leaf of the log to look at next
	Attempts      int    // that the event at Position has failed
	NextAt        time.Time
	LeasedUntil   time.Time
	Last          *Delivery // the newest
	Version       int64
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Cursor is the webhook's place in a list.
func (w Webhook) Cursor() string {
	return naming.Cursor{Key: naming.Key(w.Name), ID: string(w.ID)}.String()
}

func (w Webhook) party() audit.Party {
	return audit.Party{Type: "webhook", ID: string(w.ID), Name: w.Name}
}

// Purpose binds where a webhook leads, and its keys.
const Purpose = "webhook.target"

func (w Webhook) binding() pam.Binding {
	return pam.Binding{Org: w.Org, Purpose: Purpose, Object: string(w.ID), Version: w.SecretVersion}
}

// target is what of a webhook is secret.
type target struct {
	URL         string    `json:"url"`
	Key         []byte    `json:"key,omitempty"`      // of the format standard alone
	Previous    []byte    `json:"previous,omitempty"` // signs beside Key
	PreviousEnd time.Time `json:"previous_end,omitzero"`
}

func (t target) wipe() {
	clear(t.Key)
	clear(t.Previous)
}

// Delivery is how it went with one event, the last time.
type Delivery struct {
	Event    pam.EventID // also what the receiver knows it by
	Type     audit.Type
	Status   pam.DeliveryStatus
	Attempts int
	HTTP     int // the answer's status; 0 without an answer
	Problem  string
	Took     time.Duration
	At       time.Time
}

// Progress is how far deliveries came.
type Progress struct {
	Webhook    Webhook // with its new Position, Attempts, NextAt, Status and Problem
	Deliveries []Delivery
}

// Store keeps webhooks. Everything that it changes is durable when it returns.
type Store interface {
	// CreateWebhook is a Conflict where there are MaxWebhooks.
	CreateWebhook(ctx context.Context, org pam.OrgID, w Webhook, e audit.Entry) error
	Webhook(ctx context.Context, org pam.OrgID, id pam.WebhookID) (Webhook, error)
	Webhooks(ctx context.Context, org pam.OrgID) ([]Webhook, error) // by name
	// UpdateWebhook replaces one that still has version, else it is a
	// Precondition. With from, it is Active and goes on there at once.
	UpdateWebhook(ctx context.Context, org pam.OrgID, w Webhook, version int64, from *int64, e audit.Entry) error
	DeleteWebhook(ctx context.Context, org pam.OrgID, id pam.WebhookID, version int64, e audit.Entry) error

	// DueWebhooks returns up to limit webhooks of all organizations that are due,
	// that nobody is at, and that have something before them.
	DueWebhooks(ctx context.Context, now time.Time, limit int) ([]Webhook, error)
	// ClaimWebhooks leaves webhooks to nobody else until lease, and returns those
	// that nobody has claimed meanwhile.
	ClaimWebhooks(ctx context.Context, due []Webhook, lease time.Time) ([]Webhook, error)
	// NoteProgress keeps how far it came, and ends the lease; what somebody has
	// disabled meanwhile stays so. It is a Conflict where the webhook was taken
	// over, or set to go on elsewhere, since it was claimed.
	NoteProgress(ctx context.Context, p Progress, entries ...audit.Entry) error
	// NoteDelivery keeps how one came out that was asked for.
	NoteDelivery(ctx context.Context, org pam.OrgID, id pam.WebhookID, d Delivery) error
	// Deliveries are the newest, those after the cursor; at most limit.
	Deliveries(ctx context.Context, org pam.OrgID, id pam.WebhookID, after string, limit int) ([]Delivery, error)
	PurgeDeliveries(ctx context.Context, before time.Time) error
}

// Cursor is the delivery's place in a list.
func (d Delivery) Cursor() string { return d.At.UTC().Format(time.RFC3339Nano) + " " + string(d.Event) }

// Log is the audit log. audit.Store satisfies it.
type Log interface {
	Append(ctx context.Context, org pam.OrgID, entries ...audit.Entry) error
	Size(ctx context.Context, org pam.OrgID) (int64, error)
	Range(ctx context.Context, org pam.OrgID, from, to int64, fn func(leaf int64, canonical []byte, hash audit.Hash) error) error
	Event(ctx context.Context, org pam.OrgID, id pam.EventID) (audit.Event, error)
}

// Poster sends a body. It follows nothing, asks no address that the operator
// has not permitted, and says what went wrong without the address.
type Poster interface {
	URLProblem(address string) string // what is wrong with it; "" for nothing
	// Post returns the answer's status, and how long the other side asks to be
	// left alone.
	Post(ctx context.Context, address string, header http.Header, body []byte) (status int, wait time.Duration, err error)
}

// Deps is what a Service works with.
type Deps struct {
	Store   Store
	Log     Log
	Post    Poster
	Sealer  pam.Sealer
	Sealed  func() bool   // whether the vault is sealed now: then nobody is told
	URL     func() string // under which people reach the console, without a slash at its end
	Observe func(status pam.DeliveryStatus)
	Scribe  *audit.Scribe
	Clock   clock.Clock
	IDs     *ids.Source
	Rand    io.Reader
	Logger  *slog.Logger
}

// Service is what the edges ask. It is safe for concurrent use.
type Service struct {
	Deps

	mu   sync.Mutex
	busy map[pam.OrgID]int // deliveries under way
}

// New makes a Service. Run must be running for anybody to be told.
func New(d Deps) *Service { return &Service{Deps: d, busy: map[pam.OrgID]int{}} }

func may(op string, a pam.Actor, action policy.Action) error {
	if !policy.Allowed(action, policy.Of(a, "")) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return nil
}

// List returns the organization's webhooks by name.
func (s *Service) List(ctx context.Context, a pam.Actor) ([]Webhook, error) {
	const op = "list webhooks"
	if err := may(op, a, policy.WebhookRead); err != nil {
		return nil, err
	}
	out, err := s.Store.Webhooks(ctx, a.Org)
	return out, pam.Wrap(op, err)
}

// ByID returns one webhook.
func (s *Service) ByID(ctx context.Context, a pam.Actor, id pam.WebhookID) (Webhook, error) {
	const op = "read webhook"
	if err := may(op, a, policy.WebhookRead); err != nil {
		return Webhook{}, err
	}
	out, err := s.Store.Webhook(ctx, a.Org, id)
	return out, pam.Wrap(op, err)
}

// Create makes a webhook that is told what happens from now on. The secret is
// the key of its signatures, as Standard Webhooks writes one, and is not shown
// again; chat rooms have none.
func (s *Service) Create(ctx context.Context, a pam.Actor, in Settings) (Webhook, secret.Value, error) {
	const op = "create webhook"
	var none secret.Value
	if err := may(op, a, policy.WebhookWrite); err != nil {
		return Webhook{}, none, err
	}
	if in.Format == "" {
		in.Format = Standard
	}
	t := target{URL: in.URL}
	in, err := s.check(op, in, in.URL)
	if err != nil {
		return Webhook{}, none, err
	}
	if in.Format == Standard {
		if t.Key, err = s.key(); err != nil {
			return Webhook{}, none, pam.Wrap(op, err)
		}
		defer t.wipe()
	}
	position, err := s.Log.Size(ctx, a.Org)
	if err != nil {
		return Webhook{}, none, pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	w := Webhook{
		ID: pam.WebhookID(s.IDs.New(pam.PrefixWebhook)), Org: a.Org, Settings: in, Status: Active, Position: position, NextAt: now, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if w, err = s.seal(ctx, w, t); err != nil {
		return Webhook{}, none, pam.Wrap(op, err)
	}
	e := s.Scribe.Entry(a, audit.WebhookCreated, w.party(), map[string]any{"format": string(w.Format), "host": host(w.URL), "events": w.Events})
	if err := s.Store.CreateWebhook(ctx, a.Org, w, e); err != nil {
		return Webhook{}, none, pam.Wrap(op, err)
	}
	return w, written(t.Key), nil
}

// written is a key as Standard Webhooks writes one; empty for no key.
func written(key []byte) secret.Value {
	if len(key) == 0 {
		return secret.Value{}
	}
	return secret.FromString("whsec_" + base64.StdEncoding.EncodeToString(key))
}

func (s *Service) key() ([]byte, error) {
	key := make([]byte, 32)
	_, err := io.ReadFull(s.Rand, key)
	return key, err
}

func (s *Service) seal(ctx context.Context, w Webhook, t target) (Webhook, error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return w, err
	}
	defer clear(plain)
	w.SecretVersion++
	w.Sealed, err = s.Sealer.Seal(ctx, w.binding(), plain)
	return w, err
}

func (s *Service) open(ctx context.Context, w Webhook) (target, error) {
	plain, err := s.Sealer.Open(ctx, w.binding(), w.Sealed)
	if err != nil {
		return target{}, err
	}
	defer plain.Wipe()
	var t target
	err = json.Unmarshal(plain.Expose(), &t)
	return t, err
}

// Change is what is to be different; nil stays as it was.
type Change struct {
	Name   *string
	URL    *string
	Events []string
	Status *Status // Active or Disabled
}

// Update changes a webhook, if it still has version (0: any). One that was
// disabled because it failed goes on where it stopped; one that somebody had
// disabled is told what happens from now on.
func (s *Service) Update(ctx context.Context, a pam.Actor, id pam.WebhookID, version int64, in Change) (Webhook, error) {
	const op = "update webhook"
	if err := may(op, a, policy.WebhookWrite); err != nil {
		return Webhook{}, err
	}
	w, err := s.current(ctx, op, a, id, version)
	if err != nil {
		return Webhook{}, err
	}
	var changed []string
	settings, address := w.Settings, ""
	if in.Name != nil && *in.Name != w.Name {
		settings.Name, changed = *in.Name, append(changed, "name")
	}
	if in.Events != nil {
		settings.Events, changed = in.Events, append(changed, "events")
	}
	if in.URL != nil && *in.URL != w.URL {
		settings.URL, address, changed = *in.URL, *in.URL, append(changed, "url")
	}
	if settings, err = s.check(op, settings, address); err != nil {
		return Webhook{}, err
	}
	w.Settings = settings
	if address != "" {
		t, err := s.open(ctx, w)
		if err != nil {
			return Webhook{}, pam.Wrap(op, err)
		}
		defer t.wipe()
		t.URL = address
		if w, err = s.seal(ctx, w, t); err != nil {
			return Webhook{}, pam.Wrap(op, err)
		}
	}
	var from *int64
	if in.Status != nil {
		switch {
		case *in.Status != Active && *in.Status != Disabled:
			var ps pam.Problems
			ps.Add("status", "must be active or disabled")
			return Webhook{}, ps.Err(op)
		case *in.Status == Disabled && w.Status != Disabled:
			w.Status, w.Problem, changed = Disabled, "", append(changed, "status")
		case *in.Status == Active && w.Status != Active:
			if from, err = s.resume(ctx, &w); err != nil {
				return Webhook{}, pam.Wrap(op, err)
			}
			changed = append(changed, "status")
		}
	}
	before := w.Version
	w.Version, w.UpdatedAt = before+1, s.Clock.Now()
	e := s.Scribe.Entry(a, audit.WebhookUpdated, w.party(), map[string]any{"changed": changed, "host": host(w.URL), "events": w.Events, "status": string(w.Status)})
	if err := s.Store.UpdateWebhook(ctx, a.Org, w, before, from, e); err != nil {
		return Webhook{}, pam.Wrap(op, err)
	}
	return w, nil
}

// resume makes w active again, and says where it goes on.
func (s *Service) resume(ctx context.Context, w *Webhook) (*int64, error) {
	from := w.Position
	if w.Status == Disabled && w.Problem == "" {
		var err error
		if from, err = s.Log.Size(ctx, w.Org); err != nil {
			return nil, err
		}
	}
	w.Status, w.Problem, w.Attempts, w.NextAt, w.Position = Active, "", 0, s.Clock.Now(), from
	return &from, nil
}

func (s *Service) current(ctx context.Context, op string, a pam.Actor, id pam.WebhookID, version int64) (Webhook, error) {
	w, err := s.Store.Webhook(ctx, a.Org, id)
	if err != nil {
		return Webhook{}, pam.Wrap(op, err)
	}
	if version != 0 && version != w.Version {
		return Webhook{}, &pam.Error{Kind: pam.Precondition, Op: op}
	}
	return w, nil
}

// RotateSecret gives a webhook a new key. For [Overlap] deliveries are signed
// with both, so that the receiver can change its own in peace.
func (s *Service) RotateSecret(ctx context.Context, a pam.Actor, id pam.WebhookID) (Webhook, secret.Value, error) {
	const op = "rotate webhook secret"
	var none secret.Value
	if err := may(op, a, policy.WebhookWrite); err != nil {
		return Webhook{}, none, err
	}
	w, err := s.current(ctx, op, a, id, 0)
	if err != nil {
		return Webhook{}, none, err
	}
	if w.Format != Standard {
		return Webhook{}, none, pam.Errorf(pam.Conflict, op, "A chat room's messages are not signed: its address is the secret.")
	}
	t, err := s.open(ctx, w)
	if err != nil {
		return Webhook{}, none, pam.Wrap(op, err)
	}
	defer t.wipe()
	now := s.Clock.Now()
	t.Previous, t.PreviousEnd = t.Key, now.Add(Overlap)
	if t.Key, err = s.key(); err != nil {
		return Webhook{}, none, pam.Wrap(op, err)
	}
	defer clear(t.Key)
	if w, err = s.seal(ctx, w, t); err != nil {
		return Webhook{}, none, pam.Wrap(op, err)
	}
	before := w.Version
	w.Version, w.UpdatedAt = before+1, now
	e := s.Scribe.Entry(a, audit.WebhookSecretRotated, w.party(), nil)
	if err := s.Store.UpdateWebhook(ctx, a.Org, w, before, nil, e); err != nil {
		return Webhook{}, none, pam.Wrap(op, err)
	}
	return w, written(t.Key), nil
}

// Delete removes a webhook, if it still has version (0: any).
func (s *Service) Delete(ctx context.Context, a pam.Actor, id pam.WebhookID, version int64) error {
	const op = "delete webhook"
	if err := may(op, a, policy.WebhookWrite); err != nil {
		return err
	}
	w, err := s.current(ctx, op, a, id, version)
	if err != nil {
		return err
	}
	e := s.Scribe.Entry(a, audit.WebhookDeleted, w.party(), map[string]any{"host": host(w.URL)})
	return pam.Wrap(op, s.Store.DeleteWebhook(ctx, a.Org, id, w.Version, e))
}
