package webterm_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"vaultpam/pam/audit"
	"vaultpam/pam/recording"
	"vaultpam/pam/session"
)

func TestTerminalIsAShellThatIsRecordedLikeANativeOne(t *testing.T) {
	w := newWorld(t)
	id := w.launch(w.alice)
	p := w.connect(id, map[string]any{"type": "hello", "ticket": w.ticket(w.alice, id), "cols": 81, "rows": 25, "term": "xterm"})
	ready := p.wait("ready")
	if ready.SessionID != string(id) || ready.RecordingID == "" || ready.Clipboard != "audited" || ready.IdleSeconds != 900 || ready.Window == 0 || ready.InputWindow == 0 || time.Until(ready.ExpiresAt) < 3*time.Hour {
		t.Errorf("%+v", ready)
	}
	p.typeIn("echo $((6*7)) $TERM $LC_CTYPE; stty size\r")
	p.shows("42 xterm C.UTF-8")
	p.shows("25 81")
	p.say(map[string]any{"type": "resize", "cols": 132, "rows": 50})
	p.typeIn("stty size\r")
	p.shows("50 132")
	p.typeIn("exit 3\r")
	if exit := p.wait("exit"); exit.Status == nil || *exit.Status != 3 || exit.Reason != "exit" {
		t.Errorf("%+v", exit)
	}
	if code := p.code(); code != websocket.StatusNormalClosure {
		t.Errorf("closed with %d", code)
	}
	// The WebSocket closes after the end is on record.
	s := w.onRecord(id)
	if s.Status != session.Ended || s.EndReason != "exit" || s.ClientIP != "192.0.2.7" || s.BytesOut != int64(len(p.text())) || s.BytesIn == 0 {
		t.Errorf("on record: %+v", s)
	}
	v, err := w.recordings.Verify(t.Context(), w.owner, s.RecordingID)
	if err != nil || !v.Verified {
		t.Fatalf("%+v %v", v, err)
	}
	r := must[*recording.Reader](t)(w.recordings.Open(t.Context(), w.owner, s.RecordingID))
	defer r.Close()
	var cast bytes.Buffer
	w.must(r.WriteAsciicast(t.Context(), &cast))
	for _, want := range []string{`"width":81`, "42 xterm", `"r","132x50"`, `exit`} {
		if !strings.Contains(strings.ReplaceAll(cast.String(), ", ", ","), want) {
			t.Errorf("no %s in the recording: %.1000s", want, cast.String())
		}
	}
	all, err := w.db.Audit().List(t.Context(), w.owner.Org, audit.Filter{Limit: 200})
	w.must(err)
	for _, want := range []audit.Type{audit.SessionStarted, audit.CredentialInjected, audit.RecordingSealed, audit.SessionEnded} {
		if !slices.ContainsFunc(all, func(e audit.Event) bool {
			return e.Type == want && e.Actor.ID == string(w.alice.User) || e.Type == want && want == audit.RecordingSealed
		}) {
			t.Errorf("no %s of alice's in the log", want)
		}
	}
}

func TestLettersMayBeSplitOverMessages(t *testing.T) {
	w := newWorld(t)
	p, _ := w.open(w.alice)
	p.typeIn("stty -echo; cat\r")
	p.shows("cat")
	const text = "grüße 日本語 🎉 \u202eabc"
	for _, b := range []byte(text + "\r") {
		p.typeIn(string([]byte{b}))
	}
	p.shows(text)
}

func TestSignalThatEndsTheShellIsTold(t *testing.T) {
	w := newWorld(t)
	p, _ := w.open(w.alice)
	p.typeIn("kill -KILL $$\r")
	if exit := p.wait("exit"); exit.Signal != "KILL" || exit.Status != nil || exit.Reason != "exit" {
		t.Errorf("%+v", exit)
	}
}

