package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/checkout"
	"vaultpam/pam/session"
	"vaultpam/store"
)

// checkoutMetrics count what becomes of checkouts, and emergencies.
type checkoutMetrics struct {
	ended       *prometheus.CounterVec
	emergencies *prometheus.CounterVec
}

func newCheckoutMetrics() checkoutMetrics {
	m := checkoutMetrics{
		ended:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vaultpam_checkout_ended_total", Help: "Checkouts that this node ended, by what ended them."}, []string{"cause"}),
		emergencies: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vaultpam_emergency_total", Help: "Emergencies that began on this node, by what they were for."}, []string{"what"}),
	}
	for _, what := range []string{"checkout", "session"} { // so that an alert sees the first one rise
		m.emergencies.WithLabelValues(what)
	}
	return m
}

// counted is the store, whose changes of checkouts are counted once they are
// durable.
type counted struct {
	*store.DB
	s *Server
}

func (c counted) CreateCheckout(ctx context.Context, org pam.OrgID, o checkout.Checkout, letters []pam.Outgoing, events ...audit.Entry) error {
	err := c.DB.CreateCheckout(ctx, org, o, letters, events...)
	if err == nil && o.Emergency {
		c.s.metrics.checkouts.emergencies.WithLabelValues("checkout").Inc()
	}
	return err
}

func (c counted) LaunchSession(ctx context.Context, org pam.OrgID, o session.Session, letters []pam.Outgoing, events ...audit.Entry) error {
	err := c.DB.LaunchSession(ctx, org, o, letters, events...)
	if err == nil && o.Emergency {
		c.s.metrics.checkouts.emergencies.WithLabelValues("session").Inc()
	}
	return err
}

func (c counted) CheckIn(ctx context.Context, org pam.OrgID, id pam.CheckoutID, by pam.UserID, why checkout.Cause, at time.Time, e audit.Entry) error {
	err := c.DB.CheckIn(ctx, org, id, by, why, at, e)
	if err == nil {
		c.s.metrics.checkouts.ended.WithLabelValues(string(why)).Inc()
	}
	return err
}

// collectors of checkouts; what is out is read from the database when it is
// asked for, and -1 is not known.
func (s *Server) checkoutCollectors(m checkoutMetrics) []prometheus.Collector {
	out := func(emergency bool) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			all, emergencies, err := s.db.CountCheckouts(ctx, s.clock.Now())
			switch {
			case err != nil:
				return -1
			case emergency:
				return float64(emergencies)
			}
			return float64(all)
		}
	}
	return []prometheus.Collector{
		m.ended, m.emergencies,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vaultpam_checkout_active", Help: "Checkouts that are out; -1: not known."}, out(false)),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vaultpam_checkout_active_emergency", Help: "Checkouts by break-glass that are out; -1: not known."}, out(true)),
	}
}
