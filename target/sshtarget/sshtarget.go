// Package sshtarget logs in to SSH servers, and changes what lets accounts in
// there: passwords, keys, and files that hold a copy.
//
// It owns the order that protects a credential: the server's host key is
// checked first, and only then is the credential asked for. It must not know
// where credentials come from, who uses them, or who is allowed to. Start at
// [Dial].
package sshtarget

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	// ErrLocked comes with ErrAuth: the password was taken, and a new one is
	// demanded before the account is let in.
	ErrLocked = errors.New("the account must change its password")
	// ErrRefused is the target's no to a change. Nothing was changed; after
	// ErrBroken it may have been.
	ErrRefused = errors.New("the target refused")
)

// Credential is what a login needs. Dial wipes it after use.
type Credential struct {
	Username   string // empty, or that of the Options
	Password   secret.Value
	PrivateKey secret.Value // PEM, as OpenSSH writes it
	Passphrase secret.Value // of PrivateKey
	// Certificate is an OpenSSH certificate line for PrivateKey; with it the key
	// alone is not offered.
	Certificate string
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
	// Username is the login name; Login gives the rest, for the same name. Login
	// is called at most once, and only after the host key was found right.
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
	stop := breakAtEnd(ctx, conn)
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
	if !stop() { // conn is closed or about to be
		_ = c.Close()
		return nil, fmt.Errorf("%w: %w", ErrBroken, context.Cause(ctx))
	}
	return ssh.NewClient(c, channels, requests), nil
}

// breakAtEnd closes conn when ctx ends before the returned function is called.
// Handshakes have no context of their own, so nothing less stops them.
func breakAtEnd(ctx context.Context, conn net.Conn) func() bool {
	return context.AfterFunc(ctx, func() { _ = conn.Close() })
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
	defer breakAtEnd(ctx, conn)()
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
