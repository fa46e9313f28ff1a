package account

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
	"vaultpam/pam"
)

const (
	maxPassword   = 4096
	maxPrivateKey = 64 << 10
	maxPassphrase = 1024
)

// later are the kinds of the contract that cannot be stored.
var later = map[Kind]bool{
	"ssh_certificate": true, "token": true, "database": true, "tls_client": true, "kubernetes_token": true, "ephemeral": true,
}

// Plaintext checks a credential and returns what is sealed of it, which the
// caller wipes, and the public half of a key.
func (c NewCredential) Plaintext(op string) (plain secret.Value, publicKey string, err error) {
	var ps pam.Problems
	switch {
	case c.Kind == Password:
		if !c.PrivateKey.Empty() || !c.Passphrase.Empty() {
			ps.Add("credential.private_key", "does not belong to a password")
		}
		switch v := c.Value.Expose(); {
		case len(v) == 0:
			ps.Add("credential.value", "is required")
		case len(v) > maxPassword:
			ps.Add("credential.value", "is longer than 4096 bytes")
		case bytes.ContainsAny(v, "\x00\r\n"):
			// A login prompt reads one line; what follows it would be typed
			// into whatever comes after.
			ps.Add("credential.value", "must be one line")
		}
		if err := ps.Err(op); err != nil {
			return secret.Value{}, "", err
		}
		return c.Value.Clone(), "", nil
	case c.Kind == SSHKey:
		if !c.Value.Empty() {
			ps.Add("credential.value", "does not belong to an ssh_key")
		}
		switch {
		case c.PrivateKey.Empty():
			ps.Add("credential.private_key", "is required")
		case len(c.PrivateKey.Expose()) > maxPrivateKey:
			ps.Add("credential.private_key", "is longer than 64 KiB")
		case len(c.Passphrase.Expose()) > maxPassphrase:
			ps.Add("credential.passphrase", "is longer than 1024 bytes")
		}
		if err := ps.Err(op); err != nil {
			return secret.Value{}, "", err
		}
		return c.sshKey(op)
	case later[c.Kind]:
		ps.Add("credential.kind", "is not supported by this server: use password or ssh_key")
	default:
		ps.Add("credential.kind", "must be password or ssh_key")
	}
	return secret.Value{}, "", ps.Err(op)
}

// sshKey reads the key. An encrypted one is kept without its passphrase: the
// vault protects it, and a passphrase kept beside it would add nothing. An
// error of the parser is not passed on, since it may quote the input.
func (c NewCredential) sshKey(op string) (secret.Value, string, error) {
	var ps pam.Problems
	text := c.PrivateKey.Expose()
	raw, err := ssh.ParseRawPrivateKey(text)
	encrypted := false
	if _, missing := errors.AsType[*ssh.PassphraseMissingError](err); missing {
		if c.Passphrase.Empty() {
			ps.Add("credential.passphrase", "is required: the key is encrypted")
			return secret.Value{}, "", ps.Err(op)
		}
		encrypted = true
		if raw, err = ssh.ParseRawPrivateKeyWithPassphrase(text, c.Passphrase.Expose()); err != nil {
			ps.Add("credential.passphrase", "does not open the key")
			return secret.Value{}, "", ps.Err(op)
		}
	}
	if err != nil {
		ps.Add("credential.private_key", "is not a private key in OpenSSH or PEM form")
		return secret.Value{}, "", ps.Err(op)
	}
	signer, err := ssh.NewSignerFromKey(raw)
	if err != nil || signer.PublicKey().Type() == "ssh-dss" { // ssh.InsecureKeyAlgoDSA: no server of today accepts it
		ps.Add("credential.private_key", "must be an ed25519, ECDSA or RSA key")
		return secret.Value{}, "", ps.Err(op)
	}
	public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	if !encrypted {
		return c.PrivateKey.Clone(), public, nil
	}
	block, err := ssh.MarshalPrivateKey(raw.(crypto.PrivateKey), "")
	if err != nil {
		ps.Add("credential.private_key", "must be an ed25519, ECDSA or RSA key")
		return secret.Value{}, "", ps.Err(op)
	}
	defer clear(block.Bytes)
	return secret.New(pem.EncodeToMemory(block)), public, nil
}
