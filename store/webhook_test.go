package store_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/webhook"
)

// receiver is the other side of webhooks: it answers by a function.
type receiver struct {
	mu     sync.Mutex // guards got
	got    []string   // Webhook-Ids, or bodies of those without
	answer func(n int) (int, time.Duration, error)
}

func (*receiver) URLProblem(address string) string {
	if strings.HasPrefix(address, "https://") {
		return ""
	}
	return "must begin with https://"
}

func (r *receiver) Post(_ context.Context, _ string, h http.Header, body []byte) (int, time.Duration, error) {
	r.mu.Lock()
	id := h.Get("Webhook-Id")
	if id == "" {
		id = string(body)
	}
	r.got = append(r.got, id)
	n := len(r.got)
	r.mu.Unlock()
	return r.answer(n)
}

func (r *receiver) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.got
	r.got = nil
	return out
}

func takes(int) (int, time.Duration, error) { return http.StatusOK, 0, nil }

func (w *world) webhooks(r *receiver) *webhook.Service {
	return webhook.New(webhook.Deps{
		Store: w.db, Log: w.db.Audit(), Post: r, Sealer: strippingSealer{}, Sealed: func() bool { return false }, URL: func() string { return "https://pam.example" },
		Observe: func(pam.DeliveryStatus) {}, Scribe: w.scribe, Clock: w.clock, IDs: w.ids, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler),
	})
}

func (w *world) hook(s *webhook.Service, events ...string) webhook.Webhook {
	w.t.Helper()
	out, key, err := s.Create(w.t.Context(), w.owner, webhook.Settings{URL: "https://siem.example/hook", Events: events})
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.HasPrefix(string(key.Expose()), "whsec_") {
		w.t.Fatalf("the key is %q", key.Expose())
	}
	return out
}

// happens writes events of a type and returns their ids.
func (w *world) happens(t audit.Type, n int) []string {
	w.t.Helper()
	var ids []string
	for range n {
		e := w.event(t, w.owner.Org)
		if err := w.db.Audit().Append(w.t.Context(), w.owner.Org, e); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, string(e.ID))
	}
	if err := w.db.Audit().Sync(w.t.Context(), w.owner.Org); err != nil {
		w.t.Fatal(err)
	}
	return ids
}

// tell lets a turn of deliveries pass.
func (w *world) tell(s *webhook.Service) {
	w.t.Helper()
	var under sync.WaitGroup
	if err := s.Deliver(w.t.Context(), &under); err != nil {
		w.t.Fatal(err)
	}
	under.Wait()
}

func (w *world) hookNow(s *webhook.Service, id pam.WebhookID) webhook.Webhook {
	w.t.Helper()
	return must[webhook.Webhook](w.t)(s.ByID(w.t.Context(), w.owner, id))
}

func (w *world) setHook(s *webhook.Service, id pam.WebhookID, status webhook.Status) {
	w.t.Helper()
	must[webhook.Webhook](w.t)(s.Update(w.t.Context(), w.owner, id, 0, webhook.Change{Status: &status}))
}

func TestWebhookIsToldWhatItAskedForOnceAndInOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := &receiver{answer: takes}
		s := w.webhooks(r)
		w.happens(audit.SafeCreated, 3) // before there was a webhook
		h := w.hook(s, "SAFE_*", "SESSION_STARTED")
		var want []string
		for range 50 {
			want = append(want, w.happens(audit.SafeCreated, 1)...)
			w.happens(audit.LoginSucceeded, 1)
			want = append(want, w.happens(audit.SessionStarted, 1)...)
		}
		for range 3 { // more than one turn
			w.tell(s)
		}
		if diff := cmp.Diff(want, r.taken()); diff != "" {
			t.Fatal(diff)
		}
		if got := w.hookNow(s, h.ID); got.Status != webhook.Active || got.Last == nil || string(got.Last.Event) != want[99] || got.Last.Status != pam.DeliverySent {
			t.Errorf("%+v", got)
		}
		rows := must[[]webhook.Delivery](t)(s.History(t.Context(), w.owner, h.ID, "", 60))
		more := must[[]webhook.Delivery](t)(s.History(t.Context(), w.owner, h.ID, rows[59].Cursor(), 60))
		if len(rows) != 60 || len(more) != 40 || string(more[39].Event) != want[0] {
			t.Errorf("%d and %d deliveries are known", len(rows), len(more))
		}
	})
}

