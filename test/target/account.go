package target

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

const (
	// prefix of the names of our users: what follows is the pid of the test's
	// process, so that users of killed tests can be told from users in use.
	prefix = "vptest"
	// lockPath is where only root may write, unlike /tmp.
	lockPath = "/run/vaultpam-test-users.lock"
)

var accounts atomic.Int64 // made by this process

// account is a system user that exists for one test.
type account struct {
	name, password, home string
	uid                  int
}

// addAccount makes a user with a random password and bash. Only root can.
func addAccount(home string) (*account, error) {
	a := &account{
		name:     fmt.Sprintf("%s%dx%d", prefix, os.Getpid(), accounts.Add(1)),
		password: rand.Text(),
		home:     home,
	}
	err := locked(func() error {
		sweep()
		if err := run("", "useradd", "--home-dir", home, "--create-home", "--no-log-init", "--shell", "/bin/bash", a.name); err != nil {
			return err
		}
		// Without a password the field is `!`, which sshd takes for a locked
		// account when it does not use PAM.
		return run(a.name+":"+a.password+"\n", "chpasswd")
	})
	if err != nil {
		a.remove()
		return nil, err
	}
	u, err := user.Lookup(a.name)
	if err == nil {
		a.uid, err = strconv.Atoi(u.Uid)
	}
	if err != nil {
		a.remove()
		return nil, err
	}
	return a, nil
}

// remove ends the user's processes and forgets the user.
func (a *account) remove() {
	if a.uid > 0 {
		killUser(a.uid)
	}
	_ = locked(func() error { return run("", "userdel", "--force", a.name) })
}

// sweep removes users whose test was killed before it could.
func sweep() {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), ":")
		rest, ours := strings.CutPrefix(name, prefix)
		pid, _, _ := strings.Cut(rest, "x")
		if _, err := strconv.Atoi(pid); !ours || err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join("/proc", pid)); os.IsNotExist(err) {
			_ = run("", "userdel", "--force", name)
		}
	}
}

// Alone runs f, which changes passwords of system users, while no other test
// does, nor makes users.
func Alone(t testing.TB, f func()) {
	t.Helper()
	check(t, "wait for other tests", locked(func() error { f(); return nil }))
}

// locked runs f while no other test process changes /etc/passwd: useradd gives
// up at once when it finds another one's lock.
func locked(f func() error) error {
	file, err := os.OpenFile(lockPath, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close() // gives the lock back
	for {
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err == nil {
			break
		} else if err != syscall.EINTR {
			return err
		}
	}
	return f()
}

func run(stdin, program string, args ...string) error {
	path := program
	if p := filepath.Join("/usr/sbin", program); exists(p) {
		path = p
	}
	c := exec.Command(path, args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(out))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
