package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"sync/atomic"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// ledger loads a server and is what the server has acknowledged.
type ledger struct {
	t        *testing.T
	p        *proc
	owner    *caller
	bob      *caller  // is given roles in Safes
	checkout string   // a Safe that reveals its secret
	kept     []string // files with checkpoints, kept elsewhere
	loads    int      // how often load was called

	// faulty says that the server may answer that it cannot do it now.
	faulty atomic.Bool

	mu       sync.Mutex
	want     map[string]*object // by id
	seen     map[string]int     // recording → the last count that must be in it
	refusals map[string]int     // sentence → how often a write was refused with it
}

// object is one acknowledged object.
type object struct {
	path    string // GET shows it
	field   string // that is changed
	acked   string // its last acknowledged value
	maybe   string // sent, not answered
	changes int    // acknowledged
	made    string // the event of its creation, and what it is about
	changed string // the same of a change
	new     bool   // since the last check
	// next is the change to the n-th value; without a method there is none.
	next func(o *object, n string) (method, path string, body any, value string)
}

// newLedger prepares a server that was just started.
func newLedger(t *testing.T, p *proc) *ledger {
	t.Helper()
	l := &ledger{t: t, p: p, owner: p.owner(), want: map[string]*object{}, seen: map[string]int{}, refusals: map[string]int{}}
	l.bob = l.owner.person(p, "bob@ledger.test", "operator")
	demo := l.owner.safe("Demo").Bindings[0]
	account := read[v1.Account](l.owner.call("POST", "/accounts", v1.AccountIn{
		Name: "Shown", Username: "shown", ResourceID: &demo.ResourceID, Credential: &v1.CredentialIn{Kind: "password", Value: "shown-to-many"},
	}))
	l.checkout = read[v1.Safe](l.owner.call("POST", "/safes", v1.SafeIn{
		Name: "Shown", Bindings: []v1.Binding{{ResourceID: demo.ResourceID, AccountID: account.ID}}, Checkout: v1.CheckoutRules{Enabled: true, TTLSeconds: 3600},
	})).ID
	return l
}

// load writes from several sides until the returned function is called or the
// server is gone. What was asked for by then is waited for: a request that is
// abandoned may be done at any time after.
func (l *ledger) load() (end func()) {
	ctx, cancel := context.WithCancel(l.t.Context())
	var wg sync.WaitGroup
	l.loads++
	for w := range 6 {
		wg.Add(1)
		go func(name string) { // ends when the server does, or with ctx
			defer wg.Done()
			l.write(ctx, rand.New(rand.NewPCG(uint64(l.loads), uint64(w))), name)
		}(fmt.Sprintf("%d-%d", l.loads, w))
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// keep keeps the log's checkpoint of now.
func (l *ledger) keep() {
	l.t.Helper()
	note := filepath.Join(l.p.dir, fmt.Sprintf("checkpoint-%d", len(l.kept)))
	must(l.t, os.WriteFile(note, []byte(read[v1.Checkpoint](l.owner.call("GET", "/audit-log/checkpoint", nil)).Note), 0o600))
	l.kept = append(l.kept, note)
}

// counting is a session that shows a running count, with so much noise that
// each second of it takes room in the recording.
type counting struct {
	*sshRun
	l         *ledger
	recording string
	session   string
	counts    []count
}

type count struct {
	at time.Time
	n  int
}

// session opens a session in a Safe, by its slug.
func (l *ledger) session(safe string) *counting {
	l.t.Helper()
	c := &counting{l: l, sshRun: l.p.runSSH(ownerEmail+"+"+safe, "i=0; while :; do i=$((i+1)); head -c 300 /dev/urandom | base64; echo tick $i; sleep 0.02; done")}
	c.prints("tick 1\n")
	for _, r := range read[[]v1.Recording](l.owner.call("GET", "/recordings?status=in_progress", nil)) { // the newest first
		if _, known := l.seen[r.ID]; !known {
			c.recording, c.session = r.ID, r.SessionID
			l.seen[r.ID] = 0
			return c
		}
	}
	l.t.Fatal("the session is not recorded")
	return nil
}

// look notes what the session has shown by now.
func (c *counting) look() {
	if n := lastTick(c.out.String()); len(c.counts) == 0 || n > c.counts[len(c.counts)-1].n {
		c.counts = append(c.counts, count{time.Now(), n})
	}
}

// watch looks for so long.
func (c *counting) watch(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		c.look()
	}
}

// until notes what was shown more than a second before at: that must be in the
// recording.
func (c *counting) until(at time.Time) {
	for _, seen := range c.counts {
		if at.Sub(seen.at) > time.Second {
			c.l.seen[c.recording] = seen.n
		}
	}
}

var tick = regexp.MustCompile(`tick (\d+)\r?\n`)

func lastTick(s string) int {
	all := tick.FindAllStringSubmatch(s[max(0, len(s)-2000):], -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1][1])
	return n
}

var (
	errGone    = errors.New("the connection broke")
	errRefused = errors.New("the server cannot do it now")
)

