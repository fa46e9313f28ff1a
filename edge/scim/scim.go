// Package scim is SCIM 2.0 under /scim/v2 (RFC 7643, RFC 7644): how directories
// such as Entra ID and Okta say who is in an organization.
//
// It owns the protocol: filters, paths, PATCH, pages, versions and errors. It
// must not decide what a directory may do: it says which one asks and lets
// pam/provisioning decide. Start at [Handler.routes].
package scim

import (
	"context"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"vaultpam/edge"
	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/provisioning"
)

// Limits on what a directory sends. A group of ten thousand is a body of about
// a megabyte and a half.
const (
	maxBody = 4 << 20
	maxBusy = 8 // requests of one organization at a time: each may need memory or look at many

	root      = "/scim/v2"
	mediaType = "application/scim+json"
)

// Deps is what a Handler works with.
type Deps struct {
	Provisioning *provisioning.Service
	URL          func() string // under which the server is reached, without a slash at its end
	Sealed       func() bool
	Proxies      edge.Proxies
	Limiter      *edge.RateLimiter // nil limits nothing
	HSTS         bool              // the listener speaks TLS
	Clock        clock.Clock
	IDs          *ids.Source
	Log          *slog.Logger
	Observe      func(route, method string, status int, took time.Duration)
}

// Handler serves /scim/v2. It is safe for concurrent use.
type Handler struct {
	Deps
	mux *http.ServeMux

	mu   sync.Mutex // guards busy
	busy map[pam.OrgID]int
}

// New makes a Handler.
func New(d Deps) *Handler {
	h := &Handler{Deps: d, mux: http.NewServeMux(), busy: map[pam.OrgID]int{}}
	h.routes()
	return h
}

