package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"vaultpam/pam"
)

// Committed changes reach the other nodes as notifications of PostgreSQL.
// They carry ids alone; whoever hears one reads again.

const channel = "vaultpam_changes"

// maxNotice is below what PostgreSQL takes as a payload (8,000 bytes).
const maxNotice = 7500

// notice is the payload of a notification.
type notice struct {
	Node    string       `json:"n"`
	Changes []pam.Change `json:"c"`
}

// notify sends tx's changes when tx commits, in as few notices as they fit.
func (p *postgres) notify(ctx context.Context, tx *Tx) error {
	for rest := tx.changes; len(rest) > 0; {
		n := len(rest)
		payload, err := json.Marshal(notice{p.db.node, rest})
		for err == nil && len(payload) > maxNotice && n > 1 {
			n /= 2
			payload, err = json.Marshal(notice{p.db.node, rest[:n]})
		}
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "SELECT pg_notify(?, ?)", channel, string(payload)); err != nil {
			return err
		}
		rest = rest[n:]
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
