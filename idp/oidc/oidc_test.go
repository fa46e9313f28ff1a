package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vaultpam/internal/clock"
	"vaultpam/internal/outbound"
	"vaultpam/internal/secret"
	"vaultpam/test/provider"
)

var loopback = outbound.Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

type world struct {
	t     testing.TB
	p     *provider.Provider
	c     *Client
	clock *clock.Manual
	trust Trust
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, p: provider.Start(t), clock: clock.NewManual(time.Now())}
	w.p.Now = w.clock.Now
	w.c = New(loopback, w.clock)
	w.trust = Trust{Issuer: w.p.URL, ClientID: w.p.ClientID, Secret: secret.FromString(w.p.ClientSecret), Scopes: []string{"email"}, RedirectURL: "https://pam.example/login/callback/x"}
	w.p.Person("subject-1", "alice@example.com", nil)
	return w
}

var ask = Ask{State: "a-state", Nonce: "a-nonce", Verifier: "a-verifier-that-is-long-enough-for-the-provider"}

// signIn goes the whole way; change is what became of the answer on it.
func (w *world) signIn(change func(*Answer)) (Claims, error) {
	w.t.Helper()
	to, err := w.c.AuthURL(w.t.Context(), w.trust, ask)
	if err != nil {
		return Claims{}, err
	}
	_, q := w.p.SignIn(to)
	a := Answer{Code: q.Get("code"), Issuer: q.Get("iss"), Nonce: ask.Nonce, Verifier: ask.Verifier}
	if change != nil {
		change(&a)
	}
	return w.c.Exchange(w.t.Context(), w.trust, a)
}

func (w *world) refused(what string, kind error, reason string, err error) {
	w.t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, kind) || !strings.Contains(e.Reason, reason) {
		w.t.Errorf("%s: %v, want %v: %s", what, err, kind, reason)
	}
}

func TestHonestProviderSignsSomebodyIn(t *testing.T) {
	for _, iss := range []bool{false, true} {
		w := newWorld(t)
		w.p.SaysIssuer = iss
		got, err := w.signIn(nil)
		if err != nil || got.Issuer != w.p.URL || got.Subject != "subject-1" || got.All["email"] != "alice@example.com" {
			t.Fatalf("%+v, %v", got, err)
		}
		if q := w.p.LastAsk; q.Get("scope") != "openid email" || q.Get("code_challenge_method") != "S256" || q.Get("state") != "a-state" || q.Get("nonce") != "a-nonce" || q.Has("prompt") {
			t.Errorf("asked with %v", q)
		}
	}
	w := newWorld(t)
	again := ask
	again.Fresh, again.Hint = true, "alice@example.com"
	to, err := w.c.AuthURL(t.Context(), w.trust, again)
	u, _ := url.Parse(to)
	if err != nil || u.Query().Get("prompt") != "login" || u.Query().Get("max_age") != "0" || u.Query().Get("login_hint") != "alice@example.com" {
		t.Errorf("%s, %v", to, err)
	}
}

