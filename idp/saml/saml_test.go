package saml_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	xsaml "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"vaultpam/idp/saml"
	"vaultpam/internal/clock"
	"vaultpam/internal/outbound"
	"vaultpam/test/samlprovider"
)

var us = saml.Party{EntityID: "https://pam.test/api/v1/auth/saml/sso_1", ACS: "https://pam.test/login/callback/sso_1"}

// world is a provider, and us as its client.
type world struct {
	t   *testing.T
	idp *samlprovider.Provider
	c   *saml.Client
	m   saml.Metadata
	now time.Time
}

// Now is clock.Clock's.
func (w *world) Now() time.Time { return w.now }

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, idp: samlprovider.Start(t), now: time.Now()}
	w.idp.SP = func(string) ([]byte, error) { return us.Document(), nil }
	w.idp.Person("person-1", "alice@corp.test", "ops", "dev")
	w.c = client(w)
	var err error
	if w.m, err = w.c.Metadata(w.idp.Metadata()); err != nil {
		t.Fatal(err)
	}
	return w
}

func client(c clock.Clock) *saml.Client {
	return saml.New(outbound.Rules{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, c)
}

// asks sends somebody to the provider, who comes back with a response.
func (w *world) asks(id string, fresh bool) string {
	w.t.Helper()
	to, err := w.c.Request(w.m, us, saml.Ask{ID: id, RelayState: "state", Fresh: fresh, Persistent: true})
	if err != nil {
		w.t.Fatal(err)
	}
	where, response, relay := w.idp.Answer(to)
	if where != us.ACS || relay != "state" {
		w.t.Fatalf("sent back to %s with %s", where, relay)
	}
	return response
}

// refused is that a response was, and why.
func (w *world) refused(response string, kind error, reason string) {
	w.t.Helper()
	said, err := w.c.Read(w.m, us, "_request", response)
	e, ok := errors.AsType[*saml.Error](err)
	if !ok || !errors.Is(err, kind) || !strings.Contains(e.Reason, reason) {
		w.t.Errorf("got %+v, %v; want %q, %v", said, err, reason, kind)
	}
}

func TestResponseOfAProviderSaysWhoSomebodyIs(t *testing.T) {
	w := start(t)
	said, err := w.c.Read(w.m, us, "_request", w.asks("_request", false))
	if err != nil {
		t.Fatal(err)
	}
	if said.Name != "person-1" || said.Format != saml.Persistent || said.Attributes["urn:oid:0.9.2342.19200300.100.1.3"][0] != "alice@corp.test" || len(said.Attributes[samlprovider.GroupAttribute]) != 2 ||
		said.ID == "" || !said.Until.After(w.now) || w.now.Sub(said.At) < 59*time.Minute || len(said.Contexts) != 1 {
		t.Errorf("%+v", said)
	}
	if said, err = w.c.Read(w.m, us, "_request", w.asks("_request", true)); err != nil || w.now.Sub(said.At) > time.Minute {
		t.Errorf("asked anew: %+v, %v", said, err)
	}
	// Either signature is enough.
	w.idp.Set(func(p *samlprovider.Provider) { p.After = samlprovider.Unsigned })
	if _, err = w.c.Read(w.m, us, "_request", w.asks("_request", false)); err != nil {
		t.Errorf("the assertion alone is signed: %v", err)
	}
	// White space around the text, as browsers and providers wrap it.
	text := w.asks("_request", false)
	if _, err := w.c.Read(w.m, us, "_request", text[:76]+"\r\n"+text[76:]+"\n"); err != nil {
		t.Error(err)
	}
}

func TestSomebodyMayBeInManyGroups(t *testing.T) {
	w := start(t)
	many := func(n int) string {
		groups := make([]string, n)
		for i := range groups {
			groups[i] = fmt.Sprintf("group %d", i)
		}
		w.idp.Person("person-1", "alice@corp.test", groups...)
		return w.asks("_request", false)
	}
	if said, err := w.c.Read(w.m, us, "_request", many(900)); err != nil || len(said.Attributes[samlprovider.GroupAttribute]) != 900 {
		t.Errorf("900 groups: %v", err)
	}
	w.refused(many(1100), saml.ErrResponse, "fewer groups")
}

func TestClockOfAProviderMayBeAMinuteOff(t *testing.T) {
	w := start(t)
	response := w.asks("_request", false)
	at := w.now
	for _, d := range []time.Duration{-55 * time.Second, 55 * time.Second} {
		w.now = at.Add(d)
		if _, err := w.c.Read(w.m, us, "_request", response); err != nil {
			t.Errorf("%v: %v", d, err)
		}
	}
	w.now = at.Add(-65 * time.Second)
	w.refused(response, saml.ErrResponse, "not valid yet")
	w.now = at.Add(155 * time.Second) // the provider says 90 seconds
	w.refused(response, saml.ErrResponse, "expired")
	w.now = at.Add(48 * time.Hour)
	w.refused(response, saml.ErrSignature, "certificate has expired")
}

// Whoever signs something else, or nothing, is not believed.
func TestAttackResponseThatTheProviderDidNotSign(t *testing.T) {
	w := start(t)
	after := func(change func(*etree.Element)) string {
		w.idp.Set(func(p *samlprovider.Provider) { p.After = change })
		defer w.idp.Set(func(p *samlprovider.Provider) { p.After = nil })
		return w.asks("_request", false)
	}
	w.refused(after(func(r *etree.Element) {
		samlprovider.Unsigned(r)
		samlprovider.Unsigned(samlprovider.Assertion(r))
	}), saml.ErrSignature, "not signed")
	w.refused(samlprovider.Rewrite(t, w.asks("_request", false), func(s string) string { return strings.ReplaceAll(s, "person-1", "person-2") }), saml.ErrSignature, "not the provider's")
	w.refused(after(func(r *etree.Element) {
		samlprovider.Unsigned(r)
		samlprovider.Assertion(r).FindElement(".//NameID").SetText("person-2")
	}), saml.ErrSignature, "not the provider's")
	// An inner signature that is none is not made good by the outer one being missing.
	w.refused(after(func(r *etree.Element) { samlprovider.Unsigned(samlprovider.Assertion(r)) }), saml.ErrSignature, "not the provider's")

	key, cert := samlprovider.Key(t)
	w.idp.Signs(key, cert, "")
	w.refused(w.asks("_request", false), saml.ErrSignature, "not the provider's")
}

func TestAttackSignatureByAWeakMethod(t *testing.T) {
	w := start(t)
	w.idp.Signs(nil, nil, dsig.RSASHA1SignatureMethod)
	w.refused(w.asks("_request", false), saml.ErrSignature, "method")
	w.idp.Signs(nil, nil, dsig.RSASHA256SignatureMethod)
	for _, to := range []string{"http://www.w3.org/2000/09/xmldsig#hmac-sha1", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5", ""} {
		w.refused(samlprovider.Rewrite(t, w.asks("_request", false), func(s string) string { return strings.ReplaceAll(s, dsig.RSASHA256SignatureMethod, to) }), saml.ErrSignature, "method")
	}
	w.refused(samlprovider.Rewrite(t, w.asks("_request", false), func(s string) string {
		return strings.ReplaceAll(s, "http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1")
	}), saml.ErrSignature, "method")
	w.refused(samlprovider.Rewrite(t, w.asks("_request", false), func(s string) string {
		return strings.ReplaceAll(s, "http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/TR/1999/REC-xslt-19991116")
	}), saml.ErrSignature, "method")
}

// Signature wrapping: the signed assertion is somewhere, and another one is
// where ours is read (the eight shapes of Somorovsky and others, 2012).
func TestAttackWrappedSignatures(t *testing.T) {
	w := start(t)
	evil := func(r *etree.Element) (forged, honest *etree.Element) {
		honest = samlprovider.Assertion(r)
		forged = honest.Copy()
		samlprovider.Unsigned(forged)
		forged.FindElement(".//NameID").SetText("owner")
		forged.CreateAttr("ID", "_forged")
		return forged, honest
	}
	for name, wrap := range map[string]func(r *etree.Element){
		"a forged response around the signed one": func(r *etree.Element) {
			inner := r.Copy()
			sig := r.FindElement("./Signature")
			r.CreateAttr("ID", "_outer")
			samlprovider.Assertion(r).FindElement(".//NameID").SetText("owner")
			sig.CreateElement("ds:Object").AddChild(inner)
		},
		"the signed response inside of the forged one's extensions": func(r *etree.Element) {
			inner := r.Copy()
			samlprovider.Unsigned(r)
			r.CreateAttr("ID", "_outer")
			samlprovider.Assertion(r).FindElement(".//NameID").SetText("owner")
			r.InsertChildAt(0, etree.NewElement("samlp:Extensions"))
			r.ChildElements()[0].AddChild(inner)
		},
		"the forged assertion before the signed one": func(r *etree.Element) {
			samlprovider.Unsigned(r)
			forged, honest := evil(r)
			r.InsertChildAt(honest.Index(), forged)
		},
		"the forged assertion after the signed one": func(r *etree.Element) {
			samlprovider.Unsigned(r)
			forged, _ := evil(r)
			r.AddChild(forged)
		},
		"the signed assertion inside of the forged one": func(r *etree.Element) {
			samlprovider.Unsigned(r)
			forged, honest := evil(r)
			r.RemoveChild(honest)
			forged.CreateElement("saml:Advice").AddChild(honest)
			r.AddChild(forged)
		},
		"the signed assertion in the forged one's signature": func(r *etree.Element) {
			samlprovider.Unsigned(r)
			forged, honest := evil(r)
			r.RemoveChild(honest)
			sig := honest.FindElement("./Signature").Copy()
			sig.CreateElement("ds:Object").AddChild(honest)
			forged.InsertChildAt(1, sig)
			r.AddChild(forged)
		},
		"the forged one with the id of the signed one": func(r *etree.Element) {
			samlprovider.Unsigned(r)
			forged, honest := evil(r)
			forged.CreateAttr("ID", honest.SelectAttrValue("ID", ""))
			forged.InsertChildAt(1, honest.FindElement("./Signature").Copy())
			r.InsertChildAt(honest.Index(), forged)
		},
		"the signed one under another name": func(r *etree.Element) {
			samlprovider.Unsigned(r)
			forged, honest := evil(r)
			honest.Tag = "Statement"
			forged.CreateAttr("ID", honest.SelectAttrValue("ID", ""))
			forged.InsertChildAt(1, honest.FindElement("./Signature").Copy())
			forged.AddChild(honest)
			r.AddChild(forged)
		},
		"two signatures": func(r *etree.Element) {
			r.AddChild(r.FindElement("./Signature").Copy())
		},
		"a second subject": func(r *etree.Element) {
			samlprovider.Unsigned(r)
			a := samlprovider.Assertion(r)
			s := a.FindElement("./Subject").Copy()
			s.FindElement("./NameID").SetText("owner")
			a.AddChild(s)
		},
		"a reference to everything": func(r *etree.Element) {
			r.FindElement("./Signature/SignedInfo/Reference").CreateAttr("URI", "")
		},
		"a reference to something else": func(r *etree.Element) {
			r.FindElement("./Signature/SignedInfo/Reference").CreateAttr("URI", "#"+samlprovider.Assertion(r).SelectAttrValue("ID", ""))
		},
		"a second reference": func(r *etree.Element) {
			info := r.FindElement("./Signature/SignedInfo")
			info.AddChild(info.FindElement("./Reference").Copy())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			w.idp.Set(func(p *samlprovider.Provider) { p.After = wrap })
			response := w.asks("_request", false)
			said, err := w.c.Read(w.m, us, "_request", response)
			if _, ok := errors.AsType[*saml.Error](err); !ok || said.Name == "owner" {
				t.Errorf("accepted: %+v, %v", said, err)
			}
		})
	}
}

