package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/invitation"
	"vaultpam/pam/outbox"
)

// channel delivers into memory what its answer lets through.
type channel struct {
	mu     sync.Mutex // guards got
	got    []outbox.Content
	answer func(m pam.Outgoing) error
}

func (c *channel) Deliver(_ context.Context, m pam.Outgoing, content outbox.Content) error {
	if err := c.answer(m); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, content)
	return nil
}

// links makes tokens that tests can tell apart.
type links struct{ n byte }

func (l *links) NewLink() (secret.Value, [32]byte, error) {
	l.n++
	return secret.FromString("vpl_" + strings.Repeat(string('a'+rune(l.n)), 8)), [32]byte{l.n}, nil
}

func (l *links) LinkHash(string) ([32]byte, bool) { return [32]byte{l.n}, true }

// post is the outbox over the world's store, with invitations to write.
func (w *world) post(c *channel, sealed *bool) (*outbox.Service, *invitation.Service) {
	s := outbox.New(outbox.Deps{
		Store: w.db, Sealer: strippingSealer{}, Sealed: func() bool { return *sealed }, Channels: map[string]outbox.Channel{outbox.Mail: c},
		Scribe: w.scribe, Clock: w.clock, IDs: w.ids, Log: slog.New(slog.DiscardHandler),
	})
	return s, invitation.New(invitation.Deps{Store: w.db, Links: &links{}, Post: s, URL: func() string { return "https://pam.example" }, Scribe: w.scribe, Clock: w.clock, IDs: w.ids})
}

// strippingSealer is plainSealer that gives back what it was given.
type strippingSealer struct{ plainSealer }

func (strippingSealer) Open(_ context.Context, b pam.Binding, sealed []byte) (secret.Value, error) {
	front, _ := plainSealer{}.Seal(context.Background(), b, nil)
	plain, ok := strings.CutPrefix(string(sealed), string(front))
	if !ok {
		return secret.Value{}, errors.New("sealed for something else")
	}
	return secret.FromString(plain), nil
}

func (w *world) invited(i *invitation.Service, email string) pam.InvitationID {
	w.t.Helper()
	return must[[]invitation.Invitation](w.t)(i.Invite(w.t.Context(), w.owner, []string{email}, invitation.Settings{Role: pam.Operator}))[0].ID
}

func (w *world) delivery(i *invitation.Service, id pam.InvitationID) pam.Delivery {
	w.t.Helper()
	return must[invitation.Invitation](w.t)(i.ByID(w.t.Context(), w.owner, id)).Delivery
}

func TestAMessageIsTriedUntilItIsTakenOrGivenUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var sealed bool
		var why error
		c := &channel{answer: func(pam.Outgoing) error { return why }}
		s, invitations := w.post(c, &sealed)
		id := w.invited(invitations, "ada@example.com")
		if d := w.delivery(invitations, id); d.Status != pam.DeliveryPending || d.Attempts != 0 {
			t.Fatalf("at first %+v", d)
		}
		// While the vault is sealed nothing is tried, and nothing lost.
		sealed = true
		w.deliver(s)
		sealed = false
		why = errors.New("the mail server is away")
		w.deliver(s)
		w.deliver(s) // not due yet
		if d := w.delivery(invitations, id); d.Attempts != 1 || d.Problem != why.Error() || d.Status != pam.DeliveryPending {
			t.Errorf("after one attempt %+v", d)
		}
		why = nil
		w.clock.Advance(10 * time.Second)
		w.deliver(s)
		if d := w.delivery(invitations, id); d.Status != pam.DeliverySent || d.Attempts != 2 || d.Problem != "" || len(c.got) != 1 {
			t.Errorf("after the second %+v, %d letters", d, len(c.got))
		}
		if !strings.Contains(c.got[0].Text, "https://pam.example/invitation#vpl_") {
			t.Errorf("the letter: %q", c.got[0].Text)
		}

		// For more than a day.
		why = errors.New("still away")
		id = w.invited(invitations, "bob@example.com")
		began := w.clock.Now()
		for w.delivery(invitations, id).Status == pam.DeliveryPending && w.clock.Now().Sub(began) < 100*time.Hour {
			w.deliver(s)
			w.clock.Advance(10 * time.Minute)
		}
		d := w.delivery(invitations, id)
		if took := w.clock.Now().Sub(began); d.Status != pam.DeliveryFailed || took < 24*time.Hour || took > 40*time.Hour {
			t.Errorf("%+v after %s", d, took)
		}
		// What does not help is not tried again.
		why = &outbox.Final{Err: errors.New("no such user")}
		id = w.invited(invitations, "eve@example.com")
		w.deliver(s)
		if d := w.delivery(invitations, id); d.Status != pam.DeliveryFailed || d.Attempts != 1 {
			t.Errorf("%+v", d)
		}
		failed := 0
		for _, e := range must[[]audit.Event](t)(w.db.Audit().List(t.Context(), w.owner.Org, audit.Filter{Type: audit.MessageNotDelivered, Limit: 10})) {
			failed++
			if e.Actor.Type != "system" {
				t.Errorf("%+v", e)
			}
		}
		if failed != 2 {
			t.Errorf("%d failures on record", failed)
		}
		if err := w.db.PurgeOutgoing(t.Context(), w.clock.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if d := w.delivery(invitations, id); d.Status != "" {
			t.Errorf("after the purge %+v", d)
		}
	})
}

