package mysqltarget

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"vaultpam/internal/secret"
	"vaultpam/target/sqltarget"
)

// Limits on what a server may send.
const (
	maxReceived = 4 << 20
	maxPacket   = 1 << 20
	maxRows     = 10_000
)

// What this client can: neither files, nor several statements in one.
const (
	withDatabase = 1 << 3
	protocol41   = 1 << 9
	withTLS      = 1 << 11
	secureAuth   = 1 << 15
	pluginAuth   = 1 << 19
	capabilities = 1 | protocol41 | 1<<13 | secureAuth | pluginAuth
)

const (
	native  = "mysql_native_password"
	caching = "caching_sha2_password"
)

// errProtocol is for servers that do not keep to the protocol.
var errProtocol = fmt.Errorf("%w: the server does not keep to the protocol", ErrBroken)

// client speaks as much of the protocol as logins and statements about users
// need. It is our own because drivers compute with the password before TLS has
// shown who the server is.
type client struct {
	ctx     context.Context
	conn    net.Conn
	in      *bufio.Reader
	seq     byte
	mariadb bool
	private bool // over TLS, to a server that was verified
}

func with(ctx context.Context, conn net.Conn, o Options, do func(*client) error) error {
	ctx, end := o.Deadline(ctx, conn)
	defer end()
	c := &client{ctx: ctx, conn: sqltarget.Limit(conn, maxReceived)}
	c.in = bufio.NewReader(c.conn)
	err := c.login(o)
	if err == nil {
		err = c.settle()
	}
	if err == nil {
		err = do(c)
	}
	if err != nil {
		return c.explain(err)
	}
	c.seq = 0
	_ = c.write([]byte{1}) // COM_QUIT
	return nil
}

// settle makes quoting independent of the server's mode, and keeps statements
// out of the general log where the login may do so.
func (c *client) settle() error {
	if _, err := c.query("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES', lock_wait_timeout = 5"); err != nil {
		return err
	}
	_, err := c.query("SET SESSION sql_log_off = 1")
	if errors.Is(err, ErrRefused) {
		err = nil
	}
	if err == nil {
		// Only now do servers say that the password has expired.
		_, err = c.query("DO 1")
	}
	return err
}

func (c *client) explain(err error) error {
	for _, kind := range []error{ErrAuth, ErrLocked, ErrBroken, ErrTLS, ErrRefused} {
		if errors.Is(err, kind) {
			return err
		}
	}
	if c.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrBroken, context.Cause(c.ctx))
	}
	return err
}

func (c *client) read() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if n == 0 || n > maxPacket || head[3] != c.seq {
		return nil, errProtocol
	}
	c.seq++
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return b, nil
}

func (c *client) write(payload []byte) error {
	if len(payload) >= maxPacket {
		return fmt.Errorf("%w: the statement is too long", ErrRefused)
	}
	n := len(payload)
	packet := append([]byte{byte(n), byte(n >> 8), byte(n >> 16), c.seq}, payload...)
	defer clear(packet)
	c.seq++
	if _, err := c.conn.Write(packet); err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return nil
}

type greeting struct {
	version      string
	capabilities uint32
	nonce        []byte
	plugin       string
}

func parseGreeting(b []byte) (g greeting, err error) {
	version, rest, ok := strings.Cut(string(b[min(1, len(b)):]), "\x00")
	if len(b) == 0 || b[0] != 10 || !ok || len(rest) < 31+13 {
		return g, errProtocol
	}
	r := []byte(rest)
	g.version = version
	g.capabilities = uint32(binary.LittleEndian.Uint16(r[13:])) | uint32(binary.LittleEndian.Uint16(r[18:]))<<16
	// Eight bytes of the nonce stand before the capabilities, twelve behind.
	g.nonce = append(append([]byte(nil), r[4:12]...), r[31:43]...)
	g.plugin, _, _ = strings.Cut(string(r[44:]), "\x00")
	if need := uint32(protocol41 | secureAuth | pluginAuth); g.capabilities&need != need {
		return g, errProtocol
	}
	return g, nil
}

func (c *client) login(o Options) error {
	if o.Username == "" || strings.ContainsRune(o.Username+o.Database, 0) {
		return fmt.Errorf("%w: not a name", ErrRefused)
	}
	config, err := o.Config()
	if err != nil {
		return err
	}
	hello, err := c.read()
	if err != nil {
		return err
	}
	if hello[0] == 0xff {
		return refusal(hello, ErrBroken)
	}
	g, err := parseGreeting(hello)
	if err != nil {
		return err
	}
	c.mariadb = strings.Contains(g.version, "MariaDB")
	can := uint32(capabilities)
	if o.Database != "" {
		can |= withDatabase
	}
	if config != nil {
		can |= withTLS
	}
	answer := binary.LittleEndian.AppendUint32(nil, can)
	answer = binary.LittleEndian.AppendUint32(answer, maxPacket)
	answer = append(answer, 45) // utf8mb4
	answer = append(answer, make([]byte, 23)...)

	var credential Credential
	defer func() { credential.Wipe() }()
	if config == nil {
		if credential, err = o.Login(c.ctx); err != nil {
			return err
		}
		if !credential.Certificate.Empty() {
			return fmt.Errorf("%w: a client certificate needs TLS", ErrTLS)
		}
	} else {
		if g.capabilities&withTLS == 0 {
			return fmt.Errorf("%w: the server offers no TLS", ErrTLS)
		}
		if c.in.Buffered() > 0 { // from before TLS, and perhaps from somebody else
			return errProtocol
		}
		if err := c.write(answer); err != nil {
			return err
		}
		t, got, err := o.Handshake(c.ctx, c.conn, config)
		credential = got
		if err != nil {
			return err
		}
		c.conn, c.in, c.private = t, bufio.NewReader(t), o.TLS.Verified()
	}
	if g.plugin != caching {
		g.plugin = native // servers switch when the account has another
	}
	proof := prove(g.plugin, g.nonce, credential.Password)
	answer = append(append(answer, o.Username...), 0, byte(len(proof)))
	answer = append(answer, proof...)
	if o.Database != "" {
		answer = append(append(answer, o.Database...), 0)
	}
	answer = append(append(answer, g.plugin...), 0)
	if err := c.write(answer); err != nil {
		return err
	}
	return c.authenticate(g.plugin, credential.Password)
}

