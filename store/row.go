package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vaultpam/pam"
)

// What several nouns need to speak with rows.

// micros is how a time is kept: microseconds since 1970, UTC; 0 for no time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// timeColumn scans a column of micros into *t.
type timeColumn struct{ t *time.Time }

func (c timeColumn) Scan(src any) error {
	us, ok := src.(int64)
	if !ok && src != nil {
		return fmt.Errorf("time column holds %T", src)
	}
	*c.t = fromMicros(us)
	return nil
}

// intoTime is the destination of a scan of a column of micros.
func intoTime(t *time.Time) timeColumn { return timeColumn{t} }

// asJSON is the text of v for a TEXT column. It panics if v cannot be JSON,
// which is a mistake in the program.
func asJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("store: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// jsonColumn scans a TEXT column of JSON into v.
type jsonColumn struct{ v any }

func (c jsonColumn) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(src), c.v)
	case []byte:
		return json.Unmarshal(src, c.v)
	}
	return fmt.Errorf("JSON column holds %T", src)
}

// intoJSON is the destination of a scan of a TEXT column of JSON; v is a
// pointer. NULL leaves v alone.
func intoJSON(v any) jsonColumn { return jsonColumn{v} }

// inList returns the placeholders for values, as "(?, ?)", and the arguments.
// The list is filled up to a power of two by repeating the last value, so that
// few different statements are prepared. values must not be empty.
func inList[T ~string | ~int64](values []T) (placeholders string, args []any) {
	n := 1
	for n < len(values) {
		n *= 2
	}
	args = make([]any, n)
	for i := range args {
		switch v := any(values[min(i, len(values)-1)]).(type) {
		case string, int64:
			args[i] = v
		default:
			args[i] = fmt.Sprint(v)
		}
	}
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", n), ", ") + ")", args
}

// where collects conditions that are joined by AND, and their arguments.
type where struct {
	conditions []string
	args       []any
}

// and adds a condition, written with ? for each of args.
func (w *where) and(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

func (w *where) String() string { return strings.Join(w.conditions, " AND ") }

// also is the conditions behind another one.
func (w *where) also() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " AND " + w.String()
}

// add adds all conditions of v.
func (w *where) add(v where) {
	w.conditions, w.args = append(w.conditions, v.conditions...), append(w.args, v.args...)
}

// mustTouch runs a statement that must touch a row, and returns an error of
// kind when it touches none: NotFound for an absent object, Conflict or
// Precondition for a compare-and-set that lost.
func (tx *Tx) mustTouch(ctx context.Context, kind pam.Kind, text string, args ...any) error {
	n, err := tx.exec(ctx, text, args...)
	if err != nil {
		return err
	}
	if n == 0 {
		return &pam.Error{Kind: kind}
	}
	return nil
}

// compareAndSet is mustTouch for an update whose WHERE names the object and
// the version or state that it must have. When no row was touched, exists
// (a query for the object by its organization and id alone) tells NotFound
// from kind.
func (tx *Tx) compareAndSet(ctx context.Context, kind pam.Kind, update string, args []any, exists string, id ...any) error {
	n, err := tx.exec(ctx, update, args...)
	if err != nil || n > 0 {
		return err
	}
	_, err = one(ctx, tx, scalar[any], exists, id...)
	if err == nil {
		return &pam.Error{Kind: kind}
	}
	return err // sql.ErrNoRows becomes NotFound in failed
}
