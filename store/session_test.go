package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/recording"
	"vaultpam/pam/session"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func newSession(org pam.OrgID, node string) session.Session {
	return session.Session{
		ID: storetest.ID[pam.SessionID](pam.PrefixSession), Org: org, Status: session.Pending, Protocol: pam.SSH, UserID: "usr_a", SafeID: "saf_a",
		ResourceID: "res_a", AccountID: "acc_a", Node: node, Reason: "repair", ClientIP: "192.0.2.1", StartedAt: noon, ExpiresAt: noon.Add(4 * time.Hour),
	}
}

func recordingOf(s session.Session) *recording.Recording {
	return &recording.Recording{
		ID: s.RecordingID, Org: s.Org, SessionID: s.ID, SafeID: s.SafeID, UserID: s.UserID, ResourceID: s.ResourceID, AccountID: s.AccountID,
		Protocol: s.Protocol, Status: recording.InProgress, Format: recording.FormatAsciicast, RetentionDays: 30, StartedAt: s.StartedAt,
	}
}

func TestSessionAndItsRecordingBeginTogetherAndEndOnce(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db, ctx := open(), t.Context()
		const org = pam.OrgID("org_a")
		s := newSession(org, "node_1")
		s.RecordingID = storetest.ID[pam.RecordingID](pam.PrefixRecording)
		if err := db.BeginSession(ctx, org, s, false, recordingOf(s), storetest.Entry(org, audit.SessionStarted)); err != nil {
			t.Fatal(err)
		}
		got, err := db.SessionByID(ctx, org, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, got); d != "" {
			t.Error(d)
		}
		r, err := db.RecordingByID(ctx, org, s.RecordingID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(*recordingOf(s), r); d != "" {
			t.Error(d)
		}
		if err := db.ActivateSession(ctx, org, s.ID); err != nil {
			t.Fatal(err)
		}
		if err := db.ActivateSession(ctx, org, s.ID); !pam.Is(err, pam.Conflict) {
			t.Errorf("activated twice: %v", err)
		}
		end := session.End{Status: session.Ended, Reason: "exit", BytesIn: 7, BytesOut: 8, At: noon.Add(time.Minute)}
		if err := db.EndSession(ctx, org, s.ID, end, storetest.Entry(org, audit.SessionEnded)); err != nil {
			t.Fatal(err)
		}
		for op, err := range map[string]error{
			"end":      db.EndSession(ctx, org, s.ID, end, storetest.Entry(org, audit.SessionEnded)),
			"activate": db.ActivateSession(ctx, org, s.ID),
			"kill":     db.KillSession(ctx, org, s.ID, "late", storetest.Entry(org, audit.SessionTerminated)),
		} {
			if !pam.Is(err, pam.Conflict) {
				t.Errorf("%s of a session that is over: %v", op, err)
			}
		}
		want := s
		want.Status, want.EndReason, want.BytesIn, want.BytesOut, want.EndedAt = session.Ended, "exit", 7, 8, end.At
		got, _ = db.SessionByID(ctx, org, s.ID)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestOtherOrganizationsSessionsAndRecordingsDoNotExist(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db, ctx := open(), t.Context()
		const org, other = pam.OrgID("org_a"), pam.OrgID("org_b")
		s := newSession(org, "node_1")
		s.RecordingID = storetest.ID[pam.RecordingID](pam.PrefixRecording)
		if err := db.BeginSession(ctx, org, s, false, recordingOf(s), storetest.Entry(org, audit.SessionStarted)); err != nil {
			t.Fatal(err)
		}
		_, err1 := db.SessionByID(ctx, other, s.ID)
		_, err2 := db.RecordingByID(ctx, other, s.RecordingID)
		for op, err := range map[string]error{
			"read session": err1, "read recording": err2,
			"activate": db.ActivateSession(ctx, other, s.ID),
			"kill":     db.KillSession(ctx, other, s.ID, "x", storetest.Entry(other, audit.SessionTerminated)),
			"end":      db.EndSession(ctx, other, s.ID, session.End{Status: session.Ended}, storetest.Entry(other, audit.SessionEnded)),
			"complete": db.CompleteRecording(ctx, other, s.RecordingID, recording.Seal{}, storetest.Entry(other, audit.RecordingSealed)),
			"fail":     db.FailRecording(ctx, other, s.RecordingID, "x", noon, storetest.Entry(other, audit.RecordingFailed)),
		} {
			if !pam.Is(err, pam.NotFound) {
				t.Errorf("%s: %v, want not found", op, err)
			}
		}
		ss, _ := db.ListSessions(ctx, other, session.Filter{})
		rs, _ := db.ListRecordings(ctx, other, recording.Filter{})
		if len(ss)+len(rs) != 0 {
			t.Errorf("listed to a foreign organization: %v %v", ss, rs)
		}
	})
}

