// Package sealtransit seals the root key with the transit engine of an OpenBao
// or Vault server.
//
// It owns the words that are spoken with that server, and the life of the
// token. It must not know what it wraps, and keeps none of it. Start at [New].
package sealtransit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/vault"
	"vaultpam/vault/keyservice"
)

// Kind names this seal.
const Kind = "transit"

// What Wrap returns: version, length and name of the mount and key, then what
// the server has returned.
const wrapVersion = 1

// Config says which key of which server.
type Config struct {
	Address   string // https://…
	Mount     string // of the engine; "transit" by default
	Key       string
	Namespace string
	CAFile    string
	Token     secret.Value
	TokenFile string // read at each use: an agent beside us may renew it; wins over Token
}

// Seal has the server wrap. It is safe for concurrent use.
type Seal struct {
	Config
	service *keyservice.Service
}

var _ vault.RootSeal = (*Seal)(nil)

// Why the server does not do what it is asked. What it says in words is left
// out: it may quote what it was sent.
var (
	ErrConfig  = errors.New("transit: address, key and a token (or its file) are needed; mount and key are plain names")
	ErrToken   = errors.New("transit: the token is not accepted, has ended, or may not use the key")
	ErrNoKey   = errors.New("transit: there is no such key, mount or namespace")
	ErrRefused = errors.New("transit: the server refuses: the key cannot do this, or the wrapped root key was altered or is of another key")
	ErrSealed  = errors.New("transit: that server is itself sealed or not ready")
	ErrAnswer  = errors.New("transit: the answer cannot be read")
	ErrDamaged = errors.New("transit: the wrapped root key is cut short or of an unknown version")
)

// New makes a seal. It asks nothing yet.
func New(c Config) (*Seal, error) {
	if c.Mount == "" {
		c.Mount = "transit"
	}
	c.Mount = strings.Trim(c.Mount, "/")
	if c.Address == "" || !plain(c.Key) || strings.Contains(c.Key, "/") || !plain(c.Mount) || c.Token.Empty() && c.TokenFile == "" || len(c.Mount)+len(c.Key) > 254 {
		return nil, ErrConfig
	}
	service, err := keyservice.New(c.Address, c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("transit: %w", err)
	}
	return &Seal{Config: c, service: service}, nil
}

// plain says whether a name stands in a path as it is.
func plain(name string) bool {
	return name != "" && url.PathEscape(strings.ReplaceAll(name, "/", "")) == strings.ReplaceAll(name, "/", "") && !strings.Contains(name, "..")
}

// Kind names this seal.
func (*Seal) Kind() string { return Kind }

func (s *Seal) name() string { return s.Mount + "/" + s.Key }

type question struct {
	Plaintext  []byte `json:"plaintext,omitempty"` // encoding/json writes base64
	Ciphertext string `json:"ciphertext,omitempty"`
	// The first binds for keys of an AEAD, which others refuse; the second
	// derives the key, where it is one that is derived.
	Associated []byte `json:"associated_data"`
	Context    []byte `json:"context"`
}

type answer struct {
	Data struct {
		Plaintext  json.RawMessage `json:"plaintext"`
		Ciphertext string          `json:"ciphertext"`
	} `json:"data"`
	Auth struct {
		LeaseDuration int64 `json:"lease_duration"`
		Renewable     bool  `json:"renewable"`
	} `json:"auth"`
}

// Wrap has the server encrypt plaintext and bind ad to it.
func (s *Seal) Wrap(ctx context.Context, plaintext, ad []byte) ([]byte, error) {
	a, err := s.ask(ctx, "/v1/"+s.Mount+"/encrypt/"+s.Key, question{Plaintext: plaintext, Associated: ad, Context: ad})
	if err != nil {
		return nil, err
	}
	if a.Data.Ciphertext == "" {
		return nil, ErrAnswer
	}
	out := append([]byte{wrapVersion, byte(len(s.name()))}, s.name()...)
	return append(out, a.Data.Ciphertext...), nil
}

