package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vaultpam/internal/clock"
	"vaultpam/internal/ids"
	"vaultpam/pam"
	"vaultpam/pam/audit"
	"vaultpam/store"
)

// eventMaker makes events as an organization has them: of a hundred people, on
// a thousand Safes, one per second of the past.
type eventMaker struct {
	org   pam.OrgID
	ids   *ids.Source
	start time.Time
	next  atomic.Int64
}

func newEventMaker(org pam.OrgID) *eventMaker {
	return &eventMaker{org: org, ids: ids.NewSource(clock.Real{}, rand.Reader), start: time.Now().AddDate(-1, 0, 0)}
}

var eventTypes = []audit.Type{audit.LoginSucceeded, audit.SafeUpdated, audit.CredentialCheckedOut, audit.SessionStarted}

func (m *eventMaker) entry() audit.Entry {
	n := m.next.Add(1)
	return audit.Entry{
		ID: pam.EventID(m.ids.New(pam.PrefixEvent)), Time: m.start.Add(time.Duration(n) * time.Second), Type: eventTypes[n%int64(len(eventTypes))], Org: m.org,
		Actor:  audit.Party{Type: "user", ID: fmt.Sprintf("usr_%026d", n%101), Name: fmt.Sprintf("person-%d@example.com", n%101)},
		Target: audit.Party{Type: "safe", ID: fmt.Sprintf("saf_%026d", n%1009), Name: fmt.Sprintf("safe-%d", n%1009)}, SourceIP: fmt.Sprintf("192.0.2.%d", n%250),
		RequestID: fmt.Sprintf("rid_%026d", n), Metadata: map[string]any{"reason": "benchmark", "count": n},
	}
}

// withStore opens the database of a server that has stopped.
func withStore(t testing.TB, data string, fn func(*store.DB)) {
	t.Helper()
	db, err := store.Open(context.Background(), store.Options{DataDir: data})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	fn(db)
}

// organization is the id of the one that dev mode makes.
func organization(t testing.TB, data string) (org pam.OrgID) {
	t.Helper()
	db := openDatabase(t, data)
	defer db.Close()
	must(t, db.QueryRow(`SELECT org_id FROM safes LIMIT 1`).Scan(&org))
	return org
}

// fill appends n events.
func (m *eventMaker) fill(t testing.TB, db *store.DB, n int) {
	t.Helper()
	for n > 0 {
		batch := make([]audit.Entry, min(n, 500))
		for i := range batch {
			batch[i] = m.entry()
		}
		must(t, db.Audit().Append(context.Background(), m.org, batch...))
		n -= len(batch)
	}
}

// appends is the rate at which so many writers append an event each, every one
// durable on return.
func (m *eventMaker) appends(t testing.TB, db *store.DB, writers int, d time.Duration) float64 {
	t.Helper()
	var (
		all    sync.WaitGroup
		done   atomic.Int64
		failed atomic.Pointer[error]
	)
	began := time.Now()
	for range writers {
		all.Go(func() {
			for time.Since(began) < d {
				if err := db.Audit().Append(context.Background(), m.org, m.entry()); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	return float64(done.Load()) / time.Since(began).Seconds()
}

// export writes the log into a file and returns how many bytes it has.
func (c *caller) export(path string) int64 {
	c.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+c.addr+"/api/v1/audit-events/export?format=ndjson", nil)
	must(c.t, err)
	req.Header = c.header()
	resp, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("export: %s", resp.Status)
	}
	f, err := os.Create(path)
	must(c.t, err)
	defer f.Close()
	n, err := io.Copy(f, resp.Body)
	must(c.t, err)
	return n
}

// verify runs vaultpam audit verify and returns how long it took, in seconds.
func verify(t testing.TB, path string) float64 {
	t.Helper()
	began := time.Now()
	if out, err := exec.Command(binary(t), "audit", "verify", path).CombinedOutput(); err != nil {
		t.Fatalf("audit verify: %v\n%s", err, out)
	}
	return time.Since(began).Seconds()
}

// hashLines reads the file and hashes each line, and returns how long it took,
// in seconds: the least that any verifier does.
func hashLines(t testing.TB, path string) float64 {
	t.Helper()
	began := time.Now()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 1<<20), 8<<20)
	var sum [32]byte
	for lines.Scan() {
		sum = sha256.Sum256(lines.Bytes())
	}
	must(t, lines.Err())
	_ = sum
	return time.Since(began).Seconds()
}
