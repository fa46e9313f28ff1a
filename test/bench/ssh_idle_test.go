package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// What an open session in which nobody types costs the product, recording
// included, against what it costs OpenSSH's server.
func TestIdleSessionsAreCheap(t *testing.T) {
	w := newHops(t)
	sessions := 20
	if full {
		sessions = 500
	}
	w.open(1)
	before, sshd := w.server.atRest(), proportional(w.target.PID())
	w.open(sessions)
	after := w.server.atRest()
	each := round{got: (after - before) / float64(sessions), ref: (proportional(w.target.PID()) - sshd) / float64(sessions)}
	report(t, figure{
		name: fmt.Sprintf("memory of an idle recorded session, of %d", sessions), reference: "sshd", unit: "MiB", rounds: []round{each},
		must: absoluteAtMost(0.25), goal: absoluteAtMost(0.1), note: fmt.Sprintf("from %s to %s MiB", number(before), number(after)),
	})
}

// open opens sessions with a terminal, which stay until the end of the test.
func (w *hops) open(n int) {
	w.t.Helper()
	var all sync.WaitGroup
	turn, failed := make(chan struct{}, 4), make(chan error, n)
	for range n {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			c, err := w.idle()
			if err != nil {
				failed <- err
				return
			}
			w.t.Cleanup(func() { _ = c.Close() })
		})
	}
	all.Wait()
	close(failed)
	must(w.t, <-failed)
}

// idle opens one session and returns once the target has said something.
func (w *hops) idle() (*ssh.Client, error) {
	c, err := ssh.Dial("tcp", w.addr, &ssh.ClientConfig{
		User: w.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(w.key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	s, err := c.NewSession()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	out, err := s.StdoutPipe()
	if err == nil {
		_, err = s.StdinPipe() // stays open
	}
	if err == nil {
		err = s.RequestPty("xterm", 24, 80, nil)
	}
	if err == nil {
		err = s.Start("printf ready; exec cat")
	}
	if err == nil {
		_, err = io.ReadFull(out, make([]byte, len("ready")))
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// proportional is the memory of the sshd processes below pid, in MiB, with
// what they share divided among them.
func proportional(pid int) float64 {
	var sum float64
	for _, p := range descendants(pid) {
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p)); !strings.HasPrefix(string(name), "sshd") {
			continue // what runs in the session is not sshd's
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/smaps_rollup", p), "Pss"), " kB"), 64)
		if err == nil { // it may have ended
			sum += kib / 1024
		}
	}
	return sum
}

func descendants(pid int) []int {
	out := []int{pid}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(text)) {
		if n, err := strconv.Atoi(child); err == nil {
			out = append(out, descendants(n)...)
		}
	}
	return out
}
