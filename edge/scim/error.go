package scim

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"vaultpam/pam"
)

// problemError is a refusal in the words of RFC 7644 section 3.12.
type problemError struct {
	status int
	kind   string // scimType; "" for none
	detail string
}

func (e *problemError) Error() string { return e.kind + " " + e.detail }

// wording is how each kind of error is answered. Whatever is missing here is
// an internal error.
var wording = map[pam.Kind]problemError{
	pam.BadRequest:      {http.StatusBadRequest, "invalidSyntax", "The request cannot be read."},
	pam.Invalid:         {http.StatusBadRequest, "invalidValue", "A value is not acceptable."},
	pam.NotFound:        {http.StatusNotFound, "", "There is no such resource."},
	pam.Conflict:        {http.StatusConflict, "", "This is at odds with what is there."},
	pam.Precondition:    {http.StatusPreconditionFailed, "", "The resource has changed since it was read."},
	pam.Unauthenticated: {http.StatusUnauthorized, "", "The token is missing, malformed, expired or deleted."},
	pam.Denied:          {http.StatusForbidden, "", "A directory may not do this."},
	pam.TooMany:         {http.StatusTooManyRequests, "", "Too many requests."},
	pam.Sealed:          {http.StatusServiceUnavailable, "", "The vault is sealed."},
	pam.Unavailable:     {http.StatusServiceUnavailable, "", "This cannot be done right now."},
	pam.TooLarge:        {http.StatusRequestEntityTooLarge, "", "The request is too large."},
	pam.Unsupported:     {http.StatusUnsupportedMediaType, "", "The body must be application/scim+json."},
}

// problemOf words an error of a service. internal says that it is one that
// only the log may tell of.
func problemOf(err error) (p *problemError, internal bool) {
	if p, ok := errors.AsType[*problemError](err); ok {
		return p, false
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = &pam.Error{Kind: pam.TooLarge}
	}
	w, known := wording[pam.KindOf(err)]
	if !known {
		return &problemError{status: http.StatusInternalServerError, detail: "Something went wrong on our side."}, true
	}
	e, ok := errors.AsType[*pam.Error](err)
	if !ok {
		return &w, w.status >= 500
	}
	if e.Public != "" {
		w.detail = e.Public
	}
	if e.Kind == pam.Conflict && len(e.Fields) > 0 {
		w.kind = "uniqueness"
	}
	if e.Kind == pam.Invalid {
		var all []string
		for _, f := range e.Fields {
			name := f.Field
			if name == "member_ids" {
				name = "members"
			}
			all = append(all, name+" "+f.Problem)
		}
		if len(all) > 0 {
			w.detail = strings.Join(all, "; ") + "."
		}
	}
	return &w, w.status >= 500 && e.Kind != pam.Sealed
}

func writeProblem(w http.ResponseWriter, p *problemError) {
	body := map[string]any{"schemas": []string{schemaError}, "status": strconv.Itoa(p.status), "detail": p.detail}
	if p.kind != "" {
		body["scimType"] = p.kind
	}
	write(w, p.status, body)
}

func write(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // a mistake in the program
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
