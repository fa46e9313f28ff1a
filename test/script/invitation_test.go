package script

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/mailbox"
	"vaultpam/test/target"
)

var linkPattern = regexp.MustCompile(`(?m)^(\S+)/(invitation|new-password)#(vpl_\w+)$`)

// tokenIn is the token of the link in a letter, which stands alone on its line.
func tokenIn(t testing.TB, m mailbox.Message) string {
	t.Helper()
	found := linkPattern.FindStringSubmatch(m.Text)
	if found == nil {
		t.Fatalf("no link in %q", m.Text)
	}
	if !strings.Contains(m.HTML, `href="`+found[0]+`"`) {
		t.Errorf("the link is not in the HTML: %q", m.HTML)
	}
	return found[3]
}

// mailingServer starts a server that mails by box.
func mailingServer(t testing.TB, box *mailbox.Server, more ...string) *proc {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "smtp-password")
	must(t, os.WriteFile(secret, []byte("letters-22\n"), 0o600))
	return startServer(t, append([]string{
		"--smtp-address", box.Address, "--smtp-from", "VaultPAM <pam@corp.example>", "--smtp-username", "pam", "--smtp-password-file", secret, "--smtp-ca", box.CAFile,
	}, more...)...)
}

func withLogin(o mailbox.Options) mailbox.Options {
	o.Mechanisms, o.Username, o.Password = []string{"PLAIN"}, "pam", "letters-22"
	return o
}

// Two people are invited at once: one is new and chooses a password, the other
// has an account elsewhere and signs in. Both get the role in the Safe.
func TestInvitationByMailForSomebodyNewAndSomebodyKnown(t *testing.T) {
	t.Parallel()
	box := mailbox.Start(t, withLogin(mailbox.Options{}))
	p := mailingServer(t, box)
	owner := p.owner()
	known := owner.organization(p, "Elsewhere", "known@elsewhere.test")
	safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{Name: "Shared"})).ID
	invited := read[[]v1.Invitation](owner.call("POST", "/org/invitations", v1.InvitationsIn{
		Emails: []string{"New.Person@example.test", "known@elsewhere.test"}, Role: "operator", SafeIDs: []string{safe}, SafeRole: "manager", Language: "fr",
	}))
	if len(invited) != 2 || invited[0].Email != "new.person@example.test" || invited[0].Status != "pending" {
		t.Fatalf("%+v", invited)
	}
	letter := box.Wait("new.person@example.test", 1)
	toKnown := box.Wait("known@elsewhere.test", 1)
	// The letter of an invitation that ends before that is noted is taken back.
	eventually(t, 10*time.Second, "both letters are noted as sent", func() bool {
		return !slices.ContainsFunc(read[[]v1.Invitation](owner.call("GET", "/org/invitations", nil)), func(i v1.Invitation) bool { return i.Delivery == nil || i.Delivery.Status != "sent" })
	})
	if !letter.TLS || letter.From != "pam@corp.example" || !strings.HasPrefix(letter.Subject, "Invitation à rejoindre ") {
		t.Errorf("%+v", letter)
	}
	token := tokenIn(t, letter)
	nobody := p.nobody()
	shown := read[v1.InvitationShown](nobody.call("POST", "/invitations/look-up", v1.LinkIn{Token: token}))
	if shown.Known || shown.Email != "new.person@example.test" || shown.Role != "operator" || shown.OrgName == "" {
		t.Errorf("%+v", shown)
	}
	nobody.call("POST", "/invitations/accept", v1.InvitationAcceptIn{Token: token, Password: "short"}).want(http.StatusUnprocessableEntity)
	done := read[v1.InvitationAccepted](nobody.call("POST", "/invitations/accept", v1.InvitationAcceptIn{Token: token, Password: "a password of their own", Name: "New Person", Language: "de"}))
	if done.OrgID != owner.org || done.Role != "operator" {
		t.Errorf("%+v", done)
	}
	// Once.
	nobody.call("POST", "/invitations/accept", v1.InvitationAcceptIn{Token: token, Password: "a password of their own"}).want(http.StatusNotFound)
	person := p.login("new.person@example.test", "a password of their own")
	if got := read[v1.Safe](person.call("GET", "/safes/"+safe, nil)); got.Role != "manager" {
		t.Errorf("the role in the Safe is %q", got.Role)
	}

	token = tokenIn(t, toKnown)
	if shown := read[v1.InvitationShown](nobody.call("POST", "/invitations/look-up", v1.LinkIn{Token: token})); !shown.Known {
		t.Error("the account is not known")
	}
	nobody.call("POST", "/invitations/accept", v1.InvitationAcceptIn{Token: token, Password: "taking them over"}).want(http.StatusConflict)
	person.call("POST", "/me/invitations/accept", v1.LinkIn{Token: token}).want(http.StatusForbidden) // it is another's
	read[v1.InvitationAccepted](known.call("POST", "/me/invitations/accept", v1.LinkIn{Token: token}))
	here := known.as(t)
	here.org = owner.org
	if got := read[v1.Safe](here.call("GET", "/safes/"+safe, nil)); got.Role != "manager" {
		t.Errorf("the role in the Safe is %q", got.Role)
	}
	p.login("known@elsewhere.test", ownerPassword) // their password is their own
	for _, i := range read[[]v1.Invitation](owner.call("GET", "/org/invitations", nil)) {
		if i.Status != "accepted" || i.Delivery == nil || i.Delivery.Status != "sent" || i.Delivery.Attempts != 1 {
			t.Errorf("%+v %+v", i, i.Delivery)
		}
	}
	if n := len(owner.events("MEMBER_JOINED")); n != 2 {
		t.Errorf("%d people joined on record", n)
	}
}

