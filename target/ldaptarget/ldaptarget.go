// Package ldaptarget logs in to directories as an account of theirs, and
// changes passwords there (LDAP version 3, RFC 4511): OpenLDAP, Active
// Directory and their like.
//
// It owns the order that protects a credential (the server is verified first,
// and only then is the credential asked for), and which answers of a directory
// are a clear no. It must not know where credentials come from or who uses
// them; people who sign in here are the business of idp/ldap. Start at [Check].
package ldaptarget

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"vaultpam/internal/secret"
	"vaultpam/target/peer"
)

// Errors.
var (
	// ErrAuth is the directory's no to this credential, and nothing else.
	//lint:ignore ST1005 this is a whole sentence that a person reads
	ErrAuth = errors.New("Authentication failed")
	// ErrLocked says that no password logs the account in as it stands: it is
	// locked, disabled or expired, or must change its password first.
	ErrLocked = errors.New("the account is locked")
	// ErrBroken leaves open whether the credential works, or the change was made.
	ErrBroken = errors.New("the directory did not say")
	ErrTLS    = peer.ErrTLS
	// ErrRefused is the directory's no to a change. Nothing was changed.
	ErrRefused = errors.New("the directory refused")
)

// Limits.
const (
	maxAnswers  = 1 << 20 // bytes that a directory may send on one connection
	maxPacket   = 8 << 20 // bytes of one message, as in idp/ldap: it is the library's and one for all
	maxName     = 1024    // bytes
	maxPassword = 512     // bytes
)

// The library reads a length before it reads a message; without this a
// directory could have us make room for two gigabytes.
func init() { ber.MaxPacketLengthBytes = maxPacket }

// UnicodePwd is where Active Directory takes passwords.
const UnicodePwd = "unicodePwd"

// Credential is what a login needs. It is wiped after use.
type Credential struct {
	Password secret.Value
}

// Options say who is expected and how to log in.
type Options struct {
	TLS      peer.TLS // of ldaps, or with StartTLS of ldap
	StartTLS bool
	Host     string // for the certificate, where TLS names no server
	// Username is what one binds as: a distinguished name, or in Active Directory
	// name@domain. Login gives the rest, is called at most once, and only after
	// the server was verified.
	Username string
	Login    func(ctx context.Context) (Credential, error)
	Timeout  time.Duration // of everything; 0 is 15 s
	// Attribute says how a password is changed: "" by the operation of RFC 3062,
	// or UnicodePwd.
	Attribute string
}

// Check logs in and out again.
func Check(ctx context.Context, conn net.Conn, o Options) error {
	return with(ctx, conn, o, func(context.Context, *ldap.Conn) error { return nil })
}

// with logs in, does something, and closes conn.
func with(ctx context.Context, conn net.Conn, o Options, do func(context.Context, *ldap.Conn) error) error {
	defer conn.Close()
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	limited, ctx, stop := peer.Bound(ctx, conn, maxAnswers, timeout)
	defer stop()
	l, err := connect(ctx, limited, o)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	l.SetTimeout(timeout)
	if err := login(ctx, l, o); err != nil {
		return err
	}
	return do(ctx, l)
}

func connect(ctx context.Context, conn net.Conn, o Options) (*ldap.Conn, error) {
	if o.StartTLS && o.TLS.Mode != peer.Disable {
		config, err := o.TLS.Config(o.Host)
		if err != nil {
			return nil, err
		}
		l := ldap.NewConn(conn, false)
		l.Start()
		if err := l.StartTLS(config); err != nil {
			_ = l.Close()
			if ctx.Err() != nil || peer.Gone(err) {
				return nil, broken(ctx, err)
			}
			return nil, fmt.Errorf("%w: %w", ErrTLS, err)
		}
		return l, nil
	}
	secured, err := peer.Secure(ctx, conn, o.TLS, o.Host)
	switch {
	case errors.Is(err, ErrTLS):
		return nil, err
	case err != nil:
		return nil, broken(ctx, err)
	}
	l := ldap.NewConn(secured, o.TLS.Mode != peer.Disable)
	l.Start()
	return l, nil
}

func login(ctx context.Context, l *ldap.Conn, o Options) error {
	// A bind without name or password succeeds as nobody (RFC 4513 section 5.1.2).
	if o.Username == "" || len(o.Username) > maxName || strings.ContainsRune(o.Username, 0) {
		return fmt.Errorf("%w: there is no name", ErrAuth)
	}
	c, err := o.Login(ctx)
	if err != nil {
		return err
	}
	defer c.Password.Wipe()
	if usable(c.Password) != nil {
		return fmt.Errorf("%w: there is no password", ErrAuth)
	}
	r := ldap.NewSimpleBindRequest(o.Username, string(c.Password.Expose()), []ldap.Control{ldap.NewControlBeheraPasswordPolicy()})
	result, err := l.SimpleBind(r)
	if err == nil {
		return nil
	}
	if k := kind(err, result); k != ErrBroken {
		return k
	}
	return broken(ctx, err)
}

// The numbers of Active Directory for accounts that are let in by no password
// now, whether or not this one was right: they may not at this hour or from
// here (530, 531), must change it (532, 773), are disabled (533), expired
// (701) or locked (775).
var shut = []string{"530", "531", "532", "533", "701", "773", "775"}

var activeDirectory = regexp.MustCompile(`AcceptSecurityContext error, data ([0-9a-f]{2,4})\b`)

// kind says what the answer to a bind means.
func kind(err error, result *ldap.SimpleBindResult) error {
	e, ok := errors.AsType[*ldap.Error](err)
	switch {
	case !ok:
		return ErrBroken
	case e.ResultCode == ldap.LDAPResultConstraintViolation: // 389 Directory Server: too many failures
		return ErrLocked
	case e.ResultCode != ldap.LDAPResultInvalidCredentials:
		return ErrBroken
	}
	if result != nil {
		for _, c := range result.Controls {
			if p, ok := c.(*ldap.ControlBeheraPasswordPolicy); ok && (p.Error == ldap.BeheraAccountLocked || p.Error == ldap.BeheraPasswordExpired) {
				return ErrLocked
			}
		}
	}
	if e.Err != nil {
		if m := activeDirectory.FindStringSubmatch(e.Err.Error()); m != nil && slices.Contains(shut, m[1]) {
			return ErrLocked
		}
	}
	return ErrAuth
}

// broken keeps of an error what a directory cannot have written: it may repeat
// what it was sent.
func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrBroken, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %s", ErrBroken, code(err))
}

func code(err error) string {
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		if text := ldap.LDAPResultCodeMap[e.ResultCode]; text != "" {
			return text
		}
		return fmt.Sprintf("code %d", e.ResultCode)
	}
	return "the connection ended"
}
