package sshtarget

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vaultpam/internal/secret"
	"vaultpam/test/target"
)

// odd holds every printable character, and some that are not ASCII.
const odd = " !\"#$%&'()*+,-./0123456789:;<=>?@AZ[\\]^_`az{|}~ żółć 密碼 "

func connect(t *testing.T, s *target.SSHD) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("system users can be made by root only: run the tests as root")
	}
}

// by logs in to a server as somebody, by password or by the server's key.
func by(s *target.SSHD, user, password string) Options {
	return Options{HostKeys: []string{s.HostKeyLine}, Username: user, Login: func(context.Context) (Credential, error) {
		if password != "" {
			return Credential{Password: secret.FromString(password)}, nil
		}
		return Credential{PrivateKey: secret.FromString(s.PrivateKeyPEM)}, nil
	}}
}

func credential(c Credential) func(context.Context) (Credential, error) {
	return func(context.Context) (Credential, error) { return c, nil }
}

func lets(t *testing.T, s *target.SSHD, password string, want error) {
	t.Helper()
	if err := Check(t.Context(), connect(t, s), by(s, s.User, password)); !errors.Is(err, want) {
		t.Errorf("%q: %v, want %v", password, err, want)
	}
}

// sudoer permits commands to the user of a server until the test ends.
func sudoer(t *testing.T, s *target.SSHD, permits ...string) {
	t.Helper()
	path := filepath.Join("/etc/sudoers.d", s.User)
	text := ""
	for _, p := range permits {
		text += s.User + " ALL=" + p + "\n"
	}
	target.Need(t, "sudo")
	t.Cleanup(func() { _ = os.Remove(path) })
	if err := os.WriteFile(path, []byte(text), 0o440); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAccountChangesItsOwnPassword(t *testing.T) {
	needRoot(t)
	s := target.StartSSHD(t)
	old := s.Password
	for i, next := range []string{"Ordinary-next-1", odd, `quote'" $(id) \ ; : # end!`, strings.Repeat("Zq7-", 60)} {
		o := by(s, s.User, old)
		if i == 2 { // who logs in by key knows the password all the same
			o = by(s, s.User, "")
		}
		target.Alone(t, func() {
			if err := ChangePassword(t.Context(), connect(t, s), o, secret.FromString(next), secret.FromString(old)); err != nil {
				t.Fatalf("%q: %v", next, err)
			}
		})
		lets(t, s, next, nil)
		lets(t, s, old, ErrAuth)
		old = next
	}
}

func TestRefusalsOfPasswdAreUnderstood(t *testing.T) {
	needRoot(t)
	s := target.StartSSHD(t)
	for name, c := range map[string]struct{ next, old, word string }{
		"the same":       {s.Password, s.Password, "unchanged"},
		"too short":      {"x1!", s.Password, "rules"},
		"another old":    {"Ordinary-next-1", "not-the-old-one", "unchanged"},
		"with a newline": {"Ordinary\nnext-1", s.Password, "control"},
		"with an ETX":    {"Ordinary\x03next-1", s.Password, "control"},
		"no text":        {"Ordinary\xffnext-1", s.Password, "control"},
		"endless":        {strings.Repeat("x", maxPassword+1), s.Password, "control"},
		"empty":          {"", s.Password, "control"},
	} {
		target.Alone(t, func() {
			err := ChangePassword(t.Context(), connect(t, s), by(s, s.User, ""), secret.FromString(c.next), secret.FromString(c.old))
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.word) || (c.next != "" && strings.Contains(err.Error(), c.next)) {
				t.Errorf("%s: %v, want %v", name, err, ErrRefused)
			}
		})
	}
	lets(t, s, s.Password, nil)
}

// An account whose password was reset by its administrator meets passwd before
// anything else.
func TestExpiredPasswordIsChangedAtTheLogin(t *testing.T) {
	needRoot(t)
	s := target.StartSSHD(t)
	target.Alone(t, func() {
		if out, err := exec.Command(target.Need(t, "chage"), "-d", "0", s.User).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		must(t, ChangePassword(t.Context(), connect(t, s), by(s, s.User, s.Password), secret.FromString("Ordinary-next-1"), secret.FromString(s.Password)))
	})
	lets(t, s, "Ordinary-next-1", nil)
	lets(t, s, s.Password, ErrAuth)
}

func TestPrivilegedAccountsSetPasswords(t *testing.T) {
	needRoot(t)
	s := target.StartSSHD(t)
	root := target.StartSSHD(t, "AllowUsers root")
	rotator := target.StartSSHD(t)
	sudoer(t, rotator, "(root) NOPASSWD: /usr/sbin/chpasswd")
	old := s.Password
	for i, next := range []string{odd, ":begins with a colon", `$(touch /tmp/x) '"; \n`, "Ordinary-next-1"} {
		o, at := by(root, "root", ""), root
		if i%2 == 1 {
			o, at = by(rotator, rotator.User, ""), rotator
		}
		target.Alone(t, func() { must(t, SetPassword(t.Context(), connect(t, at), o, s.User, secret.FromString(next))) })
		lets(t, s, next, nil)
		lets(t, s, old, ErrAuth)
		old = next
	}

	next := secret.FromString("Never-taken-1")
	for name, err := range map[string]error{
		"nobody":            SetPassword(t.Context(), connect(t, root), by(root, "root", ""), "vptestnobody", next),
		"not permitted":     SetPassword(t.Context(), connect(t, s), by(s, s.User, ""), "root", next),
		"two lines":         SetPassword(t.Context(), connect(t, root), by(root, "root", ""), s.User, secret.FromString("x\nroot:y")),
		"a name with more":  SetPassword(t.Context(), connect(t, root), by(root, "root", ""), s.User+":x", next),
		"an option":         SetPassword(t.Context(), connect(t, root), by(root, "root", ""), "-e", next),
		"a command":         SetPassword(t.Context(), connect(t, root), by(root, "root", ""), "$(id)", next),
		"an empty password": SetPassword(t.Context(), connect(t, root), by(root, "root", ""), s.User, secret.Value{}),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want %v", name, err, ErrRefused)
		}
	}
	lets(t, s, old, nil)
}

