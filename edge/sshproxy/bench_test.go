package sshproxy_test

import (
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"vaultpam/test/target"
)

// The ratio of a transfer through the broker, recorded, to the same transfer
// directly, in the same minute. It is a benchmark in the form of a test: run
// with VAULTPAM_BENCH=1.
func TestBulkRatio(t *testing.T) {
	if os.Getenv("VAULTPAM_BENCH") == "" {
		t.Skip("set VAULTPAM_BENCH=1")
	}
	w := newWorld(t)
	const size = 256 << 20
	data := make([]byte, size)
	_, _ = rand.Read(data)
	w.must(os.WriteFile(filepath.Join(w.sshd.Home, "bulk"), data, 0o644))
	key := filepath.Join(t.TempDir(), "id")
	w.must(os.WriteFile(key, []byte(w.sshd.PrivateKeyPEM), 0o600))
	direct := func(command string) *exec.Cmd {
		host, port := w.sshd.Host, strconv.Itoa(w.sshd.Port)
		return exec.Command(target.Need(t, "ssh"), "-F", "none", "-c", "aes128-gcm@openssh.com", "-i", key, "-p", port, "-l", w.sshd.User,
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", host, command)
	}
	broker := func(command string) *exec.Cmd {
		return w.cmd("alice@example.com+web", "-c", "aes128-gcm@openssh.com", command)
	}
	measure := func(c *exec.Cmd, in io.Reader) float64 {
		c.Stdin, c.Stdout, c.Stderr = in, nil, os.Stderr
		began := time.Now()
		w.must(c.Run())
		return size / 1e6 / time.Since(began).Seconds()
	}
	for range 3 {
		d, b := measure(direct("cat bulk"), nil), measure(broker("cat bulk"), nil)
		f, err := os.Open(filepath.Join(w.sshd.Home, "bulk"))
		w.must(err)
		ud := measure(direct("cat >/dev/null"), f)
		_, _ = f.Seek(0, 0)
		ub := measure(broker("cat >/dev/null"), f)
		_ = f.Close()
		t.Logf("down: direct %.0f MB/s, broker %.0f MB/s, ratio %.2f; up: direct %.0f, broker %.0f, ratio %.2f", d, b, b/d, ud, ub, ub/ud)
	}
	for range 3 {
		began := time.Now()
		w.must(direct("true").Run())
		d := time.Since(began)
		began = time.Now()
		w.must(broker("true").Run())
		t.Logf("set-up: direct %s, broker %s", d, time.Since(began))
	}
}
