package audit

import (
	"bufio"
	"context"
	"encoding/csv"
	"io"
	"time"

	"vaultpam/pam"
)

// ExportOptions choose what is exported and how.
type ExportOptions struct {
	Format   string    // "ndjson" (the default) or "csv"
	From, To time.Time // [From, To); zero is open
	Instance bool      // the instance's own log
}

// trailer is the last line of an export: what an offline check needs.
type trailer struct {
	Checkpoint string   `json:"checkpoint"`
	Key        string   `json:"key"`
	First      int64    `json:"first"` // the first leaf exported
	End        int64    `json:"end"`   // the leaf after the last one
	Left       []string `json:"left,omitempty"`
	Right      []string `json:"right,omitempty"`
	Earlier    []string `json:"checkpoints,omitempty"`
}

// maxEarlier bounds how many earlier checkpoints an export carries. They are
// spread over the log's whole life.
const maxEarlier = 256

// Export writes events of a's organization to w, one a line in the order of
// the log, and last the signed checkpoint with what is needed to check the
// lines against it. That it was asked for is in the log before the first byte
// is written.
func (l *Log) Export(ctx context.Context, a pam.Actor, o ExportOptions, w io.Writer) error {
	org, err := scope(a, o.Instance)
	if err != nil {
		return err
	}
	if o.Format == "" {
		o.Format = "ndjson"
	}
	e := ForOrg(l.scribe.Entry(a, AuditExported, Party{Type: "audit_log", ID: Origin(org), Name: Origin(org)}, map[string]any{"format": o.Format}), org)
	if err := l.store.Append(ctx, org, e); err != nil {
		return err
	}
	checkpoint, err := l.Checkpoint(ctx, org)
	if err != nil {
		return err
	}
	first, end, err := l.store.Bounds(ctx, org, o.From, o.To)
	if err != nil {
		return err
	}
	end = min(end, checkpoint.Size)
	first = min(first, end)
	t, err := l.trailer(ctx, org, checkpoint, first, end)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	lines := lineWriter(ndjsonLines{out})
	if o.Format == "csv" {
		lines = csvLines{csv.NewWriter(out)}
	}
	if err := lines.begin(); err != nil {
		return err
	}
	if err := l.store.Range(ctx, org, first, end, lines.event); err != nil {
		return err
	}
	if err := lines.end(t); err != nil {
		return err
	}
	return out.Flush()
}

func (l *Log) trailer(ctx context.Context, org pam.OrgID, c Checkpoint, first, end int64) (trailer, error) {
	t := trailer{Checkpoint: c.Note, First: first, End: end}
	var err error
	if t.Key, err = l.VerifierKey(ctx, org); err != nil {
		return t, err
	}
	r := readerOf(ctx, l.store, org)
	left, err := covering(r, 0, first)
	if err != nil {
		return t, err
	}
	right, err := covering(r, end, c.Size)
	if err != nil {
		return t, err
	}
	t.Left, t.Right = encodeHashes(left), encodeHashes(right)
	earlier, err := l.store.Checkpoints(ctx, org)
	if err != nil {
		return t, err
	}
	step := 1 + len(earlier)/maxEarlier
	for i := len(earlier) - 1; i >= 0; i -= step {
		if s := earlier[i].Size; s > first && s <= end && s < c.Size {
			t.Earlier = append(t.Earlier, earlier[i].Note)
		}
	}
	return t, nil
}
