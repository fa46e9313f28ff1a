package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

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

func removeBuilt() {
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
}

// binary is the path of vaultpam, built once as it is shipped.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "vaultpam-bench"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "vaultpam")
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=v0.0.0-bench", "-o", built.path, "vaultpam/cmd/vaultpam")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build vaultpam: %w\n%s", err, out)
		}
	})
	must(t, built.err)
	return built.path
}

// process is a program that listens: the server, or the reference.
type process struct {
	t    testing.TB
	addr string // host:port of its HTTP
	cmd  *exec.Cmd
	log  string // path of what it prints

	exited chan struct{}
}

// start starts a program that listens on addr, and returns once it answers
// GET path there.
func start(t testing.TB, cmd *exec.Cmd, addr, path string) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	defer log.Close() // the program has its own
	p := &process{t: t, addr: addr, cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	go func() { // ends with the process, which stop waits for
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.stop)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: 5 * time.Second, Transport: transport}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if resp, err := client.Get("http://" + addr + path); err == nil {
			_ = resp.Body.Close()
			return p
		}
		select {
		case <-p.exited:
			text, _ := os.ReadFile(p.log)
			t.Fatalf("%s ended at once: %s\n%s", cmd.Path, cmd.ProcessState, text)
		case <-time.After(time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer", cmd.Path)
	return nil
}

// stop asks the program to end, and waits. It may be called again.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		p.t.Errorf("%s did not end", p.cmd.Path)
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// resident is the resident memory of the process, in MiB.
func (p *process) resident() float64 {
	p.t.Helper()
	kib := strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "VmRSS"), " kB")
	n, err := strconv.ParseFloat(kib, 64)
	must(p.t, err)
	return n / 1024
}

// atRest is resident memory once what was done is over.
func (p *process) atRest() float64 {
	p.t.Helper()
	if full {
		time.Sleep(12 * time.Second) // within which the server gives back what it does not need
	}
	return p.resident()
}

// serverCommand is a server in dev mode on a data directory, as shipped, its
// log included, but without rate limits; args are appended, so they win.
func serverCommand(t testing.TB, data string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	addr := freeAddr(t)
	cmd := exec.Command(binary(t), append([]string{"server", "--dev", "--data-dir", data, "--listen", addr, "--ssh-listen", freeAddr(t), "--rate-limits", "off"}, args...)...)
	cmd.Dir = t.TempDir()
	for _, v := range os.Environ() { // nothing of the developer's own settings
		if !strings.HasPrefix(v, "VAULTPAM_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "VAULTPAM_DEV_PASSWORD="+ownerPassword)
	return cmd, addr
}

func startServer(t testing.TB, data string, args ...string) *process {
	t.Helper()
	cmd, addr := serverCommand(t, data, args...)
	return start(t, cmd, addr, "/healthz")
}

// owner signs in as dev mode's owner.
func (p *process) owner() *caller {
	p.t.Helper()
	c := &caller{t: p.t, addr: p.addr}
	c.token = read[v1.Token](c, "POST", "/auth/login", v1.LoginIn{Email: ownerEmail, Password: ownerPassword}).AccessToken
	c.org = read[v1.Memberships](c, "GET", "/org/memberships", nil).ActiveOrgID
	return c
}

// caller calls the API.
type caller struct {
	t                testing.TB
	addr, token, org string
}

// call sends one request and returns its answer's body. It fails the test
// unless the answer is one of success.
func (c *caller) call(method, path string, body any) []byte {
	c.t.Helper()
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		must(c.t, err)
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+c.addr+"/api/v1"+path, r)
	must(c.t, err)
	req.Header = c.header()
	resp, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(c.t, err)
	if resp.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return text
}

func (c *caller) header() http.Header {
	h := http.Header{"Content-Type": {"application/json"}}
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
	if c.org != "" {
		h.Set("X-Active-Org-Id", c.org)
	}
	return h
}

func read[T any](c *caller, method, path string, body any) T {
	c.t.Helper()
	var out T
	must(c.t, json.Unmarshal(c.call(method, path, body), &out))
	return out
}

// haveSafe makes a Safe named like the resource, from which the credential may
// also be revealed.
func (c *caller) haveSafe(target v1.ResourceIn, user string, secret v1.CredentialIn) v1.Safe {
	c.t.Helper()
	resource := read[v1.Resource](c, "POST", "/resources", target)
	account := read[v1.Account](c, "POST", "/accounts", v1.AccountIn{Name: target.Name, Username: user, ResourceID: &resource.ID, Credential: &secret})
	return read[v1.Safe](c, "POST", "/safes", v1.SafeIn{
		Name: target.Name, Bindings: []v1.Binding{{ResourceID: resource.ID, AccountID: account.ID}}, Checkout: v1.CheckoutRules{Enabled: true},
	})
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
