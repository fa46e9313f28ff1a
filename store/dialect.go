package store

import (
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// dialect says what a database can do and how it reports what went wrong.
// The SQL of the nouns is one text for both.
type dialect struct {
	migrations goose.Dialect
	numbered   bool   // placeholders are $1, $2, … and not ?
	shared     bool   // several processes may have it open
	contains   string // whether one text, or one row of bytes, is in another; %s is the column
	fault      func(error) fault
}

// fault is a failure of the database that means something to a caller.
type fault uint8

const (
	otherFault fault = iota
	uniqueFault
	referenceFault
	fullFault
	transientFault // the same transaction may succeed when tried again
)

func (d dialect) isUnique(err error) bool    { return d.fault(err) == uniqueFault }
func (d dialect) isReference(err error) bool { return d.fault(err) == referenceFault }
func (d dialect) isFull(err error) bool      { return d.fault(err) == fullFault }
func (d dialect) isTransient(err error) bool { return d.fault(err) == transientFault }

// rebind turns text, written with ?, into the dialect's form. A ? inside of a
// quoted string stays.
func (d dialect) rebind(text string) string {
	if !d.numbered || !strings.Contains(text, "?") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + 16)
	n, quoted := 0, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\'':
			quoted = !quoted
			b.WriteByte(c)
		case c == '?' && !quoted:
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

var sqliteDialect = dialect{migrations: goose.DialectSQLite3, contains: "instr(%s, ?) > 0", fault: sqliteFault}

func sqliteFault(err error) fault {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return otherFault
	}
	switch e.Code() {
	case sqlitelib.SQLITE_CONSTRAINT_UNIQUE, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY:
		return uniqueFault
	case sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY:
		return referenceFault
	}
	switch e.Code() & 0xff {
	case sqlitelib.SQLITE_FULL:
		return fullFault
	case sqlitelib.SQLITE_BUSY:
		return transientFault
	}
	return otherFault
}

var postgresDialect = dialect{migrations: goose.DialectPostgres, numbered: true, shared: true, contains: "position(? in %s) > 0", fault: postgresFault}

// The codes are those of PostgreSQL 15, appendix A.
func postgresFault(err error) fault {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return otherFault
	}
	switch e.Code {
	case "23505": // unique_violation
		return uniqueFault
	case "23503", "23001": // foreign_key_violation, restrict_violation
		return referenceFault
	case "53100": // disk_full
		return fullFault
	case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
		return transientFault
	}
	return otherFault
}
