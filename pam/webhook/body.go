package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// told is an event as somebody is told of it.
type told struct {
	audit.Entry
	line []byte // the event as an export writes it: JSON, the same members as the API gives
}

// body is what is sent, in the webhook's form.
func (s *Service) body(w Webhook, e told) ([]byte, error) {
	switch w.Format {
	case Slack:
		return encode(map[string]any{"text": s.slackText(e.Entry), "unfurl_links": false, "unfurl_media": false})
	case Teams:
		return encode(s.card(e.Entry))
	default:
		return encode(map[string]any{"type": string(e.Type), "timestamp": e.Time.UTC().Format(time.RFC3339Nano), "data": json.RawMessage(e.line)})
	}
}

// encode writes JSON without escapes for HTML, which no receiver needs.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// header is what goes with a body: of the format standard, the signatures by
// the key and by the one before (Standard Webhooks 1.0.0, "Signature scheme").
func header(t target, event pam.EventID, now time.Time, body []byte) http.Header {
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	if len(t.Key) == 0 {
		return h
	}
	at := strconv.FormatInt(now.Unix(), 10)
	signatures := []string{signature(t.Key, event, at, body)}
	if len(t.Previous) > 0 && now.Before(t.PreviousEnd) {
		signatures = append(signatures, signature(t.Previous, event, at, body))
	}
	h.Set("Webhook-Id", string(event))
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
	return h
}

func signature(key []byte, event pam.EventID, at string, body []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(string(event) + "." + at + "."))
	m.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// facts are what a person wants to know at once. Names in them come from
// anybody: they stay on their line, and are not markup.
func facts(e audit.Entry) [][2]string {
	out := [][2]string{{"Who", named(e.Actor)}, {"What", named(e.Target)}}
	for _, f := range []struct{ label, key string }{{"Safe", "safe_name"}, {"Reason", "reason"}, {"Ticket", "ticket"}} {
		if text, _ := e.Metadata[f.key].(string); text != "" {
			out = append(out, [2]string{f.label, oneLine(text)})
		}
	}
	if e.SourceIP != "" {
		out = append(out, [2]string{"From", e.SourceIP})
	}
	return append(out, [2]string{"When", e.Time.UTC().Format("2006-01-02 15:04:05 UTC")})
}

func named(p audit.Party) string {
	if p.Name == "" {
		return oneLine(p.ID)
	}
	return oneLine(p.Name)
}

const longest = 300 // characters of a name or reason

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return text
}

func heading(e audit.Entry) string {
	spec, _ := audit.SpecOf(e.Type)
	return spec.Title
}

// link is where the console shows more: what is to be decided, or the event.
func (s *Service) link(e audit.Entry) string {
	if e.Type == audit.UserAccessRequestCreated {
		return s.URL() + "/approvals/" + e.Target.ID
	}
	return s.URL() + "/audit/" + string(e.ID)
}

// slackEscapes are the three characters that begin markup in a message:
// mentions and links (Slack, "Formatting text for app surfaces", escaping).
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (s *Service) slackText(e audit.Entry) string {
	var b strings.Builder
	b.WriteString("*" + slackEscapes.Replace(heading(e)) + "*\n")
	for _, f := range facts(e) {
		b.WriteString(f[0] + ": " + slackEscapes.Replace(f[1]) + "\n")
	}
	b.WriteString("<" + s.link(e) + "|Open VaultPAM>")
	return b.String()
}

// card is an Adaptive Card 1.4. Its text stands in text runs, in which no
// markup is read.
func (s *Service) card(e audit.Entry) map[string]any {
	line := func(runs ...map[string]any) map[string]any {
		return map[string]any{"type": "RichTextBlock", "spacing": "small", "inlines": runs}
	}
	run := func(text, weight string) map[string]any {
		return map[string]any{"type": "TextRun", "text": text, "weight": weight}
	}
	body := []map[string]any{line(run(heading(e), "bolder"))}
	for _, f := range facts(e) {
		body = append(body, line(run(f[0]+": ", "bolder"), run(f[1], "default")))
	}
	return map[string]any{"type": "message", "attachments": []map[string]any{{
		"contentType": "application/vnd.microsoft.card.adaptive",
		"content": map[string]any{
			"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body,
			"actions": []map[string]any{{"type": "Action.OpenUrl", "title": "Open VaultPAM", "url": s.link(e)}},
		},
	}}}
}
