package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	v1 "vaultpam/api/v1"
	"vaultpam/pam"
)

// wording is how each kind is answered: the status, the constant, and the
// sentence used when the error has none of its own. Whatever is missing here
// is an internal error.
var wording = map[pam.Kind]struct {
	status  int
	code    string
	message string
}{
	pam.Internal:             {http.StatusInternalServerError, "INTERNAL", "Something went wrong on our side."},
	pam.BadRequest:           {http.StatusBadRequest, "BAD_REQUEST", "The request cannot be read."},
	pam.Invalid:              {http.StatusUnprocessableEntity, "VALIDATION_FAILED", "Some fields are not acceptable."},
	pam.NotFound:             {http.StatusNotFound, "NOT_FOUND", "There is no such object."},
	pam.Conflict:             {http.StatusConflict, "CONFLICT", "This is at odds with what is there."},
	pam.Precondition:         {http.StatusPreconditionFailed, "PRECONDITION_FAILED", "The object has changed since you read it."},
	pam.Unauthenticated:      {http.StatusUnauthorized, "TOKEN_INVALID", "The token is missing, malformed, expired or revoked."},
	pam.AuthFailed:           {http.StatusUnauthorized, "AUTH_FAILED", "Authentication failed."},
	pam.Denied:               {http.StatusForbidden, "FORBIDDEN", "You do not have permission to do this."},
	pam.ScopeMissing:         {http.StatusForbidden, "INSUFFICIENT_SCOPE", "The token lacks the scope for this."},
	pam.StepUpNeeded:         {http.StatusForbidden, "STEP_UP_REQUIRED", "Authenticate again to do this."},
	pam.ApprovalNeeded:       {http.StatusForbidden, "APPROVAL_REQUIRED", "This needs an approval."},
	pam.PolicyDenied:         {http.StatusForbidden, "POLICY_DENIED", "A policy refuses this."},
	pam.OrgDenied:            {http.StatusForbidden, "ORG_ACCESS_DENIED", "You have no access to this organization."},
	pam.CredentialExpired:    {http.StatusForbidden, "CREDENTIAL_POLICY_EXPIRED", "Credential policy expired"},
	pam.Locked:               {http.StatusLocked, "SAFE_LOCKED", "This safe is locked"},
	pam.TooMany:              {http.StatusTooManyRequests, "RATE_LIMITED", "Too many requests."},
	pam.Sealed:               {http.StatusServiceUnavailable, "VAULT_SEALED", "Vault is sealed — credential access unavailable"},
	pam.Unavailable:          {http.StatusServiceUnavailable, "UNAVAILABLE", "This cannot be done right now."},
	pam.TooLarge:             {http.StatusRequestEntityTooLarge, "PAYLOAD_TOO_LARGE", "The request is too large."},
	pam.Unsupported:          {http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json."},
	pam.PasswordChangeNeeded: {http.StatusUnauthorized, "PASSWORD_CHANGE_REQUIRED", "The password must be changed first."},
	pam.MFANeeded:            {http.StatusUnauthorized, "MFA_REQUIRED", "A second factor must be shown."},
	pam.EnrolmentNeeded:      {http.StatusUnauthorized, "MFA_ENROLMENT_REQUIRED", "A second factor must be enrolled first."},
	pam.HostKeyMismatch:      {http.StatusConflict, "CONFLICT", "Host key verification failed"},
	pam.Unreachable:          {http.StatusServiceUnavailable, "UNAVAILABLE", "Host unreachable"},
	pam.TargetAuthFailed:     {http.StatusConflict, "CONFLICT", "Authentication failed"},
	pam.TargetRefused:        {http.StatusConflict, "CONFLICT", "The target refused the change."},
}

// apiError is the envelope with its status. It is what huma writes.
type apiError struct {
	status  int
	code    string
	message string
	details []v1.Problem
	extra   v1.Error // the further fields of some codes
	cause   error    // for the log
}

func (e *apiError) Error() string                { return e.code + ": " + e.message }
func (e *apiError) GetStatus() int               { return e.status }
func (e *apiError) ContentType(string) string    { return "application/json" }
func (e *apiError) MarshalJSON() ([]byte, error) { return json.Marshal(e.envelope()) }

func (e *apiError) envelope() v1.Error {
	out := e.extra
	out.Error, out.Message, out.Details = e.code, e.message, e.details
	return out
}

// Schema tells huma what the envelope looks like.
func (e *apiError) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(typeOf[v1.Error](), true, "Error")
}