func TestWebhookThatFailsIsTriedAgainUntilItIsDisabledAndThenMissesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		away := true
		r := &receiver{answer: func(int) (int, time.Duration, error) {
			if away {
				return 0, 0, errors.New("The server cannot be reached.")
			}
			return takes(0)
		}}
		s := w.webhooks(r)
		h := w.hook(s, "SAFE_*")
		want := w.happens(audit.SafeCreated, 5)
		began := w.clock.Now()
		attempts := 0
		for w.hookNow(s, h.ID).Status != webhook.Disabled && w.clock.Now().Sub(began) < 100*time.Hour {
			w.tell(s)
			for _, id := range r.taken() {
				if attempts++; id != want[0] {
					t.Fatal("another event before the first is through")
				}
			}
			w.clock.Advance(5 * time.Minute)
		}
		if took := w.clock.Now().Sub(began); took < 24*time.Hour || took > 40*time.Hour || attempts != 11 {
			t.Fatalf("disabled after %s and %d attempts", took, attempts)
		}
		if got := w.hookNow(s, h.ID); got.Problem != "The server cannot be reached." || got.Last.Attempts != 11 {
			t.Errorf("%+v", got)
		}
		if n := w.countEvents(audit.WebhookDisabled); n != 1 {
			t.Errorf("%d events say so", n)
		}
		away = false
		w.tell(s)
		if got := r.taken(); len(got) != 0 {
			t.Errorf("a disabled webhook is told %v", got)
		}
		want = append(want, w.happens(audit.SafeUpdated, 1)...)
		w.setHook(s, h.ID, webhook.Active)
		w.tell(s)
		if diff := cmp.Diff(want, r.taken()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWebhookThatSomebodyDisabledIsNotToldWhatHappenedMeanwhile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := &receiver{answer: takes}
		s := w.webhooks(r)
		h := w.hook(s, "SAFE_*")
		w.setHook(s, h.ID, webhook.Disabled)
		w.happens(audit.SafeCreated, 3)
		w.tell(s)
		w.setHook(s, h.ID, webhook.Active)
		want := w.happens(audit.SafeCreated, 1)
		w.tell(s)
		if diff := cmp.Diff(want, r.taken()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEventThatAReceiverFindsFaultWithHoldsUpNobodyForLong(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var bad string
		r := &receiver{}
		r.answer = func(n int) (int, time.Duration, error) {
			if r.got[n-1] == bad {
				return http.StatusUnprocessableEntity, 0, nil
			}
			return takes(n)
		}
		s := w.webhooks(r)
		h := w.hook(s, "SAFE_*")
		ids := w.happens(audit.SafeCreated, 3)
		bad = ids[1]
		for range 20 {
			w.tell(s)
			w.clock.Advance(time.Minute)
		}
		if diff := cmp.Diff([]string{ids[0], bad, bad, bad, ids[2]}, r.taken()); diff != "" {
			t.Error(diff)
		}
		rows := must[[]webhook.Delivery](t)(s.History(t.Context(), w.owner, h.ID, "", 10))
		if len(rows) != 3 || rows[1].Status != pam.DeliveryFailed || rows[1].HTTP != 422 || rows[1].Attempts != 3 {
			t.Errorf("%+v", rows)
		}
		if n := w.countEvents(audit.WebhookDeliveryFailed); n != 1 {
			t.Errorf("%d events say so", n)
		}
		// Mended over there, it can be sent again.
		bad = ""
		if d := must[webhook.Delivery](t)(s.Redeliver(t.Context(), w.owner, h.ID, pam.EventID(ids[1]))); d.Status != pam.DeliverySent {
			t.Errorf("%+v", d)
		}
		if _, err := s.Redeliver(t.Context(), w.owner, h.ID, pam.EventID(w.happens(audit.LoginSucceeded, 1)[0])); !pam.Is(err, pam.NotFound) {
			t.Errorf("an event that it did not ask for: %v", err)
		}
	})
}

