package target_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"vaultpam/test/target"
)

func dial(t *testing.T, s *target.SSHD, hostKey string, auth ssh.AuthMethod) (*ssh.Client, error) {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(hostKey))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.Dial("tcp", s.Addr, &ssh.ClientConfig{
		User: s.User, Auth: []ssh.AuthMethod{auth}, Timeout: 10 * time.Second,
		HostKeyCallback: ssh.FixedHostKey(key), HostKeyAlgorithms: []string{key.Type()},
	})
}

func whoami(t *testing.T, c *ssh.Client) string {
	t.Helper()
	session, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	out, err := session.Output("id -un")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestSSHDLetsItsUserInByKey(t *testing.T) {
	s := target.StartSSHD(t)
	signer, err := ssh.ParsePrivateKey([]byte(s.PrivateKeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{s.HostKeyLine, s.HostKeyLineECDSA} {
		c, err := dial(t, s, line, ssh.PublicKeys(signer))
		if err != nil {
			t.Fatalf("%v\n%s", err, s.Log())
		}
		if got := whoami(t, c); got != s.User {
			t.Errorf("logged in as %q, want %q", got, s.User)
		}
		_ = c.Close()
	}
}

func TestSSHDTakesPasswordsOnlyWhenItCanCheckThem(t *testing.T) {
	s := target.StartSSHD(t)
	if root := os.Getuid() == 0; root != (s.Password != "") {
		t.Fatalf("root: %v, but a password is offered: %v", root, s.Password != "")
	}
	if _, err := dial(t, s, s.HostKeyLine, ssh.Password("wrong")); err == nil {
		t.Fatal("a wrong password was taken")
	}
	if s.Password == "" {
		return // nothing more to promise without root
	}
	c, err := dial(t, s, s.HostKeyLine, ssh.Password(s.Password))
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	defer c.Close()
	if got := whoami(t, c); got != s.User {
		t.Errorf("logged in as %q, want %q", got, s.User)
	}
}

func TestOpenSSHClientReachesSSHD(t *testing.T) {
	s := target.StartSSHD(t)
	dir := t.TempDir()
	key, known := filepath.Join(dir, "key"), filepath.Join(dir, "known")
	if err := os.WriteFile(key, []byte(s.PrivateKeyPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(known, []byte("[127.0.0.1]:"+strconv.Itoa(s.Port)+" "+s.HostKeyLine+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(target.Need(t, "ssh"), "-F", "none", "-i", key, "-o", "UserKnownHostsFile="+known, "-o", "StrictHostKeyChecking=yes",
		"-o", "BatchMode=yes", "-p", strconv.Itoa(s.Port), s.User+"@"+s.Host, "exit 7").CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 {
		t.Fatalf("ssh: %v, want exit status 7\n%s\n%s", err, out, s.Log())
	}
}

func TestStopCutsConnectionsAndLeavesNoUser(t *testing.T) {
	s := target.StartSSHD(t)
	signer, err := ssh.ParsePrivateKey([]byte(s.PrivateKeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(t, s, s.HostKeyLine, ssh.PublicKeys(signer))
	if err != nil {
		t.Fatal(err)
	}
	cut := make(chan error, 1)
	go func() { cut <- c.Wait() }()
	s.Stop()
	select {
	case <-cut:
	case <-time.After(20 * time.Second):
		t.Fatal("the connection outlived the server")
	}
	if _, err := ssh.Dial("tcp", s.Addr, &ssh.ClientConfig{HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: time.Second}); err == nil {
		t.Fatal("the server still answers")
	}
	if s.Password != "" {
		if _, err := user.Lookup(s.User); err == nil {
			t.Errorf("the user %s is still there", s.User)
		}
	}
}

func TestTwoServersAtOnceDoNotMeet(t *testing.T) {
	a, b := target.StartSSHD(t), target.StartSSHD(t)
	if a.Addr == b.Addr || a.HostKeyLine == b.HostKeyLine || (a.Password != "" && a.User == b.User) {
		t.Fatalf("%s and %s share an address, a host key or a user", a.Addr, b.Addr)
	}
	signer, err := ssh.ParsePrivateKey([]byte(a.PrivateKeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, b, b.HostKeyLine, ssh.PublicKeys(signer)); err == nil {
		t.Fatal("the key of one server opens the other")
	}
}
