package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vaultpam/pam"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with the file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Fatalf("%s differs (-want +got); if that is meant, run with -update:\n%s", path, diff)
	}
}

// TestEveryCellOfTheTable asks Allowed about each action, each role in the
// organization (and none) and each role in the Safe (and none), plainly, with
// admins_see_all and for one's own object.
func TestEveryCellOfTheTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("# y: allowed; s: allowed where admins_see_all is set; o: allowed for one's own; b: either; .: refused\n")
	safeRoles := append([]pam.SafeRole{""}, pam.SafeRoles...)
	fmt.Fprintf(&b, "%-24s %-15s", "action", "organization")
	for _, s := range safeRoles {
		fmt.Fprintf(&b, " %-9s", or(string(s), "none"))
	}
	b.WriteString("\n")
	for _, row := range Table {
		for _, role := range append(slices.Clone(pam.Roles), "") {
			fmt.Fprintf(&b, "%-24s %-15s", row.Action, or(string(role), "outsider"))
			for _, s := range safeRoles {
				f := Facts{Role: role, SafeRole: s}
				seeAll, own := f, f
				seeAll.AdminsSeeAll, own.Own = true, true
				cell := "."
				switch a, o := Allowed(row.Action, seeAll), Allowed(row.Action, own); {
				case Allowed(row.Action, f):
					cell = "y"
				case a && o:
					cell = "b"
				case a:
					cell = "s"
				case o:
					cell = "o"
				}
				fmt.Fprintf(&b, " %-9s", cell)
			}
			b.WriteString("\n")
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	golden(t, "testdata/roles.txt", strings.Join(lines, "\n"))
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func TestTheDocumentationIsTheTable(t *testing.T) {
	golden(t, "../../docs/permissions.md", Markdown())
}

func TestTableNamesEveryActionOnce(t *testing.T) {
	seen := map[Action]bool{}
	for _, r := range Table {
		if seen[r.Action] || r.Does == "" || r.Scope == "" {
			t.Errorf("%s: twice, or without words or scope", r.Action)
		}
		seen[r.Action] = true
		if r.StepUp == Always && r.Scope != "-" {
			t.Errorf("%s: a token that can never step up has a scope for it", r.Action)
		}
	}
}

func TestOutsiderAndUnknownRoleAndUnknownActionAreRefused(t *testing.T) {
	for _, row := range Table {
		for _, role := range []pam.Role{"", "root", "OWNER"} {
			for _, s := range append([]pam.SafeRole{"", "king"}, pam.SafeRoles...) {
				if Allowed(row.Action, Facts{Role: role, SafeRole: s, AdminsSeeAll: true, Own: true}) {
					t.Errorf("%s is allowed to the role %q with %q", row.Action, role, s)
				}
			}
		}
	}
	if Allowed("safe.explode", Facts{Role: pam.Owner, SafeRole: pam.SafeManager, AdminsSeeAll: true, Own: true}) {
		t.Error("an action that nobody has thought about is allowed")
	}
}

func TestAuditorLaunchesNothingRevealsNothingAndChangesNothing(t *testing.T) {
	reads := []Action{
		OrgRead, OrgStats, MemberList, GroupRead, ConnectorRead, PolicyRead, PolicyTry, SafeSee, SafeMemberList, ResourceSee, AccountSee, RotationSee, SSHCASee, LeaseSee,
		ChangeSee, CheckoutSee, SessionSee, RecordingSee, RecordingReplay, RequestSee, AccessSee, ReviewSee, AuditRead,
	}
	// Giving up what is one's own is no power.
	givesUp := []Action{SafeMemberTake, LeaseRevoke, CheckoutEnd, SessionTerminate, GrantRevoke}
	for _, row := range Table {
		for _, s := range append([]pam.SafeRole{""}, pam.SafeRoles...) {
			for _, own := range []bool{false, true} {
				ok := Allowed(row.Action, Facts{Role: pam.Auditor, SafeRole: s, AdminsSeeAll: true, Own: own})
				if ok && !slices.Contains(reads, row.Action) && !(own && slices.Contains(givesUp, row.Action)) {
					t.Errorf("%s is allowed to an auditor with the role %q (own: %v)", row.Action, s, own)
				}
			}
		}
	}
	for _, s := range pam.SafeRoles {
		if MayHold(pam.Auditor, s) != (s == pam.SafeViewer) {
			t.Errorf("an auditor and the role %s", s)
		}
	}
}

func TestOwnerWithoutARoleInTheSafeOpensRevealsAndReplaysNothing(t *testing.T) {
	for _, role := range []pam.Role{pam.Owner, pam.Admin} {
		for _, a := range []Action{SessionLaunch, SessionWatch, CredentialReveal, CredentialRotate, RecordingReplay, SafeMemberGive, SafeUnbind, RequestDecide, ChangeConfirm} {
			if Allowed(a, Facts{Role: role}) {
				t.Errorf("%s is allowed to %s", a, role)
			}
		}
		for _, a := range []Action{SessionLaunch, CredentialReveal, SafeMemberGive} {
			if Allowed(a, Facts{Role: role, AdminsSeeAll: true}) {
				t.Errorf("admins_see_all gives %s the act %s: it is for seeing", role, a)
			}
		}
	}
}

func TestApproverIsNoOperator(t *testing.T) {
	f := Facts{Role: pam.Operator, SafeRole: pam.SafeApprover}
	if Allowed(SessionLaunch, f) || Allowed(CredentialReveal, f) || !Allowed(RequestDecide, f) {
		t.Error("an approver decides requests and launches nothing")
	}
	f.SafeRole = pam.SafeManager
	if Allowed(RequestDecide, f) {
		t.Error("a manager decides requests only as an approver")
	}
}

// Rights from several sources are a union: whatever one of two roles allows,
// they allow together, and nothing else.
func TestAUnionOfRolesAllowsWhatOneOfThemAllows(t *testing.T) {
	all := append([]pam.SafeRole{""}, pam.SafeRoles...)
	for _, row := range Table {
		for _, role := range append(slices.Clone(pam.Roles), "") {
			for _, a := range all {
				for _, b := range all {
					f, g := Facts{Role: role, SafeRole: a}, Facts{Role: role, SafeRole: b}
					both := Facts{Role: role, SafeRole: a.With(b)}
					if got, want := Allowed(row.Action, both), Allowed(row.Action, f) || Allowed(row.Action, g); got != want {
						t.Errorf("%s as %s with %q and %q: %v", row.Action, role, a, b, got)
					}
				}
			}
		}
	}
}
