package lease

import (
	"slices"
	"strings"
	"testing"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

func admin(org pam.OrgID) pam.Actor {
	return pam.Actor{Org: org, User: "usr_1", Role: pam.Admin}
}

func TestNameSaysWhoseItIsAndHowLong(t *testing.T) {
	due := time.Unix(1_800_000_000, 0).UTC()
	name := nameOf("org_1", "lea_01ARZ3NDEKTSV4RRFFQ69G5FAV", due)
	if len(name) != 32 || !strings.HasPrefix(name, UserPrefix) || strings.ToLower(name) != name {
		t.Errorf("a name that not every database takes: %q", name)
	}
	if got, ours := readName("org_1", name); !ours || !got.Equal(due) {
		t.Errorf("%q is due at %s, ours: %t", name, got, ours)
	}
	if _, ours := readName("org_2", name); ours {
		t.Error("a name is taken for that of another organization")
	}
	for i := range name { // another time, another lease, another mark
		letter := "x"
		if name[i] == 'x' {
			letter = "y"
		}
		if _, ours := readName("org_1", name[:i]+letter+name[i+1:]); ours {
			t.Errorf("a name with another letter at %d is taken for ours", i)
		}
	}
}

func FuzzReadName(f *testing.F) {
	f.Add("vp_")
	f.Add(nameOf("org_1", "lea_01ARZ3NDEKTSV4RRFFQ69G5FAV", time.Unix(1_800_000_000, 0)))
	f.Fuzz(func(t *testing.T, name string) {
		due, ours := readName("org_1", name)
		if ours && nameOf("org_1", pam.LeaseID(name[len(UserPrefix)+dueLen:nameLen-markLen]), due) != name {
			t.Errorf("%q is not how it would be named", name)
		}
	})
}

func TestUserThatNoLeaseKnowsIsDroppedWhenItIsOursAndOver(t *testing.T) {
	w, s := start()
	known, err := w.begin(t, s)
	if err != nil {
		t.Fatal(err)
	}
	now := w.clock.Now()
	name := func(org pam.OrgID, id pam.LeaseID, after time.Duration) string {
		n := nameOf(org, id, now.Add(after))
		w.users[n] = true
		return n
	}
	over := name("org_1", "lea_00000000000000000000000001", -time.Second)
	waits := name("org_1", "lea_00000000000000000000000002", time.Minute)
	theirs := name("org_2", "lea_00000000000000000000000003", -time.Hour)
	old := "vp_01arz3ndektsv4rrffq69g5fav"
	w.users[old] = true

	got, err := s.Sweep(t.Context(), admin("org_1"), "acc_1")
	slices.Sort(got.Foreign)
	foreign := []string{old, theirs}
	slices.Sort(foreign)
	if err != nil || len(got.Found) != 1 || got.Found[0].Username != over || !slices.Equal(got.Waiting, []string{waits}) || !slices.Equal(got.Foreign, foreign) {
		t.Fatalf("%+v, %v", got, err)
	}
	if again, err := s.Sweep(t.Context(), admin("org_1"), "acc_1"); err != nil || len(again.Found) != 0 {
		t.Errorf("found again: %+v, %v", again, err)
	}
	w.turn(t, s)
	if w.users[over] || !w.users[waits] || !w.users[theirs] || !w.users[old] || !w.users[known.Username] {
		t.Errorf("after a sweep the target has %v", w.users)
	}
	if l := w.rows[got.Found[0].ID]; l.State != Revoked || l.Admin != "acc_admin" || l.Place != "redis://192.0.2.1:6379" || l.Resource != "res_1" {
		t.Errorf("%+v", l)
	}
	w.clock.Advance(time.Minute) // and the job finds the other one
	if err := s.SweepAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.turn(t, s)
	if w.users[waits] || !w.users[theirs] || !w.users[old] || !w.users[known.Username] {
		t.Errorf("after another the target has %v", w.users)
	}
	want := []audit.Type{audit.LeaseCreated, audit.LeaseFound, audit.LeaseRevoked, audit.LeaseFound, audit.LeaseRevoked}
	if !slices.Equal(w.events, want) {
		t.Errorf("events: %v, want %v", w.events, want)
	}
}

// The target makes thousands of users up, with names as we would give them.
func TestTargetThatMakesUsersUpLeavesRoomForLeases(t *testing.T) {
	w, s := start()
	for range maxOpen + 10 {
		w.users[nameOf("org_1", pam.LeaseID(s.IDs.New(pam.PrefixLease)), w.clock.Now())] = true
	}
	for range maxOpen {
		got, err := s.Sweep(t.Context(), admin("org_1"), "acc_1")
		if len(got.Found) > maxFound {
			t.Fatalf("%d at once", len(got.Found))
		}
		if pam.Is(err, pam.TooMany) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(w.rows) != maxSwept {
		t.Errorf("%d leases of users that were made up", len(w.rows))
	}
	if _, err := w.begin(t, s); err != nil {
		t.Errorf("no real one any more: %v", err)
	}
}

func TestSweepIsForAdminsAndAccountsThatMakeUsers(t *testing.T) {
	_, s := start()
	for _, c := range []struct {
		a    pam.Actor
		id   pam.AccountID
		want pam.Kind
	}{
		{pam.Actor{Org: "org_1", User: "usr_1", Role: pam.Operator}, "acc_1", pam.Denied},
		{pam.Actor{Org: "org_1", User: "usr_1", Role: pam.Auditor}, "acc_1", pam.Denied},
		{admin("org_2"), "acc_1", pam.NotFound},
		{admin("org_1"), "acc_none", pam.Conflict},
	} {
		if _, err := s.Sweep(t.Context(), c.a, c.id); !pam.Is(err, c.want) {
			t.Errorf("%s of %s: %v", c.a.Role, c.id, err)
		}
	}
}
