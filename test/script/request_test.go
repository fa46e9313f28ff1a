package script

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// asks makes a request for a Safe.
func (c *caller) asks(safe string, more ...func(*v1.AccessRequestIn)) v1.AccessRequest {
	in := v1.AccessRequestIn{SafeID: safe, Reason: "disk is full", DurationSeconds: 600}
	for _, m := range more {
		m(&in)
	}
	return read[v1.AccessRequest](c.call("POST", "/access-requests", in).want(http.StatusCreated))
}

func (c *caller) approves(r v1.AccessRequest) answer {
	return c.call("POST", "/access-requests/"+r.ID+"/approve", nil)
}

// guarded is a Safe that asks for approval, with the demo target, and two
// people who may give it.
type guarded struct {
	safe            string
	first, second   *caller
	operator, owner *caller
}

func (w *world) guarded(approval string) guarded {
	w.t.Helper()
	demo := w.founder.safe("Demo").Bindings[0]
	g := guarded{owner: w.founder, operator: w.who["operator"], first: w.who["stranger"], second: w.who["admin"]}
	g.safe = read[v1.Safe](w.founder.call("POST", "/safes", v1.SafeIn{Name: w.unique("Guarded"), Bindings: []v1.Binding{demo}, Approval: approval, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 60}})).ID
	w.founder.joins(g.safe, g.operator, "operator")
	w.founder.joins(g.safe, g.first, "approver")
	w.founder.joins(g.safe, g.second, "approver")
	return g
}

func (g guarded) launches() answer {
	return g.operator.call("POST", "/sessions", v1.SessionIn{SafeID: g.safe})
}

// One person asks, two others agree, and from then on access is open for the
// time that the more careful of them gave.
func TestFourEyesOpenASafeForATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.guarded("dual")
	if a := g.launches().want(http.StatusForbidden, "APPROVAL_REQUIRED"); !strings.Contains(string(a.body), "vaultpam request guarded-") {
		t.Errorf("the refusal does not say what to do: %s", a.body)
	}
	g.operator.call("POST", "/checkouts", v1.CheckoutIn{SafeID: g.safe}).want(http.StatusForbidden, "APPROVAL_REQUIRED")
	r := g.operator.asks(g.safe, func(in *v1.AccessRequestIn) { in.Ticket = "OPS-7" })
	if r.Status != "pending" || r.Approvers != 2 || r.Ticket != "OPS-7" || r.CanDecide {
		t.Errorf("%+v", r)
	}
	g.operator.call("POST", "/access-requests", v1.AccessRequestIn{SafeID: g.safe, Reason: "again", DurationSeconds: 60}).want(http.StatusConflict)
	if todo := read[[]v1.AccessRequest](g.first.call("GET", "/access-requests?to_decide=true", nil)); len(todo) != 1 || !todo[0].CanDecide || todo[0].Reason != "disk is full" {
		t.Errorf("to decide: %+v", todo)
	}
	g.operator.approves(r).want(http.StatusForbidden)
	half := read[v1.AccessRequest](g.first.approves(r))
	if half.Status != "pending" || half.GrantID != "" || len(half.Decisions) != 1 {
		t.Errorf("after one of two: %+v", half)
	}
	g.first.approves(r).want(http.StatusConflict, "CONFLICT")
	g.launches().want(http.StatusForbidden, "APPROVAL_REQUIRED")
	g.second.call("POST", "/access-requests/"+r.ID+"/approve", v1.AccessDecideIn{DurationSeconds: 601}).want(http.StatusUnprocessableEntity)
	done := read[v1.AccessRequest](g.second.call("POST", "/access-requests/"+r.ID+"/approve", v1.AccessDecideIn{DurationSeconds: 120, Comment: "two minutes will do"}))
	if done.Status != "approved" || done.GrantID == "" || done.GrantedSeconds != 120 {
		t.Errorf("%+v", done)
	}
	grant := read[v1.Grant](g.operator.call("GET", "/grants/"+done.GrantID, nil))
	if grant.Status != "active" || grant.Approvers != 2 || grant.EndsAt.Sub(grant.StartsAt) != 2*time.Minute || grant.RequestID != r.ID {
		t.Errorf("%+v", grant)
	}
	g.launches().want(http.StatusCreated)
	g.launches().want(http.StatusCreated) // as often as they like
	g.operator.call("POST", "/checkouts", v1.CheckoutIn{SafeID: g.safe}).want(http.StatusCreated)
	if d := read[v1.AccessDecision](g.operator.call("POST", "/access-decisions", v1.AccessDecisionIn{SafeID: g.safe})); d.Decision != "allow" || !strings.HasPrefix(d.Rule, "grant gnt_") {
		t.Errorf("the dry run says %+v", d)
	}
	g.first.call("POST", "/access-requests/"+r.ID+"/reject", nil).want(http.StatusConflict)
	for typ, n := range map[string]int{"USER_ACCESS_REQUEST_CREATED": 1, "ACCESS_REQUEST_APPROVED": 2, "ACCESS_DELEGATION_GRANTED": 1} {
		if got := len(w.founder.events(typ)); got != n {
			t.Errorf("%d of %s are on record, want %d", got, typ, n)
		}
	}
}

