package script

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

func reviewIn(safes ...string) v1.AccessReviewIn {
	return v1.AccessReviewIn{Name: "Quarterly", SafeIDs: safes, IncludeGroups: true, DueAt: time.Now().Add(time.Hour)}
}

// reviews begins a review of Safes.
func (c *caller) reviews(safes ...string) v1.AccessReview {
	return read[v1.AccessReview](c.call("POST", "/access-reviews", reviewIn(safes...)).want(http.StatusCreated))
}

// items is all that a review asks the caller about.
func (c *caller) items(review string) []v1.AccessReviewItem {
	return read[[]v1.AccessReviewItem](c.call("GET", "/access-reviews/"+review+"/items", nil))
}

// itemOf is the one about a membership, a group or a user in a group.
func (c *caller) itemOf(review, what string) v1.AccessReviewItem {
	for _, i := range c.items(review) {
		if i.MemberID == what || i.Kind == "group_member" && i.UserID == what {
			return i
		}
	}
	c.t.Fatalf("the review does not ask about %s", what)
	return v1.AccessReviewItem{}
}

func (c *caller) decides(review, decision string, items ...string) answer {
	return c.call("POST", "/access-reviews/"+review+"/decisions", v1.AccessReviewDecisionsIn{ItemIDs: items, Decision: decision, Comment: "seen"})
}

// revoked begins a review of a Safe and revokes what it asks about a membership
// or about a user in a group.
func revoked(by *caller, safe, what string) answer {
	r := by.reviews(safe)
	return by.decides(r.ID, "revoke", by.itemOf(r.ID, what).ID)
}

func onReview(suffix string) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		return ask{path: "/access-reviews/" + w.founder.reviews(w.shared.safe).ID + suffix}
	}
}

// Who reaches what is told with every rule that gives it, and with what the
// policies say to it now.
func TestAccessIsListedWithItsGroundsAndWhatPoliciesSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.fresh()
	who := w.who["operator"].id
	group := read[v1.Group](w.founder.call("POST", "/org/groups", v1.GroupIn{Name: "On call", MemberIDs: []string{who}}))
	w.founder.call("POST", "/safes/"+f.safe+"/members", v1.SafeMemberIn{GroupID: group.ID, Role: "approver"}).want(http.StatusCreated)
	of := func(query string) []v1.Access {
		return read[[]v1.Access](w.who["auditor"].call("GET", "/access?"+query, nil))
	}
	one := of("user_id=" + who + "&safe_id=" + f.safe)
	if len(one) != 1 || one[0].Role != "operator+approver" || len(one[0].Grounds) != 2 || one[0].Decision != "allow" || len(one[0].Targets) != 1 || one[0].Targets[0].ResourceID != f.resource || one[0].Targets[0].AccountName == "" {
		t.Fatalf("%+v", one)
	}
	if rules := one[0].Grounds[0].Rule + " " + one[0].Grounds[1].Rule + " " + one[0].Grounds[1].GroupName; rules != "member group On call" {
		t.Errorf("the grounds are %s", rules)
	}
	if all := of("safe_id=" + w.shared.safe + "&user_id=" + who); len(all) != 1 || all[0].LastUsedAt == nil {
		t.Errorf("who has used a Safe is not told: %+v", all)
	}
	if only := of("group_id=" + group.ID); len(only) != 1 || only[0].UserID != who || only[0].SafeID != f.safe {
		t.Errorf("by way of the group: %+v", only)
	}
	if through := of("resource_id=" + f.resource); len(through) < 4 {
		t.Errorf("%d people reach the resource", len(through))
	}
	w.founder.rule(v1.PolicyIn{Name: "Nobody", Action: "deny", SafeIDs: []string{f.safe}})
	if now := of("user_id=" + who + "&safe_id=" + f.safe); now[0].Decision != "deny" || !strings.HasPrefix(now[0].Rule, "policy pol_") || now[0].Message == "" {
		t.Errorf("a policy that denies: %+v", now[0])
	}

	// In pages of two it is the same list.
	var whole, paged []string
	add := func(to *[]string, rows []v1.Access) {
		for _, r := range rows {
			*to = append(*to, r.SafeID+" "+r.UserID)
		}
	}
	add(&whole, of(""))
	for next := "/access?limit=2"; next != ""; {
		a := w.who["auditor"].call("GET", next, nil)
		add(&paged, read[[]v1.Access](a))
		link, _, _ := strings.Cut(a.header.Get("Link"), ">")
		next = strings.TrimPrefix(link, "</api/v1")
	}
	if strings.Join(whole, ",") != strings.Join(paged, ",") || len(whole) < 8 {
		t.Errorf("the pages differ:\n%v\n%v", whole, paged)
	}
	cells, err := csv.NewReader(strings.NewReader(w.who["auditor"].call("GET", "/access/export?format=csv", nil).want(http.StatusOK).plain())).ReadAll()
	if err != nil || len(cells) != len(whole)+1 {
		t.Errorf("the export has %d rows, want %d and a head: %v", len(cells), len(whole), err)
	}

	// Oneself, and a manager their Safe.
	for _, query := range []string{"user_id=" + who, "user_id=" + who + "&safe_id=" + f.safe} {
		w.who["operator"].call("GET", "/access?"+query, nil).want(http.StatusOK)
	}
	w.who["manager"].call("GET", "/access?safe_id="+f.safe, nil).want(http.StatusOK)
	w.who["operator"].call("GET", "/access?safe_id="+f.safe, nil).want(http.StatusForbidden)
	w.who["manager"].call("GET", "/access?user_id="+who, nil).want(http.StatusForbidden)
}

