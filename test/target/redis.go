package target

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Redis is a running Redis server that only this test knows. Its certificate is
// for 127.0.0.1 and localhost.
type Redis struct {
	Addr     string // Host:Port, without TLS
	TLSAddr  string
	CA       string // PEM
	Password string // of the default user, who may everything
	Dir      string // where its files are; users.acl among them, when it has one

	t      testing.TB
	args   []string
	cmd    *exec.Cmd
	exited chan struct{}
}

// StartRedis starts one that keeps its users in a file, unless lines of its
// configuration say otherwise: "requirepass" makes it keep them there, and
// "nofile" nowhere. It ends with the test.
func StartRedis(t testing.TB, lines ...string) *Redis {
	t.Helper()
	dir := t.TempDir()
	r := &Redis{t: t, Dir: dir, Password: rand.Text()}
	r.CA = certify(t, dir, "redis")
	var ports [2]int
	for i := range ports {
		port, err := freePort()
		check(t, "find a free port", err)
		ports[i] = port
	}
	r.Addr, r.TLSAddr = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	config := []string{
		"bind 127.0.0.1", fmt.Sprintf("port %d", ports[0]), fmt.Sprintf("tls-port %d", ports[1]), "tls-auth-clients no",
		"tls-cert-file " + filepath.Join(dir, "cert.pem"), "tls-key-file " + filepath.Join(dir, "key.pem"),
		"dir " + dir, "logfile " + filepath.Join(dir, "log"), "loglevel verbose", "save \"\"", "slowlog-log-slower-than 0", "acllog-max-len 100",
	}
	kind := "users.acl"
	for _, l := range lines {
		switch l {
		case "requirepass", "nofile":
			kind = l
		default:
			config = append(config, l)
		}
	}
	switch kind {
	case "users.acl":
		write(t, dir, "users.acl", []byte("user default on >"+r.Password+" ~* &* +@all\n"), 0o600)
		config = append(config, "aclfile "+filepath.Join(dir, "users.acl"))
	default:
		config = append(config, "requirepass "+r.Password)
	}
	if kind == "nofile" {
		for _, l := range config {
			name, value, _ := strings.Cut(l, " ")
			r.args = append(r.args, "--"+name, strings.Trim(value, `"`))
		}
	} else {
		write(t, dir, "redis.conf", []byte(strings.Join(config, "\n")+"\n"), 0o600)
		r.args = []string{filepath.Join(dir, "redis.conf")}
	}
	t.Cleanup(r.Kill)
	r.Start()
	return r
}

// Start starts the server again after Kill.
func (r *Redis) Start() {
	r.t.Helper()
	r.cmd = exec.Command(Need(r.t, "redis-server"), r.args...)
	check(r.t, "start redis-server", r.cmd.Start())
	exited := make(chan struct{})
	r.exited = exited
	cmd := r.cmd
	go func() { // ends with the process, which Kill waits for
		_ = cmd.Wait()
		close(exited)
	}()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err = r.Do("PING"); err == nil {
			return
		}
	}
	r.t.Fatalf("redis-server does not come up: %v\n%s", err, r.Log())
}

// Kill ends it at once, as a machine does that loses power.
func (r *Redis) Kill() {
	_ = r.cmd.Process.Kill()
	<-r.exited
}

// Log is what it has written so far.
func (r *Redis) Log() string {
	text, _ := os.ReadFile(filepath.Join(r.Dir, "log"))
	return string(text)
}

// Do runs a command as the default user, by redis-cli, and returns what it
// prints; an error of the server is an error.
func (r *Redis) Do(args ...string) (string, error) {
	host, port, _ := net.SplitHostPort(r.Addr)
	c := exec.Command(Need(r.t, "redis-cli"), append([]string{"-h", host, "-p", port, "-e", "--no-auth-warning"}, args...)...)
	c.Env = append(os.Environ(), "REDISCLI_AUTH="+r.Password)
	out, err := c.CombinedOutput()
	if err == nil && strings.Contains(string(out), "AUTH failed") {
		err = errors.New("the default user has another password")
	}
	if err != nil {
		err = fmt.Errorf("redis-cli: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// Monitor returns everything that a MONITOR sees until the returned function is
// called.
func (r *Redis) Monitor() func() string {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.Addr)
	check(r.t, "connect", err)
	_, err = fmt.Fprintf(conn, "AUTH %s\r\nMONITOR\r\n", r.Password)
	check(r.t, "ask to monitor", err)
	lines := bufio.NewReader(conn)
	for range 2 {
		if line, err := lines.ReadString('\n'); err != nil || line != "+OK\r\n" {
			r.t.Fatalf("%q %v", line, err)
		}
	}
	seen := make(chan string, 1)
	go func() { // ends with the connection
		var all strings.Builder
		_, _ = lines.WriteTo(&all)
		seen <- all.String()
	}()
	return func() string {
		_ = conn.Close()
		return <-seen
	}
}

// certify writes a certificate for 127.0.0.1 and its key, cert.pem and key.pem.
func certify(t testing.TB, dir, name string) string {
	t.Helper()
	s := &Slapd{t: t}
	text := s.certificate(dir)
	_, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	check(t, "make a certificate for "+name, err)
	return text
}
