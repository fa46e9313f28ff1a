package account

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

func signer(t testing.TB, k any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func keyText(t testing.TB, k any) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(k.(crypto.PrivateKey), "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func newECDSA(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sshLine is a certificate for k, signed by ca after change.
func sshLine(t testing.TB, k ssh.PublicKey, ca ssh.Signer, change func(*ssh.Certificate)) string {
	t.Helper()
	c := &ssh.Certificate{
		Key: k, Serial: 7, CertType: ssh.UserCert, KeyId: "deploy", ValidPrincipals: []string{"root", "deploy"},
		ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix()),
	}
	change(c)
	if err := c.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(c))
}

func TestSSHCertificateIsKeptWithItsKeyAndSaysHowLongItIsGood(t *testing.T) {
	ca := signer(t, newECDSA(t))
	for name, k := range keys(t) {
		line := sshLine(t, signer(t, k).PublicKey(), ca, func(*ssh.Certificate) {})
		in := NewCredential{Kind: SSHCertificate, PrivateKey: secret.New(keyText(t, k)), Certificate: line}
		plain, public, err := in.Read("test", now)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if public.PublicKey != strings.TrimSpace(line) || public.Subject != "deploy" || public.Serial != "7" || len(public.Principals) != 2 ||
			!public.NotAfter.Equal(now.Add(time.Hour)) || public.Issuer != ssh.FingerprintSHA256(ca.PublicKey()) || public.Fingerprint != ssh.FingerprintSHA256(signer(t, k).PublicKey()) {
			t.Fatalf("%s: %+v", name, public)
		}
		key, certificate := SSHCertificate.Parts(plain.Clone())
		kept, err := ssh.ParsePrivateKey(key.Expose())
		if err != nil || !bytes.Equal(kept.PublicKey().Marshal(), signer(t, k).PublicKey().Marshal()) || certificate != public.PublicKey {
			t.Fatalf("%s: what is kept does not come apart: %v", name, err)
		}
	}
}

func TestSSHCertificateThatLogsNobodyInIsRefused(t *testing.T) {
	k, other, ca := newECDSA(t), newECDSA(t), signer(t, newECDSA(t))
	mine := signer(t, k).PublicKey()
	nothing := func(*ssh.Certificate) {}
	good := sshLine(t, mine, ca, nothing)
	forged := sshLine(t, mine, ca, nothing)
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(forged))
	if err != nil {
		t.Fatal(err)
	}
	parsed.(*ssh.Certificate).ValidPrincipals = []string{"somebody-else"}
	for name, line := range map[string]string{
		"for another key":  sshLine(t, signer(t, other).PublicKey(), ca, nothing),
		"a host's":         sshLine(t, mine, ca, func(c *ssh.Certificate) { c.CertType = ssh.HostCert }),
		"expired":          sshLine(t, mine, ca, func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) }),
		"unknown option":   sshLine(t, mine, ca, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"CANARY": ""} }),
		"changed":          string(ssh.MarshalAuthorizedKey(parsed)),
		"a key":            string(ssh.MarshalAuthorizedKey(mine)),
		"two":              good + good,
		"with options":     `command="CANARY" ` + good,
		"nothing readable": "CANARY",
	} {
		t.Run(name, func(t *testing.T) {
			in := NewCredential{Kind: SSHCertificate, PrivateKey: secret.New(keyText(t, k)), Certificate: line}
			_, _, err := in.Read("test", now)
			invalid(t, err, "credential.certificate")
			if strings.Contains(err.Error(), "CANARY") {
				t.Fatal(err)
			}
		})
	}
	for end, want := range map[uint64]time.Time{ssh.CertTimeInfinity: {}, 1 << 62: {}, endOfTime: time.Unix(endOfTime, 0).UTC()} {
		in := NewCredential{Kind: SSHCertificate, PrivateKey: secret.New(keyText(t, k)), Certificate: sshLine(t, mine, ca, func(c *ssh.Certificate) { c.ValidBefore = end })}
		_, public, err := in.Read("test", now)
		if err != nil || !public.NotAfter.Equal(want) {
			t.Fatalf("valid before %d: %v, %v", end, public.NotAfter, err)
		}
	}
}

