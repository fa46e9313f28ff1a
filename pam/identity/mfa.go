package identity

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// Challenge is a sign-in whose password was right and that waits for a factor.
type Challenge struct {
	TokenHash [32]byte
	User      pam.UserID
	Purpose   Purpose // of the login that it becomes
	Method    string
	CreatedAt time.Time
	ExpiresAt time.Time
}

const (
	challengeTTL = 5 * time.Minute
	// MaxWrongCodes is after how many a challenge is void. How many are tried
	// in all is bounded by the lockout of the account.
	MaxWrongCodes = 5
	challenges    = 20 // of one person at a time
	enrolmentTTL  = 10 * time.Minute
)

// MFARequiredError is the refusal of a login whose password was right, of
// somebody who has a second factor: kind MFANeeded, with a token for that.
type MFARequiredError struct {
	Token     secret.Value
	ExpiresIn time.Duration
	Factors   []FactorKind
	Passkey   json.RawMessage // the options of WebAuthn; nil without a passkey
}

func (e *MFARequiredError) Error() string { return "login: a second factor must be shown" }

// Unwrap gives the refusal its kind.
func (e *MFARequiredError) Unwrap() error { return &pam.Error{Kind: pam.MFANeeded, Op: "login"} }

// EnrolmentError is the refusal of a login of somebody who has to enrol a
// second factor first: kind EnrolmentNeeded, with a token for that alone.
type EnrolmentError struct{ Result LoginResult }

func (e *EnrolmentError) Error() string { return "login: a second factor must be enrolled first" }

// Unwrap gives the refusal its kind.
func (e *EnrolmentError) Unwrap() error { return &pam.Error{Kind: pam.EnrolmentNeeded, Op: "login"} }

// demanded says whether somebody cannot sign in without a second factor: their
// home organization wants one, or every place where they may be does. What a
// single other organization wants is asked at its own door.
func demanded(u User, places []Place) bool {
	all, some := true, false
	for _, p := range places {
		if !p.Active {
			continue
		}
		if p.Org == u.HomeOrg && p.MFARequired {
			return true
		}
		some, all = true, all && p.MFARequired
	}
	return some && all
}

// wantsFactor refuses an actor whose login was made without a second factor
// where the organization wants one. What a token may do was decided when it
// was made, by somebody who had to show theirs.
func wantsFactor(a pam.Actor, p Place) error {
	if !p.MFARequired || a.SecondFactor || a.Token == pam.PersonalToken {
		return nil
	}
	return pam.Errorf(pam.StepUpNeeded, "enter organization", "This organization asks for a second factor: authenticate again with one.")
}

// kinds are what somebody with these factors may show.
func kinds(all []Factor, recovery int) []FactorKind {
	var out []FactorKind
	if slices.ContainsFunc(all, func(f Factor) bool { return f.Kind == TOTP && !f.ConfirmedAt.IsZero() }) {
		out = append(out, TOTP)
	}
	if len(keysOf(all)) > 0 {
		out = append(out, WebAuthn)
	}
	if len(out) > 0 && recovery > 0 {
		out = append(out, RecoveryCode)
	}
	return out
}

// challenge asks for a second factor.
func (s *Service) challenge(ctx context.Context, u User, c Client, purpose Purpose, method string, factors []FactorKind) error {
	all, _, err := s.store.FactorsOf(ctx, u.ID)
	if err != nil {
		return pam.Wrap("ask for second factor", err)
	}
	token, hash, err := newToken(challengePrefix, s.rand)
	if err != nil {
		return pam.Wrap("ask for second factor", err)
	}
	now := s.clock.Now()
	ch := Challenge{TokenHash: hash, User: u.ID, Purpose: purpose, Method: method, CreatedAt: now, ExpiresAt: now.Add(challengeTTL)}
	e := s.entryOf(u, c, audit.MFAChallengeTriggered, map[string]any{"method": method})
	if err := s.store.CreateChallenge(ctx, ch, challenges, e); err != nil {
		return pam.Wrap("ask for second factor", err)
	}
	return &MFARequiredError{Token: token, ExpiresIn: challengeTTL, Factors: factors, Passkey: s.passkeyOptions(token, all)}
}

// LoginByFactor ends a sign-in that waits for a factor. Every failure is the
// same AuthFailed. console says by which way the login is to be carried: it
// must be the one for which the sign-in was begun.
func (s *Service) LoginByFactor(ctx context.Context, token string, kind FactorKind, code string, console bool, c Client) (LoginResult, error) {
	refusal := &pam.Error{Kind: pam.AuthFailed, Op: "show second factor"}
	hash, ok := parseToken(token, challengePrefix)
	if !ok {
		return LoginResult{}, refusal
	}
	ch, err := s.store.ChallengeByToken(ctx, hash, s.clock.Now())
	if pam.Is(err, pam.NotFound) || err == nil && (ch.Purpose == Console) != console {
		return LoginResult{}, refusal
	}
	if err != nil {
		return LoginResult{}, err
	}
	u, err := s.store.UserByID(ctx, ch.User)
	if err != nil {
		return LoginResult{}, err
	}
	places, err := s.store.PlacesOf(ctx, ch.User)
	if err != nil {
		return LoginResult{}, err
	}
	use, err := s.showFactor(ctx, u, places, kind, shown{code, token}, c, &hash)
	if err != nil {
		return LoginResult{}, err
	}
	r, err := s.finish(ctx, u, places, c, ch.Purpose, ch.Method, &factorProof{use, &hash})
	if pam.Is(err, pam.Conflict) { // the code or the challenge has served meanwhile
		err = refusal
	}
	return r, err
}

