package script

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vaultpam/store/storetest"
)

// A database that dies takes nothing with it that was acknowledged. The server
// says clearly that it cannot work without, and goes on by itself as soon as
// the database does.
func TestDatabaseThatDiesLosesNothing(t *testing.T) {
	t.Parallel()
	database := storetest.NewServer(t)
	p := newServer(t)
	p.env = append(p.env, "DATABASE_URL="+database.Address())
	t.Cleanup(p.stop) // before the database
	p.start()
	l := newLedger(t, p)
	s := l.session("demo")
	for range 3 {
		l.keep()
		end := l.load()
		s.watch(time.Second) // of load
		s.look()
		l.faulty.Store(true)
		database.Kill()
		before := l.refused()
		eventually(t, 10*time.Second, "writes are refused", func() bool { return l.refused() > before+20 })
		for _, path := range []string{"/safes", "/me", "/audit-events", "/audit-events/export", "/audit-log/checkpoint", "/recordings"} {
			l.owner.call("GET", path, nil).want(http.StatusServiceUnavailable, "UNAVAILABLE")
		}
		p.nobody().call("POST", "/auth/login", map[string]string{"email": ownerEmail, "password": ownerPassword}).want(http.StatusServiceUnavailable, "UNAVAILABLE")
		if status, checks := p.ready(); status != http.StatusServiceUnavailable || checks["database"] != "unavailable" || checks["recordings"] != "ok" {
			t.Errorf("/readyz without a database: %d %v", status, checks)
		}
		l.refusedSession("Nobody can sign in right now.")

		database.Start()
		eventually(t, 15*time.Second, "the server is ready", func() bool { status, _ := p.ready(); return status == http.StatusOK })
		eventually(t, 15*time.Second, "reads and writes work", func() bool {
			before := l.refused()
			for range 30 {
				if l.owner.call("GET", "/safes", nil).status != http.StatusOK {
					return false
				}
			}
			return l.refused() == before
		})
		l.faulty.Store(false)
		time.Sleep(300 * time.Millisecond) // of load, in which nothing is refused
		end()
		l.check()
	}
	// The session has lived through all of it, and so has its recording.
	s.look()
	if s.counts[len(s.counts)-1].n <= s.counts[0].n {
		t.Errorf("the session stands still: %v", s.counts)
	}
	last := lastTick(s.out.String())
	l.owner.call("POST", "/sessions/"+s.session+"/terminate", nil).want(http.StatusOK)
	s.wait()
	l.seen[s.recording] = last
	l.runs("demo")
	l.checkRecordings()
	if text := p.stderr.String(); strings.Contains(text, "panic") {
		t.Errorf("the server panicked:\n%s", tail(text, 4000))
	}
	t.Logf("%d objects; refusals: %v", len(l.want), l.refusals)
}
