package bench

import (
	"fmt"
	"math"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// Reads through the full middleware, the token and the log line included,
// against a bare handler, and what they cost as the organization grows.
func TestReadsKeepPaceWithABareHandler(t *testing.T) {
	sizes, crowds, rounds, span := []int{1, 2000}, []int{16}, 3, 100*time.Millisecond
	if full {
		sizes, crowds, rounds, span = []int{1, 100, 100_000}, []int{16, 64}, 5, 600*time.Millisecond
	}
	type world struct {
		server          *process
		addr, bare      string
		get, list       func(int) request
		bareGet, barePg func(int) request
	}
	worlds := make([]world, len(sizes))
	for i, size := range sizes {
		data := newData(t)
		ids := haveSafes(t, data, size)
		p := startServer(t, data)
		owner := p.owner()
		page := read[[]v1.Safe](owner, "GET", "/safes?limit=100", nil)
		if len(page) != min(size, 100) {
			t.Fatalf("a page of %d of %d Safes", len(page), size)
		}
		bare := startBare(t, bareData{Page: page, IDs: ids})
		other := *owner // the same headers, to the other server
		other.addr = bare.addr
		w := world{server: p, addr: p.addr, bare: bare.addr}
		gets := func(c *caller) func(int) request {
			all := make([]request, min(size, 5000)) // spread over all
			for j := range all {
				all[j] = c.request("GET", "/safes/"+ids[j*size/len(all)], nil)
			}
			return func(n int) request { return all[n*7919%len(all)] }
		}
		lists := func(c *caller) func(int) request {
			r := c.request("GET", "/safes?limit=100", nil)
			return func(int) request { return r }
		}
		w.get, w.bareGet, w.list, w.barePg = gets(owner), gets(&other), lists(owner), lists(&other)
		for _, next := range []func(int) request{w.get, w.list} { // warm up
			drive(t, w.addr, 16, span, next)
		}
		for _, next := range []func(int) request{w.bareGet, w.barePg} {
			drive(t, w.bare, 16, span, next)
		}
		worlds[i] = w
	}
	for _, connections := range crowds {
		for _, list := range []bool{false, true} {
			bySize, tails := make([][]round, len(sizes)), make([]tail, len(sizes))
			for n := range rounds {
				for k := range worlds {
					i := (k + n) % len(worlds) // nobody is always the first
					w := worlds[i]
					mine, theirs := w.get, w.bareGet
					if list {
						mine, theirs = w.list, w.barePg
					}
					bySize[i] = append(bySize[i], interleave(1,
						func() float64 { return tails[i].ref.rate(drive(t, w.bare, connections, span, theirs)) },
						func() float64 { return tails[i].got.rate(drive(t, w.addr, connections, span, mine)) })...)
				}
			}
			name, must, goal := "GET /safes/{id}", atLeast(0.35), atLeast(0.6)
			if list {
				name, must, goal = "GET /safes, a page of 100", bound{}, bound{}
			}
			for i, size := range sizes {
				report(t, figure{
					name: fmt.Sprintf("%s, %s Safes, %d connections", name, count(size), connections), reference: "bare handler", unit: "/s",
					rounds: bySize[i], must: must, goal: goal, note: tails[i].String(),
				})
			}
			// A page of the smallest organization holds one Safe, so pages grow
			// from the first size that fills them.
			from := 0
			if list {
				from = 1
			}
			if from == len(sizes)-1 {
				continue // the short form has one size that fills a page
			}
			growth := make([]round, rounds)
			for n := range growth {
				growth[n] = round{got: 1e6 / bySize[len(sizes)-1][n].got, ref: 1e6 / bySize[from][n].got}
			}
			report(t, figure{
				name: fmt.Sprintf("growth of %s, %s Safes, %d connections", name, count(sizes[len(sizes)-1]), connections), reference: "with " + count(sizes[from]), unit: "µs each",
				rounds: growth, must: atMost(1.2), goal: atMost(1.05), note: slope(sizes[from:], bySize[from:]),
			})
		}
	}
	for i, w := range worlds {
		if i > 0 { // a database of 100,000 Safes is mapped, and counts as often as there are readers
			report(t, figure{
				name: fmt.Sprintf("resident memory, after the reads of %s Safes", count(sizes[i])), unit: "MiB", rounds: []round{{got: w.server.atRest()}},
				must: absoluteAtMost(120), goal: absoluteAtMost(80),
			})
		}
	}
}

// slope fits a line through the median cost by the logarithm of the size.
func slope(sizes []int, rounds [][]round) string {
	var n, sx, sy, sxx, sxy float64
	first := figure{rounds: rounds[0]}.got().median
	for i, size := range sizes {
		x, y := math.Log10(float64(size)), first/figure{rounds: rounds[i]}.got().median
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return fmt.Sprintf("fitted: %+.1f %% per tenfold", 100*(n*sxy-sx*sy)/(n*sxx-sx*sx))
}

func count(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%d,%03d,%03d", n/1_000_000, n/1000%1000, n%1000)
	}
	if n >= 1000 {
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return fmt.Sprint(n)
}