// Attack: tokens that the provider did not sign for us, now, for this sign-in.
func TestAttackTokensOfHostileProviders(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := func(p *provider.Provider) []byte {
		der, _ := x509.MarshalPKIXPublicKey(p.Key.Public())
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	sign := func(f func(p *provider.Provider, c map[string]any) string) func(*provider.Provider) {
		return func(p *provider.Provider) { p.Sign = f }
	}
	claim := func(name string, v any) func(*provider.Provider) {
		return func(p *provider.Provider) { p.Claims[name] = v }
	}
	for what, c := range map[string]struct {
		change func(*provider.Provider)
		reason string
	}{
		"alg none": {sign(func(_ *provider.Provider, c map[string]any) string { return provider.Unsigned(c) }), "signature"},
		"no signature": {sign(func(p *provider.Provider, c map[string]any) string {
			s := provider.Signed(jose.RS256, p.Key, "one", c)
			return s[:strings.LastIndex(s, ".")+1]
		}), "signature"},
		"public key as HMAC secret": {sign(func(p *provider.Provider, c map[string]any) string {
			return provider.Signed(jose.HS256, public(p), "one", c)
		}), "signature"},
		"somebody else's key": {sign(func(_ *provider.Provider, c map[string]any) string {
			return provider.Signed(jose.RS256, other, "one", c)
		}), "signature"},
		"unknown key": {sign(func(_ *provider.Provider, c map[string]any) string {
			return provider.Signed(jose.RS256, other, "two", c)
		}), "signature"},
		"no key id": {sign(func(_ *provider.Provider, c map[string]any) string { return provider.Signed(jose.RS256, other, "", c) }), "signature"},
		"another algorithm": {sign(func(_ *provider.Provider, c map[string]any) string {
			return provider.Signed(jose.ES256, curve, "one", c)
		}), "signature"},
		"key in the token": {sign(func(_ *provider.Provider, c map[string]any) string {
			signer, _ := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: other}, &jose.SignerOptions{EmbedJWK: true})
			payload, _ := json.Marshal(c)
			jws, _ := signer.Sign(payload)
			text, _ := jws.CompactSerialize()
			return text
		}), "signature"},
		"two signatures as JSON": {sign(func(p *provider.Provider, c map[string]any) string { return `{"payload":"e30","signatures":[]}` }), "signature"},
		"not a token":            {sign(func(*provider.Provider, map[string]any) string { return "x.y.z" }), "signature"},
		"no token":               {sign(func(*provider.Provider, map[string]any) string { return "" }), "no ID token"},
		"wrong audience":         {claim("aud", "another"), "audience"},
		"no audience":            {claim("aud", nil), "audience"},
		"made for another":       {claim("azp", "another"), "another client"},
		"several audiences":      {claim("aud", []string{"vaultpam", "another"}), "another client"},
		"wrong issuer":           {claim("iss", "https://idp.example"), "issuer"},
		"issuer with a slash":    {func(p *provider.Provider) { p.Claims["iss"] = p.URL + "/" }, "issuer"},
		"expired":                {func(p *provider.Provider) { p.Claims["exp"] = p.Now().Add(-Skew).Unix() }, "expired"},
		"never ends":             {claim("exp", nil), "does not say"},
		"made in the future":     {func(p *provider.Provider) { p.Claims["iat"] = p.Now().Add(2 * Skew).Unix() }, "not valid yet"},
		"not valid yet":          {func(p *provider.Provider) { p.Claims["nbf"] = p.Now().Add(2 * Skew).Unix() }, "not valid yet"},
		"made days ago":          {func(p *provider.Provider) { p.Claims["iat"] = p.Now().Add(-50 * time.Hour).Unix() }, "too old"},
		"nonce missing":          {claim("nonce", nil), "this sign-in"},
		"nonce of another":       {claim("nonce", "b-nonce"), "this sign-in"},
		"nonce of another type":  {claim("nonce", []string{"a-nonce"}), "signature, issuer"},
		"no subject":             {claim("sub", nil), "whom"},
		"subject with a line":    {claim("sub", "a\nb"), "whom"},
		"endless subject":        {claim("sub", strings.Repeat("x", 300)), "whom"},
	} {
		w := newWorld(t)
		w.p.Set(c.change)
		_, err := w.signIn(nil)
		w.refused(what, ErrToken, c.reason, err)
	}
}

func TestClocksMayDifferByAMinute(t *testing.T) {
	w := newWorld(t)
	w.p.Claims["exp"], w.p.Claims["iat"] = w.clock.Now().Add(-Skew/2).Unix(), w.clock.Now().Add(-10*time.Minute).Unix()
	if _, err := w.signIn(nil); err != nil {
		t.Errorf("ended half a minute ago: %v", err)
	}
	w.p.Claims["exp"], w.p.Claims["iat"], w.p.Claims["nbf"] = w.clock.Now().Add(time.Hour).Unix(), w.clock.Now().Add(Skew/2).Unix(), w.clock.Now().Add(Skew/2).Unix()
	if _, err := w.signIn(nil); err != nil {
		t.Errorf("made in half a minute: %v", err)
	}
}

