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
// directly, in the same minute. A small one shows that the broker does not
// stall; VAULTPAM_BENCH=1 makes it large enough for the figures to mean
// something.
func TestBulkTransferKeepsPaceWithADirectOne(t *testing.T) {
	w := newWorld(t)
	size, rounds := 16<<20, 1
	if os.Getenv("VAULTPAM_BENCH") != "" {
		size, rounds = 256<<20, 3
	}
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
		return float64(size) / 1e6 / time.Since(began).Seconds()
	}
	for range rounds {
		d, b := measure(direct("cat bulk"), nil), measure(broker("cat bulk"), nil)
		f, err := os.Open(filepath.Join(w.sshd.Home, "bulk"))
		w.must(err)
		ud := measure(direct("cat >/dev/null"), f)
		_, _ = f.Seek(0, 0)
		ub := measure(broker("cat >/dev/null"), f)
		_ = f.Close()
		t.Logf("down: direct %.0f MB/s, broker %.0f MB/s, ratio %.2f; up: direct %.0f, broker %.0f, ratio %.2f", d, b, b/d, ud, ub, ub/ud)
		if b/d < 0.05 || ub/ud < 0.05 {
			t.Error("the broker is more than twenty times slower")
		}
	}
	for range rounds {
		began := time.Now()
		w.must(direct("true").Run())
		d := time.Since(began)
		began = time.Now()
		w.must(broker("true").Run())
		t.Logf("set-up: direct %s, broker %s", d, time.Since(began))
	}
}
