package fakekeys

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"
)

// KMS is a fake of the AWS Key Management Service with one key, for one
// principal. It checks the signature of each request by itself.
type KMS struct {
	ID, Secret, Token, Region, ARN string

	mu       sync.Mutex // guards all below
	Down     bool
	Contexts []map[string]string // of each request that was answered
	aead     cipher.AEAD
}

// NewKMS makes a fake.
func NewKMS() *KMS {
	return &KMS{
		ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Region: "eu-central-1",
		ARN: "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", aead: newAEAD(),
	}
}

// Set changes the fake while it serves.
func (k *KMS) Set(f func(*KMS)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k)
}

// ServeHTTP answers as the API is documented.
func (k *KMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fail := func(status int, kind string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": "no"})
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	switch {
	case k.Down:
		fail(http.StatusInternalServerError, "KMSInternalException")
		return
	case err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1":
		fail(http.StatusBadRequest, "SerializationException")
		return
	}
	if kind := k.unsigned(r, body); kind != "" {
		fail(http.StatusBadRequest, kind)
		return
	}
	var in struct {
		KeyId                     string
		Plaintext, CiphertextBlob []byte
		EncryptionContext         map[string]string
	}
	if json.Unmarshal(body, &in) != nil {
		fail(http.StatusBadRequest, "SerializationException")
		return
	}
	known := in.KeyId == k.ARN || in.KeyId == "alias/vaultpam" || strings.HasSuffix(k.ARN, "/"+in.KeyId)
	ad, _ := json.Marshal(in.EncryptionContext) // keys in order
	n := k.aead.NonceSize()
	answer := map[string]any{"KeyId": k.ARN, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
	switch r.Header.Get("X-Amz-Target") {
	case "TrentService.Encrypt":
		if !known {
			fail(http.StatusBadRequest, "NotFoundException")
			return
		}
		if len(in.Plaintext) == 0 || len(in.Plaintext) > 4096 {
			fail(http.StatusBadRequest, "ValidationException")
			return
		}
		nonce := make([]byte, n)
		_, _ = rand.Read(nonce)
		answer["CiphertextBlob"] = k.aead.Seal(nonce, nonce, in.Plaintext, ad)
	case "TrentService.Decrypt":
		if !known {
			fail(http.StatusBadRequest, "IncorrectKeyException")
			return
		}
		if len(in.CiphertextBlob) < n {
			fail(http.StatusBadRequest, "InvalidCiphertextException")
			return
		}
		plain, err := k.aead.Open(nil, in.CiphertextBlob[:n], in.CiphertextBlob[n:], ad)
		if err != nil {
			fail(http.StatusBadRequest, "InvalidCiphertextException")
			return
		}
		answer["Plaintext"] = plain
	default:
		fail(http.StatusBadRequest, "UnknownOperationException")
		return
	}
	k.Contexts = append(k.Contexts, in.EncryptionContext)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(answer)
}

// unsigned returns the kind of error for a request that is not signed as
// Signature Version 4 is described, "" for one that is.
func (k *KMS) unsigned(r *http.Request, body []byte) string {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	parts := map[string]string{}
	for _, p := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if !ok || err != nil || len(scope) != 5 {
		return "IncompleteSignatureException"
	}
	if scope[0] != k.ID || r.Header.Get("X-Amz-Security-Token") != k.Token {
		return "UnrecognizedClientException"
	}
	if d := time.Since(at); d > 5*time.Minute || d < -5*time.Minute || scope[1] != at.Format("20060102") || scope[2] != k.Region || scope[3] != "kms" || scope[4] != "aws4_request" {
		return "InvalidSignatureException"
	}
	signed := strings.Split(parts["SignedHeaders"], ";")
	if !sort.StringsAreSorted(signed) {
		return "InvalidSignatureException"
	}
	have := map[string]bool{}
	var headers bytes.Buffer
	for _, name := range signed {
		have[name] = true
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	for _, need := range []string{"host", "x-amz-date", "x-amz-target", "content-type"} {
		if !have[need] {
			return "InvalidSignatureException"
		}
	}
	sum := sha256.Sum256(body)
	canonical := r.Method + "\n" + (&url.URL{Path: r.URL.Path}).EscapedPath() + "\n" + r.URL.RawQuery + "\n" + headers.String() + "\n" + parts["SignedHeaders"] + "\n" + hex.EncodeToString(sum[:])
	sum = sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + strings.Join(scope[1:], "/") + "\n" + hex.EncodeToString(sum[:])
	key := []byte("AWS4" + k.Secret)
	for _, part := range append(scope[1:], text) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(parts["Signature"])) {
		return "InvalidSignatureException"
	}
	return ""
}
