// Package httpapi is the REST API under /api/v1.
//
// It owns the route table, the shapes of requests and answers, and the one
// place that turns kinds of errors into statuses. It must not decide who may
// do what: it says who asks and lets the services decide. Start at routes.go.
package httpapi

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vaultpam/edge"
	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/account"
	"vaultpam/pam/audit"
	"vaultpam/pam/broker"
	"vaultpam/pam/checkout"
	"vaultpam/pam/confirmation"
	"vaultpam/pam/group"
	"vaultpam/pam/identity"
	"vaultpam/pam/invitation"
	"vaultpam/pam/lease"
	"vaultpam/pam/org"
	"vaultpam/pam/outbox"
	"vaultpam/pam/provisioning"
	"vaultpam/pam/recording"
	"vaultpam/pam/request"
	"vaultpam/pam/resource"
	"vaultpam/pam/review"
	"vaultpam/pam/rotation"
	"vaultpam/pam/rulebook"
	"vaultpam/pam/safe"
	"vaultpam/pam/session"
	"vaultpam/pam/sshca"
	"vaultpam/pam/sso"
	"vaultpam/pam/stats"
	"vaultpam/pam/webhook"
)

// Deps is what the API serves.
type Deps struct {
	Version       string
	Clock         clock.Clock
	IDs           *ids.Source
	Log           *slog.Logger
	Proxies       edge.Proxies
	Limiter       *edge.RateLimiter // nil limits nothing
	HSTS          bool              // the listener speaks TLS
	PublicURL     string            // under which people reach the server, if it was said
	Console       fs.FS             // the built web console; nil without one
	Identity      *identity.Service
	Orgs          *org.Service
	Groups        *group.Service
	Invitations   *invitation.Service
	SSO           *sso.Service
	Provisioning  *provisioning.Service
	Safes         *safe.Service
	Resources     *resource.Service
	Accounts      *account.Service
	Imports       *account.Importer
	Checkouts     *checkout.Service
	Confirmations *confirmation.Service
	Policies      *rulebook.Service
	Reviews       *review.Service
	Requests      *request.Service
	Sessions      *session.Service
	Recordings    *recording.Service
	Audit         *audit.Log
	Stats         *stats.Service
	Webhooks      *webhook.Service
	Outbox        *outbox.Service
	Broker        *broker.Broker
	Rotations     *rotation.Service
	SSHCA         *sshca.Service
	Leases        *lease.Service
	Terminal      Terminal
	Vault         Vault
	Idempotency   Idempotency
	Labels        Labels
	DigestKey     secret.Value                      // of what is kept of requests with an Idempotency-Key
	SSHCommand    func(email, target string) string // the command line for a native client
	Ready         func(context.Context) map[string]error
	Metrics       http.Handler // nil: /metrics is not served here
	Observe       func(route, method string, status int, took time.Duration)
}

// Vault is what the API asks of the vault. Sealing and unsealing write their
// own events.
type Vault interface {
	Status() VaultStatus
	Seal(ctx context.Context, a pam.Actor) error
	// Unseal adds a share, if there is one, after dropping those that were given
	// before, if reset says so; and opens the vault if that is enough.
	Unseal(ctx context.Context, c identity.Client, share secret.Value, reset bool) error
	KeyRotations // vaultkeys.go
}

// VaultStatus says whether secrets can be reached.
type VaultStatus struct {
	Sealed, Initialized bool
	SealKind            string

	Threshold, Shares, Progress int // where people open it together; else 0
}

// Idempotency keeps the answers of POST requests that carry a key.
type Idempotency interface {
	// Reserve claims key for one request. It returns the answer when an equal
	// request has finished, an Error of kind Conflict while one is under way,
	// and one of kind Invalid when the body was another.
	Reserve(ctx context.Context, key, bodyHash string, expires time.Time) (*pam.IdempotentAnswer, error)
	Complete(ctx context.Context, key string, a pam.IdempotentAnswer) error
	Release(ctx context.Context, key string) error
}

// Limits on what a client sends.
const (
	maxBody     = 1 << 20
	maxHeader   = 32 << 10
	bodyTimeout = 10 * time.Second
	keyLifetime = 24 * time.Hour // of an Idempotency-Key
	maxKeySize  = 255            // bytes of an Idempotency-Key

	writeTimeout = time.Minute // for an answer, or for each part of a stream
)

// API serves requests. It is safe for concurrent use.
type API struct {
	Deps
	mux     *http.ServeMux
	huma    huma.API
	console *console
}

// jsonFormat writes as encoding/json does and reads what is unambiguous.
var jsonFormat = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}

