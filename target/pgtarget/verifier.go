package pgtarget

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"vaultpam/internal/secret"
)

// iterations is PostgreSQL's own default.
const iterations = 4096

// Verifier returns what PostgreSQL 10 and newer store instead of a password,
// to be sent in its place. Only printable ASCII is taken: of anything else,
// client and server would have to agree on a normal form.
func Verifier(password secret.Value) (secret.Value, error) {
	p := string(password.Expose())
	if p == "" || len(p) > 1024 || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r > '~' }) {
		return secret.Value{}, fmt.Errorf("%w: a password is 1 to 1024 printable ASCII characters", ErrRefused)
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, p, salt, iterations, sha256.Size)
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(salted)
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return secret.FromString(fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(mac(salted, "Server Key")))), nil
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// identifier quotes a name. PostgreSQL cuts what is longer, which would name
// somebody else.
func identifier(name string) (string, error) {
	if name == "" || len(name) > 63 || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("%w: a name is 1 to 63 bytes", ErrRefused)
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`, nil
}
