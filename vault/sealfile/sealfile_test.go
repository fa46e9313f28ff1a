package sealfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vaultpam/vault"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func created(tb testing.TB) (*Seal, string) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "root.key")
	s, err := Create(path, rand.Reader)
	check(tb, err)
	return s, path
}

var (
	ad    = []byte("associated")
	value = []byte("a list of root keys")
)

func TestWhatAFileWrappedItUnwrapsAfterARestart(t *testing.T) {
	s, path := created(t)
	wrapped, err := s.Wrap(t.Context(), value, ad)
	check(t, err)
	again, err := s.Wrap(t.Context(), value, ad)
	check(t, err)
	if bytes.Equal(wrapped, again) || bytes.Contains(wrapped, value) {
		t.Error("wrapping does not hide the value")
	}
	opened, err := Open(path)
	check(t, err)
	for _, s := range []*Seal{s, opened} {
		got, err := s.Unwrap(t.Context(), wrapped, ad)
		if err != nil || !bytes.Equal(got.Expose(), value) {
			t.Errorf("unwrap: %v", err)
		}
	}
	if _, err := s.Unwrap(t.Context(), wrapped, []byte("something else")); err == nil {
		t.Error("unwrapped for another purpose")
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 0x80
		for _, b := range [][]byte{bad, wrapped[:i]} {
			if got, err := s.Unwrap(t.Context(), b, ad); err == nil || !got.Empty() {
				t.Errorf("altered or cut at byte %d: unwrapped", i)
			}
		}
	}
}

func TestAnotherKeyFileIsToldApartFromADamagedValue(t *testing.T) {
	one, path := created(t)
	two, _ := created(t)
	wrapped, err := one.Wrap(t.Context(), value, ad)
	check(t, err)
	if _, err := two.Unwrap(t.Context(), wrapped, ad); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("another key file: %v", err)
	}
	wrapped[len(wrapped)-1] ^= 1
	if _, err := one.Unwrap(t.Context(), wrapped, ad); err == nil || errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("a damaged value: %v", err)
	}
	// The file is read at each use: taking it away keeps the vault sealed.
	check(t, os.Remove(path))
	if _, err := one.Unwrap(t.Context(), wrapped, ad); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
}

func TestAKeyIsNeverReplaced(t *testing.T) {
	_, path := created(t)
	before, err := os.ReadFile(path)
	check(t, err)
	if _, err := Create(path, rand.Reader); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	after, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the key changed")
	}
	mustHold(t, filepath.Dir(path), "root.key")
}

func mustHold(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != len(names) {
		t.Errorf("the directory holds %v, want %v", entries, names)
	}
}

func TestAKeyThatCannotBeWrittenLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	if _, err := Create(filepath.Join(dir, "root.key"), io.LimitReader(rand.Reader, 31)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("with too little randomness: %v", err)
	}
	if _, err := Create(filepath.Join(dir, "absent", "root.key"), rand.Reader); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in an absent directory: %v", err)
	}
	mustHold(t, dir)

	// A link that somebody laid there is not followed.
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "root.key")
	check(t, os.Symlink(target, link))
	if _, err := Create(link, rand.Reader); !errors.Is(err, fs.ErrExist) {
		t.Errorf("through a link: %v", err)
	}
	mustHold(t, dir, "root.key")
}

func TestAFileThatOthersMayUseIsRefused(t *testing.T) {
	_, path := created(t)
	info, err := os.Stat(path)
	check(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("created with mode %v", info.Mode())
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o644, 0o620, 0o660, 0o777, 0o610} {
		check(t, os.Chmod(path, mode))
		if _, err := Open(path); !errors.Is(err, ErrPermissions) || !strings.Contains(err.Error(), "chmod 600") || !strings.Contains(err.Error(), path) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	check(t, os.Chmod(path, 0o400))
	_, err = Open(path)
	check(t, err)
}

func TestADamagedFileIsNamedAsSuch(t *testing.T) {
	_, path := created(t)
	text, err := os.ReadFile(path)
	check(t, err)
	try := func(text []byte) error {
		check(t, os.WriteFile(path, text, 0o600))
		_, err := Open(path)
		return err
	}
	for n := range len(text) - 1 { // without the last line feed all is there
		if err := try(text[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for i := len(comment); i < len(text)-1; i++ {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if err := try(bad); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), string(text[len(comment)+len(name)+1:len(comment)+len(name)+9])) {
			t.Errorf("altered at byte %d: %v", i, err)
		}
	}
	line := text[len(comment):]
	for name, bad := range map[string][]byte{
		"two keys": append(bytes.Clone(text), line...), "huge": append(bytes.Clone(text), bytes.Repeat([]byte("#\n"), maxText)...), "binary": {0, 1, 2},
	} {
		if err := try(bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, good := range map[string][]byte{
		"whole": text, "no comment": line, "no line feed": text[:len(text)-1], "other line ends": bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
	} {
		if err := try(good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNoFileIsRefusedWithoutWaiting(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrNotAFile) {
		t.Errorf("a directory: %v", err)
	}
	pipe := filepath.Join(dir, "pipe")
	check(t, syscall.Mkfifo(pipe, 0o600))
	if _, err := Open(pipe); !errors.Is(err, ErrNotAFile) {
		t.Errorf("a pipe: %v", err)
	}
	absent := filepath.Join(dir, "absent")
	if _, err := Open(absent); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), absent) != 1 {
		t.Errorf("nothing: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(format(bytes.Repeat([]byte{7}, keySize)))
	f.Add([]byte("vaultpam-key-1 AAAA 00\n"))
	f.Add([]byte("# nothing\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := parse(text)
		if err != nil {
			return
		}
		if len(key) != keySize || !bytes.Contains(text, bytes.Fields(format(key)[len(comment):])[1]) {
			t.Error("accepted what does not hold the key")
		}
	})
}
