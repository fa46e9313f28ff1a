// Package peer verifies who is at the other end of a connection, by TLS.
//
// It owns the modes in which a certificate is checked, and the bounds on what a
// target may send and for how long. It must not know any protocol, nor see a
// credential: whoever logs in asks for that afterwards. Start at [Secure].
package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// ErrTLS says that the peer is not who was expected.
var ErrTLS = errors.New("TLS verification failed")

// errTooMuch ends a connection whose peer does not stop talking.
var errTooMuch = errors.New("the target says too much")

// The modes of a resource's TLS. "" is Verify.
const (
	Disable = "disable" // no TLS
	Require = "require" // TLS; the certificate is checked where a CA is named
	Verify  = "verify"  // TLS, and the certificate is of a CA and for the name
)

// TLS says how a target's certificate is checked.
type TLS struct {
	Mode       string
	CA         string // PEM; "": those of the system
	ServerName string // "": the host
}

// Config is what the mode means; nil for no TLS. An unknown mode is an error.
func (t TLS) Config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if c.ServerName == "" {
		c.ServerName = host
	}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, fmt.Errorf("%w: the CA holds no certificate", ErrTLS)
		}
	}
	switch t.Mode {
	case Disable:
		return nil, nil
	case "", Verify:
		return c, nil
	case Require:
		// The person who set the target up has said that its name does not matter;
		// without a CA there is nothing to check against.
		c.InsecureSkipVerify = true
		if roots := c.RootCAs; roots != nil {
			c.VerifyConnection = func(s tls.ConnectionState) error { return chain(s, roots) }
		}
		return c, nil
	}
	return nil, fmt.Errorf("%w: unknown mode", ErrTLS)
}

func chain(s tls.ConnectionState, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	return err
}

// Secure shakes hands where the mode says so. The errors are ErrTLS, or, when
// the peer went away in between, what the network says.
func Secure(ctx context.Context, conn net.Conn, t TLS, host string) (net.Conn, error) {
	c, err := t.Config(host)
	if err != nil || c == nil {
		return conn, err
	}
	secured := tls.Client(conn, c)
	if err := secured.HandshakeContext(ctx); err != nil {
		if Gone(err) || ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrTLS, err)
	}
	return secured, nil
}

// Bound limits how much comes over conn and, by ctx and timeout, for how long
// it lives. The returned function takes the limit on time away.
func Bound(ctx context.Context, conn net.Conn, most int64, timeout time.Duration) (net.Conn, context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return &bounded{Conn: conn, left: most}, ctx, func() {
		stop()
		cancel()
	}
}

// bounded is read by one goroutine at a time.
type bounded struct {
	net.Conn
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Gone says whether err means that the other side went away, or did not answer
// in time, which is no answer at all.
func Gone(err error) bool {
	for _, g := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, os.ErrDeadlineExceeded, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, g) {
			return true
		}
	}
	return false
}
