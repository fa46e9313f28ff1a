package script

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/store/storetest"
)

// rounds is how often the server is killed: VAULTPAM_CRASH_ROUNDS, else n.
func rounds(t testing.TB, n int) int {
	t.Helper()
	if text := os.Getenv("VAULTPAM_CRASH_ROUNDS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		must(t, err)
	}
	return n
}

// A server that is killed under load loses nothing that it has acknowledged:
// no object, no audit event, and of a recording at most the last second.
func TestCrashLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	// Each server is killed twenty times at most: the log of one that has lived
	// through more takes longer to check than to write.
	for n := rounds(t, 10); n > 0; n -= 20 {
		crash(t, newServer(t), min(n, 20), 1)
	}
}

func TestCrashLosesNothingOnPostgreSQL(t *testing.T) {
	t.Parallel()
	p := newServer(t)
	p.env = append(p.env, "DATABASE_URL="+storetest.Postgres(t))
	// A node is dead to others once it was silent for 40 seconds, so what it
	// has left behind is looked at together.
	n := max(3, rounds(t, 0)/10)
	crash(t, p, n, n)
}

// crash kills the server n times; every so many rounds it waits for what the
// dead have left behind.
func crash(t *testing.T, p *proc, n, every int) {
	t.Helper()
	defer p.stop()
	p.start()
	l := &ledger{t: t, p: p, owner: p.owner(), want: map[string]*object{}, seen: map[string]int{}}
	for round := range n {
		before := len(l.want)
		l.round()
		p.start()
		l.check()
		if (round+1)%every == 0 {
			l.checkRecordings()
		}
		t.Logf("round %d: %d objects more, %d recordings", round, len(l.want)-before, len(l.seen))
		if t.Failed() {
			t.FailNow()
		}
	}
	if len(l.want) < 20*n || len(l.seen) < n {
		t.Errorf("%d objects and %d recordings in %d rounds are no load", len(l.want), len(l.seen), n)
	}
}

// ledger is what a server has acknowledged.
type ledger struct {
	t     *testing.T
	p     *proc
	owner *caller
	kept  []string // files with checkpoints, kept elsewhere

	mu   sync.Mutex
	want map[string]*object // by id
	seen map[string]int     // recording → the last count that must be in it
}

// object is one acknowledged object.
type object struct {
	path    string
	kind    string // event of its creation
	field   string // that is changed
	acked   string // its last acknowledged value
	maybe   string // sent, not answered
	changes int    // acknowledged
	change  string // event of a change
	new     bool   // since the last check
}

// round loads the server, kills it at some moment, and notes what had been
// answered by then.
func (l *ledger) round() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(l.t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Add(1)
		go func() { // ends when the server does
			defer wg.Done()
			l.write(ctx, w)
		}()
	}
	session := l.p.runSSH(ownerEmail+"+demo", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done")
	session.prints("tick 1\n")
	var count []int // one entry each 10 ms
	for end := time.Now().Add(time.Duration(1200+rand.IntN(800)) * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		count = append(count, lastTick(session.out.String()))
	}
	rows := read[[]v1.Recording](l.owner.call("GET", "/recordings?status=in_progress", nil)) // the newest first
	if len(rows) == 0 || l.seen[rows[0].ID] != 0 {
		l.t.Fatalf("the session is not recorded: %+v", rows)
	}
	note := filepath.Join(l.p.dir, fmt.Sprintf("checkpoint-%d", len(l.kept)))
	must(l.t, os.WriteFile(note, []byte(read[v1.Checkpoint](l.owner.call("GET", "/audit-log/checkpoint", nil)).Note), 0o600))
	l.kept = append(l.kept, note)
	l.p.kill()
	cancel()
	wg.Wait()
	// What was shown more than a second before the kill.
	l.seen[rows[0].ID] = count[max(0, len(count)-100)]
}

var tick = regexp.MustCompile(`tick (\d+)\r?\n`)

func lastTick(s string) int {
	all := tick.FindAllStringSubmatch(s[max(0, len(s)-200):], -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1][1])
	return n
}

// write creates and changes objects until the server is gone.
func (l *ledger) write(ctx context.Context, w int) {
	r := rand.New(rand.NewPCG(uint64(w), uint64(len(l.kept))))
	var mine []string
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("%d-%d-%d", len(l.kept), w, n)
		switch {
		case len(mine) > 0 && r.IntN(2) == 0: // change one of ours
			id := mine[r.IntN(len(mine))]
			l.mu.Lock()
			o := l.want[id]
			o.maybe = "changed " + name
			l.mu.Unlock()
			if _, ok := l.try(ctx, "PATCH", o.path, map[string]any{o.field: o.maybe}, http.StatusOK); !ok {
				return
			}
			l.mu.Lock()
			o.acked, o.maybe, o.changes = o.maybe, "", o.changes+1
			l.mu.Unlock()
		case r.IntN(3) == 0:
			id, ok := l.try(ctx, "POST", "/accounts", v1.AccountIn{Name: name, Username: "u" + name, Credential: &v1.CredentialIn{Kind: "password", Value: "of-" + name}}, http.StatusCreated)
			if !ok {
				return
			}
			mine = append(mine, id)
			l.add(id, &object{path: "/accounts/" + id, kind: "ACCOUNT_CREATED", change: "ACCOUNT_UPDATED", field: "username", acked: "u" + name})
		default:
			id, ok := l.try(ctx, "POST", "/safes", v1.SafeIn{Name: name, Description: "made"}, http.StatusCreated)
			if !ok {
				return
			}
			mine = append(mine, id)
			l.add(id, &object{path: "/safes/" + id, kind: "SAFE_CREATED", change: "SAFE_UPDATED", field: "description", acked: "made"})
		}
	}
}

