package script

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	v1 "vaultpam/api/v1"
	"vaultpam/test/provider"
	"vaultpam/test/target"
)

// canary is a secret that can be recognised wherever it turns up.
type canary struct {
	name  string
	value string
	forms [][]byte // what to look for: a part of the value in every encoding
}

// marks are all canaries of a test.
type marks struct {
	t    testing.TB
	all  []*canary
	keep bool // what was looked at, for secrets that become known later
	seen []looked
}

// looked is a text, and the canaries that it may hold.
type looked struct {
	where   string
	text    []byte
	allowed []*canary
}

// plant makes a secret. Around a random middle, which is what is looked for,
// stand characters that JSON, URLs and HTML write in other ways.
func (m *marks) plant(name string) *canary {
	middle := rand.Text() + rand.Text()
	return m.add(name, `Ab1 "<`+middle+`>\&é+/=`, []byte(middle))
}

// add takes an existing secret as a canary, to be found by its parts.
func (m *marks) add(name, value string, parts ...[]byte) *canary {
	c := &canary{name: name, value: value}
	for _, p := range parts {
		c.forms = append(c.forms, p, []byte(hex.EncodeToString(p)), []byte(strings.ToUpper(hex.EncodeToString(p))))
		// In base64 the same bytes have three forms, after where they begin.
		// Their ends depend on the neighbours and are cut off.
		for shift := range 3 {
			shifted := append(make([]byte, shift), p...)
			for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := enc.EncodeToString(shifted)
				c.forms = append(c.forms, []byte(text[4:len(text)-4]))
			}
		}
	}
	m.all = append(m.all, c)
	return c
}

// found are the canaries that text holds, with the form and where it begins.
func (m *marks) found(text []byte, allowed ...*canary) (out []string) {
	for _, c := range m.all {
		if slices.Contains(allowed, c) {
			continue
		}
		for _, f := range c.forms {
			if i := bytes.Index(text, f); i >= 0 {
				out = append(out, fmt.Sprintf("the %s, as %q in %q", c.name, f, text[max(0, i-60):min(len(text), i+len(f)+20)]))
				break
			}
		}
	}
	return out
}

// look fails the test where text holds a canary that has no business there.
func (m *marks) look(where string, text []byte, allowed ...*canary) {
	m.t.Helper()
	if m.keep {
		m.seen = append(m.seen, looked{where, bytes.Clone(text), allowed})
	}
	for _, f := range m.found(text, allowed...) {
		m.t.Errorf("%s holds %s", where, f)
	}
}

// A search that finds nothing proves something only if it can find.
func TestCanariesAreRecognisedInEveryEncoding(t *testing.T) {
	t.Parallel()
	m := &marks{t: t}
	c := m.plant("secret")
	text, err := json.Marshal(map[string]any{"deep": []string{c.value}})
	must(t, err)
	for name, held := range map[string]string{
		"plain": c.value, "JSON": string(text), "JSON in JSON": strconv.Quote(string(text)), "query": url.QueryEscape(c.value), "path": url.PathEscape(c.value),
		"hex": hex.EncodeToString([]byte(c.value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(c.value))),
		"base64": base64.StdEncoding.EncodeToString([]byte(c.value)), "base64 of more": base64.URLEncoding.EncodeToString([]byte("u:" + c.value + ".")),
		"base64 shifted": base64.RawStdEncoding.EncodeToString([]byte("x" + c.value)), "half of it": c.value[:len(c.value)-4],
	} {
		if len(m.found([]byte("before "+held+" after"))) != 1 {
			t.Errorf("not recognised as %s: %s", name, held)
		}
	}
	if f := m.found([]byte(c.value), c); f != nil {
		t.Errorf("found though allowed: %s", f)
	}
}

// call makes a request and looks at the answer.
func (m *marks) call(c *caller, allowed []*canary, method, path string, body any, headers ...string) answer {
	m.t.Helper()
	a := c.call(method, path, body, headers...)
	text := bytes.Clone(a.body)
	for name, values := range a.header {
		text = fmt.Appendf(text, "\n%s: %s", name, values)
	}
	m.look("the answer to "+a.what, text, allowed...)
	return a
}

