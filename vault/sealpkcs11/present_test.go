//go:build pkcs11

package sealpkcs11

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vaultpam/internal/secret"
	"vaultpam/test/target"
	"vaultpam/vault"
)

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var (
	ad    = []byte("associated")
	value = []byte("a list of root keys")
)

// token makes a token of SoftHSM.
func token(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	ok(t, os.Mkdir(filepath.Join(dir, "tokens"), 0o700))
	ok(t, os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", filepath.Join(dir, "tokens")), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf)
	for _, label := range []string{"pam", "other"} {
		if out, err := exec.Command(target.Need(t, "softhsm2-util"), "--init-token", "--free", "--label", label, "--so-pin", "87654321", "--pin", "12345678").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return Config{Module: "/usr/lib/softhsm/libsofthsm2.so", Token: "pam", Key: "vaultpam", PIN: secret.FromString("12345678")}
}

func TestWhatTheModuleWrappedItUnwraps(t *testing.T) {
	c := token(t)
	s, err := New(c)
	ok(t, err)
	if _, err := s.Wrap(t.Context(), value, ad); !errors.Is(err, ErrKey) {
		t.Errorf("without a key: %v", err)
	}
	ok(t, MakeKey(s))
	ok(t, MakeKey(s)) // changes nothing
	wrapped, err := s.Wrap(t.Context(), value, ad)
	ok(t, err)
	again, err := s.Wrap(t.Context(), value, ad)
	ok(t, err)
	if bytes.Equal(wrapped, again) || bytes.Contains(wrapped, value) {
		t.Error("wrapping does not hide the value")
	}
	other, err := New(c)
	ok(t, err)
	got, err := other.Unwrap(t.Context(), wrapped, ad)
	if err != nil || !bytes.Equal(got.Expose(), value) {
		t.Errorf("unwrap: %v", err)
	}
	if _, err := s.Unwrap(t.Context(), wrapped, []byte("something else")); !errors.Is(err, ErrAltered) {
		t.Errorf("unwrapped for another purpose: %v", err)
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 0x80
		for _, b := range [][]byte{bad, wrapped[:i]} {
			if got, err := s.Unwrap(t.Context(), b, ad); err == nil || !got.Empty() {
				t.Errorf("altered or cut at byte %d: unwrapped", i)
			}
		}
	}
}

func TestTheKeyDoesNotLeaveTheModule(t *testing.T) {
	s, err := New(token(t))
	ok(t, err)
	ok(t, MakeKey(s))
	ok(t, s.with(func(u session) error {
		key, n, err := s.find(u)
		if err != nil || n != 1 {
			return fmt.Errorf("%d keys: %w", n, err)
		}
		if got, err := u.GetAttributeValue(u.handle, key, s.valueTemplate()); err == nil {
			return fmt.Errorf("the module gives %d bytes of the key away", len(got[0].Value))
		}
		return nil
	}))
}

func TestEachFailureHasItsReason(t *testing.T) {
	c := token(t)
	s, err := New(c)
	ok(t, err)
	ok(t, MakeKey(s))
	wrapped, err := s.Wrap(t.Context(), value, ad)
	ok(t, err)
	for what, try := range map[string]struct {
		change func(*Config)
		want   error
		says   string
	}{
		"a wrong PIN":     {func(c *Config) { c.PIN = secret.FromString("canary") }, nil, "CKR_PIN_INCORRECT"},
		"no such token":   {func(c *Config) { c.Token = "none" }, ErrToken, ""},
		"another token":   {func(c *Config) { c.Token = "other" }, ErrKey, ""},
		"another key":     {func(c *Config) { c.Key = "another" }, vault.ErrWrongKey, "vaultpam"},
		"no such library": {func(c *Config) { c.Module = "/nonexistent.so" }, ErrModule, ""},
	} {
		c := c
		try.change(&c)
		s, err := New(c)
		ok(t, err)
		_, err = s.Unwrap(t.Context(), wrapped, ad)
		if err == nil || try.want != nil && !errors.Is(err, try.want) || !strings.Contains(err.Error(), try.says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := New(Config{}); !errors.Is(err, ErrConfig) {
		t.Error(err)
	}
}