// What an invitation gives rests on the word of whoever invited, until it is
// accepted.
func TestAttackGivingMoreByAnInvitation(t *testing.T) {
	t.Parallel()
	box := mailbox.Start(t, withLogin(mailbox.Options{}))
	p := mailingServer(t, box)
	owner := p.owner()
	admin, operator := owner.person(p, "admin@invite.test", "admin"), owner.person(p, "operator@invite.test", "operator")
	safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{Name: "Not the admin's"})).ID
	invite := func(c *caller, in v1.InvitationsIn) answer { return c.call("POST", "/org/invitations", in) }
	one := []string{"friend@invite.test"}
	for what, c := range map[string]struct {
		by     *caller
		in     v1.InvitationsIn
		status int
	}{
		"an operator":                      {operator, v1.InvitationsIn{Emails: one, Role: "operator"}, 403},
		"an owner, by an admin":            {admin, v1.InvitationsIn{Emails: one, Role: "owner"}, 403},
		"into a Safe of others":            {admin, v1.InvitationsIn{Emails: one, Role: "operator", SafeIDs: []string{safe}}, 403},
		"into a Safe that is not":          {admin, v1.InvitationsIn{Emails: one, Role: "operator", SafeIDs: []string{absent(safe)}}, 403},
		"an auditor as operator of a Safe": {owner, v1.InvitationsIn{Emails: one, Role: "auditor", SafeIDs: []string{safe}, SafeRole: "operator"}, 422},
		"a member":                         {owner, v1.InvitationsIn{Emails: []string{"admin@invite.test"}, Role: "operator"}, 422},
		"two recipients in one":            {owner, v1.InvitationsIn{Emails: []string{"a@invite.test\r\nBcc: b@invite.test"}, Role: "operator"}, 422},
		"the same twice":                   {owner, v1.InvitationsIn{Emails: []string{"a@invite.test", "A@invite.test"}, Role: "operator"}, 422},
	} {
		if got := invite(c.by, c.in); got.status != c.status {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if got := box.Messages(); len(got) != 0 {
		t.Errorf("%d letters were sent", len(got))
	}
	accept := func(token string) answer {
		return p.nobody().call("POST", "/invitations/accept", v1.InvitationAcceptIn{Token: token, Password: "a password of their own"})
	}
	// Sent anew: the link of before opens nothing.
	id := read[[]v1.Invitation](invite(owner, v1.InvitationsIn{Emails: []string{"twice@invite.test"}, Role: "operator"}))[0].ID
	first := tokenIn(t, box.Wait("twice@invite.test", 1))
	invite(owner, v1.InvitationsIn{Emails: []string{"twice@invite.test"}, Role: "operator"}).want(http.StatusUnprocessableEntity)
	owner.call("POST", "/org/invitations/"+id+"/resend", nil).want(http.StatusOK)
	second := tokenIn(t, box.Wait("twice@invite.test", 2))
	accept(first).want(http.StatusNotFound)
	// Revoked.
	owner.call("DELETE", "/org/invitations/"+id, nil).want(http.StatusNoContent)
	accept(second).want(http.StatusNotFound)
	owner.call("POST", "/org/invitations/"+id+"/resend", nil).want(http.StatusConflict)

	// The inviter is lowered, suspended or gone before it is accepted.
	for what, end := range map[string]func(id string) answer{
		"lowered": func(id string) answer {
			return owner.call("PATCH", "/org/members/"+id, map[string]any{"role": "operator"})
		},
		"suspended": func(id string) answer { return owner.call("POST", "/org/members/"+id+"/suspend", nil) },
		"gone":      func(id string) answer { return owner.call("DELETE", "/org/members/"+id, nil) },
	} {
		by := owner.person(p, what+"@invite.test", "admin")
		email := "friend-of-" + what + "@invite.test"
		read[[]v1.Invitation](invite(by, v1.InvitationsIn{Emails: []string{email}, Role: "admin"}))
		token := tokenIn(t, box.Wait(email, 1))
		if got := end(by.id); got.status >= 300 {
			t.Fatalf("%s: %d %s", what, got.status, got.body)
		}
		if got := accept(token); got.status != http.StatusConflict {
			t.Errorf("invited by somebody who is %s: %d %s", what, got.status, got.body)
		}
	}
	// The inviter manages the Safe no more: the person comes in, not into it.
	by := owner.person(p, "manager@invite.test", "admin")
	member := owner.joins(safe, by, "manager")
	read[[]v1.Invitation](invite(by, v1.InvitationsIn{Emails: []string{"late@invite.test"}, Role: "operator", SafeIDs: []string{safe}}))
	token := tokenIn(t, box.Wait("late@invite.test", 1))
	owner.call("DELETE", "/safes/"+safe+"/members/"+member, nil).want(http.StatusNoContent)
	accept(token).want(http.StatusOK)
	p.login("late@invite.test", "a password of their own").call("GET", "/safes/"+safe, nil).want(http.StatusNotFound)
}

// A mail server that is slow, refuses or is away holds nothing up, and how it
// went is to be seen.
func TestAMailServerInTroubleHoldsNothingUp(t *testing.T) {
	t.Parallel()
	var trouble atomic.Value
	trouble.Store("slow")
	released := make(chan struct{})
	box := mailbox.Start(t, withLogin(mailbox.Options{
		Delay: func(verb string) {
			if trouble.Load() == "slow" && verb == "RCPT" {
				<-released
			}
		},
		Reply: func(verb string) string {
			switch {
			case verb == "RCPT" && trouble.Load() == "refuses":
				return "550 no such user here"
			case verb == "RCPT" && trouble.Load() == "busy":
				return "451 come back later"
			}
			return ""
		},
	}))
	p := mailingServer(t, box)
	owner := p.owner()
	invite := func(email string) string {
		began := time.Now()
		i := read[[]v1.Invitation](owner.call("POST", "/org/invitations", v1.InvitationsIn{Emails: []string{email}, Role: "operator"}))[0]
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("inviting %s took %s", email, took)
		}
		return i.ID
	}
	delivery := func(id string) v1.Delivery {
		d := read[v1.Invitation](owner.call("GET", "/org/invitations/"+id, nil)).Delivery
		if d == nil {
			return v1.Delivery{}
		}
		return *d
	}
	id := invite("slow@trouble.test")
	if d := delivery(id); d.Status != "pending" {
		t.Errorf("%+v", d)
	}
	trouble.Store("none")
	close(released)
	box.Wait("slow@trouble.test", 1)

	trouble.Store("refuses")
	id = invite("nobody@trouble.test")
	eventually(t, 10*time.Second, "the refusal is to be seen", func() bool {
		d := delivery(id)
		return d.Status == "failed" && strings.Contains(d.Problem, "no such user here")
	})
	if events := owner.events("MESSAGE_NOT_DELIVERED"); len(events) != 1 || events[0].Target.ID != id {
		t.Errorf("on record: %+v", events)
	}
	trouble.Store("busy")
	id = invite("later@trouble.test")
	eventually(t, 10*time.Second, "the attempt is to be seen", func() bool {
		d := delivery(id)
		return d.Status == "pending" && d.Attempts == 1 && strings.Contains(d.Problem, "come back later")
	})
	trouble.Store("none")
	box.Wait("later@trouble.test", 1)
	eventually(t, 5*time.Second, "it is sent", func() bool { d := delivery(id); return d.Status == "sent" && d.Problem == "" && d.Attempts == 2 })
}