func TestReceiverThatIsGoneIsAskedNoMore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := &receiver{answer: func(int) (int, time.Duration, error) { return http.StatusGone, 0, nil }}
		s := w.webhooks(r)
		h := w.hook(s, "SAFE_*")
		w.happens(audit.SafeCreated, 2)
		w.tell(s)
		w.clock.Advance(time.Hour)
		w.tell(s)
		if got := w.hookNow(s, h.ID); got.Status != webhook.Disabled || len(r.taken()) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestReceiverIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := &receiver{answer: func(n int) (int, time.Duration, error) {
			if n == 1 {
				return http.StatusTooManyRequests, 10 * time.Minute, nil
			}
			return takes(n)
		}}
		s := w.webhooks(r)
		h := w.hook(s, "SAFE_*")
		w.happens(audit.SafeCreated, 1)
		w.tell(s)
		w.clock.Advance(9 * time.Minute)
		w.tell(s)
		if got := w.hookNow(s, h.ID); got.Status != webhook.Failing || got.Attempts != 1 {
			t.Errorf("%+v", got)
		}
		w.clock.Advance(time.Minute)
		w.tell(s)
		if got := w.hookNow(s, h.ID); got.Status != webhook.Active || len(r.taken()) != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestTwoNodesTellAWebhookOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := &receiver{answer: takes}
		nodes := []*webhook.Service{w.webhooks(r), w.webhooks(r), w.webhooks(r)}
		w.hook(nodes[0], "SAFE_*")
		want := w.happens(audit.SafeCreated, 20)
		var all sync.WaitGroup
		for _, n := range nodes {
			all.Go(func() {
				var under sync.WaitGroup
				if err := n.Deliver(t.Context(), &under); err != nil {
					t.Error(err)
				}
				under.Wait()
			})
		}
		all.Wait()
		w.tell(nodes[0])
		if diff := cmp.Diff(want, r.taken()); diff != "" {
			t.Error(diff)
		}
	})
}

// A node that dies has told somebody something, and nobody knows.
func TestWhatADeadNodeWasAtIsToldByAnother(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := &receiver{answer: takes}
		s := w.webhooks(r)
		h := w.hook(s, "SAFE_*")
		want := w.happens(audit.SafeCreated, 2)
		due := must[[]webhook.Webhook](t)(w.db.DueWebhooks(t.Context(), w.clock.Now(), 10))
		dead := must[[]webhook.Webhook](t)(w.db.ClaimWebhooks(t.Context(), due, w.clock.Now().Add(2*time.Minute)))
		if len(dead) != 1 {
			t.Fatalf("%d claimed", len(dead))
		}
		w.tell(s)
		if got := r.taken(); len(got) != 0 {
			t.Errorf("two are at it: %v", got)
		}
		w.clock.Advance(2 * time.Minute)
		w.tell(s)
		if diff := cmp.Diff(want, r.taken()); diff != "" {
			t.Error(diff)
		}
		// It was only slow: what it says now undoes nothing.
		dead[0].Position = 0
		if err := w.db.NoteProgress(t.Context(), webhook.Progress{Webhook: dead[0]}); !pam.Is(err, pam.Conflict) {
			t.Errorf("the dead one's word counts: %v", err)
		}
		if got := w.hookNow(s, h.ID); got.Position <= dead[0].Position {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhatIsDisabledDuringADeliveryStaysSo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := &receiver{}
		s := w.webhooks(r)
		h := w.hook(s, "SAFE_*")
		r.answer = func(n int) (int, time.Duration, error) {
			w.setHook(s, h.ID, webhook.Disabled)
			return takes(n)
		}
		w.happens(audit.SafeCreated, 1)
		w.tell(s)
		if got := w.hookNow(s, h.ID); got.Status != webhook.Disabled || got.Last == nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestSlowReceiversOfOneOrganizationLeaveRoomForOthers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		slow := make(chan struct{})
		entered := make(chan struct{}, 100)
		r := &receiver{answer: func(n int) (int, time.Duration, error) {
			entered <- struct{}{}
			<-slow
			return takes(n)
		}}
		s := w.webhooks(r)
		for range 10 {
			w.hook(s, "SAFE_*")
		}
		w.happens(audit.SafeCreated, 1)
		var under sync.WaitGroup
		for range 3 {
			if err := s.Deliver(t.Context(), &under); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			<-entered
		}
		due := must[[]webhook.Webhook](t)(w.db.DueWebhooks(t.Context(), w.clock.Now(), 100))
		if len(due) != 6 {
			t.Errorf("%d wait, want 6: four of an organization at a time", len(due))
		}
		close(slow)
		under.Wait()
	})
}

