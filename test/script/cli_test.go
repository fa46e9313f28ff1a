package script

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"vaultpam/test/target"
)

// What a person types, as scripts: testdata/cli/*.txtar, all against one
// server, each with a home of its own and names of its own.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	typed(t, startServer(t), "testdata/cli")
}

// Sealing a vault stops everybody, so this script has a server to itself.
func TestCommandLineSealsTheVault(t *testing.T) {
	t.Parallel()
	typed(t, startServer(t), "testdata/seal")
}

// typed runs the scripts of a directory. Beside what testscript brings they
// have:
//
//	vaultpam ARGS…        the shipped binary
//	exits N ARGS…         runs vaultpam and wants this exit code
//	note NAME FIELD       keeps a field of the JSON that was printed last as $NAME
//	ssh ARGS…             vaultpam ssh ARGS…, with options that suit a test
func typed(t *testing.T, p *proc, dir string) {
	t.Helper()
	for _, need := range []string{"ssh", "ssh-keygen", "curl"} {
		target.Need(t, need)
	}
	home, err := filepath.Abs(filepath.Dir(binary(t)))
	must(t, err)
	keepass, err := filepath.Abs("../../wire/kdbx/testdata")
	must(t, err)
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			for name, value := range map[string]string{
				"PATH":              home + string(os.PathListSeparator) + os.Getenv("PATH"),
				"HOME":              e.WorkDir,
				"XDG_CONFIG_HOME":   filepath.Join(e.WorkDir, "config"),
				"VAULTPAM_BASE_URL": p.base,
				"BASE":              p.base,
				"NOWHERE":           "http://" + freeAddr(t),
				"OWNER":             ownerEmail,
				"PASSWORD":          ownerPassword,
				"KEEPASS":           keepass,
				"TZ":                "UTC",
			} {
				e.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"vaultpam": func(ts *testscript.TestScript, neg bool, args []string) {
				if err := ts.Exec("vaultpam", args...); (err != nil) != neg {
					ts.Fatalf("vaultpam %s: %v", strings.Join(args, " "), err)
				}
			},
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				got := 0
				if exit, ok := errors.AsType[*exec.ExitError](ts.Exec("vaultpam", args[1:]...)); ok {
					got = exit.ExitCode()
				}
				if (got == want) == neg {
					ts.Fatalf("vaultpam %s exits with %d, not %d", strings.Join(args[1:], " "), got, want)
				}
			},
			"note": func(ts *testscript.TestScript, _ bool, args []string) {
				m := regexp.MustCompile(`(?m)^ *"` + regexp.QuoteMeta(args[1]) + `": "([^"]+)"`).FindStringSubmatch(ts.ReadFile("stdout"))
				if m == nil {
					ts.Fatalf("there is no %s in %s", args[1], ts.ReadFile("stdout"))
				}
				ts.Setenv(args[0], m[1])
			},
			"ssh": func(ts *testscript.TestScript, neg bool, args []string) {
				_, _, err := net.SplitHostPort(p.ssh)
				ts.Check(err)
				all := append([]string{"ssh", args[0], "--", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" + ts.MkAbs("known_hosts"), "-o", "LogLevel=ERROR", "-o", "BatchMode=yes"}, args[1:]...)
				if err := ts.Exec("vaultpam", all...); (err != nil) != neg {
					ts.Fatalf("vaultpam %s: %v", strings.Join(all, " "), err)
				}
			},
		},
	})
}
