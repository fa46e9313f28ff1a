package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/session"
	"vaultpam/pam/stats"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

// lately makes sessions and events at these times before now.
func lately(t *testing.T, db *store.DB, org pam.OrgID, now time.Time, ago ...time.Duration) {
	t.Helper()
	for _, d := range ago {
		c := clock.NewManual(now.Add(-d))
		src := ids.NewSource(c, rand.Reader)
		scribe := audit.NewScribe(c, src)
		s := newSession(org, "node_1")
		s.ID, s.StartedAt = pam.SessionID(src.New(pam.PrefixSession)), c.Now()
		if err := db.BeginSession(t.Context(), org, s, false, nil, scribe.Entry(pam.Actor{Org: org}, audit.SessionStarted, session.Target(s), nil)); err != nil {
			t.Fatal(err)
		}
		for _, typ := range []audit.Type{audit.LoginFailed, audit.LoginFailed, audit.SessionRefused} {
			if err := db.Audit().Append(t.Context(), org, scribe.Entry(pam.Actor{Org: org}, typ, audit.Party{}, nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func counted(counts []stats.Count) string {
	out := ""
	for i, c := range counts {
		if c.N != 0 {
			out += fmt.Sprintf("%d:%d ", i, c.N)
		}
	}
	return out
}

func TestFiguresAreOfTheOrganizationAndOfTheirTime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		now := time.Date(2026, 11, 20, 15, 20, 0, 0, time.UTC)
		org := w.owner.Org
		w.bound(w.owner, "one")
		lately(t, w.db, org, now, 0, 19*time.Minute, 21*time.Minute, 23*time.Hour, 23*time.Hour+21*time.Minute, 14*24*time.Hour, 29*24*time.Hour+15*time.Hour, 31*24*time.Hour)
		lately(t, w.db, w.stranger.Org, now, 0, time.Hour)
		s := stats.New(w.db, clock.NewManual(now))
		f, err := s.Figures(t.Context(), w.auditor)
		if err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string][2]string{
			"sessions per hour": {counted(f.SessionsPerHour), "0:1 22:1 23:2 "},
			"sessions per day":  {counted(f.SessionsPerDay), "0:1 15:1 28:2 29:3 "},
			"failed logins":     {counted(f.FailedLoginsPerHour), "0:2 22:2 23:4 "},
			"refused launches":  {counted(f.RefusedLaunchesPerHour), "0:1 22:1 23:2 "},
			"totals":            {fmt.Sprintf("%+v", f.Totals), "{Active:0 Pending:8 Safes:1 Resources:1 Accounts:1 Members:5 Recordings:0 RecordingsBytes:0}"},
			"places":            {fmt.Sprint(len(f.SessionsPerHour), len(f.SessionsPerDay), f.SessionsPerHour[23].From, f.SessionsPerDay[29].From), "24 30 2026-11-20 15:00:00 +0000 UTC 2026-11-20 00:00:00 +0000 UTC"},
		} {
			if c[0] != c[1] {
				t.Errorf("%s: %s, want %s", what, c[0], c[1])
			}
		}
		for _, who := range []pam.Actor{w.operator, {}} {
			if _, err := s.Figures(t.Context(), who); !pam.Is(err, pam.Denied) {
				t.Errorf("%s: %v", who.Role, err)
			}
		}
	})
}

// The figures of a long log come from indexes: they take no longer for it.
func TestFiguresOfALongLogAreQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a database")
	}
	w := newWorld(t, storetest.Open(t, store.Options{DataDir: storetest.DataDir(t)}))
	now := w.clock.Now()
	// Rows that only look like events: nothing here reads a tree.
	err := w.db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
			INSERT INTO audit_events (org_id, event_id, time, type, category, actor_id, target_id, canonical, leaf_hash, leaf_index)
			SELECT ?, 'evt_' || i, ? - i * 10000000, CASE WHEN i % 100 = 0 THEN 'LOGIN_FAILED' ELSE 'SESSION_STARTED' END, 'session', 'usr', 'ses', '{}', X'00', 1000000 + i FROM n`,
			w.owner.Org, now.UnixMicro())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s, least := stats.New(w.db, w.clock), time.Hour
	for range 10 {
		begin := time.Now()
		f, err := s.Figures(t.Context(), w.owner)
		if err != nil || f.FailedLoginsPerHour[20].N < 3 {
			t.Fatalf("%v, %v", err, f.FailedLoginsPerHour)
		}
		least = min(least, time.Since(begin))
	}
	t.Logf("figures over a hundred thousand events: %s", least)
	if least > 50*time.Millisecond {
		t.Errorf("figures over a hundred thousand events took %s", least)
	}
}
