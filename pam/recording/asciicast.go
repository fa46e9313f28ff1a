package recording

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"vaultpam/pam"
)

// WriteAsciicast writes a recording as asciicast v2
// (https://docs.asciinema.org/manual/asciicast/v2/): a header line and one
// event a line. Markers and file transfers become "m" events. Bytes that are
// not UTF-8 become U+FFFD here; the recording itself keeps them. Of a recording
// in progress it writes what is durable so far. The event that the recording
// was opened is durable before the first byte is written.
func (s *Service) WriteAsciicast(ctx context.Context, actor pam.Actor, id pam.RecordingID, w io.Writer) error {
	r, err := s.Open(ctx, actor, id)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.WriteAsciicast(ctx, w)
}

// WriteAsciicast writes what Next has not yet returned, see
// [Service.WriteAsciicast].
func (r *Reader) WriteAsciicast(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	head, err := json.Marshal(map[string]any{
		"version": 2, "width": r.Cols, "height": r.Rows, "timestamp": r.Recording.StartedAt.Unix(),
		"title": string(r.Recording.ID),
	})
	if err != nil {
		return pam.Wrap("write asciicast", err)
	}
	out.Write(append(head, '\n'))
	var line []byte
	var shown, typed utf8Joiner
	for {
		if err := ctx.Err(); err != nil {
			return pam.Wrap("write asciicast", err)
		}
		f, err := r.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			_ = out.Flush() // what was verified is still good
			return err
		}
		if err != nil {
			line = appendEvent(line[:0], micros(r.at), 'o', shown.rest())
			line = appendEvent(line, micros(r.at), 'i', typed.rest())
			out.Write(line)
			return pam.Wrap("write asciicast", out.Flush())
		}
		line = line[:0]
		switch f.Kind {
		case KindOutput:
			line = shown.append(line, f)
		case KindInput:
			line = typed.append(line, f)
		case KindResize:
			if cols, rows, err := f.Resize(); err == nil {
				line = appendEvent(line, f.At, 'r', fmt.Appendf(nil, "%dx%d", cols, rows))
			}
		case KindMarker, KindFile:
			line = appendEvent(line, f.At, 'm', []byte(f.text()))
		}
		if _, err := out.Write(line); err != nil {
			return pam.Wrap("write asciicast", err)
		}
	}
}

// utf8Joiner holds the beginning of a character back until its end arrives in
// a later frame of the same direction.
type utf8Joiner struct {
	held [utf8.UTFMax]byte
	n    int
	buf  []byte
}

// append appends the event for f, less an incomplete character at its end.
func (j *utf8Joiner) append(line []byte, f Frame) []byte {
	data := f.Data
	if j.n > 0 {
		j.buf = append(append(j.buf[:0], j.held[:j.n]...), data...)
		data = j.buf
	}
	cut := incomplete(data)
	j.n = copy(j.held[:], data[cut:])
	return appendEvent(line, f.At, byte(f.Kind), data[:cut])
}

// rest returns what was held back when nothing follows.
func (j *utf8Joiner) rest() []byte { return j.held[:j.n] }

// incomplete returns where a character begins that b does not finish, or len(b).
func incomplete(b []byte) int {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax+1; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return i
			}
			break
		}
	}
	return len(b)
}

// appendEvent appends one asciicast line, or nothing if there is no data.
func appendEvent(b []byte, at time.Duration, code byte, data []byte) []byte {
	if len(data) == 0 {
		return b
	}
	b = append(b, '[')
	b = strconv.AppendFloat(b, at.Seconds(), 'f', 6, 64)
	b = append(b, ", \""...)
	b = append(b, code)
	b = append(b, "\", "...)
	b = appendJSON(b, data)
	return append(b, "]\n"...)
}

// appendJSON appends data as a JSON string (RFC 8259 section 7). Every byte
// that is not part of a character becomes U+FFFD.
func appendJSON(b, data []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for len(data) > 0 {
		c := data[0]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRune(data)
			b = utf8.AppendRune(b, r)
			data = data[n:]
			continue
		}
		data = data[1:]
	}
	return append(b, '"')
}
