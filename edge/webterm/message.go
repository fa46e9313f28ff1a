package webterm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"
)

// Limits on what a client sends.
const (
	maxMessage = 64 << 10 // bytes of any message
	maxControl = 8 << 10  // bytes of a text message
	maxTerm    = 64       // bytes of the terminal's name
	maxSide    = 1000     // columns or rows
)

// request is a text message of the client. Fields that its type does not have
// are zero.
type request struct {
	Type   string `json:"type"`
	Ticket string `json:"ticket,omitempty"` // hello
	Term   string `json:"term,omitempty"`   // hello
	Cols   int    `json:"cols,omitempty"`   // hello, resize
	Rows   int    `json:"rows,omitempty"`   // hello, resize
	Bytes  int64  `json:"bytes,omitempty"`  // ack, copied
}

// requests says which messages there are, and which fields each may have.
var requests = map[string]request{
	"hello":  {Ticket: "x", Term: "x", Cols: 1, Rows: 1},
	"resize": {Cols: 1, Rows: 1},
	"ack":    {Bytes: 1},
	"copied": {Bytes: 1},
}

// violation is what a client did that the protocol does not allow. It never
// quotes what was sent.
type violation string

func (v violation) Error() string { return string(v) }

// parse reads a text message. The error is a violation.
func parse(data []byte) (request, error) {
	var m request
	if len(data) > maxControl {
		return m, violation("A text message is longer than 8192 bytes.")
	}
	if !utf8.Valid(data) {
		return m, violation("A text message is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return request{}, violation("A text message is not a JSON object of this protocol.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return request{}, violation("A text message holds more than one JSON object.")
	}
	allowed, known := requests[m.Type]
	if !known {
		return request{}, violation("There is no message of this type.")
	}
	sized := allowed.Cols != 0
	switch {
	case allowed.Ticket == "" && m.Ticket != "", allowed.Term == "" && m.Term != "", !sized && (m.Cols != 0 || m.Rows != 0), allowed.Bytes == 0 && m.Bytes != 0:
		return request{}, violation("A message has a field that its type does not have.")
	case sized && (m.Cols < 1 || m.Cols > maxSide || m.Rows < 1 || m.Rows > maxSide):
		return request{}, violation("Columns and rows are from 1 to 1000.")
	case m.Bytes < 0:
		return request{}, violation("A count of bytes is negative.")
	case !termName(m.Term):
		return request{}, violation("The name of the terminal has up to 64 letters, digits, '.', '_', '+' and '-'.")
	}
	return m, nil
}

// termName says whether s may become TERM at the target; "" is the default.
func termName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '+', c == '-':
		default:
			return false
		}
	}
	return len(s) <= maxTerm
}

// The text messages of the server.
type (
	readyMessage struct {
		Type        string    `json:"type"` // ready
		SessionID   string    `json:"session_id"`
		Now         time.Time `json:"now"`
		ExpiresAt   time.Time `json:"expires_at"`
		IdleSeconds int       `json:"idle_seconds"`
		RecordingID string    `json:"recording_id"` // "" when the Safe does not record
		Clipboard   string    `json:"clipboard"`
		Window      int64     `json:"window"`
		InputWindow int64     `json:"input_window"`
	}
	ackMessage struct {
		Type  string `json:"type"` // ack
		Bytes int64  `json:"bytes"`
	}
	// wordMessage is a warning or refused.
	wordMessage struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	exitMessage struct {
		Type    string  `json:"type"` // exit
		Status  *uint32 `json:"status,omitempty"`
		Signal  string  `json:"signal,omitempty"`
		Reason  string  `json:"reason"`
		Message string  `json:"message,omitempty"`
	}
	errorMessage struct {
		Type    string `json:"type"` // error
		Code    string `json:"code"`
		Message string `json:"message"`
	}
)

// typed is the longest message that counts as typed. Keys are a few bytes, what
// a terminal answers to questions of a program less than this.
const typed = 64

var bracketed = []byte("\x1b[200~")

// pasted says whether a message of input is a paste: what a browser's terminal
// sends in one piece that nobody types in one piece. It tells honest clients'
// pastes, not those of somebody who sends them letter by letter.
func pasted(p []byte) bool {
	if len(p) > typed || bytes.Contains(p, bracketed) {
		return true
	}
	i := bytes.IndexAny(p, "\r\n")
	return i >= 0 && i < len(p)-1 && !(i == len(p)-2 && p[i] == '\r' && p[i+1] == '\n')
}