// Attack: a code is used twice, by somebody without the verifier, or comes from
// another provider than the one that was asked.
func TestAttackAnswersOnTheirWay(t *testing.T) {
	w := newWorld(t)
	code := ""
	if _, err := w.signIn(func(a *Answer) { code = a.Code }); err != nil {
		t.Fatal(err)
	}
	_, err := w.signIn(func(a *Answer) { a.Code = code })
	w.refused("code used twice", ErrRefused, "refuses the code", err)
	_, err = w.signIn(func(a *Answer) { a.Verifier = "another-verifier-that-is-long-enough-as-well" })
	w.refused("stolen code", ErrRefused, "refuses the code", err)
	_, err = w.signIn(func(a *Answer) { a.Code = "" })
	w.refused("no code", ErrRefused, "no code", err)
	_, err = w.signIn(func(a *Answer) { a.Error = "access_denied" })
	w.refused("refused there", ErrRefused, "not finished", err)
	asked := w.p.Asked
	_, err = w.signIn(func(a *Answer) { a.Issuer = "https://evil.example" })
	w.refused("answer of another provider", ErrToken, "another provider", err)
	w = newWorld(t)
	w.p.SaysIssuer = true
	_, err = w.signIn(func(a *Answer) { a.Issuer = "" })
	w.refused("answer without the issuer that this provider always names", ErrToken, "another provider", err)
	if w.p.Asked != 0 || asked != 3 {
		t.Errorf("a code of another provider was sent on: %d, %d", w.p.Asked, asked)
	}
}

