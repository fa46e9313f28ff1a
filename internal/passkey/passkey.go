// Package passkey is sign-in by public keys that browsers and security keys
// hold (WebAuthn Level 3, https://www.w3.org/TR/webauthn-3/).
//
// It owns what is asked of a browser, and whether its answer holds: made for
// this origin and this challenge, by a key that we know, with the person
// verified. It keeps nothing: whoever accepts an answer makes sure that the
// challenge serves once, and remembers the count. Start at [Party].
package passkey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Limits on what a browser sends, in bytes.
const (
	MaxRegistration = 16 << 10
	MaxAssertion    = 4 << 10
	maxID           = 1023 // WebAuthn section 4, credential ID
	maxPublicKey    = 2 << 10
)

// TimeoutSeconds is how long a browser waits for the person.
const TimeoutSeconds = 300

// What an answer may be refused with.
var (
	ErrInvalid = errors.New("passkey: the answer does not hold")
	// ErrCloned is an answer with a count that is not beyond the last one: two
	// devices may have the same key (WebAuthn section 7.2, step 22).
	ErrCloned = errors.New("passkey: the count of the key went back")
)

// Party is who asks for keys: the console at an origin, such as
// https://pam.example.com or http://localhost:8080.
type Party struct{ Origin string }

func (p Party) id() string {
	u, err := url.Parse(p.Origin)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Usable says whether browsers can have keys for the origin: it needs a name,
// and encryption unless it is this machine.
func (p Party) Usable() bool {
	u, err := url.Parse(p.Origin)
	if err != nil || u.Hostname() == "" {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err != nil && (u.Scheme == "https" || u.Hostname() == "localhost")
}

// Key is the public half of a passkey.
type Key struct {
	ID         []byte
	PublicKey  []byte // COSE_Key (RFC 9052 section 7)
	Count      uint32 // of its signatures, as it said last; 0 where it counts none
	Syncable   bool   // its owner's devices may share it (backup eligible)
	Transports []string
}

// User is whom a key is for.
type User struct {
	Handle []byte // opaque, at most 64 bytes; no name of any kind
	Name   string // shown when somebody has keys of several
}

// Challenge makes the challenge that belongs to a token: so it is as secret,
// as fresh and as unique, and nothing else has to be remembered.
func Challenge(token string) []byte {
	sum := sha256.Sum256([]byte("vaultpam passkey v1 " + token))
	return sum[:]
}

// algorithms in the order of our liking: EdDSA, ES256, RS256.
var algorithms = []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgEdDSA, webauthncose.AlgES256, webauthncose.AlgRS256}

type descriptor struct {
	Type       string   `json:"type"`
	ID         string   `json:"id"`
	Transports []string `json:"transports,omitempty"`
}

func descriptors(keys []Key) []descriptor {
	out := make([]descriptor, 0, len(keys))
	for _, k := range keys {
		out = append(out, descriptor{"public-key", encode(k.ID), k.Transports})
	}
	return out
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// CreationOptions are what a browser needs to make a key for u that is none of
// have (PublicKeyCredentialCreationOptionsJSON, WebAuthn section 5.1.8).
func (p Party) CreationOptions(challenge []byte, u User, have []Key) json.RawMessage {
	params := make([]map[string]any, 0, len(algorithms))
	for _, a := range algorithms {
		params = append(params, map[string]any{"type": "public-key", "alg": int(a)})
	}
	return asJSON(map[string]any{
		"challenge": encode(challenge), "rp": map[string]any{"id": p.id(), "name": "VaultPAM"},
		"user":             map[string]any{"id": encode(u.Handle), "name": u.Name, "displayName": u.Name},
		"pubKeyCredParams": params, "timeout": TimeoutSeconds * 1000, "excludeCredentials": descriptors(have), "attestation": "none",
		"authenticatorSelection": map[string]any{"residentKey": "preferred", "requireResidentKey": false, "userVerification": "required"},
	})
}

// RequestOptions are what a browser needs to answer with one of the keys, or
// with any that it has for us where there are none
// (PublicKeyCredentialRequestOptionsJSON).
func (p Party) RequestOptions(challenge []byte, keys []Key) json.RawMessage {
	return asJSON(map[string]any{
		"challenge": encode(challenge), "rpId": p.id(), "timeout": TimeoutSeconds * 1000, "userVerification": "required", "allowCredentials": descriptors(keys),
	})
}

func (p Party) library() (*webauthn.WebAuthn, error) {
	return webauthn.New(&webauthn.Config{RPID: p.id(), RPDisplayName: "VaultPAM", RPOrigins: []string{p.Origin}})
}

func (p Party) session(challenge []byte, handle []byte) webauthn.SessionData {
	s := webauthn.SessionData{
		Challenge: encode(challenge), RelyingPartyID: p.id(), Origin: p.Origin, UserID: handle, UserVerification: protocol.VerificationRequired,
	}
	for _, a := range algorithms {
		s.CredParams = append(s.CredParams, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	return s
}

// Register checks the answer to CreationOptions, a PublicKeyCredential as JSON,
// and returns the new key. Its errors are ErrInvalid.
func (p Party) Register(challenge []byte, u User, answer []byte) (Key, error) {
	lib, err := p.library()
	if err != nil || len(answer) > MaxRegistration {
		return Key{}, errors.Join(ErrInvalid, err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Key{}, errors.Join(ErrInvalid, err)
	}
	c, err := lib.CreateCredential(owner{u, nil}, p.session(challenge, u.Handle), parsed)
	if err != nil {
		return Key{}, errors.Join(ErrInvalid, err)
	}
	k := Key{ID: c.ID, PublicKey: c.PublicKey, Count: c.Authenticator.SignCount, Syncable: c.Flags.BackupEligible}
	for _, t := range c.Transport {
		switch t {
		case protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid, protocol.Internal:
			k.Transports = append(k.Transports, string(t))
		}
	}
	if len(k.ID) == 0 || len(k.ID) > maxID || len(k.PublicKey) > maxPublicKey {
		return Key{}, ErrInvalid
	}
	return k, nil
}

// Named is the key and the user that an answer says it is of. Nothing of it is
// proved. handle is nil where the browser does not say.
func Named(answer []byte) (id, handle []byte, err error) {
	parsed, err := parseAssertion(answer)
	if err != nil {
		return nil, nil, err
	}
	return parsed.RawID, parsed.Response.UserHandle, nil
}

func parseAssertion(answer []byte) (*protocol.ParsedCredentialAssertionData, error) {
	if len(answer) > MaxAssertion {
		return nil, ErrInvalid
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, errors.Join(ErrInvalid, err)
	}
	return parsed, nil
}

// Assert checks the answer to RequestOptions by somebody with these keys, and
// returns the id of the one that it is made with and its new count. It is
// ErrInvalid, or ErrCloned.
func (p Party) Assert(challenge []byte, u User, keys []Key, answer []byte) (id []byte, count uint32, err error) {
	lib, err := p.library()
	if err != nil {
		return nil, 0, errors.Join(ErrInvalid, err)
	}
	parsed, err := parseAssertion(answer)
	if err != nil {
		return nil, 0, err
	}
	c, err := lib.ValidateLogin(owner{u, keys}, p.session(challenge, u.Handle), parsed)
	if err != nil {
		return nil, 0, errors.Join(ErrInvalid, err)
	}
	if c.Authenticator.CloneWarning {
		return nil, 0, ErrCloned
	}
	return c.ID, c.Authenticator.SignCount, nil
}

func asJSON(options map[string]any) json.RawMessage {
	text, err := json.Marshal(options)
	if err != nil {
		panic("passkey: options: " + err.Error()) // they are strings and numbers
	}
	return text
}

// owner is a User as the library wants one.
type owner struct {
	u    User
	keys []Key
}

func (o owner) WebAuthnID() []byte          { return o.u.Handle }
func (o owner) WebAuthnName() string        { return o.u.Name }
func (o owner) WebAuthnDisplayName() string { return o.u.Name }

func (o owner) WebAuthnCredentials() []webauthn.Credential {
	out := make([]webauthn.Credential, 0, len(o.keys))
	for _, k := range o.keys {
		out = append(out, webauthn.Credential{
			ID: k.ID, PublicKey: k.PublicKey, Flags: webauthn.CredentialFlags{UserPresent: true, UserVerified: true, BackupEligible: k.Syncable},
			Authenticator: webauthn.Authenticator{SignCount: k.Count},
		})
	}
	return out
}