// No administrator chooses a password for anybody, or learns the link with which
// they do.
func TestAPasswordIsResetByALinkThatOnlyThePersonGets(t *testing.T) {
	t.Parallel()
	box := mailbox.Start(t, withLogin(mailbox.Options{}))
	p := mailingServer(t, box)
	owner := p.owner()
	admin := owner.person(p, "admin@reset.test", "admin")
	person := owner.person(p, "person@reset.test", "operator")
	foreign := owner.organization(p, "Elsewhere", "boss@elsewhere.test")
	owner.call("POST", "/org/members", v1.MemberIn{Email: "boss@elsewhere.test", Role: "operator"}).want(http.StatusCreated)
	foreign.call("POST", "/me/memberships/"+owner.org+"/accept", nil).want(http.StatusOK)
	reset := func(c *caller, id string) answer { return c.call("POST", "/org/members/"+id+"/reset-password", nil) }
	reset(person, admin.id).want(http.StatusForbidden)
	reset(admin, owner.id).want(http.StatusForbidden)                    // of a higher role
	reset(owner, foreign.id).want(http.StatusForbidden)                  // at home elsewhere
	reset(admin.pat(allScopes...), person.id).want(http.StatusForbidden) // a token never steps up

	sshd := target.StartSSHD(t)
	safe, _ := owner.real(sshd, "Work", v1.CredentialIn{Kind: "ssh_key", PrivateKey: sshd.PrivateKeyPEM})
	owner.joins(safe.ID, person, "operator")
	work := p.native(t, ownerPassword, person.email+"+"+safe.ID, nil, "echo ready; while :; do echo tick; sleep 0.05; done")
	work.prints("ready")

	if answer := reset(admin, person.id).want(http.StatusOK); strings.Contains(string(answer.body), "vpl_") {
		t.Error("the administrator gets the link")
	}
	first := tokenIn(t, box.Wait("person@reset.test", 1))
	p.login("person@reset.test", ownerPassword) // until the link is used, nothing changes
	reset(admin, person.id).want(http.StatusOK)
	second := tokenIn(t, box.Wait("person@reset.test", 2))
	choose := func(token, password string) answer {
		return p.nobody().call("POST", "/auth/new-password", v1.NewPasswordIn{Token: token, NewPassword: password})
	}
	choose(first, "another password of mine").want(http.StatusNotFound) // the later one counts
	choose(second, "short").want(http.StatusUnprocessableEntity)
	choose(second, ownerPassword).want(http.StatusUnprocessableEntity)
	p.nobody().call("POST", "/invitations/look-up", v1.LinkIn{Token: second}).want(http.StatusNotFound) // a link opens one thing
	choose(second, "another password of mine").want(http.StatusNoContent)
	choose(second, "yet another password").want(http.StatusNotFound)
	person.call("GET", "/me", nil).want(http.StatusUnauthorized)
	p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: person.email, Password: ownerPassword}).want(http.StatusUnauthorized, "AUTH_FAILED")
	p.login(person.email, "another password of mine")
	if status := work.wait(); status != 255 {
		t.Errorf("the session of the old password ended with %d", status)
	}
	if len(owner.events("PASSWORD_RESET")) != 1 || len(owner.events("PASSWORD_RESET_REQUESTED")) != 2 {
		t.Error("the reset is not on record")
	}
	// Whoever is suspended meanwhile chooses nothing.
	reset(admin, person.id).want(http.StatusOK)
	third := tokenIn(t, box.Wait("person@reset.test", 3))
	owner.call("POST", "/org/members/"+person.id+"/suspend", nil).want(http.StatusOK)
	choose(third, "a password of the suspended").want(http.StatusNotFound)
	owner.call("POST", "/org/members/"+person.id+"/resume", nil).want(http.StatusOK)
	// Whoever changes the password themself has the link voided.
	again := p.login(person.email, "another password of mine")
	again.call("PUT", "/me/password", v1.PasswordIn{CurrentPassword: "another password of mine", NewPassword: "chosen by myself"}).want(http.StatusNoContent)
	choose(third, "a password of the suspended").want(http.StatusNotFound)
}

