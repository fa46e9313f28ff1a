package resp

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func text(k Kind, s string) Value { return Value{Kind: k, Text: []byte(s)} }

func TestValuesOfBothVersionsAreRead(t *testing.T) {
	for sent, want := range map[string]Value{
		"+OK\r\n":                       text(Simple, "OK"),
		"-WRONGPASS no\r\n":             text(Error, "WRONGPASS no"),
		":-42\r\n":                      text(Integer, "-42"),
		"$5\r\na\r\nbc\r\n":             text(Bulk, "a\r\nbc"),
		"$0\r\n\r\n":                    text(Bulk, ""),
		"$-1\r\n":                       {Kind: Null},
		"*-1\r\n":                       {Kind: Null},
		"_\r\n":                         {Kind: Null},
		"#t\r\n":                        text(Boolean, "t"),
		",inf\r\n":                      text(Double, "inf"),
		"(-123456789012345678901\r\n":   text(BigNumber, "-123456789012345678901"),
		"!5\r\nERR x\r\n":               text(BulkError, "ERR x"),
		"=7\r\ntxt:abc\r\n":             text(Verbatim, "txt:abc"),
		"*0\r\n":                        {Kind: Array},
		"*2\r\n$1\r\na\r\n*1\r\n:1\r\n": {Kind: Array, Items: []Value{text(Bulk, "a"), {Kind: Array, Items: []Value{text(Integer, "1")}}}},
		"%1\r\n+k\r\n+v\r\n":            {Kind: Map, Items: []Value{text(Simple, "k"), text(Simple, "v")}},
		"~1\r\n+k\r\n":                  {Kind: Set, Items: []Value{text(Simple, "k")}},
		">1\r\n+k\r\n":                  {Kind: Push, Items: []Value{text(Simple, "k")}},
	} {
		got, err := NewReader(strings.NewReader(sent), Limits{}).Read()
		if err != nil {
			t.Errorf("%q: %v", sent, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", sent, diff)
		}
	}
}

func TestMalformedAndExcessiveValuesAreRefused(t *testing.T) {
	small := Limits{Bulk: 8, Total: 64, Items: 4, Depth: 2}
	for sent, want := range map[string]error{
		"":                               io.EOF,
		"+OK":                            io.ErrUnexpectedEOF,
		"$3\r\nab":                       io.ErrUnexpectedEOF,
		"*2\r\n+a\r\n":                   io.ErrUnexpectedEOF,
		"+OK\n":                          ErrMalformed,
		"\r\n":                           ErrMalformed,
		"PING\r\n":                       ErrMalformed,
		":1x\r\n":                        ErrMalformed,
		"#y\r\n":                         ErrMalformed,
		"(\r\n":                          ErrMalformed,
		"$?\r\n":                         ErrMalformed,
		"$-2\r\n":                        ErrMalformed,
		"%-1\r\n":                        ErrMalformed,
		"$+1\r\na\r\n":                   ErrMalformed,
		"$1\r\nabc":                      ErrMalformed,
		"=3\r\ntxt\r\n":                  ErrMalformed,
		"$9\r\n123456789\r\n":            ErrTooLong,
		"$9999999999\r\n":                ErrTooLong,
		"*5\r\n":                         ErrTooLong,
		"%2\r\n+a\r\n+b\r\n+c\r\n+d\r\n": ErrTooLong,
		"*1\r\n*1\r\n*1\r\n*0\r\n":       ErrTooLong,
		"+" + strings.Repeat("a", 100):   ErrTooLong,
	} {
		if _, err := NewReader(strings.NewReader(sent), small).Read(); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", sent, err, want)
		}
	}
}

func TestCommandsHoldAnyBytes(t *testing.T) {
	got := string(AppendCommand(nil, []byte("AUTH"), []byte("a\r\n$1"), nil))
	if want := "*3\r\n$4\r\nAUTH\r\n$5\r\na\r\n$1\r\n$0\r\n\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "*2\r\n$1\r\na\r\n%1\r\n:1\r\n_\r\n", "=7\r\ntxt:abc\r\n", "$-1\r\n", "|1\r\n+a\r\n#t\r\n"} {
		f.Add([]byte(seed))
	}
	limits := Limits{Bulk: 1 << 10, Total: 1 << 12, Items: 64, Depth: 4}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := NewReader(strings.NewReader(string(b)), limits).Read()
		if err != nil {
			return
		}
		items, bytes := measure(v)
		if items > limits.Items || bytes > limits.Total {
			t.Fatalf("%d elements, %d bytes", items, bytes)
		}
		again, err := NewReader(strings.NewReader(string(Append(nil, v))), limits).Read()
		if err != nil {
			t.Fatalf("what was read is not read again: %v", err)
		}
		if diff := cmp.Diff(v, again); diff != "" {
			t.Fatalf("another value when it is read again: %s", diff)
		}
	})
}

func measure(v Value) (items, bytes int) {
	items, bytes = 1, len(v.Text)
	for _, i := range v.Items {
		n, b := measure(i)
		items, bytes = items+n, bytes+b
	}
	return items, bytes
}
