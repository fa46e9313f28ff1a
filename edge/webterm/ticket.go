package webterm

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"vaultpam/pam"
)

// A ticket says who may connect to one launched session, for the 60 seconds
// after its launch. It is signed rather than stored, so that any node can
// read what any other wrote. It serves once: a node remembers what it has
// seen, and across nodes the session itself can be taken over only once.

const (
	ticketPrefix   = "vpw_"
	ticketLifetime = time.Minute
	maxTicket      = 6 << 10
)

// ticketPurpose keeps this use of the key apart from every other one.
const ticketPurpose = "vaultpam terminal ticket v1\x00"

type ticket struct {
	Session pam.SessionID
	Actor   pam.Actor
	Until   time.Time
}

// errTicket is every failure of a ticket, whatever the reason.
func errTicket() error {
	return pam.Errorf(pam.Unauthenticated, "read ticket", "The ticket is missing, expired or used: launch a new session.")
}

func (s *Server) sign(payload []byte) []byte {
	m := hmac.New(sha256.New, s.Key.Expose())
	m.Write([]byte(ticketPurpose))
	m.Write(payload)
	return m.Sum(nil)
}

// Ticket makes the ticket of a session that the actor has launched just now.
func (s *Server) Ticket(actor pam.Actor, id pam.SessionID) (string, error) {
	payload, err := json.Marshal(ticket{Session: id, Actor: actor, Until: s.Clock.Now().Add(ticketLifetime)})
	if err != nil {
		return "", pam.Wrap("make ticket", err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	return ticketPrefix + enc(payload) + "." + enc(s.sign(payload)), nil
}

// redeem turns a ticket into its actor, who must still be a member of the
// organization. from is who came with it: the address, and an actor if they
// have logged in, who then must be the same.
func (s *Server) redeem(ctx context.Context, text string, from pam.Actor, id pam.SessionID) (pam.Actor, error) {
	rest, ours := strings.CutPrefix(text, ticketPrefix)
	body, mac, whole := strings.Cut(rest, ".")
	if !ours || !whole || len(text) > maxTicket {
		return pam.Actor{}, errTicket()
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return pam.Actor{}, errTicket()
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || !hmac.Equal(sum, s.sign(payload)) {
		return pam.Actor{}, errTicket()
	}
	var t ticket
	now := s.Clock.Now()
	if json.Unmarshal(payload, &t) != nil || t.Session != id || !now.Before(t.Until) || (from.User != "" && from.User != t.Actor.User) || !s.used.first([32]byte(sum), t.Until, now) {
		return pam.Actor{}, errTicket()
	}
	t.Actor.From, t.Actor.RequestID = from.From, from.RequestID
	return s.Actors.ActorFor(ctx, t.Actor, t.Actor.Org)
}

// usedTickets are those that were shown here and have not expired.
type usedTickets struct {
	mu   sync.Mutex // guards seen
	seen map[[32]byte]time.Time
}

// first notes the ticket and says whether it is seen for the first time.
func (u *usedTickets) first(sum [32]byte, until, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, t := range u.seen {
		if !now.Before(t) {
			delete(u.seen, k)
		}
	}
	if _, seen := u.seen[sum]; seen {
		return false
	}
	if u.seen == nil {
		u.seen = map[[32]byte]time.Time{}
	}
	u.seen[sum] = until
	return true
}
