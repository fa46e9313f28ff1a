package sshtarget

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
	"vaultpam/test/target"
)

func TestOpenSSHLetsIn(t *testing.T) {
	sshd := target.StartSSHD(t)
	key := Credential{Username: sshd.User, PrivateKey: secret.FromString(sshd.PrivateKeyPEM)}
	for _, line := range []string{sshd.HostKeyLine, sshd.HostKeyLineECDSA} {
		checkOpenSSH(t, sshd, line, key, nil)
	}
	_, stranger := keyPair(t, "rsa", "")
	checkOpenSSH(t, sshd, Line(stranger), key, ErrHostKey)
	foreign, _ := keyPair(t, "rsa", "")
	checkOpenSSH(t, sshd, sshd.HostKeyLine, Credential{PrivateKey: foreign}, ErrAuth)
	checkOpenSSH(t, sshd, sshd.HostKeyLine, password("wrong"), ErrAuth)
	if sshd.Password != "" { // sshd can check passwords as root only
		checkOpenSSH(t, sshd, sshd.HostKeyLineECDSA, password(sshd.Password), nil)
	}
}

func checkOpenSSH(t *testing.T, sshd *target.SSHD, hostKey string, c Credential, want error) {
	t.Helper()
	conn, err := net.Dial("tcp", sshd.Addr)
	if err != nil {
		t.Fatal(err)
	}
	copied := Credential{Username: c.Username, Password: c.Password.Clone(), PrivateKey: c.PrivateKey.Clone()}
	err = Check(t.Context(), conn, Options{
		HostKeys: []string{hostKey}, Username: sshd.User,
		Login: func(context.Context) (Credential, error) { return copied, nil },
	})
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v\n%s", err, want, sshd.Log())
	}
}

func TestCredentialIsWipedWhetherOrNotItLetsIn(t *testing.T) {
	for _, text := range []string{"right", "wrong"} {
		p := newPeer(t)
		pass, private := []byte(text), []byte("no key at all")
		o, asked := asks(p.key, Credential{Password: secret.New(pass)})
		if text == "wrong" {
			o, asked = asks(p.key, Credential{Password: secret.New(pass), PrivateKey: secret.New(private)})
		}
		if err := Check(t.Context(), p.dial(t), o); (err == nil) != (text == "right") {
			t.Errorf("%s: %v", text, err)
		}
		if *asked != 1 {
			t.Errorf("%s: asked %d times", text, *asked)
		}
		if !bytes.Equal(pass, make([]byte, len(pass))) || (text == "wrong" && !bytes.Equal(private, make([]byte, len(private)))) {
			t.Errorf("%s: the credential is still in memory", text)
		}
	}
}

// Domain controllers and faillock count every wrong password: two for one
// login lock accounts out twice as fast as their owners believe.
func TestRefusedPasswordIsNotSentAgain(t *testing.T) {
	p := newPeer(t)
	p.config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		answers, err := ask("", "", []string{"Password: "}, []bool{false})
		if err == nil {
			p.got(answers[0])
		}
		return nil, errors.New("wrong password")
	}
	o, asked := asks(p.key, password("wrong"))
	if _, err := Dial(t.Context(), p.dial(t), o); !errors.Is(err, ErrAuth) {
		t.Errorf("%v, want %v", err, ErrAuth)
	}
	if diff := cmp.Diff([]string{"wrong"}, p.received()); diff != "" || *asked != 1 {
		t.Errorf("asked %d times, sent: %s", *asked, diff)
	}
}

// A server may ask for anything interactively: it gets the password for one
// hidden question and nothing for others.
func TestOnlyOneHiddenQuestionIsAnswered(t *testing.T) {
	type round struct {
		questions []string
		echos     []bool
	}
	hidden := round{[]string{"Password: "}, []bool{false}}
	for name, test := range map[string]struct {
		rounds []round
		sent   []string
		in     bool
	}{
		"one hidden question":   {[]round{hidden}, []string{"right"}, true},
		"a notice and then one": {[]round{{}, hidden}, []string{"right"}, true},
		"shown on the screen":   {[]round{{[]string{"Password: "}, []bool{true}}}, nil, false},
		"two questions":         {[]round{{[]string{"Password: ", "Code: "}, []bool{false, false}}}, nil, false},
		"a new password, too":   {[]round{hidden, {[]string{"New password: "}, []bool{false}}}, []string{"right"}, false},
	} {
		p := newPeer(t)
		p.config.PasswordCallback = nil
		p.config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			for _, r := range test.rounds {
				answers, err := ask("", "", r.questions, r.echos)
				if err != nil {
					return nil, err
				}
				for _, a := range answers {
					p.got(a)
				}
			}
			return nil, nil
		}
		o, _ := asks(p.key, password("right"))
		if err := Check(t.Context(), p.dial(t), o); (err == nil) != test.in || (err != nil && !errors.Is(err, ErrAuth)) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.sent, p.received()); diff != "" {
			t.Errorf("%s: sent: %s", name, diff)
		}
	}
}

