package account

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/naming"
	"vaultpam/internal/secret"
	"vaultpam/pam"
)

// sshKey reads an ssh_key. An encrypted one is kept without its passphrase:
// the vault protects it, and a passphrase kept beside it would add nothing.
func (c NewCredential) sshKey(ps *pam.Problems) (secret.Value, Public) {
	raw, signer, encrypted := c.privateKey(ps)
	if signer == nil {
		return secret.Value{}, Public{}
	}
	public := Public{PublicKey: authorized(signer.PublicKey()), Fingerprint: ssh.FingerprintSHA256(signer.PublicKey())}
	if !encrypted {
		return c.PrivateKey.Clone(), public
	}
	return openSSH(raw, ps), public
}

// privateKey reads the private key; without a signer, ps says why.
func (c NewCredential) privateKey(ps *pam.Problems) (raw any, signer ssh.Signer, encrypted bool) {
	text := c.PrivateKey.Expose()
	raw, err := ssh.ParseRawPrivateKey(text)
	if _, missing := errors.AsType[*ssh.PassphraseMissingError](err); missing {
		if c.Passphrase.Empty() {
			ps.Add("credential.passphrase", "is required: the key is encrypted")
			return nil, nil, false
		}
		encrypted = true
		if raw, err = ssh.ParseRawPrivateKeyWithPassphrase(text, c.Passphrase.Expose()); err != nil {
			ps.Add("credential.passphrase", "does not open the key")
			return nil, nil, false
		}
	}
	if err != nil {
		ps.Add("credential.private_key", "is not a private key in OpenSSH or PEM form")
		return nil, nil, false
	}
	signer, err = ssh.NewSignerFromKey(raw)
	if err != nil || signer.PublicKey().Type() == "ssh-dss" { // ssh.InsecureKeyAlgoDSA: no server of today accepts it
		ps.Add("credential.private_key", "must be an ed25519, ECDSA or RSA key")
		return nil, nil, false
	}
	return raw, signer, encrypted
}

// openSSH is a key in OpenSSH's form, without a passphrase.
func openSSH(raw any, ps *pam.Problems) secret.Value {
	block, err := ssh.MarshalPrivateKey(raw.(crypto.PrivateKey), "")
	if err != nil {
		ps.Add("credential.private_key", "must be an ed25519, ECDSA or RSA key")
		return secret.Value{}
	}
	defer clear(block.Bytes)
	return secret.New(pem.EncodeToMemory(block))
}

func authorized(k ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

// maxClaims bounds what a token may say of itself; a text beyond is left out.
const maxClaims = 256

// claims is what a JWT says of itself, unverified: who made it, for whom, and
// how long it is good. Of anything else, nothing is known.
func claims(token []byte) Public {
	parts := bytes.Split(token, []byte("."))
	if len(parts) != 3 {
		return Public{}
	}
	payload := make([]byte, base64.RawURLEncoding.DecodedLen(len(parts[1])))
	defer clear(payload)
	n, err := base64.RawURLEncoding.Decode(payload, parts[1])
	if err != nil {
		return Public{}
	}
	var said struct {
		Issuer    string  `json:"iss"`
		Subject   string  `json:"sub"`
		NotBefore float64 `json:"nbf"`
		Expires   float64 `json:"exp"`
	}
	if json.Unmarshal(payload[:n], &said) != nil {
		return Public{}
	}
	return Public{Issuer: shown(said.Issuer), Subject: shown(said.Subject), NotBefore: moment(said.NotBefore), NotAfter: moment(said.Expires)}
}

// shown is a text from outside that people may be shown, else "".
func shown(s string) string {
	if utf8.RuneCountInString(s) > maxClaims || naming.TextProblem(s, false) != "" {
		return ""
	}
	return s
}

// endOfTime is the last second that RFC 3339 can write.
const endOfTime = 253402300799

// moment is a time in Unix seconds; zero for one that cannot be written, as
// for ever.
func moment[T float64 | uint64](seconds T) time.Time {
	if !(seconds > 0 && seconds <= endOfTime) { // not so for NaN, too
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}