// A name with something in it at which a reader could cut it.
func TestAttackNamesThatAreCut(t *testing.T) {
	w := start(t)
	w.idp.Person("admin@corp.test.evil.test", "x@corp.test")
	cut := func(with string) string {
		return samlprovider.Rewrite(t, w.asks("_request", false), func(s string) string {
			return strings.ReplaceAll(s, "admin@corp.test.evil.test", "admin@corp.test"+with+".evil.test")
		})
	}
	w.refused(cut("<!-- -->"), saml.ErrResponse, "comment")
	w.refused(cut("<?cut here?>"), saml.ErrResponse, "processing instruction")
	w.refused(cut("<saml:x/>"), saml.ErrSignature, "not the provider's")
	// CDATA is only another way to write the same.
	if said, err := w.c.Read(w.m, us, "_request", cut("<![CDATA[]]>")); err == nil && said.Name != "admin@corp.test.evil.test" {
		t.Errorf("cut: %+v", said)
	}
}

func TestAttackDocumentsThatCostMuch(t *testing.T) {
	w := start(t)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	w.refused(b64(`<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">&b;</samlp:Response>`), saml.ErrResponse, "document type")
	w.refused(b64(`<!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>`), saml.ErrResponse, "document type")
	w.refused(b64(`<r>&file;</r>`), saml.ErrResponse, "can be read")
	w.refused(b64(strings.Repeat("<a>", 100_000)), saml.ErrResponse, "too ")
	w.refused(b64("<a>"+strings.Repeat("<b/>", 60_000)+"</a>"), saml.ErrResponse, "too ")
	w.refused(b64("<a>"+strings.Repeat(" ", saml.MaxDocument)+"</a>"), saml.ErrResponse, "too large")
	w.refused(strings.Repeat("A", 4<<20), saml.ErrResponse, "too large")
	w.refused(b64(`<a x="1" x="2"/>`), saml.ErrResponse, "twice")
	w.refused(b64(`<?xml version="1.0" encoding="UTF-7"?><a/>`), saml.ErrResponse, "can be read")
	w.refused(b64(`<a/><b/>`), saml.ErrResponse, "too ")
	var spaces strings.Builder
	for n := range 5_000 {
		fmt.Fprintf(&spaces, ` xmlns:a%d="b"`, n)
	}
	w.refused(b64("<a"+spaces.String()+"/>"), saml.ErrResponse, "too ")
	w.refused("%%%", saml.ErrResponse, "cannot be read")
	w.refused("", saml.ErrResponse, "can be read")
}

