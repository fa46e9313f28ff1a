package script

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/test/provider"
	"vaultpam/test/samlprovider"
	"vaultpam/test/target"
)

// consoleWorld is what a scenario of the console is told.
type consoleWorld struct {
	Base     string         `json:"base"`
	Email    string         `json:"email"`
	Password string         `json:"password"`
	Printed  string         `json:"printed"` // a URL: what the server has printed, letters among it
	Shots    string         `json:"shots"`   // where pictures go
	Keep     string         `json:"keep"`    // not empty: of every page in every theme, language and size
	Chromium string         `json:"chromium"`
	Target   *consoleTarget `json:"target"`
	IDP      *consoleIDP    `json:"idp"`
	SAML     *consoleSAML   `json:"saml"`
	LDAP     *consoleLDAP   `json:"ldap"`   // of the scenario ldap alone
	Shares   []string       `json:"shares"` // of the scenario shares alone: its vault is sealed
	More     any            `json:"more"`   // of the scenarios in console_more_test.go
	Redis    *consoleRedis  `json:"redis"`  // of the scenario rotation alone
}

// consoleIDP is a provider that lets somebody in without asking; getting Person
// with sub and email says whom from then on.
type consoleIDP struct {
	Issuer       string `json:"issuer"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Person       string `json:"person"`
}

// consoleSAML is a provider of SAML that sends everybody back as nora.
type consoleSAML struct {
	MetadataURL string `json:"metadata_url"`
	Metadata    string `json:"metadata"`
}

// consoleLDAP is a directory in which nora is.
type consoleLDAP struct {
	URL      string `json:"url"`
	CA       string `json:"ca"`
	BaseDN   string `json:"base_dn"`
	BindDN   string `json:"bind_dn"`
	Password string `json:"password"`
	Nora     string `json:"nora"` // her password
}

// consoleRedis is a server at which app's password can be changed, by app and
// by the user default.
type consoleRedis struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"` // of User
	Default  string `json:"default"`  // the password of default
}

// consoleTarget is a real sshd and a login there.
type consoleTarget struct {
	Host        string `json:"host"`
	Port        int    `json:"port"`
	User        string `json:"user"`
	Password    string `json:"password"`
	PrivateKey  string `json:"private_key"`
	Fingerprint string `json:"fingerprint"`
}

// consoleTools returns the folder of the console's source and the Node.js that
// runs its tests. Without them the console is not shown to work.
func consoleTools(t *testing.T) (dir, node string) {
	t.Helper()
	dir, err := filepath.Abs("../../web")
	must(t, err)
	for _, path := range []string{"dist/index.html", "node_modules/playwright-core"} {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Fatalf("web/%s is missing: run make console before the tests, as make test does", path)
		}
	}
	out, _, status := run(t, nil, "", "../../tools/node.sh")
	if status != 0 {
		t.Fatalf("no Node.js: %s", out)
	}
	return dir, filepath.Join(strings.TrimSpace(out), "node")
}

// What of the console can be tested without a browser: evidence, transcripts,
// texts in every language.
func TestConsoleParts(t *testing.T) {
	t.Parallel()
	dir, node := consoleTools(t)
	within, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(within, node, "node_modules/vitest/vitest.mjs", "run", "--maxWorkers=1")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "NO_COLOR=1")
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// The console in a real browser: each scenario is a program in web/e2e, and
// has a server and a target to itself.
func TestConsole(t *testing.T) {
	t.Parallel()
	dir, node := consoleTools(t)
	chromium := target.Need(t, "chromium")
	scenarios, err := filepath.Glob(filepath.Join(dir, "e2e", "*.mjs"))
	must(t, err)
	if len(scenarios) < 2 {
		t.Fatalf("only %d scenarios were found", len(scenarios))
	}
	for _, scenario := range scenarios {
		name := strings.TrimSuffix(filepath.Base(scenario), ".mjs")
		if name == "lib" {
			continue
		}
		t.Run(name, func(t *testing.T) { // one after the other: a browser wants a core
			var p *proc
			var shares []string
			if name == "shares" {
				var said string
				p, said = sealedServer(t, nil, "--seal", "shamir", "--shares", "3", "--threshold", "2")
				p.args, shares = dropDeal(p.args), sharesIn(t, said)
				p.start()
			} else {
				p = startServer(t)
			}
			sshd := target.StartSSHD(t)
			key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(sshd.HostKeyLine))
			must(t, err)
			printed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, p.stdout.String()) }))
			defer printed.Close()
			idp := provider.Start(t)
			idp.Person("nora", "nora@corp.test", map[string]any{"name": "Nora", "groups": []string{"/ops"}})
			person := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				idp.Person(r.FormValue("sub"), r.FormValue("email"), nil)
			}))
			defer person.Close()
			saml := samlprovider.Start(t)
			saml.Person("nora", "nora@corp.test", "ops")
			var ldap *consoleLDAP
			if name == "ldap" {
				s := target.StartSlapd(t)
				ldap = &consoleLDAP{s.URL, s.CA, s.BaseDN, s.BindDN, s.Password, "open sesame 1"}
				s.Group("groups", "ops", s.Person("nora", "nora@example.com", ldap.Nora))
			}
			var redis *consoleRedis
			if name == "rotation" {
				l := redisPlace(t)
				redis = &consoleRedis{l.resource.Host, l.resource.Port, l.username, l.secret.Value, l.helper.Credential.Value}
			}
			shots := filepath.Join(dir, "shots", name)
			must(t, os.RemoveAll(shots))
			text, err := json.Marshal(consoleWorld{p.base, ownerEmail, ownerPassword, printed.URL, shots, os.Getenv("VAULTPAM_KEEP"), chromium, &consoleTarget{
				sshd.Host, sshd.Port, sshd.User, sshd.Password, sshd.PrivateKeyPEM, ssh.FingerprintSHA256(key),
			}, &consoleIDP{idp.URL, idp.ClientID, idp.ClientSecret, person.URL}, &consoleSAML{saml.URL, string(saml.Metadata())}, ldap, shares, consoleMore(t, name), redis})
			must(t, err)
			within, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // every page in every language, on a busy machine
			defer cancel()
			cmd := exec.CommandContext(within, node, scenario)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "E2E="+string(text))
			cmd.WaitDelay = 5 * time.Second
			begun := time.Now()
			out, err := cmd.CombinedOutput()
			t.Logf("%s, %s", time.Since(begun).Round(100*time.Millisecond), out)
			if err != nil {
				t.Errorf("%v; pictures are in web/shots/%s", err, name)
			}
		})
	}
}
