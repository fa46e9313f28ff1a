// Package mysqltarget logs in to MySQL and MariaDB.
//
// It owns the order that protects a credential (the server is verified, then
// the credential asked for) and the difference between a login that was refused
// and one of which nothing is known. It must not know where credentials come
// from or who may use them. Start at [Check].
package mysqltarget

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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

	errNoSession = fmt.Errorf("%w: no such session", ErrRefused)
)

// Check logs in and out again. It closes conn, as all functions here do.
func Check(ctx context.Context, conn net.Conn, o Options) error {
	return with(ctx, conn, o, func(*client) error { return nil })
}

// Run runs statements in one transaction. Those about users commit by
// themselves, whatever was before, so a refusal may leave half behind. When it
// returns ErrBroken, nobody knows whether they took effect.
func Run(ctx context.Context, conn net.Conn, o Options, statements []string) error {
	return with(ctx, conn, o, func(c *client) error { return transaction(c, statements) })
}

func transaction(c *client, statements []string) error {
	for _, s := range append(append([]string{"START TRANSACTION"}, statements...), "COMMIT") {
		if _, err := c.query(s); err != nil {
			return err
		}
	}
	return nil
}

// Revoke takes the login of a user away at every host, ends its sessions, which
// would outlive it, and then runs the statements that drop it. It is not dropped
// while its sessions cannot be ended: nobody would look for them afterwards.
func Revoke(ctx context.Context, conn net.Conn, o Options, user string, statements []string) error {
	name, err := quote(user)
	if err != nil {
		return err
	}
	return with(ctx, conn, o, func(c *client) error {
		hosts, err := c.query("SELECT Host FROM mysql.user WHERE BINARY User = BINARY " + name)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			host, err := quote(h)
			if err == nil {
				_, err = c.query("ALTER USER " + name + "@" + host + " ACCOUNT LOCK")
			}
			if err != nil {
				return err
			}
		}
		if err := seesSessions(c); err != nil {
			return err
		}
		// A login under way was looked up before the lock, and the server has no
		// name for it yet. Nobody honest takes a second.
		const logins = "USER = 'unauthenticated user'"
		late, err := c.query(sessionsWhere + logins)
		if err != nil {
			return err
		}
		if len(late) > 0 {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%w: %w", ErrBroken, context.Cause(ctx))
			case <-time.After(time.Second):
			}
			if err := endSessions(c, logins, late); err != nil {
				return err
			}
		}
		if err := endSessions(c, "BINARY USER = BINARY "+name, nil); err != nil {
			return err
		}
		return transaction(c, statements)
	})
}

const sessionsWhere = "SELECT ID FROM information_schema.PROCESSLIST WHERE "

// seesSessions refuses an administrator who is shown only its own sessions, and
// without an error.
func seesSessions(c *client) error {
	grants, err := c.query("SHOW GRANTS")
	if err != nil {
		return err
	}
	for _, g := range grants {
		what, on, _ := strings.Cut(g, " ON ")
		if strings.HasPrefix(on, "*.*") && (strings.Contains(what, "PROCESS") || strings.Contains(what, "ALL PRIVILEGES")) {
			return nil
		}
	}
	return fmt.Errorf("%w: the administrator's account lacks PROCESS, and cannot see which sessions to end", ErrRefused)
}

// endSessions ends those that are so, one by one, as both MySQL and MariaDB can;
// of only, unless it is nil.
func endSessions(c *client, where string, only []string) error {
	ids, err := c.query(sessionsWhere + where)
	for _, id := range ids {
		if only != nil && !slices.Contains(only, id) {
			continue
		}
		if _, bad := strconv.ParseUint(id, 10, 64); bad != nil {
			return fmt.Errorf("%w: not the id of a session", ErrBroken)
		}
		if _, killed := c.query("KILL CONNECTION " + id); !errors.Is(killed, errNoSession) {
			err = errors.Join(err, killed)
		}
	}
	return err
}

