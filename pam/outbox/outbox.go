// Package outbox is what leaves the house: messages to people, and to other
// systems, that are written in the transaction of the act that they are about
// and delivered afterwards.
//
// It owns their words, their content while they wait (sealed, because links in
// them open something), when they are tried again, and how it went. It must
// not know how a channel delivers, nor what an act means. Start at
// [Service.Letter] and [Service.Run].
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Mail is the channel of letters.
const Mail = "mail"

// Due is a message that is to be tried now.
type Due struct {
	pam.Outgoing
	Attempts int // before this one
}

// Content is what a message says.
type Content struct {
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	HTML     string `json:"html,omitempty"`
	Language string `json:"language,omitempty"`
}

// Channel delivers messages. An error that is a [Final] is not tried again.
type Channel interface {
	Deliver(ctx context.Context, m pam.Outgoing, c Content) error
}

// Final is an error that trying again does not help.
type Final struct{ Err error }

func (f *Final) Error() string { return f.Err.Error() }
func (f *Final) Unwrap() error { return f.Err }

// Store keeps messages that wait. Other nouns write them, each in the
// transaction of its act.
type Store interface {
	// ClaimOutgoing returns up to limit pending messages that are due, and
	// makes each due again at lease, in case nobody says how it went.
	ClaimOutgoing(ctx context.Context, now, lease time.Time, limit int) ([]Due, error)
	// SettleOutgoing notes how an attempt went: what is pending is due again at
	// next, what is not has its content removed.
	SettleOutgoing(ctx context.Context, m pam.Outgoing, d pam.Delivery, next time.Time, entries ...audit.Entry) error
	// PurgeOutgoing removes messages that came to their end before t.
	PurgeOutgoing(ctx context.Context, t time.Time) error

	Preferences(ctx context.Context, org pam.OrgID) (Preferences, error)
	SetPreferences(ctx context.Context, org pam.OrgID, p Preferences, e audit.Entry) error
	// Messages are the newest first, older than after if it is given.
	Messages(ctx context.Context, org pam.OrgID, status pam.DeliveryStatus, after pam.OutgoingID, limit int) ([]Message, error)
}

// Purpose binds the content of messages.
const Purpose = "outbox.message"

const (
	every    = time.Second
	lease    = 5 * time.Minute // longer than any channel takes
	batch    = 16
	parallel = 4
	keep     = 30 * 24 * time.Hour
)

// waits are the times between attempts; after the last one it is given up,
// a little more than a day after the first.
var waits = []time.Duration{
	10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 10 * time.Hour,
}

// Deps is what a Service works with.
type Deps struct {
	Store    Store
	Sealer   pam.Sealer
	Sealed   func() bool // whether the vault is sealed now: then nothing is tried
	Channels map[string]Channel
	Scribe   *audit.Scribe
	Clock    clock.Clock
	IDs      *ids.Source
	Log      *slog.Logger
}

// Service writes and delivers messages. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service. Run must be running for anything to leave.
func New(d Deps) *Service { return &Service{d} }

// message seals a content.
func (s *Service) message(ctx context.Context, m pam.Outgoing, c Content) (pam.Outgoing, error) {
	m.ID, m.CreatedAt = pam.OutgoingID(s.IDs.New(pam.PrefixOutgoing)), s.Clock.Now()
	plain, err := json.Marshal(c)
	if err != nil {
		return m, err
	}
	defer clear(plain)
	m.Sealed, err = s.Sealer.Seal(ctx, binding(m), plain)
	return m, pam.Wrap("write message", err)
}

func binding(m pam.Outgoing) pam.Binding {
	return pam.Binding{Org: m.Org, Purpose: Purpose, Object: string(m.ID), Version: 1}
}

// Run delivers what is due until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	purged := s.Clock.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.Deliver(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("messages are not delivered, trying again", "error", err)
		}
		if now := s.Clock.Now(); now.Sub(purged) >= time.Hour {
			purged = now
			if err := s.Store.PurgeOutgoing(ctx, now.Add(-keep)); err != nil && ctx.Err() == nil {
				s.Log.Warn("delivered messages not removed", "error", err)
			}
		}
	}
}

// Deliver tries what is due now, some at a time. It returns once each has been
// tried.
func (s *Service) Deliver(ctx context.Context) error {
	for !s.Sealed() {
		now := s.Clock.Now()
		due, err := s.Store.ClaimOutgoing(ctx, now, now.Add(lease), batch)
		if err != nil {
			return err
		}
		var group sync.WaitGroup
		slots := make(chan struct{}, parallel)
		for _, m := range due {
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				s.try(ctx, m)
			})
		}
		group.Wait()
		if len(due) < batch || ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

// try delivers one message and notes how it went.
func (s *Service) try(ctx context.Context, m Due) {
	err := s.deliver(ctx, m.Outgoing)
	if err != nil && (ctx.Err() != nil || pam.Is(err, pam.Sealed)) {
		return // the lease ends, and it is tried again
	}
	d := pam.Delivery{Status: pam.DeliverySent, Attempts: m.Attempts + 1, At: s.Clock.Now()}
	next := d.At
	var entries []audit.Entry
	if err != nil {
		final, _ := errors.AsType[*Final](err)
		d.Status, d.Problem = pam.DeliveryPending, err.Error()
		if final != nil || m.Attempts >= len(waits) {
			d.Status = pam.DeliveryFailed
			entries = append(entries, s.Scribe.Entry(pam.Actor{Org: m.Org, Token: pam.SystemToken}, audit.MessageNotDelivered,
				audit.Party{Type: m.Kind, ID: m.Object}, map[string]any{"channel": m.Channel, "message_id": string(m.ID), "attempts": int64(d.Attempts), "problem": d.Problem}))
		} else {
			next = next.Add(waits[m.Attempts])
		}
		s.Log.Warn("a message was not delivered", "message", m.ID, "kind", m.Kind, "attempts", d.Attempts, "status", d.Status, "error", err)
	}
	// How it went is noted even where the server stops meanwhile.
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.Store.SettleOutgoing(note, m.Outgoing, d, next, entries...); err != nil {
		s.Log.Error("how a delivery went could not be noted: the message may arrive twice", "message", m.ID, "error", err)
	}
}

func (s *Service) deliver(ctx context.Context, m pam.Outgoing) error {
	channel := s.Channels[m.Channel]
	if channel == nil {
		return errors.New("this server has no such channel: " + m.Channel)
	}
	plain, err := s.Sealer.Open(ctx, binding(m), m.Sealed)
	if err != nil {
		if pam.Is(err, pam.Sealed) {
			return err
		}
		return &Final{errors.New("its content does not open")}
	}
	defer plain.Wipe()
	var c Content
	if err := json.Unmarshal(plain.Expose(), &c); err != nil {
		return &Final{errors.New("its content cannot be read")}
	}
	return channel.Deliver(ctx, m, c)
}
