package server

import (
	"context"
	"errors"
	"net"
	"strconv"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/resource"
	"vaultpam/server/demo"
	"vaultpam/target/sshtarget"
)

// sshTarget gives the broker what it asks of SSH targets beside a session.
type sshTarget struct{}

// Check implements broker.Target.
func (e sshTarget) Check(ctx context.Context, conn net.Conn, r resource.Resource, username string, login broker.Login) error {
	return targetError(sshtarget.Check(ctx, conn, e.options(r, broker.As{Username: username, Login: login})))
}

// Peek implements broker.Target.
func (sshTarget) Peek(ctx context.Context, conn net.Conn, _ resource.Resource) (string, error) {
	line, err := sshtarget.ScanHostKey(ctx, conn)
	return line, targetError(err)
}

func (sshTarget) options(r resource.Resource, as broker.As) sshtarget.Options {
	return sshtarget.Options{
		HostKeys: r.HostKeys, Username: as.Username,
		Login: func(ctx context.Context) (sshtarget.Credential, error) {
			c, err := as.Login(ctx)
			return sshtarget.Credential{Username: as.Username, Password: c.Password, PrivateKey: c.PrivateKey, Certificate: c.Certificate}, err
		},
	}
}

var sshFaults = faults{auth: sshtarget.ErrAuth, refused: sshtarget.ErrRefused, locked: sshtarget.ErrLocked, peer: sshtarget.ErrHostKey}

// Change implements broker.Changer. A key is put beside the old one, which
// Retire takes away.
func (e sshTarget) Change(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, x broker.Exchange) error {
	o, user := e.options(r, as), x.Username
	if x.Self {
		user = ""
	}
	switch {
	case !x.Next.PrivateKey.Empty():
		return sshFaults.of(sshtarget.AddKey(ctx, conn, o, user, x.NextPublic))
	case x.Self:
		return sshFaults.of(sshtarget.ChangePassword(ctx, conn, o, x.Next.Password, x.Old.Password))
	}
	return sshFaults.of(sshtarget.SetPassword(ctx, conn, o, x.Username, x.Next.Password))
}

// Retire implements broker.Changer.
func (e sshTarget) Retire(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, x broker.Exchange) error {
	if x.OldPublic == "" || x.OldPublic == x.NextPublic {
		return pam.Errorf(pam.TargetRefused, "retire credential", "The target goes on taking the earlier password.")
	}
	user := x.Username
	if x.Self {
		user = ""
	}
	return sshFaults.of(sshtarget.RemoveKey(ctx, conn, e.options(r, as), user, x.OldPublic))
}

// Spread implements broker.Spreader.
func (e sshTarget) Spread(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, path, key string, value secret.Value) error {
	return sshFaults.of(sshtarget.UpdateFile(ctx, conn, e.options(r, as), sshtarget.File{Path: path, Key: key}, value))
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
