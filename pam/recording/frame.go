package recording

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Kind is what a frame holds.
type Kind byte

// The kinds of frame. A reader skips kinds that it does not know.
const (
	KindOutput Kind = 'o' // bytes shown to the user
	KindInput  Kind = 'i' // bytes typed by the user
	KindResize Kind = 'r' // four bytes: columns, rows
	KindMarker Kind = 'm' // JSON of Marker
	KindFile   Kind = 'f' // JSON of File
)

// Frame is one thing that happened.
type Frame struct {
	At   time.Duration // since the start; microseconds
	Kind Kind
	Data []byte // valid until the next frame is read
}

// Marker is a note in the recording.
type Marker struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// File is what is recorded of a transferred file: never its content.
type File struct {
	Direction string `json:"direction"` // upload or download
	Path      string `json:"path"`
	Size      int64  `json:"size"`           // bytes that passed
	SHA256    string `json:"sha256"`         // of them, lower-case hex; "" where they did not pass in their order
	From      int64  `json:"from,omitempty"` // where in the file they begin
	Error     string `json:"error,omitempty"`
}

// Resize returns the size that a frame of KindResize holds.
func (f Frame) Resize() (cols, rows uint16, err error) {
	if f.Kind != KindResize || len(f.Data) != 4 {
		return 0, 0, errors.New("a resize that is not one")
	}
	return binary.BigEndian.Uint16(f.Data), binary.BigEndian.Uint16(f.Data[2:]), nil
}

// text returns the label of a marker or a file, for people.
func (f Frame) text() string {
	switch f.Kind {
	case KindMarker:
		var m Marker
		if json.Unmarshal(f.Data, &m) == nil {
			return m.Kind + ": " + m.Text
		}
	case KindFile:
		var x File
		if json.Unmarshal(f.Data, &x) == nil {
			s := fmt.Sprintf("%s: %s (%d bytes, sha256 %s)", x.Direction, x.Path, x.Size, x.SHA256)
			if x.Error != "" {
				s += ": " + x.Error
			}
			return s
		}
	}
	return string(f.Data)
}

// frameOverhead is the most that appendFrame adds to the data.
const frameOverhead = 1 + 2*binary.MaxVarintLen64

// putFrame writes a frame at the end of b, which must have the room: kind,
// microseconds since the frame before as a varint, length as a varint, data.
func putFrame(b []byte, k Kind, delta uint64, data []byte) []byte {
	b = append(b, byte(k))
	b = binary.AppendUvarint(b, delta)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

// nextFrame reads the frame at the start of b, whose predecessor was at
// microsecond last, and returns what follows it.
func nextFrame(b []byte, last uint64) (f Frame, at uint64, rest []byte, err error) {
	bad := errors.New("a frame is cut or malformed")
	if len(b) == 0 {
		return f, 0, nil, bad
	}
	f.Kind, b = Kind(b[0]), b[1:]
	delta, n := binary.Uvarint(b)
	if n <= 0 || delta > maxMicros || last+delta > maxMicros {
		return f, 0, nil, bad
	}
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return f, 0, nil, bad
	}
	at = last + delta
	f.At = time.Duration(at) * time.Microsecond
	f.Data = b[n : n+int(size)]
	return f, at, b[n+int(size):], nil
}
