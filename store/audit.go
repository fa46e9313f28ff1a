package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

// auditLog implements [audit.Store].
type auditLog struct{ db *DB }

var _ audit.Store = auditLog{}

// Audit returns the view on the audit logs.
func (db *DB) Audit() auditLog { return auditLog{db} }

func (l *leaf) org() pam.OrgID { return l.entry.Org }

// insertEvent keeps an event; place is nil while it has none.
func insertEvent(ctx context.Context, tx *Tx, l *leaf, place *int64) error {
	spec, _ := audit.SpecOf(l.entry.Type) // Canonical refused what has none
	_, err := tx.exec(ctx, `INSERT INTO audit_events (org_id, event_id, time, type, category, actor_id, target_id, source_ip, canonical, leaf_hash, leaf_index)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(l.entry.Org), string(l.entry.ID), micros(l.entry.Time), string(l.entry.Type), spec.Category, l.entry.Actor.ID, l.entry.Target.ID, l.entry.SourceIP,
		string(l.canonical), l.hash[:], place)
	return err
}

// logSize is the number of leaves in org's log.
func logSize(ctx context.Context, q querier, org pam.OrgID) (int64, error) {
	return one(ctx, q, scalar[int64], `SELECT COALESCE(MAX(leaf_index) + 1, 0) FROM audit_events WHERE org_id = ?`, string(org))
}

// appendTiles keeps the tiles that the leaves [from, to) complete.
func appendTiles(ctx context.Context, tx *Tx, org pam.OrgID, from, to int64) error {
	if from/audit.TileWidth == to/audit.TileWidth {
		return nil
	}
	tiles, err := audit.FullTiles(ctx, from, to, func(ctx context.Context, level int, from, to int64) ([]audit.Hash, error) {
		return hashes(ctx, tx, org, level, from, to)
	})
	if err != nil {
		return err
	}
	for _, t := range tiles {
		if _, err := tx.exec(ctx, `INSERT INTO audit_tiles (org_id, level, idx, hash) VALUES (?, ?, ?, ?)`, string(org), t.Level, t.Index, t.Hash[:]); err != nil {
			return err
		}
	}
	return nil
}

func hashes(ctx context.Context, q querier, org pam.OrgID, level int, from, to int64) ([]audit.Hash, error) {
	if level == 0 {
		return list(ctx, q, scanHash, `SELECT leaf_hash FROM audit_events WHERE org_id = ? AND leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index`,
			string(org), from, to)
	}
	return list(ctx, q, scanHash, `SELECT hash FROM audit_tiles WHERE org_id = ? AND level = ? AND idx >= ? AND idx < ? ORDER BY idx`,
		string(org), level, from, to)
}

func scanHash(r row) (h audit.Hash, err error) {
	err = r.Scan(intoHash(&h))
	return h, err
}

// hashColumn scans a column of 32 bytes.
type hashColumn struct{ h *audit.Hash }

func intoHash(h *audit.Hash) hashColumn { return hashColumn{h} }

// Scan implements [sql.Scanner].
func (c hashColumn) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(c.h) {
		return fmt.Errorf("hash column does not hold %d bytes", len(c.h))
	}
	copy(c.h[:], b)
	return nil
}

// Append adds entries that report no change. They must be of org.
func (s auditLog) Append(ctx context.Context, org pam.OrgID, entries ...audit.Entry) error {
	for _, e := range entries {
		if e.Org != org {
			return &pam.Error{Kind: pam.Internal, Op: "append audit event", Err: errors.New("the event is of another organization")}
		}
	}
	return s.db.write(ctx, "append audit event", func(context.Context, *Tx) error { return nil }, entries...)
}

// Sync returns once every event that had committed before has its place.
func (s auditLog) Sync(ctx context.Context, _ pam.OrgID) error {
	return s.db.failed("sync audit log", s.db.commit.sync(ctx))
}

// Size is the number of events that have their place.
func (s auditLog) Size(ctx context.Context, org pam.OrgID) (int64, error) {
	n, err := logSize(ctx, s.db, org)
	return n, s.db.failed("size audit log", err)
}

// Hashes reads the kept hashes [from, to) of a level; what is absent is left
// out.
func (s auditLog) Hashes(ctx context.Context, org pam.OrgID, level int, from, to int64) ([]audit.Hash, error) {
	h, err := hashes(ctx, s.db, org, level, from, to)
	return h, s.db.failed("read audit tree", err)
}

// maxEvents bounds one page of events.
const maxEvents = 1000

// chosen are the conditions of a filter. A cursor that is not of org is
// Invalid.
func (s auditLog) chosen(ctx context.Context, org pam.OrgID, f audit.Filter) (w where, err error) {
	w.and("org_id = ?", string(org))
	for _, c := range [...]struct{ column, value string }{
		{"type", string(f.Type)}, {"category", f.Category}, {"actor_id", f.ActorID}, {"target_id", f.TargetID}, {"source_ip", f.SourceIP},
	} {
		if c.value != "" {
			w.and(c.column+" = ?", c.value)
		}
	}
	if !f.From.IsZero() {
		w.and("time >= ?", micros(f.From))
	}
	if !f.To.IsZero() {
		w.and("time < ?", micros(f.To))
	}
	if f.Before == "" {
		return w, nil
	}
	at, err := one(ctx, s.db, scalar[int64], `SELECT time FROM audit_events WHERE org_id = ? AND event_id = ?`, string(org), string(f.Before))
	if errors.Is(err, sql.ErrNoRows) {
		return w, invalid("cursor", "names no event")
	}
	// Written so that an index that ends in time serves it.
	w.and("time <= ? AND (time < ? OR event_id < ?)", at, at, string(f.Before))
	return w, err
}

// newestFirst is the order of the events in a list.
const newestFirst = ` ORDER BY time DESC, event_id DESC LIMIT ?`

// List returns events, newest first by their time. An empty Limit, or one
// beyond 1,001 (a page, and one that shows that there is a next), is that.
func (s auditLog) List(ctx context.Context, org pam.OrgID, f audit.Filter) ([]audit.Event, error) {
	const op = "list audit events"
	w, err := s.chosen(ctx, org, f)
	if err != nil {
		return nil, s.db.failed(op, err)
	}
	if f.Limit <= 0 || f.Limit > maxEvents+1 {
		f.Limit = maxEvents + 1
	}
	if f.Text == "" {
		events, err := list(ctx, s.db, scanEvent, `SELECT canonical, leaf_index, leaf_hash FROM audit_events WHERE `+w.String()+newestFirst, append(w.args, f.Limit)...)
		return events, s.db.failed(op, err)
	}
	if !searchable(f.Text) {
		return nil, nil
	}
	until, err := s.searched(ctx, w)
	if err != nil {
		return nil, s.db.failed(op, err)
	}
	w.and("time >= ?", until)
	found := s.db.has("canonical", inJSON(f.Text))
	w.and(found.any(), found.args...)
	events, err := list(ctx, s.db, scanEvent, `SELECT canonical, leaf_index, leaf_hash FROM audit_events WHERE `+w.String()+newestFirst, append(w.args, f.Limit)...)
	return events, s.db.failed(op, err)
}

// searched is the time of the last event that a search among the chosen ones
// looks at, or 0 when it looks at all. No index helps to find a text inside of
// another, so a page looks at so many events, and at those of the last one's
// microsecond.
func (s auditLog) searched(ctx context.Context, w where) (int64, error) {
	until, err := one(ctx, s.db, scalar[int64], `SELECT time FROM audit_events WHERE `+w.String()+` ORDER BY time DESC LIMIT 1 OFFSET ?`, append(slices.Clip(w.args), audit.MaxSearched-1)...)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil // there are fewer
	}
	return until, err
}

// Event returns one event of org's log.
func (s auditLog) Event(ctx context.Context, org pam.OrgID, id pam.EventID) (audit.Event, error) {
	e, err := one(ctx, s.db, scanEvent, `SELECT canonical, leaf_index, leaf_hash FROM audit_events WHERE org_id = ? AND event_id = ?`, string(org), string(id))
	return e, s.db.failed("read audit event", err)
}

// SearchEnd returns the last event that a search looks at when there may be
// more.
func (s auditLog) SearchEnd(ctx context.Context, org pam.OrgID, f audit.Filter) (pam.EventID, error) {
	const op = "search audit events"
	w, err := s.chosen(ctx, org, f)
	if err != nil || !searchable(f.Text) {
		return "", s.db.failed(op, err)
	}
	until, err := s.searched(ctx, w)
	if err != nil || until == 0 {
		return "", s.db.failed(op, err)
	}
	w.and("time >= ?", until)
	last, err := one(ctx, s.db, scalar[pam.EventID], `SELECT event_id FROM audit_events WHERE `+w.String()+` ORDER BY time, event_id LIMIT 1`, w.args...)
	return last, s.db.failed(op, err)
}

// inJSON is a text as it stands in a canonical event.
func inJSON(text string) string {
	quoted := asJSON(text)
	return quoted[1 : len(quoted)-1]
}

func scanEvent(r row) (e audit.Event, err error) {
	var canonical []byte
	var place sql.NullInt64
	if err := r.Scan(&canonical, &place, intoHash(&e.LeafHash)); err != nil {
		return e, err
	}
	e.LeafIndex = -1
	if place.Valid {
		e.LeafIndex = place.Int64
	}
	e.Entry, err = audit.ParseEntry(canonical)
	return e, err
}

// Range calls fn for the events [from, to) in the order of the log. It reads
// them in pages, so that a slow fn holds no snapshot of the database open.
func (s auditLog) Range(ctx context.Context, org pam.OrgID, from, to int64, fn func(int64, []byte, audit.Hash) error) error {
	const op = "read audit log"
	type event struct {
		place     int64
		canonical []byte
		hash      audit.Hash
	}
	for ; from < to; from += maxEvents {
		page, err := list(ctx, s.db, func(r row) (e event, err error) {
			err = r.Scan(&e.place, &e.canonical, intoHash(&e.hash))
			return e, err
		}, `SELECT leaf_index, canonical, leaf_hash FROM audit_events WHERE org_id = ? AND leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index`,
			string(org), from, min(from+maxEvents, to))
		if err != nil {
			return s.db.failed(op, err)
		}
		for _, e := range page {
			if err := fn(e.place, e.canonical, e.hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bounds returns the leaves [first, end) that hold every event of a span of
// time, [from, to); a zero time is open. Both are 0 when there is none.
func (s auditLog) Bounds(ctx context.Context, org pam.OrgID, from, to time.Time) (first, end int64, err error) {
	if from.IsZero() && to.IsZero() {
		end, err = s.Size(ctx, org)
		return 0, end, err
	}
	var w where
	w.and("org_id = ? AND leaf_index IS NOT NULL", string(org))
	if !from.IsZero() {
		w.and("time >= ?", micros(from))
	}
	if !to.IsZero() {
		w.and("time < ?", micros(to))
	}
	type bounds struct{ first, end int64 }
	b, err := one(ctx, s.db, func(r row) (b bounds, err error) {
		err = r.Scan(&b.first, &b.end)
		return b, err
	}, `SELECT COALESCE(MIN(leaf_index), 0), COALESCE(MAX(leaf_index) + 1, 0) FROM audit_events WHERE `+w.String(), w.args...)
	return b.first, b.end, s.db.failed("find audit events", err)
}

// AddCheckpoint keeps a checkpoint.
func (s auditLog) AddCheckpoint(ctx context.Context, org pam.OrgID, c audit.Checkpoint) error {
	return s.db.write(ctx, "keep checkpoint", func(ctx context.Context, tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO audit_checkpoints (org_id, size, time, root, note) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (org_id, size, time) DO NOTHING`, string(org), c.Size, micros(c.Time), c.Root[:], c.Note)
		return err
	})
}

const checkpointColumns = `size, root, note, time`

// Checkpoints returns all checkpoints that were added, oldest first.
func (s auditLog) Checkpoints(ctx context.Context, org pam.OrgID) ([]audit.Checkpoint, error) {
	all, err := list(ctx, s.db, scanCheckpoint, `SELECT `+checkpointColumns+` FROM audit_checkpoints WHERE org_id = ? ORDER BY size, time`, string(org))
	return all, s.db.failed("list checkpoints", err)
}

// LastCheckpoint returns the newest checkpoint; ok is false when there is
// none.
func (s auditLog) LastCheckpoint(ctx context.Context, org pam.OrgID) (c audit.Checkpoint, ok bool, err error) {
	c, err = one(ctx, s.db, scanCheckpoint, `SELECT `+checkpointColumns+` FROM audit_checkpoints WHERE org_id = ? ORDER BY size DESC, time DESC LIMIT 1`, string(org))
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Checkpoint{}, false, nil
	}
	return c, err == nil, s.db.failed("read checkpoint", err)
}

func scanCheckpoint(r row) (c audit.Checkpoint, err error) {
	err = r.Scan(&c.Size, intoHash(&c.Root), &c.Note, intoTime(&c.Time))
	return c, err
}
