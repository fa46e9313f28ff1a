package mail_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/post/mail"
	"vaultpam/test/mailbox"
)

var when = time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)

func letter() mail.Letter {
	return mail.Letter{
		ID: "out_1", To: "ada@example.com", Subject: "Einladung zu „Löwe & Söhne“", Language: "de", Date: when,
		Text: "Guten Tag,\n\n.\nein Punkt allein, und Łódź.\n", HTML: "<p>Guten Tag, <b>Łódź</b></p>\n",
	}
}

func client(t *testing.T, s *mailbox.Server, change func(*mail.Config)) *mail.Client {
	t.Helper()
	cfg := mail.Config{Address: s.Address, From: "VaultPAM <pam@corp.example>", Roots: s.Roots, Timeout: 5 * time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := mail.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestALetterArrivesAsItWasWritten(t *testing.T) {
	for name, c := range map[string]struct {
		server mailbox.Options
		client func(*mail.Config)
	}{
		"STARTTLS":       {},
		"TLS":            {mailbox.Options{TLS: true}, func(c *mail.Config) { c.Security = mail.TLS }},
		"PLAIN":          {mailbox.Options{Mechanisms: []string{"PLAIN", "LOGIN"}, Username: "u", Password: "p w"}, func(c *mail.Config) { c.Username, c.Password = "u", secret.FromString("p w") }},
		"LOGIN":          {mailbox.Options{Mechanisms: []string{"LOGIN"}, Username: "u", Password: "p"}, func(c *mail.Config) { c.Username, c.Password = "u", secret.FromString("p") }},
		"without either": {mailbox.Options{NoSTARTTLS: true}, func(c *mail.Config) { c.Security = mail.None }},
	} {
		t.Run(name, func(t *testing.T) {
			s := mailbox.Start(t, c.server)
			want := letter()
			if err := client(t, s, c.client).Send(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			got := s.Messages()[0]
			if got.From != "pam@corp.example" || got.To != want.To || got.Subject != want.Subject || got.Text != want.Text || got.HTML != want.HTML {
				t.Errorf("got %+v", got)
			}
			if got.TLS != (name != "without either") {
				t.Errorf("over TLS: %v", got.TLS)
			}
			for header, value := range map[string]string{
				"Message-ID": "<out_1@corp.example>", "Auto-Submitted": "auto-generated", "Content-Language": "de", "Date": "Mon, 06 May 2030 07:08:09 +0000",
				"From": `"VaultPAM" <pam@corp.example>`, "To": "<ada@example.com>",
			} {
				if got.Header.Get(header) != value {
					t.Errorf("%s: %q, want %q", header, got.Header.Get(header), value)
				}
			}
		})
	}
}

// Somebody can name an organization, or a recipient, as they like: no name
// becomes a header, another recipient or another command.
func TestNoTextBecomesAHeader(t *testing.T) {
	s := mailbox.Start(t, mailbox.Options{})
	c := client(t, s, nil)
	for _, bad := range []string{"x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: eve@example.com", "x\x00", "x\u2028y", "x\x85y", "\xff"} {
		for field, set := range map[string]func(*mail.Letter){
			"subject": func(l *mail.Letter) { l.Subject = bad }, "to": func(l *mail.Letter) { l.To = "ada@example.com" + bad },
			"id": func(l *mail.Letter) { l.ID = bad }, "language": func(l *mail.Letter) { l.Language = bad },
		} {
			l := letter()
			set(&l)
			err := c.Send(t.Context(), l)
			if refusal, ok := errors.AsType[*mail.Refusal](err); !ok || !refusal.Permanent {
				t.Errorf("%s %q: %v", field, bad, err)
			}
		}
	}
	for _, to := range []string{"", "ada", "a@example.com, b@example.com", "Ada <ada@example.com>", "<ada@example.com>", "ada@example.com> RCPT TO:<eve@example.com", "ada@example.com;eve@example.com"} {
		l := letter()
		l.To = to
		if err := c.Send(t.Context(), l); err == nil {
			t.Errorf("a letter went to %q", to)
		}
	}
	if got := s.Commands(); len(got) != 0 {
		t.Errorf("the server heard %q", got)
	}
}

func TestNothingIsSaidWithoutTLS(t *testing.T) {
	s := mailbox.Start(t, mailbox.Options{NoSTARTTLS: true, Mechanisms: []string{"PLAIN"}})
	err := client(t, s, func(c *mail.Config) { c.Username, c.Password = "u", secret.FromString("hunter-22") }).Send(t.Context(), letter())
	if err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("%v", err)
	}
	other := mailbox.Start(t, mailbox.Options{})
	if err := client(t, other, func(c *mail.Config) { c.Roots = s.Roots }).Send(t.Context(), letter()); err == nil {
		t.Error("a certificate of somebody else was believed")
	}
	for _, line := range slices.Concat(s.Commands(), other.Commands()) {
		if !strings.HasPrefix(line, "EHLO") && line != "STARTTLS" && !strings.HasPrefix(line, "QUIT") {
			t.Errorf("said in plain: %q", line)
		}
	}
	if _, err := mail.New(mail.Config{Address: "127.0.0.1:25", From: "a@b.example", Security: mail.None, Username: "u"}); err == nil {
		t.Error("a password without TLS can be configured")
	}
}

func TestARefusalTellsWhetherToTryAgain(t *testing.T) {
	for _, c := range []struct {
		verb, reply string
		code        int
		permanent   bool
	}{
		{"RCPT", "550 5.1.1 no such user", 550, true},
		{"RCPT", "451 greylisted", 451, false},
		{"MAIL", "552 too much", 552, true},
		{"DATA", "421 going down", 421, false},
	} {
		s := mailbox.Start(t, mailbox.Options{Reply: func(verb string) string {
			if verb == c.verb {
				return c.reply
			}
			return ""
		}})
		err := client(t, s, nil).Send(t.Context(), letter())
		if refusal, ok := errors.AsType[*mail.Refusal](err); !ok || refusal.Code != c.code || refusal.Permanent != c.permanent {
			t.Errorf("%s: %v", c.reply, err)
		}
		if len(s.Messages()) != 0 {
			t.Errorf("%s: the letter was taken", c.reply)
		}
	}
}

// What a hostile server says ends up in no list of ours as more than a line.
func TestAServerThatTalksWithoutEndIsCutOff(t *testing.T) {
	long := "550-" + strings.Repeat("x", 1000) + "\r\n"
	s := mailbox.Start(t, mailbox.Options{Reply: func(verb string) string {
		if verb == "RCPT" {
			return strings.Repeat(long, 2000) + "550 \x1b[31mend"
		}
		return ""
	}})
	err := client(t, s, nil).Send(t.Context(), letter())
	if err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.100v", err)
	}
	short := mailbox.Start(t, mailbox.Options{Reply: func(verb string) string {
		if verb == "RCPT" {
			return "550-\x1b[31m" + strings.Repeat("y", 500) + "\r\n550 end"
		}
		return ""
	}})
	err = client(t, short, nil).Send(t.Context(), letter())
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\r\n") || len(err.Error()) > 300 {
		t.Errorf("%q", err)
	}
}