// Output waits at the target until the page has shown what came before.
func TestFiftyMegabytesNeverPileUp(t *testing.T) {
	w := newWorld(t)
	id := w.launch(w.alice)
	p := w.connect(id, nil)
	p.mu.Lock()
	p.silent = true
	p.mu.Unlock()
	p.say(map[string]any{"type": "hello", "ticket": w.ticket(w.alice, id), "cols": 80, "rows": 24})
	window := p.wait("ready").Window
	const size = 50 << 20
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	p.typeIn(fmt.Sprintf("stty -echo -onlcr; head -c %d /dev/zero | tr '\\0' x; echo; echo END; exit\r", size))
	count := func() int64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return int64(len(p.out))
	}
	eventually(t, 20*time.Second, "the window is full", func() bool { return count() == window })
	// A second terminal is not held up by the first.
	q, _ := w.open(w.alice)
	q.typeIn("echo $((40+2))\r")
	q.shows("42")
	q.typeIn("exit\r")
	q.wait("exit")
	if n := count(); n != window {
		t.Fatalf("%d bytes without an acknowledgement, of a window of %d", n, window)
	}
	// The page now shows it bit by bit, keeping only what is not yet shown.
	began := time.Now()
	var shown, peak int64
	var tail []byte
	for finished := false; !finished; {
		p.mu.Lock()
		got := int64(len(p.out))
		tail = append(tail[:0], p.out[max(0, len(p.out)-64):]...)
		p.out = p.out[:0]
		_, finished = p.exited()
		p.mu.Unlock()
		if peak = max(peak, got); got > 0 {
			shown += got
			p.say(map[string]any{"type": "ack", "bytes": shown})
			if shown/(8<<20) != (shown-got)/(8<<20) {
				runtime.ReadMemStats(&now)
				if grown := int64(now.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
					t.Errorf("%d MiB more on the heap after %d MiB of output", grown>>20, shown>>20)
				}
			}
		} else {
			time.Sleep(time.Millisecond)
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%d of %d bytes in a minute", shown, size)
		}
	}
	if peak > window || shown < size {
		t.Errorf("%d bytes at once with a window of %d; %d in all", peak, window, shown)
	}
	t.Logf("%.0f MB/s", float64(shown)/1e6/time.Since(began).Seconds())
	if s := w.over(id); s.BytesOut != shown {
		t.Errorf("%d bytes on record, %d shown: ... %q", s.BytesOut, shown, tail)
	}
}

// exited is find("exit") with mu held.
func (p *page) exited() (message, bool) {
	for _, m := range p.messages {
		if m.Type == "exit" {
			return m, true
		}
	}
	return message{}, false
}

// Input that waits at the target does not keep acknowledgements from being
// heard, so that both directions may be full at once.
func TestBothDirectionsMayBeFullAtOnce(t *testing.T) {
	w := newWorld(t)
	p, ready := w.open(w.alice)
	p.typeIn("stty raw -echo; echo be''gin; cat\r")
	p.shows("begin\n")
	p.mu.Lock()
	before := len(p.out)
	p.mu.Unlock()
	data := make([]byte, 8<<20)
	for i := range data {
		data[i] = byte(i*7 + i>>9)
	}
	typed := int64(len("stty raw -echo; echo be''gin; cat\r"))
	for sent := 0; sent < len(data); {
		n := min(40_000, len(data)-sent)
		eventually(t, 20*time.Second, "there is room for input", func() bool {
			return int64(sent+n)+typed-p.acked() <= ready.InputWindow
		})
		p.typeIn(string(data[sent : sent+n]))
		sent += n
	}
	eventually(t, 20*time.Second, "everything came back", func() bool { return len(p.text()) >= before+len(data) })
	if got := p.text()[before:]; got != string(data) {
		t.Errorf("%d bytes came back, not the same", len(got))
	}
}

// acked is how much of the input was acknowledged.
func (p *page) acked() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range slices.Backward(p.messages) {
		if m.Type == "ack" {
			return m.Bytes
		}
	}
	return 0
}

func TestManyTerminalsEndCleanly(t *testing.T) {
	w := newWorld(t)
	pages := make([]*page, 12)
	for i := range pages {
		pages[i], _ = w.open(w.alice)
		pages[i].typeIn("while :; do echo more; sleep 0.01; done\r")
	}
	for _, p := range pages {
		p.shows("more\r\nmore")
	}
	for i, p := range pages {
		switch i % 3 {
		case 0:
			_ = p.ws.CloseNow()
		case 1:
			_ = p.ws.Close(websocket.StatusGoingAway, "")
		}
	}
	_, err := w.safes.Lock(t.Context(), w.owner, w.safe.ID)
	w.must(err)
	for i, p := range pages {
		if i%3 == 2 {
			p.wait("exit")
		}
	}
	eventually(t, 10*time.Second, "no session is live", func() bool { return len(w.broker.Live()) == 0 })
}
