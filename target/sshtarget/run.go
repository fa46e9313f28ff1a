package sshtarget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Limits on what is done after the login.
const (
	changeTime = 60 * time.Second
	maxOutput  = 64 << 10 // bytes of a command's output
)

// errTooMuch ends a command that does not stop talking.
var errTooMuch = fmt.Errorf("%w: the target says too much", ErrBroken)

// change logs in, does something within the time for changes, and closes conn.
func change(ctx context.Context, conn net.Conn, o Options, do func(*ssh.Client) error) error {
	client, err := Dial(ctx, conn, o)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	defer breakAtEnd(ctx, conn)()
	err = do(client)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrBroken, context.Cause(ctx))
	}
	return err
}

// result is how a command ended.
type result struct {
	status int
	output string // of both streams; a hostile target says anything
}

// run runs a command with something on its standard input. Commands are fixed
// texts of ours: what varies goes through stdin, where no shell reads it and no
// list of processes shows it.
func run(c *ssh.Client, command string, stdin []byte) (result, error) {
	s, err := c.NewSession()
	if err != nil {
		return result{}, unclear(err)
	}
	defer s.Close()
	// A command that does not end is ended with its connection.
	out := &capped{burst: func() { _ = c.Close() }}
	s.Stdin, s.Stdout, s.Stderr = bytes.NewReader(stdin), out, out
	err = s.Run(command)
	if out.over() {
		return result{}, errTooMuch
	}
	return ended(err, out.String())
}

// ended tells a command that ended from one of which nobody knows.
func ended(err error, output string) (result, error) {
	if err == nil {
		return result{output: output}, nil
	}
	if e, ok := errors.AsType[*ssh.ExitError](err); ok && e.Signal() == "" {
		return result{status: e.ExitStatus(), output: output}, nil
	}
	return result{}, unclear(err)
}

// unclear keeps nothing of what the target may have written.
func unclear(err error) error {
	if gone(err) {
		return fmt.Errorf("%w: the connection ended", ErrBroken)
	}
	return fmt.Errorf("%w: the command did not end as commands do", ErrBroken)
}

// capped keeps the first of what it is given, and refuses the rest.
type capped struct {
	mu   sync.Mutex // guards what follows: both streams of a command write
	buf  bytes.Buffer
	full bool

	burst func() // called when there is too much
}

func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf.Len()+len(p) > maxOutput {
		c.full = true
		c.burst()
		return 0, io.ErrShortBuffer
	}
	return c.buf.Write(p)
}

func (c *capped) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.full
}

func (c *capped) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.String()
}

// account is what a local account can be called: never an option, and nothing
// that a shell, sudo or chpasswd reads otherwise.
var account = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,62}\$?$`)

const superuser = "root"

// shell is a script of ours as one word of a command line: scripts hold no
// single quotes.
func shell(script string) string { return "/bin/sh -c '" + script + "'" }

// as is a script that runs as an account: as who logs in, or as another by a
// privileged login. It never runs as root in somebody else's home, where they
// could lead it astray. The account has been checked against the pattern.
func as(login, user, script string) string {
	switch {
	case user == "" || user == login:
		return shell(script)
	case login == superuser:
		return "su -s /bin/sh -c '" + script + "' " + user
	}
	return "sudo -n -H -u " + user + " " + shell(script)
}
