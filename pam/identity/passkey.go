package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/passkey"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// A passkey is a second factor that is a first one as well: the browser makes
// sure that its person is there (by PIN, finger or face), so that nobody has
// to type a password.

// WebAuthn is the kind of passkeys and security keys.
const WebAuthn FactorKind = "webauthn"

// PasskeyChallenge is what was asked of a browser and not answered yet.
type PasskeyChallenge struct {
	TokenHash [32]byte
	User      pam.UserID  // "" to sign in
	Login     pam.LoginID // that is to be authenticated anew
	CreatedAt time.Time
	ExpiresAt time.Time
}

// maxPasskeyChallenges bounds those that wait at a time: anybody may begin to
// sign in.
const maxPasskeyChallenges = 100_000

// PasskeyAsk is what a browser is asked: the options of WebAuthn as JSON, and
// the token to answer with. The caller wipes that.
type PasskeyAsk struct {
	Token     secret.Value
	Options   json.RawMessage
	ExpiresIn time.Duration
}

// party is who asks for keys; Unavailable where browsers could have none.
func (s *Service) party(op string) (passkey.Party, error) {
	p := passkey.Party{}
	if s.origin != nil {
		p.Origin = s.origin()
	}
	if !p.Usable() {
		return p, pam.Errorf(pam.Unavailable, op, "Passkeys need the console to be reached by a name over https: the operator of this server has to set public-url.")
	}
	return p, nil
}

// passkeyUser is a person as their keys know them. The handle is their id, which
// says nothing of them.
func passkeyUser(u User) passkey.User {
	return passkey.User{Handle: []byte(u.ID), Name: u.Email}
}

// keysOf are the keys among factors.
func keysOf(all []Factor) []passkey.Key {
	var out []passkey.Key
	for _, f := range all {
		if f.Key != nil && !f.ConfirmedAt.IsZero() {
			out = append(out, *f.Key)
		}
	}
	return out
}

// AddPasskey begins to register a key, and returns what the browser is to be
// asked. It counts once FinishPasskey has had the answer; until then another
// call replaces it.
func (s *Service) AddPasskey(ctx context.Context, a pam.Actor, label string) (Factor, json.RawMessage, error) {
	const op = "add passkey"
	if err := s.factorsOnly(a, op); err != nil {
		return Factor{}, nil, err
	}
	party, err := s.party(op)
	if err != nil {
		return Factor{}, nil, err
	}
	label = cmp.Or(strings.TrimSpace(label), "Passkey")
	if problem := nameProblem(label); problem != "" {
		return Factor{}, nil, badField(op, "label", problem)
	}
	u, err := s.store.UserByID(ctx, a.User)
	if err != nil {
		return Factor{}, nil, pam.Wrap(op, err)
	}
	all, _, err := s.store.FactorsOf(ctx, a.User)
	if err != nil {
		return Factor{}, nil, pam.Wrap(op, err)
	}
	challenge := make([]byte, 32)
	if _, err := io.ReadFull(s.rand, challenge); err != nil {
		return Factor{}, nil, pam.Wrap(op, err)
	}
	f := Factor{ID: pam.FactorID(s.ids.New(pam.PrefixFactor)), User: a.User, Kind: WebAuthn, Label: label, Sealed: challenge, CreatedAt: s.clock.Now()}
	if err := s.store.AddFactor(ctx, f, maxFactors); err != nil {
		return Factor{}, nil, pam.Wrap(op, err)
	}
	return f, party.CreationOptions(challenge, passkeyUser(u), keysOf(all)), nil
}

// FinishPasskey registers the key that was begun last, by what the browser has
// answered. As with an app, the actor's other logins end, and the first factor
// comes with codes on paper.
func (s *Service) FinishPasskey(ctx context.Context, a pam.Actor, bearer string, answer []byte) (Factor, []string, error) {
	const op = "register passkey"
	if err := s.factorsOnly(a, op); err != nil {
		return Factor{}, nil, err
	}
	party, err := s.party(op)
	if err != nil {
		return Factor{}, nil, err
	}
	h, err := s.holder(ctx, bearer)
	if err != nil {
		return Factor{}, nil, err
	}
	all, left, err := s.store.FactorsOf(ctx, a.User)
	if err != nil {
		return Factor{}, nil, pam.Wrap(op, err)
	}
	i := slices.IndexFunc(all, func(f Factor) bool { return f.Kind == WebAuthn && f.ConfirmedAt.IsZero() })
	if i < 0 || s.clock.Now().Sub(all[i].CreatedAt) > challengeTTL {
		return Factor{}, nil, pam.Errorf(pam.Conflict, op, "This took too long, or was begun anew elsewhere: begin again.")
	}
	key, err := party.Register(all[i].Sealed, passkeyUser(h.User), answer)
	if err != nil {
		return Factor{}, nil, badField(op, "credential", "is not what was asked for")
	}
	f := all[i]
	f.Key = &key
	return s.confirmPasskey(ctx, op, a, h, f, left)
}

