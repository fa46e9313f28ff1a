// Package sealfile seals the root key with a key in a file.
//
// It owns the file's format. It must not know what it wraps. Start at [Open].
//
// The file is one line of text: a name, the key in base64, and a checksum of
// both, so that a damaged file is told apart from a wrong one.
package sealfile

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"vaultpam/internal/secret"
)

const (
	name      = "vaultpam-key-1"
	keySize   = 32
	nonceSize = 12
)

// Errors of Open.
var (
	ErrPermissions = errors.New("the key file can be read by others: chmod 600")
	ErrDamaged     = errors.New("the key file is damaged or cut short")
)

// Seal is an open key file.
type Seal struct {
	gcm  cipher.AEAD
	rand io.Reader
}

// Create makes a new key file, mode 0600, and makes it durable. It fails when
// there is a file already.
func Create(path string, random io.Reader) (*Seal, error) {
	var key [keySize]byte
	defer clear(key[:])
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(key[:])
	_, err = fmt.Fprintf(f, "%s %s %s\n", name, text, checksum(text))
	if err := errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	return newSeal(key[:], random)
}

// Open reads a key file. It fails with ErrPermissions when others may read
// it, and with ErrDamaged when its checksum does not fit.
func Open(path string, random io.Reader) (*Seal, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("open key file %s: %w", path, ErrPermissions)
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer clear(text)
	words := strings.Fields(string(text))
	if len(words) != 3 || words[0] != name || checksum(words[1]) != words[2] {
		return nil, fmt.Errorf("open key file %s: %w", path, ErrDamaged)
	}
	key, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("open key file %s: %w", path, ErrDamaged)
	}
	defer clear(key)
	return newSeal(key, random)
}

func newSeal(key []byte, random io.Reader) (*Seal, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return &Seal{gcm: gcm, rand: random}, err
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(name + " " + text))
	return hex.EncodeToString(sum[:8])
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Kind names this seal.
func (*Seal) Kind() string { return "keyfile" }

// Wrap encrypts plaintext with AES-256-GCM, binding ad.
func (s *Seal) Wrap(_ context.Context, plaintext, ad []byte) ([]byte, error) {
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(s.rand, nonce); err != nil {
		return nil, err
	}
	return s.gcm.Seal(nonce, nonce, plaintext, ad), nil
}

// Unwrap decrypts what Wrap returned for the same ad.
func (s *Seal) Unwrap(_ context.Context, wrapped, ad []byte) (secret.Value, error) {
	if len(wrapped) < nonceSize {
		return secret.Value{}, errors.New("key file: the wrapped key is cut short")
	}
	plaintext, err := s.gcm.Open(nil, wrapped[:nonceSize], wrapped[nonceSize:], ad)
	if err != nil {
		return secret.Value{}, errors.New("key file: this is not the key that sealed it")
	}
	return secret.New(plaintext), nil
}
