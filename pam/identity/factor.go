package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"io"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/passkey"
	"vaultpam/internal/secret"
	"vaultpam/internal/totp"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// A second factor is what somebody has beside the password that they know: an
// authenticator app, a passkey, and for the day on which that is lost ten
// codes on paper.

// FactorKind is a kind of second factor, as the contract calls it.
type FactorKind string

// The kinds.
const (
	TOTP         FactorKind = "totp"
	RecoveryCode FactorKind = "recovery_code"
)

// Factor is a second factor of a person.
type Factor struct {
	ID          pam.FactorID
	User        pam.UserID
	Kind        FactorKind
	Label       string
	Sealed      []byte       // of a TOTP; of a passkey that is not confirmed, its challenge
	LastStep    int64        // of a TOTP: of the code that has served last
	Key         *passkey.Key // of a passkey that is confirmed
	ConfirmedAt time.Time    // zero: it proves nothing yet
	CreatedAt   time.Time
	LastUsedAt  time.Time
}

// FactorUse is a proof that is good once: a code of a factor, or one on paper.
type FactorUse struct {
	User     pam.UserID
	Factor   pam.FactorID // of a TOTP or passkey
	Step     int64
	Key      *passkey.Key // with the count that it has now
	Ceremony *[32]byte    // that the answer of a passkey ends, if it is not a sign-in by password
	Recovery [32]byte     // the hash of a code on paper
	At       time.Time
}

// Kind is what the proof was made with.
func (u FactorUse) Kind() FactorKind {
	switch {
	case u.Factor == "":
		return RecoveryCode
	case u.Key != nil:
		return WebAuthn
	}
	return TOTP
}

// TOTPPurpose binds the secrets of authenticator apps.
const TOTPPurpose = "identity.totp"

const (
	maxFactors    = 10
	recoveryCodes = 10
	issuer        = "VaultPAM"
)

func factorBinding(u User, id pam.FactorID) pam.Binding {
	return pam.Binding{Org: u.HomeOrg, Purpose: TOTPPurpose, Object: string(id), Version: 1}
}

// factorsOnly refuses those who may not touch the factors of their account.
func (s *Service) factorsOnly(a pam.Actor, op string) error {
	return cmp.Or(s.risky(a, op), everywhere(a, op))
}

// Factors lists the actor's second factors that are confirmed, and says how
// many codes on paper are left.
func (s *Service) Factors(ctx context.Context, a pam.Actor) ([]Factor, int, error) {
	const op = "list second factors"
	if err := selfOnly(a, op); err != nil {
		return nil, 0, err
	}
	all, left, err := s.store.FactorsOf(ctx, a.User)
	return slices.DeleteFunc(all, func(f Factor) bool { return f.ConfirmedAt.IsZero() }), left, pam.Wrap(op, err)
}

// AddTOTP makes a secret for an authenticator app. It counts once a code of it
// was shown to ConfirmTOTP; until then another call replaces it. The caller
// wipes the secret.
func (s *Service) AddTOTP(ctx context.Context, a pam.Actor, label string) (Factor, secret.Value, error) {
	const op = "add second factor"
	if err := s.factorsOnly(a, op); err != nil {
		return Factor{}, secret.Value{}, err
	}
	label = cmp.Or(strings.TrimSpace(label), "Authenticator app")
	if problem := nameProblem(label); problem != "" {
		return Factor{}, secret.Value{}, badField(op, "label", problem)
	}
	u, err := s.store.UserByID(ctx, a.User)
	if err != nil {
		return Factor{}, secret.Value{}, pam.Wrap(op, err)
	}
	raw := make([]byte, totp.SecretSize)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return Factor{}, secret.Value{}, pam.Wrap(op, err)
	}
	f := Factor{ID: pam.FactorID(s.ids.New(pam.PrefixFactor)), User: a.User, Kind: TOTP, Label: label, CreatedAt: s.clock.Now()}
	if f.Sealed, err = s.sealer.Seal(ctx, factorBinding(u, f.ID), raw); err != nil {
		return Factor{}, secret.Value{}, pam.Wrap(op, err)
	}
	return f, secret.New(raw), pam.Wrap(op, s.store.AddFactor(ctx, f, maxFactors))
}

// TOTPURL is what an authenticator app reads from a QR code.
func TOTPURL(email string, raw secret.Value) string { return totp.URL(issuer, email, raw.Expose()) }

// TOTPText is the secret as people type it.
func TOTPText(raw secret.Value) string { return totp.Text(raw.Expose()) }

