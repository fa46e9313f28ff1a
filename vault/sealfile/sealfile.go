// Package sealfile seals the root key with a key in a file.
//
// It owns the file's format (docs/formats/envelope.md) and the care for the
// file. It must not know what it wraps. Start at [Open].
package sealfile

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vaultpam/internal/secret"
	"vaultpam/vault"
)

// Errors of Open, wrapped with the path.
var (
	ErrPermissions = errors.New("others than its owner may read the key file or write to it: chmod 600")
	ErrDamaged     = errors.New("the key file is damaged or cut short: put back a copy")
	ErrNotAFile    = errors.New("the key file is not a regular file")
)

// Seal wraps with the key in a file. It reads the file at each use and keeps
// no key in memory, so that sealing the vault takes its keys out of the
// process, and taking away the file keeps it sealed.
type Seal struct {
	path string
	rand io.Reader
}

var _ vault.RootSeal = (*Seal)(nil)

// Create makes a new key file, mode 0600, of 32 bytes of random, which
// is crypto/rand.Reader outside of tests, and makes it durable. It fails with
// fs.ErrExist when there is a file already. A file is there whole or not at
// all, however the process ends.
func Create(path string, random io.Reader) (*Seal, error) {
	s, err := create(path, random)
	if err != nil {
		return nil, fmt.Errorf("create key file %s: %w", path, err)
	}
	return s, nil
}

func create(path string, random io.Reader) (*Seal, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	key := make([]byte, keySize)
	defer clear(key)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, err
	}
	text := format(key)
	defer clear(text)
	// os.CreateTemp opens with O_EXCL and 0600. The link gives the whole file
	// its name, and unlike a rename never replaces another key.
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-key-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(f.Name()), syncDir(dir)); err != nil {
		return nil, err
	}
	return &Seal{path: path, rand: random}, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open checks that the file holds a key. It fails with fs.ErrNotExist when
// there is none, ErrPermissions when others than the owner may use it,
// ErrDamaged when it does not hold what Create wrote, and ErrNotAFile.
func Open(path string) (*Seal, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open key file %s: %w", path, err)
	}
	key, err := read(abs)
	if err != nil {
		return nil, err
	}
	clear(key)
	return &Seal{path: abs, rand: rand.Reader}, nil
}

// read returns the key, which the caller clears.
func read(path string) (key []byte, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open key file %s: %w", path, err)
		}
	}()
	info, err := os.Stat(path) // before opening it: opening a pipe waits
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNotAFile
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, cause(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("mode %#o: %w", info.Mode().Perm(), ErrPermissions)
	}
	text := make([]byte, maxText+1)
	defer clear(text)
	n, err := io.ReadFull(f, text)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, cause(err)
	}
	return parse(text[:n])
}

// cause leaves out the path, which read says already.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// Kind names this seal.
func (*Seal) Kind() string { return "keyfile" }

// Wrap encrypts plaintext with AES-256-GCM, binding ad.
func (s *Seal) Wrap(_ context.Context, plaintext, ad []byte) ([]byte, error) {
	key, err := read(s.path)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	sealed, err := vault.WrapWith(key, s.rand, plaintext, ad)
	if err != nil {
		return nil, err
	}
	return append(append([]byte{wrapVersion}, keyID(key)...), sealed...), nil
}

// Unwrap decrypts what Wrap returned for the same ad. It says which file's key
// wrapped it, and wraps vault.ErrWrongKey, when it was another.
func (s *Seal) Unwrap(_ context.Context, wrapped, ad []byte) (secret.Value, error) {
	key, err := read(s.path)
	if err != nil {
		return secret.Value{}, err
	}
	defer clear(key)
	if len(wrapped) < headSize || wrapped[0] != wrapVersion {
		return secret.Value{}, errors.New("key file: the wrapped root key is cut short or of an unknown version")
	}
	if id, used := keyID(key), wrapped[1:headSize]; !bytes.Equal(id, used) {
		return secret.Value{}, fmt.Errorf("key file %s holds key %x, but key %x is needed: %w", s.path, id, used, vault.ErrWrongKey)
	}
	plaintext, ok := vault.UnwrapWith(key, wrapped[headSize:], ad)
	if !ok {
		return secret.Value{}, errors.New("key file: the wrapped root key was altered or cut short")
	}
	return secret.New(plaintext), nil
}
