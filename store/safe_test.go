package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vaultpam/internal/naming"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/pam/safe"
	"vaultpam/store"
	"vaultpam/store/storetest"
)

func TestSafeIsReadAsItWasWritten(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, r, acc := w.bound(w.admin, "Old")
		expires := w.clock.Now().Add(24 * time.Hour)
		in := safe.Settings{
			Name: "Prod DB (EU)", Description: "two\nlines", Bindings: []safe.Binding{{ResourceID: r.ID, AccountID: acc.ID}},
			Approval: safe.ApprovalDual, Recording: safe.RecordingOn, RecordingFailure: safe.RecordingFailure{Mode: safe.FailGrace, GraceSeconds: 30},
			Clipboard: safe.Blocked, FileTransfer: safe.Allowed, PortForwarding: true, AgentForwarding: true, MFAStepUp: true, SessionTTLSeconds: 60,
			ValidHours: &safe.ValidHours{TimeZone: "Europe/Berlin", Windows: []safe.Window{{Days: []string{"mon", "fri"}, From: "08:00", To: "18:00"}}},
			Checkout:   safe.Checkout{Enabled: true, TTLSeconds: 600, Exclusive: true}, Visibility: safe.Requestable,
			Rotation: safe.Rotation{IntervalDays: 30, AfterSession: true, AfterCheckIn: true}, CredentialExpiresAt: &expires,
		}
		made := must[safe.Safe](t)(w.safes.Create(t.Context(), w.admin, in))
		got := must[safe.Safe](t)(w.safes.ByID(t.Context(), w.admin, made.ID))
		if diff := cmp.Diff(made, got); diff != "" {
			t.Fatalf("read differs from created (-created +read):\n%s", diff)
		}
		in.Slug = "prod-db-eu"
		if diff := cmp.Diff(in, got.Settings); diff != "" {
			t.Fatalf("settings differ (-written +read):\n%s", diff)
		}
		if got.Role != pam.SafeManager || got.Version != 1 || got.Locked {
			t.Fatalf("role %q, version %d, locked %v; the creator manages a fresh Safe", got.Role, got.Version, got.Locked)
		}
	})
}

func TestSafeWithNameAloneHasTheDefaults(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		got := w.safe(w.owner, "Demo")
		want := safe.Settings{
			Name: "Demo", Slug: "demo", Approval: "none", Recording: "on", RecordingFailure: safe.RecordingFailure{Mode: "closed"}, Clipboard: "audited",
			FileTransfer: "audited", SessionTTLSeconds: 14400, Checkout: safe.Checkout{TTLSeconds: 3600}, Visibility: "members",
		}
		if diff := cmp.Diff(want, got.Settings); diff != "" {
			t.Fatalf("defaults differ (-want +got):\n%s", diff)
		}
	})
}

func TestSlugsAreNumberedAndUniqueEvenWhenManyWantOneAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const many = 24
		var mu sync.Mutex
		var slugs []string
		var group sync.WaitGroup
		for range many {
			group.Go(func() {
				s, err := w.safes.Create(t.Context(), w.admin, safe.Settings{Name: "Same Name"})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				slugs = append(slugs, s.Slug)
			})
		}
		group.Wait()
		slices.Sort(slugs)
		if len(slices.Compact(slices.Clone(slugs))) != many || !slices.Contains(slugs, "same-name") || !slices.Contains(slugs, "same-name-2") {
			t.Fatalf("slugs %v", slugs)
		}
		_, err := w.safes.Create(t.Context(), w.admin, safe.Settings{Name: "Another", Slug: "same-name"})
		refused(t, err, pam.Conflict)
		other := must[safe.Safe](t)(w.safes.Create(t.Context(), w.stranger, safe.Settings{Name: "Same Name"}))
		if other.Slug != "same-name" {
			t.Fatalf("the other organization got %q: slugs crossed", other.Slug)
		}
	})
}

