package server

import (
	"context"
	"errors"
	"net"
	"strings"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/pam/resource"
	"vaultpam/target/ldaptarget"
	"vaultpam/target/peer"
	"vaultpam/target/redistarget"
)

// What the broker asks of protocols beside SSH. An engine adapts one package
// of the target room; it decides nothing.

// targets are the protocols at which a credential can be tried and changed.
func targets() map[pam.Protocol]broker.Target {
	return map[pam.Protocol]broker.Target{
		pam.SSH: sshTarget{}, pam.PostgreSQL: postgresEngine, pam.MySQL: mysqlEngine, pam.Redis: redisEngine{}, pam.LDAP: ldapEngine{},
	}
}

func peerOf(r resource.Resource) peer.TLS {
	return peer.TLS{Mode: r.TLS.Mode, CA: r.TLS.CA, ServerName: r.TLS.ServerName}
}

// faults are the errors of a package of the target room. What is none of them
// leaves open what the target did.
type faults struct{ auth, refused, locked, peer error }

// of gives an error of a target its kind. The text of a refusal is the target's
// own, and was read with that in mind: no target package lets a secret into it.
func (f faults) of(err error) error {
	const op = "change credential at target"
	is := func(fault error) bool { return fault != nil && errors.Is(err, fault) }
	switch _, ours := errors.AsType[*pam.Error](err); {
	case err == nil:
		return nil
	case ours: // of the login, which the broker gave
		return pam.Wrap(op, err)
	case is(f.peer):
		return &pam.Error{Kind: pam.HostKeyMismatch, Op: op, Public: "The target's certificate is not the one that is expected", Err: err}
	case is(f.locked):
		return &pam.Error{Kind: pam.Unavailable, Op: op, Public: "The target has locked the account", Err: err}
	case is(f.auth):
		return &pam.Error{Kind: pam.TargetAuthFailed, Op: op, Public: "Authentication failed", Err: err}
	case is(f.refused):
		return &pam.Error{Kind: pam.TargetRefused, Op: op, Public: refusal(err), Err: err}
	}
	return &pam.Error{Kind: pam.Unreachable, Op: op, Public: "The target did not answer", Err: err}
}

// maxRefusal is how much of a target's own words is shown, in bytes.
const maxRefusal = 300

// refusal is what a target said when it refused a change, in one line.
func refusal(err error) string {
	text := []byte("The target refused the change: " + err.Error())
	for i, c := range text {
		if c < ' ' || c == 0x7f {
			text[i] = ' '
		}
	}
	return strings.ToValidUTF8(string(text[:min(len(text), maxRefusal)]), "")
}

type redisEngine struct{}

var redisFaults = faults{auth: redistarget.ErrAuth, refused: redistarget.ErrRefused, peer: redistarget.ErrTLS}

func (redisEngine) options(r resource.Resource, as broker.As) redistarget.Options {
	return redistarget.Options{
		TLS: peerOf(r), Host: r.Host, Username: as.Username,
		Login: func(ctx context.Context) (redistarget.Credential, error) {
			c, err := as.Login(ctx)
			return redistarget.Credential{Password: c.Password}, err
		},
	}
}

// Check implements broker.Target.
func (e redisEngine) Check(ctx context.Context, conn net.Conn, r resource.Resource, username string, login broker.Login) error {
	return redisFaults.of(redistarget.Check(ctx, conn, e.options(r, broker.As{Username: username, Login: login})))
}

// Peek implements broker.Target.
func (redisEngine) Peek(context.Context, net.Conn, resource.Resource) (string, error) { return "", nil }

// Change implements broker.Changer.
func (e redisEngine) Change(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, x broker.Exchange) error {
	// Without the old one, the new one is the only one afterwards.
	return redisFaults.of(redistarget.SetPassword(ctx, conn, e.options(r, as), x.Username, x.Next.Password, secret.Value{}))
}

// Retire implements broker.Changer.
func (e redisEngine) Retire(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, x broker.Exchange) error {
	return e.Change(ctx, conn, r, as, broker.Exchange{Username: x.Username, Next: x.Next})
}

type ldapEngine struct{}

var ldapFaults = faults{auth: ldaptarget.ErrAuth, refused: ldaptarget.ErrRefused, locked: ldaptarget.ErrLocked, peer: ldaptarget.ErrTLS}

func (ldapEngine) options(r resource.Resource, as broker.As) ldaptarget.Options {
	return ldaptarget.Options{
		TLS: peerOf(r), Host: r.Host, StartTLS: r.Port != ldapsPort && r.TLS.Mode != peer.Disable, Username: as.Username,
		Login: func(ctx context.Context) (ldaptarget.Credential, error) {
			c, err := as.Login(ctx)
			return ldaptarget.Credential{Password: c.Password}, err
		},
	}
}

// ldapsPort is where directories speak TLS from the first byte; elsewhere they
// are asked for it (RFC 4511 section 4.14).
const ldapsPort = 636

// Check implements broker.Target.
func (e ldapEngine) Check(ctx context.Context, conn net.Conn, r resource.Resource, username string, login broker.Login) error {
	return ldapFaults.of(ldaptarget.Check(ctx, conn, e.options(r, broker.As{Username: username, Login: login})))
}

// Peek implements broker.Target.
func (ldapEngine) Peek(context.Context, net.Conn, resource.Resource) (string, error) { return "", nil }

// Change implements broker.Changer.
func (e ldapEngine) Change(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, x broker.Exchange) error {
	o := e.options(r, as)
	o.Attribute = x.Attribute
	old := x.Old.Password
	if !x.Self {
		old = secret.Value{} // by an administrator's hand, for whom nobody has to know it
	}
	return ldapFaults.of(ldaptarget.SetPassword(ctx, conn, o, x.Username, x.Next.Password, old))
}

// Retire implements broker.Changer. A directory keeps one password, unless
// somebody has given the entry another one beside it.
func (e ldapEngine) Retire(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, x broker.Exchange) error {
	x.Self = false
	return e.Change(ctx, conn, r, as, x)
}
