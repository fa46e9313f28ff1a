package identity

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"vaultpam/pam"
)

// Authenticate turns a bearer token into an Actor in org; "" is the token's
// own or the last used organization. It is Unauthenticated for a token that
// is missing, malformed, expired, revoked or for a password change only, and
// OrgDenied, without telling why, for an organization in which the user is no
// active member or to which the token is not bound, and wherever a user has no
// place left.
func (s *Service) Authenticate(ctx context.Context, bearer string, org pam.OrgID, c Client) (pam.Actor, error) {
	h, err := s.holder(ctx, bearer)
	if err != nil {
		return pam.Actor{}, err
	}
	if h.Login != nil && h.Login.Purpose != Everything {
		return pam.Actor{}, unauthenticated()
	}
	return s.entering(h, org, c)
}

func (s *Service) entering(h Holder, org pam.OrgID, c Client) (pam.Actor, error) {
	a := s.actor(h, c)
	if h.Token != nil {
		if org == "" {
			org = h.Token.Org
		}
		if org != h.Token.Org {
			return pam.Actor{}, &pam.Error{Kind: pam.OrgDenied, Op: "authenticate"}
		}
		s.use(func(u *Used) { u.Tokens[h.Token.ID] = s.clock.Now() })
		return enter(a, h.Places, org)
	}
	if !admitted(h.User, h.Places) {
		return pam.Actor{}, &pam.Error{Kind: pam.OrgDenied, Op: "authenticate"}
	}
	active := s.activeOrg(h)
	if a.Only != "" {
		active = a.Only
	}
	wanted := org
	if org == "" {
		org = active
	}
	if org == "" { // an administrator of the instance, or somebody who may accept an invitation
		return a, nil
	}
	entered, err := enter(a, h.Places, org)
	if wanted == "" && c.Personal && pam.Is(err, pam.StepUpNeeded) {
		return a, nil // into none: what is about the person alone is not the organization's to refuse
	}
	if err == nil && org != active && a.Only == "" {
		s.use(func(u *Used) { u.Orgs[h.User.ID] = org })
	}
	return entered, err
}

// AuthenticateRestricted also takes a token for one purpose alone. The actor
// enters no organization.
func (s *Service) AuthenticateRestricted(ctx context.Context, bearer string, purpose Purpose, c Client) (pam.Actor, error) {
	h, err := s.holder(ctx, bearer)
	if err != nil {
		return pam.Actor{}, err
	}
	if h.Login != nil && h.Login.Purpose != Everything && h.Login.Purpose != purpose {
		return pam.Actor{}, unauthenticated()
	}
	if !admitted(h.User, h.Places) {
		return pam.Actor{}, &pam.Error{Kind: pam.OrgDenied, Op: "authenticate"}
	}
	a := s.actor(h, c)
	if a.Only != "" {
		_, err = enter(a, h.Places, a.Only)
		if pam.Is(err, pam.StepUpNeeded) {
			err = nil // what is about the person alone is not the organization's to refuse
		}
	}
	return a, err
}

func unauthenticated() error { return &pam.Error{Kind: pam.Unauthenticated, Op: "authenticate"} }

// ActiveOrg returns the organization that serves a login without
// X-Active-Org-Id: the last used, else the first joined, where the user is
// an active member; "" when there is none.
func (s *Service) ActiveOrg(ctx context.Context, a pam.Actor) (pam.OrgID, error) {
	if a.Only != "" {
		return a.Only, nil
	}
	u, err := s.store.UserByID(ctx, a.User)
	if err != nil {
		return "", err
	}
	places, err := s.store.PlacesOf(ctx, a.User)
	if err != nil {
		return "", err
	}
	return s.activeOrg(Holder{User: u, Places: places}), nil
}

func (s *Service) activeOrg(h Holder) pam.OrgID {
	s.mu.Lock()
	last, ok := s.used.Orgs[h.User.ID]
	s.mu.Unlock()
	if !ok {
		last = h.User.ActiveOrg
	}
	var first pam.OrgID
	for _, p := range h.Places {
		if !p.Active {
			continue
		}
		if p.Org == last {
			return last
		}
		if first == "" {
			first = p.Org
		}
	}
	return first
}

func (s *Service) use(note func(*Used)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	note(&s.used)
}

func (s *Service) actor(h Holder, c Client) pam.Actor {
	u := h.User
	a := pam.Actor{User: u.ID, Email: u.Email, Name: u.Name, HomeOrg: u.HomeOrg, InstanceAdmin: u.InstanceAdmin, From: c.From, RequestID: c.RequestID}
	if h.Token != nil {
		a.Token, a.TokenID, a.Scopes = pam.PersonalToken, string(h.Token.ID), h.Token.Scopes
	} else {
		a.Token, a.TokenID, a.StepUpAt = pam.LoginToken, string(h.Login.ID), h.Login.StepUpAt
		a = h.Login.narrow(a)
	}
	return a
}

// holder finds out what a token stands for.
func (s *Service) holder(ctx context.Context, bearer string) (Holder, error) {
	hash, ok := parseToken(bearer, loginPrefix, accessPrefix)
	if !ok {
		return Holder{}, unauthenticated()
	}
	now := s.clock.Now()
	h, generation, ok := s.holders.get(hash, now)
	if !ok {
		var err error
		h, err = s.store.HolderByToken(ctx, hash)
		if pam.Is(err, pam.NotFound) {
			return Holder{}, unauthenticated()
		}
		if err != nil {
			return Holder{}, err
		}
		s.holders.put(hash, h, generation, now)
	}
	if h.Login != nil && !now.Before(h.Login.ExpiresAt) || h.Token != nil && !now.Before(h.Token.ExpiresAt) {
		return Holder{}, unauthenticated()
	}
	if h.Login != nil && s.idle(*h.Login, now) {
		return Holder{}, unauthenticated()
	}
	return h, nil
}

// holderCache remembers what tokens stand for. Any change to what that rests
// on empties it before the change is answered, so that a revocation is
// effective at once.
type holderCache struct {
	lifetime time.Duration // 0: until a change

	mu         sync.RWMutex // guards all below
	generation uint64
	entries    map[[32]byte]holderEntry
}

type holderEntry struct {
	holder Holder
	read   time.Time
}

const maxHolders = 20_000

func newHolderCache(shared bool) *holderCache {
	c := &holderCache{entries: map[[sha256.Size]byte]holderEntry{}}
	if shared {
		c.lifetime = time.Second
	}
	return c
}

// get also returns the generation that a later put must name.
func (c *holderCache) get(hash [32]byte, now time.Time) (Holder, uint64, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.entries[hash]
	if ok && c.lifetime > 0 && now.Sub(e.read) >= c.lifetime {
		ok = false
	}
	return e.holder, c.generation, ok
}

// put keeps h unless there was a change since generation: then h may have
// been read before it.
func (c *holderCache) put(hash [32]byte, h Holder, generation uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return
	}
	if len(c.entries) >= maxHolders {
		clear(c.entries)
	}
	c.entries[hash] = holderEntry{h, now}
}

func (c *holderCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.entries)
}
