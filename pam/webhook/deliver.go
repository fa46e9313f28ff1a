package webhook

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

const (
	every      = time.Second
	lease      = 2 * time.Minute // longer than a turn takes
	turn       = 30 * time.Second
	perTurn    = 64 // deliveries, after which it is kept how far it came
	scanned    = 10_000
	considered = 1000
	parallel   = 32
	perOrg     = 4 // of these: one organization's slow receivers are not everybody's
	longWait   = time.Hour
	refusals   = 3 // of one event by a receiver that finds fault with it
	noteLimit  = 10 * time.Second
)

// waits are the times between attempts. After the last one, a day and a
// quarter after the first, the webhook is disabled: what it has not been told
// is in the log, and it goes on there when somebody sets it active again.
var waits = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 14 * time.Hour,
}

// Run delivers what is due until ctx ends, and returns once nothing is under
// way any more.
func (s *Service) Run(ctx context.Context) error {
	var under sync.WaitGroup
	defer under.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	purged := s.Clock.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.Deliver(ctx, &under); err != nil && ctx.Err() == nil {
			s.Logger.Error("webhooks are not told, trying again", "error", err)
		}
		if now := s.Clock.Now(); now.Sub(purged) >= time.Hour {
			purged = now
			if err := s.Store.PurgeDeliveries(ctx, now.Add(-Keep)); err != nil && ctx.Err() == nil {
				s.Logger.Warn("old deliveries not removed", "error", err)
			}
		}
	}
}

// Deliver begins what is due now; under is done when it has ended.
func (s *Service) Deliver(ctx context.Context, under *sync.WaitGroup) error {
	if s.Sealed() {
		return nil
	}
	now := s.Clock.Now()
	due, err := s.Store.DueWebhooks(ctx, now, considered)
	if err != nil {
		return err
	}
	if due = s.choose(due); len(due) == 0 {
		return nil
	}
	if due, err = s.Store.ClaimWebhooks(ctx, due, now.Add(lease)); err != nil {
		return err
	}
	for _, w := range due {
		s.mu.Lock()
		s.busy[w.Org]++
		s.mu.Unlock()
		under.Go(func() {
			defer func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.busy[w.Org]--; s.busy[w.Org] == 0 {
					delete(s.busy, w.Org)
				}
			}()
			if err := s.tell(ctx, w); err != nil && ctx.Err() == nil {
				s.Logger.Error("a webhook is not told, trying again", "webhook", w.ID, "error", err)
			}
		})
	}
	return nil
}

// choose picks those for whom there is room.
func (s *Service) choose(due []Webhook) []Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy, all := maps.Clone(s.busy), 0
	for _, n := range busy {
		all += n
	}
	return slices.DeleteFunc(due, func(w Webhook) bool {
		if all >= parallel || busy[w.Org] >= perOrg {
			return true
		}
		all, busy[w.Org] = all+1, busy[w.Org]+1
		return false
	})
}

// errEnough ends the reading of the log before its end.
var errEnough = errors.New("enough for one turn")

// tell tells one webhook what has happened since, until there is nothing more,
// something fails, or its turn is over; and keeps how far it came. What was
// delivered just before the server dies is delivered again: receivers know it
// by its id.
func (s *Service) tell(ctx context.Context, w Webhook) error {
	t, err := s.open(ctx, w)
	if err != nil {
		return err // the lease ends, and it is tried again
	}
	defer t.wipe()
	size, err := s.Log.Size(ctx, w.Org)
	if err != nil {
		return err
	}
	p := Progress{Webhook: w}
	var entries []audit.Entry
	began := s.Clock.Now()
	err = s.Log.Range(ctx, w.Org, w.Position, min(size, w.Position+scanned), func(leaf int64, canonical []byte, hash audit.Hash) error {
		e, err := audit.ParseEntry(canonical)
		if err != nil {
			return err
		}
		if w.wants(e) {
			if len(p.Deliveries) >= perTurn || s.Clock.Now().Sub(began) >= turn {
				return errEnough
			}
			d, wait := s.send(ctx, w, t, told{e, audit.AppendLine(nil, leaf, canonical, hash)})
			if ctx.Err() != nil {
				return ctx.Err() // nobody knows how it went
			}
			d.Attempts += p.Webhook.Attempts
			note := s.judge(&p.Webhook, &d, wait)
			p.Deliveries = append(p.Deliveries, d)
			entries = append(entries, note...)
			s.Observe(d.Status)
			if d.Status == pam.DeliveryPending || p.Webhook.Status == Disabled {
				return errEnough
			}
		}
		p.Webhook.Position = leaf + 1
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) && ctx.Err() == nil {
		return err
	}
	// How it went is kept even where the server stops meanwhile.
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteLimit)
	defer cancel()
	if err := s.Store.NoteProgress(note, p, entries...); !pam.Is(err, pam.Conflict) {
		return err
	}
	return nil
}

