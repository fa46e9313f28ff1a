package bench

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	v1 "vaultpam/api/v1"
)

// bareReveal is the ceiling of a reveal: a look-up of the token's hash, AES-GCM
// and one JSON audit line, made durable together with those of others. It has
// no rule, no storage and no tree.
type bareReveal struct {
	tokens map[[32]byte]string // hash of a token: its user
	aead   cipher.AEAD
	sealed map[string][]byte // by Safe: nonce and ciphertext
	answer v1.Checkout
	log    *groupLog
}

func newBareReveal(data bareData) (*bareReveal, error) {
	b := &bareReveal{tokens: map[[32]byte]string{sha256.Sum256([]byte(data.Token)): "usr_bare"}, sealed: map[string][]byte{}, answer: data.Answer}
	if data.Log == "" {
		return b, nil // only the reads are asked for
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if b.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, err
	}
	b.sealed[data.Answer.SafeID] = b.aead.Seal(nil, nil, []byte(data.Answer.Value), []byte(data.Answer.SafeID))
	b.log, err = newGroupLog(data.Log)
	return b, err
}

func (b *bareReveal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, ok := b.tokens[sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))]
	var in v1.CheckoutIn
	if !ok || json.NewDecoder(r.Body).Decode(&in) != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	clear, err := b.aead.Open(nil, nil, b.sealed[in.SafeID], []byte(in.SafeID))
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	line, _ := json.Marshal(map[string]any{
		"time": time.Now(), "type": "CREDENTIAL_CHECKED_OUT", "actor": user, "target": in.SafeID, "source_ip": r.RemoteAddr, "reason": in.Reason,
	})
	if b.log.append(append(line, '\n')) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	out := b.answer
	out.Value = string(clear)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(out)
}
