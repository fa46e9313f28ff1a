// Package samlprovider is a SAML identity provider for tests, by somebody else's
// hand, as honest or as hostile as a test wants it.
//
// It owns the provider's side of the protocol. It must not know ours. Start at
// [Start] and the fields of [Provider].
package samlprovider

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"html/template"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// Provider is a provider that runs. Its fields are changed by Set alone.
type Provider struct {
	URL      string // of its metadata, which is its entity id
	Session  saml.Session
	Contexts []string                        // AuthnContextClassRef; none: a password
	Before   func(a *saml.Assertion)         // changes the assertion before it is signed
	After    func(response *etree.Element)   // changes the response after that
	Document func(m *saml.EntityDescriptor)  // changes the metadata
	SP       func(id string) ([]byte, error) // reads a service provider's metadata; default: where its entity id says
	Fetched  int                             // how often the metadata was read

	t   testing.TB
	mu  sync.Mutex
	idp *saml.IdentityProvider
}

// Start starts an honest provider that ends with the test. It signs both the
// response and the assertion.
func Start(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t, SP: fetch}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metadata", p.metadata)
	mux.HandleFunc("GET /sso", p.ask)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p.URL = srv.URL + "/metadata"
	at := func(path string) url.URL { u, _ := url.Parse(srv.URL + path); return *u }
	key, cert := Key(t)
	p.idp = &saml.IdentityProvider{Key: key, Certificate: cert, MetadataURL: at("/metadata"), SSOURL: at("/sso"), ServiceProviderProvider: p, SignatureMethod: dsig.RSASHA256SignatureMethod}
	return p
}

// Key makes a key with its certificate.
func Key(t testing.TB) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "idp.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func fetch(id string) ([]byte, error) {
	resp, err := http.Get(id)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// Set changes the provider.
func (p *Provider) Set(change func(p *Provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// Signs makes the provider sign by another key, or another method; nil and ""
// leave them.
func (p *Provider) Signs(key *rsa.PrivateKey, cert *x509.Certificate, method string) {
	p.Set(func(p *Provider) {
		if key != nil {
			p.idp.Key, p.idp.Certificate = key, cert
		}
		if method != "" {
			p.idp.SignatureMethod = method
		}
	})
}

// Person makes the next person to sign in be that one, by a persistent name.
func (p *Provider) Person(subject, email string, groups ...string) {
	p.Set(func(p *Provider) {
		p.Session = saml.Session{ID: "s", NameID: subject, NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", UserEmail: email, Groups: groups}
	})
}

// GroupAttribute is the name under which it says the groups.
const GroupAttribute = "urn:oid:1.3.6.1.4.1.5923.1.1.1.1"

// Metadata is what the provider says of itself.
func (p *Provider) Metadata() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.idp.Metadata()
	if p.Document != nil {
		p.Document(m)
	}
	text, err := xml.Marshal(m)
	if err != nil {
		p.t.Error(err)
	}
	return text
}

func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	p.Set(func(p *Provider) { p.Fetched++ })
	_, _ = w.Write(p.Metadata())
}

// GetServiceProvider is saml.ServiceProviderProvider's.
func (p *Provider) GetServiceProvider(_ *http.Request, id string) (*saml.EntityDescriptor, error) {
	text, err := p.SP(id)
	if err != nil {
		return nil, err
	}
	var m saml.EntityDescriptor
	return &m, xml.Unmarshal(text, &m)
}

// page sends the browser on as providers do.
var page = template.Must(template.New("").Parse(`<!doctype html><title>idp.test</title><form method="post" action="{{.URL}}"><input type="hidden" name="SAMLResponse" value="{{.SAMLResponse}}">` +
	`<input type="hidden" name="RelayState" value="{{.RelayState}}"><button>Continue</button></form><script>document.forms[0].submit()</script>`))

func (p *Provider) ask(w http.ResponseWriter, r *http.Request) {
	form, err := p.answer(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, form)
}

// Answer is what the provider's page would have the browser post.
func (p *Provider) Answer(address string) (where, response, relay string) {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	form, err := p.answer(r)
	if err != nil {
		p.t.Fatalf("the provider does not take our request: %v", err)
	}
	return form.URL, form.SAMLResponse, form.RelayState
}

func (p *Provider) answer(r *http.Request) (form saml.IdpAuthnRequestForm, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	req, err := saml.NewIdpAuthnRequest(p.idp, r)
	if err != nil {
		return form, err
	}
	if err := req.Validate(); err != nil {
		return form, err
	}
	session := p.Session
	session.CreateTime = req.Now.Add(-time.Hour)
	if f := req.Request.ForceAuthn; f != nil && *f {
		session.CreateTime = req.Now
	}
	if err := (saml.DefaultAssertionMaker{}).MakeAssertion(req, &session); err != nil {
		return form, err
	}
	for i, class := range p.Contexts {
		if i == 0 {
			req.Assertion.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value = class
		}
	}
	if p.Before != nil {
		p.Before(req.Assertion)
	}
	if err := req.MakeResponse(); err != nil {
		return form, err
	}
	if p.After != nil {
		p.After(req.ResponseEl)
	}
	return req.PostBinding()
}

// Rewrite is a response with its text changed.
func Rewrite(t testing.TB, response string, change func(text string) string) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(response)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString([]byte(change(string(text))))
}

// Unsigned takes the signature out of an element.
func Unsigned(e *etree.Element) {
	for _, c := range e.ChildElements() {
		if c.Tag == "Signature" {
			e.RemoveChild(c)
		}
	}
}

// Assertion is the assertion of a response.
func Assertion(response *etree.Element) *etree.Element {
	for _, c := range response.ChildElements() {
		if c.Tag == "Assertion" {
			return c
		}
	}
	return nil
}
