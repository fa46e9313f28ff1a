package session

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
)

func TestEveryTransitionIsInTheTable(t *testing.T) {
	all := []Status{Pending, Active, Ended, Failed}
	legal := map[[2]Status]bool{
		{Pending, Active}: true, {Pending, Ended}: true, {Pending, Failed}: true, {Active, Ended}: true, {Active, Failed}: true,
	}
	for _, from := range all {
		for _, to := range all {
			if got := from.CanBecome(to); got != legal[[2]Status{from, to}] {
				t.Errorf("%s to %s: %v", from, to, got)
			}
		}
	}
	if Ended.Open() || Failed.Open() || !Pending.Open() || !Active.Open() || Status("else").Open() {
		t.Error("what is open")
	}
}

func TestReasonsHoldNothingThatATerminalObeys(t *testing.T) {
	if got, err := CleanReason("  deploy freeze "); err != nil || got != "deploy freeze" {
		t.Errorf("%q %v", got, err)
	}
	for _, bad := range []string{"a\x1b[2J", "a\nb", "\xff", strings.Repeat("ä", 257), "\u009b31m"} {
		if _, err := CleanReason(bad); !pam.Is(err, pam.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// memory is a store of one session, and the roles of users in its Safe.
type memory struct {
	Store
	s      Session
	filter Filter
	orphan []Session
	ended  []pam.SessionID
	events []audit.Entry
}

func (m *memory) SessionByID(_ context.Context, org pam.OrgID, id pam.SessionID) (Session, error) {
	if org != m.s.Org || id != m.s.ID {
		return Session{}, &pam.Error{Kind: pam.NotFound}
	}
	return m.s, nil
}

func (m *memory) ListSessions(_ context.Context, _ pam.OrgID, f Filter) ([]Session, error) {
	m.filter = f
	return nil, nil
}

func (m *memory) KillSession(_ context.Context, _ pam.OrgID, _ pam.SessionID, reason string, e audit.Entry) error {
	m.s.KillReason = reason
	m.events = append(m.events, e)
	return nil
}

func (m *memory) OrphanedSessions(context.Context, string, time.Time, time.Time) ([]Session, error) {
	return m.orphan, nil
}

func (m *memory) EndSession(_ context.Context, _ pam.OrgID, id pam.SessionID, end End, e audit.Entry) error {
	if id == "ses_raced" {
		return &pam.Error{Kind: pam.Conflict}
	}
	m.ended, m.events = append(m.ended, id), append(m.events, e)
	return nil
}

func (m *memory) RoleOf(_ context.Context, _ pam.OrgID, _ pam.SafeID, user pam.UserID, _ time.Time) (pam.SafeRole, bool, error) {
	switch user {
	case "usr_manager":
		return pam.SafeManager, true, nil
	case "usr_colleague":
		return pam.SafeOperator, true, nil
	}
	return "", false, nil
}

func (m *memory) ManagedSafes(_ context.Context, _ pam.OrgID, user pam.UserID, _ time.Time) ([]pam.SafeID, error) {
	if user == "usr_manager" {
		return []pam.SafeID{"saf_1"}, nil
	}
	return nil, nil
}

func newService() (*Service, *memory) {
	m := &memory{s: Session{ID: "ses_1", Org: "org_1", UserID: "usr_own", SafeID: "saf_1", Status: Active}}
	c := clock.NewManual(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	return New(Deps{Store: m, Access: m, Scribe: audit.NewScribe(c, ids.NewSource(c, rand.Reader)), Clock: c, Log: slog.New(slog.DiscardHandler)}), m
}

func TestWhoSeesAndWhoEndsASession(t *testing.T) {
	for _, c := range []struct {
		name      string
		user      pam.UserID
		role      pam.Role
		org       pam.OrgID
		sees, end pam.Kind // Internal: allowed
	}{
		{"its user", "usr_own", pam.Operator, "org_1", 0, 0},
		{"owner", "usr_x", pam.Owner, "org_1", 0, 0},
		{"admin", "usr_x", pam.Admin, "org_1", 0, 0},
		{"auditor", "usr_x", pam.Auditor, "org_1", 0, pam.Denied},
		{"manager of the safe", "usr_manager", pam.Operator, "org_1", 0, 0},
		{"operator of the safe", "usr_colleague", pam.Operator, "org_1", pam.NotFound, pam.NotFound},
		{"policy manager", "usr_x", pam.PolicyManager, "org_1", pam.NotFound, pam.NotFound},
		{"stranger", "usr_x", pam.Owner, "org_2", pam.NotFound, pam.NotFound},
	} {
		s, m := newService()
		a := pam.Actor{User: c.user, Email: "x@example.com", Org: c.org, Role: c.role, Token: pam.LoginToken}
		_, err := s.ByID(t.Context(), a, "ses_1")
		if pam.KindOf(err) != c.sees || (err != nil) != (c.sees != 0) {
			t.Errorf("%s sees: %v", c.name, err)
		}
		_, err = s.Terminate(t.Context(), a, "ses_1", "why")
		if pam.KindOf(err) != c.end || (err != nil) != (c.end != 0) {
			t.Errorf("%s ends: %v", c.name, err)
		}
		if (m.s.KillReason != "") != (c.end == 0) || (len(m.events) == 1) != (c.end == 0) {
			t.Errorf("%s: kill reason %q, %d events", c.name, m.s.KillReason, len(m.events))
		}
	}
}

func TestListsAreNarrowedToWhatTheActorMaySee(t *testing.T) {
	s, m := newService()
	all := Filter{Visible: &Visible{User: "usr_forged"}}
	for role, want := range map[pam.Role]bool{pam.Owner: true, pam.Admin: true, pam.Auditor: true, pam.Operator: false, pam.PolicyManager: false} {
		if _, err := s.List(t.Context(), pam.Actor{User: "usr_manager", Org: "org_1", Role: role}, all); err != nil {
			t.Fatal(err)
		}
		v := m.filter.Visible
		if want != (v == nil) || (v != nil && (v.User != "usr_manager" || len(v.Safes) != 1)) {
			t.Errorf("%s: %+v", role, v)
		}
	}
}

func TestSessionThatIsOverCannotBeTerminated(t *testing.T) {
	s, m := newService()
	m.s.Status = Ended
	if _, err := s.Terminate(t.Context(), pam.Actor{User: "usr_own", Org: "org_1", Role: pam.Operator}, "ses_1", ""); !pam.Is(err, pam.Conflict) {
		t.Errorf("%v", err)
	}
}

func TestRecoveryEndsWhatADeadProcessLeftWithItsEvents(t *testing.T) {
	s, m := newService()
	m.orphan = []Session{{ID: "ses_a", Org: "org_1", Node: "dead"}, {ID: "ses_raced", Org: "org_1", Node: "dead"}, {ID: "ses_b", Org: "org_2"}}
	n, err := s.RecoverAll(t.Context(), "self", 0)
	if err != nil || n != 2 || len(m.events) != 2 {
		t.Fatalf("%d ended, %d events: %v", n, len(m.events), err)
	}
	if got := m.events[0].Metadata["reason"]; got != "server restarted" {
		t.Errorf("reason %v", got)
	}
	if got := m.events[1].Metadata["reason"]; got != "nobody connected" || m.events[1].Org != "org_2" {
		t.Errorf("reason %v in %s", got, m.events[1].Org)
	}
}