// showFactor checks what is shown like a password: what fails counts against the
// account at this source, and against the challenge.
func (s *Service) showFactor(ctx context.Context, u User, places []Place, kind FactorKind, sh shown, c Client, challenge *[32]byte) (FactorUse, error) {
	use, ok, err := s.prove(ctx, u, kind, sh)
	if err != nil {
		return use, err
	}
	if locked := s.lockout.locked(u.Email, c.From); !ok || locked || !admitted(u, places) {
		if !locked {
			s.lockout.failed(u.Email, c.From)
		}
		if challenge != nil {
			if err := s.store.FailChallenge(ctx, *challenge, MaxWrongCodes); err != nil {
				return use, err
			}
		}
		if s.failures.take(source(c.From), s.clock.Now()) {
			e := s.entryOf(u, c, audit.MFAVerificationFailed, map[string]any{"factor": string(kind)})
			if err := s.events.Append(ctx, e.Org, e); err != nil {
				return use, err
			}
		}
		return use, &pam.Error{Kind: pam.AuthFailed, Op: "show second factor"}
	}
	s.lockout.succeeded(u.Email, c.From)
	return use, nil
}

// factorProof is a factor that was shown for a sign-in.
type factorProof struct {
	use       FactorUse
	challenge *[32]byte // that it ends; nil without one
}

// StepUpByFactor authenticates the actor anew with a factor. From then on their
// login counts as one with a second factor. token is that of PasskeyStepUp,
// where it is a passkey.
func (s *Service) StepUpByFactor(ctx context.Context, a pam.Actor, kind FactorKind, code, token string, c Client) (time.Time, error) {
	const op = "step up"
	if err := selfOnly(a, op); err != nil {
		return time.Time{}, err
	}
	if err := everywhere(a, op); err != nil {
		return time.Time{}, err
	}
	u, err := s.store.UserByID(ctx, a.User)
	if err != nil {
		return time.Time{}, err
	}
	places, err := s.store.PlacesOf(ctx, a.User)
	if err != nil {
		return time.Time{}, err
	}
	sh := shown{code: code}
	var ceremony *[32]byte
	if kind == WebAuthn {
		hash, ok, err := s.answered(ctx, token, a.User, pam.LoginID(a.TokenID))
		if err != nil {
			return time.Time{}, err
		}
		if ok {
			sh.token, ceremony = token, &hash
		}
	}
	use, err := s.showFactor(ctx, u, places, kind, sh, c, nil)
	if err != nil {
		return time.Time{}, err
	}
	use.Ceremony = ceremony
	e := s.event(a, audit.StepUpSucceeded, selfParty(a), map[string]any{"factor": string(kind)})
	if err := s.store.StepUpByFactor(ctx, use, pam.LoginID(a.TokenID), e); err != nil {
		if pam.Is(err, pam.Conflict) {
			err = &pam.Error{Kind: pam.AuthFailed, Op: op}
		}
		return time.Time{}, err
	}
	return use.At.Add(pam.StepUpLifetime), nil
}

// Half is somebody who has shown their password or key by a native protocol,
// and is asked for a second factor.
type Half struct {
	user    User
	places  []Place
	like    pam.Actor // without the factor
	method  string
	factors []FactorKind
}

// FactorNeededError is the refusal of a native login that lacks a second
// factor, which its person has.
type FactorNeededError struct{ Half Half }

func (e *FactorNeededError) Error() string { return "authenticate: a second factor must be shown" }

// Unwrap gives the refusal its kind.
func (e *FactorNeededError) Unwrap() error {
	return &pam.Error{Kind: pam.MFANeeded, Op: "authenticate"}
}

// AuthenticateFactor ends a native login with a code of an app, or one on
// paper.
func (s *Service) AuthenticateFactor(ctx context.Context, h Half, code string, c Client) (pam.Actor, error) {
	kind := TOTP
	if len(code) > 8 {
		kind = RecoveryCode
	}
	use, err := s.showFactor(ctx, h.user, h.places, kind, shown{code: code}, c, nil)
	if err != nil {
		return pam.Actor{}, err
	}
	e := s.entryOf(h.user, c, audit.LoginSucceeded, map[string]any{"method": h.method, "factor": string(kind)})
	if err := s.store.UseFactor(ctx, use, e); err != nil {
		if pam.Is(err, pam.Conflict) {
			err = &pam.Error{Kind: pam.AuthFailed, Op: "authenticate"}
		}
		return pam.Actor{}, err
	}
	a := h.like
	a.SecondFactor, a.StepUpAt = true, use.At
	return a, nil
}
