package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"vaultpam/pam"
)

// once are the headers that say something of which there is one.
var once = []string{"Content-Type", "Idempotency-Key", "If-Match", "X-Active-Org-Id", "X-Csrf-Token"}

// checkHeaders refuses a header that is there twice: a proxy may look at the
// other one.
func checkHeaders(h http.Header) error {
	for _, name := range once {
		if len(h[name]) > 1 {
			return pam.Errorf(pam.BadRequest, "read headers", "The header %s is there more than once.", name)
		}
	}
	return nil
}

// checkQuery refuses a query that its readers may take in different ways: of
// a parameter that is there twice one takes the first, another the last, and
// what cannot be decoded is left out by one and kept by another.
func checkQuery(raw string) error {
	const op = "read query"
	query, err := url.ParseQuery(raw)
	if err != nil {
		return &pam.Error{Kind: pam.Invalid, Op: op, Fields: []pam.Problem{{Field: "query", Problem: "cannot be decoded"}}}
	}
	var ps pam.Problems
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if len(query[name]) > 1 {
			ps.Add(name, "is there more than once")
		}
	}
	return ps.Err(op)
}

// errNotJSON begins as the errors of encoding/json do that mean the same, so
// that it is answered like them.
var errNotJSON = errors.New("unmarshal: this is not JSON that all readers understand in the same way")

// unmarshal reads JSON from outside. encoding/json takes the last of two
// members of one name, or mixes them, and replaces what is not UTF-8; a proxy
// or a script in front of us may do otherwise, and then checks another request
// than the one that is carried out. RFC 8259 sections 4 and 8 leave both open,
// so we refuse.
func unmarshal(text []byte, v any) error {
	if !unambiguous(text) {
		return errNotJSON
	}
	return json.Unmarshal(text, v)
}

// unambiguous says whether text is one JSON value whose objects have no name
// twice, whose strings are Unicode, and whose nesting is bounded.
func unambiguous(text []byte) bool {
	if !utf8.Valid(text) {
		return false
	}
	// Half of a surrogate pair, which only an escape can write, is read as the
	// replacement character.
	halves := bytes.Contains(text, []byte(`\ud`)) || bytes.Contains(text, []byte(`\uD`))
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var open []*scope
	done := false
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return done
		}
		if err != nil || done {
			return false
		}
		s, isString := token.(string)
		if isString && halves && strings.ContainsRune(s, utf8.RuneError) {
			return false
		}
		if n := len(open); n > 0 && open[n-1].isName() {
			if isString && !open[n-1].add(s) {
				return false
			}
			if isString {
				continue
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if len(open) == maxDepth+2 {
				return false
			}
			open = append(open, &scope{object: token == json.Delim('{')})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if n := len(open); n > 0 {
			open[n-1].named = false
		} else {
			done = true
		}
	}
}

// scope is an object or a list that is being read.
type scope struct {
	object, named bool // named: the name was read, the value is not
	names         map[string]bool
}

func (s *scope) isName() bool { return s.object && !s.named }

// add notes a name, and says whether it is new.
func (s *scope) add(name string) bool {
	if s.names[name] {
		return false
	}
	if s.names == nil {
		s.names = map[string]bool{}
	}
	s.names[name], s.named = true, true
	return true
}