// issued is a certificate for k by an issuer, or by itself.
func issued(t testing.TB, k, by crypto.Signer, parent *x509.Certificate, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(255), Subject: pkix.Name{CommonName: "app"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	change(tpl)
	if parent == nil {
		parent = tpl
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, parent, k.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.Subject = true, x509.KeyUsageCertSign, nil, pkix.Name{CommonName: "CA"}
}

func chainText(chain ...*x509.Certificate) string {
	var out bytes.Buffer
	for _, c := range chain {
		out.WriteString("# as tools write it: " + c.Subject.CommonName + "\n")
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return out.String()
}

func TestTLSClientIsKeptAsWhatATLSClientReads(t *testing.T) {
	caKey := newECDSA(t)
	ca := issued(t, caKey, caKey, nil, authority)
	for name, k := range keys(t) {
		leaf := issued(t, signing(k), caKey, ca, func(*x509.Certificate) {})
		plain, public, err := NewCredential{Kind: TLSClient, PrivateKey: secret.New(keyText(t, k)), Certificate: chainText(leaf, ca)}.Read("test", now)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if public.Subject != "CN=app" || public.Issuer != "CN=CA" || public.Serial != "ff" || !public.NotAfter.Equal(now.Add(time.Hour)) ||
			len(public.Fingerprint) != len("SHA256:")+32*3-1 || !strings.HasPrefix(public.PublicKey, "-----BEGIN CERTIFICATE-----") || strings.Contains(public.PublicKey, "PRIVATE") {
			t.Fatalf("%s: %+v", name, public)
		}
		if bytes.Contains(plain.Expose(), []byte("as tools write it")) {
			t.Fatal("what stood around the certificates was kept")
		}
		key, certificate := TLSClient.Parts(plain.Clone())
		pair, err := tls.X509KeyPair([]byte(certificate), key.Expose())
		if err != nil || len(pair.Certificate) != 2 {
			t.Fatalf("%s: %d certificates, %v", name, len(pair.Certificate), err)
		}
		if pair, err = tls.X509KeyPair(plain.Expose(), plain.Expose()); err != nil || len(pair.Certificate) != 2 {
			t.Fatalf("%s: what is revealed is not one file for a client: %v", name, err)
		}
	}
	spiffe := issued(t, caKey, caKey, nil, func(c *x509.Certificate) {
		c.Subject, c.URIs = pkix.Name{}, []*url.URL{{Scheme: "spiffe", Host: "example", Path: "/app"}}
	})
	_, public, err := NewCredential{Kind: TLSClient, PrivateKey: secret.New(keyText(t, caKey)), Certificate: chainText(spiffe)}.Read("test", now)
	if err != nil || public.Subject != "spiffe://example/app" {
		t.Fatalf("%+v, %v", public, err)
	}
}

func signing(k any) crypto.Signer { return k.(crypto.Signer) }

func TestTLSClientThatFitsNothingIsRefused(t *testing.T) {
	k, caKey, otherKey := newECDSA(t), newECDSA(t), newECDSA(t)
	ca, other := issued(t, caKey, caKey, nil, authority), issued(t, otherKey, otherKey, nil, authority)
	nothing := func(*x509.Certificate) {}
	leaf := issued(t, k, caKey, ca, nothing)
	many := make([]*x509.Certificate, maxChain+1)
	for i := range many {
		many[i] = leaf
	}
	for name, text := range map[string]string{
		"for another key":    chainText(issued(t, otherKey, caKey, ca, nothing), ca),
		"in the wrong order": chainText(ca, leaf),
		"of another CA":      chainText(leaf, other),
		"for servers":        chainText(issued(t, k, caKey, ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })),
		"expired":            chainText(issued(t, k, caKey, ca, func(c *x509.Certificate) { c.NotAfter = now })),
		"too many":           chainText(many...),
		"with a key":         chainText(leaf) + string(keyText(t, k)),
		"with rubbish":       chainText(leaf) + "CANARY",
		"rubbish":            "-----BEGIN CERTIFICATE-----\nQ0FOQVJZ\n-----END CERTIFICATE-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := NewCredential{Kind: TLSClient, PrivateKey: secret.New(keyText(t, k)), Certificate: text}.Read("test", now)
			invalid(t, err, "credential.certificate")
			if strings.Contains(err.Error(), "CANARY") {
				t.Fatal(err)
			}
		})
	}
}

