package httpapi

import (
	"bytes"
	"html"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
)

// A provider of SAML has its own page post the response to us, from another
// site: no cookie of ours comes with it, and none should. So nothing is decided
// here. The console's document goes back with the response in it, and asks the
// API, as a page of this site, with the cookie. There is no script in the
// document but the console's own.

var (
	postedResponse = regexp.MustCompile(`^[A-Za-z0-9+/=]+$`)
	postedState    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// maxPosted is what the API takes.
const maxPosted = 400_000

// servePosted answers a response of SAML; false for what is none.
func (a *API) servePosted(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(path.Clean(r.URL.Path), "/login/callback/")
	if !ok || r.Method != http.MethodPost || strings.Contains(rest, "/") || a.console == nil {
		return false
	}
	callOf(r.Context()).route = "/login/callback/{provider}"
	response, state := "", ""
	if err := r.ParseForm(); err != nil {
		writeError(w, fromError(err))
		return true
	}
	if text := strings.Join(strings.Fields(r.PostForm.Get("SAMLResponse")), ""); len(text) <= maxPosted && postedResponse.MatchString(text) {
		response = text
	}
	if text := r.PostForm.Get("RelayState"); postedState.MatchString(text) {
		state = text
	}
	f, err := a.console.files.Open("index.html")
	if err != nil {
		writeError(w, fromError(err))
		return true
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		writeError(w, fromError(err))
		return true
	}
	carried := `<meta name="saml-response" content="` + html.EscapeString(response) + `"><meta name="saml-state" content="` + html.EscapeString(state) + `"></head>`
	index := pages[len(pages)-1]
	index.headers(w.Header())
	w.Header().Set("Content-Type", mediaTypes[".html"])
	_, _ = w.Write(bytes.Replace(text, []byte("</head>"), []byte(carried), 1))
	return true
}