func TestListsAreNewestFirstAndNarrowedByEveryFilter(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db, ctx := open(), t.Context()
		const org = pam.OrgID("org_a")
		var all []session.Session
		for i := range 12 {
			s := newSession(org, "node_1")
			s.StartedAt = time.Now().UTC().Truncate(time.Microsecond).Add(time.Duration(i-12) * time.Minute)
			s.UserID, s.SafeID = pam.UserID(fmt.Sprint("usr_", i%2)), pam.SafeID(fmt.Sprint("saf_", i%3))
			s.RecordingID = storetest.ID[pam.RecordingID](pam.PrefixRecording)
			if err := db.BeginSession(ctx, org, s, false, recordingOf(s), storetest.Entry(org, audit.SessionStarted)); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		if err := db.ActivateSession(ctx, org, all[5].ID); err != nil {
			t.Fatal(err)
		}
		many := []pam.SafeID{"saf_0"}
		for i := range 40 {
			many = append(many, pam.SafeID(fmt.Sprint("saf_x", i)))
		}
		for name, c := range map[string]struct {
			f    session.Filter
			want []int
		}{
			"all":        {session.Filter{}, []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
			"limit":      {session.Filter{Limit: 2}, []int{11, 10}},
			"cursor":     {session.Filter{Limit: 2, Before: all[10].ID}, []int{9, 8}},
			"user":       {session.Filter{UserID: "usr_1", Limit: 2}, []int{11, 9}},
			"safe":       {session.Filter{SafeID: "saf_2"}, []int{11, 8, 5, 2}},
			"status":     {session.Filter{Status: session.Active}, []int{5}},
			"from":       {session.Filter{From: all[10].StartedAt}, []int{11, 10}},
			"until":      {session.Filter{Until: all[2].StartedAt}, []int{1, 0}},
			"long":       {session.Filter{MinMS: 630_000}, []int{1, 0}},
			"short":      {session.Filter{MaxMS: 150_000}, []int{11, 10}},
			"visible":    {session.Filter{Visible: &session.Visible{User: "usr_1", Safes: []pam.SafeID{"saf_0", "saf_9"}}, Limit: 5}, []int{11, 9, 7, 6, 5}},
			"many safes": {session.Filter{Visible: &session.Visible{User: "usr_1", Safes: many}, Limit: 5}, []int{11, 9, 7, 6, 5}},
			"own":        {session.Filter{Visible: &session.Visible{User: "usr_9"}}, nil},
		} {
			got, err := db.ListSessions(ctx, org, c.f)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var ids, want []pam.SessionID
			for _, s := range got {
				ids = append(ids, s.ID)
			}
			for _, i := range c.want {
				want = append(want, all[i].ID)
			}
			if d := cmp.Diff(want, ids); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		rs, err := db.ListRecordings(ctx, org, recording.Filter{Visible: &recording.Visible{User: "usr_1", Safes: []pam.SafeID{"saf_0"}}, SessionID: all[6].ID})
		if err != nil || len(rs) != 1 || rs[0].SessionID != all[6].ID {
			t.Errorf("recordings of one session: %v %v", rs, err)
		}
	})
}

func TestALaunchIsTakenOverOnce(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db, ctx := open(), t.Context()
		const org = pam.OrgID("org_a")
		s := newSession(org, "")
		if err := db.LaunchSession(ctx, org, s, nil, storetest.Entry(org, audit.PolicyEvaluated)); err != nil {
			t.Fatal(err)
		}
		other := s
		other.UserID = "usr_b"
		if id, err := db.LaunchedSession(ctx, org, other, noon); err != nil || id != "" {
			t.Errorf("somebody else's launch was found: %q %v", id, err)
		}
		if id, err := db.LaunchedSession(ctx, org, s, s.ExpiresAt); err != nil || id != "" {
			t.Errorf("an expired launch was found: %q %v", id, err)
		}
		if id, err := db.LaunchedSession(ctx, org, s, noon); err != nil || id != s.ID {
			t.Fatalf("launch not found: %q %v", id, err)
		}
		begin := func() error {
			s.Node = "node_1"
			return db.BeginSession(ctx, org, s, true, nil, storetest.Entry(org, audit.SessionStarted))
		}
		if err := begin(); err != nil {
			t.Fatal(err)
		}
		if err := begin(); !pam.Is(err, pam.Conflict) {
			t.Errorf("taken over twice: %v", err)
		}
	})
}

