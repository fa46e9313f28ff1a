package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
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
	shareRow   string // ends a query by row, so that the row stays, though it may change, until the transaction ends
	aloneRow   string // the same, alone: beside no other that shares it
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
	textFault      // an argument has bytes that no text of this database can have
	transientFault // the same transaction may succeed when tried again
	awayFault      // the database, or the way to it, is gone; a commit under way may have happened
)

func (d dialect) isUnique(err error) bool    { return d.fault(err) == uniqueFault }
func (d dialect) isReference(err error) bool { return d.fault(err) == referenceFault }
func (d dialect) isFull(err error) bool      { return d.fault(err) == fullFault }
func (d dialect) isText(err error) bool      { return d.fault(err) == textFault }
func (d dialect) isTransient(err error) bool { return d.fault(err) == transientFault }
func (d dialect) isAway(err error) bool      { return d.fault(err) == awayFault }

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

// Of SQLite's writers there is one at a time, which needs to lock no row.
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
	case sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY:
		return awayFault
	}
	return otherFault
}

var postgresDialect = dialect{migrations: goose.DialectPostgres, numbered: true, shared: true, shareRow: " FOR KEY SHARE", aloneRow: " FOR UPDATE", contains: "position(? in %s) > 0", fault: postgresFault}

// The codes are those of PostgreSQL 15, appendix A.
func postgresFault(err error) fault {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if lostConnection(err) {
			return awayFault
		}
		return otherFault
	}
	switch e.Code {
	case "23505": // unique_violation
		return uniqueFault
	case "23503", "23001": // foreign_key_violation, restrict_violation
		return referenceFault
	case "53100": // disk_full
		return fullFault
	case "22021": // character_not_in_repertoire
		return textFault
	case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
		return transientFault
	case "57P01", "57P02", "57P03", "53300", "25006": // admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections, read_only_sql_transaction
		return awayFault
	}
	if strings.HasPrefix(e.Code, "08") { // connection_exception
		return awayFault
	}
	return otherFault
}

// lostConnection says whether err is of the connection rather than of the
// server at its other end.
func lostConnection(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, lost := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn, sql.ErrConnDone} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return pgconn.SafeToRetry(err) // nothing was sent, since the connection was closed before
}
