package pam

import (
	"errors"
	"fmt"
)

// Kind is what went wrong, in the words of the trade. Only the edges turn a
// Kind into a status, a SQLSTATE or an exit code.
type Kind uint8

// The kinds. Internal is the zero value: an error that nobody has thought
// about is never shown and never mistaken for a decision.
const (
	Internal             Kind = iota
	BadRequest                // cannot be read at all
	Invalid                   // well-formed, but not acceptable; Fields says what
	NotFound                  // absent, or not to be known of by this actor
	Conflict                  // at odds with the present state
	Precondition              // If-Match names another version
	Unauthenticated           // no valid token
	AuthFailed                // a login that failed, whatever the reason
	Denied                    // known, but not allowed
	ScopeMissing              // the token lacks the scope
	StepUpNeeded              // allowed after authenticating again
	ApprovalNeeded            // allowed after somebody's approval
	PolicyDenied              // refused by a policy
	OrgDenied                 // not a member of that organization, or there is none
	CredentialExpired         // the Safe's credential policy has expired
	Locked                    // the Safe is locked
	TooMany                   // a limit was reached
	Sealed                    // the vault is sealed
	Unavailable               // cannot be done now
	TooLarge                  // beyond a limit of size
	Unsupported               // another media type is wanted
	PasswordChangeNeeded      // right password, but it must be changed first
	HostKeyMismatch           // the target is not who the resource says it is
	Unreachable               // the target did not answer
	TargetAuthFailed          // the target refused the credential
	MFANeeded                 // right password, but a second factor must be shown
	EnrolmentNeeded           // right password, but a second factor must be enrolled first
	TargetRefused             // the target let in, but did not do what it was asked
)

var kindNames = [...]string{
	"internal", "bad request", "invalid", "not found", "conflict", "precondition", "unauthenticated", "authentication failed",
	"denied", "scope missing", "step-up needed", "approval needed", "denied by policy", "organization denied", "credential expired",
	"locked", "too many", "sealed", "unavailable", "too large", "unsupported", "password change needed", "host key mismatch", "unreachable",
	"target authentication failed", "second factor needed", "enrolment needed", "refused by the target",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", k)
}

// Problem is one field that is not acceptable. It never holds the value.
type Problem struct{ Field, Problem string }

// Error is a refusal or a failure with its kind.
type Error struct {
	Kind   Kind
	Op     string    // what was tried, a verb phrase: "create safe"
	Public string    // a sentence for the user, free of secrets and internals; "" takes the kind's own
	Fields []Problem // with Invalid
	Err    error     // the cause, for the log alone
}

func (e *Error) Error() string {
	s := e.Op
	if s == "" {
		s = e.Kind.String()
	} else {
		s += ": " + e.Kind.String()
	}
	if e.Public != "" {
		s += ": " + e.Public
	}
	for _, f := range e.Fields {
		s += "; " + f.Field + ": " + f.Problem
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost Error in err's chain, else Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is says whether err carries kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Errorf makes an Error whose public sentence is formatted from format.
func Errorf(k Kind, op, format string, args ...any) *Error {
	return &Error{Kind: k, Op: op, Public: fmt.Sprintf(format, args...)}
}

// Wrap keeps the kind of err, if it has one, and notes what was tried. A nil
// err stays nil.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Kind: e.Kind, Op: op, Public: e.Public, Fields: e.Fields, Err: err}
	}
	return &Error{Kind: Internal, Op: op, Err: err}
}

// Problems collects what is wrong with an input.
type Problems []Problem

// Add notes that field is not acceptable.
func (p *Problems) Add(field, problem string) { *p = append(*p, Problem{field, problem}) }

// Err returns nil if nothing was added, else an Error of kind Invalid.
func (p Problems) Err(op string) error {
	if len(p) == 0 {
		return nil
	}
	return &Error{Kind: Invalid, Op: op, Fields: p}
}