func TestRequestsAreRejectedCancelledAndTimeOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.guarded("single")
	r := g.operator.asks(g.safe)
	g.first.call("POST", "/access-requests/"+r.ID+"/cancel", nil).want(http.StatusForbidden)
	if read[v1.AccessRequest](g.operator.call("POST", "/access-requests/"+r.ID+"/cancel", nil)).Status != "cancelled" {
		t.Error("it is not cancelled")
	}
	g.first.approves(r).want(http.StatusConflict)
	r = g.operator.asks(g.safe)
	if no := read[v1.AccessRequest](g.first.call("POST", "/access-requests/"+r.ID+"/reject", v1.AccessDecideIn{Comment: "use the runbook"})); no.Status != "rejected" || no.Decisions[0].Comment != "use the runbook" {
		t.Errorf("%+v", no)
	}
	g.launches().want(http.StatusForbidden, "APPROVAL_REQUIRED")
	w.founder.call("PATCH", "/org", map[string]any{"request_timeout_seconds": 60}).want(http.StatusOK)
	r = g.operator.asks(g.safe)
	if wait := r.ExpiresAt.Sub(r.CreatedAt); wait != time.Minute {
		t.Errorf("it waits %s", wait)
	}
}

// A requestable Safe is seen by name, asked for, and entered by the grant
// alone.
func TestRequestableSafeIsEnteredByAGrantAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	demo := w.founder.safe("Demo").Bindings[0]
	safe := read[v1.Safe](w.founder.call("POST", "/safes", v1.SafeIn{Name: "On demand", Bindings: []v1.Binding{demo}, Visibility: "requestable"}))
	hidden := read[v1.Safe](w.founder.call("POST", "/safes", v1.SafeIn{Name: "Hidden", Bindings: []v1.Binding{demo}}))
	w.founder.joins(safe.ID, w.who["viewer"], "approver")
	who := w.who["stranger"]
	who.call("POST", "/sessions", v1.SessionIn{SafeID: safe.ID}).want(http.StatusNotFound)
	who.call("POST", "/access-requests", v1.AccessRequestIn{SafeID: hidden.ID, Reason: "curious", DurationSeconds: 60}).want(http.StatusNotFound)
	w.who["auditor"].call("POST", "/access-requests", v1.AccessRequestIn{SafeID: safe.ID, Reason: "curious", DurationSeconds: 60}).want(http.StatusForbidden)
	r := who.asks(safe.ID)
	w.who["viewer"].approves(r).want(http.StatusOK)
	ssh := w.p.runSSH(who.email+"+on-demand", "echo by the grant")
	if status := ssh.wait(); status != 0 || !strings.Contains(ssh.out.String(), "by the grant") {
		t.Fatalf("%d %s %s", status, ssh.out, ssh.errs)
	}
	if sees := read[v1.Safe](who.call("GET", "/safes/"+safe.ID, nil)); len(sees.Bindings) != 0 {
		t.Errorf("a grant shows what is in the Safe: %+v", sees)
	}
	who.call("PATCH", "/safes/"+safe.ID, map[string]any{"description": "mine"}).want(http.StatusNotFound)
}

// A grant that is revoked, or over, ends the live sessions that rest on it.
func TestGrantThatEndsEndsItsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for what, end := range map[string]func(g guarded, grant string){
		"revoked": func(g guarded, grant string) {
			g.first.call("DELETE", "/grants/"+grant, nil).want(http.StatusNoContent)
		},
		"given up": func(g guarded, grant string) {
			g.operator.call("DELETE", "/grants/"+grant, nil).want(http.StatusNoContent)
		},
		"made to be less": func(g guarded, grant string) {
			g.owner.call("PATCH", "/safes/"+g.safe, map[string]any{"approval": "dual"}).want(http.StatusOK)
		},
	} {
		g := w.guarded("single")
		grant := read[v1.AccessRequest](g.first.approves(g.operator.asks(g.safe))).GrantID
		ssh := w.p.native(t, ownerPassword, g.operator.email+"+"+g.safe, nil, "echo ready; while :; do echo tick; sleep 0.05; done")
		ssh.prints("ready")
		begun := time.Now()
		end(g, grant)
		if status := ssh.wait(); status != 255 || time.Since(begun) > 3*time.Second {
			t.Errorf("%s: ended with %d after %s: %s", what, status, time.Since(begun), ssh.errs)
		}
		g.launches().want(http.StatusForbidden, "APPROVAL_REQUIRED")
	}
}