// New builds the handler of everything below /api/, of /healthz and /readyz,
// and of the console at all other paths.
func New(d Deps) *API {
	a := &API{Deps: d, mux: http.NewServeMux(), console: newConsole(d.Console)}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		e := newError(status, message, errs...)
		e.extra.RequestID = callOf(ctx.Context()).id
		return e
	}
	// The document takes the shape of errors from this one.
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return newError(status, message, errs...)
	}
	huma.ValidateStrictCasing = true  // "Name" is not "name"
	huma.DefaultArrayNullable = false // a list is empty, never null
	cfg := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "VaultPAM", Version: d.Version, Description: "Privileged access: who may reach what, the reaching, and the proof of it."},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer": {Type: "http", Scheme: "bearer"},
					"cookie": {Type: "apiKey", In: "cookie", Name: cookieName, Description: "The console's login. Every method but GET and HEAD needs the X-CSRF-Token of /auth/cookie as well."},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat:                "application/json",
		NoFormatFallback:             false,
		RejectUnknownQueryParameters: true,
	}
	a.huma = humago.New(a.mux, cfg)
	a.routes()
	a.mux.HandleFunc("GET /api/v1/openapi.json", a.openAPI())
	a.mux.HandleFunc("GET /api/v1/docs", a.reference())
	a.mux.HandleFunc("GET /api/v1/docs.css", a.style)
	a.mux.HandleFunc("GET /healthz", a.healthz)
	a.mux.HandleFunc("GET /readyz", a.readyz)
	if d.Metrics != nil {
		a.mux.Handle("GET /metrics", d.Metrics)
	}
	a.mux.HandleFunc("/", a.notRouted)
	return a
}

// Server returns an http.Server with the limits that this API needs.
func (a *API) Server() *http.Server {
	return &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(a.Log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP gives the request an id, its limits and its log line.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := &call{id: a.IDs.New("rid_"), from: a.Proxies.ClientAddr(r), userAgent: r.UserAgent()}
	rw := &response{ResponseWriter: w, call: c}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	if r.ContentLength > maxBody || len(r.TransferEncoding) > 0 {
		// Answered before anything is read; the rest of the body is not wanted.
		// A body in chunks may have come with a Content-Length, by which a proxy
		// may have taken what follows for a part of it (RFC 9112 section 6.3).
		rw.Header().Set("Connection", "close")
	}
	r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
	securityHeaders(rw.Header(), a.HSTS)
	rw.Header().Set("X-Request-Id", c.id)
	defer func() {
		aborted := false
		if p := recover(); p == http.ErrAbortHandler {
			aborted = true
		} else if p != nil {
			a.Log.Error("request panicked", "request_id", c.id, "panic", p, "stack", stack())
			if !rw.wrote {
				writeError(rw, &apiError{status: http.StatusInternalServerError, code: "INTERNAL", message: "Something went wrong on our side."})
			}
		}
		took := time.Since(start)
		if !rw.upgraded.IsZero() { // a WebSocket's life is not the time that an answer took
			took = rw.upgraded.Sub(start)
		}
		if a.Observe != nil {
			a.Observe(c.route, r.Method, rw.status, took)
		}
		level := slog.LevelInfo
		if c.route == "/healthz" || c.route == "/readyz" {
			level = slog.LevelDebug
		}
		if a.Log.Enabled(r.Context(), level) {
			a.Log.Log(r.Context(), level, "request", "request_id", c.id, "method", r.Method, "route", c.route, "status", rw.status,
				"duration_us", took.Microseconds(), "from", c.from.String(), "user", string(c.actor.User), "org", string(c.actor.Org))
		}
		if aborted {
			panic(http.ErrAbortHandler)
		}
	}()
	if strings.HasPrefix(r.URL.Path, "/api/") && !a.take(rw, c, edge.LimitIP, edge.Source(c.from)) {
		return
	}
	a.mux.ServeHTTP(rw, r)
	if c.broken {
		// Only an aborted connection tells the client that a part is missing.
		panic(http.ErrAbortHandler)
	}
}

// call is what is known of the request under way. It is private to this
// package: everything further in gets the actor as an argument.
type call struct {
	id        string
	from      netip.Addr
	userAgent string
	route     string
	actor     pam.Actor
	token     string // that the actor came with, as bearer or by cookie
	console   bool   // it came by cookie
	rate      edge.Rate
	broken    bool // the answer was cut short
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// response remembers what was answered, for the log and for the
// Idempotency-Key.
type response struct {
	http.ResponseWriter
	call   *call
	status int
	wrote  bool
	copy   *boundedBuffer // when an answer is to be kept

	upgraded time.Time // when the connection became a WebSocket; zero otherwise
}

func (w *response) WriteHeader(status int) {
	if w.wrote {
		return
	}
	w.wrote, w.status = true, status
	if status == http.StatusSwitchingProtocols {
		w.upgraded = time.Now()
	}
	writeRate(w.Header(), w.call.rate)
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	if w.copy != nil {
		_, _ = w.copy.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writeRate says how much of the tightest limit is left. Without limits there
// is nothing to say.
func writeRate(h http.Header, r edge.Rate) {
	if r.Limit == 0 {
		return
	}
	h.Set("X-Ratelimit-Limit", strconv.Itoa(r.Limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(r.Remaining))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(r.Reset.Unix(), 10))
}

func securityHeaders(h http.Header, hsts bool) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if hsts {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// notRouted answers what no route serves: the console where it is asked for,
// 405 when the path exists with another method, else 404.
func (a *API) notRouted(w http.ResponseWriter, r *http.Request) {
	if a.serveConsole(w, r) || a.servePosted(w, r) {
		return
	}
	var allowed []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe := &http.Request{Method: m, URL: &url.URL{Path: r.URL.Path}, Host: r.Host}
		if _, pattern := a.mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if r.URL.Path == "/" {
		allowed = []string{"GET", "HEAD"}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeError(w, &apiError{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", message: "This path does not take that method."})
		return
	}
	writeError(w, &apiError{status: http.StatusNotFound, code: "NOT_FOUND", message: "There is nothing here."})
}
