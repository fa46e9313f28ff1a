package store

import (
	"context"
	"fmt"
	"time"

	"vaultpam/pam"
)

// The sequencer gives audit events on PostgreSQL their place in their
// organizations' logs, behind the writers.

// sequenceBatch is how many events get their place in one transaction.
const sequenceBatch = 2000

// sequenceAll runs until ctx ends.
func (p *postgres) sequenceAll(ctx context.Context) {
	timer := time.NewTimer(sequencePause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		if err := p.sequence(ctx); err != nil && ctx.Err() == nil {
			p.db.log.Warn("audit events wait for their place", "error", err)
		}
		timer.Reset(sequencePause)
	}
}

func (p *postgres) sync(ctx context.Context) error { return p.sequence(ctx) }

// sequence gives a place to every event that had committed before the call.
func (p *postgres) sequence(ctx context.Context) error {
	p.sequencing.Lock()
	defer p.sequencing.Unlock()
	for {
		n, err := p.sequenceOnce(ctx)
		if err != nil {
			return fmt.Errorf("sequence audit events: %w", err)
		}
		if n < sequenceBatch {
			return nil
		}
	}
}

func (p *postgres) sequenceOnce(ctx context.Context) (int, error) {
	t, err := p.pool.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer t.Rollback()
	tx := &Tx{on: numbered{t, p.db.dialect}, dialect: p.db.dialect}
	// READ COMMITTED: what is read after the lock was got includes what the
	// last holder did.
	if _, err := tx.exec(ctx, `SELECT pg_advisory_xact_lock(?)`, sequenceLock); err != nil {
		return 0, err
	}
	type event struct {
		org pam.OrgID
		id  string
	}
	events, err := list(ctx, tx, func(r row) (event, error) {
		var e event
		return e, r.Scan(&e.org, &e.id)
	}, `SELECT org_id, event_id FROM audit_events WHERE leaf_index IS NULL ORDER BY org_id, time, event_id LIMIT ?`, sequenceBatch)
	if err != nil || len(events) == 0 {
		return 0, err
	}
	for start := 0; start < len(events); {
		org := events[start].org
		end := start
		var ids []string
		for ; end < len(events) && events[end].org == org; end++ {
			ids = append(ids, events[end].id)
		}
		size, err := logSize(ctx, tx, org)
		if err != nil {
			return 0, err
		}
		if _, err := tx.exec(ctx, `UPDATE audit_events SET leaf_index = ?::bigint + place.n - 1
			FROM unnest(?::text[]) WITH ORDINALITY AS place (event_id, n)
			WHERE audit_events.org_id = ? AND audit_events.event_id = place.event_id`, size, ids, string(org)); err != nil {
			return 0, err
		}
		if err := appendTiles(ctx, tx, org, size, size+int64(len(ids))); err != nil {
			return 0, err
		}
		start = end
	}
	if err := t.Commit(); err != nil {
		return 0, err
	}
	return len(events), nil
}
