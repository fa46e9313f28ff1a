package sealtransit

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/test/target/fakekeys"
	"vaultpam/vault"
	"vaultpam/vault/keyservice"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var (
	ad    = []byte("associated")
	value = []byte("a list of root keys")
)

const token = "hvs.canary-token"

// sealed returns a fake server over TLS, and what reaches it.
func sealed(tb testing.TB) (*fakekeys.Transit, Config) {
	tb.Helper()
	fake := fakekeys.NewTransit(token)
	srv := httptest.NewTLSServer(fake)
	tb.Cleanup(srv.Close)
	ca := filepath.Join(tb.TempDir(), "ca.pem")
	check(tb, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	return fake, Config{Address: srv.URL, Key: "vaultpam", CAFile: ca, Token: secret.FromString(token)}
}

func made(tb testing.TB, c Config) *Seal {
	tb.Helper()
	s, err := New(c)
	check(tb, err)
	return s
}

func TestWhatTheServerWrappedItUnwraps(t *testing.T) {
	fake, c := sealed(t)
	fake.Set(func(f *fakekeys.Transit) { f.Namespace = "team/pam" })
	c.Namespace = "team/pam"
	s := made(t, c)
	wrapped, err := s.Wrap(t.Context(), value, ad)
	check(t, err)
	if bytes.Contains(wrapped, value) {
		t.Error("wrapping does not hide the value")
	}
	got, err := made(t, c).Unwrap(t.Context(), wrapped, ad)
	if err != nil || !bytes.Equal(got.Expose(), value) {
		t.Errorf("unwrap: %v", err)
	}
	if _, err := s.Unwrap(t.Context(), wrapped, []byte("something else")); !errors.Is(err, ErrRefused) {
		t.Errorf("unwrapped for another purpose: %v", err)
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 0x04
		for _, b := range [][]byte{bad, wrapped[:i]} {
			if got, err := s.Unwrap(t.Context(), b, ad); err == nil || !got.Empty() {
				t.Errorf("altered or cut at byte %d: unwrapped", i)
			}
		}
	}
	c.Namespace = ""
	if _, err := made(t, c).Unwrap(t.Context(), wrapped, ad); !errors.Is(err, ErrNoKey) {
		t.Errorf("in another namespace: %v", err)
	}
	c.Key = "another"
	if _, err := made(t, c).Unwrap(t.Context(), wrapped, ad); !errors.Is(err, vault.ErrWrongKey) || !strings.Contains(err.Error(), "transit/vaultpam") {
		t.Errorf("with another key: %v", err)
	}
}

func TestEachFailureHasItsReasonAndNoneQuotes(t *testing.T) {
	fake, c := sealed(t)
	wrapped, err := made(t, c).Wrap(t.Context(), value, ad)
	check(t, err)
	try := func(c Config) error {
		_, err := made(t, c).Unwrap(t.Context(), wrapped, ad)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error shows the token: %v", err)
		}
		return err
	}
	wrong := c
	wrong.Token = secret.FromString("hvs.canary-wrong")
	if err := try(wrong); !errors.Is(err, ErrToken) {
		t.Errorf("a wrong token: %v", err)
	}
	fake.Set(func(f *fakekeys.Transit) { f.Down = true })
	if err := try(c); !errors.Is(err, ErrSealed) {
		t.Errorf("a sealed server: %v", err)
	}
	fake.Set(func(f *fakekeys.Transit) { f.Down = false })
	check(t, try(c))
	untrusted := c
	untrusted.CAFile = ""
	if err := try(untrusted); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server whose certificate nobody vouches for: %v", err)
	}
	gone := c
	gone.Address = "https://127.0.0.1:1"
	if err := try(gone); err == nil {
		t.Error("no server at all")
	}
}

func TestATokenInAFileIsReadAtEachUse(t *testing.T) {
	_, c := sealed(t)
	c.Token, c.TokenFile = secret.Value{}, filepath.Join(t.TempDir(), "token")
	s := made(t, c)
	if _, err := s.Wrap(t.Context(), value, ad); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
	for text, want := range map[string]bool{"": false, "a\nb": false, token + "\n": true} {
		check(t, os.WriteFile(c.TokenFile, []byte(text), 0o600))
		if _, err := s.Wrap(t.Context(), value, ad); (err == nil) != want {
			t.Errorf("token file of %d bytes: %v", len(text), err)
		}
	}
}

func TestTheTokenIsRenewedWhileTheServerRuns(t *testing.T) {
	fake, c := sealed(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); made(t, c).Run(ctx, func(err error) { t.Error(err) }) }()
	for deadline := time.Now().Add(10 * time.Second); fake.Renewals() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("not renewed")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	life, again, err := made(t, c).renew(t.Context())
	if err != nil || !again || life != time.Hour {
		t.Errorf("renewed for %v, %v, %v", life, again, err)
	}
}

func TestStrangeAnswersAreErrors(t *testing.T) {
	var answer http.HandlerFunc
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer srv.Close()
	s := made(t, Config{Address: srv.URL, Key: "k", Token: secret.FromString(token)})
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"no JSON":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("canary")) }, ErrAnswer},
		"nothing":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, ErrAnswer},
		"no base64": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"data":{"plaintext":"%%"}}`)) }, ErrAnswer},
		"a flood":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, keyservice.ErrTooLarge},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, keyservice.ErrRedirect},
	} {
		answer = c.answer
		wrapped := append([]byte{1, 9}, "transit/kvault:v1:AAAA"...)
		if got, err := s.Unwrap(t.Context(), wrapped, ad); !errors.Is(err, c.want) || !got.Empty() || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatCannotWorkIsRefusedAtOnce(t *testing.T) {
	good := Config{Address: "https://bao.example:8200", Key: "vaultpam", Token: secret.FromString("t")}
	_, err := New(good)
	check(t, err)
	for what, change := range map[string]func(*Config){
		"no address": func(c *Config) { c.Address = "" }, "no key": func(c *Config) { c.Key = "" }, "no token": func(c *Config) { c.Token = secret.Value{} },
		"a path as key": func(c *Config) { c.Key = "../sys" }, "a way out of the mount": func(c *Config) { c.Mount = "a/../b" }, "a question": func(c *Config) { c.Key = "a?b" },
		"plain HTTP": func(c *Config) { c.Address = "http://bao.example:8200" }, "a password in the address": func(c *Config) { c.Address = "https://a:b@bao.example" },
		"no such CA": func(c *Config) { c.CAFile = "/nonexistent" }, "long names": func(c *Config) { c.Key = strings.Repeat("k", 250) },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	s := made(f, Config{Address: "http://127.0.0.1:1", Key: "k", Token: secret.FromString(token)})
	f.Add(append([]byte{1, 9}, "transit/kvault:v1:AAAA"...))
	f.Add([]byte{1, 254})
	f.Add(bytes.Repeat([]byte{1, 255}, 200))
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing is asked
		if got, err := s.Unwrap(ctx, wrapped, ad); err == nil || !got.Empty() {
			t.Error("opened without a server")
		}
	})
}
