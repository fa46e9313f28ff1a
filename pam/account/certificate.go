package account

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// maxChain is how many certificates a tls_client may bring.
const maxChain = 10

// sshCertificate reads a key and the certificate that a CA has signed for it.
func (c NewCredential) sshCertificate(ps *pam.Problems) (secret.Value, Public) {
	const field = "credential.certificate"
	raw, signer, _ := c.privateKey(ps)
	if signer == nil {
		return secret.Value{}, Public{}
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(c.Certificate))
	cert, ok := key.(*ssh.Certificate)
	if err != nil || !ok || len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		ps.Add(field, "is not one certificate in OpenSSH's form")
		return secret.Value{}, Public{}
	}
	if !bytes.Equal(cert.Key.Marshal(), signer.PublicKey().Marshal()) {
		ps.Add(field, "is for another key")
		return secret.Value{}, Public{}
	}
	principal := ""
	if len(cert.ValidPrincipals) > 0 {
		principal = cert.ValidPrincipals[0]
	}
	// Whether it is signed, for people and without options that nobody knows.
	// Whether it is still good is asked separately, to say so.
	checker := ssh.CertChecker{SupportedCriticalOptions: []string{"force-command", "source-address"}, Clock: func() time.Time { return time.Unix(int64(cert.ValidAfter), 0) }}
	if cert.CertType != ssh.UserCert || checker.CheckCert(principal, cert) != nil {
		ps.Add(field, "is not a user certificate that a CA has signed")
		return secret.Value{}, Public{}
	}
	public := Public{
		PublicKey: authorized(cert), Fingerprint: ssh.FingerprintSHA256(cert.Key), Subject: shown(cert.KeyId), Issuer: ssh.FingerprintSHA256(cert.SignatureKey),
		Serial: fmt.Sprint(cert.Serial), NotBefore: moment(cert.ValidAfter), NotAfter: moment(cert.ValidBefore),
	}
	for _, p := range cert.ValidPrincipals {
		if len(public.Principals) < maxPrincipals && naming.TextProblem(p, false) == "" {
			public.Principals = append(public.Principals, p)
		}
	}
	text := openSSH(raw, ps)
	defer text.Wipe()
	return secret.New(slices.Concat(text.Expose(), []byte(public.PublicKey), []byte("\n"))), public
}

// tlsClient reads a certificate, those that vouch for it, and its key.
func (c NewCredential) tlsClient(ps *pam.Problems) (secret.Value, Public) {
	const field = "credential.certificate"
	raw, signer, _ := c.privateKey(ps)
	if signer == nil {
		return secret.Value{}, Public{}
	}
	chain, text := readChain([]byte(c.Certificate))
	if len(chain) == 0 {
		ps.Add(field, fmt.Sprintf("must be 1 to %d certificates in PEM, and nothing else", maxChain))
		return secret.Value{}, Public{}
	}
	leaf := chain[0]
	if k, err := ssh.NewPublicKey(leaf.PublicKey); err != nil || !bytes.Equal(k.Marshal(), signer.PublicKey().Marshal()) {
		ps.Add(field, "is for another key; the client's own comes first")
		return secret.Value{}, Public{}
	}
	if uses := leaf.ExtKeyUsage; len(uses) > 0 && !slices.Contains(uses, x509.ExtKeyUsageClientAuth) && !slices.Contains(uses, x509.ExtKeyUsageAny) {
		ps.Add(field, "is not for clients")
		return secret.Value{}, Public{}
	}
	for i := range chain[1:] {
		if chain[i].CheckSignatureFrom(chain[i+1]) != nil {
			ps.Add(field, "is no chain: each certificate must be signed by the next")
			return secret.Value{}, Public{}
		}
	}
	key, err := pkcs8(raw)
	if err != nil {
		ps.Add("credential.private_key", "must be an ed25519, ECDSA or RSA key")
		return secret.Value{}, Public{}
	}
	defer clear(key)
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	defer clear(keyText)
	sum := sha256.Sum256(leaf.Raw)
	public := Public{
		PublicKey: strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}))), Fingerprint: "SHA256:" + strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":"),
		Subject: shown(subject(leaf)), Issuer: shown(leaf.Issuer.String()), Serial: leaf.SerialNumber.Text(16),
		NotBefore: moment(uint64(max(0, leaf.NotBefore.Unix()))), NotAfter: moment(uint64(max(1, leaf.NotAfter.Unix()))),
	}
	return secret.New(slices.Concat(text, keyText)), public
}

// readChain reads certificates in PEM and writes them again without what
// stands around them; none when there is anything else or too many.
func readChain(text []byte) (chain []*x509.Certificate, clean []byte) {
	for len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" || len(chain) == maxChain {
			return nil, nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil
		}
		chain = append(chain, c)
		clean = append(clean, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
		text = rest
	}
	return chain, clean
}

// subject is whom a certificate is for: some have an alternative name alone.
func subject(c *x509.Certificate) string {
	switch {
	case c.Subject.String() != "":
		return c.Subject.String()
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.EmailAddresses) > 0:
		return c.EmailAddresses[0]
	}
	return ""
}

func pkcs8(raw any) ([]byte, error) {
	if k, ok := raw.(*ed25519.PrivateKey); ok { // as OpenSSH's form is read
		raw = *k
	}
	return x509.MarshalPKCS8PrivateKey(raw.(crypto.PrivateKey))
}

// Parts takes apart what is sealed of a credential: the key and the
// certificate of a kind that has both, else one secret. It takes plain over,
// and whoever takes the parts wipes them.
func (k Kind) Parts(plain secret.Value) (one secret.Value, certificate string) {
	if k != SSHCertificate && k != TLSClient {
		return plain, ""
	}
	defer plain.Wipe()
	text := plain.Expose()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			one = secret.New(pem.EncodeToMemory(block))
			clear(block.Bytes)
			if k == SSHCertificate {
				certificate = strings.TrimSpace(string(rest))
			}
			return one, certificate
		}
		certificate += string(pem.EncodeToMemory(block))
	}
	return one, certificate
}
