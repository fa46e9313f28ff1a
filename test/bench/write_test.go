package bench

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/store/storetest"
)

// crowds are how many connections write at a time.
func crowds() []int {
	if full {
		return []int{1, 16, 64}
	}
	return []int{16}
}

// A change of a Safe, acknowledged when it and its audit event are durable,
// against records of a plain file that share an fsync in groups of as many.
func TestWritesKeepPaceWithTheDisk(t *testing.T) {
	rounds, span, size := 3, 150*time.Millisecond, 600
	if full {
		rounds, span, size = 5, time.Second, 4096
	}
	data := newData(t)
	// Each writer has a Safe of its own at any moment: nobody meets a conflict.
	ids := haveSafes(t, data, size)
	p := startServer(t, data)
	owner := p.owner()
	var all [2][]request
	for variant := range all {
		for _, id := range ids {
			all[variant] = append(all[variant], owner.request("PATCH", "/safes/"+id, map[string]any{"description": fmt.Sprint("Changed, as variant ", variant)}))
		}
	}
	var n atomic.Int64
	next := func(int) request {
		i := int(n.Add(1) - 1)
		return all[i/size%2][i%size]
	}
	drive(t, p.addr, 16, span, next) // warm up
	fsyncGroups(t, 16, span)
	for _, connections := range crowds() {
		var late tail
		r := interleave(rounds,
			func() float64 { return fsyncGroups(t, connections, span) },
			func() float64 { return late.got.rate(drive(t, p.addr, connections, span, next)) })
		f := figure{
			name: fmt.Sprintf("PATCH /safes/{id}, durable with its event, %s", writers(connections)), reference: "append and fsync in groups", unit: "/s",
			rounds: r, note: late.String(), slack: 20, // disks differ by as much, and some do not wait
		}
		if connections > 1 {
			f.must, f.goal = atLeast(0.15), atLeast(0.4)
		}
		report(t, f)
	}
}

// A secret revealed, its event durable first, against the least server that
// does so.
func TestRevealsKeepPaceWithTheCeiling(t *testing.T) {
	rounds, span := 3, 150*time.Millisecond
	if full {
		rounds, span = 5, time.Second
	}
	t.Run("sqlite", func(t *testing.T) { reveals(t, startServer(t, newData(t)), "", rounds, span) })
	t.Run("postgres", func(t *testing.T) {
		p := startServer(t, filepath.Join(t.TempDir(), "data"), "--database-url", storetest.NewServer(t).Address())
		reveals(t, p, " on PostgreSQL", rounds, span)
	})
}

func reveals(t *testing.T, p *process, on string, rounds int, span time.Duration) {
	owner := p.owner()
	in := v1.CheckoutIn{SafeID: owner.haveSafe(v1.ResourceIn{Name: "vaulted", Type: "ssh", Host: "192.0.2.1"}, "deploy", v1.CredentialIn{Kind: "password", Value: "a-secret-of-32-characters-length"}).ID, Reason: "benchmark"}
	answer := read[v1.Checkout](owner, "POST", "/checkouts", in)
	bare := startBare(t, bareData{Log: filepath.Join(t.TempDir(), "audit"), Token: owner.token, Answer: answer})
	other := *owner
	other.addr = bare.addr
	mine, theirs := owner.request("POST", "/checkouts", in), other.request("POST", "/checkouts", in)
	reveal := func(int) request { return mine }
	ceiling := func(int) request { return theirs }
	drive(t, p.addr, 16, span, reveal) // warm up
	drive(t, bare.addr, 16, span, ceiling)
	for _, connections := range crowds() {
		var late tail
		m := turns(rounds,
			func() float64 { return fsyncGroups(t, connections, span) },
			func() float64 { return late.ref.rate(drive(t, bare.addr, connections, span, ceiling)) },
			func() float64 { return late.got.rate(drive(t, p.addr, connections, span, reveal)) })
		f := figure{
			name: fmt.Sprintf("POST /checkouts%s, durable with its event, %s", on, writers(connections)), reference: "ceiling", unit: "/s",
			rounds: pair(m[2], m[1]), note: late.String(),
		}
		disk := figure{name: f.name, reference: "append and fsync in groups", unit: "/s", rounds: pair(m[2], m[0])}
		switch {
		case on != "": // the contract sets no bound for it
		case connections == 16:
			f.must, f.goal, disk.must = atLeast(0.4), atLeast(0.7), absoluteAtLeast(2500)
		case connections == 64:
			f.must, f.goal, disk.must = atLeast(0.4), atLeast(0.7), absoluteAtLeast(5000)
		}
		report(t, f)
		report(t, disk)
	}
	report(t, figure{name: "resident memory, after the reveals" + on, unit: "MiB", rounds: []round{{got: p.atRest()}}, must: absoluteAtMost(120), goal: absoluteAtMost(80)})
}

func writers(n int) string {
	if n == 1 {
		return "1 writer"
	}
	return fmt.Sprint(n, " writers")
}
