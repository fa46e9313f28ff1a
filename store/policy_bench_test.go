package store_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/policy"
	"vaultpam/pam/rulebook"
	"vaultpam/store"
)

// manyPolicies assigns n active policies of every kind to the Safes, each to
// many of them, so that each Safe has some.
func (w *world) manyPolicies(n int, safes []pam.SafeID, users []pam.UserID, groups []pam.GroupID) {
	w.t.Helper()
	hours := `{"time_zone":"%s","windows":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00"}]}`
	zones := []string{"Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"}
	err := w.db.Write(w.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			id := w.ids.New(pam.PrefixPolicy)
			action, jit := policy.Effects[i%3], ""
			conditions := fmt.Sprintf(`{"time_window":`+hours+`,"source_ips":["10.0.0.0/8","192.0.2.0/24"],"group_ids":["%s"],"user_ids":["%s"]}`,
				zones[i%len(zones)], groups[i%len(groups)], users[i%len(users)])
			switch action {
			case policy.Allow:
				conditions = fmt.Sprintf(`{"time_window":`+hours+`,"source_ips":["10.0.0.0/8","192.0.2.0/24"]}`, zones[i%len(zones)])
			case policy.RequireApproval:
				jit = `{"approvers":1,"auto_expire":true}`
			}
			if _, err := tx.Exec(ctx, `INSERT INTO policies (org_id, policy_id, name, description, status, action, conditions, jit, version, created_by, created_at, updated_at)
				VALUES (?, ?, ?, '', 'active', ?, ?, ?, 1, '', 1, 1)`, w.admin.Org, id, fmt.Sprint("policy ", i), action, conditions, jit); err != nil {
				return err
			}
			// Every Safe gets about five, whatever their number.
			for j := i; j < len(safes)*5; j += n {
				if _, err := tx.Exec(ctx, `INSERT INTO policy_safes (org_id, policy_id, safe_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, w.admin.Org, id, safes[(j+j/len(safes)*13)%len(safes)]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// BenchmarkAuthorisation decides on launches by policies, while the
// organization grows: the rules out of the book, and the decision. The
// person is in as many groups as people are (20 of 2,000). p99 is of single
// decisions.
func BenchmarkAuthorisation(b *testing.B) {
	for _, size := range []struct{ users, groups, safes, policies int }{{100, 20, 100, 5}, {1_000, 200, 1_000, 50}, {10_000, 2_000, 10_000, 500}} {
		w := newWorld(b, must[*store.DB](b)(store.Open(b.Context(), store.Options{DataDir: b.TempDir()})))
		b.Cleanup(func() { _ = w.db.Close() })
		safes := w.manySafes(size.safes, w.admin)
		users, groups := make([]pam.UserID, size.users), make([]pam.GroupID, size.groups)
		for i := range users {
			users[i] = pam.UserID(w.ids.New(pam.PrefixUser))
		}
		for i := range groups {
			groups[i] = pam.GroupID(w.ids.New(pam.PrefixGroup))
		}
		w.manyPolicies(size.policies, safes, users, groups)
		books := rulebook.NewBooks(w.db, false, nil)
		began := time.Now()
		book := must[policy.Book](b)(books.Rules(b.Context(), w.admin.Org))
		compiled := time.Since(began)
		rules := 0
		for _, set := range book {
			rules += len(set)
		}
		mine := make([]pam.GroupID, 0, 20)
		for i := range 20 {
			mine = append(mine, groups[i*97%len(groups)])
		}
		ctx, now, from := b.Context(), w.clock.Now(), netip.MustParseAddr("10.1.2.3")
		b.Run(fmt.Sprintf("%d-users-%d-safes-%d-policies", size.users, size.safes, size.policies), func(b *testing.B) {
			took := make([]time.Duration, 0, 1<<20)
			opened := 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				book, err := books.Rules(ctx, w.admin.Org)
				if err != nil {
					b.Fatal(err)
				}
				safe := safes[i*7919%len(safes)]
				q := policy.Question{
					Action: policy.SessionLaunch, User: users[i*31%len(users)], Groups: mine, Role: pam.Operator, SafeRole: pam.SafeOperator, Rules: book[safe],
					Types: policy.TypesOf(pam.SSH), From: from, At: now.Add(time.Duration(i) * time.Second),
				}
				if policy.Evaluate(&q).Open() {
					opened++
				}
				if len(took) < cap(took) {
					took = append(took, time.Since(began))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(rules)/float64(len(safes)), "rules/safe")
			b.ReportMetric(float64(compiled.Microseconds())/1000, "compile-ms")
			if opened == 0 || opened == b.N {
				b.Logf("%d of %d opened", opened, b.N)
			}
		})
	}
}
