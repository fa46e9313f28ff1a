// Package sqltarget is what logins to all databases have in common.
//
// It owns their options, the kinds of failure, the check of the peer by TLS and
// the limit on what a server may send. It must not know a protocol, where
// credentials come from or who uses them. Start at [Options].
package sqltarget

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"vaultpam/internal/secret"
)

// Errors of logins and statements. None of them holds what a server said
// beyond its number: a server may repeat a statement with the password in it.
var (
	ErrAuth    = errors.New("the server refused this login")
	ErrLocked  = errors.New("the account is locked on the server")
	ErrBroken  = errors.New("the server gave no answer to rely on")
	ErrTLS     = errors.New("the server could not be verified")
	ErrRefused = errors.New("the server refused the statement")
)

// Credential is what a login needs; it is wiped after use.
type Credential struct {
	Password    secret.Value
	Certificate secret.Value // PEM, a client certificate for TLS
	PrivateKey  secret.Value // PEM, of Certificate
}

// Wipe clears all of it.
func (c *Credential) Wipe() {
	c.Password.Wipe()
	c.Certificate.Wipe()
	c.PrivateKey.Wipe()
}

// TLS says how the server is verified.
type TLS struct {
	Mode       string // disable, require, verify-ca or verify-full; empty is verify-full
	CA         string // PEM; empty is the roots of the system
	ServerName string // empty is the host
}

// Options say who is expected and how to log in.
type Options struct {
	TLS      TLS
	Host     string // what is verified when TLS.ServerName is empty
	Username string
	Database string
	// Login is called once, only after the server was verified.
	Login   func(ctx context.Context) (Credential, error)
	Timeout time.Duration // of everything; 0 is 15 s
}

// Deadline bounds everything that is done over conn, even where a library
// knows no context.
func (o Options) Deadline(ctx context.Context, conn net.Conn) (context.Context, func()) {
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return ctx, func() { stop(); cancel(); _ = conn.Close() }
}

// Verified says whether a login knows whom it talks to.
func (t TLS) Verified() bool { return t.Mode == "" || t.Mode == "verify-ca" || t.Mode == "verify-full" }

// Config returns the configuration of TLS, or nil for none. Client certificates
// are not in it: they are asked for by a handshake that has not ended yet, so
// [Handshake] takes them from Login when the server was verified.
func (o Options) Config() (*tls.Config, error) {
	if o.TLS.Mode == "disable" {
		return nil, nil
	}
	name := o.TLS.ServerName
	if name == "" {
		name = o.Host
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name, InsecureSkipVerify: true}
	var roots *x509.CertPool
	if o.TLS.CA != "" {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(o.TLS.CA)) {
			return nil, fmt.Errorf("%w: the CA is no certificate", ErrTLS)
		}
	}
	switch o.TLS.Mode {
	case "require":
	case "verify-ca", "verify-full", "":
		if name == "" && o.TLS.Mode != "verify-ca" {
			return nil, fmt.Errorf("%w: no name to verify", ErrTLS)
		}
		verify := x509.VerifyOptions{Roots: roots}
		if o.TLS.Mode != "verify-ca" {
			verify.DNSName = name
		}
		config.VerifyConnection = func(s tls.ConnectionState) error {
			v := verify
			v.Intermediates = x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				v.Intermediates.AddCert(c)
			}
			_, err := s.PeerCertificates[0].Verify(v)
			return err
		}
	default:
		return nil, fmt.Errorf("%w: no such mode of TLS", ErrTLS)
	}
	return config, nil
}

// Handshake verifies the server and opens the credential afterwards. When the
// server asks for a client certificate, that is while the handshake goes on,
// but after the certificate of the server was found right.
func (o Options) Handshake(ctx context.Context, conn net.Conn, config *tls.Config) (*tls.Conn, Credential, error) {
	var c Credential
	var failed error
	asked := false
	ask := func() error {
		if !asked {
			asked = true
			c, failed = o.Login(ctx)
		}
		return failed
	}
	verify := config.VerifyConnection
	verified := false
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if verify != nil {
			if err := verify(s); err != nil {
				return err
			}
		}
		verified = true
		return nil
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if !verified {
			return nil, ErrTLS
		}
		if err := ask(); err != nil {
			return nil, err
		}
		if c.Certificate.Empty() {
			return &tls.Certificate{}, nil
		}
		pair, err := tls.X509KeyPair(c.Certificate.Expose(), c.PrivateKey.Expose())
		if err != nil {
			failed = fmt.Errorf("%w: the client certificate in the vault cannot be used", ErrAuth)
			return nil, failed
		}
		return &pair, nil
	}
	t := tls.Client(conn, config)
	err := t.HandshakeContext(ctx)
	switch {
	case failed != nil:
		return nil, c, failed
	case err != nil && ctx.Err() != nil:
		return nil, c, fmt.Errorf("%w: %w", ErrBroken, context.Cause(ctx))
	case err != nil:
		return nil, c, fmt.Errorf("%w: %w", ErrTLS, err)
	}
	return t, c, ask()
}

// Limit bounds what a server may send over conn.
func Limit(conn net.Conn, bytes int) net.Conn { return &limited{Conn: conn, left: bytes} }

type limited struct {
	net.Conn
	left int
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("the server sends too much")
	}
	n, err := l.Conn.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}
