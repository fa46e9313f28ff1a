package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

// history fills a log: n events, three in each microsecond, of mixed types,
// actors and targets. It returns them newest first, as List does.
func history(t testing.TB, db *store.DB, org pam.OrgID, n int) []audit.Event {
	t.Helper()
	now := clock.NewManual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	scribe := audit.NewScribe(now, ids.NewSource(now, rand.Reader))
	types := []audit.Type{audit.SafeCreated, audit.LoginFailed, audit.SessionStarted, audit.MemberAdded}
	var entries []audit.Entry
	var all []audit.Event
	for i := range n {
		if i%3 == 0 {
			now.Advance(time.Microsecond)
		}
		e := scribe.Entry(pam.Actor{Org: org, User: pam.UserID(fmt.Sprintf("usr_%d", i%5)), From: netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 3)})}, types[i%len(types)],
			audit.Party{Type: "safe", ID: fmt.Sprintf("saf_%d", i%7)}, map[string]any{"n": int64(i), "names": []string{"a", "b"}, "text": "ä\u2028\x00"})
		entries = append(entries, e)
		canonical, err := e.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, audit.Event{Entry: e, LeafIndex: int64(i), LeafHash: audit.LeafHash(canonical)})
	}
	for part := range slices.Chunk(entries, 250) {
		if err := db.Audit().Append(context.Background(), org, part...); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Audit().Sync(context.Background(), org); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

func TestEveryFilterFindsItsEventsOncePageByPage(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		log := open()
		all := history(t, log, org, 400)
		history(t, log, "org_b", 50)
		from, to := all[300].Time, all[100].Time
		filters := map[string]struct {
			filter audit.Filter
			want   func(audit.Event) bool
		}{
			"all":      {audit.Filter{}, func(audit.Event) bool { return true }},
			"type":     {audit.Filter{Type: audit.LoginFailed}, func(e audit.Event) bool { return e.Type == audit.LoginFailed }},
			"category": {audit.Filter{Category: category(audit.MemberAdded)}, func(e audit.Event) bool { return category(e.Type) == category(audit.MemberAdded) }},
			"actor":    {audit.Filter{ActorID: "usr_3"}, func(e audit.Event) bool { return e.Actor.ID == "usr_3" }},
			"target":   {audit.Filter{TargetID: "saf_6"}, func(e audit.Event) bool { return e.Target.ID == "saf_6" }},
			"source":   {audit.Filter{SourceIP: "192.0.2.2"}, func(e audit.Event) bool { return e.SourceIP == "192.0.2.2" }},
			"text":     {audit.Filter{Text: "USR_3"}, func(e audit.Event) bool { return e.Actor.ID == "usr_3" }},
			"time":     {audit.Filter{From: from, To: to}, func(e audit.Event) bool { return !e.Time.Before(from) && e.Time.Before(to) }},
			"several": {audit.Filter{Type: audit.SafeCreated, ActorID: "usr_0", From: from}, func(e audit.Event) bool {
				return e.Type == audit.SafeCreated && e.Actor.ID == "usr_0" && !e.Time.Before(from)
			}},
			"none": {audit.Filter{ActorID: "usr_x"}, func(audit.Event) bool { return false }},
		}
		for name, c := range filters {
			t.Run(name, func(t *testing.T) {
				want := slices.DeleteFunc(slices.Clone(all), func(e audit.Event) bool { return !c.want(e) })
				var got []audit.Event
				for f := c.filter; ; {
					f.Limit = 7
					page, err := log.Audit().List(t.Context(), org, f)
					if err != nil {
						t.Fatal(err)
					}
					if len(page) == 0 {
						break
					}
					got = append(got, page...)
					f.Before = page[len(page)-1].ID
				}
				if len(want) == 0 != (name == "none") {
					t.Fatalf("the filter chooses %d events", len(want))
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Error(diff)
				}
			})
		}
	})
}

func TestAnEventIsReadInItsOwnLogAlone(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		want := history(t, db, org, 3)[1]
		if got, err := db.Audit().Event(t.Context(), org, want.ID); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%v\n%s", err, cmp.Diff(want, got))
		}
		for log, id := range map[pam.OrgID]pam.EventID{"org_b": want.ID, pam.InstanceOrg: want.ID, org: "evt_00000000000000000000000000"} {
			_, err := db.Audit().Event(t.Context(), log, id)
			refused(t, err, pam.NotFound)
		}
	})
}

