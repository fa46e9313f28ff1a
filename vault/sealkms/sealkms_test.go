package sealkms

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/secret"
	"vaultpam/test/target/fakekeys"
	"vaultpam/vault"
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

// The vectors that AWS has published with Signature Version 4.
func TestSignaturesAreThoseOfThePublishedVectors(t *testing.T) {
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	c := Credentials{ID: "AKIDEXAMPLE", Secret: secret.FromString("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")}
	for name, v := range map[string]struct {
		method, target, body, media, signed, want string
	}{
		"get-vanilla":                 {"GET", "/", "", "", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"get-vanilla-query-order-key": {"GET", "/?Param2=value2&Param1=value1", "", "", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"post-vanilla":                {"POST", "/", "", "", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"post-x-www-form-urlencoded":  {"POST", "/", "Param1=value1", "application/x-www-form-urlencoded", "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		r, err := http.NewRequest(v.method, "https://example.amazonaws.com"+v.target, strings.NewReader(v.body))
		check(t, err)
		if v.media != "" {
			r.Header.Set("Content-Type", v.media)
		}
		sign(r, []byte(v.body), c, "us-east-1", "service", at)
		want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + v.signed + ", Signature=" + v.want
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
	}
}

func sealed(tb testing.TB) (*fakekeys.KMS, Config) {
	tb.Helper()
	fake := fakekeys.NewKMS()
	srv := httptest.NewServer(fake)
	tb.Cleanup(srv.Close)
	return fake, Config{
		KeyID: "alias/vaultpam", Region: fake.Region, Endpoint: srv.URL, Clock: clock.Real{},
		Credentials: func() (Credentials, error) {
			return Credentials{ID: fake.ID, Secret: secret.FromString(fake.Secret), Token: secret.FromString(fake.Token)}, nil
		},
	}
}

func made(tb testing.TB, c Config) *Seal {
	tb.Helper()
	s, err := New(c)
	check(tb, err)
	return s
}

func TestWhatTheServiceWrappedItUnwraps(t *testing.T) {
	fake, c := sealed(t)
	for _, token := range []string{"", "session-token/+="} {
		fake.Set(func(f *fakekeys.KMS) { f.Token = token })
		s := made(t, c)
		wrapped, err := s.Wrap(t.Context(), value, ad)
		check(t, err)
		if bytes.Contains(wrapped, value) {
			t.Error("wrapping does not hide the value")
		}
		byARN := c
		byARN.KeyID = fake.ARN
		for _, c := range []Config{c, byARN} {
			got, err := made(t, c).Unwrap(t.Context(), wrapped, ad)
			if err != nil || !bytes.Equal(got.Expose(), value) {
				t.Errorf("unwrap: %v", err)
			}
		}
		if _, err := s.Unwrap(t.Context(), wrapped, []byte("something else")); !errors.Is(err, ErrAltered) {
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
	}
	for _, got := range fake.Contexts {
		if got["vaultpam"] == "" || len(got) != 1 {
			t.Errorf("the context is %v", got)
		}
	}
	if fake.Contexts[0]["vaultpam"] != base64.StdEncoding.EncodeToString(ad) {
		t.Error("the context is not the associated data")
	}
}

func TestEachFailureHasItsReason(t *testing.T) {
	fake, c := sealed(t)
	wrapped, err := made(t, c).Wrap(t.Context(), value, ad)
	check(t, err)
	try := func(change func(*Config)) error {
		c := c
		change(&c)
		_, err := made(t, c).Unwrap(t.Context(), wrapped, ad)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error shows a secret: %v", err)
		}
		return err
	}
	if err := try(func(c *Config) { c.KeyID = "another" }); !errors.Is(err, vault.ErrWrongKey) || !strings.Contains(err.Error(), fake.ARN) {
		t.Errorf("another key: %v", err)
	}
	for what, change := range map[string]func(*Config){
		"InvalidSignatureException": func(c *Config) { c.Region = "us-east-1" },
		"UnrecognizedClient": func(c *Config) {
			c.Credentials = func() (Credentials, error) {
				return Credentials{ID: "AKIDOTHER", Secret: secret.FromString("canary")}, nil
			}
		},
		"no credentials": func(c *Config) { c.Credentials = func() (Credentials, error) { return Credentials{}, ErrCredentials } },
	} {
		if err := try(change); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	wrongSecret := func(c *Config) {
		c.Credentials = func() (Credentials, error) {
			return Credentials{ID: fake.ID, Secret: secret.FromString("canary")}, nil
		}
	}
	if err := try(wrongSecret); err == nil || !strings.Contains(err.Error(), "InvalidSignatureException") {
		t.Errorf("a wrong secret: %v", err)
	}
	fake.Set(func(f *fakekeys.KMS) { f.Down = true })
	if err := try(func(*Config) {}); err == nil || errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("a service that is down: %v", err)
	}
	fake.Set(func(f *fakekeys.KMS) { f.Down = false })
	check(t, try(func(*Config) {}))
}

// Whoever answers in the service's place and names another key is not
// believed.
func TestAnAnswerOfAnotherKeyIsRefused(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"KeyId":"arn:other","Plaintext":"AAAA"}`))
	}))
	defer srv.Close()
	_, c := sealed(t)
	c.Endpoint = srv.URL
	if _, err := made(t, c).Unwrap(t.Context(), []byte("\x01\x00\x03arnblob"), ad); !errors.Is(err, ErrAnswer) {
		t.Error(err)
	}
}

func TestCredentialsAreFoundWhereToolsOfAWSFindThem(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	check(t, os.WriteFile(file, []byte("[default]\naws_access_key_id = ID1\naws_secret_access_key=SECRET1\n\n# note\n[ pam ]\naws_access_key_id=ID2\naws_secret_access_key = SECRET2\naws_session_token= TOKEN2\n[half]\naws_access_key_id=ID3\n"), 0o600))
	check(t, os.Mkdir(filepath.Join(dir, ".aws"), 0o700))
	home := filepath.Join(dir, ".aws", "credentials")
	check(t, os.WriteFile(home, []byte("[default]\naws_access_key_id=ID4\naws_secret_access_key=SECRET4\n"), 0o600))
	for _, c := range []struct {
		file, profile string
		env           map[string]string
		want          string // id, secret, token; "" none
	}{
		{file, "", nil, "ID1 SECRET1 "},
		{file, "pam", nil, "ID2 SECRET2 TOKEN2"},
		{file, "half", nil, ""},
		{file, "none", nil, ""},
		{"", "", map[string]string{"AWS_ACCESS_KEY_ID": "ID5", "AWS_SECRET_ACCESS_KEY": "SECRET5", "AWS_SESSION_TOKEN": "TOKEN5"}, "ID5 SECRET5 TOKEN5"},
		{file, "", map[string]string{"AWS_ACCESS_KEY_ID": "ID5", "AWS_SECRET_ACCESS_KEY": "SECRET5"}, "ID1 SECRET1 "},
		{"", "", map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "pam"}, "ID2 SECRET2 TOKEN2"},
		{"", "", map[string]string{"HOME": dir}, "ID4 SECRET4 "},
		{"", "", map[string]string{"HOME": "/nonexistent"}, ""},
		{"", "", nil, ""},
		{"/nonexistent", "", nil, ""},
	} {
		got, err := Find(c.file, c.profile, func(name string) (string, bool) { v, ok := c.env[name]; return v, ok })()
		text := got.ID + " " + string(got.Secret.Expose()) + " " + string(got.Token.Expose())
		if c.want == "" && err == nil || c.want != "" && (err != nil || text != c.want) {
			t.Errorf("%+v: %q, %v", c, got.ID, err)
		}
	}
}

func TestWhatCannotWorkIsRefusedAtOnce(t *testing.T) {
	_, good := sealed(t)
	good.Endpoint = ""
	s := made(t, good)
	if s.Endpoint != "https://kms.eu-central-1.amazonaws.com" {
		t.Error(s.Endpoint)
	}
	for what, change := range map[string]func(*Config){
		"no key": func(c *Config) { c.KeyID = "" }, "no region": func(c *Config) { c.Region = "" }, "another host": func(c *Config) { c.Region = "evil.example/" }, "plain HTTP": func(c *Config) { c.Endpoint = "http://kms.example" },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	_, c := sealed(f)
	c.Endpoint = "http://127.0.0.1:1"
	s := made(f, c)
	f.Add([]byte("\x01\x00\x03arnblob"))
	f.Add([]byte{1, 255, 255})
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing is asked
		if got, err := s.Unwrap(ctx, wrapped, ad); err == nil || !got.Empty() {
			t.Error("opened without the service")
		}
		_, _ = parseFile(wrapped, "default")
	})
}