func TestListIsPagedByNameForEverybody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var names []string
		for i := range 23 {
			name := fmt.Sprintf("safe %02d", (i*7)%23)
			if i%2 == 0 {
				name = "S" + name[1:] // case does not matter for the order
			}
			s := w.safe(w.admin, name)
			switch i % 4 {
			case 0:
				w.member(w.admin, s.ID, w.operator, pam.SafeViewer)
			case 1:
				in := s.Settings
				in.Visibility = safe.Requestable
				must[safe.Safe](t)(w.safes.Update(t.Context(), w.admin, s.ID, 0, in))
			}
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int { return slices.Compare(naming.Key(a), naming.Key(b)) })
		for who, want := range map[pam.UserID]int{w.owner.User: 23, w.auditor.User: 23, w.admin.User: 23, w.operator.User: 12} {
			actor := map[pam.UserID]pam.Actor{w.owner.User: w.owner, w.auditor.User: w.auditor, w.admin.User: w.admin, w.operator.User: w.operator}[who]
			var got []string
			for after := ""; ; {
				page := must[[]safe.Safe](t)(w.safes.List(t.Context(), actor, safe.Filter{}, after, 5))
				for _, s := range page {
					got = append(got, s.Name)
					if wantRole := map[bool]pam.SafeRole{true: pam.SafeManager}[actor.User == w.admin.User]; actor.User != w.operator.User && s.Role != wantRole {
						t.Errorf("%s sees the role %q, want %q", actor.Role, s.Role, wantRole)
					}
					if actor.User == w.operator.User && s.OnlyNamed == (s.Role == pam.SafeViewer) {
						t.Errorf("%q: only named %v, role %q", s.Name, s.OnlyNamed, s.Role)
					}
					if s.OnlyNamed && s.SessionTTLSeconds != 0 {
						t.Error("a requestable Safe shows its controls")
					}
				}
				if len(page) < 5 {
					break
				}
				after = page[len(page)-1].Cursor()
			}
			if len(got) != want || !slices.IsSortedFunc(got, func(a, b string) int { return slices.Compare(naming.Key(a), naming.Key(b)) }) {
				t.Errorf("%s sees %d Safes %v, want %d in order", actor.Role, len(got), got, want)
			}
		}
		if got := must[[]safe.Safe](t)(w.safes.List(t.Context(), w.stranger, safe.Filter{}, "", 10)); len(got) != 0 {
			t.Fatalf("another organization sees %d Safes", len(got))
		}
		_, err := w.safes.List(t.Context(), w.owner, safe.Filter{}, "not a cursor", 5)
		refused(t, err, pam.Invalid)
	})
}

func TestRenamedSafeMovesInItsMembersLists(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.safe(w.admin, "Alpha"), w.safe(w.admin, "Beta")
		for _, s := range []safe.Safe{a, b} {
			w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		}
		in := a.Settings
		in.Name = "Zeta"
		got := must[safe.Safe](t)(w.safes.Update(t.Context(), w.admin, a.ID, 1, in))
		if got.Slug != "alpha" {
			t.Fatalf("the slug became %q: those who type it would miss the Safe", got.Slug)
		}
		page := must[[]safe.Safe](t)(w.safes.List(t.Context(), w.operator, safe.Filter{}, "", 10))
		if len(page) != 2 || page[0].ID != b.ID || page[1].Name != "Zeta" {
			t.Fatalf("order %v", page)
		}
	})
}

func TestUpdateNeedsThePresentVersion(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.admin, "Demo")
		in := s.Settings
		in.Description = "first"
		got := must[safe.Safe](t)(w.safes.Update(t.Context(), w.admin, s.ID, 1, in))
		if got.Version != 2 || got.Description != "first" {
			t.Fatalf("version %d, description %q", got.Version, got.Description)
		}
		_, err := w.safes.Update(t.Context(), w.admin, s.ID, 1, in)
		refused(t, err, pam.Precondition)
		_, err = w.db.UpdateSafe(t.Context(), s.Org, s, 1, nil, pam.Hold{}, storetest.Entry(s.Org, audit.SafeUpdated))
		refused(t, err, pam.Precondition)
		refused(t, w.safes.Delete(t.Context(), w.admin, s.ID, 1), pam.Precondition)
		if err := w.safes.Delete(t.Context(), w.admin, s.ID, 2); err != nil {
			t.Fatal(err)
		}
		_, err = w.safes.ByID(t.Context(), w.admin, s.ID)
		refused(t, err, pam.NotFound)
	})
}

func TestNobodySeesASafeOfAnotherOrganizationOrThatTheyAreNotIn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.admin, "Secret project")
		for _, a := range []pam.Actor{w.stranger, w.operator} {
			_, err := w.safes.ByID(t.Context(), a, s.ID)
			refused(t, err, pam.NotFound)
			_, err = w.safes.Update(t.Context(), a, s.ID, 0, s.Settings)
			refused(t, err, pam.NotFound)
			_, err = w.safes.Lock(t.Context(), a, s.ID)
			refused(t, err, pam.NotFound)
			_, err = w.safes.Members(t.Context(), a, s.ID, "", 10)
			refused(t, err, pam.NotFound)
			_, err = w.safes.AddMember(t.Context(), a, s.ID, safe.NewMember{User: a.User, Role: pam.SafeManager})
			refused(t, err, pam.NotFound)
			refused(t, w.safes.Delete(t.Context(), a, s.ID, 0), pam.NotFound)
		}
		for _, a := range []pam.Actor{w.owner, w.auditor} {
			if got := must[safe.Safe](t)(w.safes.ByID(t.Context(), a, s.ID)); got.Role != "" || got.Name != s.Name {
				t.Fatalf("%s sees %+v", a.Role, got)
			}
		}
		_, err := w.safes.Update(t.Context(), w.auditor, s.ID, 0, s.Settings)
		refused(t, err, pam.Denied)
		_, err = w.safes.Create(t.Context(), w.operator, safe.Settings{Name: "Mine"})
		refused(t, err, pam.Denied)
	})
}

