package script

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"vaultpam/test/target"
)

// The first thing that anybody tries: the document's complete example, run by
// the system's Python at a terminal.
func TestQuickstartRunsUnmodified(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	text, status := quickstart(t, p, ownerEmail, ownerPassword)
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	if !strings.Contains(text, "Safes (2):\n Demo\n Example\n") {
		t.Errorf("printed:\n%s", text)
	}
	if strings.Contains(text, ownerPassword) {
		t.Errorf("the password was shown:\n%s", text)
	}
}

func TestQuickstartTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	text, status := quickstart(t, p, ownerEmail, "not-the-password")
	if status != 1 || !strings.Contains(text, `API error 401: {"error":"AUTH_FAILED","message":"Authentication failed."`) {
		t.Errorf("exit status %d, printed:\n%s", status, text)
	}
}

func TestQuickstartPersonalAccessTokenWorksWithAndWithoutOrganization(t *testing.T) {
	t.Parallel()
	target.Need(t, "curl")
	p := startServer(t)
	owner := p.owner()
	token := owner.pat("safes:read").token
	script, err := filepath.Abs("testdata/list_safes.py")
	must(t, err)
	for name, org := range map[string]string{"named": owner.org, "the token's own": ""} {
		env := []string{"VAULTPAM_BASE_URL=" + p.base, "VAULTPAM_TOKEN=" + token, "VAULTPAM_ORG_ID=" + org}
		if out, errs, status := run(t, env, "", "/usr/bin/python3", script); out != "200 Demo Example\n" || status != 0 {
			t.Errorf("organization %s: requests: %d %q %s", name, status, out, errs)
		}
		args := []string{"-sS", "--fail", "-H", "Authorization: Bearer " + token}
		if org != "" {
			args = append(args, "-H", "X-Active-Org-Id: "+org)
		}
		out, errs, status := run(t, nil, "", "curl", append(args, p.base+"/api/v1/safes")...)
		if status != 0 || !strings.HasPrefix(out, "[") || !strings.Contains(out, `"name":"Demo"`) {
			t.Errorf("organization %s: curl: %d %q %s", name, status, out, errs)
		}
	}
}

// quickstart types e-mail and password into the example's prompts and returns
// what it printed, with line ends as programs write them.
func quickstart(t *testing.T, p *proc, email, password string) (text string, status int) {
	t.Helper()
	script, err := filepath.Abs("../../docs/quickstart.py")
	must(t, err)
	cmd := exec.Command("/usr/bin/python3", script)
	cmd.Env = append(os.Environ(), "VAULTPAM_BASE_URL="+p.base, "PYTHONIOENCODING=utf-8")
	terminal, err := pty.Start(cmd)
	must(t, err)
	defer terminal.Close()
	var shown output
	done := make(chan struct{})
	go func() { // ends when the program does: then the terminal has no writer
		defer close(done)
		_, _ = io.Copy(&shown, terminal)
	}()
	for _, step := range []struct{ prompt, answer string }{{"Email: ", email}, {"Password: ", password}} {
		eventually(t, time.Minute, "prompt "+step.prompt, func() bool { return strings.Contains(shown.String(), step.prompt) })
		_, err := io.WriteString(terminal, step.answer+"\n")
		must(t, err)
	}
	_ = cmd.Wait()
	<-done
	return strings.ReplaceAll(shown.String(), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}