// authenticate follows the server through at most one change of plugin.
func (c *client) authenticate(plugin string, password secret.Value) error {
	switched := false
	for range 5 {
		b, err := c.read()
		if err != nil {
			return err
		}
		switch {
		case b[0] == 0:
			return nil
		case b[0] == 0xff:
			return refusal(b, ErrBroken)
		case b[0] == 0xfe && !switched:
			switched = true
			var nonce string
			plugin, nonce, _ = strings.Cut(string(b[1:]), "\x00")
			if plugin != native && plugin != caching {
				// Clear text and what was broken long ago are among them.
				return fmt.Errorf("%w: the account's way to log in is not supported", ErrBroken)
			}
			if nonce = strings.TrimSuffix(nonce, "\x00"); len(nonce) != 20 {
				return errProtocol
			}
			if err := c.write(prove(plugin, []byte(nonce), password)); err != nil {
				return err
			}
		case b[0] == 1 && len(b) == 2 && b[1] == 3 && plugin == caching: // known, OK follows
		case b[0] == 1 && len(b) == 2 && b[1] == 4 && plugin == caching:
			// Now it wants the password itself.
			if !c.private {
				return fmt.Errorf("%w: caching_sha2_password needs verified TLS", ErrTLS)
			}
			plain := append(make([]byte, 0, len(password.Expose())+1), password.Expose()...)
			err := c.write(append(plain, 0))
			clear(plain)
			if err != nil {
				return err
			}
		default:
			return errProtocol
		}
	}
	return errProtocol
}

// prove answers a nonce. An empty answer would be an empty password.
func prove(plugin string, nonce []byte, password secret.Value) []byte {
	if password.Empty() {
		return nil
	}
	if plugin == caching {
		one := sha256.Sum256(password.Expose())
		two := sha256.Sum256(one[:])
		mask := sha256.Sum256(append(two[:], nonce...))
		subtle.XORBytes(mask[:], mask[:], one[:])
		return mask[:]
	}
	one := sha1.Sum(password.Expose())
	two := sha1.Sum(one[:])
	mask := sha1.Sum(append(append([]byte(nil), nonce...), two[:]...))
	subtle.XORBytes(mask[:], mask[:], one[:])
	return mask[:]
}

// refusal keeps the number of an error alone: its text may repeat a statement.
func refusal(b []byte, kind error) error {
	if len(b) < 3 {
		return errProtocol
	}
	number := binary.LittleEndian.Uint16(b[1:])
	switch number {
	case 1045, 1698:
		if kind == ErrBroken {
			kind = ErrAuth
		}
	case 1820, 1862: // the password has expired
		kind = ErrAuth
	case 3118, 4151:
		kind = ErrLocked
	case 1094:
		kind = errNoSession
	case 1040, 1053, 1077, 1079, 1080, 1158, 1159, 1160, 1161, 1180, 1317, 1927, 3024, 1969:
		kind = ErrBroken
	}
	return fmt.Errorf("%w: error %d", kind, number)
}

// query runs a statement and returns the first column.
func (c *client) query(statement string) ([]string, error) {
	c.seq = 0
	if err := c.write(append([]byte{3}, statement...)); err != nil {
		return nil, err
	}
	b, err := c.read()
	switch {
	case err != nil:
		return nil, err
	case b[0] == 0:
		return nil, nil
	case b[0] == 0xff:
		return nil, refusal(b, ErrRefused)
	case b[0] >= 0xfb: // a file of ours, or more columns than there are
		return nil, errProtocol
	}
	for range int(b[0]) + 1 { // the columns, and what ends them
		if b, err = c.read(); err != nil {
			return nil, err
		}
	}
	if b[0] != 0xfe {
		return nil, errProtocol
	}
	var rows []string
	for {
		b, err := c.read()
		switch {
		case err != nil:
			return nil, err
		case b[0] == 0xff:
			return nil, refusal(b, ErrRefused)
		case b[0] == 0xfe && len(b) < 9:
			return rows, nil
		case len(rows) == maxRows:
			return nil, fmt.Errorf("%w: more than %d rows", ErrBroken, maxRows)
		}
		s, err := firstColumn(b)
		if err != nil {
			return nil, err
		}
		rows = append(rows, s)
	}
}

// firstColumn of a row; nothing is as good as an empty string here.
func firstColumn(row []byte) (string, error) {
	if len(row) == 0 {
		return "", errProtocol
	}
	n, at := int(row[0]), 1
	switch {
	case n == 0xfb:
		return "", nil
	case n == 0xfc && len(row) >= 3:
		n, at = int(binary.LittleEndian.Uint16(row[1:])), 3
	case n > 0xfb:
		return "", errProtocol
	}
	if len(row)-at < n {
		return "", errProtocol
	}
	return string(row[at : at+n]), nil
}
