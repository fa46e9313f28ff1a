package demo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// start runs a target and returns it with its password.
func start(t *testing.T) (*Target, string) {
	t.Helper()
	tg, err := Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	password, err := tg.NewPassword()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tg.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return tg, string(password.Expose())
}

func dial(tg *Target, user, password string) (*ssh.Client, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(tg.HostKey()))
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", tg.Addr(), &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.FixedHostKey(key)})
}

func TestOnlyTheVaultsPasswordOpensTheTarget(t *testing.T) {
	tg, password := start(t)
	for _, c := range []struct{ user, password string }{{Username, ""}, {Username, "demo"}, {"root", password}, {Username, password + "x"}} {
		if conn, err := dial(tg, c.user, c.password); err == nil {
			conn.Close()
			t.Errorf("%s got in with a wrong password", c.user)
		}
	}
	conn, err := dial(tg, Username, password)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	text, err := os.ReadFile(tg.path)
	if err != nil || strings.Contains(string(text), password) {
		t.Errorf("the password is in the state file (%v)", err)
	}
}

func TestProgramsRunAsNobodyAndTheirExitIsReported(t *testing.T) {
	tg, password := start(t)
	conn, err := dial(tg, Username, password)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	run := func(command, stdin string) (string, int) {
		s, err := conn.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.Stdin = strings.NewReader(stdin)
		out, err := s.Output(command)
		if exit, ok := errors.AsType[*ssh.ExitError](err); ok {
			return string(out), exit.ExitStatus()
		}
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		return string(out), 0
	}
	if out, code := run("cat; exit 42", "to be echoed"); out != "to be echoed" || code != 42 {
		t.Errorf("echo: %q, exit %d", out, code)
	}
	if os.Geteuid() == 0 {
		if out, _ := run("id -u", ""); strings.TrimSpace(out) != "65534" {
			t.Errorf("the shell runs as user %s", out)
		}
	}
	if out, _ := run("echo $SECRET_OF_THE_SERVER", ""); strings.TrimSpace(out) != "" {
		t.Errorf("the server's environment leaks: %q", out)
	}
}

func TestATerminalHasItsSizeAndEndsWithItsClient(t *testing.T) {
	tg, password := start(t)
	conn, err := dial(tg, Username, password)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.RequestPty("xterm", 33, 77, nil); err != nil {
		t.Fatal(err)
	}
	out, err := s.Output("stty size; locale charmap")
	if err != nil || !strings.Contains(string(out), "33 77") || !strings.Contains(string(out), "UTF-8") {
		t.Errorf("size and character set: %q (%v)", out, err)
	}
	sleeper, err := conn.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := sleeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Start("echo ready; sleep 1000"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	// The cleanup of start waits for every session: it would hang here if the
	// program outlived its client.
}
