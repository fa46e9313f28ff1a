package saml

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"net/url"
	"time"
)

// Ask is what goes with a person to the provider.
type Ask struct {
	ID         string // of the request: "_" and letters, digits, "-" or "_"
	RelayState string // comes back with the response; at most 80 bytes
	Fresh      bool   // the person is to authenticate anew
	Persistent bool   // we need a persistent name of them
}

// Request is where a person is sent (Bindings section 3.4). It is not signed:
// it says nothing that is not public, and the response says again whom it is
// for.
func (c *Client) Request(m Metadata, p Party, a Ask) (string, error) {
	force, policy := "", ""
	if a.Fresh {
		force = ` ForceAuthn="true"`
	}
	if a.Persistent {
		policy = `<samlp:NameIDPolicy AllowCreate="true" Format="` + Persistent + `"/>`
	}
	text := `<samlp:AuthnRequest xmlns:samlp="` + nsProtocol + `" ID="` + escaped(a.ID) + `" Version="2.0" IssueInstant="` + c.clock.Now().UTC().Format(time.RFC3339) +
		`" Destination="` + escaped(m.SignOnURL) + `" AssertionConsumerServiceURL="` + escaped(p.ACS) + `" ProtocolBinding="` + bindingPost + `"` + force +
		`><saml:Issuer xmlns:saml="` + nsAssertion + `">` + escaped(p.EntityID) + `</saml:Issuer>` + policy + `</samlp:AuthnRequest>`
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return withQuery(m.SignOnURL, url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(b.Bytes())}, "RelayState": {a.RelayState}})
}
