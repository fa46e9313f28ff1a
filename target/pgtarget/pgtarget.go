// Package pgtarget logs in to PostgreSQL.
//
// It owns the order that protects a credential (the server is verified, then
// the credential asked for) and the difference between a login that was refused
// and one of which nothing is known. It must not know where credentials come
// from or who may use them. Start at [Check].
package pgtarget

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"vaultpam/internal/secret"
	"vaultpam/target/sqltarget"
)

// What all databases share.
type (
	Credential = sqltarget.Credential
	TLS        = sqltarget.TLS
	Options    = sqltarget.Options
)

// Kinds of failure.
var (
	ErrAuth    = sqltarget.ErrAuth
	ErrLocked  = sqltarget.ErrLocked
	ErrBroken  = sqltarget.ErrBroken
	ErrTLS     = sqltarget.ErrTLS
	ErrRefused = sqltarget.ErrRefused
)

// Limits on what a server may send.
const (
	maxReceived = 4 << 20
	maxMessage  = 1 << 20
	maxUsers    = 10_000
)

// Check logs in and out again. It closes conn, as all functions here do.
func Check(ctx context.Context, conn net.Conn, o Options) error {
	return with(ctx, conn, o, func(context.Context, *pgconn.PgConn) error { return nil })
}

// SetPassword sets the password of a user. The server is sent a verifier, so
// that the password stands in none of its logs.
func SetPassword(ctx context.Context, conn net.Conn, o Options, user string, next secret.Value) error {
	name, err := identifier(user)
	if err != nil {
		return err
	}
	verifier, err := Verifier(next)
	if err != nil {
		return err
	}
	defer verifier.Wipe()
	return Run(ctx, conn, o, []string{"ALTER ROLE " + name + " PASSWORD '" + string(verifier.Expose()) + "'"})
}

// Run runs statements in one transaction. When it returns ErrBroken, nobody
// knows whether they took effect.
func Run(ctx context.Context, conn net.Conn, o Options, statements []string) error {
	return with(ctx, conn, o, func(ctx context.Context, c *pgconn.PgConn) error { return transaction(ctx, c, statements) })
}

// Revoke takes a user's login away, ends its sessions and then runs the
// statements that drop them, in one transaction. The first two are committed
// before: whatever the user left behind may keep a role from being dropped, but
// not from being shut out. Whatever was refused is told, and the rest is done.
func Revoke(ctx context.Context, conn net.Conn, o Options, user string, statements []string) error {
	name, err := identifier(user)
	if err != nil {
		return err
	}
	return with(ctx, conn, o, func(ctx context.Context, c *pgconn.PgConn) error {
		// Sessions are found by number: it outlives the name.
		role, err := query(ctx, c, "SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1", user)
		if err != nil {
			return err
		}
		// The user may hold its own row, by a change of its password that it does
		// not commit, or commits again and again: until its sessions are ended.
		lock := func() error { return exec(ctx, c, "ALTER ROLE "+name+" NOLOGIN") }
		hurry := exec(ctx, c, "SET lock_timeout = '1s'")
		locked := lock()
		var ended error
		for range 5 {
			if ended = endSessions(ctx, c, role); locked == nil || c.IsClosed() {
				break
			}
			locked = lock()
		}
		if c.IsClosed() {
			return errors.Join(hurry, locked, ended)
		}
		dropped := transaction(ctx, c, statements)
		if !c.IsClosed() { // who was logging in while the lock was committed is there by now
			dropped = errors.Join(dropped, endSessions(ctx, c, role))
		}
		return errors.Join(hurry, locked, ended, dropped)
	})
}

func endSessions(ctx context.Context, c *pgconn.PgConn, roles []string) error {
	var all error
	for _, oid := range roles {
		_, err := query(ctx, c, "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usesysid = $1::oid", oid)
		all = errors.Join(all, err)
	}
	return all
}

func transaction(ctx context.Context, c *pgconn.PgConn, statements []string) error {
	if err := exec(ctx, c, "BEGIN"); err != nil {
		return err
	}
	for _, s := range statements {
		if err := exec(ctx, c, s); err != nil {
			if !c.IsClosed() {
				err = errors.Join(err, exec(ctx, c, "ROLLBACK"))
			}
			return err
		}
	}
	return exec(ctx, c, "COMMIT")
}

// List returns the users whose name begins with prefix.
func List(ctx context.Context, conn net.Conn, o Options, prefix string) ([]string, error) {
	var users []string
	err := with(ctx, conn, o, func(ctx context.Context, c *pgconn.PgConn) (err error) {
		users, err = query(ctx, c, "SELECT rolname FROM pg_catalog.pg_roles WHERE pg_catalog.starts_with(rolname::text, $1) ORDER BY 1", prefix)
		if slices.ContainsFunc(users, func(u string) bool { return !strings.HasPrefix(u, prefix) }) {
			return fmt.Errorf("%w: not the users that were asked for", ErrBroken)
		}
		return err
	})
	return users, err
}

