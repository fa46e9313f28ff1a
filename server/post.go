package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/outbox"
	"vaultpam/post/mail"
)

// channels are the ways by which messages leave this server: e-mail, if a mail
// server is named. In dev mode without one, letters are printed for the person
// who started the server; their links open something, so never into the log.
func (s *Server) channels() (map[string]outbox.Channel, error) {
	if s.cfg.SMTPAddress == "" {
		if !s.cfg.Dev {
			return nil, nil
		}
		return map[string]outbox.Channel{outbox.Mail: &printedMail{out: s.out}}, nil
	}
	client, err := s.cfg.mail()
	if err != nil {
		return nil, err
	}
	return map[string]outbox.Channel{outbox.Mail: smtpMail{client}}, nil
}

// mail makes the client of the mail server that is configured.
func (c *Config) mail() (*mail.Client, error) {
	cfg := mail.Config{Address: c.SMTPAddress, From: c.SMTPFrom, Username: c.SMTPUsername, Password: secret.FromString(c.SMTPPassword), Security: mail.Security(c.SMTPSecurity)}
	if c.SMTPCA != "" {
		pem, err := os.ReadFile(c.SMTPCA)
		if err != nil {
			return nil, fmt.Errorf("--smtp-ca: %w", err)
		}
		if cfg.Roots = x509.NewCertPool(); !cfg.Roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("--smtp-ca: there is no certificate in it")
		}
	}
	client, err := mail.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("--smtp-…: %w", err)
	}
	return client, nil
}

// smtpMail is the channel of a mail server.
type smtpMail struct{ client *mail.Client }

func (c smtpMail) Deliver(ctx context.Context, m pam.Outgoing, content outbox.Content) error {
	err := c.client.Send(ctx, mail.Letter{
		ID: string(m.ID), To: m.To, Subject: content.Subject, Text: content.Text, HTML: content.HTML, Language: content.Language, Date: m.CreatedAt,
	})
	if refusal, ok := errors.AsType[*mail.Refusal](err); ok && refusal.Permanent {
		return &outbox.Final{Err: err}
	}
	return err
}

// printedMail is the channel of dev mode.
type printedMail struct {
	mu  sync.Mutex // one letter at a time
	out io.Writer
}

func (c *printedMail) Deliver(_ context.Context, m pam.Outgoing, content outbox.Content) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := fmt.Fprintf(c.out, "\nA letter to %s: %s\n  %s\n", m.To, content.Subject, strings.ReplaceAll(strings.TrimSpace(content.Text), "\n", "\n  "))
	return err
}

// url is where people reach the console, without a slash at its end.
func (s *Server) url() string {
	if s.cfg.PublicURL != "" {
		return strings.TrimRight(s.cfg.PublicURL, "/")
	}
	_, port, err := net.SplitHostPort(s.httpListener.Addr().String())
	if err != nil {
		return "http://localhost"
	}
	scheme := "http"
	if s.cfg.tls() {
		scheme = "https"
	}
	return scheme + "://localhost:" + port
}
