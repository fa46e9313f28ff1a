// Package stats is figures of an organization: how much there is of
// everything, and how much happened lately.
//
// It must not know how anything is counted, nor show what is counted. Start
// at [Service.Figures].
package stats

import (
	"context"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// What a look back covers.
const (
	Hours = 24
	Days  = 30
)

// Count is how often something happened from a time on, until the next.
type Count struct {
	From time.Time
	N    int64
}

// Totals is how much there is at a time.
type Totals struct {
	Active, Pending                     int64 // sessions
	Safes, Resources, Accounts, Members int64
	Recordings, RecordingsBytes         int64
}

// Figures is everything, in UTC. The last of each row is the hour or day under
// way.
type Figures struct {
	At time.Time
	Totals
	SessionsPerHour, SessionsPerDay             []Count
	FailedLoginsPerHour, RefusedLaunchesPerHour []Count
}

// Store counts. *store.DB satisfies it.
type Store interface {
	Totals(ctx context.Context, org pam.OrgID) (Totals, error)
	// SessionsSince counts the sessions that began since a time in steps of
	// width: step → number, of those that are not 0.
	SessionsSince(ctx context.Context, org pam.OrgID, since time.Time, width time.Duration) (map[int64]int64, error)
	// EventsSince counts the events of a type in the same way.
	EventsSince(ctx context.Context, org pam.OrgID, t audit.Type, since time.Time, width time.Duration) (map[int64]int64, error)
}

// Service makes figures. It is safe for concurrent use.
type Service struct {
	store Store
	clock clock.Clock
}

// New makes a Service.
func New(s Store, c clock.Clock) *Service { return &Service{s, c} }

// Figures returns those of the actor's organization.
func (s *Service) Figures(ctx context.Context, a pam.Actor) (Figures, error) {
	const op = "read figures"
	if !policy.Allowed(policy.OrgStats, policy.Of(a, "")) {
		return Figures{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	out := Figures{At: s.clock.Now()}
	var err error
	if out.Totals, err = s.store.Totals(ctx, a.Org); err != nil {
		return Figures{}, pam.Wrap(op, err)
	}
	sessions := func(since time.Time, width time.Duration) (map[int64]int64, error) {
		return s.store.SessionsSince(ctx, a.Org, since, width)
	}
	events := func(t audit.Type) func(time.Time, time.Duration) (map[int64]int64, error) {
		return func(since time.Time, width time.Duration) (map[int64]int64, error) {
			return s.store.EventsSince(ctx, a.Org, t, since, width)
		}
	}
	hours := out.At.Truncate(time.Hour).Add(-(Hours - 1) * time.Hour)
	days := out.At.Truncate(24*time.Hour).AddDate(0, 0, -(Days - 1))
	for _, row := range []struct {
		into  *[]Count
		since time.Time
		width time.Duration
		n     int
		count func(time.Time, time.Duration) (map[int64]int64, error)
	}{
		{&out.SessionsPerHour, hours, time.Hour, Hours, sessions},
		{&out.SessionsPerDay, days, 24 * time.Hour, Days, sessions},
		{&out.FailedLoginsPerHour, hours, time.Hour, Hours, events(audit.LoginFailed)},
		{&out.RefusedLaunchesPerHour, hours, time.Hour, Hours, events(audit.SessionRefused)},
	} {
		counted, err := row.count(row.since, row.width)
		if err != nil {
			return Figures{}, pam.Wrap(op, err)
		}
		for i := range row.n {
			*row.into = append(*row.into, Count{row.since.Add(time.Duration(i) * row.width), counted[int64(i)]})
		}
	}
	return out, nil
}