// login signs in by hand, since the token is a secret as well.
func (m *marks) login(p *proc, name, email, password string) *caller {
	m.t.Helper()
	a := p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: email, Password: password}).want(http.StatusOK)
	c := p.nobody().with(read[v1.Token](a).AccessToken)
	c.name, c.email = email, email
	m.add("login token of "+name, c.token, []byte(c.token[4:]))
	c.org = read[v1.Memberships](m.call(c, nil, "GET", "/org/memberships", nil)).ActiveOrgID
	c.id = read[v1.Me](m.call(c, nil, "GET", "/me", nil)).ID
	return c
}

// A run through the whole product with secrets that are easy to find again:
// none of them is in an answer that is not meant to hold it, in a log, in a
// file, in a process or in what is left of a crash.
func TestCanariesTurnUpNowhere(t *testing.T) {
	t.Parallel()
	m := &marks{t: t}
	owner, metrics := m.plant("owner's password"), m.plant("token of the metrics")
	p := newServer(t)
	p.env = slices.DeleteFunc(p.env, func(v string) bool { return strings.HasPrefix(v, "VAULTPAM_") || strings.HasPrefix(v, "GOTRACEBACK=") })
	elsewhere := t.TempDir()
	for name, c := range map[string]*canary{"DEV_PASSWORD": owner, "METRICS_TOKEN": metrics} {
		file := filepath.Join(elsewhere, name)
		must(t, os.WriteFile(file, []byte(c.value), 0o600))
		p.env = append(p.env, "VAULTPAM_"+name+"_FILE="+file)
	}
	p.env = append(p.env, "GOTRACEBACK=crash")
	startDumpable(p)

	boss := m.login(p, "the owner", ownerEmail, owner.value)
	m.mistakes(p, boss)
	worker, password := m.people(p, boss)
	m.use(p, boss, worker, password)

	typed := m.plant("line typed into a session")
	live := p.native(t, password.value, worker.email+"+demo", []string{"-tt"})
	_, err := fmt.Fprintf(live.in, "echo in''side; IFS= read -r line; echo he''ard\n")
	must(t, err)
	live.prints("inside")
	_, err = fmt.Fprintln(live.in, typed.value)
	must(t, err)
	live.prints("heard")
	m.processes(p)
	m.evidence(p, boss, metrics, typed)
	m.files(p)

	m.crash(p)
	m.files(p)
	p.start() // and recovers the recording
	m.files(p)
	m.look("the log", []byte(p.stderr.String()+p.stdout.String()))
}