// What is signed by the right one, but not for us, not now, or not for this.
func TestAttackHonestResponseForSomethingElse(t *testing.T) {
	w := start(t)
	before := func(change func(a *xsaml.Assertion)) string {
		w.idp.Set(func(p *samlprovider.Provider) { p.Before = change })
		defer w.idp.Set(func(p *samlprovider.Provider) { p.Before = nil })
		return w.asks("_request", false)
	}
	data := func(a *xsaml.Assertion) *xsaml.SubjectConfirmationData {
		return a.Subject.SubjectConfirmations[0].SubjectConfirmationData
	}
	w.refused(w.asks("_another", false), saml.ErrResponse, "another request")
	for reason, change := range map[string]func(a *xsaml.Assertion){
		"for somebody else":         func(a *xsaml.Assertion) { a.Conditions.AudienceRestrictions[0].Audience.Value = "https://other.test" },
		"whom it is for":            func(a *xsaml.Assertion) { a.Conditions.AudienceRestrictions = nil },
		"meant for another address": func(a *xsaml.Assertion) { data(a).Recipient = "https://other.test/acs" },
		"answers another request":   func(a *xsaml.Assertion) { data(a).InResponseTo = "" },
		"who may show it": func(a *xsaml.Assertion) {
			a.Subject.SubjectConfirmations[0].Method = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"
		},
		"is from another provider":        func(a *xsaml.Assertion) { a.Issuer.Value = "https://other.test" },
		"it lacks something":              func(a *xsaml.Assertion) { a.AuthnStatements = nil },
		"it is not valid yet":             func(a *xsaml.Assertion) { a.IssueInstant = w.now.Add(2 * time.Minute) },
		"it has expired":                  func(a *xsaml.Assertion) { a.IssueInstant = w.now.Add(-17 * time.Minute) },
		"expired, or is not valid yet":    func(a *xsaml.Assertion) { a.Conditions.NotBefore = w.now.Add(2 * time.Minute) },
		"it has expired, or is not valid": func(a *xsaml.Assertion) { data(a).NotOnOrAfter = w.now.Add(-2 * time.Minute) },
		"when it asked who you are":       func(a *xsaml.Assertion) { a.AuthnStatements[0].AuthnInstant = w.now.Add(time.Hour) },
		"session has ended": func(a *xsaml.Assertion) {
			end := w.now.Add(-time.Hour)
			a.AuthnStatements[0].SessionNotOnOrAfter = &end
		},
		"its subject is too long": func(a *xsaml.Assertion) { a.Subject.NameID.Value = strings.Repeat("x", 257) },
	} {
		w.refused(before(change), saml.ErrResponse, reason)
	}
	w.refused(samlprovider.Rewrite(t, w.asks("_request", false), func(s string) string {
		return strings.Replace(s, `Destination="`+us.ACS, `Destination="https://other.test/acs`, 1)
	}), saml.ErrResponse, "another address")
	w.refused(samlprovider.Rewrite(t, w.asks("_request", false), func(s string) string {
		return strings.Replace(s, "status:Success", "status:Responder", 1)
	}), saml.ErrRefused, "no reason")
	w.refused(samlprovider.Rewrite(t, w.asks("_request", false), func(s string) string {
		return strings.ReplaceAll(s, "saml:Assertion", "saml:EncryptedAssertion")
	}), saml.ErrResponse, "encrypted")
	// No request at all: what an IdP-initiated response has.
	if _, err := w.c.Read(w.m, us, "", w.asks("_request", false)); !errors.Is(err, saml.ErrResponse) {
		t.Errorf("IdP-initiated: %v", err)
	}
	if _, err := w.c.Read(w.m, saml.Party{EntityID: us.EntityID + "2", ACS: us.ACS}, "_request", w.asks("_request", false)); !errors.Is(err, saml.ErrResponse) {
		t.Errorf("for another provider of ours: %v", err)
	}
}

