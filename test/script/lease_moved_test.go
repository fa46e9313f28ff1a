package script

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// A resource is pointed at another server while somebody has a user at the one
// before: that the other has no such user proves nothing.
func TestAttackRedirectionDoesNotHideAUser(t *testing.T) {
	t.Parallel()
	l, other := redisLeased(t), target.StartRedis(t)
	p := startServer(t, "--local-allow", "127.0.0.0/8,::1/128")
	owner := p.owner()
	l.place(owner)
	c := l.out(owner)
	lease := func() v1.Lease { return read[[]v1.Lease](owner.call("GET", "/leases", nil))[0] }
	at := lease().ResourceID
	pointTo := func(port int, password string) {
		t.Helper()
		owner.call("PATCH", "/resources/"+at, map[string]any{"port": port}).want(http.StatusOK)
		owner.call("PUT", "/accounts/"+l.spec.AdminAccountID+"/credential", v1.CredentialIn{Kind: "password", Value: password}).want(http.StatusOK)
	}
	_, port := addressOf(t, other.Addr)
	pointTo(port, other.Password)
	owner.call("POST", "/checkouts/"+c.ID+"/check-in", nil).want(http.StatusOK)
	eventually(t, 60*time.Second, "an attempt at the other server", func() bool { return lease().Attempts > 0 && lease().Problem == "moved" })
	if got := lease(); got.State == "revoked" || got.Place != "redis://127.0.0.1:"+strconv.Itoa(l.resource.Port) {
		t.Errorf("%+v", got)
	}
	if !l.logsIn(c.Username, c.Value) {
		t.Fatal("the user is gone, and this test shows nothing")
	}
	owner.call("POST", "/leases/"+lease().ID+"/forget", v1.LeaseForgetIn{Reason: "it is not stuck"}).want(http.StatusConflict)
	pointTo(l.resource.Port, l.admin.Credential.Value)
	owner.call("POST", "/leases/"+lease().ID+"/revoke", nil).want(http.StatusAccepted)
	l.gone(t, owner, c)
	if got := lease(); got.State != "revoked" {
		t.Errorf("%+v", got)
	}
}