// fromError words an error of a service.
func fromError(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = &pam.Error{Kind: pam.TooLarge, Err: err}
	}
	kind := pam.KindOf(err)
	w, ok := wording[kind]
	if !ok {
		w = wording[pam.Internal]
	}
	out := &apiError{status: w.status, code: w.code, message: w.message, cause: err}
	e, ok := errors.AsType[*pam.Error](err)
	if !ok || kind == pam.Internal {
		return out
	}
	if e.Public != "" {
		out.message = e.Public
	}
	for _, f := range e.Fields {
		out.details = append(out.details, v1.Problem{Field: f.Field, Problem: f.Problem})
	}
	return out
}

// newError words what huma itself refuses: bodies and parameters that do not
// fit the schema. It takes over field names and problems, never values.
func newError(status int, message string, errs ...error) *apiError {
	e := &apiError{status: status}
	switch status {
	case http.StatusBadRequest:
		e.code, e.message = "BAD_REQUEST", "The request cannot be read: "+message+"."
	case http.StatusRequestEntityTooLarge:
		w := wording[pam.TooLarge]
		e.code, e.message = w.code, w.message
	case http.StatusUnsupportedMediaType:
		w := wording[pam.Unsupported]
		e.code, e.message = w.code, w.message
	case http.StatusUnprocessableEntity:
		w := wording[pam.Invalid]
		e.code, e.message = w.code, w.message
	case http.StatusRequestTimeout:
		e.status, e.code, e.message = http.StatusBadRequest, "BAD_REQUEST", "The body took too long to arrive."
	default:
		w := wording[pam.Internal]
		e.status, e.code, e.message = w.status, w.code, w.message
		e.cause = fmt.Errorf("%s: %w", message, errors.Join(errs...))
		return e
	}
	for _, err := range errs {
		d, ok := errors.AsType[*huma.ErrorDetail](err)
		if !ok {
			continue
		}
		if strings.HasPrefix(d.Message, "unmarshal") || strings.Contains(d.Message, "invalid character") || strings.Contains(d.Message, "unexpected end") {
			// The body is not JSON; the decoder's words may quote it.
			e.status, e.code, e.message = http.StatusBadRequest, "BAD_REQUEST", "The body is not valid JSON."
			return e
		}
		e.details = append(e.details, problemOf(d))
	}
	return e
}

// problemOf names the field as the client wrote it, also where huma names the
// object that lacks it.
func problemOf(d *huma.ErrorDetail) v1.Problem {
	field, problem := d.Location, d.Message
	if missing, ok := strings.CutPrefix(problem, "expected required property "); ok {
		name, _, _ := strings.Cut(missing, " ")
		field, problem = field+"."+name, "is required"
	}
	for _, prefix := range []string{"body.", "query.", "path.", "header."} {
		field = strings.TrimPrefix(field, prefix)
	}
	return v1.Problem{Field: field, Problem: problem}
}

// writeError answers outside of huma's handlers.
func writeError(w http.ResponseWriter, e *apiError) {
	if rw, ok := w.(*response); ok {
		e.extra.RequestID = rw.call.id
	}
	body, err := json.Marshal(e)
	if err != nil {
		http.Error(w, `{"error":"INTERNAL","message":"Something went wrong on our side."}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_, _ = w.Write(append(body, '\n'))
}

func stack() string { return string(bytes.TrimSpace(debug.Stack())) }