func TestMetadataThatCannotBeUsedIsRefused(t *testing.T) {
	w := start(t)
	good := string(w.idp.Metadata())
	if got, err := w.c.Metadata([]byte("<!-- exported -->\n" + good)); err != nil || got.EntityID != w.idp.URL || len(got.Certificates) != 1 || !strings.HasSuffix(got.SignOnURL, "/sso") {
		t.Errorf("%+v, %v", got, err)
	}
	wrapped := `<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">` + good + `</EntitiesDescriptor>`
	if got, err := w.c.Metadata([]byte(wrapped)); err != nil || got.EntityID != w.idp.URL {
		t.Errorf("%+v, %v", got, err)
	}
	end := strings.Index(good, "<X509Certificate")
	for reason, text := range map[string]string{
		"document type":        "<!DOCTYPE x>" + good,
		"can be read":          good[:len(good)/2],
		"too large":            good + strings.Repeat(" ", saml.MaxDocument),
		"is not SAML metadata": `<html/>`,
		"one identity":         strings.Replace(wrapped, good, good+good, 1),
		"identity provider":    string(us.Document()),
		"by HTTP-Redirect":     strings.ReplaceAll(good, "bindings:HTTP-Redirect", "bindings:SOAP"),
		"without https":        strings.ReplaceAll(good, "http://127.0.0.1", "javascript://127.0.0.1"),
		"no longer valid":      strings.Replace(good, `validUntil="20`, `validUntil="19`, 1),
		"entity id":            strings.Replace(good, `entityID="http`, `entityID="a b`, 1),
		"that cannot be read":  good[:end] + strings.Replace(good[end:], ">M", ">###", 1),
		"one to ten":           strings.ReplaceAll(good, `use="signing"`, `use="encryption"`),
	} {
		_, err := w.c.Metadata([]byte(text))
		if e, ok := errors.AsType[*saml.Error](err); !ok || !errors.Is(err, saml.ErrMetadata) || !strings.Contains(e.Reason, reason) {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestMetadataIsReadWhereItMayBe(t *testing.T) {
	w := start(t)
	text, err := w.c.Fetch(t.Context(), w.idp.URL)
	if err != nil || !bytes.Contains(text, []byte("EntityDescriptor")) {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := saml.New(outbound.Rules{}, w).Fetch(t.Context(), w.idp.URL); !errors.Is(err, saml.ErrMetadata) || !strings.Contains(err.Error(), "may not ask") {
		t.Errorf("an address inside of the house: %v", err)
	}
	large := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(make([]byte, saml.MaxDocument+1)) }))
	defer large.Close()
	if _, err := w.c.Fetch(t.Context(), large.URL); !errors.Is(err, saml.ErrMetadata) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a large one: %v", err)
	}
}

