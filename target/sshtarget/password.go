package sshtarget

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"vaultpam/internal/secret"
)

const maxPassword = 256 // bytes; PAM reads up to 512

// ChangePassword logs in as the account itself and has passwd change its
// password from old to next.
func ChangePassword(ctx context.Context, conn net.Conn, o Options, next, old secret.Value) error {
	if err := typeable(next); err != nil {
		_ = conn.Close()
		return err
	}
	if err := typeable(old); err != nil {
		_ = conn.Close()
		return err
	}
	return change(ctx, conn, o, func(c *ssh.Client) error { return converse(c, next, old) })
}

// SetPassword logs in as root, or as an account that may run `sudo -n chpasswd`,
// and sets the password of user.
func SetPassword(ctx context.Context, conn net.Conn, o Options, user string, next secret.Value) error {
	err := typeable(next)
	if err == nil && !account.MatchString(user) {
		err = fmt.Errorf("%w: not a name of an account", ErrRefused)
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	return change(ctx, conn, o, func(c *ssh.Client) error {
		line := bytes.Join([][]byte{[]byte(user), []byte(":"), next.Expose(), []byte("\n")}, nil)
		defer clear(line)
		command := "env LC_ALL=C sudo -n chpasswd"
		if o.Username == superuser { // sudo has a PATH of its own
			command = shell("PATH=$PATH:/usr/sbin:/sbin LC_ALL=C exec chpasswd")
		}
		r, err := run(c, command, line)
		switch {
		case err != nil:
			return err
		case r.status == 0:
			return nil
		case r.status == 126 || r.status == 127:
			return fmt.Errorf("%w: there is no chpasswd", ErrRefused)
		}
		return verdict("chpasswd", r.output, notPermitted, notTaken)
	})
}

// typeable accepts what can be typed at a prompt and stand in a line: text
// without control characters, which a terminal would act upon.
func typeable(v secret.Value) error {
	text := v.Expose()
	if len(text) == 0 || len(text) > maxPassword || !utf8.Valid(text) || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("%w: a password is text of 1 to %d bytes without control characters", ErrRefused, maxPassword)
	}
	return nil
}

// saying is a refusal that we know: what programs write in the C locale, in
// lower case, and our words for it. What a target writes is never repeated: it
// may hold a password.
type saying struct{ text, reason string }

// After each of these the password is the old one. The last is what passwd adds
// to others.
var notTaken = []saying{
	{"already used", "the new password was used before"},
	{"too short", "the new password is too short"},
	{"shorter than", "the new password is too short"},
	{"too simple", "the new password is too simple"},
	{"too similar", "the new password resembles the old one"},
	{"must choose a ", "the new password does not satisfy the rules"},
	{"wait longer", "the password was changed too recently"},
	{"bad password", "the new password does not satisfy the rules"},
	{"bad: ", "the new password does not satisfy the rules"},
	{"do not match", "the new password was not read as it was typed"},
	{"don't match", "the new password was not read as it was typed"},
	{"incorrect password", "the old password is wrong"},
	{"authentication failure", "the old password is wrong"},
	{"password unchanged", "the password is unchanged"},
	{"has not been changed", "the password is unchanged"},
	{"password not changed", "the account or its new password is not accepted"},
	{"changes ignored", "the account or its new password is not accepted"},
}

// And after each of these the program has not begun.
var notPermitted = []saying{
	{"a password is required", "sudo asks for a password"},
	{"is not allowed to", "sudo does not permit it"},
	{"may not run", "sudo does not permit it"},
	{"not in the sudoers", "sudo does not permit it"},
	{"command not found", "there is no such program"},
	{"user not known", "there is no such account"},
	{"user does not exist", "there is no such account"},
	{"unknown user", "there is no such account"},
}

// verdict says what a program meant that did not succeed. What is not clearly a
// refusal may have changed something.
func verdict(program, output string, known ...[]saying) error {
	if reason := meant(output, known...); reason != "" {
		return fmt.Errorf("%w: %s", ErrRefused, reason)
	}
	return fmt.Errorf("%w: %s failed", ErrBroken, program)
}

