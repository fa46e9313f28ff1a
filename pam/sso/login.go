package sso

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/netip"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// A sign-in begins in one browser and ends in the same: the browser keeps a
// secret in a cookie, and what goes to the provider follows from that and the
// state. So an answer that somebody else was given is worth nothing to us, and
// one that was given to us is worth nothing to somebody else. The store has
// hashes alone.

// tokenSize is the length of a state, and of what a browser keeps.
const tokenSize = 43

// Started is a sign-in that has begun.
type Started struct {
	URL     string       // where the person is to go
	Browser secret.Value // what the browser is to keep
}

// Offered are the providers of the organization with that slug. An
// organization that there is not has none, like one without any.
func (s *Service) Offered(ctx context.Context, slug string) ([]Provider, error) {
	out, err := s.Store.EnabledProviders(ctx, slug)
	return out, pam.Wrap("list sign-in providers", err)
}

// Begin is how a sign-in begins.
type Begin struct {
	Fresh   bool   // the person is to authenticate anew
	Hint    string // their address, if they have given one
	Browser string // what the browser keeps from another sign-in under way; "" if nothing
}

// Start begins a sign-in.
func (s *Service) Start(ctx context.Context, slug string, id pam.ProviderID, b Begin) (Started, error) {
	const op = "start sign-in"
	offered, err := s.Store.EnabledProviders(ctx, slug)
	if err != nil {
		return Started{}, pam.Wrap(op, err)
	}
	for _, p := range offered {
		if p.ID == id {
			return s.start(ctx, op, p, "", b)
		}
	}
	return Started{}, pam.Errorf(pam.NotFound, op, "There is no such way to sign in.")
}

// StartLink begins what ends with an identity that signs the actor in to org.
func (s *Service) StartLink(ctx context.Context, a pam.Actor, org pam.OrgID, id pam.ProviderID, b Begin) (Started, error) {
	const op = "link sign-in"
	if err := s.mayLink(ctx, op, a, org); err != nil {
		return Started{}, err
	}
	p, err := s.Store.SSOProvider(ctx, org, id)
	if err == nil && !p.Enabled {
		err = &pam.Error{Kind: pam.NotFound}
	}
	if err != nil {
		return Started{}, pam.Wrap(op, err)
	}
	return s.start(ctx, op, p, a.User, b)
}

