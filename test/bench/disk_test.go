package bench

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A record of the reference for durable writes, in bytes.
const recordSize = 500

// fsyncGroups is the disk's own rate: for each of a group of writers a record
// is appended, and one fsync makes all of them durable. It returns records per
// second.
func fsyncGroups(t testing.TB, writers int, d time.Duration) float64 {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "records"))
	must(t, err)
	defer f.Close()
	record, done, began := make([]byte, recordSize), 0, time.Now()
	for time.Since(began) < d {
		for range writers {
			_, err := f.Write(record)
			must(t, err)
		}
		must(t, f.Sync())
		done += writers
	}
	return float64(done) / time.Since(began).Seconds()
}

// groupLog is a file whose writers share an fsync: those who come while one is
// under way wait for the next.
type groupLog struct {
	file  *os.File
	queue chan appending
}

type appending struct {
	line []byte
	done chan error
}

func newGroupLog(path string) (*groupLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	g := &groupLog{file: f, queue: make(chan appending, 256)}
	go g.serve() // as long as the process
	return g, nil
}

// append returns once line is durable.
func (g *groupLog) append(line []byte) error {
	a := appending{line, make(chan error, 1)}
	g.queue <- a
	return <-a.done
}

func (g *groupLog) serve() {
	for first := range g.queue {
		group, text := []appending{first}, first.line
		for waiting := true; waiting; {
			select {
			case a := <-g.queue:
				group, text = append(group, a), append(text, a.line...)
			default:
				waiting = false
			}
		}
		_, err := g.file.Write(text)
		if err == nil {
			err = g.file.Sync()
		}
		for _, a := range group {
			a.done <- err
		}
	}
}
