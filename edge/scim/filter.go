package scim

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Limits on filters and paths: what a peer writes is neither long nor deep.
const (
	maxFilter = 4096 // bytes
	maxDepth  = 16   // parentheses and brackets within each other
	maxTerms  = 64   // comparisons in one filter
)

// attrPath names an attribute: URI:name.sub. Names are in lower case, since
// they are the same in any (RFC 7643 section 2.1).
type attrPath struct{ schema, name, sub string }

// What a filter is made of, beside the operators of comparisons.
const (
	opAnd = "and"
	opOr  = "or"
	opNot = "not"
	opHas = "[]" // some value of a multi-valued attribute fits
	opPr  = "pr"
)

var comparisons = map[string]bool{"eq": true, "ne": true, "co": true, "sw": true, "ew": true, "gt": true, "ge": true, "lt": true, "le": true}

// expr is a filter (RFC 7644 section 3.4.2.2).
type expr struct {
	op    string
	attr  attrPath // of a comparison, and of opHas
	value any      // of a comparison: string, float64, bool or nil
	sub   []*expr  // of opAnd, opOr, opNot and opHas
}

// parser reads filters and paths. It never goes back.
type parser struct {
	text         string
	at           int
	depth, terms int
	inside       bool // of brackets, which do not nest
}

// parseFilter reads a filter.
func parseFilter(text string) (*expr, error) {
	if len(text) > maxFilter {
		return nil, badFilter("is too long")
	}
	if !utf8.ValidString(text) {
		return nil, badFilter("is not UTF-8")
	}
	p := &parser{text: text}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.spaces(); p.at < len(p.text) {
		return nil, badFilter("does not end where it should")
	}
	return e, nil
}

func badFilter(problem string) error {
	return &problemError{status: 400, kind: "invalidFilter", detail: "The filter " + problem + "."}
}

func (p *parser) spaces() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// take reads c, if it is next.
func (p *parser) take(c byte) bool {
	p.spaces()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// word reads what names and operators are made of.
func (p *parser) word() string {
	p.spaces()
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_$-.:", c) >= 0 {
			p.at++
			continue
		}
		break
	}
	return p.text[from:p.at]
}

// keyword reads a word of the grammar, if it is next.
func (p *parser) keyword(word string) bool {
	from := p.at
	if strings.EqualFold(p.word(), word) {
		return true
	}
	p.at = from
	return false
}

func (p *parser) chain(op string, next func() (*expr, error)) (*expr, error) {
	first, err := next()
	if err != nil {
		return nil, err
	}
	all := []*expr{first}
	for p.keyword(op) {
		e, err := next()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if len(all) == 1 {
		return first, nil
	}
	return &expr{op: op, sub: all}, nil
}

// or binds less than and.
func (p *parser) or() (*expr, error) {
	return p.chain(opOr, func() (*expr, error) { return p.chain(opAnd, p.term) })
}

func (p *parser) term() (*expr, error) {
	if p.take('(') {
		return p.group()
	}
	word := p.word()
	if strings.EqualFold(word, opNot) && p.take('(') {
		e, err := p.group()
		return &expr{op: opNot, sub: []*expr{e}}, err
	}
	attr, ok := attribute(word)
	if !ok {
		return nil, badFilter("names no attribute where one has to be")
	}
	if p.at < len(p.text) && p.text[p.at] == '[' {
		p.at++
		e, err := p.values()
		return &expr{op: opHas, attr: attr, sub: []*expr{e}}, err
	}
	return p.comparison(attr)
}

// group is what stands in parentheses, behind the opening one.
func (p *parser) group() (*expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, badFilter("is too deep")
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.take(')') {
		return nil, badFilter("lacks a closing parenthesis")
	}
	p.depth--
	return e, nil
}

// values is what stands in brackets, behind the opening one.
func (p *parser) values() (*expr, error) {
	if p.inside {
		return nil, badFilter("has brackets within brackets")
	}
	p.inside = true
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.take(']') {
		return nil, badFilter("lacks a closing bracket")
	}
	p.inside = false
	return e, nil
}

func (p *parser) comparison(attr attrPath) (*expr, error) {
	if p.terms++; p.terms > maxTerms {
		return nil, badFilter("has too many terms")
	}
	op := strings.ToLower(p.word())
	if op == opPr {
		return &expr{op: opPr, attr: attr}, nil
	}
	if !comparisons[op] {
		return nil, badFilter("has an operator that there is not")
	}
	value, err := p.value()
	if err != nil {
		return nil, err
	}
	switch value.(type) {
	case bool, nil:
		if op != "eq" && op != "ne" {
			return nil, badFilter("compares what has no order")
		}
	}
	return &expr{op: op, attr: attr, value: value}, nil
}

// value reads a JSON literal; true, false and null in any case.
func (p *parser) value() (any, error) {
	p.spaces()
	if p.at < len(p.text) && p.text[p.at] == '"' {
		from := p.at
		for p.at++; p.at < len(p.text); p.at++ {
			switch p.text[p.at] {
			case '\\':
				p.at++
			case '"':
				p.at++
				var s string
				if json.Unmarshal([]byte(p.text[from:p.at]), &s) != nil {
					return nil, badFilter("has a string that is none")
				}
				return s, nil
			}
		}
		return nil, badFilter("has a string without an end")
	}
	word := p.word()
	switch strings.ToLower(word) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	}
	var n float64
	if word == "" || json.Unmarshal([]byte(word), &n) != nil {
		return nil, badFilter("has a value that is none")
	}
	return n, nil
}

// attribute reads URI:name.sub. A URI has dots and colons of its own: the name
// follows the last colon.
func attribute(word string) (a attrPath, ok bool) {
	word = strings.ToLower(word)
	if strings.HasPrefix(word, "urn:") {
		i := strings.LastIndexByte(word, ':')
		a.schema, word = word[:i], word[i+1:]
	}
	name, sub, has := strings.Cut(word, ".")
	if !attributeName(name) || has && !attributeName(sub) {
		return attrPath{}, false
	}
	a.name, a.sub = name, sub
	return a, true
}

// attributeName is ATTRNAME of RFC 7643 section 2.1, and $ref.
func attributeName(s string) bool {
	s = strings.TrimPrefix(s, "$")
	if s == "" || len(s) > 64 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// patchPath says what an operation of a PATCH is about (RFC 7644 section
// 3.5.2): an attribute, or with a filter some of its values.
type patchPath struct {
	attrPath
	filter *expr // nil for all
}

func parsePath(text string) (patchPath, error) {
	bad := &problemError{status: 400, kind: "invalidPath", detail: "The path of an operation is not valid."}
	if len(text) > maxFilter || !utf8.ValidString(text) {
		return patchPath{}, bad
	}
	p := &parser{text: text}
	attr, ok := attribute(p.word())
	if !ok {
		return patchPath{}, bad
	}
	out := patchPath{attrPath: attr}
	if p.at < len(p.text) && p.text[p.at] == '[' {
		p.at++
		var err error
		if out.filter, err = p.values(); err != nil {
			return patchPath{}, err
		}
		if rest, dotted := strings.CutPrefix(p.text[p.at:], "."); dotted && attr.sub == "" && attributeName(strings.ToLower(rest)) {
			out.sub, p.at = strings.ToLower(rest), len(p.text)
		}
	}
	if p.at != len(p.text) {
		return patchPath{}, bad
	}
	return out, nil
}
