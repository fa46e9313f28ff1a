package account

import (
	"bytes"
	//lint:ignore SA1019 such a key has to be made to show that it is refused
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func jwt(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + "."
}

func keys(t *testing.T) map[string]any {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"ed25519": ed, "ecdsa": ec, "rsa": rs}
}

func sshKey(text []byte, passphrase string) NewCredential {
	return NewCredential{Kind: SSHKey, PrivateKey: secret.New(bytes.Clone(text)), Passphrase: secret.FromString(passphrase)}
}

func TestPrivateKeyIsKeptWithItsPublicHalfAndWithoutItsPassphrase(t *testing.T) {
	for name, k := range keys(t) {
		signer, err := ssh.NewSignerFromKey(k)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		block, err := ssh.MarshalPrivateKeyWithPassphrase(k, "comment", []byte("open sesame"))
		if err != nil {
			t.Fatal(err)
		}
		encrypted := pem.EncodeToMemory(block)
		plain, public, err := sshKey(encrypted, "open sesame").Read("test", now)
		if err != nil || public.PublicKey != want || public.Fingerprint != ssh.FingerprintSHA256(signer.PublicKey()) {
			t.Fatalf("%s: public %q, %v", name, public, err)
		}
		kept, err := ssh.ParsePrivateKey(plain.Expose())
		if err != nil || !bytes.Equal(kept.PublicKey().Marshal(), signer.PublicKey().Marshal()) {
			t.Fatalf("%s: what is kept does not open: %v", name, err)
		}
		for _, wrong := range []string{"", "other"} {
			_, _, err := sshKey(encrypted, wrong).Read("test", now)
			invalid(t, err, "credential.passphrase")
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
		plain, public, err = sshKey(text, "").Read("test", now)
		if err != nil || public.PublicKey != want || !bytes.Equal(plain.Expose(), text) {
			t.Fatalf("%s in PKCS #8: %v", name, err)
		}
	}
}

func invalid(t *testing.T, err error, field string) {
	t.Helper()
	e, ok := err.(*pam.Error)
	if !ok || e.Kind != pam.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != field {
		t.Fatalf("%s: got %v", field, err)
	}
}

func TestCredentialThatCannotBeUsedIsRefusedByFieldAndNeverQuoted(t *testing.T) {
	text := func(s string) secret.Value { return secret.FromString(s) }
	public := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	for name, c := range map[string]struct {
		c     NewCredential
		field string
	}{
		"no kind":            {NewCredential{Value: text("CANARY")}, "credential.kind"},
		"ephemeral secret":   {NewCredential{Kind: Made, Value: text("CANARY")}, "credential.value"},
		"token in two lines": {NewCredential{Kind: Token, Value: text("CANARY\r\nHost: other")}, "credential.value"},
		"no token":           {NewCredential{Kind: KubernetesToken}, "credential.value"},
		"password's cert":    {NewCredential{Kind: Password, Value: text("x"), Certificate: "CANARY"}, "credential.certificate"},
		"no certificate":     {NewCredential{Kind: TLSClient, PrivateKey: text("CANARY")}, "credential.certificate"},
		"foreign settings":   {NewCredential{Kind: Password, Value: text("CANARY"), Ephemeral: &Ephemeral{}}, "credential.ephemeral"},
		"expired token":      {NewCredential{Kind: KubernetesToken, Value: text(jwt(`{"exp":1}`) + "CANARY")}, "credential.value"},
		"unknown":            {NewCredential{Kind: "CANARY", Value: text("CANARY")}, "credential.kind"},
		"no password":        {NewCredential{Kind: Password}, "credential.value"},
		"two lines":          {NewCredential{Kind: Password, Value: text("CANARY\nrm -rf /")}, "credential.value"},
		"too long":           {NewCredential{Kind: Password, Value: text(strings.Repeat("CANARY", 1000))}, "credential.value"},
		"password and key":   {NewCredential{Kind: Password, Value: text("x"), PrivateKey: text("CANARY")}, "credential.private_key"},
		"no key":             {NewCredential{Kind: SSHKey}, "credential.private_key"},
		"no such form":       {NewCredential{Kind: SSHKey, PrivateKey: text("CANARY")}, "credential.private_key"},
		"public key":         {NewCredential{Kind: SSHKey, PrivateKey: text(public)}, "credential.private_key"},
		"key as a password":  {NewCredential{Kind: SSHKey, Value: text("CANARY"), PrivateKey: text("x")}, "credential.value"},
		"key that is broken": {NewCredential{Kind: SSHKey, PrivateKey: text("-----BEGIN OPENSSH PRIVATE KEY-----\nQ0FOQVJZ\n-----END OPENSSH PRIVATE KEY-----\n")}, "credential.private_key"},
		"DSA":                {NewCredential{Kind: SSHKey, PrivateKey: secret.New(dsaKey(t))}, "credential.private_key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := c.c.Read("set credential", now)
			invalid(t, err, c.field)
			if s := fmt.Sprintf("%v %+v", err, c.c.Value); strings.Contains(s, "CANARY") {
				t.Fatalf("the error quotes the secret: %s", s)
			}
		})
	}
}

func dsaKey(t *testing.T) []byte {
	t.Helper()
	var k dsa.PrivateKey
	if err := dsa.GenerateParameters(&k.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		t.Fatal(err)
	}
	if err := dsa.GenerateKey(&k, rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		Version       int
		P, Q, G, Y, X *big.Int
	}{0, k.P, k.Q, k.G, k.Y, k.X})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: der})
}

func FuzzPrivateKey(f *testing.F) {
	f.Add([]byte("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"), "x")
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), "x")
	f.Fuzz(func(t *testing.T, text []byte, passphrase string) {
		plain, public, err := sshKey(text, passphrase).Read("test", now)
		if err != nil {
			if !pam.Is(err, pam.Invalid) {
				t.Fatal(err)
			}
			return
		}
		k, err := ssh.ParsePrivateKey(plain.Expose())
		if err != nil || strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.PublicKey()))) != public.PublicKey {
			t.Fatalf("accepted, but what is kept does not open: %v", err)
		}
	})
}
