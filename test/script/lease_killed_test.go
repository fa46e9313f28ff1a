package script

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "vaultpam/api/v1"
)

// holder stands between the server and a target. Before it hands an answer on
// it asks whether now is the time; from then on nothing is answered any more.
type holder struct {
	address string
	when    atomic.Pointer[func() bool]
	held    chan struct{}
}

func startHolder(t testing.TB, target string) *holder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	h := &holder{address: ln.Addr().String(), held: make(chan struct{}, 1)}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { stop(); _ = ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { h.carry(ctx, near, target) })
		}
	})
	return h
}

func (h *holder) carry(ctx context.Context, near net.Conn, target string) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer near.Close()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	context.AfterFunc(ctx, func() { _ = near.Close(); _ = far.Close() })
	go func() { // ends with near, which ends with carry
		_, _ = io.Copy(far, near)
		stop()
	}()
	answer := make([]byte, 64<<10)
	for {
		n, err := far.Read(answer)
		if err != nil {
			return
		}
		if now := h.when.Load(); now != nil && (*now)() {
			select {
			case h.held <- struct{}{}:
			default:
			}
			<-ctx.Done()
			return
		}
		if _, err := near.Write(answer[:n]); err != nil {
			return
		}
	}
}

// kills ends the server at the moment, which is while its target has done what
// it was asked and the server does not know.
func (h *holder) kills(t testing.TB, p *proc, moment func() bool, do func()) {
	t.Helper()
	select {
	case <-h.held: // a second connection had come to the moment before
	default:
	}
	h.when.Store(&moment)
	do()
	select {
	case <-h.held:
	case <-time.After(time.Minute):
		t.Fatal("the moment does not come")
	}
	p.kill()
	h.when.Store(nil)
}

// The server is killed after a real target has made a user and before that is on
// record, and after it has dropped one. Nobody is left, and it is told.
func TestUserIsGoneThoughTheServerIsKilledBetweenTargetAndRecord(t *testing.T) {
	t.Parallel()
	for _, start := range []func(testing.TB) *leased{redisLeased, postgresLeased, mariaLeased} {
		l := start(t)
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			h := startHolder(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(l.resource.Port)))
			_, l.resource.Port = addressOf(t, h.address)
			p := startServer(t, "--local-allow", "127.0.0.0/8,::1/128")
			owner := p.owner()
			l.place(owner)
			leases := func(state string) []v1.Lease {
				return slices.DeleteFunc(read[[]v1.Lease](owner.call("GET", "/leases", nil)), func(l v1.Lease) bool { return l.State != state })
			}

			h.kills(t, p, func() bool { return len(l.names()) > 0 }, func() {
				body, err := json.Marshal(v1.CheckoutIn{SafeID: l.safe, AccountID: l.id})
				must(t, err)
				req, err := http.NewRequest("POST", p.base+"/api/v1/checkouts", strings.NewReader(string(body)))
				must(t, err)
				req.Header.Set("Authorization", "Bearer "+owner.token)
				req.Header.Set("X-Active-Org-Id", owner.org)
				req.Header.Set("Content-Type", "application/json")
				go func() { // ends when the server is killed
					if resp, err := http.DefaultClient.Do(req); err == nil {
						_ = resp.Body.Close()
					}
				}()
			})
			left := l.names()
			if len(left) != 1 {
				t.Fatalf("the target has %v", left)
			}
			p.start()
			owner = p.owner()
			if open := leases("creating"); len(open) != 1 || open[0].Username != left[0] {
				t.Fatalf("on record: %+v", open)
			}
			eventually(t, 3*time.Minute, "the user that was being made is dropped", func() bool { return len(leases("revoked")) == 1 })
			if left := l.names(); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}

			c := l.out(owner)
			h.kills(t, p, func() bool { return len(l.names()) == 0 }, func() {
				owner.call("POST", "/checkouts/"+c.ID+"/check-in", nil).want(http.StatusOK)
			})
			p.start()
			owner = p.owner()
			if open := leases("revoking"); len(open) != 1 || open[0].Username != c.Username {
				t.Fatalf("on record: %+v", open)
			}
			eventually(t, 3*time.Minute, "the drop is on record", func() bool { return len(leases("revoked")) == 2 })
			if l.logsIn(c.Username, c.Value) || len(l.names()) != 0 {
				t.Errorf("left behind: %v", l.names())
			}
			for typ, want := range map[string]int{"LEASE_CREATED": 2, "LEASE_REVOKED": 2, "LEASE_FOUND": 0, "LEASE_REVOCATION_FAILED": 0} {
				if n := len(owner.events(typ)); n != want {
					t.Errorf("%d events %s, want %d", n, typ, want)
				}
			}
		})
	}
}