// Attack: the provider's own documents are too large, lie, or lead inside.
func TestAttackDocumentsOfHostileProviders(t *testing.T) {
	huge := strings.Repeat("x", 2<<20)
	for what, c := range map[string]struct {
		change func(*provider.Provider)
		kind   error
		reason string
	}{
		"huge discovery document": {func(p *provider.Provider) { p.Discovery = func(d map[string]any) { d["more"] = huge } }, ErrUnreachable, "cannot be read"},
		"discovery of another issuer": {func(p *provider.Provider) {
			p.Discovery = func(d map[string]any) { d["issuer"] = "https://idp.example" }
		}, ErrUnreachable, "another issuer"},
		"script as a page": {func(p *provider.Provider) {
			p.Discovery = func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" }
		}, ErrUnreachable, "without https"},
		"page without https": {func(p *provider.Provider) {
			p.Discovery = func(d map[string]any) { d["authorization_endpoint"] = "http://idp.example/" }
		}, ErrUnreachable, "without https"},
		"no keys": {func(p *provider.Provider) { p.Discovery = func(d map[string]any) { delete(d, "jwks_uri") } }, ErrUnreachable, "no keys"},
		"keys inside of the house": {func(p *provider.Provider) {
			p.Discovery = func(d map[string]any) { d["jwks_uri"] = "https://10.0.0.1/keys" }
		}, ErrUnreachable, "may not ask"},
		"token endpoint in the cloud": {func(p *provider.Provider) {
			p.Discovery = func(d map[string]any) { d["token_endpoint"] = "https://169.254.169.254/" }
		}, ErrUnreachable, "may not ask"},
		"huge set of keys": {func(p *provider.Provider) {
			p.Keys = func() []byte { return []byte(`{"keys":[],"more":"` + huge + `"}`) }
		}, ErrUnreachable, "too large"},
		"countless keys": {func(p *provider.Provider) {
			p.Keys = func() []byte { return []byte(`{"keys":[` + strings.Repeat(`{},`, 5000) + `{}]}`) }
		}, ErrUnreachable, "too many"},
		"no keys in the set": {func(p *provider.Provider) {
			p.Keys = func() []byte { return []byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`) }
		}, ErrUnreachable, "no key"},
		"keys that are none": {func(p *provider.Provider) { p.Keys = func() []byte { return []byte(`no`) } }, ErrUnreachable, "cannot be read"},
		"huge token":         {func(p *provider.Provider) { p.Claims["more"] = huge[:1<<19] }, ErrToken, "too large"},
		"huge answer":        {func(p *provider.Provider) { p.Claims["more"] = huge }, ErrUnreachable, "cannot be read"},
		"none as the algorithm": {func(p *provider.Provider) {
			p.Discovery = func(d map[string]any) { d["id_token_signing_alg_values_supported"] = []string{"none", "HS256"} }
			p.Sign = func(_ *provider.Provider, c map[string]any) string { return provider.Unsigned(c) }
		}, ErrToken, "signature"},
	} {
		w := newWorld(t)
		w.p.Set(c.change)
		_, err := w.signIn(nil)
		w.refused(what, c.kind, c.reason, err)
		if e, _ := errors.AsType[*Error](err); e != nil && strings.Contains(e.Reason, "xxx") {
			t.Errorf("%s: what the provider sent is shown", what)
		}
	}
	c := New(outbound.Rules{}, clock.Real{})
	for _, issuer := range []string{"http://127.0.0.1:1/", "https://127.0.0.1:1/", "https://[::1]:1", "https://10.0.0.1", "file:///etc", "https://user:pw@idp.example", "https://169.254.169.254"} {
		if err := c.Check(t.Context(), issuer); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func TestNewKeysAreFoundButNotAskedForWithEveryForgedToken(t *testing.T) {
	w := newWorld(t)
	if _, err := w.signIn(nil); err != nil || w.p.Fetched != 1 {
		t.Fatalf("%d, %v", w.p.Fetched, err)
	}
	next, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := provider.Signed(jose.RS256, next, "two", map[string]any{"iss": w.p.URL, "aud": "us", "sub": "x", "iat": w.clock.Now().Unix(), "exp": w.clock.Now().Add(time.Minute).Unix()})
	for range 20 {
		_, err := w.c.Verify(t.Context(), w.p.URL, "us", forged)
		w.refused("forged", ErrToken, "signature", err)
	}
	if w.p.Fetched != 1 {
		t.Errorf("keys were read %d times", w.p.Fetched)
	}
	w.clock.Advance(keysAgain)
	w.p.Set(func(p *provider.Provider) {
		p.Keys = func() []byte {
			set, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: next.Public(), KeyID: "two"}}})
			return set
		}
	})
	if c, err := w.c.Verify(t.Context(), w.p.URL, "us", forged); err != nil || c.Subject != "x" || w.p.Fetched != 2 {
		t.Errorf("with the new key: %+v, %v, read %d times", c, err, w.p.Fetched)
	}
}

func TestTokenForOthersToo(t *testing.T) {
	w := newWorld(t)
	verify := func(claims map[string]any) error {
		_, err := w.c.Verify(t.Context(), w.p.URL, "us", w.p.Token("us", claims))
		return err
	}
	if err := verify(map[string]any{"sub": "repo", "azp": "whoever"}); err != nil {
		t.Error(err)
	}
	if err := verify(map[string]any{"sub": "repo", "aud": []string{"us"}}); err != nil {
		t.Error(err)
	}
	w.refused("for others as well", ErrToken, "others", verify(map[string]any{"sub": "repo", "aud": []string{"us", "them"}}))
	w.refused("for others", ErrToken, "audience", verify(map[string]any{"sub": "repo", "aud": "them"}))
}

func FuzzTokens(f *testing.F) {
	w := newWorld(f)
	f.Add(w.p.Token("us", map[string]any{"sub": "x"}), "")
	f.Add(provider.Unsigned(map[string]any{"iss": w.p.URL, "aud": "us", "sub": "x"}), "")
	f.Add("", `{"iat":1e400,"exp":"soon"}`)
	f.Fuzz(func(t *testing.T, token, claims string) {
		if c, err := w.c.Verify(t.Context(), w.p.URL, "us", token); err == nil && c.Subject != "x" {
			t.Errorf("a token that nobody made: %+v", c)
		}
		// Whatever the provider signs is read without harm.
		var over map[string]any
		if json.Unmarshal([]byte(claims), &over) == nil && over != nil {
			if c, err := w.c.Verify(t.Context(), w.p.URL, "us", w.p.Token("us", over)); err == nil && c.Subject == "" {
				t.Error("nobody signed in")
			}
		}
	})
}

func TestErrorsSayNoMoreThanTheirReason(t *testing.T) {
	err := refuse(ErrToken, "it has expired", errors.New("cause"))
	if fmt.Sprint(err) != "the token was not accepted: it has expired: cause" || !errors.Is(err, ErrToken) {
		t.Error(err)
	}
}
