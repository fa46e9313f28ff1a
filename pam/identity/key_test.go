package identity_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/identity"
)

// lineOf is the line of a public key.
func lineOf(t testing.TB, public any) string {
	t.Helper()
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(must[ssh.PublicKey](t)(ssh.NewPublicKey(public)))))
}

// modulus is an RSA key of so many bits, which nobody has the other half of.
func modulus(t testing.TB, bits uint) string {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return lineOf(t, &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537})
}

// blob is the line of a key of any type with any fields.
func blob(keyType string, fields ...any) string {
	b := ssh.Marshal(struct{ Type string }{keyType})
	for _, f := range fields {
		switch f := f.(type) {
		case []byte:
			b = append(b, ssh.Marshal(struct{ V []byte }{f})...)
		case *big.Int:
			b = append(b, ssh.Marshal(struct{ V *big.Int }{f})...)
		}
	}
	return keyType + " " + base64.StdEncoding.EncodeToString(b)
}

func TestKeysThatAreTaken(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, ed := newKey(t)
		lines := map[string]string{"ed25519": ed, "RSA of 2048 bits": modulus(t, 2048), "RSA of 16384 bits": modulus(t, 16384)}
		for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
			lines[curve.Params().Name] = lineOf(t, must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(curve, rand.Reader)).Public())
		}
		lines["ed25519 on a security key"] = blob("sk-ssh-ed25519@openssh.com", make([]byte, ed25519.PublicKeySize), []byte("ssh:"))
		for what, line := range lines {
			k, err := w.AddSSHKey(ctx, w.owner, what, " "+strings.TrimSpace(line)+" me@laptop, the new one\r\n")
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			// What is kept and shown is the key, and nothing that came with it.
			if k.PublicKey != strings.TrimSpace(line) || !strings.HasPrefix(k.Fingerprint, "SHA256:") {
				t.Errorf("%s: %+v", what, k)
			}
		}
		kept := must[[]identity.SSHKey](t)(w.SSHKeys(ctx, w.owner))
		if len(kept) != len(lines) || w.count(w.home, audit.SSHKeyAdded) != len(lines) {
			t.Errorf("%d keys, %d events", len(kept), w.count(w.home, audit.SSHKeyAdded))
		}
	})
}

func TestKeysThatAreRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, good := newKey(t)
		good = strings.TrimSpace(good)
		signer := must[ssh.Signer](t)(ssh.NewSignerFromKey(must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))))
		cert := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"root"}, ValidBefore: ssh.CertTimeInfinity}
		fine(t, cert.SignCert(rand.Reader, signer))
		two := big.NewInt(2)
		for what, line := range map[string]string{
			"nothing":               "",
			"a comment":             "# " + good,
			"a private key":         "-----BEGIN OPENSSH PRIVATE KEY-----",
			"no base64":             "ssh-ed25519 !!!!",
			"a key cut short":       good[:len(good)-8],
			"a name and no key":     "ssh-ed25519",
			"options":               `command="/bin/sh" ` + good,
			"an option":             "restrict " + good,
			"a certificate's CA":    "cert-authority " + good,
			"a certificate":         strings.TrimSpace(string(ssh.MarshalAuthorizedKey(cert))),
			"two keys":              good + "\n" + good,
			"two lines of Macs":     good + "\r" + good,
			"a comment, then a key": "#\n" + good,
			"a very long line":      good + " " + strings.Repeat("x", 16<<10),
			"RSA of 1024 bits":      modulus(t, 1024),
			"RSA of 2047 bits":      modulus(t, 2047),
			"RSA of 2016 bits":      modulus(t, 2016),
			"RSA of 16385 bits":     modulus(t, 16385),
			"RSA that all forge":    blob("ssh-rsa", big.NewInt(1), new(big.Int).Lsh(two, 2048)),
			"RSA with a long tail":  blob("ssh-rsa", new(big.Int).Lsh(two, 1100), new(big.Int).Lsh(two, 1023)),
			"RSA of less than none": blob("ssh-rsa", big.NewInt(65537), new(big.Int).Neg(new(big.Int).Lsh(two, 2048))),
			"DSA":                   blob("ssh-dss", new(big.Int).Lsh(two, 1022), new(big.Int).Lsh(two, 158), two, two),
			"a point off its curve": blob("ecdsa-sha2-nistp256", []byte("nistp256"), append([]byte{4}, make([]byte, 64)...)),
			"a point at infinity":   blob("ecdsa-sha2-nistp256", []byte("nistp256"), []byte{0}),
			"a short ed25519":       blob("ssh-ed25519", make([]byte, 31)),
			"another name outside":  "ssh-rsa " + strings.Fields(good)[1],
			"an unknown type":       blob("ssh-unknown", []byte("x")),
		} {
			if _, err := w.AddSSHKey(ctx, w.owner, "laptop", line); !slices.Equal(fields(err), []string{"public_key"}) {
				t.Errorf("%s: %v", what, err)
			} else if len(line) > 20 && strings.Contains(err.Error(), line[:20]) {
				t.Errorf("%s: repeated in %v", what, err)
			}
		}
		for _, name := range []string{"", strings.Repeat("n", 65), "a\x1b[2J", "\xff"} {
			if _, err := w.AddSSHKey(ctx, w.owner, name, good); !slices.Equal(fields(err), []string{"name"}) {
				t.Errorf("the name %q: %v", name, err)
			}
		}
		stale := w.owner
		stale.StepUpAt = w.clock.Now().Add(-pam.StepUpLifetime)
		_, err := w.AddSSHKey(ctx, stale, "laptop", good)
		refused(t, "without a fresh login", err, pam.StepUpNeeded)
		if keys := must[[]identity.SSHKey](t)(w.SSHKeys(ctx, w.owner)); len(keys) != 0 {
			t.Errorf("%+v", keys)
		}
	})
}

