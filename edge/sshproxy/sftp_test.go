package sshproxy_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"vaultpam/pam/audit"
	"vaultpam/pam/safe"
	"vaultpam/test/target"
)

// files runs a native client of alice's that moves files, with her key.
func (w *world) files(program, stdin string, args ...string) result {
	w.t.Helper()
	host, port, _ := net.SplitHostPort(w.addr)
	dir := w.t.TempDir()
	known := filepath.Join(dir, "known_hosts")
	w.must(os.WriteFile(known, []byte("["+host+"]:"+port+" "+string(ssh.MarshalAuthorizedKey(w.hostKey))), 0o600))
	key, _ := w.newKey(&w.alice)
	words := append([]string{
		"-q", "-P", port, "-i", key, "-o", "User=alice@example.com+web", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes", "-F", "none",
	}, args...)
	return wait(w.t, start(w.t, exec.CommandContext(w.t.Context(), target.Need(w.t, program), words...), strings.NewReader(stdin)))
}

// acts lists what the log says of files, oldest first: type, act, path and the
// rest.
func (w *world) acts() (out []string) {
	w.t.Helper()
	all, err := w.db.Audit().List(w.t.Context(), w.owner.Org, audit.Filter{Limit: 500})
	w.must(err)
	for _, e := range slices.Backward(all) {
		if e.Type != audit.FileTransferred && e.Type != audit.FileChanged {
			continue
		}
		text := fmt.Sprintf("%s %v %v", e.Type, e.Metadata["act"], e.Metadata["path"])
		for _, name := range []string{"to", "bytes", "from", "sha256", "complete"} {
			if v, ok := e.Metadata[name]; ok {
				text += fmt.Sprintf(" %s=%v", name, v)
			}
		}
		out = append(out, text)
	}
	return out
}

func random(t *testing.T, path string, n int) (sum string) {
	t.Helper()
	data := make([]byte, n)
	_, _ = rand.Read(data)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func sumOfFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// What OpenSSH's sftp does arrives unchanged, and each act on a file is in the
// log with the sum of what passed.
func TestSFTPIsReadAndOnRecord(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	local := func(name string) string { return filepath.Join(dir, name) }
	sumA, sumB := random(t, local("a"), 3<<20+17), random(t, local("b"), 10)
	r := w.files("sftp", strings.Join([]string{
		"mkdir d",
		"put " + local("a") + " \"d/a b\"",
		"put " + local("b") + " d/b",
		"rename d/b d/c",
		"ln -s c d/l",
		"ls -l d",
		"get \"d/a b\" " + local("back"),
		"chmod 600 d/c",
		"-rmdir d", // not empty
		"-rm d/nothing",
		"rm d/c",
	}, "\n")+"\n", "-b", "-", "127.0.0.1")
	if r.code != 0 || sumOfFile(t, local("back")) != sumA {
		t.Fatalf("%+v", r)
	}
	home := strings.TrimSpace(w.run(nil, "alice@example.com+web", "pwd").out)
	want := []string{
		"FILE_CHANGED make directory " + home + "/d",
		"FILE_TRANSFERRED upload " + home + "/d/a b bytes=3145745 sha256=" + sumA + " complete=true",
		"FILE_TRANSFERRED upload " + home + "/d/b bytes=10 sha256=" + sumB + " complete=true",
		"FILE_CHANGED rename " + home + "/d/b to=" + home + "/d/c",
		"FILE_CHANGED link c to=" + home + "/d/l",
		"FILE_TRANSFERRED download " + home + "/d/a b bytes=3145745 sha256=" + sumA + " complete=true",
		"FILE_CHANGED set attributes " + home + "/d/c",
		"FILE_CHANGED remove " + home + "/d/c",
	}
	if got := w.acts(); !slices.Equal(got, want) {
		t.Errorf("the log has\n%s", strings.Join(got, "\n"))
	}
}

// scp of today speaks SFTP.
func TestSCPIsReadAndOnRecord(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	sum := random(t, filepath.Join(dir, "up"), 1<<20)
	if r := w.files("scp", "", filepath.Join(dir, "up"), "127.0.0.1:there"); r.code != 0 {
		t.Fatalf("up: %+v", r)
	}
	if r := w.files("scp", "", "127.0.0.1:there", filepath.Join(dir, "down")); r.code != 0 || sumOfFile(t, filepath.Join(dir, "down")) != sum {
		t.Fatalf("down: %+v", r)
	}
	// Over a longer file: what was there behind the new end is gone.
	sumShort := random(t, filepath.Join(dir, "short"), 1000)
	if r := w.files("scp", "", filepath.Join(dir, "short"), "127.0.0.1:there"); r.code != 0 {
		t.Fatalf("over it: %+v", r)
	}
	if got := w.run(nil, "alice@example.com+web", "sha256sum < there").out; !strings.HasPrefix(got, sumShort) {
		t.Errorf("it is %s", got)
	}
	transfers := slices.DeleteFunc(w.acts(), func(s string) bool { return !strings.HasPrefix(s, "FILE_TRANSFERRED") })
	for i, want := range []string{"upload there bytes=1048576 sha256=" + sum, "download there bytes=1048576 sha256=" + sum, "upload there bytes=1000 sha256=" + sumShort} {
		if i >= len(transfers) || !strings.HasSuffix(transfers[i], want+" complete=true") {
			t.Fatalf("the log has\n%s", strings.Join(w.acts(), "\n"))
		}
	}
}

// What goes on where something broke off is no whole file, and says from where
// on it is.
func TestARestOfAFileIsNotTheFile(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	random(t, path, 100_000)
	data, err := os.ReadFile(path)
	w.must(err)
	w.must(os.WriteFile(filepath.Join(dir, "half"), data[:40_000], 0o600))
	r := w.files("sftp", "put "+filepath.Join(dir, "half")+" f\nreput "+path+" f\n", "-b", "-", "127.0.0.1")
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	got := w.acts()
	got = slices.DeleteFunc(got, func(s string) bool { return !strings.HasPrefix(s, "FILE_TRANSFERRED") })
	if len(got) != 2 || !strings.Contains(got[1], "bytes=60000 from=40000 sha256="+sumOf(data[40_000:])+" complete=false") {
		t.Errorf("the log has\n%s", strings.Join(got, "\n"))
	}
}

func sumOf(p []byte) string {
	s := sha256.Sum256(p)
	return hex.EncodeToString(s[:])
}

func TestABlockedSafeMovesNoFiles(t *testing.T) {
	w := newWorld(t)
	w.change(func(s *safe.Settings) { s.FileTransfer = safe.Blocked })
	for _, program := range []string{"sftp", "scp"} {
		args := []string{"127.0.0.1:/etc/passwd", filepath.Join(t.TempDir(), "x")}
		if r := w.files(program, "", args...); r.code == 0 || !strings.Contains(r.err, "does not allow file transfer") {
			t.Errorf("%s: %+v", program, r)
		}
	}
}

// The recording tells what was moved, looked at and refused.
func TestTheRecordingTellsOfFiles(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "f")
	sum := random(t, path, 5000)
	if r := w.files("sftp", "put "+path+" f\n-rm nothing\n", "-b", "-", "127.0.0.1"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	s := w.over()
	var out strings.Builder
	w.must(w.recordings.WriteAsciicast(t.Context(), w.owner, s.RecordingID, &out))
	for _, want := range []string{"open to write", "/f (5000 bytes, sha256 " + sum + ")", "the target refuses with code 2: remove"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	if s.BytesIn < 5000 {
		t.Errorf("%d bytes were counted", s.BytesIn)
	}
}
