package rotation

import (
	"context"
	"slices"
	"sync"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// Outcome is what trying a credential came to.
type Outcome string

// The outcomes.
const (
	Unchecked   Outcome = ""
	LogsIn      Outcome = "ok"
	Refused     Outcome = "refused"
	Unreachable Outcome = "unreachable" // nothing is known of the credential
)

// Health is what is known of one account's credential.
type Health struct {
	Org       pam.OrgID
	Account   pam.AccountID
	Name      string
	Username  string
	Resource  pam.ResourceID
	Kind      string
	Version   int64
	SetAt     time.Time // when the promoted version was stored
	Rotated   bool      // a rotation made it
	Outcome   Outcome
	Problem   string
	CheckedAt time.Time
	ChangedAt time.Time // since when the outcome is what it is
	UsedAt    time.Time // the last session or checkout; zero: never
	Users     int       // people who used it in the last 90 days
	Safes     int       // that bind it
	Rotation  State     // of an open rotation; "" none
	Interval  int       // the shortest, in days, of its Safes; 0: none
	Weak      string    // why the value is weak; "" it is not, or that is not known
	Flags     []string
}

// Cursor is its place in a list.
func (h Health) Cursor() string { return string(h.Account) }

// Flags of a credential that wants a look.
const (
	FlagOld          = "old"           // older than its interval, or than a year
	FlagUnused       = "unused"        // by nobody for 90 days
	FlagShared       = "shared"        // used by several people in 90 days
	FlagWeak         = "weak"          // short or simple
	FlagNeverRotated = "never_rotated" // as somebody stored it
	FlagRefused      = "refused"       // the target refused it at the last check
	FlagStuck        = "stuck"         // a rotation waits for a person
)

// Flags lists all of them.
var Flags = []string{FlagOld, FlagUnused, FlagShared, FlagWeak, FlagNeverRotated, FlagRefused, FlagStuck}

// How long is long.
const (
	unusedAfter = 90 * 24 * time.Hour
	oldAfter    = 365 * 24 * time.Hour
)

// flagged returns h with its flags.
func (h Health) flagged(now time.Time) Health {
	note := func(flag string, is bool) {
		if is {
			h.Flags = append(h.Flags, flag)
		}
	}
	limit := oldAfter
	if h.Interval > 0 {
		limit = time.Duration(h.Interval) * 24 * time.Hour
	}
	note(FlagOld, now.Sub(h.SetAt) > limit)
	note(FlagUnused, now.Sub(later(h.UsedAt, h.SetAt)) > unusedAfter)
	note(FlagShared, h.Users > 1)
	note(FlagWeak, h.Weak != "")
	note(FlagNeverRotated, !h.Rotated)
	note(FlagRefused, h.Outcome == Refused)
	note(FlagStuck, h.Rotation == Stuck)
	return h
}

// HealthQuery is one page of the report, by account id.
type HealthQuery struct {
	Account pam.AccountID // "" any
	Flag    string        // "" any; the service's, stores know no flags
	User    pam.UserID    // with All false: accounts in Safes that User manages
	All     bool
	After   pam.AccountID
	Limit   int
	Now     time.Time
	Since   time.Time // uses before do not count
}

// Check is a login with a credential that is due.
type Check struct {
	Org     pam.OrgID
	Account pam.AccountID
	Was     Outcome
	Hours   int
}

// HealthStore keeps what is known of credentials.
type HealthStore interface {
	// ClaimChecks gives up to limit checks that are due at now to the caller;
	// they are due again at again, unless NoteCheck says otherwise.
	ClaimChecks(ctx context.Context, now, again time.Time, limit int) ([]Check, error)
	// NoteCheck keeps what a check came to, and when the next one is due.
	NoteCheck(ctx context.Context, org pam.OrgID, id pam.AccountID, o Outcome, problem string, at, next time.Time, events ...audit.Entry) error
	// CredentialHealth lists what is known, without flags.
	CredentialHealth(ctx context.Context, org pam.OrgID, q HealthQuery) ([]Health, error)
}

// takeOnChecks begins as many of the checks that are due as there are hands.
func (s *Service) takeOnChecks(ctx context.Context, hands *sync.WaitGroup) error {
	free := s.reserve()
	if free == 0 {
		return nil
	}
	now := s.Clock.Now()
	claimed, err := s.Store.ClaimChecks(ctx, now, now.Add(lease), free)
	s.release(free - len(claimed))
	for _, c := range claimed {
		hands.Go(func() {
			defer s.poke()
			defer s.release(1)
			s.note(ctx, "check credential", s.check(ctx, c))
		})
	}
	return err
}

// check logs in and out, and writes into the log what has changed since the
// last time: a heartbeat that goes on beating is no news.
func (s *Service) check(ctx context.Context, c Check) error {
	settings, err := s.Store.RotationSettings(ctx, c.Org, c.Account)
	if err != nil {
		return err
	}
	f, err := s.Door.Facts(ctx, c.Org, c.Account, settings)
	outcome, problem := LogsIn, ""
	if err == nil && f.Working == 0 {
		return nil // a rotation is about to find out
	}
	if err == nil {
		step, cancel := context.WithTimeout(ctx, stepTime)
		err = s.Door.Try(step, Subject{Org: c.Org, Account: c.Account, Resource: f.Resource, Settings: settings}, f.Working)
		cancel()
	}
	switch {
	case err == nil:
	case ctx.Err() != nil || pam.Is(err, pam.Sealed):
		return nil // it is tried again
	case refusedLogin(err):
		outcome, problem = Refused, said(err)
	default:
		outcome, problem = Unreachable, said(err)
	}
	s.Observe("check", string(outcome))
	now := s.Clock.Now()
	var events []audit.Entry
	if outcome != c.Was {
		m := map[string]any{"outcome": string(outcome), "was": string(c.Was), "version": f.Working}
		if problem != "" {
			m["problem"] = problem
		}
		t := audit.CredentialChecked
		if outcome == Refused {
			t = audit.CredentialDrifted
		}
		events = append(events, s.Scribe.Entry(system(c.Org), t, audit.Party{Type: "account", ID: string(c.Account), Name: f.Name}, m))
	}
	next := now.Add(time.Duration(c.Hours) * time.Hour)
	if outcome == Unreachable {
		next = now.Add(min(time.Duration(c.Hours)*time.Hour, 15*time.Minute))
	}
	return s.Store.NoteCheck(ctx, c.Org, c.Account, outcome, problem, now, next, events...)
}

// Health lists what is known of credentials that the actor may rotate, or of
// all for those who see the metadata of all, by account. What a flag means is
// said here and not in SQL, so the store is read on until the page is full.
func (s *Service) Health(ctx context.Context, a pam.Actor, q HealthQuery) ([]Health, error) {
	now, limit := s.Clock.Now(), pam.PageSize(q.Limit)
	q.User, q.Now, q.Since, q.Limit = a.User, now, now.Add(-unusedAfter), limit
	q.All = policy.Allowed(policy.RotationSee, policy.Of(a, ""))
	if q.Flag != "" {
		q.Limit = 4 * limit // to be read at once: most have no flag
	}
	var out []Health
	for {
		rows, err := s.Store.CredentialHealth(ctx, a.Org, q)
		if err != nil {
			return nil, pam.Wrap("report on credentials", err)
		}
		for _, h := range rows {
			if h = h.flagged(now); q.Flag == "" || slices.Contains(h.Flags, q.Flag) {
				out = append(out, h)
			}
			if len(out) == limit {
				return out, nil
			}
		}
		if len(rows) < q.Limit {
			return out, nil
		}
		q.After = rows[len(rows)-1].Account
	}
}
