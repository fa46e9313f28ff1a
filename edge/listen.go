package edge

import (
	"net"
	"net/netip"
	"sync"
)

// LimitListener accepts at most total connections at a time and at most
// perSource from one source address. Connections beyond that are closed at
// once: they must cost nothing.
func LimitListener(ln net.Listener, total, perSource int, trusted Proxies) net.Listener {
	return &limitListener{Listener: ln, total: total, perSource: perSource, trusted: trusted, sources: map[string]int{}}
}

type limitListener struct {
	net.Listener
	total, perSource int
	trusted          Proxies

	mu      sync.Mutex // guards open and sources
	open    int
	sources map[string]int
}

func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer := Peer(c.RemoteAddr())
		source := Source(peer)
		if l.enter(source, peer) {
			return &limitedConn{Conn: c, leave: func() { l.leave(source) }}, nil
		}
		_ = c.Close()
	}
}

// enter counts a connection in. A trusted proxy carries many clients and is
// held to the total alone.
func (l *limitListener) enter(source string, peer netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.total || (l.sources[source] >= l.perSource && !l.trusted.Trusts(peer)) {
		return false
	}
	l.open++
	l.sources[source]++
	return true
}

func (l *limitListener) leave(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.sources[source]--; l.sources[source] == 0 {
		delete(l.sources, source)
	}
}

type limitedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *limitedConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
