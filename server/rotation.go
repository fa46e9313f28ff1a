package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"vaultpam/pam/rotation"
)

// assembleRotations needs the broker, which is the door of rotations.
func (s *Server) assembleRotations() {
	s.rotations = rotation.New(rotation.Deps{
		Store: s.db, Door: s.broker, Sealed: func() bool { return s.vault.Status().Sealed }, Scribe: s.scribe, Clock: s.clock, IDs: s.ids, Log: s.log,
		AtOnce: s.cfg.RotationConcurrency, Observe: s.metrics.rotated,
	})
}

// newRotationMetrics counts what rotations and checks came to.
func newRotationMetrics() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vaultpam_credential_outcomes_total", Help: "Rotations and checks of credentials by what they came to."}, []string{"what", "outcome"})
}

func (m *metrics) rotated(what, outcome string) { m.rotations.WithLabelValues(what, outcome).Inc() }
