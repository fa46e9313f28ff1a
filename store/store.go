// Package store keeps the nouns of the product in SQLite or PostgreSQL.
//
// It owns the SQL, the transactions and the place of each audit event in its
// log. It must not decide who may do what. There is one file per noun; start
// at [DB.write], through which every change goes, and at dialect.go, the only
// place that knows which database this is.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// DB is an open store. It is safe for concurrent use.
type DB struct {
	dialect dialect
	clock   clock.Clock
	log     *slog.Logger
	reads   *sql.DB
	stmts   sync.Map // SQL text with ? -> *sql.Stmt on reads
	commit  committer
	node    string // tells this process's changes from those of others

	commits, writes atomic.Int64 // for Stats

	mu          sync.RWMutex // guards subscribers
	subscribers []func(pam.Change)
}

// querier runs SQL written with ? for either database. Both a transaction and
// the pool of readers are one.
type querier interface {
	query(ctx context.Context, sql string, args ...any) (*sql.Rows, error)
}

// Tx is one change under way. It is used by one goroutine. After a statement
// has failed, no other runs and the whole change is undone, on both databases.
type Tx struct {
	on      executor
	dialect dialect
	changes []pam.Change
	failure error
	wrote   bool // there is something to undo
}

// executor runs SQL written with ? inside of a transaction.
type executor interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
}

// query returns rows. Statements of a change that has begun run to their end,
// whatever becomes of the caller: on SQLite an interrupt in the midst would
// undo the writes of others too.
func (tx *Tx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if tx.failure != nil {
		return nil, tx.failure
	}
	if !strings.HasPrefix(text, "SELECT") { // a change that returns rows
		tx.wrote = true
	}
	rows, err := tx.on.QueryContext(context.WithoutCancel(ctx), text, args...)
	tx.failure = err
	return rows, err
}

// exec runs a statement and returns the number of rows that it touched.
func (tx *Tx) exec(ctx context.Context, text string, args ...any) (int64, error) {
	if tx.failure != nil {
		return 0, tx.failure
	}
	res, err := tx.on.ExecContext(context.WithoutCancel(ctx), text, args...)
	if err != nil {
		tx.failure = err
		return 0, err
	}
	n, err := res.RowsAffected()
	tx.wrote = tx.wrote || n != 0
	return n, err
}

// changed notes a change that is announced once the transaction is durable.
func (tx *Tx) changed(org pam.OrgID, subject pam.Subject, id string) {
	tx.changes = append(tx.changes, pam.Change{Org: org, Subject: subject, ID: id})
}

// query reads outside of any transaction, from committed data.
func (db *DB) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	st, err := db.prepared(ctx, text)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

func (db *DB) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	if st, ok := db.stmts.Load(text); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := db.reads.PrepareContext(ctx, db.dialect.rebind(text))
	if err != nil {
		return nil, err
	}
	if old, loaded := db.stmts.LoadOrStore(text, st); loaded {
		_ = st.Close()
		return old.(*sql.Stmt), nil
	}
	return st, nil
}

// write runs fn in a transaction and appends entries to their organizations'
// logs in the same one. When it returns nil, everything is durable and every
// subscriber has heard of the changes. fn may run more than once and must
// have no effect but on tx. An error of fn undoes all of it.
func (db *DB) write(ctx context.Context, op string, fn func(ctx context.Context, tx *Tx) error, entries ...audit.Entry) error {
	leaves := make([]leaf, len(entries))
	for i, e := range entries {
		canonical, err := e.Canonical()
		if err != nil {
			return pam.Wrap(op, err)
		}
		leaves[i] = leaf{entry: e, canonical: canonical, hash: audit.LeafHash(canonical)}
	}
	changes, err := db.commit.do(ctx, fn, leaves)
	if err != nil {
		return db.failed(op, err)
	}
	for _, c := range changes {
		db.announce(c)
	}
	return nil
}

// leaf is an audit entry in the form in which it is kept.
type leaf struct {
	entry     audit.Entry
	canonical []byte
	hash      audit.Hash
}

// committer makes transactions durable, one implementation per database.
type committer interface {
	do(ctx context.Context, fn func(context.Context, *Tx) error, leaves []leaf) ([]pam.Change, error)
	// sync returns once all events that had committed have their place.
	sync(ctx context.Context) error
	close() error
}

// Subscribe calls fn after every committed change, before the call that made
// the change returns; changes of other nodes follow as they are heard. fn
// must be quick and must not call the store.
func (db *DB) Subscribe(fn func(pam.Change)) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.subscribers = append(db.subscribers, fn)
}

func (db *DB) announce(c pam.Change) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, fn := range db.subscribers {
		fn(c)
	}
}

// failed gives a database error its kind.
func (db *DB) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*pam.Error](err); ok {
		return pam.Wrap(op, err)
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return &pam.Error{Kind: pam.NotFound, Op: op}
	case db.dialect.isUnique(err):
		return &pam.Error{Kind: pam.Conflict, Op: op, Err: err}
	case db.dialect.isReference(err):
		return &pam.Error{Kind: pam.Conflict, Op: op, Public: "It is still in use.", Err: err}
	case db.dialect.isFull(err):
		return &pam.Error{Kind: pam.Unavailable, Op: op, Public: "The database cannot be written: no space is left.", Err: err}
	case db.dialect.isText(err):
		return &pam.Error{Kind: pam.Invalid, Op: op, Public: "A text has bytes that cannot be kept.", Err: err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &pam.Error{Kind: pam.Unavailable, Op: op, Err: err}
	case db.dialect.isAway(err):
		return &pam.Error{Kind: pam.Unavailable, Op: op, Public: "The database cannot be used right now.", Err: err}
	}
	return &pam.Error{Kind: pam.Internal, Op: op, Err: err}
}

// row is what a scan function reads: *sql.Rows.
type row interface{ Scan(dest ...any) error }

// one returns the only row of a query, or sql.ErrNoRows.
func one[T any](ctx context.Context, q querier, scan func(row) (T, error), text string, args ...any) (T, error) {
	var zero T
	rows, err := q.query(ctx, text, args...)
	if err != nil {
		return zero, err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return zero, err
		}
		return zero, sql.ErrNoRows
	}
	v, err := scan(rows)
	if err != nil {
		return zero, fmt.Errorf("scan: %w", err)
	}
	return v, rows.Close()
}

// list returns all rows of a query.
func list[T any](ctx context.Context, q querier, scan func(row) (T, error), text string, args ...any) ([]T, error) {
	rows, err := q.query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// scalar scans a single column.
func scalar[T any](r row) (T, error) {
	var v T
	err := r.Scan(&v)
	return v, err
}

// Close waits for the last commit and closes the database.
func (db *DB) Close() error {
	return errors.Join(db.commit.close(), db.reads.Close())
}

// Stats counts what the store has done since it was opened.
type Stats struct {
	Writes  int64 // changes that were run
	Commits int64 // transactions that made them durable
}

// Stats returns the counts so far.
func (db *DB) Stats() Stats { return Stats{Writes: db.writes.Load(), Commits: db.commits.Load()} }
