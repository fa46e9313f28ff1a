package server

import (
	"context"
	"net"

	"vaultpam/internal/secret"
	"vaultpam/pam/broker"
	"vaultpam/pam/resource"
	"vaultpam/target/mysqltarget"
	"vaultpam/target/peer"
	"vaultpam/target/pgtarget"
	"vaultpam/target/sqltarget"
)

// sqlEngine adapts the targets that are databases.
type sqlEngine struct {
	database string // that is there on every server; "" where a login needs none
	check    func(context.Context, net.Conn, sqltarget.Options) error
	set      func(context.Context, net.Conn, sqltarget.Options, string, secret.Value) error
}

var (
	postgresEngine = sqlEngine{"postgres", pgtarget.Check, pgtarget.SetPassword}
	mysqlEngine    = sqlEngine{"", mysqltarget.Check, mysqltarget.SetPassword}
	sqlFaults      = faults{auth: sqltarget.ErrAuth, refused: sqltarget.ErrRefused, locked: sqltarget.ErrLocked, peer: sqltarget.ErrTLS}
)

// databaseTLS words a resource's TLS as databases do.
func databaseTLS(r resource.Resource) sqltarget.TLS {
	t := sqltarget.TLS{Mode: r.TLS.Mode, CA: r.TLS.CA, ServerName: r.TLS.ServerName}
	switch {
	case t.Mode == "" || t.Mode == peer.Verify:
		t.Mode = "verify-full"
	case t.Mode == peer.Require && t.CA != "":
		t.Mode = "verify-ca"
	}
	return t
}

func (e sqlEngine) options(r resource.Resource, as broker.As) sqltarget.Options {
	return sqltarget.Options{
		TLS: databaseTLS(r), Host: r.Host, Username: as.Username, Database: e.database,
		Login: func(ctx context.Context) (sqltarget.Credential, error) {
			c, err := as.Login(ctx)
			return sqltarget.Credential{Password: c.Password, PrivateKey: c.PrivateKey, Certificate: secret.FromString(c.Certificate)}, err
		},
	}
}

// Check implements broker.Target.
func (e sqlEngine) Check(ctx context.Context, conn net.Conn, r resource.Resource, username string, login broker.Login) error {
	return sqlFaults.of(e.check(ctx, conn, e.options(r, broker.As{Username: username, Login: login})))
}

// Peek implements broker.Target.
func (sqlEngine) Peek(context.Context, net.Conn, resource.Resource) (string, error) { return "", nil }

// Change implements broker.Changer.
func (e sqlEngine) Change(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, x broker.Exchange) error {
	return sqlFaults.of(e.set(ctx, conn, e.options(r, as), x.Username, x.Next.Password))
}

// Retire implements broker.Changer: a database keeps one password of a user.
func (e sqlEngine) Retire(ctx context.Context, conn net.Conn, r resource.Resource, as broker.As, x broker.Exchange) error {
	return e.Change(ctx, conn, r, as, x)
}
