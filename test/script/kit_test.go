package script

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

var kitIn = v1.KitIn{Shares: 3, Threshold: 2, Reason: "for the bank's safe"}

// A kit is made at a server and opened where there is none, with an empty home
// and nothing but the file and its shares; what is in it is nowhere else.
func TestKitOpensWhereThereIsNoServer(t *testing.T) {
	t.Parallel()
	p, m := startServer(t), &marks{t: t}
	owner, secret := p.owner(), m.plant("secret of the kit")
	demo := owner.safe("Demo").Bindings[0].ResourceID
	login := func(name string, in v1.CredentialIn) v1.Binding {
		return v1.Binding{ResourceID: demo, AccountID: read[v1.Account](owner.call("POST", "/accounts", v1.AccountIn{Name: name, Username: "root", Credential: &in})).ID}
	}
	stored, made := login("Kept", v1.CredentialIn{Kind: "password", Value: secret.value}), login("Made", v1.CredentialIn{Kind: "ephemeral"})
	safe := read[v1.Safe](owner.call("POST", "/safes", v1.SafeIn{
		Name: "Core", Bindings: []v1.Binding{stored, made}, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 600},
	}))

	dir := t.TempDir()
	file, paper := filepath.Join(dir, "core.kit"), filepath.Join(dir, "paper")
	at := []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "VAULTPAM_BASE_URL=" + p.base, "VAULTPAM_TOKEN=" + owner.token, "VAULTPAM_ORG_ID=" + owner.org}
	seal := []string{"break-glass", "kit", safe.Slug, "--out", file, "--shares-to", paper, "--shares", "3", "--threshold", "2", "--reason", "for the bank's safe"}
	out, errs, status := run(t, at, "", binary(t), seal...)
	if status != 0 || !strings.Contains(errs, "Made ("+made.AccountID+") is not in it") {
		t.Fatalf("%d %s%s", status, out, errs)
	}
	m.look("what was printed", []byte(out+errs))
	var shares []string
	for i := range 3 {
		text, err := os.ReadFile(filepath.Join(paper, fmt.Sprintf("share-%d.txt", i+1)))
		must(t, err)
		shares = append(shares, strings.TrimSpace(string(text)))
		m.add("share", shares[i], []byte(shares[i][30:]))
	}
	for _, name := range []string{file, filepath.Join(paper, "share-1.txt")} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if _, errs, status := run(t, at, "", binary(t), seal...); status == 0 {
		t.Errorf("a kit was written over: %s", errs)
	}
	events := owner.events("BREAK_GLASS_KIT_CREATED")
	if len(events) != 1 || events[0].Category != "emergency" || events[0].Target.ID != safe.ID || fmt.Sprint(events[0].Metadata["versions"]) != "["+stored.AccountID+"@1]" {
		t.Fatalf("%+v", events)
	}
	other := read[v1.Kit](owner.call("POST", "/safes/"+safe.ID+"/break-glass-kit", kitIn).want(http.StatusCreated))
	if len(other.Shares) != 3 || other.Accounts != 1 || len(other.LeftOut) != 1 {
		t.Errorf("%d shares, %+v", len(other.Shares), other.LeftOut)
	}
	m.look("a kit", []byte(other.Kit))
	for _, path := range []string{"/audit-events", "/audit-events/export", "/safes/" + safe.ID, "/accounts/" + stored.AccountID} {
		m.call(owner, nil, "GET", path, nil).want(http.StatusOK)
	}
	m.files(p)
	p.stop()
	m.files(p)
	m.look("the log", []byte(p.stderr.String()+p.stdout.String()))

	// The machine without the server.
	alone := t.TempDir()
	away := []string{"HOME=" + alone, "XDG_CONFIG_HOME=" + alone, "VAULTPAM_BASE_URL=", "VAULTPAM_TOKEN=", "VAULTPAM_ORG_ID="}
	open := func(file, typed string, more ...string) (string, string, int) {
		t.Helper()
		return run(t, away, typed, binary(t), append([]string{"break-glass", "open", file}, more...)...)
	}
	share := func(n int) string { return filepath.Join(paper, fmt.Sprintf("share-%d.txt", n)) }
	for _, way := range [][]string{{"", "--share-file", share(1), "--share-file", share(3)}, {shares[1] + "\n" + strings.ToUpper(shares[0]) + "\n"}, {shares[2] + "\n", "--share-file", share(2)}} {
		out, errs, status := open(file, way[0], append(way[1:], "-o", "json")...)
		var got []struct {
			Username, Kind, Value string
			Version               int
			AccountID             string        `json:"account_id"`
			Resources             []v1.Resource `json:"resources"`
		}
		if err := json.Unmarshal([]byte(out), &got); status != 0 || err != nil || len(got) != 1 || got[0].Value != secret.value || got[0].Username != "root" || got[0].AccountID != stored.AccountID || got[0].Version != 1 || len(got[0].Resources) != 1 || got[0].Resources[0].Port == 0 {
			t.Errorf("%d %v %s %+v", status, err, errs, got)
		}
		if !strings.Contains(errs, "opens with 2 of 3 shares") {
			t.Errorf("%s", errs)
		}
	}
	left, err := os.ReadDir(alone)
	if err != nil || len(left) > 0 {
		t.Errorf("opening left %v, %v", left, err)
	}

	text, err := os.ReadFile(file)
	must(t, err)
	bent := filepath.Join(dir, "bent.kit")
	must(t, os.WriteFile(bent, bytes.Replace(text, []byte(`"safe":"Core"`), []byte(`"safe":"Cord"`), 1), 0o600))
	short := filepath.Join(dir, "short.kit")
	must(t, os.WriteFile(short, text[:len(text)-9], 0o600))
	for name, c := range map[string]struct {
		file, typed, words string
		status             int
		more               []string
	}{
		"too few shares":      {file, shares[0] + "\n", "fewer shares than this kit needs", 1, []string{"-o", "json"}},
		"one share twice":     {file, shares[0] + "\n" + shares[0] + "\n", "given already", 1, []string{"-o", "json"}},
		"another kit's share": {file, shares[0] + "\n" + other.Shares[1] + "\n", "not of this kit", 1, []string{"-o", "json"}},
		"a mistyped share":    {file, shares[0][:len(shares[0])-1] + "\n", "mistyped or cut short", 1, []string{"-o", "json"}},
		"an altered header":   {bent, shares[0] + "\n" + shares[1] + "\n", "does not open", 1, []string{"-o", "json"}},
		"a short file":        {short, shares[0] + "\n" + shares[1] + "\n", "damaged or cut short", 1, []string{"-o", "json"}},
		"no kit":              {share(1), "", "not a kit", 1, []string{"-o", "json"}},
		"into a pipe":         {file, shares[0] + "\n" + shares[1] + "\n", "-o json", 2, nil},
	} {
		out, errs, status := open(c.file, c.typed, c.more...)
		if status != c.status || !strings.Contains(errs, c.words) || out != "" {
			t.Errorf("%s: %d %s%s", name, status, out, errs)
		}
		m.look("the refusal of "+name, []byte(errs))
	}
}

