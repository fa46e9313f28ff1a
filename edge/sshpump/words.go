package sshpump

import (
	"context"
	"errors"
	"strings"

	"vaultpam/pam"
	"vaultpam/pam/broker"
	"vaultpam/target/sshtarget"
)

// wording is what each kind says when its error has no sentence of its own.
// What is not here is an internal error.
var wording = map[pam.Kind]string{
	pam.Denied:           "You do not have permission to do this.",
	pam.OrgDenied:        "You have no access to this organization.",
	pam.NotFound:         "There is no such safe.",
	pam.Invalid:          "The request is not acceptable.",
	pam.Conflict:         "This is at odds with what is there.",
	pam.Sealed:           "Vault is sealed — credential access unavailable",
	pam.Unavailable:      "This cannot be done right now.",
	pam.TooMany:          "Too many requests.",
	pam.Locked:           "This safe is locked",
	pam.HostKeyMismatch:  "Host key verification failed",
	pam.Unreachable:      "Host unreachable",
	pam.TargetAuthFailed: "Authentication failed",
}

// Refusal is a rule that was met, in words for the user.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// ErrTargetLost says that the target went away without a word.
var ErrTargetLost = errors.New("sshpump: the target has closed the connection")

// Sentence is what a user reads about err. Internals never leave.
func Sentence(err error) string {
	if cut, ok := errors.AsType[*broker.Cut](err); ok {
		return Clean(cut.Sentence)
	}
	if no, ok := errors.AsType[Refusal](err); ok {
		return string(no)
	}
	switch {
	case errors.Is(err, ErrTargetLost):
		return "The connection to the target was lost."
	case errors.Is(err, ErrInputLimit):
		return "This safe does not allow file transfer: more than 64 KiB of input without a terminal are refused."
	}
	kind := pam.KindOf(err)
	word, known := wording[kind]
	if !known && kind == pam.Internal {
		return "Something went wrong on our side."
	}
	if e, ok := errors.AsType[*pam.Error](err); ok && e.Public != "" {
		return Clean(e.Public)
	}
	if word == "" {
		return kind.String()
	}
	return word
}

// Clean keeps control characters, which names may carry, off a terminal.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			return -1
		}
		return r
	}, s)
}

// fromTarget gives the errors of a login at the target their kind.
func fromTarget(err error) error {
	const op = "log in to target"
	if _, ok := errors.AsType[*pam.Error](err); ok && !errors.Is(err, sshtarget.ErrHostKey) {
		return pam.Wrap(op, err)
	}
	switch {
	case errors.Is(err, sshtarget.ErrHostKey):
		return &pam.Error{Kind: pam.HostKeyMismatch, Op: op, Public: "Host key verification failed", Err: err}
	case errors.Is(err, sshtarget.ErrAuth):
		return &pam.Error{Kind: pam.TargetAuthFailed, Op: op, Public: "Authentication failed: the target refused the credential", Err: err}
	case errors.Is(err, sshtarget.ErrBroken), errors.Is(err, context.DeadlineExceeded):
		return &pam.Error{Kind: pam.Unreachable, Op: op, Public: "SSH connection refused", Err: err}
	}
	return pam.Wrap(op, err)
}
