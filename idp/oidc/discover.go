package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"vaultpam/internal/outbound"
)

// party is what discovery found. It does not change.
type party struct {
	metadata
	ring  *keyring
	found time.Time
}

// turn is held by whoever asks a provider: one at a time.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) alone(ctx context.Context, ask func() error) error {
	select {
	case t <- struct{}{}:
		defer func() { <-t }()
		return ask()
	case <-ctx.Done():
		return refuse(ErrUnreachable, "it takes too long", ctx.Err())
	}
}

// slot is the place of an issuer in the cache. Its turn guards p.
type slot struct {
	turn turn
	p    *party // nil before it was found
}

// keyring is a provider's keys. Its turn guards keys and read.
type keyring struct {
	turn turn
	url  string
	keys []jose.JSONWebKey
	read time.Time // when they were
}

// metadata is what we need of a discovery document.
type metadata struct {
	AuthURL     string   `json:"authorization_endpoint"`
	TokenURL    string   `json:"token_endpoint"`
	KeysURL     string   `json:"jwks_uri"`
	Algorithms  []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	SaysIssuer  bool     `json:"authorization_response_iss_parameter_supported"`
}

// strong are the algorithms with which only the provider can sign. There is
// neither "none" among them nor one whose key both sides have.
var strong = []string{gooidc.RS256, gooidc.RS384, gooidc.RS512, gooidc.ES256, gooidc.ES384, gooidc.ES512, gooidc.PS256, gooidc.PS384, gooidc.PS512, gooidc.EdDSA}

// algorithms are those that the provider says it uses, as far as they are
// strong; without a word of it, RS256, which all must know.
func (m metadata) algorithms() []string {
	out := slices.DeleteFunc(slices.Clone(m.Algorithms), func(a string) bool { return !slices.Contains(strong, a) })
	if len(out) == 0 {
		return []string{gooidc.RS256}
	}
	return out
}

// cache keeps providers by issuer.
type cache struct {
	mu      sync.Mutex // guards entries
	entries map[string]*slot
}

func (c *cache) of(issuer string) *slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.entries[issuer]
	if p == nil {
		if len(c.entries) >= maxIssuers {
			clear(c.entries)
		}
		p = &slot{turn: newTurn()}
		c.entries[issuer] = p
	}
	return p
}

// provider returns what is known of an issuer, or finds it out.
func (c *Client) provider(ctx context.Context, issuer string) (p *party, err error) {
	at := c.known.of(issuer)
	err = at.turn.alone(ctx, func() error {
		if at.p == nil || c.clock.Now().Sub(at.p.found) >= keepKnown {
			found, err := c.discover(ctx, issuer)
			if err != nil {
				return err
			}
			if at.p != nil && at.p.KeysURL == found.KeysURL {
				found.ring = at.p.ring
			}
			at.p = found
		}
		p = at.p
		return nil
	})
	return p, err
}

// discover reads the discovery document (OpenID Connect Discovery 1.0).
func (c *Client) discover(ctx context.Context, issuer string) (*party, error) {
	if problem := c.rules.CheckURL(issuer); problem != "" {
		return nil, refuse(ErrUnreachable, "its address "+problem, nil)
	}
	found, err := gooidc.NewProvider(gooidc.ClientContext(ctx, c.http), issuer)
	if err != nil {
		if _, other := errors.AsType[*gooidc.IssuerMismatchError](err); other {
			return nil, refuse(ErrUnreachable, "its discovery document is that of another issuer", err)
		}
		return nil, unreachable("its discovery document", err)
	}
	var m metadata
	if err := found.Claims(&m); err != nil {
		return nil, refuse(ErrUnreachable, "its discovery document cannot be read", err)
	}
	// A person's browser is sent to the first: it must not be a script.
	for _, u := range []string{m.AuthURL, m.TokenURL, m.KeysURL} {
		if u != "" && c.rules.CheckURL(u) != "" {
			return nil, refuse(ErrUnreachable, "its discovery document names an address without https", nil)
		}
	}
	if m.KeysURL == "" {
		return nil, refuse(ErrUnreachable, "its discovery document names no keys", nil)
	}
	return &party{metadata: m, ring: &keyring{turn: newTurn(), url: m.KeysURL}, found: c.clock.Now()}, nil
}

func unreachable(what string, err error) error {
	switch {
	case errors.Is(err, outbound.ErrTooLarge):
		what += " is too large"
	case errors.Is(err, outbound.ErrAddress):
		what += " is at an address that this server may not ask"
	case errors.Is(err, outbound.ErrRedirect):
		what += " leads elsewhere"
	default:
		what += " cannot be read"
	}
	return refuse(ErrUnreachable, what, err)
}

// fetch reads the provider's public keys (RFC 7517). What we cannot use is left
// out.
func (c *Client) keys(ctx context.Context, at string) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, unreachable("its set of keys", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable("its set of keys", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, unreachable("its set of keys", err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &set) != nil {
		return nil, refuse(ErrUnreachable, "its set of keys cannot be read", nil)
	}
	if len(set.Keys) > maxKeys {
		return nil, refuse(ErrUnreachable, "it has too many keys", nil)
	}
	var out []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && usable(k) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil, refuse(ErrUnreachable, "it has no key that can be used", nil)
	}
	return out, nil
}

// usable says whether a key can check a signature: a public one, that was not
// meant for something else.
func usable(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSA && key.N.BitLen() <= 8192
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return k.Valid()
	}
	return false
}

// keySet checks signatures by the keys of a provider. It asks for keys again
// where a token names one that is not there, but not for every such token:
// anybody can make one.
type keySet struct {
	c       *Client
	p       *party
	refusal error // what was wrong, which go-oidc keeps the words of alone
}

// VerifySignature is go-oidc's KeySet.
func (s *keySet) VerifySignature(ctx context.Context, raw string) (payload []byte, err error) {
	defer func() { s.refusal = err }()
	var algorithms []jose.SignatureAlgorithm
	for _, a := range s.p.algorithms() {
		algorithms = append(algorithms, jose.SignatureAlgorithm(a))
	}
	jws, err := jose.ParseSigned(raw, algorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, refuse(ErrToken, "it is not signed as it should be", err)
	}
	keys, err := s.keys(ctx, false)
	if err != nil {
		return nil, err
	}
	if payload, ok := verified(jws, keys); ok {
		return payload, nil
	}
	if keys, err = s.keys(ctx, true); err != nil {
		return nil, err
	}
	if payload, ok := verified(jws, keys); ok {
		return payload, nil
	}
	return nil, refuse(ErrToken, "its signature is not the provider's", nil)
}

func verified(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	header := jws.Signatures[0].Header
	for _, k := range keys {
		if header.KeyID != "" && k.KeyID != "" && k.KeyID != header.KeyID || k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// keys are those that are known, or read anew: where they are old, or with
// again, unless they were read just now.
func (s *keySet) keys(ctx context.Context, again bool) (keys []jose.JSONWebKey, err error) {
	ring := s.p.ring
	err = ring.turn.alone(ctx, func() error {
		age := s.c.clock.Now().Sub(ring.read)
		if len(ring.keys) == 0 || age >= keepKeys || (again && age >= keysAgain) {
			found, err := s.c.keys(ctx, ring.url)
			if err != nil {
				return err
			}
			ring.keys, ring.read = found, s.c.clock.Now()
		}
		keys = ring.keys
		return nil
	})
	return keys, err
}