func (s *Service) confirmPasskey(ctx context.Context, op string, a pam.Actor, h Holder, f Factor, left int) (Factor, []string, error) {
	var codes []string
	var hashes [][32]byte
	if left == 0 {
		var err error
		if codes, hashes, err = s.newRecoveryCodes(); err != nil {
			return Factor{}, nil, pam.Wrap(op, err)
		}
	}
	f.ConfirmedAt = s.clock.Now()
	entries := []audit.Entry{
		s.event(a, audit.MFAFactorAdded, selfParty(a), map[string]any{"factor": string(WebAuthn), "factor_id": string(f.ID), "label": f.Label, "syncable": f.Key.Syncable}),
		s.event(a, audit.MFASessionsInvalidated, selfParty(a), map[string]any{"reason": "a second factor was added"}),
	}
	use := FactorUse{User: a.User, Factor: f.ID, Key: f.Key, At: f.ConfirmedAt}
	keep := h.Login.Purpose != MFAEnrolment // it has done what it was for
	if err := s.store.ConfirmFactor(ctx, use, pam.LoginID(a.TokenID), keep, hashes, entries...); err != nil {
		return Factor{}, nil, pam.Wrap(op, err)
	}
	return f, codes, nil
}

// RenameFactor changes the label of one of the actor's factors.
func (s *Service) RenameFactor(ctx context.Context, a pam.Actor, id pam.FactorID, label string) (Factor, error) {
	const op = "rename second factor"
	if err := s.factorsOnly(a, op); err != nil {
		return Factor{}, err
	}
	label = strings.TrimSpace(label)
	if problem := nameProblem(label); problem != "" {
		return Factor{}, badField(op, "label", problem)
	}
	all, _, err := s.Factors(ctx, a)
	if err != nil {
		return Factor{}, err
	}
	i := slices.IndexFunc(all, func(f Factor) bool { return f.ID == id })
	if i < 0 {
		return Factor{}, &pam.Error{Kind: pam.NotFound, Op: op}
	}
	all[i].Label = label
	e := s.event(a, audit.MFAFactorRenamed, selfParty(a), map[string]any{"factor_id": string(id), "label": label})
	return all[i], pam.Wrap(op, s.store.RenameFactor(ctx, a.User, id, label, e))
}

// ask begins a ceremony that is not a sign-in by password.
func (s *Service) ask(ctx context.Context, op string, user pam.UserID, login pam.LoginID, keys []passkey.Key) (PasskeyAsk, error) {
	party, err := s.party(op)
	if err != nil {
		return PasskeyAsk{}, err
	}
	token, hash, err := newToken(challengePrefix, s.rand)
	if err != nil {
		return PasskeyAsk{}, pam.Wrap(op, err)
	}
	now := s.clock.Now()
	c := PasskeyChallenge{TokenHash: hash, User: user, Login: login, CreatedAt: now, ExpiresAt: now.Add(challengeTTL)}
	if err := s.store.CreatePasskeyChallenge(ctx, c, maxPasskeyChallenges); err != nil {
		return PasskeyAsk{}, pam.Wrap(op, err)
	}
	options := party.RequestOptions(passkey.Challenge(string(token.Expose())), keys)
	return PasskeyAsk{Token: token, Options: options, ExpiresIn: challengeTTL}, nil
}

// PasskeySignIn begins a sign-in by a passkey alone. Nobody is known yet, and
// the browser shows whom it has keys of.
func (s *Service) PasskeySignIn(ctx context.Context) (PasskeyAsk, error) {
	return s.ask(ctx, "sign in by passkey", "", "", nil)
}