func meant(output string, known ...[]saying) string {
	lower := strings.ToLower(output)
	for _, s := range slices.Concat(known...) {
		if strings.Contains(lower, s.text) {
			return s.reason
		}
	}
	return ""
}

// question is what passwd asks.
type question int

const (
	none question = iota // nothing yet
	current
	fresh
	again
	unknown
)

// asked reads a prompt: the text after the last line break, when it ends as
// prompts do.
func asked(text string) question {
	line := strings.ToLower(strings.TrimSpace(text[strings.LastIndexAny(text, "\r\n")+1:]))
	if !strings.HasSuffix(line, ":") && !strings.HasSuffix(line, "?") {
		return none
	}
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(line, w) {
				return true
			}
		}
		return false
	}
	switch {
	case !has("password", "passphrase"):
		return unknown
	case has("retype", "re-type", "re-enter", "reenter", "again", "confirm", "repeat", "verify"):
		return again
	case has("new"):
		return fresh
	case has("current", "old", "login", "unix", "ldap") || line == "password:":
		return current
	}
	return unknown
}

// converse answers the questions of passwd: the old password, the new one, and
// the new one again; each once, in this order, and nothing else.
func converse(c *ssh.Client, next, old secret.Value) error {
	s, err := c.NewSession()
	if err != nil {
		return unclear(err)
	}
	defer s.Close()
	if err := s.RequestPty("dumb", 24, 80, ssh.TerminalModes{ssh.ECHO: 0, ssh.ECHONL: 0}); err != nil {
		if err.Error() == "ssh: pty-req failed" {
			return fmt.Errorf("%w: there is no terminal to be had", ErrRefused)
		}
		return unclear(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		return unclear(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return unclear(err)
	}
	// An account whose password has expired meets passwd before any command.
	if err := s.Start("env LC_ALL=C passwd"); err != nil {
		return unclear(err)
	}
	t := &talk{old: old, next: next}
	buf := make([]byte, 4<<10)
	for {
		n, readErr := out.Read(buf)
		answer, err := t.hear(buf[:n])
		if err != nil {
			return err
		}
		if answer != nil {
			line := append(append([]byte(nil), answer...), '\n')
			_, err := in.Write(line)
			clear(line)
			if err != nil {
				return unclear(err)
			}
		}
		if readErr != nil {
			break
		}
	}
	r, err := ended(s.Wait(), t.all.String())
	switch {
	case err != nil:
		return unclear(err)
	case r.status == 0 && t.step == again:
		return nil
	case r.status == 126 || r.status == 127:
		return fmt.Errorf("%w: there is no passwd", ErrRefused)
	}
	return t.refused()
}

// talk is how far a conversation with passwd has come.
type talk struct {
	old, next secret.Value
	step      question        // the last that was answered
	part      strings.Builder // since then
	all       strings.Builder
}

// hear takes what passwd writes, and returns what to answer, if anything.
func (t *talk) hear(text []byte) ([]byte, error) {
	if t.all.Len()+len(text) > maxOutput {
		return nil, errTooMuch
	}
	t.all.Write(text)
	t.part.Write(text)
	q := asked(t.part.String())
	switch {
	case q == none:
		return nil, nil
	case q == current && t.step == none, q == fresh && (t.step == none || t.step == current), q == again && t.step == fresh:
		t.step = q
		t.part.Reset()
		if q == current {
			return t.old.Expose(), nil
		}
		return t.next.Expose(), nil
	case t.step == again && q == unknown:
		return nil, nil // a remark that ends as a question does
	}
	// It asks again what was answered, or something else.
	return nil, t.refused()
}

// refused is what it means that passwd did not take what it was given. Once the
// new password was given twice, only words that we know say so: where several
// modules ask one after the other, the first may have changed it already.
func (t *talk) refused() error {
	switch reason := meant(t.part.String(), notTaken); {
	case reason != "":
		return fmt.Errorf("%w: %s", ErrRefused, reason)
	case t.step == again:
		return fmt.Errorf("%w: passwd failed", ErrBroken)
	case t.step == current:
		return fmt.Errorf("%w: the old password is not taken", ErrRefused)
	}
	return fmt.Errorf("%w: passwd asks what has no answer here", ErrRefused)
}
