package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
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

// lineWriter writes one format.
type lineWriter interface {
	begin() error
	event(leaf int64, canonical []byte, hash Hash) error
	end(trailer) error
}

type ndjsonLines struct{ w *bufio.Writer }

func (ndjsonLines) begin() error { return nil }

// event writes the canonical JSON with the leaf fields at its end, so that a
// reader gets the hashed bytes back by cutting them off.
func (n ndjsonLines) event(leaf int64, canonical []byte, hash Hash) error {
	if len(canonical) < 2 {
		return fmt.Errorf("leaf %d is empty: %w", leaf, errAltered)
	}
	b := n.w.AvailableBuffer()
	b = append(b, canonical[:len(canonical)-1]...)
	b = append(b, leafIndexField...)
	b = strconv.AppendInt(b, leaf, 10)
	b = append(b, leafHashField...)
	b = hex.AppendEncode(b, hash[:])
	b = append(b, "\"}\n"...)
	_, err := n.w.Write(b)
	return err
}

func (n ndjsonLines) end(t trailer) error { return json.NewEncoder(n.w).Encode(t) }

const (
	leafIndexField = `,"leaf_index":`
	leafHashField  = `,"leaf_hash":"`
)

// csvColumns are the columns of a CSV export.
var csvColumns = []string{
	"id", "time", "type", "title", "category", "actor_type", "actor_id", "actor_name", "target_type", "target_id", "target_name",
	"org_id", "source_ip", "request_id", "metadata", "leaf_index", "leaf_hash",
}

type csvLines struct{ w *csv.Writer }

func (c csvLines) begin() error { return c.w.Write(csvColumns) }

func (c csvLines) event(leaf int64, canonical []byte, hash Hash) error {
	var e struct {
		wire
		Metadata json.RawMessage `json:"metadata"`
	}
	if err := json.Unmarshal(canonical, &e); err != nil {
		return fmt.Errorf("leaf %d: %w: %w", leaf, err, errAltered)
	}
	cells := []string{
		string(e.ID), e.Time, string(e.Type), e.Title, e.Category, e.Actor.Type, e.Actor.ID, e.Actor.Name, e.Target.Type, e.Target.ID, e.Target.Name,
		string(e.Org), e.SourceIP, e.RequestID, string(e.Metadata), strconv.FormatInt(leaf, 10), hex.EncodeToString(hash[:]),
	}
	for i := range cells {
		cells[i] = guardCell(cells[i])
	}
	return c.w.Write(cells)
}

// end writes the trailer as a row of one cell, marked so that no event can be
// taken for it.
func (c csvLines) end(t trailer) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := c.w.Write([]string{trailerMark + string(text)}); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

const trailerMark = "#checkpoint "

// guardCell keeps a spreadsheet from running a cell as a formula. The quote
// in front is taken off again by unguardCell, also where it was there before.
func guardCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r'", rune(s[0])) {
		return "'" + s
	}
	return s
}

func unguardCell(s string) string { return strings.TrimPrefix(s, "'") }

// splitLine takes a line of an NDJSON export apart.
func splitLine(line []byte) (canonical []byte, leaf int64, hash Hash, ok bool) {
	i := bytes.LastIndex(line, []byte(leafIndexField))
	if i < 0 {
		return nil, 0, Hash{}, false
	}
	number, rest, ok := bytes.Cut(line[i+len(leafIndexField):], []byte(leafHashField))
	if !ok || len(rest) != 2*len(Hash{})+2 || string(rest[len(rest)-2:]) != `"}` {
		return nil, 0, Hash{}, false
	}
	leaf, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || leaf < 0 {
		return nil, 0, Hash{}, false
	}
	if _, err := hex.Decode(hash[:], rest[:2*len(Hash{})]); err != nil {
		return nil, 0, Hash{}, false
	}
	return append(line[:i:i], '}'), leaf, hash, true
}
