package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// request is an HTTP/1.1 request as it goes over the wire. The generator
// renders each once: what it spends is missing to those that it measures.
type request []byte

// request makes the caller's request. body is nil or what is sent as JSON.
func (c *caller) request(method, path string, body any) request {
	c.t.Helper()
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		must(c.t, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s /api/v1%s HTTP/1.1\r\nHost: %s\r\n", method, path, c.addr)
	must(c.t, c.header().Write(&b))
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(text), text)
	return b.Bytes()
}

// outcome is what a load has shown.
type outcome struct {
	done      int
	rate      float64 // answers per second
	latencies []time.Duration
}

// at returns the latency that this share of the requests did not exceed, in
// milliseconds.
func (o outcome) at(share float64) float64 {
	if len(o.latencies) == 0 {
		return 0
	}
	slices.Sort(o.latencies)
	return o.latencies[min(int(share*float64(len(o.latencies))), len(o.latencies)-1)].Seconds() * 1000
}

// tail gathers the 99th percentiles of the rounds of both sides.
type tail struct{ got, ref p99s }

type p99s []float64

// rate keeps o's 99th percentile and returns its rate.
func (p *p99s) rate(o outcome) float64 {
	*p = append(*p, o.at(0.99))
	return o.rate
}

func (t tail) String() string {
	if len(t.ref) == 0 {
		return fmt.Sprintf("p99 %s ms", number(spreadOf(t.got).median))
	}
	return fmt.Sprintf("p99 %s ms, reference %s ms", number(spreadOf(t.got).median), number(spreadOf(t.ref).median))
}

// drive sends requests over so many connections for a time, each connection
// one after the other. next gives the nth request of all. Every answer must
// be one of success.
func drive(t testing.TB, addr string, connections int, d time.Duration, next func(n int) request) outcome {
	t.Helper()
	var (
		all    sync.WaitGroup
		count  atomic.Int64
		mu     sync.Mutex // guards out and failed
		out    outcome
		failed error
	)
	began := time.Now()
	end := began.Add(d)
	for range connections {
		all.Go(func() {
			took, err := driveOne(addr, end, func() request { return next(int(count.Add(1) - 1)) })
			mu.Lock()
			defer mu.Unlock()
			out.latencies = append(out.latencies, took...)
			if err != nil {
				failed = err
			}
		})
	}
	all.Wait()
	must(t, failed)
	out.done = len(out.latencies)
	out.rate = float64(out.done) / time.Since(began).Seconds()
	return out
}

func driveOne(addr string, end time.Time, next func() request) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(end.Add(30 * time.Second))
	in := bufio.NewReaderSize(conn, 16<<10)
	var took []time.Duration
	for began := time.Now(); began.Before(end); {
		if _, err := conn.Write(next()); err != nil {
			return took, err
		}
		status, err := skipAnswer(in)
		if err != nil {
			return took, err
		}
		if status < 200 || status > 299 {
			return took, fmt.Errorf("answered with status %d", status)
		}
		now := time.Now()
		took = append(took, now.Sub(began))
		began = now
	}
	return took, nil
}

// skipAnswer reads an answer to its end and returns its status.
func skipAnswer(in *bufio.Reader) (status int, err error) {
	length, chunked := 0, false
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			if len(line) < 12 {
				return 0, fmt.Errorf("not an answer: %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, err
			}
			continue
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	for chunked {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 64)
		if err != nil {
			return 0, err
		}
		if _, err := io.CopyN(io.Discard, in, n+2); err != nil {
			return 0, err
		}
		chunked = n > 0
	}
	_, err = io.CopyN(io.Discard, in, int64(length))
	return status, err
}
