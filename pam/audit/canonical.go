package audit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"vaultpam/pam"
)

// Limits on an event, so that one act cannot fill the log.
const (
	maxText     = 1024 // bytes of one string; longer ones are cut at a rune
	maxMetadata = 32   // entries of Metadata
	maxList     = 64   // strings of one list
)

// timeFormat has a fixed number of digits, so that a time has one spelling.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// Canonical returns the form of e that is hashed and kept: the JSON
// Canonicalization Scheme of RFC 8785 applied to the event's wire fields,
// without the leaf fields. It fails for a metadata value of another type than
// string, bool, int64 or []string, and for too many of them.
func (e Entry) Canonical() ([]byte, error) {
	spec, ok := SpecOf(e.Type)
	if !ok {
		return nil, &pam.Error{Kind: pam.Internal, Op: "write audit event", Err: fmt.Errorf("type %q is not in the catalogue", e.Type)}
	}
	return e.canonical(spec.Title, spec.Category)
}

func (e Entry) canonical(title, category string) ([]byte, error) {
	if len(e.Metadata) > maxMetadata {
		return nil, &pam.Error{Kind: pam.Internal, Op: "write audit event", Err: fmt.Errorf("%d metadata entries", len(e.Metadata))}
	}
	// The names stand in the order that RFC 8785 section 3.2.3 asks for.
	b := make([]byte, 0, 512)
	b = appendParty(append(b, `{"actor":`...), e.Actor)
	b = appendText(append(b, `,"category":`...), category)
	b = appendText(append(b, `,"id":`...), string(e.ID))
	b = append(b, `,"metadata":{`...)
	keys := slices.SortedFunc(maps.Keys(e.Metadata), compareUTF16)
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, k), ':')
		var err error
		if b, err = appendValue(b, e.Metadata[k]); err != nil {
			return nil, &pam.Error{Kind: pam.Internal, Op: "write audit event", Err: fmt.Errorf("metadata %q: %w", k, err)}
		}
	}
	b = appendText(append(b, `},"org_id":`...), string(e.Org))
	b = appendText(append(b, `,"request_id":`...), e.RequestID)
	b = appendText(append(b, `,"source_ip":`...), e.SourceIP)
	b = appendParty(append(b, `,"target":`...), e.Target)
	b = append(b, `,"time":"`...)
	b = e.Time.UTC().AppendFormat(b, timeFormat)
	b = appendText(append(b, `","title":`...), title)
	b = appendText(append(b, `,"type":`...), string(e.Type))
	return append(b, '}'), nil
}

func appendParty(b []byte, p Party) []byte {
	b = appendText(append(b, `{"id":`...), p.ID)
	b = appendText(append(b, `,"name":`...), p.Name)
	b = appendText(append(b, `,"type":`...), p.Type)
	return append(b, '}')
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendText(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		// RFC 8785 writes numbers as ECMAScript does: exact up to 2^53.
		if v > 1<<53 || v < -(1<<53) {
			return nil, fmt.Errorf("number beyond 2^53")
		}
		return strconv.AppendInt(b, v, 10), nil
	case []string:
		if len(v) > maxList {
			return nil, fmt.Errorf("list of %d", len(v))
		}
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, s)
		}
		return append(b, ']'), nil
	}
	return nil, fmt.Errorf("value of type %T", v)
}

const hexDigits = "0123456789abcdef"

// appendText writes a string as RFC 8785 section 3.2.2.2 does. What is not
// UTF-8 becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\f':
			b = append(b, '\\', 'f')
		case c == '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
	}
	return append(b, '"')
}

// compareUTF16 orders names by UTF-16 code units (RFC 8785 section 3.2.3).
// For our own names, which are ASCII, that is the order of bytes; the first
// difference decides for all others.
func compareUTF16(a, b string) int {
	ra, rb := []rune(a), []rune(b)
	for i := range min(len(ra), len(rb)) {
		if ra[i] == rb[i] {
			continue
		}
		// A surrogate (D800..DFFF) sorts below E000..FFFF.
		ha, hb := ra[i] > 0xFFFF, rb[i] > 0xFFFF
		if ha != hb && min(ra[i], rb[i]) >= 0xE000 {
			if ha {
				return -1
			}
			return 1
		}
		return int(ra[i] - rb[i])
	}
	return len(ra) - len(rb)
}

// wire is the shape of an event on its way in.
type wire struct {
	ID        pam.EventID    `json:"id"`
	Time      string         `json:"time"`
	Type      Type           `json:"type"`
	Title     string         `json:"title"`
	Category  string         `json:"category"`
	Actor     wireParty      `json:"actor"`
	Target    wireParty      `json:"target"`
	Org       pam.OrgID      `json:"org_id"`
	SourceIP  string         `json:"source_ip"`
	RequestID string         `json:"request_id"`
	Metadata  map[string]any `json:"metadata"`
}

type wireParty struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// ParseEntry reads what Canonical wrote. Numbers come back as int64.
func ParseEntry(canonical []byte) (Entry, error) {
	var w wire
	if err := json.Unmarshal(canonical, &w); err != nil {
		return Entry{}, fmt.Errorf("read audit event: %w", err)
	}
	t, err := time.Parse(timeFormat, w.Time)
	if err != nil {
		return Entry{}, fmt.Errorf("read audit event: time: %w", err)
	}
	for k, v := range w.Metadata {
		switch v := v.(type) {
		case float64:
			w.Metadata[k] = int64(v)
		case []any:
			list := make([]string, len(v))
			for i := range v {
				list[i], _ = v[i].(string)
			}
			w.Metadata[k] = list
		}
	}
	return Entry{
		ID: w.ID, Time: t, Type: w.Type, Org: w.Org, Actor: Party(w.Actor), Target: Party(w.Target),
		SourceIP: w.SourceIP, RequestID: w.RequestID, Metadata: w.Metadata,
	}, nil
}
