package webterm_test

import (
	"strings"
	"testing"
	"time"

	"vaultpam/pam/safe"
	"vaultpam/pam/session"
)

func TestWhatASessionRestsOnCutsItWithinASecond(t *testing.T) {
	for name, c := range map[string]struct {
		cut          func(t *testing.T, w *world, id string) error
		says, reason string
	}{
		"terminated": {func(t *testing.T, w *world, id string) error {
			_, err := w.sessions.Terminate(t.Context(), w.owner, sessionID(id), "deploy freeze")
			return err
		}, "terminated by owner@example.com: deploy freeze", "terminated by owner@example.com: deploy freeze"},
		"locked": {func(t *testing.T, w *world, _ string) error {
			_, err := w.safes.Lock(t.Context(), w.owner, w.safe.ID)
			return err
		}, "the safe was locked", "safe locked"},
		"removed": {func(t *testing.T, w *world, _ string) error {
			return w.safes.RemoveMember(t.Context(), w.owner, w.safe.ID, w.member.ID)
		}, "your access to the safe was removed", "access removed"},
		"suspended": {func(t *testing.T, w *world, _ string) error {
			_, err := w.orgs.Suspend(t.Context(), w.owner, w.alice.User)
			return err
		}, "no longer an active member", "organization membership ended"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p, ready := w.open(w.alice)
			p.typeIn("echo busy; while :; do echo more; done\r")
			p.shows("more")
			began := time.Now()
			if err := c.cut(t, w, ready.SessionID); err != nil {
				t.Fatal(err)
			}
			exit := p.wait("exit")
			if took := time.Since(began); took > time.Second {
				t.Errorf("it took %s", took)
			}
			if !strings.Contains(exit.Message, c.says) || exit.Reason != c.reason || exit.Status != nil {
				t.Errorf("the page was told: %+v", exit)
			}
			shown := len(p.text())
			p.code()
			if n := len(p.text()); n != shown {
				t.Errorf("%d bytes of output after the exit", n-shown)
			}
			if s := w.onRecord(sessionID(ready.SessionID)); s.EndReason != c.reason || s.Status != session.Ended {
				t.Errorf("on record: %+v", s)
			}
		})
	}
}

func TestTimeAndSilenceEndATerminalAfterAWarning(t *testing.T) {
	w := newWorld(t)
	p, ready := w.open(w.alice)
	w.clock.ahead.Store(int64(14*time.Minute + 30*time.Second))
	if warning := p.wait("warning"); warning.Message != "This session ends in 30 seconds: nothing was typed." {
		t.Errorf("%+v", warning)
	}
	// To look at the page is not to use it: neither its size nor its
	// acknowledgements keep the session.
	p.say(map[string]any{"type": "resize", "cols": 90, "rows": 30})
	w.clock.ahead.Store(int64(16 * time.Minute))
	if exit := p.wait("exit"); exit.Reason != "idle timeout" || !strings.Contains(exit.Message, "it was idle for 15 minutes") {
		t.Errorf("%+v", exit)
	}
	w.over(sessionID(ready.SessionID))

	p, _ = w.open(w.alice)
	for n := 1; n <= 49; n++ { // four hours and more, never 15 minutes without a key
		w.clock.ahead.Add(int64(5 * time.Minute))
		p.typeIn("Z")
		eventually(t, 5*time.Second, "what is typed counts, or the session is over", func() bool {
			_, over := p.find("exit")
			return over || strings.Count(p.text(), "Z") >= n
		})
	}
	if exit := p.wait("exit"); exit.Reason != "session time over" {
		t.Errorf("%+v", exit)
	}
}

func TestLostConnectionEndsTheSession(t *testing.T) {
	w := newWorld(t)
	p, ready := w.open(w.alice)
	_ = p.ws.CloseNow()
	if s := w.over(sessionID(ready.SessionID)); s.EndReason != "client disconnected" {
		t.Errorf("%+v", s)
	}
	// What was lost is not found again: another connection is another session.
	id := sessionID(ready.SessionID)
	q := w.connect(id, map[string]any{"type": "hello", "ticket": w.ticket(w.alice, id), "cols": 80, "rows": 24})
	if m := q.wait("error"); m.Code != "CONFLICT" || m.Message != "This session is over: launch a new one." {
		t.Errorf("%+v", m)
	}
}

func TestRefusalsAreExplained(t *testing.T) {
	w := newWorld(t)
	id := w.launch(w.alice)
	_, err := w.safes.Lock(t.Context(), w.owner, w.safe.ID)
	w.must(err)
	p := w.connect(id, map[string]any{"type": "hello", "ticket": w.ticket(w.alice, id), "cols": 80, "rows": 24})
	if m := p.wait("error"); m.Code != "LOCKED" || m.Message != "This safe is locked" {
		t.Errorf("%+v", m)
	}
	if code := p.code(); code != 1008 {
		t.Errorf("closed with %d", code)
	}
}

func TestPastesAreRefusedOrNotedAsTheSafeSays(t *testing.T) {
	w := newWorld(t)
	markers := func(id string) string {
		var out strings.Builder
		s := w.over(sessionID(id))
		r, err := w.recordings.Open(t.Context(), w.owner, s.RecordingID)
		w.must(err)
		defer r.Close()
		w.must(r.WriteAsciicast(t.Context(), &out))
		return out.String()
	}
	long := "echo " + strings.Repeat("p", 80) + "\r"
	p, ready := w.open(w.alice)
	p.typeIn(long)
	p.shows(strings.Repeat("p", 80) + "\r\n")
	p.say(map[string]any{"type": "copied", "bytes": 17})
	p.typeIn("exit\r")
	p.code()
	if cast := markers(ready.SessionID); !strings.Contains(cast, "paste: 86 bytes") || !strings.Contains(cast, "copy: 17 bytes") {
		t.Errorf("not noted: %s", cast)
	}

	w.change(func(s *safe.Settings) { s.Clipboard = safe.Blocked })
	p, ready = w.open(w.alice)
	if ready.Clipboard != "blocked" {
		t.Errorf("%+v", ready)
	}
	for _, paste := range []string{long, "\x1b[200~ls\x1b[201~", "echo one\recho two\r", "a\nb"} {
		p.typeIn(paste)
	}
	p.wait("refused")
	for _, key := range []string{"e", "c", "h", "o", " ", "o", "k", "\x1b[D", "\x1b[C", "\r\n", "exit\r"} {
		p.typeIn(key)
	}
	p.wait("exit")
	if out := p.text(); strings.Contains(out, "ppp") || strings.Contains(out, "two") || !strings.Contains(out, "ok") {
		t.Errorf("%q", out)
	}
	if cast := markers(ready.SessionID); !strings.Contains(cast, "paste refused: 86 bytes") {
		t.Errorf("not noted: %s", cast)
	}
}

func TestShutdownTellsTheTerminals(t *testing.T) {
	w := newWorld(t)
	p, _ := w.open(w.alice)
	w.must(w.broker.Drain(t.Context()))
	if exit := p.wait("exit"); exit.Reason != "server shutdown" {
		t.Errorf("%+v", exit)
	}
}
