package script

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Clients that never come to the end of what they say: each sends a byte now
// and then to look alive. They are cut when their 10 seconds are over, and nobody
// else notices them.
func TestAttackSlowClients(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	head := "POST /api/v1/safes HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nAuthorization: Bearer " + owner.token + "\r\n"
	const within = 10 * time.Second
	var wg sync.WaitGroup
	for what, slow := range map[string]struct {
		first, drip string
	}{
		"nothing at all":     {"", ""},
		"headers":            {"GET /api/v1/safes HTTP/1.1\r\nHost: h\r\n", "X: y\r\n"},
		"a request line":     {"GE", "T"},
		"a body":             {head + "Content-Length: 100000\r\n\r\n{", " "},
		"a body in chunks":   {head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "1\r\n \r\n"},
		"a body for a login": {"POST /api/v1/auth/login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", " "},
		"a body with a key":  {head + "Idempotency-Key: slow\r\nContent-Length: 100000\r\n\r\n{", " "},
	} {
		wg.Go(func() {
			c, err := net.Dial("tcp", p.http)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			began := time.Now()
			over := make(chan struct{})
			go func() { // ends with the connection
				_, _ = io.WriteString(c, slow.first)
				for tick := time.NewTicker(200 * time.Millisecond); ; {
					select {
					case <-over:
						tick.Stop()
						return
					case <-tick.C:
						_, _ = io.WriteString(c, slow.drip)
					}
				}
			}()
			_ = c.SetReadDeadline(began.Add(within + 15*time.Second))
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: not cut within %s", what, within)
			}
			close(over)
			if took := time.Since(began); took > within+5*time.Second {
				t.Errorf("%s: cut after %s", what, took)
			}
		})
	}
	// Others are served all the while.
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for served := 0; ; served++ {
		began := time.Now()
		owner.call("GET", "/safes", nil).want(http.StatusOK)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("request %d took %s", served, took)
		}
		select {
		case <-done:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// One machine opens all the connections that it can, and leaves them idle.
// What is beyond its share is closed at once, and the server answers others,
// and again the same machine when it lets go.
func TestAttackManyIdleConnections(t *testing.T) {
	t.Parallel()
	p := startServer(t)
	owner := p.owner()
	const share = 1024
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for range share + 200 {
		c, err := net.Dial("tcp", p.http)
		if err != nil {
			break
		}
		open = append(open, c)
	}
	closed := 0
	for _, c := range open {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			closed++
		}
	}
	if closed < 150 {
		t.Errorf("only %d of %d connections were closed", closed, len(open))
	}
	// Another address is another source.
	from := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 7)}}).DialContext, DisableKeepAlives: true,
	}}
	resp, err := from.Get(p.base + "/healthz")
	if err != nil {
		t.Errorf("another machine is shut out: %v", err)
	} else {
		_ = resp.Body.Close()
	}
	for _, c := range open {
		_ = c.Close()
	}
	eventually(t, 10*time.Second, "the machine is let in again", func() bool {
		resp, err := web.Get(p.base + "/healthz")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	owner.call("GET", "/safes", nil).want(http.StatusOK)

	// The same at the SSH door, where strangers beyond their share go.
	var strangers []net.Conn
	for range 100 {
		c, err := net.Dial("tcp", p.ssh)
		must(t, err)
		defer c.Close()
		strangers = append(strangers, c)
	}
	gone := 0
	eventually(t, 10*time.Second, "strangers are closed", func() bool {
		strangers = slices.DeleteFunc(strangers, func(c net.Conn) bool {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			for {
				if _, err := c.Read(make([]byte, 256)); errors.Is(err, os.ErrDeadlineExceeded) {
					return false
				} else if err != nil {
					gone++
					return true
				}
			}
		})
		return gone >= 75
	})
	if s := p.native(t, ownerPassword, ownerEmail+"+demo", nil, "echo in"); s.wait() != 0 || !strings.Contains(s.out.String(), "in") {
		t.Errorf("a user was shut out: %s", fmt.Sprint(s.out, s.errs))
	}
}