// Unwrap has the server decrypt what Wrap returned for the same ad.
func (s *Seal) Unwrap(ctx context.Context, wrapped, ad []byte) (secret.Value, error) {
	if len(wrapped) < 2 || wrapped[0] != wrapVersion || len(wrapped) <= 2+int(wrapped[1]) {
		return secret.Value{}, ErrDamaged
	}
	n := 2 + int(wrapped[1])
	name, ciphertext := wrapped[2:n], wrapped[n:]
	if string(name) != s.name() {
		return secret.Value{}, fmt.Errorf("transit: the key %s is configured, but %q is needed: %w", s.name(), name, vault.ErrWrongKey)
	}
	a, err := s.ask(ctx, "/v1/"+s.Mount+"/decrypt/"+s.Key, question{Ciphertext: string(ciphertext), Associated: ad, Context: ad})
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(a.Data.Plaintext)
	text := bytes.Trim(a.Data.Plaintext, `"`)
	plaintext := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err = base64.StdEncoding.Decode(plaintext, text)
	if err != nil || n == 0 {
		clear(plaintext)
		return secret.Value{}, ErrAnswer
	}
	return secret.New(plaintext[:n]), nil
}

func (s *Seal) ask(ctx context.Context, path string, q any) (a answer, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	defer clear(body)
	status, text, err := s.service.Ask(ctx, path, body, func(r *http.Request) error {
		token, err := s.token()
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Vault-Request", "true") // wanted by its agents, against forged requests
		r.Header.Set("X-Vault-Token", string(token.Expose()))
		if s.Namespace != "" {
			r.Header.Set("X-Vault-Namespace", s.Namespace)
		}
		return nil
	})
	defer clear(text)
	switch {
	case err != nil:
		return a, fmt.Errorf("transit: %w", err)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return a, ErrToken
	case status == http.StatusNotFound:
		return a, ErrNoKey
	case status == http.StatusBadRequest:
		return a, ErrRefused
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || status == 472 || status == 473:
		return a, ErrSealed
	case status != http.StatusOK:
		return a, fmt.Errorf("transit: the server answers with status %d", status)
	}
	if json.Unmarshal(text, &a) != nil { // its error may quote the text
		return a, ErrAnswer
	}
	return a, nil
}

func (s *Seal) token() (secret.Value, error) {
	if s.TokenFile == "" {
		return s.Token, nil
	}
	text, err := os.ReadFile(s.TokenFile)
	if err != nil {
		return secret.Value{}, fmt.Errorf("token file: %w", err)
	}
	text = bytes.TrimSpace(text)
	if bytes.ContainsAny(text, "\r\n\x00") || len(text) == 0 || len(text) > 8192 {
		return secret.Value{}, errors.New("the token file does not hold a token")
	}
	return secret.New(text), nil
}

// How often the token is renewed where its life is not known, at the least.
const (
	renewEvery  = time.Hour
	renewSoon   = time.Minute // after a failure
	renewAtMost = 24 * time.Hour
)

// Run renews the token until ctx ends: at half of its life, and every minute
// after a failure, which it tells. A token that cannot be renewed, or that is
// in a file, is somebody else's care.
func (s *Seal) Run(ctx context.Context, tell func(error)) {
	if s.TokenFile != "" {
		return
	}
	for {
		life, again, err := s.renew(ctx)
		wait := min(max(life/2, renewSoon), renewAtMost)
		switch {
		case err != nil && ctx.Err() == nil:
			tell(err)
			wait = renewSoon
		case err == nil && !again:
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// renew returns the life that the token has now.
func (s *Seal) renew(ctx context.Context) (life time.Duration, again bool, err error) {
	a, err := s.ask(ctx, "/v1/auth/token/renew-self", struct{}{})
	if errors.Is(err, ErrRefused) {
		return 0, false, nil // it is not renewable, which is no fault
	}
	if err != nil {
		return 0, true, fmt.Errorf("renew token: %w", err)
	}
	life = time.Duration(min(a.Auth.LeaseDuration, int64(365*24*time.Hour/time.Second))) * time.Second
	if life <= 0 {
		life = renewEvery
	}
	return life, a.Auth.Renewable, nil
}