// What is approved is one command, once.
func TestApprovalOfACommandIsForItAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.guarded("single")
	const command = "echo approved and no more"
	r := g.operator.asks(g.safe, func(in *v1.AccessRequestIn) { in.Command = command })
	if r.CommandSHA256 == "" || r.Command != command {
		t.Errorf("%+v", r)
	}
	grant := read[v1.AccessRequest](g.first.approves(r)).GrantID
	g.launches().want(http.StatusForbidden, "APPROVAL_REQUIRED")
	g.operator.call("POST", "/checkouts", v1.CheckoutIn{SafeID: g.safe}).want(http.StatusForbidden, "APPROVAL_REQUIRED")
	for _, other := range []string{"echo approved and no more ", "id", command + "; id"} {
		if ssh := w.p.runSSH(g.operator.email+"+"+g.safe, other); ssh.wait() != 255 {
			t.Errorf("%q ran: %s", other, ssh.out)
		}
	}
	if ssh := w.p.runSSH(g.operator.email+"+"+g.safe, command); ssh.wait() != 0 || !strings.Contains(ssh.out.String(), "approved and no more") {
		t.Fatalf("%s%s", ssh.out, ssh.errs)
	}
	if ssh := w.p.runSSH(g.operator.email+"+"+g.safe, command); ssh.wait() != 255 {
		t.Errorf("it ran twice: %s", ssh.out)
	}
	if used := read[v1.Grant](g.operator.call("GET", "/grants/"+grant, nil)); used.Status != "used" {
		t.Errorf("%+v", used)
	}
}

// A connection that was lost in the middle of an approved command is made again
// once, and only then: not after an exit, and not beyond the cool-down.
func TestApprovedCommandIsBegunAnewOnceAfterItsConnectionWasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.guarded("single")
	const command = "echo begun; sleep 300"
	approved := func() string {
		r := g.operator.asks(g.safe, func(in *v1.AccessRequestIn) { in.Command = command })
		return read[v1.AccessRequest](g.first.approves(r)).GrantID
	}
	lose := func() {
		ssh := w.p.runSSH(g.operator.email+"+"+g.safe, command)
		eventually(t, 20*time.Second, "it runs", func() bool { return strings.Contains(ssh.out.String(), "begun") })
		must(t, ssh.cmd.Process.Kill())
		ssh.wait()
		eventually(t, 20*time.Second, "its session is over", func() bool {
			return len(read[[]v1.Session](g.owner.call("GET", "/sessions?status=active&safe_id="+g.safe, nil))) == 0
		})
	}
	refused := func(when string) {
		if ssh := w.p.runSSH(g.operator.email+"+"+g.safe, command); ssh.wait() != 255 {
			t.Errorf("%s it ran: %s", when, ssh.out)
		}
	}
	approved()
	lose()
	lose() // once more
	refused("a third time")
	ended := read[[]v1.Session](g.owner.call("GET", "/sessions?safe_id="+g.safe, nil))
	if len(ended) != 2 || ended[0].EndReason != "client disconnected" {
		t.Errorf("%+v", ended)
	}

	grant := approved()
	ssh := w.p.runSSH(g.operator.email+"+"+g.safe, command)
	eventually(t, 20*time.Second, "it runs", func() bool { return strings.Contains(ssh.out.String(), "begun") })
	g.owner.call("DELETE", "/grants/"+grant, nil).want(http.StatusNoContent)
	ssh.wait()
	refused("after the grant was revoked")

	read[v1.Org](w.founder.call("PATCH", "/org", map[string]any{"approval_cooldown_seconds": 0}))
	approved()
	lose()
	refused("without a cool-down")
}

