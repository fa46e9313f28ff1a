package sshproxy

import (
	"net"
	"sync"
)

// gate counts connections. Whoever has logged in is never put out in favour of
// a stranger; among strangers the one that has taken longest goes first, so
// that a scan shuts nobody out for longer than a login takes.
type gate struct {
	limits Limits

	mu        sync.Mutex // guards what follows, and the entries
	users     int
	strangers map[*entry]struct{}
	sources   map[string]int // strangers by source
	count     uint64
}

// entry is one connection.
type entry struct {
	conn   net.Conn
	order  uint64
	source string // "" until it is known
	user   bool
	gone   bool
}

// enter lets a stranger in, in place of an older one if it must be. It returns
// nil when only users are in.
func (g *gate) enter(c net.Conn) *entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.users >= g.limits.Connections {
		return nil
	}
	if len(g.strangers) >= g.limits.Strangers || g.users+len(g.strangers) >= g.limits.Connections {
		g.evict("")
	}
	g.count++
	e := &entry{conn: c, order: g.count}
	g.strangers[e] = struct{}{}
	return e
}

// from notes where the stranger comes from, and puts out the oldest other
// stranger from there if they are too many.
func (g *gate) from(e *entry, source string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.gone {
		return
	}
	if g.sources[source] >= g.limits.PerSource {
		g.evict(source)
	}
	e.source = source
	g.sources[source]++
}

// evict closes the oldest stranger, of the source if one is given. Called with
// mu held.
func (g *gate) evict(source string) {
	var oldest *entry
	for e := range g.strangers {
		if (source == "" || e.source == source) && (oldest == nil || e.order < oldest.order) {
			oldest = e
		}
	}
	if oldest != nil {
		g.remove(oldest)
		_ = oldest.conn.Close()
	}
}

// remove takes a stranger out of the counts. Called with mu held.
func (g *gate) remove(e *entry) {
	e.gone = true
	delete(g.strangers, e)
	if e.source != "" {
		if g.sources[e.source]--; g.sources[e.source] == 0 {
			delete(g.sources, e.source)
		}
	}
}

// admit makes a stranger a user; false if it was put out meanwhile.
func (g *gate) admit(e *entry) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.gone {
		return false
	}
	g.remove(e)
	e.gone, e.user = false, true
	g.users++
	return true
}

// leave counts a connection out.
func (g *gate) leave(e *entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case e.user:
		e.user = false
		g.users--
	case !e.gone:
		g.remove(e)
	}
}

// dropStrangers closes all who have not logged in.
func (g *gate) dropStrangers() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for e := range g.strangers {
		g.remove(e)
		_ = e.conn.Close()
	}
}
