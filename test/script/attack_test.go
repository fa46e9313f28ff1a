package script

import (
	"database/sql"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	v1 "vaultpam/api/v1"
	"vaultpam/test/target"
)

// native runs the system's ssh client against the proxy: with this password,
// as user, with options in front of the destination and words behind it. The
// run ends with the test at the latest.
func (p *proc) native(t testing.TB, password, user string, options []string, command ...string) *sshRun {
	t.Helper()
	target.Need(t, "ssh")
	host, port, err := net.SplitHostPort(p.ssh)
	must(t, err)
	s := &sshRun{t: t, out: &output{}, errs: &output{}, done: make(chan struct{})}
	args := append([]string{
		"-e", "ssh", "-F", "none", "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1", "-l", user,
	}, options...)
	s.cmd = exec.Command(target.Need(t, "sshpass"), append(append(args, host), command...)...)
	s.cmd.Env = append(os.Environ(), "SSHPASS="+password)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.errs
	s.in, err = s.cmd.StdinPipe()
	must(t, err)
	must(t, s.cmd.Start())
	go func() { // ends with the client
		_ = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
	})
	return s
}

// real makes a Safe for a login at a real sshd, by this credential, of which
// the caller is the manager.
func (c *caller) real(s *target.SSHD, name string, credential v1.CredentialIn) (safe v1.Safe, account string) {
	c.t.Helper()
	resource := read[v1.Resource](c.call("POST", "/resources", v1.ResourceIn{Name: name, Type: "ssh", Host: s.Host, Port: s.Port, HostKeys: []string{s.HostKeyLine}})).ID
	account = read[v1.Account](c.call("POST", "/accounts", v1.AccountIn{Name: name, Username: s.User, ResourceID: &resource, Credential: &credential})).ID
	return read[v1.Safe](c.call("POST", "/safes", v1.SafeIn{
		Name: name, Bindings: []v1.Binding{{ResourceID: resource, AccountID: account}}, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 600},
	})), account
}

// database opens the database file of a stopped server, as whoever has the
// machine can.
func (p *proc) database(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(p.data, "vaultpam.db"))
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// events are the newest events of a type in the caller's organization.
func (c *caller) events(typ string) []v1.AuditEvent {
	c.t.Helper()
	return read[[]v1.AuditEvent](c.call("GET", "/audit-events?type="+typ, nil))
}

// dial connects to the proxy with a client that says what the system's never
// would.
func (p *proc) dial(user, password string, more ...ssh.AuthMethod) (*ssh.Client, error) {
	auth := more
	if password != "" {
		auth = append(auth, ssh.Password(password))
	}
	return ssh.Dial("tcp", p.ssh, &ssh.ClientConfig{User: user, Auth: auth, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second})
}