// mistakes puts secrets where they do not belong, as people and programs do.
func (m *marks) mistakes(p *proc, boss *caller) {
	lost := m.plant("secret in a wrong place")
	text, err := json.Marshal(lost.value)
	must(m.t, err)
	in := func(format string) string { return strings.ReplaceAll(format, "$", string(text)) }
	for _, try := range []struct{ method, path, body string }{
		{"POST", "/auth/login", `{"email":$,"password":$}`},
		{"POST", "/auth/login", `{"email":"owner@example.com","password":$}`},
		{"POST", "/auth/login", `{"email":"owner@example.com","password":[$]}`},
		{"POST", "/auth/login", `{"email":"owner@example.com","password":$`},
		{"POST", "/auth/login", `$`},
		{"POST", "/auth/login", lost.value},
		{"POST", "/auth/step-up", `{"password":$}`},
		{"POST", "/auth/step-up", `{"factor":$,"code":$}`},
		{"PUT", "/me/password", `{"current_password":$,"new_password":$}`},
		{"PUT", "/me/password", `{"current_password":$,"new_password":"short"}`},
		{"POST", "/me/ssh-keys", `{"name":"x","public_key":$}`},
		{"POST", "/personal-access-tokens", `{"name":"x","scopes":[$],"expires_in_days":1}`},
		{"POST", "/personal-access-tokens", `{"name":"x","scopes":["safes:read"],"expires_in_days":$}`},
		{"POST", "/org/members", `{"email":$,"role":"operator","password":$}`},
		{"POST", "/org/members", `{"email":"a@b.test","role":$,"password":$}`},
		{"PATCH", "/org", `{"slug":$}`},
		{"PATCH", "/org", `{"idle_timeout_seconds":$}`},
		{"POST", "/resources", `{"name":"x","type":"ssh","host":$}`},
		{"POST", "/resources", `{"name":"x","type":$,"host":"h","port":$,"host_keys":[$],"host_key_policy":$,"tls":{"mode":$,"ca":$}}`},
		{"POST", "/resources", `{"name":"x","type":"ssh","host":"h","host_keys":[$],"slug":$}`},
		{"POST", "/accounts", `{"name":"x","username":"root","resource_id":$,"credential":{"kind":"password","value":$}}`},
		{"POST", "/accounts", `{"name":"x","username":"root","credential":{"kind":$,"value":$}}`},
		{"POST", "/accounts", `{"name":"x","username":"root","credential":$}`},
		{"POST", "/accounts", `{"name":"x","username":"root","credential":{"kind":"password","value":{"secret":$}}}`},
		{"POST", "/accounts", `{"name":"x","username":"root","credential":{"kind":"password","value":$,"private_key":$,"extra":$}}`},
		{"POST", "/accounts", `{"name":"x","username":"root","credential":{"kind":"ssh_key","private_key":$,"passphrase":$}}`},
		{"POST", "/accounts", `{"name":"x","username":"root","password":$,"value":$}`},
		{"POST", "/safes", `{"name":"x","approval":$,"valid_hours":{"time_zone":$,"windows":[{"days":[$],"from":$,"to":$}]},"credential_expires_at":$}`},
		{"POST", "/safes", `{"name":"x","valid_hours":{"time_zone":$,"windows":[{"days":["mon"],"from":"08:00","to":"17:00"}]}}`},
		{"POST", "/safes", `{"name":"x","bindings":[{"resource_id":$,"account_id":$}]}`},
		{"POST", "/checkouts", `{"safe_id":$,"account_id":$}`},
		{"POST", "/sessions", `{"safe_id":$,"resource_id":$}`},
	} {
		m.call(boss, nil, try.method, try.path, in(try.body))
	}
	query := url.QueryEscape(lost.value)
	for _, path := range []string{
		"/safes/", "/resources/", "/accounts/", "/checkouts/", "/sessions/", "/recordings/", "/confirmations/", "/org/members/", "/no/such/path/",
		"/safes?password=", "/safes?limit=", "/safes?cursor=", "/audit-events?from=", "/audit-events?type=", "/sessions?status=", "/recordings?safe_id=",
	} {
		if !strings.Contains(path, "?") {
			query = url.PathEscape(lost.value)
		}
		m.call(boss, nil, "GET", path+query, nil)
	}
	for _, header := range []string{"Authorization", "X-Active-Org-Id", "Cookie", "X-Request-Id"} {
		value := "Bearer " + base64.StdEncoding.EncodeToString([]byte(lost.value))
		m.call(boss, nil, "GET", "/safes", nil, header, value)
	}
	m.call(boss, nil, "PATCH", "/org", `{}`, "If-Match", base64.StdEncoding.EncodeToString([]byte(lost.value)))
	// At the SSH prompt: the password of somebody else, and one typed as a name.
	for _, user := range []string{ownerEmail, ownerEmail + "+" + lost.value, lost.value, lost.value + "@x"} {
		if p.native(m.t, lost.value, user, nil, "true").wait() == 0 {
			m.t.Errorf("%s got in with a wrong password", user)
		}
	}
}

