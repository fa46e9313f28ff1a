package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/rulebook"
)

// book is what a store would read of an organization's policies.
type book struct{ rulebook.Book }

func (b book) PolicyBook(context.Context, pam.OrgID) (rulebook.Book, error) { return b.Book, nil }
func (b book) PolicyBookVersion(context.Context, pam.OrgID) (int64, error)  { return b.Version, nil }

// size is how large an organization is.
type size struct{ users, groups, safes, policies int }

func (s size) String() string {
	return fmt.Sprintf("%d users, %d groups, %d Safes, %d policies", s.users, s.groups, s.safes, s.policies)
}

func id[T ~string](prefix string, n int) T { return T(fmt.Sprintf("%s%026d", prefix, n)) }

// policiesOf makes policies of every action with conditions of every kind,
// five of them at each Safe.
func policiesOf(s size) book {
	zones := []string{"Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"}
	out := book{rulebook.Book{Version: 1, Policies: make([]rulebook.Policy, s.policies)}}
	for i := range out.Policies {
		p := &out.Policies[i]
		p.ID, p.Name, p.Action = id[pam.PolicyID]("pol_", i), "p", policy.Effects[i%len(policy.Effects)]
		p.Conditions = policy.Conditions{
			TimeWindow: &policy.Hours{TimeZone: zones[i%len(zones)], Windows: []policy.Window{{Days: []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, From: "00:00", To: "24:00"}}},
			SourceIPs:  []string{"10.0.0.0/8", "192.0.2.0/24"}, ResourceTypes: []pam.Protocol{pam.SSH, pam.PostgreSQL},
		}
		if p.Action != policy.Allow {
			for n := range 10 {
				p.Conditions.UserIDs = append(p.Conditions.UserIDs, id[pam.UserID]("usr_", (i*7919+n)%s.users))
				p.Conditions.GroupIDs = append(p.Conditions.GroupIDs, id[pam.GroupID]("grp_", (i*104729+n)%s.groups))
			}
		}
		if p.Action == policy.RequireApproval {
			p.JIT = &policy.JIT{Approvers: 1}
		}
	}
	for n := range s.safes {
		for k := range 5 {
			p := &out.Policies[(n+k*31)%s.policies]
			p.SafeIDs = append(p.SafeIDs, id[pam.SafeID]("saf_", n))
		}
	}
	return out
}

// What decides on a launch costs microseconds, in an organization of any size.
func TestDecisionCostsMicroseconds(t *testing.T) {
	rounds, times := 3, 20_000
	if full {
		rounds, times = 9, 500_000
	}
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var small []round
	for _, s := range []size{{100, 100, 100, 50}, {1_000, 200, 1_000, 100}, {10_000, 2_000, 10_000, 500}} {
		books := rulebook.NewBooks(policiesOf(s), false, slog.New(slog.DiscardHandler))
		began := time.Now()
		if _, err := books.Rules(t.Context(), "org_1"); err != nil {
			t.Fatal(err)
		}
		compiled := time.Since(began)
		groups := make([]pam.GroupID, min(20, s.groups/10))
		for i := range groups {
			groups[i] = id[pam.GroupID]("grp_", i*97%s.groups)
		}
		safes, users := make([]pam.SafeID, s.safes), make([]pam.UserID, s.users)
		for i := range safes {
			safes[i] = id[pam.SafeID]("saf_", i)
		}
		for i := range users {
			users[i] = id[pam.UserID]("usr_", i)
		}
		took, effects := make([]time.Duration, times), map[policy.Effect]int{}
		var p99 []round
		for range rounds {
			for i := range took {
				began := time.Now()
				rules, err := books.Rules(t.Context(), "org_1")
				if err != nil {
					t.Fatal(err)
				}
				d := policy.Evaluate(&policy.Question{
					Action: policy.SessionLaunch, User: users[i*31%len(users)], Groups: groups, Role: pam.Operator, SafeRole: pam.SafeOperator,
					Rules: rules[safes[i*7919%len(safes)]], Types: policy.TypesOf(pam.SSH), From: netip.AddrFrom4([4]byte{10, 1, 2, 3}), At: at.Add(time.Duration(i) * time.Minute),
				})
				took[i] = time.Since(began)
				effects[d.Effect]++
			}
			slices.Sort(took)
			p99 = append(p99, round{got: float64(took[len(took)*99/100].Nanoseconds()) / 1000})
		}
		if len(effects) != 3 {
			t.Errorf("%s: only %v was decided", s, effects)
		}
		report(t, figure{
			name: "p99 of an authorisation decision, " + s.String(), unit: "µs", rounds: p99, must: absoluteAtMost(20), goal: absoluteAtMost(5),
			note: fmt.Sprintf("5 policies a Safe, %d groups a person; compiled in %s", len(groups), compiled.Round(100*time.Microsecond)),
		})
		if small == nil {
			small = p99
			continue
		}
		both := make([]round, len(p99))
		for i := range both {
			both[i] = round{got: p99[i].got, ref: small[i].got}
		}
		report(t, figure{name: "the same, " + s.String(), reference: "of 100 Safes", unit: "µs", rounds: both})
	}
}
