package identity

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Options are what an operator may set.
type Options struct {
	LoginTTL    time.Duration // 0 is one hour
	ConsoleTTL  time.Duration // of a login of the console; 0 is twelve hours
	ConsoleIdle time.Duration // after which it ends when it is not used; 0 is 30 minutes
	// Shared says that other servers change the same store. Then what is
	// remembered of a token is believed for a second at most.
	Shared bool
	Sealer pam.Sealer    // of the secrets of second factors
	Origin func() string // of the console, such as https://pam.example.com; nil: no passkeys
}

// Service authenticates. It is safe for concurrent use.
type Service struct {
	store     Store
	events    Events
	passwords *Passwords
	scribe    *audit.Scribe
	clock     clock.Clock
	ids       *ids.Source
	rand      io.Reader
	log       *slog.Logger
	ttl       time.Duration
	console   struct{ ttl, idle time.Duration }
	lockout   *lockout
	failures  *failureLog
	holders   *holderCache
	sealer    pam.Sealer
	origin    func() string

	mu   sync.Mutex // guards used and seen
	used Used
	seen map[pam.LoginID]time.Time // when logins of the console were used last; see idle
}

// New makes a Service. Changed must hear of the store's changes, and Run must
// be running.
func New(store Store, events Events, p *Passwords, scribe *audit.Scribe, c clock.Clock, src *ids.Source, random io.Reader, log *slog.Logger, o Options) *Service {
	if o.LoginTTL == 0 {
		o.LoginTTL = time.Hour
	}
	s := &Service{
		store: store, events: events, passwords: p, scribe: scribe, clock: c, ids: src, rand: random, log: log, ttl: o.LoginTTL,
		lockout: newLockout(c), failures: newFailureLog(), holders: newHolderCache(o.Shared), used: newUsed(),
		seen: map[pam.LoginID]time.Time{}, sealer: o.Sealer, origin: o.Origin,
	}
	s.console.ttl, s.console.idle = cmp.Or(o.ConsoleTTL, defaultConsoleTTL), cmp.Or(o.ConsoleIdle, defaultConsoleIdle)
	return s
}

func newUsed() Used {
	return Used{Orgs: map[pam.UserID]pam.OrgID{}, Logins: map[pam.LoginID]time.Time{}, Tokens: map[pam.TokenID]time.Time{}, Keys: map[pam.KeyID]time.Time{}}
}

// Changed hears of a committed change.
func (s *Service) Changed(c pam.Change) {
	switch c.Subject {
	case pam.SubjectLogin, pam.SubjectUser, pam.SubjectMember, pam.SubjectGroup, pam.SubjectOrg:
		s.holders.clear()
	}
}

// Run writes what was used last and what failed too often, once a minute and
// when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.flush(last)
			return nil
		case <-tick.C:
			s.flush(ctx)
		}
	}
}

func (s *Service) flush(ctx context.Context) {
	s.mu.Lock()
	used := s.used
	s.used = newUsed()
	s.used.Orgs = maps.Clone(used.Orgs) // they decide what serves until the store does
	s.forgetIdle()
	s.mu.Unlock()
	if len(used.Orgs)+len(used.Logins)+len(used.Tokens)+len(used.Keys) > 0 {
		if err := s.store.Touch(ctx, used); err != nil {
			s.log.Warn("last use of tokens not written", "error", err)
		} else if len(used.Orgs) > 0 {
			s.holders.clear()
			s.use(func(u *Used) {
				maps.DeleteFunc(u.Orgs, func(user pam.UserID, org pam.OrgID) bool { return used.Orgs[user] == org })
			})
		}
	}
	for _, e := range s.failures.drain(s.scribe) {
		if err := s.events.Append(ctx, pam.InstanceOrg, e); err != nil {
			s.log.Error("failed logins not written", "error", err)
		}
	}
	if err := s.store.DeleteExpired(ctx, s.clock.Now().Add(-24*time.Hour)); err != nil {
		s.log.Warn("expired logins not removed", "error", err)
	}
}

// Login signs a person in with e-mail and password. Every failure is the same
// AuthFailed after the same work: an unknown e-mail, a wrong password, an
// account that is locked for this source, or one that is suspended
// everywhere. A right password that must be changed is a *PasswordChangeError.
func (s *Service) Login(ctx context.Context, email string, password secret.Value, c Client) (LoginResult, error) {
	return s.login(ctx, email, password, c, Everything, "password")
}

func (s *Service) login(ctx context.Context, email string, password secret.Value, c Client, purpose Purpose, method string) (LoginResult, error) {
	user, places, factors, err := s.checkPassword(ctx, email, password, c, method)
	if err != nil {
		return LoginResult{}, err
	}
	if len(factors) > 0 {
		return LoginResult{}, s.challenge(ctx, user, c, purpose, method, factors)
	}
	return s.finish(ctx, user, places, c, purpose, method, nil)
}

