package bench

import (
	"path/filepath"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// How long from the start of the process on existing data to its first
// answer, and how much memory it has then.
func TestItStartsAtOnce(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first := startServer(t, data)
	page := read[[]v1.Safe](first.owner(), "GET", "/safes", nil)
	first.stop()
	rounds := 3
	if full {
		rounds = 7
	}
	var memory round
	times := interleave(rounds, func() float64 {
		cmd, addr := bareCommand(t, bareData{Page: page, IDs: []string{page[0].ID}})
		began := time.Now()
		p := start(t, cmd, addr, "/healthz")
		took := time.Since(began)
		memory.ref = p.resident()
		p.stop()
		return took.Seconds() * 1000
	}, func() float64 {
		cmd, addr := serverCommand(t, data)
		began := time.Now()
		p := start(t, cmd, addr, "/healthz")
		took := time.Since(began)
		p.stop()
		return took.Seconds() * 1000
	})
	report(t, figure{
		name: "start to first answer, dev, existing data", reference: "bare handler", unit: "ms", rounds: times,
		must: absoluteAtMost(300), goal: absoluteAtMost(100),
	})
	p := startServer(t, data)
	time.Sleep(500 * time.Millisecond) // what it does after its start is part of being idle
	memory.got = p.resident()
	report(t, figure{name: "resident memory, idle", reference: "bare handler", unit: "MiB", rounds: []round{memory}, must: absoluteAtMost(60), goal: absoluteAtMost(40)})
}
