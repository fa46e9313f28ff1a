package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"vaultpam/pam"
)

// maxGroup is how many waiting writes share one commit at most. It bounds how
// long the first of a group waits for the last.
const maxGroup = 256

// sqliteWriter owns the only connection that writes. One goroutine serves it:
// it takes all writes that wait, runs them in one transaction, commits once,
// and answers them all. The disk's fsync, which costs a hundred times more than
// a write, is so shared by all who wait for it.
type sqliteWriter struct {
	db    *DB
	path  string
	lock  *os.File
	pool  *sql.DB // of one connection
	conn  *sql.Conn
	stmts map[string]*sql.Stmt // used by the goroutine alone

	// logs holds how many leaves each log has, as committed; staged the same
	// for those that the group under way adds to. Used by the goroutine alone.
	logs, staged map[pam.OrgID]int64

	queue chan *writeRequest
	done  chan struct{} // closed when the goroutine has ended

	mu     sync.RWMutex // guards closed; held for reading while sending to queue
	closed bool
}

// writeRequest is one write on its way through a group.
type writeRequest struct {
	ctx     context.Context
	fn      func(context.Context, *Tx) error
	leaves  []leaf
	state   atomic.Int32 // waiting, then either running or abandoned
	changes []pam.Change
	err     error
	done    chan struct{} // closed when changes and err are final
}

const (
	waiting int32 = iota
	running
	abandoned
)

// openSQLitePool opens a pool of so many connections, each with the pragmas.
//
// Readers map the file: a page then costs neither a system call nor a copy,
// which is half of a point read once the database has outgrown a connection's
// cache. SQLite never writes through the map, and pages of it are the page
// cache's own, so that what is mapped can be taken back at any time.
// The price: a disk that fails to read ends the process and not the request.
func openSQLitePool(path string, size int, pragmas ...string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_txlock": {"immediate"}, // a read that turns into a write could not wait for its turn
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-8000)"},
	}.Encode()}
	for _, p := range pragmas {
		u.RawQuery += "&_pragma=" + url.QueryEscape(p)
	}
	pool, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool, nil
}

func newSQLiteWriter(ctx context.Context, db *DB, path string, lock *os.File, migrations fs.FS) (*sqliteWriter, error) {
	// The limit cuts the write-ahead log back after a burst; a checkpoint every
	// 4,000 pages instead of 1,000 writes the busy pages a fourth as often. What
	// is deleted is overwritten: a purged secret is not to be found in its page.
	pool, err := openSQLitePool(path, 1, "journal_size_limit(67108864)", "secure_delete(1)")
	if err != nil {
		return nil, err
	}
	w := &sqliteWriter{
		db: db, path: path, lock: lock, pool: pool,
		stmts: map[string]*sql.Stmt{}, logs: map[pam.OrgID]int64{}, staged: map[pam.OrgID]int64{},
		queue: make(chan *writeRequest, maxGroup), done: make(chan struct{}),
	}
	err = migrate(ctx, pool, db.dialect, migrations, func(first int64) error { return copyAside(ctx, pool, path, first) })
	if err == nil {
		w.conn, err = pool.Conn(ctx)
	}
	if err == nil {
		_, err = w.conn.ExecContext(ctx, "PRAGMA wal_autocheckpoint = 4000")
	}
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	go w.serve()
	return w, nil
}

func (w *sqliteWriter) do(ctx context.Context, fn func(context.Context, *Tx) error, leaves []leaf) ([]pam.Change, error) {
	r := &writeRequest{ctx: ctx, fn: fn, leaves: leaves, done: make(chan struct{})}
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return nil, errClosed
	}
	select {
	case w.queue <- r:
		w.mu.RUnlock()
	case <-ctx.Done():
		w.mu.RUnlock()
		return nil, ctx.Err()
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, abandoned) {
			return nil, ctx.Err()
		}
		<-r.done // it has begun, and its outcome must be known
	}
	return r.changes, r.err
}

// sync has nothing to wait for: events get their place as they are written.
func (w *sqliteWriter) sync(context.Context) error { return nil }

var errClosed = &pam.Error{Kind: pam.Unavailable, Op: "write", Public: "The server is stopping."}

func (w *sqliteWriter) close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.done
	for _, st := range w.stmts {
		_ = st.Close()
	}
	return errors.Join(w.conn.Close(), w.pool.Close(), w.lock.Close())
}

// serve runs until the queue is closed and empty.
func (w *sqliteWriter) serve() {
	defer close(w.done)
	group := make([]*writeRequest, 0, maxGroup)
	for r := range w.queue {
		group = w.gather(append(group[:0], r))
		w.run(group)
		for _, r := range group {
			close(r.done)
		}
		clear(group)
	}
}