func TestRoleInASafeCountsWhileItLastsAndItsHolderIsActive(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.safe(w.admin, "Demo")
		m := must[safe.Member](t)(w.safes.AddMember(t.Context(), w.admin, s.ID,
			safe.NewMember{User: w.operator.User, Role: pam.SafeOperator, ExpiresAt: w.clock.Now().Add(time.Hour)}))
		if m.Email != w.operator.Email {
			t.Fatalf("email %q", m.Email)
		}
		role := func() pam.SafeRole {
			got, ok, err := w.db.RoleOf(t.Context(), s.Org, s.ID, w.operator.User, w.clock.Now())
			if err != nil || ok != (got != "") {
				t.Fatal(got, ok, err)
			}
			return got
		}
		if role() != pam.SafeOperator {
			t.Fatalf("role %q", role())
		}
		w.clock.Advance(time.Hour)
		if role() != "" {
			t.Fatal("the role outlived its end")
		}
		_, err := w.safes.ByID(t.Context(), w.operator, s.ID)
		refused(t, err, pam.NotFound)
		must[safe.Member](t)(w.safes.UpdateMember(t.Context(), w.admin, s.ID, m.ID, pam.SafeViewer, time.Time{}))
		if role() != pam.SafeViewer {
			t.Fatalf("role %q after the update", role())
		}
		w.suspend(w.operator)
		if role() != "" {
			t.Fatal("somebody suspended has a role")
		}
		w.sql(`DELETE FROM memberships WHERE org_id = ? AND user_id = ?`, s.Org, w.operator.User)
		w.sql(`INSERT INTO memberships (org_id, user_id, role, status, joined_at) VALUES (?, ?, 'operator', 'active', 1)`, s.Org, w.operator.User)
		if role() != "" {
			t.Fatal("the role came back with somebody who was removed and added again")
		}
	})
}

func TestChangesOfASafeAreAnnouncedAndAudited(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var heard []pam.Change
		w.db.Subscribe(func(c pam.Change) { mu.Lock(); defer mu.Unlock(); heard = append(heard, c) })
		s := w.safe(w.admin, "Demo")
		m := w.member(w.admin, s.ID, w.operator, pam.SafeOperator)
		must[safe.Safe](t)(w.safes.Lock(t.Context(), w.admin, s.ID))
		if got := must[safe.Safe](t)(w.safes.Unlock(t.Context(), w.admin, s.ID)); got.Locked {
			t.Fatal("still locked")
		}
		if err := w.safes.RemoveMember(t.Context(), w.admin, s.ID, m.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.safes.Delete(t.Context(), w.admin, s.ID, 0); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		want := slices.Repeat([]pam.Change{{Org: s.Org, Subject: pam.SubjectSafe, ID: string(s.ID)}}, 6)
		if diff := cmp.Diff(want, heard); diff != "" {
			t.Fatalf("announced (-want +got):\n%s", diff)
		}
		types := eventTypes(t, w.db, s.Org)
		wantTypes := []audit.Type{audit.SafeCreated, audit.SafeMemberAdded, audit.SafeLocked, audit.SafeUnlocked, audit.SafeMemberRemoved, audit.SafeDeleted}
		if diff := cmp.Diff(wantTypes, types); diff != "" {
			t.Fatalf("audited (-want +got):\n%s", diff)
		}
	})
}

// eventTypes returns the types of org's events, the oldest first.
func eventTypes(t *testing.T, db *store.DB, org pam.OrgID) []audit.Type {
	t.Helper()
	ctx, log := t.Context(), db.Audit()
	if err := log.Sync(ctx, org); err != nil {
		t.Fatal(err)
	}
	size, err := log.Size(ctx, org)
	if err != nil {
		t.Fatal(err)
	}
	var out []audit.Type
	err = log.Range(ctx, org, 0, size, func(_ int64, canonical []byte, _ audit.Hash) error {
		e, err := audit.ParseEntry(canonical)
		out = append(out, e.Type)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