func (l *ledger) add(id string, o *object) {
	o.new = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want[id] = o
}

// try sends one request and returns the id in the answer. A connection that
// breaks is what the test is about; any other refusal fails it.
func (l *ledger) try(ctx context.Context, method, path string, body any, want int) (id string, ok bool) {
	text, err := json.Marshal(body)
	if err != nil {
		l.t.Error(err)
		return "", false
	}
	req, err := http.NewRequestWithContext(ctx, method, l.owner.base+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		l.t.Error(err)
		return "", false
	}
	req.Header.Set("Authorization", "Bearer "+l.owner.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := web.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", false
	}
	var made struct {
		ID string `json:"id"`
	}
	if resp.StatusCode != want || json.Unmarshal(answer, &made) != nil {
		l.t.Errorf("%s %s: %d %s", method, path, resp.StatusCode, answer)
		return "", false
	}
	return made.ID, true
}

// check compares a server that was started again with the ledger.
func (l *ledger) check() {
	t := l.t
	t.Helper()
	old := 0
	for id, o := range l.want {
		// What earlier rounds have checked is looked at again in part.
		if !o.new {
			if old++; old > 40 {
				continue
			}
		}
		o.new = false
		got := read[map[string]any](l.owner.call("GET", o.path, nil))
		if v := got[o.field]; v != o.acked && (o.maybe == "" || v != o.maybe) {
			t.Errorf("%s %s is %v, want %q, or %q that was not answered", id, o.field, v, o.acked, o.maybe)
		} else if v != o.acked {
			o.acked, o.changes = o.maybe, o.changes+1
		}
		o.maybe = ""
	}
	l.checkAudit()
}

// checkAudit verifies the log offline, against every checkpoint kept, and
// looks for the event of every acknowledged act.
func (l *ledger) checkAudit() {
	t := l.t
	t.Helper()
	export := l.owner.call("GET", "/audit-events/export?format=ndjson", nil).want(http.StatusOK)
	file := filepath.Join(l.p.dir, "export.ndjson")
	must(t, os.WriteFile(file, export.body, 0o600))
	for _, kept := range append([]string{l.kept[0]}, l.kept[max(0, len(l.kept)-2):]...) {
		if out, errs, status := run(t, nil, "", binary(t), "audit", "verify", file, "--checkpoint", kept); status != 0 {
			t.Fatalf("the log does not verify against %s: %s%s", kept, out, errs)
		}
	}
	events := map[string]int{}
	for line := range strings.Lines(string(export.body)) {
		var e v1.AuditEvent
		must(t, json.Unmarshal([]byte(line), &e))
		events[e.Type+" "+e.Target.ID]++
	}
	for id, o := range l.want {
		if events[o.kind+" "+id] != 1 {
			t.Errorf("%d events %s of %s", events[o.kind+" "+id], o.kind, id)
		}
		if n := events[o.change+" "+id]; n != o.changes {
			t.Errorf("%d events %s of %s, want %d", n, o.change, id, o.changes)
		}
	}
}

// checkRecordings wants every recording sealed, verified and readable up to
// the last second before its end.
func (l *ledger) checkRecordings() {
	t := l.t
	t.Helper()
	for _, id := range slices.Sorted(maps.Keys(l.seen)) {
		eventually(t, 60*time.Second, "the recording is sealed", func() bool {
			return read[v1.Recording](l.owner.call("GET", "/recordings/"+id, nil)).Status == "completed"
		})
		if v := read[v1.RecordingVerification](l.owner.call("GET", "/recordings/"+id+"/verify", nil)); !v.Verified {
			t.Errorf("recording %s: %v", id, v.Problems)
		}
		cast := string(l.owner.call("GET", "/recordings/"+id+"/content", nil).want(http.StatusOK).body)
		if want := fmt.Sprintf(`tick %d\`, l.seen[id]); !strings.Contains(cast, want) {
			t.Errorf("recording %s lacks %q, which was shown more than a second before the kill; it ends with %s", id, want, tail(cast, 200))
		}
	}
	for _, s := range read[[]v1.Session](l.owner.call("GET", "/sessions?status=active", nil)) {
		t.Errorf("session %s is still active", s.ID)
	}
}
