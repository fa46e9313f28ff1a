package saml

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

// What a signature may be made by: nothing with SHA-1, and nothing whose key
// both sides have.
var (
	methods = []string{
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
	}
	digests = []string{"http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512"}
	// Exclusive canonicalization alone: what an element means must not depend on
	// where somebody puts it.
	canonical = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// signed says whether an element carries a signature of its own.
func signed(el *etree.Element) bool { return len(children(el, nsSignature, "Signature")) > 0 }

// verified is the element as it was signed by one of the certificates, without
// the signature: read again from the bytes that the signature covers, so that
// nothing else of the document can have got into it.
func verified(el *etree.Element, certs []*x509.Certificate, now time.Time) (*etree.Element, error) {
	if err := shape(el); err != nil {
		return nil, refuse(ErrSignature, err.Error(), nil)
	}
	ns, err := etreeutils.NSBuildParentContext(el)
	if err == nil {
		ns, err = ns.SubContext(el)
	}
	if err != nil {
		return nil, unread(err)
	}
	alone, err := etreeutils.NSDetatch(ns, el)
	if err != nil {
		return nil, unread(err)
	}
	// Which certificate it says it is signed by is of no interest: all that may
	// be are known.
	if sig := only(alone, nsSignature, "Signature"); sig != nil {
		for _, info := range children(sig, nsSignature, "KeyInfo") {
			sig.RemoveChild(info)
		}
	}
	expired := false
	var last error
	for _, cert := range certs {
		if now.Before(cert.NotBefore.Add(-Skew)) || now.After(cert.NotAfter.Add(Skew)) {
			expired = true
			continue
		}
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
		ctx.IdAttribute = "ID"
		ctx.Clock = dsig.NewFakeClockAt(latest(earliest(now, cert.NotAfter), cert.NotBefore))
		out, err := ctx.Validate(alone)
		if errors.Is(err, etreeutils.ErrTraversalLimit) {
			return nil, unread(err)
		}
		if err != nil {
			last = err
			continue
		}
		if out == nil || out.Tag != el.Tag || out.NamespaceURI() != el.NamespaceURI() || out.SelectAttrValue("ID", "") != el.SelectAttrValue("ID", "") || signed(out) {
			return nil, refuse(ErrSignature, "it is not what was signed", nil)
		}
		return out, nil
	}
	if last == nil && expired {
		return nil, refuse(ErrSignature, "the provider's certificate has expired", nil)
	}
	return nil, refuse(ErrSignature, "its signature is not the provider's", last)
}

// unread is what goxmldsig does not look at: it goes to a thousand elements.
func unread(err error) error {
	if errors.Is(err, etreeutils.ErrTraversalLimit) {
		return refuse(ErrResponse, "it has too many parts: have the provider send fewer groups", err)
	}
	return refuse(ErrSignature, "its names are of no namespace", err)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// shape refuses every form of signature but the one that SAML wants (Core
// section 5.4): one in the element, of the whole element and nothing else.
func shape(el *etree.Element) error {
	wrong := errors.New("its signature does not have the form that it should have")
	sig := only(el, nsSignature, "Signature")
	if sig == nil || len(sig.FindElements(".//Signature")) > 0 || len(children(sig, nsSignature, "Object")) > 0 {
		return wrong
	}
	ids := 0
	for _, a := range el.Attr {
		if a.Key == "ID" {
			ids++
		}
	}
	info := only(sig, nsSignature, "SignedInfo")
	if ids != 1 || info == nil || only(sig, nsSignature, "SignatureValue") == nil || len(sig.ChildElements()) > 3 {
		return wrong
	}
	c14n, method, ref := only(info, nsSignature, "CanonicalizationMethod"), only(info, nsSignature, "SignatureMethod"), only(info, nsSignature, "Reference")
	if c14n == nil || method == nil || ref == nil || len(info.ChildElements()) != 3 {
		return wrong
	}
	transforms, digest := only(ref, nsSignature, "Transforms"), only(ref, nsSignature, "DigestMethod")
	if transforms == nil || digest == nil || only(ref, nsSignature, "DigestValue") == nil || len(ref.ChildElements()) != 3 {
		return wrong
	}
	if id := el.SelectAttrValue("ID", ""); id == "" || ref.SelectAttrValue("URI", "") != "#"+id {
		return errors.New("its signature is of something else")
	}
	if !slices.Contains(methods, algorithm(method)) || !slices.Contains(digests, algorithm(digest)) {
		return errors.New("it is signed by a method that is not accepted")
	}
	all := transforms.ChildElements()
	if len(all) != 2 || algorithm(all[0]) != enveloped || algorithm(all[1]) != canonical || algorithm(c14n) != canonical {
		return errors.New("it is signed by a method that is not accepted")
	}
	return nil
}

func algorithm(el *etree.Element) string { return el.SelectAttrValue("Algorithm", "") }
