package bench

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	v1 "vaultpam/api/v1"
)

// The costs of a password hash that the server has by default.
const (
	hashTime   = 2
	hashMemory = 19 * 1024
)

// argon2ids hashes on as many cores at once, and returns hashes per second.
func argon2ids(cores int, d time.Duration) float64 {
	var (
		all  sync.WaitGroup
		mu   sync.Mutex // guards done
		done int
	)
	began := time.Now()
	for range cores {
		all.Go(func() {
			n := 0
			for time.Since(began) < d {
				_ = argon2.IDKey([]byte(ownerPassword), make([]byte, 16), hashTime, hashMemory, 1, 32)
				n++
			}
			mu.Lock()
			defer mu.Unlock()
			done += n
		})
	}
	all.Wait()
	return float64(done) / time.Since(began).Seconds()
}

// A login is one password hash and little more; and a storm of them takes
// neither the memory nor other people's reads.
func TestLoginsCostOneHashAndStormsNobody(t *testing.T) {
	few, rounds, span, crowd := []int{4}, 1, 200*time.Millisecond, 24
	if full {
		few, rounds, span, crowd = []int{1, 16}, 5, 2*time.Second, 64
	}
	data := newData(t)
	ids := haveSafes(t, data, 100)
	p := startServer(t, data)
	owner := p.owner()
	anybody := &caller{t: t, addr: p.addr}
	login := anybody.request("POST", "/auth/login", v1.LoginIn{Email: ownerEmail, Password: ownerPassword})
	logins := func(int) request { return login }
	reads := make([]request, len(ids))
	for i, id := range ids {
		reads[i] = owner.request("GET", "/safes/"+id, nil)
	}
	read := func(n int) request { return reads[n%len(reads)] }
	drive(t, p.addr, 4, span, read) // warm up
	drive(t, p.addr, 2, span, logins)

	for _, connections := range few {
		cores := min(connections, runtime.NumCPU())
		var late tail
		r := interleave(rounds,
			func() float64 { return argon2ids(cores, span) },
			func() float64 { return late.got.rate(drive(t, p.addr, connections, span, logins)) })
		report(t, figure{
			name: fmt.Sprintf("login, %d connections", connections), reference: fmt.Sprintf("argon2id alone, %d at a time", cores), unit: "/s",
			rounds: r, must: atLeast(0.5), goal: atLeast(0.8), note: late.String(),
		})
	}

	// Reads in calm and during a storm, and how much memory it took. drive
	// fails when any of the logins is refused or times out.
	memory := round{ref: p.resident()}
	r := interleave(rounds,
		func() float64 { return p99of(drive(t, p.addr, 4, span, read)) },
		func() float64 {
			var storm sync.WaitGroup
			begun, over := make(chan struct{}), make(chan struct{})
			var once sync.Once
			storm.Go(func() {
				defer close(over)
				drive(t, p.addr, crowd, span+300*time.Millisecond, func(int) request { once.Do(func() { close(begun) }); return login })
			})
			<-begun
			out := p99of(drive(t, p.addr, 4, span, read))
			for last := false; !last; {
				memory.got = max(memory.got, p.resident())
				select {
				case <-over:
					last = true
				case <-time.After(20 * time.Millisecond):
				}
			}
			storm.Wait()
			return out
		})
	report(t, figure{
		name: fmt.Sprintf("p99 of GET /safes/{id} while %d clients log in", crowd), reference: "in calm", unit: "ms", rounds: r, must: absoluteAtMost(50),
		note: "no login refused",
	})
	report(t, figure{name: fmt.Sprintf("resident memory while %d clients log in", crowd), reference: "before", unit: "MiB", rounds: []round{memory}, must: absoluteAtMost(memory.ref + 64)})
	report(t, figure{name: "resident memory, after the storms", unit: "MiB", rounds: []round{{got: p.atRest()}}, must: absoluteAtMost(120), goal: absoluteAtMost(80)})
}

func p99of(o outcome) float64 { return o.at(0.99) }
