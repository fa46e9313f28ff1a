package script

import (
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// A rotation opens secrets and sends them to targets. Somebody who may say how
// one account is rotated tries to have it open, move or show what is not theirs.
func TestAttackThroughRotationSettings(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	manager, operator := owner.person(p, "manager@rotation.test", "admin"), owner.person(p, "operator@rotation.test", "operator")
	foreign := owner.organization(p, "Elsewhere", "boss@rotation.test")
	resource := func(by *caller, name string) string {
		return read[v1.Resource](by.call("POST", "/resources", v1.ResourceIn{Name: name, Type: "redis", Host: "127.0.0.1", Port: 1})).ID
	}
	account := func(by *caller, name, at string) string {
		return read[v1.Account](by.call("POST", "/accounts", v1.AccountIn{Name: name, Username: name, ResourceID: &at, Credential: &v1.CredentialIn{Kind: "password", Value: "CANARY-" + name}})).ID
	}
	safe := func(by *caller, name, at string, accounts ...string) string {
		var bindings []v1.Binding
		for _, id := range accounts {
			bindings = append(bindings, v1.Binding{ResourceID: at, AccountID: id})
		}
		return read[v1.Safe](by.call("POST", "/safes", v1.SafeIn{Name: name, Bindings: bindings})).ID
	}
	db, evil := resource(owner, "db"), resource(manager, "evil")
	root := account(owner, "root", db)
	safe(owner, "Root's", db, root)
	app := account(manager, "app", db)
	apps := safe(manager, "Apps", db, app)
	own := account(manager, "own", evil)
	owner.call("PUT", "/accounts/"+root+"/rotation", map[string]any{"check_hours": 24}).want(http.StatusOK)

	for name, try := range map[string]struct {
		by     *caller
		at     string
		body   map[string]any
		status int
	}{
		"another's account to help":            {manager, app, map[string]any{"reconcile_account_id": root}, http.StatusUnprocessableEntity},
		"another's account for a copy":         {manager, app, map[string]any{"dependents": []any{map[string]any{"resource_id": db, "account_id": root, "path": "/tmp/x"}}}, http.StatusUnprocessableEntity},
		"an own account sent elsewhere":        {manager, app, map[string]any{"dependents": []any{map[string]any{"resource_id": db, "account_id": own, "path": "/tmp/x"}}}, http.StatusUnprocessableEntity},
		"a place where it is not used":         {manager, app, map[string]any{"resource_id": evil}, http.StatusUnprocessableEntity},
		"the account itself to help":           {manager, app, map[string]any{"reconcile_account_id": app}, http.StatusUnprocessableEntity},
		"a path with detours":                  {manager, app, map[string]any{"dependents": []any{map[string]any{"resource_id": db, "account_id": app, "path": "/etc/../root/.ssh/authorized_keys"}}}, http.StatusUnprocessableEntity},
		"a key with a line feed":               {manager, app, map[string]any{"dependents": []any{map[string]any{"resource_id": db, "account_id": app, "path": "/etc/x", "key": "A\nB"}}}, http.StatusUnprocessableEntity},
		"a policy of new secrets that is weak": {manager, app, map[string]any{"generation": map[string]any{"length": 4}}, http.StatusUnprocessableEntity},
		"another's account":                    {manager, root, map[string]any{"check_hours": 1}, http.StatusForbidden},
		"as an operator who is in no Safe":     {operator, app, map[string]any{"check_hours": 1}, http.StatusNotFound},
		"from another organization":            {foreign, app, map[string]any{"check_hours": 1}, http.StatusNotFound},
		"by a token":                           {manager.pat(allScopes...), app, map[string]any{"check_hours": 1}, http.StatusForbidden},
	} {
		a := try.by.call("PUT", "/accounts/"+try.at+"/rotation", try.body)
		if a.status != try.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if strings.Contains(string(a.body), "CANARY") {
			t.Errorf("%s: the answer quotes a secret", name)
		}
	}
	for name, try := range map[string]struct {
		by     *caller
		path   string
		status int
	}{
		"rotate another's":            {manager, "/accounts/" + root + "/rotate", http.StatusForbidden},
		"rotate from elsewhere":       {foreign, "/accounts/" + app + "/rotate", http.StatusNotFound},
		"rotate in no Safe":           {operator, "/accounts/" + app + "/rotate", http.StatusNotFound},
		"rotate without the scope":    {manager.pat("accounts:write"), "/accounts/" + app + "/rotate", http.StatusForbidden},
		"retry what does not exist":   {manager, "/rotations/rot_00000000000000000000000000/retry", http.StatusNotFound},
		"upload with a token (stale)": {manager.pat(allScopes...), "/accounts/" + app + "/rotate", http.StatusForbidden},
	} {
		var body any
		if strings.HasPrefix(name, "upload") {
			body = v1.RotateIn{Credential: &v1.CredentialIn{Kind: "password", Value: "CANARY-uploaded"}}
		}
		if a := try.by.call("POST", try.path, body); a.status != try.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}

	// What is held back by a redirection that nobody has confirmed goes nowhere.
	manager.joins(apps, owner, "manager")
	manager.call("PATCH", "/org", map[string]any{}) // settings stay
	owner.call("PATCH", "/org", map[string]any{"dual_control": true}).want(http.StatusOK)
	manager.call("PATCH", "/resources/"+db, map[string]any{"port": 2}).want(http.StatusOK)
	r := read[v1.Rotation](manager.call("POST", "/accounts/"+app+"/rotate", nil))
	eventually(t, 30*time.Second, "the rotation is over", func() bool {
		r = read[v1.Rotation](manager.call("GET", "/rotations/"+r.ID, nil))
		return r.EndedAt != nil
	})
	if r.State != "failed" || r.Problem == "Host unreachable" {
		t.Errorf("%s: %s", r.State, r.Problem)
	}
	if strings.Contains(p.stderr.String(), "CANARY") || strings.Contains(p.stdout.String(), "CANARY") {
		t.Error("a secret is in the log")
	}

	// Nobody reads of rotations that are not theirs.
	for name, c := range map[string]*caller{"operator": operator, "foreign": foreign} {
		if rows := read[[]v1.Rotation](c.call("GET", "/rotations", nil)); len(rows) != 0 {
			t.Errorf("%s sees %d rotations", name, len(rows))
		}
		if rows := read[[]v1.CredentialHealth](c.call("GET", "/credential-health", nil)); len(rows) != 0 && name == "operator" {
			t.Errorf("%s sees the health of %d credentials", name, len(rows))
		}
		c.call("GET", "/rotations/"+r.ID, nil).want(http.StatusNotFound)
	}
}
