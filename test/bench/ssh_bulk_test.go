package bench

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Random data through the product, encrypted twice and recorded, against the
// same without anything between and through a second sshd.
func TestBulkTransfersKeepPaceWithAJumpHost(t *testing.T) {
	w := newHops(t)
	size, rounds, streams := 4<<20, 2, []int{1}
	if full {
		size, rounds, streams = 160<<20, 5, []int{1, 16}
	}
	data := make([]byte, size)
	_, _ = rand.Read(data)
	file := filepath.Join(w.target.Home, "bulk")
	must(t, os.WriteFile(file, data, 0o644))
	for _, way := range ways { // warm up
		w.down(way, 1, size)
	}
	for _, n := range streams {
		each := size * 4 / (n + 3) // of each stream
		for _, direction := range []string{"down", "up"} {
			measures := make([]func() float64, len(ways))
			for i, way := range ways {
				measures[i] = func() float64 {
					if direction == "down" {
						return w.down(way, n, each)
					}
					return w.up(way, file, n, each)
				}
			}
			m := turns(rounds, measures...)
			what := fmt.Sprintf("SSH bulk %s, %d streams", direction, n)
			if n == 1 {
				what = "SSH bulk " + direction + ", 1 stream"
			}
			report(t, figure{name: what + ", recorded", reference: "ssh -J", unit: "MiB/s", rounds: pair(m[2], m[1]), must: atLeast(1), goal: atLeast(1.2), slack: 10})
			report(t, figure{name: what + ", recorded", reference: "direct", unit: "MiB/s", rounds: pair(m[2], m[0])})
			report(t, figure{name: what + ", ssh -J itself", reference: "direct", unit: "MiB/s", rounds: pair(m[1], m[0])})
		}
	}
}

// together runs one of n transfers each and returns the MiB/s of all.
func together(n, each int, one func() (begun, ended time.Time, err error)) (rate float64, err error) {
	var (
		all          sync.WaitGroup
		mu           sync.Mutex // guards the rest
		first, final time.Time
	)
	for range n {
		all.Go(func() {
			begun, ended, failed := one()
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				err = failed
			}
			if first.IsZero() || begun.Before(first) {
				first = begun
			}
			if ended.After(final) {
				final = ended
			}
		})
	}
	all.Wait()
	return float64(n) * float64(each) / (1 << 20) / final.Sub(first).Seconds(), err
}

// down reads from the target, n times at once. The time runs from the first
// byte, so that logging in is not part of it.
func (w *hops) down(way string, n, each int) float64 {
	w.t.Helper()
	rate, err := together(n, each, func() (begun, ended time.Time, err error) {
		c := w.ssh(way, fmt.Sprintf("head -c %d bulk", each))
		out, err := c.StdoutPipe()
		if err != nil {
			return begun, ended, err
		}
		if err := c.Start(); err != nil {
			return begun, ended, err
		}
		buf, sum := make([]byte, 256<<10), 0
		for {
			n, err := out.Read(buf)
			if sum += n; sum > 0 && begun.IsZero() {
				begun = time.Now()
			}
			if err != nil {
				break
			}
		}
		ended = time.Now()
		if err := c.Wait(); err != nil {
			return begun, ended, fmt.Errorf("%s: %w", way, err)
		}
		if sum != each {
			err = fmt.Errorf("%s: %d bytes of %d arrived", way, sum, each)
		}
		return begun, ended, err
	})
	must(w.t, err)
	return rate
}

// up sends the file to the target, n times at once. The time runs from when
// the target says that it reads until it says that it has read all.
func (w *hops) up(way, file string, n, each int) float64 {
	w.t.Helper()
	rate, err := together(n, each, func() (begun, ended time.Time, err error) {
		in, err := os.Open(file)
		if err != nil {
			return begun, ended, err
		}
		defer in.Close()
		c := w.ssh(way, fmt.Sprintf("echo go; head -c %d | wc -c", each))
		c.Stdin = in
		out, err := c.StdoutPipe()
		if err != nil {
			return begun, ended, err
		}
		if err := c.Start(); err != nil {
			return begun, ended, err
		}
		if _, err := io.ReadFull(out, make([]byte, len("go\n"))); err != nil {
			return begun, ended, fmt.Errorf("%s: %w", way, err)
		}
		begun = time.Now()
		count, err := io.ReadAll(out)
		ended = time.Now()
		if err := c.Wait(); err != nil {
			return begun, ended, fmt.Errorf("%s: %w", way, err)
		}
		if strings.TrimSpace(string(count)) != fmt.Sprint(each) {
			err = fmt.Errorf("%s: %s bytes of %d arrived", way, count, each)
		}
		return begun, ended, err
	})
	must(w.t, err)
	return rate
}