// Nobody gets further by requests than somebody else lets them.
func TestAttackThroughRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.guarded("dual")
	t.Log("one's own request, with the role of an approver besides")
	both := read[v1.Group](w.founder.call("POST", "/org/groups", v1.GroupIn{Name: "Both", MemberIDs: []string{g.operator.id}}))
	w.founder.call("POST", "/safes/"+g.safe+"/members", v1.SafeMemberIn{GroupID: both.ID, Role: "approver"}).want(http.StatusCreated)
	r := g.operator.asks(g.safe)
	g.operator.approves(r).want(http.StatusForbidden)
	t.Log("the same person twice, at the same time")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _ = g.first.as(t).approves(r) })
	}
	wg.Wait()
	if now := read[v1.AccessRequest](g.operator.call("GET", "/access-requests/"+r.ID, nil)); now.Status != "pending" || len(now.Decisions) != 1 {
		t.Errorf("%+v", now)
	}
	t.Log("the word of somebody who is no approver any more")
	for _, m := range read[[]v1.SafeMember](w.founder.call("GET", "/safes/"+g.safe+"/members", nil)) {
		if m.UserID == g.first.id {
			w.founder.call("DELETE", "/safes/"+g.safe+"/members/"+m.ID, nil).want(http.StatusNoContent)
		}
	}
	if now := read[v1.AccessRequest](g.second.approves(r)); now.Status != "pending" || now.GrantID != "" {
		t.Errorf("a stale word counts: %+v", now)
	}
	g.first.call("POST", "/access-requests/"+r.ID+"/reject", nil).want(http.StatusNotFound)
	t.Log("a manager and an administrator who are no approvers")
	w.founder.approves(r).want(http.StatusForbidden)
	w.who["owner"].approves(r).want(http.StatusForbidden)
	t.Log("another organization's request")
	w.foreign.call("GET", "/access-requests/"+r.ID, nil).want(http.StatusNotFound)
	w.foreign.approves(r).want(http.StatusNotFound)
	t.Log("more time than was asked for, or none")
	for _, seconds := range []int{1, 59, 601, 1 << 30} {
		g.second.call("POST", "/access-requests/"+g.operator.asksAnew(g.safe).ID+"/approve", map[string]any{"duration_seconds": seconds}).want(http.StatusUnprocessableEntity)
	}
	t.Log("a longer grant than a policy lets")
	w.founder.rule(v1.PolicyIn{Name: "Short", Action: "require_approval", JIT: &v1.JIT{Approvers: 1, MaxSeconds: 300}, SafeIDs: []string{g.safe}})
	g.operator.cancels(g.safe)
	g.operator.call("POST", "/access-requests", v1.AccessRequestIn{SafeID: g.safe, Reason: "long", DurationSeconds: 301}).want(http.StatusUnprocessableEntity)
	t.Log("a request for a locked Safe")
	w.founder.call("POST", "/safes/"+g.safe+"/lock", nil).want(http.StatusOK)
	g.operator.call("POST", "/access-requests", v1.AccessRequestIn{SafeID: g.safe, Reason: "locked", DurationSeconds: 60}).want(http.StatusLocked)
	t.Log("a comment that moves the cursor of whoever reads it")
	g.operator.call("POST", "/access-requests", v1.AccessRequestIn{SafeID: g.safe, Reason: "\x1b[2Jlooks harmless", DurationSeconds: 60}).want(http.StatusUnprocessableEntity)
}

// cancels takes back what is pending for a Safe.
func (c *caller) cancels(safe string) {
	for _, r := range read[[]v1.AccessRequest](c.call("GET", "/access-requests?status=pending&safe_id="+safe+"&user_id="+c.id, nil)) {
		c.call("POST", "/access-requests/"+r.ID+"/cancel", nil).want(http.StatusOK)
	}
}

func (c *caller) asksAnew(safe string) v1.AccessRequest {
	c.cancels(safe)
	return c.asks(safe)
}