// write creates and changes objects until the server is gone.
func (l *ledger) write(ctx context.Context, r *rand.Rand, name string) {
	var mine []string // ids of objects that may be changed
	var safes []string
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("%s-%d", name, n)
		var err error
		switch kind := r.IntN(12); {
		case kind < 6 && len(mine) > 0:
			i := r.IntN(len(mine))
			more := false
			if more, err = l.change(ctx, mine[i], name); !more {
				mine = slices.Delete(mine, i, i+1)
			}
		case kind == 6 && len(safes) > 0:
			safe := safes[len(safes)-1]
			safes = safes[:len(safes)-1]
			err = l.make(ctx, &mine, "/safes/"+safe+"/members", v1.SafeMemberIn{UserID: l.bob.id, Role: "viewer"}, &object{
				field: "role", acked: "viewer", made: "SAFE_MEMBER_ADDED " + safe, changed: "SAFE_MEMBER_UPDATED " + safe,
				next: func(o *object, _ string) (string, string, any, string) {
					role := map[string]string{"viewer": "operator", "operator": "viewer"}[o.acked]
					return "PATCH", o.path, v1.SafeMemberPatch{Role: role}, role
				},
			})
		case kind == 7:
			err = l.make(ctx, &mine, "/checkouts", v1.CheckoutIn{SafeID: l.checkout}, &object{
				field: "status", acked: "checked_out", made: "CREDENTIAL_CHECKED_OUT ", changed: "CREDENTIAL_CHECKED_IN ",
				next: func(o *object, _ string) (string, string, any, string) {
					if o.changes > 0 {
						return "", "", nil, ""
					}
					return "POST", o.path + "/check-in", nil, "available"
				},
			})
		case kind < 9:
			in := v1.AccountIn{Name: name, Username: "u" + name, Credential: &v1.CredentialIn{Kind: "password", Value: "of-" + name}}
			err = l.make(ctx, &mine, "/accounts", in, &object{field: "username", acked: in.Username, made: "ACCOUNT_CREATED ", changed: "ACCOUNT_UPDATED ", next: patched})
		default:
			o := &object{field: "description", acked: "made", made: "SAFE_CREATED ", changed: "SAFE_UPDATED ", next: patched}
			if err = l.make(ctx, &mine, "/safes", v1.SafeIn{Name: name, Description: o.acked}, o); err == nil {
				safes = append(safes, strings.TrimPrefix(o.path, "/safes/"))
			}
		}
		switch {
		case errors.Is(err, errRefused):
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		case err != nil:
			return
		}
	}
}

// patched gives a field another text.
func patched(o *object, n string) (method, path string, body any, value string) {
	return "PATCH", o.path, map[string]any{o.field: "changed " + n}, "changed " + n
}

// make creates an object and enters it.
func (l *ledger) make(ctx context.Context, mine *[]string, path string, in any, o *object) error {
	id, err := l.try(ctx, "POST", path, in)
	if err != nil {
		return err
	}
	*mine = append(*mine, id)
	o.path, o.new = path+"/"+id, true
	for _, event := range []*string{&o.made, &o.changed} {
		if strings.HasSuffix(*event, " ") {
			*event += id
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want[id] = o
	return nil
}

// change changes an object; more says whether it can be changed again.
func (l *ledger) change(ctx context.Context, id, n string) (more bool, err error) {
	l.mu.Lock()
	o := l.want[id]
	l.mu.Unlock()
	method, path, body, value := o.next(o, n)
	if method == "" {
		return false, nil
	}
	o.maybe = value
	if _, err := l.try(ctx, method, path, body); err != nil {
		return false, err // which of the two values it has, only a check tells
	}
	o.acked, o.maybe, o.changes = value, "", o.changes+1
	return true, nil
}

// try sends one request and returns the id in the answer. A connection that
// breaks is what the test is about; any other failure than a clear refusal of
// a server that is in trouble fails it.
func (l *ledger) try(ctx context.Context, method, path string, in any) (id string, err error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			l.t.Error(err)
			return "", errGone
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), method, l.owner.base+"/api/v1"+path, body)
	if err != nil {
		l.t.Error(err)
		return "", errGone
	}
	req.Header.Set("Authorization", "Bearer "+l.owner.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	before := l.faulty.Load() // the answer may be older than the repair
	resp, err := web.Do(req)
	if err != nil {
		return "", errGone
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", errGone
	}
	var got struct {
		ID        string `json:"id"`
		Error     string `json:"error"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}
	err = json.Unmarshal(answer, &got)
	switch {
	case err == nil && resp.StatusCode < 300:
		return got.ID, nil
	case err == nil && (before || l.faulty.Load()) && resp.StatusCode == http.StatusServiceUnavailable && got.Error == "UNAVAILABLE" && got.Message != "" && got.RequestID != "":
		l.mu.Lock()
		l.refusals[got.Message]++
		l.mu.Unlock()
		return "", errRefused
	}
	l.t.Errorf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	return "", errRefused
}

// refused is how many writes were refused up to now.
func (l *ledger) refused() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, m := range l.refusals {
		n += m
	}
	return n
}

// check compares a server with the ledger while nothing is written.
func (l *ledger) check() {
	t := l.t
	t.Helper()
	old := 0
	for id, o := range l.want {
		// What earlier rounds have checked is looked at again in part.
		if !o.new && o.maybe == "" {
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
		if id, ok := e.Metadata["checkout_id"].(string); ok {
			events[e.Type+" "+id]++
		}
	}
	for id, o := range l.want {
		if n := events[o.made]; n != 1 {
			t.Errorf("%d events %s of %s", n, o.made, id)
		}
		if n := events[o.changed]; n != o.changes {
			t.Errorf("%d events %s of %s, want %d", n, o.changed, id, o.changes)
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
			t.Errorf("recording %s lacks %q, which was shown more than a second before its end; it ends with %s", id, want, tail(cast, 200))
		}
	}
	eventually(t, 60*time.Second, "no session is active any more", func() bool {
		return len(read[[]v1.Session](l.owner.call("GET", "/sessions?status=active", nil))) == 0
	})
}
