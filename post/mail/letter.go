package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Letter is one message to one person, as text and as HTML.
type Letter struct {
	ID       string // becomes the Message-ID: the same letter sent twice has one
	To       string // an address without a name
	Subject  string
	Text     string
	HTML     string
	Language string // a tag such as "de"
	Date     time.Time
}

// isControl finds what ends a header or hides in one.
func isControl(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// check refuses a letter whose parts could become headers, or that goes to
// anybody but one plain address.
func (l Letter) check() error {
	to, err := mail.ParseAddress(l.To)
	if err != nil || to.Address != l.To || to.Name != "" || strings.ContainsFunc(l.To, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &Refusal{Permanent: true, Text: "the recipient is not an e-mail address"}
	}
	for name, value := range map[string]string{"id": l.ID, "subject": l.Subject, "language": l.Language} {
		if !utf8.ValidString(value) || strings.ContainsFunc(value, isControl) {
			return &Refusal{Permanent: true, Text: "the " + name + " of the letter holds what no header may"}
		}
	}
	if !utf8.ValidString(l.Text) || !utf8.ValidString(l.HTML) {
		return &Refusal{Permanent: true, Text: "the letter is not text"}
	}
	return nil
}

// write makes the message that is sent (RFC 5322; RFC 2046 section 5.1.4).
func (c *Client) write(l Letter) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(c.from.Address, "@")
	// What neither text can hold: it is of both.
	sum := sha256.Sum256([]byte(l.ID + "\x00" + l.Text + "\x00" + l.HTML))
	boundary := "=_" + hex.EncodeToString(sum[:16])
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("From", c.from.String())
	header("To", "<"+l.To+">")
	header("Subject", mime.QEncoding.Encode("utf-8", l.Subject))
	header("Date", l.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 +0000"))
	header("Message-ID", "<"+l.ID+"@"+domain+">")
	header("Auto-Submitted", "auto-generated") // RFC 3834: nobody's absence note comes back
	if l.Language != "" {
		header("Content-Language", l.Language)
	}
	header("MIME-Version", "1.0")
	header("Content-Type", `multipart/alternative; boundary="`+boundary+`"`)
	for _, part := range []struct{ kind, body string }{{"plain", l.Text}, {"html", l.HTML}} {
		fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary, part.kind)
		w := quotedprintable.NewWriter(&b)
		if _, err := w.Write([]byte(strings.ReplaceAll(part.body, "\n", "\r\n"))); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	return b.Bytes(), nil
}
