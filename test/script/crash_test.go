package script

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

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
	l := newLedger(t, p)
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

// round loads the server, kills it at some moment, and notes what had been
// answered by then.
func (l *ledger) round() {
	l.t.Helper()
	end := l.load()
	s := l.session("demo")
	s.watch(time.Duration(1200+rand.IntN(800)) * time.Millisecond)
	l.keep()
	s.until(time.Now())
	l.p.kill()
	end()
}