// Whoever may list processes while a password changes sees none.
func TestAttackPasswordsInListsOfProcesses(t *testing.T) {
	needRoot(t)
	const canary = "Canary-8d21-next"
	s := target.StartSSHD(t)
	root := target.StartSSHD(t, "AllowUsers root")
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	env := filepath.Join(s.Home, "env")
	must(t, os.WriteFile(env, []byte("TOKEN=old\n"), 0o600))
	owned(t, s, env)

	stop, seen := make(chan struct{}), make(chan map[string]bool)
	go func() { // ends when it is told to
		found := map[string]bool{}
		for {
			select {
			case <-stop:
				seen <- found
				return
			default:
			}
			names, _ := filepath.Glob("/proc/[0-9]*")
			for _, p := range names {
				for _, f := range []string{"cmdline", "environ"} {
					text, _ := os.ReadFile(filepath.Join(p, f))
					for _, w := range []string{canary, "chpasswd", "passwd", "mktemp"} {
						if f == "cmdline" && strings.Contains(string(text), w) || w == canary && strings.Contains(string(text), w) {
							found[w] = true
						}
					}
				}
			}
		}
	}()
	target.Alone(t, func() {
		for i := range 5 {
			next := fmt.Sprintf("%s-%d", canary, i)
			must(t, SetPassword(t.Context(), connect(t, root), by(root, "root", ""), s.User, secret.FromString(next)))
			must(t, ChangePassword(t.Context(), connect(t, s), by(s, s.User, next), secret.FromString(next+"x"), secret.FromString(next)))
			must(t, UpdateFile(t.Context(), connect(t, s), by(s, s.User, next+"x"), File{Path: env, Key: "TOKEN"}, secret.FromString(next)))
		}
	})
	close(stop)
	found := <-seen
	if found[canary] {
		t.Error("the password stood in a list of processes")
	}
	if !found["passwd"] {
		t.Error("the list of processes was not looked at in time")
	}
	for name, log := range map[string]string{"ssh": s.Log(), "root": root.Log()} {
		if strings.Contains(log, canary) {
			t.Errorf("%s: the password is in the log", name)
		}
	}
}

func TestServerKilledInTheMidstLeavesTheChangeOpen(t *testing.T) {
	needRoot(t)
	for _, n := range []int{3, 7, 10} { // messages after the host key was verified
		s := target.StartSSHD(t)
		o := by(s, s.User, "")
		conn := &killing{Conn: connect(t, s), kill: s.Stop}
		login := o.Login
		o.Login = func(ctx context.Context) (Credential, error) {
			conn.after(n)
			return login(ctx)
		}
		err := ChangePassword(t.Context(), conn, o, secret.FromString("Ordinary-next-1"), secret.FromString(s.Password))
		if !errors.Is(err, ErrBroken) || errors.Is(err, ErrRefused) || errors.Is(err, ErrAuth) {
			t.Errorf("%d: %v, want %v", n, err, ErrBroken)
		}
	}
}

// killing ends the server when enough was read from it.
type killing struct {
	net.Conn
	kill func()
	left int
}

func (k *killing) after(n int) { k.left = n }

func (k *killing) Read(p []byte) (int, error) {
	if k.left > 0 {
		if k.left--; k.left == 0 {
			k.kill()
		}
	}
	return k.Conn.Read(p)
}

func TestSilentPasswdIsGivenUp(t *testing.T) {
	needRoot(t)
	s := target.StartSSHD(t, "ForceCommand sleep 100")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err := ChangePassword(ctx, connect(t, s), by(s, s.User, ""), secret.FromString("Ordinary-next-1"), secret.FromString(s.Password))
	if !errors.Is(err, ErrBroken) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	s = target.StartSSHD(t, "ForceCommand yes Canary-endless")
	err = ChangePassword(t.Context(), connect(t, s), by(s, s.User, ""), secret.FromString("Ordinary-next-1"), secret.FromString(s.Password))
	if !errors.Is(err, ErrBroken) || strings.Contains(err.Error(), "Canary") {
		t.Errorf("%v", err)
	}
	if err := SetPassword(t.Context(), connect(t, s), by(s, s.User, ""), s.User, secret.FromString("Ordinary-next-1")); !errors.Is(err, ErrBroken) || strings.Contains(err.Error(), "Canary") {
		t.Errorf("%v", err)
	}
}