// finish makes the login of somebody who has shown all that they have: or, if
// that is not enough, one that opens only what is missing.
func (s *Service) finish(ctx context.Context, user User, places []Place, c Client, purpose Purpose, method string, proof *factorProof) (LoginResult, error) {
	enrol := proof == nil && demanded(user, places)
	switch {
	case enrol:
		purpose = MFAEnrolment
	case user.MustChange:
		purpose = PasswordChange
	}
	result, err := s.newLogin(ctx, user, c, purpose, method, proof)
	switch {
	case err != nil:
		return LoginResult{}, err
	case enrol:
		return LoginResult{}, &EnrolmentError{Result: result}
	case user.MustChange:
		return LoginResult{}, &PasswordChangeError{Result: result}
	}
	return result, nil
}

func (s *Service) newLogin(ctx context.Context, user User, c Client, purpose Purpose, method string, proof *factorProof) (LoginResult, error) {
	now := s.clock.Now()
	ttl := s.ttl
	switch purpose {
	case Console:
		ttl = s.console.ttl
	case PasswordChange, MFAEnrolment:
		ttl = min(s.ttl, enrolmentTTL)
	}
	token, hash, err := newToken(loginPrefix, s.rand)
	if err != nil {
		return LoginResult{}, pam.Wrap("login", err)
	}
	l := Login{
		ID: pam.LoginID(s.ids.New(pam.PrefixLogin)), User: user.ID, TokenHash: hash, Purpose: purpose,
		CreatedAt: now, ExpiresAt: now.Add(ttl), StepUpAt: now, ClientIP: addrText(c), UserAgent: cut(c.UserAgent, 256),
	}
	if purpose == Console {
		l.UsedAt = now
	}
	m := map[string]any{"method": method, "login_id": string(l.ID)}
	if proof == nil {
		err = s.store.CreateLogin(ctx, l, s.entryOf(user, c, audit.LoginSucceeded, m))
	} else {
		l.SecondFactor, m["factor"] = true, string(proof.use.Kind())
		shown := s.entryOf(user, c, audit.MFAVerificationSucceeded, map[string]any{"factor": string(proof.use.Kind())})
		err = s.store.CreateLoginByFactor(ctx, l, proof.use, proof.challenge, shown, s.entryOf(user, c, audit.LoginSucceeded, m))
	}
	if err != nil {
		return LoginResult{}, err
	}
	return LoginResult{Token: token, ExpiresIn: ttl, Login: l}, nil
}

// AuthenticatePassword is Login for native protocols: it makes no token.
// The Actor has no organization yet; see ActorFor.
func (s *Service) AuthenticatePassword(ctx context.Context, email string, password secret.Value, c Client) (pam.Actor, error) {
	user, places, factors, err := s.checkPassword(ctx, email, password, c, "native password")
	if err != nil {
		return pam.Actor{}, err
	}
	e := s.entryOf(user, c, audit.LoginSucceeded, map[string]any{"method": "native password"})
	if user.MustChange {
		e = s.entryOf(user, c, audit.LoginFailed, map[string]any{"method": "native password", "password_must_change": true})
		if err := s.events.Append(ctx, e.Org, e); err != nil {
			return pam.Actor{}, err
		}
		return pam.Actor{}, &pam.Error{Kind: pam.PasswordChangeNeeded, Op: "authenticate"}
	}
	a := s.native(user, c, "")
	if len(factors) > 0 {
		return pam.Actor{}, &FactorNeededError{Half{user: user, places: places, like: a, method: "native password", factors: factors}}
	}
	if demanded(user, places) {
		return pam.Actor{}, unenrolled()
	}
	a.StepUpAt = s.clock.Now()
	return a, s.events.Append(ctx, e.Org, e)
}

// unenrolled refuses a native login of somebody who has to enrol a factor.
func unenrolled() error {
	return pam.Errorf(pam.EnrolmentNeeded, "authenticate", "A second factor must be enrolled first: sign in to the console.")
}

