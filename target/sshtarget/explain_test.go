package sshtarget

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"vaultpam/test/target"
)

// OpenSSH hangs up after the last try that it permits, instead of saying no.
func TestHangingUpAfterTooManyTriesIsANo(t *testing.T) {
	s := target.StartSSHD(t, "MaxAuthTries 1")
	foreign, _ := keyPair(t, "ed25519", "")
	o := by(s, s.User, "")
	o.Login = credential(Credential{PrivateKey: foreign})
	if err := Check(t.Context(), connect(t, s), o); !errors.Is(err, ErrAuth) {
		t.Errorf("%v, want %v\n%s", err, ErrAuth, s.Log())
	}
}

// A server that takes the password and wants more has not refused it.
func TestPartialSuccessIsNoRefusal(t *testing.T) {
	p := newPeer(t)
	p.config.PasswordCallback = func(_ ssh.ConnMetadata, sent []byte) (*ssh.Permissions, error) {
		if string(sent) != "right" {
			return nil, errors.New("wrong password")
		}
		return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{GSSAPIWithMICConfig: &ssh.GSSAPIWithMICConfig{
			AllowLogin: func(ssh.ConnMetadata, string) (*ssh.Permissions, error) { return nil, errors.New("never") },
			Server:     nil,
		}}}
	}
	for text, want := range map[string]error{"right": ErrBroken, "wrong": ErrAuth} {
		o, _ := asks(p.key, password(text))
		if err := Check(t.Context(), p.dial(t), o); !errors.Is(err, want) || (want == ErrBroken && errors.Is(err, ErrAuth)) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}

// PAM asks who logs in with an expired password for another one.
func TestPasswordThatMustBeChangedIsNotAWrongOne(t *testing.T) {
	for second, locked := range map[string]bool{"New password: ": true, "Current password: ": true, "Password: ": false} {
		mustChange(t, second, locked)
	}
}

func mustChange(t *testing.T, second string, locked bool) {
	t.Helper()
	p := newPeer(t)
	p.config.PasswordCallback = nil
	p.config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		for _, q := range []string{"Password: ", second} {
			answers, err := ask("", "", []string{q}, []bool{false})
			if err != nil {
				return nil, err
			}
			p.got(answers[0])
		}
		return nil, nil
	}
	o, _ := asks(p.key, password("right"))
	if err := Check(t.Context(), p.dial(t), o); errors.Is(err, ErrLocked) != locked || !errors.Is(err, ErrAuth) {
		t.Errorf("%q: %v", second, err)
	}
	if got := p.received(); len(got) != 1 {
		t.Errorf("%d passwords were sent", len(got))
	}
}

// hangsUp reads as the library's own error does.
type hangsUp struct {
	reason  int
	message string
}

func (h hangsUp) Error() string {
	return fmt.Sprintf("ssh: handshake failed: ssh: disconnect, reason %d: %q", h.reason, h.message)
}

// Whatever a server says when it hangs up, it is not repeated: it may be the
// password. And only one of its reasons is a no.
func TestErrorsNeverHoldWhatTheServerSays(t *testing.T) {
	for said, want := range map[hangsUp]error{
		{2, "Too many authentication failures for canary-77aa"}: ErrAuth,
		{2, "canary-77aa"}: ErrBroken,
		{11, "canary-77aa, Too many authentication failures"}: ErrBroken,
		{12, "too many connections: canary-77aa"}:             ErrBroken,
	} {
		l := &login{ctx: t.Context(), verified: true}
		err := l.explain(said)
		if !errors.Is(err, want) || errors.Is(err, ErrAuth) != (want == ErrAuth) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v: %v, want %v", said, err, want)
		}
	}
}

func FuzzParseCertificate(f *testing.F) {
	_, public := keyPair(f, "ed25519", "")
	certificate := &ssh.Certificate{Key: public, CertType: ssh.UserCert, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(zeros{}, newKey(f, "ed25519")); err != nil {
		f.Fatal(err)
	}
	f.Add(Line(certificate))
	f.Add(Line(public))
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseCertificate(line)
		if err == nil && c.CertType != ssh.UserCert {
			t.Fatal("not a certificate of a user")
		}
		private, _ := keyPair(t, "ed25519", "")
		if _, err := parseKey(Credential{PrivateKey: private, Certificate: line}); err == nil && line != "" {
			t.Fatal("a certificate of another key is used with this one")
		}
	})
}