// query returns the only column of what a statement finds.
func query(ctx context.Context, c *pgconn.PgConn, statement, parameter string) ([]string, error) {
	r := c.ExecParams(ctx, statement, [][]byte{[]byte(parameter)}, nil, nil, nil).Read()
	if r.Err != nil {
		return nil, explain(ctx, r.Err, ErrRefused)
	}
	if len(r.Rows) > maxUsers {
		return nil, fmt.Errorf("%w: more than %d rows", ErrBroken, maxUsers)
	}
	var out []string
	for _, row := range r.Rows {
		if len(row) != 1 {
			return nil, fmt.Errorf("%w: not what was asked for", ErrBroken)
		}
		out = append(out, string(row[0]))
	}
	return out, nil
}

// exec runs one statement; the extended protocol lets no second one ride along.
func exec(ctx context.Context, c *pgconn.PgConn, statement string) error {
	r := c.ExecParams(ctx, statement, nil, nil, nil, nil).Read()
	if r.Err != nil {
		return explain(ctx, r.Err, ErrRefused)
	}
	if statement == "COMMIT" && r.CommandTag.String() != "COMMIT" {
		return fmt.Errorf("%w: the transaction was rolled back", ErrRefused)
	}
	return nil
}

func with(ctx context.Context, conn net.Conn, o Options, do func(context.Context, *pgconn.PgConn) error) error {
	ctx, end := o.Deadline(ctx, conn)
	defer end()
	c, err := login(ctx, sqltarget.Limit(conn, maxReceived), o)
	if err != nil {
		return err
	}
	err = do(ctx, c)
	if err == nil {
		_ = c.Close(ctx)
	}
	return err
}

func login(ctx context.Context, conn net.Conn, o Options) (*pgconn.PgConn, error) {
	if strings.ContainsRune(o.Username, 0) || strings.ContainsRune(o.Database, 0) || o.Username == "" {
		return nil, fmt.Errorf("%w: not a name", ErrRefused)
	}
	conn, credential, err := open(ctx, conn, o)
	defer credential.Wipe()
	if err != nil {
		return nil, err
	}
	if o.TLS.Mode == "disable" && !credential.Certificate.Empty() {
		return nil, fmt.Errorf("%w: a client certificate needs TLS", ErrTLS)
	}
	config, err := pgconn.ParseConfig("host=target port=5432 user=x password=x dbname=x sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("%w: configuration", ErrBroken)
	}
	// Whatever the environment of this process says is for its own database.
	config.Host, config.Port, config.Fallbacks, config.TLSConfig = "target", 5432, nil, nil
	config.User, config.Database, config.Password = o.Username, o.Database, string(credential.Password.Expose())
	config.RuntimeParams = map[string]string{"application_name": "vaultpam", "statement_timeout": "10000", "lock_timeout": "5000"}
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	config.AfterNetConnect, config.ValidateConnect, config.AfterConnect = nil, nil, nil
	config.MaxProtocolMessageBodyLen = maxMessage
	// A server that asks for nothing would find any password right, and a
	// password in clear text is for a server that is known.
	config.RequireAuth = "scram-sha-256,md5"
	if o.TLS.Verified() {
		config.RequireAuth += ",password"
	}
	if !credential.Certificate.Empty() {
		config.RequireAuth += ",none" // the certificate was asked for by TLS
	}
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, explain(ctx, err, ErrBroken)
	}
	return c, nil
}

// open starts TLS, verifies the server and asks for the credential.
func open(ctx context.Context, conn net.Conn, o Options) (net.Conn, Credential, error) {
	config, err := o.Config()
	if err != nil {
		return nil, Credential{}, err
	}
	if config == nil {
		c, err := o.Login(ctx)
		return conn, c, err
	}
	request := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), 80877103)
	answer := make([]byte, 1)
	if _, err := conn.Write(request); err != nil {
		return nil, Credential{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	// One byte and no more: what came behind it would be from before TLS.
	if _, err := io.ReadFull(conn, answer); err != nil {
		return nil, Credential{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if answer[0] != 'S' {
		return nil, Credential{}, fmt.Errorf("%w: the server offers no TLS", ErrTLS)
	}
	t, c, err := o.Handshake(ctx, conn, config)
	return t, c, err
}

// explain tells an answer of the server from everything else. Of the answer it
// keeps the SQLSTATE alone.
func explain(ctx context.Context, err, refused error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrBroken, context.Cause(ctx))
		}
		return fmt.Errorf("%w: the connection failed or the server does not keep to the protocol", ErrBroken)
	}
	code := e.Code
	if len(code) != 5 || strings.ContainsFunc(code, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') }) {
		return fmt.Errorf("%w: no SQLSTATE", ErrBroken)
	}
	kind := refused
	switch {
	case refused == ErrBroken && (code == "28P01" || code == "28000"):
		kind = ErrAuth
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "58"), strings.HasPrefix(code, "XX"), code == "40003":
		kind = ErrBroken
	}
	return fmt.Errorf("%w: SQLSTATE %s", kind, code)
}
