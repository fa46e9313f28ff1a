// Package secret holds a value that refuses to be printed.
//
// It owns the one type in which passwords, keys and tokens travel through the
// program. It must not know what the secret is for. Start at [Value.Expose]:
// it is the only reader, so that a search for it finds every place where a
// secret leaves its wrapper.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

const redacted = "[secret]"

// ErrMarshal is returned by every attempt to encode a Value.
var ErrMarshal = errors.New("secret: a secret value cannot be encoded")

// Value is a secret. Its zero value is empty. Printing, logging and encoding
// never show the content. A Value must not be copied after Wipe is expected to
// clear it: copies share the same bytes, so wiping one wipes all.
type Value struct{ b []byte }

// New takes ownership of b: the caller must not use it afterwards.
func New(b []byte) Value { return Value{b} }

// FromString copies s. The string itself stays in memory until collected; use
// New where the bytes can be had.
func FromString(s string) Value { return Value{[]byte(s)} }

// Expose returns the content itself, not a copy. The caller must neither keep
// nor change it.
func (v Value) Expose() []byte { return v.b }

// Empty says whether there is no content.
func (v Value) Empty() bool { return len(v.b) == 0 }

// Equal compares in constant time.
func (v Value) Equal(w Value) bool { return subtle.ConstantTimeCompare(v.b, w.b) == 1 }

// Clone returns an independent copy, to be wiped on its own.
func (v Value) Clone() Value { return Value{append([]byte(nil), v.b...)} }

// Wipe overwrites the content. Go may have copied it while it moved through
// the heap, so this shortens the exposure and is not the boundary.
func (v Value) Wipe() { clear(v.b) }

func (Value) String() string                 { return redacted }
func (Value) GoString() string               { return redacted }
func (Value) Format(f fmt.State, _ rune)     { _, _ = f.Write([]byte(redacted)) }
func (Value) LogValue() slog.Value           { return slog.StringValue(redacted) }
func (Value) MarshalJSON() ([]byte, error)   { return nil, ErrMarshal }
func (Value) MarshalText() ([]byte, error)   { return nil, ErrMarshal }
func (Value) MarshalBinary() ([]byte, error) { return nil, ErrMarshal }
func (Value) GobEncode() ([]byte, error)     { return nil, ErrMarshal }