// mayLink says whether an actor may make another way to sign in to org as
// themselves. Not by what somebody else has vouched for: else one provider
// could open the door to the next.
func (s *Service) mayLink(ctx context.Context, op string, a pam.Actor, org pam.OrgID) error {
	switch {
	case a.Token != pam.LoginToken || a.Only != "":
		return pam.Errorf(pam.Denied, op, "Sign in with your password to do this.")
	case !a.Fresh(s.Clock.Now()):
		return &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	person, err := s.Store.Person(ctx, org, a.User)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if !person.Active {
		return &pam.Error{Kind: pam.OrgDenied, Op: op}
	}
	return nil
}

func (s *Service) start(ctx context.Context, op string, p Provider, link pam.UserID, b Begin) (Started, error) {
	state, err := s.random()
	if err != nil {
		return Started{}, pam.Wrap(op, err)
	}
	browser := b.Browser
	if !wellFormed(browser) {
		if browser, err = s.random(); err != nil {
			return Started{}, pam.Wrap(op, err)
		}
	}
	k, err := s.kind(op, p.Kind)
	if err != nil {
		return Started{}, err
	}
	to, err := k.begin(ctx, p, way{browser: browser, state: state}, b)
	if err != nil {
		return Started{}, pam.Wrap(op, err)
	}
	now := s.Clock.Now()
	a := Attempt{
		State: hash(state), Browser: hash(browser), Org: p.Org, Provider: p.ID, Link: link, Fresh: b.Fresh, CreatedAt: now, ExpiresAt: now.Add(AttemptTTL),
	}
	if err := s.Store.CreateAttempt(ctx, a, maxAttempts); err != nil {
		return Started{}, pam.Wrap(op, err)
	}
	return Started{URL: to, Browser: secret.FromString(browser)}, nil
}

func (s *Service) random() (string, error) {
	var raw [32]byte
	if _, err := io.ReadFull(s.Rand, raw[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

func wellFormed(text string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(text) == tokenSize && len(raw) == 32
}

func hash(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// way is what ties a sign-in under way to its browser.
type way struct{ browser, state string }

// derived is a value for one use that only the browser's sign-in has.
func (w way) derived(use string) string {
	m := hmac.New(sha256.New, []byte(w.browser))
	m.Write([]byte("vaultpam sso v1 " + use + " " + w.state))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// Finish is what a browser comes back with.
type Finish struct {
	Provider                   pam.ProviderID // whose redirect address it was
	State, Code, Issuer, Error string
	SAMLResponse               string       // base64, as the browser has brought it
	Username                   string       // what somebody has typed for a directory
	Password                   secret.Value // the caller wipes it
	From                       netip.Addr
	Browser                    string    // what it has kept
	Actor                      pam.Actor // who is signed in there; nobody: no User
}

// Finish ends a sign-in with somebody's word for a person, or with an identity
// linked to the actor, which signs nobody in: then User is "".
func (s *Service) Finish(ctx context.Context, in Finish, c Client) (out pam.Assertion, err error) {
	const op = "finish sign-in"
	defer func() { s.Observe("login", err) }()
	over := pam.Errorf(pam.AuthFailed, op, "This sign-in is over, or was begun in another browser. Begin again.")
	if !wellFormed(in.State) || !wellFormed(in.Browser) {
		return pam.Assertion{}, over
	}
	attempt, err := s.Store.TakeAttempt(ctx, hash(in.State), hash(in.Browser), in.Provider, s.Clock.Now())
	if pam.Is(err, pam.NotFound) {
		return pam.Assertion{}, over
	}
	if err != nil {
		return pam.Assertion{}, pam.Wrap(op, err)
	}
	p, err := s.Store.SSOProvider(ctx, attempt.Org, attempt.Provider)
	if pam.Is(err, pam.NotFound) || err == nil && !p.Enabled {
		return pam.Assertion{}, over
	}
	if err != nil {
		return pam.Assertion{}, pam.Wrap(op, err)
	}
	k, err := s.kind(op, p.Kind)
	if err != nil {
		return pam.Assertion{}, err
	}
	in.From = c.From
	claims, err := k.finish(ctx, p, way{browser: in.Browser, state: in.State}, in)
	if err == nil {
		if out, err = s.arrive(ctx, op, p, attempt, claims, in.Actor, c); err == nil {
			return out, nil
		}
	}
	return pam.Assertion{}, s.refused(ctx, op, p, claims.Subject, c, err)
}

// refused writes down why somebody did not get in, and gives the reason back.
func (s *Service) refused(ctx context.Context, op string, p Provider, subject string, c Client, err error) error {
	err = pam.Wrap(op, err)
	if kind := pam.KindOf(err); kind != pam.AuthFailed && kind != pam.Unreachable && kind != pam.Denied || !s.Counted(c.From) {
		return err
	}
	public := ""
	if e, ok := err.(*pam.Error); ok {
		public = e.Public
	}
	e := s.Scribe.Entry(pam.Actor{Token: pam.SystemToken, Org: p.Org, From: c.From, RequestID: c.RequestID}, audit.SSOLoginRefused, p.party(),
		map[string]any{"issuer": p.Issuer, "subject": subject, "reason": public})
	if err := s.Events.Append(ctx, p.Org, e); err != nil {
		return pam.Wrap(op, err)
	}
	return err
}

// stranger is the refusal of whomever nobody here is known to be.
func stranger(op string) error {
	return pam.Errorf(pam.AuthFailed, op, "Nobody here is linked to this account. Sign in as before and link it in your profile, or ask an administrator.")
}

// arrive finds out whom a subject is here, and makes of them what the rules
// say.
func (s *Service) arrive(ctx context.Context, op string, p Provider, attempt Attempt, claims Claims, actor pam.Actor, c Client) (pam.Assertion, error) {
	now := s.Clock.Now()
	at := authenticatedAt(claims, now)
	if attempt.Fresh && (at == nil || at.Before(attempt.CreatedAt.Add(-time.Minute))) {
		return pam.Assertion{}, pam.Errorf(pam.AuthFailed, op, "The provider does not say that it has asked you again who you are.")
	}
	if at == nil {
		at = &now
	}
	w := newcomer{p: p, claims: claims, now: now, c: c, arrival: Arrival{Provider: p.ID, Version: p.Version}}
	var err error
	if attempt.Link != "" {
		err = s.link(ctx, op, &w, attempt.Link, actor)
	} else {
		err = s.find(ctx, op, &w)
	}
	if err != nil {
		return pam.Assertion{}, err
	}
	if err := s.apply(ctx, &w); err != nil {
		return pam.Assertion{}, err
	}
	if err := s.Store.Arrive(ctx, p.Org, w.arrival, w.entries(s)...); err != nil {
		return pam.Assertion{}, err
	}
	out := pam.Assertion{Org: p.Org, User: w.person.User, Provider: p.ID, Identity: w.arrival.Identity.ID, At: *at, SecondFactor: p.TrustsMFA && claims.secondFactor()}
	if attempt.Link != "" {
		out.User = ""
	}
	return out, nil
}

// link gives the subject to the person who has asked for that in this browser,
// and still sits there.
func (s *Service) link(ctx context.Context, op string, w *newcomer, user pam.UserID, actor pam.Actor) error {
	if actor.User != user {
		return pam.Errorf(pam.AuthFailed, op, "Sign in again, and link the account from your profile.")
	}
	if err := s.mayLink(ctx, op, actor, w.p.Org); err != nil {
		return err
	}
	person, err := s.Store.Person(ctx, w.p.Org, user)
	if err != nil {
		return err
	}
	w.person = person
	taken, err := s.Store.Identity(ctx, w.p.Org, w.p.Issuer, w.claims.Subject)
	if err == nil && taken.User == user {
		w.arrival.Identity = taken
		w.renew()
		return nil
	}
	if err == nil {
		return pam.Errorf(pam.Conflict, op, "This account is linked to somebody else.")
	}
	if !pam.Is(err, pam.NotFound) {
		return err
	}
	if err := s.unlinked(ctx, w, user); err != nil {
		return pam.Errorf(pam.Conflict, op, "You are linked to another account of this provider. Remove that first.")
	}
	w.make(s, BySelf)
	return nil
}

// unlinked is nil where the person has no identity of this issuer yet.
func (s *Service) unlinked(ctx context.Context, w *newcomer, user pam.UserID) error {
	_, err := s.Store.IdentityOf(ctx, w.p.Org, w.p.Issuer, user)
	if pam.Is(err, pam.NotFound) {
		return nil
	}
	if err == nil {
		return &pam.Error{Kind: pam.Conflict}
	}
	return err
}

// find says whom a subject is: whoever it was before; else a person at home
// here with the verified address that it has; else somebody new. Only the
// first rests on nothing but the subject.
//
// An administrator chooses who vouches, and must not become anybody by that. So
// a provider vouches by address for nobody who is at home elsewhere, who stands
// above an administrator, or who has a way to sign in: they link their account
// themselves. Nor for somebody with a role in a Safe, unless its manager has
// given it, or confirmed it, since the provider is believed.
func (s *Service) find(ctx context.Context, op string, w *newcomer) error {
	known, err := s.Store.Identity(ctx, w.p.Org, w.p.Issuer, w.claims.Subject)
	if err == nil {
		w.arrival.Identity = known
		w.person, err = s.Store.Person(ctx, w.p.Org, known.User)
		if err == nil && !w.person.Active {
			err = pam.Errorf(pam.AuthFailed, op, "You are no active member of this organization.")
		}
		if err == nil && known.CreatedAt.Before(w.p.since()) {
			err = s.again(ctx, op, w)
		}
		return err
	}
	if !pam.Is(err, pam.NotFound) {
		return err
	}
	email, ok := w.claims.email(w.p.Domains)
	if !ok {
		return stranger(op)
	}
	w.person, err = s.Store.PersonByEmail(ctx, w.p.Org, email)
	switch {
	case pam.Is(err, pam.NotFound) && w.p.Creates:
		w.person = Person{User: pam.UserID(s.IDs.New(pam.PrefixUser)), Email: email, Home: w.p.Org, Role: w.p.DefaultRole, Active: true}
		w.arrival.Person = &NewUser{Email: email, Name: w.claims.name(email)}
		w.make(s, ByCreated)
		return nil
	case pam.Is(err, pam.NotFound):
		return stranger(op)
	case err != nil:
		return err
	case w.person.Home != w.p.Org, !w.person.Active, w.person.Machine, w.person.InstanceAdmin, w.person.Role == pam.Owner, w.person.SignsIn:
		return stranger(op)
	}
	before, err := s.Store.HeldBefore(ctx, w.p.Org, w.person.User, w.p.TrustedAt)
	if err != nil {
		return err
	}
	if before {
		return pam.Errorf(pam.AuthFailed, op, "You have roles in safes from before this provider was believed. Ask a manager of each to confirm yours.")
	}
	w.make(s, ByEmail)
	return nil
}

// again says whether a subject is still whom it was before an administrator
// changed who signs for it: an entity id is only a name, which anybody can give
// to keys of their own. The same as for an address holds (see find), but that
// the account itself is no other way to sign in.
func (s *Service) again(ctx context.Context, op string, w *newcomer) error {
	if p := w.person; p.Password || p.Home != w.p.Org || p.Machine || p.InstanceAdmin || p.Role == pam.Owner {
		return pam.Errorf(pam.AuthFailed, op, "The provider's keys have been changed since you linked this account. Sign in with your password, and link it again in your profile.")
	}
	before, err := s.Store.HeldBefore(ctx, w.p.Org, w.person.User, w.p.since())
	if err != nil {
		return err
	}
	if before {
		return pam.Errorf(pam.AuthFailed, op, "The provider's keys have been changed, and you have roles in safes from before. Ask a manager of each to confirm yours.")
	}
	w.renew()
	return nil
}

// Identities lists the linked accounts of the organization.
func (s *Service) Identities(ctx context.Context, a pam.Actor) ([]Identity, error) {
	const op = "list linked accounts"
	if err := s.may(op, a, policy.SSORead); err != nil {
		return nil, err
	}
	out, err := s.Store.Identities(ctx, a.Org)
	return out, pam.Wrap(op, err)
}

// Own lists the actor's linked accounts, as far as their login reaches.
func (s *Service) Own(ctx context.Context, a pam.Actor) ([]Identity, error) {
	out, err := s.Store.IdentitiesOfUser(ctx, a.User, a.Only)
	return out, pam.Wrap("list own linked accounts", err)
}

// Unlink takes an identity away from somebody who does not stand above the
// actor. The logins made by it end.
func (s *Service) Unlink(ctx context.Context, a pam.Actor, id pam.IdentityID) error {
	const op = "unlink account"
	if err := s.may(op, a, policy.SSOWrite); err != nil {
		return err
	}
	all, err := s.Store.Identities(ctx, a.Org)
	if err != nil {
		return pam.Wrap(op, err)
	}
	i, err := among(op, all, id)
	if err != nil {
		return err
	}
	p, err := s.Store.Person(ctx, a.Org, i.User)
	if err != nil {
		return pam.Wrap(op, err)
	}
	if p.Role.Above(a.Role) {
		return &pam.Error{Kind: pam.Denied, Op: op}
	}
	return s.unlink(ctx, op, a, i)
}

// UnlinkOwn takes one of the actor's own away.
func (s *Service) UnlinkOwn(ctx context.Context, a pam.Actor, id pam.IdentityID) error {
	const op = "unlink own account"
	if a.Token != pam.LoginToken {
		return pam.Errorf(pam.Denied, op, "A personal access token cannot do this.")
	}
	if !a.Fresh(s.Clock.Now()) {
		return &pam.Error{Kind: pam.StepUpNeeded, Op: op}
	}
	all, err := s.Own(ctx, a)
	if err != nil {
		return pam.Wrap(op, err)
	}
	i, err := among(op, all, id)
	if err != nil {
		return err
	}
	return s.unlink(ctx, op, a, i)
}

func among(op string, all []Identity, id pam.IdentityID) (Identity, error) {
	for _, i := range all {
		if i.ID == id {
			return i, nil
		}
	}
	return Identity{}, &pam.Error{Kind: pam.NotFound, Op: op}
}

func (s *Service) unlink(ctx context.Context, op string, a pam.Actor, i Identity) error {
	e := s.Scribe.Entry(a, audit.SSOIdentityUnlinked, audit.Party{Type: "user", ID: string(i.User), Name: i.Email}, map[string]any{"issuer": i.Issuer, "subject": i.Subject})
	return pam.Wrap(op, s.Store.Unlink(ctx, i.Org, i.ID, i.User, audit.ForOrg(e, i.Org)))
}
