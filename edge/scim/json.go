package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

const maxNesting = 12 // of objects and lists in a body

var errNotJSON = &problemError{status: 400, kind: "invalidSyntax", detail: "The body is not a JSON object that all readers understand in the same way."}

// decode reads a JSON object. An attribute that is there twice, in whatever
// case, is refused: one reader takes the first, another the last.
func decode(text []byte) (resource, error) {
	if !utf8.Valid(text) {
		return nil, errNotJSON
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := next(d, 0)
	if err != nil {
		return nil, errNotJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON
	}
	out, ok := v.(resource)
	if !ok {
		return nil, errNotJSON
	}
	return out, nil
}

func next(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxNesting {
		return nil, errNotJSON
	}
	switch t {
	case json.Delim('{'):
		out, seen := resource{}, map[string]bool{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, ok := key.(string)
			if folded := strings.ToLower(name); !ok || seen[folded] {
				return nil, errNotJSON
			} else {
				seen[folded] = true
			}
			if out[name], err = next(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return out, err
	case json.Delim('['):
		out := []any{}
		for d.More() {
			v, err := next(d, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := d.Token()
		return out, err
	}
	return t, nil
}

// asText reads a string; unassigned is "".
func asText(name string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", badValue(name, "must be a string")
}

// asBool also reads the strings that Entra ID sends.
func asBool(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	return false, false
}

func badValue(name, problem string) error {
	return &problemError{status: 400, kind: "invalidValue", detail: name + " " + problem + "."}
}
