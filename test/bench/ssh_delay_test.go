package bench

import (
	"io"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// How long it takes until a command has run, and until a key that was pressed
// is seen, against no hop and against ssh -J.
func TestAHopIsHardlyFelt(t *testing.T) {
	w := newHops(t)
	rounds, keys := 2, 20
	if full {
		rounds, keys = 15, 300
	}
	setUps, echoes := make([]func() float64, len(ways)), make([]func() float64, len(ways))
	for i, way := range ways {
		setUps[i] = func() float64 {
			began := time.Now()
			if err := w.ssh(way, "true").Run(); err != nil {
				t.Fatalf("%s: %v", way, err)
			}
			return time.Since(began).Seconds() * 1000
		}
		setUps[i]() // warm up
		terminal := w.terminal(way)
		echoes[i] = func() float64 { return terminal.echo(keys) }
		echoes[i]()
	}
	m := turns(rounds, setUps...)
	report(t, figure{name: "SSH set-up, ssh host true", reference: "direct", unit: "ms", rounds: pair(m[2], m[0]), must: atMost(1.2), goal: atMost(1.05)})
	report(t, figure{name: "SSH set-up, ssh host true", reference: "ssh -J", unit: "ms", rounds: pair(m[2], m[1])})

	m = turns(rounds, echoes...)
	report(t, figure{name: "echo of a key, median of many", reference: "direct", unit: "ms", rounds: pair(m[2], m[0])})
	added := make([]round, rounds)
	for i := range added {
		added[i] = round{got: m[2][i] - m[0][i], ref: m[1][i] - m[0][i]}
	}
	report(t, figure{name: "echo of a key, added to direct", reference: "ssh -J adds", unit: "ms", rounds: added, must: absoluteAtMost(0.3), goal: absoluteAtMost(0.1)})
}

// typist is a client with a terminal, at whose other end keys are echoed.
type typist struct {
	t   testing.TB
	in  io.Writer
	out io.Reader
}

func (w *hops) terminal(way string) *typist {
	w.t.Helper()
	c := w.ssh(way, "-tt", "stty raw -echo; printf ready; exec cat")
	x := &typist{t: w.t}
	var err error
	x.in, err = c.StdinPipe()
	must(w.t, err)
	x.out, err = c.StdoutPipe()
	must(w.t, err)
	must(w.t, c.Start())
	w.t.Cleanup(func() { end(c) })
	_, err = io.ReadFull(x.out, make([]byte, len("ready")))
	must(w.t, err)
	return x
}

// end kills a client and waits for it.
func end(c *exec.Cmd) {
	_ = c.Process.Kill()
	_ = c.Wait()
}

// echo presses keys one after the other, and returns the median of the times
// until each is seen, in milliseconds.
func (x *typist) echo(keys int) float64 {
	x.t.Helper()
	took, key := make([]float64, keys), []byte("x")
	for i := range took {
		began := time.Now()
		_, err := x.in.Write(key)
		must(x.t, err)
		_, err = io.ReadFull(x.out, key)
		must(x.t, err)
		took[i] = time.Since(began).Seconds() * 1000
	}
	slices.Sort(took)
	return took[keys/2]
}
