// Package sshtarget logs in to SSH servers.
//
// It owns the order that protects a credential: the server's host key is
// checked first, and only then is the credential asked for. It must not know
// where credentials come from, who uses them, or who is allowed to. Start at
// [Dial].
package sshtarget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
)

// Errors of Dial, in the words that users know.
var (
	//lint:ignore ST1005 these are whole sentences that a person reads
	ErrHostKey = errors.New("Host key verification failed")
	//lint:ignore ST1005 these are whole sentences that a person reads
	ErrAuth   = errors.New("Authentication failed")
	ErrBroken = errors.New("SSH connection refused")
)

// Credential is what a login needs. Dial wipes it after use.
type Credential struct {
	Username   string
	Password   secret.Value
	PrivateKey secret.Value // PEM, as OpenSSH writes it
	Passphrase secret.Value // of PrivateKey
}

func (c *Credential) wipe() {
	c.Password.Wipe()
	c.PrivateKey.Wipe()
	c.Passphrase.Wipe()
}

// Options say who is expected and how to log in.
type Options struct {
	HostKeys []string // OpenSSH public key lines that are pinned
	// FirstKey is called with the server's key when HostKeys is empty, and
	// must pin it durably before it returns nil. A nil FirstKey refuses.
	FirstKey func(ctx context.Context, line string) error
	// Username is the login name; Login gives the rest. Login is called at
	// most once, and only after the host key was found right.
	Username string
	Login    func(ctx context.Context) (Credential, error)
	Timeout  time.Duration // of handshake and authentication; 0 is 15 s
}

// Algorithms of today's OpenSSH, without SHA-1, the fastest on machines with
// AES instructions first.
var (
	ciphers      = []string{"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr"}
	keyExchanges = []string{"mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256"}
	macs         = []string{"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"}
)

// Dial logs in over conn, which it closes when it fails. The errors are
// ErrHostKey, ErrAuth, ErrBroken or what FirstKey and Login returned, wrapped.
func Dial(ctx context.Context, conn net.Conn, o Options) (*ssh.Client, error) {
	client, err := dial(ctx, conn, o)
	if err != nil {
		_ = conn.Close()
	}
	return client, err
}

func dial(ctx context.Context, conn net.Conn, o Options) (*ssh.Client, error) {
	pinned, err := ParseHostKeys(o.HostKeys)
	if err != nil {
		return nil, err
	}
	if len(pinned) == 0 && o.FirstKey == nil {
		return nil, fmt.Errorf("%w: no host key is pinned", ErrHostKey)
	}
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// The handshake has no context of its own: ending ours breaks the
	// connection under it.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	l := &login{ctx: ctx, options: o, pinned: pinned}
	defer l.credential.wipe()
	c, channels, requests, err := ssh.NewClientConn(conn, conn.RemoteAddr().String(), &ssh.ClientConfig{
		Config:            ssh.Config{Ciphers: ciphers, KeyExchanges: keyExchanges, MACs: macs},
		User:              o.Username,
		Auth:              l.methods(),
		HostKeyCallback:   l.checkHostKey,
		HostKeyAlgorithms: algorithmsOf(pinned),
		ClientVersion:     "SSH-2.0-VaultPAM",
	})
	if err != nil {
		return nil, l.explain(err)
	}
	if !stop() {
		_ = c.Close()
		return nil, fmt.Errorf("%w: %w", ErrBroken, context.Cause(ctx))
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return ssh.NewClient(c, channels, requests), nil
}

// login is one attempt.
type login struct {
	ctx        context.Context
	options    Options
	pinned     []ssh.PublicKey
	verified   bool // the host key was found right
	asked      bool
	credential Credential
	failed     error // why there is no credential, or why the key was refused
}

func (l *login) checkHostKey(_ string, _ net.Addr, key ssh.PublicKey) error {
	if len(l.pinned) == 0 {
		if err := l.options.FirstKey(l.ctx, Line(key)); err != nil {
			l.failed = fmt.Errorf("%w: %w", ErrHostKey, err)
			return l.failed
		}
		l.verified = true
		return nil
	}
	wire := key.Marshal()
	if !slices.ContainsFunc(l.pinned, func(p ssh.PublicKey) bool { return bytes.Equal(p.Marshal(), wire) }) {
		l.failed = ErrHostKey
		return l.failed
	}
	l.verified = true
	return nil
}

// ask opens the credential once, never before the host key was checked.
func (l *login) ask() error {
	if l.asked || l.failed != nil {
		return l.failed
	}
	if !l.verified {
		l.failed = ErrHostKey
		return l.failed
	}
	l.asked = true
	l.credential, l.failed = l.options.Login(l.ctx)
	return l.failed
}

func (l *login) methods() []ssh.AuthMethod {
	return []ssh.AuthMethod{
		ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			if err := l.ask(); err != nil {
				return nil, err
			}
			if l.credential.PrivateKey.Empty() {
				return nil, nil
			}
			signer, err := parseKey(l.credential)
			if err != nil {
				l.failed = fmt.Errorf("%w: the private key in the vault cannot be read", ErrAuth)
				return nil, l.failed
			}
			return []ssh.Signer{signer}, nil
		}),
		ssh.PasswordCallback(l.password),
		// Many servers ask for the password this way alone. Anything but one
		// hidden question is not answered: it is not the password's business.
		ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
			if len(questions) == 0 {
				return nil, nil
			}
			if len(questions) != 1 || echos[0] {
				return nil, errors.New("the server asks more than a password")
			}
			password, err := l.password()
			return []string{password}, err
		}),
	}
}

func (l *login) password() (string, error) {
	if err := l.ask(); err != nil {
		return "", err
	}
	if l.credential.Password.Empty() {
		return "", errors.New("there is no password")
	}
	return string(l.credential.Password.Expose()), nil
}

func parseKey(c Credential) (ssh.Signer, error) {
	if c.Passphrase.Empty() {
		return ssh.ParsePrivateKey(c.PrivateKey.Expose())
	}
	return ssh.ParsePrivateKeyWithPassphrase(c.PrivateKey.Expose(), c.Passphrase.Expose())
}

// explain tells the kinds of failure apart by how far the login came.
func (l *login) explain(err error) error {
	switch {
	case l.failed != nil:
		return l.failed
	case l.ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrBroken, context.Cause(l.ctx))
	case l.verified:
		return fmt.Errorf("%w: %w", ErrAuth, err)
	case len(l.pinned) > 0 && strings.Contains(err.Error(), "no common algorithm for host key"):
		return fmt.Errorf("%w: the target has no key of the pinned kinds", ErrHostKey)
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// Check logs in and out again.
func Check(ctx context.Context, conn net.Conn, o Options) error {
	c, err := Dial(ctx, conn, o)
	if err != nil {
		return err
	}
	return c.Close()
}

var errScanned = errors.New("host key seen")

// ScanHostKey returns the OpenSSH line of the key that the server shows, and
// closes conn. Nothing is sent that the server could use.
func ScanHostKey(ctx context.Context, conn net.Conn) (string, error) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var line string
	_, _, _, err := ssh.NewClientConn(conn, conn.RemoteAddr().String(), &ssh.ClientConfig{
		Config: ssh.Config{Ciphers: ciphers, KeyExchanges: keyExchanges, MACs: macs},
		User:   "vaultpam-probe",
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			line = Line(key)
			return errScanned
		},
		HostKeyAlgorithms: algorithmsOf(nil),
		ClientVersion:     "SSH-2.0-VaultPAM",
	})
	if line == "" {
		return "", fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return line, nil
}
