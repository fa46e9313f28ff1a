package target

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSHD is a running OpenSSH server that only this test knows.
type SSHD struct {
	Addr string // Host:Port
	Host string // always 127.0.0.1
	Port int

	HostKeyLine      string // the Ed25519 host key as an OpenSSH line, without a comment
	HostKeyLineECDSA string // the second host key, of another type
	User             string
	Password         string // of User; empty when the tests do not run as root
	PrivateKeyPEM    string // in OpenSSH's format, without a passphrase; authorised for User
	Home             string // the home directory of User

	more    []string // of its configuration
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the server's process has ended
	log     string
	account *account // nil when the server runs as the present user
	once    sync.Once
}

// StartSSHD starts OpenSSH's server on a free port of 127.0.0.1 and stops it
// at the end of the test.
//
// As root it makes a system user of its own, who may log in with a password
// and with a key. Otherwise the server runs as the present user, who may log
// in with a key only, because sshd cannot read password hashes then.
//
// More lines of its configuration win over what it has anyhow.
func StartSSHD(t testing.TB, more ...string) *SSHD {
	t.Helper()
	sshd := Need(t, "sshd")
	dir, err := os.MkdirTemp("", "vptest-sshd")
	check(t, "make a directory", err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// t.TempDir is closed to the user who logs in; this has to be open.
	check(t, "open the directory", os.Chmod(dir, 0o755))

	s := &SSHD{Host: "127.0.0.1", log: filepath.Join(dir, "log"), more: more}
	t.Cleanup(s.Stop)
	s.addUser(t, dir)
	s.HostKeyLine = hostKey(t, dir, "ed25519")
	s.HostKeyLineECDSA = hostKey(t, dir, "ecdsa")
	private, authorized := newKey(t, "ed25519")
	s.PrivateKeyPEM = string(private)
	write(t, dir, "authorized_keys", []byte(authorized+"\n"), 0o644)

	// Between asking for a free port and sshd's bind somebody else may take it.
	for range 5 {
		if err = s.start(t, sshd, dir); err == nil {
			return s
		}
	}
	t.Fatalf("start sshd: %v\n%s", err, s.Log())
	return nil
}

// addUser fills in User, Password and Home.
func (s *SSHD) addUser(t testing.TB, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		u, err := user.Current()
		check(t, "find the present user", err)
		s.User, s.Home = u.Username, u.HomeDir
		return
	}
	// The directory into which sshd locks its unprivileged half; packages make
	// it at boot, which containers do not have.
	check(t, "make sshd's empty directory", os.MkdirAll("/run/sshd", 0o755))
	a, err := addAccount(filepath.Join(dir, "home"))
	check(t, "add a system user", err)
	s.account, s.User, s.Password, s.Home = a, a.name, a.password, a.home
}

// start tries one port.
func (s *SSHD) start(t testing.TB, sshd, dir string) error {
	t.Helper()
	var err error
	s.Port, err = freePort()
	check(t, "find a free port", err)
	s.Addr = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	write(t, dir, "config", []byte(s.config(dir)), 0o644)
	logFile, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	check(t, "open the log", err)
	defer logFile.Close()

	s.cmd = exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "config"))
	s.cmd.Stderr = logFile
	if err := s.cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.exited = exited
	cmd := s.cmd
	go func() { // ends with the process, which Stop kills and waits for
		_ = cmd.Wait()
		close(exited)
	}()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if greets(s.Addr) {
			return nil
		}
		select {
		case <-exited:
			return errors.New("it ended at once")
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.kill()
	return errors.New("it did not answer within 20 seconds")
}

func (s *SSHD) config(dir string) string {
	passwords := "no"
	if s.Password != "" {
		passwords = "yes"
	}
	return strings.Join(append(slices.Clone(s.more),
		"ListenAddress "+s.Addr,
		"HostKey "+filepath.Join(dir, "host_ed25519"),
		"HostKey "+filepath.Join(dir, "host_ecdsa"),
		"AuthorizedKeysFile "+filepath.Join(dir, "authorized_keys")+" .ssh/authorized_keys",
		"PidFile none",
		"UsePAM no",
		"StrictModes no", // /tmp is writable by all, which is no matter here
		"PasswordAuthentication "+passwords,
		"PubkeyAuthentication yes",
		"KbdInteractiveAuthentication no",
		"AllowUsers "+s.User,
		"AcceptEnv LANG LC_* VPTEST_*",
		"Subsystem sftp internal-sftp",
		"PrintMotd no",
		"PrintLastLog no",
		"UseDNS no",
		// Tests open hundreds of connections at once.
		"MaxStartups 1000",
		"MaxSessions 1000",
		"LogLevel VERBOSE",
	), "\n") + "\n"
}

// Stop ends the server and every connection to it, and removes its user. It
// may be called before the test ends, and more than once.
func (s *SSHD) Stop() {
	s.once.Do(func() {
		s.kill()
		if s.account != nil {
			s.account.remove()
		}
	})
}

// kill ends the server's process with all that it started, and waits for it.
func (s *SSHD) kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	// Connections are children with sessions of their own, so no process group
	// holds them all; they have to be found before their parent is gone.
	select {
	case <-s.exited:
	default:
		killTree(s.cmd.Process.Pid)
		<-s.exited
	}
}

// PID is the process that listens; each connection is a child of it.
func (s *SSHD) PID() int { return s.cmd.Process.Pid }

// Log returns what the server has written so far.
func (s *SSHD) Log() string {
	text, _ := os.ReadFile(s.log)
	return string(text)
}

// hostKey writes a new host key for sshd and returns its public line.
func hostKey(t testing.TB, dir, kind string) string {
	t.Helper()
	private, line := newKey(t, kind)
	write(t, dir, "host_"+kind, private, 0o600)
	return line
}

// newKey makes a key pair: PEM in OpenSSH's format and the public line.
func newKey(t testing.TB, kind string) (private []byte, line string) {
	t.Helper()
	var signer crypto.Signer
	var err error
	if kind == "ecdsa" {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		var key ed25519.PrivateKey
		_, key, err = ed25519.GenerateKey(rand.Reader)
		signer = key
	}
	check(t, "make a key", err)
	block, err := ssh.MarshalPrivateKey(signer, "")
	check(t, "write a key", err)
	public, err := ssh.NewPublicKey(signer.Public())
	check(t, "write a public key", err)
	return pem.EncodeToMemory(block), string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(public)))
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// greets reports whether an SSH server answers.
func greets(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	head := make([]byte, 4)
	_, err = conn.Read(head)
	return err == nil && string(head) == "SSH-"
}

func write(t testing.TB, dir, name string, data []byte, mode os.FileMode) {
	t.Helper()
	check(t, "write "+name, os.WriteFile(filepath.Join(dir, name), data, mode))
}

func check(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", what, err))
	}
}
