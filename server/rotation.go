package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vaultpam/pam/rotation"
	"vaultpam/pam/session"
)

// assembleRotations needs the broker, which is the door of rotations.
func (s *Server) assembleRotations() {
	silent := time.Duration(0) // with SQLite no other process can be alive
	if s.cfg.DatabaseURL != "" {
		silent = session.NodeSilent
	}
	s.rotations = rotation.New(rotation.Deps{
		Store: s.db, Door: s.broker, Sealed: func() bool { return s.vault.Status().Sealed }, Scribe: s.scribe, Clock: s.clock, IDs: s.ids, Log: s.log,
		Node: s.broker.Node(), Silent: silent, AtOnce: s.cfg.RotationConcurrency, Observe: s.metrics.credential,
	})
}

// newRotationMetrics counts what rotations and checks came to.
func newRotationMetrics() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vaultpam_credential_outcomes_total", Help: "Rotations and checks of credentials by what they came to."}, []string{"what", "outcome"})
}

func (m *metrics) credential(what, outcome string) { m.rotations.WithLabelValues(what, outcome).Inc() }