// gather adds what else waits. Those who were just answered are often about
// to ask again: yielding to them once or twice costs a microsecond and spares
// an fsync for a group of one.
func (w *sqliteWriter) gather(group []*writeRequest) []*writeRequest {
	for yields := 0; len(group) < maxGroup; {
		select {
		case r, ok := <-w.queue:
			if !ok {
				return group
			}
			group = append(group, r)
		default:
			if yields++; yields > 2 {
				return group
			}
			runtime.Gosched()
		}
	}
	return group
}

// run makes the group durable and sets every request's outcome.
func (w *sqliteWriter) run(group []*writeRequest) {
	begun := 0
	for _, r := range group {
		switch {
		case !r.state.CompareAndSwap(waiting, running):
			r.err = context.Canceled
		case r.ctx.Err() != nil:
			r.err = r.ctx.Err()
		default:
			begun++
		}
	}
	if begun == 0 {
		return
	}
	// A savepoint for each costs a fifth of all, and nearly always none is
	// needed. So the first try goes without, and a request that fails after it
	// has written makes the others run once more, with savepoints.
	err := w.transaction(group, false)
	if errors.Is(err, errUndo) {
		err = w.transaction(group, true)
	}
	if err == nil {
		maps.Copy(w.logs, w.staged)
		w.db.commits.Add(1)
		w.db.writes.Add(int64(begun))
		return
	}
	clear(w.logs)
	w.db.log.Error("a group of writes was not committed", "writes", begun, "error", err)
	for _, r := range group {
		r.changes = nil
		if r.err == nil {
			r.err = fmt.Errorf("commit: %w", err)
		}
	}
}

// errUndo says that a request has failed which only a rollback undoes.
var errUndo = errors.New("a request must be undone")

// transaction runs the requests that have not failed yet, and commits. On an
// error nothing of it remains.
func (w *sqliteWriter) transaction(group []*writeRequest, savepoints bool) (err error) {
	ctx := context.Background()
	clear(w.staged)
	if err := w.command(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// A full disk may have ended the transaction already: then this
			// fails, and that is as well.
			_ = w.command(ctx, "ROLLBACK")
		}
	}()
	for _, r := range group {
		if r.err != nil {
			continue
		}
		if err := w.attempt(r, savepoints); err != nil {
			return err
		}
	}
	for org, size := range w.staged {
		if err := appendTiles(ctx, &Tx{on: w, dialect: sqliteDialect}, org, w.logs[org], size); err != nil {
			return err
		}
	}
	return w.command(ctx, "COMMIT")
}

// attempt runs one request. What the request does wrong becomes its own error
// and is undone; the returned error means that the transaction must end.
func (w *sqliteWriter) attempt(r *writeRequest, savepoint bool) error {
	ctx := context.WithoutCancel(r.ctx)
	if savepoint {
		if err := w.command(ctx, "SAVEPOINT request"); err != nil {
			return err
		}
	}
	tx := &Tx{on: w, dialect: sqliteDialect}
	before := map[pam.OrgID]int64{}
	r.err = guard(func() error {
		if err := r.fn(ctx, tx); err != nil {
			return err
		}
		if tx.failure != nil {
			return tx.failure
		}
		for i := range r.leaves {
			if err := w.appendLeaf(ctx, tx, &r.leaves[i], before); err != nil {
				return err
			}
		}
		return nil
	})
	if r.err == nil {
		r.changes = tx.changes
	} else {
		maps.Copy(w.staged, before)
		switch {
		case savepoint:
			if err := w.command(ctx, "ROLLBACK TO request"); err != nil {
				// A full disk or a broken one has ended the transaction.
				return cmp.Or(tx.failure, err)
			}
		case tx.wrote || tx.failure != nil && !w.db.dialect.isUnique(tx.failure) && !w.db.dialect.isReference(tx.failure):
			return errUndo
		}
	}
	if savepoint {
		return w.command(ctx, "RELEASE request")
	}
	return nil
}

func (w *sqliteWriter) appendLeaf(ctx context.Context, tx *Tx, l *leaf, before map[pam.OrgID]int64) error {
	org := l.org()
	next, ok := w.staged[org]
	if !ok {
		next, ok = w.logs[org]
	}
	if !ok {
		var err error
		if next, err = logSize(ctx, tx, org); err != nil {
			return err
		}
		w.logs[org] = next
	}
	if _, ok := before[org]; !ok {
		before[org] = next
	}
	w.staged[org] = next + 1
	return insertEvent(ctx, tx, l, &next)
}

// guard turns a panic of fn into an error: one caller's mistake must not take
// the writer from all others.
func guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}

// QueryContext and ExecContext run text on the writing connection, which
// prepares each text once.
func (w *sqliteWriter) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	st, err := w.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// ExecContext is like QueryContext.
func (w *sqliteWriter) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	st, err := w.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args...)
}

func (w *sqliteWriter) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if st, ok := w.stmts[text]; ok {
		return st, nil
	}
	st, err := w.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	w.stmts[text] = st
	return st, nil
}

func (w *sqliteWriter) command(ctx context.Context, text string) error {
	_, err := w.ExecContext(ctx, text)
	return err
}
