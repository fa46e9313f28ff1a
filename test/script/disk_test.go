package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// disk puts a file system of its own, of so many bytes, at a directory of the
// server's. It stays until the server has stopped.
func (p *proc) disk(dir, size string) {
	p.t.Helper()
	must(p.t, os.MkdirAll(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		p.t.Fatalf("a small file system cannot be mounted at %s: %v (this test runs as root, with CAP_SYS_ADMIN)", dir, err)
	}
	p.t.Cleanup(func() {
		p.stop()
		if err := syscall.Unmount(dir, 0); err != nil && !p.t.Failed() {
			p.t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// fill leaves no byte free below dir.
func fill(t testing.TB, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "hog")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			must(t, err)
		}
	}
	return func() { must(t, os.Remove(name)) }
}

// ready is the answer of /readyz.
func (p *proc) ready() (status int, checks map[string]string) {
	p.t.Helper()
	resp, err := web.Get(p.base + "/readyz")
	must(p.t, err)
	defer resp.Body.Close()
	var h v1.Health
	must(p.t, json.NewDecoder(resp.Body).Decode(&h))
	return resp.StatusCode, h.Checks
}

// cut waits until the session was ended because it cannot be recorded, and
// wants that its user was told and that it is on record.
func (c *counting) cut(within time.Duration) {
	c.t.Helper()
	eventually(c.t, within, "the session is cut", func() bool {
		c.look()
		select {
		case <-c.done:
			return true
		default:
			return false
		}
	})
	if status := c.wait(); status != 255 || !strings.Contains(c.errs.String(), "This session was ended: it cannot be recorded any more.") {
		c.t.Errorf("ssh ended with %d: %s", status, c.errs)
	}
}

// onRecord wants that the session's failure is on record.
func (c *counting) onRecord() {
	c.t.Helper()
	eventually(c.t, 20*time.Second, "the session's end is on record", func() bool {
		s := read[v1.Session](c.l.owner.call("GET", "/sessions/"+c.session, nil))
		return s.Status == "failed" && s.EndReason == "recording lost"
	})
}

// refusedSession wants that a new session does not start, and that its user reads one
// of the sentences.
func (l *ledger) refusedSession(sentences ...string) {
	l.t.Helper()
	s := l.p.runSSH(ownerEmail+"+demo", "echo I am in")
	if status := s.wait(); status == 0 || strings.Contains(s.out.String(), "I am in") {
		l.t.Errorf("a session that cannot be recorded ran: %d %s", status, s.out)
	}
	for _, sentence := range sentences {
		if strings.Contains(s.errs.String(), sentence) {
			return
		}
	}
	l.t.Errorf("the user read %q, which has none of %q", s.errs, sentences)
}

// runs wants that a session runs and is recorded to its end.
func (l *ledger) runs(safe string) {
	l.t.Helper()
	s := l.p.runSSH(ownerEmail+"+"+safe, "echo I am in")
	if status := s.wait(); status != 0 || !strings.Contains(s.out.String(), "I am in") {
		l.t.Fatalf("ssh: %d %s%s", status, s.out, s.errs)
	}
}

// What a full disk refuses is refused clearly; nothing that was acknowledged
// is lost, no session runs without its recording, and room is all that is
// needed to go on.
func TestFullDiskRefusesClearlyAndLosesNothing(t *testing.T) {
	t.Parallel()
	p := newServer(t, "--recordings-reserve-mib", "2")
	p.disk(p.data, "64m")
	p.start()
	l := newLedger(t, p)
	l.runs("demo")
	end := l.load()
	s := l.session("demo")
	s.watch(2 * time.Second)
	l.keep()

	l.faulty.Store(true)
	begun := time.Now()
	free := fill(t, p.data)
	s.cut(20 * time.Second)
	s.until(begun)
	eventually(t, 20*time.Second, "writes are refused", func() bool {
		fill(t, p.data)
		return l.refused() > 20
	})
	if status, checks := p.ready(); status != http.StatusServiceUnavailable || checks["recordings"] == "ok" {
		t.Errorf("/readyz on a full disk: %d %v", status, checks)
	}
	for _, path := range []string{"/safes", "/audit-events", "/recordings", "/sessions", "/me"} {
		l.owner.call("GET", path, nil).want(http.StatusOK)
	}
	// A login that cannot be put on record is none; one that still could has no
	// session.
	l.refusedSession("Nobody can sign in right now.", "no space is left", "cannot be recorded")

	free()
	eventually(t, 10*time.Second, "writes work again", func() bool {
		return l.owner.call("POST", "/safes", v1.SafeIn{Name: "After"}).status == http.StatusCreated
	})
	l.faulty.Store(false)
	eventually(t, 10*time.Second, "the server is ready", func() bool { status, _ := p.ready(); return status == http.StatusOK })
	time.Sleep(500 * time.Millisecond) // the load goes on, and no refusal is allowed any more
	end()
	s.onRecord()
	l.runs("demo")
	l.check()
	l.checkRecordings()
	t.Logf("%d objects; refusals: %v", len(l.want), l.refusals)

	p.kill()
	p.start()
	l.check()
	l.checkRecordings()
}

// A full disk of the recordings alone ends what cannot be recorded and nothing
// else. A Safe may give it time to be mended: then nothing of the session is
// lost.
func TestFullDiskOfRecordingsEndsSessionsOnly(t *testing.T) {
	t.Parallel()
	p := newServer(t, "--recordings-reserve-mib", "2")
	dir := filepath.Join(p.data, "recordings")
	p.disk(dir, "16m")
	p.start()
	l := newLedger(t, p)
	l.owner.call("POST", "/safes", v1.SafeIn{
		Name: "Patient", Bindings: l.owner.safe("Demo").Bindings, RecordingFailure: v1.RecordingFailure{Mode: "grace", GraceSeconds: 120},
	}).want(http.StatusCreated)
	end := l.load()
	l.keep()
	patient, strict := l.session("patient"), l.session("demo")
	patient.prints("tick 40\n")
	strict.watch(2 * time.Second)

	begun := time.Now()
	free := fill(t, dir)
	strict.cut(20 * time.Second)
	strict.until(begun)
	strict.onRecord()
	if status, checks := p.ready(); status != http.StatusServiceUnavailable || checks["recordings"] != "unavailable" || checks["database"] != "ok" {
		t.Errorf("/readyz: %d %v", status, checks)
	}
	l.refusedSession("The session cannot be recorded, so it does not start.")
	eventually(t, 20*time.Second, "the patient session meets the full disk", func() bool {
		return strings.Contains(p.stderr.String(), "recording cannot be written, trying again")
	})

	free()
	eventually(t, 20*time.Second, "the patient session is recorded again", func() bool {
		return strings.Contains(p.stderr.String(), "recording is written again, nothing was lost")
	})
	eventually(t, 10*time.Second, "the server is ready", func() bool { status, _ := p.ready(); return status == http.StatusOK })
	l.runs("demo")
	shown := lastTick(patient.out.String())
	eventually(t, 10*time.Second, "the patient session goes on", func() bool { return lastTick(patient.out.String()) > shown })
	last := lastTick(patient.out.String())
	l.owner.call("POST", "/sessions/"+patient.session+"/terminate", nil).want(http.StatusOK)
	patient.wait()
	l.seen[patient.recording] = last // shown before the end, which is orderly
	end()
	l.check()
	l.checkRecordings()
	cast := string(l.owner.call("GET", "/recordings/"+patient.recording+"/content", nil).want(http.StatusOK).body)
	for n := range last {
		if !strings.Contains(cast, fmt.Sprintf(`tick %d\`, n+1)) {
			t.Fatalf("the recording through the grace lacks tick %d of %d", n+1, last)
		}
	}
}

// Recordings that have no place, or none to write to, end sessions and keep
// new ones from starting until the place is back; nothing needs a restart.
func TestLostRecordingsDirectoryRefusesSessions(t *testing.T) {
	t.Parallel()
	p := newServer(t)
	dir := filepath.Join(p.data, "recordings")
	p.disk(dir, "96m")
	p.start()
	l := newLedger(t, p)
	l.keep()
	aside := filepath.Join(p.dir, "aside")
	t.Cleanup(func() { _ = syscall.Unmount(aside, syscall.MNT_DETACH) }) // after a failure
	move := func() {                                                     // the mount itself, so that the server's directory is elsewhere
		must(t, os.MkdirAll(aside, 0o700))
		must(t, syscall.Mount(dir, aside, "", syscall.MS_BIND, ""))
		must(t, syscall.Unmount(dir, syscall.MNT_DETACH))
	}
	back := func() {
		must(t, syscall.Mount(aside, dir, "", syscall.MS_BIND, ""))
		must(t, syscall.Unmount(aside, 0))
	}
	for _, c := range []struct {
		name       string
		lose, mend func()
		live       bool // what is being written is lost, too
	}{
		{"it is unmounted", move, back, true},
		{"it is gone", func() { move(); must(t, os.Remove(dir)) }, func() { must(t, os.Mkdir(dir, 0o700)); back() }, true},
		{
			"a file is in its place", func() { move(); must(t, os.Remove(dir)); must(t, os.WriteFile(dir, nil, 0o600)) },
			func() { must(t, os.Remove(dir)); must(t, os.Mkdir(dir, 0o700)); back() }, true,
		},
		{
			"it is read-only", func() {
				eventually(t, 20*time.Second, "nothing is written any more", func() bool {
					err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
					if err != nil && !errors.Is(err, syscall.EBUSY) {
						t.Fatal(err)
					}
					return err == nil
				})
			},
			func() { must(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "")) }, false,
		},
	} {
		var s *counting
		if c.live {
			s = l.session("demo")
			s.watch(1500 * time.Millisecond)
		} else {
			l.checkRecordings() // those that were cut are sealed now
		}
		begun := time.Now()
		c.lose()
		if c.live {
			s.cut(10 * time.Second)
			s.until(begun)
			s.onRecord()
		}
		if status, checks := p.ready(); status != http.StatusServiceUnavailable || checks["recordings"] != "unavailable" {
			t.Errorf("%s: /readyz: %d %v", c.name, status, checks)
		}
		l.refusedSession("The session cannot be recorded, so it does not start.")
		l.owner.call("POST", "/safes", v1.SafeIn{Name: c.name}).want(http.StatusCreated)
		l.owner.call("GET", "/recordings", nil).want(http.StatusOK)
		if !c.live {
			l.checkRecordings() // what can be read is read
		}
		c.mend()
		eventually(t, 10*time.Second, "the server is ready", func() bool { status, _ := p.ready(); return status == http.StatusOK })
		l.runs("demo")
	}

	// One that loses its file alone is not run on, either.
	s := l.session("demo")
	var files []string
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, s.recording) {
			files = append(files, path)
		}
		return err
	}))
	if len(files) != 1 {
		t.Fatalf("files of the recording: %v", files)
	}
	must(t, os.Remove(files[0]))
	s.cut(10 * time.Second)
	s.onRecord()
	delete(l.seen, s.recording)
	l.check()
	l.checkRecordings()
}
