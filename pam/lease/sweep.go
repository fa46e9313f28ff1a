package lease

import (
	"context"
	"slices"
	"sync"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/policy"
)

// A sweep asks targets for users that no lease knows: their rows are lost, by a
// backup of ours that was restored, or the target was restored from one of its
// own. One becomes a lease again, with its event, and is dropped as any other
// if its name was made by this organization and its own time is over.
// Everything else is told and left alone: it belongs to another installation,
// or somebody may be working with it.

// Limits of a sweep.
const (
	listFor     = 30 * time.Second // at one target
	maxFound    = 100              // names of each kind, and users that are taken on
	maxSwept    = maxOpen / 2      // open leases: a target that makes users up leaves room for real ones
	sweepPage   = 100
	sweepAtOnce = 8
	maxFailed   = 16 // targets of an organization, after which the others have their turn
)

// Sweep is what was found at the targets of one account.
type Sweep struct {
	Found   []Lease  // that are dropped now
	Waiting []string // names that are ours and not due, of which no lease is open
	Foreign []string // names with our prefix that others made
}

// Making is an account of which users are made.
type Making struct {
	Org     pam.OrgID
	Account pam.AccountID
}

// Sweep looks for leftovers of the account at its targets.
func (s *Service) Sweep(ctx context.Context, a pam.Actor, id pam.AccountID) (Sweep, error) {
	const op = "look for leftover users"
	if !policy.Allowed(policy.LeaseSweep, policy.Of(a, "")) {
		return Sweep{}, &pam.Error{Kind: pam.Denied, Op: op}
	}
	places, err := s.Store.LeasePlaces(ctx, a.Org, id)
	if err != nil {
		return Sweep{}, pam.Wrap(op, err)
	}
	places = slices.DeleteFunc(places, func(l Lease) bool { return l.Admin == "" })
	if len(places) == 0 {
		return Sweep{}, pam.Errorf(pam.Conflict, op, "No users are made of this account.")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*listFor)
	defer cancel()
	var out Sweep
	for _, l := range places {
		if err := s.sweep(ctx, a, l, &out); err != nil {
			return out, pam.Wrap(op, err)
		}
	}
	return out, nil
}

// SweepAll does it for all accounts of all organizations. What one target does
// keeps nobody from the others.
func (s *Service) SweepAll(ctx context.Context) error {
	const op = "look for leftover users"
	type login struct {
		door
		admin pam.AccountID
	}
	seen := map[login]bool{} // a target is asked once, whoever is made there
	hands := make(chan struct{}, sweepAtOnce)
	var mu sync.Mutex
	failed := map[pam.OrgID]int{} // guarded by mu: whose targets hang does not use the hands of all up
	var all sync.WaitGroup
	defer all.Wait()
	var after pam.AccountID
	for ctx.Err() == nil && !s.Sealed() {
		page, err := s.Store.MakingAccounts(ctx, after, sweepPage)
		if err != nil {
			return pam.Wrap(op, err)
		}
		for _, m := range page {
			if ctx.Err() != nil {
				return nil
			}
			places, err := s.Store.LeasePlaces(ctx, m.Org, m.Account)
			if err != nil { // it was deleted just now, or its row is not as it should be: the others have their turn
				s.Log.Warn("no look for leftover users", "account", m.Account, "error", err)
				continue
			}
			for _, l := range places {
				d := login{door{l.Org, l.Resource}, l.Admin}
				if l.Admin == "" || seen[d] {
					continue
				}
				seen[d] = true
				mu.Lock()
				enough := failed[l.Org] >= maxFailed
				mu.Unlock()
				if enough {
					break
				}
				hands <- struct{}{}
				all.Go(func() {
					defer func() { <-hands }()
					var found Sweep
					if err := s.sweep(ctx, system(l.Org), l, &found); err != nil {
						s.Log.Warn("no look for leftover users", "account", l.Account, "resource", l.Resource, "error", err)
						mu.Lock()
						if failed[l.Org]++; failed[l.Org] == maxFailed {
							s.Log.Error("too many targets of an organization do not answer: no look at the rest of them this time", "org", l.Org)
						}
						mu.Unlock()
					}
					if len(found.Found) > 0 {
						s.Log.Warn("users found at a target that no lease knew", "account", l.Account, "resource", l.Resource, "count", len(found.Found))
					}
				})
			}
		}
		if len(page) < sweepPage {
			break
		}
		after = page[len(page)-1].Account
	}
	return nil
}

// sweep asks one target. The names are read before the leases: a lease is
// durable before its user is made, so whoever is there has its row by then.
func (s *Service) sweep(ctx context.Context, a pam.Actor, place Lease, out *Sweep) error {
	ctx, cancel := context.WithTimeout(ctx, listFor)
	defer cancel()
	names, at, err := s.Door.Users(ctx, a, place)
	if err != nil {
		return err
	}
	place.Place = at
	known, err := s.Store.LeasedNames(ctx, place.Org)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		now := s.Clock.Now()
		due, ours := readName(place.Org, name)
		switch {
		case !ours:
			note(&out.Foreign, name)
		case due.After(now):
			note(&out.Waiting, name)
		case len(out.Found) < maxFound:
			l := place
			l.ID, l.Username, l.ExpiresAt = pam.LeaseID(s.IDs.New(pam.PrefixLease)), name, due
			l.State, l.CreatedAt, l.UpdatedAt, l.NextAt = Revoking, now, now, now
			err := s.Store.CreateLease(ctx, l.Org, l, maxSwept, s.Scribe.Entry(a, audit.LeaseFound, party(l), about(l, nil)))
			if pam.Is(err, pam.Conflict) {
				continue // another node was quicker
			}
			if pam.Is(err, pam.TooMany) {
				s.Log.Error("a target has more leftover users than are taken on, or makes them up", "org", l.Org, "resource", l.Resource, "names", len(names))
			}
			if err != nil {
				return err
			}
			out.Found = append(out.Found, l)
		}
	}
	return nil
}

func note(names *[]string, name string) {
	if len(*names) < maxFound && !slices.Contains(*names, name) {
		*names = append(*names, name)
	}
}