func TestOrphansAreTheSessionsOfSilentNodesAndForgottenLaunches(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db, ctx := open(), t.Context()
		const org = pam.OrgID("org_a")
		begin := func(node string) pam.SessionID {
			s := newSession(org, node)
			if err := db.BeginSession(ctx, org, s, false, nil, storetest.Entry(org, audit.SessionStarted)); err != nil {
				t.Fatal(err)
			}
			return s.ID
		}
		begin("self")
		dead, never := begin("dead"), begin("never")
		begin("alive")
		launch := newSession(org, "")
		launch.ExpiresAt = noon
		if err := db.LaunchSession(ctx, org, launch, nil, storetest.Entry(org, audit.PolicyEvaluated)); err != nil {
			t.Fatal(err)
		}
		for node, at := range map[string]time.Time{"dead": noon.Add(-time.Hour), "alive": noon, "self": noon.Add(-time.Hour)} {
			if err := db.NodeAlive(ctx, node, at); err != nil {
				t.Fatal(err)
			}
		}
		got, err := db.OrphanedSessions(ctx, "self", noon.Add(-time.Minute), noon)
		if err != nil {
			t.Fatal(err)
		}
		var ids []pam.SessionID
		for _, s := range got {
			ids = append(ids, s.ID)
		}
		if d := cmp.Diff([]pam.SessionID{dead, never, launch.ID}, ids); d != "" {
			t.Error(d)
		}
	})
}

func TestRecordingIsCompletedOrFailedOnce(t *testing.T) {
	storetest.Run(t, func(t *testing.T, open func() *store.DB) {
		db, ctx := open(), t.Context()
		const org = pam.OrgID("org_a")
		var recs [2]recording.Recording
		for i := range recs {
			s := newSession(org, "gone")
			s.RecordingID = storetest.ID[pam.RecordingID](pam.PrefixRecording)
			recs[i] = *recordingOf(s)
			if err := db.BeginSession(ctx, org, s, false, &recs[i], storetest.Entry(org, audit.SessionStarted)); err != nil {
				t.Fatal(err)
			}
		}
		open1, err := db.UnsealedRecordings(ctx)
		if err != nil || len(open1) != 2 {
			t.Fatalf("unsealed: %v %v", open1, err)
		}
		seal := recording.Seal{
			Root: "ab", End: "cd", Chunks: 3, DurationMS: 4, SizeBytes: 5, Signature: pam.Signature{PublicKey: []byte{1}, Sig: []byte{2}},
			Recovered: true, EndedAt: noon.Add(time.Minute), ExpiresAt: noon.Add(time.Hour),
		}
		if err := db.CompleteRecording(ctx, org, recs[0].ID, seal, storetest.Entry(org, audit.RecordingSealed)); err != nil {
			t.Fatal(err)
		}
		if err := db.FailRecording(ctx, org, recs[1].ID, "disk full", noon, storetest.Entry(org, audit.RecordingFailed)); err != nil {
			t.Fatal(err)
		}
		for i := range recs {
			if err := db.CompleteRecording(ctx, org, recs[i].ID, seal, storetest.Entry(org, audit.RecordingSealed)); !pam.Is(err, pam.Conflict) {
				t.Errorf("completed again: %v", err)
			}
		}
		want0, want1 := recs[0], recs[1]
		want0.Status, want0.RootHash, want0.DurationMS, want0.SizeBytes = recording.Completed, "ab", 4, 5
		want0.Signature, want0.PublicKey, want0.Recovered, want0.EndedAt, want0.ExpiresAt = []byte{2}, []byte{1}, true, seal.EndedAt, seal.ExpiresAt
		want1.Status, want1.Problem, want1.EndedAt, want1.ExpiresAt = recording.Errored, "disk full", noon, noon.AddDate(0, 0, 30)
		for i, want := range []recording.Recording{want0, want1} {
			got, err := db.RecordingByID(ctx, org, recs[i].ID)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		}
		if left, err := db.UnsealedRecordings(context.Background()); err != nil || len(left) != 0 {
			t.Errorf("unsealed: %v %v", left, err)
		}
	})
}
