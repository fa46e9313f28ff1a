package outbox

import (
	"context"
	"embed"
	"encoding/json"
	"html"
	"slices"
	"strings"

	"vaultpam/pam"
)

// Languages are those that letters are written in; the first is for everybody
// who has said nothing.
var Languages = []string{"en", "de", "fr", "pl"}

// Language is l if letters are written in it, else the first.
func Language(l string) string {
	if slices.Contains(Languages, l) {
		return l
	}
	return Languages[0]
}

//go:embed letters.*.json
var letterFiles embed.FS

// words is one letter in one language. In them {org}, {by}, {role}, {about}, {why},
// {link} and {until} stand for what differs.
type words struct {
	Subject    string   `json:"subject"`
	Paragraphs []string `json:"paragraphs"` // before the link
	Action     string   `json:"action"`     // the link's text
	After      []string `json:"after"`
}

// dictionary is all letters in one language.
type dictionary struct {
	Letters map[string]words  `json:"letters"`
	Roles   map[string]string `json:"roles"`
	Until   string            `json:"until"` // how a time is written, for time.Format
}

var dictionaries = func() map[string]dictionary {
	m := map[string]dictionary{}
	for _, l := range Languages {
		text, err := letterFiles.ReadFile("letters." + l + ".json")
		var d dictionary
		if err == nil {
			err = json.Unmarshal(text, &d)
		}
		if err != nil {
			panic("outbox: letters in " + l + ": " + err.Error())
		}
		m[l] = d
	}
	return m
}()

// CanMail says whether letters leave this server at all.
func (s *Service) CanMail() bool { return s.Channels[Mail] != nil }

// Letter writes a letter, for the store to keep in the transaction of its act.
// It is Unavailable where no letter leaves this server.
func (s *Service) Letter(ctx context.Context, l pam.Letter) (pam.Outgoing, error) {
	if !s.CanMail() {
		return pam.Outgoing{}, pam.Errorf(pam.Unavailable, "write letter", "This server sends no e-mail: its operator has to set smtp-address first.")
	}
	return s.message(ctx, pam.Outgoing{Org: l.Org, Channel: Mail, Kind: l.Kind, Object: l.Object, To: l.To}, content(l))
}

// content puts a letter into words. What comes from people is put in as it is
// into the text, and escaped into the HTML; nothing of it is looked at for
// placeholders again.
func content(l pam.Letter) Content {
	lang := Language(l.Language)
	d := dictionaries[lang]
	w := d.Letters[l.Kind]
	values := func(escape func(string) string) *strings.Replacer {
		return strings.NewReplacer("{org}", escape(l.OrgName), "{by}", escape(l.By), "{role}", escape(d.Roles[string(l.Role)]), "{about}", escape(l.About), "{why}", escape(l.Why), "{until}", escape(l.Until.UTC().Format(d.Until)))
	}
	plain, escaped := values(oneLine), values(func(s string) string { return html.EscapeString(oneLine(s)) })
	var text, page strings.Builder
	page.WriteString(`<!DOCTYPE html><html lang="` + lang + `"><head><meta charset="utf-8"></head><body style="font-family:sans-serif;line-height:1.5;max-width:36em">` + "\n")
	paragraph := func(p string) {
		text.WriteString(plain.Replace(p) + "\n\n")
		page.WriteString("<p>" + escaped.Replace(html.EscapeString(p)) + "</p>\n")
	}
	for _, p := range w.Paragraphs {
		paragraph(p)
	}
	link := string(l.Link.Expose())
	text.WriteString(w.Action + ":\n" + link + "\n\n")
	page.WriteString(`<p><a href="` + html.EscapeString(link) + `">` + html.EscapeString(w.Action) + "</a></p>\n")
	for _, p := range w.After {
		paragraph(p)
	}
	page.WriteString("</body></html>\n")
	return Content{Subject: plain.Replace(w.Subject), Text: strings.TrimSpace(text.String()) + "\n", HTML: page.String(), Language: lang}
}

// oneLine keeps a name on its line.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
