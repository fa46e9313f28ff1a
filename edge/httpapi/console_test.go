package httpapi

import (
	"crypto/rand"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
)

var built = fstest.MapFS{
	".keep":                    {},
	"index.html":               {Data: []byte("<title>index</title>")},
	"index.html.gz":            {Data: []byte("index, gzipped")},
	"terminal.html":            {Data: []byte("<title>terminal</title>")},
	"favicon.svg":              {Data: []byte("<svg/>")},
	"assets/app-1a2b3c.js":     {Data: []byte("app()")},
	"assets/app-1a2b3c.js.br":  {Data: []byte("app, in brotli")},
	"assets/app-1a2b3c.js.gz":  {Data: []byte("app, gzipped")},
	"assets/face-1a2b3c.woff2": {Data: []byte("wOF2")},
}

// browse asks the console as a browser does; headers are pairs.
func browse(t *testing.T, files fs.FS, method, path string, headers ...string) *http.Response {
	t.Helper()
	a := New(Deps{Clock: clock.Real{}, IDs: ids.NewSource(clock.Real{}, rand.Reader), Log: slog.New(slog.DiscardHandler), Console: files})
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryPathOfThePagesIsAPage(t *testing.T) {
	for _, path := range []string{"/", "/safes", "/safes/saf_1?q=x", "/recordings", "/organization/members", "/share", "/terminals"} {
		r := browse(t, built, "GET", path)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/html; charset=utf-8" || r.Header.Get("Cache-Control") != "no-store" || text(t, r) != "<title>index</title>" {
			t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
		}
	}
	for _, path := range []string{"/terminal", "/terminal?safe=saf_1", "/terminal/ses_1"} {
		if r := browse(t, built, "GET", path); text(t, r) != "<title>terminal</title>" {
			t.Errorf("%s is not the terminal", path)
		}
	}
	if r := browse(t, built, "HEAD", "/safes"); r.StatusCode != 200 || r.Header.Get("Content-Length") != "20" || text(t, r) != "" {
		t.Errorf("HEAD: %d %v", r.StatusCode, r.Header)
	}
}

// Whoever mistypes a path of the API, or asks for what is not there, is told.
func TestWhatIsNotThePagesIsRefusedInTheEnvelope(t *testing.T) {
	for _, c := range []struct {
		method, path, accept string
		status               int
	}{
		{"GET", "/api/v2/safes", "text/html", 404},
		{"GET", "/api", "text/html", 404},
		{"GET", "/scim/v2/Users", "text/html", 404},
		{"GET", "/metrics", "text/html", 404},
		{"GET", "/assets/gone-1a2b3c.js", "text/html", 404},
		{"GET", "/assets/", "text/html", 404},
		{"GET", "/safes", "application/json", 404},
		{"GET", "/.keep", "*/*", 404},
		{"GET", "/assets/app-1a2b3c.js.gz", "*/*", 404},
		{"GET", "/..%2f..%2fetc/passwd", "*/*", 404},
		{"POST", "/", "text/html", 405},
		{"POST", "/safes", "text/html", 404},
		{"DELETE", "/assets/app-1a2b3c.js", "text/html", 404},
	} {
		r := browse(t, built, c.method, c.path, "Accept", c.accept)
		if r.StatusCode != c.status || r.Header.Get("Content-Type") != "application/json" || !strings.Contains(text(t, r), `"error":`) {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.StatusCode, r.Header.Get("Content-Type"))
		}
	}
}

func TestFilesAreServedOnceAndSmall(t *testing.T) {
	r := browse(t, built, "GET", "/assets/app-1a2b3c.js", "Accept", "*/*")
	if text(t, r) != "app()" || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || r.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" ||
		r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v", r.Header)
	}
	for _, c := range []struct{ accept, encoding, body string }{
		{"gzip, deflate, br, zstd", "br", "app, in brotli"},
		{"gzip;q=0.5, br;q=0", "gzip", "app, gzipped"},
		{"gzip", "gzip", "app, gzipped"},
		{"br; q=0.0, gzip; q=0", "", "app()"},
		{"brotli", "", "app()"},
	} {
		r := browse(t, built, "GET", "/assets/app-1a2b3c.js", "Accept-Encoding", c.accept)
		if r.Header.Get("Content-Encoding") != c.encoding || text(t, r) != c.body || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%s: %v", c.accept, r.Header)
		}
	}
	if r := browse(t, built, "GET", "/", "Accept-Encoding", "gzip"); r.Header.Get("Content-Encoding") != "gzip" {
		t.Error("the page itself is not compressed")
	}
	icon := browse(t, built, "GET", "/favicon.svg")
	if icon.Header.Get("Content-Type") != "image/svg+xml" || icon.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%v", icon.Header)
	}
	if again := browse(t, built, "GET", "/favicon.svg", "If-None-Match", icon.Header.Get("ETag")); again.StatusCode != 304 || text(t, again) != "" {
		t.Errorf("sent again: %d", again.StatusCode)
	}
}