// send makes one attempt. wait is how long the receiver asks to be left alone.
func (s *Service) send(ctx context.Context, w Webhook, t target, e told) (d Delivery, wait time.Duration) {
	d = Delivery{Event: e.ID, Type: e.Type, Status: pam.DeliverySent, Attempts: 1}
	began := s.Clock.Now()
	body, err := s.body(w, e)
	if err == nil {
		d.HTTP, wait, err = s.Post.Post(ctx, t.URL, header(t, e.ID, began, body), body)
	}
	d.At = s.Clock.Now()
	d.Took = d.At.Sub(began)
	switch {
	case err != nil:
		d.Status, d.Problem = pam.DeliveryPending, err.Error()
	case d.HTTP < 200 || d.HTTP > 299:
		d.Status, d.Problem = pam.DeliveryPending, "The receiver answered "+http.StatusText(d.HTTP)+"."
		if http.StatusText(d.HTTP) == "" {
			d.Problem = "The receiver did not take it."
		}
	}
	return d, wait
}

// faults are the answers by which a receiver finds fault with this one event:
// the next may well be taken.
var faults = []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity}

// judge says what follows from an attempt, for the webhook and for the event.
func (s *Service) judge(w *Webhook, d *Delivery, wait time.Duration) []audit.Entry {
	system := pam.Actor{Org: w.Org, Token: pam.SystemToken}
	if d.Status == pam.DeliverySent {
		w.Status, w.Problem, w.Attempts, w.NextAt = Active, "", 0, d.At
		return nil
	}
	facts := map[string]any{"event_id": string(d.Event), "event_type": string(d.Type), "attempts": int64(d.Attempts), "http_status": int64(d.HTTP), "problem": d.Problem}
	switch {
	case slices.Contains(faults, d.HTTP) && d.Attempts >= refusals:
		d.Status = pam.DeliveryFailed
		w.Attempts, w.NextAt = 0, d.At
		return []audit.Entry{s.Scribe.Entry(system, audit.WebhookDeliveryFailed, w.party(), facts)}
	case d.HTTP == http.StatusGone || d.Attempts > len(waits):
		w.Status, w.Problem, w.Attempts = Disabled, d.Problem, 0
		return []audit.Entry{s.Scribe.Entry(system, audit.WebhookDisabled, w.party(), facts)}
	}
	next := waits[d.Attempts-1]
	w.Status, w.Problem, w.Attempts, w.NextAt = Failing, d.Problem, d.Attempts, d.At.Add(max(next, min(wait, longWait)))
	return nil
}

// Test tells a webhook, at once, that it is being tested.
func (s *Service) Test(ctx context.Context, a pam.Actor, id pam.WebhookID) (Delivery, error) {
	const op = "test webhook"
	if err := may(op, a, policy.WebhookWrite); err != nil {
		return Delivery{}, err
	}
	w, err := s.Store.Webhook(ctx, a.Org, id)
	if err != nil {
		return Delivery{}, pam.Wrap(op, err)
	}
	e := s.Scribe.Entry(a, audit.WebhookTested, w.party(), map[string]any{"host": host(w.URL)})
	if err := s.Log.Append(ctx, a.Org, e); err != nil {
		return Delivery{}, pam.Wrap(op, err)
	}
	line, err := e.Canonical()
	if err != nil {
		return Delivery{}, pam.Wrap(op, err)
	}
	return s.once(ctx, op, w, told{e, line})
}

// Redeliver tells a webhook, at once, of an event that it was told of, or was
// to be.
func (s *Service) Redeliver(ctx context.Context, a pam.Actor, id pam.WebhookID, event pam.EventID) (Delivery, error) {
	const op = "deliver again"
	if err := may(op, a, policy.WebhookWrite); err != nil {
		return Delivery{}, err
	}
	w, err := s.Store.Webhook(ctx, a.Org, id)
	if err != nil {
		return Delivery{}, pam.Wrap(op, err)
	}
	e, err := s.Log.Event(ctx, a.Org, event)
	if err != nil {
		return Delivery{}, pam.Wrap(op, err)
	}
	if !w.wants(e.Entry) || e.LeafIndex < 0 {
		return Delivery{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	canonical, err := e.Canonical()
	if err != nil {
		return Delivery{}, pam.Wrap(op, err)
	}
	return s.once(ctx, op, w, told{e.Entry, audit.AppendLine(nil, e.LeafIndex, canonical, e.LeafHash)})
}

// once makes a single attempt, whatever the webhook's status.
func (s *Service) once(ctx context.Context, op string, w Webhook, e told) (Delivery, error) {
	t, err := s.open(ctx, w)
	if err != nil {
		return Delivery{}, pam.Wrap(op, err)
	}
	defer t.wipe()
	d, _ := s.send(ctx, w, t, e)
	if d.Status != pam.DeliverySent {
		d.Status = pam.DeliveryFailed
	}
	s.Observe(d.Status)
	return d, pam.Wrap(op, s.Store.NoteDelivery(ctx, w.Org, w.ID, d))
}

// History lists how deliveries went, the newest first; after is the cursor of
// the last one seen.
func (s *Service) History(ctx context.Context, a pam.Actor, id pam.WebhookID, after string, limit int) ([]Delivery, error) {
	const op = "list deliveries"
	if err := may(op, a, policy.WebhookRead); err != nil {
		return nil, err
	}
	if _, err := s.Store.Webhook(ctx, a.Org, id); err != nil {
		return nil, pam.Wrap(op, err)
	}
	out, err := s.Store.Deliveries(ctx, a.Org, id, after, limit)
	return out, pam.Wrap(op, err)
}
