package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/session"
)

// How often the jobs run.
const (
	recoverEvery = 10 * time.Second // after session.NodeSilent: within a minute of a restart
	purgeEvery   = time.Hour
	closeEvery   = 10 * time.Second // what has a time that is over: reviews, requests, grants
)

// recoverAll mends what a dead process has left, before anybody is let in.
func (s *Server) recoverAll(ctx context.Context) error {
	silent := time.Duration(0) // with SQLite no other process can be alive
	if s.cfg.DatabaseURL != "" {
		silent = session.NodeSilent
	}
	n, err := s.sessions.RecoverAll(ctx, s.broker.Node(), silent)
	if err != nil {
		return fmt.Errorf("recover sessions: %w", err)
	}
	if n > 0 {
		s.log.Info("sessions of a dead process ended", "count", n)
	}
	if s.vault.Status().Sealed { // recordings wait until it opens
		return nil
	}
	return s.recoverRecordings(ctx)
}

func (s *Server) recoverRecordings(ctx context.Context) error {
	r, err := s.recordings.RecoverAll(ctx)
	if err != nil {
		return fmt.Errorf("recover recordings: %w", err)
	}
	if r.Completed+r.Failed > 0 {
		s.log.Info("recordings sealed after their writer had died", "completed", r.Completed, "failed", r.Failed, "waiting", r.Waiting)
	}
	return nil
}

// jobs runs what is due again and again, until ctx ends.
func (s *Server) jobs(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	now := s.clock.Now()
	recovered, purged, emitted, closed := now, now, now, now
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.gate.opened:
			recovered = time.Time{} // what was left while it was sealed waits no longer
		}
		now := s.clock.Now()
		if now.Sub(recovered) >= recoverEvery {
			recovered = now
			s.try(ctx, "recover", s.recoverAll)
		}
		if now.Sub(purged) >= purgeEvery {
			purged = now
			s.try(ctx, "purge", func(ctx context.Context) error {
				_, err := s.db.Idempotency().Purge(ctx, now)
				return err
			})
		}
		s.try(ctx, "end checkouts", s.checkouts.EndDue)
		if now.Sub(closed) >= closeEvery {
			closed = now
			s.try(ctx, "close access reviews", s.reviews.CloseDue)
			s.try(ctx, "end access requests and grants", s.requests.EndDue)
		}
		if now.Sub(emitted) >= s.cfg.CheckpointInterval {
			emitted = now
			s.try(ctx, "emit checkpoints", s.emitCheckpoints)
		}
	}
}

// try runs a job; what fails is tried again at its next turn.
func (s *Server) try(ctx context.Context, job string, f func(context.Context) error) {
	if err := f(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("job failed", "job", job, "error", err)
	}
}

// emitCheckpoints signs the logs that have grown and hands the checkpoints out,
// so that a later truncation can be found.
func (s *Server) emitCheckpoints(ctx context.Context) error {
	if s.vault.Status().Sealed {
		return nil
	}
	logs := []pam.OrgID{pam.InstanceOrg}
	var before pam.OrgID
	for {
		rows, err := s.db.ListOrganizations(ctx, before, 1000)
		if err != nil {
			return err
		}
		for _, o := range rows {
			logs = append(logs, o.ID)
		}
		if len(rows) < 1000 {
			break
		}
		before = rows[len(rows)-1].ID
	}
	var errs []error
	for _, log := range logs {
		last, _, err := s.db.Audit().LastCheckpoint(ctx, log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c, err := s.audit.Checkpoint(ctx, log)
		if err == nil && c.Size > last.Size {
			err = s.emit(c.Note)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Server) emit(note string) error {
	if s.cfg.CheckpointStdout {
		fmt.Fprintln(s.out, note)
	}
	if s.cfg.CheckpointFile == "" {
		return nil
	}
	f, err := os.OpenFile(s.cfg.CheckpointFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("checkpoint file: %w", err)
	}
	_, err = fmt.Fprintln(f, note)
	return errors.Join(err, f.Sync(), f.Close())
}

// ready checks what a session needs.
func (s *Server) ready(ctx context.Context) map[string]error {
	checks := map[string]error{"database": s.db.Ping(ctx), "recordings": s.recordings.Check(ctx), "vault": nil}
	if s.sealed() {
		checks["vault"] = errors.New("sealed")
	}
	return checks
}
