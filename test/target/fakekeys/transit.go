// Package fakekeys has stand-ins for services that keep keys and that no test
// machine has: they follow the documented protocols, and say so by their names.
//
// It owns what of those protocols the product speaks. It must not know the
// product. Start at [NewTransit] and [NewKMS].
package fakekeys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// Transit is a fake of the transit engine of OpenBao and Vault, with one key
// of type aes256-gcm96 at transit/keys/vaultpam, for one token and namespace.
type Transit struct {
	Token, Namespace, Key string

	mu      sync.Mutex // guards all below
	Down    bool       // answers 503, as a sealed server does
	Life    int64      // seconds of the token
	Renewed int
	Seen    []string // paths
	aead    cipher.AEAD
}

// NewTransit makes a fake that accepts token.
func NewTransit(token string) *Transit {
	return &Transit{Token: token, Key: "vaultpam", Life: 3600, aead: newAEAD()}
}

func newAEAD() cipher.AEAD {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// Set changes the fake while it serves.
func (t *Transit) Set(f func(*Transit)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t)
}

// Renewals is how often the token was renewed.
func (t *Transit) Renewals() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Renewed
}

// ServeHTTP answers as the API is documented.
func (t *Transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Seen = append(t.Seen, r.URL.Path)
	fail := func(status int, errors ...string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": errors})
	}
	var in struct {
		Plaintext, Ciphertext string
		Associated            string `json:"associated_data"`
	}
	switch {
	case t.Down:
		fail(http.StatusServiceUnavailable, "Vault is sealed")
		return
	case r.Header.Get("X-Vault-Namespace") != t.Namespace:
		fail(http.StatusNotFound)
		return
	case r.Header.Get("X-Vault-Token") != t.Token:
		fail(http.StatusForbidden, "permission denied")
		return
	case r.Method != http.MethodPost && r.Method != http.MethodPut:
		fail(http.StatusMethodNotAllowed)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(http.StatusBadRequest, "error parsing JSON")
		return
	}
	answer := map[string]any{}
	ad, err := base64.StdEncoding.DecodeString(in.Associated)
	if err != nil {
		fail(http.StatusBadRequest, "failed to base64-decode associated_data")
		return
	}
	switch r.URL.Path {
	case "/v1/auth/token/renew-self":
		t.Renewed++
		answer["auth"] = map[string]any{"lease_duration": t.Life, "renewable": true}
	case "/v1/transit/encrypt/" + t.Key:
		plain, err := base64.StdEncoding.DecodeString(in.Plaintext)
		if err != nil {
			fail(http.StatusBadRequest, "failed to base64-decode plaintext")
			return
		}
		nonce := make([]byte, t.aead.NonceSize())
		_, _ = rand.Read(nonce)
		answer["data"] = map[string]any{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(t.aead.Seal(nonce, nonce, plain, ad)), "key_version": 1}
	case "/v1/transit/decrypt/" + t.Key:
		text, ok := strings.CutPrefix(in.Ciphertext, "vault:v1:")
		raw, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(raw) < t.aead.NonceSize() {
			fail(http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		plain, err := t.aead.Open(nil, raw[:t.aead.NonceSize()], raw[t.aead.NonceSize():], ad)
		if err != nil {
			fail(http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		answer["data"] = map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}
	default:
		fail(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}