// people makes a person who has to choose a password first, with a token.
func (m *marks) people(p *proc, boss *caller) (*caller, *canary) {
	first, second := m.plant("first password"), m.plant("chosen password")
	const email = "worker@canary.test"
	m.call(boss, nil, "POST", "/org/members", v1.MemberIn{Email: email, Role: "operator", Password: first.value}, "Idempotency-Key", "one").want(http.StatusCreated)
	m.call(boss, nil, "POST", "/org/members", v1.MemberIn{Email: email, Role: "operator", Password: first.value}, "Idempotency-Key", "one").want(http.StatusCreated)
	m.call(boss, nil, "POST", "/org/members", v1.MemberIn{Email: email, Role: "operator", Password: second.value}, "Idempotency-Key", "one").want(http.StatusUnprocessableEntity)
	var change v1.Error
	must(m.t, json.Unmarshal(p.nobody().call("POST", "/auth/login", v1.LoginIn{Email: email, Password: first.value}).want(http.StatusUnauthorized).body, &change))
	m.add("token for a password change", change.AccessToken, []byte(change.AccessToken[4:]))
	m.call(p.nobody().with(change.AccessToken), nil, "PUT", "/me/password", v1.PasswordIn{NewPassword: second.value}).want(http.StatusNoContent)
	worker := m.login(p, "a person", email, second.value)
	ask := v1.PersonalAccessTokenIn{Name: "script", Scopes: []string{"safes:read", "credentials:checkout"}, ExpiresInDays: 1}
	made := read[v1.PersonalAccessToken](worker.call("POST", "/personal-access-tokens", ask, "Idempotency-Key", "two"))
	m.add("personal access token", made.Token, []byte(made.Token[4:]))
	m.call(worker, nil, "POST", "/personal-access-tokens", ask, "Idempotency-Key", "two").want(http.StatusConflict)
	m.call(worker.with(made.Token), nil, "GET", "/safes", nil).want(http.StatusOK)
	m.call(worker.with(made.Token+"x"), nil, "GET", "/safes", nil).want(http.StatusUnauthorized)
	m.call(worker, nil, "GET", "/personal-access-tokens", nil).want(http.StatusOK)
	boss.joins(boss.safe("Demo").ID, worker, "operator")

	feed := read[v1.SCIMToken](boss.call("POST", "/org/sso/scim-tokens", v1.SCIMTokenIn{Name: "directory"}, "Idempotency-Key", "three"))
	m.add("token of a directory", feed.Token, []byte(feed.Token[4:]))
	m.call(boss, nil, "POST", "/org/sso/scim-tokens", v1.SCIMTokenIn{Name: "directory"}, "Idempotency-Key", "three").want(http.StatusConflict)
	m.call(boss, nil, "GET", "/org/sso/scim-tokens", nil).want(http.StatusOK)
	synced := &directory{caller: boss.with(feed.Token)}
	m.look("a user as a directory made them", synced.scim("POST", "/Users", map[string]any{"userName": "synced@canary.test", "password": first.value}).want(http.StatusCreated).body)
	m.look("a refusal to a directory", synced.scim("PATCH", "/Users/"+boss.id, patchOf(op("replace", "active", false), op("replace", "password", first.value))).want(http.StatusForbidden).body)
	m.look("a directory with a wrong token", (&directory{caller: boss.with(feed.Token + "x")}).scim("GET", "/Users", nil).want(http.StatusUnauthorized).body)
	m.look("a filter that is refused", synced.find("Users", `userName eq `+first.value).want(http.StatusBadRequest).body)

	m.vouching(p, boss)
	console := p.browser(email, second.value)
	m.add("cookie of the console", console.cookie, []byte(console.cookie[4:]))
	csrf := m.add("CSRF token", console.csrf, []byte(console.csrf))
	again := console.call("GET", "/auth/cookie", nil).want(http.StatusOK)
	m.look("the answer to GET /auth/cookie", again.body, csrf)
	m.look("the list of logins", console.call("GET", "/me/logins", nil).want(http.StatusOK).body)
	return worker, second
}