// List returns the users whose name begins with prefix.
func List(ctx context.Context, conn net.Conn, o Options, prefix string) ([]string, error) {
	var users []string
	err := with(ctx, conn, o, func(c *client) error {
		p, err := quote(prefix + "x")
		if err != nil {
			return err
		}
		p = strings.TrimSuffix(p, "x'") + "'"
		users, err = c.query(fmt.Sprintf("SELECT DISTINCT User FROM mysql.user WHERE BINARY LEFT(User, %d) = BINARY %s ORDER BY 1", utf8.RuneCountInString(prefix), p))
		for _, u := range users {
			if !strings.HasPrefix(u, prefix) {
				return fmt.Errorf("%w: not the users that were asked for", ErrBroken)
			}
		}
		return err
	})
	return users, err
}

// SetPassword sets the password of a user: of the account that logs in when it
// is its own, otherwise of that name at every host. MariaDB is sent a hash, so
// that the password stands in none of its logs; MySQL itself keeps passwords
// out of its logs, and gets it over verified TLS alone.
func SetPassword(ctx context.Context, conn net.Conn, o Options, user string, next secret.Value) error {
	name, err := quote(user)
	if err != nil {
		return err
	}
	p := string(next.Expose())
	if p == "" || len(p) > 255 || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("%w: a password is 1 to 255 printable ASCII characters", ErrRefused)
	}
	return with(ctx, conn, o, func(c *client) error {
		accounts := []string{""}
		if user == o.Username {
			// A name that is not there may have been let in as the anonymous user.
			who, err := c.query("SELECT CURRENT_USER()")
			if err != nil {
				return err
			}
			if len(who) != 1 || !strings.HasPrefix(who[0], user+"@") {
				return fmt.Errorf("%w: the login is for another account", ErrRefused)
			}
		} else {
			hosts, err := c.query("SELECT Host FROM mysql.user WHERE BINARY User = BINARY " + name)
			if err != nil {
				return err
			}
			if len(hosts) == 0 {
				return fmt.Errorf("%w: there is no such user", ErrRefused)
			}
			accounts = nil
			for _, h := range hosts {
				host, err := quote(h)
				if err != nil {
					return err
				}
				accounts = append(accounts, name+"@"+host)
			}
		}
		for i, account := range accounts {
			statement, err := c.passwordStatement(account, next)
			if err != nil {
				return err
			}
			if _, err := c.query(statement); err != nil {
				if i > 0 { // some have the new one, some the old
					return fmt.Errorf("%w: the password was set at %d of %d hosts", ErrBroken, i, len(accounts))
				}
				return err
			}
		}
		return nil
	})
}

func (c *client) passwordStatement(account string, next secret.Value) (string, error) {
	if c.mariadb {
		if account == "" {
			return "SET PASSWORD = '" + Hash(next) + "'", nil
		}
		return "SET PASSWORD FOR " + account + " = '" + Hash(next) + "'", nil
	}
	if !c.private {
		return "", fmt.Errorf("%w: MySQL takes a password over verified TLS alone", ErrTLS)
	}
	if account == "" {
		account = "USER()"
	}
	return "ALTER USER " + account + " IDENTIFIED BY '" + strings.ReplaceAll(string(next.Expose()), "'", "''") + "'", nil
}

// Hash is what MariaDB stores for mysql_native_password, for templates with
// IDENTIFIED VIA mysql_native_password USING. Whoever reads it can guess at the
// password, but not log in with it.
func Hash(password secret.Value) string {
	first := sha1.Sum(password.Expose())
	second := sha1.Sum(first[:])
	return "*" + strings.ToUpper(hex.EncodeToString(second[:]))
}

// quote writes a string for the mode that every connection here sets: without
// escapes by backslash.
func quote(s string) (string, error) {
	if s == "" || len(s) > 512 || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%w: not a name", ErrRefused)
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'", nil
}
