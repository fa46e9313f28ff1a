package audit

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"vaultpam/internal/naming"
)

// The lines of an export, written and read back. What one does here, the other
// has to undo to the byte: the hashes are over what was stored.

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
	_, err := n.w.Write(append(AppendLine(n.w.AvailableBuffer(), leaf, canonical, hash), '\n'))
	return err
}

// AppendLine appends an event to b as an export has it: the canonical JSON,
// which must not be empty, with the leaf fields at its end.
func AppendLine(b []byte, leaf int64, canonical []byte, hash Hash) []byte {
	b = append(b, canonical[:len(canonical)-1]...)
	b = append(b, leafIndexField...)
	b = strconv.AppendInt(b, leaf, 10)
	b = append(b, leafHashField...)
	b = hex.AppendEncode(b, hash[:])
	return append(b, "\"}"...)
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
		cells[i] = naming.Cell(cells[i])
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

// unguardCell is the inverse of naming.Cell.
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

func (v *verifier) readNDJSON(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxTrailer)
	for lines.Scan() {
		v.line++
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if bytes.HasPrefix(line, []byte(`{"checkpoint":`)) {
			v.seen = true
			continue
		}
		canonical, leaf, hash, ok := splitLine(line)
		if !ok || len(line) > maxLine {
			return v.bad(v.span.end, "", "this line is not an event as it was exported")
		}
		if err := v.event(canonical, leaf, hash, eventID(canonical)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return v.bad(-1, "", "it cannot be read on: %v", err)
	}
	return nil
}

// eventID finds the id of an event for a message. In the canonical order the
// category, from our catalogue, stands right before it.
func eventID(canonical []byte) string {
	_, rest, ok := bytes.Cut(canonical, []byte(`,"id":"evt_`))
	if !ok || len(rest) < 26 {
		return ""
	}
	return "evt_" + strings.ToValidUTF8(string(rest[:26]), "")
}

func (v *verifier) readCSV(r io.Reader) error {
	rows := csv.NewReader(io.LimitReader(r, 1<<62))
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	for {
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		v.line++
		if err != nil {
			return v.bad(v.span.end, "", "this row cannot be read")
		}
		switch {
		case v.line == 1 && slices.Equal(cells, csvColumns):
			continue
		case len(cells) == 1 && strings.HasPrefix(cells[0], trailerMark):
			v.seen = true
			continue
		case len(cells) != len(csvColumns):
			return v.bad(v.span.end, "", "this row is not an event as it was exported")
		}
		for i := range cells {
			cells[i] = unguardCell(cells[i])
		}
		leaf, err := strconv.ParseInt(cells[15], 10, 64)
		hash, herr := hex.DecodeString(cells[16])
		if err != nil || leaf < 0 || herr != nil || len(hash) != len(Hash{}) {
			return v.bad(v.span.end, cells[0], "its leaf fields cannot be read")
		}
		canonical, ok := canonicalOfCells(cells)
		if !ok {
			return v.bad(leaf, cells[0], "edited: its metadata cannot be read")
		}
		if err := v.event(canonical, leaf, Hash(hash), cells[0]); err != nil {
			return err
		}
	}
}

// canonicalOfCells puts the hashed form together again. The metadata cell
// holds it in canonical form already.
func canonicalOfCells(c []string) ([]byte, bool) {
	if !json.Valid([]byte(c[14])) {
		return nil, false
	}
	var b []byte
	b = appendParty(append(b, `{"actor":`...), Party{c[5], c[6], c[7]})
	b = appendText(append(b, `,"category":`...), c[4])
	b = appendText(append(b, `,"id":`...), c[0])
	b = append(append(b, `,"metadata":`...), c[14]...)
	b = appendText(append(b, `,"org_id":`...), c[11])
	b = appendText(append(b, `,"request_id":`...), c[13])
	b = appendText(append(b, `,"source_ip":`...), c[12])
	b = appendParty(append(b, `,"target":`...), Party{c[8], c[9], c[10]})
	b = appendText(append(b, `,"time":`...), c[1])
	b = appendText(append(b, `,"title":`...), c[3])
	b = appendText(append(b, `,"type":`...), c[2])
	return append(b, '}'), true
}

// lastLine reads the end of a file: the trailer's JSON, and whether the file
// is CSV.
func lastLine(r io.ReadSeeker) ([]byte, bool, error) {
	size, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, false, err
	}
	from := max(0, size-maxTrailer)
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return nil, false, err
	}
	tail, err := io.ReadAll(io.LimitReader(r, maxTrailer))
	if err != nil {
		return nil, false, err
	}
	tail = bytes.TrimRight(tail, "\r\n")
	if i := bytes.LastIndex(tail, []byte("\n")); i >= 0 {
		tail = tail[i+1:]
	}
	if bytes.HasPrefix(tail, []byte(`"`+trailerMark)) {
		cells, err := csv.NewReader(bytes.NewReader(tail)).Read()
		if err != nil || len(cells) != 1 {
			return nil, false, &BadPlace{Leaf: -1, Problem: "the last row cannot be read"}
		}
		return []byte(strings.TrimPrefix(cells[0], trailerMark)), true, nil
	}
	return tail, false, nil
}
