package script

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	v1 "vaultpam/api/v1"
)

// A person signs in to the console; the command line gets its login from them
// and never sees a password.
func TestCommandLineSignsInByTheConsole(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	for answer, want := range map[string]string{"approve": "Signed in as " + ownerEmail, "deny": "the login was denied"} {
		config := t.TempDir()
		cmd := exec.Command(binary(t), "login", "--browser", p.base)
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+config, "VAULTPAM_TOKEN=", "VAULTPAM_BASE_URL=", "DISPLAY=", "WAYLAND_DISPLAY=")
		pipe, err := cmd.StderrPipe()
		must(t, err)
		must(t, cmd.Start())
		said := bufio.NewScanner(pipe)
		code := ""
		for code == "" && said.Scan() {
			if m := regexp.MustCompile(`approve the code ([A-Z]{4}-[A-Z]{4})`).FindStringSubmatch(said.Text()); m != nil {
				code = m[1]
			}
		}
		console := p.browser(ownerEmail, ownerPassword)
		if d := read[v1.DeviceRequest](console.call("GET", "/auth/device/"+strings.ToLower(code), nil)); !strings.HasPrefix(d.ClientName, "vaultpam on ") || d.ClientIP != "127.0.0.1" || d.Status != "pending" {
			t.Errorf("what the person sees: %+v", d)
		}
		console.call("POST", "/auth/device/"+code+"/"+answer, nil).want(http.StatusOK)
		var rest strings.Builder
		for said.Scan() {
			rest.WriteString(said.Text() + "\n")
		}
		err = cmd.Wait()
		if !strings.Contains(rest.String(), want) || (err == nil) != (answer == "approve") {
			t.Errorf("%s: %v, %s", answer, err, rest.String())
		}
		_, err = os.Stat(filepath.Join(config, "vaultpam", "login.json"))
		if (err == nil) != (answer == "approve") {
			t.Errorf("%s: the login is kept: %v", answer, err)
		}
		if err == nil {
			out, errs, status := run(t, []string{"XDG_CONFIG_HOME=" + config, "VAULTPAM_TOKEN=", "VAULTPAM_BASE_URL="}, "", binary(t), "whoami", "-o", "json")
			if status != 0 || !strings.Contains(out, ownerEmail) {
				t.Errorf("whoami: %d %s%s", status, out, errs)
			}
		}
	}
}

// Attack: whoever can get a person to open a link asks for a login, and lets
// the page approve it without the person: from another site, with a cookie
// that the browser adds by itself; or guesses the codes of others.
func TestAttackLoginApprovedBehindAPersonsBack(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	victim := p.browser(ownerEmail, ownerPassword)
	codes := read[v1.DeviceCodes](p.nobody().call("POST", "/auth/device", v1.DeviceIn{ClientName: "Your bank"}))
	approve := "/auth/device/" + codes.UserCode + "/approve"
	victim.call("POST", approve, nil, "Origin", "https://evil.example").want(http.StatusForbidden)
	victim.call("POST", approve, nil, "Sec-Fetch-Site", "cross-site").want(http.StatusForbidden)
	victim.call("POST", approve, nil, "X-CSRF-Token", "guessed").want(http.StatusForbidden)
	victim.call("GET", approve, nil).want(http.StatusMethodNotAllowed)
	p.nobody().call("POST", approve, nil).want(http.StatusUnauthorized)
	for _, code := range []string{"BCDF-GHJK", "x", "%2e%2e", "........", codes.DeviceCode} {
		victim.call("POST", "/auth/device/"+code+"/approve", nil).want(http.StatusNotFound)
	}
	// The long code is what the login is fetched with; the short one, which
	// others see, is not.
	for _, code := range []string{codes.UserCode, strings.ReplaceAll(codes.UserCode, "-", ""), ""} {
		if got := read[v1.DeviceToken](p.nobody().call("POST", "/auth/device/token", v1.DeviceTokenIn{DeviceCode: code})); got.Status != "expired" || got.AccessToken != "" {
			t.Errorf("%q: %+v", code, got)
		}
	}
	if got := read[v1.DeviceToken](p.nobody().call("POST", "/auth/device/token", v1.DeviceTokenIn{DeviceCode: codes.DeviceCode})); got.Status != "pending" {
		t.Errorf("after all that: %+v", got)
	}
	// What a program is given is no bearer token.
	p.nobody().call("GET", "/me", nil, "Authorization", "Bearer "+codes.DeviceCode).want(http.StatusUnauthorized)
}
