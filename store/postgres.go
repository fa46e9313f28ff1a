package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"vaultpam/pam"
)

// postgres writes to PostgreSQL. Each write is a transaction of its own; the
// server shares fsyncs among those that commit at once. Writers do not queue
// on the place of their audit events: the sequencer follows behind them.
type postgres struct {
	db     *DB
	pool   *sql.DB // for writing; apart from db.reads, so that neither waits for the other
	config *pgx.ConnConfig

	out  unsent
	wake chan struct{} // holds a token while there may be events without a place
	stop context.CancelFunc
	work sync.WaitGroup // the sequencer, the notifier and the listener

	mu     sync.RWMutex // guards closed; held for reading by each write, so that close waits
	closed bool

	sequencing sync.Mutex // one pass at a time in this process
}

// Keys of advisory locks: "vaultpam" as a prefix in hexadecimal, then a number.
const (
	migrationLock int64 = 0x7661756c74700001
	sequenceLock  int64 = 0x7661756c74700002
)

const (
	maxAttempts   = 5
	sequencePause = time.Second // events of other nodes wait no longer than this
)

func newPostgres(ctx context.Context, db *DB, address string, migrations fs.FS) error {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return errors.New("the database address cannot be read") // pgx's error may quote the password
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "vaultpam"
	}
	// A change under way is not cancelled with its request; these bound it.
	for name, value := range map[string]string{"statement_timeout": "30s", "idle_in_transaction_session_timeout": "60s"} {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = value
		}
	}
	pool := openPostgresPool(config, 24)
	if err := pool.PingContext(ctx); err != nil {
		return errors.Join(fmt.Errorf("connect to database: %w", err), pool.Close())
	}
	if err := migrateLocked(ctx, pool, db.dialect, migrations); err != nil {
		return errors.Join(err, pool.Close())
	}
	background, stop := context.WithCancel(context.Background())
	p := &postgres{db: db, pool: pool, config: config, wake: make(chan struct{}, 1), out: unsent{wake: make(chan struct{}, 1)}, stop: stop}
	db.reads, db.commit = openPostgresPool(config, 16), p
	ready := make(chan struct{})
	p.work.Go(func() { p.sequenceAll(background) })
	p.work.Go(func() { p.notifyAll(background) })
	p.work.Go(func() { p.listen(background, ready) })
	<-ready
	return nil
}

func openPostgresPool(config *pgx.ConnConfig, size int) *sql.DB {
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool
}

// migrateLocked lets one server at a time migrate.
func migrateLocked(ctx context.Context, pool *sql.DB, d dialect, migrations fs.FS) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The wait for another server's migration may be long.
	if _, err := conn.ExecContext(ctx, "SET statement_timeout = 0"); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), "RESET statement_timeout") }()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return fmt.Errorf("wait for another server's migration: %w", err)
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", migrationLock)
	}()
	return migrate(ctx, pool, d, migrations, func(int64) error { return nil }) // backups are the database's own
}

func (p *postgres) do(ctx context.Context, fn func(context.Context, *Tx) error, leaves []leaf) ([]pam.Change, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return nil, errClosed
	}
	for attempt := 1; ; attempt++ {
		changes, err := p.attempt(ctx, fn, leaves)
		if err == nil {
			p.db.commits.Add(1)
			p.db.writes.Add(1)
			p.out.add(changes)
			if len(leaves) > 0 {
				p.sequenceSoon()
			}
			return changes, nil
		}
		if attempt == maxAttempts || !p.db.dialect.isTransient(err) {
			return nil, err
		}
		select {
		case <-time.After(time.Duration(attempt*attempt) * 5 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (p *postgres) attempt(ctx context.Context, fn func(context.Context, *Tx) error, leaves []leaf) ([]pam.Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	t, err := p.pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer t.Rollback()
	tx := &Tx{on: numbered{t, p.db.dialect}, dialect: p.db.dialect}
	err = guard(func() error { return fn(ctx, tx) })
	if err == nil {
		err = tx.failure
	}
	for i := 0; i < len(leaves) && err == nil; i++ {
		err = insertEvent(ctx, tx, &leaves[i], nil)
	}
	if err != nil {
		return nil, err
	}
	if err := t.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return tx.changes, nil
}

// numbered runs texts with their placeholders numbered. The driver prepares
// each text once on each connection.
type numbered struct {
	*sql.Tx
	dialect dialect
}

func (n numbered) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return n.Tx.QueryContext(ctx, n.dialect.rebind(text), args...)
}

func (n numbered) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	return n.Tx.ExecContext(ctx, n.dialect.rebind(text), args...)
}

func (p *postgres) sequenceSoon() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// close lets writes under way end, gives the last events their place,
// announces the last changes, and stops.
func (p *postgres) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := p.sequence(ctx)
	p.stop()
	p.work.Wait()
	return errors.Join(err, p.notify(ctx, p.out.take()), p.pool.Close())
}
