// Package sealkms seals the root key with a key of the AWS Key Management
// Service.
//
// It owns the calls of that service and their signature. It must not know what
// it wraps, and keeps none of it. Start at [New].
package sealkms

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"vaultpam/internal/clock"
	"vaultpam/internal/secret"
	"vaultpam/vault"
	"vaultpam/vault/keyservice"
)

// Kind names this seal.
const Kind = "awskms"

// What Wrap returns: version, length and name of the key as the service knows
// it, then what the service has returned.
const wrapVersion = 1

// contextName stands in the service's own log beside each use.
const contextName = "vaultpam"

// Config says which key of which region.
type Config struct {
	KeyID       string // id, ARN or alias
	Region      string
	Endpoint    string // "" for the region's own
	CAFile      string
	Credentials func() (Credentials, error) // asked at each use
	Clock       clock.Clock
}

// Seal has the service wrap. It is safe for concurrent use.
type Seal struct {
	Config
	service *keyservice.Service
}

var _ vault.RootSeal = (*Seal)(nil)

// Why the service does not do what it is asked. What it says in words is left
// out: the log needs no more than the kind.
var (
	ErrConfig  = errors.New("awskms: a key (id, ARN or alias) and a region are needed")
	ErrAnswer  = errors.New("awskms: the answer cannot be read")
	ErrDamaged = errors.New("awskms: the wrapped root key is cut short or of an unknown version")
	ErrAltered = errors.New("awskms: the wrapped root key was altered, or was wrapped for something else")
)

var region = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// New makes a seal. It asks nothing yet.
func New(c Config) (*Seal, error) {
	if c.KeyID == "" || !region.MatchString(c.Region) || c.Credentials == nil {
		return nil, ErrConfig
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://kms." + c.Region + ".amazonaws.com"
		if strings.HasPrefix(c.Region, "cn-") {
			c.Endpoint += ".cn"
		}
	}
	service, err := keyservice.New(c.Endpoint, c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("awskms: %w", err)
	}
	return &Seal{Config: c, service: service}, nil
}

// Kind names this seal.
func (*Seal) Kind() string { return Kind }

type question struct {
	KeyID             string `json:"KeyId"`
	Plaintext         []byte `json:",omitempty"` // encoding/json writes base64
	CiphertextBlob    []byte `json:",omitempty"`
	EncryptionContext map[string]string
}

type answer struct {
	KeyID          string `json:"KeyId"`
	CiphertextBlob []byte
	Plaintext      json.RawMessage
	Type           string `json:"__type"` // of an error
}

func encryptionContext(ad []byte) map[string]string {
	return map[string]string{contextName: base64.StdEncoding.EncodeToString(ad)}
}

// Wrap has the service encrypt plaintext and bind ad to it.
func (s *Seal) Wrap(ctx context.Context, plaintext, ad []byte) ([]byte, error) {
	a, err := s.ask(ctx, "Encrypt", question{KeyID: s.KeyID, Plaintext: plaintext, EncryptionContext: encryptionContext(ad)})
	if err != nil {
		return nil, err
	}
	if len(a.CiphertextBlob) == 0 || a.KeyID == "" || len(a.KeyID) > 2048 {
		return nil, ErrAnswer
	}
	out := binary.BigEndian.AppendUint16([]byte{wrapVersion}, uint16(len(a.KeyID)))
	return append(append(out, a.KeyID...), a.CiphertextBlob...), nil
}

// Unwrap has the service decrypt what Wrap returned for the same ad, with the
// key that is configured and no other.
func (s *Seal) Unwrap(ctx context.Context, wrapped, ad []byte) (secret.Value, error) {
	if len(wrapped) < 3 || wrapped[0] != wrapVersion {
		return secret.Value{}, ErrDamaged
	}
	n := 3 + int(binary.BigEndian.Uint16(wrapped[1:]))
	if len(wrapped) <= n {
		return secret.Value{}, ErrDamaged
	}
	a, err := s.ask(ctx, "Decrypt", question{KeyID: s.KeyID, CiphertextBlob: wrapped[n:], EncryptionContext: encryptionContext(ad)})
	if errors.Is(err, vault.ErrWrongKey) {
		err = fmt.Errorf("awskms: the key %s is configured, but %q is needed: %w", s.KeyID, wrapped[3:n], vault.ErrWrongKey)
	}
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(a.Plaintext)
	if a.KeyID != string(wrapped[3:n]) {
		return secret.Value{}, ErrAnswer
	}
	text := bytes.Trim(a.Plaintext, `"`)
	plaintext := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	m, err := base64.StdEncoding.Decode(plaintext, text)
	if err != nil || m == 0 {
		clear(plaintext)
		return secret.Value{}, ErrAnswer
	}
	return secret.New(plaintext[:m]), nil
}

func (s *Seal) ask(ctx context.Context, action string, q question) (a answer, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	defer clear(body)
	status, text, err := s.service.Ask(ctx, "/", body, func(r *http.Request) error {
		c, err := s.Credentials()
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "TrentService."+action)
		sign(r, body, c, s.Region, "kms", s.Clock.Now())
		return nil
	})
	defer clear(text)
	if err != nil {
		return a, fmt.Errorf("awskms: %w", err)
	}
	readable := json.Unmarshal(text, &a) == nil // its error may quote the text
	if status == http.StatusOK {
		if !readable {
			err = ErrAnswer
		}
		return a, err
	}
	_, kind, ok := strings.Cut(a.Type, "#")
	if !ok {
		kind = a.Type
	}
	switch kind {
	case "IncorrectKeyException":
		return a, vault.ErrWrongKey
	case "InvalidCiphertextException":
		return a, ErrAltered
	}
	if !exception.MatchString(kind) {
		kind = "no reason that is known"
	}
	return a, fmt.Errorf("awskms: %s is refused with status %d: %s", action, status, kind)
}

// exception is what a name of an error looks like: nothing else is repeated.
var exception = regexp.MustCompile(`^[A-Za-z]{1,64}$`)
