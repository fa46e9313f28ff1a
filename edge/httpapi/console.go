package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

// page is one document of the console. A Content-Security-Policy belongs to a
// document, so what needs more than the others is a document of its own.
type page struct {
	file string
	path string              // a path.Match pattern of what it serves; "": all that no other does
	more map[string][]string // allowed beside sources: directive → sources
}

// pages is every document, and all that any of them may do beyond sources. One
// that was not built is served by index.html, as strictly as that.
var pages = []page{
	// The terminal and the player set styles on elements.
	{file: "terminal.html", path: "/terminal", more: map[string][]string{"style-src": {"'unsafe-inline'"}}},
	{file: "terminal.html", path: "/terminal/*", more: map[string][]string{"style-src": {"'unsafe-inline'"}}},
	// The player's terminal is WebAssembly.
	{file: "player.html", path: "/recordings/*", more: map[string][]string{"style-src": {"'unsafe-inline'"}, "script-src": {"'wasm-unsafe-eval'"}}},
	{file: "index.html"},
}

// sources is what every document may load: nothing but this server's own files
// and API. Data URLs are for pictures alone.
var sources = map[string][]string{
	"default-src":     {"'none'"},
	"script-src":      {"'self'"},
	"style-src":       {"'self'"},
	"img-src":         {"'self'", "data:"},
	"font-src":        {"'self'"},
	"connect-src":     {"'self'"},
	"manifest-src":    {"'self'"},
	"base-uri":        {"'none'"},
	"form-action":     {"'self'"},
	"frame-ancestors": {"'none'"},
}

func (p page) csp() string {
	var out []string
	for _, directive := range slices.Sorted(maps.Keys(sources)) {
		out = append(out, directive+" "+strings.Join(append(slices.Clone(sources[directive]), p.more[directive]...), " "))
	}
	return strings.Join(out, "; ")
}

// permissions turns off what no page needs, so that nothing injected into one
// can ask for it.
const permissions = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), geolocation=(), gyroscope=(), hid=(), " +
	"idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()"

// noConsole is the answer at / of a binary that was built without Node.js.
const noConsole = "This binary was built without the web console: run `make build` with Node.js 20 or newer to get it. The API reference is at /api/v1/docs.\n"

// mediaTypes are those of the files that a build makes; the system's own table
// differs from machine to machine.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": "application/json", ".webmanifest": "application/manifest+json", ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon",
	".woff2": "font/woff2", ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8", ".map": "application/json",
}

// encodings are those in which a file may lie beside itself, the best first.
var encodings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

// console serves the built files. It is nil when there are none.
type console struct {
	files fs.FS
	etags map[string]string // every file that may be asked for
}

func newConsole(files fs.FS) *console {
	if files == nil {
		return nil
	}
	if _, err := fs.Stat(files, "index.html"); err != nil {
		return nil
	}
	c := &console{files: files, etags: map[string]string{}}
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || mediaTypes[path.Ext(name)] == "" {
			return err
		}
		content, err := fs.ReadFile(files, name)
		sum := sha256.Sum256(content)
		c.etags[name] = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		return err
	})
	return c
}

// notConsole are the first parts of paths that are none of the console's:
// whoever mistypes one wants to be told, not to get a page.
var notConsole = []string{"api", "scim", "healthz", "readyz", "metrics", "assets"}

// serveConsole answers what is the console's; false for what is not.
func (a *API) serveConsole(w http.ResponseWriter, r *http.Request) bool {
	if !reads(r) {
		return false
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	c := a.console
	if c == nil {
		if name != "" {
			return false
		}
		callOf(r.Context()).route = "/"
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, noConsole)
		}
		return true
	}
	if _, ok := c.etags[name]; ok && path.Ext(name) != ".html" {
		callOf(r.Context()).route = "/assets"
		c.file(w, r, name)
		return true
	}
	first, _, _ := strings.Cut(name, "/")
	if slices.Contains(notConsole, first) || name != "" && !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return false
	}
	callOf(r.Context()).route = "/"
	c.document(w, r)
	return true
}

// document serves the page of a path, whatever else the path says: the page
// itself finds out.
func (c *console) document(w http.ResponseWriter, r *http.Request) {
	clean := path.Clean(r.URL.Path)
	for _, p := range pages {
		ok, _ := path.Match(p.path, clean)
		if _, built := c.etags[p.file]; !built || !ok && p.path != "" {
			continue
		}
		p.headers(w.Header())
		c.write(w, r, p.file)
		return
	}
}

func (p page) headers(h http.Header) {
	h.Set("Content-Security-Policy", p.csp())
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
}

// file serves what documents load. A name with a hash in it is that content
// for ever.
func (c *console) file(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	h.Set("ETag", c.etags[name])
	if r.Header.Get("If-None-Match") == c.etags[name] {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	c.write(w, r, name)
}

func (c *console) write(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	h.Set("Content-Type", mediaTypes[path.Ext(name)])
	h.Set("Vary", "Accept-Encoding")
	f, encoding := c.open(name, r.Header.Get("Accept-Encoding"))
	if f == nil {
		writeError(w, &apiError{status: http.StatusNotFound, code: "NOT_FOUND", message: "There is nothing here."})
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, f)
	}
}

// open opens a file, compressed if that lies beside it and is accepted.
func (c *console) open(name, accept string) (f fs.File, encoding string) {
	for _, e := range encodings {
		if accepts(accept, e.name) {
			if f, err := c.files.Open(name + e.suffix); err == nil {
				return f, e.name
			}
		}
	}
	f, err := c.files.Open(name)
	if err != nil {
		return nil, ""
	}
	return f, ""
}

// accepts reads Accept-Encoding (RFC 9110 section 12.5.3); a weight of zero is
// a no.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) != encoding {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		v, err := strconv.ParseFloat(q, 64)
		return !found || err == nil && v > 0
	}
	return false
}