func TestASlowServerIsNotWaitedForWithoutEnd(t *testing.T) {
	released := make(chan struct{})
	s := mailbox.Start(t, mailbox.Options{Delay: func(verb string) {
		if verb == "RCPT" {
			<-released
		}
	}})
	defer close(released)
	began := time.Now()
	err := client(t, s, func(c *mail.Config) { c.Timeout = 200 * time.Millisecond }).Send(t.Context(), letter())
	if _, refused := errors.AsType[*mail.Refusal](err); err == nil || refused || time.Since(began) > 3*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := client(t, s, nil).Send(ctx, letter()); err == nil {
		t.Error("sent, though nobody waits any more")
	}
}

func FuzzLettersThatAreSentAreOneLetter(f *testing.F) {
	f.Add("subject", "text", "<p>html</p>")
	f.Add("=?utf-8?q?x?=", "\r\n.\r\nMAIL FROM:<x>", "--=_\r\n")
	f.Fuzz(func(t *testing.T, subject, text, html string) {
		s := mailbox.Start(t, mailbox.Options{NoSTARTTLS: true})
		l := letter()
		l.Subject, l.Text, l.HTML = subject, text, html
		if err := client(t, s, func(c *mail.Config) { c.Security = mail.None }).Send(t.Context(), l); err != nil {
			return
		}
		got := s.Messages()
		if len(got) != 1 || got[0].To != l.To || len(got[0].Header) != 9 {
			t.Errorf("%d letters: %+v", len(got), got)
		}
	})
}
