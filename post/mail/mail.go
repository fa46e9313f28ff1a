// Package mail sends letters by SMTP (RFC 5321), and makes them (RFC 5322,
// MIME).
//
// It owns the conversation with the mail server: TLS before any password,
// limits on what the server may say and how long it may take, and that no text
// becomes a header. It must not know who writes to whom or why. Start at
// [Client.Send].
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"vaultpam/internal/secret"
)

// Security says when TLS begins.
type Security string

// The securities. None is for a server on the same machine.
const (
	StartTLS Security = "starttls" // after EHLO; without it nothing is sent (RFC 3207)
	TLS      Security = "tls"      // from the first byte (RFC 8314)
	None     Security = "none"
)

// Config is how to reach the mail server.
type Config struct {
	Address  string // host:port
	From     string // an address, perhaps with a name: VaultPAM <pam@example.com>
	Username string // "": no authentication
	Password secret.Value
	Security Security       // "" is StartTLS
	Roots    *x509.CertPool // nil: those of the system
	Hello    string         // the name that this machine gives; "" is localhost
	Timeout  time.Duration  // of one letter; 0 is a minute
}

// Client sends letters, each over a connection of its own. It is safe for
// concurrent use.
type Client struct {
	cfg  Config
	host string
	from mail.Address
}

// New checks the configuration. It does no I/O.
func New(cfg Config) (*Client, error) {
	host, _, err := net.SplitHostPort(cfg.Address)
	if err != nil || host == "" {
		return nil, errors.New("the address of the mail server must be host:port")
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil || strings.ContainsFunc(from.Name+from.Address, isControl) {
		return nil, errors.New("the sender is not an e-mail address")
	}
	switch cfg.Security {
	case "":
		cfg.Security = StartTLS
	case StartTLS, TLS, None:
	default:
		return nil, fmt.Errorf("the security of mail is starttls, tls or none")
	}
	if cfg.Security == None && cfg.Username != "" {
		return nil, errors.New("a password is not sent without TLS")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.Hello == "" {
		cfg.Hello = "localhost"
	}
	return &Client{cfg: cfg, host: host, from: *from}, nil
}

// Refusal is what a mail server said instead of taking a letter, or why it was
// not asked.
type Refusal struct {
	Permanent bool   // trying again does not help
	Code      int    // of the reply (RFC 5321 section 4.2.1); 0 without one
	Text      string // one line of printable text
}

func (r *Refusal) Error() string {
	if r.Code == 0 {
		return r.Text
	}
	return fmt.Sprintf("the mail server answered %d: %s", r.Code, r.Text)
}

// maxReplies bounds what a server may say during one letter, in bytes.
const maxReplies = 256 << 10

// Send delivers one letter to the mail server. An error is a *Refusal, or one
// of the connection, which may be tried again; then the server may have taken
// the letter all the same, and tells a second copy by its Message-ID.
func (c *Client) Send(ctx context.Context, l Letter) error {
	message, err := c.write(l)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.cfg.Address)
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", err)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := c.deliver(&limited{Conn: raw, left: maxReplies}, l.To, message); err != nil {
		return worded(err)
	}
	return nil
}

func (c *Client) deliver(conn net.Conn, to string, message []byte) error {
	if c.cfg.Security == TLS {
		conn = tls.Client(conn, c.tls())
	}
	s, err := smtp.NewClient(conn, c.host)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Hello(c.cfg.Hello); err != nil {
		return err
	}
	if c.cfg.Security == StartTLS {
		if ok, _ := s.Extension("STARTTLS"); !ok {
			return &Refusal{Text: "the mail server offers no STARTTLS, so nothing is sent"}
		}
		if err := s.StartTLS(c.tls()); err != nil {
			return err
		}
	}
	if c.cfg.Username != "" {
		if err := s.Auth(c.auth(s)); err != nil {
			return err
		}
	}
	if err := s.Mail(c.from.Address); err != nil {
		return err
	}
	if err := s.Rcpt(to); err != nil {
		return err
	}
	w, err := s.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = s.Quit() // it is taken; how the server says good-bye does not matter
	return nil
}

func (c *Client) tls() *tls.Config {
	return &tls.Config{ServerName: c.host, RootCAs: c.cfg.Roots, MinVersion: tls.VersionTLS12}
}

// auth chooses how the password is sent: PLAIN (RFC 4616), or LOGIN for servers
// that know nothing else.
func (c *Client) auth(s *smtp.Client) smtp.Auth {
	password := string(c.cfg.Password.Expose())
	_, known := s.Extension("AUTH")
	if mechanisms := strings.Fields(strings.ToUpper(known)); !contains(mechanisms, "PLAIN") && contains(mechanisms, "LOGIN") {
		return &login{c.cfg.Username, password, 0}
	}
	return smtp.PlainAuth("", c.cfg.Username, password, c.host)
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// login is the mechanism LOGIN: two questions, answered in their order
// whatever they say.
type login struct {
	username, password string
	asked              int
}

func (l *login) Start(s *smtp.ServerInfo) (string, []byte, error) {
	if !s.TLS {
		return "", nil, errors.New("a password is not sent without TLS")
	}
	return "LOGIN", nil, nil
}

func (l *login) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	l.asked++
	switch l.asked {
	case 1:
		return []byte(l.username), nil
	case 2:
		return []byte(l.password), nil
	}
	return nil, errors.New("the mail server asks for more than name and password")
}

// worded makes a Refusal of a reply.
func worded(err error) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return &Refusal{Permanent: reply.Code >= 500 && reply.Code < 600, Code: reply.Code, Text: printable(reply.Msg)}
	}
	if _, ok := errors.AsType[*Refusal](err); ok {
		return err
	}
	return fmt.Errorf("talk to the mail server: %w", err)
}

// printable is the first part of a text as one line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > 200 {
		s = string(runes[:200]) + "…"
	}
	return strings.TrimSpace(s)
}

// limited is a connection on which the other side may say so much and no more.
type limited struct {
	net.Conn
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if len(p) > l.left {
		p = p[:l.left]
	}
	n, err := l.Conn.Read(p)
	l.left -= n
	return n, err
}