func TestPrivateKeysOpenWithTheirPassphraseOnly(t *testing.T) {
	private, public := keyPair(t, "ed25519", "open sesame")
	for passphrase, want := range map[string]error{"open sesame": nil, "wrong": ErrAuth, "": ErrAuth} {
		p := newPeer(t)
		p.config.PublicKeyCallback = only(public)
		o, _ := asks(p.key, Credential{PrivateKey: private.Clone(), Passphrase: secret.FromString(passphrase)})
		if err := Check(t.Context(), p.dial(t), o); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", passphrase, err, want)
		}
	}
}

func TestRSAKeysNeverSignWithSHA1(t *testing.T) {
	private, public := keyPair(t, "rsa", "")
	for algorithm, want := range map[string]error{ssh.KeyAlgoRSASHA256: nil, ssh.KeyAlgoRSA: ErrAuth} {
		p := newPeer(t)
		p.config.PublicKeyAuthAlgorithms = []string{algorithm}
		p.config.PublicKeyCallback = only(public)
		o, _ := asks(p.key, Credential{PrivateKey: private.Clone()})
		if err := Check(t.Context(), p.dial(t), o); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", algorithm, err, want)
		}
	}
}

func only(key ssh.PublicKey) func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
	return func(_ ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(offered.Marshal(), key.Marshal()) {
			return nil, errors.New("another key")
		}
		return nil, nil
	}
}

func TestCredentialOfAnotherLoginNameIsNotSent(t *testing.T) {
	p := newPeer(t)
	o, _ := asks(p.key, Credential{Username: "admin", Password: secret.FromString("right")})
	if _, err := Dial(t.Context(), p.dial(t), o); !errors.Is(err, ErrAuth) || len(p.received()) != 0 {
		t.Errorf("%v, sent %d passwords", err, len(p.received()))
	}
}

func TestWhatClosesTheVaultReachesTheCaller(t *testing.T) {
	p := newPeer(t)
	sealed := errors.New("sealed")
	o, _ := asks(p.key, Credential{})
	o.Login = func(context.Context) (Credential, error) { return Credential{}, sealed }
	if _, err := Dial(t.Context(), p.dial(t), o); !errors.Is(err, sealed) || errors.Is(err, ErrAuth) {
		t.Errorf("%v, want %v", err, sealed)
	}
}

func TestTargetThatHangsUpHasNotRefusedTheCredential(t *testing.T) {
	p := newPeer(t)
	p.config.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
		p.hangUp()
		return nil, errors.New("gone")
	}
	o, _ := asks(p.key, password("right"))
	if _, err := Dial(t.Context(), p.dial(t), o); !errors.Is(err, ErrBroken) || errors.Is(err, ErrAuth) {
		t.Errorf("%v, want %v", err, ErrBroken)
	}
}

func TestSilentTargetsAreGivenUp(t *testing.T) {
	silent := func(t *testing.T) net.Conn {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = theirs.Close() })
		go func() { // swallows our greeting; ends with the pipe
			for b := make([]byte, 512); ; {
				if _, err := theirs.Read(b); err != nil {
					return
				}
			}
		}()
		return ours
	}
	o, asked := asks(newKey(t, "ed25519"), password("right"))
	o.Timeout = 20 * time.Millisecond
	if _, err := Dial(t.Context(), silent(t), o); !errors.Is(err, ErrBroken) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too late: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	killed := errors.New("killed by an administrator")
	cancel(killed)
	o.Timeout = 0
	if _, err := Dial(ctx, silent(t), o); !errors.Is(err, ErrBroken) || !errors.Is(err, killed) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := ScanHostKey(ctx, silent(t)); !errors.Is(err, ErrBroken) {
		t.Errorf("scanned: %v", err)
	}
	if *asked != 0 {
		t.Error("the credential was opened")
	}
}

func TestLoginLeavesNoDeadlineBehind(t *testing.T) {
	p := newPeer(t)
	o, _ := asks(p.key, password("right"))
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Dial(ctx, p.dial(t), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel() // the context was for the login, not for what follows
	if _, _, err := c.SendRequest("echo", true, nil); err != nil {
		t.Errorf("the connection ended with the login: %v", err)
	}
}
