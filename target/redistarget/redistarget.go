// Package redistarget logs in to Redis servers, and changes who may.
//
// It owns the order that protects a credential (the server is verified first,
// and only then is the credential asked for), and how users of a server are
// changed: always by the SHA-256 of a password, which the server keeps anyhow,
// so that no password is in its logs. It must not know where credentials come
// from or who uses them. Start at [Check].
package redistarget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/target/peer"
	"vaultpam/wire/resp"
)

// Errors.
var (
	// ErrAuth is the server's no to this credential, and nothing else.
	//lint:ignore ST1005 this is a whole sentence that a person reads
	ErrAuth = errors.New("Authentication failed")
	// ErrBroken leaves open whether the credential works, or the change was made.
	ErrBroken = errors.New("the Redis server did not say")
	ErrTLS    = peer.ErrTLS
	// ErrRefused is the server's no to a change. Nothing was changed.
	ErrRefused = errors.New("the Redis server refused")
)

// Limits.
const (
	maxAnswers  = 8 << 20 // bytes that a server may send on one connection
	maxUser     = 128     // bytes of a name
	maxPassword = 1024    // bytes
	maxRules    = 64
	maxRule     = 512 // bytes
)

// DefaultUser is who one is without a name.
const DefaultUser = "default"

// Credential is what a login needs. It is wiped after use.
type Credential struct {
	Password secret.Value
}

// Options say who is expected and how to log in.
type Options struct {
	TLS  peer.TLS
	Host string // for the certificate, where TLS names no server
	// Username is the login name; "" is the default user. Login gives the rest,
	// is called at most once, and only after the server was verified.
	Username string
	Login    func(ctx context.Context) (Credential, error)
	Timeout  time.Duration // of everything; 0 is 15 s
}

// Check logs in and out again.
func Check(ctx context.Context, conn net.Conn, o Options) error {
	return with(ctx, conn, o, func(*session) error { return nil })
}

// session is a connection that has logged in.
type session struct {
	conn net.Conn
	r    *resp.Reader
	ctx  context.Context
}

// with logs in, does something, and closes conn.
func with(ctx context.Context, conn net.Conn, o Options, do func(*session) error) error {
	defer conn.Close()
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	limited, ctx, stop := peer.Bound(ctx, conn, maxAnswers, timeout)
	defer stop()
	secured, err := peer.Secure(ctx, limited, o.TLS, o.Host)
	switch {
	case errors.Is(err, ErrTLS):
		return err
	case err != nil:
		return broken(ctx, err)
	}
	s := &session{conn: secured, r: resp.NewReader(secured, resp.Limits{}), ctx: ctx}
	if err := s.login(o); err != nil {
		return err
	}
	return do(s)
}

// login uses AUTH alone. HELLO could do it as well, but servers that do not
// know HELLO answer with its arguments, the password among them.
func (s *session) login(o Options) error {
	if name(o.Username) != nil {
		return fmt.Errorf("%w: not a name of a user", ErrAuth)
	}
	c, err := o.Login(s.ctx)
	if err != nil {
		return err
	}
	defer c.Password.Wipe()
	if c.Password.Empty() || len(c.Password.Expose()) > maxPassword {
		return fmt.Errorf("%w: there is no password", ErrAuth)
	}
	args := [][]byte{[]byte("AUTH"), []byte(o.Username), c.Password.Expose()}
	if o.Username == "" || o.Username == DefaultUser {
		args = [][]byte{args[0], args[2]} // servers before version 6 know no names
	}
	v, err := s.do(args...)
	switch {
	case err != nil:
		return err
	case v.Kind == resp.Simple && string(v.Text) == "OK":
		return nil
	case v.Failed() && refusedLogin(v.Text):
		return ErrAuth
	case v.Failed():
		return fmt.Errorf("%w whether the password is right: %s", ErrBroken, code(v.Text))
	}
	return fmt.Errorf("%w whether the password is right", ErrBroken)
}

// refusedLogin says whether an error is about the credential. Servers before
// version 6 have no word of their own for it; the last is one that knows no
// names, or whose default user has no password, which any other is not.
func refusedLogin(text []byte) bool {
	if code(text) == "WRONGPASS" {
		return true
	}
	for _, begin := range []string{"ERR invalid password", "ERR AUTH <password> called without any password", "ERR Client sent AUTH, but no password is set", "ERR wrong number of arguments for 'auth'"} {
		if bytes.HasPrefix(text, []byte(begin)) {
			return true
		}
	}
	return false
}

var word = regexp.MustCompile(`^[A-Z][A-Z0-9]{0,31}(?: |$)`)

// code is the first word of an error. The rest is the server's, which may
// repeat what it was sent.
func code(text []byte) string {
	if w := word.Find(text); w != nil {
		return strings.TrimSpace(string(w))
	}
	return "unknown error"
}

// do sends a command and reads the answer, which may be an error of the server.
func (s *session) do(args ...[]byte) (resp.Value, error) {
	command := resp.AppendCommand(nil, args...)
	_, err := s.conn.Write(command)
	clear(command)
	if err != nil {
		return resp.Value{}, broken(s.ctx, err)
	}
	v, err := s.r.Read()
	if err != nil {
		return resp.Value{}, broken(s.ctx, err)
	}
	return v, nil
}

// order sends a command that is answered by OK or refused.
func (s *session) order(args ...string) error {
	v, err := s.ask(args...)
	if err == nil && !(v.Kind == resp.Simple && string(v.Text) == "OK") {
		return fmt.Errorf("%w: %s was not answered", ErrBroken, what(args))
	}
	return err
}

// ask sends a command; a refusal is an error.
func (s *session) ask(args ...string) (resp.Value, error) {
	raw := make([][]byte, len(args))
	for i, a := range args {
		raw[i] = []byte(a)
	}
	v, err := s.do(raw...)
	switch {
	case err != nil || !v.Failed():
		return v, err
	case transient(v.Text):
		return v, fmt.Errorf("%w: %s: %s", ErrBroken, what(args), code(v.Text))
	}
	return v, &refusal{step: what(args), text: string(v.Text)}
}

func what(args []string) string { return strings.Join(args[:min(2, len(args))], " ") }

// transient says whether an error is of the moment.
func transient(text []byte) bool {
	return slices.Contains([]string{"LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "OOM", "unknown error"}, code(text))
}

// refusal is a no to a command. Its text stays inside.
type refusal struct{ step, text string }

func (r *refusal) Error() string {
	return fmt.Sprintf("%v: %s: %s", ErrRefused, r.step, code([]byte(r.text)))
}
func (r *refusal) Unwrap() error { return ErrRefused }

func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// name accepts what can be a user's name: it is a word in the files in which a
// server keeps its users.
func name(text string) error {
	if len(text) > maxUser || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '\\' }) {
		return fmt.Errorf("%w: not a name of a user", ErrRefused)
	}
	return nil
}
