// Package resp reads and writes what Redis speaks: RESP2 and RESP3.
//
// It owns the bytes of values and commands, and the limits on both. It must not
// know what a command does. Start at [Reader.Read] and [AppendCommand].
package resp

import (
	"bufio"
	"errors"
	"io"
	"strconv"
)

// Errors of reading.
var (
	ErrMalformed = errors.New("resp: malformed value")
	ErrTooLong   = errors.New("resp: value exceeds the limits")
)

// Kind is the first byte of a value.
type Kind byte

// The kinds of RESP2 are the first five; the rest came with RESP3. What is
// streamed in parts of unknown number ("$?") is malformed here: no server sends
// it.
const (
	Simple    Kind = '+'
	Error     Kind = '-'
	Integer   Kind = ':'
	Bulk      Kind = '$'
	Array     Kind = '*'
	Null      Kind = '_'
	Boolean   Kind = '#'
	Double    Kind = ','
	BigNumber Kind = '('
	BulkError Kind = '!'
	Verbatim  Kind = '='
	Map       Kind = '%'
	Attribute Kind = '|'
	Set       Kind = '~'
	Push      Kind = '>'
)

// Value is one value. Text holds what stands in it, as it was sent; of
// aggregates, Items holds the elements, and of maps key and value in turn. The
// nulls of RESP2 are read as Null.
type Value struct {
	Kind  Kind
	Text  []byte
	Items []Value
}

// Failed says whether the value reports an error.
func (v Value) Failed() bool { return v.Kind == Error || v.Kind == BulkError }

// Limits bound one value. A zero takes the default.
type Limits struct {
	Bulk  int // bytes of one string; 1 MiB
	Total int // bytes of all strings of one value together; 4 MiB
	Items int // elements of one value, at all depths; 65536
	Depth int // of aggregates in each other; 16
}

const maxLine = 64 << 10 // bytes of what ends with a line break

func (l Limits) filled() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.Bulk, 1 << 20}, {&l.Total, 4 << 20}, {&l.Items, 1 << 16}, {&l.Depth, 16}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}

// Reader reads values. It is for one goroutine.
type Reader struct {
	r      *bufio.Reader
	limits Limits
	bytes  int // left of the value that is read
	items  int
}

// NewReader reads from r, within limits.
func NewReader(r io.Reader, l Limits) *Reader {
	return &Reader{r: bufio.NewReader(r), limits: l.filled()}
}

// Read returns the next value. After an error nothing more can be read: where
// the next value begins is not known.
func (r *Reader) Read() (Value, error) {
	r.bytes, r.items = r.limits.Total, r.limits.Items
	v, err := r.value(r.limits.Depth)
	if err == io.EOF && r.bytes != r.limits.Total {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

func (r *Reader) value(depth int) (Value, error) {
	if r.items--; r.items < 0 || depth < 0 {
		return Value{}, ErrTooLong
	}
	head, err := r.line()
	if err != nil {
		return Value{}, err
	}
	if len(head) == 0 {
		return Value{}, ErrMalformed
	}
	v, rest := Value{Kind: Kind(head[0])}, head[1:]
	switch v.Kind {
	case Simple, Error, Integer, Boolean, Double, BigNumber, Null:
		if !scalar(v.Kind, rest) {
			return Value{}, ErrMalformed
		}
		if v.Kind != Null {
			v.Text = rest
		}
		return v, nil
	case Bulk, BulkError, Verbatim:
		return r.bulk(v, rest)
	case Array, Map, Attribute, Set, Push:
		return r.aggregate(v, rest, depth)
	}
	return Value{}, ErrMalformed
}

func scalar(k Kind, text []byte) bool {
	switch k {
	case Integer:
		_, err := strconv.ParseInt(string(text), 10, 64)
		return err == nil
	case Boolean:
		return string(text) == "t" || string(text) == "f"
	case Double:
		_, err := strconv.ParseFloat(string(text), 64)
		return err == nil
	case BigNumber:
		return digits(text)
	case Null:
		return len(text) == 0
	}
	return true
}

func digits(text []byte) bool {
	if len(text) > 1 && (text[0] == '-' || text[0] == '+') {
		text = text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

// size reads a length; -1 is a null, which only strings and arrays of RESP2
// can be.
func size(k Kind, text []byte) (int, error) {
	if string(text) == "-1" && (k == Bulk || k == Array) {
		return -1, nil
	}
	if len(text) == 0 || len(text) > 10 || text[0] == '-' || text[0] == '+' || !digits(text) {
		return 0, ErrMalformed
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return 0, ErrMalformed
	}
	return n, nil
}

func (r *Reader) bulk(v Value, text []byte) (Value, error) {
	n, err := size(v.Kind, text)
	switch {
	case err != nil:
		return Value{}, err
	case n < 0:
		return Value{Kind: Null}, nil
	case n > r.limits.Bulk || n > r.bytes:
		return Value{}, ErrTooLong
	}
	r.bytes -= n
	data := make([]byte, n+2)
	if _, err := io.ReadFull(r.r, data); err != nil {
		return Value{}, unexpected(err)
	}
	if string(data[n:]) != "\r\n" || (v.Kind == Verbatim && (n < 4 || data[3] != ':')) {
		return Value{}, ErrMalformed
	}
	v.Text = data[:n:n]
	return v, nil
}

func (r *Reader) aggregate(v Value, text []byte, depth int) (Value, error) {
	n, err := size(v.Kind, text)
	switch {
	case err != nil:
		return Value{}, err
	case n < 0:
		return Value{Kind: Null}, nil
	case v.Kind == Map || v.Kind == Attribute:
		n *= 2
	}
	if n > r.items {
		return Value{}, ErrTooLong
	}
	// The room grows with what arrives, not with what was announced.
	for range n {
		item, err := r.value(depth - 1)
		if err != nil {
			return Value{}, unexpected(err)
		}
		v.Items = append(v.Items, item)
	}
	return v, nil
}

// line reads up to a line break, which it leaves out.
func (r *Reader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.r.ReadSlice('\n')
		if len(line)+len(part) > maxLine || len(part) > r.bytes {
			return nil, ErrTooLong
		}
		r.bytes -= len(part)
		line = append(line, part...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && len(line) > 0:
			return nil, unexpected(err)
		case err != nil:
			return nil, err
		}
		if len(line) < 2 || line[len(line)-2] != '\r' {
			return nil, ErrMalformed
		}
		return line[:len(line)-2], nil
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// AppendCommand appends a command to dst: an array of strings, which may hold
// any bytes.
func AppendCommand(dst []byte, args ...[]byte) []byte {
	dst = head(dst, Array, len(args))
	for _, a := range args {
		dst = head(dst, Bulk, len(a))
		dst = append(append(dst, a...), "\r\n"...)
	}
	return dst
}

// Append appends a value to dst.
func Append(dst []byte, v Value) []byte {
	switch v.Kind {
	case Bulk, BulkError, Verbatim:
		return append(append(head(dst, v.Kind, len(v.Text)), v.Text...), "\r\n"...)
	case Array, Map, Attribute, Set, Push:
		n := len(v.Items)
		if v.Kind == Map || v.Kind == Attribute {
			n /= 2
		}
		dst = head(dst, v.Kind, n)
		for _, item := range v.Items {
			dst = Append(dst, item)
		}
		return dst
	}
	return append(append(append(dst, byte(v.Kind)), v.Text...), "\r\n"...)
}

func head(dst []byte, k Kind, n int) []byte {
	return append(strconv.AppendInt(append(dst, byte(k)), int64(n), 10), "\r\n"...)
}