// However long the log, a page of a search looks at so many events; following
// the cursors finds the rest.
func TestASearchGoesOnPageByPage(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		history(t, db, org, audit.MaxSearched/2)
		odd := storetest.Entry(org, audit.SafeCreated)
		odd.Target.Name = `The "odd" one: 100% \ Ünique`
		if err := db.Audit().Append(t.Context(), org, odd); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE audit_events SET time = 1 WHERE event_id = ?`, string(odd.ID)) // the oldest of all
			return err
		}); err != nil {
			t.Fatal(err)
		}
		history(t, db, org, 2*audit.MaxSearched+5)
		log := audit.NewLog(db.Audit(), nil, nil, nil)
		auditor := pam.Actor{Org: org, Role: pam.Auditor}
		for _, text := range []string{"odd", `"ODD"`, "100% \\", "Ünique", string(odd.ID)} {
			f, pages, found := audit.Filter{Text: text, Limit: 10}, 0, []audit.Event(nil)
			for more := pam.EventID("begin"); more != ""; pages++ {
				events, next, err := log.List(t.Context(), auditor, false, f)
				if err != nil {
					t.Fatal(err)
				}
				found, more, f.Before = append(found, events...), next, next
			}
			if len(found) != 1 || found[0].ID != odd.ID || pages != 3 {
				t.Errorf("%s: %d events found in %d pages", text, len(found), pages)
			}
		}
		for _, text := range []string{"100_", "o%d", "\x00", "\xff"} {
			if events, _, err := log.List(t.Context(), auditor, false, audit.Filter{Text: text, Limit: 10}); err != nil || len(events) != 0 {
				t.Errorf("%q: %d events, %v", text, len(events), err)
			}
		}
	})
}

func category(t audit.Type) string { s, _ := audit.SpecOf(t); return s.Category }

func TestForeignOrganizationSeesNothingOfTheLog(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		all := history(t, db, org, 300)
		log, ctx, other := db.Audit(), t.Context(), pam.OrgID("org_b")
		if err := log.AddCheckpoint(ctx, org, audit.Checkpoint{Size: 300, Note: "n", Time: time.Unix(1, 0)}); err != nil {
			t.Fatal(err)
		}
		if events, err := log.List(ctx, other, audit.Filter{}); err != nil || len(events) != 0 {
			t.Error(events, err)
		}
		if _, err := log.List(ctx, other, audit.Filter{Before: all[0].ID}); !pam.Is(err, pam.Invalid) {
			t.Errorf("a cursor into another organization's log: %v", err)
		}
		if n, err := log.Size(ctx, other); err != nil || n != 0 {
			t.Error(n, err)
		}
		for level := range 2 {
			if h, err := log.Hashes(ctx, other, level, 0, 300); err != nil || len(h) != 0 {
				t.Error(h, err)
			}
		}
		if err := log.Range(ctx, other, 0, 300, func(int64, []byte, audit.Hash) error { t.Error("an event"); return nil }); err != nil {
			t.Error(err)
		}
		if first, end, err := log.Bounds(ctx, other, time.Unix(1, 0), time.Time{}); err != nil || first != 0 || end != 0 {
			t.Error(first, end, err)
		}
		if c, err := log.Checkpoints(ctx, other); err != nil || len(c) != 0 {
			t.Error(c, err)
		}
		if _, ok, err := log.LastCheckpoint(ctx, other); ok || err != nil {
			t.Error(ok, err)
		}
		if err := log.Append(ctx, other, storetest.Entry(org, audit.SafeCreated)); err == nil {
			t.Error("an event went into the log of an organization that it does not name")
		}
	})
}

func TestSyncWaitsForWhatHadCommitted(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		for i := range int64(20) {
			if err := db.Audit().Append(t.Context(), org, storetest.Entry(org, audit.SafeCreated)); err != nil {
				t.Fatal(err)
			}
			if err := db.Audit().Sync(t.Context(), org); err != nil {
				t.Fatal(err)
			}
			if n, err := db.Audit().Size(t.Context(), org); n != i+1 || err != nil {
				t.Fatalf("%d of %d events have a place: %v", n, i+1, err)
			}
		}
	})
}

func TestBoundsHoldEveryEventOfASpan(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		all := history(t, db, org, 300) // newest first: all[i] has place 299-i
		for _, c := range []struct {
			from, to time.Time
			first    int64
			end      int64
		}{
			{time.Time{}, time.Time{}, 0, 300},
			{all[299].Time, time.Time{}, 0, 300},
			{all[299-90].Time, time.Time{}, 90, 300},
			{time.Time{}, all[299-90].Time, 0, 90},
			{all[299-30].Time, all[299-90].Time, 30, 90},
			{all[0].Time.Add(time.Hour), time.Time{}, 0, 0},
		} {
			first, end, err := db.Audit().Bounds(t.Context(), org, c.from, c.to)
			if err != nil || first != c.first || end != c.end {
				t.Errorf("[%v, %v) is [%d, %d), want [%d, %d): %v", c.from, c.to, first, end, c.first, c.end, err)
			}
		}
	})
}

func TestCheckpointsAreKeptInOrder(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		log := open().Audit()
		var want []audit.Checkpoint
		for i := range 3 {
			want = append(want, audit.Checkpoint{Size: int64(10 * i), Root: audit.Hash{byte(i)}, Note: fmt.Sprint("note ", i, "\n"), Time: time.Unix(int64(i+1), 1000).UTC()})
		}
		for _, i := range []int{1, 0, 2, 2} {
			if err := log.AddCheckpoint(t.Context(), org, want[i]); err != nil {
				t.Fatal(err)
			}
		}
		got, err := log.Checkpoints(t.Context(), org)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(err, diff)
		}
		last, ok, err := log.LastCheckpoint(t.Context(), org)
		if diff := cmp.Diff(want[2], last); diff != "" || !ok || err != nil {
			t.Error(ok, err, diff)
		}
	})
}
