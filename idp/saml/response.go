package saml

import (
	"encoding/base64"
	"encoding/xml"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// Said is what a provider says of somebody, checked.
type Said struct {
	ID         string    // of the assertion
	Until      time.Time // nobody would take the assertion any more
	Name       string    // of the person; "" without one
	Format     string    // of the name
	At         time.Time // when the provider asked the person who they are
	Contexts   []string  // how it asked (AuthnContextClassRef)
	Attributes map[string][]string
}

type assertion struct {
	XMLName  xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:assertion Assertion"`
	ID       string   `xml:"ID,attr"`
	Version  string   `xml:"Version,attr"`
	Issued   string   `xml:"IssueInstant,attr"`
	Issuer   []string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Issuer"`
	Subjects []struct {
		Names []struct {
			Format string `xml:"Format,attr"`
			Value  string `xml:",chardata"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:assertion NameID"`
		Confirmations []confirmation `xml:"urn:oasis:names:tc:SAML:2.0:assertion SubjectConfirmation"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion Subject"`
	Conditions []struct {
		window
		Audiences []struct {
			Audience []string `xml:"urn:oasis:names:tc:SAML:2.0:assertion Audience"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:assertion AudienceRestriction"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion Conditions"`
	Statements []struct {
		At      string   `xml:"AuthnInstant,attr"`
		End     string   `xml:"SessionNotOnOrAfter,attr"`
		Classes []string `xml:"AuthnContext>AuthnContextClassRef"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion AuthnStatement"`
	Attributes []struct {
		All []struct {
			Name   string   `xml:"Name,attr"`
			Values []string `xml:"urn:oasis:names:tc:SAML:2.0:assertion AttributeValue"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:assertion Attribute"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion AttributeStatement"`
}

type confirmation struct {
	Method string `xml:"Method,attr"`
	Data   []struct {
		window
		Recipient    string `xml:"Recipient,attr"`
		InResponseTo string `xml:"InResponseTo,attr"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:assertion SubjectConfirmationData"`
}

// window is when something is valid; "" is no limit.
type window struct {
	From string `xml:"NotBefore,attr"`
	To   string `xml:"NotOnOrAfter,attr"`
}

// Read checks a response as the browser has brought it (base64), to the request
// with that id. IdP-initiated responses, which answer no request, are not
// accepted: anybody could sign somebody else in as themselves by one. Encrypted
// ones are not either: they come by TLS from the person's own browser.
func (c *Client) Read(m Metadata, p Party, request, response string) (Said, error) {
	bad := func(reason string) (Said, error) { return Said{}, refuse(ErrResponse, reason, nil) }
	now := c.clock.Now()
	if len(response) > base64.StdEncoding.EncodedLen(MaxDocument)*2 {
		return bad("it is too large")
	}
	text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(response), ""))
	if err != nil || request == "" {
		return bad("it cannot be read")
	}
	if err := wellFormed(text, true); err != nil {
		return bad(err.Error())
	}
	doc := etree.NewDocument()
	doc.ReadSettings.MaxDepth = maxDepth
	if err := doc.ReadFromBytes(text); err != nil {
		return Said{}, refuse(ErrResponse, "it is not XML that can be read", err)
	}
	root := doc.Root()
	if root == nil || root.Tag != "Response" || root.NamespaceURI() != nsProtocol || root.SelectAttrValue("Version", "") != "2.0" {
		return bad("it is not a response of SAML 2.0")
	}
	// These are looked at whether or not a signature covers them: they can only
	// lead to a refusal.
	if root.SelectAttrValue("InResponseTo", "") != request {
		return bad("it answers another request, or none")
	}
	if d := root.SelectAttr("Destination"); d == nil && signed(root) || d != nil && d.Value != p.ACS {
		return bad("it is meant for another address")
	}
	if i := children(root, nsAssertion, "Issuer"); len(i) > 1 || len(i) == 1 && strings.TrimSpace(i[0].Text()) != m.EntityID {
		return bad("it is from another provider")
	}
	if err := status(root); err != nil {
		return Said{}, err
	}
	one, err := theOne(root)
	if err != nil {
		return Said{}, err
	}
	switch whole, part := signed(root), signed(one); {
	case !whole && !part:
		return Said{}, refuse(ErrSignature, "it is not signed", nil)
	case whole:
		if root, err = verified(root, m.Certificates, now); err != nil {
			return Said{}, err
		}
		if one, err = theOne(root); err != nil {
			return Said{}, err
		}
		if part = signed(one); !part {
			break
		}
		fallthrough
	default:
		if one, err = verified(one, m.Certificates, now); err != nil {
			return Said{}, err
		}
	}
	alone := etree.NewDocument()
	alone.SetRoot(one.Copy())
	if text, err = alone.WriteToBytes(); err != nil {
		return Said{}, refuse(ErrResponse, "it is not XML that can be read", err)
	}
	var a assertion
	if err := xml.Unmarshal(text, &a); err != nil {
		return Said{}, refuse(ErrResponse, "it is not XML that can be read", err)
	}
	return a.check(m, p, request, now)
}

// status says whether the provider let the person in (Core section 3.2.2).
func status(root *etree.Element) error {
	s := only(root, nsProtocol, "Status")
	if s == nil {
		return refuse(ErrResponse, "it does not say whether it let you in", nil)
	}
	code := only(s, nsProtocol, "StatusCode")
	if code == nil {
		return refuse(ErrResponse, "it does not say whether it let you in", nil)
	}
	const prefix = "urn:oasis:names:tc:SAML:2.0:status:"
	if code.SelectAttrValue("Value", "") == prefix+"Success" {
		return nil
	}
	reason := "it gives no reason"
	if more := only(code, nsProtocol, "StatusCode"); more != nil {
		switch strings.TrimPrefix(more.SelectAttrValue("Value", ""), prefix) {
		case "AuthnFailed":
			reason = "it could not tell who you are"
		case "NoAuthnContext":
			reason = "it cannot ask as it was wanted to"
		case "InvalidNameIDPolicy":
			reason = "it gives no persistent names; name an attribute that identifies people"
		case "RequestDenied", "RequestUnsupported":
			reason = "it does not take our request"
		}
	}
	return refuse(ErrRefused, reason, nil)
}

// theOne is the assertion of a response: the only one, wherever one could hide,
// and the only element with its id.
func theOne(root *etree.Element) (*etree.Element, error) {
	ids := map[string]bool{}
	count, encrypted, twice := 0, false, false
	var walk func(*etree.Element)
	walk = func(e *etree.Element) {
		switch e.Tag {
		case "Assertion":
			count++
		case "EncryptedAssertion":
			encrypted = true
		}
		for _, a := range e.Attr {
			if strings.EqualFold(a.Key, "id") {
				twice = twice || ids[a.Value]
				ids[a.Value] = true
			}
		}
		for _, c := range e.ChildElements() {
			walk(c)
		}
	}
	walk(root)
	found := only(root, nsAssertion, "Assertion")
	switch {
	case encrypted:
		return nil, refuse(ErrResponse, "it is encrypted, which is not supported: have the provider sign it only", nil)
	case count > 1 || twice:
		return nil, refuse(ErrResponse, "it has more than one assertion, or one id twice", nil)
	case found == nil:
		return nil, refuse(ErrResponse, "it has no assertion", nil)
	}
	return found, nil
}

// holds says whether now is within a window; the second is whether it says when.
func (w window) holds(now time.Time) (ok, said bool) {
	if w.From != "" {
		t, err := time.Parse(time.RFC3339Nano, w.From)
		if err != nil || now.Add(Skew).Before(t) {
			return false, false
		}
	}
	if w.To == "" {
		return true, false
	}
	t, err := time.Parse(time.RFC3339Nano, w.To)
	return err == nil && now.Add(-Skew).Before(t), true
}

// check is Profiles section 4.1.4.3.
func (a assertion) check(m Metadata, p Party, request string, now time.Time) (Said, error) {
	out := Said{ID: a.ID, Attributes: map[string][]string{}}
	bad := func(reason string) (Said, error) {
		return Said{Name: out.Name}, refuse(ErrResponse, reason, nil)
	}
	if a.Version != "2.0" || len(a.Subjects) != 1 || len(a.Subjects[0].Names) > 1 || len(a.Conditions) != 1 || len(a.Issuer) != 1 || len(a.Statements) == 0 {
		return bad("it lacks something, or says it twice")
	}
	if strings.TrimSpace(a.Issuer[0]) != m.EntityID {
		return bad("it is from another provider")
	}
	for _, n := range a.Subjects[0].Names {
		out.Name, out.Format = strings.TrimSpace(n.Value), n.Format
		if utf8.RuneCountInString(out.Name) > maxSubject {
			return bad("its subject is too long")
		}
	}
	issued, err := time.Parse(time.RFC3339Nano, a.Issued)
	if err != nil || now.Add(Skew).Before(issued) {
		return bad("it is not valid yet")
	}
	if issued.Add(maxAge + Skew).Before(now) {
		return bad("it has expired")
	}
	out.Until = issued.Add(maxAge + 2*Skew)
	conditions := a.Conditions[0]
	if ok, _ := conditions.holds(now); !ok {
		return bad("it has expired, or is not valid yet")
	}
	if len(conditions.Audiences) == 0 {
		return bad("it does not say whom it is for")
	}
	for _, r := range conditions.Audiences { // each must hold, by one of its own
		if !slices.ContainsFunc(r.Audience, func(v string) bool { return strings.TrimSpace(v) == p.EntityID }) {
			return bad("it is for somebody else")
		}
	}
	reason := "it does not say who may show it"
	if !slices.ContainsFunc(a.Subjects[0].Confirmations, func(c confirmation) bool { return c.holds(p, request, now, &reason) }) {
		return bad(reason)
	}
	for _, s := range a.Statements {
		at, err := time.Parse(time.RFC3339Nano, s.At)
		if err != nil || now.Add(Skew).Before(at) {
			return bad("it does not say when it asked who you are")
		}
		if ok, _ := (window{To: s.End}).holds(now); !ok {
			return bad("the provider's session has ended")
		}
		if out.At.IsZero() || at.Before(out.At) {
			out.At = at.UTC()
		}
		for _, class := range s.Classes {
			out.Contexts = append(out.Contexts, strings.TrimSpace(class))
		}
	}
	for _, statement := range a.Attributes {
		for _, at := range statement.All {
			for _, v := range at.Values {
				out.Attributes[at.Name] = append(out.Attributes[at.Name], strings.TrimSpace(v))
			}
		}
	}
	return out, nil
}

// holds says whether whoever brings it may show it: to us, for our request, now.
func (c confirmation) holds(p Party, request string, now time.Time, reason *string) bool {
	if c.Method != "urn:oasis:names:tc:SAML:2.0:cm:bearer" || len(c.Data) != 1 {
		return false
	}
	d := c.Data[0]
	ok, said := d.holds(now)
	switch {
	case d.Recipient != p.ACS:
		*reason = "it is meant for another address"
	case d.InResponseTo != request:
		*reason = "it answers another request, or none"
	case !ok || !said:
		*reason = "it has expired, or is not valid yet"
	default:
		return true
	}
	return false
}
