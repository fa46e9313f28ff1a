package store

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"vaultpam/pam"
)

// Committed changes reach the other nodes as notifications of PostgreSQL.
// They carry ids alone; whoever hears one reads again.
//
// They are sent right after the commit, in batches, and not inside of the
// transaction: PostgreSQL lets transactions that notify commit only one after
// the other, fsync included. A node that dies in between leaves the others to
// what they read again every second.

const channel = "vaultpam_changes"

// maxNotice is below what PostgreSQL takes as a payload (8,000 bytes).
const maxNotice = 7500

// notice is the payload of a notification.
type notice struct {
	Node    string       `json:"n"`
	Changes []pam.Change `json:"c"`
}

// maxUnsent bounds the changes that wait while the database is away.
const maxUnsent = 10000

// unsent holds changes that have committed and are to be sent.
type unsent struct {
	mu   sync.Mutex // guards the rest
	rest []pam.Change
	wake chan struct{} // holds a token while there is something to send
}

func (o *unsent) add(changes []pam.Change) {
	if len(changes) == 0 {
		return
	}
	o.mu.Lock()
	o.rest = append(o.rest, changes...)
	if over := len(o.rest) - maxUnsent; over > 0 {
		o.rest = append([]pam.Change(nil), o.rest[over:]...)
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *unsent) take() []pam.Change {
	o.mu.Lock()
	defer o.mu.Unlock()
	changes := o.rest
	o.rest = nil
	return changes
}

// notifyAll sends what is in the unsent until ctx ends.
func (p *postgres) notifyAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.out.wake:
		}
		changes := p.out.take()
		if err := p.notify(ctx, changes); err != nil && ctx.Err() == nil {
			p.db.log.Warn("changes are not announced to other nodes", "error", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
			p.out.add(changes) // once more, perhaps out of order: hearing one means to read again
		}
	}
}

// notify sends changes in as few notices as they fit.
func (p *postgres) notify(ctx context.Context, changes []pam.Change) error {
	for len(changes) > 0 {
		n := len(changes)
		payload, err := json.Marshal(notice{p.db.node, changes})
		for err == nil && len(payload) > maxNotice && n > 1 {
			n /= 2
			payload, err = json.Marshal(notice{p.db.node, changes[:n]})
		}
		if err != nil {
			return err
		}
		if _, err := p.pool.ExecContext(ctx, "SELECT pg_notify($1, $2)", channel, string(payload)); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// listen announces what other nodes changed until ctx ends, and connects anew
// when the connection is lost. What changed meanwhile is not heard; those who
// rest on changes read again every second. first is closed once it listens or
// has failed to.
func (p *postgres) listen(ctx context.Context, first chan<- struct{}) {
	started := func() {
		if first != nil {
			close(first)
			first = nil
		}
	}
	for wait := time.Duration(0); ctx.Err() == nil; {
		err := p.listenOnce(ctx, func() { wait = 0; started() })
		started()
		if ctx.Err() != nil {
			return
		}
		wait = min(wait*2+100*time.Millisecond, 5*time.Second)
		p.db.log.Warn("changes of other nodes are not heard", "error", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (p *postgres) listenOnce(ctx context.Context, listening func()) error {
	conn, err := pgx.ConnectConfig(ctx, p.config.Copy())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	listening()
	for {
		heard, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		var n notice
		if err := json.Unmarshal([]byte(heard.Payload), &n); err != nil {
			p.db.log.Warn("a notice of a change cannot be read", "error", err)
			continue
		}
		if n.Node == p.db.node {
			continue // announced when it committed
		}
		for _, c := range n.Changes {
			p.db.announce(c)
		}
	}
}