// checkPassword does the same work whatever the outcome. It returns the kinds
// of second factors that the person has. Failures are not forgotten before
// these are shown: who knows the password alone has not come in.
func (s *Service) checkPassword(ctx context.Context, email string, password secret.Value, c Client, method string) (User, []Place, []FactorKind, error) {
	// What cannot be an address is nobody's, and looked up all the same.
	email, _ = naming.Email(email)
	user, err := s.store.UserByEmail(ctx, email)
	if err != nil && !pam.Is(err, pam.NotFound) {
		return User{}, nil, nil, err
	}
	known := err == nil
	places, err := s.store.PlacesOf(ctx, user.ID)
	if err != nil {
		return User{}, nil, nil, err
	}
	factors, recovery, err := s.store.FactorsOf(ctx, user.ID)
	if err != nil {
		return User{}, nil, nil, err
	}
	right, stale, err := s.passwords.Verify(ctx, user.PasswordHash, password)
	if err != nil {
		return User{}, nil, nil, err
	}
	locked := s.lockout.locked(email, c.From)
	if !known || !right || locked || !admitted(user, places) {
		if !locked {
			s.lockout.failed(email, c.From)
		}
		return User{}, nil, nil, s.failedLogin(ctx, user, known, c, method)
	}
	has := kinds(factors, recovery)
	if len(has) == 0 {
		s.lockout.succeeded(email, c.From)
	}
	if stale {
		s.rehash(ctx, user, password)
	}
	return user, places, has, nil
}

// admitted says whether a user has any place where they may be, or may come to
// be by accepting an invitation. An administrator of the instance needs none.
func admitted(u User, places []Place) bool {
	return u.InstanceAdmin || slices.ContainsFunc(places, func(p Place) bool { return p.Active || p.Invited })
}

func (s *Service) rehash(ctx context.Context, user User, password secret.Value) {
	leave, err := s.passwords.enter(ctx)
	if err != nil {
		return // next time
	}
	defer leave()
	h, err := s.passwords.hash(password.Expose())
	if err == nil {
		err = s.store.Rehash(ctx, user.ID, user.PasswordHash, h)
	}
	if err != nil {
		s.log.Warn("password not hashed anew", "error", err)
	}
}

// failedLogin writes the event and gives the one refusal.
func (s *Service) failedLogin(ctx context.Context, user User, known bool, c Client, method string) error {
	refusal := &pam.Error{Kind: pam.AuthFailed, Op: "authenticate"}
	if !s.failures.take(source(c.From), s.clock.Now()) {
		return refusal // counted, and written once a minute
	}
	var e audit.Entry
	if known {
		e = s.entryOf(user, c, audit.LoginFailed, map[string]any{"method": method})
	} else {
		// The e-mail of nobody may be a password typed into the wrong field.
		e = s.scribe.Entry(pam.Actor{Token: pam.SystemToken, From: c.From, RequestID: c.RequestID}, audit.LoginFailed, audit.Party{}, map[string]any{"method": method, "unknown_user": true})
	}
	if err := s.events.Append(ctx, e.Org, e); err != nil {
		return err
	}
	return refusal
}

// entryOf is an event about a user, in the log of their home organization.
func (s *Service) entryOf(u User, c Client, t audit.Type, metadata map[string]any) audit.Entry {
	return s.scribe.Entry(pam.Actor{User: u.ID, Email: u.Email, Org: u.HomeOrg, From: c.From, RequestID: c.RequestID}, t, userParty(u), metadata)
}

func userParty(u User) audit.Party {
	return audit.Party{Type: "user", ID: string(u.ID), Name: u.Email}
}

func (s *Service) native(u User, c Client, key pam.KeyID) pam.Actor {
	return pam.Actor{User: u.ID, Email: u.Email, Name: u.Name, HomeOrg: u.HomeOrg, InstanceAdmin: u.InstanceAdmin, Token: pam.NativeLogin, TokenID: string(key), From: c.From, RequestID: c.RequestID}
}

// ActorFor makes like act in org. It is an OrgDenied where the user is no
// active member.
func (s *Service) ActorFor(ctx context.Context, like pam.Actor, org pam.OrgID) (pam.Actor, error) {
	places, err := s.store.PlacesOf(ctx, like.User)
	if err != nil {
		return pam.Actor{}, err
	}
	return enter(like, places, org)
}

// enter puts an actor into one of their organizations.
func enter(a pam.Actor, places []Place, org pam.OrgID) (pam.Actor, error) {
	for _, p := range places {
		if p.Org == org && p.Active && (a.Only == "" || a.Only == org) {
			if err := cmp.Or(vouched(a, p), wantsFactor(a, p)); err != nil {
				return pam.Actor{}, err
			}
			a.Org, a.Role, a.Groups, a.AdminsSeeAll, a.DualControl = org, p.Role, p.Groups, p.AdminsSeeAll, p.DualControl
			return a, nil
		}
	}
	return pam.Actor{}, &pam.Error{Kind: pam.OrgDenied, Op: "enter organization"}
}

func cut(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

func addrText(c Client) string {
	if !c.From.IsValid() {
		return ""
	}
	return c.From.Unmap().String()
}