// A kit is every secret of a Safe at once: whoever is not its manager, freshly
// signed in, and allowed to check each of them out, gets none.
func TestAttackKit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.fresh()
	path := "/safes/" + f.safe + "/break-glass-kit"
	manager := w.who["manager"]
	for name, c := range map[string]struct {
		status int
		code   string
	}{
		"operator": {403, "FORBIDDEN"}, "viewer": {403, "FORBIDDEN"}, "stranger": {404, "NOT_FOUND"}, "outsider": {404, "NOT_FOUND"}, "nobody": {401, ""},
		"admin": {403, "FORBIDDEN"}, "owner": {403, "FORBIDDEN"}, "auditor": {403, "FORBIDDEN"}, "pat+": {403, ""}, "pat.admin": {403, ""},
	} {
		a := w.who[name].call("POST", path, kitIn).want(c.status)
		if c.code != "" && a.code() != c.code || bytes.Contains(a.body, []byte("vpshare1-")) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	for _, in := range []v1.KitIn{{Shares: 3, Threshold: 1, Reason: "x"}, {Shares: 2, Threshold: 3, Reason: "x"}, {Shares: 256, Threshold: 3, Reason: "x"}, {Shares: 3, Threshold: 2}} {
		manager.call("POST", path, in).want(http.StatusUnprocessableEntity)
	}
	weigh := func(change map[string]any) { w.founder.call("PATCH", "/safes/"+f.safe, change).want(http.StatusOK) }
	weigh(map[string]any{"checkout": v1.CheckoutRules{Enabled: false}})
	manager.call("POST", path, kitIn).want(http.StatusForbidden, "FORBIDDEN")
	weigh(map[string]any{"checkout": v1.CheckoutRules{Enabled: true, TTLSeconds: 600}, "approval": "dual"})
	manager.call("POST", path, kitIn).want(http.StatusForbidden, "APPROVAL_REQUIRED")
	weigh(map[string]any{"approval": "none"})
	w.founder.call("POST", "/safes/"+f.safe+"/lock", nil).want(http.StatusOK)
	manager.call("POST", path, kitIn).want(http.StatusLocked, "SAFE_LOCKED")
	w.founder.call("POST", "/safes/"+f.safe+"/unlock", nil).want(http.StatusOK)
	if refused := w.founder.events("BREAK_GLASS_REFUSED"); len(refused) < 8 {
		t.Errorf("%d refusals on record", len(refused))
	}
	if made := w.founder.events("BREAK_GLASS_KIT_CREATED"); len(made) != 0 {
		t.Errorf("made: %+v", made)
	}

	// A login of an hour ago, as if its token had been found.
	w.p.stop()
	_, err := w.p.database(t).Exec(`UPDATE logins SET step_up_at = ?`, time.Now().Add(-time.Hour).UnixMicro())
	must(t, err)
	w.p.start()
	manager.call("POST", path, kitIn).want(http.StatusForbidden, "STEP_UP_REQUIRED")
	manager.call("POST", "/auth/step-up", v1.StepUpIn{Password: ownerPassword}).want(http.StatusOK)
	manager.call("POST", path, kitIn).want(http.StatusCreated)
	owner := w.who["owner"]
	owner.call("POST", "/auth/step-up", v1.StepUpIn{Password: ownerPassword}).want(http.StatusOK)
	owner.call("PATCH", "/org", map[string]any{"dual_control": true}).want(http.StatusOK)
	if a := manager.call("POST", path, kitIn).want(http.StatusConflict, "CONFLICT"); !strings.Contains(string(a.body), "dual control") {
		t.Errorf("%s", a.body)
	}
	w.founder.call("POST", "/auth/step-up", v1.StepUpIn{Password: ownerPassword}).want(http.StatusOK)
	w.founder.call("POST", "/vault/seal", nil).want(http.StatusOK)
	manager.call("POST", path, kitIn).want(http.StatusServiceUnavailable)
}