// Somebody at a terminal says why they need access, waits, and goes on when it
// is granted; a program is told at once.
func TestPersonAtATerminalWaitsForTheApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.guarded("single")
	if program := w.p.runSSH(g.operator.email+"+"+g.safe, "id"); program.wait() != 255 || !strings.Contains(program.errs.String(), "vaultpam request guarded-") {
		t.Errorf("a program: %s%s", program.out, program.errs)
	}
	person := w.p.native(t, ownerPassword, g.operator.email+"+"+g.safe, []string{"-tt"})
	person.prints("Why do you need access?")
	_, err := person.in.Write([]byte("disk ix\x7f\x7fis full\r"))
	must(t, err)
	person.prints("waiting for approval of Guarded")
	todo := read[[]v1.AccessRequest](g.first.call("GET", "/access-requests?to_decide=true", nil))
	if len(todo) != 1 || todo[0].Reason != "disk is full" || todo[0].DurationSeconds != 3600 {
		t.Fatalf("%+v", todo)
	}
	g.first.approves(todo[0]).want(http.StatusOK)
	person.prints("approved")
	_, err = person.in.Write([]byte("echo on with $((40 + 2)); exit\r"))
	must(t, err)
	person.prints("on with 42")
	if status := person.wait(); status != 0 {
		t.Errorf("it ended with %d", status)
	}

	// Another waits for a request that there is, and is told of the refusal.
	other := w.guarded("single")
	r := other.operator.asks(other.safe)
	person = w.p.native(t, ownerPassword, other.operator.email+"+"+other.safe, []string{"-tt"})
	person.prints("waiting for approval of Guarded")
	other.first.call("POST", "/access-requests/"+r.ID+"/reject", v1.AccessDecideIn{Comment: "use the runbook"}).want(http.StatusOK)
	if status := person.wait(); status != 255 || !strings.Contains(person.out.String()+person.errs.String(), "rejected: use the runbook") {
		t.Errorf("%d %s%s", status, person.out, person.errs)
	}

	// Ctrl-C stops the waiting, and leaves the request.
	r = other.operator.asks(other.safe)
	person = w.p.native(t, ownerPassword, other.operator.email+"+"+other.safe, []string{"-tt"})
	person.prints("waiting for approval of Guarded")
	_, err = person.in.Write([]byte{3})
	must(t, err)
	if status := person.wait(); status != 255 {
		t.Errorf("it ended with %d: %s%s", status, person.out, person.errs)
	}
	if still := read[v1.AccessRequest](other.operator.call("GET", "/access-requests/"+r.ID, nil)); still.Status != "pending" {
		t.Errorf("%+v", still)
	}
}

// onRequest is about a request of the operator, on which the stranger may
// decide.
func onRequest(suffix string) func(*world, *caller) ask {
	return func(w *world, _ *caller) ask {
		f := w.fresh()
		w.founder.joins(f.safe, w.who["stranger"], "approver")
		return ask{path: "/access-requests/" + w.who["operator"].asks(f.safe).ID + suffix}
	}
}

func onGrant(w *world, c *caller) ask {
	a := onRequest("")(w, c)
	return ask{path: "/grants/" + read[v1.AccessRequest](w.who["stranger"].call("POST", a.path+"/approve", nil)).GrantID}
}

var linkInLetter = regexp.MustCompile(`/approvals/(req_[0-9A-Z]{26})#([A-Za-z0-9_-]+)`)

// A letter's link is of one person and one request, and serves once.
func TestAttackLinkInALetterToAnApprover(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.guarded("single")
	link := func(to *caller, request string) (found string) {
		eventually(t, 20*time.Second, to.email+" has a letter", func() bool {
			for _, letter := range strings.Split(w.p.stdout.String(), "\nA letter to ") {
				if m := linkInLetter.FindStringSubmatch(letter); strings.HasPrefix(letter, to.email+":") && m != nil && m[1] == request {
					found = m[2]
				}
			}
			return found != ""
		})
		return found
	}
	by := func(who *caller, request, link string) answer {
		return who.call("POST", "/access-requests/"+request+"/approve", v1.AccessDecideIn{Link: link})
	}
	first := g.operator.asks(g.safe)
	theirs := link(g.first, first.ID)
	by(g.second, first.ID, theirs).want(http.StatusForbidden)
	by(g.operator, first.ID, theirs).want(http.StatusForbidden)
	for _, forged := range []string{"x", theirs[:len(theirs)-1], theirs[1:], strings.Repeat("A", len(theirs))} {
		by(g.first, first.ID, forged).want(http.StatusForbidden)
	}
	w.p.nobody().call("POST", "/access-requests/"+first.ID+"/approve", v1.AccessDecideIn{Link: theirs}).want(http.StatusUnauthorized)
	if done := read[v1.AccessRequest](by(g.first, first.ID, theirs)); done.Status != "approved" {
		t.Errorf("%+v", done)
	}
	by(g.first, first.ID, theirs).want(http.StatusConflict)
	if rows := w.founder.events("ACCESS_REQUEST_APPROVED"); len(rows) != 1 || rows[0].Metadata["by_link"] != true {
		t.Errorf("%+v", rows)
	}
	other := w.guarded("single")
	second := other.operator.asks(other.safe)
	by(g.first, second.ID, theirs).want(http.StatusForbidden)
}
