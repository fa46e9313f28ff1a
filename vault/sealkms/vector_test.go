package sealkms

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// The vector of docs/formats/envelope.md: what is kept, and what is asked of the
// service, byte by byte. What this version wraps, every later one opens.
const (
	vector      = "\x01\x00\x1aarn:aws:kms:eu:1:key/fixedfixed"
	wrapsBody   = `{"KeyId":"alias/vaultpam","Plaintext":"YSBsaXN0IG9mIHJvb3Qga2V5cw==","EncryptionContext":{"vaultpam":"YXNzb2NpYXRlZA=="}}`
	unwrapsBody = `{"KeyId":"alias/vaultpam","CiphertextBlob":"Zml4ZWQ=","EncryptionContext":{"vaultpam":"YXNzb2NpYXRlZA=="}}`
)

func TestVector(t *testing.T) {
	var action, body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		action, body = r.Header.Get("X-Amz-Target"), string(text)
		_, _ = w.Write([]byte(`{"KeyId":"arn:aws:kms:eu:1:key/fixed","CiphertextBlob":"Zml4ZWQ=","Plaintext":"YSBsaXN0IG9mIHJvb3Qga2V5cw=="}`))
	}))
	defer srv.Close()
	_, c := sealed(t)
	c.Endpoint = srv.URL
	s := made(t, c)
	wrapped, err := s.Wrap(t.Context(), value, ad)
	if err != nil || string(wrapped) != vector || action != "TrentService.Encrypt" || body != wrapsBody {
		t.Errorf("wrapped as %q by %s %s: %v", wrapped, action, body, err)
	}
	got, err := s.Unwrap(t.Context(), []byte(vector), ad)
	if err != nil || !bytes.Equal(got.Expose(), value) || action != "TrentService.Decrypt" || body != unwrapsBody {
		t.Errorf("unwrapped by %s %s: %v", action, body, err)
	}
}