func TestOwnershipIsHandedOver(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	heir := owner.person(p, "heir@owner.test", "operator")
	give := func(c *caller, id string) answer {
		return c.call("POST", "/org/transfer-ownership", v1.OwnershipIn{UserID: id})
	}
	give(heir, heir.id).want(http.StatusForbidden)
	give(owner.pat(allScopes...), heir.id).want(http.StatusForbidden)
	give(owner, owner.id).want(http.StatusUnprocessableEntity)
	give(owner, "usr_00000000000000000000000000").want(http.StatusNotFound)
	// The last owner cannot go, be suspended or lowered.
	owner.call("DELETE", "/org/members/"+owner.id, nil).want(http.StatusConflict)
	owner.call("POST", "/org/members/"+owner.id+"/suspend", nil).want(http.StatusConflict)
	owner.call("PATCH", "/org/members/"+owner.id, map[string]any{"role": "admin"}).want(http.StatusConflict)
	if got := read[v1.Member](give(owner, heir.id)); got.Role != "owner" {
		t.Errorf("%+v", got)
	}
	if got := read[v1.Member](heir.call("GET", "/org/members/"+owner.id, nil)); got.Role != "admin" {
		t.Errorf("the owner of before is %q", got.Role)
	}
	owner.call("PATCH", "/org/members/"+heir.id, map[string]any{"role": "admin"}).want(http.StatusForbidden)
	heir.call("DELETE", "/org/members/"+heir.id, nil).want(http.StatusConflict)
	if events := heir.events("OWNERSHIP_TRANSFERRED"); len(events) != 1 || events[0].Target.ID != heir.id {
		t.Errorf("on record: %+v", events)
	}
}