// vouching signs somebody in by a provider, and a program by its token.
func (m *marks) vouching(p *proc, boss *caller) {
	idp := provider.Start(m.t)
	m.add("secret of the client of a provider", idp.ClientSecret, []byte(idp.ClientSecret))
	in := v1.SSOProviderIn{Name: "Canary", Issuer: "ftp://nowhere", ClientID: idp.ClientID, ClientSecret: &idp.ClientSecret, CreateUsers: true, Enabled: true}
	m.call(boss, nil, "POST", "/org/sso/providers", in).want(http.StatusUnprocessableEntity)
	in.Issuer = idp.URL
	made := read[v1.SSOProvider](m.call(boss, nil, "POST", "/org/sso/providers", in, "Idempotency-Key", "four"))
	m.call(boss, nil, "PATCH", "/org/sso/providers/"+made.ID, map[string]any{"client_secret": idp.ClientSecret}).want(http.StatusOK)
	idp.Person("canary", "vouched@canary.test", nil)
	tab := p.opens(idp, boss.slug(), made.ID)
	code, state := tab.query.Get("code"), tab.query.Get("state")
	m.add("code of a provider", code, []byte(code))
	m.add("state of a sign-in", state, []byte(state))
	m.add("cookie of a sign-in", tab.sso, []byte(tab.sso))
	who := p.entered(tab.returns())
	m.add("cookie of somebody vouched for", who.cookie, []byte(who.cookie[4:]))
	m.look("a sign-in that is over", tab.returns().want(http.StatusUnauthorized).body)
	bot := boss.machine("bot@canary.test", "operator")
	rule := read[v1.WorkloadRule](m.call(boss, nil, "POST", "/org/sso/workload-rules", v1.WorkloadRuleIn{
		Name: "Canary", Issuer: idp.URL, UserID: bot.UserID, Scopes: []string{"safes:read"}, Conditions: []v1.WorkloadCondition{{Claim: "sub", Value: "x"}},
	}))
	for subject, status := range map[string]int{"x": http.StatusOK, "y": http.StatusUnauthorized} {
		token := idp.Token(rule.Audience, map[string]any{"sub": subject})
		m.add("token of a program", token, []byte(token[len(token)-80:]))
		a := p.exchanges(boss.org, token, "").want(status)
		if status == http.StatusOK {
			given := read[v1.TokenExchange](a).AccessToken
			m.add("token for a program", given, []byte(given[4:]))
		} else {
			m.look("a refusal of a program", a.body)
		}
	}
	m.call(boss, nil, "GET", "/org/sso/providers", nil).want(http.StatusOK)
	m.call(boss, nil, "GET", "/org/sso/identities", nil).want(http.StatusOK)
}

// use stores secrets, replaces them, reveals them and logs in with them.
func (m *marks) use(p *proc, boss, worker *caller, password *canary) {
	sshd := target.StartSSHD(m.t)
	raw, err := ssh.ParseRawPrivateKey([]byte(sshd.PrivateKeyPEM))
	must(m.t, err)
	key, ok := raw.(*ed25519.PrivateKey)
	if !ok {
		m.t.Fatalf("the target's key is a %T", raw)
	}
	phrase := m.plant("passphrase of a key")
	block, err := ssh.MarshalPrivateKeyWithPassphrase(*key, "", []byte(phrase.value))
	must(m.t, err)
	secrets := []*canary{m.add("private key", sshd.PrivateKeyPEM, key.Seed())}
	credentials := []v1.CredentialIn{{Kind: "ssh_key", PrivateKey: string(pem.EncodeToMemory(block)), Passphrase: phrase.value}}
	if sshd.Password != "" {
		secrets = append(secrets, m.add("target's password", sshd.Password, []byte(sshd.Password)))
		credentials = append(credentials, v1.CredentialIn{Kind: "password", Value: sshd.Password})
	}
	for i, credential := range credentials {
		safe, account := boss.real(sshd, "Canary "+strconv.Itoa(i), credential)
		boss.joins(safe.ID, worker, "operator")
		m.call(boss, nil, "POST", "/accounts/"+account+"/check", nil).want(http.StatusOK)
		if s := p.native(m.t, password.value, worker.email+"+"+safe.ID, nil, "echo I am in"); s.wait() != 0 || s.out.String() != "I am in\n" {
			m.t.Fatalf("%s: %s%s", credential.Kind, s.out, s.errs)
		}
		shown := read[v1.Checkout](m.call(worker, secrets[i:i+1], "POST", "/checkouts", v1.CheckoutIn{SafeID: safe.ID, Reason: "to see"}, "Idempotency-Key", "three"+account))
		if credential.Kind == "password" && shown.Value != credential.Value || shown.Value == "" {
			m.t.Errorf("%s: revealed %d bytes", credential.Kind, len(shown.Value))
		}
		m.call(worker, nil, "POST", "/checkouts", v1.CheckoutIn{SafeID: safe.ID, Reason: "to see"}, "Idempotency-Key", "three"+account).want(http.StatusConflict)
		m.call(worker, nil, "GET", "/checkouts/"+shown.ID, nil).want(http.StatusOK)
		m.call(worker, nil, "GET", "/checkouts", nil).want(http.StatusOK)

		// Another one, which the target refuses.
		wrong := m.plant("replacement of a " + credential.Kind)
		m.call(boss, nil, "PUT", "/accounts/"+account+"/credential", v1.CredentialIn{Kind: "password", Value: wrong.value}).want(http.StatusOK)
		m.call(boss, nil, "POST", "/accounts/"+account+"/check", nil)
		if s := p.native(m.t, password.value, worker.email+"+"+safe.ID, nil, "true"); s.wait() == 0 {
			m.t.Errorf("%s: a wrong password opened the target", credential.Kind)
		} else {
			m.look("what the client is told", []byte(s.out.String()+s.errs.String()))
		}
		for _, path := range []string{"", "/versions"} {
			m.call(boss, nil, "GET", "/accounts/"+account+path, nil).want(http.StatusOK)
		}
		shown = read[v1.Checkout](m.call(worker, []*canary{wrong}, "POST", "/checkouts", v1.CheckoutIn{SafeID: safe.ID}))
		if shown.Value != wrong.value {
			m.t.Errorf("revealed %q instead of %q", shown.Value, wrong.value)
		}
	}
}

