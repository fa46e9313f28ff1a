package sshtarget

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Limits on what is read as host keys.
const (
	maxHostKeys = 64
	maxHostKey  = 16 << 10 // bytes of one line
)

// Line returns the OpenSSH line of a key, without a comment.
func Line(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// ParseHostKey reads one OpenSSH public key line: the type, the key in base64
// and perhaps a comment. Options, certificates and DSA keys are refused.
func ParseHostKey(line string) (ssh.PublicKey, error) {
	if len(line) > maxHostKey || strings.ContainsAny(line, "\r\n") {
		return nil, fmt.Errorf("a host key is one line of at most %d bytes", maxHostKey)
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		return nil, fmt.Errorf("not an OpenSSH public key line")
	}
	if len(signatureAlgorithms(key.Type())) == 0 {
		return nil, fmt.Errorf("keys of type %s are not supported", key.Type())
	}
	return key, nil
}

// ParseHostKeys reads several lines.
func ParseHostKeys(lines []string) ([]ssh.PublicKey, error) {
	if len(lines) > maxHostKeys {
		return nil, fmt.Errorf("more than %d host keys", maxHostKeys)
	}
	out := make([]ssh.PublicKey, 0, len(lines))
	for _, line := range lines {
		key, err := ParseHostKey(line)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	return out, nil
}

// keyTypes in the order in which a server is asked for them.
var keyTypes = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA}

// signatureAlgorithms of a type of key; none for types that are not
// supported. RSA signs with SHA-2 alone (RFC 8332).
func signatureAlgorithms(keyType string) []string {
	switch {
	case keyType == ssh.KeyAlgoRSA:
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	case slices.Contains(keyTypes, keyType):
		return []string{keyType}
	}
	return nil
}

// algorithmsOf lists what to offer, so that a server with several keys shows
// one that is pinned. Without pins it is all that is supported.
func algorithmsOf(pinned []ssh.PublicKey) []string {
	var out []string
	for _, t := range keyTypes {
		if len(pinned) == 0 || slices.ContainsFunc(pinned, func(k ssh.PublicKey) bool { return k.Type() == t }) {
			out = append(out, signatureAlgorithms(t)...)
		}
	}
	return out
}
