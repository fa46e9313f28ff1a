package script

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vaultpam/store/storetest"
)

// ownerEmail and ownerPassword are of the owner that a server in dev mode
// makes at its first start.
const (
	ownerEmail    = "owner@example.com"
	ownerPassword = "correct-horse-battery"
)

// built holds the directory of the binary, which TestMain removes.
var built struct {
	once      sync.Once
	dir, path string
	err       error
}

func TestMain(m *testing.M) {
	code := storetest.Main(m)
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// binary is the path of vaultpam, built once per test binary as it is shipped.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "vaultpam-script"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "vaultpam")
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=v0.0.0-script", "-o", built.path, "vaultpam/cmd/vaultpam")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build vaultpam: %w\n%s", err, out)
		}
	})
	must(t, built.err)
	return built.path
}

// proc is a server under test.
type proc struct {
	t    testing.TB
	dir  string // holds all that the server writes
	data string
	http string // host:port
	ssh  string
	base string // http://host:port
	args []string
	env  []string
	attr *syscall.SysProcAttr // of the process: its user, for one
	exe  string               // empty: the binary as it is shipped

	cmd    *exec.Cmd
	exited chan struct{}
	stdout *output
	stderr *output
}

// startServer starts a server in dev mode with cheap password hashes and
// without rate limits, waits until it answers, and stops it at the end of the
// test. args are appended, so they win.
func startServer(t testing.TB, args ...string) *proc {
	t.Helper()
	p := newServer(t, args...)
	p.start()
	return p
}

// newServer prepares a server without starting it.
func newServer(t testing.TB, args ...string) *proc {
	t.Helper()
	dir := t.TempDir()
	p := &proc{t: t, dir: dir, data: filepath.Join(dir, "data"), http: freeAddr(t), ssh: freeAddr(t), stdout: &output{}, stderr: &output{}}
	p.base = "http://" + p.http
	p.args = append([]string{
		"server", "--dev", "--data-dir", p.data, "--listen", p.http, "--ssh-listen", p.ssh,
		"--rate-limits", "off", "--argon2-memory-kib", "64", "--argon2-time", "1", "--log-level", "debug",
	}, args...)
	// Nothing of the developer's own settings may reach the server.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "VAULTPAM_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			p.env = append(p.env, v)
		}
	}
	p.env = append(p.env, "VAULTPAM_DEV_PASSWORD="+ownerPassword)
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("the server's log:\n%s", tail(p.stderr.String(), 6000))
		}
	})
	return p
}

// start starts the server's process and waits for /healthz.
func (p *proc) start() {
	p.t.Helper()
	if p.exe == "" {
		p.exe = binary(p.t)
	}
	p.cmd = exec.Command(p.exe, p.args...)
	p.cmd.Env, p.cmd.Dir, p.cmd.SysProcAttr = p.env, p.dir, p.attr
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	must(p.t, p.cmd.Start())
	cmd, exited := p.cmd, make(chan struct{})
	p.exited = exited
	go func() { // ends with the process, which stop and kill wait for
		_ = cmd.Wait()
		close(exited)
	}()
	client := &http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(60 * time.Second); ; {
		if resp, err := client.Get(p.base + "/healthz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-exited:
			p.t.Fatalf("the server ended at once: %s\n%s", cmd.ProcessState, p.stderr.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatal("the server does not answer /healthz")
		}
	}
}

// stop asks the server to end, as a service manager does, and kills it when
// it takes too long.
func (p *proc) stop() { p.end(syscall.SIGTERM) }

// kill ends the server as the loss of power does for a process.
func (p *proc) kill() { p.end(syscall.SIGKILL) }

func (p *proc) end(signal syscall.Signal) {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		p.t.Errorf("the server did not end within 30 seconds of %s", signal)
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// restart starts the server again on the same data and the same addresses.
func (p *proc) restart() {
	p.t.Helper()
	p.stop()
	p.start()
}

// output collects what a process prints while others read it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// run runs a program to its end and returns what it printed and its exit
// status. It fails the test when the program cannot be run or takes a minute.
func run(t testing.TB, env []string, stdin, program string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%s: %v\n%s%s", program, err, out.String(), errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// eventually waits until ok holds.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// taken are the addresses that this process has given out.
var taken sync.Map

func freeAddr(t testing.TB) string {
	t.Helper()
	for {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		addr := ln.Addr().String()
		must(t, ln.Close())
		if _, again := taken.LoadOrStore(addr, true); !again {
			return addr
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