func TestKeyIsRegisteredOnceAndSoManyAtMost(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, line := newKey(t)
		k := must[identity.SSHKey](t)(w.AddSSHKey(ctx, w.owner, "laptop", line))
		for _, again := range []string{line, strings.TrimSpace(line) + " another comment", "\t" + line} {
			_, err := w.AddSSHKey(ctx, w.owner, "laptop again", again)
			refused(t, again, err, pam.Conflict)
		}
		// Somebody else may have it too: the e-mail says who signs in.
		ada := w.person(w.owner, "ada", pam.Operator)
		hers := must[identity.SSHKey](t)(w.AddSSHKey(ctx, ada, "shared", line))
		refused(t, "a key of somebody else", w.RemoveSSHKey(ctx, ada, k.ID), pam.NotFound)
		fine(t, w.RemoveSSHKey(ctx, ada, hers.ID))
		if keys := must[[]identity.SSHKey](t)(w.SSHKeys(ctx, w.owner)); len(keys) != 1 {
			t.Errorf("%+v", keys)
		}
		for i := range 49 {
			_, line := newKey(t)
			must[identity.SSHKey](t)(w.AddSSHKey(ctx, w.owner, fmt.Sprint(i), line))
		}
		_, more := newKey(t)
		_, err := w.AddSSHKey(ctx, w.owner, "one more", more)
		refused(t, "the 51st", err, pam.Conflict)
	})
}

func TestKeyOpensUntilItOrItsOwnerIsGone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ada := w.person(w.owner, "ada", pam.Operator)
		key, line := newKey(t)
		k := must[identity.SSHKey](t)(w.AddSSHKey(ctx, ada, "laptop", line))
		opens := func(when string, want bool) {
			t.Helper()
			if got := w.KnowsKey(ctx, "ada@example.com", key); got != want {
				t.Errorf("%s: known: %v", when, got)
			}
			a, err := w.AuthenticateKey(ctx, "ADA@example.com", key, here)
			if !want {
				refused(t, when, err, pam.AuthFailed)
				return
			}
			fine(t, err)
			if a.User != ada.User || a.Token != pam.NativeLogin || a.TokenID != string(k.ID) || a.Org != "" || a.Fresh(w.clock.Now()) {
				t.Errorf("%s: %+v", when, a)
			}
			// It opens sessions, and changes nothing of its owner.
			_, err = w.AddSSHKey(ctx, a, "another", line)
			refused(t, when, err, pam.Denied)
		}
		opens("while it is there", true)
		w.clock.Advance(time.Second)
		opens("later", true)
		w.flush()
		if kept := must[[]identity.SSHKey](t)(w.SSHKeys(ctx, ada)); !kept[0].LastUsedAt.Equal(w.clock.Now()) {
			t.Errorf("last used %s", kept[0].LastUsedAt)
		}
		if w.KnowsKey(ctx, "owner@example.com", key) {
			t.Error("it is known of somebody else")
		}
		_, err := w.AuthenticateKey(ctx, "owner@example.com", key, here)
		refused(t, "as somebody else", err, pam.AuthFailed)
		_, err = w.AuthenticateKey(ctx, "nobody@example.com", key, here)
		refused(t, "as nobody", err, pam.AuthFailed)

		must[any](t)(w.orgs.Suspend(ctx, w.owner, ada.User))
		opens("suspended", false)
		must[any](t)(w.orgs.Resume(ctx, w.owner, ada.User))
		opens("resumed", true)
		fine(t, w.RemoveSSHKey(ctx, ada, k.ID))
		opens("after it was removed", false)
		refused(t, "again", w.RemoveSSHKey(ctx, ada, k.ID), pam.NotFound)
		k = must[identity.SSHKey](t)(w.AddSSHKey(ctx, ada, "laptop", line))
		opens("registered again", true)
		fine(t, w.orgs.Remove(ctx, w.owner, ada.User))
		opens("after its owner was removed", false)
	})
}