// processes looks at the server's process and those that it started, which
// others may read, and at the command lines of all.
func (m *marks) processes(p *proc) {
	m.t.Helper()
	root, seen := p.cmd.Process.Pid, 0
	for _, dir := range glob(m.t, "/proc/[0-9]*") {
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue // gone meanwhile
		}
		m.look("the command line of process "+filepath.Base(dir), command)
		if pid != root && parent(pid) != root {
			continue
		}
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && len(environ) > 0 {
			seen++
		}
		m.look("the environment of "+string(command), environ)
	}
	if seen < 2 {
		m.t.Errorf("%d processes seen, not the server and its shell", seen)
	}
}

func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if err != nil || len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	out, err := filepath.Glob(pattern)
	must(t, err)
	return out
}

// evidence reads all that was written about what happened.
func (m *marks) evidence(p *proc, boss *caller, metrics, typed *canary) {
	m.t.Helper()
	// Every secret is opened and sealed anew, and all that follows is read with the new keys.
	m.call(boss, nil, "POST", "/vault/rotate-keys", nil).want(http.StatusAccepted)
	eventually(m.t, time.Minute, "the keys are rotated", func() bool {
		r := read[v1.KeyRotation](m.call(boss, nil, "GET", "/vault/rotate-keys", nil))
		if len(r.Problems) > 0 {
			m.t.Fatalf("%+v", r.Problems)
		}
		return r.State == "finished"
	})
	for _, path := range []string{
		"/me", "/me/logins", "/me/ssh-keys", "/personal-access-tokens", "/org", "/org/members", "/organizations", "/safes", "/resources", "/accounts", "/checkouts", "/confirmations", "/sessions",
		"/recordings", "/audit-events", "/audit-events?instance=true", "/audit-events/export", "/audit-events/export?format=csv", "/audit-events/export?instance=true",
		"/audit-log/checkpoint", "/vault/status",
	} {
		m.call(boss, nil, "GET", path, nil).want(http.StatusOK)
	}
	eventually(m.t, 10*time.Second, "the terminal is on record", func() bool {
		found := false
		for _, r := range read[[]v1.Recording](boss.call("GET", "/recordings", nil)) {
			a := m.call(boss, []*canary{typed}, "GET", "/recordings/"+r.ID+"/content", nil)
			found = found || strings.Contains(string(a.body), "heard")
			m.call(boss, nil, "GET", "/recordings/"+r.ID+"/verify", nil)
		}
		return found
	})
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		req, err := http.NewRequestWithContext(m.t.Context(), "GET", p.base+path, nil)
		must(m.t, err)
		req.Header.Set("Authorization", "Bearer "+metrics.value)
		resp, err := web.Do(req)
		must(m.t, err)
		text, err := io.ReadAll(resp.Body)
		must(m.t, err)
		_ = resp.Body.Close()
		m.look(path, text)
	}
	m.look("the log", []byte(p.stderr.String()+p.stdout.String()))
}