// Serves says whether a path is one of SCIM's.
func Serves(path string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// request is one request of a directory.
type request struct {
	*http.Request
	id    string
	route string
	feed  provisioning.Feed
	query url.Values
}

// answer is what a request came to; a nil body is 204.
type answer struct {
	status        int
	body          any
	tag, location string
}

func (h *Handler) routes() {
	for pattern, serve := range map[string]func(context.Context, *request) (answer, error){
		"GET /ServiceProviderConfig": h.config,
		"GET /ResourceTypes":         h.resourceTypes,
		"GET /ResourceTypes/{id}":    h.resourceType,
		"GET /Schemas":               h.schemas,
		"GET /Schemas/{id}":          h.schema,

		"GET /Users":          h.listUsers,
		"POST /Users":         h.postUser,
		"POST /Users/.search": h.searchUsers,
		"GET /Users/{id}":     h.getUser,
		"PUT /Users/{id}":     h.putUser,
		"PATCH /Users/{id}":   h.patchUser,
		"DELETE /Users/{id}":  h.deleteUser,

		"GET /Groups":          h.listGroups,
		"POST /Groups":         h.postGroup,
		"POST /Groups/.search": h.searchGroups,
		"GET /Groups/{id}":     h.getGroup,
		"PUT /Groups/{id}":     h.putGroup,
		"PATCH /Groups/{id}":   h.patchGroup,
		"DELETE /Groups/{id}":  h.deleteGroup,

		"POST /.search": h.searchAll,
		"GET /{$}":      h.listAll,
		"POST /Bulk":    h.unsupported,
		"/Me":           h.unsupported,
	} {
		method, path, found := strings.Cut(pattern, " ")
		if !found {
			method, path = "", pattern
		} else {
			method += " "
		}
		h.mux.Handle(method+root+path, h.serve(root+path, serve))
	}
	h.mux.Handle("/", h.serve("", h.notRouted))
}

type routeKey struct{}

// ServeHTTP gives the request its log line.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	q := &request{id: h.IDs.New("rid_")}
	rec := &recorder{ResponseWriter: w}
	hd := w.Header()
	hd.Set("X-Request-Id", q.id)
	hd.Set("X-Content-Type-Options", "nosniff")
	hd.Set("Cache-Control", "no-store")
	hd.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if h.HSTS {
		hd.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
	if r.ContentLength > maxBody || len(r.TransferEncoding) > 0 {
		hd.Set("Connection", "close") // as the API does
	}
	r.Body = http.MaxBytesReader(rec, r.Body, maxBody)
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			h.Log.Error("SCIM request panicked", "request_id", q.id, "panic", p, "stack", string(debug.Stack()))
			if rec.status == 0 {
				writeProblem(rec, &problemError{status: http.StatusInternalServerError, detail: "Something went wrong on our side."})
			}
		}
		took := time.Since(start)
		if h.Observe != nil {
			h.Observe(q.route, r.Method, rec.status, took)
		}
		h.Log.Info("request", "request_id", q.id, "method", r.Method, "route", q.route, "status", rec.status, "duration_us", took.Microseconds(),
			"from", h.Proxies.ClientAddr(r).String(), "scim_token", q.feed.Actor.TokenID, "org", string(q.feed.Actor.Org))
	}()
	h.mux.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), routeKey{}, q)))
}

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// serve is the door of every route: seal, token, limits, media type, query.
func (h *Handler) serve(route string, serve func(context.Context, *request) (answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.Context().Value(routeKey{}).(*request)
		q.Request, q.route = r, route
		a, err := func() (answer, error) {
			if err := h.enter(w, q); err != nil {
				return answer{}, err
			}
			leave, err := h.begin(w, q.feed.Actor.Org)
			if err != nil {
				return answer{}, err
			}
			defer leave()
			return serve(r.Context(), q)
		}()
		if err != nil {
			h.refuse(w, q, err)
			return
		}
		if a.tag != "" {
			w.Header().Set("ETag", a.tag)
			if (r.Method == http.MethodGet || r.Method == http.MethodHead) && tagIn(r.Header.Get("If-None-Match"), a.tag) {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		if a.location != "" {
			w.Header().Set("Location", a.location)
		}
		if a.body == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		write(w, a.status, a.body)
	})
}

func (h *Handler) refuse(w http.ResponseWriter, q *request, err error) {
	p, internal := problemOf(err)
	if internal {
		h.Log.Error("SCIM request failed", "request_id", q.id, "route", q.route, "error", err)
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="scim"`)
	}
	writeProblem(w, p)
}

func (h *Handler) enter(w http.ResponseWriter, q *request) error {
	if h.Sealed() {
		return &pam.Error{Kind: pam.Sealed, Op: "enter"}
	}
	for _, name := range []string{"Authorization", "Content-Type", "If-Match", "If-None-Match"} {
		if len(q.Header.Values(name)) > 1 {
			return pam.Errorf(pam.BadRequest, "read headers", "The header %s is there more than once.", name)
		}
	}
	from := h.Proxies.ClientAddr(q.Request)
	bearer, _ := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	feed, err := h.Provisioning.Authenticate(q.Context(), bearer, from, q.id)
	if pam.Is(err, pam.Unauthenticated) { // who guesses is slowed down by address
		if limited := h.take(w, edge.LimitIP, edge.Source(from)); limited != nil {
			return limited
		}
	}
	if err != nil {
		return err
	}
	q.feed = feed
	if err := h.take(w, edge.LimitSCIM, feed.Actor.TokenID); err != nil {
		return err
	}
	if err := checkMediaType(q.Request); err != nil {
		return err
	}
	q.query, err = url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return pam.Errorf(pam.BadRequest, "read query", "The query cannot be decoded.")
	}
	for name, values := range q.query {
		if len(values) > 1 {
			return badValue(strconv.QuoteToASCII(name), "is there more than once")
		}
	}
	return nil
}

// begin counts a request under way, so that no organization's directories hold
// the server up for others. leave ends it.
func (h *Handler) begin(w http.ResponseWriter, org pam.OrgID) (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[org] >= maxBusy {
		w.Header().Set("Retry-After", "1")
		return nil, pam.Errorf(pam.TooMany, "begin", "Too many requests at a time. Retry after 1 second.")
	}
	h.busy[org]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.busy[org]--; h.busy[org] == 0 {
			delete(h.busy, org)
		}
	}, nil
}

func (h *Handler) take(w http.ResponseWriter, c edge.Category, key string) error {
	rate, ok := h.Limiter.Take(c, key)
	if rate.Limit > 0 {
		w.Header().Set("X-Ratelimit-Limit", strconv.Itoa(rate.Limit))
		w.Header().Set("X-Ratelimit-Remaining", strconv.Itoa(rate.Remaining))
		w.Header().Set("X-Ratelimit-Reset", strconv.FormatInt(rate.Reset.Unix(), 10))
	}
	if ok {
		return nil
	}
	seconds := max(1, int(rate.Reset.Sub(h.Clock.Now()).Round(time.Second)/time.Second))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return pam.Errorf(pam.TooMany, "take", "Too many requests. Retry after %d seconds.", seconds)
}

func checkMediaType(r *http.Request) error {
	if r.ContentLength == 0 || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete {
		return nil
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != mediaType && media != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return &pam.Error{Kind: pam.Unsupported, Op: "check media type"}
	}
	return nil
}

// body reads a JSON object.
func (q *request) body() (resource, error) {
	text, err := io.ReadAll(q.Body)
	if err != nil {
		if p, _ := problemOf(err); p.status == http.StatusRequestEntityTooLarge {
			return nil, err
		}
		return nil, &pam.Error{Kind: pam.BadRequest, Op: "read body", Err: err}
	}
	return decode(text)
}

// tagIn says whether a list of entity tags names tag (RFC 9110 section 13.1).
// All of ours are weak.
func tagIn(list, tag string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "*" || strings.TrimPrefix(item, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// ifMatch is the version that a change is about: "" for whatever is there.
func (q *request) ifMatch() string {
	tag := strings.TrimSpace(q.Header.Get("If-Match"))
	if tag == "" || tag == "*" {
		return ""
	}
	tag = strings.Trim(strings.TrimPrefix(tag, "W/"), `"`)
	if tag == "" {
		return "none"
	}
	return tag
}

// groupVersion is ifMatch for groups, whose versions are numbers; 0 is for
// whatever is there, and no group has the version -1.
func (q *request) groupVersion() int64 {
	tag := q.ifMatch()
	if tag == "" {
		return 0
	}
	n, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || n < 1 {
		return -1
	}
	return n
}

// unsupported answers what section 3.7 and 3.11 leave to us.
func (h *Handler) unsupported(context.Context, *request) (answer, error) {
	return answer{}, &problemError{status: http.StatusNotImplemented, detail: "This is not supported."}
}

// notRouted answers 405 where the path exists with another method, else 404.
func (h *Handler) notRouted(_ context.Context, q *request) (answer, error) {
	var allowed []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe := &http.Request{Method: m, URL: &url.URL{Path: q.URL.Path}, Host: q.Host}
		if _, pattern := h.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 {
		return answer{}, &pam.Error{Kind: pam.NotFound, Op: "route"}
	}
	return answer{}, &problemError{status: http.StatusMethodNotAllowed, detail: "This path does not take that method.", allow: strings.Join(allowed, ", ")}
}
