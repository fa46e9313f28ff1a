package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"vaultpam/pam"
)

// VerifyOptions say what is known beforehand.
type VerifyOptions struct {
	Key        string // verifier key that the checkpoint must be signed by; "": the one in the file
	Checkpoint string // one or more checkpoints kept elsewhere
}

// Report is what was found to hold.
type Report struct {
	Log         string `json:"log"`         // the origin, such as vaultpam/org_…
	Events      int64  `json:"events"`      // checked
	First       int64  `json:"first"`       // leaf of the first one
	TreeSize    int64  `json:"tree_size"`   // of the signed checkpoint
	RootHash    string `json:"root_hash"`   // base64
	Checkpoints int    `json:"checkpoints"` // that the events agree with
	Key         string `json:"key"`         // that signed
	KeyTrusted  bool   `json:"key_trusted"` // it was given, not just found in the file
}

// BadPlace is the first place where a log is not what was signed.
type BadPlace struct {
	Line    int   // of the file, from 1
	Leaf    int64 // -1 where no leaf is concerned
	EventID string
	Problem string
}

func (b *BadPlace) Error() string {
	s := fmt.Sprintf("line %d", b.Line)
	if b.Leaf >= 0 {
		s += fmt.Sprintf(", leaf %d", b.Leaf)
	}
	if b.EventID != "" {
		s += ", event " + b.EventID
	}
	return s + ": " + b.Problem
}

// Limits on what a file may make the verifier hold.
const (
	maxLine    = 1 << 20
	maxTrailer = 8 << 20
)

// Verify checks an export from its bytes alone. It returns a *BadPlace naming
// the first place that does not hold: an edited, removed, reordered or
// repeated event, a wrong signature, or a log that is shorter than a
// checkpoint kept elsewhere says.
func Verify(r io.ReadSeeker, o VerifyOptions) (Report, error) {
	v, err := newVerifier(r, o)
	if err != nil {
		return Report{}, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return Report{}, err
	}
	if v.csv {
		err = v.readCSV(r)
	} else {
		err = v.readNDJSON(r)
	}
	if err != nil {
		return Report{}, err
	}
	return v.finish()
}

type verifier struct {
	report  Report
	trailer trailer
	signed  Checkpoint
	csv     bool
	span    span
	sizes   []int64        // at which a checkpoint is due, ascending
	due     map[int64]Hash // size -> the root that was signed
	line    int
	origin  pam.OrgID
	seen    bool // the trailer was reached
}

func newVerifier(r io.ReadSeeker, o VerifyOptions) (*verifier, error) {
	v := &verifier{due: map[int64]Hash{}}
	last, isCSV, err := lastLine(r)
	if err != nil {
		return nil, err
	}
	v.csv = isCSV
	if err := json.Unmarshal(last, &v.trailer); err != nil || v.trailer.Checkpoint == "" {
		return nil, &BadPlace{Line: 0, Leaf: -1, Problem: "the file does not end with a checkpoint: it was cut"}
	}
	t := &v.trailer
	if o.Key != "" && o.Key != t.Key {
		return nil, &BadPlace{Leaf: -1, Problem: "the checkpoint names another key than the one given"}
	}
	if v.signed, err = openNote(t.Checkpoint, t.Key); err != nil {
		return nil, &BadPlace{Leaf: -1, Problem: "the checkpoint: " + err.Error()}
	}
	if t.First < 0 || t.End < t.First || t.End > v.signed.Size {
		return nil, &BadPlace{Leaf: -1, Problem: "the last line's bounds do not fit its checkpoint"}
	}
	key, err := note.NewVerifier(t.Key)
	if err != nil {
		return nil, &BadPlace{Leaf: -1, Problem: "the key cannot be read"}
	}
	v.report = Report{Log: key.Name(), First: t.First, TreeSize: v.signed.Size, RootHash: encodeHashes([]Hash{v.signed.Root})[0], Key: t.Key, KeyTrusted: o.Key != ""}
	v.origin = pam.OrgID(strings.TrimPrefix(key.Name(), "vaultpam/"))
	if v.origin == "instance" {
		v.origin = pam.InstanceOrg
	}
	for i, text := range t.Earlier {
		c, err := openNote(text, t.Key)
		if err != nil {
			return nil, &BadPlace{Leaf: -1, Problem: fmt.Sprintf("earlier checkpoint %d: %v", i, err)}
		}
		if err := v.expect(c); err != nil {
			return nil, err
		}
	}
	if o.Checkpoint != "" {
		if err := v.kept(o.Checkpoint); err != nil {
			return nil, err
		}
	}
	v.sizes = slices.Sorted(maps.Keys(v.due))
	levels := cover(0, t.First)
	if len(levels) != len(t.Left) {
		return nil, &BadPlace{Leaf: -1, Problem: "the hashes before the first event do not fit"}
	}
	for i, level := range levels {
		h, ok := decodeHash(t.Left[i])
		if !ok {
			return nil, &BadPlace{Leaf: -1, Problem: "a hash before the first event cannot be read"}
		}
		v.span.push(level, h)
	}
	return v, nil
}