// files looks into everything below the server's directories: the database
// with its log, the recordings, and what else there may be. The file of the demo
// target, which is another machine as far as the product knows, may hold demo.
func (m *marks) files(p *proc, demo ...*canary) {
	m.t.Helper()
	var names []string
	must(m.t, filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // the database tidied up meanwhile
		}
		if filepath.Base(path) == "demo-target.json" {
			m.look(path, text, demo...)
		} else {
			m.look(path, text)
		}
		names = append(names, filepath.Base(path))
		return err
	}))
	for _, want := range []string{"vaultpam.db", "root.key"} {
		if !slices.Contains(names, want) {
			m.t.Errorf("%s is not among the files %s", want, names)
		}
	}
}

// startDumpable starts the server where a crash would leave a core file.
func startDumpable(p *proc) {
	p.t.Helper()
	var before syscall.Rlimit
	must(p.t, syscall.Getrlimit(syscall.RLIMIT_CORE, &before))
	must(p.t, syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: before.Max, Max: before.Max}))
	p.start()
	must(p.t, syscall.Setrlimit(syscall.RLIMIT_CORE, &before))
}

// crash has the server die with a dump of all stacks, as a fatal error does.
func (m *marks) crash(p *proc) {
	m.t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))
	must(m.t, err)
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		m.t.Errorf("core files are allowed:\n%s", limits)
	}
	must(m.t, p.cmd.Process.Signal(syscall.SIGQUIT))
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		m.t.Fatal("the server does not end of SIGQUIT")
	}
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.CoreDump() {
		m.t.Errorf("the server ended with %s", p.cmd.ProcessState)
	}
	if cores := append(glob(m.t, filepath.Join(p.dir, "core*")), glob(m.t, filepath.Join(p.data, "core*"))...); len(cores) > 0 {
		m.t.Errorf("the crash left %s", cores)
	}
	dump := p.stderr.String()
	if !strings.Contains(dump, "SIGQUIT") || strings.Count(dump, "\ngoroutine ") < 10 {
		m.t.Errorf("no stacks were dumped: %s", tail(dump, 2000))
	}
	m.look("the dump of the stacks", []byte(dump))
}

// Whoever runs as the same user must not read the server's memory: a process
// that cannot be dumped belongs to root in /proc, whoever it runs as. Nor does
// it leave a core file, also where no program of another user was started yet,
// which alone would make it undumpable.
func TestMemoryIsClosedToOthersOfTheSameUser(t *testing.T) {
	t.Parallel()
	p := newServer(t)
	const nobody = 65534
	if os.Getuid() == 0 {
		p.attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		must(t, os.Chown(p.dir, nobody, nobody))
		binary(t)
		for _, dir := range []string{built.dir, filepath.Dir(p.dir)} {
			must(t, os.Chmod(dir, 0o711))
		}
	}
	p.env = append(p.env, "GOTRACEBACK=crash")
	startDumpable(p)
	dir := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	status, err := os.ReadFile(dir + "/status")
	must(t, err)
	if regexp.MustCompile(`(?m)^Uid:\s+0\s`).Match(status) {
		t.Fatal("the server runs as root, who may read everything")
	}
	info, err := os.Stat(dir + "/mem")
	must(t, err)
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != 0 {
		t.Errorf("the memory belongs to %d", owner.Uid)
	}
	p.owner().call("GET", "/safes", nil).want(http.StatusOK)
	(&marks{t: t}).crash(p)
}
