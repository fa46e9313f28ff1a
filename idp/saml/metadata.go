package saml

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Metadata is what we need of what a provider says of itself.
type Metadata struct {
	EntityID     string
	SignOnURL    string              // where people are sent, by HTTP-Redirect
	Certificates []*x509.Certificate // of which one has signed whatever is believed
}

// Party is us, as one provider knows us.
type Party struct {
	EntityID string
	ACS      string // the assertion consumer service: where the browser brings the response
}

type entity struct {
	EntityID   string `xml:"entityID,attr"`
	ValidUntil string `xml:"validUntil,attr"`
	IDP        []struct {
		ValidUntil string `xml:"validUntil,attr"`
		Protocols  string `xml:"protocolSupportEnumeration,attr"`
		Keys       []struct {
			Use          string   `xml:"use,attr"`
			Certificates []string `xml:"KeyInfo>X509Data>X509Certificate"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:metadata KeyDescriptor"`
		SignOn []struct {
			Binding  string `xml:"Binding,attr"`
			Location string `xml:"Location,attr"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:metadata SingleSignOnService"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:metadata IDPSSODescriptor"`
}

// Metadata reads what a provider says of itself, and is still valid. It must be
// the only identity provider in it. A signature of it is not looked at: whoever
// has brought it, or named the address where it is read by https, vouches for it.
func (c *Client) Metadata(text []byte) (Metadata, error) {
	m, until, err := c.parse(text)
	if err == nil && !until.IsZero() && !c.clock.Now().Before(until) {
		return Metadata{}, refuse(ErrMetadata, "it is no longer valid", nil)
	}
	return m, err
}

// Kept reads metadata that was taken before, however long ago: whether it is to
// be replaced is not decided while somebody signs in.
func (c *Client) Kept(text []byte) (Metadata, error) {
	m, _, err := c.parse(text)
	return m, err
}

func (c *Client) parse(text []byte) (out Metadata, until time.Time, err error) {
	bad := func(reason string, err error) (Metadata, time.Time, error) {
		return Metadata{}, until, refuse(ErrMetadata, reason, err)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if err := wellFormed(text, false); err != nil {
		return bad(err.Error(), nil)
	}
	var root struct {
		XMLName xml.Name
		entity
		Entities []entity `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
	}
	if err := xml.Unmarshal(text, &root); err != nil {
		return bad("it is not XML that can be read", err)
	}
	var found []entity
	switch {
	case root.XMLName.Space != nsMetadata:
		return bad("it is not SAML metadata", nil)
	case root.XMLName.Local == "EntityDescriptor":
		found = []entity{root.entity}
	case root.XMLName.Local == "EntitiesDescriptor":
		for _, e := range root.Entities {
			if len(e.IDP) > 0 {
				found = append(found, e)
			}
		}
	default:
		return bad("it is not SAML metadata", nil)
	}
	if len(found) != 1 || len(found[0].IDP) != 1 || !strings.Contains(" "+found[0].IDP[0].Protocols+" ", " "+nsProtocol+" ") {
		return bad("it is not that of one identity provider", nil)
	}
	e, idp := found[0], found[0].IDP[0]
	out.EntityID = e.EntityID
	if e.EntityID == "" || len(e.EntityID) > 1024 || strings.ContainsFunc(e.EntityID, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return bad("its entity id cannot be used", nil)
	}
	for _, text := range []string{root.ValidUntil, e.ValidUntil, idp.ValidUntil} {
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return bad("it does not say until when it is valid", err)
		}
		if until.IsZero() || t.Before(until) {
			until = t
		}
	}
	for _, s := range idp.SignOn {
		if s.Binding == bindingRedirect && out.SignOnURL == "" {
			out.SignOnURL = s.Location
		}
	}
	if out.SignOnURL == "" {
		return bad("it names no address for sign-in by HTTP-Redirect", nil)
	}
	// A person's browser is sent there: it must not be a script.
	if c.rules.CheckURL(out.SignOnURL) != "" {
		return bad("it names an address without https", nil)
	}
	for _, k := range idp.Keys {
		if k.Use != "" && k.Use != "signing" {
			continue
		}
		for _, text := range k.Certificates {
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			if err != nil {
				return bad("it has a certificate that cannot be read", err)
			}
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return bad("it has a certificate that cannot be read", err)
			}
			if !usable(cert) {
				return bad("it has a key that is too weak, or of a kind that is not accepted", nil)
			}
			out.Certificates = append(out.Certificates, cert)
		}
	}
	if len(out.Certificates) == 0 || len(out.Certificates) > maxCerts {
		return bad("it must have one to ten certificates for signatures", nil)
	}
	return out, until, nil
}

func usable(c *x509.Certificate) bool {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSA && key.N.BitLen() <= 8192
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize >= 256
	}
	return false
}

// Document is our metadata for a provider.
func (p Party) Document() []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="` + nsMetadata + `" entityID="` + escaped(p.EntityID) + `">
  <md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="` + nsProtocol + `">
    <md:NameIDFormat>` + Persistent + `</md:NameIDFormat>
    <md:AssertionConsumerService Binding="` + bindingPost + `" Location="` + escaped(p.ACS) + `" index="0" isDefault="true"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>
`)
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a Buffer takes everything
	return b.String()
}

// withQuery adds parameters to an address that may have some.
func withQuery(address string, more url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	for k, v := range more {
		q[k] = v
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}