func TestWebhookIsTheOrganizationsOwnBusiness(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.webhooks(&receiver{answer: takes})
		h := w.hook(s, "SAFE_*")
		name := "Mine"
		for who, a := range map[string]pam.Actor{"an operator": w.operator, "an auditor": w.auditor} {
			_, _, create := s.Create(t.Context(), a, webhook.Settings{URL: "https://evil.example", Events: []string{"*"}})
			_, read := s.ByID(t.Context(), a, h.ID)
			_, change := s.Update(t.Context(), a, h.ID, 0, webhook.Change{Name: &name})
			_, _, rotate := s.RotateSecret(t.Context(), a, h.ID)
			_, test := s.Test(t.Context(), a, h.ID)
			for what, err := range map[string]error{"create": create, "read": read, "change": change, "rotate": rotate, "test": test, "delete": s.Delete(t.Context(), a, h.ID, 0)} {
				if !pam.Is(err, pam.Denied) {
					t.Errorf("%s may %s: %v", who, what, err)
				}
			}
		}
		_, read := s.ByID(t.Context(), w.stranger, h.ID)
		_, test := s.Test(t.Context(), w.stranger, h.ID)
		_, change := s.Update(t.Context(), w.stranger, h.ID, 0, webhook.Change{Name: &name})
		for what, err := range map[string]error{"read": read, "test": test, "change": change, "delete": s.Delete(t.Context(), w.stranger, h.ID, 0)} {
			if !pam.Is(err, pam.NotFound) {
				t.Errorf("another organization's owner may %s: %v", what, err)
			}
		}
	})
}

func TestAddressOfAChatRoomIsASecret(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := &receiver{answer: takes}
		s := w.webhooks(r)
		h, key, err := s.Create(t.Context(), w.owner, webhook.Settings{URL: "https://hooks.slack.example/services/T0/B0/hush", Format: webhook.Slack, Events: []string{"SAFE_*"}})
		if err != nil || !key.Empty() {
			t.Fatal(err, "or a key")
		}
		shown := must[[]byte](t)(json.Marshal(w.hookNow(s, h.ID).Settings))
		if strings.Contains(string(shown), "hush") || !strings.Contains(string(shown), "hooks.slack.example") {
			t.Errorf("it is shown as %s", shown)
		}
		for _, e := range must[[]audit.Event](t)(w.db.Audit().List(t.Context(), w.owner.Org, audit.Filter{TargetID: string(h.ID)})) {
			if strings.Contains(fmt.Sprint(e), "hush") {
				t.Errorf("the log tells it: %+v", e)
			}
		}
		// What comes back as it was shown changes nothing.
		url, name := h.URL, "Room"
		must[webhook.Webhook](t)(s.Update(t.Context(), w.owner, h.ID, 0, webhook.Change{URL: &url, Name: &name}))
		if d := must[webhook.Delivery](t)(s.Test(t.Context(), w.owner, h.ID)); d.Status != pam.DeliverySent {
			t.Errorf("%+v", d)
		}
		if got := r.taken(); len(got) != 1 || !strings.Contains(got[0], "Webhook Tested") {
			t.Errorf("%v", got)
		}
		if _, _, err := s.RotateSecret(t.Context(), w.owner, h.ID); !pam.Is(err, pam.Conflict) {
			t.Errorf("a chat room has a key: %v", err)
		}
	})
}

func TestWhatIsNoWebhookIsRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.webhooks(&receiver{answer: takes})
		for what, in := range map[string]webhook.Settings{
			"no address": {Events: []string{"*"}}, "no encryption": {URL: "http://siem.example", Events: []string{"*"}}, "no events": {URL: "https://siem.example"},
			"unknown events": {URL: "https://siem.example", Events: []string{"COFFEE_*"}}, "unknown format": {URL: "https://siem.example", Events: []string{"*"}, Format: "fax"},
		} {
			if _, _, err := s.Create(t.Context(), w.owner, in); !pam.Is(err, pam.Invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		for range webhook.MaxWebhooks {
			w.hook(s, "*")
		}
		if _, _, err := s.Create(t.Context(), w.owner, webhook.Settings{URL: "https://siem.example", Events: []string{"*"}}); !pam.Is(err, pam.Conflict) {
			t.Errorf("one too many: %v", err)
		}
	})
}
