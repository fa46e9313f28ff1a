package sshtarget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// login is one attempt. The host key is checked by a goroutine of the
// connection, at the beginning and whenever the keys of the connection are
// renewed; the rest runs in that of Dial.
type login struct {
	ctx     context.Context
	options Options

	mu       sync.Mutex // guards the three below
	pinned   []ssh.PublicKey
	verified bool // the host key was found right
	failed   error

	asked      bool
	answered   bool // the password was sent
	credential Credential
}

// fail keeps the first reason why this login cannot succeed.
func (l *login) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
	return l.failed
}

func (l *login) checkHostKey(_ string, _ net.Addr, key ssh.PublicKey) error {
	l.mu.Lock()
	pinned := l.pinned
	l.mu.Unlock()
	if len(pinned) == 0 {
		if err := l.options.FirstKey(l.ctx, Line(key)); err != nil {
			return l.fail(fmt.Errorf("%w: %w", ErrHostKey, err))
		}
		// From here on it is a pinned key like any other: a server that shows
		// another one when keys are renewed is not the one that was pinned.
		pinned = []ssh.PublicKey{key}
	}
	wire := key.Marshal()
	if !slices.ContainsFunc(pinned, func(p ssh.PublicKey) bool { return bytes.Equal(p.Marshal(), wire) }) {
		return l.fail(ErrHostKey)
	}
	l.mu.Lock()
	l.pinned, l.verified = pinned, true
	l.mu.Unlock()
	return nil
}

// ask opens the credential once, never before the host key was checked.
func (l *login) ask() error {
	l.mu.Lock()
	verified, failed := l.verified, l.failed
	l.mu.Unlock()
	switch {
	case failed != nil:
		return failed
	case !verified:
		return l.fail(ErrHostKey)
	case l.asked:
		return nil
	}
	l.asked = true
	var err error
	if l.credential, err = l.options.Login(l.ctx); err != nil {
		return l.fail(err)
	}
	if l.credential.Username != "" && l.credential.Username != l.options.Username {
		return l.fail(fmt.Errorf("%w: the credential is for another login name", ErrAuth))
	}
	return nil
}

func (l *login) methods() []ssh.AuthMethod {
	return []ssh.AuthMethod{
		ssh.PublicKeysCallback(l.signers),
		ssh.PasswordCallback(l.password),
		ssh.KeyboardInteractive(l.interactive),
	}
}

func (l *login) signers() ([]ssh.Signer, error) {
	if err := l.ask(); err != nil {
		return nil, err
	}
	if l.credential.PrivateKey.Empty() {
		return nil, nil
	}
	signer, err := parseKey(l.credential)
	if err != nil {
		return nil, l.fail(fmt.Errorf("%w: the private key in the vault cannot be used", ErrAuth))
	}
	return []ssh.Signer{signer}, nil
}

// interactive answers servers that ask for the password this way alone.
// Anything but one hidden question is not answered: it is not the password's
// business, whether it is a second factor or a new password to choose.
func (l *login) interactive(_, _ string, questions []string, echos []bool) ([]string, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	if len(questions) != 1 || echos[0] {
		return nil, errMore
	}
	if l.answered && asked(questions[0]) == fresh {
		return nil, l.fail(fmt.Errorf("%w: %w", ErrAuth, ErrLocked))
	}
	password, err := l.password()
	return []string{password}, err
}

// What ends a login for want of an answer.
var (
	errMore    = errors.New("the server asks more than a password")
	errNone    = errors.New("there is no password")
	errRefused = errors.New("the password was refused")
)

// password gives the password once. A server that refused it does not get it
// again by another method: that would count twice where failures lock out.
func (l *login) password() (string, error) {
	if err := l.ask(); err != nil {
		return "", err
	}
	if l.credential.Password.Empty() {
		return "", errNone
	}
	if l.answered {
		return "", errRefused
	}
	l.answered = true
	return string(l.credential.Password.Expose()), nil
}

// parseKey reads the private key, for algorithms that are in use here. Left to
// itself an RSA key signs with SHA-1 for servers that do not name theirs.
func parseKey(c Credential) (ssh.Signer, error) {
	var signer ssh.Signer
	var err error
	if c.Passphrase.Empty() {
		signer, err = ssh.ParsePrivateKey(c.PrivateKey.Expose())
	} else {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(c.PrivateKey.Expose(), c.Passphrase.Expose())
	}
	if err != nil {
		return nil, err
	}
	able, ok := signer.(ssh.AlgorithmSigner)
	algorithms := signatureAlgorithms(signer.PublicKey().Type())
	if !ok || len(algorithms) == 0 {
		return nil, fmt.Errorf("keys of type %s are not supported", signer.PublicKey().Type())
	}
	signer, err = ssh.NewSignerWithAlgorithms(able, algorithms)
	if err != nil || c.Certificate == "" {
		return signer, err
	}
	certificate, err := parseCertificate(c.Certificate)
	if err != nil {
		return nil, err
	}
	return ssh.NewCertSigner(certificate, signer)
}

func parseCertificate(line string) (*ssh.Certificate, error) {
	if len(line) > maxHostKey || strings.ContainsAny(line, "\r\n") {
		return nil, errors.New("a certificate is one line")
	}
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	certificate, ok := key.(*ssh.Certificate)
	if err != nil || !ok || certificate.CertType != ssh.UserCert || len(options) > 0 || len(rest) > 0 {
		return nil, errors.New("not an OpenSSH certificate of a user")
	}
	return certificate, nil
}

// explain tells the kinds of failure apart by how far the login came.
func (l *login) explain(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return l.failed
	case l.ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrBroken, context.Cause(l.ctx))
	case l.verified && no(err):
		return fmt.Errorf("%w: %w", ErrAuth, err)
	case len(l.pinned) > 0 && strings.Contains(err.Error(), "no common algorithm for host key"):
		return fmt.Errorf("%w: the target has no key of the pinned kinds", ErrHostKey)
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// no says whether err is the server's no to what it was offered. Whatever else
// goes wrong after the host key was verified (a server that hangs up, is full,
// or speaks nonsense) leaves open whether the credential is right, and a
// rotation believes the difference. Go's client has no types for it.
func no(err error) bool {
	text := err.Error()
	return errors.Is(err, errMore) || errors.Is(err, errNone) || errors.Is(err, errRefused) ||
		strings.Contains(text, "ssh: unable to authenticate, attempted methods [none ") ||
		strings.Contains(text, "ssh: disconnect, reason 2: Too many authentication failures")
}

// gone says whether err means that the other side went away, which is no
// answer to a login.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
