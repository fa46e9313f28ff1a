package script

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	v1 "vaultpam/api/v1"
)

// world is a server with everybody who may come along.
type world struct {
	t       testing.TB
	p       *proc
	founder *caller // dev mode's owner: administers the instance, manages every Safe here
	foreign *caller // owner of another organization
	who     map[string]*caller
	shared  *fixture // used, with a session, a recording and a checkout
	n       atomic.Int64
}

// fixture is a Safe with what belongs to it.
type fixture struct {
	safe, resource, account string
	viewer                  string // the viewer's membership
	session, recording      string // of the operator
	checkout                string // of the operator
}

// newWorld starts a server and fills it.
func newWorld(t testing.TB, args ...string) *world {
	t.Helper()
	p := startServer(t, args...)
	w := &world{t: t, p: p, founder: p.owner(), who: map[string]*caller{}}
	w.foreign = w.founder.organization(p, "Elsewhere", "boss@elsewhere.test")
	w.who["nobody"] = p.nobody()
	w.who["outsider"] = w.foreign
	for name, role := range map[string]string{
		"stranger": "operator", "viewer": "operator", "operator": "operator", "manager": "operator",
		"auditor": "auditor", "admin": "admin", "owner": "owner",
	} {
		w.who[name] = w.founder.person(p, name+"@table.test", role)
	}
	w.who["pat-"] = w.who["manager"].pat("webhooks:read")
	w.who["pat+"] = w.who["manager"].pat(allScopes...)
	w.who["pat.admin"] = w.who["admin"].pat(allScopes...)
	w.who["instance"] = w.founder.as(t)
	for name, c := range w.who {
		c.name = name
	}
	w.shared = w.fresh()
	w.use(w.shared)
	return w
}

// allScopes are all that a token may carry.
var allScopes = func() []string {
	out := []string{"sessions:launch", "sessions:terminate", "credentials:checkout", "credentials:rotate", "requests:approve"}
	for o := range strings.FieldsSeq("safes resources accounts policies connectors members groups org webhooks sessions recordings audit requests") {
		out = append(out, o+":read", o+":write")
	}
	return out
}()

// unique is a name that nothing else has.
func (w *world) unique(kind string) string { return fmt.Sprintf("%s %d", kind, w.n.Add(1)) }

// fresh makes a Safe with a resource, an account and three members, which
// nothing else uses.
func (w *world) fresh() *fixture {
	w.t.Helper()
	f := &fixture{}
	demo := read[v1.Resource](w.founder.call("GET", "/resources/"+w.founder.safe("Demo").Bindings[0].ResourceID, nil))
	f.resource = read[v1.Resource](w.founder.call("POST", "/resources", v1.ResourceIn{
		Name: w.unique("Target"), Type: "ssh", Host: demo.Host, Port: demo.Port, HostKeys: demo.HostKeys,
	})).ID
	f.account = w.account(w.founder, f.resource, "a-password-of-a-target").ID
	f.safe = w.safe(v1.Binding{ResourceID: f.resource, AccountID: f.account})
	f.viewer = w.founder.joins(f.safe, w.who["viewer"], "viewer")
	w.founder.joins(f.safe, w.who["operator"], "operator")
	w.founder.joins(f.safe, w.who["manager"], "manager")
	return f
}

// device asks for a login as a program does.
func (w *world) device() v1.DeviceCodes {
	w.t.Helper()
	return read[v1.DeviceCodes](w.p.nobody().call("POST", "/auth/device", v1.DeviceIn{ClientName: "robot"}))
}

func (w *world) account(by *caller, resource, password string) v1.Account {
	w.t.Helper()
	return read[v1.Account](by.call("POST", "/accounts", v1.AccountIn{
		Name: w.unique("Login"), Username: "root", ResourceID: &resource, Credential: &v1.CredentialIn{Kind: "password", Value: password},
	}))
}

// safe makes a Safe of the founder that allows checkouts.
func (w *world) safe(bindings ...v1.Binding) string {
	w.t.Helper()
	return read[v1.Safe](w.founder.call("POST", "/safes", v1.SafeIn{
		Name: w.unique("Safe"), Bindings: bindings, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 600},
	})).ID
}

// use has the operator run a session and check a secret out.
func (w *world) use(f *fixture) {
	w.t.Helper()
	operator := w.who["operator"]
	f.checkout = read[v1.Checkout](operator.call("POST", "/checkouts", v1.CheckoutIn{SafeID: f.safe, AccountID: f.account})).ID
	// The session runs at the demo target, whose password the vault alone knows.
	demo := w.founder.safe("Demo").Bindings[0]
	w.founder.call("PATCH", "/safes/"+f.safe, map[string]any{"bindings": []v1.Binding{{ResourceID: f.resource, AccountID: f.account}, demo}}).want(http.StatusOK)
	ssh := w.p.runSSH(operator.email+"+"+f.safe+"+"+demo.AccountID+"@"+demo.ResourceID, "echo here I was")
	if status := ssh.wait(); status != 0 || !strings.Contains(ssh.out.String(), "here I was") {
		w.t.Fatalf("ssh: %d %s%s", status, ssh.out, ssh.errs)
	}
	eventually(w.t, 10*time.Second, "the recording is completed", func() bool {
		rows := read[[]v1.Recording](operator.call("GET", "/recordings?safe_id="+f.safe, nil))
		if len(rows) != 1 || rows[0].Status != "completed" {
			return false
		}
		f.recording, f.session = rows[0].ID, rows[0].SessionID
		return true
	})
}

// pending makes a redirection of a fresh resource that waits for a manager,
// and returns its confirmation.
func (w *world) pending() string { w.t.Helper(); return w.pendingFor(w.fresh()) }

func (w *world) pendingFor(f *fixture) string {
	w.t.Helper()
	return read[v1.Resource](w.who["admin"].call("PATCH", "/resources/"+f.resource, map[string]any{"host": "127.0.0.3"})).ConfirmationID
}

// newPublicKey is an OpenSSH line of a key that nobody keeps.
func newPublicKey() string {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}
