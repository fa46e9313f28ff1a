// Package mailbox is a mail server for tests: it speaks SMTP with STARTTLS,
// TLS and AUTH, keeps what it takes, and can be told to refuse, to be slow or
// to talk without end.
//
// It owns the server's side of the conversation. It must not know what is
// written in letters. Start at [Start].
package mailbox

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options are how the server behaves.
type Options struct {
	TLS        bool     // from the first byte
	NoSTARTTLS bool     // it is not offered
	Mechanisms []string // of AUTH, offered after TLS has begun; none: nobody has to log in
	Username   string
	Password   string
	// Reply answers a command before the server does, such as "RCPT": "" leaves
	// it to the server.
	Reply func(verb string) string
	// Delay holds a command up.
	Delay func(verb string)
}

// Message is one letter that was taken.
type Message struct {
	From, To string // of the envelope
	Header   mail.Header
	Subject  string
	Text     string
	HTML     string
	TLS      bool // it came over TLS
}

// Server takes letters.
type Server struct {
	Address string // host:port
	CAFile  string // a path, for what reads a file
	Roots   *x509.CertPool

	t       testing.TB
	options Options
	config  *tls.Config

	mu       sync.Mutex // guards what follows
	messages []Message
	commands []string
}

// Start runs a server until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, options: o}
	s.certify()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address = ln.Addr().String()
	var group sync.WaitGroup
	var conns sync.Map
	group.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, nil)
			group.Go(func() {
				defer conn.Close()
				defer conns.Delete(conn)
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		conns.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		group.Wait()
	})
	return s
}

// certify makes a certificate of its own authority for 127.0.0.1.
func (s *Server) certify() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailbox"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Roots = x509.NewCertPool()
	s.Roots.AddCert(cert)
	s.CAFile = s.t.TempDir() + "/ca.pem"
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.config = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// Messages are those taken so far.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Commands are the lines that clients have said so far.
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// Wait returns the n-th letter to somebody, counted from 1, once it is there.
func (s *Server) Wait(to string, n int) Message {
	s.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found := 0
		for _, m := range s.Messages() {
			if m.To == to {
				if found++; found == n {
					return m
				}
			}
		}
	}
	s.t.Fatalf("letter %d to %s has not come; there are %d in all", n, to, len(s.Messages()))
	return Message{}
}

func (s *Server) serve(conn net.Conn) {
	secure := s.options.TLS
	if secure {
		conn = tls.Server(conn, s.config)
	}
	c := textproto.NewConn(conn)
	say := func(line string) { _ = c.PrintfLine("%s", line) }
	say("220 mailbox")
	var from, to string
	authorized := len(s.options.Mechanisms) == 0
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.commands = append(s.commands, line)
		s.mu.Unlock()
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if s.options.Delay != nil {
			s.options.Delay(verb)
		}
		if s.options.Reply != nil {
			if reply := s.options.Reply(verb); reply != "" {
				if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
					return
				}
				continue
			}
		}
		switch verb {
		case "EHLO", "HELO":
			say("250-mailbox")
			if !secure && !s.options.NoSTARTTLS {
				say("250-STARTTLS")
			}
			if secure && len(s.options.Mechanisms) > 0 {
				say("250-AUTH " + strings.Join(s.options.Mechanisms, " "))
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, s.config)
			c, secure = textproto.NewConn(conn), true
		case "AUTH":
			if authorized = s.login(c, rest); authorized {
				say("235 welcome")
			} else {
				say("535 who are you")
			}
		case "MAIL":
			if !authorized {
				say("530 log in first")
				continue
			}
			from = address(rest)
			say("250 ok")
		case "RCPT":
			to = address(rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			body, err := c.ReadDotBytes()
			if err != nil {
				return
			}
			s.keep(from, to, body, secure)
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what")
		}
	}
}

func address(rest string) string {
	_, rest, _ = strings.Cut(rest, "<")
	rest, _, _ = strings.Cut(rest, ">")
	return rest
}

func (s *Server) login(c *textproto.Conn, rest string) bool {
	mechanism, first, _ := strings.Cut(rest, " ")
	if !slices.Contains(s.options.Mechanisms, mechanism) {
		return false
	}
	read := func(line string) string {
		b, _ := base64.StdEncoding.DecodeString(line)
		return string(b)
	}
	if mechanism == "PLAIN" {
		return read(first) == "\x00"+s.options.Username+"\x00"+s.options.Password
	}
	var answers []string
	for _, question := range []string{"Username:", "Password:"} {
		_ = c.PrintfLine("334 %s", base64.StdEncoding.EncodeToString([]byte(question)))
		line, err := c.ReadLine()
		if err != nil {
			return false
		}
		answers = append(answers, read(line))
	}
	return answers[0] == s.options.Username && answers[1] == s.options.Password
}

// keep reads a message as a mail program would. What cannot be read is kept
// with its envelope alone.
func (s *Server) keep(from, to string, body []byte, secure bool) {
	m := Message{From: from, To: to, TLS: secure}
	if parsed, err := mail.ReadMessage(bytes.NewReader(body)); err == nil {
		m.Header = parsed.Header
		m.Subject, _ = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
		_, params, _ := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
		parts := multipart.NewReader(parsed.Body, params["boundary"])
		for {
			part, err := parts.NextRawPart()
			if err != nil {
				break
			}
			text, _ := io.ReadAll(quotedprintable.NewReader(part))
			if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
				m.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
			} else {
				m.HTML = strings.ReplaceAll(string(text), "\r\n", "\n")
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
}
