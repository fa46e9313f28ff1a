package sealtransit

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"vaultpam/internal/secret"
)

// The vector of docs/formats/envelope.md: what is kept, and what is asked of the
// engine, byte by byte. What this version wraps, every later one opens.
const (
	vector      = "\x01\x10transit/vaultpamvault:v3:Zml4ZWQ="
	wrapsBody   = `{"plaintext":"YSBsaXN0IG9mIHJvb3Qga2V5cw==","associated_data":"YXNzb2NpYXRlZA==","context":"YXNzb2NpYXRlZA=="}`
	unwrapsBody = `{"ciphertext":"vault:v3:Zml4ZWQ=","associated_data":"YXNzb2NpYXRlZA==","context":"YXNzb2NpYXRlZA=="}`
)

func TestVector(t *testing.T) {
	var path, body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		path, body = r.URL.Path, string(text)
		_, _ = w.Write([]byte(`{"data":{"ciphertext":"vault:v3:Zml4ZWQ=","plaintext":"YSBsaXN0IG9mIHJvb3Qga2V5cw=="}}`))
	}))
	defer srv.Close()
	s := made(t, Config{Address: srv.URL, Key: "vaultpam", Token: secret.FromString(token)})
	wrapped, err := s.Wrap(t.Context(), value, ad)
	if err != nil || string(wrapped) != vector || path != "/v1/transit/encrypt/vaultpam" || body != wrapsBody {
		t.Errorf("wrapped as %q by %s %s: %v", wrapped, path, body, err)
	}
	got, err := s.Unwrap(t.Context(), []byte(vector), ad)
	if err != nil || !bytes.Equal(got.Expose(), value) || path != "/v1/transit/decrypt/vaultpam" || body != unwrapsBody {
		t.Errorf("unwrapped by %s %s: %v", path, body, err)
	}
}
