package store

import (
	"context"
	"fmt"

	"vaultpam/pam"
	"vaultpam/pam/audit"
)

func (l *leaf) org() pam.OrgID { return l.entry.Org }

// insertEvent keeps an event; place is nil while it has none.
func insertEvent(ctx context.Context, tx *Tx, l *leaf, place *int64) error {
	spec, ok := audit.SpecOf(l.entry.Type)
	if !ok {
		return fmt.Errorf("audit event of unknown type %q", l.entry.Type)
	}
	_, err := tx.exec(ctx, `INSERT INTO audit_events (org_id, event_id, time, type, category, actor_id, target_id, canonical, leaf_hash, leaf_index)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(l.entry.Org), string(l.entry.ID), micros(l.entry.Time), string(l.entry.Type), spec.Category, l.entry.Actor.ID, l.entry.Target.ID,
		string(l.canonical), l.hash[:], place)
	return err
}

// logSize is the number of leaves in org's log.
func logSize(ctx context.Context, q querier, org pam.OrgID) (int64, error) {
	return one(ctx, q, scalar[int64], `SELECT COALESCE(MAX(leaf_index) + 1, 0) FROM audit_events WHERE org_id = ?`, string(org))
}

func appendTiles(ctx context.Context, tx *Tx, org pam.OrgID, from, to int64) error {
	return nil
}