// What is revoked in a review ends at once, what is kept stays, and all of it is
// on record.
func TestReviewKeepsAndRevokes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.fresh()
	manager, operator := w.who["manager"], w.who["operator"]
	id := operator.id
	stranger := w.who["stranger"].id
	group := read[v1.Group](w.founder.call("POST", "/org/groups", v1.GroupIn{Name: "On call", MemberIDs: []string{stranger}}))
	w.founder.call("POST", "/safes/"+f.safe+"/members", v1.SafeMemberIn{GroupID: group.ID, Role: "viewer"}).want(http.StatusCreated)
	r := w.who["admin"].reviews(f.safe)
	if r.Status != "open" || r.Counts.Pending != r.Counts.Total || r.Counts.Total != len(manager.items(r.ID)) {
		t.Errorf("%+v", r)
	}
	var theirs v1.AccessReviewItem
	for _, i := range manager.items(r.ID) {
		switch {
		case i.UserID == id:
			theirs = i
		case i.Kind == "safe_member" && i.Role == "manager" && i.Email == manager.email && i.CanDecide:
			t.Error("a manager may decide about themselves")
		}
	}
	manager.decides(r.ID, "keep", manager.itemOf(r.ID, f.viewer).ID).want(http.StatusOK)
	done := read[[]v1.AccessReviewItem](manager.decides(r.ID, "revoke", theirs.ID))
	if len(done) != 1 || done[0].Outcome != "removed" || done[0].Decider != manager.email || done[0].Comment != "seen" {
		t.Errorf("%+v", done)
	}
	operator.call("POST", "/sessions", v1.SessionIn{SafeID: f.safe}).want(http.StatusNotFound)
	// Being in a group is about more than one Safe's manager: an administrator
	// decides, or who manages all of them.
	manager.decides(r.ID, "revoke", manager.itemOf(r.ID, stranger).ID).want(http.StatusOK)
	if g := read[v1.Group](w.founder.call("GET", "/org/groups/"+group.ID, nil)); len(g.MemberIDs) != 0 {
		t.Errorf("the group still has %v", g.MemberIDs)
	}
	manager.decides(r.ID, "keep", theirs.ID).want(http.StatusConflict)
	closed := read[v1.AccessReview](w.who["admin"].call("POST", "/access-reviews/"+r.ID+"/close", nil))
	if c := closed.Counts; closed.Status != "closed" || c.Pending != 0 || c.Keep != 1 || c.Revoke != 2 || c.Lapsed != c.Total-3 {
		t.Errorf("%+v", closed)
	}
	manager.decides(r.ID, "revoke", manager.itemOf(r.ID, f.viewer).ID).want(http.StatusConflict)
	if kept := read[[]v1.SafeMember](w.founder.call("GET", "/safes/"+f.safe+"/members", nil)); !strings.Contains(fmt.Sprint(kept), f.viewer) {
		t.Error("what was kept is gone")
	}
	if started, decided, ended := w.founder.events("ACCESS_REVIEW_STARTED"), w.founder.events("ACCESS_REVIEW_DECIDED"), w.founder.events("ACCESS_REVIEW_CLOSED"); len(started) != 1 || len(decided) != closed.Counts.Total || len(ended) != 1 {
		t.Errorf("on record: %d begun, %d decided, %d closed", len(started), len(decided), len(ended))
	}
	cells, err := csv.NewReader(strings.NewReader(w.who["auditor"].call("GET", "/access-reviews/"+r.ID+"/export?format=csv", nil).want(http.StatusOK).plain())).ReadAll()
	if err != nil || len(cells) != closed.Counts.Total+1 {
		t.Errorf("the export has %d rows: %v", len(cells), err)
	}
}

