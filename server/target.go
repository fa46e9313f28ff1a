package server

import (
	"context"
	"errors"
	"net"
	"strconv"

	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/resource"
	"vaultpam/server/demo"
	"vaultpam/target/sshtarget"
)

// sshTarget gives the broker what it asks of SSH targets beside a session.
type sshTarget struct{}

// Check implements broker.Target.
func (sshTarget) Check(ctx context.Context, conn net.Conn, r resource.Resource, username string, login broker.Login) error {
	return targetError(sshtarget.Check(ctx, conn, sshtarget.Options{
		HostKeys: r.HostKeys, Username: username,
		Login: func(ctx context.Context) (sshtarget.Credential, error) {
			c, err := login(ctx)
			return sshtarget.Credential{Username: username, Password: c.Password, PrivateKey: c.PrivateKey, Certificate: c.Certificate}, err
		},
	}))
}

// Peek implements broker.Target.
func (sshTarget) Peek(ctx context.Context, conn net.Conn, _ resource.Resource) (string, error) {
	line, err := sshtarget.ScanHostKey(ctx, conn)
	return line, targetError(err)
}

// targetError gives errors of a target their kind.
func targetError(err error) error {
	const op = "reach target"
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sshtarget.ErrHostKey):
		return &pam.Error{Kind: pam.HostKeyMismatch, Op: op, Public: "Host key verification failed", Err: err}
	case errors.Is(err, sshtarget.ErrAuth):
		return &pam.Error{Kind: pam.TargetAuthFailed, Op: op, Public: "Authentication failed", Err: err}
	case errors.Is(err, sshtarget.ErrBroken):
		return &pam.Error{Kind: pam.Unreachable, Op: op, Public: "SSH connection refused", Err: err}
	}
	return pam.Wrap(op, err)
}

// dialer reaches targets from this machine. The demo target has a name of its
// own, which resolves to wherever it listens in this run.
func (s *Server) dialer(rules broker.LocalRules) broker.Dialer {
	return demoDialer{s, broker.LocalDialer{Rules: rules, Serves: s.servesLocally}}
}

type demoDialer struct {
	s *Server
	broker.LocalDialer
}

// Dial implements broker.Dialer.
func (d demoDialer) Dial(ctx context.Context, org pam.OrgID, host string, port int) (net.Conn, error) {
	if d.s.demo == nil || host != demo.Host {
		return d.LocalDialer.Dial(ctx, org, host, port)
	}
	at, text, err := net.SplitHostPort(d.s.demo.Addr())
	if err != nil {
		return nil, pam.Wrap("dial demo target", err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		return nil, pam.Wrap("dial demo target", err)
	}
	return d.LocalDialer.Dial(ctx, org, at, port)
}

// servesLocally says whether an organization may use this server's own
// network: the first one, until an administrator can name others.
func (s *Server) servesLocally(id pam.OrgID) bool {
	first, err := s.db.FirstOrganization(context.Background())
	return err == nil && first == id
}
