// Package saml speaks SAML 2.0 as a service provider: it reads what an identity
// provider says of itself, sends a person there (HTTP-Redirect), and reads what
// their browser brings back (HTTP-POST).
//
// It owns the protocol (SAML Core, Bindings, Profiles and Metadata 2.0) and every
// check of a response. It believes nothing that a signature of the provider does
// not cover, and reads nothing but the bytes that were signed. It must not know
// whom an assertion is about, nor decide what anybody may do. Start at
// [Client.Request] and [Client.Read].
package saml

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/beevik/etree"

	"vaultpam/internal/clock"
	"vaultpam/internal/outbound"
)

// Skew is how far a provider's clock may be from ours.
const Skew = 60 * time.Second

// MaxDocument is how many bytes metadata and responses have at most.
const MaxDocument = 256 << 10

const (
	maxAge     = 15 * time.Minute // of an assertion, whatever it says of its end
	maxDepth   = 64
	maxNodes   = 20_000 // elements and attributes of a document
	maxSpaces  = 64     // prefixes of namespaces; each element has those around it
	maxSubject = 256    // Core section 8.3.7
	maxCerts   = 10
	minRSA     = 2048
)

// Names of the standards.
const (
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"

	bindingPost     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"

	// Persistent is the format of names that stay one person's (Core section 8.3.7).
	Persistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
)

// What can go wrong. An Error wraps one of them.
var (
	ErrMetadata  = errors.New("the provider's metadata cannot be used")
	ErrRefused   = errors.New("the provider did not let the person in")
	ErrResponse  = errors.New("the response was not accepted")
	ErrSignature = errors.New("the response is not signed by the provider")
)

// Error is a refusal. Reason is for people; it holds nothing that the other
// side has sent.
type Error struct {
	Kind   error  // ErrMetadata, ErrRefused, ErrResponse or ErrSignature
	Reason string // such as "it has expired"
	Err    error  // for the log; may quote the other side
}

func (e *Error) Error() string {
	s := e.Kind.Error() + ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

func refuse(kind error, reason string, err error) error { return &Error{kind, reason, err} }

// Client is safe for concurrent use.
type Client struct {
	http  *http.Client
	rules outbound.Rules
	clock clock.Clock
}

// New makes a Client that goes, and sends people, where the rules permit.
func New(rules outbound.Rules, c clock.Clock) *Client {
	rules.MaxBody = MaxDocument
	return &Client{http: outbound.New(rules), rules: rules, clock: c}
}

// Fetch reads metadata at an address. It is not parsed.
func (c *Client) Fetch(ctx context.Context, address string) ([]byte, error) {
	unreadable := func(err error) error {
		reason := "it cannot be read"
		switch {
		case errors.Is(err, outbound.ErrTooLarge):
			reason = "it is too large"
		case errors.Is(err, outbound.ErrAddress):
			reason = "it is at an address that this server may not ask"
		case errors.Is(err, outbound.ErrRedirect):
			reason = "its address leads elsewhere"
		}
		return refuse(ErrMetadata, reason, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, unreadable(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreadable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, unreadable(errors.New(resp.Status))
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, unreadable(err)
	}
	return text, nil
}

// wellFormed refuses what two readers of XML could take for different things,
// and what could cost one of them much: document types and their entities,
// another encoding than UTF-8, an attribute that is there twice, great depth. A
// response has neither comments nor processing instructions: names were cut at
// them (CVE-2017-11427 and its kin). strict is for responses.
func wellFormed(text []byte, strict bool) error {
	if len(text) > MaxDocument {
		return errors.New("it is too large")
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	depth, nodes, roots := 0, 0, 0
	prefixes := map[string]bool{}
	for {
		token, err := d.Token()
		if err == io.EOF && roots == 1 {
			return nil
		}
		if err != nil {
			return errors.New("it is not XML that can be read")
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				roots++
			}
			nodes += 1 + len(t.Attr)
			if depth > maxDepth || nodes > maxNodes || roots > 1 {
				return errors.New("it is too deep, or has too many parts")
			}
			seen := make(map[xml.Name]bool, len(t.Attr))
			for _, a := range t.Attr {
				if seen[a.Name] {
					return errors.New("it has an attribute twice")
				}
				seen[a.Name] = true
				if a.Name.Space == "xmlns" {
					prefixes[a.Name.Local] = true
				}
			}
			if len(prefixes) > maxSpaces {
				return errors.New("it is too deep, or has too many parts")
			}
		case xml.EndElement:
			depth--
		case xml.Directive:
			return errors.New("it has a document type, which is not accepted")
		case xml.ProcInst:
			if strict && (t.Target != "xml" || nodes > 0) {
				return errors.New("it has a processing instruction")
			}
		case xml.Comment:
			if strict {
				return errors.New("it has a comment")
			}
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return errors.New("it is not XML that can be read")
			}
		}
	}
}

// children are those of an element with that name.
func children(of *etree.Element, space, tag string) []*etree.Element {
	var out []*etree.Element
	for _, e := range of.ChildElements() {
		if e.Tag == tag && e.NamespaceURI() == space {
			out = append(out, e)
		}
	}
	return out
}

// only is the child of that name if there is just one; else nil.
func only(of *etree.Element, space, tag string) *etree.Element {
	if found := children(of, space, tag); len(found) == 1 {
		return found[0]
	}
	return nil
}