// expect notes that the tree must have c's root at c's size.
func (v *verifier) expect(c Checkpoint) error {
	if old, ok := v.due[c.Size]; ok && old != c.Root {
		return &BadPlace{Leaf: -1, Problem: fmt.Sprintf("two checkpoints of %d events were signed with different roots: the log was forked", c.Size)}
	}
	v.due[c.Size] = c.Root
	return nil
}

// kept takes checkpoints that somebody kept elsewhere: any number of notes,
// of which those of this log count.
func (v *verifier) kept(text string) error {
	found := false
	for _, one := range splitNotes(text) {
		if !strings.HasPrefix(one, v.report.Log+"\n") {
			continue
		}
		c, err := openNote(one, v.trailer.Key)
		if err != nil {
			return &BadPlace{Leaf: -1, Problem: "the checkpoint kept elsewhere is not signed by this log's key: " + err.Error()}
		}
		found = true
		if c.Size > v.signed.Size {
			return &BadPlace{Leaf: -1, Problem: fmt.Sprintf("the log has %d events, the checkpoint kept elsewhere has %d: it was truncated or rolled back", v.signed.Size, c.Size)}
		}
		if c.Size < v.trailer.First || c.Size > v.trailer.End && c.Size != v.signed.Size {
			return &BadPlace{Leaf: -1, Problem: fmt.Sprintf("the checkpoint kept elsewhere is of %d events, which this partial export does not reach: export the whole log", c.Size)}
		}
		if err := v.expect(c); err != nil {
			return err
		}
	}
	if !found {
		return &BadPlace{Leaf: -1, Problem: "the file kept elsewhere holds no checkpoint of " + v.report.Log}
	}
	return nil
}

// splitNotes takes a file of notes apart: each begins with its origin's line
// and ends with its signatures.
func splitNotes(text string) []string {
	var notes []string
	var b strings.Builder
	signed := false
	for line := range strings.Lines(strings.ReplaceAll(text, "\r\n", "\n")) {
		signature := strings.HasPrefix(line, "— ")
		if signed && !signature {
			notes, signed = append(notes, b.String()), false
			b.Reset()
			if line == "\n" {
				continue
			}
		}
		signed = signed || signature
		b.WriteString(line)
	}
	if signed {
		notes = append(notes, b.String())
	}
	return notes
}

func (v *verifier) bad(leaf int64, id, format string, args ...any) error {
	return &BadPlace{Line: v.line, Leaf: leaf, EventID: id, Problem: fmt.Sprintf(format, args...)}
}

// event checks one event in its place.
func (v *verifier) event(canonical []byte, leaf int64, stated Hash, id string) error {
	switch want := v.span.end; {
	case v.seen:
		return v.bad(leaf, id, "it stands after the checkpoint")
	case leaf < want:
		return v.bad(leaf, id, "it stands again, or out of its order: leaf %d is due", want)
	case leaf > want:
		return v.bad(want, "", "removed: leaves %d to %d are missing", want, leaf-1)
	case leaf >= v.trailer.End:
		return v.bad(leaf, id, "it is beyond the checkpoint")
	}
	if LeafHash(canonical) != stated {
		return v.bad(leaf, id, "edited: it does not have the hash that was written with it")
	}
	if !bytes.Contains(canonical, []byte(`"org_id":`+strconv.Quote(string(v.origin))+`,`)) {
		return v.bad(leaf, id, "it belongs to another log")
	}
	if err := v.check(); err != nil {
		return err
	}
	v.span.push(0, stated)
	v.report.Events++
	return nil
}

// check compares the tree so far with the checkpoints due at its size.
func (v *verifier) check() error {
	for len(v.sizes) > 0 && v.sizes[0] <= v.span.end {
		size := v.sizes[0]
		v.sizes = v.sizes[1:]
		if size < v.span.end {
			continue // before the first event of a partial export
		}
		if v.span.root() != v.due[size] {
			return v.bad(-1, "", "the first %d events are not those that were signed at the time: something before this line was changed and hashed anew", size)
		}
		v.report.Checkpoints++
	}
	return nil
}

func (v *verifier) finish() (Report, error) {
	if !v.seen {
		return Report{}, v.bad(-1, "", "the file does not end with a checkpoint: it was cut")
	}
	if v.span.end != v.trailer.End {
		return Report{}, v.bad(v.span.end, "", "removed: leaves %d to %d are missing", v.span.end, v.trailer.End-1)
	}
	if err := v.check(); err != nil {
		return Report{}, err
	}
	levels := cover(v.trailer.End, v.signed.Size)
	if len(levels) != len(v.trailer.Right) {
		return Report{}, v.bad(-1, "", "the hashes after the last event do not fit")
	}
	for i, level := range levels {
		h, ok := decodeHash(v.trailer.Right[i])
		if !ok {
			return Report{}, v.bad(-1, "", "a hash after the last event cannot be read")
		}
		v.span.push(level, h)
	}
	if v.span.root() != v.signed.Root {
		return Report{}, v.bad(-1, "", "the events do not have the signed root: some were changed and hashed anew")
	}
	if err := v.check(); err != nil {
		return Report{}, err
	}
	v.report.Checkpoints++
	return v.report, nil
}