// The documents may do what they need and nothing else.
func TestPagesAreHeldByTheirPolicy(t *testing.T) {
	const strict = "base-uri 'none'; connect-src 'self'; default-src 'none'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; img-src 'self' data:; " +
		"manifest-src 'self'; script-src 'self'; style-src 'self'"
	for _, path := range []string{"/", "/safes", "/recordings/rec_1" /* not built */} {
		r := browse(t, built, "GET", path)
		for name, want := range map[string]string{
			"Content-Security-Policy": strict, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": permissions,
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q", path, name, got)
			}
		}
	}
	if got := browse(t, built, "GET", "/terminal").Header.Get("Content-Security-Policy"); got != strict+" 'unsafe-inline'" {
		t.Errorf("the terminal: %s", got)
	}
	for _, p := range pages {
		for directive, sources := range p.more {
			for _, s := range sources {
				if !(directive == "style-src" && s == "'unsafe-inline'" && p.path != "") && !(directive == "script-src" && s == "'wasm-unsafe-eval'" && p.file == "player.html") {
					t.Errorf("%s may %s %s", p.file, directive, s)
				}
			}
		}
	}
}

func TestWithoutConsoleTheServerSaysHowToGetIt(t *testing.T) {
	for _, files := range []fs.FS{nil, fstest.MapFS{".keep": {}}} {
		r := browse(t, files, "GET", "/")
		if got := text(t, r); r.StatusCode != 200 || got != noConsole || strings.Count(got, "\n") != 1 || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%d %q", r.StatusCode, got)
		}
		if r := browse(t, files, "GET", "/safes"); r.StatusCode != 404 {
			t.Errorf("/safes: %d", r.StatusCode)
		}
	}
}

func TestResponseOfAProviderComesBackInThePage(t *testing.T) {
	files := fstest.MapFS{"index.html": {Data: []byte("<head><title>index</title></head>")}, "index.html.br": {Data: []byte("compressed")}}
	post := func(path, body string) *http.Response {
		a := New(Deps{Clock: clock.Real{}, IDs: ids.NewSource(clock.Real{}, rand.Reader), Log: slog.New(slog.DiscardHandler), Console: files})
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept-Encoding", "br")
		r.Header.Set("Origin", "https://idp.test")
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		return w.Result()
	}
	r := post("/login/callback/sso_1", "SAMLResponse=QUJD%2B%2F%3D%0D%0A&RelayState=state-1")
	if got := text(t, r); got != `<head><title>index</title><meta name="saml-response" content="QUJD+/="><meta name="saml-state" content="state-1"></head>` {
		t.Errorf("%s", got)
	}
	if csp := r.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") || r.Header.Get("Cache-Control") != "no-store" || len(r.Cookies()) != 0 {
		t.Errorf("%v", r.Header)
	}
	// Nothing but what a response can be made of gets into the page.
	for _, body := range []string{
		"SAMLResponse=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&RelayState=%22%3E%3Cscript%3E", "SAMLResponse=" + strings.Repeat("A", maxPosted+1), "", "SAMLResponse=QUJ%00D",
	} {
		if got := text(t, post("/login/callback/sso_1", body)); got != `<head><title>index</title><meta name="saml-response" content=""><meta name="saml-state" content=""></head>` {
			t.Errorf("%.60s: %.200s", body, got)
		}
	}
	if r := post("/login/callback/sso_1", "SAMLResponse="+strings.Repeat("A", maxBody)); r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", r.StatusCode)
	}
	for _, path := range []string{"/", "/login/callback/", "/login/callback/sso_1/x", "/login"} {
		if r := post(path, "SAMLResponse=QUJD"); r.StatusCode != http.StatusNotFound && r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
}