// ConfirmTOTP makes the secret that was added last count, once a code of it
// shows that the app has it. The actor's other logins end: they were made
// without it. The first factor comes with codes on paper, shown this once.
func (s *Service) ConfirmTOTP(ctx context.Context, a pam.Actor, bearer, code string, c Client) ([]string, error) {
	const op = "confirm second factor"
	if err := s.factorsOnly(a, op); err != nil {
		return nil, err
	}
	h, err := s.holder(ctx, bearer)
	if err != nil {
		return nil, err
	}
	all, left, err := s.store.FactorsOf(ctx, a.User)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	i := slices.IndexFunc(all, func(f Factor) bool { return f.Kind == TOTP && f.ConfirmedAt.IsZero() })
	if i < 0 {
		return nil, pam.Errorf(pam.Conflict, op, "There is nothing to confirm: add an authenticator app first.")
	}
	u := h.User
	step, ok, err := s.step(ctx, u, all[i], code)
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	if locked := s.lockout.locked(u.Email, c.From); !ok || locked {
		if !locked {
			s.lockout.failed(u.Email, c.From)
		}
		return nil, badField(op, "code", "is not the present code of this app")
	}
	var codes []string
	var hashes [][32]byte
	if left == 0 {
		if codes, hashes, err = s.newRecoveryCodes(); err != nil {
			return nil, pam.Wrap(op, err)
		}
	}
	now := s.clock.Now()
	entries := []audit.Entry{
		s.event(a, audit.MFAFactorAdded, selfParty(a), map[string]any{"factor": string(TOTP), "factor_id": string(all[i].ID), "label": all[i].Label}),
		s.event(a, audit.MFASessionsInvalidated, selfParty(a), map[string]any{"reason": "a second factor was added"}),
	}
	use := FactorUse{User: a.User, Factor: all[i].ID, Step: step, At: now}
	keep := h.Login.Purpose != MFAEnrolment // it has done what it was for
	return codes, pam.Wrap(op, s.store.ConfirmFactor(ctx, use, pam.LoginID(a.TokenID), keep, hashes, entries...))
}

// NewRecoveryCodes replaces the codes on paper.
func (s *Service) NewRecoveryCodes(ctx context.Context, a pam.Actor) ([]string, error) {
	const op = "make recovery codes"
	if err := s.factorsOnly(a, op); err != nil {
		return nil, err
	}
	all, _, err := s.Factors(ctx, a)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, pam.Errorf(pam.Conflict, op, "There is no second factor to recover from.")
	}
	codes, hashes, err := s.newRecoveryCodes()
	if err != nil {
		return nil, pam.Wrap(op, err)
	}
	return codes, pam.Wrap(op, s.store.SetRecoveryCodes(ctx, a.User, hashes, s.event(a, audit.MFARecoveryCodesCreated, selfParty(a), nil)))
}

// RemoveFactor removes one of the actor's factors, and with the last one the
// codes on paper. Their other logins end.
func (s *Service) RemoveFactor(ctx context.Context, a pam.Actor, id pam.FactorID) error {
	const op = "remove second factor"
	if err := s.factorsOnly(a, op); err != nil {
		return err
	}
	return pam.Wrap(op, s.store.RemoveFactor(ctx, a.User, id, pam.LoginID(a.TokenID),
		s.event(a, audit.MFAFactorRemoved, selfParty(a), map[string]any{"factor_id": string(id)}),
		s.event(a, audit.MFASessionsInvalidated, selfParty(a), map[string]any{"reason": "a second factor was removed"})))
}

var recoveryLetters = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// newRecoveryCodes makes codes of 60 bits: nobody guesses one at a few tries a
// minute, so that a plain hash is enough.
func (s *Service) newRecoveryCodes() (codes []string, hashes [][32]byte, err error) {
	for range recoveryCodes {
		var raw [8]byte
		if _, err := io.ReadFull(s.rand, raw[:]); err != nil {
			return nil, nil, err
		}
		t := recoveryLetters.EncodeToString(raw[:])[:12]
		code := t[:4] + "-" + t[4:8] + "-" + t[8:]
		codes, hashes = append(codes, code), append(hashes, recoveryHash(code))
	}
	return codes, hashes, nil
}

// recoveryHash is what is kept of a code, however it was typed.
func recoveryHash(code string) [32]byte {
	return sha256.Sum256([]byte(strings.NewReplacer("-", "", " ", "").Replace(strings.ToLower(code))))
}

// step finds the step for which a code of a TOTP is right.
func (s *Service) step(ctx context.Context, u User, f Factor, code string) (int64, bool, error) {
	raw, err := s.sealer.Open(ctx, factorBinding(u, f.ID), f.Sealed)
	if err != nil {
		return 0, false, err
	}
	defer raw.Wipe()
	n, ok := totp.Verify(raw.Expose(), strings.ReplaceAll(code, " ", ""), s.clock.Now(), f.LastStep)
	return n, ok, nil
}

// shown is what somebody shows: a code, or the answer of a passkey to the
// challenge of a token.
type shown struct{ code, token string }

// prove says whether what is shown is a person's, and which. It is used up by
// whoever stores the outcome.
func (s *Service) prove(ctx context.Context, u User, kind FactorKind, sh shown) (FactorUse, bool, error) {
	if kind == WebAuthn {
		return s.provePasskey(ctx, u, sh)
	}
	use, code := FactorUse{User: u.ID, At: s.clock.Now()}, sh.code
	if len(code) > 64 {
		return use, false, nil
	}
	switch kind {
	case RecoveryCode:
		use.Recovery = recoveryHash(code)
		there, err := s.store.HasRecoveryCode(ctx, u.ID, use.Recovery)
		return use, there, err
	case TOTP:
		all, _, err := s.store.FactorsOf(ctx, u.ID)
		if err != nil {
			return use, false, err
		}
		for _, f := range all {
			if f.Kind != TOTP || f.ConfirmedAt.IsZero() {
				continue
			}
			step, ok, err := s.step(ctx, u, f, code)
			if err != nil {
				return use, false, err
			}
			if ok {
				use.Factor, use.Step = f.ID, step
				return use, true, nil
			}
		}
	}
	return use, false, nil
}