func TestTokenShowsWhatItSaysOfItselfAndNothingElse(t *testing.T) {
	exp := now.Add(time.Hour).Unix()
	said := jwt(`{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:default:ci","exp":` + big.NewInt(exp).String() + `,"secret":"CANARY"}`)
	for value, want := range map[string]Public{
		said:     {Issuer: "https://kubernetes.default.svc", Subject: "system:serviceaccount:default:ci", NotAfter: time.Unix(exp, 0).UTC()},
		"opaque": {}, "a.b.c": {}, jwt(`[]`): {}, jwt(`{"iss":5}`): {}, jwt(`{"exp":1e300,"nbf":-1,"iss":"a\u202eb","sub":"` + strings.Repeat("x", 300) + `"}`): {},
	} {
		plain, public, err := NewCredential{Kind: KubernetesToken, Value: secret.FromString(value)}.Read("test", now)
		if err != nil || string(plain.Expose()) != value {
			t.Fatalf("%s: %v", value, err)
		}
		if public.Issuer != want.Issuer || public.Subject != want.Subject || !public.NotAfter.Equal(want.NotAfter) || !public.NotBefore.IsZero() {
			t.Fatalf("%s: %+v", value, public)
		}
	}
}

func TestKindsFitWhereTheyCanLogIn(t *testing.T) {
	for _, at := range pam.Protocols {
		if len(fits[at]) == 0 {
			t.Errorf("nothing logs in to %s", at)
		}
	}
	for k := range parts {
		if !Fits(k, "") {
			t.Errorf("%s does not fit a domain account", k)
		}
	}
	if Fits(SSHKey, pam.PostgreSQL) || Fits(Token, pam.SSH) || Fits(Made, pam.RDP) || Fits(Password, "gopher") || !Fits(TLSClient, pam.PostgreSQL) {
		t.Error("a kind fits where it cannot log in")
	}
	if len(parts) != len(Kinds) {
		t.Errorf("%d kinds have parts, there are %d", len(parts), len(Kinds))
	}
}

func TestEphemeralSettingsHaveLimits(t *testing.T) {
	many := strings.Split(strings.Repeat("x,", 100)+"x", ",")
	for field, e := range map[string]Ephemeral{
		"ttl_seconds":          {TTLSeconds: 29},
		"ttl_seconds ":         {TTLSeconds: 86401},
		"admin_account_id":     {AdminAccountID: "acc_x"},
		"principals":           {Principals: many},
		"principals[1]":        {Principals: []string{"root", "a,b"}},
		"principals[0]":        {Principals: []string{" "}},
		"create_statements[0]": {CreateStatements: []string{strings.Repeat("x", maxStatement+1)}},
		"revoke_statements[0]": {RevokeStatements: []string{"DROP\x00"}},
		"rules[0]":             {Rules: []string{"+get\n+set"}},
		"rules":                {Rules: many},
	} {
		_, _, err := NewCredential{Kind: Made, Ephemeral: &e}.Read("test", now)
		invalid(t, err, "credential.ephemeral."+strings.TrimSpace(field))
	}
	plain, _, err := NewCredential{Kind: Made, Ephemeral: &Ephemeral{Principals: []string{"root"}, TTLSeconds: 120}}.Read("test", now)
	if err != nil || !plain.Empty() {
		t.Fatal(err)
	}
	e := Ephemeral{Principals: []string{"root"}}
	if e.fit("test", pam.SSH) != nil || !pam.Is(e.fit("test", pam.PostgreSQL), pam.Invalid) || e.fit("test", "") != nil {
		t.Fatal("principals fit SSH alone")
	}
}

func FuzzCertificate(f *testing.F) {
	k := newECDSA(f)
	text := keyText(f, k)
	f.Add(sshLine(f, signer(f, k).PublicKey(), signer(f, newECDSA(f)), func(*ssh.Certificate) {}), true)
	f.Add(chainText(issued(f, k, k, nil, func(*x509.Certificate) {})), false)
	f.Fuzz(func(t *testing.T, certificate string, isSSH bool) {
		kind := TLSClient
		if isSSH {
			kind = SSHCertificate
		}
		plain, public, err := NewCredential{Kind: kind, PrivateKey: secret.New(bytes.Clone(text)), Certificate: certificate}.Read("test", now)
		if err != nil {
			if !pam.Is(err, pam.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if key, kept := kind.Parts(plain); key.Empty() || kept == "" || public.PublicKey == "" {
			t.Fatal("accepted, but what is kept does not come apart")
		}
		if _, err := public.NotAfter.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzClaims(f *testing.F) {
	f.Add(jwt(`{"iss":"x","exp":2000000000}`))
	f.Fuzz(func(t *testing.T, token string) {
		p := claims([]byte(token))
		for _, at := range []time.Time{p.NotBefore, p.NotAfter} {
			if _, err := at.MarshalJSON(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
