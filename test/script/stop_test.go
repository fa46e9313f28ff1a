package script

import (
	"database/sql"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // for the test that gives a database a newer schema

	v1 "vaultpam/api/v1"
)

func TestStopTellsSessionsAndLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	p := startServer(t, "--drain-timeout", "5s")
	owner := p.owner()
	s := p.runSSH(ownerEmail+"+demo", "echo up; while :; do sleep 0.1; done")
	s.prints("up")

	begun := time.Now()
	p.stop()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the server took %s to stop", took)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server's exit status is %d", code)
	}
	if status := s.wait(); status != 255 {
		t.Errorf("ssh ended with %d", status)
	}
	if !strings.Contains(s.errs.String(), "This session was ended: the server is shutting down.") {
		t.Errorf("the user was told:\n%s", s.errs.String())
	}

	p.start()
	sessions := read[[]v1.Session](owner.call("GET", "/sessions", nil))
	if len(sessions) != 1 || sessions[0].Status != "ended" || sessions[0].EndReason != "server shutdown" || sessions[0].EndedAt == nil {
		t.Errorf("after the stop: %+v", sessions)
	}
	recordings := read[[]v1.Recording](owner.call("GET", "/recordings", nil))
	if len(recordings) != 1 || recordings[0].Status != "completed" {
		t.Errorf("after the stop: %+v", recordings)
	}
	if text := p.stderr.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "of a dead process") {
		t.Errorf("the stop was not clean:\n%s", tail(text, 4000))
	}
}

// What keeps a server from starting is said at once, in words that name what
// to look at, and with a status that a service manager sees.
func TestStartSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	refused := func(what string, p *proc, words ...string) {
		t.Helper()
		begun := time.Now()
		stdout, stderr, status := run(t, p.env, "", binary(t), p.args...)
		if status != 1 || stdout != "" {
			t.Errorf("%s: exit status %d, printed %q", what, status, stdout)
		}
		last := strings.TrimSpace(stderr)
		last = last[strings.LastIndexByte(last, '\n')+1:]
		for _, word := range append(words, "vaultpam: ") {
			if !strings.Contains(last, word) {
				t.Errorf("%s: said %q, which lacks %q", what, last, word)
			}
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%s: said after %s", what, took)
		}
	}

	second := newServer(t)
	second.args = append(second.args, "--data-dir", p.data)
	refused("a second server", second, p.data, "in use by another server")
	owner.call("GET", "/me", nil).want(http.StatusOK)

	for _, flag := range []string{"--listen", "--ssh-listen", "--metrics-listen"} {
		busy, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer busy.Close()
		q := newServer(t, flag, busy.Addr().String())
		refused("a port in use", q, flag, busy.Addr().String(), "address already in use")
	}

	p.stop()
	key := filepath.Join(p.data, "root.key")
	right, err := os.ReadFile(key)
	must(t, err)
	must(t, os.Remove(key))
	refused("no key file", p, key, "is not there")

	other := startServer(t)
	other.stop()
	wrong, err := os.ReadFile(filepath.Join(other.data, "root.key"))
	must(t, err)
	must(t, os.WriteFile(key, wrong, 0o600))
	refused("another key file", p, key, "holds key", "is needed")

	must(t, os.WriteFile(key, right[:len(right)/2], 0o600))
	refused("half a key file", p, "damaged", "put back a copy")
	must(t, os.WriteFile(key, right, 0o644))
	must(t, os.Chmod(key, 0o644))
	refused("a key file for everybody", p, "chmod 600")
	must(t, os.Chmod(key, 0o600))

	for _, put := range []string{"INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)", "DELETE FROM goose_db_version WHERE version_id = 9999"} {
		db, err := sql.Open("sqlite", filepath.Join(p.data, "vaultpam.db"))
		must(t, err)
		_, err = db.Exec(put)
		must(t, err)
		must(t, db.Close())
		if strings.HasPrefix(put, "INSERT") {
			refused("a newer schema", p, "schema version 9999", "newer release")
		}
	}

	// None of this has changed anything.
	p.start()
	owner.call("GET", "/safes", nil).want(http.StatusOK)
}

func TestExitStatusTellsAnAbsentServerFromAnAbsentFile(t *testing.T) {
	t.Parallel()
	env := []string{"VAULTPAM_BASE_URL=http://" + freeAddr(t), "VAULTPAM_TOKEN=none", "XDG_CONFIG_HOME=" + t.TempDir()}
	if _, stderr, status := run(t, env, "", binary(t), "safes"); status != 7 || !strings.Contains(stderr, "cannot reach http://127.0.0.1:") {
		t.Errorf("no server: exit status %d: %s", status, stderr)
	}
	if _, stderr, status := run(t, env, "", binary(t), "audit", "verify", "/nowhere/log.ndjson"); status != 1 || !strings.Contains(stderr, "/nowhere/log.ndjson") {
		t.Errorf("no file: exit status %d: %s", status, stderr)
	}
}
