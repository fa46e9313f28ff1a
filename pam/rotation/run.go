package rotation

import (
	"context"
	"errors"
	"sync"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

const (
	tick       = time.Second
	dueEvery   = 10 * time.Second
	dueAtOnce  = 1000
	retryAfter = time.Hour // what the schedule wanted and could not be done
)

// Run does what is due, AtOnce at a time, until ctx ends; then it waits for the
// steps that are under way. What they leave open goes on at the next start, or
// at another node.
func (s *Service) Run(ctx context.Context) error {
	var hands sync.WaitGroup
	defer hands.Wait()
	t := time.NewTicker(tick)
	defer t.Stop()
	var scheduled time.Time
	for {
		if !s.Sealed() {
			if now := s.Clock.Now(); now.Sub(scheduled) >= dueEvery {
				scheduled = now
				s.note(ctx, "schedule rotations", s.Schedule(ctx))
			}
			s.note(ctx, "take on rotations", s.takeOn(ctx, &hands))
			s.note(ctx, "take on checks", s.takeOnChecks(ctx, &hands))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-s.wake:
		}
	}
}

// RunOnce does one round of what Run does, and waits for all of it.
func (s *Service) RunOnce(ctx context.Context) error {
	var hands sync.WaitGroup
	defer hands.Wait()
	return errors.Join(s.Schedule(ctx), s.takeOn(ctx, &hands), s.takeOnChecks(ctx, &hands))
}

func (s *Service) note(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.Log.Error("job failed", "job", what, "error", err)
	}
}

// reserve takes up to AtOnce hands that are free.
func (s *Service) reserve() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := max(0, s.AtOnce-s.busy)
	s.busy += n
	return n
}

func (s *Service) release(n int) {
	s.mu.Lock()
	s.busy -= n
	s.mu.Unlock()
}

// takeOn begins as many of the rotations whose turn it is as there are hands.
func (s *Service) takeOn(ctx context.Context, hands *sync.WaitGroup) error {
	free := s.reserve()
	if free == 0 {
		return nil
	}
	now := s.Clock.Now()
	claimed, err := s.Store.ClaimRotations(ctx, s.Node, now, now.Add(-s.Silent), now.Add(lease), free)
	s.release(free - len(claimed))
	for _, r := range claimed {
		hands.Go(func() {
			defer s.poke()
			defer s.release(1)
			w := &work{s: s, r: r}
			err := w.run(ctx)
			switch {
			case err == nil, errors.Is(err, errWaits), pam.Is(err, pam.Conflict), ctx.Err() != nil:
				// over, waits, somebody else has it, or we stop: all on record
			default:
				s.Log.Error("a rotation was interrupted; it goes on when its lease is over", "rotation", r.ID, "account", r.Account, "error", err)
			}
		})
	}
	return err
}

// Schedule begins the rotations that are due.
func (s *Service) Schedule(ctx context.Context) error {
	for {
		now := s.Clock.Now()
		due, err := s.Store.DueRotations(ctx, now, dueAtOnce)
		if err != nil {
			return err
		}
		var errs []error
		for _, d := range due {
			errs = append(errs, s.begin(ctx, d, now))
		}
		if len(due) > 0 {
			s.poke()
		}
		if err := errors.Join(errs...); err != nil || len(due) < dueAtOnce {
			return err
		}
	}
}

// begin begins one rotation that is due, or says why not.
func (s *Service) begin(ctx context.Context, d Due, now time.Time) error {
	settings, err := s.Store.RotationSettings(ctx, d.Org, d.Account)
	if err != nil {
		return err
	}
	if d.Trigger == Scheduled {
		if at := settings.opens(d.Account, d.At, now); at.After(now) {
			return s.Store.PutOff(ctx, d.Org, d.Account, at)
		}
	}
	r := s.begun(d.Org, d.Account, d.Trigger)
	f, err := s.Door.Facts(ctx, d.Org, d.Account, settings)
	switch {
	case pam.Is(err, pam.NotFound), err == nil && f.rotatable() != nil:
		return errors.Join(s.Store.DropDue(ctx, d.Org, d.Account), s.Store.PutOff(ctx, d.Org, d.Account, now.Add(24*time.Hour)))
	case err != nil && !hopeless(err):
		return err
	case err != nil:
		r.State, r.Problem, r.EndedAt = Failed, said(err), now
	}
	r.Name, r.Resource = f.Name, f.Resource
	t := audit.CredentialRotationStarted
	var letters []pam.Outgoing
	if r.State == Failed {
		letters = s.letters(ctx, r)
		t = audit.CredentialRotationFailed
		s.Observe("rotation", string(Failed))
	}
	err = s.Store.CreateRotation(ctx, d.Org, r, nil, true, letters, s.Scribe.Entry(system(d.Org), t, r.target(), r.about()))
	if pam.Is(err, pam.Conflict) {
		return nil // one is under way: what is due stays due
	}
	if err == nil && r.State == Failed {
		err = s.Store.PutOff(ctx, d.Org, d.Account, now.Add(retryAfter))
	}
	return err
}
