package bench

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
	"vaultpam/store"
)

// The log under load, when it is long, and when it is checked without the
// server.
func TestTheLogStaysFastAsItGrows(t *testing.T) {
	events, rounds, span := 20_000, 1, 100*time.Millisecond
	if full {
		events, rounds, span = 1_000_000, 5, 500*time.Millisecond
	}
	data := newData(t)
	makes := newEventMaker(organization(t, data))
	withStore(t, data, func(db *store.DB) {
		makes.appends(t, db, 64, span) // warm up
		for _, n := range crowds() {
			r := interleave(max(rounds, 2),
				func() float64 { return fsyncGroups(t, n, span) },
				func() float64 { return makes.appends(t, db, n, span) })
			report(t, figure{name: "append of audit events, " + writers(n), reference: "append and fsync in groups", unit: "/s", rounds: r})
		}
		left := events - int(makes.next.Load())
		began := time.Now()
		makes.fill(t, db, left)
		rate := float64(left) / time.Since(began).Seconds()
		report(t, figure{name: "append of audit events, 500 at a time", unit: "/s", rounds: []round{{got: rate}}, note: "to " + count(events)})
	})

	p := startServer(t, data)
	owner := p.owner()
	file := filepath.Join(t.TempDir(), "log.ndjson")
	began := time.Now()
	size := owner.export(file)
	report(t, figure{name: fmt.Sprintf("export of %s audit events", count(events)), unit: "s", rounds: []round{{got: time.Since(began).Seconds()}}, note: fmt.Sprintf("%d MiB", size>>20)})
	hashLines(t, file) // warm up: into the page cache
	r := interleave(rounds, func() float64 { return hashLines(t, file) }, func() float64 { return verify(t, file) })
	report(t, figure{
		name: fmt.Sprintf("audit verify of %s events, offline", count(events)), reference: "SHA-256 of each line", unit: "s", rounds: r, must: absoluteAtMost(10), goal: absoluteAtMost(3),
		note: fmt.Sprintf("%s µs per event", number(figure{rounds: r}.got().median*1e6/float64(events))),
	})
	listsOfALongLog(t, owner, events, span)

	// What one read and one reveal cost when the log is long.
	first := startServer(t, newData(t))
	const connections = 16
	for _, what := range []string{"GET /safes/{id}", "POST /checkouts"} {
		measure := func(c *caller) func() float64 {
			s := c.haveSafe(v1.ResourceIn{Name: what[:3], Type: "ssh", Host: "192.0.2.1"}, "deploy", v1.CredentialIn{Kind: "password", Value: "a-secret-of-32-characters-length"})
			r := c.request("GET", "/safes/"+s.ID, nil)
			if what != "GET /safes/{id}" {
				r = c.request("POST", "/checkouts", v1.CheckoutIn{SafeID: s.ID, Reason: "benchmark"})
			}
			one := func() float64 { return 1e6 / drive(t, c.addr, connections, span, func(int) request { return r }).rate }
			one() // warm up
			return one
		}
		r := interleave(max(rounds, 2), measure(first.owner()), measure(owner))
		report(t, figure{
			name: fmt.Sprintf("growth of %s, %s events in the log, %d connections", what, count(events), connections), reference: "with few", unit: "µs each",
			rounds: r, must: atMost(1.2), goal: atMost(1.05),
		})
	}
}

// listsOfALongLog measures a page of a hundred by each filter.
func listsOfALongLog(t *testing.T, owner *caller, events int, span time.Duration) {
	t.Helper()
	all := read[[]v1.AuditEvent](owner, "GET", "/audit-events?limit=100&type=CREDENTIAL_CHECKED_OUT", nil)
	if len(all) != 100 {
		t.Fatalf("a page of %d events", len(all))
	}
	some := all[50]
	for _, filter := range []url.Values{
		{},
		{"type": {some.Type}},
		{"category": {some.Category}},
		{"actor_id": {some.Actor.ID}},
		{"target_id": {some.Target.ID}},
		{"source_ip": {some.SourceIP}},
		{"from": {some.Time.AddDate(0, 0, -1).Format(time.RFC3339)}, "to": {some.Time.Format(time.RFC3339)}},
		{"type": {some.Type}, "actor_id": {some.Actor.ID}},
		{"target_id": {"nothing"}},
		{"q": {some.Target.Name}},
		{"q": {"nothing"}},
	} {
		filter.Set("limit", "100")
		r := owner.request("GET", "/audit-events?"+filter.Encode(), nil)
		one := func(int) request { return r }
		drive(t, owner.addr, 1, span/5, one) // warm up
		o := drive(t, owner.addr, 1, span, one)
		filter.Del("limit")
		name := strings.Join(slices.Sorted(maps.Keys(filter)), " and ")
		switch {
		case name == "":
			name = "no filter"
		case filter.Get("q") == "nothing" || filter.Get("target_id") == "nothing":
			name += " that nothing has"
		}
		report(t, figure{
			name: fmt.Sprintf("p95 of a page of 100 of %s audit events, %s", count(events), name), unit: "ms", rounds: []round{{got: o.at(0.95)}},
			must: absoluteAtMost(50), goal: absoluteAtMost(10),
		})
	}
}
