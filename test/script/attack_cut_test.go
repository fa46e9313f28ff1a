package script

import (
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// Somebody is at work on a target, with the system's client, when the right
// to be there ends. They are put out within a second of the answer that said
// so, are told why, come in no more, and all of it is on record.
func TestAttackStayingAfterTheRightHasEnded(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	sshd := target.StartSSHD(t)
	credential := v1.CredentialIn{Kind: "ssh_key", PrivateKey: sshd.PrivateKeyPEM}
	type work struct {
		who          *caller
		safe, member string
		group        string // through which they are there, in three cases
		ssh          *sshRun
	}
	for what, end := range map[string]func(w work) answer{
		"terminated": func(w work) answer {
			for _, s := range read[[]v1.Session](owner.call("GET", "/sessions?status=active", nil)) {
				if s.UserID == w.who.id {
					return owner.call("POST", "/sessions/"+s.ID+"/terminate", v1.TerminateIn{Reason: "that is enough"})
				}
			}
			return answer{}
		},
		"Safe locked":  func(w work) answer { return owner.call("POST", "/safes/"+w.safe+"/lock", nil) },
		"Safe deleted": func(w work) answer { return owner.call("DELETE", "/safes/"+w.safe, nil) },
		"account out of the Safe": func(w work) answer {
			return owner.call("PATCH", "/safes/"+w.safe, map[string]any{"bindings": []v1.Binding{}})
		},
		"out of the Safe": func(w work) answer { return owner.call("DELETE", "/safes/"+w.safe+"/members/"+w.member, nil) },
		"viewer of the Safe": func(w work) answer {
			return owner.call("PATCH", "/safes/"+w.safe+"/members/"+w.member, map[string]any{"role": "viewer"})
		},
		"auditor of the organization": func(w work) answer {
			return owner.call("PATCH", "/org/members/"+w.who.id, map[string]any{"role": "auditor"})
		},
		"suspended": func(w work) answer { return owner.call("POST", "/org/members/"+w.who.id+"/suspend", nil) },
		"out of the group": func(w work) answer {
			return owner.call("DELETE", "/org/groups/"+w.group+"/members/"+w.who.id, nil)
		},
		"group emptied": func(w work) answer {
			return owner.call("PATCH", "/org/groups/"+w.group, map[string]any{"member_ids": []string{}})
		},
		"group out of the Safe":        func(w work) answer { return owner.call("DELETE", "/safes/"+w.safe+"/members/"+w.member, nil) },
		"group deleted":                func(w work) answer { return owner.call("DELETE", "/org/groups/"+w.group, nil) },
		"revoked in a review":          func(w work) answer { return revoked(owner, w.safe, w.member) },
		"out of the group in a review": func(w work) answer { return revoked(owner, w.safe, w.who.id) },
		"out of the organization":      func(w work) answer { return owner.call("DELETE", "/org/members/"+w.who.id, nil) },
		"membership over": func(w work) answer {
			soon := time.Now().Add(100 * time.Millisecond)
			a := owner.call("PATCH", "/safes/"+w.safe+"/members/"+w.member, map[string]any{"expires_at": soon})
			time.Sleep(time.Until(soon)) // that is when the right ends
			return a
		},
	} {
		name := strings.ReplaceAll(strings.ToLower(what), " ", "-")
		safe, _ := owner.real(sshd, "Safe "+name, credential)
		w := work{who: owner.person(p, name+"@cut.test", "operator"), safe: safe.ID}
		if strings.Contains(what, "group") {
			w.group = read[v1.Group](owner.call("POST", "/org/groups", v1.GroupIn{Name: name, MemberIDs: []string{w.who.id}})).ID
			w.member = read[v1.SafeMember](owner.call("POST", "/safes/"+w.safe+"/members", v1.SafeMemberIn{GroupID: w.group, Role: "operator"})).ID
		} else {
			w.member = owner.joins(safe.ID, w.who, "operator")
		}
		w.ssh = p.native(t, ownerPassword, w.who.email+"+"+w.safe, nil, "echo ready; while :; do echo tick; sleep 0.05; done")
		w.ssh.prints("ready")
		if a := end(w); a.status != http.StatusOK && a.status != http.StatusNoContent {
			t.Errorf("%s: %d %s", what, a.status, a.body)
			continue
		}
		began := time.Now()
		status := w.ssh.wait()
		within := time.Second
		if what == "membership over" {
			within = 3 * time.Second // nobody says so: the clock is looked at once a second
		}
		if took := time.Since(began); took > within {
			t.Errorf("%s: put out after %s", what, took)
		}
		if status != 255 || !strings.Contains(w.ssh.errs.String(), "vaultpam: This session was ") {
			t.Errorf("%s: exit status %d: %s", what, status, w.ssh.errs)
		}
		if again := p.native(t, ownerPassword, w.who.email+"+"+w.safe, nil, "echo again"); what != "terminated" && (again.wait() != 255 || again.out.String() != "") {
			t.Errorf("%s: came in again: %s", what, again.out)
		}
		eventually(t, 5*time.Second, what+": the end is on record", func() bool {
			for _, s := range read[[]v1.Session](owner.call("GET", "/sessions", nil)) {
				if s.UserID == w.who.id && s.BytesOut > 0 {
					return s.Status == "ended" && s.EndReason != "" && s.EndReason != "exit"
				}
			}
			return false
		})
	}
	ended := map[string]bool{}
	for _, typ := range []string{"SESSION_ENDED", "SESSION_TERMINATED"} {
		for _, e := range owner.events(typ) {
			ended[e.Target.ID] = true
		}
	}
	eventually(t, 5*time.Second, "every recording is complete", func() bool {
		for _, r := range read[[]v1.Recording](owner.call("GET", "/recordings", nil)) {
			if r.Status != "completed" || !ended[r.SessionID] {
				return false
			}
		}
		return true
	})
}
