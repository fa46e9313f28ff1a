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
	return with(ctx, conn, o, func(ctx context.Context, c *pgconn.PgConn) error {
		if err := exec(ctx, c, "BEGIN"); err != nil {
			return err
		}
		for _, s := range statements {
			if err := exec(ctx, c, s); err != nil {
				return err // the connection ends, and the transaction with it
			}
		}
		return exec(ctx, c, "COMMIT")
	})
}

// List returns the users whose name begins with prefix.
func List(ctx context.Context, conn net.Conn, o Options, prefix string) ([]string, error) {
	var users []string
	err := with(ctx, conn, o, func(ctx context.Context, c *pgconn.PgConn) error {
		r := c.ExecParams(ctx, "SELECT rolname FROM pg_catalog.pg_roles WHERE pg_catalog.starts_with(rolname::text, $1) ORDER BY 1",
			[][]byte{[]byte(prefix)}, nil, nil, nil).Read()
		if r.Err != nil {
			return explain(ctx, r.Err, ErrRefused)
		}
		if len(r.Rows) > maxUsers {
			return fmt.Errorf("%w: more than %d users", ErrBroken, maxUsers)
		}
		for _, row := range r.Rows {
			if len(row) != 1 || !strings.HasPrefix(string(row[0]), prefix) {
				return fmt.Errorf("%w: not the users that were asked for", ErrBroken)
			}
			users = append(users, string(row[0]))
		}
		return nil
	})
	return users, err
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