// PasskeyStepUp begins to authenticate the actor anew by a passkey of theirs.
func (s *Service) PasskeyStepUp(ctx context.Context, a pam.Actor) (PasskeyAsk, error) {
	const op = "step up"
	if err := cmp.Or(selfOnly(a, op), everywhere(a, op)); err != nil {
		return PasskeyAsk{}, err
	}
	all, _, err := s.store.FactorsOf(ctx, a.User)
	if err != nil {
		return PasskeyAsk{}, pam.Wrap(op, err)
	}
	keys := keysOf(all)
	if len(keys) == 0 {
		return PasskeyAsk{}, pam.Errorf(pam.Conflict, op, "There is no passkey.")
	}
	return s.ask(ctx, op, a.User, pam.LoginID(a.TokenID), keys)
}

// passkeyOptions are what goes with a sign-in whose password was right, of
// somebody with these factors; nil where they have no passkey.
func (s *Service) passkeyOptions(token secret.Value, all []Factor) json.RawMessage {
	keys := keysOf(all)
	party, err := s.party("")
	if len(keys) == 0 || err != nil {
		return nil
	}
	return party.RequestOptions(passkey.Challenge(string(token.Expose())), keys)
}

// answered finds the ceremony that an answer is for; ok is false where it is
// over, or another's.
func (s *Service) answered(ctx context.Context, token string, user pam.UserID, login pam.LoginID) (hash [32]byte, ok bool, err error) {
	if hash, ok = parseToken(token, challengePrefix); !ok {
		return hash, false, nil
	}
	c, err := s.store.PasskeyChallengeByToken(ctx, hash, s.clock.Now())
	if pam.Is(err, pam.NotFound) {
		return hash, false, nil
	}
	return hash, err == nil && c.User == user && c.Login == login, err
}

// LoginByPasskey ends a sign-in that PasskeySignIn began, with a login of the
// console. Every failure is the same AuthFailed.
func (s *Service) LoginByPasskey(ctx context.Context, token string, answer string, c Client) (LoginResult, error) {
	refusal := &pam.Error{Kind: pam.AuthFailed, Op: "sign in by passkey"}
	hash, ok, err := s.answered(ctx, token, "", "")
	if err != nil {
		return LoginResult{}, err
	}
	id, handle, problem := passkey.Named([]byte(answer))
	if !ok || problem != nil {
		return LoginResult{}, refusal
	}
	u, err := s.store.UserByPasskey(ctx, id)
	if pam.Is(err, pam.NotFound) || err == nil && string(handle) != string(u.ID) { // WebAuthn section 7.2, step 6
		return LoginResult{}, refusal
	}
	if err != nil {
		return LoginResult{}, err
	}
	places, err := s.store.PlacesOf(ctx, u.ID)
	if err != nil {
		return LoginResult{}, err
	}
	use, err := s.showFactor(ctx, u, places, WebAuthn, shown{answer, token}, c, nil)
	if err != nil {
		return LoginResult{}, err
	}
	use.Ceremony = &hash
	r, err := s.finish(ctx, u, places, c, Console, "passkey", &factorProof{use, nil})
	if pam.Is(err, pam.Conflict) { // it has served meanwhile
		err = refusal
	}
	return r, err
}

// provePasskey says whether an answer is one to the token's challenge by a key
// of the person.
func (s *Service) provePasskey(ctx context.Context, u User, sh shown) (FactorUse, bool, error) {
	use := FactorUse{User: u.ID, At: s.clock.Now()}
	party, err := s.party("")
	if err != nil || sh.token == "" {
		return use, false, nil
	}
	all, _, err := s.store.FactorsOf(ctx, u.ID)
	if err != nil {
		return use, false, err
	}
	id, count, err := party.Assert(passkey.Challenge(sh.token), passkeyUser(u), keysOf(all), []byte(sh.code))
	if errors.Is(err, passkey.ErrCloned) {
		s.log.Warn("the count of a passkey went back: it may have been copied", "user", u.ID)
	}
	if err != nil {
		return use, false, nil
	}
	i := slices.IndexFunc(all, func(f Factor) bool { return f.Key != nil && string(f.Key.ID) == string(id) })
	if i < 0 {
		return use, false, nil
	}
	key := *all[i].Key
	key.Count = count
	use.Factor, use.Key = all[i].ID, &key
	return use, true, nil
}
