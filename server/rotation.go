package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vaultpam/internal/secret"
	"vaultpam/pam"
	"vaultpam/pam/request"
	"vaultpam/pam/rotation"
	"vaultpam/pam/session"
	"vaultpam/store"
)

// assembleRotations needs the broker, which is the door of rotations.
func (s *Server) assembleRotations() {
	silent := time.Duration(0) // with SQLite no other process can be alive
	if s.cfg.DatabaseURL != "" {
		silent = session.NodeSilent
	}
	s.rotations = rotation.New(rotation.Deps{
		Store: s.db, Door: s.broker, Sealed: func() bool { return s.vault.Status().Sealed }, Scribe: s.scribe, Clock: s.clock, IDs: s.ids, Log: s.log,
		Node: s.broker.Node(), Silent: silent, AtOnce: s.cfg.RotationConcurrency, Observe: s.metrics.credential, Write: s.rotationLetters,
	})
}

// rotationLetters writes to those who manage an account what has become of its
// rotation, whatever their preferences. What cannot be written is in the audit
// log and in the console all the same: no rotation waits for it.
func (s *Server) rotationLetters(ctx context.Context, r rotation.Rotation) []pam.Outgoing {
	if !s.outbox.CanMail() {
		return nil
	}
	kind := map[rotation.State]string{rotation.Failed: pam.LetterRotationFailed, rotation.Stuck: pam.LetterRotationStuck, rotation.Done: pam.LetterRotationCopies}[r.State]
	o, err := s.db.OrganizationByID(ctx, r.Org)
	var people []request.Person
	if err == nil {
		people, err = s.db.Managers(ctx, r.Org, r.Account, s.clock.Now(), alarmed)
	}
	var out []pam.Outgoing
	for _, p := range people {
		var m pam.Outgoing
		if m, err = s.outbox.Letter(ctx, pam.Letter{
			Org: r.Org, Kind: kind, Object: string(r.ID), To: p.Email, Language: p.Language, OrgName: o.Name, About: r.Name, Why: r.Problem,
			Link: secret.FromString(s.url() + "/accounts/" + string(r.Account)), Until: s.clock.Now(),
		}); err != nil {
			break
		}
		out = append(out, m)
	}
	if err != nil {
		s.log.Warn("nobody could be written to about a rotation", "rotation", r.ID, "error", err)
		return nil
	}
	return out
}

// newRotationMetrics counts what rotations and checks came to.
func newRotationMetrics() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vaultpam_credential_outcomes_total", Help: "Rotations and checks of credentials by what they came to."}, []string{"what", "outcome"})
}

func (m *metrics) credential(what, outcome string) { m.rotations.WithLabelValues(what, outcome).Inc() }

// credentialMetrics are read from the database when they are asked for; -1 is
// not known.
func (s *Server) credentialMetrics() []prometheus.Collector {
	gauge := func(name, help string, of func(store.CredentialCounts) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			c, err := s.db.CountCredentials(ctx)
			if err != nil {
				return -1
			}
			return of(c)
		})
	}
	return []prometheus.Collector{
		gauge("vaultpam_rotation_open", "Rotations of credentials that are under way; -1: not known.", func(c store.CredentialCounts) float64 { return float64(c.Rotating) }),
		gauge("vaultpam_rotation_stuck", "Rotations that wait for a person; -1: not known.", func(c store.CredentialCounts) float64 { return float64(c.Stuck) }),
		gauge("vaultpam_credential_refused", "Credentials that their target refused at the last check; -1: not known.", func(c store.CredentialCounts) float64 { return float64(c.Refused) }),
		gauge("vaultpam_credential_oldest_age_seconds", "Age of the oldest credential in use; 0 without one, -1: not known.", func(c store.CredentialCounts) float64 {
			if c.Oldest.IsZero() {
				return 0
			}
			return s.clock.Now().Sub(c.Oldest).Seconds()
		}),
	}
}