// Nobody makes a review into a right that they do not have.
func TestAttackGainingByAReview(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f, other := w.fresh(), w.fresh()
	r := w.founder.reviews(f.safe)
	item := w.founder.itemOf(r.ID, f.viewer).ID

	t.Log("an administrator who manages no Safe takes a manager's place away by a review")
	w.who["admin"].decides(r.ID, "revoke", item).want(http.StatusForbidden)
	t.Log("a review of one Safe decides about another's members")
	w.founder.decides(r.ID, "revoke", w.founder.itemOf(w.founder.reviews(other.safe).ID, other.viewer).ID).want(http.StatusNotFound)
	t.Log("one manager's items come with one that is not theirs: nothing is done")
	both := w.founder.reviews(f.safe, other.safe)
	mine := w.founder.itemOf(both.ID, f.viewer).ID
	w.who["manager"].decides(both.ID, "revoke", mine, "rvi_00000000000000000000000000").want(http.StatusNotFound)
	if i := w.founder.itemOf(both.ID, f.viewer); i.Decision != "pending" {
		t.Errorf("it is decided: %+v", i)
	}
	t.Log("another organization's review")
	w.foreign.call("GET", "/access-reviews/"+r.ID, nil).want(http.StatusNotFound)
	w.foreign.decides(r.ID, "revoke", item).want(http.StatusNotFound)
	t.Log("a manager keeps themselves")
	for _, i := range w.who["manager"].items(r.ID) {
		if i.Email == w.who["manager"].email {
			w.who["manager"].decides(r.ID, "keep", i.ID).want(http.StatusForbidden)
		}
	}
	t.Log("an administrator closes a review that revokes what is undecided, before its time")
	in := reviewIn(f.safe)
	in.OnExpiry = "revoke"
	strict := read[v1.AccessReview](w.who["admin"].call("POST", "/access-reviews", in))
	w.who["admin"].call("POST", "/access-reviews/"+strict.ID+"/close", nil).want(http.StatusConflict)
	t.Log("names that a spreadsheet would run")
	w.founder.call("PATCH", "/safes/"+f.safe, map[string]any{"name": `=HYPERLINK("http://evil.test")`}).want(http.StatusOK)
	for _, line := range strings.Split(w.founder.call("GET", "/access/export?format=csv", nil).want(http.StatusOK).plain(), "\n") {
		if strings.Contains(line, ",=HYPERLINK") || strings.Contains(line, `,"=HYPERLINK`) {
			t.Errorf("a cell is a formula: %s", line)
		}
	}
}

// What nobody decides on is revoked when the time is over, but for the last
// manager of a Safe.
func TestReviewThatIsOverRevokesButTheLastManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.fresh()
	in := reviewIn(f.safe)
	in.OnExpiry, in.DueAt = "revoke", time.Now().Add(2*time.Second)
	r := read[v1.AccessReview](w.who["admin"].call("POST", "/access-reviews", in))
	eventually(t, 30*time.Second, "the review is over", func() bool {
		return read[v1.AccessReview](w.who["admin"].call("GET", "/access-reviews/"+r.ID, nil)).Status == "closed"
	})
	left := read[[]v1.SafeMember](w.who["auditor"].call("GET", "/safes/"+f.safe+"/members", nil))
	if len(left) != 1 || left[0].Role != "manager" {
		t.Errorf("left are %+v", left)
	}
	outcomes := map[string]int{}
	for _, i := range w.who["auditor"].items(r.ID) {
		if i.Decision != "lapsed" {
			t.Errorf("%+v", i)
		}
		outcomes[i.Outcome]++
	}
	if outcomes["last_manager"] != 1 || outcomes["removed"] != r.Counts.Total-1 {
		t.Errorf("outcomes: %v of %d", outcomes, r.Counts.Total)
	}
}

// A grant is a way in like a role, for as long as it holds.
func TestGrantsAreGroundsOfAccess(t *testing.T) {
	w := newWorld(t)
	g := w.guarded("single")
	grounds := func() (out []string) {
		for _, r := range read[[]v1.Access](g.owner.call("GET", "/access?safe_id="+g.safe+"&user_id="+g.operator.id, nil)) {
			for _, ground := range r.Grounds {
				out = append(out, ground.Rule)
				if ground.Rule == "grant" && (ground.GrantID == "" || ground.ExpiresAt == nil || ground.MemberID != "") {
					t.Errorf("%+v", ground)
				}
			}
		}
		slices.Sort(out)
		return out
	}
	if got := grounds(); !slices.Equal(got, []string{"member"}) {
		t.Errorf("before: %v", got)
	}
	grant := read[v1.AccessRequest](g.first.approves(g.operator.asks(g.safe))).GrantID
	if got := grounds(); !slices.Equal(got, []string{"grant", "member"}) {
		t.Errorf("granted: %v", got)
	}
	g.owner.call("DELETE", "/grants/"+grant, nil).want(http.StatusNoContent)
	if got := grounds(); !slices.Equal(got, []string{"member"}) {
		t.Errorf("revoked: %v", got)
	}
}