func (w *world) deliver(s *outbox.Service) {
	w.t.Helper()
	if err := s.Deliver(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// Several nodes share the outbox: each message leaves once, whichever claims
// it, and one whose node died is claimed anew.
func TestEachMessageIsClaimedByOneNode(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var sealed bool
		c := &channel{answer: func(pam.Outgoing) error { return nil }}
		s, invitations := w.post(c, &sealed)
		const many = 40
		for i := range many {
			w.invited(invitations, "p"+string(rune('a'+i%26))+string(rune('a'+i/26))+"@example.com")
		}
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if err := s.Deliver(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		w.deliver(s)
		if len(c.got) != many {
			t.Errorf("%d letters left, want %d", len(c.got), many)
		}
		id := w.invited(invitations, "last@example.com")
		now := w.clock.Now()
		if due := must[[]outbox.Due](t)(w.db.ClaimOutgoing(t.Context(), now, now.Add(time.Minute), 10)); len(due) != 1 {
			t.Fatalf("claimed %d", len(due))
		}
		if due := must[[]outbox.Due](t)(w.db.ClaimOutgoing(t.Context(), now, now.Add(time.Minute), 10)); len(due) != 0 {
			t.Errorf("claimed again: %d", len(due))
		}
		w.clock.Advance(time.Minute)
		w.deliver(s)
		if d := w.delivery(invitations, id); d.Status != pam.DeliverySent {
			t.Errorf("%+v", d)
		}
	})
}

// A letter whose link is void does not leave any more.
func TestALetterOfARevokedInvitationIsTakenBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var sealed bool
		c := &channel{answer: func(pam.Outgoing) error { return nil }}
		s, invitations := w.post(c, &sealed)
		revoked, again := w.invited(invitations, "ada@example.com"), w.invited(invitations, "bob@example.com")
		if err := invitations.Revoke(t.Context(), w.owner, revoked); err != nil {
			t.Fatal(err)
		}
		must[invitation.Invitation](t)(invitations.Resend(t.Context(), w.owner, again))
		w.deliver(s)
		if len(c.got) != 1 {
			t.Errorf("%d letters left, want the one that was sent anew", len(c.got))
		}
	})
}

func TestInvitationsOfAnotherOrganizationDoNotExist(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var sealed bool
		_, invitations := w.post(&channel{}, &sealed)
		id := w.invited(invitations, "ada@example.com")
		_, err := invitations.ByID(t.Context(), w.stranger, id)
		refused(t, err, pam.NotFound)
		_, err = invitations.Resend(t.Context(), w.stranger, id)
		refused(t, err, pam.NotFound)
		refused(t, invitations.Revoke(t.Context(), w.stranger, id), pam.NotFound)
		if got := must[[]invitation.Invitation](t)(invitations.List(t.Context(), w.stranger, invitation.Query{})); len(got) != 0 {
			t.Errorf("listed %v", got)
		}
		if got := must[[]invitation.Invitation](t)(invitations.List(t.Context(), w.owner, invitation.Query{Text: "ADA", Status: invitation.Pending})); len(got) != 1 {
			t.Errorf("listed %v", got)
		}
		w.clock.Advance(invitation.TTL)
		if got := must[[]invitation.Invitation](t)(invitations.List(t.Context(), w.owner, invitation.Query{Status: invitation.Expired})); len(got) != 1 || got[0].Status != invitation.Expired {
			t.Errorf("expired: %v", got)
		}
		// One whose time is over makes way for a new one.
		if again := w.invited(invitations, "ada@example.com"); again == id {
			t.Error("the same one")
		}
	})
}

// Every letter is there in every language, with all that differs put in, and
// what people write into names is escaped where it is HTML.
func TestLettersAreWrittenInFourLanguages(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var sealed bool
		c := &channel{answer: func(pam.Outgoing) error { return nil }}
		s, _ := w.post(c, &sealed)
		var seen []string
		for _, kind := range []string{pam.LetterInvitation, pam.LetterPasswordReset} {
			for _, lang := range append(slices.Clone(outbox.Languages), "xx", "") {
				m := must[pam.Outgoing](t)(s.Letter(t.Context(), pam.Letter{
					Org: w.owner.Org, Kind: kind, Object: "x", To: "ada@example.com", Language: lang, OrgName: "<b>Löwe</b> & {link}\r\nBcc: eve@example.com", By: "bob@example.com", Role: pam.Operator,
					Link: secret.FromString("https://pam.example/x#vpl_1"), Until: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC),
				}))
				open := must[secret.Value](t)(strippingSealer{}.Open(t.Context(), pam.Binding{Org: m.Org, Purpose: "outbox.message", Object: string(m.ID), Version: 1}, m.Sealed))
				var got outbox.Content
				if err := json.Unmarshal(open.Expose(), &got); err != nil {
					t.Fatal(err)
				}
				for part, text := range map[string]string{"subject": got.Subject, "text": got.Text, "HTML": got.HTML} {
					for _, bad := range []string{"{org}", "{by}", "{role}", "{until}", "\r", "\nBcc"} {
						if strings.Contains(text, bad) {
							t.Errorf("%s of %s in %q has %q: %s", part, kind, lang, bad, text)
						}
					}
					if part != "subject" && (!strings.Contains(text, "2030") || !strings.Contains(text, "https://pam.example/x#vpl_1")) {
						t.Errorf("%s of %s in %q lacks something: %s", part, kind, lang, text)
					}
				}
				if strings.Contains(got.HTML, "<b>") || !strings.Contains(got.HTML, "&lt;b&gt;") || strings.Contains(got.Subject, "\n") {
					t.Errorf("%s in %q is not escaped: %q, %s", kind, lang, got.Subject, got.HTML)
				}
				body := got.Text
				if lang != "xx" && lang != "" {
					if slices.Contains(seen, body) {
						t.Errorf("%s in %q is in another language, too", kind, lang)
					}
					seen = append(seen, body)
				}
			}
		}
	})
}
