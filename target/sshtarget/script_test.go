package sshtarget

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vaultpam/test/target"
)

// Alpine and appliances have busybox for everything, others bash or dash with
// GNU's programs.
func TestScriptsRunInEveryShell(t *testing.T) {
	needRoot(t)
	busybox := target.Need(t, "busybox")
	applets := t.TempDir()
	if out, err := exec.Command(busybox, "--install", "-s", applets).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, shell := range map[string][2]string{
		"busybox": {filepath.Join(applets, "sh"), applets},
		"bash":    {target.Need(t, "bash"), os.Getenv("PATH")},
		"dash":    {target.Need(t, "dash"), os.Getenv("PATH")},
	} {
		// Root's rule on folders is for real places: it is tried over SSH.
		home, err := os.MkdirTemp("/root", "vptest")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(home) })
		script := func(text, stdin string) int {
			t.Helper()
			c := exec.Command(shell[0], "-c", rewriting+text)
			c.Env, c.Stdin = []string{"PATH=" + shell[1], "HOME=" + home}, strings.NewReader(stdin)
			out, err := c.CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				return exit.ExitCode()
			}
			if err != nil {
				t.Fatalf("%s: %v: %s", name, err, out)
			}
			return 0
		}
		is := func(path, want string) {
			t.Helper()
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("%s: %q %v, want %q", name, got, err, want)
			}
			if rest, _ := filepath.Glob(path + ".*"); len(rest) > 0 {
				t.Errorf("%s: left behind: %q", name, rest)
			}
		}
		keys := filepath.Join(home, ".ssh", "authorized_keys")
		if s := script(keysScript, "add\nBLOB\nssh-x BLOB it's \\n\n"); s != 0 {
			t.Errorf("%s: exit status %d", name, s)
		}
		is(keys, "ssh-x BLOB it's \\n\n")
		if s := script(keysScript, "remove\nBLOB\n\n"); s != 0 {
			t.Errorf("%s: exit status %d", name, s)
		}
		is(keys, "")

		env := filepath.Join(home, "env")
		file := func(key, styles, value, sent string) int {
			sum := sha256.Sum256([]byte(value))
			return script(fileScript, strings.Join([]string{env, key, styles, "'", strconv.Itoa(len(value)), hex.EncodeToString(sum[:])}, "\n")+"\n"+sent)
		}
		for _, c := range []struct {
			before, key, styles, value, sent, after string
			status                                  int
		}{
			{"A=1\nTOKEN='old'\n", "TOKEN", "-s", "a \\$ \" b", "a \\$ \" b\n", "A=1\nTOKEN='a \\$ \" b'\n", 0},
			{"TOKEN=\"old\"", "TOKEN", "-d", "it's", "it's\n", "TOKEN=\"it's\"\n", 0},
			{"TOKEN=old\n", "", "-", "two\nlines", "two\nlines", "two\nlines", 0},
			{"TOKEN=old\n", "TOKEN", "-s", "new", "new\n", "TOKEN=old\n", 68},
			{"TOKEN=a\nTOKEN=b\n", "TOKEN", "-u", "new", "new\n", "TOKEN=a\nTOKEN=b\n", 72},
			// What was cut on its way never takes the place of what is there.
			{"TOKEN=old\n", "", "-", "two\nlines", "two\nli", "TOKEN=old\n", 71},
			{"TOKEN=old\n", "", "-", "two\nlines", "two\nlinks", "TOKEN=old\n", 71},
			{"TOKEN=old\n", "TOKEN", "-u", "newer", "new\n", "TOKEN=old\n", 71},
			{"TOKEN=old\n", "TOKEN", "-u", "new", "new", "TOKEN=old\n", 1},
		} {
			if err := os.WriteFile(env, []byte(c.before), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := file(c.key, c.styles, c.value, c.sent); got != c.status {
				t.Errorf("%s: %q: exit status %d, want %d", name, c.before, got, c.status)
			}
			is(env, c.after)
		}
	}
}
