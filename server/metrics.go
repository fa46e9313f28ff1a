package server

import (
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/vault"
)

// metrics counts what passes. Labels come from closed sets alone.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec
	decisions *prometheus.CounterVec
	vouchers  *prometheus.CounterVec
	hooks     *prometheus.CounterVec
	rotations *prometheus.CounterVec // of credentials
	rotation  *prometheus.GaugeVec   // of the vault's keys
	checkouts checkoutMetrics
}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), rotations: newRotationMetrics(), checkouts: newCheckoutMetrics()}
	m.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "vaultpam_api_request_duration_seconds", Help: "Requests by route, method and status.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
	}, []string{"route", "method", "status"})
	m.decisions = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vaultpam_broker_decisions_total", Help: "Decisions on launches and reveals by what they came to."}, []string{"action", "outcome"})
	m.vouchers = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vaultpam_sso_attempts_total", Help: "Sign-ins by a provider, and tokens of programs shown, by what they came to."}, []string{"what", "outcome"})
	m.hooks = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vaultpam_webhook_attempts_total", Help: "Attempts to tell a webhook of an event by what they came to; pending: it is tried again."}, []string{"status"})
	m.rotation = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vaultpam_vault_rotation_values", Help: "Values of the rotation of keys that this node runs or ran last: total, done, failed."}, []string{"count"})
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	m.registry.MustRegister(
		m.requests, m.decisions, m.vouchers, m.hooks, m.rotations, m.rotation, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("vaultpam_broker_sessions_live", "Sessions that are live on this node.", func() float64 {
			if s.broker == nil {
				return 0
			}
			return float64(len(s.broker.Live()))
		}),
		gauge("vaultpam_vault_sealed", "1 while the vault is sealed.", func() float64 {
			if s.sealed() {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "vaultpam_store_writes_total", Help: "Changes that were made durable."}, func() float64 { return float64(s.db.Stats().Writes) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "vaultpam_store_commits_total", Help: "Commits that made them so; fewer than writes, since writers share them."}, func() float64 { return float64(s.db.Stats().Commits) }),
	)
	m.registry.MustRegister(s.leaseMetrics()...)
	m.registry.MustRegister(s.credentialMetrics()...)
	m.registry.MustRegister(s.checkoutCollectors(m.checkouts)...)
	return m
}

// observe counts one request. What matched no route shares one label, since
// its path is the client's own.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// decided counts one decision.
func (m *metrics) decided(a policy.Action, d policy.Decision) {
	outcome := string(d.Effect)
	if d.Effect == policy.Allow && !d.Open() {
		outcome = "step_up"
	}
	m.decisions.WithLabelValues(string(a), outcome).Inc()
}

// rotated shows how far a rotation of keys is.
func (m *metrics) rotated(s vault.RotationStep) {
	m.rotation.WithLabelValues("total").Set(float64(s.Total))
	m.rotation.WithLabelValues("done").Set(float64(s.Done))
	m.rotation.WithLabelValues("failed").Set(float64(s.Failed))
}

// told counts one attempt to tell a webhook.
func (m *metrics) told(s pam.DeliveryStatus) { m.hooks.WithLabelValues(string(s)).Inc() }

// vouched counts one attempt to come in on somebody's word.
func (m *metrics) vouched(what string, err error) {
	outcome := "accepted"
	switch {
	case pam.Is(err, pam.Unreachable):
		outcome = "unreachable"
	case err != nil:
		outcome = "refused"
	}
	m.vouchers.WithLabelValues(what, outcome).Inc()
}

// handler serves the metrics to whoever has token; nil without a token.
func (m *metrics) handler(token string) http.Handler {
	if token == "" {
		return nil
	}
	inner := m.open()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"TOKEN_INVALID","message":"The token is missing or wrong."}` + "\n"))
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (m *metrics) open() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// metricsServer serves /metrics on an address of its own, if there is one.
func (s *Server) metricsServer() (*http.Server, net.Listener, error) {
	if s.cfg.Metrics == "" {
		return nil, nil, nil
	}
	ln, err := net.Listen("tcp", s.cfg.Metrics)
	if err != nil {
		return nil, nil, fmt.Errorf("--metrics-listen %s: %w", s.cfg.Metrics, err)
	}
	h := s.metrics.handler(s.cfg.MetricsToken)
	if h == nil {
		h = s.metrics.open()
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	return &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}, ln, nil
}