// The seeds are an honest response and the metadata of whoever signed it, and
// the clock stands still, so that an input means the same in each process.
func FuzzRead(f *testing.F) {
	var seeds [2][]byte
	for i, name := range []string{"testdata/metadata.xml", "testdata/response.xml"} {
		var err error
		if seeds[i], err = os.ReadFile(name); err != nil {
			f.Fatal(err)
		}
		f.Add(seeds[i])
	}
	f.Add([]byte(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Version="2.0" InResponseTo="_request"/>`))
	c := client(clock.NewManual(time.Date(2026, 11, 23, 21, 4, 10, 0, time.UTC)))
	m, err := c.Metadata(seeds[0])
	if err != nil {
		f.Fatal(err)
	}
	if said, err := c.Read(m, us, "_request", base64.StdEncoding.EncodeToString(seeds[1])); err != nil || said.Name != "person-1" {
		f.Fatalf("the honest one: %+v, %v", said, err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		said, err := c.Read(m, us, "_request", base64.StdEncoding.EncodeToString(text))
		if err == nil && (said.Name != "person-1" || said.Format != saml.Persistent || len(said.Attributes[samlprovider.GroupAttribute]) != 2) {
			t.Fatalf("somebody else: %+v", said)
		}
		_, _ = c.Metadata(text)
	})
}
