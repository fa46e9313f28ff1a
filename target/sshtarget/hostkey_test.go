package sshtarget

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A machine in the middle, or one that took over the address, sees no
// credential: it is not even opened.
func TestCredentialStaysClosedBeforeAWrongHostKey(t *testing.T) {
	p := newPeer(t)
	for name, pinned := range map[string]ssh.Signer{"of the same kind": newKey(t, "ed25519"), "of another kind": newKey(t, "ecdsa")} {
		o, asked := asks(pinned, password("right"))
		o.FirstKey = func(context.Context, string) error {
			t.Error("a key was taken for the first although another is pinned")
			return nil
		}
		_, err := Dial(t.Context(), p.dial(t), o)
		if !errors.Is(err, ErrHostKey) {
			t.Errorf("%s: %v, want %v", name, err, ErrHostKey)
		}
		if *asked != 0 || len(p.received()) != 0 {
			t.Errorf("%s: the credential was opened %d times", name, *asked)
		}
	}
}

func TestFirstKeyIsPinnedBeforeTheCredentialIsOpened(t *testing.T) {
	p := newPeer(t)
	o, asked := asks(p.key, password("right"))
	o.HostKeys = nil
	var pinned []string
	o.FirstKey = func(_ context.Context, line string) error {
		if *asked != 0 {
			t.Error("the credential was opened before the key was pinned")
		}
		pinned = append(pinned, line)
		return nil
	}
	c, err := Dial(t.Context(), p.dial(t), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(pinned) != 1 || pinned[0] != Line(p.key.PublicKey()) {
		t.Errorf("pinned %q", pinned)
	}
}

func TestFirstKeyThatCannotBePinnedEndsTheLogin(t *testing.T) {
	p := newPeer(t)
	full := errors.New("disk full")
	for name, first := range map[string]func(context.Context, string) error{
		"nobody pins":    nil,
		"pinning failed": func(context.Context, string) error { return full },
	} {
		o, asked := asks(p.key, password("right"))
		o.HostKeys, o.FirstKey = nil, first
		_, err := Dial(t.Context(), p.dial(t), o)
		if !errors.Is(err, ErrHostKey) || (first != nil && !errors.Is(err, full)) {
			t.Errorf("%s: %v", name, err)
		}
		if *asked != 0 {
			t.Errorf("%s: the credential was opened", name)
		}
	}
}

// Both sides renew the keys of a connection after a gigabyte or an hour, and
// the server shows its host key again.
func TestSessionsOutliveTheRenewalOfKeys(t *testing.T) {
	p := newPeer(t)
	p.config.RekeyThreshold = 1 << 10
	o, _ := asks(p.key, password("right"))
	o.HostKeys = nil
	pins := 0
	o.FirstKey = func(ctx context.Context, _ string) error {
		pins++
		return ctx.Err()
	}
	c, err := Dial(t.Context(), p.dial(t), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 100 {
		if _, _, err := c.SendRequest("echo", true, make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if pins != 1 {
		t.Errorf("the key was pinned %d times", pins)
	}
}

func TestAnotherKeyAtTheRenewalIsRefused(t *testing.T) {
	l := &login{ctx: t.Context(), options: Options{FirstKey: func(context.Context, string) error { return nil }}}
	if err := l.checkHostKey("", nil, newKey(t, "ed25519").PublicKey()); err != nil {
		t.Fatal(err)
	}
	if err := l.checkHostKey("", nil, newKey(t, "ed25519").PublicKey()); !errors.Is(err, ErrHostKey) {
		t.Errorf("another key was taken: %v", err)
	}
}

func TestServersThatSignWithSHA1AreRefused(t *testing.T) {
	p := newPeer(t)
	old, err := ssh.NewSignerWithAlgorithms(newKey(t, "rsa").(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	if err != nil {
		t.Fatal(err)
	}
	p.config = &ssh.ServerConfig{NoClientAuth: true}
	p.config.AddHostKey(old)
	o, asked := asks(old, password("right"))
	if _, err := Dial(t.Context(), p.dial(t), o); !errors.Is(err, ErrHostKey) || *asked != 0 {
		t.Errorf("%v, and the credential was opened %d times", err, *asked)
	}
}

func TestScanShowsTheKeyAndTriesNoLogin(t *testing.T) {
	p := newPeer(t)
	p.config.AuthLogCallback = func(_ ssh.ConnMetadata, method string, _ error) { t.Errorf("%s was tried", method) }
	line, err := ScanHostKey(t.Context(), p.dial(t))
	if err != nil || line != Line(p.key.PublicKey()) {
		t.Errorf("%q, %v", line, err)
	}
}

func TestHostKeyLinesAreOneSupportedKey(t *testing.T) {
	good := Line(newKey(t, "ed25519").PublicKey())
	certificate := &ssh.Certificate{Key: newKey(t, "ed25519").PublicKey(), CertType: ssh.HostCert, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(zeros{}, newKey(t, "ed25519")); err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"empty":         "",
		"words":         "not a key",
		"a comment":     "# " + good,
		"two lines":     good + "\n" + good,
		"options":       `command="id" ` + good,
		"cut":           good[:len(good)-8],
		"a certificate": Line(certificate),
		"too long":      good + strings.Repeat(" x", maxHostKey),
		"a foreign kind": "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIBoVT3WnO6JpHsaUMpFX8" +
			"q8cjTEyGPfVxOPvnvLLoKKOAAAABHNzaDo=",
	} {
		if _, err := ParseHostKey(line); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ParseHostKeys(make([]string, maxHostKeys+1)); err == nil {
		t.Error("any number of keys is accepted")
	}
	if key, err := ParseHostKey(good + " root@web1"); err != nil || Line(key) != good {
		t.Errorf("a line with a comment: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func FuzzParseHostKey(f *testing.F) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		f.Add(Line(newKey(f, kind).PublicKey()) + " comment")
	}
	f.Add(`no-pty,command="x" ssh-rsa AAAA`)
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseHostKey(text)
		if err != nil {
			return
		}
		line := Line(key)
		if strings.ContainsAny(line, "\r\n") || len(line) > maxHostKey+16 {
			t.Fatalf("%q became %q", text, line)
		}
		again, err := ParseHostKey(line)
		if err != nil || !bytes.Equal(again.Marshal(), key.Marshal()) {
			t.Fatalf("%q is another key when it is read again: %v", line, err)
		}
		if len(algorithmsOf([]ssh.PublicKey{key})) == 0 {
			t.Fatalf("%q could never be asked for", line)
		}
	})
}
