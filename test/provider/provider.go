// Package provider is an OpenID Connect provider for tests, as honest or as
// hostile as a test wants it.
//
// It owns the provider's side of the protocol. It must not know ours. Start at
// [Start] and the fields of [Provider].
package provider

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Provider is a provider that runs. Its fields are changed by Set alone.
type Provider struct {
	URL            string
	ClientID       string
	ClientSecret   string
	Key            *rsa.PrivateKey
	Claims         map[string]any                             // of whoever signs in now, over the honest ones; nil values take away
	Sign           func(p *Provider, c map[string]any) string // instead of Signed
	Discovery      func(document map[string]any)              // changes the discovery document
	Keys           func() []byte                              // instead of the honest set
	SaysIssuer     bool                                       // answers carry iss (RFC 9207)
	Now            func() time.Time
	Asked, Fetched int // how often a code was redeemed, and the keys were read
	LastAsk        url.Values

	t     testing.TB
	mu    sync.Mutex
	codes map[string]url.Values
}

// Start starts an honest provider that ends with the test.
func Start(t testing.TB) *Provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{ClientID: "vaultpam", ClientSecret: "client-secret-" + rand.Text(), Key: key, Now: time.Now, t: t, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p.URL = srv.URL
	return p
}

// Set changes the provider.
func (p *Provider) Set(change func(p *Provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// Person makes the next person to sign in be that one, with a verified address.
func (p *Provider) Person(subject, email string, more map[string]any) {
	p.Set(func(p *Provider) {
		p.Claims = map[string]any{"sub": subject, "email": email, "email_verified": true}
		maps.Copy(p.Claims, more)
	})
}

// SignIn is what a browser does with the address that it was sent to: it comes
// back with the parameters of the redirect, after which it would be at where.
func (p *Provider) SignIn(authURL string) (where string, query url.Values) {
	p.t.Helper()
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Get(authURL)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		p.t.Fatalf("%s: %d, %v", authURL, resp.StatusCode, err)
	}
	query = to.Query()
	to.RawQuery = ""
	return to.String(), query
}

// Token makes a signed token of claims over the honest ones.
func (p *Provider) Token(audience string, claims map[string]any) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.make(p.honest(audience, ""), claims)
}

func (p *Provider) honest(audience, nonce string) map[string]any {
	now := p.Now()
	c := map[string]any{"iss": p.URL, "aud": audience, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	if nonce != "" {
		c["nonce"] = nonce
	}
	return c
}

func (p *Provider) make(c, over map[string]any) string {
	maps.Copy(c, over)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	if p.Sign != nil {
		return p.Sign(p, c)
	}
	return Signed(jose.RS256, p.Key, "one", c)
}

// Signed is a token with that signature.
func Signed(algorithm jose.SignatureAlgorithm, key any, kid string, c map[string]any) string {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

// Unsigned is a token with the algorithm "none" (RFC 7519 section 6).
func Unsigned(c map[string]any) string {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + enc.EncodeToString(payload) + "."
}

// Set of the honest provider's public keys.
func (p *Provider) keySet() []byte {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.Key.Public(), KeyID: "one", Use: "sig"}}})
	if err != nil {
		panic(err)
	}
	return set
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	document := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "authorization_response_iss_parameter_supported": p.SaysIssuer,
	}
	if p.Discovery != nil {
		p.Discovery(document)
	}
	answer(w, http.StatusOK, document)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Fetched++
	if p.Keys != nil {
		_, _ = w.Write(p.Keys())
		return
	}
	_, _ = w.Write(p.keySet())
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	p.LastAsk = q
	if q.Get("client_id") != p.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("state") == "" {
		http.Error(w, "not such a request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = q
	back := url.Values{"code": {code}, "state": {q.Get("state")}}
	if p.SaysIssuer {
		back.Set("iss", p.URL)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Asked++
	id, secret, _ := r.BasicAuth()
	asked, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case id != p.ClientID || secret != url.QueryEscape(p.ClientSecret):
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	case !known || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(challenge[:]) != asked.Get("code_challenge"):
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
	default:
		answer(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "id_token": p.make(p.honest(p.ClientID, asked.Get("nonce")), p.Claims)})
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
