package scim

import (
	"cmp"
	"strings"
	"time"
)

// resource is a resource as JSON, in the names of the schemas.
type resource = map[string]any

// exact are the attributes whose case matters (RFC 7643 sections 3.1 and 7).
var exact = map[string]bool{"id": true, "externalid": true, "value": true, "$ref": true, "version": true, "location": true}

// match says whether v, a resource or one value of it, fits e. What v lacks is
// compared as without a value.
func (e *expr) match(v resource) bool {
	switch e.op {
	case opAnd:
		for _, s := range e.sub {
			if !s.match(v) {
				return false
			}
		}
		return true
	case opOr:
		for _, s := range e.sub {
			if s.match(v) {
				return true
			}
		}
		return false
	case opNot:
		return !e.sub[0].match(v)
	case opHas:
		for _, value := range valuesOf(get(v, e.attr.name)) {
			if m, ok := value.(resource); ok && e.sub[0].match(m) {
				return true
			}
		}
		return false
	}
	name, found := e.attr.name, valuesOf(get(v, e.attr.name))
	if sub := e.attr.sub; sub != "" || len(found) > 0 && isComplex(found[0]) && e.op != opPr && e.value != nil {
		if sub == "" {
			sub = "value" // of a multi-valued attribute (RFC 7643 section 2.4)
		}
		name = sub
		var inner []any
		for _, f := range found {
			if m, ok := f.(resource); ok {
				inner = append(inner, valuesOf(get(m, sub))...)
			}
		}
		found = inner
	}
	if e.op == opPr || e.value == nil {
		return (len(found) > 0) == (e.op == opPr || e.op == "ne")
	}
	for _, f := range found {
		if compare(e.op, f, e.value, exact[name] && !(name == "value" && e.attr.name == "emails")) {
			return true
		}
	}
	return len(found) == 0 && e.op == "ne"
}

func isComplex(v any) bool { _, ok := v.(resource); return ok }

// get finds a member without regard to case.
func get(v resource, name string) any {
	for k, x := range v {
		if strings.EqualFold(k, name) {
			return x
		}
	}
	return nil
}

// valuesOf are the values of an attribute, of which one may have many; none
// are those that are unassigned (RFC 7643 section 2.5).
func valuesOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	case string:
		if v == "" {
			return nil
		}
	}
	return []any{v}
}

func compare(op string, have, want any, caseMatters bool) bool {
	switch have := have.(type) {
	case bool:
		// Some directories write a boolean as a string.
		given, ok := asBool(want)
		return ok && (op == "eq" && have == given || op == "ne" && have != given)
	case string:
		text, ok := want.(string)
		if !ok {
			return op == "ne"
		}
		if a, err := time.Parse(time.RFC3339Nano, have); err == nil {
			if b, err := time.Parse(time.RFC3339Nano, text); err == nil {
				return ordered(op, a.Compare(b))
			}
		}
		if !caseMatters {
			have, text = strings.ToLower(have), strings.ToLower(text)
		}
		switch op {
		case "co":
			return strings.Contains(have, text)
		case "sw":
			return strings.HasPrefix(have, text)
		case "ew":
			return strings.HasSuffix(have, text)
		}
		return ordered(op, cmp.Compare(have, text))
	}
	return op == "ne"
}

func ordered(op string, c int) bool {
	switch op {
	case "eq":
		return c == 0
	case "ne":
		return c != 0
	case "gt":
		return c > 0
	case "ge":
		return c >= 0
	case "lt":
		return c < 0
	case "le":
		return c <= 0
	}
	return false
}

// mentions counts the comparisons of an attribute.
func (e *expr) mentions(name string) int {
	if e == nil {
		return 0
	}
	n := 0
	if (e.op == opHas || len(e.sub) == 0) && e.attr.name == name {
		n++
	}
	for _, s := range e.sub {
		n += s.mentions(name)
	}
	return n
}

// equal is the text that an attribute must equal for e to fit, if there is one:
// by it the database finds the few resources that may.
func (e *expr) equal(name, sub string) string {
	if e == nil {
		return ""
	}
	switch e.op {
	case opAnd:
		for _, s := range e.sub {
			if text := s.equal(name, sub); text != "" {
				return text
			}
		}
	case opHas:
		if e.attr.name == name && sub != "" {
			return e.sub[0].equal(sub, "")
		}
	case "eq":
		if e.attr.name == name && (e.attr.sub == sub || e.attr.sub == "" && sub == "value") {
			text, _ := e.value.(string)
			return text
		}
	}
	return ""
}
