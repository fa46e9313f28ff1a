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
	allow  string // with 405: the methods that the path takes
}

func (e *problemError) Error() string { return e.kind + " " + e.detail }

// wording is how each kind of error is answered. Whatever is missing here is
// an internal error.
var wording = map[pam.Kind]problemError{
	pam.BadRequest:      {status: http.StatusBadRequest, kind: "invalidSyntax", detail: "The request cannot be read."},
	pam.Invalid:         {status: http.StatusBadRequest, kind: "invalidValue", detail: "A value is not acceptable."},
	pam.NotFound:        {status: http.StatusNotFound, detail: "There is no such resource."},
	pam.Conflict:        {status: http.StatusConflict, detail: "This is at odds with what is there."},
	pam.Precondition:    {status: http.StatusPreconditionFailed, detail: "The resource has changed since it was read."},
	pam.Unauthenticated: {status: http.StatusUnauthorized, detail: "The token is missing, malformed, expired or deleted."},
	pam.Denied:          {status: http.StatusForbidden, detail: "A directory may not do this."},
	pam.TooMany:         {status: http.StatusTooManyRequests, detail: "Too many requests."},
	pam.Sealed:          {status: http.StatusServiceUnavailable, detail: "The vault is sealed."},
	pam.Unavailable:     {status: http.StatusServiceUnavailable, detail: "This cannot be done right now."},
	pam.TooLarge:        {status: http.StatusRequestEntityTooLarge, detail: "The request is too large."},
	pam.Unsupported:     {status: http.StatusUnsupportedMediaType, detail: "The body must be application/scim+json."},
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
	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
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
