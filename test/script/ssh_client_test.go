package script

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// sshRun is a run of the system's ssh client.
type sshRun struct {
	t         testing.TB
	cmd       *exec.Cmd
	in        io.WriteCloser // what is typed; nil where nothing can be
	out, errs *output
	done      chan struct{}
}

// runSSH runs a command through the proxy with the system's client, as user, with
// the owner's password. The run ends with the test at the latest.
func (p *proc) runSSH(user, command string) *sshRun {
	p.t.Helper()
	target.Need(p.t, "ssh")
	host, port, err := net.SplitHostPort(p.ssh)
	must(p.t, err)
	s := &sshRun{t: p.t, out: &output{}, errs: &output{}, done: make(chan struct{})}
	s.cmd = exec.Command(target.Need(p.t, "sshpass"), "-e", "ssh", "-F", "none", "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1", "-l", user, host, command)
	s.cmd.Env = append(os.Environ(), "SSHPASS="+ownerPassword)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.errs
	must(p.t, s.cmd.Start())
	go func() { // ends with the client
		_ = s.cmd.Wait()
		close(s.done)
	}()
	p.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
	})
	return s
}

// prints waits until the command has printed text.
func (s *sshRun) prints(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(s.out.String(), text); {
		select {
		case <-s.done:
			if !strings.Contains(s.out.String(), text) {
				s.t.Fatalf("ssh ended with %d before %q: %s%s", s.cmd.ProcessState.ExitCode(), text, s.out.String(), s.errs.String())
			}
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("ssh does not print %q: %s%s", text, s.out.String(), s.errs.String())
		}
	}
}

// wait waits for the client's end and returns its exit status.
func (s *sshRun) wait() int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("ssh does not end: %s%s", s.out.String(), s.errs.String())
	}
	return s.cmd.ProcessState.ExitCode()
}

// Attack: an address of somebody that is a command to the shell into which the
// proposed command line is pasted.
func TestAttackAddressThatIsACommand(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	safe := owner.safe("Demo").ID
	for _, email := range []string{"o'hara@example.com", "a'`id>&2`'b@example.com", "$(id)@example.com", "-oproxycommand=id@example.com"} {
		a := owner.call("POST", "/org/members", v1.MemberIn{Email: email, Role: "operator", Password: ownerPassword, MustChangePassword: new(bool)})
		if a.status == http.StatusUnprocessableEntity {
			continue // no address at all
		}
		owner.call("POST", "/safes/"+safe+"/members", v1.SafeMemberIn{UserID: read[v1.Member](a).UserID, Role: "operator"}).want(http.StatusCreated)
		command := read[v1.Safe](p.login(email, ownerPassword).call("GET", "/safes/"+safe, nil)).SSHCommand
		out, errs, status := run(t, nil, "", "sh", "-c", `ssh() { printf '%s\n' "$#" "$3"; }; `+command)
		if want := "3\n" + email + "+demo@127.0.0.1\n"; status != 0 || out != want || errs != "" {
			t.Errorf("%s is %q to the shell, and runs %q%s", command, out, want, errs)
		}
	}
}
